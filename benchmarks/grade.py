"""Grading a class with `course grade`: its speed beside nbgrader's, a mixed class of 100, and a class of 2,000.

    python benchmarks/grade.py             all three, about half an hour
    python benchmarks/grade.py --quick     smaller: 4 submissions against nbgrader, 28 mixed, 200 in the large class

Needs bubblewrap, the extras `instructor` and `cluster`, and `solutions/`, from which the right submissions are made.

1. Well-behaved submissions of chapter 4, the same for both, each check run once with the same inputs: `nbgrader
   autograde` (one process, unprotected) and `course grade` (the sandbox) with one job and with two. The two take turns;
   a line gives the median of the repeats. Once for all exercises, where a check that takes seconds dominates, and once
   for the core ones.
2. A class of every kind of submission: each verdict must be the expected one, and no process may be left. Asserted.
3. A large class of small submissions: seconds for each hundred, and the memory of the grader and its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from utils.course.grading.gradebook import grade_class
from utils.course.grading.submissions import handed_in
from utils.course.notebooks import dumps, read
from utils.course.register import Register

SLUG = "04_gaussian_mixtures"
COURSE = (sys.executable, "-m", "utils.course.cli")
REGISTER = Register()
CHAPTER = REGISTER.find("04")


def with_answers(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """The notebook with these functions, id → source, in the place of what stands there."""
    for cell in notebook.cells:
        if (id := cell.metadata.get("exercise", {}).get("id")) in answers:
            cell.source = answers[id]
    return notebook


@cache
def solutions() -> dict[str, str]:
    return {c.metadata["exercise"]["id"]: c.source for c in read(CHAPTER.solutions).cells if "exercise" in c.metadata}


def right() -> NotebookNode:
    return with_answers(read(CHAPTER.exercises), solutions())


def with_e_step(body: str) -> NotebookNode:
    return with_answers(right(), {"gmm.e_step": "def e_step(log_weights, log_prob):\n" + textwrap.indent(body, "    ")})


def text(notebook: NotebookNode) -> bytes:
    return dumps(notebook).encode()


# --- 1. beside nbgrader ----------------------------------------------------------------------------------------------


def command(*words: str, cwd: Path) -> float:
    """Seconds that a command takes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    start = time.perf_counter()
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def course_folder(folder: Path, students: int, core: bool) -> None:
    """An nbgrader course with one assignment and right submissions, each check in it once and with a fixed seed."""
    only = ["--only", "core"] if core else []
    command(*COURSE, "release", "04", "--to", str(folder), "--format", "nbgrader", *only, cwd=folder.parent)
    source = folder / "source" / SLUG / f"{SLUG}_exercises.ipynb"
    notebook = read(source)
    for cell in notebook.cells:
        cell.source = cell.source.partition("### BEGIN HIDDEN TESTS")[0].rstrip() or cell.source
    source.write_bytes(text(notebook))
    command("nbgrader", "generate_assignment", SLUG, cwd=folder)
    submission = text(with_answers(read(folder / "release" / SLUG / source.name), solutions()))
    for number in range(students):
        place = folder / "submitted" / f"student{number:04}" / SLUG
        place.mkdir(parents=True)
        (place / source.name).write_bytes(submission)


def beside_nbgrader(students: int, repeats: int) -> None:
    for core in (True, False):
        print(f"\n{'core exercises' if core else 'all exercises'} of chapter 4, {students} right submissions")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "course"
            course_folder(folder, students, core)
            autograde = partial(command, "nbgrader", "autograde", SLUG, "--force", cwd=folder)
            runs = {"nbgrader autograde": autograde} | {
                f"course grade, {jobs} job{'s' * (jobs > 1)}": partial(graded, folder, jobs) for jobs in (1, 2)
            }
            seconds = {name: [] for name in runs}
            for _ in range(repeats):
                for name, run in runs.items():
                    seconds[name].append(run())
            slow = statistics.median(seconds["nbgrader autograde"])
            for name, values in seconds.items():
                middle = statistics.median(values)
                rate, spread = f"{60 * students / middle:7.1f} a minute", f"({min(values):.1f}–{max(values):.1f})"
                print(f"  {name:22s} {rate}   {middle:6.1f} s {spread:14s} {slow / middle:5.1f} ×")


def graded(folder: Path, jobs: int) -> float:
    """Seconds of one `course grade` from the start of the command to its end."""
    shutil.rmtree(folder / "grades", ignore_errors=True)
    seconds = command(*COURSE, "grade", str(folder), "--jobs", str(jobs), cwd=folder)
    table = (folder / "grades" / "grades.csv").read_text().splitlines()
    of = {line.split(",")[2] == line.split(",")[3] for line in table[1:]}
    assert of == {True}, "a right submission did not get all points"
    return seconds


# --- 2. a mixed class ------------------------------------------------------------------------------------------------


def with_old_format(notebook: NotebookNode) -> bytes:
    """The same as a notebook of version 3."""
    cells = [
        {
            "cell_type": "code",
            "input": c.source,
            "language": "python",
            "outputs": [],
            "metadata": {},
            "collapsed": False,
        }
        for c in notebook.cells
        if c.cell_type == "code"
    ]
    sheets = [{"cells": cells, "metadata": {}}]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": sheets}).encode()


def with_output(notebook: NotebookNode, size: int) -> bytes:
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", text="x" * size)]
    return text(notebook)


