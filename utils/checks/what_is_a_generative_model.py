"""Checks of chapter 1, what is a generative model?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal
from torch.nn.functional import one_hot

from utils.checks import draw, expect
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, parts, tensor
from utils.data import load

# Mean accuracy over five draws of five labels a class, for 21 seeds. With the labels alone naive Bayes reaches 0.77 to
# 0.81, Gaussians with one covariance 0.83 to 0.87, logistic regression 0.85 to 0.88, a support vector machine 0.86 to
# 0.89. With the unlabelled images, logistic regression that trains itself reaches 0.86 to 0.90 (8 seeds), EM with one
# covariance 0.87 to 0.92, EM with a covariance for each class 0.93 to 0.96, spread labels 0.93 to 0.96.
FEW_LABELS_GOAL, DRAWS = 0.91, 5


def _binary(generator: Generator, *shape: int) -> Tensor:
    """Zeros and ones, with at least one of each in every column."""
    x = (draw.uniform(generator, *shape) < 0.5).double()
    x[0], x[1] = 0, 1
    return x


def _is_nan(value: Any) -> bool:
    """Whether a value, whatever its type, is one number that is NaN."""
    return value is not None and bool(torch.as_tensor(value).isnan().all())


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


@exercise("generative.posterior", call="posterior(log_joint)")
def posterior(answer: Callable, generator: Generator) -> None:
    n, classes = 5, 3
    joint = draw.unequal_probabilities(generator, classes) * draw.uniform(generator, n, classes) * 0.9 + 0.01
    evidence = joint.sum(-1)
    probs, log_evidence = joint / evidence[:, None], evidence.log()
    names = ("probabilities", "log_evidence")

    def ask(log_joint: Tensor, not_finite: tuple[str, str] | None = None) -> tuple[Tensor, Tensor]:
        first, second = parts(answer(log_joint), names)
        over_examples = Mistake((classes,), "you sum over the examples", "p(x) of an image sums over its classes.")
        return (
            tensor(first, (n, classes), name="your p(y | x)", not_finite=not_finite),
            tensor(second, (n,), name="your log p(x)", not_finite=not_finite, shapes=[over_examples]),
        )

    mine, my_evidence = ask(joint.log())
    close(
        mine,
        probs,
        [
            Mistake(
                joint / joint.sum(0),
                "Your probabilities sum to one over the examples, not over the classes.",
                "Each example belongs to some class: normalize over the last axis.",
            ),
            Mistake(joint / joint.sum(), "You normalize over all examples at once.", "Each row sums to one."),
            Mistake(probs.log(), "You return log p(y | x).", "Take `exp` at the end."),
            Mistake(joint, "Your probabilities are not normalized: this is the joint.", "Divide by p(x)."),
            Mistake(
                joint / joint.amax(-1, keepdim=True),
                "You divide by the largest joint probability: your rows do not sum to one.",
                "Divide by the sum over the classes.",
            ),
            Mistake(
                joint.log() / joint.log().sum(-1, keepdim=True),
                "You normalize the logarithms, not the probabilities.",
                "Subtract log p(x), then take `exp`.",
            ),
            Mistake(
                one_hot(probs.argmax(-1), classes).double(),
                "You choose one class for certain.",
                "Return how probable each class is.",
            ),
        ],
        name="your p(y | x)",
        hint="Bayes: the joint, divided by its sum over the classes.",
    )
    close(
        my_evidence,
        log_evidence,
        [
            Mistake(evidence, "You return p(x), not its logarithm.", "p(x) of an image underflows; log p(x) does not."),
            Mistake(joint.log().sum(-1), "You add up logarithms: that is a product of joints.", "log of the sum."),
            Mistake(
                (evidence / classes).log(),
                "You average over the classes, where they are summed.",
                "The prior is in the joint already: p(x) = Σ p(x, y).",
            ),
            Mistake(
                joint.log().amax(-1), "You take the likeliest class only: max for sum.", "Each class may have made x."
            ),
            Mistake(-log_evidence, "The sign of log p(x) is wrong.", "It is log Σ_c p(x, y = c)."),
        ],
        name="your log p(x)",
        hint="log Σ_c exp(log p(x, y = c)).",
    )
    stay = "Stay in log space: subtract log p(x) (by `torch.logsumexp`) before you take `exp`."
    for shift, what in [(-2000.0, "underflows"), (2000.0, "overflows")]:
        says = f"The exponential {what}: for an image every p(x, y) may be far from 1."
        far, far_evidence = ask(joint.log() + shift, (says, stay))
        close(far, probs, name=f"your p(y | x) of a joint of about exp({shift:g})", hint=stay)
        close(far_evidence, log_evidence + shift, name=f"your log p(x) of a joint of about exp({shift:g})", hint=stay)
    impossible = joint.clone()
    impossible[:, 1] = 0
    says = "A class that is impossible, log p(x, y) = −∞, gives you NaN or infinity."
    hint = "Its probability is 0: exp(−∞ − log p(x)). Subtract finite numbers only."
    some, some_evidence = ask(impossible.log(), (says, hint))
    close(some, impossible / impossible.sum(-1, keepdim=True), name="your p(y | x) with an impossible class", hint=hint)
    close(some_evidence, impossible.sum(-1).log(), name="your log p(x) with an impossible class", hint=hint)


@exercise("generative.sample", call="sample(log_prior, probs, u_class, u_pixels)")
def sample(answer: Callable, generator: Generator) -> None:
    n, classes, dim = 60, 4, 5
    prior = draw.unequal_probabilities(generator, classes).flip(0)
    probs = 0.1 + 0.8 * draw.uniform(generator, classes, dim)
    u_class, u_pixels = draw.uniform(generator, n), draw.uniform(generator, n, dim)
    u_class[0], u_class[1] = 0, 1 - 2**-53  # the ends of what `torch.rand` can draw

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
    for wrong, says, hint in [
        (y + 1, "Your classes are one too high: the first class is 0.", "Count the cumulative sums that are ≤ u."),
        (y - 1, "Your classes are one too low: the first class is 0.", "The first c with u < π_0 + … + π_c."),
        (classes - 1 - y, "Your classes run backwards.", "Cumulate from class 0 upwards."),
        (y[:1].expand(n), "You draw one class for all examples.", "Each example has its own u_class."),
        (prior.argmax().expand(n), "You always take the most probable class.", "Draw it: use u_class."),
        (
            (u_class * classes).long(),
            "You draw every class equally often: the prior is not used.",
            "Compare u with the cumulative sums of the prior.",
        ),
        (
            (u_class[:, None] >= increasing.cumsum(0)).sum(-1).clamp(max=classes - 1),
            "You sort the prior: the classes lose their names.",
            "Cumulate in the order of the classes.",
        ),
        (
            (u_class[:, None] >= prior).sum(-1).clamp(max=classes - 1),
            "You compare u with the prior itself: cumulate it first.",
            "`cumsum`.",
        ),
        (
            torch.searchsorted(prior, u_class, right=True).clamp(max=classes - 1),
            "You compare u with the prior itself: cumulate it first.",
            "`cumsum`.",
        ),
        (
            (u_class[:, None] >= prior.log().cumsum(0)).sum(-1).clamp(max=classes - 1),
            "You cumulate the logarithms of the prior.",
            "Take `exp` first: probabilities add up to one.",
        ),
    ]:
        if torch.equal(my_y, wrong):
            raise Wrong(says, hint)
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
    for wrong, says, hint in [
        (1 - x, "Black and white are swapped: a pixel is 1 if u < θ.", "u < θ happens with probability θ."),
        (
            (u_pixels < averaged).double(),
            "Your pixels do not depend on the class: you use the mean of θ over the classes.",
            "Take the row of θ that belongs to the class drawn: `probs[y]`.",
        ),
        (
            (probs[y] > 0.5).double(),
            "You round θ, so that each class has one image only.",
            "Compare with the random number of each pixel: u < θ.",
        ),
        (probs[y], "You return θ itself, not a draw.", "A pixel is 1 if u < θ, else 0."),
        (
            (u_pixels[:, :1] < probs[y]).double(),
            "You use one random number for all pixels of an image.",
            "Each pixel has its own.",
        ),
        (
            (u_pixels < probs[0]).double(),
            "You draw all pixels from class 0.",
            "Take the row of θ that belongs to the class drawn: `probs[y]`.",
        ),
        (
            (u_class[:, None] < probs[y]).double(),
            "You use the random number of the class for the pixels, too.",
            "Pixels have their own random numbers, u_pixels.",
        ),
    ]:
        if torch.equal(mine, wrong):
            raise Wrong(says, hint)
    close(mine, x, name="your images", hint="A pixel is 1 if u < θ of its class, else 0.")


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
                "You fill in the likeliest value of each pixel: max for sum.",
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
            Mistake(truth.exp(), "You return the probability, not its logarithm.", ""),
        ],
        hint="Fill one missing pixel with 0 and with 1, and add the two probabilities.",
    )


@exercise("generative.logistic_weights", call="logistic_weights(means, covariance, prior)")
def logistic_weights(answer: Callable, generator: Generator) -> None:
    dim, prior = 3, 0.2 + 0.1 * draw.uniform(generator, 1).item()
    means, a = draw.normal(generator, 2, dim), draw.normal(generator, dim, dim)
    means[0] += 1
    covariance = a @ a.T / dim + 0.3 * torch.eye(dim, dtype=torch.float64)

    def log_odds(x: Tensor) -> Tensor:
        """Bayes' rule: log p(x, y = 1) − log p(x, y = 0)."""
        joint = [
            math.log(share) + MultivariateNormal(mean, covariance).log_prob(x)
            for share, mean in zip((1 - prior, prior), means, strict=True)
        ]
        return joint[1] - joint[0]

    # A function w·x + b is known by its values at the origin and at the D unit vectors.
    origin = torch.zeros(dim, dtype=torch.float64)
    b = log_odds(origin)
    w = log_odds(torch.eye(dim, dtype=torch.float64)) - b
    precision = covariance.inverse()
    difference = means[1] - means[0]
    mine, my_b = parts(answer(means, covariance, prior), ("w", "b"))
    close(
        tensor(mine, (dim,), name="your w"),
        w,
        [
            Mistake(-w, "w points from class 1 to class 0.", "σ(w·x + b) is p(y = 1): it grows towards μ₁."),
            Mistake(difference, "You forgot Σ⁻¹ in w.", "w = Σ⁻¹ (…): solve with the covariance."),
            Mistake(
                covariance @ difference,
                "You multiply with the covariance where its inverse belongs.",
                "`torch.linalg.solve(covariance, …)`.",
            ),
            Mistake(w / 2, "w is half as long as it should be.", "The cross term of −½ (x−μ)ᵀ Σ⁻¹ (x−μ) is μᵀ Σ⁻¹ x."),
            Mistake(
                2 * w, "w is twice as long as it should be: the ½ of the quadratic form is lost.", "−½ · (−2) = 1."
            ),
            Mistake(
                precision @ means.sum(0), "You add the means in w.", "Class 0 enters the log-odds with a minus sign."
            ),
            Mistake(precision @ means[1], "You left class 0 out of w.", "Class 0 enters the log-odds with a minus."),
            Mistake(
                difference / covariance.diagonal(),
                "You use the variances only.",
                "The covariances off the diagonal turn w: solve with the whole Σ.",
            ),
        ],
        name="your w",
        hint="Collect in step 4 all that multiplies x.",
    )
    quadratic = [(mean @ precision @ mean).item() for mean in means]
    odds = math.log(prior / (1 - prior))

    def formula(one=-0.5 * quadratic[1], zero=0.5 * quadratic[0], odds=odds):
        return one + zero + odds

    close(
        expect.number(my_b, "your b"),
        b,
        [
            Mistake(formula(odds=0), "You forgot the prior in b.", "Step 2 leaves log π/(1−π)."),
            Mistake(
                formula(odds=-odds), "The prior enters b with the wrong sign.", "A frequent class 1 makes b large."
            ),
            Mistake(
                formula(odds=math.log(prior)), "You left 1 − π out: b holds the logarithm of the odds.", "log π/(1−π)."
            ),
            Mistake(formula(odds=prior / (1 - prior)), "You add the odds, not their logarithm.", "log π/(1−π)."),
            Mistake(formula(odds=prior), "You add the prior itself to b.", "Step 2 leaves log π/(1−π)."),
            Mistake(formula(-quadratic[1], quadratic[0]), "The quadratic terms of b lack their ½.", "−½ μ₁ᵀ Σ⁻¹ μ₁ …"),
            Mistake(
                formula(0.5 * quadratic[1], -0.5 * quadratic[0]),
                "The quadratic terms of b have the wrong sign.",
                "From −½ (x−μ₁)ᵀ Σ⁻¹ (x−μ₁) stays −½ μ₁ᵀ Σ⁻¹ μ₁.",
            ),
            Mistake(
                formula(zero=-0.5 * quadratic[0]),
                "Both quadratic terms of b have the same sign.",
                "Class 0 is subtracted: + ½ μ₀ᵀ Σ⁻¹ μ₀.",
            ),
            Mistake(
                -0.5 * (difference @ precision @ difference) + odds,
                "You take the quadratic form of the difference of the means.",
                "Multiply out: −½ μ₁ᵀ Σ⁻¹ μ₁ + ½ μ₀ᵀ Σ⁻¹ μ₀.",
            ),
            Mistake(odds, "b holds the prior only.", "Step 3 leaves −½ μ₁ᵀ Σ⁻¹ μ₁ + ½ μ₀ᵀ Σ⁻¹ μ₀, too."),
            Mistake(-b, "The sign of b is wrong.", "σ(w·x + b) is p(y = 1)."),
            Mistake(
                -0.5 * (means[1].square().sum() - means[0].square().sum()) + odds,
                "You forgot Σ⁻¹ in the quadratic terms of b.",
                "−½ μ₁ᵀ Σ⁻¹ μ₁ + ½ μ₀ᵀ Σ⁻¹ μ₀.",
            ),
        ],
        name="your b",
        hint="Put x = 0 into the log-odds: what is left is b.",
    )


