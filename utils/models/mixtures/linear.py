"""Components whose log-density is linear in some features of the data: one matrix product judges a block of rows."""

from __future__ import annotations

import torch
from torch import Tensor


def slices(n: int, width: int, device: torch.device) -> list[slice]:
    """Consecutive blocks of rows, `width` numbers each row, small enough for the cache (or for a GPU's memory)."""
    size = max(16, (2**19 if device.type == "cpu" else 2**25) // width)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def nearest_seed(x: Tensor, seeds: Tensor) -> Tensor:
    """Which of the seeds is nearest to each row, `(B,)`.

    `torch.cdist` multiplies out. So where all data lie far from 0, both are taken about the middle of the seeds first.
    """
    middle = seeds.mean(0)
    middle = torch.where(middle.abs() > 100 * (x - middle).abs().amax(0), middle, 0.0)
    return torch.cdist(x - middle, seeds - middle).argmin(1)


class Linear:
    """A family with log w_k p(x | k) = bias_k + θ_k · φ(x): the E-step and the sums of the M-step are matrix products.

    Args:
        bias: `(K,)`.
        theta: `(K, P)`.
    """

    def __init__(self, bias: Tensor, theta: Tensor):
        self.bias, self.theta = bias, theta

    def features(self, x: Tensor) -> Tensor:
        """φ(x), `(P, B)`. The last rows, about missing values, may be left out where nothing is missing."""
        raise NotImplementedError

    def blocks(self, x: Tensor):
        """Yield rows, log w_k p(x | k) `(K, B)` and features `(P, B)`, block by block."""
        for rows in slices(len(x), max(self.theta.shape), x.device):
            phi = self.features(x[rows])
            theta, bias = self.theta[:, : len(phi)].to(phi.dtype), self.bias.to(phi.dtype)
            yield rows, torch.addmm(bias[:, None], theta, phi), phi

    def collect(self, posterior: Tensor, phi: Tensor) -> Tensor:
        """Σ r_k and Σ r_k φ(x) over a block, `(K, 1 + P)`."""
        sums = torch.cat([posterior.sum(1, keepdim=True), posterior @ phi.T], dim=1).double()
        return torch.nn.functional.pad(sums, (0, self.theta.shape[1] - len(phi)))
