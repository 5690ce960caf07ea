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
# # Exercises 3: Bayesian networks
#
# You will build a network from its tables, draw from it, ask it questions exactly and by sampling, fit its tables to data,
# and at last find the arrows themselves.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Where chance is needed, its numbers are
# given to your function, so that your answer can be compared with the truth. Every exercise stands alone: if you are stuck,
# go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from itertools import combinations

import matplotlib.pyplot as plt
import networkx as nx
import torch
from torch import Tensor

from utils.checks import check
from utils.data import path
from utils.models.bayesnets import BayesianNetwork
from utils.plots import PALETTE, caption

# %% [markdown]
# ## A network, in plain Python
#
# In all exercises a network is made of two dicts:
#
# - `parents`: for each variable the tuple of its parents. The **order of the keys** is the order of the columns in
#   data. It is *any* order: a child may stand before its parents.
# - `tables`: for each variable a table in `float64`. The table of $X$ with parents $(A, B)$ has the shape
#   $(|A|, |B|, |X|)$: the parents' axes in the order of `parents["X"]`, the variable's own axis last, and along it the
#   numbers sum to one. So `tables["X"][a, b, x]` is $p(x \mid a, b)$.
#
# States are whole numbers from 0. A row of data `x` holds a state for each variable; `B` is the number of rows, `V` of
# variables. Here is a small one to try your functions on.

# %%
parents = {
    "call": ("alarm",),
    "short": ("storm", "old"),
    "storm": (),
    "old": (),
    "smoke": ("short",),
    "alarm": ("smoke", "storm"),
}
# The probability of state 1, "yes"; of state 0, "no", it is what is missing to one.
yes = {
    "storm": 0.1,
    "old": 0.3,
    "short": [[0.001, 0.02], [0.01, 0.1]],
    "smoke": [0.002, 0.6],
    "alarm": [[0.001, 0.1], [0.95, 0.97]],
    "call": [0.01, 0.8],
}
tables = {}
for name, values in yes.items():
    p = torch.tensor(values, dtype=torch.float64)
    tables[name] = torch.stack([1 - p, p], dim=-1)


def draw(
    parents: dict[str, tuple[str, ...]],
    places: dict[str, tuple[float, float]],
    axes: plt.Axes,
    color: str = PALETTE[0],
) -> None:
    """The network with its arrows, each variable in its place."""
    graph = nx.DiGraph()
    graph.add_nodes_from(parents)
    graph.add_edges_from((above, name) for name in parents for above in parents[name])
    style = {"node_size": 1500, "node_color": "white", "edgecolors": color, "font_size": 9}
    nx.draw_networkx(graph, places, ax=axes, **style)
    axes.margins(0.15)
    axes.set_axis_off()


places = {
    "storm": (0, 2),
    "old": (2, 2),
    "short": (1, 1),
    "smoke": (2, 0),
    "alarm": (0, 0),
    "call": (-1, 1),
}

# %% jupyter={"source_hidden": true}
_, axes = plt.subplots(figsize=(5, 3.6))
draw(parents, places, axes)
caption("An arrow points from a variable to one that depends on it directly.")

# %% [markdown]
# ## 3.1 How many numbers? (core)
#
# A network is worth its arrows because it needs few numbers. Count the **free** ones: an entry that follows from the others,
# because they sum to one, is not free.
#
# `parents` is as above; `sizes` has the number of states of each variable. Return one number. (For comparison: the whole
# joint table has $\prod_v |X_v| - 1$ free numbers.)


# %% exercise={"id": "bayesnet.count_parameters", "tier": "core", "minutes": 6, "points": 1}
def count_parameters(parents: dict[str, tuple[str, ...]], sizes: dict[str, int]) -> int:
    """The number of free entries in all tables together."""
    ### BEGIN SOLUTION
    return sum(
        (sizes[name] - 1) * math.prod(sizes[other] for other in above)
        for name, above in parents.items()
    )
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.count_parameters", count_parameters)