@exercise("generative.auroc", call="auroc(familiar, strange)")
def auroc(answer: Callable, generator: Generator) -> None:
    def draw(n: int) -> Tensor:
        return torch.randint(0, 6, (n,), generator=generator).double()

    def enumerate_pairs(familiar: Tensor, strange: Tensor, tie: float = 0.5) -> float:
        pairs = itertools.product(familiar.tolist(), strange.tolist())
        won = [1.0 if s > t else tie if s == t else 0.0 for s, t in pairs]
        return sum(won) / len(won)

    n, m = 41, 23
    familiar, strange = draw(n) + 2, draw(m)
    familiar[0], strange[0] = 3, 3  # at least one tie
    familiar[1], strange[1] = 7, 0
    truth, area = (torch.tensor(enumerate_pairs(familiar, strange, tie)).double() for tie in (0.5, 0.0))
    value = expect.number(answer(familiar, strange), "your AUROC")
    middle = torch.cat([familiar, strange]).median()
    right = ((familiar > middle).sum() + (strange <= middle).sum()) / (n + m)
    close(
        value,
        truth,
        [
            Mistake(1 - truth, "Your AUROC is upside down: familiar should score higher.", "Count s > t, not s < t."),
            Mistake(area, "You count a tie as 0.", "Equal scores do not tell who is who: ½."),
            Mistake(enumerate_pairs(familiar, strange, 1.0), "You count a tie as 1.", "Equal scores count ½."),
            Mistake(truth * n * m, "You count the pairs, but do not divide by N · M.", "It is a share of the pairs."),
            Mistake(truth * m, "You divide by N only: there are N · M pairs.", "Take the mean over all pairs."),
            Mistake(truth * n, "You divide by M only: there are N · M pairs.", "Take the mean over all pairs."),
            Mistake(right, "This is the accuracy at one threshold.", "Compare all pairs, without a threshold."),
            Mistake(2 * truth - 1, "This runs from −1 to 1: wins minus losses.", "Count wins, and half of the ties."),
        ],
        name="your AUROC",
        hint="Count for three familiar and two strange scores by hand.",
    )
    same = draw(n)
    one_to_one = ((familiar > same).double() + 0.5 * (familiar == same)).mean()
    value = expect.number(answer(familiar, same), "your AUROC")
    says = "With as many strange as familiar scores you compare s_1 with t_1, s_2 with t_2, …: only N pairs."
    hint = "Every familiar score meets every strange one: `familiar[:, None]`."
    close(
        value,
        torch.tensor(enumerate_pairs(familiar, same)).double(),
        [Mistake(one_to_one, says, hint)],
        name="your AUROC",
    )
    low = torch.full((2,), -math.inf, dtype=torch.float64)
    familiar, strange = torch.cat([familiar, low]), torch.cat([strange, low[:1]])
    value = answer(familiar, strange)
    subtracted, compare = "−∞ − (−∞) is NaN", "Compare the scores; do not subtract them."
    if _is_nan(value):
        raise Wrong(f"Scores of −∞ give you NaN: {subtracted}.", compare)
    finite_ties = enumerate_pairs(familiar, strange) - 0.5 * 2 / (len(familiar) * len(strange))
    close(
        expect.number(value, "your AUROC"),
        torch.tensor(enumerate_pairs(familiar, strange)).double(),
        [Mistake(finite_ties, f"You do not see that two scores of −∞ are a tie: {subtracted}, not 0.", compare)],
        name="your AUROC with scores of −∞",
        hint="−∞ is lower than every number, and equal to −∞.",
    )


