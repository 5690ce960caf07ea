"""Feedback for each student, and for the instructor a page with all derivations in a row."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from utils.course.grading.answers import Answer
from utils.course.grading.grades import BY_HAND, COMMENT, Grade
from utils.course.grading.names import file_name
from utils.course.grading.pages import code, markdown, page, sentence, text
from utils.course.grading.tables import number, shown
from utils.course.tasks import Task

WORDS = {name: name for name in ("passed", "wrong", "raised", "timed out", "not attempted")} | {"raised": "error"}
UNTOUCHED = "The exercise was left as it was handed out."


@dataclass(frozen=True)
class Question:
    """The text of an exercise with a derivation, and the worked one, where there is one."""

    text: str = ""
    solution: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)


def feedback(grade: Grade, answers: Mapping[str, Answer]) -> str:
    """The page that one student gets back."""
    one, by_id = grade.one, {verdict["id"]: verdict for verdict in grade.result["verdicts"]}
    most = sum(task.points for task in one.assignment.exercises)
    body = [f"<h1>{text(one.student)} · {text(one.assignment.name)}</h1>"]
    if grade.total is None:
        body.append(f'<p class="total">{grade.checked} of {one.assignment.points} points by the checks</p>')
        body.append("<p>Points given by hand are still to come.</p>")
    else:
        body.append(f'<p class="total">{shown(grade.total)} of {most} points</p>')
    body.append(_sum(grade))
    if comment := grade.entered.get("comment", "").strip():
        body.append(f'<div class="comment"><p>{_lines(comment)}</p></div>')
    notes = [*filter(None, [one.problem]), *one.notes, *grade.result["notes"]]
    if notes := list(dict.fromkeys(notes)):
        body.append(f"<ul>{''.join(f'<li>{sentence(note)}</li>' for note in notes)}</ul>")
    if one.path:
        for task in one.assignment.exercises:
            body.append(_exercise(task, by_id[task.id], grade, answers.get(task.id, Answer())))
    return page(f"{one.student} · {one.assignment.name}", *body)


def says(verdict: Mapping[str, str]) -> str:
    """The sentence of a verdict, to somebody who sees no cell below it."""
    if verdict["status"] == "not attempted" and " cell" in verdict["message"]:
        return UNTOUCHED
    return f"{verdict['message']} {verdict['hint']}".strip()


def derivations(
    grades: Sequence[Grade], answers: Sequence[Mapping[str, Answer]], questions: Mapping[str, Question]
) -> str:
    """All derivations, exercise after exercise, student after student, with where their points are to be entered."""
    groups: dict[tuple[str, Task], list[tuple[Grade, Answer]]] = {}
    for grade, own in zip(grades, answers, strict=True):
        for task in grade.one.assignment.exercises:
            if task.by_hand and grade.one.path:
                key = grade.one.assignment.name, task
                groups.setdefault(key, []).append((grade, own.get(task.id, Answer())))
    contents, sections = [], []
    for (assignment, task), own in groups.items():
        column, start = task.id + BY_HAND, file_name(f"{assignment}--{task.id}")
        done = sum(bool(grade.entered.get(column, "").strip()) for grade, _ in own)
        contents.append(
            f'<li><a href="#{start}">{text(assignment)}: <code>{task.id}</code></a>, {done} of {len(own)} graded</li>'
        )
        question = questions.get(task.id, Question())
        sections.append(f'<section id="{start}"><h2>{text(task.teaches)} <code>{task.id}</code></h2>')
        sections.append(
            f"<p>Enter 0 to {task.by_hand} points into <code>grades.csv</code>, in the student's row and the column"
            f" <code>{text(column)}</code>; a sentence to the student goes into a column"
            f" <code>{task.id + COMMENT}</code>.</p>"
        )
        for title, source in (("What was asked", question.text), ("A worked derivation", question.solution)):
            if source:
                sections.append(f"<details><summary>{title}</summary>{markdown(source, question.pictures)}</details>")
        sections.append("</section>")
        anchors = [file_name(f"{assignment}--{task.id}--{grade.one.student}") for grade, _ in own]
        for at, (grade, answer) in enumerate(own):
            after = f'<a href="#{anchors[at + 1]}">next</a>' if at + 1 < len(own) else ""
            points = grade.entered.get(column, "").strip()
            state = f"entered: {text(points)}" if points else "no points yet"
            sections.append(
                f'<section id="{anchors[at]}"><h2>{text(grade.one.student)}</h2>'
                f'<p class="dim">{text(assignment)}, <code>{task.id}</code>, {state} {after}</p>'
                f"{_derivation(answer)}</section>"
            )
    body = [f"<ul>{''.join(contents)}</ul>", *sections] if groups else ["<p>This assignment has no derivation.</p>"]
    return page("Derivations", "<h1>Derivations</h1>", *body)


def zipped(pages: Mapping[str, str]) -> bytes:
    """Pages as a zip, path → content; the same pages give the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for path, html in sorted(pages.items()):
            file.writestr(zipfile.ZipInfo(path), html.encode(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _sum(grade: Grade) -> str:
    """How the total comes about, where there is more to it than the checks."""
    exercises, entered = grade.one.assignment.exercises, grade.entered
    rows = [("checks", f"{grade.checked} of {grade.one.assignment.points}")]
    rows += [
        (f"{task.teaches}, by hand", f"{_number(entered.get(task.id + BY_HAND, '')) or '–'} of {task.by_hand}")
        for task in exercises
        if task.by_hand and grade.one.path
    ]
    for column, what in (("late", "late, taken off"), ("extra", "extra"), ("override", "set by the instructor")):
        if value := _number(entered.get(column, "")):
            rows.append((what, value))
    if len(rows) == 1:
        return ""
    lines = "".join(f'<tr><td>{text(name)}</td><td class="number">{text(value)}</td></tr>' for name, value in rows)
    return f"<table>{lines}</table>"


def _exercise(task: Task, verdict: Mapping, grade: Grade, answer: Answer) -> str:
    # What the code printed is not shown: it may be the hidden inputs, and the next try would know them.
    word, points = WORDS[verdict["status"]], grade.points[task.id]
    parts = [
        f"<section><h2>{text(task.teaches)}</h2>",
        f'<p><span class="verdict {word.replace(" ", "-")}">{word}</span> {points} of {task.points - task.by_hand}'
        f' <span class="dim"><code>{task.id}</code></span></p>',
        f"<p>{sentence(says(verdict))}</p>",
    ]
    if comment := grade.entered.get(task.id + COMMENT, "").strip():
        parts.append(f'<div class="comment"><p>{_lines(comment)}</p></div>')
    if answer.code:
        parts.append(code(answer.code))
    if task.by_hand:
        points = _number(grade.entered.get(task.id + BY_HAND, "")) or "–"
        parts.append(f"<p>Derivation: {text(points)} of {task.by_hand} by hand</p>{_derivation(answer)}")
    return "\n".join(parts) + "</section>"


def _derivation(answer: Answer) -> str:
    if not answer.derivation:
        return '<p class="dim">No derivation was written.</p>'
    return f'<div class="derivation">{markdown(answer.derivation, answer.pictures)}</div>'


def _number(entered: str) -> str:
    """A number that was entered, as we write numbers; what is none as it is."""
    plain = entered.strip()
    try:
        return shown(number(plain.removesuffix("%"))) + plain[len(plain.removesuffix("%")) :]
    except ValueError:
        return plain


def _lines(plain: str) -> str:
    return text(plain).replace("\n", "<br>")
