"""Mixtures of Gaussians, with four shapes of covariance and with missing values."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from utils.models.mixtures.gaussian_forms import (
    CholeskyForm,
    DenseForm,
    MissingPatterns,
    condition,
    diagonal_form,
    missing_patterns,
    spares_digits,
)
from utils.models.mixtures.linear import nearest_seed
from utils.models.mixtures.mixture import Mixture

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
ROUNDING = 1e-14  # a coordinate of which less than this share of its variance is its own is a sum of the others
SPIKE = 1e-24  # a component with less than this share of the variance of the data sits on a single point


class GaussianMixture(Mixture):
    """p(x) = Σ_k w_k N(x; μ_k, Σ_k), fitted with EM.

    After `fit`: `weights` `(K,)`, `means` `(K, D)`, `covariances` (by type: full `(K, D, D)`, tied `(D, D)`, diag
    `(K, D)`, spherical `(K,)`, a variance), `n_iter`, `converged`, `history_` and `reinitialized`. Missing values (NaN)
    are handled exactly; full and tied covariances take time for each distinct pattern of missing values.

    A component that is empty, or that lost its spread, begins anew at a point the model explains badly;
    `reinitialized` lists it, and `history_` may fall at the next step. One on a single point is moved only once.

    Args:
        n_components: K.
        covariance_type: "full", "tied" (one matrix for all), "diag" or "spherical".
        init: "k-means++" (and a short k-means) or "random" rows of the data: the means to start from.
        n_init: number of starts.
        max_iter: most EM steps of a start.
        tol: stop when the mean log-likelihood changes by less, in nats per example.
        reg_covar: added to each variance at each step; 0 for the pure maximum of the likelihood.
        weights_init, means_init, covariances_init: parameters to start from, in the shapes above.
        generator: source of randomness of `fit` and `sample`.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.
        NotFittedError: for a question to a model that was not fitted.

    Source: Bishop, Pattern Recognition and Machine Learning, 2006, section 9.2.
    """

    names = ("weights", "means", "covariances")

    def __init__(
        self,
        n_components: int,
        covariance_type: str = "full",
        *,
        init: str = "k-means++",
        n_init: int = 1,
        max_iter: int = 100,
        tol: float = 1e-4,
        reg_covar: float = 1e-6,
        weights_init: Tensor | None = None,
        means_init: Tensor | None = None,
        covariances_init: Tensor | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_components, init=init, n_init=n_init, max_iter=max_iter, tol=tol, generator=generator)
        if covariance_type not in COVARIANCE_TYPES:
            raise ValueError(f"covariance_type is {covariance_type!r}: expected one of {', '.join(COVARIANCE_TYPES)}")
        if not reg_covar >= 0:
            raise ValueError(f"reg_covar is {reg_covar}: expected 0 or more")
        self.covariance_type, self.reg_covar = covariance_type, reg_covar
        self.dense = covariance_type in ("full", "tied")
        self.weights_init, self.means_init, self.covariances_init = weights_init, means_init, covariances_init

    @classmethod
    def from_parameters(
        cls, weights: Tensor, means: Tensor, covariances: Tensor, covariance_type: str = "full"
    ) -> GaussianMixture:
        """A mixture with the given parameters; it can do all that a fitted one can."""
        model = cls(len(weights), covariance_type)
        return model._set(means.dtype, weights, means, covariances)

    # --- EM ---

    def _form(self, data: MissingPatterns):
        weights, means, _ = self._parameters.values()
        if not self.dense:
            return diagonal_form(weights.log(), means, self._full(), weights @ means, data)
        factors = torch.linalg.cholesky(self._full())
        if DenseForm.suits(data, means, factors, weights @ means):
            return DenseForm(weights.log(), means, factors, weights @ means)
        return CholeskyForm(weights.log(), means, self._full(), data.groups, data.reach())

    def _m_step(self, count: Tensor, first: Tensor, second: Tensor, origin: Tensor) -> bool:
        """n_k, Σ r (x − o), Σ r (x − o)(x − o)ᵀ → weights, means, covariances; and whether they lack digits."""
        count = count.clamp(min=torch.finfo(count.dtype).eps)  # an empty component divides by this, and begins anew
        weights, shift = count / count.sum(), first / count[:, None]
        if self.dense:
            covariances = second / count[:, None, None] - shift[:, :, None] * shift[:, None, :]
        else:
            covariances = (second / count[:, None] - shift.square()).clamp(min=0)
        self._parameters = {"weights": weights, "means": origin + shift, "covariances": self._tie(weights, covariances)}
        return not spares_digits(shift, 1 / self._variances())

    def _tie(self, weights: Tensor, covariances: Tensor) -> Tensor:
        """What the components share, and `reg_covar` on the variances."""
        if self.covariance_type == "tied":
            covariances = torch.einsum("k,kij->ij", weights, covariances)
        elif self.covariance_type == "spherical":
            covariances = covariances.mean(1)
        if self.dense:
            covariances.diagonal(dim1=-2, dim2=-1).add_(self.reg_covar)
            return covariances
        return covariances + self.reg_covar

    def _collapsed(self, n: int) -> list[tuple[int, str]]:
        variances, found = self._variances(), dict(self._empty(n))
        singular = variances.le(0).any(1)  # (K,)
        if self.dense:
            factor, failed = torch.linalg.cholesky_ex(self._full())
            singular = (failed > 0) | (factor.diagonal(dim1=1, dim2=2).square() <= ROUNDING * variances).any(1)
        spike = (variances - self.reg_covar).sum(1) <= SPIKE * self._spread.sum() + ROUNDING * self.reg_covar
        singular |= spike & (self.covariance_type == "tied" and not self.reg_covar)
        moved = {past.component for past in self.reinitialized}
        for k in range(self.n_components):
            if singular[k]:
                found.setdefault(k, "singular covariance")
            elif spike[k] and k not in moved and self.covariance_type != "tied":
                found.setdefault(k, "single point")
        return sorted(found.items())

    def _reseed(self, component: int, point: Tensor) -> None:
        """Move a component to `point`, with the variances of all the data."""
        self._parameters["means"][component] = point
        matrix = self._spread.diag() if self.dense else self._spread
        if self.covariance_type == "tied":
            self._parameters["covariances"] = matrix
        else:
            self._parameters["covariances"][component] = (
                matrix.mean() if self.covariance_type == "spherical" else matrix
            )

    # --- the start ---

    def _patterns(self, x: Tensor) -> MissingPatterns:
        return missing_patterns(x, grouped=self.dense)

    def _start(self, x: Tensor) -> None:
        """Seeds take their nearest rows; all components begin with the spread within these clusters."""
        rows = self._sample_rows(x)
        self._spread = rows.var(0, correction=0) + self.reg_covar  # (D,)
        if not (self._spread > 0).all():
            raise ValueError("a column of x is constant, so its variance is 0: leave it out or set reg_covar above 0")
        seeds = self._seed(rows) if self.means_init is None else self.means_init.to(rows)
        if seeds.shape != (self.n_components, rows.shape[1]):
            expected = (self.n_components, rows.shape[1])
            raise ValueError(f"means_init has shape {tuple(seeds.shape)}: expected {expected}")
        nearest = nearest_seed(rows, seeds)
        member = torch.nn.functional.one_hot(nearest, self.n_components).double()  # (B, K)
        count = member.sum(0)
        means = torch.where(count[:, None] > 0, member.T @ rows / count.clamp(min=1)[:, None], seeds)
        residual = rows - means[nearest]
        within = residual.T @ residual / len(rows) if self.dense else residual.square().mean(0)
        within = within + 0.01 * (self._spread.diag() if self.dense else self._spread)  # never singular
        within = within.expand(self.n_components, *within.shape).clone()
        weights = (count + 1) / (count + 1).sum()
        self._set(
            self._dtype,
            weights if self.weights_init is None else self.weights_init,
            means if self.means_init is None else self.means_init,
            self._tie(weights, within) if self.covariances_init is None else self.covariances_init,
        )

    def _set(self, dtype: torch.dtype, weights: Tensor, means: Tensor, covariances: Tensor) -> Self:
        """Check the parameters and take them."""
        weights, means, covariances = (torch.as_tensor(value).double() for value in (weights, means, covariances))
        k, dim = self.n_components, means.shape[-1]
        shape = {"full": (k, dim, dim), "tied": (dim, dim), "diag": (k, dim), "spherical": (k,)}[self.covariance_type]
        given = {"weights": weights, "means": means, "covariances": covariances}
        for name, expected in {"weights": (k,), "means": (k, dim), "covariances": shape}.items():
            if given[name].shape != expected:
                raise ValueError(f"{name} has shape {tuple(given[name].shape)}: expected {expected}")
            if not given[name].isfinite().all():
                raise ValueError(f"{name} holds values that are not finite")
        self._check_weights(weights)
        if self.dense:
            lower = torch.linalg.cholesky_ex(covariances)
            definite = (lower.info == 0).all() and torch.allclose(covariances, covariances.mT, rtol=1e-4, atol=1e-8)
        else:
            definite = (covariances > 0).all()
        if not definite:
            raise ValueError("covariances must be symmetric and positive definite: add a small number to the variances")
        self._dtype, self._device, self._parameters = dtype, means.device, given
        return self

    def _full(self) -> Tensor:
        """Covariances of all components: matrices `(K, D, D)`, or variances `(K, D)` for diag and spherical."""
        _, means, covariances = self._parameters.values()
        if self.covariance_type == "tied":
            return covariances.expand(self.n_components, *covariances.shape)
        return covariances[:, None].expand_as(means) if self.covariance_type == "spherical" else covariances

    def _variances(self) -> Tensor:
        """Those of each coordinate in each component, `(K, D)`."""
        return self._full().diagonal(dim1=1, dim2=2) if self.dense else self._full()

    def _component_means(self) -> Tensor:
        return self._parameters["means"]

    # --- what a fitted mixture can tell ---

    @property
    def n_parameters(self) -> int:
        """Free parameters: K − 1 weights, K D means, and the covariances (a symmetric matrix has D (D + 1) / 2)."""
        k, dim = self.means.shape
        matrix = dim * (dim + 1) // 2
        free = {"full": k * matrix, "tied": matrix, "diag": k * dim, "spherical": k}[self.covariance_type]
        return k - 1 + k * dim + free

    def _draw(self, component: Tensor, generator: torch.Generator | None) -> Tensor:
        means, covariances = self._parameters["means"], self._full()
        noise = self._random(torch.randn, (len(component), means.shape[1]), generator)
        if not self.dense:
            return means[component] + covariances.sqrt()[component] * noise
        for k, factor in enumerate(torch.linalg.cholesky(covariances)):
            noise[component == k] = noise[component == k] @ factor.mT
        return means[component] + noise

    def marginal(self, dims) -> GaussianMixture:
        """The mixture of the coordinates `dims` (a list of indices) alone."""
        return self._over(self._check_dims(dims), *self._parameters.values())

    def conditional(self, given: Tensor) -> GaussianMixture:
        """p(x_u | x_o) for `given` `(D,)` with NaN where a coordinate is unknown: a mixture over the unknown ones.

        Component k has mean μ_u + Σ_uo Σ_oo⁻¹ (x_o − μ_o), covariance Σ_uu − Σ_uo Σ_oo⁻¹ Σ_ou and weight p(k | x_o).
        """
        row, known, unknown = self._check_given(given)
        _, means, covariances = self._parameters.values()
        if self.dense:
            whiten, lift, rest = condition(self._full(), known)
            z = (row[:, known] - means[:, known])[:, None] @ whiten  # (K, 1, O)
            means = means + (lift @ z.mT)[..., 0]
            covariances = rest[0] if self.covariance_type == "tied" else rest
        return self._over(unknown, self.predict_proba(row)[0], means, covariances)

    def _over(self, dims: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> GaussianMixture:
        """A mixture of the coordinates `dims` of these Gaussians."""
        if self.dense:
            covariances = covariances[..., dims, :][..., dims]
        elif self.covariance_type == "diag":
            covariances = covariances[:, dims]
        model = type(self)(self.n_components, self.covariance_type, generator=self.generator)
        return model._set(self._dtype, weights, means[:, dims], covariances)
