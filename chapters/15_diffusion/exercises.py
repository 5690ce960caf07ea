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
# # Exercises 15: Diffusion: noise, and the way back
#
# You will noise data in one jump, find the score of a noised mixture, derive Tweedie's formulas, write the loss and the bound
# that diffusion models are trained with, walk back from noise to data in four ways, compute an exact likelihood on the way,
# and follow a flow with ten evaluations.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of examples, `D` of features. Every exercise stands alone: if you are stuck, go on with the next one.
#
# **Notation.** Time grows from data to noise. At time $t$ a data point $x_0$ has become $x_t = \alpha_t x_0 + \sigma_t \epsilon$
# with standard normal noise $\epsilon$: $\alpha_t$ is the share of the signal, $\sigma_t$ that of the noise. Unless it says
# otherwise, $\alpha_t^2 + \sigma_t^2 = 1$. The letter $s$ is a time before $t$, nearer to the data.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections.abc import Callable
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from utils.checks import check
from utils.data import load
from utils.plots import caption, images, plane

# %% [markdown]
# The figures below use one mixture of three round Gaussians in the plane, with unequal weights. Noised, it is a mixture again,
# so its density is known at each level of noise. Here its score comes from automatic differentiation; you will write it
# in closed form.

# %%
shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
centers = torch.tensor([[1.5, 0.5], [-1.0, 1.2], [-0.5, -1.5]], dtype=torch.float64)
widths = torch.tensor([0.3, 0.15, 0.2], dtype=torch.float64)


def noised_mixture(alpha: float, sigma: float) -> MixtureSameFamily:
    """The distribution of alpha · x_0 + sigma · noise, with x_0 from the mixture."""
    scale = (alpha**2 * widths**2 + sigma**2).sqrt()[:, None].expand(3, 2)
    return MixtureSameFamily(
        Categorical(shares), Independent(Normal(alpha * centers, scale), 1)
    )


def true_score(x: Tensor, alpha: float, sigma: float) -> Tensor:
    """∇ log p of the noised mixture, (B, 2) -> (B, 2); can be differentiated where x can."""
    followed = x.requires_grad
    x = x if followed else x.clone().requires_grad_()
    total = noised_mixture(alpha, sigma).log_prob(x).sum()
    return torch.autograd.grad(total, x, create_graph=followed)[0]


def cosine_level(t: float) -> tuple[float, float]:
    """alpha and sigma of the cosine path: a quarter of a circle from data, t = 0, to noise, t = 1."""
    return math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)


# %% [markdown]
# ## 15.1 Many small steps, one jump (core)
#
# A diffusion destroys data step by step: each step shrinks what is there a little and adds a little noise,
#
# $$x_t = \sqrt{1 - \beta_t} \; x_{t-1} + \sqrt{\beta_t} \; \epsilon_t, \qquad t = 1, \dots, T.$$
#
# A sum of independent Gaussians is a Gaussian, so nobody has to walk: $x_t = \alpha_t x_0 + \sigma_t \epsilon$. Find $\alpha_t$
# and $\sigma_t$. (In papers, $\bar\alpha_t$ is mostly the square of our $\alpha_t$.)
#
# `x` is a batch of images `(B, C, H, W)`; `betas` `(T,)` holds $\beta_1, \dots, \beta_T$, so $\beta_1$ is `betas[0]`; `t` `(B,)`
# holds whole numbers from 0 to $T$, one for each image, where 0 leaves the image as it is; `noise` is $\epsilon$, as large as
# `x`. Return $x_t$, `(B, C, H, W)`.