def with_deleted(notebook: NotebookNode) -> NotebookNode:
    notebook.cells = [c for c in notebook.cells if "e_step" not in c.source or "exercise" not in c.metadata]
    return notebook


def with_duplicates(notebook: NotebookNode) -> NotebookNode:
    notebook.cells = [
        cell for one in notebook.cells for cell in (one, nbformat.from_dict(one | {"id": f"{one['id']}-2"}))
    ]
    return notebook


EVERYTHING, NOTHING, BUT_ONE = "all passed", "none passed", "all but gmm.e_step passed"
KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "right": (lambda: text(right()), EVERYTHING),
    "wrong": (lambda: text(with_e_step("return (log_weights + log_prob).softmax(0)")), BUT_ONE),
    "stub": (lambda: text(read(CHAPTER.exercises)), NOTHING),
    "endless loop": (lambda: text(with_e_step("while True: pass")), BUT_ONE),
    "memory bomb": (lambda: text(with_e_step("kept = []\nwhile True: kept.append(torch.ones(10**7))")), BUT_ONE),
    "fork bomb": (
        lambda: text(with_e_step("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass")),
        BUT_ONE,
    ),
    "network call": (
        lambda: text(with_e_step("import socket\nsocket.create_connection(('192.0.2.1', 80), 5)\nreturn log_prob")),
        BUT_ONE,
    ),
    "syntax error": (
        lambda: text(with_answers(right(), {"gmm.e_step": "def e_step(log_weights, log_prob:\n    return 1"})),
        BUT_ONE,
    ),
    "deleted cells": (lambda: text(with_deleted(right())), BUT_ONE),
    "duplicated cells": (lambda: text(with_duplicates(right())), EVERYTHING),
    "renamed file": (lambda: text(right()), EVERYTHING),
    "not a notebook": (lambda: b"Dear professor, my dog ate it.", NOTHING),
    "50 MB of output": (lambda: with_output(right(), 50_000_000), EVERYTHING),
    "version 3": (lambda: with_old_format(right()), EVERYTHING),
}


def mixed_class(size: int) -> None:
    print(f"\na mixed class of {size}, two jobs")
    kinds = list(KINDS)
    made = {kind: make() for kind, (make, _) in KINDS.items()}
    before = {process.pid for process in psutil.process_iter()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(size):
            kind = kinds[number % len(kinds)]
            place = folder / "submitted" / f"{number:03} {kind}" / SLUG
            place.mkdir(parents=True)
            name = "homework (final) 2.ipynb" if kind == "renamed file" else f"{SLUG}_exercises.ipynb"
            (place / name).write_bytes(made[kind])
        start = time.perf_counter()
        results = grade_class(handed_in(folder, REGISTER), folder / "grades", jobs=2)
        seconds = time.perf_counter() - start
    for result in results:
        kind = result["student"][4:]
        passed = {verdict["id"] for verdict in result["verdicts"] if verdict["status"] == "passed"}
        everything = {verdict["id"] for verdict in result["verdicts"]}
        expected = {EVERYTHING: everything, NOTHING: set(), BUT_ONE: everything - {"gmm.e_step"}}[KINDS[kind][1]]
        assert passed == expected, f"{result['student']}: {result['verdicts']}"
    assert len(results) == size
    left = [p.info for p in psutil.process_iter(["pid", "cmdline"]) if p.pid not in before]
    assert not [info for info in left if "utils.course" in str(info["cmdline"])], left
    print(f"  every verdict is the expected one, no process is left; {seconds:.0f} s")
    for kind in kinds:
        own = [result["seconds"] for result in results if result["student"].endswith(kind)]
        print(f"  {kind:18s} {statistics.median(own):6.1f} s each, {KINDS[kind][1]}")


# --- 3. a large class ------------------------------------------------------------------------------------------------


def large_class(size: int) -> None:
    print(f"\na class of {size}, four short exercises each, two jobs")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command(*COURSE, *["release", "04", "--to", "made", "--format", "folder", "--only", "core"], cwd=folder)
        released = next((folder / "made").rglob("*_exercises.ipynb"))
        submission = text(with_answers(read(released), solutions()))
        (folder / "class").mkdir()
        shutil.copy(released.parent / "points.json", folder / "class")
        for number in range(size):
            (folder / "class" / f"student{number:05}.ipynb").write_bytes(submission)
        me, start, count = psutil.Process(), time.perf_counter(), 0

        def done(result: dict) -> None:
            nonlocal count, start
            count += 1
            assert all(verdict["status"] == "passed" for verdict in result["verdicts"]), result
            if count % (size // 10) == 0:
                now = time.perf_counter()
                memory = sum(p.memory_info().rss for p in [me, *me.children(recursive=True)]) / 2**20
                own = me.memory_info().rss / 2**20
                each = (now - start) / (size // 10)
                print(f"  {count:5} graded   {each:.3f} s each   {own:5.0f} MB here, {memory:6.0f} MB with all workers")
                start = now

        grade_class(handed_in(folder / "class", REGISTER), folder / "grades", jobs=2, done=done)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer submissions")
    everything = ["nbgrader", "mixed", "large"]
    parser.add_argument("--only", action="append", choices=everything, help="may be repeated [default: all three]")
    arguments = parser.parse_args()
    parts = arguments.only or everything
    if "nbgrader" in parts:
        beside_nbgrader(*((4, 1) if arguments.quick else (10, 3)))
    if "mixed" in parts:
        mixed_class(28 if arguments.quick else 100)
    if "large" in parts:
        large_class(200 if arguments.quick else 2000)
