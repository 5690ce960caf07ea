"""The variational autoencoder and its bounds on log p(x)."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot, softplus

from utils.data import binarize as draw_binary
from utils.models.vae.gaussian import gaussian_kl, reparameterise
from utils.training import Trainer
from utils.validation import as_parameters, numbers, tensor, through, whole

LIKELIHOODS = ("bernoulli", "gaussian")
LOG_2PI = math.log(2 * math.pi)


class Elbo(NamedTuple):
    """The two parts of the bound in nats: E_q[log p(x | z)] `(B,)`, and KL(q ‖ p) of each latent `(B, L)`."""

    reconstruction: Tensor
    kl: Tensor


class VAE(nn.Module):
    """p(x) = ∫ N(z; 0, I) p(x | z) dz, with q(z | x) = N(z; μ(x), diag σ²(x)) in place of the unknown posterior.

    log p(x) ≥ E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)), where z = μ + σ ε with ε ~ N(0, I): gradients reach the encoder.

    With `n_classes`, p(x | y) = ∫ N(z; 0, I) p(x | z, y) dz: the decoder sees `[z, one-hot y]`, and all methods take
    labels `y` `(B,)`. The encoder sees x alone, for x shows its class; the bounds hold for any q.

    Args:
        encoder: x `(B, ...)` → `(B, 2 L)`: μ and log σ².
        decoder: `(B, L)`, or `(B, L + n_classes)`, → the shape of x: log-odds of the pixels, or means.
        latent: L.
        likelihood: "bernoulli" for zeros and ones; "gaussian", with one variance for all pixels, which is learned.
        n_classes: number of classes of a conditional model, else 0.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2013, arXiv 1312.6114.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, *, likelihood: str = "bernoulli", n_classes: int = 0
    ):
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood is {likelihood!r}: expected one of {', '.join(LIKELIHOODS)}")
        self.latent, self.n_classes = whole("latent", latent), whole("n_classes", n_classes, 0)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        if likelihood == "gaussian":
            self.log_variance = nn.Parameter(torch.zeros(()))  # of x given z

    # --- the three distributions: q(z | x), p(z), p(x | z) ---

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ(x) and log σ²(x) of q(z | x), each `(B, L)`."""
        codes = through("encoder", self.encoder, x).to(x.dtype)
        if codes.shape != (len(x), 2 * self.latent):
            expected = (len(x), 2 * self.latent)
            raise ValueError(
                f"the encoder gives shape {tuple(codes.shape)}: expected {expected}, mean and log-variance"
            )
        return codes.chunk(2, dim=1)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x | z]: the probabilities of the pixels, or their means, in the shape of x."""
        raw = self._decode(z, y)
        return raw.sigmoid() if self.likelihood == "bernoulli" else raw

    def _decode(self, z: Tensor, y: Tensor | None) -> Tensor:
        if self.n_classes:
            if y is None or y.shape != z.shape[:1] or y.min() < 0 or y.max() >= self.n_classes:
                what = f"labels y {tuple(z.shape[:1])}, whole numbers from 0 to {self.n_classes - 1}"
                raise ValueError(f"this VAE is conditional: expected {what}")
            z = torch.cat([z, one_hot(y, self.n_classes).to(z)], dim=1)
        elif y is not None:
            raise ValueError("labels y are for a conditional VAE: make it with n_classes=")
        return self.decoder(z).to(z.dtype)

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x | z) `(B,)`, for `x` and `z` `(B, L)` of as many rows."""
        raw = self._decode(z, y)
        if raw.shape != x.shape:
            raise ValueError(f"the decoder gives shape {tuple(raw.shape)}, x has {tuple(x.shape)}: expected the same")
        x, raw = x.flatten(1), raw.flatten(1)
        if self.likelihood == "bernoulli":
            return (x * raw).sum(1) - softplus(raw).sum(1)  # x log σ(raw) + (1 − x) log(1 − σ(raw))
        precision = (-self.log_variance).exp()
        return -0.5 * ((x - raw).square().sum(1) * precision + x.shape[1] * (self.log_variance + LOG_2PI))

    # --- bounds ---

    def parts(
        self, x: Tensor, y: Tensor | None = None, *, n_samples: int = 1, generator: Generator | None = None
    ) -> Elbo:
        """The two parts of the bound: the first an average over `n_samples` draws of z, the second exact."""
        n_samples = whole("n_samples", n_samples)
        mean, log_variance = self.encode(self._check(x))
        total = 0.0
        for _ in range(n_samples):
            total = total + self.log_likelihood(x, reparameterise(mean, log_variance, generator), y)
        return Elbo(total / n_samples, gaussian_kl(mean, log_variance))

    def elbo(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        n_samples: int = 1,
        beta: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """E_q[log p(x | z)] − β KL(q(z | x) ‖ p(z)), `(B,)`, in nats; with β = 1 at most log p(x), on average.

        Source of β: Higgins et al., beta-VAE, ICLR 2017.
        """
        reconstruction, kl = self.parts(x, y, n_samples=n_samples, generator=generator)
        return reconstruction - beta * kl.sum(1)

    def loss(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        beta: float = 1.0,
        free_bits: float = 0.0,
        n_samples: int = 1,
        generator: Generator | None = None,
    ) -> dict[str, Tensor]:
        """What training minimizes, "loss", beside "reconstruction" and "kl" as they are.

        Free bits: the loss counts a latent with less KL than `free_bits` nats, in the mean of the batch, as if it had
        that much. So nothing is gained by emptying it.

        Source: Kingma et al., Improved variational inference with inverse autoregressive flow, 2016, arXiv 1606.04934.
        """
        reconstruction, kl = self.parts(x, y, n_samples=n_samples, generator=generator)
        price = kl.mean(0).clamp(min=free_bits).sum()
        return {"loss": beta * price - reconstruction.mean(), "reconstruction": reconstruction, "kl": kl.sum(1)}

    @torch.no_grad()
    def iwae(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        n_samples: int = 100,
        chunk: int = 5000,
        generator: Generator | None = None,
    ) -> Tensor:
        """log (1/S) Σ_s p(x | z_s) p(z_s) / q(z_s | x) with z_s ~ q(z | x), s = 1 … S = `n_samples`: `(B,)`, in nats.

        On average at most log p(x), no worse with each more sample, and in the limit equal to it. One sample is
        an ELBO. Uses memory for `chunk` decoded rows at a time.

        Source: Burda, Grosse, Salakhutdinov, Importance weighted autoencoders, 2015, arXiv 1509.00519.
        """
        n_samples, chunk = whole("n_samples", n_samples), whole("chunk", chunk)
        starts = range(0, len(self._check(x)), chunk)
        labels = [None if y is None else y[at : at + chunk] for at in starts]
        blocks = zip(x.split(chunk), labels, strict=True)
        return torch.cat([self._iwae(*block, n_samples, max(1, chunk // len(block[0])), generator) for block in blocks])

    def _iwae(self, x: Tensor, y: Tensor | None, n_samples: int, at_once: int, generator: Generator | None) -> Tensor:
        mean, log_variance = self.encode(x)
        total, left = torch.full_like(mean[:, 0], -math.inf), n_samples
        while left:
            times = min(left, at_once)
            repeat = [value.repeat(times, *[1] * (value.ndim - 1)) for value in (x, mean, log_variance)]
            log_weights = self._log_weights(*repeat, None if y is None else y.repeat(times), generator)
            total, left = torch.logaddexp(total, log_weights.view(times, len(x)).logsumexp(0)), left - times
        return total - math.log(n_samples)

    def _log_weights(
        self, x: Tensor, mean: Tensor, log_variance: Tensor, y: Tensor | None, generator: Generator | None
    ) -> Tensor:
        """log p(x | z) + log p(z) − log q(z | x) at one z ~ q, `(B,)`; the 2π of the two densities cancel."""
        z = reparameterise(mean, log_variance, generator)
        squares = z.square() - (z - mean).square() / log_variance.exp() - log_variance
        return self.log_likelihood(x, z, y) - 0.5 * squares.sum(1)

    def log_prob(
        self, x: Tensor, y: Tensor | None = None, *, n_samples: int = 100, generator: Generator | None = None
    ) -> Tensor:
        """log p(x) `(B,)` in nats, estimated by `iwae`: too low on average, and less so with more samples."""
        return self.iwae(x, y, n_samples=n_samples, generator=generator)

    # --- what a trained model can do ---

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None, y: Tensor | None = None) -> Tensor:
        """`n` draws: z ~ N(0, I), then x ~ p(x | z). For images without the noise of the last step: `decode`."""
        n, place = whole("n", n), next(self.parameters())
        z = torch.randn(n, self.latent, generator=generator, dtype=place.dtype, device=place.device)
        x = self.decode(z, y)
        if self.likelihood == "bernoulli":
            return draw_binary(x, generator)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return x + (0.5 * self.log_variance).exp() * noise

    @torch.no_grad()
    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x | z] at the mean z = μ(x) of the posterior, in the shape of x."""
        return self.decode(self.encode(self._check(x))[0], y)

    def fit(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        beta: float = 1.0,
        free_bits: float = 0.0,
        warm_up: float = 0.0,
        binarize: bool = False,
        validation: Tensor | tuple[Tensor, Tensor] | None = None,
        **options,
    ) -> Self:
        """Maximize the bound on the rows of `x`; `history_` has the means of each epoch. Returns the model itself.

        Args:
            x, y: the data, and labels for a conditional model.
            beta, free_bits: see `loss`.
            warm_up: the share of the training in which β rises from 0 to its value.
            binarize: draw each batch of gray images anew as zeros and ones.
            validation: see `utils.training.Trainer.fit`.
            options: of `utils.training.Trainer`, such as epochs, batch_size, lr, seed.
        """

        def loss(x: Tensor, *rest) -> dict[str, Tensor]:
            *labels, training = rest
            x = draw_binary(x, training.generator) if binarize else x
            rising = min(1.0, training.done / warm_up) if warm_up and self.training else 1.0
            return self.loss(x, *labels, beta=beta * rising, free_bits=free_bits, generator=training.generator)

        if not binarize:
            self._check(x)
        self.history_ = Trainer(self, loss, **options).fit(x if y is None else (x, y), validation).history
        return self

    def _check(self, x: Tensor) -> Tensor:
        if not tensor("x", x).is_floating_point() or x.ndim < 2 or not x.numel():
            raise ValueError(
                f"x has shape {tuple(x.shape)} and type {x.dtype}: expected (B, ...) with B > 0 in floating point"
            )
        if self.likelihood == "bernoulli" and not (x * (x - 1) == 0).all():
            raise ValueError("x holds values other than 0 and 1: use utils.data.binarize, or likelihood='gaussian'")
        return as_parameters("x", numbers("x", x), self)
