"""Checks of chapter 4: densities in log space."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator
from torch.distributions import MultivariateNormal

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor


@exercise("gmm.log_sum_exp", call="log_sum_exp(a)")
def log_sum_exp(answer: Callable, generator: Generator) -> None:
    a = draw.normal(generator, 4, 3)
    truth = a.exp().sum(-1).log()
    over_rows = [Mistake((3,), "you sum over the first axis", "The sum runs over the last axis: `dim=-1`.")]
    value = tensor(answer(a), (4,), shapes=over_rows)
    top = a.amax(-1)
    close(
        value,
        truth,
        [
            Mistake(
                truth - top, "You subtract the maximum but do not add it again.", "log Σ exp(a) = m + log Σ exp(a−m)."
            ),
            Mistake(
                truth + top, "You add the maximum without subtracting it inside the exponential.", "Use exp(a − m)."
            ),
            Mistake(truth.exp(), "The logarithm is missing: this is Σ exp(a).", "Take the log of the sum."),
            Mistake(truth - math.log(3), "This is the mean of the exponentials, not their sum.", "Use `sum`."),
            Mistake(a.sum(-1), "You take the logarithm before the sum: this is Σ log exp(a).", "First sum, then log."),
            Mistake(top, "This is only the maximum.", "Add log Σ exp(a − m)."),
        ],
    )
    subtract = "Subtract each row's maximum before the exponential and add it to the result."
    for shift, what in [(1000.0, "overflows for large"), (-1000.0, "underflows for very negative")]:
        says = f"Your function {what} inputs: subtract the maximum first."
        shifted = tensor(answer(a + shift), (4,), not_finite=(says, subtract))
        close(shifted, truth + shift, hint=subtract)
    rows = torch.tensor([[1000.0], [0.0], [-1000.0], [5.0]], dtype=torch.float64)
    says = "You subtract one maximum from all rows, so that the small rows underflow."
    hint = "Every row has its own maximum: `a.max(dim=-1, keepdim=True).values`."
    close(tensor(answer(a + rows), (4,), not_finite=(says, hint)), truth + rows[:, 0], hint=hint)
    wide = torch.tensor([[-1000.0, 3.0, 1.0], [800.0, -800.0, 0.0]], dtype=torch.float64)
    says = (
        "Your function overflows where the entries of a row are far apart: you subtract another one than the maximum."
    )
    top = torch.tensor([3 + math.log1p(math.exp(-2)), 800.0], dtype=torch.float64)
    close(
        tensor(answer(wide), (2,), not_finite=(says, hint)), top, name="your result for rows of large spread", hint=hint
    )
    for shape in ((2, 4, 3), (4, 1, 3)):
        batch, hint = draw.normal(generator, *shape), "Use the last axis, whatever comes before it."
        squeezed = [
            Mistake((4, 4), "`squeeze()` drops every axis of size 1", "Drop the last axis only: `squeeze(-1)`.")
        ]
        close(tensor(answer(batch), shape[:-1], shapes=squeezed), batch.exp().sum(-1).log(), hint=hint)


@exercise("gmm.gaussian_log_prob", call="gaussian_log_prob(x, mean, covariance)")
def gaussian_log_prob(answer: Callable, generator: Generator) -> None:
    x, mean, covariance = draw.normal(generator, 5, 3), draw.normal(generator, 3), draw.covariances(generator, dim=3)
    truth = MultivariateNormal(mean, covariance).log_prob(x)
    centered = x - mean
    quadratic = (centered @ covariance.inverse() * centered).sum(-1)
    log_det, constant = covariance.logdet(), 3 * math.log(2 * math.pi)
    factor = torch.linalg.cholesky(covariance)

    def formula(q=quadratic, d=log_det, c=constant):
        return -0.5 * (q + d + c)

    cholesky_squared = torch.linalg.solve(covariance, centered.mT).square().sum(0)
    transposed = torch.linalg.solve(factor.mT, centered.mT).square().sum(0)
    value = tensor(answer(x, mean, covariance), (5,))
    close(
        value,
        truth,
        [
            Mistake(truth.exp(), "You return the density, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x).", "`log_prob` is higher where x is more likely."),
            Mistake(formula(d=0), "You forgot the log-determinant.", "Add −½ log det Σ = −Σ log diag L."),
            Mistake(
                formula(d=-log_det), "The log-determinant has the wrong sign.", "A wide Gaussian is low: −½ log det Σ."
            ),
            Mistake(
                formula(d=log_det / 2), "log det Σ is twice Σ log diag L: a factor 2 is missing.", "det Σ = (det L)²."
            ),
            Mistake(formula(d=2 * log_det), "The log-determinant lacks its ½.", "−½ log det Σ = −Σ log diag L."),
            Mistake(formula(d=log_det.exp()), "You use the determinant, not its logarithm.", "Add −½ log det Σ."),
            Mistake(formula(q=2 * quadratic), "The quadratic form lacks its ½.", "It is −½ (x−μ)ᵀ Σ⁻¹ (x−μ)."),
            Mistake(formula(q=quadratic.sqrt()), "The distance |L⁻¹(x−μ)| is not squared.", "−½ |L⁻¹(x−μ)|²."),
            Mistake(
                formula(q=(centered.square() / covariance.diagonal()).sum(-1), d=covariance.diagonal().log().sum()),
                "You use the variances only: the features are taken for independent.",
                "The covariances off the diagonal count, too: solve with L.",
            ),
            Mistake(
                formula(q=(centered @ factor.mT).square().sum(-1)),
                "You multiply with L where you should solve with it.",
                "`torch.linalg.solve_triangular(L, (x − μ)ᵀ, upper=False)`.",
            ),
            Mistake(formula(q=-quadratic), "The quadratic form has the wrong sign.", "Far from the mean is unlikely."),
            Mistake(
                formula(c=0),
                "The constant is missing: −D/2 · log 2π.",
                "Without it the density does not integrate to 1.",
            ),
            Mistake(
                formula(c=constant / 3),
                "The constant lacks the dimension: −D/2 · log 2π, not −½ log 2π.",
                "D = 3 here.",
            ),
            Mistake(formula(c=2 * constant), "The constant lacks its ½: it is −D/2 · log 2π.", ""),
            Mistake(formula(c=-constant), "The constant has the wrong sign.", "It is −D/2 · log 2π."),
            Mistake(
                formula(q=(centered @ covariance * centered).sum(-1)),
                "You multiply with the covariance where its inverse belongs.",
                "Solve L y = x − μ; then the quadratic form is |y|².",
            ),
            Mistake(
                formula(q=cholesky_squared),
                "You use the covariance where its Cholesky factor belongs (a variance for a standard deviation).",
                "Solve with L, not with Σ; |Σ⁻¹(x−μ)|² is not the quadratic form.",
            ),
            Mistake(
                formula(q=transposed),
                "You solve with Lᵀ where L belongs.",
                "Σ = L Lᵀ, so (x−μ)ᵀ Σ⁻¹ (x−μ) = |L⁻¹(x−μ)|²: solve with `upper=False`.",
            ),
            Mistake(
                formula(q=((x + mean) @ covariance.inverse() * (x + mean)).sum(-1)),
                "You add the mean to x: it is subtracted.",
                "Center with x − μ.",
            ),
        ],
    )
    unit = 1e-15
    close(
        tensor(answer(unit * x, unit * mean, unit**2 * covariance), (5,)),
        truth - 3 * math.log(unit),
        name="your result when everything is measured in another unit, 10¹⁵ times as large,",
        hint="Nothing is added to a variance, and none is clamped.",
    )
    dim = 200
    says = "The determinant of a large covariance underflows to 0."
    hint = "Use Σ log diag L: logarithms first, then the sum."
    small, origin = 1e-3 * torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    large = tensor(answer(origin[None], origin, small), (1,), not_finite=(says, hint))
    close(large, MultivariateNormal(origin, small).log_prob(origin[None]), hint=hint)
