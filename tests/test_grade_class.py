"""A class under `course grade`: each submission once, what a person entered stays, what is broken off goes on."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from test_grade import HOW_TO, NAMED, RIGHT, WRONG, assignment, notebook

from utils.checks import Verdict
from utils.course import CourseError
from utils.course.grading.gradebook import grade_class
from utils.course.grading.submissions import handed_in
from utils.course.register import Register

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three notebooks, of which one says which exercises there are, and things that are no notebooks."""
    tasks = [vars(task) for task in assignment().exercises]
    tasks[1]["by_hand"] = 1
    (tmp_path / "points.json").write_text(json.dumps({"assignment": "04_gaussian_mixtures", "exercises": tasks}))
    (tmp_path / "right.ipynb").write_bytes(notebook(HOW_TO, *list(RIGHT.values())[:2]))
    (tmp_path / "wrong.ipynb").write_bytes(notebook(HOW_TO, RIGHT["gmm.log_sum_exp"], WRONG))
    (tmp_path / "=cmd().ipynb").write_bytes(b"nothing")
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    (tmp_path / "readme.txt").write_text("not submitted")
    return tmp_path


def grades(out: Path) -> list[dict]:
    with (out / "grades.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_class_is_graded_once_and_hand_made_marks_stay(folder):
    out, seen = folder / "grades", []
    found = handed_in(folder, Register())
    results = grade_class(found, out, jobs=1, done=lambda result: seen.append(result["student"]))
    assert seen == ["=cmd()", "link", "right", "wrong"]
    assert [(row["student"], row["points"], row["of"], row["total"]) for row in grades(out)] == [
        ("'=cmd()", "0", "3", ""), ("link", "0", "3", ""), ("right", "3", "3", ""), ("wrong", "2", "3", "")
    ]  # fmt: skip
    report = (out / "reports" / "04_gaussian_mixtures" / "wrong.md").read_text()
    assert NAMED in report and "2 of 3 points" in report and "Up to 1 more" in report
    assert f"| 1 | `gmm.e_step` | {NAMED} |" in (out / "summary.md").read_text()

    written = (out / "grades.csv").read_text()
    (out / "grades.csv").write_text(
        written.replace("right,04_gaussian_mixtures,3,3,,2,1,", "right,04_gaussian_mixtures,3,3,,2,1,1")
    )
    assert (out / "grades.csv").read_text() != written
    seen.clear()
    assert grade_class(found, out, jobs=1, done=lambda result: seen.append(result["student"])) == results
    assert seen == []  # nothing was graded again
    assert [row["total"] for row in grades(out)] == ["", "", "4", ""]

    (out / "grades.csv").write_text("my own notes")
    grade_class(found, out, jobs=1)
    kept = {path.read_text() for path in out.glob("grades.kept-*.csv")}
    assert "my own notes" in kept and grades(out)[2]["points"] == "3"


def test_what_is_no_notebook_is_named(folder):
    (folder / "ann").mkdir()
    (folder / "ann" / "essay.pdf").write_bytes(b"%PDF")
    (folder / "bob").mkdir()
    (folder / "bob" / "mine.ipynb").write_bytes(notebook("1"))
    (folder / "grades").mkdir()
    assert left_out(folder, handed_in(folder, Register()), folder / "grades") == ["ann/", "readme.txt"]


def test_what_changed_is_graded_again_and_nothing_else(folder):
    out, seen = folder / "grades", []
    grade_class(handed_in(folder, Register()), out, jobs=1)
    (folder / "wrong.ipynb").write_bytes((folder / "right.ipynb").read_bytes())
    grade_class(handed_in(folder, Register()), out, jobs=1, done=lambda result: seen.append(result["student"]))
    assert seen == ["wrong"] and grades(out)[3]["points"] == "3"


def test_a_run_that_was_broken_off_goes_on_where_it_was(folder):
    out, seen = folder / "grades", []

    def stop(result):
        seen.append(result["student"])
        if len(seen) == 2:
            raise KeyboardInterrupt

    found = handed_in(folder, Register())
    with pytest.raises(KeyboardInterrupt):
        grade_class(found, out, jobs=1, done=stop)
    grade_class(found, out, jobs=1, done=lambda result: seen.append(result["student"]))
    assert seen == ["=cmd()", "link", "right", "wrong"]


def test_two_runs_write_the_same(folder, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for out in (first, second):
        out.mkdir()
        (out / "hidden_seed.txt").write_text("same\n")
        grade_class(handed_in(folder, Register()), out, jobs=1)
    for name in ("grades.csv", "summary.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_layout_of_nbgrader(tmp_path):
    for student, name in (("ann", "04_gaussian_mixtures.ipynb"), ("bob", "renamed by bob.ipynb")):
        place = tmp_path / "submitted" / student / "ps4"
        place.mkdir(parents=True)
        checks = "check('gmm.e_step', e_step)", "check('gmm.bic', bic)" if student == "bob" else ""
        (place / name).write_bytes(notebook(HOW_TO, RIGHT["gmm.e_step"], *checks))
    (tmp_path / "submitted" / "cy" / "ps4").mkdir(parents=True)
    (tmp_path / "submitted" / "cy" / "ps4" / "essay.pdf").write_bytes(b"%PDF")
    found = handed_in(tmp_path, Register())
    assert [(one.student, one.path and one.path.name) for one in found] == [
        ("ann", "04_gaussian_mixtures.ipynb"), ("bob", "renamed by bob.ipynb"), ("cy", None)
    ]  # fmt: skip
    asked = [task.id for task in found[0].assignment.exercises]
    assert asked == ["gmm.e_step", "gmm.bic"]  # what anybody's notebook checks, in the order of the chapter
    assert found[2].problem == "no notebook was submitted; there is essay.pdf"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "nothing was submitted"),
        (lambda folder: (folder / "a.ipynb").write_bytes(notebook("1")), "what was the assignment"),
        (lambda folder: (folder / "submitted").mkdir(), "nothing was submitted"),
    ],
)
def test_a_folder_without_submissions_is_an_error(tmp_path, make, says):
    make(tmp_path)
    with pytest.raises(CourseError, match=says):
        handed_in(tmp_path, Register())
    with pytest.raises(CourseError, match="is no folder"):
        handed_in(tmp_path / "nowhere", Register())


def test_a_worker_killed_in_the_middle_loses_nothing(folder):
    """Two workers of a dask cluster; one of them is killed while it grades."""
    shutil.rmtree(folder / "grades", ignore_errors=True)
    for number in range(6):
        slow = f"import time\ntime.sleep(1.5)  # {number}"
        (folder / f"slow{number}.ipynb").write_bytes(notebook(HOW_TO, slow, *list(RIGHT.values())[:2]))
    command = [sys.executable, "-m", "utils.course.cli", "grade", str(folder), "--jobs", "2"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    records = folder / "grades" / "verdicts" / "04_gaussian_mixtures"
    deadline = time.time() + 600
    while len(list(records.glob("*.json"))) < 2 and time.time() < deadline:
        time.sleep(0.1)
    workers = [p for p in psutil.Process(run.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    said, complained = run.communicate(timeout=600)
    assert run.returncode == 0, complained
    assert "10 submissions" in said and "no notebooks: readme.txt" in said
    rows = grades(folder / "grades")
    assert len(rows) == 10 and [row["points"] for row in rows] == ["0", "0", "3"] + ["3"] * 6 + ["2"]
