"""Random inputs for the checks, in float64 and from the generator that is given."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def uniform(generator: Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def between(generator: Generator, low: float, high: float) -> float:
    return low + (high - low) * uniform(generator).item()


def bits(generator: Generator, *shape: int) -> Tensor:
    return (uniform(generator, *shape) < 0.5).double()


def weights(generator: Generator, *shape: int) -> Tensor:
    """Probabilities over the last axis."""
    return (1.5 * normal(generator, *shape)).softmax(-1)


def unequal_probabilities(generator: Generator, n: int) -> Tensor:
    """Probabilities, all different, none of them tiny."""
    return (0.5 + uniform(generator, n) + torch.arange(n)).log().softmax(0)


def covariances(generator: Generator, *shape: int, dim: int, least: float = 0.3) -> Tensor:
    """Full covariance matrices, (*shape, dim, dim), with no variance below `least`."""
    a = normal(generator, *shape, dim, dim)
    return a @ a.mT / dim + least * torch.eye(dim, dtype=torch.float64)


def order(generator: Generator, n: int) -> Tensor:
    """An order in which mistakes show: neither sorted nor reversed, and not its own inverse."""
    while True:
        found = torch.randperm(n, generator=generator)
        if found[0] != 0 and found[0] != n - 1 and not torch.equal(found.argsort(), found):
            return found


def away_from_zero(generator: Generator, *shape: int) -> Tensor:
    """Numbers of either sign between ½ and 1½ in size, both signs present: no mistake is hidden by a number near 0."""
    value = 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)
    sign = 1 - 2 * (torch.arange(value.numel()) % 2).double()
    return value * sign[torch.randperm(value.numel(), generator=generator)].reshape(shape)
