"""Wrong answers of chapter 15: a flow followed with ten evaluations."""

import math
import sys
from itertools import pairwise

import torch

from wrong_answers import wrong

# --- diffusion.few_evaluations ---------------------------------------------------------------------------------------


def level(t):
    return math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)


def velocity(denoise, x, t):
    alpha, sigma = level(t)
    guess = denoise(x, t)
    return math.pi / 2 * (alpha * (x - alpha * guess) / sigma - sigma * guess)


def plain(denoise, z, times):
    x = z
    for t, s in pairwise(times):
        (alpha, sigma), (alpha_s, sigma_s) = level(t), level(s)
        guess = denoise(x, t)
        x = alpha_s * guess + sigma_s * (x - alpha * guess) / sigma
    return x


EVEN = [1 - i / 10 for i in range(11)]


@wrong("diffusion.few_evaluations", says="That is about what plain steps reach")
def ten_plain_steps(denoise, z):
    return plain(denoise, z, EVEN)


@wrong("diffusion.few_evaluations", says="You ask more than 10 times")
def a_hundred_steps(denoise, z):
    return plain(denoise, z, [1 - i / 100 for i in range(101)])


@wrong("diffusion.few_evaluations", says="You ask more than 10 times")
def ten_steps_of_heun(denoise, z):
    x = z
    for t, s in pairwise(EVEN):
        first = velocity(denoise, x, t)
        second = velocity(denoise, x + (s - t) * first, max(s, 0.01))
        x = x + (s - t) * (first + second) / 2
    return x


@wrong("diffusion.few_evaluations", says="Where do you ask?")
def memory_on_an_even_grid(denoise, z):
    x, before = z, None
    for t, s in pairwise(EVEN):
        slope = velocity(denoise, x, t)
        x = x + (s - t) * (slope if before is None else 1.5 * slope - 0.5 * before)
        before = slope
    return x


@wrong("diffusion.few_evaluations", says="You never ask at a time near 1")
def time_backwards(denoise, z):
    x = z
    for t in EVEN[::-1][1:5]:
        x = 3 * x - denoise(x, t)
    return x


@wrong("diffusion.few_evaluations", says="each row has an end of its own")
def rows_in_another_order(denoise, z):
    return plain(denoise, z, EVEN).flip(0)


@wrong("diffusion.few_evaluations", says="each row has an end of its own")
def stochastic(denoise, z):
    generator = torch.Generator().manual_seed(0)
    x = z
    for t, s in pairwise(EVEN):
        alpha_s, sigma_s = level(s)
        x = alpha_s * denoise(x, t) + sigma_s * torch.randn(z.shape, generator=generator, dtype=z.dtype)
    return x


@wrong("diffusion.few_evaluations", says="You never asked the denoiser")
def noise_itself(denoise, z):
    return z


@wrong("diffusion.few_evaluations", says="worse than ten plain steps")
def guess_at_once(denoise, z):
    return denoise(z, 1.0)


@wrong("diffusion.few_evaluations", says="times are between 0, data, and 1, noise")
def steps_for_times(denoise, z):
    return denoise(z, 10)


@wrong("diffusion.few_evaluations", says="worse than ten plain steps")
def noise_itself_after_asking(denoise, z):
    denoise(z, 1.0)
    return z


@wrong("diffusion.few_evaluations", says="You ask more than 10 times")
def from_the_frames(denoise, z):
    """Looks for the mixture in the frames of its callers, to ask it as often as it likes; finds the denoiser alone."""
    frame, ask = sys._getframe(), denoise
    while frame is not None:
        ask = getattr(frame.f_locals.get("mixture"), "denoised", ask)
        frame = frame.f_back
    for i in range(400):
        ask(z, i / 400)
    return z
