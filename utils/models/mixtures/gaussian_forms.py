"""Four ways to evaluate log w_k N(x; μ_k, Σ_k) for all rows and components, and to sum what the M-step needs.

Each form has `blocks(x)`, `collect(posterior, features)` and `moments(total)`; the last returns n_k `(K,)`, Σ r (x − o)
`(K, D)`, Σ r (x − o)(x − o)ᵀ `(K, D, D)` (its diagonal `(K, D)` for the diagonal forms) and the origin o. A missing
value counts with its expectation given what is observed, and its conditional covariance (Ghahramani & Jordan, 1994).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from utils.models.mixtures.linear import Linear, slices

LOG_2PI = math.log(2 * math.pi)


# `CholeskyForm` keeps float32 while the largest value has at most this many standard deviations, squared: a rounding
# error of some thousandths of one.
FLOAT32_REACH = 1e9


class MissingPatterns(NamedTuple):
    """The range of the data, whether something is missing, and which rows observe the same coordinates."""

    low: Tensor | float  # (D,); both infinite: as far as can be, so that no form multiplies out
    high: Tensor | float
    missing: bool
    groups: list[tuple[Tensor, Tensor]] | None  # (observed coordinates, rows), or None where nothing is missing

    def reach(self, origin: Tensor | float = 0.0) -> Tensor:
        """The largest distance from `origin` in each coordinate, `(D,)`; 0 where no value is known."""
        low, high, origin = (torch.as_tensor(value) for value in (self.low, self.high, origin))
        return torch.maximum(high - origin, origin - low).clamp(min=0)


def missing_patterns(x: Tensor, grouped: bool = True) -> MissingPatterns:
    """Those of `x` `(B, D)`, where NaN is missing."""
    missing = x.isnan()
    if not missing.any():
        return MissingPatterns(x.amin(0), x.amax(0), False, None)
    groups = None
    if grouped:
        patterns, kind = missing.unique(dim=0, return_inverse=True)
        rows = kind.argsort(stable=True).split(kind.bincount().tolist())
        groups = [((~pattern).nonzero().flatten(), index) for pattern, index in zip(patterns, rows, strict=True)]
    return MissingPatterns(x.nan_to_num(math.inf).amin(0), x.nan_to_num(-math.inf).amax(0), True, groups)


def spares_digits(reach: Tensor, precision: Tensor) -> bool:
    """Whether squares that are multiplied out leave float64 enough digits: at this reach, with this 1 / variance."""
    return (reach.square() * precision).max().item() * torch.finfo(torch.float64).eps < 1e-7


def condition(covariances: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What observed coordinates say about all: x | x_o ~ N(μ + lift · z, rest) with z = whitenᵀ (x_o − μ_o).

    z is standard normal, and log N(x_o) = −½ |z|² + log |det whiten| − ½ O log 2π.

    Args:
        covariances: `(K, D, D)`.
        observed: `(O,)` indices.

    Returns:
        whiten `(K, O, O)`, lift `(K, D, O)` and rest `(K, D, D)`.
    """
    everything = len(observed) == covariances.shape[1]
    factor = torch.linalg.cholesky(covariances[:, observed][:, :, observed])
    identity = torch.eye(len(observed), dtype=factor.dtype, device=factor.device)
    whiten = torch.linalg.solve_triangular(factor.mT, identity.expand_as(factor), upper=True)
    lift = factor if everything else covariances[:, :, observed] @ whiten
    rest = torch.zeros_like(covariances) if everything else covariances - lift @ lift.mT
    return whiten, lift, rest


