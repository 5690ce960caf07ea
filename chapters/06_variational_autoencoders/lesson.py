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
# # 6 · Variational autoencoders
#
# **Give every picture an address on a smooth map, and draw new pictures from addresses nobody has used.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 125 minutes; what is marked *optional* takes 70 more | under two minutes, two cores | chapters 2 and 4; what a neural network is | derive the bound in two ways and the price of a code in closed form; write a variational autoencoder in forty lines and test it against exact answers; estimate a likelihood; draw and walk in the space of codes; see a code die and revive it |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# A mixture puts each image into one of $K$ boxes. A variational autoencoder, **VAE**, puts it at a point of a space where near points are similar images, and one network draws the image of any point. The price is an integral that nobody can do. This chapter does without it, and measures what that costs.

# %% tags=["parameters"]
seed = 6
tiny_points = 1000
tiny_steps = 1200
latent = 32
hidden = 500
epochs = 10
iwae_images = 500
iwae_samples = 500
side_epochs = 3

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import LowRankMultivariateNormal, Normal, kl_divergence
from torch.nn import functional as F

from utils.data import load
from utils.diagrams import Box, Maps, diagram
from utils.nets import mlp
from utils.plots import PALETTE, caption, images, plane
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)


def randn(*shape: int) -> Tensor:
    """Standard normal numbers from the lesson's own generator."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


# %% [markdown]
# ## 1 · From boxes to a map
#
# In chapter 4 a component $z \in \{1, \dots, K\}$ was drawn, then $x$ from its Gaussian. Now let $z$ be a **real number**, drawn from a standard Gaussian, and let a function $f$ say where its Gaussian sits:
#
# $$z \sim \mathcal N(0, 1), \qquad x \mid z \sim \mathcal N(f(z), \sigma^2 I).$$
#
# We choose a wave, $f(z) = (z, \sin \tfrac32 z)$, and $\sigma = 0.15$. A mixture whose $K$ means lie along the wave comes close as $K$ grows. The limit is the new model: infinitely many components, which share one function.

# %%
noise_level = 0.15
normal = Normal(torch.zeros((), dtype=torch.float64), 1.0)


def wave(z: Tensor) -> Tensor:
    """(..., 1) -> (..., 2)"""
    return torch.cat([z, (1.5 * z).sin()], dim=-1)


def log_mixture(x: Tensor, means: Tensor, sigma: float) -> Tensor:
    """log of the mean over k of N(x; means_k, σ² I), (B,)."""
    squares = torch.cdist(x, means, compute_mode="donot_use_mm_for_euclid_dist").square()
    log_each = -0.5 * squares / sigma**2 - x.shape[1] * math.log(
        sigma * math.sqrt(2 * math.pi)
    )
    return log_each.logsumexp(1) - math.log(len(means))


def even_draws(k: int) -> Tensor:
    """k values of z that share N(0, 1) evenly between them, (k, 1)."""
    shares = (torch.arange(k, dtype=torch.float64) + 0.5) / k
    return normal.icdf(shares)[:, None]


z = randn(tiny_points, 1)
x = wave(z) + noise_level * randn(tiny_points, 2)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, sharex=True, sharey=True, figsize=(10, 2.7))
axes[0].scatter(*x.T, s=3, color="0.4")
axes[0].set(title="data", aspect="equal")
for ax, k in zip(axes[1:], (6, 20, 1000), strict=True):
    means = wave(even_draws(k))
    plane(ax, lambda x, means=means: log_mixture(x, means, noise_level), (-3, -2), (3, 2))
    ax.set(title=f"{k} components")
axes[0].set(xlim=(-3, 3), ylim=(-2, 2))
caption(
    "A mixture along a curve. With more and more components the boxes melt into one "
    "smooth ridge, and z becomes a position on it."
)

# %% [markdown]
# Two things are new, and both are learned. A neural network, the **decoder**, takes the place of $f$, which we shall not know. And a second network, the **encoder**, says which $z$ stands behind each $x$.

# %% [markdown]
# ## 2 · The mathematics
#
# ### Why the integral is hard
#
# The sum over components becomes an integral over $z \in \mathbb R^L$; $L$ is the size of the code:
#
# $$p_\theta(x) = \int p(z)\, p_\theta(x \mid z)\, dz, \qquad p(z) = \mathcal N(z; 0, I).$$
#
# $\theta$ stands for all weights of the decoder. An integral against $p(z)$ is a mean, so why not draw $z_1, \dots, z_n$ from the prior and average $p_\theta(x \mid z_s)$? It is right on average. But almost no $z$ explains $x$, and in many dimensions a draw that does practically never comes.
#
# **Importance sampling** draws from a better place $q(z)$ and corrects for it: average the weights $p(z)\, p_\theta(x \mid z) / q(z)$. With a linear $f(z) = Wz$ the truth is known, $x \sim \mathcal N(0, W W^\top + \sigma^2 I)$, so we can see both at work. As $q$ we take the posterior, made one and a half times as wide.


# %%
def shortfalls(size: int, n: int = 5000, points: int = 20) -> tuple[Tensor, Tensor]:
    """Estimate − truth of log p(x), mean over the points, after 1 … n draws: from p(z), "
    "from q(z)."""
    dim, sigma = 2 * size, 0.3
    W = torch.linalg.qr(randn(dim, size)).Q  # (D, L), columns of length 1
    x = randn(points, size) @ W.T + sigma * randn(points, dim)
    spread = torch.full((dim,), sigma**2, dtype=torch.float64)
    truth = LowRankMultivariateNormal(torch.zeros_like(spread), W, spread).log_prob(x)
    posterior = Normal(x @ W / (1 + sigma**2), sigma / math.sqrt(1 + sigma**2))
    rough = Normal(posterior.mean, 1.5 * posterior.stddev)  # (points, L)

    from_prior = randn(n, 1, size)
    from_rough = rough.mean + rough.stddev * randn(n, points, size)
    log_weights = [
        Normal(from_prior @ W.T, sigma).log_prob(x).sum(2),
        Normal(from_rough @ W.T, sigma).log_prob(x).sum(2)
        + (normal.log_prob(from_rough) - rough.log_prob(from_rough)).sum(2),
    ]
    count = torch.arange(1, n + 1, dtype=torch.float64).log()[:, None]
    estimates = [w.logcumsumexp(0) - count for w in log_weights]  # (n, points)
    return tuple((estimate - truth).mean(1) for estimate in estimates)


sizes = (1, 2, 4, 8, 16)
shortfall = {
    size: shortfalls(size) for size in sizes
}  # L → from the prior, near the posterior
both = shortfall[sizes[-1]]
with record_table():
    for name, curve in zip(("prior", "posterior"), both, strict=True):
        record(f"shortfall_{name}_draws", curve[-1].item(), unit="nats", kind="score")
assert both[0][-1] < -3 < -0.3 < both[1][-1] < 0.3

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 2.8))
for (size, curves), color in zip(shortfall.items(), PALETTE, strict=False):
    for ax, curve in zip(axes, curves, strict=True):
        ax.semilogx(range(1, len(curve) + 1), curve, color=color, label=f"L = {size}")
axes[0].set(
    ylabel="estimate − log p(x), nats", title="draws from the prior", xlabel="draws"
)
axes[1].set(title="draws from near the posterior", xlabel="draws", ylim=(-80, 5))
axes[0].legend(fontsize=8)
caption(
    "Left: in 16 dimensions thousands of draws from the prior miss log p(x) by many nats. "
    "Right: with draws near the posterior a few suffice."
)

