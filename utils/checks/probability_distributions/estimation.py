"""Checks of chapter 2: maximum likelihood, and a mean with its error."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


@exercise("dist.fit_multivariate_normal", call="fit_multivariate_normal(x)")
def fit_multivariate_normal(answer: Callable, generator: Generator) -> None:
    n, dim = 30, 3
    x = 2 + draw.normal(generator, n, dim) @ torch.linalg.cholesky(draw.covariances(generator, dim=dim)).mT

    def ask(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, covariance = parts(answer(x), ("mean", "covariance"))
        over_features = [
            Mistake((n,), "you average over the features", "The mean runs over the points: `dim=0`."),
            Mistake((), "one number for all features", "Each feature has its own mean: `x.mean(0)`."),
        ]
        of_points = [
            Mistake((n, n), "this is a covariance between points", "`torch.cov` takes features as rows: `x.T.cov()`."),
            Mistake((dim,), "these are variances only", "Keep the full D × D matrix."),
        ]
        return (
            tensor(mean, (dim,), name="your mean", shapes=over_features),
            tensor(covariance, (dim, dim), name="your covariance", shapes=of_points),
        )

    mean, covariance = ask(x)
    true_mean = x.sum(0) / n
    centered = x - true_mean
    scatter = sum(torch.outer(row, row) for row in centered)
    truth = scatter / n
    close(
        mean,
        true_mean,
        [
            Mistake(x.sum(0), "Your mean is a sum: the division by N is missing.", ""),
            Mistake(x.sum(0) / (n - 1), "You divide the mean by N − 1.", "A mean divides by N."),
            Mistake(x.median(0).values, "This is the median.", "The Gaussian's likelihood asks for the mean."),
        ],
        name="your mean",
    )
    diagonal = torch.diag(truth.diagonal())
    deviations = truth.diagonal().sqrt()
    close(
        covariance,
        truth,
        [
            Mistake(
                scatter / (n - 1),
                "You divide the covariance by N − 1: that is unbiased, but not of maximum likelihood.",
                "The likelihood is largest with N: `torch.cov(x.T, correction=0)`.",
            ),
            Mistake(scatter, "Your covariance is a sum: the division by N is missing.", ""),
            Mistake(
                x.mT @ x / n,
                "You did not subtract the mean in the covariance.",
                "It is the mean of (x−μ)(x−μ)ᵀ, not of x xᵀ.",
            ),
            Mistake(scatter / dim, "You divide by the number of features.", "Divide by the number of points N."),
            Mistake(
                truth / torch.outer(deviations, deviations), "This is the correlation.", "Do not divide by deviations."
            ),
            Mistake(
                diagonal,
                "Your covariance is diagonal.",
                "The entries off the diagonal are the means of (x_i−μ_i)(x_j−μ_j).",
            ),
            Mistake(
                diagonal.sqrt(), "You return the standard deviations where variances belong.", "Take no square root."
            ),
            Mistake(
                torch.linalg.cholesky(truth), "This is the Cholesky factor of the covariance.", "Return L Lᵀ itself."
            ),
            Mistake(truth.inverse(), "This is the precision, the inverse of the covariance.", "Do not invert."),
        ],
        name="your covariance",
    )
    if not torch.allclose(ask(x + 1e5)[1], truth, rtol=5e-5, atol=5e-5):
        raise Wrong(
            "Already at a distance of 100 000 your covariance loses its digits: you compute in float32.",
            "Stay in float64, as `x` is given.",
        )
    far = ask(x + 1e7)[1]
    if not torch.allclose(far, truth, rtol=1e-4, atol=1e-4):
        raise Wrong(
            "Far from the origin your covariance loses its digits: it is a small difference of two huge numbers.",
            "Subtract the mean first, then multiply; E[x xᵀ] − μμᵀ is right on paper only.",
        )


@exercise("dist.monte_carlo", call="monte_carlo(values, goal)")
def monte_carlo(answer: Callable, generator: Generator) -> None:
    n = 25
    values = 1 + 2 * draw.normal(generator, n)
    mean, variance = values.mean(), values.var(correction=1)
    deviation, biased = variance.sqrt(), values.std(correction=0)
    # So that the true number ends in a quarter: rounding up and to the nearest differ, whatever floating point does.
    whole = int(torch.randint(900, 1100, (1,), generator=generator))
    goal = (deviation / math.sqrt(whole + 0.25)).item()
    names = ("mean", "standard error", "number of values")
    mine, error, needed = parts(answer(values, goal), names)
    close(
        expect.number(mine, "your mean"),
        mean,
        [
            Mistake(values.sum(), "Your mean is a sum.", "Divide by n."),
            Mistake(values.sum() / (n - 1), "You divide the mean by n − 1.", "Only the variance has n − 1."),
            Mistake(values.median(), "This is the median.", "An expectation is estimated by the mean."),
        ],
        name="your mean",
    )
    root = math.sqrt(n)
    close(
        expect.number(error, "your standard error"),
        deviation / root,
        [
            Mistake(
                deviation,
                "This is the standard deviation of one value: the division by √n is missing.",
                "The mean of n values is √n times as sure as one of them.",
            ),
            Mistake(
                biased / root,
                "You divide the variance by n: the estimate asked for is unbiased, with n − 1.",
                "`values.std(correction=1)`.",
            ),
            Mistake(biased, "The division by √n is missing, and the variance needs n − 1.", "`values.std() / √n`."),
            Mistake(deviation / n, "You divide by n, not by √n.", "Variances shrink like 1/n, deviations like 1/√n."),
            Mistake(variance / n, "This is the squared standard error.", "Take the square root of variance / n."),
            Mistake(variance / root, "You divide the variance by √n.", "Take the standard deviation."),
            Mistake(
                deviation / math.sqrt(n - 1),
                "n − 1 belongs into the variance only: divide the standard deviation by √n.",
                "",
            ),
            Mistake(
                values.square().mean().sqrt() / root, "You did not subtract the mean.", "Deviations are from the mean."
            ),
            Mistake(2 * deviation / root, "These are two standard errors.", "Return one."),
            Mistake(1.96 * deviation / root, "This is half a 95 % interval.", "Return one standard error."),
        ],
        name="your standard error",
    )
    exact = whole + 0.25
    count = expect.number(needed, "your number of values")
    close(
        count,
        torch.tensor(math.ceil(exact)).double(),
        [
            Mistake(exact, "Your number of values is not a whole number.", "Round it up: `math.ceil`."),
            Mistake(
                math.floor(exact),
                "You round down, or to the nearest: with so few values the error is above the goal.",
                "Round it up.",
            ),
            Mistake(
                math.ceil(math.sqrt(exact)),
                "You forgot the square: half the error takes four times the values.",
                "Solve deviation / √n ≤ goal for n.",
            ),
            Mistake(
                math.ceil(exact / n),
                "You use the standard error where the standard deviation belongs.",
                "Solve deviation / √n ≤ goal for n.",
            ),
            Mistake(
                math.ceil(exact) - n,
                "This is how many values are still missing.",
                "The question is how many it takes in all.",
            ),
            Mistake(
                math.ceil(deviation / goal**2), "You square the goal, but not the deviation.", "(deviation / goal)²."
            ),
            Mistake(math.ceil(variance / goal), "You divide the variance by the goal, not by its square.", "√n …"),
            Mistake(
                math.ceil((biased / goal).square()),
                "You use the biased standard deviation here.",
                "With n − 1, as in the standard error.",
            ),
        ],
        name="your number of values",
        hint="Solve deviation / √n ≤ goal for n, and round up.",
    )
    # Deviation 6 and error 3, all steps of whichever formula in numbers that fractions hold: nothing is rounded.
    whole = parts(answer(torch.tensor([9.0, -3.0, -3.0, -3.0], dtype=torch.float64), 0.5), names)[2]
    close(
        expect.number(whole, "your number of values"),
        torch.tensor(144.0).double(),
        [Mistake(145, "You ask for one value more where the error just reaches the goal.", "≤, not <: `math.ceil`.")],
        name="your number of values for a standard deviation of 6 and a goal of ½",
        hint="Solve deviation / √n ≤ goal for n.",
    )
