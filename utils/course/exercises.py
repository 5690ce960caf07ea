"""Exercises out of solutions: the one place where a solution is taken out.

A solution's text knows two constructs. A region between `### BEGIN SOLUTION` and `### END SOLUTION` in an exercise
cell becomes `raise NotImplementedError("family.function")`, and a line with what the marker says goes on top. A cell
tagged `solution` is dropped; the figures it drew stay, as the picture to reach. Whatever is malformed is an error with
file and line.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from utils.course import CourseError
from utils.course.files import read_text
from utils.course.notebooks import update, without_outputs

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TIERS = ("core", "extend", "challenge")
FIELDS = {"id": str, "tier": str, "minutes": int, "points": int}
ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
MARKER = re.compile(r"# ?%%")
ALMOST_A_BORDER = re.compile(r"#+\s*(begin|end)[\s_-]*solution", re.IGNORECASE)


@dataclass(frozen=True)
class Exercise:
    """What the marker of an exercise cell says."""

    id: str
    tier: str
    minutes: int
    points: int


def exercises_of(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a notebook, in order.

    Raises:
        CourseError: for a cell whose marker was changed by hand to something else.
    """
    fields = [cell.metadata["exercise"] for cell in notebook.cells if "exercise" in cell.metadata]
    for found in fields:
        if not isinstance(found, dict) or found.keys() != FIELDS.keys():
            raise CourseError(f"the metadata of an exercise cell are {found!r}; expected {', '.join(FIELDS)}")
    return [Exercise(**found) for found in fields]


def generate(text: str, solution: NotebookNode | None, path: Path) -> NotebookNode:
    """The exercise notebook that students get.

    Args:
        text: the solution, as py:percent.
        solution: the executed notebook of the same text, for its figures and the ids of its cells.
        path: where the text lies, for the messages.

    Raises:
        CourseError: naming file and line of whatever is malformed.
    """
    lines = _marker_lines(text, path)
    full = update(text, solution)
    if len(lines) != len(full.cells):
        raise CourseError(f"{path}: {len(lines)} cell markers make {len(full.cells)} cells: is text before the first?")
    seen: dict[str, int] = {}
    kept = []
    for index, (line, cell) in enumerate(zip(lines, full.cells, strict=True)):
        where = f"{path}:{line}"
        dropped = "solution" in cell.metadata.get("tags", [])
        exercise = _exercise(cell, where, seen, line)
        if dropped and exercise:
            raise CourseError(f"{where}: the cell of exercise {exercise.id} is tagged `solution` and would be dropped")
        stub = _without_solution(cell, line, path, exercise, dropped)
        if dropped:
            kept += _target_pictures(cell)
            continue
        if exercise:
            _needs_check(exercise, full.cells[index + 1 :], where)
        kept.append(stub)
    notebook = nbformat.v4.new_notebook(cells=kept, metadata=full.metadata)
    return without_outputs(notebook)


def taken_twice(paths: list[Path]) -> list[str]:
    """The exercise ids that stand in more than one of these solutions, each in a sentence with both places."""
    places: dict[str, str] = {}
    twice = []
    for path in paths:
        for number, line in enumerate(read_text(path).splitlines(), 1):
            if MARKER.match(line) and (found := re.search(r'"id": *"([^"]*)"', line)):
                place = f"{path.parent.name}/{path.name}:{number}"
                if found[1] in places:
                    twice.append(f"{place}: the id {found[1]!r} is taken by the exercise in {places[found[1]]}")
                places.setdefault(found[1], place)
    return twice


