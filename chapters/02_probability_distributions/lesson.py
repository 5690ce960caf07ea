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
# # 2 · Probability distributions
#
# **Write down what is likely, draw from it, fit it, and count the bits.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 90 minutes without the *optional* parts | under a minute, two cores | Python, a little calculus | compute a log-likelihood safely; draw from a distribution in five ways and test the draws; fit by formula and by gradient; say what a KL divergence punishes; turn a probability into a file size; give an error bar and know when not to trust it |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# Every model of this course is a probability distribution: over points, images, texts or molecules. What one can *do* with a distribution is always the same: ask how likely something is, draw from it, fit it, compare it. This chapter does so where the truth is known to the last digit.

# %% tags=["parameters"]
seed = 2
draws = 20000
mixture_components = 100
mixture_steps = 8
coded_images = 100
repeats = 2000

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import scipy.stats
import torch
from torch import Tensor

from utils.data import load
from utils.plots import PALETTE, caption, images, plane
from utils.results import record, record_table

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · One idea, four pictures
#
# A distribution says where the probability, 1 in all, is: in lumps on separate values, or smeared over a line or a plane. The black marks are draws from the same distribution: they fall where the probability is.

# %%
coin = torch.tensor(0.3)
letters, letter_probs = "abcde", torch.tensor([0.35, 0.1, 0.25, 0.05, 0.25])
bump_weights = torch.tensor([0.6, 0.4])
bump_means, bump_stds = torch.tensor([-2.0, 2.0]), torch.tensor([0.5, 0.8])
plane_mean = torch.tensor([0.5, -0.5])
plane_covariance = torch.tensor([[1.5, 1.0], [1.0, 1.2]])

bumps = torch.distributions.MixtureSameFamily(
    torch.distributions.Categorical(bump_weights),
    torch.distributions.Normal(bump_means, bump_stds),
)
cloud = torch.distributions.MultivariateNormal(plane_mean, plane_covariance)
torch.manual_seed(seed)  # torch.distributions draws from torch's own random state

line = torch.linspace(-6, 6, 1201)
from_bumps, from_cloud = bumps.sample((150,)), cloud.sample((150,))

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.5, 2.6))
axes[0].bar(["0", "1"], [1 - coin, coin], color=PALETTE[0])
axes[0].set(title="Bernoulli", ylabel="probability")
axes[1].bar(list(letters), letter_probs, color=PALETTE[0])
axes[1].set(title="categorical")
axes[2].fill_between(line, bumps.log_prob(line).exp(), color=PALETTE[0], alpha=0.4)
axes[2].plot(from_bumps, torch.full((150,), -0.02), "|", color="0.3")
axes[2].set(title="two normals, mixed", ylabel="density")
plane(axes[3], cloud.log_prob, (-4, -4), (5, 3))
axes[3].plot(*from_cloud.T, ".", color="0.3", markersize=3)
axes[3].set(title="normal in the plane")
caption(
    "On the left probability lies in lumps, on the right it is spread out. Draws (black) "
    "crowd where the density is high."
)

# %% [markdown]
# ## 2 · The mathematics
#
# ### Five distributions
#
# A **probability mass function** $p(x)$ gives each separate value its probability; the values sum to one. A **probability density** $p(x)$ spreads probability over real numbers; its *integral* is one. We write both as $p$, and almost always work with $\log p$.
#
# | name | values | $\log p(x)$ | parameters |
# |---|---|---|---|
# | Bernoulli | 0, 1 | $x \log p + (1 - x) \log (1 - p)$ | $p$: chance of a 1 |
# | categorical | $0, \dots, K - 1$ | $\log \pi_x$ | $\pi_k$: chance of value k |
# | normal (Gaussian) | real numbers | $-\tfrac12 \big(\tfrac{x - \mu}{\sigma}\big)^2 - \log \sigma - \tfrac12 \log 2\pi$ | mean μ, standard deviation σ |
# | multivariate normal | vectors of D numbers | $-\tfrac12 (x - \mu)^\top \Sigma^{-1} (x - \mu) - \tfrac12 \log \det \Sigma - \tfrac D2 \log 2\pi$ | mean μ, covariance matrix Σ |
# | mixture | as its parts | $\log \sum_k \pi_k \, p_k(x)$ | weights $\pi_k$, and the parts' own |
#
# ### The words around them
#
# - **Likelihood**: the probability of the data, read as a function of the parameters θ. For independent examples $x_1, \dots, x_N$ it is a product, so its logarithm is a sum: $\log p_\theta(\text{data}) = \sum_i \log p_\theta(x_i)$.
# - **Maximum likelihood**: choose the θ that makes the data most likely.
# - **Expectation**: the average of $f(x)$ when $x$ is drawn from $p$, written $\mathbb E_p[f(x)]$. It is a sum or an integral, $\int p(x) f(x)\,dx$, and the mean over many draws comes close to it.
# - **Entropy** $H(p) = -\mathbb E_p[\log p(x)]$: the mean negative log-likelihood for someone who knows $p$. (Think of $-\log p(x)$ as how surprising $x$ is: a certain event has 0, a rare one has much.)
# - **Cross-entropy** $H(p, q) = -\mathbb E_p[\log q(x)]$: the same for someone who believes $q$ while $p$ is true.
# - **Kullback–Leibler divergence**: what the wrong belief costs on average, $\mathrm{KL}(p \,\|\, q) = H(p, q) - H(p) = \mathbb E_p\big[\log \tfrac{p(x)}{q(x)}\big] \ge 0$. It is 0 only if $p = q$.
#
# With the natural logarithm all these are counted in **nats**; with the logarithm to base 2, in **bits**. One bit is $\log 2 \approx 0.69$ nats.
#
# ### What a density is not
#
# A density is not a probability. It may be greater than 1, and it has a **unit**: probability *per meter*, per second, per gray level. Only an area under it is a probability. Below are heights of grown-ups in a made-up town, in meters and in centimeters. The hatched area, the chance to be between 1.65 m and 1.75 m tall, is the same. The height of the curve is not.

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(8, 2.7))
for ax, scale, unit in zip(axes, (1, 100), ("m", "cm"), strict=True):
    town = scipy.stats.norm(1.7 * scale, 0.07 * scale)
    x = np.linspace(1.45, 1.95, 300) * scale
    between = np.linspace(1.65, 1.75, 100) * scale
    ax.plot(x, town.pdf(x))
    ax.fill_between(between, town.pdf(between), alpha=0.3, hatch="//")
    area = town.cdf(1.75 * scale) - town.cdf(1.65 * scale)
    ax.set(xlabel=f"height in {unit}", ylabel=f"density per {unit}", ylim=0)
    ax.set_title(f"area {area:.4f}, top {town.pdf(1.7 * scale):.3g} per {unit}")
caption(
    "The same people, two units. The area stays, the density changes by a factor of 100."
)

# %% [markdown]
# In D dimensions the factor is $100^D$. So a log-density means nothing without its unit, and the log-densities of data scaled in different ways must never be compared. Probabilities of whole pixels have no such trouble: this course counts those wherever it can.

# %% [markdown]
# ## 3 · From scratch: five log-probabilities
#
# The table above, line by line. The multivariate normal uses a **Cholesky factor**: a lower triangular matrix $L$ with $L L^\top = \Sigma$. Dividing by σ becomes solving with $L$, and $\log \sigma$ becomes the sum of the logarithms on the diagonal of $L$.


# %%
def bernoulli_log_prob(x: Tensor, p: Tensor) -> Tensor:
    return x * p.log() + (1 - x) * (1 - p).log()


def categorical_log_prob(x: Tensor, probs: Tensor) -> Tensor:
    return probs.log()[x]


def normal_log_prob(x: Tensor, mean, std) -> Tensor:
    z, std = (x - mean) / std, torch.as_tensor(std)
    return -0.5 * z.square() - std.log() - 0.5 * math.log(2 * math.pi)


