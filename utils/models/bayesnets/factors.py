"""Tables with named axes: product, sum, and variable elimination."""

from __future__ import annotations

import difflib
import functools
import itertools
import math
import string
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

MAX_CELLS = 2**26  # half a GiB in float64
MAX_NAMES = len(string.ascii_letters)  # letters that einsum knows
GROUP = 8  # factors that are multiplied at once
SMALL = 1e-250  # a sum below this may have lost parts of it to numbers that are too small


class Factor(NamedTuple):
    """A function φ(names) = exp(log_scale) · values ≥ 0 of discrete variables: one axis of `values` for each name.

    The values are numpy's: on tables of a few cells a call costs a third of what it costs in torch.
    """

    names: tuple[str, ...]
    values: np.ndarray
    log_scale: float = 0.0

    def given(self, evidence: Mapping[str, int]) -> Factor:
        """The slice where the variables of `evidence` have these states; their axes are gone."""
        if evidence.keys().isdisjoint(self.names):
            return self
        values = self.values[tuple([evidence.get(name, slice(None)) for name in self.names])]
        return Factor(tuple([name for name in self.names if name not in evidence]), values, self.log_scale)

    def ordered(self, names: Sequence[str]) -> Factor:
        """The same function with its axes in the order of `names`."""
        return Factor(tuple(names), self.values.transpose([self.names.index(name) for name in names]), self.log_scale)


def product(factors: Sequence[Factor], without: str | None = None, scaled: bool = False) -> Factor:
    """φ₁ φ₂ …, a factor of all their variables; summed over the variable `without`, if it is given.

    With `scaled`, the largest value is 1 and the rest goes into `log_scale`: long products stay numbers.

    Raises:
        ValueError: when the product would have more than `MAX_CELLS` cells.
    """
    while len(factors) > GROUP:
        factors = [product(factors[:GROUP], None, scaled), *factors[GROUP:]]
    scopes, tables, scales = zip(*factors, strict=True)
    if len(set(itertools.chain(*scopes))) > MAX_NAMES:
        _check_size(factors)
    names, subscripts = _subscripts(scopes, without)
    if math.prod([table.size for table in tables]) > MAX_CELLS:  # at least as many as the product has
        _check_size(factors)
    values, log_scale = np.einsum(subscripts, *tables), sum(scales)
    if scaled and (peak := values.max()) > 0:
        values, log_scale = values / peak, log_scale + math.log(peak)
    return Factor(names, values, log_scale)


@functools.lru_cache(maxsize=2**14)
def _subscripts(scopes: tuple[tuple[str, ...], ...], without: str | None) -> tuple[tuple[str, ...], str]:
    """The names of a product, and its formula for einsum, such as "ab,bc->ac"; the same scopes come again and again."""
    letter = dict(zip(dict.fromkeys(itertools.chain(*scopes)), string.ascii_letters, strict=False))
    inputs = ",".join("".join(letter[name] for name in names) for names in scopes)
    names = tuple(name for name in letter if name != without)
    return names, f"{inputs}->{''.join(letter[name] for name in names)}"


def _check_size(factors: Sequence[Factor]) -> None:
    sizes = {name: size for factor in factors for name, size in zip(factor.names, factor.values.shape, strict=True)}
    if (cells := math.prod(sizes.values())) > MAX_CELLS or len(sizes) > MAX_NAMES:
        raise ValueError(
            f"this needs a table of {len(sizes)} variables with {cells:.1e} cells, more than {MAX_CELLS:.1e} cells or"
            f" {MAX_NAMES} variables:"
            " ask for fewer variables at once, or use sampling"
        )


def eliminate(factors: Sequence[Factor], order: Sequence[str]) -> tuple[Factor, list[list[Factor]]]:
    """Sum out the variables of `order`, one after the other, from the product of `factors`.

    Each factor waits in the bucket of its variable that comes first; when that one is eliminated, the bucket holds all
    factors of it, and the sum of their product goes into a later bucket.

    Returns:
        The factor of all variables that are left, and the bucket of each one that was summed out.
    """
    last = len(order)
    place = defaultdict(lambda: last, {name: at for at, name in enumerate(order)}).__getitem__
    for scaled in (False, True):  # scaling costs time, and is needed only where numbers get too small
        buckets: list[list[Factor]] = [[] for _ in range(last + 1)]
        for factor in factors:
            buckets[min(map(place, factor.names), default=last)].append(factor)
        for name, bucket in zip(order, buckets, strict=False):
            message = product(bucket, name, scaled)
            buckets[min(map(place, message.names), default=last)].append(message)
        *steps, rest = buckets
        result = product([Factor((), np.ones(())), *rest], None, scaled)
        if result.values.sum() > SMALL:
            break
    return result, steps


