"""`course new` writes a chapter whose tests say what to write; which tests a chapter or a change concerns."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tiny_course
from tiny_course import command, course

from utils.course import CourseError
from utils.course.affected import Course, changed_files
from utils.course.cli import main
from utils.course.new import FILES, SKELETON, new
from utils.course.register import Register
from utils.course.test import run_tests

ROOT = Path(__file__).resolve().parents[1]
REGISTER = """\
# What stands here is written by hand.

[[parts]]
title = "Tests"  # the first part
chapters = ["01_tiny"]

[[parts]]
title = "More tests"
chapters = [
    "05_five",  # not the last
    "20_twenty"
]
"""


@pytest.fixture
def tiny(tmp_path) -> Path:
    return tiny_course.make(tmp_path / "course")


@pytest.fixture
def parts(tiny) -> Path:
    """A course of two parts, in which the layouts of the register differ."""
    for slug in ("05_five", "20_twenty"):
        (tiny / "chapters" / slug).mkdir()
        (tiny / "chapters" / slug / "chapter.toml").write_text(tiny_course.CHAPTER)
    (tiny / "chapters" / "course.toml").write_text(REGISTER)
    return tiny


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- the files


def test_every_text_of_the_skeleton_has_a_place():
    assert {path.name.removesuffix(".txt") for path in SKELETON.iterdir()} == set(FILES)


def test_the_files_are_written_and_nothing_else_changes(tiny):
    before = contents(tiny)
    done = course(tiny, "new", "34_toy", "--title", "A toy, and more")
    assert done.returncode == 0, done.stderr
    after = contents(tiny)
    files = {where.format(slug="34_toy", topic="toy") for where in FILES.values()}
    assert set(after) - set(before) == files and files <= set(done.stdout.splitlines())
    assert [name for name in before if after[name] != before[name]] == ["chapters/course.toml"]
    assert not [name for name in files if b"{{" in after[name]]
    chapter = Register(tiny).find("34")
    assert (chapter.title, chapter.part) == ("A toy, and more", "Tests")
    assert after["chapters/34_toy/teaching.md"].startswith(b"# Teaching chapter 34: A toy, and more\n")


@pytest.mark.parametrize(
    ("slug", "part", "old", "line"),
    [
        ("34_toy", "Tests", '"01_tiny"]', '"01_tiny", "34_toy"]'),
        ("00_toy", "Tests", '"01_tiny"]', '"00_toy", "01_tiny"]'),
        ("02_toy", "More tests", '    "05_five"', '    "02_toy",\n    "05_five"'),
        ("06_toy", "More tests", '    "20_twenty"', '    "06_toy",\n    "20_twenty"'),
        ("34_toy", None, '    "20_twenty"\n', '    "20_twenty",\n    "34_toy",\n'),
        ("02_toy", None, '"01_tiny"]', '"01_tiny", "02_toy"]'),
    ],
)
def test_the_register_keeps_its_comments_and_its_layout(parts, slug, part, old, line):
    list(new(Register(parts), slug, part=part))
    text = (parts / "chapters" / "course.toml").read_text()
    assert text == REGISTER.replace(old, line)
    assert slug in [name for entry in tomllib.loads(text)["parts"] for name in entry["chapters"]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["toy"], "'toy' is no name of a chapter: write NN_topic"),
        (["34-toy"], "no name of a chapter"),
        (["34_Toy"], "no name of a chapter"),
        (["34_toy/x"], "no name of a chapter"),
        (["01_toy"], "the number 01 is taken by 01_tiny"),
        (["34_tiny"], "the topic tiny is taken by 01_tiny"),
        (["34_toy", "--part", "No part"], "there is no part 'No part': choose one of 'Tests'"),
        (["34_toy", "--title", 'say "no"'], "one line without double quotes"),
        (["34_kept"], "utils/checks/kept.py exists, and nothing is overwritten"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tiny, arguments, says):
    (tiny / "utils" / "checks").mkdir(parents=True)
    (tiny / "utils" / "checks" / "kept.py").write_text("mine\n")
    before = contents(tiny)
    done = course(tiny, "new", *arguments)
    assert done.returncode == 1 and says in done.stderr
    assert contents(tiny) == before


# --- a chapter from its first command to its removal


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A course of one tiny chapter with the library, the tests of chapters and a history of its own."""
    root = tiny_course.make(tmp_path_factory.mktemp("new") / "course")
    topics = [chapter.topic for chapter in Register(ROOT).chapters]
    others = [*topics, *(f"{topic}.py" for topic in topics), "__pycache__"]
    shutil.copytree(ROOT / "utils", root / "utils", ignore=shutil.ignore_patterns(*others))
    kept = ["conftest.py", "chapters_plugin.py", "warm_python.py", "offline", "right_answers", "wrong_answers"]
    kept += [f"test_{name}.py" for name in ("chapters", "checks", "models_vae", "notebooks", "teaching")]
    (root / "tests").mkdir()
    for name in kept:
        copy = shutil.copytree if (ROOT / "tests" / name).is_dir() else shutil.copy
        ignore = {"ignore": shutil.ignore_patterns(*others)} if copy is shutil.copytree else {}
        copy(ROOT / "tests" / name, root / "tests" / name, **ignore)
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".gitignore").write_text("__pycache__/\nwork/\n.pytest_cache/\n")
    git(root, "init", "--quiet")
    return root


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@b.c", *arguments], check=True)


