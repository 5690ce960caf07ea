"""A flow of images with 256 gray values, and the one that comes with the course, trained beforehand."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from utils.data import load
from utils.models.flows.dequantization import Dequantization
from utils.models.flows.flow import Flow
from utils.models.flows.multiscale import coarse_to_fine
from utils.models.flows.splines import Histogram
from utils.models.weights import filled

# The first bin is the cell of value 0, the last one that of 255; in between, bins are wider.
EDGES = torch.tensor([0, 1, 2, 4, 8, 16, *range(32, 193, 32), 216, 232, 244, 250, *range(252, 257)])


def pixel_flow(x: Tensor, hidden: int = 48, generator: Generator | None = None) -> Flow:
    """A `coarse_to_fine` flow of 28 × 28 pixels with the values 0 … 255, of two levels.

    Its curve is a `Histogram` that starts as that of all pixels of `x`, so training begins at a sensible place.

    Args:
        x: images `(B, 1, 28, 28)` with the values 0 … 255.
        hidden: channels inside the networks.
        generator: source of randomness of the first weights and of the noise.
    """
    counts = torch.bincount(x.flatten().long(), minlength=256).double() + 1
    below = torch.cat([torch.zeros(1), counts.cumsum(0)])[EDGES]  # pixels darker than each edge
    curve = Histogram(EDGES / 256, below.diff() / below[-1])
    before = [Dequantization(256, generator=generator)]
    return coarse_to_fine(28, 2, curve, hidden, before=before, generator=generator)


def mnist_flow(generator: Generator | None = None) -> Flow:
    """The `pixel_flow` of MNIST, trained for more passes than a lesson has time for; see `data/make/pretrained.py`."""
    x = (load("mnist").x_train[:2000] * 255).round()
    return filled(pixel_flow(x, generator=generator), "mnist_flow.safetensors")