def plane_log_prob(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """log N(x; μ, Σ) of points (B, D): (B,)."""
    factor = torch.linalg.cholesky(covariance)  # Σ = L Lᵀ
    z = torch.linalg.solve_triangular(
        factor, (x - mean).T, upper=False
    )  # L⁻¹ (x − μ), (D, B)
    log_det = factor.diagonal().log().sum()
    return -0.5 * z.square().sum(0) - log_det - 0.5 * len(mean) * math.log(2 * math.pi)


def mixture_log_prob(x: Tensor, weights: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    parts = weights.log() + normal_log_prob(
        x[:, None], means, stds
    )  # log π_k p_k(x), (B, K)
    return parts.logsumexp(1)  # log Σ_k exp(…), without leaving the range of numbers


# %% [markdown]
# ### Checks against known answers
#
# Three judges: `scipy.stats`, `torch.distributions`, and the law that all probability together is 1. This notebook stops if one of them disagrees.

# %%
ones, few = torch.tensor([0.0, 1.0]), torch.randn(50, generator=generator) * 3
pairs = torch.randn(50, 2, generator=generator) * 2
symbols = torch.arange(5)
grid_line = torch.linspace(-12, 12, 801)
grid = torch.cartesian_prod(grid_line, grid_line)
step = (grid_line[1] - grid_line[0]).item()
plane_args = (plane_mean, plane_covariance)
bump_args = (bump_weights, bump_means, bump_stds)
bump_parts = scipy.stats.norm(bump_means, bump_stds).pdf(few[:, None])
td = torch.distributions
references = {  # name: ours, scipy's, torch's, all probability together
    "Bernoulli": (
        bernoulli_log_prob(ones, coin),
        scipy.stats.bernoulli(coin).logpmf(ones),
        td.Bernoulli(coin).log_prob(ones),
        bernoulli_log_prob(ones, coin).exp().sum(),
    ),
    "categorical": (
        categorical_log_prob(symbols, letter_probs),
        scipy.stats.multinomial(1, letter_probs).logpmf(np.eye(5)),
        td.Categorical(letter_probs).log_prob(symbols),
        categorical_log_prob(symbols, letter_probs).exp().sum(),
    ),
    "normal": (
        normal_log_prob(few, 0.5, 1.3),
        scipy.stats.norm(0.5, 1.3).logpdf(few),
        td.Normal(0.5, 1.3).log_prob(few),
        normal_log_prob(grid_line, 0.5, 1.3).exp().sum() * step,
    ),
    "multivariate normal": (
        plane_log_prob(pairs, *plane_args),
        scipy.stats.multivariate_normal(*plane_args).logpdf(pairs),
        cloud.log_prob(pairs),
        plane_log_prob(grid, *plane_args).exp().sum() * step**2,
    ),
    "mixture": (
        mixture_log_prob(few, *bump_args),
        np.log(bump_parts @ bump_weights.numpy()),
        bumps.log_prob(few),
        mixture_log_prob(grid_line, *bump_args).exp().sum() * step,
    ),
}
log_prob_error = integral_error = 0.0
for name, (ours, by_scipy, by_torch, total) in references.items():
    errors = [
        (ours - torch.as_tensor(other)).abs().max().item() for other in (by_scipy, by_torch)
    ]
    print(
        f"{name:20s} to scipy {errors[0]:.1e}, to torch {errors[1]:.1e}, total {total:.12f}"
    )
    log_prob_error = max(log_prob_error, *errors)
    integral_error = max(integral_error, abs(total.item() - 1))
with record_table():
    record("log_prob_error", log_prob_error, unit="nats", kind="exact")
    record("integral_error", integral_error, kind="exact")
assert log_prob_error < 1e-6 and integral_error < 1e-9

# %% [markdown]
# ## 4 · Drawing
#
# A computer gives us one thing: a number $u$, uniform between 0 and 1. Everything else is made from it.
#
# - **Inverse of the cumulative distribution function (CDF).** The CDF $F(x)$ is the probability to be at most $x$; it climbs from 0 to 1. Throw $u$ at the height axis, go right until you hit the curve, read off $x$. It works for lumps, too: there the curve is a staircase.
# - **Box–Muller.** The normal has no simple inverse. But *two* normals are simple: in the plane their angle is uniform, and half the squared radius has the exponential distribution, which we can invert.
# - **Cholesky.** From independent normals $z$ to a vector with covariance Σ: $x = \mu + L z$.
# - **Ancestral.** For a story in steps, tell the story: first the component, then the value given the component.
# - **Rejection.** Draw from something simpler, $q$, that lies above the target when it is scaled: $p(x) \le M q(x)$. Keep the draw with probability $p(x) / (M q(x))$. On average one draw in $M$ is kept.


# %%
def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)


def draw_exponential(n: int) -> Tensor:
    return -torch.log1p(-uniform(n))  # F(x) = 1 − exp(−x), solved for x


def draw_categorical(n: int, probs: Tensor) -> Tensor:
    stairs = probs.cumsum(0)
    return torch.searchsorted(stairs, uniform(n) * stairs[-1], right=True)


def draw_normal_pairs(n: int) -> Tensor:
    radius = (2 * draw_exponential(n)).sqrt()
    angle = 2 * math.pi * uniform(n)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)  # (n, 2)


def draw_plane(n: int, mean: Tensor, covariance: Tensor) -> Tensor:
    return mean + draw_normal_pairs(n) @ torch.linalg.cholesky(covariance).T


def draw_mixture(n: int, weights: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    k = draw_categorical(n, weights)  # first who,
    return means[k] + stds[k] * draw_normal_pairs(n)[:, 0]  # then what


def draw_half_normal(n: int) -> tuple[Tensor, Tensor]:
    """|z| of a normal z, by rejection from an exponential: the n proposals, and which are kept."""
    x = draw_exponential(n)
    # p(x) = √(2/π) exp(−x²/2) and q(x) = exp(−x), so p/q is largest at x = 1.
    keep = uniform(n) < torch.exp(-0.5 * (x - 1).square())  # p(x) / (M q(x))
    return x, keep


# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.5, 2.9))
x = torch.linspace(0, 5, 200)
axes[0].plot(x, 1 - torch.exp(-x), color=PALETTE[0])
for u in torch.linspace(0.05, 0.95, 10):
    at = -torch.log1p(-u)
    axes[0].plot([0, at, at], [u, u, 0], color="0.6", linewidth=0.8)
    axes[0].plot(at, 0, "o", color=PALETTE[4], markersize=4, clip_on=False)
axes[0].set(title="inverse CDF", xlabel="x", ylabel="u", xlim=(0, 5), ylim=(0, 1))

z = draw_normal_pairs(1500)
angle, size = torch.atan2(z[:, 1], z[:, 0]), z.norm(dim=1)
axes[1].scatter(*z.T, c=angle, cmap="twilight", s=4)
axes[1].set(title="Box–Muller", aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
moved = plane_mean + z @ torch.linalg.cholesky(plane_covariance).T
axes[2].scatter(*moved.T, c=angle, cmap="twilight", s=4)
axes[2].set(title="Cholesky", aspect="equal", xlim=(-4.5, 5.5), ylim=(-5.5, 4.5))

bound = math.sqrt(2 * math.e / math.pi)  # M
proposals = draw_exponential(600)
heights = uniform(600) * bound * torch.exp(-proposals)
target = math.sqrt(2 / math.pi) * torch.exp(-0.5 * proposals.square())
kept = heights < target
axes[3].plot(proposals[kept], heights[kept], ".", color=PALETTE[0], markersize=3)
axes[3].plot(proposals[~kept], heights[~kept], ".", color="0.7", markersize=3)
axes[3].plot(x, bound * torch.exp(-x), color="0.5")
axes[3].plot(x, math.sqrt(2 / math.pi) * torch.exp(-0.5 * x.square()), color=PALETTE[4])
axes[3].set(title="rejection", xlim=(0, 4), xlabel="x")
caption(
    "From left: heights u become places x; an angle (color) and a radius become two "
    "normals; the same points, sheared by a Cholesky factor; of the proposals, those below "
    "the red curve are kept."
)

# %% [markdown]
# ### Checks against known answers for draws
#
# Draws are random, so no single one can be wrong. A **test** asks: if the sampler were right, how rare would a deviation as large as this be? That share is the **p-value**. The Kolmogorov–Smirnov test takes the largest gap between the share of draws below $x$ and the true CDF, the chi-square test compares counts with expected counts. We demand a p-value above one in a million, so a right sampler practically never fails, whatever the seed.
#
# Box and Muller's two numbers must also be **independent**. Their squared radius $z_1^2 + z_2^2$ then has the chi-square distribution with two degrees of freedom. But that alone proves little: it says nothing about the *angle*. Independent standard normals look the same from every side, so the angle must be uniform. We test both.
#
# Would a wrong sampler be caught? Three **wrong** samplers take the same tests: Box–Muller with a forgotten 2, Cholesky with the factor transposed, and Box–Muller whose two numbers always get the *same sign*. Each number of that last pair is perfectly normal and the radius is right, yet their correlation is $2/\pi$. Only the angle gives them away.

# %%


def two_bumps_cdf(x):
    return scipy.stats.norm(bump_means, bump_stds).cdf(x[:, None]) @ bump_weights.numpy()


direction = torch.tensor([1.0, -1.0])  # any projection of a normal vector is normal
along = scipy.stats.norm(
    (direction @ plane_mean).item(),
    (direction @ plane_covariance @ direction).sqrt().item(),
)
proposals, keep = draw_half_normal(draws)
half_normal = proposals[keep]
noise = draw_normal_pairs(draws)
points = draw_plane(draws, *plane_args)
values = {
    "exponential": (draw_exponential(draws), scipy.stats.expon.cdf),
    "Box-Muller": (noise[:, 0], scipy.stats.norm.cdf),
    "Cholesky": (points @ direction, along.cdf),
    "ancestral": (draw_mixture(draws, *bump_args), two_bumps_cdf),
    "rejection": (half_normal, scipy.stats.halfnorm.cdf),
}
p_values = {
    name: scipy.stats.kstest(x.numpy(), cdf).pvalue for name, (x, cdf) in values.items()
}
counts = torch.bincount(draw_categorical(draws, letter_probs), minlength=5)
p_values["categorical"] = scipy.stats.chisquare(counts, draws * letter_probs).pvalue


def radius_and_angle(pairs: Tensor) -> tuple[float, float]:
    """p-values: is the squared radius of each pair chi-square, and is its angle uniform?"""
    angle = torch.atan2(pairs[:, 1], pairs[:, 0]) / (2 * math.pi) + 0.5  # in [0, 1]
    radius = scipy.stats.kstest(pairs.square().sum(1).numpy(), scipy.stats.chi2(2).cdf)
    return radius.pvalue, scipy.stats.kstest(angle.numpy(), scipy.stats.uniform.cdf).pvalue


p_values["pair: radius"], p_values["pair: angle"] = radius_and_angle(noise)

same_sign = draw_normal_pairs(draws).abs() * (2.0 * (uniform(draws, 1) < 0.5) - 1)
same_radius, same_angle = radius_and_angle(same_sign)
same_normal = scipy.stats.kstest(same_sign[:, 1].numpy(), scipy.stats.norm.cdf).pvalue
correlation = torch.corrcoef(same_sign.T)[0, 1].item()
print(f"same sign: correlation {correlation:.2f}, 2/π = {2 / math.pi:.2f}")
print(f"same sign: p-value as a normal {same_normal:.2g}, of the radius {same_radius:.2g}")
assert min(same_normal, same_radius) > 1e-6  # what does not look at the angle lets it pass

wrong_noise = draw_normal_pairs(draws) / math.sqrt(2)
wrong_points = plane_mean + draw_normal_pairs(draws) @ torch.linalg.cholesky(
    plane_covariance
)
wrong = {
    "without the 2": scipy.stats.kstest(
        wrong_noise[:, 0].numpy(), scipy.stats.norm.cdf
    ).pvalue,
    "transposed": scipy.stats.kstest((wrong_points @ direction).numpy(), along.cdf).pvalue,
    "same sign: angle": same_angle,
}
for name, value in (p_values | wrong).items():
    print(
        f"{name:16s} p-value {value:.2g}{'   <- wrong on purpose' if name in wrong else ''}"
    )
assert min(p_values.values()) > 1e-6
assert max(wrong.values()) < 1e-6

acceptance, spread = (
    keep.double().mean().item(),
    keep.double().std().item() / math.sqrt(draws),
)
record(
    "acceptance",
    acceptance,
    kind="estimate",
    low=acceptance - 1.96 * spread,
    high=acceptance + 1.96 * spread,
)
print(f"acceptance in theory: 1 / M = {1 / bound:.4f}")
assert abs(acceptance - 1 / bound) < 5 * spread

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.5, 2.5), sharey=False)
truths = {
    "exponential": scipy.stats.expon.pdf,
    "Cholesky": along.pdf,
    "ancestral": lambda x: mixture_log_prob(torch.as_tensor(x), *bump_args).exp(),
    "rejection": scipy.stats.halfnorm.pdf,
}
for ax, (name, density) in zip(axes, truths.items(), strict=True):
    sample = values[name][0].numpy()
    ax.hist(sample, bins=80, density=True, color="0.8")
    x = np.linspace(sample.min(), sample.max(), 300)
    ax.plot(x, density(x), color=PALETTE[4])
    ax.set(title=name, yticks=[])
