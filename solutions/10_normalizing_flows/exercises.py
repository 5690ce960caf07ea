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
# # Exercises 10: Normalizing flows
#
# You will build a flow from its parts, in both directions, count its likelihood in bits, and train one that beats a
# mixture of Gaussians.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of points, `D` of coordinates, `C` of channels. Every exercise stands alone: if you are stuck, go on with the next one.
#
# **Signs.** From data to noise is *forward*: $z = f(x)$, and `log_det` is $\log |\det \partial z / \partial x|$ of each
# point, shape `(B,)`. From noise to data is *inverse*; its `log_det` is $\log |\det \partial x / \partial z|$, of the other
# sign. The base $p(z)$ is the standard normal $\mathcal N(0, I)$.
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
from torch import Tensor, nn

from utils.checks import check
from utils.plots import caption, plane
from utils.toys import checkerboard

# %% [markdown]
# ## 10.1 Change of variable, with any function (core)
#
# A bijection $z = f(x)$ of the line stretches some places and squeezes others. The density follows:
#
# $$\log p(x) = \log \mathcal N(f(x); 0, 1) + \log |f'(x)| .$$
#
# Somebody hands you $f$ as a Python function, and no formula of its derivative. `torch.autograd.grad` finds the
# derivative: as each $f(x_b)$ depends on $x_b$ alone, the gradient of the *sum* of all $f(x_b)$ holds all the slopes.
#
# `f` maps `(B,)` to `(B,)`, each number by itself; it rises everywhere or falls everywhere. `x` is `(B,)`; return
# $\log p(x_b)$, `(B,)`.


