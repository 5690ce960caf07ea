"""Generative adversarial networks: a generator learns from a discriminator, which learns to catch it."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Self

import torch
from torch import Generator, Tensor, nn

from utils.models.gans import losses as gan_losses
from utils.models.gans.losses import discriminator_loss, generator_loss, r1_penalty
from utils.training import Trainer
from utils.validation import as_parameters, numbers, tensor, whole

# Little or no memory of the direction: the other player moves, and yesterday's gradient is out of date.
ADAM = functools.partial(torch.optim.Adam, betas=(0.0, 0.99), fused=True)


class GAN(nn.Module):
    """x = G(z) with z ~ N(0, I): samples without a density, learned in a game against a discriminator D.

    Goodfellow's game is min over G, max over D of E log D(x) + E log(1 − D(G(z))). At the best D, D(x) = p(x) / (p(x) +
    q(x)) for the densities p of the data and q of the samples, its value is 2 JS(p, q) − log 4. `loss` chooses between
    this game and its relatives (`utils.models.gans.losses` has their formulas), the other options what steadies it.

    With `n_classes` the model is conditional: both networks are called with labels as second argument.

    An ensemble of M independent models is trained as one: networks that keep a second axis of M members (see
    `utils.models.gans.toys`), `latent=(M, L)`, data `(N, M, D)`.

    Args:
        generator: z `(B, latent)` → the shape of x.
        discriminator: x → `(B,)`, the log-odds of being real, or any number that is higher for real ones; of an
            ensemble `(B, M)`.
        latent: how many numbers z has, or its shape.
        loss: "minimax", "non-saturating", "wasserstein", "hinge" or "relativistic".
        r1: weight γ of the penalty γ/2 ‖∇D(x)‖² on real examples.
        r1_every: compute that penalty only once in so many steps, with so many times its weight.
        gradient_penalty: weight λ of λ (‖∇D(x̂)‖ − 1)² between real and generated examples, for "wasserstein".
        clip_weights: hold all the discriminator's weights in ± this, the first cure proposed for "wasserstein".
        n_classes: number of classes of a conditional model, else 0.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.

    Source: Goodfellow et al., Generative adversarial nets, 2014, arXiv 1406.2661; Wasserstein: Arjovsky, Chintala,
    Bottou, 2017, arXiv 1701.07875; hinge: Miyato et al., 2018, arXiv 1802.05957; r1_every: Karras et al., 2019,
    arXiv 1912.04958.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: int | tuple[int, ...],
        *,
        loss: str = "non-saturating",
        r1: float = 0.0,
        r1_every: int = 1,
        gradient_penalty: float = 0.0,
        clip_weights: float = 0.0,
        n_classes: int = 0,
    ):
        super().__init__()
        gan_losses.check_kind(loss)
        shape = latent if isinstance(latent, tuple | list) else (latent,)
        if not shape:
            raise ValueError(f"latent is {latent!r}: expected a whole number of at least 1, or a shape of such")
        self.latent = tuple(whole("latent", size) for size in shape)
        weights = {"r1": r1, "gradient_penalty": gradient_penalty, "clip_weights": clip_weights}
        for name, value in weights.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r}: expected a weight above 0, or 0 to leave it out")
        self.r1_every, self.n_classes = whole("r1_every", r1_every), whole("n_classes", n_classes, 0)
        self.generator, self.discriminator, self.loss, self.r1 = generator, discriminator, loss, r1
        self.gradient_penalty, self.clip_weights = gradient_penalty, clip_weights

    def noise(self, n: int, generator: Generator | None = None, truncation: float = math.inf) -> Tensor:
        """z `(n, latent)`, standard normal, each number kept within ± truncation.

        Source of truncation: Brock, Donahue, Simonyan, 2018, arXiv 1809.11096.
        """
        if not truncation > 0:
            raise ValueError(f"truncation is {truncation}: expected the largest |z| to draw, above 0")
        place = next(self.parameters())
        options = {"generator": generator, "dtype": place.dtype, "device": place.device}
        if truncation == math.inf:
            return torch.randn(n, *self.latent, **options)
        inside = math.erf(truncation / math.sqrt(2))  # the share of a normal distribution that is kept
        return math.sqrt(2) * torch.erfinv(inside * (2 * torch.rand(n, *self.latent, **options) - 1))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        y: Tensor | None = None,
        *,
        truncation: float = math.inf,
        chunk: int = 1000,
    ) -> Tensor:
        """`n` draws in the shape of x; of a conditional model with labels `y` `(n,)`.

        A smaller `truncation` gives less varied samples. Memory is used for `chunk` samples at a time.
        """
        n = whole("n", n)
        labels = self._labels(n, y)
        parts = [len(rows) for rows in torch.empty(n).split(chunk)]
        return torch.cat(
            [
                self.generator(self.noise(size, generator, truncation), *own)
                for size, *own in zip(parts, *(column.split(chunk) for column in labels), strict=True)
            ]
        )

    def fit(self, x: Tensor, y: Tensor | None = None, **options) -> Self:
        """Play the game on the rows of `x`, a step of the discriminator and one of the generator for each batch.

        `history_` has the means of each epoch: both losses, and the discriminator's mean answers to real and fake.

        Args:
            x: examples `(N, ...)`.
            y: labels `(N,)` of a conditional model.
            options: of `utils.training.Trainer`, such as epochs, batch_size, ema, seed, and `lr`, one number or
                `{"discriminator": a, "generator": b}`. The optimizer is Adam with betas (0, 0.99) unless given.
        """
        if not tensor("x", x).is_floating_point() or x.ndim < 2 or not len(x):
            raise ValueError(
                f"x has shape {tuple(x.shape)} and type {x.dtype}: expected (N, ...) with N > 0 in floating point"
            )
        x, labels = as_parameters("x", numbers("x", x), self).detach(), self._labels(len(x), y)
        losses = {"discriminator": self._discriminator_step, "generator": self._generator_step}
        trainer = Trainer(self, losses, **{"optimizer": ADAM, "schedule": "constant"} | options)
        self.history_ = trainer.fit((x, *labels)).history
        return self

    def _discriminator_step(self, x: Tensor, *rest) -> dict[str, Tensor]:
        *y, training = rest
        if self.clip_weights:
            with torch.no_grad():
                for weight in self.discriminator.parameters():
                    weight.clamp_(-self.clip_weights, self.clip_weights)
        penalized = self.r1 > 0 and training.step % self.r1_every == 0
        real = x.detach().requires_grad_(penalized)
        # The generator does not change before its own step: the same samples serve both.
        self._fake = self.generator(self.noise(len(x), training.generator), *y)
        fake = self._fake.detach()
        if fake.shape != x.shape:
            raise ValueError(
                f"the generator gives shape {tuple(fake.shape)}, x has {tuple(x.shape)}: expected the same"
            )
        on_real, on_fake = self.discriminator(real, *y), self.discriminator(fake, *y)
        loss = discriminator_loss(on_real, on_fake, self.loss)
        if penalized:
            loss = loss + 0.5 * self.r1 * self.r1_every * r1_penalty(on_real, real)
        if self.gradient_penalty:
            slopes = gan_losses.gradient_penalty(lambda x: self.discriminator(x, *y), x, fake, training.generator)
            loss = loss + self.gradient_penalty * slopes
        return {"loss": loss, "real": on_real, "fake": on_fake}

    def _generator_step(self, x: Tensor, *rest) -> Tensor:
        *y, _ = rest
        fake, self._fake = self._fake, None
        with _frozen(self.discriminator):
            on_real = self.discriminator(x, *y) if self.loss == "relativistic" else None
            return generator_loss(self.discriminator(fake, *y), self.loss, on_real)

    def _labels(self, n: int, y: Tensor | None) -> list[Tensor]:
        """No column of labels, or one."""
        if not self.n_classes:
            if y is not None:
                raise ValueError("labels y are for a conditional GAN: make it with n_classes=")
            return []
        if y is None or y.shape != (n,) or y.is_floating_point() or y.min() < 0 or y.max() >= self.n_classes:
            what = f"labels y of shape ({n},), whole numbers from 0 to {self.n_classes - 1}"
            raise ValueError(f"this GAN is conditional: expected {what}")
        return [y]


@contextlib.contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network, but none are computed for its weights: this is the other network's step."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
