"""What an instructor reads after grading: grades.csv, feedback for each student, and what the class got wrong."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from utils.course import CourseError
from utils.course.files import Ledger, write
from utils.course.grading.answers import Answer, answers_of, cells_of, copied, essence
from utils.course.grading.feedback import WORDS, Question, derivations, feedback, zipped
from utils.course.grading.grades import Grade, merged
from utils.course.grading.names import file_name
from utils.course.grading.pages import markdown_sentence
from utils.course.grading.roster import NOTHING, Person, canvas_csv, moodle_csv
from utils.course.grading.submissions import Assignment, HandedIn
from utils.course.grading.tables import Table, read_table, written
from utils.course.notebooks import read
from utils.course.register import Register
from utils.course.tasks import is_derivation, owners_of, tasks_of

SOME, FEW = 8, 5  # names in a line of the terminal; students who may share an answer, and it is no common one


def write_reports(
    handed_in: Sequence[HandedIn],
    results: Sequence[dict],
    out: Path,
    register: Register,
    who: Mapping[str, Person] | None = None,
) -> list[str]:
    """Write all that people read into `out`; what the instructor has to know at once, a line each.

    What an instructor entered into grades.csv stays; a file that was edited otherwise is kept beside it.
    """
    ledger = Ledger(out / ".written.json")
    ours, questions = _released(register, tuple(dict.fromkeys(one.assignment for one in handed_in)))
    handed_in, answers = zip(*(_looked_at(one, ours) for one in handed_in), strict=True)
    grades, told = _grades(handed_in, results, out)
    alike = identical(grades, answers)
    pages: dict[Path, str | bytes] = {
        out / "summary.md": summary(grades, alike),
        out / "canvas.csv": canvas_csv(grades, dict(who or {})),
        out / "moodle.csv": moodle_csv(grades, dict(who or {})),
    }
    if any(task.by_hand for one in handed_in for task in one.assignment.exercises):
        pages[out / "derivations.html"] = derivations(grades, answers, questions)
    for assignment in dict.fromkeys(one.assignment for one in handed_in):
        folder, returned = out / "feedback" / file_name(assignment.name), {}
        for grade, own in zip(grades, answers, strict=True):
            if grade.one.assignment == assignment:
                content = pages[folder / f"{file_name(grade.one.student)}.html"] = feedback(grade, own)
                if grade.one.place:
                    returned[_path_in_zip(grade.one, returned)] = content
        pages[folder.with_name(folder.name + ".zip")] = zipped(returned)
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep_edited(path, content, ledger)
        write(path, content)
    ledger.note(*pages)
    return [*told, *_news(grades, alike)]


def identical(
    grades: Sequence[Grade], answers: Sequence[Mapping[str, Answer]]
) -> list[tuple[list[str], str, list[str]]]:
    """Students, assignment, exercises: where the code is the same but for comments, layout and names of variables.

    Students whose answers are the same in the same exercises stand together. What is short, or the same for many of a
    class, is not looked at: so it is written.
    """
    by_code = defaultdict(set)
    for grade, own in zip(grades, answers, strict=True):
        for id, answer in own.items():
            if same := essence(answer.code):
                by_code[grade.one.assignment.name, id, same].add(grade.one.student)
    groups, few = defaultdict(list), max(FEW, len(grades) // 10)
    for (assignment, id, _), students in by_code.items():
        if 1 < len(students) <= few:
            groups[assignment, tuple(sorted(students, key=lambda name: (name.casefold(), name)))].append(id)
    return sorted((list(students), assignment, ids) for (assignment, students), ids in groups.items())


def summary(grades: Sequence[Grade], alike: Sequence[tuple[list[str], str, list[str]]] = ()) -> str:
    """What an instructor learns about the class, in Markdown: points, exercises, mistakes by name, what is odd."""
    lines = ["# The class", ""]
    for assignment in dict.fromkeys(grade.one.assignment for grade in grades):
        everybody = [grade for grade in grades if grade.one.assignment == assignment]
        own = [grade for grade in everybody if grade.one.problem != NOTHING]
        lines += [f"## {markdown_sentence(assignment.name)}", "", *_distribution(assignment, own)]
        lines += ["### Mistakes by name", "", *(_mistakes(own) or ["None."]), ""]
        if missing := [grade.one.student for grade in everybody if grade.one.problem == NOTHING]:
            lines += ["### Not submitted", "", ", ".join(map(markdown_sentence, missing)), ""]
        if rows := [(grade.one.student, "; ".join(grade.odd)) for grade in own if grade.odd]:
            lines += ["### Submissions with a note", "", "| student | note |", "|---|---|"]
            lines += [f"| {markdown_sentence(student)} | {markdown_sentence(note)} |" for student, note in rows] + [""]
        if rows := [(students, ids) for students, name, ids in alike if name == assignment.name]:
            lines += ["### The same code", ""]
            lines += ["But for comments, layout and names of variables. Look yourself: right answers can be alike.", ""]
            lines += ["| students | exercises |", "|---|---|"]
            lines += [
                f"| {', '.join(map(markdown_sentence, students))} | {', '.join(f'`{id}`' for id in ids)} |"
                for students, ids in rows
            ] + [""]
        notes = Counter(note for grade in own for note in grade.result["notes"])
        if notes:
            lines += ["### Notes of the grading", ""]
            lines += [f"- {markdown_sentence(note)} ({count})" for note, count in notes.most_common(20)] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _distribution(assignment: Assignment, own: Sequence[Grade]) -> list[str]:
    if not own:
        return ["Nobody submitted anything.", ""]
    reached = sorted(grade.checked for grade in own)
    middle = (reached[(len(reached) - 1) // 2] + reached[len(reached) // 2]) / 2
    lines = [
        f"{len(own)} submissions; points of {assignment.points} by the checks: median {middle:g}, lowest {reached[0]},"
        f" highest {reached[-1]}.",
        "", "| points | submissions |", "|---|---|",
    ]  # fmt: skip
    for points, count in sorted(Counter(reached).items()):
        lines.append(f"| {points} | {'█' * max(1, round(30 * count / len(own)))} {count} |")
    lines += ["", f"| exercise | {' | '.join(WORDS.values())} |", "|---" * (1 + len(WORDS)) + "|"]
    for at, task in enumerate(assignment.exercises):
        counts = Counter(grade.result["verdicts"][at]["status"] for grade in own)
        lines.append(f"| `{task.id}` | {' | '.join(str(counts[status]) for status in WORDS)} |")
    return [*lines, ""]


def _mistakes(grades: Sequence[Grade]) -> list[str]:
    """The sentences of the checks, the most frequent first. Numbers in them differ from student to student."""
    counts, examples = Counter(), {}
    for verdict in (verdict for grade in grades for verdict in grade.result["verdicts"]):
        if verdict["status"] in ("wrong", "raised", "timed out"):
            name = verdict["id"], re.sub(r"\d+(\.\d+)?", "#", verdict["message"])
            counts[name] += 1
            examples.setdefault(name, verdict["message"])
    rows = [f"| {count} | `{name[0]}` | {markdown_sentence(examples[name])} |" for name, count in counts.most_common()]
    return ["| students | exercise | mistake |", "|---|---|---|", *rows] if rows else []


# --- grades.csv ------------------------------------------------------------------------------------------------------


def _grades(handed_in: Sequence[HandedIn], results: Sequence[dict], out: Path) -> tuple[list[Grade], list[str]]:
    """Renew grades.csv around what a person wrote there; where something of theirs has no place, the file is kept."""
    path, last = out / "grades.csv", out / ".grades.csv"
    old = read_table(path, "student") if path.exists() else None
    made = merged(old, read_table(last, "student") if last.exists() else None, handed_in, results)
    content, told = written(made.table), []
    if path.exists() and path.read_bytes() != content:
        why = ""
        if old is None:
            why = "has no column `student`, and was written anew"
        elif made.changed:
            why = f"had computed cells changed by hand, and has them as computed again ({_some(made.changed)})"
            why += "; `extra` adds points, `override` sets the total"
        elif old.form.encoding not in ("utf-8", "utf-8-sig", "utf-16"):
            why = f"was saved as {old.form.encoding}, which has not all letters, and is now UTF-8"
        if why:
            told.append(f"grades.csv {why}; yours is kept as {_kept(path).name}")
    out.mkdir(parents=True, exist_ok=True)
    write(path, content)
    write(last, written(Table(made.table.columns, made.table.rows)))
    if made.strangers:
        told.append(f"grades.csv has rows of no submission, which stay: {_some(made.strangers)}")
    for other in out.glob("grades.*"):
        if other.suffix in (".xlsx", ".xls", ".ods"):
            told.append(f"{other.name} is not read: save it as grades.csv, in any form of CSV")
    return made.grades, told


def _news(grades: Sequence[Grade], alike: Sequence[tuple[list[str], str, list[str]]]) -> list[str]:
    """What is to be done, a line each."""
    faults = [f"{grade.one.student}, {fault}" for grade in grades for fault in [*grade.faults, *grade.remarks]]
    waiting = [grade.one.student for grade in grades if grade.waits_for]
    missing = [grade.one.student for grade in grades if grade.one.problem == NOTHING]
    odd = [grade.one.student for grade in grades if grade.one.notes or grade.one.problem not in ("", NOTHING)]
    pairs = [f"{' = '.join(students)} ({len(ids)})" for students, _, ids in alike]
    lines = {
        "look at these entries of grades.csv": faults,
        "points by hand are missing, so the total is open": waiting,
        "nothing was submitted": missing,
        "odd submissions, see the column `note`": odd,
        "the same code, see summary.md": pairs,
    }
    return [f"{what}: {_some(names)}" for what, names in lines.items() if names]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SOME} more" if len(names) > SOME else ""
    return ", ".join(names[:SOME]) + more


def _keep_edited(path: Path, content: str | bytes, ledger: Ledger) -> None:
    """Put a file aside that a person changed, unless what is written now says the same."""
    new = content.encode() if isinstance(content, str) else content
    if path.exists() and not ledger.is_untouched(path) and path.read_bytes() != new:
        _kept(path)


def _kept(path: Path) -> Path:
    """A copy of the file beside it, under a name of its own."""
    number = 1
    while (kept := path.with_name(f"{path.stem}.kept-{number}{path.suffix}")).exists():
        number += 1
    kept.write_bytes(path.read_bytes())
    return kept


# --- what was asked and what was written -----------------------------------------------------------------------------


@cache
def _released(register: Register, assignments: tuple[Assignment, ...]) -> tuple[frozenset[str], dict[str, Question]]:
    """The texts of the notebooks that were handed out, and the questions of the exercises with a derivation."""
    ids = {task.id for assignment in assignments for task in assignment.exercises}
    ours, questions = set(), {}
    for chapter in register.chapters:
        notebook = read(chapter.exercises)
        tasks = [task for task in tasks_of(notebook) if task.id in ids]
        if not tasks:
            continue
        ours |= {cell.source for cell in notebook.cells if cell.cell_type == "markdown"}
        solved = {}
        with suppress(CourseError):  # the folder may be withheld
            solved = answers_of(cells_of(chapter.solutions), tasks, ours)
        for task in tasks:
            if task.by_hand:
                asked = [
                    cell.source
                    for cell, owners in zip(notebook.cells, owners_of(notebook), strict=True)
                    if task.id in owners and cell.cell_type == "markdown" and not is_derivation(cell)
                ]
                solution = solved[task.id].derivation if solved else ""
                questions[task.id] = Question("\n\n".join(asked[:1]), solution)
    return frozenset(ours), questions


def _looked_at(one: HandedIn, ours: frozenset[str]) -> tuple[HandedIn, dict[str, Answer]]:
    """The submission with what can be seen without running it, and its answers; no path, if it cannot be read."""
    if one.path is None:
        return one, {}
    try:
        answers = answers_of(cells_of(one.path), one.assignment.exercises, ours)
    except CourseError as error:
        return replace(one, path=None, problem=str(error)), {}
    return replace(one, notes=(*one.notes, *copied(answers))), answers


def _path_in_zip(one: HandedIn, taken: Mapping[str, str]) -> str:
    """Where the notebook lay among the submissions of this assignment, so that Canvas and Moodle know whose it is."""
    place = one.place.removeprefix("submitted/").removeprefix(f"{one.assignment.name}/")
    number, path = 2, f"{place}.html"
    while path in taken:
        number, path = number + 1, f"{place} ({number}).html"
    return path
