"""A linear autoregression as a regression on the past: its rows, and the order that it should have."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from utils.validation import numbers, whole

# What is left of a series that its past tells exactly: rounding, this share of its standard deviation, or less.
ROUNDING = 1e-13
CONSTANT = "the past tells each value of x exactly, so no noise is left to fit: x may be constant"


def aic_by_order(x: Tensor, max_order: int, features: Tensor | None = None) -> dict[int, float]:
    """AIC of the conditional fit for each order 0 … max_order, all on the values that the longest one can explain.

    Only then do the numbers compare: each order has the same values to explain. The smallest AIC names the order.
    """
    x, features = series(x), known_features(features, len(x))
    max_order = whole("max_order", max_order, 0)
    z, _, scale = standardized(x)
    rows, y, complete = regression(z, standardized_columns(features)[0], max_order)
    rows, y, d = rows[complete], y[complete], 1 + features.shape[1]
    if len(y) <= rows.shape[1]:
        raise ValueError(f"max_order is {max_order}: only {len(y)} values have so many predecessors; lower it")
    aic = {}
    for p in range(max_order + 1):
        variance = scale.square() * least_squares(rows[:, : d + p], y)[1]
        aic[p] = len(y) * (math.log(2 * math.pi * variance) + 1) + 2 * (d + p + 1)
    return aic


def fit_conditional(x: Tensor, features: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Least squares: c, w `(D,)`, φ `(p,)`, σ², and the number of values that they are of.

    It is made in units of the series' own mean and spread: however far the series is from 0, no digits are lost.
    """
    z, center, scale = standardized(x)
    units, centers, scales = standardized_columns(features)
    rows, y, complete = regression(z, units, order)
    n, d = int(complete.sum()), 1 + features.shape[1]
    if n <= rows.shape[1]:
        raise ValueError(
            f"only {n} values have all their {order} predecessors, for {rows.shape[1]} coefficients: lower the order or"
            " give a longer series"
        )
    solution, variance = least_squares(rows[complete], y[complete])
    weights, coefficients = scale * solution[1:d] / scales, solution[d:]
    intercept = scale * solution[0] + center * (1 - coefficients.sum()) - centers @ weights
    return intercept, weights, coefficients, scale.square() * variance, n


def least_squares(rows: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The coefficients, and the mean square of what they leave of y, whose spread is about 1."""
    solution = torch.linalg.lstsq(rows, y[:, None], driver="gelsd").solution[:, 0]
    variance = (y - rows @ solution).square().mean()
    if not variance > ROUNDING**2:
        raise ValueError(CONSTANT)
    return solution, variance


def standardized(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(x − mean) / standard deviation of the known values, and these two.

    Raises:
        ValueError: for a constant, or a spread that float64 cannot hold.
    """
    known = x[~x.isnan()]
    if len(known) < 2:
        return x, x.new_zeros(()), x.new_ones(())
    center, scale = known.mean(), known.std()
    if not (known.max() > known.min() and 0 < scale < math.inf):  # the computed deviation of a constant need not be 0
        raise ValueError(CONSTANT)
    return (x - center) / scale, center, scale


def standardized_columns(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each column about its mean, in units of its largest distance from it."""
    centers = features.mean(0)
    scales = (features - centers).abs().amax(0)
    scales = torch.where(scales > 0, scales, 1.0)
    return (features - centers) / scales, centers, scales


def regression(x: Tensor, features: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (1, f_t, x_{t−1}, …, x_{t−p}), what follows them, and whether nothing of it is missing; t = p … T − 1."""
    n = max(0, len(x) - order)  # a series of p values or fewer has no row
    lags = [x[order - i : order - i + n, None] for i in range(1, order + 1)]
    rows = torch.cat([x.new_ones(n, 1), features[order:], *lags], dim=1)
    return rows, x[order:], ~(rows.isnan().any(1) | x[order:].isnan())


def series(x: Tensor) -> Tensor:
    """One series in float64, or an error that says what is wrong with it."""
    x = numbers("x", x, missing=True).detach()
    if x.ndim != 1 or not len(x):
        what = "finite values (T,) with T > 0, and NaN where missing"
        raise ValueError(f"the series has shape {tuple(x.shape)}: expected {what}")
    return x.double()


def known_features(features: Tensor | None, length: int) -> Tensor:
    """Features `(T, D)` in float64, none where they are not given."""
    if features is None:
        return torch.zeros(length, 0, dtype=torch.float64)
    features = numbers("features", features).detach()
    if features.ndim != 2 or len(features) != length:
        raise ValueError(f"features have shape {tuple(features.shape)}: expected ({length}, D), all finite")
    return features.double()
