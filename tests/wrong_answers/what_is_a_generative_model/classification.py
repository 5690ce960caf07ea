"""Wrong answers of chapter 1: from the joint to p(y | x), and to logistic regression."""

import math

import torch

from wrong_answers import wrong

# --- generative.posterior --------------------------------------------------------------------------------------------


@wrong("generative.posterior", says="over the examples, not over the classes")
def over_examples(log_joint):
    return log_joint.softmax(0), log_joint.logsumexp(-1)


@wrong("generative.posterior", says="The exponential underflows")
def exponentials(log_joint):
    joint = log_joint.exp()
    evidence = joint.sum(-1)
    return joint / evidence[:, None], evidence.log()


@wrong("generative.posterior", says="return log p(y | x)")
def logarithms(log_joint):
    return log_joint.log_softmax(-1), log_joint.logsumexp(-1)


@wrong("generative.posterior", says="p(x), not its logarithm")
def evidence_itself(log_joint):
    return log_joint.softmax(-1), log_joint.logsumexp(-1).exp()


@wrong("generative.posterior", says="max for sum")
def likeliest_class(log_joint):
    return log_joint.softmax(-1), log_joint.amax(-1)


@wrong("generative.posterior", says="average over the classes")
def averaged_classes(log_joint):
    return log_joint.softmax(-1), log_joint.logsumexp(-1) - math.log(log_joint.shape[-1])


@wrong("generative.posterior", says="A class that is impossible")
def shifted_by_the_smallest(log_joint):
    low = log_joint.amin(-1, keepdim=True)
    joint = (log_joint - low).exp()
    return joint / joint.sum(-1, keepdim=True), low.squeeze(-1) + joint.sum(-1).log()


@wrong("generative.posterior", says="returns one `Tensor`, expected 2 values")
def one_result(log_joint):
    return log_joint.softmax(-1)


@wrong("generative.posterior", says="You subtract one maximum from all rows")
def one_maximum(log_joint):
    joint = (log_joint - log_joint.max()).exp()
    evidence = joint.sum(-1)
    return joint / evidence[:, None], evidence.log() + log_joint.max()


@wrong("generative.posterior", says="do not add it again")
def maximum_not_added(log_joint):
    shifted = log_joint - log_joint.amax(-1, keepdim=True)
    return log_joint.softmax(-1), shifted.exp().sum(-1).log()


# --- generative.logistic_weights -------------------------------------------------------------------------------------


def weights(means, covariance, prior, *, half=0.5, sign=1.0, odds=None):
    precision = covariance.inverse()
    zero, one = (mean @ precision @ mean for mean in means)
    odds = math.log(prior / (1 - prior)) if odds is None else odds
    return precision @ (means[1] - means[0]), sign * half * (zero - one) + odds


@wrong("generative.logistic_weights", says="from class 1 to class 0")
def towards_class_0(means, covariance, prior):
    return weights(means.flip(0), covariance, prior)


@wrong("generative.logistic_weights", says="forgot Σ⁻¹ in w")
def difference_of_means(means, covariance, prior):
    return means[1] - means[0], weights(means, covariance, prior)[1]


@wrong("generative.logistic_weights", says="where its inverse belongs")
def not_inverted(means, covariance, prior):
    return covariance @ (means[1] - means[0]), weights(means, covariance, prior)[1]


@wrong("generative.logistic_weights", says="use the variances only")
def variances_only(means, covariance, prior):
    return weights(means, torch.diag(covariance.diagonal()), prior)


@wrong("generative.logistic_weights", says="forgot the prior in b")
def without_prior(means, covariance, prior):
    return weights(means, covariance, prior, odds=0)


@wrong("generative.logistic_weights", says="left 1 − π out")
def prior_for_odds(means, covariance, prior):
    return weights(means, covariance, prior, odds=math.log(prior))


@wrong("generative.logistic_weights", says="prior enters b with the wrong sign")
def odds_upside_down(means, covariance, prior):
    return weights(means, covariance, prior, odds=math.log((1 - prior) / prior))


@wrong("generative.logistic_weights", says="lack their ½")
def missing_half(means, covariance, prior):
    return weights(means, covariance, prior, half=1.0)


@wrong("generative.logistic_weights", says="quadratic terms of b have the wrong sign")
def quadratic_sign(means, covariance, prior):
    return weights(means, covariance, prior, sign=-1)


@wrong("generative.logistic_weights", says="quadratic form of the difference")
def distance_between_the_means(means, covariance, prior):
    w, _ = weights(means, covariance, prior)
    return w, -0.5 * (means[1] - means[0]) @ w + math.log(prior / (1 - prior))
