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
# # 15 · Diffusion: noise, and the way back
#
# **Learn to take a little noise away, and you can make data out of nothing but noise, and say how likely it is.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 120 minutes | about two minutes, two cores | chapters 2, 4 and 8, gradients | derive the loss that diffusion models are trained with; turn one network into samplers, a denoiser and a density; say what each sampler costs and how wrong it is; tell a likelihood from a solver's error |
#
# Words, symbols and signs: [style and notation](../../docs/style.md). Time runs from **data at t = 0 to noise at t = 1**.
#
# Chapter 8 made sharp images in one pass, by a game that could fail in many ways. This chapter makes them in many small passes, and each is plain regression: look at a noisy image and say what is noise. Nearly every image, video and sound generator of today is built on that.

# %% tags=["parameters"]
seed = 15
toy_steps = 1500
toy_batch = 1024
unet_width = 16
unet_images = 45000
unet_epochs = 2
batch_size = 32
judged = 10000
sampling_steps = 3

# %%
import copy
import itertools
import math
import time

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from utils.data import load
from utils.diagrams import Box, Maps, diagram
from utils.models.diffusion import Cosine
from utils.plots import PALETTE, caption, images, plane
from utils.results import record, record_table, recorded

generator = torch.Generator().manual_seed(seed)
mnist = load("mnist")
schedule = Cosine()

# %% [markdown]
# ## 1 · The idea
#
# Take an image and add a little noise; then a little more, until nothing of the image is left. This is easy, and whoever knew the way back could start from pure noise and arrive at an image. One *large* step back cannot be known, since every image leads to the same noise. But a **small** step back can be learned: under a little noise one still sees what the image must have been.

# %%
few = 2 * mnist.x_train[torch.randperm(60000, generator=generator)[:4]] - 1
stages = torch.linspace(0, 1, 9)
strip = torch.stack(
    [
        schedule.add_noise(few, torch.randn(few.shape, generator=generator), t)
        for t in stages
    ],
    dim=1,
)  # (4, 9, 1, 28, 28)

# %% jupyter={"source_hidden": true}
images((strip.flatten(0, 1) + 1) / 2, columns=9)
caption(
    "Four digits under more and more noise, from t = 0 at the left to t = 1 at the right. Until about the middle one can still tell what they were."
)

# %% [markdown]
# ## 2 · The mathematics
#
# ### A chain of Gaussians, in one jump
#
# A step of the chain from time $s$ to a later $t$ shrinks $x$ and adds fresh noise: $x_t = a\,x_s + b\,\epsilon$. Shrunk Gaussian noise plus fresh Gaussian noise is Gaussian noise, so all steps from 0 to $t$ together are one jump:
#
# $$x_t = \alpha(t)\, x_0 + \sigma(t)\, \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I).$$
#
# We use $\alpha = \cos(\pi t / 2)$ and $\sigma = \sin(\pi t / 2)$. Then $\alpha^2 + \sigma^2 = 1$, so data of variance 1 keep it. One step of the chain has $a = \alpha(t) / \alpha(s)$ and $b^2 = \sigma(t)^2 - a^2 \sigma(s)^2$: these are the only numbers with which the jumps fit together.
#
# ### The score, and Tweedie's formula
#
# Let $p_t$ be the density of $x_t$. Its **score** is $\nabla \log p_t(x)$, an arrow to where $x_t$ is likelier. Given $x_0$ it is simple: $p(x_t \mid x_0)$ is a Gaussian, so $\nabla \log p(x_t \mid x_0) = -(x_t - \alpha x_0)/\sigma^2 = -\epsilon / \sigma$. And
#
# $$\nabla \log p_t(x) = \frac{\int p(x_0)\, \nabla p(x \mid x_0)\, dx_0}{p_t(x)} = \int p(x_0 \mid x)\, \nabla \log p(x \mid x_0)\, dx_0 = -\frac{\mathbb{E}[\epsilon \mid x_t = x]}{\sigma}.$$
#
# So **the score is the expected noise**, up to sign and scale. Put $\epsilon = (x - \alpha x_0)/\sigma$ into it and solve for $x_0$. This is **Tweedie's formula**:
#
# $$\mathbb{E}[x_0 \mid x_t = x] = \frac{x + \sigma^2\, \nabla \log p_t(x)}{\alpha}.$$
#
# To guess the noise, to guess the clean data and to know the score are one task.
#
# ### Denoising score matching: why regression on single pairs is enough
#
# Nobody can look the score of $p_t$ up. But we can draw a pair $(x_0, \epsilon)$, mix it, and ask a network for $\epsilon$. Each answer is wrong, since many pairs give the same $x_t$. Of all functions $f$, the mean of $\|f(x_t) - \epsilon\|^2$ is least for the conditional mean, and more exactly
#
# $$\mathbb{E}\,\|f(x_t) - \epsilon\|^2 = \mathbb{E}\,\big\|f(x_t) - \mathbb{E}[\epsilon \mid x_t]\big\|^2 + \mathbb{E}\,\big\|\epsilon - \mathbb{E}[\epsilon \mid x_t]\big\|^2,$$
#
# because the mixed term vanishes once we average over $\epsilon$ at fixed $x_t$. The second part does not depend on $f$. So the loss on single pairs has the minimum of a loss against the true $\mathbb{E}[\epsilon \mid x_t]$, which nobody knows. It never gets to 0, and it need not.
#
# ### DDPM's bound, and its simple loss
#
# DDPM goes back by a chain, too: $p_\theta(x_s \mid x_t)$ is a Gaussian for each small step. With the noised data as latent variables this is a VAE of many layers, whose encoder has nothing to learn. Its ELBO compares each step with $q(x_s \mid x_t, x_0)$, the true way back *if $x_0$ were known*. Bayes' rule says that this is Gaussian with a known variance. The model takes the same variance, and its own guess $\hat x_0(x_t)$ in place of $x_0$. Two Gaussians with one variance differ by their means alone, and the Kullback–Leibler divergences sum to
#
# $$-\log p_\theta(x_0) \;\le\; \text{ends} + \tfrac12 \sum_{\text{steps } t \to s} \big(\mathrm{SNR}(s) - \mathrm{SNR}(t)\big)\; \mathbb{E}\,\|x_0 - \hat x_0(x_t)\|^2, \qquad \mathrm{SNR} = \alpha^2 / \sigma^2.$$
#
# It is squared error again, only weighted. In terms of the noise the same error is $\|\epsilon - \hat\epsilon\|^2 = \mathrm{SNR}(t)\,\|x_0 - \hat x_0\|^2$. DDPM's **simple loss** is its mean over $t$ *without* the bound's weights. It cares less about the tiny noise that eyes do not see, and its samples look better.
#
# ### What to ask the network for
#
# At $t = 1$ the noise is $x_t$ itself: to predict it teaches nothing about $x_0$. At $t = 0$ the same is true of $x_0$. So we ask for a mixture that is worth learning everywhere, $u = \alpha\, \epsilon - \sigma\, x_0$. Both parts follow from it without any division: $\hat x_0 = \alpha x_t - \sigma \hat u$ and $\hat\epsilon = \sigma x_t + \alpha \hat u$.
#
# ### Three ways back
#
# - **The chain.** Guess $\hat x_0$ and $\hat\epsilon$, and mix them anew for the earlier time: $x_s = \alpha_s \hat x_0 + \sigma_s \hat\epsilon$. This is **DDIM**. **DDPM** replaces a part $\varsigma$ of the old noise by fresh noise: $x_s = \alpha_s \hat x_0 + \sqrt{\sigma_s^2 - \varsigma^2}\, \hat\epsilon + \varsigma z$. With $\varsigma^2 = b^2 \sigma_s^2 / \sigma_t^2$, the variance of $q(x_s \mid x_t, x_0)$, it is the chain of the bound.
# - **The probability flow.** Make the steps small. DDIM becomes the ordinary differential equation $dx/dt = v(x, t) = \alpha' \hat x_0 + \sigma' \hat\epsilon$. It moves points without chance, and at each time they have the distribution $p_t$.
# - **The reverse SDE.** Add noise of any level λ, and pull it together by the score: $dx = \big(v - \tfrac12 \lambda^2 g^2\, \nabla \log p_t\big)\,dt + \lambda g\, dW$, walked from 1 to 0. Here $g^2 dt$ is the variance $b^2$ of a small step of the forward chain. Noise spreads $p_t$ exactly as much as the score contracts it, so **the marginals are those of the flow for every λ**.

