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
# # 4 · Gaussian mixtures
#
# **Find groups that nobody labeled, and draw new data from them.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 90 minutes | under a minute, two cores | Python, a little calculus, what a Gaussian is | derive EM and write it in forty lines; fit, test and criticize a mixture; generate digits, complete half-hidden ones, flag outliers |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# A mixture is the simplest model with a **latent variable**: something that decides about each data point and that nobody ever sees. Everything in this chapter comes back later: the bound that EM climbs is the one that trains a variational autoencoder.

# %% tags=["parameters"]
seed = 4
mixture_points = 600
digit_components = 10
digit_kinds = 40
mnist_components = 100
mnist_steps = 40

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from utils.data import load
from utils.plots import PALETTE, caption, ellipses, images, plane
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · One picture, two questions
#
# Here are some points. We drew them ourselves, so the truth is known: three Gaussians, mixed. The colors on the right are the secret. A mixture model sees only the left side.

# %%
true_weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
true_means = torch.tensor([[-1.5, 0.0], [1.5, 1.0], [1.0, -1.5]], dtype=torch.float64)
true_covariances = torch.tensor(
    [[[0.9, 0.5], [0.5, 0.6]], [[0.5, -0.3], [-0.3, 0.4]], [[0.2, 0.0], [0.0, 0.3]]],
    dtype=torch.float64,
)
# Ancestral sampling: first the component z, then the point x given z.
z = torch.multinomial(
    true_weights, mixture_points, replacement=True, generator=generator
)  # (B,)
noise = torch.randn(mixture_points, 2, 1, generator=generator, dtype=torch.float64)
x = true_means[z] + (torch.linalg.cholesky(true_covariances)[z] @ noise)[..., 0]  # (B, 2)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(8, 3.6))
left.scatter(*x.T, s=6, color="0.4")
left.set(title="what the model sees: x", xlabel="$x_1$", ylabel="$x_2$")
for k in range(3):
    right.scatter(*x[z == k].T, s=6, color=PALETTE[k], label=f"z = {k}")
right.set(title="what it never sees: z", xlabel="$x_1$")
right.legend(markerscale=3)
caption(
    "The same points twice. On the left nothing says which point belongs to which group, "
    "though the eye can guess it."
)

# %% [markdown]
# Two questions can be asked of the left picture, and one model answers both.
#
# - **Clustering**: who belongs together? The answer is a number for each point and group: how likely is it that this group made this point?
# - **Density estimation**: how likely is each place? The answer is a function p(x) that integrates to one. From it we can draw new points, complete half-seen ones and notice strange ones.

# %% [markdown]
# ## 2 · The mathematics
#
# ### A story of how the data came about
#
# For each point, nature first draws a **component** $z \in \{1, \dots, K\}$ with probabilities $\pi_1, \dots, \pi_K$. Then it draws $x$ from the Gaussian of that component, with mean $\mu_z$ and covariance $\Sigma_z$:
#
# $$p(x, z = k) = \pi_k \, \mathcal N(x;\, \mu_k, \Sigma_k).$$
#
# We see $x$ and not $z$. So $z$ is a **latent** variable, and what we can say about $x$ alone is a sum over all that $z$ might have been:
#
# $$p(x) = \sum_{k=1}^K \pi_k \, \mathcal N(x;\, \mu_k, \Sigma_k).$$
#
# ### Responsibilities
#
# Bayes' rule turns the story around. Having seen $x$, the probability that component $k$ made it is
#
# $$r_k(x) = p(z = k \mid x) = \frac{\pi_k \, \mathcal N(x; \mu_k, \Sigma_k)}{\sum_j \pi_j \, \mathcal N(x; \mu_j, \Sigma_j)}.$$
#
# We say that component $k$ takes **responsibility** $r_k(x)$ for $x$. For each point the responsibilities sum to one.
#
# ### Why it is hard, and the bound that makes it easy
#
# We look for the parameters $\theta = (\pi, \mu, \Sigma)$ that make the data likely: maximize $\sum_i \log p_\theta(x_i)$. The sum inside the logarithm couples all components, so setting the derivative to zero gives no formula.
#
# Take **any** distribution $q$ over the components. Multiply and divide by it, and use Jensen's inequality: the logarithm of a mean is at least the mean of the logarithm.
#
# $$\log p_\theta(x) = \log \sum_k q_k \frac{p_\theta(x, k)}{q_k} \;\ge\; \sum_k q_k \log \frac{p_\theta(x, k)}{q_k} =: \mathrm{ELBO}(q, \theta).$$
#
# This is the **evidence lower bound**; "evidence" is an old name for $\log p(x)$. How much is lost? Write $p_\theta(x, k) = p_\theta(k \mid x)\, p_\theta(x)$ and the answer falls out:
#
# $$\log p_\theta(x) = \mathrm{ELBO}(q, \theta) + \mathrm{KL}\big(q \,\|\, p_\theta(z \mid x)\big).$$
#
# The Kullback–Leibler divergence KL is never negative, and it is zero only when $q$ is the posterior. That is the whole algorithm, **EM**:
#
# - **E-step** (expectation): set $q$ to the responsibilities. KL becomes 0, the bound touches $\log p_\theta(x)$.
# - **M-step** (maximization): hold $q$ and raise the bound over θ. Now there is no sum inside the logarithm, and the maximum is a weighted average:
#
# $$N_k = \sum_i r_{ik}, \qquad \pi_k = \frac{N_k}{N}, \qquad \mu_k = \frac{1}{N_k}\sum_i r_{ik}\, x_i, \qquad \Sigma_k = \frac{1}{N_k} \sum_i r_{ik}\, (x_i - \mu_k)(x_i - \mu_k)^\top.$$
#
# The E-step leaves $\log p_\theta$ of the data as it is and makes the bound touch it; the M-step raises the bound, and $\log p_\theta$ lies above it. So each step can only raise $\log p_\theta$ of the data, or leave it. A variational autoencoder climbs the same ELBO; there the E-step becomes a neural network.
#
# ### Where the M-step comes from
#
# With the responsibilities held, the part of the bound that depends on θ is the sum over the data of $\sum_k r_{ik} \log p_\theta(x_i, k)$:
#
# $$Q(\theta) = \sum_i \sum_k r_{ik} \Big( \log \pi_k - \tfrac12 \log \det \Sigma_k - \tfrac12 (x_i - \mu_k)^\top \Sigma_k^{-1} (x_i - \mu_k) \Big) + \text{const}.$$
#
# The weights, the means and the covariances stand in different terms, so each is found on its own.
#
# - **Weights.** We maximize $\sum_k N_k \log \pi_k$ under the constraint $\sum_k \pi_k = 1$. With a Lagrange multiplier λ the derivative of $\sum_k N_k \log \pi_k - \lambda (\sum_k \pi_k - 1)$ in $\pi_k$ is $N_k / \pi_k - \lambda$. It is zero at $\pi_k = N_k / \lambda$, and since the weights sum to one and the $N_k$ to $N$, λ is $N$.
# - **Means.** The derivative of $Q$ in $\mu_k$ is $\Sigma_k^{-1} \sum_i r_{ik} (x_i - \mu_k)$. It is zero when $\sum_i r_{ik}\, x_i = N_k\, \mu_k$: the mean of the points, each counted by its responsibility.
# - **Covariances.** Write $\Lambda = \Sigma_k^{-1}$ and $S = \sum_i r_{ik} (x_i - \mu_k)(x_i - \mu_k)^\top$. Then the terms of component $k$ are $\tfrac12 N_k \log \det \Lambda - \tfrac12 \mathrm{tr}(\Lambda S)$. The derivative of $\log \det \Lambda$ in Λ is $\Lambda^{-1}$, that of $\mathrm{tr}(\Lambda S)$ is $S$. So at the maximum $N_k \Sigma_k = S$.
#
# Both terms in Λ are concave, as are those in $\pi$ and $\mu_k$, so these points are maxima.

