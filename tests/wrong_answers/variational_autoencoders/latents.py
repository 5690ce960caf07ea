"""Wrong answers of chapter 6: what the latents do, and ways between codes."""

import torch

from wrong_answers import wrong
from wrong_answers.variational_autoencoders._shared import standard_kl

# --- vae.active_latents ----------------------------------------------------------------------------------------------


@wrong("vae.active_latents", says="near 3 for every image")
def by_divergence(mean, log_variance):
    return standard_kl(mean, log_variance).mean(0) > 0.2


@wrong("vae.active_latents", says="whose samples scatter")
def by_scatter_of_z(mean, log_variance):
    return mean.var(0) + log_variance.exp().mean(0) > 0.01


@wrong("vae.active_latents", says="sure of itself")
def by_small_variance(mean, log_variance):
    return log_variance.mean(0) < -1


@wrong("vae.active_latents", says="with 0.1, not 0.01")
def too_strict(mean, log_variance):
    return mean.var(0) > 0.1


@wrong("vae.active_latents", says="upside down")
def collapsed(mean, log_variance):
    return mean.var(0) <= 0.01


@wrong("vae.active_latents", says="indices of latents")
def indices(mean, log_variance):
    return (mean.var(0) > 0.01).nonzero().squeeze(-1)


@wrong("vae.active_latents", says="one for each example")
def over_latents(mean, log_variance):
    return mean.var(1) > 0.01


@wrong("vae.active_latents", says="You compare the range, largest minus smallest")
def range_of_means(mean, log_variance):
    return mean.amax(0) - mean.amin(0) > 0.01


@wrong("vae.active_latents", says="You compare the standard deviation with 0.01")
def range_above_a_tenth(mean, log_variance):
    return mean.amax(0) - mean.amin(0) > 0.1


@wrong("vae.active_latents", says="You compare the range, largest minus smallest")
def wide_range(mean, log_variance):
    return mean.amax(0) - mean.amin(0) > 0.5


@wrong("vae.active_latents", says="You forgot to subtract the mean over the examples")
def mean_square(mean, log_variance):
    return mean.square().mean(0) > 0.01


@wrong("vae.active_latents", says="You compare the divergence")
def by_divergence_active_latents(mean, log_variance):
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0) > 0.01


@wrong("vae.active_latents", says="You compare the mean absolute deviation")
def absolute_deviation(mean, log_variance):
    return (mean - mean.mean(0)).abs().mean(0) > 0.1


@wrong("vae.active_latents", says="You compare the mean absolute deviation")
def absolute_deviation_small(mean, log_variance):
    return (mean - mean.mean(0)).abs().mean(0) > 0.01


@wrong("vae.active_latents", says="with 0.02, not 0.01")
def threshold_two(mean, log_variance):
    return mean.var(0) > 0.02


@wrong("vae.active_latents", says="with 0.005, not 0.01")
def threshold_lower(mean, log_variance):
    return mean.var(0) > 0.005


@wrong("vae.active_latents", says="You compare the standard deviation with 0.01")
def deviation_above_hundredth(mean, log_variance):
    return mean.std(0) > 0.01


@wrong("vae.active_latents", says="You compare with the variance of the samples")
def relative(mean, log_variance):
    return mean.var(0) > log_variance.exp().mean(0) * 0.01


@wrong("vae.active_latents", says="first half of the examples alone")
def first_half(mean, log_variance):
    return mean[: len(mean) // 2].var(0) > 0.01


@wrong("vae.active_latents", says="Your answer is upside down: True means active")
def at_most(mean, log_variance):
    return mean.var(0) < 0.01


@wrong("vae.active_latents", says="You compare with the most active latent")
def compared_with_the_largest(mean, log_variance):
    return mean.var(0) > 0.01 * mean.var(0).max()


@wrong("vae.active_latents", says="You take one variance over everything")
def one_variance(mean, log_variance):
    return (mean.var() > 0.01).expand(mean.shape[1])


# --- vae.interpolate -------------------------------------------------------------------------------------------------


def way(start, end, steps, *, angle=None, t=None):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None] if t is None else t
    angle = torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1).acos()[:, None] if angle is None else angle
    turned = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()
    return torch.where(angle > 1e-6, turned, torch.lerp(start, end, t))


@wrong("vae.interpolate", says="the straight line")
def straight(start, end, steps):
    return torch.lerp(start, end, torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None])


@wrong("vae.interpolate", says="steps are unequal")
def pushed_out(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    length = torch.lerp(start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True), t)
    return length * torch.nn.functional.normalize(torch.lerp(start, end, t), dim=-1)


@wrong("vae.interpolate", says="one angle for all pairs")
def one_angle(start, end, steps):
    angle = torch.cosine_similarity(start.flatten(), end.flatten(), dim=0).acos()
    return way(start, end, steps, angle=angle)


