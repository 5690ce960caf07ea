"""Text: a long one to learn a language from, split by chapters, and a list of names whose distribution is known.

>>> kjv = load_text("kjv")
>>> kjv
kjv: 3943683 + 195352 characters, 63 different ones
>>> kjv.train[:55]
'In the beginning God created the heaven and the earth.\\n'
>>> names, shares = load_names(3)
>>> names, round(shares.sum().item(), 9)
(['Michael', 'David', 'James'], 1.0)
"""

from __future__ import annotations

import csv
import lzma
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.data import path
from utils.validation import whole

VERSE = re.compile(r"(\w+?)(\d+):\d+ (.*)")
TEST_EVERY = 20  # one chapter in twenty is for the test


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text in two parts that share no chapter.

    Attributes:
        name: what it was loaded as.
        train, test: chapters, an empty line between two; verses, one a line.
        license: under which conditions the text may be used.
        source: where it comes from.
    """

    name: str
    train: str
    test: str
    license: str
    source: str

    @property
    def characters(self) -> list[str]:
        """The different characters of both parts, sorted."""
        return sorted(set(self.train) | set(self.test))

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} + {len(self.test)} characters"
        return f"{self.name}: {sizes}, {len(self.characters)} different ones"


def load_text(name: str) -> Text:
    """Load a text by its name; the only one is "kjv", the King James Version of the Bible, without references.

    Every twentieth chapter is for the test, whole. Lines or windows cut at random would not do: neighboring verses
    share their names and phrases, so that the test would ask for what training has just shown.

    Raises:
        ValueError: for an unknown name.
        DataError: when the file is missing or damaged.
    """
    if name != "kjv":
        raise ValueError(f"there is no text {name!r}: expected 'kjv'")
    chapters: dict[tuple[str, str], list[str]] = {}
    for line in lzma.decompress(path("text/kjv.txt.xz").read_bytes()).decode().splitlines():
        book, chapter, verse = VERSE.fullmatch(line).groups()
        chapters.setdefault((book, chapter), []).append(verse)
    joined = ["\n".join(verses) for verses in chapters.values()]
    test = slice(TEST_EVERY // 2, None, TEST_EVERY)
    held_out = joined[test]
    del joined[test]
    return Text(
        name,
        "\n\n".join(joined),
        "\n\n".join(held_out),
        license="public domain: the copyright has expired",
        source="The King James Version of the Bible, 1611, in the spelling of 1769",
    )


def load_names(n: int) -> tuple[list[str], Tensor]:
    """The `n` most common first names of the United States, and how common each is among them.

    Returns:
        The names, the most common first, and their probabilities `(n,)` in float64, which sum to 1.

    Raises:
        ValueError: for fewer names than one, or more than the list has.
    """
    shares: dict[str, float] = {}
    with path("text/names.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            shares[row["name"]] = shares.get(row["name"], 0.0) + float(row["share"])
    n = whole("n", n)
    if n > len(shares):
        raise ValueError(f"n is {n}: expected at most {len(shares)}, as many names as the list has")
    common = sorted(shares, key=lambda name: (-shares[name], name))[:n]
    p = torch.tensor([shares[name] for name in common], dtype=torch.float64)
    return common, p / p.sum()