caption(
    "Draws (gray) and true densities (red). For Cholesky: the projection on one direction."
)

# %% [markdown]
# ## 5 · Fitting: maximum likelihood
#
# Now the other way: the draws are given, the parameters are wanted. For our simple distributions, setting the derivative of $\sum_i \log p_\theta(x_i)$ to zero gives a formula:
#
# - Bernoulli and categorical: **count**. $\hat\pi_k$ is the share of examples with value $k$.
# - normal: $\hat\mu$ is the mean, $\hat\sigma^2$ the mean squared distance to it (divided by $N$, not $N - 1$).
# - multivariate normal: the mean vector and the covariance matrix of the data.
#
# Most models of this course have no formula. They are fitted by **gradient ascent**: compute the derivative, take a small step uphill, repeat. Here one way checks the other. Constraints are handled by a change of parameters: σ must be positive, so we climb in $\log \sigma$; probabilities must sum to one, so we climb in the numbers $a_k$ of a softmax, $\pi_k = e^{a_k} / \sum_j e^{a_j}$.
#
# The data: how much **ink** a handwritten digit takes (the sum of its gray values, in hundreds of full pixels) and which digit it is, for the 60,000 training images of MNIST.

# %%
mnist = load("mnist")
ink = mnist.x_train.flatten(1).double().sum(1) / 100  # (60000,)
ink_test = mnist.x_test.flatten(1).double().sum(1) / 100


def climb(log_likelihood, start: Tensor, rate: float, steps: int) -> Tensor:
    """Gradient ascent; all parameters on the way, (steps + 1, P)."""
    path = [start]
    for _ in range(steps):
        theta = path[-1].detach().requires_grad_()
        [gradient] = torch.autograd.grad(log_likelihood(theta), theta)
        path.append((theta + rate * gradient).detach())
    return torch.stack(path)


def mean_normal(theta: Tensor) -> Tensor:
    return normal_log_prob(ink, theta[0], theta[1].exp()).mean()


shares = torch.bincount(mnist.y_train, minlength=10) / len(mnist.y_train)
by_formula = {
    "normal": torch.stack([ink.mean(), ink.std(correction=0)]),
    "categorical": shares,
}
normal_path = climb(mean_normal, torch.zeros(2), rate=0.1, steps=300)
softmax_path = climb(
    lambda a: (shares * a.log_softmax(0)).sum(), torch.zeros(10), rate=5.0, steps=200
)
by_gradient = {
    "normal": torch.stack([normal_path[-1, 0], normal_path[-1, 1].exp()]),
    "categorical": softmax_path[-1].softmax(0),
}
gap = max((by_formula[name] - by_gradient[name]).abs().max().item() for name in by_formula)
record("formula_minus_gradient", gap, kind="exact")
assert gap < 1e-9
by_scipy = scipy.stats.norm.fit(ink.numpy())
print(f"scipy's fit {by_scipy[0]:.12f}, {by_scipy[1]:.12f}")
print(f"the formula {by_formula['normal'][0]:.12f}, {by_formula['normal'][1]:.12f}")
print(f"by gradient {by_gradient['normal'][0]:.12f}, {by_gradient['normal'][1]:.12f}")
assert np.allclose(by_scipy, by_formula["normal"], rtol=1e-10)

# %% [markdown]
# For the multivariate normal we ask autograd whether the formula is a top: ink in the upper half of the image and ink in the lower half, and the gradient with respect to mean *and* covariance must be zero there.

# %%
halves = mnist.x_train.double().reshape(-1, 2, 14 * 28).sum(2) / 100  # (B, 2)
mean = halves.mean(0).requires_grad_()
covariance = halves.T.cov(correction=0).requires_grad_()
gradients = torch.autograd.grad(
    plane_log_prob(halves, mean, covariance).mean(), (mean, covariance)
)
print(
    f"largest derivative at the formula: {max(g.abs().max().item() for g in gradients):.1e}"
)
assert max(g.abs().max() for g in gradients) < 1e-9

# %% [markdown]
# Left: the log-likelihood of the ink over its two parameters, with the path of the climb. Right: a cut through it along μ, for few and for many images. More data make the top sharper: its width, which says how exactly the data determine μ, shrinks like $1/\sqrt N$.

# %%
mus, log_sigmas = torch.linspace(-0.1, 2, 421), torch.linspace(-1.6, 0.4, 80)
second = ink.square().mean()  # Σ log p needs only the mean of x and of x²
surface = (
    -0.5 * (second - 2 * mus * ink.mean() + mus**2) / torch.exp(2 * log_sigmas[:, None])
    - log_sigmas[:, None]
    - 0.5 * math.log(2 * math.pi)
)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.1))
left.contour(
    mus,
    log_sigmas.exp(),
    surface.max() - surface,
    levels=[0.03, 0.1, 0.3, 1, 3, 10],
    colors="0.65",
    linewidths=1,
)
left.plot(normal_path[:, 0], normal_path[:, 1].exp(), "o-", color=PALETTE[4], markersize=3)
left.plot(*by_formula["normal"], "*", color="black", markersize=12)
left.set(
    xlabel="μ", ylabel="σ", yscale="log", yticks=[0.2, 0.5, 1], yticklabels=[0.2, 0.5, 1]
)
left.minorticks_off()
sigma = by_formula["normal"][1]
for n, style in zip((10, 100, 1000), ("-", "--", ":"), strict=True):
    some = ink[:n]
    cut = normal_log_prob(some[:, None], mus, sigma).sum(0)
    right.plot(
        mus,
        (cut - normal_log_prob(some, some.mean(), sigma).sum()).exp(),
        style,
        label=f"N = {n}",
    )
right.set(xlabel="μ", ylabel="likelihood / its maximum", xlim=(0.7, 1.4))
right.legend()
caption(
    "Left: lines of equal likelihood, and the climb from (0, 1) to the star, which the "
    "formula gives. Right: the more images, the sharper the top."
)

# %% [markdown]
# ## 6 · How far apart are two distributions?
#
# The KL divergence measures it, and it is not symmetric: $\mathrm{KL}(p\|q)$ averages over what $p$ produces, $\mathrm{KL}(q\|p)$ over what $q$ produces. Between two normals there is a formula:
#
# $$\mathrm{KL}\big(\mathcal N(\mu_1, \sigma_1^2) \,\|\, \mathcal N(\mu_2, \sigma_2^2)\big) = \log \frac{\sigma_2}{\sigma_1} + \frac{\sigma_1^2 + (\mu_1 - \mu_2)^2}{2 \sigma_2^2} - \frac12.$$
#
# Four ways to the same number: this formula, `torch.distributions`, an integral on a grid, and the mean of $\log p(x) - \log q(x)$ over draws from $p$ (**Monte Carlo**). The first two know a few pairs of families, and the grid ends at two or three dimensions. The last way works in any dimension, and only it has an error bar; it needs draws from $p$ and *both* log-densities. Where one of these is missing, as in the adversarial networks of chapter 8, no way to the divergence is left, and samples must be compared otherwise.

