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
# # Exercises 5: Boltzmann machines
#
# You will let spins settle, store digits in a network that completes them, build a restricted Boltzmann machine from its
# parts, measure it exactly, and train one whose likelihood is known to the last digit.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`. `B` is the
# number of examples, `D` of visible units, `H` of hidden units. Every exercise stands alone: if you are stuck, go on with
# the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# **Energies.** Everywhere $p(x) \propto \exp(-E(x))$: low energy is likely.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot, softplus

from utils.checks import check
from utils.data import load
from utils.plots import caption, images


# %% [markdown]
# ## 5.1 A spin and its neighbors (core)
#
# The spins $s_i \in \{-1, +1\}$ of an Ising model stand on a grid. Neighbors like to agree, and a field $f$ pulls all
# spins towards $+1$:
#
# $$E(s) = -\sum_{\text{neighbors } i, j} s_i s_j - f \sum_i s_i, \qquad p(s) \propto \exp(-\beta E(s)).$$
#
# The sum names each pair of neighbors once. Every spin has four: above, below, left and right. The grid has no border:
# the last row is beside the first one, and so are the columns (`torch.roll` helps).
#
# Gibbs sampling draws one spin at a time, given all others. Write down $E$ for $s_i = +1$ and for $s_i = -1$; what does not
# contain $s_i$ cancels in $p(s_i = +1 \mid \text{all others})$.
#
# `spins` is `(rows, columns)`, `beta` and `field` are numbers; return that probability for every site, `(rows, columns)`.


# %% exercise={"id": "ising.conditional", "tier": "core", "minutes": 12, "points": 2}
# ising.conditional · core · 12 minutes · 2 points
def conditional(spins: Tensor, beta: float, field: float) -> Tensor:
    """p(sᵢ = +1 | all other spins) at each site: (rows, columns) -> (rows, columns)."""
    raise NotImplementedError("ising.conditional")


# %% tags=["nbval-check-output"]
check("ising.conditional", conditional)


# %% [markdown]
# On a chessboard, a black site has white neighbors only. So all black spins can be drawn at once, then all white ones. The
# next cell does that. When your check has passed, call `show_magnets(conditional)` in a cell of your own and compare with
# the picture below the code.


