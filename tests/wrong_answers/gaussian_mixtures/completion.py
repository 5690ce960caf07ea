"""Wrong answers of chapter 4: missing coordinates from the others."""

import torch
from torch.distributions import MultivariateNormal

from wrong_answers import wrong

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


@wrong("gmm.conditional", says="an axis of size 1")
def all_squeezed(mean, covariance, observed, values):
    return tuple(part.squeeze() for part in condition(mean, covariance, observed, values))


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


def softmax_with(top, weights, means, covariances, observed, values):
    """The posterior by exponentials, after subtracting what `top` gives of all log joints."""
    _, dim = means.shape
    hidden = torch.tensor([i for i in range(dim) if i not in observed.tolist()])
    log_joint, filled = [], []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        seen = covariance[observed][:, observed]
        log_joint.append(weight.log() + MultivariateNormal(mean[observed], seen).log_prob(values))
        gain = torch.linalg.solve(seen, covariance[observed][:, hidden])
        filled.append(mean[hidden] + (values - mean[observed]) @ gain)
    log_joint = torch.stack(log_joint, -1)
    joint = (log_joint - top(log_joint)).exp()
    x = values.new_empty(len(values), dim)
    x[:, observed] = values
    x[:, hidden] = torch.einsum("bk,kbh->bh", joint / joint.sum(-1, keepdim=True), torch.stack(filled))
    return x


@wrong("gmm.complete", says="You subtract one maximum from all rows")
def one_maximum(*inputs):
    return softmax_with(torch.amax, *inputs)


@wrong("gmm.complete", says="every density underflows")
def not_in_log_space(*inputs):
    return softmax_with(torch.zeros_like, *inputs)


@wrong("gmm.complete", says="add the weights themselves")
def weights_not_logarithms(weights, means, covariances, observed, values):
    # Whoever adds w where log w belongs takes exp(w) for the weights.
    return fill(weights.exp(), means, covariances, observed, values, share="posterior")
