"""The register of chapters, `chapters/course.toml`, and where each chapter's files lie."""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from utils.checkout import NEEDED, ROOT, is_checkout
from utils.course import CourseError

FIELDS = {"title", "part", "promise", "needs", "minutes", "budget", "results"}


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    `minutes` is the time to read; `budget` the seconds a run may take on two cores; `needs` the chapters to read
    before; `results` maps the key of a recorded result to the interval `(low, high)` it must lie in.
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

    @property
    def number(self) -> str:
        return self.slug.split("_")[0]

    @property
    def lesson(self) -> Path:
        return self.root / "chapters" / f"{self.slug}.ipynb"

    @property
    def exercises(self) -> Path:
        return self.root / "chapters" / f"{self.slug}_exercises.ipynb"

    @property
    def solutions(self) -> Path:
        return self.root / "solutions" / f"{self.slug}_exercises.ipynb"


class Register:
    """All chapters of the course that lies at `root`, in order."""

    def __init__(self, root: Path = ROOT):
        self.root = Path(root).resolve()
        self.path = self.root / "chapters" / "course.toml"

    @cached_property
    def chapters(self) -> list[Chapter]:
        try:
            entries = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self.root == ROOT and not is_checkout():
                raise CourseError(NEEDED) from None
            raise CourseError(f"{self.path} is missing: is {self.root} the root of the course?") from None
        except tomllib.TOMLDecodeError as error:
            raise CourseError(f"{self.path} is not valid TOML: {error}") from None
        return [self._chapter(slug, entry) for slug, entry in sorted(entries.items())]

    def _chapter(self, slug: str, entry: dict) -> Chapter:
        where = f"{self.path.name}, [{slug}]"
        missing = {"title", "part", "promise", "minutes", "budget"} - entry.keys()
        unknown = entry.keys() - FIELDS
        if missing or unknown:
            raise CourseError(
                f"{where}: missing {sorted(missing) or 'nothing'}, unknown {sorted(unknown) or 'nothing'}"
            )
        if not slug[:2].isdigit() or slug[2:3] != "_":
            raise CourseError(f"{where}: a chapter is called NN_topic, with two digits")
        results = {}
        for key, interval in entry.get("results", {}).items():
            low, high = interval.get("low", -math.inf), interval.get("high", math.inf)
            if not interval or interval.keys() - {"low", "high"} or low > high:
                raise CourseError(f"{where}: result {key!r} needs low and/or high, with low <= high")
            results[key] = (float(low), float(high))
        fields = {name: entry[name] for name in ("title", "part", "promise", "minutes", "budget")}
        return Chapter(slug=slug, root=self.root, needs=tuple(entry.get("needs", ())), results=results, **fields)

    def find(self, name: str) -> Chapter:
        """The chapter called `name`: its number, its slug (with or without the number), or a unique beginning of it.

        Raises:
            CourseError: naming near matches, when there is no such chapter or more than one.
        """
        name = name.strip().removesuffix(".ipynb").removesuffix(".py").removesuffix("_exercises")
        wanted = name.zfill(2) if name.isdigit() else name
        names = {key: c for c in self.chapters for key in (c.number, c.slug, c.slug[3:])}
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