# %% [markdown]
# ## 3.2 The probability of a row (core)
#
# $$\log p(x) = \sum_v \log p\bigl(x_v \mid x_{\mathrm{parents}(v)}\bigr)$$
#
# Look up one entry of each table for each row, and add logarithms: a product of hundreds of probabilities would underflow.
# A tensor can be indexed by several tensors at once: `table[a, b, x]` with columns `a`, `b`, `x` of shape `(B,)` gives `(B,)`.
#
# `x` is `(B, V)`, `torch.int64`; return `(B,)`, in nats. A row of probability 0 has $\log p = -\infty$, and that is right.


# %% exercise={"id": "bayesnet.log_joint", "tier": "core", "minutes": 12, "points": 2}
def log_joint(
    x: Tensor, parents: dict[str, tuple[str, ...]], tables: dict[str, Tensor]
) -> Tensor:
    """log p(x) of each row, in nats: (B, V) -> (B,)."""
    ### BEGIN SOLUTION
    column = dict(zip(parents, x.T, strict=True))
    total = torch.zeros(len(x), dtype=torch.float64)
    for name, above in parents.items():
        entry = tables[name][tuple(column[other] for other in (*above, name))]  # (B,)
        total = total + entry.log()
    return total
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.log_joint", log_joint)

# %% [markdown]
# ## 3.3 Draw from the network (core)
#
# Ancestral sampling: draw each variable from the row of its table that belongs to the states its parents have got
# already. So parents come first. The keys of `parents` do **not** stand in that order: find it as you go.
#
# The chance is given: `u` is `(B, V)`, uniform in [0, 1), and its column $i$ is for the $i$-th key of `parents`. With the
# probabilities $p_0, p_1, \dots$ of a row, the state is the first $k$ with $u < p_0 + \dots + p_k$ (the last
# state, if rounding leaves none).
#
# Return the rows, `(B, V)`, `torch.int64`, with columns in the order of the keys.


