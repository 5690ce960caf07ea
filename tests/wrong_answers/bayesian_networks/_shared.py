"""Wrong answers of chapter 3: what several files use."""

from itertools import combinations

import torch


def columns(x, parents):
    return dict(zip(parents, x.T, strict=True))


def entry(x, parents, tables, name, scope=None):
    """p(name | parents) of each row; `scope` gives the axes another order."""
    column = columns(x, parents)
    return tables[name][tuple(column[other] for other in scope or (*parents[name], name))]


def backwards(parents):
    return {name: above[::-1] for name, above in parents.items()}


def normalized(weight):
    return weight / weight.sum()


def tables_of_pairs(x, sizes):
    member = [(x[:, i, None] == torch.arange(size)).double() for i, size in enumerate(sizes.values())]
    return {(i, j): member[i].T @ member[j] / len(x) for i, j in combinations(range(len(member)), 2)}


def information(x, sizes, score=None):
    found = torch.zeros(len(sizes), len(sizes), dtype=torch.float64)
    for (i, j), p in tables_of_pairs(x, sizes).items():
        q = p.sum(1, keepdim=True) * p.sum(0)
        found[i, j] = found[j, i] = (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() if score is None else score(p, q)
    return found


def tree(weight, sizes, largest=True):
    names, joined, edges = list(sizes), [0], []
    while len(joined) < len(names):
        pairs = [(i, j) for i in joined for j in range(len(names)) if j not in joined]
        i, j = (max if largest else min)(pairs, key=lambda pair: weight[pair].item())
        joined.append(j)
        edges.append((names[i], names[j]))
    return edges
