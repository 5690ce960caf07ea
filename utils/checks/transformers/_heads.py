"""Attention over several heads: what the checks of chapter 13 share."""

from __future__ import annotations

import torch
from torch import Tensor

SCALED = "Divide the scores by √D, the square root of the length of a query."
MASKED = "Set the scores of later tokens to −∞ before the softmax: `masked_fill`, with `triu(1)`."


def hidden_from(length: int, diagonal: int = 1) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).triu(diagonal)


def attended(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, hidden: Tensor | None = None) -> Tensor:
    """Attention with these scores times `scale` and without what is `hidden`; by default 1/√D and all later tokens."""
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    hidden = hidden_from(scores.shape[-1]) if hidden is None else hidden
    return scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v