# %% [markdown]
# ## 3 · From scratch
#
# The two steps, as written above. One thing is added: everything is done with **logarithms**. A density in many dimensions may be $10^{-400}$, which a computer rounds to 0, and $0 / 0$ is the end of the fit. `logsumexp` computes $\log \sum_k e^{a_k}$ without ever leaving the range of floating-point numbers.


# %%
def log_gaussian(x: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """log N(x_i; μ_k, Σ_k) for all points i and components k, (B, K)."""
    factors = torch.linalg.cholesky(covariances)  # Σ = L Lᵀ, (K, D, D)
    centered = (x[:, None] - means).permute(1, 2, 0)  # (K, D, B)
    standardized = torch.linalg.solve_triangular(
        factors, centered, upper=False
    )  # L⁻¹ (x − μ)
    log_det = 2 * factors.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,)
    dim = x.shape[1]
    return -0.5 * (standardized.square().sum(1).T + log_det + dim * math.log(2 * math.pi))


def e_step(x, weights, means, covariances):
    """Responsibilities (B, K), and log p(x) (B,)."""
    log_joint = weights.log() + log_gaussian(x, means, covariances)  # log p(x, z = k)
    log_evidence = log_joint.logsumexp(1)  # log p(x)
    return (log_joint - log_evidence[:, None]).exp(), log_evidence


def m_step(x, responsibilities):
    """The parameters that maximize the bound for these responsibilities."""
    count = responsibilities.sum(0)  # N_k, (K,)
    means = responsibilities.T @ x / count[:, None]  # (K, D)
    centered = x[:, None] - means  # (B, K, D)
    covariances = (
        torch.einsum("bk,bki,bkj->kij", responsibilities, centered, centered)
        / count[:, None, None]
    )
    return count / len(x), means, covariances


def em(x, weights, means, covariances, steps):
    """Alternate the two steps; also return the mean log-likelihood before each step, and each step's parameters."""
    history, path = [], [(weights, means, covariances)]
    for _ in range(steps):
        responsibilities, log_evidence = e_step(x, *path[-1])
        history.append(log_evidence.mean().item())
        path.append(m_step(x, responsibilities))
    return history, path


# %% [markdown]
# We start it badly on purpose: three equal circles near the middle.

# %%
start = (
    torch.full((3,), 1 / 3, dtype=torch.float64),
    torch.tensor([[-0.5, 0.5], [0.5, 0.5], [0.0, -0.5]], dtype=torch.float64),
    torch.eye(2, dtype=torch.float64).expand(3, 2, 2),
)
history, path = em(x, *start, steps=60)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, sharex=True, sharey=True, figsize=(9, 2.9))
for ax, step in zip(axes, (0, 2, 10, 60), strict=True):
    responsibilities, _ = e_step(x, *path[step])
    colors = np.array(
        [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in PALETTE[:3]]
    )
    ax.scatter(*x.T, s=4, c=responsibilities.numpy() @ colors)
    ellipses(ax, *path[step][1:])
    ax.set(title=f"after {step} steps", aspect="equal")
