"""Checks of chapter 12: masks, and what a pixel sees through them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor


@exercise("ar.made_masks", call="made_masks(place, degrees)")
def made_masks(answer: Callable, generator: Generator) -> None:
    dim = 5
    for sizes in ((7,), (8, 8, 8), (9, 6)):
        place = draw.order(generator, dim)
        degrees = [torch.randint(dim - 1, (size,), generator=generator) for size in sizes]
        for layer in degrees:
            layer[: dim - 1] = torch.arange(dim - 1)  # every degree occurs
        names = [f"mask {i + 1}" for i in range(len(sizes) + 1)]
        widths = [dim, *sizes, dim]
        masks = []
        for mask, name, (speakers, listeners) in zip(
            parts(answer(place, degrees), names), names, itertools.pairwise(widths), strict=True
        ):
            masks.append(tensor(mask, (listeners, speakers), torch.bool, name).double())
        levels = [place, *degrees]
        raster = torch.arange(dim)
        for i, (speakers, listeners) in enumerate(itertools.pairwise(levels)):
            close(
                masks[i],
                (listeners[:, None] >= speakers).double(),
                [
                    Mistake(
                        listeners[:, None] > speakers,
                        f"Mask {i + 1} is too strict: a unit of degree m may listen to place or degree m itself.",
                        "The strict comparison belongs to the output alone.",
                    ),
                    Mistake(
                        listeners[:, None] <= speakers,
                        f"Mask {i + 1} compares the wrong way: units listen to later pixels.",
                        "Who listens must know at least as much as who speaks.",
                    ),
                    Mistake(
                        listeners[:, None] < speakers,
                        f"Mask {i + 1} compares the wrong way: units listen to later pixels.",
                        "Who listens must know at least as much as who speaks.",
                    ),
                    Mistake(
                        listeners[:, None] >= (raster if i == 0 else speakers),
                        "You use the pixels' numbers, not their places in the order.",
                        "`place[d]` is the place of pixel d.",
                    ),
                    Mistake(
                        listeners[:, None] >= (place.argsort() if i == 0 else speakers),
                        "You invert `place`: it holds the place of each pixel already.",
                        "`place[d]` is the place of pixel d.",
                    ),
                    *(
                        Mistake(
                            other[:, None] >= speakers,
                            f"Mask {i + 1} takes the degrees of another hidden layer for its listeners.",
                            f"Its listeners are layer {i + 1} of `degrees`, its speakers the layer before.",
                        )
                        for other in degrees
                        if len(other) == len(listeners)
                    ),
                    *(
                        Mistake(
                            listeners[:, None] >= other,
                            f"Mask {i + 1} takes the degrees of another layer for its speakers.",
                            f"Its listeners are layer {i + 1} of `degrees`, its speakers the layer before.",
                        )
                        for other in levels
                        if len(other) == len(speakers)
                    ),
                    Mistake(
                        torch.ones_like(masks[i]),
                        f"Mask {i + 1} cuts nothing.",
                        "Compare degrees: who listens with who speaks.",
                    ),
                ],
                name=f"mask {i + 1}",
            )
        path = masks[0]
        for mask in masks[1:]:
            path = mask @ path
        leaks = (path > 0) & (place[:, None] <= place)  # (output, input)
        says = ""
        if leaks.any():
            own = leaks.diagonal().any()
            says = "a pixel reaches its own output" if own else "a pixel reaches the output of an earlier one"
        last = degrees[-1]
        close(
            masks[-1],
            (place[:, None] > last).double(),
            [
                Mistake(
                    place[:, None] >= last,
                    f"The output's mask is not strict: {says}, and the network may copy it.",
                    "A unit of degree m knows the pixel at place m: only outputs at later places may listen, `>`.",
                ),
                Mistake(
                    place[:, None] < last,
                    f"The output's mask compares the wrong way: {says}.",
                    "The output of a pixel listens to units of a lower degree than its place.",
                ),
                Mistake(
                    place[:, None] <= last,
                    f"The output's mask compares the wrong way: {says}.",
                    "The output of a pixel listens to units of a lower degree than its place.",
                ),
                Mistake(
                    raster[:, None] > last,
                    f"The output's mask uses the pixels' numbers, not their places in the order: {says}.",
                    "`place[d]` is the place of pixel d.",
                ),
                Mistake(
                    masks[-1] if leaks.any() else torch.full_like(masks[-1], -1),
                    f"Your masks leak: {says}.",
                    "Follow the degrees from layer to layer; only the output's comparison is strict.",
                    general=True,
                ),
            ],
            name=names[-1],
            hint="The output of a pixel listens to units whose degree is less than its place.",
        )


@exercise("ar.causal_mask", call="causal_mask(size, kind)")
def causal_mask(answer: Callable, generator: Generator) -> None:
    for size, kind in itertools.product((3, 5, 7), "AB"):
        mask = answer(size, kind)
        if isinstance(mask, Tensor):
            mask = mask.double()  # zeros and ones of any type
        value = tensor(mask, (size, size), name="your mask")
        middle = size // 2
        row, column = (index.double() for index in torch.meshgrid(*[torch.arange(size) - middle] * 2, indexing="ij"))
        above, left, here = row < 0, (row == 0) & (column < 0), (row == 0) & (column == 0)
        center = here if kind == "B" else torch.zeros_like(here)
        other = torch.zeros_like(here) if kind == "B" else here
        earlier = "The rows above, and in the center's row the pixels to its left."
        sees = {
            "A": "Mask A shows the center: the first layer would copy the pixel that it should predict.",
            "B": "Mask B hides the center: later layers lose what the layer before has found there.",
        }[kind]
        close(
            value,
            (above | left | center).double(),
            [
                Mistake(above | left | other, sees, 'The center is 0 for "A" and 1 for "B".'),
                Mistake(
                    (column < 0) | ((column == 0) & (row < 0)) | center,
                    "The mask is transposed: it goes column by column.",
                    earlier,
                ),
                Mistake(~(above | left | here) | center, "The mask shows what comes after the center.", earlier),
                Mistake(
                    above | left | center | (row > 0),
                    "The mask includes the rows below the center.",
                    "They come later: set them to 0.",
                ),
                Mistake(
                    above | (row == 0) & ((column != 0) | center),
                    "The mask includes the pixels to the right of the center.",
                    "They come later: set them to 0.",
                ),
                Mistake(
                    above | center | (row == 0) & (column > 0),
                    "In the center's row you take the right for the left.",
                    earlier,
                ),
                Mistake(above | center, "The pixels to the left of the center are missing.", earlier),
                Mistake(left | center, "The rows above the center are missing.", earlier),
                Mistake(
                    ((row < 0) & (column <= 0)) | left | center,
                    "In the rows above, the pixels to the right are missing.",
                    "A row above is earlier over its full width.",
                ),
            ],
            name=f'your mask "{kind}" of size {size}',
            hint=earlier,
        )


@exercise("ar.receptive_field", call="receptive_field(size, n_layers, height, width, row, column)")
def receptive_field(answer: Callable, generator: Generator) -> None:
    def seen(size: int, kinds: str, height: int, width: int, row: int, column: int) -> Tensor:
        """By the gradient of a stack of convolutions with positive weights: which pixels move the output."""
        reach = size // 2
        with torch.enable_grad():
            x = torch.zeros(1, 1, height, width, dtype=torch.float64, requires_grad=True)
            y = x
            for kind in kinds:
                kernel = torch.ones(1, 1, size, size, dtype=torch.float64)
                if kind != "*":
                    kernel[0, 0, reach, reach + (kind == "B") :] = 0
                    kernel[0, 0, reach + 1 :] = 0
                y = F.conv2d(y, kernel, padding=reach)
            return torch.autograd.grad(y[0, 0, row, column], x)[0][0, 0] > 0

    for size, n_layers, height, width, row, column in [
        (3, 1, 6, 7, 3, 3), (3, 4, 9, 11, 6, 4), (3, 3, 8, 9, 5, 0), (5, 2, 9, 10, 6, 5), (7, 2, 15, 14, 10, 4),
        (3, 3, 8, 9, 1, 4), (5, 2, 7, 8, 0, 7), (5, 3, 12, 10, 3, 9),
    ]:  # fmt: skip
        field = (height, width, row, column)
        r, c = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        earlier = (r < row) | (r == row) & (c < column)
        far = n_layers * (size // 2)
        box = (r >= row - far) & ((c - column).abs() <= far)
        mask = answer(size, n_layers, *field)
        value = tensor(mask, (height, width), torch.bool)
        truth = seen(size, "A" + "B" * (n_layers - 1), *field)
        first = "The first layer has mask A, all others mask B."
        close(
            value.double(),
            truth.double(),
            [
                Mistake(
                    seen(size, "B" * n_layers, *field),
                    "The pixel sees itself, as with mask B in all layers, or if it stays marked from the start.",
                    first,
                ),
                Mistake(
                    seen(size, "A" * n_layers, *field),
                    "You use mask A in all layers: each leaves out the center.",
                    first,
                ),
                Mistake(
                    earlier & box,
                    "You miss the blind spot: a kernel reaches right only in the rows above.",
                    "Go layer by layer: to the right of the pixel, each row up gains half a kernel.",
                ),
                Mistake(
                    earlier,
                    "This is every earlier pixel: a stack of layers does not see them all.",
                    "Each layer reaches half a kernel further; on the right there is a blind spot.",
                ),
                Mistake(
                    seen(size, "*" * n_layers, *field),
                    "You use no mask: later pixels are seen.",
                    first,
                ),
                Mistake(
                    seen(size, "A" + "B" * n_layers, *field),
                    "You have one layer too many.",
                    "`n_layers` counts the layer with mask A too.",
                ),
                Mistake(
                    seen(size, "A" + "B" * (n_layers - 2), *field) if n_layers > 1 else torch.zeros_like(truth),
                    "You have one layer too few.",
                    "`n_layers` counts the layer with mask A too.",
                ),
                Mistake(
                    ~truth,
                    "It is the wrong way round: True means seen.",
                    "Negate it.",
                ),
            ],
            name=f"your field for {n_layers} layer(s) of size {size} at ({row}, {column})",
            hint="Start with the pixel alone; replace each place by what its mask lets through, n_layers times.",
        )
