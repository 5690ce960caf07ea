"""Mixtures of independent Bernoulli variables, for binary images."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from utils.models.mixtures.linear import Linear, nearest_seed
from utils.models.mixtures.mixture import Mixture

EDGE = 1e-7  # probabilities stay this far from 0 and 1, so that their logarithms are finite


class BernoulliForm(Linear):
    """log w_k p(x | k) = log w_k + Σ_d [x_d logit p_kd + log(1 − p_kd)], φ(x) = (x, is missing)."""

    def __init__(self, log_weights: Tensor, probs: Tensor, missing: bool):
        self.missing, self.probs = missing, probs.clamp(EDGE, 1 - EDGE)
        off = torch.log1p(-self.probs)  # (K, D)
        super().__init__(log_weights + off.sum(1), torch.cat([self.probs.logit(), -off], dim=1))

    def features(self, x: Tensor) -> Tensor:
        if not self.missing:
            return x.T
        return torch.cat([x.nan_to_num(0.0), x.isnan().to(x.dtype)], dim=1).T

    def moments(self, total: Tensor) -> tuple[Tensor, Tensor]:
        """n_k `(K,)` and Σ r x `(K, D)`, where a missing value counts with its expectation."""
        on, missing = total[:, 1:].chunk(2, dim=1)
        return total[:, 0], on + missing * self.probs


class BernoulliMixture(Mixture):
    """p(x) = Σ_k w_k Π_d p_kd^x_d (1 − p_kd)^(1 − x_d) for x in {0, 1}^D, fitted with EM.

    After `fit`: `weights` `(K,)`, `probs` `(K, D)`, `n_iter`, `converged`, `history_` and `reinitialized` (empty
    components that began anew). Missing pixels (NaN) are handled exactly.

    Args:
        n_components: K.
        init: "k-means++" or "random": how K rows of the data are chosen to start from.
        n_init: number of starts.
        max_iter: most EM steps of a start.
        tol: stop when the mean log-likelihood changes by less, in nats per example.
        alpha: pseudo-count: each pixel of each component was also seen `alpha` times on and `alpha` times off (the
            prior Beta(1 + α, 1 + α)). With α > 0 EM raises the posterior, mean log-likelihood · B + log prior.
        generator: source of randomness of `fit` and `sample`.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.
        NotFittedError: for a question to a model that was not fitted.

    Source: Bishop, Pattern Recognition and Machine Learning, 2006, section 9.3.3.
    """

    names = ("weights", "probs")

    def __init__(
        self,
        n_components: int,
        *,
        init: str = "random",
        n_init: int = 1,
        max_iter: int = 100,
        tol: float = 1e-4,
        alpha: float = 0.1,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_components, init=init, n_init=n_init, max_iter=max_iter, tol=tol, generator=generator)
        if not alpha >= 0:
            raise ValueError(f"alpha is {alpha}: expected 0 or more")
        self.alpha = alpha

    @classmethod
    def from_parameters(cls, weights: Tensor, probs: Tensor) -> BernoulliMixture:
        """A mixture with the given parameters; it can do all that a fitted one can."""
        return cls(len(weights))._set(probs.dtype, weights, probs)

    # --- EM ---

    def _form(self, missing: bool) -> BernoulliForm:
        weights, probs = self._parameters.values()
        return BernoulliForm(weights.log(), probs, missing)

    def _m_step(self, count: Tensor, on: Tensor) -> None:
        """n_k, Σ r x → weights, probs."""
        count = count.clamp(min=torch.finfo(count.dtype).eps)  # an empty component divides by this, and begins anew
        probs = (on + self.alpha) / (count + 2 * self.alpha)[:, None]
        self._parameters = {"weights": count / count.sum(), "probs": probs.clamp(EDGE, 1 - EDGE)}

    def _collapsed(self, n: int) -> list[tuple[int, str]]:
        return self._empty(n)

    def _reseed(self, component: int, point: Tensor) -> None:
        self._parameters["probs"][component] = (point + self._center) / 2

    # --- the start ---

    def _patterns(self, x: Tensor) -> bool:
        return bool(x.isnan().any())

    def _start(self, x: Tensor) -> None:
        """Seeds take their nearest rows; the probabilities of a cluster are drawn a little to the mean of all."""
        rows = self._sample_rows(x)
        nearest = nearest_seed(rows, self._seed(rows))
        member = torch.nn.functional.one_hot(nearest, self.n_components).double()  # (B, K)
        count = member.sum(0)[:, None]
        probs = (member.T @ rows + self._center) / (count + 1)
        self._set(x.dtype, (count[:, 0] + 1) / (count + 1).sum(), probs)

    def _set(self, dtype: torch.dtype, weights: Tensor, probs: Tensor) -> Self:
        """Check the parameters and take them."""
        weights, probs = torch.as_tensor(weights).double(), torch.as_tensor(probs).double()
        if weights.ndim != 1 or probs.ndim != 2 or len(weights) != len(probs):
            raise ValueError(f"weights {tuple(weights.shape)} and probs {tuple(probs.shape)}: expected (K,) and (K, D)")
        if not ((probs >= 0) & (probs <= 1)).all():
            raise ValueError(f"probs lie between {probs.min():.3g} and {probs.max():.3g}: expected 0 to 1")
        self._check_weights(weights)
        self._dtype, self._device = dtype, probs.device
        self._parameters = {"weights": weights, "probs": probs.clamp(EDGE, 1 - EDGE)}
        return self

    def _check(self, x: Tensor, fitting: bool = False) -> Tensor:
        x = super()._check(x, fitting)
        if not ((x == 0) | (x == 1) | x.isnan()).all():
            low, high = x.nan_to_num(0).min(), x.nan_to_num(0).max()
            raise ValueError(
                f"x holds values other than 0 and 1 (from {low:.3g} to {high:.3g}): "
                "binarize it, such as (torch.rand_like(x) < x).float() for intensities from 0 to 1"
            )
        return x

    def _component_means(self) -> Tensor:
        return self._parameters["probs"]

    # --- what a fitted mixture can tell ---

    @property
    def n_parameters(self) -> int:
        """Free parameters: K − 1 weights and K D probabilities."""
        return self.n_components - 1 + self.probs.numel()

    def _draw(self, component: Tensor, generator: torch.Generator | None) -> Tensor:
        probs = self._parameters["probs"]
        return self._random(torch.rand, (len(component), probs.shape[1]), generator) < probs[component]

    def marginal(self, dims) -> BernoulliMixture:
        """The mixture of the pixels `dims` (a list of indices) alone."""
        return self._over(self._check_dims(dims), self._parameters["weights"])

    def conditional(self, given: Tensor) -> BernoulliMixture:
        """p(x_u | x_o) for `given` `(D,)` with NaN where a pixel is unknown: a mixture over the unknown ones.

        Given the component, pixels are independent: only the weights change, to p(k | x_o).
        """
        row, _, unknown = self._check_given(given)
        return self._over(unknown, self.predict_proba(row)[0])

    def _over(self, dims: Tensor, weights: Tensor) -> BernoulliMixture:
        model = type(self)(self.n_components, alpha=self.alpha, generator=self.generator)
        return model._set(self._dtype, weights, self._parameters["probs"][:, dims])
