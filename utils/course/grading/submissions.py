"""What a class has submitted: which notebook is whose, and what was asked.

What was asked is stated by the instructor, never read out of what students wrote. Names of files are the students': any
bytes, any length, and the names that Canvas and Moodle give to downloads. Whatever is odd is graded as far as it goes,
and said.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from utils.course import CourseError
from utils.course.grading.names import CANVAS, MOODLE, readable
from utils.course.grading.notebook_runner import sources
from utils.course.notebooks import read, read_shared
from utils.course.register import Register
from utils.course.tasks import Task, chosen, known, tasks_of

NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.IGNORECASE)  # browsers add the second ending
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}  # of systems and editors; hidden files are, too
OURS = {"points.json", "roster.csv", "README.md", "grades"}
MOST_FILES, MOST_NOTEBOOKS = 10_000, 20  # of one student, that are looked at
HOW_TO_STATE = (
    "Say it with `--chapter 04`, and with --only and --without as it was released; or put the release's points.json"
    " beside the submissions."
)


@dataclass(frozen=True)
class Assignment:
    """What was asked: its name and its exercises, in order."""

    name: str
    exercises: tuple[Task, ...]

    @property
    def points(self) -> int:
        """The most that the checks can give."""
        return sum(task.points - task.by_hand for task in self.exercises)


@dataclass(frozen=True)
class HandedIn:
    """One student's notebook for one assignment; no `path` where there is none, `problem` says why.

    `notes` are what a person should know of it. `place` is where feedback belongs: where the notebook lies below the
    folder, without its ending; none for a student of the roster who submitted nothing.
    """

    student: str
    assignment: Assignment
    path: Path | None
    problem: str = ""
    notes: tuple[str, ...] = ()
    place: str = ""

    def cells(self) -> tuple[tuple[str, ...], str]:
        """The notebook's code, or none and why there is none."""
        if self.path is None:
            return (), self.problem
        try:
            return tuple(sources(self.path)), ""
        except CourseError as error:
            return (), str(error)


def stated(register: Register, chapter: str, only: Collection[str] = (), without: Collection[str] = ()) -> Assignment:
    """The assignment that `course release` makes of a chapter with the same options."""
    found = register.find(chapter)
    tasks = tasks_of(read(found.exercises))
    known("exercise", without, [task.id for task in tasks])
    return Assignment(found.slug, tuple(chosen(tasks, found.slug, only, without)))


def handed_in(
    folder: Path, register: Register, asked: Assignment | None = None, out: Path | None = None
) -> list[HandedIn]:
    """All submissions below `folder`, in the order of assignments and students.

    Three layouts: one notebook a student, `<student>.ipynb` or a folder `<student>/`; the same inside of a folder for
    each assignment, which holds its points.json or is called like a chapter; and that of nbgrader,
    `submitted/<student>/<assignment>/`.

    Args:
        folder: where they lie.
        register: the course.
        asked: what was asked; by default what points.json, nbgrader's `source/` or a chapter's name says.
        out: a folder of grades, which is no student's.

    Raises:
        CourseError: when there is nothing to grade, or nothing states what was asked.
    """
    if not folder.is_dir():
        raise CourseError(f"{folder} is no folder: give the one in which the submissions lie")
    students = _by_assignment(folder, register, asked, out)
    if not any(students.values()):
        layouts = "<student>.ipynb, <student>/*.ipynb, or submitted/<student>/<assignment>/*.ipynb"
        raise CourseError(f"nothing was submitted below {folder}: expected {layouts}")
    if asked and len(students) > 1:
        raise CourseError(f"--chapter states one assignment, and {folder} holds {', '.join(sorted(students))}")
    found = []
    for name, places in students.items():
        assignment = _assignment(folder, name, register, asked)
        found += [_choose(student, assignment, own, folder) for student, own in places.items()]
    return in_order(found)