caption(
    "EM at work. Each point has the mixed colors of those responsible for it; an "
    "ellipse spans two standard deviations."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# A picture that looks right proves little. Five facts must hold, and this notebook stops if one does not.
#
# **First: the likelihood never falls.** That is the theorem of section 2, on this run.

# %%
steps_up = torch.tensor(history).diff()
assert (steps_up >= -1e-12).all(), "EM lowered the likelihood: that cannot happen"

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.plot(history, marker="o", markersize=3)
ax.set(xlabel="EM step", ylabel="mean log p(x) in nats")
caption(
    "The mean log-likelihood only rises: fast, then slowly when EM sorts out the border "
    "between two groups, then not at all."
)

# %% [markdown]
# **Second: the bound.** For one point and a $q$ drawn at random, $\log p(x) = \mathrm{ELBO} + \mathrm{KL}$ to the last digit; with the posterior as $q$ the gap closes.

# %%
weights, means, covariances = path[-1]
log_joint = weights.log() + log_gaussian(x[:1], means, covariances)  # (1, K)
posterior, log_evidence = e_step(x[:1], *path[-1])
q = torch.rand(1, 3, generator=generator, dtype=torch.float64)
q = q / q.sum()


def elbo(q):
    return (q * (log_joint - q.log())).sum()


kl = (q * (q / posterior).log()).sum()
print(f"log p(x) = {log_evidence.item():.6f}")
print(
    f"ELBO(random q) = {elbo(q).item():.6f}, KL(q, posterior) = {kl.item():.6f}, sum = {(elbo(q) + kl).item():.6f}"
)
print(f"ELBO(posterior) = {elbo(posterior).item():.6f}")
assert torch.allclose(elbo(q) + kl, log_evidence)
assert torch.allclose(elbo(posterior), log_evidence)

# %% [markdown]
# **Third: the E-step against enumeration.** For one point there are only K things that z can be. `torch.distributions` gives the probability of each, one by one; Bayes' rule does the rest.

# %%
components = [
    torch.distributions.MultivariateNormal(means[k], covariances[k]) for k in range(3)
]
joint = torch.stack(
    [weights[k] * components[k].log_prob(x).exp() for k in range(3)], dim=1
)  # p(x, z = k)
enumerated = joint / joint.sum(1, keepdim=True)
responsibilities, _ = e_step(x, *path[-1])
largest = (responsibilities - enumerated).abs().max().item()
assert largest < 1e-12
print(f"largest difference between the E-step and enumeration: {largest:.1e}")

# %% [markdown]
# **Fourth: the density integrates to one.** We add it up over a fine grid that reaches far beyond the data. And **autograd** agrees that EM has arrived: at its end, the gradient of the log-likelihood with respect to the means is zero.

# %%
line = torch.linspace(-9, 9, 300, dtype=torch.float64)
grid = torch.cartesian_prod(line, line)
cell = (line[1] - line[0]) ** 2
integral = (e_step(grid, *path[-1])[1].exp().sum() * cell).item()
record("density_integral", integral, kind="exact")
assert abs(integral - 1) < 1e-6

_, longer = em(x, *path[-1], steps=200)
free = longer[-1][1].clone().requires_grad_()
log_likelihood = e_step(x, longer[-1][0], free, longer[-1][2])[1].mean()
[gradient] = torch.autograd.grad(log_likelihood, free)
print(f"largest derivative with respect to a mean: {gradient.abs().max().item():.1e}")
assert gradient.abs().max() < 1e-6

# %% [markdown]
# **Fifth: it finds the truth.** EM numbers the components as it likes, so we first match them to the true ones: the pairing with the smallest total distance between the means.

# %%
from scipy.optimize import linear_sum_assignment

weights, means, covariances = longer[-1]
_, order = linear_sum_assignment(torch.cdist(true_means, means).numpy())
for k, j in enumerate(order):
    found, truth = (", ".join(f"{v:+.2f}" for v in m) for m in (means[j], true_means[k]))
    print(
        f"true weight {true_weights[k]:.2f}, found {weights[j]:.2f};  true mean ({truth}), found ({found})"
    )
mean_error = (means[order] - true_means).norm(dim=1).max().item()
with record_table():
    record("largest_mean_error", mean_error, kind="score")
    agreement = (
        (e_step(x, weights, means, covariances)[0].argmax(1) == torch.as_tensor(order)[z])
        .double()
        .mean()
        .item()
    )
    record("points_in_their_group", agreement, kind="score")

# %% [markdown]
# Not every point goes home: where two groups overlap, the best anyone can do is a good bet. The model knows this. There its responsibilities are near one half.

# %% [markdown]
# ## 5 · How many components?
#
# On the data it was fitted to, a larger K is always at least as likely: more components can only fit better. Two honest ways to choose:
#
# - **Held-out data**: which K makes *new* points likely?
# - **BIC**, the Bayesian information criterion, needs no new data. It charges for parameters: $\mathrm{BIC} = -2 \log p(\text{data}) + P \log N$, where $P$ counts the free parameters. Lower is better.
#
# From here on we use the course's own `GaussianMixture`. It does the same two steps; section 6 shows its code and proves that it agrees with ours.

# %%
from utils.models.mixtures import GaussianMixture

z_new = torch.multinomial(true_weights, 2000, replacement=True, generator=generator)
noise = torch.randn(2000, 2, 1, generator=generator, dtype=torch.float64)
x_new = true_means[z_new] + (torch.linalg.cholesky(true_covariances)[z_new] @ noise)[..., 0]

sizes = range(1, 9)
models = [
    GaussianMixture(k, n_init=5, max_iter=300, generator=generator).fit(x) for k in sizes
]
seen = [model.log_prob(x).mean().item() for model in models]
unseen = [model.log_prob(x_new).mean().item() for model in models]
bic = [model.bic(x) for model in models]
best = sizes[int(np.argmin(bic))]
record("chosen_components", best, kind="score")
assert best == 3

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3))
left.plot(sizes, seen, marker="o", label="the points it was fitted to")
left.plot(sizes, unseen, marker="s", label="new points")
left.set(xlabel="K", ylabel="mean log p(x) in nats")
left.legend()
right.plot(sizes, bic, marker="o", color=PALETTE[2])
right.axvline(best, color="0.7", zorder=0)
right.set(xlabel="K", ylabel="BIC (lower is better)")
caption(
    "Left: the points that were fitted become likelier with every K, new ones do not beyond "
    "K = 3. Right: the BIC is lowest at 3, and needs no new points to say so."
)

