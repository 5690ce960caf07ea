"""Checks of chapter 6: a trained autoencoder."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from utils.checks import draw
from utils.checks.challenges import ask, independent_pixels, turned_digits
from utils.checks.engine import exercise
from utils.checks.expect import parts, tensor
from utils.checks.guard import guard
from utils.checks.verdicts import Wrong
from utils.data import binarize

# Nats per image: independent pixels reach −27.1 to −27.0. Networks with one hidden layer of 256 units, 8 latents and
# 300 epochs −22.6 to −22.3 (seeds 0 to 3), trained on a few of the images −23.0, with one latent −26.2.
HELD_OUT_GOAL = -22.8
# The decoder alone, with 100,000 codes from the prior: 0 to 0.2 nats less (three seeds). Half as many are enough here.
DECODER_ALONE = 2.0


@exercise("vae.train", call="train_vae(x_train)", seconds=60)
def train(answer: Callable, generator: Generator) -> str:
    gray = turned_digits(generator).float()
    x_train = gray[:1297].clone()
    x_test = torch.cat([binarize(gray[1297:], generator) for _ in range(2)])
    x_seen = binarize(x_train[:500], generator)
    pixels = x_test.shape[1]

    returned = parts(answer(x_train), ("encode", "decode"))
    for function in returned:
        if not callable(function):
            kind = type(function).__name__
            raise Wrong(f"You return a `{kind}` where a function belongs.", "Return `encode` and `decode` themselves.")
    encode, decode = (guard(f, call) for f, call in zip(returned, ("encode(x)", "decode(z)"), strict=True))
    model = _Model(encode, decode, pixels)
    with torch.no_grad():
        # Before `encode` has seen a test image: what the decoder knows, it knows from the training.
        latent = model.latent(x_seen[:5])
        model.examine(draw.normal(generator, 40, latent))
        alone = model.decoder_alone(x_test[:500], latent, generator)
        reached, single, price, seen = model.bounds(x_test, x_seen, generator)
    simple = independent_pixels(x_test, x_train)
    if reached >= HELD_OUT_GOAL and alone < reached - DECODER_ALONE:
        raise Wrong(
            f"Your bound is {reached:.2f} nats an image, but with codes from the prior, asked before `encode` saw a "
            f"test image, your decoder reaches {alone:.2f}: it was told by `encode` what to decode.",
            "`decode` is a function of the code alone: keep nothing of the images between the two.",
        )
    if reached >= HELD_OUT_GOAL:
        others = f"the goal was {HELD_OUT_GOAL}; independent pixels reach {simple:.2f}"
        return f"{reached:.2f} nats a held-out image ({others}); its code costs {price:.1f} nats."
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
    if (seen - independent_pixels(x_seen, x_train)) - (reached - simple) > 0.3:  # some images are simply easier
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

    def examine(self, z: Tensor) -> None:
        """Whether the decoder gives log-odds, and the same ones when asked twice."""
        odds = self.decode(z)
        if not torch.allclose(odds, self.decode(z), rtol=1e-4, atol=1e-4):
            raise Wrong("Your `decode` gives other log-odds for the same z: it is random.", "Call `.eval()` first.")
        if odds.min() >= 0 and odds.max() <= 1:
            raise Wrong("Your `decode` gives numbers between 0 and 1: probabilities.", "Return log-odds: no `sigmoid`.")

    def latent(self, x: Tensor) -> int:
        """How many latents a code has."""
        return self.encode(x)[0].shape[1]

    def decoder_alone(self, x: Tensor, latent: int, generator: Generator, n: int = 50_000) -> float:
        """Mean of log 1/n Σ p(x | z) over codes z from the prior: a bound that no encoder has a part in, in nats."""
        total = torch.full((len(x),), -math.inf, dtype=torch.float64)
        for _ in range(n // 10_000):
            odds = self.decode(draw.normal(generator, 10_000, latent))
            log_p = x.double() @ odds.T - softplus(odds).sum(-1)
            total = torch.logaddexp(total, log_p.logsumexp(1))
        return (total - math.log(n)).mean().item()

    def bounds(
        self, x_test: Tensor, x_seen: Tensor, generator: Generator, samples: int = 100
    ) -> tuple[float, float, float, float]:
        """Means over the images, in nats: the bound of new images with all samples and with one, the divergence of q
        from p, and the bound of images that were trained on."""
        (mean, log_variance), (mean_seen, log_variance_seen) = ask(
            self.encode,
            *(x_test, x_seen),
            generator=generator,
            unlike=Wrong(
                "The code of an image depends on which other images are encoded with it, or on when.",
                "`encode` works row by row: call `.eval()`, and draw nothing in it.",
            ),
            tolerance=1e-3,
        )
        mean, log_variance = torch.cat([mean, mean_seen]), torch.cat([log_variance, log_variance_seen])
        x = torch.cat([x_test, x_seen]).double()
        q = Normal(mean, (log_variance / 2).exp().clamp(1e-12, 1e12))
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        log_weights = []
        for count in range(samples):
            z = q.mean + q.stddev * draw.normal(generator, *mean.shape)
            odds = self.decode_mixed(z, generator) if count == 0 else self.decode(z)
            log_joint = (x * odds - softplus(odds)).sum(-1) + prior.log_prob(z).sum(-1)
            log_weights.append(log_joint - q.log_prob(z).sum(-1))
        log_weights = torch.stack(log_weights)
        bound = log_weights.logsumexp(0) - math.log(samples)
        new, seen = bound.split([len(x_test), len(x_seen)])
        divergence = kl_divergence(q, prior).sum(-1)[: len(x_test)]
        return (
            new.mean().item(),
            log_weights[:, : len(x_test)].mean().item(),
            divergence.mean().item(),
            seen.mean().item(),
        )

    def decode_mixed(self, z: Tensor, generator: Generator) -> Tensor:
        """`decode`, with codes shuffled and some asked twice: whether it is a function of z, row by row."""
        [(odds,)] = ask(
            lambda z: (self.decode(z),),
            z,
            generator=generator,
            unlike=Wrong(
                "The log-odds of one image depend on which other codes are decoded with it, or on when.",
                "`decode` works row by row: no normalization over the batch, nothing remembered.",
            ),
            tolerance=1e-3,
        )
        return odds


def _double(value: object) -> object:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
