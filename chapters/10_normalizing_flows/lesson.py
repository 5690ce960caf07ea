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
# # 10 · Normalizing flows
#
# **Bend a simple distribution into a hard one, and keep the books so well that the density stays exact.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 120 minutes; what is marked *optional* takes 60 more | two minutes, two cores | chapters 2 and 4, derivatives, what a determinant is | change variables without losing a factor; write RealNVP in forty lines and prove it right; choose between couplings, autoregressive maps and splines; give images an honest number of bits; name two things no flow can do |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# A variational autoencoder has only a bound on the likelihood; a mixture has an exact one, and few shapes. A **normalizing flow** is a neural network that can be run backwards: it turns data into plain noise and noise into data, and knows the density of every point exactly. The price: each layer must be a **bijection**, a map that loses nothing.

# %% tags=["parameters"]
seed = 10
moons_points = 4000
moons_steps = 800
toy_points = 5000
toy_epochs = 28
digit_epochs = 20
code_images = 20000
code_epochs = 4
mnist_images = 8000
fashion_images = 6000

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from utils.data import load
from utils.diagrams import Box, Maps, diagram
from utils.plots import PALETTE, caption, images, plane
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)


def randn(*shape: int) -> Tensor:
    """Standard normal numbers from the lesson's own generator."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


# %% [markdown]
# ## 1 · One picture: bend the sheet
#
# Sprinkle points from a standard Gaussian on a sheet of rubber, and bend the sheet. Each point moves with it, and the cloud takes on a new shape. Here $z_1$ is left alone; $z_2$ is halved and pushed up by an amount that depends on $z_1$.
#
# $$x_1 = z_1, \qquad x_2 = \tfrac12 z_2 + 0.6\,(z_1^2 - 1).$$
#
# The way back is as easy: $z_1 = x_1$, then $z_2 = 2\,(x_2 - 0.6\,(x_1^2 - 1))$. Nothing was torn, nothing was folded: every $x$ comes from exactly one $z$.


# %%
def bend(z: Tensor) -> Tensor:
    """z → x."""
    return torch.stack([z[:, 0], 0.5 * z[:, 1] + 0.6 * (z[:, 0] ** 2 - 1)], dim=1)


def unbend(x: Tensor) -> Tensor:
    """x → z."""
    return torch.stack([x[:, 0], 2 * (x[:, 1] - 0.6 * (x[:, 0] ** 2 - 1))], dim=1)


def normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), (B,)."""
    return -0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)


z = randn(1500, 2)
assert torch.allclose(unbend(bend(z)), z)

line = torch.linspace(-2.4, 2.4, 13, dtype=torch.float64)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4))
color = plt.get_cmap("viridis")(((z[:, 0] + 2.5) / 5).clamp(0, 1).numpy())
for ax, move in zip(axes, (lambda points: points, bend), strict=False):
    for value in line:
        for fixed in (0, 1):
            wire = torch.full((len(line) * 4, 2), value.item(), dtype=torch.float64)
            wire[:, 1 - fixed] = torch.linspace(-2.4, 2.4, len(wire), dtype=torch.float64)
            ax.plot(*move(wire).T, color="0.8", linewidth=0.7, zorder=0)
    ax.scatter(*move(z).T, s=4, c=color)
plane(axes[2], lambda x: normal(unbend(x)) + math.log(2), (-3, -2), (3, 4))
for ax, title in zip(axes, ("z: the base", "x = bend(z)", "the density p(x)"), strict=True):
    ax.set(title=title, xlim=(-3, 3), ylim=(-3, 4), aspect="equal")
caption(
    "The same points before and after, color by $z_1$. The density on the right is not a "
    "fit: one formula gives it."
)

# %% [markdown]
# What is the formula for the density? And how can a *network* learn the bending and still be undone?

# %% [markdown]
# ## 2 · The mathematics
#
# ### One dimension: probability is not lost
#
# Let $z = f(x)$ rise with $x$. The points in a small interval $dx$ land in $dz$, and they stay as many: $p(x)\,dx = p(z)\,dz$. So
#
# $$p(x) = p_z(f(x))\,\left|\frac{df}{dx}\right|, \qquad \log p(x) = \log p_z(f(x)) + \log\left|\frac{df}{dx}\right|.$$
#
# Where $f$ is steep, much of $z$ is squeezed into little $x$, and the density is high. The absolute value takes care of maps that fall.
#
# We try it on $x = e^z$, the log-normal distribution of `torch.distributions`: $f(x) = \log x$ has slope $1/x$.

# %%
from torch.distributions import LogNormal

x = torch.linspace(0.02, 6, 400, dtype=torch.float64)
log_p = normal(x.log()[:, None]) + (1 / x).log()  # log p(z) + log |dz/dx|
largest = (log_p - LogNormal(0.0, 1.0).log_prob(x)).abs().max().item()
print(f"largest difference to torch.distributions: {largest:.1e}")
assert largest < 1e-12

levels = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
cuts = torch.special.ndtri(levels)  # ten strips of z with a tenth of the points each

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
line = torch.linspace(-3, 3, 400, dtype=torch.float64)
curves = (
    (line, normal(line[:, None]).exp(), cuts, -3.0, 3.0),
    (x, log_p.exp(), cuts.exp(), 0.0, 6.0),
)
for ax, (at, density, edges, low, high), name in zip(axes, curves, "zx", strict=True):
    bounds = [low, *edges.tolist(), high]
    for i in range(10):
        inside = (at >= bounds[i]) & (at <= bounds[i + 1])
        ax.fill_between(at[inside], density[inside], color=PALETTE[i % 2], alpha=0.5)
    ax.plot(at, density, color="black")
    ax.set(xlabel=name, ylabel=f"p({name})", ylim=(0, None))
caption(
    "Ten strips, a tenth of the probability each, before and after $x = e^z$. Where a "
    "strip "
    "gets narrow, it must get high."
)

# %% [markdown]
# ### Many dimensions: volume
#
# Now $x$ has $D$ coordinates. Near a point, a smooth map is linear, with the **Jacobian** $J$ as its matrix, $J_{ij} = \partial f_i / \partial x_j$. A small cube becomes a slanted box, and its volume grows by the factor $|\det J|$. So a determinant takes the place of the slope:
#
# $$\log p(x) = \log p_z(f(x)) + \log \left|\det \frac{\partial f}{\partial x}\right|.$$
#
# We carry small squares through a wavy map, and measure whether their areas grow by that factor.


# %%
def wave(x: Tensor) -> Tensor:
    return torch.stack(
        [x[:, 0] + 0.6 * x[:, 1].sin(), x[:, 1] * (1 + 0.5 * x[:, 0].cos())], dim=1
    )


def area(polygon: Tensor) -> float:
    """The area inside a closed line of points (N, 2): the shoelace formula."""
    a, b = polygon, polygon.roll(-1, 0)
    return 0.5 * abs((a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]).sum().item())


corner = torch.tensor([0.7, 0.9], dtype=torch.float64)
jacobian = torch.autograd.functional.jacobian(lambda x: wave(x[None])[0], corner)
determinant = jacobian.det().abs().item()
steps = torch.linspace(0, 1, 50, dtype=torch.float64)[:-1]
zero, one = torch.zeros_like(steps), torch.ones_like(steps)
sides = ((steps, zero), (one, steps), (1 - steps, one), (zero, 1 - steps))
outline = torch.cat([torch.stack(side, 1) for side in sides])  # around the unit square
for size in (1.0, 0.1, 0.01, 0.001):
    square = corner + size * (outline - 0.5)
    print(f"square of side {size:5g}: area grows by {area(wave(square)) / size**2:.6f}")
print(f"|det J|               {determinant:.6f}")
assert abs(area(wave(corner + 0.001 * (outline - 0.5))) / 0.001**2 - determinant) < 1e-5

# %% [markdown]
# ### A chain of bijections
#
# For a hard shape we chain many bends: $f = f_n \circ \dots \circ f_1$. A chain of bijections is a bijection, and volumes multiply, so their logarithms add:
#
# $$\log p(x) = \log p_z(z) + \sum_{k=1}^n \log |\det J_k|.$$
#
# $x \to z$ is called **forward** (it makes data *normal*, hence the name), $z \to x$ is the **inverse**, the sum is `log_det`, and $p_z$ is the **base**. Learning is plain maximum likelihood by gradient ascent, without a bound and without a second network.
#
# A layer must be flexible, invertible at a low price, and have a cheap determinant. That of a general $D \times D$ matrix costs about $D^3$ operations: for a small photo, far more than the network itself. But for a **triangular** matrix it is the product of the diagonal. All of this chapter's layers live from that.

