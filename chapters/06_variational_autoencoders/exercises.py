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
# # Exercises 6: Variational autoencoders
#
# You will build the bound that a variational autoencoder climbs, find out what its encoder can and cannot say, and reach
# a number with a model of your own, on images it has not seen.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of examples, `D` of pixels, `L` of latent numbers, `S` of samples. Encoders give **log-variances**, $\log \sigma^2$: any
# number is allowed, and $\sigma = e^{\frac12 \log \sigma^2}$. Every exercise stands alone: if you are stuck, go on with the
# next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from utils.checks import check
from utils.data import binarize, load
from utils.models.mixtures import BernoulliMixture
from utils.nets import mlp
from utils.plots import caption, ellipses, images
from utils.training import Trainer


# %% [markdown]
# ## 6.1 What a code costs (core)
#
# The second term of the bound is a Kullback–Leibler divergence between Gaussians whose coordinates are independent. Then
# the divergence is a sum over coordinates, and each one is
#
# $$\mathrm{KL}(q \,\|\, p) = \tfrac12 \Bigl[ \frac{\sigma_q^2}{\sigma_p^2} + \frac{(\mu_q - \mu_p)^2}{\sigma_p^2} - 1
# + \log \sigma_p^2 - \log \sigma_q^2 \Bigr].$$
#
# With $p = \mathcal N(0, I)$ this is what the lesson needs. Write the general one: a prior may be learned, or depend on a
# label.
#
# A log-variance may be any number. The exponential of 800 is infinite, and yet two variances that are equal cancel.
#
# All four inputs are `(B, L)`; return the divergence of each example, `(B,)`, in nats.


# %% exercise={"id": "vae.gaussian_kl", "tier": "core", "minutes": 8, "points": 1}
# vae.gaussian_kl · core · 8 minutes · 1 point
def gaussian_kl(
    mean_q: Tensor, log_variance_q: Tensor, mean_p: Tensor, log_variance_p: Tensor
) -> Tensor:
    """KL(q‖p) in nats of Gaussians with independent coordinates: (B, L), four times -> (B,)."""
    raise NotImplementedError("vae.gaussian_kl")


# %% tags=["nbval-check-output"]
check("vae.gaussian_kl", gaussian_kl)


# %% [markdown]
# ## 6.2 A sample with a gradient (core)
#
# A draw $z \sim \mathcal N(\mu, \sigma^2)$ is a dead end for gradients: who asks the dice how the result would have changed?
# Draw $\varepsilon \sim \mathcal N(0, 1)$ first, and let $z$ be a function of it, with mean $\mu$ and standard deviation
# $\sigma$. Then gradients reach both. For log-variances of −1600 and 800 the variance is 0 and infinite on a computer: the
# samples and the gradients must be finite there, too.
#
# The noise is given, so that there is one right result: `mean` and `log_variance` are `(B, L)`, `noise` is `(S, B, L)`.
# Return `S` samples for each example, `(S, B, L)`.


