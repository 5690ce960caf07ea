"""Checks of chapter 15: noise in one jump, the score of a noised mixture, Tweedie's formula."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.diffusion._mixtures import Mixture, clipped
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, repeatable, tensor


@exercise("diffusion.noised", call="noised(x, betas, t, noise)")
def noised(answer: Callable, generator: Generator) -> None:
    batch, steps = 6, 9
    x, noise = 4 * draw.away_from_zero(generator, batch, 2, 3, 5), 2 * draw.normal(generator, batch, 2, 3, 5)
    betas = 0.08 + 0.25 * draw.uniform(generator, steps).sort().values  # their sum is above 1
    t = torch.tensor([4, 0, steps, 1, 7, 4])
    # Step by step: the variance of the noise, and what is left of the data.
    share, variance = [1.0], [0.0]
    for beta in betas.tolist():
        share.append((1 - beta) ** 0.5 * share[-1])
        variance.append((1 - beta) * variance[-1] + beta)
    share, variance = (torch.tensor(row, dtype=torch.float64) for row in (share, variance))

    def jump(alpha: Tensor, sigma: Tensor) -> Tensor:
        return alpha[:, None, None, None] * x + sigma[:, None, None, None] * noise

    alpha, sigma = share[t], variance[t].sqrt()
    later, products = share[(t + 1).clamp(max=steps)], (1 - betas).cumprod(0)
    single = torch.cat([betas.new_zeros(1), betas])
    summed = single.cumsum(0)[t]
    wrapped, clamped = products[t - 1].sqrt(), products[(t - 1).clamp(min=0)].sqrt()
    cut = products[t.clamp(max=steps - 1)].sqrt()
    of_betas = betas.cumprod(0)
    of_betas = torch.cat([betas.new_ones(1), of_betas])[t]
    count = "Put a 1 in front of the product of 1 − β: then its entry t belongs to t steps, and entry 0 to none."

    close(
        tensor(
            repeatable(answer, x, betas, t, noise, hint="Use `noise`, which is given."),
            x.shape,
            name="your x_t",
            not_finite=(
                "Your x_t is not finite: do you take the root of a negative number?",
                "What is left of x is a product of the 1 − β; 1 minus a sum of betas falls below 0.",
            ),
        ),
        jump(alpha, sigma),
        [
            *clipped(lambda c: jump(alpha, sigma).clamp(-c, c), "Your x_t"),
            Mistake(jump(later, (1 - later**2).sqrt()), "You take one step too many.", count),
            Mistake(jump(cut, (1 - cut**2).sqrt()), "You take one step too many.", count),
            Mistake(
                jump(wrapped, (1 - wrapped**2).sqrt()),
                "At t = 0 you take all T steps: `betas[t - 1]` is the last entry there.",
                count,
            ),
            Mistake(
                jump(clamped, (1 - clamped**2).sqrt()), "At t = 0 you take one step; the image should stay.", count
            ),
            Mistake(
                jump((1 - single[t]).sqrt(), single[t].sqrt()),
                "You take only step t: those before it are missing.",
                "What is left of x is a product over the steps 1 to t.",
            ),
            Mistake(
                jump((1 - summed).clamp(min=0).sqrt(), summed.sqrt()),
                "You add the betas up; each step also shrinks the noise of those before.",
                "What is left of x is a product: multiply the √(1 − β).",
            ),
            Mistake(
                jump(alpha, summed.sqrt()),
                "You add the betas up to the variance of the noise; later steps shrink the noise, too.",
                "x_t has the variance 1 if x has it: σ² = 1 − α².",
            ),
            Mistake(
                jump(alpha**2, sigma),
                "The signal lacks its root: it shrinks by √(1 − β) a step.",
                "α² is the product of 1 − β.",
            ),
            Mistake(
                jump(alpha**2, sigma**2),
                "You multiply with variances: both roots are missing.",
                "Standard deviations multiply the noise.",
            ),
            Mistake(jump(alpha, sigma**2), "You multiply the noise with its variance: the root is missing.", "Take σ."),
            Mistake(jump(alpha, 1 - alpha), "Your noise has the size 1 − α.", "Variances add up to 1: σ² = 1 − α²."),
            Mistake(
                jump(alpha**2, 1 - alpha**2), "You multiply with variances: both roots are missing.", "Take roots."
            ),
            Mistake(jump(sigma, alpha), "Signal and noise are swapped.", "At t = 0 the image stays as it is."),
            Mistake(
                jump(of_betas.sqrt(), (1 - of_betas).sqrt()),
                "You multiply the betas; of the signal 1 − β is left in each step.",
                "α² is the product of 1 − β.",
            ),
            Mistake(jump(alpha, 0 * sigma), "The noise is missing.", "Add σ ε."),
            Mistake(jump(0 * alpha, sigma), "The image is missing: this is noise alone.", "Add α x."),
            Mistake(jump(alpha, 0 * sigma + 1), "The noise is not scaled: σ is missing.", "Multiply it with σ."),
            Mistake(jump(0 * alpha + 1, sigma), "The image is not shrunk.", "Multiply it with α."),
            Mistake(jump(alpha, -sigma), "The noise has the wrong sign.", "Add σ ε."),
            Mistake(
                jump(alpha[:1].expand(batch), sigma[:1].expand(batch)),
                "You take the first image's t for all.",
                "Each image has its own t: index with the whole tensor.",
            ),
            Mistake(
                jump(share[steps - t], variance[steps - t].sqrt()),
                "Your time runs backwards: at t = T hardly any noise is there.",
                "Time grows from data to noise.",
            ),
        ],
        name="your x_t",
        hint="α_t² is the product of the first t of 1 − β, and σ_t² = 1 − α_t².",
    )


@exercise("diffusion.mixture_score", call="mixture_score(x, weights, means, scales, alpha, sigma)")
def mixture_score(answer: Callable, generator: Generator) -> None:
    batch, n, dim = 7, 4, 3
    weights = draw.unequal_probabilities(generator, n)[draw.order(generator, n)]
    means, scales = 2 * draw.normal(generator, n, dim), 0.3 + draw.uniform(generator, n)
    scales[0] = 0.02  # narrow: a small number that is added to its variance shows
    mixture = Mixture(weights, means, scales)
    for alpha, sigma in (
        (draw.between(generator, 0.7, 0.9), draw.between(generator, 0.5, 0.65)),
        (0.01, 0.9),
        (1.0, 0.0),
    ):
        centers, variance = alpha * means, alpha**2 * scales**2 + sigma**2
        x = centers[torch.arange(batch) % n] + 0.8 * draw.normal(generator, batch, dim)
        x[4] = centers[0] + variance[0].sqrt() * draw.normal(generator, dim)
        x[2] *= 60  # where every density underflows, and no two rows alike
        x[5] *= -25
        leaf = x.clone().requires_grad_()
        log_joint = mixture.log_joint(leaf, alpha, sigma)
        (truth,) = torch.autograd.grad(log_joint.logsumexp(1).sum(), leaf)
        log_joint = log_joint.detach()
        to_mean = centers - x[:, None]  # (B, K, D)
        square = to_mean.square().sum(-1)

        def pulled(posterior: Tensor, by: Tensor = variance, pull: Tensor = to_mean) -> Tensor:
            return ((posterior / by)[..., None] * pull).sum(1)

        def otherwise(centers: Tensor = centers, by: Tensor = variance, x: Tensor = x, weights: Tensor = weights):
            to_mean = centers - x[:, None]
            log = weights.log() - dim / 2 * by.log() - to_mean.square().sum(-1) / (2 * by)
            return pulled(log.softmax(1), by, to_mean)

        posterior = log_joint.softmax(1)
        safe = (log_joint - log_joint.max()).exp()  # one maximum for all rows
        level = f"at α = {alpha:.2f}, σ = {sigma:.2f}"
        result = answer(x, weights, means, scales, alpha, sigma)
        value = tensor(
            result,
            (batch, dim),
            name=f"your score {level}",
            shapes=[
                Mistake((batch, n, dim), "one pull for each component", "Average them with the responsibilities."),
                Mistake((batch,), "one number a row", "The score is a vector: a gradient in x."),
            ],
            not_finite=_not_finite(result, sigma),
        )
        mistakes = [
            Mistake(-truth, "The sign is wrong: a score points to where the density is high.", "(α μ − x) / v."),
            Mistake(
                otherwise(weights=torch.full_like(weights, 1 / n)),
                "You forgot the mixture weights.",
                "They belong into the responsibilities: log w_k.",
            ),
            Mistake(
                pulled(weights.expand(batch, n)),
                "You average with the mixture weights, not with the responsibilities.",
                "What a component pulls counts as much as it is probable, given x.",
            ),
            Mistake(
                pulled((weights.log() - square / (2 * variance)).softmax(1)),
                "The responsibilities lack the components' normalizing constants: a wide component is thinner.",
                "log N(x; m, v I) has −D/2 · log v.",
            ),
            Mistake(
                pulled((weights.log() - 0.5 * variance.log() - square / (2 * variance)).softmax(1)),
                "The normalizing constant lacks the dimension: it is −D/2 · log v.",
                f"D = {dim} here.",
            ),
            Mistake(
                pulled((weights.log() - dim * variance.log() - square / (2 * variance)).softmax(1)),
                "The normalizing constant is doubled: it is −D/2 · log v.",
                "√v for each dimension.",
            ),
            Mistake(
                pulled((weights.log() - dim / 2 * variance.log() - square / variance).softmax(1)),
                "The ½ before the squared distance is missing.",
                "log N(x; m, v I) = −‖x − m‖² / (2v) − …",
            ),
            Mistake(
                otherwise(centers=means), "The components' means are not noised: they shrink to α μ.", "α x_0 + σ ε."
            ),
            Mistake(
                otherwise(by=scales**2 + sigma**2), "The components' variances lack α².", "α x_0 has variance α² s²."
            ),
            Mistake(otherwise(by=alpha * scales**2 + sigma**2), "The variance of α x_0 is α² s².", "Square α."),
            Mistake(
                otherwise(by=alpha**2 * scales + sigma**2),
                "You take standard deviations for variances.",
                "`scales` holds s: square it.",
            ),
            Mistake(
                otherwise(by=(alpha * scales + sigma) ** 2),
                "You add standard deviations; variances add up.",
                "α² s² + σ².",
            ),
            Mistake(
                otherwise(by=alpha**2 * scales**2 + sigma),
                "The noise has the variance σ²: square sigma.",
                "α² s² + σ².",
            ),
            Mistake(
                otherwise(by=alpha**2 * scales**2),
                "The noise does not widen your components.",
                "Variances add up: α² s² + σ².",
            ),
            Mistake(
                pulled(torch.nn.functional.one_hot(log_joint.argmax(1), n).double()),
                "Only the likeliest component pulls.",
                "All do, each with its responsibility.",
            ),
            Mistake(
                pulled(torch.nn.functional.one_hot(square.argmin(1), n).double()),
                "Only the nearest component pulls.",
                "All do, each with its responsibility.",
            ),
            Mistake(
                pulled(posterior, torch.ones_like(variance)),
                "The pull is not divided by the variance.",
                "The gradient of −‖x − m‖² / (2v) is (m − x) / v.",
            ),
            Mistake(pulled(posterior, variance.sqrt()), "The pull is divided by √v; it should be v.", "(m − x) / v."),
            Mistake(2 * truth, "The score is twice too large: the ½ of −‖x − m‖² / (2v) is lost.", "(m − x) / v."),
            Mistake(
                pulled(log_joint.exp()),
                "This is the gradient of the density, not of its logarithm.",
                "Divide by p(x): responsibilities sum to 1.",
            ),
            Mistake(
                pulled(log_joint.softmax(0)),
                "Your responsibilities sum to 1 over the points, not over the components.",
                "`softmax` over the axis of K.",
            ),
            Mistake(
                pulled(safe / (safe.sum(1, keepdim=True) + 1e-12)),
                "Far from all components your responsibilities are 0: their densities underflow.",
                "`softmax` over the components subtracts the maximum of each row.",
            ),
            *(
                Mistake(
                    otherwise(by=variance + small),
                    "You add a small number to the variances: a narrow component becomes wider.",
                    "No variance is 0, nothing has to be added.",
                )
                for small in (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
            ),
            Mistake(sigma**2 * truth, "This is σ² times the score.", "Return the score itself."),
            Mistake(-sigma * truth, "This is the expected noise, −σ times the score.", "Return the score itself."),
            Mistake(
                mixture.denoised(x, alpha, sigma), "This is E[x_0 | x], not the score.", "Return the direction itself."
            ),
        ]
        close(value, truth, mistakes, name=f"your score {level}")


def _not_finite(score: object, sigma: float) -> tuple[str, str] | None:
    """Why it is not, where the rows near the components tell."""
    near = [0, 1, 3, 4, 6]
    if isinstance(score, Tensor) and len(score) == 7 and score[near].isfinite().all():
        return (
            "Your score is not finite: far from all components the densities underflow and you divide 0 by 0.",
            "Stay in logarithms: responsibilities are a `softmax` of log w_k + log N over the components.",
        )
    if sigma == 0:
        return "At σ = 0 your score is not finite: do you divide by σ?", "Divide by the components' variances."
    return None


@exercise("diffusion.tweedie", call="tweedie(score, hessian, x, alpha, sigma)")
def tweedie(answer: Callable, generator: Generator) -> None:
    batch, n, dim = 6, 4, 3
    weights = draw.unequal_probabilities(generator, n)
    middle = 6 * draw.away_from_zero(generator, dim)  # so far out that clipping shows
    mixture = Mixture(weights, middle + 2 * draw.normal(generator, n, dim), 0.2 + draw.uniform(generator, n))
    alpha, sigma = 0.2 + draw.uniform(generator, batch), 0.2 + draw.uniform(generator, batch)
    alpha[1], sigma[1] = 3.1, 0.07  # no point of the circle
    alpha[3], sigma[4] = 0.08, 0.05
    x = alpha[:, None] * middle + 2 * draw.normal(generator, batch, dim)
    score, truth = torch.empty_like(x), torch.empty_like(x)
    hessian, spread = torch.empty(batch, dim, dim, dtype=x.dtype), torch.empty(batch, dim, dim, dtype=x.dtype)
    for b, (a, s) in enumerate(zip(alpha.tolist(), sigma.tolist(), strict=True)):

        def log_p(row: Tensor, a: float = a, s: float = s) -> Tensor:
            return mixture.log_joint(row[None], a, s).logsumexp(1)[0]

        score[b] = torch.autograd.functional.jacobian(log_p, x[b])
        hessian[b] = torch.autograd.functional.hessian(log_p, x[b])
        truth[b], spread[b] = mixture.denoised(x[b : b + 1], a, s)[0], mixture.posterior_covariance(x[b], a, s)
    names = ("your posterior mean", "your posterior covariance")
    mean, covariance = parts(answer(score, hessian, x, alpha, sigma), names)
    a, s = alpha[:, None], sigma[:, None]
    follows = "The score is (α E[x_0 | x] − x) / σ²: solve for the mean."
    close(
        tensor(mean, (batch, dim), name=names[0]),
        truth,
        [
            *clipped(lambda c: truth.clamp(-c, c), "Your posterior mean"),
            Mistake((x - s**2 * score) / a, "The score has the wrong sign: it points to where data are.", follows),
            Mistake((x + s * score) / a, "σ should be squared: the variance stands before the score.", follows),
            Mistake((x + score) / a, "σ² is missing before the score.", follows),
            Mistake(x + s**2 * score, "You forgot to divide by α: this is α E[x_0 | x].", follows),
            Mistake(a * (x + s**2 * score), "You multiply with α where you must divide.", follows),
            Mistake((x + s**2 * score) / a**2, "You divide by α²; the mean of x, given x_0, is α x_0.", follows),
            Mistake(x / a + s**2 * score, "Only x is divided by α; the score's term is to be divided, too.", follows),
            Mistake(x + s**2 * score / a, "Only the score's term is divided by α; x is to be divided, too.", follows),
            Mistake((x + (1 - a**2) * score) / a, "You take 1 − α² for σ²; here they differ.", "Use `sigma`."),
            Mistake((x + s**2 * score) / (1 - s**2).abs().sqrt(), "You take √(1 − σ²) for α.", "Use `alpha`."),
            Mistake((x + s**2 * score / 2) / a, "There is a ½ before the score that does not belong there.", follows),
            Mistake((x + score / s**2) / a, "You divide the score by σ² where you must multiply.", follows),
            Mistake(-s * score, "This is the expected noise.", "E[x_0 | x] = (x − σ E[ε | x]) / α."),
            Mistake(s**2 * score / a, "x itself is missing.", follows),
            Mistake(x / a, "The score is missing: you only scale x.", follows),
            Mistake((a * score - x) / s**2, "You put the score into the place of the mean.", follows),
            Mistake(
                (x + sigma[0] ** 2 * score) / alpha[0],
                "You take the first row's level for all.",
                "Each row has its own: `alpha[:, None]`.",
            ),
        ],
        name=names[0],
        hint=follows,
    )
    a, v, one = alpha[:, None, None], sigma[:, None, None] ** 2, torch.eye(dim, dtype=x.dtype)
    follows = "The derivative of the mean in x is (I + σ² H) / α, and it is α / σ² times the covariance."
    shapes = [
        Mistake((batch, dim), "the variances alone", "A matrix for each row."),
        Mistake((dim, dim), "one matrix for all rows", "Each row has its own."),
    ]
    close(
        tensor(covariance, (batch, dim, dim), name=names[1], shapes=shapes),
        spread,
        [
            Mistake((one + v * hessian) / a, "This is the derivative of the mean in x; σ² / α times it.", follows),
            Mistake(one + v * hessian, "The factor σ² / α² is missing.", follows),
            Mistake(v * (one + v * hessian), "α² is missing in the denominator.", follows),
            Mistake(
                v / a * (one + v * hessian), "α should be squared: one α for the mean, one for its slope.", follows
            ),
            Mistake((one + v * hessian) / a**2, "σ² is missing before the bracket.", follows),
            Mistake(v.sqrt() / a * (one + v * hessian), "The factor is to be squared: σ² / α².", follows),
            Mistake(v / a**2 * (one - v * hessian), "H has the wrong sign.", "Where log p bends down, H is negative."),
            Mistake(v / a**2 * (one + hessian), "σ² is missing before H.", follows),
            Mistake(v / a**2 * (one + v.sqrt() * hessian), "σ before H should be squared.", follows),
            Mistake(
                v / a**2 * (1 + v * hessian), "You add 1 to all entries; I has it on the diagonal.", "`torch.eye`."
            ),
            Mistake(v**2 / a**2 * hessian, "The identity is missing.", follows),
            Mistake(
                v / a**2 * one.expand_as(spread), "H is missing: this is what a flat density would leave.", follows
            ),
            Mistake(
                v / a**2 * (one + v * score[:, :, None] * score[:, None, :]),
                "You take the score's products for second derivatives.",
                "`hessian` holds ∇² log p.",
            ),
            Mistake(a**2 / v * torch.linalg.inv(one + v * hessian), "This is the inverse of the covariance.", follows),
            Mistake(v / a**2 * (one + v * hessian * one), "Only the diagonal of H is in it.", "All of the matrix."),
            Mistake(v[:1] / a[:1] ** 2 * (one + v[:1] * hessian), "You take the first row's level for all.", "By row."),
        ],
        name=names[1],
        hint=follows,
    )
