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
    "Left: who depends on whom. Right: what the model believes as it learns more (of the yellow ones). Each piece of news moves every belief."
)

# %% [markdown]
# Eight yes-no questions have $2^8 = 256$ answers. A table of their **joint distribution** would need 255 numbers, and one for alarm, a network of 37 variables that we meet later, about $10^{16}$. The picture needs far fewer. That is the whole trick of this chapter.

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
    "Wet grass makes the sprinkler a suspect. That it rained acquits it; that it did not convicts it."
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
# Here is the library's code for one product and for the elimination. Its tables are numpy arrays with named axes.

# %%
import inspect

from utils.models.bayesnets import factors

print(inspect.getsource(factors.product))
print(inspect.getsource(factors.eliminate))

# %% [markdown]
# **alarm** watches a patient under anaesthesia: 37 variables, from what the monitors show up to what may be wrong (Beinlich and others, 1989). A question with three observations, in three orders:

# %%
alarm = BayesianNetwork.from_bif(path("bayesnets/alarm.bif.gz"))
monitors = {"PRESS": "ZERO", "EXPCO2": "ZERO", "SAO2": "LOW"}
# Private names of the library, to look inside: the tables that matter for this question, sliced at the evidence.
relevant = alarm._relevant(["KINKEDTUBE"], alarm._index(monitors))
orders = {
    "min-fill": factors.min_fill(relevant, ["KINKEDTUBE"]),
    "children first": [
        v for v in reversed(alarm.order) if v not in (*monitors, "KINKEDTUBE")
    ],
    "parents first": [v for v in alarm.order if v not in (*monitors, "KINKEDTUBE")],
}
present = {name for factor in relevant for name in factor.names}


def table_sizes(steps: list) -> list[int]:
    """The cells of the table that each step of an elimination makes before it sums one variable out."""
    return [factors.product(step).values.size for step in steps]


for rule, order in orders.items():
    answer, steps = factors.eliminate(relevant, [name for name in order if name in present])
    cells = table_sizes(steps)
    values = answer.values / answer.values.sum()
    print(
        f"{rule:>14}: largest table {max(cells):>8,} cells, all tables {sum(cells):>8,}; p(kinked tube) = {values[0]:.6f}"
    )

# %% [markdown]
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
# Elimination ends when a table on the way no longer fits into memory. Then one samples. Two ways.
#
# **Likelihood weighting.** Sample along the arrows, but set the evidence to what was observed instead of drawing it, and give each sample the weight $w = \prod_{e} p(x_e \mid \mathrm{pa}(e))$: how well it explains the evidence. Weighted frequencies then tend to the posterior. If few samples carry all the weight, the estimate is poor, and the **effective sample size** $(\sum w)^2 / \sum w^2$ says so.
#
# **Gibbs sampling.** Start anywhere; redraw one variable after the other from its distribution given all others. Only its parents, its children and their other parents matter there: its **Markov blanket**.
#
# Both against the exact answer, three times. **sachs** describes proteins of a cell (Sachs and others, 2005): first told what is common, then what hardly ever happens. And **insurance** knows what drivers cost (Binder and others, 1997), told something rare.

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
    "Total variation distance to the exact posterior. Common evidence: both do well. Rare evidence: a few rows carry all the weight; Gibbs sampling wins where its chains move freely (middle), not where they are slow (right)."
)

# %% [markdown]
# ### Where Gibbs sampling fails
#
# In asia, `either` *is* "tuberculosis or lung cancer". A patient who never smoked comes back from Asia and has one of them. Let a chain start with cancer. To visit "tuberculosis and no cancer" it must change two variables, one at a time, and on the way neither is true: impossible. The road is there only through "both", which is very rare.

# %%
evidence = {"either": "yes", "asia": "yes", "smoke": "no"}
exact = asia.query("tub", evidence)
answer, each = asia.gibbs(
    "tub",
    evidence,
    n_samples=100,
    burn_in=10,
    chains=40,
    generator=generator,
    return_chains=True,
)
weighted, size = asia.likelihood_weighting("tub", evidence, 4000, generator)
at_yes = asia.states["tub"].index("yes")
record(
    "gibbs_chains_spread",
    each[:, at_yes].std().item(),
    unit="standard deviation",
    kind="score",
)
assert each[:, at_yes].std() > 0.1 > (weighted - exact).abs().max()

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.6))
ax.bar(range(40), each[:, at_yes].sort().values, color=PALETTE[0])
ax.axhline(exact[at_yes], color="black", linestyle="--", label="exact")
ax.axhline(weighted[at_yes], color=PALETTE[4], label="likelihood weighting, as many rows")
ax.set(xlabel="Gibbs chains, sorted", ylabel="p(tub | evidence)", ylim=(0, 1.35))
ax.legend(fontsize=8, ncols=2)
caption(
    "Forty chains, forty opinions: each stays near where it began. Weighting, with as many rows, does not notice the problem."
)

# %% [markdown]
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
# For general graphs no quick exact method is known. **Hill climbing** starts with no arrows and adds, removes or turns the one arrow that improves a score most, until nothing helps. The likelihood itself would add arrows for ever, so the score charges for parameters: $\log p(\text{data}) - \tfrac12 P \log N$, the BIC of chapter 4 times $-\tfrac12$.
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
    "How much less likely new rows are under each model than under the true network (lower is better, log scale). A tree gets most of it; a learned graph nearly all."
)

