"""Wrong answers of chapter 2: samples from uniform and normal numbers."""

import math

import torch
from torch.distributions import MultivariateNormal, Normal

from wrong_answers import wrong

# --- dist.categorical_from_uniform -----------------------------------------------------------------------------------


@wrong("dist.categorical_from_uniform", says="ends there: u = 0 then draws")
def boundary_to_the_left(u, probs):
    return torch.searchsorted(probs.cumsum(0), u).clamp(max=len(probs) - 1)


@wrong("dist.categorical_from_uniform", says="category K, which does not exist")
def beyond_the_last(u, probs):
    return torch.searchsorted(probs.cumsum(0), u, right=True)


@wrong("dist.categorical_from_uniform", says="lands in category 0")
def first_true(u, probs):
    return (u[:, None] < probs.cumsum(0)).long().argmax(1)


@wrong("dist.categorical_from_uniform", says="not with their cumulative sums")
def not_cumulative(u, probs):
    return (u[:, None] >= probs).sum(1)


@wrong("dist.categorical_from_uniform", says="counted from 1")
def counted_from_one(u, probs):
    return torch.searchsorted(probs.cumsum(0), u, right=True) + 1


@wrong("dist.categorical_from_uniform", says="pieces that end after u")
def counted_from_above(u, probs):
    return (u[:, None] < probs.cumsum(0)).sum(1)


@wrong("dist.categorical_from_uniform", says="ignore the probabilities")
def evenly(u, probs):
    return (u * len(probs)).long()


@wrong("dist.categorical_from_uniform", says="draws random numbers of its own")
def by_its_own_chance(u, probs):
    return torch.multinomial(probs, len(u), replacement=True)


@wrong("dist.categorical_from_uniform", says="one value for each of the 5 categories")
def truth_values(u, probs):
    return u[:, None] < probs.cumsum(0)


@wrong("dist.categorical_from_uniform", says="floating-point numbers")
def floating(u, probs):
    return (u[:, None] >= probs.cumsum(0)).double().sum(1)


# --- dist.box_muller -------------------------------------------------------------------------------------------------


def polar(exponent, angle):
    radius = exponent.sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


