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
