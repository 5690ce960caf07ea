"""Wrong answers of chapter 10: what flows of images need."""

import math

import numpy as np
import torch

from wrong_answers import wrong

# --- flow.dequantize -------------------------------------------------------------------------------------------------


def noisy(x, levels, *, noise=None, divisor=None, log_det=None):
    y = (x + (torch.rand_like(x) if noise is None else noise)) / (divisor or levels)
    return y, x.new_full((len(x),), -x.shape[1] * math.log(levels) if log_det is None else log_det)


@wrong("flow.dequantize", says="There is no noise")
def no_noise(x, levels):
    return noisy(x, levels, noise=torch.zeros_like(x))


@wrong("flow.dequantize", says="forgot to divide by the levels")
def not_divided(x, levels):
    return noisy(x, levels, divisor=1)


@wrong("flow.dequantize", says="divide by levels − 1")
def divided_by_the_largest_value(x, levels):
    return noisy(x, levels, divisor=levels - 1)


@wrong("flow.dequantize", says="added after the division")
def noise_after_the_division(x, levels):
    return x / levels + torch.rand_like(x), noisy(x, levels)[1]


@wrong("flow.dequantize", says="goes below the gray value")
def centered_noise(x, levels):
    return noisy(x, levels, noise=torch.rand_like(x) - 0.5)


@wrong("flow.dequantize", says="too narrow")
def noise_divided_twice(x, levels):
    return noisy(x, levels, noise=torch.rand_like(x) / levels)


@wrong("flow.dequantize", says="too wide")
def noise_of_two_levels(x, levels):
    return noisy(x, levels, noise=2 * torch.rand_like(x))


@wrong("flow.dequantize", says="has no bounds")
def normal_noise(x, levels):
    return noisy(x, levels, noise=torch.randn_like(x))


@wrong("flow.dequantize", says="All pixels of an image get the same noise")
def noise_of_the_image(x, levels):
    return noisy(x, levels, noise=torch.rand(len(x), 1, dtype=x.dtype))


@wrong("flow.dequantize", says="All images get the same noise")
def noise_of_the_pixel(x, levels):
    return noisy(x, levels, noise=torch.rand(x.shape[1], dtype=x.dtype))


@wrong("flow.dequantize", says="the same at each call")
def seeded_noise(x, levels):
    return noisy(x, levels, noise=torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype))


@wrong("flow.dequantize", says="not uniform")
def mean_of_two(x, levels):
    return noisy(x, levels, noise=(torch.rand_like(x) + torch.rand_like(x)) / 2)


@wrong("flow.dequantize", says="log-determinant has the wrong sign")
def dequantize_log_det_sign(x, levels):
    return noisy(x, levels, log_det=x.shape[1] * math.log(levels))


@wrong("flow.dequantize", says="lacks the dimension")
def log_det_of_one_pixel(x, levels):
    return noisy(x, levels, log_det=-math.log(levels))


@wrong("flow.dequantize", says="Your log-determinant is 0")
def no_log_det(x, levels):
    return noisy(x, levels, log_det=0.0)


@wrong("flow.dequantize", says="Every pixel gets the same number, ½: this is no noise")
def half_noise(x, levels):
    return ((x + 0.5) / levels, x.new_full((len(x),), -x.shape[1] * math.log(levels)))


@wrong("flow.dequantize", says="You count levels − 1")
def log_levels_minus_one(x, levels):
    return ((x + torch.rand_like(x)) / levels, x.new_full((len(x),), -x.shape[1] * math.log(levels - 1)))


@wrong("flow.dequantize", says="You divide by 256, whatever the levels")
def levels_256(x, levels):
    return ((x + torch.rand_like(x)) / 256, x.new_full((len(x),), -x.shape[1] * math.log(256)))


@wrong("flow.dequantize", says="Your noise is not uniform")
def triangular(x, levels):
    return (
        (x + (torch.rand_like(x) + torch.rand_like(x)) / 2) / levels,
        x.new_full((len(x),), -x.shape[1] * math.log(levels)),
    )


