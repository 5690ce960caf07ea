"""The exercises of a notebook as an instructor sees them, and which of its cells belong to which."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from utils.course import CourseError
from utils.course.exercises import TIERS, Exercise, exercises_of

HEADING = re.compile(r"## (?:[\d.]+ +)?(?:Challenge: +)?(.+?)(?: +\(\w+\))?(?:\n|$)")
CHECK = re.compile(r'check\("([\w.]+)", *(\w+)(?:, seed=(\d+))?\)')
DERIVATION = "*Your derivation:*"


@dataclass(frozen=True)
class Task(Exercise):
    """An exercise as an instructor sees it; `by_hand` of its `points` are for a derivation, which a person reads."""

    by_hand: int
    teaches: str


def tasks_of(notebook: NotebookNode) -> list[Task]:
    """The exercises of a notebook, in order."""
    headings, derived = {}, set()
    for cell, owners in zip(notebook.cells, owners_of(notebook), strict=True):
        heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        for id in owners:
            if heading:
                headings[id] = heading[1][0].upper() + heading[1][1:]
            if is_derivation(cell):
                derived.add(id)
    return [
        Task(**vars(found), by_hand=found.points // 2 * (found.id in derived), teaches=headings.get(found.id, found.id))
        for found in exercises_of(notebook)
    ]


def chosen(tasks: list[Task], slug: str, only: Collection[str] = (), without: Collection[str] = ()) -> list[Task]:
    """Those of a chapter's exercises that an assignment has: of the tiers `only`, `without` some.

    Raises:
        CourseError: for an unknown tier, or when nothing is left.
    """
    known("tier", only, TIERS)
    kept = [task for task in tasks if task.id not in without and (not only or task.tier in only)]
    if not kept:
        raise CourseError(f"no exercise of {slug} is left: give fewer of --only and --without")
    return kept


def known(what: str, given: Iterable[str], names: Collection[str]) -> None:
    """Raise a CourseError that tells near matches for the first given name that is none of `names`."""
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 3, 0.4)
            advice = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names)}"
            raise CourseError(f"there is no {what} {name!r}. {advice}")


def is_derivation(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and cell.source.startswith(DERIVATION)


def checked(cell: NotebookNode) -> str | None:
    """The id of the exercise that a cell checks."""
    found = CHECK.match(cell.source) if cell.cell_type == "code" else None
    return found[1] if found else None


def owners_of(notebook: NotebookNode) -> list[set[str]]:
    """For each cell the exercises it belongs to: those of its section, which a heading opens; none before the first."""
    sections: list[list[NotebookNode]] = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            sections.append([])
        sections[-1].append(cell)
    owners = []
    for number, section in enumerate(sections):
        ids = [exercise.id for exercise in exercises_of(nbformat.v4.new_notebook(cells=section))]
        coming = iter(ids)
        following = next(coming, None)
        for cell in section:
            own = checked(cell)
            if "exercise" in cell.metadata:
                own, following = cell.metadata["exercise"]["id"], next(coming, None)
            elif is_derivation(cell):
                own = following
            owners.append({own} if own else set(ids if number else ()))
    return owners
