"""How good samples and forecasts are, beside the likelihood."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from utils.validation import numbers, tensor, whole

# --- forecasts: draws `(S, ...)` or a distribution, and what came, y `(...)` ---


def crps_gaussian(mean: Tensor, std: Tensor, y: Tensor) -> Tensor:
    """The continuous ranked probability score of N(mean, std²) when y came: lower is better, in the unit of y.

    CRPS(F, y) = ∫ (F(x) − 1[x ≥ y])² dx = σ (z (2 Φ(z) − 1) + 2 φ(z) − 1 / √π), z = (y − μ) / σ. Of a forecast without
    any doubt, σ → 0, it is the absolute error.

    Args:
        mean, std, y: any shapes that broadcast; mean finite, std finite and above 0. NaN in y gives NaN.

    Raises:
        ValueError: for a std that is not above 0, a mean or std that is not finite, or shapes that do not broadcast.

    Source: Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", 2007, section 4.2.
    """
    mean, std, y = (torch.as_tensor(value) for value in (mean, std, y))
    mean, std, y = numbers("mean", mean), numbers("std", std), _outcome(y)
    _check_broadcast(mean=mean, std=std, y=y)
    if not (std > 0).all():
        raise ValueError(f"std goes down to {std.min().item():.4g}: expected standard deviations above 0")
    z = (y - mean) / std
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return std * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))


def crps_samples(draws: Tensor, y: Tensor) -> Tensor:
    """The same score from draws of a forecast: E|X − y| − ½ E|X − X'|, `(S, ...)` and `(...)` → `(...)`.

    Both means are without bias for any S ≥ 2: pairs of one draw with itself are left out. NaN in y gives NaN.

    Raises:
        ValueError: for draws that are not finite, or of another shape.

    Source: Gneiting and Raftery, 2007, equation 21; "fair" after C. A. T. Ferro, "Fair scores for ensemble forecasts",
    2014.
    """
    draws, y = _check_draws(draws, y)
    n = len(draws)
    ordered = draws.sort(dim=0).values
    ordered = ordered - ordered[n // 2]  # the counts sum to 0; far from 0 the products would lose all digits
    # Σ_ij |x_i − x_j| / 2 counts the i-th smallest draw 2 i − n − 1 times, i = 1 … n.
    count = (2 * torch.arange(1, n + 1, device=draws.device) - n - 1).to(draws.dtype)
    spread = torch.tensordot(count, ordered, dims=1) / (n * (n - 1))
    return (draws - y).abs().mean(0) - spread


def pinball(quantile: Tensor, y: Tensor, level: float) -> Tensor:
    """The loss that the quantile of this level makes least: level · (y − q) above it, (1 − level) · (q − y) below.

    Twice its integral over all levels is the CRPS.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a probability between 0 and 1, such as 0.9")
    quantile, y = numbers("quantile", torch.as_tensor(quantile)), _outcome(torch.as_tensor(y))
    _check_broadcast(quantile=quantile, y=y)
    error = y - quantile
    return torch.maximum(level * error, (level - 1) * error)


def interval(draws: Tensor, level: float = 0.8) -> tuple[Tensor, Tensor]:
    """The middle of a forecast: between its quantiles ½ ∓ level / 2, `(S, ...)` → two of `(...)`."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a probability between 0 and 1, such as 0.8")
    draws = numbers("draws", draws)
    if draws.ndim == 0 or not len(draws):
        raise ValueError(f"draws have shape {tuple(draws.shape)}: expected (S, ...) with S ≥ 1 along the first axis")
    ordered, last = draws.sort(dim=0).values, len(draws) - 1  # torch.quantile takes no more than 16 million numbers
    low, high = ((0.5 + side * level / 2) * last for side in (-1, 1))
    return tuple(ordered[int(at)].lerp(ordered[min(int(at) + 1, last)], at % 1) for at in (low, high))


def coverage(draws: Tensor, y: Tensor, level: float = 0.8) -> Tensor:
    """Whether the middle interval of each forecast holds what came: 1 or 0, NaN where y is missing, in y's shape.

    The mean should be the level. More means that the forecast is too timid, less that it is too sure.
    """
    draws, y = _check_draws(draws, y)
    low, high = interval(draws, level)
    return ((low <= y) & (y <= high)).to(draws.dtype).masked_fill(y.isnan(), math.nan)


def _check_draws(draws: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    draws, y = numbers("draws", draws), _outcome(y)
    if draws.ndim == 0 or draws.shape[1:] != y.shape or len(draws) < 2:
        raise ValueError(
            f"draws have shape {tuple(draws.shape)} and y has {tuple(y.shape)}: expected (S, *y.shape) with S ≥ 2,"
            " the draws along the first axis"
        )
    return draws, y


def _outcome(y: Tensor) -> Tensor:
    """What came, where NaN says that nobody knows it."""
    return y if tensor("y", y).is_floating_point() else y.double()


def _check_broadcast(**values: Tensor) -> None:
    try:
        torch.broadcast_shapes(*(value.shape for value in values.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in values.items())
        raise ValueError(f"the shapes are {shapes}: expected shapes that broadcast") from None


# --- samples: features of real and of generated examples, `(N, F)` each, such as those of a classifier ---


def frechet_distance(real_features: Tensor, fake_features: Tensor) -> float:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½), between two Gaussians with the means and covariances of the two sets.

    Zero for equal means and covariances, whatever else differs. Few examples make it too large, so compare only values
    from equally many; its scale is that of the features.

    Args:
        real_features, fake_features: `(N, F)` and `(M, F)`, at least two rows each; the sums are made in float64.

    Raises:
        ValueError: for shapes that do not match, or features that are not finite.

    Source: Heusel et al., GANs trained by a two time-scale update rule, 2017, arXiv 1706.08500.
    """
    real_features, fake_features = _check_features(real_features, fake_features)
    (mean, covariance), (other_mean, other_covariance) = (
        (x.mean(0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])) for x in (real_features, fake_features)
    )
    # tr (Σ Σ')^½ = tr (Σ^½ Σ' Σ^½)^½, and that matrix is symmetric.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp_min(0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * overlap
    return max(0.0, distance.item())


