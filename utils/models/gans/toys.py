"""A grid of Gaussians, on which GANs lose modes, and small networks trained side by side: one run, several seeds."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Generator, Tensor, nn

from utils.models.gans.losses import MinibatchStd
from utils.validation import whole

GRID_NOISE = 0.05


class EnsembleLinear(nn.Module):
    """M linear layers side by side, `(M, B, inputs)` → `(M, B, outputs)`: x_m W_m + b_m for each member m."""

    def __init__(self, members: int, inputs: int, outputs: int, generator: Generator | None = None):
        super().__init__()
        noise = torch.randn(members, inputs, outputs, generator=generator)
        self.weight = nn.Parameter(noise * math.sqrt(2 / inputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class _MemberStd(MinibatchStd):
    """The statistics of each member's own batch: `(M, B, F)` → `(M, B, F + 1)`."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(0, 1)).transpose(0, 1)


class EnsembleMLP(nn.Module):
    """M independent networks of linear layers and ReLUs: `(B, M, widths[0])` → `(B, M, widths[-1])`.

    One number at the end comes without its axis, `(B, M)`. No member ever sees another: trained together, each does
    what it would do alone, and the processor is kept busy by one large product instead of M small ones.

    Args:
        members: M.
        widths: sizes from the input to the output.
        spread: the first layer's biases are uniform in ± this, so that the kinks of the ReLUs lie all over the plane.
        batch_statistics: whether the last layer is told how much the batch varies (`MinibatchStd`).
        generator: of the first weights.
    """

    def __init__(
        self,
        members: int,
        *widths: int,
        spread: float = 3.0,
        batch_statistics: bool = False,
        generator: Generator | None = None,
    ):
        super().__init__()
        if whole("members", members) < 1 or len(widths) < 2:
            raise ValueError(f"members is {members} and widths {widths}: expected at least one, and two or more sizes")
        layers = []
        for before, after in itertools.pairwise(widths[:-1]):
            layers += [EnsembleLinear(members, before, after, generator), nn.ReLU()]
        layers += [_MemberStd()] * batch_statistics
        layers.append(EnsembleLinear(members, widths[-2] + batch_statistics, widths[-1], generator))
        with torch.no_grad():
            layers[0].bias.uniform_(-spread, spread, generator=generator)
            layers[-1].weight.mul_(math.sqrt(0.5))  # no ReLU follows
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(x.transpose(0, 1)).transpose(0, 1)  # inside, members come first: a batch of products
        return out.squeeze(-1) if out.shape[-1] == 1 else out


def grid_centers() -> Tensor:
    """The 25 points with coordinates −2, −1, 0, 1 and 2, `(25, 2)`."""
    line = torch.arange(-2.0, 3.0)
    return torch.cartesian_prod(line, line)


def ring_centers() -> Tensor:
    """The means of `utils.toys.gaussians`, `(8, 2)`."""
    from utils.toys import GAUSSIANS_NOISE

    angle = torch.arange(8) * math.pi / 4
    return math.sqrt(2 * (1 - GAUSSIANS_NOISE**2)) * torch.stack([angle.cos(), angle.sin()], dim=1)


def mixture_points(centers: Tensor, noise: float, *shape: int, generator: Generator | None = None) -> Tensor:
    """Draws from equally likely round Gaussians, `(*shape, 2)`."""
    k = torch.randint(len(centers), shape, generator=generator)
    return centers[k] + noise * torch.randn(*shape, 2, generator=generator)


def modes_found(x: Tensor, centers: Tensor, noise: float, share: float = 0.2) -> tuple[Tensor, Tensor]:
    """How many Gaussians samples have found, and how many samples lie near any.

    A sample lies near a mean within 3 standard deviations. A mode is found when at least `share` of what it should get,
    one K-th of all samples, lies near it.

    Args:
        x: samples `(N, 2)`, or of M members `(N, M, 2)`.
        centers: the K means `(K, 2)`.
        noise: the standard deviation around them.

    Returns:
        The number of modes found, and the share of samples near one: `()` each, or `(M,)`.
    """
    distance, nearest = torch.cdist(x, centers.to(x)).min(-1)  # (N,) or (N, M)
    near = distance < 3 * noise
    counts = torch.stack([((nearest == k) & near).sum(0) for k in range(len(centers))])
    return (counts >= share * len(x) / len(centers)).sum(0), near.double().mean(0)
