"""Checks of chapter 8: a generator of the eight corners."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import tensor
from utils.checks.guard import guard
from utils.checks.verdicts import Wrong

# Seeds 0 to 7, 2,000 steps with an R1 penalty: the rarest corner gets 7.1 to 8.2 % of the samples, 69 to 72 % are near
# a corner. A Gaussian with the data's moments puts below 1 % near each; the data blurred by 0.12 have 54 % near.
RAREST_CORNER, NEAR_A_CORNER, NEAR = 0.04, 0.6, 0.15
# Points of noises less than 0.0001 apart: networks below 0.001, training points that the noise picks above 0.6.
JUMP = 0.1


@exercise("gan.ring", call="fit_generator(x_train)", seconds=60)
def ring(answer: Callable, generator: Generator) -> None:
    corner = torch.arange(8, dtype=torch.float64) * 2 * math.pi / 8 + draw.between(generator, 0, 2 * math.pi)
    corners = torch.stack([corner.cos(), corner.sin()], dim=1)
    x = corners[torch.randint(8, (2000,), generator=generator)] + 0.03 * draw.normal(generator, 2000, 2)
    made = answer(x)
    if made is None:
        raise Wrong("Your function returns `None`, expected a generator.", "Did you forget `return`?")
    generate = guard(made, "generate(z)")
    noise = draw.normal(generator, 4000, 4)
    samples = tensor(generate(noise), (4000, 2), name="the sample")
    if samples.unique(dim=0).shape[0] < 3000:
        raise Wrong("Many noises give the very same point.", "A generator maps noise smoothly to points.")
    distance, nearest = torch.cdist(samples, corners).min(1)
    near = distance < NEAR
    shares = torch.bincount(nearest[near], minlength=8) / len(samples)
    if shares.min() < RAREST_CORNER:
        raise Wrong(
            f"A corner gets only {shares.min():.1%} of the samples; each needs {RAREST_CORNER:.0%}.",
            "Keep the discriminator flat at the data: an R1 penalty, or a gradient penalty; and train on.",
        )
    if near.double().mean() < NEAR_A_CORNER:
        raise Wrong(
            f"Only {near.double().mean():.0%} of the samples lie near a corner; {NEAR_A_CORNER:.0%} are asked for.",
            "Train longer, and let the learning rate fall to 0 at the end.",
        )
    jump = _largest_jump(lambda z: tensor(generate(z), (len(z), 2), name="the sample"), generator)
    if jump > JUMP:
        raise Wrong(
            f"Your generator jumps: noises less than 0.0001 apart give points {jump:.2f} apart.",
            "A generator maps noise smoothly to points, also between the corners; it does not pick training points.",
        )


def _largest_jump(generate: Callable, generator: Generator, pairs: int = 200, halvings: int = 17) -> float:
    """How far apart the points of nearly equal noises are: of each interval, the half that moves more is kept."""
    a, b = draw.normal(generator, 2, pairs, 4)
    of_a, of_b = generate(a), generate(b)
    for _ in range(halvings):
        middle = (a + b) / 2
        of_middle = generate(middle)
        first = ((of_a - of_middle).norm(dim=1) > (of_middle - of_b).norm(dim=1))[:, None]
        a, of_a = torch.where(first, a, middle), torch.where(first, of_a, of_middle)
        b, of_b = torch.where(first, middle, b), torch.where(first, of_middle, of_b)
    return (of_a - of_b).norm(dim=1).max().item()
