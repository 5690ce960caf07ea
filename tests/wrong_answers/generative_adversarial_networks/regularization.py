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


@wrong("gan.gradient_penalty", says="This is the one-sided penalty: slopes below 1 cost nothing")
def one_sided(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).norm(dim=1) - 1).relu().square().mean()


@wrong("gan.gradient_penalty", says="This is the L1 norm: Σ |g|")
def sum_norm(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).abs().sum(1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="This is the norm of the largest entry")
def maximum_norm(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).abs().amax(1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="You use one u for all pairs")
def one_u_for_all(critic, real, fake, u):
    return (slopes(critic, u[0] * real + (1 - u[0]) * fake).norm(dim=1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="Your function draws random numbers of its own")
def u_of_its_own(critic, real, fake, u):
    v = torch.rand_like(u)
    return (slopes(critic, v * real + (1 - v) * fake).norm(dim=1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="You average the lengths before you subtract 1 and square")
def mean_length_first(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).norm(dim=1).mean() - 1).square()


@wrong("gan.gradient_penalty", says="You average the squares over the coordinates")
def mean_square(critic, real, fake, u):
    return (slopes(critic, u * real + (1 - u) * fake).square().mean(1).sqrt() - 1).square().mean()


@wrong("gan.gradient_penalty", says="Your points lie beyond the real ones")
def beyond_the_data(critic, real, fake, u):
    return (slopes(critic, real + u * (real - fake)).norm(dim=1) - 1).square().mean()


@wrong("gan.gradient_penalty", says="A factor of the square is detached")
def half_detached(critic, real, fake, u):
    s = slopes(critic, u * real + (1 - u) * fake)
    n = s.norm(dim=1)
    return ((n - 1) * (n - 1).detach()).mean()


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


@wrong("gan.spectral_norm", says="After one round your value is exact already")
def matrix_norm(weight, v, steps):
    return torch.linalg.matrix_norm(weight, 2)


@wrong("gan.spectral_norm", says="Your last u is newer than your last v")
def half_a_round_too_far(weight, v, steps):
    for _ in range(steps):
        v = normalize(weight.T @ (weight @ v), dim=0)
    return (weight @ v).norm()


def power_iteration(weight, v, steps):
    for _ in range(steps):
        u = normalize(weight @ v, dim=0)
        v = normalize(weight.T @ u, dim=0)
    return (u, v)


@wrong("gan.spectral_norm", says="You start at a vector of ones")
def start_at_ones(weight, v, steps):
    u, v = power_iteration(weight, torch.ones_like(v), steps)
    return u @ weight @ v


@wrong("gan.spectral_norm", says="After one round your value is exact already")
def twenty_rounds(weight, v, steps):
    u, v = power_iteration(weight, v, 20)
    return u @ weight @ v


@wrong("gan.spectral_norm", says="You do one round too few")
def one_round_less(weight, v, steps):
    u, v = power_iteration(weight, v, max(1, steps - 1))
    return u @ weight @ v


@wrong("gan.spectral_norm", says="You multiply with the v of the round before")
def v_of_the_round_before(weight, v, steps):
    for _ in range(steps):
        u = normalize(weight @ v, dim=0)
        w0 = v
        v = normalize(weight.T @ u, dim=0)
    return u @ weight @ w0


@wrong("gan.spectral_norm", says="The estimate should be one number, not shape (5, 3)")
def normalized_weight(weight, v, steps):
    u, v = power_iteration(weight, v, steps)
    return weight / (u @ weight @ v)


@wrong("gan.spectral_norm", says="This is the square of the singular value")
def square_of_the_length(weight, v, steps):
    _, v = power_iteration(weight, v, steps)
    return (weight @ v).norm() ** 2


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


@wrong("gan.minibatch_std", says="You average variances and take the root afterwards")
def root_of_the_mean_variance(features):
    return append(features, features.var(0, unbiased=False).mean().sqrt())


@wrong("gan.minibatch_std", says="This is the mean absolute deviation")
def mean_absolute_deviation(features):
    return append(features, (features - features.mean(0)).abs().mean(0).mean())


@wrong("gan.minibatch_std", says="You take the median of the deviations")
def median_deviation(features):
    return append(features, features.std(0, unbiased=False).median())


@wrong("gan.minibatch_std", says="You take the largest deviation")
def largest_deviation(features):
    return append(features, features.std(0, unbiased=False).max())


@wrong("gan.minibatch_std", says="You forgot to subtract the mean")
def not_centered(features):
    return append(features, features.square().mean(0).sqrt().mean())


@wrong("gan.minibatch_std", says="You average variances")
def unbiased_variances(features):
    return append(features, features.var(0).mean())


@wrong("gan.minibatch_std", says="You changed the features")
def features_centered(features):
    return append(features - features.mean(0), features.std(0, unbiased=False).mean())


@wrong("gan.minibatch_std", says="You average over the features before you take the deviation")
def deviation_of_means(features):
    return append(features, features.mean(1).std(unbiased=False))


@wrong("gan.gradient_penalty", says="multiply with 10")
def weighed(critic, real, fake, u):
    between = (u * real + (1 - u) * fake).detach().requires_grad_()
    [slope] = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return 10 * (slope.norm(dim=1) - 1).square().mean()


@wrong("gan.spectral_norm", says="have grown without bound")
def normalized_at_the_end(weight, v, steps):
    for _ in range(steps):
        u = weight @ v
        v = weight.T @ u
    return (u / u.norm()) @ weight @ (v / v.norm())


@wrong("gan.minibatch_std", says="add a small number to the variance")
def never_zero(features):
    spread = (features.var(0, unbiased=False) + 1e-8).sqrt().mean()
    return torch.cat([features, spread.expand(len(features), 1)], dim=1)