class Neighbors(NamedTuple):
    """Shares from 0 to 1: fakes among the reals, reals among the fakes, reals that have a fake nearby."""

    precision: float
    recall: float
    coverage: float


def neighbors(real_features: Tensor, fake_features: Tensor, k: int = 5, chunk: int = 1000) -> Neighbors:
    """Are the fakes plausible, and is everything there? Answered by balls that reach to the k-th nearest neighbor.

    The ball of a point reaches to its k-th nearest neighbor within its own set.

    - precision: the share of fakes that lie in the ball of some real one. Low: they look wrong.
    - recall: the share of reals that lie in the ball of some fake. Low: something is never made. One far-off fake with
      a huge ball can flatter it.
    - coverage: the share of reals whose own ball holds some fake: no fake can flatter that.

    Args:
        real_features, fake_features: `(N, F)` and `(M, F)` with more than k rows each.
        k: how many neighbors the balls reach.
        chunk: rows compared at a time.

    Raises:
        ValueError: for shapes that do not match, features that are not finite, or too few rows.

    Source: Kynkäänniemi et al., Improved precision and recall metric, 2019, arXiv 1904.06991; coverage: Naeem et al.,
    Reliable fidelity and diversity metrics for generative models, 2020, arXiv 2002.09797.
    """
    real_features, fake_features = _check_features(real_features, fake_features)
    k, chunk = whole("k", k, 0), whole("chunk", chunk)
    fewest = min(len(real_features), len(fake_features))
    if not 1 <= k < fewest:
        raise ValueError(f"k is {k}: expected a whole number from 1 to {fewest - 1}, fewer than there are rows")
    real_radius, fake_radius = (_radius(x, k, chunk) for x in (real_features, fake_features))
    covered, recalled = [], []
    precise = torch.zeros(len(fake_features), dtype=torch.bool, device=fake_features.device)
    for rows, radius in zip(real_features.split(chunk), real_radius.split(chunk), strict=True):
        distance = _distances(rows, fake_features)  # (chunk, M)
        in_real = distance <= radius[:, None]
        precise |= in_real.any(0)
        covered.append(in_real.any(1))
        recalled.append((distance <= fake_radius).any(1))
    return Neighbors(*(share.double().mean().item() for share in (precise, torch.cat(recalled), torch.cat(covered))))


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Of all pairs, `(N, M)`. By differences: squares that are multiplied out lose all digits far from 0."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _radius(x: Tensor, k: int, chunk: int) -> Tensor:
    """Distance of each row to its k-th nearest other row, `(N,)`."""
    # The nearest of all is the row itself.
    return torch.cat([_distances(rows, x).kthvalue(k + 1, dim=1).values for rows in x.split(chunk)])


def _check_features(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets in float64, or an error that says what to do."""
    tensor("real_features", real), tensor("fake_features", fake)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or min(len(real), len(fake)) < 2:
        raise ValueError(
            f"the features have shapes {tuple(real.shape)} and {tuple(fake.shape)}:"
            " expected (N, F) and (M, F) with at least two rows each; flatten images first"
        )
    if not real.shape[1]:
        raise ValueError(f"the features have shape {tuple(real.shape)}: expected (N, F) with F > 0")
    return tuple(numbers(name, x.detach()).double() for name, x in (("real_features", real), ("fake_features", fake)))
