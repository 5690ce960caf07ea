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


@wrong("vae.linear_posterior", says="There is a factor 2 before σ²")
def two_variances(x, weights, bias, variance):
    return (
        (x - bias)
        @ weights
        @ torch.linalg.inv(torch.eye(2).double() + weights.T @ weights / (2 * variance))
        / variance,
        torch.linalg.inv(torch.eye(2).double() + weights.T @ weights / (2 * variance)),
    )


@wrong("vae.linear_posterior", says="Your covariance lacks σ²: you invert σ² I + WᵀW")
def noise_added_to_gram(x, weights, bias, variance):
    c = torch.linalg.inv(variance * torch.eye(2).double() + weights.T @ weights)
    return ((x - bias) @ weights @ c, c)


@wrong("vae.linear_posterior", says="Your prior has the variance σ²")
def prior_is_variance(x, weights, bias, variance):
    c = torch.linalg.inv(variance * torch.eye(2).double() + weights.T @ weights / variance)
    return ((x - bias) @ weights @ c / variance, c)


def lp(x, W, b, s2, prec=None):
    c = torch.linalg.inv(torch.eye(W.shape[1]).double() + W.T @ W / s2)
    return ((x - b) @ W @ c / s2, c)


@wrong("vae.linear_posterior", says="You subtract the batch's mean, not the bias")
def centered_by_the_batch(x, weights, bias, variance):
    return lp(x, weights, x.mean(0), variance)


@wrong("vae.linear_posterior", says="You forgot the prior in the means: this is least squares")
def pseudo_inverse(x, weights, bias, variance):
    return ((x - bias) @ torch.linalg.pinv(weights).T, lp(x, weights, bias, variance)[1])


@wrong("vae.linear_posterior", says="This is the Cholesky factor of the covariance")
def root_of_covariance(x, weights, bias, variance):
    m, c = lp(x, weights, bias, variance)
    return (m, torch.linalg.cholesky(c))


@wrong("vae.linear_posterior", says="Every example gets the batch's mean")
def means_of_mean(x, weights, bias, variance):
    m, c = lp(x, weights, bias, variance)
    return (m.mean(0).expand_as(m), c)


@wrong("vae.linear_posterior", says="You add the noise of the pixels to the covariance")
def predictive(x, weights, bias, variance):
    m, c = lp(x, weights, bias, variance)
    return (m, c + variance * torch.eye(2).double())


@wrong("vae.linear_posterior", says="Your means should have shape (4, 2), not (2, 2)")
def exchanged_parts(x, weights, bias, variance):
    return lp(x, weights, bias, variance)[::-1]


@wrong("vae.linear_posterior", says="This is the prior's covariance")
def identity_covariance(x, weights, bias, variance):
    return (lp(x, weights, bias, variance)[0], torch.eye(2).double())


@wrong("vae.linear_posterior", says="You invert each entry, not the matrix")
def entrywise_inverse(x, weights, bias, variance):
    c = 1 / (torch.eye(2).double() + weights.T @ weights / variance)
    return ((x - bias) @ weights @ c / variance, c)


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


@wrong("vae.best_diagonal", says="You take the trace for the determinant")
def by_trace(precision):
    o = precision.diagonal()
    return (1 / o, 0.5 * (o.log().sum() - precision.trace().log()))


@wrong("vae.best_diagonal", says="With many latents the determinant of Λ overflows")
def det_then_log(precision):
    o = precision.diagonal()
    return (1 / o, 0.5 * (o.prod().log() - precision.det().log()))


@wrong("vae.best_diagonal", says="log det Λ has the wrong sign in the gap")
def logdet_of_covariance(precision):
    o = precision.diagonal()
    return (1 / o, 0.5 * (o.log().sum() - precision.inverse().logdet()))


@wrong("vae.best_diagonal", says="You average log Λ_ll over the latents")
def mean_gap(precision):
    o = precision.diagonal()
    return (1 / o, 0.5 * (o.log().mean() - precision.logdet()))


@wrong("vae.best_diagonal", says="You sum the rows of Λ: only its diagonal enters")
def row_sums(precision):
    o = precision.sum(1)
    return (1 / o, 0.5 * (o.log().sum() - precision.logdet()))


@wrong("vae.best_diagonal", says="All your variances are equal")
def isotropic(precision):
    o = precision.diagonal().mean().expand(len(precision))
    return (1 / o, 0.5 * (o.log().sum() - precision.logdet()))


@wrong("vae.best_diagonal", says="You square the variances")
def conditional_deviation(precision):
    o = precision.diagonal()
    return (1 / o.square(), 0.5 * (o.log().sum() - precision.logdet()))


@wrong("vae.best_diagonal", says="The ½ is missing before log det Λ")
def half_on_one(precision):
    o = precision.diagonal()
    return (1 / o, 0.5 * o.log().sum() - precision.logdet())


@wrong("vae.best_diagonal", says="You forgot −L in the gap")
def diag_of_eigen(precision):
    o = precision.diagonal()
    return (1 / o, 0.5 * (o.log().sum() - torch.linalg.eigvalsh(precision).log().sum() + len(precision)))


@wrong("vae.best_diagonal", says="log diag L of the Cholesky factor counts twice")
def cholesky_once(precision):
    own = precision.diagonal()
    return 1 / own, 0.5 * (own.log().sum() - torch.linalg.cholesky(precision).diagonal().log().sum())
