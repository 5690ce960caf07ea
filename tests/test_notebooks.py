"""Every notebook of the course: in sync with its text, clean, and executed by a test."""

from __future__ import annotations

import functools
import re
import subprocess
import sys

import pytest

from utils.course.execute import Job, execute
from utils.course.notebooks import read, without_outputs
from utils.course.parameters import defaults
from utils.course.register import Register
from utils.course.results import missed
from utils.course.sync import problems

REGISTER = Register()
CHAPTERS = REGISTER.chapters
MEMORY_MB = 4096
# Five times the limit of 120 s for a lesson: this asks for an end, not for a speed.
SECONDS = 600


def ids(chapter) -> str:
    return chapter.slug


@functools.cache
def stale() -> list[str]:
    return list(problems(REGISTER))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=ids)
def test_nothing_of_a_chapter_is_stale(chapter):
    assert [line for line in stale() if chapter.slug in line] == []


def test_nothing_else_is_stale():
    assert [line for line in stale() if not any(chapter.slug in line for chapter in CHAPTERS)] == []


def test_the_register_and_the_files_agree(repository):
    lessons = set(repository.glob("chapters/*/lesson.ipynb"))
    assert {chapter.lesson for chapter in CHAPTERS} == lessons


@pytest.mark.parametrize("chapter", CHAPTERS, ids=ids)
def test_the_parameters_are_literals(chapter):
    assert defaults(read(chapter.lesson))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=ids)
def test_an_untouched_exercise_fails_only_with_not_implemented(chapter, tmp_path, warm_python, monkeypatch):
    import nbclient

    monkeypatch.setattr(sys, "executable", warm_python)  # with it kernels are started
    notebook = without_outputs(read(chapter.exercises))
    nbclient.NotebookClient(
        notebook, timeout=SECONDS, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    errors = [
        output.ename for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"
    ]
    assert set(errors) == {"NotAttempted"}, "an error that is no `not attempted`"
    assert len(errors) == sum("exercise" in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=ids)
def test_the_solutions_run_and_print_what_is_committed(chapter, tmp_path, warm_python):
    if not chapter.solutions.exists():
        pytest.skip("solutions/ is withheld")
    copy = tmp_path / chapter.solutions.name
    copy.write_bytes(chapter.solutions.read_bytes())
    cells = [cell for cell in read(copy).cells if cell.cell_type == "code"]
    compared = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert all(cell.outputs for cell in compared), "a cell with the tag nbval-check-output prints nothing"
    options = ["--nbval-lax", f"--nbval-cell-timeout={SECONDS}", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    run = subprocess.run(
        [warm_python, "-m", "pytest", "-q", *options, str(copy)], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert f"{len(cells)} passed" in run.stdout


@pytest.mark.lesson
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=ids)
def test_a_lesson_runs_and_reaches_what_the_register_requires(chapter, tmp_path, repository, record_property):
    before = files(repository)
    [run] = execute([Job(chapter.lesson, tmp_path / chapter.lesson.name, cell_seconds=SECONDS, seconds=SECONDS)])
    for name, value in (("lesson", chapter.slug), ("seconds", run.seconds), ("memory_mb", run.memory_mb)):
        record_property(name, value)
    assert run.failure is None, str(run.failure)
    assert missed(chapter, run.results) == []
    assert run.memory_mb < MEMORY_MB
    assert files(repository) == before, "the lesson wrote into the repository"


def test_the_examples_name_parameters_that_exist(repository):
    pages = [repository / name for name in ("README.md", "CONTRIBUTING.md", "utils/course/cli.py")]
    examples = [
        match for page in pages for match in re.findall(r"course run (\d+) -p (\w+)=", page.read_text(encoding="utf-8"))
    ]
    assert examples
    for number, name in examples:
        assert name in defaults(read(REGISTER.find(number).lesson))


def test_no_notebook_is_left_out(repository):
    """What is not a lesson, an exercise or a solution of the register is executed by none of the tests above."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.ipynb"],
        cwd=repository, capture_output=True, text=True, check=True,
    )  # fmt: skip
    notebooks = {repository / name for name in listing.stdout.split("\0") if name}
    executed = {path for chapter in CHAPTERS for path in (chapter.lesson, chapter.exercises, chapter.solutions)}
    assert notebooks - executed == set(), "no test executes these notebooks"


def files(repository) -> dict:
    """Every file of the repository with its size and time of change, but for what tools keep for themselves."""
    tools = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", "work"}
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in repository.rglob("*")
        if path.is_file() and not tools & set(path.relative_to(repository).parts)
    }
