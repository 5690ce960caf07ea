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
# # 8 · Generative adversarial networks
#
# **Let two networks play against each other until nobody can tell the forgery from the real thing.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 120 minutes | about two minutes, two cores | chapters 2, 4 and 6; what a neural network is | derive what the game measures and check it by integrals; write a GAN in forty lines; make modes vanish on purpose and bring them back; train one on MNIST; judge samples by measures, and know where each measure misleads |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# Every model so far had a likelihood, or a bound on it, or one up to a constant. A **generative adversarial network**, GAN, can only draw. It learns from a second network that tries to tell its samples from data. That gives sharp pictures, new ways to fail, and the question how to judge a model that cannot say how likely anything is.

# %% tags=["parameters"]
seed = 8
line_steps = 800
ring_steps = 900
grid_steps = 1800
grid_seeds = 2
mnist_images = 60000
judged = 10000

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from utils.data import load
from utils.diagrams import Box, Maps, diagram
from utils.nets import mlp
from utils.plots import PALETTE, caption, images
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · Noise, bent into data
#
# Push standard normal noise $z$ through a function $G$, the **generator**. What comes out is random, too, and with the right $G$ it can have almost any shape. But how likely is a given $x$? One would have to find all $z$ that lead to it, and for a network nobody can.

# %%
z = torch.randn(4000, 2, generator=generator)
radius, angle = z.norm(dim=1), torch.atan2(z[:, 1], z[:, 0])
ring = (1 + 0.12 * radius)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
folded = torch.stack([z[:, 0], 0.5 * z[:, 0].square() + 0.2 * z[:, 1] - 0.5], dim=1)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.1))
shapes = {"noise z": z, "pushed away from 0": ring, "folded": folded}
for ax, (name, points) in zip(axes, shapes.items(), strict=True):
    ax.scatter(*points.T, s=3, c=angle, cmap="twilight")
    ax.set(title=name, aspect="equal")
caption(
    "The same draws of noise under two simple functions. Color is the direction of z: most neighbors stay neighbors."
)

# %% [markdown]
# How should $G$ learn without a likelihood? A second network, the **discriminator** $D$, sees an example and says with which probability it is real. It learns as any classifier does, and the generator learns to make what $D$ calls real. Think of a forger and a detective: both start clumsy, and each is the other's teacher.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 1.7))
boxes = {
    "z": Box(0, 0, "noise $z$", "latent"),
    "G": Box(1.2, 0, "generator $G$", "network"),
    "made": Box(2.5, 0, "made: $G(z)$"),
    "real": Box(2.5, 1, "real: $x$"),
    "D": Box(3.9, 0.5, "discriminator $D$", "network"),
    "p": Box(5.3, 0.5, "probability\nthat it is real"),
}
arrows = [("z", "G"), ("G", "made"), ("made", "D"), ("real", "D"), ("D", "p")]
diagram(ax, boxes, arrows)
caption(
    "Two networks. The discriminator sees real and made examples and learns to tell them apart; "
    "the generator learns from the slope of its answer on the made ones."
)

# %% [markdown]
# ## 2 · The mathematics
#
# ### The game
#
# Let $p$ be the density of the data and $q$ that of the samples $G(z)$. Both players care about one number, the **value**
#
# $$V(D, G) = \mathbb E_{x \sim p} \log D(x) + \mathbb E_{z} \log\big(1 - D(G(z))\big), \qquad \min_G \max_D V(D, G).$$
#
# It is the log-likelihood of a classifier that gets real and made examples equally often. $D$ raises it, $G$ lowers it.
#
# ### The best discriminator
#
# Write $V$ as one integral, $\int p \log D + q \log (1 - D)\, dx$. At each $x$ it is $a \log t + b \log(1 - t)$ with $t = D(x)$. The derivative $a/t - b/(1 - t)$ is zero at $t = a / (a + b)$. So
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}, \qquad \text{its log-odds are } \log p(x) - \log q(x).$$
#
# That is the key: **a good discriminator knows the ratio of two densities, though nobody told it either.**
#
# ### What the game measures
#
# Put $D^*$ back, and with $m = \frac12 (p + q)$,
#
# $$V(D^*, G) = 2\, \mathrm{JS}(p, q) - \log 4, \qquad \mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p \,\|\, m) + \tfrac12 \mathrm{KL}(q \,\|\, m).$$
#
# The **Jensen–Shannon divergence** JS is 0 exactly when $p = q$, and never above $\log 2$. So against a perfect discriminator, the best a generator can do is to draw from the true distribution. Then $D^* = \frac12$ everywhere.
#
# ### A loss that teaches
#
# Early in training $D$ recognizes the samples with certainty. Then $\log(1 - D)$ is flat: the generator learns nothing just when there is most to learn. The cure was proposed together with the game: let $G$ minimize $-\log D(G(z))$ instead. This is the **non-saturating** loss; the first one is called **minimax**.

# %% [markdown]
# ## 3 · From scratch, on a line
#
# The data are a Gaussian with mean 2 and standard deviation ½. The generator has two parameters, $x = \mu + \sigma z$, so that we can follow all of it. The discriminator is a small network. Each step updates one, then the other.


# %%
real_mean, real_std = 2.0, 0.5


def data(n: int) -> Tensor:
    return real_mean + real_std * torch.randn(n, 1, generator=generator)


class LineGenerator(nn.Module):
    """x = μ + σ z: the smallest generator there is."""

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(mean))
        self.log_std = nn.Parameter(torch.tensor(math.log(std)))

    def forward(self, n: int) -> Tensor:
        return self.mean + self.log_std.exp() * torch.randn(n, 1, generator=generator)


