"""What each chapter must have. Every message says what to write, so that an author can work from them."""

from __future__ import annotations

import collections

import pytest

from utils.course.exercises import TIERS, exercises_of
from utils.course.notebooks import from_text, read
from utils.course.register import Chapter, Register
from utils.course.tasks import is_derivation

REGISTER = Register()
NO_FAMILY = {"02_probability_distributions"}  # chapters that teach no family of models
EXERCISES, COMPARED, MOST_SECONDS = 6, 5, 120


@pytest.fixture(params=REGISTER.chapters, ids=lambda chapter: chapter.slug)
def chapter(request) -> Chapter:
    return request.param


def count(number: int, thing: str) -> str:
    return f"{number} {thing}" + "s" * (number != 1)


def test_nothing_is_still_to_write(chapter):
    root, found = chapter.root, []
    topics = [
        root / folder / chapter.topic for folder in ("utils/checks", "tests/wrong_answers", "tests/right_answers")
    ]
    files = [*chapter.folder.iterdir(), *chapter.solutions.parent.glob("*"), *(t.with_suffix(".py") for t in topics)]
    files += [file for topic in topics for file in topic.rglob("*.py")]
    for file in sorted(file for file in files if file.suffix in (".py", ".md", ".toml") and file.exists()):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            # What stands in exercises.py is made from solutions/, where it is to be written.
            if "TODO" in line and file != chapter.exercises.with_suffix(".py"):
                found.append(f"{file.relative_to(root).as_posix()}:{number} still holds {line[line.index('TODO') :]!r}")
    assert not found, "\n".join(found)


def test_it_has_a_lesson_and_exercises(chapter):
    for path in (chapter.lesson, chapter.exercises):
        assert path.exists(), f"there is no {path.name}: run `course sync {chapter.number}`"


def test_it_has_exercises_of_each_tier(chapter):
    tiers = collections.Counter(exercise.tier for exercise in exercises_of(read(chapter.exercises)))
    assert tiers.total() >= EXERCISES and set(tiers) == set(TIERS), (
        f"chapter {chapter.number} has {count(tiers.total(), 'exercise')} "
        f"({', '.join(f'{tiers[tier]} {tier}' for tier in TIERS)}): write at least {EXERCISES}, in all three tiers"
    )


def test_it_has_a_derivation(chapter):
    assert any(map(is_derivation, read(chapter.exercises).cells)), (
        f"chapter {chapter.number} has no exercise with a derivation: "
        "write one, with a markdown cell that begins with *Your derivation:*"
    )


@pytest.mark.skipif(not REGISTER.chapters[0].solutions.exists(), reason="solutions/ is withheld")
def test_some_outputs_of_its_solutions_are_compared(chapter):
    compared = [c for c in read(chapter.solutions).cells if "nbval-check-output" in c.metadata.get("tags", [])]
    assert len(compared) >= COMPARED, (
        f"solutions/{chapter.slug} has {count(len(compared), 'cell')} with the tag nbval-check-output: "
        f"give it to at least {COMPARED}, those of all checks whose message is exact"
    )


def test_its_lesson_begins_with_its_number(chapter):
    first = read(chapter.lesson).cells[0].source.splitlines()[0]
    begin = f"# {int(chapter.number)} · "
    assert first.startswith(begin), f"the lesson begins with {first!r}: its first line must be {begin}and the title"


def test_its_lesson_says_what_the_register_says(chapter):
    cell = from_text(chapter.lesson.with_suffix(".py").read_text(encoding="utf-8")).cells[0].source
    for words in (f"# {int(chapter.number)} · {chapter.title}\n", f"\n**{chapter.promise}.**\n"):
        assert words in cell, f"the lesson's first cell lacks {words.strip()!r}, which chapter.toml says"


def test_its_lesson_has_a_picture(chapter):
    tagged = [c for c in read(chapter.lesson).cells if "picture" in c.metadata.get("tags", [])]
    drawn = [output for cell in tagged for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(tagged) == 1 and drawn, (
        f"the lesson has {count(len(tagged), 'cell')} with the tag picture: "
        "give it to one cell that draws, whose figure stands for the chapter in the README"
    )


def test_its_results_are_required_and_its_budget_is_kept(chapter):
    where = f"chapters/{chapter.slug}/chapter.toml"
    assert chapter.results, f"{where} requires no result: give intervals for what the lesson records, under [results]"
    assert chapter.budget <= MOST_SECONDS, f"{where}: the budget is {chapter.budget} s, at most {MOST_SECONDS} s"


def test_it_needs_other_chapters_alone(chapter):
    assert chapter.slug not in {REGISTER.find(need).slug for need in chapter.needs}, "a chapter does not need itself"


def test_its_family_stands_in_the_table(chapter):
    has_row = bool(chapter.family)
    assert has_row != (chapter.slug in NO_FAMILY), (
        f"chapters/{chapter.slug}/chapter.toml has no [family], a row of the table: add it and show the table in the "
        f'lesson with families("{chapter.number}"), or add the chapter to NO_FAMILY in tests/test_chapters.py'
    )
    if has_row and chapter.number != "01":  # chapter 1 shows a map of what is to come
        sources = [cell.source for cell in read(chapter.lesson).cells]
        assert any(f'families("{chapter.number}")' in source for source in sources), (
            f'the lesson does not show the table of families: end it with families("{chapter.number}")'
        )
