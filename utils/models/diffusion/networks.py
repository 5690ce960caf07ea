"""Networks that are told the time: for points a perceptron, for images a small U-Net."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.nets import mlp
from utils.validation import whole


class TimeFeatures(nn.Module):
    """t `(B,)` → sines and cosines of t at frequencies from 1 to `highest`, `(B, size)`."""

    def __init__(self, size: int = 64, highest: float = 1000.0):
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(0, math.log10(highest), size // 2), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angle = t[:, None].to(self.frequencies.dtype) * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], 1)


class TimeMLP(nn.Module):
    """x `(B, D)`, t `(B,)` and perhaps labels → `(B, D)`: a perceptron that sees x beside features of the time."""

    def __init__(self, dim: int, hidden: tuple[int, ...] = (128, 128, 128), n_classes: int = 0):
        super().__init__()
        self.time = TimeFeatures(8, highest=8.0)
        self.classes = nn.Embedding(n_classes + 1, 8) if n_classes else None  # the last: no label
        inputs = whole("dim", dim) + 8 + 8 * bool(n_classes)
        self.layers = mlp(inputs, *hidden, dim, activation=nn.SiLU)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        inputs = [x, self.time(t), *([] if self.classes is None else [self.classes(y)])]
        return self.layers(torch.cat(inputs, 1))


class Block(nn.Module):
    """Two convolutions beside a shortcut; between them the time and the label scale and shift each channel."""

    def __init__(self, inputs: int, outputs: int, embedding: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        _zero(self.conv2), _zero(self.modulation)  # a block starts as its shortcut

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class UNet(nn.Module):
    """Images `(B, C, H, W)`, t `(B,)` and perhaps labels `(B,)` → images: down to a quarter of the side and up again.

    Squares of 2 × 2 pixels become channels, so that nothing is computed at the full side. What the way down saw is
    handed to the way up by a skip connection.

    Args:
        channels: C.
        width: channels at half the side; there are twice as many at a quarter.
        n_classes: number of labels, 0 for none; the label `n_classes` means "none given".

    Source: Ronneberger, Fischer and Brox, U-Net, 2015, arXiv 1505.04597; with time: Ho et al., 2020, arXiv 2006.11239.
    """

    def __init__(self, channels: int = 1, width: int = 32, n_classes: int = 0, embedding: int = 128):
        super().__init__()
        channels, width = whole("channels", channels), whole("width", width)
        if width % 8:
            raise ValueError(f"width is {width}: expected a multiple of 8, because channels are normalized in 8 groups")
        wide = 2 * width
        self.time = nn.Sequential(TimeFeatures(64), mlp(64, embedding, embedding, activation=nn.SiLU))
        self.classes = nn.Embedding(n_classes + 1, embedding) if n_classes else None
        self.first = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.before = Block(width, width, embedding)
        self.down = nn.Conv2d(width, wide, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([Block(wide, wide, embedding) for _ in range(3)])
        self.up = nn.ConvTranspose2d(wide, width, 2, stride=2)
        self.after = Block(2 * width, width, embedding)
        self.norm, self.last = nn.GroupNorm(8, width), nn.Conv2d(width, 4 * channels, 3, padding=1)
        _zero(self.last)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if x.ndim != 4 or x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, C, H, W) with sides that 4 divides")
        e = self.time(t)
        e = F.silu(e if self.classes is None else e + self.classes(y))  # (B, embedding)
        skip = self.before(self.first(F.pixel_unshuffle(x, 2)), e)  # (B, width, H / 2, W / 2)
        h = self.down(skip)  # (B, 2 width, H / 4, W / 4)
        for block in self.middle:
            h = block(h, e)
        h = self.after(torch.cat([skip, self.up(h)], 1), e)  # (B, width, H / 2, W / 2)
        return F.pixel_shuffle(self.last(F.silu(self.norm(h))), 2)


def _zero(layer: nn.Module) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
