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


@wrong("ar.made_masks", says="Mask 1 takes the degrees of another hidden layer for its listeners")
def last_degrees_everywhere(place, degrees):
    speakers, found = (place, [])
    for _ in degrees:
        found.append(degrees[-1][:, None] >= speakers)
        speakers = degrees[-1]
    return [*found, place[:, None] > speakers]


@wrong("ar.made_masks", says="Mask 2 takes the degrees of another hidden layer for its listeners")
def first_degrees_everywhere(place, degrees):
    speakers, found = (place, [])
    for _ in degrees:
        found.append(degrees[0][:, None] >= speakers)
        speakers = degrees[0]
    return [*found, place[:, None] > speakers]


@wrong("ar.made_masks", says="Mask 3 takes the degrees of another layer for its speakers")
def places_speak_everywhere(place, degrees):
    return [
        *[log_p[:, None] >= (place if i == 0 else degrees[0]) for i, log_p in enumerate(degrees)],
        place[:, None] > degrees[-1],
    ]


@wrong("ar.made_masks", says="Your masks leak: a pixel reaches its own output")
def output_from_the_first(place, degrees):
    speakers, found = (place, [])
    for log_p in degrees:
        found.append(log_p[:, None] >= speakers)
        speakers = log_p
    return [*found, place[:, None] > degrees[0]]


@wrong("ar.made_masks", says="Mask 1 takes the degrees of another hidden layer for its listeners")
def degrees_backwards(place, degrees):
    speakers, found = (place, [])
    for log_p in degrees[::-1]:
        found.append(log_p[:, None] >= speakers)
        speakers = log_p
    return [*found, place[:, None] > speakers]


@wrong("ar.made_masks", says="Mask 2 is too strict: a unit of degree m may listen to place or degree m itself")
def hidden_strict_after_the_first(place, degrees):
    speakers, found = (place, [])
    for i, log_p in enumerate(degrees):
        found.append(log_p[:, None] >= speakers if i == 0 else log_p[:, None] > speakers)
        speakers = log_p
    return [*found, place[:, None] > speakers]


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


@wrong("ar.causal_mask", says="Mask B hides the center")
def always_a_causal_mask(size, kind):
    m = torch.zeros(size * size)
    m[: size * size // 2] = 1
    return m.reshape(size, size)


@wrong("ar.causal_mask", says="Your mask should have shape (3, 3), not (5, 5)")
def size_five(size, kind):
    m = torch.zeros(25)
    m[: 12 + (kind == "B")] = 1
    return m.reshape(5, 5)


@wrong("ar.causal_mask", says="The pixels to the left of the center are missing")
def half_rows(size, kind):
    m = torch.zeros(size, size)
    m[: size // 2] = 1
    return m


@wrong("ar.causal_mask", says="Mask A shows the center")
def center_off_by_one(size, kind):
    m = torch.zeros(size * size)
    m[: size * size // 2 + 1 + (kind == "B")] = 1
    return m.reshape(size, size)


@wrong("ar.causal_mask", says="The rows above the center are missing")
def one_row_less(size, kind):
    m = torch.zeros(size, size)
    m[1 : size // 2] = 1
    m[size // 2, : size // 2 + (kind == "B")] = 1
    return m


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


@wrong("ar.causal_mask", says="you take the right for the left")
def right_for_left(size, kind):
    middle = size // 2
    mask = torch.zeros(size, size)
    mask[:middle] = 1
    mask[middle, middle + (kind == "A") :] = 1
    return mask
