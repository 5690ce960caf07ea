"""The Bayesian interchange format (BIF), in which most published networks come."""

from __future__ import annotations

import gzip
import itertools
import re
from pathlib import Path

import torch
from torch import Tensor

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
VARIABLE = re.compile(r'variable\s+"?([^\s"{]+)"?\s*\{([^{}]*\{[^{}]*\}[^{}]*)\}')
STATES = re.compile(r"type\s+discrete\s*\[\s*(\d+)\s*\]\s*\{([^}]*)\}")
TABLE = re.compile(r"probability\s*\(([^)|]*)(?:\|([^)]*))?\)\s*\{([^}]*)\}")
ROW = re.compile(r"(table\b|default\b|\([^)]*\))([^;]*);")


def read_bif(path: str | Path) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, Tensor]]:
    """Read a network in BIF, plain or compressed by gzip; numbers are taken as they stand.

    Returns:
        parents, states and tables, as `BayesianNetwork` takes them.

    Raises:
        ValueError: for text that is not a complete network; the message names the file and the variable.
    """
    path = Path(path)
    raw = path.read_bytes()
    text = COMMENT.sub(" ", (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode())

    states = {}
    for name, body in VARIABLE.findall(text):
        declared = STATES.search(body)
        if declared is None:
            raise ValueError(f"{path}: variable {name!r} is not discrete: only `type discrete` can be read")
        states[name] = _split(declared[2])
        if len(states[name]) != int(declared[1]):
            raise ValueError(f"{path}: variable {name!r} says {declared[1]} states but lists {len(states[name])}")
    if not states:
        raise ValueError(f"{path} declares no variable: is it a network in BIF?")

    parents, tables = {}, {}
    for child, above, body in TABLE.findall(text):
        child, above = child.strip().strip('"'), _split(above)
        if unknown := {child, *above} - states.keys():
            raise ValueError(f"{path}: the table of {child!r} names {sorted(unknown)}, which the file does not declare")
        parents[child] = above
        tables[child] = _table(path, child, above, states, body)
    if missing := states.keys() - parents.keys():
        raise ValueError(f"{path}: no table for {', '.join(sorted(missing))}")
    return parents, states, tables


def _split(text: str) -> list[str]:
    return [part.strip().strip('"') for part in text.split(",") if part.strip()]


def _table(path: Path, child: str, above: list[str], states: dict[str, list[str]], body: str) -> Tensor:
    """One `probability` block as a tensor with an axis for each parent, and the last for the variable itself."""
    table = torch.full([len(states[name]) for name in (*above, child)], torch.nan, dtype=torch.float64)
    default = None
    for key, numbers in ROW.findall(body):
        row = torch.tensor([float(number) for number in _split(numbers)], dtype=torch.float64)
        if len(row) != len(states[child]):
            raise ValueError(f"{path}: row {key} of {child!r} has {len(row)} numbers: expected {len(states[child])}")
        if key == "default":
            default = row
        elif key != "table":
            given = _split(key[1:-1])
            if len(given) != len(above) or any(s not in states[name] for name, s in zip(above, given, strict=True)):
                raise ValueError(f"{path}: row {key} of {child!r} does not name a state of each of {', '.join(above)}")
            table[tuple(states[name].index(state) for name, state in zip(above, given, strict=True))] = row
        elif above:
            raise ValueError(f"{path}: {child!r} has parents and a `table`: write a row for each of their states")
        else:
            table = row
    if default is not None:
        table = torch.where(table.isnan(), default, table)
    for at in itertools.product(*(range(len(states[name])) for name in above)):
        if table[at].isnan().any():
            given = ", ".join(states[name][i] for name, i in zip(above, at, strict=True))
            raise ValueError(f"{path}: the table of {child!r} has no row for ({given})")
    return table
