"""The table of grades: any spreadsheet is read, what a person wrote stays, and a total says what it waits for."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from test_grade import HOW_TO, RIGHT, WRONG, assignment, notebook

from utils.course import CourseError
from utils.course.grading.grades import graded, merged
from utils.course.grading.names import loose
from utils.course.grading.report import write_reports
from utils.course.grading.roster import canvas_csv, compared, moodle_csv, read_roster
from utils.course.grading.submissions import Assignment, HandedIn
from utils.course.grading.tables import Form, Table, number, read_table, shown, written
from utils.course.register import Register

HAND = "gmm.e_step (by hand)"
ASKED = Assignment(
    "hw", (assignment().exercises[0], replace(assignment().exercises[1], points=4, by_hand=2))
)  # two points each by the checks, two by hand


def one(student: str, folder: Path | None = None, asked: Assignment = ASKED) -> HandedIn:
    path = (folder or Path("/nowhere")) / f"{student}.ipynb"
    if folder:
        path.write_bytes(notebook(HOW_TO, RIGHT["gmm.log_sum_exp"], WRONG))
    return HandedIn(student, asked, path, place=student)


def result(student: str, *statuses: str, asked: Assignment = ASKED) -> dict:
    verdicts = [
        {"id": task.id, "status": status, "message": "m", "hint": "", "seconds": 0.1, "printed": ""}
        for task, status in zip(asked.exercises, statuses or ("passed", "wrong"), strict=True)
    ]
    return {"student": student, "assignment": asked.name, "verdicts": verdicts, "notes": []}


def reported(folder: Path, *students: str, asked: Assignment = ASKED, who=None) -> list[str]:
    """Write the reports of these students into folder/out; what is told."""
    (folder / "in").mkdir(exist_ok=True)
    everybody = [one(student, folder / "in", asked) for student in students]
    results = [result(student, asked=asked) for student in students]
    return write_reports(everybody, results, folder / "out", Register(), who)


def rows(folder: Path) -> dict[str, dict[str, str]]:
    table = read_table(folder / "out" / "grades.csv", "student")
    return {row["student"]: row for row in table.rows}


# --- totals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entered", "total"),
    [
        ({}, None),
        ({HAND: "1"}, 3),
        ({HAND: "0"}, 2),
        ({HAND: "0,5"}, 2.5),
        ({HAND: " 1.5 "}, 3.5),
        ({HAND: "2", "late": "1"}, 3),
        ({HAND: "2", "late": "-1"}, 3),
        ({HAND: "2", "late": "10%"}, 3.6),
        ({HAND: "2", "late": "12,5 %"}, 3.5),
        ({HAND: "2", "late": "100"}, 0),
        ({HAND: "2", "late": "100", "extra": "1"}, 1),
        ({HAND: "2", "late": "50%", "extra": "0,5"}, 2.5),
        ({HAND: "2", "extra": "-1"}, 3),
        ({HAND: "2", "override": "7"}, 7),
        ({"override": "0"}, 0),
        ({HAND: "two", "override": "3"}, 3),
        ({HAND: "3"}, 5),
        ({HAND: "two"}, None),
        ({HAND: "2", "late": "a day"}, None),
        ({HAND: "2", "extra": "nan"}, None),
        ({HAND: "2", "extra": "1_0"}, None),
    ],
)
def test_a_total_is_made_of_what_was_entered_or_says_why_not(entered, total):
    grade = graded(one("ada"), result("ada"), dict(entered))
    assert grade.total == (pytest.approx(total) if total is not None else None)
    assert grade.total is not None or "waits for" in grade.note or "is no number" in grade.note
    assert (HAND + ": 3 of 2" in grade.note) == (entered.get(HAND) == "3")


def test_who_submitted_nothing_waits_for_nothing():
    nothing = HandedIn("ada", ASKED, None, "nothing was submitted")
    grade = graded(nothing, result("ada", "not attempted", "not attempted"), {})
    assert (grade.total, grade.note) == (0, "nothing was submitted")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("0,5", 0.5), (".5", 0.5), ("+2", 2), ("−1", -1), ("1 000", 1000), ("3.", 3), ("07", 7)],
)
def test_numbers_as_people_write_them(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "a", "1/2", "1e3", "nan", "inf", "0x1", "1,2,3", "--1", "½", "1_0", "1.000,5"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="no number"):
        number(text)


def test_numbers_as_we_write_them():
    assert [shown(value) for value in (3, 2.5, 0.1 + 0.2, -0.00001, 12345.25, 1 / 3)] == [
        "3", "2.5", "0.3", "0", "12345.25", "0.3333"
    ]  # fmt: skip
    assert shown(2.5, Form(decimal=",")) == "2,5"


# --- forms of spreadsheets -------------------------------------------------------------------------------------------

FORMS = {
    "as written": ("utf-8", ",", "\n", "0.5"),
    "a byte-order mark": ("utf-8-sig", ",", "\r\n", "0.5"),
    "semicolons, decimal commas": ("utf-8-sig", ";", "\r\n", "0,5"),
    "Windows, semicolons": ("cp1252", ";", "\r\n", "0,5"),
    "Windows, commas": ("cp1252", ",", "\r\n", "0.5"),
    "Unicode text of Excel": ("utf-16", "\t", "\r\n", "0.5"),
    "UTF-16 without a mark": ("utf-16-le", "\t", "\r\n", "0,5"),
    "UTF-16, the other end first": ("utf-16-be", ",", "\n", "0.5"),
    "UTF-32": ("utf-32", ",", "\n", "0.5"),
    "tabs": ("utf-8", "\t", "\n", "0,5"),
    "bars": ("utf-8", "|", "\n", "0.5"),
    "an old Mac": ("utf-8", ",", "\r", "0.5"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_was_entered_is_read_in_any_form(tmp_path, form):
    encoding, delimiter, end, half = FORMS[form]
    reported(tmp_path, "José", "ada")
    path = tmp_path / "out" / "grades.csv"
    table = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    table[0] |= {HAND: half, "extra": "1", "comment": "für dich"}
    text = io.StringIO()
    lines = csv.DictWriter(text, list(table[0]), delimiter=delimiter, lineterminator=end)
    lines.writeheader()
    lines.writerows(table)
    path.write_bytes(text.getvalue().encode(encoding))

    told = reported(tmp_path, "José", "ada")
    saved = read_table(path, "student")
    assert (saved.form.delimiter, saved.form.decimal) == (delimiter, half[1] if delimiter != "," else ".")
    row = rows(tmp_path)["José"]
    assert (number(row["total"]), row[HAND], row["comment"]) == (3.5, half, "für dich")
    assert rows(tmp_path)["ada"]["note"] == f"waits for {HAND}"
    kept = list((tmp_path / "out").glob("grades.kept-*"))  # a form that we do not write is kept, and that is said
    assert len(kept) == (encoding in ("cp1252", "utf-32")) == any("is now UTF-8" in line for line in told)
    before = path.read_bytes()
    reported(tmp_path, "José", "ada")
    assert path.read_bytes() == before  # and from there on nothing changes any more


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nstudent;late\nada;1\n",
        "\ufeff\ufeffstudent,late\nada,1\n",
        "Grades of May\n\n student ,LATE\nada,1\n",
        "student,late,,\nada,1,,\n,,,\n",
        '\n\n"student","late"\n"ada","1"\n',
        "late,student\n1,ada",
        "student,late\nada,1\n\0\0",
    ],
)
def test_a_header_is_found(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    table = read_table(tmp_path / "t.csv", "student")
    row = {name.casefold(): value for name, value in table.rows[0].items()}
    assert row == {"student": "ada", "late": "1"}


def test_columns_without_a_name_or_with_the_same_are_kept(tmp_path):
    (tmp_path / "t.csv").write_text("student,x,x,\nada,1,2,3,4\n")
    table = read_table(tmp_path / "t.csv", "student")
    assert table.rows == [{"student": "ada", "x": "1", "x (2)": "2", "column 4": "3", "column 5": "4"}]


@pytest.mark.parametrize("content", [b"", b"my notes", b"\x00\x01\x02", b'"student', b"\xff\xfe", b"name,late\nada,1"])
def test_what_is_no_table_of_grades_is_none(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    table = read_table(tmp_path / "t.csv", "student")
    assert table is None or table.rows == []


def test_excel_is_told_the_encoding_where_it_matters():
    assert written(Table(["a"], [{"a": "x"}])) == b"a\nx\n"
    assert written(Table(["a"], [{"a": "é"}])).startswith(b"\xef\xbb\xbf")


# --- nothing that a person wrote is lost -----------------------------------------------------------------------------


def edit(folder: Path, change) -> None:
    path = folder / "out" / "grades.csv"
    table = read_table(path, "student")
    change(table)
    path.write_bytes(written(table))


def test_own_columns_and_rows_stay(tmp_path):
    reported(tmp_path, "ada", "bob")

    def change(table: Table) -> None:
        table.columns += ["seat", "gmm.bic (by hand)"]
        table.rows[0] |= {"seat": "12", "gmm.bic (by hand)": "1"}
        table.rows.append({"student": "guest", "seat": "none", "total": "5"})

    edit(tmp_path, change)
    told = reported(tmp_path, "ada", "bob")
    assert rows(tmp_path)["ada"]["seat"] == "12" and rows(tmp_path)["ada"]["gmm.bic (by hand)"] == "1"
    assert rows(tmp_path)["guest"] == rows(tmp_path)["guest"] | {"seat": "none", "total": "5"}
    assert "grades.csv has rows of no submission, which stay: guest" in told
    told = reported(tmp_path, "bob")  # ada's notebook is gone; what was entered for her is not
    assert rows(tmp_path)["ada"]["seat"] == "12" and any("ada / hw, guest" in line for line in told)
    reported(tmp_path, "ada", "bob")
    assert list(rows(tmp_path)) == ["ada", "bob", "guest"] and rows(tmp_path)["ada"]["seat"] == "12"


def test_computed_cells_changed_by_hand_are_told_and_kept(tmp_path):
    reported(tmp_path, "ada")
    edit(tmp_path, lambda table: table.rows[0].update({"gmm.e_step": "1", "total": "3", "note": ""}))
    told = reported(tmp_path, "ada")
    assert (
        "gmm.e_step of ada was changed from 0 to 1" in told[0]
        and "total of ada was changed from nothing to 3" in told[0]
    )
    assert "yours is kept as grades.kept-1.csv" in told[0] and "`extra` adds points" in told[0]
    assert read_table(tmp_path / "out" / "grades.kept-1.csv", "student").rows[0]["total"] == "3"
    assert rows(tmp_path)["ada"]["gmm.e_step"] == "0"
    assert reported(tmp_path, "ada") == ["points by hand are missing, so the total is open: ada"]


def test_another_result_is_no_change_by_hand(tmp_path):
    reported(tmp_path, "ada")
    edit(tmp_path, lambda table: table.rows[0].update({HAND: "1"}))
    write_reports([one("ada", tmp_path / "in")], [result("ada", "passed", "passed")], tmp_path / "out", Register())
    assert rows(tmp_path)["ada"]["total"] == "5" and not list((tmp_path / "out").glob("*kept*"))


def test_an_exercise_that_is_asked_no_more_leaves_no_old_points(tmp_path):
    reported(tmp_path, "ada")
    edit(tmp_path, lambda table: table.rows[0].update({HAND: "1"}))
    fewer = replace(ASKED, exercises=ASKED.exercises[:1])
    everybody = [one("ada", tmp_path / "in", fewer)]
    write_reports(everybody, [result("ada", "passed", asked=fewer)], tmp_path / "out", Register())
    row = rows(tmp_path)["ada"]
    assert "gmm.e_step" not in row and row[HAND] == "1" and row["total"] == "2"


SAVED_AS = {
    "zeros in front are gone": ("0042", "42"),
    "capitals": ("ada", "Ada"),
    "blanks": ("Ada Lovelace", " Ada  Lovelace "),
    "UTF-8 taken for Windows' encoding": ("José", "José".encode().decode("cp1252")),
    "letters taken apart": ("José", "Jose\u0301"),
    "an apostrophe against formulas": ("=ada", "'=ada"),
}


@pytest.mark.parametrize("way", SAVED_AS)
def test_a_row_is_found_again_after_a_spreadsheet_had_it(tmp_path, way):
    student, saved = SAVED_AS[way]
    reported(tmp_path, student, "bob")
    edit(
        tmp_path,
        lambda table: next(r for r in table.rows if r["student"] != "bob").update({"student": saved, HAND: "1"}),
    )
    reported(tmp_path, student, "bob")
    assert sorted(loose(name) for name in rows(tmp_path)) == sorted([loose(student), "bob"])
    assert next(row["total"] for name, row in rows(tmp_path).items() if name != "bob") == "3"


def test_of_names_that_are_alike_none_is_guessed():
    old = Table(["student", "assignment", "extra"], [{"student": "ADA", "assignment": "hw", "extra": "5"}])
    made = merged(old, None, [one("Ada"), one("ada")], [result("Ada"), result("ada")])
    assert made.strangers == ["ADA / hw"] and not any(row.get("extra") for row in made.table.rows[:2])
    twice = Table(["student", "extra"], [{"student": "ada", "extra": "1"}, {"student": "ada", "extra": "2"}])
    made = merged(twice, None, [one("ada")], [result("ada")])
    assert [row.get("extra") for row in made.table.rows] == [None, "1", "2"]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    reported(tmp_path, "ada")
    edit(tmp_path, lambda table: table.rows[0].update({HAND: "1"}))
    before = (tmp_path / "out" / "grades.csv").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        reported(tmp_path, "ada")
    assert (tmp_path / "out" / "grades.csv").read_bytes() == before


def test_a_workbook_beside_the_table_is_not_overlooked(tmp_path):
    reported(tmp_path, "ada")
    (tmp_path / "out" / "grades.xlsx").write_bytes(b"PK")
    assert "grades.xlsx is not read: save it as grades.csv, in any form of CSV" in reported(tmp_path, "ada")


# --- the roster, Canvas and Moodle -----------------------------------------------------------------------------------

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,hw (77)
Points Possible,,,,,6
"Lovelace, Ada",123,U1,ada1,A,
"Pascal, Blaise",124,U2,blaise1,A,
"Student, Test",125,,,A,
"""
MOODLE = "\ufeffFirst name;Last name;Email address;ID number\nAda;Lovelace;ada@x.org;1\nBlaise;Pascal;b@x.org;2\n"
ROSTERS = {
    "Canvas's export": (CANVAS, "lovelaceada_123", "Pascal, Blaise"),
    "Moodle's participants": (MOODLE, "Ada Lovelace_99", "Blaise Pascal"),
    "one's own": ("student,email\nada,a@x.org\nblaise,b@x.org\n", "ada", "blaise"),
    "names alone": ("ada\nblaise\n", "ada", "blaise"),
    "numbers": ("ID number;name\n0042;Ada\n0043;Blaise\n", "42", "Blaise"),
    "addresses": ("email\nada@x.org\nblaise@x.org\n", "ada", "blaise@x.org"),
    "other capitals and blanks": ("Name\n ADA  Lovelace\nblaise\n", "Ada Lovelace", "blaise"),
}


