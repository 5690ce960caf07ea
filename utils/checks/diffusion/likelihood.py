"""Checks of chapter 15: divergences, and exact likelihoods along the ODE."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, repeatable, tensor

LOG_2_PI = math.log(2 * math.pi)


def _rows(x: Tensor, dim: int) -> Tensor:
    if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != dim:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise Wrong(f"The field got {shape}, expected points (B, {dim}).", "Give it rows.")
    return x


def _jacobians(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(B, D, D), entry [b, i, j] is ∂f_i / ∂x_j."""
    return torch.stack([torch.autograd.functional.jacobian(lambda row: f(row[None])[0], row) for row in x])


@exercise("diffusion.divergence", call="divergence(f, x, probes)")
def divergence(answer: Callable, generator: Generator) -> None:
    samples, batch, dim = 4, 5, 3
    matrix = draw.normal(generator, dim, dim)
    x, probes = draw.away_from_zero(generator, batch, dim), 1.7 * draw.away_from_zero(generator, samples, batch, dim)

    def f(x: Tensor) -> Tensor:
        return torch.tanh(_rows(x, dim) @ matrix) + 0.3 * x.square()

    jacobian, y = _jacobians(f, x), f(x)
    along = torch.einsum("sbi,bij->sbj", probes, jacobian)  # zᵀ J
    each = (along * probes).sum(2)
    trace = jacobian.diagonal(dim1=1, dim2=2)
    value = tensor(
        repeatable(answer, f, x, probes, hint="Use the probes that are given."),
        (batch,),
        name="your divergence",
        shapes=[
            Mistake((), "one number for all rows", "Each row has its own divergence."),
            Mistake((samples, batch), "one number for each probe", "Average over the probes: the first axis."),
            Mistake((samples,), "you sum over the rows", "Sum over the features, average over the probes."),
            Mistake((batch, dim), "it is not summed over the features", "zᵀ J z is a sum over the features."),
            Mistake(
                (samples, batch, dim), "neither summed nor averaged", "Sum over the features, average over probes."
            ),
        ],
    )
    product = "zᵀ J comes from `torch.autograd.grad(y, x, z)`; multiply it with z again and sum over the features."
    close(
        value,
        each.mean(0),
        [
            Mistake(each.sum(0), "You sum over the probes; take the mean.", product),
            Mistake(along.sum(2).mean(0), "The second z is missing: this is the sum of zᵀ J.", product),
            Mistake(each.mean(0) / dim, "You average over the features; zᵀ J z is a sum.", product),
            Mistake(each[0], "You use the first probe alone.", "All of them: a mean over the first axis."),
            Mistake(each[-1], "You use the last probe alone.", "Collect the values of all probes."),
            Mistake(
                trace.sum(1), "This is the exact trace: the probes are not used.", "One backward pass for each probe."
            ),
            Mistake(
                (trace * probes.square()).sum(2).mean(0),
                "Only the diagonal of the Jacobian counts in your sum; zᵀ J z has all entries.",
                product,
            ),
            Mistake(
                (y * probes).sum(2).mean(0), "You multiply f itself with z: there is no derivative in it.", product
            ),
            Mistake((along * y).sum(2).mean(0), "You multiply zᵀ J with f, not with z.", product),
            Mistake((along * x).sum(2).mean(0), "You multiply zᵀ J with x, not with z.", product),
            Mistake(along.square().sum(2).mean(0), "You square zᵀ J; multiply it with z.", product),
            Mistake(
                torch.einsum("bi,bij,bj->b", probes.mean(0), jacobian, probes.mean(0)),
                "You average the probes first; average the values.",
                product,
            ),
            Mistake(
                torch.einsum("bij,sbj->sbi", jacobian.sum(1, keepdim=True).expand(-1, dim, -1), probes).mean((0, 2)),
                "You differentiate the sum of all outputs: the first z is missing.",
                product,
            ),
            Mistake(
                each.mean(0) / probes.square().sum(2).mean(0) * dim,
                "You divide by the length of the probes.",
                "The mean of zᵀ J z, as it is.",
            ),
            Mistake(
                (each / probes.square().sum(2)).mean(0),
                "You divide by the length of the probes.",
                "The mean of zᵀ J z, as it is.",
            ),
            Mistake(-each.mean(0), "The sign is wrong.", product),
        ],
        name="your divergence",
        hint=product,
    )


