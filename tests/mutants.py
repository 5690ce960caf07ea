"""Wrong answers made mechanically from each solution.

A check that lets one pass is too weak, or the mutant is no mistake.

    python tests/mutants.py          every exercise, a table of chapters, and what passed
    python tests/mutants.py 04 gan.count_modes --seeds 3

One change at a time is made in the solution's own lines: a term dropped, a sign turned, axes swapped, a sum for a mean,
one maximum for all rows, `<` for `<=`, off by one, a statement left out, an argument ignored; then in its result: the
first row only, rows turned round, the sign. A mutant that is no mistake stands in `equivalent_mutants.toml` with the
reason. Challenges are left out: any way to their number is right.
"""

from __future__ import annotations

import argparse
import ast
import copy
import itertools
import multiprocessing
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
# What a check says when it knows no more than that two numbers differ.
BARE = re.compile(r"[^.:]* should be -?[\d.]+(e[+-]\d+)?( at \[[\d, ]*\])?, not -?[\d.]+(e[+-]\d+)?\.")


@dataclass(frozen=True)
class Mutant:
    """One change of one solution; `tree` is the whole cell, changed."""

    id: str
    change: str
    tree: ast.Module
    trick: str = ""

    def __str__(self) -> str:
        return f"{self.id} | {self.change}"

    def function(self, namespace: dict) -> Callable:
        """The changed answer, with the names of its notebook."""
        names = {**namespace, **TRICKS}
        exec(compile(ast.fix_missing_locations(self.tree), f"<mutant of {self.id}>", "exec"), names)
        return names[[node for node in self.tree.body if isinstance(node, ast.FunctionDef)][-1].name]


# --- tricks: what mutants call ---------------------------------------------------------------------------------------


CHANGED: set[str] = set()  # the tricks that made a difference, since `verdict` began


def _noting(name: str, trick: Callable) -> Callable:
    """The trick; `CHANGED` will tell whether it changed what it was given."""

    def noted(value):
        changed = trick(value)
        if not _alike(value, changed):
            CHANGED.add(name)
        return changed

    return noted


def _alike(one, other) -> bool:
    if isinstance(one, Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    if isinstance(one, tuple):
        return all(map(_alike, one, other))
    return one is other or bool(one == other)


def _ignored(value):
    """A constant in the place of an argument."""
    if isinstance(value, Tensor) and value.numel() > 1:
        middle = value.double().mean().to(value.dtype) if value.dtype != torch.bool else value.flatten()[0]
        return torch.full_like(value, middle.item())
    if isinstance(value, bool):
        return not value
    return type(value)(1) if isinstance(value, int | float) else value


def _first_row(value):
    """The first row in the place of all."""
    if isinstance(value, Tensor) and value.ndim and len(value) > 1:
        return value[:1].expand_as(value).clone()
    return value


def _of_result(change: Callable) -> Callable:
    def changed(result):
        if isinstance(result, tuple):
            return tuple(map(changed, result))
        return change(result) if isinstance(result, Tensor) and result.is_floating_point() else result

    return changed


def _one_maximum(name: str) -> Callable:
    """The function of this name, made safe with one maximum for all rows."""

    def unsafe(a, dim=-1, keepdim=False):
        shifted = (a - a.max()).exp()
        total = shifted.sum(dim, keepdim=True)
        if name == "softmax":
            return shifted / total
        if name == "log_softmax":
            return (shifted / total).log()
        log = total.log() + a.max()
        return log if keepdim else log.squeeze(dim)

    return unsafe


ALTERING = {
    "_ignored": _ignored,
    "_first_row": _first_row,
    "_negated": _of_result(lambda result: -result),
    "_turned_round": _of_result(lambda result: result.flip(0) if result.ndim else result),
    "_first_row_of_result": _of_result(_first_row),
    "_swapped": _of_result(lambda result: result.mT if result.ndim > 1 else result),
}
TRICKS = {
    **{name: _noting(name, trick) for name, trick in ALTERING.items()},
    **{f"_unsafe_{name}": _one_maximum(name) for name in ("softmax", "log_softmax", "logsumexp")},
}

# --- changes of an expression ----------------------------------------------------------------------------------------

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv}
COMPARED = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
NAMES = {
    "sum": "mean",
    "mean": "sum",
    "max": "min",
    "min": "max",
    "amax": "amin",
    "amin": "amax",
    "argmax": "argmin",
    "argmin": "argmax",
    "log": "log2",
    "log1p": "log",
    "softmax": "log_softmax",
    "log_softmax": "softmax",
    "cumsum": "sum",
    "floor": "round",
    "tril": "triu",
    "triu": "tril",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "zeros": "ones",
    "ones": "zeros",
    "all": "any",
    "any": "all",
}
# Methods and attributes that may be forgotten: `x.sqrt()` → `x`. Not those that only copy or lay out anew.
FORGOTTEN = {
    "sqrt",
    "square",
    "exp",
    "log",
    "abs",
    "detach",
    "flip",
    "T",
    "mT",
    "cumsum",
    "clamp",
    "mean",
    "round",
    "tanh",
}


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    """What could have been written in the place of `node`."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        yield node.left
        if isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
            yield node.right
        if isinstance(node.op, ast.MatMult):
            yield ast.BinOp(node.left, node.op, ast.Attribute(node.right, "mT", ast.Load()))
    elif _negative(node):
        yield from (ast.Constant(value) for value in _near(-node.operand.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield from node.values
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for operator in COMPARED.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [operator()], node.comparators)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield from (ast.Constant(value) for value in _near(node.value))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value


def _negative(node: ast.AST) -> bool:
    """Whether it is a number such as -1 or -0.5."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _near(number: float) -> tuple[float, ...]:
    return (number + 1, number - 1) if isinstance(number, int) else (number + 1, number / 2, -number)