class DenseForm(Linear):
    """The quadratic form multiplied out, φ(x) = (x, x_i x_j for i ≤ j): fastest where D is not large beside K.

    Multiplying out cancels digits, so x is taken about `origin`, the mean of the data, and in float64.
    """

    def __init__(self, log_weights: Tensor, means: Tensor, factors: Tensor, origin: Tensor):
        precision, offset = torch.cholesky_inverse(factors), means - origin
        slope = (precision @ offset[..., None])[..., 0]  # (K, D)
        log_det = 2 * factors.diagonal(dim1=1, dim2=2).log().sum(1)
        bias = log_weights - 0.5 * ((slope * offset).sum(1) + log_det + means.shape[1] * LOG_2PI)
        self.origin, self.upper = origin, torch.triu_indices(*precision.shape[1:], device=means.device)
        i, j = self.upper
        super().__init__(bias, torch.cat([slope, -precision[:, i, j] * torch.where(i == j, 0.5, 1.0)], dim=1))

    @staticmethod
    def suits(patterns: MissingPatterns, means: Tensor, factors: Tensor, origin: Tensor) -> bool:
        """Whether nothing is missing, this form is the faster one, and float64 has digits to spare."""
        # Building D²/2 products pays when enough components share them. Measured on a CPU (D = 2 to 128, K = 5 to 50),
        # `CholeskyForm` overtakes near D = 3 K in float64, near D = 1.5 K in float32 (which it keeps), above D = 64.
        k, dim = means.shape
        share = 3 if torch.as_tensor(patterns.low).dtype == torch.float64 else 1.5
        if patterns.groups is not None or dim > min(64, share * k):
            return False
        precision = torch.cholesky_inverse(factors).diagonal(dim1=1, dim2=2)
        return spares_digits(patterns.reach(origin), precision)

    def features(self, x: Tensor) -> Tensor:
        y = (x.double() - self.origin).T.contiguous()  # (D, B): a feature is a row, contiguous
        return torch.cat([y, *(y[i] * y[i:] for i in range(len(y)))])

    def moments(self, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dim = len(self.origin)
        second = total.new_empty(len(total), dim, dim)
        i, j = self.upper
        second[:, i, j] = second[:, j, i] = total[:, 1 + dim :]
        return total[:, 0], total[:, 1 : 1 + dim], second, self.origin


class CholeskyForm:
    """z = whitenᵀ (x − μ) for each component: for larger D, missing values and extreme scales.

    Rows that observe the same coordinates are taken together. Sums over z turn into moments of all coordinates
    about μ by `condition`: Σ r (x − μ)(x − μ)ᵀ = lift (Σ r z zᵀ) liftᵀ + n rest. Data in float32 stay so while the
    largest of them, `reach`, leaves digits to spare.
    """

    def __init__(self, log_weights: Tensor, means: Tensor, covariances: Tensor, groups, reach: Tensor | None = None):
        self.log_weights, self.means, self.covariances, self.groups = log_weights, means, covariances, groups
        self.reach = torch.zeros_like(means[0]) if reach is None else reach.double().expand(means.shape[1])

    def blocks(self, x: Tensor):
        everything = torch.arange(x.shape[1], device=x.device)
        for observed, index in self.groups or [(everything, None)]:
            whiten, lift, rest = condition(self.covariances, observed)
            log_det = whiten.diagonal(dim1=1, dim2=2).log().sum(1)
            bias = self.log_weights + log_det - 0.5 * len(observed) * LOG_2PI  # (K,)
            far = (self.reach[observed].square() * whiten.square().sum(2) > FLOAT32_REACH).any()
            dtype = torch.float64 if far else x.dtype
            means, whiten = self.means[:, None, observed].to(dtype), whiten.to(dtype)
            for block in slices(len(x if index is None else index), max(1, means.numel()), x.device):
                rows = block if index is None else index[block]
                given = x[rows] if index is None else x[rows][:, observed]
                z = (given - means) @ whiten  # (K, B, O)
                yield rows, bias.to(dtype)[:, None] - 0.5 * z.square().sum(2), (z, lift, rest)

    def collect(self, posterior: Tensor, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        z, lift, rest = features
        weighted = posterior[..., None] * z
        count = posterior.double().sum(1)
        first = (lift @ weighted.sum(1).double()[..., None])[..., 0]
        second = lift @ (weighted.mT @ z).double() @ lift.mT + count[:, None, None] * rest
        return torch.cat([count[:, None], first, second.flatten(1)], dim=1)

    def moments(self, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dim = self.means.shape[1]
        return total[:, 0], total[:, 1 : 1 + dim], total[:, 1 + dim :].unflatten(1, (dim, dim)), self.means


class DiagonalForm(Linear):
    """Independent coordinates, φ(x) = (x, x², is missing), about `origin` and in float64 as in `DenseForm`."""

    def __init__(self, log_weights: Tensor, means: Tensor, variances: Tensor, origin: Tensor, missing: bool):
        self.missing = missing
        self.origin, self.offset, self.variances = origin, means - origin, variances
        constant = 0.5 * (self.offset.square() / variances + variances.log() + LOG_2PI)  # (K, D)
        theta = torch.cat([self.offset / variances, -0.5 / variances, constant], dim=1)
        super().__init__(log_weights - constant.sum(1), theta)

    def features(self, x: Tensor) -> Tensor:
        y = (x.double() - self.origin).T
        if not self.missing:
            return torch.cat([y, y.square()])
        missing, y = y.isnan(), y.nan_to_num(0.0)
        return torch.cat([y, y.square(), missing.double()])

    def moments(self, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first, second, missing = total[:, 1:].chunk(3, dim=1)
        expected = self.variances + self.offset.square()
        return total[:, 0], first + missing * self.offset, second + missing * expected, self.origin


class CenteredDiagonalForm:
    """z = (x − μ) / σ for each component: slower, for clusters so far apart that multiplying out leaves no digit."""

    def __init__(self, log_weights: Tensor, means: Tensor, variances: Tensor):
        self.log_weights, self.means, self.variances = log_weights, means, variances

    def blocks(self, x: Tensor):
        means, variances = self.means[:, None], self.variances[:, None]  # (K, 1, D)
        for rows in slices(len(x), self.means.numel(), x.device):
            z = (x[rows].double() - means) / variances.sqrt()  # (K, B, D)
            known, z = (~z.isnan()).double(), z.nan_to_num(0.0)
            density = -0.5 * (z.square() + known * (variances.log() + LOG_2PI))
            yield rows, self.log_weights[:, None] + density.sum(2), (z, known)

    def collect(self, posterior: Tensor, features: tuple[Tensor, Tensor]) -> Tensor:
        z, known = features
        weighted = posterior[..., None] * z
        second = (weighted * z + posterior[..., None] * (1 - known)).sum(1)
        first = self.variances.sqrt() * weighted.sum(1)
        return torch.cat([posterior.sum(1, keepdim=True), first, self.variances * second], dim=1)

    def moments(self, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first, second = total[:, 1:].chunk(2, dim=1)
        return total[:, 0], first, second, self.means


def diagonal_form(log_weights: Tensor, means: Tensor, variances: Tensor, origin: Tensor, data: MissingPatterns):
    """The form for independent coordinates: multiplied out where that leaves digits to spare."""
    if spares_digits(data.reach(origin), 1 / variances):
        return DiagonalForm(log_weights, means, variances, origin, data.missing)
    return CenteredDiagonalForm(log_weights, means, variances)
