"""Right answers to the exercises of chapter 4, by loops, inverses and libraries."""

import math

import torch
from torch.distributions import MultivariateNormal

from right_answers import right


@right("gmm.log_sum_exp")
def two_at_a_time(a):
    total = a[..., 0]
    for k in range(1, a.shape[-1]):
        total = torch.logaddexp(total, a[..., k])
    return total


@right("gmm.gaussian_log_prob")
def by_the_library(x, mean, covariance):
    return MultivariateNormal(mean, covariance).log_prob(x)


@right("gmm.gaussian_log_prob")
def with_inverse_and_determinant(x, mean, covariance):
    centered = x - mean
    quadratic = (centered @ torch.linalg.inv(covariance) * centered).sum(1)
    return -0.5 * (quadratic + torch.linalg.slogdet(covariance)[1] + x.shape[1] * math.log(2 * math.pi))


@right("gmm.e_step")
def point_by_point(log_weights, log_prob):
    responsibilities = torch.empty_like(log_prob)
    for b in range(len(log_prob)):
        joint = log_weights + log_prob[b]
        joint = (joint - joint.max()).exp()
        responsibilities[b] = joint / joint.sum()
    return responsibilities


@right("gmm.m_step")
def component_by_component(x, responsibilities):
    count = responsibilities.sum(0)
    means, covariances = [], []
    for k in range(len(count)):
        mean = (responsibilities[:, k, None] * x).sum(0) / count[k]
        means.append(mean)
        covariances.append((responsibilities[:, k, None] * (x - mean)).T @ (x - mean) / count[k])
    return [count / count.sum(), torch.stack(means), torch.stack(covariances)]


@right("gmm.elbo")
def energy_and_entropy(log_joint, q):
    return (q * log_joint).sum(1) + torch.special.entr(q).sum(1)


@right("gmm.elbo")
def with_a_floor_under_q(log_joint, q):
    return (q * (log_joint - q.clamp_min(1e-300).log())).sum(1)


@right("gmm.conditional")
def by_the_precision_matrix(mean, covariance, observed, values):
    hidden = torch.tensor([i for i in range(len(mean)) if i not in observed.tolist()])
    precision = torch.linalg.inv(covariance)
    own = precision[hidden][:, hidden]
    shift = torch.linalg.solve(own, precision[hidden][:, observed] @ (values - mean[observed]))
    return mean[hidden] - shift, torch.linalg.inv(own)


@right("gmm.complete")
def row_by_row(weights, means, covariances, observed, values):
    hidden = [i for i in range(means.shape[1]) if i not in observed.tolist()]
    completed = values.new_zeros(len(values), means.shape[1])
    for b, value in enumerate(values):
        joint, guesses = [], []
        for weight, mean, covariance in zip(weights, means, covariances, strict=True):
            seen = covariance[observed][:, observed]
            joint.append(weight.log() + MultivariateNormal(mean[observed], seen).log_prob(value))
            gain = covariance[hidden][:, observed] @ torch.linalg.inv(seen)
            guesses.append(mean[hidden] + gain @ (value - mean[observed]))
        completed[b, observed] = value
        completed[b, hidden] = torch.stack(joint).softmax(0) @ torch.stack(guesses)
    return completed


@right("gmm.bic")
def as_a_tensor(log_prob, n_components, n_features):
    free = n_components * (1 + n_features + n_features * (n_features + 1) / 2) - 1
    return -2 * log_prob.sum() + free * math.log(len(log_prob))


@right("gmm.spot_collapse")
def one_by_one_with_the_covariance_over_n(x, weights, covariances):
    n, dim = x.shape
    limit = 1e-4 * torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).min()
    found = [
        n * weight < dim + 1 or torch.linalg.eigvalsh(covariance).min() < limit
        for weight, covariance in zip(weights, covariances, strict=True)
    ]
    return torch.tensor([bool(one) for one in found])


@right("gmm.held_out")
def by_scikit_learn(x_train):
    from sklearn.mixture import GaussianMixture

    fitted = GaussianMixture(30, n_init=3, random_state=0, reg_covar=1e-3).fit(x_train)
    return lambda x: torch.as_tensor(fitted.score_samples(x))


@right("gmm.held_out")
def by_the_model_of_the_course(x_train):
    from utils.models.mixtures import GaussianMixture

    generator = torch.Generator().manual_seed(0)
    return GaussianMixture(30, n_init=3, reg_covar=1e-3, generator=generator).fit(x_train).log_prob
