"""Checks of chapter 6: a trained autoencoder."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from utils.checks import draw
from utils.checks.challenges import independent_pixels
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import parts, tensor
from utils.data import binarize, load

# Nats per image, over five binarizations of the test digits: independent pixels reach −27.1 to −27.0, mixtures of 20 to
# 40 fitted to one binarization −23.3 to −23.0. Networks with one hidden layer and 8 latents: 128 units after 100 epochs
# −23.1 to −23.0; 256 units after 300 epochs −22.4, with one binarization instead of fresh ones −23.0 to −22.8.
HELD_OUT_GOAL = -22.8


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
        simple = independent_pixels(x_test, digits.x_train)
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
