"""Convolutional networks from images to grids of vectors and back."""

from __future__ import annotations

import torch
from torch import nn

from utils.validation import whole


class _Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def _residual(width: int) -> nn.Module:
    """x + two convolutions of x."""
    return _Residual(nn.ReLU(), nn.Conv2d(width, width // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(width // 2, width, 1))


def code_encoder(dim: int, *, width: int = 16, halvings: int = 2) -> nn.Sequential:
    """Images to a grid of vectors: `(B, 1, 28, 28)` → `(B, dim, 7, 7)`, or `(B, dim, 4, 4)` with three halvings."""
    down = [nn.Conv2d(1, width, 4, stride=2, padding=1), nn.ReLU()]  # (B, width, 14, 14)
    down += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)]  # (B, 2 width, 7, 7)
    for _ in range(whole("halvings", halvings, 2) - 2):
        down += [nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1)]  # (B, 2 width, 4, 4)
    layers = [*down, _residual(2 * width), _residual(2 * width), nn.ReLU(), nn.Conv2d(2 * width, dim, 1)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def code_decoder(dim: int, *, width: int = 16, halvings: int = 2) -> nn.Sequential:
    """The encoder's way back: `(B, dim, 7, 7)` → `(B, 1, 28, 28)`."""
    layers = [nn.Conv2d(dim, 2 * width, 3, padding=1), _residual(2 * width), _residual(2 * width), nn.ReLU()]
    for _ in range(whole("halvings", halvings, 2) - 2):
        layers += [nn.ConvTranspose2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)
