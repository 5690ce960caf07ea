"""Log-probabilities of pixels: what the checks of chapter 12 share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pixel_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """log p of each pixel, in the shape of x."""
    return F.logsigmoid((2 * x - 1) * logits)
