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
# # 5 · Boltzmann machines
#
# **Give every picture an energy, and let the likely ones sink.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 120 minutes without the *optional* parts | a minute and a half, two cores | chapters 1 to 4 | write an energy and sample from it; store and recall pictures; derive and test the gradient of a restricted Boltzmann machine; estimate a log Z that nobody can compute; recommend films |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# So far every model was a recipe: draw this, then that. A Boltzmann machine has an **energy**, a number for every state of the world, and one rule: low energy is likely. That makes it easy to say what belongs together, and hard to say how likely anything is. Wherever possible we enumerate the truth and judge each shortcut against it.

# %% tags=["parameters"]
seed = 5
grid_size = 64
stored_digits = 8
tiny_steps = 2000
mnist_hidden = 500
mnist_epochs = 10
ais_chains = 100
ais_steps = 1000
film_hidden = 20

# %%
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from utils.data import load
from utils.diagrams import Box, diagram
from utils.plots import PALETTE, caption, images
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)


def rand(*shape: int) -> Tensor:
    """Uniform numbers from the lesson's own generator."""
    return torch.rand(shape, generator=generator, dtype=torch.float64)


# %% [markdown]
# ## 1 · Energy: a magnet
#
# A sheet of iron is a grid of tiny magnets, **spins** $s_i$ that point up ($+1$) or down ($-1$). Neighbors like to agree. The **Ising model** says it with an energy, a sum over all pairs of neighbors:
#
# $$E(s) = -\sum_{i \sim j} s_i s_j, \qquad p(s) = \frac{e^{-E(s)/T}}{Z}, \qquad Z = \sum_{s} e^{-E(s)/T}.$$
#
# $T$ is the temperature: at a high one, energy hardly matters. $Z$, the **partition function**, makes the probabilities sum to one. For a grid of 64 × 64 it is a sum over $2^{4096}$ states, which nobody will ever add up.
#
# And yet we can sample, because $Z$ cancels in every **conditional** probability. Given its neighbors, one spin has only two states, and
#
# $$p(s_i = +1 \mid \text{rest}) = \frac{e^{f_i/T}}{e^{f_i/T} + e^{-f_i/T}} = \sigma(2 f_i / T), \qquad f_i = \sum_{j \sim i} s_j,$$
#
# where $\sigma(a) = 1/(1 + e^{-a})$ is the logistic function. To redraw one spin after the other from its conditional is **Gibbs sampling**. Spins of the same color of a chessboard are not neighbors, so half the grid can be redrawn at once.


# %%
def sweep(spins: Tensor, temperature: Tensor) -> Tensor:
    """Redraw every spin of (B, L, L) once: first the black squares of the board, then the white ones."""
    size = spins.shape[-1]
    board = (torch.arange(size)[:, None] + torch.arange(size)) % 2
    for color in (0, 1):
        field = sum(spins.roll(shift, axis) for shift in (-1, 1) for axis in (-1, -2))
        up = rand(*spins.shape) < torch.sigmoid(2 * field / temperature[:, None, None])
        spins = torch.where(board == color, 2.0 * up - 1, spins)
    return spins


temperatures = torch.tensor(
    [1.2, 1.6, 2.0, 2.2, 2.27, 2.35, 2.5, 3.0, 4.0], dtype=torch.float64
)
spins = torch.ones(len(temperatures), grid_size, grid_size, dtype=torch.float64)
magnetization = torch.zeros(len(temperatures), dtype=torch.float64)
burn_in, kept = 200, 300
for step in range(burn_in + kept):
    spins = sweep(spins, temperatures)
    if step >= burn_in:
        magnetization += spins.mean((1, 2)).abs() / kept

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), width_ratios=(1, 1, 1, 1.5))
for ax, index in zip(axes, (2, 5, 8), strict=False):
    images(
        spins[index][None] / 2 + 0.5,
        columns=1,
        axes=ax,
        title=f"T = {temperatures[index]:.2f}",
    )
line = torch.linspace(1.0, 2.2691, 200, dtype=torch.float64)
axes[3].plot(
    line,
    (1 - torch.sinh(2 / line) ** -4) ** (1 / 8),
    color="0.5",
    label="Onsager's formula",
)
axes[3].plot(temperatures, magnetization, "o", label="our sampler")
axes[3].set(xlabel="temperature T", ylabel="|mean spin|")
axes[3].legend(fontsize=8)
caption(
    "Left: at a low temperature nearly all spins agree, near T = 2.27 there are islands of every size, and at a high temperature spins hardly depend on each other. Right: how the mean spin falls to 0 in between."
)

# %% [markdown]
# For an infinite grid the mean spin is known exactly, the gray curve (Onsager; proved by Yang in 1952). Our sampler must lie on it where the grid is large enough to pass for infinite, and a 4 × 4 grid must agree with the sum over all its 65,536 states.

# %%
onsager = (1 - torch.sinh(2 / temperatures[:3]) ** -4) ** (1 / 8)
assert (magnetization[:3] - onsager).abs().max() < 0.02


def all_states(n: int) -> Tensor:
    """All 2ⁿ rows of n zeros and ones, (2ⁿ, n)."""
    return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).double()


def ising_energy(spins: Tensor) -> Tensor:
    """−Σ over neighbors of s_i s_j on a grid without border: (B, L, L) -> (B,)."""
    return -(spins * spins.roll(1, 1) + spins * spins.roll(1, 2)).sum((1, 2))


energies = ising_energy((2 * all_states(16) - 1).reshape(-1, 4, 4))
exact = ((-energies / 3).softmax(0) * energies).sum()  # at T = 3
chains, at_3 = (
    torch.ones(4000, 4, 4, dtype=torch.float64),
    torch.full((4000,), 3.0, dtype=torch.float64),
)
for _ in range(100):
    chains = sweep(chains, at_3)
sampled = ising_energy(chains)
error = sampled.std() / math.sqrt(len(sampled))
print(
    f"mean energy at T = 3: all states {exact:.3f}, Gibbs {sampled.mean():.3f} ± {error:.3f}"
)
assert (sampled.mean() - exact).abs() < 5 * error

# %% [markdown]
# ## 2 · Memory: a Hopfield network
#
# Now let every pair of units have its own **weight**, $w_{ij} = w_{ji}$, chosen so that states we care about have low energy:
#
# $$E(s) = -\tfrac12 \sum_{i \ne j} w_{ij}\, s_i s_j, \qquad w_{ij} = \frac1N \sum_{p} x_i^{(p)} x_j^{(p)}.$$
#
# This is **Hebb's rule**: units that are equal in the patterns $x^{(p)}$ get a positive weight. The **diagonal is left out**, $w_{ii} = 0$. A unit's weight to itself would add $-\tfrac12 w_{ii} s_i^2 = -\tfrac12 w_{ii}$ to the energy, the same for every state, so it stores nothing. But it would do harm in the rule below: each unit would also listen to itself, and stay as it is even where that raises the energy.
#
#  To recall, start anywhere and let each unit in turn point where its neighbors push it, $s_i \leftarrow \mathrm{sign} \sum_{j \ne i} w_{ij} s_j$. The terms of the energy with $s_i$ are $-s_i \sum_{j \ne i} w_{ij} s_j$, so no step raises it, and the state rolls downhill until it rests: if all is well in a stored pattern, a memory found by a piece of itself (Hopfield, 1982).
#
# Hebb's rule has two enemies: patterns that are many, and patterns that are alike. Against the second, choose $W$ as the **projection** onto the space of the patterns, $W = X^{+} X$ ($X^{+}$: the pseudo-inverse); then $W x = x$ for each stored $x$, however much they resemble one another. The diagonal is set to zero here, too, and a stored pattern still stays at rest: unit $i$ then gets the push $(1 - w_{ii})\, x_i$ in place of $x_i$, and $w_{ii} < 1$ on the diagonal of a projection, unless the unit alone could be stored as a pattern.


# %%
def hebb(patterns: Tensor) -> Tensor:
    weights = patterns.T @ patterns / patterns.shape[1]  # (N, N)
    return weights.fill_diagonal_(0)  # a unit must not listen to itself


def projection(patterns: Tensor) -> Tensor:
    return (torch.linalg.pinv(patterns) @ patterns).fill_diagonal_(0)


def hopfield_energy(state: Tensor, weights: Tensor) -> Tensor:
    return -0.5 * ((state @ weights) * state).sum(-1)


def recall(state: Tensor, weights: Tensor, sweeps: int = 10) -> Tensor:
    """Let every unit of each state (B, N) follow its field, one after the other, until nothing changes."""
    state = state.clone()
    for _ in range(sweeps):
        before = state.clone()
        for i in torch.randperm(state.shape[1], generator=generator):
            state[:, i] = torch.where(state @ weights[:, i] >= 0, 1.0, -1.0)
        if torch.equal(state, before):
            break
    return state