# %% [markdown]
# ## 3 · From scratch: RealNVP
#
# In the bend of section 1 one half of the coordinates, $x_a$, stays. It tells a network how to scale and shift the other half:
#
# $$z_a = x_a, \qquad z_b = x_b \odot e^{s(x_a)} + t(x_a).$$
#
# This is an **affine coupling** (Dinh, Sohl-Dickstein and Bengio, 2017). Undoing it never needs the network's inverse: $x_a$ is still there, so we compute $s$ and $t$ again and take them off. So the network may be anything. The Jacobian is triangular, with ones and $e^{s}$ on its diagonal, so `log_det` is the sum of $s$.
#
# The halves take turns. A $\tanh$ keeps $s$ between $-3$ and $3$, so that no step of training can blow a coordinate up.

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 2.2))
figure.get_layout_engine().set(wspace=0.1)
ends = {
    "xa": Box(0, 1, "$x_a$"),
    "xb": Box(0, 0, "$x_b$"),
    "net": Box(1, 0.55, "network", "network"),
    "za": Box(3.2, 1, "$z_a$", "latent"),
    "zb": Box(3.2, 0, "$z_b$", "latent"),
}
there = ends | {"move": Box(2, 0, "$\\times\\, e^{s} + t$", "operation")}
back = ends | {"move": Box(2, 0, "$(\\cdot - t)\\, e^{-s}$", "operation")}
diagram(
    left,
    there,
    [("xa", "za"), ("xa", "net"), ("net", "move", "s, t"), ("xb", "move"), ("move", "zb")],
)
diagram(
    right,
    back,
    [("za", "xa"), ("za", "net"), ("net", "move", "s, t"), ("zb", "move"), ("move", "xb")],
)
left.set_title("forward: x → z")
right.set_title("inverse: z → x")
caption(
    "An affine coupling, both ways. The half a passes unchanged, so the same network is "
    "asked "
    "for the same s and t in both directions."
)

# %%
from utils.nets import MLP


class AffineCoupling(nn.Module):
    """z_b = x_b exp(s(x_a)) + t(x_a), for two coordinates; `swap` says which is a."""

    def __init__(self, swap: bool):
        super().__init__()
        self.swap, self.net = swap, MLP(1, 2, (32, 32), generator)

    def move(self, x: Tensor, rule) -> tuple[Tensor, Tensor]:
        a, b = x.flip(1).chunk(2, 1) if self.swap else x.chunk(2, 1)  # (B, 1) each
        raw, t = self.net(a).chunk(2, 1)
        b, log_det = rule(b, 3 * raw.tanh(), t)
        moved = torch.cat([a, b], 1)
        return moved.flip(1) if self.swap else moved, log_det[:, 0]

    def forward(self, x):
        return self.move(x, lambda b, s, t: (b * s.exp() + t, s))

    def inverse(self, z):
        return self.move(z, lambda b, s, t: ((b - t) * (-s).exp(), -s))


class RealNVP(nn.Module):
    def __init__(self, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(AffineCoupling(i % 2 == 1) for i in range(layers))

    def run(self, x, direction: str):
        path, total = [x], 0
        forward = direction == "forward"
        for layer in self.layers if forward else reversed(self.layers):
            x, log_det = getattr(layer, direction)(x)
            path, total = [*path, x], total + log_det
        return path, total

    def log_prob(self, x):
        path, log_det = self.run(x, "forward")
        return normal(path[-1]) + log_det


# %% [markdown]
# Two moons, a few hundred steps of Adam on random batches.

# %%
moons = load("moons", n=moons_points, seed=seed)
scratch = RealNVP(layers=6)
optimizer = torch.optim.Adam(scratch.parameters(), lr=5e-3)
falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, moons_steps)
history = []
for _ in range(moons_steps):
    rows = torch.randint(moons_points, (256,), generator=generator)
    loss = -scratch.log_prob(moons.x_train[rows]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    falling.step()
    history.append(loss.item())
scratch = scratch.double().eval().requires_grad_(False)
x_test = moons.x_test.double()

path, _ = scratch.run(randn(2000, 2), "inverse")
color = (path[0][:, 0] > 0).long()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 6, sharex=True, sharey=True, figsize=(11, 2.4))
for ax, step in zip(axes, (0, 1, 2, 4, 6), strict=False):
    ax.scatter(*path[step].T, s=2, c=[PALETTE[c] for c in color])
    ax.set_title(f"after {step}" if step else "noise z")
axes[5].scatter(*x_test[:2000].T, s=2, color="0.4")
axes[5].set(title="real", xlim=(-3, 3), ylim=(-3, 3))
for ax in axes:
    ax.set_aspect("equal")
caption(
    "Noise on its way to data, layer by layer; the color is the half of the plane it came "
    "from. Each layer moves points along one axis only."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# A flow that forgets one factor still trains and still draws pretty pictures. So this notebook stops unless five facts hold, in float64, where exactness can be seen.
#
# **First: the inverse is the inverse.** **Second: `log_det` is the logarithm of the determinant of the Jacobian**, which autograd builds entry by entry without knowing that it is triangular.

# %%
path, log_det = scratch.run(x_test, "forward")
back, log_det_back = scratch.run(path[-1], "inverse")
print(f"largest |inverse(forward(x)) − x|: {(back[-1] - x_test).abs().max().item():.1e}")
assert (back[-1] - x_test).abs().max() < 1e-6
assert (log_det + log_det_back).abs().max() < 1e-6


def forward_one(x: Tensor) -> Tensor:
    return scratch.run(x[None], "forward")[0][-1][0]


by_autograd = torch.stack(
    [
        torch.autograd.functional.jacobian(forward_one, row).slogdet().logabsdet
        for row in x_test[:100]
    ]
)
largest = (by_autograd - log_det[:100]).abs().max().item()
print(f"largest |log_det − log |det J| of autograd|: {largest:.1e}")
assert largest < 1e-8

# %% [markdown]
# **Third: the density integrates to one.** **Fourth: samples follow the density.** We integrate the density over cells of the plane, and count samples in them. If both agree, the squared differences in standard errors average about 1 ($\chi^2$ per cell).

# %%
fine, cells, half = 400, 40, 4.0
step = 2 * half / fine
axis = (torch.arange(fine, dtype=torch.float64) + 0.5) * step - half
blocks = torch.cartesian_prod(axis, axis).split(200_000)
density = torch.cat([scratch.log_prob(block).exp() for block in blocks])
mass = density.reshape(cells, fine // cells, cells, fine // cells).sum((1, 3)) * step**2
integral = mass.sum().item()
with record_table():
    record("density_integral", integral, kind="exact")
    assert abs(integral - 1) < 0.01

    drawn = scratch.run(randn(50_000, 2), "inverse")[0][-1]
    index = ((drawn + half) / (2 * half) * cells).floor().long()
    index = index[((index >= 0) & (index < cells)).all(1)]
    counts = torch.bincount(index[:, 0] * cells + index[:, 1], minlength=cells**2)
    expected = len(drawn) * mass.flatten()
    filled = expected > 20
    chi2 = ((counts - expected).square() / expected)[filled].mean().item()
    record("chi2_per_cell", chi2, kind="score")
print(f"{int(filled.sum())} cells with more than 20 expected samples")
assert chi2 < 2

# %% [markdown]
# **Fifth: it comes near the truth, from below.** We drew the moons ourselves, so their density is known: a Gaussian of known width, averaged along two half circles. No model's mean log-likelihood on new points can exceed the truth's, up to the scatter of the points, and the gap is the Kullback–Leibler divergence $\mathrm{KL}(p_\text{true} \,\|\, p_\text{model})$ in nats.

# %%
from utils.toys import MOONS_NOISE, SPIRALS_NOISE


def smeared(centers: Tensor, width: float):
    """log p of points drawn evenly from `centers` (N, 2) and blurred by `width`."""

    def log_prob(x: Tensor) -> Tensor:
        near = torch.cdist(x.double(), centers).square() / (-2 * width**2)
        return near.logsumexp(1) - math.log(len(centers)) - math.log(2 * math.pi * width**2)

    return log_prob


u = (torch.arange(1500, dtype=torch.float64) + 0.5) / 1500
upper = torch.stack([(math.pi * u).cos(), (math.pi * u).sin()], 1)
both = torch.cat([upper, torch.tensor([1.0, 0.5]) - upper]) - torch.tensor([0.5, 0.25])
spread = (3 / 4 + 9 / 16 - 1 / math.pi) / 2
true_moons = smeared(both * math.sqrt((1 - MOONS_NOISE**2) / spread), MOONS_NOISE)

gaussian = torch.distributions.MultivariateNormal(
    moons.x_train.double().mean(0), moons.x_train.double().T.cov()
)
truth = true_moons(x_test).mean().item()
flow_nats = scratch.log_prob(x_test).mean().item()
gaussian_nats = gaussian.log_prob(x_test).mean().item()
with record_table():
    record("moons_truth", truth, unit="nats/point", kind="score")
    record("moons_scratch", flow_nats, unit="nats/point", kind="score")
    record("moons_gaussian", gaussian_nats, unit="nats/point", kind="score")
assert gaussian_nats + 0.5 < flow_nats < truth

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.8))
axes[0].plot(history, linewidth=0.7)
axes[0].axhline(-truth, color=PALETTE[1], label="the truth")
axes[0].set(xlabel="step", ylabel="−mean log p(x) in nats")
axes[0].legend()
plane(axes[1], true_moons, (-2.5, -2.5), (2.5, 2.5), steps=100)
plane(axes[2], scratch.log_prob, (-2.5, -2.5), (2.5, 2.5), steps=100)
for ax, title in zip(axes[1:], ("true density", "our flow"), strict=True):
    ax.set_title(title)
caption(
    "Left: the loss falls towards the entropy of the moons, which is the floor. Right: "
    "forty "
    "lines against the truth. Look between the moons: section 9 comes back to that."
)

# %% [markdown]
# ## 5 · The bricks
#
# ### The library's coupling is ours
#
# `utils/models/flows/flow.py` chains the same couplings, for any number of coordinates. We copy our weights into it: every number must agree.

# %%
import inspect

from utils.models.flows import Coupling, real_nvp

library = real_nvp(2, transforms=6, hidden=(32, 32)).double()
for theirs, ours in zip(library.transform, scratch.layers, strict=True):
    theirs.net.load_state_dict(ours.net.state_dict())
