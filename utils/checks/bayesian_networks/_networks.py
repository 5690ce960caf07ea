"""Networks, their tables and joint: what the checks of chapter 3 share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Generator, Tensor

Parents = dict[str, tuple[str, ...]]

# A house: storms and old wires cause short circuits; smoke and storms set the alarm off; an alarm or old age makes
# somebody call. Children stand before their parents here and there.
HOUSE: Parents = {
    "call": ("alarm", "age"),
    "short": ("storm", "age"),
    "storm": (),
    "smoke": ("short",),
    "age": (),
    "alarm": ("smoke", "storm"),
}
# Equal sizes let a wrong axis go unnoticed, so that its effect can be named; unequal sizes find what is left.
EQUAL = dict.fromkeys(HOUSE, 3)
UNEQUAL = {"call": 2, "short": 3, "storm": 4, "smoke": 2, "age": 3, "alarm": 2}

SWAPPED = (
    "You swapped the parents' axes: they come in the order of `parents[name]`.",
    "A table of X with parents (A, B) has the shape (|A|, |B|, |X|): it is indexed `[a, b, x]`.",
)


# --- a network, its joint, its samples: the slow and certain way ------------------------------------------------------


def random_tables(
    generator: Generator, parents: Parents, sizes: Mapping[str, int], spread: float = 1.5
) -> dict[str, Tensor]:
    """A random table for each variable, its own axis last; the tables come in another order than `parents`."""
    turned = list(parents)[::-1]
    turned = turned[1:] + turned[:1]
    shapes = {name: [sizes[above] for above in (*parents[name], name)] for name in turned}
    return {
        name: (spread * torch.randn(shape, generator=generator, dtype=torch.float64)).softmax(-1)
        for name, shape in shapes.items()
    }


def random_rows(generator: Generator, sizes: Mapping[str, int], n: int) -> Tensor:
    """Rows of states, all equally likely; a column for each variable."""
    return torch.stack([torch.randint(size, (n,), generator=generator) for size in sizes.values()], dim=-1)


def with_swapped_parents(parents: Parents) -> Parents:
    """The parents as somebody takes them who reads the axes of a table in the wrong order."""
    return {name: above[::-1] for name, above in parents.items()}


def parents_first(parents: Parents) -> list[str]:
    """Parents before children."""
    order: list[str] = []
    while len(order) < len(parents):
        order += [name for name in parents if name not in order and set(parents[name]) <= set(order)]
    return order


def entries_of(x: Tensor, parents: Parents, tables: Mapping[str, Tensor], name: str) -> Tensor:
    """p(x_name | x_parents) of each row, (B,)."""
    columns = list(parents)
    return tables[name][tuple(x[:, columns.index(other)] for other in (*parents[name], name))]


def exact_log_joint(x: Tensor, parents: Parents, tables: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([entries_of(x, parents, tables, name).log() for name in parents]).sum(0)


def joint_table(parents: Parents, tables: Mapping[str, Tensor]) -> Tensor:
    """The whole joint: one axis for each variable, in the order of `parents`."""
    axis = {name: i for i, name in enumerate(parents)}
    operands: list = []
    for name in parents:
        operands += [tables[name], [axis[above] for above in (*parents[name], name)]]
    return torch.einsum(*operands, list(axis.values()))


def exact_posterior(parents: Parents, tables: Mapping[str, Tensor], query: str, evidence: Mapping[str, int]) -> Tensor:
    """p(query, evidence), one entry for each state of `query`."""
    joint = joint_table(parents, tables)
    for name, state in evidence.items():  # the axes stay, so that their numbers do
        joint = joint.index_select(list(parents).index(name), torch.tensor([state]))
    return joint.sum([i for i, name in enumerate(parents) if name != query]).flatten()


def draw_in_order(
    u: Tensor, parents: Parents, tables: Mapping[str, Tensor], order: Iterable[str], pick: Callable
) -> Tensor:
    """Rows drawn in `order`; `pick(u, row)` turns uniform numbers (B,) and rows of a table (B, K) into states."""
    x = torch.zeros(u.shape, dtype=torch.int64)
    column = {name: i for i, name in enumerate(parents)}
    for name in order:
        row = tables[name][tuple(x[:, column[above]] for above in parents[name])]
        x[:, column[name]] = pick(u[:, column[name]], row.expand(len(u), -1))
    return x


def inverse_cdf(u: Tensor, row: Tensor) -> Tensor:
    return (u[:, None] >= row.cumsum(-1)[:, :-1]).sum(-1)
