"""A toy language whose law is known: lines of symbols in which a name, heard once, comes back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

LETTERS = "abcdefghijkl"
SYMBOLS = LETTERS + "@"
CALL = len(LETTERS)  # the symbol "@"
NAME_LENGTH = 3
CALL_PROBABILITY = 0.2


@dataclass(frozen=True)
class NameLanguage:
    """Lines that begin with a name, each of its letters uniform; after every "@" the name is said again.

    Otherwise "@" follows with probability `CALL_PROBABILITY`, or a letter that depends on the letter before it. Whoever
    counts which symbols follow each other learns these letters, never which of the 1,728 names this line has.

    Args:
        chain: (L, L), row v holds the probabilities of the letter after letter v.
        length: symbols in a line.
    """

    chain: Tensor
    length: int = 40

    @classmethod
    def drawn(cls, generator: Generator, length: int = 40) -> NameLanguage:
        """A language nobody has seen: its chain comes from the generator."""
        logits = torch.randn(len(LETTERS), len(LETTERS), generator=generator, dtype=torch.float64)
        return cls((2.5 * logits).softmax(-1), length)

    def sample(self, n: int, generator: Generator) -> Tensor:
        """n lines: (n, length), int64."""
        x = torch.randint(len(LETTERS), (n, self.length), generator=generator)  # the names, and what is written over
        for t in range(NAME_LENGTH, self.length):
            x[:, t] = torch.multinomial(self._next(x[:, :t]), 1, generator=generator)[:, 0]
        return x

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of each symbol that may come at each place of a line, given those before: (B, T) -> (B, T, 13)."""
        return torch.stack([self._next(x[:, :t]) for t in range(x.shape[1])], 1).log()

    def recalled(self, x: Tensor) -> Tensor:
        """Where a line says its name again, and only one symbol is possible: (B, T), boolean."""
        calls = torch.nn.functional.pad(x == CALL, (NAME_LENGTH, 0))
        return torch.stack([calls[:, NAME_LENGTH - 1 - i : -1 - i] for i in range(NAME_LENGTH)]).any(0)

    def _next(self, before: Tensor) -> Tensor:
        """The law of the symbol after `before`: (B, t) -> (B, 13)."""
        n, t = before.shape
        p = torch.zeros(n, len(SYMBOLS), dtype=torch.float64)
        if t < NAME_LENGTH:
            p[:, :CALL] = 1 / len(LETTERS)
            return p
        recent = before[:, -NAME_LENGTH:]
        last = before[:, -1].clamp(max=CALL - 1)  # after "@" what is read here is not used
        p[:, :CALL], p[:, CALL] = (1 - CALL_PROBABILITY) * self.chain[last], CALL_PROBABILITY
        for said in range(NAME_LENGTH):  # letters of the name since "@"
            in_name = recent[:, -1 - said] == CALL
            p[in_name] = torch.nn.functional.one_hot(before[:, said], len(SYMBOLS))[in_name].double()
        return p


def text(x: Tensor) -> list[str]:
    """Lines as they are read."""
    return ["".join(SYMBOLS[i] for i in line) for line in x.tolist()]
