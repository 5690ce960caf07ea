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
# # 3 · Bayesian networks
#
# **Write down what depends on what, and ask anything.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 100 minutes | under a minute, two cores | chapters 1 and 2 | break a joint distribution into small tables; read independence off a graph; answer questions exactly and by sampling; learn tables and graphs from data; draw rows of a table that never existed |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# Most generative models of this course deal with thousands of pixels that have no names. Here every variable has a name, and what we know about the world goes into a picture of boxes and arrows. Such models are small, so all questions have an exact answer, and every shortcut can be judged by it.

# %% tags=["parameters"]
seed = 3
rows = 10000
asked_samples = 100000
repeats = 8

# %%
import itertools
import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from utils.data import path
from utils.diagrams import graph
from utils.models.bayesnets import BayesianNetwork
from utils.plots import PALETTE, caption
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · A clinic in one picture
#
# A patient is short of breath (dyspnoea). Is it tuberculosis, lung cancer or bronchitis? Did a journey to Asia play a role, or smoking? The network below is Lauritzen and Spiegelhalter's from 1988. An arrow says: this depends directly on that.

# %%
asia = BayesianNetwork.from_bif(path("bayesnets/asia.bif.gz"))

names = ["tub", "lung", "bronc"]
cases = {
    "knowing nothing": {},
    "short of breath": {"dysp": "yes"},
    "… and a dark X-ray": {"dysp": "yes", "xray": "yes"},
    "… and a journey to Asia": {"dysp": "yes", "xray": "yes", "asia": "yes"},
}

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), width_ratios=(1.1, 1))
graph(left, asia.parents, fill={"dysp": "#F0E442", "xray": "#F0E442", "asia": "#F0E442"})
for at, (case, evidence) in enumerate(cases.items()):
    probs = [asia.query(name, evidence)[asia.states[name].index("yes")] for name in names]
    right.barh(np.arange(3) + 0.2 * (1.5 - at), probs, height=0.2, label=case)
right.set(yticks=range(3), yticklabels=names, xlabel="probability", xlim=(0, 1.2))
right.legend(fontsize=8)
caption(
    "Left: who depends on whom. Right: what the model believes as it is told one yellow variable after the other. Each observation moves every belief."
)

# %% [markdown]
# The names are short for visit to Asia, tuberculosis, smoking, lung cancer, bronchitis, "tuberculosis or lung cancer", X-ray and dyspnoea. Eight yes-no questions have $2^8 = 256$ answers. A table of their **joint distribution** would need 255 numbers, and one for alarm, a network of 37 variables that we meet later, about $10^{16}$. The picture needs far fewer. That is the whole trick of this chapter.

# %%
for name in ("asia", "sachs", "child", "insurance", "alarm"):
    network = BayesianNetwork.from_bif(path(f"bayesnets/{name}.bif.gz"))
    joint = math.prod(len(states) for states in network.states.values()) - 1
    print(
        f"{name:>9}: {len(network.variables):>2} variables; full table {joint:.3g} numbers, network {network.n_parameters}"
    )

# %% [markdown]
# ## 2 · The mathematics
#
# ### A joint distribution in pieces
#
# The **chain rule** always holds. For any order of the variables,
#
# $$p(x_1, \dots, x_V) = \prod_{v=1}^V p(x_v \mid x_1, \dots, x_{v-1}).$$
#
# It saves nothing: the last factor alone is a table over all variables. A **Bayesian network** states that most of these conditions do not matter. Each variable needs only a few others, its **parents** $\mathrm{pa}(v)$:
#
# $$p(x) = \prod_{v=1}^V p(x_v \mid x_{\mathrm{pa}(v)}).$$
#
# The arrows from parents to children must not run in a circle. Each factor is a small **table**: one row for each state of the parents, and each row sums to one. A row with $C$ entries has $C - 1$ free numbers, so the network has $\sum_v (C_v - 1) \prod_{u \in \mathrm{pa}(v)} C_u$ of them.
#
# ### It is a recipe
#
# Sort the variables so that parents come before children. Draw each one given its parents. That is **ancestral sampling**, the same story as in chapter 1 (first the class, then the image) with more chapters.
#
# ### Questions
#
# To **query** means to ask for $p(\text{some} \mid \text{evidence})$. By definition,
#
# $$p(a \mid e) = \frac{p(a, e)}{p(e)} = \frac{\sum_{\text{all others}} p(a, e, \text{others})}{\sum_{a} \sum_{\text{all others}} p(a, e, \text{others})}.$$
#
# Two sums; the art is to do them without visiting all states.

# %% [markdown]
# ## 3 · From scratch
#
# Four variables: is it cloudy, is the sprinkler on, does it rain, is the grass wet? States are 0 (no) and 1 (yes). The table of a variable has one axis for each parent and, last, one for itself. With so few variables we can hold the whole joint distribution in one tensor and answer by summing.

# %%
parents = {
    "cloudy": (),
    "sprinkler": ("cloudy",),
    "rain": ("cloudy",),
    "wet": ("sprinkler", "rain"),
}
yes = {  # p(variable = 1 | parents)
    "cloudy": 0.5,
    "sprinkler": [0.5, 0.1],
    "rain": [0.2, 0.8],
    "wet": [[0.01, 0.9], [0.9, 0.99]],
}
yes = {name: torch.tensor(p, dtype=torch.float64) for name, p in yes.items()}
tables = {name: torch.stack([1 - p, p], dim=-1) for name, p in yes.items()}


def joint_tensor(parents, tables) -> Tensor:
    """p of all states at once: one axis a variable, in the order of `parents`."""
    axis = {name: at for at, name in enumerate(parents)}
    operands = []
    for name, table in tables.items():
        operands += [table, [axis[other] for other in (*parents[name], name)]]
    return torch.einsum(*operands, list(range(len(parents))))


