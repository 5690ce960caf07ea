"""Checks of chapter 4: a density of spirals."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import integral
from utils.checks.challenges import ask, missed, refuse_better_than, returned_function
from utils.checks.engine import exercise
from utils.checks.expect import tensor
from utils.checks.verdicts import Wrong
from utils.toys import SPIRALS_NOISE, spirals

# Nats per held-out point of `spirals` with 800 training points, over five seeds: one Gaussian reaches −2.82 to −2.79,
# K = 10 −2.57 to −2.40, K = 100 −2.62 to −2.38; K = 20 to 40 reach −1.90 to −1.74, the truth −1.59 to −1.56.
HELD_OUT_GOAL = -2.0


@exercise("gmm.held_out", call="fit_density(x_train)", seconds=60)
def held_out(answer: Callable, generator: Generator) -> str:
    x_train, x_test = (spirals(n, generator)[0].double() for n in (800, 2000))
    log_prob = returned_function(answer(x_train), "log_prob(x)", "Return `log_prob` itself, to be called on new x.")
    unlike = Wrong(
        "The log-density of a point depends on which other points you are asked about, or when.",
        "Use only x_train in `fit_density`; treat each new point by itself, and keep nothing.",
    )
    questions = x_test, x_train, integral.points_of_square(generator, cells=300)
    (value,), (seen,), (everywhere,) = ask(
        lambda x: (tensor(log_prob(x), (len(x),), name="your log_prob"),),
        *questions,
        generator=generator,
        unlike=unlike,
        size=2000,
    )
    mass = integral.of_density(
        everywhere, "Mixture weights sum to one, and each component carries its full normalizing constant."
    )
    reached, seen, truth = value.mean().item(), seen.mean().item(), _true_log_prob(x_test).mean().item()
    refuse_better_than(truth, reached, slack=0.1)
    if reached < HELD_OUT_GOAL:
        training = f"; on the training points it is {seen:.3f}"
        raise missed(
            f"Your held-out log-likelihood is {reached:.3f} nats a point, the goal is {HELD_OUT_GOAL}",
            (seen - reached > 0.5, f"{training}: you overfit.", "Fewer or wider components."),
            (True, f"{training}: you underfit.", "More components, more starts."),
        )
    return f"{reached:.2f} nats a held-out point (the goal was {HELD_OUT_GOAL}), and it integrates to {mass:.2f}."


def _true_log_prob(x: Tensor, steps: int = 600) -> Tensor:
    """log p of `spirals`, whose points are round Gaussians along two arms: (B, 2) -> (B,)."""
    t = ((torch.arange(steps, dtype=torch.float64) + 0.5) / steps).sqrt()
    radius, angle = 2 * math.sqrt(1 - SPIRALS_NOISE**2) * t, 3 * math.pi * t
    arm = radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)
    squares = torch.cdist(x, torch.cat([arm, -arm])).square() / SPIRALS_NOISE**2
    return (-squares / 2).logsumexp(-1) - math.log(2 * steps * 2 * math.pi * SPIRALS_NOISE**2)
