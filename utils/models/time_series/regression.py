"""A linear autoregression as a regression on the past: its rows, and the order that it should have."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from utils.validation import whole


def aic_by_order(x: Tensor, max_order: int, features: Tensor | None = None) -> dict[int, float]:
    """AIC of the conditional fit for each order 0 … max_order, all on the values that the longest one can explain.

    Only then do the numbers compare: each order has the same values to explain. The smallest AIC names the order.
    """
    x, features = series(x), known_features(features, len(x))
    max_order = whole("max_order", max_order, 0)
    rows, y, complete = regression(x, features, max_order)
    rows, y, d = rows[complete], y[complete], 1 + features.shape[1]
    if len(y) <= rows.shape[1]:
        raise ValueError(f"max_order is {max_order}: only {len(y)} values have so many predecessors; lower it")
    aic = {}
    for p in range(max_order + 1):
        some = rows[:, : d + p]
        residual = y - (some @ torch.linalg.lstsq(some, y[:, None], driver="gelsd").solution)[:, 0]
        aic[p] = len(y) * (math.log(2 * math.pi * residual.square().mean()) + 1) + 2 * (d + p + 1)
    return aic


def regression(x: Tensor, features: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (1, f_t, x_{t−1}, …, x_{t−p}), what follows them, and whether nothing of it is missing; t = p … T − 1."""
    n = len(x) - order
    lags = [x[order - i : len(x) - i, None] for i in range(1, order + 1)]
    rows = torch.cat([x.new_ones(n, 1), features[order:], *lags], dim=1)
    return rows, x[order:], ~(rows.isnan().any(1) | x[order:].isnan())


def series(x: Tensor) -> Tensor:
    """One series in float64, or an error that says what is wrong with it."""
    if not isinstance(x, Tensor):
        raise TypeError(f"the series is of type {type(x).__name__}: expected a torch.Tensor")
    if x.ndim != 1 or not len(x) or x.isinf().any():
        what = "finite values (T,) with T > 0, and NaN where missing"
        raise ValueError(f"the series has shape {tuple(x.shape)}: expected {what}")
    return x.double()


def known_features(features: Tensor | None, length: int) -> Tensor:
    """Features `(T, D)` in float64, none where they are not given."""
    if features is None:
        return torch.zeros(length, 0, dtype=torch.float64)
    if features.ndim != 2 or len(features) != length or not features.isfinite().all():
        raise ValueError(f"features have shape {tuple(features.shape)}: expected ({length}, D), all finite")
    return features.double()