largest = (library.log_prob(x_test) - scratch.log_prob(x_test)).abs().max().item()
record("difference_to_library", largest, unit="nats", kind="exact")
assert largest < 1e-9
print(inspect.getsource(Coupling._move))

# %% [markdown]
# New is `curve`: the affine map is only one choice. Here is the whole box of bricks.
#
# | brick | what it does to $x$ | its log-determinant |
# |---|---|---|
# | **actnorm** | scales and shifts each channel; the first batch gets mean 0 and variance 1 | sum of the log scales |
# | **invertible 1 × 1** (Glow) | mixes all channels with a matrix $W = PL(U + \mathrm{diag}\, s)$ | $\sum \log \lvert s \rvert$, no determinant is ever computed |
# | **affine coupling** (RealNVP) | one half scales and shifts the other | sum of $s$ |
# | **spline coupling** | one half bends the other with a rising curve of many knots | sum of the log slopes |
# | **autoregressive** (MAF) | each coordinate is moved as *all* before it say | sum of the log slopes |
# | **squeeze, permutation, factor out** | move numbers about | 0 |
#
# Actnorm and $1 \times 1$ are Glow's (Kingma and Dhariwal, 2018). In place of a fixed swap a learned matrix mixes the halves; it starts as a random rotation. Stored in triangular factors, its log-determinant is a sum of $D$ logarithms.
#
# Each brick must pass the first two checks of section 4, with its parameters moved at random, since many start as the identity.

# %%
from functools import partial

from utils.models.flows import (
    ActNorm,
    Affine,
    Autoregressive,
    Chain,
    FactorOut,
    Flatten,
    Histogram,
    Inverse,
    InvertibleLinear,
    Permutation,
    Spline,
    Squeeze,
    convnet,
)

net = partial(MLP, generator=generator)
conv = partial(convnet, hidden=8, generator=generator)
edges = torch.tensor([0, 0.1, 0.3, 0.4, 1])
maf_layer = partial(Autoregressive, 6, hidden=(16,), generator=generator)
bricks = {
    "actnorm": (ActNorm(6), (6,)),
    "invertible 1 × 1, image": (InvertibleLinear(4, generator), (4, 2, 2)),
    "permutation": (Permutation([3, 0, 5, 1, 4, 2]), (6,)),
    "affine coupling": (Coupling(6, net), (6,)),
    "affine coupling, image": (Coupling(4, conv, swap=True), (4, 2, 2)),
    "spline coupling": (Coupling(6, net, Spline(8, 3.0)), (6,)),
    "histogram coupling": (Coupling(6, net, Histogram(edges)), (6,)),
    "autoregressive, affine": (maf_layer(Affine()), (6,)),
    "autoregressive, spline": (maf_layer(Spline(8, 3.0)), (6,)),
    "autoregressive, turned": (Inverse(maf_layer(Affine())), (6,)),
    "squeeze": (Squeeze(), (1, 4, 4)),
    "factor out": (
        FactorOut((4, 2, 2), Chain([Coupling(2, conv), Flatten((2, 2, 2))])),
        (4, 2, 2),
    ),
}


def flat_jacobian(transform: nn.Module, row: Tensor) -> Tensor:
    return torch.autograd.functional.jacobian(
        lambda values: transform(values.view(1, *row.shape))[0].flatten(), row.flatten()
    )


worst = 0.0
for name, (transform, shape) in bricks.items():
    transform = transform.double().eval()
    for parameter in transform.parameters():
        parameter.data += 0.3 * randn(*parameter.shape)
    x = randn(20, *shape)
    z, log_det = transform(x)
    undone = (transform.inverse(z)[0] - x).abs().max().item()
    dets = torch.stack([flat_jacobian(transform, row).slogdet().logabsdet for row in x])
    volume = (dets - log_det).abs().max().item()
    print(f"{name:24} |inverse − x| ≤ {undone:.0e}   |log_det − autograd| ≤ {volume:.0e}")
    worst = max(worst, undone, volume)
record("worst_brick_error", worst, kind="exact")
assert worst < 1e-7

# %% [markdown]
# ### Who moves whom: four Jacobians (*optional*)
#
# The pattern of the Jacobian tells the whole story of a layer.

# %%
eight = {
    "coupling": Coupling(8, net),
    "autoregressive": Autoregressive(8, hidden=(32,), generator=generator),
    "linear mixing": InvertibleLinear(8, generator),
    "four couplings": Chain([Coupling(8, net, swap=i % 2 == 1) for i in range(4)]),
}
jacobians = {}
for name, transform in eight.items():
    transform = transform.double()
    for parameter in transform.parameters():
        parameter.data += 0.3 * randn(*parameter.shape)
    jacobians[name] = flat_jacobian(transform, randn(8)).abs()
for name in ("coupling", "autoregressive"):
    assert (jacobians[name].triu(1) == 0).all(), "an output depends on a later input"

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for ax, (name, slopes) in zip(axes, jacobians.items(), strict=True):
    ax.imshow(slopes.sqrt(), cmap="Blues", vmax=slopes.max().sqrt())
    ax.set(title=name, xticks=[], yticks=[], xlabel="input")
axes[0].set_ylabel("output")
caption(
    "How much each output moves with each input. Zeros above the diagonal make the "
    "determinant cheap; a chain of such layers may fill the whole square."
)

# %% [markdown]
# ### Curves: more than scale and shift
#
# An affine map can only stretch: if $z$ is Gaussian, so is $x_b$ given $x_a$. A **rational-quadratic spline** (Durkan and others, 2019) is a rising curve through $K + 1$ knots, which the network places. Between two knots it is a ratio of two parabolas, with a smooth slope and an inverse in closed form. A **histogram**, the distribution function of a bar chart, is straight between fixed edges; we shall need it for pixels.

# %%
line = torch.linspace(-3.5, 3.5, 1401, dtype=torch.float64)
spline = Spline(8, 3.0)
widths = torch.tensor([0.3, 0.3, -0.4, 0.4, 0.4, -0.4, 0.3, 0.3])
heights = torch.tensor([-1.5, 1.0, 0.9, -1.6, -1.6, 0.9, 1.0, -1.5])
slopes = torch.tensor([0.0, 2.0, 0.0, -3.0, 0.0, 2.0, 0.0])
numbers = torch.cat([widths, heights, slopes]).double()
curves = {
    "affine": (Affine(), torch.tensor([0.2, 0.5], dtype=torch.float64)),
    "spline": (spline, numbers),
}
drawn = {}  # name → z and p(x) along the line
for name, (curve, params) in curves.items():
    y, log_slope = curve.forward(line, params.expand(len(line), -1))
    density = (normal(y[:, None]) + log_slope).exp()
    drawn[name] = y, density
    mass = torch.trapezoid(density, line).item()
    print(f"{name:9} the density has mass {mass:.4f} between −3.5 and 3.5")
assert abs(mass - 1) < 1e-3
bars = torch.tensor([1.5, -2.0, 0.0, 1.0])
unit = torch.linspace(0, 0.9999, 1000, dtype=torch.float64)
y, log_slope = Histogram(edges).forward(unit, bars.double().expand(len(unit), -1))

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10, 3))
for color, (name, (z, density)) in zip(PALETTE, drawn.items(), strict=False):
    axes[0].plot(line, z, color=color, label=name)
    axes[1].plot(line, density, color=color)
axes[2].plot(unit, y, color=PALETTE[2], label="curve")
axes[2].plot(unit, log_slope.exp(), color=PALETTE[2], linestyle="--", label="its slope")
axes[2].legend()
axes[0].legend()
axes[0].set(title="z = f(x)", xlabel="x")
axes[1].set(title="p(x) when z is N(0, 1)", xlabel="x")
axes[2].set(title="a histogram", xlabel="x")
caption(
    "Left: two rising curves. Middle: what they make of a Gaussian base; steep means "
    "dense, so "
    "one spline gives two peaks. Right: straight pieces make a bar chart."
)

# %% [markdown]
# ### Autoregressive flows, and their slow direction
#
# Take the two groups of a coupling to the end, $D$ groups of one: each coordinate is moved as **all before it** say,
#
# $$z_i = x_i\, e^{s_i(x_1, \dots, x_{i-1})} + t_i(x_1, \dots, x_{i-1}).$$
#
# This is the **masked autoregressive flow**, MAF (Papamakarios, Pavlakou and Murray, 2017). When $x$ is known, one masked network, MADE, answers for all coordinates in a single pass. But in the other direction $x_2$ needs $x_1$, $x_3$ needs both, and so on: $D$ steps, one after the other. Turned round it is the **inverse autoregressive flow**, IAF: fast samples, slow densities. A coupling is fast both ways.

# %%
from utils.models.flows import maf


def seconds(call, repeats: int = 5) -> float:
    """The shortest of some runs."""
    call()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken)


dims = [4, 16, 64, 128]
times, ratios = {}, {}  # times: name → seconds for a density, for samples, at each D
for name, build in {"coupling": real_nvp, "MAF": maf}.items():
    with torch.no_grad():
        models = [build(d, 5, (64, 64), generator=generator) for d in dims]
        points = [torch.randn(500, d, generator=generator) for d in dims]
        pairs = zip(models, points, strict=True)
        evaluate = [seconds(partial(model.log_prob, x)) for model, x in pairs]
        draw = [seconds(partial(m.sample, 500, generator)) for m in models]
    times[name] = evaluate, draw
    ratios[name] = [s / e for s, e in zip(draw, evaluate, strict=True)]
