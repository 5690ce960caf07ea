# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 4: Gaussian mixtures
#
# You will build a mixture model from its parts, complete half-hidden digits with it, and reach a number on data it has
# not seen.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of points, `D` of features, `K` of components. Every exercise stands alone: if you are stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from utils.checks import check
from utils.data import load
from utils.plots import caption, images, plane
from utils.toys import spirals

# %% [markdown]
# ## 4.1 The sum of exponentials, safely (core)
#
# Densities of many features are tiny, so we keep their logarithms, and adding densities becomes
# $\log \sum_k \exp a_k$. Computed as written it overflows for $a_k = 1000$ and underflows for $a_k = -1000$. Write it so that
# it does neither, without `torch.logsumexp`.
#
# `a` has shape `(..., K)`; return shape `(...)`: the sum runs over the last axis.


# %% exercise={"id": "gmm.log_sum_exp", "tier": "core", "minutes": 8, "points": 1}
def log_sum_exp(a: Tensor) -> Tensor:
    """log Σₖ exp(aₖ) over the last axis: (..., K) -> (...)."""
    ### BEGIN SOLUTION
    top = a.max(dim=-1, keepdim=True).values  # (..., 1)
    return top.squeeze(-1) + (a - top).exp().sum(-1).log()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.log_sum_exp", log_sum_exp)

# %% [markdown]
# ## 4.2 The density of a Gaussian (core)
#
# $$\log \mathcal N(x; \mu, \Sigma) = -\tfrac12 (x-\mu)^\top \Sigma^{-1} (x-\mu) - \tfrac12 \log\det\Sigma - \tfrac D2 \log 2\pi$$
#
# Compute it with the Cholesky factor $\Sigma = L L^\top$ (`torch.linalg.cholesky`,
# `torch.linalg.solve_triangular`), with no inverse and no determinant.
#
# `x` is `(B, D)`, `mean` is `(D,)`, `covariance` is `(D, D)`; return `(B,)`.


