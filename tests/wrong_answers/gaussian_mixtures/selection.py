"""Wrong answers of chapter 4: the number of components, and collapsed ones."""

import math

import torch

from wrong_answers import wrong

# --- gmm.bic ---------------------------------------------------------------------------------------------------------


def criterion(log_prob, k, d, *, weights=-1, in_covariance=None, fit=None, price=None):
    free = k + weights + k * d + k * (d * (d + 1) // 2 if in_covariance is None else in_covariance)
    return free * (price or math.log(len(log_prob))) - 2 * (log_prob.sum() if fit is None else fit)


@wrong("gmm.bic", says="counted K weights")
def k_weights(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, weights=0)


@wrong("gmm.bic", says="D² numbers for each covariance")
def square_covariance(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, in_covariance=n_features**2)


@wrong("gmm.bic", says="log-likelihood per point, not its sum")
def per_point(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, fit=log_prob.mean())


@wrong("gmm.bic", says="wrong sign")
def fit_sign(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, fit=-log_prob.sum())


@wrong("gmm.bic", says="factor 2 of the log-likelihood is missing")
def missing_two(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, fit=log_prob.sum() / 2)


@wrong("gmm.bic", says="Akaike")
def akaike(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, price=2)


@wrong("gmm.bic", says="Either: You did not count the means. Or: You left out the variances")
def off_diagonal_only(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, in_covariance=n_features * (n_features - 1) // 2)


@wrong("gmm.bic", says="Or: You left out the variances on the diagonal")
def without_means(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, weights=-1 - n_components * n_features)


@wrong("gmm.bic", says="one covariance for all components")
def shared_covariance(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, in_covariance=n_features * (n_features + 1) / 2 / n_components)


@wrong("gmm.bic", says="You count 52 free numbers, there are 44")
def twice_the_symmetric_part(log_prob, n_components, n_features):
    return criterion(log_prob, n_components, n_features, weights=7)


# --- gmm.spot_collapse -----------------------------------------------------------------------------------------------


def collapsed(x, weights, covariances, *, smallest=None, floor=None):
    if smallest is None:
        smallest = torch.linalg.eigvalsh(covariances)[:, 0]
    if floor is None:
        floor = 1e-4 * torch.linalg.eigvalsh(x.T.cov())[0]
    return (len(x) * weights < x.shape[1] + 1) | (smallest < floor)


@wrong("gmm.spot_collapse", says="a determinant is small in many dimensions")
def by_determinant(x, weights, covariances):
    return collapsed(x, weights, covariances, smallest=covariances.det(), floor=1e-4 * x.T.cov().det())


@wrong("gmm.spot_collapse", says="diagonal looks healthy")
def by_diagonal(x, weights, covariances):
    return collapsed(x, weights, covariances, smallest=covariances.diagonal(dim1=1, dim2=2).amin(-1))


@wrong("gmm.spot_collapse", says="the tolerance is absolute")
def absolute(x, weights, covariances):
    return collapsed(x, weights, covariances, floor=1e-4)


@wrong("gmm.spot_collapse", says="shrank to one point")
def by_condition(x, weights, covariances):
    values = torch.linalg.eigvalsh(covariances)
    return collapsed(x, weights, covariances, smallest=values[:, 0] / values[:, -1], floor=1e-4)


@wrong("gmm.spot_collapse", says="nearly empty component")
def singular_only(x, weights, covariances):
    return collapsed(x, torch.ones_like(weights), covariances)


@wrong("gmm.spot_collapse", says="small but healthy")
def by_share(x, weights, covariances):
    return collapsed(x, weights, covariances) | (weights < 0.05)


@wrong("gmm.spot_collapse", says="upside down")
def healthy(x, weights, covariances):
    return ~collapsed(x, weights, covariances)


@wrong("gmm.spot_collapse", says="indices of components")
def indices(x, weights, covariances):
    return collapsed(x, weights, covariances).nonzero().squeeze(-1)


def compared_with(x, weights, covariances, other):
    return collapsed(x, weights, covariances, floor=1e-4 * other(x.T.cov()))


@wrong("gmm.spot_collapse", says="compare with the largest eigenvalue of the data")
def beside_the_largest(x, weights, covariances):
    return compared_with(x, weights, covariances, lambda c: torch.linalg.eigvalsh(c)[-1])


@wrong("gmm.spot_collapse", says="compare with the mean variance of the data")
def beside_the_mean(x, weights, covariances):
    return compared_with(x, weights, covariances, lambda c: c.trace() / len(c))


@wrong("gmm.spot_collapse", says="compare with the smallest variance of a column of the data")
def beside_a_column(x, weights, covariances):
    return compared_with(x, weights, covariances, lambda c: c.diagonal().min())


@wrong("gmm.spot_collapse", says="det^(1/D) of the data")
def beside_the_geometric_mean(x, weights, covariances):
    return compared_with(x, weights, covariances, lambda c: c.det() ** (1 / len(c)))


@wrong("gmm.spot_collapse", says="the mean is not subtracted")
def beside_the_second_moment(x, weights, covariances):
    return collapsed(x, weights, covariances, floor=1e-4 * torch.linalg.eigvalsh(x.T @ x / len(x))[0])


@wrong("gmm.spot_collapse", says="just the D + 1 that it takes")
def at_most(x, weights, covariances):
    return collapsed(x, weights, covariances) | (len(x) * weights <= x.shape[1] + 1)


@wrong("gmm.spot_collapse", says="owns N · weight = 3 points with D = 3")
def fewer_than_d(x, weights, covariances):
    return collapsed(x, weights + 1 / len(x), covariances)


@wrong("gmm.spot_collapse", says="Your tolerance is 10⁻⁵")
def a_smaller_share(x, weights, covariances):
    return collapsed(x, weights, covariances, floor=1e-5 * torch.linalg.eigvalsh(x.T.cov())[0])


@wrong("gmm.spot_collapse", says="call a healthy component collapsed")
def all_of_them(x, weights, covariances):
    return torch.ones(len(weights), dtype=torch.bool)


@wrong("gmm.spot_collapse", says="3.6 points")
def points_rounded(x, weights, covariances):
    least = 1e-4 * torch.linalg.eigvalsh(x.T.cov())[0]
    return ((len(x) * weights).round() < x.shape[1] + 1) | (torch.linalg.eigvalsh(covariances)[:, 0] < least)


@wrong("gmm.spot_collapse", says="tolerance is 10⁻²")
def a_larger_share(x, weights, covariances):
    return collapsed(x, weights, covariances, floor=1e-2 * torch.linalg.eigvalsh(x.T.cov())[0])
