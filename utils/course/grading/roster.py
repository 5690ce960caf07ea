"""The roster of a class: who should have submitted, and what Canvas and Moodle call them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.course import CourseError
from utils.course.grading.grades import Grade
from utils.course.grading.names import loose, spellings
from utils.course.grading.submissions import Assignment, HandedIn, handed_in, in_order, left_out
from utils.course.grading.tables import Table, cell, read_table, shown, written
from utils.course.register import Register

# What a column may be called: in a roster of one's own, in Canvas's export of grades, in Moodle's list of participants.
COLUMNS = {
    "student": ("student", "name", "full name"),
    "first": ("first name", "firstname", "given name"),
    "last": ("last name", "lastname", "surname"),
    "login": ("username", "user name", "login", "sis login id"),
    "email": ("email", "email address", "e-mail"),
    "id": ("id",),
    "number": ("id number", "idnumber", "sis user id", "matriculation number"),
    "section": ("section",),
}
NOBODY = ("points possible", "student, test", "test student")  # rows of Canvas that are no students
NOTHING = "nothing was submitted"


@dataclass(frozen=True)
class Person:
    """Somebody on the roster: `facts` as in COLUMNS, and all that a file of theirs may be called."""

    facts: dict[str, str]
    names: frozenset[str]

    @property
    def label(self) -> str:
        full = f"{self.facts['first']} {self.facts['last']}".strip()
        return self.facts["student"] or full or self.facts["login"] or self.facts["email"] or self.facts["number"]


def collected(
    folder: Path, register: Register, asked: Assignment | None, out: Path, roster: Path | None = None
) -> tuple[list[HandedIn], dict[str, Person], list[str]]:
    """What was submitted and what is missing, who the students of the roster are, and what else there is to tell.

    Args:
        folder: where the submissions lie; its roster.csv is the roster, unless `roster` is another file.
        register: the course.
        asked: what was asked, see `handed_in`.
        out: the folder of grades.
        roster: who is in the class.
    """
    found, who, told = handed_in(folder, register, asked, out), {}, []
    if others := left_out(folder, found, out):
        told.append(f"not graded, because they are no notebooks: {', '.join(others)}")
    if roster or (folder / "roster.csv").is_file():
        found, who, strangers = compared(found, read_roster(roster or folder / "roster.csv"))
        told += [f"not on the roster: {', '.join(strangers)}"] * bool(strangers)
    return found, who, told


def read_roster(path: Path) -> list[Person]:
    """The people of a roster: a table with at least one of COLUMNS, in any form of a spreadsheet, or a name a line.

    Raises:
        CourseError: when it cannot be read, or holds nobody.
    """
    try:
        table = read_table(path, *(name for names in COLUMNS.values() for name in names))
        if table is None:  # no header: the first column is the name
            with path.open(encoding="utf-8-sig", newline="") as file:
                table = Table(["student"], [{"student": line[0]} for line in csv.reader(file) if line])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CourseError(f"the roster {path} cannot be read: {error}") from None
    people = [_person(row) for row in table.rows]
    people = [person for person in people if person.label and person.label.strip().casefold() not in NOBODY]
    if not people:
        raise CourseError(f"the roster {path} holds nobody: expected columns such as student, email, id")
    return people


def compared(
    found: Sequence[HandedIn], people: Sequence[Person]
) -> tuple[list[HandedIn], dict[str, Person], list[str]]:
    """The submissions with one more for each missing student; who each student is; and who is on no roster."""
    by_name = defaultdict(set)
    for number, person in enumerate(people):
        for name in person.names:
            by_name[name].add(number)
    who = {}
    for one in found:
        for name in _called(one.student):
            if len(numbers := by_name.get(name, set())) == 1:
                who[one.student] = next(iter(numbers))
                break
    labels = [person.label for person in people]
    complete, known = list(found), {student: people[number] for student, number in who.items()}
    for assignment in dict.fromkeys(one.assignment for one in found):
        there = {who.get(one.student) for one in found if one.assignment == assignment}
        for number, person in enumerate(people):
            if number not in there:
                others = [student for student, of in who.items() if of == number]
                twin = labels.count(person.label) > 1
                more = person.facts["email"] or person.facts["number"] or person.facts["id"] or str(number + 1)
                label = min(others) if others else f"{person.label} ({more})" if twin else person.label.strip()
                complete.append(HandedIn(label, assignment, None, NOTHING))
                known[label] = person
    strangers = sorted({one.student for one in found} - set(who))
    return in_order(complete), known, strangers


def canvas_csv(grades: Sequence[Grade], who: dict[str, Person]) -> bytes:
    """Totals as Canvas's gradebook imports them: it finds a student by ID, SIS User ID, SIS Login ID or name."""
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    possible = {"Student": "Points Possible"} | {
        grade.one.assignment.name: str(sum(task.points for task in grade.one.assignment.exercises)) for grade in grades
    }

    def identity(student: str) -> dict[str, str]:
        if student in who:
            facts = who[student].facts
            login = facts["login"] or facts["email"] or student
            values = who[student].label, facts["id"], facts["number"], login, facts["section"]
        else:
            name, _, number = student.rpartition("_")
            values = (name, number, "", "", "") if name and number.isdigit() else (student, "", "", student, "")
        return dict(zip(columns, map(cell, values), strict=True))

    return written(Table([*columns, *list(possible)[1:]], [possible, *_by_student(grades, identity)]))


def moodle_csv(grades: Sequence[Grade], who: dict[str, Person]) -> bytes:
    """Totals and comments as Moodle's gradebook imports them: one maps a column to who it is, others to grades."""

    def identity(student: str) -> dict[str, str]:
        facts = who[student].facts if student in who else {"login": student, "number": "", "email": ""}
        names = {"Username": "login", "ID number": "number", "Email address": "email"}
        return {column: cell(facts[name]) for column, name in names.items()}

    assignments = dict.fromkeys(grade.one.assignment.name for grade in grades)
    columns = ["Username", "ID number", "Email address"]
    columns += [column for name in assignments for column in (name, f"{name} feedback")]
    return written(Table(columns, _by_student(grades, identity)))


def _by_student(grades: Sequence[Grade], identity: Callable[[str], dict[str, str]]) -> list[dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for grade in grades:
        row = rows.setdefault(grade.one.student, identity(grade.one.student))
        row[grade.one.assignment.name] = "" if grade.total is None else shown(grade.total)
        row[f"{grade.one.assignment.name} feedback"] = grade.entered.get("comment", "")
    return list(rows.values())


def _person(row: dict[str, str]) -> Person:
    by_column = {loose(column): text.strip() for column, text in row.items()}
    facts = {
        fact: next((by_column[name] for name in names if by_column.get(name)), "") for fact, names in COLUMNS.items()
    }
    last, _, first = facts["student"].partition(", ")  # Canvas: Lovelace, Ada
    first, last = facts["first"] or first, facts["last"] or (last if first else "")
    names = [*facts.values(), facts["email"].partition("@")[0]]
    names += [f"{first} {last}", f"{last} {first}", f"{last}{first}".replace(" ", ""), f"{last}, {first}"]
    return Person(facts, frozenset(loose(name) for name in names if loose(name) and loose(name) != ","))


def _called(student: str) -> list[str]:
    """What a student may be called on the roster; a name that Canvas or Moodle gave ends with a number."""
    name, _, number = student.rpartition("_")
    return [*spellings(student), *([loose(number), loose(name)] if name and number.isdigit() else [])]
