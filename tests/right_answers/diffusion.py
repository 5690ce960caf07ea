"""Right answers to the exercises of chapter 15, by loops, other formulas, numpy and libraries."""

import itertools
import math

import numpy as np
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from right_answers import right


@right("diffusion.noised")
def image_by_image(x, betas, t, noise):
    rows = []
    for image, steps, e in zip(x, t.tolist(), noise, strict=True):
        alpha = math.prod(math.sqrt(1 - beta) for beta in betas[:steps].tolist())
        rows.append(alpha * image + math.sqrt(1 - alpha**2) * e)
    return torch.stack(rows)


@right("diffusion.noised")
def by_logarithms(x, betas, t, noise):
    log_square = torch.nn.functional.pad(torch.log1p(-betas).cumsum(0), (1, 0))[t][:, None, None, None]
    return (log_square / 2).exp() * x + (-torch.expm1(log_square)).sqrt() * noise


@right("diffusion.mixture_score")
def by_autograd(x, weights, means, scales, alpha, sigma):
    x = x.clone().requires_grad_()
    scale = (alpha**2 * scales**2 + sigma**2).sqrt()[:, None].expand_as(means)
    noised = MixtureSameFamily(Categorical(weights), Independent(Normal(alpha * means, scale), 1))
    return torch.autograd.grad(noised.log_prob(x).sum(), x)[0]


@right("diffusion.mixture_score")
def row_by_row_in_numpy(x, weights, means, scales, alpha, sigma):
    w, mu, variance = weights.numpy(), alpha * means.numpy(), alpha**2 * scales.numpy() ** 2 + sigma**2
    rows = []
    for row in x.numpy():
        log = np.log(w) - len(row) * np.log(variance) / 2 - ((row - mu) ** 2).sum(1) / (2 * variance)
        weight = np.exp(log - log.max())
        weight = weight / weight.sum() / variance
        rows.append(weight @ mu - weight.sum() * row)
    return torch.from_numpy(np.array(rows))


@right("diffusion.tweedie")
def through_the_noise(score, hessian, x, alpha, sigma):
    noise = -sigma[:, None] * score
    of_noise = torch.eye(x.shape[1]).double() + sigma[:, None, None].square() * hessian  # its covariance
    ratio = (sigma / alpha)[:, None, None]
    return (x - sigma[:, None] * noise) / alpha[:, None], ratio.square() * of_noise


@right("diffusion.tweedie")
def row_by_row(score, hessian, x, alpha, sigma):
    means, covariances = [], []
    for pull, bend, row, a, s in zip(score, hessian, x, alpha, sigma, strict=True):
        means.append(row / a + s * s / a * pull)
        covariances.append(torch.diag((s / a).square().repeat(len(row))) + s**4 / a**2 * bend)
    return [torch.stack(means), torch.stack(covariances)]


@right("diffusion.predictions")
def by_rotation(output, kind, x, alpha, sigma):
    alpha, sigma = alpha.unsqueeze(1), sigma.unsqueeze(1)
    if kind == "u":
        return [alpha * x - sigma * output, sigma * x + alpha * output]
    if kind == "x0":
        return [output, (x - alpha * output).div(sigma)]
    return [(x - sigma * output).div(alpha), output]


@right("diffusion.predictions")
def by_solving(output, kind, x, alpha, sigma):
    one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
    second = {"noise": (zero, one), "x0": (one, zero), "u": (-sigma, alpha)}[kind]
    system = torch.stack([torch.stack([alpha, sigma], -1), torch.stack(second, -1)], 1)  # (B, 2, 2)
    found = torch.linalg.solve(system, torch.stack([x, output], 1))
    return found[:, 0], found[:, 1]


@right("diffusion.simple_loss")
def by_the_library(model, x, t, noise, alphas, sigmas):
    x_t = torch.einsum("b,bchw->bchw", alphas[t], x) + torch.einsum("b,bchw->bchw", sigmas[t], noise)
    return torch.nn.functional.mse_loss(model(x_t, t), noise, reduction="none").mean((1, 2, 3))


@right("diffusion.simple_loss")
def with_a_loop(model, x, t, noise, alphas, sigmas):
    x_t = torch.stack([alphas[n] * image + sigmas[n] * e for image, n, e in zip(x, t, noise, strict=True)])
    said = model(x_t, t)
    return torch.stack([((a - b) ** 2).sum() / a.numel() for a, b in zip(said, noise, strict=True)])


@right("diffusion.simple_loss")
def image_after_image(model, x, t, noise, alphas, sigmas):
    losses = []
    for i, n in enumerate(t):
        one = slice(i, i + 1)
        said = model(alphas[n] * x[one] + sigmas[n] * noise[one], t[one])
        losses.append((said - noise[one]).square().mean())
    return torch.stack(losses)


