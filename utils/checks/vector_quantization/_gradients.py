"""Gradients that reach an input: what the checks of chapter 7 share."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks.engine import Wrong


def gradient(value: Tensor, of: Tensor, name: str, weights: Tensor | None = None, *, none: bool = False) -> Tensor:
    """The gradient of Σ weights · value in `of`, zeros where none flows.

    Args:
        value: what the answer returned.
        of: the input.
        name: what the student calls it.
        weights: of each entry of the value; 1 where it is one number.
        none: whether a value through which no gradient flows at all is right here.
    """
    if not value.requires_grad and not none:
        raise Wrong(
            f"No gradient flows through your result, and `{name}` gets none.",
            "Detach only what must not learn; no `.data`, `.item()` or `torch.no_grad()` around the rest.",
        )
    if not value.requires_grad:
        return torch.zeros_like(of)
    (found,) = torch.autograd.grad(value, of, weights, allow_unused=True, retain_graph=True)
    return torch.zeros_like(of) if found is None else found