@wrong("flow.dequantize", says="Your log-determinant is that of the whole batch")
def log_det_of_batch(x, levels):
    return ((x + torch.rand_like(x)) / levels, x.new_full((len(x),), -x.numel() * math.log(levels)))


@wrong("flow.dequantize", says="Your noise goes below the gray value")
def floor_lost(x, levels):
    return ((x + torch.rand_like(x) - 0.5) / levels, x.new_full((len(x),), -x.shape[1] * math.log(levels)))


@wrong("flow.dequantize", says="Your log-determinant is to base 10")
def log10_det(x, levels):
    return ((x + torch.rand_like(x)) / levels, x.new_full((len(x),), -x.shape[1] * math.log10(levels)))


# --- flow.bits_per_dim -----------------------------------------------------------------------------------------------


@wrong("flow.bits_per_dim", says="forgot the levels")
def bits_of_a_density(log_prob, dim, levels):
    return -log_prob / (dim * math.log(2))


@wrong("flow.bits_per_dim", says="nats per dimension")
def nats(log_prob, dim, levels):
    return -log_prob / dim + math.log(levels)


@wrong("flow.bits_per_dim", says="multiply by log 2")
def multiplied_by_log_2(log_prob, dim, levels):
    return nats(log_prob, dim, levels) * math.log(2)


@wrong("flow.bits_per_dim", says="base 10")
def base_10(log_prob, dim, levels):
    return nats(log_prob, dim, levels) / math.log(10)


@wrong("flow.bits_per_dim", says="levels enter with the wrong sign")
def levels_subtracted(log_prob, dim, levels):
    return -log_prob / (dim * math.log(2)) - math.log2(levels)


@wrong("flow.bits_per_dim", says="bits per image")
def bits_per_image(log_prob, dim, levels):
    return -log_prob / math.log(2) + dim * math.log2(levels)


@wrong("flow.bits_per_dim", says="divide the bits of the levels by D")
def levels_once_an_image(log_prob, dim, levels):
    return (-log_prob / math.log(2) + math.log2(levels)) / dim


@wrong("flow.bits_per_dim", says="log_prob enters with the wrong sign")
def likely_images_cost_more(log_prob, dim, levels):
    return log_prob / (dim * math.log(2)) + math.log2(levels)


@wrong("flow.bits_per_dim", says="You assume 256 levels")
def always_8_bits(log_prob, dim, levels):
    return -log_prob / (dim * math.log(2)) + 8


@wrong("flow.bits_per_dim", says="one number")
def mean_of_the_batch(log_prob, dim, levels):
    return -log_prob.mean() / (dim * math.log(2)) + math.log2(levels)


@wrong("flow.bits_per_dim", says="The levels enter in nats, the rest in bits")
def natural_levels(log_prob, dim, levels):
    return -log_prob / (dim * math.log(2)) + math.log(levels)


# --- flow.mix_channels -----------------------------------------------------------------------------------------------


def mixed(x, weight, pixels=None):
    z = torch.einsum("oc,bchw->bohw", weight, x)
    return z, (x[0, 0].numel() if pixels is None else pixels) * weight.slogdet().logabsdet.expand(len(x))


@wrong("flow.mix_channels", says="transposed matrix")
def transposed(x, weight):
    return torch.einsum("co,bchw->bohw", weight, x), mixed(x, weight)[1]


@wrong("flow.mix_channels", says="that of one pixel")
def one_pixel(x, weight):
    return mixed(x, weight, pixels=1)


@wrong("flow.mix_channels", says="log-determinant has the wrong sign")
def mixing_sign(x, weight):
    z, log_det = mixed(x, weight)
    return z, -log_det


@wrong("flow.mix_channels", says="You count each channel")
def counts_channels(x, weight):
    return mixed(x, weight, pixels=x[0].numel())


