"""Wrong answers of chapter 15: divergences, and exact likelihoods along the ODE."""

import math
from itertools import pairwise

import torch

from wrong_answers import wrong

# --- diffusion.divergence --------------------------------------------------------------------------------------------


def vector_jacobian(f, x, z):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x), x, z)[0]


def estimates(f, x, probes):
    return torch.stack([(vector_jacobian(f, x, z) * z).sum(1) for z in probes])


@wrong("diffusion.divergence", says="You sum over the probes")
def summed(f, x, probes):
    return estimates(f, x, probes).sum(0)


@wrong("diffusion.divergence", says="one number for each probe")
def not_averaged(f, x, probes):
    return estimates(f, x, probes)


@wrong("diffusion.divergence", says="The second z is missing")
def second_probe_forgotten(f, x, probes):
    return torch.stack([vector_jacobian(f, x, z).sum(1) for z in probes]).mean(0)


@wrong("diffusion.divergence", says="the exact trace")
def exact(f, x, probes):
    return sum(vector_jacobian(f, x, torch.eye(x.shape[1], dtype=x.dtype)[d].expand_as(x))[:, d] for d in range(3))


@wrong("diffusion.divergence", says="You use the first probe alone")
def first_probe(f, x, probes):
    return estimates(f, x, probes)[0]


@wrong("diffusion.divergence", says="You use the last probe alone")
def overwritten(f, x, probes):
    for z in probes:
        value = (vector_jacobian(f, x, z) * z).sum(1)
    return value


@wrong("diffusion.divergence", says="You average the probes first")
def mean_probe(f, x, probes):
    return estimates(f, x, probes.mean(0, keepdim=True))[0]


@wrong("diffusion.divergence", says="You square zᵀ J")
def squared(f, x, probes):
    return torch.stack([vector_jacobian(f, x, z).square().sum(1) for z in probes]).mean(0)


@wrong("diffusion.divergence", says="the first z is missing")
def gradient_of_the_sum(f, x, probes):
    return (vector_jacobian(f, x, torch.ones_like(x)) * probes).sum(2).mean(0)


@wrong("diffusion.divergence", says="You average over the features")
def mean_over_features(f, x, probes):
    return torch.stack([(vector_jacobian(f, x, z) * z).mean(1) for z in probes]).mean(0)


# --- diffusion.log_likelihood ----------------------------------------------------------------------------------------


def slopes(velocity, x, t):
    x = x.detach().requires_grad_()
    v = velocity(x, t)
    rows = [torch.autograd.grad(v[:, d].sum(), x, retain_graph=True)[0][:, d] for d in range(x.shape[1])]
    return v.detach(), torch.stack(rows).sum(0)


def log_normal(x):
    return -0.5 * (x**2 + math.log(2 * math.pi)).sum(1)


def walk(velocity, x, times, *, second=None, mean=lambda a, b: (a + b) / 2, euler=False):
    total = torch.zeros(len(x), dtype=x.dtype)
    for t, later in pairwise(times.tolist()):
        h = later - t
        first, spread = slopes(velocity, x, t)
        moved = x + h * first
        slope, spread_later = slopes(velocity, moved, later)
        if second is not None:
            spread_later = slopes(velocity, *second(x, moved, t, later))[1]
        x = moved if euler else x + h * (first + slope) / 2
        total = total + h * mean(spread, spread_later)
    return x, total


@wrong("diffusion.log_likelihood", says="The divergence has the wrong sign")
def sign(velocity, x, times):
    end, total = walk(velocity, x, times)
    return log_normal(end) - total


@wrong("diffusion.log_likelihood", says="this is log p of the end point")
def no_divergence(velocity, x, times):
    return log_normal(walk(velocity, x, times)[0])


@wrong("diffusion.log_likelihood", says="log N(x_1; 0, I) is missing")
def integral_alone(velocity, x, times):
    return walk(velocity, x, times)[1]


@wrong("diffusion.log_likelihood", says="it belongs to the end, x_1")
def base_at_the_data(velocity, x, times):
    return log_normal(x) + walk(velocity, x, times)[1]


@wrong("diffusion.log_likelihood", says="These are Euler's steps")
def by_euler(velocity, x, times):
    end, total = walk(velocity, x, times, euler=True, mean=lambda a, b: a)
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="at the beginning of each step alone")
def left_divergences(velocity, x, times):
    end, total = walk(velocity, x, times, mean=lambda a, b: a)
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="at the old x")
def divergence_at_the_old_place(velocity, x, times):
    end, total = walk(velocity, x, times, second=lambda x, moved, t, later: (x, later))
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="The second divergence is taken at time t")
def divergence_at_the_old_time(velocity, x, times):
    end, total = walk(velocity, x, times, second=lambda x, moved, t, later: (moved, t))
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="You walk from t = 1 to t = 0")
def from_noise(velocity, x, times):
    end, total = walk(velocity, x, times.flip(0))
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="Your steps are of equal length")
def even_steps(velocity, x, times):
    end, total = walk(velocity, x, torch.linspace(0, 1, len(times), dtype=x.dtype))
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="The constant is missing")
def no_constant(velocity, x, times):
    end, total = walk(velocity, x, times)
    return -0.5 * end.square().sum(1) + total


@wrong("diffusion.log_likelihood", says="without the length of the steps")
def no_step_length(velocity, x, times):
    end, _ = walk(velocity, x, times)
    total, here = torch.zeros(len(x), dtype=x.dtype), x
    for t, later in pairwise(times.tolist()):
        first, spread = slopes(velocity, here, t)
        second, spread_later = slopes(velocity, here + (later - t) * first, later)
        here = here + (later - t) * (first + second) / 2
        total = total + (spread + spread_later) / 2
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="You add the divergences of all rows")
def divergence_of_the_batch(velocity, x, times):
    end, total = walk(velocity, x, times)
    return log_normal(end) + total.sum()


@wrong("diffusion.log_likelihood", says="all entries of the Jacobian")
def gradient_of_the_sum_of_outputs(velocity, x, times):
    end, _ = walk(velocity, x, times)
    total, here = torch.zeros(len(x), dtype=x.dtype), x

    def all_entries(x, t):
        x = x.detach().requires_grad_()
        v = velocity(x, t)
        return v.detach(), torch.autograd.grad(v.sum(), x)[0].sum(1)

    for t, later in pairwise(times.tolist()):
        first, spread = all_entries(here, t)
        second, spread_later = all_entries(here + (later - t) * first, later)
        here = here + (later - t) * (first + second) / 2
        total = total + (later - t) * (spread + spread_later) / 2
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="this is −log p(x)")
def loss(velocity, x, times):
    end, total = walk(velocity, x, times)
    return -(log_normal(end) + total)


@wrong("diffusion.log_likelihood", says="x takes Euler's steps")
def moved_by_euler(velocity, x, times):
    end, total = walk(velocity, x, times, euler=True)
    return log_normal(end) + total


@wrong("diffusion.log_likelihood", says="This is the midpoint method")
def by_midpoints(velocity, x, times):
    total = torch.zeros(len(x), dtype=x.dtype)
    for t, later in pairwise(times.tolist()):
        h, middle = later - t, (t + later) / 2
        slope, spread = slopes(velocity, x + h / 2 * velocity(x, t), middle)
        x, total = x + h * slope, total + h * spread
    return log_normal(x) + total
