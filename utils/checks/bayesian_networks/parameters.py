"""Checks of chapter 3: tables: their size, the joint that they make, their estimate."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import expect
from utils.checks.bayesian_networks._networks import (
    EQUAL,
    HOUSE,
    SWAPPED,
    UNEQUAL,
    Parents,
    entries_of,
    exact_log_joint,
    random_rows,
    random_tables,
    with_swapped_parents,
)
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong

# --- the exercises ----------------------------------------------------------------------------------------------------


@exercise("bayesnet.count_parameters", call="count_parameters(parents, sizes)")
def count_parameters(answer: Callable, generator: Generator) -> None:
    random = {name: int(torch.randint(2, 6, (), generator=generator)) for name in HOUSE}
    for sizes in (UNEQUAL, random, dict(sorted(random.items()))):
        _count(expect.number(answer(HOUSE, sizes), "your count"), sizes)


def _count(value: Tensor, sizes: dict[str, int]) -> None:
    rows = {name: math.prod(sizes[above] for above in HOUSE[name]) for name in HOUSE}
    free = {name: sizes[name] - 1 for name in HOUSE}
    fewer = {name: math.prod(free[above] for above in HOUSE[name]) for name in HOUSE}
    added = {name: sum(sizes[above] for above in HOUSE[name]) or 1 for name in HOUSE}
    each_row = "|X| − 1 numbers for each combination of the parents' states."
    close(
        value,
        torch.tensor(sum(rows[name] * free[name] for name in HOUSE), dtype=torch.float64),
        [
            Mistake(
                sum(rows[name] * sizes[name] for name in HOUSE),
                "You counted every entry: each row of a table sums to one, so its last entry is not free.",
                each_row,
            ),
            Mistake(
                sum(rows[name] * sizes[name] - 1 for name in HOUSE),
                "You subtracted 1 for each table: it is each row of a table that sums to one.",
                each_row,
            ),
            Mistake(
                sum(free.values()),
                "You forgot the parents: a table has one row for each combination of their states.",
                "Multiply |X| − 1 by the number of rows.",
            ),
            Mistake(
                sum(added[name] * free[name] for name in HOUSE),
                "You add the parents' sizes: their states combine, so the sizes multiply.",
                "Use `math.prod`, which is 1 for no parents.",
            ),
            Mistake(
                sum(fewer[name] * free[name] for name in HOUSE),
                "You subtract 1 from the parents' sizes, too: every combination of their states needs its row.",
                "Only the variable itself has one number that is not free.",
            ),
            Mistake(
                sum(2 ** len(HOUSE[name]) * free[name] for name in HOUSE),
                "You took all parents for binary.",
                "A parent has `sizes[parent]` states.",
            ),
            Mistake(
                sum(rows[name] * free[name] for name in HOUSE if HOUSE[name]),
                "You forgot the variables without parents: their table has one row.",
                "An empty product is 1.",
            ),
            Mistake(
                math.prod(sizes.values()) - 1,
                "This is the count of the whole joint table: the network is there to avoid it.",
                "Add up the tables.",
            ),
        ],
        name="your count",
        hint="For each variable: (its states − 1) × (the product of its parents' numbers of states).",
    )


@exercise("bayesnet.log_joint", call="log_joint(x, parents, tables)")
def log_joint(answer: Callable, generator: Generator) -> None:
    tables, x = random_tables(generator, HOUSE, EQUAL), random_rows(generator, EQUAL, 8)
    n, width = x.shape
    truth = exact_log_joint(x, HOUSE, tables)
    factors = torch.stack([entries_of(x, HOUSE, tables, name) for name in HOUSE])  # (V, B)
    columns = dict(zip(HOUSE, x.T, strict=True))

    def variant(entry: Callable[[str], Tensor]) -> Tensor:
        return torch.stack([entry(name).log() for name in HOUSE]).sum(0)

    value = tensor(
        answer(x, HOUSE, tables),
        (n,),
        shapes=[
            Mistake((), "one number for all rows", "Sum over the variables only."),
            Mistake((n, width), "one number for each variable", "Sum over the variables."),
            Mistake((width, n), "one number for each variable", "Sum over the variables."),
        ],
    )
    by_tables = dict(zip(tables, x.T, strict=True))
    itself_first = {name: (name, *HOUSE[name]) for name in HOUSE}
    close(
        value,
        truth,
        [
            Mistake(truth.exp(), "You return the probability, not its logarithm.", "Sum the logarithms."),
            Mistake(-truth, "The sign is wrong: this is −log p(x).", "`log_joint` is higher where a row is likelier."),
            Mistake(truth / math.log(2), "These are bits: you took the logarithm to base 2.", "Nats: `log`."),
            Mistake(truth / width, "You average over the variables.", "A product of factors is a sum of logarithms."),
            Mistake(factors.sum(0).log(), "You add the probabilities: the factors multiply.", "Sum their logarithms."),
            Mistake(
                exact_log_joint(x, with_swapped_parents(HOUSE), tables),
                *SWAPPED,
            ),
            Mistake(
                variant(lambda name: tables[name][tuple(by_tables[other] for other in (*HOUSE[name], name))]),
                "You take the columns of `x` in the order of `tables`.",
                "Column i of `x` belongs to the i-th name in `parents`; tables are found by their names.",
            ),
            Mistake(
                variant(lambda name: tables[name][tuple(columns[other] for other in itself_first[name])]),
                "You put the variable's own axis first: it is the last.",
                "A table of X with parents (A, B) is indexed `[a, b, x]`.",
            ),
            Mistake(
                variant(lambda name: tables[name].reshape(-1, 3).mean(0)[columns[name]]),
                "You average over the parents' states.",
                "Each row says which states its parents have: look the entry up.",
            ),
            Mistake(
                variant(lambda name: tables[name].reshape(-1, 3)[0][columns[name]]),
                "You use the first row of each table, whatever states the parents have.",
                "Each row of `x` says which states its parents have.",
            ),
            Mistake(
                torch.stack([factors[i].log() for i, name in enumerate(HOUSE) if HOUSE[name]]).sum(0),
                "You left out the variables without parents.",
                "Their table has the shape (|X|,) and counts like the others.",
            ),
        ],
        hint="Look up one entry of each table, `tables[name][a, b, ..., x]`, and add the logarithms.",
    )
    tables, x = random_tables(generator, HOUSE, UNEQUAL), random_rows(generator, UNEQUAL, 8)
    close(
        tensor(answer(x, HOUSE, tables), (8,)),
        exact_log_joint(x, HOUSE, tables),
        name="your result for a network with tables of different shapes",
        hint="Column i of `x` belongs to the i-th name in `parents`.",
    )
    names = [f"x{i}" for i in range(600)]
    chain: Parents = {name: (names[i - 1],) if i else () for i, name in enumerate(names)}
    sizes = dict.fromkeys(chain, 3)
    tables, x = random_tables(generator, chain, sizes), random_rows(generator, sizes, 2)
    hint = "Take the logarithm of each factor first, then add."
    says = "For 600 variables the product of the probabilities underflows to 0."
    long = tensor(answer(x, chain, tables), (2,), not_finite=(says, hint))
    close(long, exact_log_joint(x, chain, tables), name="your result for 600 variables", hint=hint)
    certain = {"coin": torch.tensor([1.0, 0.0], dtype=torch.float64)}
    impossible = answer(torch.tensor([[0], [1]]), {"coin": ()}, certain)
    if impossible.tolist() != [0, -math.inf]:
        raise Wrong(
            "A row of probability 0 must have log p = −∞, and one of probability 1 must have 0.",
            "Add nothing to the probabilities before you take the logarithm.",
        )


@exercise("bayesnet.fit_table", call="fit_table(x, name, parents, sizes, alpha)")
def fit_table(answer: Callable, generator: Generator) -> None:
    for name, sizes in (("call", EQUAL), ("storm", EQUAL), ("short", UNEQUAL), ("smoke", UNEQUAL)):
        x = random_rows(generator, sizes, 400)
        sizes = dict(sorted(sizes.items()))  # found by name: the columns of `x` come in the order of `parents`
        columns = dict(zip(HOUSE, x.T, strict=True))
        scope = (*HOUSE[name], name)
        shape = tuple(sizes[one] for one in scope)
        count = torch.zeros(shape, dtype=torch.float64)
        for cell in zip(*(columns[one].tolist() for one in scope), strict=True):
            count[cell] += 1
        states = sizes[name]
        total = count.sum(-1, keepdim=True)
        for alpha in (0.0, 2.5):
            truth = (count + alpha) / (total + alpha * states)
            mistakes = [
                Mistake(
                    count + alpha, "These are counts, not probabilities.", "Divide by their sum over the last axis."
                ),
                Mistake(
                    (count + alpha) / (count + alpha).sum(),
                    "You normalize the whole table: this is p(parents, x), not p(x | parents).",
                    "Each row sums to one: divide by the sum over the last axis.",
                ),
                Mistake(
                    (count + alpha) / (count + alpha).sum(0, keepdim=True),
                    "You normalize over the first axis: that sums over a parent's states.",
                    "Each row sums to one over the variable itself, the last axis.",
                ),
                Mistake(
                    (count + alpha - 1) / (total + (alpha - 1) * states),
                    "This is the mode of the posterior: the mean is asked for.",
                    "The mean of Dirichlet(a_1, …, a_K) is a_k / Σ a.",
                ),
            ]
            if len(shape) == 3 and shape[0] == shape[1]:
                mistakes.append(
                    Mistake(
                        truth.transpose(0, 1),
                        *SWAPPED,
                    )
                )
            if alpha:
                mistakes += [
                    Mistake(
                        count / total,
                        "You ignore alpha: this is the maximum of the likelihood.",
                        "Add it to each count.",
                    ),
                    Mistake(
                        (count + alpha) / total,
                        "You add alpha to the counts, but not to what you divide by: the rows do not sum to one.",
                        "Every state got alpha, so the total grew by |X| · alpha.",
                    ),
                    Mistake(
                        count / (total + alpha * states),
                        "You add alpha only to what you divide by: the rows do not sum to one.",
                        "Every count gets alpha, too.",
                    ),
                    Mistake(
                        (count + alpha) / (total + alpha),
                        "You add alpha only once to the total: the rows do not sum to one.",
                        "Every state got alpha, so the total grew by |X| · alpha.",
                    ),
                    Mistake(
                        (count + alpha / states) / (total + alpha),
                        "You share alpha out among the states: each count gets the whole of it.",
                        "(count + alpha) / (total + |X| · alpha).",
                    ),
                    _alpha_in_one_state(count, alpha, first=True),
                    _alpha_in_one_state(count, alpha, first=False),
                ]
            value = tensor(answer(x, name, HOUSE, sizes, alpha), shape, name="your table")
            close(
                value,
                truth,
                mistakes,
                name="your table",
                hint="Count the rows for each combination of parents and variable, add alpha, divide by the row's sum.",
            )
    unseen = torch.zeros(5, len(HOUSE), dtype=torch.int64)
    unseen[0, list(HOUSE).index("short")] = 1  # seen once
    hint = "With no count at all and alpha = 0, give each state 1 / |X|."
    says = "Where the parents' states were never seen your table is 0/0."
    value = answer(unseen, "smoke", HOUSE, UNEQUAL, 0.0)
    truth = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    close(tensor(value, (3, 2), name="your table", not_finite=(says, hint)), truth, name="your table", hint=hint)
    value = tensor(answer(0 * unseen, "short", HOUSE, UNEQUAL, 0.0), (4, 3, 3), name="your table")

    def where_unseen(share: float) -> Tensor:
        table = torch.full((4, 3, 3), share, dtype=torch.float64)
        table[0, 0] = torch.tensor([1.0, 0.0, 0.0])
        return table

    mistakes = [
        Mistake(where_unseen(1 / 2), "Where nothing was seen you give each state ½, of however many.", hint),
        Mistake(where_unseen(1 / 36), "Where nothing was seen you divide 1 by the size of the whole table.", hint),
    ]
    close(value, where_unseen(1 / 3), mistakes, name="your table", hint=hint)


def _alpha_in_one_state(count: Tensor, alpha: float, first: bool) -> Mistake:
    more = count.clone()
    more[..., 0 if first else -1] += alpha
    return Mistake(
        more / more.sum(-1, keepdim=True), "You add alpha to one state only.", "Every state of every row gets alpha."
    )
