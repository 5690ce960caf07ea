"""Byte-pair encoding: frequent pairs of symbols become one symbol, again and again."""

from __future__ import annotations

import functools
import heapq
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from utils.validation import tensor, whole

# No symbol reaches over the border of two pieces: a word with the blank before it, or any other single character.
PIECES = re.compile(r" ?[A-Za-z']+|[^A-Za-z' ]|\s")
Pair = tuple[int, int]


class BytePairEncoding:
    """A text as whole numbers: characters, and merged pairs of symbols.

    `learn` counts all pairs of neighbors inside of pieces, makes the most frequent pair a new symbol (of equals that
    with the smaller numbers), and goes on until there are `size` symbols. `encode` makes the same merges in this order.

    Args:
        symbols: the text of each number: first the characters, then what was merged.
        merges: the pairs of numbers, in the order in which they were merged.

    Sources: P. Gage, A new algorithm for data compression, 1994; R. Sennrich, B. Haddow, A. Birch, Neural machine
    translation of rare words with subword units, 2016, arXiv 1508.07909.

    >>> code = BytePairEncoding.learn("low lower lowest", size=10)
    >>> code.symbols
    [' ', 'e', 'l', 'o', 'r', 's', 't', 'w', 'lo', 'low']
    >>> code.encode("slow").tolist()
    [5, 9]
    >>> code.decode(code.encode("slower"))
    'slower'
    """

    def __init__(self, symbols: Sequence[str], merges: Sequence[Pair]):
        self.symbols, self.merges = list(symbols), list(merges)
        self._number = {symbol: number for number, symbol in enumerate(self.symbols)}
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._encode_piece = functools.cache(self._merge_piece)

    @classmethod
    def learn(cls, text: str, size: int, characters: Iterable[str] = ()) -> BytePairEncoding:
        """Merge the pairs of a text until there are `size` symbols, or no pair is left.

        Args:
            characters: some that must have a number even if they are not in the text.

        Raises:
            ValueError: for an empty text, or a size below the number of characters.
        """
        symbols = sorted(set(text) | set(characters))
        size = whole("size", size)
        if not text or size < len(symbols):
            raise ValueError(f"size is {size}: expected at least {len(symbols)}, for each character, and a text")
        number = {symbol: at for at, symbol in enumerate(symbols)}
        counted = Counter(PIECES.findall(text))
        pieces = [[number[character] for character in piece] for piece in counted]
        weight, count, places = list(counted.values()), Counter(), defaultdict(set)
        for at, piece in enumerate(pieces):
            for pair in itertools.pairwise(piece):
                count[pair] += weight[at]
                places[pair].add(at)
        heap = [(-times, pair) for pair, times in count.items()]
        heapq.heapify(heap)
        merges: list[Pair] = []
        while heap and len(symbols) < size:
            times, pair = heapq.heappop(heap)
            if -times != count[pair]:  # noted before a merge that made the pair rarer
                if count[pair] > 0:
                    heapq.heappush(heap, (-count[pair], pair))
                continue
            merged = symbols[pair[0]] + symbols[pair[1]]
            if merged not in number:
                number[merged] = len(symbols)
                symbols.append(merged)
            merges.append(pair)
            grown = set()
            for at in places.pop(pair):
                before, pieces[at] = pieces[at], _merge(pieces[at], pair, number[merged])
                for old in itertools.pairwise(before):
                    count[old] -= weight[at]
                for new in itertools.pairwise(pieces[at]):
                    count[new] += weight[at]
                    places[new].add(at)
                    grown.add(new)
            for new in grown:
                heapq.heappush(heap, (-count[new], new))
        return cls(symbols, merges)

    def encode(self, text: str) -> Tensor:
        """The numbers of the symbols of a text, `(T,)` int64.

        Raises:
            ValueError: for a character that has no number.
        """
        if unknown := set(text) - self._number.keys():
            raise ValueError(f"the text has the character {min(unknown)!r}: expected those that were learned")
        return torch.tensor([n for piece in PIECES.findall(text) for n in self._encode_piece(piece)], dtype=torch.int64)

    def decode(self, numbers: Tensor) -> str:
        """The text of numbers `(T,)`."""
        return "".join(self.symbols[number] for number in tensor("numbers", numbers).tolist())

    @property
    def lengths(self) -> Tensor:
        """How many characters each symbol has, `(size,)` int64."""
        return torch.tensor([len(symbol) for symbol in self.symbols])

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"BytePairEncoding: {len(self.symbols)} symbols, {len(self.merges)} merges"

    def _merge_piece(self, piece: str) -> list[int]:
        numbers = [self._number[character] for character in piece]
        while len(numbers) > 1:
            pair = min(itertools.pairwise(numbers), key=lambda pair: self._rank.get(pair, len(self._rank)))
            if pair not in self._rank:
                break
            numbers = _merge(numbers, pair, self._number[self.symbols[pair[0]] + self.symbols[pair[1]]])
        return numbers


def _merge(numbers: list[int], pair: Pair, new: int) -> list[int]:
    """The numbers with each occurrence of the pair replaced, from the left."""
    merged, at = [], 0
    while at < len(numbers):
        if tuple(numbers[at : at + 2]) == pair:
            merged.append(new)
            at += 2
        else:
            merged.append(numbers[at])
            at += 1
    return merged
