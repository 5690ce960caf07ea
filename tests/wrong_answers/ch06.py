"""Wrong answers to the exercises of chapter 6, variational autoencoders."""

import math

import torch
from torch import nn
from torch.distributions import Normal
from torch.nn.functional import binary_cross_entropy, logsigmoid, softplus

from utils.data import binarize
from utils.nets import mlp
from wrong_answers import stored, wrong

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


# --- vae.reparameterise ----------------------------------------------------------------------------------------------


@wrong("vae.reparameterise", says="multiply the noise with the log-variance")
def log_variance_for_deviation(mean, log_variance, noise):
    return mean + log_variance * noise


@wrong("vae.reparameterise", says="multiply the noise with the variance")
def variance_for_deviation(mean, log_variance, noise):
    return mean + log_variance.exp() * noise


@wrong("vae.reparameterise", says="a log-variance may be negative")
def root_of_log_variance(mean, log_variance, noise):
    return mean + log_variance.sqrt() * noise


@wrong("vae.reparameterise", says="No gradient flows through your result")
def all_detached(mean, log_variance, noise):
    return (mean + (log_variance / 2).exp() * noise).detach()


@wrong("vae.reparameterise", says="No gradient flows through your result")
def by_sampling(mean, log_variance, noise):
    with torch.no_grad():
        return mean + (0.5 * log_variance).exp() * noise


@wrong("vae.reparameterise", says="No gradient reaches `log_variance`")
def deviation_detached(mean, log_variance, noise):
    return mean + (log_variance.detach() / 2).exp() * noise


