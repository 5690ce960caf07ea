"""The restricted Boltzmann machine with binary units, trained by contrastive divergence with or without persistence."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, softplus

from utils.models.boltzmann.partition import LogPartition, anneal, estimate, exact, expectations
from utils.models.validation import NotFittedError

__all__ = ["RBM", "Gradient", "LogPartition", "NotFittedError"]

WATCHED = 500  # training rows that the monitor looks at


class Gradient(NamedTuple):
    """Derivatives of the mean log-likelihood, each in the shape of its parameter."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


class RBM:
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
        for name, value in (("n_hidden", n_hidden), ("batch_size", batch_size), ("epochs", epochs), ("k", k)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}: expected an integer of at least 1")
        if not learning_rate > 0 or not weight_decay >= 0:
            raise ValueError(
                f"learning_rate is {learning_rate} and weight_decay {weight_decay}: expected above 0, and 0 or more"
            )
        self.n_hidden, self.learning_rate, self.batch_size, self.epochs = n_hidden, learning_rate, batch_size, epochs
        self.k, self.persistent, self.weight_decay = k, persistent, weight_decay
        self.dtype, self.generator = dtype, generator

    @classmethod
    def from_parameters(
        cls, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_bias: Tensor | None = None, **options
    ) -> RBM:
        """An RBM with the given parameters; it can do all that a fitted one can. `options` are those of `RBM`.

        Annealing (`log_partition`) begins at `base_bias`, best the log-odds of the data; by default b.
        """
        base_bias = visible_bias if base_bias is None else base_bias
        given = {"visible_bias": visible_bias, "hidden_bias": hidden_bias, "base_bias": base_bias}
        if weights.ndim != 2:
            raise ValueError(f"weights has shape {tuple(weights.shape)}: expected (D, H)")
        model = cls(weights.shape[1], **{"dtype": weights.dtype, **options})
        for (name, bias), length in zip(given.items(), (*weights.shape, len(weights)), strict=True):
            if bias.shape != (length,):
                raise ValueError(f"{name} has shape {tuple(bias.shape)}: expected ({length},)")
        for name, value in {"weights": weights, **given}.items():
            if not value.isfinite().all():
                raise ValueError(f"{name} holds values that are not finite")
            setattr(model, name, value.detach().to(model.dtype, copy=True))
        model.history_, model._chains = [], None
        return model

    def __getattr__(self, name: str):
        if name in ("weights", "visible_bias", "hidden_bias", "base_bias", "history_"):
            raise NotFittedError("this RBM is not fitted yet: call fit(x) or RBM.from_parameters first")
        raise AttributeError(f"RBM has no attribute {name!r}")

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

    # --- learning ---

    def fit(self, x: Tensor) -> Self:
        """Learn from `x` `(B, D)` of zeros and ones, or of probabilities in [0, 1]. Returns the model itself."""
        x = self._check(x, fitting=True)
        frequency = (x.sum(0) + 0.5) / (len(x) + 1)  # never 0 or 1: a pixel that is always off has finite log-odds
        self.base_bias = frequency.logit()
        self.visible_bias, self.hidden_bias = self.base_bias.clone(), x.new_zeros(self.n_hidden)
        self.weights = x.new_empty(x.shape[1], self.n_hidden).normal_(0, 0.01, generator=self.generator)
        self.history_, self._chains = [], None
        return self.partial_fit(x)

    def partial_fit(self, x: Tensor) -> Self:
        """`epochs` more passes over `x`, from parameters and chains as they are; the rate falls to 0 once more."""
        x, weights, size = self._check(x), self.weights, min(self.batch_size, len(x))
        batches = len(x) // size
        # Data above, samples below: one product of matrices serves both.
        v, h = (x.new_empty(2 * size, width) for width in weights.shape)
        v_probs, h_probs = (x.new_empty(size, width) for width in weights.shape)
        noise = torch.empty(size * max(weights.shape) // 4 + 1, dtype=torch.int64)
        data, fantasy = v[:size], v[size:]
        ones, sign = torch.ones(2, 2 * size, dtype=x.dtype)
        sign[size:] = -1
        if self._chains is None or len(self._chains) != size:
            self._chains = self._draw(torch.full_like(h[size:], 0.5))
        for epoch in range(self.epochs):
            order = torch.randperm(len(x), generator=self.generator)
            for batch in range(batches):
                rate = self.learning_rate * (1 - (epoch + batch / batches) / self.epochs)
                torch.index_select(x, 0, order[batch * size : (batch + 1) * size], out=data)
                if not self.persistent:
                    torch.addmm(self.hidden_bias, data, weights, out=h_probs).sigmoid_()
                    _toss(h_probs, noise, self._chains, self.generator)
                for step in range(self.k):
                    torch.addmm(self.visible_bias, self._chains, weights.T, out=v_probs).sigmoid_()
                    _toss(v_probs, noise, fantasy, self.generator)
                    rows = slice(0 if step == self.k - 1 else size, None)  # of the data only once
                    torch.addmm(self.hidden_bias, v[rows], weights, out=h[rows]).sigmoid_()
                    _toss(h[size:], noise, self._chains, self.generator)
                h[size:].neg_()
                weights.addmm_(v.T, h, beta=1 - rate * self.weight_decay, alpha=rate / size)
                self.visible_bias.addmv_(v.T, sign, alpha=rate / size)
                self.hidden_bias.addmv_(h.T, ones, alpha=rate / size)
            self.history_.append(self.pseudo_log_likelihood(x[:WATCHED].round(), flips=1).mean().item())
        if not weights.isfinite().all():
            raise ValueError(f"learning diverged: learning_rate={self.learning_rate} is too large for these data")
        return self

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
        if start is None and clamp is not None:
            raise ValueError("clamp keeps entries of start: give start too")
        if start is None:
            start = self._draw(self.weights.new_full((n, len(self.weights)), 0.5), generator)
        v = start = self._check(start, "start").expand(n, -1)
        for _ in range(steps):
            v = self.gibbs_step(v, generator)
            v = v if clamp is None else torch.where(clamp, start, v)
        return v

    def _parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.weights, self.visible_bias, self.hidden_bias

    def _check(self, x: Tensor, name: str = "x", fitting: bool = False) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} is a {type(x).__name__}: expected a torch.Tensor; use torch.as_tensor({name})")
        if x.ndim != 2 or not len(x):
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


def _toss(probs: Tensor, noise: Tensor, out: Tensor, generator: Generator | None) -> None:
    """Write 1 with probability `probs`, rounded to 16 bits, else 0 into `out`.

    Random numbers are what costs most beside the products of matrices: here four entries share one of 64 bits.
    """
    noise = noise[: (probs.numel() + 3) // 4].random_(-(2**63), None, generator=generator)
    noise = noise.view(torch.int16)[: probs.numel()].view_as(probs)  # from −2^15 to 2^15 − 1
    torch.add(probs.new_tensor(-(2**15) - 0.5), probs, alpha=2**16, out=out)
    torch.lt(noise, out, out=out)