# %% [markdown]
# The integral is easy for whoever knows roughly where the posterior $p_\theta(z \mid x)$ is. The encoder will learn that.
#
# ### The bound, first derivation: Jensen
#
# Let $q(z)$ be any density. Multiply and divide by it, and use that the logarithm of a mean is at least the mean of the logarithm:
#
# $$\log p_\theta(x) = \log \mathbb E_{q}\!\left[\frac{p(z)\, p_\theta(x \mid z)}{q(z)}\right] \;\ge\; \mathbb E_{q}\!\left[\log \frac{p(z)\, p_\theta(x \mid z)}{q(z)}\right] =: \mathrm{ELBO}.$$
#
# It is the evidence lower bound of chapter 4, with an integral for the sum. Inside stands the log of an importance weight; if all weights are equal, nothing is lost.
#
# ### Second derivation: the distance to the posterior
#
# How much is lost? Put $p(z)\, p_\theta(x \mid z) = p_\theta(z \mid x)\, p_\theta(x)$ into the line above:
#
# $$\mathrm{ELBO} = \log p_\theta(x) - \mathrm{KL}\big(q(z) \,\|\, p_\theta(z \mid x)\big).$$
#
# The loss is exactly the divergence from $q$ to the true posterior. Raising the ELBO over $q$ moves $q$ to the posterior; raising it over $\theta$ makes the data likelier, or the posterior easier to match. The latter can go wrong, as section 12 shows.
#
# ### Two terms with a meaning
#
# Sort the logarithm in another way and the ELBO becomes something one can program:
#
# $$\mathrm{ELBO} = \underbrace{\mathbb E_{q}\big[\log p_\theta(x \mid z)\big]}_{\text{reconstruction}} \;-\; \underbrace{\mathrm{KL}\big(q(z) \,\|\, p(z)\big)}_{\text{price of the code}}.$$
#
# The first term wants codes from which $x$ can be rebuilt. The second wants codes that look like the prior: each nat by which the code of $x$ stands out is paid for.
#
# ### Encoder, probabilistic bottleneck, decoder
#
# For $q$ we take a Gaussian for each image, with a mean and a variance for each of the $L$ numbers of the code. A network with weights $\phi$, the **encoder**, computes them from $x$:
#
# $$q_\phi(z \mid x) = \mathcal N\big(z;\, \mu_\phi(x),\, \operatorname{diag} \sigma^2_\phi(x)\big).$$
#
# The **bottleneck** is not a vector but a distribution, from which $z$ is drawn. The **decoder** turns $z$ into a distribution of $x$. A plain autoencoder has no noise in the middle and may place codes anywhere, with empty space between them. Here noise forces neighbors in code space to decode to much the same, and the price keeps codes where the prior puts its draws. So one can draw from a VAE, and not from a plain autoencoder.
#
# ### The price of a code in closed form
#
# Both Gaussians have independent coordinates, so the divergence is a sum over the $L$ numbers of the code. Take one, with mean $\mu$ and variance $\sigma^2$, and write both densities down; their $\log \sqrt{2\pi}$ cancel:
#
# $$\mathrm{KL} = \mathbb E_q\big[\log q(z) - \log p(z)\big] = \mathbb E_q\Big[-\tfrac12 \log \sigma^2 - \frac{(z - \mu)^2}{2 \sigma^2} + \tfrac12 z^2\Big].$$
#
# Under $q$ the mean of $(z - \mu)^2$ is the variance $\sigma^2$, and the mean of $z^2$ is $\mu^2 + \sigma^2$. Put both in, and add over the numbers of the code:
#
# $$\mathrm{KL} = \tfrac12 \sum_{l=1}^L \big(\mu_l^2 + \sigma_l^2 - 1 - \log \sigma_l^2\big).$$
#
# A mean away from 0 costs its square. A variance other than 1 costs, too: $s - 1 - \log s \ge 0$, with 0 only at $s = 1$. A number that costs nothing has the prior as its distribution for every image, and says nothing. Exercise 6.1 does the same for any two Gaussians.
#
# ### Amortization
#
# EM computed a posterior anew for each data point. Here one network answers for all: the cost of inference is paid once, in training, and **amortized** over all images to come, each of which needs one pass. The answer may be worse than one found for this image alone; section 8 measures by how much.
#
# ### A gradient through a random draw
#
# To train $\phi$ we need the gradient of $\mathbb E_{q_\phi}[g(z)]$, where $\phi$ is in the distribution. Two ways:
#
# - **Score function**: $\nabla_\phi \mathbb E_{q_\phi}[g(z)] = \mathbb E_{q_\phi}[g(z)\, \nabla_\phi \log q_\phi(z)]$. It needs only values of $g$, and works for any $q$, even for discrete $z$.
# - **Reparameterization**: write the draw as $z = \mu + \sigma \varepsilon$ with $\varepsilon \sim \mathcal N(0, I)$. The randomness has no parameters, so the gradient goes through: $\nabla_\phi \mathbb E_\varepsilon[g(\mu + \sigma\varepsilon)] = \mathbb E_\varepsilon[\nabla_\phi\, g(\mu + \sigma \varepsilon)]$. It uses the slope of $g$.
#
# Both are right on average. Section 5 measures how they scatter.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 1.9))
boxes = {
    "x": Box(0, 0, "image\n$x$"),
    "encoder": Box(1, 0, "encoder\n$\\phi$", "network"),
    "mean": Box(2, 1, "mean $\\mu$", "latent"),
    "deviation": Box(2, -1, "deviation $\\sigma$", "latent"),
    "noise": Box(3.1, -1, "noise $\\varepsilon$"),
    "z": Box(3.1, 0.4, "$z = \\mu + \\sigma\\varepsilon$", "latent"),
    "decoder": Box(4.2, 0.4, "decoder\n$\\theta$", "network"),
    "p": Box(5.4, 0.4, "$p_\\theta(x\\,|\\,z)$"),
}
arrows = [
    ("x", "encoder"),
    ("encoder", "mean"),
    ("encoder", "deviation"),
    ("mean", "z"),
    ("deviation", "z"),
    ("noise", "z"),
    ("z", "decoder"),
    ("decoder", "p"),
]
diagram(ax, boxes, arrows)
caption(
    "A variational autoencoder: the encoder gives each image a Gaussian of codes, one "
    "code is drawn "
    "from it, and the decoder gives each pixel of the image a probability."
)

# %% [markdown]
# ## 3 · From scratch
#
# The whole method, for points in the plane and a code of one number. Everything is in `elbo`: encode, draw, decode, and two terms. `mlp(2, 32, 32, 2)` is a network with two hidden layers of 32 units.


# %%
class TinyVAE(nn.Module):
    """A code z of one number for points x in the plane; x given z is Gaussian."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.encoder = mlp(2, width, width, 2, activation=nn.Tanh)
        self.decoder = mlp(1, width, width, 2, activation=nn.Tanh)
        self.log_variance = nn.Parameter(torch.zeros(()))  # of x given z

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z); z (..., 1), x (..., 2) -> (...)"""
        sigma = (0.5 * self.log_variance).exp()
        return Normal(self.decoder(z), sigma).log_prob(x).sum(-1)

    def elbo(self, x: Tensor, noise: Tensor) -> Tensor:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)  # each (B, 1)
        z = mean + (0.5 * log_variance).exp() * noise  # the reparameterized draw
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return self.log_likelihood(x, z) - kl


def train(model: TinyVAE, x: Tensor, steps: int) -> list[float]:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    history = []
    for _ in range(steps):
        rows = torch.randint(len(x), (200,), generator=generator)
        loss = -model.elbo(x[rows], randn(200, 1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        history.append(-loss.item())
    return history


torch.manual_seed(seed)
tiny = TinyVAE().double()
history = train(tiny, x, tiny_steps)

# %%
with torch.no_grad():
    ridge = even_draws(1000)
    x_sampled = tiny.decoder(randn(tiny_points, 1))
    x_sampled += (0.5 * tiny.log_variance).exp() * randn(tiny_points, 2)
    codes = tiny.encoder(x)[:, :1]
    curve = tiny.decoder(ridge)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.5, 2.5))
axes[0].plot(history, linewidth=0.5)
axes[0].set(title="ELBO, nats", xlabel="step", ylim=(-4, 0))
axes[1].scatter(*x[:300].T, s=3, c=codes[:300, 0], cmap="viridis")
axes[1].plot(*curve.T, color="black")
axes[1].set(title="learned curve, codes as colors")
axes[2].scatter(*x_sampled[:300].T, s=3, color="0.4")
axes[2].set(title="samples")
axes[3].scatter(z[:300], codes[:300], s=3)
axes[3].set(title="its code, the true z", xlabel="true z")
for ax in axes[1:3]:
    ax.set(xlim=(-3, 3), ylim=(-2, 2), aspect="equal")
caption(
    "The decoder has found the wave, and the encoder says where on it a point lies: "
    "the true z, up to direction and scale. Nobody told it."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# **First: the closed form of the KL term**, against `torch.distributions`.

# %%
mean, log_variance = randn(1000), randn(1000)
ours = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
theirs = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), normal)
kl_error = (ours - theirs).abs().max().item()
print(f"largest difference: {kl_error:.1e} nats")
assert kl_error < 1e-12

# %% [markdown]
# **Second: the gradient.** With the noise $\varepsilon$ held still, the loss is an ordinary function of the weights, and each derivative can be measured by moving one weight a little to either side.

# %%
from torch.nn.utils import parameters_to_vector, vector_to_parameters

few, noise = x[:50], randn(50, 1)
gradients = torch.autograd.grad(tiny.elbo(few, noise).mean(), tiny.parameters())
autograd = parameters_to_vector(gradients)
weights = parameters_to_vector(tiny.parameters()).detach()
measured, step = torch.empty_like(weights), 1e-6
with torch.no_grad():
    for i in range(len(weights)):
        sides = []
        for sign in (1, -1):
            moved = weights.clone()
            moved[i] += sign * step
            vector_to_parameters(moved, tiny.parameters())
            sides.append(tiny.elbo(few, noise).mean())
        measured[i] = (sides[0] - sides[1]) / (2 * step)
    vector_to_parameters(weights, tiny.parameters())
gradient_error = ((measured - autograd).norm() / autograd.norm()).item()
print(f"{len(weights)} weights, relative difference of the gradients: {gradient_error:.1e}")
assert gradient_error < 1e-5

# %% [markdown]
# **Third: the bound and its gap.** With one number in the code we *can* do the integral, on a fine grid, and see whether ELBO, divergence and $\log p_\theta(x)$ of each point belong together as the second derivation says.

# %%
grid = torch.linspace(-8, 8, 6001, dtype=torch.float64)  # z
cell = (grid[1] - grid[0]).log()


@torch.no_grad()
def integrals(model: TinyVAE, x: Tensor) -> dict[str, Tensor]:
    """What section 2 speaks of, by numerical integration over z."""
    log_joint = model.log_likelihood(x[:, None], grid[:, None]) + normal.log_prob(grid)
    log_p = log_joint.logsumexp(1) + cell
    log_posterior = log_joint - log_p[:, None]
    mean, log_variance = model.encoder(x).chunk(2, dim=1)
    log_q = Normal(mean, (0.5 * log_variance).exp()).log_prob(grid)
    q = (log_q + cell).exp()
    return {
        "log_p": log_p,
        "elbo": (q * (log_joint - log_q)).sum(1),
        "kl": (q * (log_q - log_posterior)).sum(1),
        "log_posterior": log_posterior,
        "log_q": log_q,
    }


