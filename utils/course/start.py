"""A student's folder, `work/`: hand a chapter out, never over a student's own work, and see what is done."""

from __future__ import annotations

from collections.abc import Iterator

from utils.checks.engine import MIME as CHECK_MIME
from utils.course import CourseError
from utils.course.exercises import exercises_of
from utils.course.files import Ledger, back_up, sha256, write
from utils.course.notebooks import read
from utils.course.register import Chapter, Register


def start(register: Register, chapter: Chapter, fresh: bool = False) -> Iterator[str]:
    """Copy lesson and exercises into `work/`; yield a line for each file.

    A file that the student changed is kept. With `fresh` it is moved into a dated folder under `work/backup/` first.
    """
    work = register.root / "work"
    work.mkdir(exist_ok=True)
    handed_out = Ledger(work / ".handed_out.json")
    for source in (chapter.lesson, chapter.exercises):
        if not source.exists():
            raise CourseError(
                f"{source.relative_to(register.root)} is missing: `git checkout -- chapters/` brings it back"
            )
        target = work / source.name
        name = f"work/{source.name}"
        if not target.exists():
            yield f"{name}: ready"
        elif sha256(target) == sha256(source):
            handed_out.note(target)
            yield f"{name}: there already"
            continue
        elif handed_out.is_untouched(target):
            yield f"{name}: renewed; you had not changed it"
        elif fresh:
            yield f"{name}: fresh; yours now lies in {back_up(target, register.root)}"
        else:
            yield f"{name}: kept, because you changed it (--fresh starts anew and keeps yours in work/backup/)"
            continue
        write(target, source.read_bytes())
        handed_out.note(target)


def done(register: Register, chapter: Chapter) -> tuple[int, int]:
    """How many of the chapter's exercises pass in `work/`, and how many there are.

    What counts is the last check of each exercise in the saved notebook.
    """
    if not chapter.exercises.exists():
        return 0, 0
    total = len(exercises_of(read(chapter.exercises)))
    mine = register.root / "work" / chapter.exercises.name
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
    last = {check["id"]: check["status"] for check in checks}
    return sum(status == "passed" for status in last.values()), total