# %%
(mean_p, std_p), (mean_q, std_q) = (0.0, 1.0), (1.0, 1.5)
formula = (
    math.log(std_q / std_p) + (std_p**2 + (mean_p - mean_q) ** 2) / (2 * std_q**2) - 0.5
)
by_torch = td.kl_divergence(td.Normal(mean_p, std_p), td.Normal(mean_q, std_q)).item()
log_p, log_q = (
    normal_log_prob(grid_line, mean_p, std_p),
    normal_log_prob(grid_line, mean_q, std_q),
)
by_integral = (log_p.exp() * (log_p - log_q)).sum().item() * step
x = draw_normal_pairs(draws)[:, 0]
ratios = normal_log_prob(x, mean_p, std_p) - normal_log_prob(x, mean_q, std_q)
monte_carlo, error = ratios.mean().item(), ratios.std().item() / math.sqrt(draws)
backwards = td.kl_divergence(td.Normal(mean_q, std_q), td.Normal(mean_p, std_p)).item()
print(f"formula {formula:.9f}, torch {by_torch:.9f}, integral {by_integral:.9f}")
print(f"the other direction: {backwards:.9f}")
with record_table():
    record(
        "kl_monte_carlo",
        monte_carlo,
        unit="nats",
        kind="estimate",
        low=monte_carlo - 1.96 * error,
        high=monte_carlo + 1.96 * error,
    )
    record("kl_formula", formula, unit="nats", kind="exact")
assert abs(formula - by_torch) < 1e-7 and abs(formula - by_integral) < 1e-9
assert abs(monte_carlo - formula) < 5 * error

# %% [markdown]
# ### Covering modes, seeking modes
#
# Which direction we minimize decides what a model that is too simple does. We fit **one** normal $q$ to a target $p$ with **two** bumps, by gradient, once in each direction.
#
# - $\mathrm{KL}(p\|q)$ is large where $p$ puts probability and $q$ does not: $\log(p/q)$ explodes. So $q$ must **cover** all modes. This is what maximum likelihood does: data are draws from $p$.
# - $\mathrm{KL}(q\|p)$ is large where $q$ puts probability and $p$ does not. So $q$ must avoid empty places, and it **seeks one mode**. Which one depends on the start. This is what variational inference does.
#
# The integrals are sums over a fine grid, so nothing here is random.


# %%
fine = torch.linspace(-14, 14, 2801)
width = fine[1] - fine[0]
log_target = mixture_log_prob(fine, *bump_args)


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    return (log_a.exp() * (log_a - log_b)).sum(-1) * width


def log_normal_of(theta: Tensor) -> Tensor:
    return normal_log_prob(fine, theta[0], theta[1].exp())


covering = climb(
    lambda theta: -kl(log_target, log_normal_of(theta)),
    torch.tensor([0.5, 0.0]),
    rate=0.3,
    steps=1500,
)[-1]
starts = torch.tensor([[-3.5, 0.0], [3.5, 0.0]])
seeking = [
    climb(
        lambda theta: -kl(log_normal_of(theta), log_target), start, rate=0.05, steps=1500
    )[-1]
    for start in starts
]
kl_covering = kl(log_target, log_normal_of(covering)).item()
kl_seeking = [kl(log_normal_of(theta), log_target).item() for theta in seeking]

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.9))
for ax, fits, name in zip(
    axes, ([covering], seeking), ("KL(p‖q): covers", "KL(q‖p): seeks"), strict=False
):
    ax.fill_between(fine, log_target.exp(), color="0.85", label="p")
    for theta, start, color in zip(fits, ("left", "right"), PALETTE, strict=False):
        label = "q" if len(fits) == 1 else f"q, from the {start}"
        ax.plot(fine, log_normal_of(theta).exp(), color=color, label=label)
    ax.set(title=name, xlim=(-6, 6), ylim=(0, 1))
    ax.legend(loc="upper right", fontsize=8)
means = torch.linspace(-4, 4, 161)
log_qs = normal_log_prob(fine, means[:, None], 0.65)  # one width, (means, grid)
axes[2].plot(means, kl(log_target, log_qs) / 10, color=PALETTE[0], label="KL(p‖q) / 10")
axes[2].plot(means, kl(log_qs, log_target), color=PALETTE[1], label="KL(q‖p)")
axes[2].set(title="nats, as q's mean moves", xlabel="mean of q", ylim=(0, 6))
axes[2].legend()
caption(
    "Left: covering gives one wide normal, high where p is nearly empty. Middle: seeking "
    "gives two answers from two starts. Right: KL(p‖q) has one valley, KL(q‖p) has two."
)

# %% [markdown]
# Theory knows both answers. Covering must return the **mean and variance of the target** (the derivative of $\mathrm{KL}(p\|q)$ is zero exactly there). Seeking must sit near one bump; and a $q$ that *is* bump $k$ has $\mathrm{KL}(q\|p) \le -\log \pi_k$, because $p \ge \pi_k p_k$: the price for dropping the rest is at most the logarithm of the weight that is left.

# %%
target_mean = bump_weights @ bump_means
target_var = (
    bump_weights @ (bump_stds.square() + bump_means.square()) - target_mean.square()
)
moment_gap = max(
    abs(covering[0] - target_mean).item(), abs(covering[1].exp() ** 2 - target_var).item()
)
with record_table():
    record("covering_moment_gap", moment_gap, kind="exact")
    record("kl_covering", kl_covering, unit="nats", kind="exact")
    for k, name in enumerate(("left", "right")):
        record(f"kl_seeking_{name}", kl_seeking[k], unit="nats", kind="exact")
        assert (
            abs(seeking[k][0] - bump_means[k]) < 0.1
            and kl_seeking[k] <= -bump_weights[k].log()
        )
assert moment_gap < 1e-6

# %% [markdown]
# ## 7 · Nats, bits and file sizes
#
# A negative log-likelihood is also the size of a file. Claude Shannon showed in 1948: with a model $q$, something can be written down in $-\log_2 q(x)$ bits and at most two more, and on average no code beats the entropy of the true distribution. Likely things get short names.
#
# First a model where the bits come out whole: four symbols with probabilities ½, ¼, ⅛, ⅛. The code below needs no commas: no codeword begins with another one.

# %%
probs, code = torch.tensor([0.5, 0.25, 0.125, 0.125]), ["0", "10", "110", "111"]
lengths = torch.tensor([float(len(word)) for word in code])
entropy_bits = -(probs * probs.log2()).sum()
assert torch.equal(lengths, -probs.log2()) and torch.isclose(probs @ lengths, entropy_bits)
print(f"mean length {probs @ lengths:.3f} bits = entropy; a fixed length would need 2")

# The same code in a country of other habits:
others = torch.tensor([0.125, 0.125, 0.25, 0.5])
extra = (others @ lengths) + (others * others.log2()).sum()
kl_bits = (others * (others / probs).log2()).sum()
print(f"where other symbols are common: {others @ lengths:.3f} bits, {extra:.3f} too many")
assert torch.isclose(extra, kl_bits)  # cross-entropy − entropy = KL

# %% [markdown]
# So a KL divergence is the number of bits wasted for believing the wrong model, and **maximum likelihood is the search for the shortest code**.
#
# ### The bits of handwritten digits
#
# How many bits does an image need? Now real data: the 10,000 test digits of MNIST, each of the 784 pixels black with the probability that is its gray value (the course's fixed binary test set). Four models, fitted to the 60,000 *training* images:
#
# 1. **A fair coin** for each pixel: one bit a pixel.
# 2. **Independent pixels**: a Bernoulli for each place, fitted by counting.
# 3. **A mixture of a hundred such tables**, fitted with EM: chapter 4 explains it; here it is a glimpse.
# 4. **A coin for each neighborhood**: look at ten pixels that come earlier in reading order (left and above). They have 1,024 patterns; each pattern has its own Bernoulli for the next pixel, fitted by counting. By the product rule $p(x) = \prod_d p(x_d \mid x_1, \dots, x_{d-1})$, this is a distribution over whole images. (The fax standard JBIG of 1993 is built on this idea.)
#
# Against them: **zlib, PNG and bzip2**, which get the whole test set as *one* stream, so that headers cost nothing. zlib and bzip2 get eight pixels a byte, in the better of two layouts; PNG gets a picture of 1 bit a pixel, all digits on one sheet.

# %%
binary = mnist.binarized()
black, black_test = binary.x_train[:, 0], binary.x_test[:, 0]  # (B, 28, 28)
# Ten neighbors as (rows up, columns right).
NEIGHBORS = [(0, -2), (0, -1)]
NEIGHBORS += [(1, column) for column in (-2, -1, 0, 1, 2)]
NEIGHBORS += [(2, column) for column in (-1, 0, 1)]


def patterns(x: Tensor) -> Tensor:
    """For each pixel of images (B, H, W) the number of the pattern before it, 0 … 1023; outside is white."""
    height, width = x.shape[1:]
    padded = torch.nn.functional.pad(x.short(), (2, 2, 2, 0))
    result = torch.zeros(x.shape, dtype=torch.int16)
    for bit, (up, right) in enumerate(NEIGHBORS):
        result |= padded[:, 2 - up : 2 - up + height, 2 + right : 2 + right + width] << bit
    return result.int()


def count(x: Tensor) -> tuple[Tensor, Tensor]:
    """How often each pattern was seen, and how often black followed."""
    seen = patterns(x).flatten()
    total = torch.bincount(seen, minlength=1024).double()
    return total, torch.bincount(seen[x.flatten() > 0], minlength=1024).double()


