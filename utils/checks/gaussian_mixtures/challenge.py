"""Checks of chapter 4: a density of spirals."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator

from utils.checks import integral
from utils.checks.challenges import missed, returned_function
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import tensor
from utils.toys import spirals

# Nats per held-out point of `spirals` with 800 training points, over five seeds: one Gaussian reaches −2.82 to −2.79,
# K = 10 −2.57 to −2.40, K = 100 −2.62 to −2.38; K = 20 to 40 reach −1.90 to −1.74, the truth −1.59 to −1.56.
HELD_OUT_GOAL = -2.0


@exercise("gmm.held_out", call="fit_density(x_train)", seconds=60)
def held_out(answer: Callable, generator: Generator) -> str:
    x_train, x_test = (spirals(n, generator)[0].double() for n in (800, 2000))
    log_prob = returned_function(answer(x_train), "log_prob(x)", "Return `log_prob` itself, to be called on new x.")
    value = tensor(log_prob(x_test), (2000,), name="your log_prob")
    if not torch.allclose(log_prob(x_test[:7]), value[:7], rtol=1e-4, atol=1e-4):
        raise Wrong(
            "The log-density of a point depends on which other points you are asked about.",
            "Use only x_train in `fit_density`; treat each new point by itself.",
        )
    hint = "Mixture weights sum to one, and each component carries its full normalizing constant."
    mass = integral.of_density(log_prob, generator, hint)
    reached = value.mean().item()
    if reached < HELD_OUT_GOAL:
        seen = log_prob(x_train).mean().item()
        training = f"; on the training points it is {seen:.3f}"
        raise missed(
            f"Your held-out log-likelihood is {reached:.3f} nats a point, the goal is {HELD_OUT_GOAL}",
            (seen - reached > 0.5, f"{training}: you overfit.", "Fewer or wider components."),
            (True, f"{training}: you underfit.", "More components, more starts."),
        )
    return f"{reached:.2f} nats a held-out point (the goal was {HELD_OUT_GOAL}), and it integrates to {mass:.2f}."
