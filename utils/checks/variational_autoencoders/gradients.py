"""Checks of chapter 6: gradients through and around a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.variational_autoencoders._gradients import gradients_of
from utils.checks.variations import Variation, of_steps
from utils.checks.verdicts import Wrong


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
        gradients_of(raw, (mean, log_variance), names, weights),
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
    [slope] = gradients_of(raw, (log_variance,), ("log_variance",), scale.expand_as(raw))
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

    def varied(score: Tensor) -> Iterator[Variation]:
        """Changes on the way to the values; the score stays."""

        def of_values(value: Tensor, fewer: Tensor) -> Tensor:
            return estimate(score, value - (value.sum() - value) / (samples - fewer))

        yield from of_steps(of_values, {"f(z)": value, "the 1 of S − 1": 1.0})
        yield from of_steps(
            lambda mean, deviation, noise: of_values(f(mean + deviation * noise), 1),
            {"`mean`": mean, "σ": deviation, "ε": noise},
        )
        yield from of_steps(
            lambda log_variance: of_values(f(mean + log_variance.exp() * noise), 1), {"½ log σ²": log_variance / 2}
        )
        yield from of_steps(lambda score: estimate(score), {"the score": score})
        yield from of_steps(
            lambda total: estimate(score, value - total / (samples - 1)), {"Σ f − f_s": others * (samples - 1)}
        )
        yield (
            "with the sum of all values, its own with them, over S − 1",
            estimate(score, value - value.sum() / (samples - 1)),
        )

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
        varied=lambda: varied(by_mean),
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
        varied=lambda: varied(by_log_variance),
    )