@wrong("dist.box_muller", says="log u₁ where log(1 − u₁) belongs")
def log_u(u):
    return polar(-2 * u[:, 0].log(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="factor 2 in the radius is missing")
def no_two(u):
    return polar(-(1 - u[:, 0]).log(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="radius from the second column")
def columns_swapped(u):
    return polar(-2 * (1 - u[:, 1]).log(), 2 * math.pi * u[:, 0])


@wrong("dist.box_muller", says="square root of the radius is missing")
def no_root(u):
    return polar((-2 * (1 - u[:, 0]).log()).square(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="2π is missing")
def no_turn(u):
    return polar(-2 * (1 - u[:, 0]).log(), u[:, 1])


@wrong("dist.box_muller", says="Sine and cosine are swapped")
def sine_first(u):
    return polar(-2 * (1 - u[:, 0]).log(), 2 * math.pi * u[:, 1]).flip(1)


@wrong("dist.box_muller", says="under the root stands a negative number")
def no_minus(u):
    return polar(2 * (1 - u[:, 0]).log(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="by the inverse normal CDF")
def by_inverse_cdf(u):
    return Normal(0.0, 1.0).icdf(u)


@wrong("dist.box_muller", says="largest u₁ below 1")
def kept_below_one(u):
    return polar(-2 * (1 - u[:, 0].clamp(max=1 - 1e-6)).log(), 2 * math.pi * u[:, 1])


# --- dist.multivariate_normal_sample ---------------------------------------------------------------------------------


@wrong("dist.multivariate_normal_sample", says="multiply with Lᵀ where L belongs")
def transposed_factor(noise, mean, covariance):
    return mean + noise @ torch.linalg.cholesky(covariance)


@wrong("dist.multivariate_normal_sample", says="a variance for a standard deviation")
def covariance_for_factor(noise, mean, covariance):
    return mean + noise @ covariance


@wrong("dist.multivariate_normal_sample", says="no correlations")
def diagonal_only(noise, mean, covariance):
    return mean + noise * covariance.diagonal().sqrt()


@wrong("dist.multivariate_normal_sample", says="forgot the mean")
def no_mean(noise, mean, covariance):
    return noise @ torch.linalg.cholesky(covariance).T


@wrong("dist.multivariate_normal_sample", says="not the root of each of its entries")
def root_of_entries(noise, mean, covariance):
    return mean + noise @ covariance.sqrt()


@wrong("dist.multivariate_normal_sample", says="solve with the factor instead of multiplying")
def solved(noise, mean, covariance):
    return mean + torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), noise.T, upper=False).T


@wrong("dist.multivariate_normal_sample", says="ignore the covariance")
def shifted_only(noise, mean, covariance):
    return mean + noise


@wrong("dist.multivariate_normal_sample", says="draws random numbers of its own")
def noise_of_its_own(noise, mean, covariance):
    return MultivariateNormal(mean, covariance).sample((len(noise),))


@wrong("dist.multivariate_normal_sample", says="do not transpose the eigenvectors")
def eigenvectors_as_rows(noise, mean, covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return mean + noise @ (vectors * values.sqrt())


# --- dist.rejection_sample -------------------------------------------------------------------------------------------


def accept(log_target, log_proposal, log_constant, u, *, keep=None):
    log_ratio = log_target - log_proposal - log_constant
    if (log_ratio > 1e-9).any():
        raise ValueError("no envelope")
    return u.log() < log_ratio if keep is None else keep


@wrong("dist.rejection_sample", says="upside down")
def thrown_away(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() > log_target - log_proposal - log_constant)


@wrong("dist.rejection_sample", says="compare u itself with a logarithm")
def no_log_of_u(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u < log_target - log_proposal - log_constant)


@wrong("dist.rejection_sample", says="forgot the constant M")
def no_constant(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() < log_target - log_proposal)


@wrong("dist.rejection_sample", says="constant has the wrong sign")
def constant_sign(log_target, log_proposal, log_constant, u):
    return u.log() < log_target - log_proposal + log_constant


@wrong("dist.rejection_sample", says="forgot the density of the proposal")
def no_proposal(log_target, log_proposal, log_constant, u):
    return u.log() < log_target - log_constant


@wrong("dist.rejection_sample", says="Target and proposal are swapped")
def swapped(log_target, log_proposal, log_constant, u):
    return u.log() < log_proposal - log_target - log_constant


@wrong("dist.rejection_sample", says="their exponentials underflow")
def by_densities(log_target, log_proposal, log_constant, u):
    return u * math.exp(min(log_constant, 700)) * log_proposal.exp() < log_target.exp()


@wrong("dist.rejection_sample", says="where the target is 0")
def not_strict(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() <= log_target - log_proposal - log_constant)


@wrong("dist.rejection_sample", says="this envelope is nowhere below the target")
def refuses_to_touch(log_target, log_proposal, log_constant, u):
    log_ratio = log_target - log_proposal - log_constant
    if (log_ratio >= 0).any():
        raise ValueError("no envelope")
    return u.log() < log_ratio


@wrong("dist.rejection_sample", says="tiny, but not 0")
def u_kept_from_zero(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u.clamp_min(1e-12))


@wrong("dist.rejection_sample", says="your function says nothing")
def silent(log_target, log_proposal, log_constant, u):
    return u.log() < log_target - log_proposal - log_constant


@wrong("dist.rejection_sample", says="this envelope is nowhere below the target")
def alarmed(log_target, log_proposal, log_constant, u):
    if (log_target > log_proposal).any():
        raise ValueError("no envelope")
    return u.log() < log_target - log_proposal - log_constant


@wrong("dist.rejection_sample", says="indices of what is kept")
def indices(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u).nonzero().squeeze(-1)


@wrong("dist.rejection_sample", says="numbers, not truth values")
def acceptance_probability(log_target, log_proposal, log_constant, u):
    return (log_target - log_proposal - log_constant).exp()


@wrong("dist.rejection_sample", says="largest ratio of these proposals")
def constant_of_the_batch(log_target, log_proposal, log_constant, u):
    log_ratio = log_target - log_proposal
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() < log_ratio - log_ratio.max())


@wrong("dist.rejection_sample", says="your function says nothing")
def generous_check(log_target, log_proposal, log_constant, u):
    log_ratio = log_target - log_proposal - log_constant
    if (log_ratio > 1e-3).any():
        raise ValueError
    return u.log() < log_ratio