# %% [markdown]
# ## 3 · From scratch: an exact teacher
#
# Add Gaussian noise to a mixture of Gaussians, and it is still one: means $\alpha \mu_k$, variances $\alpha^2 s^2 + \sigma^2$. So for this data the best possible guess is **known in closed form**. It is the teacher that shows us every mistake: our world is a ring of six Gaussians with six different weights.

# %%
weights = torch.arange(1.0, 7.0, dtype=torch.float64) / 21
angles = 0.2 + math.pi / 3 * torch.arange(6, dtype=torch.float64)
means = 1.38 * torch.stack([angles.cos(), angles.sin()], 1)  # (6, 2)
scale = 0.15


def alpha(t):
    return (math.pi / 2 * torch.as_tensor(t, dtype=torch.float64)).cos()


def sigma(t):
    return (math.pi / 2 * torch.as_tensor(t, dtype=torch.float64)).sin()


def teacher(x, t):
    """E[x_0 | x_t] and E[ε | x_t] of the ring, for x_t (B, 2)."""
    variance = (alpha(t) * scale) ** 2 + sigma(t) ** 2
    away = x[:, None] - alpha(t) * means  # (B, 6, 2)
    which = (weights.log() - away.square().sum(2) / (2 * variance)).softmax(1)
    data = means + alpha(t) * scale**2 / variance * away
    noise = sigma(t) / variance * away
    return tuple((which[..., None] * part).sum(1) for part in (data, noise))


def go_back(guess, x, times, fresh=0.0):
    """From noise to data: DDIM, or with fresh = 1 the chain of DDPM."""
    for t, s in itertools.pairwise(times):
        data, noise = guess(x, t)
        b2 = sigma(t) ** 2 - (alpha(t) / alpha(s) * sigma(s)) ** 2
        added = fresh * b2.sqrt() * sigma(s) / sigma(t)
        kept = (sigma(s) ** 2 - added**2).sqrt()
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = alpha(s) * data + kept * noise + added * z
    return x


def draw_ring(n):
    which = torch.multinomial(weights, n, replacement=True, generator=generator)
    return means[which] + scale * torch.randn(
        n, 2, generator=generator, dtype=torch.float64
    )


# %% [markdown]
# And a student who does not know the formula: a small network that sees $x_t$ and $t$, trained on random pairs. Every step is one line of the theory above. An average of the weights over the last steps is kept beside, for a reason that section 8 shows.

# %%
from utils.models.diffusion import TimeMLP


def train(steps, lr=2e-3):
    """A network for u = α ε − σ x_0, its weights averaged over the last steps."""
    torch.manual_seed(seed)
    network = TimeMLP(2, (128, 128, 128))
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99), fused=True)
    for step in range(steps):
        x, noise = draw_ring(toy_batch).float(), torch.randn(toy_batch, 2)
        t = torch.rand(toy_batch)
        a, s = alpha(t).float()[:, None], sigma(t).float()[:, None]
        loss = (network(a * x + s * noise, t) - (a * noise - s * x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        falling = (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = lr * min(1, step / 100) * falling
        optimizer.step()
        memory = min(0.995, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            list(average.parameters()),
            [p.detach() for p in network.parameters()],
            1 - memory,
        )
    return average.double()


def as_guess(network):
    """(x, t) → x̂_0, ε̂, from what the network says."""

    @torch.no_grad()
    def guess(x, t):
        u = network(x, torch.full((len(x),), float(t), dtype=x.dtype))
        return alpha(t) * x - sigma(t) * u, sigma(t) * x + alpha(t) * u

    return guess


started = time.perf_counter()
student = train(toy_steps)
print(f"trained in {time.perf_counter() - started:.0f} s")

steps = torch.linspace(1, 0, 41, dtype=torch.float64)
noise = torch.randn(2000, 2, generator=generator, dtype=torch.float64)
panels = {
    "data": draw_ring(2000),
    "teacher, DDIM": go_back(teacher, noise, steps),
    "teacher, DDPM": go_back(teacher, noise, steps, fresh=1.0),
    "network, DDIM": go_back(as_guess(student), noise, steps),
}

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), sharey=True)
for ax, (name, points) in zip(axes, panels.items(), strict=True):
    ax.plot(*points.T, ".", markersize=1.5)
    ax.set(
        title=name, xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), xticks=[], yticks=[], aspect="equal"
    )
    ax.spines[:].set_visible(True)
