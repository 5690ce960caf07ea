"""One word for one thing: the words that `docs/style.md` rules out are in no text and in no name."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Those which have to quote the words: the table itself, and this test.
QUOTED = {"docs/style.md", "tests/test_words.py"}
WORDS = {
    r"mend(s|ed|ing)?": "fix, remedy, re-initialize",
    r"truth gates?": "checks against known answers",
    r"dull( baselines?)?": "simple",
    r"foret(old|ell|ells|elling)": "predicted",
    r"odd ones": "outliers",
    r"kept points": "validation set",
    r"unspell\w*": "decode",
    r"out of step": "stale",
    r"handed in": "submitted",
    r"half as wide again": "one and a half times as wide",
    r"Jensen takes less|less is boasting": "a sentence that says what happens",
}
BRITISH = (
    r"\w*(colour|neighbour|behaviour|favour|labelled|labelling|modelled|modelling|artefact|licence)\w*"
    r"|(un)?centre(d|s)?|grey\w*|analysed?|catalogue\w*"
    r"|(un|re|de)?(normal|binar|quant|optim|regular|initial|standard|maxim|minim|factor|recogn|general|synchron)is"
    r"(e|es|ed|er|ers|ing|ation|ations)"
)
NAMES = re.compile(
    r"(^|_)(forger|detective|surprise|surprisal|spell|unspell|chances|dull|mend|mended|whitened|expanded|foretold)(_|$)",
    re.I,
)


def texts() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "Makefile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split() if name not in QUOTED and (ROOT / name).exists()]


def lines_with(pattern: str) -> list[str]:
    expression = re.compile(rf"(?<![A-Za-z])({pattern})(?![A-Za-z])", re.IGNORECASE)
    return [
        f"{name}:{number}: {found[0]}"
        for name in texts()
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1)
        if (found := expression.search(line))
    ]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_is_out_is_nowhere(word):
    found = lines_with(word)
    assert not found, f"say {WORDS[word]} instead:\n" + "\n".join(found)


def test_spelling_is_that_of_the_united_states():
    # An exercise's id never changes, and the function is called like it.
    found = [line for line in lines_with(BRITISH) if "reparameterise" not in line]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [name for name in texts() if name.endswith(".py")])
def test_names_are_the_fields_terms(name):
    tokens = tokenize.generate_tokens(io.StringIO((ROOT / name).read_text(encoding="utf-8")).readline)
    found = {token.string for token in tokens if token.type == tokenize.NAME and NAMES.search(token.string)}
    assert not found, f"{name}: {sorted(found)}; see docs/style.md"


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("how to mend it", r"mend(s|ed|ing)?"),
        ("a colourful grid", BRITISH),
        ("the centre", BRITISH),
        ("optimiser", BRITISH),
    ],
)
def test_the_patterns_find_what_they_are_for(text, pattern):
    assert re.search(rf"(?<![A-Za-z])({pattern})(?![A-Za-z])", text, re.IGNORECASE)
    assert not re.search(rf"(?<![A-Za-z])({pattern})(?![A-Za-z])", "recommend color center optimizer", re.IGNORECASE)
