"""Checks of chapter 13: a merge of byte-pair encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Generator

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import parts

Pair = tuple[int, int]
Words = list[list[int]]

# --- how a pair is chosen, rightly and wrongly -----------------------------------------------------------------------


def _places(words: Words, counts: list[int], per_place: Callable[[list[int]], list[Pair]]) -> Counter[Pair]:
    found: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in per_place(word):
            found[pair] += count
    return found


def _overlapping(word: list[int]) -> list[Pair]:
    return list(pairwise(word))


def _apart(word: list[int]) -> list[Pair]:
    """Pairs that share no token with the same pair before them."""
    found, free = [], {}
    for i, pair in enumerate(pairwise(word)):
        if free.get(pair, 0) <= i:
            found.append(pair)
            free[pair] = i + 2
    return found


def _first_of(found: Counter[Pair], order: Callable[[Pair], Any] | None) -> Pair:
    best = max(found.values())
    tied = [pair for pair, count in found.items() if count == best]
    return min(tied, key=order) if order else tied[0]


def _chosen(
    words: Words,
    counts: list[int],
    per_place: Callable[[list[int]], list[Pair]] = _overlapping,
    order: Callable[[Pair], Any] | None = lambda pair: pair,
    weighted: bool = True,
    joined: bool = False,
) -> Pair:
    if joined:
        words, counts = [[token for word in words for token in word]], [1]
    return _first_of(_places(words, counts if weighted else [1] * len(words), per_place), order)


def _last_of_equals(words: Words, counts: list[int]) -> Pair:
    found = _places(words, counts, _overlapping)
    return [pair for pair, count in found.items() if count == max(found.values())][-1]


def _rarest(words: Words, counts: list[int]) -> Pair:
    found = _places(words, counts, _overlapping)
    return min(found, key=lambda pair: (found[pair], pair))


def _one_place(words: Words, counts: list[int]) -> Pair:
    """Of all places, the one whose word occurs most."""
    best = {
        pair: count
        for word, count in sorted(zip(words, counts, strict=True), key=lambda both: both[1])
        for pair in pairwise(word)
    }
    return min(best, key=lambda pair: (-best[pair], pair))


CHOICES: list[tuple[Callable[[Words, list[int]], Pair], str, str]] = [
    (
        partial(_chosen, weighted=False),
        "You count each word once: a pair in a word that occurs 20 times counts 20 times.",
        "Add the word's count at each place of the pair.",
    ),
    (
        partial(_chosen, per_place=_apart),
        "You count places that overlap only once: in [7, 7, 7] the pair (7, 7) stands twice.",
        "Each position i counts the pair of tokens i and i + 1.",
    ),
    (
        partial(_chosen, per_place=lambda word: list(dict.fromkeys(pairwise(word)))),
        "You count a pair once for each word that holds it, also where it stands in the word several times.",
        "Each position i counts the pair of tokens i and i + 1.",
    ),
    (
        partial(_chosen, joined=True),
        "You count pairs across the borders of words, and each word once.",
        "The last token of a word and the first of the next are no neighbors.",
    ),
    (
        partial(_chosen, order=None),
        "Of several pairs with the same count you take the one that was seen first.",
        "The smallest pair wins: `min` compares tuples by the first entry, then by the second.",
    ),
    (
        _last_of_equals,
        "Of several pairs with the same count you take the one that was seen last.",
        "The smallest pair wins: `min` compares tuples by the first entry, then by the second.",
    ),
    (
        partial(_chosen, order=lambda pair: (-pair[0], -pair[1])),
        "Of several pairs with the same count you take the largest.",
        "The smallest pair wins: `max` over (count, pair) takes the largest pair, too.",
    ),
    (
        partial(_chosen, order=lambda pair: pair[::-1]),
        "Of several pairs with the same count you take the one with the smallest second id.",
        "Compare the first ids before the second ones.",
    ),
    (
        partial(_chosen, order=lambda pair: pair[0]),
        "Of several pairs with the same count and first id you take the one that was seen first.",
        "Of equal first ids, the smaller second one: compare whole tuples.",
    ),
    (
        partial(_chosen, order=str),
        "Of several pairs with the same count you take the smallest as text, where 10 comes before 9.",
        "Compare numbers: `min` of tuples.",
    ),
    (
        partial(_chosen, order=sum),
        "Of several pairs with the same count you take the one with the smallest sum of ids.",
        "Compare the first ids before the second ones.",
    ),
    (
        partial(_chosen, per_place=lambda word: [(min(pair), max(pair)) for pair in pairwise(word)]),
        "You count (a, b) and (b, a) as one pair: their order matters.",
        "The pair of tokens i and i + 1 is (word[i], word[i + 1]).",
    ),
    (_one_place, "You do not add up the places of a pair: the largest count of a single word wins.", "Use `+=`."),
    (_rarest, "You take the rarest pair.", "The highest count wins."),
]

# --- how a word is rewritten, rightly and wrongly --------------------------------------------------------------------


def _merged(
    word: list[int], pair: Pair, new: int, fits: Callable[[Any], bool] | None = None, most: int = -1
) -> list[int]:
    fits = fits or (lambda found: found == pair)
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and fits((word[i], word[i + 1])) and most != 0:
            out.append(new)
            i, most = i + 2, most - 1
        else:
            out.append(word[i])
            i += 1
    return out


def _each(word: list[int], pair: Pair, new: int) -> list[int]:
    """Overlapping places, too: one new token for each."""
    if len(word) < 2:
        return word
    made, covered = [], False
    for i, token in enumerate(word):
        if tuple(word[i : i + 2]) == pair:
            made.append(new)
            covered = True
        else:
            if not covered:
                made.append(token)
            covered = False
    return made


def _second_kept(word: list[int], pair: Pair, new: int) -> list[int]:
    return [new if found == pair else found[0] for found in pairwise(word)] + word[-1:]


def _last_lost(word: list[int], pair: Pair, new: int) -> list[int]:
    merged = _merged(word, pair, new)
    return merged if tuple(word[-2:]) == pair and merged[-1] == new else merged[:-1]


def _as_text(word: list[int], pair: Pair, new: int) -> list[int]:
    return [int(part) for part in " ".join(map(str, word)).replace("{} {}".format(*pair), str(new)).split()]


REWRITTEN: list[tuple[Callable[[list[int], Pair, int], list[int]], str, str]] = [
    (lambda word, pair, new: word, "The words are as they were: the pair is not replaced.", "Write `new` for it."),
    (
        lambda word, pair, new: _merged(word[::-1], pair[::-1], new)[::-1],
        "You replace from right to left: [7, 7, 7] should become [new, 7], not [7, new].",
        "Begin at the first token; after a pair go on two tokens later.",
    ),
    (
        _each,
        "You replace places that overlap: the middle token of [7, 7, 7] is used twice.",
        "After a pair go on two tokens later.",
    ),
    (_second_kept, "The second token of a pair stays where it was.", "After a pair go on two tokens later."),
    (partial(_merged, most=1), "You replace the pair in each word only once.", "Go on to the end of the word."),
    (
        lambda word, pair, new: _merged(word, pair, new, fits=lambda found: found[0] == pair[0]),
        "You replace every pair that begins with the same token.",
        "Compare both tokens.",
    ),
    (
        lambda word, pair, new: _merged(word, pair, new, fits=lambda found: found[1] == pair[1]),
        "You replace every pair that ends with the same token.",
        "Compare both tokens.",
    ),
    (
        lambda word, pair, new: _merged(word, pair, new, fits=lambda found: found in (pair, pair[::-1])),
        "You replace the reversed pair, too.",
        "Only (a, b) becomes `new`, not (b, a).",
    ),
    (
        _as_text,
        "You replace digits of a text: with the pair (7, 7), the text 7 73 has 7 7 in it, but not the pair.",
        "Compare ids, not their digits.",
    ),
    (
        _last_lost,
        "The last token of a word is lost where no pair ends there.",
        "It has no right neighbor, but it stays.",
    ),
]

# --- the check -------------------------------------------------------------------------------------------------------


def _case(generator: Generator) -> tuple[Words, list[int], int]:
    """Words of few different tokens, so that pairs overlap and counts tie; one word of one token."""
    ids = sorted((5 + torch.randperm(90, generator=generator)[:3]).tolist())
    lengths = torch.randint(2, 7, (4,), generator=generator).tolist()
    words = [[ids[i] for i in torch.randint(3, (length,), generator=generator).tolist()] for length in lengths]
    counts = torch.randint(1, 4, (5,), generator=generator).tolist()
    words.insert(int(torch.randint(5, (1,), generator=generator)), [ids[int(3 * draw.uniform(generator))]])
    return words, counts, 200 + int(100 * draw.uniform(generator))


def _cases(generator: Generator) -> Iterator[tuple[Words, list[int], int]]:
    """For each mistake a case in which it shows."""
    for choose, *_ in CHOICES:
        while True:
            words, counts, new = _case(generator)
            if choose(words, counts) != _chosen(words, counts):
                yield words, counts, new
                break
    for rewrite, *_ in REWRITTEN:
        while True:
            words, counts, new = _case(generator)
            pair = _chosen(words, counts)
            if any(rewrite(word, pair, new) != _merged(word, pair, new) for word in words):
                yield words, counts, new
                break


@exercise("lm.bpe_merge", call="bpe_merge(words, counts, new)")
def bpe_merge(answer: Callable, generator: Generator) -> None:
    cases = list(_cases(generator))
    given = [parts(answer(*case), ("the pair", "the new words")) for case in cases]
    pairs = [_pair(pair) for pair, _ in given]
    if any(pair != _chosen(words, counts) for pair, (words, counts, _) in zip(pairs, cases, strict=True)):
        raise _wrong_pair(pairs, cases)
    made = [_words(new, len(case[0])) for (_, new), case in zip(given, cases, strict=True)]
    right = [[_merged(word, _chosen(words, counts), new) for word in words] for words, counts, new in cases]
    if made != right:
        raise _wrong_words(made, right, cases)


def _wrong_pair(pairs: list[Pair], cases: list) -> Wrong:
    for choose, says, hint in CHOICES:
        if all(pair == choose(words, counts) for pair, (words, counts, _) in zip(pairs, cases, strict=True)):
            return Wrong(says, hint)
    pair, (words, counts, _) = next(
        (pair, case) for pair, case in zip(pairs, cases, strict=True) if pair != _chosen(*case[:2])
    )
    found, truth = _places(words, counts, _overlapping), _chosen(words, counts)
    return Wrong(
        f"In the words {words} with counts {counts} the pair {truth} counts {found[truth]}; you chose {pair}, "
        f"which counts {found[pair]}.",
        "Count every position in every word, as often as the word occurs; of equal counts, the smallest pair.",
    )


def _wrong_words(made: list[Words], right: list[Words], cases: list) -> Wrong:
    for rewrite, says, hint in REWRITTEN:
        wrongly = [[rewrite(word, _chosen(words, counts), new) for word in words] for words, counts, new in cases]
        if made == wrongly:
            return Wrong(says, hint)
    for mine, truth, (words, counts, new) in zip(made, right, cases, strict=True):
        if mine != truth and sorted(mine) == sorted(truth):
            return Wrong("Your words are right, but stand in another order.", "Keep the order of `words`.")
        for one, other, word in zip(mine, truth, words, strict=True):
            if one != other:
                return Wrong(
                    f"With the pair {_chosen(words, counts)} and new = {new} the word {word} should become {other}, "
                    f"not {one}.",
                    "From left to right; after a pair go on two tokens later.",
                )
    raise AssertionError("no word differs")


def _pair(pair: Any) -> Pair:
    whole = isinstance(pair, tuple | list) and all(isinstance(one, int | np.integer) for one in pair)
    if not whole or len(pair) != 2:
        raise Wrong(f"The pair should be two token ids, not {pair!r:.100}.", "Return a tuple such as (3, 7).")
    if isinstance(pair, list):
        raise Wrong(f"The pair is a list, {pair}, not a tuple.", "`tuple(...)`: a tuple can be a key of a dictionary.")
    return int(pair[0]), int(pair[1])


def _words(words: Any, n: int) -> Words:
    if not isinstance(words, tuple | list) or not all(isinstance(word, tuple | list) for word in words):
        raise Wrong(f"The new words should be a list of lists, not {words!r:.100}.", "One list of ids for each word.")
    if len(words) != n:
        raise Wrong(f"You return {len(words)} words, there are {n}.", "One for each word, also where nothing changed.")
    return [list(word) for word in words]
