"""The algebra of x_t = φ_1 x_{t−1} + … + φ_p x_{t−p} + σ ε_t: companion matrix, covariances, partial correlations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal


def companion(coefficients: Tensor) -> Tensor:
    """A with (x_t, …, x_{t−p+1}) = A (x_{t−1}, …, x_{t−p}) + noise, `(p, p)`: stationary if all |eigenvalues| < 1."""
    p = len(coefficients)
    matrix = torch.diag(coefficients.new_ones(max(0, p - 1)), -1) if p else coefficients.new_zeros(0, 0)
    if p:
        matrix[0] = coefficients
    return matrix


def autocovariance(coefficients: Tensor, variance: Tensor, n: int) -> Tensor:
    """γ_k = cov(x_t, x_{t−k}), k = 0 … n − 1, by Yule and Walker's equations: γ_k − Σ_i φ_i γ_|k−i| = σ² [k = 0]."""
    p = len(coefficients)
    k, i = torch.arange(p + 1)[:, None], torch.arange(1, p + 1)
    # Row k has 1 at γ_k and −φ_i at γ_|k−i|; two of them may meet in one place.
    table = torch.eye(p + 1, dtype=coefficients.dtype).index_put(
        (k.expand(p + 1, p), (k - i).abs()), -coefficients.expand(p + 1, p), accumulate=True
    )
    right = torch.cat([variance.reshape(1), coefficients.new_zeros(p)])
    gamma = list(torch.linalg.solve(table, right).unbind())
    while len(gamma) < n:
        gamma.append(coefficients @ torch.stack(gamma[: -p - 1 : -1]) if p else coefficients.new_zeros(()))
    return torch.stack(gamma[:n])


def toeplitz(first_row: Tensor) -> Tensor:
    """The symmetric matrix with γ_|i−j| at (i, j), from γ `(n,)`."""
    index = torch.arange(len(first_row))
    return first_row[(index[:, None] - index).abs()]


def from_partial(partial: Tensor) -> Tensor:
    """φ of the autoregression with these partial autocorrelations; all in (−1, 1) if and only if it is stationary.

    Source: O. Barndorff-Nielsen, G. Schou, "On the parametrization of autoregressive models by partial
    autocorrelations", 1973.
    """
    phi = partial[:0]
    for value in partial:
        phi = torch.cat([phi - value * phi.flip(0), value[None]])
    return phi


def partial_autocorrelations(gamma: Tensor) -> Tensor:
    """Those of a series with autocovariances γ_0 … γ_p, `(p,)`: how x_t and x_{t−k} go together, given what is between.

    Source: the recursion of Levinson and Durbin.
    """
    phi, partial, error = gamma[:0], [], gamma[0]
    for k in range(1, len(gamma)):
        value = (gamma[k] - phi @ gamma[1:k].flip(0)) / error
        phi = torch.cat([phi - value * phi.flip(0), value[None]])
        partial.append(value)
        error = error * (1 - value.square())
    return torch.stack(partial) if partial else gamma[:0]


def fit_exact(z: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maximize log N(z_1 … z_p; μ, Γ) + log p(z_{p+1} … z_T | z_1 … z_p): μ, φ `(p,)` and σ².

    The series has mean 0 and variance 1. The search goes over partial autocorrelations in (−1, 1), so it sees
    stationary models alone.
    """
    n, p = len(z), order
    gamma = torch.stack([(z[k:] * z[: n - k]).sum() / n for k in range(p + 1)])
    raw = torch.cat([partial_autocorrelations(gamma).atanh(), z.new_zeros(2)]).requires_grad_()  # and μ, log σ²
    lags = z.unfold(0, p, 1)[:-1].flip(1) if p else z.new_zeros(n, 0)
    optimizer = torch.optim.LBFGS(
        [raw], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-13, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        phi, mean, variance = from_partial(raw[:p].tanh()), raw[p], raw[p + 1].exp()
        steps = Normal(mean + (lags - mean) @ phi, variance.sqrt()).log_prob(z[p:]).sum()
        if p:
            covariance = toeplitz(autocovariance(phi, variance, p))
            steps = steps + MultivariateNormal(mean.expand(p), covariance).log_prob(z[:p])
        (-steps / n).backward()
        return -steps / n

    optimizer.step(loss)
    raw = raw.detach()
    return raw[p], from_partial(raw[:p].tanh()), raw[p + 1].exp()
