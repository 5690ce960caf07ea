"""The families of the course side by side: what each can do, what it cannot, and what it costs.

A row stands in the `chapter.toml` of the chapter that teaches the family, under `[family]`.
"""

from __future__ import annotations

import sys
import tomllib
from html import escape

from utils.output import show
from utils.results import CHAPTERS

COLUMNS = {
    "name": "family",
    "likelihood": "log-likelihood",
    "samples": "samples",
    "latent": "latent",
    "good": "good at",
    "bad": "bad at",
}


def families(upto: str) -> None:
    """Show the families that are known by the end of a chapter, one a row.

    Args:
        upto: the chapter's number, two digits.

    Raises:
        ValueError: when no family is taught in that chapter.

    >>> families("01")
    family                 log-likelihood  samples  latent     good at                       bad at
    Generative classifier  exact           at once  the class  few examples, missing values  one simple shape a class
    """
    sys.audit("utils.families.shown", upto)  # so that who showed the table can be found when a row changes
    texts = {file.parent.name[:2]: file.read_text(encoding="utf-8") for file in sorted(CHAPTERS.glob("*/chapter.toml"))}
    taught = {number: row for number, text in texts.items() if (row := tomllib.loads(text).get("family"))}
    if upto not in taught:
        raise ValueError(f"no family is taught in chapter {upto!r}: expected one of {', '.join(taught)}")
    known = [[row[column] for column in COLUMNS] for number, row in taught.items() if number <= upto]
    rows = [list(COLUMNS.values()), *known]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    body = "".join(_html_row(row, "td") for row in known)
    html = f"<table><thead>{_html_row(rows[0], 'th')}</thead><tbody>{body}</tbody></table>"
    show("\n".join(lines), html=html)


def _html_row(row: list[str], tag: str) -> str:
    cells = "".join(f'<{tag} style="text-align: left">{escape(cell)}</{tag}>' for cell in row)
    return f"<tr>{cells}</tr>"
