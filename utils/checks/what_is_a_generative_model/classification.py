"""Checks of chapter 1: from the joint to p(y | x), and to logistic regression."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal
from torch.nn.functional import one_hot

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor


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
            Mistake(
                log_evidence - joint.log().amax(-1),
                "You subtract the maximum, but do not add it again: log p(x) lacks it.",
                "log Σ exp(a) = m + log Σ exp(a − m).",
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
    apart = torch.tensor([[0.0], [-900.0], [600.0], [-2500.0], [40.0]], dtype=torch.float64)
    says = "You subtract one maximum from all rows, so that the rows far below it underflow."
    own = "Every image has its own: `logsumexp(-1)`, or `amax(-1, keepdim=True)`."
    some, some_evidence = ask(joint.log() + apart, (says, own))
    close(some, probs, name="your p(y | x) of images some of which are far less likely than others", hint=own)
    close(some_evidence, log_evidence + apart[:, 0], name="your log p(x) of such images", hint=own)
    impossible = joint.clone()
    impossible[:, 1] = 0
    says = "A class that is impossible, log p(x, y) = −∞, gives you NaN or infinity."
    hint = "Its probability is 0: exp(−∞ − log p(x)). Subtract finite numbers only."
    some, some_evidence = ask(impossible.log(), (says, hint))
    close(some, impossible / impossible.sum(-1, keepdim=True), name="your p(y | x) with an impossible class", hint=hint)
    close(some_evidence, impossible.sum(-1).log(), name="your log p(x) with an impossible class", hint=hint)


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
