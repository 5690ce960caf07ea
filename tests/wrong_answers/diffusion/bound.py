"""Wrong answers of chapter 15: the posterior of a step back, and the terms of the bound."""

import math

import torch

from wrong_answers import wrong

# --- diffusion.reverse_posterior -------------------------------------------------------------------------------------


def posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s, added=None):
    ratio = alpha_t / alpha_s
    added = sigma_t**2 - ratio**2 * sigma_s**2 if added is None else added
    mean = (ratio * sigma_s**2 * x_t + alpha_s * added * x_0) / sigma_t**2
    return mean, added * sigma_s**2 / sigma_t**2


@wrong("diffusion.reverse_posterior", says="The weights of x_0 and x_t are swapped")
def ends_swapped(x_t, x_0, *levels):
    return posterior(x_0, x_t, *levels)


@wrong("diffusion.reverse_posterior", says="the variance of x_t, given x_s: who knows x_0")
def large_variance(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    mean, _ = posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s)
    return mean, sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2


@wrong("diffusion.reverse_posterior", says="This is the standard deviation")
def deviation(*inputs):
    mean, variance = posterior(*inputs)
    return mean, math.sqrt(variance)


@wrong("diffusion.reverse_posterior", says="x_0 lacks α_s")
def data_not_shrunk(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    _, variance = posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s)
    ratio = alpha_t / alpha_s
    added = sigma_t**2 - ratio**2 * sigma_s**2
    return (ratio * sigma_s**2 * x_t + added * x_0) / sigma_t**2, variance