@right("diffusion.reverse_posterior")
def by_conditioning(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    covariance = alpha_t / alpha_s * sigma_s**2  # of x_s and x_t, given x_0
    gain = covariance / sigma_t**2
    return alpha_s * x_0 + gain * (x_t - alpha_t * x_0), torch.tensor(sigma_s**2 - gain * covariance)


@right("diffusion.reverse_posterior")
def by_precisions_where_there_are(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    if sigma_s == 0:
        return x_0.clone(), 0.0
    ratio = alpha_t / alpha_s
    first, second = 1 / sigma_s**2, ratio**2 / (sigma_t**2 - (ratio * sigma_s) ** 2)
    return (first * alpha_s * x_0 + second * x_t / ratio) / (first + second), 1 / (first + second)


@right("diffusion.ddim_step")
def as_one_line(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    ratio = alpha_s / alpha_t
    return ratio * x + (sigma_s - ratio * sigma_t) * noise


@right("diffusion.ddim_step")
def as_euler_in_sigma_over_alpha(noise, x, alpha_t, sigma_t, alpha_s, sigma_s):
    scaled = x / alpha_t  # moves with slope ε in the variable σ / α
    return alpha_s * (scaled + (sigma_s / alpha_s - sigma_t / alpha_t) * noise)


@right("diffusion.bound_terms")
def by_divergences_of_the_library(x, predicted, alphas, sigmas):
    prior = torch.distributions.kl_divergence(
        Normal(alphas[-1] * x, sigmas[-1]), Normal(torch.zeros_like(x), torch.ones_like(x))
    )
    rows = []
    for t, guess in enumerate(predicted, 1):
        ratio = alphas[t] / alphas[t - 1]
        added = sigmas[t] ** 2 - ratio**2 * sigmas[t - 1] ** 2
        moved = alphas[t - 1] * added / sigmas[t] ** 2 * (guess - x)
        rows.append((moved**2 / (2 * added * sigmas[t - 1] ** 2 / sigmas[t] ** 2)).sum(1))
    return prior.sum(1), torch.stack(rows)


@right("diffusion.bound_terms")
def by_log_snr(x, predicted, alphas, sigmas):
    snr = torch.exp(2 * (alphas.log() - sigmas.log()))
    steps = [
        (a - b) / 2 * torch.cdist(x, guess).diagonal() ** 2
        for a, b, guess in zip(snr, snr[1:], predicted, strict=False)
    ]
    mean, log_scale = alphas[-1] * x, sigmas[-1].log()
    return (0.5 * mean**2 + 0.5 * torch.exp(2 * log_scale) - 0.5 - log_scale).sum(-1), torch.stack(steps)


@right("diffusion.heun_step")
def corrected_euler(score, x, beta, t, s):
    euler = x - (s - t) * beta(t) / 2 * (x + score(x, t))
    there = -(s - t) * beta(s) / 2 * (euler + score(euler, s))
    return (euler + x + there) / 2


@right("diffusion.heun_step")
def in_a_loop(score, x, beta, t, s):
    slopes, place = [], x
    for time in (t, s):
        slopes.append(-beta(time) * (place + score(place, time)) / 2)
        place = x + (s - t) * slopes[0]
    return x + (s - t) * torch.stack(slopes).mean(0)


@right("diffusion.heun_step")
def row_after_row(score, x, beta, t, s):
    rows = []
    for row in x.split(1):
        first = -beta(t) / 2 * (row + score(row, t))
        there = row + (s - t) * first
        rows.append(row + (s - t) / 2 * (first - beta(s) / 2 * (there + score(there, s))))
    return torch.cat(rows)


@right("diffusion.reverse_sde_step")
def ode_and_langevin(score, x, beta, t, s, level, noise):
    passed = t - s
    pull, rate = score(x, t), level**2 * beta(t) * passed
    ode = passed * beta(t) / 2 * (x + pull)
    return x + ode + rate / 2 * pull + math.sqrt(rate) * noise


@right("diffusion.reverse_sde_step")
def as_a_gaussian(score, x, beta, t, s, level, noise):
    step, rate = torch.tensor(t - s, dtype=x.dtype), torch.tensor(beta(t), dtype=x.dtype)
    mean = x + step * rate * (x + (1 + level * level) * score(x, t)) / 2
    return mean + (level**2 * rate * step).sqrt() * noise


@right("diffusion.inpaint")
def by_masks(denoise, x, known, alphas, sigmas, noise):
    mask, given = known.to(x.dtype), x.masked_fill(~known, 0.0)
    z = noise[-1].clone()
    levels = list(enumerate(zip(alphas.tolist(), sigmas.tolist(), strict=True)))
    for (t, (a, s)), (_, (a_next, s_next)) in itertools.pairwise(reversed(levels)):
        z = mask * (a * given + s * noise[t]) + (1 - mask) * z
        guess = denoise(z, t)
        z = a_next * guess + s_next * (z - a * guess) / s
    return mask * given + (1 - mask) * z


@right("diffusion.inpaint")
def by_indices(denoise, x, known, alphas, sigmas, noise):
    z, t = noise[len(alphas) - 1].clone(), len(alphas) - 1
    while t:
        z[:, known] = (alphas[t] * x + sigmas[t] * noise[t])[:, known]
        guess, t = denoise(z, t), t - 1
        ratio = sigmas[t] / sigmas[t + 1]
        z = ratio * z + (alphas[t] - ratio * alphas[t + 1]) * guess
    z[:, known] = x[:, known]
    return z


@right("diffusion.inpaint")
def one_row_at_a_time(denoise, x, known, alphas, sigmas, noise):
    rows = []
    for i in range(len(x)):
        z = noise[-1, i : i + 1]
        for t in torch.arange(len(alphas) - 1, 0, -1):
            z = torch.where(known, alphas[t] * x[i] + sigmas[t] * noise[t, i], z)
            guess = denoise(z, t)
            z = alphas[t - 1] * guess + sigmas[t - 1] * (z - alphas[t] * guess) / sigmas[t]
        rows.append(torch.where(known, x[i], z[0]))
    return torch.stack(rows)


@right("diffusion.divergence")
def all_probes_at_once(f, x, probes):
    samples = len(probes)
    many = x.repeat(samples, 1).requires_grad_()
    u = probes.reshape(-1, x.shape[1])
    row = torch.autograd.grad((f(many) * u).sum(), many)[0]
    return (row * u).sum(1).reshape(samples, -1).mean(0)


@right("diffusion.divergence")
def by_whole_jacobians(f, x, probes):
    values = []
    for b in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda row: f(row[None])[0], x[b])
        values.append(torch.stack([u @ jacobian @ u for u in probes[:, b]]).mean())
    return torch.stack(values)


@right("diffusion.log_likelihood")
def by_jacobians_with_the_log_density_as_a_coordinate(velocity, x, times):
    def slope(state, t):
        place = state[:, :-1]
        jacobian = torch.stack(
            [torch.autograd.functional.jacobian(lambda row: velocity(row[None], t)[0], row) for row in place]
        )
        return torch.cat([velocity(place, t), jacobian.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)], 1)

    state = torch.cat([x, x.new_zeros(len(x), 1)], 1)
    for t, later in itertools.pairwise(times):
        first = slope(state, t)
        second = slope(state + (later - t) * first, later)
        state = state + (later - t) * 0.5 * (first + second)
    return Normal(0.0, 1.0).log_prob(state[:, :-1]).sum(1) + state[:, -1]


@right("diffusion.log_likelihood")
def by_unit_vectors(velocity, x, times):
    dim, integral = x.shape[1], 0.0

    def divergence(x, t):
        x = x.clone().requires_grad_()
        v = velocity(x, t)
        unit = torch.eye(dim, dtype=x.dtype)
        return sum(torch.autograd.grad(v, x, e.expand_as(x), retain_graph=True)[0] @ e for e in unit)

    for i in range(len(times) - 1):
        t, later = times[i].item(), times[i + 1].item()
        euler = x + (later - t) * velocity(x, t)
        integral = integral + (later - t) * (divergence(x, t) + divergence(euler, later)) / 2
        x = x + (later - t) / 2 * (velocity(x, t) + velocity(euler, later))
    return integral - x.square().sum(1) / 2 - dim * math.log(2 * math.pi) / 2


@right("diffusion.log_likelihood")
def by_finite_differences(velocity, x, times):
    def slope(x, t, h=1e-5):
        unit = h * torch.eye(x.shape[1], dtype=x.dtype)
        changes = [(velocity(x + e, t) - velocity(x - e, t))[:, d] / (2 * h) for d, e in enumerate(unit)]
        return velocity(x, t), sum(changes)

    total = 0.0
    for t, later in itertools.pairwise(times.tolist()):
        first, spread = slope(x, t)
        second, spread_later = slope(x + (later - t) * first, later)
        x, total = x + (later - t) / 2 * (first + second), total + (later - t) / 2 * (spread + spread_later)
    return Normal(0.0, 1.0).log_prob(x).sum(1) + total


@right("diffusion.few_evaluations")
def adams_bashforth_of_third_order(denoise, z):
    """The curve through the last three slopes, integrated over the step by Simpson's rule."""
    times = [(1 - i / 10) ** 1.5 for i in range(11)]
    x, known = z, []
    for t, s in itertools.pairwise(times):
        alpha, sigma = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
        guess = denoise(x, t)
        known = [*known, (t, math.pi / 2 * (alpha * (x - alpha * guess) / sigma - sigma * guess))][-3:]
        slope = torch.zeros_like(x)
        for at, weight in ((t, 1 / 6), ((t + s) / 2, 4 / 6), (s, 1 / 6)):
            for i, (node, value) in enumerate(known):
                others = [other for j, (other, _) in enumerate(known) if j != i]
                slope = slope + weight * value * math.prod((at - other) / (node - other) for other in others)
        x = x + (s - t) * slope
    return x