# %% [markdown]
# ## 6 · The library's model
#
# [`utils/models/mixtures/gaussian.py`](../../utils/models/mixtures/gaussian.py) does what we did, made safe and fast: it works in blocks, so that memory stays bounded; it restarts; it re-initializes a component that collapses; it knows four shapes of covariance and missing values.
#
# One idea in it is worth seeing. Our `m_step` holds the responsibilities of all points at once, and a tensor `(B, K, D)` of centered points. Neither is needed. The M-step depends on the data only through three sums: $\sum_i r_{ik}$, $\sum_i r_{ik} x_i$ and $\sum_i r_{ik} x_i x_i^\top$. So the E-step can go through the data block by block, add up these sums and forget the responsibilities. The covariance is then a mean of squares minus a square of means. (Far from the origin that subtraction loses digits; the library therefore measures from the mean of the data.)


# %%
def em_step_in_blocks(x, parameters, block: int = 100):
    """One step of EM that never holds more than `block` rows of responsibilities."""
    count = first = second = 0.0
    for rows in x.split(block):
        r, _ = e_step(rows, *parameters)  # (block, K)
        count = count + r.sum(0)
        first = first + r.T @ rows
        second = second + torch.einsum("bk,bi,bj->kij", r, rows, rows)
    means = first / count[:, None]
    covariances = second / count[:, None, None] - means[:, :, None] * means[:, None, :]
    return count / len(x), means, covariances


at_once = m_step(x, e_step(x, *start)[0])
for whole, summed in zip(at_once, em_step_in_blocks(x, start), strict=True):
    assert torch.allclose(whole, summed, atol=1e-12)

# %% [markdown]
# The same start, the same number of steps: our forty lines, the library's model and scikit-learn must give the same numbers. scikit-learn wants the inverse covariances to start from, and all add a tiny ridge to the variances, which we set to zero here.

# %%
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture

steps = 30
ours = e_step(x, *em(x, *start, steps=steps)[1][-1])[1]
library = GaussianMixture(
    3,
    weights_init=start[0],
    means_init=start[1],
    covariances_init=start[2],
    max_iter=steps,
    tol=0.0,
    reg_covar=0.0,
).fit(x)
theirs = SklearnMixture(
    3,
    weights_init=start[0],
    means_init=start[1],
    precisions_init=start[2],
    max_iter=steps,
    tol=0.0,
    reg_covar=0.0,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # we stop it on purpose
    theirs.fit(x)
sklearn = torch.as_tensor(theirs.score_samples(x))
for name, values in (
    ("from scratch", ours),
    ("library", library.log_prob(x)),
    ("scikit-learn", sklearn),
):
    print(f"{name:13s} mean log p(x) = {values.mean().item():.9f}")
assert (ours - library.log_prob(x)).abs().max() < 1e-8
assert (sklearn - library.log_prob(x)).abs().max() < 1e-6
record(
    "difference_to_scikit_learn",
    (sklearn - library.log_prob(x)).abs().max().item(),
    unit="nats",
    kind="exact",
)

# %% [markdown]
# ## 7 · Digits: groups that nobody labeled
#
# Now real data: scanned digits of 8 × 8 pixels, each pixel one of 17 gray values. A Gaussian is a density over real numbers, and pixels are steps. A density can become infinitely high on such steps, so we spread each step out evenly: to each pixel we add noise that is uniform on one step (**dequantization**).
#
# Then the density says something about the pixels themselves. Let $x$ be an image of whole gray values and let a gray step have width 1. The density $p$ of noisy images defines a probability of the image: the mass that lies in its cube, $P(x) = \int_{[0,1)^D} p(x + u)\, du$. These probabilities sum to one over all images, as the cubes fill the space. The integral is the mean of $p(x + u)$ over uniform noise $u$, and by Jensen's inequality the logarithm of a mean is at least the mean of the logarithm:
#
# $$\log P(x) = \log \mathbb E_u\big[p(x + u)\big] \;\ge\; \mathbb E_u\big[\log p(x + u)\big].$$
#
# The right side is what we measure when we add noise to test images and average $\log p$. So it is a lower bound of the log-probability of the gray values: a model cannot win by infinitely high peaks, because a peak narrower than a step holds little of the cube's mass.

# %%
digits = load("digits").flat()
print(digits.describe())


def dequantize(pixels: Tensor) -> Tensor:
    """Gray values 0 … 16 with noise in [0, 1), scaled to [0, 1)."""
    return (pixels * 16 + torch.rand(pixels.shape, generator=generator)).double() / 17


train, test = dequantize(digits.x_train), dequantize(digits.x_test)

# %% jupyter={"source_hidden": true}
images(digits.x_train[:30].reshape(-1, 8, 8), columns=15)
caption("Thirty digits as the model gets them, without their names.")

# %% [markdown]
# How many components, and of what shape? A full covariance of 64 pixels has 2,080 numbers, and we have half as many images to fit them to. So we ask images that were kept aside, a fifth of the training set, the validation images. Three shapes: **full** (each component has its own matrix), **tied** (one matrix for all), **diagonal** (pixels independent, given the component).
#
# We report the negative log-likelihood (NLL), so lower is better.

# %%
ridge = 1e-3
GRAY_STEP = 64 * math.log(
    17
)  # from a density on [0, 1)^64 to one where a gray step has width 1


def nll(log_density) -> float:
    """Mean −log p per image, in nats, where a gray step has width 1."""
    return GRAY_STEP - float(torch.as_tensor(log_density).mean())


def digit_mixture(data: Tensor, k: int, shape: str, starts: int = 1) -> GaussianMixture:
    return GaussianMixture(
        k, shape, reg_covar=ridge, n_init=starts, max_iter=60, generator=generator
    ).fit(data)


kept, fitted_on = train[::5], train[torch.arange(len(train)) % 5 != 0]
sizes = {
    "full": (1, 3, 5, 10, 20),
    "tied": (1, 5, 10, 20, 40, 80),
    "diag": (1, 5, 10, 20, 40, 80, 160),
}
curves = {
    shape: [nll(digit_mixture(fitted_on, k, shape).log_prob(kept)) for k in ks]
    for shape, ks in sizes.items()
}
for shape, ks in sizes.items():
    lowest = int(np.argmin(curves[shape]))
    print(f"{shape}: lowest at K = {ks[lowest]}, {curves[shape][lowest]:.1f} nats")
diagonal_components = sizes["diag"][int(np.argmin(curves["diag"]))]
assert min(curves["diag"]) < min(curves["full"]) < min(curves["tied"])

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 2.8))
for (shape, ks), marker in zip(sizes.items(), "osD", strict=True):
    ax.semilogx(ks, curves[shape], marker=marker, label=shape)