with record_table():
    for name, ratio in ratios.items():
        key = f"sample_over_density_{name.lower()}"
        record(key, ratio[-1], unit=f"times at D = {dims[-1]}", kind="score")
assert ratios["MAF"][-1] > 3 * ratios["coupling"][-1]

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(9, 3))
for ax, (name, (evaluate, draw)) in zip(axes, times.items(), strict=True):
    ax.loglog(dims, [1e3 * t for t in evaluate], "o-", label="density of 500 points")
    ax.loglog(dims, [1e3 * t for t in draw], "s--", label="500 samples")
    ax.set(title=name, xlabel="D", xticks=dims, xticklabels=dims)
    ax.minorticks_off()
axes[0].set_ylabel("milliseconds")
axes[0].legend()
caption(
    "A coupling flow takes as long one way as the other. An autoregressive flow draws one "
    "coordinate after the other: its samples cost more and more, its densities hardly so."
)

# %% [markdown]
# ## 6 · Moons, spirals, checkerboard (*optional*)
#
# Three shapes that no Gaussian likes, and whose true density we know. The competitors get the same training points and are judged on the same new ones:
#
# - **our spline flow**, three autoregressive layers;
# - **zuko's** `NSF`, a known library's flow of the same architecture, as many steps on the same batches (on the spirals only, the hardest of the three);
# - **one Gaussian**, the simple baseline;
# - **a Gaussian mixture with as many parameters** as the flow, and one whose size is chosen on points kept aside;
# - **a kernel density estimate**, its width chosen on the validation set.
#
# The loop is the library's `Trainer`: Adam, a learning rate that rises and falls, gradients cut at a length, averaged weights.

# %%
import zuko
from sklearn.neighbors import KernelDensity

from utils.models.flows import spline_autoregressive
from utils.models.mixtures import GaussianMixture
from utils.training import Trainer

angle = 3 * math.pi * u.sqrt()
arm = 2 * math.sqrt(1 - SPIRALS_NOISE**2) * u.sqrt()[:, None]
arm = arm * torch.stack([angle.cos(), angle.sin()], 1)


def true_checkerboard(x: Tensor) -> Tensor:
    square = (x / (math.sqrt(3) / 2)).floor() + 2  # column and row, 0 to 3
    dark = ((square >= 0) & (square <= 3)).all(1) & (square.sum(1) % 2 == 0)
    return torch.where(dark, -math.log(6), -50.0).double()  # as good as 0 elsewhere


truths = {
    "moons": true_moons,
    "spirals": smeared(torch.cat([arm, -arm]), SPIRALS_NOISE),
    "checkerboard": true_checkerboard,
}


def size_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def train_toy(model: nn.Module, log_prob, x: Tensor) -> None:
    Trainer(
        model,
        lambda x, training: -log_prob(x),
        epochs=toy_epochs,
        batch_size=256,
        lr=1e-2,
        warmup=20,
        clip=10.0,
        ema=0.98,
        seed=seed,
    ).fit(x)


STRETCH = 2.0  # the splines bend in [−5, 5]: let the data, which end near 2, fill that


def stretched(log_prob, x: Tensor) -> Tensor:
    """The density of x from that of 2 x: a change of variables like any other."""
    return log_prob(STRETCH * x.float()).double() + 2 * math.log(STRETCH)


def compete(x: Tensor, with_zuko: bool) -> dict:
    """Each competitor's log p, fitted to the points x (B, 2)."""
    last = torch.arange(len(x)) % 5 == 0
    kept, rest = x[last].double(), x[~last].double()
    ours = spline_autoregressive(2, 3, (48, 48), generator=generator)
    train_toy(ours, ours.log_prob, STRETCH * x)
    flows = {"flow": lambda x: stretched(ours.log_prob, x)}
    if with_zuko:
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # zuko draws its first weights from torch's own state
            theirs = zuko.flows.NSF(2, transforms=3, hidden_features=(48, 48))
        assert size_of(ours) == size_of(theirs)
        train_toy(theirs, lambda x: theirs().log_prob(x), STRETCH * x)
        flows["zuko"] = lambda x: stretched(theirs().log_prob, x)

    def mixture(k: int, points: Tensor, steps: int = 60) -> GaussianMixture:
        model = GaussianMixture(k, max_iter=steps, reg_covar=1e-4, generator=generator)
        return model.fit(points)

    sizes = (20, 40, 80)
    best = max(sizes, key=lambda k: mixture(k, rest).log_prob(kept).mean())
    # A component has two means, three covariances and a weight.
    many = (size_of(ours) + 1) // 6
    widths = (0.03, 0.05, 0.08, 0.12)
    width = max(widths, key=lambda w: KernelDensity(bandwidth=w).fit(rest).score(kept))
    kernel = KernelDensity(bandwidth=width).fit(x.double())
    print(f"a flow of {size_of(ours)} parameters; mixtures of {many} and {best}; {width=}")
    points = x.double()
    gaussian = torch.distributions.MultivariateNormal(points.mean(0), points.T.cov())
    return {
        "gaussian": gaussian.log_prob,
        "kernel": lambda x: torch.as_tensor(kernel.score_samples(x)),
        "mixture_same_size": mixture(many, x.double(), 10).log_prob,
        "mixture_chosen": mixture(best, x.double()).log_prob,
    } | flows


toys, rivals = {}, {}
for name in truths:
    toys[name] = load(name, n=toy_points, seed=seed)
    rivals[name] = compete(toys[name].x_train, with_zuko=name == "spirals")

# %%
gaps = {}
with torch.no_grad(), record_table():
    for name, models in rivals.items():
        x = toys[name].x_test.double()
        best_possible = truths[name](x).mean().item()
        for model, log_prob in models.items():
            gaps[name, model] = best_possible - log_prob(x).mean().item()
            key = f"{name}_missing_{model}"
            record(key, gaps[name, model], unit="nats/point", kind="score")
        assert gaps[name, "flow"] > -0.01, "a model cannot beat the truth"
        assert gaps[name, "flow"] < gaps[name, "gaussian"] - 0.3
assert gaps["spirals", "flow"] < gaps["spirals", "zuko"] + 0.15
assert gaps["spirals", "mixture_chosen"] < gaps["spirals", "flow"]

# %% jupyter={"source_hidden": true} tags=["picture"]
shown = {"kernel": "kernel density", "mixture_chosen": "mixture", "flow": "spline flow"}
figure, axes = plt.subplots(3, 4, figsize=(10, 7.8))
with torch.no_grad():
    for row, (name, models) in zip(axes, rivals.items(), strict=True):
        picture = dict(low=(-2.2, -2.2), high=(2.2, 2.2), steps=80)
        density = truths[name](toys[name].x_test).exp()
        picture["levels"] = np.linspace(0.04, 1.3, 12) * density.quantile(0.95).item()
        picture["extend"] = "max"
        plane(row[0], truths[name], **picture)
        row[0].set_ylabel(name)
        for ax, (model, title) in zip(row[1:], shown.items(), strict=True):
            plane(ax, models[model], **picture)
            ax.set_title(f"{title}: {gaps[name, model]:.2f} nats missing", fontsize=9)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_title("the truth", fontsize=9)
caption(
    "Densities, darker is likelier. A kernel estimate is lumpy, a mixture paints with "
    "ellipses, "
    "the flow bends one Gaussian. Each title says how far below the truth on new points."
)

# %% [markdown]
# What is missing is measured against the truth, so 0 is perfect. In the plane, with thousands of points, the flow is ahead on one shape of three, and the old methods are ready in a second:
#
# - **Moons**: the mixture whose size was chosen comes nearest to the truth. The flow is second.
# - **Spirals**: the flow **loses** to both mixtures and to the kernel estimate; only the single Gaussian is worse. It is not our code: zuko's flow of the same size misses as much. Look at its picture: the outer arms are there, and between the inner ones the density is smeared. A flow starts as one Gaussian and has to wind it up by one and a half turns, and a few hundred steps of gradient descent do not finish that. A mixture has nothing to wind: it puts a component wherever there are points.
# - **Checkerboard**: the flow is ahead, by little. Its splines may change their slope from knot to knot, which suits straight edges; ellipses do not. All the same it leaves thin bridges between the squares, and section 9 says why.
#
# A mixture with as many parameters as the flow has a component for every few points: it is practically a kernel estimate.
#
# So why flows? A plane can be filled with kernels, and a space of 64 or 784 dimensions cannot. There the parameters of a flow are shared by the whole space, while those of a component belong to one place. That is an argument, and no proof. The next section compares the two on images of 64 pixels, where the mixture falls behind.

# %% [markdown]
# ## 7 · From densities to pixels
#
# ### A density of whole numbers is worthless
#
# A pixel is one of 17 or 256 whole numbers; a density lives on the real line. Suppose we ignore that: each pixel on its own gets a narrow Gaussian of width $s$ on every gray value, as heavy as the value is frequent. We measure in **bits per dimension**: $-\log_2 p(x)$ divided by the number of pixels.

# %%
digits = load("digits")
levels = digits.levels  # 17
gray, gray_test = ((x * (levels - 1)).round() for x in (digits.x_train, digits.x_test))


def bits(nats: Tensor | float, dims: int = 64) -> float:
    """Mean −log p in nats → bits per dimension."""
    return -float(torch.as_tensor(nats).double().mean()) / dims / math.log(2)


