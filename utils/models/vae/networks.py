"""Encoder and decoder of images: convolutions that halve the side twice, and their way back."""

from __future__ import annotations

import torch
from torch import nn

from utils.validation import whole


def conv_encoder(outputs: int, *, channels: int = 1, side: int = 28, width: int = 32) -> nn.Sequential:
    """Two convolutions, each halving the side, and a linear layer: `(B, channels, side, side)` → `(B, outputs)`."""
    _divisible(side)
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),  # (B, width, side / 2, side / 2)
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (B, 2 width, side / 4, side / 4)
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (side // 4) ** 2, outputs),
    )


def conv_decoder(inputs: int, *, channels: int = 1, side: int = 28, width: int = 32) -> nn.Sequential:
    """The encoder's way back: `(B, inputs)` → `(B, channels, side, side)`."""
    _divisible(side)
    return nn.Sequential(
        nn.Linear(inputs, 2 * width * (side // 4) ** 2),
        nn.ReLU(),
        nn.Unflatten(1, (2 * width, side // 4, side // 4)),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),  # (B, width, side / 2, side / 2)
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),  # (B, channels, side, side)
    )


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


def _divisible(side: int) -> None:
    if whole("side", side) % 4:
        raise ValueError(f"side is {side}: expected a multiple of 4, because it is halved twice; pad the images")