def _calls(node: ast.Call) -> Iterator[ast.expr]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    of_torch = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "torch"
    method = isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "math", "np", "F", "nn", "nx")
    )
    if name in NAMES:
        other = copy.deepcopy(node.func)
        setattr(other, "attr" if isinstance(other, ast.Attribute) else "id", NAMES[name])
        yield ast.Call(other, node.args, node.keywords)
    if method and name in FORGOTTEN:
        yield node.func.value
    if of_torch and name in FORGOTTEN and node.args:
        yield node.args[0]
    if name in ("softmax", "log_softmax", "logsumexp") and (method or of_torch):
        on = [node.func.value] if method else []
        yield ast.Call(ast.Name(f"_unsafe_{name}", ast.Load()), on + node.args, node.keywords)
    if name in ("max", "amax") and method and (node.args or node.keywords):  # one maximum for all rows
        yield ast.Call(node.func, [], [])
    if name == "log" and (method or of_torch):
        inner = node.func.value if method else node.args[0]
        kept = ast.Call(ast.Attribute(inner, "clamp", ast.Load()), [], [ast.keyword("min", ast.Constant(1e-12))])
        yield ast.Call(ast.Attribute(kept, "log", ast.Load()), [], [])
    if name == "range":
        last = node.args[min(1, len(node.args) - 1)]
        fewer = ast.BinOp(last, ast.Sub(), ast.Constant(1))
        yield ast.Call(node.func, [fewer if one is last else one for one in node.args], [])
    for keyword in node.keywords:
        if keyword.arg not in ("dtype", "device", "generator"):
            yield ast.Call(node.func, node.args, [one for one in node.keywords if one is not keyword])
    if len(node.args) == 2 and not isinstance(node.args[1], ast.Constant):
        yield ast.Call(node.func, node.args[::-1], node.keywords)