z_new = randn(500, 1)
x_new = wave(z_new) + noise_level * randn(500, 2)
exact = integrals(tiny, x_new)
identity = (exact["log_p"] - exact["elbo"] - exact["kl"]).abs().max().item()
drawn = torch.stack([tiny.elbo(x_new, randn(500, 1)).detach() for _ in range(500)]).mean(0)
print(f"log p(x) = ELBO + KL(q, posterior), but for {identity:.1e}")
print(f"mean ELBO: {exact['elbo'].mean():.4f} integrated, {drawn.mean():.4f} drawn")
assert identity < 1e-6
assert (exact["kl"] > -1e-9).all()
assert abs(drawn.mean() - exact["elbo"].mean()) < 0.02

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(7.8, 2.3))
order = exact["kl"].argsort()
for ax, i, name in zip(
    axes, order[[0, 250, 499]], ("smallest", "median", "largest"), strict=True
):
    ax.plot(grid, exact["log_posterior"][i].exp(), label="posterior", color="0.3")
    ax.plot(grid, exact["log_q"][i].exp(), "--", label="q(z | x)", color=PALETTE[4])
    middle = grid[exact["log_q"][i].argmax()]
    ax.set(title=f"{name} gap: {exact['kl'][i]:.3f} nats", xlabel="z", yticks=[])
    ax.set(xlim=(middle - 0.6, middle + 0.6))
axes[0].legend(fontsize=8, loc="upper left")
caption(
    "The true posterior of a point, integrated, and the encoder's Gaussian. What differs "
    "between the two curves is what the bound loses there."
)

# %% [markdown]
# **Fourth: it is a density, and nearly the right one.** It integrates to 1 over the plane. On new points its exact likelihood stands beside that of the true wave, which nothing can beat on average, and of one Gaussian, a simple baseline.

# %%
from utils.models.mixtures import GaussianMixture

with torch.no_grad():
    side = torch.linspace(-7, 7, 200, dtype=torch.float64)
    places = torch.cartesian_prod(side, side)
    means, sigma = tiny.decoder(ridge), (0.5 * tiny.log_variance).exp().item()
    integral = log_mixture(places, means, sigma).exp().sum() * (side[1] - side[0]) ** 2
assert abs(integral - 1) < 0.01
tiny_nll = {
    "truth": -log_mixture(x_new, wave(even_draws(4000)), noise_level),
    "vae": -exact["log_p"],
    "vae_bound": -exact["elbo"],
    "one_gaussian": -GaussianMixture(1).fit(x).log_prob(x_new),
}
print(f"the density integrates to {integral:.4f}")
with record_table():
    for name, value in tiny_nll.items():
        kind = "bound" if name == "vae_bound" else "exact"
        record(f"tiny_nll_{name}", value.mean().item(), unit="nats/point", kind=kind)
means = {name: value.mean() for name, value in tiny_nll.items()}
assert means["vae"] < means["truth"] + 0.15
assert means["vae"] <= means["vae_bound"] < means["one_gaussian"] - 0.3

# %% [markdown]
# **Fifth: the linear VAE.** If encoder and decoder are linear, the model is **probabilistic PCA** (Tipping and Bishop, 1999): $x = Wz + b + \sigma\varepsilon$. Its best likelihood is known from the eigenvalues of the covariance. Its posterior is Gaussian, so $q$ can match it, and the best ELBO must equal that likelihood. The mean over $z$ has a closed form, too: $\mathbb E_q \|x - Wz - b\|^2 = \|x - W\mu - b\|^2 + \sum_l \|w_l\|^2 \sigma_l^2$, where $w_l$ is a column of $W$, so the gap is exact. scikit-learn's `PCA` knows the same likelihood.

# %%
from sklearn.decomposition import PCA

from utils.models.vae import fit_ppca, linear_vae, ppca_log_prob

W = randn(5, 2) * torch.tensor([2.0, 1.0], dtype=torch.float64)
flat = (
    1 + randn(500, 2) @ W.T + 0.5 * randn(500, 5)
)  # a plane in five dimensions, with noise
best = ppca_log_prob(flat, *fit_ppca(flat, 2)).mean().item()
sklearn_best = PCA(2).fit(flat.numpy()).score(flat.numpy())

torch.manual_seed(seed)
linear = linear_vae(5, 2).double()
linear.fit(flat, epochs=500, batch_size=100, lr=0.1, seed=seed)
with torch.no_grad():
    mean, log_variance = linear.encode(flat)
    variance = linear.log_variance.exp()
    columns = linear.decoder.weight.square().sum(0)  # |w_l|², (L,)
    squares = (flat - linear.decoder(mean)).square().sum(1) + log_variance.exp() @ columns
    likelihood = -0.5 * (squares / variance + 5 * (2 * math.pi * variance).log())
    elbo = (
        likelihood - kl_divergence(Normal(mean, (0.5 * log_variance).exp()), normal).sum(1)
    ).mean()
record("ppca_gap", best - elbo.item(), unit="nats/point", kind="exact")
print(
    f"log-likelihood: closed form {best:.5f}, scikit-learn {sklearn_best:.5f}; ELBO {elbo:.5f}"
)
assert 0 <= best - elbo < 0.01
assert abs(best - sklearn_best) < 1e-4  # scikit-learn divides by N − 1, we by N

# %% [markdown]
# The bound comes from below and stops just under the exact value: training by small random steps finds what the eigenvalues say.

# %% [markdown]
# ## 5 · Two gradients, and how they scatter (*optional*)
#
# A gradient that is right on average may still be useless. Take $g(z) = -\frac12 \|z\|^2$ and $q = \mathcal N(\mu, I)$ at $\mu = 0$. The true derivative with respect to $\mu_1$ is 0, so all we see is scatter, and its variance has a closed form for both ways:
#
# | estimator of the derivative | one draw gives | variance |
# |---|---|---|
# | reparameterization | $-\varepsilon_1$ | $1$ |
# | score function | $g(\varepsilon)\, \varepsilon_1$ | $(L+2)(L+4)/4$ |
# | score function with a **baseline** | $\big(g(\varepsilon) - \mathbb E g\big)\, \varepsilon_1$ | $(L+4)/2$ |
#
# To subtract a constant from $g$ leaves the score function's mean as it is, because $\mathbb E[\nabla_\phi \log q] = 0$. It is the oldest trick against scatter. The measurement must agree with the formulas.

# %%
sizes = [1, 2, 4, 8, 16, 32, 64]
formulas = {
    "score function": lambda size: (size + 2) * (size + 4) / 4,
    "score function with baseline": lambda size: (size + 4) / 2,
    "reparameterization": lambda size: 1.0,
}
measured = {name: [] for name in formulas}
for size in sizes:
    noise = randn(40_000, size)
    g = -0.5 * noise.square().sum(1, keepdim=True)
    draws = (g * noise, (g + size / 2) * noise, -noise)
    for name, each in zip(measured, draws, strict=True):
        measured[name].append(each.var(0).mean().item())

expected = {name: [rule(size) for size in sizes] for name, rule in formulas.items()}
for name, values in measured.items():
    assert np.allclose(values, expected[name], rtol=0.25)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 3.2))
for (name, values), marker in zip(measured.items(), "osD", strict=True):
    [line] = ax.loglog(sizes, expected[name])
    ax.loglog(sizes, values, marker, color=line.get_color(), label=name)
ax.set(xlabel="size of the code, L", ylabel="variance of one draw")
ax.legend()
caption(
    "Dots: measured. Lines: the formulas. The score function asks one number how L "
    "numbers should move, so its scatter grows; the slope tells each of them."
)

# %% [markdown]
# And in our VAE? Take new points and look at the derivative of the reconstruction term with respect to the code's mean $\mu$. Numerical integration gives the truth. Both estimators must hit it on average; the scatter decides how many draws that takes.

# %%
center, log_variance = tiny.encoder(x_new[:100]).detach().chunk(2, dim=1)  # each (100, 1)
deviation = (0.5 * log_variance).exp()
noise = randn(4000, 100, 1)
moving = center.expand(4000, 100, 1).clone().requires_grad_()
log_likelihood = tiny.log_likelihood(x_new[:100], moving + deviation * noise)  # (4000, 100)
[by_slope] = torch.autograd.grad(log_likelihood.sum(), moving)
values = log_likelihood.detach()[:, :, None]
score = noise / deviation  # d log q / d μ
with torch.no_grad():
    log_q = Normal(center, deviation).log_prob(grid)  # (100, grid)
    q_slope = (log_q + cell).exp() * (grid - center) / deviation.square()  # d q / d μ
    truth = (q_slope * tiny.log_likelihood(x_new[:100, None], grid[:, None])).sum(1)
estimators = {
    "reparameterization": by_slope[:, :, 0],
    "score function": (values * score)[:, :, 0],
    "score function with baseline": ((values - values.mean(0)) * score)[:, :, 0],
}
for name, draws in estimators.items():
    z_scores = (draws.mean(0) - truth) / (draws.std(0) / math.sqrt(len(draws)))
    print(
        f"{name:29} median variance {draws.var(0).median():9.1f}, worst miss {z_scores.abs().max():.1f} standard errors"
    )
    assert z_scores.abs().max() < 6
variances = {name: draws.var(0).median().item() for name, draws in estimators.items()}
record(
    "tiny_variance_ratio",
    variances["score function"] / variances["reparameterization"],
    unit="times",
    kind="score",
)