@exercise("diffusion.log_likelihood", call="log_likelihood(velocity, x, times)")
def log_likelihood(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 3
    matrix = 0.6 * draw.normal(generator, dim, dim)
    x = draw.away_from_zero(generator, batch, dim)

    def velocity(x: Tensor, t: float) -> Tensor:
        t = float(t)
        if not -1e-9 <= t <= 1 + 1e-9:
            raise Wrong(f"You ask for the velocity at t = {t:.3g}; the times run from 0 to 1.", "Follow `times`.")
        return torch.tanh(_rows(x, dim) @ matrix) * (0.5 + t) + (0.4 - t) * x

    def spread(x: Tensor, t: float) -> Tensor:
        slope = 1 - torch.tanh(x @ matrix).square()
        return (0.5 + t) * (slope * matrix.diagonal()).sum(1) + dim * (0.4 - t)

    for name, inner in (
        ("your log p", torch.tensor([0.13, 0.31, 0.78], dtype=torch.float64)),
        ("your log p with a single step", torch.tensor([], dtype=torch.float64)),
    ):
        ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
        times = torch.cat([ends[:1], inner, ends[1:]])
        end, total, along = _walk(velocity, spread, x, times)
        base = _log_normal(end)
        value = tensor(
            repeatable(answer, velocity, x, times),
            (batch,),
            name=name,
            shapes=[
                Mistake((), "one number for all rows", "Each row has its own: sum over the features alone."),
                Mistake((batch, dim), "it is not summed over the features", "Sum log N and the divergence over them."),
            ],
        )
        back_end, back_total, _ = _walk(velocity, spread, x, times.flip(0))
        even = torch.linspace(0, 1, len(times), dtype=torch.float64)
        even_end, even_total, _ = _walk(velocity, spread, x, even)
        euler_end, euler_total, euler_along = _walk(velocity, spread, x, times, euler=True)
        twice_end, twice_total, _ = _walk(velocity, spread, x, times, step=2.0)
        truth = base + total
        meaning = "log p_0(x_0) = log N(x_1; 0, I) + ∫ div v dt, from t = 0 to t = 1."
        both = "In each step: the mean of two slopes for x, and of the divergences at the same two places."
        mistakes = [
            Mistake(
                base - total, "The divergence has the wrong sign.", f"Where points come apart, they are thin. {meaning}"
            ),
            Mistake(base, "The divergence is missing: this is log p of the end point.", meaning),
            Mistake(total, "log N(x_1; 0, I) is missing: this is the integral alone.", meaning),
            Mistake(_log_normal(x) + total, "The normal density is taken at x_0; it belongs to the end, x_1.", meaning),
            Mistake(euler_total + _log_normal(euler_end), "These are Euler's steps, not Heun's.", both),
            Mistake(
                base + along["first"].sum(0),
                "The divergence is taken at the beginning of each step alone.",
                both,
            ),
            Mistake(base + along["second"].sum(0), "The divergence is taken at the end of each step alone.", both),
            Mistake(
                base + along["here"].sum(0),
                "The second divergence is taken at time t; it belongs to the end of the step.",
                both,
            ),
            Mistake(
                base + along["still"].sum(0),
                "The second divergence is taken at the old x; it belongs where Euler's step ends.",
                both,
            ),
            Mistake(
                base + along["corrected"].sum(0),
                "The second divergence is taken after the corrected step; it belongs where Euler's step ends.",
                both,
            ),
            Mistake(_log_normal(x) + along["never_moved"].sum(0), "x never moves: put the end of each step in.", both),
            Mistake(base + along["second"].sum(0) / 2, "The first divergence is missing in the mean.", both),
            Mistake(base + along["first"].sum(0) / 2, "The second divergence is missing in the mean.", both),
            Mistake(_log_normal(twice_end) + twice_total, "The slopes of x are added; take their mean.", both),
            Mistake(_log_normal(euler_end) + total, "x takes Euler's steps; the divergence Heun's.", both),
            Mistake(
                _log_normal(euler_end) + euler_along["mean"].sum(0),
                "x takes Euler's steps; the divergence Heun's.",
                both,
            ),
            Mistake(_midpoint(velocity, spread, x, times), "This is the midpoint method, not Heun's.", both),
            Mistake(base + 2 * total, "The divergences are added; take their mean.", both),
            Mistake(
                base + (along["total"] / times.diff()[:, None]).sum(0),
                "The divergences are added without the length of the steps.",
                "∫ … dt: multiply with t_{i+1} − t_i.",
            ),
            Mistake(base + total / dim, "You average the divergence over the features; it is a sum.", meaning),
            Mistake(base / dim + total, "log N is averaged over the features; it is a sum.", meaning),
            Mistake(base + total.sum(), "You add the divergences of all rows; each row has its own.", meaning),
            Mistake(base + total.mean(), "All rows get the mean divergence; each has its own.", meaning),
            Mistake(base + along["total"][-1], "Only the last step is in your integral: add them up.", meaning),
            Mistake(base + along["total"][0], "Only the first step is in your integral: add them up.", meaning),
            Mistake(
                even_total + _log_normal(even_end),
                "Your steps are of equal length; the given times are not.",
                "t_{i+1} − t_i for each step.",
            ),
            Mistake(
                back_total + _log_normal(back_end),
                "You walk from t = 1 to t = 0; the data point is at t = 0.",
                "From the data to the noise: `times` as they are.",
            ),
            Mistake(
                _log_normal(back_end) - back_total,
                "You walk from t = 1 to t = 0; the data point is at t = 0.",
                "From the data to the noise: `times` as they are.",
            ),
            Mistake(truth + dim / 2 * LOG_2_PI, "The constant is missing: −D/2 · log 2π.", "A normal density."),
            Mistake(
                truth + (dim - 1) / 2 * LOG_2_PI,
                "The constant lacks the dimension: −D/2 · log 2π, not −½ log 2π.",
                f"D = {dim} here.",
            ),
            Mistake(truth - 0.5 * end.square().sum(1), "The square lacks its ½.", "log N(z; 0, I)."),
            Mistake(-truth, "The sign is wrong: this is −log p(x).", "`log_prob` is higher where x is more likely."),
            Mistake(truth.exp(), "This is the density, not its logarithm.", "Stay in logarithms."),
            Mistake(truth / math.log(2), "This is in bits; nats are asked for.", "Natural logarithms."),
            Mistake(
                base + along["one_output"].sum(0),
                "You sum all entries of the Jacobian; the divergence is its diagonal.",
                "∂v_d / ∂x_d: the d-th entry of the gradient of the d-th output.",
            ),
        ]
        told = [one for one in mistakes if not torch.allclose(one.value, truth)]
        close(value, truth, told, name=name, hint=f"{meaning} {both}")


def _log_normal(x: Tensor) -> Tensor:
    return -0.5 * (x.square() + LOG_2_PI).sum(1)


def _midpoint(velocity: Callable, spread: Callable, x: Tensor, times: Tensor) -> Tensor:
    total = torch.zeros(len(x), dtype=x.dtype)
    for t, later in pairwise(times.tolist()):
        h, middle = later - t, (t + later) / 2
        half = x + h / 2 * velocity(x, t)
        x, total = x + h * velocity(half, middle), total + h * spread(half, middle)
    return _log_normal(x) + total


def _walk(
    velocity: Callable, spread: Callable, x: Tensor, times: Tensor, euler: bool = False, step: float = 1.0
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """The end point, the integral of the divergence, and its steps, taken rightly and in other ways."""
    rows: dict[str, list[Tensor]] = {}
    begin = x
    for t, later in pairwise(times.tolist()):
        h, start = later - t, x
        first = velocity(start, t)
        moved = start + h * first
        x = moved if euler else start + step * h * (first + velocity(moved, later)) / 2
        here, there = spread(start, t), spread(moved, later)
        sums = [_jacobians(lambda x, t=t: velocity(x, t), start), _jacobians(lambda x, t=later: velocity(x, t), moved)]
        for key, value in {
            "total": here if euler else (here + there) / 2,
            "mean": (here + there) / 2,
            "first": here,
            "second": there,
            "here": (here + spread(moved, t)) / 2,
            "still": (here + spread(start, later)) / 2,
            "corrected": (here + spread(x, later)) / 2,
            "never_moved": (spread(begin, t) + spread(begin + h * velocity(begin, t), later)) / 2,
            "one_output": (sums[0] + sums[1]).sum((1, 2)) / 2,
        }.items():
            rows.setdefault(key, []).append(h * value)
    along = {key: torch.stack(values) for key, values in rows.items()}
    return x, along["total"].sum(0), along
