"""Wrong answers to the exercises of chapter 4, Gaussian mixtures."""

import math

import torch
from torch.distributions import MultivariateNormal

from wrong_answers import wrong

# --- gmm.log_sum_exp -------------------------------------------------------------------------------------------------


@wrong("gmm.log_sum_exp", says="overflows for large inputs")
def naive(a):
    return a.exp().sum(-1).log()


@wrong("gmm.log_sum_exp", says="do not add it again")
def maximum_not_added(a):
    return (a - a.amax(-1, keepdim=True)).exp().sum(-1).log()


@wrong("gmm.log_sum_exp", says="sum over the first axis")
def swapped_axis(a):
    return a.logsumexp(0)


@wrong("gmm.log_sum_exp", says="an axis of size 1 too many")
def axis_kept(a):
    return a.logsumexp(-1, keepdim=True)


@wrong("gmm.log_sum_exp", says="not their sum")
def mean_for_sum(a):
    return a.logsumexp(-1) - math.log(a.shape[-1])


@wrong("gmm.log_sum_exp", says="one maximum from all rows")
def one_maximum(a):
    return a.max() + (a - a.max()).exp().sum(-1).log()


# --- gmm.gaussian_log_prob -------------------------------------------------------------------------------------------


def gaussian(x, mean, covariance, *, half=0.5, quadratic=None, log_det=1.0, dim=None):
    if quadratic is None:
        quadratic = ((x - mean) @ covariance.inverse() * (x - mean)).sum(-1)
    constant = (dim or len(mean)) * math.log(2 * math.pi)
    return -half * quadratic - 0.5 * (log_det * covariance.logdet() + constant)


@wrong("gmm.gaussian_log_prob", says="quadratic form lacks its ½")
def missing_half(x, mean, covariance):
    return gaussian(x, mean, covariance, half=1)


@wrong("gmm.gaussian_log_prob", says="forgot the log-determinant")
def no_log_det(x, mean, covariance):
    return gaussian(x, mean, covariance, log_det=0)


@wrong("gmm.gaussian_log_prob", says="log-determinant has the wrong sign")
def log_det_sign(x, mean, covariance):
    return gaussian(x, mean, covariance, log_det=-1)


@wrong("gmm.gaussian_log_prob", says="twice Σ log diag L")
def half_log_det(x, mean, covariance):
    return gaussian(x, mean, covariance, log_det=0.5)


@wrong("gmm.gaussian_log_prob", says="constant lacks the dimension")
def no_dimension(x, mean, covariance):
    return gaussian(x, mean, covariance, dim=1)


@wrong("gmm.gaussian_log_prob", says="where its inverse belongs")
def not_inverted(x, mean, covariance):
    return gaussian(x, mean, covariance, quadratic=((x - mean) @ covariance * (x - mean)).sum(-1))


@wrong("gmm.gaussian_log_prob", says="a variance for a standard deviation")
def variance_for_deviation(x, mean, covariance):
    return gaussian(x, mean, covariance, quadratic=torch.linalg.solve(covariance, (x - mean).T).square().sum(0))


@wrong("gmm.gaussian_log_prob", says="solve with Lᵀ where L belongs")
def wrong_triangle(x, mean, covariance):
    factor = torch.linalg.cholesky(covariance)
    y = torch.linalg.solve_triangular(factor.T, (x - mean).T, upper=True)
    return gaussian(x, mean, covariance, quadratic=y.square().sum(0))


@wrong("gmm.gaussian_log_prob", says="determinant of a large covariance underflows")
def determinant(x, mean, covariance):
    return gaussian(x, mean, covariance, log_det=0) - 0.5 * covariance.det().log()


@wrong("gmm.gaussian_log_prob", says="the density, not its logarithm")
def density(x, mean, covariance):
    return gaussian(x, mean, covariance).exp()


# --- gmm.e_step ------------------------------------------------------------------------------------------------------


@wrong("gmm.e_step", says="over data points, not over components")
def over_points(log_weights, log_prob):
    return (log_weights + log_prob).softmax(0)


@wrong("gmm.e_step", says="forgot the mixture weights")
def without_weights(log_weights, log_prob):
    return log_prob.softmax(-1)


@wrong("gmm.e_step", says="every density underflows")
def not_in_log_space(log_weights, log_prob):
    joint = (log_weights + log_prob).exp()
    return joint / joint.sum(-1, keepdim=True)