def pixel_tables(x: Tensor, levels: int, extra: float) -> Tensor:
    """log P(value) of each pixel on its own (D, levels), from counts and a little for "
    "all."""
    values = x.flatten(1).long() + levels * torch.arange(x[0].numel())
    counts = torch.bincount(values.flatten(), minlength=levels * x[0].numel()).double()
    counts = counts.view(-1, levels) + extra
    return (counts / counts.sum(1, keepdim=True)).log()


def independent(x: Tensor, tables: Tensor) -> Tensor:
    """log P of images under the tables, (B,)."""
    return tables.gather(1, x.flatten(1).long().T).sum(0)


tables = pixel_tables(gray, levels, extra=0.2)
noise = torch.rand(gray_test.shape, generator=generator)
comb = {}
for width in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
    kernel = torch.distributions.Normal(torch.arange(levels).double(), width)
    for name, x in (("raw", gray_test), ("noisy", gray_test + noise - 0.5)):
        near = kernel.log_prob(x.flatten(1).double()[..., None])  # (B, D, levels)
        comb[name, width] = bits((near + tables).logsumexp(2).sum(1))
    print(
        f"width {width:5g}: {comb['raw', width]:6.2f} bits/dim on raw pixels, {comb['noisy', width]:8.2f} with noise"
    )
assert comb["raw", 0.001] < 0, "narrow enough, raw pixels cost less than nothing"
assert min(value for (name, _), value in comb.items() if name == "noisy") > 2

# %% [markdown]
# On raw pixels the bits fall without end, below zero, and the model has learned only that pixels are whole numbers. Any flow would find this comb. With **uniform noise** $u \in [0, 1)$ on each pixel, **dequantization**, narrow peaks win nothing: the mass must fill the cell.
#
# ### What is exact and what is a bound
#
# The probability of a pixel value is the density's integral over its cell. For an image $x$ with $L$ levels, and a density $p$ on $[0, 1)^D$:
#
# $$P(x) = \int_{[0,1)^D} p\Big(\frac{x + u}{L}\Big)\, L^{-D}\, du .$$
#
# Nobody computes this integral in 784 dimensions. But Jensen's inequality, as for the ELBO, puts the logarithm inside:
#
# $$\log P(x) \;\ge\; \mathbb E_{u \sim q(u \mid x)}\Big[\log p\Big(\frac{x + u}{L}\Big) - D \log L - \log q(u \mid x)\Big].$$
#
# So the flow's **density** of the noisy image is **exact**; the **probability of the pixels** is only **bounded**, and a flow's bits per dimension are an upper bound. With $q$ uniform, the last term is 0. The gap is the divergence of $q$ from the noise that the model would like best, so it closes when the density is flat inside each cell. In **variational dequantization** (Ho and others, Flow++, 2019) a small network learns $q$.
#
# One pixel, two values and the density $p(v) = 2v$ show all of it: $P(1) = \int_{1/2}^1 2v\,dv = \tfrac34$.

# %%
from utils.models.flows import Dequantization

bright = torch.ones(4000, 1)
uniform = Dequantization(2, generator=generator)
learned = Dequantization(2, nn.Linear(1, 2), generator)
for parameter in learned.net.parameters():
    nn.init.zeros_(parameter)


def bound(noise: Dequantization, x: Tensor) -> Tensor:
    v, log_det = noise(x)
    return (2 * v[:, 0]).log() + log_det  # log p(v) + what the noise costs


Trainer(
    learned, lambda x, training: -bound(learned, x), epochs=200, batch_size=1000, lr=0.03
).fit(bright)
with torch.no_grad():
    many = bright.repeat(100, 1)
    bounds = {
        name: bound(q, many).mean().item()
        for name, q in (("uniform", uniform), ("learned", learned))
    }
exact = math.log(3 / 4)
formula = math.log(2) - 1  # ∫ log(2 · (1 + u) / 2) du − log 2
print(f"log P(1)       {exact:.4f}")
print(f"uniform noise  {bounds['uniform']:.4f} (formula {formula:.4f})")
print(f"learned noise  {bounds['learned']:.4f}")
assert abs(bounds["uniform"] - formula) < 0.005
assert bounds["uniform"] + 0.005 < bounds["learned"] < exact + 0.003

# %% [markdown]
# ### Digits of 8 × 8 pixels
#
# Now a flow of images: **Glow** in small. At each **level** it *squeezes* (blocks of 2 × 2 pixels become four channels), takes some steps of actnorm, 1 × 1 and coupling, and then **factors out**: half of the channels are finished and go to the base, the other half goes on to the next level, at half the size. This **multiscale** form saves work. The networks inside are small convolutions.
#
# A fifth of the small training set is for validation, which says when to stop. Uniform and learned noise compete in the same flow. The third flow, of the next section, draws coarse pixels first.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(10.4, 2.4))
boxes = {
    "x": Maps(0, 1, (1, 8, 8)),
    "first": Maps(1.2, 1, (4, 4, 4)),
    "steps 1": Box(2.35, 1, "steps", "network"),
    "rest": Maps(3.5, 1, (2, 4, 4)),
    "second": Maps(4.7, 1, (8, 2, 2)),
    "steps 2": Box(5.85, 1, "steps", "network"),
    "z1": Box(2.35, 0, "z: 32 numbers", "latent"),
    "z2": Box(5.85, 0, "z: 32 numbers", "latent"),
}
arrows = [
    ("x", "first", "squeeze"),
    ("first", "steps 1"),
    ("steps 1", "z1", "half: factored out"),
    ("steps 1", "rest", "half"),
    ("rest", "second", "squeeze"),
    ("second", "steps 2"),
    ("steps 2", "z2"),
]
diagram(ax, boxes, arrows)
caption(
    "A multiscale flow with two levels, for an image of 8 × 8 pixels. Shapes are "
    "channels × "
    "height × width. A squeeze moves numbers about; half of what the first level made "
    "goes to z at once."
)

# %%
from utils.models.flows import Logit, coarse_to_fine, glow


def train_images(flow: nn.Module, x: Tensor, kept: Tensor | None = None, **other):
    """Maximum likelihood, the networks in bfloat16 where a GPU has it."""
    options = {"batch_size": 64, "warmup": 30, "clip": 100.0, "ema": 0.99} | other
    trainer = Trainer(flow, lambda x, training: -flow.log_prob(x), seed=seed, **options)
    return trainer.fit(x, kept)


@torch.no_grad()
def image_bits(flow: nn.Module, x: Tensor) -> Tensor:
    """−log₂ p in bits per dimension, one number an image, (B,)."""
    nats = torch.cat([flow.log_prob(part) for part in x.split(250)])
    return -nats.double() / x[0].numel() / math.log(2)


def noise17(net: nn.Module | None = None) -> Dequantization:
    return Dequantization(levels, net, generator)


last = torch.arange(len(gray)) % 5 == 0
kept, rest = gray[last], gray[~last]
small = dict(levels=2, steps=2, hidden=32, generator=generator)
learned_noise = noise17(convnet(1, 2, 16, generator))
values = torch.bincount(rest.flatten().long(), minlength=levels).double()
bars17 = Histogram(torch.arange(levels + 1) / levels, values / values.sum())
candidates = {
    "glow_uniform": glow((1, 8, 8), before=[noise17(), Logit(0.02)], **small),
    "glow_variational": glow((1, 8, 8), before=[learned_noise, Logit(0.02)], **small),
    "coarse_to_fine": coarse_to_fine(
        8, 2, bars17, 24, before=[noise17()], generator=generator
    ),
}
optimizer = partial(torch.optim.AdamW, weight_decay=0.1)
digit_bits, on_kept = {}, {}
options = dict(epochs=digit_epochs, lr=5e-3, ema=0.95, patience=10, optimizer=optimizer)
for name, flow in candidates.items():
    trained = train_images(flow, rest, kept, **options)
    on_kept[name] = min(trained.history["validation_loss"])
    draws = torch.stack([image_bits(flow, gray_test) for _ in range(10)])
    digit_bits[name] = draws.mean().item()

# %% [markdown]
# The flow with the lowest validation loss goes into the record. Beside it, all in bits for each pixel of 17 gray values: guessing; each pixel on its own; the mixture of chapter 4, with the same noise; and two programs that pack files, zlib and PNG, given all test images as one file.

# %%
import io
import zlib

from PIL import Image


def zlib_bits(x: Tensor) -> float:
    """Bits per pixel after packing all images as one file."""
    return 8 * len(zlib.compress(x.byte().numpy().tobytes())) / x.numel()


def png_bits(x: Tensor) -> float:
    """The same, as one tall picture in the PNG format."""
    file = io.BytesIO()
    Image.fromarray(x.byte().flatten(0, 2).numpy()).save(file, "PNG")
    return 8 * len(file.getvalue()) / x.numel()


def unit(x: Tensor) -> Tensor:
    """Noisy digits in [0, 1), flat, float64."""
    return (x + torch.rand(x.shape, generator=generator)).flatten(1).double() / levels


mixture = GaussianMixture(10, reg_covar=1e-3, n_init=2, max_iter=60, generator=generator)
mixture.fit(unit(gray))
exact = {
    "uniform": math.log2(levels),
    "independent_pixels": bits(independent(gray_test, tables)),
    "zlib": zlib_bits(gray_test),
    "png": png_bits(gray_test),
}
mixture_bits = bits(mixture.log_prob(unit(gray_test))) + math.log2(levels)
bounds = {"mixture": mixture_bits} | digit_bits
with record_table():
    for name, value in exact.items():
        record(f"digits_bpd_{name}", value, unit="bits/dim", kind="exact")
    for name, value in bounds.items():
        record(f"digits_bpd_{name}", value, unit="bits/dim", kind="bound")
    chosen = min(on_kept, key=on_kept.get)
    print(f"chosen on the validation set: {chosen}")
    record("flow_digits_bpd", digit_bits[chosen], unit="bits/dim", kind="bound")