@pytest.mark.parametrize("kind", ROSTERS)
def test_who_is_missing_gets_a_row(tmp_path, kind):
    content, student, missing = ROSTERS[kind]
    (tmp_path / "roster.csv").write_text(content, encoding="utf-8")
    complete, who, strangers = compared([one(student)], read_roster(tmp_path / "roster.csv"))
    assert [(each.student, each.problem) for each in complete if each.path is None] == [
        (missing, "nothing was submitted")
    ]
    assert student in who and missing in who and strangers == []


def test_who_is_on_no_roster_is_told_and_graded(tmp_path):
    (tmp_path / "roster.csv").write_text("student\nada\n")
    complete, who, strangers = compared([one("ada"), one("eve")], read_roster(tmp_path / "roster.csv"))
    assert [each.student for each in complete] == ["ada", "eve"] and strangers == ["eve"] and "eve" not in who


def test_two_people_of_one_name_are_two_rows(tmp_path):
    (tmp_path / "roster.csv").write_text("name,email\nAda,a@x.org\nAda,b@x.org\nbob,c@x.org\n")
    complete, _, strangers = compared([one("bob"), one("Ada")], read_roster(tmp_path / "roster.csv"))
    assert [each.student for each in complete] == ["Ada", "Ada (a@x.org)", "Ada (b@x.org)", "bob"]
    assert strangers == ["Ada"]  # nobody can tell which of the two


