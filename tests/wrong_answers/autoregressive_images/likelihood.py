"""Wrong answers of chapter 12: log p(x) by the chain rule, FVSBN and NADE."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong
from wrong_answers.autoregressive_images._shared import log_p

# --- ar.chain_log_prob -----------------------------------------------------------------------------------------------


@wrong("ar.chain_log_prob", says="not their logarithms")
def sum_of_probabilities(logits, x):
    p = torch.sigmoid(logits)
    return torch.where(x == 1, p, 1 - p).sum((1, 2))


@wrong("ar.chain_log_prob", says="mean over the pixels")
def mean_for_sum(logits, x):
    return log_p(logits, x).mean((1, 2))


@wrong("ar.chain_log_prob", says="one number for all images")
def default_reduction(logits, x):
    return -F.binary_cross_entropy_with_logits(logits, x)


@wrong("ar.chain_log_prob", says="a loss")
def loss(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2))


@wrong("ar.chain_log_prob", says="Only the pixels that are 1 count")
def ones_only(logits, x):
    return (x * F.logsigmoid(logits)).sum((1, 2))


@wrong("ar.chain_log_prob", says="sigmoid is applied twice")
def sigmoid_twice(logits, x):
    return log_p(torch.sigmoid(logits), x).sum((1, 2))


@wrong("ar.chain_log_prob", says="underflows to 0")
def product(logits, x):
    p = torch.sigmoid(logits)
    return torch.where(x == 1, p, 1 - p).flatten(1).prod(1).log()


@wrong("ar.chain_log_prob", says="the sigmoid has rounded")
def rounded_sigmoid(logits, x):
    p = torch.sigmoid(logits)
    return torch.where(x == 1, p, 1 - p).log().sum((1, 2))


@wrong("ar.chain_log_prob", says="one number for each row")
def one_axis(logits, x):
    return log_p(logits, x).sum(-1)


# --- ar.fvsbn_log_prob -----------------------------------------------------------------------------------------------


@wrong("ar.fvsbn_log_prob", says="You use all weights")
def full_matrix(weights, bias, x):
    return log_p(bias + x @ weights.T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="The diagonal is in")
def with_diagonal(weights, bias, x):
    return log_p(bias + x @ weights.tril().T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="leave out the diagonal only")
def without_diagonal(weights, bias, x):
    return log_p(bias + x @ (weights - weights.diagonal().diag()).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="transposed after they were masked")
def transposed(weights, bias, x):
    return log_p(bias + x @ weights.tril(-1), x).sum(1)


@wrong("ar.fvsbn_log_prob", says="chain runs backwards")
def upper_triangle(weights, bias, x):
    return log_p(bias + x @ weights.triu(1).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="read the weights across")
def across(weights, bias, x):
    return log_p(bias + x @ weights.triu(1), x).sum(1)


@wrong("ar.fvsbn_log_prob", says="bias is missing")
def no_bias(weights, bias, x):
    return log_p(x @ weights.tril(-1).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="This is no distribution")
def not_normalized(weights, bias, x):
    return (x * (bias + x @ weights.tril(-1).T)).sum(1)


@wrong("ar.fvsbn_log_prob", says="log(0)")
def probabilities_first(weights, bias, x):
    p = torch.sigmoid(bias + x @ weights.tril(-1).T)
    return torch.where(x == 1, p, 1 - p).log().sum(1)


# --- ar.fvsbn_gradient -----------------------------------------------------------------------------------------------


def gradients(weights, bias, x, *, sign=1.0, squared=False, mask=-1):
    p = torch.sigmoid(bias + x @ weights.tril(mask).T)
    error = sign * (p - x) * (p * (1 - p) if squared else 1)
    return (error.T @ x / len(x)).tril(-1), error.mean(0)


@wrong("ar.fvsbn_gradient", says="sign of the weights' gradient is wrong")
def data_minus_model(weights, bias, x):
    return gradients(weights, bias, x, sign=-1)


@wrong("ar.fvsbn_gradient", says="You sum over the images")
def summed(weights, bias, x):
    w, b = gradients(weights, bias, x)
    return len(x) * w, len(x) * b


@wrong("ar.fvsbn_gradient", says="as for a squared error")
def slope_of_the_sigmoid(weights, bias, x):
    return gradients(weights, bias, x, squared=True)


@wrong("ar.fvsbn_gradient", says="not 0 where j ≥ d")
def not_masked(weights, bias, x):
    error = torch.sigmoid(bias + x @ weights.tril(-1).T) - x
    return error.T @ x / len(x), error.mean(0)


@wrong("ar.fvsbn_gradient", says="transposed")
def transposed_gradient(weights, bias, x):
    w, b = gradients(weights, bias, x)
    return w.T, b


@wrong("ar.fvsbn_gradient", says="predict with all weights")
def unmasked_prediction(weights, bias, x):
    return gradients(weights, bias, x, mask=len(bias))


@wrong("ar.fvsbn_gradient", says="bias's gradient over the images")
def bias_summed(weights, bias, x):
    w, b = gradients(weights, bias, x)
    return w, len(x) * b


# --- ar.nade_log_prob ------------------------------------------------------------------------------------------------


def nade(x, weights, hidden_bias, output, bias, *, add_first=False, keep=1.0, squash=torch.sigmoid, start=1.0):
    total = start * hidden_bias.expand(len(x), -1)
    log_prob = 0
    for d in range(x.shape[1]):
        step = torch.outer(x[:, d], weights[:, d])
        if add_first:
            total = total + step
        log_prob = log_prob + log_p(bias[d] + squash(total) @ output[d], x[:, d])
        if not add_first:
            total = keep * (total - hidden_bias) + hidden_bias + step
    return log_prob


@wrong("ar.nade_log_prob", says="times the work")
def naive(x, weights, hidden_bias, output, bias):
    log_prob = 0
    for d in range(x.shape[1]):
        h = torch.sigmoid(hidden_bias + x[:, :d] @ weights[:, :d].T)
        log_prob = log_prob + log_p(bias[d] + h @ output[d], x[:, d])
    return log_prob


@wrong("ar.nade_log_prob", says="times the work")
def naive_in_one_product(x, weights, hidden_bias, output, bias):
    before = torch.ones(x.shape[1], x.shape[1], dtype=x.dtype).tril(-1)
    h = torch.sigmoid(hidden_bias + torch.einsum("bj,hj,dj->bdh", x, weights, before))
    return log_p(bias + (h * output).sum(-1), x).sum(1)


@wrong("ar.nade_log_prob", says="the pixel knows itself")
def added_first(x, weights, hidden_bias, output, bias):
    return nade(x, weights, hidden_bias, output, bias, add_first=True)


@wrong("ar.nade_log_prob", says="the sum does not grow")
def one_term(x, weights, hidden_bias, output, bias):
    return nade(x, weights, hidden_bias, output, bias, keep=0)


@wrong("ar.nade_log_prob", says="sigmoid of the hidden units is missing")
def linear_hidden(x, weights, hidden_bias, output, bias):
    return nade(x, weights, hidden_bias, output, bias, squash=lambda a: a)


@wrong("ar.nade_log_prob", says="bias of the hidden units is missing")
def no_hidden_bias(x, weights, hidden_bias, output, bias):
    return nade(x, weights, 0 * hidden_bias, output, bias)


@wrong("ar.nade_log_prob", says="Each pixel knows all pixels")
def autoencoder(x, weights, hidden_bias, output, bias):
    return log_p(bias + torch.sigmoid(hidden_bias + x @ weights.T) @ output.T, x).sum(1)