@wrong("flow.mix_channels", says="as if it were triangular")
def diagonal_only(x, weight):
    z, log_det = mixed(x, weight)
    return z, x[0, 0].numel() * weight.diagonal().abs().log().sum() + 0 * log_det


@wrong("flow.mix_channels", says="absolute value is missing")
def log_of_the_determinant(x, weight):
    return mixed(x, weight)[0], (x[0, 0].numel() * weight.det().log()).expand(len(x))


@wrong("flow.mix_channels", says="underflows to 0")
def determinant_first(x, weight):
    return mixed(x, weight)[0], (x[0, 0].numel() * weight.det().abs().log()).expand(len(x))


@wrong("flow.mix_channels", says="one number")
def scalar_log_det(x, weight):
    z, log_det = mixed(x, weight)
    return z, log_det[0]


@wrong("flow.mix_channels", says="`reshape` mixes channels with pixels")
def flat_wrong(x, weight):
    b, c, h, w_ = x.shape
    return (
        (x.reshape(b, h * w_, c) @ weight.T).reshape(b, c, h, w_),
        (h * w_ * torch.linalg.slogdet(weight)[1]).expand(b),
    )


@wrong("flow.mix_channels", says="You multiply with the inverse matrix")
def inverse_matrix(x, weight):
    b, _c, h, w_ = x.shape
    return (torch.einsum("oc,bchw->bohw", weight.inverse(), x), (h * w_ * torch.linalg.slogdet(weight)[1]).expand(b))


@wrong("flow.mix_channels", says="For a matrix with a negative determinant your log-determinant is not a number")
def signed_det(x, weight):
    b, _c, h, w_ = x.shape
    return (torch.einsum("oc,bchw->bohw", weight, x), (h * w_ * weight.det().log()).expand(b))


@wrong("flow.mix_channels", says="The determinant of a large matrix underflows to 0")
def abs_det(x, weight):
    b, _c, h, w_ = x.shape
    return (torch.einsum("oc,bchw->bohw", weight, x), (h * w_ * weight.det().abs().log()).expand(b))


@wrong("flow.mix_channels", says="`eigvalsh` is for symmetric matrices, and W is none")
def eigen_det(x, weight):
    b, _c, h, w_ = x.shape
    return (
        torch.einsum("oc,bchw->bohw", weight, x),
        (h * w_ * torch.linalg.eigvalsh(weight).abs().log().sum()).expand(b),
    )


@wrong("flow.mix_channels", says="You use the trace of W")
def trace_det(x, weight):
    b, _c, h, w_ = x.shape
    return (torch.einsum("oc,bchw->bohw", weight, x), (h * w_ * weight.trace()).expand(b))


@wrong("flow.mix_channels", says="You add the sides of the image")
def sum_of_sides(x, weight):
    b, _c, h, w_ = x.shape
    return (torch.einsum("oc,bchw->bohw", weight, x), ((h + w_) * torch.linalg.slogdet(weight)[1]).expand(b))


@wrong("flow.mix_channels", says="You take the image for a square")
def square_image(x, weight):
    b, _c, h, _width = x.shape
    return (torch.einsum("oc,bchw->bohw", weight, x), (h * h * torch.linalg.slogdet(weight)[1]).expand(b))


# --- flow.actnorm_init -----------------------------------------------------------------------------------------------


def normalize(x, *, power=-1.0, pixels=None, axes=(0, 2, 3)):
    log_scale = power * x.std(axes).log()
    return -x.mean(axes), log_scale, (x[0, 0].numel() if pixels is None else pixels) * log_scale.sum()


@wrong("flow.actnorm_init", says="counts one pixel")
def log_det_of_the_scales(x):
    return normalize(x, pixels=1)


@wrong("flow.actnorm_init", says="log_scale has the wrong sign")
def stretched(x):
    return normalize(x, power=1)


@wrong("flow.actnorm_init", says="variance where the standard deviation belongs")
def by_variance(x):
    return normalize(x, power=-2)


