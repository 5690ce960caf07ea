"""Wrong answers of chapter 15: what a network predicts, and the simple loss."""

import torch

from wrong_answers import wrong

# --- diffusion.predictions -------------------------------------------------------------------------------------------


def both(output, kind, x, alpha, sigma, **ways):
    a, s = alpha[:, None], sigma[:, None]
    usual = {
        "noise": lambda: ((x - s * output) / a, output),
        "x0": lambda: (output, (x - a * output) / s),
        "u": lambda: (a * x - s * output, s * x + a * output),
    }
    return ways[kind](output, x, a, s) if kind in ways else usual[kind]()


@wrong("diffusion.predictions", says="u enters x_0 with the wrong sign")
def sign_of_u(*inputs):
    return both(*inputs, u=lambda u, x, a, s: (a * x + s * u, s * x - a * u))


@wrong("diffusion.predictions", says="u enters the noise with the wrong sign")
def sign_of_u_in_the_noise(*inputs):
    return both(*inputs, u=lambda u, x, a, s: (a * x - s * u, s * x - a * u))


@wrong("diffusion.predictions", says="You return the noise first")
def noise_first(*inputs):
    return both(*inputs)[::-1]


@wrong("diffusion.predictions", says="not finite where α or σ is 0")
def u_by_division(*inputs):
    def through_the_noise(u, x, a, s):
        noise = (a * u + s * x) / (a**2 + s**2)
        return (x - s * noise) / a, noise

    return both(*inputs, u=through_the_noise)


@wrong("diffusion.predictions", says="You forgot to divide by α")
def no_division_by_alpha(*inputs):
    return both(*inputs, noise=lambda noise, x, a, s: (x - s * noise, noise))


@wrong("diffusion.predictions", says="You forgot to divide by σ")
def no_division_by_sigma(*inputs):
    return both(*inputs, x0=lambda data, x, a, s: (data, x - a * data))


@wrong("diffusion.predictions", says="minus the score")
def score_for_noise(*inputs):
    return both(*inputs, x0=lambda data, x, a, s: (data, (x - a * data) / s**2))


@wrong("diffusion.predictions", says="α and σ are swapped")
def swapped_levels(output, kind, x, alpha, sigma):
    return both(output, kind, x, sigma, alpha)


@wrong("diffusion.predictions", says="You take this output for the noise")
def always_noise(output, kind, x, alpha, sigma):
    return both(output, "noise", x, alpha, sigma)


@wrong("diffusion.predictions", says="You take this output for x_0")
def always_data(output, kind, x, alpha, sigma):
    return both(output, "x0", x, alpha, sigma)


@wrong("diffusion.predictions", says="σ is missing")
def noise_without_sigma(*inputs):
    return both(*inputs, noise=lambda noise, x, a, s: ((x - noise) / a, noise))


@wrong("diffusion.predictions", says="You add the noise")
def noise_added(*inputs):
    return both(*inputs, noise=lambda noise, x, a, s: ((x + s * noise) / a, noise))


@wrong("diffusion.predictions", says="the first row's level for all")
def first_row(output, kind, x, alpha, sigma):
    return both(output, kind, x, alpha[:1].expand(len(x)), sigma[:1].expand(len(x)))


@wrong("diffusion.predictions", says="Your x_0 from noise should be")
def alpha_raised(*inputs):
    return both(*inputs, noise=lambda noise, x, a, s: ((x - s * noise) / a.clamp(min=0.05), noise))


@wrong("diffusion.predictions", says="Your noise from x0 should be")
def sigma_raised(*inputs):
    return both(*inputs, x0=lambda x_0, x, a, s: (x_0, (x - a * x_0) / s.clamp(min=0.05)))


@wrong("diffusion.predictions", says="You divide by α; what stands before the noise")
def divided_by_the_other(*inputs):
    return both(*inputs, x0=lambda x_0, x, a, s: (x_0, (x - a * x_0) / a))


@wrong("diffusion.predictions", says="u is divided by neither")
def u_by_sigma_and_a_little(*inputs):
    def through_x_0(u, x, a, s):
        return a * x - s * u, (x - a * (a * x - s * u)) / (s + 1e-6)

    return both(*inputs, u=through_x_0)


