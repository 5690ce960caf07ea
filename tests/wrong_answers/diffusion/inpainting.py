"""Wrong answers of chapter 15: inpainting by replacement."""

import math

import torch

from wrong_answers import wrong

# --- diffusion.inpaint -----------------------------------------------------------------------------------------------


def walk(
    denoise,
    x,
    known,
    alphas,
    sigmas,
    noise,
    *,
    placed=lambda a, x, s, e: a * x + s * e,
    start=None,
    before=True,
    level=0,
    which=None,
    into_guess=False,
    last=True,
    rounds=None,
    inner=None,
    late=False,
    clip=math.inf,
):
    z = noise[-1] if start is None else start
    for t in rounds or range(len(alphas) - 1, 0, -1):
        guess = denoise(z, t) if late else None
        if before:
            e = noise[t if which is None else which]
            z = torch.where(known if inner is None else inner, placed(alphas[t - level], x, sigmas[t - level], e), z)
        guess = (guess if late else denoise(z, t)).clamp(-clip, clip)
        implied = (z - alphas[t] * guess) / sigmas[t]
        if into_guess:
            guess = torch.where(known, x, guess)
        z = alphas[t - 1] * guess + sigmas[t - 1] * implied
    return torch.where(known, x, z) if last else z


@wrong("diffusion.inpaint", says="You paste the known entries in at the end")
def pasted(*inputs):
    return walk(*inputs, before=False)


@wrong("diffusion.inpaint", says="put in without noise")
def clean_pixels(*inputs):
    return walk(*inputs, placed=lambda a, x, s, e: x)


@wrong("diffusion.inpaint", says="shrink, but get no noise")
def shrunk_pixels(*inputs):
    return walk(*inputs, placed=lambda a, x, s, e: a * x)


@wrong("diffusion.inpaint", says="do not shrink")
def noisy_pixels_at_full_size(*inputs):
    return walk(*inputs, placed=lambda a, x, s, e: x + s * e)


@wrong("diffusion.inpaint", says="the same noise in at every level")
def one_noise(*inputs):
    return walk(*inputs, which=-1)


@wrong("diffusion.inpaint", says="the noise of level t − 1")
def level_of_the_next_round(*inputs):
    return walk(*inputs, level=1)


@wrong("diffusion.inpaint", says="At the end the known entries are a guess")
def no_last_paste(*inputs):
    return walk(*inputs, last=False)


@wrong("diffusion.inpaint", says="Known and unknown are swapped")
def mask_inverted(denoise, x, known, *rest):
    return walk(denoise, x, ~known, *rest)


@wrong("diffusion.inpaint", says="into the guess; z is where they belong")
def guess_replaced(*inputs):
    return walk(*inputs, before=False, into_guess=True)


@wrong("diffusion.inpaint", says="The unknown entries start from x")
def start_from_x(denoise, x, known, alphas, sigmas, noise):
    return walk(denoise, x, known, alphas, sigmas, noise, start=alphas[-1] * x + sigmas[-1] * noise[-1])


@wrong("diffusion.inpaint", says="The first round sees none of the known entries")
def pasted_after_the_step(denoise, x, known, alphas, sigmas, noise):
    z = noise[-1]
    for t in range(len(alphas) - 1, 0, -1):
        guess = denoise(z, t)
        z = alphas[t - 1] * guess + sigmas[t - 1] * (z - alphas[t] * guess) / sigmas[t]
        z = torch.where(known, alphas[t - 1] * x + sigmas[t - 1] * noise[t - 1], z)
    return z


@wrong("diffusion.inpaint", says="You ask `denoise` about level 0")
def levels_one_too_low(denoise, x, known, alphas, sigmas, noise):
    z = noise[-1]
    for t in reversed(range(len(alphas) - 1)):
        z = torch.where(known, alphas[t] * x + sigmas[t] * noise[t], z)
        z = alphas[t] * denoise(z, t)
    return z


@wrong("diffusion.inpaint", says="Each step adds new noise")
def fresh_noise(denoise, x, known, alphas, sigmas, noise):
    z = noise[-1]
    for t in range(len(alphas) - 1, 0, -1):
        z = torch.where(known, alphas[t] * x + sigmas[t] * noise[t], z)
        z = alphas[t - 1] * denoise(z, t) + sigmas[t - 1] * noise[t - 1]
    return torch.where(known, x, z)


@wrong("diffusion.inpaint", says="You ask before the known entries are in")
def asked_before(*inputs):
    return walk(*inputs, late=True)


@wrong("diffusion.inpaint", says="Your loop begins at T − 1")
def first_level_missing(*inputs):
    return walk(*inputs, rounds=range(len(inputs[3]) - 2, 0, -1))


@wrong("diffusion.inpaint", says="Your loop ends at level 2")
def last_level_missing(*inputs):
    return walk(*inputs, rounds=range(len(inputs[3]) - 1, 1, -1))


@wrong("diffusion.inpaint", says="Your levels run upwards")
def upwards(*inputs):
    return walk(*inputs, rounds=range(1, len(inputs[3])))


@wrong("diffusion.inpaint", says="Inside the loop known and unknown are swapped")
def inner_mask_inverted(denoise, x, known, *rest):
    return walk(denoise, x, known, *rest, inner=~known)


@wrong("diffusion.inpaint", says="The guess is clipped to ±1")
def clipped_to_one(*inputs):
    return walk(*inputs, clip=1)


@wrong("diffusion.inpaint", says="The guess is clipped to ±3")
def clipped_to_three(*inputs):
    return walk(*inputs, clip=3)


@wrong("diffusion.inpaint", says="as they are at level t")
def level_of_the_last_round(denoise, x, known, alphas, sigmas, noise):
    z = noise[-1]
    for t in range(len(alphas) - 1, 0, -1):
        guess = denoise(z, t)
        z = alphas[t - 1] * guess + sigmas[t - 1] * (z - alphas[t] * guess) / sigmas[t]
        z = torch.where(known, alphas[t] * x + sigmas[t] * noise[t], z)
    return torch.where(known, x, z)


@wrong("diffusion.inpaint", says="one whole number as the level, not a tensor (3,)")
def level_of_each_row(denoise, x, *rest):
    return walk(lambda z, t: denoise(z, torch.full((len(z),), t)), x, *rest)


@wrong("diffusion.inpaint", says="what stands in the unknown entries of x")
def a_little_of_x(denoise, x, known, *rest):
    return walk(denoise, x, known, *rest) + 1e-7 * x * ~known
