"""What an instructor reads after grading: grades.csv, a report for each student, and what the class got wrong."""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from utils.course.files import Ledger, write
from utils.course.grading.submissions import Assignment

BY_HAND = " (by hand)"
WORDS = {name: name for name in ("passed", "wrong", "raised", "timed out", "not attempted")} | {"raised": "error"}


def write_reports(assignments: Sequence[Assignment], results: Sequence[dict], out: Path) -> None:
    """Write `grades.csv`, `summary.md` and `reports/<assignment>/<student>.md` into `out`.

    Points that the instructor entered by hand into grades.csv stay; a file that was edited otherwise is kept beside it.
    """
    ledger = Ledger(out / ".written.json")
    grades = out / "grades.csv"
    pages = {
        grades: grades_csv(assignments, results, _entered(grades)),
        out / "summary.md": summary(assignments, results),
    }
    for assignment, result in zip(assignments, results, strict=True):
        name = f"{quote(result['student'], safe=' ')}.md"
        pages[out / "reports" / quote(assignment.name, safe=" ") / name] = report(assignment, result)
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep_edited(path, content, ledger)
        write(path, content)
    ledger.note(*pages)


def points_of(assignment: Assignment, result: dict) -> dict[str, int]:
    """Exercise id → the points that its check gives."""
    passed = {verdict["id"]: verdict["status"] == "passed" for verdict in result["verdicts"]}
    return {task.id: (task.points - task.by_hand) * passed[task.id] for task in assignment.exercises}


def grades_csv(
    assignments: Sequence[Assignment], results: Sequence[dict], entered: dict[tuple[str, str], dict[str, str]]
) -> str:
    """A row for each submission: points, of how many, total with those by hand, and the points of each exercise."""
    exercises, by_hand = {}, {}
    for assignment in assignments:
        exercises |= dict.fromkeys(task.id for task in assignment.exercises)
        by_hand |= dict.fromkeys(task.id + BY_HAND for task in assignment.exercises if task.by_hand)
    columns = ["student", "assignment", "points", "of", "total", *exercises, *by_hand]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for assignment, result in zip(assignments, results, strict=True):
        points = points_of(assignment, result)
        own = {task.id + BY_HAND for task in assignment.exercises if task.by_hand}
        hand = entered.get((_cell(result["student"]), _cell(assignment.name)), {})
        hand = {column: value for column, value in hand.items() if column in own}
        total = _sum([str(value) for value in points.values()] + [hand.get(column, "") for column in own])
        names = {"student": _cell(result["student"]), "assignment": _cell(assignment.name)}
        table.writerow(
            names | {"points": sum(points.values()), "of": assignment.points, "total": total} | points | hand
        )
    return text.getvalue()


def report(assignment: Assignment, result: dict) -> str:
    """What one student is told, in Markdown."""
    points = points_of(assignment, result)
    by_hand = sum(task.by_hand for task in assignment.exercises)
    lines = [f"# {_text(result['student'])} · {_text(assignment.name)}", ""]
    more = f" Up to {by_hand} more are given by hand." if by_hand else ""
    lines += [f"**{sum(points.values())} of {assignment.points} points.**{more}", ""]
    lines += ["| exercise | points | verdict | what the check says | seconds |", "|---|---|---|---|---|"]
    for task, verdict in zip(assignment.exercises, result["verdicts"], strict=True):
        says = _text(f"{verdict['message']} {verdict['hint']}".strip())
        of = f"{points[task.id]} of {task.points - task.by_hand}"
        lines.append(f"| `{task.id}` | {of} | {WORDS[verdict['status']]} | {says} | {verdict['seconds']:.1f} |")
    if result["notes"]:
        lines += ["", "## Notes", "", *(f"- {_text(note)}" for note in result["notes"])]
    return "\n".join(lines) + "\n"


def summary(assignments: Sequence[Assignment], results: Sequence[dict]) -> str:
    """What an instructor learns about the class, in Markdown: distribution, exercises, mistakes by name."""
    lines = ["# The class", ""]
    for assignment in dict.fromkeys(assignments):
        own = [result for one, result in zip(assignments, results, strict=True) if one == assignment]
        reached = sorted(sum(points_of(assignment, result).values()) for result in own)
        middle = (reached[(len(reached) - 1) // 2] + reached[len(reached) // 2]) / 2
        lines += [f"## {_text(assignment.name)}", ""]
        lines += [f"{len(own)} submissions; points of {assignment.points}: median {middle:g}, "]
        lines[-1] += f"lowest {reached[0]}, highest {reached[-1]}."
        lines += ["", "| points | submissions |", "|---|---|"]
        for points, count in sorted(Counter(reached).items()):
            lines.append(f"| {points} | {'█' * max(1, round(30 * count / len(own)))} {count} |")
        lines += ["", f"| exercise | {' | '.join(WORDS.values())} |", "|---" * (1 + len(WORDS)) + "|"]
        for at, task in enumerate(assignment.exercises):
            counts = Counter(result["verdicts"][at]["status"] for result in own)
            cells = [str(counts[status]) for status in WORDS]
            lines.append(f"| `{task.id}` | {' | '.join(cells)} |")
        lines += ["", "### Mistakes by name", ""]
        lines += _mistakes(own) or ["None."]
        notes = Counter(note for result in own for note in result["notes"])
        if notes:
            lines += ["", "### Notes", "", *(f"- {_text(note)} ({count})" for note, count in notes.most_common(20))]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _mistakes(results: Sequence[dict]) -> list[str]:
    """The sentences of the checks, the most frequent first. Numbers in them differ from student to student."""
    counts, examples = Counter(), {}
    for verdict in (verdict for result in results for verdict in result["verdicts"]):
        if verdict["status"] in ("wrong", "raised", "timed out"):
            name = verdict["id"], re.sub(r"\d+(\.\d+)?", "#", verdict["message"])
            counts[name] += 1
            examples.setdefault(name, verdict["message"])
    rows = [f"| {count} | `{name[0]}` | {_text(examples[name])} |" for name, count in counts.most_common()]
    return ["| students | exercise | mistake |", "|---|---|---|", *rows] if rows else []


def _entered(grades: Path) -> dict[tuple[str, str], dict[str, str]]:
    """(student, assignment) → what stands in the columns for points by hand."""
    if not grades.exists():
        return {}
    with grades.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        (row.get("student") or "", row.get("assignment") or ""): {
            column: value for column, value in row.items() if column and column.endswith(BY_HAND) and value
        }
        for row in rows
    }


def _keep_edited(path: Path, content: str, ledger: Ledger) -> None:
    """Put a file aside that a person changed, unless what is written now says the same."""
    if (
        path.exists()
        and not ledger.is_untouched(path)
        and path.read_text(encoding="utf-8", errors="replace") != content
    ):
        number = 1
        while (kept := path.with_name(f"{path.stem}.kept-{number}{path.suffix}")).exists():
            number += 1
        kept.write_bytes(path.read_bytes())


def _sum(values: Sequence[str]) -> str:
    """The sum; nothing as long as a number is missing."""
    try:
        return f"{sum(map(float, values)):g}"
    except ValueError:
        return ""


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _text(text: str) -> str:
    """A stranger's text inside of Markdown: one line, no markup but code in backticks, no end of a table's cell."""
    plain = html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("[", "\\[")
    return plain.replace("*", "\\*") if "`" not in plain else plain