def _marker_lines(text: str, path: Path) -> list[int]:
    """The line of every cell's marker; a marker that jupytext would read as something else is an error."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not MARKER.match(line):
            continue
        lines.append(number)
        if "exercise" in line and "[markdown]" not in line:
            _, equals, value = line.partition("exercise=")
            try:
                json.JSONDecoder().raw_decode(value)
            except json.JSONDecodeError as error:
                problem = error.msg if equals else "no `=`"
                raise CourseError(
                    f"{path}:{number}: the exercise marker is malformed ({problem}): "
                    'write exercise={"id": …, "tier": …, "minutes": …, "points": …}'
                ) from None
    return lines


def _exercise(cell: NotebookNode, where: str, seen: dict[str, int], line: int) -> Exercise | None:
    """The checked exercise of a cell; None for any other cell."""
    fields = cell.metadata.get("exercise")
    if fields is None:
        return None
    if cell.cell_type != "code":
        raise CourseError(f"{where}: an exercise is a code cell, not markdown")
    if not isinstance(fields, dict) or fields.keys() != FIELDS.keys():
        missing = sorted(FIELDS.keys() - set(fields)) or "nothing"
        unknown = sorted(set(fields) - FIELDS.keys()) or "nothing"
        raise CourseError(f"{where}: the exercise marker misses {missing} and has unknown {unknown}")
    for name, kind in FIELDS.items():
        if type(fields[name]) is not kind or (kind is int and fields[name] <= 0):
            expected = "a positive whole number" if kind is int else "a string"
            raise CourseError(f"{where}: {name} of the exercise is {fields[name]!r}; expected {expected}")
    exercise = Exercise(**fields)
    if exercise.tier not in TIERS:
        raise CourseError(f"{where}: tier is {exercise.tier!r}; expected one of {', '.join(TIERS)}")
    if not ID.fullmatch(exercise.id):
        raise CourseError(f"{where}: id is {exercise.id!r}; expected family.function in small letters")
    if exercise.id in seen:
        raise CourseError(f"{where}: the id {exercise.id!r} is taken by the exercise in line {seen[exercise.id]}")
    seen[exercise.id] = line
    return exercise


def _without_solution(
    cell: NotebookNode, line: int, path: Path, exercise: Exercise | None, dropped: bool
) -> NotebookNode:
    """A copy of the cell with every region replaced; faults in the borders are errors."""
    kept, opened, regions = [], None, 0
    for number, source_line in enumerate(cell.source.splitlines(), line + 1):
        word = source_line.strip()
        if word not in (BEGIN, END):
            if ALMOST_A_BORDER.match(word):
                raise CourseError(f"{path}:{number}: `{word}` is almost a border: write `{BEGIN}` or `{END}`")
            if opened is None:
                kept.append(source_line)
            continue
        if exercise is None or dropped:
            raise CourseError(
                f"{path}:{number}: `{word}` outside of an exercise cell: its marker has no exercise={{…}}"
            )
        if (word == BEGIN) == (opened is not None):
            problem = f"a second `{BEGIN}` (the first is in line {opened})" if opened else f"`{END}` without `{BEGIN}`"
            raise CourseError(f"{path}:{number}: {problem}")
        if word == BEGIN:
            opened, regions = number, regions + 1
            indent = source_line[: len(source_line) - len(source_line.lstrip())]
            kept.append(f'{indent}raise NotImplementedError("{exercise.id}")')
        else:
            opened = None
    if opened is not None:
        raise CourseError(f"{path}:{opened}: `{BEGIN}` without `{END}` in the same cell")
    if exercise is None:
        return cell
    if not regions:
        raise CourseError(
            f"{path}:{line}: the exercise {exercise.id} has no `{BEGIN}` … `{END}`: nothing is left to do"
        )
    stub = nbformat.from_dict(cell)
    facts = f"# {exercise.id} · {exercise.tier} · {exercise.minutes} minutes · {exercise.points} points"
    stub.source = "\n".join([facts.removesuffix("s") if exercise.points == 1 else facts, *kept])
    try:
        ast.parse(stub.source)
    except SyntaxError as error:
        raise CourseError(
            f"{path}:{line}: without its solution, {exercise.id} is no valid Python: {error.msg}"
        ) from None
    return stub


def _needs_check(exercise: Exercise, following: list[NotebookNode], where: str) -> None:
    """An exercise is followed by its check, before the next exercise."""
    for cell in following:
        if "exercise" in cell.metadata:
            break
        if cell.cell_type == "code" and f'check("{exercise.id}"' in cell.source:
            return
    raise CourseError(f'{where}: no cell with check("{exercise.id}", …) follows the exercise')


def _target_pictures(cell: NotebookNode) -> list[NotebookNode]:
    """The figures that a dropped cell drew, each as a markdown cell with the picture attached."""
    pictures = []
    for number, output in enumerate(cell.get("outputs", [])):
        png = output.get("data", {}).get("image/png")
        if not png:
            continue
        said = output.get("metadata", {}).get("image/png", {}).get("alt", "")
        alternative = re.sub(r"[\[\]]", "", said) or "the picture to reach"
        picture = nbformat.v4.new_markdown_cell(
            f"*This picture is what you are after:*\n\n![{alternative}](attachment:target.png)"
            + (f"\n\n*{said}*" if said else "")
        )
        picture["id"] = f"{cell['id']}-{number}"
        picture["attachments"] = {"target.png": {"image/png": "".join(png.split())}}
        pictures.append(picture)
    return pictures