@wrong("gmm.e_step", says="hard assignments")
def hard(log_weights, log_prob):
    best = (log_weights + log_prob).argmax(-1)
    return torch.nn.functional.one_hot(best, log_prob.shape[-1]).to(log_prob)


@wrong("gmm.e_step", says="logarithms of the responsibilities")
def log_responsibilities(log_weights, log_prob):
    return (log_weights + log_prob).log_softmax(-1)


@wrong("gmm.e_step", says="axes are swapped")
def transposed(log_weights, log_prob):
    return (log_weights + log_prob).softmax(-1).T


# --- gmm.m_step ------------------------------------------------------------------------------------------------------


def maximize(x, r, *, mean_divisor=None, covariance_divisor=None, center=None, power=1.0):
    count = r.sum(0)
    means = r.T @ x / (count if mean_divisor is None else mean_divisor)[:, None]
    centered = x[:, None] - (means if center is None else center)
    divisor = count if covariance_divisor is None else covariance_divisor
    return count / len(x), means, torch.einsum("bk,bki,bkj->kij", r**power, centered, centered) / divisor[:, None, None]


@wrong("gmm.m_step", says="covariances are divided by N, not by N_k")
def covariance_by_n(x, responsibilities):
    return maximize(x, responsibilities, covariance_divisor=torch.full_like(responsibilities[0], len(x)))


@wrong("gmm.m_step", says="means are divided by N, not by N_k")
def means_by_n(x, responsibilities):
    return maximize(x, responsibilities, mean_divisor=torch.full_like(responsibilities[0], len(x)))


@wrong("gmm.m_step", says="weights are N_k, not N_k / N")
def counts(x, responsibilities):
    weights, means, covariances = maximize(x, responsibilities)
    return weights * len(x), means, covariances


@wrong("gmm.m_step", says="did not subtract the mean")
def second_moment(x, responsibilities):
    return maximize(x, responsibilities, center=torch.zeros_like(x[0]))


@wrong("gmm.m_step", says="mean of all data")
def global_center(x, responsibilities):
    return maximize(x, responsibilities, center=x.mean(0))


@wrong("gmm.m_step", says="enter the covariances squared")
def squared_responsibilities(x, responsibilities):
    return maximize(x, responsibilities, power=2)


@wrong("gmm.m_step", says="N_k − 1")
def unbiased(x, responsibilities):
    return maximize(x, responsibilities, covariance_divisor=responsibilities.sum(0) - 1)


@wrong("gmm.m_step", says="standard deviation where the variance belongs")
def deviations(x, responsibilities):
    weights, means, covariances = maximize(x, responsibilities)
    return weights, means, torch.diag_embed(covariances.diagonal(dim1=1, dim2=2).sqrt())


@wrong("gmm.m_step", says="these are variances only")
def variances(x, responsibilities):
    weights, means, covariances = maximize(x, responsibilities)
    return weights, means, covariances.diagonal(dim1=1, dim2=2)


# --- gmm.elbo --------------------------------------------------------------------------------------------------------


@wrong("gmm.elbo", says="forgot the entropy")
def no_entropy(log_joint, q):
    return (q * log_joint).sum(-1)


@wrong("gmm.elbo", says="entropy of q has the wrong sign")
def entropy_sign(log_joint, q):
    return (q * (log_joint + q.log())).sum(-1)


@wrong("gmm.elbo", says="this is a loss")
def loss(log_joint, q):
    return -(q * (log_joint - q.log())).sum(-1)


@wrong("gmm.elbo", says="0 · log 0")
def nan_at_zero(log_joint, q):
    return (q * (log_joint - q.log())).sum(-1)


@wrong("gmm.elbo", says="right only if q is the posterior")
def evidence(log_joint, q):
    return log_joint.logsumexp(-1)


@wrong("gmm.elbo", says="gap log p(x) − ELBO")
def gap(log_joint, q):
    return log_joint.logsumexp(-1) - (q * log_joint - torch.xlogy(q, q)).sum(-1)


@wrong("gmm.elbo", says="one number for all points")
def total(log_joint, q):
    return (q * log_joint - torch.xlogy(q, q)).sum()


# --- gmm.conditional -------------------------------------------------------------------------------------------------


def condition(mean, covariance, observed, values, *, sign=1.0, center=1.0, inverse=True, reduce=1.0):
    hidden = torch.tensor([i for i in range(len(mean)) if i not in observed.tolist()])
    across, seen = covariance[hidden][:, observed], covariance[observed][:, observed]
    gain = across @ (seen.inverse() if inverse else seen)
    moved = mean[hidden] + sign * gain @ (values - center * mean[observed])
    return moved, covariance[hidden][:, hidden] - reduce * gain @ across.T


