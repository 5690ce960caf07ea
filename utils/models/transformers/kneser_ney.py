"""Counting: the interpolated n-gram model of Kneser and Ney, all tokens at once."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Generator, Tensor

from utils.models.estimator import Estimator
from utils.models.transformers.tokens import check_tokens, draw
from utils.validation import whole


class KneserNey(Estimator):
    """p_n(w | c) = max(count(c w) − D(count(c w)), 0) / count(c) + (what was discounted / count(c)) p_{n−1}(w | c′).

    c are the n − 1 tokens before w, and c′ is c without its first one. p_0 is uniform. Below the order, count(c w) is
    not how often c w occurs but **after how many different tokens**: "Francisco" is frequent, but follows one word
    alone. The discounts D(1), D(2), D(≥ 3) are estimated from how many n-grams occur once, twice, three and four times.

    Args:
        order: n, the context and the token itself.
        vocabulary: V, how many tokens there are.

    Raises:
        ValueError: for sizes or tokens that make no sense; the message says what to do.

    Sources: R. Kneser, H. Ney, Improved backing-off for m-gram language modeling, 1995; S. Chen, J. Goodman, An
    empirical study of smoothing techniques for language modeling, 1999.

    >>> model = KneserNey(order=3, vocabulary=2).fit(torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]))
    >>> model.next_log_prob(torch.tensor([[0, 1], [1, 0]])).argmax(1)
    tensor([0, 1])
    """

    names = ("grams", "kept", "contexts", "totals", "given", "sizes")

    def __init__(self, order: int, vocabulary: int):
        self.order, self.vocabulary = whole("order", order), whole("vocabulary", vocabulary, 2)
        if vocabulary**order >= 2**63:
            raise ValueError(f"{vocabulary} tokens to the power of {order} are no int64: expected a lower order")

    def fit(self, x: Tensor) -> Self:
        """Count the n-grams of one long text `(T,)`, or of the rows of `x` `(B, T)`, with T at least the order."""
        x = check_tokens("x", x, self.vocabulary).cpu()
        x = (x[None] if x.ndim == 1 else x).numpy()
        if x.shape[1] < self.order:
            raise ValueError(f"x has rows of {x.shape[1]} tokens: expected at least {self.order}, the order")
        grams = np.zeros((len(x), x.shape[1] - self.order + 1), dtype=np.int64)
        for at in range(self.order):  # an n-gram as a number with n digits
            grams = grams * self.vocabulary + x[:, at : x.shape[1] - self.order + 1 + at]
        grams, counts = np.unique(grams, return_counts=True)
        tables = []
        for n in range(self.order, 0, -1):
            if n < self.order:  # of each shorter n-gram: how many longer ones end with it
                grams, counts = np.unique(grams % self.vocabulary**n, return_counts=True)
            contexts, first = np.unique(grams // self.vocabulary, return_index=True)
            discount = np.minimum(_discounts(counts)[np.minimum(counts, 3)], counts)
            totals, given = (np.add.reduceat(values.astype(float), first) for values in (counts, discount))
            tables.append((grams, counts - discount, contexts, totals, given))
        columns = [torch.from_numpy(np.concatenate(column)) for column in zip(*reversed(tables), strict=True)]
        sizes = torch.tensor([(len(table[0]), len(table[2])) for table in reversed(tables)])
        self._set(**dict(zip(self.names, (*columns, sizes), strict=True)))
        return self

    def token_log_prob(self, x: Tensor) -> Tensor:
        """log p of each token of `x`, `(T,)` or `(B, T)`, given those before it in its row, in nats; float64."""
        x = check_tokens("x", x, self.vocabulary)
        p, gram = torch.full(x.shape, 1 / self.vocabulary, dtype=torch.float64), torch.zeros_like(x)
        for n, table in enumerate(self._tables(), 1):
            if n > x.shape[-1]:
                break
            gram = gram[..., 1:] if n > 1 else gram  # the tokens so far back that a context of n − 1 is there
            gram = gram + x[..., : x.shape[-1] - n + 1] * self.vocabulary ** (n - 1)
            p[..., n - 1 :] = _interpolate(p[..., n - 1 :], gram, gram // self.vocabulary, table)
        return p.log()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of rows of tokens `(B, T)`, in nats: `(B,)`."""
        return self.token_log_prob(check_tokens("x", x, self.vocabulary, rows=True)).sum(1)

    def next_log_prob(self, past: Tensor) -> Tensor:
        """log p of each token after the rows of `past` `(B, T)`: `(B, V)`."""
        past = check_tokens("past", past, self.vocabulary, rows=True, empty=True)
        p = torch.full((len(past), self.vocabulary), 1 / self.vocabulary, dtype=torch.float64)
        context = torch.zeros(len(past), 1, dtype=torch.int64)
        for n, table in enumerate(self._tables(), 1):
            if n - 1 > past.shape[1]:
                break
            if n > 1:
                context = context + past[:, -(n - 1), None] * self.vocabulary ** (n - 2)
            p = _interpolate(p, context * self.vocabulary + torch.arange(self.vocabulary), context, table)
        return p.log()

    def sample(
        self, n: int, generator: Generator | None = None, *, steps: int, start: Tensor | None = None, **options
    ) -> Tensor:
        """`n` rows of `steps` tokens, each drawn given those before it: `(n, steps)`.

        Args:
            start: tokens `(T,)` or `(n, T)` that come before; they are not returned.
            options: temperature, top_k and top_p, see `draw`.
        """
        n, steps = whole("n", n), whole("steps", steps)
        start = torch.zeros(n, 0, dtype=torch.int64) if start is None else start.expand(n, -1)
        x = start
        for _ in range(steps):
            log_odds = self.next_log_prob(x[:, max(0, x.shape[1] - self.order + 1) :])
            x = torch.cat([x, draw(log_odds, generator, **options)], dim=1)
        return x[:, start.shape[1] :]

    def _tables(self):
        """The five columns of each order, from 1."""
        columns = (self.grams, self.kept, self.contexts, self.totals, self.given)
        lengths = self.sizes[:, (0, 0, 1, 1, 1)].T.tolist()
        return zip(*(column.split(sizes) for column, sizes in zip(columns, lengths, strict=True)), strict=True)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """D(0) = 0, D(1), D(2), D(≥ 3), by Chen and Goodman's estimate; 1/2 where it does not exist."""
    n1, n2, n3, n4 = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not n1 or not n2 or not n3:
        return np.array([0, 0.5, 0.5, 0.5])
    y = n1 / (n1 + 2 * n2)
    return np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]).clip(0)


def _interpolate(shorter: Tensor, grams: Tensor, contexts: Tensor, table: tuple[Tensor, ...]) -> Tensor:
    """p_n from p_{n−1}; where the context was never seen, p_{n−1} itself."""
    known_grams, kept, known_contexts, totals, given = table
    at, found = _look_up(known_grams, grams)
    place, seen = _look_up(known_contexts, contexts)
    longer = (torch.where(found, kept[at], 0.0) + given[place] * shorter) / totals[place]
    return torch.where(seen, longer, shorter)


def _look_up(known: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where each wanted number stands among the known, sorted ones, and whether it does."""
    at = torch.searchsorted(known, wanted.contiguous()).clamp(max=len(known) - 1)
    return at, known[at] == wanted
