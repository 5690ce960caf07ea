"""Checks of chapter 12: gray levels drawn at a temperature."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, repeatable, tensor
from utils.checks.verdicts import Wrong


@exercise("ar.draw_level", call="draw_level(logits, temperature, uniforms)")
def draw_level(answer: Callable, generator: Generator) -> None:
    n, k = 200, 6

    counts = "Level 0 is the first one: count the cumulated sums that are ≤ u."
    rounding = "Rounding leaves the last cumulated sum below 1: clamp the result."

    def ask(logits: Tensor, temperature: float, u: Tensor, hint: str = counts) -> Tensor:
        level = repeatable(answer, logits, temperature, u, hint="Invert: no `multinomial`, `uniforms` are given.")
        level = tensor(level, (len(u),), torch.int64, name="your levels")
        if level.min() < 0 or level.max() >= logits.shape[1]:
            wrong = int(level.max()) if level.max() >= logits.shape[1] else int(level.min())
            raise Wrong(f"You return level {wrong}, but the levels are 0 to {logits.shape[1] - 1}.", hint)
        return level.double()

    def invert(p: Tensor, u: Tensor) -> Tensor:
        return (p.cumsum(-1) <= u[:, None]).sum(-1).clamp(max=p.shape[1] - 1).double()

    for temperature in (0.5, 2.0, 1.0):
        logits, u = 2 * draw.normal(generator, n, k), draw.uniform(generator, n)
        p = (logits / temperature).softmax(-1)
        truth = invert(p, u)
        plain = logits.softmax(-1)
        divide = "Divide the logits by the temperature, before the softmax."
        mistakes = [
            Mistake(logits.argmax(-1), "You take the likeliest level: nothing is drawn.", "Use the uniforms."),
            Mistake(
                k - 1 - invert(p.flip(-1), u),
                "You cumulate from the last level down, or take 1 − u for u.",
                "Level 0 gets the smallest uniforms.",
            ),
            Mistake((truth - 1).clamp_min(0), "Your levels are one too low.", "Count the sums that are ≤ u."),
            Mistake((truth + 1).clamp_max(k - 1), "Your levels are one too high.", "Count the sums that are ≤ u."),
            Mistake(
                invert((logits / temperature).softmax(0), u),
                "You normalize over the rows: each row is a distribution of its own.",
                "`softmax(-1)`.",
            ),
        ]
        if temperature != 1:
            mistakes = [
                Mistake(
                    invert((logits * temperature).softmax(-1), u),
                    "You multiply with the temperature: it divides.",
                    "A low temperature makes the logits large, and the choice sharp.",
                ),
                Mistake(
                    invert(plain, u),
                    "The temperature has no effect.",
                    f"{divide} Dividing probabilities by it and normalizing again changes nothing.",
                ),
                Mistake(
                    invert((plain / temperature).softmax(-1), u),
                    "The softmax is applied twice.",
                    divide,
                ),
                Mistake(
                    invert((logits / temperature**2).softmax(-1), u),
                    "You divide by the square of the temperature.",
                    divide,
                ),
                Mistake(
                    invert(plain / temperature, u),
                    "You divide probabilities by the temperature: they no longer sum to 1.",
                    divide,
                ),
                *mistakes,
            ]
        close(
            ask(logits, temperature, u),
            truth,
            mistakes,
            name="your choice of levels",
            hint="Smallest k with u < Σ_{j≤k} p(j).",
        )
    near = 0.002 * draw.normal(generator, n, k)
    likeliest = Mistake(near.argmax(-1), "At a low temperature you take the likeliest level.", "Draw at each τ > 0.")
    u, name = draw.uniform(generator, n), "your choice of levels at a low temperature"
    close(ask(near, 0.002, u), invert((near / 0.002).softmax(-1), u), [likeliest], name=name)
    logits = draw.normal(generator, 50, k)
    u = 0.02 + 0.96 * draw.uniform(generator, 50)
    overflown = (logits / 1e-5).exp()
    overflown = (overflown / overflown.sum(-1, keepdim=True)).cumsum(-1)
    scaled_once = ((logits - logits.max()) / 1e-5).exp()
    scaled_once = (scaled_once / scaled_once.sum(-1, keepdim=True)).cumsum(-1)
    nan = "At a temperature near 0 your exponentials overflow, and the probabilities are NaN."
    largest = "Only the likeliest level is left. `softmax` subtracts the largest logit first."
    close(
        ask(logits, 1e-5, u),
        logits.argmax(-1).double(),
        [
            Mistake((overflown <= u[:, None]).sum(-1), nan, largest),
            Mistake(
                (scaled_once <= u[:, None]).sum(-1),
                "You subtract one maximum for all rows: in the others all exponentials become 0.",
                "One maximum for each row; `softmax(-1)` does so.",
            ),
            Mistake((~(overflown > u[:, None])).sum(-1).clamp(max=k - 1), nan, largest),
        ],
        name="your choice of levels at a temperature near 0",
        hint=largest,
    )
    # Four levels alike: sums of 1/4, exactly; and a level that cannot be, where u is 0.
    exact = ask(torch.zeros(3, 4, dtype=torch.float64), 1.0, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    never = torch.tensor([[-1000.0, 0.0, 0.5], [0.0, -1000.0, 0.5]], dtype=torch.float64)
    lowest = ask(never, 1.0, torch.zeros(2, dtype=torch.float64))
    if exact.tolist() == [0.0, 1.0, 2.0] or lowest.tolist() == [0.0, 0.0]:
        raise Wrong("Where u equals a cumulated sum you stay below it: u < Σ is strict.", counts)
    close(exact, torch.tensor([1.0, 2.0, 3.0]).double(), name="your levels where u equals a cumulated sum", hint=counts)
    close(lowest, torch.tensor([1.0, 0.0]).double(), name="your levels where u is 0", hint=counts)
    logits, u = draw.normal(generator, 300, 256), torch.full((300,), 1 - 2**-53, dtype=torch.float64)
    if (ask(logits, 1.0, u, rounding) < 255).any():
        raise Wrong("Where u is just below 1 you do not return the last level.", rounding)
