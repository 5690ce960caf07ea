"""The simplest model of the next pixel: a table over the pixels around it, found by counting."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.models.autoregressive.images import AutoregressiveImages

# Earlier neighbors of a pixel as (rows up, columns to the right).
NEIGHBORS = (*((0, -2), (0, -1)), *((1, c) for c in (-2, -1, 0, 1, 2)), *((2, c) for c in (-1, 0, 1)))


class NeighborTable(AutoregressiveImages):
    """A Bernoulli for each pattern of ten earlier neighbors, found by counting; outside of the image is white.

    Args:
        smoothing: pretended counts of either outcome.
    """

    def __init__(self, shape: tuple[int, int], smoothing: float = 0.5):
        super().__init__(shape)
        self.smoothing = smoothing
        self.register_buffer("log_odds", torch.zeros(2 ** len(NEIGHBORS)))

    def patterns(self, x: Tensor) -> Tensor:
        """The number, 0 … 1023, whose binary digits are the neighbors of each pixel: `(B, H, W)`."""
        height, width = self.shape
        padded = F.pad(x[:, 0].to(torch.int16), (2, 2, 2, 0))
        return sum(
            padded[:, 2 - up : 2 - up + height, 2 + right : 2 + right + width] << bit
            for bit, (up, right) in enumerate(NEIGHBORS)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.log_odds[self.patterns(x).int()][:, None]

    def fit(self, x: Tensor) -> Self:
        """Count. Returns the model itself."""
        patterns, x = self.patterns(self._check(x)).int().flatten(), x.flatten() > 0
        counts = (torch.bincount(patterns[which], minlength=len(self.log_odds)) for which in (x, ~x))
        black, white = (count.to(self.log_odds.dtype) for count in counts)
        self.log_odds = ((black + self.smoothing) / (white + self.smoothing)).log()
        return self