smoothing = 0.5
independent = (black.double().sum(0) + smoothing) / (len(black) + 2 * smoothing)  # (28, 28)
total, followed = count(black)
table = (followed + smoothing) / (total + 2 * smoothing)  # p(black | pattern), (1024,)


def pixel_bits(x: Tensor, chance: Tensor) -> Tensor:
    """Bits spent on each pixel by independent coins with these probabilities of black."""
    return -bernoulli_log_prob(x.double(), chance) / math.log(2)


# %% [markdown]
# Is the fourth model really a distribution over images? On images of 3 × 4 pixels we can ask all of them: there are $2^{12}$.

# %%
every = torch.cartesian_prod(*[ones] * 12).reshape(-1, 3, 4)  # (4096, 3, 4)
everything = torch.exp2(-pixel_bits(every, table[patterns(every)]).sum((1, 2))).sum().item()
record("all_small_images", everything, kind="exact")
assert abs(everything - 1) < 1e-12

# %%
from utils.models.mixtures import BernoulliMixture

mixture = BernoulliMixture(mixture_components, max_iter=mixture_steps, generator=generator)
mixture.fit(black.flatten(1))
code_lengths = {  # bits of each test image, (B,)
    "uniform_bits": torch.full((len(black_test),), 784.0),
    "independent_bits": pixel_bits(black_test, independent).flatten(1).sum(1),
    "mixture_bits": -mixture.log_prob(black_test.flatten(1)).double() / math.log(2),
    "code_length_bits": pixel_bits(black_test, table[patterns(black_test)])
    .flatten(1)
    .sum(1),
}

# %%
import bz2
import io
import zlib

from PIL import Image

squeezed = np.packbits(black_test.numpy().astype(np.uint8))  # 98 bytes an image
padded = torch.nn.functional.pad(black_test, (0, 4)).numpy()  # 4 bytes a row: rows line up
layouts = [squeezed.tobytes(), np.packbits(padded.astype(np.uint8)).tobytes()]
sheet = black_test.reshape(100, 100, 28, 28).transpose(1, 2).reshape(2800, 2800)
png = io.BytesIO()
Image.fromarray(sheet.numpy() > 0).save(png, "PNG", optimize=True)
file_bytes = {
    "zlib_bits": min(len(zlib.compress(layout, 9)) for layout in layouts),
    "png_bits": len(png.getvalue()),
    "bzip2_bits": min(len(bz2.compress(layout, 9)) for layout in layouts),
}
bits = {name: 8 * size / len(black_test) for name, size in file_bytes.items()}
bits |= {name: length.mean().item() for name, length in code_lengths.items()}
with record_table():
    for name, value in bits.items():
        record(name, value, unit="bits/image", kind="exact")
assert bits["code_length_bits"] < min(v for k, v in bits.items() if k != "code_length_bits")
assert (
    bits["bzip2_bits"] < bits["mixture_bits"] < bits["zlib_bits"] < bits["independent_bits"]
)

names = {
    "uniform_bits": "a fair coin a pixel",
    "independent_bits": "independent pixels",
    "png_bits": "PNG",
    "zlib_bits": "zlib",
    "mixture_bits": f"mixture of {mixture_components}",
    "bzip2_bits": "bzip2",
    "code_length_bits": "coin by neighborhood",
}

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.5, 2.9))
bars = ax.barh(
    list(names.values()),
    [bits[key] for key in names],
    color=["0.7" if key in file_bytes else PALETTE[0] for key in names],
)
ax.bar_label(bars, fmt=" %.0f")
ax.invert_yaxis()
ax.set(xlabel="bits per test image (lower is better)")
caption(
    "Blue: models, −log₂ p(x). Gray: files. A thousand coins that know their neighbors need "
    "fewer bits than the three file formats and the mixture."
)

# %% [markdown]
# The mixture was fitted to 60,000 digits, and loses to bzip2, which was fitted to none. bzip2 is not without data, though: it gets all test digits in one stream, sorts them in blocks of 900 kilobytes, and makes the code for a block from what is in it. So it learns from the very images that it packs. And it looks at what follows what; to the mixture, given the component, neighbors are independent. The coins see *only* neighbors, and win.
#
# Two remarks, to be fair.
#
# **The model is part of the decoder.** Both sides must have the table before the first image is sent, as both sides have zlib. A file that carries its own model must pay for it. We charge 16 bits for each of its 1,024 numbers, and share that among 10,000 images. For the mixture, at 16 bits for each of its 78,400 probabilities, the charge is so high that it falls behind all file formats and even behind independent pixels.
#
# **What if there is no training set?** zlib and bzip2 have only what they have packed so far. Our coins can learn while they code, too: start all counts at ½, and after each pixel add one to what came. The product of these changing probabilities does not depend on the order, so each pattern with $n_1$ blacks and $n_0$ whites contributes $B(n_1 + \tfrac12, n_0 + \tfrac12) / B(\tfrac12, \tfrac12)$, where $B$ is the beta function. One line gives the exact length of a code that needs nothing in advance.

# %%
bits_per_number, shared_by = 16, len(black_test)
with_table = bits["code_length_bits"] + bits_per_number * table.numel() / shared_by
with_mixture = bits["mixture_bits"] + bits_per_number * mixture.n_parameters / shared_by
with record_table():
    record("code_length_with_model", with_table, unit="bits/image", kind="exact")
    record("mixture_with_model", with_mixture, unit="bits/image", kind="exact")

from scipy.special import betaln

seen, came = (counts.numpy() for counts in count(black_test))
log_evidence = betaln(came + 0.5, seen - came + 0.5) - betaln(0.5, 0.5)
adaptive = -log_evidence.sum().item() / math.log(2) / len(black_test)
record("adaptive_bits", adaptive, unit="bits/image", kind="exact")
assert max(adaptive, with_table) < bits["bzip2_bits"]
assert with_mixture > max(bits["png_bits"], bits["zlib_bits"], bits["independent_bits"])

# %% [markdown]
# ### Where are the bits spent?
#
# The sum over pixels can be looked at before it is summed. And since the model is a distribution, we can draw from it: **ancestral** sampling, pixel after pixel, each given the pattern before it.


# %%
def draw_by_pattern(n: int) -> Tensor:
    x = torch.zeros(n, 28, 28)
    for row in range(28):
        for column in range(28):
            top = max(row - 2, 0)  # the pattern needs two rows above, no more
            before = patterns(x[:, top : row + 1])[:, -1, column]
            x[:, row, column] = (uniform(n) < table[before]).double()
    return x


shown = black_test[:12]
spent = pixel_bits(shown, table[patterns(shown)])
drawn = draw_by_pattern(12)
chance = table[patterns(drawn)]
# Black minus its chance is 0 on average, and its variance is known: is the sum within 5 deviations?
assert (drawn - chance).sum().abs() < 5 * (chance * (1 - chance)).sum().sqrt()
from_mixture = mixture.sample(12, generator).reshape(-1, 28, 28)

# %% jupyter={"source_hidden": true} tags=["picture"]
sheet = torch.cat([shown, spent.clamp(max=4) / 4, from_mixture, drawn])
rows = [
    "test images",
    "bits spent on each pixel\n(black: 4 or more)",
    "draws from the mixture",
    "draws from the coins\nby neighborhood",
]
images(sheet, columns=12, rows=rows)
caption(
    "Bits go to the edges of strokes, where a pixel is hard to guess. Draws from the coins "
    "are strokes that form no digits; draws from the mixture are digits without clean strokes."
)

# %% [markdown]
# A warning for the whole course: **fewer bits do not mean better-looking draws**. The coins need far fewer bits, and what they draw are scribbles. Most bits of an image are about small things: exactly where an edge runs. The likelihood counts all of them.
#
# ### Are the bits real? (*optional*)
#
# A number of bits that no program can write is only talk. Here is an **arithmetic coder**. It keeps an interval of whole numbers. Each pixel splits the interval in proportion to the two probabilities, and the coded pixel's part is kept. At the end any number inside names the image: a likely image has a wide interval, and few digits suffice. Python's integers have no limit, so nothing is ever rounded; the only approximation is the table, rounded once to 16 bits.


# %%
PRECISION = 16
WHOLE = 1 << PRECISION
counts = (table * WHOLE).round().clamp(1, WHOLE - 1).long().tolist()  # the decoder's model


def pattern_at(x: list, row: int, column: int) -> int:
    """The pattern before one pixel of a half-finished image, a 28 × 28 list of lists."""
    result = 0
    for bit, (up, right) in enumerate(NEIGHBORS):
        if row >= up and 0 <= column + right < 28 and x[row - up][column + right]:
            result |= 1 << bit
    return result


def encode(x: list) -> str:
    low, size = 0, 1  # the interval [low, low + size), counted in units that get finer
    for row in range(28):
        for column in range(28):
            chance = counts[pattern_at(x, row, column)]
            low <<= PRECISION
            if x[row][column]:  # black: the lower part
                size *= chance
            else:
                low, size = low + size * chance, size * (WHOLE - chance)
    digits = 784 * PRECISION
    spare = size.bit_length() - 2  # so many last bits may be anything: still inside
    return format((low + (1 << spare) - 1) >> spare, f"0{digits - spare}b")