def _statements(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """What could stand in the place of a statement."""
    if isinstance(node, ast.Expr | ast.AugAssign):
        yield [ast.Pass()]
    if isinstance(node, ast.If):
        yield node.body
        yield node.orelse or [ast.Pass()]
    if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield [ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Subscript | ast.Attribute):
        target = ast.unparse(node.targets[0])
        if any(ast.unparse(inner) == target for inner in ast.walk(node.value) if isinstance(inner, ast.expr)):
            yield [ast.Pass()]  # `x = f(x)` left out


# --- mutants of a cell -----------------------------------------------------------------------------------------------


class _Replace(ast.NodeTransformer):
    """Puts `new` in the place of the node that carries `mark`."""

    def __init__(self, mark: int, new):
        self.mark, self.new = mark, new

    def visit(self, node):
        return self.new if getattr(node, "mark", None) == self.mark else self.generic_visit(node)


def mutants(id: str, cell: str) -> list[Mutant]:
    """All mutants of a solution's cell, each once."""
    tree, found = ast.parse(cell), {}
    for mark, node in enumerate(ast.walk(tree)):
        node.mark = mark
    first, last = _region(cell)
    function = [node for node in tree.body if isinstance(node, ast.FunctionDef)][-1]
    nodes = list(ast.walk(tree))
    subscripts = {inner.mark for node in nodes if isinstance(node, ast.Subscript) for inner in ast.walk(node.slice)}
    inside = {node.operand.mark for node in nodes if _negative(node)}

    def keep(change: str, replaced: ast.Module, trick: str = "") -> None:
        names = (change if count == 1 else f"{change} ({count})" for count in itertools.count(1))
        name = next(name for name in names if name not in found)
        found[name] = Mutant(id, name, replaced, trick)

    for node in ast.walk(tree):
        if not first <= getattr(node, "lineno", 0) <= last:
            continue
        others = ()
        if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
            if node.mark in inside:
                continue
            if node.mark in subscripts and (_negative(node) or isinstance(node, ast.Constant)):
                continue  # `x[-1]`: mostly the shape says it
            others = list(_expressions(node))
        elif isinstance(node, ast.stmt):
            others = list(_statements(node))
        for other in others:
            before, after = _told(node), _told(other)
            if before != after:
                keep(f"{before} → {after}", _Replace(node.mark, copy.deepcopy(other)).visit(copy.deepcopy(tree)))
    for argument in function.args.args:
        for trick in ("_ignored", "_first_row"):
            keep(f"{trick[1:].replace('_', ' ')}: {argument.arg}", _begins(tree, function, argument.arg, trick), trick)
    for trick in ("_negated", "_turned_round", "_first_row_of_result", "_swapped"):
        keep(f"result: {trick[1:].replace('_', ' ')}", _ends(tree, function, trick), trick)
    return list(found.values())


def _told(node: ast.AST | list[ast.stmt]) -> str:
    return "; ".join(ast.unparse(one).split("\n")[0] for one in (node if isinstance(node, list) else [node]))


def _region(cell: str) -> tuple[int, int]:
    lines = cell.splitlines()
    return (
        next(number for number, line in enumerate(lines, 1) if "### BEGIN SOLUTION" in line),
        next(number for number, line in enumerate(lines, 1) if "### END SOLUTION" in line),
    )


def _begins(tree: ast.Module, function: ast.FunctionDef, name: str, trick: str) -> ast.Module:
    changed = copy.deepcopy(tree)
    body = next(node for node in changed.body if getattr(node, "mark", None) == function.mark).body
    docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    body.insert(int(docstring), ast.parse(f"{name} = {trick}({name})").body[0])
    return changed


def _ends(tree: ast.Module, function: ast.FunctionDef, trick: str) -> ast.Module:
    changed = copy.deepcopy(tree)
    name = function.name
    changed.body += ast.parse(f"_right = {name}\ndef {name}(*inputs): return {trick}(_right(*inputs))").body
    return changed


# --- judging them ----------------------------------------------------------------------------------------------------


def equivalent() -> dict[str, dict[str, str]]:
    """Exercise id → change → why it is no mistake."""
    return tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")) if EQUIVALENT.exists() else {}


def verdict(mutant: Mutant, namespace: dict, seed: int = 0) -> tuple[str, str]:
    """Its status and message; "unchanged" where what makes it a mutant left all values as they were."""
    from utils.checks import run_check

    CHANGED.clear()
    try:
        answer = mutant.function(namespace)
    except Exception as error:
        return "raised", str(error)
    found = run_check(mutant.id, answer, seed)
    unchanged = found.status == "passed" and mutant.trick and mutant.trick not in CHANGED
    return "unchanged" if unchanged else found.status, found.message


def _judge(job: tuple[str, int]) -> list[tuple[str, str, str, str]]:
    """Every mutant of one exercise: (id, change, status, message)."""
    from test_checks import cell_of, namespace_of

    id, seeds = job
    torch.set_num_threads(1)
    rows = []
    for mutant in mutants(id, cell_of(id)):
        for seed in range(seeds):
            status, message = verdict(mutant, namespace_of(id), seed)
            if status != "passed":
                break
        rows.append((id, mutant.change, status, message))
    return rows


def main() -> int:
    from test_checks import markers, tier

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="*", help="numbers of chapters or exercise ids; without: all")
    parser.add_argument("--seeds", type=int, default=2, help="draws that a mutant must survive to pass (default: 2)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="show every mutant with its verdict")
    options = parser.parse_args()
    chapters = {id: path.parent.name for id, (path, _) in markers().items() if tier(id) != "challenge"}
    chosen = [id for id, chapter in chapters.items() if not options.what or {id, chapter[:2]} & set(options.what)]
    if not chosen:
        parser.error(f"no exercise of {' '.join(options.what)}")
    made, killed, named, bare, passed = Counter(), Counter(), Counter(), Counter(), []
    excused = equivalent()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for rows in pool.imap_unordered(_judge, [(id, options.seeds) for id in chosen], chunksize=1):
            for id, change, status, message in rows:
                if options.verbose:
                    print(f"{status:8} {id} | {change}\n         {message}", flush=True)
                if status == "unchanged" or (change in excused.get(id, {}) and status == "passed"):
                    continue
                chapter = chapters[id]
                made[chapter] += 1
                killed[chapter] += status != "passed"
                bare[chapter] += status == "wrong" and BARE.fullmatch(message) is not None
                named[chapter] += status == "wrong"
                if status == "passed":
                    passed.append(f"{id} | {change}")
                    print(f"passed   {id} | {change}", flush=True)
    print(f"{'chapter':34} mutants  rejected  told more than two numbers, of those judged wrong")
    for chapter in sorted(made):
        told = 1 - bare[chapter] / max(1, named[chapter])
        print(f"{chapter:34} {made[chapter]:7}  {killed[chapter] / made[chapter]:8.1%}  {told:8.0%}")
    return int(bool(passed))


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    sys.exit(main())