@wrong("vae.reparameterise", says="draw noise of your own")
def own_noise(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() * torch.randn_like(noise)


@wrong("vae.reparameterise", says="draw noise of your own")
def drawn_by_the_library(mean, log_variance, noise):
    return Normal(mean, (log_variance / 2).exp()).rsample(noise.shape[:1])


@wrong("vae.reparameterise", says="multiply the mean with σ, too")
def mean_scaled(mean, log_variance, noise):
    return (mean + noise) * (log_variance / 2).exp()


@wrong("vae.reparameterise", says="one sample for each example")
def first_sample(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() * noise[0]


# --- vae.elbo --------------------------------------------------------------------------------------------------------


def pixels(x, odds):
    return x * odds - softplus(odds)


def standard_kl(mean, log_variance):
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


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


# --- vae.score_function_gradient -------------------------------------------------------------------------------------


def reinforce(f, mean, log_variance, noise, *, baseline="others", by_mean=None, by_log_variance=None):
    deviation = (log_variance / 2).exp()
    value = f(mean + deviation * noise)
    others = (value.sum() - value) / (len(value) - 1)
    weight = value - {"others": others, "none": 0, "all": value.mean()}[baseline]
    by_mean = noise / deviation if by_mean is None else by_mean
    by_log_variance = (noise.square() - 1) / 2 if by_log_variance is None else by_log_variance
    return (weight[:, None] * by_mean).mean(0), (weight[:, None] * by_log_variance).mean(0)


@wrong("vae.score_function_gradient", says="forgot the baseline")
def no_baseline(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, baseline="none")


@wrong("vae.score_function_gradient", says="looks at its own sample")
def baseline_of_all(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, baseline="all")


@wrong("vae.score_function_gradient", says="division by σ is missing")
def no_deviation(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, by_mean=noise)


@wrong("vae.score_function_gradient", says="divide ε by the variance")
def by_the_variance(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, by_mean=noise / log_variance.exp())


@wrong("vae.score_function_gradient", says="in log σ, not in log σ²")
def in_log_deviation(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, by_log_variance=noise.square() - 1)


@wrong("vae.score_function_gradient", says="in σ², not in log σ²")
def in_the_variance(f, mean, log_variance, noise):
    score = (noise.square() - 1) / 2 / log_variance.exp()
    return reinforce(f, mean, log_variance, noise, by_log_variance=score)


@wrong("vae.score_function_gradient", says="does not see the jumps")
def reparameterised(f, mean, log_variance, noise):
    mean, log_variance = mean.clone().requires_grad_(), log_variance.clone().requires_grad_()
    value = f(mean + (log_variance / 2).exp() * noise).mean()
    return torch.autograd.grad(value, (mean, log_variance))


@wrong("vae.score_function_gradient", says="z moves with the mean")
def z_not_detached(f, mean, log_variance, noise):
    mean, log_variance = mean.clone().requires_grad_(), log_variance.clone().requires_grad_()
    z = mean + (log_variance / 2).exp() * noise
    value = f(z).detach()
    others = (value.sum() - value) / (len(value) - 1)
    log_q = Normal(mean, (log_variance / 2).exp()).log_prob(z).sum(-1)
    return torch.autograd.grad(((value - others) * log_q).mean(), (mean, log_variance))


@wrong("vae.score_function_gradient", says="gradient of a loss")
def of_a_loss(f, mean, log_variance, noise):
    return tuple(-part for part in reinforce(f, mean, log_variance, noise))


@wrong("vae.score_function_gradient", says="sum over the samples")
def sum_for_mean(f, mean, log_variance, noise):
    return tuple(len(noise) * part for part in reinforce(f, mean, log_variance, noise))


# --- vae.linear_posterior --------------------------------------------------------------------------------------------


def posterior(x, weights, bias, variance, *, prior=1.0):
    precision = prior * torch.eye(weights.shape[1], dtype=x.dtype) + weights.T @ weights / variance
    return (x - bias) @ weights @ precision.inverse() / variance, precision.inverse()


@wrong("vae.linear_posterior", says="forgot the prior")
def no_prior(x, weights, bias, variance):
    return posterior(x, weights, bias, variance, prior=0)


@wrong("vae.linear_posterior", says="forgot to subtract the bias")
def no_bias(x, weights, bias, variance):
    return posterior(x, weights, 0 * bias, variance)


@wrong("vae.linear_posterior", says="squared `variance`")
def variance_squared(x, weights, bias, variance):
    return posterior(x, weights, bias, variance**2)


@wrong("vae.linear_posterior", says="This is the precision")
def precision_returned(x, weights, bias, variance):
    mean, covariance = posterior(x, weights, bias, variance)
    return mean, covariance.inverse()


@wrong("vae.linear_posterior", says="division by σ² is missing")
def mean_not_scaled(x, weights, bias, variance):
    mean, covariance = posterior(x, weights, bias, variance)
    return mean * variance, covariance


@wrong("vae.linear_posterior", says="forgot σ² in the covariance")
def unit_noise(x, weights, bias, variance):
    return posterior(x, weights, bias, 1.0)


@wrong("vae.linear_posterior", says="these are variances only")
def variances_only(x, weights, bias, variance):
    mean, covariance = posterior(x, weights, bias, variance)
    return mean, covariance.diagonal()


@wrong("vae.linear_posterior", says="correlations are lost")
def diagonal_inverted(x, weights, bias, variance):
    mean, covariance = posterior(x, weights, bias, variance)
    return mean, torch.diag(1 / covariance.inverse().diagonal())


# --- vae.best_diagonal -----------------------------------------------------------------------------------------------


def loss_of(variances, precision):
    return 0.5 * ((precision.diagonal() * variances - 1 - variances.log()).sum() - precision.logdet())


@wrong("vae.best_diagonal", says="marginal variances")
def marginal(precision):
    variances = precision.inverse().diagonal()
    return variances, loss_of(variances, precision)


@wrong("vae.best_diagonal", says="not of the best ones")
def gap_of_the_marginal(precision):
    return 1 / precision.diagonal(), loss_of(precision.inverse().diagonal(), precision)


@wrong("vae.best_diagonal", says="standard deviations")
def roots(precision):
    return precision.diagonal().rsqrt(), loss_of(1 / precision.diagonal(), precision)


@wrong("vae.best_diagonal", says="These are precisions")
def precisions(precision):
    return precision.diagonal(), loss_of(1 / precision.diagonal(), precision)


@wrong("vae.best_diagonal", says="½ is missing")
def gap_doubled(precision):
    return 1 / precision.diagonal(), 2 * loss_of(1 / precision.diagonal(), precision)


@wrong("vae.best_diagonal", says="Your gap is negative")
def gap_sign(precision):
    return 1 / precision.diagonal(), -loss_of(1 / precision.diagonal(), precision)


@wrong("vae.best_diagonal", says="log det Λ is missing")
def no_determinant(precision):
    return 1 / precision.diagonal(), 0.5 * precision.diagonal().log().sum()


@wrong("vae.best_diagonal", says="determinant of Λ overflows")
def plain_determinant(precision):
    own = precision.diagonal()
    return 1 / own, 0.5 * (own.prod() / precision.det()).log()


@wrong("vae.best_diagonal", says="along the axes of the posterior")
def eigenvalues(precision):
    variances = 1 / torch.linalg.eigvalsh(precision)
    return variances, loss_of(variances, precision)


@wrong("vae.best_diagonal", says="other direction")
def other_divergence(precision):
    covariance = precision.inverse()
    return 1 / precision.diagonal(), 0.5 * (covariance.diagonal().log().sum() - covariance.logdet())


# --- vae.free_bits_loss ----------------------------------------------------------------------------------------------


@wrong("vae.free_bits_loss", says="divergence of each example")
def clamp_each(reconstruction, kl, beta, free_nats):
    return beta * kl.clamp(min=free_nats).sum(1).mean() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="all latents together")
def clamp_total(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).sum().clamp(min=free_nats) - reconstruction.mean()


@wrong("vae.free_bits_loss", says="pay for all empty ones")
def clamp_total_of_all(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).sum().clamp(min=free_nats * kl.shape[1]) - reconstruction.mean()


@wrong("vae.free_bits_loss", says="sum over the latents of each example")
def clamp_each_total(reconstruction, kl, beta, free_nats):
    return (beta * kl.sum(1).clamp(min=free_nats) - reconstruction).mean()


@wrong("vae.free_bits_loss", says="cut the divergence off above")
def clamp_from_above(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(max=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You subtract λ")
def subtracted(reconstruction, kl, beta, free_nats):
    return beta * (kl.mean(0) - free_nats).relu().sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="free bits are missing")
def nothing_free(reconstruction, kl, beta, free_nats):
    return beta * kl.sum(1).mean() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="with β before the maximum")
def beta_inside(reconstruction, kl, beta, free_nats):
    return (beta * kl.mean(0)).clamp(min=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="forgot β")
def no_beta(reconstruction, kl, beta, free_nats):
    return kl.mean(0).clamp(min=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="reconstruction term has the wrong sign")
def reconstruction_added(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).sum() + reconstruction.mean()


@wrong("vae.free_bits_loss", says="average over the latents")
def mean_of_latents(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).mean() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="No gradient flows")
def a_plain_number(reconstruction, kl, beta, free_nats):
    return (beta * kl.mean(0).clamp(min=free_nats).sum() - reconstruction.mean()).item()


