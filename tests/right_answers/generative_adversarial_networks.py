"""Right answers to the exercises of chapter 8, by loops, other formulas and libraries."""

import math

import numpy as np
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import jensenshannon
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from right_answers import right


@right("gan.optimal_discriminator")
def by_softmax(log_p, log_q):
    return torch.stack([log_p, log_q]).softmax(0)[0]


@right("gan.discriminator_loss")
def by_cross_entropy(real, fake):
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    return binary_cross_entropy_with_logits(real, ones) + binary_cross_entropy_with_logits(fake, zeros)


@right("gan.discriminator_loss")
def by_softplus(real, fake):
    return softplus(-real).mean() + softplus(fake).mean()


@right("gan.generator_slopes")
def one_by_one(fake):
    def sigmoid(value):
        return 1 / (1 + math.exp(-value)) if value > -700 else 0.0

    minimax = [-sigmoid(value) for value in fake.tolist()]
    other = [-sigmoid(-value) for value in fake.tolist()]
    return torch.tensor(minimax, dtype=fake.dtype), torch.tensor(other, dtype=fake.dtype)


@right("gan.js_divergence")
def by_scipy(p, q):
    return float(jensenshannon(p.numpy(), q.numpy()) ** 2)


@right("gan.hinge_losses")
def by_clamping(real, fake):
    zero = real.new_zeros(())
    critic = torch.maximum(1 - real, zero).mean() + torch.maximum(1 + fake, zero).mean()
    return critic, fake.neg().mean()


@right("gan.gradient_penalty")
def point_by_point(critic, real, fake, u):
    total = 0.0
    for x, y, share in zip(real, fake, u, strict=True):
        point = (y + share * (x - y))[None].requires_grad_()
        (slope,) = torch.autograd.grad(critic(point)[0], point, create_graph=True)
        total = total + (slope.square().sum().sqrt() - 1) ** 2
    return total / len(real)


@right("gan.gradient_penalty")
def by_a_transform(critic, real, fake, u):
    slope = torch.func.grad(lambda x: critic(x).sum())(torch.lerp(fake, real, u))
    return (torch.linalg.vector_norm(slope, dim=1) - 1).square().mean()


@right("gan.gradient_penalty")
def by_a_transform_of_each_point(critic, real, fake, u):
    slope = torch.func.vmap(torch.func.grad(lambda x: critic(x[None])[0]))(fake + u * (real - fake))
    return (slope.norm(dim=1) - 1).square().mean()


@right("gan.spectral_norm")
def with_the_length(weight, v, steps):
    """uᵀ W v = ‖Wᵀ u‖ for the v that belongs to u."""
    for _ in range(steps):
        u = weight @ v
        u = u / u.norm()
        v = weight.T @ u
        length, v = v.norm(), v / v.norm()
    return length


@right("gan.minibatch_std")
def by_moments(features):
    variance = features.square().mean(0) - features.mean(0).square()
    column = torch.full((len(features), 1), variance.sqrt().mean().item(), dtype=features.dtype)
    return torch.hstack([features, column])


@right("gan.count_modes")
def sample_by_sample(samples, centers, radius, least):
    counts = [0] * len(centers)
    for x, y in samples.tolist():
        distances = [math.hypot(x - a, y - b) for a, b in centers.tolist()]
        if min(distances) <= radius:
            counts[int(np.argmin(distances))] += 1
    return sum(count >= least for count in counts)


@right("gan.frechet")
def by_scipys_root(mean, covariance, other_mean, other_covariance):
    root = sqrtm((covariance @ other_covariance).numpy())
    traces = covariance.trace().item() + other_covariance.trace().item() - 2 * np.trace(root).real
    return float((mean - other_mean) @ (mean - other_mean) + traces)


@right("gan.precision_recall")
def by_scikit_learn(real, fake, k):
    def share(points, others):
        radius = NearestNeighbors(n_neighbors=k + 1).fit(others).kneighbors(others)[0][:, -1]
        inside = 0
        for point in points.numpy():
            inside += bool((np.linalg.norm(others.numpy() - point, axis=1) <= radius + 1e-12).any())
        return inside / len(points)

    return share(fake, real), share(real, fake)


@right("gan.ring")
def without_a_game(x_train):
    """Any means: ranks of noise are moved to ranks of angles, and between two training points on a line."""
    angle = torch.atan2(x_train[:, 1], x_train[:, 0])
    ranked = x_train[angle.argsort()]

    def generate(z):
        place = torch.special.ndtr(z[:, :1]) * (len(ranked) - 1)
        before = place.long().clamp(max=len(ranked) - 2)
        return ranked[before[:, 0]].lerp(ranked[before[:, 0] + 1], place - before) + 0.02 * z[:, 1:3]

    return generate
