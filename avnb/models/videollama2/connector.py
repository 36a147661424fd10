"""The STC connector (v35): frames of patches become fewer tokens of the decoder's width.

Convolutions within each frame, one that halves time, height and width, and convolutions within each step again. Parts
carry the names of the published weights: what is called `bn` there is a layer norm over channels.
"""

from torch import nn
from torch.nn import functional as F


class STCConnector(nn.Module):
    """Patches [B, T, side * side, width_in] to tokens [B, (T / 2) * (side // 2)^2, width], by time, row, column.

    Args:
        width_in: of a patch.
        width: of a token.
        depth: blocks before, and blocks after the halving.
    """

    def __init__(self, width_in, width, depth=4):
        super().__init__()
        self.s1 = _stage(width_in, width, depth)
        self.sampler = nn.Sequential(nn.Conv3d(width, width, kernel_size=2, stride=2), nn.SiLU())
        self.s2 = _stage(width, width, depth)
        self.readout = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, patches):
        n_clips, n_frames, n_patches, width = patches.shape
        side = round(n_patches**0.5)
        x = self.s1(patches.reshape(-1, side, side, width).movedim(-1, 1))
        x = self.sampler(x.unflatten(0, (n_clips, n_frames)).transpose(1, 2)).transpose(1, 2)
        x = self.s2(x.flatten(0, 1)).unflatten(0, (n_clips, -1))
        return self.readout(x.movedim(2, -1).flatten(1, 3))


def _stage(width_in, width, depth):
    blocks = nn.Sequential()
    for i in range(depth):
        blocks.add_module(f"b{i + 1}", _Block(width if i else width_in, width))
    return blocks


class _Block(nn.Module):
    """A RegNet-Y bottleneck: mix channels, mix neighbours channel by channel, gate the channels, mix them again."""

    def __init__(self, width_in, width):
        super().__init__()
        self.conv1 = _ConvNorm(width_in, width)
        self.conv2 = _ConvNorm(width, width, kernel=3, groups=width)
        self.se = _Gate(width, round(width_in / 4))
        self.conv3 = _ConvNorm(width, width)
        self.downsample = nn.Identity() if width_in == width else _ConvNorm(width_in, width)

    def forward(self, x):
        y = F.silu(self.conv1(x))
        y = F.silu(self.conv2(y))
        return F.silu(self.conv3(self.se(y)) + self.downsample(x))


class _ConvNorm(nn.Module):
    def __init__(self, width_in, width, kernel=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.LayerNorm(width, eps=1e-5)

    def forward(self, x):
        return self.bn(self.conv(x).movedim(1, -1)).movedim(-1, 1)


class _Gate(nn.Module):
    """Squeeze and excitation: each channel is scaled by what all of them are on average."""

    def __init__(self, width, width_between):
        super().__init__()
        self.fc1 = nn.Conv2d(width, width_between, 1)
        self.fc2 = nn.Conv2d(width_between, width, 1)

    def forward(self, x):
        return x * self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()
