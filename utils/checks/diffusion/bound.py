"""Checks of chapter 15: the posterior of a step back, and the terms of the bound."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from utils.checks import draw
from utils.checks.diffusion._mixtures import clipped, cosine_level, levels
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, number, parts, repeatable, tensor


@exercise("diffusion.reverse_posterior", call="reverse_posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s)")
def reverse_posterior(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 3
    (a_s, a_middle), (s_s, s_middle) = (row.tolist() for row in levels(generator, 2, 0.25, 0.8))
    for level, (a_t, s_t), (alpha_s, sigma_s) in (
        ("", (a_middle, s_middle), (a_s, s_s)),
        (" with little noise", cosine_level(0.03), cosine_level(0.015)),
        (" with much noise", cosine_level(0.998), (a_s, s_s)),
        (" at s = 0", (a_middle, s_middle), (1.0, 0.0)),
    ):
        x_0 = 4 * draw.away_from_zero(generator, batch, dim)
        x_t = a_t * x_0 + 2 * s_t * draw.normal(generator, batch, dim)
        ratio = a_t / alpha_s
        added = s_t**2 - (ratio * sigma_s) ** 2  # variance of x_t, given x_s
        names = (f"your mean{level}", f"your variance{level}")
        inputs = x_t, x_0, a_t, s_t, alpha_s, sigma_s
        found = parts(answer(*inputs), names)
        at_zero = None
        if not sigma_s:
            at_zero = (
                f"At s = 0 {names[0]} is not finite: you divide by σ_s, which is 0.",
                "Multiply numerator and denominator with σ_s².",
            )
        found_mean = tensor(found[0], (batch, dim), name=names[0], not_finite=at_zero)
        repeatable(
            lambda *inputs, names=names: parts(answer(*inputs), names)[0], *inputs, hint="Nothing is drawn here."
        )
        if isinstance(found[1], Tensor) and found[1].numel() > 1:
            raise Wrong(
                f"Your variance should be one number, not shape {tuple(found[1].shape)}.",
                "It is the same for all rows and features: compute it from the levels alone.",
            )
        found_variance = number(found[1], names[1], not_finite=at_zero)
        if not sigma_s:
            _at_zero(found_mean, found_variance, x_t, x_0)
            continue
        # Two measurements of x_s: α_s x_0 with variance σ_s², and x_t / ratio with variance added / ratio².
        of_data, of_noise = 1 / sigma_s**2, ratio**2 / added
        variance = 1 / (of_data + of_noise)
        mean = variance * (of_data * alpha_s * x_0 + of_noise * x_t / ratio)
        hint = "Of two Gaussians that are multiplied, precisions add up, and means are weighed with them."
        of_ratios = {
            "α_t / α_s is how much of x_s is left in x_t; you take α_t alone.": a_t,
            "α_t / α_s is turned over.": alpha_s / a_t,
            "You multiply α_t with α_s; it is α_t / α_s that is left of x_s.": a_t * alpha_s,
        }
        pull, keep = alpha_s * added / s_t**2, ratio * sigma_s**2 / s_t**2

        def with_ratio(
            ratio: float, alpha_s: float = alpha_s, sigma_s: float = sigma_s, s_t: float = s_t
        ) -> tuple[float, float, float]:
            """The weights of x_0 and x_t, and the variance."""
            added = s_t**2 - (ratio * sigma_s) ** 2
            return alpha_s * added / s_t**2, ratio * sigma_s**2 / s_t**2, added * sigma_s**2 / s_t**2

        close(
            found_mean,
            mean,
            [
                *(
                    Mistake(with_ratio(r)[0] * x_0 + with_ratio(r)[1] * x_t, says, hint)
                    for says, r in of_ratios.items()
                ),
                Mistake(pull * x_0, "x_t is missing in the mean.", hint),
                Mistake(keep * x_t, "x_0 is missing in the mean.", hint),
                Mistake(
                    pull * x_0 + ratio * sigma_s / s_t**2 * x_t, "σ_s should be squared in the weight of x_t.", hint
                ),
                Mistake(pull * x_0 + ratio / s_t**2 * x_t, "σ_s² is missing in the weight of x_t.", hint),
                Mistake(
                    alpha_s / s_t**2 * x_0 + keep * x_t,
                    "The variance of x_t, given x_s, is missing in the weight of x_0.",
                    hint,
                ),
                Mistake(pull * x_0 - keep * x_t, "x_t has the wrong sign.", hint),
                Mistake(
                    alpha_s * (s_t**2 + (ratio * sigma_s) ** 2) / s_t**2 * x_0 + keep * x_t,
                    "The variance of x_t, given x_s, is a difference, not a sum.",
                    hint,
                ),
                Mistake(
                    alpha_s * x_0 + keep * x_t,
                    "The variance of x_t, given x_s, is less than σ_t²: what x_s brought is not new.",
                    hint,
                ),
                Mistake(pull * x_t + keep * x_0, "The weights of x_0 and x_t are swapped.", hint),
                Mistake(
                    added / s_t**2 * x_0 + keep * x_t,
                    "x_0 lacks α_s: the mean of x_s, given x_0, is α_s x_0.",
                    hint,
                ),
                Mistake(
                    pull * x_0 + sigma_s**2 / s_t**2 * x_t,
                    "x_t lacks α_t / α_s: that is how much of x_s it holds.",
                    hint,
                ),
                Mistake(
                    pull * x_0 + sigma_s**2 / s_t**2 / ratio * x_t, "You divide by α_t / α_s where it multiplies.", hint
                ),
                Mistake(alpha_s * x_0, "This is the mean of x_s, given x_0 alone: x_t knows more.", hint),
                Mistake(x_t / ratio, "This looks at x_t alone.", hint),
                Mistake(
                    alpha_s * x_0 + sigma_s * (x_t - a_t * x_0) / s_t,
                    "This is DDIM's step: it keeps all of the noise, so its spread is 0.",
                    hint,
                ),
                Mistake(
                    (alpha_s * x_0 + x_t / ratio) / 2,
                    "You average both without weights.",
                    hint,
                ),
                Mistake(
                    (pull * x_0 + keep * x_t) * s_t,
                    "You divide by σ_t, not by σ_t².",
                    hint,
                ),
                Mistake(
                    (pull * x_0 + keep * x_t) * s_t**2,
                    "σ_t² is missing in the denominator.",
                    hint,
                ),
                Mistake(
                    alpha_s * (s_t**2 - sigma_s**2) / s_t**2 * x_0 + keep * x_t,
                    "The variance of x_t, given x_s, is σ_t² − (α_t / α_s)² σ_s²: the factor is missing.",
                    hint,
                ),
                Mistake(
                    alpha_s * (s_t**2 - ratio * sigma_s**2) / s_t**2 * x_0 + keep * x_t,
                    "The variance of x_t, given x_s, is σ_t² − (α_t / α_s)² σ_s²: the square is missing.",
                    hint,
                ),
                Mistake(
                    (alpha_s * x_0 / sigma_s**2 + x_t / added) * variance,
                    "x_t lacks α_t / α_s: that is how much of x_s it holds.",
                    hint,
                ),
                Mistake(
                    of_data * alpha_s * x_0 + of_noise * x_t / ratio,
                    "The sum of weighed means is to be divided by the sum of the precisions.",
                    hint,
                ),
                *clipped(lambda c, mean=mean: mean.clamp(-c, c), "Your mean"),
                *clipped(
                    lambda c, x_t=x_t, x_0=x_0, pull=pull, keep=keep: pull * x_0.clamp(-c, c) + keep * x_t, "Your x_0"
                ),
            ],
            name=names[0],
            hint=hint,
        )
        spread = [
            *(Mistake(with_ratio(r)[2], says, hint) for says, r in of_ratios.items()),
            Mistake(sigma_s**2 / s_t**2, "The variance of x_t, given x_s, is missing.", hint),
            Mistake(added / s_t**2 * sigma_s, "σ_s should be squared.", hint),
            Mistake(added / s_t * sigma_s**2, "σ_t should be squared.", hint),
            Mistake(variance**0.5, "This is the standard deviation; the variance is asked for.", "Do not take a root."),
            Mistake(
                added,
                "This is the variance of x_t, given x_s: who knows x_0, too, is surer.",
                "σ_s² / σ_t² of it is left.",
            ),
            Mistake(sigma_s**2, "This is the variance of x_s, given x_0 alone.", hint),
            Mistake(of_data + of_noise, "This is the precision: take one divided by it.", hint),
            Mistake(added * sigma_s / s_t, "σ_s / σ_t should be squared.", hint),
            Mistake(added / s_t**2, "σ_s² is missing.", hint),
            Mistake(added * sigma_s**2, "σ_t² is missing in the denominator.", hint),
            Mistake(sigma_s**2 + added, "You add the variances; the precisions add up.", hint),
            Mistake(
                (s_t**2 - sigma_s**2) * sigma_s**2 / s_t**2,
                "The variance of x_t, given x_s, is σ_t² − (α_t / α_s)² σ_s²: the factor is missing.",
                hint,
            ),
            Mistake(
                (s_t**2 - ratio * sigma_s**2) * sigma_s**2 / s_t**2,
                "The variance of x_t, given x_s, is σ_t² − (α_t / α_s)² σ_s²: the square is missing.",
                hint,
            ),
        ]
        spread = [one for one in spread if abs(one.value - variance) > 1e-9]
        spread = [one._replace(value=torch.tensor(one.value, dtype=torch.float64)) for one in spread]
        close(found_variance, torch.tensor(variance, dtype=torch.float64), spread, name=names[1], hint=hint)


def _at_zero(mean: Tensor, variance: Tensor, x_t: Tensor, x_0: Tensor) -> None:
    """At s = 0 the point between is the data point itself; it was right elsewhere."""
    known = "x_0 is given, so x_s is known without doubt: the mean is x_0 and the variance 0."
    close(
        mean,
        x_0,
        [
            Mistake(x_t, "At s = 0 your mean is x_t; it should be x_0.", known),
            Mistake(0 * x_0, "At s = 0 your mean is 0; it should be x_0.", known),
            *clipped(lambda c: x_0.clamp(-c, c), "Your mean at s = 0"),
        ],
        name="your mean at s = 0",
        hint=known,
    )
    if variance.abs() > 1e-12:
        raise Wrong(f"At s = 0 your variance should be 0, not {variance.item():.3g}.", known)


@exercise("diffusion.bound_terms", call="bound_terms(x, predicted, alphas, sigmas)")
def bound_terms(answer: Callable, generator: Generator) -> None:
    steps, batch, dim = 5, 4, 3
    x = 4 * draw.away_from_zero(generator, batch, dim)
    predicted = x + 0.4 * draw.normal(generator, steps, batch, dim)
    alphas, sigmas = levels(generator, steps + 1, 0.02, 0.99)
    last = Normal(alphas[-1] * x, sigmas[-1])
    prior = kl_divergence(last, Normal(torch.zeros_like(x), 1.0)).sum(1)
    rows = []
    for t in range(1, steps + 1):
        ratio = alphas[t] / alphas[t - 1]
        added = sigmas[t] ** 2 - (ratio * sigmas[t - 1]) ** 2
        x_t = alphas[t] * x + sigmas[t] * draw.normal(generator, batch, dim)

        def step(guess: Tensor, t: int = t, ratio: Tensor = ratio, added: Tensor = added, x_t: Tensor = x_t) -> Normal:
            mean = (ratio * sigmas[t - 1] ** 2 * x_t + alphas[t - 1] * added * guess) / sigmas[t] ** 2
            return Normal(mean, added.sqrt() * sigmas[t - 1] / sigmas[t])

        rows.append(kl_divergence(step(x), step(predicted[t - 1])).sum(1))
    truth = torch.stack(rows)
    names = ("the prior's term", "the steps' terms")
    found = parts(answer(x, predicted, alphas, sigmas), names)
    per_pixel = Mistake((batch, dim), "it is not summed over the features", "Sum over the last axis.")
    one = Mistake((), "one number for the batch", "Each row has its own.")
    found_prior = tensor(found[0], (batch,), name=names[0], shapes=[one, per_pixel])
    shapes = [
        Mistake((steps, batch, dim), "it is not summed over the features", "Sum over the last axis."),
        Mistake((steps,), "you sum over the rows, too", "Each row has its own terms."),
        Mistake((batch,), "you sum over the steps, too", "Return the term of each step."),
    ]
    found_steps = tensor(found[1], (steps, batch), name=names[1], shapes=shapes)

    m, v = alphas[-1] * x, sigmas[-1] ** 2
    first_m, first_v = alphas[0] * x, sigmas[0] ** 2
    formula = "KL = ½ Σ (m² + v − 1 − log v) with m = α_T x and v = σ_T²."
    close(
        found_prior,
        prior,
        [
            Mistake((m**2 + v - 1 - v.log()).sum(1), "The ½ is missing in the prior's term.", formula),
            Mistake(prior / dim, "You average over the features; the bound is a sum.", formula),
            Mistake(
                0.5 * ((m**2).sum(1) + v - 1 - v.log()),
                "The part of the variance counts once; each of the D features has it.",
                "Sum the whole bracket over the features.",
            ),
            Mistake(0.5 * (m**2).sum(1), "The prior's term lacks the part of the variance.", formula),
            Mistake(0.5 * (m**2 + v - 1).sum(1), "The logarithm of the variance is missing.", formula),
            Mistake(0.5 * (m**2 + v - 1 + v.log()).sum(1), "The logarithm has the wrong sign.", formula),
            Mistake(0.5 * (m**2 + v - v.log()).sum(1), "The −1 is missing: equal Gaussians would not cost 0.", formula),
            Mistake(0.5 * (x**2 + v - 1 - v.log()).sum(1), "The mean of x_T is α_T x, not x.", formula),
            Mistake(0.5 * (m**2 + v.sqrt() - 1 - v.sqrt().log()).sum(1), "v is σ_T²: the square is missing.", formula),
            Mistake(
                0.5 * (m**2 + v - 1 - v.sqrt().log()).sum(1),
                "The logarithm is that of the variance, log σ_T².",
                formula,
            ),
            Mistake(0.5 * (m + v - 1 - v.log()).sum(1), "The mean should be squared.", formula),
            Mistake(
                0.5 * (first_m**2 + first_v - 1 - first_v.log()).sum(1),
                "You compare x_0's end of the chain with the prior: take the last level.",
                "`alphas[-1]` is the noisiest level.",
            ),
            Mistake(
                kl_divergence(Normal(torch.zeros_like(x), 1.0), last).sum(1),
                "The divergence is taken the other way round.",
                "KL(q ‖ N(0, I)): q comes first.",
            ),
            Mistake(prior / torch.tensor(2.0).double().log(), "Your prior's term is in bits.", "Natural logarithms."),
        ],
        name=names[0],
        hint=formula,
    )
    error = (predicted - x).square().sum(2)
    snr = (alphas / sigmas) ** 2
    uncovered = (snr[:-1] - snr[1:])[:, None]
    ratio = (alphas / sigmas)[:, None]
    formula = "½ (SNR_{t−1} − SNR_t) ‖x_0 − x̂_0‖², with SNR = α² / σ²."
    close(
        found_steps,
        truth,
        [
            Mistake(-truth, "The SNRs are subtracted the wrong way round: a divergence is never negative.", formula),
            Mistake(uncovered * error, "The ½ is missing in the steps' terms.", formula),
            Mistake(truth / dim, "You average over the features; the bound is a sum.", formula),
            Mistake(0.5 * (ratio[:-1] - ratio[1:]) * error, "The SNR is α² / σ²: the square is missing.", formula),
            Mistake(0.5 * uncovered * error.sqrt(), "The distance should be squared.", formula),
            Mistake(error, "The weight is missing: a step costs what it uncovers.", formula),
            Mistake(error / 2, "The weight is missing: a step costs what it uncovers.", formula),
            Mistake(0.5 * snr[:-1, None] * error, "The SNR of level t is not subtracted.", formula),
            Mistake(0.5 * snr[1:, None] * error, "You weigh with the SNR of level t alone.", formula),
            Mistake(
                0.5 * uncovered.flip(0) * error,
                "The guesses and the levels run in opposite directions.",
                "`predicted[0]` was made from x_1, the least noisy one.",
            ),
            Mistake(
                0.5 * uncovered * error.flip(0),
                "The guesses and the levels run in opposite directions.",
                "`predicted[0]` was made from x_1, the least noisy one.",
            ),
            *clipped(lambda c: 0.5 * uncovered * (predicted.clamp(-c, c) - x).square().sum(2), "Your guess"),
            Mistake(
                0.5 * uncovered * (predicted - x).sum(2).square(),
                "You sum before you square: errors of features cancel.",
                "First square, then sum.",
            ),
            Mistake(
                0.5 * (alphas[:-1] ** 2 - alphas[1:] ** 2)[:, None] * error,
                "You subtract α², not the SNR: σ² is missing in the denominator.",
                formula,
            ),
            Mistake(truth / torch.tensor(2.0).double().log(), "Your terms are in bits.", "Natural logarithms."),
            Mistake(
                0.5 * (snr[:-1] / snr[1:] - 1)[:, None] * error,
                "You weigh with the ratio of the SNRs; it is their difference.",
                formula,
            ),
            Mistake(
                0.5 * (snr[:-1] / snr[1:]).log()[:, None] * error,
                "You subtract the logarithms of the SNRs, not the SNRs.",
                formula,
            ),
            Mistake(
                (found_steps * error).sum(1, keepdim=True) / error.square().sum(1, keepdim=True) * error,
                "The squared errors are right, the weights of the steps are not.",
                formula,
                general=True,
            ),
        ],
        name=names[1],
        hint=formula,
    )
