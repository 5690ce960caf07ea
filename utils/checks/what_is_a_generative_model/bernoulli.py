"""Checks of chapter 1: the model of independent pixels: fit, log p(x, y), missing pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


def _binary(generator: Generator, *shape: int) -> Tensor:
    """Zeros and ones, with at least one of each in every column."""
    x = (draw.uniform(generator, *shape) < 0.5).double()
    x[0], x[1] = 0, 1
    return x


def _joint(log_prior: Tensor, probs: Tensor, x: Tensor) -> Tensor:
    """p(x, y = c) as the product that defines it, (B, C): for few features with probabilities inside (0, 1)."""
    return log_prior.exp() * torch.where(x[:, None] == 1, probs, 1 - probs).prod(-1)


@exercise("generative.fit_bernoulli", call="fit_bernoulli(x, y, n_classes, alpha)")
def fit_bernoulli(answer: Callable, generator: Generator) -> None:
    sizes, dim, alpha = (4, 9, 6), 4, 0.7
    n, classes = sum(sizes), len(sizes)
    y = torch.repeat_interleave(torch.arange(classes), torch.tensor(sizes))
    y = y[torch.randperm(n, generator=generator)]
    x = _binary(generator, n, dim)
    x[:, 0] = (y == 1).double()  # never black in two classes, always in one
    groups = [x[y == c] for c in range(classes)]
    count = torch.tensor(sizes, dtype=torch.float64)[:, None]  # (C, 1)
    black = torch.stack([group.sum(0) for group in groups])  # (C, D)
    prior = count[:, 0] / n
    log_prior, probs = parts(answer(x, y, classes, alpha), ("log_prior", "probs"))
    swapped = [Mistake((dim,), "one number for each pixel", "A prior belongs to a class.")]
    close(
        tensor(log_prior, (classes,), name="your log_prior", shapes=swapped),
        prior.log(),
        [
            Mistake(prior, "You return the priors, not their logarithms.", "Take `log` of N_c / N."),
            Mistake(count[:, 0].log(), "Your priors are counts: the division by N is missing.", "π_c = N_c / N."),
            Mistake(count[:, 0], "Your priors are counts.", "Return log(N_c / N)."),
            Mistake(torch.full((classes,), -math.log(classes)), "Your priors are all 1/C.", "π_c = N_c / N: count."),
            Mistake(
                ((count[:, 0] + alpha) / (n + classes * alpha)).log(),
                "You smooth the priors, too.",
                "Only θ is smoothed here.",
            ),
        ],
        name="your log_prior",
    )
    pixel_first = [Mistake((dim, classes), "pixels come first", "A row of θ belongs to a class: transpose.")]
    smooth = "θ = (N_cd + α) / (N_c + 2α)."
    close(
        tensor(probs, (classes, dim), name="your probs", shapes=pixel_first),
        (black + alpha) / (count + 2 * alpha),
        [
            Mistake(black / count, "You forgot to smooth: what was never seen is impossible.", smooth),
            Mistake(
                (black + alpha) / (count + alpha),
                "You add α once to the count of examples: a pixel has two values.",
                "α times black and α times white make 2α more examples.",
            ),
            Mistake((black + alpha) / count, "You smooth the numerator only.", smooth),
            Mistake(black / (count + 2 * alpha), "You smooth the denominator only.", smooth),
            Mistake((black + alpha) / (count + 2), "You add 2 to the count of examples, where 2α belongs.", smooth),
            Mistake((black + 1) / (count + 2), "You smooth with α = 1, whatever `alpha` is.", smooth),
            Mistake(
                (black + alpha) / (count + classes * alpha),
                "You add α once for each class: a pixel has two values, so it is 2α.",
                "C is how many values a class has.",
            ),
            Mistake(
                (black + alpha) / (count + dim * alpha),
                "You add α once for each pixel: the D pixels are coins of their own, not one die with D sides.",
                smooth,
            ),
            Mistake(
                (black + alpha) / (n + 2 * alpha),
                "You divide by the number of all examples, not by that of the class.",
                "θ is p(x = 1 | y = c): divide by N_c.",
            ),
            Mistake(
                ((black.sum(0) + alpha) / (n + 2 * alpha)).expand(classes, dim),
                "Your probabilities are the same in all classes.",
                "Count the examples of each class apart.",
            ),
            Mistake(
                (count - black + alpha) / (count + 2 * alpha),
                "These are the probabilities of white, 1 − θ.",
                "θ is the probability of x = 1.",
            ),
            Mistake(
                ((black + alpha) / (count + 2 * alpha)).log(), "You return log θ.", "Return θ itself, no logarithm."
            ),
            Mistake(
                (black + alpha) / (black + alpha).sum(1, keepdim=True),
                "Your rows sum to one: you normalize over the pixels.",
                "Each pixel is a coin of its own; divide by N_c + 2α.",
            ),
        ],
        name="your probs",
        hint="Count by hand: one class, one pixel.",
    )
    tiny = 1e-12
    unsmoothed = tensor(
        parts(answer(x, y, classes, tiny), ("log_prior", "probs"))[1], (classes, dim), name="your probs"
    )
    if not torch.allclose(unsmoothed, (black + tiny) / (count + 2 * tiny), rtol=1e-5, atol=1e-15):
        raise Wrong(
            f"With α = {tiny:g} a pixel that was never black in a class must have a θ as small.",
            "Use `alpha` as it is given: clamp nothing.",
        )


@exercise("generative.log_joint", call="log_joint(log_prior, probs, x)")
def log_joint(answer: Callable, generator: Generator) -> None:
    n, classes, dim = 6, 3, 4
    log_prior, x = draw.unequal_probabilities(generator, classes).log(), _binary(generator, n, dim)
    probs = 0.1 + 0.8 * draw.uniform(generator, classes, dim)
    joint = _joint(log_prior, probs, x)
    truth = joint.log()
    black, white = x @ probs.log().T, (1 - x) @ (1 - probs).log().T
    shapes = [
        Mistake((n,), "you sum over the classes, too", "Keep one number for each class; the sum runs over pixels."),
        Mistake((n, dim), "you sum over the classes, not over the pixels", "The sum runs over the last axis."),
        Mistake((n, classes, dim), "the sum over the pixels is missing", "`.sum(-1)` over D."),
    ]
    value = tensor(answer(log_prior, probs, x), (n, classes), shapes=shapes)
    close(
        value,
        truth,
        [
            Mistake(joint, "You return the joint probability, not its logarithm.", "Add logarithms."),
            Mistake(-truth, "The sign is wrong: this is −log p(x, y).", "A log probability is at most 0."),
            Mistake(black + white, "You forgot the prior: this is log p(x | y).", "Add log π."),
            Mistake(
                log_prior + black, "You count the black pixels only.", "A white pixel has a probability, too: 1−θ."
            ),
            Mistake(log_prior + white, "You count the white pixels only.", "A black pixel has the probability θ."),
            Mistake(
                log_prior + (1 - x) @ probs.log().T + x @ (1 - probs).log().T,
                "Black and white are swapped.",
                "θ is the probability of x = 1.",
            ),
            Mistake(
                log_prior + (black + white) / dim,
                "You average over the pixels, where they are summed.",
                "Probabilities multiply, so logarithms add up.",
            ),
            Mistake(
                dim * log_prior + black + white,
                "You add the prior once for each pixel.",
                "The class is drawn once: add log π after the sum.",
            ),
            Mistake(log_prior.exp() + black + white, "You add the prior itself.", "Add its logarithm, as given."),
            Mistake(
                log_prior - black - white, "You subtract the pixels from log π.", "A product is a sum of logarithms."
            ),
            Mistake(black + white - log_prior, "You divide by the prior.", "Bayes multiplies: add log π."),
            Mistake(
                truth.log_softmax(-1),
                "You normalize over the classes: this is the posterior log p(y | x).",
                "Return the joint; its sum over the classes is p(x).",
            ),
            Mistake(
                log_prior + (x[:, None] * probs + (1 - x[:, None]) * (1 - probs)).sum(-1),
                "You add up probabilities: the logarithms are missing.",
                "Take the log of each factor, then sum.",
            ),
        ],
        hint="Compute one image with two pixels by hand.",
    )
    many = 2000
    says = "With many pixels the product underflows to 0."
    hint = "Add logarithms; never multiply the probabilities."
    half, pixels = torch.full((classes, many), 0.5, dtype=torch.float64), _binary(generator, n, many)
    large = tensor(answer(log_prior, half, pixels), (n, classes), not_finite=(says, hint))
    close(large, (log_prior - many * math.log(2)).expand(n, classes), hint=hint)
    _certain_pixels(answer, log_prior, probs, x)


def _certain_pixels(answer: Callable, log_prior: Tensor, probs: Tensor, x: Tensor) -> None:
    """θ = 0 in the first class and θ = 1 in the second, at pixel 0; the images have both values there."""
    others = _joint(log_prior, probs[:, 1:], x[:, 1:])
    factor = torch.stack([1 - x[:, 0], x[:, 0], torch.where(x[:, 0] == 1, probs[2, 0], 1 - probs[2, 0])], dim=-1)
    truth = (others * factor).log()  # −∞ where the class forbids the pixel
    certain = probs.clone()
    certain[0, 0], certain[1, 0] = 0, 1
    value = answer(log_prior, certain, x)
    hint = "`torch.xlogy(x, p)` is x log p, and 0 where x = 0."
    if isinstance(value, Tensor) and value.isnan().any():
        raise Wrong("You get NaN where θ is 0 or 1: 0 · log 0.", hint)
    possible = truth.isfinite()
    finite = tensor(torch.where(possible, value, 0), truth.shape, name="your result where θ is 0 or 1")
    close(finite, torch.where(possible, truth, 0), name="your result for possible images, where θ is 0 or 1", hint=hint)
    if not torch.equal(value == -math.inf, ~possible):
        raise Wrong(
            f"A black pixel where θ = 0 is impossible, log p = −∞; yours is {value[~possible].max().item():.4g}: "
            "you move the probabilities away from 0 and 1, or the logarithm away from −∞.",
            hint,
        )


@exercise("generative.log_joint_missing", call="log_joint_missing(log_prior, probs, x)")
def log_joint_missing(answer: Callable, generator: Generator) -> None:
    n, classes, dim = 6, 3, 5
    log_prior, x = draw.unequal_probabilities(generator, classes).log(), _binary(generator, n, dim)
    probs = 0.1 + 0.8 * draw.uniform(generator, classes, dim)
    hidden = draw.uniform(generator, n, dim) < 0.5
    hidden[0], hidden[1] = False, True  # a complete image, and one of which nothing is seen
    hidden[2] = torch.arange(dim) < 3
    truth, likeliest = torch.empty(2, n, classes, dtype=torch.float64)
    for b in range(n):
        where = hidden[b].nonzero().squeeze(-1)
        fillings = torch.tensor(list(itertools.product([0.0, 1.0], repeat=len(where))), dtype=torch.float64)
        completed = x[b].repeat(len(fillings), 1)
        completed[:, where] = fillings
        joint = _joint(log_prior, probs, completed)  # (2^m, C)
        truth[b], likeliest[b] = joint.sum(0).log(), joint.amax(0).log()
    missing = hidden.double()

    def filled_with(value: Tensor | float) -> Tensor:
        """log p(x, y) with a number between 0 and 1 in the place of each missing pixel."""
        value = torch.as_tensor(value, dtype=torch.float64).expand(n, classes, dim)
        full = torch.where(hidden[:, None], value, x[:, None])
        return log_prior + (full * probs.log() + (1 - full) * (1 - probs).log()).sum(-1)

    seen = truth - log_prior
    says = "You get NaN: NaN stays NaN, even when it is multiplied with 0."
    hint = "Ask where x is 1 and where it is 0: both are False for NaN. Or use `torch.where` before you multiply."
    value = tensor(
        answer(log_prior, probs, torch.where(hidden, torch.nan, x)),
        (n, classes),
        not_finite=(says, hint),
        shapes=[Mistake((n - 1, classes), "you drop an image", "An image with nothing seen still has a prior.")],
    )
    sum_out = "Sum over both values of the pixel: θ + (1 − θ)."
    close(
        value,
        truth,
        [
            Mistake(filled_with(0.0), "You take a missing pixel for white.", sum_out),
            Mistake(filled_with(1.0), "You take a missing pixel for black.", sum_out),
            Mistake(filled_with(0.5), "You fill in ½: that is a guess, not a sum.", sum_out),
            Mistake(filled_with(probs), "You fill in θ, the mean of the pixel: that is a guess, not a sum.", sum_out),
            Mistake(
                filled_with((probs > 0.5).double()),
                "You take the likeliest way to fill the gaps: max for sum.",
                sum_out,
            ),
            Mistake(likeliest, "You take the likeliest way to fill the gaps: max for sum.", sum_out),
            Mistake(
                truth - missing.sum(-1, keepdim=True) * math.log(2),
                "You average over the ways to fill the gaps: they are summed.",
                "Each way to fill in has its own probability already; sum them.",
            ),
            Mistake(
                truth + missing.sum(-1, keepdim=True) * math.log(2),
                "A missing pixel counts as a factor 2.",
                "θ + (1 − θ) is 1.",
            ),
            Mistake(
                log_prior + (seen * dim / (dim - missing.sum(-1, keepdim=True)).clamp_min(1)),
                "You scale up by the share of missing pixels: that invents evidence.",
                sum_out,
            ),
            Mistake(seen, "You forgot the prior.", "With nothing seen, the answer is log π."),
            Mistake(
                log_prior + ((x == 1) & ~hidden).double() @ probs.log().T,
                "You count the black pixels only.",
                "A white pixel has a probability, too: 1 − θ.",
            ),
            Mistake(
                log_prior + ((x == 0) & ~hidden).double() @ (1 - probs).log().T,
                "You count the white pixels only.",
                "A black pixel has the probability θ.",
            ),
            Mistake(truth.exp(), "You return the probability, not its logarithm.", ""),
        ],
        hint="Fill one missing pixel with 0 and with 1, and add the two probabilities.",
    )
