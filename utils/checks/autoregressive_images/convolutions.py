"""Checks of chapter 12: the gated layers of PixelCNN."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor


@exercise("ar.gated_convolution", call="gated_convolution(x, weights, bias, mask)")
def gated_convolution(answer: Callable, generator: Generator) -> None:
    for sizes in ((2, 3, 4, 5, 6, 7), (3, 1, 2, 3, 5, 8)):
        _gated_convolution(answer, generator, *sizes)


def _gated_convolution(
    answer: Callable,
    generator: Generator,
    n: int,
    inputs: int,
    channels: int,
    size: int,
    height: int,
    width: int,
) -> None:
    x, weights = (
        draw.normal(generator, n, inputs, height, width),
        0.3 * draw.normal(generator, 2 * channels, inputs, size, size),
    )
    bias = draw.normal(generator, 2 * channels)
    mask = torch.zeros(size, size, dtype=torch.float64)
    mask.view(-1)[: size**2 // 2 + (size == 3)] = 1  # mask A, then mask B

    def convolve(kernel: Tensor, b: Tensor = bias) -> Tensor:
        return F.conv2d(F.pad(x, (size // 2,) * 4), kernel, b)

    both = convolve(weights * mask)
    u, g = both[:, :channels], both[:, channels:]
    free = convolve(weights)
    bare = convolve(weights * mask, 0 * bias)
    gate = "y = tanh(u) · σ(g): the content may be negative, the gate lies between 0 and 1."
    shapes = [
        Mistake(
            (n, 2 * channels, height, width),
            "as many channels as the convolution made",
            "Half of them are contents, the other half gates.",
        ),
        Mistake(
            (n, channels, height - size + 1, width - size + 1),
            "the image has shrunk",
            "Pad with k // 2 zeros on each side.",
        ),
        Mistake((n // 2, 2 * channels, height, width), "you split the batch", "The channels are axis 1."),
    ]
    close(
        tensor(answer(x, weights, bias, mask), (n, channels, height, width), shapes=shapes),
        u.tanh() * g.sigmoid(),
        [
            Mistake(
                free[:, :channels].tanh() * free[:, channels:].sigmoid(),
                "You forgot the mask: each pixel sees itself and later ones.",
                "Multiply the weights with the mask.",
            ),
            Mistake(
                convolve(weights * mask.T)[:, :channels].tanh() * convolve(weights * mask.T)[:, channels:].sigmoid(),
                "You transposed the mask.",
                "Multiply weights and mask as they are.",
            ),
            Mistake(u.sigmoid() * g.tanh(), "Content and gate are exchanged.", "The first half is the content."),
            Mistake(
                both[:, ::2].tanh() * both[:, 1::2].sigmoid(),
                "You take every other channel as a gate.",
                "The first half of the channels is the content, the second half the gate.",
            ),
            Mistake(u * g.sigmoid(), "The tanh of the content is missing.", gate),
            Mistake(u.tanh() * g, "The sigmoid of the gate is missing.", gate),
            Mistake(u.tanh() * g.tanh(), "You use tanh for the gate too.", gate),
            Mistake(u.sigmoid() * g.sigmoid(), "You use the sigmoid for the content too.", gate),
            Mistake(u.tanh() * (1 - g.sigmoid()), "The gate is upside down: 1 − σ(g).", gate),
            Mistake(u.tanh() * g.softmax(1), "The gate is a softmax over the channels.", gate),
            Mistake(u.tanh() * bare[:, channels:].sigmoid(), "The bias is missing in the gate.", "In both halves."),
            Mistake(bare[:, :channels].tanh() * g.sigmoid(), "The bias is missing in the content.", "In both halves."),
            *(
                Mistake(
                    around[:, :channels].tanh() * around[:, channels:].sigmoid(),
                    f"Your padding is {name}: beyond the edge stands what is no part of the image.",
                    "Pad with zeros.",
                )
                for name, around in (
                    (mode, F.conv2d(F.pad(x, (size // 2,) * 4, mode=mode), weights * mask, bias))
                    for mode in ("circular", "replicate", "reflect")
                )
            ),
            Mistake(u.tanh() + g.sigmoid(), "You add the gate: it multiplies.", gate),
            Mistake(u.relu() * g.sigmoid(), "The content goes through a ReLU: it is tanh here.", gate),
            Mistake(
                bare[:, :channels].tanh() * bare[:, channels:].sigmoid(),
                "The bias is missing.",
                "Give it to the convolution.",
            ),
            Mistake(
                (convolve(weights * mask.flip(0, 1))[:, :channels]).tanh()
                * (convolve(weights * mask.flip(0, 1))[:, channels:]).sigmoid(),
                "You turned the mask around: torch's convolution does not flip its kernel.",
                "Multiply weights and mask as they are.",
            ),
        ],
        hint=gate,
    )


def _above(x: Tensor, vertical: Tensor, shift: int = 0) -> Tensor:
    """The vertical part; with shift = 1 its last row lies on the pixel's own row."""
    height, width = x.shape[-2:]
    rows, columns = vertical.shape[-2:]
    padded = F.pad(x, (columns // 2, columns // 2, rows, 1))
    return sum(
        torch.einsum("oi,bihw->bohw", vertical[:, :, i, j], padded[:, :, i + shift :, j:][:, :, :height, :width])
        for i, j in itertools.product(range(rows), range(columns))
    )


def _beside(x: Tensor, horizontal: Tensor, shift: int = 0) -> Tensor:
    """The horizontal part; with shift = 1 its last entry lies on the pixel itself."""
    width, reach = x.shape[-1], horizontal.shape[-1]
    padded = F.pad(x, (reach, 1))
    return sum(
        torch.einsum("oi,bihw->bohw", horizontal[:, :, 0, j], padded[..., j + shift :][..., :width])
        for j in range(reach)
    )


EDGES = {
    "circular": "Your padding goes round, or you roll: what stands at one edge is seen from the other.",
    "replicate": "Your padding repeats the pixels at the edge: beyond the image there is nothing, so it is 0.",
    "reflect": "Your padding is a mirror image: beyond the image there is nothing, so it is 0.",
}


def _other_edges(x: Tensor, vertical: Tensor, horizontal: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Both stacks with padding other than zeros: on which sides, and what comes out."""
    (rows, columns), reach = vertical.shape[-2:], horizontal.shape[-1]
    side, (height, width) = columns // 2, x.shape[-2:]

    def padded(sizes: tuple[int, ...], mode: str) -> Tensor:
        return F.pad(x, sizes, mode=mode) if any(sizes) else x

    def above(across: str, down: str) -> Tensor:
        wide = padded((side, side, 0, 0), across) if across else F.pad(x, (side, side))
        tall = F.pad(wide, (0, 0, rows, 0), mode=down) if down else F.pad(wide, (0, 0, rows, 0))
        return F.conv2d(tall[..., :-1, :], vertical)

    def beside(across: str) -> Tensor:
        wide = padded((reach, 0, 0, 0), across) if across else F.pad(x, (reach, 0))
        return F.conv2d(wide[..., :-1], horizontal)

    for mode in EDGES:
        if mode == "reflect" and (rows >= height or max(side, reach) >= width):
            continue
        for across, down, left in itertools.product((mode, ""), repeat=3):
            if across or down or left:
                yield mode, above(across, down) + beside(left)


@exercise("ar.two_stacks", call="two_stacks(x, vertical, horizontal)")
def two_stacks(answer: Callable, generator: Generator) -> None:
    for n, inputs, outputs, rows, reach, height, width in [
        (2, 1, 1, 1, 1, 4, 5),
        (2, 3, 4, 2, 1, 5, 6),
        (1, 2, 3, 3, 2, 7, 6),
    ]:
        x = draw.normal(generator, n, inputs, height, width)
        vertical = draw.normal(generator, outputs, inputs, rows, 2 * reach + 1)
        horizontal = draw.normal(generator, outputs, inputs, 1, reach)

        above, beside = partial(_above, x, vertical), partial(_beside, x, horizontal)
        truth = above() + beside()
        shapes = [
            Mistake(
                (n, outputs, height + 1, width),
                "a row too many",
                "The convolution over m rows of padding ends below the image: drop the last row.",
            )
        ]
        value = tensor(answer(x, vertical, horizontal), (n, outputs, height, width), shapes=shapes)
        pad = "Pad by one row more above, and drop the last row, before the convolution."
        pad_left = "Pad h columns on the left, and drop the last column, before the convolution."
        close(
            value,
            truth,
            [
                Mistake(
                    above(1) + beside(),
                    "The vertical kernel lies on the pixel's own row: it sees the pixel and those to its right.",
                    pad,
                ),
                Mistake(
                    above() + beside(1),
                    "The horizontal kernel lies on the pixel itself: it sees what it should predict.",
                    pad_left,
                ),
                Mistake(
                    above(1) + beside(1),
                    "Both kernels lie on the pixel itself: nothing is shifted.",
                    f"{pad} {pad_left}",
                ),
                Mistake(above(), "The horizontal part is missing.", "Add the two sums."),
                Mistake(beside(), "The vertical part is missing.", "Add the two sums."),
                Mistake(
                    above() + partial(_beside, x.flip(3), horizontal)().flip(3),
                    "The horizontal kernel sees the pixels to the right.",
                    pad_left,
                ),
                Mistake(above() * beside(), "You multiply the two parts.", "Add the two sums."),
                *(
                    Mistake(
                        partial(_above, x, kernel)() + partial(_beside, x, other)(),
                        "You turned a kernel around: torch's convolution does not flip its kernel.",
                        "Take the kernels as they are.",
                    )
                    for kernel, other in (
                        (vertical.flip(2), horizontal),
                        (vertical.flip(3), horizontal),
                        (vertical.flip(2, 3), horizontal),
                        (vertical, horizontal.flip(3)),
                        (vertical.flip(2, 3), horizontal.flip(3)),
                    )
                ),
                *(
                    Mistake(other, EDGES[mode], "Pad with zeros, `F.pad` without a mode.")
                    for mode, other in _other_edges(x, vertical, horizontal)
                ),
                Mistake(above() - beside(), "You subtract the horizontal part.", "Add the two sums."),
            ],
            hint="Set all entries but one of a kernel to 0 and look at what is shifted by how much.",
        )
