"""What a class has submitted: which notebook is whose, and what it was asked to do."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from utils.course import CourseError
from utils.course.grading.notebook_runner import sources
from utils.course.notebooks import read
from utils.course.register import Register
from utils.course.tasks import Task, tasks_of

CHECK = re.compile(r'check\(\s*["\']([\w.]+)["\']')


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
    """One student's notebook for one assignment; no `path` where there is none, `problem` says why."""

    student: str
    assignment: Assignment
    path: Path | None
    problem: str = ""

    def cells(self) -> tuple[tuple[str, ...], str]:
        """The notebook's code, or none and why there is none."""
        if self.path is None:
            return (), self.problem
        try:
            return tuple(sources(self.path)), ""
        except CourseError as error:
            return (), str(error)


def handed_in(folder: Path, register: Register) -> list[HandedIn]:
    """All submissions below `folder`, in the order of assignments and students.

    Two layouts: that of nbgrader, `submitted/<student>/<assignment>/`, and one notebook a student, `<student>.ipynb` or
    a folder `<student>/` with one notebook.

    Raises:
        CourseError: when there is nothing to grade, or it cannot be told which exercises were asked.
    """
    if not folder.is_dir():
        raise CourseError(f"{folder} is no folder: give the one in which the submissions lie")
    find = _nbgrader_layout if (folder / "submitted").is_dir() else _one_each
    found = find(folder, register)
    if not found:
        layouts = "submitted/<student>/<assignment>/*.ipynb, or <student>.ipynb"
        raise CourseError(f"nothing was submitted below {folder}: expected {layouts}")
    return sorted(found, key=lambda one: (one.assignment.name, one.student))


def left_out(folder: Path, found: list[HandedIn], out: Path) -> list[str]:
    """What else lies in a folder of one notebook a student: perhaps somebody submitted something else."""
    if (folder / "submitted").is_dir():
        return []
    ours = {"points.json", "README.md", *(path.name for path in folder.glob("test_*.py"))}
    used = {one.path.relative_to(folder).parts[0] for one in found if one.path} | {
        f"{one.student}.ipynb" for one in found
    }
    return [
        place.name + "/" * place.is_dir()
        for place in sorted(folder.iterdir())
        if place.name not in ours | used and not place.name.startswith(".") and place.resolve() != out.resolve()
    ]


def _nbgrader_layout(folder: Path, register: Register) -> list[HandedIn]:
    places = [place for place in sorted((folder / "submitted").glob("*/*")) if place.is_dir()]
    assignments = {}
    for name in {place.name for place in places}:
        released = sorted((folder / "source" / name).glob("*.ipynb"))
        if released:
            assignments[name] = Assignment(name, tuple(tasks_of(read(released[0]))))
        else:
            files = [file for place in places if place.name == name for file in place.glob("*.ipynb")]
            assignments[name] = _recognized(name, files, register)
    return [_choose(place.parent.name, assignments[place.name], place) for place in places]


def _one_each(folder: Path, register: Register) -> list[HandedIn]:
    students = {}
    for place in sorted(folder.iterdir()):
        if place.is_dir() and any(place.glob("*.ipynb")):
            students[place.name] = place
        elif place.suffix == ".ipynb":
            students[place.stem] = place
    files = [file for place in students.values() for file in (place.glob("*.ipynb") if place.is_dir() else [place])]
    points = folder / "points.json"
    assignment = _listed(points) if points.is_file() else _recognized(folder.name, files, register) if files else None
    return [_choose(student, assignment, place) for student, place in students.items()]


def _choose(student: str, assignment: Assignment, place: Path) -> HandedIn:
    """The notebook of a folder, or the file itself. Links are not followed: a student may have put them there."""
    files = [place] if place.suffix == ".ipynb" and not place.is_dir() else sorted(place.rglob("*.ipynb"))
    files = [
        file for file in files if file.is_file() and not file.is_symlink() and ".ipynb_checkpoints" not in file.parts
    ]
    if not files:
        others = sorted(file.name for file in place.rglob("*") if file.is_file())[:3] if place.is_dir() else []
        handed = f"; there is {', '.join(others)}" if others else ""
        return HandedIn(student, assignment, None, f"no notebook was submitted{handed}")
    asked = {task.id for task in assignment.exercises}
    return HandedIn(student, assignment, max(files, key=lambda file: len(asked & _checked(file))))


def _listed(points: Path) -> Assignment:
    """The exercises of a released folder."""
    try:
        content = json.loads(points.read_text(encoding="utf-8"))
        return Assignment(content["assignment"], tuple(Task(**task) for task in content["exercises"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{points} is not the list of points of a release: {error!r}") from None


def _recognized(name: str, files: list[Path], register: Register) -> Assignment:
    """The exercises that any of these notebooks checks, of the chapter that most of them are about."""
    votes, seen = Counter(), set()
    chapters = {chapter.slug: tasks_of(read(chapter.exercises)) for chapter in register.chapters}
    for file in files:
        checked = _checked(file)
        seen |= checked
        votes.update(slug for slug, tasks in chapters.items() if checked & {task.id for task in tasks})
    if not votes:
        raise CourseError(f"no notebook of {name!r} has an exercise of this course: what was the assignment?")
    [(slug, _)] = votes.most_common(1)
    return Assignment(slug, tuple(task for task in chapters[slug] if task.id in seen))


def _checked(file: Path) -> set[str]:
    """The ids of the exercises that a notebook checks; none if it cannot be read."""
    try:
        if not file.is_file() or file.is_symlink():
            return set()
        return set(CHECK.findall("\n".join(sources(file))))
    except CourseError:
        return set()
