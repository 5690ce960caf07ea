"""Networks that several families share: from a vector, to a vector, from an image, to an image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Generator, Tensor, nn
from torch.nn import functional as F


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers, `(B, widths[0])` → `(B, widths[-1])`, with an activation after each but the last.

    >>> mlp(784, 400, 40)
    Sequential(
      (0): Linear(in_features=784, out_features=400, bias=True)
      (1): ReLU()
      (2): Linear(in_features=400, out_features=40, bias=True)
    )
    """
    if len(widths) < 2:
        raise ValueError(
            f"mlp got {len(widths)} width(s): expected at least an input and an output, as in mlp(2, 64, 1)"
        )
    layers = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def start(layer: nn.Module, generator: Generator | None = None, zero: bool = False) -> nn.Module:
    """Weights and bias uniform on ± 1 / √(numbers that meet in one output), or all 0."""
    bound = 0.0 if zero else layer.weight[0].numel() ** -0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


class MLP(nn.Module):
    """Linear layers with ReLU between. The last one starts at 0: what it moves starts as the identity."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int] = (64, 64), generator: Generator | None = None):
        super().__init__()
        if not hidden:
            raise ValueError("hidden is empty: expected the size of at least one hidden layer")
        layers = [start(nn.Linear(before, after), generator) for before, after in itertools.pairwise([inputs, *hidden])]
        self.layers = nn.ModuleList([*layers, start(nn.Linear(hidden[-1], outputs), zero=True)])

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases, layer by layer."""
        return [(layer.weight, layer.bias) for layer in self.layers]

    def forward(self, x: Tensor) -> Tensor:
        *hidden, (weight, bias) = self.weights()
        for w, b in hidden:
            x = F.linear(x, w, b).relu_()
        return F.linear(x, weight, bias)


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
    if side < 4 or side % 4:
        raise ValueError(f"side is {side}: expected a multiple of 4, because it is halved twice; pad the images")
