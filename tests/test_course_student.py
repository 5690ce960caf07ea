"""What a student meets: `course start`, `course list`, and the messages for mistakes."""

from __future__ import annotations

import json
import subprocess

import nbformat
import pytest
from tiny_course import CHAPTER, REGISTER, add_chapter, course, make

from utils.checks.verdicts import MIME
from utils.course import CourseError
from utils.course.notebooks import dumps, read
from utils.course.register import Register
from utils.course.results import collect, missed, write_pages
from utils.course.start import done, start

pytestmark = pytest.mark.usefixtures("warm_command")


@pytest.fixture
def tiny(synced, tmp_path):
    root = tmp_path / "course"
    subprocess.run(["cp", "-r", str(synced), str(root)], check=True)
    subprocess.run(["rm", "-rf", str(root / "work")], check=True)
    return root


def begin(root, **options) -> list[str]:
    register = Register(root)
    return list(start(register, register.chapters, **options))


def publish(root, text: str) -> None:
    """A new version of the lesson arrives, as with `git pull`."""
    path = root / "chapters" / "01_tiny" / "lesson.ipynb"
    notebook = read(path)
    notebook.cells[0].source = text
    path.write_text(dumps(notebook))


# --- start


def test_start_hands_out_lesson_and_exercises(tiny):
    assert [line.split(": ")[1] for line in begin(tiny)] == ["ready", "ready"]
    for name in ("01_tiny/lesson.ipynb", "01_tiny/exercises.ipynb", "README.md"):
        assert (tiny / "work" / name).read_bytes() == (tiny / "chapters" / name).read_bytes()
    assert [line.split(": ")[1] for line in begin(tiny)] == ["there already", "there already"]


def test_start_never_overwrites_what_a_student_changed(tiny):
    begin(tiny)
    mine = tiny / "work" / "01_tiny" / "lesson.ipynb"
    mine.write_text("my own work")
    publish(tiny, "# Version 2")
    lines = begin(tiny)
    assert "work/01_tiny/lesson.ipynb: kept, because you changed it" in lines[0]
    assert mine.read_text() == "my own work"


def test_start_renews_what_was_not_touched(tiny):
    begin(tiny)
    publish(tiny, "# Version 2")
    assert "renewed; you had not changed it" in begin(tiny)[0]
    assert read(tiny / "work" / "01_tiny" / "lesson.ipynb").cells[0].source == "# Version 2"


def test_fresh_moves_the_old_file_to_a_dated_backup(tiny):
    begin(tiny)
    (tiny / "work" / "01_tiny" / "lesson.ipynb").write_text("my own work")
    done = course(tiny, "start", "01", "--fresh")
    assert done.returncode == 0, done.stderr
    [backup] = (tiny / "work" / "backup").rglob("01_tiny/lesson.ipynb")
    assert backup.read_text() == "my own work"
    assert backup.parent.parent.name[:2] == "20"
    assert str(backup.relative_to(tiny)) in done.stdout
    assert (tiny / "work" / "01_tiny" / "lesson.ipynb").read_bytes() == (
        tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    ).read_bytes()


@pytest.mark.parametrize("ledger", [None, "not json"])
def test_without_its_notes_start_takes_every_file_for_the_students(tiny, ledger):
    begin(tiny)
    notes = tiny / "work" / ".handed_out.json"
    notes.unlink() if ledger is None else notes.write_text(ledger)
    old = (tiny / "work" / "01_tiny" / "lesson.ipynb").read_bytes()
    publish(tiny, "# Version 2")
    assert "kept" in begin(tiny)[0]
    assert (tiny / "work" / "01_tiny" / "lesson.ipynb").read_bytes() == old


def test_what_a_student_wrote_before_chapters_were_folders_comes_along(tiny):
    (tiny / "work").mkdir()
    (tiny / "work" / "01_tiny_exercises.ipynb").write_text("my own work")
    assert "work/01_tiny/exercises.ipynb: kept, because you changed it" in begin(tiny)[1]
    assert (tiny / "work" / "01_tiny" / "exercises.ipynb").read_text() == "my own work"
    assert not (tiny / "work" / "01_tiny_exercises.ipynb").exists()


def test_start_without_a_name_hands_out_every_chapter_but_begins_none_anew(tiny):
    done = course(tiny, "start")
    assert done.stdout.count(": ready") == 2, done.stderr
    assert "say which chapter to start anew" in course(tiny, "start", "--fresh").stderr


# --- list


def test_the_list_is_grouped_by_the_parts_of_the_course(tiny):
    lines = course(tiny, "list").stdout.splitlines()
    [part] = [at for at, line in enumerate(lines) if "Tests" in line]
    assert "01_tiny" in lines[part + 1]


def test_done_counts_the_last_check_of_each_exercise_in_the_saved_notebook(tiny):
    register = Register(tiny)
    chapter = register.find("01")
    assert done(register, chapter) == (0, 1)
    begin(tiny)
    mine = tiny / "work" / "01_tiny" / "exercises.ipynb"
    for statuses, passed in ((["wrong"], 0), (["wrong", "passed"], 1), (["passed", "wrong"], 0)):
        notebook = read(mine)
        data = [{MIME: {"id": "tiny.half", "status": status}} for status in statuses]
        outputs = [nbformat.v4.new_output("display_data", data=found) for found in data]
        notebook.cells[2].outputs = outputs
        mine.write_text(dumps(notebook))
        assert done(register, chapter) == (passed, 1)
    assert "0 of 1" in course(tiny, "list").stdout


