"""A whole course in a temporary folder: one lesson, one exercise, the pages. Small enough to sync in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HEADER = """\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

"""
REGISTER = """\
[[parts]]
title = "Tests"
chapters = ["01_tiny"]
"""
CHAPTER = """\
title = "Tiny"
promise = "Halve a number"
minutes = 5
budget = 60

[results]
half = { low = 0.4, high = 0.6 }
"""
LESSON = """\
# %% [markdown]
# # Tiny

# %% tags=["parameters"]
whole = 1.0
name = "one"
steps = 3
loud = False

# %%
from utils.results import record

record("half", whole / 2, unit="wholes", kind="exact")
"""
SOLUTION = '''\
# %% [markdown]
# # Exercises

# %%
from base64 import b64decode

from IPython.display import Image, display

# %% exercise={"id": "tiny.half", "tier": "core", "minutes": 5, "points": 1}
def half(x: float) -> float:
    """Half of x."""
    ### BEGIN SOLUTION
    half_of_it = x / 2
    return half_of_it
    ### END SOLUTION


# %%
checked = 'check("tiny.half", half)'

# %% tags=["solution"]
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display(Image(b64decode(pixel)))
'''
PAGE = """\
# A page

Written by hand.

<!-- chapters:begin -->
<!-- chapters:end -->

<!-- results:begin -->
<!-- results:end -->

<!-- costs:begin -->
<!-- costs:end -->
"""


def make(root: Path, lesson: str = LESSON, solution: str = SOLUTION, chapter: str = CHAPTER) -> Path:
    """Write the texts of a tiny course below `root`; nothing is generated or executed yet."""
    for folder in ("chapters/01_tiny", "solutions/01_tiny", "data", "docs"):
        (root / folder).mkdir(parents=True)
    (root / "chapters" / "course.toml").write_text(REGISTER)
    (root / "chapters" / "01_tiny" / "chapter.toml").write_text(chapter)
    (root / "chapters" / "01_tiny" / "lesson.py").write_text(HEADER + lesson)
    (root / "solutions" / "01_tiny" / "exercises.py").write_text(HEADER + solution)
    for page in ("README.md", "chapters/README.md", "docs/results.md"):
        (root / page).write_text(PAGE)
    (root / "requirements.lock").write_text("")
    return root


def add_chapter(root: Path, slug: str, title: str) -> None:
    """A second chapter with the texts of the first, which stands in the register behind it."""
    for folder in ("chapters", "solutions"):
        (root / folder / slug).mkdir()
        for text in ("lesson.py", "exercises.py", "chapter.toml"):
            if (source := root / folder / "01_tiny" / text).exists() and (folder, text) != ("chapters", "exercises.py"):
                (root / folder / slug / text).write_text(source.read_text().replace("Tiny", title))
    register = root / "chapters" / "course.toml"
    register.write_text(register.read_text().replace('"01_tiny"', f'"01_tiny", "{slug}"'))


def course(root: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the real command in the tiny course, as a user would."""
    return subprocess.run(command(*arguments), env=environment(root), capture_output=True, text=True, **options)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "utils.course.cli", *arguments]


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"COURSE_ROOT": str(root), "NO_COLOR": "1"}