# %%
def show_magnets(conditional: Callable, size: int = 64, sweeps: int = 200) -> None:
    """Draw spins after some sweeps of Gibbs sampling, from hot to cold."""
    generator = torch.Generator().manual_seed(0)
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    black = (row + column) % 2 == 0

    _, panels = plt.subplots(1, 3, figsize=(8, 3))
    for beta, axes in zip((0.2, 0.44, 0.6), panels, strict=True):
        shape = (size, size)
        spins = torch.randint(0, 2, shape, generator=generator).double() * 2 - 1
        for _ in range(sweeps):
            for color in (black, ~black):
                u = torch.rand(shape, generator=generator, dtype=torch.float64)
                drawn = torch.where(u < conditional(spins, beta, 0.0), 1.0, -1.0)
                spins = torch.where(color, drawn.double(), spins)
        images(spins[None], columns=1, limits=(-1, 1), title=f"β = {beta}", axes=axes)
    caption("Hot spins are noise; cold ones agree; in between, islands of all sizes.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Hot spins are noise; cold ones agree; in between, islands of all sizes.](attachment:target.png)
#
# *Hot spins are noise; cold ones agree; in between, islands of all sizes.*

# %% [markdown]
# ## 5.2 Hebb's rule: store patterns (core)
#
# A Hopfield network has $N$ units $s_i \in \{-1, +1\}$ and the energy $E(s) = -\tfrac12 \sum_{ij} W_{ij} s_i s_j$. It
# stores patterns $x^1, \dots, x^P$ by making each a valley of the energy. Units that agree in a pattern attract each other:
#
# $$W_{ij} = \frac1N \sum_{p=1}^P x^p_i x^p_j \quad (i \ne j), \qquad W_{ii} = 0.$$
#
# `patterns` is `(P, N)` with values −1 and +1; return $W$, `(N, N)`.


# %% exercise={"id": "hopfield.store", "tier": "core", "minutes": 6, "points": 1}
# hopfield.store · core · 6 minutes · 1 point
def store(patterns: Tensor) -> Tensor:
    """Hebbian weights without self-coupling: (P, N) -> (N, N)."""
    raise NotImplementedError("hopfield.store")


# %% tags=["nbval-check-output"]
check("hopfield.store", store)


# %% [markdown]
# ## 5.3 Recall: walk downhill (core)
#
# To recall, visit one unit after another. Each looks at the pull of the others, $a_i = \sum_j W_{ij} s_j$, **as they are by
# then**, and becomes $+1$ if $a_i > 0$ and $-1$ if $a_i < 0$. If $a_i = 0$ it keeps its value. With symmetric $W$ and zero
# diagonal the energy never rises, so the walk ends in a valley.
#
# `weights` is `(N, N)`, `state` is `(N,)`. `order` `(T,)` holds the indices of the units to visit, one after another: a unit
# may come several times, or never. Return the state after the last visit, `(N,)`, and leave `state` itself as it is.


# %% exercise={"id": "hopfield.recall", "tier": "core", "minutes": 10, "points": 2}
# hopfield.recall · core · 10 minutes · 2 points
def recall(weights: Tensor, state: Tensor, order: Tensor) -> Tensor:
    """The state after asynchronous updates in this order: (N, N), (N,) and (T,) -> (N,)."""
    raise NotImplementedError("hopfield.recall")


# %% tags=["nbval-check-output"]
check("hopfield.recall", recall)

# %% [markdown]
# Three digits that are not much alike make good memories. When both checks have passed, call `show_recall(store, recall)` in
# a cell of your own.

# %%
digits = load("digits").flat()
memories = torch.where(digits.x_train[[0, 309, 903]] > 0.2, 1.0, -1.0).double()  # (3, 64)


def show_recall(store: Callable, recall: Callable) -> None:
    """Draw three memories, how they are damaged, and what the network makes of that."""
    generator = torch.Generator().manual_seed(0)
    n_units = memories.shape[1]
    noisy = memories.clone()
    for state in noisy:
        state[torch.randperm(n_units, generator=generator)[:10]] *= -1
    halved = memories.clone()
    halved[:, n_units // 2 :] = -1

    weights = store(memories)
    sweeps = [torch.randperm(n_units, generator=generator) for _ in range(4)]
    damaged = torch.cat([noisy, halved])  # (6, 64)
    recalled = [recall(weights, state, torch.cat(sweeps)) for state in damaged]
    states = torch.cat([memories, memories, damaged, torch.stack(recalled)])
    rows = ["stored", "damaged", "recalled"]
    images(
        states.reshape(-1, 8, 8),
        columns=len(damaged),
        limits=(-1, 1),
        rows=rows,
        frames=True,
    )
    caption("Ten pixels flipped, or the lower half wiped: the memory returns.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Ten pixels flipped, or the lower half wiped: the memory returns.](attachment:target.png)
#
# *Ten pixels flipped, or the lower half wiped: the memory returns.*

# %% [markdown]
# ## 5.4 The free energy: derivation and code (core)
#
# From here on, a **restricted Boltzmann machine**: visible units $v \in \{0, 1\}^D$, hidden units $h \in \{0, 1\}^H$,
#
# $$E(v, h) = -b \cdot v - c \cdot h - v W h, \qquad p(v, h) = \frac{e^{-E(v, h)}}{Z},$$
#
# with `weights` $W$ `(D, H)`, `visible_bias` $b$ `(D,)` and `hidden_bias` $c$ `(H,)`. Nobody sees $h$. What counts for $v$
# alone is the free energy $F(v)$, which does for $v$ what $E$ does for both:
#
# $$e^{-F(v)} = \sum_{h \in \{0, 1\}^H} e^{-E(v, h)}.$$
#
# **Derive** a formula for $F(v)$ that needs $H$ terms instead of $2^H$. Start with $H = 1$. Then see that, with $v$ fixed, the
# summand is a product with one factor for each hidden unit, and that a sum of products over all $h$ is a product of sums.
# Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**, for a batch: `v` is `(B, D)`; return $F$, `(B,)`. Large weights must not overflow.


# %% exercise={"id": "rbm.free_energy", "tier": "core", "minutes": 20, "points": 3}
# rbm.free_energy · core · 20 minutes · 3 points
def free_energy(
    v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor
) -> Tensor:
    """F(v) = −log Σₕ exp(−E(v, h)): (B, D) -> (B,)."""
    raise NotImplementedError("rbm.free_energy")


# %% tags=["nbval-check-output"]
check("rbm.free_energy", free_energy)


# %% [markdown]
# ## 5.5 One step of block Gibbs sampling (core)
#
# No hidden unit is coupled to another one, so all of them are drawn at once, and then all visible ones:
#
# $$p(h_j = 1 \mid v) = \sigma\bigl(c_j + (vW)_j\bigr), \qquad p(v_i = 1 \mid h) = \sigma\bigl(b_i + (Wh)_i\bigr).$$
#
# The random numbers are given, so that there is one right result: a unit is 1 where its number is **below** its
# probability.
#
# `v` is `(B, D)`, `uniform_hidden` `(B, H)` and `uniform_visible` `(B, D)` lie between 0 and 1. Return `h` `(B, H)` and the
# new `v` `(B, D)`, zeros and ones in `float64`. Weights and biases may be large.


# %% exercise={"id": "rbm.gibbs_step", "tier": "core", "minutes": 10, "points": 2}
# rbm.gibbs_step · core · 10 minutes · 2 points
def gibbs_step(
    v: Tensor,
    weights: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    uniform_hidden: Tensor,
    uniform_visible: Tensor,
) -> tuple[Tensor, Tensor]:
    """Draw h given v, then a new v given h: (B, D) -> (B, H) and (B, D)."""
    raise NotImplementedError("rbm.gibbs_step")


# %% tags=["nbval-check-output"]
check("rbm.gibbs_step", gibbs_step)


# %% [markdown]
# ## 5.6 The partition function, exactly (core)
#
# A likelihood needs $Z = \sum_v \sum_h e^{-E(v, h)}$. With many visible and few hidden units there is a way: go through all
# $2^H$ states of the **hidden** layer, and sum over the visible units in closed form, as you did for the free energy with
# the layers exchanged:
#
# $$Z = \sum_{h \in \{0, 1\}^H} e^{c \cdot h} \prod_{i=1}^D \bigl(1 + e^{b_i + (Wh)_i}\bigr).$$
#
# Return $\log Z$ as one number. Stay in log space. The check uses up to 64 visible and 8 hidden units.


# %% exercise={"id": "rbm.log_partition", "tier": "core", "minutes": 15, "points": 2}
# rbm.log_partition · core · 15 minutes · 2 points
def log_partition(
    weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor
) -> Tensor | float:
    """log Z, by enumeration of the hidden layer: (D, H), (D,) and (H,) -> one number."""
    raise NotImplementedError("rbm.log_partition")


# %% tags=["nbval-check-output"]
check("rbm.log_partition", log_partition)


# %% [markdown]
# ## 5.7 The learning rule (core)
#
# The gradient of the log-likelihood is a difference of two means: what the data show minus what the model shows. For the
# weights,
#
# $$\frac{\partial \log p}{\partial W_{ij}} = \bigl\langle v_i \, p(h_j = 1 \mid v) \bigr\rangle_\text{data}
# - \bigl\langle v_i \, p(h_j = 1 \mid v) \bigr\rangle_\text{model},$$
#
# and for the biases the same without the other layer's factor. The model's mean is hard, so **contrastive divergence** takes
# it over a few states that a Gibbs chain has reached. In both terms use the probabilities of $h$, not samples: that leaves
# noise out.
#
# `v_data` is `(B, D)`, `v_model` is `(M, D)`: there may be more or fewer chains than data. Return the gradients of
# `weights` `(D, H)`, `visible_bias` `(D,)` and `hidden_bias` `(H,)`: a step **along** them makes the data more likely.


# %% exercise={"id": "rbm.contrastive_divergence", "tier": "core", "minutes": 15, "points": 3}
# rbm.contrastive_divergence · core · 15 minutes · 3 points
def contrastive_divergence(
    v_data: Tensor, v_model: Tensor, weights: Tensor, hidden_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of weights (D, H), visible biases (D,) and hidden biases (H,): data minus model."""
    raise NotImplementedError("rbm.contrastive_divergence")


# %% tags=["nbval-check-output"]
check("rbm.contrastive_divergence", contrastive_divergence)


# %% [markdown]
# ## 5.8 A measure without Z: the pseudo-likelihood (extend)
#
# How well does the model predict each visible unit from **all the others**?
#
# $$\mathrm{PL}(v) = \sum_{i=1}^D \log p(v_i \mid v_{-i}), \qquad
# p(v_i \mid v_{-i}) = \frac{p(v)}{p(v) + p(v \text{ with unit } i \text{ flipped})}.$$
#
# $Z$ cancels: the free energies of $v$ and of its $D$ flipped copies are enough. Mind logarithms of tiny probabilities
# (`torch.nn.functional.logsigmoid`).
#
# `v` is `(B, D)`; return `(B,)`, in nats.


# %% exercise={"id": "rbm.pseudo_log_likelihood", "tier": "extend", "minutes": 15, "points": 2}
# rbm.pseudo_log_likelihood · extend · 15 minutes · 2 points
def pseudo_log_likelihood(
    v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor
) -> Tensor:
    """Σᵢ log p(vᵢ | all other visible units): (B, D) -> (B,)."""
    raise NotImplementedError("rbm.pseudo_log_likelihood")


# %% tags=["nbval-check-output"]
check("rbm.pseudo_log_likelihood", pseudo_log_likelihood)


# %% [markdown]
# ## 5.9 Annealed importance sampling (extend)
#
# With 500 hidden units nobody enumerates. AIS goes from a machine whose $Z_0$ is known to yours, in small steps from
# $\beta_0 = 0$ to $\beta_T = 1$. The machine at $\beta$ has weights $\beta W$, hidden biases $\beta c$, and visible biases
# that go from $a$ (`base_bias`) to $b$:
#
# $$\log p^*_\beta(v) = \bigl((1 - \beta)\, a + \beta\, b\bigr) \cdot v + \sum_j \mathrm{softplus}\bigl(\beta\,(c + vW)_j\bigr).$$
#
# A chain starts with a sample $v_0$ of the machine at $\beta_0$. A Gibbs step of the machine at $\beta_1$ makes $v_1$ of
# it, and so on: $v_k$ was drawn at $\beta_k$. The weight of the chain is
#
# $$\log w = \sum_{k=0}^{T-1} \bigl(\log p^*_{\beta_{k+1}}(v_k) - \log p^*_{\beta_k}(v_k)\bigr),$$
#
# and the **mean of $w$** over the chains estimates $Z / Z_0$, without bias. What is $\log Z_0$? At $\beta = 0$ no unit
# touches another one, but all of them count, the hidden ones too.
#
# `betas` is `(T + 1,)`, `states` is `(T, B, D)`: `states[k]` holds $v_k$ of $B$ chains. Return the estimate of $\log Z$, one
# number. The weights overflow unless you stay in log space.


# %% exercise={"id": "rbm.ais_log_partition", "tier": "extend", "minutes": 25, "points": 3}
# rbm.ais_log_partition · extend · 25 minutes · 3 points
def ais_log_partition(
    weights: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    base_bias: Tensor,
    betas: Tensor,
    states: Tensor,
) -> Tensor | float:
    """The estimate of log Z by annealed importance sampling, from states (T, B, D) of its chains."""
    raise NotImplementedError("rbm.ais_log_partition")


# %% tags=["nbval-check-output"]
check("rbm.ais_log_partition", ais_log_partition)


# %% [markdown]
# ## 5.10 Ratings with gaps (extend)
#
# For films, a visible unit has $K$ levels instead of two. As in the paper of 2007, film $m$ at level $k$ has a bias $b_{mk}$
# and weights $W_{mkj}$ of its own. A person has rated a few films only. **What is missing says nothing**: its weights stay
# out of the sum.
#
# $$p(h_j = 1 \mid \text{ratings}) = \sigma\Bigl(c_j + \sum_{m \text{ rated}} W_{m, v_m, j}\Bigr), \qquad
# p(v_m = k \mid h) = \frac{\exp\bigl(b_{mk} + \sum_j W_{mkj} h_j\bigr)}{\sum_{l} \exp\bigl(b_{ml} + \sum_j W_{mlj} h_j\bigr)}.$$
#
# Predict in one go: put the **probabilities** of $h$ into the second formula, for all films, rated or not.
#
# `ratings` is `(B, M)`, whole numbers from 0 to $K - 1$, and $-1$ where a rating is missing; `weights` is `(M, K, H)`,
# `visible_bias` `(M, K)`, `hidden_bias` `(H,)`. Return $p(h_j = 1 \mid \text{ratings})$, `(B, H)`, and the probabilities of the
# levels, `(B, M, K)`. Weights and biases may be large.


# %% exercise={"id": "rbm.softmax_conditional", "tier": "extend", "minutes": 20, "points": 3}
# rbm.softmax_conditional · extend · 20 minutes · 3 points
def softmax_conditional(
    ratings: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor
) -> tuple[Tensor, Tensor]:
    """p(h = 1 | ratings) (B, H), and p(level | h) for every film (B, M, K)."""
    raise NotImplementedError("rbm.softmax_conditional")


# %% tags=["nbval-check-output"]
check("rbm.softmax_conditional", softmax_conditional)


# %% [markdown]
# ## 5.11 A second machine on top (extend)
#
# Train a machine on $v$. Its hidden units $h$ look like data: train a **second** machine on them. Together they are a *deep
# belief network*: the second machine draws $h$, and the first one turns it into $v$,
#
# $$p(v, h) = p_2(h) \; p_1(v \mid h), \qquad p_1(v \mid h) = \prod_i p_1(v_i \mid h), \qquad p_2(h) = e^{-F_2(h)} / Z_2.$$
#
# Is the stack better than the first machine alone? The first machine's $q(h \mid v) = \prod_j p_1(h_j \mid v)$ gives a bound,
# as in chapter 4:
#
# $$\log p(v) \;\ge\; \sum_h q(h \mid v) \bigl(\log p_2(h) + \log p_1(v \mid h) - \log q(h \mid v)\bigr).$$
#
# If the second machine is the first one upside down ($W_2 = W_1^\top$, biases exchanged), nothing has changed and the bound is
# tight. From there, every step that makes $h$ more likely under the second machine lifts the bound. Weights may be large: stay
# in log space.
#
# All layers are small: go through all $2^H$ states $h$. `v` is `(B, D)`. The first machine has `weights_1` `(D, H)`,
# `visible_bias` `(D,)` and `hidden_bias_1` `(H,)`; the second one has `weights_2` `(H, G)`, `bias_1` `(H,)` for $h$ and
# `bias_2` `(G,)` for its own hidden units. Return the bound, `(B,)`, in nats. You may call your functions from above.


# %% exercise={"id": "rbm.stack_bound", "tier": "extend", "minutes": 30, "points": 3}
# rbm.stack_bound · extend · 30 minutes · 3 points
def stack_bound(
    v: Tensor,
    weights_1: Tensor,
    visible_bias: Tensor,
    hidden_bias_1: Tensor,
    weights_2: Tensor,
    bias_1: Tensor,
    bias_2: Tensor,
) -> Tensor:
    """A lower bound of log p(v) of a deep belief network of two layers: (B, D) -> (B,)."""
    raise NotImplementedError("rbm.stack_bound")


# %% tags=["nbval-check-output"]
check("rbm.stack_bound", stack_bound)

# %% [markdown]
# ## 5.12 Challenge: reach −24.0 nats, exactly
#
# Train a restricted Boltzmann machine with **at most 16 hidden units** on black-and-white 8 × 8 digits. Your function gets
# `x_train`, `(1297, 64)`, zeros and ones, and returns `weights` `(64, H)`, `visible_bias` `(64,)` and `hidden_bias` `(H,)`. With
# so few hidden units the check knows $\log p(v)$ exactly, and takes its mean over 500 digits that you have not seen: an
# estimate cannot flatter anybody.
#
# Any means are allowed, in up to 60 seconds: persistent chains, smaller steps towards the end, a validation split, even the
# exact gradient. The next cell shows the data and what independent pixels reach, which is where a machine with zero weights
# and good visible biases stands.

# %%
binary = digits.binarized()
x_train, x_test = binary.x_train.double(), binary.x_test.double()
p = (x_train.sum(0) + 1) / (len(x_train) + 2)
independent = (torch.xlogy(x_test, p) + torch.xlogy(1 - x_test, 1 - p)).sum(-1).mean()
print(f"independent pixels: {independent:.2f} nats per new image")

# %% jupyter={"source_hidden": true}
images(x_train[:24].reshape(-1, 8, 8), columns=12, title="Binarized digits")
caption("Each pixel is black with a probability that is its gray value.")


# %% exercise={"id": "rbm.train", "tier": "challenge", "minutes": 45, "points": 4}
# rbm.train · challenge · 45 minutes · 4 points
def train_rbm(x_train: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Train on x_train (N, 64): weights (64, H), visible biases (64,) and hidden biases (H,), with H ≤ 16."""
    raise NotImplementedError("rbm.train")


# %%
check("rbm.train", train_rbm)


# %% [markdown]
# The target: what such a machine has learned, and what it dreams of. When your check has passed, call `show_dreams(train_rbm,
# gibbs_step)`.


# %%
def show_dreams(train_rbm: Callable, gibbs_step: Callable, n_steps: int = 2000) -> None:
    """Draw the weights of each hidden unit, and samples from long Gibbs chains."""
    generator = torch.Generator().manual_seed(0)
    weights, visible_bias, hidden_bias = train_rbm(x_train)
    v = (torch.rand(32, 64, generator=generator) < 0.5).double()
    for _ in range(n_steps):
        noise = (
            torch.rand(32, width, generator=generator, dtype=torch.float64)
            for width in weights.shape[::-1]
        )
        h, v = gibbs_step(v, weights, visible_bias, hidden_bias, *noise)
    # The probabilities of the last step: smoother to look at than zeros and ones.
    dreams = torch.sigmoid(visible_bias + h @ weights.T)
    _, panels = plt.subplots(1, 2, figsize=(8.4, 2.8))
    filters = weights.T.reshape(-1, 8, 8)
    most = filters.abs().max().item()
    images(filters, columns=8, limits=(-most, most), title="weights", axes=panels[0])
    images(dreams.reshape(-1, 8, 8), columns=8, title="samples", axes=panels[1])
    caption("Each hidden unit adds (dark) or removes (light) a stroke; together they draw.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Each hidden unit adds (dark) or removes (light) a stroke; together they draw.](attachment:target.png)
#
# *Each hidden unit adds (dark) or removes (light) a stroke; together they draw.*