def decode(message: str) -> list:
    x, low, size = [[0] * 28 for _ in range(28)], 0, 1
    target = int(message, 2) << (784 * PRECISION - len(message))
    for step in range(784):
        row, column = divmod(step, 28)
        chance = counts[pattern_at(x, row, column)]
        low <<= PRECISION
        border = low + size * chance
        x[row][column] = int(target >> (783 - step) * PRECISION < border)
        low, size = (
            (low, size * chance) if x[row][column] else (border, size * (WHOLE - chance))
        )
    return x


# %%
part = mnist.test_part(coded_images)  # a fixed random part of the test set
sent = black_test[part].int().tolist()
messages = [encode(x) for x in sent]
assert [decode(message) for message in messages] == sent, "not lossless"
written = torch.tensor([len(message) for message in messages]).double()
promised = code_lengths["code_length_bits"][part]
overhead = written - promised
print(f"the first image in {len(messages[0])} bits: {messages[0][:60]}…")
with record_table():
    record("coder_overhead_mean", overhead.mean().item(), unit="bits/image", kind="score")
    record("coder_overhead_largest", overhead.max().item(), unit="bits/image", kind="score")
assert overhead.min() > 0.9 and overhead.max() < 2.1

# %% [markdown]
# Every image came back pixel by pixel, and every message costs one to two bits more than promised (and a trace more for the rounded table), for it must end at a whole bit and still not be the beginning of another one. In one long stream that is paid only once. One practical warning: encoder and decoder must compute *exactly* the same probabilities. Here they share whole numbers. Two machines that round a neural network's output differently would decode garbage.

# %% [markdown]
# ## 8 · Change of variables, and a flow in three lines
#
# Put a random number through a function and its distribution changes. Let $z$ be normal and $x = e^z$. Where the function is steep, points are pulled apart, and the density gets thinner by just that factor. With the way back $z(x)$, which must rise everywhere:
#
# $$p(x) = p_z\big(z(x)\big) \, \left|\frac{dz}{dx}\right|, \qquad \log p(x) = \log p_z(z(x)) + \log \left|\frac{dz}{dx}\right|.$$
#
# The last term is called the **log-determinant** (in one dimension it is the logarithm of a slope). Forgetting it is the classical mistake. Here $z(x) = \log x$ and $dz/dx = 1/x$; the result is known as the lognormal distribution.

# %%
x = torch.linspace(1e-4, 60, 1_200_001)
width_x = x[1] - x[0]
with_slope = normal_log_prob(x.log(), 0.0, 1.0) - x.log()
without = normal_log_prob(x.log(), 0.0, 1.0)
change_error = (
    (with_slope - torch.as_tensor(scipy.stats.lognorm(1).logpdf(x))).abs().max().item()
)
area, wrong_area = (
    log_p.exp().sum().item() * width_x.item() for log_p in (with_slope, without)
)
left_out = scipy.stats.lognorm(1).sf(60)  # the tail beyond the grid
record("change_of_variables_error", change_error, unit="nats", kind="exact")
print(f"area {area:.6f} + tail {left_out:.6f}; without the slope {wrong_area:.4f} (not 1)")
assert change_error < 1e-9 and abs(area + left_out - 1) < 1e-6 and wrong_area > 1.5

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3))
z = torch.linspace(-2.5, 1.7, 200)
left.plot(z, z.exp(), color="black")
for edge in torch.linspace(-2, 1.5, 8):
    left.plot([edge, edge, -2.5], [0, edge.exp(), edge.exp()], color="0.7", linewidth=0.8)
left.set(xlabel="z", ylabel="x = exp(z)", xlim=(-2.5, 1.7), ylim=(0, 5))
shown_x = x[x < 5]
right.hist(
    draw_normal_pairs(draws)[:, 0].exp().clamp(max=5.5).numpy(),
    bins=np.linspace(0, 5, 61),
    weights=np.full(draws, 12 / draws),
    color="0.85",
)
right.plot(
    shown_x[::100],
    with_slope[: len(shown_x)][::100].exp(),
    color=PALETTE[0],
    label="with the slope",
)
right.plot(
    shown_x[::100],
    without[: len(shown_x)][::100].exp(),
    "--",
    color=PALETTE[4],
    label="slope forgotten",
)
right.set(xlabel="x", ylabel="density")
right.legend()
caption(
    "Left: equal steps of z become small steps of x at the bottom, large ones at the top. "
    "Right: draws of x (gray) agree with the density that has the slope in it."
)

# %% [markdown]
# ### The flow (*optional*)
#
# A **normalizing flow** turns this around: *learn* the function, so that the data become normal. In later chapters it is a deep network. In one dimension three lines are enough. Our function has four parameters, a place and a width for $x$, a place and a width for $z$:
#
# $$z(x) = a + b \, \operatorname{arcsinh}\!\Big(\frac{x - \mu}{\sigma}\Big), \qquad \frac{dz}{dx} = \frac{b}{\sigma \sqrt{1 + ((x-\mu)/\sigma)^2}}.$$
#
# The arcsinh is straight near 0 and bends like a logarithm far out, on both sides. So the model can be skewed and can have heavy tails. (It is older than the word flow: N. L. Johnson, 1949.) We fit it to the ink of the digits.


# %%
def flow(x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """x → z and log dz/dx."""
    mu, sigma, a, b = theta[0], theta[1].exp(), theta[2], theta[3].exp()
    y = (x - mu) / sigma
    return a + b * y.asinh(), theta[3] - theta[1] - 0.5 * torch.log1p(y.square())


def flow_log_prob(x: Tensor, theta: Tensor) -> Tensor:
    z, log_det = flow(x, theta)
    return normal_log_prob(z, 0.0, 1.0) + log_det


fitted_on = ink[torch.randperm(len(ink), generator=generator)[:10000]]
theta = torch.tensor([fitted_on.mean(), fitted_on.std().log(), 0.0, 0.0]).requires_grad_()
optimizer = torch.optim.LBFGS(
    [theta],
    max_iter=300,
    tolerance_grad=1e-9,
    tolerance_change=1e-13,
    line_search_fn="strong_wolfe",
)


def loss() -> Tensor:
    optimizer.zero_grad()
    value = -flow_log_prob(fitted_on, theta).mean()
    value.backward()
    return value


optimizer.step(loss)
theta = theta.detach()
mu, sigma, a, b = theta[0], theta[1].exp(), theta[2], theta[3].exp()

# %% [markdown]
# Checks against known answers: `scipy.stats.johnsonsu` knows this density; it integrates to one; the slope agrees with autograd. scipy's own fit of the same family must not be better than ours by more than $10^{-4}$ nats. And three simple rivals with two parameters each are fitted to the same images: a normal, a lognormal and a gamma.

# %%
x = torch.linspace(-4, 12, 400001)
by_scipy = scipy.stats.johnsonsu(a.item(), b.item(), mu.item(), sigma.item())
near = (x > 0.15) & (x < 3.2)  # where digits are; scipy's density is rounded to 0 far out
flow_error = (
    (flow_log_prob(x[near], theta) - torch.as_tensor(by_scipy.logpdf(x[near]))).abs().max()
).item()
flow_area = flow_log_prob(x, theta).exp().sum().item() * (x[1] - x[0]).item()
at = ink_test[mnist.test_part(100)].requires_grad_()
[slope] = torch.autograd.grad(flow(at, theta)[0].sum(), at)
slope_error = (slope.log() - flow(at, theta)[1]).abs().max().item()
with record_table():
    record("flow_density_error", max(flow_error, slope_error), unit="nats", kind="exact")
    record("flow_integral", flow_area, kind="exact")
    assert flow_error < 1e-8 and slope_error < 1e-10 and abs(flow_area - 1) < 1e-6

    known = fitted_on.numpy()
    rivals = {
        "normal": scipy.stats.norm(*scipy.stats.norm.fit(known)),
        "lognormal": scipy.stats.lognorm(*scipy.stats.lognorm.fit(known, floc=0)),
        "gamma": scipy.stats.gamma(*scipy.stats.gamma.fit(known, floc=0)),
        "johnsonsu_scipy": scipy.stats.johnsonsu(*scipy.stats.johnsonsu.fit(known)),
    }
    ink_nll = {name: -rival.logpdf(ink_test).mean() for name, rival in rivals.items()}
    ink_nll["flow"] = -flow_log_prob(ink_test, theta).mean().item()
    for name, value in ink_nll.items():
        record(
            f"ink_nll_{name}",
            value,
            unit="nats/image, ink in hundreds of pixels",
            kind="exact",
        )
assert ink_nll["flow"] < min(ink_nll["normal"], ink_nll["lognormal"], ink_nll["gamma"])
assert ink_nll["gamma"] - ink_nll["flow"] < 0.01  # hardly anything is gained on the gamma
assert (
    -flow_log_prob(fitted_on, theta).mean()
    < -rivals["johnsonsu_scipy"].logpdf(known).mean() + 1e-4
)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3))
x = torch.linspace(0, 2.6, 400)
left.hist(ink_test, bins=70, density=True, color="0.85")
left.plot(x, rivals["normal"].pdf(x), "--", color=PALETTE[4], label="normal")
left.plot(x, flow_log_prob(x, theta).exp(), color=PALETTE[0], label="flow")
left.set(xlabel="ink in hundreds of pixels", ylabel="density of the test digits")
left.legend()
for name, z, color in (
    ("standardized", (ink_test - known.mean()) / known.std(), PALETTE[4]),
    ("through the flow", flow(ink_test, theta)[0], PALETTE[0]),
):
    quantiles = np.sort(z.numpy())[:: len(z) // 300]
    expected = scipy.stats.norm.ppf((np.arange(len(quantiles)) + 0.5) / len(quantiles))
    right.plot(expected, quantiles, ".", markersize=3, color=color, label=name)
right.plot([-3, 3], [-3, 3], color="0.6", linewidth=0.8)
right.set(xlabel="quantiles of a normal", ylabel="quantiles of z")
right.legend(markerscale=3)
caption(
    "Ink is skewed (left). The flow bends it until the test digits are normal: the blue "
    "quantiles lie on the line, but for the outermost."
)

# %% [markdown]
# The flow is clearly better than the normal and the lognormal. Over the gamma, a formula with half as many parameters, it gains almost nothing: whoever knows the right family needs no flow. A flow is for the case that nobody knows it.

# %% [markdown]
# ## 9 · Expectations by drawing, and their error bars
#
# **Monte Carlo** replaces $\mathbb E_p[f(x)]$ by the mean over $n$ draws. How wrong is it? The mean of $n$ independent values with standard deviation $s$ has the standard deviation $s / \sqrt n$, its **standard error**, and for large $n$ it is nearly normal. So "mean ± 1.96 standard errors" should hold the truth 95 times in 100.
#
# We test it on $\mathbb E[\cos z] = e^{-1/2}$ for a normal $z$. For each $n$ we repeat the whole experiment many times, measure the true error, and count how often the interval was right.


# %%
def experiment(draw, truth: float, sizes, repeats: int) -> tuple[list, list]:
    """For each n: root mean squared error of the mean, and the share of intervals that hold the truth."""
    errors, coverage = [], []
    for n in sizes:
        f = draw(repeats, n)  # (repeats, n)
        mean, standard_error = f.mean(1), f.std(1) / math.sqrt(n)
        errors.append((mean - truth).square().mean().sqrt().item())
        coverage.append(
            ((mean - truth).abs() < 1.96 * standard_error).double().mean().item()
        )
    return errors, coverage


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)