def in_order(found: Iterable[HandedIn]) -> list[HandedIn]:
    """By assignment and student, as a person would sort them."""
    return sorted(found, key=lambda one: (one.assignment.name, one.student.casefold(), one.student))


def left_out(folder: Path, found: Collection[HandedIn], out: Path) -> list[str]:
    """What else lies in the folder: perhaps somebody submitted something else."""
    top = folder / "submitted" if _in_nbgrader_layout(folder) else folder
    used = {one.place.removeprefix("submitted/").partition("/")[0] for one in found if one.place}
    return [
        readable(place.name) + "/" * place.is_dir()
        for place in _entries(top, out)
        if NOTEBOOK.sub("", readable(place.name)) not in used and not place.name.startswith("test_")
    ]


# --- layouts ---------------------------------------------------------------------------------------------------------


def _by_assignment(
    folder: Path, register: Register, asked: Assignment | None, out: Path | None
) -> dict[str, dict[str, list[Path]]]:
    """Name of each assignment → student → where that student's files lie. The name is empty for the folder itself."""
    if _in_nbgrader_layout(folder):
        found = defaultdict(lambda: defaultdict(list))
        for student in _entries(folder / "submitted", out):
            for place in _entries(student, out):
                if place.is_dir():
                    found[readable(place.name)][readable(student.name)].append(place)
        return found
    if not asked and not (folder / "points.json").is_file():
        slugs = {chapter.slug for chapter in register.chapters}
        inside = [place for place in _entries(folder, out) if place.name in slugs or (place / "points.json").is_file()]
        if inside := [place for place in inside if place.is_dir() and not place.is_symlink()]:
            return {readable(place.name): _students(place, out) for place in inside}
    return {"": _students(folder, out)}


def _in_nbgrader_layout(folder: Path) -> bool:
    return any(place.is_dir() and not _is_junk(place.name) for place in (folder / "submitted").glob("*/*"))


def _students(folder: Path, out: Path | None) -> dict[str, list[Path]]:
    """Student → the files and folders of that name; the name that a learning platform gave is taken apart."""
    places = [place for place in _entries(folder, out) if place.is_dir() or NOTEBOOK.search(place.name)]
    places = [place for place in places if not _is_empty(place)]
    names = {place: NOTEBOOK.sub("", readable(place.name)) for place in places}
    canvas = [CANVAS.match(name) for name in names.values()]
    if all(canvas) and len({m[1] for m in canvas}) == len({m[2] for m in canvas}) == len({m[1] + m[2] for m in canvas}):
        names = {place: "_".join(CANVAS.match(name).group(1, 2)) for place, name in names.items()}
    found = defaultdict(list)
    for place, name in names.items():
        moodle = MOODLE.match(name)
        found["_".join(moodle.group(1, 2)) if moodle else name].append(place)
    return found


