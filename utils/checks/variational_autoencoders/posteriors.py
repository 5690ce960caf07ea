"""Checks of chapter 6: exact posteriors, and the best diagonal one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


@exercise("vae.linear_posterior", call="linear_posterior(x, weights, bias, variance)")
def linear_posterior(answer: Callable, generator: Generator) -> None:
    batch, pixels, latent, variance = 4, 5, 2, 0.3
    x, bias = draw.normal(generator, batch, pixels), 1 + draw.normal(generator, pixels).abs()
    # Two columns that are neither short nor parallel, so that no term is small.
    weights = (
        torch.linalg.qr(draw.normal(generator, pixels, latent))[0] @ torch.tensor([[0.9, 0.5], [0.0, 0.7]]).double()
    )
    eye = torch.eye(latent, dtype=torch.float64)
    # The truth by another way: the joint Gaussian of z and x, conditioned on x.
    of_x = weights @ weights.mT + variance * torch.eye(pixels, dtype=torch.float64)
    mean = (x - bias) @ torch.linalg.solve(of_x, weights)
    covariance = eye - weights.mT @ torch.linalg.solve(of_x, weights)
    gram = weights.mT @ weights

    def posterior(precision: Tensor, scale: float = variance, centered: Tensor = x - bias) -> tuple[Tensor, Tensor]:
        spread = precision.inverse()
        return centered @ weights @ spread / scale, spread

    no_prior, deviation = posterior(gram / variance), posterior(eye + gram / variance**2, variance**2)
    root = posterior(eye + gram / variance**0.5, variance**0.5)
    unit = posterior(eye + gram, 1)
    names = ("means", "covariance")
    values = parts(answer(x, weights, bias, variance), names)
    mine = [
        tensor(value, shape, name=f"your {name}", shapes=shapes)
        for value, shape, name, shapes in zip(
            values,
            ((batch, latent), (latent, latent)),
            names,
            (
                [],
                [
                    Mistake((latent,), "these are variances only", "Latents may be correlated: keep the matrix."),
                    Mistake(
                        (batch, latent, latent),
                        "one for each example",
                        "It does not depend on x: return one matrix for all.",
                    ),
                    Mistake(
                        (pixels, pixels), "this is a covariance of pixels", "z has L coordinates: use Wᵀ W, not W Wᵀ."
                    ),
                ],
            ),
            strict=True,
        )
    ]
    prior_hint = "The prior's precision is I: Λ = I + WᵀW / σ²."
    squared_hint = "`variance` is σ² already."
    close(
        mine[1],
        covariance,
        [
            Mistake(covariance.inverse(), "This is the precision Λ, not the covariance.", "Return its inverse."),
            Mistake(no_prior[1], "You forgot the prior in the covariance.", prior_hint),
            Mistake(deviation[1], "You squared `variance`: it is σ² already.", squared_hint),
            Mistake(root[1], "You took the root of `variance`: Λ has σ² in it.", "Λ = I + WᵀW / σ²."),
            Mistake(unit[1], "You forgot σ² in the covariance.", "The less noise, the surer the posterior."),
            Mistake(posterior(eye + gram * variance)[1], "You multiply WᵀW with σ².", "Divide: Λ = I + WᵀW / σ²."),
            Mistake(
                covariance / variance,
                "Your covariance lacks σ²: you invert σ² I + WᵀW.",
                "Λ = I + WᵀW / σ²: its inverse.",
            ),
            Mistake(
                posterior(variance * eye + gram / variance)[1], "Your prior has the variance σ².", "Its precision is I."
            ),
            Mistake(covariance + variance * eye, "You add the noise of the pixels to the covariance.", "Λ⁻¹ alone."),
            Mistake(torch.linalg.cholesky(covariance), "This is the Cholesky factor of the covariance.", "Λ⁻¹ itself."),
            Mistake(eye, "This is the prior's covariance.", "The data tell something: Λ⁻¹."),
            Mistake(
                1 / covariance.inverse(), "You invert each entry, not the matrix.", "`torch.linalg.inv` or `solve`."
            ),
            Mistake(posterior(eye + gram / (2 * variance))[1], "There is a factor 2 before σ².", "Λ = I + WᵀW / σ²."),
            Mistake(
                torch.diag(1 / covariance.inverse().diagonal()),
                "You invert the diagonal of Λ only: the correlations are lost.",
                "Invert the whole matrix.",
            ),
            Mistake(
                torch.diag(covariance.diagonal()), "The correlations of the latents are missing.", "Keep all of Λ⁻¹."
            ),
        ],
        name="your covariance",
        hint=prior_hint,
    )
    close(
        mine[0],
        mean,
        [
            Mistake(
                posterior(eye + gram / variance, centered=x)[0], "You forgot to subtract the bias from x.", "x − b."
            ),
            Mistake(posterior(eye + gram / variance, centered=x + bias)[0], "You add the bias to x.", "x − b."),
            Mistake(no_prior[0], "You forgot the prior in the means: this is least squares.", prior_hint),
            Mistake(mean * variance, "In the means the division by σ² is missing.", "Λ⁻¹ Wᵀ (x − b) / σ²."),
            Mistake(mean / variance, "You divide the means by σ² twice.", "Λ⁻¹ Wᵀ (x − b) / σ²."),
            Mistake(mean * variance**0.5, "You divide the means by σ, not by σ².", "Λ⁻¹ Wᵀ (x − b) / σ²."),
            Mistake((x - bias) @ weights / variance, "In the means Λ⁻¹ is missing.", "Λ⁻¹ Wᵀ (x − b) / σ²."),
            Mistake(
                (x - bias) @ weights @ covariance.inverse() / variance,
                "In the means you multiply with Λ where its inverse belongs.",
                "Λ⁻¹ Wᵀ (x − b) / σ².",
            ),
            Mistake(
                posterior(eye + gram / variance, centered=x - x.mean(0))[0],
                "You subtract the batch's mean, not the bias.",
                "x − b.",
            ),
            Mistake(mean.mean(0).expand_as(mean), "Every example gets the batch's mean.", "One row each."),
            Mistake(-mean, "Your means have the wrong sign.", "x − b, not b − x."),
        ],
        name="your means",
        hint="Row by row: Λ⁻¹ Wᵀ (x − b) / σ².",
    )


@exercise("vae.best_diagonal", call="best_diagonal(precision)")
def best_diagonal(answer: Callable, generator: Generator) -> None:
    size = 3
    a = draw.normal(generator, size, size)
    eye = torch.eye(size, dtype=torch.float64)
    # Correlations that are surely there, and scales that differ.
    scale = torch.diag(torch.tensor([0.8, 1.5, 2.5], dtype=torch.float64))
    precision = scale @ (a @ a.mT / size + 0.5 * torch.ones(size, size).double() + 0.4 * eye) @ scale
    covariance = precision.inverse()
    own, log_det = precision.diagonal(), precision.logdet()
    zero = torch.zeros(size, dtype=torch.float64)
    posterior = MultivariateNormal(zero, precision_matrix=precision)

    def gap(variances: Tensor) -> Tensor:
        return kl_divergence(MultivariateNormal(zero, torch.diag(variances)), posterior)

    marginal = covariance.diagonal()
    names = ("variances", "gap")
    variances, loss = parts(answer(precision), names)
    matrix = Mistake((size, size), "this is a matrix", "Return its diagonal.")
    variances = tensor(variances, (size,), name="your variances", shapes=[matrix])
    best_hint = "Set the derivative of Λ_ll s_l − log s_l to zero."
    close(
        variances,
        1 / own,
        [
            Mistake(
                marginal,
                "These are the marginal variances, the diagonal of Λ⁻¹: a q with them is too wide.",
                f"They minimize KL(p‖q). Here it is KL(q‖p). {best_hint}",
            ),
            Mistake(own, "These are precisions: variances are their inverses.", best_hint),
            Mistake(own.rsqrt(), "These are standard deviations.", "Return the variances, without the root."),
            Mistake(own.pow(-2), "You square the variances.", best_hint),
            Mistake(1 / precision.sum(1), "You sum the rows of Λ: only its diagonal enters.", best_hint),
            Mistake(
                (1 / own.mean()).expand(size),
                "All your variances are equal.",
                "Each latent has its own: one Λ_ll each.",
            ),
            Mistake(marginal.sqrt(), "These are standard deviations, and the marginal ones.", best_hint),
            Mistake(
                1 / torch.linalg.eigvalsh(precision),
                "These are variances along the axes of the posterior, not along the latents.",
                best_hint,
            ),
            Mistake(
                (1 / torch.linalg.eigvalsh(precision)).flip(0),
                "These are variances along the axes of the posterior, not along the latents.",
                best_hint,
            ),
        ],
        name="your variances",
        hint=best_hint,
    )
    truth = gap(1 / own)
    logs = own.log().sum()
    close(
        expect.number(loss, "your gap"),
        truth,
        [
            Mistake(2 * truth, "The factor ½ is missing in the gap.", "Gaussian divergences begin with ½."),
            Mistake(-truth, "Your gap is negative: its sign is wrong.", "log p(x) − ELBO = KL(q‖p) ≥ 0."),
            Mistake(
                gap(marginal),
                "This is the gap of the marginal variances, not of the best ones.",
                "Put s_l = 1 / Λ_ll into the divergence.",
            ),
            Mistake(
                0.5 * (marginal.log().sum() + log_det),
                "This is KL(p‖q) with the marginal variances: the other direction.",
                "log p(x) − ELBO = KL(q‖p).",
            ),
            Mistake(
                0.5 * ((marginal / (1 / own)).sum() - size - logs + log_det),
                "This is KL(p‖q): you exchanged the two Gaussians.",
                "log p(x) − ELBO = KL(q‖p).",
            ),
            Mistake(0.5 * logs, "log det Λ is missing in the gap.", "½ [Σ log Λ_ll − log det Λ]."),
            Mistake(
                -0.5 * log_det, "Σ log Λ_ll, the entropy of q, is missing in the gap.", "½ [Σ log Λ_ll − log det Λ]."
            ),
            Mistake(0.5 * (logs + log_det), "log det Λ has the wrong sign in the gap.", "½ [Σ log Λ_ll − log det Λ]."),
            Mistake(
                0.5 * (-logs - log_det), "Σ log Λ_ll has the wrong sign in the gap.", "½ [Σ log Λ_ll − log det Λ]."
            ),
            Mistake(
                logs / 2 - log_det / 4,
                "Your log det Λ is half of the right one: log diag L of the Cholesky factor counts twice.",
                "det Λ = det L det Lᵀ: 2 Σ log diag L.",
            ),
            Mistake(logs / 2 - log_det, "The ½ is missing before log det Λ.", "½ [Σ log Λ_ll − log det Λ]."),
            Mistake(logs - log_det / 2, "The ½ is missing before Σ log Λ_ll.", "½ [Σ log Λ_ll − log det Λ]."),
            Mistake((logs / size - log_det) / 2, "You average log Λ_ll over the latents.", "A sum."),
            Mistake(
                (logs - precision.trace().log()) / 2, "You take the trace for the determinant.", "log det Λ: `logdet`."
            ),
            Mistake(truth + size / 2, "You forgot −L in the gap.", "Σ Λ_ll s_l = L and −L cancel."),
            Mistake(truth - size / 2, "You forgot Σ Λ_ll s_l in the gap.", "It is L, and cancels −L."),
            Mistake(
                0.5 * (own.prod() - precision.det()), "You forgot the logarithms in the gap.", "log of determinants."
            ),
        ],
        name="your gap",
        hint="Put your variances into the divergence of step 2.",
    )
    wide = expect.number(parts(answer(1e-15 * precision), names)[1], "your gap")
    hint = "No `clamp` and no small number in the logarithm: the gap does not depend on the scale of Λ."
    close(wide, truth, name="your gap for a very wide posterior", hint=hint)
    many = 400
    large = 1000 * (torch.eye(many, dtype=torch.float64) + 0.01)
    says = "With many latents the determinant of Λ overflows."
    hint = "Take its logarithm at once: `torch.logdet`, or 2 Σ log diag L of the Cholesky factor."
    _, loss = parts(answer(large), names)
    if isinstance(loss, float):
        loss = torch.tensor(loss, dtype=torch.float64)
    if isinstance(loss, Tensor) and not loss.isfinite().all():
        raise Wrong(says, hint)
    # For I + c 1 1ᵀ the determinant is 1 + c L.
    expected = 0.5 * (many * math.log(1.01) - math.log1p(0.01 * many))
    close(expect.number(loss, "your gap"), torch.tensor(expected).double(), name="your gap for 400 latents", hint=hint)
