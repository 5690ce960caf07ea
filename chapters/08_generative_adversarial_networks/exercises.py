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
# # Exercises 8: Generative adversarial networks
#
# You will write both players' losses, see why one of them starves, hold the critic on a leash, judge samples by three
# measures, and train a generator that forgets no mode.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of examples, `D` of features. A discriminator answers with a **logit** $\ell$: $\sigma(\ell) = 1 / (1 + e^{-\ell})$ is its
# probability that the example is real. Every exercise stands alone: if you are stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.

# %%
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from utils.checks import check
from utils.plots import PALETTE, caption


# %% [markdown]
# ## 8.1 The best discriminator there is (core)
#
# An example comes from the data with density $p(x)$, or from the generator with density $q(x)$, equally often. Nobody can
# tell better than by Bayes' rule:
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)} .$$
#
# You get the **logarithms** of the densities, and these may be very negative: both $e^{-1000}$ are 0 on a computer.
#
# `log_p` and `log_q` are `(B,)`; return the probabilities, `(B,)`.


# %% exercise={"id": "gan.optimal_discriminator", "tier": "core", "minutes": 8, "points": 1}
# gan.optimal_discriminator · core · 8 minutes · 1 point
def optimal_discriminator(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p / (p + q) from log p and log q: (B,) and (B,) -> (B,)."""
    raise NotImplementedError("gan.optimal_discriminator")


# %% tags=["nbval-check-output"]
check("gan.optimal_discriminator", optimal_discriminator)


# %% [markdown]
# ## 8.2 The discriminator's loss (core)
#
# It wants a high logit for real examples and a low one for fakes:
#
# $$L_D = -\frac1B \sum_b \log \sigma(\ell_b^{\text{real}}) \;-\; \frac1{B'} \sum_b \log\bigl(1 -
# \sigma(\ell_b^{\text{fake}})\bigr).$$
#
# Logits of ± 1000 must not give infinity or NaN: use $1 - \sigma(\ell) = \sigma(-\ell)$ and a function that knows
# $\log \sigma$.
#
# `real` is `(B,)`, `fake` is `(B',)`; return one number.


# %% exercise={"id": "gan.discriminator_loss", "tier": "core", "minutes": 8, "points": 1}
# gan.discriminator_loss · core · 8 minutes · 1 point
def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The mean of −log σ over real logits plus the mean of −log(1 − σ) over fake ones."""
    raise NotImplementedError("gan.discriminator_loss")


# %% tags=["nbval-check-output"]
check("gan.discriminator_loss", discriminator_loss)


# %% [markdown]
# ## 8.3 Which loss teaches? Derivation and code (core)
#
# The generator may **minimize** one of two losses of the logit $\ell$ that its example gets:
#
# - minimax: $m(\ell) = \log(1 - \sigma(\ell))$,
# - non-saturating: $s(\ell) = -\log \sigma(\ell)$.
#
# Both fall when the discriminator is fooled. **Derive** $m'(\ell)$ and $s'(\ell)$. At the beginning the fakes are bad and
# the discriminator is sure: $\ell$ is very negative. How large are the two slopes then?

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**, with the formulas of your derivation (no autograd): `fake` is `(B,)`; return both slopes, minimax first,
# each `(B,)`.


# %% exercise={"id": "gan.generator_slopes", "tier": "core", "minutes": 15, "points": 3}
# gan.generator_slopes · core · 15 minutes · 3 points
def generator_slopes(fake: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of log(1 − σ(ℓ)) and of −log σ(ℓ) at each logit: (B,) -> (B,), (B,)."""
    raise NotImplementedError("gan.generator_slopes")


# %% tags=["nbval-check-output"]
check("gan.generator_slopes", generator_slopes)


# %% [markdown]
# When your check has passed, call `show_slopes(generator_slopes)` in a cell of your own.


# %%
def show_slopes(generator_slopes: Callable) -> None:
    """Draw how strongly each loss pushes, by how sure the discriminator is."""
    logits = torch.linspace(-8, 8, 200, dtype=torch.float64)
    names = ("minimax", "non-saturating")
    for name, slope in zip(names, generator_slopes(logits), strict=True):
        plt.plot(logits, -slope, label=name)
    plt.xlabel(
        "logit of a fake: the discriminator is sure on the left, fooled on the right"
    )
    plt.ylabel("push, −slope")
    plt.legend()
    caption(
        "Where the generator is bad, on the left, the minimax loss hardly pushes at all."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Where the generator is bad, on the left, the minimax loss hardly pushes at all.](attachment:target.png)
#
# *Where the generator is bad, on the left, the minimax loss hardly pushes at all.*

# %% [markdown]
# ## 8.4 What the game measures (extend)
#
# Against the best discriminator the value of the game is $2\,\mathrm{JS}(p, q) - \log 4$, with the **Jensen–Shannon
# divergence**
#
# $$\mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p \,\|\, m) + \tfrac12 \mathrm{KL}(q \,\|\, m), \qquad m = \tfrac12 (p + q).$$
#
# It is 0 if and only if $p = q$, and never more than $\log 2$. Probabilities may be 0: there $0 \log 0 = 0$.
#
# `p` and `q` are `(K,)` and sum to 1; return the divergence in nats, one number.


# %% exercise={"id": "gan.js_divergence", "tier": "extend", "minutes": 12, "points": 2}
# gan.js_divergence · extend · 12 minutes · 2 points
def js_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen–Shannon divergence of two distributions over K values, in nats."""
    raise NotImplementedError("gan.js_divergence")


# %% tags=["nbval-check-output"]
check("gan.js_divergence", js_divergence)


# %% [markdown]
# ## 8.5 The hinge loss (extend)
#
# Large GANs often use another pair of losses. The discriminator stops caring once a real example has an answer above 1, or a
# fake one below −1:
#
# $$L_D = \mathrm E\bigl[\max(0, 1 - f(x))\bigr] + \mathrm E\bigl[\max(0, 1 + f(G(z)))\bigr], \qquad
# L_G = -\mathrm E\bigl[f(G(z))\bigr].$$
#
# `real` is `(B,)`, `fake` is `(B',)`, answers without a sigmoid; return $L_D$ and $L_G$, two numbers.


# %% exercise={"id": "gan.hinge_losses", "tier": "extend", "minutes": 8, "points": 1}
# gan.hinge_losses · extend · 8 minutes · 1 point
def hinge_losses(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's and the generator's hinge loss: (B,) and (B',) -> two numbers."""
    raise NotImplementedError("gan.hinge_losses")


# %% tags=["nbval-check-output"]
check("gan.hinge_losses", hinge_losses)


# %% [markdown]
# ## 8.6 The critic on a leash: gradient penalty (core)
#
# WGAN-GP wants a critic $f$ with slope 1 between real and fake examples. It draws a point on the line between each pair,
# $\hat x_b = u_b\, x_b + (1 - u_b)\, \tilde x_b$, and punishes any other slope:
#
# $$\frac1B \sum_b \bigl( \lVert \nabla f(\hat x_b) \rVert_2 - 1 \bigr)^2 .$$
#
# The penalty is part of a loss: it must itself have a gradient with respect to the critic's parameters.
#
# `critic` takes `(B, D)` and returns `(B,)`; `real` and `fake` are `(B, D)`, `u` is `(B, 1)`; return one number.


# %% exercise={"id": "gan.gradient_penalty", "tier": "core", "minutes": 15, "points": 2}
# gan.gradient_penalty · core · 15 minutes · 2 points
def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, u: Tensor
) -> Tensor:
    """Mean of (‖∇f‖ − 1)² at the points u · real + (1 − u) · fake."""
    raise NotImplementedError("gan.gradient_penalty")


# %% tags=["nbval-check-output"]
check("gan.gradient_penalty", gradient_penalty)


# %% [markdown]
# ## 8.7 How far can a layer stretch? (extend)
#
# **Spectral normalization** divides a weight matrix by its largest singular value $\sigma_1$. **Power iteration** finds it
# with products alone. Start at a vector $v$ and repeat
#
# $$u \leftarrow \frac{W v}{\lVert W v \rVert}, \qquad v \leftarrow \frac{W^\top u}{\lVert W^\top u \rVert} ;$$
#
# then $\sigma_1 \approx u^\top W v$, with the last $u$ and $v$.
#
# `weight` is `(M, N)`, `v` is `(N,)`; return the estimate after `steps` rounds, one number.


# %% exercise={"id": "gan.spectral_norm", "tier": "extend", "minutes": 12, "points": 2}
# gan.spectral_norm · extend · 12 minutes · 2 points
def spectral_norm(weight: Tensor, v: Tensor, steps: int) -> Tensor:
    """The largest singular value of the weight (M, N), by `steps` rounds of power iteration from v (N,)."""
    raise NotImplementedError("gan.spectral_norm")


# %% tags=["nbval-check-output"]
check("gan.spectral_norm", spectral_norm)


# %% [markdown]
# ## 8.8 Does the batch vary? (extend)
#
# A collapsed generator makes everything alike. A discriminator that sees one example at a time cannot notice; so give it
# the batch: the standard deviation over the batch of each feature (`unbiased=False`), averaged over the features, is one
# number. Append it to every example as one more feature.
#
# `features` is `(B, D)`; return `(B, D + 1)`.


# %% exercise={"id": "gan.minibatch_std", "tier": "extend", "minutes": 8, "points": 1}
# gan.minibatch_std · extend · 8 minutes · 1 point
def minibatch_std(features: Tensor) -> Tensor:
    """The features with the mean of their standard deviations over the batch appended: (B, D) -> (B, D + 1)."""
    raise NotImplementedError("gan.minibatch_std")


# %% tags=["nbval-check-output"]
check("gan.minibatch_std", minibatch_std)


# %% [markdown]
# ## 8.9 Count the modes (core)
#
# The data are clusters around known centers. A sample belongs to its **nearest** center, and counts if it is at most
# `radius` away from it. A mode is **found** if at least `least` samples count for it.
#
# `samples` is `(N, 2)`, `centers` is `(K, 2)`; return how many modes are found, one number.


# %% exercise={"id": "gan.count_modes", "tier": "core", "minutes": 10, "points": 1}
# gan.count_modes · core · 10 minutes · 1 point
def count_modes(samples: Tensor, centers: Tensor, radius: float, least: int) -> int:
    """How many centers have at least `least` samples within `radius`."""
    raise NotImplementedError("gan.count_modes")


# %% tags=["nbval-check-output"]
check("gan.count_modes", count_modes)


# %% [markdown]
# ## 8.10 The Fréchet distance (extend)
#
# The most used measure of samples takes features of real and of fake images, fits a Gaussian to each, and compares the two:
#
# $$d^2 = \lVert \mu - \mu' \rVert^2 + \mathrm{tr}\bigl( \Sigma + \Sigma' - 2 (\Sigma \Sigma')^{1/2} \bigr).$$
#
# The root is that of a **matrix**, not of its entries. A hint: $\mathrm{tr}\,(\Sigma \Sigma')^{1/2}$ is the sum of the
# square roots of the eigenvalues of $\Sigma \Sigma'$, which are real and not negative.
#
# The means are `(D,)`, the covariances `(D, D)`, which may be singular: an eigenvalue that should be 0 may come out as
# $-10^{-17}$. Return $d^2$, one number.


# %% exercise={"id": "gan.frechet", "tier": "extend", "minutes": 15, "points": 2}
# gan.frechet · extend · 15 minutes · 2 points
def frechet(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> Tensor:
    """The squared Fréchet distance of two Gaussians."""
    raise NotImplementedError("gan.frechet")


# %% tags=["nbval-check-output"]
check("gan.frechet", frechet)


# %% [markdown]
# ## 8.11 Precision and recall (extend)
#
# One number cannot say whether samples are ugly or whether some kinds are missing. Two can. Give each real point a **ball**
# that reaches to its $k$-th nearest **other** real point. **Precision** is the share of fakes that lie in the ball of some
# real point. **Recall** is the same with the roles swapped: the share of real points in the ball of some fake. A point's copy
# is another point, at distance 0.
#
# `real` is `(N, D)`, `fake` is `(M, D)`; return precision and recall, two numbers.


# %% exercise={"id": "gan.precision_recall", "tier": "extend", "minutes": 20, "points": 3}
# gan.precision_recall · extend · 20 minutes · 3 points
def precision_recall(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """Share of fakes within the real set, and of real points within the fake set."""
    raise NotImplementedError("gan.precision_recall")


# %% tags=["nbval-check-output"]
check("gan.precision_recall", precision_recall)


# %% [markdown]
# ## 8.12 Challenge: forget nobody
#
# Train a generator on 2,000 points around the eight corners of a ring. Your function gets the points, `(2000, 2)`, and
# returns a **generator**: a function from noise $z$, `(n, 4)` and standard normal, to points, `(n, 2)`.
#
# The check turns the ring by an angle that it draws, so that nobody knows the corners by heart, and draws 4,000 noises.
# **Every** corner must get at least 4 % of the samples, and at least 60 % of them must lie within 0.15 of a corner. A
# generator is **continuous**: noises that are nearly the same give points that are, also between two corners, so that
# picking training points by the noise is no answer. Up to 60 seconds. The next cell shows the data, and what a generator
# that only knows mean and covariance makes.


# %%
def ring(n: int, generator: torch.Generator) -> Tensor:
    """n points around the eight corners of a ring of radius 1: (n, 2)."""
    angle = 2 * math.pi * torch.randint(8, (n,), generator=generator) / 8
    corners = torch.stack([angle.cos(), angle.sin()], dim=1).double()
    return corners + 0.03 * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def show_samples(generate: Callable[[Tensor], Tensor], text: str) -> None:
    """Draw the ring beside what a generator makes of noise."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    _, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True, sharey=True)
    sheets = {"data": ring(2000, generator), "generated": generate(noise)}
    for ax, color, (title, points) in zip(axes, PALETTE, sheets.items(), strict=False):
        ax.scatter(*points.T, s=3, color=color)
        ax.set(title=title, aspect="equal")
    caption(text)


points = ring(2000, torch.Generator().manual_seed(0))
show_samples(
    lambda z: points.mean(0) + z[:, :2] * points.std(0),
    "A Gaussian has the right mean and spread, and hardly a sample where the data are.",
)


# %% exercise={"id": "gan.ring", "tier": "challenge", "minutes": 45, "points": 4}
# gan.ring · challenge · 45 minutes · 4 points
def fit_generator(x_train: Tensor) -> Callable[[Tensor], Tensor]:
    """Train on x_train (N, 2); returns a generator: noise (n, 4) -> points (n, 2)."""
    raise NotImplementedError("gan.ring")


# %% tags=["nbval-check-output"]
check("gan.ring", fit_generator)

# %% [markdown]
# When it has passed, call `show_samples(fit_generator(points), "mine")` in a cell of your own.

# %% [markdown]
# *This picture is what you are after:*
#
# ![All eight corners. The thin bridges stay: a continuous map cannot tear its noise apart.](attachment:target.png)
#
# *All eight corners. The thin bridges stay: a continuous map cannot tear its noise apart.*