# %% exercise={"id": "vae.reparameterise", "tier": "core", "minutes": 6, "points": 1}
# vae.reparameterise · core · 6 minutes · 1 point
def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Samples of N(mean, exp(log_variance)), differentiable in both: noise (S, B, L) -> (S, B, L)."""
    raise NotImplementedError("vae.reparameterise")


# %% tags=["nbval-check-output"]
check("vae.reparameterise", reparameterise)


# %% [markdown]
# ## 6.3 The bound (core)
#
# For black-and-white images, `decode` gives the **log-odds** $a_d$ of each pixel: it is 1 with probability
# $1 / (1 + e^{-a_d})$, independently of the others once $z$ is known. The bound is
#
# $$\mathrm{ELBO}(x) = \frac1S \sum_{s=1}^S \log p(x \mid z_s) - \mathrm{KL}\bigl(q(z \mid x) \,\|\, \mathcal N(0, I)\bigr),
# \qquad z_s = \mu + \sigma \varepsilon_s,$$
#
# with the divergence in closed form. A decoder can be very sure of a pixel: the result must stay finite for $a_d = \pm 1000$.
#
# `x` is `(B, D)`, zeros and ones; `mean` and `log_variance` are `(B, L)`; `noise` is `(S, B, L)`; `decode` maps `(..., L)` to
# `(..., D)`. Return `(B,)`, in nats. `softplus(a)` is $\log(1 + e^a)$, made safe. You may call your functions from above.


# %% exercise={"id": "vae.elbo", "tier": "core", "minutes": 20, "points": 3}
# vae.elbo · core · 20 minutes · 3 points
def elbo(
    x: Tensor,
    mean: Tensor,
    log_variance: Tensor,
    noise: Tensor,
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """A lower bound of log p(x), in nats, with S samples of z: (B, D) -> (B,)."""
    raise NotImplementedError("vae.elbo")


# %% tags=["nbval-check-output"]
check("vae.elbo", elbo)


# %% [markdown]
# ## 6.4 A tighter bound from the same samples (core)
#
# Each sample $z_s \sim q(z \mid x)$ gives a weight $w_s = p(x, z_s) \,/\, q(z_s \mid x)$, whose mean is $p(x)$. So average
# the **weights** first, and take the logarithm then:
#
# $$\log \frac1S \sum_{s=1}^S w_s .$$
#
# This, too, is at most $\log p(x)$ on average; with one sample it is an ELBO, and with many it closes in on the truth.
# Weights of images are far too small to be written down, and so are densities: stay in log space. `torch.logsumexp` is
# allowed.
#
# `log_joint` $= \log p(x_b, z_{sb})$ and `log_q` $= \log q(z_{sb} \mid x_b)$ are `(S, B)`; return `(B,)`.


# %% exercise={"id": "vae.iwae", "tier": "core", "minutes": 8, "points": 1}
# vae.iwae · core · 8 minutes · 1 point
def iwae(log_joint: Tensor, log_q: Tensor) -> Tensor:
    """log (1/S) Σₛ p(x, zₛ) / q(zₛ | x), in nats: (S, B) and (S, B) -> (B,)."""
    raise NotImplementedError("vae.iwae")


# %% tags=["nbval-check-output"]
check("vae.iwae", iwae)


# %% [markdown]
# ## 6.5 When the score has jumps (extend)
#
# Reparameterization needs the derivative of what is averaged. A score that only says how many pixels are right has none.
# The **score-function estimator** (REINFORCE) asks for values alone. With $z_s = \mu + \sigma \varepsilon_s$,
#
# $$\nabla\, \mathrm E_q[f(z)] \approx \frac1S \sum_{s=1}^S \bigl(f(z_s) - b_s\bigr)\, \nabla \log q(z_s), \qquad
# \frac{\partial \log q}{\partial \mu} = \frac{\varepsilon}{\sigma}, \qquad
# \frac{\partial \log q}{\partial \log \sigma^2} = \frac{\varepsilon^2 - 1}{2}.$$
#
# Any baseline $b_s$ that does not look at $z_s$ leaves the mean as it is, and a good one takes noise away. Take the mean of
# the **other** samples' values: $b_s = \frac1{S-1} \sum_{t \ne s} f(z_t)$.
#
# `f` maps `(S, L)` to `(S,)` and cannot be differentiated; `mean` and `log_variance` are `(L,)`, `noise` is `(S, L)`. Return
# the estimates for `mean` and for `log_variance`, each `(L,)`.


# %% exercise={"id": "vae.score_function_gradient", "tier": "extend", "minutes": 20, "points": 3}
# vae.score_function_gradient · extend · 20 minutes · 3 points
def score_function_gradient(
    f: Callable[[Tensor], Tensor], mean: Tensor, log_variance: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimates of the gradient of E_q[f(z)] in the mean and in the log-variance: two of shape (L,)."""
    raise NotImplementedError("vae.score_function_gradient")


# %% tags=["nbval-check-output"]
check("vae.score_function_gradient", score_function_gradient)


# %% [markdown]
# What does it cost not to look inside? The next cell estimates a gradient that is known, of a smooth $f$, in more and more
# dimensions. When your check has passed, call `show_noise(score_function_gradient)` and compare with the picture.