caption(
    "Data and three ways to make them out of noise, in 40 steps. All find six groups of the right sizes; between the groups of the network lie a few points."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# **First: Tweedie.** Autograd differentiates the density of the noisy ring; the formula must turn that score into the teacher's guess.

# %%
from utils.models.diffusion import (
    Counted,
    Diffusion,
    LinearBeta,
    NoisyMixture,
    reverse_chain,
    reverse_sde,
    solve,
)

ring = NoisyMixture(weights, means, torch.full((6,), scale, dtype=torch.float64))
tweedie_error = 0.0
for t in (0.05, 0.2, 0.5, 0.8):
    x = ring.sample(500, generator, t).requires_grad_()
    (score,) = torch.autograd.grad(ring.log_prob(x, t).sum(), x)
    by_tweedie = (x + sigma(t) ** 2 * score) / alpha(t)
    tweedie_error = max(tweedie_error, (by_tweedie - teacher(x, t)[0]).abs().max().item())
record("tweedie_error", tweedie_error, kind="exact")
assert tweedie_error < 1e-9

# %% [markdown]
# **Second: DDIM is a solver of first order.** Divide $x_s = \alpha_s \hat x_0 + \sigma_s \hat\epsilon$ by $\alpha_s$. With $y = x / \alpha$ as place and $r = \sigma / \alpha$ as time it reads $y_s = y_t + (r_s - r_t)\,\hat\epsilon$, which is Euler's step for $dy/dr = \hat\epsilon$. So the two must agree in all digits. The library's chain must agree with ours, too.

# %%
inner = torch.linspace(0.95, 0.05, 31, dtype=torch.float64)
x = ring.sample(500, generator, 0.95)
y, r = x / alpha(0.95), sigma(inner) / alpha(inner)
for t, r_t, r_s in zip(inner[:-1], r[:-1], r[1:], strict=True):
    y = y + (r_s - r_t) * teacher(alpha(t) * y, t)[1]
by_ddim = go_back(teacher, x, inner)
ddim_minus_euler = (alpha(inner[-1]) * y - by_ddim).abs().max().item()
record("ddim_minus_euler", ddim_minus_euler, kind="exact")
assert ddim_minus_euler < 1e-12
assert (reverse_chain(ring, x, inner) - by_ddim).abs().max() < 1e-12

# %% [markdown]
# **Third: equal marginals at any level of noise.** We walk back with λ = 0, 1 and 2 and stop at $t = 0.3$ and at 0. As distance to true draws of $p_t$ we take the mean distance of sorted coordinates, over 16 directions (the sliced Wasserstein distance). Two sets of true draws have a distance, too: that is the floor.

# %%
directions = torch.stack(
    [torch.tensor([math.cos(a), math.sin(a)]) for a in torch.arange(16) * math.pi / 16]
)


def sliced(x: Tensor, y: Tensor) -> float:
    """Mean distance between the sorted projections of two sets of equal size."""
    sides = ((points @ directions.T.double()).sort(0).values for points in (x, y))
    return torch.sub(*sides).abs().mean().item()


many = 4000
start = ring.sample(many, generator, 0.98)
marginals = {}
for last in (0.3, 0.0):
    truth = ring.sample(many, generator, last)
    marginals["truth again", last] = sliced(ring.sample(many, generator, last), truth)
    for level in (0.0, 1.0, 2.0):
        x = reverse_sde(
            ring, start, schedule.times(150, 0.98, last), level=level, generator=generator
        )
        marginals[f"λ = {level:g}", last] = sliced(x, truth)
    wrong = reverse_chain(ring, start, schedule.times(150, 0.98, last)) * 1.1
    marginals["a tenth too wide", last] = sliced(wrong, truth)
print("distance to p_t        at t = 0.3   at t = 0")
for name in dict.fromkeys(name for name, _ in marginals):
    print(f"{name:20s} {marginals[name, 0.3]:12.3f} {marginals[name, 0.0]:10.3f}")
for last in (0.3, 0.0):
    assert max(marginals[f"λ = {level}", last] for level in (0, 1, 2)) < 0.06

# %% [markdown]
# **Fourth: the network against the teacher, at each noise level.** The equation of section 2 says more than where the minimum is: the network's loss on pairs, minus the teacher's loss on the same pairs, is the mean squared distance between the two.

# %%
learned = Diffusion(student, (2,))
grid_t = torch.linspace(0.03, 0.97, 16)
losses, floors, gaps = [], [], []
for t in grid_t.tolist():
    x = ring.sample(8000, generator)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    mixed = schedule.add_noise(x, noise, t)
    target = alpha(t) * noise - sigma(t) * x
    data, guess = teacher(mixed, t)
    best = alpha(t) * guess - sigma(t) * data
    with torch.no_grad():
        said = learned.predict(mixed, t)
    losses.append((said - target).square().mean().item())
    floors.append((best - target).square().mean().item())
    gaps.append((said - best).square().mean().item())
losses, floors, gaps = map(torch.tensor, (losses, floors, gaps))
print(f"largest |loss − floor − gap|: {(losses - floors - gaps).abs().max():.4f}")
assert (losses - floors - gaps).abs().max() < 0.02
assert (losses > floors - 0.005).all()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(8.6, 2.7))
axes[0].plot(grid_t, losses, label="network")
axes[0].plot(grid_t, floors, "--", label="teacher: no function can do better")
axes[0].set(xlabel="t", ylabel="loss on pairs", ylim=(0, None))
axes[0].legend()
axes[1].plot(grid_t, gaps.sqrt(), color=PALETTE[2])
axes[1].set(xlabel="t", ylabel="rms distance to the teacher", ylim=(0, None))
caption(
    "Left: the loss stays far above 0 even for the perfect teacher. Right: what counts, the network's own error, is largest at small t, near the data."
)

