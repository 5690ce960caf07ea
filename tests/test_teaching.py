"""Each chapter has a teaching note that names its exercises, quotes its checks word for word and tells no solution."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jupytext
import pytest

from utils.course.exercises import BEGIN, END, exercises_of
from utils.course.notebooks import read
from utils.course.register import Chapter, Register

CHAPTERS = Register().chapters
HEADINGS = ["A plan for 90 minutes", "Common mistakes", "Discussion questions", "What goes wrong in class"]
PLAN, MISTAKES, QUESTIONS, _ = HEADINGS
QUOTE = re.compile(r'"([^"]+)"')
ID = re.compile(r"`([a-z][a-z0-9_]*\.(?!(?:toml|py|ipynb|md)`)[a-z][a-z0-9_]*)`")  # family.function, but no file
ITEM = re.compile(r"^(?:-|\d+\.) ", re.MULTILINE)
TOO_SHORT_TO_TELL = 12  # a line such as `else:` or `)` gives nothing away


def note_of(chapter: Chapter) -> Path:
    return chapter.teaching


def exercise_ids(chapter: Chapter) -> set[str]:
    return {exercise.id for exercise in exercises_of(read(chapter.exercises))}


def one_line(text: str) -> str:
    return " ".join(text.split())


def sections(note: str) -> dict[str, str]:
    """Heading → what stands below it."""
    return dict(part.split("\n", 1) for part in re.split(r"^## ", note, flags=re.MULTILINE)[1:])


def items(section: str) -> list[str]:
    """The items of a section's list, numbered or not, each in one line."""
    return [one_line(item) for item in ITEM.split(section)[1:]]


def sentences_of_checks(chapter: Chapter) -> list[str]:
    """The string literals of a chapter's checks; pieces of an f-string are no sentences."""
    checks = chapter.root / "utils" / "checks"
    paths = sorted([*checks.glob(f"{chapter.topic}.py"), *checks.glob(f"{chapter.topic}/*.py")])
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    pieces = {id(piece) for node in nodes if isinstance(node, ast.JoinedStr) for piece in node.values}
    literals = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [one_line(node.value) for node in literals if id(node) not in pieces]


def solution_lines(path: Path) -> set[str]:
    """What only the solution says: the lines of its regions and of the cells that are dropped."""
    lines: set[str] = set()
    for cell in jupytext.read(path).cells:
        parts = re.findall(f"{BEGIN}(.*?){END}", cell.source, re.DOTALL)
        if "solution" in cell.metadata.get("tags", []):
            parts.append(cell.source)
        lines |= {one_line(line) for part in parts for line in part.splitlines()}
    return {line for line in lines if len(line) >= TOO_SHORT_TO_TELL}


@pytest.fixture(params=CHAPTERS, ids=lambda chapter: chapter.slug)
def chapter(request) -> Chapter:
    return request.param


@pytest.fixture
def note(chapter) -> str:
    path = note_of(chapter)
    assert path.exists(), f"chapter {chapter.number} has no teaching note: write chapters/{chapter.slug}/{path.name}"
    return path.read_text(encoding="utf-8")


def test_title_and_headings_are_those_of_every_note(chapter, note):
    title = f"# Teaching chapter {int(chapter.number)}: {chapter.title}"
    assert note.splitlines()[0] == title, f"the first line must be `{title}`, as in chapter.toml"
    assert list(sections(note)) == HEADINGS, f"the headings must be {HEADINGS}, in this order"


def test_the_plan_takes_90_minutes(note):
    minutes = [int(number) for number in re.findall(r"^\| *(\d+) *\|", sections(note)[PLAN], re.MULTILINE)]
    assert sum(minutes) == 90, f"the minutes {minutes} of the teaching note's plan sum to {sum(minutes)}: make them 90"


def test_every_exercise_named_is_one_of_the_chapter(chapter, note):
    named = set(ID.findall(note))
    unknown = sorted(named - exercise_ids(chapter))
    assert not unknown, f"{unknown} are no exercises of chapter {chapter.number}: correct the ids"
    assert named, "the note names no exercise: say which to write in class"


def test_every_mistake_is_one_that_a_check_names(chapter, note):
    mistakes = items(sections(note)[MISTAKES])
    assert len(mistakes) >= 6, f"the teaching note lists mistakes: {len(mistakes)}; quote at least six that checks name"
    literals = sentences_of_checks(chapter)
    for mistake in mistakes:
        quoted = QUOTE.findall(mistake)
        assert ID.match(mistake), f"begin the mistake with its exercise's id in backticks: {mistake}"
        assert quoted, f"quote the check's sentence in double quotes: {mistake}"
        for sentence in quoted:
            assert sentence.endswith((".", "?")), f"quote whole sentences, and checks alone: {sentence!r}"
            found = any(sentence in literal for literal in literals)
            assert found, f"no check in utils/checks/{chapter.topic} says {sentence!r}: quote it word for word"


def test_every_question_says_where_it_leads(note):
    questions = items(sections(note)[QUESTIONS])
    assert len(questions) >= 5, f"the teaching note asks discussion questions: {len(questions)}; ask at least five"
    for question in questions:
        asked, _, leads = question.partition(" *")
        assert "?" in asked and leads.endswith("*"), f"ask, then say in italics where it leads: {question}"


def test_no_note_tells_a_solution(chapter, note):
    path = chapter.solutions.with_suffix(".py")
    if not path.exists():
        pytest.skip("solutions/ is withheld")
    secret = solution_lines(path)
    assert secret, f"{path.name} has no solution region: is the pattern still right?"
    told = sorted(line for line in secret if line in one_line(note))
    assert not told, f"the note tells what only the solution may say: take out {told}"