gray = load("mnist").flat()
mnist = gray.binarized(generator)
first = [int((mnist.y_test == digit).nonzero()[0]) for digit in range(stored_digits)]
patterns = 2 * (gray.x_test[first] > 0.5).double() - 1  # (P, 784), −1 and +1
wiped = torch.arange(784) >= 392  # the lower half
damaged = torch.where(wiped, -1.0, patterns)
networks = {rule.__name__: rule(patterns) for rule in (hebb, projection)}
recalled = {name: recall(damaged, weights) for name, weights in networks.items()}
with record_table():
    for name, found in recalled.items():
        restored = (found == patterns).double().mean().item()
        record(f"hopfield_restored_{name}", restored, unit="share of pixels", kind="score")
        before, after = (
            hopfield_energy(state, networks[name]) for state in (damaged, found)
        )
        assert (after <= before + 1e-9).all()

rows = torch.cat([patterns, damaged, recalled["hebb"], recalled["projection"]])
assert (recalled["projection"] == patterns).double().mean() > 0.92

# %% jupyter={"source_hidden": true}
images(
    rows.reshape(-1, 28, 28) / 2 + 0.5,
    columns=stored_digits,
    rows=["stored", "given", "Hebb's rule", "projection"],
)
caption(
    "From the top: what was stored; what the network is given; what it makes of it with Hebb's rule, and with the projection."
)

# %% [markdown]
# Eight digits are alike: most of their pixels are white. Hebb's rule blends them into one; the projection brings back all or nearly all of each.
#
# ### How many patterns fit? (*optional*)
#
# How **many** patterns fit, if they are as unlike as coin flips? We store random patterns, start each recall in the pattern itself, and see how much of it is left. Theory says that beyond $0.138\,N$ patterns the memory breaks down at once (Amit, Gutfreund and Sompolinsky, 1985).

# %%
units = 400
loads = np.array([0.04, 0.08, 0.10, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.22])
kept_overlap = []
for load_ in loads:
    stored = 2.0 * (rand(round(load_ * units), units) < 0.5) - 1
    kept_overlap.append((recall(stored, hebb(stored)) * stored).mean().item())
below = int(np.argmax(np.array(kept_overlap) < 0.9))
record(
    "hopfield_capacity",
    float(np.mean(loads[below - 1 : below + 1])),
    unit="patterns per unit",
    kind="score",
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(loads, kept_overlap, marker="o")
ax.axvline(0.138, color="0.6", linestyle="--")
ax.set(xlabel="stored patterns per unit", ylabel="overlap after recall", ylim=(0, 1.05))
caption(
    "Up to some load nearly nothing of the patterns is lost, then memory fails. Dashed: where it breaks down all at once in an infinitely large network."
)

# %% [markdown]
# ## 3 · The Boltzmann machine: a memory that learns
#
# A Hopfield network stores what it is told. A **Boltzmann machine** learns a *distribution* (Ackley, Hinton and Sejnowski, 1985). From here on units are 0 or 1, as pixels are, and $T = 1$:
#
# $$E(v) = -\sum_{i<j} w_{ij}\, v_i v_j - \sum_i b_i v_i, \qquad p(v) = \frac{e^{-E(v)}}{Z}.$$
#
# How should $w_{ij}$ move to make the data more likely? Differentiate $\log p(v) = -E(v) - \log Z$. The first term gives $v_i v_j$. The second gives
#
# $$\frac{\partial \log Z}{\partial w_{ij}} = \frac1Z \sum_v e^{-E(v)}\, v_i v_j = \langle v_i v_j \rangle_{\text{model}},$$
#
# so that, averaged over the data,
#
# $$\frac{\partial}{\partial w_{ij}} \big\langle \log p(v) \big\rangle_{\text{data}} = \langle v_i v_j \rangle_{\text{data}} - \langle v_i v_j \rangle_{\text{model}}.$$
#
# The **learning rule** in words: raise the weight between units that are on together in the data more often than in the model's own samples, often called *dreams* or fantasies. When dreams and data agree, learning ends.
#
# We test it on ten units, whose 1,024 states can be counted. A teacher, a machine with random weights, draws 5,000 rows; a pupil learns from them.

# %%
states = all_states(10)  # (1024, 10)
pairs = torch.triu(torch.ones(10, 10, dtype=torch.float64), diagonal=1)


def machine_log_prob(weights: Tensor, bias: Tensor) -> Tensor:
    """log p of each of the 1,024 states; only the weights above the diagonal count."""
    return (((states @ (weights * pairs)) * states).sum(1) + states @ bias).log_softmax(0)


def moments(probs: Tensor) -> tuple[Tensor, Tensor]:
    """⟨v_i v_j⟩ for i < j, and ⟨v_i⟩, under a distribution over the states."""
    return (states.T * probs @ states) * pairs, probs @ states


teacher = 0.7 * torch.randn(10, 10, generator=generator, dtype=torch.float64) * pairs
teacher_bias = torch.randn(10, generator=generator, dtype=torch.float64)
truth = machine_log_prob(teacher, teacher_bias)
rows = torch.multinomial(truth.exp(), 5000, replacement=True, generator=generator)
data = torch.bincount(rows, minlength=1024).double() / len(
    rows
)  # how often each state was drawn

# Checked against a known answer: the rule is the gradient that autograd finds.
weights = torch.randn(10, 10, generator=generator, dtype=torch.float64).requires_grad_()
bias = torch.zeros(10, dtype=torch.float64, requires_grad=True)
log_prob = machine_log_prob(weights, bias)
found = torch.autograd.grad((data * log_prob).sum(), (weights, bias))
for gradient, of_data, of_model in zip(
    found, moments(data), moments(log_prob.detach().exp()), strict=True
):
    assert torch.allclose(gradient, of_data - of_model, atol=1e-12)
print("the learning rule equals autograd's gradient of the exact log-likelihood")


# %% [markdown]
# The pupil learns twice: once the model's moments come from enumeration, once from **Gibbs sampling**, as they must in a machine of any size: 500 chains, ten sweeps before each step, one unit at a time, because every unit hangs on every other.


# %%
def learn(
    model_moments, steps: int = 400, rate: float = 1.0
) -> tuple[Tensor, Tensor, list[float]]:
    """Follow the learning rule; also return KL(data ‖ model) before each step."""
    weights, bias, divergence = (
        torch.zeros(10, 10, dtype=torch.float64),
        torch.zeros(10, dtype=torch.float64),
        [],
    )
    for step in range(steps):
        log_prob = machine_log_prob(weights, bias)
        divergence.append((torch.xlogy(data, data) - data * log_prob).sum().item())
        for parameter, of_data, of_model in zip(
            (weights, bias), moments(data), model_moments(weights, bias), strict=True
        ):
            parameter += rate * (1 - step / steps) * (of_data - of_model)
    return weights, bias, divergence


chains = (rand(500, 10) < 0.5).double()


def by_gibbs(weights: Tensor, bias: Tensor, sweeps: int = 10) -> tuple[Tensor, Tensor]:
    symmetric = (weights + weights.T) * (pairs + pairs.T)
    for _ in range(sweeps):
        for i in range(10):
            chains[:, i] = (
                rand(500) < torch.sigmoid(chains @ symmetric[:, i] + bias[i])
            ).double()
    return chains.T @ chains / 500 * pairs, chains.mean(0)


exact_weights, _, exact_history = learn(
    lambda weights, bias: moments(machine_log_prob(weights, bias).exp())
)
_, _, gibbs_history = learn(by_gibbs)
with record_table():
    record("boltzmann_kl_exact", exact_history[-1], unit="nats", kind="exact")
    record("boltzmann_kl_gibbs", gibbs_history[-1], unit="nats", kind="exact")
assert gibbs_history[-1] < 0.2 * gibbs_history[0]

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.semilogy(exact_history, label="moments by enumeration")
left.semilogy(gibbs_history, label="moments by Gibbs sampling")
left.set(xlabel="step", ylabel="KL(data ‖ model) in nats")
left.legend()
chosen = pairs.bool()
right.plot(teacher[chosen], exact_weights[chosen], ".")
right.plot([-2, 2], [-2, 2], color="0.7", zorder=0)
right.set(xlabel="the teacher's weight", ylabel="the pupil's weight", aspect="equal")
caption(
    "Left: moments from sampling lead to the same divergence as exact ones, with more noise on the way. Right: the pupil found the teacher's weights, up to the noise of 5,000 rows."
)

# %% [markdown]
# It works, and it is slow. Enumeration doubles with every unit: the 784 pixels of a digit have $2^{784}$ states. Gibbs sampling, **one unit at a time**, should forget its start before every step of learning. That is why Boltzmann machines stayed small.

# %% [markdown]
# ## 4 · The restricted Boltzmann machine
#
# The machine of section 3 has a second limit: it knows **pairs** only. Its learning rule looks at $\langle v_i \rangle$ and $\langle v_i v_j \rangle$, so two data sets that agree in these are the same to it. Take three bits of which an even number is on. Each bit is on half of the time and each pair a quarter of the time, exactly as for three fair coins, so a machine with pairs alone learns three fair coins. It needs a unit that *nobody observes* and that all three bits are tied to: a **hidden unit**. Summed out, it leaves a term in the energy that depends on all three bits at once.
#
# Hidden units make the sums longer, so forbid edges. Split the units into **visible** ones $v$ (the data) and **hidden** ones $h$ (features nobody gave us), with weights only *between* the two layers:
#
# $$E(v, h) = -b^\top v - c^\top h - v^\top W h.$$
#
# Given $v$, the hidden units are independent, and the other way round. A whole layer is drawn **at once**:
#
# $$p(h_j = 1 \mid v) = \sigma(c_j + v^\top W_{\cdot j}), \qquad p(v_i = 1 \mid h) = \sigma(b_i + W_{i \cdot}\, h).$$
#
# And the hidden layer can be summed out by hand, because the sum over all $2^H$ states is a product of sums over one unit each:
#
# $$p(v) = \frac{e^{-F(v)}}{Z}, \qquad F(v) = -b^\top v - \sum_j \log\!\big(1 + e^{\,c_j + v^\top W_{\cdot j}}\big).$$
#
# $F$ is called the **free energy**; $\log(1 + e^a)$ is the *softplus*. Only $Z$ stays out of reach, and for a small layer not even that.
#
# ### The gradient and its two phases
#
# Learning raises $\log p(v) = -F(v) - \log Z$ for the data. Differentiate both terms. The derivative of the softplus is the logistic function, so
#
# $$-\frac{\partial F(v)}{\partial W_{ij}} = v_i\, \sigma(c_j + v^\top W_{\cdot j}) = v_i\, p(h_j = 1 \mid v).$$
#
# The second term is, as in section 3, a mean under the model. Since $Z = \sum_v e^{-F(v)}$,
#
# $$\frac{\partial \log Z}{\partial W_{ij}} = \frac1Z \sum_v e^{-F(v)} \Big( {-\frac{\partial F(v)}{\partial W_{ij}}} \Big) = \sum_v p(v)\, v_i\, p(h_j = 1 \mid v).$$
#
# Averaged over the data, the gradient is a difference of two averages of the same thing:
#
# $$\frac{\partial \langle \log p(v) \rangle_\text{data}}{\partial W_{ij}} = \underbrace{\big\langle v_i\, p(h_j = 1 \mid v) \big\rangle_{v \,\sim\, \text{data}}}_{\text{positive phase}} - \underbrace{\big\langle v_i\, p(h_j = 1 \mid v) \big\rangle_{v \,\sim\, \text{model}}}_{\text{negative phase}}.$$
#
# For $b_i$ the thing averaged is $v_i$, and for $c_j$ it is $p(h_j = 1 \mid v)$. In the **positive phase** the visible units are held at the data, whose energy is lowered; that is exact and cheap. In the **negative phase** the machine runs freely, and the energy of what it produces is raised, which needs samples of the model from a chain. Without it the energy would fall everywhere.

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 2.2))
figure.get_layout_engine().set(wspace=0.1)
hidden = {f"h{j}": Box(j + 0.5, 1, f"$h_{j}$", "latent", circle=True) for j in range(1, 4)}
visible = {f"v{i}": Box(i, 0, f"$v_{i}$", circle=True) for i in range(1, 5)}
diagram(left, hidden | visible, lines=[(v, h) for v in visible for h in hidden])
chain = {
    "start": Box(0, 0, "$v$"),
    "h": Box(0.5, 1, "$h$", "latent"),
    "step 1": Box(1, 0, "$v'$"),
    "h'": Box(1.5, 1, "$h'$", "latent"),
    "step 2": Box(2, 0, "$v''$"),
    "more": Box(2.5, 1, "…", "latent"),
}
diagram(
    right,
    chain,
    [
        ("start", "h", "$p(h|v)$"),
        ("h", "step 1", "$p(v|h)$"),
        ("step 1", "h'"),
        ("h'", "step 2"),
        ("step 2", "more"),
    ],
)
caption(
    "Left: the graph of a restricted Boltzmann machine; no edge joins two units of one layer. "
    "Right: its Gibbs chain; a whole layer is drawn at once, then the other."
)


