"""The register of chapters, and where each chapter's files lie.

`chapters/course.toml` names the parts of the course and the chapters of each; `chapters/NN_topic/chapter.toml` says the
rest of one chapter.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from utils.checkout import NEEDED, ROOT, is_checkout
from utils.course import CourseError

REQUIRED = {"title", "promise", "minutes", "budget"}
FIELDS = REQUIRED | {"needs", "results", "family"}
FAMILY = {"name", "likelihood", "samples", "latent", "good", "bad"}


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    `part` is the part of the course it belongs to; `minutes` the time to read; `budget` the seconds a run may take on
    two cores; `needs` the chapters to read before; `results` maps the key of a recorded result to the interval
    `(low, high)` it must lie in; `family` is the row of the table of families, empty where none is taught.
    """

    slug: str
    title: str
    part: str
    promise: str
    minutes: int
    budget: int
    root: Path = field(repr=False)
    needs: tuple[str, ...] = ()
    results: dict[str, tuple[float, float]] = field(default_factory=dict)
    family: dict[str, str] = field(default_factory=dict)

    @property
    def number(self) -> str:
        return self.slug.split("_")[0]

    @property
    def topic(self) -> str:
        """The name without the number: that of the chapter's checks, and of the tests' wrong and right answers."""
        return self.slug[3:]

    @property
    def folder(self) -> Path:
        return self.root / "chapters" / self.slug

    @property
    def lesson(self) -> Path:
        return self.folder / "lesson.ipynb"

    @property
    def exercises(self) -> Path:
        return self.folder / "exercises.ipynb"

    @property
    def teaching(self) -> Path:
        return self.folder / "teaching.md"

    @property
    def solutions(self) -> Path:
        return self.root / "solutions" / self.slug / "exercises.ipynb"

    @property
    def work(self) -> Path:
        """Where a student works on it."""
        return self.root / "work" / self.slug

    @property
    def assignment(self) -> str:
        """What the exercises are called when they are handed out: the name says what they are, wherever they end up."""
        return f"{self.slug}_exercises.ipynb"