@wrong("flow.actnorm_init", says="one for each pixel")
def over_images_only(x):
    return normalize(x, axes=0)


@wrong("flow.actnorm_init", says="one for each image")
def over_pixels_only(x):
    return normalize(x, axes=(2, 3))


@wrong("flow.actnorm_init", says="Your shift has the wrong sign")
def mean_added(x):
    shift, log_scale, log_det = normalize(x)
    return -shift, log_scale, log_det


@wrong("flow.actnorm_init", says="Your shift is scaled")
def shift_after_the_scale(x):
    shift, log_scale, log_det = normalize(x)
    return shift * log_scale.exp(), log_scale, log_det


@wrong("flow.actnorm_init", says="the scale, not its logarithm")
def scale_itself(x):
    shift, log_scale, log_det = normalize(x)
    return shift, log_scale.exp(), log_det


@wrong("flow.actnorm_init", says="did not take the mean away")
def root_mean_square(x):
    log_scale = -0.5 * x.square().mean((0, 2, 3)).log()
    return -x.mean((0, 2, 3)), log_scale, x[0, 0].numel() * log_scale.sum()


@wrong("flow.actnorm_init", says="the whole batch")
def log_det_of_the_first_batch(x):
    return normalize(x, pixels=x[:, 0].numel())


@wrong("flow.actnorm_init", says="You look at the first image alone")
def first_image(x):
    m = x[:1].mean((0, 2, 3))
    s = x[:1].std((0, 2, 3))
    return (-m, -s.log(), -x[0, 0].numel() * s.log().sum())


@wrong("flow.actnorm_init", says="You average the deviations of the images")
def mean_of_deviations(x):
    s = x.std((2, 3)).mean(0)
    return (-x.mean((0, 2, 3)), -s.log(), -x[0, 0].numel() * s.log().sum())


@wrong("flow.actnorm_init", says="You take the deviation of the images' means")
def deviation_of_means(x):
    s = x.mean((2, 3)).std(0)
    return (-x.mean((0, 2, 3)), -s.log(), -x[0, 0].numel() * s.log().sum())


@wrong("flow.actnorm_init", says="You subtract the median")
def median_shift(x):
    s = x.std((0, 2, 3))
    return (-x.transpose(0, 1).flatten(1).median(1).values, -s.log(), -x[0, 0].numel() * s.log().sum())


@wrong("flow.actnorm_init", says="You divide by the largest value")
def largest_scale(x):
    s = x.abs().amax((0, 2, 3))
    return (-x.mean((0, 2, 3)), -s.log(), -x[0, 0].numel() * s.log().sum())


@wrong("flow.actnorm_init", says="You add the shifts")
def log_det_of_shift(x):
    s = x.std((0, 2, 3))
    m = x.mean((0, 2, 3))
    return (-m, -s.log(), x[0, 0].numel() * (-s.log() - m).sum())


@wrong("flow.actnorm_init", says="You count the rows of the image only")
def rows_for_pixels(x):
    s = x.std((0, 2, 3))
    return (-x.mean((0, 2, 3)), -s.log(), -x.shape[2] * s.log().sum())


@wrong("flow.dequantize", says="does not come from torch's own generator")
def noise_by_numpy(x, levels):
    noise = torch.as_tensor(np.random.default_rng().random(x.shape))
    return (x + noise) / levels, torch.full((len(x),), -x.shape[1] * math.log(levels), dtype=x.dtype)


@wrong("flow.bits_per_dim", says="levels⁻ᴰ is 0 on a computer")
def through_the_probability(log_prob, dim, levels):
    return -(log_prob.exp() * float(levels) ** -dim).log2() / dim


@wrong("flow.actnorm_init", says="an image is not square")
def rows_times_rows(x):
    shift, log_scale = -x.mean((0, 2, 3)), -x.std((0, 2, 3)).log()
    return shift, log_scale, x.shape[2] ** 2 * log_scale.sum()