# %%
def free_energy(v, W, b, c):
    """F(v): (B, D) -> (B,)."""
    return -(v @ b) - F.softplus(c + v @ W).sum(1)


def gibbs_step(v, W, b, c):
    """One step of the chain, v → h → v, each layer at once."""
    h = (rand(len(v), len(c)) < torch.sigmoid(c + v @ W)).double()
    return (rand(len(v), len(b)) < torch.sigmoid(b + h @ W.T)).double()


def log_partition(W, b, c):
    """log Z by summing over all hidden states; the visible layer is summed out by hand."""
    h = all_states(len(c))
    return (h @ c + F.softplus(b + h @ W.T).sum(1)).logsumexp(0)


def statistics(v, W, b, c):
    """What the gradient of −F needs: ⟨v h⟩, ⟨v⟩, ⟨h⟩ with h at its mean given v."""
    h = torch.sigmoid(c + v @ W)
    return v.T @ h / len(v), v.mean(0), h.mean(0)


def train(v, parameters, dream, steps=tiny_steps, rate=0.5):
    """Ascend ⟨stats⟩_data − ⟨stats⟩_model, where `dream` gives the model's side; the parameters at every 50th step."""
    path = []
    for step in range(steps + 1):
        if step % 50 == 0:
            path.append(parameters)
        gradient = zip(statistics(v, *parameters), dream(v, *parameters), strict=True)
        parameters = [
            p + rate * (1 - step / steps) * (plus - minus)
            for p, (plus, minus) in zip(parameters, gradient, strict=True)
        ]
    return path


# %% [markdown]
# `train` follows this gradient; the negative phase is left open as `dream`, because the next section compares ways to get it.
#
# The data: **bars and stripes** on a grid of 4 × 4. Each row is on or off, or each column is: 30 pictures, all equally likely. A perfect model gives each probability 1/30, a negative log-likelihood of $\log 30$ nats. With ten hidden units $Z$ has 1,024 terms.


# %%
def bars_and_stripes(size: int) -> Tensor:
    codes = all_states(size)
    bars = codes[:, :, None].expand(-1, size, size)
    return torch.cat([bars, bars.mT]).flatten(1).unique(dim=0)


def small_weights(visible: int, hidden: int) -> list[Tensor]:
    W = 0.1 * torch.randn(visible, hidden, generator=generator, dtype=torch.float64)
    return [
        W,
        torch.zeros(visible, dtype=torch.float64),
        torch.zeros(hidden, dtype=torch.float64),
    ]


pictures = bars_and_stripes(4)  # (30, 16)
start = small_weights(16, 10)

# %% jupyter={"source_hidden": true}
images(pictures.reshape(-1, 4, 4), columns=15, frames=True)
caption("All thirty bars and stripes: the whole world of the next two sections.")

# %% [markdown]
# ### Checks against known answers
#
# On a random machine whose states can *all* be listed: the conditionals and the free energy are those of the joint distribution; the probabilities sum to one; and the gradient, data minus model, is what autograd says of the exact log-likelihood.

# %%
W, b, c = (
    torch.randn(shape, generator=generator, dtype=torch.float64)
    for shape in ((6, 4), (6,), (4,))
)
v_all, h_all = all_states(6), all_states(4)
log_joint = (
    v_all @ W @ h_all.T + (v_all @ b)[:, None] + h_all @ c - log_partition(W, b, c)
)  # log p(v, h), (64, 16)
assert abs(log_joint.exp().sum() - 1) < 1e-12
log_p = -free_energy(v_all, W, b, c) - log_partition(W, b, c)
assert torch.allclose(log_joint.logsumexp(1), log_p)
assert torch.allclose(
    (log_joint - log_p[:, None]).exp() @ h_all, torch.sigmoid(c + v_all @ W)
)


def exact_dream(v, W, b, c):
    """The model's own moments, by summing over the hidden states: nothing is sampled."""
    h = all_states(len(c))
    probs = (h @ c + F.softplus(b + h @ W.T).sum(1)).softmax(0)  # p(h)
    v_mean = torch.sigmoid(b + h @ W.T)  # ⟨v⟩ given h
    return (v_mean.T * probs) @ h, probs @ v_mean, probs @ h


leaves = [p.clone().requires_grad_() for p in start]
exact_log_likelihood = -free_energy(pictures, *leaves).mean() - log_partition(*leaves)
for autograd, plus, minus in zip(
    torch.autograd.grad(exact_log_likelihood, leaves),
    statistics(pictures, *start),
    exact_dream(pictures, *start),
    strict=True,
):
    assert torch.allclose(autograd, plus - minus, atol=1e-12)
