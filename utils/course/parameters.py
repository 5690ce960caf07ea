"""The `parameters` cell of a lesson: its names and types, and the values a user gives for them."""

from __future__ import annotations

import ast
import difflib

from nbformat import NotebookNode

from utils.course import CourseError


def defaults(notebook: NotebookNode, name: str = "the lesson") -> dict[str, object]:
    """Name → default value of every parameter.

    Args:
        name: how messages call the notebook.

    Raises:
        CourseError: when there is not exactly one cell tagged `parameters`, or when it holds anything but
            assignments of literals: a derived value would stay stale when others are injected.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise CourseError(f"{name}: a lesson has exactly one cell tagged `parameters`; this one has {len(cells)}")
    values = {}
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise CourseError(f"{name}: the parameters cell is no Python: {error.msg}, `{error.text or ''}`") from None
    for statement in statements:
        try:
            # `steps = 3` or `steps: int = 3`
            [target] = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
            values[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            line = ast.unparse(statement)
            raise CourseError(f"{name}: the parameters cell may hold `name = literal` only; found `{line}`") from None
    return values


def parse(given: list[str], known: dict[str, object]) -> dict[str, object]:
    """The values of `name=value` arguments, in the types of the defaults.

    >>> parse(["epochs=200", "lr=1"], {"epochs": 20, "lr": 0.5})
    {'epochs': 200, 'lr': 1.0}

    Raises:
        CourseError: for an unknown name, a value of another type, or no `=`.
    """
    values = {}
    for argument in given:
        name, equals, text = argument.partition("=")
        name = name.strip()
        if not equals:
            raise CourseError(f"-p {argument}: write it as name=value, such as -p {next(iter(known), 'epochs')}=10")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise CourseError(f"-p {argument}: there is no parameter {name!r}.{hint} There are: {', '.join(known)}")
        values[name] = _value(name, text.strip(), known[name])
    return values


def _value(name: str, text: str, default: object) -> object:
    if isinstance(default, str):
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError):
        value = text
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if default is not None and type(value) is not type(default):
        raise CourseError(
            f"-p {name}={text}: expected a value of type {type(default).__name__}, as its default {default!r};"
            f" got {type(value).__name__}"
        )
    return value
