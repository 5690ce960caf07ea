"""Wrong answers of chapter 11: sample paths of sunspots."""

import torch

from wrong_answers import wrong
from wrong_answers.autoregressive_time_series._shared import lagged, solve

# --- series.sunspots -------------------------------------------------------------------------------------------------


def paths(y, p, noise):
    rows, targets = lagged(y, p)
    c = solve(rows, targets)
    std = (targets - rows @ c).square().mean().sqrt()
    path = y[-p:].expand(len(noise), -1)
    for column in noise.T:
        path = torch.cat([path, (c[0] + path[:, -p:].flip(1) @ c[1:] + std * column)[:, None]], dim=1)
    return path[:, p:]


@wrong("series.sunspots", says="times that of the seasonal rule")
def too_short_a_memory(history, noise):
    return paths(history.sqrt(), 2, noise).clamp(min=0).square()


@wrong("series.sunspots", says="times that of the seasonal rule")
def the_past_as_it_was(history, noise):
    return history[(torch.special.ndtr(noise) * len(history)).long()]


@wrong("series.sunspots", says="go below zero")
def negative_counts(history, noise):
    return paths(history, 9, noise)


@wrong("series.sunspots", says="All paths are the same")
def one_path(history, noise):
    return paths(history.sqrt(), 9, 0 * noise).clamp(min=0).square()


@wrong("series.sunspots", says="that is one path")
def a_single_one(history, noise):
    return paths(history.sqrt(), 9, noise[:1]).clamp(min=0).square()[0]