# %%
def show_noise(score_function_gradient: Callable, n_samples: int = 16) -> None:
    """Draw how far three estimates of one gradient scatter, against the number of latents."""
    generator = torch.Generator().manual_seed(0)
    sizes = [2**power for power in range(8)]
    spread: dict[str, list[Tensor]] = {
        "score function": [],
        "with baseline": [],
        "reparameterized": [],
    }
    for size in sizes:
        mean = torch.full((size,), 0.5, dtype=torch.float64)
        log_variance = torch.zeros_like(mean)
        estimates = {name: [] for name in spread}
        for _ in range(300):
            noise = torch.randn(n_samples, size, generator=generator, dtype=mean.dtype)
            z = mean + noise  # f(z) = −½ |z|², so that the gradient in the mean is −mean
            value = -0.5 * z.square().sum(-1, keepdim=True)
            with_baseline, _ = score_function_gradient(
                lambda z: -0.5 * z.square().sum(-1), mean, log_variance, noise
            )
            estimates["score function"].append((value * noise).mean(0)[0])
            estimates["with baseline"].append(with_baseline[0])
            estimates["reparameterized"].append(-z.mean(0)[0])
        for name, values in estimates.items():
            spread[name].append(torch.stack(values).std())
    for name, values in spread.items():
        plt.loglog(sizes, values, "o-", base=2, label=name)
    plt.gca().xaxis.set_major_formatter("{x:g}")
    plt.gca().yaxis.set_major_formatter("{x:g}")
    plt.axhline(0.5, color="gray", linestyle=":", label="size of the true gradient")
    plt.xlabel("number of latents")
    plt.ylabel("standard deviation")
    plt.legend()
    plt.title(f"Noise of one gradient from {n_samples} samples")
    caption("Only the reparameterized gradient stays as sharp when latents are added.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Only the reparameterized gradient stays as sharp when latents are added.](attachment:target.png)
#
# *Only the reparameterized gradient stays as sharp when latents are added.*

# %% [markdown]
# ## 6.6 A decoder whose posterior is known (extend)
#
# Encoders guess a posterior. For a linear decoder nobody has to:
#
# $$p(z) = \mathcal N(0, I), \qquad p(x \mid z) = \mathcal N(W z + b,\; \sigma^2 I) \qquad\Longrightarrow\qquad
# p(z \mid x) = \mathcal N\bigl(\Lambda^{-1} W^\top (x - b) / \sigma^2,\; \Lambda^{-1}\bigr), \qquad
# \Lambda = I + W^\top W / \sigma^2 .$$
#
# You find it by completing the square in $\log p(z) + \log p(x \mid z)$. $\Lambda$ adds up what the prior and what the pixels
# know of $z$.
#
# `x` is `(B, D)`, `weights` is $W$, `(D, L)`, `bias` is `(D,)`, `variance` is the number $\sigma^2$. Return the means
# `(B, L)` and the covariance `(L, L)`, which all examples share.


# %% exercise={"id": "vae.linear_posterior", "tier": "extend", "minutes": 12, "points": 2}
# vae.linear_posterior · extend · 12 minutes · 2 points
def linear_posterior(
    x: Tensor, weights: Tensor, bias: Tensor, variance: float
) -> tuple[Tensor, Tensor]:
    """Means (B, L) and covariance (L, L) of p(z | x), for a linear Gaussian decoder."""
    raise NotImplementedError("vae.linear_posterior")


# %% tags=["nbval-check-output"]
check("vae.linear_posterior", linear_posterior)


# %% [markdown]
# ## 6.7 What a diagonal encoder loses: derivation and code (extend)
#
# An encoder gives a mean and a variance for each latent, but no correlations. Let the true posterior be
# $p = \mathcal N(m, \Lambda^{-1})$, with precision $\Lambda$. Which $q = \mathcal N(\mu, \operatorname{diag}(s_1, \dots, s_L))$
# is the best, and how far below $\log p(x)$ does its bound stay?
#
# **Derive** both, in three steps.
#
# 1. Show that $\log p(x) - \mathrm{ELBO}(q) = \mathrm{KL}\bigl(q \,\|\, p(z \mid x)\bigr)$: put
#    $p(x, z) = p(x)\, p(z \mid x)$ into the bound.
# 2. Write down that divergence for the two Gaussians above. Which $\mu$ and which $s_l$ make it smallest?
# 3. Put them in: what is left is the gap.
#
# Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**: `precision` is $\Lambda$, `(L, L)`. Return the variances $s$ of the best diagonal $q$, `(L,)`, and the gap,
# one number, in nats. Determinants of many latents overflow: take their logarithms.


# %% exercise={"id": "vae.best_diagonal", "tier": "extend", "minutes": 30, "points": 3}
# vae.best_diagonal · extend · 30 minutes · 3 points
def best_diagonal(precision: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (L,) of the best diagonal Gaussian for N(m, precision⁻¹), and log p(x) − ELBO with it."""
    raise NotImplementedError("vae.best_diagonal")


# %% tags=["nbval-check-output"]
check("vae.best_diagonal", best_diagonal)


# %% [markdown]
# A linear decoder with turned latents makes the same images: $W R$ and $W$ have the same $W W^\top$, so the same $p(x)$. But
# not the same bound. When your check has passed, call `show_turning(best_diagonal)`.


# %%
def show_turning(best_diagonal: Callable) -> None:
    """Draw a posterior and the best diagonal q, and the gap while the latents are turned."""

    def precision_at(angle: float) -> Tensor:
        cos, sin = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
        own = torch.tensor([20.0, 1.5], dtype=torch.float64)
        return turn.T @ torch.diag(own) @ turn

    angles = torch.linspace(0, math.pi, 91).tolist()
    gaps = [float(best_diagonal(precision_at(angle))[1]) for angle in angles]
    _, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    precision = precision_at(math.pi / 5)
    covariances = [torch.linalg.inv(precision), torch.diag(best_diagonal(precision)[0])]
    ellipses(left, torch.zeros(2, 2), torch.stack(covariances))
    left.plot([], label="posterior")
    left.plot([], label="best diagonal q")
    left.set(aspect="equal", xlabel="$z_1$", ylabel="$z_2$", title="Latents turned by 36°")
    left.set(xlim=(-2.6, 2.6), ylim=(-1.8, 2.8))
    left.legend(loc="upper center")
    right.plot([math.degrees(angle) for angle in angles], gaps)
    right.set(xlabel="turned by (degrees)", ylabel="nats", title="log p(x) − ELBO")
    right.set_xticks([0, 45, 90, 135, 180])
    caption("q is too narrow along the slanted axis; at 0° and 90° it loses nothing.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![q is too narrow along the slanted axis; at 0° and 90° it loses nothing.](attachment:target.png)
#
# *q is too narrow along the slanted axis; at 0° and 90° it loses nothing.*

# %% [markdown]
# ## 6.8 Free bits (extend)
#
# Early in training the decoder does not listen, so the cheapest code is an empty one, and then there is nothing to listen
# to: the posterior collapses. A cure: give each latent $\lambda$ nats for free. What its divergence, **averaged over the
# batch**, has below $\lambda$ is not charged:
#
# $$\text{loss} = -\frac1B \sum_b r_b + \beta \sum_l \max\Bigl(\lambda,\; \frac1B \sum_b \mathrm{KL}_{bl}\Bigr).$$
#
# `reconstruction` is $r_b = \mathrm E_q[\log p(x_b \mid z)]$, `(B,)`; `kl` is `(B, L)`; $\beta$ = `beta` and $\lambda$ =
# `free_nats` are numbers. Return the loss, one number through which gradients flow.


# %% exercise={"id": "vae.free_bits_loss", "tier": "extend", "minutes": 10, "points": 2}
# vae.free_bits_loss · extend · 10 minutes · 2 points
def free_bits_loss(
    reconstruction: Tensor, kl: Tensor, beta: float, free_nats: float
) -> Tensor:
    """What training minimizes when each latent has some nats for free: (B,) and (B, L) -> one number."""
    raise NotImplementedError("vae.free_bits_loss")


# %% tags=["nbval-check-output"]
check("vae.free_bits_loss", free_bits_loss)


# %% [markdown]
# ## 6.9 Which latents are in use? (extend)
#
# A latent that collapsed says the same about every image. Call a latent **active** if the mean that the encoder gives it
# differs between examples: the variance of $\mu_l(x)$ over the data is above 0.01.
#
# That is not the same as a large divergence: an encoder that answers $\mu_l = 3$, whatever it sees, pays 4.5 nats for
# nothing.
#
# `mean` and `log_variance` are `(N, L)`, what an encoder says of `N` examples; return a boolean tensor `(L,)`, True for an
# active latent.


# %% exercise={"id": "vae.active_latents", "tier": "extend", "minutes": 8, "points": 1}
# vae.active_latents · extend · 8 minutes · 1 point
def active_latents(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Which latents carry something about x: (N, L) and (N, L) -> boolean (L,)."""
    raise NotImplementedError("vae.active_latents")


# %% tags=["nbval-check-output"]
check("vae.active_latents", active_latents)


# %% [markdown]
# ## 6.10 From one image to another (extend)
#
# In $L$ dimensions nearly all of $\mathcal N(0, I)$ lies close to the radius $\sqrt L$. The straight line between two codes
# leaves that shell and passes nearer to the center, where the prior puts hardly anything. **Spherical** interpolation turns
# from one code to the other:
#
# $$z(t) = \frac{\sin((1 - t)\,\omega)}{\sin \omega}\, a + \frac{\sin(t\,\omega)}{\sin \omega}\, b, \qquad
# \cos \omega = \frac{a \cdot b}{|a|\,|b|}, \qquad 0 \le t \le 1.$$
#
# Codes in one direction ($\omega = 0$) give 0/0: there, take the straight line.
#
# `start` and `end` are `(B, L)`: `B` pairs $a$, $b$, each with its own angle. Return `(steps, B, L)`, with `steps` values of
# $t$ in equal distance, the first 0 and the last 1.


# %% exercise={"id": "vae.interpolate", "tier": "extend", "minutes": 18, "points": 2}
# vae.interpolate · extend · 18 minutes · 2 points
def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Spherical interpolation between rows: (B, L) and (B, L) -> (steps, B, L)."""
    raise NotImplementedError("vae.interpolate")


# %% tags=["nbval-check-output"]
check("vae.interpolate", interpolate)


# %% [markdown]
# When your check has passed, call `show_radius(interpolate)`: how far from the center is the way, and how far are codes that
# the prior draws?


# %%
def show_radius(interpolate: Callable, n: int = 1000, steps: int = 21) -> None:
    """Draw the distance from the center along straight and spherical ways, beside that of the prior's samples."""
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, steps, dtype=torch.float64)
    _, panels = plt.subplots(1, 3, figsize=(9, 3), sharex=True)
    for size, panel in zip((2, 20, 200), panels, strict=True):
        a, b = torch.randn(2, n, size, generator=generator, dtype=torch.float64)
        ways = {
            "straight": torch.lerp(a, b, t[:, None, None]),
            "spherical": interpolate(a, b, steps),
        }
        for name, way in ways.items():
            panel.plot(t, way.norm(dim=-1).median(dim=1).values, label=name)
        low, high = (a.norm(dim=-1).quantile(q).item() for q in (0.05, 0.95))
        panel.axhspan(low, high, color="gray", alpha=0.25, label="90 % of the prior")
        panel.set(xlabel="t", title=f"{size} latents", ylim=(0, 1.5 * high))
    panels[0].set_ylabel("distance from the center")
    panels[2].legend(loc="lower center")
    caption(
        "The more latents, the farther the straight way leaves the prior's shell (medians)."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![The more latents, the farther the straight way leaves the prior's shell (medians).](attachment:target.png)
#
# *The more latents, the farther the straight way leaves the prior's shell (medians).*

# %% [markdown]
# ## 6.11 Challenge: reach −22.8 nats on images you have not seen
#
# Train a variational autoencoder on 8 × 8 digits. Your function gets the **gray** images `x_train`, `(1297, 64)`, values from
# 0 to 1 in `float32`; draw black-and-white ones from them anew for every batch (`binarize`), and they never run out. It returns
# two functions:
#
# - `encode(x)`: zeros and ones `(B, 64)` to a mean and a log-variance, each `(B, L)`;
# - `decode(z)`: `(B, L)` to the log-odds of the pixels, `(B, 64)`.
#
# The check turns and shifts each digit a little, so that none lies in `data/`, and computes the bound of 6.4 with 100
# samples, on 500 digits that you have not seen, binarized anew. It is a bound as long as `decode` is a function of the code
# alone: so images and codes come mixed, some of them twice, and the decoder must also do well without the encoder, on codes
# drawn from the prior before `encode` saw a new image. Up to 60 seconds; `mlp` and `Trainer` are imported.
#
# The next cell shows what to compare with. A mixture of chapter 4 that is fitted to one binarization stays below the goal. Given
# fresh binarizations, too, a large one goes beyond it: on images so few and so small a simple model is hard to beat.

# %%
digits = load("digits").flat()
binary = digits.binarized()
generator = torch.Generator().manual_seed(0)
fresh = torch.cat([binarize(digits.x_train, generator) for _ in range(10)])
rivals = {
    "independent pixels": (1, binary.x_train),
    "mixture of 30": (30, binary.x_train),
    "mixture of 80, ten binarizations": (80, fresh),
}
for name, (n_components, x) in rivals.items():
    rival = BernoulliMixture(n_components, max_iter=50, alpha=0.5, generator=generator)
    reached = rival.fit(x).log_prob(binary.x_test).mean()
    print(f"{name:32s} {reached:.2f} nats per new image")

# %% jupyter={"source_hidden": true}
images(binary.x_train[:24].reshape(-1, 8, 8), columns=12, title="Binarized digits")
caption("Each pixel is black with a probability that is its gray value.")


# %% exercise={"id": "vae.train", "tier": "challenge", "minutes": 45, "points": 4}
# vae.train · challenge · 45 minutes · 4 points
def train_vae(x_train: Tensor) -> tuple[Callable, Callable]:
    """Train on gray images (N, 64); returns encode: x -> (mean, log-variance), and decode: z -> log-odds."""
    raise NotImplementedError("vae.train")


# %%
check("vae.train", train_vae)


# %% [markdown]
# The target: what the code keeps of a new digit, a way through the codes, and digits that nobody wrote. When your check has
# passed, call `show_digits(train_vae, interpolate)`.


# %%
def show_digits(train_vae: Callable, interpolate: Callable) -> None:
    """Draw reconstructions of new digits, ways between their codes, and samples."""
    encode, decode = train_vae(digits.x_train)
    generator = torch.Generator().manual_seed(0)

    def draw(z: Tensor) -> Tensor:
        return decode(z.float()).sigmoid().detach().reshape(-1, 8, 8)

    x = binary.x_test[:20]
    codes = encode(x)[0].detach()
    pairs = torch.stack([x.reshape(-1, 8, 8), draw(codes)]).transpose(0, 1)
    way = interpolate(codes[:5], codes[5:10], 8).transpose(0, 1).flatten(0, 1)
    dreams = draw(torch.randn(40, codes.shape[1], generator=generator))
    _, panels = plt.subplots(1, 3, figsize=(9.4, 2.9))
    images(
        pairs.flatten(0, 1), columns=8, title="new digit, reconstruction", axes=panels[0]
    )
    images(draw(way), columns=8, title="from one digit to another", axes=panels[1])
    images(dreams, columns=8, title="samples", axes=panels[2])
    caption(
        "Left: pairs. Middle: each row turns one code into another. Right: decoded noise."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Left: pairs. Middle: each row turns one code into another. Right: decoded noise.](attachment:target.png)
#
# *Left: pairs. Middle: each row turns one code into another. Right: decoded noise.*