# %% [markdown]
# A loss that does not fall any more says little: most of it is the floor. The right panel can only be drawn where the truth is known.

# %% [markdown]
# ## 5 · Exact likelihood, and how it goes wrong
#
# The probability flow moves points without chance and back again, so it is a flow as in chapter 10, only continuous. In a time $dt$ the volume around a point grows by the factor $1 + \operatorname{div} v\, dt$, and the density falls by it:
#
# $$\frac{d}{dt} \log p_t(x_t) = -\operatorname{div} v(x_t, t), \qquad \log p_0(x_0) = \log \mathcal{N}(x_1; 0, I) + \int_0^1 \operatorname{div} v(x_t, t)\, dt.$$
#
# Nothing is approximated but the integral. With the teacher's velocity any error is **the solver's alone**. Euler's method goes straight on for a step; Heun's averages two velocities; the classic Runge–Kutta method (RK4) asks four times. Halve the steps, and the error falls by a factor of 2, 4 and 16. The cost is counted in evaluations of the field.

# %%
from utils.models.diffusion import EVALUATIONS, flow_log_prob

points = ring.sample(1000, generator)
truth = ring.log_prob(points)
entropy = -truth.mean().item()  # of these points
counts = [8, 16, 32, 64, 128, 256]
curves, claimed = {}, {}
for method, each in EVALUATIONS.items():
    rows = []
    for count in counts:
        velocity = Counted(ring.velocity)
        rows.append(
            flow_log_prob(velocity, points, schedule.times(count // each, 0, 1), method)
        )
        assert velocity.calls == count
    curves[method] = [(row - truth).abs().mean().item() for row in rows]
    claimed[method] = [-row.mean().item() for row in rows]


def slope(method: str) -> float:
    """Between 64 and 256 evaluations, on axes with logarithms."""
    return math.log2(curves[method][-1] / curves[method][-3]) / 2


with record_table():
    for method in EVALUATIONS:
        record(f"slope_{method}", slope(method), kind="exact")
    record("ode_rk4_error", curves["rk4"][counts.index(128)], unit="nats", kind="exact")

# %% [markdown]
# Chapter 2 has said it: no model can have a mean negative log-likelihood below the entropy of the data. A model fitted to the *same* points could by chance; ours has never seen these. Look at what Euler claims.

# %%
below = entropy - claimed["euler"][counts.index(16)]
record("ode_euler16_below_entropy", below, unit="nats", kind="exact")
assert below > 0.1

steps_of_chain = [64, 128, 256, 512, 1024]
last = 0.01  # the chain ends here, and a narrow Gaussian around its guess does the rest


def ddpm_bound(steps: int) -> float:
    """Mean of the bound on −log p(x) for the chain with the teacher's guess, one draw of noise a step."""
    times, snr = schedule.times(steps, 1.0, last).tolist(), schedule.signal_to_noise
    total = 0.5 * (alpha(1.0) * points).square().sum(1)  # KL at t = 1: next to nothing
    for t, s in [*itertools.pairwise(times), (last, None)]:
        noise = torch.randn(points.shape, generator=generator, dtype=points.dtype)
        guess, _ = teacher(alpha(t) * points + sigma(t) * noise, t)
        weight = snr(t) if s is None else snr(s) - snr(t)
        total = total + 0.5 * weight * (points - guess).square().sum(1)
    return (total + math.log(2 * math.pi / snr(last))).mean().item()


bounds = [ddpm_bound(steps) for steps in steps_of_chain]
assert min(bounds) > entropy

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
for (method, error), mark in zip(curves.items(), "os^", strict=True):
    axes[0].loglog(counts, error, marker=mark, label=method)
    axes[1].semilogx(counts, claimed[method], marker=mark, label=method)
axes[0].set(xlabel="evaluations", ylabel="mean |error| of log p(x), nats")
axes[0].legend()
axes[1].semilogx(steps_of_chain, bounds, "d-", color=PALETTE[4], label="DDPM's bound")
axes[1].axhspan(0, entropy, color="0.9")
axes[1].text(90, entropy - 0.35, "below the entropy: impossible", fontsize=8)
axes[1].set(
    xlabel="evaluations",
    ylabel="claimed −log p(x), nats",
    ylim=(entropy - 0.5, entropy + 2.5),
)
axes[1].legend()
axes[0].set_xticks(counts, map(str, counts))
axes[1].set_xticks([8, 32, 128, 512], ["8", "32", "128", "512"])
for ax in axes:
    ax.minorticks_off()
caption(
    "Left: error of the likelihood against evaluations, both axes logarithmic; the lines get the slopes 1, 2 and 4. Right: what is claimed. Coarse solvers claim to beat the entropy; the bound of the chain is never too good, only too bad."
)

# %% [markdown]
# **A coarse solver makes a likelihood too good to be true**, and nothing in a real task would tell you. The bound of the chain errs to the honest side. So whoever reports a likelihood by a differential equation has to show that twice the steps do not change it.
#
# ### The network's own density
#
# Now with the network's velocity. Three questions. How many nats does it lose: $\mathrm{KL}(p\,\|\,p_\theta)$, the mean of $\log p - \log p_\theta$? Does its density integrate to 1? And does a solver of a known library agree, with steps that it chooses itself?

# %%
flow2d_nll = -learned.log_prob(points, steps=16)
flow2d_kl = (flow2d_nll + truth).mean().item()
spread = 1.96 * (flow2d_nll + truth).std().item() / len(points) ** 0.5
line = torch.linspace(-2.5, 2.5, 81, dtype=torch.float64)
lattice = torch.cartesian_prod(line, line)
density = learned.log_prob(lattice, steps=12).exp()
integral = density.sum().item() * (line[1] - line[0]).item() ** 2
with record_table():
    record(
        "flow2d_kl",
        flow2d_kl,
        unit="nats",
        kind="estimate",
        low=flow2d_kl - spread,
        high=flow2d_kl + spread,
    )
    record("flow2d_integral", integral, kind="exact")
assert abs(integral - 1) < 0.01

# %%
from scipy.integrate import solve_ivp

from utils.models.diffusion import divergence


def slope_of_state(t, state):
    """What SciPy asks for: the derivative of all positions and of the integral, as one row of numbers."""
    x = torch.from_numpy(state.reshape(-1, 3)[:, :2].copy())
    v, trace = divergence(learned.velocity, x, t)
    return torch.cat([v, trace[:, None]], 1).numpy().ravel()


some = points[:50]
state = torch.cat([some, torch.zeros(50, 1, dtype=torch.float64)], 1).numpy().ravel()
solution = solve_ivp(slope_of_state, (0, 1), state, method="RK45", rtol=1e-7, atol=1e-7)
end = torch.from_numpy(solution.y[:, -1].reshape(-1, 3).copy())
theirs = end[:, 2] - 0.5 * end[:, :2].square().sum(1) - math.log(2 * math.pi)
difference = (theirs + flow2d_nll[:50]).abs().max().item()
print(f"SciPy asked {solution.nfev} times, ours {4 * 16} times")
record("difference_to_scipy", difference, unit="nats", kind="score")
assert difference < 0.02

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(6.4, 3))
plane(axes[0], ring.log_prob, (-2.2, -2.2), (2.2, 2.2))
axes[0].set(title="truth", xticks=[], yticks=[])
axes[1].contourf(
    line,
    line,
    density.view(81, 81).T,
    levels=torch.linspace(0.02, 1, 10) * density.max(),
    cmap="Blues",
)
axes[1].set(
    title="the network's density",
    xticks=[],
    yticks=[],
    aspect="equal",
    xlim=(-2.2, 2.2),
    ylim=(-2.2, 2.2),
)
caption(
    "The true density, and that of the network's flow. The network leaves thin bridges between groups and blurs their edges."
)

# %% [markdown]
# ### Many dimensions: Hutchinson's estimate (*optional*)
#
# The divergence needs one gradient for each of $D$ coordinates. Hutchinson's trick needs one: for a vector $z$ of random signs, $\mathbb{E}[z^\top J z] = \sum_{ij} J_{ij}\, \mathbb{E}[z_i z_j] = \operatorname{tr} J$. The mean is right; the price is variance. For a symmetric $J$ the variance of one draw is twice the sum of the squares *off* the diagonal.

# %%
times = schedule.times(32, 0, 1)
exact = flow_log_prob(learned.velocity, points[:200], times, "heun")
spreads = {}
for draws in (1, 4, 16):
    guess = flow_log_prob(
        learned.velocity, points[:200], times, "heun", n_samples=draws, generator=generator
    )
    spreads[draws] = (guess - exact).std().item()
    print(
        f"{draws:2d} draws: standard deviation of one point's log p {spreads[draws]:.3f} nats"
    )
record("hutchinson_sd_1", spreads[1], unit="nats", kind="score")
assert spreads[16] < spreads[4] < spreads[1]

# %% [markdown]
# ## 6 · At scale: digits
#
# ### A U-Net
#
# The network for images must give an answer for each pixel, and know both the details and the whole. The **U-Net** goes down to a coarse grid, where a convolution sees the whole digit, and up again; a **skip connection** hands the details over. The time, and here also the label of the digit, scale and shift the channels in each block. Ours begins with squares of 2 × 2 pixels as channels, which saves three quarters of the work. Each label is hidden in a tenth of the examples; chapter 16 shows what for.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 3.6))
w = unet_width
boxes = {
    "x": Maps(0, 1, (1, 28, 28), "$x_t$"),
    "first": Maps(1.2, 1, (w, 14, 14), "block", "network"),
    "down": Maps(2.4, 0, (2 * w, 7, 7), "three blocks", "network"),
    "after": Maps(3.6, 1, (w, 14, 14), "block", "network"),
    "u": Maps(4.8, 1, (1, 28, 28), "$\\hat u$"),
    "t": Box(2.4, -1, "time and label: scale and shift", "latent"),
}
arrows = [
    ("x", "first", "2 × 2 pixels\nas channels"),
    ("first", "after", "skip connection"),
    ("first", "down", "stride 2"),
    ("down", "after", "up"),
    ("after", "u", "channels\nas pixels"),
    ("t", "down"),
    ("t", "first"),
    ("t", "after"),
]
diagram(ax, boxes, arrows)
caption(
    "The U-Net: down to 7 × 7 places and up again, with a skip connection for the details. Time and label act on every block."
)

# %%
from utils.models.diffusion import UNet

kept_weights = {}  # half way, for section 8


def keep_weights(training) -> None:
    """The last weights and the averaged ones, after half of the passes over the data."""
    if training.epoch == (unet_epochs + 1) // 2:
        kept_weights["last"] = copy.deepcopy(model.state_dict())
        with training.averaged():
            kept_weights["averaged"] = copy.deepcopy(model.state_dict())


torch.manual_seed(seed)
model = Diffusion(UNet(1, unet_width, n_classes=10), (1, 28, 28), n_classes=10)
started = time.perf_counter()
model.fit(
    2 * mnist.x_train[:unet_images] - 1,  # from −1 to 1: of variance about 1
    mnist.y_train[:unet_images],
    epochs=unet_epochs,
    focus=1.0,
    batch_size=batch_size,
    lr=6e-3,
    warmup=100,
    clip=1.0,
    ema=0.998,
    seed=seed,
    callbacks=[keep_weights],
).cpu()
print(
    f"{sum(p.numel() for p in model.parameters()):,} parameters, {time.perf_counter() - started:.0f} s"
)

# %% [markdown]
# Watch it make five digits with DDPM, in 40 steps. Above each stage stands what the network believes to be the end of it.

# %%
labels = torch.arange(10)
path = []
times = schedule.times(40)
start = torch.randn(5, 1, 28, 28, generator=generator)
with torch.no_grad():
    reverse_chain(model, start, times, labels[:5], eta=1.0, generator=generator, path=path)
    shown = [0, 8, 16, 22, 28, 32, 36, 39]
    seen = [start if i == 0 else path[i - 1] for i in shown]
    believed = [
        model.denoise(x, times[i].item(), labels[:5])
        for x, i in zip(seen, shown, strict=True)
    ]
film = torch.stack([torch.stack([b[k] for b in (*believed, path[-1])]) for k in range(3)])
noisy = torch.stack([torch.stack([x[k] for x in (*seen, path[-1])]) for k in range(3)])
film = torch.stack([film, noisy], 1).flatten(0, 2)  # rows: guess and state in turn

# %% jupyter={"source_hidden": true}
images((film + 1) / 2, columns=9, rows=["guess $\\hat x_0$", "$x_t$"] * 3)
caption(
    "Three digits come out of noise, from left to right. The guesses begin as a blur, the mean of all such digits, and decide themselves in the middle."
)

# %% [markdown]
# ### Judged like the GAN of chapter 8
#
# The same judge: the Fréchet distance in the features of the course's classifier, 10,000 samples against the 10,000 test images, labels in equal parts. The floor is the distance of real training images.

# %%
from utils.metrics import frechet_distance, neighbors
from utils.models.classifiers import digit_classifier

classifier = digit_classifier()
test_features = classifier.features(mnist.x_test)


def pixels(x: Tensor) -> Tensor:
    """Samples as gray values from 0 to 1."""
    return ((x + 1) / 2).clamp(0, 1)


y = torch.arange(judged) % 10
started = time.perf_counter()
samples = pixels(model.sample(judged, generator, y, steps=sampling_steps, method="heun"))
print(f"{judged:,} samples in {time.perf_counter() - started:.0f} s")
features = classifier.features(samples)
real = classifier.features(
    mnist.x_train[torch.randperm(60000, generator=generator)[:judged]]
)
near = neighbors(test_features[:2000], features[:2000])
obeyed = (classifier.head(features).argmax(1) == y).double().mean().item()
pixel_frechet = frechet_distance(test_features, features)
with record_table():
    record(f"pixel_frechet_{judged}", pixel_frechet, kind="score")
    record(f"real_frechet_{judged}", frechet_distance(test_features, real), kind="score")
    record("labels_obeyed", obeyed, unit="of the labels", kind="score")
    record("precision", near.precision, kind="score")
    record("recall", near.recall, kind="score")
    record("coverage", near.coverage, kind="score")

# %% jupyter={"source_hidden": true} tags=["picture"]
images(samples[:60], columns=10)
caption("Sixty samples of the diffusion model, one column a label, none chosen.")

# %%
chapter8 = recorded("08")
rivals = {
    "mixture of 100 tables (ch. 4)": chapter8["mixture_frechet"]["value"],
    "VAE (ch. 6)": chapter8["vae_frechet"]["value"],
    "GAN (ch. 8)": chapter8["gan_frechet"]["value"],
    "GAN with labels (ch. 8)": chapter8["conditional_frechet"]["value"],
    "diffusion with labels": pixel_frechet,
    "real images": frechet_distance(test_features, real),
}
for name, value in rivals.items():
    print(f"{name:32s} {value:7.1f}")
assert pixel_frechet < rivals["GAN (ch. 8)"] < rivals["VAE (ch. 6)"]
assert 1 / 3 < pixel_frechet / rivals["GAN with labels (ch. 8)"] < 3

# %% [markdown]
# Each number comes from 10,000 samples and this judge. Only models with labels are a fair comparison: ours, too, was given balanced labels. **With labels, the GAN of chapter 8 is still ahead of diffusion after a training of this length**, and it makes a sample in one pass. What diffusion offers here is another thing: a plain regression that did not need to be steadied, and one network for all the tasks of section 7.
#
# ### Quality against evaluations
#
# A sample costs as many passes of the network as the sampler asks for. Is a better solver worth its price? Three samplers start from the same noise; 1,000 samples are judged, and with so few the floor is higher. Heun's method comes twice: all the way to $t = 0$, and with a last step of Euler's, as `model.sample` does it. The difference is a single question to the network, at the very end of the way. There is no noise left to be seen there, and the times of training hardly ever came so near.


# %%
def judge(x: Tensor) -> float:
    return frechet_distance(test_features, classifier.features(pixels(x)))


def all_heun(steps: int) -> Tensor:
    """Heun's method down to t = 0, which asks the network there."""
    x = torch.randn(judged_few, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    times = schedule.times(steps)
    with torch.no_grad():
        return solve(lambda x, t: model.velocity(x, t, y[:judged_few]), x, times, "heun")


judged_few = 1000
same_noise = dict(generator=torch.Generator(), y=y[:judged_few], chunk=judged_few)
plans = [("ddim", (2, 4, 8), 1), ("euler", (2, 4, 8), 1), ("heun", (2, 3, 5), 2)]
quality = {}
for method, all_steps, each in plans:
    for count in all_steps:
        same_noise["generator"].manual_seed(seed)
        drawn = model.sample(judged_few, steps=count, method=method, **same_noise)
        quality[method, each * count - (each - 1)] = judge(drawn)
quality["heun to t = 0", 8] = judge(all_heun(4))
floor_few = frechet_distance(test_features, real[:judged_few])
for (method, cost), distance in quality.items():
    print(f"{method:14s} {cost:2d} evaluations: Fréchet distance {distance:6.1f}")
print(f"real images {floor_few:.1f}")
assert quality["heun", 9] < quality["heun to t = 0", 8]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.4, 3))
for name, mark in zip(dict.fromkeys(name for name, _ in quality), "os^v", strict=True):
    own = {cost: value for (other, cost), value in quality.items() if other == name}
    ax.plot(list(own), list(own.values()), marker=mark, label=name)
