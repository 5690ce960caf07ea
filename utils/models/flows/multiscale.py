"""Flows of images: squeeze, mix and couple channels, and set half of them aside from scale to scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import prod

import torch
from torch import Generator, Tensor, nn

from utils.models.flows.couplings import Autoregressive, Coupling, Curve
from utils.models.flows.flow import Flow, StandardNormal, UnitCube
from utils.models.flows.transforms import ActNorm, Chain, InvertibleLinear, Permutation
from utils.nets import check_width, start
from utils.validation import whole


class Squeeze(nn.Module):
    """`(B, C, H, W)` → `(B, 4 C, H / 2, W / 2)`: each block of 2 × 2 pixels becomes four channels; log |det| = 0."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.dim() != 4 or x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, C, H, W) with even H and W")
        blocks = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, H / 2, 2, W / 2, 2)
        return blocks.permute(0, 1, 3, 5, 2, 4).flatten(1, 3), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        if z.dim() != 4 or z.shape[1] % 4:
            raise ValueError(f"z has shape {tuple(z.shape)}: expected (B, C, H, W) with C a multiple of 4")
        blocks = z.unflatten(1, (-1, 2, 2))  # (B, C, 2, 2, H / 2, W / 2)
        return blocks.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3), z.new_zeros(len(z))


class Flatten(nn.Module):
    """`(B, *shape)` → `(B, D)`; log |det| = 0."""

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[1:] != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, {', '.join(map(str, self.shape))})")
        return x.flatten(1), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        check_width(z, prod(self.shape))
        return z.unflatten(1, self.shape), z.new_zeros(len(z))


