"""The restricted Boltzmann machine with binary units, trained by contrastive divergence with or without persistence."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, softplus

from utils.models.boltzmann.contrastive_divergence import ContrastiveDivergence
from utils.models.boltzmann.options import check_options
from utils.models.boltzmann.partition import LogPartition, anneal, estimate, exact, expectations
from utils.validation import tensor, whole


class Gradient(NamedTuple):
    """Derivatives of the mean log-likelihood, each in the shape of its parameter."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


class RBM(ContrastiveDivergence):
    """p(v, h) = exp(−E(v, h)) / Z with E(v, h) = −b·v − c·h − vᵀW h, for v in {0, 1}^D and h in {0, 1}^H.

    After `fit`: `weights` W `(D, H)`, `visible_bias` b `(D,)`, `hidden_bias` c `(H,)`, `base_bias` `(D,)`, the
    log-odds of the data, and `history_`: after each epoch the pseudo-log-likelihood of some training rows, estimated.

    An update is rate · (⟨v hᵀ⟩ of a batch − ⟨v hᵀ⟩ of samples). The samples come from `k` steps of block Gibbs
    sampling, which start at the batch (CD-k) or go on where they stopped (PCD). The rate falls linearly to 0. At the
    start W is small noise, c is 0 and b is `base_bias`, the best that a machine without W can do.

    Args:
        n_hidden: H.
        learning_rate: the rate at the start, for the mean over a batch.
        batch_size: rows of a batch, and number of chains. Rows that do not fill a batch are left to other epochs.
        epochs: passes over the data of each call of `fit` or `partial_fit`.
        k: Gibbs steps between two updates.
        persistent: whether the chains go on (PCD) or start at the data (CD).
        weight_decay: W also moves by −rate · weight_decay · W.
        dtype: of the parameters.
        generator: source of randomness of `fit`, and of each method that is not given one.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.
        NotFittedError: for a question to a model without parameters.

    Source: Hinton, Training products of experts by minimizing contrastive divergence, 2002; Tieleman, Training
    restricted Boltzmann machines using approximations to the likelihood gradient, 2008.
    """

    names = ("weights", "visible_bias", "hidden_bias", "base_bias")
    results = ("history_",)

    def __init__(
        self,
        n_hidden: int,
        *,
        learning_rate: float = 0.05,
        batch_size: int = 100,
        epochs: int = 10,
        k: int = 1,
        persistent: bool = True,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        generator: Generator | None = None,
    ):
        check_options(self, n_hidden, learning_rate, batch_size, epochs, k, weight_decay)
        self.persistent, self.dtype, self.generator = persistent, dtype, generator

    @classmethod
    def from_parameters(
        cls, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_bias: Tensor | None = None, **options
    ) -> RBM:
        """An RBM with the given parameters; it can do all that a fitted one can. `options` are those of `RBM`.

        Annealing (`log_partition`) begins at `base_bias`, best the log-odds of the data; by default b.
        """
        if weights.ndim != 2:
            raise ValueError(f"weights has shape {tuple(weights.shape)}: expected (D, H)")
        model = cls(weights.shape[1], **{"dtype": weights.dtype, **options})
        model._set(weights, visible_bias, hidden_bias, visible_bias if base_bias is None else base_bias)
        return model

    def _set(self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_bias: Tensor) -> None:
        dim, hidden = len(weights), self.n_hidden
        shapes = {"weights": (dim, hidden), "visible_bias": (dim,), "hidden_bias": (hidden,), "base_bias": (dim,)}
        values = weights, visible_bias, hidden_bias, base_bias
        for (name, shape), value in zip(shapes.items(), values, strict=True):
            if value.shape != shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)}: expected {shape}")
            if not value.isfinite().all():
                raise ValueError(f"{name} holds values that are not finite")
            setattr(self, name, value.detach().to(self.dtype, copy=True))
        self.history_, self._chains = [], None

    # --- energies and conditionals ---

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) = −b·v − c·h − vᵀW h, `(B,)`, for `v` `(B, D)` and `h` `(B, H)`."""
        v, h = self._check(v), self._check(h, "h")
        return -(v @ self.visible_bias + h @ self.hidden_bias + ((v @ self.weights) * h).sum(1))

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = −log Σ_h exp(−E(v, h)) = −b·v − Σ_j log(1 + exp(c_j + vᵀW_j)), `(B,)`."""
        v = self._check(v)
        return -(v @ self.visible_bias) - softplus(torch.addmm(self.hidden_bias, v, self.weights)).sum(1)

    def hidden_probs(self, v: Tensor) -> Tensor:
        """p(h_j = 1 | v) = σ(c_j + vᵀW_j), `(B, H)`."""
        return torch.addmm(self.hidden_bias, self._check(v), self.weights).sigmoid()

    def visible_probs(self, h: Tensor) -> Tensor:
        """p(v_i = 1 | h) = σ(b_i + W_i·h), `(B, D)`."""
        return torch.addmm(self.visible_bias, self._check(h, "h"), self.weights.T).sigmoid()

    def transform(self, x: Tensor) -> Tensor:
        """The features of `x` `(B, D)`: p(h = 1 | x), `(B, H)`."""
        return self.hidden_probs(x)

    def gibbs_step(self, v: Tensor, generator: Generator | None = None) -> Tensor:
        """h ~ p(h | v), all units at once, then v' ~ p(v' | h): one step of block Gibbs sampling, `(B, D)`."""
        return self._draw(self.visible_probs(self._draw(self.hidden_probs(v), generator)), generator)

    def _draw(self, probs: Tensor, generator: Generator | None = None) -> Tensor:
        """1 with probability `probs`, else 0."""
        return torch.empty_like(probs).uniform_(generator=generator or self.generator).lt_(probs)

    # --- likelihoods ---

    def log_partition(
        self,
        method: str = "exact",
        *,
        chains: int = 100,
        betas: int | Tensor = 1000,
        start: Tensor | None = None,
        generator: Generator | None = None,
    ) -> LogPartition:
        """log Z = log Σ_v Σ_h exp(−E(v, h)) in nats, with an interval.

        Args:
            method: "exact" sums over all states of the smaller layer; "ais" is annealed importance sampling.
            chains, betas, generator: of annealed importance sampling, see `utils.models.boltzmann.partition.anneal`.
            start: `(N, D)`, samples of the model, such as `sample(N, start=x_train[:N])`; from these, N more chains go
                backwards, and the interval then reaches from where the one way ends to where the other does.
        """
        if method == "exact":
            return exact(*self._parameters())
        if method != "ais":
            raise ValueError(f"method is {method!r}: expected 'exact' or 'ais'")
        log_base = self.n_hidden * math.log(2) + softplus(self.base_bias.double()).sum().item()
        parameters, source, back = (*self._parameters(), self.base_bias), generator or self.generator, None
        _, there = anneal(*parameters, chains=chains, betas=betas, generator=source)
        if start is not None:
            start = self._check(start, "start")
            _, back = anneal(*parameters, chains=len(start), betas=betas, start=start, generator=source)
        return estimate(there, log_base, back)

    def log_prob(self, x: Tensor, log_partition: LogPartition | float | None = None) -> Tensor:
        """log p(v) = −F(v) − log Z, `(B,)`, in nats; by default with the exact log Z of a small model."""
        log_z = self.log_partition() if log_partition is None else log_partition
        return -self.free_energy(x) - (log_z.value if isinstance(log_z, LogPartition) else log_z)

    def pseudo_log_likelihood(
        self, x: Tensor, *, flips: int | None = None, generator: Generator | None = None
    ) -> Tensor:
        """Σ_i log p(v_i | all other v) `(B,)`, where p(v_i | others) = σ(F(v with i flipped) − F(v)).

        `flips` pixels of each row, drawn at random, stand for all D of them; by default each is flipped in turn.
        """
        x = self._check(x)
        free, total, rows, dim = self.free_energy(x), torch.zeros_like(x[:, 0]), torch.arange(len(x)), x.shape[1]
        flips = whole("flips", flips) if flips is not None else None
        for at in range(flips or dim):
            random = torch.randint(dim, (len(x),), generator=generator or self.generator) if flips else at
            flipped = x.clone()
            flipped[rows, random] = 1 - flipped[rows, random]
            total += logsigmoid(self.free_energy(flipped) - free)
        return total * (dim / (flips or dim))

    def gradient(self, x: Tensor) -> Gradient:
        """Derivatives of the mean log-likelihood of `x`: ⟨·⟩ of the data − ⟨·⟩ of the model, exact, by enumeration."""
        v = self._check(x).double()
        h = (v @ self.weights.double() + self.hidden_bias.double()).sigmoid()
        vh_mean, v_mean, h_mean = expectations(*self._parameters())
        parts = v.T @ h / len(v) - vh_mean, v.mean(0) - v_mean, h.mean(0) - h_mean
        return Gradient(*(part.to(self.dtype) for part in parts))

    # --- samples ---

    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        *,
        steps: int = 1000,
        start: Tensor | None = None,
        clamp: Tensor | None = None,
    ) -> Tensor:
        """`n` chains of block Gibbs sampling, side by side, `(n, D)`.

        Without `start` a chain begins with noise, each entry 0 or 1 with equal odds, and settles in a mode of its own.
        It rarely leaves that mode: for different samples run many chains, not a long one.

        Args:
            steps: Gibbs steps.
            start: rows `(n, D)`, or one `(1, D)` for all, to begin with.
            clamp: mask `(D,)` or `(n, D)` of entries of `start` that stay as they are, while the rest is completed.
        """
        n, steps = whole("n", n), whole("steps", steps, 0)
        if start is None and clamp is not None:
            raise ValueError("clamp keeps entries of start: give start too")
        if start is None:
            start = self._draw(self.weights.new_full((n, len(self.weights)), 0.5), generator)
        start = self._check(start, "start")
        if len(start) not in (1, n) or (
            clamp is not None and clamp.shape not in (start.shape[1:], (n, start.shape[1]))
        ):
            mask = "" if clamp is None else f" and clamp {tuple(clamp.shape)}"
            expected = f"({n}, {start.shape[1]}), or one row for all{mask and ', and a mask of the same width'}"
            raise ValueError(f"start has shape {tuple(start.shape)}{mask}: expected {expected}")
        v = start = start.expand(n, -1)
        for _ in range(steps):
            v = self.gibbs_step(v, generator)
            v = v if clamp is None else torch.where(clamp, start, v)
        return v

    def _parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.weights, self.visible_bias, self.hidden_bias

    def _check(self, x: Tensor, name: str = "x", fitting: bool = False) -> Tensor:
        if tensor(name, x).ndim != 2 or not x.numel():
            raise ValueError(f"{name} has shape {tuple(x.shape)}: expected (B, D) with B > 0; use {name}.flatten(1)")
        width = x.shape[1] if fitting else self.n_hidden if name == "h" else len(self.weights)
        if x.shape[1] != width:
            raise ValueError(f"{name} has {x.shape[1]} columns: this layer of the RBM has {width} units")
        low, high = torch.aminmax(x.detach())
        if not (low >= 0 and high <= 1):  # written so that NaN is refused too
            raise ValueError(
                f"{name} has values from {low:.4g} to {high:.4g}: expected zeros and ones, or probabilities"
            )
        return x.to(self.dtype)
