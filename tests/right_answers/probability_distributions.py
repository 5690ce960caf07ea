"""Right answers to the exercises of chapter 2, by loops, other formulas and libraries."""

import math

import numpy as np
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from right_answers import right


@right("dist.categorical_from_uniform")
def walking_along_the_interval(u, probs):
    found = []
    for value in u:
        rest, k = value.clone(), 0
        while k < len(probs) - 1 and rest >= probs[k]:
            rest = rest - probs[k]
            k += 1
        found.append(k)
    return torch.tensor(found)


@right("dist.categorical_from_uniform")
def counting_the_ends_with_rescaled_sum(u, probs):
    ends = probs.cumsum(0)
    return (u[:, None] >= ends / ends[-1]).sum(1)


@right("dist.box_muller")
def by_complex_numbers(u):
    z = torch.polar((-2 * (1 - u[:, 0]).log()).sqrt(), 2 * math.pi * u[:, 1])
    return torch.view_as_real(z)


@right("dist.multivariate_normal_sample")
def by_the_symmetric_root(noise, mean, covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return mean + noise @ (vectors * values.sqrt()) @ vectors.T


@right("dist.multivariate_normal_sample")
def row_by_row(noise, mean, covariance):
    factor = torch.linalg.cholesky(covariance)
    return torch.stack([factor @ row + mean for row in noise])


@right("dist.fit_multivariate_normal")
def by_torch_cov(x):
    return x.mean(0), torch.cov(x.T, correction=0)


@right("dist.fit_multivariate_normal")
def by_numpy(x):
    return x.mean(0), torch.tensor(np.cov(x.numpy(), rowvar=False, bias=True))


@right("dist.fit_multivariate_normal")
def point_by_point(x):
    mean = sum(x) / len(x)
    return [mean, sum(torch.outer(row - mean, row - mean) for row in x) / len(x)]


@right("dist.rejection_sample")
def by_probabilities(log_target, log_proposal, log_constant, u):
    probability = (log_target - (log_proposal + log_constant)).exp()
    if probability.max() > 1.0001:
        raise ValueError("the envelope is too low")
    return probability > u


@right("dist.kl_normals")
def by_the_library(mean_p, covariance_p, mean_q, covariance_q):
    return kl_divergence(MultivariateNormal(mean_p, covariance_p), MultivariateNormal(mean_q, covariance_q))


@right("dist.kl_normals")
def by_the_inverse(mean_p, covariance_p, mean_q, covariance_q):
    ratio = torch.linalg.inv(covariance_q) @ covariance_p
    gap = mean_q - mean_p
    squares = torch.trace(ratio) + gap @ torch.linalg.inv(covariance_q) @ gap
    return 0.5 * (squares - len(gap) - torch.linalg.slogdet(ratio)[1]).item()


@right("dist.monte_carlo")
def by_hand(values, goal):
    n = len(values)
    mean = values.sum() / n
    variance = ((values - mean) ** 2).sum() / (n - 1)
    needed = 2
    while (variance / needed) ** 0.5 > goal:
        needed += 1
    return mean.item(), (variance / n).sqrt().item(), needed


@right("dist.monte_carlo")
def times_what_is_there(values, goal):
    error = values.std() / math.sqrt(len(values))
    return values.mean(), error, math.ceil(len(values) * (error / goal).item() ** 2)


@right("dist.flow_log_prob")
def by_finite_differences(x, forward):
    step = 1e-5
    slope = (forward(x + step) - forward(x - step)) / (2 * step)
    return torch.distributions.Normal(0.0, 1.0).log_prob(forward(x)) + slope.abs().log()


@right("dist.flow_log_prob")
def by_the_jacobian(x, forward):
    slope = torch.autograd.functional.jacobian(forward, x).diagonal()
    return torch.distributions.Normal(0.0, 1.0).log_prob(forward(x)) + slope.square().log() / 2


@right("dist.code_length")
def by_the_probability_of_what_is_there(x, probs):
    return -torch.where(x == 1, probs, 1 - probs).log2().sum(-1)


@right("dist.code_length")
def by_what_is_there(x, probs):
    return -torch.where(x.bool(), probs, 1 - probs).log2().sum(-1)


@right("dist.compress")
def counts_over_four_neighbors(x_train):
    padded = torch.nn.functional.pad
    place = torch.arange(64).reshape(8, 8)

    def context(x):
        """A number from 0 to 15 for each pixel: left, above, and the two diagonals above."""
        image = padded(x.reshape(-1, 8, 8), (1, 1, 1, 0)).long()
        bits = image[:, 1:, :-2], image[:, :-1, 1:-1], image[:, :-1, :-2], image[:, :-1, 2:]
        return sum(bit << i for i, bit in enumerate(bits)) + 16 * place  # (B, 8, 8)

    seen = context(x_train).flatten()
    counts = torch.bincount(seen, minlength=1024)
    ones = torch.bincount(seen, weights=x_train.flatten(), minlength=1024)
    # As far as a context is rare, ask the pixel alone.
    alone = ((x_train.sum(0) + 0.5) / (len(x_train) + 1)).repeat_interleave(16)
    p = (ones + alone) / (counts + 1)
    return lambda x: p[context(x)].reshape(-1, 64)


@right("dist.compress")
def a_logistic_regression_for_each_pixel(x_train):
    from sklearn.linear_model import LogisticRegression

    fitted = []
    for d in range(64):
        share = (x_train[:, d].sum() + 0.5) / (len(x_train) + 1)
        if d and 0 < x_train[:, d].mean() < 1:
            share = LogisticRegression(C=0.1, max_iter=300).fit(x_train[:, :d].numpy(), x_train[:, d].numpy())
        fitted.append(share)

    def predict(x):
        columns = [
            torch.tensor(model.predict_proba(x[:, :d].numpy())[:, 1])
            if isinstance(model, LogisticRegression)
            else model.expand(len(x))
            for d, model in enumerate(fitted)
        ]
        return torch.stack(columns, 1)

    return predict


@right("dist.compress")
def a_mixture_in_float32(x_train):
    x_train = x_train.float()
    mean = 0.25 + 0.5 * x_train[torch.randperm(len(x_train))[:30]]
    weights = torch.full((30,), 1 / 30)

    def log_prob(x, mean):
        return x @ mean.log().T + (1 - x) @ (1 - mean).log().T

    for _ in range(40):
        r = (weights.log() + log_prob(x_train, mean)).softmax(1)
        count = r.sum(0)
        weights, mean = (count + 0.1) / (count + 0.1).sum(), (r.T @ x_train + 0.5) / (count[:, None] + 1)

    def predict(x):
        x = x.float()
        each = x[..., None] * mean.T.log() + (1 - x[..., None]) * (1 - mean.T).log()  # (B, 64, 30)
        before = torch.cat([torch.zeros_like(each[:, :1]), each.cumsum(1)[:, :-1]], 1)
        return ((weights.log() + before).softmax(-1) * mean.T).sum(-1)

    return predict
