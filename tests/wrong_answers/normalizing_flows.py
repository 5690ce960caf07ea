"""Wrong answers to the exercises of chapter 10, normalizing flows."""

import math

import torch

from wrong_answers import wrong


def log_normal(z):
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)


# --- flow.log_prob_1d ------------------------------------------------------------------------------------------------


def slope_of(f, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


def density(f, x, sign=1.0):
    return log_normal(f(x)[:, None]) + sign * slope_of(f, x).abs().log()


@wrong("flow.log_prob_1d", says="log-determinant has the wrong sign")
def density_of_the_inverse(f, x):
    return density(f, x, sign=-1)


@wrong("flow.log_prob_1d", says="log-determinant is missing")
def density_of_z(f, x):
    return density(f, x, sign=0)


@wrong("flow.log_prob_1d", says="logarithm of a negative slope")
def no_absolute_value(f, x):
    return log_normal(f(x)[:, None]) + slope_of(f, x).log()


@wrong("flow.log_prob_1d", says="you leave the slope out")
def clamped_slope(f, x):
    slope = slope_of(f, x)
    return log_normal(f(x)[:, None]) + torch.where(slope > 0, slope, 1.0).log()


@wrong("flow.log_prob_1d", says="not its logarithm")
def slope_itself(f, x):
    return log_normal(f(x)[:, None]) + slope_of(f, x).abs()


@wrong("flow.log_prob_1d", says="You put x into the normal density")
def base_at_x(f, x):
    return log_normal(x[:, None]) + slope_of(f, x).abs().log()


@wrong("flow.log_prob_1d", says="constant −½ log 2π is missing")
def no_constant(f, x):
    return density(f, x) + 0.5 * math.log(2 * math.pi)


@wrong("flow.log_prob_1d", says="log-slopes of all points together")
def slopes_of_all_points(f, x):
    return log_normal(f(x)[:, None]) + slope_of(f, x).abs().log().sum()


# --- flow.affine_coupling --------------------------------------------------------------------------------------------


def move(x, mask, net, *, seen=None):
    s, t = net(mask * x if seen is None else seen)
    return mask * x + (1 - mask) * (x * s.exp() + t), ((1 - mask) * s).sum(-1), s, t


@wrong("flow.affine_coupling", says="sees the coordinates that are about to change")
def unmasked_network(x, mask, net):
    return move(x, mask, net, seen=x)[:2]


@wrong("flow.affine_coupling", says="sees the moved coordinates instead")
def network_on_the_changed_half(x, mask, net):
    return move(x, mask, net, seen=(1 - mask) * x)[:2]


@wrong("flow.affine_coupling", says="mask upside down")
def mask_upside_down(x, mask, net):
    return move(x, 1 - mask, net)[:2]


@wrong("flow.affine_coupling", says="move all coordinates")
def everything_moves(x, mask, net):
    _, log_det, s, t = move(x, mask, net)
    return x * s.exp() + t, log_det


@wrong("flow.affine_coupling", says="shift before you scale")
def shift_first(x, mask, net):
    _, log_det, s, t = move(x, mask, net)
    return mask * x + (1 - mask) * (x + t) * s.exp(), log_det


@wrong("flow.affine_coupling", says="by s, not by e^s")
def no_exponential(x, mask, net):
    _, log_det, s, t = move(x, mask, net)
    return mask * x + (1 - mask) * (x * s + t), log_det


@wrong("flow.affine_coupling", says="log-determinant has the wrong sign")
def forward_log_det_sign(x, mask, net):
    z, log_det, _, _ = move(x, mask, net)
    return z, -log_det


@wrong("flow.affine_coupling", says="counts the kept coordinates too")
def log_det_of_all(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, s.sum(-1)


@wrong("flow.affine_coupling", says="mean over the coordinates")
def log_det_mean(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, ((1 - mask) * s).mean(-1)


@wrong("flow.affine_coupling", says="mean over the moved coordinates")
def log_det_mean_of_the_moved(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, s[:, mask == 0].mean(-1)


@wrong("flow.affine_coupling", says="sum the scales e^s")
def sum_of_scales(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, ((1 - mask) * s.exp()).sum(-1)


@wrong("flow.affine_coupling", says="the determinant, not its logarithm")
def product_of_scales(x, mask, net):
    z, log_det, _, _ = move(x, mask, net)
    return z, log_det.exp()


@wrong("flow.affine_coupling", says="one number for all points")
def log_det_of_the_batch(x, mask, net):
    z, log_det, _, _ = move(x, mask, net)
    return z, log_det.sum()


@wrong("flow.affine_coupling", says="not summed over the coordinates")
def log_det_not_summed(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, (1 - mask) * s


@wrong("flow.affine_coupling", says="You call `net` with a tensor of shape")
def net_on_a_subset(x, mask, net):
    s, t = net(x[:, mask == 1])
    return x * s.exp() + t, s.sum(-1)


# --- flow.coupling_inverse -------------------------------------------------------------------------------------------


def back(z, mask, net, *, seen=None):
    s, t = net(mask * z if seen is None else seen)
    return mask * z + (1 - mask) * (z - t) * (-s).exp(), -((1 - mask) * s).sum(-1), s, t


@wrong("flow.coupling_inverse", says="undo the scale before the shift")
def inverse_in_the_wrong_order(z, mask, net):
    _, log_det, s, t = back(z, mask, net)
    return mask * z + (1 - mask) * (z * (-s).exp() - t), log_det


@wrong("flow.coupling_inverse", says="forward once more")
def forward_again(z, mask, net):
    return move(z, mask, net)[:2]


@wrong("flow.coupling_inverse", says="log-determinant has the wrong sign: you were asked for log |det dx/dz|")
def log_det_of_the_forward_step(z, mask, net):
    x, log_det, _, _ = back(z, mask, net)
    return x, -log_det


@wrong("flow.coupling_inverse", says="moved coordinates, which are not what they were")
def network_on_all_of_z(z, mask, net):
    return back(z, mask, net, seen=z)[:2]


@wrong("flow.coupling_inverse", says="multiply with the scale again")
def scaled_twice(z, mask, net):
    _, log_det, s, t = back(z, mask, net)
    return mask * z + (1 - mask) * (z - t) * s.exp(), log_det


@wrong("flow.coupling_inverse", says="counts the kept coordinates too")
def inverse_log_det_of_all(z, mask, net):
    x, _, s, _ = back(z, mask, net)
    return x, -s.sum(-1)


@wrong("flow.coupling_inverse", says="mean over the coordinates")
def inverse_log_det_mean(z, mask, net):
    x, _, s, _ = back(z, mask, net)
    return x, -((1 - mask) * s).mean(-1)


# --- flow.chain ------------------------------------------------------------------------------------------------------


def follow(x, functions):
    log_dets = [x.new_zeros(len(x))]
    for function in functions:
        x, log_det = function(x)
        log_dets.append(log_det)
    return x, torch.stack(log_dets)


@wrong("flow.chain", says="log-determinants have the wrong sign")
def minus_log_dets(x, transforms):
    z, log_dets = follow(x, transforms)
    return log_normal(z) - log_dets.sum(0)


@wrong("flow.chain", says="log-determinants are missing")
def base_only(x, transforms):
    return log_normal(follow(x, transforms)[0])


@wrong("flow.chain", says="Only the last log-determinant")
def last_log_det(x, transforms):
    z, log_dets = follow(x, transforms)
    return log_normal(z) + log_dets[-1]


@wrong("flow.chain", says="average the log-determinants")
def mean_log_det(x, transforms):
    z, log_dets = follow(x, transforms)
    return log_normal(z) + log_dets[1:].mean(0)


@wrong("flow.chain", says="take every log-determinant at x")
def log_dets_at_x(x, transforms):
    return log_normal(follow(x, transforms)[0]) + sum(transform(x)[1] for transform in transforms)


@wrong("flow.chain", says="in the wrong order")
def reversed_chain(x, transforms):
    z, log_dets = follow(x, transforms[::-1])
    return log_normal(z) + log_dets.sum(0)


@wrong("flow.chain", says="put x into the base")
def chain_base_at_x(x, transforms):
    return log_normal(x) + follow(x, transforms)[1].sum(0)


@wrong("flow.chain", says="constant lacks the dimension")
def constant_of_one_dimension(x, transforms):
    z, log_dets = follow(x, transforms)
    return -0.5 * z.square().sum(-1) - 0.5 * math.log(2 * math.pi) + log_dets.sum(0)


@wrong("flow.chain", says="not summed over the coordinates")
def base_not_summed(x, transforms):
    z, log_dets = follow(x, transforms)
    return -0.5 * (z.square() + math.log(2 * math.pi)) + log_dets.sum(0)[:, None]


# --- flow.sample -----------------------------------------------------------------------------------------------------


@wrong("flow.sample", says="walk the chain in the wrong order")
def sampled_in_the_wrong_order(z, inverses):
    x, log_dets = follow(z, inverses)
    return x, log_normal(z) - log_dets.sum(0)


@wrong("flow.sample", says="add the log-determinants of the inverse")
def inverse_log_dets_added(z, inverses):
    x, log_dets = follow(z, inverses[::-1])
    return x, log_normal(z) + log_dets.sum(0)


@wrong("flow.sample", says="log-determinants are missing")
def density_of_the_noise(z, inverses):
    return follow(z, inverses[::-1])[0], log_normal(z)


@wrong("flow.sample", says="put x into the base")
def density_at_the_sample(z, inverses):
    x, log_dets = follow(z, inverses[::-1])
    return x, log_normal(x) - log_dets.sum(0)


@wrong("flow.sample", says="log p(z) is missing")
def log_dets_alone(z, inverses):
    x, log_dets = follow(z, inverses[::-1])
    return x, -log_dets.sum(0)


@wrong("flow.sample", says="Only the last log-determinant")
def last_inverse_log_det(z, inverses):
    x, log_dets = follow(z, inverses[::-1])
    return x, log_normal(z) - log_dets[-1]


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


@wrong("flow.dequantize", says="goes below the grey value")
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


@wrong("flow.bits_per_dim", says="The levels enter in nats")
def levels_in_nats(log_prob, dim, levels):
    return -log_prob / (dim * math.log(2)) + math.log(levels)


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


# --- flow.planar -----------------------------------------------------------------------------------------------------


def push(x, u, w, b, derivative=None, one=1.0):
    h = (x @ w + b).tanh()
    derivative = 1 - h.square() if derivative is None else derivative(h)
    return x + h[:, None] * u, (one + derivative * (u @ w)).abs().log()


@wrong("flow.planar", says="use tanh where its derivative belongs")
def tanh_itself(x, u, w, b):
    return push(x, u, w, b, derivative=lambda h: h)


@wrong("flow.planar", says="not tanh²")
def tanh_squared(x, u, w, b):
    return push(x, u, w, b, derivative=torch.square)


@wrong("flow.planar", says="forgot the derivative of tanh")
def no_derivative(x, u, w, b):
    return push(x, u, w, b, derivative=torch.ones_like)


@wrong("flow.planar", says="The 1 is missing")
def no_identity(x, u, w, b):
    return push(x, u, w, b, one=0)


@wrong("flow.planar", says="only the diagonal of the Jacobian")
def planar_diagonal(x, u, w, b):
    h = (x @ w + b).tanh()
    return x + h[:, None] * u, (1 + (1 - h.square())[:, None] * u * w).abs().log().sum(-1)


@wrong("flow.planar", says="log-determinant has the wrong sign")
def planar_sign(x, u, w, b):
    z, log_det = push(x, u, w, b)
    return z, -log_det


@wrong("flow.planar", says="absolute value is missing")
def planar_without_absolute(x, u, w, b):
    h = (x @ w + b).tanh()
    return x + h[:, None] * u, (1 + (1 - h.square()) * (u @ w)).log()


@wrong("flow.planar", says="You exchange u and w")
def u_and_w_exchanged(x, u, w, b):
    return push(x, w, u, b)


# --- flow.maf_inverse ------------------------------------------------------------------------------------------------


def unmask(z, net, order, undo=lambda z, s, t: (z - t) * (-s).exp()):
    x = torch.zeros_like(z)
    for i in order:
        s, t = net(x.clone())
        x[:, i] = undo(z, s, t)[:, i]
    return x, -net(x)[0].sum(-1)


@wrong("flow.maf_inverse", says="You ask the network about z")
def network_on_z(z, net):
    s, t = net(z)
    return (z - t) * (-s).exp(), -s.sum(-1)


@wrong("flow.maf_inverse", says="Only your first coordinate is right")
def network_on_zeros(z, net):
    s, t = net(torch.zeros_like(z))
    return (z - t) * (-s).exp(), -s.sum(-1)


@wrong("flow.maf_inverse", says="the network did not know the x before it")
def last_coordinate_first(z, net):
    return unmask(z, net, reversed(range(z.shape[1])))


@wrong("flow.maf_inverse", says="undo the scale before the shift")
def scale_undone_first(z, net):
    return unmask(z, net, range(z.shape[1]), lambda z, s, t: z * (-s).exp() - t)


@wrong("flow.maf_inverse", says="log-determinant has the wrong sign")
def maf_log_det_sign(z, net):
    x, log_det = unmask(z, net, range(z.shape[1]))
    return x, -log_det


@wrong("flow.maf_inverse", says="what the network says of z")
def log_det_at_z(z, net):
    return unmask(z, net, range(z.shape[1]))[0], -net(z)[0].sum(-1)


@wrong("flow.maf_inverse", says="the last coordinate only")
def last_log_scale(z, net):
    x, _ = unmask(z, net, range(z.shape[1]))
    return x, -net(x)[0][:, -1]


@wrong("flow.maf_inverse", says="mean over the coordinates")
def maf_mean(z, net):
    x, log_det = unmask(z, net, range(z.shape[1]))
    return x, log_det / z.shape[1]


# --- flow.rational_quadratic -----------------------------------------------------------------------------------------


def spline(x, x_knots, y_knots, slopes, *, shift=0, swap=False, upside_down=False, measure="x", square=True):
    k = (x_knots[:, 1:-1] < x[:, None]).sum(1)
    k = (k + shift).clamp(0, x_knots.shape[1] - 2)
    rows = torch.arange(len(x))
    w, h = x_knots[rows, k + 1] - x_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    d0, d1 = slopes[rows, k], slopes[rows, k + 1]
    if swap:
        d0, d1 = d1, d0
    s = w / h if upside_down else h / w
    theta = (x - x_knots[rows, k]) / w
    tau = theta * (1 - theta)
    below = s + (d0 + d1 - 2 * s) * tau
    top = s**2 * (d1 * theta**2 + 2 * s * tau + d0 * (1 - theta) ** 2)
    slope = top / (below**2 if square else below)
    return y_knots[rows, k] + h * (s * theta**2 + d0 * tau) / below, (slope * w if measure == "theta" else slope).log()


@wrong("flow.rational_quadratic", says="exchange the slopes")
def slopes_exchanged(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, swap=True)


@wrong("flow.rational_quadratic", says="upside down")
def width_over_height(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, upside_down=True)


@wrong("flow.rational_quadratic", says="bin to the left")
def bin_to_the_left(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, shift=-1)


@wrong("flow.rational_quadratic", says="bin to the right")
def bin_to_the_right(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, shift=1)


@wrong("flow.rational_quadratic", says="knots of the first row")
def knots_of_the_first_row(x, x_knots, y_knots, slopes):
    return spline(x, *(rows[:1].expand_as(rows) for rows in (x_knots, y_knots, slopes)))


@wrong("flow.rational_quadratic", says="with respect to θ")
def slope_in_theta(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, measure="theta")


@wrong("flow.rational_quadratic", says="not squared")
def denominator_not_squared(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, square=False)


@wrong("flow.rational_quadratic", says="the slope, not its logarithm")
def no_logarithm(x, x_knots, y_knots, slopes):
    y, log_slope = spline(x, x_knots, y_knots, slopes)
    return y, log_slope.exp()


@wrong("flow.rational_quadratic", says="log dx/dy")
def slope_of_the_inverse(x, x_knots, y_knots, slopes):
    y, log_slope = spline(x, x_knots, y_knots, slopes)
    return y, -log_slope


@wrong("flow.rational_quadratic", says="straight line")
def straight_lines(x, x_knots, y_knots, slopes):
    k = (x_knots[:, 1:-1] < x[:, None]).sum(1)
    rows = torch.arange(len(x))
    w, h = x_knots[rows, k + 1] - x_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    return y_knots[rows, k] + (x - x_knots[rows, k]) * h / w, (h / w).log()


# --- flow.held_out ---------------------------------------------------------------------------------------------------


def scaling(x_train, *, sign=1.0, log_det=None, undo=None):
    """One Gaussian with independent coordinates: a flow, but a poor one."""
    mean, std = x_train.mean(0), x_train.std(0)

    def forward(x):
        total = sign * -std.log().sum() if log_det is None else log_det
        return (x - mean) / std, x.new_full((len(x),), total)

    return forward, undo or (lambda z: mean + std * z)


@wrong("flow.held_out", says="you underfit")
def one_gaussian(x_train):
    return scaling(x_train)


@wrong("flow.held_out", says="log_det has the wrong sign")
def inverse_log_det(x_train):
    return scaling(2 * x_train, sign=-1)


@wrong("flow.held_out", says="log_det is not that of your forward")
def flattering_log_det(x_train):
    return scaling(x_train, log_det=2.0)


@wrong("flow.held_out", says="does not undo")
def no_inverse(x_train):
    return scaling(2 * x_train, undo=lambda z: z)


@wrong("flow.held_out", says="not a function")
def numbers_instead_of_functions(x_train):
    forward, inverse = scaling(x_train)
    return forward(x_train)[0], inverse(x_train)


@wrong("flow.held_out", says="depends on which other points")
def statistics_of_the_batch(x_train):
    def forward(x):
        return x - x.mean(0), x.new_zeros(len(x))

    return forward, lambda z: z


@wrong("flow.held_out", says="it integrates to 0.4")
def into_a_square_only(x_train):
    def forward(x):
        return (x / 2).tanh(), (0.5 * (1 - (x / 2).tanh().square())).log().sum(-1)

    return forward, lambda z: 2 * z.atanh()


@wrong("flow.held_out", says="one number for all points")
def one_log_det(x_train):
    forward, inverse = scaling(x_train)
    return lambda x: (forward(x)[0], forward(x)[1].sum()), inverse
