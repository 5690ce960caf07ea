"""Right answers to the exercises of chapter 6, by loops, other formulas and libraries."""

import math

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from right_answers import right
from utils.data import binarize
from utils.nets import mlp


@right("vae.gaussian_kl")
def by_the_library(mean_q, log_variance_q, mean_p, log_variance_p):
    q, p = (Normal(mean, (log / 2).exp()) for mean, log in ((mean_q, log_variance_q), (mean_p, log_variance_p)))
    return kl_divergence(Independent(q, 1), Independent(p, 1))


@right("vae.gaussian_kl")
def example_by_example(mean_q, log_variance_q, mean_p, log_variance_p):
    found = []
    for m, v, n, w in zip(mean_q, log_variance_q, mean_p, log_variance_p, strict=True):
        found.append(
            sum(
                0.5 * ((a - d).exp() + (b - c) ** 2 / d.exp() - 1 - (a - d))
                for a, b, c, d in zip(v, m, n, w, strict=True)
            )
        )
    return torch.stack(found)


@right("vae.reparameterise")
def power_of_e(mean, log_variance, noise):
    return torch.stack([mean + math.e ** (0.5 * log_variance) * one for one in noise])


@right("vae.elbo")
def with_distributions(x, mean, log_variance, noise, decode):
    q = Normal(mean, (log_variance / 2).exp())
    z = torch.stack([q.loc + q.scale * one for one in noise])
    fit = Bernoulli(logits=decode(z)).log_prob(x).sum(-1)
    return (fit - kl_divergence(q, Normal(torch.zeros_like(mean), 1.0)).sum(-1)).mean(0)


@right("vae.elbo")
def sample_by_sample(x, mean, log_variance, noise, decode):
    total = 0
    for one in noise:
        odds = decode(mean + (0.5 * log_variance).exp() * one)
        total = total - binary_cross_entropy_with_logits(odds, x, reduction="none").sum(1)
    return total / len(noise) + 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)


@right("vae.elbo")
def in_one_long_batch(x, mean, log_variance, noise, decode):
    z = (mean + (log_variance / 2).exp() * noise).flatten(0, 1)
    odds, many = decode(z), x.repeat(len(noise), 1)
    fit = torch.where(many == 1, logsigmoid(odds), logsigmoid(-odds)).sum(1)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    return fit.view(len(noise), -1).mean(0) - kl


@right("vae.elbo")
def with_logsigmoid(x, mean, log_variance, noise, decode):
    odds = decode(mean + (log_variance / 2).exp() * noise)
    fit = (x * logsigmoid(odds) + (1 - x) * logsigmoid(-odds)).sum(-1).mean(0)
    return fit - 0.5 * (mean.square() + log_variance.exp() - log_variance).sum(-1) + mean.shape[1] / 2


@right("vae.iwae")
def largest_first(log_joint, log_q):
    log_weights = log_joint - log_q
    top = log_weights.max(0).values
    return top + (log_weights - top).exp().mean(0).log()


@right("vae.iwae")
def two_at_a_time(log_joint, log_q):
    total = torch.full_like(log_q[0], -math.inf)
    for one in log_joint - log_q:
        total = torch.logaddexp(total, one - math.log(len(log_q)))
    return total


@right("vae.score_function_gradient")
def by_autograd(f, mean, log_variance, noise):
    mean, log_variance = mean.clone().requires_grad_(), log_variance.clone().requires_grad_()
    deviation = (log_variance / 2).exp()
    z = (mean + deviation * noise).detach()
    value = f(z)
    others = (value.sum() - value) / (len(value) - 1)
    log_q = Normal(mean, deviation).log_prob(z).sum(-1)
    return torch.autograd.grad(((value - others) * log_q).mean(), (mean, log_variance))


@right("vae.score_function_gradient")
def centered_and_enlarged(f, mean, log_variance, noise):
    z = mean + (log_variance / 2).exp() * noise
    value = f(z)
    weight = (value - value.mean())[:, None] / (len(value) - 1)
    away = (z - mean) / log_variance.exp()
    return (weight * away).sum(0), (weight * (away * (z - mean) - 1)).sum(0) / 2


