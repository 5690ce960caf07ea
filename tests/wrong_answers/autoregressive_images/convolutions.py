"""Wrong answers of chapter 12: the gated layers of PixelCNN."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong

# --- ar.gated_convolution --------------------------------------------------------------------------------------------


def gated(x, weights, bias, mask, content=torch.tanh, gate=torch.sigmoid, swap=False):
    u, g = F.conv2d(x, weights * mask, bias, padding=mask.shape[0] // 2).chunk(2, 1)
    return content(g) * gate(u) if swap else content(u) * gate(g)


@wrong("ar.gated_convolution", says="forgot the mask")
def mask_forgotten(x, weights, bias, mask):
    return gated(x, weights, bias, torch.ones_like(mask))


@wrong("ar.gated_convolution", says="exchanged")
def halves_exchanged(x, weights, bias, mask):
    return gated(x, weights, bias, mask, swap=True)


@wrong("ar.gated_convolution", says="sigmoid of the gate is missing")
def open_gate(x, weights, bias, mask):
    return gated(x, weights, bias, mask, gate=lambda g: g)


@wrong("ar.gated_convolution", says="tanh of the content is missing")
def linear_content(x, weights, bias, mask):
    return gated(x, weights, bias, mask, content=lambda u: u)


@wrong("ar.gated_convolution", says="tanh for the gate too")
def two_tanh(x, weights, bias, mask):
    return gated(x, weights, bias, mask, gate=torch.tanh)


@wrong("ar.gated_convolution", says="every other channel")
def interleaved(x, weights, bias, mask):
    both = F.conv2d(x, weights * mask, bias, padding=mask.shape[0] // 2)
    return both[:, ::2].tanh() * both[:, 1::2].sigmoid()


@wrong("ar.gated_convolution", says="the image has shrunk")
def not_padded(x, weights, bias, mask):
    u, g = F.conv2d(x, weights * mask, bias).chunk(2, 1)
    return u.tanh() * g.sigmoid()


@wrong("ar.gated_convolution", says="You turned the mask around")
def mask_turned(x, weights, bias, mask):
    return gated(x, weights, bias, mask.flip(0, 1))


def content_times_gate(both):
    u, g = both.chunk(2, 1)
    return u.tanh() * g.sigmoid()


def convolved(x, weights, bias, mask, mode="constant"):
    r = mask.shape[-1] // 2
    return F.conv2d(F.pad(x, (r,) * 4, mode=mode), weights * mask, bias)


@wrong("ar.gated_convolution", says="Your padding is circular")
def circular_padding(x, weights, bias, mask):
    return content_times_gate(convolved(x, weights, bias, mask, "circular"))


@wrong("ar.gated_convolution", says="Your padding is replicate")
def replicated_padding(x, weights, bias, mask):
    return content_times_gate(convolved(x, weights, bias, mask, "replicate"))


@wrong("ar.gated_convolution", says="The bias is missing in the gate")
def bias_of_content_alone(x, weights, bias, mask):
    b = bias.clone()
    b[len(b) // 2 :] = 0
    return content_times_gate(convolved(x, weights, b, mask))


@wrong("ar.gated_convolution", says="The bias is missing in the content")
def bias_of_gate_alone(x, weights, bias, mask):
    b = bias.clone()
    b[: len(b) // 2] = 0
    return content_times_gate(convolved(x, weights, b, mask))


@wrong("ar.gated_convolution", says="The gate is upside down: 1 − σ(g)")
def gate_upside_down(x, weights, bias, mask):
    u, g = convolved(x, weights, bias, mask).chunk(2, 1)
    return u.tanh() * (1 - g.sigmoid())


@wrong("ar.gated_convolution", says="The gate is a softmax over the channels")
def gate_by_softmax(x, weights, bias, mask):
    u, g = convolved(x, weights, bias, mask).chunk(2, 1)
    return u.tanh() * g.softmax(1)


@wrong("ar.gated_convolution", says="Your result should have shape (3")
def always_two_rings(x, weights, bias, mask):
    return content_times_gate(F.conv2d(F.pad(x, (2,) * 4), weights * mask, bias))


@wrong("ar.gated_convolution", says="You forgot the mask: each pixel sees itself and later ones")
def mask_on_the_image(x, weights, bias, mask):
    return content_times_gate(F.conv2d(x, weights, bias, padding=mask.shape[-1] // 2))


# --- ar.two_stacks ---------------------------------------------------------------------------------------------------


def parts(x, vertical, horizontal, down=1, right=1):
    rows, reach = vertical.shape[-2], horizontal.shape[-1]
    above = F.pad(x, (reach, reach, rows - 1 + down, 0))[:, :, : x.shape[2] + rows - 1]
    left = F.pad(x, (reach - 1 + right, 0))[..., : x.shape[3] + reach - 1]
    return F.conv2d(above, vertical), F.conv2d(left, horizontal)


@wrong("ar.two_stacks", says="lies on the pixel's own row")
def not_shifted_down(x, vertical, horizontal):
    return sum(parts(x, vertical, horizontal, down=0))


@wrong("ar.two_stacks", says="horizontal kernel lies on the pixel itself")
def not_shifted_right(x, vertical, horizontal):
    return sum(parts(x, vertical, horizontal, right=0))


@wrong("ar.two_stacks", says="nothing is shifted")
def neither_shifted(x, vertical, horizontal):
    return sum(parts(x, vertical, horizontal, down=0, right=0))


@wrong("ar.two_stacks", says="horizontal part is missing")
def vertical_only(x, vertical, horizontal):
    return parts(x, vertical, horizontal)[0]


@wrong("ar.two_stacks", says="a row too many")
def last_row_kept(x, vertical, horizontal):
    rows, reach = vertical.shape[-2], horizontal.shape[-1]
    return F.conv2d(F.pad(x, (reach, reach, rows, 0)), vertical)


@wrong("ar.two_stacks", says="You multiply the two parts")
def multiplied(x, vertical, horizontal):
    above, left = parts(x, vertical, horizontal)
    return above * left


def sum_of_stacks(x, v, h, above=None, left=None):
    m, r = (v.shape[-2], h.shape[-1])
    above = F.pad(x, (r, r, m, 0))[:, :, :-1] if above is None else above
    left = F.pad(x, (r, 0))[..., :-1] if left is None else left
    return F.conv2d(above, v) + F.conv2d(left, h)


@wrong("ar.two_stacks", says="The horizontal kernel lies on the pixel itself")
def left_not_shifted(x, vertical, horizontal):
    r = horizontal.shape[-1]
    return sum_of_stacks(x, vertical, horizontal, left=F.pad(x, (r - 1, 0)))


@wrong("ar.two_stacks", says="The vertical kernel lies on the pixel's own row")
def above_not_shifted(x, vertical, horizontal):
    m, r = (vertical.shape[-2], horizontal.shape[-1])
    return sum_of_stacks(x, vertical, horizontal, above=F.pad(x, (r, r, m - 1, 0)))


@wrong("ar.two_stacks", says="You turned a kernel around")
def vertical_flipped(x, vertical, horizontal):
    return sum_of_stacks(x, vertical.flip(2, 3), horizontal)


@wrong("ar.two_stacks", says="You turned a kernel around")
def horizontal_flipped(x, vertical, horizontal):
    return sum_of_stacks(x, vertical, horizontal.flip(3))


@wrong("ar.two_stacks", says="Your padding goes round")
def edges_meet(x, vertical, horizontal):
    m, r = (vertical.shape[-2], horizontal.shape[-1])
    a = F.pad(x.roll(1, 2) if m == 1 else x, (r, r, 0, 0), mode="circular")
    above = torch.cat([a[:, :, -m:], a], 2)[:, :, :-1] if m > 1 else a
    left = torch.cat([x[..., -r:], x], 3)[..., :-1]
    return sum_of_stacks(x, vertical, horizontal, above, left)


@wrong("ar.gated_convolution", says="You transposed the mask")
def transposed_mask(x, weights, bias, mask):
    content, gate = torch.nn.functional.conv2d(x, weights * mask.T, bias, padding=len(mask) // 2).chunk(2, 1)
    return content.tanh() * gate.sigmoid()


def _shifted_sums(x, vertical, horizontal, shift):
    rows, reach = vertical.shape[2], horizontal.shape[3]
    above = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (reach, reach, rows - 1, 0)), vertical)
    beside = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (reach - 1, 0, 0, 0)), horizontal)
    return shift(above, 2) + shift(beside, 3)


@wrong("ar.two_stacks", says="or you roll")
def rolled_instead_of_padded(x, vertical, horizontal):
    return _shifted_sums(x, vertical, horizontal, lambda y, axis: y.roll(1, axis))


@wrong("ar.two_stacks", says="sees the pixels to the right")
def beside_on_the_right(x, vertical, horizontal):
    def down(y, axis):
        return torch.cat([0 * y.narrow(axis, 0, 1), y.narrow(axis, 0, y.shape[axis] - 1)], axis)

    above = _shifted_sums(x, vertical, 0 * horizontal, down)
    return above + _shifted_sums(x.flip(3), 0 * vertical, horizontal, down).flip(3)