# %% [markdown]
# All three are right, within what their scatter allows. And with one number in the code they do not differ much; even the baseline may do harm, because the mean of $g$ is not the best constant here. What counts is the size of the code. Section 8 repeats the measurement with 32 numbers.

# %% [markdown]
# ## 6 · The library's model, and a tighter bound
#
# `utils/models/vae/vae.py` does what we did, for codes and images of any size. The first function below computes the two terms; only the average over several draws is new. `log_likelihood`, which it calls, also knows pixels that are 0 or 1; the decoder gives their log-odds.

# %%
import inspect

from utils.models.vae import VAE, gaussian_kl

print(inspect.getsource(VAE.parts))
print(inspect.getsource(VAE._log_weights))

# %% [markdown]
# The same networks and the same noise must give the same numbers:

# %%
library = VAE(tiny.encoder, tiny.decoder, latent=1, likelihood="gaussian")
library.log_variance = tiny.log_variance
noise = torch.randn(
    500, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
)
with torch.no_grad():
    ours = tiny.elbo(x_new, noise)
    theirs = library.elbo(x_new, generator=torch.Generator().manual_seed(seed))
print(f"largest difference to the library: {(ours - theirs).abs().max():.1e} nats")
assert torch.allclose(ours, theirs, atol=1e-10)

# %% [markdown]
# The second function printed above computes the logarithm of an importance weight, for $z \sim q_\phi(z \mid x)$. Its mean is the ELBO. Average $k$ weights **before** taking the logarithm, and the bound is tighter:
#
# $$\mathrm{IWAE}_k = \mathbb E\Big[\log \frac1k \sum_{s=1}^k \frac{p(z_s)\, p_\theta(x \mid z_s)}{q_\phi(z_s \mid x)}\Big], \qquad \mathrm{ELBO} = \mathrm{IWAE}_1 \le \mathrm{IWAE}_k \le \log p_\theta(x).$$
#
# This importance-weighted bound (Burda, Grosse and Salakhutdinov, 2015) is the importance sampling of section 2, with the encoder to say where to draw. It rises with $k$ to the exact value, which we know for our tiny model:

# %%
for k in (1, 3, 10, 100, 1000):
    gap = (
        (exact["log_p"] - library.iwae(x_new, n_samples=k, generator=generator))
        .mean()
        .item()
    )
    print(f"k = {k:4}: log p(x) minus the bound is {gap:+.5f} nats")
assert abs(gap) < 0.01

# %% [markdown]
# ## 7 · Handwriting
#
# Now MNIST, with its official split. Each pixel is black with the probability that is its gray value, drawn anew in each training batch. The test images were drawn once, the same as in chapters 4 and 5. So all numbers are probabilities of the same 784 bits, in nats per image, and may be compared.
#
# Each network has one hidden layer, and the code 32 numbers. The library's training loop averages the weights over the last steps (`ema`), which calms the end.

# %%
gray = load("mnist").flat()
binary = load("mnist").binarized().flat()
x_test = binary.x_test

torch.manual_seed(seed)
vae = VAE(mlp(784, hidden, 2 * latent), mlp(latent, hidden, 784), latent)
vae.fit(
    gray.x_train,
    binarize=True,
    epochs=epochs,
    batch_size=128,
    lr=3e-3,
    warmup=200,
    ema=0.999,
    seed=seed,
)

with torch.no_grad():
    parts = [
        vae.parts(rows, n_samples=10, generator=generator) for rows in x_test.split(2000)
    ]
reconstruction = torch.cat([part.reconstruction for part in parts]).double()
kl = torch.cat([part.kl for part in parts]).double()  # (10000, latent)
bounds = reconstruction - kl.sum(1)
used = kl.mean(0) > 0.05
print(
    f"reconstruction {-reconstruction.mean():.1f} nats + code {kl.sum(1).mean():.1f} nats"
)
print(f"{used.sum()} of {latent} numbers of the code are in use")
record("vae_neg_elbo", -bounds.mean().item(), unit="nats/image", kind="bound")

# %% [markdown]
# That is a bound: the true negative log-likelihood, NLL, is smaller. IWAE estimates it. Hundreds of codes for each of 10,000 images would take long. But the bound is known for **all** images, and the gap between the two differs little from image to image, so a random sample of images tells its mean with a small error. The interval holds two standard errors to each side. Because $k$ is finite, the estimate is still a little too high on average.

# %%
chosen = binary.test_part(iwae_images)  # the same random images in every run
iwae = vae.iwae(x_test[chosen], n_samples=iwae_samples, generator=generator).double()
gaps = iwae - bounds[chosen]
nll = -(bounds.mean() + gaps.mean()).item()
error = 2 * gaps.std().item() / math.sqrt(iwae_images)
record(
    f"vae_iwae{iwae_samples}_nll",
    nll,
    unit="nats/image",
    kind="estimate",
    low=nll - error,
    high=nll + error,
)

# %% [markdown]
# ### Measured against
#
# The simple baseline takes each pixel on its own. The mixture of 100 Bernoullis is the model of chapter 4. Both are exact.

# %%
from utils.models.mixtures import BernoulliMixture

pixels = BernoulliMixture(1, alpha=1.0, max_iter=1).fit(binary.x_train)
mixture = BernoulliMixture(100, max_iter=8, generator=generator).fit(binary.x_train)
rivals = {
    name: -model.log_prob(x_test).double().mean().item()
    for name, model in (("pixel", pixels), ("mixture", mixture))
}
with record_table():
    for name, value in rivals.items():
        record(f"{name}_nll", value, unit="nats/image", kind="exact")
assert -bounds.mean() < rivals["mixture"] - 20 < rivals["pixel"] - 40

from_prior = torch.randn(16, latent, generator=generator)
with torch.no_grad():
    probabilities = vae.decode(from_prior)
draws = {
    "real": x_test[chosen[:16]],
    "mixture": mixture.sample(16, generator),
    "VAE: pixels drawn": (torch.rand(16, 784, generator=generator) < probabilities).float(),
    "VAE: probabilities": probabilities,
}

# %% jupyter={"source_hidden": true}
images(
    torch.cat([drawn[:12] for drawn in draws.values()]).reshape(-1, 28, 28),
    columns=12,
    rows=list(draws),
)
caption(
    "New digits. The mixture's pixels know only their component; the VAE's strokes hang "
    "together. Last row: the same codes as in the row above, before the last draw."
)

# %% [markdown]
# PCA is missing: it gives a density of real numbers, never a probability of black-and-white pixels. In section 11 it competes as a code.
#
# ### Beside the literature (*optional*)
#
# Burda, Grosse and Salakhutdinov (2015, table 1) report 86.76 nats for a VAE with 50 numbers in the code and two hidden layers, estimated with 5,000 samples per test image, after thousands of passes over freshly drawn pixels. A widely copied small program (J. Altosaar's) reports a bound of 103.3 and an estimate of 97.1 on another binarization. Other pixels make such numbers neighbors of ours, not rivals. Those models had two hidden layers and many more passes; which is worth how much, our one run cannot say.
#
# ### A network for pictures
#
# Our two networks do not know that pixels have neighbors. **Convolutions** do: the same small filter runs over the whole image. The encoder halves the side twice while the number of feature maps grows; the decoder is its way back. The mathematics and the class `VAE` stay as they were.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(10.4, 3.2))
boxes = {
    "x": Maps(0, 1, (1, 28, 28)),
    "e1": Maps(1.25, 1, (16, 14, 14)),
    "e2": Maps(2.5, 1, (32, 7, 7)),
    "h": Box(3.6, 1, "64 numbers", "network"),
    "q": Box(4.8, 1, "$\\mu$, $\\log \\sigma^2$", "latent"),
    "p": Maps(0, 0, (1, 28, 28), "log-odds"),
    "d1": Maps(1.25, 0, (16, 14, 14)),
    "d2": Maps(2.5, 0, (32, 7, 7)),
    "g": Box(3.6, 0, "64 numbers,\ntwice", "network"),
    "z": Box(4.8, 0, "$z = \\mu + \\sigma\\varepsilon$", "latent"),
}
arrows = [
    ("x", "e1", "convolve"),
    ("e1", "e2", "convolve"),
    ("e2", "h"),
    ("h", "q"),
    ("q", "z", "draw"),
    ("z", "g"),
    ("g", "d2"),
    ("d2", "d1", "upsample"),
    ("d1", "p", "upsample"),
]
diagram(ax, boxes, arrows)
for name, y, offset in (("encoder", 1, 36), ("decoder", 0, -44)):
    ax.annotate(name, (2.4, y), (0, offset), textcoords="offset points", ha="center")
caption(
    "The convolutional autoencoder: the encoder above, from left to right, the decoder "
    "below, from "
    "right to left. Shapes are feature maps × height × width."
)

# %% [markdown]
# Convolutions cost more time than a lesson has, so this model was trained beforehand (`data/make/pretrained.py`), with the call of `fit` above, for more epochs. Its code has 12 numbers at most, and fewer are in use (mean KL above 0.05 nats, as before): the others have collapsed, as section 12 explains.

# %%
from utils.models.vae import mnist_conv_vae, mnist_map_vae

convolutional = mnist_conv_vae()
pictures = x_test.view(-1, 1, 28, 28)
with torch.no_grad():
    conv_bound = torch.cat(
        [convolutional.elbo(rows, generator=generator) for rows in pictures.split(1000)]
    )
    drawn = convolutional.decode(torch.randn(64, 12, generator=generator))
    conv_kl = convolutional.parts(pictures[chosen], generator=generator).kl.mean(0)
