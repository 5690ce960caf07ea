"""Pixels and images of few pixels: what the checks of chapter 12 share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pixel_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """log p of each pixel, in the shape of x."""
    return F.logsigmoid((2 * x - 1) * logits)


def all_images(n: int) -> Tensor:
    """All black-and-white images of n pixels: (2ⁿ, n)."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * n)
