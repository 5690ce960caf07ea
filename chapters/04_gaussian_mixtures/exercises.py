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
# gmm.log_sum_exp · core · 8 minutes · 1 point
def log_sum_exp(a: Tensor) -> Tensor:
    """log Σₖ exp(aₖ) over the last axis: (..., K) -> (...)."""
    raise NotImplementedError("gmm.log_sum_exp")


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
# gmm.gaussian_log_prob · core · 12 minutes · 2 points
def gaussian_log_prob(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """log N(x; mean, covariance) for each row of x: (B, D) -> (B,)."""
    raise NotImplementedError("gmm.gaussian_log_prob")


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
# gmm.e_step · core · 10 minutes · 2 points
def e_step(log_weights: Tensor, log_prob: Tensor) -> Tensor:
    """Responsibilities p(z = k | x): (K,) and (B, K) -> (B, K)."""
    raise NotImplementedError("gmm.e_step")


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
# gmm.m_step · core · 15 minutes · 2 points
def m_step(x: Tensor, responsibilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The weights (K,), means (K, D) and covariances (K, D, D) that maximize the expected log-likelihood."""
    raise NotImplementedError("gmm.m_step")


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
# gmm.elbo · extend · 12 minutes · 2 points
def elbo(log_joint: Tensor, q: Tensor) -> Tensor:
    """Σ_z q(z) (log p(x, z) − log q(z)) in nats: (B, K) and (B, K) -> (B,)."""
    raise NotImplementedError("gmm.elbo")


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

# %% [markdown]
# Now **in code**. `mean` is `(D,)`, `covariance` is `(D, D)`; `observed` holds the indices of the observed
# coordinates, `(M,)`, in any order, and `values` what was observed there, `(M,)`. Return the mean `(D − M,)` and the
# covariance `(D − M, D − M)` of the hidden coordinates, in ascending order.


# %% exercise={"id": "gmm.conditional", "tier": "extend", "minutes": 25, "points": 3}
# gmm.conditional · extend · 25 minutes · 3 points
def conditional(
    mean: Tensor, covariance: Tensor, observed: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean (D − M,) and covariance (D − M, D − M) of the hidden coordinates, given the observed ones."""
    raise NotImplementedError("gmm.conditional")


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
# gmm.complete · extend · 25 minutes · 3 points
def complete(
    weights: Tensor, means: Tensor, covariances: Tensor, observed: Tensor, values: Tensor
) -> Tensor:
    """Each row of `values` (B, M), completed by the mean of the hidden coordinates: (B, D)."""
    raise NotImplementedError("gmm.complete")


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


# %% [markdown]
# *This picture is what you are after:*
#
# ![New digits, the half that is given, and what the mixture makes of it.](attachment:target.png)
#
# *New digits, the half that is given, and what the mixture makes of it.*

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
# gmm.bic · extend · 8 minutes · 1 point
def bic(log_prob: Tensor, n_components: int, n_features: int) -> float:
    """Bayesian information criterion of a mixture with full covariances; smaller is better."""
    raise NotImplementedError("gmm.bic")


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
# gmm.spot_collapse · extend · 15 minutes · 2 points
def spot_collapse(x: Tensor, weights: Tensor, covariances: Tensor) -> Tensor:
    """Which components have collapsed: boolean, (K,)."""
    raise NotImplementedError("gmm.spot_collapse")


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
# gmm.held_out · challenge · 45 minutes · 4 points
def fit_density(x_train: Tensor) -> Callable[[Tensor], Tensor]:
    """Fit a density to x_train (N, 2); returns log_prob: (B, 2) -> (B,)."""
    raise NotImplementedError("gmm.held_out")


# %%
check("gmm.held_out", fit_density)

# %% [markdown]
# The target: a density that follows the arms and leaves the gaps empty.

# %% [markdown]
# *This picture is what you are after:*
#
# ![A fitted mixture follows both arms.](attachment:target.png)
#
# *A fitted mixture follows both arms.*
