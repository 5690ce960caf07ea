"""Densities, Jacobians and wrong shapes: what the checks of chapter 10 share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from utils.checks.expect import Mistake

LOG_2_PI = math.log(2 * math.pi)


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I) over the last axis."""
    return -0.5 * (z.square() + LOG_2_PI).sum(-1)


def jacobian_log_det(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log |det df/dx| of each row, by the Jacobian that autograd finds."""
    rows = [torch.autograd.functional.jacobian(lambda row: f(row[None])[0], row) for row in x]
    return torch.stack(rows).flatten(2).flatten(0, 0).slogdet().logabsdet


def summed_too_far(dim: int) -> list[Mistake]:
    """Shapes of a log-determinant that was not summed, or summed too far."""
    return [
        Mistake((), "one number for all points", "Sum over the coordinates only: each point has its own."),
        Mistake((dim,), "you sum over the points", "Sum over the coordinates: `.sum(-1)`."),
    ]


def not_summed(*shape: int) -> Mistake:
    return Mistake(shape, "it is not summed over the coordinates", "The logs of the diagonal of the Jacobian add up.")
