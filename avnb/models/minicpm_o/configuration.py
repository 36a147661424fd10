"""The configuration of MiniCPM-o 2.6 and MiniCPM-V 2.6; without arguments, that of the published checkpoints.

The official config.json holds the decoder's settings at its top level; here they are a `text_config` like any other.
"""

from dataclasses import fields

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig, Qwen2Config, SiglipVisionConfig, WhisperConfig
from transformers.configuration_utils import SubConfigSpec

_TEXT = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "vocab_size": 151700,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
}
_VISION = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 980,
    "patch_size": 14,
}
_AUDIO = {"d_model": 1024, "encoder_layers": 24, "encoder_attention_heads": 16, "encoder_ffn_dim": 4096}  # medium
_SPEECH = ("tts_config", "init_tts", "auto_map")  # of the part that speaks, and of remote code
_OF_TEXT = {field.name for field in fields(Qwen2Config)} - {field.name for field in fields(PreTrainedConfig)}
_OF_TEXT |= {"rope_theta", "rope_scaling", "bos_token_id", "eos_token_id"}


@strict
class MiniCPMOConfig(PreTrainedConfig):
    """Settings of MiniCPM-o 2.6, from our own nested form or from the official flat one.

    Args:
        text_config, vision_config, audio_config: settings of the Qwen2 decoder, the SigLIP tower, the Whisper encoder.
        query_num: tokens that the resampler makes of a picture.
        audio_pool_step: encoder frames that are averaged to one sound token.
        audio_chunk_length: seconds that the encoder hears at once; earlier ones are seen, later ones are not.
        video_token_id, audio_token_id: placeholders of pictures and of sound. The official prompts use the first,
            `<unk>`, for both; here sound has `<reserved_53>`, whose embedding is never looked at.

    Raises:
        ValueError: the checkpoint is of another version than 2.6, or ends its vision tower one layer earlier.
    """

    model_type = "minicpmo"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=Qwen2Config, init_kwargs=_TEXT),
        "vision_config": SubConfigSpec(config_class=SiglipVisionConfig, init_kwargs=_VISION),
        "audio_config": SubConfigSpec(config_class=WhisperConfig, init_kwargs=_AUDIO),
    }

    text_config: dict | PreTrainedConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    audio_config: dict | PreTrainedConfig | None = None
    query_num: int = 64
    audio_pool_step: int = 2
    audio_chunk_length: float = 1.0
    drop_vision_last_layer: bool = False
    version: str | float = "2.6"
    video_token_id: int = 128244
    audio_token_id: int = 151699
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        kwargs = {name: value for name, value in kwargs.items() if name not in _SPEECH}
        flat = {name: kwargs.pop(name) for name in sorted(_OF_TEXT & kwargs.keys())}
        if self.text_config is None and flat:
            self.text_config = flat
        for name in ("vision_config", "audio_config"):
            if isinstance(value := getattr(self, name), dict):
                setattr(self, name, {key: each for key, each in value.items() if key != "model_type"})
        super().__post_init__(**kwargs)
        if str(self.version) != "2.6" or self.drop_vision_last_layer:
            raise ValueError(
                f"this {self.model_type} checkpoint is of version {self.version}"
                f"{', without the last vision layer' * self.drop_vision_last_layer}; "
                "only MiniCPM-o 2.6 and MiniCPM-V 2.6 are known"
            )


@strict
class MiniCPMVConfig(MiniCPMOConfig):
    """Settings of MiniCPM-V 2.6: the same without sound, on a decoder with another vocabulary."""

    model_type = "minicpmv"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=Qwen2Config, init_kwargs=_TEXT | {"vocab_size": 151666}),
        "vision_config": MiniCPMOConfig.sub_configs_defaults["vision_config"],
    }
