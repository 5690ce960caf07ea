"""Wrong answers of chapter 8: the losses of the game, their slopes and what they measure."""

import math

import torch
from torch.nn.functional import logsigmoid, softplus

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
def symmetrized(p, q):
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