@wrong("vae.free_bits_loss", says="below λ still feels the price")
def gradient_goes_through(reconstruction, kl, beta, free_nats):
    mean = kl.mean(0)
    lifted = mean + (mean.clamp(min=free_nats) - mean).detach()
    return beta * lifted.sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="one number for each example")
def per_example(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).sum() - reconstruction


# --- vae.active_latents ----------------------------------------------------------------------------------------------


@wrong("vae.active_latents", says="near 3 for every image")
def by_divergence(mean, log_variance):
    return standard_kl(mean, log_variance).mean(0) > 0.2


@wrong("vae.active_latents", says="near 3 for every image")
def not_centred(mean, log_variance):
    return mean.square().mean(0) > 0.01


@wrong("vae.active_latents", says="whose samples scatter")
def by_scatter_of_z(mean, log_variance):
    return mean.var(0) + log_variance.exp().mean(0) > 0.01


@wrong("vae.active_latents", says="sure of itself")
def by_small_variance(mean, log_variance):
    return log_variance.mean(0) < -1


@wrong("vae.active_latents", says="compare the standard deviation")
def by_deviation(mean, log_variance):
    return mean.std(0) > 0.01


@wrong("vae.active_latents", says="miss a weak latent")
def too_strict(mean, log_variance):
    return mean.var(0) > 0.1


@wrong("vae.active_latents", says="upside down")
def collapsed(mean, log_variance):
    return mean.var(0) <= 0.01


@wrong("vae.active_latents", says="indices of latents")
def indices(mean, log_variance):
    return (mean.var(0) > 0.01).nonzero().squeeze(-1)


@wrong("vae.active_latents", says="one for each example")
def over_latents(mean, log_variance):
    return mean.var(1) > 0.01


# --- vae.interpolate -------------------------------------------------------------------------------------------------


def way(start, end, steps, *, angle=None, t=None):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None] if t is None else t
    angle = torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1).acos()[:, None] if angle is None else angle
    turned = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()
    return torch.where(angle > 1e-6, turned, torch.lerp(start, end, t))


@wrong("vae.interpolate", says="the straight line")
def straight(start, end, steps):
    return torch.lerp(start, end, torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None])


@wrong("vae.interpolate", says="steps are unequal")
def pushed_out(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    length = torch.lerp(start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True), t)
    return length * torch.nn.functional.normalize(torch.lerp(start, end, t), dim=-1)


