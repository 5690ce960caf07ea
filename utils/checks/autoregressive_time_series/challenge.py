"""Checks of chapter 11: sample paths of sunspots."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, tensor
from utils.series import load_series

# CRPS over that of the seasonal rule, sunspots from 1900 on, 12 years ahead, n = 300, seeds 0 to 20: AR(9) of square
# roots 0.794 to 0.803, AR(9) of the counts 0.830 to 0.837, AR(2) 1.24, the values of the past in any order 1.52.
SUNSPOTS_GOAL = 0.82


@exercise("series.sunspots", call="sample_paths(history, noise)", seconds=60)
def sunspots(answer: Callable, generator: Generator) -> None:
    y = load_series("sunspots").values
    horizon, n, first, season = 12, 300, 200, 11
    scores, rule = [], []
    for t in range(first, len(y) - horizon + 1):
        history, future = y[:t], y[t : t + horizon]
        paths = tensor(
            answer(history, draw.normal(generator, n, horizon)),
            (n, horizon),
            name="the sample of paths",
            shapes=[Mistake((horizon,), "that is one path", "Return n of them: (n, horizon).")],
        )
        if t == first and (paths == paths[0]).all():
            raise Wrong("All paths are the same: a forecast without doubt.", "Draw the noise anew for each path.")
        if (paths < 0).any():
            raise Wrong("Some paths go below zero: there are no negative counts.", "Model the square root, or clamp.")
        scores.append(_crps(paths, future))
        steps = torch.arange(horizon)
        lags = season * (steps // season + 1)
        errors = torch.stack([(history[lag:] - history[:-lag])[-100:] for lag in lags.tolist()], dim=1)
        rule.append(_crps(history[t - season + steps % season] + errors, future))
    ratio = (torch.stack(scores).mean() / torch.stack(rule).mean()).item()
    if ratio > SUNSPOTS_GOAL:
        raise Wrong(
            f"Your CRPS is {ratio:.3f} times that of the seasonal rule; the goal is {SUNSPOTS_GOAL}.",
            "Look further back than one cycle's half, and model the square root, so that high years vary more.",
        )


def _crps(samples: Tensor, y: Tensor) -> Tensor:
    """CRPS of the sample in each column: (N, H) and (H,) -> (H,); sorted, the pairs need no table."""
    n = len(samples)
    rank = 2 * torch.arange(1, n + 1, dtype=samples.dtype)[:, None] - n - 1
    return (samples - y).abs().mean(0) - (rank * samples.sort(0).values).sum(0) / n**2