def update(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def loss_of(answers: Tensor, real: bool) -> Tensor:
    """Mean −log probability of the right answer, when `answers` are log-odds of real."""
    truth = torch.full_like(answers, float(real))
    return F.binary_cross_entropy_with_logits(answers, truth)


def play(
    maker: nn.Module, discriminator: nn.Module, steps: int, batch: int = 256
) -> Tensor:
    """The game; returns μ and σ of each step, (steps, 2)."""
    players = [
        torch.optim.Adam(player.parameters(), lr=lr, betas=(0.0, 0.99))
        for player, lr in ((maker, 1e-2), (discriminator, 1e-2))
    ]
    path = []
    for _ in range(steps):
        fake = maker(batch)
        caught = loss_of(discriminator(fake.detach()), real=False)
        update(loss_of(discriminator(data(batch)), real=True) + caught, players[1])
        update(loss_of(discriminator(fake), real=True), players[0])  # "call my fake real!"
        path.append(torch.stack([maker.mean, maker.log_std.exp()]).detach())
    return torch.stack(path)


# %% [markdown]
# `fake.detach()` matters. When the discriminator is updated, no gradient may reach the generator: it would help the discriminator. When the generator is updated, the gradient passes *through* the discriminator, but only the generator moves.

# %%
torch.manual_seed(seed)
path = play(LineGenerator(-1.0, 1.0), mlp(1, 32, 1), line_steps)
settled = path[line_steps // 2 :].mean(0)
with record_table():
    record("generator_mean_error", abs(settled[0].item() - real_mean), kind="score")
    record("generator_std_error", abs(settled[1].item() - real_std), kind="score")
assert abs(settled[0] - real_mean) < 0.4
assert abs(settled[1] - real_std) < 0.3

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3))
for value, name, truth in zip(path.T, ("μ", "σ"), (real_mean, real_std), strict=True):
    line = left.plot(value, label=f"{name} of the generator")
    left.axhline(truth, color=line[0].get_color(), linestyle=":", linewidth=1)
left.set(xlabel="step", ylim=(-1.5, 3.5))
left.legend()
right.plot(*path.T, color="0.6", linewidth=0.8)
right.plot(*path[0], "o", color=PALETTE[1], label="start")
right.plot(real_mean, real_std, "*", color=PALETTE[2], markersize=14, label="the data")
right.set(xlabel="μ", ylabel="σ")
right.legend()
caption(
    "Both parameters reach those of the data. σ first falls far below its goal and then swings around it: "
    "the generator does not go down a fixed slope, for the discriminator changes, too."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# In one dimension every claim of section 2 can be checked by sums over a fine grid.
#
# **First: the discriminator.** We fix the generator at $q = \mathcal N(1.2,\, 0.7^2)$ and train a discriminator on samples alone. Does it find $p / (p + q)$?

# %%
from utils.training import Trainer

frozen_mean, frozen_std = 1.2, 0.7
line = torch.linspace(-8, 12, 8001, dtype=torch.float64)
cell = (line[1] - line[0]).item()


def density(mean: float | Tensor, std: float | Tensor) -> Tensor:
    """log density on the grid."""
    return Normal(torch.as_tensor(mean).double(), torch.as_tensor(std).double()).log_prob(
        line
    )


def value(answers: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """V of a discriminator with these log-odds, by integration over the grid."""
    terms = log_p.exp() * F.logsigmoid(answers) + log_q.exp() * F.logsigmoid(-answers)
    return terms.sum() * cell


log_p, log_q = density(real_mean, real_std), density(frozen_mean, frozen_std)
torch.manual_seed(seed)
discriminator = mlp(1, 64, 64, 1, activation=nn.Tanh)
fake = frozen_mean + frozen_std * torch.randn(100_000, 1, generator=generator)
Trainer(
    discriminator,
    lambda real, fake, training: (
        F.softplus(-discriminator(real)) + F.softplus(discriminator(fake))
    ),
    epochs=4,
    batch_size=500,
    lr=5e-3,
    seed=seed,
    device="cpu",
).fit((data(100_000), fake))
with torch.no_grad():
    trained = discriminator(line.float()[:, None])[:, 0].double()

either = log_p.exp() + log_q.exp()
closed_form = log_p.exp() / either
# Weighted by the density of the places where it was asked.
error = ((trained.sigmoid() - closed_form).abs() * either / 2).sum() * cell
record("discriminator_error", error.item(), kind="score")
assert error < 0.03

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.5, 3))
ax.fill_between(line, log_p.exp(), color=PALETTE[0], alpha=0.25, label="p, data")
ax.fill_between(line, log_q.exp(), color=PALETTE[1], alpha=0.25, label="q, fakes")
ax.plot(line, closed_form, color="black", label="p / (p + q)")
ax.plot(line, trained.sigmoid(), "--", color=PALETTE[4], label="trained discriminator")
ax.set(xlim=(-1.5, 4.5), xlabel="x", ylabel="D(x)")
ax.legend(loc="upper left")
caption(
    "The trained discriminator lies on the closed form wherever there are examples. On the "
    "far right it was never asked."
)

# %% [markdown]
# **Second: the value.** The best value is $2\,\mathrm{JS} - \log 4$. The trained discriminator must come close to it and can never exceed it.

