"""What challenges share: a model that the answer returns as a function, and a number that it must reach on new data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from utils.checks.engine import Wrong, guard


def returned_function(returned: Any, call: str, hint: str) -> Callable:
    """What the answer returned, if it is a function: guarded, to be called as `call`."""
    if not callable(returned):
        raise Wrong(f"Your function returns a `{type(returned).__name__}`, not a function.", hint)
    return guard(returned, call)


def missed(says: str, *reasons: tuple[bool, str, str]) -> Wrong:
    """What to raise where a number is not reached: of the reasons that there may be, the first that holds.

    Args:
        says: what was reached and what is the goal.
        reasons: whether it holds, how the sentence goes on, and the hint; the last one always holds.
    """
    return next(Wrong(says + reason, hint) for holds, reason, hint in reasons if holds)


def independent_pixels(x: Tensor, x_train: Tensor) -> float:
    """The simple baseline: mean log p of binary images, each pixel on its own, in nats an image."""
    p = (x_train.sum(0) + 1) / (len(x_train) + 2)
    return (torch.xlogy(x, p) + torch.xlogy(1 - x, 1 - p)).sum(-1).mean().item()