# %% exercise={"id": "diffusion.noised", "tier": "core", "minutes": 10, "points": 2}
# diffusion.noised · core · 10 minutes · 2 points
def noised(x: Tensor, betas: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Each image after its own number of noising steps, in one jump: (B, C, H, W)."""
    raise NotImplementedError("diffusion.noised")


# %% tags=["nbval-check-output"]
check("diffusion.noised", noised)

# %% [markdown]
# When your check has passed, call `show_noising(noised)` in a cell of your own and compare with the picture below the code.

# %%
digits = load("digits").x_test[:12].double().reshape(-1, 1, 8, 8)


def show_noising(noised: Callable) -> None:
    """Draw twelve digits after more and more steps of noise."""
    generator = torch.Generator().manual_seed(0)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    noise = torch.randn(digits.shape, generator=generator, dtype=digits.dtype)
    times = [0, 50, 150, 300, 1000]
    rows = [noised(2 * digits - 1, betas, torch.full((12,), t), noise) for t in times]
    labels = [f"t = {t}" for t in times]
    images(torch.cat(rows), columns=12, limits=(-1, 1), rows=labels)
    caption("Fine detail drowns first, the rough shape later; at the end nothing is left.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Fine detail drowns first, the rough shape later; at the end nothing is left.](attachment:target.png)
#
# *Fine detail drowns first, the rough shape later; at the end nothing is left.*

# %% [markdown]
# ## 15.2 The score of a noised mixture (core)
#
# The **score** is the direction in which a density grows, $\nabla_x \log p_t(x)$. A network has to learn it, but for a mixture
# of Gaussians it is known. Let the data be $x_0 \sim \sum_k w_k \, \mathcal{N}(\mu_k, s_k^2 I)$. After noising, each component
# is a Gaussian still, with another mean and a larger variance. The score is an average over the components of what each one
# pulls, weighted with the **responsibilities**: the probabilities of the components, given $x$.
#
# `x` is `(B, D)`, `weights` `(K,)`, `means` `(K, D)`, `scales` `(K,)` holds the standard deviations $s_k$; `alpha` and `sigma` are
# numbers, and `sigma` may be 0. Return the score of $p_t$ at each row of `x`, `(B, D)`. It must be right also where every
# component's density is too small for a computer.


# %% exercise={"id": "diffusion.mixture_score", "tier": "core", "minutes": 15, "points": 2}
# diffusion.mixture_score · core · 15 minutes · 2 points
def mixture_score(
    x: Tensor,
    weights: Tensor,
    means: Tensor,
    scales: Tensor,
    alpha: float,
    sigma: float,
) -> Tensor:
    """∇ log p_t(x) of a mixture of round Gaussians: (B, D) -> (B, D)."""
    raise NotImplementedError("diffusion.mixture_score")


# %% tags=["nbval-check-output"]
check("diffusion.mixture_score", mixture_score)


# %% [markdown]
# When your check has passed, call `show_score(mixture_score)`.


# %%
def show_score(mixture_score: Callable) -> None:
    """Draw the density and σ times the score at four levels of noise."""
    axis = torch.linspace(-2.6, 2.6, 14, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    _, panels = plt.subplots(1, 4, figsize=(9, 2.6))
    for axes, t in zip(panels, (0.1, 0.3, 0.6, 0.95), strict=True):
        alpha, sigma = cosine_level(t)
        plane(
            axes, noised_mixture(alpha, sigma).log_prob, (-2.8, -2.8), (2.8, 2.8), steps=80
        )
        arrows = sigma * mixture_score(grid, shares, centers, widths, alpha, sigma)
        axes.quiver(
            *grid.T.numpy(), *arrows.T.numpy(), color="0.25", width=0.006, pivot="tail"
        )
        axes.set_title(f"σ = {sigma:.2f}")
        axes.set_xticks([])
        axes.set_yticks([])
    caption(
        "With little noise each arrow points to the nearest component; with much noise all point to the center."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![With little noise each arrow points to the nearest component; with much noise all point to the center.](attachment:target.png)
#
# *With little noise each arrow points to the nearest component; with much noise all point to the center.*

# %% [markdown]
# ## 15.3 Tweedie's formula, and a second one: derivation and code (core)
#
# You see $x = \alpha x_0 + \sigma \epsilon$ and want to know $x_0$: the best guess in squared error, which is the posterior mean
# $\mathbb{E}[x_0 \mid x]$, and how far it may be off, the posterior covariance. It seems that you need the distribution of the data.
# The first two derivatives of the log-density of the *noised* data are enough.
#
# **Derive** $\mathbb{E}[x_0 \mid x]$ from the score $\nabla \log p(x)$, and $\mathrm{Cov}[x_0 \mid x]$ from the matrix
# $H = \nabla^2 \log p(x)$ of second derivatives. Begin with $p(x) = \int q(x \mid x_0) \, p(x_0) \, dx_0$ and
# $q(x \mid x_0) = \mathcal{N}(x; \alpha x_0, \sigma^2 I)$, and take the gradient under the integral. For the second one, differentiate
# what you found for the mean once more: how does $p(x_0 \mid x)$ change with $x$? Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**. `score` $\nabla \log p(x)$ and `x` are `(B, D)`, `hessian` $H$ is `(B, D, D)`; `alpha` and `sigma` are `(B,)`, a level of
# noise for each row, and positive. In this exercise $\alpha^2 + \sigma^2$ need not be 1. Return the posterior mean, `(B, D)`, and the
# posterior covariance, `(B, D, D)`.


# %% exercise={"id": "diffusion.tweedie", "tier": "core", "minutes": 25, "points": 3}
# diffusion.tweedie · core · 25 minutes · 3 points
def tweedie(
    score: Tensor, hessian: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """E[x_0 | x], (B, D), and Cov[x_0 | x], (B, D, D), from derivatives of log p(x)."""
    raise NotImplementedError("diffusion.tweedie")


# %% tags=["nbval-check-output"]
check("diffusion.tweedie", tweedie)


# %% [markdown]
# ## 15.4 Noise, data or a mixture: three ways to say the same (core)
#
# A network may be asked for the noise $\epsilon$, for the data $x_0$, or for $u = \alpha \epsilon - \sigma x_0$. With $x_t$ at
# hand, each of them tells the other two. Not equally well: where nearly all is noise, a small error of $\epsilon$ is a large
# one of $x_0$, and where nearly nothing is, the other way round. $u$ has no such place. (Papers call it
# $v$, the letter that here is the velocity of the flow.)
#
# `output` and `x` ($= x_t$) are `(B, D)`; `kind` is `"noise"`, `"x0"` or `"u"`; `alpha` and `sigma` are `(B,)` with
# $\alpha^2 + \sigma^2 = 1$. Return what the output says of $x_0$ and of the noise, `(B, D)` each. For `"u"` this must work at both
# ends, too: at $\sigma = 0$ and at $\alpha = 0$.


# %% exercise={"id": "diffusion.predictions", "tier": "core", "minutes": 12, "points": 2}
# diffusion.predictions · core · 12 minutes · 2 points
def predictions(
    output: Tensor, kind: str, x: Tensor, alpha: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """The x_0 and the noise that a network's output means: (B, D) and (B, D)."""
    raise NotImplementedError("diffusion.predictions")


# %% tags=["nbval-check-output"]
check("diffusion.predictions", predictions)


# %% [markdown]
# ## 15.5 The simple loss (core)
#
# Training is regression: noise an image, ask the network which noise it was, and compare. Each image has its own level of
# noise, so that one batch teaches all levels.
#
# $$\ell = \frac{1}{CHW} \, \lVert \epsilon - \hat\epsilon_\theta(x_t, t) \rVert^2, \qquad x_t = \alpha_t x_0 + \sigma_t \epsilon .$$
#
# `model(x_t, t)` takes images `(B, C, H, W)` and their times, `t` `(B,)`, and returns a guess of the noise, `(B, C, H, W)`.
# `x` and `noise` are `(B, C, H, W)`, `t` is `(B,)`, `int64`; `alphas` and `sigmas` hold $\alpha_t$ and $\sigma_t$ for
# $t = 0, \dots, T$. Return the loss of each image, `(B,)`; the gradient must reach the model.


# %% exercise={"id": "diffusion.simple_loss", "tier": "core", "minutes": 12, "points": 2}
# diffusion.simple_loss · core · 12 minutes · 2 points
def simple_loss(
    model: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    noise: Tensor,
    alphas: Tensor,
    sigmas: Tensor,
) -> Tensor:
    """Mean squared error of the predicted noise, of each image: (B,)."""
    raise NotImplementedError("diffusion.simple_loss")


# %% tags=["nbval-check-output"]
check("diffusion.simple_loss", simple_loss)


# %% [markdown]
# ## 15.6 One step back, if the data were known (core)
#
# The chain runs from $x_0$ over $x_s$ to $x_t$, and each link is Gaussian. Given both ends, $x_0$ and $x_t$, the point between
# has a Gaussian distribution $q(x_s \mid x_t, x_0)$, by Bayes' rule:
#
# $$q(x_s \mid x_t, x_0) \propto q(x_s \mid x_0) \; q(x_t \mid x_s), \qquad
# q(x_t \mid x_s) = \mathcal{N}\Bigl(\frac{\alpha_t}{\alpha_s} x_s, \; \Bigl(\sigma_t^2 - \frac{\alpha_t^2}{\alpha_s^2} \sigma_s^2\Bigr) I\Bigr).$$
#
# A sampler puts a guess into the place of $x_0$ and draws from it: that is a step of DDPM. Of two Gaussians that are multiplied, the precisions
# (1 / variance) add up. But where $\sigma_s = 0$ the first precision is infinite: multiply out first, until no $\sigma_s$ stands in a
# denominator.
#
# `x_t` and `x_0` are `(B, D)`; the four levels are numbers, $s < t$, and $s$ may be 0, where $\alpha_s = 1$ and $\sigma_s = 0$. Return
# the mean, `(B, D)`, and the variance, one number.


# %% exercise={"id": "diffusion.reverse_posterior", "tier": "core", "minutes": 15, "points": 2}
# diffusion.reverse_posterior · core · 15 minutes · 2 points
def reverse_posterior(
    x_t: Tensor,
    x_0: Tensor,
    alpha_t: float,
    sigma_t: float,
    alpha_s: float,
    sigma_s: float,
) -> tuple[Tensor, float]:
    """Mean, (B, D), and variance of q(x_s | x_t, x_0)."""
    raise NotImplementedError("diffusion.reverse_posterior")


# %% tags=["nbval-check-output"]
check("diffusion.reverse_posterior", reverse_posterior)


# %% [markdown]
# ## 15.7 DDIM: one step back without dice (core)
#
# The predicted noise splits $x_t$ into a guess of the data and the noise. DDIM puts the same two together again, in the
# proportions of the earlier time $s$. Nothing is drawn, so the same noise always ends at the same sample, and few steps go a
# long way.
#
# `noise` is the predicted $\hat\epsilon$, `(B, D)`; `x` is $x_t$, `(B, D)`; the levels are numbers. Return $x_s$, `(B, D)`. The
# step must also work from data towards noise, when $s$ is after $t$.


# %% exercise={"id": "diffusion.ddim_step", "tier": "core", "minutes": 8, "points": 1}
# diffusion.ddim_step · core · 8 minutes · 1 point
def ddim_step(
    noise: Tensor,
    x: Tensor,
    alpha_t: float,
    sigma_t: float,
    alpha_s: float,
    sigma_s: float,
) -> Tensor:
    """From level t to level s along the predicted noise: (B, D)."""
    raise NotImplementedError("diffusion.ddim_step")


# %% tags=["nbval-check-output"]
check("diffusion.ddim_step", ddim_step)


# %% [markdown]
# When your check has passed, call `show_steps(ddim_step)`: the same 600 noises, with the exact score, in 3, 6 and 40 steps.


# %%
def show_steps(ddim_step: Callable) -> None:
    """Draw samples of the mixture that few and many steps make of the same noise."""
    noise = torch.randn(
        600, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    _, panels = plt.subplots(1, 3, figsize=(9, 3))
    for axes, steps in zip(panels, (3, 6, 40), strict=True):
        x, times = noise, torch.linspace(0.98, 0, steps + 1).tolist()
        for t, s in pairwise(times):
            now, then = cosine_level(t), cosine_level(s)
            x = ddim_step(-now[1] * true_score(x, *now), x, *now, *then)
        plane(axes, noised_mixture(1.0, 0.0).log_prob, (-2.4, -2.4), (2.6, 2.6))
        axes.plot(*x.T.numpy(), ".", color="#D55E00", markersize=2)
        axes.set_title(f"{steps} steps")
        axes.set_xticks([])
        axes.set_yticks([])
    caption(
        "Three steps leave the samples between the components; forty fill them as the density (blue) does."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Three steps leave the samples between the components; forty fill them as the density (blue) does.](attachment:target.png)
#
# *Three steps leave the samples between the components; forty fill them as the density (blue) does.*

# %% [markdown]
# ## 15.8 The bound in nats (extend)
#
# Where does the squared error come from? A diffusion is a chain of latent variables $x_1, \dots, x_T$, so there is a bound as
# for a VAE:
#
# $$-\log p(x_0) \le \underbrace{\mathrm{KL}\bigl(q(x_T \mid x_0) \,\|\, \mathcal{N}(0, I)\bigr)}_{\text{prior}}
# + \sum_{t=1}^{T} \underbrace{\mathrm{KL}\bigl(q(x_{t-1} \mid x_t, x_0) \,\|\, q(x_{t-1} \mid x_t, \hat x_0)\bigr)}_{\text{step } t}
# + \text{reconstruction}.$$
#
# The chain ends at level 0 with a little noise left, so $x_0$ in the sum's first step is to be read as
# $z_0 = \alpha_0 x_0 + \sigma_0 \epsilon$, and the reconstruction is what is missing from there to the data, $-\log p(x_0 \mid z_0)$.
# The model knows no $x_0$ and puts its guess $\hat x_0$ there. Both Gaussians have the same variance, so a step costs
#
# $$\tfrac12 \, \bigl(\mathrm{SNR}_{t-1} - \mathrm{SNR}_t\bigr) \, \lVert x_0 - \hat x_0 \rVert^2, \qquad \mathrm{SNR}_t = \alpha_t^2 / \sigma_t^2 :$$
#
# a squared error, times the signal that this step uncovers. `x` is $x_0$, `(B, D)`; `predicted` `(T, B, D)` holds the guesses, made
# from $x_1$ in `predicted[0]` to $x_T$ in `predicted[-1]`; `alphas` and `sigmas` `(T + 1,)` hold the levels $0, \dots, T$, with
# $\sigma_0 > 0$. Return the prior's term, `(B,)`, and the steps' terms, `(T, B)`, in nats, summed over the features.


# %% exercise={"id": "diffusion.bound_terms", "tier": "extend", "minutes": 20, "points": 3}
# diffusion.bound_terms · extend · 20 minutes · 3 points
def bound_terms(
    x: Tensor, predicted: Tensor, alphas: Tensor, sigmas: Tensor
) -> tuple[Tensor, Tensor]:
    """The divergences of the bound in nats: of the prior (B,), and of each step (T, B)."""
    raise NotImplementedError("diffusion.bound_terms")


# %% tags=["nbval-check-output"]
check("diffusion.bound_terms", bound_terms)


# %% [markdown]
# ## 15.9 A better step along the ODE (extend)
#
# In continuous time noising is $dx = -\frac12 \beta(t) \, x \, dt + \sqrt{\beta(t)} \, dw$. A point that moves **without** noise along the
# **probability-flow ODE**
#
# $$\frac{dx}{dt} = v(x, t) = -\tfrac12 \, \beta(t) \, \bigl(x + \nabla_x \log p_t(x)\bigr)$$
#
# has the same distribution at each time. Euler's method follows the slope at the beginning of a step. **Heun's** method first
# makes Euler's step, looks at the slope at its end, and then goes from the beginning with the mean of the two slopes: the
# error of a whole walk falls with the square of the number of steps.
#
# `score(x, t)` returns $\nabla_x \log p_t(x)$, `(B, D)`, and `beta(t)` a number; `x` is `(B, D)`, the point at time `t`. Return
# the point at time `s`, `(B, D)`, after one step of Heun's method. Mostly $s < t$.


# %% exercise={"id": "diffusion.heun_step", "tier": "extend", "minutes": 15, "points": 2}
# diffusion.heun_step · extend · 15 minutes · 2 points
def heun_step(
    score: Callable[[Tensor, float], Tensor],
    x: Tensor,
    beta: Callable[[float], float],
    t: float,
    s: float,
) -> Tensor:
    """One step of Heun's method along the probability-flow ODE, from time t to time s: (B, D)."""

    raise NotImplementedError("diffusion.heun_step")


# %% tags=["nbval-check-output"]
check("diffusion.heun_step", heun_step)


# %% [markdown]
# ## 15.10 As much noise as you like (extend)
#
# On the way back one may stir. Noise spreads the points, and a stronger pull along the score brings them together again, by just
# as much: for every $\lambda \ge 0$ the equation
#
# $$dx = -\tfrac12 \, \beta(t) \, \bigl(x + (1 + \lambda^2) \, \nabla_x \log p_t(x)\bigr) \, dt + \lambda \sqrt{\beta(t)} \, d\bar w$$
#
# run **backwards** in time has the same distributions $p_t$. With $\lambda = 0$ it is the ODE, with $\lambda = 1$ the reverse SDE
# of Anderson. The Euler–Maruyama method takes both coefficients at the beginning of a step from $t$ to $s < t$; then
# $dt = s - t$ is negative, and the noise has the variance of the time that passes.
#
# `score`, `beta`, `x`, `t` and `s` are as in 15.9, `level` is $\lambda$, `noise` `(B, D)` is standard normal. Return the point at time
# `s`, `(B, D)`.


# %% exercise={"id": "diffusion.reverse_sde_step", "tier": "extend", "minutes": 15, "points": 2}
# diffusion.reverse_sde_step · extend · 15 minutes · 2 points
def reverse_sde_step(
    score: Callable[[Tensor, float], Tensor],
    x: Tensor,
    beta: Callable[[float], float],
    t: float,
    s: float,
    level: float,
    noise: Tensor,
) -> Tensor:
    """One Euler–Maruyama step back in time with noise level λ: (B, D)."""
    raise NotImplementedError("diffusion.reverse_sde_step")


# %% tags=["nbval-check-output"]
check("diffusion.reverse_sde_step", reverse_sde_step)


# %% [markdown]
# When your check has passed, call `show_noise_levels(reverse_sde_step)`.


# %%
def constant_rate(t: float) -> float:
    """A beta that does not change: α_t = exp(−5 t)."""
    return 10.0


def show_noise_levels(reverse_sde_step: Callable, steps: int = 200) -> None:
    """Draw histograms of the first coordinate that several noise levels end with, and the paths of a few points."""

    def score(x: Tensor, t: float) -> Tensor:
        alpha = math.exp(-5 * t)
        return true_score(x, alpha, math.sqrt(1 - alpha**2))

    times = (torch.linspace(1, 0.03, steps + 1) ** 2).tolist()
    line = torch.linspace(-2, 3, 300, dtype=torch.float64)
    marginal = MixtureSameFamily(Categorical(shares), Normal(centers[:, 0], widths))
    _, panels = plt.subplots(2, 3, figsize=(9, 4.6), sharey="row")
    for column, level in enumerate((0.0, 1.0, 2.0)):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
        path = [x[:6, 0]]
        for t, s in pairwise(times):
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            x = reverse_sde_step(score, x, constant_rate, t, s, level, noise)
            path.append(x[:6, 0])
        above, below = panels[:, column]
        above.plot(times, torch.stack(path).numpy(), linewidth=1)
        above.set_xscale("log")
        above.invert_xaxis()
        above.set_xlabel("t")
        above.set_title(f"λ = {level:g}")
        below.hist(x[:, 0].numpy(), bins=60, density=True, color="0.8")
        below.plot(line, marginal.log_prob(line).exp())
        below.set_xlabel("first coordinate")
    panels[0, 0].set_ylabel("paths back in time")
    caption(
        "Smooth or jagged paths, and at the end the same distribution: the curve is the data's own density."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Smooth or jagged paths, and at the end the same distribution: the curve is the data's own density.](attachment:target.png)
#
# *Smooth or jagged paths, and at the end the same distribution: the curve is the data's own density.*

# %% [markdown]
# ## 15.11 Inpainting: some pixels are given (extend)
#
# A model that was trained without any such task can fill holes. Walk back from noise as always, but **before** each call of the
# model put the known pixels in their place, with as much noise as their surroundings have at this moment:
#
# - start with $z =$ `noise[T]`;
# - for $t = T, \dots, 1$: replace the known entries of $z$ by those of $\alpha_t x + \sigma_t \, \mathtt{noise[}t\mathtt{]}$; ask for
#   $\hat x_0 =$ `denoise(z, t)`; step to level $t - 1$ as DDIM does (15.7), with the noise that $\hat x_0$ implies;
# - at the end the known entries are those of $x$ itself.
#
# `denoise(z, t)` takes `(B, D)` and a whole number, and returns a guess of the data, `(B, D)`. `x` is `(B, D)`; `known` `(D,)` is
# True for the entries of `x` that are given, the others hold numbers that mean nothing. `alphas` and `sigmas` `(T + 1,)` hold the
# levels $0, \dots, T$, with $\alpha_0 = 1$ and $\sigma_0 = 0$; `noise` is `(T + 1, B, D)`. Return the completed rows, `(B, D)`.


# %% exercise={"id": "diffusion.inpaint", "tier": "extend", "minutes": 20, "points": 3}
# diffusion.inpaint · extend · 20 minutes · 3 points
def inpaint(
    denoise: Callable[[Tensor, int], Tensor],
    x: Tensor,
    known: Tensor,
    alphas: Tensor,
    sigmas: Tensor,
    noise: Tensor,
) -> Tensor:
    """Rows whose unknown entries the model has filled in: (B, D)."""
    raise NotImplementedError("diffusion.inpaint")


# %% tags=["nbval-check-output"]
check("diffusion.inpaint", inpaint)


# %% [markdown]
# Is the result a draw from $p(\text{unknown} \mid \text{known})$? For the mixture the truth is known. When your check has passed,
# call `show_inpainting(inpaint)`: the first coordinate is given, the second one is filled in.


# %%
def show_inpainting(inpaint: Callable, given: float = -0.75, steps: int = 100) -> None:
    """Draw the filled-in second coordinates of 3,000 points beside their exact distribution."""
    levels = [cosine_level(t) for t in torch.linspace(0, 0.98, steps + 1).tolist()]
    alphas, sigmas = torch.tensor(levels, dtype=torch.float64).T

    def denoise(z: Tensor, t: int) -> Tensor:
        score = true_score(z, alphas[t].item(), sigmas[t].item())
        return (z + sigmas[t] ** 2 * score) / alphas[t]

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(steps + 1, 3000, 2, generator=generator, dtype=torch.float64)
    x = torch.tensor([given, 0.0], dtype=torch.float64).expand(3000, 2)
    filled = inpaint(denoise, x, torch.tensor([True, False]), alphas, sigmas, noise)[:, 1]
    line = torch.linspace(-3, 3, 400, dtype=torch.float64)
    points = torch.stack([torch.full_like(line, given), line], 1)
    density = noised_mixture(1.0, 0.0).log_prob(points).exp()
    density = density / torch.trapezoid(density, line)
    plt.hist(
        filled.numpy(), bins=80, range=(-3, 3), density=True, color="0.8", label="filled in"
    )
    plt.plot(line, density, label="exact, given the first coordinate")
    plt.xlabel("second coordinate")
    plt.legend()
    caption(
        "Both components are found, but in other proportions than the exact ones: replacement is an approximation."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Both components are found, but in other proportions than the exact ones: replacement is an approximation.](attachment:target.png)
#
# *Both components are found, but in other proportions than the exact ones: replacement is an approximation.*

# %% [markdown]
# ## 15.12 A divergence from a few probes (extend)
#
# How much a field $f$ spreads the points around $x$ is its divergence, the trace of its Jacobian matrix $J$. The exact trace needs
# one backward pass for each of the $D$ features. Hutchinson's estimate needs one for each probe: for a random vector $z$ with
# $\mathbb{E}[z z^\top] = I$,
#
# $$\operatorname{div} f(x) = \operatorname{tr} J = \mathbb{E}\bigl[z^\top J \, z\bigr],$$
#
# and `torch.autograd.grad(y, x, z)` computes $z^\top J$ without ever making $J$.
#
# `f` takes `(B, D)` and returns `(B, D)`, each row from the same row; `x` is `(B, D)`; `probes` `(S, B, D)` holds $S$ vectors for each row.
# Return the mean of $z^\top J z$ over the probes, `(B,)`.


# %% exercise={"id": "diffusion.divergence", "tier": "extend", "minutes": 12, "points": 2}
# diffusion.divergence · extend · 12 minutes · 2 points
def divergence(f: Callable[[Tensor], Tensor], x: Tensor, probes: Tensor) -> Tensor:
    """Hutchinson's estimate of the divergence of f at each row: (B,)."""
    raise NotImplementedError("diffusion.divergence")


# %% tags=["nbval-check-output"]
check("diffusion.divergence", divergence)


# %% [markdown]
# ## 15.13 The exact likelihood (extend)
#
# Along the ODE $dx/dt = v(x, t)$ the density of a moving point changes as the field spreads its surroundings:
#
# $$\frac{d}{dt} \log p_t(x_t) = -\operatorname{div} v(x_t, t)
# \qquad \Longrightarrow \qquad
# \log p_0(x_0) = \log \mathcal{N}(x_1; 0, I) + \int_0^1 \operatorname{div} v(x_t, t) \, dt ,$$
#
# where $x_t$ starts at the data point and runs **to the noise**, $t = 1$. Integrate both with Heun's method: in each step the same
# two places that give the mean slope of $x$ give the mean divergence. A coarse solver can claim a density that is too high, better
# than the truth: the lesson shows it.
#
# `velocity(x, t)` takes `(B, D)` and a number and returns `(B, D)`, each row from the same row; `x` is `(B, D)`; `times` `(n + 1,)` grows
# from 0 to 1, not evenly. Use exact divergences, no estimates. Return $\log p_0(x)$ in nats, `(B,)`.


# %% exercise={"id": "diffusion.log_likelihood", "tier": "extend", "minutes": 25, "points": 3}
# diffusion.log_likelihood · extend · 25 minutes · 3 points
def log_likelihood(
    velocity: Callable[[Tensor, float], Tensor], x: Tensor, times: Tensor
) -> Tensor:
    """log p_0(x) in nats, by Heun's method on the given times: (B,)."""

    raise NotImplementedError("diffusion.log_likelihood")


# %% tags=["nbval-check-output"]
check("diffusion.log_likelihood", log_likelihood)


# %% [markdown]
# When your check has passed, call `show_convergence(log_likelihood)`. The field is that of the mixture on the cosine path.


# %%
def cosine_velocity(x: Tensor, t: float) -> Tensor:
    """dx/dt of the mixture's probability-flow ODE on the cosine path: (B, 2)."""
    alpha, sigma = cosine_level(min(t, 1 - 1e-6))
    noise = -sigma * true_score(x, alpha, sigma)
    guess = (x - sigma * noise) / alpha
    return math.pi / 2 * (alpha * noise - sigma * guess)


def show_convergence(log_likelihood: Callable) -> None:
    """Draw the error of the log-likelihood of 300 points against the number of steps."""
    torch.manual_seed(0)
    x = noised_mixture(1.0, 0.0).sample((300,))
    truth = noised_mixture(1.0, 0.0).log_prob(x)
    steps = [8, 16, 32, 64, 128]
    errors, biases = [], []
    for n in steps:
        value = log_likelihood(
            cosine_velocity, x, torch.linspace(0, 1, n + 1, dtype=torch.float64) ** 1.5
        )
        errors.append((value - truth).abs().mean().item())
        biases.append((value - truth).mean().item())
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.loglog(steps, errors, "o-", label="mean error of a point")
    left.loglog(
        steps,
        [errors[-1] * (128 / n) ** 2 for n in steps],
        ":",
        color="0.5",
        label="slope −2",
    )
    left.set_xlabel("steps")
    left.set_ylabel("nats")
    left.legend()
    right.semilogx(steps, biases, "o-")
    right.axhline(0, color="0.5", linewidth=1)
    right.set_xlabel("steps")
    right.set_ylabel("too high by, nats")
    caption(
        "Left: the error falls with the square of the steps. Right: few steps claim more nats than the truth has."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Left: the error falls with the square of the steps. Right: few steps claim more nats than the truth has.](attachment:target.png)
#
# *Left: the error falls with the square of the steps. Right: few steps claim more nats than the truth has.*

# %% [markdown]
# ## 15.14 Challenge: follow the flow with ten evaluations
#
# A network's answer is what costs time, so samplers are compared by the number of **evaluations**. Here the network is perfect.
# `denoise(x, t)` takes points `(B, 2)` and a number $t$ between 0 and 1 and returns $\mathbb{E}[x_0 \mid x_t = x]$, `(B, 2)`, for a
# mixture that you do not see: it is drawn when the check runs, with unequal weights and narrow components. The path is the
# cosine path, $\alpha_t = \cos(\pi t / 2)$ and $\sigma_t = \sin(\pi t / 2)$.
#
# Your function gets this denoiser and noise `z`, `(B, 2)`, and returns where the probability-flow ODE takes each row from
# $t = 1$ to $t = 0$, `(B, 2)`. It may ask at most ten times, each time with as many rows as `z` has. The check compares with the
# true end points, found with very many steps: nine rows of ten must come closer than 0.03. Ten plain steps of DDIM leave more than
# 0.1.
#
# On this path the ODE is simple: $\frac{dx}{dt} = \frac{\pi}{2} \, (\alpha_t \hat\epsilon - \sigma_t \hat x_0)$, with the guess $\hat x_0$ and
# the noise that it implies. Two things are worth a thought. *Where* to ask: where does the path bend? And what earlier answers
# are good for: a method that remembers pays one evaluation a step. The next cell gives you a mixture to try on.


# %%
def flow_of_mixture(z: Tensor, steps: int = 1000) -> Tensor:
    """The true end points of the flow for the mixture of this notebook: (B, 2)."""
    x, times = z, (torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 1.5).tolist()
    for t, s in pairwise(times):
        middle = (t + s) / 2
        half = x + (s - t) / 2 * cosine_velocity(x, t)
        x = x + (s - t) * cosine_velocity(half, middle)
    return x


def mixture_denoiser(x: Tensor, t: float) -> Tensor:
    """E[x_0 | x_t = x] for the mixture of this notebook: (B, 2)."""
    alpha, sigma = cosine_level(min(t, 1 - 1e-6))
    return (x + sigma**2 * true_score(x, alpha, sigma)) / alpha


z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
true_end = flow_of_mixture(z)


def ten_plain_steps(denoise: Callable, z: Tensor) -> Tensor:
    """Ten equal steps along the circle, each with the guess at its beginning."""
    x, times = z, torch.linspace(1, 0, 11, dtype=torch.float64).tolist()
    for t, s in pairwise(times):
        now, then = cosine_level(t), cosine_level(s)
        guess = denoise(x, t)
        x = then[0] * guess + then[1] * (x - now[0] * guess) / now[1]
    return x


plain_end = ten_plain_steps(mixture_denoiser, z)
distance = (plain_end - true_end).norm(dim=1).quantile(0.9)
print(f"ten plain steps: nine rows of ten end closer than {distance:.3f}")


# %% exercise={"id": "diffusion.few_evaluations", "tier": "challenge", "minutes": 45, "points": 4}
# diffusion.few_evaluations · challenge · 45 minutes · 4 points
def follow_flow(denoise: Callable[[Tensor, float], Tensor], z: Tensor) -> Tensor:
    """The points at t = 0 to which the ODE takes z, (B, 2), with at most ten evaluations."""
    raise NotImplementedError("diffusion.few_evaluations")


# %%
check("diffusion.few_evaluations", follow_flow)


# %% [markdown]
# When your check has passed, call `show_end_points(follow_flow)`.


# %%
def show_end_points(follow_flow: Callable) -> None:
    """Draw how far 60 points end from where they should, by plain steps and by your method."""
    _, panels = plt.subplots(1, 2, figsize=(7.6, 3.6))
    ends = {"ten plain steps": plain_end, "your ten": follow_flow(mixture_denoiser, z)}
    for axes, (title, end) in zip(panels, ends.items(), strict=True):
        plane(axes, noised_mixture(1.0, 0.0).log_prob, (-2.2, -2.4), (2.6, 2.0))
        for here, there in zip(end[:60], true_end[:60], strict=True):
            axes.plot(*torch.stack([here, there], 1).numpy(), color="#D55E00", linewidth=1)
        axes.plot(*true_end[:60].T.numpy(), ".", color="black", markersize=3)
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
    caption(
        "Black: the true end points. Each orange line leads there from where the method ends; on the right none can be seen."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Black: the true end points. Each orange line leads there from where the method ends; on the right none can be seen.](attachment:target.png)
#
# *Black: the true end points. Each orange line leads there from where the method ends; on the right none can be seen.*
