"""A student's folder, `work/`: hand a chapter out, never over a student's own work, and see what is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from utils.checks.engine import MIME as CHECK_MIME
from utils.course import CourseError
from utils.course.exercises import exercises_of
from utils.course.files import back_up, write
from utils.course.notebooks import read
from utils.course.register import Chapter, Register


def start(register: Register, chapter: Chapter, fresh: bool = False) -> Iterator[str]:
    """Copy lesson and exercises into `work/`; yield a line for each file.

    A file that the student changed is kept. With `fresh` it is moved into a dated folder under `work/backup/` first.
    """
    work = register.root / "work"
    work.mkdir(exist_ok=True)
    handed_out = _Ledger(work / ".handed_out.json")
    for source in (chapter.lesson, chapter.exercises):
        if not source.exists():
            raise CourseError(
                f"{source.relative_to(register.root)} is missing: `git checkout -- chapters/` brings it back"
            )
        target = work / source.name
        name = f"work/{source.name}"
        if not target.exists():
            yield f"{name}: ready"
        elif _sha256(target) == _sha256(source):
            handed_out.note(source)
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
        handed_out.note(source)


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


class _Ledger:
    """Remembers, by SHA-256, what was handed out: only such a file may be replaced."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.sums: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            self.sums = {}

    def is_untouched(self, target: Path) -> bool:
        return self.sums.get(target.name) == _sha256(target)

    def note(self, source: Path) -> None:
        self.sums[source.name] = _sha256(source)
        write(self.path, json.dumps(self.sums, indent=1, sort_keys=True) + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