assert max(digit_bits.values()) < exact["independent_pixels"] < bounds["mixture"]

drawn = candidates["coarse_to_fine"].sample(40, generator)
glow_drawn = candidates["glow_variational"].sample(40, generator)

# %% jupyter={"source_hidden": true}
sheet = torch.cat([gray_test[:24], glow_drawn[:24], drawn[:24]]) / (levels - 1)
images(sheet, columns=12, rows=["real", "Glow in small", "coarse to fine"])
caption(
    "Digits drawn by two flows that saw a thousand images. Real ones of this size are "
    "hard to read, "
    "and few of the drawn ones can be read at all."
)

# %% [markdown]
# A good number of bits is not yet a good picture: with a thousand images the samples look like pen strokes, and seldom like a digit. The two Glows differ in nothing but the noise, so their difference is what learned noise is worth. And the mixture, though it knows which pixels go together, loses even to separate tables: many pixels are nearly always 0, and a Gaussian cannot rise as steeply as that. A flow can.
#
# ## 8 · MNIST
#
# ### Coarse first, fine later
#
# Now MNIST: 784 pixels with 256 gray values, and the official test set. Most pixels are exactly 0, so the density has to be enormously high in a thin layer next to 0, and a flow that reaches that by scaling and shifting spends its training on it. We build one that fits the data:
#
# - **The curve** is a histogram: its first bin is exactly the cell of value 0; the middle ones are wider. It starts as the histogram of all pixels. The base is uniform on $[0, 1]^D$.
# - **The order**: squeeze each block of 2 × 2 pixels. Two of the four, on one diagonal, are moved as the other two say; of these, one is moved as the other says. These three are factored out; the fourth goes on, as an image of half the side. After two levels 7 × 7 pixels are left, for an autoregressive layer.
# - **The network sees pixels as they came in**: what it looks at has not been moved yet.
#
# So it is a **coupling flow**: four couplings move 735 of the 784 pixels. The last 49 are moved one after the other, as in MAF. Drawing goes the other way: 49 coarse pixels one by one, then all others in four steps. The order is that of Reed and others (2017).

# %%
blocks = torch.zeros(8, 8, dtype=torch.long)  # the step in which a pixel is drawn
blocks[0::2, 1::2] = blocks[1::2, 0::2] = 5
blocks[0::2, 0::2] = 4
blocks[1::4, 3::4] = blocks[3::4, 1::4] = 3
blocks[1::4, 1::4] = 2
blocks[3::4, 3::4] = 1

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(3.6, 3.6))
ax.imshow(blocks, cmap="Blues_r", vmin=-2, vmax=5)
for row in range(8):
    for column in range(8):
        number = blocks[row, column].item()
        ax.text(
            column,
            row,
            number,
            ha="center",
            va="center",
            color="white" if number < 2 else "black",
        )
ax.set(xticks=[], yticks=[])
caption(
    "A corner of 8 × 8 pixels, and the step in which each is drawn. The pixels of step 1 "
    "come one "
    "after the other; each later step draws all of its pixels at once."
)

# %% [markdown]
# The library's `coarse_to_fine` (`utils/models/flows/multiscale.py`) puts this together from the bricks of section 5. It reads better without them. Under a uniform base $\log p(z) = 0$, so the log-density is the sum of the log-slopes alone, and the slope of a histogram's curve is the height of its bar:


# %%
def log_bars(coupling: nn.Module, moved: list[Tensor], seen: list[Tensor]) -> Tensor:
    """Log-density of the pixels `moved`, summed: a bar chart each, drawn by a network "
    "from the pixels `seen`."""
    heights = coupling.net(torch.stack(seen, 1))  # (B, moved · bins, H, W)
    heights = heights.unflatten(1, (len(moved), -1)).movedim(
        2, -1
    )  # (B, moved, H, W, bins)
    log_slope = coupling.curve.forward(torch.stack(moved, 1), heights)[1]
    return log_slope.flatten(1).sum(1)


def readable(v: Tensor, couplings: list[nn.Module], last: nn.Module) -> Tensor:
    """log p(v) of noisy pixels v (B, H, W) in [0, 1], from the finest pixels to the "
    "coarsest, (B,)."""
    total = 0.0
    for diagonal, single in zip(
        couplings[0::2], couplings[1::2], strict=True
    ):  # two a level
        a, b = v[:, 0::2, 0::2], v[:, 0::2, 1::2]  # each block of 2 × 2 pixels:  a b
        c, d = v[:, 1::2, 0::2], v[:, 1::2, 1::2]  #                              c d
        total = total + log_bars(diagonal, moved=[b, c], seen=[a, d])
        total = total + log_bars(single, moved=[a], seen=[d])
        v = d  # the fourth pixel of each block goes on
    x = v.flatten(1)  # 49 numbers, each given those before it
    return total + last.curve.forward(x, last.net(x))[1].sum(1)


# %% [markdown]
# First one pass over some of the images; `pixel_flow` calls `coarse_to_fine` with the bins named above. Then the readable version must give the library's number.

# %%
from utils.models.flows import mnist_flow, pixel_flow

mnist = load("mnist")
gray_train, gray_test = ((x * 255).round() for x in (mnist.x_train, mnist.x_test))
short = pixel_flow(gray_train[:2000], generator=generator)
print(f"{size_of(short):,} parameters")
one_pass = dict(epochs=1, batch_size=32, lr=3e-3, autocast="auto")
train_images(short, gray_train[:mnist_images], **one_pass)

some = gray_test[mnist.test_part(200)]
twin = pixel_flow(gray_train[:2000], generator=generator).double()
twin.load_state_dict(short.state_dict())
dequantize, *_ = twin.transform
couplings = [module for module in twin.modules() if isinstance(module, Coupling)]
[last] = [module for module in twin.modules() if isinstance(module, Autoregressive)]
with torch.no_grad():
    noise_state = generator.get_state()
    v, log_det = dequantize(some.double())
    generator.set_state(noise_state)  # the same noise for both
    ours = readable(v[:, 0], couplings, last) + log_det
    largest = (twin.log_prob(some.double()) - ours).abs().max().item()
print(f"largest difference to the library: {largest:.1e} nats an image")
assert largest < 1e-6

# %% [markdown]
# One pass over all training images takes longer than a lesson may; `mnist_flow` has its weights (`data/make/pretrained.py`, the same call).
#
# With `autocast="auto"` the networks compute in bfloat16, two to three digits, on a GPU that has it. A network may be that coarse, for any numbers it says make a valid bijection; what is done to $x$, the log-determinants and the base stay in float32. In float64 we check that all pixels come back from $z$.

# %%
with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
    z, log_det = short(gray_test[:10])
assert z.dtype == log_det.dtype == torch.float32
trained = mnist_flow(generator)
exact_flow = mnist_flow(generator).double()
with torch.no_grad():
    z, _ = exact_flow(some.double())
    assert torch.equal(exact_flow.inverse(z)[0], some.double())
print(f"all pixels of {len(some)} test images come back from z")

test_bits = image_bits(trained, gray_test)
short_bits = image_bits(short, gray_test[mnist.test_part(2000)])
tables = pixel_tables(gray_train, 256, extra=0.05)
exact = {
    "uniform": 8.0,
    "independent_pixels": bits(independent(gray_test, tables), 784),
    "zlib": zlib_bits(gray_test),
    "png": png_bits(gray_test),
}
with record_table():
    for name, value in exact.items():
        record(f"mnist_bpd_{name}", value, unit="bits/dim", kind="exact")
    record("flow_mnist_bpd_short", short_bits.mean().item(), unit="bits/dim", kind="bound")
    record("flow_mnist_bpd", test_bits.mean().item(), unit="bits/dim", kind="bound")
flow_bits = test_bits.mean().item()
assert flow_bits < short_bits.mean() < min(exact.values())

# %% [markdown]
# ### What the bound loses (*optional*)
#
# Draw the noise many times. We report the mean of the $\log$; the $\log$ of the mean comes closer to $\log P(x)$, from below. If the noise hardly changes the density, there is nothing to lose: inside the bins of one value our density is flat by construction, and only the networks see a trace of the noise.

# %%
draws = 20
costs = torch.stack([image_bits(trained, some) for _ in range(draws)])
nats = -costs * 784 * math.log(2)
gap = bits(nats.mean(0), 784) - bits(nats.logsumexp(0) - math.log(draws), 784)
record("mnist_gap_seen", gap, unit="bits/dim", kind="score")
assert 0 <= gap < 0.01

# %% [markdown]
# ### Beside the literature (*optional*)
#
# | flow on MNIST, 8 bits | bits/dim |
# |---|---|
# | MADE | 2.04 |
# | MAF | 1.89 |
# | RealNVP | 1.06 |
# | Glow | 1.05 |
# | FFJORD | 0.99 |
#
# These numbers are from Grathwohl and others (2018, *FFJORD*), for models trained to convergence on graphics cards. Two things are worth seeing. First, the plain table of 256 values for each pixel on its own, our simple baseline, beats MADE and MAF: a smooth density that starts from a Gaussian pays dearly for the thin layer next to 0. Second, RealNVP, Glow and FFJORD are still better than ours. What does our difference cost? Bits per dimension are a file size, so the difference is paid in bytes, by everybody who would use the model to store images.