def ancestral_sample(parents, tables, n, generator) -> dict[str, Tensor]:
    """n draws of each variable, (n,), parents before children."""
    drawn = {}
    for name, above in parents.items():
        probs = tables[name][tuple(drawn[other] for other in above)].expand(n, -1)  # (n, C)
        drawn[name] = torch.multinomial(probs, 1, generator=generator)[:, 0]
    return drawn


def enumerate_query(parents, tables, name, evidence) -> Tensor:
    """p(name | evidence): slice the joint at the evidence, sum out the rest, divide by the total."""
    joint = joint_tensor(parents, tables)[
        tuple(evidence.get(other, slice(None)) for other in parents)
    ]
    left_over = [other for other in parents if other not in evidence]
    unscaled = torch.einsum(joint, list(range(len(left_over))), [left_over.index(name)])
    return unscaled / unscaled.sum()


# %% [markdown]
# ## 4 · Checks against known answers
#
# Four facts. The joint sums to one. Samples occur as often as the joint says. A query answers what counting among samples answers. And `pgmpy`, a well-known library for Bayesian networks, says the same.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of its own old modules
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork
    from pgmpy.readwrite import BIFReader

joint = joint_tensor(parents, tables)
assert abs(joint.sum() - 1) < 1e-12

drawn = ancestral_sample(parents, tables, asked_samples, generator)
cells = torch.stack(list(drawn.values())).T @ torch.tensor([8, 4, 2, 1])
counted = torch.bincount(cells, minlength=16) / asked_samples
error = (joint * (1 - joint) / asked_samples).sqrt().flatten()
worst = ((counted - joint.flatten()).abs() / error).max().item()
print(f"sampled frequencies: at most {worst:.1f} standard errors from the joint")
assert worst < 5

exact = enumerate_query(parents, tables, "rain", {"wet": 1})[1].item()
among = drawn["rain"][drawn["wet"] == 1].double()
print(
    f"p(rain | wet): enumerated {exact:.4f}, counted among samples {among.mean():.4f} ± {among.std() / math.sqrt(len(among)):.4f}"
)
assert abs(among.mean() - exact) < 5 * among.std() / math.sqrt(len(among))

theirs = DiscreteBayesianNetwork(
    [(above, name) for name in parents for above in parents[name]]
)
for name, above in parents.items():
    values = tables[name].movedim(-1, 0).reshape(2, -1)
    theirs.add_cpds(
        TabularCPD(name, 2, values.numpy(), list(above) or None, [2] * len(above) or None)
    )
their_answer = (
    VariableElimination(theirs).query(["rain"], {"wet": 1}, show_progress=False).values[1]
)
print(f"p(rain | wet) by pgmpy: {their_answer:.4f}")
assert abs(their_answer - exact) < 1e-12

# %% [markdown]
# ## 5 · Reading independence off the arrows
#
# ### Explaining away
#
# The grass is wet. Then somebody tells you that it rained. Is the sprinkler still a suspect?

# %%
stories = {
    "nothing": {},
    "wet": {"wet": 1},
    "wet, rain": {"wet": 1, "rain": 1},
    "wet, no rain": {"wet": 1, "rain": 0},
}
beliefs = [
    enumerate_query(parents, tables, "sprinkler", e)[1].item() for e in stories.values()
]
assert beliefs[1] > beliefs[0] and beliefs[2] < beliefs[1] < beliefs[3]

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.8))
graph(left, parents)
right.barh(list(stories), beliefs, color=[PALETTE[0], PALETTE[0], PALETTE[2], PALETTE[4]])
right.invert_yaxis()
right.set(xlabel="p(sprinkler was on | what we know)", xlim=(0, 1))
caption(
    "Wet grass raises the belief that the sprinkler was on. To hear that it rained lowers it again; to hear that it did not rain raises it further."
)

# %% [markdown]
# This is **explaining away**, and it is why arrows matter. Three ways in which two arrows meet at a middle variable $m$:
#
# | | without knowing $m$ | knowing $m$ |
# |---|---|---|
# | chain $a \to m \to b$ | dependent | independent |
# | fork $a \leftarrow m \to b$ | dependent | independent |
# | collider $a \to m \leftarrow b$ | **independent** | **dependent** |
#
# A path between two variables is **blocked** by what we know if it has a chain or fork whose middle is known, or a collider of which neither the middle nor anything below it is known. If all paths are blocked, $a$ and $b$ are **d-separated**, and then they are independent given what we know, whatever numbers stand in the tables.
#
# An algorithm can check all paths at once: a ball rolls through the graph and bounces as the rules say (Shachter's *Bayes ball*). We let it judge every pair of variables of asia, given nothing or given one third variable, and compare with the truth: the **conditional mutual information** $I(a; b \mid c)$, which is 0 exactly when $a$ and $b$ are independent given $c$. Once from the exact joint, once from samples.

# %%
from utils.models.bayesnets import d_separated

variables = list(asia.variables)
full = asia.query(variables)  # all 256 states: asia is small enough
samples = asia.sample(asked_samples, generator)
weights = 2 ** torch.arange(7, -1, -1)
sampled = torch.bincount(samples @ weights, minlength=256).double().reshape(
    full.shape
) / len(samples)


def conditional_mutual_information(joint: Tensor, a: int, b: int, c: int | None) -> float:
    """Σ p(a,b,c) log p(a,b,c) p(c) / (p(a,c) p(b,c)) in nats, from a tensor with one axis a variable."""
    keep = [a, b] if c is None else [a, b, c]
    p = torch.einsum(joint, list(range(joint.ndim)), keep).reshape(2, 2, -1)  # (a, b, c)
    p_ac, p_bc, p_c = (
        p.sum(1, keepdim=True),
        p.sum(0, keepdim=True),
        p.sum((0, 1), keepdim=True),
    )
    return (
        (
            torch.xlogy(p, p)
            + torch.xlogy(p, p_c)
            - torch.xlogy(p, p_ac)
            - torch.xlogy(p, p_bc)
        )
        .sum()
        .item()
    )