# %%
log_m = torch.logaddexp(log_p, log_q) - math.log(2)
js = 0.5 * cell * (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum()
best = value(log_p - log_q, log_p, log_q)
reached = value(trained, log_p, log_q)
with record_table():
    record("js_divergence", js.item(), unit="nats", kind="exact")
    record("value_closed_form", best.item(), unit="nats", kind="exact")
    record("value_trained", reached.item(), unit="nats", kind="bound")
print(f"2 JS − log 4 = {2 * js.item() - math.log(4):.9f}, V(D*) = {best.item():.9f}")
assert torch.allclose(2 * js - math.log(4), best)
assert best - 0.02 < reached < best

# %% [markdown]
# **Third: the gradient for the generator.** The generator follows the gradient of $V$ with $D$ held fixed. Is that the gradient of the divergence, in which $D^*$ changes with the generator? At the best $D$ it must be, since there a small change of $D$ does not change $V$ to first order. Autograd confirms it to many digits.

# %%
mean = torch.tensor(frozen_mean, dtype=torch.float64, requires_grad=True)
moving = density(mean, frozen_std)
[with_d_fixed] = torch.autograd.grad(value((log_p - moving).detach(), log_p, moving), mean)
moving = density(mean, frozen_std)
middle = torch.logaddexp(log_p, moving) - math.log(2)
twice_js = cell * (log_p.exp() * (log_p - middle) + moving.exp() * (moving - middle)).sum()
[of_the_divergence] = torch.autograd.grad(twice_js, mean)
print(f"gradient of V with D* fixed: {with_d_fixed.item():.9f}")
print(f"gradient of 2 JS:            {of_the_divergence.item():.9f}")
assert torch.allclose(with_d_fixed, of_the_divergence)

# %% [markdown]
# **Fourth: why minimax stops teaching.** We move the generator away from the data, take the best discriminator at each distance, and compute the gradient of each loss with respect to the generator's mean.

# %%
nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(80))
weights = weights / weights.sum()  # sums with these are means over z


def pushes(distance: float) -> tuple[float, float]:
    """|d loss / d mean| of both losses, against D*, for two Gaussians of σ = ½."""
    mean = torch.tensor(real_mean - distance, dtype=torch.float64, requires_grad=True)
    x = mean + real_std * nodes
    start = mean.detach()
    answers = ((x - start).square() - (x - real_mean).square()) / (2 * real_std**2)
    losses = -F.softplus(answers), F.softplus(-answers)
    slopes = [
        torch.autograd.grad((weights * loss).sum(), mean, retain_graph=True)[0].abs()
        for loss in losses
    ]
    return slopes[0].item(), slopes[1].item()


distances = torch.linspace(0.05, 5, 60).tolist()
minimax_push, non_saturating_push = zip(*map(pushes, distances), strict=True)
assert minimax_push[-1] < 1e-3 < 1 < non_saturating_push[-1]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 2.8))
ax.semilogy(distances, minimax_push, label="minimax")
ax.semilogy(distances, non_saturating_push, label="non-saturating")
ax.set(xlabel="distance between the means", ylabel="push on the mean", ylim=(1e-9, 1e3))
ax.legend()
caption(
    "Size of the gradient for the mean. Far from the data that of the minimax loss vanishes; that of "
    "the non-saturating loss grows with the distance."
)

# %% [markdown]
# ## 5 · Modes vanish: the ring of eight
#
# From here on we use the library's [`GAN`](../../utils/models/gans/gan.py). Its two steps are those of `play`, with the losses to choose from and the cures as options. Its losses must be ours.

# %%
from utils.models.gans import GAN, discriminator_loss, generator_loss

on_real, on_fake = torch.linspace(-9, 9, 100), torch.linspace(5, -20, 100)
both = loss_of(on_real, real=True) + loss_of(on_fake, real=False)
assert torch.allclose(discriminator_loss(on_real, on_fake).mean(), both)
assert torch.allclose(generator_loss(on_fake).mean(), loss_of(on_fake, real=True))

# %% [markdown]
# The data: eight Gaussians on a ring. We train **five** GANs with five seeds at once: their weights are stacked, one product serves all five, and no member sees another (`utils/models/gans/toys.py`). One seed would prove nothing here.
#
# A mode counts as **found** if at least a fifth of the samples it should get lie within three standard deviations of its center. The first GAN uses Adam as it comes, with **momentum**: each step goes mostly where the last ones went. But the other player has changed in the meantime, and the direction of earlier steps is out of date. The second GAN is the same without momentum.

# %%
import functools

from utils.models.gans import EnsembleMLP, mixture_points, modes_found, ring_centers
from utils.toys import GAUSSIANS_NOISE

members = 5
momentum = functools.partial(torch.optim.Adam, betas=(0.9, 0.999), fused=True)
no_momentum = functools.partial(torch.optim.Adam, betas=(0.0, 0.99), fused=True)


