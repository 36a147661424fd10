"""MiniCPM-o 2.6 without its voice: a SigLIP tower with a resampler, a Whisper encoder, and a Qwen2 decoder.

Modules are named as in the official files, so that these load as they are. SigLIP's layers, Whisper's layers and the
decoder are transformers' own. Source: shapes, names and order of operations of openbmb/MiniCPM-o-2_6 (code Apache-2.0).
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GenerationMixin, PreTrainedModel, Qwen2ForCausalLM
from transformers import initialization as init
from transformers.models.siglip.modeling_siglip import SiglipEncoder, SiglipPreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer, WhisperPreTrainedModel

from avnb.models.minicpm_o.configuration import MiniCPMOConfig, MiniCPMVConfig

HEAD = 128  # width of an attention head of the resampler
FRAMES = 50  # encoder frames in a second of sound
MEDIA = ("pixel_values", "grids", "input_features", "feature_lengths")


def places(rows, columns, side):
    """Indices [rows * columns] into a table of side * side positions, for a picture of any shape stretched over it."""

    def buckets(n):
        # In float32, as in training: in float64 some patches would fall into the bucket beside theirs.
        step = (1 / torch.tensor(n)).item()
        return torch.bucketize(torch.arange(0, 1 - 1e-6, step), torch.arange(1 / side, 1.0, 1 / side), right=True)

    return (buckets(rows)[:, None] * side + buckets(columns)).flatten()


@lru_cache(maxsize=8)
def sines(rows, columns, width):
    """Sine-cosine positions [rows * columns, width]: the first half tells the column, the second the row."""
    omega = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float32) / (width / 4))

    def along(n):
        angles = torch.arange(n, dtype=torch.float32)[:, None] * omega
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    column = along(columns)[None].expand(rows, -1, -1)
    row = along(rows)[:, None].expand(-1, columns, -1)
    return torch.cat([column, row], dim=-1).flatten(0, 1)


def padded(grids):
    """bool [pictures, patches]: the patches of each picture that only fill it up to the largest; None without any."""
    sizes = grids.prod(dim=1)
    filler = torch.arange(int(sizes.max()), device=grids.device) >= sizes[:, None]
    return filler if bool(filler.any()) else None


def additive(blocked, dtype):
    """An attention mask of zeros and of minus infinity where `blocked`."""
    return torch.zeros(blocked.shape, dtype=dtype, device=blocked.device).masked_fill(blocked, float("-inf"))


class VisionEmbeddings(nn.Module):
    """Patches to vectors, with learned positions of a 70 x 70 table."""

    def __init__(self, config):
        super().__init__()
        self.side = config.image_size // config.patch_size
        self.patch_embedding = nn.Conv2d(3, config.hidden_size, config.patch_size, stride=config.patch_size)
        self.position_embedding = nn.Embedding(self.side**2, config.hidden_size)

    def forward(self, patches, grids):
        kernel = self.patch_embedding
        hidden = kernel(patches.reshape(-1, 3, *kernel.kernel_size)).reshape(*patches.shape[:2], -1)
        positions = torch.zeros(patches.shape[:2], dtype=torch.long)
        for row, (height, width) in zip(positions, grids.tolist(), strict=True):
            row[: height * width] = places(height, width, self.side)
        return hidden + self.position_embedding(positions.to(hidden.device))


class VisionTower(SiglipPreTrainedModel):
    """SigLIP for pictures of any shape: all its layers and the norm after them."""

    _supports_flash_attn = False

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = VisionEmbeddings(config)
        self.encoder = SiglipEncoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    def forward(self, patches, grids):
        hidden, filler = self.embeddings(patches, grids), padded(grids)
        mask = (
            None if filler is None else additive(filler[:, None, None].expand(-1, 1, filler.shape[1], -1), hidden.dtype)
        )
        return self.post_layernorm(self.encoder(hidden, mask).last_hidden_state)


class CrossAttention(nn.Module):
    """Attention whose three inputs are projected by one matrix."""

    def __init__(self, width):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, query, key, value, mask):
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (
            F.linear(x, weight, bias).unflatten(-1, (-1, HEAD)).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Resampler(nn.Module):
    """`query_num` learned queries look at a picture's patches; positions are in the keys alone."""

    def __init__(self, n_queries, width, vision_width):
        super().__init__()
        self.query = nn.Parameter(torch.empty(n_queries, width))
        self.kv_proj = nn.Linear(vision_width, width, bias=False)
        self.attn = CrossAttention(width)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(width, eps=1e-6) for _ in range(3))
        self.proj = nn.Parameter(torch.empty(width, width))

    def forward(self, hidden, grids):
        value, filler = self.ln_kv(self.kv_proj(hidden)), padded(grids)
        tables = [sines(*grid, value.shape[-1]) for grid in grids.tolist()]
        positions = nn.utils.rnn.pad_sequence(tables, batch_first=True).to(value)
        query = self.ln_q(self.query).expand(len(hidden), -1, -1)
        mask = None if filler is None else ~filler[:, None, None]
        return self.ln_post(self.attn(query, value + positions, value, mask)) @ self.proj


