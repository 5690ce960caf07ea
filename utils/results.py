"""Record a measured number so that a reader sees it and a program finds it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path

from utils.output import show

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
MIME = "application/vnd.course.result+json"  # one result, or the list of those that one table shows
KINDS = ("exact", "bound", "estimate", "score")
_open_table: list[dict] | None = None


def record(
    key: str,
    value: float,
    *,
    unit: str = "",
    kind: str = "exact",
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Print one line (in a block `with record_table():` a row of its table) and leave the number as data.

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

    data = {
        "key": key,
        "value": value,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "unit": unit,
        "kind": kind,
    }
    if _open_table is not None:
        _open_table.append(data)
        return
    interval = _interval(data)
    line = f"{key} = {value:.6g}{' ' + unit if unit else ''} ({kind}{', ' + interval if interval else ''})"
    show(line, data={MIME: data})


@contextmanager
def record_table(title: str = "") -> Iterator[None]:
    """Show what is recorded inside of the block as one table, and leave each number as data.

    Args:
        title: what the table shows, in bold above it.

    Raises:
        RuntimeError: inside of another table.

    >>> with record_table("On test images"):
    ...     record("mixture_nll", 136.98, unit="nats/image")
    ...     record("vae_nll", 97.2, unit="nats/image", kind="estimate", low=96.9, high=97.5)
    On test images
    result       value   interval               unit        kind
    mixture nll  136.98                         nats/image  exact
    vae nll      97.2    between 96.9 and 97.5  nats/image  estimate
    """
    global _open_table
    if _open_table is not None:
        raise RuntimeError("a table of results cannot hold another one: close the block `with record_table()` before")
    _open_table = results = []
    try:
        yield
    finally:  # also what was measured before an error is shown
        _open_table = None
        if results:
            show(_as_text(title, results), html=_as_html(title, results), data={MIME: results})


def results_in(cells: Iterable[Mapping]) -> list[dict]:
    """The results that the outputs of a notebook's cells hold, in order."""
    found = [output.get("data", {}).get(MIME, []) for cell in cells for output in cell.get("outputs", [])]
    return [dict(result) for held in found for result in ([held] if isinstance(held, Mapping) else held)]


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
    return _Recorded(number, {result["key"]: result for result in results_in(cells)})


def _interval(result: Mapping) -> str:
    low, high = result["low"], result["high"]
    return "" if low is None or low == high else f"between {low:.5g} and {high:.5g}"


def _table(results: list[dict]) -> list[tuple[str, ...]]:
    """The rows of the table below their heading; a column in which nothing stands is left out."""
    rows = [("result", "value", "interval", "unit", "kind")]
    for result in results:
        words = result["key"].replace("_", " ")
        rows.append((words, f"{result['value']:.6g}", _interval(result), result["unit"], result["kind"]))
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return list(zip(*columns, strict=True))


def _as_text(title: str, results: list[dict]) -> str:
    rows = _table(results)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([title, *lines] if title else lines)


def _as_html(title: str, results: list[dict]) -> str:
    heading, *rows = [[escape(entry) for entry in row] for row in _table(results)]
    lines = [f"<p><b>{escape(title)}</b></p>"] if title else []
    lines.append("<table><thead><tr>" + "".join(f"<th>{entry}</th>" for entry in heading) + "</tr></thead><tbody>")
    lines += ["<tr>" + "".join(f"<td>{entry}</td>" for entry in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</tbody></table>"])
