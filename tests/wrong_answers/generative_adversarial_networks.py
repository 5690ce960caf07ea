"""Wrong answers to the exercises of chapter 8, generative adversarial networks."""

import math

import torch
from torch import nn
from torch.nn.functional import logsigmoid, normalize, softplus

from wrong_answers import wrong

# --- gan.optimal_discriminator ---------------------------------------------------------------------------------------


@wrong("gan.optimal_discriminator", says="you divide 0 by 0")
def naive(log_p, log_q):
    return log_p.exp() / (log_p.exp() + log_q.exp())


@wrong("gan.optimal_discriminator", says="probability of a fake")
def of_a_fake(log_p, log_q):
    return (log_q - log_p).sigmoid()


@wrong("gan.optimal_discriminator", says="This is the logit")
def logit(log_p, log_q):
    return log_p - log_q


@wrong("gan.optimal_discriminator", says="ratio p / q")
def ratio(log_p, log_q):
    return (log_p - log_q).exp()


@wrong("gan.optimal_discriminator", says="logarithms in the place of the densities")
def of_logarithms(log_p, log_q):
    return log_p / (log_p + log_q)


# --- gan.discriminator_loss ------------------------------------------------------------------------------------------


@wrong("gan.discriminator_loss", says="infinite or NaN")
def naive_loss(real, fake):
    return -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()


@wrong("gan.discriminator_loss", says="Real and fake are swapped")
def swapped_loss(real, fake):
    return softplus(real).mean() + softplus(-fake).mean()


@wrong("gan.discriminator_loss", says="Fakes are treated as real ones")
def fakes_as_real(real, fake):
    return softplus(-real).mean() + softplus(-fake).mean()


@wrong("gan.discriminator_loss", says="average over both batches together")
def one_batch(real, fake):
    return torch.cat([softplus(-real), softplus(fake)]).mean()


@wrong("gan.discriminator_loss", says="The sign is wrong")
def ascent(real, fake):
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


@wrong("gan.discriminator_loss", says="These are sums")
def summed_loss(real, fake):
    return softplus(-real).sum() + softplus(fake).sum()


@wrong("gan.discriminator_loss", says="Wasserstein loss")
def wasserstein(real, fake):
    return fake.mean() - real.mean()


# --- gan.generator_slopes --------------------------------------------------------------------------------------------


@wrong("gan.generator_slopes", says="The two slopes are swapped")
def swapped_slopes(fake):
    return -(-fake).sigmoid(), -fake.sigmoid()


@wrong("gan.generator_slopes", says="minimax slope has the wrong sign")
def positive_slopes(fake):
    return fake.sigmoid(), (-fake).sigmoid()


@wrong("gan.generator_slopes", says="slope of σ itself")
def slope_of_sigmoid(fake):
    product = fake.sigmoid() * (1 - fake.sigmoid())
    return -product, -product


@wrong("gan.generator_slopes", says="inner derivative is missing")
def by_sigma(fake):
    return -1 / (1 - fake.sigmoid()), -1 / fake.sigmoid()


@wrong("gan.generator_slopes", says="that of the minimax loss")
def twice_the_same(fake):
    return -fake.sigmoid(), -fake.sigmoid()


@wrong("gan.generator_slopes", says="not finite where the discriminator is sure")
def uncancelled(fake):
    s = fake.sigmoid()
    return -s * (1 - s) / (1 - s), -s * (1 - s) / s


# --- gan.js_divergence -----------------------------------------------------------------------------------------------


def kl(a, b):
    return (torch.xlogy(a, a) - torch.xlogy(a, b)).sum()


@wrong("gan.js_divergence", says="two halves are missing")
def no_halves(p, q):
    m = (p + q) / 2
    return kl(p, m) + kl(q, m)


@wrong("gan.js_divergence", says="compare p and q with each other")
def symmetrised(p, q):
    return (kl(p, q) + kl(q, p)) / 2


