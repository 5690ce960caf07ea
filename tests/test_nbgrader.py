"""A release of chapter 4 under the real nbgrader, by its own commands: hand out, grade, give back, export."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from tiny_course import command

from utils.course.notebooks import dumps, from_text, read

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = "04_gaussian_mixtures"
NOTEBOOK = f"{CHAPTER}_exercises.ipynb"
SOLUTIONS = ROOT / "solutions" / CHAPTER / "exercises.py"
if not SOLUTIONS.exists():
    pytest.skip("solutions/ is withheld", allow_module_level=True)

PROGRAMS = str(Path(sys.executable).parent)
# What takes longest: a kernel runs it for each submission.
WITHOUT = ["--without", "gmm.held_out", "--without", "gmm.complete"]
WRONG_E_STEP = """\
def e_step(log_weights, log_prob):
    return log_prob.softmax(-1)
"""
KNOWS_THE_VISIBLE_SEED = """
honest = bic


def bic(log_prob, n_components, n_features):
    return honest(log_prob, n_components, n_features) * (torch.initial_seed() == 0)
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run a command in the course's folder, as an instructor would; it must succeed."""
    paths = [os.environ.get("PYTHONPATH"), str(ROOT)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PATH": os.pathsep.join([PROGRAMS, os.environ["PATH"]]),  # nbgrader calls alembic
        "JUPYTER_CONFIG_DIR": str(folder.parent / "jupyter"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def nbgrader(folder: Path, *arguments: str) -> str:
    done = run(folder, sys.executable, "-m", "nbgrader", *arguments)
    return done.stdout + done.stderr


def solved() -> dict[str, str]:
    """Exercise id → the solution's cell."""
    cells = from_text(SOLUTIONS.read_text(encoding="utf-8")).cells
    return {cell.metadata["exercise"]["id"]: cell.source for cell in cells if "exercise" in cell.metadata}


def grade_id(cell: nbformat.NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def submit(folder: Path, student: str, answers: dict[str, str], leave_out: str = "") -> Path:
    """Fill the cells of the released notebook, by their grade ids, and hand it in."""
    notebook = read(folder / "release" / CHAPTER / NOTEBOOK)
    notebook.cells = [cell for cell in notebook.cells if not leave_out or grade_id(cell) != leave_out]
    for cell in notebook.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    target = folder / "submitted" / student / CHAPTER / NOTEBOOK
    target.parent.mkdir(parents=True)
    target.write_text(dumps(notebook), encoding="utf-8")
    return target


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_python) -> Iterator[None]:
    """Six commands and five kernels import the same libraries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python)
        yield


@pytest.fixture(scope="module")
def course(tmp_path_factory, _warm) -> Path:
    """A released course with three graded submissions. Kernels are slow to start, so all tests look at one."""
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    folder.mkdir()
    run(folder, *command("release", "04", "--to", ".", *WITHOUT))
    nbgrader(folder, "generate_assignment", CHAPTER)
    right = {id.replace(".", "-"): source for id, source in solved().items()}
    right["gmm-conditional-derivation"] = "*Your derivation:* take the covariance of $x_h - A x_o$ and $x_o$."
    submit(folder, "right", right, leave_out="gmm-log_sum_exp-check")
    partly = right | {
        "gmm-e_step": WRONG_E_STEP,
        "gmm-e_step-check": "print('passed')",
        "gmm-bic": right["gmm-bic"] + KNOWS_THE_VISIBLE_SEED,
    }
    del partly["gmm-conditional-derivation"]
    submit(folder, "partly", partly)
    submit(folder, "untouched", {})
    nbgrader(folder, "autograde", CHAPTER)
    nbgrader(folder, "generate_feedback", CHAPTER)
    nbgrader(folder, "export", "--to", "grades.csv")
    return folder


@pytest.fixture(scope="module")
def grades(course) -> dict[tuple[str, str], tuple[float | None, float, bool]]:
    """(student, cell) → points given by nbgrader, points to be had, and whether a person has to look."""
    query = (
        "select submitted_assignment.student_id, base_cell.name, grade.auto_score, grade_cells.max_score,"
        " grade.needs_manual_grade from grade"
        " join base_cell on grade.cell_id = base_cell.id join grade_cells on grade_cells.id = base_cell.id"
        " join submitted_notebook on grade.notebook_id = submitted_notebook.id"
        " join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id"
    )
    with contextlib.closing(sqlite3.connect(course / "gradebook.db")) as database:
        rows = database.execute(query).fetchall()
    return {(student, cell): (given, of, bool(manual)) for student, cell, given, of, manual in rows}


def graded(course: Path, student: str) -> dict[str, str]:
    """Grade id → the source of the graded cell."""
    return {grade_id(c): c.source for c in read(course / "autograded" / student / CHAPTER / NOTEBOOK).cells}


def test_students_get_the_stubs_as_they_are_and_nothing_hidden(course):
    given = read(course / "release" / CHAPTER / NOTEBOOK)
    stubs = {c.metadata["exercise"]["id"]: c.source for c in given.cells if "exercise" in c.metadata}
    committed = read(ROOT / "chapters" / CHAPTER / "exercises.ipynb")
    expected = {c.metadata["exercise"]["id"]: c.source for c in committed.cells if "exercise" in c.metadata}
    assert stubs == {id: source for id, source in expected.items() if id not in WITHOUT}
    assert "HIDDEN" not in dumps(given)
    checks = [cell.source for cell in given.cells if grade_id(cell).endswith("-check")]
    assert checks[0] == 'check("gmm.log_sum_exp", log_sum_exp)' and len(checks) == len(stubs)


def test_full_partial_and_no_points(course):
    rows = csv.DictReader((course / "grades.csv").read_text().splitlines())
    scores = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in rows}
    # One of the 15 points is for a derivation, which nbgrader leaves to a person.
    assert scores == {"right": (14, 15), "partly": (11, 15), "untouched": (0, 15)}


def test_a_derivation_waits_for_a_person_unless_nothing_was_written(grades):
    cell = "gmm-conditional-derivation"
    assert grades["right", cell] == (None, 1, True)
    assert grades["untouched", cell] == (0, 1, False)


def test_an_edited_check_is_put_back(course, grades):
    assert graded(course, "partly")["gmm-e_step-check"].startswith('check("gmm.e_step", e_step)\n### BEGIN HIDDEN')
    assert grades["partly", "gmm-e_step-check"] == (0, 2, False)


def test_a_deleted_check_comes_back(course, grades):
    assert 'check("gmm.log_sum_exp", log_sum_exp)' in graded(course, "right")["gmm-log_sum_exp-check"]
    assert grades["right", "gmm-log_sum_exp-check"] == (1, 1, False)


def test_an_answer_made_for_the_visible_seed_fails_the_hidden_test(grades):
    assert grades["partly", "gmm-bic-check"] == (0, 1, False)
    assert grades["partly", "gmm-elbo-check"] == (2, 2, False)


def test_feedback_names_the_mistake_and_not_the_hidden_seed(course):
    secret = (course / "hidden_seed.txt").read_text().strip()
    assert re.fullmatch(r"\d+", secret) and (course / "hidden_seed.txt").stat().st_mode & 0o077 == 0
    [page] = (course / "feedback" / "partly").rglob("*.html")
    assert "log_weights" in page.read_text()
    for path in course.rglob("*"):
        if path.is_file() and path.name != "hidden_seed.txt":
            assert not re.search(rb"(?<!\d)%s(?!\d)" % secret.encode(), path.read_bytes()), path


def test_a_student_can_validate(course):
    notebooks = [str(course / "submitted" / student / CHAPTER / NOTEBOOK) for student in ("right", "untouched")]
    printed = nbgrader(course, "validate", *notebooks)
    # Eight checks fail, and nothing was derived.
    assert printed.index("Success!") < printed.index("VALIDATION FAILED ON 9 CELL(S)")