# %%
assert exact["independent_pixels"] < 1.89 < 2.04  # the literature's MAF and MADE
literature = {"RealNVP (literature)": 1.06, "MAF (literature)": 1.89}
extra = (flow_bits - 1.06) * 784 / 8
files = {"raw": 8.0, "PNG": exact["png"], "our flow": flow_bits, "RealNVP": 1.06}
for name, value in files.items():
    print(f"{name:9} {value * 784 / 8:4.0f} bytes an image")
print(
    f"the difference to RealNVP: {extra:+.0f} bytes an image, {10 * extra:+.0f} kB for the test set"
)

rows = {name.replace("_", " "): value for name, value in exact.items()} | literature
rows["our flow"] = flow_bits

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.6))
colors = [PALETTE[0] if name == "our flow" else "0.75" for name in rows]
ax.bar_label(ax.barh(list(rows), list(rows.values()), color=colors), fmt=" %.2f")
ax.invert_yaxis()
ax.set(xlabel="bits per dimension of MNIST test images (lower is better)")
caption("What an image costs. All are exact or upper bounds for the same 256 gray values.")

# %% [markdown]
# ### What it draws
#
# The samples are sharp, and they are ragged: a stroke is drawn in four big steps, whose pixels do not know of each other. In chapter 12 each pixel knows of all before it, and drawing takes longer.
#
# And because the flow has a $z$ for everything, we can hold the coarse part and draw the fine part anew.

# %%
z = exact_flow.base.sample(96, generator)  # the last 49 numbers are the coarse grid
same = z[:12].repeat(3, 1)
same[12:, :-49] = z[12:36, :-49]  # other fine numbers, the same coarse ones
with torch.no_grad():
    variants = exact_flow.inverse(same)[0]
    fresh = exact_flow.inverse(z[36:])[0]
coarse = nn.functional.interpolate(variants[:12, :, 3::4, 3::4], scale_factor=4)
assert torch.equal(variants[:12, :, 3::4, 3::4], variants[12:24, :, 3::4, 3::4])
assert not torch.equal(variants[:12], variants[12:24])

# %% jupyter={"source_hidden": true}
images(
    torch.cat([fresh, coarse, variants]) / 255,
    columns=12,
    rows=["samples", *4 * [""], "7 × 7 coarse", "fine 1", "fine 2", "fine 3"],
)
caption(
    "Top five rows: samples, not chosen; many can be read, and in others the strokes do "
    "not fit together. Below: "
    "the coarse grid decides where the ink is; the fine numbers draw the strokes, and "
    "may change the digit."
)

# %% [markdown]
# ### A flow for codes (*optional*)
#
# A flow needs a $z$ as large as the data, and that is a waste where the data fill only a thin sheet of their space. Chapter 6 has the opposite trouble: its autoencoder has a short code, and draws less well than it rebuilds, because the codes of real images are not spread like the prior from which it draws. Put the two together. Keep encoder and decoder as they are, and let a **coupling flow** learn $p(z)$ from the codes of the training images. The bound of chapter 6 changes in one term,
#
# $$\log p(x) \ge \mathbb E_{q(z \mid x)}\big[\log p(x \mid z) + \log p_\text{flow}(z) - \log q(z \mid x)\big],$$
#
# so what the flow is worth is the mean of $\log p_\text{flow}(z) - \log \mathcal N(z; 0, I)$ over codes of test images. It starts at 0, since the flow starts as the identity. And what are the samples worth? Their Fréchet distance to the test images, in the features of the course's classifier, which chapter 8 explains: lower is better. Decoded codes of real images show what this decoder can reach.

# %%
from utils.metrics import frechet_distance
from utils.models.classifiers import digit_classifier
from utils.models.flows import spline_coupling
from utils.models.vae import mnist_conv_vae, reparameterise

autoencoder, black_white = mnist_conv_vae(), load("mnist").binarized()
with torch.no_grad():
    codes = autoencoder.encode(black_white.x_train[:code_images])  # means and log-variances
    test_codes = reparameterise(*autoencoder.encode(black_white.x_test), generator)
code_flow = spline_coupling(12, 6, (96, 96), generator=generator)
Trainer(
    code_flow,
    lambda mean, log_variance, training: (
        -code_flow.log_prob(reparameterise(mean, log_variance, training.generator))
    ),
    epochs=code_epochs,
    batch_size=256,
    lr=3e-3,
    warmup=50,
    clip=10.0,
    ema=0.99,
    seed=seed,
).fit(codes)

judge = digit_classifier()
judged = mnist.test_part(5000)
real = judge.features(mnist.x_test[judged])
with torch.no_grad():
    gain = (code_flow.log_prob(test_codes) - normal(test_codes)).mean().item()
    sources = {
        "the prior": torch.randn(2000, 12, generator=generator),
        "the flow": code_flow.sample(2000, generator),
        "real images": test_codes[judged[:2000]],
    }
    decoded = {name: autoencoder.decode(z) for name, z in sources.items()}
distances = {
    name: frechet_distance(real, judge.features(pictures))
    for name, pictures in decoded.items()
}
with record_table():
    right = (judge.head(real).argmax(1) == mnist.y_test[judged]).double().mean().item()
    record("classifier_accuracy", right, unit="share of images", kind="score")
    record("code_flow_gain", gain, unit="nats/image", kind="score")
    for name, distance in distances.items():
        record(f"frechet_codes_of_{name.replace(' ', '_')}", distance, kind="score")
assert gain > 0.3
assert distances["real images"] < distances["the flow"] < 0.8 * distances["the prior"]

# %% jupyter={"source_hidden": true}
images(
    torch.cat([pictures[:36] for pictures in decoded.values()]),
    columns=12,
    rows=[f"codes from {name}" for name in decoded],
)
caption(
    "One decoder, three sources of codes: the prior of chapter 6, the flow that learned "
    "the codes, "
    "and the codes of real test images. None of the images was chosen."
)

# %% [markdown]
# The decoder is the same in all rows; only the distribution of its codes changes. The flow is fast both ways, and the number that it adds to the bound is known. What it cannot do is to sharpen what the decoder blurs: the last rows are its limit.

# %% [markdown]
# ## 9 · What flows cannot do
#
# ### Topology: a sheet cannot be torn
#
# A bijection that is smooth both ways keeps neighbors together. The Gaussian is in one piece; two blobs are two. In one dimension the only rising map from blobs to Gaussian is $f(x) = \Phi^{-1}(F(x))$, with the distribution functions $F$ of the blobs and $\Phi$ of the base. For blobs of width $\sigma$ at $\pm m$, its inverse has the slope $\sigma e^{m^2 / 2\sigma^2}$ in the middle. Pull the blobs apart and this explodes.

# %%
line = torch.linspace(-2, 2, 801, dtype=torch.float64)
maps = {}  # width of the blobs → z of each x, density
for width in (1.0, 0.5, 0.33, 0.25, 0.15):
    blobs = torch.distributions.Normal(torch.tensor([[-1.0], [1.0]]).double(), width)
    z = torch.special.ndtri(blobs.cdf(line).mean(0))
    density = blobs.log_prob(line).exp().mean(0)
    maps[width] = z, density
    slope = density / normal(z[:, None]).exp()  # f' = p(x) / p(z)
    steepest = (1 / slope[400]).item()
    assert math.isclose(steepest, width * math.exp(0.5 / width**2), rel_tol=1e-6)
    print(f"blobs at ±1 of width {width:4}: the middle is stretched {steepest:.3g} times")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
for width, (z, density) in maps.items():
    axes[0].plot(z, line, label=f"width {width:g}")
    axes[1].plot(line, density)
axes[0].set(xlabel="z", ylabel="x", title="from Gaussian to blobs", xlim=(-3, 3))
axes[0].legend(fontsize=8)
axes[1].set(xlabel="x", title="p(x)")
caption(
    "The exact map from one Gaussian to two blobs. The narrower the blobs, the more it "
    "wants to "
    "jump; a continuous map cannot."
)

# %% [markdown]
# No network stretches a million times. It stops earlier and leaves a **bridge**: samples between the parts, where there should be none. We pull the moons apart until a wide strip between them is empty, train the same flow on two bases, and count samples in the strip.
#
# The cure changes the base: a mixture of two narrow Gaussians is in two pieces, so nothing needs tearing. What still lands in the strip is no bridge, only a fit that is not perfect yet.

# %%
from utils.models.flows import Flow

pulled = moons.x_train + torch.where(moons.y_train == 0, 1.0, -1.0)[:, None] * torch.tensor(
    [0.0, 1.0]
)
apart = torch.tensor([[0.0, 1.5], [0.0, -1.5]])
two = GaussianMixture.from_parameters(
    torch.tensor([0.5, 0.5]), apart, 0.3**2 * torch.eye(2).expand(2, 2, 2)
)
layers = [real_nvp(2, 6, (32, 32), generator=generator) for _ in range(2)]
torn = {"one Gaussian": layers[0], "two Gaussians": Flow(layers[1].transform, two)}


def in_strip(x: Tensor) -> Tensor:
    return x[:, 1].abs() < 0.25