@wrong("gan.js_divergence", says="A probability of 0 makes the divergence NaN")
def zero_times_infinity(p, q):
    m = (p + q) / 2
    return ((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2


@wrong("gan.js_divergence", says="in bits")
def in_bits(p, q):
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2 / math.log(2)


@wrong("gan.js_divergence", says="arguments of KL are swapped")
def middle_in_front(p, q):
    m = (p + q) / 2
    return (kl(m, p) + kl(m, q)) / 2


@wrong("gan.js_divergence", says="value of the game")
def value_of_the_game(p, q):
    m = (p + q) / 2
    return kl(p, m) + kl(q, m) - math.log(4)


# --- gan.hinge_losses ------------------------------------------------------------------------------------------------


@wrong("gan.hinge_losses", says="Real and fake are swapped")
def hinge_swapped(real, fake):
    return (1 + real).relu().mean() + (1 - fake).relu().mean(), -fake.mean()


@wrong("gan.hinge_losses", says="The hinge is missing")
def no_hinge(real, fake):
    return (1 - real).mean() + (1 + fake).mean(), -fake.mean()


@wrong("gan.hinge_losses", says="maximum of the mean")
def hinge_of_the_mean(real, fake):
    return (1 - real.mean()).relu() + (1 + fake.mean()).relu(), -fake.mean()


@wrong("gan.hinge_losses", says="margin of 1 is missing")
def no_margin(real, fake):
    return (-real).relu().mean() + fake.relu().mean(), -fake.mean()


@wrong("gan.hinge_losses", says="generator's loss has the wrong sign")
def generator_sign(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean(), fake.mean()


@wrong("gan.hinge_losses", says="generator's loss has a hinge")
def generator_hinge(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean(), (1 - fake).relu().mean()


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


# --- gan.count_modes -------------------------------------------------------------------------------------------------


@wrong("gan.count_modes", says="exactly `least` samples is not counted")
def more_than_least(samples, centres, radius, least):
    distance, nearest = torch.cdist(samples, centres).min(1)
    return (torch.bincount(nearest[distance <= radius], minlength=len(centres)) > least).sum().item()


@wrong("gan.count_modes", says="nearest to some sample")
def any_sample(samples, centres, radius, least):
    return len(torch.cdist(samples, centres).argmin(1).unique())


@wrong("gan.count_modes", says="too few samples, or whose samples are too far away")
def without_radius(samples, centres, radius, least):
    nearest = torch.cdist(samples, centres).argmin(1)
    return (torch.bincount(nearest, minlength=len(centres)) >= least).sum().item()


@wrong("gan.count_modes", says="every centre it is near")
def not_the_nearest_alone(samples, centres, radius, least):
    return ((torch.cdist(samples, centres) <= radius).sum(0) >= least).sum().item()


@wrong("gan.count_modes", says="count samples, not modes")
def samples_counted(samples, centres, radius, least):
    return (torch.cdist(samples, centres).min(1).values <= radius).sum().item()


# --- gan.frechet -----------------------------------------------------------------------------------------------------


def distance(mean, a, other, b, overlap):
    return (mean - other).square().sum() + a.trace() + b.trace() - 2 * overlap


def overlap(a, b):
    return torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()


@wrong("gan.frechet", says="root of each entry")
def entrywise(mean, a, other, b):
    return distance(mean, a, other, b, (a @ b).clamp(min=0).sqrt().trace())


@wrong("gan.frechet", says="factor 2 is missing")
def no_factor(mean, a, other, b):
    return distance(mean, a, other, b, overlap(a, b) / 2)


@wrong("gan.frechet", says="right only where they commute")
def roots_multiplied(mean, a, other, b):
    roots = []
    for matrix in (a, b):
        values, vectors = torch.linalg.eigh(matrix)
        roots.append(vectors @ values.sqrt().diag() @ vectors.T)
    return distance(mean, a, other, b, (roots[0] @ roots[1]).trace())


@wrong("gan.frechet", says="not its square")
def unsquared(mean, a, other, b):
    return (mean - other).norm() + distance(0 * mean, a, 0 * mean, b, overlap(a, b))


@wrong("gan.frechet", says="root of the trace")
def root_of_the_trace(mean, a, other, b):
    return distance(mean, a, other, b, (a @ b).trace().sqrt())


@wrong("gan.frechet", says="The means are missing")
def no_means(mean, a, other, b):
    return distance(mean, a, mean, b, overlap(a, b))


# --- gan.precision_recall --------------------------------------------------------------------------------------------


def within(points, others, nth, dim=1):
    radius = torch.cdist(others, others).kthvalue(nth, dim=1).values
    return (torch.cdist(points, others) <= radius).any(dim).double().mean().item()


@wrong("gan.precision_recall", says="point itself")
def itself_counted(real, fake, k):
    return within(fake, real, k), within(real, fake, k)


@wrong("gan.precision_recall", says="Precision and recall are swapped")
def swapped_shares(real, fake, k):
    return within(real, fake, k + 1), within(fake, real, k + 1)


@wrong("gan.precision_recall", says="count the balls that hold something")
def balls_counted(real, fake, k):
    return within(fake, real, k + 1, dim=0), within(real, fake, k + 1, dim=0)


@wrong("gan.precision_recall", says="This is a count")
def counts(real, fake, k):
    return within(fake, real, k + 1) * len(fake), within(real, fake, k + 1) * len(real)


@wrong("gan.precision_recall", says="lies in no ball")
def complement(real, fake, k):
    return 1 - within(fake, real, k + 1), 1 - within(real, fake, k + 1)


# --- gan.ring --------------------------------------------------------------------------------------------------------


@wrong("gan.ring", says="lie near a corner")
def blurred(x_train):
    ranked = x_train[torch.atan2(x_train[:, 1], x_train[:, 0]).argsort()]
    return lambda z: ranked[(torch.special.ndtr(z[:, 0]) * len(ranked)).long()] + 0.12 * z[:, 1:3]


@wrong("gan.ring", says="A corner gets only")
def one_gaussian(x_train):
    return lambda z: x_train.mean(0) + z[:, :2] * x_train.std(0)


@wrong("gan.ring", says="A corner gets only")
def one_corner(x_train):
    return lambda z: x_train[:1] + 0.03 * z[:, :2]


@wrong("gan.ring", says="very same point")
def the_training_points(x_train):
    return lambda z: x_train[(z[:, 0].abs() * 500).long() % len(x_train)]


@wrong("gan.ring", says="A corner gets only")
def untrained(x_train):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2)).double()
    return lambda z: network(z).detach()