found = {True: [], False: []}
for a, b in itertools.combinations(range(8), 2):
    for c in [None, *(k for k in range(8) if k not in (a, b))]:
        given = () if c is None else variables[c]
        separated = d_separated(asia, variables[a], variables[b], given)
        information = [conditional_mutual_information(p, a, b, c) for p in (full, sampled)]
        found[separated].append([max(value, 1e-17) for value in information])
assert max(exact for exact, _ in found[True]) < 1e-12
record("d_separated_statements", len(found[True]), kind="exact")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.5, 3.4))
for separated, color in ((True, PALETTE[0]), (False, PALETTE[1])):
    ax.loglog(
        *np.array(found[separated]).T,
        ".",
        color=color,
        label="d-separated" if separated else "connected",
    )
ax.set(xlabel="exact I(a; b | c) in nats", ylabel="the same from samples")
ax.legend()
caption(
    "Every pair of asia's variables, given nothing or a third. What the ball calls separated is exactly independent (left edge, up to rounding); samples see it as far as their noise allows."
)

# %% [markdown]
# The rule works in one direction only: separated means independent. Connected means that dependence is *possible*. It can be too weak for a sample to see, as the lower end of the orange cloud shows. And numbers can cancel it: let $z$ say whether two fair coins $x$ and $y$ differ. There is an arrow from $x$ to $z$, and still $z$ alone tells nothing about $x$.

# %%
coin = torch.tensor([0.5, 0.5], dtype=torch.float64)
differ = torch.tensor([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], dtype=torch.float64)
coins = joint_tensor(
    {"x": (), "y": (), "z": ("x", "y")}, {"x": coin, "y": coin, "z": differ}
)
for given, c in (("nothing", None), ("y", 1)):
    print(f"I(x; z | {given}) = {conditional_mutual_information(coins, 0, 2, c):.4f} nats")
assert conditional_mutual_information(coins, 0, 2, None) < 1e-12

# %% [markdown]
# ## 6 · Exact answers without the joint
#
# ### Variable elimination
#
# Sums can be moved inward past everything that does not contain their variable. In a chain $a \to b \to c \to d$,
#
# $$p(d) = \sum_{a, b, c} p(a)\, p(b \mid a)\, p(c \mid b)\, p(d \mid c) = \sum_c p(d \mid c) \sum_b p(c \mid b) \sum_a p(b \mid a)\, p(a).$$
#
# Instead of one sum over everything there are three small ones. In general: pick a variable, multiply all tables that contain it, sum it out, put the result back as a new table. Repeat. The result does not depend on the order; the size of the tables on the way does. **Min-fill** is a good rule for the order: next comes the variable whose removal ties the fewest strangers together.
#
# Here it is, from scratch. A **factor** is a table together with the names of its axes. One product is one `einsum`; the elimination multiplies what contains the variable, sums it out, and puts the result back.


# %%
def multiply(factors):
    """The product of tables with named axes: the names of all their variables, and the table."""
    names = list(dict.fromkeys(name for scope, _ in factors for name in scope))
    operands = []
    for scope, table in factors:
        operands += [table, [names.index(name) for name in scope]]
    return names, torch.einsum(*operands, list(range(len(names))))


def eliminate(factors, order):
    """Sum out the variables of `order`, one by one; also the cells of the table that each step makes."""
    factors, cells = list(factors), []
    for name in order:
        names, table = multiply([factor for factor in factors if name in factor[0]])
        cells.append(table.numel())
        axis = names.index(name)
        message = ([*names[:axis], *names[axis + 1 :]], table.sum(axis))
        factors = [*(factor for factor in factors if name not in factor[0]), message]
    return multiply(factors), cells


def min_fill(scopes, keep=()):
    """An order for all variables but those of `keep`: next comes the one that ties the fewest strangers."""
    near = {name: set() for scope in scopes for name in scope}
    for scope in scopes:
        for name in scope:
            near[name] |= set(scope) - {name}

    def strangers(name):
        return sum(b not in near[a] for a, b in itertools.combinations(near[name], 2))

    order = []
    while waiting := [name for name in near if name not in keep]:
        best = min(waiting, key=strangers)
        order.append(best)
        around = near.pop(best)
        for name in (
            around
        ):  # what is left is one table of all its neighbors: they know each other now
            near[name] = (near[name] | around) - {name, best}
    return order


# %% [markdown]
# **alarm** watches a patient under anaesthesia: 37 variables, from what the monitors show up to what may be wrong (Beinlich and others, 1989). We ask about one tube, given three observations, in three orders of elimination. Two things make the tables smaller before we begin. An observed variable is no axis any more: its tables are sliced at the observed state. And only what is asked, what is observed and what lies *above* these matters: all other tables sum to one.

# %%
alarm = BayesianNetwork.from_bif(path("bayesnets/alarm.bif.gz"))
monitors = {"PRESS": "ZERO", "EXPCO2": "ZERO", "SAO2": "LOW"}
observed = {name: alarm.states[name].index(state) for name, state in monitors.items()}
relevant = {"KINKEDTUBE", *monitors}
while more := {above for name in relevant for above in alarm.parents[name]} - relevant:
    relevant |= more


def sliced(network: BayesianNetwork, name: str, observed: dict[str, int]):
    """The table of a variable with the names of its axes, at the observed states."""
    scope = (*network.parents[name], name)
    cut = tuple(observed.get(other, slice(None)) for other in scope)
    return [other for other in scope if other not in observed], network.tables[name][cut]


