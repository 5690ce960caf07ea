"""The VQ-VAE: an autoencoder whose code is a grid of whole numbers, and a prior over these grids."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from utils.data import binarize as draw_binary
from utils.models.codes.prior import CodePrior
from utils.models.codes.quantize import FiniteScalarQuantizer, VectorQuantizer
from utils.training import Trainer
from utils.validation import as_parameters, numbers, tensor, through, whole


class CodeElbo(NamedTuple):
    """The two parts of the bound in nats, each `(B,)`: log p(x | c) and log p(c)."""

    reconstruction: Tensor
    code: Tensor


class VQVAE(nn.Module):
    """p(x) = Σ_c p(c) p(x | c) over all grids of codes c, and one grid c(x) for each x: log p(x) ≥ log p(x, c(x)).

    It is the bound of a variational autoencoder whose posterior puts all its mass on c(x). Pixels are zeros and ones,
    independent given c.

    Args:
        encoder: x `(B, ...)` → `(B, D, H, W)`.
        decoder: `(B, D, H, W)` → log-odds of the pixels, in the shape of x.
        quantizer: of the D numbers at each place.
        prior: p(c).

    Source: van den Oord, Vinyals, Kavukcuoglu, Neural discrete representation learning, 2017, arXiv 1711.00937.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        quantizer: VectorQuantizer | FiniteScalarQuantizer,
        prior: CodePrior,
    ):
        super().__init__()
        if quantizer.n_codes != prior.n_codes:
            raise ValueError(
                f"the quantizer has {quantizer.n_codes} codes and the prior {prior.n_codes}: expected the same"
            )
        self.encoder, self.decoder, self.quantizer, self.prior = encoder, decoder, quantizer, prior

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """c(x): the codes `(B, H, W)`."""
        return self.quantizer.encode(through("encoder", self.encoder, self._check(x)))

    def decode(self, codes: Tensor) -> Tensor:
        """The probability of each pixel, in the shape of x."""
        return self._log_odds(codes).sigmoid()

    def _log_odds(self, codes: Tensor) -> Tensor:
        return through("decoder", self.decoder, self.quantizer.decode(codes))

    def log_likelihood(self, x: Tensor, codes: Tensor) -> Tensor:
        """log p(x | c) `(B,)`, for as many grids of codes `(B, H, W)` as images."""
        return _log_bernoulli(x, self._log_odds(codes))

    # --- the bound ---

    def parts(self, x: Tensor, codes: Tensor | None = None) -> CodeElbo:
        """The two parts of the bound, at c(x) or at any other grid of codes."""
        codes = self.encode(x) if codes is None else codes
        return CodeElbo(self.log_likelihood(x, codes), self.prior.log_prob(codes))

    def elbo(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        """log p(x | c) + log p(c) `(B,)`, at most log p(x), in nats."""
        reconstruction, code = self.parts(x, codes)
        return reconstruction + code

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """What the first training minimizes, "loss": −log p(x | c) and the quantizer's own loss. No price for c."""
        quantized = self.quantizer(self.encoder(x))
        reconstruction = _log_bernoulli(x, self.decoder(quantized.z))
        return {"loss": quantized.loss - reconstruction, "reconstruction": reconstruction, "quantizer": quantized.loss}

    # --- learning: first the codes, then their prior ---

    def fit(self, x: Tensor, *, binarize: bool = False, validation: Tensor | None = None, **options) -> Self:
        """Train encoder, quantizer and decoder; `history_` has the means of each epoch. Returns the model itself.

        Args:
            x: images.
            binarize: draw each batch of gray images anew as zeros and ones.
            validation: see `utils.training.Trainer.fit`.
            options: of `utils.training.Trainer`, such as epochs, batch_size, lr, seed.
        """

        def loss(x: Tensor, training: Trainer) -> dict[str, Tensor]:
            return self.loss(draw_binary(x, training.generator) if binarize else x)

        if not binarize:
            self._check(x)
        self.history_ = Trainer(self, loss, **options).fit(x, validation).history
        return self

    def fit_prior(self, x: Tensor, *, binarize: bool = False, **options) -> Self:
        """Train the prior on the codes of images; all else stays. `prior.history_` has the means of each epoch.

        Images that are binarized anew get their codes anew, too: a prior that saw one draw alone would learn it by
        heart.
        """

        def loss(x: Tensor, training: Trainer) -> Tensor:
            return -self.prior.log_prob(self.encode(draw_binary(x, training.generator) if binarize else x))

        if not binarize:
            self._check(x)
        self.prior.history_ = Trainer(self, {"prior": loss}, **options).fit(x).history
        return self

    # --- what a trained model can do ---

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None, *, temperature: float = 1.0) -> Tensor:
        """`n` draws: c ~ p(c), then x ~ p(x | c). For images without the noise of the last step: `decode`."""
        codes = self.prior.sample(whole("n", n), generator, temperature=temperature)
        return draw_binary(self.decode(codes), generator)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """E[x | c(x)], in the shape of x."""
        return self.decode(self.encode(x))

    def _check(self, x: Tensor) -> Tensor:
        if not tensor("x", x).is_floating_point() or x.ndim < 2 or not x.numel():
            raise ValueError(
                f"x has shape {tuple(x.shape)} and type {x.dtype}: expected (B, ...) with B > 0 in floating point"
            )
        if not (x * (x - 1) == 0).all():
            raise ValueError("x holds values other than 0 and 1: draw them with utils.data.binarize")
        return as_parameters("x", numbers("x", x), self)


def _log_bernoulli(x: Tensor, log_odds: Tensor) -> Tensor:
    """Σ x log σ(a) + (1 − x) log(1 − σ(a)) of each row, `(B,)`."""
    if log_odds.shape != x.shape:
        raise ValueError(f"the decoder gives shape {tuple(log_odds.shape)}, x has {tuple(x.shape)}: expected the same")
    return (x * log_odds - softplus(log_odds)).flatten(1).sum(1)