def ring_gan(optimizer, lr=1e-3, discriminator_lr=None, **options):
    """Five members on the ring; returns snapshots (6, 2000, 5, 2), or stops when it diverges."""
    networks = [
        EnsembleMLP(members, 2, 32, 32, outputs, spread=1.0, generator=generator)
        for outputs in (2, 1)
    ]
    model, snapshots = GAN(*networks, (members, 2), **options), []
    shape = (64 * ring_steps // 6, members)
    points = mixture_points(ring_centers(), GAUSSIANS_NOISE, *shape, generator=generator)
    model.fit(
        points,
        epochs=6,
        batch_size=64,
        lr={"discriminator": discriminator_lr or lr, "generator": lr},
        optimizer=optimizer,
        callbacks=[lambda training: snapshots.append(model.sample(2000, generator))],
        seed=seed,
        device="cpu",
    )
    return torch.stack(snapshots)


def on_the_ring(samples: Tensor) -> tuple[Tensor, Tensor]:
    return modes_found(samples, ring_centers(), GAUSSIANS_NOISE)


ring_runs = {"momentum": ring_gan(momentum), "no momentum": ring_gan(no_momentum)}
with record_table():
    for name, snapshots in ring_runs.items():
        found = on_the_ring(snapshots[-1])[0]
        print(f"{name:12s} modes found by the five seeds: {found.tolist()}")
        key = f"ring_modes_{name.replace(' ', '_')}"
        record(key, found.double().mean().item(), unit="of 8", kind="score")
assert on_the_ring(ring_runs["no momentum"][-1])[0].double().mean() >= 7

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(2, 6, figsize=(9.5, 3.7), sharex=True, sharey=True)
for row, (name, snapshots), color in zip(axes, ring_runs.items(), PALETTE, strict=False):
    for ax, samples in zip(row, snapshots, strict=True):
        ax.plot(*ring_centers().T, "x", color="0.6", markersize=5)
        ax.scatter(*samples[:600, 0].T, s=2, color=color)
        found = on_the_ring(samples)[0][0]
        ax.set(title=f"{found} of 8", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal")
    row[0].set_ylabel(name)
for at, ax in enumerate(axes[1], 1):
    ax.set_xlabel(f"step {at * ring_steps // 6}")
caption(
    "One seed over time. With momentum the samples move from place to place and cover few modes at once. "
    "Without momentum they spread over all eight."
)

# %% [markdown]
# That is **mode collapse**. To deceive the discriminator for a moment it is enough to make one kind of example well. The discriminator learns to recognize it, the generator moves on to the next, and so on without end. Nothing in the two losses says that the game is going badly.
#
# ### How unstable is it?
#
# The same ring with other learning rates. The "strong D" learns ten times faster than the generator, the "over-strong D" fifty times, with minimax.

# %%
settings = {
    "momentum, strong D": (momentum, {"lr": 1e-3, "discriminator_lr": 1e-2}),
    "no momentum, lr 0.0001": (no_momentum, {"lr": 1e-4}),
    "no momentum, lr 0.01": (no_momentum, {"lr": 1e-2}),
    "no momentum, lr 0.05": (no_momentum, {"lr": 5e-2}),
    "no momentum, strong D": (no_momentum, {"lr": 1e-3, "discriminator_lr": 1e-2}),
    "no momentum, over-strong D": (
        no_momentum,
        {"lr": 1e-3, "discriminator_lr": 5e-2, "loss": "minimax"},
    ),
}
ring_table = {
    "momentum, lr 0.001": ring_runs["momentum"],
    "no momentum, lr 0.001": ring_runs["no momentum"],
}
for name, (optimizer, options) in settings.items():
    ring_table[name] = ring_gan(optimizer, **options)
print(f"{'setting':26s} modes of 8, five seeds    mean   near a mode")
ring_means = {}
for name in sorted(ring_table):
    found, near = on_the_ring(ring_table[name][-1])
    ring_means[name] = found.double().mean().item()
    print(f"{name:26s} {found.tolist()!s:24s} {ring_means[name]:5.1f}   {near.mean():8.0%}")
assert ring_means["no momentum, lr 0.05"] < 6 < ring_means["no momentum, lr 0.01"]
assert ring_means["no momentum, lr 0.0001"] < ring_means["no momentum, lr 0.001"]
assert ring_means["momentum, strong D"] > ring_means["momentum, lr 0.001"] + 1
assert ring_means["no momentum, strong D"] > 6

# %% [markdown]
# Read it row by row. Too small a learning rate looks like collapse, but is only slow: the run is too short for it. Too large a rate is collapse: the samples lie near modes, but near few. With momentum few modes are found at this rate; without, rates that differ by a factor of ten both work. One often reads that a discriminator must not learn faster than the generator. Here a discriminator that learns ten times faster does no harm without momentum, and with momentum it helps: it can follow the generator's fast changes. At fifty times the rate (and with minimax) some modes are lost again. So before changing the loss, look at the optimizer.

# %% [markdown]
# ## 6 · The grid of twenty-five, and the cures one by one
#
# Twenty-five Gaussians at whole-number coordinates, each with standard deviation 0.05. They are small: samples that are spread evenly over the square find none by our rule. These cures have been proposed:
#
# - **No momentum**, as on the ring.
# - **Relativistic pairing.** Ask not "is it real?" but "is this one more real than that one?": the discriminator minimizes $\log(1 + e^{f(G(z)) - f(x)})$ for pairs of a real and a generated example. A generator that leaves out a mode then loses against that mode's examples.
# - **WGAN-GP.** Drop the sigmoid: the *critic* gives any number $f(x)$, and its loss is $\mathbb E f(G(z)) - \mathbb E f(x)$. If $f$ never rises faster than 1 per unit, the best difference is the **earth mover's distance**, which has a slope even where $p$ and $q$ do not overlap. So the penalty $\lambda\, (\lVert \nabla f(\hat x) \rVert - 1)^2$ punishes slopes other than 1, at points between real and generated ones.
# - **R1.** Punish the discriminator's slope on real data only: $\frac{\gamma}{2} \lVert \nabla f(x) \rVert^2$. When the samples follow the data, nothing is left to tell apart, and the slope there should be 0. Without the penalty the discriminator keeps a slope and pushes the generator away again.
#
# The library has three more to try: weights clipped to a small box (the first WGAN), spectral normalization, and minibatch statistics, which tell the discriminator how much the batch varies. Networks, data, learning rate and number of steps are the same for all. The run without momentum is the basis of the other three cures, each alone, and R1 is also tried *with* momentum. The learning rate falls to 0 over the run, so that each game can settle.

# %%
from utils.models.gans import GRID_NOISE, grid_centers


def on_the_grid(samples: Tensor) -> tuple[Tensor, Tensor]:
    return modes_found(samples, grid_centers(), GRID_NOISE)


def grid_gan(optimizer=no_momentum, lr=5e-3, **options) -> tuple[Tensor, list[float]]:
    """Samples (2500, seeds, 2), and the mean number of modes found at each sixth of the run."""
    made, judge = (
        EnsembleMLP(grid_seeds, 2, 64, 64, 64, outputs, generator=generator)
        for outputs in (2, 1)
    )
    model, found = GAN(made, judge, (grid_seeds, 2), **options), []
    shape = (128 * grid_steps // 6, grid_seeds)
    points = mixture_points(grid_centers(), GRID_NOISE, *shape, generator=generator)

    def count(training) -> None:
        samples = model.sample(2500, generator)
        found.append(on_the_grid(samples)[0].double().mean().item())

    model.fit(
        points,
        epochs=6,
        batch_size=128,
        lr=lr,
        schedule="linear",
        optimizer=optimizer,
        callbacks=[count],
        seed=seed,
        device="cpu",
    )
    return model.sample(2500, generator), found


r1 = {"r1": 0.2, "r1_every": 4}
cures = {
    "momentum": {"optimizer": momentum},
    "R1, momentum": {"optimizer": momentum, **r1},
    "no momentum": {},
    "relativistic": {"loss": "relativistic"},
    "WGAN-GP": {"loss": "wasserstein", "gradient_penalty": 0.1},
    "R1": r1,
}
grid_runs = {name: grid_gan(**options) for name, options in cures.items()}
even = 5 * torch.rand(2500, grid_seeds, 2, generator=generator) - 2.5
truth = mixture_points(grid_centers(), GRID_NOISE, 2500, generator=generator)

title = f"after {grid_steps} steps"
print(f"{title:18s} modes of 25, each seed   mean   near a mode")
grid_means = {}
for name, (samples, _) in ({"spread evenly": (even, [])} | grid_runs).items():
    found, near = on_the_grid(samples)
    grid_means[name] = found.double().mean().item()
    print(f"{name:18s} {found.tolist()!s:22s} {grid_means[name]:6.1f}   {near.mean():8.0%}")
with record_table():
    for name in cures:
        key = "grid_modes_" + name.lower().replace(", ", "_").replace(" ", "_").replace(
            "-", "_"
        )
        record(key, grid_means[name], unit="of 25", kind="score")
assert on_the_grid(even)[0].max() <= 3
assert max(grid_means["momentum"], grid_means["R1, momentum"]) < grid_means["no momentum"]
cured = min(grid_means["R1"], grid_means["WGAN-GP"])
assert cured > 4 + max(grid_means["no momentum"], grid_means["relativistic"])

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 7, figsize=(10, 1.9), sharex=True, sharey=True)
panels = {"the data": truth} | {name: runs[:, 0] for name, (runs, _) in grid_runs.items()}
for ax, (name, samples) in zip(axes, panels.items(), strict=True):
    ax.scatter(*samples.T, s=0.5, color="0.3" if name == "the data" else PALETTE[0])
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    ax.set_title(name, fontsize=9)
caption(
    "The first seed of each run at its end. With momentum the samples lie beside the grid. Without it "
    "they lie on a part of it, with a penalty on the slope on nearly all of it. Threads remain between "
    "the modes: a continuous function cannot tear its noise apart."
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 3))
at = [grid_steps * sixth // 6 for sixth in range(1, 7)]
for (name, (_, found)), color, marker in zip(
    grid_runs.items(), PALETTE, "svoD^*", strict=False
):
    ax.plot(at, found, color=color, marker=marker, label=name)
ax.axhline(25, color="0.7", linewidth=1, zorder=0)
ax.set(xlabel="step", ylabel="modes found, mean of the seeds", ylim=(0, 26), xticks=at)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
caption(
    "Modes found over the run. With momentum there are hardly any. Without it, two runs end near one half, "
    "and the two with a penalty on the slope near 25."
)

# %% [markdown]
# "Spread evenly" is no model, but random points all over the square: our rule does not count them. With momentum nothing is gained here, not even by R1. Without momentum about half of the modes are found, and then the plain game stops: its curve no longer rises. Relativistic pairing adds little or nothing. **The two penalties on the discriminator's slope are the cure**: each alone, WGAN-GP finds most modes and R1 nearly all. (A smaller share of their samples lies near a mode than in the plain game. The others lie on threads between modes, and more modes are connected by more threads.) R1 needs the first cure as well: with momentum it finds hardly any mode.
#
# Why does it help? Where the samples already lie on the data, an unpenalized discriminator can still be steep, because it answers to chance differences between two batches. The generator follows that slope away from the modes that it has found. A penalty keeps the discriminator flat there. The order of the cures holds for this task and these learning rates; on another task it has to be measured again.

# %% [markdown]
# ## 7 · Images: a convolutional pair
#
# For images both players are convolutional: an edge is an edge wherever it lies. The discriminator goes from pixels to one number, halving the side at each layer. The generator goes the other way: a linear layer makes 7 × 7 places, and then each layer doubles the side. This is **DCGAN**.

# %%
from utils.models.gans import ImageDiscriminator, ImageGenerator, architecture

torch.manual_seed(seed)
made, judge = ImageGenerator(latent=64), ImageDiscriminator()
shapes = {}
for name, network, example in (
    ("generator", made, torch.zeros(2, 64)),
    ("discriminator", judge, torch.zeros(2, 1, 28, 28)),
):
    table = architecture(network, example)
    print(f"{name}: {table.parameters.sum():,} parameters")
    print(table.to_string(index=False), "\n")
    shapes[name] = [shape for shape in dict.fromkeys(table.output) if len(shape) == 3]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 2.8))
