"""Wrong answers of chapter 10: densities by change of variables, chains, samples."""

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
