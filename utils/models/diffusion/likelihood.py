"""Exact likelihood along the probability flow: what a point is worth is what its noise is worth, and the divergence."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from utils.models.diffusion.solvers import Velocity, solve
from utils.validation import whole


def divergence(
    f: Velocity, x: Tensor, t: float, *, n_samples: int = 0, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """f(x, t), and Σ_i ∂f_i / ∂x_i `(B,)`.

    Exactly, by one gradient for each coordinate; or with `n_samples` > 0 by Hutchinson's estimate, the mean of zᵀ J z
    over vectors z of random signs, one gradient each.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        v = f(x, t)
        flat, total = v.flatten(1), torch.zeros(len(x), dtype=x.dtype, device=x.device)
        probes = signs(x, whole("n_samples", n_samples), generator) if n_samples else ()
        for i in range(0 if n_samples else flat.shape[1]):
            (gradient,) = torch.autograd.grad(flat[:, i].sum(), x, retain_graph=True)
            total = total + gradient.flatten(1)[:, i]
        for z in probes:
            (gradient,) = torch.autograd.grad((v * z).sum(), x, retain_graph=True)
            total = total + (gradient * z).flatten(1).sum(1) / n_samples
    return v.detach(), total.detach()


def signs(x: Tensor, n: int, generator: Generator | None = None) -> Tensor:
    """`n` tensors in the shape of x, each number +1 or −1 with equal chance."""
    drawn = torch.randint(0, 2, (n, *x.shape), generator=generator, device=x.device)
    return (2 * drawn - 1).to(x.dtype)


def flow_log_prob(
    f: Velocity,
    x: Tensor,
    times: Tensor,
    method: str = "rk4",
    *,
    scale: float = 1.0,
    n_samples: int = 0,
    generator: Generator | None = None,
) -> Tensor:
    """log p(x) = log N(x_1; 0, scale² I) + ∫ div f dt along the way from x = x_0 to x_1, `(B,)`, in nats.

    The only error is that of the solver, which can make it too high as well as too low.

    Args:
        f: (x, t) → dx/dt, such as `field.velocity`.
        times: from that of the data to that of the noise, such as `schedule.times(32, 0, 1)`.
        n_samples: 0 for the exact divergence, else the draws of Hutchinson's estimate at each evaluation.

    Source: Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations, 2018, arXiv 1806.07366;
    Grathwohl et al., FFJORD, 2018, arXiv 1810.01367.
    """

    def both(state: Tensor, t: float) -> Tensor:
        v, trace = divergence(f, state[:, :-1].reshape(x.shape), t, n_samples=n_samples, generator=generator)
        return torch.cat([v.flatten(1), trace[:, None]], 1)

    state = solve(both, torch.cat([x.detach().flatten(1), x.new_zeros(len(x), 1)], 1), times, method)
    z, integral = state[:, :-1] / scale, state[:, -1]
    return integral - 0.5 * z.square().sum(1) - z.shape[1] * (math.log(scale) + 0.5 * math.log(2 * math.pi))
