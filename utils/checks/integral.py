"""Does a density integrate to 1? Checks that are given a density without its formula ask so."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from utils.checks.verdicts import Wrong

HALF_WIDTH = 4.0


def points_of_square(generator: Generator, cells: int) -> Tensor:
    """One random point in each of cells × cells cells of a square: a mean over them is unbiased, however narrow the
    components of a density are. Rounded to float32, as data are, so that nothing tells them from data."""
    side = 2 * HALF_WIDTH / cells
    corner = torch.arange(cells, dtype=torch.float64) * side - HALF_WIDTH
    corners = torch.cartesian_prod(corner, corner)
    points = corners + side * torch.rand(corners.shape, generator=generator, dtype=torch.float64)
    return points.float().double()


def of_density(log_prob: Tensor, hint: str) -> float:
    """The integral of a density over the plane from its logarithm at `points_of_square`, if it is about 1."""
    mass = log_prob.exp().mean().item() * (2 * HALF_WIDTH) ** 2
    if not 0.9 < mass < 1.1:
        raise Wrong(f"This is no density: over the plane it integrates to {mass:.3g}, not to 1.", hint)
    return mass