def _entries(folder: Path, out: Path | None) -> list[Path]:
    """What lies in a folder, without junk and without what is ours."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    return [
        place
        for place in sorted(folder.iterdir())
        if not _is_junk(place.name)
        and place.name not in OURS
        and not (place / "hidden_seed.txt").is_file()
        and (out is None or place.resolve() != out.resolve())
    ]


def _is_junk(name: str) -> bool:
    return name.startswith((".", "~$")) or name.casefold() in JUNK


# --- what was asked --------------------------------------------------------------------------------------------------


def _assignment(folder: Path, name: str, register: Register, asked: Assignment | None) -> Assignment:
    if asked:
        return replace(asked, name=name or asked.name)
    points = folder / name / "points.json"
    if points.is_file():
        listed = _listed(points, register)
        return replace(listed, name=name or listed.name)
    for released in sorted((folder / "source" / name).glob("*.ipynb")) if name else ():
        return Assignment(name, tuple(tasks_of(read(released))))
    called = name or folder.resolve().name
    for chapter in register.chapters:
        if chapter.slug == called:
            return stated(register, called)
    raise CourseError(f"what was the assignment of {called!r}? {HOW_TO_STATE}")


def _listed(points: Path, register: Register) -> Assignment:
    """The exercises of a released folder."""
    try:
        content = json.loads(points.read_bytes())
        found = Assignment(content["assignment"], tuple(Task(**task) for task in content["exercises"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{points} is not the list of points of a release: {error!r}") from None
    ids = [task.id for chapter in register.chapters for task in tasks_of(read_shared(chapter.exercises))]
    known(f"exercise of {points}", [task.id for task in found.exercises], ids)
    return found


# --- one student's notebook ------------------------------------------------------------------------------------------


def _choose(student: str, assignment: Assignment, places: list[Path], folder: Path) -> HandedIn:
    """The student's notebook: of those that have an exercise of the assignment, the last by time."""
    notes: list[str] = []
    files = [file for place in places for file in _walk(place, notes)]
    notebooks = [file for file in files if NOTEBOOK.search(file.name)]
    if not notebooks:
        names = ", ".join(readable(file.name) for file in files[:3])
        problem = "no notebook was submitted" + (f"; there is {names}" if names else "")
        return HandedIn(student, assignment, None, problem, tuple(notes), _place(places[0], folder))
    if len(notebooks) > 1:
        ids = [task.id for task in assignment.exercises]
        newest = sorted(notebooks, key=lambda file: (file.stat().st_mtime_ns, str(file)), reverse=True)
        last = next((file for file in newest[:MOST_NOTEBOOKS] if _mentions(file, ids)), newest[0])
        others = ", ".join(f"`{_shown(file, places)}`" for file in notebooks if file != last)
        when = datetime.fromtimestamp(last.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
        notes.append(
            f"Of {len(notebooks)} notebooks, the last was graded: `{_shown(last, places)}` of {when}, not {others}."
        )
        notebooks = [last]
    if any("_LATE_" in place.name and CANVAS.match(readable(place.name)) for place in places):
        notes.append("Canvas marked it as late.")
    return HandedIn(student, assignment, notebooks[0], "", tuple(notes), _place(notebooks[0], folder))


def _walk(place: Path, notes: list[str]) -> Iterator[Path]:
    """The regular files of a place. Links are not followed: a student may have put them there; a note says so."""
    if place.is_symlink():
        notes.append(f"`{readable(place.name)}` is a link, and links are not followed.")
        return
    if not place.is_dir():
        yield place
        return
    seen = 0
    for folder, folders, files in os.walk(place, onerror=lambda error: notes.append(f"A folder: {error.strerror}.")):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(name for name in folders if not _is_junk(name) and name not in links)
        for name in sorted(name for name in [*files, *links] if not _is_junk(name)):
            path = Path(folder, name)
            seen += 1
            if seen > MOST_FILES:
                notes.append(f"There are more than {MOST_FILES:,} files; only so many were looked at.")
                return
            if path.is_symlink():
                notes.append(f"`{readable(name)}` is a link, and links are not followed.")
            elif stat.S_ISREG(path.lstat().st_mode):
                yield path


def _mentions(notebook: Path, ids: Collection[str]) -> bool:
    try:
        code = "\n".join(sources(notebook))
    except CourseError:
        return False
    return any(id in code or f"def {id.partition('.')[2]}(" in code for id in ids)


def _is_empty(place: Path) -> bool:
    notes: list[str] = []
    return not any(_walk(place, notes)) and not notes


def _shown(file: Path, places: Collection[Path]) -> str:
    """A file's name as the student knows it: seen from the student's folder."""
    for place in places:
        if place in file.parents:
            return readable(str(file.relative_to(place)))
    return readable(file.name)


def _place(path: Path, folder: Path) -> str:
    inside = "/".join(map(readable, path.relative_to(folder).parts))
    return NOTEBOOK.sub("", inside) if NOTEBOOK.search(inside) else f"{inside}/feedback"
