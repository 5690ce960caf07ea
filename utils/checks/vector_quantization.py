"""Checks of chapter 7, Vector quantization: codes and a learned prior."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor


# TODO: a check of your own in place of this one. Inputs are asymmetric in every way that an answer could confuse.
@exercise("vector_quantization.log_prob", call="log_prob(x, rate)")
def log_prob(answer: Callable, generator: Generator) -> None:
    x, rate = 3 * draw.uniform(generator, 7), 0.5 + 2 * draw.uniform(generator, 7)
    close(
        tensor(answer(x, rate), (7,)),
        rate.log() - rate * x,
        [
            Mistake(-rate * x, "You forgot the normalizing constant.", "The density integrates to 1: add log λ."),
            Mistake(rate * (-rate * x).exp(), "This is the density, not its logarithm.", "log p(x) = log λ − λ x."),
        ],
    )