factors = [sliced(alarm, name, observed) for name in alarm.variables if name in relevant]
open_ = [v for v in alarm.order if v in relevant and v not in (*monitors, "KINKEDTUBE")]
orders = {
    "min-fill": min_fill([scope for scope, _ in factors], ["KINKEDTUBE"]),
    "children first": open_[::-1],
    "parents first": open_,
}
for rule, order in orders.items():
    (_, unscaled), cells = eliminate(factors, order)
    values = unscaled / unscaled.sum()
    print(
        f"{rule:>14}: largest table {max(cells):>8,} cells, all tables {sum(cells):>8,}; p(kinked tube) = {values[0]:.6f}"
    )
    assert torch.allclose(values, alarm.query("KINKEDTUBE", monitors), atol=1e-12)

# %% [markdown]
# All orders give the same answer, and so does the library's `query`. Its elimination, in [`utils/models/bayesnets/factors.py`](../../utils/models/bayesnets/factors.py), does these steps with more care for speed (each table waits in a bucket for its first variable) and for numbers that become too small.
#
# Now `pgmpy` and ours, all variables that are not observed, one after the other; and one picture of what a diagnosis looks like.

# %%
import gzip

text = gzip.decompress(path("bayesnets/alarm.bif.gz").read_bytes()).decode()
their_engine = VariableElimination(BIFReader(string=text).get_model())
hidden = [name for name in alarm.variables if name not in monitors]
largest = 0.0
for name in hidden:
    theirs = their_engine.query([name], monitors, show_progress=False)
    in_our_order = [theirs.state_names[name].index(state) for state in alarm.states[name]]
    largest = max(
        largest,
        np.abs(theirs.values[in_our_order] - alarm.query(name, monitors).numpy()).max(),
    )
record("alarm_query_error", largest, kind="exact")
assert largest < 1e-10

causes = [
    "KINKEDTUBE",
    "INTUBATION",
    "DISCONNECT",
    "PULMEMBOLUS",
    "ANAPHYLAXIS",
    "INSUFFANESTH",
    "LVFAILURE",
    "HYPOVOLEMIA",
]
normal = {
    "KINKEDTUBE": "FALSE",
    "INTUBATION": "NORMAL",
    "DISCONNECT": "FALSE",
    "PULMEMBOLUS": "FALSE",
}
trouble = [
    [
        1
        - alarm.query(cause, e)[
            alarm.states[cause].index(normal.get(cause, "FALSE"))
        ].item()
        for cause in causes
    ]
    for e in ({}, monitors)
]

# %% jupyter={"source_hidden": true} tags=["picture"]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.2), width_ratios=(2.3, 1))
colors = {name: "#F0E442" for name in monitors} | {name: "#56B4E9" for name in causes}
graph(left, alarm.parents, fill=colors, fontsize=6.5)
at = np.arange(len(causes))
right.barh(at - 0.2, trouble[0], height=0.4, color="0.7", label="before")
right.barh(
    at + 0.2, trouble[1], height=0.4, color=PALETTE[0], label="after three observations"
)
right.set(yticks=at, yticklabels=causes, xlabel="probability of trouble")
right.tick_params(axis="y", labelsize=7)
right.invert_yaxis()
right.legend(fontsize=8)
caption(
    "Left: alarm. Yellow is what the monitors say (no pressure, no CO₂ breathed out, little oxygen), blue what may be wrong. Right: the belief in each before and after."
)

# %% [markdown]
# ## 7 · Answers by sampling, and their errors
#
# Elimination ends when a table on the way no longer fits into memory. Then one samples. There are two ways.
#
# **Likelihood weighting.** Sample along the arrows, but set the evidence to what was observed instead of drawing it, and give each sample the weight $w = \prod_{e} p(x_e \mid \mathrm{pa}(e))$: how well it explains the evidence. Weighted frequencies then tend to the posterior. If a few samples carry all the weight, the estimate is poor, and the **effective sample size** $(\sum w)^2 / \sum w^2$ says so.
#
# **Gibbs sampling.** Start anywhere; redraw one variable after the other from its distribution given all others. Only its parents, its children and their other parents matter there: its **Markov blanket**.
#
# We compare both with the exact answer, three times. The network **sachs** describes proteins of a cell (Sachs and others, 2005); we observe first what is common, then what hardly ever happens. The network **insurance** describes what drivers cost (Binder and others, 1997); there we observe something rare.

# %%
questions = {
    "sachs, common": ("PKA", {"Akt": "LOW", "P38": "LOW"}),
    "sachs, rare": ("Plcg", {"Akt": "HIGH", "P38": "HIGH", "Jnk": "HIGH", "PIP2": "HIGH"}),
    "insurance, rare": (
        "DrivingSkill",
        {
            "MedCost": "HundredThou",
            "ILiCost": "Million",
            "PropCost": "Million",
            "DrivHist": "Zero",
        },
    ),
}
budgets = [1000, 3000, 10000]
distances = {}  # title → method → mean distance for each budget
with record_table():
    for title, (asked, evidence) in questions.items():
        network = BayesianNetwork.from_bif(path(f"bayesnets/{title.split(',')[0]}.bif.gz"))
        exact = network.query(asked, evidence)
        errors, worth = {"likelihood weighting": [], "Gibbs": []}, []
        for n in budgets:
            for name in errors:
                each = []
                for _ in range(repeats):
                    if (
                        name == "Gibbs"
                    ):  # 100 chains; a tenth of their sweeps to forget the start
                        answer = network.gibbs(
                            asked, evidence, n // 100, n // 1000, 100, generator
                        )
                    else:
                        answer, size = network.likelihood_weighting(
                            asked, evidence, n, generator
                        )
                        worth.append(size / n)
                    each.append((answer - exact).abs().sum().item() / 2)
                errors[name].append(np.mean(each))
        distances[title] = errors
        p = math.exp(network.log_evidence(evidence))
        print(
            f"{title}: p(evidence) = {p:.1e}, a weighted row is worth {np.mean(worth):.4f} independent rows"
        )
        for name, error in errors.items():
            key = f"{name.split()[-1].lower()}_error_{title.replace(', ', '_')}"
            record(key, error[-1], unit="total variation", kind="score")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, sharey=True, figsize=(10, 3.2))
