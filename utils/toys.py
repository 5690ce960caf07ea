"""Five two-dimensional distributions to look at: the truth is known, and a model's mistakes can be seen.

Each function draws `n` independent points and returns `(x, y)`: points `(n, 2)` in float32 and the number of the part
each belongs to, `(n,)` in int64. All parts are equally likely. Each distribution has mean 0, and its two variances have
mean 1: that is true of the distribution, not of one sample, so a density stays the same whatever `n` is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.validation import whole

# The standard deviation of the noise on each coordinate, in the final units.
RINGS_NOISE = 0.06
MOONS_NOISE = 0.1
SPIRALS_NOISE = 0.06
GAUSSIANS_NOISE = 0.12


def _uniform(n: int, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator, dtype=torch.float64)


def _noise(n: int, scale: float, generator: Generator) -> Tensor:
    return scale * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def _parts(n: int, count: int, generator: Generator) -> Tensor:
    n = whole("n", n, 0)
    return torch.randint(count, (n,), generator=generator)


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)


def moons(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles, as in scikit-learn's `make_moons`, with Gaussian noise.

    The upper moon is `(cos t, sin t)`, the lower one `(1 − cos t, ½ − sin t)` with `t ~ U(0, π)`; both are centered
    and scaled by one factor, so the circles stay circles.
    """
    # Mean (1/2, 1/4); variances 3/4 and 9/16 − 1/π, by integrating over t.
    variance = (3 / 4 + 9 / 16 - 1 / math.pi) / 2
    y = _parts(n, 2, generator)
    t = math.pi * _uniform(n, generator)
    upper = _polar(torch.ones_like(t), t)
    lower = torch.tensor([1.0, 0.5], dtype=torch.float64) - upper
    x = torch.where(y[:, None] == 0, upper, lower) - torch.tensor([0.5, 0.25], dtype=torch.float64)
    x = x * math.sqrt((1 - MOONS_NOISE**2) / variance)
    return (x + _noise(n, MOONS_NOISE, generator)).float(), y


def rings(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Three circles around the origin with radii 1 : 2 : 3, and Gaussian noise."""
    # A circle of radius r has variance r²/2 a coordinate; the mean of 1, 4, 9 is 14/3.
    unit = math.sqrt((1 - RINGS_NOISE**2) * 3 / 7)
    y = _parts(n, 3, generator)
    x = _polar(unit * (1 + y.double()), 2 * math.pi * _uniform(n, generator))
    return (x + _noise(n, RINGS_NOISE, generator)).float(), y


def spirals(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two arms of an Archimedean spiral, 1½ turns each, the second the first one turned by half a turn, and noise.

    The radius grows with the angle, `r = R √u` with `u ~ U(0, 1)`: the arms are about equally dense along their length.
    """
    # E r² = R²/2, so the mean variance of the two coordinates is R²/4.
    outer = 2 * math.sqrt(1 - SPIRALS_NOISE**2)
    y = _parts(n, 2, generator)
    t = _uniform(n, generator).sqrt()
    x = _polar(outer * t, 3 * math.pi * t + math.pi * y)
    return (x + _noise(n, SPIRALS_NOISE, generator)).float(), y


def checkerboard(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """The eight dark squares of a 4 × 4 board, uniformly filled.

    The board is `[−√3, √3]²`, so the density is 1/6 on the dark squares and 0 elsewhere, and the entropy is
    `log 6 = 1.7918` nats.
    """
    y = _parts(n, 8, generator)
    row = y // 2
    column = 2 * (y % 2) + row % 2
    corner = torch.stack([column, row], dim=-1)
    inside = torch.stack([_uniform(n, generator), _uniform(n, generator)], dim=-1)
    side = math.sqrt(3) / 2
    return (side * (corner + inside - 2)).float(), y


def gaussians(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Eight round Gaussians on a circle: component `k` has mean `R (cos kπ/4, sin kπ/4)` and covariance `σ² I`.

    `σ = GAUSSIANS_NOISE` and `R = √(2 (1 − σ²))`; the weights are 1/8 each.
    """
    radius = math.sqrt(2 * (1 - GAUSSIANS_NOISE**2))
    y = _parts(n, 8, generator)
    x = _polar(torch.full((n,), radius, dtype=torch.float64), y * math.pi / 4)
    return (x + _noise(n, GAUSSIANS_NOISE, generator)).float(), y


TOYS: dict[str, Callable[[int, Generator], tuple[Tensor, Tensor]]] = {
    "moons": moons,
    "rings": rings,
    "spirals": spirals,
    "checkerboard": checkerboard,
    "gaussians": gaussians,
}
CLASSES = {
    "moons": ("upper", "lower"),
    "rings": ("inner", "middle", "outer"),
    "spirals": ("first", "second"),
    "checkerboard": tuple(f"square {k}" for k in range(8)),
    "gaussians": tuple(f"component {k}" for k in range(8)),
}