print("joint, free energy, conditionals and gradient agree with enumeration and autograd")

# %% [markdown]
# And the three bits with an even number on? Three fair coins are the best that a machine without hidden units can do, $\log 8$ nats; the truth has $\log 4$. Four hidden units learn the difference. (They begin with larger weights: as far as pairs can say, no weights at all *are* the optimum, and the way off it is flat.)

# %%
three = all_states(3)
even = three[three.sum(1) % 2 == 0]  # (4, 3)
assert torch.equal(even.T @ even / 4, three.T @ three / 8), "their pairs tell them apart"
W, b, c = small_weights(3, 4)
W, b, c = train(even, [10 * W, b, c], exact_dream, steps=2 * tiny_steps)[-1]
even_nll = (free_energy(even, W, b, c).mean() + log_partition(W, b, c)).item()
with record_table():
    record("even_nll_pairs", math.log(8), unit="nats", kind="exact")
    record("even_nll_hidden", even_nll, unit="nats", kind="exact")
assert even_nll < math.log(8) - 0.1

# %% [markdown]
# ## 5 · Contrastive divergence, and what it gets wrong
#
# A larger machine must be sampled, and a chain takes long to forget its start. **Contrastive divergence**, CD-$k$ (Hinton, 2002), does not wait: start the chain *at the data*, take $k$ steps, often one, and use what you have. **Persistent** CD (PCD; Tieleman, 2008) lets its chains go on where the last step of learning stopped. The weights move little in between, so the chains stay near the model's distribution.
#
# Neither is the gradient. How wrong are they? First the four ways of dreaming, side by side.


# %%
def cd(k):
    def dream(v, *parameters):
        v = v.repeat(10, 1)  # ten chains from each picture
        for _ in range(k):
            v = gibbs_step(v, *parameters)
        return statistics(v, *parameters)

    return dream


def pcd(chains=300):
    state = [(rand(chains, 16) < 0.5).double()]

    def dream(v, *parameters):
        state[0] = gibbs_step(state[0], *parameters)
        return statistics(state[0], *parameters)

    return dream


dreams = {"exact": exact_dream, "cd1": cd(1), "cd10": cd(10), "pcd": pcd()}
paths = {name: train(pictures, start, dream) for name, dream in dreams.items()}


def tiny_nll(parameters) -> float:
    return (free_energy(pictures, *parameters).mean() + log_partition(*parameters)).item()


histories = {name: [tiny_nll(step) for step in path] for name, path in paths.items()}
with record_table():
    for name, history in histories.items():
        record(f"tiny_nll_{name}", history[-1], unit="nats", kind="exact")
assert (
    tiny_nll(paths["cd1"][-1]) > tiny_nll(paths["cd10"][-1]) > tiny_nll(paths["exact"][-1])
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.5, 3))
for name, history in histories.items():
    ax.plot(np.arange(len(history)) * 50, history, label=name)
ax.axhline(math.log(30), color="0.6", linestyle="--", label="log 30")
ax.set(xlabel="step", ylabel="exact NLL in nats", ylim=(3, 8))
ax.legend(ncols=3)
caption(
    "The same machine from the same start, with four ways to get the negative phase. CD-1 stops far from the truth; PCD is unsteady while the steps are large and comes close as they shrink."
)

# %% [markdown]
# **The bias, measured.** On a grid of 3 × 3 there are only 512 pictures: we carry the *probability of every picture* through the chain, $p(v') = \sum_h p(v' \mid h) \sum_v p(h \mid v)\, p(v)$, and know what CD-$k$ does on average. We take its cosine with the true gradient at three moments of a fit with the exact gradient: 1 is the right direction, 0 is none.


# %%
def log_bernoulli(states, logits):
    """log probability of each row of states, (S, n), under each row of logits, (B, n): (B, S)."""
    return F.logsigmoid(logits) @ states.T + F.logsigmoid(-logits) @ (1 - states).T


small = bars_and_stripes(3)  # (14, 9)
v_all, h_all = all_states(9), all_states(8)
in_data = (v_all[:, None] == small).all(2).any(1).double() / len(
    small
)  # p_data of all 512 pictures
small_path = train(small, small_weights(9, 8), exact_dream)

lengths = [1, 3, 10, 30, 100]
all_cosines = {}  # steps of learning → cosine for each length
with record_table():
    for moment in (2, 10, 40):
        W, b, c = small_path[moment]
        to_hidden = log_bernoulli(h_all, c + v_all @ W).exp()  # p(h | v), (512, 256)
        to_visible = log_bernoulli(v_all, b + h_all @ W.T).exp()  # p(v | h), (256, 512)
        h_mean = torch.sigmoid(c + v_all @ W)

        def flat_statistics(p, h_mean=h_mean):
            return torch.cat([((v_all.T * p) @ h_mean).flatten(), p @ v_all, p @ h_mean])

        dreamt = torch.cat([part.flatten() for part in exact_dream(small, W, b, c)])
        truth, p, cosines = flat_statistics(in_data) - dreamt, in_data, []
        for k in range(1, lengths[-1] + 1):
            p = p @ to_hidden @ to_visible
            if k in lengths:
                step = flat_statistics(in_data) - flat_statistics(p)
                cosines.append(F.cosine_similarity(step, truth, dim=0).item())
        all_cosines[50 * moment] = cosines
        record(f"cd1_cosine_step_{50 * moment}", cosines[0], kind="exact")
        assert cosines[-1] > cosines[0]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 2.8))
for steps, cosines in all_cosines.items():
    ax.semilogx(lengths, cosines, marker="o", label=f"after {steps} steps of learning")
ax.set(xlabel="k", ylabel="cosine to the gradient", ylim=(0, 1.05))
ax.legend(loc="lower right")
caption(
    "At first even CD-1 points the right way. As weights grow, the chain forgets its start more slowly, and short chains mislead."
)

# %% [markdown]
# **Reconstruction error is no measure.** Many programs report how well $v \to h \to v$ returns to its start. During CD-1 it falls to the end, while the likelihood, which we want, is best about halfway and then gets a little worse. The reconstruction error gives no sign of that small loss, nor of the much larger distance to what the exact gradient reached. A chain that cannot leave its start reconstructs perfectly.
#
# Another cheap measure is the **pseudo-likelihood** (Besag, 1975): how well each pixel is predicted from all others, $\sum_i \log p(v_i \mid v_{-i})$. $Z$ cancels there, too: with $v'$ the picture with pixel $i$ flipped, $p(v_i \mid v_{-i}) = \sigma(F(v') - F(v))$.


# %%
def reconstruction_error(parameters) -> float:
    W, b, c = parameters
    return (
        (torch.sigmoid(b + torch.sigmoid(c + pictures @ W) @ W.T) - pictures)
        .square()
        .sum(1)
        .mean()
        .item()
    )


def pseudo_log_likelihood(v, parameters) -> Tensor:
    """Σ_i log p(v_i | all other pixels): (B, D) -> (B,)."""
    total = torch.zeros(len(v), dtype=v.dtype)
    for i in range(v.shape[1]):
        flipped = v.clone()
        flipped[:, i] = 1 - v[:, i]
        total += F.logsigmoid(
            free_energy(flipped, *parameters) - free_energy(v, *parameters)
        )
    return total


measures = {
    "reconstruction error (squared)": reconstruction_error,
    "− pseudo-log-likelihood (nats)": lambda parameters: (
        -pseudo_log_likelihood(pictures, parameters).mean().item()
    ),
    "− log-likelihood (nats, exact)": tiny_nll,
}
curves = {
    name: [measure(parameters) for parameters in paths["cd1"]]
    for name, measure in measures.items()
}
best = {name: int(np.argmin(curve)) for name, curve in curves.items()}
exact_curve = curves["− log-likelihood (nats, exact)"]
print(
    f"exact NLL: best {min(exact_curve):.3f} after {50 * int(np.argmin(exact_curve))} steps, {exact_curve[-1]:.3f} at the end; with the exact gradient {histories['exact'][-1]:.3f}"
)
for cheap in ("reconstruction error (squared)", "− pseudo-log-likelihood (nats)"):
    assert best[cheap] > best["− log-likelihood (nats, exact)"]

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.7))
for ax, (name, curve) in zip(axes, curves.items(), strict=True):
    late = np.arange(10, len(curve))  # from step 500 on: before, all three fall steeply
    ax.plot(late * 50, np.array(curve)[late])
    ax.plot(50 * best[name], min(curve), "o", color=PALETTE[4])
    ax.set(xlabel="step of CD-1", title=name)
    ax.title.set_fontsize(9)
caption(
    "One fit from step 500 on, three measures; the dot is each one's best. The two cheap ones look no further than a step from the data and improve to the end. The likelihood does not."
)