@wrong("diffusion.predictions", says="u is divided by neither")
def u_by_alpha_and_a_little(*inputs):
    def through_the_noise(u, x, a, s):
        return (x - s * (s * x + a * u)) / a.clamp(min=1e-6), s * x + a * u

    return both(*inputs, u=through_the_noise)


@wrong("diffusion.predictions", says="Your x_0 is clipped to ±1")
def clipped_data(*inputs):
    return both(*inputs, noise=lambda noise, x, a, s: (((x - s * noise) / a).clamp(-1, 1), noise))


# --- diffusion.simple_loss -------------------------------------------------------------------------------------------


def loss_of(model, x, t, noise, alphas, sigmas, *, shown=None, told=None, target=None, size=torch.square, by="mean"):
    a, s = (level[t].reshape(-1, 1, 1, 1) for level in (alphas, sigmas))
    x_t = a * x + s * noise if shown is None else shown(a, s)
    error = size(model(x_t, t if told is None else told) - (noise if target is None else target(a, s)))
    return getattr(error.flatten(1), by)(1)


@wrong("diffusion.simple_loss", says="The model sees the clean image")
def clean(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: x)


@wrong("diffusion.simple_loss", says="You compare with the image")
def target_image(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, target=lambda a, s: x)


@wrong("diffusion.simple_loss", says="You compare with σ ε")
def target_scaled(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, target=lambda a, s: s * noise)


@wrong("diffusion.simple_loss", says="one number for the batch")
def mean_of_the_batch(*inputs):
    return loss_of(*inputs).mean()


@wrong("diffusion.simple_loss", says="one number for each pixel")
def loss_of_pixels(model, x, t, noise, alphas, sigmas):
    a, s = (level[t].reshape(-1, 1, 1, 1) for level in (alphas, sigmas))
    return (model(a * x + s * noise, t) - noise).square()


@wrong("diffusion.simple_loss", says="You sum over the pixels")
def sum_of_pixels(*inputs):
    return loss_of(*inputs, by="sum")


@wrong("diffusion.simple_loss", says="You take absolute errors")
def absolute(*inputs):
    return loss_of(*inputs, size=torch.abs)


@wrong("diffusion.simple_loss", says="α and σ are swapped")
def swapped_in_the_loss(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: s * x + a * noise)


@wrong("diffusion.simple_loss", says="You take `alphas` for the squares")
def roots_of_alphas(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: a.sqrt() * x + (1 - a).sqrt() * noise)


@wrong("diffusion.simple_loss", says="one too early")
def level_before(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas.roll(1), sigmas.roll(1))


@wrong("diffusion.simple_loss", says="All images get the first one's level")
def one_level(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: a[:1] * x + s[:1] * noise)


@wrong("diffusion.simple_loss", says="`t`, the whole numbers (B,)")
def time_in_floating_point(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, told=t / (len(alphas) - 1))


@wrong("diffusion.simple_loss", says="No gradient reaches the model")
def without_gradient(*inputs):
    return loss_of(*inputs).detach()


@wrong("diffusion.simple_loss", says="errors cancel")
def averaged_first(*inputs):
    return loss_of(*inputs, size=lambda error: error).square()


@wrong("diffusion.simple_loss", says="The noise in x_t lacks σ")
def full_noise(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: a * x + noise)


@wrong("diffusion.simple_loss", says="α and σ are squared in x_t")
def squares_of_levels(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas**2, sigmas**2)


@wrong("diffusion.simple_loss", says="You take the noise away in x_t")
def noise_taken_away(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: a * x - s * noise)


@wrong("diffusion.simple_loss", says="The model is told t − 1")
def told_the_time_before(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, told=t - 1)


@wrong("diffusion.simple_loss", says="You take the length of the error")
def length(*inputs):
    return loss_of(*inputs, by="sum").sqrt()


@wrong("diffusion.simple_loss", says="draws random numbers of its own")
def own_noise(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, torch.randn_like(noise), alphas, sigmas)


@wrong("diffusion.simple_loss", says="Your x_t is clipped to ±3")
def clipped_images(model, x, t, noise, alphas, sigmas):
    return loss_of(model, x, t, noise, alphas, sigmas, shown=lambda a, s: (a * x + s * noise).clamp(-3, 3))


@wrong("diffusion.simple_loss", says="The model's guess is clipped to ±3")
def clipped_guess(model, *rest):
    return loss_of(lambda x, t: model(x, t).clamp(-3, 3), *rest)
