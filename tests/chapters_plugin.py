"""Select tests: `pytest --chapter 04` what concerns a chapter, `pytest --since COMMIT` what changes can have broken.

A test belongs to a chapter when one of its parameters does: the chapter, the id of one of its exercises, an answer to
one, a file of its own. It depends on what its module imports, directly or not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from utils.course import CourseError
from utils.course.affected import EVERYTHING, KNOWS_CHAPTERS, Course, changed_files
from utils.course.register import Chapter, Register

ROOT = Path(__file__).resolve().parents[1]
SELECTION = pytest.StashKey()


class Selection:
    """What is asked for: some chapters, or a set of changed files."""

    def __init__(self, chapters: list[str], since: str | None):
        self.course = Course(Register(ROOT))
        register = self.course.register
        self.changed = changed_files(ROOT, since) if since else set()
        # A module that is gone no longer shows who imported it.
        gone = [file for file in self.changed if file.endswith(".py") and not (ROOT / file).exists()]
        self.everything = any(file.startswith(EVERYTHING) for file in self.changed) or any(
            file.startswith(("utils/", "tests/")) for file in gone
        )
        if since:
            self.chapters = [
                c for c in register.chapters if self.everything or self.course.is_affected(c, self.changed)
            ]
        else:
            self.chapters = register.select(chapters)
        self.by_chapter = not since
        self.slugs = {chapter.slug for chapter in self.chapters}
        self.families = self.course.models(text for chapter in self.chapters for text in self.course.texts(chapter))
        self.owners = self._owners(register)

    @staticmethod
    def _owners(register: Register) -> dict[str, str]:
        """Id of an exercise, slug or path of a chapter → slug."""
        owners = {}
        for chapter in register.chapters:
            texts = (path.with_suffix(".py") for path in (chapter.solutions, chapter.exercises))
            for text in filter(Path.exists, texts):
                ids = re.findall(r'"id": *"([\w.]+)"', text.read_text(encoding="utf-8"))
                owners |= dict.fromkeys(ids, chapter.slug)
            checks = ROOT / "utils" / "checks" / chapter.topic
            own = (chapter.slug, chapter.folder, chapter.solutions.parent, checks, checks.with_suffix(".py"))
            owners |= dict.fromkeys(map(str, own), chapter.slug)
        return owners

    def owner(self, item: pytest.Item) -> str | None:
        """The slug of the chapter that a test belongs to."""
        for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
            if isinstance(value, Chapter):
                return value.slug
            for name in (value, getattr(value, "id", None), *(value.parents if isinstance(value, Path) else ())):
                if isinstance(name, str | Path) and str(name) in self.owners:
                    return self.owners[str(name)]
        return None

    def uses(self, file: str) -> bool:
        """Does the code of a test module use what is asked for?"""
        if self.by_chapter:  # tests of models that the chapter uses, and of no other models
            families = self.course.models([file])
            return file.startswith("tests/test_models_") and bool(families) and families <= self.families
        return self.everything or bool(self.course.uses([file]) & self.changed)

    def may_be_chosen(self, file: str) -> bool:
        """Can one of the tests of a module be chosen?"""
        of_chapters = bool(self.chapters and self.course.imported(file) & KNOWS_CHAPTERS)
        return of_chapters or self.uses(file) or self.course.mentions(file, self.changed)

    def split(self, items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
        """The tests to run, and the others."""
        by_file = defaultdict(list)
        for item in items:
            by_file[_name(item.path)].append((item, self.owner(item)))
        chosen = set()
        for file, found in by_file.items():
            uses = self.uses(file)
            reads = self.course.mentions(file, self.changed)
            # A test in a module about chapters that belongs to none may read them all.
            reads |= not self.by_chapter and bool(self.chapters) and any(owner for _, owner in found)
            for item, owner in found:
                of_chapter = owner in self.slugs or (uses and not self.by_chapter)
                if of_chapter if owner else (uses or reads):
                    chosen.add(item.nodeid)
        return [item for item in items if item.nodeid in chosen], [item for item in items if item.nodeid not in chosen]


def pytest_addoption(parser):
    group = parser.getgroup("course")
    group.addoption("--chapter", action="append", default=[], help="only what concerns this chapter; may be repeated")
    group.addoption("--since", help="only what the changes since this commit can have broken")


def pytest_configure(config):
    chapters, since = config.getoption("--chapter"), config.getoption("--since")
    if chapters and since:
        raise pytest.UsageError("give --chapter or --since, not both")
    if chapters or since:
        try:
            config.stash[SELECTION] = Selection(chapters, since)
        except (CourseError, SyntaxError) as error:
            raise pytest.UsageError(str(error)) from None


def pytest_report_header(config):
    if selection := config.stash.get(SELECTION, None):
        chapters = ", ".join(sorted(selection.slugs)) or "none"
        if selection.by_chapter:
            return f"chapters: {chapters}; models: {', '.join(sorted(selection.families)) or 'none'}"
        return f"{len(selection.changed)} files changed; chapters that they affect: {chapters}"


def pytest_ignore_collect(collection_path, config):
    """Not to import what cannot be selected saves most of the time."""
    selection = config.stash.get(SELECTION, None)
    if selection and collection_path.suffix == ".py" and not selection.may_be_chosen(_name(collection_path)):
        return True


def pytest_collection_modifyitems(config, items):
    if selection := config.stash.get(SELECTION, None):
        items[:], others = selection.split(items)
        config.hook.pytest_deselected(items=others)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
