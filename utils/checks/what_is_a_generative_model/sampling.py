"""Checks of chapter 1: samples of the model of independent pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, name_mistake, parts, tensor
from utils.checks.verdicts import Wrong


@exercise("generative.sample", call="sample(log_prior, probs, u_class, u_pixels)")
def sample(answer: Callable, generator: Generator) -> None:
    n, classes, dim = 60, 4, 5
    prior = draw.unequal_probabilities(generator, classes).flip(0)
    probs = 0.1 + 0.8 * draw.uniform(generator, classes, dim)
    u_class, u_pixels = draw.uniform(generator, n), draw.uniform(generator, n, dim)
    u_class[0] = prior[:2].sum() + prior[2] / 2  # neither the likeliest class nor the last
    u_class[1], u_class[2] = 0, 1 - 2**-40  # near the ends of what `torch.rand` can draw

    def invert(shares: Sequence[float], u: float) -> int:
        below = 0.0
        for c, share in enumerate(shares):
            below += share
            if u < below:
                return c
        return len(shares) - 1

    classes_drawn = [invert(prior.tolist(), u) for u in u_class.tolist()]
    y = torch.tensor(classes_drawn)
    x = (u_pixels < probs[y]).double()
    mine, my_y = parts(answer(prior.log(), probs, u_class, u_pixels), ("images", "classes"))
    if isinstance(my_y, Tensor) and my_y.is_floating_point() and my_y.shape == (n,):
        raise Wrong(f"Your classes are `{my_y.dtype}`, expected `torch.int64`.", "A class is an index: `.long()`.")
    if isinstance(mine, Tensor) and mine.dtype == torch.bool:
        raise Wrong("Your images are `torch.bool`, expected `torch.float64`.", "Convert: `(u < p).to(probs)`.")
    my_y = tensor(my_y, (n,), torch.int64, "your classes")
    mine = tensor(mine, (n, dim), name="your images")
    increasing = prior.sort().values
    mistakes = [
        Mistake(
            y + 1, "Your classes are one too high: the first class is 0.", "Count the cumulative sums that are ≤ u."
        ),
        Mistake(y - 1, "Your classes are one too low: the first class is 0.", "The first c with u < π_0 + … + π_c."),
        Mistake(classes - 1 - y, "Your classes run backwards.", "Cumulate from class 0 upwards."),
        Mistake(y[:1].expand(n), "You draw one class for all examples.", "Each example has its own u_class."),
        Mistake(prior.argmax().expand(n), "You always take the most probable class.", "Draw it: use u_class."),
        Mistake(
            (u_class * classes).long(),
            "You draw every class equally often: the prior is not used.",
            "Compare u with the cumulative sums of the prior.",
        ),
        Mistake(
            (u_class[:, None] >= increasing.cumsum(0)).sum(-1).clamp(max=classes - 1),
            "You sort the prior: the classes lose their names.",
            "Cumulate in the order of the classes.",
        ),
        Mistake(
            (u_class[:, None] >= prior).sum(-1).clamp(max=classes - 1),
            "You compare u with the prior itself: cumulate it first.",
            "`cumsum`.",
        ),
        Mistake(
            torch.searchsorted(prior, u_class, right=True).clamp(max=classes - 1),
            "You compare u with the prior itself: cumulate it first.",
            "`cumsum`.",
        ),
        Mistake(
            (u_class[:, None] >= prior.log().cumsum(0)).sum(-1).clamp(max=classes - 1),
            "You cumulate the logarithms of the prior.",
            "Take `exp` first: probabilities add up to one.",
        ),
    ]
    if not torch.equal(my_y, y):
        name_mistake(my_y, mistakes)
    if not 0 <= my_y.min() <= my_y.max() < classes:
        raise Wrong(
            f"Your classes run from {my_y.min()} to {my_y.max()}, there are classes 0 to {classes - 1}.",
            "Rounding may leave the last cumulative sum below 1: the last class takes what is left.",
        )
    if not torch.equal(my_y, y):
        at = (my_y != y).nonzero()[0].item()
        raise Wrong(
            f"For u_class = {u_class[at]:.4f} and the prior {[round(p, 4) for p in prior.tolist()]} you draw class "
            f"{my_y[at]}, expected {y[at]}.",
            "The first c with u < π_0 + … + π_c.",
        )
    averaged = prior @ probs
    mistakes = [
        Mistake(1 - x, "Black and white are swapped: a pixel is 1 if u < θ.", "u < θ happens with probability θ."),
        Mistake(
            (u_pixels < averaged).double(),
            "Your pixels do not depend on the class: you use the mean of θ over the classes.",
            "Take the row of θ that belongs to the class drawn: `probs[y]`.",
        ),
        Mistake(
            (probs[y] > 0.5).double(),
            "You round θ, so that each class has one image only.",
            "Compare with the random number of each pixel: u < θ.",
        ),
        Mistake(probs[y], "You return θ itself, not a draw.", "A pixel is 1 if u < θ, else 0."),
        Mistake(
            (u_pixels[:, :1] < probs[y]).double(),
            "You use one random number for all pixels of an image.",
            "Each pixel has its own.",
        ),
        Mistake(
            (u_pixels < probs[0]).double(),
            "You draw all pixels from class 0.",
            "Take the row of θ that belongs to the class drawn: `probs[y]`.",
        ),
        Mistake(
            (u_class[:, None] < probs[y]).double(),
            "You use the random number of the class for the pixels, too.",
            "Pixels have their own random numbers, u_pixels.",
        ),
    ]
    close(mine, x, mistakes, name="your images", hint="A pixel is 1 if u < θ of its class, else 0.")
    _impossible_draws(answer, generator)


def _impossible_draws(answer: Callable, generator: Generator) -> None:
    """A class with π = 0, pixels with θ = 0 and θ = 1, and the ends of what `torch.rand` can draw."""
    prior = torch.tensor([0.0, 0.25, 0.75], dtype=torch.float64)
    probs = 0.1 + 0.8 * draw.uniform(generator, 3, 4)
    probs[:, 0], probs[:, 3] = 0.0, 1.0
    u_class = torch.tensor([0.0, 0.9], dtype=torch.float64)
    u_pixels = torch.tensor([[0.0, 0.5, 0.5, 1 - 2**-53], [0.0, 0.5, 0.5, 0.0]], dtype=torch.float64)
    x, y = parts(answer(prior.log(), probs, u_class, u_pixels), ("images", "classes"))
    y = tensor(y, (2,), torch.int64, "your classes")
    if y.tolist() != [1, 2]:
        raise Wrong(
            f"For u_class = 0 and 0.9 and the prior {prior.tolist()} you draw classes {y.tolist()}, expected [1, 2].",
            "A class of probability 0 is never drawn, not even for u = 0: the condition is u < π_0 + … + π_c, not ≤.",
        )
    short = torch.tensor([0.3, 0.3, 0.399999], dtype=torch.float64)  # rounded: the sum is below 1
    u_class = torch.tensor([0.9999995, 0.1], dtype=torch.float64)
    beyond = parts(answer(short.log(), probs, u_class, u_pixels), ("images", "classes"))[1]
    if tensor(beyond, (2,), torch.int64, "your classes").tolist() != [2, 0]:
        raise Wrong(
            f"Where the prior sums to 0.999999 you draw class {beyond[0]} for u_class = 0.9999995, expected the last.",
            "Rounding may leave the last cumulative sum below 1: the last class takes what is left.",
        )
    x = tensor(x, (2, 4), name="your images")
    if x[:, 0].any() or not x[:, 3].all():
        raise Wrong(
            "A pixel with θ = 0 comes out black, or one with θ = 1 white, for u = 0 or the largest u below 1.",
            "The condition is u < θ, not u ≤ θ.",
        )
