"""Autoregressive variance: calm and stormy times of a series of which the values themselves cannot be predicted."""

from __future__ import annotations

import math
from typing import Self

import torch
from scipy.special import stdtrit
from torch import Generator, Tensor
from torch.distributions import StudentT
from torch.nn.functional import softplus

from utils.models.estimator import Estimator
from utils.models.time_series.regression import standardized
from utils.validation import numbers, whole

INNOVATIONS = ("gaussian", "student")


class ARCH(Estimator):
    """ARCH(q): x_t = μ + σ_t ε_t with σ_t² = ω + Σ_i α_i (x_{t−i} − μ)², i = 1 … q, ω > 0, α_i ≥ 0.

    An autoregression of the squares: E[x_t | past] is always μ, the spread around it moves. ε has mean 0 and variance
    1: a Gaussian, or a Student-t with ν > 2 degrees of freedom, whose tails are heavier. ARCH(0) has one variance.

    After `fit` (maximum likelihood given the first q values): `mean` μ, `intercept` ω, `coefficients` α `(q,)`,
    `degrees` ν (infinite for a Gaussian), `log_likelihood` in nats and `n_used`, the number of values that it is of.

    Args:
        order: q, at least 0.
        innovations: "gaussian" or "student".

    Raises:
        ValueError: for parameters or data that make no sense; the message says what to do.
        NotFittedError: for a question to a model that was not fitted.

    Source: R. F. Engle, "Autoregressive conditional heteroscedasticity with estimates of the variance of United Kingdom
    inflation", 1982; with Student's t after T. Bollerslev, 1987.
    """

    names = ("mean", "intercept", "coefficients", "degrees")
    results = ("log_likelihood", "n_used")

    def __init__(self, order: int, innovations: str = "gaussian"):
        if innovations not in INNOVATIONS:
            raise ValueError(f"innovations is {innovations!r}: expected one of {', '.join(INNOVATIONS)}")
        self.order, self.innovations = whole("order", order, 0), innovations

    @classmethod
    def from_parameters(
        cls, intercept: float, coefficients: Tensor, mean: float = 0.0, degrees: float = math.inf
    ) -> ARCH:
        """A model with the given parameters; it can do all that a fitted one can."""
        coefficients = torch.as_tensor(coefficients, dtype=torch.float64)
        model = cls(len(coefficients), "gaussian" if math.isinf(degrees) else "student")
        return model._set(mean, intercept, coefficients, degrees)

    def fit(self, x: Tensor) -> Self:
        """Fit to one series `(T,)` without missing values."""
        x = self._series(x)
        if len(x) < 2 * self.order + 10:
            raise ValueError(
                f"the series has {len(x)} values: an ARCH({self.order}) needs {2 * self.order + 10} or more"
            )
        z, center, scale = standardized(x)
        # μ, log ω, α through softplus, ν − 2 through softplus; they start at a variance of which half is remembered.
        share = 0.5 / max(1, self.order)
        raw = z.new_tensor(
            [0.0, math.log(0.5 if self.order else 1.0), *[math.log(math.expm1(share))] * self.order, 4.0]
        )
        raw.requires_grad_()

        def unpack() -> tuple[Tensor, Tensor, Tensor, Tensor]:
            degrees = 2 + softplus(raw[-1]) if self.innovations == "student" else torch.tensor(math.inf)
            return raw[0], raw[1].exp(), softplus(raw[2:-1]), degrees

        optimizer = torch.optim.LBFGS(
            [raw], max_iter=300, tolerance_grad=1e-9, tolerance_change=1e-13, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            mean, *variance, degrees = unpack()
            spread = self._variance(z - mean, *variance)[:-1]
            value = -_log_density(z[self.order :] - mean, spread, degrees).mean()
            value.backward()
            return value

        optimizer.step(loss)
        mean, intercept, coefficients, degrees = (value.detach() for value in unpack())
        self._set(mean * scale + center, intercept * scale.square(), coefficients, degrees)
        steps = self.step_log_prob(x)[self.order :]
        self.n_used, self.log_likelihood = len(steps), steps.sum().item()
        return self

    @property
    def is_stationary(self) -> bool:
        """Whether Σ α_i < 1: then the variance settles at ω / (1 − Σ α_i), however stormy the present is."""
        return bool(self.coefficients.sum() < 1)

    def volatility(self, x: Tensor) -> Tensor:
        """σ_t of each value and of the one to come, `(T + 1,)`, each from what came before it; NaN for the first q."""
        x = self._series(x)
        known = self._variance(x - self.mean, self.intercept, self.coefficients).sqrt()
        return torch.cat([x.new_full((self.order,), math.nan), known])

    def step_log_prob(self, x: Tensor) -> Tensor:
        """log p(x_t | past) for each t, `(T,)`, in nats; NaN for the first q."""
        x = self._series(x)
        return _log_density(x - self.mean, self.volatility(x)[:-1].square(), self.degrees)

    def sample_paths(self, past: Tensor, steps: int, n: int, generator: Generator | None = None) -> Tensor:
        """n futures after `past` `(T,)`, `(n, steps)`."""
        n, steps = whole("n", n), whole("steps", steps)
        noise = torch.rand(n, steps, generator=generator, dtype=torch.float64).clamp_min(1e-16)
        if self.innovations == "gaussian":
            noise = torch.special.ndtri(noise)
        else:
            noise = torch.as_tensor(stdtrit(self.degrees.item(), noise.numpy())) * (1 - 2 / self.degrees).sqrt()
        past = self._series(past)
        x = torch.cat([past[len(past) - self.order :].expand(n, -1), torch.empty_like(noise)], dim=1)
        for t in range(self.order, self.order + steps):
            squares = (x[:, t - self.order : t].flip(1) - self.mean).square()  # of x_{t−1} … x_{t−q}
            spread = self.intercept + squares @ self.coefficients
            x[:, t] = self.mean + spread.sqrt() * noise[:, t - self.order]
        return x[:, self.order :]

    def _variance(self, centered: Tensor, intercept: Tensor, coefficients: Tensor) -> Tensor:
        """σ² of x_{q+1} … x_{T+1}, `(T − q + 1,)`."""
        if not self.order:
            return intercept.expand(len(centered) + 1)
        return intercept + centered.square().unfold(0, self.order, 1) @ coefficients.flip(0)

    def _series(self, x: Tensor) -> Tensor:
        least = max(1, self.order)
        x = numbers("x", x).detach()
        if x.ndim != 1 or len(x) < least:
            raise ValueError(
                f"the series has shape {tuple(x.shape)}: expected (T,) of finite values, at least {least} of them"
            )
        return x.double()

    def _set(self, mean, intercept, coefficients, degrees) -> Self:
        given = {"mean": mean, "intercept": intercept, "coefficients": coefficients}
        vars(self).update({name: numbers(name, torch.as_tensor(value)).double() for name, value in given.items()})
        self.degrees = torch.as_tensor(degrees, dtype=torch.float64)  # infinite for a Gaussian
        if not self.intercept > 0 or not (self.coefficients >= 0).all() or not self.degrees > 2:
            raise ValueError("expected intercept > 0, coefficients ≥ 0 and degrees > 2: a variance must be positive")
        return self


def _log_density(centered: Tensor, variance: Tensor, degrees: Tensor) -> Tensor:
    """log p of a value with mean 0 and this variance."""
    if torch.isinf(degrees):
        return -(centered.square() / variance + variance.log() + math.log(2 * math.pi)) / 2
    return StudentT(degrees, 0.0, (variance * (1 - 2 / degrees)).sqrt(), validate_args=False).log_prob(centered)
