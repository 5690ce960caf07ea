"""`course test`: run the tests that concern some chapters, or what changed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from utils.course import CourseError
from utils.course.register import Chapter, Register

NOTHING_SELECTED = 5  # status of pytest


def run_tests(register: Register, chapters: list[Chapter], since: str | None, quick: bool) -> int:
    """Run them as `make test` does, lessons last and alone; the status. tests/chapters_plugin.py selects them.

    Raises:
        CourseError: where pytest or the tests are missing.
    """
    if not (register.root / "tests").is_dir():
        raise CourseError(f"there are no tests in {register.root}: get the whole course")
    if not all(map(importlib.util.find_spec, ("pytest", "xdist", "nbval"))):
        raise CourseError("pytest is not installed: run `make test`, which installs what tests need")
    options = [f"--chapter={chapter.slug}" for chapter in chapters] if since is None else [f"--since={since}"]
    # Two processes with one thread each: with two threads each they would be slower than one after the other.
    runs = [(["-m", "not lesson", "-n", "2", "--dist", "worksteal"], {"OMP_NUM_THREADS": "1"})]
    if not quick:
        runs.append((["-m", "lesson"], {}))
    statuses = []
    for arguments, environment in runs:
        command = [sys.executable, "-m", "pytest", *arguments, *options]
        statuses.append(subprocess.run(command, cwd=register.root, env=os.environ | environment).returncode)
    return max(0 if status == NOTHING_SELECTED else status for status in statuses)
