"""Checks of chapter 10, normalizing flows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw, expect, integral
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, parts, tensor
from utils.toys import checkerboard

# Nats per held-out point of `checkerboard` with 5,000 training points, over six seeds: a mixture of 100 components
# reaches −1.96 to −1.94, two spline couplings −1.90 to −1.87, each time 0.05 to 0.07 above it; the truth is −1.79.
COMPONENTS, MARGIN = 100, 0.03

LOG_2_PI = math.log(2 * math.pi)


def _log_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I) over the last axis."""
    return -0.5 * (z.square() + LOG_2_PI).sum(-1)


def _log_det(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log |det df/dx| of each row, by the Jacobian that autograd finds."""
    rows = [torch.autograd.functional.jacobian(lambda row: f(row[None])[0], row) for row in x]
    return torch.stack(rows).flatten(2).flatten(0, 0).slogdet().logabsdet


def _one_number(dim: int) -> list[Mistake]:
    """Shapes of a log-determinant that was not summed, or summed too far."""
    return [
        Mistake((), "one number for all points", "Sum over the coordinates only: each point has its own."),
        Mistake((dim,), "you sum over the points", "Sum over the coordinates: `.sum(-1)`."),
    ]


def _not_summed(*shape: int) -> Mistake:
    return Mistake(shape, "it is not summed over the coordinates", "The logs of the diagonal of the Jacobian add up.")


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
    )
    says = "Where f falls, your log-density is not a number: you take the logarithm of a negative slope."
    hint = "A density has no direction: log |f′(x)|, with the absolute value."
    falling = tensor(answer(lambda x: -torch.sinh(a * x) - b * x, x), (6,), not_finite=(says, hint))
    down, steep = -torch.sinh(a * x) - b * x, a * torch.cosh(a * x) + b
    base = -0.5 * down.square() - 0.5 * LOG_2_PI
    clamped = [Mistake(base, "Where f falls, you leave the slope out.", hint)]
    close(falling, base + steep.log(), clamped, name="your log-density where f falls", hint=hint)


def _network(generator: Generator, dim: int, autoregressive: bool = False) -> Callable:
    """A smooth function (B, D) -> (s, t); in the autoregressive one, entry i depends on those before it alone."""
    weight = 0.7 * draw.normal(generator, dim, 2 * dim) / math.sqrt(dim)
    bias = 0.5 * draw.normal(generator, 2 * dim)
    if autoregressive:
        earlier = torch.ones(dim, dim, dtype=torch.float64).triu(1)  # rows are inputs, columns are outputs
        weight = 1.5 * weight * torch.cat([earlier, earlier], 1)

    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(x, Tensor):
            raise Wrong(f"You call `net` with a `{type(x).__name__}`, it takes a tensor (B, {dim}).")
        if x.ndim != 2 or x.shape[1] != dim:
            raise Wrong(
                f"You call `net` with a tensor of shape {tuple(x.shape)}, it takes (B, {dim}).",
                "Give it all coordinates; those it must not see are 0.",
            )
        s, t = (1.5 * torch.tanh(x @ weight + bias)).chunk(2, -1)
        return s, t

    return net


def _mask(generator: Generator, dim: int, kept: int) -> Tensor:
    mask = torch.zeros(dim, dtype=torch.float64)
    mask[torch.randperm(dim, generator=generator)[:kept]] = 1
    return mask


def _log_det_mistakes(s: Tensor, moved: Tensor, what: str) -> list[Mistake]:
    """Wrong log-determinants of a coupling whose true one is Σ moved · s."""
    truth = (moved * s).sum(-1)
    sign = (
        "As z = x e^s + t, its slope is e^s."
        if what == "dz/dx"
        else "The inverse undoes the stretch: −s for each moved one."
    )
    return [
        Mistake(-truth, f"The log-determinant has the wrong sign: you were asked for log |det {what}|.", sign),
        Mistake(
            s.sum(-1),
            "Your log-determinant counts the kept coordinates too.",
            "They are not scaled, whatever the network says of them: multiply s by 1 − mask.",
        ),
        Mistake(
            -s.sum(-1),
            "Your log-determinant counts the kept coordinates too, and has the wrong sign.",
            "They are not scaled, whatever the network says of them: multiply s by 1 − mask.",
        ),
        Mistake(
            s.sum(-1) - truth,
            "Your log-determinant counts the kept coordinates instead of the moved ones.",
            "Those with mask 0 are scaled.",
        ),
        Mistake(
            truth / s.shape[-1],
            "Your log-determinant is a mean over the coordinates, not their sum.",
            "The determinant is a product over the diagonal: its logarithm is a sum.",
        ),
        Mistake(
            truth / moved.sum(),
            "Your log-determinant is a mean over the moved coordinates, not their sum.",
            "The determinant is a product over the diagonal: its logarithm is a sum.",
        ),
        Mistake(truth.exp(), "You return the determinant, not its logarithm.", "Σ s, without the exponential."),
        Mistake(
            (moved * s.exp()).sum(-1),
            "You sum the scales e^s, not their logarithms.",
            "The log-determinant is Σ log e^s = Σ s.",
        ),
        Mistake(torch.zeros_like(truth), "Your log-determinant is 0: this coupling stretches.", "Sum s."),
    ]


@exercise("flow.affine_coupling", call="affine_coupling(x, mask, net)")
def affine_coupling(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 5
    x, net = draw.normal(generator, batch, dim), _network(generator, dim)
    for kept in (2, 3):
        mask = _mask(generator, dim, kept)
        moved = 1 - mask

        def formula(s: Tensor, t: Tensor, mask: Tensor = mask) -> Tensor:
            return mask * x + (1 - mask) * (x * s.exp() + t)

        s, t = net(mask * x)
        names = ("z", "log_det")
        z, log_det = parts(answer(x, mask, net), names)
        shapes = [Mistake((batch, dim - kept), "only the moved coordinates", "Put the kept ones in their places.")]
        z = tensor(z, (batch, dim), name="your z", shapes=shapes)
        log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*_one_number(dim), _not_summed(batch, dim)])
        hint = "The network sees mask * x, and only where the mask is 0 does x change."
        close(
            z,
            formula(s, t),
            [
                Mistake(
                    formula(*net(x)),
                    "Your network sees the coordinates that are about to change.",
                    "On the way back they are unknown: give it mask * x.",
                ),
                Mistake(
                    formula(*net(moved * x)),
                    "Your network sees the moved coordinates instead of the kept ones.",
                    "Where the mask is 1, x is kept: give it mask * x.",
                ),
                Mistake(
                    formula(*net(moved * x), moved),
                    "You read the mask upside down: you keep the coordinates where it is 0.",
                    "Where the mask is 1, x is kept.",
                ),
                Mistake(
                    formula(s, t, moved),
                    "You move the kept coordinates: those the network saw.",
                    "Where the mask is 1, z = x.",
                ),
                Mistake(
                    x * s.exp() + t,
                    "You move all coordinates, also the kept ones.",
                    "What the network says of the kept ones is not used: where the mask is 1, z = x.",
                ),
                Mistake(
                    mask * x + moved * (x + t) * s.exp(),
                    "You shift before you scale.",
                    "z = x e^s + t: scale, then shift.",
                ),
                Mistake(mask * x + moved * (x * s + t), "You scale by s, not by e^s.", "The exponential is never 0."),
                Mistake(formula(s, -t), "You subtract the shift.", "z = x e^s + t."),
                Mistake(formula(-s, t), "You scale by e^−s.", "z = x e^s + t."),
                Mistake(
                    mask * x + moved * (x - t) * (-s).exp(),
                    "This is the way back, from z to x.",
                    "z = x e^s + t.",
                ),
                Mistake(formula(t, s), "You exchange s and t.", "`net` returns the log-scale first."),
                Mistake(moved * (x * s.exp() + t), "You lose the kept coordinates: they are 0.", "Add mask * x."),
            ],
            name="your z",
            hint=hint,
        )
        close(
            log_det,
            _log_det(
                lambda x, mask=mask: mask * x + (1 - mask) * (x * net(mask * x)[0].exp() + net(mask * x)[1]),
                x,
            ),
            _log_det_mistakes(s, moved, "dz/dx"),
            name="your log_det",
            hint="The Jacobian is triangular: the log of its determinant is the sum of s over the moved coordinates.",
        )


@exercise("flow.coupling_inverse", call="coupling_inverse(z, mask, net)")
def coupling_inverse(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 5
    x, net = draw.normal(generator, batch, dim), _network(generator, dim)
    for kept in (2, 3):
        mask = _mask(generator, dim, kept)
        moved = 1 - mask
        s, t = net(mask * x)
        z = mask * x + moved * (x * s.exp() + t)

        def back(s: Tensor, t: Tensor, mask: Tensor = mask, z: Tensor = z) -> Tensor:
            return mask * z + (1 - mask) * (z - t) * (-s).exp()

        names = ("x", "log_det")
        value, log_det = parts(answer(z, mask, net), names)
        value = tensor(value, (batch, dim), name="your x")
        log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*_one_number(dim), _not_summed(batch, dim)])
        close(
            value,
            x,
            [
                Mistake(
                    mask * z + moved * (z * (-s).exp() - t),
                    "You undo the scale before the shift: what was done last is undone first.",
                    "z = x e^s + t, so x = (z − t) e^−s.",
                ),
                Mistake(
                    mask * z + moved * (z * s.exp() + t),
                    "You move z forward once more.",
                    "z = x e^s + t, so x = (z − t) e^−s.",
                ),
                Mistake(mask * z + moved * (z - t) * s.exp(), "You multiply with the scale again.", "Divide by e^s."),
                Mistake(mask * z + moved * (z + t) * (-s).exp(), "You add the shift again.", "Subtract t."),
                Mistake(mask * z + moved * (z - t) / s, "You divide by s, not by e^s.", "z = x e^s + t."),
                Mistake(
                    back(*net(z)),
                    "Your network sees the moved coordinates, which are not what they were.",
                    "Only the kept ones are the same on both sides: give it mask * z.",
                ),
                Mistake(
                    back(*net(moved * z)),
                    "Your network sees the moved coordinates instead of the kept ones.",
                    "Only the kept ones are the same on both sides: give it mask * z.",
                ),
                Mistake(
                    (z - t) * (-s).exp(),
                    "You move all coordinates, also the kept ones.",
                    "Where the mask is 1, x = z.",
                ),
                Mistake(moved * (z - t) * (-s).exp(), "You lose the kept coordinates: they are 0.", "Add mask * z."),
            ],
            name="your x",
            hint="Undo the last step first: x = (z − t) e^−s where the mask is 0.",
        )
        close(
            log_det,
            -(moved * s).sum(-1),
            _log_det_mistakes(-s, moved, "dx/dz"),
            name="your log_det",
            hint="The log-determinant of the inverse is that of the forward step, with the other sign.",
        )


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
    base = _log_normal(z)
    truth = base + _log_det(lambda x: _through(x, transforms)[0], x)
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
                sum(_log_normal(transform(x)[0]) + transform(x)[1] for transform in transforms),
                "You apply every transform to x itself and add what each one gives.",
                "The second transform acts on what the first one returned.",
            ),
            Mistake(
                _log_normal(transforms[-1](x)[0]) + at_x,
                "You apply every transform to x itself.",
                "The second transform acts on what the first one returned.",
            ),
            Mistake(
                _log_normal(backwards) + torch.stack(other).sum(0),
                "You apply the transforms in the wrong order.",
                "The first one of the list acts on x first.",
            ),
            Mistake(
                _log_normal(x) + total,
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
    )
    alone = tensor(answer(x, []), (batch,), name="your log-density for an empty chain")
    close(alone, _log_normal(x), name="your log-density for an empty chain", hint="With no transform z = x.")


@exercise("flow.sample", call="sample_with_log_prob(z, inverses)")
def sample(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 3
    transforms, inverses = _steps(generator, dim, 3)
    z = 0.7 * draw.normal(generator, batch, dim)
    truth, each = _through(z, inverses[::-1])
    base = _log_normal(z)
    log_prob = base + _log_det(lambda x: _through(x, transforms)[0], truth)
    total = torch.stack(each).sum(0)
    wrong_way, others = _through(z, inverses)
    names = ("x", "log_prob")
    x, value = parts(answer(z, inverses), names)
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
            Mistake(base - each[-1], "Only the last log-determinant is in your sum.", "Subtract all of them."),
            Mistake(base - each[0], "Only the first log-determinant is in your sum.", "Subtract all of them."),
            Mistake(
                _log_normal(truth) - total,
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


def _in_unit_interval(noise: Tensor) -> bool:
    return bool(noise.min() >= 0 and noise.max() <= 1)


@exercise("flow.dequantize", call="dequantize(x, levels)")
def dequantize(answer: Callable, generator: Generator) -> None:
    batch, dim, levels = 2000, 6, int(torch.randint(5, 40, (), generator=generator))
    x = torch.randint(levels, (batch, dim), generator=generator).double()
    x[:2] = torch.tensor([[0.0], [levels - 1.0]], dtype=torch.float64)
    y, log_det = parts(answer(x, levels), ("y", "log_det"))
    y = tensor(y, (batch, dim), name="your y")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*_one_number(dim), _not_summed(batch, dim)])

    noise = y * levels - x  # what was added to each grey value
    if noise.abs().max() < 1e-6:
        raise Wrong("There is no noise in your y.", "Add u from [0, 1), a new one for each pixel.")
    if _in_unit_interval(y - x):
        raise Wrong("You forgot to divide by the levels: your y goes beyond 1.", "y = (x + u) / levels.")
    if _in_unit_interval(y * (levels - 1) - x):
        raise Wrong(
            f"You divide by levels − 1: the noise on the largest grey value, {levels - 1}, leaves the interval [0, 1).",
            "Each of the levels owns a piece of width 1 / levels.",
        )
    if _in_unit_interval(y - x / levels) and noise.max() > 2:
        raise Wrong(
            "Your noise is added after the division, so it is as wide as all levels together.",
            "Add u before you divide: it must stay within one grey value.",
        )
    if torch.allclose(noise, noise[:, :1].expand_as(noise)):
        raise Wrong("All pixels of an image get the same noise.", "Draw a number for each pixel: `torch.rand_like(x)`.")
    if torch.allclose(noise, noise[:1].expand_as(noise)):
        raise Wrong("All images get the same noise.", "Draw a number for each pixel: `torch.rand_like(x)`.")
    if torch.equal(tensor(answer(x, levels)[0], (batch, dim), name="your y"), y):
        raise Wrong("Your noise is the same at each call.", "Set no seed inside of the function.")
    low, high = noise.min().item(), noise.max().item()
    measured = f"in units of a grey value it goes from {low:.2f} to {high:.2f}"
    if low < -1e-6 and noise.abs().max() > 1.5:
        raise Wrong(f"Your noise has no bounds: {measured}.", "It is uniform, `torch.rand_like`, not normal.")
    if low < -1e-6:
        raise Wrong(
            f"Your noise goes below the grey value: {measured}.",
            "It must lie in [0, 1): rounding down then gives x back, and y stays in [0, 1).",
        )
    if high > 1 + 1e-6:
        raise Wrong(f"Your noise is too wide: {measured}.", "Beyond 1 it reaches the next grey value.")
    if high < 0.9 or low > 0.1:
        raise Wrong(f"Your noise is too narrow: {measured}.", "It must fill the gap to the next grey value.")
    # 12,000 uniform numbers: both of these are six standard deviations wide or more.
    mean, spread = noise.mean().item(), noise.std().item()
    if abs(mean - 0.5) > 0.02 or abs(spread - 12**-0.5) > 0.01:
        raise Wrong(
            f"Your noise is not uniform: mean {mean:.2f} and standard deviation {spread:.2f}, expected 0.50 and 0.29.",
            "`torch.rand_like` draws from U[0, 1).",
        )
    truth = torch.full((batch,), -dim * math.log(levels), dtype=torch.float64)
    close(
        log_det,
        truth,
        [
            Mistake(
                -truth, "The log-determinant has the wrong sign.", "y is smaller than x: the map squeezes, log_det < 0."
            ),
            Mistake(truth / dim, "The log-determinant lacks the dimension.", "Each of the D pixels is divided."),
            Mistake(0 * truth, "Your log-determinant is 0: you forgot the division by the levels.", "−D log levels."),
            Mistake(
                truth / math.log(2), "Your log-determinant is in bits.", "All log-determinants are in nats: `math.log`."
            ),
            Mistake(truth.exp(), "You return the determinant, not its logarithm.", "log levels⁻ᴰ = −D log levels."),
        ],
        name="your log_det",
        hint="Each of the D pixels is divided by the levels.",
    )


@exercise("flow.bits_per_dim", call="bits_per_dim(log_prob, dim, levels)")
def bits_per_dim(answer: Callable, generator: Generator) -> None:
    batch, log_2 = 5, math.log(2)
    dim, levels = (int(torch.randint(*range_, (), generator=generator)) for range_ in ((20, 90), (5, 60)))
    log_prob = dim * (0.8 + 0.3 * draw.normal(generator, batch))
    own = -log_prob / (dim * log_2)
    truth = own + math.log2(levels)
    nats = truth * log_2
    value = tensor(
        answer(log_prob, dim, levels), (batch,), shapes=[Mistake((), "one number", "Each image has its own.")]
    )
    close(
        value,
        truth,
        [
            Mistake(
                own,
                "You forgot the levels: these are bits of a density, not of grey values.",
                "Each grey value owns a cube of volume levels⁻ᴰ: add log₂ levels.",
            ),
            Mistake(
                own - math.log2(levels), "The levels enter with the wrong sign.", "P(x) = p(y) / levelsᴰ: less likely."
            ),
            Mistake(nats, "These are nats per dimension, not bits.", "Divide by log 2."),
            Mistake(nats * log_2, "You multiply by log 2 to get bits.", "A bit is log 2 = 0.69 nats: divide by log 2."),
            Mistake(nats / math.log(10), "You use the logarithm to base 10.", "Bits are to base 2."),
            Mistake(own + math.log(levels), "The levels enter in nats, the rest in bits.", "Add log₂ levels."),
            Mistake(
                -log_prob / dim + math.log2(levels), "The levels enter in bits, the rest in nats.", "Divide by log 2."
            ),
            Mistake(truth * dim, "These are bits per image.", "Divide by the number of dimensions."),
            Mistake(
                -log_prob / log_2 + math.log2(levels),
                "Only the levels are per dimension.",
                "Divide log_prob by D as well.",
            ),
            Mistake(
                own + math.log2(levels) / dim, "You divide the bits of the levels by D.", "Each pixel has its own."
            ),
            Mistake(-truth, "The sign is wrong: a code length is positive.", "−log₂ P(x) / D."),
            Mistake(
                math.log2(levels) - own,
                "log_prob enters with the wrong sign: your likely images cost the most bits.",
                "−log₂ P(x) / D.",
            ),
            Mistake(
                own + math.log2(levels - 1), "You count levels − 1: y was divided by the levels.", "Add log₂ levels."
            ),
            Mistake(own + 8, "You assume 256 levels.", "Use the levels that are given."),
        ],
        name="your bits per dimension",
        hint="A density that is 1 everywhere must cost log₂ levels bits.",
    )


@exercise("flow.mix_channels", call="mix_channels(x, weight)")
def mix_channels(answer: Callable, generator: Generator) -> None:
    batch, channels, height, width = 2, 3, 4, 5
    x = draw.normal(generator, batch, channels, height, width)
    weight = draw.normal(generator, channels, channels) + 0.1 * torch.eye(channels, dtype=torch.float64)
    weight[0] *= weight.det().sign()
    truth = (weight[None, :, :, None, None] * x[:, None]).sum(2)
    # The matrix of the whole map, one pixel's block after the other.
    one = torch.kron(torch.eye(height * width, dtype=torch.float64), weight).slogdet().logabsdet
    log_det_truth = one.expand(batch)
    single = weight.slogdet().logabsdet.expand(batch)
    z, log_det = parts(answer(x, weight), ("z", "log_det"))
    z = tensor(z, x.shape, name="your z")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[_one_image()])
    close(
        z,
        truth,
        [
            Mistake(
                (weight.T[None, :, :, None, None] * x[:, None]).sum(2),
                "You multiply with the transposed matrix.",
                "z_o = Σ_c W[o, c] x_c: the sum runs over the second index.",
            ),
            Mistake(x, "Your z is x: the channels are not mixed.", "z = W x at each pixel."),
        ],
        name="your z",
        hint="Take one pixel: its C numbers are multiplied by W.",
    )
    pixels = height * width
    close(
        log_det,
        log_det_truth,
        [
            Mistake(
                single,
                "Your log-determinant is that of one pixel.",
                "The Jacobian of the image has a block W for each pixel: multiply by H · W.",
            ),
            Mistake(-log_det_truth, "The log-determinant has the wrong sign.", "This is the forward direction."),
            Mistake(single * height, "You count the rows of the image only.", "Multiply by H · W."),
            Mistake(single * width, "You count the columns of the image only.", "Multiply by H · W."),
            Mistake(
                log_det_truth * channels,
                "You count each channel.",
                "The block of a pixel holds all its channels: H · W.",
            ),
            Mistake(log_det_truth * batch, "You sum over the images.", "Each image has its own log-determinant."),
            Mistake(
                pixels * weight.diagonal().abs().log().sum().expand(batch),
                "You use the diagonal of W, as if it were triangular.",
                "`torch.linalg.slogdet(weight)`.",
            ),
            Mistake(
                pixels * weight.det().expand(batch), "You return the determinant, not its logarithm.", "Take `log`."
            ),
            Mistake(0 * single, "Your log-determinant is 0.", "A general W stretches: H · W · log |det W|."),
        ],
        name="your log_det",
        hint="H · W blocks, each with log |det W|.",
    )
    flipped = weight * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    says = (
        "For a matrix with a negative determinant your log-determinant is not a number: the absolute value is missing."
    )
    hint = "log |det W|: `torch.linalg.slogdet(weight).logabsdet`."
    negative = tensor(answer(x, flipped)[1], (batch,), name="your log_det", not_finite=(says, hint))
    close(negative, log_det_truth, name="your log_det for a negative determinant", hint=hint)
    many = 400
    says = "The determinant of a large matrix underflows to 0."
    small = 0.1 * torch.eye(many, dtype=torch.float64)
    large = tensor(
        answer(draw.normal(generator, 1, many, 1, 1), small)[1], (1,), name="your log_det", not_finite=(says, hint)
    )
    close(large, small.slogdet().logabsdet[None], name="your log_det of a large matrix", hint=hint)


def _one_image() -> Mistake:
    return Mistake((), "one number", "It is the same for each image: `.expand(len(x))` gives it the shape (B,).")


@exercise("flow.actnorm_init", call="actnorm_init(x)")
def actnorm_init(answer: Callable, generator: Generator) -> None:
    batch, channels, height, width = 6, 3, 4, 5
    scale = torch.tensor([0.3, 2.0, 5.0], dtype=torch.float64)[torch.randperm(3, generator=generator)]
    place = 2 * draw.normal(generator, channels)
    x = draw.normal(generator, batch, channels, height, width) * scale[:, None, None] + place[:, None, None]
    rows = x.transpose(0, 1).flatten(1)
    mean, names = rows.mean(1), ("shift", "log_scale", "log_det")
    shift, log_scale, log_det = parts(answer(x), names)
    per_pixel = Mistake(
        (channels, height, width), "one for each pixel", "A channel is normalized over all images and all pixels."
    )
    per_image = Mistake((batch, channels), "one for each image", "A channel is normalized over all images and pixels.")
    whole = Mistake((), "one for all channels", "Each channel has its own.")
    shapes = [per_pixel, per_image, whole]
    shift = tensor(shift, (channels,), name="your shift", shapes=shapes)
    log_scale = tensor(log_scale, (channels,), name="your log_scale", shapes=shapes)
    # Both ways to estimate a variance are welcome.
    stds = [rows.std(1, correction=correction) for correction in (0, 1)]
    std = min(stds, key=lambda std: (log_scale + std.log()).abs().max().item())
    close(
        shift,
        -mean,
        [
            Mistake(mean, "Your shift has the wrong sign.", "It is added to x: it must take the mean away."),
            Mistake(
                -mean / stds[0],
                "Your shift is scaled: it belongs to x e^s + shift.",
                "Here the shift comes first: z = (x + shift) e^log_scale.",
            ),
            Mistake(
                -mean / stds[1],
                "Your shift is scaled: it belongs to x e^s + shift.",
                "Here the shift comes first: z = (x + shift) e^log_scale.",
            ),
            Mistake((-mean.mean()).expand(channels), "All channels get one shift.", "Each channel has its own mean."),
        ],
        name="your shift",
        hint="After x + shift each channel has mean 0.",
    )
    mistakes = []
    for std_ in stds:
        mistakes += [
            Mistake(
                std_.log(),
                "Your log_scale has the wrong sign: it stretches what is wide already.",
                "z = (x + shift) e^log_scale: a wide channel is divided by its standard deviation.",
            ),
            Mistake(
                1 / std_, "You return the scale, not its logarithm.", "log_scale = −log of the standard deviation."
            ),
            Mistake(std_, "You return the standard deviation itself.", "log_scale is minus its logarithm."),
            Mistake(
                -2 * std_.log(),
                "You divide by the variance where the standard deviation belongs.",
                "The square root is missing: −½ log variance.",
            ),
            Mistake(2 * std_.log(), "This is the log of the variance.", "log_scale = −½ log variance."),
        ]
    root_mean_square = rows.square().mean(1).sqrt()
    mistakes.append(
        Mistake(-root_mean_square.log(), "You did not take the mean away before you squared.", "Use x.std(...).")
    )
    mistakes += [
        Mistake((-x.std(correction=c).log()).expand(channels), "All channels get one scale.", "Each has its own.")
        for c in (0, 1)
    ]
    close(
        log_scale,
        -std.log(),
        mistakes,
        name="your log_scale",
        hint="After the scaling each channel has variance 1, over all images and pixels.",
    )
    pixels, total = height * width, -std.log().sum()
    if isinstance(log_det, Tensor) and log_det.shape == (batch,):
        raise Wrong("Your log_det has a value for each image, expected one number.", "It is the same for all of them.")
    close(
        expect.number(log_det, "your log_det"),
        pixels * total,
        [
            Mistake(
                total,
                "Your log-determinant counts one pixel.",
                "The scale of a channel acts on each of its H · W pixels.",
            ),
            Mistake(
                -pixels * total, "The log-determinant has the wrong sign.", "Each entry of z has slope e^log_scale."
            ),
            Mistake(
                batch * pixels * total,
                "Your log-determinant is that of the whole batch.",
                "One image has H · W pixels.",
            ),
            Mistake(pixels * total / channels, "You average over the channels.", "The logs of the diagonal add up."),
            Mistake(channels * pixels * total, "You count the channels twice.", "Σ_c log_scale_c, times H · W."),
            Mistake(
                pixels * (1 / std).sum(),
                "You sum the scales, not their logarithms.",
                "The log of a product is a sum of logs.",
            ),
        ],
        name="your log_det",
        hint="Each pixel of each channel has slope e^log_scale: add up the log-scales of one image.",
    )


@exercise("flow.planar", call="planar(x, u, w, b)")
def planar(answer: Callable, generator: Generator) -> None:
    batch, dim = 5, 4
    x, u, w = draw.normal(generator, batch, dim), draw.normal(generator, dim), draw.normal(generator, dim)
    u = u + (1 - w @ u) * w / w.square().sum()  # wᵀu = 1: invertible
    b = draw.normal(generator).item()
    h = (x @ w + b).tanh()
    slope = 1 - h.square()
    truth = _log_det(lambda x: x + (x @ w + b).tanh()[:, None] * u, x)
    z, log_det = parts(answer(x, u, w, b), ("z", "log_det"))
    z = tensor(z, (batch, dim), name="your z")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*_one_number(dim), _not_summed(batch, dim)])
    close(
        z,
        x + h[:, None] * u,
        [
            Mistake(
                x + h[:, None] * w, "You push along w.", "w says where the plane is, u says in which direction to go."
            ),
            Mistake(
                x + (x @ u + b).tanh()[:, None] * w,
                "You exchange u and w.",
                "z = x + u tanh(wᵀx + b).",
            ),
            Mistake(x + (x @ w).tanh()[:, None] * u, "You forgot b.", "tanh(wᵀx + b)."),
            Mistake(x + (x @ w + b)[:, None] * u, "You forgot tanh.", "z = x + u tanh(wᵀx + b)."),
            Mistake(h[:, None] * u, "You forgot x itself.", "z = x + …"),
        ],
        name="your z",
        hint="z = x + u tanh(wᵀx + b): one number tanh(…) for each point.",
    )
    along = w @ u
    close(
        log_det,
        truth,
        [
            Mistake(-truth, "The log-determinant has the wrong sign.", "This is the forward direction, dz/dx."),
            Mistake(
                truth.exp(), "You return the determinant, not its logarithm.", "Take the log of the absolute value."
            ),
            Mistake(
                (slope * along).abs().log(),
                "The 1 is missing: it comes from x itself in z = x + …",
                "log |1 + h′ wᵀu|.",
            ),
            Mistake(
                (1 - slope * along).abs().log(), "The sign of h′ wᵀu is wrong.", "J = I + u cᵀ has determinant 1 + cᵀu."
            ),
            Mistake((1 + h * along).abs().log(), "You use tanh where its derivative belongs.", "tanh′ = 1 − tanh²."),
            Mistake(
                (1 + h.square() * along).abs().log(), "tanh′ is 1 − tanh², not tanh².", "log |1 + (1 − tanh²) wᵀu|."
            ),
            Mistake(
                (1 + along).abs().log().expand(batch),
                "You forgot the derivative of tanh.",
                "log |1 + (1 − tanh²) wᵀu|.",
            ),
            Mistake(
                (1 + slope[:, None] * w * u).abs().log().sum(-1),
                "You use only the diagonal of the Jacobian: it is not triangular.",
                "Take its eigenvalues: 1 across, 1 + cᵀu along u.",
            ),
            Mistake(
                dim * truth,
                "You count the factor D times.",
                "Only one eigenvalue differs from 1: that of the direction u.",
            ),
            Mistake(
                (1 + slope * w.square().sum()).log(), "You use wᵀw where wᵀu belongs.", "J = I + u cᵀ, with c ∝ w."
            ),
            Mistake(
                (1 + slope * u.square().sum()).log(), "You use uᵀu where wᵀu belongs.", "J = I + u cᵀ, with c ∝ w."
            ),
            Mistake(slope * along, "You forgot the logarithm: log(1 + a) is not a.", "log |1 + h′ wᵀu|."),
        ],
        name="your log_det",
        hint="J = I + u cᵀ with c = (1 − tanh²) w: which eigenvalues does it have?",
    )
    # wᵀu = −3: near the plane the slope is negative.
    u = u - 4 * w / w.square().sum()
    x = x - ((x @ w + b) / w.square().sum())[:, None] * w
    says = "For wᵀu = −3 your log-determinant is not a number: the absolute value is missing."
    hint = "log |det J|, also for a flow that turns space inside out."
    folded = tensor(answer(x, u, w, b)[1], (batch,), name="your log_det", not_finite=(says, hint))
    close(folded, _log_det(lambda x: x + (x @ w + b).tanh()[:, None] * u, x), name="your log_det", hint=hint)


@exercise("flow.maf_inverse", call="maf_inverse(z, net)")
def maf_inverse(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 5
    x, net = draw.normal(generator, batch, dim), _network(generator, dim, autoregressive=True)
    s, t = net(x)
    z = x * s.exp() + t
    zeros = torch.zeros_like(z)

    def one_call(given: Tensor) -> Tensor:
        s, t = net(given)
        return (z - t) * (-s).exp()

    names = ("x", "log_det")
    value, log_det = parts(answer(z, net), names)
    value = tensor(value, (batch, dim), name="your x")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*_one_number(dim), _not_summed(batch, dim)])
    undone = zeros.clone()
    for i in range(dim):
        s_, t_ = net(undone)
        undone[:, i] = (z * (-s_).exp() - t_)[:, i]
    again = zeros.clone()
    for i in range(dim):
        s_, t_ = net(again)
        again[:, i] = (z * s_.exp() + t_)[:, i]
    close(
        value,
        x,
        [
            Mistake(
                one_call(z),
                "You ask the network about z: what moved x_i are the x before it, not the z.",
                "Build x one coordinate at a time, and call net(x) with what you have.",
            ),
            Mistake(
                one_call(zeros),
                "Only your first coordinate is right: at each other one the network did not know the x before it.",
                "One call with zeros does this, or starting at the last one: start at the first, call net(x) anew.",
            ),
            Mistake(
                one_call(one_call(zeros)),
                "Two calls of the network make only two coordinates right.",
                "Each coordinate needs its own call.",
            ),
            Mistake(
                undone,
                "You undo the scale before the shift: what was done last is undone first.",
                "z = x e^s + t, so x = (z − t) e^−s.",
            ),
            Mistake(again, "You move z forward once more.", "z = x e^s + t, so x = (z − t) e^−s."),
            Mistake(z * s.exp() + t, "You move z forward once more.", "z = x e^s + t, so x = (z − t) e^−s."),
        ],
        name="your x",
        hint="x_1 first; then net(x) tells how x_2 was moved, and so on.",
    )
    truth = -s.sum(-1)
    close(
        log_det,
        truth,
        [
            Mistake(
                -truth,
                "The log-determinant has the wrong sign: this is log |det dz/dx|.",
                "From z to x it is −Σ s.",
            ),
            Mistake(-net(z)[0].sum(-1), "Your log-determinant uses what the network says of z.", "Take s at x."),
            Mistake(
                -net(zeros)[0].sum(-1),
                "Your log-determinant uses what the network said of zeros.",
                "Take s at the finished x.",
            ),
            Mistake(truth / dim, "Your log-determinant is a mean over the coordinates, not their sum.", "Use `sum`."),
            Mistake(-s[:, -1], "Your log-determinant holds the last coordinate only.", "Add up all of them."),
            Mistake(-s[:, 0], "Your log-determinant holds the first coordinate only.", "Add up all of them."),
            Mistake(truth.exp(), "You return the determinant, not its logarithm.", "−Σ s."),
            Mistake(0 * truth, "Your log-determinant is 0.", "Each coordinate was scaled by e^s."),
        ],
        name="your log_det",
        hint="−Σ s, with s at the finished x.",
    )


def _gregory(x: Tensor, x_knots: Tensor, y_knots: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """y and dy/dx, row by row, as a quotient of two quadratics (Gregory & Delbourgo, 1982)."""
    ys, rises = [], []
    for i, point in enumerate(x.tolist()):
        xs, values, d = x_knots[i].tolist(), y_knots[i].tolist(), slopes[i].tolist()
        k = max(k for k in range(len(xs) - 1) if k == 0 or xs[k] < point)
        width = xs[k + 1] - xs[k]
        s, r = (values[k + 1] - values[k]) / width, (point - xs[k]) / width
        p = (
            s * values[k + 1] * r**2
            + (values[k] * d[k + 1] + values[k + 1] * d[k]) * r * (1 - r)
            + s * values[k] * (1 - r) ** 2
        )
        q = s * r**2 + (d[k] + d[k + 1]) * r * (1 - r) + s * (1 - r) ** 2
        dp = (
            2 * s * values[k + 1] * r
            + (values[k] * d[k + 1] + values[k + 1] * d[k]) * (1 - 2 * r)
            - 2 * s * values[k] * (1 - r)
        )
        dq = 2 * s * r + (d[k] + d[k + 1]) * (1 - 2 * r) - 2 * s * (1 - r)
        ys.append(p / q)
        rises.append((dp * q - p * dq) / q**2 / width)
    return torch.tensor(ys, dtype=torch.float64), torch.tensor(rises, dtype=torch.float64)


@exercise("flow.rational_quadratic", call="rational_quadratic(x, x_knots, y_knots, slopes)")
def rational_quadratic(answer: Callable, generator: Generator) -> None:
    batch, bins = 12, 4

    def rising() -> Tensor:
        steps = 0.3 + torch.rand(batch, bins + 1, generator=generator, dtype=torch.float64)
        return steps.cumsum(1) - 2

    x_knots, y_knots = rising(), rising()
    slopes = 0.3 + 2 * torch.rand(batch, bins + 1, generator=generator, dtype=torch.float64)
    k = torch.arange(batch) % bins  # each bin is visited
    rows = torch.arange(batch)
    theta = 0.1 + 0.35 * torch.rand(batch, generator=generator, dtype=torch.float64)
    x0, w = x_knots[rows, k], x_knots[rows, k + 1] - x_knots[rows, k]
    y0, h = y_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    d0, d1 = slopes[rows, k], slopes[rows, k + 1]
    x = x0 + theta * w
    truth, rise = _gregory(x, x_knots, y_knots, slopes)

    def formula(s: Tensor = h / w, d0: Tensor = d0, d1: Tensor = d1, theta: Tensor = theta) -> tuple[Tensor, Tensor]:
        tau = theta * (1 - theta)
        below = s + (d0 + d1 - 2 * s) * tau
        top = d1 * theta**2 + 2 * s * tau + d0 * (1 - theta) ** 2
        return y0 + h * (s * theta**2 + d0 * tau) / below, s**2 * top / below**2

    s, tau = h / w, theta * (1 - theta)
    below = s + (d0 + d1 - 2 * s) * tau
    names = ("y", "log_slope")
    value, log_slope = parts(answer(x, x_knots, y_knots, slopes), names)
    per_knot = [Mistake((batch, bins + 1), "one for each knot", "First find the bin of each x."),
                Mistake((batch, bins), "one for each bin", "Pick the bin in which x lies.")]  # fmt: skip
    value = tensor(value, (batch,), name="your y", shapes=per_knot)
    close(
        value,
        truth,
        [
            Mistake(formula(d0=d1, d1=d0)[0], "You exchange the slopes at both ends of the bin.", "d₀ is at the left."),
            Mistake(formula(s=w / h)[0], "Your s is upside down.", "s = (y₁ − y₀) / (x₁ − x₀): height over width."),
            Mistake(truth - y0, "You forgot y₀, where the bin begins.", "y = y₀ + …"),
            Mistake(
                y0 + (truth - y0) / h, "You forgot the height of the bin.", "The fraction is multiplied by y₁ − y₀."
            ),
            Mistake(y0 + h * theta, "This is a straight line from knot to knot.", "Use the slopes d₀ and d₁."),
            Mistake(
                formula(theta=1 - theta)[0],
                "Your θ is measured from the right end of the bin.",
                "θ = (x − x₀) / (x₁ − x₀).",
            ),
            Mistake(
                formula(theta=theta * w)[0], "Your θ is not divided by the width of the bin.", "θ goes from 0 to 1."
            ),
            Mistake(
                y0 + h * (s * theta**2 + d0 * tau) / (s + (d0 + d1 - s) * tau),
                "The denominator lacks a factor 2.",
                "s + (d₀ + d₁ − 2s) θ (1 − θ).",
            ),
            *_other_bins(x, x_knots, y_knots, slopes),
        ],
        name="your y",
        hint="Check the ends: θ = 0 gives y₀, θ = 1 gives y₁.",
    )
    log_slope = tensor(log_slope, (batch,), name="your log_slope", shapes=per_knot)
    close(
        log_slope,
        rise.log(),
        [
            Mistake(rise, "You return the slope, not its logarithm.", "Take `log` at the end."),
            Mistake(
                -rise.log(), "The log-slope has the wrong sign: this is log dx/dy.", "This is the forward direction."
            ),
            Mistake(
                (rise * w).log(),
                "This is the slope with respect to θ, not to x.",
                "dθ/dx = 1 / (x₁ − x₀): divide by the width of the bin.",
            ),
            Mistake(
                (rise / s).log(), "The slope lacks a factor s: it is s².", "Check the left end: θ = 0 must give d₀."
            ),
            Mistake(
                (rise / s.square()).log(), "The slope lacks the factor s².", "Check the left end: θ = 0 must give d₀."
            ),
            Mistake(
                (rise * below).log(), "The denominator of the slope is not squared.", "It comes from the quotient rule."
            ),
            Mistake(
                formula(d0=d1, d1=d0)[1].log(),
                "You exchange the slopes at both ends of the bin in dy/dx.",
                "d₁ goes with θ², d₀ with (1 − θ)².",
            ),
            Mistake(s.log(), "This is the mean slope of the bin.", "The slope changes within the bin."),
            Mistake(0 * s, "Your log-slope is 0.", "Use the formula of dy/dx."),
        ],
        name="your log_slope",
        hint="Check the ends: θ = 0 gives d₀, θ = 1 gives d₁.",
    )
    column = torch.arange(batch) % (bins + 1)
    at = "at the knots"
    says = f"Exactly {at}, your {{}} is not a number."
    hint = "The last knot belongs to the last bin: look at the number of the bin there."
    y, log_slope = parts(answer(x_knots[rows, column], x_knots, y_knots, slopes), names)
    y = tensor(y, (batch,), name=f"your y {at}", not_finite=(says.format("y"), hint))
    close(y, y_knots[rows, column], name=f"your y {at}", hint=hint)
    log_slope = tensor(log_slope, (batch,), name=f"your log_slope {at}", not_finite=(says.format("log_slope"), hint))
    close(log_slope, slopes[rows, column].log(), name=f"your log_slope {at}", hint=hint)


def _other_bins(x: Tensor, x_knots: Tensor, y_knots: Tensor, slopes: Tensor) -> list[Mistake]:
    """The curve of a bin to the left or to the right of the one in which x lies, and of the first row's knots."""
    mistakes, rows = [], torch.arange(len(x))
    bins = x_knots.shape[1] - 1
    k = (x_knots[:, 1:-1] < x[:, None]).sum(1)
    for step, where in ((-1, "left"), (1, "right")):
        other = (k + step).clamp(0, bins - 1)
        x0, w = x_knots[rows, other], x_knots[rows, other + 1] - x_knots[rows, other]
        y0, h = y_knots[rows, other], y_knots[rows, other + 1] - y_knots[rows, other]
        d0, d1, s, theta = slopes[rows, other], slopes[rows, other + 1], h / w, (x - x0) / w
        y = y0 + h * (s * theta**2 + d0 * theta * (1 - theta)) / (s + (d0 + d1 - 2 * s) * theta * (1 - theta))
        mistakes.append(
            Mistake(
                y,
                f"You use the bin to the {where} of the one in which x lies.",
                "Bin k goes from knot k to knot k + 1.",
            )
        )
    first = [rows_[:1].expand_as(rows_) for rows_ in (x_knots, y_knots, slopes)]
    mistakes.append(
        Mistake(_gregory(x, *first)[0], "You use the knots of the first row for all x.", "Each x has its own knots.")
    )
    return mistakes


@exercise("flow.held_out", call="fit_flow(x_train)", seconds=60)
def held_out(answer: Callable, generator: Generator) -> str:
    from sklearn.mixture import GaussianMixture

    x_train, x_test = (checkerboard(n, generator)[0].double() for n in (5000, 4000))
    names = ("forward", "inverse")
    directions = parts(answer(x_train), names)
    for function, name in zip(directions, names, strict=True):
        if not callable(function):
            raise Wrong(
                f"Your {name} is a `{type(function).__name__}`, not a function.",
                "Return the two functions themselves, to be called on new points.",
            )
    forward, inverse = guard(directions[0], "forward(x)"), guard(directions[1], "inverse(z)")

    def ask(x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = parts(forward(x), ("z", "log_det"))
        log_det = tensor(log_det, (len(x),), name="the log_det of your forward", shapes=_one_number(2))
        return tensor(z, x.shape, name="the z of your forward"), log_det

    z, log_det = ask(x_test)
    few, few_log_det = ask(x_test[:7])
    if not (torch.allclose(few, z[:7], atol=1e-3) and torch.allclose(few_log_det, log_det[:7], atol=1e-2)):
        raise Wrong(
            "The z or log_det of a point depends on which other points you are asked about.",
            "Statistics of a batch make no density: use only x_train, and treat each new point by itself.",
        )
    returned = tensor(inverse(z[:500]), (500, 2), name="what your inverse returns")
    far = (returned - x_test[:500]).abs().max().item()
    if far > 0.01:
        raise Wrong(
            f"Your inverse does not undo your forward: inverse(forward(x)) is up to {far:.2g} away from x.",
            "Undo the last step first, with the network's answer to what was kept.",
        )
    at, step = x_test[:500], 1e-3
    columns = [ask(at + shift)[0] - ask(at - shift)[0] for shift in step * torch.eye(2, dtype=torch.float64)]
    measured = (torch.stack(columns, -1) / (2 * step)).slogdet().logabsdet
    own = log_det[:500]
    # At a kink of a spline the differences are coarse, so one point in ten may be off.
    if (own - measured).abs().quantile(0.9) > 0.05:
        if (own + measured).abs().quantile(0.9) < 0.05:
            raise Wrong("Your log_det has the wrong sign.", "forward goes from x to z: log |det dz/dx|.")
        worst = (own - measured).abs().argmax()
        raise Wrong(
            "Your log_det is not that of your forward: at a test point"
            f" it is {own[worst]:.3f}, small steps of x say {measured[worst]:.3f}.",
            "Try it with one layer and compare with `torch.autograd.functional.jacobian`.",
        )

    def log_prob(x: Tensor) -> Tensor:
        z, log_det = ask(x)
        return _log_normal(z) + log_det

    mass = integral.over_square(log_prob, generator, cells=200)
    if not 0.9 < mass < 1.1:
        raise Wrong(
            f"This is no density: over the plane it integrates to {mass:.3g}, not to 1.",
            "Every z must come from exactly one x, and every x must go to a z: is each step a bijection of the plane?",
        )
    reached, seen = (_log_normal(z) + log_det).mean().item(), log_prob(x_train).mean().item()
    mixture = GaussianMixture(COMPONENTS, max_iter=500, random_state=0).fit(x_train.numpy())
    goal = mixture.score(x_test.numpy()) + MARGIN
    if reached < goal:
        says = f"Your held-out log-likelihood is {reached:.3f} nats a point, the goal is {goal:.3f}"
        if seen - reached > 0.1:
            raise Wrong(
                f"{says}; on the training points it is {seen:.3f}: you overfit.", "A smaller network, fewer steps."
            )
        raise Wrong(
            f"{says}; on the training points it is {seen:.3f}: you underfit.",
            "Curves that bend (splines with many bins), more steps, a learning rate that falls to 0.",
        )
    return f"{reached:.2f} nats a held-out point (the goal was {goal:.2f}), and it integrates to {mass:.2f}."
