"""Checks of chapter 10: densities by change of variables, chains, samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.normalizing_flows._densities import LOG_2_PI, jacobian_log_det, log_standard_normal
from utils.checks.variations import of_steps, of_terms
from utils.checks.verdicts import Wrong


@exercise("flow.log_prob_1d", call="log_prob_1d(f, x)")
def log_prob_1d(answer: Callable, generator: Generator) -> None:
    a, b, c = (0.5 + torch.rand(3, generator=generator, dtype=torch.float64)).tolist()
    x = draw.normal(generator, 6)

    def rising(x: Tensor) -> Tensor:
        return a * x**3 + b * x + c

    z, slope = rising(x), 3 * a * x.square() + b
    base = -0.5 * z.square() - 0.5 * LOG_2_PI
    truth = base + slope.log()
    value = tensor(answer(rising, x), (6,), shapes=[Mistake((), "one number", "Each x has its own density.")])
    close(
        value,
        truth,
        [
            Mistake(
                base - slope.log(),
                "The log-determinant has the wrong sign.",
                "Where f is steep, a small piece of x fills a large piece of z: its density is high.",
            ),
            Mistake(base, "The log-determinant is missing: this is the density of z.", "Add log |f′(x)|."),
            Mistake(base + slope, "You add the slope, not its logarithm.", "Add log |f′(x)|."),
            Mistake(
                base * slope, "You multiply a logarithm with the slope.", "A product of densities is a sum of logs."
            ),
            Mistake(truth.exp(), "You return the density, not its logarithm.", "Stay in logarithms."),
            Mistake(-truth, "The sign is wrong: this is −log p(x).", "`log_prob` is higher where x is more likely."),
            Mistake(
                -0.5 * x.square() - 0.5 * LOG_2_PI + slope.log(),
                "You put x into the normal density where z = f(x) belongs.",
                "It is f(x) that is standard normal.",
            ),
            Mistake(truth + 0.5 * LOG_2_PI, "The constant −½ log 2π is missing.", "Without it the integral is not 1."),
            Mistake(truth - 0.5 * z.square(), "The square lacks its ½.", "log N(z; 0, 1) = −½ z² − ½ log 2π."),
            Mistake(base + slope.log() / 2, "There is a ½ before the log-slope.", "log |f′(x)| counts whole."),
            Mistake(base - 0.5 * LOG_2_PI + slope.log(), "The constant is −log 2π: its ½ is missing.", "−½ log 2π."),
            Mistake(base + slope.log1p(), "You take log(1 + |f′|).", "log |f′(x)|."),
            Mistake(base + slope[0].log(), "You use the slope of the first point for all.", "Each x has its own."),
            Mistake(
                base + slope.log().sum(),
                "You add the log-slopes of all points together.",
                "Each x adds its own log |f′(x)|; the sum is only for `autograd.grad`.",
            ),
            Mistake(
                base + slope.log().mean(),
                "You average the log-slopes of all points.",
                "Each x adds its own log |f′(x)|.",
            ),
        ],
        name="your log-density",
        varied=lambda: (
            *of_terms({"−½ z²": -0.5 * z.square(), "−½ log 2π": 0 * z - 0.5 * LOG_2_PI, "log |f′|": slope.log()}),
            *of_steps(
                lambda square, slope: -0.5 * square - 0.5 * LOG_2_PI + slope.log(), {"z²": z.square(), "f′": slope}
            ),
        ),
    )
    says = "Where f falls, your log-density is not a number: you take the logarithm of a negative slope."
    hint = "A density has no direction: log |f′(x)|, with the absolute value."
    falling = tensor(answer(lambda x: -torch.sinh(a * x) - b * x, x), (6,), not_finite=(says, hint))
    down, steep = -torch.sinh(a * x) - b * x, a * torch.cosh(a * x) + b
    base = -0.5 * down.square() - 0.5 * LOG_2_PI
    clamped = [Mistake(base, "Where f falls, you leave the slope out.", hint)]
    if (falling - base < steep.log() - 2).all():
        raise Wrong("Where f falls, your slope is cut off: `clamp` and `relu` make 0 of it.", hint)
    close(falling, base + steep.log(), clamped, name="your log-density where f falls", hint=hint)
    flat = tensor(answer(lambda x: 1e-20 * x, x), (6,), name="your log-density")
    base = torch.full_like(x, -0.5 * LOG_2_PI)
    if (flat > base - 40).all():
        raise Wrong("Where f is nearly flat, your slope is cut off.", "No `clamp`, no small number in the logarithm.")
    close(flat, base - 20 * math.log(10), name="your log-density where f is nearly flat")


def _steps(generator: Generator, dim: int, n: int) -> tuple[list[Callable], list[Callable]]:
    """`n` transforms z = sinh(½ (W x + b)), which cannot change places, and their inverses in the same order."""

    def step() -> tuple[Callable, Callable]:
        weight = torch.eye(dim, dtype=torch.float64) + 0.5 * draw.normal(generator, dim, dim).tril(-1)
        weight = weight * (0.5 + torch.rand(dim, generator=generator, dtype=torch.float64))[:, None]
        weight, shift = weight[torch.randperm(dim, generator=generator)], draw.normal(generator, dim)

        def log_det(a: Tensor) -> Tensor:
            return (0.5 * a.cosh()).log().sum(-1) + weight.slogdet().logabsdet

        def transform(x: Tensor) -> tuple[Tensor, Tensor]:
            a = 0.5 * (x @ weight.T + shift)
            return a.sinh(), log_det(a)

        def inverse(z: Tensor) -> tuple[Tensor, Tensor]:
            a = z.asinh()
            return torch.linalg.solve(weight, (2 * a - shift).T).T, -log_det(a)

        return transform, inverse

    transforms, inverses = zip(*(step() for _ in range(n)), strict=True)
    return list(transforms), list(inverses)


def _through(x: Tensor, functions: list[Callable]) -> tuple[Tensor, list[Tensor]]:
    """The last point and the log-determinants on the way."""
    log_dets = []
    for function in functions:
        x, log_det = function(x)
        log_dets.append(log_det)
    return x, log_dets


@exercise("flow.chain", call="chain_log_prob(x, transforms)")
def chain(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 3
    x = 0.7 * draw.normal(generator, batch, dim)
    transforms, _ = _steps(generator, dim, 3)
    z, each = _through(x, transforms)
    total = torch.stack(each).sum(0)
    base = log_standard_normal(z)
    truth = base + jacobian_log_det(lambda x: _through(x, transforms)[0], x)
    at_x = torch.stack([transform(x)[1] for transform in transforms]).sum(0)
    backwards, other = _through(x, transforms[::-1])
    shapes = [
        Mistake((), "one number for all points", "Sum over the coordinates only."),
        Mistake((batch, dim), "it is not summed over the coordinates", "log N(z; 0, I) is a sum over coordinates."),
    ]
    close(
        tensor(answer(x, transforms), (batch,), shapes=shapes),
        truth,
        [
            Mistake(base - total, "The log-determinants have the wrong sign.", "log p(x) = log p(z) + Σ log_det."),
            Mistake(base, "The log-determinants are missing: this is log p(z).", "Add them up on the way."),
            Mistake(base + each[-1], "Only the last log-determinant is in your sum.", "Add them up: do not overwrite."),
            Mistake(base + each[0], "Only the first log-determinant is in your sum.", "Add up all of them."),
            Mistake(
                base + total / len(each), "You average the log-determinants.", "Jacobians multiply: the logs add up."
            ),
            Mistake(base + total.sum(), "You add the log-determinants of all points.", "Each point has its own."),
            Mistake(
                base + torch.stack(each).abs().sum(0), "You take absolute log-determinants.", "They may be negative."
            ),
            Mistake(base / dim + total, "log N(z; 0, I) is averaged over the coordinates.", "A sum."),
            Mistake(
                log_standard_normal(_through(x, transforms[:-1])[0]) + sum(each[:-1]),
                "The last transform is missing.",
                "All of them, one after the other.",
            ),
            Mistake(
                sum(_through(x, transforms[1:])[1]) + log_standard_normal(_through(x, transforms[1:])[0]),
                "The first transform is missing.",
                "All of them, one after the other.",
            ),
            Mistake(
                sum(log_standard_normal(_through(x, transforms[: i + 1])[0]) + each[i] for i in range(len(each))),
                "You add log N(z; 0, I) after every transform.",
                "Only at the end of the chain is z standard normal.",
            ),
            Mistake(
                base + torch.stack(each).prod(0),
                "You multiply the log-determinants.",
                "Determinants multiply, so their logarithms add up.",
            ),
            Mistake(
                base + at_x,
                "You take every log-determinant at x.",
                "The second transform acts on what the first one returned.",
            ),
            Mistake(
                sum(log_standard_normal(transform(x)[0]) + transform(x)[1] for transform in transforms),
                "You apply every transform to x itself and add what each one gives.",
                "The second transform acts on what the first one returned.",
            ),
            Mistake(
                log_standard_normal(transforms[-1](x)[0]) + at_x,
                "You apply every transform to x itself.",
                "The second transform acts on what the first one returned.",
            ),
            Mistake(
                log_standard_normal(backwards) + torch.stack(other).sum(0),
                "You apply the transforms in the wrong order.",
                "The first one of the list acts on x first.",
            ),
            Mistake(
                log_standard_normal(x) + total,
                "You put x into the base where z belongs.",
                "What comes out at the end of the chain is standard normal.",
            ),
            Mistake(truth + dim / 2 * LOG_2_PI, "The constant is missing: −D/2 · log 2π.", "The base is a density."),
            Mistake(
                truth + (dim - 1) / 2 * LOG_2_PI,
                "The constant lacks the dimension: −D/2 · log 2π, not −½ log 2π.",
                f"D = {dim} here.",
            ),
            Mistake(truth - 0.5 * z.square().sum(-1), "The square lacks its ½.", "log N(z; 0, I)."),
            Mistake(-truth, "The sign is wrong: this is a loss.", "`log_prob` is higher where x is more likely."),
        ],
        name="your log-density",
        hint="z, log_det = transform(z), one after the other, with the log-determinants added up.",
        varied=lambda: (
            *of_terms(
                {
                    "−½ Σ z²": -0.5 * z.square().sum(-1),
                    "−½ D log 2π": 0 * total - dim / 2 * LOG_2_PI,
                    **{f"log_det of transform {k}": log_det for k, log_det in enumerate(each)},
                }
            ),
            *of_steps(lambda z: log_standard_normal(z) + total, {"z": z}),
            *of_steps(lambda square: total - dim / 2 * LOG_2_PI - 0.5 * square.sum(-1), {"z²": z.square()}),
        ),
    )
    alone = tensor(answer(x, []), (batch,), name="your log-density for an empty chain")
    close(alone, log_standard_normal(x), name="your log-density for an empty chain", hint="With no transform z = x.")


@exercise("flow.sample", call="sample_with_log_prob(z, inverses)")
def sample(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 3
    transforms, inverses = _steps(generator, dim, 3)
    z = 0.7 * draw.normal(generator, batch, dim)
    truth, each = _through(z, inverses[::-1])
    base = log_standard_normal(z)
    log_prob = base + jacobian_log_det(lambda x: _through(x, transforms)[0], truth)
    total = torch.stack(each).sum(0)
    wrong_way, others = _through(z, inverses)
    names = ("x", "log_prob")
    x, value = parts(answer(z, inverses), names)
    if isinstance(x, Tensor) and not torch.equal(x, parts(answer(z, inverses), names)[0]):
        raise Wrong("You draw noise of your own.", "Start with `z`, which is given.")
    x = tensor(x, (batch, dim), name="your x")
    shapes = [
        Mistake((), "one number for all points", "Sum over the coordinates only."),
        Mistake((batch, dim), "it is not summed over the coordinates", "log N(z; 0, I) is a sum over coordinates."),
    ]
    value = tensor(value, (batch,), name="your log_prob", shapes=shapes)
    close(
        x,
        truth,
        [
            Mistake(
                wrong_way,
                "You walk the chain in the wrong order: the noise enters at the end of it.",
                "inverses[0] is next to the data, so it comes last: `reversed(inverses)`.",
            ),
            Mistake(inverses[0](z)[0], "Only one inverse was applied.", "Feed each result into the next one."),
            Mistake(inverses[-1](z)[0], "Only one inverse was applied.", "Feed each result into the next one."),
            Mistake(z, "You return the noise itself.", "Walk the chain backwards."),
        ],
        name="your x",
        hint="The last transform of the forward chain is undone first.",
    )
    close(
        value,
        log_prob,
        [
            Mistake(
                base + total,
                "You add the log-determinants of the inverse where you must subtract them.",
                "log |det dz/dx| = −log |det dx/dz|: where x is stretched, it is thin.",
            ),
            Mistake(base, "The log-determinants are missing: this is log p(z).", "log p(x) differs by the stretch."),
            Mistake(-total, "log p(z) is missing: these are the log-determinants alone.", "Start with log N(z; 0, I)."),
            Mistake(base - total / len(each), "You average the log-determinants.", "Subtract all of them."),
            Mistake(base - total / 2, "There is a ½ before the log-determinants.", "They count whole."),
            Mistake(base - total.sum(), "You subtract the log-determinants of all points.", "Each point has its own."),
            Mistake(base / dim - total, "log N(z; 0, I) is averaged over the coordinates.", "A sum."),
            Mistake(
                log_prob - 0.5 * z.square().sum(-1), "The square lacks its ½.", "log N(z; 0, 1) = −½ z² − ½ log 2π."
            ),
            Mistake(base - each[-1], "Only the last log-determinant is in your sum.", "Subtract all of them."),
            Mistake(base - each[0], "Only the first log-determinant is in your sum.", "Subtract all of them."),
            Mistake(
                log_standard_normal(truth) - total,
                "You put x into the base where z belongs.",
                "It is the noise that is standard normal.",
            ),
            Mistake(
                base - torch.stack(others).sum(0),
                "Your log-determinants come from a walk in the wrong order.",
                "Take them on the same way as x.",
            ),
            Mistake(log_prob + dim / 2 * LOG_2_PI, "The constant is missing: −D/2 · log 2π.", "The base is a density."),
            Mistake(
                log_prob + (dim - 1) / 2 * LOG_2_PI,
                "The constant lacks the dimension: −D/2 · log 2π, not −½ log 2π.",
                f"D = {dim} here.",
            ),
            Mistake(-log_prob, "The sign is wrong: this is −log p(x).", "Higher where x is more likely."),
        ],
        name="your log_prob",
        hint="log p(x) = log p(z) − Σ log |det dx/dz|, with the log-determinants met on the way.",
    )