class FactorOut(nn.Module):
    """Half of the channels is done and becomes part of z as it is; the other half goes on through `rest`.

    x `(B, C, H, W)` → z `(B, C · H · W)`. `rest` takes `(B, C / 2, H, W)` and returns `(B, C · H · W / 2)`, so it ends
    with a `Flatten` or with another `FactorOut`.

    Args:
        shape: (C, H, W), with C even.
        rest: the transforms of the other half.

    Source: Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017.
    """

    def __init__(self, shape: Sequence[int], rest: nn.Module):
        super().__init__()
        channels, height, width = shape
        if channels % 2:
            raise ValueError(f"shape is {tuple(shape)}: expected an even number of channels, to set half of them aside")
        self.done, self.rest = Flatten((channels // 2, height, width)), rest

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        check_width(x, 2 * self.done.shape[0])
        done, going = x.chunk(2, 1)
        z, log_det = self.rest(going)
        return torch.cat([self.done(done)[0], z], 1), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        check_width(z, 2 * prod(self.done.shape))
        done, z = z.chunk(2, 1)
        going, log_det = self.rest.inverse(z)
        return torch.cat([self.done.inverse(done)[0], going], 1), log_det


def convnet(inputs: int, outputs: int, hidden: int = 64, generator: Generator | None = None) -> nn.Sequential:
    """Three convolutions, 3 × 3, 1 × 1 and 3 × 3, that keep height and width. The last one starts at 0."""
    return nn.Sequential(
        start(nn.Conv2d(inputs, hidden, 3, padding=1), generator),
        nn.ReLU(),
        start(nn.Conv2d(hidden, hidden, 1), generator),
        nn.ReLU(),
        start(nn.Conv2d(hidden, outputs, 3, padding=1), zero=True),
    )


def glow(
    shape: Sequence[int],
    levels: int = 2,
    steps: int = 4,
    hidden: int = 64,
    *,
    before: Iterable[nn.Module] = (),
    generator: Generator | None = None,
) -> Flow:
    """A multiscale flow of images `(B, C, H, W)`: at each level squeeze, some steps, set half of the channels aside.

    A step is an `ActNorm`, an `InvertibleLinear` on the channels and an affine `Coupling` with a small convolutional
    network. z is flat, `(B, C · H · W)`: what the first level set aside comes first.

    Args:
        shape: (C, H, W); H and W can be halved `levels` times.
        levels: number of scales.
        steps: steps at each level.
        hidden: channels inside the networks.
        before: transforms at the entrance, such as a `Dequantization` and a `Logit`.
        generator: source of randomness of the first weights.

    Source: Kingma & Dhariwal, Glow, 2018.
    """
    channels, height, width = (whole("shape", size) for size in shape)
    levels, steps = whole("levels", levels), whole("steps", steps)
    if height % 2**levels or width % 2**levels:
        raise ValueError(f"an image of {height} × {width} cannot be halved {levels} times: choose other levels, or pad")
    net = partial(convnet, hidden=hidden, generator=generator)

    def level(channels: int, height: int, width: int, left: int) -> list[nn.Module]:
        channels, height, width = 4 * channels, height // 2, width // 2
        layers: list[nn.Module] = [Squeeze()]
        for i in range(steps):
            mix = InvertibleLinear(channels, generator)
            layers += [ActNorm(channels), mix, Coupling(channels, net, swap=i % 2 == 1)]
        if left == 1:
            return [*layers, Flatten((channels, height, width))]
        rest = Chain(level(channels // 2, height, width, left - 1))
        return [*layers, FactorOut((channels, height, width), rest)]

    return Flow([*before, *level(channels, height, width, levels)], StandardNormal(prod(shape)))


class BlockNet(nn.Module):
    """Two convolutions 3 × 3 and one 1 × 1 on blocks of pixels; each place of the image has a bias of its own.

    Working on blocks of `block` × `block` pixels makes the image small and the view wide. The last layer starts at 0.

    Args:
        inputs, outputs: channels.
        side: height and width, a multiple of `block`.
        hidden: channels inside.
        block: side of a block.
        generator: source of randomness of the first weights.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, hidden: int, block: int = 1, generator: Generator | None = None
    ):
        super().__init__()
        self.gather, self.scatter = nn.PixelUnshuffle(block), nn.PixelShuffle(block)
        self.first = start(nn.Conv2d(inputs * block**2, hidden, 3, padding=1), generator)
        self.place = nn.Parameter(torch.zeros(hidden, side // block, side // block))
        self.second = start(nn.Conv2d(hidden, hidden, 3, padding=1), generator)
        self.last = start(nn.Conv2d(hidden, outputs * block**2, 1), zero=True)

    def forward(self, x: Tensor) -> Tensor:
        h = (self.first(self.gather(2 * x - 1)) + self.place).relu()
        return self.scatter(self.last(self.second(h).relu()))


def coarse_to_fine(
    side: int,
    levels: int,
    curve: Curve,
    hidden: int = 64,
    *,
    before: Iterable[nn.Module] = (),
    generator: Generator | None = None,
) -> Flow:
    """A flow of gray images `(B, 1, side, side)` in [0, 1] that draws a coarse grid of pixels first, then finer ones.

    A level takes every block of 2 × 2 pixels apart. The two pixels of one diagonal are moved as those of the other
    diagonal say, and of these one as the other says; three of the four are then done, and the fourth goes on as an
    image of half the side. The last such image is moved pixel by pixel. The networks see pixels as they came in.

    Args:
        side: height and width; it can be halved `levels` times.
        levels: number of scales.
        curve: how a pixel is moved; it must map [0, 1] to itself, as a `Histogram` does.
        hidden: channels inside the networks.
        before: transforms at the entrance, such as a `Dequantization`.
        generator: source of randomness of the first weights.

    Source: the halves of Dinh et al., Real NVP, 2017, in the order of Reed et al., Parallel Multiscale Autoregressive
    Density Estimation, 2017.
    """
    side, levels = whole("side", side), whole("levels", levels)
    if side % 2**levels:
        raise ValueError(f"an image of side {side} cannot be halved {levels} times: choose other levels, or pad")

    def level(side: int, left: int) -> list[nn.Module]:
        if left == 0:
            return [Flatten((1, side, side)), Autoregressive(side**2, curve, (4 * hidden,), generator=generator)]
        side //= 2
        block = 2 if side % 2 == 0 and side > 8 else 1
        net = partial(BlockNet, side=side, hidden=hidden, block=block, generator=generator)
        quarter = Chain(level(side, left - 1))
        half = Chain([Coupling(2, net, curve, swap=True), FactorOut((2, side, side), quarter)])
        diagonals = Permutation([1, 2, 0, 3])
        return [Squeeze(), diagonals, Coupling(4, net, curve, swap=True), FactorOut((4, side, side), half)]

    return Flow([*before, *level(side, levels)], UnitCube(side**2))
