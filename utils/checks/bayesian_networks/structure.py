"""Checks of chapter 3: trees from data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import combinations

import torch
from torch import Generator, Tensor

from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


def _information(x: Tensor, sizes: Mapping[str, int], kind: str = "mutual") -> Tensor:
    """Between each two columns, (V, V), with 0 on the diagonal."""
    width, found = x.shape[1], torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    shapes = list(sizes.values())
    for i, j in combinations(range(width), 2):
        table = torch.zeros(shapes[i], shapes[j], dtype=torch.float64)
        for a, b in x[:, [i, j]].tolist():
            table[a, b] += 1 / len(x)
        apart = table.sum(1, keepdim=True) * table.sum(0)
        score = {
            "mutual": lambda p, q: torch.xlogy(p, p) - torch.xlogy(p, q),
            "joint": lambda p, q: -torch.xlogy(p, p),
            "reversed": lambda p, q: torch.xlogy(q, q) - torch.xlogy(q, p),
            "unweighted": lambda p, q: p.log() - q.log(),
        }[kind](table, apart)
        found[i, j] = found[j, i] = score.sum()
    return found


def _spanning_tree(weight: Tensor) -> set[frozenset[int]]:
    """Kruskal: the heaviest edges that close no circle."""
    group, edges = list(range(len(weight))), set()
    for i, j in sorted(combinations(range(len(weight)), 2), key=lambda pair: -weight[pair].item()):
        if group[i] != group[j]:
            edges.add(frozenset((i, j)))
            old, new = group[i], group[j]
            group = [new if one == old else one for one in group]
    return edges


@exercise("bayesnet.chow_liu", call="chow_liu(x, sizes)")
def chow_liu(answer: Callable, generator: Generator) -> None:
    def copied(source: Tensor, size: int, share: float) -> Tensor:
        kept = torch.rand(len(source), generator=generator) < share
        return torch.where(kept, source % size, torch.randint(size, source.shape, generator=generator))

    # a, b and c are close to each other: the three heaviest pairs close a circle. Half of the pairs (e, f) never meet.
    a = torch.randint(3, (300,), generator=generator)
    b, c = copied(a, 3, 0.9), copied(a, 3, 0.8)
    e = copied(c, 2, 0.5)
    f, d = 2 * e + torch.randint(2, e.shape, generator=generator), copied(e, 3, 0.4)
    sizes = {"d": 3, "a": 3, "b": 3, "f": 4, "c": 3, "e": 2}
    x, names = torch.stack([d, a, b, f, c, e], dim=-1), list(sizes)
    width = len(names)
    information, edges = parts(answer(x, sizes), ("information", "edges"))
    mutual = _information(x, sizes)
    apart = ~torch.eye(width, dtype=torch.bool)
    entropy = torch.stack([_entropy(x[:, i], size) for i, size in enumerate(sizes.values())])
    title = "the mutual information"
    empty_cells = (
        "Where two states never meet your mutual information is NaN: 0 · log 0.",
        "`torch.xlogy` knows it is 0.",
    )
    close(
        tensor(information, (width, width), name=title, not_finite=empty_cells) * apart,
        mutual,
        [
            Mistake(mutual / math.log(2), "Your mutual information is in bits: you took log2.", "Nats: `log`."),
            Mistake(
                -mutual, "Your mutual information has the wrong sign.", "It is never negative: KL(p(a, b) ‖ p(a) p(b))."
            ),
            Mistake(mutual * len(x), "You sum counts: the mutual information of a row is asked for.", "Divide by B."),
            Mistake(
                _information(x, sizes, "joint"),
                "This is the joint entropy H(a, b).",
                "The mutual information is H(a) + H(b) − H(a, b).",
            ),
            Mistake(
                _information(x, sizes, "joint") * -1,
                "You left out the marginals: this is Σ p(a, b) log p(a, b).",
                "Divide by p(a) p(b) inside the logarithm.",
            ),
            Mistake(
                (_information(x, sizes, "joint") - entropy[:, None]) * apart,
                "This is the conditional entropy H(b | a).",
                "The mutual information is H(b) − H(b | a).",
            ),
            Mistake(
                (_information(x, sizes, "joint") - entropy) * apart,
                "This is the conditional entropy H(a | b).",
                "The mutual information is H(a) − H(a | b).",
            ),
            Mistake(
                mutual.triu(),
                "The lower triangle of your matrix is empty.",
                "Mutual information is symmetric: fill both halves.",
            ),
            Mistake(
                (x.double().T.corrcoef().abs() * apart),
                "This is the correlation of the states' numbers, which mean nothing.",
                "Use the table of counts.",
            ),
        ],
        name=title,
        hint="I(a, b) = Σ p(a, b) log( p(a, b) / (p(a) p(b)) ), with p from counts.",
    )
    column = {name: i for i, name in enumerate(names)}
    try:
        found = [frozenset(column[one] for one in edge) for edge in edges]
    except (TypeError, KeyError):
        raise Wrong("Your edges are no pairs of names.", "Such as `[('a', 'b'), ('b', 'c')]`.") from None
    if any(len(edge) != 2 for edge in found):
        raise Wrong("One of your edges does not join two different variables.", "Such as `('a', 'b')`.")
    if len(set(found)) != len(found):
        raise Wrong("You return an edge twice.", "An edge has no direction here: (a, b) is (b, a).")
    if len(found) != width - 1:
        raise Wrong(
            f"You return {len(found)} edges: a tree of {width} variables has {width - 1}.",
            "Go on until all variables are joined, and no longer.",
        )
    if _circle(found, width):
        raise Wrong(
            "Your edges close a circle: this is no tree.", "Leave out an edge between variables joined already."
        )
    mine, best, worst = (
        sum(mutual[tuple(edge)].item() for edge in some)
        for some in (found, _spanning_tree(mutual), _spanning_tree(-mutual))
    )
    if math.isclose(mine, worst):
        raise Wrong(
            "This is the minimum spanning tree.", "The tree should hold the most information: take the maximum."
        )
    if not math.isclose(mine, best):  # two trees may hold the same
        raise Wrong(
            f"Your tree holds {mine:.4f} nats of mutual information, the best one {best:.4f}.",
            "Take the edges from the heaviest down, and skip those that would close a circle.",
        )


def _entropy(column: Tensor, size: int) -> Tensor:
    share = column.bincount(minlength=size).double() / len(column)
    return -torch.xlogy(share, share).sum()


def _circle(edges: list[frozenset[int]], width: int) -> bool:
    group = list(range(width))
    for i, j in map(tuple, edges):
        if group[i] == group[j]:
            return True
        old, new = group[i], group[j]
        group = [new if one == old else one for one in group]
    return False
