"""What a class has submitted: any name, any layout, any junk; the assignment is stated, and everybody gets a row."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from test_grade import HOW_TO, RIGHT, assignment, notebook
from tiny_course import course

from utils.course import CourseError
from utils.course.grading.answers import cells_of
from utils.course.grading.names import file_name, readable
from utils.course.grading.submissions import HandedIn, handed_in, left_out, stated
from utils.course.register import Register

GMM = "04_gaussian_mixtures"
REGISTER = Register()
ANSWER = notebook(HOW_TO, RIGHT["gmm.e_step"], "check('gmm.e_step', e_step)")


def put(path: Path | bytes, content: bytes = ANSWER, time: float | None = None) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 a path of bytes
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content)
    if time:
        os.utime(path, (time, time))


def found(folder: Path, asked=None) -> dict[str, HandedIn]:
    return {one.student: one for one in handed_in(folder, REGISTER, asked or assignment())}


# --- any name --------------------------------------------------------------------------------------------------------

NAMES = {
    "Latin-1": (b"Jos\xe9.ipynb", "José"),
    "forty Chinese characters": (("汉" * 40 + ".ipynb").encode(), "汉" * 40),
    "as macOS writes it": (unicodedata.normalize("NFD", "José.ipynb").encode(), "José"),
    "a line break": (b"a\nb.ipynb", "a\ufffdb"),
    "an escape code": (b"\x1b[31mred.ipynb", "\ufffd[31mred"),
    "text turned around": ("ada\u202ebypi.ipynb".encode(), "ada\ufffdbypi"),
    "a formula": (b"=1+1.ipynb", "=1+1"),
    "quotes and a comma": (b'O\'Neil, "Bob".ipynb', 'O\'Neil, "Bob"'),
    "an emoji": ("🦉.ipynb".encode(), "🦉"),
    "capitals": (b"Ada.IPYNB", "Ada"),
    "an ending that browsers add": (b"ada.ipynb.txt", "ada"),
    "percent signs": (b"100%25.ipynb", "100%25"),
    "dots": (b"a..b.ipynb", "a..b"),
}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_student(tmp_path, name):
    raw, student = NAMES[name]
    put(os.fsencode(tmp_path) + b"/" + raw)
    assert list(found(tmp_path)) == [student]
    assert found(tmp_path)[student].cells()[0][1] == RIGHT["gmm.e_step"]
    assert len(os.fsencode(file_name(student))) < 200 and "/" not in file_name(student)
    (tmp_path / file_name(student)).write_text("can be written")
    student.encode()  # and so can what is written about it


def test_names_of_files_differ_where_students_do():
    students = [
        "ada",
        "a/b",
        "a_b",
        "..",
        ".",
        "",
        "汉" * 40,
        "汉" * 41,
        "COM: x",
        "a\ufffdb",
        " ada",
        "ada ",
        "-rf",
        "~",
    ]
    names = [file_name(student) for student in students]
    assert len(set(names)) == len(students) and file_name("Ada Lovelace (2)") == "Ada Lovelace (2)"
    assert not any(name.startswith((".", "-x", "~")) or name.endswith((".", " ")) or "/" in name for name in names)


def test_two_spellings_of_one_name_are_one_student(tmp_path):
    put(os.fsencode(tmp_path) + b"/Jos\xe9.ipynb", time=1e9)
    put(tmp_path / "José.ipynb", time=2e9)
    [one] = found(tmp_path).values()
    assert one.student == "José" and one.path == tmp_path / "José.ipynb" and "Of 2 notebooks" in one.notes[0]


def test_readable_leaves_ordinary_names_alone():
    for name in ("ada", "Ada Lovelace", "Müller-Lüdenscheidt", "علي", "क्\u200dष", "O’Neil"):
        assert readable(name) == name


# --- what platforms call files ---------------------------------------------------------------------------------------


def test_downloads_of_moodle(tmp_path):
    put(tmp_path / "Ada Lovelace_1234_assignsubmission_file_" / "mine.ipynb")
    put(tmp_path / "Ada Lovelace_99_assignsubmission_file" / "mine.ipynb")
    put(tmp_path / "Blaise Pascal_7_assignsubmission_file_a_b.ipynb")
    submitted = found(tmp_path)
    assert list(submitted) == ["Ada Lovelace_1234", "Ada Lovelace_99", "Blaise Pascal_7"]
    assert submitted["Ada Lovelace_1234"].place == "Ada Lovelace_1234_assignsubmission_file_/mine"


def test_downloads_of_canvas(tmp_path):
    put(tmp_path / f"lovelaceada_123_45678_{GMM}_exercises.ipynb", time=1e9)
    put(tmp_path / f"lovelaceada_123_45999_{GMM}_exercises-1.ipynb", time=2e9)
    put(tmp_path / f"pascalblaise_LATE_124_45679_{GMM}_exercises.ipynb")
    submitted = found(tmp_path)
    assert list(submitted) == ["lovelaceada_123", "pascalblaise_124"]
    assert submitted["lovelaceada_123"].place == f"lovelaceada_123_45999_{GMM}_exercises-1"
    assert submitted["pascalblaise_124"].notes == ("Canvas marked it as late.",)


@pytest.mark.parametrize(
    "names", [("group_2024_0001_x", "group_2024_0002_x", "ada"), ("hw_1_2024_ada", "hw_2_2024_bob")]
)
def test_other_names_with_numbers_are_taken_as_they_are(tmp_path, names):
    for name in names:
        put(tmp_path / f"{name}.ipynb")
    assert set(found(tmp_path)) == set(names)


# --- junk, links, several notebooks ----------------------------------------------------------------------------------


def test_junk_of_systems_is_nobody(tmp_path):
    put(tmp_path / "ada.ipynb")
    for name in (
        ".DS_Store", "._ada.ipynb", "Thumbs.db", "desktop.ini", "~$ada.ipynb",
        ".ipynb_checkpoints/ada-checkpoint.ipynb",
        "__MACOSX/._ada.ipynb", "__MACOSX/bob/x.ipynb", ".hidden/x.ipynb", "cy/.ipynb_checkpoints/x.ipynb",
        "dan/__MACOSX/x.ipynb", "empty/.DS_Store",
    ):  # fmt: skip
        put(tmp_path / name)
    submitted = found(tmp_path)
    assert list(submitted) == ["ada"] and submitted["ada"].notes == ()
    assert not [name for name in left_out(tmp_path, submitted.values(), tmp_path / "grades") if name[0] in "._~TD"]


def test_a_nested_notebook_is_found(tmp_path):
    put(tmp_path / "ada" / "my homework" / "deep" / "x.IPYNB")
    assert found(tmp_path)["ada"].place == "ada/my homework/deep/x"


def test_of_several_notebooks_the_last_is_graded_and_said(tmp_path):
    for name, time in (("a.ipynb", 2e9), ("b.ipynb", 1e9), ("sub/c.ipynb", 1.5e9)):
        put(tmp_path / "ada" / name, time=time)
    put(tmp_path / "ada" / "lesson.ipynb", notebook("1 + 1"), time=2.1e9)  # the last, and of something else
    one = found(tmp_path)["ada"]
    assert one.path == tmp_path / "ada" / "a.ipynb"
    assert one.notes[0].startswith("Of 4 notebooks, the last was graded: `a.ipynb` of 2033-")
    assert one.notes[0].endswith("not `b.ipynb`, `lesson.ipynb`, `sub/c.ipynb`.")


def test_a_file_does_not_hide_a_folder(tmp_path):
    put(tmp_path / "ada.ipynb", time=1e9)
    put(tmp_path / "ada" / "newer.ipynb", time=2e9)
    one = found(tmp_path)["ada"]
    assert one.path == tmp_path / "ada" / "newer.ipynb" and "not `ada.ipynb`" in one.notes[0]


def test_links_are_refused_and_said(tmp_path):
    put(tmp_path / "target" / "x.ipynb")
    put(tmp_path / "class" / "bob" / "essay.pdf")
    (tmp_path / "class" / "ann.ipynb").symlink_to(tmp_path / "target" / "x.ipynb")
    (tmp_path / "class" / "linked").symlink_to(tmp_path / "target")
    (tmp_path / "class" / "bob" / "mine.ipynb").symlink_to(tmp_path / "target" / "x.ipynb")
    (tmp_path / "class" / "bob" / "folder").symlink_to(tmp_path / "target")
    (tmp_path / "class" / "loop").symlink_to(tmp_path / "class")
    submitted = found(tmp_path / "class")
    assert list(submitted) == ["ann", "bob", "linked", "loop"] and not any(one.path for one in submitted.values())
    assert submitted["ann"].notes == ("`ann.ipynb` is a link, and links are not followed.",)
    assert submitted["bob"].notes == tuple(
        f"`{name}` is a link, and links are not followed." for name in ("folder", "mine.ipynb")
    )
    assert submitted["bob"].problem == "no notebook was submitted; there is essay.pdf"


def test_what_is_no_file_is_no_notebook(tmp_path):
    put(tmp_path / "bob.ipynb" / "inside.ipynb")  # a folder of that name
    put(tmp_path / "ada" / "x.txt")
    os.mkfifo(tmp_path / "ada" / "pipe.ipynb")
    submitted = found(tmp_path)
    assert submitted["ada"].path is None and submitted["bob"].path == tmp_path / "bob.ipynb" / "inside.ipynb"


def test_too_many_files_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.course.grading.submissions.MOST_FILES", 3)
    for number in range(6):
        put(tmp_path / "ada" / f"{number}.txt")
    assert found(tmp_path)["ada"].notes == ("There are more than 3 files; only so many were looked at.",)


def test_what_else_lies_there_is_named(tmp_path):
    for name in (
        "ada.ipynb",
        "bob.zip",
        "readme.txt",
        "points.json",
        "roster.csv",
        "README.md",
        "test_x.py",
        "ann/a.pdf",
    ):
        put(tmp_path / name)
    put(tmp_path / "elsewhere" / "hidden_seed.txt")
    submitted = found(tmp_path)
    assert list(submitted) == ["ada", "ann"] and submitted["ann"].problem == "no notebook was submitted; there is a.pdf"
    assert left_out(tmp_path, submitted.values(), tmp_path / "grades") == ["bob.zip", "readme.txt"]


# --- what was asked --------------------------------------------------------------------------------------------------


def test_what_a_student_wrote_changes_nothing(tmp_path):
    folder = tmp_path / "collected"
    put(folder / "ada.ipynb")
    put(folder / "eve.ipynb", notebook(HOW_TO, "# check('gmm.bic', bic)\n# check('vae.train', 1)"))
    asked = stated(REGISTER, "4", only=["core"], without=["gmm.m_step"])
    [one, other] = handed_in(folder, REGISTER, asked)
    assert one.assignment == other.assignment == asked
    assert [task.id for task in asked.exercises] == ["gmm.log_sum_exp", "gmm.gaussian_log_prob", "gmm.e_step"]
    with pytest.raises(CourseError, match=r"what was the assignment of 'collected'\? Say it with `--chapter 04`"):
        handed_in(folder, REGISTER)


def test_a_folder_called_like_a_chapter_has_its_exercises(tmp_path):
    put(tmp_path / GMM / "ada.ipynb")
    [one] = handed_in(tmp_path / GMM, REGISTER)
    assert one.assignment == stated(REGISTER, "04") and len(one.assignment.exercises) == 10


def points(name: str, *ids: str) -> bytes:
    return json.dumps({"assignment": name, "exercises": [vars(task) for task in assignment(*ids).exercises]}).encode()


def test_points_json_states_the_assignment_and_an_option_outdoes_it(tmp_path):
    put(tmp_path / "ada.ipynb")
    put(tmp_path / "points.json", b"\xef\xbb\xbf" + points("first", "gmm.bic"))
    [one] = handed_in(tmp_path, REGISTER)
    assert (one.assignment.name, [task.id for task in one.assignment.exercises]) == ("first", ["gmm.bic"])
    [one] = handed_in(tmp_path, REGISTER, stated(REGISTER, "04", only=["challenge"]))
    assert [task.id for task in one.assignment.exercises] == ["gmm.held_out"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not the list of points"),
        (b"[]", "is not the list of points"),
        (b'{"assignment": "x", "exercises": [{"id": "gmm.bic"}]}', "is not the list of points"),
        (points("x", "gmm.estep"), "no exercise of .*'gmm.estep'. Did you mean gmm.e_step"),
    ],
)
def test_a_broken_points_json_is_an_error_that_says_so(tmp_path, content, says):
    put(tmp_path / "ada.ipynb")
    put(tmp_path / "points.json", content)
    with pytest.raises(CourseError, match=says):
        handed_in(tmp_path, REGISTER)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--chapter", "44"], "there is no chapter '44'"),
        (["--chapter", "04", "--only", "cor"], "there is no tier 'cor'. Did you mean core?"),
        (["--chapter", "04", "--without", "gmm.estep"], "there is no exercise 'gmm.estep'"),
        (["--only", "core"], "--only and --without are about the exercises of --chapter"),
        (["--chapter", "04", "--roster", "nowhere.csv"], "the roster nowhere.csv cannot be read"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path, arguments, says):
    put(tmp_path / "ada.ipynb")
    done = course(REGISTER.root, "grade", str(tmp_path), *arguments)
    assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr


def test_the_help_says_what_is_taken_by_default():
    shown = " ".join(course(REGISTER.root, "grade", "--help").stdout.replace("│", " ").split())
    for words in (
        "(default: DIR/roster.csv)",
        "(default: DIR/grades)",
        "course grade collected --chapter 04 --only core",
    ):
        assert words in shown, shown


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_several_assignments_at_once(tmp_path):
    put(tmp_path / GMM / "ada.ipynb")
    put(tmp_path / "week 2" / "points.json", points("anything", "gmm.bic"))
    put(tmp_path / "week 2" / "ada" / "x.ipynb")
    put(tmp_path / "week 2" / "bob.ipynb")
    put(tmp_path / "notes.txt")
    submitted = handed_in(tmp_path, REGISTER)
    assert [(one.assignment.name, one.student, one.place) for one in submitted] == [
        (GMM, "ada", f"{GMM}/ada"), ("week 2", "ada", "week 2/ada/x"), ("week 2", "bob", "week 2/bob")
    ]  # fmt: skip
    assert [len(one.assignment.exercises) for one in submitted] == [10, 1, 1]
    assert left_out(tmp_path, submitted, tmp_path / "grades") == ["notes.txt"]


def test_the_layout_of_nbgrader(tmp_path):
    for student, name in (("ann", f"{GMM}.ipynb"), ("bob", "renamed by bob.ipynb")):
        put(tmp_path / "submitted" / student / "ps4" / name)
    put(tmp_path / "submitted" / "cy" / "ps4" / "essay.pdf")
    put(tmp_path / "submitted" / ".DS_Store")
    put(tmp_path / "submitted" / "ann" / ".ipynb_checkpoints" / "x.ipynb")
    with pytest.raises(CourseError, match="what was the assignment of 'ps4'"):
        handed_in(tmp_path, REGISTER)
    submitted = handed_in(tmp_path, REGISTER, assignment())
    assert [(one.student, one.path and one.path.name) for one in submitted] == [
        ("ann", f"{GMM}.ipynb"), ("bob", "renamed by bob.ipynb"), ("cy", None)
    ]  # fmt: skip
    assert {one.assignment.name for one in submitted} == {"ps4"}
    assert submitted[2].problem == "no notebook was submitted; there is essay.pdf"
    put(tmp_path / "source" / "ps4" / "x.ipynb", REGISTER.find("03").exercises.read_bytes())
    assert handed_in(tmp_path, REGISTER)[0].assignment.exercises[0].id.startswith("bayesnet.")
    put(tmp_path / "submitted" / "ann" / "ps5" / "x.ipynb")
    with pytest.raises(CourseError, match=r"--chapter states one assignment, and .* holds ps4, ps5"):
        handed_in(tmp_path, REGISTER, assignment())


@pytest.mark.parametrize("inside", [None, "submitted", "ada"])
def test_a_folder_without_submissions_is_an_error(tmp_path, inside):
    if inside:
        (tmp_path / inside).mkdir()
    with pytest.raises(CourseError, match="nothing was submitted"):
        handed_in(tmp_path, REGISTER)
    with pytest.raises(CourseError, match="is no folder"):
        handed_in(tmp_path / "nowhere", REGISTER)


# --- notebooks as people and programs leave them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + ANSWER, ANSWER.decode().encode("utf-16"), notebook(HOW_TO, version=3)]
)
def test_a_notebook_in_another_encoding_or_version_is_read(tmp_path, content):
    put(tmp_path / "ada.ipynb", content)
    one = found(tmp_path)["ada"]
    assert one.cells()[0][0] == HOW_TO and cells_of(one.path)[0].text == HOW_TO


def test_half_a_character_in_a_notebook_can_be_written(tmp_path):
    put(tmp_path / "ada.ipynb", b'{"cells": [{"cell_type": "code", "source": "x = 1  # \\ud800\\u0000"}]}')
    [cell] = cells_of(tmp_path / "ada.ipynb")
    assert cell.text == "x = 1  # ?\ufffd" and cell.text.encode()


def test_cells_as_no_program_writes_them_are_left_out(tmp_path):
    odd = [
        {"cell_type": "markdown", "source": 3},
        {"cell_type": "markdown", "source": "a", "metadata": [], "attachments": [1]},
        {"cell_type": "markdown", "source": ["b", "c"], "metadata": {"exercise": "x"}, "attachments": {"p": {}}},
        {"cell_type": "code", "source": "1", "metadata": None, "attachments": {"p": {"image/png": "no base64!"}}},
    ]
    put(tmp_path / "ada.ipynb", json.dumps({"cells": odd}).encode())
    assert [(cell.text, cell.exercise, cell.pictures) for cell in cells_of(tmp_path / "ada.ipynb")] == [
        ("", "", {}), ("a", "", {}), ("bc", "", {}), ("1", "", {})
    ]  # fmt: skip
