"""Quantizers: from a vector to a code, a whole number, and back, with a gradient for the encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from utils.validation import as_parameters, numbers, whole

EARLY = 10  # steps over which averages follow quickly, as in `utils.training.Trainer`


class Quantized(NamedTuple):
    """Vectors in the shape of z with a straight-through gradient, their codes `(B, ...)`, and a loss `(B,)`."""

    z: Tensor
    codes: Tensor
    loss: Tensor


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """argmin_k ‖z − e_k‖² of each row, `(N, D)` and `(K, D)` → `(N,)`.

    ‖z‖² is the same for all k and left out. Both are centered first: far from 0 the products would lose all digits.
    """
    middle = codebook.mean(0)
    z, codebook = z - middle, codebook - middle
    return torch.addmm(codebook.square().sum(1), z, codebook.T, alpha=-2).argmin(1)


def straight_through(z: Tensor, quantized: Tensor) -> Tensor:
    """The value of `quantized`, and the gradient of z: ∂ output / ∂ z = 1.

    Source: Bengio, Léonard, Courville, Estimating or propagating gradients through stochastic neurons, 2013, arXiv
    1308.3432.
    """
    return z + (quantized - z).detach()


class VectorQuantizer(nn.Module):
    """z ↦ e_k with k = argmin_j ‖z − e_j‖²; e_1 … e_K is the codebook.

    The gradient passes straight through. The loss of an example adds over its places: the commitment
    β ‖z − sg e_k‖², which keeps the encoder near its codes, and, without `decay`, ‖sg z − e_k‖², which moves the codes.
    With `decay` λ the codes follow by moving averages, k-means on the way: N_k ← λ N_k + (1 − λ) n_k and S_k ← λ S_k +
    (1 − λ) Σ z over the n_k vectors of the batch with code k, and e_k = S_k / N_k.

    The first batch of the training sets the codebook to vectors of its own. A code is dead when N_k falls below
    `dead` × the mean of all N_k; every `revive` steps a dead one is set to a random vector of the batch.

    Args:
        n_codes, dim: K and D.
        decay: λ; None learns the codebook by gradient.
        commitment: β.
        revive: steps between revivals; None never revives.
        dead: see above.

    Source: van den Oord, Vinyals, Kavukcuoglu, Neural discrete representation learning, 2017, arXiv 1711.00937, whose
    appendix has the moving averages.
    """

    def __init__(
        self,
        n_codes: int,
        dim: int,
        *,
        decay: float | None = 0.99,
        commitment: float = 0.25,
        revive: int | None = 20,
        dead: float = 0.03,
    ):
        super().__init__()
        self.n_codes, self.dim = whole("n_codes", n_codes), whole("dim", dim)
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}: expected a number from 0 to below 1, or None to learn by gradient")
        if not commitment >= 0:
            raise ValueError(f"commitment is {commitment}: expected a weight of at least 0")
        self.decay, self.commitment, self.dead = decay, commitment, dead
        self.revive = None if revive is None else whole("revive", revive)
        self.codebook = nn.Parameter(torch.randn(self.n_codes, self.dim), requires_grad=decay is None)
        self.register_buffer("counts", torch.ones(self.n_codes))  # N
        self.register_buffer("sums", self.codebook.detach().clone())  # S
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def encode(self, z: Tensor) -> Tensor:
        """The nearest code of each place, `(B, D, ...)` → `(B, ...)`."""
        rows = _rows(as_parameters("z", numbers("z", z), self), self.dim)
        return nearest(rows.flatten(0, -2), self.codebook).view(rows.shape[:-1])

    def decode(self, codes: Tensor) -> Tensor:
        """The vectors of the codes, `(B, ...)` → `(B, D, ...)`."""
        return self.codebook[_checked(codes, self.n_codes)].movedim(-1, 1)

    def forward(self, z: Tensor) -> Quantized:
        rows = _rows(z, self.dim).flatten(0, -2)  # (N, D)
        if self.training and not self.steps:
            self._set(torch.ones_like(self.counts, dtype=torch.bool), rows, 1.0)
        codes = nearest(rows.detach(), self.codebook)
        chosen = self.codebook[codes]  # (N, D)
        loss = self.commitment * (rows - chosen.detach()).square().sum(1)
        if self.decay is None:
            loss = loss + (rows.detach() - chosen).square().sum(1)
        if self.training:
            self._follow(rows.detach(), codes)
        shape = _rows(z, self.dim).shape
        quantized = straight_through(rows, chosen).view(shape).movedim(-1, 1)
        return Quantized(quantized, codes.view(shape[:-1]), loss.view(len(z), -1).sum(1))

    @torch.no_grad()
    def _follow(self, rows: Tensor, codes: Tensor) -> None:
        """Move the averages to this batch, and with `decay` the codebook; revive dead codes."""
        keep = self.decay if self.decay is not None else 0.99
        keep = min(keep, (1 + self.steps.item()) / (EARLY + self.steps.item()))
        self.counts.lerp_(torch.bincount(codes, minlength=self.n_codes).to(rows), 1 - keep)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, codes, rows), 1 - keep)
        if self.decay is not None:
            alive = self.counts > 1e-6  # a code that nobody chooses stays where it is
            self.codebook[alive] = self.sums[alive] / self.counts[alive][:, None]
        self.steps += 1
        if self.revive and self.steps % self.revive == 0:
            self._set(self.counts < self.dead * self.counts.mean(), rows, 0.2 * self.counts.mean().item())

    @torch.no_grad()
    def _set(self, which: Tensor, rows: Tensor, count: float) -> None:
        """Set codes to random vectors of the batch, as if each had been chosen `count` times a step."""
        taken = torch.randperm(len(rows), device=rows.device).repeat(math.ceil(self.n_codes / len(rows)))
        fresh = rows[taken[: int(which.sum())]].detach().to(self.codebook)
        self.codebook[which] = fresh
        self.counts[which], self.sums[which] = count, count * fresh


class FiniteScalarQuantizer(nn.Module):
    """Each of D numbers is squashed and rounded to L_d levels: K = Π L_d codes, and no codebook that could collapse.

    u = (L − 1) σ(z) lies between 0 and L − 1; the digit is round(u), and 2 round(u) / (L − 1) − 1, from −1 to 1, goes
    to the decoder. The code is the number with these digits, the first counting least.

    Args:
        levels: L_1 … L_D, each at least 2.

    Source: Mentzer, Minnen, Agustsson, Tschannen, Finite scalar quantization: VQ-VAE made simple, 2023, arXiv
    2309.15505. There tanh takes the place of σ, and is shifted where L is even.
    """

    def __init__(self, levels: Sequence[int]):
        super().__init__()
        levels = [whole("levels", level, 2) for level in levels]
        self.dim, self.n_codes = len(levels), math.prod(levels)
        if not levels:
            raise ValueError("levels is empty: expected a number of levels for each of D numbers, such as (4, 4, 2)")
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.get_default_dtype()), persistent=False)
        self.register_buffer("places", torch.tensor([1, *levels[:-1]]).cumprod(0), persistent=False)

    def encode(self, z: Tensor) -> Tensor:
        """The code of each place, `(B, D, ...)` → `(B, ...)`."""
        return (self._squashed(numbers("z", z)).round().long() * self.places).sum(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """The D values of the codes, `(B, ...)` → `(B, D, ...)`."""
        digits = _checked(codes, self.n_codes)[..., None] // self.places % self.levels.long()
        return self._values(digits.to(self.levels)).movedim(-1, 1)

    def forward(self, z: Tensor) -> Quantized:
        u = self._squashed(z)  # (B, ..., D)
        values = self._values(straight_through(u, u.round()))
        codes = (u.detach().round().long() * self.places).sum(-1)
        return Quantized(values.movedim(-1, 1), codes, z.new_zeros(len(z)))

    def _squashed(self, z: Tensor) -> Tensor:
        return _rows(z, self.dim).sigmoid() * (self.levels - 1)

    def _values(self, digits: Tensor) -> Tensor:
        return 2 * digits / (self.levels - 1) - 1


def _rows(z: Tensor, dim: int) -> Tensor:
    """`(B, D, ...)` → `(B, ..., D)`."""
    if z.ndim < 2 or z.shape[1] != dim or not z.numel():
        raise ValueError(f"z has shape {tuple(z.shape)}: expected (B, {dim}, ...) with B > 0")
    return z.movedim(1, -1)


def _checked(codes: Tensor, n_codes: int) -> Tensor:
    if codes.is_floating_point() or not codes.numel() or not 0 <= codes.min() <= codes.max() < n_codes:
        what = f"whole numbers from 0 to {n_codes - 1}"
        raise ValueError(f"codes have shape {tuple(codes.shape)} and type {codes.dtype}: expected {what}")
    return codes
