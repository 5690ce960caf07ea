"""Right answers to the exercises of chapter 1, by loops, other formulas and libraries."""

import bisect
import itertools
import math

import torch
from torch.distributions import MultivariateNormal

from right_answers import right


@right("generative.fit_bernoulli")
def class_by_class(x, y, n_classes, alpha):
    log_prior, probs = [], []
    for c in range(n_classes):
        group = x[y == c]
        log_prior.append(math.log(len(group) / len(x)))
        pretend = torch.cat([group, group.new_ones(1, x.shape[1]), group.new_zeros(1, x.shape[1])])
        weight = torch.tensor([1.0] * len(group) + [alpha, alpha], dtype=x.dtype)
        probs.append(weight @ pretend / weight.sum())
    return torch.tensor(log_prior, dtype=x.dtype), torch.stack(probs)


@right("generative.fit_bernoulli")
def by_scikit_learn(x, y, n_classes, alpha):
    from sklearn.naive_bayes import BernoulliNB

    fitted = BernoulliNB(alpha=alpha).fit(x, y)
    return torch.tensor(fitted.class_log_prior_), torch.tensor(fitted.feature_log_prob_).exp()


@right("generative.log_joint")
def choose_the_factor(log_prior, probs, x):
    factor = torch.where(x[:, None, :] == 1, probs, 1 - probs)
    return factor.log().sum(2) + log_prior


@right("generative.log_joint")
def number_by_number(log_prior, probs, x):
    joint = torch.empty(len(x), len(probs), dtype=x.dtype)
    for b, c in itertools.product(range(len(x)), range(len(probs))):
        black = x[b].bool()
        joint[b, c] = log_prior[c] + probs[c][black].log().sum() + torch.log1p(-probs[c][~black]).sum()
    return joint


@right("generative.posterior")
def by_softmax(log_joint):
    return log_joint.softmax(1), torch.logsumexp(log_joint, 1)


@right("generative.posterior")
def with_the_maximum_taken_out(log_joint):
    top = log_joint.amax(-1, keepdim=True)
    shifted = (log_joint - top).exp()
    total = shifted.sum(-1, keepdim=True)
    return shifted / total, (top + total.log()).squeeze(-1)


@right("generative.sample")
def example_by_example(log_prior, probs, u_class, u_pixels):
    edges = list(itertools.accumulate(log_prior.exp().tolist()))[:-1]
    y = [bisect.bisect_right(edges, u) for u in u_class.tolist()]
    x = [[float(u < p) for u, p in zip(row, probs[c].tolist(), strict=True)]
         for row, c in zip(u_pixels.tolist(), y, strict=True)]  # fmt: skip
    return torch.tensor(x, dtype=torch.float64), torch.tensor(y)


@right("generative.sample")
def by_searchsorted(log_prior, probs, u_class, u_pixels):
    y = torch.searchsorted(log_prior.exp().cumsum(0), u_class, right=True).clamp(max=len(probs) - 1)
    return torch.where(u_pixels < probs[y], 1.0, 0.0).double(), y


@right("generative.log_joint_missing")
def nan_to_a_factor_of_one(log_prior, probs, x):
    factor = torch.where(x[:, None] == 1, probs, 1 - probs)
    return log_prior + torch.where(x[:, None].isnan(), 1.0, factor).log().sum(-1)


@right("generative.log_joint_missing")
def all_completions(log_prior, probs, x):
    rows = []
    for image in x:
        values = [[0.0, 1.0] if math.isnan(pixel) else [pixel] for pixel in image.tolist()]
        full = torch.tensor(list(itertools.product(*values)), dtype=x.dtype)
        joint = log_prior + full @ probs.log().T + (1 - full) @ (1 - probs).log().T
        rows.append(joint.logsumexp(0))
    return torch.stack(rows)


@right("generative.logistic_weights")
def with_the_inverse(means, covariance, prior):
    precision = covariance.inverse()
    zero, one = means
    b = 0.5 * zero @ precision @ zero - 0.5 * one @ precision @ one + math.log(prior) - math.log1p(-prior)
    return precision @ (one - zero), b


@right("generative.logistic_weights")
def by_differentiating_the_log_odds(means, covariance, prior):
    x = torch.zeros(means.shape[1], dtype=means.dtype, requires_grad=True)
    zero, one = (MultivariateNormal(mean, covariance).log_prob(x) for mean in means)
    log_odds = one - zero + math.log(prior / (1 - prior))
    (w,) = torch.autograd.grad(log_odds, x)
    return w, log_odds.item()


@right("generative.auroc")
def by_scikit_learns_curve(familiar, strange):
    from sklearn.metrics import roc_auc_score

    ranks = torch.cat([familiar, strange]).unique(return_inverse=True)[1]
    return float(roc_auc_score([1] * len(familiar) + [0] * len(strange), ranks))


@right("generative.auroc")
def pair_by_pair(familiar, strange):
    won = 0.0
    for s in familiar.tolist():
        for t in strange.tolist():
            won += 1 if s > t else 0.5 if s == t else 0
    return won / (len(familiar) * len(strange))


@right("generative.calibration_error")
def bin_by_bin(probs, y, n_bins):
    confidence, predicted = probs.max(1)
    error = 0.0
    for m in range(n_bins):
        inside = (confidence > m / n_bins) & (confidence <= (m + 1) / n_bins)
        if inside.any():
            accuracy = (predicted[inside] == y[inside]).double().mean()
            error += inside.double().mean() * (accuracy - confidence[inside].mean()).abs()
    return error


@right("generative.few_labels")
def by_spreading_labels(x_labeled, y_labeled, x_unlabeled):
    from sklearn.semi_supervised import LabelSpreading

    x = torch.cat([x_labeled, x_unlabeled])
    y = torch.cat([y_labeled, torch.full((len(x_unlabeled),), -1)])
    fitted = LabelSpreading(kernel="knn", n_neighbors=10).fit(x, y)
    return lambda new: torch.tensor(fitted.predict(new))


@right("generative.few_labels")
def by_em_on_principal_components(x_labeled, y_labeled, x_unlabeled):
    x = torch.cat([x_labeled, x_unlabeled])
    center = x.mean(0)
    _, _, directions = torch.linalg.svd(x - center, full_matrices=False)
    z = (x - center) @ directions[:30].T
    known = torch.nn.functional.one_hot(y_labeled, 10).double()
    share = torch.cat([known, torch.zeros(len(x_unlabeled), 10, dtype=x.dtype)])
    for _ in range(15):
        weight = share / share.sum(0)
        means = weight.T @ z
        own = torch.stack([(w[:, None] * (z - m)).T @ (z - m) for w, m in zip(weight.T, means, strict=True)])
        shared = torch.einsum("c,cij->ij", share.sum(0) / share.sum(), own)
        floor = shared.diagonal().mean() * torch.eye(30, dtype=x.dtype)
        gaussians = MultivariateNormal(means, 0.4 * own + 0.4 * shared + 0.2 * floor)
        log_prior = share.mean(0).log()
        guess = (gaussians.log_prob(z[len(known) :, None]) + log_prior).softmax(-1)
        share = torch.cat([known, guess])
    return lambda new: (gaussians.log_prob(((new - center) @ directions[:30].T)[:, None]) + log_prior).argmax(-1)