def test_a_broken_notebook_in_work_does_not_break_the_list(tiny):
    begin(tiny)
    (tiny / "work" / "01_tiny" / "exercises.ipynb").write_text("{")
    listed = course(tiny, "list")
    assert listed.returncode == 0
    assert "0 of 1" in listed.stdout


# --- names


@pytest.fixture
def two(tmp_path):
    root = make(tmp_path / "course")
    add_chapter(root, "02_timely", "Timely")
    return Register(root)


@pytest.mark.parametrize(
    "name",
    [
        *("1", "01", "01_tiny", "tiny", "tin", "01_t", "01_tiny_exercises.ipynb"),
        *("01_tiny/", "chapters/01_tiny/", "chapters/01_tiny/lesson.py", "01_tiny/exercises.ipynb"),
    ],
)
def test_a_chapter_is_found_by_any_of_its_names(two, name):
    assert two.find(name).slug == "01_tiny"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tinny", "no chapter 'tinny'. Did you mean 01_tiny"),
        ("ti", "may be any of 01_tiny, 02_timely"),
        ("7", "no chapter '7'"),
        ("xyz", "There are: 01_tiny, 02_timely"),
        ("", "no chapter ''"),
    ],
)
def test_an_unknown_chapter_lists_near_ones(two, name, message):
    with pytest.raises(CourseError, match=message):
        two.find(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "Tiny"\n', ""), "missing ['title']"),
        (("minutes = 5", "minutes = 5\ncolor = 3"), "unknown ['color']"),
        (("low = 0.4, high = 0.6", "low = 0.7, high = 0.6"), "needs low and/or high"),
        (("low = 0.4, high = 0.6", ""), "needs low and/or high"),
        (("[results]", "[results"), "01_tiny/chapter.toml is not valid TOML"),
    ],
)
def test_a_malformed_chapter_is_named(tmp_path, change, message):
    root = make(tmp_path / "course", chapter=CHAPTER.replace(*change))
    with pytest.raises(CourseError) as error:
        _ = Register(root).chapters
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"01_tiny"', '"tiny"'), "'tiny' is no chapter: a chapter is called NN_topic"),
        (('"01_tiny"', '"01_tiny", "02_more"'), "chapters/02_more/chapter.toml is missing"),
        (('"01_tiny"', ""), "does not name chapters/01_tiny"),
        (('"01_tiny"', '"01_tiny", "01_tiny"'), "names 01_tiny twice"),
        (("title", "name"), "a part has a title and chapters, this one is {'name': 'Tests'"),
        (("[[parts]]", "[[parts]"), "course.toml is not valid TOML"),
    ],
)
def test_a_malformed_register_is_named(tmp_path, change, message):
    root = make(tmp_path / "course")
    (root / "chapters" / "course.toml").write_text(REGISTER.replace(*change))
    with pytest.raises(CourseError) as error:
        _ = Register(root).chapters
    assert message in str(error.value)


# --- results


def test_results_come_out_of_the_executed_lesson(tiny):
    printed = json.loads(course(tiny, "results", "--json").stdout)
    assert printed == collect(Register(tiny))
    [row] = printed
    assert row.pop("seconds") > 0 and row.pop("memory_mb") > 0
    assert row == {
        "chapter": "01_tiny", "key": "half", "value": 0.5, "low": 0.5, "high": 0.5, "unit": "wholes",
        "kind": "exact", "required_low": 0.4, "required_high": 0.6,
    }  # fmt: skip


def test_missed_requirements_are_sentences(tiny):
    chapter = Register(tiny).find("01")
    assert missed(chapter, [{"key": "half", "value": 0.5}]) == []
    assert missed(chapter, [{"key": "half", "value": 0.61}]) == ["01_tiny: half = 0.61, outside of [0.4, 0.6]"]
    assert missed(chapter, []) == ["01_tiny does not record 'half', which its chapter.toml requires"]
    twice = [{"key": "half", "value": 0.5}] * 2
    assert missed(chapter, twice) == ["01_tiny records 'half' more than once"]


def test_the_pages_are_renewed_between_their_markers_only(tiny):
    page = tiny / "README.md"
    fresh = page.read_text()
    assert "<summary>01 " in fresh and "| `half` | 0.5 wholes | exact | 0.4 to 0.6 |" in fresh
    page.write_text(fresh.replace("0.5 wholes", "0.9 wholes") + "\nMine.\n")
    assert write_pages(Register(tiny), dry=True) == ["README.md"]
    assert "0.9 wholes" in page.read_text()
    assert "renewed: README.md" in course(tiny, "results", "--write").stdout
    assert page.read_text() == fresh + "\nMine.\n"
    assert write_pages(Register(tiny), dry=True) == []


# --- the command


@pytest.mark.parametrize("verb", ["list", "start", "run", "sync", "new", "test", "results", "doctor"])
def test_every_command_has_help_with_an_example(tiny, verb):
    shown = course(tiny, verb, "--help")
    assert shown.returncode == 0
    assert f"Example: course {verb}" in shown.stdout


@pytest.mark.parametrize("arguments", [["start", "99"], ["run", "99"], ["sync", "99"], ["results", "99"]])
def test_a_users_mistake_gives_one_message_and_no_stack_trace(tiny, arguments):
    failed = course(tiny, *arguments)
    assert failed.returncode == 1
    assert failed.stderr.startswith("course: there is no chapter '99'")
    assert "Traceback" not in failed.stderr


def test_a_folder_that_is_no_course_is_named(tmp_path):
    failed = course(tmp_path, "list")
    assert failed.returncode == 1
    assert "the root of the course?" in failed.stderr
