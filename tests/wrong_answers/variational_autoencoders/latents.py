"""Wrong answers of chapter 6: what the latents do, and ways between codes."""

import torch

from wrong_answers import wrong
from wrong_answers.variational_autoencoders._shared import standard_kl

# --- vae.active_latents ----------------------------------------------------------------------------------------------


@wrong("vae.active_latents", says="near 3 for every image")
def by_divergence(mean, log_variance):
    return standard_kl(mean, log_variance).mean(0) > 0.2


@wrong("vae.active_latents", says="near 3 for every image")
def not_centered(mean, log_variance):
    return mean.square().mean(0) > 0.01


@wrong("vae.active_latents", says="whose samples scatter")
def by_scatter_of_z(mean, log_variance):
    return mean.var(0) + log_variance.exp().mean(0) > 0.01


@wrong("vae.active_latents", says="sure of itself")
def by_small_variance(mean, log_variance):
    return log_variance.mean(0) < -1


@wrong("vae.active_latents", says="compare the standard deviation")
def by_deviation(mean, log_variance):
    return mean.std(0) > 0.01


@wrong("vae.active_latents", says="miss a weak latent")
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