for ax, (title, errors) in zip(axes, distances.items(), strict=True):
    for name, error in errors.items():
        ax.loglog(budgets, error, marker="o", label=name)
    ax.set(title=title, xlabel="rows drawn")
axes[0].set(ylabel="distance to the exact answer")
axes[0].legend(fontsize=8)
caption(
    "Total variation distance to the exact posterior. With common evidence weighting is ahead and both do well. With rare evidence a few rows carry all the weight: Gibbs sampling is better where its chains move freely (middle), and worse where they are slow (right)."
)

# %% [markdown]
# ### Where Gibbs sampling fails
#
# In asia, `either` *is* "tuberculosis or lung cancer". A patient who never smoked comes back from Asia and has one of them. Suppose that a chain is at "cancer, no tuberculosis". To visit "tuberculosis, no cancer" it must change two variables, one at a time. It cannot pass through "neither", which is impossible. The only road leads through "both", which is rare. So the chain does get across, but it takes many sweeps.
#
# We start 200 chains on the one side and 200 on the other. The joint distribution of asia is in memory (section 5), so that a Gibbs sweep from scratch takes a few lines.


# %%
def sweep(chains: Tensor, free: list[int]) -> Tensor:
    """Redraw each free variable of each chain, (B, 8), given all others."""
    chains = chains.clone()
    for v in free:
        options = []
        for state in (0, 1):
            chains[:, v] = state
            options.append(full[tuple(chains.T)])  # p(v = state, all others)
        drawn_states = torch.multinomial(torch.stack(options, 1), 1, generator=generator)
        chains[:, v] = drawn_states[:, 0]
    return chains


evidence = {"either": "yes", "asia": "yes", "smoke": "no"}
free = [at for at, name in enumerate(variables) if name not in evidence]
tub, yes_state = variables.index("tub"), asia.states["tub"].index("yes")
exact = asia.query("tub", evidence)[yes_state].item()
traces = {}  # name of the start → tuberculosis or not, (sweeps, chains)
for begin, other in (("tub", "lung"), ("lung", "tub")):
    start = evidence | {
        begin: "yes",
        other: "no",
        "bronc": "no",
        "xray": "yes",
        "dysp": "yes",
    }
    states_of = [asia.states[name].index(start[name]) for name in variables]
    chains = torch.tensor(states_of).repeat(200, 1)  # (200, 8)
    trace = []
    for _ in range(100):
        chains = sweep(chains, free)
        trace.append((chains[:, tub] == yes_state).double())
    traces[begin] = torch.stack(trace)
each = torch.cat([trace.mean(0) for trace in traces.values()])  # the average of each chain
weighted, size = asia.likelihood_weighting("tub", evidence, 4000, generator)
with record_table():
    record("gibbs_exact", exact, kind="exact")
    for begin, trace in traces.items():
        record(f"gibbs_average_from_{begin}", trace.mean().item(), kind="score")
        record(f"gibbs_end_from_{begin}", trace[-20:].mean().item(), kind="score")
    record(
        "gibbs_chains_spread", each.std().item(), unit="standard deviation", kind="score"
    )
assert each.std() > 0.1 > abs(weighted[yes_state] - exact)
assert traces["lung"].mean() + 0.05 < exact  # 100 sweeps on average still know their start,
assert abs(traces["lung"][-20:].mean() - exact) < 0.1  # the last of them hardly any more

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
for (begin, trace), color in zip(traces.items(), (PALETTE[0], PALETTE[1]), strict=True):
    left.plot(range(1, 101), trace.mean(1), color=color, label=f"200 chains from {begin}")
    right.hist(trace.mean(0), bins=np.linspace(0, 1, 26), color=color, alpha=0.6)
left.set(xlabel="sweep", ylabel="share with tuberculosis", ylim=(0, 1.05))
right.set(xlabel="average of one chain over 100 sweeps", ylabel="chains")
for line in (left.axhline, right.axvline):
    line(exact, color="black", linestyle="--", label="exact")
left.legend(fontsize=8)
caption(
    "Left: from both starts the chains come to the exact answer, but those that began with cancer need dozens of sweeps. Right: so a single chain of 100 sweeps can answer almost anything."
)

# %% [markdown]
# This is **slow mixing**: no chain is trapped for ever, and with enough sweeps all of them agree. But neighboring sweeps are so much alike that a hundred of them are worth only a few independent draws. Likelihood weighting, whose rows are independent, has no such difficulty here.
#
# The cures: several chains from different starts, which at least show the problem; redrawing tied variables together; or weighting. And first of all: do not sample where elimination is exact.

# %% [markdown]
# ## 8 · Learning the tables
#
# Given rows of data and a graph, which tables make the data most likely? The log-likelihood is a sum over variables and parent states, and each row of a table appears alone in its part, so the answer is to **count**:
#
# $$\hat p(x_v = k \mid \mathrm{pa} = j) = \frac{N_{jk}}{\sum_{k'} N_{jk'}}.$$
#
# What never happened gets probability 0. One such row in new data, and its log-likelihood is $-\infty$. The cure is a **Dirichlet prior**: pretend to have seen each cell $\alpha$ times before. The posterior mean is $(N_{jk} + \alpha) / \sum_{k'} (N_{jk'} + \alpha)$.

# %%
new_rows = alarm.sample(10000, generator)
truth = alarm.log_prob(new_rows).mean().item()
sizes = [100, 300, 1000, 3000, 10000, 30000]
gaps, impossible = {}, {}  # α → for each size: nats missing to the truth, share of rows
for alpha in (0.0, 0.01, 0.1, 1.0):
    gaps[alpha], impossible[alpha] = [], []
    for n in sizes:
        fitted = BayesianNetwork(alarm.parents, alarm.states).fit(
            alarm.sample(n, generator), alpha
        )
        log_prob = fitted.log_prob(new_rows)
        gaps[alpha].append(truth - log_prob.mean().item())
        impossible[alpha].append(log_prob.isneginf().double().mean().item())
