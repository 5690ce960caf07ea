"""The Bayesian interchange format (BIF), in which most published networks come.

A file is a row of blocks: `variable name { type discrete [2] { yes, no }; }`, `probability ( child | parent ) { … }`.
What programs write is read: pgmpy and bnlearn put commas between names, and a row for each combination of the parents'
states; JavaBayes puts blanks, names in quotes, and one `table` in which the states of the child vary slowest.
"""

from __future__ import annotations

import gzip
import itertools
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

# A property may hold anything, up to a semicolon that is not in quotes; it is of no use here.
TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|(?<=[{};\s])property\s(?:(?:[^;"]|"[^"\n]*")*|[^;]*);)"""
    r"""|"(?P<quoted>[^"]*)"|(?P<mark>[{}()\[\];,|])|(?P<word>(?:(?!//|/\*)[^\s{}()\[\];,|"])+)|(?P<wrong>.)""",
    re.DOTALL,
)


class Token(NamedTuple):
    """A name, a number or a mark, and where it stands in the text."""

    text: str
    kind: str
    at: int


def read_bif(path: str | Path) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, Tensor]]:
    """Read a network in BIF, plain or compressed by gzip; numbers are taken as they stand.

    Text is UTF-8, UTF-16 with a byte-order mark, or else Windows' Western European (cp1252).

    Returns:
        parents, states and tables, as `BayesianNetwork` takes them.

    Raises:
        ValueError: for text that is not a complete network; the message names the file, the line and the variable.

    Source: F. Cozman, The Interchange Format for Bayesian Networks, version 0.15.
    """
    text = _Text(Path(path))
    blocks: dict[str, list[list[Token]]] = {"variable": [], "probability": []}
    while text.left():  # anything may stand between blocks
        token = text.take()
        if token.kind == "word" and token.text in blocks:
            blocks[token.text].append([token, *text.until("{")])
            blocks[token.text][-1] += text.block(token)
        elif token.text == "{" and token.kind == "mark":
            text.block(token)
    states: dict[str, list[str]] = {}
    for block in blocks["variable"]:
        name, own = _variable(text, block)
        if name in states:
            text.fail(block[0], f"variable {name!r} is declared a second time: leave one of them")
        states[name] = own
    if not states:
        raise ValueError(f"{path} declares no variable: is it a network in BIF?")
    parents, tables = {}, {}
    for block in blocks["probability"]:
        child, above, body = _header(text, block, states)
        if child in parents:
            text.fail(block[0], f"{child!r} has a second probability block: leave one of them")
        parents[child], tables[child] = above, _table(text, child, above, states, body)
    if missing := states.keys() - parents.keys():
        raise ValueError(f"{path}: no table for {', '.join(sorted(missing))}")
    return parents, states, tables


class _Text:
    """The tokens of a file, taken one after the other, and errors that say where."""

    def __init__(self, path: Path):
        self.path, self.text, self.place = path, _decoded(path), 0
        self.tokens = []
        for found in TOKEN.finditer(self.text):
            kind = found.lastgroup
            if kind == "wrong":
                self.fail(Token(found[0], kind, found.start()), "a quotation mark is not closed")
            if kind != "skip":
                self.tokens.append(Token(found[kind], kind, found.start()))

    def left(self) -> bool:
        return self.place < len(self.tokens)

    def take(self) -> Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def until(self, mark: str) -> list[Token]:
        """The tokens before this mark, and the mark."""
        taken = []
        while self.left() and (not taken or not _is(taken[-1], mark)):
            taken.append(self.take())
        return taken

    def block(self, start: Token) -> list[Token]:
        """The tokens up to the brace that closes the one before, and that brace."""
        taken, depth = [], 1
        while depth and self.left():
            taken.append(self.take())
            depth += _is(taken[-1], "{") - _is(taken[-1], "}")
        if depth:
            self.fail(start, f"this block has no end: {'{'} without {'}'}")
        return taken

    def fail(self, token: Token, what: str) -> NoReturn:
        raise ValueError(f"{self.path}, line {self.text.count(chr(10), 0, token.at) + 1}: {what}")


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is a damaged gzip file: {error}") from None
    encodings = ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
    raise ValueError(f"{path}, line {line}: this text is not in {' or '.join(encodings)}: save it as UTF-8")


def _variable(text: _Text, block: list[Token]) -> tuple[str, list[str]]:
    """The name of a variable and its states."""
    name = _joined(_before(block[1:], "{"))
    body = block[len(_before(block, "{")) + 1 : -1]
    if not name:
        text.fail(block[0], "a variable without a name")
    if [token.text for token in body[:3]] != ["type", "discrete", "["] or len(body) < 4:
        text.fail(block[0], f"variable {name!r} is not discrete: only `type discrete [n] {{ … }};` can be read")
    size, listed = body[3].text, _after(body, "{")
    if not size.isdecimal() or not listed:
        text.fail(body[3], f"variable {name!r} has {size!r} states: expected a number, and their names in braces")
    groups = _groups(_before(listed, "}"))
    states = [_joined(group) for group in groups]
    if len(groups) == 1 and int(size) > 1:  # no commas
        states = [token.text for token in groups[0]]
    if len(states) != int(size):
        text.fail(listed[0], f"variable {name!r} says {size} states but lists {len(states)}: {', '.join(states)}")
    if len(set(states)) < len(states):
        text.fail(listed[0], f"variable {name!r} lists a state twice: {', '.join(states)}")
    return name, states


def _header(text: _Text, block: list[Token], states: dict[str, list[str]]) -> tuple[str, list[str], list[Token]]:
    """The child, its parents, and the body of a probability block."""
    inside = _before(_after(_before(block, "{"), "("), ")")
    first, rest = _before(inside, "|"), _after(inside, "|")
    names = [name for part in (first, rest) for group in _groups(part) for name in _names(group, states)]
    if not names:
        text.fail(block[0], "a probability block without a variable: expected probability ( child | parents )")
    child, above = names[0], names[1:]
    if unknown := sorted({child, *above} - states.keys()):
        text.fail(block[0], f"the table of {child!r} names {unknown}, which the file does not declare")
    return child, above, block[len(_before(block, "{")) + 1 : -1]


def _table(text: _Text, child: str, above: list[str], states: dict[str, list[str]], body: list[Token]) -> Tensor:
    """One `probability` block as a tensor with an axis for each parent, and the last for the variable itself."""
    shape = [len(states[name]) for name in (*above, child)]
    table, default, seen = torch.full(shape, torch.nan, dtype=torch.float64), None, set()
    while body:
        key = body[0]
        given, rest = (_before(body[1:], ")"), _after(body, ")")) if _is(key, "(") else ([], body[1:])
        numbers, body = _before(rest, ";"), _after(rest, ";")
        label = f"({', '.join(_joined(group) for group in _groups(given))})" if _is(key, "(") else key.text
        if label not in ("table", "default") and not _is(key, "("):
            text.fail(
                key, f"{key.text!r} in the table of {child!r}: expected a row `(states) numbers;`, table or default"
            )
        if label in seen or (label == "table" and seen - {"default"}) or (label != "default" and "table" in seen):
            text.fail(key, f"row {label} of {child!r} says again what a row before it says: leave one of them")
        seen.add(label)
        row = _numbers(text, child, label, numbers, math.prod(shape) if label == "table" else shape[-1], key)
        if label == "table":  # the child's states vary slowest
            table = row.reshape(shape[-1:] + shape[:-1]).movedim(0, -1)
        elif label == "default":
            default = row
        else:
            named = [name for group in _groups(given) for name in _names(group, set().union(*map(states.get, above)))]
            if len(named) != len(above) or any(s not in states[name] for name, s in zip(above, named, strict=True)):
                text.fail(key, f"row {label} of {child!r} does not name a state of each of {', '.join(above)}")
            table[tuple(states[name].index(state) for name, state in zip(above, named, strict=True))] = row
    if default is not None:
        table = torch.where(table.isnan(), default, table)
    for at in itertools.product(*(range(len(states[name])) for name in above)):
        if table[at].isnan().any():
            given = ", ".join(states[name][i] for name, i in zip(above, at, strict=True))
            raise ValueError(f"{text.path}: the table of {child!r} has no row for ({given})")
    return table


def _numbers(text: _Text, child: str, label: str, tokens: list[Token], expected: int, key: Token) -> Tensor:
    values = []
    for token in tokens:
        if not _is(token, ","):
            try:
                values.append(float(token.text))
            except ValueError:
                values.append(math.nan)
            if not math.isfinite(values[-1]):
                text.fail(token, f"row {label} of {child!r} has {token.text!r} where a number is expected")
    if len(values) != expected:
        text.fail(key, f"row {label} of {child!r} has {len(values)} numbers: expected {expected}")
    return torch.tensor(values, dtype=torch.float64)


# --- tokens ---


def _is(token: Token, mark: str) -> bool:
    return token.kind == "mark" and token.text == mark


def _before(tokens: list[Token], mark: str) -> list[Token]:
    return list(itertools.takewhile(lambda token: not _is(token, mark), tokens))


def _after(tokens: list[Token], mark: str) -> list[Token]:
    return tokens[len(_before(tokens, mark)) + 1 :]


def _groups(tokens: list[Token]) -> list[list[Token]]:
    """What stands between commas."""
    parts = itertools.groupby(tokens, key=lambda token: _is(token, ","))
    return [list(part) for comma, part in parts if not comma]


def _joined(tokens: Sequence[Token]) -> str:
    return " ".join(token.text for token in tokens)


def _names(group: list[Token], known) -> list[str]:
    """One name, which may hold blanks where it is known so, or several that blanks separate."""
    return [_joined(group)] if _joined(group) in known else [token.text for token in group]
