"""Bayesian networks: a joint distribution as a product of small tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Generator, Tensor

from utils.models.bayesnets.bif import read_bif
from utils.models.bayesnets.factors import Factor, configuration, draw, edges, eliminate, linked, min_fill, product
from utils.models.bayesnets.network import Network, ancestors, topological
from utils.validation import whole


class BayesianNetwork(Network):
    """p(x) = Π_v p(x_v | x_parents(v)), each factor a table; all variables are discrete.

    The table of X with parents (A, B) has shape (|A|, |B|, |X|), float64; its last axis sums to one. Rows of data are
    whole numbers `(B, V)`: the number of each variable's state, with columns in the order of `variables`.

    Args:
        parents: for each variable its parents; a variable that is left out has none.
        states: for each variable the names of its states. Its order is that of `variables`, of the columns of data.
        tables: for each variable its table; without them the network has a structure alone, until `fit`.

    Attributes:
        variables: names, in the order of `states` (`from_bif` puts parents before children).
        order: the same in a topological order: parents before children.
        parents, states, tables: as above, complete and in the order of `variables`.

    Raises:
        ValueError: for a cycle, an unknown name or a table that is none; the message says what to do.
        NotFittedError: for a question to a network without tables.

    Source: Koller and Friedman, Probabilistic Graphical Models, 2009, chapters 3, 9, 12 and 17.
    """

    @classmethod
    def from_bif(cls, path: str | Path) -> BayesianNetwork:
        """The network of a file in the Bayesian interchange format, plain or compressed by gzip; see `read_bif`."""
        parents, states, tables = read_bif(path)
        try:
            return cls(parents, {name: states[name] for name in topological(parents)}, tables)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    # --- learning and sampling: forward along the arrows ---

    def fit(self, x: Tensor, alpha: float = 0.0) -> Self:
        """Tables from complete rows `x` `(B, V)`: (N(parents, v) + α) / Σ_v (N(parents, v) + α). Returns the network.

        Args:
            alpha: 0 for the maximum of the likelihood; above 0, a count that every cell has before any data: the mean
                of the posterior under a Dirichlet(α, …, α) prior for each row of a table.

        With α = 0 a row whose parents never have these states in `x` says nothing: it becomes uniform.
        """
        columns = self.columns(x)
        if not 0 <= alpha < math.inf:
            raise ValueError(f"alpha is {alpha}: expected a count of 0 or more")
        tables = {}
        for name in self.variables:
            shape = self._shape(name)
            cell = configuration([columns[at] for at in (*self.parents[name], name)], shape)
            count = cell.bincount(minlength=math.prod(shape)).double().reshape(shape) + alpha
            total = count.sum(-1, keepdim=True)
            tables[name] = torch.where(total > 0, count / total, 1 / shape[-1])
        self._take(tables)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = Σ_v log p(x_v | x_parents(v)) of complete rows `(B, V)`, in nats, `(B,)`."""
        columns, total = self.columns(x), 0.0
        for name, table in self.tables.items():
            cell = configuration([columns[at] for at in (*self.parents[name], name)], table.shape)
            total = total + table.log().flatten()[cell]
        return total

    def sample(
        self, n: int, generator: Generator | None = None, evidence: Mapping[str, str | int] | None = None
    ) -> Tensor:
        """n independent rows `(n, V)` of p(x), int64, drawn in topological order: each variable given its parents.

        With `evidence`, exact rows of p(x | evidence): eliminate every variable, then draw them in the reverse order,
        each from the product that was summed over it.
        """
        n = whole("n", n)
        if not evidence:
            return self._stack(self._forward(n, {}, generator)[0])
        fixed = self._index(evidence)
        columns = {name: torch.full((n,), state) for name, state in fixed.items()}
        factors = [self._factors[name].given(fixed) for name in self.order]
        order = min_fill(factors)
        total, steps = eliminate(factors, order)
        self._possible(total, evidence)
        for name, held in zip(reversed(order), reversed(steps), strict=True):
            above, table = self._conditional(name, held)
            rows = configuration([columns[other] for other in above], table.shape[:-1])
            columns[name] = draw(edges(table), rows, torch.rand(n, generator=generator, dtype=torch.float64))
        return self._stack(columns)

    def _forward(self, n: int, fixed: dict[str, int], generator: Generator | None) -> tuple[dict[str, Tensor], Tensor]:
        """n rows in topological order; `fixed` variables are set, and log p(fixed | parents) of each row is summed."""
        columns, log_weight = {}, torch.zeros(n, dtype=torch.float64)
        for name in self.order:
            table = self.tables[name]
            rows = configuration([columns[above] for above in self.parents[name]], table.shape[:-1])
            if name in fixed:
                columns[name] = torch.full((n,), fixed[name])
                log_weight += table[..., fixed[name]].log().flatten()[rows]
            else:
                uniform = torch.rand(n, generator=generator, dtype=torch.float64)
                columns[name] = draw(edges(table), rows, uniform)
        return columns, log_weight

    # --- exact answers ---

    def query(self, variables: str | Sequence[str], evidence: Mapping[str, str | int] | None = None) -> Tensor:
        """p(variables | evidence), exact, by variable elimination; its axes are in the order of `variables`.

        Args:
            variables: a name or several.
            evidence: for each observed variable its state, by name or number, such as {"xray": "yes"}.

        Variables below all that is asked and observed sum to one and are left out, as are parts that the evidence cuts
        off; the rest are eliminated in min-fill order. Time and memory grow with the largest table on the way, which
        the structure decides.

        Raises:
            ValueError: for unknown names, evidence of probability 0, or tables that would not fit in memory.
        """
        variables, fixed = self._question(variables, evidence)
        factors = self._relevant(variables, fixed)
        joined, apart = linked(factors, variables)
        if all(factor.values.min() > 0 for factor in apart):  # a constant, and no hidden contradiction
            factors = joined
        joint, _ = eliminate(factors, min_fill(factors, variables))
        return self._possible(joint.ordered(variables), evidence)

    def log_evidence(self, evidence: Mapping[str, str | int]) -> float:
        """log p(evidence) in nats, exact; −∞ where it is impossible."""
        factors = self._relevant((), self._index(evidence))
        total, _ = eliminate(factors, min_fill(factors))
        return math.log(total.values) + total.log_scale if total.values > 0 else -math.inf

    def _relevant(self, keep: Sequence[str], fixed: dict[str, int]) -> list[Factor]:
        """Factors whose product, summed over all but `keep`, is p(keep, fixed)."""
        known = self._factors
        return [known[name].given(fixed) for name in ancestors(self.parents, (*keep, *fixed))]

    # --- approximate answers ---

    def likelihood_weighting(
        self,
        variables: str | Sequence[str],
        evidence: Mapping[str, str | int] | None = None,
        n_samples: int = 10_000,
        generator: Generator | None = None,
    ) -> tuple[Tensor, float]:
        """p(variables | evidence) from rows drawn with the evidence held fixed, weighted by p(evidence | parents).

        Returns:
            The estimate, and how many independent rows it is worth, (Σ w)² / Σ w²: the effective sample size.

        Source: Fung and Chang, 1989; Koller and Friedman, section 12.3.
        """
        n_samples = whole("n_samples", n_samples)
        variables, fixed = self._question(variables, evidence)
        columns, log_weight = self._forward(n_samples, fixed, generator)
        if log_weight.max() == -math.inf:
            self.query(variables, evidence)  # which says so, where the evidence is impossible
            raise ValueError(f"none of {n_samples:,} rows agrees with {self._say(evidence)}: draw more, or use query")
        weight = (log_weight - log_weight.max()).exp()
        shape = [self._sizes[name] for name in variables]
        cell = configuration([columns[name] for name in variables], shape)
        sums = cell.bincount(weight, math.prod(shape)).reshape(shape)
        return sums / weight.sum(), (weight.sum().square() / weight.square().sum()).item()

    def gibbs(
        self,
        variables: str | Sequence[str],
        evidence: Mapping[str, str | int] | None = None,
        n_samples: int = 1000,
        burn_in: int = 100,
        chains: int = 10,
        generator: Generator | None = None,
        return_chains: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """p(variables | evidence) from chains that draw one variable after the other, given all others.

        Args:
            n_samples: sweeps over all variables that are counted, in each chain.
            burn_in: sweeps before these, which are forgotten.
            chains: how many run side by side.
            return_chains: return the estimate of each chain, too, `(chains, …)`; where they differ, they have
                not mixed.

        A chain starts at a row that was drawn with the evidence fixed and is possible; where states of probability 0
        cut the possible rows into islands, it never leaves its own.

        Source: Geman and Geman, 1984; Koller and Friedman, section 12.3.
        """
        n_samples, chains = whole("n_samples", n_samples), whole("chains", chains)
        burn_in = whole("burn_in", burn_in, 0)
        variables, fixed = self._question(variables, evidence)
        columns, log_weight = self._forward(max(1000, 10 * chains), fixed, generator)
        possible = (log_weight > -math.inf).nonzero().flatten()
        if len(possible):
            start = possible[torch.arange(chains) % len(possible)]
            columns = {name: column[start] for name, column in columns.items()}
        else:  # evidence so rare that forward draws never meet it
            columns = dict(zip(self.variables, self.sample(chains, generator, evidence).T, strict=True))
        steps = []
        for name in self.order:
            if name not in fixed:
                family = [name, *(child for child in self.variables if name in self.parents[child])]
                blanket, table = self._conditional(name, [self._factors[member].given(fixed) for member in family])
                steps.append((name, blanket, table.shape[:-1], edges(table)))
        shape = [self._sizes[name] for name in variables]
        cells = []
        for sweep in range(burn_in + n_samples):
            uniform = torch.rand(len(steps), chains, generator=generator, dtype=torch.float64)
            for (name, blanket, sizes, table), numbers in zip(steps, uniform, strict=True):
                columns[name] = draw(table, configuration([columns[other] for other in blanket], sizes), numbers)
            if sweep >= burn_in:
                cells.append(configuration([columns[name] for name in variables], shape))
        cell = configuration([torch.arange(chains), torch.stack(cells)], [chains, math.prod(shape)])  # (n, chains)
        each = cell.flatten().bincount(minlength=chains * math.prod(shape)).double().reshape(chains, *shape) / n_samples
        return (each.mean(0), each) if return_chains else each.mean(0)

    @staticmethod
    def _conditional(name: str, factors: list[Factor]) -> tuple[tuple[str, ...], Tensor]:
        """p(name | others) ∝ the product of all factors that hold `name`: the others, and a table over them and it."""
        joint = product(factors)
        others = tuple(other for other in joint.names if other != name)
        return others, torch.from_numpy(joint.ordered((*others, name)).values)
