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
# bayesnet.count_parameters · core · 6 minutes · 1 point
def count_parameters(parents: dict[str, tuple[str, ...]], sizes: dict[str, int]) -> int:
    """The number of free entries in all tables together."""
    raise NotImplementedError("bayesnet.count_parameters")


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
# bayesnet.log_joint · core · 12 minutes · 2 points
def log_joint(
    x: Tensor, parents: dict[str, tuple[str, ...]], tables: dict[str, Tensor]
) -> Tensor:
    """log p(x) of each row, in nats: (B, V) -> (B,)."""
    raise NotImplementedError("bayesnet.log_joint")


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
# bayesnet.ancestral_sample · core · 20 minutes · 3 points
def ancestral_sample(
    u: Tensor, parents: dict[str, tuple[str, ...]], tables: dict[str, Tensor]
) -> Tensor:
    """Rows of p(x) from uniform numbers: (B, V) -> (B, V)."""
    raise NotImplementedError("bayesnet.ancestral_sample")


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
# bayesnet.enumerate_posterior · core · 20 minutes · 3 points
def enumerate_posterior(
    parents: dict[str, tuple[str, ...]],
    tables: dict[str, Tensor],
    query: str,
    evidence: dict[str, int],
) -> Tensor:
    """p(query | evidence) from the whole joint: (|query|,)."""
    raise NotImplementedError("bayesnet.enumerate_posterior")


# %% tags=["nbval-check-output"]
check("bayesnet.enumerate_posterior", enumerate_posterior)


# %% [markdown]
# When the check has passed, make this picture for the network above: how likely is a storm, as more and more becomes known?
# The alarm makes a storm likelier; smoke then **explains the alarm away**; a short circuit points back to the storm.

# %% [markdown]
# *This picture is what you are after:*
#
# ![Smoke explains the alarm away; a short circuit points back to the storm.](attachment:target.png)
#
# *Smoke explains the alarm away; a short circuit points back to the storm.*

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
# bayesnet.eliminate · core · 20 minutes · 3 points
def eliminate(
    factors: list[tuple[tuple[str, ...], Tensor]], name: str
) -> tuple[tuple[str, ...], Tensor]:
    """The sum over `name` of the product of all factors that hold it: (names, values)."""
    raise NotImplementedError("bayesnet.eliminate")


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
# bayesnet.d_separated · extend · 25 minutes · 3 points
def d_separated(
    parents: dict[str, tuple[str, ...]], a: str, b: str, given: tuple[str, ...]
) -> bool:
    """Whether every path between a and b is blocked by what is given."""
    raise NotImplementedError("bayesnet.d_separated")


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
# bayesnet.likelihood_weights · extend · 18 minutes · 2 points
def likelihood_weights(
    x: Tensor,
    parents: dict[str, tuple[str, ...]],
    tables: dict[str, Tensor],
    query: str,
    evidence: dict[str, int],
) -> tuple[Tensor, Tensor]:
    """Log-weights (B,) of the rows and the estimate of p(query | evidence), (|query|,)."""
    raise NotImplementedError("bayesnet.likelihood_weights")


# %% tags=["nbval-check-output"]
check("bayesnet.likelihood_weights", likelihood_weights)


# %% [markdown]
# When the check has passed: how fast does the estimate come near the exact answer? (A table with all its weight on one
# state makes `ancestral_sample` set a variable.)

# %% [markdown]
# *This picture is what you are after:*
#
# ![Eight runs: the estimates close in on the exact answer.](attachment:target.png)
#
# *Eight runs: the estimates close in on the exact answer.*

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

# %% [markdown]
# Now **in code**, for all states of the parents at once. `x` is `(B, V)` with columns in the order of `parents`; `name` is
# the variable; `sizes` has the number of states of each; `alpha` is 0 or more. Return the table, in the shape described at
# the top. Where `alpha` is 0 and the parents' states never occurred, nothing is known: give each state $1 / |X|$ there.


# %% exercise={"id": "bayesnet.fit_table", "tier": "extend", "minutes": 25, "points": 3}
# bayesnet.fit_table · extend · 25 minutes · 3 points
def fit_table(
    x: Tensor,
    name: str,
    parents: dict[str, tuple[str, ...]],
    sizes: dict[str, int],
    alpha: float,
) -> Tensor:
    """The table of `name`, by counting: its parents' axes first, its own last."""
    raise NotImplementedError("bayesnet.fit_table")


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
# bayesnet.gibbs_conditional · extend · 20 minutes · 3 points
def gibbs_conditional(
    x: Tensor, name: str, parents: dict[str, tuple[str, ...]], tables: dict[str, Tensor]
) -> Tensor:
    """p(name | all other variables) in each row: (B, V) -> (B, |name|)."""
    raise NotImplementedError("bayesnet.gibbs_conditional")


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
# bayesnet.chow_liu · extend · 30 minutes · 3 points
def chow_liu(x: Tensor, sizes: dict[str, int]) -> tuple[Tensor, list[tuple[str, str]]]:
    """Mutual information of all pairs (V, V), in nats, and the edges of the maximum spanning tree."""
    raise NotImplementedError("bayesnet.chow_liu")


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
# bayesnet.learn_structure · challenge · 60 minutes · 5 points
def learn_structure(x: Tensor, sizes: dict[str, int]) -> dict[str, tuple[str, ...]]:
    """For each variable its parents, two at most, learned from rows (B, V)."""
    raise NotImplementedError("bayesnet.learn_structure")


# %%
check("bayesnet.learn_structure", learn_structure)

# %% [markdown]
# The target: the arrows that were found, beside the true ones.

# %% [markdown]
# *This picture is what you are after:*
#
# ![Many structures say the same, so arrows may turn; what is weak in the rows may be missing.](attachment:target.png)
#
# *Many structures say the same, so arrows may turn; what is weak in the rows may be missing.*