ax.axhline(floor_few, color="0.5", linestyle="--", label="real images")
ax.set(xlabel="evaluations a sample", ylabel="Fréchet distance", ylim=(0, None))
ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
caption(
    "Distance to the test images against evaluations, 1,000 samples. Heun's method with a last step of "
    "Euler's needs the fewest; asked at t = 0 as well, it loses all that it gained."
)

# %% [markdown]
# ## 7 · The same network for other tasks
#
# ### Denoising
#
# Given $x_t$ for a known $t$, one evaluation says $\mathbb{E}[x_0 \mid x_t]$, the best guess in squared error. To go *back along the chain* from there is another thing: it draws from $p(x_0 \mid x_t)$. A draw looks sharper and is farther from the truth. For the true posterior its squared error is exactly **twice** that of the mean, since the draw and the truth are then two independent draws. The simple baseline is the best *linear* denoiser, from the covariance of the training images (Wiener's filter).

# %%
t = 0.6
clean = 2 * mnist.x_test[torch.randperm(10000, generator=generator)[:200]] - 1
digits = torch.full((200,), 10)  # "label not given"
mixed = schedule.add_noise(clean, torch.randn(clean.shape, generator=generator), t)
with torch.no_grad():
    mean = model.denoise(mixed, t)
    drawn = reverse_chain(
        model, mixed, schedule.times(20, t), digits, eta=1.0, generator=generator
    )
