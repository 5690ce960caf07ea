"""Which files a test or a chapter depends on: that decides what to test when a chapter is written or a file changes.

All paths are relative to the root of the course, with slashes, as git prints them.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

from utils.course import CourseError
from utils.course.modules import Modules
from utils.course.notebooks import read
from utils.course.register import Chapter, Register

# What every test depends on, though no test imports it.
EVERYTHING = ("Makefile", "pyproject.toml", "requirements", ".ci/", "tests/conftest.py", "tests/chapters_plugin.py")
EVERYTHING += ("tests/offline/",)
# Who imports one of these may have a test for each chapter or exercise.
KNOWS_CHAPTERS = {"utils/course/register.py", "utils/checks/__init__.py"}


class Course:
    """The files of a course and what they use."""

    def __init__(self, register: Register):
        self.register, self.root = register, register.root
        self._modules = Modules(self.root, tests=True)
        self.imported = functools.cache(self._imported)
        self.tables = functools.cache(self._tables)

    def uses(self, files: Iterable[str]) -> set[str]:
        """The files themselves and all that they import, directly or through others."""
        given = set(files)
        python = [self.root / file for file in given if file.endswith(".py") and (self.root / file).is_file()]
        return given | self._names(self._modules.closure(python))

    def models(self, files: Iterable[str]) -> set[str]:
        """The families of `utils/models/` that the files themselves import."""
        imported = set().union(*map(self.imported, files))
        return {file.split("/")[2] for file in imported if re.match(r"utils/models/\w+/", file)}

    def texts(self, chapter: Chapter) -> list[str]:
        """What is written by hand of a chapter's notebooks."""
        texts = chapter.lesson.with_suffix(".py"), chapter.solutions.with_suffix(".py")
        return [text.relative_to(self.root).as_posix() for text in texts if text.exists()]

    def checks(self, chapter: Chapter) -> list[str]:
        """The module of a chapter's checks, or those of its folder."""
        checks = self.root / "utils" / "checks"
        found = [checks / f"{chapter.topic}.py", *(checks / chapter.topic).rglob("*.py")]
        return [file.relative_to(self.root).as_posix() for file in found if file.exists()]

    def is_affected(self, chapter: Chapter, changed: Collection[str]) -> bool:
        """May one of the chapter's notebooks, checks or answers be another now?"""
        topics = [
            f"{folder}/{chapter.topic}" for folder in ("utils/checks", "tests/wrong_answers", "tests/right_answers")
        ]
        own = (
            f"chapters/{chapter.slug}/",
            f"solutions/{chapter.slug}/",
            *(t + end for t in topics for end in ("/", ".py")),
        )
        data = {file for file in changed if file.startswith("data/") and not file.endswith((".md", ".py"))}
        opened, results = self.tables(chapter.slug)
        others = {f"chapters/{other.slug}/lesson.ipynb" for other in self.register.chapters if other.number in results}
        return bool(
            any(file.startswith(own) for file in changed)
            or self.uses([*self.texts(chapter), *self.checks(chapter)]) & set(changed)
            or (data if opened is None else data & opened)
            or others & set(changed)
        )

    def mentions(self, file: str, changed: Iterable[str]) -> bool:
        """Does the text of a test name one of the changed files that are no modules, or the folder of one?"""
        text = (self.root / file).read_text(encoding="utf-8")
        return any(re.search(pattern, text) for other in changed for pattern in _mentions(other))

    def _imported(self, file: str) -> set[str]:
        """The modules of `utils/` and `tests/` that a file imports or starts."""
        if not file.endswith(".py") or not (self.root / file).is_file():
            return set()
        return self._names(self._modules[self.root / file].uses)

    def _names(self, files: Iterable[Path]) -> set[str]:
        return {file.relative_to(self.root).as_posix() for file in files}

    def _tables(self, slug: str) -> tuple[set[str] | None, set[str]]:
        """The files of `data/` that a chapter's notebooks opened, None if nothing is known; the numbers of the chapters
        whose results they read.
        """
        chapter = self.register.find(slug)
        data, results = set(), set()
        for path in (chapter.lesson, chapter.solutions):
            table = read(path).metadata.get("course", {}).get("executed_with") if path.exists() else None
            if table is None:
                return None, set()
            data |= set(table.get("data", {}))
            results |= {name.split()[0] for name in table.get("results", {})}
        return data, results


def _mentions(file: str) -> list[str]:
    """Patterns of what a test that reads this file holds."""
    folder, _, rest = file.partition("/")
    if folder in ("chapters", "solutions") and "/" in rest:
        return [re.escape(rest.split("/")[0])]
    name = re.escape(Path(file).name)
    if folder in ("utils", "tests"):  # modules are found by who imports them
        return [] if file.endswith(".py") else [name, rf"\b{Path(file).parent.name}\b"]
    return (
        [name, rf"\b{folder}/", rf'/ "{folder}"'] if "/" in rest or folder in ("benchmarks", "data", "docs") else [name]
    )


def changed_files(root: Path, since: str) -> set[str]:
    """What differs between the commit where `since` and HEAD parted and the files that lie here, new ones included.

    Raises:
        CourseError: when git does not know the commit.
    """
    base = _git(root, "merge-base", since, "HEAD")
    if not base:
        raise CourseError(f"git knows no commit {since!r} here: name one, such as HEAD~1")
    differ = _git(root, "diff", "--name-only", "--no-renames", "-z", base[0].strip())
    return set(differ + _git(root, "ls-files", "--others", "--exclude-standard", "-z"))


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, encoding="utf-8")
    return [name for name in done.stdout.split("\0") if name] if done.returncode == 0 else []
