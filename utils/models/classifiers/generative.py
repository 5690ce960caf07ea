"""A classifier made of one density for each class and Bayes' rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, Self

import torch
from torch import Tensor

from utils.models.estimator import Estimator
from utils.validation import whole


class Density(Protocol):
    """What a class needs: any model of the course that can be fitted, evaluated and sampled."""

    def fit(self, x: Tensor) -> Self: ...

    def log_prob(self, x: Tensor) -> Tensor: ...

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor: ...


class GenerativeClassifier(Estimator):
    """p(x, y) = p(y) p(x | y), with any density for p(x | y).

    After `fit`: `classes` `(C,)`, the sorted labels; `priors` `(C,)`, p(y); `densities`, the fitted p(x | y), one for
    each class. Where the density takes NaN as a missing value, so do all questions to the classifier: `log_joint` is
    then the joint of the label and of what is seen.

    Args:
        density: makes a new, unfitted density; called once for each class. `lambda: BernoulliMixture(1, alpha=1.0)`
            gives Bernoulli naive Bayes, `lambda: GaussianMixture(1)` quadratic discriminant analysis.
        priors: p(y) in the order of the sorted labels; by default the share of each label in the data of `fit`.

    Raises:
        ValueError, TypeError: for data that make no sense; the message says what to do.
        NotFittedError: for a question to a model that was not fitted.

    Source: Bishop, Pattern Recognition and Machine Learning, 2006, section 4.2.
    """

    names = ("classes", "priors", "densities")

    def __init__(self, density: Callable[[], Density], priors: Tensor | None = None):
        if not callable(density):
            raise TypeError(
                f"density is a {type(density).__name__}: expected a function that makes one, "
                "such as lambda: GaussianMixture(1)"
            )
        self.density, self.given_priors = density, priors

    def fit(self, x: Tensor, y: Tensor) -> Self:
        """Fit one density to the rows of each class; `x` `(B, ...)`, whole-number labels `y` `(B,)`."""
        x, y = self._check(x), self._check_labels(x, y)
        classes, counts = y.unique(return_counts=True)
        priors = self._check_priors(counts / counts.sum(dtype=torch.float64))
        densities = [self.density().fit(x[y == label]) for label in classes]
        self.classes, self.priors, self.densities = classes, priors, densities
        return self

    # --- the joint, and what Bayes' rule makes of it ---

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, y) = log p(y) + log p(x | y) for every class, `(B, C)` in nats."""
        densities, x = self.densities, self._check(x)
        log_likelihood = torch.stack([density.log_prob(x) for density in densities], dim=1)  # (B, C)
        return self.priors.log().to(log_likelihood) + log_likelihood

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_y p(x, y), `(B,)` in nats: how usual `x` is, whatever its class."""
        return self.log_joint(x).logsumexp(1)

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """log p(y | x) = log p(x, y) − log p(x), `(B, C)`."""
        return self.log_joint(x).log_softmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """p(y | x), `(B, C)`; each row sums to one."""
        return self.log_joint(x).softmax(1)

    def predict(self, x: Tensor) -> Tensor:
        """The most probable label of each row, `(B,)`."""
        best = self.log_joint(x).argmax(1)
        return self.classes[best]

    def score(self, x: Tensor, y: Tensor) -> float:
        """Accuracy: the share of rows whose most probable label is `y`."""
        y = self._check_labels(self._check(x), y)
        return (self.predict(x) == y).double().mean().item()

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw `n` labeled examples, first the label and then `x` given the label: `(n, ...)` and `(n,)`."""
        n = whole("n", n)
        source = generator.device if generator is not None else self.priors.device
        drawn = torch.multinomial(self.priors.to(source), n, replacement=True, generator=generator)
        drawn = drawn.to(self.priors.device)
        x = None
        for k in drawn.unique():
            rows = drawn == k
            examples = self.densities[k].sample(int(rows.sum()), generator)
            x = examples.new_empty(n, *examples.shape[1:]) if x is None else x
            x[rows] = examples
        return x, self.classes[drawn]

    # --- save and load ---

    def state_dict(self) -> dict[str, Tensor]:
        """`classes`, `priors`, and the parameters of each density, as "0.means"."""
        own = {"classes": self.classes.clone(), "priors": self.priors.clone()}
        for at, density in enumerate(self.densities):
            own |= {f"{at}.{name}": value for name, value in density.state_dict().items()}
        return own

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the parameters of a classifier that was made with the same kind of density."""
        if not {"classes", "priors"} <= set(state):
            raise ValueError(f"the state holds {', '.join(sorted(state))}: expected classes, priors and densities")
        densities = [self.density() for _ in state["classes"]]
        for at, density in enumerate(densities):
            mark = f"{at}."
            own = {name.removeprefix(mark): value for name, value in state.items() if name.startswith(mark)}
            density.load_state_dict(own)
        self._set(classes=state["classes"].clone(), priors=state["priors"].clone(), densities=densities)

    # --- errors that say what to do ---

    def _check(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a {type(x).__name__}: expected a tensor; try torch.as_tensor(x)")
        if x.ndim < 2 or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, ...) with at least one row; try x[None]")
        return x

    def _check_labels(self, x: Tensor, y: Tensor) -> Tensor:
        if not isinstance(y, Tensor):
            raise TypeError(f"y is a {type(y).__name__}: expected a tensor of labels; try torch.as_tensor(y)")
        if y.is_floating_point() or y.is_complex():
            raise TypeError(f"y has dtype {y.dtype}: labels are whole numbers; try y.long()")
        if y.shape != x.shape[:1]:
            raise ValueError(
                f"y has shape {tuple(y.shape)}: expected {tuple(x.shape[:1])}, one label for each row of x"
            )
        return y

    def _check_priors(self, shares: Tensor) -> Tensor:
        """The given priors if there are any, otherwise the shares of the labels."""
        if self.given_priors is None:
            return shares
        priors = torch.as_tensor(self.given_priors).to(shares)
        if priors.shape != shares.shape:
            raise ValueError(
                f"priors has shape {tuple(priors.shape)}: expected {tuple(shares.shape)}, one for each label in y"
            )
        if not (priors >= 0).all() or abs(priors.sum().item() - 1) > 1e-6:
            raise ValueError(
                f"priors are {[round(p, 4) for p in priors.tolist()]}: expected probabilities that sum to 1"
            )
        return priors