train_rows = (2 * mnist.x_train[:20000] - 1).flatten(1).double()
center, covariance = train_rows.mean(0), torch.cov(train_rows.T)
gain = (
    alpha(t)
    * covariance
    @ torch.linalg.inv(
        alpha(t) ** 2 * covariance + sigma(t) ** 2 * torch.eye(784, dtype=torch.float64)
    )
)
linear = (center + (mixed.flatten(1).double() - alpha(t) * center) @ gain.T).view_as(clean)
errors = {
    "noisy_over_alpha": mixed / alpha(t),
    "wiener": linear,
    "network_mean": mean,
    "network_draw": drawn,
}
errors = {name: (x - clean).square().mean().item() for name, x in errors.items()}
with record_table("Mean squared error a pixel"):
    for name, value in errors.items():
        record(f"mse_{name}", value, kind="score")
    record("draw_over_mean", errors["network_draw"] / errors["network_mean"], kind="score")
assert errors["network_mean"] < errors["wiener"] < errors["noisy_over_alpha"]

# %% [markdown]
# The squared error of a draw is that of the mean plus the spread of the draws around it. So the last number, minus 1, is that spread as a share of what it should be. Below 2: our draws vary too little.
#
# ### Inpainting
#
# Half of the image is known, the other half is to be drawn. At each step back, put the known half, noised to the right level, in its place. That alone fits badly: the unknown half was made before it saw the new noise of the known one. So go one step forward again and repeat (RePaint, Lugmayr and others 2022). It remains an approximation: unlike chapter 12's completion it does not draw from the exact conditional distribution.


