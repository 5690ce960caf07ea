"""Checks of chapter 3: ancestral sampling, likelihood weighting, Gibbs sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Generator, Tensor

from utils.checks.bayesian_networks._networks import (
    EQUAL,
    HOUSE,
    SWAPPED,
    UNEQUAL,
    Parents,
    draw_in_order,
    entries_of,
    exact_log_joint,
    exact_posterior,
    inverse_cdf,
    parents_first,
    random_rows,
    random_tables,
    with_swapped_parents,
)
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


@exercise("bayesnet.ancestral_sample", call="ancestral_sample(u, parents, tables)")
def ancestral_sample(answer: Callable, generator: Generator) -> None:
    for sizes in (EQUAL, UNEQUAL):
        tables = random_tables(generator, HOUSE, sizes)
        u = torch.rand(200, len(HOUSE), generator=generator, dtype=torch.float64)
        order = parents_first(HOUSE)
        truth = draw_in_order(u, HOUSE, tables, order, inverse_cdf)
        mistakes = []
        if sizes is EQUAL:

            def draw(u=u, parents=HOUSE, tables=tables, order=order, pick=inverse_cdf) -> Tensor:
                return draw_in_order(u, parents, tables, order, pick).double()

            as_drawn = torch.empty_like(u)
            for i, name in enumerate(order):
                as_drawn[:, list(HOUSE).index(name)] = u[:, i]
            alone = {name: table.reshape(-1, 3).mean(0).expand_as(table) for name, table in tables.items()}
            mistakes = [
                Mistake(
                    draw(order=list(HOUSE)),
                    "You draw children before their parents: the names are not in that order.",
                    "Draw a variable only when all its parents are drawn.",
                ),
                Mistake(
                    draw(parents=with_swapped_parents(HOUSE)),
                    *SWAPPED,
                ),
                Mistake(
                    draw(as_drawn),
                    "You use the columns of `u` in the order of drawing.",
                    "Column i of `u`, like column i of the result, belongs to the i-th name in `parents`.",
                ),
                Mistake(
                    draw(u[:, :1].expand_as(u)),
                    "You use one uniform number for all variables of a row: they become dependent.",
                    "Column i of `u` belongs to the i-th name in `parents`.",
                ),
                Mistake(
                    draw(tables=alone),
                    "You draw each variable without looking at its parents.",
                    "Take the row of the table that belongs to the parents' states.",
                ),
                Mistake(
                    draw(pick=lambda u, row: row.argmax(-1)),
                    "You take the likeliest state: that is no draw.",
                    "The state k is the first with u < p_0 + … + p_k.",
                ),
                Mistake(
                    draw(pick=lambda u, row: (u[:, None] < row.cumsum(-1)[:, :-1]).sum(-1)),
                    "You count the boundaries above u; the state is the number of boundaries at or below it.",
                    "The state k is the first with u < p_0 + … + p_k.",
                ),
            ]
        value = tensor(
            answer(u, HOUSE, tables),
            u.shape,
            torch.int64,
            shapes=[
                Mistake(u.T.shape, "one row for each variable", "One column for each: `torch.stack(..., dim=-1)`.")
            ],
        )
        close(
            value.double(),
            truth.double(),
            mistakes,
            name="your sample",
            hint="The state k is the first with u < p_0 + … + p_k, in the row that belongs to the parents' states.",
        )
    _reversed_chain(answer, generator)
    coins = {"cause": torch.tensor([0.0, 0.5, 0.5]), "effect": torch.tensor([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])}
    u = torch.tensor([[0.0, 0.0], [1 - 2**-53, 0.0], [0.7, 1 - 2**-53]], dtype=torch.float64)  # effect, cause
    value = answer(u, {"effect": ("cause",), "cause": ()}, {name: table.double() for name, table in coins.items()})
    drawn = tensor(value, (3, 2), torch.int64).tolist()
    if drawn != [[1, 1], [1, 1], [0, 2]]:
        raise Wrong(
            f"With uniform numbers of 0 and almost 1 you draw {drawn}: among them is a state of probability 0.",
            "The condition is u < p_0 + … + p_k, not ≤: u may be 0, and is always below 1.",
        )
    die = {"die": torch.full((3,), 0.333333, dtype=torch.float64)}
    beyond = tensor(answer(torch.tensor([[0.9999995]], dtype=torch.float64), {"die": ()}, die), (1, 1), torch.int64)
    if beyond.item() != 2:
        raise Wrong(
            f"Where a row sums to 0.999999 you draw state {beyond.item()} of 0, 1, 2 for u = 0.9999995.",
            "Rounding may leave the last sum below 1: the last state takes what is left.",
        )


def _reversed_chain(answer: Callable, generator: Generator) -> None:
    """Five variables, each above its own parent: a sweep through the keys settles one of them."""
    chain: Parents = {"e": ("d",), "d": ("c",), "c": ("b",), "b": ("a",), "a": ()}
    tables = random_tables(generator, chain, dict.fromkeys(chain, 3))
    u = torch.rand(100, len(chain), generator=generator, dtype=torch.float64)
    truth, *sweeps = (
        draw_in_order(u, chain, tables, order, inverse_cdf).double()
        for order in (list(chain)[::-1], *(list(chain) * k for k in range(1, 5)))
    )
    says = (
        "You go through the keys a few times: in a long chain some children are still drawn from what is no draw yet."
    )
    hint = "Draw a variable only when all its parents are drawn."
    value = tensor(answer(u, chain, tables), u.shape, torch.int64).double()
    close(value, truth, [Mistake(one, says, hint) for one in sweeps], name="your sample of a chain", hint=hint)


@exercise("bayesnet.likelihood_weights", call="likelihood_weights(x, parents, tables, query, evidence)")
def likelihood_weights(answer: Callable, generator: Generator) -> None:
    names = ("the log-weights", "the posterior")
    for sizes, query, evidence in (
        (EQUAL, "storm", {"call": 1, "alarm": 0, "age": 2}),
        (UNEQUAL, "short", {"storm": 3, "smoke": 1, "call": 0}),
    ):
        tables, n = random_tables(generator, HOUSE, sizes), 60
        uniform = torch.rand(n, len(HOUSE), generator=generator, dtype=torch.float64)
        clamped = dict(tables)
        for name, state in evidence.items():
            clamped[name] = (
                torch.nn.functional.one_hot(torch.tensor(state), sizes[name]).double().expand_as(tables[name])
            )
        x = draw_in_order(uniform, HOUSE, clamped, parents_first(HOUSE), inverse_cdf)
        factors = {name: entries_of(x, HOUSE, tables, name).log() for name in HOUSE}
        log_weights = sum(factors[name] for name in evidence)
        weights = log_weights.exp()
        everything = sum(factors.values())
        member = torch.nn.functional.one_hot(x[:, list(HOUSE).index(query)], sizes[query]).double()  # (B, K)
        swapped = (
            sum(entries_of(x, with_swapped_parents(HOUSE), tables, name).log() for name in evidence)
            if sizes is EQUAL
            else weights
        )
        marginal = sum(exact_posterior(HOUSE, tables, name, {})[state].log() for name, state in evidence.items())
        value, posterior = parts(answer(x, HOUSE, tables, query, evidence), names)
        close(
            tensor(value, (n,), name=names[0], shapes=[Mistake((), "one number", "Every row has its own weight.")]),
            log_weights,
            [
                Mistake(weights, "You return the weights, not their logarithms.", "Add logarithms."),
                Mistake(
                    -log_weights,
                    "Your log-weights have the wrong sign.",
                    "A row that explains the evidence weighs more.",
                ),
                Mistake(
                    everything,
                    "You weigh with the whole joint: what was drawn has its probability already.",
                    "Only the tables of the observed variables enter the weight.",
                ),
                Mistake(
                    everything - log_weights,
                    "You weigh with the variables that were drawn, not with those observed.",
                    "The weight is Π p(e | parents) over the evidence.",
                ),
                Mistake(
                    log_weights.log_softmax(0),
                    "Your log-weights are normalized already.",
                    "Return Σ log p(e | parents); their mean weight estimates p(evidence).",
                ),
                Mistake(
                    marginal.expand(n),
                    "All your weights are equal: you use p(e) where p(e | parents) belongs.",
                    "Look up each table with the states of that row.",
                ),
                Mistake(
                    sum(factors[one] for one in evidence if HOUSE[one]),
                    "You leave out what was observed of variables without parents.",
                    "Their tables give p(e) itself: it belongs to the weight, too.",
                ),
                Mistake(
                    swapped,
                    *SWAPPED,
                ),
            ],
            name=names[0],
            hint="For each row: the sum of log p(e | parents) over the observed variables.",
        )
        shares = weights @ member
        close(
            tensor(posterior, (sizes[query],), name=names[1], shapes=_states_that_occur(sizes[query])),
            shares / weights.sum(),
            [
                Mistake(
                    member.mean(0),
                    "You count all rows alike: the weights do not enter your posterior.",
                    "Sum the weights of the rows in each state.",
                ),
                Mistake(shares, "Your posterior is not normalized: these are sums of weights.", "Divide by their sum."),
                Mistake(
                    shares / n,
                    "You divide by the number of rows: the weights do not sum to it.",
                    "Divide by the sum of the weights.",
                ),
                Mistake(
                    log_weights @ member / log_weights.sum(),
                    "You average with the logarithms of the weights.",
                    "Take `exp`, or `softmax` of the log-weights.",
                ),
                Mistake(
                    exact_posterior(HOUSE, tables, query, evidence)
                    / exact_posterior(HOUSE, tables, query, evidence).sum(),
                    "This is the exact posterior, not the estimate from the rows that were given.",
                    "Use the weighted rows.",
                ),
            ],
            name=names[1],
            hint="The share of each state in the total weight.",
        )
    # A class with 800 observed features: each weight is far below the smallest number above 0.
    star: Parents = {"kind": ()} | {f"x{i}": ("kind",) for i in range(800)}
    sizes = {name: 3 for name in star}
    tables = random_tables(generator, star, sizes, spread=0.05)
    x = random_rows(generator, sizes, 6)
    x[:, 1:] = x[0, 1:]
    evidence = {name: int(x[0, i]) for i, name in enumerate(star) if i}
    hint = "Stay in logarithms: `softmax` of the log-weights subtracts the largest first."
    says = "With 800 observations every weight underflows, and your posterior is 0/0."
    value, posterior = parts(answer(x, star, tables, "kind", evidence), names)
    truth = sum(entries_of(x, star, tables, name).log() for name in evidence)
    wrong = ("Your weights underflow to 0 before you take their logarithm.", "Add logarithms from the start.")
    close(tensor(value, (6,), name=names[0], not_finite=wrong), truth, name=names[0])
    share = truth.softmax(0) @ torch.nn.functional.one_hot(x[:, 0], 3).double()
    close(tensor(posterior, (3,), name=names[1], not_finite=(says, hint)), share, name=names[1], hint=hint)
    _impossible_evidence(answer, names)


def _states_that_occur(states: int) -> list[Mistake]:
    says, hint = "one entry for each state up to the last that occurs", "`one_hot(..., num_classes=...)`."
    return [Mistake((fewer,), says, hint) for fewer in range(1, states)]


def _impossible_evidence(answer: Callable, names: tuple[str, str]) -> None:
    parents: Parents = {"switch": (), "light": ("switch",)}
    tables = {"light": torch.tensor([[1.0, 0.0], [0.25, 0.75]]), "switch": torch.tensor([0.3, 0.7])}
    tables = {name: table.double() for name, table in tables.items()}
    x = torch.tensor([[0, 1], [1, 1], [1, 1]])
    log_weights, posterior = parts(answer(x, parents, tables, "switch", {"light": 1}), names)
    if not isinstance(log_weights, Tensor) or log_weights.shape != (3,) or log_weights[0] != -torch.inf:
        raise Wrong(
            "A row in which the evidence has probability 0 must have the log-weight −∞.",
            "Take the logarithm of 0 as it is: add nothing, and clamp nothing.",
        )
    says = "A row in which the evidence has probability 0 makes your posterior NaN."
    value = tensor(posterior, (2,), name=names[1], not_finite=(says, "`softmax` gives it the weight 0."))
    close(value, torch.tensor([0.0, 1.0]).double(), name=f"{names[1]} beside a row in which the evidence is impossible")
    posterior = parts(answer(torch.tensor([[0, 0], [0, 0]]), parents, tables, "switch", {"light": 0}), names)[1]
    value = tensor(posterior, (2,), name=names[1], shapes=_states_that_occur(2))
    close(value, torch.tensor([1.0, 0.0]).double(), name=f"{names[1]} where a state never occurs")


@exercise("bayesnet.gibbs_conditional", call="gibbs_conditional(x, name, parents, tables)")
def gibbs_conditional(answer: Callable, generator: Generator) -> None:
    def with_state(x: Tensor, at: int, state: int) -> Tensor:
        x = x.clone()
        x[:, at] = state
        return x

    for name, sizes in (("short", EQUAL), ("storm", EQUAL), ("age", EQUAL), ("alarm", UNEQUAL), ("call", UNEQUAL)):
        tables, x = random_tables(generator, HOUSE, sizes), random_rows(generator, sizes, 7)
        at, states = list(HOUSE).index(name), sizes[name]
        each = [with_state(x, at, state) for state in range(states)]
        children = [child for child in HOUSE if name in HOUSE[child]]

        def scores(those: Iterable[str], parents: Parents = HOUSE, each=each, tables=tables) -> Tensor:
            those = list(those)
            if not those:
                return torch.zeros(len(each[0]), len(each), dtype=torch.float64)
            return torch.stack([sum(entries_of(y, parents, tables, one).log() for one in those) for y in each], dim=-1)

        log_joint = scores(HOUSE)
        truth = log_joint.softmax(-1)
        blanket = scores([name, *children])
        mistakes = [
            Mistake(truth.log(), "You return logarithms.", "Probabilities are asked for."),
            Mistake(
                blanket.exp(), "Your probabilities are not normalized.", "Each row sums to one: divide by its sum."
            ),
            Mistake(
                log_joint.exp(), "Your probabilities are not normalized: this is the joint.", "Divide by the row's sum."
            ),
            Mistake(
                blanket.softmax(0),
                "You normalize over the rows of `x`, not over the states.",
                "Each row of the result sums to one.",
            ),
        ]
        if children:
            mistakes += [
                Mistake(
                    scores([name]).softmax(-1),
                    "You use the variable's own table only, or its children's with its old state: "
                    "the children are evidence, too.",
                    "Multiply with p(child | its parents) for each child.",
                ),
                Mistake(
                    scores(children).softmax(-1),
                    "You use the children's tables only: the variable's own table is missing.",
                    "Start with p(x | parents).",
                ),
            ]
        if len(children) > 1:
            mistakes.append(
                Mistake(
                    scores([name, children[0]]).softmax(-1),
                    "You use the first child only.",
                    "Every child's table holds the variable: multiply with all of them.",
                )
            )
        first = [child for child in children if HOUSE[child][0] == name]
        if 0 < len(first) < len(children):
            mistakes.append(
                Mistake(
                    scores([name, *first]).softmax(-1),
                    "You use the children only whose first parent it is.",
                    "A child may have several parents, in any order.",
                )
            )
        if sizes is EQUAL:
            mistakes.append(
                Mistake(
                    scores(HOUSE, with_swapped_parents(HOUSE)).softmax(-1),
                    *SWAPPED,
                )
            )
        close(
            tensor(
                answer(x, name, HOUSE, tables),
                (7, states),
                shapes=[Mistake((states,), "one distribution for all rows", "Each row of `x` has its own.")],
            ),
            truth,
            mistakes,
            name=f"your p({name} | all others)",
            hint="For each state: its own table's entry times the entries of its children's tables; then normalize.",
        )
        other = with_state(x, at, 0)
        if not torch.allclose(answer(other, name, HOUSE, tables), answer(x, name, HOUSE, tables)):
            raise Wrong(
                f"Your result depends on the present state of `{name}`, which is to be drawn anew.",
                "Try every state in its place.",
            )
    star: Parents = {"kind": ()} | {f"x{i}": ("kind",) for i in range(800)}
    sizes = dict.fromkeys(star, 3)
    tables, x = random_tables(generator, star, sizes, spread=0.05), random_rows(generator, sizes, 2)
    truth = torch.stack([exact_log_joint(with_state(x, 0, state), star, tables) for state in range(3)], dim=-1).softmax(
        -1
    )
    says = "With 800 children the product of the entries underflows, and your result is 0/0."
    hint = "Add logarithms and normalize with `softmax`."
    close(tensor(answer(x, "kind", star, tables), (2, 3), not_finite=(says, hint)), truth, hint=hint)
    _rows_apart(answer, generator)


def _rows_apart(answer: Callable, generator: Generator) -> None:
    """A row of frequent states and one of rare states: their log joints are more than a thousand nats apart."""
    star: Parents = {"kind": ()} | {f"x{i}": ("kind",) for i in range(90)}
    tables = random_tables(generator, star, dict.fromkeys(star, 3), spread=0.05)
    lower = torch.tensor([0.0, -2.0, -14.0], dtype=torch.float64)
    tables |= {name: (tables[name].log() + lower).softmax(-1) for name in list(star)[1:]}
    x = torch.zeros(2, len(star), dtype=torch.int64)
    x[1, 1:] = 2
    each = [torch.cat([torch.full((2, 1), state), x[:, 1:]], dim=-1) for state in range(3)]
    truth = torch.stack([exact_log_joint(one, star, tables) for one in each], dim=-1).softmax(-1)
    says = "You subtract one maximum from all rows, so that the rows far below it are 0/0."
    hint = "Every row has its own: `softmax(-1)`."
    value = tensor(answer(x, "kind", star, tables), (2, 3), not_finite=(says, hint))
    close(value, truth, name="your result for rows that are far more and far less likely", hint=hint)
    likeliest = int(truth[0].argmax())
    tables["kind"] = tables["kind"].index_fill(0, torch.tensor([likeliest]), 0.0)
    value = tensor(answer(x, "kind", star, tables), (2, 3))
    if value[:, likeliest].any():
        raise Wrong(
            f"A state has probability 0 in its own table, yet you give it {value[:, likeliest].max().item():.3g}.",
            "Take the logarithm of 0 as it is, −∞: add nothing, and clamp nothing.",
        )
