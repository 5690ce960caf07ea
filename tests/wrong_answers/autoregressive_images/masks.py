"""Wrong answers of chapter 12: masks, and what a pixel sees through them."""

import itertools

import torch

from wrong_answers import wrong

# --- ar.made_masks ---------------------------------------------------------------------------------------------------


def masks(place, degrees, *, hidden=torch.ge, output=torch.gt, first=None, last=None):
    levels = [place if first is None else first, *degrees]
    found = [hidden(after[:, None], before) for before, after in itertools.pairwise(levels)]
    return [*found, output((place if last is None else last)[:, None], levels[-1])]


@wrong("ar.made_masks", says="a pixel reaches its own output")
def output_not_strict(place, degrees):
    return masks(place, degrees, output=torch.ge)


@wrong("ar.made_masks", says="too strict")
def all_strict(place, degrees):
    return masks(place, degrees, hidden=torch.gt)


@wrong("ar.made_masks", says="Mask 1 compares the wrong way")
def wrong_way(place, degrees):
    return masks(place, degrees, hidden=torch.le)


@wrong("ar.made_masks", says="output's mask compares the wrong way")
def output_wrong_way(place, degrees):
    return masks(place, degrees, output=torch.lt)


@wrong("ar.made_masks", says="axes are swapped")
def speakers_first(place, degrees):
    return [mask.T for mask in masks(place, degrees)]


@wrong("ar.made_masks", says="not their places in the order")
def numbers_for_places(place, degrees):
    raster = torch.arange(len(place))
    return masks(place, degrees, first=raster, last=raster)


@wrong("ar.made_masks", says="output's mask uses the pixels' numbers")
def output_by_number(place, degrees):
    return masks(place, degrees, last=torch.arange(len(place)))


@wrong("ar.made_masks", says="You invert `place`")
def inverted_place(place, degrees):
    return masks(place.argsort(), degrees)


# --- ar.causal_mask --------------------------------------------------------------------------------------------------


def window(size, center):
    mask = torch.zeros(size, size)
    mask[: size // 2] = 1
    mask[size // 2, : size // 2 + center] = 1
    return mask


@wrong("ar.causal_mask", says="Mask B hides the center")
def always_a(size, kind):
    return window(size, False)


@wrong("ar.causal_mask", says="Mask A shows the center")
def always_b(size, kind):
    return window(size, True)


@wrong("ar.causal_mask", says="Mask A shows the center")
def exchanged(size, kind):
    return window(size, kind == "A")


@wrong("ar.causal_mask", says="transposed")
def by_columns(size, kind):
    return window(size, kind == "B").T


@wrong("ar.causal_mask", says="rows below")
def later_rows(size, kind):
    mask = torch.ones(size, size)
    mask[size // 2, size // 2 + (kind == "B") :] = 0
    return mask


@wrong("ar.causal_mask", says="to the right of the center")
def whole_row(size, kind):
    mask = window(size, kind == "B")
    mask[size // 2, size // 2 + 1 :] = 1
    return mask


@wrong("ar.causal_mask", says="what comes after the center")
def flipped(size, kind):
    return window(size, kind == "B").flip(0, 1)


@wrong("ar.causal_mask", says="In the rows above")
def quarter(size, kind):
    mask = window(size, kind == "B")
    mask[:, size // 2 + 1 :] = 0
    return mask


# --- ar.receptive_field ----------------------------------------------------------------------------------------------


def spread(size, kinds, height, width, row, column, rows_below=False):
    reach = size // 2
    seen = {(row, column)}
    for kind in reversed(kinds):
        seen = {
            (r + i, c + j)
            for r, c in seen
            for i in range(-reach, reach + 1)
            for j in range(-reach, reach + 1)
            if (rows_below or (i, j) < (0, kind == "B")) and 0 <= r + i < height and 0 <= c + j < width
        }
    return torch.tensor([[(r, c) in seen for c in range(width)] for r in range(height)])


@wrong("ar.receptive_field", says="mask B in all layers")
def all_b(size, n_layers, height, width, row, column):
    return spread(size, "B" * n_layers, height, width, row, column)


@wrong("ar.receptive_field", says="mask A in all layers")
def all_a(size, n_layers, height, width, row, column):
    return spread(size, "A" * n_layers, height, width, row, column)


@wrong("ar.receptive_field", says="one layer too many")
def one_more(size, n_layers, height, width, row, column):
    return spread(size, "A" + "B" * n_layers, height, width, row, column)


@wrong("ar.receptive_field", says="use no mask")
def no_mask(size, n_layers, height, width, row, column):
    return spread(size, "B" * n_layers, height, width, row, column, rows_below=True)


@wrong("ar.receptive_field", says="every earlier pixel")
def every_earlier(size, n_layers, height, width, row, column):
    return (torch.arange(height * width) < row * width + column).reshape(height, width)


@wrong("ar.receptive_field", says="miss the blind spot")
def box(size, n_layers, height, width, row, column):
    far = n_layers * (size // 2)
    r, c = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    earlier = (r < row) | (r == row) & (c < column)
    return earlier & (r >= row - far) & ((c - column).abs() <= far)