boxes = {"z": Box(0, 1, "noise $z$\n64 numbers", "latent")}
boxes |= {
    f"g{i}": Maps(1.2 * i + 1.3, 1, shape) for i, shape in enumerate(shapes["generator"])
}
boxes["image"] = Maps(0, 0, (1, 28, 28), "image")
boxes |= {f"d{i}": Maps(1.2 * i + 1.3, 0, s) for i, s in enumerate(shapes["discriminator"])}
boxes["answer"] = Box(6.1, 0, "log-odds\nof real", "latent")
arrows = [("z", "g0", "linear"), ("g0", "g1"), ("g1", "g2"), ("g2", "g3")]
arrows += [
    ("image", "d0"),
    ("d0", "d1"),
    ("d1", "d2"),
    ("d2", "d3"),
    ("d3", "answer", "linear"),
]
diagram(ax, boxes, arrows)
ax.set_ylim(-0.4, 1.4)
caption(
    "The two networks (channels × height × width). Above, the generator: the last step lays out four "
    "channels as squares of 2 × 2 pixels. Below, the discriminator: between its second and third "
    "convolution one channel is added, which says how much the batch varies."
)

# %% [markdown]
# Four things are used to make it work in so short a time: no momentum; R1, computed at every eighth step only, because it is expensive; `MinibatchStd`, the minibatch statistics, in the discriminator; and an exponential moving average of the weights (**EMA**) in place of the last weights. The two players go around their balance, and an average over the last steps is nearer to it than any single step.