@wrong("vae.interpolate", says="one angle for all pairs")
def one_angle(start, end, steps):
    angle = torch.cosine_similarity(start.flatten(), end.flatten(), dim=0).acos()
    return way(start, end, steps, angle=angle)


@wrong("vae.interpolate", says="beyond ±1")
def lengths_forgotten(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    angle = (start * end).sum(-1, keepdim=True).acos()
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


@wrong("vae.interpolate", says="have length 1")
def directions_only(start, end, steps):
    return way(*(torch.nn.functional.normalize(code, dim=-1) for code in (start, end)), steps)


@wrong("vae.interpolate", says="from end to start")
def backwards(start, end, steps):
    return way(end, start, steps)


@wrong("vae.interpolate", says="never arrives")
def open_end(start, end, steps):
    return way(start, end, steps, t=torch.arange(steps, dtype=start.dtype)[:, None, None] / steps)


@wrong("vae.interpolate", says="in one direction is not finite")
def zero_by_zero(start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None, None]
    angle = torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1).acos()[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


@wrong("vae.interpolate", says="whose neighbour points in one direction")
def all_straight_for_one(start, end, steps):
    cosine = torch.cosine_similarity(start, end, dim=-1)
    return straight(start, end, steps) if (cosine > 1 - 1e-9).any() else way(start, end, steps)


@wrong("vae.interpolate", says="steps and pairs are exchanged")
def pairs_first(start, end, steps):
    return way(start, end, steps).transpose(0, 1)


# --- vae.train -------------------------------------------------------------------------------------------------------


def untrained(latent, hidden):
    return nn.ModuleList([mlp(64, hidden, 2 * latent), mlp(latent, hidden, 64)])


@stored
def vae_weights(x_train, *, latent=8, epochs=20, price=1.0, per_pixel=False, frozen=False, hidden=64):
    torch.manual_seed(0)
    encoder, decoder = networks = untrained(latent, hidden)
    optimizer = torch.optim.Adam([*encoder.parameters(), *(() if frozen else decoder.parameters())], lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x_train)).split(64):
            x = binarize(x_train[rows])
            mean, log_variance = encoder(x).chunk(2, dim=1)
            odds = decoder(mean + (log_variance / 2).exp() * torch.randn_like(mean))
            fit = pixels(x, odds).sum(1) / (64 if per_pixel else 1)
            loss = (price * standard_kl(mean, log_variance).sum(1) - fit).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return networks.state_dict()


def trained(x_train, *, latent=8, hidden=64, **how):
    encoder, decoder = networks = untrained(latent, hidden)
    networks.load_state_dict(vae_weights(x_train, latent=latent, hidden=hidden, **how))
    return lambda x: tuple(encoder(x).chunk(2, dim=1)), decoder


@wrong("vae.train", says="posterior has collapsed")
def mean_over_pixels(x_train):
    return trained(x_train, per_pixel=True)


@wrong("vae.train", says="posterior has collapsed")
def price_too_high(x_train):
    return trained(x_train, price=20)


@wrong("vae.train", says="did not charge for them")
def plain_autoencoder(x_train):
    return trained(x_train, price=0, epochs=40)


@wrong("vae.train", says="you underfit")
def stopped_early(x_train):
    return trained(x_train, epochs=10)


@wrong("vae.train", says="you underfit")
def one_latent(x_train):
    return trained(x_train, latent=1, epochs=15)


@wrong("vae.train", says="you overfit")
def on_a_few_images(x_train):
    return trained(x_train[:400], hidden=256, epochs=300)


@wrong("vae.train", says="worse than independent pixels")
def decoder_left_out(x_train):
    return trained(x_train, frozen=True)


@wrong("vae.train", says="probabilities")
def with_sigmoid(x_train):
    encode, decoder = trained(x_train, epochs=2)
    return encode, nn.Sequential(decoder, nn.Sigmoid())


@wrong("vae.train", says="it is random")
def left_in_training(x_train):
    encode, decoder = trained(x_train, epochs=2)
    return encode, nn.Sequential(nn.Dropout(0.5), decoder)


@wrong("vae.train", says="which other codes are decoded with it")
def normalised_over_the_batch(x_train):
    encode, decoder = trained(x_train, epochs=2)
    return encode, lambda z: decoder(z - z[:1])


@wrong("vae.train", says="do not fit their image")
def deviation_for_log_variance(x_train):
    encode, decoder = trained(x_train, epochs=10)
    return lambda x: (encode(x)[0], (encode(x)[1] / 2).exp()), decoder


@wrong("vae.train", says="where a function belongs")
def one_tensor(x_train):
    return x_train, x_train
