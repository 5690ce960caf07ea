"""A class under `course grade`: each submission once, what a person entered stays, what is broken off goes on."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sandbox_here import needs_sandbox
from test_grade import HOW_TO, NAMED, RIGHT, WRONG, assignment, notebook
from tiny_course import course

from utils.course import CourseError
from utils.course.grading.gradebook import grade_class
from utils.course.grading.submissions import handed_in
from utils.course.register import Register

pytestmark = needs_sandbox


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
    with (out / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def enter(out: Path, student: str, **entries: str) -> None:
    """What an instructor does in a spreadsheet."""
    rows = grades(out)
    for row in rows:
        if row["student"] == student:
            row |= {name.replace("__", "."): text for name, text in entries.items()}
    with (out / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def test_a_class_is_graded_once_and_what_was_entered_stays(folder):
    out, seen, told = folder / "grades", [], []
    found = handed_in(folder, Register())
    results = grade_class(found, out, jobs=1, done=lambda result: seen.append(result["student"]), tell=told.append)
    assert seen == ["=cmd()", "link", "right", "wrong"]
    assert [(row["student"], row["points"], row["of"], row["total"]) for row in grades(out)] == [
        ("'=cmd()", "0", "3", "0"), ("link", "0", "3", "0"), ("right", "3", "3", ""), ("wrong", "2", "3", "")
    ]  # fmt: skip
    assert [row["note"] for row in grades(out)][:3] == [
        "this is no notebook: its content is no JSON",
        "no notebook was submitted; `link.ipynb` is a link, and links are not followed",
        "waits for gmm.e_step (by hand)",
    ]
    assert "points by hand are missing, so the total is open: right, wrong" in told
    assert "odd submissions, see the column `note`: =cmd(), link" in told
    page = (out / "feedback" / "04_gaussian_mixtures" / "wrong.html").read_text()
    assert NAMED in page and "2 of 3 points by the checks" in page and "Points given by hand are still to come" in page
    assert f"| 1 | `gmm.e_step` | {NAMED} |" in (out / "summary.md").read_text()

    enter(out, "right", **{"gmm.e_step (by hand)": "1", "late": "10%", "comment": "Fine."})
    seen.clear()
    assert grade_class(found, out, jobs=1, done=lambda result: seen.append(result["student"])) == results
    assert seen == []  # nothing was graded again
    assert [row["total"] for row in grades(out)] == ["0", "0", "3.6", ""]
    assert grades(out)[2]["comment"] == "Fine." and not list(out.glob("*.kept-*"))

    told.clear()
    (out / "grades.csv").write_text("my own notes")
    grade_class(found, out, jobs=1, tell=told.append)
    assert (out / "grades.kept-1.csv").read_text() == "my own notes" and grades(out)[2]["points"] == "3"
    assert told[0] == "grades.csv has no column `student`, and was written anew; yours is kept as grades.kept-1.csv"


def test_only_some_students_or_exercises_are_graded_again(folder):
    out, seen = folder / "grades", []
    found = handed_in(folder, Register())

    def again(**options) -> list[str]:
        seen.clear()
        grade_class(found, out, jobs=1, done=lambda result: seen.append(result["student"]), **options)
        return list(seen)

    assert again(students=["right"]) == ["right"]  # of the others there is nothing yet
    assert [row["student"] for row in grades(out)] == ["right"]
    assert again() == ["=cmd()", "link", "wrong"]
    enter(out, "right", **{"gmm.e_step (by hand)": "1"})
    records = out / "verdicts" / "04_gaussian_mixtures"
    for record in records.glob("*.json"):  # as if another check had judged
        record.write_text(record.read_text().replace('"passed"', '"wrong"').replace('"key": "', '"key": "old '))
    assert again(students=["right"], exercises=["gmm.e_step"]) == ["right"]
    statuses = [verdict["status"] for verdict in json.loads((records / "right.json").read_text())["verdicts"]]
    assert statuses == ["wrong", "passed"]
    assert [(row["points"], row["total"]) for row in grades(out)] == [("0", "0"), ("0", "0"), ("1", "2"), ("0", "")]
    assert again(exercises=["gmm.log_sum_exp"]) == ["=cmd()", "link", "right", "wrong"]
    assert [row["points"] for row in grades(out)] == ["0", "0", "3", "2"]
    assert again() == ["=cmd()", "link", "right", "wrong"]  # for their other exercises were not looked at
    with pytest.raises(CourseError, match=r"there is no student 'rigth'. Did you mean right"):
        again(students=["rigth"])
    with pytest.raises(CourseError, match=r"there is no exercise 'gmm.estep'. Did you mean gmm.e_step"):
        again(exercises=["gmm.estep"])


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


def test_a_class_of_oddities_is_graded_and_each_is_told(tmp_path):
    """The command, on all that ended it, hid somebody or changed a grade."""
    folder = tmp_path / "collected"
    folder.mkdir()
    right = notebook(HOW_TO, *list(RIGHT.values())[:2])
    for raw in (b"Jos\xe9.ipynb", ("汉" * 40 + ".ipynb").encode(), b"x.IPYNB", b"\x1b[31mred.ipynb", b"._x.ipynb"):
        with open(os.fsencode(folder) + b"/" + raw, "wb") as file:  # noqa: PTH123 a path of bytes
            file.write(right)
    for name in ("nested/deep/x.ipynb", "two/a.ipynb", "two/b.ipynb", "__MACOSX/x.ipynb", ".ipynb_checkpoints/x.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(right)
    (folder / "two.ipynb").write_bytes(notebook("# check('gmm.bic', bic); check('vae.train', x)"))
    (folder / "linked").symlink_to(folder / "nested")
    (folder / "essay.pdf").write_bytes(b"%PDF")
    (folder / "roster.csv").write_bytes("student;email\r\nJosé;j@x.org\r\nemmy;e@x.org\r\n".encode("cp1252"))
    asked = ("--chapter", "04", "--only", "core", "--without", "gmm.m_step", "--without", "gmm.gaussian_log_prob")
    done = course(Register().root, "grade", str(folder), "--jobs", "1", *asked)
    assert done.returncode == 0, done.stderr
    points = {row["student"]: (row["points"], row["total"]) for row in grades(folder / "grades")}
    everything, nothing = ("3", "3"), ("0", "0")
    assert points == {
        "José": everything, "汉" * 40: everything, "x": everything, "\ufffd[31mred": everything,
        "nested": everything, "two": everything, "linked": nothing, "emmy": nothing,
    }  # fmt: skip
    assert "04_gaussian_mixtures: 2 exercises" in done.stdout and "\x1b[31mred" not in done.stdout
    for line in ("no notebooks: essay.pdf", "nothing was submitted: emmy", "see the column `note`: linked, two"):
        assert line in done.stdout, done.stdout
    notes = {row["student"]: row["note"] for row in grades(folder / "grades")}
    assert "is a link" in notes["linked"] and "Of 3 notebooks, the last was graded" in notes["two"]


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
    assert "the same code" not in said  # what is so short tells nothing
    rows = grades(folder / "grades")
    assert len(rows) == 10 and [row["points"] for row in rows] == ["0", "0", "3"] + ["3"] * 6 + ["2"]
