"""Wrong answers of chapter 6: the divergence, the ELBO and the tighter bound of IWAE."""

import math

import torch
from torch.distributions import Normal
from torch.nn.functional import binary_cross_entropy, logsigmoid, softplus

from wrong_answers import wrong
from wrong_answers.variational_autoencoders._shared import pixels, standard_kl

# --- vae.gaussian_kl -------------------------------------------------------------------------------------------------


def divergence(mean_q, log_q, mean_p, log_p, *, half=0.5, power=1.0, one=1.0, shift_power=1.0, sign=1.0):
    ratio = (power * (log_q - log_p)).exp()
    shift = (mean_q - mean_p).square() / (shift_power * log_p).exp()
    return half * (ratio + shift - one + sign * (log_p - log_q))


@wrong("vae.gaussian_kl", says="factor ½ is missing")
def no_half(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, half=1).sum(-1)


@wrong("vae.gaussian_kl", says="exchanged the two Gaussians")
def other_direction(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_p, log_variance_p, mean_q, log_variance_q).sum(-1)


@wrong("vae.gaussian_kl", says="never negative")
def minus_divergence(mean_q, log_variance_q, mean_p, log_variance_p):
    return -divergence(mean_q, log_variance_q, mean_p, log_variance_p).sum(-1)


@wrong("vae.gaussian_kl", says="ignore the parameters of p")
def standard_prior(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * (mean_q.square() + log_variance_q.exp() - 1 - log_variance_q).sum(-1)


@wrong("vae.gaussian_kl", says="not log σ")
def squared_variances(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, power=2, shift_power=2).sum(-1)


@wrong("vae.gaussian_kl", says="take the log-variances for log σ")
def as_log_deviations(mean_q, log_variance_q, mean_p, log_variance_p):
    return torch.distributions.kl_divergence(
        Normal(mean_q, log_variance_q.exp()), Normal(mean_p, log_variance_p.exp())
    ).sum(-1)


@wrong("vae.gaussian_kl", says="standard deviations where variances belong")
def deviations(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, power=0.5, shift_power=0.5).sum(-1)


@wrong("vae.gaussian_kl", says="divide (μ_q − μ_p)² by p's variance")
def shift_as_it_is(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, shift_power=0).sum(-1)


@wrong("vae.gaussian_kl", says="log-variances have the wrong sign")
def sign_of_logs(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, sign=-1).sum(-1)


@wrong("vae.gaussian_kl", says="forgot the −1")
def no_one(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, one=0).sum(-1)


@wrong("vae.gaussian_kl", says="average over the latents")
def mean_over_latents(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p).mean(-1)


@wrong("vae.gaussian_kl", says="you sum over the examples")
def over_examples(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p).sum(0)


@wrong("vae.gaussian_kl", says="the sum over the latents is missing")
def each_latent(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p)


@wrong("vae.gaussian_kl", says="You average both directions")
def jeffreys(mean_q, log_variance_q, mean_p, log_variance_p):
    return (
        divergence(mean_q, log_variance_q, mean_p, log_variance_p)
        + divergence(mean_p, log_variance_p, mean_q, log_variance_q)
    ).sum(-1) / 2


@wrong("vae.gaussian_kl", says="You take the size of μ_q − μ_p, not its square")
def absolute_shift(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * (
        (log_variance_q - log_variance_p).exp()
        + (mean_q - mean_p).abs() / log_variance_p.exp()
        - 1
        + log_variance_p
        - log_variance_q
    ).sum(-1)


@wrong("vae.gaussian_kl", says="Every example gets the mean over the batch")
def half_outside_the_batch(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p).sum(-1).mean().expand(len(mean_q))


@wrong("vae.gaussian_kl", says="You square the sum of the shifts")
def squared_sum(mean_q, log_variance_q, mean_p, log_variance_p):
    return (
        0.5 * ((log_variance_q - log_variance_p).exp() - 1 + log_variance_p - log_variance_q).sum(-1)
        + 0.5 * (mean_q - mean_p).sum(-1).square()
    )


@wrong("vae.gaussian_kl", says="This is the cross-entropy: q's entropy is missing")
def cross_entropy(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * (
        (log_variance_q - log_variance_p).exp()
        + (mean_q - mean_p).square() / log_variance_p.exp()
        + log_variance_p
        + math.log(2 * math.pi)
    ).sum(-1)


@wrong("vae.gaussian_kl", says="You forgot the means")
def no_shift(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * ((log_variance_q - log_variance_p).exp() - 1 + log_variance_p - log_variance_q).sum(-1)


@wrong("vae.gaussian_kl", says="The log-variances count twice")
def doubled_logs(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * (
        (log_variance_q - log_variance_p).exp()
        + (mean_q - mean_p).square() / log_variance_p.exp()
        - 1
        + 2 * (log_variance_p - log_variance_q)
    ).sum(-1)


@wrong("vae.gaussian_kl", says="The log-variances are halved twice")
def half_logs(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * (
        (log_variance_q - log_variance_p).exp()
        + (mean_q - mean_p).square() / log_variance_p.exp()
        - 1
        + 0.5 * (log_variance_p - log_variance_q)
    ).sum(-1)


@wrong("vae.gaussian_kl", says="You add 1 for each latent where it is subtracted")
def plus_one(mean_q, log_variance_q, mean_p, log_variance_p):
    return 0.5 * (
        (log_variance_q - log_variance_p).exp()
        + (mean_q - mean_p).square() / log_variance_p.exp()
        + 1
        + log_variance_p
        - log_variance_q
    ).sum(-1)


@wrong("vae.gaussian_kl", says="the variances overflow")
def quotient_of_variances(mean_q, log_variance_q, mean_p, log_variance_p):
    variance_q, variance_p = log_variance_q.exp(), log_variance_p.exp()
    ratio, shift = variance_q / variance_p, (mean_q - mean_p).square() / variance_p
    return 0.5 * (ratio + shift - 1 + log_variance_p - log_variance_q).sum(-1)


@wrong("vae.gaussian_kl", says="for log-variances of 800 and 800 should be")
def log_variances_cut_off(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q.clamp(-10, 10), mean_p, log_variance_p.clamp(-10, 10)).sum(-1)


@wrong("vae.gaussian_kl", says="divide (μ_q − μ_p)² by p's standard deviation")
def shift_over_deviation(mean_q, log_variance_q, mean_p, log_variance_p):
    return divergence(mean_q, log_variance_q, mean_p, log_variance_p, shift_power=0.5).sum(-1)


# --- vae.elbo --------------------------------------------------------------------------------------------------------


def places(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() * noise


def bound(x, mean, log_variance, noise, decode, *, z=None, price=1.0):
    z = places(mean, log_variance, noise) if z is None else z
    fit = pixels(x, decode(z)).sum(-1)
    fit = fit.mean(0) if fit.ndim == 2 else fit
    return fit - price * standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="forgot the divergence")
def reconstruction_only(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, price=0)


@wrong("vae.elbo", says="divergence has the wrong sign")
def divergence_added(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, price=-1)


@wrong("vae.elbo", says="divergence lacks its ½")
def divergence_doubled(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, price=2)


@wrong("vae.elbo", says="this is a loss")
def a_loss(x, mean, log_variance, noise, decode):
    return -bound(x, mean, log_variance, noise, decode)


@wrong("vae.elbo", says="average over the pixels")
def mean_of_pixels(x, mean, log_variance, noise, decode):
    fit = pixels(x, decode(places(mean, log_variance, noise))).mean((0, -1))
    return fit - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="average over pixels and over latents")
def mean_of_all(x, mean, log_variance, noise, decode):
    fit = pixels(x, decode(places(mean, log_variance, noise))).mean((0, -1))
    return fit - standard_kl(mean, log_variance).mean(-1)


@wrong("vae.elbo", says="sum over the samples")
def sum_of_samples(x, mean, log_variance, noise, decode):
    fit = pixels(x, decode(places(mean, log_variance, noise))).sum((0, -1))
    return fit - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="the noise is missing")
def mean_decoded(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, z=mean)


@wrong("vae.elbo", says="before you decode them")
def samples_averaged(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, z=places(mean, log_variance, noise).mean(0))


@wrong("vae.elbo", says="scatter by the variance")
def scatter_by_variance(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, z=mean + log_variance.exp() * noise)


@wrong("vae.elbo", says="You decode a z that is NaN")
def root_of_the_log_variance(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode, z=mean + log_variance.sqrt() * noise)


@wrong("vae.elbo", says="an exponential overflows")
def plain_softplus(x, mean, log_variance, noise, decode):
    odds = decode(places(mean, log_variance, noise))
    fit = x * odds - (1 + odds.exp()).log()
    return fit.sum(-1).mean(0) - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="estimate the divergence from the samples")
def divergence_from_samples(x, mean, log_variance, noise, decode):
    z = places(mean, log_variance, noise)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    ratio = prior.log_prob(z) - Normal(mean, (log_variance / 2).exp()).log_prob(z)
    return (pixels(x, decode(z)).sum(-1) + ratio.sum(-1)).mean(0)


@wrong("vae.elbo", says="pixels that are 0")
def white_pixels_forgotten(x, mean, log_variance, noise, decode):
    fit = (x * logsigmoid(decode(places(mean, log_variance, noise)))).sum(-1).mean(0)
    return fit - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="squared error")
def squared_error(x, mean, log_variance, noise, decode):
    shade = decode(places(mean, log_variance, noise)).sigmoid()
    return -(x - shade).square().sum(-1).mean(0) - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="take them for probabilities")
def odds_as_probabilities(x, mean, log_variance, noise, decode):
    p = decode(places(mean, log_variance, noise))
    fit = torch.xlogy(x, p) + torch.xlogy(1 - x, 1 - p)
    return fit.sum(-1).mean(0) - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="a logarithm meets 0")
