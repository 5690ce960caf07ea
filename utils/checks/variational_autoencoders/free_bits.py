"""Checks of chapter 6: a loss that leaves some nats free."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close
from utils.checks.variational_autoencoders._gradients import gradients_of
from utils.checks.verdicts import Wrong


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
    by_fit, by_kl = gradients_of(raw, (reconstruction, kl), ("reconstruction", "kl"), torch.ones_like(raw))
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