@wrong("vae.interpolate", says="beyond ±1")
def lengths_forgotten(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    angle = (start * end).sum(-1, keepdim=True).acos()
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


@wrong("vae.interpolate", says="have length 1")
def directions_only(start, end, steps):
    return way(*(torch.nn.functional.normalize(code, dim=-1) for code in (start, end)), steps)


@wrong("vae.interpolate", says="from end to start")
def backwards(start, end, steps):
    return way(end, start, steps)


@wrong("vae.interpolate", says="never arrives")
def open_end(start, end, steps):
    return way(start, end, steps, t=torch.arange(steps, dtype=start.dtype)[:, None, None] / steps)


@wrong("vae.interpolate", says="in one direction is not finite")
def zero_by_zero(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    angle = torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1).acos()[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


@wrong("vae.interpolate", says="whose neighbor points in one direction")
def all_straight_for_one(start, end, steps):
    cosine = torch.cosine_similarity(start, end, dim=-1)
    return straight(start, end, steps) if (cosine > 1 - 1e-9).any() else way(start, end, steps)


@wrong("vae.interpolate", says="steps and pairs are exchanged")
def pairs_first(start, end, steps):
    return way(start, end, steps).transpose(0, 1)


def inter(a, b, t, o):
    return (((1 - t) * o).sin() * a + (t * o).sin() * b) / o.sin()


def ts(n):
    return torch.linspace(0, 1, n).double()[:, None, None]


def ang(a, b):
    return torch.cosine_similarity(a, b, dim=-1).clamp(-1, 1).acos()[:, None]


@wrong("vae.interpolate", says="Your way between codes in one direction is not finite: 0/0")
def no_straight_line(start, end, steps):
    return inter(start, end, ts(steps), ang(start, end))


@wrong("vae.interpolate", says="Your way between codes in one direction is not finite: 0/0")
def all_straight(start, end, steps):
    t, o = (ts(steps), ang(start, end))
    return torch.lerp(start, end, t) if (o < 1e-06).all() else inter(start, end, t, o)


@wrong("vae.interpolate", says="Your way is NaN: the cosine of the angle is beyond ±1")
def angle_of_unnormalized(start, end, steps):
    return inter(start, end, ts(steps), (start * end).sum(-1).clamp(-1, 1).acos()[:, None])


@wrong("vae.interpolate", says="Your way goes from end to start")
def weights_exchanged(start, end, steps):
    return inter(end, start, ts(steps), ang(start, end))


@wrong("vae.interpolate", says="You drop the sign of the cosine")
def absolute_cosine(start, end, steps):
    return inter(start, end, ts(steps), torch.cosine_similarity(start, end, dim=-1).abs().acos()[:, None])


@wrong("vae.interpolate", says="Your way neither begins at `start` nor arrives at `end`")
def without_the_ends(start, end, steps):
    t = torch.linspace(0, 1, steps + 2).double()[1:-1, None, None]
    return inter(start, end, t, ang(start, end))


@wrong("vae.interpolate", says="You use the first pair's angle for all")
def first_angle(start, end, steps):
    return inter(start, end, ts(steps), ang(start, end)[:1])


@wrong("vae.interpolate", says="You take the arcsine of the cosine")
def by_arctangent(start, end, steps):
    return inter(start, end, ts(steps), torch.cosine_similarity(start, end, dim=-1).arcsin()[:, None])


def _way(start, end, steps, straight, bound=1.0):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    lengths = start.norm(dim=-1, keepdim=True) * end.norm(dim=-1, keepdim=True)
    angle = ((start * end).sum(-1, keepdim=True) / lengths).clamp(-bound, bound).acos()
    turned = ((1 - t) * angle).sin() / angle.sin() * start + (t * angle).sin() / angle.sin() * end
    return torch.where(straight(angle), (1 - t) * start + t * end, turned)


@wrong("vae.interpolate", says="rounding makes their cosine larger than 1")
def not_clamped(start, end, steps):
    return _way(start, end, steps, lambda angle: angle < 1e-6, bound=2.0)


@wrong("vae.interpolate", says="the straight line where the angle is 0.09")
def straight_below_a_tenth(start, end, steps):
    return _way(start, end, steps, lambda angle: angle < 0.1)


@wrong("vae.interpolate", says="the straight line where the angle is 3.11")
def straight_where_nearly_opposite(start, end, steps):
    return _way(start, end, steps, lambda angle: angle.cos().abs() > 0.9995)


@wrong("vae.active_latents", says="sum the squared deviations where their mean belongs")
def sum_of_squares(mean, log_variance):
    return (mean - mean.mean(0)).square().sum(0) > 0.01
