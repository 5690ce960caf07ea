"""Checks of chapter 6: what the latents do, and ways between codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong


@exercise("vae.active_latents", call="active_latents(mean, log_variance)")
def active_latents(answer: Callable, generator: Generator) -> None:
    n = 400

    def spread(deviation: float, at: float = 0.0) -> Tensor:
        column = draw.normal(generator, n)
        return at + deviation * (column - column.mean()) / column.std()

    def of_two_values(deviation: float) -> Tensor:
        return deviation * (1 - 2 * (torch.randperm(n, generator=generator) % 2)).double()

    def seldom(count: int, size: float) -> Tensor:
        column = torch.zeros(n, dtype=torch.float64)
        column[torch.randperm(n, generator=generator)[:count]] = size
        return column

    late = torch.cat([torch.zeros(n - 30, dtype=torch.float64), spread(0.5)[:30]])
    # Mean over the examples, log-variance, whether it is active, and what it is that may be taken for something else.
    latents = [
        (spread(0.95), -2.5, True, "You miss a latent that tells much."),
        (spread(0.8, at=-2.0), -4.0, True, "You miss a latent that tells much."),
        (spread(20.0), -5.0, True, "You miss a latent that tells much."),
        (
            spread(0.003),
            0.0,
            False,
            "You confuse a collapsed latent, whose samples scatter while its mean stands still, with an active one.",
        ),
        (
            spread(0.003, at=3.0),
            0.0,
            False,
            "You call a latent active that is near 3 for every image: it pays nats and says nothing.",
        ),
        (
            spread(0.003),
            -6.0,
            False,
            "You call a latent active that is sure of itself but says the same about every image.",
        ),
        (spread(0.007), -0.1, False, "You call a latent active whose mean has variance 0.00005."),
        (spread(0.0, at=-1.0), -6.0, False, "You call a latent active that is the same for every image."),
        (spread(0.05), -0.1, False, "You call a latent active whose mean has variance 0.0025."),
        (of_two_values(0.097), -0.1, False, "You call a latent active whose mean has variance 0.0094."),
        (of_two_values(0.104), 0.0, True, "You miss a weak latent: its mean has variance 0.0108 over the examples."),
        (spread(0.15), 2.5, True, "You miss a weak latent: its mean has variance 0.0225 over the examples."),
        (seldom(1, 1.5), -0.1, False, "You call a latent active that stands still but for one image: variance 0.0056."),
        (seldom(9, 1.0), -0.1, True, "You miss a latent that tells of few images only: its mean has variance 0.022."),
        (late, -0.1, True, "You miss a latent that tells of the last images: look at all examples."),
    ]
    place = torch.randperm(len(latents), generator=generator)
    mean = torch.stack([latents[i][0] for i in place], dim=1)
    log_variance = torch.tensor([latents[i][1] for i in place]).double() + 0.01 * draw.normal(generator, *mean.shape)
    truth = torch.tensor([latents[i][2] for i in place])
    mask = answer(mean, log_variance)
    if isinstance(mask, Tensor) and not mask.dtype.is_floating_point and mask.dtype != torch.bool and mask.ndim == 1:
        raise Wrong("You return the indices of latents, not one truth value for each.", "Return the mask itself.")
    each = Mistake((n,), "one for each example", "The variance is over the examples: `dim=0`.")
    mask = tensor(mask, (len(latents),), torch.bool, shapes=[each])
    if torch.equal(mask, truth):
        return
    width = mean.amax(0) - mean.amin(0)
    variance, of_samples = mean.var(0), log_variance.exp().mean(0)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)
    hint = "Compare the variance of `mean` over the examples with 0.01, nothing else."
    rules = [
        (~truth, "Your answer is upside down: True means active."),
        (variance * (n - 1) > 0.01, "You sum the squared deviations where their mean belongs."),
        (mean.std(0) > 0.01, "You compare the standard deviation with 0.01."),
        *((width > least, "You compare the range, largest minus smallest.") for least in (0.01, 0.1, 0.2, 0.5, 1.0)),
        *(
            (variance > least, f"You compare the variance with {least}, not 0.01.")
            for least in (0.001, 0.005, 0.02, 0.1)
        ),
        (mean[: n // 2].var(0) > 0.01, "You look at the first half of the examples alone."),
        (mean.square().mean(0) > 0.01, "You forgot to subtract the mean over the examples: this is the mean square."),
        (kl > 0.01, "You compare the divergence: a latent may pay nats and say nothing."),
        (
            variance + of_samples > 0.01,
            "You confuse a collapsed latent, whose samples scatter while its mean stands still, with an active one.",
        ),
        (
            of_samples > 0.01,
            "You confuse a collapsed latent, whose samples scatter while its mean stands still, with an active one.",
        ),
        (variance > 0.01 * of_samples, "You compare with the variance of the samples."),
        (variance > 0.01 * variance.max(), "You compare with the most active latent."),
        ((mean.var() > 0.01).expand(len(latents)), "You take one variance over everything."),
        *(
            ((mean - mean.mean(0)).abs().mean(0) > least, "You compare the mean absolute deviation.")
            for least in (0.01, 0.1)
        ),
    ]
    for rule, says in rules:
        if torch.equal(mask, rule):
            raise Wrong(says, hint)
    raise Wrong(latents[place[mask != truth].min()][3], hint)


@exercise("vae.interpolate", call="interpolate(start, end, steps)")
def interpolate(answer: Callable, generator: Generator) -> None:
    batch, latent, steps = 3, 4, 5
    start = 2 * normalize(draw.normal(generator, batch, latent), dim=-1)
    # Angles of 40°, 75° and 110°, and lengths that differ from those at the start.
    angle = torch.tensor([40.0, 75.0, 110.0]).double().deg2rad()[:, None]
    across = draw.normal(generator, batch, latent)
    across = normalize(across - (across * start).sum(-1, keepdim=True) / 4 * start, dim=-1)
    length = torch.tensor([[3.0], [2.5], [3.5]]).double()
    end = length * (angle.cos() * start / 2 + angle.sin() * across)
    t = torch.linspace(0, 1, steps, dtype=torch.float64)[:, None, None]

    def turned(angle: Tensor, a: Tensor = start, b: Tensor = end, t: Tensor = t) -> Tensor:
        return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()

    name = "your way"
    wanted = (steps, batch, latent)
    shapes = [
        Mistake((batch, steps, latent), "steps and pairs are exchanged", "Steps come first: t is `(steps, 1, 1)`."),
        Mistake((steps + 1, batch, latent), "one step too many", "t takes `steps` values, 0 and 1 among them."),
        Mistake((steps + 2, batch, latent), "two steps too many", "t takes `steps` values, 0 and 1 among them."),
    ]
    says = "Your way is NaN: the cosine of the angle is beyond ±1."
    hint = "cos ω = a·b / (|a| |b|): divide by both lengths, for each pair."
    value = tensor(answer(start, end, steps), wanted, name=name, not_finite=(says, hint), shapes=shapes)
    flat = torch.cosine_similarity(start.flatten(), end.flatten(), dim=0).acos()
    straight = torch.lerp(start, end, t)
    lengths = torch.lerp(start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True), t)
    open_end = torch.arange(steps, dtype=torch.float64)[:, None, None] / steps
    close(
        value,
        turned(angle),
        [
            Mistake(
                straight,
                "This is the straight line: it passes nearer to the center.",
                "Weigh with the two sines; is your angle 0 or NaN?",
            ),
            Mistake(
                lengths * normalize(straight, dim=-1),
                "You push the straight line out to the sphere: its steps are unequal.",
                "Equal angles: weigh with sin((1 − t)ω) / sin ω and sin(tω) / sin ω.",
            ),
            Mistake(
                normalize(straight, dim=-1) * start.norm(dim=-1, keepdim=True),
                "You push the straight line out to the sphere: its steps are unequal.",
                "Equal angles: weigh with sin((1 − t)ω) / sin ω and sin(tω) / sin ω.",
            ),
            Mistake(
                turned(angle, start / 2, end / length),
                "Your codes have length 1: only the angle is computed from directions.",
                "Weigh `start` and `end` themselves.",
            ),
            Mistake(
                lengths * turned(angle, start / 2, end / length),
                "You interpolate the lengths separately.",
                "The formula weighs `start` and `end` themselves.",
            ),
            Mistake(turned(flat), "You use one angle for all pairs.", "`(start * end).sum(-1)`: each row has its own."),
            Mistake(turned(angle[:1]), "You use the first pair's angle for all.", "Each row has its own."),
            Mistake(turned(torch.pi / 2 - angle), "You take the arcsine of the cosine.", "ω = arccos(…)."),
            Mistake(
                turned(torch.pi / 2 - (torch.pi / 2 - angle).abs()),
                "You drop the sign of the cosine: angles above 90° become small.",
                "No `abs` before `acos`.",
            ),
            Mistake(
                turned(angle, t=torch.linspace(0, 1, steps + 2, dtype=torch.float64)[1:-1, None, None]),
                "Your way neither begins at `start` nor arrives at `end`.",
                "`torch.linspace(0, 1, steps)`.",
            ),
            Mistake(turned(angle).flip(0), "Your way goes from end to start.", "At t = 0 it is at `start`."),
            Mistake(
                turned(angle, t=open_end), "Your way never arrives.", "The last t is 1: `torch.linspace(0, 1, steps)`."
            ),
            Mistake(
                turned(angle) * angle.sin(), "You forgot to divide by sin ω.", "At t = 0 the way must be at `start`."
            ),
            Mistake(
                turned(angle.rad2deg()), "You use degrees: the sine takes radians.", "`acos` gives radians already."
            ),
        ],
        name=name,
        hint="Look at one pair, and at t = 0, ½ and 1.",
    )
    same = torch.tensor([[2.0, 0, 0, 0], [0, 1.0, 0, 0]]).double()
    further = torch.tensor([[4.0, 0, 0, 0], [0, 1.0, 0, 0]]).double()
    says = "Your way between codes in one direction is not finite: 0/0."
    hint = "For ω = 0 take the straight line, (1 − t) a + t b."
    value = tensor(answer(same, further, steps), (steps, 2, latent), name=name, not_finite=(says, hint))
    close(
        value,
        torch.lerp(same, further, t),
        name="your way between codes in one direction",
        hint=hint,
    )
    mixed = torch.stack([same[0], start[0]]), torch.stack([further[0], end[0]])
    value = tensor(answer(*mixed, steps), (steps, 2, latent), name=name, not_finite=(says, hint))
    close(
        value[:, 1],
        turned(angle)[:, 0],
        name="your way of a pair whose neighbor points in one direction",
        hint="Choose for each pair: `torch.where`.",
    )
    # The cosine of two that are parallel is 1 up to rounding: here and there it is above.
    a = draw.normal(generator, 200, 6)
    says = "Your way between codes in one direction is NaN: rounding makes their cosine larger than 1."
    not_finite = (says, "`clamp(-1, 1)` before `acos`.")
    value = tensor(answer(a, 2 * a, steps), (steps, 200, 6), name=name, not_finite=not_finite)
    close(value, torch.lerp(a, 2 * a, t), name="your way between codes in one direction", hint=hint)
    # Nearly one direction, and nearly opposite: only ω = 0 asks for the straight line.
    for near in (0.09, torch.pi - 0.03):
        angle = torch.full_like(angle, near)
        end = length * (angle.cos() * start / 2 + angle.sin() * across)
        value = tensor(answer(start, end, steps), wanted, name=name, not_finite=(says, not_finite[1]))
        straight = Mistake(
            torch.lerp(start, end, t),
            f"You take the straight line where the angle is {near:.2f}.",
            "Only where it is 0, or so near to it that sin ω = ω.",
        )
        close(value, turned(angle, b=end), [straight], name=f"your way for an angle of {near:.2f}")