sizes = [5, 10, 30, 100, 300, 1000, 3000]
errors, coverage = experiment(
    lambda r, n: randn(r, n).cos(), math.exp(-0.5), sizes, repeats
)
slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
noise = math.sqrt(0.95 * 0.05 / repeats)  # the error bar of a coverage
with record_table():
    record("error_slope", slope, kind="score")
    record(
        "coverage",
        coverage[-1],
        kind="estimate",
        low=coverage[-1] - 1.96 * noise,
        high=min(1.0, coverage[-1] + 1.96 * noise),
    )
theory = [math.sqrt((1 + math.exp(-2)) / 2 - math.exp(-1)) / math.sqrt(n) for n in sizes]
assert abs(slope + 0.5) < 0.03 and abs(coverage[-1] - 0.95) < 5 * noise

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.9))
left.loglog(sizes, errors, "o", label="measured")
left.loglog(sizes, theory, color="0.6", label="theory: $s/\\sqrt{n}$")
left.set(xlabel="draws n", ylabel="error (root mean square)")
left.legend()
right.semilogx(sizes, coverage, "o-", color=PALETTE[0])
right.axhline(0.95, color="0.6", linewidth=0.8)
right.set(xlabel="draws n", ylabel="share that hold the truth", ylim=(0.75, 1))
caption(
    "Left: a hundred times the draws, a tenth of the error. Right: intervals from five draws "
    "hold the truth too rarely; from about a hundred draws on they hold it 95 times in 100."
)

# %% [markdown]
# The law has good news and bad news. Bad: one more digit costs a hundred times the draws. Good: the dimension of $x$ is nowhere in it.

# %% [markdown]
# ## 10 · The curse of dimension
#
# Images have hundreds of dimensions, and our pictures have two. Intuition from the plane fails up there, in three ways.
#
# **First: a Gaussian is a shell.** Draw from a standard normal in D dimensions. The density is highest at the origin. But the squared distance from it is a sum of D squares, each about 1: so *every* draw has a distance near $\sqrt D$ (it has the chi distribution). At the origin the density is high and there is no room; outside there is room and no density.

# %%
dims = (1, 2, 10, 100, 784)
norms = {D: randn(4000, D).norm(dim=1) for D in dims}
for D in dims:
    assert scipy.stats.kstest(norms[D].numpy(), scipy.stats.chi(D).cdf).pvalue > 1e-6
at_mode = [-0.5 * D * math.log(2 * math.pi) for D in dims]
at_draws = [normal_log_prob(randn(500, D), 0.0, 1.0).sum(1) for D in dims]
gaps = [mode - draw.mean().item() for mode, draw in zip(at_mode, at_draws, strict=True)]
with record_table():
    record("mean_norm_784", norms[784].mean().item(), kind="score")
    record("smallest_norm_784", norms[784].min().item(), kind="score")
assert abs(norms[784].mean() - math.sqrt(784)) < 0.1 and norms[784].min() > 24

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for D, color in zip(dims, PALETTE, strict=False):
    left.hist(norms[D].numpy(), bins=40, density=True, alpha=0.3, color=color)
    x = np.linspace(max(0, math.sqrt(D) - 4), math.sqrt(D) + 4, 300)
    left.plot(x, scipy.stats.chi(D).pdf(x), color=color, label=f"D = {D}")
left.set(xlabel="distance from the mode", ylabel="density")
left.legend()
right.loglog(dims, gaps, "o", label="measured")
right.loglog(dims, [D / 2 for D in dims], color="0.6", label="theory: D / 2")
right.set(xlabel="D", ylabel="log p(mode) - log p(draw)")
right.legend()
caption(
    "Left: draws (bars) and the chi density (lines) lie on a shell. Right: the density at the "
    "mode is higher than at a draw by D/2 nats on average, yet no draw comes near it."
)

# %% [markdown]
# The most likely point is not a typical point. This is not about Gaussians only. Take the model of independent pixels: its single most likely image, and what it draws.

# %%
mode = (independent > 0.5).double()
drawn = (uniform(1000, 28, 28) < independent).double()
mode_bits = pixel_bits(mode, independent).sum().item()
drawn_bits = pixel_bits(drawn, independent).sum((1, 2))
# Entropy: the sum over pixels of the expected bits.
entropy = (
    -(independent * independent.log2() + (1 - independent) * (1 - independent).log2())
    .sum()
    .item()
)
with record_table():
    record("mode_bits", mode_bits, unit="bits", kind="exact")
    record("entropy_bits", entropy, unit="bits", kind="exact")
print(f"draws: from {drawn_bits.min():.0f} to {drawn_bits.max():.0f} bits")
assert mode_bits < drawn_bits.min()
assert abs(drawn_bits.mean().item() - entropy) < 5 * drawn_bits.std().item() / math.sqrt(
    1000
)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.4), width_ratios=(1, 1.2))
images(
    torch.cat([mode[None], drawn[:4]]),
    columns=5,
    title="the mode, and four draws",
    axes=left,
)
right.hist(drawn_bits.numpy(), bins=40, color=PALETTE[0], alpha=0.6)
right.axvline(mode_bits, color=PALETTE[4])
right.axvline(entropy, color="black", linestyle=":")
right.set(xlabel="-log2 p(image) in bits", yticks=[])
caption(
    "Red: the mode. Dotted: the entropy. The draws (blue) cost about as many bits as the "
    "entropy; the mode, the cheapest image of all, is far from every one of them."
)

# %% [markdown]
# ### Distances and rejection (*optional*)
#
# **Second: everybody is equally far away.** Among 500 random points, compare the nearest neighbor with the farthest one. In the plane they differ greatly; in high dimension hardly at all. Methods that live on distances feel it. Real images suffer less: they fill only a thin part of their space.
#
# **Third: rejection dies.** To draw uniformly from a ball, draw from the cube around it and reject the corners. The acceptance is the ratio of the volumes, $\pi^{D/2} / (2^D \, \Gamma(D/2 + 1))$.

# %%
dims = [2, 3, 5, 8, 10, 20, 50, 100, 300, 784]
ratios = []
for D in dims:
    distance = torch.cdist(uniform(500, D), uniform(500, D))
    ratios.append((distance.min(1).values / distance.max(1).values).mean().item())
some, others = mnist.x_test[mnist.test_part(500)], mnist.x_train[:500]
distance = torch.cdist(some.flatten(1).double(), others.flatten(1).double())
digit_ratio = (distance.min(1).values / distance.max(1).values).mean().item()
with record_table():
    record("near_to_far_uniform_784", ratios[-1], kind="score")
    record("near_to_far_digits", digit_ratio, kind="score")
assert ratios[-1] > 0.85 > digit_ratio

small = [2, 3, 4, 6, 8, 10]
trials = 200_000
kept = [
    (2 * uniform(trials, D) - 1).square().sum(1).le(1).double().mean().item() for D in small
]
volume = [math.pi ** (D / 2) / 2**D / math.gamma(D / 2 + 1) for D in range(1, 21)]
for D, share in zip(small, kept, strict=True):
    truth = volume[D - 1]
    assert abs(share - truth) < 5 * math.sqrt(truth * (1 - truth) / trials)
