"""Encoder and decoder of images: convolutions that halve the side twice, and their way back."""

from __future__ import annotations

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


def _divisible(side: int) -> None:
    if whole("side", side) % 4:
        raise ValueError(f"side is {side}: expected a multiple of 4, because it is halved twice; pad the images")
