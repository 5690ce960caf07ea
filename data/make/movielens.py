"""Make `data/movielens/movielens.npz` from the Debian package `r-cran-dslabs`.

    python data/make/movielens.py

Needs `apt-get`, `dpkg-deb` and a network, once, but no R: `read_r` understands as much of R's format as is in the file.
The package holds GroupLens' set as one table: film, title, year, genres, user, stars and time of each rating.
"""

from __future__ import annotations

import gzip
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
from files import DATA, register, write_npz

PACKAGE, VERSION = "r-cran-dslabs", "0.7.4-1"
# The package cuts the titles at the year in brackets and lost those without one: here they are as GroupLens has them.
LOST_TITLES = {
    108548: "Big Bang Theory, The (2007-)",
    108583: "Fawlty Towers (1975-1979)",
    143410: "Hyena Road",
    151307: "The Lovers and the Despot",
    162376: "Stranger Things",
}
INTEGERS, REALS, STRINGS, LISTS = (10, 13), 14, 16, 19


def read_r(raw: bytes):
    """The object in R's binary format (XDR, version 3): arrays, lists of strings, lists.

    One that has attributes (names, levels, class) comes as a pair, the object and a dict.
    """
    if raw[:6] != b"X\n\0\0\0\3":
        raise ValueError(f"not R's binary format, version 3: it begins with {raw[:6]!r}")
    at = 14  # behind the mark, the format's version and two versions of R
    symbols = []

    def take(n: int) -> bytes:
        nonlocal at
        at += n
        return raw[at - n : at]

    def integer() -> int:
        return struct.unpack(">i", take(4))[0]

    def pairs(flags: int) -> dict:
        found = {}
        while flags & 255 == 2:
            name = item(integer())
            found[name] = item(integer())
            flags = integer()
        return found

    def item(flags: int):
        kind, has_attributes = flags & 255, flags & 512
        if kind == 2:
            return pairs(flags)
        if kind == 1:  # a symbol: its name follows, and later items point to it
            symbols.append(item(integer()))
            return symbols[-1]
        if kind == 255:
            return symbols[(flags >> 8) - 1]
        if kind == 254:
            return None
        length = integer()
        if kind == 9:
            return None if length == -1 else take(length).decode()
        if kind in INTEGERS:
            value = np.frombuffer(take(4 * length), ">i4")
        elif kind == REALS:
            value = np.frombuffer(take(8 * length), ">f8")
        elif kind in (STRINGS, LISTS):
            value = [item(integer()) for _ in range(length)]
        else:
            raise ValueError(f"R's type {kind} at byte {at} is none that this reader knows")
        return (value, pairs(integer())) if has_attributes else value

    take(integer())  # the name of the encoding
    return item(integer())


def table(folder: Path, name: str) -> dict:
    """A data frame out of an R package's `data/Rdata.rdx` (where each object begins) and `data/Rdata.rdb`."""
    (variables, _, _), _ = read_r(gzip.decompress((folder / "Rdata.rdx").read_bytes()))
    spans, names = variables[0], variables[1]["names"]
    start, length = spans[names.index(name)]
    chunk = (folder / "Rdata.rdb").read_bytes()[start : start + length]
    columns, attributes = read_r(zlib.decompress(chunk[4:]))  # behind its length
    return dict(zip(attributes["names"], columns, strict=True))


def arrays(frame: dict) -> dict[str, np.ndarray]:
    """Users and films counted from 0, stars doubled, titles with their year as GroupLens writes them."""
    numbers, first, film = np.unique(frame["movieId"], return_index=True, return_inverse=True)
    users, user = np.unique(frame["userId"], return_inverse=True)
    codes, levels = frame["genres"][0], frame["genres"][1]["levels"]
    titles = [
        LOST_TITLES[int(number)] if frame["title"][i] is None else f"{frame['title'][i]} ({frame['year'][i]})"
        for number, i in zip(numbers, first, strict=True)
    ]
    half_stars = (2 * frame["rating"]).astype(np.uint8)
    if not ((half_stars == 2 * frame["rating"]).all() and half_stars.min() == 1 and half_stars.max() == 10):
        raise ValueError("the stars are not 0.5, 1, ... 5")
    if len(users) != 671 or len(numbers) != 9066 or len(film) != 100_004:
        raise ValueError(f"{len(film)} ratings by {len(users)} users of {len(numbers)} films: not the set expected")
    return {
        "user": user.astype(np.int16),
        "film": film.astype(np.int16),
        "half_stars": half_stars,
        "title": np.array(titles, dtype="<U"),
        "genres": np.array([levels[codes[i] - 1] for i in first], dtype="<U"),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "-qq", f"{PACKAGE}={VERSION}"], cwd=folder, check=True)
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        frame = table(Path(folder, "usr/lib/R/site-library/dslabs/data"), "movielens")
    path = DATA / "movielens" / "movielens.npz"
    write_npz(path, arrays(frame))
    print(f"{register(path)}  {path}")