@right("vae.linear_posterior")
def from_the_joint_gaussian(x, weights, bias, variance):
    of_x = weights @ weights.T + variance * torch.eye(len(bias), dtype=x.dtype)
    gain = torch.linalg.solve(of_x, weights)
    return (x - bias) @ gain, torch.eye(weights.shape[1], dtype=x.dtype) - weights.T @ gain


@right("vae.linear_posterior")
def row_by_row(x, weights, bias, variance):
    precision = torch.eye(weights.shape[1], dtype=x.dtype) + weights.T @ weights / variance
    rows = [torch.linalg.solve(precision, weights.T @ (row - bias) / variance) for row in x]
    return torch.stack(rows), torch.cholesky_inverse(torch.linalg.cholesky(precision))


@right("vae.best_diagonal")
def by_the_divergence(precision):
    variances = precision.diagonal().reciprocal()
    zero = torch.zeros_like(variances)
    q, p = MultivariateNormal(zero, torch.diag(variances)), MultivariateNormal(zero, precision_matrix=precision)
    return variances, kl_divergence(q, p)


@right("vae.best_diagonal")
def by_numpy(precision):
    own = np.diag(precision.numpy())
    gap = (np.log(own).sum() - np.linalg.slogdet(precision.numpy())[1]) / 2
    return torch.tensor(1 / own), float(gap)


@right("vae.free_bits_loss")
def latent_by_latent(reconstruction, kl, beta, free_nats):
    loss = -reconstruction.sum() / len(reconstruction)
    for column in kl.unbind(1):
        loss = loss + beta * max(column.mean(), torch.tensor(free_nats, dtype=kl.dtype))
    return loss


@right("vae.free_bits_loss")
def above_the_floor(reconstruction, kl, beta, free_nats):
    return -reconstruction.mean() + beta * ((kl.mean(0) - free_nats).relu() + free_nats).sum()


@right("vae.active_latents")
def with_the_covariance(mean, log_variance):
    return torch.cov(mean.T, correction=0).diagonal() > 0.01


@right("vae.active_latents")
def one_latent_at_a_time(mean, log_variance):
    return torch.tensor([bool(((column - column.mean()) ** 2).mean() > 1e-2) for column in mean.T])


@right("vae.interpolate")
def pair_by_pair(start, end, steps):
    ways = []
    for a, b in zip(start, end, strict=True):
        angle = torch.arccos(torch.clamp(a @ b / (a.norm() * b.norm()), -1, 1))
        way = []
        for i in range(steps):
            t = i / (steps - 1)
            if angle < 1e-7:
                way.append(a + t * (b - a))
            else:
                way.append((torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle))
        ways.append(torch.stack(way))
    return torch.stack(ways, 1)


@right("vae.interpolate")
def in_the_plane_of_the_two(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    u = start / start.norm(dim=-1, keepdim=True)
    along = (end * u).sum(-1, keepdim=True)
    across = end - along * u
    angle = torch.atan2(across.norm(dim=-1, keepdim=True), along)
    # sin(tω) / sin ω by sinc, which is safe at 0.
    first, second = ((1 - t) * angle, t * angle)
    safe = torch.sinc(angle / math.pi)
    return ((1 - t) * torch.sinc(first / math.pi) * start + t * torch.sinc(second / math.pi) * end) / safe


@right("vae.train")
def by_the_model_of_the_course(x_train):
    from utils.models.vae import VAE

    torch.manual_seed(1)
    model = VAE(mlp(64, 256, 16), mlp(8, 256, 64), 8)
    model.fit(x_train, binarize=True, epochs=250, lr=3e-3, batch_size=64, device="cpu", progress=False)
    return model.encode, model.decoder


@right("vae.train")
def by_importance_weights(x_train):
    torch.manual_seed(2)
    encoder, decoder = mlp(64, 200, 16), mlp(8, 200, 64)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    epochs = 200
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x_train)).split(64):
            x = binarize(x_train[rows])
            mean, log_variance = encoder(x).chunk(2, dim=1)
            noise = torch.randn(3, *mean.shape)
            z = mean + (log_variance / 2).exp() * noise
            odds = decoder(z)
            fit = -binary_cross_entropy_with_logits(odds, x.expand_as(odds), reduction="none").sum(-1)
            log_weights = fit + 0.5 * (noise.square() - z.square() + log_variance).sum(-1)
            loss = -(log_weights.logsumexp(0) - math.log(3)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return lambda x: encoder(x).chunk(2, dim=1), decoder
