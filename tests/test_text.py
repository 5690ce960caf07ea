"""The text and the names: what is in them, and that the test holds whole chapters."""

from __future__ import annotations

import lzma

import pytest

from utils.data import path
from utils.text import load_names, load_text


def test_every_twentieth_chapter_is_for_the_test_whole():
    kjv = load_text("kjv")
    train, test = (part.split("\n\n") for part in (kjv.train, kjv.test))
    assert (len(train), len(test)) == (1130, 59) and not set(train) & set(test)
    assert test[0].startswith("And the whole earth was of one language, and of one speech.\nAnd it came to pass")
    assert train[-1].endswith("The grace of our Lord Jesus Christ be with you all. Amen.")
    raw = lzma.decompress(path("text/kjv.txt.xz").read_bytes()).decode().splitlines()
    assert sum(part.count("\n") + 1 for part in (*train, *test)) == len(raw) == 31_102
    assert sum(len(line.split(" ", 1)[1]) + 1 for line in raw) == len(kjv.train) + len(kjv.test) + 2 - 1187
    assert len(kjv.characters) == 63 and set(kjv.test) <= set(kjv.train)


def test_another_text_is_refused():
    with pytest.raises(ValueError, match="there is no text 'shakespeare': expected 'kjv'"):
        load_text("shakespeare")


def test_names_come_with_their_probabilities_the_most_common_first():
    names, shares = load_names(100)
    assert len(names) == len(set(names)) == len(shares) == 100 and names[0] == "Michael"
    assert shares.sum().item() == pytest.approx(1, abs=1e-12) and (shares.diff() <= 0).all()
    everyone, all_shares = load_names(690)
    assert everyone[:100] == names and (all_shares[:100] / all_shares[0]).allclose(shares / shares[0])
    with pytest.raises(ValueError, match="n is 5000: expected at most"):
        load_names(5000)