# %% [markdown]
# ## 6 · A number for Z: annealed importance sampling
#
# To judge a large machine we need $\log Z$. **Annealed importance sampling** (AIS; Neal, 2001; for this model Salakhutdinov and Murray, 2008) walks to it from a machine whose $Z$ is known: all weights 0, so independent pixels, with biases $b^0$. In between lies a ladder of machines, $0 = \beta_0 < \dots < \beta_T = 1$:
#
# $$p_\beta(v) \propto f_\beta(v) = \exp\!\Big( (1-\beta)\, v^\top b^0 + \beta\, v^\top b + \sum_j \mathrm{softplus}\big(\beta\,(c_j + v^\top W_{\cdot j})\big) \Big).$$
#
# A chain climbs the ladder. On each rung it first notes by how much the next rung likes it better, $\log f_{\beta_{t+1}}(v) - \log f_{\beta_t}(v)$, then takes a Gibbs step there. The sum of the notes is a log weight, and the **mean of the weights is $Z / Z_0$** on average, however badly the chains mix. Mixing only decides how much the weights scatter. So the scatter tells how far to trust the result, and has to be shown.


# %%
def ais(parameters, base, betas, chains):
    """log weights of annealed importance sampling, (chains,); the log of their mean estimates log Z."""
    W, b, c = parameters

    def log_f(v, beta):
        return v @ ((1 - beta) * base + beta * b) + F.softplus(beta * (c + v @ W)).sum(1)

    v = (rand(chains, len(b)) < torch.sigmoid(base)).double()
    total = F.softplus(base).sum() + len(c) * math.log(
        2
    )  # log Z₀: the 2ᴴ states of idle hidden units, too
    for low, high in itertools.pairwise(betas):
        total = total + log_f(v, high) - log_f(v, low)
        h = (rand(chains, len(c)) < torch.sigmoid(high * (c + v @ W))).double()
        v = (
            rand(chains, len(b)) < torch.sigmoid((1 - high) * base + high * (b + h @ W.T))
        ).double()
    return total


def estimate_with_interval(log_weights):
    """log mean weight, with the mean ± 3 standard errors carried through the logarithm."""
    top = log_weights.max()
    weights = (log_weights - top).exp()
    spread = 3 * weights.std() / math.sqrt(len(weights))
    low = (weights.mean() - spread).clamp_min(1e-300).log()
    return [
        (value + top).item()
        for value in (weights.mean().log(), low, (weights.mean() + spread).log())
    ]


tiny = paths["exact"][-1]
exact_log_z = log_partition(*tiny).item()
weights_of = {}  # number of rungs → log weights
for rungs in (10, 100, 1000):
    log_weights = ais(
        tiny,
        torch.zeros(16, dtype=torch.float64),
        torch.linspace(0, 1, rungs + 1, dtype=torch.float64),
        500,
    )
    value, low, high = estimate_with_interval(log_weights)
    print(
        f"{rungs:>4} rungs: log Z = {value:.3f}, between {low:.3f} and {high:.3f}; exact {exact_log_z:.3f}"
    )
    weights_of[rungs] = log_weights
assert abs(value - exact_log_z) < 0.2

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.8))
for rungs, log_weights in weights_of.items():
    ax.hist(log_weights.numpy(), bins=40, alpha=0.7, density=True, label=f"{rungs} rungs")
ax.axvline(exact_log_z, color="black", linestyle="--", label="exact log Z")
ax.set(xlabel="log weight of a chain", yticks=[])
ax.legend()
caption(
    "The more rungs, the closer each chain's weight is to the truth. With few rungs the mean depends on a few chains with large weights."
)

# %% [markdown]
# ## 7 · The library's machine
#
# [`utils/models/boltzmann/rbm.py`](../../utils/models/boltzmann/rbm.py) does what we did, for machines of any size, in batches, with a rate that falls to 0. The cell below has one pass in readable form. The library's own [`partial_fit`](../../utils/models/boltzmann/contrastive_divergence.py) does the same steps faster: it stacks the data on the chains, so that both share the matrix products, and reuses memory.
#
# Both draw random numbers, and not the same ones, so we compare means: one step with 30,000 rows and as many chains must move the parameters equally, up to the noise of so many draws.

# %%
from utils.models.boltzmann import RBM


def pcd_pass(v, parameters, chains, batch, rate):
    """One pass of PCD over the rows of `v`; `chains` are hidden states, (batch, H), and go on."""
    W, b, c = parameters
    batches = v[torch.randperm(len(v), generator=generator)].split(batch)
    for at, rows in enumerate(batches):
        fantasy = (rand(batch, len(b)) < torch.sigmoid(b + chains @ W.T)).double()
        chains = (rand(batch, len(c)) < torch.sigmoid(c + fantasy @ W)).double()
        step = rate * (1 - at / len(batches))
        phases = zip(statistics(rows, W, b, c), statistics(fantasy, W, b, c), strict=True)
        W, b, c = (
            old + step * (plus - minus)
            for old, (plus, minus) in zip((W, b, c), phases, strict=True)
        )
    return [W, b, c], chains


before, many = paths["exact"][4], pictures.repeat(1000, 1)  # after 200 steps; (30000, 16)
idle = (rand(len(many), 10) < 0.5).double()
readable, _ = pcd_pass(many, before, idle, batch=len(many), rate=1.0)
fast = RBM.from_parameters(
    *before, learning_rate=1.0, batch_size=len(many), epochs=1, generator=generator
)
fast.partial_fit(many)
found = fast.weights, fast.visible_bias, fast.hidden_bias
for old, ours_, theirs in zip(before, readable, found, strict=True):
    moved, apart = (ours_ - old).abs().max(), (ours_ - theirs).abs().max()
    print(f"largest step {moved:.3f}, largest difference of the two {apart:.3f}")
    assert apart < 0.025 and moved > 4 * apart

W, b, c = tiny
library = RBM.from_parameters(W, b, c)
assert torch.allclose(library.free_energy(pictures), free_energy(pictures, *tiny))
assert abs(library.log_partition().value - exact_log_z) < 1e-9
for theirs, plus, minus in zip(
    library.gradient(pictures),
    statistics(pictures, *tiny),
    exact_dream(pictures, *tiny),
    strict=True,
):
    assert torch.allclose(theirs, plus - minus, atol=1e-9)
print("free energy, log Z and gradient agree with ours from scratch")

# %% [markdown]
# **Beside scikit-learn.** `BernoulliRBM` trains with PCD, too. Same data (8 × 8 digits, binarized), same size (20 hidden units, so that $Z$ can be enumerated), same rate, batches and number of passes. The simple baseline: every pixel on its own.

# %%
from sklearn.neural_network import BernoulliRBM

from utils.models.mixtures import BernoulliMixture

digits = load("digits").binarized().flat()
train_digits, test_digits = digits.x_train.double(), digits.x_test.double()


def small_rbm(epochs: int) -> RBM:
    options = {"learning_rate": 0.05, "batch_size": 20, "dtype": torch.float64}
    return RBM(20, epochs=epochs, generator=generator, **options).fit(train_digits)


ours, twice = small_rbm(40), small_rbm(80)
theirs = BernoulliRBM(20, learning_rate=0.05, batch_size=20, n_iter=40, random_state=seed)
theirs.fit(train_digits.numpy())
parameters = (theirs.components_.T, theirs.intercept_visible_, theirs.intercept_hidden_)
theirs = RBM.from_parameters(*map(torch.as_tensor, parameters))
pixels = BernoulliMixture(1, alpha=1.0, max_iter=1).fit(train_digits)  # one table of pixels
exact = ours.log_partition()
digits_log_prob = {
    "pixels": pixels.log_prob(test_digits),
    "scikit_learn": theirs.log_prob(test_digits),
    "rbm": ours.log_prob(test_digits, exact),
    "rbm_twice": twice.log_prob(test_digits),
}
digits_nll = {name: -values.mean().item() for name, values in digits_log_prob.items()}
with record_table():
    for name, value in digits_nll.items():
        record(f"digits_nll_{name}", value, unit="nats/image", kind="exact")
assert digits_nll["rbm_twice"] < digits_nll["scikit_learn"] < digits_nll["rbm"]

# %% [markdown]
# Both are clearly better than independent pixels, and with as many passes **scikit-learn's machine is the better one**. scikit-learn keeps its rate; ours falls to 0, so that the same passes move the weights half as far. The falling rate calms the noise of the chains at the end, and costs passes: with twice as many, in the last line of the table, ours is ahead. And AIS can be judged once more:

# %%
estimate = ours.log_partition("ais", betas=ais_steps, generator=generator)
print(
    f"log Z: exact {exact.value:.3f}; AIS {estimate.value:.3f}, between {estimate.low:.3f} and {estimate.high:.3f}"
)
record("rbm_ais_gap_small", estimate.value - exact.value, unit="nats", kind="score")