@wrong("diffusion.reverse_posterior", says="x_t lacks α_t / α_s")
def no_ratio(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    mean, variance = posterior(x_t * alpha_s / alpha_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s)
    return mean, variance


@wrong("diffusion.reverse_posterior", says="At s = 0 your mean at s = 0 is not finite")
def by_precisions(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    alpha_t, sigma_t, alpha_s, sigma_s = torch.tensor([alpha_t, sigma_t, alpha_s, sigma_s], dtype=x_t.dtype)
    ratio = alpha_t / alpha_s
    added = sigma_t**2 - ratio**2 * sigma_s**2
    variance = 1 / (1 / sigma_s**2 + ratio**2 / added)
    return variance * (alpha_s * x_0 / sigma_s**2 + ratio * x_t / added), variance


@wrong("diffusion.reverse_posterior", says="This is DDIM's step")
def ddim(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    _, variance = posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s)
    return alpha_s * x_0 + sigma_s * (x_t - alpha_t * x_0) / sigma_t, variance


@wrong("diffusion.reverse_posterior", says="given x_0 alone: x_t knows more")
def from_the_data_alone(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * x_0, sigma_s**2


@wrong("diffusion.reverse_posterior", says="the square is missing")
def ratio_not_squared(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    added = sigma_t**2 - alpha_t / alpha_s * sigma_s**2
    return posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s, added=added)


@wrong("diffusion.reverse_posterior", says="the factor is missing")
def variances_subtracted(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    return posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s, added=sigma_t**2 - sigma_s**2)


@wrong("diffusion.reverse_posterior", says="At s = 0 your variance should be 0")
def variance_raised(*inputs):
    mean, variance = posterior(*inputs)
    return mean, max(variance, 1e-6)


@wrong("diffusion.reverse_posterior", says="At s = 0 your mean is x_t")
def other_end(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    return posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s) if sigma_s else (x_t, 0.0)


@wrong("diffusion.reverse_posterior", says="Your x_0 is clipped to ±3")
def clipped_data(x_t, x_0, *levels):
    return posterior(x_t, x_0.clamp(-3, 3), *levels)


@wrong("diffusion.reverse_posterior", says="Your mean with much noise should be")
def alpha_raised(x_t, x_0, alpha_t, *levels):
    return posterior(x_t, x_0, max(alpha_t, 0.3), *levels)


@wrong("diffusion.reverse_posterior", says="one number, not shape (4, 3)")
def variance_of_each_entry(*inputs):
    mean, variance = posterior(*inputs)
    return mean, torch.full_like(mean, variance)


@wrong("diffusion.reverse_posterior", says="draws random numbers of its own")
def drawn(*inputs):
    mean, variance = posterior(*inputs)
    return mean + math.sqrt(variance) * torch.randn_like(mean), variance


# --- diffusion.bound_terms -------------------------------------------------------------------------------------------


def terms(x, predicted, alphas, sigmas, *, prior=None, weight=None, error=None):
    mean, variance = alphas[-1] * x, sigmas[-1] ** 2
    snr = (alphas / sigmas) ** 2
    first = 0.5 * (mean**2 + variance - 1 - variance.log()).sum(1) if prior is None else prior(mean, variance)
    weights = 0.5 * (snr[:-1] - snr[1:]) if weight is None else weight(snr)
    errors = (predicted - x).square().sum(2) if error is None else error(predicted - x)
    return first, weights[:, None] * errors


@wrong("diffusion.bound_terms", says="subtracted the wrong way round")
def negative(*inputs):
    return terms(*inputs, weight=lambda snr: 0.5 * (snr[1:] - snr[:-1]))


@wrong("diffusion.bound_terms", says="The ½ is missing in the steps' terms")
def no_half(*inputs):
    return terms(*inputs, weight=lambda snr: snr[:-1] - snr[1:])


@wrong("diffusion.bound_terms", says="The weight is missing")
def simple_weights(*inputs):
    return terms(*inputs, weight=lambda snr: torch.ones_like(snr[1:]))


@wrong("diffusion.bound_terms", says="the square is missing")
def ratio_for_snr(*inputs):
    return terms(*inputs, weight=lambda snr: 0.5 * (snr.sqrt()[:-1] - snr.sqrt()[1:]))


@wrong("diffusion.bound_terms", says="You average over the features")
def averaged_features(*inputs):
    return terms(*inputs, error=lambda error: error.square().mean(2))


@wrong("diffusion.bound_terms", says="The logarithm of the variance is missing")
def prior_without_logarithm(*inputs):
    return terms(*inputs, prior=lambda mean, variance: 0.5 * (mean**2 + variance - 1).sum(1))


@wrong("diffusion.bound_terms", says="The mean of x_T is α_T x")
def prior_of_the_data(x, predicted, alphas, sigmas):
    def prior(mean, variance):
        return 0.5 * (x**2 + variance - 1 - variance.log()).sum(1)

    return terms(x, predicted, alphas, sigmas, prior=prior)


@wrong("diffusion.bound_terms", says="The −1 is missing")
def prior_without_one(*inputs):
    return terms(*inputs, prior=lambda mean, variance: 0.5 * (mean**2 + variance - variance.log()).sum(1))


@wrong("diffusion.bound_terms", says="take the last level")
def levels_reversed(x, predicted, alphas, sigmas):
    return terms(x, predicted, alphas.flip(0), sigmas.flip(0))


@wrong("diffusion.bound_terms", says="opposite directions")
def guesses_reversed(*inputs):
    return terms(*inputs, weight=lambda snr: 0.5 * (snr[:-1] - snr[1:]).flip(0))


@wrong("diffusion.bound_terms", says="errors of features cancel")
def summed_before_squared(*inputs):
    return terms(*inputs, error=lambda error: error.sum(2).square())


@wrong("diffusion.bound_terms", says="you sum over the steps, too")
def one_bound(*inputs):
    prior, steps = terms(*inputs)
    return prior, steps.sum(0)


@wrong("diffusion.bound_terms", says="in bits")
def bits(*inputs):
    return tuple(term / math.log(2) for term in terms(*inputs))


@wrong("diffusion.bound_terms", says="The part of the variance counts once")
def variance_counted_once(x, predicted, alphas, sigmas):
    prior = 0.5 * ((alphas[-1] * x).square().sum(1) + sigmas[-1] ** 2 - 1 - 2 * sigmas[-1].log())
    return prior, terms(x, predicted, alphas, sigmas)[1]


@wrong("diffusion.bound_terms", says="opposite directions")
def errors_reversed(x, predicted, *levels):
    return terms(x, predicted.flip(0), *levels)


@wrong("diffusion.bound_terms", says="the ratio of the SNRs")
def ratio_of_levels(*inputs):
    return terms(*inputs, weight=lambda snr: 0.5 * (snr[:-1] / snr[1:] - 1))


@wrong("diffusion.bound_terms", says="the weights of the steps are not")
def other_weights(*inputs):
    return terms(*inputs, weight=lambda snr: (snr[:-1] - snr[1:]) / snr[1:] ** 1.5)


@wrong("diffusion.bound_terms", says="Your guess is clipped to ±3")
def clipped_guesses(x, predicted, *levels):
    return terms(x, predicted.clamp(-3, 3), *levels)