print(f"{(conv_kl > 0.05).sum()} of 12 numbers of the code are in use")
record("conv_vae_neg_elbo", -conv_bound.mean().item(), unit="nats/image", kind="bound")

# %% jupyter={"source_hidden": true}
images(drawn, columns=8)
caption(
    "64 draws from the convolutional model, as probabilities of the pixels: not chosen, "
    "the first 64 "
    "draws. Most can be read; some lie between two digits."
)

# %% [markdown]
# As a distribution of images this model is **worse** than the one with linear layers: its bound costs more nats, because so short a code leaves out much of an image. Its draws look better all the same, the strokes clean and most digits whole: the fewer numbers a code has, the smaller is the part of the prior where no image has its code. Likelihood and looks are two measures, and here they disagree.
#
# Some draws are no digits, and no decoder can help. The codes of *all* images together should fill the prior, and they do so imperfectly: a draw from $p(z)$ can land where no image has its code, and there the decoder was never told what to do. Chapter 10 learns the distribution of the codes with a flow, and draws from that.

# %% [markdown]
# ## 8 · Where the nats go
#
# The gap between bound and likelihood has two parts. The true posterior is no Gaussian with a diagonal covariance: no such $q$ can close that part. And one encoder must answer for all images, so even the best Gaussian is missed: the **amortization gap**. To tell them apart we improve mean and variance of the code by gradient, for one test image at a time.

# %%
few = x_test[chosen[:200]]
with torch.no_grad():
    mean, log_variance = (code.clone() for code in vae.encode(few))


def bound_at(mean: Tensor, log_variance: Tensor, draws: int) -> Tensor:
    """The ELBO of `few` with these Gaussians as q, (B,)."""
    noise = torch.randn(draws, *mean.shape, generator=generator)
    z = mean + (0.5 * log_variance).exp() * noise  # (draws, B, latent)
    likelihood = vae.log_likelihood(few.repeat(draws, 1), z.flatten(0, 1)).view(draws, -1)
    return likelihood.mean(0) - gaussian_kl(mean, log_variance).sum(1)


with torch.no_grad():
    amortized = bound_at(mean, log_variance, 100)
for code in (mean, log_variance):
    code.requires_grad_()
optimizer = torch.optim.Adam([mean, log_variance], lr=0.03)
for _ in range(100):
    optimizer.zero_grad()
    (-bound_at(mean, log_variance, 4)).sum().backward()
    optimizer.step()
with torch.no_grad():
    fitted = bound_at(mean, log_variance, 100)
amortization = (fitted - amortized).mean().item()
gaussian = (iwae[:200] - fitted).mean().item()
with record_table():
    record("amortization_gap", amortization, unit="nats/image", kind="score")
    record("gaussian_gap", gaussian, unit="nats/image", kind="score")
assert amortization > 0
assert gaussian > 0

ks = [1, 5, 50, iwae_samples]
curve = [
    vae.iwae(x_test[chosen], n_samples=k, generator=generator).mean().item()
    for k in ks[:-1]
]
curve.append(iwae.mean().item())
assert (np.diff(curve) > 0).all()

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
left.semilogx(ks, curve, marker="o")
left.set(xlabel="k", ylabel="IWAE-k, nats/image", xticks=ks, xticklabels=ks)
left.minorticks_off()
right.barh(
    ["best Gaussian misses", "encoder misses"], [gaussian, amortization], color=PALETTE[:2]
)
right.set(xlabel="nats/image")
caption(
    "Left: the bound rises with k towards log p(x). Right: the gap between the ELBO and "
    "IWAE, split into what no Gaussian could save and what the encoder could."
)

# %% [markdown]
# The encoder took one pass; a hundred gradient steps per image buy back the bar named *encoder misses*. That is what amortization costs, and what it saves. The bar *best Gaussian misses* stays, however long one searches: no such $q$ has the posterior's shape.
#
# ### Two gradients once more (*optional*)
#
# The two gradients of section 5 once more, with 32 numbers in the code: the scatter of the derivative of the reconstruction term with respect to $\mu$, over draws of $z$, for a few images. Here the score function has its baseline already.

# %%
with torch.no_grad():
    center, log_variance = vae.encode(few[:10])
deviation = (0.5 * log_variance).exp()
noise = torch.randn(500, 10, latent, generator=generator)
z = (center + deviation * noise).requires_grad_()
likelihood = vae.log_likelihood(few[:10].repeat(500, 1), z.flatten(0, 1)).view(500, 10)
[by_slope] = torch.autograd.grad(likelihood.sum(), z)
values = likelihood.detach()[:, :, None]
by_score = (values - values.mean(0)) * noise / deviation
ratio = (by_score.var(0).sum() / by_slope.var(0).sum()).item()
record("mnist_variance_ratio", ratio, unit="times", kind="score")
assert ratio > 3

# %% [markdown]
# To get as good a gradient, the score function would need that many times as many draws. This is why the whole family became practical with one line, $z = \mu + \sigma\varepsilon$.

# %% [markdown]
# ## 9 · How much should a code cost? (*optional*)
#
# Put a price $\beta$ on the code: maximize reconstruction $-\ \beta\,\mathrm{KL}$ (Higgins et al., 2017). The KL term is the **rate**: how many nats the code of an image tells about it. Minus the reconstruction term is the **distortion**: how many nats are still missing once the code is known. Rate plus distortion is the negative ELBO. We train the same model a little longer at five prices.

# %%
import copy

prices = [0.01, 0.1, 1, 5, 20]
rates, distortions, rebuilt = [], [], [x_test[chosen[:6]]]
for beta in prices:
    model = copy.deepcopy(vae)
    model.fit(
        gray.x_train[:20_000],
        binarize=True,
        beta=beta,
        epochs=1,
        batch_size=128,
        lr=3e-3,
        schedule="constant",
        seed=seed,
    )
    with torch.no_grad():
        two = model.parts(x_test[chosen], n_samples=5, generator=generator)
        sigma = (0.5 * model.encode(x_test[chosen])[1]).exp().mean()
    rebuilt.append(model.reconstruct(x_test[chosen[:6]]))
    rates.append(two.kl.sum(1).mean().item())
    distortions.append(-two.reconstruction.mean().item())
    print(
        f"β = {beta:5}: rate {rates[-1]:6.1f}, distortion {distortions[-1]:6.1f}, mean σ of a number {sigma:.2f}"
    )
assert (np.diff(rates) < 0).all()
assert (np.diff(distortions) > 0).all()
totals = np.add(rates, distortions)
assert totals.argmin() == prices.index(1)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(11.2, 5.8), width_ratios=(1, 1.4))
left.plot(rates, distortions, marker="o")
for beta, rate, distortion in zip(prices, rates, distortions, strict=True):
    left.annotate(
        f"β = {beta}", (rate, distortion), xytext=(6, 5), textcoords="offset points"
    )
ends = np.array([0, totals.min()])
left.plot(ends, totals.min() - ends, "--", color="0.6", label="the lowest sum of the two")
left.set(xlabel="rate, nats", ylabel="distortion, nats", ylim=(0, None))
left.set_xlim(0, 1.2 * max(rates))
left.legend()
images(
    torch.cat(rebuilt).reshape(-1, 28, 28),
    columns=6,
    axes=right,
    rows=["image", *(f"β = {beta}" for beta in prices)],
)
caption(
    "Left: what an image costs in the code and beside it; only β = 1 touches the line. "
    "Right: six images, rebuilt at β = 0.01 (second row) to 20 (last row)."
)

# %% [markdown]
# With a low price the model becomes a plain autoencoder. It rebuilds best, and its codes have hardly any noise: $\sigma$ is small. So the codes of all images together fill only a small part of the prior, and a draw from the prior mostly misses them. The sum of rate and distortion knows: as a distribution of images this model is much worse. With a high price the code carries next to nothing, and every image is rebuilt as an average. A likelihood wants $\beta = 1$. Who wants a code with few, meaningful numbers may pay more.

# %% [markdown]
# ## 10 · Walks in the space of codes
#
# ### A map of the digits
#
# With a code of two numbers the whole space fits on a page. A second model, of linear layers, has such a code and was trained beforehand. We decode a grid of codes, spaced so that each has an equal share of the prior.

# %%
flatland = mnist_map_vae()
with torch.no_grad():
    flat_bound = flatland.elbo(x_test, generator=generator).mean().item()
record("vae2_neg_elbo", -flat_bound, unit="nats/image", kind="bound")
assert -flat_bound < rivals["pixel"] - 20

line = even_draws(20)[:, 0].float()
rows, columns = torch.meshgrid(
    line.flip(0), line, indexing="ij"
)  # the second number points up
with torch.no_grad():
    sheet = flatland.decode(torch.stack([columns, rows], dim=2).reshape(-1, 2))
    places = flatland.encode(x_test[chosen])[0]

# %% jupyter={"source_hidden": true} tags=["picture"]
images(sheet.reshape(-1, 28, 28), columns=20)
caption(
    "A map that nobody drew: the image at each address of a grid of 20 × 20. Neighbors "
    "are alike, "
    "and the way from one digit to another leads through shapes between them."
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(5.4, 4.2))
colors = plt.get_cmap("tab10")(np.arange(10))
for digit in range(10):
    own = places[binary.y_test[chosen] == digit]
    ax.scatter(*own.T, s=7, color=colors[digit], label=digit)