def run(root: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command with the library of this course, not with ours."""
    environment = {"COURSE_ROOT": str(root), "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    environment["PYTEST_ADDOPTS"] = "-W 'ignore:Module already imported'"  # as everything is in a Python that is warm
    return subprocess.run(command, cwd=root, env=os.environ | environment, capture_output=True, text=True)


def selected(root: Path, *options: str) -> list[str]:
    done = run(root, sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options)
    assert done.returncode in (0, 5), done.stdout + done.stderr
    return [line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.timeout(1200)
def test_a_new_chapter_syncs_says_what_to_write_and_goes_without_a_trace(small, warm_python, monkeypatch):
    monkeypatch.setattr(sys, "executable", warm_python)
    done = run(small, *command("sync"))
    assert done.returncode == 0, done.stderr
    git(small, "add", ".")
    git(small, "commit", "--quiet", "--message", "a course")
    for arguments in (["new", "34_toy", "--title", "Toy"], ["sync", "34"]):
        done = run(small, *command(*arguments))
        assert done.returncode == 0, done.stderr
    assert "34_toy/lesson.ipynb: executed" in done.stdout and "formatted" not in done.stdout
    done = run(small, *command("sync", "--check"))
    assert (done.returncode, done.stdout) == (0, "")

    of_34 = selected(small, "--chapter", "34")
    assert of_34 and all("34_toy" in test or "toy." in test for test in of_34)
    assert selected(small, "--chapter", "toy", "-m", "lesson") == [
        "test_notebooks.py::test_a_lesson_runs_and_reaches_what_the_register_requires[34_toy]"
    ]
    changed = selected(small, "--since", "HEAD")
    assert set(of_34) <= set(changed)
    assert not [test for test in changed if "01_tiny" in test or test.startswith("test_models")]

    options = ("-m", "not lesson", "--chapter", "34", "-p", "no:cacheprovider", "--tb=short", "-rA")
    done = run(small, sys.executable, "-m", "pytest", *options)
    failed = set(re.findall(r"^FAILED tests/\w+\.py::(\w+)", done.stdout, re.MULTILINE))
    assert failed == set(TO_WRITE), done.stdout
    for sentence in TO_WRITE.values():
        assert sentence in done.stdout
    passed = set(re.findall(r"^PASSED tests/\w+\.py::(\w+)", done.stdout, re.MULTILINE))
    assert passed >= RUNS, done.stdout

    for path in ("chapters/34_toy", "solutions/34_toy"):
        shutil.rmtree(small / path)
    for path in ("utils/checks/toy.py", "tests/wrong_answers/toy.py", "tests/right_answers/toy.py"):
        (small / path).unlink()
    register = small / "chapters" / "course.toml"
    register.write_text(register.read_text().replace(', "34_toy"', ""))
    assert run(small, *command("results", "--write")).returncode == 0
    assert changed_files(small, "HEAD") == set()


# What a skeleton does from the first moment.
RUNS = {
    "test_nothing_of_a_chapter_is_stale",
    "test_an_untouched_exercise_fails_only_with_not_implemented",
    "test_the_solutions_run_and_print_what_is_committed",
    "test_the_solution_passes_in_time",
    "test_the_stub_is_not_attempted",
    "test_a_wrong_answer_is_named",
    "test_a_right_answer_written_otherwise_passes",
    "test_no_note_tells_a_solution",
}
# The tests that fail for a skeleton → a piece of what they say.
TO_WRITE = {
    "test_nothing_is_still_to_write": "34_toy/lesson.py:16 still holds",
    "test_it_has_exercises_of_each_tier": "(1 core, 0 extend, 0 challenge): write at least 6, in all three tiers",
    "test_it_has_a_derivation": "no exercise with a derivation: write one",
    "test_some_outputs_of_its_solutions_are_compared": "1 cell with the tag nbval-check-output: give it to at least 5",
    "test_its_lesson_has_a_picture": "the lesson has 0 cells with the tag picture",
    "test_its_results_are_required_and_its_budget_is_kept": "chapter.toml requires no result",
    "test_its_family_stands_in_the_table": "has no [family], a row of the table: add it",
    "test_at_least_three_wrong_answers_are_kept": "toy.log_prob has 1 wrong answers",
    "test_the_plan_takes_90_minutes": "sum to 15: make them 90",
    "test_every_mistake_is_one_that_a_check_names": "quote at least six",
    "test_every_question_says_where_it_leads": "ask at least five",
}


# --- what a change concerns


@pytest.fixture(scope="module")
def here() -> Course:
    return Course(Register(ROOT))


@pytest.mark.parametrize(
    ("file", "chapters"),
    [
        ("utils/models/boltzmann/rbm.py", ["05"]),
        ("utils/models/vae/vae.py", ["06", "07", "08", "10"]),
        ("utils/checks/gaussian_mixtures/em.py", ["04"]),
        ("tests/wrong_answers/gaussian_mixtures/gone.py", ["04"]),
        ("chapters/04_gaussian_mixtures/chapter.toml", ["04"]),
        ("solutions/12_autoregressive_images/exercises.py", ["12"]),
        ("utils/course/release.py", []),
        ("docs/style.md", []),
        ("data/README.md", []),
    ],
)
def test_a_change_concerns_the_chapters_that_use_it(here, file, chapters):
    assert [c.number for c in here.register.chapters if here.is_affected(c, {file})] == chapters


def test_a_changed_check_of_all_concerns_all(here):
    assert all(here.is_affected(chapter, {"utils/checks/expect.py"}) for chapter in here.register.chapters)


def test_a_changed_data_file_concerns_whom_it_was_opened_by(tmp_path):
    root = tiny_course.make(tmp_path / "course")
    chapter = Register(root).find("01")
    assert Course(Register(root)).is_affected(chapter, {"data/some.npz"})  # nothing is known yet
    for path in (chapter.lesson, chapter.solutions):
        table = '{"data": {"data/mine.npz": "x"}, "results": {}}'
        text = '{"cells": [], "metadata": {"course": {"executed_with": %s}}, "nbformat": 4, "nbformat_minor": 5}'
        path.write_text(text % table)
    found = Course(Register(root))
    assert found.is_affected(chapter, {"data/mine.npz"}) and not found.is_affected(chapter, {"data/some.npz"})


def test_a_test_uses_what_it_imports_through_others_and_what_it_starts(here):
    assert "utils/models/vae/vae.py" in here.uses(["tests/test_models_vae.py"])
    assert "utils/course/worker.py" in here.uses(["tests/test_course_run.py"])
    assert here.models(["tests/test_models_vae.py"]) == {"vae"}
    assert here.mentions("tests/test_words.py", {"docs/style.md"})
    assert not here.mentions("tests/test_words.py", {"utils/plots.py"})


def test_changed_files_are_those_that_differ_and_the_new_ones(tmp_path):
    git(tmp_path, "init", "--quiet")
    for name in ("kept", "committed", "edited", "gone"):
        (tmp_path / name).write_text(name)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    git(tmp_path, "branch", "start")
    (tmp_path / "committed").write_text("anew")
    git(tmp_path, "commit", "--quiet", "--all", "--message", "two")
    (tmp_path / "edited").write_text("anew")
    (tmp_path / "gone").unlink()
    (tmp_path / "ü new").write_text("")
    assert changed_files(tmp_path, "start") == {"committed", "edited", "gone", "ü new"}
    assert changed_files(tmp_path, "HEAD") == {"edited", "gone", "ü new"}
    with pytest.raises(CourseError, match="git knows no commit 'nowhere'"):
        changed_files(tmp_path, "nowhere")


def test_the_command_asks_for_a_chapter_or_a_commit_and_for_tests(tiny):
    for arguments in ([], ["01", "--since", "HEAD"], ["01", "--all"]):
        done = course(tiny, "test", *arguments)
        assert done.returncode == 1 and "say which chapter to test" in done.stderr
    with pytest.raises(CourseError, match="there are no tests"):
        run_tests(Register(tiny), ["--since=HEAD"])


def test_the_command_runs_what_was_asked_for_lessons_last_and_alone(tiny, monkeypatch):
    (tiny / "tests").mkdir()
    statuses, ran = [], []

    def pytest_runs(command, cwd, env):
        ran.append(" ".join(command[3:]))
        return subprocess.CompletedProcess(command, statuses.pop(0))

    monkeypatch.setattr("utils.course.test.subprocess.run", pytest_runs)

    def status(*arguments: str) -> int:
        ran.clear()
        monkeypatch.setenv("COURSE_ROOT", str(tiny))
        monkeypatch.setattr("sys.argv", ["course", "test", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code

    quick, lessons = "-m not lesson -n 2 --dist worksteal", "-m lesson"
    statuses[:] = [1, 5]  # a failure, and no test selected
    assert (status("--all"), ran) == (1, [quick, lessons])
    statuses[:] = [5, 0]
    assert (status("01"), ran) == (0, [f"{quick} --chapter=01_tiny", f"{lessons} --chapter=01_tiny"])
    statuses[:] = [0]
    assert (status("--since", "HEAD", "--quick"), ran) == (0, [f"{quick} --since=HEAD"])
    statuses[:] = [2]
    assert (status("--all", "--lessons"), ran) == (2, [lessons])
