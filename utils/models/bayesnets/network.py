"""What a network of discrete variables is made of: a graph, states and tables, all checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

import torch
from torch import Tensor

from utils.models.bayesnets.factors import Factor, lookup
from utils.models.estimator import Estimator, NotFittedError
from utils.validation import whole

TOLERANCE = 1e-6  # published tables are rounded: rows such as 0.3333333 three times are taken as they stand


class Network(Estimator):
    """A directed acyclic graph of variables with named states and, once they are known, their tables."""

    def __init__(
        self,
        parents: Mapping[str, Sequence[str]],
        states: Mapping[str, Sequence[str]],
        tables: Mapping[str, Tensor] | None = None,
    ):
        self.variables = tuple(states)
        if not self.variables:
            raise ValueError("a network needs at least one variable: states is empty")
        for name, named in [*parents.items(), *states.items()]:
            if isinstance(named, str):
                raise ValueError(f"{name!r} has the text {named!r} where a list of names belongs: write [{named!r}]")
            if len(set(named)) < len(named):
                raise ValueError(f"{name!r} lists a name twice: {', '.join(map(str, named))}")
        for name in [*parents, *(above for named in parents.values() for above in named)]:
            lookup(name, self.variables, "variable")
        for name, named in states.items():
            if len(named) == 0:
                raise ValueError(f"variable {name!r} has no states: list at least one")
        self.states = {name: tuple(named) for name, named in states.items()}
        self.parents = {name: tuple(parents.get(name, ())) for name in self.variables}
        self.order = topological(self.parents)
        self._sizes = {name: len(named) for name, named in self.states.items()}
        self._tables: dict[str, Tensor] | None = None
        if tables is not None:
            self._take(self._check_tables(tables))

    def __repr__(self) -> str:
        shape = f"{len(self.variables)} variables, {len(self.edges)} edges, {self.n_parameters} parameters"
        return f"BayesianNetwork({shape}{', no tables yet' if self._tables is None else ''})"

    def state_dict(self) -> dict[str, Tensor]:
        """The tables by the name of their variable, copied."""
        return {name: table.clone().contiguous() for name, table in self.tables.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the tables of a network with the same structure."""
        self._take(self._check_tables(state))

    @property
    def edges(self) -> list[tuple[str, str]]:
        """(parent, child) of each arrow."""
        return [(above, name) for name in self.variables for above in self.parents[name]]

    @property
    def n_parameters(self) -> int:
        """Free parameters: each row of a table has one less than it has states, for they sum to one."""
        return sum(math.prod(self._shape(name)[:-1]) * (self._sizes[name] - 1) for name in self.variables)

    @property
    def tables(self) -> Mapping[str, Tensor]:
        """p(v | parents) of each variable; a mapping to read: other tables make another network."""
        if self._tables is None:
            raise NotFittedError("this network has no tables: call fit(x) first, or pass tables=")
        return MappingProxyType(self._tables)

    def _take(self, tables: dict[str, Tensor]) -> None:
        self._tables = tables
        self._scopes = {name: Factor((*self.parents[name], name), table.numpy()) for name, table in tables.items()}

    @property
    def _factors(self) -> dict[str, Factor]:
        """The tables with named axes, in the same memory."""
        return self.tables and self._scopes  # `tables` raises where there are none

    # --- checks ---

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._sizes[other] for other in (*self.parents[name], name))

    def _stack(self, columns: dict[str, Tensor]) -> Tensor:
        """Rows `(B, V)`; each column is contiguous, as all that counts or looks up wants it."""
        return torch.stack([columns[name] for name in self.variables]).T

    def _possible(self, joint: Factor, evidence) -> Tensor:
        """p(variables, evidence) → p(variables | evidence)."""
        total = joint.values.sum()
        if not total > 0:
            raise ValueError(f"{self._say(evidence)} has probability 0 in this network: no posterior exists")
        return torch.as_tensor(joint.values / total)

    def _say(self, evidence) -> str:
        if not evidence:
            return "no evidence"
        said = (f"{name} = {self.states[name][state]}" for name, state in self._index(evidence).items())
        return f"the evidence {', '.join(said)}"

    def _index(self, evidence: Mapping[str, str | int] | None) -> dict[str, int]:
        """States by name or number → by number."""
        return {name: self._state(name, state) for name, state in (evidence or {}).items()}

    def _state(self, name: str, state: str | int) -> int:
        """The number of a state that is given by name or number; where the names are numbers, by its name alone."""
        lookup(name, self.variables, "variable")
        known = self.states[name]
        if isinstance(state, str) or state in known or not all(isinstance(other, str) for other in known):
            return lookup(state, known, f"state of {name!r} called")
        number = whole(f"the state of {name!r}", state, -math.inf)
        if str(number) in known and known.index(str(number)) != number:
            raise ValueError(
                f"state {number} of {name!r} could be the one called {str(number)!r} or number {number} of"
                f" {', '.join(known)}: give its name, as text"
            )
        if not 0 <= number < len(known):
            raise ValueError(f"state {state} of {name!r} is out of range: it has {len(known)} states, from 0")
        return number

    def _question(self, variables, evidence) -> tuple[tuple[str, ...], dict[str, int]]:
        variables, fixed = (variables,) if isinstance(variables, str) else tuple(variables), self._index(evidence)
        if not variables:
            raise ValueError("no variable is asked for: name at least one, or use log_evidence")
        for name in variables:
            lookup(name, self.variables, "variable")
            if name in fixed:
                raise ValueError(f"{name!r} is both asked for and given as evidence: leave it out of one of them")
        if len(set(variables)) < len(variables):
            raise ValueError(f"a variable is asked for twice: {', '.join(variables)}")
        return variables, fixed

    def columns(self, x: Tensor) -> dict[str, Tensor]:
        """The columns of complete rows `x` `(B, V)` by name.

        Raises:
            ValueError: for another shape or type, or a value that is no state; the message names row and variable.
        """
        x = torch.as_tensor(x)
        if x.ndim != 2 or x.shape[1] != len(self.variables) or not len(x):
            raise ValueError(
                f"x has shape {tuple(x.shape)}: expected (B, {len(self.variables)}) with B > 0, one column for each of"
                " variables"
            )
        if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
            raise ValueError(f"x has type {x.dtype}: expected whole numbers, the states; use x.long()")
        wrong = (x < 0) | (x >= torch.tensor([*self._sizes.values()]))
        if wrong.any():
            row, at = wrong.nonzero()[0].tolist()
            name = self.variables[at]
            raise ValueError(
                f"row {row} of x has {x[row, at]} for {name!r}: expected 0 … {self._sizes[name] - 1}, one of its states"
                f" {', '.join(map(str, self.states[name]))}; are the columns in the order of variables?"
            )
        return dict(zip(self.variables, x.long().T, strict=True))

    def _check_tables(self, tables: Mapping[str, Tensor]) -> dict[str, Tensor]:
        for name in tables:
            lookup(name, self.variables, "variable")
        if missing := [name for name in self.variables if name not in tables]:
            raise ValueError(f"no table for {', '.join(missing)}: give one for each variable, or none and call fit")
        return {name: self._check_table(name, tables[name]) for name in self.variables}

    def _check_table(self, name: str, table: Tensor) -> Tensor:
        table = torch.as_tensor(table, dtype=torch.float64).detach().clone()
        above, shape = self.parents[name], self._shape(name)
        if table.shape != shape:
            axes = (
                f"one axis for each parent ({', '.join(above)}), then the states of {name!r}" if above else "no parents"
            )
            raise ValueError(f"the table of {name!r} has shape {tuple(table.shape)}: expected {shape}, {axes}")
        if not table.isfinite().all() or table.min() < 0:
            worst = table[~(table >= 0) | table.isinf()][0]
            raise ValueError(f"the table of {name!r} holds {worst:.4g}: expected probabilities")
        total = table.sum(-1)
        if (total - 1).abs().max() > TOLERANCE:
            at = (total - 1).abs().gt(TOLERANCE).nonzero()[0].tolist()
            value = total[tuple(at)]
            given = ", ".join(f"{other} = {self.states[other][i]}" for other, i in zip(above, at, strict=True))
            raise ValueError(
                f"the table of {name!r} sums to {value:.6g}{' given ' + given if given else ''}: expected 1 over the"
                " last axis, its states; divide by table.sum(-1, keepdim=True)"
            )
        return table


def topological(parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The variables with parents before children.

    Raises:
        ValueError: for a cycle; the message names it.
    """
    try:
        return tuple(TopologicalSorter(parents).static_order())
    except CycleError as error:
        cycle = " → ".join(map(str, error.args[1]))
        raise ValueError(f"the arrows form a cycle, {cycle}: remove one of them") from None


def ancestors(parents: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    """`names` and all that is above them, each once, in an order that depends on nothing else."""
    found = dict.fromkeys(names)
    waiting = list(found)
    for name in waiting:
        for above in parents.get(name, ()):
            if above not in found:
                found[above] = None
                waiting.append(above)
    return waiting