# %% exercise={"id": "gmm.gaussian_log_prob", "tier": "core", "minutes": 12, "points": 2}
def gaussian_log_prob(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """log N(x; mean, covariance) for each row of x: (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    factor = torch.linalg.cholesky(covariance)
    y = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)  # (D, B)
    log_det = 2 * factor.diagonal().log().sum()
    return -0.5 * (y.square().sum(0) + log_det + x.shape[-1] * math.log(2 * math.pi))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.gaussian_log_prob", gaussian_log_prob)

# %% [markdown]
# ## 4.3 E-step: who is responsible? (core)
#
# How probable is it that component $k$ made point $x_b$?
#
# $$r_{bk} = p(z = k \mid x_b) = \frac{\pi_k \, p(x_b \mid z = k)}{\sum_j \pi_j \, p(x_b \mid z = j)}$$
#
# All densities of a point may underflow to zero: stay in log space until the last step. You may use `torch.logsumexp`.
#
# `log_weights` $= \log \pi_k$ is `(K,)`, `log_prob` $= \log p(x_b \mid z = k)$ is `(B, K)`; return $r$, `(B, K)`.


# %% exercise={"id": "gmm.e_step", "tier": "core", "minutes": 10, "points": 2}
def e_step(log_weights: Tensor, log_prob: Tensor) -> Tensor:
    """Responsibilities p(z = k | x): (K,) and (B, K) -> (B, K)."""
    ### BEGIN SOLUTION
    log_joint = log_weights + log_prob  # (B, K)
    return (log_joint - log_joint.logsumexp(dim=-1, keepdim=True)).exp()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.e_step", e_step)

# %% [markdown]
# ## 4.4 M-step: fit each component to its share (core)
#
# With $N_k = \sum_b r_{bk}$,
#
# $$\pi_k = \frac{N_k}{N}, \qquad \mu_k = \frac1{N_k} \sum_b r_{bk}\, x_b, \qquad
# \Sigma_k = \frac1{N_k} \sum_b r_{bk}\, (x_b - \mu_k)(x_b - \mu_k)^\top .$$
#
# `x` is `(B, D)`, `responsibilities` is `(B, K)`; return the weights `(K,)`, the means `(K, D)` and the covariances
# `(K, D, D)`.


# %% exercise={"id": "gmm.m_step", "tier": "core", "minutes": 15, "points": 2}
def m_step(x: Tensor, responsibilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The weights (K,), means (K, D) and covariances (K, D, D) that maximize the expected log-likelihood."""
    ### BEGIN SOLUTION
    count = responsibilities.sum(0)  # (K,)
    weights = count / len(x)
    means = responsibilities.T @ x / count[:, None]  # (K, D)
    centered = x[:, None] - means  # (B, K, D)
    covariances = (
        torch.einsum("bk,bki,bkj->kij", responsibilities, centered, centered)
        / count[:, None, None]
    )
    return weights, means, covariances
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.m_step", m_step)

# %% [markdown]
# ## 4.5 The evidence lower bound (extend)
#
# For any distribution $q(z)$, Jensen's inequality gives
#
# $$\log p(x) \;\ge\; \mathrm{ELBO}(q) = \sum_z q(z) \bigl( \log p(x, z) - \log q(z) \bigr),$$
#
# and what is missing is $\mathrm{KL}(q \,\|\, p(z \mid x))$: with the posterior as $q$ the bound is tight. EM climbs this
# bound, and so will the variational autoencoder. Mind $q(z) = 0$: there $q \log q$ is 0.
#
# `log_joint` $= \log p(x_b, z = k)$ and `q` are `(B, K)`; return the bound of each point, `(B,)`.


# %% exercise={"id": "gmm.elbo", "tier": "extend", "minutes": 12, "points": 2}
def elbo(log_joint: Tensor, q: Tensor) -> Tensor:
    """Σ_z q(z) (log p(x, z) − log q(z)) in nats: (B, K) and (B, K) -> (B,)."""
    ### BEGIN SOLUTION
    return (q * log_joint - torch.xlogy(q, q)).sum(-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.elbo", elbo)

# %% [markdown]
# ## 4.6 The conditional of a Gaussian: derivation and code (extend)
#
# Some coordinates $x_o$ of a Gaussian are observed. What do they say of the hidden ones, $x_h$? Sort the coordinates into
# two blocks,
#
# $$\mu = \begin{pmatrix} \mu_h \\ \mu_o \end{pmatrix}, \qquad
# \Sigma = \begin{pmatrix} \Sigma_{hh} & \Sigma_{ho} \\ \Sigma_{oh} & \Sigma_{oo} \end{pmatrix}.$$
#
# **Derive** mean and covariance of $p(x_h \mid x_o)$. One way: find the matrix $A$ for which $e = x_h - A x_o$ is
# uncorrelated with $x_o$ (for Gaussians: independent of it), then take mean and covariance of $x_h = e + A x_o$ with $x_o$
# known. Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown] tags=["solution"]
# **Worked derivation.** Let $e = x_h - A x_o$. Then $\mathrm{Cov}(e, x_o) = \Sigma_{ho} - A \Sigma_{oo}$, which is zero
# for $A = \Sigma_{ho} \Sigma_{oo}^{-1}$. The pair $(e, x_o)$ is a linear map of $x$, so it is Gaussian, and uncorrelated
# parts of a Gaussian are independent: knowing $x_o$ changes nothing about $e$.
#
# Now $x_h = e + A x_o$ with $x_o$ fixed. Its mean is $\mathrm E[e] + A x_o = \mu_h - A \mu_o + A x_o$, so
#
# $$\mathrm E[x_h \mid x_o] = \mu_h + \Sigma_{ho} \Sigma_{oo}^{-1} (x_o - \mu_o).$$
#
# Its covariance is that of $e$. As $e$ is uncorrelated with $x_o$, $\mathrm{Cov}(e) = \mathrm{Cov}(e, x_h - A x_o) =
# \mathrm{Cov}(e, x_h) = \Sigma_{hh} - A \Sigma_{oh}$, so
#
# $$\mathrm{Cov}(x_h \mid x_o) = \Sigma_{hh} - \Sigma_{ho} \Sigma_{oo}^{-1} \Sigma_{oh}.$$
#
# The covariance does not depend on the value that was observed, only on which coordinates were.

# %% [markdown]
# Now **in code**. `mean` is `(D,)`, `covariance` is `(D, D)`; `observed` holds the indices of the observed
# coordinates, `(M,)`, in any order, and `values` what was observed there, `(M,)`. Return the mean `(D − M,)` and the
# covariance `(D − M, D − M)` of the hidden coordinates, in ascending order.


# %% exercise={"id": "gmm.conditional", "tier": "extend", "minutes": 25, "points": 3}
def conditional(
    mean: Tensor, covariance: Tensor, observed: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean (D − M,) and covariance (D − M, D − M) of the hidden coordinates, given the observed ones."""
    ### BEGIN SOLUTION
    is_hidden = torch.ones(len(mean), dtype=torch.bool)
    is_hidden[observed] = False
    hidden = is_hidden.nonzero().squeeze(-1)
    across = covariance[observed][:, hidden]  # (M, D − M)
    gain = torch.linalg.solve(covariance[observed][:, observed], across)  # (M, D − M)
    return (
        mean[hidden] + gain.T @ (values - mean[observed]),
        covariance[hidden][:, hidden] - gain.T @ across,
    )
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.conditional", conditional)

# %% [markdown]
# ## 4.7 Complete what is hidden (extend)
#
# A mixture completes an image better than one Gaussian: what is seen first tells which components are likely, then each
# component fills in its own conditional mean.
#
# $$\mathrm E[x_h \mid x_o] = \sum_k p(z = k \mid x_o) \; \mathrm E[x_h \mid x_o, z = k]$$
#
# `weights` is `(K,)`, `means` `(K, D)`, `covariances` `(K, D, D)`, `observed` `(M,)` holds indices, `values` `(B, M)`.
# Return the completed points, `(B, D)`: the observed values in their places, the means of the hidden ones beside them.
# `torch.distributions.MultivariateNormal` may help with $p(x_o \mid z = k)$.


# %% exercise={"id": "gmm.complete", "tier": "extend", "minutes": 25, "points": 3}
def complete(
    weights: Tensor, means: Tensor, covariances: Tensor, observed: Tensor, values: Tensor
) -> Tensor:
    """Each row of `values` (B, M), completed by the mean of the hidden coordinates: (B, D)."""
    ### BEGIN SOLUTION
    is_hidden = torch.ones(means.shape[1], dtype=torch.bool)
    is_hidden[observed] = False
    log_joint, filled = [], []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        seen = covariance[observed][:, observed]
        gain = torch.linalg.solve(seen, covariance[observed][:, is_hidden])  # (M, D − M)
        seen_log_prob = torch.distributions.MultivariateNormal(
            mean[observed], seen
        ).log_prob(values)
        log_joint.append(weight.log() + seen_log_prob)  # (B,)
        filled.append(mean[is_hidden] + (values - mean[observed]) @ gain)  # (B, D − M)
    posterior = torch.stack(log_joint, dim=-1).softmax(-1)  # (B, K)
    x = values.new_empty(len(values), means.shape[1])
    x[:, observed] = values
    x[:, is_hidden] = torch.einsum("bk,kbh->bh", posterior, torch.stack(filled))
    return x
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.complete", complete)

# %% [markdown]
# The next cell fits a mixture to 8 × 8 digits and prepares a picture: originals, their upper halves, completions. When
# your check has passed, call `show_completions(complete)` in a cell of your own and compare with the picture below the code.

# %%
digits = load("digits").flat()
x_train, x_test = digits.x_train.double(), digits.x_test.double()  # (1297, 64), (500, 64)
fitted = GaussianMixture(n_components=20, reg_covar=1e-2, tol=1e-2, random_state=0).fit(
    x_train
)
upper_half = torch.arange(32)


def show_completions(complete: Callable, n: int = 12) -> None:
    """Draw n digits the mixture has not seen, what is given of them, and how `complete` fills in the rest."""
    x = x_test[:n]
    given = x.clone()
    given[:, 32:] = 0
    parameters = [
        torch.tensor(value)
        for value in (fitted.weights_, fitted.means_, fitted.covariances_)
    ]
    rows = {
        "original": x,
        "given": given,
        "completed": complete(*parameters, upper_half, x[:, upper_half]),
    }
    images(torch.cat(list(rows.values())).reshape(-1, 8, 8), columns=n, rows=list(rows))
    caption("New digits, the half that is given, and what the mixture makes of it.")


# %% tags=["solution"]
show_completions(complete)

# %% [markdown]
# ## 4.8 How many components? The BIC (extend)
#
# More components always fit better. The Bayesian information criterion makes each of the $p$ free parameters pay:
#
# $$\mathrm{BIC} = p \log N - 2 \sum_b \log p(x_b),$$
#
# smaller is better. Count $p$ for a mixture with full covariances: weights, means and covariances, each number that
# is free once.
#
# `log_prob` holds $\log p(x_b)$ of each point, `(N,)`; $K$ = `n_components`, $D$ = `n_features`. Return one number.


# %% exercise={"id": "gmm.bic", "tier": "extend", "minutes": 8, "points": 1}
def bic(log_prob: Tensor, n_components: int, n_features: int) -> float:
    """Bayesian information criterion of a mixture with full covariances; smaller is better."""
    ### BEGIN SOLUTION
    in_covariance = n_features * (n_features + 1) // 2
    free = (n_components - 1) + n_components * (n_features + in_covariance)
    return free * math.log(len(log_prob)) - 2 * log_prob.sum().item()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.bic", bic)

# %% [markdown]
# ## 4.9 Spot the collapse (extend)
#
# The likelihood of a mixture has no maximum: a component that shrinks onto one point, or onto a plane, makes it infinite.
# Call a component **collapsed** if
#
# - it is nearly empty: it owns fewer than $D + 1$ points, $N \pi_k < D + 1$, too few to span a covariance; **or**
# - it is singular: the smallest eigenvalue of $\Sigma_k$ is below $10^{-4}$ times the smallest eigenvalue of
#   the covariance of all data (so that a change of units changes nothing).
#
# `x` is `(N, D)`, `weights` `(K,)`, `covariances` `(K, D, D)`; return a boolean tensor `(K,)`, True for a collapsed
# component.


# %% exercise={"id": "gmm.spot_collapse", "tier": "extend", "minutes": 15, "points": 2}
def spot_collapse(x: Tensor, weights: Tensor, covariances: Tensor) -> Tensor:
    """Which components have collapsed: boolean, (K,)."""
    ### BEGIN SOLUTION
    n, dim = x.shape
    empty = n * weights < dim + 1
    smallest = torch.linalg.eigvalsh(covariances)[:, 0]  # (K,), ascending order
    singular = smallest < 1e-4 * torch.linalg.eigvalsh(x.T.cov())[0]
    return empty | singular
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("gmm.spot_collapse", spot_collapse)

# %% [markdown]
# ## 4.10 Challenge: reach −2.0 nats on data you have not seen
#
# Fit a density to 800 points of `spirals`. Your function gets the training points `x_train`, `(800, 2)`, and returns a
# **function** `log_prob(x)`, `(B, 2)` to `(B,)`, in nats. The check draws its own points, computes the mean of `log_prob`
# on 2,000 that you have not seen, and integrates your density over the plane: it must be 1. All points come mixed, in
# batches of one size, some of them twice: a density depends on the point alone, and none beats the one that drew the
# points.
#
# Any means are allowed: your functions from above, a validation split, restarts, another model. Up to 60 seconds. The
# next cell shows the points, and what scikit-learn's mixture reaches without care: too few components cannot follow the
# arms, too many cling to single points.

# %%
generator = torch.Generator().manual_seed(0)
points, new_points = (spirals(n, generator)[0].double() for n in (800, 2000))
for n_components in (1, 10, 100):
    careless = GaussianMixture(n_components, random_state=0).fit(points)
    print(
        f"{n_components:3d} components: {careless.score(new_points):.2f} nats per new point"
    )

# %% jupyter={"source_hidden": true}
plt.figure(figsize=(4, 4))
plt.scatter(*points.T, s=4)
plt.gca().set_aspect("equal")
caption("The points to fit: two spiral arms.")


# %% exercise={"id": "gmm.held_out", "tier": "challenge", "minutes": 45, "points": 4}
def fit_density(x_train: Tensor) -> Callable[[Tensor], Tensor]:
    """Fit a density to x_train (N, 2); returns log_prob: (B, 2) -> (B,)."""
    ### BEGIN SOLUTION

    def joint(x: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
        parts = [
            gaussian_log_prob(x, mean, covariance)
            for mean, covariance in zip(means, covariances, strict=True)
        ]
        return weights.log() + torch.stack(parts, dim=-1)  # (B, K)

    def em(x: Tensor, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
        # A little variance more in each step, and one point's worth of weight, keep every component alive.
        ridge = 1e-3 * torch.eye(x.shape[1], dtype=x.dtype)
        means = x[torch.randperm(len(x), generator=generator)[:n_components]]
        weights = torch.full((n_components,), 1 / n_components, dtype=x.dtype)
        covariances = (0.05 * torch.eye(x.shape[1], dtype=x.dtype)).expand(
            n_components, -1, -1
        )
        for _ in range(60):
            responsibilities = joint(x, weights, means, covariances).softmax(-1)
            weights, means, covariances = m_step(x, responsibilities + 1e-6)
            weights, covariances = weights / weights.sum(), covariances + ridge
        return weights, means, covariances

    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(x_train), generator=generator)
    x_fit, x_valid = (
        x_train[order[: len(x_train) * 4 // 5]],
        x_train[order[len(x_train) * 4 // 5 :]],
    )

    def held_out(n_components: int) -> float:
        return joint(x_valid, *em(x_fit, n_components)).logsumexp(-1).mean().item()

    best = max([10, 20, 25, 30, 35, 40], key=held_out)
    # The sum of a few fits with equal weights is a mixture again, and a smoother one.
    fits = [em(x_train, best) for _ in range(4)]

    def log_prob(x: Tensor) -> Tensor:
        each = torch.stack([joint(x, *fit).logsumexp(-1) for fit in fits])  # (fits, B)
        return each.logsumexp(0) - math.log(len(fits))

    return log_prob
    ### END SOLUTION


# %%
check("gmm.held_out", fit_density)

# %% [markdown]
# The target: a density that follows the arms and leaves the gaps empty.

# %% jupyter={"source_hidden": true} tags=["solution"]
figure, axes = plt.subplots(figsize=(4, 4))
plane(axes, fit_density(points), (-3, -3), (3, 3))
axes.scatter(*points.T, s=1, color="black", alpha=0.4)
caption("A fitted mixture follows both arms.")
