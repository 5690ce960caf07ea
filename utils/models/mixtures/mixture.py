"""What all mixtures share: the EM loop, restarts, collapsed components, and what follows from log w_k p(x | k)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor

from utils.models.estimator import Estimator
from utils.models.mixtures.linear import nearest_seed, slices
from utils.validation import whole

INITS = ("k-means++", "random")
START_ROWS = 10_000  # a start is only a guess: this many rows are enough for it, and bound its cost
KMEANS_STEPS = 10  # a few bring most of the gain
EMPTY = 1e-6  # a component that holds less than this many examples is empty


class Reinitialization(NamedTuple):
    """A component that collapsed and began anew at row `row` of the data, one of the least likely."""

    step: int
    component: int
    reason: str
    row: int


class Mixture(Estimator):
    """p(x) = Σ_k w_k p(x | k), fitted with EM (Dempster, Laird & Rubin, 1977).

    A family of components adds its parameters, `_form` (how log w_k p(x | k) is computed), `_m_step`, `_start` and
    the few methods named at the end. Parameters are float64 inside and are shown in the dtype of the data.
    """

    names = ("weights",)
    results = ("history_", "n_iter", "converged", "reinitialized")

    def __init__(self, n_components, *, init, n_init, max_iter, tol, generator):
        if not tol >= 0:
            raise ValueError(f"tol is {tol}: expected 0 or more")
        if init not in INITS:
            raise ValueError(f"init is {init!r}: expected one of {', '.join(map(repr, INITS))}")
        self.n_components, self.n_init = whole("n_components", n_components), whole("n_init", n_init)
        self.max_iter, self.tol, self.init, self.generator = whole("max_iter", max_iter), tol, init, generator
        self._parameters: dict[str, Tensor] = {}

    def __getattr__(self, name: str):
        if name in type(self).names and self._parameters:
            return self._parameters[name].to(self._dtype)
        return super().__getattr__(name)

    def state_dict(self) -> dict[str, Tensor]:
        """The parameters in float64, and "like", an empty tensor of the type in which they are shown."""
        like = self.weights.new_empty(0)
        return {name: value.clone().contiguous() for name, value in self._parameters.items()} | {"like": like}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if set(state) != {*self.names, "like"}:
            raise ValueError(f"the state holds {', '.join(sorted(state))}: expected like, {', '.join(self.names)}")
        self._set(state["like"].dtype, *(state[name].detach().clone() for name in self.names))

    @property
    def mean(self) -> Tensor:
        """E[x] = Σ_k w_k E[x | k], `(D,)`."""
        return self.weights @ self._component_means().to(self._dtype)

    # --- EM ---

    def fit(self, x: Tensor) -> Self:
        """Maximize the likelihood of `x` `(B, D)`; NaN marks a missing value. Returns the model itself.

        `n_init` starts are run and the one with the best last log-likelihood is kept. `history_[t]` is the mean
        log-likelihood, in nats per example, of the parameters *before* step t + 1; the parameters at the end are one
        step ahead of `history_[-1]`, as in scikit-learn. `converged` says that it changed by less than `tol`.
        Rows without any value are allowed: they say nothing and have probability 1.
        """
        x = self._check(x, fitting=True).detach()
        runs = [copy.copy(self)._run(x) for _ in range(self.n_init)]
        self.__dict__.update(max(runs, key=lambda run: run.history_[-1]).__dict__)
        return self

    def _run(self, x: Tensor) -> Self:
        self._dtype, self._device = x.dtype, x.device
        self._start(x)
        self.history_, self.reinitialized, self.converged = [], [], False
        patterns = self._patterns(x)
        for step in range(1, self.max_iter + 1):
            self.n_iter, before = step, self._parameters
            log_prob, sums = self._e_step(x, patterns)
            if self._m_step(*sums):  # rounding ate a variance: once more, about the mean of each component
                self._parameters = before
                self._m_step(*self._e_step(x, patterns._replace(low=-math.inf, high=math.inf))[1])
            again = self._reinitialize(x, log_prob)
            self.history_.append(log_prob.mean().item())
            if not again and step > 1 and abs(self.history_[-1] - self.history_[-2]) < self.tol:
                self.converged = True
                break
        return self

    def _e_step(self, x: Tensor, patterns) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Responsibilities r_k = p(k | x), used at once: log p(x) `(B,)` and the sums over r that the M-step needs."""
        form = self._form(patterns)
        log_prob, total = x.new_empty(len(x), dtype=torch.float64), 0.0
        for rows, joint, features in form.blocks(x):
            # e^-60 is nothing beside 1, but smaller numbers may be denormal in float32, and many times slower.
            joint = joint.maximum(joint.amax(0) - 60)
            evidence = joint.logsumexp(0)  # (B,)
            posterior = (joint - evidence).exp_()  # (K, B)
            log_prob[rows] = evidence.double()
            total = total + form.collect(posterior, features)
        return log_prob, form.moments(total)

    def _reinitialize(self, x: Tensor, log_prob: Tensor) -> bool:
        """Place each collapsed component at one of the least likely examples, with the spread of all the data."""
        collapsed = self._collapsed(len(x))
        if collapsed:
            worst = log_prob.topk(min(len(collapsed), len(x)), largest=False).indices.tolist()
        for at, (component, reason) in enumerate(collapsed):
            row = worst[at % len(worst)]
            self._reseed(component, torch.where(x[row].isnan(), self._center, x[row]).double())
            self._parameters["weights"][component] = 1 / self.n_components
            self.reinitialized.append(Reinitialization(self.n_iter, component, reason, row))
        if collapsed:
            self._parameters["weights"] /= self._parameters["weights"].sum()
        return bool(collapsed)

    def _empty(self, n: int) -> list[tuple[int, str]]:
        return [(k, "empty") for k in (self._parameters["weights"] * n < EMPTY).nonzero().flatten().tolist()]

    # --- the start ---

    def _sample_rows(self, x: Tensor) -> Tensor:
        """Some rows to start from, float64, with missing values set to the mean of what is there."""
        missing = x.isnan()
        if missing.all(0).any():
            raise ValueError(f"column {missing.all(0).nonzero()[0].item()} of x has no value at all: leave it out")
        self._center = x.nanmean(0) if missing.any() else x.mean(0)  # nanmean copies the data
        rows = self._random(torch.rand, len(x), self.generator).argsort()[: max(START_ROWS, 50 * self.n_components)]
        return torch.where(x[rows].isnan(), self._center, x[rows]).double()

    def _seed(self, x: Tensor) -> Tensor:
        """K places to start from: random rows of `x`, or the end of a short k-means that k-means++ began.

        k-means++ picks rows far from each other (Arthur & Vassilvitskii, 2007); then each seed moves to the mean of
        the rows nearest to it, a few times.
        """
        if self.init == "random":
            return x[: self.n_components]  # the rows come in random order
        y, chosen, distance = x - self._center, [0], x.new_tensor(math.inf)
        norm = y.square().sum(1)  # (B,)
        while len(chosen) < self.n_components:
            seed = chosen[-1]
            distance = (norm - 2 * (y @ y[seed]) + norm[seed]).clamp(min=0).minimum(distance)
            chosen.append(self._choose(distance, 1, self.generator).item())
        seeds = x[chosen]
        for _ in range(KMEANS_STEPS):
            nearest = nearest_seed(x, seeds)
            count = nearest.bincount(minlength=len(seeds))[:, None]
            means = torch.zeros_like(seeds).index_add_(0, nearest, x) / count.clamp(min=1)
            seeds = torch.where(count > 0, means, seeds)
        return seeds

    def _choose(self, weights: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """`n` indices drawn with probability proportional to `weights`."""
        edges = weights.double().cumsum(0)
        draws = self._random(torch.rand, n, generator) * edges[-1]
        return torch.searchsorted(edges, draws, right=True).clamp(max=len(weights) - 1)

    def _random(self, draw, shape, generator: torch.Generator | None) -> Tensor:
        """Random float64 numbers on the device of the model, from a generator on any device."""
        source = generator.device if generator is not None else self._device
        return draw(shape, generator=generator, device=source, dtype=torch.float64).to(self._device)

    def _check(self, x: Tensor, fitting: bool = False) -> Tensor:
        """The data `(B, D)`, or an error that says what to do."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a {type(x).__name__}: expected a tensor of shape (B, D); try torch.as_tensor(x)")
        if x.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"x has dtype {x.dtype}: expected torch.float32 or torch.float64; try x.float()")
        if x.ndim != 2 or not x.numel():
            raise ValueError(
                f"x has shape {tuple(x.shape)}: expected (B, D), not empty; try x.flatten(1), or x[None] for one row"
            )
        for rows in slices(len(x), x.shape[1], x.device):  # in blocks: isinf makes a copy
            if (infinite := x[rows].isinf().any(1)).any():
                row = rows.start + infinite.nonzero()[0].item()
                raise ValueError(f"row {row} of x is infinite: only NaN marks what is missing")
        if fitting:
            if len(x) < self.n_components:
                raise ValueError(f"x has {len(x)} rows for {self.n_components} components: give at least as many rows")
        elif x.shape[1] != len(self.mean):
            raise ValueError(f"x has {x.shape[1]} columns: this model knows {len(self.mean)}")
        return x

    def _check_weights(self, weights: Tensor) -> None:
        total = weights.sum().item()
        if not (weights >= 0).all() or not abs(total - 1) <= 1e-5:  # so that NaN is refused, too
            raise ValueError(f"weights sum to {total:.6g} and start at {weights.min():.3g}: expected a distribution")

    def _check_given(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `conditional` needs: the values as one float64 row, and the indices that are known and unknown."""
        if not isinstance(given, Tensor) or given.ndim != 1:
            raise ValueError("given is expected to be a tensor of shape (D,), with NaN where the value is unknown")
        row = self._check(given[None]).double()
        if not given.isnan().any():
            raise ValueError("given has no NaN: nothing is unknown; set the coordinates you ask for to NaN")
        return row, (~given.isnan()).nonzero().flatten(), given.isnan().nonzero().flatten()

    def _check_dims(self, dims) -> Tensor:
        """Distinct coordinates as an index tensor."""
        dim = len(self.mean)
        index = torch.as_tensor(dims, device=self._device).reshape(-1)
        distinct = not index.is_floating_point() and 0 < len(index) == len(index.unique())
        if not distinct or index.min() < 0 or index.max() >= dim:
            raise ValueError(f"dims is {dims}: expected distinct coordinates from 0 to {dim - 1}")
        return index

    # --- what a fitted mixture can tell ---

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_k w_k p(x | k), `(B,)` in nats; of the observed values alone where some are NaN.

        Autograd can differentiate it by x, which gives the score ∇ log p(x).
        """
        x = self._check(x)
        result = x.new_empty(len(x))
        for rows, joint, _ in self._form(self._patterns(x)).blocks(x):
            result[rows] = joint.logsumexp(0).to(x.dtype)
        return result

    def predict_proba(self, x: Tensor) -> Tensor:
        """p(k | x), `(B, K)`, the responsibilities or posterior, given the values that are not NaN."""
        x = self._check(x)
        result = x.new_empty(len(x), self.n_components)
        for rows, joint, _ in self._form(self._patterns(x)).blocks(x):
            result[rows] = joint.softmax(0).T.to(x.dtype)
        return result

    def sample(self, n: int, generator: torch.Generator | None = None, *, return_component: bool = False):
        """Draw `n` examples `(n, D)`; with `return_component` also the component `(n,)` of each."""
        n, generator = whole("n", n), generator or self.generator
        component = self._choose(self.weights, n, generator)
        x = self._draw(component, generator).to(self._dtype)
        return (x, component) if return_component else x

    def bic(self, x: Tensor) -> float:
        """Bayesian information criterion −2 log p(x) + n_parameters · log B (Schwarz, 1978): lower is better."""
        return -2 * self.log_prob(x).double().sum().item() + self.n_parameters * math.log(len(x))

    def aic(self, x: Tensor) -> float:
        """Akaike's information criterion −2 log p(x) + 2 n_parameters: lower is better."""
        return -2 * self.log_prob(x).double().sum().item() + 2 * self.n_parameters