ax.set(aspect="equal", xlim=(-4, 4), ylim=(-4, 4), xlabel="$z_1$", ylabel="$z_2$")
ax.legend(markerscale=2, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
caption(
    "The addresses of test images on the same map, colored by labels the model never saw."
)

# %% [markdown]
# Drag the sliders: each position is an address, decoded while you drag. They need a running kernel; on a page that is only shown, the strip below tells what they do.

# %%
import io

from ipywidgets import FloatSlider, Image, VBox

from utils.output import show

sliders = [
    FloatSlider(0.0, min=-2.5, max=2.5, step=0.05, description=f"z{i}") for i in (1, 2)
]
screen = Image(format="png", width=168, height=168)


def redraw(change=None) -> None:
    with torch.no_grad():
        picture = flatland.decode(torch.tensor([[slider.value for slider in sliders]]))
    file = io.BytesIO()
    pixels = picture.reshape(28, 28).numpy().repeat(6, axis=0).repeat(6, axis=1)
    plt.imsave(file, pixels, cmap="gray_r", vmin=0, vmax=1)
    screen.value = file.getvalue()


for slider in sliders:
    slider.observe(redraw, "value")
redraw()
board = VBox([*sliders, screen])
show(
    "Two sliders, z1 and z2, and the image at that address. Run this notebook in Jupyter to drag them.",
    data={
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2,
            "version_minor": 0,
            "model_id": board.model_id,
        }
    },
)
before = screen.value
sliders[0].value = 1.5  # what a hand would do
assert screen.value != before
sliders[0].value = 0.0
assert screen.value == before

# %%
steps = torch.linspace(-2.5, 2.5, 11)
still = torch.zeros_like(steps)
with torch.no_grad():
    strip = flatland.decode(
        torch.cat([torch.stack([steps, still], 1), torch.stack([still, steps], 1)])
    )

# %% jupyter={"source_hidden": true}
images(strip.reshape(-1, 28, 28), columns=11, rows=["$z_1$ changes", "$z_2$ changes"])
caption(
    "What the sliders do. Top: z1 goes from −2.5 to 2.5 while z2 stays 0. Bottom: the "
    "other way round."
)

# %% [markdown]
# ### From one image to another
#
# Back to the code of 32 numbers. Encode two images, walk on the straight line between their codes, decode on the way. The simple baseline walks straight in pixel space: it fades one image out and the other in. How gray are the pixels at the middle? A pixel with probability $p$ has grayness $4p(1-p)$, from 0 to 1, averaged over the ink of the image.


# %%
def grayness(p: Tensor) -> float:
    """Mean of 4 p (1 − p), weighted by p: how undecided the ink is."""
    return ((4 * p * (1 - p) * p).sum() / p.sum()).item()


ends = binary.test_part(400).view(2, 200)
ends = ends[:, binary.y_test[ends[0]] != binary.y_test[ends[1]]]  # two different digits
share = torch.linspace(0, 1, 7)[:, None, None]
with torch.no_grad():
    a, b = (vae.encode(x_test[rows])[0] for rows in ends)  # (pairs, latent)
    walk = torch.lerp(a, b, share)  # (7, pairs, latent)
    decoded = vae.decode(walk.flatten(0, 1)).view(7, -1, 784)
    faded = torch.lerp(*vae.decode(torch.cat([a, b])).view(2, -1, 784), share)
with record_table():
    for name, path in (("codes", decoded), ("pixels", faded)):
        record(f"midpoint_grayness_{name}", grayness(path[3]), kind="score")
assert grayness(decoded[3]) < grayness(faded[3]) - 0.05

# %% jupyter={"source_hidden": true}
sheet = [path[:, :2].transpose(0, 1).reshape(-1, 28, 28) for path in (decoded, faded)]
images(torch.cat(sheet), columns=7, rows=["between codes", "between pixels"])
caption(
    "Two walks from one digit to another. Between codes the strokes move and bend; "
    "between pixels one image is laid over the other."
)

# %% [markdown]
# ### Arithmetic with attributes (*optional*)
#
# Is there a direction in the space of codes that means "slanted"? Take the images of each digit, compute the **slant** (how far the ink leans per pixel of height) and the **weight** (how much ink there is), and subtract the mean code of the lowest fifth from that of the highest. Averaged over the ten digits this is an attribute vector. Then add it to codes of other images, and *measure* what happens to the drawing.

# %%
at = torch.arange(28.0)


def attributes(p: Tensor) -> dict[str, Tensor]:
    """Slant and weight of images (B, 784), from their moments."""
    p = p.reshape(-1, 28, 28)
    ink = p.sum((1, 2))
    down = at - ((p.sum(2) @ at) / ink)[:, None]  # distance from the center, (B, 28)
    right = at - ((p.sum(1) @ at) / ink)[:, None]
    lean = -torch.einsum("brc,br,bc->b", p, down, right)
    return {"slant": lean / (p.sum(2) * down.square()).sum(1), "weight": ink}


with torch.no_grad():
    codes = vae.encode(binary.x_train[:20_000])[0]
labels, known = binary.y_train[:20_000], attributes(gray.x_train[:20_000])
directions = {}
for name, value in known.items():
    each = []
    for digit in range(10):
        own = (labels == digit).nonzero()[:, 0]
        ranked = own[value[own].argsort()]
        fifth = len(own) // 5
        each.append(codes[ranked[-fifth:]].mean(0) - codes[ranked[:fifth]].mean(0))
    directions[name] = torch.stack(each).mean(0)

with torch.no_grad():
    base = vae.encode(x_test[chosen])[0]
    for name, direction in directions.items():
        low, high = (attributes(vae.decode(base + sign * direction)) for sign in (-1, 1))
        change = {
            key: ((high[key] - low[key]) / known[key].std()).mean().item() for key in known
        }
        print(
            f"{name:6} − → +: slant {change['slant']:+.2f}, weight {change['weight']:+.2f} standard deviations"
        )
        record(f"{name}_moved", change.pop(name), unit="standard deviations", kind="score")
        assert high[name].mean() - low[name].mean() > known[name].std()
    steps = torch.linspace(-1, 1, 7)[:, None]
    rows = [vae.decode(code + steps * d) for d in directions.values() for code in base[:3]]

# %% jupyter={"source_hidden": true}
images(
    torch.cat(rows).reshape(-1, 28, 28),
    columns=7,
    rows=[f"code + a · {name}" for name in directions],
)
caption(
    "Three test images; their codes moved along two vectors, from a = −1 to 1. One "
    "leans any digit, the other makes it heavier."
)

# %% [markdown]
# ## 11 · What it is good for (*optional*)
#
# ### A reconstruction is a compressed image
#
# **Without loss.** A probability is a code length: an image with $\log_2 p(x) = -100$ can be written in 100 bits. With a VAE even the bound can be reached by a real program, on a long chain of images: *bits-back coding* (Townsend, Bird and Barber, 2019). So $-\mathrm{ELBO} / \ln 2$ is a number of bits that lies beside those of the well-known programs, which get all test images in one file.

# %%
import bz2
import zlib

packed = np.packbits(x_test.numpy().astype(np.uint8), axis=1).tobytes()
bits = {
    "raw": 784.0,
    "zlib": 8 * len(zlib.compress(packed, 9)) / len(x_test),
    "bz2": 8 * len(bz2.compress(packed, 9)) / len(x_test),
    "vae": -bounds.mean().item() / math.log(2),
}
with record_table():
    for name, value in bits.items():
        record(
            f"bits_{name}",
            value,
            unit="bits/image",
            kind="bound" if name == "vae" else "exact",
        )
assert bits["vae"] < bits["bz2"]

# %% [markdown]
# **With loss.** Keep only the code and forget the rest. A number with all its digits costs many bits; so we round it, to steps of some width $\Delta$, and count the bits that an ideal coder needs for the rounded numbers (their entropy). The encoder itself says how exact a number has to be: its $\sigma$. So we round in units of the mean $\sigma$ of each number. The rival of the same code size is PCA with 32 numbers, rounded and counted the same way.

# %%
pca = PCA(latent, random_state=seed).fit(binary.x_train[:20_000].numpy())
middle, axes_of_pca = torch.as_tensor(pca.mean_), torch.as_tensor(pca.components_)
with torch.no_grad():
    test_codes, log_variance = vae.encode(x_test)
    need = (0.5 * log_variance).exp().mean(0)  # the mean σ of each number
    coders = {
        "VAE": (test_codes, need, vae.decode),
        "PCA": ((x_test - middle) @ axes_of_pca.T, 1.0, lambda z: middle + z @ axes_of_pca),
    }
    curves, shown = {}, {"original": x_test[chosen[:6]]}
    for name, (code, unit, decode) in coders.items():
        curves[name] = []
        for width in (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0):
            steps = (code / (unit * width)).round()
            length = 0.0
            for column in steps.T:
                share = column.unique(return_counts=True)[1] / len(column)
                length -= (share * share.log2()).sum().item()
            back = decode(steps * unit * width)
            curves[name].append((length, (back - x_test).square().sum(1).mean().item()))
            if f"{name}, 70 bits" not in shown and length < 70:
                shown[f"{name}, 70 bits"] = back[chosen[:6]]
at_60 = {
    name: np.interp(60, *np.array(curve[::-1]).T).item() for name, curve in curves.items()
}
with record_table():
    for name, value in at_60.items():
        record(
            f"error_{name.lower()}_60_bits", value, unit="squared error/image", kind="score"
        )