# %% [markdown]
# ### How to train one: advice from practice
#
# When an RBM is trained, no number falls that could be trusted. Hinton (2010) wrote down what his group had learned.
#
# | what | advice | why |
# |---|---|---|
# | weights at the start | normal, standard deviation 0.01 | with equal weights all hidden units would stay equal; large ones learn faster at first and end worse |
# | biases at the start | $b_i = \log \frac{p_i}{1 - p_i}$, where $p_i$ is how often pixel $i$ is on; $c_j = 0$ | no hidden unit wastes itself on the mean image |
# | size of the updates | about a thousandth of the size of the weights | larger, and the weights explode, or leave the chains of PCD behind |
# | batches | 10 to 100 rows | a mean over few rows is good enough for a small step |
# | momentum | 0.5, later 0.9 | faster along directions that stay; with PCD it lets the weights run away from the chains |
# | weight decay | from $10^{-5}$ to $10^{-2}$, on $W$ only | less overfitting, and smaller weights also make the chain mix better |
# | what to watch | the **free-energy gap** between validation and training rows | see below |
#
# Our library starts as the table says, has `weight_decay`, and no momentum; its rate falls.
#
# $\log Z$ is the same for all rows, so it cancels in a *difference* of log-likelihoods:
#
# $$\langle \log p(v) \rangle_\text{training} - \langle \log p(v) \rangle_\text{validation} = \langle F(v) \rangle_\text{validation} - \langle F(v) \rangle_\text{training}.$$
#
# So overfitting can be seen without $Z$: when the gap grows, the machine learns its training rows by heart. We fit machines small enough to know $Z$ to 200 images, with and without weight decay, and compare the warning with the truth.

# %%
shuffled = train_digits[torch.randperm(len(train_digits), generator=generator)]
few_digits, validation = shuffled[:200], shuffled[200:]
advice = {}  # weight decay → after each round: gap, and exact NLL of the validation rows
for decay in (0.0, 0.01):
    options = {"learning_rate": 0.2, "batch_size": 20, "dtype": torch.float64}
    machine = RBM(10, epochs=30, weight_decay=decay, generator=generator, **options)
    rounds = []
    for _ in range(10):
        machine = machine.partial_fit(few_digits) if rounds else machine.fit(few_digits)
        free = [machine.free_energy(v).mean() for v in (few_digits, validation)]
        exact_nll = [-machine.log_prob(v).mean() for v in (few_digits, validation)]
        gap = (free[1] - free[0]).item()
        assert abs(gap - (exact_nll[1] - exact_nll[0])) < 1e-9  # log Z cancels
        rounds.append((gap, exact_nll[1].item()))
    advice[decay] = np.array(rounds)
print(f"before the first step, biases at the log-odds: {digits_nll['pixels']:.2f} nats")
print(f"before the first step, biases at 0: {64 * math.log(2):.2f} nats")
with record_table():
    record("free_energy_gap", advice[0.0][-1, 0], unit="nats", kind="exact")
    record("free_energy_gap_decay", advice[0.01][-1, 0], unit="nats", kind="exact")
for at, key in ((0, "gap"), (1, "validation NLL")):  # at the end the decay helps both
    print(
        f"{key} at the end: {advice[0.0][-1, at]:.2f} without decay, {advice[0.01][-1, at]:.2f} with"
    )
    assert advice[0.0][-1, at] > advice[0.01][-1, at]
assert advice[0.0][-1, 0] > advice[0.0][4, 0] > advice[0.0][0, 0]

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.8))
for (decay, rounds), color in zip(advice.items(), PALETTE, strict=False):
    epochs_ = 30 * np.arange(1, len(rounds) + 1)
    left.plot(epochs_, rounds[:, 0], "o-", color=color, label=f"weight decay {decay:g}")
    right.plot(epochs_, rounds[:, 1], "o-", color=color)
left.set(xlabel="epochs", ylabel="free-energy gap in nats")
right.set(xlabel="epochs", ylabel="exact validation NLL")
left.legend(fontsize=8)
caption(
    "Left: the free-energy gap, which needs no Z, grows as the machine overfits 200 images, and less with weight decay. Right: the likelihood of the validation images, which needs Z, ends better with the decay."
)

# %% [markdown]
# The gap is a warning and no verdict: it grows already while validation images become likelier, only less so than training images. When it grows and nothing else improves, stop, or add weight decay.

# %% [markdown]
# ## 8 · At scale: 500 features of handwriting
#
# Now MNIST, binarized as in chapter 4, and 500 hidden units: nobody can enumerate this $Z$, so the likelihood is an **estimate** with an interval. Two baselines with exact likelihoods: independent pixels, and a mixture of 100 Bernoullis.

# %%
pixels = BernoulliMixture(1, alpha=1.0, max_iter=1).fit(mnist.x_train)
with record_table():
    record(
        "pixel_nll",
        -pixels.log_prob(mnist.x_test).double().mean().item(),
        unit="nats/image",
        kind="exact",
    )
    mixture = BernoulliMixture(100, max_iter=10, generator=generator).fit(mnist.x_train)
    record(
        "mixture_nll",
        -mixture.log_prob(mnist.x_test).double().mean().item(),
        unit="nats/image",
        kind="exact",
    )

    rbm = RBM(mnist_hidden, epochs=mnist_epochs, generator=generator).fit(mnist.x_train)
    dreams = rbm.sample(ais_chains, generator, steps=500, start=mnist.x_train[:ais_chains])
    log_z = rbm.log_partition(
        "ais", chains=ais_chains, betas=ais_steps, start=dreams, generator=generator
    )
    nll = rbm.free_energy(mnist.x_test).double().mean().item() + log_z.value
    record(
        "rbm_nll",
        nll,
        unit="nats/image",
        kind="estimate",
        low=nll - log_z.value + log_z.low,
        high=nll - log_z.value + log_z.high,
    )

# %% [markdown]
# The interval knows how far the chains of AIS disagree, but of no valley that no chain has found; then the estimate of $\log Z$ is too low and the machine looks too good. So 100 more chains walk the ladder **backwards**, from the machine to independent pixels: they err the other way, and the interval above reaches from one end to the other. It would be a safe bracket if the backward chains began with true samples of the machine. Ours began at training images and ran for 500 steps, and section 11 shows that some chains have not left their first digit by then. So the bracket is good evidence and no proof. Better evidence is the small machine, where AIS met the exact sum.
#
# Salakhutdinov and Murray (2008) trained a machine of the same size with CD-25 for far longer, and estimate 86.34 nats for test images. Their binarization was another draw; still, so large a gap to the estimate above says that our ten epochs are far from the best that 500 hidden units can do.

# %%
samples = rbm.sample(60, generator, steps=1000)
lively = rbm.weights.norm(dim=0).argsort(descending=True)[:60]
filters = rbm.weights.T[lively].reshape(-1, 28, 28)

# %% jupyter={"source_hidden": true} tags=["picture"]
figure, (left, right) = plt.subplots(2, 1, figsize=(9.2, 8.4))
images(
    filters / filters.abs().amax() / 2 + 0.5,
    columns=12,
    title="features: weights of hidden units",
    axes=left,
)
images(samples.reshape(-1, 28, 28), columns=12, title="samples", axes=right)
caption(
    "Top: weights of hidden units to the pixels; dark is positive, light negative, and many look for a stroke at one place and for white beside it. Bottom: sixty chains that began with noise, after 1,000 steps of block Gibbs sampling."
)

# %% [markdown]
# ## 9 · What it is good for
#
# ### Features
#
# The machine needed no labels. Do its features help when labels are few? A logistic regression gets 1,000 labeled images, once as pixels, once as $p(h \mid v)$. Both choose their regularization by cross-validation on these 1,000.

# %%
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

labeled = torch.randperm(len(mnist.x_train), generator=generator)[:1000]
x_few, y_few = mnist.x_train[labeled], mnist.y_train[labeled]
grid = {"C": [0.003, 0.01, 0.03, 0.1, 0.3]}
accuracy = {}
with record_table():
    for name, transform in (("pixels", lambda x: x), ("features", rbm.transform)):
        search = GridSearchCV(LogisticRegression(max_iter=1000), grid, cv=3)
        with threadpool_limits(1):  # such small fits are faster on one core
            search.fit(transform(x_few), y_few)
        accuracy[name] = search.score(transform(mnist.x_test), mnist.y_test)
        record(f"{name}_accuracy", accuracy[name], kind="score")
assert accuracy["features"] > accuracy["pixels"]

# %% [markdown]
# ### Thirty numbers for an image, or thirty bits (*optional*)
#
# A machine with few hidden units squeezes an image into few numbers. PCA, which finds the best *linear* code, is the one to beat. Same size, two questions: how well does the image come back, and do the nearest of the 1,000 labeled images have the right label? We ask twice: with thirty real numbers, and with **thirty bits**: is $p(h_j = 1 \mid v)$ above ½; is PCA's number above 0.

