"""Checks of chapter 6: gradients through and around a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from utils.checks import draw, expect
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, tensor


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
            Mistake(
                m + deviation * noise[:1], "Every sample has the noise of the first one.", "One row of `noise` each."
            ),
            Mistake(m + deviation * noise.abs(), "Your noise has lost its sign.", "μ + σ ε."),
            Mistake(
                m.mean(0) + deviation * noise, "You use the batch's mean of the means.", "Each example has its own."
            ),
            Mistake(
                m + torch.nn.functional.softplus(log_variance.detach()) * noise,
                "You take softplus for σ: the input is log σ².",
                "σ = exp(½ log σ²).",
            ),
            Mistake(m + deviation**4 * noise, "You double the log-variance where it is halved.", "σ = exp(½ log σ²)."),
            Mistake(m + deviation**2 * noise / 2, "You halve the variance, not its logarithm.", "σ = exp(½ log σ²)."),
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
    _at_the_ends(answer)


def _at_the_ends(answer: Callable) -> None:
    """Log-variances whose variance is 0 or infinite on a computer, while samples and gradients are finite."""
    log_variance = torch.tensor([[-1600.0, 800.0]], dtype=torch.float64, requires_grad=True)
    mean = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    noise = torch.ones(1, 1, 2, dtype=torch.float64)
    hint = "Halve the log-variance before you take the exponential: σ = exp(½ log σ²), and no `sqrt`."
    says = "Your samples are not finite for a log-variance of 800: the variance overflows, its root does not."
    raw = answer(mean, log_variance, noise)
    value = tensor(raw, (1, 1, 2), name="your samples", not_finite=(says, hint))
    scale = torch.tensor([1.0, math.exp(-400)], dtype=torch.float64)  # the second sample is e^400
    close(value * scale, torch.tensor([[[0.0, 1.0]]]).double(), name="your samples at the ends", hint=hint)
    [slope] = _gradients(raw, (log_variance,), ("log_variance",), scale.expand_as(raw))
    if not slope.isfinite().all():
        raise Wrong("The gradient in log_variance is NaN where the variance rounds to 0: √ has no slope at 0.", hint)
    close(slope, torch.tensor([[0.0, 0.5]]).double(), name="the gradient in log_variance at the ends", hint=hint)


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
            Mistake(truth * samples / (samples - 1), "You divide by S − 1 at the end, too.", "A mean over S samples."),
            Mistake(((value - others)[:, None] * score)[0], "You use the first sample alone.", "Average over all S."),
            Mistake(
                estimate(score, value - f(mean[None])),
                "Your baseline is f at the mean.",
                "The mean of the other samples' values.",
            ),
            Mistake(
                estimate(score, value - value.median()),
                "Your baseline is the median of all values.",
                "The mean of the other samples' values.",
            ),
            Mistake(
                estimate(score, (value - others) / value.std()),
                "You divide by the deviation of the values.",
                "f(z_s) − b_s, and nothing else.",
            ),
            Mistake(
                estimate(score, value - value.roll(1)), "Your baseline is one other sample.", "The mean of all others."
            ),
            Mistake(
                estimate(score, f(noise) - (f(noise).sum() - f(noise)) / (samples - 1)),
                "You ask f at ε, not at the sample z.",
                "z = μ + σ ε.",
            ),
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
            Mistake(estimate(by_log_variance), "The two gradients are exchanged.", "The one in the mean comes first."),
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
            Mistake(estimate(by_mean), "You return the gradient in the mean twice.", "(ε² − 1) / 2 for log σ²."),
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


@exercise("vae.free_bits_loss", call="free_bits_loss(reconstruction, kl, beta, free_nats)")
def free_bits_loss(answer: Callable, generator: Generator) -> None:
    batch, beta, floor = 6, 0.7, 0.5
    # The means of the latents: two below the floor, one of these even with its sum over the batch.
    level = torch.tensor([0.03, 0.3, 0.9, 1.6], dtype=torch.float64)
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
                formula(each.sum(0).clamp(min=floor).sum() / batch),
                "You compare λ with the sum over the batch.",
                "First `kl.mean(0)`, then the maximum with λ.",
            ),
            Mistake(
                formula(mean.sum().clamp(min=4 * floor)),
                "You clamp the sum over the latents: one full latent would pay for all empty ones.",
                "The maximum for each latent first, then the sum.",
            ),
            Mistake(
                formula(mean.clamp(min=beta * floor).sum()),
                "You multiply λ with β, too.",
                "β max(λ, KL): what is free does not depend on β.",
            ),
            Mistake(
                formula(each.mean(1).clamp(min=floor).sum()),
                "You average over the latents and sum over the batch: the axes are exchanged.",
                "`kl.mean(0)`: the batch is the first axis.",
            ),
            Mistake(
                formula((mean * (mean > floor)).sum()),
                "You leave out the latents below λ: they cost λ.",
                "max(λ, KL): `clamp(min=λ)`.",
            ),
            Mistake(
                formula((mean - floor).abs().sum()),
                "You charge the distance to λ, so that an empty latent pays for being empty.",
                "max(λ, KL): `clamp(min=λ)`.",
            ),
            Mistake(
                formula(each.sum(0).clamp(min=floor).sum()) - fit.sum() + fit.mean(),
                "Both terms are sums over the batch.",
                "Means over the batch.",
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
    other = expect.number(answer(reconstruction, kl, 1.9, 1.1), "your loss")
    truth = 1.9 * mean.clamp(min=1.1).sum() - fit.mean()
    wrong = [
        Mistake(1.9 * mean.clamp(min=at).sum() - fit.mean(), "Your λ is always the same.", "Use `free_nats`.")
        for at in (floor, 0.5, 0.1, 1.0)
    ]
    close(other, truth, wrong, name="your loss with other β and λ", hint="Use `beta` and `free_nats` as given.")
