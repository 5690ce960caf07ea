"""Checks of chapter 3: exact inference and independence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations, permutations

import torch
from torch import Generator, Tensor

from utils.checks.bayesian_networks._networks import (
    EQUAL,
    HOUSE,
    SWAPPED,
    UNEQUAL,
    Parents,
    exact_posterior,
    joint_table,
    random_tables,
    with_swapped_parents,
)
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor, truth_value
from utils.checks.verdicts import Wrong


@exercise("bayesnet.enumerate_posterior", call="enumerate_posterior(parents, tables, query, evidence)")
def enumerate_posterior(answer: Callable, generator: Generator) -> None:
    questions: list[tuple[dict, str, dict[str, int]]] = [
        (EQUAL, "short", {"age": 1, "alarm": 2}),
        (EQUAL, "storm", {"call": 0, "age": 2}),
        (UNEQUAL, "smoke", {"storm": 3, "call": 1, "short": 0}),
        (UNEQUAL, "age", {}),
    ]
    above = {"short": {"age"}, "storm": set()}  # what of the evidence causes the query
    for sizes, query, evidence in questions:
        tables = random_tables(generator, HOUSE, sizes)
        joint = exact_posterior(HOUSE, tables, query, evidence)
        truth = joint / joint.sum()
        prior = exact_posterior(HOUSE, tables, query, {})
        likelihood = joint / prior
        mistakes = []
        if sizes is EQUAL:
            causes = {name: state for name, state in evidence.items() if name in above[query]}
            upstream = exact_posterior(HOUSE, tables, query, causes)
            swapped = exact_posterior(with_swapped_parents(HOUSE), tables, query, evidence)
            agreeing = joint_table(HOUSE, tables)
            for name, state in evidence.items():
                agreeing = agreeing.index_select(list(HOUSE).index(name), torch.tensor([state]))
            best = agreeing.amax([i for i, name in enumerate(HOUSE) if name != query]).flatten()
            mistakes = [
                Mistake(
                    best / best.sum(),
                    "You take the maximum over the other variables: their likeliest states only.",
                    "A probability needs the sum over all their states.",
                ),
                Mistake(
                    joint,
                    "This is p(query, evidence): it is not normalized.",
                    "Divide by its sum, which is p(evidence).",
                ),
                Mistake(prior, "This is the prior: your evidence changes nothing.", "Keep only what agrees with it."),
                Mistake(
                    upstream / upstream.sum(),
                    "You forgot to multiply with the likelihood of the evidence below the query.",
                    "Effects speak of their causes: all tables belong into the product.",
                ),
                Mistake(
                    likelihood,
                    "This is p(evidence | query): the query's own probability is missing.",
                    "Bayes: multiply with it, then normalize.",
                ),
                Mistake(
                    likelihood / likelihood.sum(),
                    "You normalize p(evidence | query): the query's own probability is missing.",
                    "Normalize the joint p(query, evidence).",
                ),
                Mistake(truth.log(), "You return logarithms.", "Probabilities are asked for."),
                Mistake(
                    swapped / swapped.sum(),
                    *SWAPPED,
                ),
            ]
        value = tensor(
            answer(HOUSE, tables, query, evidence),
            (sizes[query],),
            shapes=[Mistake((), "one number", "One probability for each state of the query.")],
        )
        close(
            value,
            truth,
            mistakes,
            name=f"your p({query} | {', '.join(evidence) or 'nothing'})",
            hint="Multiply all tables into the joint, keep what agrees with the evidence, sum out the rest, normalize.",
        )


@exercise("bayesnet.eliminate", call="eliminate(factors, name)")
def eliminate(answer: Callable, generator: Generator) -> None:
    scopes = [("b", "a"), ("c",), ("a", "c", "d"), ("d", "e"), ("b", "d")]
    for sizes in (dict.fromkeys("abcde", 3), dict(zip("abcde", (2, 3, 4, 5, 2), strict=True))):
        factors = [
            (names, torch.rand([sizes[name] for name in names], generator=generator, dtype=torch.float64) + 0.1)
            for names in scopes
        ]
        _eliminate_once(answer, factors, "a", sizes)
        _eliminate_once(answer, factors, "d", sizes)


def _multiply(factors: Iterable[tuple[tuple[str, ...], Tensor]], keep: str) -> Tensor:
    """The product of the factors, summed over all names that are not in `keep`."""
    operands: list = []
    for names, values in factors:
        operands += [values, [ord(name) - ord("a") for name in names]]
    return torch.einsum(*operands, [ord(name) - ord("a") for name in keep])


def _eliminate_once(answer: Callable, factors: list[tuple], name: str, sizes: dict[str, int]) -> None:
    touching = [(names, values) for names, values in factors if name in names]
    neighbors = sorted({other for names, _ in touching for other in names} - {name})
    names, values = parts(answer(factors, name), ("names", "values"))
    if isinstance(names, str) or not isinstance(names, tuple | list) or not all(isinstance(one, str) for one in names):
        raise Wrong(f"Your names are {names!r}, expected a tuple of names.", "One name for each axis of the values.")
    names = tuple(names)
    if len(set(names)) < len(names):
        raise Wrong(f"Your new factor has a name twice: {names}.", "A product has one axis for each variable.")
    if name in names:
        raise Wrong(f"Your new factor still has an axis for `{name}`.", f"Sum `{name}` out.")
    if extra := set(names) - set(neighbors):
        raise Wrong(
            f"Your new factor has an axis for `{min(extra)}`: you multiply factors that do not hold `{name}`.",
            "They stay as they are: this is what saves the work.",
        )
    if lost := set(neighbors) - set(names):
        raise Wrong(
            f"Your new factor lacks an axis for `{min(lost)}`.",
            f"Multiply all factors that hold `{name}`, and sum over `{name}` alone.",
        )
    values = tensor(values, [sizes[one] for one in names], name="the new factor")
    keep = "".join(names)
    truth = _multiply(touching, keep)
    sums = [(tuple(one for one in scope if one != name), factor.sum(scope.index(name))) for scope, factor in touching]
    others = [(scope, factor) for scope, factor in factors if name not in scope]
    mistakes = [
        Mistake(
            _multiply(sums, keep),
            "You sum each factor before you multiply: a product of sums is not the sum of the products.",
            f"First multiply all factors that hold `{name}`, then sum over it.",
        ),
        Mistake(
            _multiply(touching, keep + name)[..., 0],
            f"You keep the first state of `{name}` only.",
            "Eliminating is summing over all its states.",
        ),
        Mistake(truth / sizes[name], f"You average over `{name}`.", "Eliminating is summing."),
        Mistake(
            _joint_maximum(touching, name, keep),
            f"You take the maximum over `{name}`.",
            "Maximizing finds the likeliest state; a probability needs the sum.",
        ),
        Mistake(
            _multiply(factors, keep),
            f"You multiply factors that do not hold `{name}`, too.",
            "They stay as they are: this is what saves the work.",
        ),
        Mistake(truth / truth.sum(), "You normalize the new factor.", "It need not sum to one: do that at the end."),
        Mistake(
            _multiply([*touching, *[(s, f) for s, f in others if set(s) <= set(neighbors)]], keep),
            f"You multiply a factor that does not hold `{name}`, too.",
            "It stays as it is.",
        ),
    ]
    mistakes += [
        Mistake(
            _multiply(touching, "".join(order)).reshape(truth.shape),
            "The numbers are right, but the axes are not in the order of your names.",
            "Return the names in the order of the axes.",
        )
        for order in permutations(names)
        if tuple(sizes[one] for one in order) == tuple(truth.shape)
    ]
    close(
        values,
        truth,
        mistakes,
        name="the new factor",
        hint="Line the axes up by their names before you multiply: einsum does, with one letter for each name.",
    )


def _joint_maximum(factors: list, name: str, keep: str) -> Tensor:
    return _multiply(factors, keep + name).amax(-1)


# Networks in which two variables are not separated, and what overlooks it.
_SUBTLE: list[tuple[Parents, str, str, tuple[str, ...], str, str]] = [
    (
        {"a": (), "b": (), "m": ("a", "b"), "low": ("m",), "lower": ("low",), "lowest": ("lower",)},
        "a",
        "b",
        ("lowest",),
        "You miss that any descendant of the effect opens the path, however far below it.",
        "Go down from `m` to the end, or up from what is given to the top: not one or two steps.",
    ),
    (
        {"a": (), "x": (), "b": (), "m": ("a", "x", "b")},
        "a",
        "b",
        ("m", "x"),
        "You miss that a given effect makes any two of its causes dependent, neighbors in the list or not.",
        "Go through all pairs of parents: `itertools.combinations(parents[m], 2)`.",
    ),
    (
        {"b": (), "d": (), "c": ("b",), "e": ("c", "d"), "f": ("c", "e")},
        "f",
        "d",
        ("b", "e"),
        "You miss the path `d → e ← c → f`, which the given `e` opens.",
        "A variable may be reached from above and from below: remember with each visit where it came from.",
    ),
]


@exercise("bayesnet.d_separated", call="d_separated(parents, a, b, given)")
def d_separated(answer: Callable, generator: Generator) -> None:
    def ask(parents: Parents, a: str, b: str, given: tuple[str, ...]) -> bool:
        return truth_value(answer(parents, a, b, given))

    chain: Parents = {"a": (), "m": ("a",), "b": ("m",)}
    fork: Parents = {"m": (), "a": ("m",), "b": ("m",)}
    collider: Parents = {"a": (), "b": (), "m": ("a", "b"), "low": ("m",)}
    blocks = "In `a → m → b` and `a ← m → b` the path is open until the middle is given."
    opens = "In `a → m ← b` the path is closed until `m`, or something below it, is given."
    marry = "A path is blocked as a whole when one place on it is: follow each path step by step."
    cases = [
        (chain, (), False, "You call the ends of a chain `a → m → b` separated though nothing is given.", blocks),
        (chain, ("m",), True, "You do not see that `m` blocks the chain `a → m → b`.", blocks),
        (fork, (), False, "You call two effects of one cause separated though nothing is given.", blocks),
        (fork, ("m",), True, "You do not see that the common cause `m` separates its effects.", blocks),
        (collider, (), True, "You call two causes of one effect dependent though nothing is given.", opens),
        (collider, ("m",), False, "You miss explaining away: a given effect `m` makes its causes dependent.", opens),
        (collider, ("low",), False, "You miss that a given descendant of the effect opens the path, too.", opens),
    ]
    wrong = [
        (says, hint)
        for parents, given, truth, says, hint in cases
        for one, other in (("a", "b"), ("b", "a"))
        if ask(parents, one, other, given) != truth
    ]
    if len(wrong) == 2 * len(cases):
        raise Wrong("True and False are exchanged.", "True means separated: every path is blocked.")
    if wrong:
        raise Wrong(*wrong[0])
    direct: Parents = {"a": (), "b": ("a", "c"), "c": ()}
    if ask(direct, "a", "b", ("c",)):
        raise Wrong("You call a cause and its own effect separated.", "Nothing blocks an edge between the two.")
    # Two ways from a to b: one is blocked, one is opened by what blocks the first.
    double: Parents = {"a": (), "c": (), "m": ("a", "c"), "b": ("m", "c")}
    if ask(double, "a", "b", ("m",)):
        raise Wrong(
            "You miss a path: given `m`, the chain `a → m → b` is blocked, but `a → m ← c → b` is open.",
            "All paths must be blocked, and one variable can block one path and open another.",
        )
    for parents, a, b, given, says, hint in _SUBTLE:
        if any(ask(parents, *ends, given) for ends in ((a, b), (b, a))):
            raise Wrong(says, hint)
    names = "abcdefg"
    for _ in range(25):
        arrows = torch.rand(7, 7, generator=generator) < 0.3
        parents = {
            name: tuple(other for j, other in enumerate(names[:i]) if arrows[i, j]) for i, name in enumerate(names)
        }
        order = torch.randperm(7, generator=generator).tolist()
        parents = {names[i]: parents[names[i]] for i in order}
        a, b, *rest = (names[i] for i in torch.randperm(7, generator=generator).tolist())
        given = tuple(rest[: int(torch.randint(4, (), generator=generator))])
        if ask(parents, a, b, given) != _separated(parents, a, b, given):
            truth = "separated" if _separated(parents, a, b, given) else "not separated"
            edges = ", ".join(f"{above}→{name}" for name in sorted(parents) for above in parents[name])
            raise Wrong(
                f"In the network {edges}, `{a}` and `{b}` are {truth} given {', '.join(given) or 'nothing'}.", marry
            )


def _separated(parents: Parents, a: str, b: str, given: Iterable[str]) -> bool:
    """By the moral graph of the ancestors (Lauritzen and others, 1990): no way from a to b around `given`."""
    relevant, waiting = set(), [a, b, *given]
    while waiting:
        name = waiting.pop()
        if name not in relevant:
            relevant.add(name)
            waiting += parents[name]
    near: dict[str, set[str]] = {name: set() for name in relevant}
    for name in relevant:
        for one, other in combinations((name, *parents[name]), 2):
            near[one].add(other)
            near[other].add(one)
    reached, waiting = set(given), [a]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += near[name]
    return b not in reached
