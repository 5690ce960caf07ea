"""Tables that people edit in spreadsheets: read in whatever form they were saved, written back in the same form."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

MARKS = {  # how a file begins that says its encoding
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
LINES_ABOVE = 10  # a header stands within so many lines


@dataclass(frozen=True)
class Form:
    """How a spreadsheet saved a table. `decimal` is the sign in its numbers."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."


@dataclass
class Table:
    """Rows as column → text, and the form they had in the file."""

    columns: list[str]
    rows: list[dict[str, str]] = field(default_factory=list)
    form: Form = Form()


def read_table(path: Path, *wanted: str) -> Table | None:
    """The table in a file: its header is the first line that has one of the columns `wanted`. None without such a line.

    Commas, semicolons, tabs and bars divide columns; UTF-8, UTF-16 and UTF-32 with and without a mark, and the encoding
    of Windows are read. Nothing is cleaned up but names of columns.
    """
    text, encoding = _decoded(path.read_bytes())
    best: tuple[int, str, list[list[str]]] | None = None
    for delimiter in ",;\t|":
        try:
            lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(line)]
        except csv.Error:
            continue
        for at, line in enumerate(lines[:LINES_ABOVE]):
            if {_plain(cell) for cell in line} & {_plain(name) for name in wanted}:
                if best is None or len(line) > best[0]:
                    best = len(line), delimiter, lines[at:]
                break
    if best is None:
        return None
    _, delimiter, (header, *lines) = best
    width = max(map(len, [header, *lines]))
    columns = _named([*header, *[""] * (width - len(header))], lines)
    kept = [at for at, name in enumerate(columns) if name]
    rows = [{columns[at]: line[at] for at in kept if at < len(line)} for line in lines]
    return Table([columns[at] for at in kept], rows, Form(encoding, delimiter, _decimal(lines, delimiter)))


def written(table: Table) -> bytes:
    """The file of a table. UTF-8 has a mark where there is more than ASCII: without it, Excel takes it for another."""
    text = io.StringIO()
    lines = csv.writer(text, delimiter=table.form.delimiter, lineterminator="\n")
    lines.writerow(table.columns)
    lines.writerows([row.get(column, "") for column in table.columns] for row in table.rows)
    encoding = table.form.encoding if table.form.encoding in ("utf-8-sig", "utf-16") else "utf-8"
    if encoding == "utf-8" and not text.getvalue().isascii():
        encoding = "utf-8-sig"
    return text.getvalue().encode(encoding, errors="replace")


def number(text: str) -> float:
    """The number that a person wrote: 0.5, 0,5, −1, +2. ValueError for anything else."""
    plain = re.sub(r"\s", "", text).replace("\N{MINUS SIGN}", "-")
    if "," in plain and "." not in plain:
        plain = plain.replace(",", ".")
    if not NUMBER.fullmatch(plain):
        raise ValueError(f"{text.strip()!r} is no number")
    return float(plain)


def shown(value: float, form: Form = Form()) -> str:
    return f"{round(value, 4) + 0.0:.10g}".replace(".", form.decimal)


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _decoded(data: bytes) -> tuple[str, str]:
    encodings = [name for mark, name in MARKS.items() if data.startswith(mark)][:1]
    if not encodings and b"\0" in data[:1000]:
        encodings = ["utf-16-le" if data[1:1000:2].count(0) >= data[:1000:2].count(0) else "utf-16-be"]
    for encoding in [*encodings, "utf-8", "cp1252"]:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        text, encoding = data.decode("latin-1"), "latin-1"
    encoding = "utf-16" if encoding.startswith("utf-16") else encoding
    return re.sub(r"\A\ufeff*(sep=.[\r\n]+)?", "", text).replace("\0", ""), encoding


def _named(header: list[str], lines: list[list[str]]) -> list[str]:
    """The names of the columns, each another; none for an empty column that no line fills."""
    names: list[str] = []
    for at, name in enumerate(map(str.strip, header)):
        if not name and any(line[at:] and line[at].strip() for line in lines):
            name = f"column {at + 1}"
        number = 2
        while name and name in names:
            name, number = f"{header[at].strip()} ({number})", number + 1
        names.append(name)
    return names


def _decimal(lines: list[list[str]], delimiter: str) -> str:
    """The sign in numbers: what is seen, else what goes with the delimiter."""
    cells = [cell.strip() for line in lines for cell in line]
    if any(re.fullmatch(r"-?\d+,\d+%?", cell) for cell in cells):
        return ","
    return "," if delimiter == ";" and not any(re.fullmatch(r"-?\d+\.\d+%?", cell) for cell in cells) else "."


def _plain(name: str) -> str:
    return name.strip().casefold()
