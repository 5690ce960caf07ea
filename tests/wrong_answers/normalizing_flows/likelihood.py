"""Wrong answers of chapter 10: densities by change of variables, chains, samples."""

import math

import torch

from wrong_answers import wrong

LOG_2_PI = math.log(2 * math.pi)


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


def slope_at(f, x):
    x = x.detach().requires_grad_()
    z = f(x)
    return (z.detach(), torch.autograd.grad(z.sum(), x)[0])


@wrong("flow.log_prob_1d", says="Where f falls, your slope is cut off: `clamp` and `relu` make 0 of it")
def clamped_slope_log_prob_1d(f, x):
    z, s = slope_at(f, x)
    return -0.5 * z**2 - 0.5 * LOG_2_PI + s.clamp(min=1e-06).log()


@wrong("flow.log_prob_1d", says="Where f falls, your slope is cut off: `clamp` and `relu` make 0 of it")
def relu_slope(f, x):
    z, s = slope_at(f, x)
    return -0.5 * z**2 - 0.5 * LOG_2_PI + (s.relu() + 1e-08).log()


@wrong("flow.log_prob_1d", says="The constant is −log 2π: its ½ is missing")
def root_of_the_constant(f, x):
    z, s = slope_at(f, x)
    return -0.5 * z**2 - LOG_2_PI + s.abs().log()


@wrong("flow.log_prob_1d", says="There is a ½ before the log-slope")
def half_the_log_slope(f, x):
    z, s = slope_at(f, x)
    return -0.5 * z**2 - 0.5 * LOG_2_PI + 0.5 * s.abs().log()


@wrong("flow.log_prob_1d", says="You use the slope of the first point for all")
def slope_of_first(f, x):
    z, s = slope_at(f, x)
    return -0.5 * z**2 - 0.5 * LOG_2_PI + s[:1].abs().log()


@wrong("flow.log_prob_1d", says="You take log(1 + |f′|)")
def log1p_slope(f, x):
    z, s = slope_at(f, x)
    return -0.5 * z**2 - 0.5 * LOG_2_PI + s.abs().log1p()


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


def walk_through(x, fs):
    t = 0
    for f in fs:
        x, d = f(x)
        t = t + d
    return (x, t)


@wrong("flow.chain", says="You add the log-determinants of all points")
def batch_sum(x, transforms):
    z, t = walk_through(x, transforms)
    return log_normal(z) + (t.sum() if len(transforms) else 0)


@wrong("flow.chain", says="The last transform is missing")
def last_missing(x, transforms):
    z, t = walk_through(x, transforms[:-1])
    return log_normal(z) + t


@wrong("flow.chain", says="The first transform is missing")
def first_missing(x, transforms):
    z, t = walk_through(x, transforms[1:])
    return log_normal(z) + t


@wrong("flow.chain", says="log N(z; 0, I) is averaged over the coordinates")
def mean_base(x, transforms):
    z, t = walk_through(x, transforms)
    return -0.5 * (z.square() + LOG_2_PI).mean(-1) + t


@wrong("flow.chain", says="You add log N(z; 0, I) after every transform")
def base_at_each_step(x, transforms):
    z, t = (x, 0)
    for f in transforms:
        z, d = f(z)
        t = t + d + log_normal(z)
    return t + (0 if transforms else log_normal(z))


@wrong("flow.chain", says="The last transform is missing")
def three_only(x, transforms):
    z, t = (x, 0)
    for f in transforms[:2]:
        z, d = f(z)
        t = t + d
    return log_normal(z) + t


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


@wrong("flow.sample", says="There is a ½ before the log-determinants")
def half_dets(z, inverses):
    x, t = walk_through(z, inverses[::-1])
    return (x, log_normal(z) - t / 2)


@wrong("flow.sample", says="You average the log-determinants")
def mean_of_dets(z, inverses):
    x, t = walk_through(z, inverses[::-1])
    return (x, log_normal(z) - t / len(inverses))


@wrong("flow.sample", says="log N(z; 0, I) is averaged over the coordinates")
def base_mean(z, inverses):
    x, t = walk_through(z, inverses[::-1])
    return (x, -0.5 * (z.square() + LOG_2_PI).mean(-1) - t)


@wrong("flow.sample", says="You subtract the log-determinants of all points")
def batch_total(z, inverses):
    x, t = walk_through(z, inverses[::-1])
    return (x, log_normal(z) - t.sum())


@wrong("flow.sample", says="You draw noise of your own")
def new_noise(z, inverses):
    e = torch.randn_like(z)
    x, t = walk_through(e, inverses[::-1])
    return (x, log_normal(e) - t)


@wrong("flow.sample", says="The square lacks its ½")
def square_without_half(z, inverses):
    x, t = walk_through(z, inverses[::-1])
    return (x, log_normal(z) - 0.5 * z.square().sum(-1) - t)