@exercise("generative.calibration_error", call="calibration_error(probs, y, n_bins)")
def calibration_error(answer: Callable, generator: Generator) -> None:
    n, classes, n_bins = 60, 3, 10
    # Unsure examples are right, sure ones are often wrong: both signs of the difference occur. Four are certain.
    confidence = 0.4 + 0.6 * draw.uniform(generator, n)
    confidence = torch.where((confidence * n_bins - (confidence * n_bins).round()).abs() < 1e-3, 0.555, confidence)
    confidence = torch.where((confidence > 0.7) & (confidence < 0.8), 0.65, confidence)  # an empty bin
    confidence[:4] = 1
    predicted = torch.randint(0, classes, (n,), generator=generator)
    other = ((1 - confidence) / 2)[:, None].expand(n, classes)
    probs = torch.where(one_hot(predicted, classes).bool(), confidence[:, None], other)
    wrong = (confidence > 0.8) & (draw.uniform(generator, n) < 0.6)
    wrong[:4] = torch.tensor([True, True, False, True])
    y = torch.where(wrong, (predicted + 1) % classes, predicted)
    right = (~wrong).double()

    def gaps(confidence: Tensor, right: Tensor, low: float = 0.0) -> tuple[Tensor, Tensor]:
        """Number of examples, and accuracy minus confidence, of each bin that has any."""
        counts, differences = [], []
        edges = torch.linspace(low, 1, n_bins + 1, dtype=torch.float64).tolist()
        for left, end in itertools.pairwise(edges):
            inside = (confidence >= left) & ((confidence < end) | (end == edges[-1]))
            if inside.any():
                counts.append(inside.sum())
                differences.append(right[inside].mean() - confidence[inside].mean())
        return torch.stack(counts).double(), torch.stack(differences)

    count, gap = gaps(confidence, right)
    truth = (count * gap.abs()).sum() / n
    below = confidence < 1
    count_below, gap_below = gaps(confidence[below], right[below])
    lost = (count_below * gap_below.abs()).sum()
    of_class_1 = gaps(probs[:, 1], (y == 1).double())
    stretched = gaps(confidence, right, low=1 / classes)
    value = answer(probs, y, n_bins)
    if _is_nan(value):
        raise Wrong("You get NaN: an empty bin is 0/0.", "Leave out the bins without examples; they count nothing.")
    names_the_last_bin = "A confidence of exactly 1 belongs to the last bin: mind `<` and `<=`."
    close(
        expect.number(value, "your calibration error"),
        truth,
        [
            Mistake(
                gap.abs().mean(),
                "You average over the bins as if all were equally full.",
                "Weigh each bin with N_m / N.",
            ),
            Mistake(
                gap.abs().sum() / n_bins,
                "You average over the bins as if all were equally full.",
                "Weigh each bin with N_m / N.",
            ),
            Mistake(gap.abs().sum(), "You sum the bins without their weights.", "Weigh each bin with N_m / N."),
            Mistake((count * gap.abs()).sum(), "The weights are N_m / N: the division by N is missing.", ""),
            *(
                Mistake(
                    value,
                    "Too sure in one bin and too modest in another cancel: the absolute value comes too late or never.",
                    "Take |accuracy − confidence| in each bin, then sum.",
                )
                for value in ((count * gap).sum() / n, -(count * gap).sum() / n)
            ),
            Mistake(
                (right - confidence).abs().mean(),
                "You compare example by example: one example is either right or wrong, never 70 % right.",
                "Average in each bin first, then take the absolute difference.",
            ),
            Mistake((count * gap.square()).sum() / n, "You square the differences.", "Take their absolute values."),
            Mistake(
                (count * gap.square()).sum().div(n).sqrt(), "You square the differences.", "Take their absolute values."
            ),
            Mistake(gap.abs().max(), "This is the worst bin, not the weighted mean of all.", "Sum N_m / N · |…|."),
            Mistake(lost / n, "You lose the examples of confidence 1.", names_the_last_bin),
            Mistake(lost / below.sum(), "You lose the examples of confidence 1.", names_the_last_bin),
            Mistake(
                (of_class_1[0] * of_class_1[1].abs()).sum() / n,
                "You take the probability of class 1, as if there were two classes.",
                "Confidence is the highest probability in the row.",
            ),
            Mistake(
                (stretched[0] * stretched[1].abs()).sum() / n,
                "Your bins start at 1/C.",
                "They divide the whole range from 0 to 1.",
            ),
            Mistake(1 - right.mean(), "This is the error rate.", "Compare accuracy and confidence in each bin."),
        ],
        name="your calibration error",
        hint="Take `n_bins` = 1 first: |accuracy − mean confidence|.",
    )