# %% exercise={"id": "bayesnet.ancestral_sample", "tier": "core", "minutes": 20, "points": 3}
def ancestral_sample(
    u: Tensor, parents: dict[str, tuple[str, ...]], tables: dict[str, Tensor]
) -> Tensor:
    """Rows of p(x) from uniform numbers: (B, V) -> (B, V)."""
    ### BEGIN SOLUTION
    column: dict[str, Tensor] = {}
    while len(column) < len(parents):
        for i, (name, above) in enumerate(parents.items()):
            if name in column or any(other not in column for other in above):
                continue
            row = tables[name][tuple(column[other] for other in above)]  # (B, K) or (K,)
            edges = row.cumsum(-1)[..., :-1]
            column[name] = (u[:, i, None] >= edges).sum(-1)
    return torch.stack([column[name] for name in parents], dim=-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.ancestral_sample", ancestral_sample)

# %% [markdown]
# ## 3.4 Ask by enumeration (core)
#
# Every question has the same answer in four steps: multiply all tables into the joint, keep the part that agrees with the
# evidence, sum out what was not asked, normalize.
#
# $$p(q \mid e) = \frac{\sum_{\text{others}} p(q, e, \text{others})}{p(e)}$$
#
# The joint of a few variables fits in memory: make it one tensor with an axis for each variable. `torch.einsum` multiplies
# tables with named axes, and takes lists of numbers as names: `torch.einsum(a, [0, 1], b, [1, 2], [0, 1, 2])`.
#
# `query` is a name; `evidence` has the states of the observed variables, such as `{"alarm": 1}`, and may be empty. Return
# the distribution of the query, `(|query|,)`.


# %% exercise={"id": "bayesnet.enumerate_posterior", "tier": "core", "minutes": 20, "points": 3}
def enumerate_posterior(
    parents: dict[str, tuple[str, ...]],
    tables: dict[str, Tensor],
    query: str,
    evidence: dict[str, int],
) -> Tensor:
    """p(query | evidence) from the whole joint: (|query|,)."""
    ### BEGIN SOLUTION
    axis = {name: i for i, name in enumerate(parents)}
    operands = []
    for name, above in parents.items():
        operands += [tables[name], [axis[other] for other in (*above, name)]]
    joint = torch.einsum(*operands, list(axis.values()))
    for name, state in evidence.items():
        joint = joint.narrow(axis[name], state, 1)  # the axis stays, with size 1
    others = [axis[name] for name in parents if name != query]
    weight = joint.sum(others)
    return weight / weight.sum()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.enumerate_posterior", enumerate_posterior)

# %% [markdown]
# When the check has passed, make this picture for the network above: how likely is a storm, as more and more becomes known?
# The alarm makes a storm likelier; smoke then **explains the alarm away**; a short circuit points back to the storm.

# %% tags=["solution"]
known = [{}, {"alarm": 1}, {"alarm": 1, "smoke": 1}, {"alarm": 1, "smoke": 1, "short": 1}]
labels = ["nothing", "alarm", "alarm,\nsmoke", "alarm, smoke,\nshort circuit"]
storm = [
    enumerate_posterior(parents, tables, "storm", evidence)[1].item() for evidence in known
]

# %% jupyter={"source_hidden": true} tags=["solution"]
_, axes = plt.subplots(figsize=(6, 3))
bars = axes.bar(labels, storm)
axes.bar_label(bars, fmt="%.2f")
axes.set(ylabel="p(storm | what is known)", ylim=(0, 1))
caption("Smoke explains the alarm away; a short circuit points back to the storm.")

# %% [markdown]
# ## 3.5 One step of variable elimination (core)
#
# The joint of 37 variables fits into no memory. But a sum over one variable needs only the factors that hold it:
#
# $$\sum_a \phi_1(a, b)\, \phi_2(a, c)\, \phi_3(c, d) = \Bigl( \sum_a \phi_1(a, b)\, \phi_2(a, c) \Bigr)\, \phi_3(c, d).$$
#
# A **factor** is a pair: the names of its axes, and a tensor. Write the step in the brackets: multiply all factors that hold
# `name`, and sum `name` out.
#
# `factors` is a list of pairs such as `(("a", "b"), tensor)`. Return the new factor as such a pair, its names in the order
# of its axes, whatever order you like.


# %% exercise={"id": "bayesnet.eliminate", "tier": "core", "minutes": 20, "points": 3}
def eliminate(
    factors: list[tuple[tuple[str, ...], Tensor]], name: str
) -> tuple[tuple[str, ...], Tensor]:
    """The sum over `name` of the product of all factors that hold it: (names, values)."""
    ### BEGIN SOLUTION
    touching = [(names, values) for names, values in factors if name in names]
    number: dict[str, int] = {}
    for names, _ in touching:
        for other in names:
            number.setdefault(other, len(number))
    operands = []
    for names, values in touching:
        operands += [values, [number[other] for other in names]]
    rest = tuple(other for other in number if other != name)
    return rest, torch.einsum(*operands, [number[other] for other in rest])
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.eliminate", eliminate)

# %% [markdown]
# Repeated, this step answers every question: put the new factor in the place of those it was made of, until only the
# query is left. Try it on the network above, and compare with your exercise 3.4.

# %% [markdown]
# ## 3.6 Read independence off the arrows (extend)
#
# Are $a$ and $b$ independent once some variables are given? The arrows alone can promise it: $a$ and $b$ are **d-separated**
# if every path between them is blocked. A path is blocked when somewhere on it there is
#
# - a chain $\to m \to$ or a fork $\leftarrow m \to$ whose middle $m$ **is given**, or
# - a collider $\to m \leftarrow$ where **neither $m$ nor anything below it** is given.
#
# Two ways to decide it: follow the paths, and remember from which side you came; or keep only the ancestors of $a$, $b$ and
# the given ones, join all parents of a common child, forget the directions, remove the given ones, and look whether
# a way is left.
#
# `given` is a tuple of names without `a` and `b`. Return True if `a` and `b` are d-separated, else False.


# %% exercise={"id": "bayesnet.d_separated", "tier": "extend", "minutes": 25, "points": 3}
def d_separated(
    parents: dict[str, tuple[str, ...]], a: str, b: str, given: tuple[str, ...]
) -> bool:
    """Whether every path between a and b is blocked by what is given."""
    ### BEGIN SOLUTION
    relevant = {a, b, *given}
    while more := {up for name in relevant for up in parents[name]} - relevant:
        relevant |= more
    edges = set()
    for name in relevant:
        # A child and its parents all become neighbors of each other.
        edges |= {frozenset(pair) for pair in combinations((name, *parents[name]), 2)}
    reached = {a}
    while more := {
        name
        for edge in edges
        if edge & reached
        for name in edge - reached
        if name not in given
    }:
        reached |= more
    return b not in reached
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.d_separated", d_separated)

# %% [markdown]
# ## 3.7 Weigh what you drew (extend)
#
# To sample with evidence, set the observed variables to what was seen and draw all others as before. Such rows come too often
# where the evidence is unlikely, so each gets a **weight**, the probability of the evidence in that row:
#
# $$w_b = \prod_{e \,\in\, \text{evidence}} p\bigl(x_{b,e} \mid x_{b,\mathrm{parents}(e)}\bigr), \qquad
# p(q \mid \text{evidence}) \approx \frac{\sum_b w_b\, [x_{b,\text{query}} = q]}{\sum_b w_b}.$$
#
# With many observations all weights underflow: keep their logarithms to the end.
#
# `x` is `(B, V)`, rows drawn in this way: their evidence columns hold the observed states. `query` and `evidence` are as in
# exercise 3.4. Return the log-weights, `(B,)`, **not** normalized, and the estimated posterior, `(|query|,)`.


# %% exercise={"id": "bayesnet.likelihood_weights", "tier": "extend", "minutes": 18, "points": 2}
def likelihood_weights(
    x: Tensor,
    parents: dict[str, tuple[str, ...]],
    tables: dict[str, Tensor],
    query: str,
    evidence: dict[str, int],
) -> tuple[Tensor, Tensor]:
    """Log-weights (B,) of the rows and the estimate of p(query | evidence), (|query|,)."""
    ### BEGIN SOLUTION
    column = dict(zip(parents, x.T, strict=True))
    log_weights = torch.zeros(len(x), dtype=torch.float64)
    for name in evidence:
        entry = tables[name][tuple(column[other] for other in (*parents[name], name))]
        log_weights = log_weights + entry.log()
    share = log_weights.softmax(0)  # (B,), sums to one
    states = torch.arange(tables[query].shape[-1])
    return log_weights, share @ (column[query][:, None] == states).double()
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.likelihood_weights", likelihood_weights)

# %% [markdown]
# When the check has passed: how fast does the estimate come near the exact answer? (A table with all its weight on one
# state makes `ancestral_sample` set a variable.)

# %% tags=["solution"]
evidence = {"alarm": 1, "call": 1}
clamped = dict(tables)
for name, state in evidence.items():
    clamped[name] = torch.zeros_like(tables[name])
    clamped[name][..., state] = 1
exact = enumerate_posterior(parents, tables, "storm", evidence)[1].item()
generator = torch.Generator().manual_seed(0)
sizes_tried = [100, 300, 1000, 3000, 10_000, 30_000]
runs = []
for _ in range(8):
    runs.append([])
    for n in sizes_tried:
        u = torch.rand(n, len(parents), generator=generator, dtype=torch.float64)
        rows = ancestral_sample(u, parents, clamped)
        _, posterior = likelihood_weights(rows, parents, tables, "storm", evidence)
        runs[-1].append(posterior[1].item())

# %% jupyter={"source_hidden": true} tags=["solution"]
_, axes = plt.subplots(figsize=(6, 3.2))
for run, estimates in enumerate(runs):
    axes.plot(
        sizes_tried, estimates, ".-", color=PALETTE[5], label=None if run else "estimates"
    )
axes.axhline(exact, color=PALETTE[4], label="exact")
axes.set(xscale="log", xlabel="weighted rows", ylabel="p(storm | alarm, call)", ylim=(0, 1))
axes.legend()
caption("Eight runs: the estimates close in on the exact answer.")

# %% [markdown]
# ## 3.8 Fit a table: derivation and code (extend)
#
# For one state of the parents, let $N_k$ be the number of rows in which the variable has the state $k$, and $\theta_k$ the
# probability we look for. The log-likelihood of these rows is $\sum_k N_k \log \theta_k$.
#
# **Derive**
# 1. the $\theta$ that maximizes it under the constraint $\sum_k \theta_k = 1$ (a Lagrange multiplier helps);
# 2. the mean of the posterior $p(\theta \mid \text{rows})$ under the prior
#    $p(\theta) \propto \prod_k \theta_k^{\alpha - 1}$, a Dirichlet distribution. (The mean of
#    $\mathrm{Dirichlet}(a_1, \dots, a_K)$ is $a_k / \sum_j a_j$.)
#
# Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown] tags=["solution"]
# **Worked derivation.** *1.* Let $L(\theta, \lambda) = \sum_k N_k \log \theta_k - \lambda \bigl(\sum_k \theta_k - 1\bigr)$.
# At the maximum $\partial L / \partial \theta_k = N_k / \theta_k - \lambda = 0$, so $\theta_k = N_k / \lambda$. The
# constraint says $\sum_k N_k / \lambda = 1$, so $\lambda = \sum_j N_j$, the number of rows, and
#
# $$\theta_k = \frac{N_k}{\sum_j N_j}.$$
#
# The log-likelihood is concave, so this is its maximum: a share of counts.
#
# *2.* Bayes: $p(\theta \mid \text{rows}) \propto \prod_k \theta_k^{N_k} \cdot \prod_k \theta_k^{\alpha - 1} = \prod_k
# \theta_k^{N_k + \alpha - 1}$. That is $\mathrm{Dirichlet}(N_1 + \alpha, \dots, N_K + \alpha)$, and its mean is
#
# $$\mathrm E[\theta_k \mid \text{rows}] = \frac{N_k + \alpha}{\sum_j N_j + K \alpha}.$$
#
# The prior acts like $\alpha$ rows seen before in each state. With $\alpha = 0$ the first result comes back.

# %% [markdown]
# Now **in code**, for all states of the parents at once. `x` is `(B, V)` with columns in the order of `parents`; `name` is
# the variable; `sizes` has the number of states of each; `alpha` is 0 or more. Return the table, in the shape described at
# the top. Where `alpha` is 0 and the parents' states never occurred, nothing is known: give each state $1 / |X|$ there.


# %% exercise={"id": "bayesnet.fit_table", "tier": "extend", "minutes": 25, "points": 3}
def fit_table(
    x: Tensor,
    name: str,
    parents: dict[str, tuple[str, ...]],
    sizes: dict[str, int],
    alpha: float,
) -> Tensor:
    """The table of `name`, by counting: its parents' axes first, its own last."""
    ### BEGIN SOLUTION
    column = dict(zip(parents, x.T, strict=True))
    scope = (*parents[name], name)
    count = torch.full([sizes[other] for other in scope], float(alpha), dtype=torch.float64)
    cells = tuple(column[other] for other in scope)
    count.index_put_(cells, torch.ones(len(x), dtype=torch.float64), accumulate=True)
    total = count.sum(-1, keepdim=True)
    return torch.where(total > 0, count / total, 1 / sizes[name])
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.fit_table", fit_table)

# %% [markdown]
# ## 3.9 A step of Gibbs sampling (extend)
#
# Gibbs sampling draws one variable at a time, given all others. Of the product of all tables, only those matter that hold the
# variable: its own, and those of its **children**.
#
# $$p(x_i \mid \text{all others}) \;\propto\; p\bigl(x_i \mid x_{\mathrm{parents}(i)}\bigr)
# \prod_{c \,\in\, \text{children of } i} p\bigl(x_c \mid x_{\mathrm{parents}(c)}\bigr)$$
#
# `x` is `(B, V)`, `name` is the variable to draw anew: what stands in its column must not matter. Return its
# distribution in each row, `(B, |name|)`. It may have hundreds of children.


# %% exercise={"id": "bayesnet.gibbs_conditional", "tier": "extend", "minutes": 20, "points": 3}
def gibbs_conditional(
    x: Tensor, name: str, parents: dict[str, tuple[str, ...]], tables: dict[str, Tensor]
) -> Tensor:
    """p(name | all other variables) in each row: (B, V) -> (B, |name|)."""
    ### BEGIN SOLUTION
    column = dict(zip(parents, x.T, strict=True))
    involved = [name, *(child for child in parents if name in parents[child])]
    scores = []
    for state in range(tables[name].shape[-1]):
        column[name] = torch.full((len(x),), state)
        score = torch.zeros(len(x), dtype=torch.float64)
        for one in involved:
            scope = (*parents[one], one)
            score = score + tables[one][tuple(column[other] for other in scope)].log()
        scores.append(score)
    return torch.stack(scores, dim=-1).softmax(-1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.gibbs_conditional", gibbs_conditional)

# %% [markdown]
# ## 3.10 The best tree (extend)
#
# If each variable may have one parent at most, the best structure is found exactly (Chow and Liu, 1968): it is the
# spanning tree whose edges hold the most mutual information,
#
# $$I(a, b) = \sum_{i, j} p(a = i, b = j) \log \frac{p(a = i, b = j)}{p(a = i)\, p(b = j)},$$
#
# with $p$ the shares in the rows, in nats. Pairs of states that never meet add 0.
#
# `x` is `(B, V)`; the keys of `sizes` name its columns. Return the information, a symmetric matrix `(V, V)` whose diagonal
# does not matter, and the edges of the tree, a list of V − 1 pairs of names such as `("a", "b")`, in any order.


# %% exercise={"id": "bayesnet.chow_liu", "tier": "extend", "minutes": 30, "points": 3}
def chow_liu(x: Tensor, sizes: dict[str, int]) -> tuple[Tensor, list[tuple[str, str]]]:
    """Mutual information of all pairs (V, V), in nats, and the edges of the maximum spanning tree."""
    ### BEGIN SOLUTION
    names = list(sizes)
    member = [
        (x[:, i, None] == torch.arange(size)).double()
        for i, size in enumerate(sizes.values())
    ]  # (B, |X|) each
    information = torch.zeros(len(names), len(names), dtype=torch.float64)
    for i, j in combinations(range(len(names)), 2):
        p = member[i].T @ member[j] / len(x)  # (|A|, |B|)
        apart = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
        total = (torch.xlogy(p, p) - torch.xlogy(p, apart)).sum()
        information[i, j] = information[j, i] = total
    # From one variable on, always the heaviest edge to one that is not yet joined.
    joined, edges = [0], []
    while len(joined) < len(names):
        pairs = [(i, j) for i in joined for j in range(len(names)) if j not in joined]
        i, j = max(pairs, key=lambda pair: information[pair].item())
        joined.append(j)
        edges.append((names[i], names[j]))
    return information, edges
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("bayesnet.chow_liu", chow_liu)

# %% [markdown]
# ## 3.11 Challenge: find the arrows
#
# Somebody gives you 3,000 rows of eight yes-or-no columns, and no names. They come from a network with the arrows of
# *asia*, in which two variables depend on two others at once, and with probabilities that are drawn around those of the
# book. Find a structure, with **at most two parents** for each variable, that predicts new rows nearly as well as the true
# one does.
#
# Your function gets the rows `x`, `(3000, 8)`, and `sizes`, whose keys name the columns. It returns the structure: a dict
# with a tuple of parents for each name, and no circle of arrows. The check draws six such networks. For each it asks your
# function, fits the tables (counts plus one) and computes the mean log-likelihood of 20,000 rows that you have not seen.
# You reach the goal if it is, on average, at most **0.02 nats** a row below that of the true network. Independent columns
# miss it by far, and the best tree does, too.
#
# One way is hill climbing. Start without arrows, score a structure by the BIC,
#
# $$\sum_v \Bigl( \max_\theta \log p(\text{column } v \mid \text{its parents}) - \tfrac12 \log N \cdot
# (\text{free numbers in its table}) \Bigr),$$
#
# and go to the best neighbor, one arrow added, removed or turned, as long as that helps. The score is a sum over
# variables: only those whose parents changed have to be scored again. Many structures say the same (turn an arrow of a chain,
# and nothing changes), so do not expect the arrows of the book: the number counts. You have up to 60 seconds for all six.
#
# The next cell draws rows of the book's network to try your function on.

# %%
asia = BayesianNetwork.from_bif(path("bayesnets/asia.bif.gz"))
x_train = asia.sample(3000, torch.Generator().manual_seed(0))
sizes = {name: len(asia.states[name]) for name in asia.variables}
print(f"{tuple(x_train.shape)}, columns: {', '.join(sizes)}")


# %% exercise={"id": "bayesnet.learn_structure", "tier": "challenge", "minutes": 60, "points": 5}
def learn_structure(x: Tensor, sizes: dict[str, int]) -> dict[str, tuple[str, ...]]:
    """For each variable its parents, two at most, learned from rows (B, V)."""
    ### BEGIN SOLUTION
    names = list(sizes)
    column = dict(zip(names, x.T, strict=True))
    known: dict[tuple, float] = {}

    def score(name: str, above: frozenset[str]) -> float:
        if (name, above) not in known:
            cell = torch.zeros(len(x), dtype=torch.int64)
            for other in (*above, name):
                cell = cell * sizes[other] + column[other]
            rows = math.prod(sizes[other] for other in above)
            count = cell.bincount(minlength=rows * sizes[name]).double()
            count = count.reshape(rows, sizes[name])
            share = count / count.sum(-1, keepdim=True).clamp_min(1)
            price = 0.5 * math.log(len(x)) * rows * (sizes[name] - 1)
            known[name, above] = torch.xlogy(count, share).sum().item() - price
        return known[name, above]

    def has_circle(structure: dict[str, frozenset[str]]) -> bool:
        placed: set[str] = set()
        while new := {n for n in names if n not in placed and structure[n] <= placed}:
            placed |= new
        return len(placed) < len(names)

    def moves(structure: dict[str, frozenset[str]]):
        for a in names:
            for b in names:
                if a in structure[b]:
                    yield {b: structure[b] - {a}}
                    yield {b: structure[b] - {a}, a: structure[a] | {b}}
                elif a != b:
                    yield {b: structure[b] | {a}}

    structure = dict.fromkeys(names, frozenset())
    while True:
        gains = []
        for move in moves(structure):
            if any(len(above) > 2 for above in move.values()):
                continue
            gain = sum(
                score(n, above) - score(n, structure[n]) for n, above in move.items()
            )
            gains.append((gain, move))
        gains.sort(key=lambda pair: -pair[0])
        better = (structure | move for gain, move in gains if gain > 1e-9)
        following = next((one for one in better if not has_circle(one)), None)
        if following is None:
            return {name: tuple(sorted(above)) for name, above in structure.items()}
        structure = following
    ### END SOLUTION


# %%
check("bayesnet.learn_structure", learn_structure)

# %% [markdown]
# The target: the arrows that were found, beside the true ones.

# %% tags=["solution"]
places = {
    "asia": (0, 3),
    "smoke": (2.5, 3),
    "tub": (0, 2),
    "lung": (1.5, 2),
    "bronc": (3.5, 2),
    "either": (0.75, 1),
    "xray": (0, 0),
    "dysp": (2.5, 0),
}

# %% jupyter={"source_hidden": true} tags=["solution"]
_, both = plt.subplots(1, 2, figsize=(9, 4.2))
draw(asia.parents, places, both[0])
both[0].set_title("true")
draw(learn_structure(x_train, sizes), places, both[1], PALETTE[4])
both[1].set_title("learned from 3,000 rows")
caption(
    "Many structures say the same, so arrows may turn; what is weak in the rows may be missing."
)