# %%
import time

mnist = load("mnist")
gan = GAN(made, judge, 64, r1=0.2, r1_every=8)
recipe = {"epochs": 1, "batch_size": 48, "lr": 2e-3, "ema": 0.998, "seed": seed}
began = time.perf_counter()
gan.fit(mnist.x_train[:mnist_images], **recipe)
gan.cpu()
print(f"trained in {time.perf_counter() - began:.0f} s")

# %%
samples = gan.sample(judged, generator)
some = torch.randperm(len(mnist.x_train), generator=generator)[:64]

# %% jupyter={"source_hidden": true} tags=["picture"]
images(
    torch.cat([mnist.x_train[some[:60]], samples[:60]]),
    columns=12,
    rows=["real", "made by the GAN,\nnot chosen"],
)
caption(
    "Below: the first 60 samples. Most strokes are sharp and whole. Some are no digits: "
    "the noise is connected, so there are shapes between two digits."
)

# %% [markdown]
# ## 8 · How good is it? Judging without a likelihood
#
# A GAN cannot say how likely a test image is, and looking at samples does not show what is missing. So we measure samples as a set. Pixels are a bad space for distances, since a digit moved by one pixel is far away. We use the **features** of the course's small classifier, the 64 numbers from which it tells the digit (`utils/models/classifiers/digits.py`; its weights come with the course).
#
# - **Fréchet distance.** Fit a Gaussian to the features of real images and one to those of samples, and take $\lVert \mu - \mu' \rVert^2 + \mathrm{tr}\big(\Sigma + \Sigma' - 2 (\Sigma \Sigma')^{1/2}\big)$. It is 0 for equal means and covariances. Its scale is that of the features, so beside it stands the **floor**, real training images against the test images. With Inception's features it is the well-known FID; ours is not that number.
# - **Precision**: how many samples lie where real images are? **Recall**: how many real images lie where samples are? "Where" is a ball around each point that reaches to its fifth neighbor.
# - **Coverage**: how many real images have a sample within their *own* ball? A single strange sample with a large ball can raise recall, but not coverage.
#
# All sets are compared with the test set, or with a fixed random part of it: its first images are easier than the last. The rivals are the VAE of chapter 6, as the images it decodes (means) and as binary draws, and a Bernoulli mixture of chapter 4, as the mean images of its components.

# %%
from utils.metrics import frechet_distance, neighbors
from utils.models.classifiers import digit_classifier
from utils.models.mixtures import BernoulliMixture
from utils.models.vae import mnist_vae

classifier, vae = digit_classifier(), mnist_vae()
right = (classifier.predict(mnist.x_test) == mnist.y_test).double().mean()
record("classifier_accuracy", right.item(), kind="score")
binary = (mnist.x_train[:10000].flatten(1) > 0.5).float()
mixture = BernoulliMixture(100, max_iter=10, generator=generator).fit(binary)
drawn = torch.multinomial(mixture.weights, judged, replacement=True, generator=generator)
sets = {
    "real": mnist.x_train[torch.randperm(60000, generator=generator)[:judged]],
    "gan": samples,
    "vae": vae.decode(torch.randn(judged, 32, generator=generator)),
    "vae_binary": vae.sample(judged, generator),
    "mixture": mixture.probs[drawn].float(),
}
in_order = classifier.features(mnist.x_test)
test_features = in_order[mnist.test_part(judged)]


def judge_samples(name: str, x: Tensor):
    """Print a row of measures; returns Fréchet distance, shares of digits, neighbors' measures, spread."""
    features = classifier.features(x)
    distance = frechet_distance(test_features[: len(x)], features)
    some = neighbors(test_features[:2000], features[:2000])
    digits = classifier.head(features).argmax(1)
    shares = torch.bincount(digits, minlength=10) / len(x)
    spread = features.var(0).sum().item()  # the trace of the covariance
    print(
        f"{name:18s} {distance:8.1f} {some.precision:10.2f} {some.recall:7.2f}"
        f" {some.coverage:9.2f}   {shares.min():5.1%} to {shares.max():5.1%} {spread:8.0f}"
    )
    return distance, shares, some, spread


header = f"{'':18s}  Fréchet  precision  recall  coverage   share of a digit    spread"
print(header)
measured = {name: judge_samples(name, x) for name, x in sets.items()}


def typical_ball(x: Tensor) -> float:
    """Median distance from an image to its fifth neighbor, in features."""
    features = classifier.features(x[:2000])
    return torch.cdist(features, features).kthvalue(6, dim=1).values.median().item()


balls = {name: typical_ball(sets[name]) for name in ("real", "gan")}
print(f"typical ball: {balls['real']:.1f} of real images, {balls['gan']:.1f} of the GAN's")
real_features = classifier.features(sets["real"])
for which, few in (("first", in_order[:4000]), ("random", test_features[:4000])):
    distance = frechet_distance(few, real_features)
    print(f"the floor against {which} 4,000 test images: {distance:.1f}")

# %% [markdown]
# Is our distance computed rightly? The library torchmetrics takes any features: we lay ours out as images of 8 × 8 and tell it to leave them as they are.

# %%
from torchmetrics.image.fid import FrechetInceptionDistance

theirs = FrechetInceptionDistance(nn.Flatten(), normalize=True, input_img_size=(1, 8, 8))
theirs.set_dtype(torch.float64)
for features, real in ((test_features, True), (classifier.features(samples), False)):
    theirs.update(features.double().reshape(-1, 1, 8, 8), real=real)
