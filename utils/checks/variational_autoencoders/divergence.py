"""Checks of chapter 6: the divergence of two Gaussians."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.variations import of_inputs, of_steps, of_terms


def closed_form(mean_q: Tensor, log_q: Tensor, mean_p: Tensor, log_p: Tensor) -> Tensor:
    shift = (mean_q - mean_p).square() / log_p.exp()
    return 0.5 * ((log_q - log_p).exp() + shift - 1 + log_p - log_q).sum(-1)


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
            Mistake(formula(one=-1).sum(-1), "You add 1 for each latent where it is subtracted.", "For q = p it is 0."),
            Mistake(formula(shift=0).sum(-1), "You forgot the means.", "Add (μ_q − μ_p)² / σ_p²."),
            Mistake(
                formula(shift=(mean_q - mean_p).abs() / log_p.exp()).sum(-1),
                "You take the size of μ_q − μ_p, not its square.",
                "(μ_q − μ_p)².",
            ),
            Mistake(
                formula(shift=0).sum(-1) + (mean_q - mean_p).sum(-1).square() / 2,
                "You square the sum of the shifts.",
                "Square each shift, divide it by p's variance, then sum.",
            ),
            Mistake(
                formula(logs=2 * (log_p - log_q)).sum(-1), "The log-variances count twice.", "log σ² is the input."
            ),
            Mistake(formula(logs=(log_p - log_q) / 2).sum(-1), "The log-variances are halved twice.", "One ½ for all."),
            Mistake(
                truth.mean().expand(batch),
                "Every example gets the mean over the batch.",
                "Each has its own divergence.",
            ),
            Mistake(
                (kl_divergence(q, p) + kl_divergence(p, q)).sum(-1) / 2,
                "You average both directions.",
                "KL(q‖p) alone: the average is over q.",
            ),
            Mistake(truth + q.entropy().sum(-1), "This is the cross-entropy: q's entropy is missing.", "Subtract it."),
            Mistake(formula(one=1 / latent).sum(-1), "You subtract 1 once, not for each latent.", "Before the sum."),
            Mistake(
                formula(shift=shift / (log_p / 2).exp()).sum(-1),
                "You divide (μ_q − μ_p)² by p's standard deviation.",
                "By its variance, σ_p² = exp(log_variance_p).",
            ),
        ],
        hint="Take one latent, and put q = p: each term is easy then, and the sum is 0.",
        varied=lambda: (
            *of_inputs(
                closed_form,
                mean_q=mean_q,
                log_variance_q=log_q,
                mean_p=mean_p,
                log_variance_p=log_p,
            ),
            *of_terms(
                {
                    "½ Σ σ_q² / σ_p²": widths.sum(-1) / 2,
                    "½ Σ (μ_q − μ_p)² / σ_p²": in_widths.sum(-1) / 2,
                    "−½ L": -0.5 * latent + 0 * truth,
                    "½ Σ log σ_p²": log_p.sum(-1) / 2,
                    "−½ Σ log σ_q²": -log_q.sum(-1) / 2,
                }
            ),
            *of_steps(
                lambda ratio, square, weight: formula(ratio=ratio, shift=square * weight).sum(-1),
                {"σ_q² / σ_p²": widths, "(μ_q − μ_p)²": shift, "1 / σ_p²": (-log_p).exp()},
            ),
        ),
    )
    # Variances that overflow but are equal; and variances that are tiny or huge, whose logarithms still count.
    hint = "σ_q² / σ_p² = exp(log σ_q² − log σ_p²): subtract the logarithms first, and cut nothing off."
    for far_q, far_p in ((800.0, 800.0), (-40.0, 0.0), (30.0, 28.0), (0.0, 60.0)):
        log_q, log_p = (torch.full_like(mean_q, far) for far in (far_q, far_p))
        says = "Your divergence is not finite where the log-variances are 800: the variances overflow."
        value = tensor(answer(mean_q, log_q, mean_p, log_p), (batch,), not_finite=(says, hint))
        distance = shift * math.exp(-far_p)
        truth = 0.5 * (math.exp(far_q - far_p) + distance - 1 + far_p - far_q).sum(-1)
        name = f"your divergence for log-variances of {far_q:g} and {far_p:g}"
        close(value, truth, name=name, hint=hint)
