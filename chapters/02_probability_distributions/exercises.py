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
# # Exercises 2: Probability distributions
#
# You will turn uniform numbers into draws from anything, measure distances between distributions, and compress digits
# with a model that predicts one pixel after the other.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of points, `D` of features, `K` of categories. Where chance is needed, its numbers are given to your function: draw none of
# your own, then your answer can be compared with the truth digit by digit. Every exercise stands alone: if you are stuck,
# go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.distributions import Normal

from utils.checks import check
from utils.data import load
from utils.plots import PALETTE, caption, images


# %% [markdown]
# ## 2.1 From a uniform number to a category (core)
#
# Lay the probabilities side by side on the interval from 0 to 1: category $k$ owns the piece from $c_{k-1}$ to $c_k$, where
# $c_k = p_0 + \dots + p_k$. A uniform number $u$ falls into the piece of category $k$ with probability $p_k$. So the draw is
#
# $$k = \min\,\{\,k : u < c_k\,\}.$$
#
# Two places need care. A number on a boundary belongs to the category that *begins* there. And probabilities that were
# rounded may sum to a little less than 1: a $u$ beyond their sum belongs to the last category.
#
# `u` is `(B,)`, each in [0, 1); `probs` is `(K,)`. Return the categories, `(B,)`, as whole numbers (`torch.int64`) from 0
# to K − 1.


# %% exercise={"id": "dist.categorical_from_uniform", "tier": "core", "minutes": 12, "points": 2}
# dist.categorical_from_uniform · core · 12 minutes · 2 points
def categorical_from_uniform(u: Tensor, probs: Tensor) -> Tensor:
    """The category of each uniform number: (B,) and (K,) -> (B,) in 0 … K − 1."""
    raise NotImplementedError("dist.categorical_from_uniform")


# %% tags=["nbval-check-output"]
check("dist.categorical_from_uniform", categorical_from_uniform)


# %% [markdown]
# ## 2.2 From two uniform numbers to two normal ones: Box and Muller (core)
#
# The normal CDF has no simple inverse, but in the plane there is a way around. Two independent standard normal numbers are a
# point in the plane. By symmetry its angle is uniform. Its distance $r$ from the origin has the CDF
# $F(r) = 1 - e^{-r^2/2}$, and that one you can invert.
#
# Let $u_1$ (the first column) give the **radius**, $F(r) = u_1$, and $u_2$ (the second column) the **angle**,
# $\varphi = 2 \pi u_2$. Return the point $(r \cos \varphi,\; r \sin \varphi)$.
#
# `u` is `(B, 2)`, each in [0, 1): 0 may occur, 1 may not. Return `(B, 2)`.


# %% exercise={"id": "dist.box_muller", "tier": "core", "minutes": 10, "points": 1}
# dist.box_muller · core · 10 minutes · 1 point
def box_muller(u: Tensor) -> Tensor:
    """Two uniform numbers a row in, two independent standard normal ones out: (B, 2) -> (B, 2)."""
    raise NotImplementedError("dist.box_muller")


# %% tags=["nbval-check-output"]
check("dist.box_muller", box_muller)


# %% [markdown]
# ## 2.3 From standard noise to any Gaussian (core)
#
# If $\varepsilon$ is standard normal, then $x = \mu + A \varepsilon$ has mean $\mu$ and covariance $A A^\top$. So any $A$ with
# $A A^\top = \Sigma$ will do. The Cholesky factor $\Sigma = L L^\top$ is the cheapest.
#
# The formula speaks of one column vector; your noise lies in **rows**. Think about what that makes of $L \varepsilon$.
#
# `noise` is `(B, D)`, `mean` `(D,)`, `covariance` `(D, D)`; return `(B, D)`.