ax.set(
    xlabel="K",
    ylabel="NLL of validation images in nats",
    xticks=(1, 3, 10, 30, 100),
    xticklabels=(1, 3, 10, 30, 100),
)
ax.minorticks_off()
ax.legend()
caption(
    "Few components with full matrices, or many with diagonal ones. Beyond its best K each "
    "full or diagonal mixture has too few images a component, and the NLL rises again."
)

# %% [markdown]
# The lowest NLL of validation images has the *diagonal* mixture with its many components: it is some nats ahead of the best full one. For a density of so few digits, many simple prototypes are the better choice. We go on with ten *full* components all the same, because of what comes later: only a matrix that is not diagonal knows which pixels go together within a component. Both are in the table below, fitted to all training images and with three starts; there, with a quarter more images, the full one has caught up. Three others join them, on the same split and with the same measure:
#
# - **one Gaussian**: the simple baseline;
# - **a kernel density estimate** from scikit-learn: a small Gaussian on *every* training image, its width chosen on the validation images;
# - **scikit-learn's mixture** of the same size.
#
# All values are densities of the same dequantized pixels, and by Jensen's inequality above each is a **bound**: the NLL of the gray values themselves is at most this.

# %%
from sklearn.neighbors import KernelDensity

mixture = digit_mixture(train, digit_components, "full", starts=3)
single = digit_mixture(train, 1, "full")
diagonal = digit_mixture(train, diagonal_components, "diag", starts=3)
widths = [0.1, 0.13, 0.16, 0.2]
scores = [KernelDensity(bandwidth=width).fit(fitted_on).score(kept) for width in widths]
kernel = KernelDensity(bandwidth=widths[int(np.argmax(scores))]).fit(train)
peer = SklearnMixture(
    digit_components, reg_covar=ridge, n_init=3, max_iter=60, random_state=seed
).fit(train)

nlls = {
    "uniform": GRAY_STEP,
    "kernel_density": nll(kernel.score_samples(test)),
    "one_gaussian": nll(single.log_prob(test)),
    "mixture_diagonal": nll(diagonal.log_prob(test)),
    "mixture": nll(mixture.log_prob(test)),
    "mixture_sklearn": nll(peer.score_samples(test)),
}
with record_table():
    for name, value in nlls.items():
        record(
            f"digits_nll_{name}",
            value,
            unit="nats/image",
            kind="exact" if name == "uniform" else "bound",
        )
assert nlls["mixture"] < min(nlls["one_gaussian"], nlls["kernel_density"])
assert abs(nlls["mixture"] - nlls["mixture_diagonal"]) < 4  # the validation gap is gone

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.4))
bars = ax.barh(
    [name.replace("_", " ") for name in nlls],
    list(nlls.values()),
    color=[PALETTE[0] if "mixture" in name else "0.7" for name in nlls],
)
ax.bar_label(bars, fmt=" %.0f")
ax.invert_yaxis()
ax.set(xlabel="NLL of test digits in nats per image (lower is better)")
caption(
    "Blue: mixtures. Each of them is well ahead of one Gaussian, which is ahead of a kernel "
    "on every image."
)

# %% [markdown]
# ### Kinds of digits, found without a label
#
# k-means is a mixture of equal round Gaussians with hard responsibilities. A *tied* mixture also has equal components, but learns their common shape. We fit both with many components and no labels. Then we look: give each component the label that most of its training images carry, and count the *test* images that land in a component of their own label.

# %%
from sklearn.cluster import KMeans


def accuracy(train_group: Tensor, test_group: Tensor) -> float:
    """Share of test images whose group has their label, the group's label being that of its training majority."""
    votes = torch.zeros(digit_kinds, 10)
    votes.index_put_(
        (train_group, digits.y_train), torch.ones(len(train_group)), accumulate=True
    )
    return (votes.argmax(1)[test_group] == digits.y_test).double().mean().item()


kinds = digit_mixture(train, digit_kinds, "tied", starts=2)
groups = kinds.predict_proba(train).argmax(1), kinds.predict_proba(test).argmax(1)
by_mixture = accuracy(*groups)
with record_table():
    record("unlabeled_accuracy_mixture", by_mixture, kind="score")
    kmeans = KMeans(digit_kinds, n_init=2, random_state=seed).fit(train)
    nearest = (
        torch.as_tensor(kmeans.labels_).long(),
        torch.as_tensor(kmeans.predict(test)).long(),
    )
    by_kmeans = accuracy(*nearest)
    record("unlabeled_accuracy_kmeans", by_kmeans, kind="score")
    record(
        "unlabeled_accuracy_one_group",
        accuracy(*(torch.zeros_like(g) for g in groups)),
        kind="score",
    )
assert by_kmeans > by_mixture - 0.02, "k-means was to keep up"

# %% [markdown]
# Here the simpler method is as good or better: k-means needs no covariance, is faster, and finds kinds of digits as pure as ours. To *group* these images, round groups are enough. What the mixture has and k-means has not is a density: it can say how likely an image is, be unsure about a group, draw and complete.

# %%
biggest = kinds.weights.argsort(descending=True)[:20]

# %% jupyter={"source_hidden": true}
images(kinds.means[biggest].reshape(-1, 8, 8), columns=10)
caption(
    "The means of the 20 heaviest components: kinds of digits, and kinds within a digit. "
    "Nobody named them."
)