assert at_60["VAE"] < at_60["PCA"] - 5

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 3), width_ratios=(1, 1.4))
for (name, curve), marker in zip(curves.items(), "os", strict=True):
    left.plot(*np.array(curve).T, marker=marker, label=name)
left.set(xlabel="bits/image", ylabel="squared error/image", xlim=(0, 200))
left.legend()
images(
    torch.cat(list(shown.values())).reshape(-1, 28, 28),
    columns=6,
    axes=right,
    rows=list(shown),
)
caption(
    "Left: bits kept and error made; lower left is better. Right, from the top: the image, "
    "and what is left of it in at most 70 bits: the VAE's code, then PCA's."
)

# %% [markdown]
# ### Denoising
#
# A tenth of the pixels are flipped, and we know that. Nothing is trained anew: the model already says what a clean image looks like, so ask Bayes. Given a code, a *noisy* pixel is on with probability $0.9\,p + 0.1\,(1 - p)$. Start at the encoder's answer and climb $\log p(\text{noisy } x \mid z) + \log p(z)$ over $z$: the most probable code. Baselines: leave the image alone; let each pixel vote with its eight neighbors; PCA.

# %%
clean = x_test[chosen[:300]]
flips = (torch.rand(clean.shape, generator=generator) < 0.1).float()
noisy = (clean - flips).abs()
with torch.no_grad():
    z = vae.encode(noisy)[0].clone()
    one_pass = vae.decode(z)
z.requires_grad_()
optimizer = torch.optim.Adam([z], lr=0.05)
for _ in range(150):
    p = vae.decode(z)
    p = 0.9 * p + 0.1 * (1 - p)
    log_joint = (
        noisy * p.log() + (1 - noisy) * (1 - p).log()
    ).sum() - 0.5 * z.square().sum()
    optimizer.zero_grad()
    (-log_joint).backward()
    optimizer.step()
with torch.no_grad():
    searched = vae.decode(z)
votes = F.avg_pool2d(noisy.view(-1, 1, 28, 28), 3, stride=1, padding=1).flatten(1)
restored = {
    "nothing": noisy,
    "vote": votes,
    "pca": middle + (noisy - middle) @ axes_of_pca.T @ axes_of_pca,
    "encoder": one_pass,
    "search": searched,
}
wrong = {
    name: ((p > 0.5) != (clean > 0.5)).double().mean().item()
    for name, p in restored.items()
}
with record_table():
    for name, value in wrong.items():
        record(f"wrong_pixels_{name}", value, unit="share of pixels", kind="score")
assert wrong["search"] < min(wrong[name] for name in ("nothing", "vote", "pca", "encoder"))

# %% jupyter={"source_hidden": true}
shown = [clean, *restored.values()]
images(
    torch.cat([p[:8] for p in shown]).clamp(0, 1).reshape(-1, 28, 28),
    columns=8,
    rows=["clean", "noisy", "vote", "PCA", "one pass", "search"],
)
caption(
    "From the top: clean; noisy; vote of neighbors; PCA; one pass of the encoder, which "
    "never saw noise; search for the most probable code."
)

# %% [markdown]
# One pass of the encoder loses to both simple baselines, the vote and PCA: it was trained on clean images, and takes the specks for strokes. The search asks the decoder alone, which knows what digits look like, and it is ahead of all; its lead over the vote of eight neighbors is small.

# %% [markdown]
# ### Tell it the class
#
# Give the decoder the label $y$ beside the code: $p(x \mid y) = \int p(z)\, p(x \mid z, y)\, dz$. The derivation stays as it was, with $y$ on the right of every bar. Now the code need not say *which* digit it is, because that is known and costs nothing. It is free to say *how* the digit is written. The encoder may look at $x$ alone: an image shows its class.
#
# It is free to, but in no hurry: early in training the code tells the digit, and the decoder is slow to turn to the label instead. Here a price helps. With $\beta = 4$ it does not pay to say in the code what the label says for nothing. What it costs we have seen: the images become softer.

# %%
torch.manual_seed(seed)
style = 8  # numbers in the code
conditional = VAE(mlp(784, 300, 2 * style), mlp(style + 10, 300, 784), style, n_classes=10)
conditional.fit(
    gray.x_train,
    gray.y_train,
    binarize=True,
    beta=4.0,
    epochs=side_epochs,
    batch_size=128,
    lr=3e-3,
    warmup=200,
    ema=0.99,
    seed=seed,
)
digits = torch.arange(10)


def all_labels(z: Tensor) -> Tensor:
    """Each code decoded under each label, (B, 10, 784)."""
    with torch.no_grad():
        return conditional.decode(z.repeat_interleave(10, 0), digits.repeat(len(z))).view(
            -1, 10, 784
        )


styles = torch.randn(2, style, generator=generator)
with torch.no_grad():
    hands = conditional.encode(x_test[[0, 2]])[0]
front = torch.cat([x_test[[0, 2], None], all_labels(hands)], dim=1)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(2, 1, figsize=(9, 4.2))
titles = "codes from the prior", "codes of the images in front"
for ax, sheet, title in zip(axes, (all_labels(styles), front), titles, strict=True):
    images(sheet.reshape(-1, 28, 28), columns=sheet.shape[1], axes=ax, title=title)
caption(
    "Each row is one code, decoded under the labels 0 to 9. Slant and weight stay along "
    "the "
    "row, the digit changes: the code holds the hand."
)

# %% [markdown]
# Two measurements. Does the label decide what is drawn? Ask a classifier, whose own error on real images is recorded beside. And does the code still say which digit it is? Ask a linear classifier, once on these codes, once on the codes of the model without labels.

# %%
from sklearn.linear_model import LogisticRegression

from utils.models.classifiers import digit_classifier

judge = digit_classifier()


def judged_right(pictures: Tensor, labels: Tensor) -> float:
    """The share of images (B, 784) in which the judge sees the digit of the label."""
    return (judge.predict(pictures.view(-1, 1, 28, 28)) == labels).double().mean().item()


drawn = all_labels(torch.randn(50, style, generator=generator)).flatten(0, 1)
obeyed = judged_right(drawn, digits.repeat(50))
with record_table():
    record("label_obeyed", obeyed, unit="share of images", kind="score")
    on_real = judged_right(gray.x_test[chosen], gray.y_test[chosen])
    record("classifier_accuracy", on_real, unit="share of images", kind="score")
    told = {}
    for name, model in (("plain", vae), ("conditional", conditional)):
        with torch.no_grad():
            known, unknown = (model.encode(x)[0] for x in (binary.x_train[:5000], x_test))
        reader = LogisticRegression(max_iter=2000).fit(known, binary.y_train[:5000])
        told[name] = reader.score(unknown, binary.y_test)
        record(
            f"digit_read_from_code_{name}", told[name], unit="share of images", kind="score"
        )
assert obeyed > 0.65
assert told["conditional"] < told["plain"] - 0.3

# %% [markdown]
# ## 12 · Where it fails
#
# ### Blur
#
# VAEs are said to blur their images. Look at gray images, reconstructed from 2 numbers and from 32, by PCA and by a VAE of the same code size. We measure the **sharpness**: the mean squared step from a pixel to its neighbor, over that of the real images.

# %%
real = gray.x_test[chosen]
pca2 = PCA(2, random_state=seed).fit(gray.x_train[:20_000].numpy())
pca32 = PCA(latent, random_state=seed).fit(gray.x_train[:20_000].numpy())


def from_pca(model: PCA) -> Tensor:
    return torch.as_tensor(model.inverse_transform(model.transform(real.numpy()))).float()


def from_vae(model: VAE) -> Tensor:
    with torch.no_grad():
        return model.decode(model.encoder(real)[:, : model.latent])


def sharpness(p: Tensor) -> float:
    p = p.reshape(-1, 28, 28)
    return (p.diff(dim=1).square().sum() + p.diff(dim=2).square().sum()).item()


views = {
    "pca_2": from_pca(pca2),
    "vae_2": from_vae(flatland),
    f"pca_{latent}": from_pca(pca32),
    f"vae_{latent}": from_vae(vae),
}
sharp = {name: sharpness(view) / sharpness(real) for name, view in views.items()}
with record_table():
    for name, view in views.items():
        error = (view - real).square().sum(1).mean().item()
        record(f"sharpness_{name}", sharp[name], unit="of the real images", kind="score")
        record(f"error_{name}", error, unit="squared error/image", kind="score")
assert sharp["pca_2"] < sharp["vae_2"] < 0.9
assert sharp[f"pca_{latent}"] < sharp[f"vae_{latent}"] < 0.95

# %% jupyter={"source_hidden": true}
names = [
    name.replace("pca", "PCA").replace("vae", "VAE").replace("_", ", ") for name in views
]
images(
    torch.cat([view[:8] for view in (real, *views.values())]).reshape(-1, 28, 28),
    columns=8,
    rows=["true pixels", *names],
)
caption(
    f"From the top: true pixels; 2 numbers of PCA; 2 of a VAE; {latent} numbers of PCA; {latent} of a VAE. "
    "At equal size the VAE is sharper, and still softer than the truth."
)

# %% [markdown]
# **Why?** Many images share nearly one code. The decoder must give *one* answer for all of them, and the one that loses least is their **mean**: slightly shifted strokes become a blurred stroke. To check it, take a place on the map of section 10, find the training images whose codes are nearest, and average them.

# %%
corners = torch.tensor(
    [
        [0.0, 1.0],
        [1.0, 0.0],
        [-1.0, 0.0],
        [0.0, -1.0],
        [1.0, 1.0],
        [-1.0, 1.0],
        [-1.0, -1.0],
        [1.0, -1.0],
    ]
)
with torch.no_grad():
    drawn = flatland.decode(corners)
    places = flatland.encode(binary.x_train)[0]
