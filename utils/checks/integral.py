"""Does a density integrate to 1? Checks that are given a density without its formula ask so."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator

from utils.checks.engine import Wrong


def over_square(log_prob: Callable, generator: Generator, half_width: float = 4.0, cells: int = 300) -> float:
    """∫ p(x) dx over a square, one random point in each cell: unbiased, however narrow the components are."""
    side = 2 * half_width / cells
    corner = torch.arange(cells, dtype=torch.float64) * side - half_width
    corners = torch.cartesian_prod(corner, corner)
    points = corners + side * torch.rand(corners.shape, generator=generator, dtype=torch.float64)
    return sum(log_prob(part).exp().sum().item() for part in points.split(5000)) * side**2


def of_density(log_prob: Callable, generator: Generator, hint: str, cells: int = 300) -> float:
    """The integral of a student's density over the plane, if it is about 1."""
    mass = over_square(log_prob, generator, cells=cells)
    if not 0.9 < mass < 1.1:
        raise Wrong(f"This is no density: over the plane it integrates to {mass:.3g}, not to 1.", hint)
    return mass
