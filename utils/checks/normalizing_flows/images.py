"""Checks of chapter 10: what flows of images need."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.normalizing_flows._densities import not_summed, summed_too_far
from utils.checks.verdicts import Wrong


def _in_unit_interval(noise: Tensor) -> bool:
    return bool(noise.min() >= 0 and noise.max() <= 1)


@exercise("flow.dequantize", call="dequantize(x, levels)")
def dequantize(answer: Callable, generator: Generator) -> None:
    batch, dim, levels = 2000, 6, int(torch.randint(5, 40, (), generator=generator))
    x = torch.randint(levels, (batch, dim), generator=generator).double()
    x[:2] = torch.tensor([[0.0], [levels - 1.0]], dtype=torch.float64)
    y, log_det = parts(answer(x, levels), ("y", "log_det"))
    y = tensor(y, (batch, dim), name="your y")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*summed_too_far(dim), not_summed(batch, dim)])

    noise = y * levels - x  # what was added to each gray value
    if torch.allclose(y, (x + 0.5) / levels):
        raise Wrong("Every pixel gets the same number, ½: this is no noise.", "Draw a number for each pixel.")
    if _in_unit_interval(y * 256 - x):
        raise Wrong("You divide by 256, whatever the levels.", "Use `levels`.")
    if noise.abs().max() < 1e-6:
        raise Wrong("There is no noise in your y.", "Add u from [0, 1), a new one for each pixel.")
    if _in_unit_interval(y - x):
        raise Wrong("You forgot to divide by the levels: your y goes beyond 1.", "y = (x + u) / levels.")
    if _in_unit_interval(y * (levels - 1) - x):
        raise Wrong(
            f"You divide by levels − 1: the noise on the largest gray value, {levels - 1}, leaves the interval [0, 1).",
            "Each of the levels owns a piece of width 1 / levels.",
        )
    if _in_unit_interval(y - x / levels) and noise.max() > 2:
        raise Wrong(
            "Your noise is added after the division, so it is as wide as all levels together.",
            "Add u before you divide: it must stay within one gray value.",
        )
    if torch.allclose(noise, noise[:, :1].expand_as(noise)):
        raise Wrong("All pixels of an image get the same noise.", "Draw a number for each pixel: `torch.rand_like(x)`.")
    if torch.allclose(noise, noise[:1].expand_as(noise)):
        raise Wrong("All images get the same noise.", "Draw a number for each pixel: `torch.rand_like(x)`.")
    if torch.equal(tensor(answer(x, levels)[0], (batch, dim), name="your y"), y):
        raise Wrong("Your noise is the same at each call.", "Set no seed inside of the function.")
    state = torch.get_rng_state()
    one = answer(x, levels)[0]
    torch.set_rng_state(state)
    if not torch.equal(one, answer(x, levels)[0]):
        raise Wrong(
            "Your noise does not come from torch's own generator: `torch.manual_seed` does not repeat it.",
            "`torch.rand_like(x)`, no numpy and no generator of your own.",
        )
    low, high = noise.min().item(), noise.max().item()
    measured = f"in units of a gray value it goes from {low:.2f} to {high:.2f}"
    if low < -1e-6 and noise.abs().max() > 1.5:
        raise Wrong(f"Your noise has no bounds: {measured}.", "It is uniform, `torch.rand_like`, not normal.")
    if low < -1e-6:
        raise Wrong(
            f"Your noise goes below the gray value: {measured}.",
            "It must lie in [0, 1): rounding down then gives x back, and y stays in [0, 1).",
        )
    if high > 1 + 1e-6:
        raise Wrong(f"Your noise is too wide: {measured}.", "Beyond 1 it reaches the next gray value.")
    if high < 0.9 or low > 0.1:
        raise Wrong(f"Your noise is too narrow: {measured}.", "It must fill the gap to the next gray value.")
    # 12,000 uniform numbers: both of these are six standard deviations wide or more.
    mean, spread = noise.mean().item(), noise.std().item()
    if abs(mean - 0.5) > 0.02 or abs(spread - 12**-0.5) > 0.01:
        raise Wrong(
            f"Your noise is not uniform: mean {mean:.2f} and standard deviation {spread:.2f}, expected 0.50 and 0.29.",
            "`torch.rand_like` draws from U[0, 1).",
        )
    truth = torch.full((batch,), -dim * math.log(levels), dtype=torch.float64)
    close(
        log_det,
        truth,
        [
            Mistake(
                -truth, "The log-determinant has the wrong sign.", "y is smaller than x: the map squeezes, log_det < 0."
            ),
            Mistake(truth / dim, "The log-determinant lacks the dimension.", "Each of the D pixels is divided."),
            Mistake(0 * truth, "Your log-determinant is 0: you forgot the division by the levels.", "−D log levels."),
            Mistake(
                truth / math.log(2), "Your log-determinant is in bits.", "All log-determinants are in nats: `math.log`."
            ),
            Mistake(
                -dim * math.log(levels - 1) + 0 * truth, "You count levels − 1.", "x + u is divided by the levels."
            ),
            Mistake(batch * truth, "Your log-determinant is that of the whole batch.", "One image has D pixels."),
            Mistake(truth / math.log(10), "Your log-determinant is to base 10.", "In nats: `math.log`."),
            Mistake(truth.exp(), "You return the determinant, not its logarithm.", "log levels⁻ᴰ = −D log levels."),
        ],
        name="your log_det",
        hint="Each of the D pixels is divided by the levels.",
    )


@exercise("flow.bits_per_dim", call="bits_per_dim(log_prob, dim, levels)")
def bits_per_dim(answer: Callable, generator: Generator) -> None:
    batch, log_2 = 5, math.log(2)
    dim, levels = (int(torch.randint(*range_, (), generator=generator)) for range_ in ((20, 90), (5, 60)))
    log_prob = dim * (0.8 + 0.3 * draw.normal(generator, batch))
    own = -log_prob / (dim * log_2)
    truth = own + math.log2(levels)
    nats = truth * log_2
    value = tensor(
        answer(log_prob, dim, levels), (batch,), shapes=[Mistake((), "one number", "Each image has its own.")]
    )
    close(
        value,
        truth,
        [
            Mistake(
                own,
                "You forgot the levels: these are bits of a density, not of gray values.",
                "Each gray value owns a cube of volume levels⁻ᴰ: add log₂ levels.",
            ),
            Mistake(
                own - math.log2(levels), "The levels enter with the wrong sign.", "P(x) = p(y) / levelsᴰ: less likely."
            ),
            Mistake(nats, "These are nats per dimension, not bits.", "Divide by log 2."),
            Mistake(nats * log_2, "You multiply by log 2 to get bits.", "A bit is log 2 = 0.69 nats: divide by log 2."),
            Mistake(nats / math.log(10), "You use the logarithm to base 10.", "Bits are to base 2."),
            Mistake(own + math.log(levels), "The levels enter in nats, the rest in bits.", "Add log₂ levels."),
            Mistake(
                -log_prob / dim + math.log2(levels), "The levels enter in bits, the rest in nats.", "Divide by log 2."
            ),
            Mistake(truth * dim, "These are bits per image.", "Divide by the number of dimensions."),
            Mistake(
                -log_prob / log_2 + math.log2(levels),
                "Only the levels are per dimension.",
                "Divide log_prob by D as well.",
            ),
            Mistake(
                own + math.log2(levels) / dim, "You divide the bits of the levels by D.", "Each pixel has its own."
            ),
            Mistake(
                -log_prob / dim * log_2 + math.log2(levels),
                "You multiply log p(y) by log 2 to get bits.",
                "A bit is log 2 = 0.69 nats: divide by log 2.",
            ),
            Mistake(-truth, "The sign is wrong: a code length is positive.", "−log₂ P(x) / D."),
            Mistake(
                math.log2(levels) - own,
                "log_prob enters with the wrong sign: your likely images cost the most bits.",
                "−log₂ P(x) / D.",
            ),
            Mistake(
                own + math.log2(levels - 1), "You count levels − 1: y was divided by the levels.", "Add log₂ levels."
            ),
            Mistake(own + 8, "You assume 256 levels.", "Use the levels that are given."),
        ],
        name="your bits per dimension",
        hint="A density that is 1 everywhere must cost log₂ levels bits.",
    )
    says = "For 784 pixels of 256 levels your result is infinite: levels⁻ᴰ is 0 on a computer."
    hint = "Stay with logarithms: log₂ P(x) = log₂ p(y) − D log₂ levels."
    large = tensor(answer(0 * log_prob, 784, 256), (batch,), not_finite=(says, hint))
    close(large, torch.full((batch,), 8.0).double(), name="your bits per dimension for 784 pixels", hint=hint)


@exercise("flow.mix_channels", call="mix_channels(x, weight)")
def mix_channels(answer: Callable, generator: Generator) -> None:
    batch, channels, height, width = 2, 3, 4, 5
    x = draw.normal(generator, batch, channels, height, width)
    weight = draw.normal(generator, channels, channels) + 0.1 * torch.eye(channels, dtype=torch.float64)
    weight[0] *= weight.det().sign()
    truth = (weight[None, :, :, None, None] * x[:, None]).sum(2)
    # The matrix of the whole map, one pixel's block after the other.
    one = torch.kron(torch.eye(height * width, dtype=torch.float64), weight).slogdet().logabsdet
    log_det_truth = one.expand(batch)
    single = weight.slogdet().logabsdet.expand(batch)
    z, log_det = parts(answer(x, weight), ("z", "log_det"))
    z = tensor(z, x.shape, name="your z")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[_one_image()])
    close(
        z,
        truth,
        [
            Mistake(
                (weight.T[None, :, :, None, None] * x[:, None]).sum(2),
                "You multiply with the transposed matrix.",
                "z_o = Σ_c W[o, c] x_c: the sum runs over the second index.",
            ),
            Mistake(
                (weight.inverse()[None, :, :, None, None] * x[:, None]).sum(2),
                "You multiply with the inverse matrix.",
                "z = W x: this is the forward direction.",
            ),
            Mistake(
                (x.reshape(batch, height * width, channels) @ weight.T).reshape(x.shape),
                "`reshape` mixes channels with pixels.",
                "Move the channels to the last axis first: `x.movedim(1, -1)`.",
            ),
            Mistake(x, "Your z is x: the channels are not mixed.", "z = W x at each pixel."),
        ],
        name="your z",
        hint="Take one pixel: its C numbers are multiplied by W.",
    )
    pixels = height * width
    close(
        log_det,
        log_det_truth,
        [
            Mistake(
                single,
                "Your log-determinant is that of one pixel.",
                "The Jacobian of the image has a block W for each pixel: multiply by H · W.",
            ),
            Mistake(-log_det_truth, "The log-determinant has the wrong sign.", "This is the forward direction."),
            Mistake(single * height, "You count the rows of the image only.", "Multiply by H · W."),
            Mistake(single * width, "You count the columns of the image only.", "Multiply by H · W."),
            Mistake(
                log_det_truth * channels,
                "You count each channel.",
                "The block of a pixel holds all its channels: H · W.",
            ),
            Mistake(single * (height + width), "You add the sides of the image.", "Multiply by H · W."),
            Mistake(single * height**2, "You take the image for a square.", "Multiply by H · W."),
            Mistake(single * width**2, "You take the image for a square.", "Multiply by H · W."),
            Mistake(pixels * weight.trace().expand(batch), "You use the trace of W.", "`torch.linalg.slogdet`."),
            *(
                Mistake(
                    pixels * torch.linalg.eigvalsh(weight, UPLO=half).abs().log().sum().expand(batch),
                    "`eigvalsh` is for symmetric matrices, and W is none.",
                    "`torch.linalg.slogdet(weight)`.",
                )
                for half in "LU"
            ),
            Mistake(log_det_truth * batch, "You sum over the images.", "Each image has its own log-determinant."),
            Mistake(
                pixels * weight.diagonal().abs().log().sum().expand(batch),
                "You use the diagonal of W, as if it were triangular.",
                "`torch.linalg.slogdet(weight)`.",
            ),
            Mistake(
                pixels * weight.det().expand(batch), "You return the determinant, not its logarithm.", "Take `log`."
            ),
            Mistake(0 * single, "Your log-determinant is 0.", "A general W stretches: H · W · log |det W|."),
        ],
        name="your log_det",
        hint="H · W blocks, each with log |det W|.",
    )
    flipped = weight * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    says = (
        "For a matrix with a negative determinant your log-determinant is not a number: the absolute value is missing."
    )
    hint = "log |det W|: `torch.linalg.slogdet(weight).logabsdet`."
    negative = tensor(answer(x, flipped)[1], (batch,), name="your log_det", not_finite=(says, hint))
    close(negative, log_det_truth, name="your log_det for a negative determinant", hint=hint)
    many = 400
    says = "The determinant of a large matrix underflows to 0."
    small = 0.1 * torch.eye(many, dtype=torch.float64)
    large = tensor(
        answer(draw.normal(generator, 1, many, 1, 1), small)[1], (1,), name="your log_det", not_finite=(says, hint)
    )
    close(large, small.slogdet().logabsdet[None], name="your log_det of a large matrix", hint=hint)


def _one_image() -> Mistake:
    return Mistake((), "one number", "It is the same for each image: `.expand(len(x))` gives it the shape (B,).")


@exercise("flow.actnorm_init", call="actnorm_init(x)")
def actnorm_init(answer: Callable, generator: Generator) -> None:
    batch, channels, height, width = 6, 3, 4, 5
    scale = torch.tensor([0.3, 2.0, 5.0], dtype=torch.float64)[torch.randperm(3, generator=generator)]
    place = 2 * draw.normal(generator, channels)
    x = draw.normal(generator, batch, channels, height, width) * scale[:, None, None] + place[:, None, None]
    rows = x.transpose(0, 1).flatten(1)
    mean, names = rows.mean(1), ("shift", "log_scale", "log_det")
    shift, log_scale, log_det = parts(answer(x), names)
    per_pixel = Mistake(
        (channels, height, width), "one for each pixel", "A channel is normalized over all images and all pixels."
    )
    per_image = Mistake((batch, channels), "one for each image", "A channel is normalized over all images and pixels.")
    whole = Mistake((), "one for all channels", "Each channel has its own.")
    shapes = [per_pixel, per_image, whole]
    shift = tensor(shift, (channels,), name="your shift", shapes=shapes)
    log_scale = tensor(log_scale, (channels,), name="your log_scale", shapes=shapes)
    # Both ways to estimate a variance are welcome.
    stds = [rows.std(1, correction=correction) for correction in (0, 1)]
    std = min(stds, key=lambda std: (log_scale + std.log()).abs().max().item())
    close(
        shift,
        -mean,
        [
            Mistake(mean, "Your shift has the wrong sign.", "It is added to x: it must take the mean away."),
            Mistake(
                -mean / stds[0],
                "Your shift is scaled: it belongs to x e^s + shift.",
                "Here the shift comes first: z = (x + shift) e^log_scale.",
            ),
            Mistake(
                -mean / stds[1],
                "Your shift is scaled: it belongs to x e^s + shift.",
                "Here the shift comes first: z = (x + shift) e^log_scale.",
            ),
            Mistake(-x[0].mean((1, 2)), "You look at the first image alone.", "Over all images and pixels."),
            Mistake(-rows.median(1).values, "You subtract the median.", "The mean."),
            Mistake((-mean.mean()).expand(channels), "All channels get one shift.", "Each channel has its own mean."),
        ],
        name="your shift",
        hint="After x + shift each channel has mean 0.",
    )
    mistakes = []
    for std_ in stds:
        mistakes += [
            Mistake(
                std_.log(),
                "Your log_scale has the wrong sign: it stretches what is wide already.",
                "z = (x + shift) e^log_scale: a wide channel is divided by its standard deviation.",
            ),
            Mistake(
                1 / std_, "You return the scale, not its logarithm.", "log_scale = −log of the standard deviation."
            ),
            Mistake(std_, "You return the standard deviation itself.", "log_scale is minus its logarithm."),
            Mistake(
                -2 * std_.log(),
                "You divide by the variance where the standard deviation belongs.",
                "The square root is missing: −½ log variance.",
            ),
            Mistake(2 * std_.log(), "This is the log of the variance.", "log_scale = −½ log variance."),
        ]
    root_mean_square = rows.square().mean(1).sqrt()
    mistakes.append(
        Mistake(-root_mean_square.log(), "You did not take the mean away before you squared.", "Use x.std(...).")
    )
    mistakes += [
        Mistake(-deviation(c).log(), says, "One deviation over all images and pixels: `x.std((0, 2, 3))`.")
        for c in (0, 1)
        for deviation, says in (
            (lambda c: x.std((2, 3), correction=c).mean(0), "You average the deviations of the images."),
            (lambda c: x.std(0, correction=c).mean((1, 2)), "You average the deviations of the pixels."),
            (lambda c: x.mean((2, 3)).std(0, correction=c), "You take the deviation of the images' means."),
            (lambda c: x[0].std((1, 2), correction=c), "You look at the first image alone."),
        )
    ]
    mistakes.append(Mistake(-x.abs().amax((0, 2, 3)).log(), "You divide by the largest value.", "By the deviation."))
    mistakes += [
        Mistake((-x.std(correction=c).log()).expand(channels), "All channels get one scale.", "Each has its own.")
        for c in (0, 1)
    ]
    close(
        log_scale,
        -std.log(),
        mistakes,
        name="your log_scale",
        hint="After the scaling each channel has variance 1, over all images and pixels.",
    )
    narrow = tensor(parts(answer(1e-15 * x), names)[1], (channels,), name="your log_scale")
    if (narrow < 29).any():
        raise Wrong(
            "Where a channel is narrow, its deviation is cut off: it will not have variance 1.",
            "No `clamp`, and no small number added to the deviation.",
        )
    close(narrow, -std.log() + 15 * math.log(10), name="your log_scale for narrow channels")
    pixels, total = height * width, -std.log().sum()
    if isinstance(log_det, Tensor) and log_det.shape == (batch,):
        raise Wrong("Your log_det has a value for each image, expected one number.", "It is the same for all of them.")
    close(
        expect.number(log_det, "your log_det"),
        pixels * total,
        [
            Mistake(
                total,
                "Your log-determinant counts one pixel.",
                "The scale of a channel acts on each of its H · W pixels.",
            ),
            Mistake(
                -pixels * total, "The log-determinant has the wrong sign.", "Each entry of z has slope e^log_scale."
            ),
            *(
                Mistake(side**2 * total, "You count one side twice: an image is not square.", "H · W pixels.")
                for side in (height, width)
            ),
            Mistake(height * total, "You count the rows of the image only.", "Each channel has H · W pixels."),
            Mistake(width * total, "You count the columns of the image only.", "Each channel has H · W pixels."),
            Mistake(pixels * (total - mean.sum()), "You add the shifts.", "A shift does not stretch."),
            Mistake(
                batch * pixels * total,
                "Your log-determinant is that of the whole batch.",
                "One image has H · W pixels.",
            ),
            Mistake(pixels * total / channels, "You average over the channels.", "The logs of the diagonal add up."),
            Mistake(channels * pixels * total, "You count the channels twice.", "Σ_c log_scale_c, times H · W."),
            Mistake(
                pixels * (1 / std).sum(),
                "You sum the scales, not their logarithms.",
                "The log of a product is a sum of logs.",
            ),
        ],
        name="your log_det",
        hint="Each pixel of each channel has slope e^log_scale: add up the log-scales of one image.",
    )