# %% [markdown]
# ### New digits
#
# To generate, walk through the story of section 2: draw a component, then draw from its Gaussian.

# %%
drawn = {
    "real": test[:36],
    "one Gaussian": single.sample(36, generator),
    f"{digit_components} Gaussians": mixture.sample(36, generator),
}

# %% jupyter={"source_hidden": true}
images(torch.cat(list(drawn.values())).reshape(-1, 8, 8), columns=12, rows=list(drawn))
caption(
    "Samples. Those of one Gaussian are blends of all digits; most of the mixture's can be "
    "read as digits, though they are noisy."
)

# %% [markdown]
# ## 8 · Binary images: the same idea with another component
#
# Nothing in EM needs a Gaussian. For black-and-white images let each component be a table of 784 probabilities, one for each pixel, which is on or off independently of the others **given the component**:
#
# $$p(x) = \sum_k \pi_k \prod_{d=1}^{784} p_{kd}^{x_d} (1 - p_{kd})^{1 - x_d}.$$
#
# These are probabilities of pixels, not densities, so the numbers are **exact**. We fit it to all of MNIST, binarized once at random: each pixel is on with the probability that is its gray value. Baselines: a fair coin for each pixel; one table for all images, which assumes independent pixels; and ten tables made *with* the labels by scikit-learn's `BernoulliNB`.

# %%
from sklearn.naive_bayes import BernoulliNB

from utils.models.mixtures import BernoulliMixture

mnist = load("mnist").binarized(generator).flat()
on = (mnist.x_train.sum(0) + 1) / (len(mnist.x_train) + 2)  # (784,)
pixel_log_prob = mnist.x_test @ on.log() + (1 - mnist.x_test) @ (1 - on).log()
with record_table():
    record("uniform_nll", 784 * math.log(2), unit="nats/image", kind="exact")
    record(
        "pixel_nll", -pixel_log_prob.double().mean().item(), unit="nats/image", kind="exact"
    )

    labeled = BernoulliNB().fit(mnist.x_train, mnist.y_train)
    joint = torch.as_tensor(
        labeled.predict_joint_log_proba(mnist.x_test)
    )  # log p(x, y), (B, 10)
    record(
        "labeled_k10_nll",
        -joint.logsumexp(1).mean().item(),
        unit="nats/image",
        kind="exact",
    )

# %%
bernoulli = BernoulliMixture(
    mnist_components, max_iter=mnist_steps, generator=generator
).fit(mnist.x_train)
bernoulli_nll = -bernoulli.log_prob(mnist.x_test).double().mean().item()
record(f"bernoulli_k{mnist_components}_nll", bernoulli_nll, unit="nats/image", kind="exact")

heaviest = bernoulli.weights.argsort(descending=True)
bernoulli_draws = bernoulli.sample(49, generator).reshape(-1, 28, 28)

# %% jupyter={"source_hidden": true} tags=["picture"]
figure, (left, right) = plt.subplots(1, 2, figsize=(10.6, 5.6))
components = bernoulli.probs[heaviest[:49]].reshape(-1, 28, 28)
images(components, columns=7, title="components", axes=left)
images(bernoulli_draws, columns=7, title="samples", axes=right)
caption(
    "Left: tables of probabilities, ways of writing a digit. Right: draws from them. Given "
    "the component, each pixel is drawn without regard to its neighbors: hence the ragged edges."
)

# %% [markdown]
# Salakhutdinov and Hinton (2009, *Deep Boltzmann machines*) report 142.63 nats for a mixture of 100 Bernoullis on test images of MNIST. Their binarization was another draw and their fit another one, so the two numbers are neighbors, not rivals. The models of the coming chapters will bring the number on this data down a long way.

# %% [markdown]
# ## 9 · What a density is good for
#
# ### Completing what is hidden
#
# Hide the lower half of an image. A Gaussian that is told some coordinates is a Gaussian over the others; a mixture that is told some coordinates is a mixture over the others, with weights that say which components still explain what is seen. `conditional` does both. You will derive it in the exercises.

# %%
hidden = torch.arange(64) >= 32


def complete(model: GaussianMixture, image: Tensor, draw: bool) -> Tensor:
    """The image with its lower half replaced by the conditional mean, or by a draw."""
    rest = model.conditional(image.where(~hidden, torch.nan))
    completed = image.clone()
    completed[hidden] = rest.sample(1, generator)[0] if draw else rest.mean
    return completed


chosen = test[:12]
rows = [chosen, chosen.where(~hidden, torch.nan)]
rows.append(torch.stack([complete(mixture, image, draw=False) for image in chosen]))
rows += [
    torch.stack([complete(mixture, image, draw=True) for image in chosen]) for _ in range(2)
]

guesses = {"mixture": mixture, "mixture_diagonal": diagonal, "one_gaussian": single}
errors = {
    name: torch.stack(
        [(complete(model, image, False) - image)[hidden].square().mean() for image in test]
    ).mean()
    for name, model in guesses.items()
}
assert errors["mixture"] < errors["mixture_diagonal"] < errors["one_gaussian"]
errors["mean_image"] = (train.mean(0) - test)[:, hidden].square().mean()
with record_table():
    for name, value in errors.items():
        record(
            f"completion_error_{name}",
            value.item(),
            unit="mean squared error",
            kind="score",
        )

# %% jupyter={"source_hidden": true}
images(
    torch.cat(rows).reshape(-1, 8, 8),
    columns=12,
    rows=["image", "what is seen", "mean guess", "a draw", "another draw"],
)
caption(
    "From the top: the image; what the model sees (blue is hidden); its mean guess; two "
    "draws. The draws differ where the top leaves a choice."
)

# %% [markdown]
# In the table the diagonal mixture, as good a density as the full one, completes clearly worse. It can only choose among its prototypes, because within a component what is seen says nothing about what is hidden. The full one also bends each prototype to fit the seen half.
#
# ### Values that are missing here and there
#
# In real tables every row misses something else. The same marginals and conditionals make EM exact there too: each point is weighed by what is seen of it, and the M-step adds the spread of what is not. We delete 40 % of our first data set at random and fit on what is left; to fill the holes with the column's mean, as is often done, distorts the density.

