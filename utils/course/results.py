"""Tables made from the register and from executed lessons, and the pages that show them."""

from __future__ import annotations

import math
import re
from base64 import b64decode

from utils.course import CourseError
from utils.course.execute import recorded
from utils.course.exercises import exercises_of
from utils.course.files import write
from utils.course.notebooks import read_shared as read
from utils.course.register import Chapter, Register


def collect(register: Register, chapters: list[Chapter] | None = None) -> list[dict]:
    """Every result that the executed lessons hold.

    One dictionary a result: `chapter`, `key`, `value`, `low`, `high` (the interval of an estimate; both equal to the
    value for an exact result, None for a bound or a score without one), `unit`, `kind`, `required_low`,
    `required_high` (from the register, None where nothing is required), and of the lesson as a whole `seconds` and
    `memory_mb`.
    """
    rows = []
    for chapter in register.chapters if chapters is None else chapters:
        notebook = read(chapter.lesson)
        cost = notebook.metadata.get("course", {})
        for result in recorded(notebook):
            low, high = chapter.results.get(result["key"], (-math.inf, math.inf))
            rows.append(
                {"chapter": chapter.slug}
                | {name: result[name] for name in ("key", "value", "low", "high", "unit", "kind")}
                | {"required_low": _finite(low), "required_high": _finite(high)}
                | {"seconds": cost.get("seconds"), "memory_mb": cost.get("memory_mb")}
            )
    return rows


def missed(chapter: Chapter, results: list[dict]) -> list[str]:
    """The requirements of the register that these results do not meet, one sentence each."""
    values = {result["key"]: result["value"] for result in results}
    sentences = []
    for key in sorted({r["key"] for r in results if [x["key"] for x in results].count(r["key"]) > 1}):
        sentences.append(f"{chapter.slug} records {key!r} more than once")
    for key, (low, high) in chapter.results.items():
        if key not in values:
            sentences.append(f"{chapter.slug} does not record {key!r}, which its chapter.toml requires")
        elif not low <= values[key] <= high:
            sentences.append(f"{chapter.slug}: {key} = {values[key]:.6g}, outside of [{low:g}, {high:g}]")
    return sentences


def measured(row: dict) -> str:
    """The value, with its interval if it is an estimate."""
    interval = f" ({row['low']:.5g} to {row['high']:.5g})" if row["kind"] == "estimate" else ""
    return f"{row['value']:.6g}{interval}"


def required(row: dict) -> str:
    """The interval that the register requires for this result, in words."""
    low, high = (None if row[end] is None else f"{row[end]:.7g}" for end in ("required_low", "required_high"))
    if low == high:
        return low or ""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def write_pages(register: Register, dry: bool = False) -> list[str]:
    """Renew the tables in the pages and the pictures beside them; what changed (or would have, if `dry`)."""
    changed = []
    for name, prefix in (("README.md", "chapters/"), ("chapters/README.md", ""), ("docs/results.md", "../chapters/")):
        path = register.root / name
        if not path.exists():
            raise CourseError(f"{name} is missing: the tables of chapters and results belong there")
        page = old = path.read_text(encoding="utf-8")
        for table, text in _tables(register, prefix).items():
            marked = re.compile(rf"(<!-- {table}:begin[^>]*-->).*?(<!-- {table}:end -->)", re.DOTALL)
            page = marked.sub(lambda match, text=text: f"{match[1]}\n\n{text}\n{match[2]}", page)
        if page != old:
            changed.append(name)
            if not dry:
                write(path, page)
    for chapter in register.chapters:
        path, png = register.root / "docs" / "pictures" / f"{chapter.slug}.png", _picture(chapter)
        if png and (not path.exists() or path.read_bytes() != png):
            changed.append(path.relative_to(register.root).as_posix())
            if not dry:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, png)
    return changed


def _tables(register: Register, prefix: str) -> dict[str, str]:
    """Name of the markers → what belongs between them, on a page from which the chapters lie at `prefix`."""
    return {
        "chapters": _chapter_table(register, prefix),
        "results": _result_table(register),
        "costs": _cost_table(register),
        "pictures": _pictures(register, prefix),
    }


def _pictures(register: Register, prefix: str) -> str:
    """The chapters' pictures, two side by side, each a link to its lesson."""
    lines = []
    for chapter in register.chapters:
        if _picture(chapter):
            image = f'<img src="docs/pictures/{chapter.slug}.png" width="49%" alt="{chapter.title}">'
            lines.append(f'<a href="{prefix}{chapter.slug}/lesson.ipynb">{image}</a>\n')
    return "".join(lines)


def _picture(chapter: Chapter) -> bytes | None:
    """The figure of the lesson's cell tagged `picture`, which stands for the chapter in the README."""
    for cell in read(chapter.lesson).cells if chapter.lesson.exists() else []:
        if "picture" in cell.metadata.get("tags", []):
            for output in cell.outputs:
                if png := output.get("data", {}).get("image/png"):
                    return b64decode(png)
    return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _chapter_table(register: Register, prefix: str) -> str:
    return "\n".join(f"### {part}\n\n{_part_table(chapters, prefix)}" for part, chapters in register.parts.items())


def _part_table(chapters: list[Chapter], prefix: str) -> str:
    rows = ["| | chapter | what it promises | to read | exercises |", "|---|---|---|---|---|"]
    for chapter in chapters:
        exercises = exercises_of(read(chapter.exercises)) if chapter.exercises.exists() else []
        link = f"[{chapter.title}]({prefix}{chapter.slug}/lesson.ipynb)"
        tasks = f"[{len(exercises)}]({prefix}{chapter.slug}/exercises.ipynb)" if exercises else "–"
        rows.append(f"| {chapter.number} | {link} | {chapter.promise} | {chapter.minutes} min | {tasks} |")
    return "\n".join(rows) + "\n"


def _result_table(register: Register) -> str:
    """A table a chapter, folded: there are many results, and a reader looks for those of one chapter."""
    tables = []
    for chapter in register.chapters:
        results = collect(register, [chapter]) if chapter.lesson.exists() else []
        rows = ["| result | value | kind | required |", "|---|---|---|---|"]
        for row in results:
            value = f"{measured(row)} {row['unit']}".strip()
            rows.append(f"| `{row['key']}` | {value} | {row['kind']} | {required(row)} |")
        title = f"{chapter.number} {chapter.title}: {len(results)} results, {len(chapter.results)} required"
        tables.append("\n".join([f"<details><summary>{title}</summary>", "", *rows, "", "</details>"]))
    return "\n\n".join(tables) + "\n"


def _cost_table(register: Register) -> str:
    rows = ["| chapter | seconds | budget | peak memory |", "|---|---|---|---|"]
    for chapter in register.chapters:
        if chapter.lesson.exists():
            cost = read(chapter.lesson).metadata.get("course", {})
            seconds, memory = cost.get("seconds", 0), cost.get("memory_mb", 0)
            over = " (over)" if seconds > chapter.budget else ""
            rows.append(f"| {chapter.number} | {seconds:.0f} s{over} | {chapter.budget} s | {memory:,.0f} MB |")
    return "\n".join(rows) + "\n"