distance = theirs.compute().item()
print(f"torchmetrics: {distance:.6f}, ours: {measured['gan'][0]:.6f}")
record("difference_to_torchmetrics", abs(distance - measured["gan"][0]), kind="exact")
assert abs(distance - measured["gan"][0]) < 1e-3

# %%
with record_table():
    for name in ("real", "gan", "vae", "vae_binary", "mixture"):
        record(f"{name}_frechet", measured[name][0], kind="score")
    shares = measured["gan"][1]
    record("gan_smallest_digit", shares.min().item(), unit="of the samples", kind="score")
    record("gan_largest_digit", shares.max().item(), unit="of the samples", kind="score")
assert measured["gan"][0] < 0.5 * measured["vae"][0]
assert measured["real"][0] < measured["gan"][0]
assert 0.05 < shares.min() < shares.max() < 0.15
made_by_gan, made_by_vae, averages = (
    measured[name][2] for name in ("gan", "vae", "mixture")
)
assert made_by_gan.coverage > made_by_vae.coverage
assert made_by_gan.precision < made_by_vae.precision < averages.precision
assert averages.recall < 0.3
assert measured["gan"][0] < measured["mixture"][0] < measured["vae"][0]
assert measured["vae"][3] < measured["mixture"][3] < measured["real"][3]
assert balls["gan"] > balls["real"]

# %% jupyter={"source_hidden": true}
names = ["GAN", "VAE, means", "VAE, binary draws", "mixture, means"]
sheet = [
    sets[key][:36].reshape(-1, 28, 28) for key in ("gan", "vae", "vae_binary", "mixture")
]
images(torch.cat(sheet), columns=12, rows=names)
caption(
    "The first 36 samples of each. The GAN's strokes are whole; the VAE's are often torn; the mixture's are averages."
)

# %% [markdown]
# No single number decides. By the Fréchet distance the VAE is far from the data and the GAN much nearer, and coverage agrees. Precision does not: this GAN is small and briefly trained, and some of its samples are no digits.
#
# Two values in the table look wrong, and each shows what its measure does not see.
#
# **A hundred blurred averages have a better Fréchet distance than the VAE.** The distance compares a mean and a covariance, and most of the covariance of these features is the difference between one digit and another. The averages are clean prototypes of the ten digits, so they keep more of that spread (last column) than the VAE, whose torn strokes leave the classifier undecided and its features small. That there are only a hundred different images does not change a covariance. Recall sees it: hardly any real image lies near one of them. And the mixture has the best precision, because an average lies in the middle of the data. Each column can be won by giving up what the others measure.
#
# **The GAN's recall is about as high as that of real images.** Recall asks whether a real image lies in the ball of some sample, and the ball of a sample reaches to its fifth neighbor *among the samples*. The GAN's samples lie farther apart in feature space than real images do, its failures farthest. So their balls are larger, as printed above, and cover more. Bad samples can raise recall. Coverage uses the balls of the real images, which no model can enlarge, and there the GAN is clearly below the real images.
#
# Read the columns together, and beside the floor. The last two lines show why the test images must be a random part: against the first 4,000 even real images seem much farther away than they are.
#
# The VAE has a bound on the likelihood, codes for given images, and a training that minimizes one loss.
#
# ### Does it copy?
#
# A model that returns training images would pass every test so far. So we look up, for each sample, the nearest of all 60,000 training images, in pixels, and do the same for test images, of which no model has seen any.

# %%
train = mnist.x_train.flatten(1)
unseen = mnist.x_test[mnist.test_part(300)]
queries = {"samples": samples[:300].flatten(1), "test": unseen.flatten(1)}
nearest = {name: torch.cdist(x, train).min(1) for name, x in queries.items()}
ratio = nearest["samples"].values.median() / nearest["test"].values.median()
closest = nearest["samples"].values.min().item()
record("gan_nearest_ratio", ratio.item(), unit="of a test image's distance", kind="score")
print(f"the nearest of all: {closest:.2f}; a copy would have 0")
assert ratio > 0.5
assert closest > 0.5

rows = [samples[:12].flatten(1), train[nearest["samples"].indices[:12]]]

# %% jupyter={"source_hidden": true}
images(
    torch.cat(rows).reshape(-1, 28, 28),
    columns=12,
    rows=["sample", "nearest"],
)
caption(
    "Above: samples. Below: the training image nearest to each. They are similar and not the same: these are no copies."
)

# %% [markdown]
# ### A walk through the noise
#
# If $G$ had stored single images, its output would jump somewhere between one $z$ and another. It does not.

# %%
ends = gan.noise(10, generator)
steps = torch.linspace(0, math.pi / 2, 12)[:, None, None]
walk = ends[:5] * steps.cos() + ends[5:] * steps.sin()  # (12, 5, 64), the length kept
with torch.no_grad():
    strolls = gan.generator(walk.transpose(0, 1).reshape(-1, 64))

# %% jupyter={"source_hidden": true}
images(strolls, columns=12, rows=[f"walk {i}" for i in range(1, 6)])
caption(
    "Five walks between two draws of noise. One digit turns into another through shapes that are half digits."
)

# %% [markdown]
# ## 9 · Told what to draw
#
# Two ideas of large GANs for photographs fit here.
#
# - **Labels.** The generator is told which digit to draw; the discriminator sees the image *and* the label, and answers $f(x, y) = a \cdot h(x) + b + v_y \cdot h(x)$, a general part and a part for the class (**projection**).
# - **Truncation.** After training, draw each number of $z$ from a normal distribution cut off at $\pm t$. This gives less variety and, it is hoped, better single images. But sixty-four normal numbers are almost never all small, so in training the generator has hardly ever seen noise near the middle. Brock and others found artifacts under truncation in many of their models, and changed the training against that.
#
# What do labels change? We train the pair of section 7 again, with labels and else alike: the same layers and loss, the same images, the same number of steps.