# %%
holes = torch.rand(x.shape, generator=generator) < 0.4
holed = x.masked_fill(holes, torch.nan)
filled = holed.where(~holes, holed.nanmean(0))
candidates = {
    "complete": ("nothing missing", x),
    "exact": ("40 % missing, exact EM", holed),
    "filled": ("40 % missing, filled with means", filled),
}
fits = {}
with record_table():
    for key, (name, table) in candidates.items():
        fitted = GaussianMixture(3, n_init=10, max_iter=500, generator=generator).fit(table)
        nll = -fitted.log_prob(x_new).mean().item()
        record(f"new_points_nll_{key}", nll, unit="nats/point", kind="exact")
        fits[name] = fitted

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, sharex=True, sharey=True, figsize=(9, 3.2))
for ax, (name, fitted) in zip(axes, fits.items(), strict=True):
    plane(ax, fitted.log_prob, (-5, -4), (4, 4))
    ellipses(ax, fitted.means, fitted.covariances)
    ax.set(title=name)
caption(
    "Exact EM recovers nearly the same three groups from 60 % of the numbers. Filling in "
    "means puts points where there are none, and components follow them."
)

# %% [markdown]
# ### Outliers
#
# An image that p(x) finds unlikely is suspect. We mix the test digits with digits that were turned by half a turn, and with digits whose pixels were shuffled, and rank all by `log_prob`. The **AUROC** is the chance that a strange image ranks as stranger than a normal one: 0.5 is guessing, 1 is perfect. Beside it: the distance to the mean image (simple) and scikit-learn's `IsolationForest`.

# %%
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

forest = IsolationForest(random_state=seed).fit(train)
shuffled = test[:, torch.randperm(64, generator=generator)]
half_turn = test.flip(1)  # the list of pixels backwards is a rotation by 180°
detectors = {
    "mixture": lambda images: -mixture.log_prob(images),
    "isolation_forest": lambda images: torch.as_tensor(-forest.score_samples(images)),
    "distance_to_mean": lambda images: (images - train.mean(0)).norm(dim=1),
}
is_strange = np.repeat([0, 1], len(test))
with record_table():
    for kind, strange in (("shuffled", shuffled), ("half_turn", half_turn)):
        for name, detect in detectors.items():
            score = roc_auc_score(is_strange, detect(torch.cat([test, strange])))
            record(f"auroc_{kind}_{name}", score, kind="score")

order = mixture.log_prob(test).argsort()

# %% jupyter={"source_hidden": true}
images(
    test[torch.cat([order[:24], order[-24:]])].reshape(-1, 8, 8),
    columns=12,
    rows=["least likely", "most likely"],
)
caption(
    "The least likely test digits are written in unusual ways or badly framed; the most "
    "likely are plain."
)

# %% [markdown]
# Shuffled pixels are found by all three detectors: any of them will do. Half a turn is harder, and only the mixture is good at it. That it is harder is right: half a turn makes a 0, 1 or 8 of itself, and a 6 of a 9. What p(x) calls strange is what the training data made rare, nothing else.

# %% [markdown]
# ## 10 · Where it fails, and the cures
#
# ### A component that collapses
#
# The likelihood of a Gaussian mixture has **no maximum**. Put one component on a single data point and let its variance go to zero: the density there grows without limit, and so does the likelihood. First we take the healthy fit of section 4, add a fourth component with a small weight on the loneliest point, and shrink it by hand. Then we start our own EM with one small component there.

# %%
lonely = x[
    torch.cdist(x, x).topk(2, largest=False).values[:, 1].argmax()
]  # the point farthest from all others
healthy = longer[-1]  # weights, means, covariances of the three groups
share = 1 / len(x)
four = (
    torch.cat([(1 - share) * healthy[0], torch.tensor([share], dtype=torch.float64)]),
    torch.cat([healthy[1], lonely[None]]),
)
variances, gains = np.logspace(0, -60, 61), []
for variance in variances:
    shrunk = torch.cat([healthy[2], variance * torch.eye(2, dtype=torch.float64)[None]])
    gain = e_step(x, *four, shrunk)[1].mean() - e_step(x, *healthy)[1].mean()
    gains.append(gain.item())
slope = (gains[-1] - gains[-11]) / 10  # nats a point for each tenth of the variance
print(
    f"each tenth of the variance adds {len(x) * slope:.3f} nats; ln 10 = {math.log(10):.3f}"
)
assert abs(len(x) * slope - math.log(10)) < 1e-3 and gains[-1] > 0.1

trap = (start[0], torch.stack([lonely, *true_means[1:]]), start[2].clone())
trap[2][0] *= 0.005
fits = [trap]
try:
    while len(fits) < 30:
        responsibilities, log_evidence = e_step(x, *fits[-1])
        variance = fits[-1][2][0].diagonal().mean().item()
        print(
            f"step {len(fits) - 1}: mean log p(x) = {log_evidence.mean():.4f}, variance {variance:.1e}"
        )
        fits.append(m_step(x, responsibilities))
except torch.linalg.LinAlgError:
    print(
        f"step {len(fits) - 1}: variance {fits[-1][2][0].diagonal().mean():.1e}, no Cholesky factor: the fit is dead"
    )
cured = GaussianMixture(
    3,
    weights_init=trap[0],
    means_init=trap[1],
    covariances_init=trap[2],
    max_iter=200,
    generator=generator,
).fit(x)
for event in cured.reinitialized:
    print(
        f"library, step {event.step}: component {event.component} began anew ({event.reason})"
    )
assert cured.reinitialized
assert torch.isfinite(cured.log_prob(x)).all()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9, 2.9))
for ax, (means, covariances), name in zip(
    axes,
    (trap[1:], (cured.means, cured.covariances)),
    ("the trap", "re-initialized by the library"),
    strict=False,
):
    ax.scatter(*x.T, s=4, color="0.6")
    ellipses(ax, means, covariances)
    ax.set(title=name)
