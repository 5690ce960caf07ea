"""Machines and their exact probabilities: what the checks of chapter 5 share."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from utils.checks import draw


def all_states(n: int) -> Tensor:
    """All states of n binary units: (2ⁿ, n)."""
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


def random_rbm(generator: Generator, visible: int, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    return draw.normal(generator, visible, hidden), draw.normal(generator, visible), draw.normal(generator, hidden)


def minus_energies(v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    """−E(v, h) for each row of v and each of all h: (B, 2ᴴ)."""
    h = all_states(len(hidden_bias))
    return (v @ visible_bias)[:, None] + h @ hidden_bias + v @ weights @ h.mT


def free_energies(v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    """F(v) by its formula, where enumeration has judged the answer already."""
    return -v @ visible_bias - softplus(hidden_bias + v @ weights).sum(-1)


def enumerated_log_prob(v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    """log p(v), by going through all hidden states: (B, D) -> (B,)."""
    h = all_states(len(hidden_bias))
    log_weight = h @ hidden_bias + softplus(visible_bias + h @ weights.mT).sum(-1)
    return v @ visible_bias + softplus(hidden_bias + v @ weights).sum(-1) - log_weight.logsumexp(0)
