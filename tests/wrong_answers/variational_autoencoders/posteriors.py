"""Wrong answers of chapter 6: exact posteriors, and the best diagonal one."""

import torch

from wrong_answers import wrong

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