def test_missing_in_one_of_two_assignments(tmp_path):
    (tmp_path / "roster.csv").write_text("student,email\nada lovelace,ada@x.org\nbob,bob@x.org\n")
    second = replace(ASKED, name="second")
    submitted = [one("ada"), one("bob"), one("bob", asked=second)]
    complete, _, _ = compared(submitted, read_roster(tmp_path / "roster.csv"))
    assert [(each.student, each.assignment.name) for each in complete if not each.path] == [("ada", "second")]


@pytest.mark.parametrize("content", ["", "student\n", "\n\n", "id,section\n"])
def test_an_empty_roster_is_an_error(tmp_path, content):
    (tmp_path / "roster.csv").write_text(content)
    with pytest.raises(CourseError, match="holds nobody"):
        read_roster(tmp_path / "roster.csv")


def test_grades_for_canvas(tmp_path):
    second = replace(ASKED, name="second")
    (tmp_path / "canvas.csv").write_text(CANVAS)
    submitted = [one("lovelaceada_123"), one("lovelaceada_123", asked=second), one("eve")]
    complete, who, _ = compared(submitted, read_roster(tmp_path / "canvas.csv"))
    grades = [
        graded(each, result(each.student, asked=each.assignment), {HAND: "0,5"} if each.student != "eve" else {})
        for each in complete
    ]
    assert canvas_csv(grades, who).decode().splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,hw,second",
        "Points Possible,,,,,6,6",
        "eve,,,eve,,,",  # open, so there is nothing to import
        '"Lovelace, Ada",123,U1,ada1,A,2.5,2.5',
        '"Pascal, Blaise",124,U2,blaise1,A,2.5,2.5',
    ]


def test_grades_for_moodle(tmp_path):
    (tmp_path / "moodle.csv").write_text(MOODLE)
    complete, who, _ = compared([one("Ada Lovelace_99")], read_roster(tmp_path / "moodle.csv"))
    grades = [graded(each, result(each.student), {HAND: "0,5", "comment": "Good, really"}) for each in complete]
    assert moodle_csv(grades, who).decode().splitlines() == [
        "Username,ID number,Email address,hw,hw feedback",
        ',1,ada@x.org,2.5,"Good, really"',
        ',2,b@x.org,2.5,"Good, really"',
    ]


def test_without_a_roster_names_are_what_there_is():
    grades = [graded(one(student), result(student), {HAND: "1"}) for student in ("lovelaceada_123", "=bob")]
    assert canvas_csv(grades, {}).decode().splitlines()[2:] == ["lovelaceada,123,,,,3", "'=bob,,,'=bob,,3"]
    assert moodle_csv(grades, {}).decode().splitlines()[1:] == ["lovelaceada_123,,,3,", "'=bob,,,3,"]