# %%
@torch.no_grad()
def inpaint(known: Tensor, mask: Tensor, steps: int, rounds: int) -> Tensor:
    """Draw what mask leaves open, the label unknown."""
    x, none = torch.randn(known.shape, generator=generator), torch.full((len(known),), 10)
    for t, s in itertools.pairwise(schedule.times(steps).tolist()):
        for again in range(rounds):
            x = reverse_chain(
                model, x, torch.tensor([t, s]), none, eta=1.0, generator=generator
            )
            noised = schedule.add_noise(known, torch.randn(x.shape, generator=generator), s)
            x = torch.where(mask, noised, x)
            if again < rounds - 1 and t < 1:  # the forward step from s to t
                a = alpha(t) / alpha(s)
                b = (sigma(t) ** 2 - a**2 * sigma(s) ** 2).sqrt()
                x = a * x + b * torch.randn(x.shape, generator=generator)
    return x


ten = torch.stack([(mnist.y_test == digit).nonzero()[7, 0] for digit in range(10)])
known = 2 * mnist.x_test[ten] - 1
mask = torch.zeros(28, 28, dtype=torch.bool)
mask[14:] = True  # the lower half is given: chapter 12 could not complete the upper one
filled = [inpaint(known, mask, 20, 4) for _ in range(3)]
assert all((x[:, :, 14:] - known[:, :, 14:]).abs().max() < 1e-5 for x in filled)

# %% jupyter={"source_hidden": true}
shown = [clean[:10], mixed[:10], linear[:10], mean[:10], drawn[:10]]
images(
    (torch.cat(shown) + 1) / 2,
    columns=10,
    rows=["image", "noisy", "linear", "mean", "draw"],
)
caption(
    "Denoising. The linear filter leaves clouds; the network's mean is clean and soft where it is in doubt; a draw is sharp everywhere, and sometimes another digit."
)

# %% jupyter={"source_hidden": true}
covered = known.masked_fill(~mask, torch.nan)
images(
    (torch.cat([known, covered, *filled]) + 1) / 2,
    columns=10,
    rows=["image", "given", "draw 1", "draw 2", "draw 3"],
)
caption(
    "Inpainting upper halves. Most strokes go on across the border; where the lower half fits several digits, the draws differ."
)

# %% [markdown]
# ## 8 · Where it fails
#
# Four failures, each made by one switch. The first three are measured on the ring with the exact teacher, so that no network is to blame.
#
# - **Wrong direction of time.** Give the likelihood the times from noise to data. It runs without complaint.
# - **A schedule that never reaches noise.** DDPM lets β rise from 0.1 to 20 (`LinearBeta`), and α(1) is almost 0. Let it rise to 1 only: the last $x_t$ still shows the data, but sampling starts from pure noise all the same.
# - **Too few steps.** DDIM with 1 to 64 steps. A point counts as lost when it is more than four standard deviations from every group.
# - **No averaged weights.** In the middle of the digits' training, when the learning rate was at half its height, we kept the last weights and their running average.