axes[2].semilogx(variances, gains, color=PALETTE[4])
axes[2].axhline(0, color="0.6", linewidth=0.8)
axes[2].invert_xaxis()
axes[2].set(xlabel="variance on one point", title="gain in mean log p(x)")
axes[2].set_xticks([1, 1e-20, 1e-40, 1e-60])
caption(
    "Left: the small blue component falls onto its one point within two steps, and the fit "
    "from scratch dies. Middle: the library moves it and goes on. Right: the likelihood of "
    "four components, above the healthy fit, rises for ever as one of them shrinks."
)

# %% [markdown]
# In two dimensions the density at the middle of a round Gaussian is $1 / (2 \pi \sigma^2)$. So each time the variance falls to a tenth, the log-likelihood of the data gains $\ln 10$ nats, and nothing ever stops it: the straight line on the right. A fit with a higher likelihood than the healthy one, and of no use.
#
# The cures: a small ridge on the variances (`reg_covar`), and moving a collapsed component to a point that is badly explained (`reinitialized` tells when it happened). Neither is hidden: a model that had to be fixed says so.
#
# ### A bad start
#
# EM climbs, but only to the nearest top. Two means that start in the same group may share it for ever, and one component then has to cover the two other groups.

# %%
bad_means = torch.tensor([[-2.2, -0.4], [-0.8, 0.4], [1.3, 0.0]], dtype=torch.float64)
stuck = GaussianMixture(
    3,
    "spherical",
    means_init=bad_means,
    covariances_init=torch.full((3,), 0.1),
    max_iter=500,
    tol=1e-9,
).fit(x)
free = GaussianMixture(
    3, "spherical", n_init=10, max_iter=500, tol=1e-9, generator=generator
).fit(x)
record(
    "cost_of_a_bad_start",
    (free.log_prob(x) - stuck.log_prob(x)).mean().item(),
    unit="nats/point",
    kind="score",
)
assert free.log_prob(x).mean() > stuck.log_prob(x).mean() + 0.03

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(8, 3.4))
for ax, model, name in zip(
    axes, (stuck, free), ("a bad start", "best of 10 starts"), strict=True
):
    ax.scatter(*x.T, s=4, color="0.6")
    ellipses(ax, model.means, model.covariances[:, None, None] * torch.eye(2))
    ax.set(title=f"{name}: {model.log_prob(x).mean().item():.3f} nats", aspect="equal")
caption(
    "Two local maxima of one likelihood, with round components. EM never leaves the left "
    "one; more starts find the right one."
)

# %% [markdown]
# ### Labels that switch
#
# Nothing in p(x) says which component is "the first". Two fits can be equally good, equal even as densities, and number the groups differently. So never average parameters over fits, and never say "component 2" without looking.

# %%
fits = [
    GaussianMixture(
        3, max_iter=1000, tol=1e-12, generator=torch.Generator().manual_seed(s)
    ).fit(x)
    for s in range(4)
]
for number, fit in enumerate(fits):
    first_coordinates = ", ".join(f"{m:+.2f}" for m in fit.means[:, 0])
    print(
        f"fit {number}: {fit.log_prob(x).mean().item():.6f} nats, first coordinate of each mean: {first_coordinates}"
    )

average = torch.stack([fit.means for fit in fits]).mean(0)
_, order = linear_sum_assignment(torch.cdist(fits[0].means, fits[1].means).numpy())
largest = (fits[0].means - fits[1].means[order]).abs().max().item()
print(f"after matching, the means of fits 0 and 1 differ by at most {largest:.1e}")
nearest = torch.cdist(average, fits[0].means).min(1).values
print(
    f"distance of each averaged mean to the nearest real one: {', '.join(f'{d:.2f}' for d in nearest)}"
)
assert largest < 1e-3

# %% [markdown]
# ## 11 · What this family is good and bad at
#
# A mixture is the first model to try when data are few. Its limit is that a component is one blurred prototype.

# %%
from utils.families import families

families("04")

# %% [markdown]
# ## 12 · Remember
#
# 1. A mixture is a story: draw a hidden component, then draw the data from it. `p(x)` sums the hidden part out.
# 2. Responsibilities are the posterior of the hidden part. For each point they sum to one.
# 3. EM climbs the ELBO: the E-step closes the gap to `log p(x)`, the M-step raises the bound. The likelihood never falls.
# 4. One density clusters, generates, completes and flags. Judge it on data it has not seen.
# 5. It can collapse, get stuck and renumber itself. Add a ridge, restart, match before you compare.
#
# **Exercises**: `course start 04`, then open `work/04_gaussian_mixtures/exercises.ipynb`. You write each part of this chapter yourself and are told at once what is wrong.
#
# **Further reading**
# - A. P. Dempster, N. M. Laird, D. B. Rubin: *Maximum likelihood from incomplete data via the EM algorithm*, Journal of the Royal Statistical Society B, 1977.
# - R. M. Neal, G. E. Hinton: *A view of the EM algorithm that justifies incremental, sparse, and other variants*, in Learning in Graphical Models, 1998: EM as climbing one function of q and θ.
# - C. Bishop: *Pattern Recognition and Machine Learning*, 2006, chapter 9.
# - R. Salakhutdinov, G. Hinton: *Deep Boltzmann machines*, AISTATS 2009: the mixture of Bernoullis as a baseline on MNIST.
# - C. Jin, Y. Zhang, S. Balakrishnan, M. J. Wainwright, M. I. Jordan: *Local maxima in the likelihood of Gaussian mixture models*, 2016, arXiv:1609.00978: bad tops exist even for well-separated groups.
# - E. Richardson, Y. Weiss: *On GANs and GMMs*, 2018, arXiv:1805.12462: how far mixtures go on full-size pictures.
