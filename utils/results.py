"""Record a measured number so that a reader sees it and a program finds it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from utils.output import show

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
MIME = "application/vnd.course.result+json"
KINDS = ("exact", "bound", "estimate", "score")


def record(
    key: str,
    value: float,
    *,
    unit: str = "",
    kind: str = "exact",
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Print one line and leave the number in the cell's output as data.

    Args:
        key: name of the result, unique in its lesson; the chapter's `chapter.toml` may require an interval for it.
        value: the number. It must be finite.
        unit: what it is counted in, such as ``"nats/image"``.
        kind: ``exact`` (computed, no sampling), ``bound`` (the truth lies on one side), ``estimate`` (of a quantity,
            by sampling: give its interval) or ``score`` (a measure of quality on this data).
        low, high: the interval of an estimate, in the same unit.

    Raises:
        ValueError: for a value that is not finite, an unknown kind, an estimate without an interval, or an interval
            that does not hold the value.

    >>> record("test NLL", 136.98, unit="nats/image", kind="exact")
    test NLL = 136.98 nats/image (exact)
    """
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"the result {key!r} is {value}: a result must be a finite number")
    if kind not in KINDS:
        raise ValueError(f"the result {key!r} has kind {kind!r}: expected one of {', '.join(KINDS)}")
    if kind == "exact":
        low = high = value
    elif (low is None) != (high is None) or (kind == "estimate" and low is None):
        raise ValueError(f"the result {key!r} ({kind}) needs both low= and high=, the ends of its interval")
    if low is not None and not low <= value <= high:
        raise ValueError(f"the result {key!r} is {value}, outside of its own interval [{low}, {high}]")

    interval = "" if low is None or low == high else f", between {low:.5g} and {high:.5g}"
    line = f"{key} = {value:.6g}{' ' + unit if unit else ''} ({kind}{interval})"
    data = {
        "key": key,
        "value": value,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "unit": unit,
        "kind": kind,
    }
    show(line, data={MIME: data})


class _Recorded(Mapping):
    """The results of a chapter. Each that is read is announced, so that whoever depends on it can be found."""

    def __init__(self, number: str, results: dict[str, dict]):
        self._number, self._results = number, results

    def __getitem__(self, key: str) -> dict:
        sys.audit("utils.results.recorded", self._number, key)
        return self._results[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"recorded({self._number!r}): {', '.join(self)}"


def recorded(number: str) -> Mapping[str, dict]:
    """What another chapter's lesson recorded, as its committed notebook holds it.

    Args:
        number: of the chapter, two digits.

    Returns:
        For each key a dictionary with `value`, `low`, `high`, `unit` and `kind`, as given to `record`.

    Raises:
        ValueError: when there is no such chapter.

    >>> recorded("04")["bernoulli_k100_nll"]["kind"]
    'exact'
    """
    found = list(CHAPTERS.glob(f"{number}_*/lesson.ipynb"))
    if len(found) != 1:
        numbers = sorted({path.parent.name[:2] for path in CHAPTERS.glob("[0-9][0-9]_*/lesson.ipynb")})
        raise ValueError(f"there is no chapter {number!r}: expected one of {', '.join(numbers)}")
    cells = json.loads(found[0].read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return _Recorded(number, {output[MIME]["key"]: output[MIME] for output in outputs if MIME in output})
