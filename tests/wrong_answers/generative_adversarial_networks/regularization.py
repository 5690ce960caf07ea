"""Wrong answers of chapter 8: gradient penalty, spectral norm, minibatch statistics."""

import torch
from torch.nn.functional import normalize

from wrong_answers import wrong

# --- gan.gradient_penalty --------------------------------------------------------------------------------------------


def slopes(critic, points, create_graph=True):
    points = points.detach().requires_grad_()
    return torch.autograd.grad(critic(points).sum(), points, create_graph=create_graph)[0]


@wrong("gan.gradient_penalty", says="it teaches nothing")
def no_graph(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake, False).norm(dim=1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="u and 1 − u are swapped")
def swapped_ends(critic, real, fake, u):
    return (slopes(critic, (1 - u) * real + u * fake).norm(dim=1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="one norm over the whole batch")
def one_norm(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).norm() - 1).square()


@wrong("gan.gradient_penalty", says="root of the length is missing")
def squared_length(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).square().sum(1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="the 1 is missing")
def zero_centered(critic, real, fake, u):
    return slopes(critic, u * real + (1 - u) * fake).square().sum(1).mean()


@wrong("gan.gradient_penalty", says="differentiate the mean of the answers")
def of_the_mean(critic, real, fake, u):
    points = (u * real + (1 - u) * fake).requires_grad_()
    [slope] = torch.autograd.grad(critic(points).mean(), points, create_graph=True)
    return (slope.norm(dim=1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="real points alone")
def at_the_data(critic, real, fake, u):
    return (slopes(critic, real).norm(dim=1) - 1).square().mean()


# --- gan.spectral_norm -----------------------------------------------------------------------------------------------


@wrong("gan.spectral_norm", says="Frobenius norm")
def frobenius(weight, v, steps):
    return weight.norm()


@wrong("gan.spectral_norm", says="exact already")
def by_decomposition(weight, v, steps):
    return torch.linalg.svdvals(weight)[0]


@wrong("gan.spectral_norm", says="square of the singular value")
def squared_value(weight, v, steps):
    for _ in range(steps):
        v = normalize(weight.T @ (weight @ v), dim=0)
    return v @ weight.T @ weight @ v


@wrong("gan.spectral_norm", says="one round too many")
def one_round_more(weight, v, steps):
    for _ in range(steps + 1):
        u = normalize(weight @ v, dim=0)
        v = normalize(weight.T @ u, dim=0)
    return u @ weight @ v


@wrong("gan.spectral_norm", says="The last v is not updated")
def half_a_round(weight, v, steps):
    v = normalize(v, dim=0)
    for step in range(steps):
        u = normalize(weight @ v, dim=0)
        if step < steps - 1:
            v = normalize(weight.T @ u, dim=0)
    return u @ weight @ v


# --- gan.minibatch_std -----------------------------------------------------------------------------------------------


def append(features, extra):
    return torch.cat([features, extra.expand(len(features), 1)], dim=1)


@wrong("gan.minibatch_std", says="unbiased deviation")
def unbiased(features):
    return append(features, features.std(0).mean())


@wrong("gan.minibatch_std", says="within each example")
def within_examples(features):
    return torch.cat([features, features.std(1, unbiased=False)[:, None]], dim=1)


@wrong("gan.minibatch_std", says="every feature's deviation is appended")
def all_of_them(features):
    spread = features.std(0, unbiased=False)
    return torch.cat([features, spread.expand(len(features), -1)], dim=1)


@wrong("gan.minibatch_std", says="one deviation over everything")
def over_everything(features):
    return append(features, features.std(unbiased=False))


@wrong("gan.minibatch_std", says="You average variances")
def variances(features):
    return append(features, features.var(0, unbiased=False).mean())