def logarithm_of_sigmoid(x, mean, log_variance, noise, decode):
    p = decode(places(mean, log_variance, noise)).sigmoid()
    fit = x * p.log() + (1 - x) * (1 - p).log()
    return fit.sum(-1).mean(0) - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="a logarithm is cut off")
def small_number_inside(x, mean, log_variance, noise, decode):
    p = decode(places(mean, log_variance, noise)).sigmoid()
    fit = x * (p + 1e-12).log() + (1 - x) * (1 - p + 1e-12).log()
    return fit.sum(-1).mean(0) - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="a logarithm is cut off")
def cross_entropy_of_probabilities(x, mean, log_variance, noise, decode):
    p = decode(places(mean, log_variance, noise)).sigmoid()
    fit = -binary_cross_entropy(p, x.expand_as(p), reduction="none")
    return fit.sum(-1).mean(0) - standard_kl(mean, log_variance).sum(-1)


@wrong("vae.elbo", says="one number for all images")
def mean_of_batch(x, mean, log_variance, noise, decode):
    return bound(x, mean, log_variance, noise, decode).mean()


def fit(x, odds):
    return (x * odds - softplus(odds)).sum(-1)


def price(mean, lv):
    return 0.5 * (mean.square() + lv.exp() - 1 - lv).sum(-1)