assert impossible[0.0][0] > 0.1

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.semilogx(sizes, impossible[0.0], marker="o", color=PALETTE[0])
for alpha, color in zip((0.01, 0.1, 1.0), PALETTE[1:], strict=False):
    right.loglog(sizes, gaps[alpha], marker="o", color=color, label=f"α = {alpha:g}")
left.set(
    xlabel="rows to learn from", ylabel="share", title="new rows called impossible, α = 0"
)
right.set(
    xlabel="rows to learn from", ylabel="nats a row", title="what is missing to the truth"
)
right.legend()
caption(
    "Learning alarm's tables. Left: plain counting calls many possible rows impossible. Right: with a small prior count the model closes in on the true network."
)

# %% [markdown]
# ## 9 · Learning the graph
#
# ### The best tree
#
# If every variable may have **one** parent at most, the best graph can be found exactly. The likelihood of a tree is a constant plus the sum of $I(x_v; x_{\mathrm{pa}(v)})$ over its edges, so the best tree is the **maximum spanning tree** of the mutual information (Chow and Liu, 1968).
#
# ### Climbing a hill
#
# For general graphs no quick exact method is known. **Hill climbing** starts with no arrows and adds, removes or turns the one arrow that improves a score most, until nothing helps. The likelihood itself would add arrows for ever, so the score charges for parameters: $\log p(\text{data}) - \tfrac12 P \log N$, where $P$ counts the free numbers in all tables and $N$ the rows. This is the **Bayesian information criterion**, BIC: each further number must earn half a $\log N$ of likelihood. (It is often multiplied by $-2$, so that lower is better; chapter 4 does so.)
#
# We draw rows from five known networks, learn from them, and compare on new rows with the **true** network, which no model can beat on average.

# %%
from utils.models.bayesnets import chow_liu, hill_climb

gaps, learned = {}, {}
with record_table():
    for name in ("asia", "sachs", "child", "insurance", "alarm"):
        true = BayesianNetwork.from_bif(path(f"bayesnets/{name}.bif.gz"))
        data, new = true.sample(rows, generator), true.sample(50000, generator)
        learned[name] = hill_climb(data, true.states, max_parents=3, alpha=0.5)
        models = {
            "independent columns": BayesianNetwork({}, true.states).fit(data, alpha=0.5),
            "best tree": chow_liu(data, true.states, alpha=0.5),
            "hill climbing": learned[name],
            "true graph": BayesianNetwork(true.parents, true.states).fit(data, alpha=0.5),
        }
        target = true.log_prob(new)
        gaps[name] = [
            (target - model.log_prob(new)).mean().item() for model in models.values()
        ]
        undirected = [
            {frozenset(edge) for edge in network.edges} for network in (true, learned[name])
        ]
        shared = len(undirected[0] & undirected[1])
        print(
            f"{name:>9}: {len(undirected[0])} true edges, {len(undirected[1])} learned, {shared} in both"
        )
        record(f"{name}_heldout_gap", gaps[name][2], unit="nats/row", kind="score")
        assert gaps[name][0] > gaps[name][1] > gaps[name][2]
    record("asia_gap_independent", gaps["asia"][0], unit="nats/row", kind="score")
    record("asia_gap_tree", gaps["asia"][1], unit="nats/row", kind="score")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8.5, 3.2))
for at, name in enumerate(models):
    ax.bar(
        np.arange(5) + 0.2 * (at - 1.5),
        [gaps[key][at] for key in gaps],
        width=0.2,
        label=name,
    )
ax.set(yscale="log", xticks=range(5), xticklabels=gaps, ylabel="nats a row below the truth")
ax.legend(fontsize=8, ncols=2)
caption(
    "How much less likely new rows are under each model than under the true network (lower is better, log scale). On every network the learned graph is ahead of the tree, and the tree of independent columns."
)

# %% [markdown]
# ### What the arrows do not say
#
# Some arrows of the learned graph of asia may point the other way. $a \to b$ and $a \leftarrow b$ describe the same distributions, and no amount of data tells them apart; only colliders leave a trace. A learned arrow is **not** a cause.


# %%
def same_distribution(first: BayesianNetwork, x: Tensor) -> float:
    """Largest difference of log p(x) between a two-variable network and the one with its arrow turned."""
    turned = BayesianNetwork({"smoke": ["lung"]}, first.states).fit(x)
    return (first.log_prob(x) - turned.log_prob(x)).abs().max().item()


pair = asia.sample(rows, generator)[:, [variables.index("smoke"), variables.index("lung")]]
two = {name: asia.states[name] for name in ("smoke", "lung")}
difference = same_distribution(BayesianNetwork({"lung": ["smoke"]}, two).fit(pair), pair)
print(f"smoke → lung and lung → smoke: log p differs by at most {difference:.1e}")
assert difference < 1e-12

true_pairs = {frozenset(edge) for edge in asia.edges}

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
graph(left, asia.parents)
left.set_title("true")
graph(
    right,
    learned["asia"].parents,
    strong=[e for e in learned["asia"].edges if frozenset(e) in true_pairs] or [("", "")],
)
right.set_title("learned")
caption(
    "Asia, true and learned. Dark edges of the learned graph connect pairs that are connected in the true one, in the same direction or not; pale edges connect others."
)

# %% [markdown]
# ## 10 · Old friends as networks
#
# **Naive Bayes** (chapter 1) is one arrow from the class to each feature. A **mixture** (chapter 4) is the same picture with a class that nobody sees. If all variables are discrete, this chapter's machinery runs both. Here a mixture of Bernoullis over six pixels, fitted to 500 images that were drawn at random, is written as a network. Summing out its hidden class must give the mixture's own $p(x)$, and asking for the class must give the mixture's own $p(z \mid x)$; chapter 4 calls these probabilities responsibilities.