class Register:
    """All chapters of the course that lies at `root`, in the order of its parts."""

    def __init__(self, root: Path = ROOT):
        self.root = Path(root).resolve()
        self.path = self.root / "chapters" / "course.toml"

    @cached_property
    def parts(self) -> dict[str, list[Chapter]]:
        """Title of each part of the course → its chapters."""
        if self.root == ROOT and not is_checkout():
            raise CourseError(NEEDED)
        entries = _toml(self.path, f"is {self.root} the root of the course?").get("parts")
        if not isinstance(entries, list) or not entries:
            raise CourseError(
                f"{self.path.name}: expected [[parts]], each with a title and chapters; found {entries!r}"
            )
        parts = {}
        for entry in entries:
            if not isinstance(entry, dict) or entry.keys() != {"title", "chapters"}:
                raise CourseError(f"{self.path.name}: a part has a title and chapters, this one is {entry!r}")
            _of_type(entry, {"title": str, "chapters": list}, self.path.name)
            parts[entry["title"]] = [self._chapter(slug, entry["title"]) for slug in entry["chapters"]]
        slugs = [chapter.slug for chapters in parts.values() for chapter in chapters]
        folders = {path.parent.name for path in self.path.parent.glob("*/chapter.toml")}
        if twice := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            raise CourseError(f"{self.path.name} names {', '.join(twice)} twice")
        numbers = [slug[:2] for slug in slugs]
        if alike := sorted({slug for slug in slugs if numbers.count(slug[:2]) > 1}):
            raise CourseError(f"{self.path.name} gives one number to {' and '.join(alike)}")
        for chapter in (chapter for chapters in parts.values() for chapter in chapters):
            if unknown := sorted(set(chapter.needs) - set(slugs) - set(numbers)):
                raise CourseError(f"chapters/{chapter.slug}/chapter.toml: needs {unknown[0]}, which is no chapter")
        if strangers := sorted(folders - set(slugs)):
            raise CourseError(
                f"{self.path.name} does not name chapters/{strangers[0]}: add it to the chapters of a part"
            )
        return parts

    @property
    def chapters(self) -> list[Chapter]:
        return [chapter for chapters in self.parts.values() for chapter in chapters]

    def _chapter(self, slug: str, part: str) -> Chapter:
        if not isinstance(slug, str) or not slug[:2].isdigit() or slug[2:3] != "_":
            raise CourseError(
                f"{self.path.name}: {slug!r} is no chapter: a chapter is called NN_topic, with two digits"
            )
        where = f"chapters/{slug}/chapter.toml"
        entry = _toml(self.root / where, f"{self.path.name} names this chapter")
        missing, unknown = sorted(REQUIRED - entry.keys()), sorted(entry.keys() - FIELDS)
        if missing or unknown:
            raise CourseError(f"{where}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}")
        kinds = {"title": str, "promise": str, "minutes": int, "needs": list, "results": dict, "family": dict}
        _of_type(entry, kinds | {"budget": (int, float)}, where)
        if entry["budget"] <= 0:
            raise CourseError(f"{where}: budget is {entry['budget']}; expected the seconds that a run may take")
        results = {}
        for key, interval in entry.get("results", {}).items():
            _of_type({key: interval}, {key: dict}, where)
            _of_type(interval, dict.fromkeys(interval, (int, float)), f"{where}: result {key!r}")
            low, high = interval.get("low", -math.inf), interval.get("high", math.inf)
            if not interval or interval.keys() - {"low", "high"} or low > high:
                raise CourseError(f"{where}: result {key!r} needs low and/or high, with low <= high")
            results[key] = (float(low), float(high))
        family = entry.get("family", {})
        if family and family.keys() != FAMILY:
            raise CourseError(f"{where}: [family] has {', '.join(family)}; expected {', '.join(sorted(FAMILY))}")
        _of_type(family, dict.fromkeys(family, str), f"{where}: [family]")
        fields = {name: entry[name] for name in REQUIRED}
        needs = tuple(entry.get("needs", ()))
        return Chapter(slug=slug, part=part, root=self.root, needs=needs, results=results, family=family, **fields)

    def find(self, name: str) -> Chapter:
        """The chapter called `name`: its number, its slug (with or without the number), or a unique beginning of it.

        Raises:
            CourseError: naming near matches, when there is no such chapter or more than one.
        """
        name = name.strip().rstrip("/").removesuffix(".ipynb").removesuffix(".py")
        name = name.removesuffix("/lesson").removesuffix("/exercises").removesuffix("_exercises").rpartition("/")[2]
        wanted = name.zfill(2) if name.isdigit() else name
        names = {key: c for c in self.chapters for key in (c.number, c.slug, c.topic)}
        if wanted in names:
            return names[wanted]
        begins = {c.slug: c for key, c in names.items() if wanted and key.startswith(wanted)}
        if len(begins) == 1:
            return next(iter(begins.values()))
        near = sorted(begins) or sorted({names[k].slug for k in difflib.get_close_matches(wanted, names, 3, 0.5)})
        if begins:
            raise CourseError(f"{name!r} may be any of {', '.join(near)}: give more of its name")
        known = ", ".join(c.slug for c in self.chapters)
        raise CourseError(
            f"there is no chapter {name!r}. "
            + (f"Did you mean {' or '.join(near)}?" if near else f"There are: {known}")
        )

    def select(self, names: list[str] | None) -> list[Chapter]:
        """The chapters called `names`, each once and in the order of the register; all of them for none."""
        found = {self.find(name).slug for name in names} if names else {c.slug for c in self.chapters}
        return [c for c in self.chapters if c.slug in found]


def _of_type(entry: dict, kinds: dict[str, type | tuple[type, ...]], where: str) -> None:
    """Each field is of its kind, texts are not empty and numbers that count something are positive."""
    names = {str: "a text in quotes", int: "a whole number above 0", list: "a list", dict: "a table"}
    for name, value in entry.items():
        kind = kinds[name]
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits or (kind is str and not value.strip()) or (kind is int and value <= 0):
            raise CourseError(f"{where}: {name} is {value!r}; expected {names.get(kind, 'a number')}")


def _toml(path: Path, hint: str) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{path} is missing: {hint}") from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{path} is not valid TOML: {error}") from None
