"""The table of grades: computed columns, those that an instructor fills in, and the total made of both.

Nothing that a person wrote into it is lost: entries, other columns and other rows stay as they are, and where a
computed cell was changed, that is told, so that the file can be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from utils.course.exercises import ID
from utils.course.grading.names import loose, spellings
from utils.course.grading.submissions import Assignment, HandedIn
from utils.course.grading.tables import Form, Table, cell, number, shown

COMPUTED = ("student", "assignment", "points", "of", "total", "note")
ENTERED = ("late", "extra", "override", "comment")
BY_HAND, COMMENT = " (by hand)", " (comment)"


@dataclass
class Grade:
    """One submission's grade.

    `points` are those of the checks; `entered` is what the instructor wrote, column → text; `total` is None while it is
    open; `waits_for` are the columns that it needs, `faults` the entries that cannot be read, `remarks` those to see.
    """

    one: HandedIn
    result: dict
    points: dict[str, int]
    entered: dict[str, str]
    total: float | None = None
    waits_for: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """The points of all checks."""
        return sum(self.points.values())

    def entry(self, column: str) -> float | None:
        """The number that was entered; None for nothing, and for what is no number, which `faults` then tell."""
        text = self.entered.get(column, "").strip().removesuffix("%")
        try:
            return number(text) if text else None
        except ValueError as error:
            self.faults.append(f"{column}: {error}")
            return None

    @property
    def odd(self) -> list[str]:
        """What the instructor should know of it."""
        return [*filter(None, [self.one.problem]), *self.one.notes, *self.faults, *self.remarks]

    @property
    def note(self) -> str:
        """The same in a line, and what the total waits for."""
        waits = [f"waits for {', '.join(self.waits_for)}"] if self.waits_for else []
        return "; ".join(text.removesuffix(".") for text in [*self.odd, *waits])


def points_of(assignment: Assignment, result: dict) -> dict[str, int]:
    """Exercise id → the points that its check gives."""
    passed = {verdict["id"]: verdict["status"] == "passed" for verdict in result["verdicts"]}
    return {task.id: (task.points - task.by_hand) * passed[task.id] for task in assignment.exercises}


def graded(one: HandedIn, result: dict, entered: dict[str, str]) -> Grade:
    """The grade of a submission.

    total = max(0, points + points by hand − late) + extra. `late` is a number of points or, as `10%`, a share of points
    and points by hand; its sign does not matter. `override`, where there is one, is the total.
    """
    grade = Grade(one, result, points_of(one.assignment, result), entered)
    reached: float = grade.checked
    for task in one.assignment.exercises:
        column = task.id + BY_HAND
        if task.by_hand and entered.get(column, "").strip():
            points = grade.entry(column)
            reached += points or 0
            if points is not None and not 0 <= points <= task.by_hand:
                grade.remarks.append(f"{column}: {shown(points)} of {task.by_hand}, counted as it stands")
        elif task.by_hand and one.path:
            grade.waits_for.append(column)
    late, extra, override = (grade.entry(column) for column in ("late", "extra", "override"))
    off = abs(late or 0) * (reached / 100 if entered.get("late", "").strip().endswith("%") else 1)
    if override is not None:
        grade.total, grade.waits_for = override, []
    elif not grade.waits_for and not grade.faults:
        grade.total = max(0.0, reached - off) + (extra or 0)
    return grade


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass
class Merged:
    """Grades and their table; the computed cells that a person had changed, and the rows that are of no submission."""

    grades: list[Grade]
    table: Table
    changed: list[str]
    strangers: list[str]


def merged(old: Table | None, last: Table | None, handed_in: Sequence[HandedIn], results: Sequence[dict]) -> Merged:
    """The table of grades, made anew around what a person wrote.

    Args:
        old: the table as it stands in the file.
        last: as this program wrote it.
        handed_in: the submissions, of which
        results: are the results.
    """
    exercises, by_hand = {}, {}
    for one in handed_in:
        exercises |= dict.fromkeys(task.id for task in one.assignment.exercises)
        by_hand |= dict.fromkeys(task.id + BY_HAND for task in one.assignment.exercises if task.by_hand)
    first, behind = [*COMPUTED[:5], *ENTERED, "note"], [*exercises, *by_hand]
    old = _with_names(old or Table([]), [*first, *behind])
    last = _with_names(last or Table([]), [*first, *behind])
    no_more = [name for name in old.columns if ID.fullmatch(name) and name in last.columns]  # asked, when we wrote last
    computed = dict.fromkeys([*COMPUTED, *exercises, *no_more])
    rows, theirs = _matched(old.rows, handed_in), _matched(last.rows, handed_in)
    grades, table, changed = [], [], []
    for at, (one, result) in enumerate(zip(handed_in, results, strict=True)):
        row = rows.get(at, {})
        grade = graded(one, result, {name: text for name, text in row.items() if name not in computed})
        grades.append(grade)
        table.append(_row(grade, old.form))
        changed += _changes(one.student, row, theirs.get(at, table[-1]), computed)
    used = {id(row) for row in rows.values()}
    kept = [row for row in old.rows if id(row) not in used and any(text.strip() for text in row.values())]
    asked_before = [name for name in old.columns if name not in {*first, *behind}]
    filled = [name for name in asked_before if any(row.get(name, "").strip() for row in [*table, *kept])]
    strangers = [" / ".join(filter(None, [row.get("student", ""), row.get("assignment", "")])) or "?" for row in kept]
    return Merged(grades, Table([*first, *behind, *filled], [*table, *kept], old.form), changed, strangers)


def _row(grade: Grade, form: Form) -> dict[str, str]:
    one = grade.one
    computed = {
        "student": cell(one.student),
        "assignment": cell(one.assignment.name),
        "points": str(grade.checked),
        "of": str(one.assignment.points),
        "total": "" if grade.total is None else shown(grade.total, form),
        "note": cell(grade.note),
    }
    return grade.entered | computed | {id: str(points) for id, points in grade.points.items()}


def _with_names(table: Table, names: Iterable[str]) -> Table:
    """The table with our spelling of the columns that are ours."""
    ours = {loose(name): name for name in names}
    spelled = {name: ours.get(loose(name), name) for name in table.columns}
    rows = [{spelled[name]: text for name, text in row.items()} for row in table.rows]
    return Table(list(dict.fromkeys(spelled.values())), rows, table.form)


def _matched(rows: Sequence[dict[str, str]], handed_in: Sequence[HandedIn]) -> dict[int, dict[str, str]]:
    """Number of each submission → its row: that of the same name, else the only one of a name alike."""
    exact: dict[tuple[str, str], list[dict[str, str]]] = {}
    alike: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        student, assignment = row.get("student", ""), row.get("assignment", "")
        exact.setdefault((student.removeprefix("'"), assignment.removeprefix("'")), []).append(row)
        for name in set(spellings(student)):
            alike.setdefault((name, loose(assignment)), []).append(row)
    found, used = {}, set()
    wanted = [(one.student.removeprefix("'"), one.assignment.name.removeprefix("'")) for one in handed_in]
    crowd = {}
    for student, assignment in wanted:
        crowd.setdefault((loose(student), loose(assignment)), set()).add(student)
    for at, name in enumerate(wanted):
        if name in exact:
            found[at] = exact[name][0]
            used.add(id(found[at]))
    only = len({assignment for _, assignment in wanted}) == 1
    for at, (student, assignment) in enumerate(wanted):
        key = loose(student), loose(assignment)
        candidates = alike.get(key, []) or (alike.get((key[0], ""), []) if only else [])
        candidates = [row for row in candidates if id(row) not in used]
        if at not in found and len(candidates) == 1 and len(crowd[key]) == 1:
            found[at] = candidates[0]
            used.add(id(found[at]))
    return found


def _changes(student: str, row: dict[str, str], before: dict[str, str], computed: Iterable[str]) -> list[str]:
    """A sentence for each computed cell of a row that says something else than we wrote."""
    return [
        f"{name} of {student} was changed from {before.get(name, '') or 'nothing'} to {row[name]}"
        for name in computed
        if row.get(name) and name not in ("student", "assignment") and _plain(row[name]) != _plain(before.get(name, ""))
    ]


def _plain(text: str) -> str:
    try:
        return shown(number(text))
    except ValueError:
        return " ".join(text.split()).removeprefix("'")