@exercise("generative.few_labels", call="few_labels(x_labelled, y_labelled, x_unlabelled)", seconds=60)
def few_labels(answer: Callable, generator: Generator) -> str:
    digits = load("digits").flat()
    x_train, x_test = digits.x_train.double(), digits.x_test.double()
    accuracies = []
    for _ in range(DRAWS):
        order = torch.randperm(len(x_train), generator=generator)
        chosen = torch.cat([order[digits.y_train[order] == c][:5] for c in range(10)])
        labelled = chosen[torch.randperm(len(chosen), generator=generator)]
        unlabelled = torch.ones(len(x_train), dtype=torch.bool)
        unlabelled[labelled] = False
        given = x_train[labelled], digits.y_train[labelled], x_train[unlabelled]
        predicted = _predict(answer(*given), x_test)
        accuracies.append((predicted == digits.y_test).double().mean().item())
    reached = sum(accuracies) / DRAWS
    if reached >= FEW_LABELS_GOAL:
        return f"{reached:.3f} of the test digits are right (the goal was {FEW_LABELS_GOAL})."
    says = f"Your mean accuracy is {reached:.3f} ({min(accuracies):.3f} to {max(accuracies):.3f}), "
    says += f"the goal is {FEW_LABELS_GOAL}"
    if torch.equal(_predict(answer(given[0], given[1], given[2][:25]), x_test), predicted):
        raise Wrong(
            f"{says}; with 25 unlabelled images instead of all you predict the same: they go unused.",
            "Guess their classes softly, p(y | x), fit the model to all images, and guess again.",
        )
    raise Wrong(
        f"{says}; the unlabelled images are used, but not enough is made of them.",
        "Let each class have its own covariance, drawn towards the one of all classes; keep the known labels fixed.",
    )


def _predict(returned: Callable, x: Tensor) -> Tensor:
    """The classes of `x`, if `returned` is a function that predicts each example by itself."""
    if not callable(returned):
        kind = type(returned).__name__
        raise Wrong(f"Your function returns a `{kind}`, not a function.", "Return `predict`, to be called on new x.")
    predict = guard(returned, "predict(x)")
    n = len(x)
    value = predict(x)
    if isinstance(value, Tensor) and value.shape == (n, 10):
        raise Wrong("`predict` returns ten numbers for each image, not its class.", "Take `argmax(-1)`.")
    classes = tensor(value, (n,), torch.int64, "your prediction")
    if not 0 <= classes.min() <= classes.max() <= 9:
        raise Wrong(f"Your classes run from {classes.min()} to {classes.max()}, expected 0 to 9.", "Return the digit.")
    if not torch.equal(predict(x[:7]), classes[:7]):
        raise Wrong(
            "The prediction of an image depends on which other images you are asked about.",
            "Learn from the training images only; treat each new image by itself.",
        )
    return classes
