"""A student's folder, `work/`: hand chapters out, never over a student's own work, and see what is done.

It mirrors `chapters/`, so that the links of the landing page lead to the student's own copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from utils.checks.verdicts import MIME as CHECK_MIME
from utils.course import CourseError
from utils.course.exercises import exercises_of
from utils.course.files import Ledger, back_up, sha256, write
from utils.course.notebooks import read
from utils.course.register import Chapter, Register


def start(register: Register, chapters: list[Chapter], fresh: bool = False) -> Iterator[str]:
    """Copy lessons, exercises and the landing page into `work/`; yield a line for each notebook.

    A file that the student changed is kept. With `fresh` it is moved into a dated folder under `work/backup/` first.
    """
    work = register.root / "work"
    work.mkdir(exist_ok=True)
    handed_out = Ledger(work / ".handed_out.json")
    for chapter in chapters:
        for source in (chapter.lesson, chapter.exercises):
            if not source.exists():
                raise CourseError(
                    f"{source.relative_to(register.root)} is missing: `git checkout -- chapters/` brings it back"
                )
            _take_over(work / (chapter.assignment if source == chapter.exercises else f"{chapter.slug}.ipynb"), chapter)
            yield _hand_out(source, chapter.work / source.name, handed_out, fresh, register.root)
    page = register.path.with_name("README.md")
    if page.exists():
        _hand_out(page, work / page.name, handed_out, False, register.root)


def _hand_out(source: Path, target: Path, handed_out: Ledger, fresh: bool, root: Path) -> str:
    name = target.relative_to(root).as_posix()
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        line = f"{name}: ready"
    elif sha256(target) == sha256(source):
        handed_out.note(target)
        return f"{name}: there already"
    elif handed_out.is_untouched(target):
        line = f"{name}: renewed; you had not changed it"
    elif fresh:
        line = f"{name}: fresh; yours now lies in {back_up(target, root)}"
    else:
        return f"{name}: kept, because you changed it (--fresh starts anew and keeps yours in work/backup/)"
    write(target, source.read_bytes())
    handed_out.note(target)
    return line


def _take_over(old: Path, chapter: Chapter) -> None:
    """Before chapters were folders, notebooks lay in `work/` itself: bring the student's to where they belong now."""
    new = chapter.work / ("lesson.ipynb" if old.stem == chapter.slug else "exercises.ipynb")
    if old.exists() and not new.exists():
        new.parent.mkdir(exist_ok=True)
        old.rename(new)


def done(register: Register, chapter: Chapter) -> tuple[int, int]:
    """How many of the chapter's exercises pass in `work/`, and how many there are.

    What counts is the last check of each exercise in the saved notebook.
    """
    if not chapter.exercises.exists():
        return 0, 0
    total = len(exercises_of(read(chapter.exercises)))
    mine = chapter.work / chapter.exercises.name
    try:
        cells = read(mine).cells if mine.exists() else []
    except CourseError:
        cells = []
    checks = [
        output["data"][CHECK_MIME]
        for cell in cells
        for output in cell.get("outputs", [])
        if CHECK_MIME in output.get("data", {})
    ]
    last = {check.get("id"): check.get("status") for check in checks if isinstance(check, dict)}
    return sum(status == "passed" for status in last.values()), total
