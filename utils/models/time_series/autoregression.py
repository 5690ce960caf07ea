"""The linear Gaussian autoregressive model: fitted, checked for stationarity, asked for what is missing or to come."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from utils.models.estimator import Estimator
from utils.models.time_series.regression import fit_conditional, known_features, regression, series, standardized
from utils.models.time_series.stationary import autocovariance, companion, fit_exact, toeplitz
from utils.validation import numbers, whole

LIKELIHOODS = ("conditional", "exact")


class Autoregression(Estimator):
    """AR(p): x_t = c + f_t · w + Σ_i φ_i x_{t−i} + σ ε_t with ε_t ~ N(0, 1), i = 1 … p.

    f_t are features known for all times, such as a trend or the waves of a season; without them f_t · w is left out.

    After `fit`: `intercept` c, `weights` w `(D,)`, `coefficients` φ `(p,)`, `variance` σ² (the sum of squares divided
    by their number), `log_likelihood` in nats and `n_used`, the number of values that it is of. All in float64.

    Missing values (NaN): the conditional fit leaves out each value that lacks one of its p predecessors, or is missing
    itself; `log_prob`, `conditional` and `forecast` treat them exactly.

    Args:
        order: p, at least 0.
        likelihood: "conditional" on the first p values, which is least squares; or "exact", with the density of the
            first p values under the stationary distribution: then the fit is always stationary.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.
        NotFittedError: for a question to a model that was not fitted.

    Source: Box and Jenkins, Time Series Analysis, 1970; Hamilton, Time Series Analysis, 1994, sections 5.2 and 5.3.
    """

    names = ("intercept", "weights", "coefficients", "variance")
    results = ("log_likelihood", "n_used")

    def __init__(self, order: int, likelihood: str = "conditional"):
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood is {likelihood!r}: expected one of {', '.join(LIKELIHOODS)}")
        self.order, self.likelihood = whole("order", order, 0), likelihood

    @classmethod
    def from_parameters(
        cls, coefficients: Tensor, intercept: float = 0.0, variance: float = 1.0, weights: Tensor | None = None
    ) -> Autoregression:
        """A model with the given parameters; it can do all that a fitted one can."""
        coefficients = torch.as_tensor(coefficients, dtype=torch.float64)
        if coefficients.ndim != 1 or not variance > 0:
            raise ValueError(
                f"coefficients have shape {tuple(coefficients.shape)} and variance is {variance}: expected (p,) and a"
                " variance above 0"
            )
        weights = torch.zeros(0) if weights is None else torch.as_tensor(weights)
        return cls(len(coefficients))._set(intercept, weights, coefficients, variance)

    def fit(self, x: Tensor, features: Tensor | None = None) -> Self:
        """Fit to one series `(T,)`, with features `(T, D)` if given."""
        x, features = series(x), known_features(features, len(x))
        if self.likelihood == "exact":
            if x.isnan().any() or features.shape[1]:
                raise ValueError('the exact fit takes no missing values and no features: use likelihood="conditional"')
            fit_conditional(x, features, self.order)  # which says so where there are too few values, or no noise
            z, center, scale = standardized(x)
            mean, coefficients, variance = fit_exact(z, self.order)
            mean = center + scale * mean
            self._set(mean * (1 - coefficients.sum()), x[:0], coefficients, scale.square() * variance)
            self.n_used, self.log_likelihood = len(x), self.log_prob(x[None]).item()
            return self
        *parameters, self.n_used = fit_conditional(x, features, self.order)
        self._set(*parameters)
        self.log_likelihood = -self.n_used / 2 * (math.log(2 * math.pi * self.variance) + 1)
        return self

    # --- what a fitted model can tell ---

    @property
    def aic(self) -> float:
        """Akaike's criterion −2 log L + 2 k; k counts c, w, φ and σ². To compare orders use `aic_by_order`."""
        return -2 * self.log_likelihood + 2 * (2 + self.order + len(self.weights))

    @property
    def roots(self) -> Tensor:
        """The zeros of 1 − φ_1 z − … − φ_p z^p, complex `(p,)`."""
        return 1 / torch.linalg.eigvals(companion(self.coefficients))

    @property
    def is_stationary(self) -> bool:
        """Whether all zeros lie outside of the unit circle: then shocks die out, and mean and variance settle."""
        return bool((torch.linalg.eigvals(companion(self.coefficients)).abs() < 1).all())

    @property
    def mean(self) -> Tensor:
        """μ = c / (1 − Σ φ_i), where a stationary series without features settles."""
        self._check_stationary()
        return self.intercept / (1 - self.coefficients.sum())

    def autocovariance(self, n: int) -> Tensor:
        """γ_k = cov(x_t, x_{t−k}) of the stationary series, k = 0 … n − 1."""
        self._check_stationary()
        return autocovariance(self.coefficients, self.variance, whole("n", n))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log-density of stationary series `(B, T)` → `(B,)`, in nats; of what is known where NaN is."""
        x = numbers("x", x, missing=True)
        if x.ndim != 2 or not x.numel():
            raise ValueError(
                f"x has shape {tuple(x.shape)}: expected (B, T), not empty, a series a row; x[None] makes one of (T,)"
            )
        x, covariance = x.double(), toeplitz(self.autocovariance(x.shape[1]))
        if not x.isnan().any():
            return MultivariateNormal(self.mean.expand(x.shape[1]), covariance).log_prob(x)
        known = [(row[keep], covariance[keep][:, keep]) for row in x for keep in [~row.isnan()]]
        return torch.stack(  # of a row of which nothing is known nothing is asked: its probability is 1
            [
                MultivariateNormal(self.mean.expand(len(v)), cov).log_prob(v) if len(v) else self.mean * 0
                for v, cov in known
            ]
        )

    def step_log_prob(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """log p(x_t | x_{t−1} … x_{t−p}) for each t, `(T,)`; NaN where one of these is missing or before the start."""
        x = series(x)
        rows, y, _ = regression(x, self._checked(features, len(x)), self.order)
        residual = y - rows @ torch.cat([self.intercept[None], self.weights, self.coefficients])
        known = -(residual.square() / self.variance + (2 * math.pi * self.variance).log()) / 2
        return torch.cat([x.new_full((len(x) - len(known),), math.nan), known])

    def conditional(self, x: Tensor, features: Tensor | None = None) -> MultivariateNormal:
        """What is missing given all that is known: a Gaussian over the NaN of x `(T,)`, in their order.

        The innovations σ ε = O x − c − F w are linear in x. So the missing part u has precision O_uᵀ O_u / σ², and its
        mean is where the sum of squared innovations is least. The first p values have a flat prior.
        """
        x = series(x)
        features, missing = self._checked(features, len(x)), x.isnan()
        if not missing.any():
            raise ValueError("x has no missing value: mark what you ask for with NaN")
        p, steps = self.order, len(x)
        if steps <= p:
            raise ValueError(f"x has {steps} values: an AR({p}) needs {p} before those that it explains; give more")
        operator = torch.eye(steps, dtype=x.dtype)[p:]  # row for x_t: 1 at t, −φ_i at t − i
        for i, value in enumerate(self.coefficients, start=1):
            operator.diagonal(p - i).sub_(value)
        unknown = operator[:, missing]
        precision = unknown.mT @ unknown / self.variance
        if torch.linalg.cholesky_ex(precision).info > 0:
            raise ValueError(
                f"{int(missing.sum())} of {steps} values are missing: what is known says nothing about some of them;"
                " give a longer past, or leave out the missing values at the start"
            )
        residual = operator[:, ~missing] @ x[~missing] - self.intercept - features[p:] @ self.weights
        mean = torch.linalg.lstsq(unknown, -residual[:, None], driver="gelsd").solution[:, 0]
        return MultivariateNormal(mean, precision_matrix=precision)

    def forecast(self, past: Tensor, steps: int, features: Tensor | None = None) -> MultivariateNormal:
        """The joint distribution of the next values given `past` `(T,)`: a Gaussian over `(steps,)`.

        Features, if the model has them, are of past and future, `(T + steps, D)`.
        """
        past = series(past)
        steps = whole("steps", steps)
        features = self._checked(features, len(past) + steps)
        # All before the last p known values in a row has no say any more.
        length = min(max(1, self.order), len(past))
        runs = past.isnan().logical_not().unfold(0, length, 1).all(1).nonzero()
        start = int(runs[-1]) if len(runs) else 0
        gaps = int(past[start:].isnan().sum())
        both = self.conditional(torch.cat([past[start:], past.new_full((steps,), math.nan)]), features[start:])
        if not gaps:
            return both
        return MultivariateNormal(both.mean[gaps:], both.covariance_matrix[gaps:, gaps:])

    def sample_paths(
        self, past: Tensor, steps: int, n: int, generator: Generator | None = None, features: Tensor | None = None
    ) -> Tensor:
        """n futures drawn from `forecast`, `(n, steps)`."""
        n, ahead = whole("n", n), self.forecast(past, steps, features)
        return (
            ahead.mean + torch.randn(n, len(ahead.mean), generator=generator, dtype=torch.float64) @ ahead.scale_tril.mT
        )

    def sample(self, n: int, generator: Generator | None = None, *, steps: int) -> Tensor:
        """Stationary series `(n, steps)`, without features."""
        n, steps = whole("n", n), whole("steps", steps)
        p = min(self.order, steps)
        noise = torch.randn(n, steps, generator=generator, dtype=torch.float64)
        x = torch.empty_like(noise)
        if p:
            factor = torch.linalg.cholesky(toeplitz(self.autocovariance(p)))
            x[:, :p] = self.mean + noise[:, :p] @ factor.mT
        for t in range(p, steps):
            past = x[:, t - self.order : t].flip(1)  # x_{t−1} … x_{t−p}
            x[:, t] = self.intercept + past @ self.coefficients + self.variance.sqrt() * noise[:, t]
        return x

    # --- parameters and checks ---

    def _set(self, intercept, weights, coefficients, variance) -> Self:
        given = {"intercept": intercept, "weights": weights, "coefficients": coefficients, "variance": variance}
        vars(self).update({name: numbers(name, torch.as_tensor(value)).double() for name, value in given.items()})
        if not self.variance > 0:
            raise ValueError(f"variance is {self.variance.item()}: expected a number above 0; values may be too small")
        return self

    def _check_stationary(self) -> None:
        if len(self.weights) or not self.is_stationary:
            why = "it has features" if len(self.weights) else "a root of its polynomial is not outside the unit circle"
            raise ValueError(
                f"this model has no stationary distribution, for {why}: forecast from a known past instead"
            )

    def _checked(self, features: Tensor | None, length: int) -> Tensor:
        features = known_features(features, length)
        if features.shape[1] != len(self.weights):
            raise ValueError(f"the model was fitted with {len(self.weights)} features, and got {features.shape[1]}")
        return features
