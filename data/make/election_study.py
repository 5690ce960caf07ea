"""Make `data/election_study.csv` from the data set `anes96` of the installed package statsmodels.

    python data/make/election_study.py

The package separates the columns with tabs and quotes their names; here they are plain and separated with commas. The
values are the same.
"""

from __future__ import annotations

import csv
import io
from importlib import resources

from files import DATA, register, require

VERSION = "0.15.0"
ROWS = 944

if __name__ == "__main__":
    require("statsmodels", VERSION)
    text = (resources.files("statsmodels") / "datasets" / "anes96" / "anes96.csv").read_text(encoding="utf-8")
    names, *rows = csv.reader(io.StringIO(text), delimiter="\t", quotechar="'")
    if len(rows) != ROWS or any(len(row) != len(names) for row in rows):
        raise SystemExit(
            f"anes96 of statsmodels {VERSION} has {len(rows)} rows, expected {ROWS} of {len(names)} values"
        )
    path = DATA / "election_study.csv"
    lines = [names, *([str(int(value)) for value in row] for row in rows)]
    path.write_bytes(("\n".join(map(",".join, lines)) + "\n").encode())
    print(f"{register(path)}  {path}")
