"""What the checks of chapter 6 ask of a student's gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from utils.checks.verdicts import Wrong


def gradients_of(value: Tensor, inputs: Sequence[Tensor], names: Sequence[str], weights: Tensor) -> list[Tensor]:
    """The gradient of Σ weights · value in each input, as far as one flows."""
    if not value.requires_grad:
        raise Wrong(
            "No gradient flows through your result: it is cut off.",
            "No `.detach()`, `.item()`, `.data` or `torch.no_grad()` on the way.",
        )
    found = torch.autograd.grad(value, inputs, weights, allow_unused=True)
    for gradient, name in zip(found, names, strict=True):
        if gradient is None:
            raise Wrong(f"No gradient reaches `{name}`.", "Compute with it directly: no `.detach()`, no `.data`.")
    return list(found)