# %%
from utils.models.mixtures import BernoulliMixture

pixels = [f"pixel {d}" for d in range(6)]
some = (torch.rand(500, 6, generator=generator) < torch.linspace(0.1, 0.9, 6)).double()
mixture = BernoulliMixture(3, max_iter=50, generator=generator).fit(some)
network = BayesianNetwork(
    {pixel: ["z"] for pixel in pixels},
    {"z": ["0", "1", "2"]} | {pixel: ["off", "on"] for pixel in pixels},
    {"z": mixture.weights}
    | {
        p: torch.stack([1 - q, q], -1) for p, q in zip(pixels, mixture.probs.T, strict=True)
    },
)
image = some[0]
evidence = dict(zip(pixels, image.long().tolist(), strict=True))
print(
    f"log p(image): mixture {mixture.log_prob(image[None]).item():.6f}, network {network.log_evidence(evidence):.6f}"
)
assert abs(mixture.log_prob(image[None]).item() - network.log_evidence(evidence)) < 1e-6
assert torch.allclose(
    network.query("z", evidence), mixture.predict_proba(image[None])[0].double(), atol=1e-6
)

# %% [markdown]
# ## 11 · A generative model of a real table
#
# 944 voters of the American National Election Study of 1996: education, income, age, party, news on television, where they see themselves and the candidates between left and right, and whom they meant to vote for. We divide the long scales into a few classes, learn a graph from two thirds of the rows, and judge it on the rest.

# %%
table = np.genfromtxt(path("election_study.csv"), delimiter=",", names=True, dtype=int)
cuts = {"age": [35, 50, 65], "income": [10, 16, 20], "TVnews": [1, 4, 7], "educ": [3, 4, 5]}
three = [4, 5]  # left of the middle, the middle, right of it
sides_ = ["left", "middle", "right"]
states = {
    "vote": ["Clinton", "Dole"],
    "party": ["Democrat", "independent", "Republican"],
    "self": sides_,
    "Clinton is": sides_,
    "Dole is": sides_,
    "age": ["under 35", "35 to 49", "50 to 64", "65 or more"],
    "income": ["under $14,000", "to $30,000", "to $50,000", "$50,000 or more"],
    "TVnews": ["never", "1 to 3 days", "4 to 6 days", "every day"],
    "educ": ["no degree", "high school", "some college", "college degree"],
}
columns = {
    "vote": table["vote"],
    "party": np.digitize(table["PID"], [2, 5]),  # Democrat, independent, Republican
    "self": np.digitize(table["selfLR"], three),
    "Clinton is": np.digitize(table["ClinLR"], three),
    "Dole is": np.digitize(table["DoleLR"], three),
} | {name: np.digitize(table[name], edges) for name, edges in cuts.items()}
voters = torch.as_tensor(np.stack(list(columns.values()), axis=1))
assert all(values.max() + 1 == len(states[name]) for name, values in columns.items())
order = torch.randperm(len(voters), generator=generator)
seen, unseen = voters[order[:630]], voters[order[630:]]

candidates = {
    "independent": BayesianNetwork({}, states).fit(seen, alpha=1),
    "tree": chow_liu(seen, states, alpha=1),
    "hill_climbing": hill_climb(
        seen, states, max_parents=3, restarts=5, alpha=1, generator=generator
    ),
}
with record_table():
    for name, model in candidates.items():
        record(
            f"voters_nll_{name}",
            -model.log_prob(unseen).mean().item(),
            unit="nats/voter",
            kind="exact",
        )
        assert (
            name == "independent"
            or model.log_prob(unseen).mean()
            > candidates["independent"].log_prob(unseen).mean() + 0.3
        )
model = candidates["hill_climbing"]
ahead = model.log_prob(unseen) - candidates["tree"].log_prob(unseen)  # of each unseen voter
standard_error = ahead.std().item() / math.sqrt(len(ahead))
print(f"graph before tree: {ahead.mean():+.3f} ± {standard_error:.3f} nats a voter")
assert abs(ahead.mean().item()) < 5 * standard_error

believed, answered = (
    {},
    {},
)  # of each party: p(Dole) of the model; share, low and high of voters
for party, name in enumerate(states["party"]):
    believed[name], answered[name] = [], []
    for own in range(3):
        evidence = {"party": party, "self": own}
        believed[name].append(model.query("vote", evidence)[1].item())
        votes = unseen[(unseen[:, 1] == party) & (unseen[:, 2] == own), 0]
        if len(votes) >= 8:  # Wilson's interval of 95 % never leaves [0, 1]
            interval = binomtest(int(votes.sum()), len(votes)).proportion_ci(
                method="wilson"
            )
            answered[name].append((own, votes.double().mean().item(), *interval))

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), width_ratios=(1.4, 1))
graph(left, model.parents, fill={"vote": "#F0E442"})
for shift, (name, color) in enumerate(
    zip(states["party"], (PALETTE[0], "0.5", PALETTE[4]), strict=True)
):
    right.plot(believed[name], color=color, label=name)
    own, share, below, above_ = map(np.array, zip(*answered[name], strict=True))
    bars = (share - below, above_ - share)
    place = own + 0.06 * (shift - 1)
    right.errorbar(place, share, bars, color=color, fmt="o", capsize=3)
right.set(
    xticks=range(3),
    xticklabels=states["self"],
    xlabel="sees themselves",
    ylabel="p(votes for Dole)",
    ylim=(-0.02, 1.02),
)
right.legend(fontsize=8)
caption(
    "Left: the graph that the table suggests. Right: what it believes of a voter (lines), and how such voters among the unseen rows answered (dots, with intervals of 95 %)."
)