# %% exercise={"id": "dist.multivariate_normal_sample", "tier": "core", "minutes": 10, "points": 2}
# dist.multivariate_normal_sample · core · 10 minutes · 2 points
def multivariate_normal_sample(noise: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Standard normal rows in, draws from N(mean, covariance) out: (B, D) -> (B, D)."""
    raise NotImplementedError("dist.multivariate_normal_sample")


# %% tags=["nbval-check-output"]
check("dist.multivariate_normal_sample", multivariate_normal_sample)

# %% [markdown]
# The next cell puts your three functions together. **Ancestral sampling** draws the causes first: a category, then a point
# from the Gaussian of that category. When the three checks have passed, call
# `show_ancestral(categorical_from_uniform, box_muller, multivariate_normal_sample)` in a cell of your own and compare with
# the picture below the code: all of it comes from `torch.rand`.

# %%
group_probs = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
group_means = torch.tensor([[-2.0, 0.0], [2.0, 1.5], [1.5, -1.5]], dtype=torch.float64)
group_covariances = torch.tensor(
    [[[0.5, 0.6], [0.6, 1.0]], [[0.8, -0.5], [-0.5, 0.5]], [[0.3, 0.0], [0.0, 0.1]]],
    dtype=torch.float64,
)


def show_ancestral(
    draw_category: Callable, draw_noise: Callable, transform: Callable
) -> None:
    """Draw 1,500 points of three groups from uniform numbers alone."""
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(1500, generator=generator, dtype=torch.float64)
    group = draw_category(u, group_probs)
    noise = draw_noise(torch.rand(1500, 2, generator=generator, dtype=torch.float64))
    _, axes = plt.subplots(figsize=(7.5, 3.4))
    for k in range(3):
        chosen = noise[group == k]
        x = transform(chosen, group_means[k], group_covariances[k])
        label = f"group {k}: {len(x) / 1500:.0%} of the points"
        axes.scatter(*x.T, s=5, color=PALETTE[k], label=label)
    axes.set_aspect("equal")
    axes.legend(markerscale=3, loc="upper left", bbox_to_anchor=(1, 1))
    caption(
        "Three groups of points, drawn from uniform numbers alone, each in the share that it should have."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Three groups of points, drawn from uniform numbers alone, each in the share that it should have.](attachment:target.png)
#
# *Three groups of points, drawn from uniform numbers alone, each in the share that it should have.*

# %% [markdown]
# ## 2.4 Fit a Gaussian by maximum likelihood (core)
#
# Which $\mu$ and $\Sigma$ make the data likeliest? Setting the derivatives of $\sum_b \log \mathcal N(x_b; \mu, \Sigma)$ to
# zero gives the mean of the points, and the mean of the squared deviations from it:
#
# $$\hat\mu = \frac1N \sum_b x_b, \qquad \hat\Sigma = \frac1N \sum_b (x_b - \hat\mu)(x_b - \hat\mu)^\top .$$
#
# Some data lie far from the origin (think of years, or of temperatures in kelvin): your covariance must not lose its digits
# there.
#
# `x` is `(N, D)`; return the mean `(D,)` and the covariance `(D, D)`.


# %% exercise={"id": "dist.fit_multivariate_normal", "tier": "core", "minutes": 10, "points": 1}
# dist.fit_multivariate_normal · core · 10 minutes · 1 point
def fit_multivariate_normal(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) and covariance (D, D) under which x (N, D) is likeliest."""
    raise NotImplementedError("dist.fit_multivariate_normal")


# %% tags=["nbval-check-output"]
check("dist.fit_multivariate_normal", fit_multivariate_normal)


# %% [markdown]
# ## 2.5 Rejection sampling: keep or throw away (core)
#
# We want draws from $p(x) = \tilde p(x) / Z$, know only $\tilde p$, and can draw from a simpler $q$. If $\tilde p(x) \le M q(x)$
# everywhere, then $M q$ is an **envelope**: draw $x$ from $q$, and keep it with probability
#
# $$\frac{\tilde p(x)}{M\, q(x)}, \qquad \text{that is, if } u < \frac{\tilde p(x)}{M\, q(x)} .$$
#
# What is kept follows $p$ exactly. If the envelope is broken somewhere, what is kept follows something else, and nobody
# notices. So notice: **raise a `ValueError`** if for any proposal $\tilde p(x) > M q(x)$.
#
# All densities come as logarithms and may be tiny: do not leave log space too early. `log_target` $= \log \tilde p(x_b)$ and
# `log_proposal` $= \log q(x_b)$ are `(B,)`, `log_constant` $= \log M$ is a `float`, `u` is `(B,)`, in [0, 1).
# Return a boolean mask, `(B,)`: True for what is kept.


# %% exercise={"id": "dist.rejection_sample", "tier": "core", "minutes": 12, "points": 2}
# dist.rejection_sample · core · 12 minutes · 2 points
def rejection_sample(
    log_target: Tensor, log_proposal: Tensor, log_constant: float, u: Tensor
) -> Tensor:
    """Which proposals to keep: boolean, (B,). A broken envelope is a ValueError."""
    raise NotImplementedError("dist.rejection_sample")


# %% tags=["nbval-check-output"]
check("dist.rejection_sample", rejection_sample)


# %% [markdown]
# The next cell draws from a density with two humps of different width. When your check has passed, call
# `show_rejection(rejection_sample)`.


# %%
def show_rejection(rejection_sample: Callable, n: int = 3000) -> None:
    """Points spread evenly below an envelope: those below the target are kept."""
    generator = torch.Generator().manual_seed(0)
    proposal = Normal(torch.tensor(0.0).double(), torch.tensor(2.0).double())
    log_constant = math.log(7.2)

    def log_target(x: Tensor) -> Tensor:
        left, right = -2 * (x + 1.5).square(), -0.5 * (x - 1.5).square()
        return torch.logaddexp(left, math.log(0.6) + right)

    x = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    u = torch.rand(n, generator=generator, dtype=torch.float64)
    kept = rejection_sample(log_target(x), proposal.log_prob(x), log_constant, u)
    height = u * (proposal.log_prob(x) + log_constant).exp()
    grid = torch.linspace(-7, 7, 500, dtype=torch.float64)
    _, axes = plt.subplots(figsize=(7, 3.4))
    axes.plot(
        grid, (proposal.log_prob(grid) + log_constant).exp(), "k--", label="envelope $M q$"
    )
    axes.plot(grid, log_target(grid).exp(), "k", label=r"target $\tilde p$")
    axes.scatter(x[kept], height[kept], s=3, color=PALETTE[0], label="kept")
    axes.scatter(x[~kept], height[~kept], s=3, color=PALETTE[1], label="thrown away")
    axes.set(xlabel="x", title=f"{kept.double().mean():.0%} of the proposals are kept")
    axes.legend(markerscale=3)
    caption(
        "Points below the target's curve are kept; those between it and the envelope are thrown away."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Points below the target's curve are kept; those between it and the envelope are thrown away.](attachment:target.png)
#
# *Points below the target's curve are kept; those between it and the envelope are thrown away.*

# %% [markdown]
# ## 2.6 The divergence of two Gaussians: derivation and code (extend)
#
# How far is $q = \mathcal N(\mu_q, \Sigma_q)$ from $p = \mathcal N(\mu_p, \Sigma_p)$? The Kullback–Leibler divergence
#
# $$\mathrm{KL}(p \,\|\, q) = \mathrm E_{x \sim p}\bigl[\log p(x) - \log q(x)\bigr]$$
#
# is what a code built for $q$ wastes on data from $p$. For Gaussians it has a closed form, and you will meet it again: it is
# one of the two terms of a variational autoencoder's loss. **Derive** it, in four steps.
#
# 1. Write down $\log p(x) - \log q(x)$. Which constant cancels?
# 2. Show that $\mathrm E_{x \sim p}\bigl[(x - m)^\top A\, (x - m)\bigr] = \operatorname{tr}(A \Sigma_p) +
#    (\mu_p - m)^\top A\, (\mu_p - m)$ for any vector $m$ and symmetric matrix $A$. (A number is its own trace, and
#    $\operatorname{tr}(BC) = \operatorname{tr}(CB)$.)
# 3. Use it twice: with $m = \mu_p$, $A = \Sigma_p^{-1}$, and with $m = \mu_q$, $A = \Sigma_q^{-1}$.
# 4. Put the parts together, and test the result: what is it for $p = q$?
#
# Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**, in nats. The determinants of large covariances underflow: take their logarithms from a Cholesky factor or
# from `torch.linalg.slogdet`. The means are `(D,)`, the covariances `(D, D)`; return one number. The check compares with an
# integral, too.


# %% exercise={"id": "dist.kl_normals", "tier": "extend", "minutes": 30, "points": 3}
# dist.kl_normals · extend · 30 minutes · 3 points
def kl_normals(
    mean_p: Tensor, covariance_p: Tensor, mean_q: Tensor, covariance_q: Tensor
) -> Tensor:
    """KL(p‖q) in nats, for p = N(mean_p, covariance_p) and q = N(mean_q, covariance_q)."""
    raise NotImplementedError("dist.kl_normals")


# %% tags=["nbval-check-output"]
check("dist.kl_normals", kl_normals)


# %% [markdown]
# A divergence has a direction. Let $p$ be slanted, and $q$ a round Gaussian that cannot be: which width of $q$ is nearest?
# The next cell asks your function both ways. When your check has passed, call `show_directions(kl_normals)`.


# %%
def show_directions(kl_normals: Callable) -> None:
    """KL in both directions between a slanted Gaussian and round ones of growing width."""
    origin, eye = torch.zeros(2).double(), torch.eye(2).double()
    slanted = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    widths = torch.linspace(0.25, 1.8, 120, dtype=torch.float64)
    curves = {
        r"KL$(p\,\|\,q)$: q must cover p": lambda w: kl_normals(
            origin, slanted, origin, w**2 * eye
        ),
        r"KL$(q\,\|\,p)$: q must stay inside p": lambda w: kl_normals(
            origin, w**2 * eye, origin, slanted
        ),
    }
    _, axes = plt.subplots(1, 2, figsize=(8.5, 3.6))
    angle = torch.linspace(0, 2 * torch.pi, 200, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])
    outline = torch.linalg.cholesky(slanted) @ circle
    axes[1].plot(*outline, "k", linewidth=2, label="p")
    for color, (label, divergence) in zip(PALETTE, curves.items(), strict=False):
        values = torch.stack([torch.as_tensor(divergence(w)) for w in widths])
        best = widths[values.argmin()]
        axes[0].plot(widths, values, color=color, label=label)
        axes[0].plot(best, values.min(), "o", color=color)
        axes[1].plot(*(best * circle), color=color, label=f"nearest q, width {best:.2f}")
    axes[0].set(xlabel="width of q", ylabel="nats", ylim=(0, 4))
    axes[0].legend()
    axes[1].set_aspect("equal")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    caption(
        "Left: each divergence is least (dot) at another width. Right: the q that each calls the nearest to p."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Left: each divergence is least (dot) at another width. Right: the q that each calls the nearest to p.](attachment:target.png)
#
# *Left: each divergence is least (dot) at another width. Right: the q that each calls the nearest to p.*

# %% [markdown]
# ## 2.7 A mean, its error bar, and the price of a smaller one (extend)
#
# An expectation $\mathrm E[f(x)]$ is estimated by the mean of $n$ values $f(x_b)$. How wrong may it be? Its **standard error**
# is the standard deviation of the values divided by $\sqrt n$. The standard deviation is itself estimated: here
# with $n - 1$ in the denominator, which makes the variance unbiased.
#
# Return three things: the mean; its standard error; and how many values it takes *in all* until the standard error is
# at most `goal`, as a whole number (suppose that the standard deviation stays as it is).
#
# `values` is `(B,)`, `goal` a `float`.


# %% exercise={"id": "dist.monte_carlo", "tier": "extend", "minutes": 12, "points": 2}
# dist.monte_carlo · extend · 12 minutes · 2 points
def monte_carlo(values: Tensor, goal: float) -> tuple[Tensor, Tensor, int]:
    """The mean of values (B,), its standard error, and how many values bring the error down to `goal`."""
    raise NotImplementedError("dist.monte_carlo")


# %% tags=["nbval-check-output"]
check("dist.monte_carlo", monte_carlo)


# %% [markdown]
# The next cell estimates π from the share of random points of a square that fall into its inner circle. When your check has
# passed, call `show_error_bars(monte_carlo)`: about nineteen bars in twenty should touch the line.


# %%
def show_error_bars(monte_carlo: Callable) -> None:
    """Estimates of π with bars of two standard errors, from more and more points."""
    generator = torch.Generator().manual_seed(0)
    sizes = [round(30 * 10 ** (i / 6)) for i in range(22)]
    means, errors = [], []
    for n in sizes:
        points = 2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1
        mean, error, _ = monte_carlo(4.0 * (points.norm(dim=1) < 1).double(), 0.01)
        means.append(float(mean))
        errors.append(2 * float(error))
    _, axes = plt.subplots(figsize=(7, 3))
    axes.errorbar(sizes, means, errors, fmt="o", markersize=4, capsize=3)
    axes.axhline(math.pi, color="black", linewidth=1, label="π")
    axes.set(xscale="log", xlabel="points", ylabel="estimate ± 2 standard errors")
    axes.legend()
    caption(
        "With more points the estimates of π come nearer, and their intervals shrink with them."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![With more points the estimates of π come nearer, and their intervals shrink with them.](attachment:target.png)
#
# *With more points the estimates of π come nearer, and their intervals shrink with them.*

# %% [markdown]
# ## 2.8 The density of a flow, whatever its map (extend)
#
# Let a map $z = f(x)$ turn $x$ into a standard normal $z$. Where $f$ is steep, a short piece of $x$ owns a long piece of $z$
# and all of its mass, so the density of $x$ is high there:
#
# $$\log p(x) = \log \mathcal N\bigl(f(x); 0, 1\bigr) + \log \left| \frac{\mathrm d f}{\mathrm d x}(x) \right| .$$
#
# Write it for **any** $f$ that works on each number by itself and is strictly increasing or strictly decreasing. You
# do not know its formula, so let automatic differentiation find the slope (`torch.autograd.grad`, on a copy of `x` that
# asks for gradients: `x.clone().requires_grad_()`).
#
# `x` is `(B,)`; `forward` takes a tensor `(B,)` and returns $z$, `(B,)`. Return $\log p(x)$, `(B,)`.


# %% exercise={"id": "dist.flow_log_prob", "tier": "extend", "minutes": 20, "points": 3}
# dist.flow_log_prob · extend · 20 minutes · 3 points
def flow_log_prob(x: Tensor, forward: Callable[[Tensor], Tensor]) -> Tensor:
    """log p(x) in nats when forward(x) is standard normal: (B,) -> (B,)."""
    raise NotImplementedError("dist.flow_log_prob")


# %% tags=["nbval-check-output"]
check("dist.flow_log_prob", flow_log_prob)


# %% [markdown]
# Four maps and what they make of the bell curve. When your check has passed, call `show_flows(flow_log_prob)`.


# %%
def show_flows(flow_log_prob: Callable) -> None:
    """Maps from x to z above, the densities of x that they make below; the dotted curve is the standard normal."""
    maps = {
        "$z = (x - 1) / 0.6$": lambda x: (x - 1) / 0.6,
        "$z = -\\sinh x$": lambda x: -x.sinh(),
        "$z = \\sinh(0.6\\, \\mathrm{arsinh}\\, x + 0.6)$": lambda x: (
            0.6 * x.asinh() + 0.6
        ).sinh(),
        "$z = 1.2 x - 0.55 \\sin 2x$": lambda x: 1.2 * x - 0.55 * (2 * x).sin(),
    }
    x = torch.linspace(-4, 4, 800, dtype=torch.float64)
    _, axes = plt.subplots(2, len(maps), figsize=(10, 4), sharex=True, sharey="row")
    for k, (title, forward) in enumerate(maps.items()):
        axes[0, k].plot(x, forward(x), color=PALETTE[1])
        axes[0, k].set(title=title, ylim=(-4, 4))
        axes[1, k].plot(x, Normal(0.0, 1.0).log_prob(x).exp(), ":", color="0.5")
        axes[1, k].fill_between(x, flow_log_prob(x, forward).exp(), alpha=0.6)
        axes[1, k].set(xlabel="x")
    axes[0, 0].set_ylabel("z")
    axes[1, 0].set_ylabel("p(x)")
    caption(
        "Above: three maps. Below: what each makes of a normal density (dotted): where it is steep, x is dense."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Above: three maps. Below: what each makes of a normal density (dotted): where it is steep, x is dense.](attachment:target.png)
#
# *Above: three maps. Below: what each makes of a normal density (dotted): where it is steep, x is dense.*

# %% [markdown]
# ## 2.9 How many bits does an image cost? (extend)
#
# A coder that expects $x$ with probability $p(x)$ spends $-\log_2 p(x)$ bits on it: what is expected is cheap. Let the
# pixels be independent, pixel $d$ black (1) with probability $p_d$. Then the bits of its pixels add up.
#
# A pixel that is always white has $p_d = 0$, and coding a white pixel there costs **nothing**: mind $0 \cdot \log 0$.
#
# `x` holds zeros and ones, `(B, D)`; `probs` holds the probabilities of a **1**, `(D,)` for the same in every image, or
# `(B, D)`. Return the bits of each image, `(B,)`. Do not round: an arithmetic coder gets along with fractions of a bit.


# %% exercise={"id": "dist.code_length", "tier": "extend", "minutes": 12, "points": 2}
# dist.code_length · extend · 12 minutes · 2 points
def code_length(x: Tensor, probs: Tensor) -> Tensor:
    """−log₂ p(x) of binary images with independent pixels: (B, D) and (D,) or (B, D) -> bits, (B,)."""
    raise NotImplementedError("dist.code_length")


# %% tags=["nbval-check-output"]
check("dist.code_length", code_length)

# %% [markdown]
# ## 2.10 Challenge: compress digits to five sixths
#
# Independent pixels waste bits: if the pixels above are black, this one is likely to be black too. The chain rule
# $p(x) = \prod_d p(x_d \mid x_0, \dots, x_{d-1})$ allows for everything that came **before**, in reading order. A decoder can
# follow: when it comes to pixel $d$, it knows all earlier ones, and none of the later.
#
# Your function gets binary 8 × 8 digits, `x_train`, `(N, 64)`, and returns a **function** `predict(x)`, `(B, 64)` to
# `(B, 64)`: the probability that pixel $d$ of image $b$ is 1, given pixels $0, \dots, d-1$ of the same image.
#
# The check turns and shifts each digit a little, so that none of them lies in `data/`, draws its own split into training and
# new digits, and asks about the new ones in shuffled batches, among copies:
#
# - in some copies pixels from $d$ on were changed: your prediction of pixel $d$ **must stay**, or nobody could decode;
# - some images come twice, among others: they must get the same prediction, too;
# - the bits of the new digits are counted. The goal: at most **five sixths** of what independent pixels take.
#
# Any means are allowed: counts over neighbors that came before, a logistic regression for each pixel, a mixture. Never say 0
# or 1 unless you are sure. Up to 60 seconds; seconds are enough. The next cell shows some of the images.

# %%
digits = load("digits").flat()
binary_train, binary_new = (
    (x >= 0.5).double() for x in (digits.x_train, digits.x_test)
)  # (1297, 64), (500, 64)

# %% jupyter={"source_hidden": true}
images(binary_train[:20].reshape(-1, 8, 8), title="binary digits")
caption("Twenty of the digits to compress, in black and white.")


# %% exercise={"id": "dist.compress", "tier": "challenge", "minutes": 45, "points": 4}
# dist.compress · challenge · 45 minutes · 4 points
def fit_pixels(x_train: Tensor) -> Callable[[Tensor], Tensor]:
    """Learn to predict each pixel from those before it; returns predict: (B, 64) -> (B, 64)."""
    raise NotImplementedError("dist.compress")


# %%
check("dist.compress", fit_pixels)


# %% [markdown]
# A predictor of the next pixel is a **generator**: draw pixel 0, predict pixel 1, draw it, and so on. The next cell draws new
# digits that way, and shows where in an image the bits go. When your check has passed, call `show_pixels(fit_pixels)`.


# %%
def show_pixels(fit_pixels: Callable, n: int = 20) -> None:
    """Digits drawn pixel by pixel, and how surprising each pixel of new digits is on average."""
    predict = fit_pixels(binary_train)
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(n, 64, dtype=torch.float64)
    for d in range(64):
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        x[:, d] = (u < predict(x)[:, d]).double()
    p = predict(binary_new)
    bits = -torch.where(binary_new == 1, p, 1 - p).log2().mean(0)
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 2.4), width_ratios=[2.4, 1])
    images(x.reshape(-1, 8, 8), title="drawn pixel by pixel", axes=left)
    heat = right.imshow(bits.reshape(8, 8), cmap="Blues", vmin=0, vmax=1)
    right.set(xticks=[], yticks=[], title="bits of each pixel")
    plt.colorbar(heat, ax=right)
    caption(
        "Left: digits drawn pixel by pixel. Right: how many bits each pixel of new digits takes on average."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Left: digits drawn pixel by pixel. Right: how many bits each pixel of new digits takes on average.](attachment:target.png)
#
# *Left: digits drawn pixel by pixel. Right: how many bits each pixel of new digits takes on average.*