log10_volume_784 = (
    392 * math.log(math.pi) - 784 * math.log(2) - math.lgamma(393)
) / math.log(10)
record("log10_acceptance_784", log10_volume_784, kind="exact")

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.9))
left.semilogx(dims, ratios, "o-", label="uniform in a cube")
left.plot(784, digit_ratio, "*", color=PALETTE[4], markersize=12, label="MNIST digits")
left.set(xlabel="D", ylabel="nearest / farthest", ylim=(0, 1))
left.legend(loc="lower right")
right.semilogy(range(1, 21), volume, color="0.6", label="volume of the ball")
right.semilogy(small, kept, "o", label="share kept")
right.set(xlabel="D", ylabel="acceptance", xticks=range(0, 21, 5))
right.legend()
caption(
    "Left: in high dimension the nearest point is nearly as far as the farthest; for digits "
    "the difference remains. Right: nearly all of a cube is corners, and rejection keeps nothing."
)

# %% [markdown]
# ## 11 · Where it fails, and the cures
#
# ### Products that vanish
#
# The probability of one binary digit is a product of 784 numbers. Below about $10^{-45}$ in single precision, and $10^{-323}$ in double, there is only 0, and its logarithm is $-\infty$. The cure: never multiply probabilities; **add logarithms**. And where probabilities must be *added*, as in a mixture, use `logsumexp`.

# %%
chance = torch.where(black_test > 0, independent, 1 - independent).flatten(1)  # (B, 784)
one_image = chance.float().prod(1)
vanished = (one_image == 0).double().mean().item()
vanished_double = (chance.reshape(-1, 8 * 784).prod(1) == 0).double().mean().item()
with record_table():
    record("vanished_single", vanished, kind="score")
    record("vanished_double_8_images", vanished_double, kind="score")
in_logs = chance.log().sum(1)
print(f"mean log p(x) from products: {one_image.log().mean():.1f}")
print(f"mean log p(x) from sums of logarithms: {in_logs.mean():.2f} nats")
assert vanished > 0.9 and vanished_double > 0.9 and torch.isfinite(in_logs).all()

# %% [markdown]
# ### What was never seen is impossible
#
# Maximum likelihood by counting gives probability 0 to whatever did not occur. One such pixel, and the whole test image is impossible: it costs infinitely many bits. The cure is **smoothing**: pretend that each value was seen α times before the data came. We fit independent pixels to 200 images.

# %%
few_images = black[:200].double().mean(0)  # α = 0: pure counting
impossible = ((black_test > 0) & (few_images == 0)) | (
    (black_test == 0) & (few_images == 1)
)
share_impossible = impossible.flatten(1).any(1).double().mean().item()
record("impossible_images", share_impossible, kind="score")
alphas, mean_image = np.geomspace(1e-9, 10, 40), black_test.double().mean(0)
lengths = []
for alpha in alphas:
    smoothed = (200 * few_images + alpha) / (200 + 2 * alpha)
    # The bits are linear in x: those of the mean image are the mean bits of the images.
    lengths.append(pixel_bits(mean_image, smoothed).sum().item())
best = int(np.argmin(lengths))
record("smoothing_best", lengths[best], unit="bits/image", kind="score")
assert share_impossible > 0.1 and lengths[best] < lengths[0] - 1

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 2.6))
ax.semilogx(alphas, lengths)
ax.axhline(bits["independent_bits"], color="0.6", linewidth=0.8)
ax.plot(alphas[best], lengths[best], "o", color=PALETTE[4])
ax.set(xlabel="α, imagined counts", ylabel="bits per test image")
caption(
    "Toward α = 0 the bits rise, and at 0 they are infinite; too large an α drowns the data. "
    "Gray line: the same model, fitted to 60,000 images."
)

# %% [markdown]
# ### A mode is dropped (*optional*)
#
# Section 6 showed it: the reverse divergence drops a bump, and nothing in the fit complains. More starts do not help: each ends in one bump. The cure is a $q$ that *can* hold both. We give it two components, start both near the middle, and follow the same gradient.


# %%
def log_two(theta: Tensor) -> Tensor:
    """A mixture of two normals on the grid: weights from a softmax, standard deviations from exp."""
    parts = normal_log_prob(fine[:, None], theta[2:4], theta[4:6].exp())
    return (theta[:2].log_softmax(0) + parts).logsumexp(1)


start = torch.tensor([0.0, 0.0, -0.5, 0.5, 0.0, 0.0])
both = climb(lambda theta: -kl(log_two(theta), log_target), start, rate=0.1, steps=3000)
kl_cured = kl(log_two(both[-1]), log_target).item()
record("kl_seeking_two_components", kl_cured, unit="nats", kind="exact")
print(
    f"one component: {kl_seeking[0]:.4f} or {kl_seeking[1]:.4f} nats; two: {kl_cured:.1e} nats"
)
assert kl_cured < 1e-4
assert torch.allclose(both[-1, :2].softmax(0), bump_weights, atol=1e-2)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 2.5))
ax.fill_between(fine, log_target.exp(), color="0.85")
ax.plot(
    fine, log_normal_of(seeking[1]).exp(), "--", color=PALETTE[4], label="one component"
)
ax.plot(fine, log_two(both[-1]).exp(), color=PALETTE[0], label="two components")
ax.set(xlim=(-6, 6), ylabel="density")
ax.legend()
caption(
    "The same divergence KL(q‖p), minimized twice. Only a model that can hold both bumps "
    "finds both."
)

# %% [markdown]
# ### An error bar that lies
#
# An error bar is itself computed from the draws. If the mean is dominated by rare, huge values, most runs see none of them: their mean is too small, *and so is their standard error*. Take $\mathbb E[e^{3z}]$ for a normal $z$. The truth is $e^{9/2}$, almost all of it from around $z = 3$, where a normal rarely goes.
#
# The cure is **importance sampling**: draw where it matters, from $q = \mathcal N(3, 1.5^2)$, and weigh each draw with $p(z)/q(z)$. The expectation is the same, the variance is not.

# %%
tilt, wide = 3.0, 1.5
truth = math.exp(tilt**2 / 2)


def plain(r: int, n: int) -> Tensor:
    return (tilt * randn(r, n)).exp()


def importance(r: int, n: int) -> Tensor:
    z = tilt + wide * randn(r, n)
    return (tilt * z + normal_log_prob(z, 0.0, 1.0) - normal_log_prob(z, tilt, wide)).exp()


sizes = [10, 30, 100, 300, 1000, 3000]
plain_errors, plain_coverage = experiment(plain, truth, sizes, repeats)
good_errors, good_coverage = experiment(importance, truth, sizes, repeats)
with record_table():
    record("heavy_tail_coverage_plain", plain_coverage[-1], kind="score")
    record("heavy_tail_coverage_importance", good_coverage[-1], kind="score")
assert plain_coverage[-1] < 0.8 and abs(good_coverage[-1] - 0.95) < 6 * noise

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.9))
means = plain(repeats, 3000).mean(1)
left.hist(
    means.clamp(max=400).numpy(),
    bins=np.linspace(0, 400, 60),
    color=PALETTE[4],
    alpha=0.5,
    label="plain",
)
left.hist(
    importance(repeats, 3000).mean(1).numpy(),
    bins=np.linspace(0, 400, 60),
    color=PALETTE[0],
    alpha=0.5,
    label="importance",
)
left.axvline(truth, color="black", linestyle=":")
left.set(xlabel="mean of 3000 draws (truth dotted)", yscale="log", ylabel="runs")
left.legend()
right.semilogx(sizes, plain_coverage, "o-", color=PALETTE[4], label="plain")
right.semilogx(sizes, good_coverage, "s-", color=PALETTE[0], label="importance")
right.axhline(0.95, color="0.6", linewidth=0.8)
right.set(xlabel="draws n", ylabel="share that hold the truth", ylim=(0, 1))
right.legend()
caption(
    "Red: most runs are too low with too small an error bar, and a few are far too high. "
    "Blue: with draws where it matters, the intervals hold the truth as often as they should."
)

# %% [markdown]
# ## 12 · Remember
#
# 1. A density has a unit and may exceed 1; only areas are probabilities. Work with log p, and add.
# 2. From uniform numbers come all draws: invert, turn, shear, tell the story, or reject. A sampler needs a test, and the test needs a wrong sampler that fails it.
# 3. Maximum likelihood is counting and averaging where a formula exists, climbing where none does. It covers modes; the reverse divergence seeks one.
# 4. $-\log_2 p(x)$ is a file size. Fewer bits are a better model of the data, not prettier draws.
# 5. An error bar shrinks like $1/\sqrt n$ and can lie. In high dimension the mass lies on shells, and the mode is not typical.
#
# **Exercises**: `course start 02`, then open `work/02_probability_distributions/exercises.ipynb`.
#
# **Further reading**
# - C. E. Shannon: *A mathematical theory of communication*, Bell System Technical Journal, 1948.
# - D. J. C. MacKay: *Information Theory, Inference, and Learning Algorithms*, 2003: codes, Monte Carlo and inference in one book; chapter 6 has arithmetic coding.
# - G. E. P. Box, M. E. Muller: *A note on the generation of random normal deviates*, Annals of Mathematical Statistics, 1958.
# - N. L. Johnson: *Systems of frequency curves generated by methods of translation*, Biometrika, 1949: the flow in three lines.
# - I. H. Witten, R. M. Neal, J. G. Cleary: *Arithmetic coding for data compression*, Communications of the ACM, 1987.
# - L. Theis, A. van den Oord, M. Bethge: *A note on the evaluation of generative models*, 2015, arXiv:1511.01844: likelihood and looks are different things.
# - L. Devroye: *Non-Uniform Random Variate Generation*, 1986.