# %%
narrow = RBM(30, learning_rate=0.2, epochs=5, generator=generator).fit(mnist.x_train)
pca = PCA(30, random_state=seed).fit(mnist.x_train[:10000])
scores = torch.as_tensor(pca.transform(mnist.x_train))
above, below = (
    (scores * mask).sum(0) / mask.sum(0) for mask in (scores > 0, scores <= 0)
)  # what a bit of PCA stands for: its mean score


def pca_encode(x):
    return torch.as_tensor(pca.transform(x))


def pca_decode(z):
    return torch.as_tensor(pca.inverse_transform(z))


codes = {
    "pca_numbers": (pca_encode, pca_decode),
    "rbm_numbers": (narrow.transform, narrow.visible_probs),
    "pca_bits": (
        lambda x: (pca_encode(x) > 0).float(),
        lambda z: pca_decode(torch.where(z > 0, above, below)),
    ),
    "rbm_bits": (lambda x: (narrow.transform(x) > 0.5).float(), narrow.visible_probs),
}
rows, code_error = [mnist.x_test[:12]], {}
with record_table():
    for name, (encode, decode) in codes.items():
        back = decode(encode(mnist.x_test)).float()
        rows.append(back[:12])
        code_error[name] = (back - mnist.x_test).square().sum(1).mean().item()
        record(
            f"code_error_{name}", code_error[name], unit="squared error/image", kind="score"
        )
        neighbors = KNeighborsClassifier(5).fit(encode(x_few), y_few)
        record(
            f"code_accuracy_{name}",
            neighbors.score(encode(mnist.x_test), mnist.y_test),
            kind="score",
        )
assert code_error["pca_numbers"] < code_error["rbm_numbers"]
assert code_error["rbm_bits"] < code_error["pca_bits"]

# %% jupyter={"source_hidden": true}
images(
    torch.cat(rows).reshape(-1, 28, 28),
    columns=12,
    rows=["image", "PCA, numbers", "RBM, numbers", "PCA, bits", "RBM, bits"],
)
caption(
    "From the top: binarized test images; thirty numbers of PCA; thirty numbers of an RBM; thirty bits of PCA; thirty bits of the RBM."
)

# %% [markdown]
# With real numbers PCA wins: it was built to minimize that squared error. With bits the RBM wins. Its hidden units *are* bits; rounding costs them almost nothing.
#
# ### Completing an image
#
# Hold the pixels that are seen, redraw all others, again and again: Gibbs sampling from $p(\text{hidden part} \mid \text{seen part})$.

# %%
chosen = mnist.x_test[:12]
seen = torch.arange(784) < 392
rows = [chosen, chosen.where(seen, torch.nan)]
for _ in range(3):
    begin = chosen.where(seen, (rand(12, 784) < 0.5).float())
    rows.append(rbm.sample(12, generator, steps=500, start=begin, clamp=seen))
assert torch.equal(rows[2][:, seen], chosen[:, seen])

# %% jupyter={"source_hidden": true}
images(
    torch.cat(rows).reshape(-1, 28, 28),
    columns=12,
    rows=["image", "what is seen", "start 1", "start 2", "start 3"],
)
caption(
    "From the top: the image; what is seen (blue is hidden); three completions from three random starts."
)

# %% [markdown]
# ## 10 · Recommending films (*optional*)
#
# In 2007 an RBM was one of the best single models in the competition for the Netflix prize (Salakhutdinov, Mnih and Hinton). Its visible units are not bits but **ratings**: each film is a *softmax unit* that shows one of $K$ levels, from half a star to five. A user has visible units for the films they rated, and **none** for all others. So a missing rating is not a zero; it is not there. All users share one set of weights, and the hidden units are a user's taste.
#
# Ours is a lean version. In the paper each film has a weight for every level and hidden unit. Here a film's weight to hidden unit $j$ is one number $w_{ij}$, and level $k$ pulls with a strength $s_k$ that grows with the stars:
#
# $$p(v_i = k \mid h) \propto \exp\!\Big( g_k + s_k \big(t_u + b_i + \textstyle\sum_j w_{ij} (h_j - \tfrac12)\big) \Big).$$
#
# $g_k$ says how popular a level is, $t_u$ how generous the user, $b_i$ how good the film. With 100,000 ratings of 9,000 films, most films have a handful of ratings, and this leaves less to overfit.
#
# **Why $h_j - \tfrac12$ and not $h_j$?** A hidden unit that knows nothing of a user is on with probability ½. As it stands, it then adds nothing on average, and a film's strength is its bias $b_i$: what others think of it. With $h_j$ alone it would add $w_{ij} / 2$, and each step that changes a weight would have to be undone in the bias. The set of possible models is the same, since the halves can be moved into $b_i$ and $c_j$; but learning is easier. This is called *centering*.
#
# **How it is trained.** First without hidden units: then $g$, $t$ and $b$ have a likelihood without any troublesome $Z$, with a Gaussian prior on $t$ and $b$ for those who have few ratings, and Newton's method finds its maximum. These stay fixed. Then $w$ and $c$ by CD-1 over batches of users, with the two phases of section 4. In the positive phase a user's ratings set the hidden units, $p(h_j = 1 \mid v) = \sigma(c_j + \sum_i s(v_i)\, w_{ij})$, a sum over the films that the user rated. In the negative phase $h$ is drawn from it, a new level $v'_i$ is drawn for each of *these same* films, and the hidden units are computed once more:
#
# $$\Delta w_{ij} \propto s(v_i)\, \big(p(h_j = 1 \mid v) - \tfrac12\big) - s(v'_i)\, \big(p(h_j = 1 \mid v') - \tfrac12\big).$$
#
# Films that the user did not rate take no part, neither up nor down. A weight decay pulls all $w$ toward 0.
#
# One rating in ten is held out at random. The rivals see the same 90 %: means of everything, of the user, of the film; user and film **biases**, fitted together, which are the baseline to beat; and **matrix factorization**, the model that won such contests.

# %%
from utils.models.boltzmann import MatrixFactorization, SoftmaxRBM
from utils.ratings import load_ratings

ratings = load_ratings()
known, held_out = ratings.split(test=0.1, generator=generator)
assert set(zip(known.users.tolist(), known.films.tolist(), strict=True)).isdisjoint(
    zip(held_out.users.tolist(), held_out.films.tolist(), strict=True)
)
print(f"{ratings}; {len(held_out.stars)} of them held out")


def rmse(predicted: Tensor) -> float:
    return (predicted - held_out.stars).square().mean().sqrt().item()


def mean_of(group: Tensor, n: int) -> Tensor:
    """The mean rating in each group; of all ratings where the group is empty."""
    count = torch.bincount(group, minlength=n)
    total = torch.zeros(n).index_add_(0, group, known.stars)
    return torch.where(count > 0, total / count, known.stars.mean())


pairs_out = held_out.users, held_out.films
tastes = SoftmaxRBM(film_hidden, generator=generator).fit(known)
predictions = {
    "mean": known.stars.mean().expand(len(held_out.stars)),
    "user_mean": mean_of(known.users, ratings.n_users)[held_out.users],
    "film_mean": mean_of(known.films, ratings.n_films)[held_out.films],
    "bias": MatrixFactorization(0).fit(known).predict(*pairs_out),
    "matrix": MatrixFactorization(20, generator=generator).fit(known).predict(*pairs_out),
}
with record_table():
    for name, predicted in predictions.items():
        record(f"cf_rmse_{name}", rmse(predicted), unit="stars", kind="score")
    by_rbm = tastes.predict(*pairs_out)
    rbm_rmse, matrix_rmse = rmse(by_rbm), rmse(predictions["matrix"])
    record("cf_rmse", rbm_rmse, unit="stars", kind="score")
    both_rmse = rmse((by_rbm + predictions["matrix"]) / 2)
    record("cf_rmse_average", both_rmse, unit="stars", kind="score")
assert rbm_rmse < rmse(predictions["bias"]) < rmse(predictions["user_mean"])
assert both_rmse < rbm_rmse

# %% [markdown]
# Read the table with care. Most of what can be known is in the biases. **Matrix factorization wins, if by little**: who only wants expected stars has no reason to take the RBM, which is harder to understand. What the RBM has in addition is a distribution over the levels, and ratings of a new person without any training, as below. And the last line averages the predictions of the two: models that err differently help each other. The winners of the Netflix prize averaged many, RBMs among them.
#
# **A check against a known answer** for a prediction: with the hidden units summed out by hand, $p(v_i = k \mid \text{ratings of } u)$ is exact. On a machine with five hidden units we sum over all 32 states of $h$ instead and must get the same.

