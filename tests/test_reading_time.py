"""A lesson is no longer than its card says and the design allows; what is *optional* is not counted."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from utils.course.notebooks import from_text
from utils.course.register import Register

WORDS_A_MINUTE, LINES_A_MINUTE, MINUTES_A_FIGURE = 200, 10, 1
MOST_WORDS, MOST_LINES = 3000, 650
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
HEADING = re.compile(r"(#+) ")
OPTIONAL = "(*optional*)"


class Length(NamedTuple):
    words: int
    lines: int
    figures: int

    @property
    def minutes(self) -> float:
        return self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE + self.figures * MINUTES_A_FIGURE


def required(text: str) -> Length:
    """What all cells hold but those below a heading that says (*optional*).

    A formula is one word, a bullet or the bar of a table is none; code that is collapsed is not read.
    """
    words = lines = figures = 0
    optional = None  # the level of the optional heading that we are below
    for cell in from_text(text).cells:
        if cell.cell_type == "markdown":
            for line in FORMULA.sub("F", cell.source).splitlines():
                if heading := HEADING.match(line):
                    level = len(heading[1])
                    if optional is None or level <= optional:
                        optional = level if OPTIONAL in line else None
                words += 0 if optional else sum(bool(re.search(r"\w", word)) for word in line.split())
        elif not optional:
            figures += "caption(" in cell.source
            if not cell.metadata.get("jupyter", {}).get("source_hidden"):
                lines += sum(bool(line.strip()) for line in cell.source.splitlines())
    return Length(words, lines, figures)


def lesson(chapter) -> str:
    return chapter.lesson.with_suffix(".py").read_text(encoding="utf-8")


each_chapter = pytest.mark.parametrize("chapter", Register().chapters, ids=lambda chapter: chapter.slug)


@each_chapter
def test_a_lesson_can_be_read_in_the_time_on_its_card(chapter):
    text = lesson(chapter)
    card = re.search(r"^# \| (\d+) minutes", text, re.MULTILINE)
    assert card and int(card[1]) == chapter.minutes, "the card and chapter.toml say different times to read"
    needed = required(text).minutes
    assert needed <= chapter.minutes, (
        f"about {needed:.0f} minutes to read, {chapter.minutes} on the card: put (*optional*) into some headings"
    )


@each_chapter
def test_a_lesson_is_no_longer_than_the_design_allows(chapter):
    length = required(lesson(chapter))
    assert length.words <= MOST_WORDS, f"{length.words} words: shorten sentences, or put (*optional*) into a heading"
    assert length.lines <= MOST_LINES, f"{length.lines} lines of code: move some into the library or a section apart"


@each_chapter
def test_what_is_optional_is_marked_in_one_way(chapter):
    headings = [line for line in lesson(chapter).splitlines() if re.match(r"# #+ .*optional", line)]
    odd = [line for line in headings if not line.endswith(OPTIONAL)]
    assert not odd, f"end such a heading with {OPTIONAL}, or it is counted as required: {odd}"


def test_what_is_optional_takes_no_time():
    words = " ".join(["word"] * 400)
    cell = "# %% [markdown]\n# {}\n#\n# {}\n\n"
    code = "# %%\n" + "x = 1\n" * 30 + "\n"
    drawing = '# %% jupyter={"source_hidden": true}\n' + 'caption("A line.")\n' * 2 + "\n"
    text = cell.format("## One", words) + code + drawing + cell.format("### Two (*optional*)", words) + code + drawing
    assert required(text) == (401, 30, 1)
    assert required(text + cell.format("### Three", "- $a b c$ | d")) == (404, 30, 1)
    assert required(text + cell.format("#### Deeper", words)) == (401, 30, 1)
    assert Length(400, 30, 1).minutes == pytest.approx(2 + 3 + 1)