class AudioEncoder(WhisperPreTrainedModel):
    """Whisper's encoder for sound of any length; a second of it sees itself and the seconds before."""

    _supports_flash_attn = False

    def __init__(self, config, chunk_length):
        super().__init__(config)
        self.chunk = int(chunk_length * FRAMES)
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, kernel_size=3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, config.d_model)
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.d_model)
        self.post_init()

    def forward(self, features, lengths):
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(features)))).transpose(1, 2)
        n_frames = hidden.shape[1]
        hidden = hidden + self.embed_positions.weight[:n_frames]
        frame = torch.arange(n_frames, device=hidden.device)
        later = frame // self.chunk > (frame // self.chunk)[:, None]
        # As in training: `lengths` counts features, of which a frame holds two, so that a shorter piece beside a longer
        # one is hidden only from twice its length on.
        beyond = frame >= lengths[:, None]
        mask = additive(later[None] | beyond[:, None], hidden.dtype)[:, None]
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return self.layer_norm(hidden)


class AudioProjection(nn.Module):
    """Encoder frames to the decoder's width."""

    def __init__(self, width, out_width):
        super().__init__()
        self.linear1 = nn.Linear(width, out_width)
        self.linear2 = nn.Linear(out_width, out_width)

    def forward(self, hidden):
        return self.linear2(F.relu(self.linear1(hidden)))


class MiniCPMOForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """MiniCPM-o 2.6, from which the speech (`tts.*`) is left out.

    Example:
        >>> with torch.device("meta"):
        ...     model = MiniCPMOForConditionalGeneration(MiniCPMOConfig())
        >>> f"{model.num_parameters():,}"
        '8,423,157,488'
    """

    config: MiniCPMOConfig
    config_class = MiniCPMOConfig
    base_model_prefix = "model"
    input_modalities = ("video", "audio", "text")
    main_input_name = "input_ids"
    _keys_to_ignore_on_load_unexpected = [r"^tts\."]
    _no_split_modules = ["Qwen2DecoderLayer", "SiglipEncoderLayer", "WhisperEncoderLayer", "Resampler"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config):
        super().__init__(config)
        text = config.text_config
        self.llm = Qwen2ForCausalLM(text)
        self.vpm = VisionTower(config.vision_config)
        self.resampler = Resampler(config.query_num, text.hidden_size, config.vision_config.hidden_size)
        if (audio := getattr(config, "audio_config", None)) is not None:
            self.apm = AudioEncoder(audio, config.audio_chunk_length)
            self.audio_projection_layer = AudioProjection(audio.d_model, text.hidden_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        std = self.config.text_config.initializer_range
        if isinstance(module, Resampler):
            init.normal_(module.query, std=std)
            init.normal_(module.proj, std=module.proj.shape[0] ** -0.5)
        elif isinstance(module, CrossAttention):
            init.normal_(module.in_proj_weight, std=std)
            init.zeros_(module.in_proj_bias)

    def get_input_embeddings(self):
        return self.llm.model.embed_tokens

    def get_output_embeddings(self):
        return self.llm.lm_head

    def get_decoder(self):
        return self.llm.model

    def pictures(self, pixel_values, grids):
        """Decoder inputs [n, width] of all pictures.

        Args:
            pixel_values: patches [pictures, patches, 3 * 14 * 14], filled up to the largest picture.
            grids: rows and columns of patches, int [pictures, 2].
        """
        return self.resampler(self.vpm(pixel_values.to(self.dtype), grids), grids).flatten(0, 1)

    def sounds(self, input_features, feature_lengths):
        """Decoder inputs [n, width] of a clip's sound.

        Args:
            input_features: log-mel features [pieces, 80, features], filled up with zeros.
            feature_lengths: the features of each piece that are not filler, int [pieces].
        """
        hidden = self.audio_projection_layer(self.apm(input_features.to(self.dtype), feature_lengths))
        step = self.config.audio_pool_step
        pooled = F.avg_pool1d(hidden.transpose(1, 2), step, step).transpose(1, 2)
        n_tokens = ((feature_lengths - 1) // 2 + 1 - step) // step + 1
        return torch.cat([piece[:n] for piece, n in zip(pooled, n_tokens.tolist(), strict=True)])

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        pixel_values=None,
        grids=None,
        input_features=None,
        feature_lengths=None,
        **kwargs,
    ):
        """The decoder's output; media as in `pictures` and `sounds`, the rest as in Qwen2ForCausalLM.

        Raises:
            ValueError: the prompt does not have as many placeholders as there are media tokens.
        """
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            found = self.pictures(pixel_values, grids)
            inputs_embeds = _filled(inputs_embeds, input_ids == self.config.video_token_id, found, "picture")
        if input_features is not None:
            found = self.sounds(input_features, feature_lengths)
            inputs_embeds = _filled(inputs_embeds, input_ids == self.config.audio_token_id, found, "sound")
        return self.llm(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )

    def prepare_inputs_for_generation(self, input_ids, is_first_iteration=False, **kwargs):
        if not is_first_iteration and kwargs.get("use_cache", True):  # the cache holds the media
            kwargs = {name: value for name, value in kwargs.items() if name not in MEDIA}
        return super().prepare_inputs_for_generation(input_ids, is_first_iteration=is_first_iteration, **kwargs)


class MiniCPMVForConditionalGeneration(MiniCPMOForConditionalGeneration):
    """MiniCPM-V 2.6, the base of MiniCPM-o 2.6: it sees alone."""

    config: MiniCPMVConfig
    config_class = MiniCPMVConfig
    input_modalities = ("video", "text")


def _filled(embeds, positions, found, kind):
    """Embeddings with media tokens [n, width] at the positions (bool [rows, T]) of their placeholders."""
    if int(positions.sum()) != len(found):
        raise ValueError(
            f"the prompt has {int(positions.sum())} {kind} placeholders for {len(found)} {kind} tokens; "
            "make both with this checkpoint's processor"
        )
    return embeds.masked_scatter(positions[..., None].to(embeds.device), found.to(embeds))
