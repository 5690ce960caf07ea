"""What a student wrote for each exercise: the code that defines the function, and the derivation. Nothing is run."""

from __future__ import annotations

import base64
import binascii
import contextlib
import keyword
import re
import token
import tokenize
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from utils.checks.engine import function_name
from utils.course.grading import notebook_runner
from utils.course.grading.definitions import defined_names, seem_defined, tokens_of
from utils.course.grading.names import writable
from utils.course.tasks import DERIVATION, HEADING, Task

MOST_OF_A_PICTURE, MOST_CODE = 3_000_000, 500_000  # characters
LONG_ENOUGH = 60  # tokens, from which on two equal answers are worth a look


@dataclass(frozen=True)
class Cell:
    """A cell of a student's notebook, with the exercise that it was handed out for and the pictures in it."""

    kind: str
    text: str
    exercise: str = ""
    pictures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What stands in a notebook for one exercise.

    `code` is the last cell that defines the function, `cells` the numbers of all code cells that do; `derivation` is
    Markdown, whose attached pictures are in `pictures`, name → data URI.
    """

    code: str = ""
    cells: tuple[int, ...] = ()
    derivation: str = ""
    pictures: dict[str, str] = field(default_factory=dict)


def cells_of(notebook: Path) -> list[Cell]:
    """The cells of a notebook, of any version; errors as of `notebook_runner.cells_of`."""
    return [
        Cell(kind, writable(text), exercise, {name: data for name, data in pictures.items() if _is_picture(data)})
        for kind, text, exercise, pictures in notebook_runner.cells_of(notebook)
    ]


def answers_of(cells: Collection[Cell], tasks: Collection[Task], ours: Collection[str]) -> dict[str, Answer]:
    """The answer to each exercise. `ours` are the texts of the released notebook, which no student wrote."""
    code = [cell.text for cell in cells if cell.kind == "code"]
    sizes = accumulate(map(len, code))
    ways = (defined_names if so_far <= MOST_CODE else seem_defined for so_far in sizes)
    defined = [set(names_of(text)) for names_of, text in zip(ways, code, strict=True)]
    ours = {text.strip() for text in ours} | {""}
    answers = {}
    for task in tasks:
        name = _function(task.id)
        at = [number for number, names in enumerate(defined, 1) if name in names]
        texts, pictures = [], {}
        for cell in _section(cells, task) if task.by_hand else ():
            text = cell.text.strip()
            if cell.kind == "markdown" and text not in ours:
                texts.append(text.removeprefix(DERIVATION).strip())
                pictures |= cell.pictures
        derivation = "\n\n".join(filter(None, texts))
        answers[task.id] = Answer(code[at[-1] - 1] if at else "", tuple(at), derivation, pictures)
    return answers


def copied(answers: dict[str, Answer]) -> list[str]:
    """A sentence for each function that is defined in more than one cell."""
    return [
        f"`{_function(id)}` is defined in code cells {', '.join(map(str, answer.cells[:-1]))} and {answer.cells[-1]}:"
        " the last one counts."
        for id, answer in answers.items()
        if len(answer.cells) > 1
    ]


def essence(code: str) -> str:
    """What is left of a code without comments, blank lines, docstrings and names of variables.

    Empty for a stub, for what is too short to tell anything, and for what is no Python. Names of attributes and of what
    is called stay: they are what the code does.
    """
    found, names = [], {}
    if len(code) > MOST_CODE:
        return ""
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        tokens = list(tokens_of(code))
        for before, now, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
            text = now.string
            if now.type == token.STRING and before and before.type in (token.NEWLINE, token.INDENT, token.DEDENT):
                continue  # a docstring
            is_own = now.type == token.NAME and not keyword.iskeyword(text)
            is_used = (before and before.string == ".") or (after and after.string == "(")
            if is_own and not is_used:
                text = names.setdefault(text, f"name{len(names)}")
            if now.type != token.NEWLINE:
                found.append(token.tok_name[now.type] if now.type in (token.INDENT, token.DEDENT) else text)
    return " ".join(found) if len(found) >= LONG_ENOUGH and "NotImplementedError" not in found else ""


# --- cells -----------------------------------------------------------------------------------------------------------


def _section(cells: Collection[Cell], task: Task) -> list[Cell]:
    """The cells from the heading of an exercise to the next one; several sections' where a student took them apart."""
    sections: list[list[Cell]] = [[]]
    for cell in cells:
        if cell.kind == "markdown" and cell.text.startswith("## "):
            sections.append([])
        sections[-1].append(cell)
    marks = re.compile(rf"^# {re.escape(task.id)} ·|check\(\s*[\"']{re.escape(task.id)}[\"']", re.MULTILINE)

    def speaks_of_it(section: list[Cell]) -> bool:
        heading = HEADING.match(section[0].text) if section else None
        return bool(heading and heading[1].casefold() == task.teaches.casefold()) or any(
            cell.exercise == task.id or (cell.kind == "code" and marks.search(cell.text)) for cell in section
        )

    return [cell for section in sections if speaks_of_it(section) for cell in section]


def _is_picture(uri: str) -> bool:
    data = uri.partition(",")[2]
    with contextlib.suppress(binascii.Error, ValueError):
        return len(data) <= MOST_OF_A_PICTURE and bool(base64.b64decode(data, validate=True))
    return False


# --- code ------------------------------------------------------------------------------------------------------------


def _function(id: str) -> str:
    try:
        return function_name(id)
    except LookupError:
        return id.partition(".")[2]
