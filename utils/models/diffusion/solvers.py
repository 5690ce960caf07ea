"""The way back, from noise to data: along the probability flow, by a chain of Gaussians, or by a stochastic equation.

All walk down a list of times, such as `schedule.times(20)`: from the first to the last.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.models.diffusion.fields import Field

Velocity = Callable[[Tensor, float], Tensor]


class Counted:
    """A function that counts its calls: the cost of a sampler is the number of times that it asks the network."""

    def __init__(self, function: Callable):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


# --- one step of an ordinary differential equation dx/dt = f(x, t), from time t to time s ---


def euler(f: Velocity, x: Tensor, t: float, s: float) -> Tensor:
    """Go on as you go now. Error of the whole way: O(h) for steps of length h."""
    return x + (s - t) * f(x, t)


def heun(f: Velocity, x: Tensor, t: float, s: float) -> Tensor:
    """The mean of the velocities here and at the end of Euler's step. O(h²)."""
    here = f(x, t)
    return x + (s - t) / 2 * (here + f(x + (s - t) * here, s))


def rk4(f: Velocity, x: Tensor, t: float, s: float) -> Tensor:
    """The classic method of Runge and Kutta: four velocities, one at each end and two in the middle. O(h⁴)."""
    h, middle = s - t, (s + t) / 2
    a = f(x, t)
    b = f(x + h / 2 * a, middle)
    c = f(x + h / 2 * b, middle)
    d = f(x + h * c, s)
    return x + h / 6 * (a + 2 * b + 2 * c + d)


STEPS = {"euler": euler, "heun": heun, "rk4": rk4}
EVALUATIONS = {"euler": 1, "heun": 2, "rk4": 4}  # of f, in one step


def solve(f: Velocity, x: Tensor, times: Tensor, method: str = "euler", path: list[Tensor] | None = None) -> Tensor:
    """Follow dx/dt = f(x, t) from x at the first of the times to the last.

    Args:
        f: (x, t) → dx/dt, such as `field.velocity`.
        x: where to start, of any shape.
        times: `(steps + 1,)`, rising or falling.
        method: "euler", "heun" or "rk4"; a step costs 1, 2 or 4 evaluations of f.
        path: a list to which x is added after each step.
    """
    if method not in STEPS:
        raise ValueError(f"method is {method!r}: expected one of {', '.join(STEPS)}")
    for t, s in _steps(times):
        x = STEPS[method](f, x, t, s)
        if path is not None:
            path.append(x)
    return x


# --- samplers that know how the noise was mixed in; each step asks the field once ---


def reverse_chain(
    field: Field,
    x: Tensor,
    times: Tensor,
    *given,
    eta: float = 0.0,
    generator: Generator | None = None,
    path: list[Tensor] | None = None,
) -> Tensor:
    """x_s = α_s x̂_0 + √(σ_s² − ς²) ε̂ + ς z, with ς² = η² (σ_s² / σ_t²) (σ_t² − σ_s² α_t² / α_s²), z ~ N(0, I).

    η = 1 is DDPM's ancestral sampling: q(x_s | x_t, x_0), the exact way back for known x_0, with x̂_0 in its place.
    η = 0 is DDIM: no noise is added, and it solves the probability flow to first order.

    Args:
        given: further arguments of the field, such as labels.
        path: a list to which x is added after each step.

    Source: Song, Meng and Ermon, Denoising diffusion implicit models, 2020, arXiv 2010.02502, equations 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}: expected 0 (DDIM) to 1 (DDPM)")
    for t, s in _steps(times):
        parts = field.estimate(x, t, *given)
        now, then = field.schedule.at(t, x), field.schedule.at(s, x)
        fresh = now.sigma.square() - (now.alpha / then.alpha * then.sigma).square()  # the noise of the step s → t
        added = eta * then.sigma / now.sigma * fresh.clamp_min(0).sqrt()
        kept = (then.sigma.square() - added.square()).clamp_min(0).sqrt()
        x = then.alpha * parts.data + kept * parts.noise
        if eta:
            x = x + added * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        if path is not None:
            path.append(x)
    return x


def reverse_sde(
    field: Field, x: Tensor, times: Tensor, *given, level: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Euler–Maruyama for dx = (v − λ² ½ g² ∇ log p_t) dt + λ g dW, walked from noise to data.

    Its marginals are those of the probability flow for any λ = `level` ≥ 0: what the noise spreads, the score pulls
    together. λ = 0 is the flow itself, λ = 1 the forward chain in reverse. With a cosine or straight schedule begin
    below t = 1, for g is infinite there.

    Source: Anderson, Reverse-time diffusion equation models, 1982; Song et al., 2020, arXiv 2011.13456.
    """
    for t, s in _steps(times):
        parts, c, h = field.estimate(x, t, *given), field.schedule.at(t, x), t - s
        spread = level**2 * c.spread
        x = x - h * (c.velocity(parts) + spread * parts.noise / c.sigma)
        x = x + (2 * h * spread).sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x


def _steps(times: Tensor) -> list[tuple[float, float]]:
    times = torch.as_tensor(times).tolist()
    if len(times) < 2:
        raise ValueError(f"times are {times}: expected at least two")
    return list(itertools.pairwise(times))