assert not in_strip(pulled).any()
share, samples = {}, {}
with record_table():
    for name, flow in torn.items():
        train_toy(flow, flow.log_prob, pulled)
        samples[name] = flow.sample(20_000, generator)
        share[name] = in_strip(samples[name]).double().mean().item()
        key = f"bridge_{name.replace(' ', '_').lower()}"
        record(key, share[name], unit="share of samples", kind="score")
assert share["one Gaussian"] > 0.002

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 3.2))
for ax, (name, drawn) in zip(axes, samples.items(), strict=True):
    bridge = in_strip(drawn)
    ax.scatter(*drawn[~bridge].T, s=1, color="0.7")
    ax.scatter(*drawn[bridge].T, s=4, color=PALETTE[4])
    ax.set(title=f"base: {name}", xlim=(-3, 3), ylim=(-2.7, 2.7), aspect="equal")
caption(
    "Orange: samples in the strip, where there should be none. One Gaussian leaves a "
    "bridge "
    "between the moons; two Gaussians leave strays, far fewer."
)

# %% [markdown]
# Why must there be a bridge? **Walk** straight from the code of a point of one moon to that of the other. On the way $x$ has to cross the strip. How unlikely do the codes get, compared with the ends? A Gaussian has one hill: on such a walk nothing lies lower than the lower end. So some likely codes *must* be drawn into the strip. Between two hills there is a valley, and few codes are drawn there.

# %%
with record_table():
    for name, flow in torn.items():
        with torch.no_grad():
            start, end = (
                flow(pulled[moons.y_train == part][:500].float())[0] for part in (0, 1)
            )
            steps = torch.linspace(0, 1, 101)[:, None, None]
            walk = flow.base.log_prob(torch.lerp(start, end, steps).flatten(0, 1)).view(
                101, -1
            )
        valley = (torch.minimum(walk[0], walk[-1]) - walk.min(0).values).mean().item()
        key = f"valley_{name.replace(' ', '_').lower()}"
        record(key, valley, unit="nats", kind="score")
        assert valley < 1e-3 if name == "one Gaussian" else valley > 4

# %% [markdown]
# ### A high likelihood does not mean "I know this"
#
# Chapter 4 used $p(x)$ to flag strange images, and it is tempting to trust a better density more. We train the same flow on **Fashion-MNIST**, pictures of clothes, and show it digits.

# %%
fashion = load("fashion")
clothes, clothes_test = ((x * 255).round() for x in (fashion.x_train, fashion.x_test))
fashion_flow = pixel_flow(clothes[:2000], generator=generator)
train_images(fashion_flow, clothes[:fashion_images], **one_pass)

strange = gray_test[mnist.test_part(len(clothes_test))]
snow = torch.randint(256, strange[:50].shape, generator=generator).float()
shown = {
    "clothes (known)": clothes_test,
    "digits (never seen)": strange,
    "all black (never seen)": torch.zeros_like(strange[:50]),
    "its own samples": fashion_flow.sample(200, generator),
    "noise (never seen)": snow,
}
costs = {name: image_bits(fashion_flow, x) for name, x in shown.items()}
with record_table():
    for name, cost in costs.items():
        record(
            f"fashion_flow_bpd_{name.split(' (')[0].replace(' ', '_')}",
            cost.mean().item(),
            unit="bits/dim",
            kind="bound",
        )
assert costs["digits (never seen)"].mean() < costs["clothes (known)"].mean() - 0.5
assert costs["digits (never seen)"].mean() < costs["its own samples"].mean() - 0.5

# %% [markdown]
# The flow that knows only clothes gives digits **far higher** likelihood than clothes, and an empty image the highest of all. Nalisnick and others found this in 2019. The AUROC, the chance that a strange image gets the lower likelihood of the two, falls far below one half.
#
# Were the flow broken, it would be a bad code for the clothes, too. We lay it beside three codes that anybody can have: a table for each pixel, zlib and PNG.

# %%
tables = pixel_tables(clothes, 256, extra=0.5)
baselines = {
    "independent_pixels": bits(independent(clothes_test, tables), 784),
    "zlib": zlib_bits(clothes_test),
    "png": png_bits(clothes_test),
}
with record_table():
    for name, value in baselines.items():
        record(f"clothes_bpd_{name}", value, unit="bits/dim", kind="exact")
assert costs["clothes (known)"].mean() < min(baselines.values())

# %% [markdown]
# It needs fewer bits than each of the three, though it is not far from PNG after so short a training. So it has learned something of clothes, and still likes digits better. Digits are mostly flat and black, and flat areas are cheap for anyone who knows what neighboring pixels do. Likelihood is dominated by **how complex** an image is, not by what it shows. If so, a program that knows nothing of clothes or digits must rank images nearly the same way. We ask zlib, image by image.

# %%
from sklearn.metrics import roc_auc_score

costs_both = torch.cat([costs["clothes (known)"], costs["digits (never seen)"]])
both_kinds = torch.cat([clothes_test, strange])
complexity = torch.tensor([zlib_bits(image[None]) for image in both_kinds])
is_strange = np.repeat([0, 1], [len(clothes_test), len(strange)])
correlation = np.corrcoef(costs_both, complexity)[0, 1]
plain = roc_auc_score(is_strange, costs_both)
corrected = roc_auc_score(is_strange, costs_both - complexity)
with record_table():
    record("bits_and_zlib_correlation", correlation, kind="score")
    record("strange_auroc_likelihood", plain, kind="score")
    record("strange_auroc_minus_zlib", corrected, kind="score")
assert plain < 0.3 < 0.7 < corrected
assert correlation > 0.8

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(12.2, 5.2), width_ratios=(1, 1, 1.75))
for kind, name in enumerate(("clothes", "digits")):
    mine = torch.as_tensor(is_strange == kind)
    axes[0].hist(costs_both[mine].numpy(), bins=40, alpha=0.6, label=name)
    axes[1].scatter(complexity[mine], costs_both[mine], s=2, alpha=0.4)
axes[0].set(xlabel="bits/dim of the clothes' flow", yticks=[])
axes[0].legend()
axes[1].set(xlabel="bits/dim of zlib", ylabel="bits/dim of the flow")
dreams = shown["its own samples"][:36] / 255
images(dreams, columns=6, title="its own samples", axes=axes[2])
caption(
    "Left: never-seen digits get fewer bits, so more likelihood, than clothes. Middle: a "
    "file "
    "packer agrees. Right: what the flow draws is no digit."
)

# %% [markdown]
# The flow's own samples cost about as much as clothes, and far more than digits. A simple image is likelier than a typical sample, and still it is not drawn: simple images are so few that together they have hardly any probability. "Likely" and "typical" are different things in 784 dimensions.
#
# As pictures, they have the outlines of clothes and the texture of none: the bits of an image are mostly those of its noise, which training therefore learns first.
#
# A cure that works here is to subtract zlib's bits from the flow's (Serrà and others, 2020). The packer's bits stand for plain complexity; what is left is knowledge of clothes.

# %% [markdown]
# ## 10 · What this family is good and bad at
#
# Exact densities, an exact inverse and fast samples, all three, from one network trained by plain maximum likelihood. The price is a latent space as large as the data, layers that must be bijections, and a shape of the base that no bending can tear.

# %%
from utils.families import families

families("10")

# %% [markdown]
# ## 11 · Remember
#
# 1. $\log p(x) = \log p_z(f(x)) + \log |\det \partial f / \partial x|$. Probability moves, volume changes, nothing is lost.
# 2. Keep the Jacobian triangular: couplings are fast both ways, autoregressive layers are stronger and slow one way.
# 3. Test a flow by its inverse, autograd's Jacobian, an integral that is 1, and samples that follow the density.
# 4. Pixels are whole numbers: add noise, and call the result a bound on their probability. The density alone is exact.
# 5. A flow cannot tear its base, and a high likelihood means simple, not familiar.
#
# **Exercises**: `course start 10`, then open `work/10_normalizing_flows/exercises.ipynb`.
#
# **Further reading**
# - L. Dinh, J. Sohl-Dickstein, S. Bengio: *Density estimation using Real NVP*, 2017, arXiv:1605.08803.
# - G. Papamakarios, T. Pavlakou, I. Murray: *Masked autoregressive flow for density estimation*, 2017, arXiv:1705.07057.
# - D. P. Kingma, P. Dhariwal: *Glow: generative flow with invertible 1 × 1 convolutions*, 2018, arXiv:1807.03039.
# - C. Durkan, A. Bekasov, I. Murray, G. Papamakarios: *Neural spline flows*, 2019, arXiv:1906.04032.
# - J. Ho, X. Chen, A. Srinivas, Y. Duan, P. Abbeel: *Flow++: improving flow-based generative models with variational dequantization and architecture design*, 2019, arXiv:1902.00275.
# - W. Grathwohl and others: *FFJORD: free-form continuous dynamics for scalable reversible generative models*, 2018, arXiv:1810.01367: flows in continuous time.
# - S. Reed and others: *Parallel multiscale autoregressive density estimation*, 2017, arXiv:1703.03664.
# - L. Theis, A. van den Oord, M. Bethge: *A note on the evaluation of generative models*, 2016, arXiv:1511.01844: why densities of pixels need noise.
# - E. Nalisnick and others: *Do deep generative models know what they don't know?*, 2019, arXiv:1810.09136.
# - J. Serrà and others: *Input complexity and out-of-distribution detection with likelihood-based generative models*, 2020, arXiv:1909.11480.
# - G. Papamakarios and others: *Normalizing flows for probabilistic modeling and inference*, 2021, arXiv:1912.02762: the survey.
