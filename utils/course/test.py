"""`course test`: run the tests that concern some chapters, or what changed, or all. The Makefile calls it, too."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from utils.course import CourseError
from utils.course.register import Register

NOTHING_SELECTED = 5  # status of pytest
# Two processes with one thread each: with two threads each they would be slower than one after the other. Lessons are
# alone, with all threads, as they are for a reader.
QUICK = ["-m", "not lesson", "-n", "2", "--dist", "worksteal"], {"OMP_NUM_THREADS": "1"}
LESSONS = ["-m", "lesson"], {}


def run_tests(register: Register, options: list[str], quick: bool = True, lessons: bool = True) -> int:
    """Run those that the options of pytest select (tests/chapters_plugin.py), lessons last; the status.

    Raises:
        CourseError: where pytest or the tests are missing.
    """
    if not (register.root / "tests").is_dir():
        raise CourseError(f"there are no tests in {register.root}: get the whole course")
    if not all(map(importlib.util.find_spec, ("pytest", "xdist", "nbval"))):
        raise CourseError("pytest is not installed: run `make test`, which installs what tests need")
    statuses = []
    for arguments, environment in [QUICK] * quick + [LESSONS] * lessons:
        command = [sys.executable, "-m", "pytest", *arguments, *options]
        statuses.append(subprocess.run(command, cwd=register.root, env=os.environ | environment).returncode)
    return max(0 if status == NOTHING_SELECTED else status for status in statuses)
