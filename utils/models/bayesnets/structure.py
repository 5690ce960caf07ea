"""The graph of a Bayesian network: what it says about independence, and how to find it from data."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Generator, Tensor

from utils.models.bayesnets.bayesnet import BayesianNetwork
from utils.models.bayesnets.factors import MAX_CELLS, configuration, lookup
from utils.models.bayesnets.network import ancestors
from utils.validation import whole

EPSILON = 1e-9  # a gain in nats below this is rounding


# --- independence ---


def d_separated(
    network: BayesianNetwork | Mapping[str, Sequence[str]],
    a: str | Collection[str],
    b: str | Collection[str],
    given: str | Collection[str] = (),
) -> bool:
    """Whether every path between `a` and `b` is blocked by `given`; then a and b are independent given it.

    A path is blocked by a variable in `given` where it passes through, → v → or ← v →; and by a collider → v ← that is
    not in `given` and has no descendant there. A ball bounces along the open paths from `a`: it arrives at a variable
    from a child or from a parent, and this decides where it may go on.

    Args:
        network: a network, or for each variable its parents.
        a, b, given: a name or several; no variable may be in two of them.

    Source: Shachter, Bayes-ball, 1998; Koller and Friedman, Probabilistic Graphical Models, 2009, algorithm 3.1.
    """
    parents = network.parents if isinstance(network, BayesianNetwork) else network
    names = tuple(dict.fromkeys([*parents, *(above for named in parents.values() for above in named)]))
    a, b, given = ({group} if isinstance(group, str) else set(group) for group in (a, b, given))
    for name in (*a, *b, *given):
        lookup(name, names, "variable")
    if shared := (a & b) | (a & given) | (b & given):
        raise ValueError(f"{', '.join(sorted(shared))} stands in two of a, b and given: expected three separate sets")
    children: dict[str, list[str]] = {name: [] for name in names}
    for name, named in parents.items():
        for above in named:
            children[above].append(name)
    opens = set(ancestors(parents, given))  # a collider among these lets the ball through
    waiting, seen = [(name, "child") for name in a], set()
    while waiting:
        name, arrived = visit = waiting.pop()
        if visit in seen:
            continue
        seen.add(visit)
        if name in b:
            return False
        if (arrived == "child" and name not in given) or (arrived == "parent" and name in opens):
            waiting += [(above, "child") for above in parents.get(name, ())]
        if name not in given:
            waiting += [(below, "parent") for below in children[name]]
    return True


# --- a tree ---


def mutual_information(x: Tensor, cardinalities: Sequence[int]) -> Tensor:
    """I(X_i; X_j) = Σ p(x_i, x_j) log p(x_i, x_j) / (p(x_i) p(x_j)) of the rows' frequencies, in nats, `(V, V)`.

    The diagonal holds the entropies. All pairs of variables are counted by one product of indicator matrices.
    """
    x, sizes = torch.as_tensor(x), torch.tensor(cardinalities)
    if x.ndim != 2 or x.shape[1] != len(sizes) or not len(x):
        raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, {len(sizes)}), one column for each cardinality")
    if x.is_floating_point() or (x < 0).any() or (x >= sizes).any():
        raise ValueError("x has values that are no states: expected whole numbers from 0 to each cardinality − 1")
    start = sizes.cumsum(0) - sizes
    counts = torch.zeros(int(sizes.sum()), int(sizes.sum()), dtype=torch.float64)
    for rows in x.split(2**14):
        indicator = torch.zeros(len(rows), len(counts), dtype=torch.float32)  # exact: counts of a block are small
        indicator.scatter_(1, rows + start, 1)
        counts += indicator.T @ indicator
    joint = counts / len(x)
    member = torch.repeat_interleave(torch.eye(len(sizes), dtype=torch.float64), sizes, dim=0)  # (ΣC, V)
    entropy = -member.T @ torch.xlogy(joint, joint) @ member  # of each pair
    single = entropy.diagonal()
    return (single[:, None] + single - entropy).clamp(min=0)


def chow_liu(
    x: Tensor, states: Mapping[str, Sequence[str]], root: str | None = None, alpha: float = 0.0
) -> BayesianNetwork:
    """The tree of highest likelihood, with its tables fitted: the maximum spanning tree of mutual information.

    Args:
        x: complete rows `(B, V)`, with columns in the order of `states`.
        root: where the arrows start, by default the first variable; every root gives the same distribution.
        alpha: of `BayesianNetwork.fit`.

    Source: Chow and Liu, Approximating discrete probability distributions with dependence trees, 1968.
    """
    names = tuple(states)
    start = 0 if root is None else lookup(root, names, "variable")
    information = mutual_information(x, [len(states[name]) for name in names])
    parents: dict[str, tuple[str, ...]] = {names[start]: ()}
    best, nearest = information[start].clone(), torch.full((len(names),), start)
    best[start] = -math.inf
    for _ in range(len(names) - 1):  # Prim: the strongest edge between the tree and the rest
        new = int(best.argmax())
        parents[names[new]] = (names[nearest[new]],)
        closer = (information[new] > best) & (best > -math.inf)
        best[closer], nearest[closer] = information[new][closer], new
        best[new] = -math.inf
    return BayesianNetwork(parents, states).fit(x, alpha)


# --- any graph ---

Graph = list[frozenset[int]]  # the parents of each variable, by number
Move = tuple[tuple[int, int], ...]  # (parent, child) arrows to toggle: one to add or remove, two to reverse


class FamilyScores:
    """The BIC of one variable with its parents, counted once for each family: the score of a network is their sum."""

    def __init__(self, columns: Mapping[str, Tensor], states: Mapping[str, Sequence[str]]):
        self.columns = [column.contiguous() for column in columns.values()]
        self.sizes, self.known = [len(named) for named in states.values()], {}
        self.price = math.log(len(self.columns[0])) / 2  # of a free parameter

    def __call__(self, child: int, parents: frozenset[int]) -> float:
        """Σ N(parents, child) log N(parents, child) / N(parents) − ½ log B · free parameters, in nats."""
        key = (child, parents)
        if key not in self.known:
            family = [*sorted(parents), child]
            shape = [self.sizes[at] for at in family]
            self.known[key] = -math.inf
            if math.prod(shape) <= MAX_CELLS:
                cell = configuration([self.columns[at] for at in family], shape)
                count = cell.bincount(minlength=math.prod(shape)).double().reshape(-1, shape[-1])
                total = count.sum(1)
                likelihood = torch.xlogy(count, count).sum() - torch.xlogy(total, total).sum()
                self.known[key] = likelihood.item() - self.price * len(count) * (shape[-1] - 1)
        return self.known[key]

    def total(self, graph: Graph) -> float:
        """The score of a whole network."""
        return sum(self(child, family) for child, family in enumerate(graph))


def bic_score(network: BayesianNetwork, x: Tensor) -> float:
    """max log p(x) − ½ log B · n_parameters of a structure, in nats; higher is better. Its own tables play no part.

    It is −½ times the `bic` of a mixture, which follows scikit-learn in its sign.

    Source: Schwarz, Estimating the dimension of a model, 1978.
    """
    at = {name: i for i, name in enumerate(network.variables)}
    graph = [frozenset(at[above] for above in family) for family in network.parents.values()]
    return FamilyScores(network.columns(x), network.states).total(graph)


def hill_climb(
    x: Tensor,
    states: Mapping[str, Sequence[str]],
    *,
    max_parents: int = 4,
    restarts: int = 0,
    alpha: float = 0.0,
    generator: Generator | None = None,
) -> BayesianNetwork:
    """A structure of high BIC, with its tables fitted: add, remove or reverse the best arrow until nothing helps.

    The end is a local optimum. Arrows that can be turned without changing any independence have the same score: their
    direction means nothing.

    Args:
        x: complete rows `(B, V)`, with columns in the order of `states`.
        max_parents: most parents of a variable; the cost of a family grows with the size of its table.
        restarts: how often to shake the best graph by some random changes and climb again; the best end is kept.
        alpha: of `BayesianNetwork.fit`.

    Source: Koller and Friedman, Probabilistic Graphical Models, 2009, section 18.4.3.
    """
    names = tuple(states)
    scores = FamilyScores(BayesianNetwork({}, states).columns(x), states)
    max_parents, restarts = whole("max_parents", max_parents, 0), whole("restarts", restarts, 0)
    best = _climb([frozenset()] * len(names), scores, max_parents)
    for _ in range(restarts):
        shaken = best
        for _ in range(max(4, len(names) // 2)):
            moves = _moves(shaken, max_parents)
            shaken = _moved(shaken, moves[int(torch.randint(len(moves), (), generator=generator))])
        best = max(best, _climb(shaken, scores, max_parents), key=scores.total)
    parents = {names[child]: [names[above] for above in sorted(family)] for child, family in enumerate(best)}
    return BayesianNetwork(parents, states).fit(x, alpha)


def _climb(graph: Graph, scores: FamilyScores, max_parents: int) -> Graph:
    def gain(move: Move) -> float:
        return sum(scores(child, graph[child] ^ {above}) - scores(child, graph[child]) for above, child in move)

    while moves := _moves(graph, max_parents):
        best = max(moves, key=gain)
        if gain(best) < EPSILON:
            break
        graph = _moved(graph, best)
    return graph


def _moved(graph: Graph, move: Move) -> Graph:
    graph = list(graph)
    for above, child in move:
        graph[child] = graph[child] ^ {above}
    return graph


def _moves(graph: Graph, max_parents: int) -> list[Move]:
    """All single changes that leave no cycle and no more than `max_parents` parents."""
    above = [set(ancestors(dict(enumerate(graph)), [v])) for v in range(len(graph))]  # v itself among them
    moves: list[Move] = []
    for child, family in enumerate(graph):
        for other in range(len(graph)):
            if other in family:
                moves.append(((other, child),))
                # Reversed, the arrow closes a cycle where another path leads from `other` to `child`.
                if len(graph[other]) < max_parents and not any(other in above[p] for p in family - {other}):
                    moves.append(((other, child), (child, other)))
            elif len(family) < max_parents and child not in above[other]:
                moves.append(((other, child),))
    return moves