# %% [markdown]
# Tree and graph are both far ahead of independent columns. Between the two no winner can be named: their difference, printed above with its standard error, may be chance. A few hundred rows cannot tell finer dependencies from chance, and BIC adds few arrows that a tree has not.
#
# And now the generative use: **voters who never existed**. A useful test of synthetic rows: train a classifier on them alone, and test it on real people.

# %%
from sklearn.linear_model import LogisticRegression

invented = {name: model.sample(630, generator) for name, model in candidates.items()} | {
    "real": seen
}
vote_accuracy = {}
with record_table():
    for name, data in invented.items():
        classifier = LogisticRegression(max_iter=1000).fit(data[:, 1:], data[:, 0])
        vote_accuracy[name] = classifier.score(unseen[:, 1:], unseen[:, 0])
        record(f"vote_accuracy_{name}", vote_accuracy[name], kind="score")
assert vote_accuracy["hill_climbing"] > vote_accuracy["real"] - 0.06
assert vote_accuracy["independent"] < vote_accuracy["tree"] - 0.1
for row in model.sample(3, generator).tolist():
    print(
        "; ".join(f"{name}: {states[name][k]}" for name, k in zip(states, row, strict=True))
    )

# %% [markdown]
# A classifier that never saw a real person, only rows drawn from the learned graph or the tree, is nearly as good as one that was trained on the real rows. From independent columns nothing can be learned: the vote there has nothing to do with the rest.
#
# Careful with the word *synthetic*: a model that learned its tables too well can give a real person's rare answers away. Drawn is not the same as anonymous.

# %% [markdown]
# ## 12 · Where it fails: tables that grow
#
# Elimination is exact, not magic. On a grid, where each variable depends on the one above and the one to the left, every order must at some point hold a whole front of variables at once, and a front is about as long as the side of the grid. So the largest table grows exponentially with the side, although each variable has two parents only. We try two orders: row by row, like reading, and min-fill.

# %%
sides, largest = range(2, 13), {"min-fill": [], "row by row": []}
for side in sides:
    grid = {
        f"{i},{j}": [f"{a},{b}" for a, b in ((i - 1, j), (i, j - 1)) if a >= 0 and b >= 0]
        for i in range(side)
        for j in range(side)
    }
    ones = [
        ((*above, name), torch.ones((2,) * (len(above) + 1)))
        for name, above in grid.items()
    ]
    asked = f"{side - 1},{side - 1}"  # the last one in reading order
    by_rule = {
        "min-fill": min_fill([scope for scope, _ in ones], [asked]),
        "row by row": [name for name in grid if name != asked],
    }
    for rule, order in by_rule.items():
        largest[rule].append(max(eliminate(ones, order)[1]))
by_row, by_fill = (np.array(largest[rule]) for rule in ("row by row", "min-fill"))
assert (by_row == 2 ** (np.array(sides) + 1)).all()  # it doubles exactly
print(f"side 12: row by row {by_row[-1]:,} cells, min-fill {by_fill[-1]:,}")
assert by_fill[-1] > 4 * by_row[-1]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6, 2.8))
for (rule, cells), marker in zip(largest.items(), "os", strict=True):
    ax.semilogy(sides, cells, marker=marker, label=rule)
ax.set(xlabel="side of the grid", ylabel="cells of the largest table")
ax.legend()
caption(
    "The largest table of an elimination on a grid. Row by row it doubles with each further column; the order that min-fill finds is worse on large grids. Both grow exponentially: here sampling takes over."
)

# %% [markdown]
# Min-fill looks one step ahead only. On alarm it was the best of three orders; on a large grid the plain reading order needs far smaller tables. A good rule is still only a rule of thumb, and to find the best order is a hard problem of its own. Here it is known: for a grid of side $n$ no order gets by with a table of fewer than $n + 1$ variables (its *treewidth* is $n$), and the reading order needs no more. So the growth is no fault of the order.
#
# An image is such a grid with thousands of variables. That is why the models of the coming chapters never sum over states: they choose their factors so that sampling or the likelihood stays cheap.

# %% [markdown]
# ## 13 · What this family is good and bad at
#
# From here on, most chapters teach one family of models and end with the same table. It grows by a row each time.

# %%
from utils.families import families

families("03")

# %% [markdown]
# ## 14 · Remember
#
# 1. A Bayesian network is a joint distribution as a product of small tables, one for each variable given its parents.
# 2. Sampling follows the arrows. Questions go against them: sum out what you do not know, in a good order.
# 3. d-separation reads independence off the graph. Knowing a common effect ties its causes together.
# 4. Counting is maximum likelihood; a prior count saves you from zeros. The best tree is a spanning tree; better graphs are found by climbing, and an arrow found so is not a cause.
# 5. When tables grow too large, weight samples or run chains, and check them where exact answers exist.
#
# **Exercises**: `course start 03`, then open `work/03_bayesian_networks/exercises.ipynb`.
#
# **Further reading**
# - J. Pearl: *Probabilistic Reasoning in Intelligent Systems*, 1988.
# - S. L. Lauritzen, D. J. Spiegelhalter: *Local computations with probabilities on graphical structures and their application to expert systems*, Journal of the Royal Statistical Society B, 1988: asia.
# - D. Koller, N. Friedman: *Probabilistic Graphical Models*, 2009: all of this chapter, in depth.
# - C. K. Chow, C. N. Liu: *Approximating discrete probability distributions with dependence trees*, IEEE Transactions on Information Theory, 1968.
# - R. D. Shachter: *Bayes-ball: the rational pastime*, UAI 1998, arXiv:1301.7412.
# - D. Heckerman: *A tutorial on learning with Bayesian networks*, 1995, arXiv:2002.00269.
# - K. Sachs, O. Perez, D. Pe'er, D. A. Lauffenburger, G. P. Nolan: *Causal protein-signaling networks derived from multiparameter single-cell data*, Science, 2005.