# %% exercise={"id": "flow.log_prob_1d", "tier": "core", "minutes": 10, "points": 2}
def log_prob_1d(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log p(x) where f(x) is standard normal: (B,) -> (B,)."""
    ### BEGIN SOLUTION
    x = x.detach().requires_grad_()
    z = f(x)
    (slope,) = torch.autograd.grad(z.sum(), x)
    return -0.5 * z.square() - 0.5 * math.log(2 * math.pi) + slope.abs().log()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.log_prob_1d", log_prob_1d)

# %% [markdown]
# ## 10.2 A coupling with a mask (core)
#
# The first RealNVP did not cut its input in halves: a mask $m$ of ones and zeros says which coordinates are **kept**, in
# any pattern, such as a checkerboard of pixels.
#
# $$z = m \odot x + (1 - m) \odot \bigl( x \odot e^{s} + t \bigr), \qquad (s, t) = \mathrm{net}(m \odot x) .$$
#
# The network sees the kept coordinates only, the others are blotted out by zeros. It answers for all coordinates, with
# numbers whose $e^s$ is finite, but what it says of the kept ones is not used, neither in $z$ nor in the log-determinant.
#
# `x` is `(B, D)`, `mask` is `(D,)` with values 0.0 and 1.0; `net` takes `(B, D)` and returns the pair `(s, t)`, each
# `(B, D)`. Return `z`, `(B, D)`, and `log_det`, `(B,)`.


# %% exercise={"id": "flow.affine_coupling", "tier": "core", "minutes": 12, "points": 2}
def affine_coupling(x: Tensor, mask: Tensor, net: Callable) -> tuple[Tensor, Tensor]:
    """z (B, D) and log |det dz/dx| (B,) of a coupling that keeps the coordinates where mask is 1."""
    ### BEGIN SOLUTION
    moved = 1 - mask
    s, t = net(mask * x)
    return mask * x + moved * (x * s.exp() + t), (moved * s).sum(-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.affine_coupling", affine_coupling)

# %% [markdown]
# ## 10.3 The same coupling, backwards (core)
#
# Nobody inverts the network. The kept coordinates are the same on both sides, so the network gives the same answer on
# the way back: undo the shift, then the scale.
#
# `z` is `(B, D)`, `mask` and `net` are as before. Return `x`, `(B, D)`, and the log-determinant **of this direction**,
# $\log |\det \partial x / \partial z|$, `(B,)`.


# %% exercise={"id": "flow.coupling_inverse", "tier": "core", "minutes": 10, "points": 2}
def coupling_inverse(z: Tensor, mask: Tensor, net: Callable) -> tuple[Tensor, Tensor]:
    """x (B, D) and log |det dx/dz| (B,): the way back of `affine_coupling`."""
    ### BEGIN SOLUTION
    moved = 1 - mask
    s, t = net(mask * z)
    return mask * z + moved * (z - t) * (-s).exp(), -(moved * s).sum(-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.coupling_inverse", coupling_inverse)

# %% [markdown]
# ## 10.4 The density of a chain (core)
#
# One coupling moves half of the coordinates, a flow chains many. The chain rule multiplies Jacobians, so the
# log-determinants add up, each taken **where its own transform stands** in the chain:
#
# $$\log p(x) = \log \mathcal N(z; 0, I) + \sum_i \log |\det J_i| .$$
#
# `transforms` is a list of functions, the first one acts on $x$ first; each takes `(B, D)` and returns `(z, log_det)`,
# `(B, D)` and `(B,)`. `x` is `(B, D)`; return $\log p(x)$, `(B,)`.


# %% exercise={"id": "flow.chain", "tier": "core", "minutes": 8, "points": 2}
def chain_log_prob(x: Tensor, transforms: list[Callable]) -> Tensor:
    """log p(x) of the flow that applies the transforms one after the other: (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    z, log_prob = x, -0.5 * x.shape[-1] * math.log(2 * math.pi)
    for transform in transforms:
        z, log_det = transform(z)
        log_prob = log_prob + log_det
    return log_prob - 0.5 * z.square().sum(-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.chain", chain_log_prob)

# %% [markdown]
# ## 10.5 Sample, and know how likely it is (core)
#
# To sample, walk the chain backwards. The density of what comes out costs nothing more: the log-determinants of the
# inverse steps are known on the way, so no forward pass is needed.
#
# `inverses` is a list **in the order of the forward chain**: `inverses[0]` undoes the first transform, the one next to
# the data. Each takes `(B, D)` and returns what came before and `log_det` of **its own** direction, from noise to data.
# `z` is `(B, D)`, drawn from $\mathcal N(0, I)$. Return `x`, `(B, D)`, and $\log p(x)$, `(B,)`.


# %% exercise={"id": "flow.sample", "tier": "core", "minutes": 10, "points": 2}
def sample_with_log_prob(z: Tensor, inverses: list[Callable]) -> tuple[Tensor, Tensor]:
    """x (B, D) made from the noise z (B, D), and log p(x) (B,)."""
    ### BEGIN SOLUTION
    x = z
    log_prob = torch.distributions.Normal(0, 1).log_prob(z).sum(-1)
    for inverse in inverses[::-1]:
        x, log_det = inverse(x)
        log_prob = log_prob - log_det
    return x, log_prob
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.sample", sample_with_log_prob)

# %% [markdown]
# ## 10.6 Noise on gray values (core)
#
# A pixel is a whole number, and a density may grow without bound on whole numbers. So noise fills the gap to the next
# number, then everything is scaled to $[0, 1)$:
#
# $$y = \frac{x + u}{\mathrm{levels}}, \qquad u \sim U[0, 1) \text{ for each pixel of each image.}$$
#
# `x` is `(B, D)` and holds $0, 1, \dots, \mathrm{levels} - 1$ (as `float64`). Return `y`, `(B, D)`, and
# $\log |\det \partial y / \partial x|$, `(B,)`. The noise comes from torch's own generator: `torch.rand_like`.


# %% exercise={"id": "flow.dequantize", "tier": "core", "minutes": 8, "points": 1}
def dequantize(x: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """y = (x + u) / levels, (B, D), and log |det dy/dx|, (B,)."""
    ### BEGIN SOLUTION
    y = (x + torch.rand_like(x)) / levels
    return y, x.new_full((len(x),), -x.shape[-1] * math.log(levels))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.dequantize", dequantize)

# %% [markdown]
# ## 10.7 Bits per dimension (core)
#
# Papers report images in bits per pixel and channel, so that sizes do not matter. One gray value owns a little cube of
# side $1 / \mathrm{levels}$ in the space of $y$, so that
#
# $$P(x) \approx p(y) \cdot \mathrm{levels}^{-D}, \qquad
# \text{bits per dimension} = -\frac{\log_2 P(x)}{D} .$$
#
# `log_prob` is $\log p(y)$ of each image in **nats**, `(B,)`, for `y` in $[0, 1)^D$ as made in 10.6. Return the bits per
# dimension of each image, `(B,)`. (A density that is 1 everywhere knows nothing: 256 levels then cost 8 bits.)


# %% exercise={"id": "flow.bits_per_dim", "tier": "core", "minutes": 8, "points": 2}
def bits_per_dim(log_prob: Tensor, dim: int, levels: int) -> Tensor:
    """Bits per dimension of each image from the log-density in nats: (B,) -> (B,)."""
    ### BEGIN SOLUTION
    return math.log2(levels) - log_prob / (dim * math.log(2))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.bits_per_dim", bits_per_dim)

# %% [markdown]
# ## 10.8 Mix the channels (core)
#
# Glow lets the channels of a pixel change places in general: the same matrix $W$ at each of the $H \times W$ pixels,
# an invertible 1 × 1 convolution.
#
# $$z_{:, i, j} = W x_{:, i, j}$$
#
# How large is the Jacobian of the whole image? It has one block $W$ for each pixel. And mind that $\det W$ may be negative,
# and that with many channels it underflows: `torch.linalg.slogdet` gives sign and logarithm apart.
#
# `x` is `(B, C, H, W)`, `weight` is `(C, C)`. Return `z`, `(B, C, H, W)`, and `log_det`, `(B,)`.


# %% exercise={"id": "flow.mix_channels", "tier": "core", "minutes": 10, "points": 2}
def mix_channels(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """An invertible 1 × 1 convolution: z (B, C, H, W) and log |det dz/dx| (B,)."""
    ### BEGIN SOLUTION
    z = torch.einsum("oc,bchw->bohw", weight, x)
    pixels = x.shape[2] * x.shape[3]
    return z, (pixels * torch.linalg.slogdet(weight).logabsdet).expand(len(x))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.mix_channels", mix_channels)

# %% [markdown]
# ## 10.9 Actnorm looks at its first batch (extend)
#
# Batch normalization ties the images of a batch together, which makes no density. Actnorm looks at the **first** batch
# once, chooses a shift and a scale for each channel, and from then on these are ordinary parameters:
#
# $$z_c = (x_c + \mathrm{shift}_c) \, e^{\mathrm{log\_scale}_c} .$$
#
# After this first batch each channel has mean 0 and variance 1, over all images and all pixels.
#
# `x` is the first batch, `(B, C, H, W)`. Return `shift`, `(C,)`, `log_scale`, `(C,)`, and the log-determinant of
# **one image**: a number.


# %% exercise={"id": "flow.actnorm_init", "tier": "extend", "minutes": 12, "points": 2}
def actnorm_init(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """shift (C,), log_scale (C,) and log |det dz/dx| of one image, a number."""
    ### BEGIN SOLUTION
    shift = -x.mean((0, 2, 3))
    log_scale = -x.std((0, 2, 3)).log()
    return shift, log_scale, x[0, 0].numel() * log_scale.sum()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.actnorm_init", actnorm_init)

# %% [markdown]
# ## 10.10 The planar flow: derivation and code (extend)
#
# One of the first flows pushes all points along one direction $u$, more or less according to where they lie across a plane:
#
# $$z = x + u \tanh(w^\top x + b) .$$
#
# A determinant costs $D^3$ operations in general. **Derive** $\log |\det \partial z / \partial x|$ of this flow in a form
# that costs $D$ operations. One way: write the Jacobian as $I + a c^\top$ with two vectors $a$ and $c$; find what this matrix
# does to $a$, and to every vector that is orthogonal to $c$; the determinant is the product of its eigenvalues.
# Which $u$ and $w$ make the flow invertible? Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown] tags=["solution"]
# **Worked derivation.** Let $h = \tanh(w^\top x + b)$. As $\partial h / \partial x_j = (1 - h^2) w_j$, the Jacobian is
#
# $$\frac{\partial z_i}{\partial x_j} = \delta_{ij} + u_i (1 - h^2) w_j, \qquad J = I + u c^\top
# \quad \text{with} \quad c = (1 - h^2) \, w .$$
#
# A vector $v$ with $c^\top v = 0$ stays as it is, $J v = v$: if $c \ne 0$ there are $D - 1$ independent ones, with
# eigenvalue 1. And $J u = u + u (c^\top u) = (1 + c^\top u) u$: the eigenvalue of $u$ is $1 + c^\top u$. (If
# $c^\top u = 0$, then $u$ is one of the former; the trace of $J$ is $D$, so the last eigenvalue is 1 as well, and the
# formula holds.) The determinant is the product,
#
# $$\log |\det J| = \log \bigl| 1 + (1 - h^2) \, w^\top u \bigr| .$$
#
# Along $w$ the flow acts on the single number $r = w^\top x$: it becomes $r + w^\top u \tanh(r + b)$, with slope
# $1 + (1 - h^2) \, w^\top u$. As $0 < 1 - h^2 \le 1$, this slope is nowhere negative, and the flow invertible, just if
# $w^\top u \ge -1$.

# %% [markdown]
# Now **in code**, without any $D \times D$ matrix. `x` is `(B, D)`, `u` and `w` are `(D,)`, `b` is a number. Return `z`,
# `(B, D)`, and `log_det`, `(B,)`.


# %% exercise={"id": "flow.planar", "tier": "extend", "minutes": 25, "points": 3}
def planar(x: Tensor, u: Tensor, w: Tensor, b: float) -> tuple[Tensor, Tensor]:
    """z = x + u tanh(wᵀx + b), (B, D), and log |det dz/dx|, (B,)."""
    ### BEGIN SOLUTION
    h = (x @ w + b).tanh()  # (B,)
    return x + h[:, None] * u, (1 + (1 - h.square()) * (w @ u)).abs().log()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.planar", planar)

# %% [markdown]
# ## 10.11 The slow direction of an autoregressive flow (extend)
#
# In a masked autoregressive flow, coordinate $i$ is moved as the coordinates **of the data** before it say:
#
# $$z_i = x_i \, e^{s_i} + t_i, \qquad (s_i, t_i) \text{ depend on } x_1, \dots, x_{i-1} .$$
#
# From $x$ to $z$ all coordinates are known: one call of the network. From $z$ to $x$ they are not: $x_1$ comes first,
# then the network can say how $x_2$ was moved, and so on.
#
# `z` is `(B, D)`; `net` takes **x**, `(B, D)`, and returns the pair `(s, t)`, each `(B, D)`, where row entries $i$ depend on
# the entries before $i$ alone (what stands in the others does not matter). Return `x`, `(B, D)`, and
# $\log |\det \partial x / \partial z|$, `(B,)`.


# %% exercise={"id": "flow.maf_inverse", "tier": "extend", "minutes": 15, "points": 3}
def maf_inverse(z: Tensor, net: Callable) -> tuple[Tensor, Tensor]:
    """x (B, D) and log |det dx/dz| (B,), one coordinate after the other."""
    ### BEGIN SOLUTION
    x = torch.zeros_like(z)
    for i in range(z.shape[-1]):
        s, t = net(x.clone())
        x[:, i] = (z[:, i] - t[:, i]) * (-s[:, i]).exp()
    return x, -s.sum(-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.maf_inverse", maf_inverse)

# %% [markdown]
# ## 10.12 A curve that bends: the rational-quadratic spline (extend)
#
# An affine coupling can only scale and shift. A spline bends: it runs through given points, the *knots*, with given
# slopes there, and rises everywhere. In the bin from $(x_0, y_0)$ to $(x_1, y_1)$, with slopes $d_0$ and $d_1$ at its
# ends, $s = (y_1 - y_0) / (x_1 - x_0)$ and $\theta = (x - x_0) / (x_1 - x_0)$,
#
# $$y = y_0 + \frac{(y_1 - y_0) \bigl( s \theta^2 + d_0 \, \theta (1 - \theta) \bigr)}
# {s + (d_0 + d_1 - 2 s) \, \theta (1 - \theta)}, \qquad
# \frac{dy}{dx} = \frac{s^2 \bigl( d_1 \theta^2 + 2 s \, \theta (1 - \theta) + d_0 (1 - \theta)^2 \bigr)}
# {\bigl( s + (d_0 + d_1 - 2 s) \, \theta (1 - \theta) \bigr)^2} .$$
#
# Each example has a spline of its own. `x` is `(B,)`; `x_knots` and `y_knots` are `(B, K + 1)`, rising along each row;
# `slopes`, `(B, K + 1)`, are positive. Each $x_b$ lies between the first and the last knot of its row, these included.
# Return $y$, `(B,)`, and $\log dy/dx$, `(B,)`. `torch.gather` picks one knot from each row.


# %% exercise={"id": "flow.rational_quadratic", "tier": "extend", "minutes": 25, "points": 3}
def rational_quadratic(
    x: Tensor, x_knots: Tensor, y_knots: Tensor, slopes: Tensor
) -> tuple[Tensor, Tensor]:
    """y (B,) and log dy/dx (B,) of the spline through the knots of each row, (B, K + 1)."""
    ### BEGIN SOLUTION
    left = (x_knots[:, 1:-1] < x[:, None]).sum(
        -1, keepdim=True
    )  # (B, 1), the number of the bin

    def ends(rows: Tensor) -> tuple[Tensor, Tensor]:
        return rows.gather(1, left)[:, 0], rows.gather(1, left + 1)[:, 0]

    (x0, x1), (y0, y1), (d0, d1) = ends(x_knots), ends(y_knots), ends(slopes)
    s, theta = (y1 - y0) / (x1 - x0), (x - x0) / (x1 - x0)
    tau = theta * (1 - theta)
    below = s + (d0 + d1 - 2 * s) * tau
    y = y0 + (y1 - y0) * (s * theta.square() + d0 * tau) / below
    rise = d1 * theta.square() + 2 * s * tau + d0 * (1 - theta).square()
    return y, (rise * (s / below).square()).log()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("flow.rational_quadratic", rational_quadratic)

# %% [markdown]
# The next cell prepares a picture: a spline through five knots, and its slope. When your check has passed, call
# `show_spline(rational_quadratic)` in a cell of your own and compare with the picture below the code.

# %%
knots = {
    "x_knots": torch.tensor([-2.0, -1.2, -0.2, 0.4, 2.0], dtype=torch.float64),
    "y_knots": torch.tensor([-2.0, -1.7, 0.5, 0.8, 2.0], dtype=torch.float64),
    "slopes": torch.tensor([1.0, 0.3, 1.5, 0.2, 1.0], dtype=torch.float64),
}


def show_spline(rational_quadratic: Callable) -> None:
    """Draw the spline through `knots`, and its slope."""
    x = torch.linspace(-2, 2, 401, dtype=torch.float64)
    y, log_slope = rational_quadratic(
        x, *(row.expand(len(x), -1) for row in knots.values())
    )
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.plot(x, y)
    left.scatter(knots["x_knots"], knots["y_knots"], color="black", zorder=3)
    left.set(xlabel="x", ylabel="y", title="Through the knots, rising everywhere")
    right.plot(x, log_slope.exp())
    right.scatter(knots["x_knots"], knots["slopes"], color="black", zorder=3)
    right.set(xlabel="x", ylabel="dy/dx", title="The slope has no jumps", ylim=(0, None))
    caption(
        "Left: the spline through its knots (dots). Right: its slope, with the given slopes at the knots."
    )


# %% tags=["solution"]
show_spline(rational_quadratic)

# %% [markdown]
# ## 10.13 Challenge: sharper than a mixture
#
# Build a flow and train it on 5,000 points of the checkerboard. Its edges are hard for a mixture, whose parts are all
# round. Your function gets `x_train`, `(5000, 2)`, and returns **both directions**: a function `forward(x)`, which returns
# `z`, `(B, 2)`, and `log_det`, `(B,)`, and a function `inverse(z)`, which returns `x`, `(B, 2)`. Both take and return
# `float64`.
#
# The check draws its own points, and asks about all of them mixed, in batches of one size, some of them twice: keep nothing
# between two calls. It asks whether `inverse` undoes `forward`, and `forward` undoes `inverse` for new `z`, whether
# `log_det` is true, whether the density integrates to 1, and then for the mean of
# $\log \mathcal N(z; 0, I) + \mathrm{log\_det}$ on 4,000 points that you have not seen: **reach 0.03 nats more than a
# mixture of 100 Gaussians**, fitted by scikit-learn to the same points. No density can do better than
# $-\log 6 \approx -1.79$. The next cell shows the points, and what mixtures reach.
#
# Any means are allowed but the finished flows of `utils.models`: your functions from above, `utils.nets`,
# `utils.training`. Up to 60 seconds; 10 are enough. Two hints: a spline lives on an interval, so beyond it let the curve go
# on as the identity; and an increasing curve can be inverted by halving an interval again and again.

# %%
generator = torch.Generator().manual_seed(0)
points, new_points = (checkerboard(n, generator)[0].double() for n in (5000, 4000))
for n_components in (10, 30, 100):
    mixture = GaussianMixture(n_components, max_iter=500, random_state=0).fit(points)
    print(
        f"{n_components:3d} components: {mixture.score(new_points):.2f} nats per new point"
    )

# %% jupyter={"source_hidden": true}
plt.figure(figsize=(4, 4))
plt.scatter(*points.T, s=2)
plt.gca().set_aspect("equal")
caption("The points to fit: a checkerboard.")


# %% exercise={"id": "flow.held_out", "tier": "challenge", "minutes": 60, "points": 5}
def fit_flow(x_train: Tensor) -> tuple[Callable, Callable]:
    """Fit a flow to x_train (N, 2); returns forward: x -> (z, log_det), and inverse: z -> x."""
    ### BEGIN SOLUTION
    bins, bound, least, steps = 16, 3.0, 1e-3, 1000
    torch.manual_seed(0)
    nets = nn.ModuleList(
        nn.Sequential(
            nn.Linear(1, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 3 * bins - 1),
        )
        for _ in range(2)
    )
    for net in nets:
        nn.init.zeros_(net[-1].weight)  # every curve starts near the identity
        nn.init.zeros_(net[-1].bias)

    def corners(raw: Tensor) -> Tensor:
        share = least + (1 - bins * least) * raw.softmax(-1)
        return 2 * bound * nn.functional.pad(share.cumsum(-1), (1, 0)) - bound

    def bend(b: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        widths, heights, slopes = raw.split([bins, bins, bins - 1], -1)
        # softplus(0.54) = 1: with all numbers 0 the slopes are 1.
        slopes = nn.functional.pad(
            nn.functional.softplus(slopes + 0.54) + least, (1, 1), value=1.0
        )
        y, log_slope = rational_quadratic(
            b.clamp(-bound, bound), corners(widths), corners(heights), slopes
        )
        inside = b.abs() < bound
        return torch.where(inside, y, b), torch.where(inside, log_slope, 0.0)

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        (a, b), total = x.unbind(-1), 0.0
        for net in nets:
            b, log_slope = bend(b, net(a[:, None]))
            a, b, total = b, a, total + log_slope  # the halves take turns
        return torch.stack([a, b], -1), total

    def inverse(z: Tensor) -> Tensor:
        a, b = z.unbind(-1)
        for net in reversed(nets):
            a, b = b, a
            raw = net(a[:, None])
            low, high = torch.full_like(b, -bound), torch.full_like(b, bound)
            for _ in range(50):
                middle = (low + high) / 2
                below = bend(middle, raw)[0] < b
                low, high = (
                    torch.where(below, middle, low),
                    torch.where(below, high, middle),
                )
            b = torch.where(b.abs() < bound, low, b)
        return torch.stack([a, b], -1)

    optimizer = torch.optim.Adam(nets.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    x = x_train.float()
    for _ in range(steps):
        z, log_det = forward(x[torch.randint(len(x), (512,))])
        loss = (0.5 * z.square().sum(-1) - log_det).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(nets.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    nets.double().requires_grad_(False)
    return forward, inverse
    ### END SOLUTION


# %%
check("flow.held_out", fit_flow)

# %% [markdown]
# The target: squares with sharp edges. A flow can stretch the plane but not tear it: a little mass stays between the squares.

# %% tags=["solution"]
forward, inverse = fit_flow(points)


def log_prob(x: Tensor) -> Tensor:
    z, log_det = forward(x)
    return torch.distributions.Normal(0, 1).log_prob(z).sum(-1) + log_det


samples = inverse(torch.randn(3000, 2, generator=generator, dtype=torch.float64))

# %% jupyter={"source_hidden": true} tags=["solution"]
_, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
plane(left, log_prob, (-2.2, -2.2), (2.2, 2.2))
left.set_title("The density of the flow")
right.scatter(*samples.T, s=2)
right.set(title="3,000 samples", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal")
caption(
    "Left: the density of the flow. Right: its samples. It should be dark, and hold points, on every second square."
)
