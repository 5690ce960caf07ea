"""Wrong answers of chapter 11: what several files use."""

import torch


def lagged(y, p):
    past = y[:-1].unfold(0, p, 1).flip(1)
    return torch.cat([torch.ones_like(past[:, :1]), past], dim=1), y[p:]


def solve(rows, targets):
    return torch.linalg.lstsq(rows, targets[:, None]).solution[:, 0]
