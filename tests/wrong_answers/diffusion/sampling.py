"""Wrong answers of chapter 15: steps back to the data."""

import math

import torch

from wrong_answers import wrong

# --- diffusion.ddim_step ---------------------------------------------------------------------------------------------


@wrong("diffusion.ddim_step", says="This is the guess of x_0")
def guess_alone(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return (x - sigma_t * noise) / alpha_t


@wrong("diffusion.ddim_step", says="You forgot to divide by α_t")
def no_division(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * (x - sigma_t * noise) + sigma_s * noise


@wrong("diffusion.ddim_step", says="it should be σ_s")
def same_noise(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * (x - sigma_t * noise) / alpha_t + sigma_t * noise


@wrong("diffusion.ddim_step", says="The guess of x_0 is not multiplied with α_s")
def guess_not_shrunk(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return (x - sigma_t * noise) / alpha_t + sigma_s * noise


@wrong("diffusion.ddim_step", says="Only the noise changes")
def noise_taken_away(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return x - (sigma_t - sigma_s) * noise


@wrong("diffusion.ddim_step", says="draws random numbers of its own")
def new_noise(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * (x - sigma_t * noise) / alpha_t + sigma_s * torch.randn_like(x)


@wrong("diffusion.ddim_step", says="You add the noise where you must take it away")
def noise_added(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * (x + sigma_t * noise) / alpha_t + sigma_s * noise


@wrong("diffusion.ddim_step", says="The noise does not come back")
def mean_without_noise(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * (x - sigma_t * noise) / alpha_t


@wrong("diffusion.ddim_step", says="a step of DDPM")
def mean_of_the_chain(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    ratio = alpha_t / alpha_s
    added = sigma_t**2 - ratio**2 * sigma_s**2
    guess = (x - sigma_t * noise) / alpha_t
    return (ratio * sigma_s**2 * x + alpha_s * added * guess) / sigma_t**2


@wrong("diffusion.ddim_step", says="α_s and σ_s are swapped")
def swapped(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return sigma_s * (x - sigma_t * noise) / alpha_t + alpha_s * noise


@wrong("diffusion.ddim_step", says="You take x_t for the guess of x_0")
def noisy_guess(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * x + sigma_s * noise


@wrong("diffusion.ddim_step", says="never small; divide by α_t as it is")
def alpha_raised(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * (x - sigma_t * noise) / max(alpha_t, 0.3) + sigma_s * noise


@wrong("diffusion.ddim_step", says="The guess of x_0 is clipped to ±3")
def clipped_guess(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * ((x - sigma_t * noise) / alpha_t).clamp(-3, 3) + sigma_s * noise


# --- diffusion.heun_step ---------------------------------------------------------------------------------------------


def field(score, beta, half=0.5, pull=1.0, keep=1.0):
    return lambda x, t: -half * beta(t) * (keep * x + pull * score(x, t))


def heun(v, x, t, h, s):
    first = v(x, t)
    return x + h * (first + v(x + h * first, s)) / 2


@wrong("diffusion.heun_step", says="This is Euler's step")
def euler(score, x, beta, t, s):
    return x + (s - t) * field(score, beta)(x, t)


@wrong("diffusion.heun_step", says="You step away from s")
def forwards(score, x, beta, t, s):
    return heun(field(score, beta), x, t, t - s, s)


@wrong("diffusion.heun_step", says="it belongs to time s")
def same_time(score, x, beta, t, s):
    return heun(field(score, beta), x, t, s - t, t)


@wrong("diffusion.heun_step", says="The second slope is taken at x")
def same_place(score, x, beta, t, s):
    v = field(score, beta)
    return x + (s - t) * (v(x, t) + v(x, s)) / 2


@wrong("diffusion.heun_step", says="the midpoint method")
def midpoint(score, x, beta, t, s):
    v = field(score, beta)
    return x + (s - t) * v(x + (s - t) / 2 * v(x, t), (t + s) / 2)


@wrong("diffusion.heun_step", says="The slopes are added")
def slopes_added(score, x, beta, t, s):
    v, h = field(score, beta), s - t
    first = v(x, t)
    return x + h * (first + v(x + h * first, s))


@wrong("diffusion.heun_step", says="the mean slope starts at x")
def from_the_end(score, x, beta, t, s):
    v, h = field(score, beta), s - t
    moved = x + h * v(x, t)
    return moved + h * (v(x, t) + v(moved, s)) / 2


@wrong("diffusion.heun_step", says="two Euler steps")
def euler_twice(score, x, beta, t, s):
    v, h = field(score, beta), s - t
    moved = x + h * v(x, t)
    return moved + h * v(moved, s)


@wrong("diffusion.heun_step", says="The score counts twice")
def drift_of_the_sde(score, x, beta, t, s):
    return heun(field(score, beta, pull=2.0), x, t, s - t, s)


@wrong("diffusion.heun_step", says="The ½ before β is missing")
def no_half(score, x, beta, t, s):
    return heun(field(score, beta, half=1.0), x, t, s - t, s)


@wrong("diffusion.heun_step", says="The score has the wrong sign")
def score_negated(score, x, beta, t, s):
    return heun(field(score, beta, pull=-1.0), x, t, s - t, s)


@wrong("diffusion.heun_step", says="β is taken at time t for both slopes")
def one_beta(score, x, beta, t, s):
    rate = beta(t)
    return heun(field(score, lambda _: rate), x, t, s - t, s)


@wrong("diffusion.heun_step", says="x is missing in the velocity")
def variance_exploding(score, x, beta, t, s):
    return heun(field(score, beta, keep=0.0), x, t, s - t, s)


@wrong("diffusion.heun_step", says="Where s is after t you step away from s")
def always_back(score, x, beta, t, s):
    v, h = field(score, beta), -abs(s - t)
    first = v(x, t)
    return x + h * (first + v(x + h * first, s)) / 2


@wrong("diffusion.heun_step", says="at the time in the middle")
def second_slope_in_the_middle(score, x, beta, t, s):
    return heun(field(score, beta), x, t, s - t, (s + t) / 2)


# --- diffusion.reverse_sde_step --------------------------------------------------------------------------------------


def sde(score, x, beta, t, s, level, noise, *, pull=lambda level: 1 + level**2, spread=None, half=0.5, direction=1):
    spread = level * math.sqrt(beta(t) * (t - s)) if spread is None else spread
    drift = -half * beta(t) * (x + pull(level) * score(x, t))
    return x + direction * (s - t) * drift + spread * noise


@wrong("diffusion.reverse_sde_step", says="Your drift has the wrong sign")
def drift_forwards(*inputs):
    return sde(*inputs, direction=-1)


@wrong("diffusion.reverse_sde_step", says="noise is added and not made good")
def no_more_pull(*inputs):
    return sde(*inputs, pull=lambda level: 1)


@wrong("diffusion.reverse_sde_step", says="that of λ = 1 for every λ")
def always_anderson(*inputs):
    return sde(*inputs, pull=lambda level: 2)


@wrong("diffusion.reverse_sde_step", says="λ is to be squared in the pull")
def level_not_squared(*inputs):
    return sde(*inputs, pull=lambda level: 1 + level)


@wrong("diffusion.reverse_sde_step", says="The noise is missing")
def no_noise(*inputs):
    return sde(*inputs, spread=0.0)


@wrong("diffusion.reverse_sde_step", says="not with t − s")
def noise_times_time(score, x, beta, t, s, level, noise):
    return sde(score, x, beta, t, s, level, noise, spread=level * math.sqrt(beta(t)) * (t - s))


@wrong("diffusion.reverse_sde_step", says="The time is missing in the noise")
def noise_without_time(score, x, beta, t, s, level, noise):
    return sde(score, x, beta, t, s, level, noise, spread=level * math.sqrt(beta(t)))


@wrong("diffusion.reverse_sde_step", says="The noise grows with λ, not with λ²")
def noise_with_level_squared(score, x, beta, t, s, level, noise):
    return sde(score, x, beta, t, s, level, noise, spread=level**2 * math.sqrt(beta(t) * (t - s)))


@wrong("diffusion.reverse_sde_step", says="λ is missing before the noise")
def noise_without_level(score, x, beta, t, s, level, noise):
    return sde(score, x, beta, t, s, level, noise, spread=math.sqrt(beta(t) * (t - s)))


@wrong("diffusion.reverse_sde_step", says="The ½ before β in the drift is missing")
def no_half_in_the_drift(*inputs):
    return sde(*inputs, half=1.0)


@wrong("diffusion.reverse_sde_step", says="draws random numbers of its own")
def own_noise(score, x, beta, t, s, level, noise):
    return sde(score, x, beta, t, s, level, torch.randn_like(x))


@wrong("diffusion.reverse_sde_step", says="both coefficients belong to the beginning")
def beta_of_the_end(score, x, beta, t, s, level, noise):
    rate = beta(s)
    return sde(score, x, lambda _: rate, t, s, level, noise)
