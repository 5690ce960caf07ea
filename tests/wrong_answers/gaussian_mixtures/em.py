"""Wrong answers of chapter 4: the EM algorithm and its bound."""

import torch

from wrong_answers import wrong

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


@wrong("gmm.e_step", says="You subtract one maximum from all rows")
def one_maximum(log_weights, log_prob):
    joint = (log_weights + log_prob - (log_weights + log_prob).max()).exp()
    return joint / joint.sum(-1, keepdim=True)


@wrong("gmm.e_step", says="you keep it away from 0")
def clamped(log_weights, log_prob):
    r = (log_weights + log_prob).softmax(-1).clamp(min=1e-12)
    return r / r.sum(-1, keepdim=True)


@wrong("gmm.e_step", says="your responsibility is 1e-05: you keep it away")
def clamped_far(log_weights, log_prob):
    return (log_weights + log_prob).softmax(-1).clamp(min=1e-5)


@wrong("gmm.e_step", says="multiply log densities with the weights")
def densities_to_a_power(log_weights, log_prob):
    return (log_weights.exp() * log_prob).softmax(-1)


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


@wrong("gmm.m_step", says="in a unit 10⁵ times as large")
def a_little_added(x, responsibilities):
    weights, means, covariances = maximize(x, responsibilities)
    return weights, means, covariances + 1e-6 * torch.eye(x.shape[1], dtype=x.dtype)


@wrong("gmm.m_step", says="lose their digits")
def difference_of_moments(x, responsibilities):
    weights, means, _ = maximize(x, responsibilities)
    count = responsibilities.sum(0)[:, None, None]
    moments = torch.einsum("bk,bi,bj->kij", responsibilities, x, x) / count
    return weights, means, moments - means[:, :, None] * means[:, None]


@wrong("gmm.m_step", says="Only the first row is right")
def all_centered_at_the_first_mean(x, responsibilities):
    weights, means, _ = maximize(x, responsibilities)
    return weights, means, maximize(x, responsibilities, center=means[0])[2]


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


@wrong("gmm.elbo", says="leave out what q gives little")
def small_q_left_out(log_joint, q):
    return torch.where(q > 1e-3, q * (log_joint - q.log()), 0.0).sum(-1)