@wrong("vae.elbo", says="You use the first sample alone")
def one_sample(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise[0])) - price(mean, log_variance)


@wrong("vae.elbo", says="You use the best sample alone")
def best_sample(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).amax(0) - price(mean, log_variance)


@wrong("vae.elbo", says="Your bound is too kind to a decoder that is sure and wrong")
def clamped_probabilities(x, mean, log_variance, noise, decode):
    p = decode(mean + (log_variance / 2).exp() * noise).sigmoid().clamp(1e-06, 1 - 1e-06)
    return (x * p.log() + (1 - x) * (1 - p).log()).sum(-1).mean(0) - price(mean, log_variance)


@wrong("vae.elbo", says="Your bound is too kind to a decoder that is sure and wrong")
def probabilities_by_bce(x, mean, log_variance, noise, decode):
    p = decode(mean + (log_variance / 2).exp() * noise).sigmoid()
    return -torch.nn.functional.binary_cross_entropy(p, x.expand_as(p), reduction="none").sum(-1).mean(0) - price(
        mean, log_variance
    )


@wrong("vae.elbo", says="You add 1 for each latent in the divergence")
def plus_one_kl(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - 0.5 * (
        mean.square() + log_variance.exp() + 1 - log_variance
    ).sum(-1)


@wrong("vae.elbo", says="log σ² has the wrong sign in the divergence")
def logs_turned_kl(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - 0.5 * (
        mean.square() + log_variance.exp() - 1 + log_variance
    ).sum(-1)


@wrong("vae.elbo", says="The divergence lacks the means")
def kl_without_mean(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - 0.5 * (
        log_variance.exp() - 1 - log_variance
    ).sum(-1)


@wrong("vae.elbo", says="You divide the divergence by S")
def kl_divided_by_samples(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - price(mean, log_variance) / len(noise)


@wrong("vae.elbo", says="The divergence lacks its ½")
def beta_two(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - 2 * price(mean, log_variance)


@wrong("vae.elbo", says="Every image gets the batch's mean divergence")
def batch_mean_kl(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - price(mean, log_variance).mean()


@wrong("vae.elbo", says="You sum the divergence over the batch")
def sum_kl(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - price(mean, log_variance).sum()


@wrong("vae.elbo", says="Your log p(x | z) does not look at x")
def odds_not_of_x(x, mean, log_variance, noise, decode):
    return logsigmoid(decode(mean + (log_variance / 2).exp() * noise)).sum(-1).mean(0) - price(mean, log_variance)


@wrong("vae.elbo", says="Ones and zeros are exchanged")
def turned_pixels(x, mean, log_variance, noise, decode):
    return fit(1 - x, decode(mean + (log_variance / 2).exp() * noise)).mean(0) - price(mean, log_variance)


@wrong("vae.elbo", says="You average the probabilities of the pixels over the samples")
def mean_probability(x, mean, log_variance, noise, decode):
    p = decode(mean + (log_variance / 2).exp() * noise).sigmoid().mean(0)
    return (x * p.log() + (1 - x) * (1 - p).log()).sum(-1) - price(mean, log_variance)


@wrong("vae.elbo", says="You average the log-odds over the samples")
def mean_odds(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * noise).mean(0)) - price(mean, log_variance)


@wrong("vae.elbo", says="Your function draws random numbers of its own")
def noise_of_its_own(x, mean, log_variance, noise, decode):
    return fit(x, decode(mean + (log_variance / 2).exp() * torch.randn_like(noise))).mean(0) - price(mean, log_variance)


# --- vae.iwae --------------------------------------------------------------------------------------------------------


@wrong("vae.iwae", says="average the logarithms")
def mean_of_logarithms(log_joint, log_q):
    return (log_joint - log_q).mean(0)


@wrong("vae.iwae", says="forgot the 1/S")
def sum_of_weights(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0)


@wrong("vae.iwae", says="divide the logarithm by S")
def divided_outside(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) / len(log_q)


@wrong("vae.iwae", says="logarithm of the number of examples")
def log_of_batch(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(log_q.shape[1])


@wrong("vae.iwae", says="forgot to divide by q")
def no_q(log_joint, log_q):
    return log_joint.logsumexp(0) - math.log(len(log_q))


@wrong("vae.iwae", says="multiply with q")
def q_added(log_joint, log_q):
    return (log_joint + log_q).logsumexp(0) - math.log(len(log_q))


@wrong("vae.iwae", says="underflow")
def plain_mean(log_joint, log_q):
    return (log_joint - log_q).exp().mean(0).log()


@wrong("vae.iwae", says="average over the examples")
def over_the_batch(log_joint, log_q):
    return (log_joint - log_q).logsumexp(1) - math.log(log_q.shape[1])


@wrong("vae.iwae", says="weighed with the weights")
def weighed_twice(log_joint, log_q):
    log_weights = log_joint - log_q
    return (log_weights.softmax(0) * log_weights).sum(0)


def lse1(a):
    mx = a.max()
    return (a - mx).exp().sum(0).log() + mx


@wrong("vae.iwae", says="You subtract one maximum for all examples")
def one_maximum_for_all(log_joint, log_q):
    return lse1(log_joint - log_q) - math.log(len(log_joint))


@wrong("vae.iwae", says="You subtract one maximum for all examples")
def maximum_of_the_first(log_joint, log_q):
    a = log_joint - log_q
    mx = a[:, :1].max()
    return (a - mx).exp().mean(0).log() + mx


@wrong("vae.iwae", says="Your weights are cut off where they are small")
def clamped_weights(log_joint, log_q):
    return (log_joint - log_q).clamp(min=-100).logsumexp(0) - math.log(len(log_joint))


@wrong("vae.iwae", says="Your weights are cut off where they are small")
def small_number_in_the_log(log_joint, log_q):
    return ((log_joint - log_q).exp().mean(0) + 1e-30).log()


@wrong("vae.iwae", says="The maximum that you subtracted is not added again")
def maximum_not_added(log_joint, log_q):
    a = log_joint - log_q
    mx = a.amax(0)
    return (a - mx).exp().mean(0).log()


@wrong("vae.iwae", says="You subtract the maximum twice")
def maximum_subtracted(log_joint, log_q):
    a = log_joint - log_q
    mx = a.amax(0)
    return (a - mx).exp().mean(0).log() - mx


@wrong("vae.iwae", says="You average over the examples, too")
def over_all(log_joint, log_q):
    a = log_joint - log_q
    return (a.flatten().logsumexp(0) - math.log(a.numel())).expand(a.shape[1])


@wrong("vae.iwae", says="You divide by S − 1")
def leave_one_out(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(len(log_joint) - 1)


@wrong("vae.iwae", says="You subtract log₂ S")
def log_two_of_samples(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log2(len(log_joint))


@wrong("vae.iwae", says="You use q of the first sample for all")
def first_sample_q(log_joint, log_q):
    return (log_joint - log_q[0]).logsumexp(0) - math.log(len(log_joint))


@wrong("vae.iwae", says="This is the median of the log weights")
def median(log_joint, log_q):
    return (log_joint - log_q).median(0).values


@wrong("vae.iwae", says="exponential is taken of log q alone")
def maximum_of_the_joint(log_joint, log_q):
    largest = log_joint.amax(0)
    return largest + ((log_joint - largest).exp() / log_q.exp()).mean(0).log()