near = torch.cdist(corners, places).topk(100, largest=False).indices  # (8, 100)
averages = gray.x_train[near].mean(1)
alike = np.corrcoef(drawn.flatten(), averages.flatten())[0, 1]
alone = np.mean(
    [np.corrcoef(d, n)[0, 1] for d, n in zip(drawn, gray.x_train[near[:, 0]], strict=True)]
)
record("decoder_is_an_average", alike, unit="correlation", kind="score")
assert alike > 0.9
assert alike > alone

# %% jupyter={"source_hidden": true}
sheet = torch.cat([drawn, averages, gray.x_train[near[:, 0]], gray.x_train[near[:, 1]]])
images(
    sheet.reshape(-1, 28, 28),
    columns=8,
    rows=["decoder", "mean of 100", "nearest", "second nearest"],
)
caption(
    "Eight addresses. From the top: what the decoder draws there; the mean of the 100 "
    "nearest "
    "training images; two of them. The decoder draws the mean."
)

# %% [markdown]
# So the blur is no defect of the network but what was asked for: pixels that are independent given the code, and a mean over images that the code cannot tell apart. A draw of pixels from $p(x \mid z)$ is sharp but speckled (section 7). The cures are longer codes, and decoders whose pixels know of each other. The latter bring a danger of their own.
#
# ### A code that dies
#
# Let each pixel of the decoder also see the pixels **before** it, as the models of chapter 12 do: $p(x \mid z) = \prod_d p(x_d \mid x_{<d}, z)$. Such a decoder can guess the digit from what it has seen so far, without the code. Early in training the code is nothing but noise, and noise with a price; so the quickest gain is to make $q$ equal to the prior and to forget the code. Then no gradient brings it back. This is **posterior collapse**.
#
# We produce it on purpose, on small digits (8 × 8, black and white). `MADE` is a network whose output $d$ sees only the inputs before $d$.

# %%
from utils.nets import MADE

small_gray = load("digits").flat()
small = load("digits").binarized().flat()


class PeekingVAE(VAE):
    """The decoder of pixel d sees the code and the pixels before d."""

    def __init__(self, size: int):
        super().__init__(mlp(64, 128, 2 * size), mlp(size, 128, 64), size)
        self.peek = MADE(64, hidden=[256])

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        log_odds = self.decoder(z) + self.peek(x)[..., 0]
        return (x * log_odds - F.softplus(log_odds)).sum(1)


cures = {"plain": {}, "warm_up": {"warm_up": 0.5}, "free_bits": {"free_bits": 0.5}}
kls, nlls, histories = {}, {}, {}
told = {
    "mean": {},
    "draw": {},
}  # the share of digits read from the mean of q, and from a draw
with record_table():
    for name, options in cures.items():
        torch.manual_seed(seed)
        model = PeekingVAE(8)
        model.fit(
            small_gray.x_train,
            binarize=True,
            epochs=50,
            batch_size=64,
            lr=0.01,
            seed=seed,
            **options,
        )
        codes = {}
        with torch.no_grad():
            for part, x in (("train", small.x_train), ("test", small.x_test)):
                mean, log_variance = model.encode(x)
                noise = torch.randn(mean.shape, generator=generator)
                codes["mean", part] = mean
                codes["draw", part] = mean + (0.5 * log_variance).exp() * noise
            two = model.parts(small.x_test, n_samples=10, generator=generator)
        nlls[name] = (
            -model.iwae(small.x_test, n_samples=100, generator=generator).mean().item()
        )
        kls[name] = two.kl.sum(1).mean().item()
        for what, shares in told.items():
            reader = LogisticRegression(max_iter=2000)
            reader.fit(codes[what, "train"], small.y_train)
            shares[name] = reader.score(codes[what, "test"], small.y_test)
        bound = (two.reconstruction - two.kl.sum(1)).mean()
        print(
            f"{name:9} −ELBO {-bound:.2f}, IWAE-100 estimate of the NLL {nlls[name]:.2f} nats"
        )
        record(f"collapse_kl_{name}", kls[name], unit="nats/image", kind="score")
        record(f"collapse_accuracy_{name}", told["mean"][name], kind="score")
        record(f"collapse_accuracy_draw_{name}", told["draw"][name], kind="score")
        histories[name.replace("_", " ")] = model.history_["kl"]
assert max(nlls.values()) - min(nlls.values()) < 0.6
assert kls["plain"] < 1 < 2 < min(kls["warm_up"], kls["free_bits"])
for shares in told.values():
    assert min(shares["warm_up"], shares["free_bits"]) > shares["plain"] + 0.15

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(8.5, 2.6))
for name, history in histories.items():
    axes[0].plot(history, label=name)
axes[0].set(xlabel="epoch", ylabel="KL, nats")
axes[0].legend()
for i, (what, shares) in enumerate(told.items()):
    place = np.arange(3) + 0.4 * i - 0.2
    axes[1].bar(
        place, shares.values(), 0.38, color=PALETTE[3 + i], label=f"from the {what}"
    )
axes[1].set_xticks(range(3), list(histories))
axes[1].legend(fontsize=8)
axes[1].axhline(0.1, color="0.5", linestyle="--")
axes[1].set(ylabel="digits read from the code", ylim=(0, 1))
caption(
    "Left: without a cure the code is empty after a few epochs. Right: how often a "
    "linear classifier "
    "reads the digit from the code, from its mean and from a draw; dashed: guessing."
)

# %% [markdown]
# **Why is the dead code's mean no mere guessing?** Its KL term is close to 0, and yet a classifier reads the digit from $\mu(x)$ much more often than one time in ten. In a collapsed model $\mu$ still moves with the image, by a small part of $\sigma$, and a classifier that is given $\mu$ to all its digits sees any movement. The decoder is given a *draw* $\mu + \sigma\varepsilon$, in which the noise covers it: the second bar is close to guessing. The KL term says so, too: its mean over the images bounds the information, in nats, that a draw of the code holds about its image, and to name one digit of ten takes $\ln 10 \approx 2.3$ nats. So judge a code by its KL, or by draws, and not by its means.
#
# Two cures, each one switch of `fit`:
#
# - **Warm-up** (`warm_up=0.5`): raise $\beta$ from 0 to 1 over the first half of the training, so that the decoder learns to use the code before the price comes.
# - **Free bits** (`free_bits=0.5`): do not charge for the first half nat of each number, so that nothing is gained by emptying it.
#
# The likelihoods printed above hardly differ, and the collapsed model is not behind. A strong decoder can be just as likely without a code, and the objective does not miss it. Whoever wants a *code*, and not only a likelihood, must say so, and look at the KL term.

# %% [markdown]
# ## 13 · What this family is good and bad at
#
# A VAE gives a code and a generator in one stable training, for the price of a bound in place of the likelihood. It is soft where its code is short, and its code may die where its decoder is strong.

# %%
from utils.families import families

families("06")

# %% [markdown]
# ## 14 · Remember
#
# 1. A VAE is a mixture of infinitely many components that share a decoder. The integral over codes is hard because almost no code explains a given image.
# 2. ELBO = reconstruction − KL to the prior = $\log p(x)$ − KL to the posterior. The first form is programmed, the second says what is lost.
# 3. The encoder amortizes inference; $z = \mu + \sigma\varepsilon$ lets the gradient through, with far less scatter than the score function.
# 4. Always say which number you report: −ELBO is a bound, IWAE-$k$ a better one. A linear VAE must reach probabilistic PCA.
# 5. Blur is a mean over images that share a code. Watch the KL of each number of the code: at zero it is dead. Warm-up and free bits keep it alive.
#
# **Exercises**: `course start 06`, then open `work/06_variational_autoencoders/exercises.ipynb`.
#
# **Further reading**
# - D. P. Kingma, M. Welling: *Auto-encoding variational Bayes*, 2013, arXiv:1312.6114.
# - D. J. Rezende, S. Mohamed, D. Wierstra: *Stochastic backpropagation and approximate inference in deep generative models*, 2014, arXiv:1401.4082: the same idea, found at the same time.
# - Y. Burda, R. Grosse, R. Salakhutdinov: *Importance weighted autoencoders*, 2015, arXiv:1509.00519.
# - M. E. Tipping, C. M. Bishop: *Probabilistic principal component analysis*, Journal of the Royal Statistical Society B, 1999.
# - J. Lucas, G. Tucker, R. Grosse, M. Norouzi: *Don't blame the ELBO! A linear VAE perspective on posterior collapse*, 2019, arXiv:1911.02469.
# - I. Higgins et al.: *beta-VAE: learning basic visual concepts with a constrained variational framework*, ICLR 2017.
# - A. A. Alemi et al.: *Fixing a broken ELBO*, 2017, arXiv:1711.00464: rate and distortion.
# - C. Cremer, X. Li, D. Duvenaud: *Inference suboptimality in variational autoencoders*, 2018, arXiv:1801.03558: the two gaps of section 8.
# - S. R. Bowman et al.: *Generating sentences from a continuous space*, 2015, arXiv:1511.06349: collapse and warm-up.
# - D. P. Kingma et al.: *Improving variational inference with inverse autoregressive flow*, 2016, arXiv:1606.04934: free bits.
# - J. Townsend, T. Bird, D. Barber: *Practical lossless compression with latent variables using bits back coding*, 2019, arXiv:1901.04866.
