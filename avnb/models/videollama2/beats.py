"""BEATs (iter3+, fine-tuned on AudioSet), the encoder that turns sound into patches of time and pitch.

A transformer with the norm after each sublayer, amplified residuals (DeepNorm), and attention that adds a bias by the
distance of two patches, scaled by a gate that each query sets. Parts carry the names of the published weights.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedConfig
from transformers.models.t5.modeling_t5 import T5Attention

# What the published model subtracts from log mel energies, and by what it divides them.
MEAN, SCALE = 15.41663, 2 * 6.55582


class BeatsConfig(PreTrainedConfig):
    """Sizes; the defaults are those of the published model."""

    model_type = "beats"
    base_config_key = "audio_config"

    patch_size: int = 16
    patch_width: int = 512
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    conv_positions: int = 128
    conv_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800


class Beats(nn.Module):
    """Log mel energies [B, frames, mels] to features [B, (frames // patch) * (mels // patch), width], time outside."""

    def __init__(self, config):
        super().__init__()
        patch = config.patch_size
        self.patch_embedding = nn.Conv2d(1, config.patch_width, kernel_size=patch, stride=patch, bias=False)
        self.layer_norm = nn.LayerNorm(config.patch_width)
        self.post_extract_proj = nn.Linear(config.patch_width, config.hidden_size)
        self.encoder = _Encoder(config)

    def forward(self, fbank):
        scaled = ((fbank - MEAN) / SCALE).to(self.patch_embedding.weight.dtype)
        patches = self.patch_embedding(scaled[:, None]).flatten(2).transpose(1, 2)
        return self.encoder(self.post_extract_proj(self.layer_norm(patches)))


class _Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.pos_conv = nn.Sequential(_PositionalConv(config))
        self.layer_norm = nn.LayerNorm(config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config, owns_bias=i == 0) for i in range(config.num_hidden_layers))

    def forward(self, x):
        x = self.layer_norm(x + F.gelu(self.pos_conv(x)))
        bias = self.layers[0].self_attn.distance_bias(x.shape[1])
        for layer in self.layers:
            x = layer(x, bias)
        return x


class _PositionalConv(nn.Module):
    """A convolution over time whose kernel is a direction times a length for each of its steps (weight norm)."""

    def __init__(self, config):
        super().__init__()
        width, groups, n_steps = config.hidden_size, config.conv_groups, config.conv_positions
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        self.weight_g = nn.Parameter(torch.ones(1, 1, n_steps))
        self.weight_v = nn.Parameter(torch.randn(width, width // groups, n_steps))

    def forward(self, x):
        direction = self.weight_v.float()
        direction = direction * (direction.pow(2).sum((0, 1), keepdim=True) + 1e-6).rsqrt()
        weight = (direction * self.weight_g.float()).to(x.dtype)
        n_steps = weight.shape[-1]
        out = F.conv1d(x.transpose(1, 2), weight, self.bias, padding=n_steps // 2, groups=self.groups).transpose(1, 2)
        return out[:, : x.shape[1]]  # an even kernel gives one step too many


class _Layer(nn.Module):
    def __init__(self, config, owns_bias):
        super().__init__()
        width = config.hidden_size
        self.residual_scale = (2 * config.num_hidden_layers) ** 0.25
        self.self_attn = _Attention(config, owns_bias)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x, bias):
        x = self.self_attn_layer_norm(x * self.residual_scale + self.self_attn(x, bias))
        return self.final_layer_norm(x * self.residual_scale + self.fc2(F.gelu(self.fc1(x))))


class _Attention(nn.Module):
    def __init__(self, config, owns_bias):
        super().__init__()
        width, self.n_heads = config.hidden_size, config.num_attention_heads
        self.max_distance = config.max_distance
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.grep_linear = nn.Linear(width // self.n_heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, self.n_heads, 1, 1))
        if owns_bias:  # the first layer's is that of all
            self.relative_attention_bias = nn.Embedding(config.num_buckets, self.n_heads)

    def distance_bias(self, length):
        """[1, heads, length, length], by the distance from query to key."""
        table = self.relative_attention_bias
        position = torch.arange(length, device=table.weight.device)
        buckets = T5Attention._relative_position_bucket(
            position[None] - position[:, None],
            bidirectional=True,
            num_buckets=table.num_embeddings,
            max_distance=self.max_distance,
        )
        return table(buckets).permute(2, 0, 1)[None]

    def forward(self, x, bias):
        query, key, value = (
            proj(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        narrow, wide = self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1).sigmoid().chunk(2, dim=-1)
        gate = narrow * (wide * self.grep_a - 1) + 2
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=gate * bias)
        return self.out_proj(out.transpose(1, 2).flatten(2))