# %%
def kl_of(log_prob: Tensor) -> float:
    """KL(truth, model): the mean of log p − log q over true points."""
    return (truth - log_prob).mean().item()


def lost(x: Tensor) -> float:
    """The share of points that are more than four standard deviations from every group."""
    away = (x[:, None] - means).square().sum(2).amin(1).sqrt()
    return (away > 4 * scale).double().mean().item()


right_way = kl_of(flow_log_prob(ring.velocity, points, schedule.times(32, 0, 1)))
wrong_way = kl_of(flow_log_prob(ring.velocity, points, schedule.times(32, 1, 0)))
reach = {}
for top in (20.0, 1.0):
    noised = NoisyMixture(weights, means, ring.scales, LinearBeta(last=top))
    reach[top] = kl_of(
        flow_log_prob(noised.velocity, points, noised.schedule.times(48, 0, 1))
    )
noise = torch.randn(2000, 2, generator=generator, dtype=torch.float64)
by_steps = {
    count: reverse_chain(ring, noise, schedule.times(count)) for count in (1, 2, 4, 8, 64)
}
with record_table("KL(truth, model) in nats, and shares of lost points"):
    record("kl_right_way", right_way, unit="nats", kind="score")
    record("kl_wrong_way", wrong_way, unit="nats", kind="score")
    record("kl_beta_to_20", reach[20.0], unit="nats", kind="score")
    record("kl_beta_to_1", reach[1.0], unit="nats", kind="score")
    for count, x in by_steps.items():
        record(f"lost_after_{count}_steps", lost(x), kind="score")
assert wrong_way > 1 > 100 * abs(right_way)
assert reach[1.0] > 0.03 > abs(reach[20.0])
assert lost(by_steps[2]) > 0.3 > 0.01 > lost(by_steps[64])

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 5, figsize=(9, 2.1), sharey=True)
for ax, (count, x) in zip(axes, by_steps.items(), strict=True):
    ax.plot(*x.T, ".", markersize=1.5)
    ax.set(title=f"{count} step{'s' * (count > 1)}", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(True)
caption(
    "DDIM with the exact teacher. One step goes to the mean of all data, where there are none; a few steps leave points between the groups."
)

# %%
half_way = {}
for name, weights_then in kept_weights.items():
    model_then = copy.deepcopy(model)
    model_then.load_state_dict(weights_then)
    same_noise["generator"].manual_seed(seed)
    half_way[name] = judge(
        model_then.sample(judged_few, steps=3, method="heun", **same_noise)
    )
with record_table("Half way through the training, 1,000 samples"):
    for name, value in half_way.items():
        record(f"frechet_{name}_weights", value, kind="score")
assert half_way["averaged"] < half_way["last"]

# %% [markdown]
# The average costs nothing and is far better, for the last weights jump about as long as the learning rate is high. At the end of the training the rate is 0, and the two are almost the same.
#
# ### What others published, and which check would have caught it
#
# These are not careless people. They had no world in which the answer is known.
#
# | what was reported | the check of this chapter |
# |---|---|
# | a 1-D density that does not integrate to 1; the thread was closed without a cause (facebookresearch/flow_matching, issue 55) | the integral over a grid, section 5 |
# | a likelihood integrated from noise to data: 31 bits/dim where below 8 is possible (openai/consistency_models_cifar10, issue 12) | a known density; the wrong direction, above |
# | images without dequantization noise: negative bits/dim (yang-song/score_sde, issue 24) | the entropy as a line that nothing may cross; chapter 10 has the noise |
# | an entropy term forgotten; the authors took their number back (Kim-Dongjun/Soft-Truncation, issue 2) | the bound with an exact teacher stays above the entropy |
# | "a hack": an offset of 7 bits that readers ask about (yang-song/score_sde_pytorch, issue 51) | units and kind beside each number; rescaling is a change of variables (chapter 2) |

# %% [markdown]
# ## 9 · What this family is good and bad at

# %%
from utils.families import families

families("15")

# %% [markdown]
# ## 10 · Remember
#
# 1. One regression on noisy pairs gives the mean of the clean data, the noise, the score and the velocity: four names for one answer.
# 2. The loss does not go to 0. What counts is the distance to the best answer, and only a known world shows it.
# 3. DDPM, DDIM, the flow and the SDE are ways to walk with one network. They have the same marginals and different costs.
# 4. The likelihood is exact up to the solver, and a coarse solver claims too much. The bound of the chain errs to the honest side.
# 5. Check the direction of time, the end of the schedule, the number of steps; average the weights.
#
# **Exercises**: `course start 15`, then open `work/15_diffusion/exercises.ipynb`. You write each part of this chapter yourself and are told at once what is wrong.
#
# **Further reading**
# - J. Sohl-Dickstein, E. Weiss, N. Maheswaranathan, S. Ganguli: *Deep unsupervised learning using nonequilibrium thermodynamics*, 2015, arXiv:1503.03585.
# - J. Ho, A. Jain, P. Abbeel: *Denoising diffusion probabilistic models*, 2020, arXiv:2006.11239.
# - J. Song, C. Meng, S. Ermon: *Denoising diffusion implicit models*, 2020, arXiv:2010.02502.
# - Y. Song, J. Sohl-Dickstein, D. Kingma, A. Kumar, S. Ermon, B. Poole: *Score-based generative modeling through stochastic differential equations*, 2020, arXiv:2011.13456.
# - D. Kingma, T. Salimans, B. Poole, J. Ho: *Variational diffusion models*, 2021, arXiv:2107.00630: the bound as a sum over signal to noise.
# - T. Salimans, J. Ho: *Progressive distillation for fast sampling of diffusion models*, 2022, arXiv:2202.00512: what to predict.
# - T. Karras, M. Aittala, T. Aila, S. Laine: *Elucidating the design space of diffusion-based generative models*, 2022, arXiv:2206.00364.
# - A. Lugmayr and others: *RePaint: inpainting using denoising diffusion probabilistic models*, 2022, arXiv:2201.09865.