# %%
five = SoftmaxRBM(5, epochs=5, generator=generator).fit(known)
user, film = 0, 100
h = all_states(5).float()  # (32, 5)
rated = known.users == user
tilt = (known.stars[rated] - known.stars.mean()) / known.stars.std(unbiased=False)
levels = (five.levels - known.stars.mean()) / known.stars.std(unbiased=False)  # s_k
field = five.hidden_bias + tilt @ five.weights[known.films[rated]]
strength = (
    five.user_bias[user] + five.film_bias[film] + (h - 0.5) @ five.weights[film]
)  # (32,)
log_joint = (h @ field)[:, None] + five.level_bias + strength[:, None] * levels  # (32, K)
enumerated = log_joint.logsumexp(0).softmax(0)
by_hand = five.predict_proba(torch.tensor([user]), torch.tensor([film]))[0]
print(f"largest difference to enumeration: {(enumerated - by_hand).abs().max():.1e}")
assert torch.allclose(enumerated, by_hand, atol=1e-5)

# %% [markdown]
# A new person liked three films. What should they see next? Nobody has to train anything: their ratings set the hidden units, and these rate all other films. Two lists, both of films with at least 30 ratings: the **expected stars**, which put the classics first that everybody likes; and the **affinity**, how much this person's taste, $\sum_j w_{ij} (p(h_j = 1) - \tfrac12)$, lifts a film above what others think of it.

# %%
liked = ["Matrix, The (1999)", "Terminator 2", "Alien (1979)"]
films = torch.tensor([ratings.find(title)[0] for title in liked])
five_stars = torch.full((3,), 5.0)
often = torch.bincount(ratings.films, minlength=ratings.n_films) >= 30
often[films] = False
lists = {
    "affinity": tastes.affinity(films, five_stars),
    "expected stars": tastes.score_films(films, five_stars),
    "without knowing anyone": tastes.film_bias,
}
lists = {
    how: score.where(often, -torch.inf).topk(10).indices.tolist()
    for how, score in lists.items()
}
print(" | ".join(f"{how:34}" for how in lists))
for row in zip(*lists.values(), strict=True):
    print(" | ".join(f"{ratings.titles[film][:34]:34}" for film in row))
shared = [len(set(lists[how]) & set(lists["without knowing anyone"])) for how in lists]
print(f"also on the last list: {shared[0]} of the first, {shared[1]} of the second")
assert shared[0] < shared[1]

# %% [markdown]
# ## 11 · Where it fails
#
# ### Dreams that were never checked
#
# CD-1 looks only one step away from the data, so the machine never learns to doubt what it thinks likely *elsewhere*. One switch, `persistent`, on 10,000 images, with everything else equal:

# %%
dreamers, dreams_of = {}, {}
with record_table():
    for name, persistent in (("cd1", False), ("pcd", True)):
        machine = RBM(200, learning_rate=0.1, persistent=persistent, generator=generator)
        machine.fit(mnist.x_train[:10000])
        dreams = machine.sample(100, generator, steps=1000)
        dreams_of[f"trained with {'PCD' if persistent else 'CD-1'}"] = dreams[:36]
        back = machine.visible_probs(machine.transform(mnist.x_test))
        error = (back - mnist.x_test).square().sum(1).mean().item()
        record(
            f"reconstruction_error_{name}", error, unit="squared error/image", kind="score"
        )
        counts = np.bincount(search.predict(rbm.transform(dreams)), minlength=10)
        dreamers[name] = counts.max() / len(dreams)
        record(
            f"largest_group_{name}", dreamers[name], unit="share of dreams", kind="score"
        )
assert dreamers["cd1"] > dreamers["pcd"] + 0.2

# %% jupyter={"source_hidden": true}
sheet = torch.cat(list(dreams_of.values())).reshape(-1, 28, 28)
images(sheet, columns=12, rows=list(dreams_of))
caption(
    "Chains from noise, after 1,000 steps. Both machines reconstruct about equally well. From the one that was trained with CD-1 nearly all samples are of one kind."
)

# %% [markdown]
# ### Chains that stay at home
#
# The better a machine knows that a one is not a seven, the deeper the valleys, and the harder the way from one to the other. We start ten chains at an image of each digit; the classifier of section 9 says when a chain has left.

# %%
home = torch.arange(10).repeat_interleave(10)
named = torch.as_tensor(search.predict(rbm.transform(mnist.x_test)))
clear = [
    (mnist.y_test == digit) & (named == digit) for digit in range(10)
]  # images it names rightly
begin = torch.stack([mnist.x_test[mask][0] for mask in clear])
chains, moments_, still = begin[home], [0, 10, 30, 100, 300, 1000], []
for earlier, moment in itertools.pairwise([0, *moments_]):
    if moment > earlier:
        chains = rbm.sample(100, generator, steps=moment - earlier, start=chains)
    labels = torch.as_tensor(search.predict(rbm.transform(chains)))
    still.append((labels == home).double().reshape(10, 10).mean(1))
still = torch.stack(still)  # (moments, digits)
record("still_home_after_100", still[3].mean().item(), unit="share of chains", kind="score")

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for digit in range(10):
    left.plot(range(len(moments_)), still[:, digit], color="0.8")
left.plot(range(len(moments_)), still.mean(1), marker="o", color=PALETTE[0], linewidth=2)
left.set(
    xticks=range(len(moments_)),
    xticklabels=moments_,
    xlabel="Gibbs steps",
    ylabel="share still at home",
)
right.bar(
    np.arange(10) - 0.2,
    torch.bincount(mnist.y_train, minlength=10) / len(mnist.y_train),
    width=0.4,
    color="0.7",
    label="data",
)
right.bar(
    np.arange(10) + 0.2,
    torch.bincount(labels, minlength=10) / 100,
    width=0.4,
    label="chains at the end",
)
right.set(xticks=range(10), xlabel="digit", ylabel="share")
right.margins(y=0.4)  # room for the legend
right.legend(ncols=2, loc="upper center", fontsize=8)
caption(
    "Left: how many chains still show the digit they began with; gray: each digit. Right: the digits that they show at the end, beside those of the data. The chains gather at some digits and avoid others, and the likelihood alone does not tell."
)

# %% [markdown]
# The cures: many chains, each from a start of its own, as `sample` does; and larger $k$, or temperatures above 1, which let chains cross the mountains, for machines that are trained longer.
#
# Few train RBMs today: samples are slow, the likelihood is an estimate, and the gradient is biased. The models of the next chapters buy these back, each in its own way. What stays is the idea: an **energy** says what belongs together, and learning lowers it at the data and raises it in the dreams.

# %% [markdown]
# ## 12 · What this family is good and bad at
#
# An energy is free to say anything, and that freedom costs the recipe for drawing.

# %%
from utils.families import families

families("05")

# %% [markdown]
# ## 13 · Remember
#
# 1. An energy says which states are likely, $p \propto e^{-E}$. $Z$ makes it a probability, and is what nobody can compute.
# 2. Gibbs sampling needs no $Z$. In a restricted machine a whole layer is drawn at once, and the hidden layer is summed out in closed form: the free energy.
# 3. The gradient is data minus dreams: a positive phase and a negative one. CD starts its dreams at the data and is biased; PCD keeps its chains and is less so. Watch the free-energy gap; it needs no $Z$.
# 4. AIS estimates $\log Z$ with an interval. Reconstruction error measures how little a chain moves, not how good a model is.
# 5. Chains mix slowly when the model is good. Test on machines so small that everything can be counted.
#
# **Exercises**: `course start 05`, then open `work/05_boltzmann_machines/exercises.ipynb`.
#
# **Further reading**
# - J. J. Hopfield: *Neural networks and physical systems with emergent collective computational abilities*, PNAS, 1982.
# - D. J. Amit, H. Gutfreund, H. Sompolinsky: *Storing infinite numbers of patterns in a spin-glass model of neural networks*, Physical Review Letters, 1985.
# - D. H. Ackley, G. E. Hinton, T. J. Sejnowski: *A learning algorithm for Boltzmann machines*, Cognitive Science, 1985.
# - G. E. Hinton: *Training products of experts by minimizing contrastive divergence*, Neural Computation, 2002.
# - R. Salakhutdinov, A. Mnih, G. Hinton: *Restricted Boltzmann machines for collaborative filtering*, ICML 2007.
# - T. Tieleman: *Training restricted Boltzmann machines using approximations to the likelihood gradient*, ICML 2008.
# - R. Salakhutdinov, I. Murray: *On the quantitative analysis of deep belief networks*, ICML 2008.
# - R. M. Neal: *Annealed importance sampling*, Statistics and Computing, 2001.
# - G. E. Hinton: *A practical guide to training restricted Boltzmann machines*, 2010, technical report, University of Toronto.
# - A. Fischer, C. Igel: *Training restricted Boltzmann machines: an introduction*, Pattern Recognition, 2014.
