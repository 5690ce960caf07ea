"""The time on a lesson's card is true: what is not marked *optional* can be read in it."""

from __future__ import annotations

import re

import pytest

from utils.course.notebooks import from_text
from utils.course.register import Register

WORDS_A_MINUTE, LINES_A_MINUTE, MINUTES_A_FIGURE = 200, 10, 1
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
HEADING = re.compile(r"(#+) ")


def reading_minutes(text: str) -> float:
    """Of all cells but those below a heading that says (*optional*); a formula counts as one word."""
    words = lines = figures = 0
    optional = None  # the level of the optional heading that we are below
    for cell in from_text(text).cells:
        if cell.cell_type == "markdown":
            for line in FORMULA.sub("F", cell.source).splitlines():
                if heading := HEADING.match(line):
                    level = len(heading[1])
                    if optional is None or level <= optional:
                        optional = level if "(*optional*)" in line else None
                words += 0 if optional else len(line.split())
        elif not optional:
            figures += "caption(" in cell.source
            if not cell.metadata.get("jupyter", {}).get("source_hidden"):
                lines += sum(bool(line.strip()) for line in cell.source.splitlines())
    return words / WORDS_A_MINUTE + lines / LINES_A_MINUTE + figures * MINUTES_A_FIGURE


@pytest.mark.parametrize("chapter", Register().chapters, ids=lambda chapter: chapter.slug)
def test_a_lesson_can_be_read_in_the_time_on_its_card(chapter):
    text = chapter.lesson.with_suffix(".py").read_text(encoding="utf-8")
    card = re.search(r"^# \| (\d+) minutes", text, re.MULTILINE)
    assert card and int(card[1]) == chapter.minutes, "the card and chapter.toml say different times to read"
    needed = reading_minutes(text)
    assert needed <= chapter.minutes, (
        f"about {needed:.0f} minutes to read, {chapter.minutes} on the card: put (*optional*) into some headings"
    )


def test_what_is_optional_takes_no_time():
    words = " ".join(["word"] * 400)
    cell = "# %% [markdown]\n# {}\n#\n# {}\n\n"
    code = "# %%\n" + "x = 1\n" * 30 + "\n"
    text = cell.format("## One", words) + code + cell.format("### Two (*optional*)", words) + code
    assert reading_minutes(text) == pytest.approx((402 / 200) + 3)
    assert reading_minutes(text + cell.format("### Three", "$a b c$")) == pytest.approx((405 / 200) + 3)
    assert reading_minutes(text + cell.format("#### Deeper", words)) == pytest.approx((402 / 200) + 3)