def linked(factors: Sequence[Factor], names: Collection[str]) -> tuple[list[Factor], list[Factor]]:
    """The factors that shared variables join to `names`, directly or through others, and the rest."""
    reached, waiting = set(names), list(factors)
    joined: list[Factor] = []
    while True:
        apart = []
        for factor in waiting:
            if reached.isdisjoint(factor.names):
                apart.append(factor)
            else:
                reached.update(factor.names)
                joined.append(factor)
        if len(apart) == len(waiting):
            return joined, apart
        waiting = apart


def min_fill(factors: Iterable[Factor], keep: Iterable[str] = ()) -> tuple[str, ...]:
    """An order of elimination: always the variable next that joins the fewest pairs of strangers.

    It depends on the names alone and is kept, for questions come again with other observations.

    Variables that share a factor are neighbors. Summing one out leaves a factor of all its neighbors, so it makes
    neighbors of them; the fewer of these new edges, the smaller the tables stay.

    Source: Koller and Friedman, Probabilistic Graphical Models, 2009, section 9.4.3.
    """
    return _min_fill(tuple([factor.names for factor in factors]), tuple(keep))


@functools.lru_cache(maxsize=1024)
def _min_fill(scopes: tuple[tuple[str, ...], ...], keep: tuple[str, ...]) -> tuple[str, ...]:
    near: dict[str, set[str]] = {}  # each variable's neighbors, and itself
    for names in scopes:
        for name in names:
            if name in near:
                near[name].update(names)
            else:
                near[name] = set(names)
    waiting, order = [name for name in near if name not in keep], []
    while waiting:
        for best in waiting:  # where all neighbors know each other nothing is joined: such a one is found first
            others = near[best]
            for other in others:
                if not others <= near[other]:
                    break
            else:
                break
        else:
            best = min(waiting, key=lambda name: sum([len(near[name] - near[other]) for other in near[name]]))
        waiting.remove(best)
        order.append(best)
        others = near.pop(best)
        others.remove(best)
        for other in others:
            near[other] |= others
            near[other].remove(best)
    return tuple(order)


def configuration(columns: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """The number of the cell that each row falls into, in a table of shape `sizes`; `()` for no columns."""
    cell = torch.zeros((), dtype=torch.int64)
    for column, size in zip(columns, sizes, strict=True):
        cell = cell * size + column
    return cell


def edges(table: Tensor) -> Tensor:
    """Weights `(..., C)` to the inner edges `(C − 1, Q)` of the intervals of [0, 1) that belong to the C states."""
    cumulative = table.reshape(-1, table.shape[-1]).cumsum(-1)
    total = cumulative[:, -1:].clamp(min=torch.finfo(torch.float64).tiny)
    return (cumulative[:, :-1] / total).T.contiguous()


def draw(edges: Tensor, rows: Tensor, uniform: Tensor) -> Tensor:
    """The state in whose interval `uniform` falls, by the weights of row `rows`: the inverse of the distribution."""
    state = torch.zeros(uniform.shape, dtype=torch.int64)
    for edge in edges:
        state += uniform >= edge[rows]
    return state


def lookup(name, known: Sequence[str], what: str) -> int:
    """Where `name` stands in `known`.

    Raises:
        ValueError: when it is not there; the message names the nearest ones.
    """
    if name in known:
        return known.index(name)
    folded = {str(other).casefold(): other for other in known}
    found = difflib.get_close_matches(str(name).casefold(), folded, n=3)
    hint = f"did you mean {' or '.join(repr(folded[key]) for key in found)}?" if found else ""
    if not hint:
        hint = "expected one of " + ", ".join(map(str, known[:12])) + (", …" if len(known) > 12 else "")
    raise ValueError(f"there is no {what} {name!r}: {hint}")