# %% [markdown]
# ### What the arrows do not say
#
# The learned graph of asia may have its arrows turned. $a \to b$ and $a \leftarrow b$ describe the same distributions, and no amount of data tells them apart; only colliders leave a trace. A learned arrow is **not** a cause.


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
    "Asia, true and learned. Dark edges connect the right pairs, some of them turned round; pale ones were invented, or stand in for an edge that rows hardly show."
)

# %% [markdown]
# ## 10 · Old friends as networks
#
# **Naive Bayes** (chapter 1) is one arrow from the class to each feature. A **mixture** (chapter 4) is the same picture with a class that nobody sees. If all variables are discrete, this chapter's machinery runs both. Here a mixture of Bernoullis over six pixels, with weights and probabilities drawn at random, is written as a network; summing out its hidden class must give the mixture's own $p(x)$, and asking for the class must give the responsibilities.

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
# 944 voters of the American National Election Study of 1996: education, income, age, party, news on television, where they see themselves and the candidates between left and right, and whom they meant to vote for. We bin the long scales, learn a graph from two thirds of the rows, and judge it on the rest.

# %%
table = np.genfromtxt(path("election_study.csv"), delimiter=",", names=True, dtype=int)
cuts = {"age": [35, 50, 65], "income": [10, 16, 20], "TVnews": [1, 4, 7], "educ": [3, 4, 5]}
three = [4, 5]  # left of the middle, the middle, right of it
columns = {
    "vote": table["vote"],
    "party": np.digitize(table["PID"], [2, 5]),  # Democrat, independent, Republican
    "self": np.digitize(table["selfLR"], three),
    "Clinton is": np.digitize(table["ClinLR"], three),
    "Dole is": np.digitize(table["DoleLR"], three),
} | {name: np.digitize(table[name], edges) for name, edges in cuts.items()}
voters = torch.as_tensor(np.stack(list(columns.values()), axis=1))
states = {
    name: [str(k) for k in range(values.max() + 1)] for name, values in columns.items()
}
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

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), width_ratios=(1.4, 1))
graph(left, model.parents, fill={"vote": "#F0E442"})
for party, color in enumerate((PALETTE[0], "0.5", PALETTE[4])):
    dole = [
        model.query("vote", {"party": party, "self": own})[1].item() for own in range(3)
    ]
    counts = [
        unseen[(unseen[:, 1] == party) & (unseen[:, 2] == own), 0].double()
        for own in range(3)
    ]
    right.plot(dole, color=color, label=("Democrat", "independent", "Republican")[party])
    for own, votes in enumerate(counts):
        if len(votes) >= 8:
            right.errorbar(
                own,
                votes.mean(),
                2 * (0.25 / len(votes)) ** 0.5,
                color=color,
                marker="o",
                capsize=3,
            )
right.set(
    xticks=range(3),
    xticklabels=["left", "middle", "right"],
    xlabel="sees themselves",
    ylabel="p(votes for Dole)",
    ylim=(-0.1, 1.1),
)
right.legend(fontsize=8)
caption(
    "Left: the graph that the table suggests. Right: what it believes of a voter (lines), and how such voters of the other part answered (dots, with two standard errors)."
)

# %% [markdown]
# Tree and graph are both far ahead of independent columns. Between themselves they are close: a few hundred rows cannot tell many finer dependencies from chance, and BIC knows it.
#
# And now the generative use: **voters who never existed**. A useful test of synthetic rows: train a classifier on them alone, and test it on real people.

# %%
from sklearn.linear_model import LogisticRegression

invented = {name: model.sample(630, generator) for name, model in candidates.items()} | {
    "real": seen
}
with record_table():
    for name, data in invented.items():
        classifier = LogisticRegression(max_iter=1000).fit(data[:, 1:], data[:, 0])
        record(
            f"vote_accuracy_{name}",
            classifier.score(unseen[:, 1:], unseen[:, 0]),
            kind="score",
        )
for row in model.sample(3, generator).tolist():
    print(
        ", ".join(f"{name} {states[name][k]}" for name, k in zip(states, row, strict=True))
    )

# %% [markdown]
# Careful with the word *synthetic*: a model that learned its tables too well can give a real person's rare answers away. Drawn is not the same as anonymous.

# %% [markdown]
# ## 12 · Where it fails: tables that grow
#
# Elimination is exact, not magic. On a grid, where each variable depends on the one above and the one to the left, every order must at some point hold a whole front of variables at once. The largest table doubles with each column, and the graph has nothing unusual about it.

# %%
sides, largest = range(2, 13), []
for side in sides:
    grid = {
        f"{i},{j}": [f"{a},{b}" for a, b in ((i - 1, j), (i, j - 1)) if a >= 0 and b >= 0]
        for i in range(side)
        for j in range(side)
    }
    tables = [
        factors.Factor((*above, name), np.ones((2,) * (len(above) + 1)))
        for name, above in grid.items()
    ]
    order = factors.min_fill(tables, [f"{side - 1},{side - 1}"])
    largest.append(max(table_sizes(factors.eliminate(tables, order)[1])))
assert largest[-1] > 50 * largest[3]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.semilogy(sides, largest, marker="o")
ax.set(xlabel="side of the grid", ylabel="cells of the largest table")
caption(
    "The largest table that min-fill needs on a grid. Each further column about doubles it: here sampling takes over."
)

# %% [markdown]
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
# 4. Counting is maximum likelihood; a prior count saves you from zeros. The best tree is a spanning tree; better graphs are found by climbing.
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
