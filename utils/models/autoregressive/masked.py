"""All pixels at once by one masked network: linear (FVSBN), or with hidden layers (MADE)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.models.autoregressive.images import AutoregressiveImages, Choose
from utils.nets import MADE


class FVSBN(AutoregressiveImages):
    """Fully visible sigmoid belief network: p(x_i = 1 | x_1 … x_{i−1}) = σ(b_i + Σ_{j<i} W_ij x_j).

    A logistic regression for each pixel, all trained at once.

    Source: Frey, Graphical models for machine learning and digital communication, 1998.
    """

    def __init__(self, shape: tuple[int, int]):
        super().__init__(shape)
        dim = len(self.order)
        self.weight, self.bias = nn.Parameter(torch.zeros(dim, dim)), self._bias()
        self.register_buffer("mask", torch.ones(dim, dim).tril(-1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight * self.mask).view_as(x) + self.bias

    def _walk(self, x: Tensor, kept: int, choose: Choose) -> Tensor:
        flat, weight, bias = x.view(len(x), -1), self.weight * self.mask, self.bias.flatten()
        for i in self.order[kept:]:
            flat[:, i] = choose(i, F.linear(flat, weight[i : i + 1], bias[i : i + 1])).to(x)
        return x


class ImageMADE(AutoregressiveImages):
    """MADE of pixels: one masked network says all D conditional log-odds at once.

    Args:
        shape: (H, W).
        hidden: units in each hidden layer.
        order: the pixels, numbered in reading order, as they follow each other in the chain; default: reading order.
        direct: add masked weights from the input to the output, so that the hidden layers learn what is not linear.
        generator: source of randomness of the first weights.

    Source: Germain, Gregor, Murray & Larochelle, MADE, 2015, arXiv 1502.03509.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        hidden: Sequence[int] = (500,),
        order: Sequence[int] | Tensor | None = None,
        direct: bool = True,
        generator: Generator | None = None,
    ):
        super().__init__(shape)
        self.net = MADE(len(self.order), 1, hidden, order, generator, direct=direct)
        self.order, self.bias = self.net.order.tolist(), self._bias()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1)).view_as(x) + self.bias

    def _walk(self, x: Tensor, kept: int, choose: Choose) -> Tensor:
        bias = self.bias.flatten()
        flat = self.net.chain(len(x), lambda i, log_odds: choose(i, log_odds + bias[i])[:, None].to(x))
        return flat.view_as(x)
