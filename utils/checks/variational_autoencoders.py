"""Checks of chapter 6, variational autoencoders."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import logsigmoid, normalize, softplus

from utils.checks import draw, expect
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, parts, tensor
from utils.data import binarize, load

# Nats per image, over five binarizations of the test digits: independent pixels reach −27.1 to −27.0, mixtures of 20 to
# 40 fitted to one binarization −23.3 to −23.0. Networks with one hidden layer and 8 latents: 128 units after 100 epochs
# −23.1 to −23.0; 256 units after 300 epochs −22.4, with one binarization instead of fresh ones −23.0 to −22.8.
HELD_OUT_GOAL = -22.8


def _gradients(value: Tensor, inputs: Sequence[Tensor], names: Sequence[str], weights: Tensor) -> list[Tensor]:
    """The gradient of Σ weights · value in each input, as far as one flows."""
    if not value.requires_grad:
        raise Wrong(
            "No gradient flows through your result: it is cut off.",
            "No `.detach()`, `.item()`, `.data` or `torch.no_grad()` on the way.",
        )
    found = torch.autograd.grad(value, inputs, weights, allow_unused=True)
    for gradient, name in zip(found, names, strict=True):
        if gradient is None:
            raise Wrong(f"No gradient reaches `{name}`.", "Compute with it directly: no `.detach()`, no `.data`.")
    return list(found)


@exercise("vae.gaussian_kl", call="gaussian_kl(mean_q, log_variance_q, mean_p, log_variance_p)")
def gaussian_kl(answer: Callable, generator: Generator) -> None:
    batch, latent = 4, 3
    mean_q, log_q, mean_p, log_p = (draw.away_from_zero(generator, batch, latent) for _ in range(4))
    shift = (mean_q - mean_p).square()
    widths, in_widths = (log_q - log_p).exp(), shift / log_p.exp()
    q, p = Normal(mean_q, (log_q / 2).exp()), Normal(mean_p, (log_p / 2).exp())
    truth = kl_divergence(q, p).sum(-1)

    def formula(ratio=widths, shift=in_widths, one=1.0, logs=log_p - log_q):
        return 0.5 * (ratio + shift - one + logs)

    wrong_axis = Mistake((latent,), "you sum over the examples", "The sum runs over the latents: `.sum(-1)`.")
    each = Mistake((batch, latent), "the sum over the latents is missing", "Independent coordinates: add them up.")
    value = tensor(
        answer(mean_q, log_q, mean_p, log_p),
        (batch,),
        shapes=[wrong_axis, each, Mistake((), "one number for all examples", "Sum over the latents only.")],
    )
    zero = torch.zeros_like(mean_q)
    close(
        value,
        truth,
        [
            Mistake(2 * truth, "The factor ½ is missing.", "It stands before all four terms."),
            Mistake(-truth, "The sign is wrong: a divergence is never negative.", "E_q[log q − log p]."),
            Mistake(
                kl_divergence(p, q).sum(-1),
                "This is KL(p‖q): you exchanged the two Gaussians.",
                "The average is over q, so p's variance is the one that divides.",
            ),
            Mistake(
                kl_divergence(q, Normal(zero, zero + 1)).sum(-1),
                "This is the divergence from N(0, 1): you ignore the parameters of p.",
                "σ_p² divides the first two terms, and log σ_p² is added.",
            ),
            Mistake(
                formula().mean(-1),
                "You average over the latents where the divergence is a sum.",
                "Independent coordinates: their divergences add up.",
            ),
            Mistake(
                formula(ratio=(2 * (log_q - log_p)).exp(), shift=shift / (2 * log_p).exp()).sum(-1),
                "You square the variances: the inputs are log-variances already, not log σ.",
                "σ² = exp(log_variance).",
            ),
            Mistake(
                formula(
                    ratio=(2 * (log_q - log_p)).exp(), shift=shift / (2 * log_p).exp(), logs=2 * (log_p - log_q)
                ).sum(-1),
                "You take the log-variances for log σ: everything in them is doubled.",
                "σ² = exp(log_variance), and log σ² is the input itself.",
            ),
            Mistake(
                formula(ratio=((log_q - log_p) / 2).exp(), shift=shift / (log_p / 2).exp()).sum(-1),
                "You use standard deviations where variances belong.",
                "σ² = exp(log_variance), without a half.",
            ),
            Mistake(
                formula(shift=shift).sum(-1),
                "You forgot to divide (μ_q − μ_p)² by p's variance.",
                "A shift counts in units of p's width.",
            ),
            Mistake(
                formula(shift=shift / log_q.exp()).sum(-1),
                "You divide (μ_q − μ_p)² by q's variance.",
                "By p's: a shift counts in units of p's width.",
            ),
            Mistake(
                formula(shift=(mean_q - mean_p) / log_p.exp()).sum(-1), "You did not square μ_q − μ_p.", "Square it."
            ),
            Mistake(
                formula(shift=(mean_q + mean_p).square() / log_p.exp()).sum(-1),
                "You add the means: it is their difference that counts.",
                "(μ_q − μ_p)².",
            ),
            Mistake(
                formula(logs=log_q - log_p).sum(-1),
                "The log-variances have the wrong sign.",
                "A narrow q is dear: + log σ_p² − log σ_q².",
            ),
            Mistake(formula(logs=0).sum(-1), "You forgot the log-variances.", "+ log σ_p² − log σ_q²."),
            Mistake(formula(logs=-log_q).sum(-1), "You forgot log σ_p².", "It is 0 for p = N(0, 1) only."),
            Mistake(formula(ratio=log_q.exp()).sum(-1), "You forgot to divide σ_q² by σ_p².", ""),
            Mistake(formula(one=0).sum(-1), "You forgot the −1 of each latent.", "For q = p the divergence is 0."),
            Mistake(formula(one=1 / latent).sum(-1), "You subtract 1 once, not for each latent.", "Before the sum."),
        ],
        hint="Take one latent, and put q = p: each term is easy then, and the sum is 0.",
    )


@exercise("vae.reparameterise", call="reparameterise(mean, log_variance, noise)")
def reparameterise(answer: Callable, generator: Generator) -> None:
    samples, batch, latent = 5, 4, 3
    mean, log_variance = (draw.away_from_zero(generator, batch, latent).requires_grad_() for _ in range(2))
    noise = draw.normal(generator, samples, batch, latent)
    m, deviation = mean.detach(), (log_variance.detach() / 2).exp()
    says = "Your samples are NaN: a log-variance may be negative, so it stands under no root and in no logarithm."
    name = "your samples"

    def ask() -> tuple[Tensor, Tensor]:
        raw = answer(mean, log_variance, noise)
        one = Mistake((batch, latent), "one sample for each example", "`noise` has S of them: keep its first axis.")
        wanted = (samples, batch, latent)
        hint = "σ = exp(½ log σ²)."
        return raw, tensor(raw, wanted, name=name, not_finite=(says, hint), shapes=[one])

    raw, value = ask()
    if not torch.equal(value, ask()[1]):
        raise Wrong("Two calls with the same noise give two results: you draw noise of your own.", "Use `noise`.")
    close(
        value,
        m + deviation * noise,
        [
            Mistake(
                m + log_variance.detach() * noise,
                "You multiply the noise with the log-variance where the standard deviation belongs.",
                "σ = exp(½ log σ²).",
            ),
            Mistake(
                m + deviation**2 * noise,
                "You multiply the noise with the variance where the standard deviation belongs.",
                "σ = exp(½ log σ²): the half is the square root.",
            ),
            Mistake(m + deviation**0.5 * noise, "You took the root twice.", "σ = exp(½ log σ²), and no `sqrt`."),
            Mistake(m.expand_as(noise), "Your samples are all at the mean: the noise is missing.", "Add σ ε."),
            Mistake(m + noise, "Your samples have variance 1: σ is missing.", "Multiply the noise with it."),
            Mistake(deviation * noise, "Your samples have mean 0: μ is missing.", "Add it."),
            Mistake(
                (m + noise) * deviation, "You multiply the mean with σ, too.", "μ + σ ε: only the noise is scaled."
            ),
            Mistake(m + noise / deviation, "You divide the noise by σ.", "A wide Gaussian scatters more: multiply."),
            Mistake(
                m - deviation * noise,
                "You subtract the noise: the law is the same, but the samples are asked as μ + σ ε.",
                "Add it.",
            ),
            Mistake(m + deviation + noise, "You add σ to the noise.", "The noise is stretched by σ: multiply them."),
        ],
        name=name,
        hint="μ + σ ε, with σ = exp(½ log σ²).",
    )
    weights = draw.normal(generator, *noise.shape)
    names = ("mean", "log_variance")
    for gradient, truth, what in zip(
        _gradients(raw, (mean, log_variance), names, weights),
        (weights.sum(0), (weights * noise).sum(0) * deviation / 2),
        names,
        strict=True,
    ):
        close(
            gradient,
            truth,
            [Mistake(0 * truth, f"No gradient reaches `{what}`.", "No `.detach()` on the way.")],
            name=f"the gradient in {what}",
            hint="The samples are right, so something on the way to them is detached.",
        )


@exercise("vae.elbo", call="elbo(x, mean, log_variance, noise, decode)")
def elbo(answer: Callable, generator: Generator) -> None:
    samples, batch, pixels, latent = 3, 5, 6, 2
    x = (torch.rand(batch, pixels, generator=generator) < 0.5).double()
    mean, log_variance = (draw.away_from_zero(generator, batch, latent) for _ in range(2))
    noise = draw.normal(generator, samples, batch, latent)
    first, second = draw.normal(generator, latent, 4), 1.5 * draw.normal(generator, 4, pixels)

    def decode(z: Tensor) -> Tensor:
        if not z.isfinite().all():
            raise Wrong(
                "You decode a z that is NaN: a log-variance may be negative, so it stands under no root.",
                "σ = exp(½ log σ²).",
            )
        return (z @ first).tanh() @ second

    def log_likelihood(z: Tensor) -> Tensor:  # of each pixel
        odds = decode(z)
        return x * odds - softplus(odds)

    deviation = (log_variance / 2).exp()
    z = mean + deviation * noise
    q, prior = Normal(mean, deviation), Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = kl_divergence(q, prior)  # (B, L)
    drawn_kl = (q.log_prob(z) - prior.log_prob(z)).sum(-1)  # (S, B)
    each = log_likelihood(z).sum(-1)  # (S, B)
    fit, price = each.mean(0), kl.sum(-1)
    odds = decode(z)
    name = "your bound"
    not_odds = (
        "Your bound is not finite: `decode` gives log-odds, any real numbers, and you take them for probabilities.",
        "log p(x | z) = Σ_d [x a − softplus(a)], with the log-odds a.",
    )
    shapes = [
        Mistake((), "one number for all images", "Sum over pixels and latents only."),
        Mistake((samples, batch), "the mean over the samples is missing", "Average log p(x | z) over the first axis."),
        Mistake((pixels,), "you sum over the images", "Sum over the pixels: the last axis."),
    ]
    value = tensor(
        answer(x, mean, log_variance, noise, decode), (batch,), name=name, not_finite=not_odds, shapes=shapes
    )
    pixel_mean = log_likelihood(z).mean(-1).mean(0)
    close(
        value,
        fit - price,
        [
            Mistake(price - fit, "The sign is wrong: this is a loss.", "The bound is higher where it is better."),
            Mistake(fit, "You forgot the divergence: this is the reconstruction term alone.", "Subtract KL(q‖p)."),
            Mistake(fit + price, "The divergence has the wrong sign.", "A code costs: subtract it."),
            Mistake(-price, "You forgot the reconstruction term.", "Add the mean of log p(x | z)."),
            Mistake(
                pixel_mean - price,
                "You average over the pixels where log p(x | z) is a sum.",
                "Divided by D the pixels weigh too little against the divergence, and the posterior collapses.",
            ),
            Mistake(
                pixel_mean - kl.mean(-1),
                "You average over pixels and over latents; both are sums.",
                "The probability of an image is a product over its pixels.",
            ),
            Mistake(fit - kl.mean(-1), "You average over the latents where the divergence is a sum.", "Sum them."),
            Mistake(fit - 2 * price, "The divergence lacks its ½.", "½ Σ (μ² + σ² − 1 − log σ²)."),
            Mistake(
                each.sum(0) - price, "You sum over the samples where their mean belongs.", "Divide by the number S."
            ),
            Mistake(
                log_likelihood(mean).sum(-1) - price,
                "You decode the mean: the noise is missing.",
                "The reconstruction term is an average over z ~ q.",
            ),
            Mistake(
                log_likelihood(z.mean(0)).sum(-1) - price,
                "You average the samples before you decode them.",
                "The mean of log p(x | z) is not log p(x | mean of z).",
            ),
            Mistake(
                log_likelihood(mean + deviation**2 * noise).sum(-1).mean(0) - price,
                "Your z scatter by the variance, not by the standard deviation.",
                "σ = exp(½ log σ²).",
            ),
            Mistake(
                log_likelihood(mean + log_variance * noise).sum(-1).mean(0) - price,
                "Your z scatter by the log-variance, not by the standard deviation.",
                "σ = exp(½ log σ²).",
            ),
            Mistake(
                log_likelihood(noise).sum(-1).mean(0) - price,
                "You decode the noise itself.",
                "Decode z = μ + σ ε: what the encoder says of x.",
            ),
            Mistake(
                (each - drawn_kl).mean(0),
                "You estimate the divergence from the samples.",
                "Right on average, but noisier than its closed form, which is asked for.",
            ),
            Mistake(
                (each - drawn_kl).logsumexp(0) - math.log(samples),
                "This is the importance-weighted bound, a later exercise.",
                "Average log p(x | z) over the samples, then subtract the divergence.",
            ),
            Mistake(
                each.logsumexp(0) - math.log(samples) - price,
                "You take the logarithm of the mean likelihood.",
                "The first term is the mean of the logarithms.",
            ),
            Mistake(
                (x * logsigmoid(odds)).sum(-1).mean(0) - price,
                "You forgot the pixels that are 0.",
                "A pixel that is 0 counts with log p(0) = −softplus(a).",
            ),
            Mistake(
                (x * odds).sum(-1).mean(0) - price,
                "You forgot −softplus(a): your p(x | z) is not normalized.",
                "log p of a pixel is x a − log(1 + eᵃ).",
            ),
            Mistake(
                -(x - odds.sigmoid()).square().sum(-1).mean(0) - price,
                "You use the squared error: that belongs to a Gaussian decoder.",
                "For zeros and ones: Σ_d [x a − softplus(a)].",
            ),
        ],
        name=name,
        hint="First log p(x | z_s) for one sample and one image, then the mean over samples, then the divergence.",
    )
    # A decoder that is sure of one image, whatever z is: first it is right everywhere, then wrong at one pixel.
    image = x[:1].expand_as(x)
    says = "Your bound is not finite for a decoder that is sure: a logarithm meets 0, or an exponential overflows."
    hint = "Use x a − softplus(a), or `logsigmoid`: both are safe for any log-odds."

    def of_certain(odds: Tensor) -> Tensor:
        found = answer(image, mean, log_variance, noise, lambda z: odds + 0 * z.sum(-1, keepdim=True))
        return tensor(found, (batch,), name=name, not_finite=(says, hint))

    certain = 1000 * (2 * x[0] - 1)
    close(of_certain(certain), -price, name=name, hint=hint)
    certain[0] *= -1
    value = of_certain(certain)
    if (value > -price - 999).any():
        raise Wrong(
            "Your bound is too kind to a decoder that is sure and wrong: somewhere a logarithm is cut off.",
            f"{hint} A small number inside the logarithm hides the mistake.",
        )
    close(value, -1000 - price, name="your bound of a decoder that is sure and wrong", hint=hint)


@exercise("vae.iwae", call="iwae(log_joint, log_q)")
def iwae(answer: Callable, generator: Generator) -> None:
    samples, batch = 6, 4
    log_joint, log_q = (1.5 * draw.normal(generator, samples, batch) - shift for shift in (5, 2))
    log_weights = log_joint - log_q
    truth = log_weights.exp().mean(0).log()
    name = "your bound"
    shapes = [
        Mistake((samples,), "you average over the examples", "The samples are the first axis: `dim=0`."),
        Mistake((), "one number for all examples", "Average over the samples only."),
    ]
    value = tensor(answer(log_joint, log_q), (batch,), name=name, shapes=shapes)
    close(
        value,
        truth,
        [
            Mistake(
                log_weights.mean(0),
                "You average the logarithms: this is the ELBO.",
                "First the mean of the weights, then its logarithm.",
            ),
            Mistake(
                log_weights.logsumexp(0),
                "You forgot the 1/S: this is the logarithm of the sum.",
                "Subtract log S, or your bound grows with every sample and bounds nothing.",
            ),
            Mistake(
                log_weights.logsumexp(0) - samples,
                "You subtract S where log S belongs.",
                "log(sum / S) = log sum − log S.",
            ),
            Mistake(
                log_weights.logsumexp(0) / samples,
                "You divide the logarithm by S.",
                "The 1/S stands inside the logarithm: subtract log S.",
            ),
            Mistake(log_weights.logsumexp(0) + math.log(samples), "You add log S.", "log(1/S) = −log S."),
            Mistake(
                log_weights.logsumexp(0) - math.log(batch),
                "You subtract the logarithm of the number of examples.",
                "The mean is over the S samples, the first axis.",
            ),
            Mistake(truth.exp(), "The logarithm is missing: this is the mean weight.", "Take the log at the end."),
            Mistake(-truth, "The sign is wrong: this is a loss.", "A bound is higher where it is better."),
            Mistake(
                log_joint.logsumexp(0) - math.log(samples),
                "You forgot to divide by q(z | x).",
                "The samples come from q: log w = log p(x, z) − log q(z | x).",
            ),
            Mistake(
                (log_joint + log_q).logsumexp(0) - math.log(samples),
                "You multiply with q(z | x) where a weight divides by it.",
                "log w = log p(x, z) − log q(z | x).",
            ),
            Mistake(
                (-log_weights).logsumexp(0) - math.log(samples),
                "Your weights are upside down: q(z | x) / p(x, z).",
                "log w = log p(x, z) − log q(z | x).",
            ),
            Mistake(
                (log_weights.softmax(0) * log_weights).sum(0),
                "You average the logarithms, weighed with the weights.",
                "log of the mean weight: `logsumexp` minus log S.",
            ),
            Mistake(
                log_joint.exp().mean(0).log() - log_q.exp().mean(0).log(),
                "You divide two means: a weight is a ratio for each sample.",
                "Subtract the logarithms first, sample by sample.",
            ),
            Mistake(log_weights.amax(0), "This is the largest weight only.", "Average all of them."),
        ],
        name=name,
        hint="log w = log p(x, z) − log q(z | x); then the logarithm of the mean of w.",
    )
    hint = "Stay in log space: `torch.logsumexp` subtracts the largest first."
    for shift, what in ((-2000.0, "underflow"), (2000.0, "overflow")):
        says = f"Your weights {what}: those of images are e to the power of hundreds."
        far = tensor(answer(log_joint + shift, log_q), (batch,), name=name, not_finite=(says, hint))
        close(far, truth + shift, name=name, hint=hint)


@exercise("vae.score_function_gradient", call="score_function_gradient(f, mean, log_variance, noise)")
def score_function_gradient(answer: Callable, generator: Generator) -> None:
    samples, latent = 6, 3
    mean, log_variance = (draw.away_from_zero(generator, latent) for _ in range(2))
    noise = draw.normal(generator, samples, latent)
    slopes, jumps = draw.away_from_zero(generator, 2, latent)

    def f(z: Tensor) -> Tensor:
        if z.shape[-1] != latent:
            raise Wrong(f"You call f with shape {tuple(z.shape)}, expected (S, L) = {(samples, latent)}.", "")
        return 3 + z @ slopes + (z > mean).double() @ jumps

    deviation = (log_variance / 2).exp()
    value = f(mean + deviation * noise)
    by_mean, by_log_variance = noise / deviation, (noise.square() - 1) / 2
    others = torch.stack([torch.cat([value[:s], value[s + 1 :]]).mean() for s in range(samples)])

    def estimate(score: Tensor, value: Tensor = value - others) -> Tensor:
        return (value[:, None] * score).mean(0)

    names = ("gradient in mean", "gradient in log_variance")
    many = Mistake((samples, latent), "the mean over the samples is missing", "Average over the first axis.")
    mine = [
        tensor(part, (latent,), name=f"your {name}", shapes=[many])
        for part, name in zip(parts(answer(f, mean, log_variance, noise), names), names, strict=True)
    ]

    def common(score: Tensor) -> list[Mistake]:
        truth = estimate(score)
        return [
            Mistake(-truth, "The sign is wrong: this is the gradient of a loss.", "A step along it makes f larger."),
            Mistake(truth * samples, "You sum over the samples where their mean belongs.", "Divide by S."),
            Mistake(
                estimate(score, value),
                "You forgot the baseline.",
                "Subtract the mean of the other samples' values from each value: far less noise, the same mean.",
            ),
            Mistake(
                estimate(score, value - value.mean()),
                "Your baseline looks at its own sample: the estimate is biased towards 0.",
                "For sample s average the others only: (Σ f − f_s) / (S − 1).",
            ),
            Mistake(
                estimate(score, value - (value.sum() - value) / samples),
                "You divide the sum of the other values by S; there are S − 1.",
                "(Σ f − f_s) / (S − 1).",
            ),
            Mistake(estimate(score, value + others), "You add the baseline.", "f(z_s) − b_s."),
            Mistake(score.mean(0), "You forgot f.", "Each score is weighed with f(z_s) − b_s."),
            Mistake(estimate(score, others), "You weigh with the baseline alone.", "f(z_s) − b_s."),
        ]

    hint = "Write down one sample's term first: (f(z_s) − b_s) times the derivative of log q."
    jump = (
        "This is the reparameterized gradient: it does not see the jumps of f.",
        "Use values of f only, and the derivative of log q.",
    )
    close(
        mine[0],
        estimate(by_mean),
        [
            *common(by_mean),
            Mistake(slopes, *jump),
            Mistake(
                torch.zeros_like(mean),
                "Your gradient in mean is 0: z moves with the mean, and log q(z) at z = μ + σ ε does not change.",
                "Hold z fixed: `z.detach()` before you take log q(z).",
            ),
            Mistake(estimate(noise), "In ∂ log q / ∂μ the division by σ is missing.", "It is ε / σ = (z − μ) / σ²."),
            Mistake(estimate(noise / deviation**2), "You divide ε by the variance.", "∂ log q / ∂μ = ε / σ."),
            Mistake(estimate(noise * deviation), "You multiply ε with σ.", "∂ log q / ∂μ = ε / σ = (z − μ) / σ²."),
        ],
        name=f"your {names[0]}",
        hint=hint,
    )
    close(
        mine[1],
        estimate(by_log_variance),
        [
            *common(by_log_variance),
            Mistake((slopes * deviation * noise).mean(0) / 2, *jump),
            Mistake(
                estimate(2 * by_log_variance),
                "This is the gradient in log σ, not in log σ²: a ½ is missing.",
                "∂ log q / ∂ log σ² = (ε² − 1) / 2.",
            ),
            Mistake(
                estimate(by_log_variance / deviation**2),
                "This is the gradient in σ², not in log σ².",
                "∂ log q / ∂ log σ² = (ε² − 1) / 2.",
            ),
            Mistake(
                estimate(2 * by_log_variance / deviation),
                "This is the gradient in σ, not in log σ².",
                "∂ log q / ∂ log σ² = (ε² − 1) / 2.",
            ),
            Mistake(estimate(noise - 1) / 2, "You did not square ε.", "∂ log q / ∂ log σ² = (ε² − 1) / 2."),
        ],
        name=f"your {names[1]}",
        hint=hint,
    )


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
            Mistake(truth + size / 2, "You forgot −L in the gap.", "Σ Λ_ll s_l = L and −L cancel."),
            Mistake(truth - size / 2, "You forgot Σ Λ_ll s_l in the gap.", "It is L, and cancels −L."),
            Mistake(
                0.5 * (own.prod() - precision.det()), "You forgot the logarithms in the gap.", "log of determinants."
            ),
        ],
        name="your gap",
        hint="Put your variances into the divergence of step 2.",
    )
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


@exercise("vae.free_bits_loss", call="free_bits_loss(reconstruction, kl, beta, free_nats)")
def free_bits_loss(answer: Callable, generator: Generator) -> None:
    batch, beta, floor = 6, 0.7, 0.5
    level = torch.tensor([0.1, 0.3, 0.9, 1.6], dtype=torch.float64)  # the means of the latents: two below the floor
    share = 0.1 + torch.rand(batch, 4, generator=generator, dtype=torch.float64)
    share[0], share[1] = 0.02, 3.0  # in each latent that matters some examples lie below the floor, and some above
    kl = (level * share / share.mean(0)).requires_grad_()
    reconstruction = (-10 + draw.normal(generator, batch)).requires_grad_()
    raw = answer(reconstruction, kl, beta, floor)
    fit, each = reconstruction.detach(), kl.detach()
    mean = each.mean(0)
    price = mean.clamp(min=floor).sum()
    if isinstance(raw, Tensor) and raw.shape == (batch,):
        raise Wrong("Your loss has one number for each example, expected one for all.", "Average over the batch.")

    def formula(price: Tensor, beta: float = beta) -> Tensor:
        return beta * price - fit.mean()

    value = expect.number(raw, "your loss")
    if torch.isclose(value, formula(mean.sum())):
        # No latent is lifted here. Where all of them together cost less than λ, the reasons differ.
        little = expect.number(answer(reconstruction, kl / 10, beta, floor), "your loss")
        hint = "The maximum for each latent first, then the sum."
        if torch.isclose(little, formula(torch.tensor(4 * floor))):
            raise Wrong("You clamp the sum over the latents: one full latent would pay for all empty ones.", hint)
        if torch.isclose(little, formula(torch.tensor(floor))):
            raise Wrong("You give λ to all latents together; each of them has its own.", hint)
        raise Wrong("The free bits are missing.", "Raise each latent's mean to at least λ.")
    close(
        value,
        formula(price),
        [
            Mistake(-formula(price), "The sign is wrong: this is a bound.", "A loss is lower where it is better."),
            Mistake(
                beta * price + fit.mean(),
                "The reconstruction term has the wrong sign.",
                "A loss is lower where log p(x | z) is higher: subtract it.",
            ),
            Mistake(
                formula(each.clamp(min=floor).sum(1).mean()),
                "You clamp the divergence of each example, not its mean over the batch.",
                "First `kl.mean(0)`, then the maximum: single images may cost less than λ.",
            ),
            Mistake(
                formula(each.sum(1).clamp(min=floor).mean()),
                "You clamp the sum over the latents of each example.",
                "First the mean over the batch, for each latent; then the maximum; then the sum.",
            ),
            Mistake(
                formula(mean.clamp(max=floor).sum()),
                "You cut the divergence off above λ.",
                "max(λ, KL): `clamp(min=λ)`.",
            ),
            Mistake(
                formula((mean - floor).clamp(min=0).sum()),
                "You subtract λ: max(0, KL − λ). The gradient is the same, the loss is not.",
                "max(λ, KL): `clamp(min=λ)`.",
            ),
            Mistake(formula((mean + floor).sum()), "You add λ to each divergence.", "max(λ, KL): `clamp(min=λ)`."),
            Mistake(
                formula((beta * mean).clamp(min=floor).sum(), 1),
                "You multiply with β before the maximum.",
                "β max(λ, KL): what is free does not depend on β.",
            ),
            Mistake(formula(price, 1), "You forgot β.", "It multiplies the sum over the latents."),
            Mistake(price - beta * fit.mean(), "You multiply the reconstruction term with β.", "β is the price of KL."),
            Mistake(beta * (price - fit.mean()), "You multiply everything with β.", "β is the price of KL alone."),
            Mistake(formula(price / 4), "You average over the latents.", "The sum over the latents is charged."),
            Mistake(
                beta * price - fit.sum(), "You sum the reconstruction over the batch.", "Both terms are means over it."
            ),
            Mistake(
                formula(each.sum(0).clamp(min=floor).sum()),
                "You sum the divergence over the batch.",
                "λ is compared with its mean.",
            ),
        ],
        name="your loss",
        hint="For each latent: the mean of its divergence over the batch, then the maximum with λ.",
    )
    raw = raw if isinstance(raw, Tensor) else torch.tensor(raw)
    by_fit, by_kl = _gradients(raw, (reconstruction, kl), ("reconstruction", "kl"), torch.ones_like(raw))
    close(by_fit, torch.full_like(fit, -1 / batch), name="the gradient in reconstruction")
    close(
        by_kl,
        beta / batch * (mean > floor).double().expand_as(each),
        [Mistake(torch.full_like(each, beta / batch), "A latent below λ still feels the price.", "Use `clamp`.")],
        name="the gradient in kl",
        hint="It is β/B for a latent above λ and 0 for one below.",
    )


@exercise("vae.active_latents", call="active_latents(mean, log_variance)")
def active_latents(answer: Callable, generator: Generator) -> None:
    n = 400

    def spread(deviation: float, at: float = 0.0) -> Tensor:
        column = draw.normal(generator, n)
        return at + deviation * (column - column.mean()) / column.std()

    def ask(*latents: tuple[Tensor, float]) -> list[bool]:
        mean = torch.stack([column for column, _ in latents], dim=1)
        log_variance = torch.tensor([value for _, value in latents]).double() + 0.01 * draw.normal(
            generator, *mean.shape
        )
        mask = answer(mean, log_variance)
        if (
            isinstance(mask, Tensor)
            and not mask.dtype.is_floating_point
            and mask.dtype != torch.bool
            and mask.ndim == 1
        ):
            raise Wrong("You return the indices of latents, not one truth value for each.", "Return the mask itself.")
        each = Mistake((n,), "one for each example", "The variance is over the examples: `dim=0`.")
        return tensor(mask, (len(latents),), torch.bool, shapes=[each]).tolist()

    def expect_mask(mask: list[bool], truth: list[bool], says: str, hint: str) -> None:
        if mask == [not value for value in truth]:
            raise Wrong("Your answer is upside down: True means active.", "Negate it.")
        if mask != truth:
            raise Wrong(says, hint)

    healthy, dead = (spread(0.95), -2.5), (spread(0.003), 0.0)
    expect_mask(
        ask(healthy, dead, healthy),
        [True, False, True],
        "You confuse a collapsed latent, whose samples scatter while its mean stands still, with an active one.",
        "The scatter of z is noise; look at the variance of `mean` over the examples.",
    )
    expect_mask(
        ask(healthy, (spread(0.003, at=3.0), 0.0), dead),
        [True, False, False],
        "You call a latent active that is near 3 for every image: it pays nats and says nothing.",
        "Neither its divergence nor its size counts: the variance of `mean` over the examples does.",
    )
    expect_mask(
        ask(healthy, (spread(0.003), -4.0), dead),
        [True, False, False],
        "You call a latent active that is sure of itself but says the same about every image.",
        "A small variance is no message: the variance of `mean` over the examples is.",
    )
    expect_mask(
        ask(healthy, (spread(0.05), -0.1), dead),
        [True, False, False],
        "You compare the standard deviation with 0.01.",
        "The variance is compared: a standard deviation of 0.05 is a variance of 0.0025.",
    )
    expect_mask(
        ask(healthy, (spread(0.15), 0.0), dead),
        [True, True, False],
        "You miss a weak latent: its mean has variance 0.0225 over the examples.",
        "Compare the variance of `mean` with 0.01, nothing else.",
    )


@exercise("vae.interpolate", call="interpolate(start, end, steps)")
def interpolate(answer: Callable, generator: Generator) -> None:
    batch, latent, steps = 3, 4, 5
    start = 2 * normalize(draw.normal(generator, batch, latent), dim=-1)
    # Angles of 40°, 75° and 110°, and lengths that differ from those at the start.
    angle = torch.tensor([40.0, 75.0, 110.0]).double().deg2rad()[:, None]
    across = draw.normal(generator, batch, latent)
    across = normalize(across - (across * start).sum(-1, keepdim=True) / 4 * start, dim=-1)
    length = torch.tensor([[3.0], [2.5], [3.5]]).double()
    end = length * (angle.cos() * start / 2 + angle.sin() * across)
    t = torch.linspace(0, 1, steps, dtype=torch.float64)[:, None, None]

    def turned(angle: Tensor, a: Tensor = start, b: Tensor = end, t: Tensor = t) -> Tensor:
        return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()

    name = "your way"
    wanted = (steps, batch, latent)
    shapes = [
        Mistake((batch, steps, latent), "steps and pairs are exchanged", "Steps come first: t is `(steps, 1, 1)`."),
        Mistake((steps + 1, batch, latent), "one step too many", "t takes `steps` values, 0 and 1 among them."),
        Mistake((steps + 2, batch, latent), "two steps too many", "t takes `steps` values, 0 and 1 among them."),
    ]
    says = "Your way is NaN: the cosine of the angle is beyond ±1."
    hint = "cos ω = a·b / (|a| |b|): divide by both lengths, for each pair."
    value = tensor(answer(start, end, steps), wanted, name=name, not_finite=(says, hint), shapes=shapes)
    flat = torch.cosine_similarity(start.flatten(), end.flatten(), dim=0).acos()
    straight = torch.lerp(start, end, t)
    lengths = torch.lerp(start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True), t)
    open_end = torch.arange(steps, dtype=torch.float64)[:, None, None] / steps
    close(
        value,
        turned(angle),
        [
            Mistake(
                straight,
                "This is the straight line: it passes nearer to the centre.",
                "Weigh with the two sines; is your angle 0 or NaN?",
            ),
            Mistake(
                lengths * normalize(straight, dim=-1),
                "You push the straight line out to the sphere: its steps are unequal.",
                "Equal angles: weigh with sin((1 − t)ω) / sin ω and sin(tω) / sin ω.",
            ),
            Mistake(
                normalize(straight, dim=-1) * start.norm(dim=-1, keepdim=True),
                "You push the straight line out to the sphere: its steps are unequal.",
                "Equal angles: weigh with sin((1 − t)ω) / sin ω and sin(tω) / sin ω.",
            ),
            Mistake(
                turned(angle, start / 2, end / length),
                "Your codes have length 1: only the angle is computed from directions.",
                "Weigh `start` and `end` themselves.",
            ),
            Mistake(
                lengths * turned(angle, start / 2, end / length),
                "You interpolate the lengths separately.",
                "The formula weighs `start` and `end` themselves.",
            ),
            Mistake(turned(flat), "You use one angle for all pairs.", "`(start * end).sum(-1)`: each row has its own."),
            Mistake(turned(angle).flip(0), "Your way goes from end to start.", "At t = 0 it is at `start`."),
            Mistake(
                turned(angle, t=open_end), "Your way never arrives.", "The last t is 1: `torch.linspace(0, 1, steps)`."
            ),
            Mistake(
                turned(angle) * angle.sin(), "You forgot to divide by sin ω.", "At t = 0 the way must be at `start`."
            ),
            Mistake(
                turned(angle.rad2deg()), "You use degrees: the sine takes radians.", "`acos` gives radians already."
            ),
        ],
        name=name,
        hint="Look at one pair, and at t = 0, ½ and 1.",
    )
    same = torch.tensor([[2.0, 0, 0, 0], [0, 1.0, 0, 0]]).double()
    further = torch.tensor([[4.0, 0, 0, 0], [0, 1.0, 0, 0]]).double()
    says = "Your way between codes in one direction is not finite: 0/0."
    hint = "For ω = 0 take the straight line, (1 − t) a + t b."
    value = tensor(answer(same, further, steps), (steps, 2, latent), name=name, not_finite=(says, hint))
    close(
        value,
        torch.lerp(same, further, t),
        name="your way between codes in one direction",
        hint=hint,
    )
    mixed = torch.stack([same[0], start[0]]), torch.stack([further[0], end[0]])
    value = tensor(answer(*mixed, steps), (steps, 2, latent), name=name, not_finite=(says, hint))
    close(
        value[:, 1],
        turned(angle)[:, 0],
        name="your way of a pair whose neighbour points in one direction",
        hint="Choose for each pair: `torch.where`.",
    )


@exercise("vae.train", call="train_vae(x_train)", seconds=60)
def train(answer: Callable, generator: Generator) -> str:
    digits = load("digits").flat()
    x_test = torch.cat([binarize(digits.x_test, generator) for _ in range(2)])
    x_seen = binarize(digits.x_train[:500], generator)
    pixels = x_test.shape[1]

    returned = parts(answer(digits.x_train), ("encode", "decode"))
    for function in returned:
        if not callable(function):
            kind = type(function).__name__
            raise Wrong(f"You return a `{kind}` where a function belongs.", "Return `encode` and `decode` themselves.")
    encode, decode = (guard(f, call) for f, call in zip(returned, ("encode(x)", "decode(z)"), strict=True))
    model = _Model(encode, decode, pixels)
    with torch.no_grad():
        model.examine(x_test[:40], generator)
        reached, single, price = model.bound(x_test, generator)
        simple = _independent(x_test, digits.x_train)
        if reached >= HELD_OUT_GOAL:
            others = f"the goal was {HELD_OUT_GOAL}; independent pixels reach {simple:.2f}"
            return f"{reached:.2f} nats a held-out image ({others}); its code costs {price:.1f} nats."
        seen, _, _ = model.bound(x_seen, generator)
    says = f"Your held-out bound is {reached:.2f} nats an image, the goal is {HELD_OUT_GOAL}"
    if price > 30:
        raise Wrong(
            f"{says}; your codes cost {price:.0f} nats an image: the training did not charge for them.",
            "Subtract the divergence in the training, too: without it, this is a plain autoencoder.",
        )
    if reached - single > 3:
        raise Wrong(
            f"{says}; with one sample it is {single:.2f}: most codes that `encode` draws do not fit their image.",
            "Does it give the log-variance, as in the training, and not the variance or the standard deviation?",
        )
    if reached < simple - 0.3:
        raise Wrong(
            f"{says}; that is worse than independent pixels, {simple:.2f}.",
            "Does the loss fall? Look at the sign of each term, then whether the optimizer has all weights.",
        )
    if price < 0.5:
        raise Wrong(
            f"{says}; your codes carry {price:.2f} nats: the posterior has collapsed.",
            "Is the reconstruction a sum over the 64 pixels, as the divergence is one over the latents? Is β 1?",
        )
    if seen - reached > 0.3:
        raise Wrong(
            f"{says}; on the training images it is {seen:.2f}: you overfit.",
            "Train on all images, binarized anew for every batch, or with a smaller network.",
        )
    raise Wrong(
        f"{says}; on the training images it is {seen:.2f}: you underfit.",
        "More epochs, fresh binary images for every batch, a learning rate that falls at the end, 6 to 12 latents.",
    )


class _Model:
    """A student's encoder and decoder, and the bound that follows from them."""

    def __init__(self, encode: Callable, decode: Callable, pixels: int):
        self._encode, self._decode, self.pixels = encode, decode, pixels

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = (_double(part) for part in parts(self._encode(x), ("mean", "log-variance")))
        if isinstance(mean, Tensor) and (mean.ndim != 2 or len(mean) != len(x)):
            raise Wrong(f"Your mean has shape {tuple(mean.shape)}, expected ({len(x)}, L).", "One code for each image.")
        latent = mean.shape[1] if isinstance(mean, Tensor) else 1
        diverged = ("Your codes are not finite: the training diverged.", "Take smaller steps.")
        mean = tensor(mean, (len(x), latent), name="your mean", not_finite=diverged)
        return mean, tensor(log_variance, mean.shape, name="your log-variance", not_finite=diverged)

    def decode(self, z: Tensor) -> Tensor:
        diverged = ("Your log-odds are not finite: the training diverged.", "Take smaller steps.")
        wanted = (len(z), self.pixels)
        return tensor(_double(self._decode(z.float())), wanted, name="your log-odds", not_finite=diverged)

    def examine(self, x: Tensor, generator: Generator) -> None:
        """Whether the decoder is a function of z, row by row, that gives log-odds."""
        mean, _ = self.encode(x)
        z = mean + draw.normal(generator, *mean.shape)
        odds = self.decode(z)
        if not torch.allclose(odds, self.decode(z), rtol=1e-4, atol=1e-4):
            raise Wrong("Your `decode` gives other log-odds for the same z: it is random.", "Call `.eval()` first.")
        if not torch.allclose(odds.flip(0), self.decode(z.flip(0)), rtol=1e-3, atol=1e-3):
            raise Wrong(
                "The log-odds of one image depend on which other codes are decoded with it.",
                "`decode` works row by row: no normalization over the batch, nothing remembered.",
            )
        if odds.min() >= 0 and odds.max() <= 1:
            raise Wrong("Your `decode` gives numbers between 0 and 1: probabilities.", "Return log-odds: no `sigmoid`.")

    def bound(self, x: Tensor, generator: Generator, samples: int = 100) -> tuple[float, float, float]:
        """Means over the images, in nats: the bound with all samples, with one, and the divergence of q from p."""
        mean, log_variance = self.encode(x)
        q = Normal(mean, (log_variance / 2).exp().clamp(1e-12, 1e12))
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        log_weights = []
        for _ in range(samples):
            z = q.mean + q.stddev * draw.normal(generator, *mean.shape)
            odds = self.decode(z)
            log_joint = (x * odds - softplus(odds)).sum(-1) + prior.log_prob(z).sum(-1)
            log_weights.append(log_joint - q.log_prob(z).sum(-1))
        log_weights = torch.stack(log_weights)
        bound = (log_weights.logsumexp(0) - math.log(samples)).mean().item()
        return bound, log_weights.mean().item(), kl_divergence(q, prior).sum(-1).mean().item()


def _double(value: object) -> object:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _independent(x: Tensor, gray: Tensor) -> float:
    """What independent pixels reach."""
    p = (gray.sum(0) + 1) / (len(gray) + 2)
    return (torch.xlogy(x, p) + torch.xlogy(1 - x, 1 - p)).sum(-1).mean().item()
