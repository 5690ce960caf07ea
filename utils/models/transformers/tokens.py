"""What models of tokens share: the check of their input, and the draw of one token."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from utils.validation import tensor, whole


def check_tokens(name: str, x: Tensor, vocabulary: int, rows: bool = False, empty: bool = False) -> Tensor:
    """`x` as int64, if it holds tokens 0 … V − 1 in the shape `(B, T)`, or `(T,)` unless `rows`.

    Raises:
        TypeError: for what is no tensor of whole numbers.
        ValueError: for another shape, another token, or no token at all unless `empty`.
    """
    if tensor(name, x).is_floating_point() or x.dtype == torch.bool:
        raise TypeError(f"{name} has dtype {x.dtype}: expected whole numbers, of tokens")
    if x.ndim not in ((2,) if rows else (1, 2)) or not (empty or x.numel()):
        shape = "(B, T)" if rows else "(T,) or (B, T)"
        raise ValueError(f"{name} has shape {tuple(x.shape)}: expected {shape}, not empty")
    if x.numel() and not (x.min() >= 0 and x.max() < vocabulary):
        raise ValueError(f"{name} holds {x.min()} to {x.max()}: expected tokens from 0 to {vocabulary - 1}")
    return x.long()


def shape_log_odds(log_odds: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Tensor:
    """The log-odds `(..., V)` from which a token is drawn; what must not be drawn is −∞.

    Args:
        temperature: log-odds are divided by it.
        top_k: only the `top_k` likeliest tokens stay.
        top_p: of those only the likeliest stay, as few as together reach `top_p`: the nucleus.

    Raises:
        ValueError: for a temperature or a share that makes no sense.

    Source of the nucleus: A. Holtzman et al., The curious case of neural text degeneration, 2020, arXiv 1904.09751.
    """
    if not temperature > 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature is {temperature}, top_p {top_p}: expected above 0, and above 0 to 1")
    log_odds = log_odds / temperature
    if top_k is not None and whole("top_k", top_k) < log_odds.shape[-1]:
        least = log_odds.topk(top_k, dim=-1).values[..., -1:]
        log_odds = log_odds.masked_fill(log_odds < least, -torch.inf)
    if top_p < 1:
        p, order = log_odds.softmax(-1).sort(-1, descending=True)
        out = (p.cumsum(-1) - p >= top_p).scatter(-1, order, p.cumsum(-1) - p >= top_p)
        log_odds = log_odds.masked_fill(out, -torch.inf)
    return log_odds


def draw(log_odds: Tensor, generator: Generator | None = None, **options) -> Tensor:
    """One token for each row of `(B, V)`, `(B, 1)`; the options are those of `shape_log_odds`."""
    p = shape_log_odds(log_odds, **options).softmax(-1)
    u = torch.rand(len(p), 1, generator=generator, dtype=torch.float64, device=p.device)
    cumulated = p.double().cumsum(-1)
    return torch.searchsorted(cumulated, u * cumulated[:, -1:], right=True).clamp(max=p.shape[-1] - 1)
