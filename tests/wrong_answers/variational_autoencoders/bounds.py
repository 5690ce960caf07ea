"""Wrong answers of chapter 6: the divergence, the ELBO and the tighter bound of IWAE."""

import math

import torch
from torch.distributions import Normal
from torch.nn.functional import binary_cross_entropy, logsigmoid

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
