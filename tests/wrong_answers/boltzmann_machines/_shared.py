"""Wrong answers of chapter 5: what several files use."""

import torch
from torch.nn.functional import softplus


def probabilities(x, weights, bias):
    return torch.sigmoid(bias + x @ weights)


def states(n):
    return torch.tensor([[k >> j & 1 for j in range(n)] for k in range(2**n)], dtype=torch.float64)


def log_weights_of_h(weights, visible_bias, hidden_bias, h):
    return h @ hidden_bias + softplus(visible_bias + h @ weights.T).sum(-1)


def statistics(v, weights, hidden_bias, h=None):
    h = torch.sigmoid(hidden_bias + v @ weights) if h is None else h
    return v.T @ h / len(v), v.mean(0), h.mean(0)


def minus(first, second):
    return tuple(a - b for a, b in zip(first, second, strict=True))
