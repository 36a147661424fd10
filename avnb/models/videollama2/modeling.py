"""VideoLLaMA 2.1-7B-AV and its visual base VideoLLaMA 2.1-7B-16F: a SigLIP and a BEATs tower before a Qwen2 decoder.

Every module carries the name that it has in the published files, so these load as they are. The towers hang on the
decoder there too (`model.layers` beside `model.vision_tower`); they run before it is called.

Source: facts of DAMO-NLP-SG/VideoLLaMA2, branch audio_visual; that code runs beside this one in the tests' reference.
"""

from torch import nn
from transformers import (
    GenerationMixin,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2Model,
    Qwen2PreTrainedModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import CausalLMOutputWithPast

from avnb.errors import AvnbError
from avnb.models.videollama2.beats import Beats, BeatsConfig
from avnb.models.videollama2.connector import STCConnector

# google/siglip-so400m-patch14-384, which the published configuration names and does not spell out
_SIGLIP = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}


class VideoLlama2Config(Qwen2Config):
    """The published `config.json`, which is Qwen2's with `mm_*` keys, and the sizes of the towers that it leaves out.

    Attributes:
        num_frames: of a clip; 8 in the audio-visual checkpoint, 16 in its base.
        mm_audio_tower: None in the visual base, which has no audio branch.
        video_token_id, audio_token_id: placeholders, in rows of the embedding that no token of the tokenizer uses.
    """

    model_type = "videollama2_qwen2"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(SiglipVisionConfig, init_kwargs=_SIGLIP),
        "audio_config": SubConfigSpec(BeatsConfig),
    }

    vision_config: dict | PreTrainedConfig | None = None
    audio_config: dict | PreTrainedConfig | None = None
    num_frames: int = 8
    mm_audio_tower: str | None = None
    video_token_id: int = 151646
    audio_token_id: int = 151647


class VideoLlama2Model(Qwen2Model):
    """The decoder, as Qwen2's; the towers and their projectors are kept here and called from outside."""

    config_class = VideoLlama2Config

    def __init__(self, config):
        super().__init__(config)
        self.vision_tower = _VisionTower(config.vision_config)
        self.mm_projector = STCConnector(config.vision_config.hidden_size, config.hidden_size)
        if config.mm_audio_tower is not None:
            self.audio_tower = Beats(config.audio_config)
            self.mm_projector_a = nn.Sequential(
                nn.Linear(config.audio_config.hidden_size, config.hidden_size),
                nn.GELU(),
                nn.Linear(config.hidden_size, config.hidden_size),
            )
        self.post_init()


class _VisionTower(nn.Module):
    """Pictures [n, 3, H, W] to patches [n, patches, width], as they are before SigLIP's last layer."""

    def __init__(self, config):
        super().__init__()
        self.vision_tower = SiglipVisionModel(config)

    def forward(self, pictures):
        tower = self.vision_tower
        x = tower.embeddings(pictures)
        for layer in tower.encoder.layers[:-1]:
            x = layer(x, None)
        return x


class VideoLlama2ForConditionalGeneration(Qwen2PreTrainedModel, GenerationMixin):
    """VideoLLaMA 2.1 on text, a video and its sound.

    Example:
        >>> config = VideoLlama2Config(vocab_size=8, hidden_size=8, num_attention_heads=2, num_key_value_heads=1)
        >>> config.vision_config.image_size, config.vision_config.num_hidden_layers, config.num_frames
        (384, 27, 8)
    """

    config_class = VideoLlama2Config
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}
    # Published, and never used: a classifier, and eleven copies of the table of distances.
    _keys_to_ignore_on_load_unexpected = [
        r"audio_tower\.predictor\.",
        r"audio_tower\.encoder\.layers\.[1-9]\d*\.self_attn\.relative_attention_bias\.",
    ]

    def __init__(self, config):
        super().__init__(config)
        self.model = VideoLlama2Model(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_video_features(self, pixel_values_videos):
        """Tokens [B, n, width] of videos [B, T, 3, H, W]; an even T."""
        n_clips, n_frames = pixel_values_videos.shape[:2]
        pictures = pixel_values_videos.flatten(0, 1).to(self.dtype)
        return self.model.mm_projector(self.model.vision_tower(pictures).unflatten(0, (n_clips, n_frames)))

    def get_audio_features(self, input_features):
        """Tokens [B, n, width] of log mel energies [B, frames, mels].

        Raises:
            AvnbError: the model is the visual base, which takes no sound.
        """
        if self.config.mm_audio_tower is None:
            raise AvnbError("this VideoLLaMA 2.1 is the visual base and takes no sound; leave the sound out")
        return self.model.mm_projector_a(self.model.audio_tower(input_features))

    def forward(
        self,
        input_ids=None,
        pixel_values_videos=None,
        input_features=None,
        inputs_embeds=None,
        logits_to_keep=0,
        **kwargs,
    ):
        """Logits of a prompt whose placeholders stand for the video's and the sound's tokens.

        Args:
            input_ids: [B, N], or `inputs_embeds` [B, N, width] instead.
            pixel_values_videos: [videos, T, 3, H, W].
            input_features: log mel energies [sounds, frames, mels].
            logits_to_keep: how many of the last positions get logits, 0 for all.

        Raises:
            AvnbError: there are more or fewer placeholders than tokens for them.
        """
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if pixel_values_videos is not None:
            features = self.get_video_features(pixel_values_videos)
            inputs_embeds = _placed(inputs_embeds, input_ids == self.config.video_token_id, features, "video")
        if input_features is not None:
            features = self.get_audio_features(input_features)
            inputs_embeds = _placed(inputs_embeds, input_ids == self.config.audio_token_id, features, "audio")
        output = self.model(inputs_embeds=inputs_embeds, **kwargs)
        logits = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithPast(
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


def _placed(embeds, where, features, kind):
    n_places, n_tokens = int(where.sum()), features.shape[0] * features.shape[1]
    if n_places != n_tokens:
        raise AvnbError(
            f"the prompt has {n_places} {kind} placeholders for {n_tokens} tokens; "
            "make both with the model's own processor"
        )
    return embeds.masked_scatter(where[..., None], features.to(embeds.dtype))