# %%
torch.manual_seed(seed)
made, judge = ImageGenerator(64, n_classes=10), ImageDiscriminator(n_classes=10)
named = GAN(made, judge, 64, r1=0.2, r1_every=8, n_classes=10)
named.fit(mnist.x_train[:mnist_images], mnist.y_train[:mnist_images], **recipe)
named.cpu()
labels = torch.arange(judged) % 10
limits = (0.3, 0.7, 1.2, math.inf)
print(header)
drawn_named, curve = {}, []
for t in limits:
    x = named.sample(judged, generator, labels, truncation=t)
    drawn_named[t] = x
    curve.append(judge_samples(f"labels, |z| < {t}", x))
judge_samples("no labels", samples)
obeyed = (classifier.predict(drawn_named[math.inf]) == labels).double().mean().item()
with record_table():
    record("conditional_obeyed", obeyed, unit="of the labels", kind="score")
    record("conditional_frechet", curve[-1][0], kind="score")
assert obeyed > 0.85
assert curve[0][2].recall < curve[-1][2].recall
assert curve[0][2].precision > curve[-1][2].precision > made_by_gan.precision
assert curve[0][0] > curve[-1][0]
assert curve[-1][0] < measured["gan"][0]
assert curve[-1][2].coverage > made_by_gan.coverage

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplot_mosaic(
    [["above", "right"], ["below", "right"]], figsize=(11.6, 5.6), width_ratios=(2.6, 1)
)
images(drawn_named[0.3][:30], columns=10, title="truncated at 0.3", axes=axes["above"])
images(drawn_named[math.inf][:30], columns=10, title="not truncated", axes=axes["below"])
right = axes["right"]
precision, recall, _ = zip(*(some for _, _, some, _ in curve), strict=True)
right.plot(recall, precision, marker="o", color=PALETTE[0])
for t, x, y in zip(limits, recall, precision, strict=True):
    right.annotate(
        "all" if t == math.inf else f"{t}", (x, y), (4, 4), textcoords="offset points"
    )
right.set(xlabel="recall", ylabel="precision")
caption(
    "A column is a label. Above: one shape for each digit, again and again. Below: varied shapes, "
    "with some failures. Right: precision and recall for each truncation."
)

# %% [markdown]
# **Labels help much.** The last two rows differ in nothing but the labels: the Fréchet distance falls far below that of the model without labels, precision and coverage rise, recall stays about the same. With a label the generator no longer has to find out from noise alone that there are ten kinds of image, and the discriminator compares each sample with real images of the same kind, a finer comparison. (Equal shares of the digits are what we asked for.)
#
# **Truncation takes variety, and may give precision.** Recall goes to nothing, and the Fréchet distance grows: one shape for each digit, again and again, like the averages of section 8. In this run precision rises. Do not count on it: with `seed = 101` it falls far, because the generator has hardly seen such noise and draws artifacts, as Brock and others found. Say so when you show truncated samples.

# %% [markdown]
# ## 10 · What this family is good and bad at
#
# A GAN draws an image in one pass, its samples are sharp, and any network can be its generator. It gives no likelihood and no codes of given images, it can leave out modes without a sign in its loss, and its training has to be watched.

# %%
from utils.families import families

families("08")

# %% [markdown]
# ## 11 · Remember
#
# 1. A generator bends noise into data. It can draw; it cannot say how likely anything is.
# 2. The best discriminator is $p / (p + q)$; against it, the game measures the Jensen–Shannon divergence.
# 3. The gradient of the minimax loss vanishes when the discriminator is certain. That of the non-saturating loss does not.
# 4. A generator can lose modes, and its losses do not show it. On the ring it was enough to take momentum away. On the grid a penalty on the discriminator's slope was needed besides: R1 alone found nearly all modes, WGAN-GP alone most, the other cures about half.
# 5. Judge samples as a set, with several measures: Fréchet distance beside its floor, precision, recall, coverage, nearest neighbors. Each alone can be good for a bad model.
#
# **Exercises**: `course start 08`, then open `work/08_generative_adversarial_networks/exercises.ipynb`.
#
# **Further reading**
# - I. Goodfellow et al.: *Generative adversarial nets*, 2014, arXiv:1406.2661: the game, its optimum and the non-saturating loss.
# - A. Radford, L. Metz, S. Chintala: *Unsupervised representation learning with deep convolutional generative adversarial networks*, 2015, arXiv:1511.06434.
# - M. Arjovsky, S. Chintala, L. Bottou: *Wasserstein GAN*, 2017, arXiv:1701.07875; I. Gulrajani et al.: *Improved training of Wasserstein GANs*, 2017, arXiv:1704.00028.
# - T. Miyato et al.: *Spectral normalization for generative adversarial networks*, 2018, arXiv:1802.05957.
# - L. Mescheder, A. Geiger, S. Nowozin: *Which training methods for GANs do actually converge?*, 2018, arXiv:1801.04406: R1, and why the players circle.
# - Z. Lin et al.: *PacGAN: the power of two samples in generative adversarial networks*, 2017, arXiv:1712.04086: the grid of 25, and counting modes.
# - A. Jolicoeur-Martineau: *The relativistic discriminator*, 2018, arXiv:1807.00734; the pairing with gradient penalties: Y. Huang et al., *The GAN is dead; long live the GAN!*, 2024, arXiv:2501.05441.
# - M. Heusel et al.: *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, 2017, arXiv:1706.08500: the Fréchet distance.
# - T. Kynkäänniemi et al.: *Improved precision and recall metric for assessing generative models*, 2019, arXiv:1904.06991; M. F. Naeem et al.: *Reliable fidelity and diversity metrics for generative models*, 2020, arXiv:2002.09797: coverage.
# - A. Brock, J. Donahue, K. Simonyan: *Large scale GAN training for high fidelity natural image synthesis*, 2018, arXiv:1809.11096: BigGAN.