@wrong("gmm.conditional", says="forgot to subtract the mean of the observed")
def values_not_centered(mean, covariance, observed, values):
    return condition(mean, covariance, observed, values, center=0)


@wrong("gmm.conditional", says="correction of the mean has the wrong sign")
def correction_sign(mean, covariance, observed, values):
    return condition(mean, covariance, observed, values, sign=-1)


@wrong("gmm.conditional", says="where its inverse belongs")
def seen_not_inverted(mean, covariance, observed, values):
    return condition(mean, covariance, observed, values, inverse=False)


@wrong("gmm.conditional", says="conditional covariance is the marginal one")
def not_reduced(mean, covariance, observed, values):
    return condition(mean, covariance, observed, values, reduce=0)


@wrong("gmm.conditional", says="knowing more cannot widen")
def widened(mean, covariance, observed, values):
    return condition(mean, covariance, observed, values, reduce=-1)


@wrong("gmm.conditional", says="This is the precision")
def precision(mean, covariance, observed, values):
    moved, spread = condition(mean, covariance, observed, values)
    return moved, spread.inverse()


# --- gmm.complete ----------------------------------------------------------------------------------------------------


def fill(weights, means, covariances, observed, values, *, share="posterior", move=1.0):
    n_components, dim = means.shape
    hidden = torch.tensor([i for i in range(dim) if i not in observed.tolist()])
    log_prob, filled = [], []
    for mean, covariance in zip(means, covariances, strict=True):
        seen = covariance[observed][:, observed]
        log_prob.append(MultivariateNormal(mean[observed], seen).log_prob(values))
        deviation = values - mean[observed]
        filled.append(mean[hidden] + move * deviation @ seen.inverse() @ covariance[observed][:, hidden])
    log_prob = torch.stack(log_prob, -1)
    posterior = (weights.log() + log_prob).softmax(-1)
    shares = {
        "posterior": posterior,
        "prior": weights.expand_as(posterior),
        "likelihood": log_prob.softmax(-1),
        "hard": torch.nn.functional.one_hot(posterior.argmax(-1), n_components).double(),
    }
    x = values.new_empty(len(values), dim)
    x[:, observed] = values
    x[:, hidden] = torch.einsum("bk,kbh->bh", shares[share], torch.stack(filled))
    return x


@wrong("gmm.complete", says="prior weights")
def prior_weights(weights, means, covariances, observed, values):
    return fill(weights, means, covariances, observed, values, share="prior")


@wrong("gmm.complete", says="forgot the mixture weights")
def likelihood_only(weights, means, covariances, observed, values):
    return fill(weights, means, covariances, observed, values, share="likelihood")


@wrong("gmm.complete", says="likeliest component only")
def likeliest(weights, means, covariances, observed, values):
    return fill(weights, means, covariances, observed, values, share="hard")


@wrong("gmm.complete", says="not their conditional means")
def component_means(weights, means, covariances, observed, values):
    return fill(weights, means, covariances, observed, values, move=0)


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


# --- gmm.held_out ----------------------------------------------------------------------------------------------------


def kernels(x, centres, width):
    squares = torch.cdist(x, centres).square()
    return (-squares / (2 * width**2)).logsumexp(-1) - math.log(len(centres) * 2 * math.pi * width**2)


@wrong("gmm.held_out", says="you underfit")
def one_gaussian(x_train):
    return MultivariateNormal(x_train.mean(0), x_train.T.cov()).log_prob


@wrong("gmm.held_out", says="you overfit")
def a_spike_on_each_point(x_train):
    return lambda x: kernels(x, x_train, 0.02)


@wrong("gmm.held_out", says="you underfit")
def too_smooth(x_train):
    return lambda x: kernels(x, x_train, 0.3)


@wrong("gmm.held_out", says="it integrates to 64")
def constant(x_train):
    return lambda x: torch.zeros_like(x[:, 0])


@wrong("gmm.held_out", says="it integrates to 12.6")
def factor_forgotten(x_train):
    return lambda x: kernels(x, x_train, 0.15) + math.log(4 * math.pi)


@wrong("gmm.held_out", says="which other points you are asked about")
def peeking(x_train):
    return lambda x: kernels(x, x, 0.02)


@wrong("gmm.held_out", says="not a function")
def numbers(x_train):
    return kernels(x_train, x_train, 0.06)
