"""Wrong answers of chapter 4: densities in log space."""

import math

import torch

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


@wrong("gmm.log_sum_exp", says="you subtract another one than the maximum")
def less_the_least(a):
    low = a.amin(-1, keepdim=True)
    return low.squeeze(-1) + (a - low).exp().sum(-1).log()


@wrong("gmm.log_sum_exp", says="drops every axis of size 1")
def all_axes_squeezed(a):
    top = a.max(dim=-1, keepdim=True).values
    return top.squeeze() + (a - top).exp().sum(-1).log()


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


@wrong("gmm.gaussian_log_prob", says="measured in another unit")
def a_little_added(x, mean, covariance):
    jitter = 1e-10 * torch.eye(len(mean), dtype=x.dtype)
    return torch.distributions.MultivariateNormal(mean, covariance + jitter).log_prob(x)


@wrong("gmm.gaussian_log_prob", says="variances only")
def independent_features(x, mean, covariance):
    return torch.distributions.Normal(mean, covariance.diagonal().sqrt()).log_prob(x).sum(-1)


@wrong("gmm.gaussian_log_prob", says="multiply with L")
def multiplied_with_the_factor(x, mean, covariance):
    log_det, constant = covariance.logdet(), x.shape[1] * math.log(2 * math.pi)
    factor = torch.linalg.cholesky(covariance)
    return -0.5 * (((x - mean) @ factor.mT).square().sum(-1) + log_det + constant)


@wrong("gmm.gaussian_log_prob", says="is not squared")
def distance_itself(x, mean, covariance):
    log_det, constant = covariance.logdet(), x.shape[1] * math.log(2 * math.pi)
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, (x - mean).mT, upper=False)
    return -0.5 * (white.norm(dim=0) + log_det + constant)
