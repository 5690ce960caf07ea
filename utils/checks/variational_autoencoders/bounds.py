"""Checks of chapter 6: the ELBO and the tighter bound of IWAE."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import logsigmoid, softplus

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, repeatable, tensor
from utils.checks.variational_autoencoders.divergence import closed_form
from utils.checks.variations import of_inputs, of_terms
from utils.checks.verdicts import Wrong


def _bound(x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    odds = decode(mean + (log_variance / 2).exp() * noise)
    price = closed_form(mean, log_variance, torch.zeros_like(mean), torch.zeros_like(mean))
    return (x * odds - softplus(odds)).sum(-1).mean(0) - price


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
    found = repeatable(answer, x, mean, log_variance, noise, decode, hint="Use `noise`, which is given.")
    value = tensor(found, (batch,), name=name, not_finite=not_odds, shapes=shapes)
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
                fit - price + mean.square().sum(-1) / 2,
                "The divergence lacks the means.",
                "½ Σ (μ² + σ² − 1 − log σ²).",
            ),
            Mistake(
                fit - price - log_variance.sum(-1), "log σ² has the wrong sign in the divergence.", "It is subtracted."
            ),
            Mistake(fit - price - latent, "You add 1 for each latent in the divergence.", "It is subtracted."),
            Mistake(
                fit - price - latent / 2, "The −1 of each latent is missing in the divergence.", "For q = p it is 0."
            ),
            Mistake(fit - price.mean(), "Every image gets the batch's mean divergence.", "Each has its own."),
            Mistake(fit - price.sum(), "You sum the divergence over the batch.", "Each image has its own."),
            Mistake(fit - price / samples, "You divide the divergence by S.", "It is exact: no average is needed."),
            Mistake(each[0] - price, "You use the first sample alone.", "Average log p(x | z) over all S."),
            Mistake(each.amax(0) - price, "You use the best sample alone.", "Average log p(x | z) over all S."),
            Mistake(
                (x * odds.mean(0) - softplus(odds.mean(0))).sum(-1) - price,
                "You average the log-odds over the samples.",
                "First log p(x | z) of each sample, then their mean.",
            ),
            Mistake(
                (x * odds.sigmoid().mean(0).log() + (1 - x) * (1 - odds.sigmoid().mean(0)).log()).sum(-1) - price,
                "You average the probabilities of the pixels over the samples.",
                "First log p(x | z) of each sample, then their mean.",
            ),
            Mistake(
                ((1 - x) * odds - softplus(odds)).sum(-1).mean(0) - price,
                "Ones and zeros are exchanged.",
                "The log-odds belong to x = 1.",
            ),
            Mistake(
                logsigmoid(odds).sum(-1).mean(0) - price, "Your log p(x | z) does not look at x.", "x a − softplus(a)."
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
        varied=lambda: (
            *of_inputs(
                lambda x, mean, log_variance, noise: _bound(x, mean, log_variance, noise, decode),
                x=x,
                mean=mean,
                log_variance=log_variance,
                noise=noise,
            ),
            *of_terms(
                {
                    "E_q Σ x a": (x * odds).sum(-1).mean(0),
                    "−E_q Σ softplus(a)": -softplus(odds).sum(-1).mean(0),
                    "−KL": -price,
                }
            ),
        ),
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
            Mistake(
                log_weights.logsumexp(0) - math.log(samples - 1),
                "You divide by S − 1.",
                "The mean weight: subtract log S.",
            ),
            Mistake(log_weights.logsumexp(0) - math.log2(samples), "You subtract log₂ S.", "Nats: `math.log`."),
            Mistake(
                (log_weights.flatten().logsumexp(0) - math.log(log_weights.numel())).expand(batch),
                "You average over the examples, too.",
                "Over the samples only, the first axis.",
            ),
            Mistake(
                truth - log_weights.amax(0),
                "The maximum that you subtracted is not added again.",
                "log Σ w = m + log Σ w e⁻ᵐ.",
            ),
            Mistake(truth - 2 * log_weights.amax(0), "You subtract the maximum twice.", "Add it again at the end."),
            Mistake(log_weights.median(0).values, "This is the median of the log weights.", "The log of their mean."),
            Mistake(
                (log_joint - log_q[0]).logsumexp(0) - math.log(samples),
                "You use q of the first sample for all.",
                "Each sample has its own weight.",
            ),
            Mistake(log_weights.amax(0), "This is the largest weight only.", "Average all of them."),
        ],
        name=name,
        hint="log w = log p(x, z) − log q(z | x); then the logarithm of the mean of w.",
    )
    hint = "Stay in log space: `torch.logsumexp` subtracts the largest first."
    cut = "Your weights are cut off where they are small."
    for shift, what in ((-2000.0, "underflow"), (2000.0, "overflow")):
        says = f"Your weights {what}: those of images are e to the power of hundreds."
        far = tensor(answer(log_joint + shift, log_q), (batch,), name=name, not_finite=(says, hint))
        if shift < 0 and (far > truth - 1900).all():
            raise Wrong(cut, f"No `clamp`, and no small number inside the logarithm. {hint}")
        close(far, truth + shift, name=name, hint=hint)
    # The densities of q may be as far away as those of p, and log w as ever.
    for shift in (-800.0, 800.0):
        says = "Your exponential is taken of log q alone: e to the power of ±800 is infinite or 0."
        far = tensor(answer(log_joint + shift, log_q + shift), (batch,), name=name, not_finite=(says, hint))
        close(far, truth, name="your bound where log q is far from 0", hint=f"Subtract log q first. {hint}")
    # Each example on a scale of its own.
    shift = torch.tensor([-2500.0, 0.0, 800.0, -400.0], dtype=torch.float64)[torch.randperm(4, generator=generator)]
    says = "You subtract one maximum for all examples: where the weights are far below it, they all become 0."
    one = "One maximum for each example: `.amax(0)`, or `torch.logsumexp`."
    far = tensor(answer(log_joint + shift, log_q), (batch,), name=name, not_finite=(says, one))
    if (far - truth - shift)[shift.argmin()] > 100:
        raise Wrong(cut, f"No `clamp`, and no small number inside the logarithm. {one}")
    close(far, truth + shift, name="your bound of examples that differ by hundreds of nats", hint=one)
