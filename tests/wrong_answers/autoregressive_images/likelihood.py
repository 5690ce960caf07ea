"""Wrong answers of chapter 12: log p(x) by the chain rule, FVSBN and NADE."""

import math

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


@wrong("ar.chain_log_prob", says="With a logit of ±800 an image of log p = −1600 gets -200")
def cut_at_minus_100(logits, x):
    return -F.binary_cross_entropy(logits.sigmoid(), x, reduction="none").flatten(1).sum(1)


@wrong("ar.chain_log_prob", says="With a logit of ±800 an image of log p = −1600 gets -32.24")
def clamped(logits, x):
    p = logits.sigmoid().clamp(1e-07, 1 - 1e-07)
    return (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


@wrong("ar.chain_log_prob", says="With a logit of ±800 an image of log p = −1600 gets -55.26")
def small_number_in_the_log(logits, x):
    p = logits.sigmoid()
    return (x * (p + 1e-12).log() + (1 - x) * (1 - p + 1e-12).log()).flatten(1).sum(1)


@wrong("ar.chain_log_prob", says="You treat every pixel as a 1")
def every_pixel_a_one(logits, x):
    return F.logsigmoid(logits).flatten(1).sum(1)


@wrong("ar.chain_log_prob", says="Only the pixels that are 0 count")
def zeros_alone(logits, x):
    return ((1 - x) * F.logsigmoid(-logits)).flatten(1).sum(1)


@wrong("ar.chain_log_prob", says="This is a squared error")
def squared_error(logits, x):
    return -(x - logits.sigmoid()).square().flatten(1).sum(1)


def pixel_log_prob(logits, x):
    return F.logsigmoid(torch.where(x > 0.5, logits, -logits))


@wrong("ar.chain_log_prob", says="Every image gets the mean over all images")
def mean_over_images(logits, x):
    return pixel_log_prob(logits, x).flatten(1).sum(1).mean().expand(len(x))


@wrong("ar.chain_log_prob", says="You sum over the last row alone")
def last_row_alone(logits, x):
    return pixel_log_prob(logits, x)[:, -1].sum(1)


@wrong("ar.chain_log_prob", says="You take the logarithm of the mean probability")
def log_of_the_mean(logits, x):
    return pixel_log_prob(logits, x).exp().mean((1, 2)).log()


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


@wrong("ar.fvsbn_log_prob", says="The bias has the wrong sign")
def bias_subtracted(weights, bias, x):
    return pixel_log_prob(x @ weights.tril(-1).T - bias, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="The weights have the wrong sign")
def weights_subtracted(weights, bias, x):
    return pixel_log_prob(bias - x @ weights.tril(-1).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="Pixel d does not know pixel d − 1: two diagonals are gone")
def two_diagonals_gone(weights, bias, x):
    return pixel_log_prob(bias + x @ weights.tril(-2).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="You turned the pixels into −1 and +1")
def pixels_as_spins(weights, bias, x):
    return pixel_log_prob(bias + (2 * x - 1) @ weights.tril(-1).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="Zeros and ones are exchanged")
def zeros_and_ones_exchanged(weights, bias, x):
    return pixel_log_prob(-(bias + x @ weights.tril(-1).T), x).sum(1)


@wrong("ar.fvsbn_log_prob", says="Only the pixels that are 1 count")
def ones_alone(weights, bias, x):
    return (x * F.logsigmoid(bias + x @ weights.tril(-1).T)).sum(1)


@wrong("ar.fvsbn_log_prob", says="With large weights your logarithms are cut off")
def small_number(weights, bias, x):
    p = (bias + x @ weights.tril(-1).T).sigmoid()
    return (torch.where(x > 0.5, p, 1 - p) + 1e-12).log().sum(1)


@wrong("ar.fvsbn_log_prob", says="This is no distribution")
def first_pixel_missing(weights, bias, x):
    return pixel_log_prob(bias + x @ weights.tril(-1).T, x)[:, 1:].sum(1)


@wrong("ar.fvsbn_log_prob", says="This is no distribution")
def log_prob_in_bits(weights, bias, x):
    return pixel_log_prob(bias + x @ weights.tril(-1).T, x).sum(1) / math.log(2)


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


def gradient_parts(weights, bias, x):
    e = torch.sigmoid(bias + x @ weights.tril(-1).T) - x
    return ((e.T @ x / len(x)).tril(-1), e.mean(0), e)


@wrong("ar.fvsbn_gradient", says="The bias is missing in the prediction")
def bias_missing_in_prediction(weights, bias, x):
    a, b, _e = gradient_parts(weights, 0 * bias, x)
    return (a, b)


@wrong("ar.fvsbn_gradient", says="The bias is missing in the prediction")
def bias_missing_for_weights(weights, bias, x):
    return (gradient_parts(weights, 0 * bias, x)[0], gradient_parts(weights, bias, x)[1])


@wrong("ar.fvsbn_gradient", says="For the bias's gradient the bias is missing in the prediction")
def bias_missing_for_bias(weights, bias, x):
    return (gradient_parts(weights, bias, x)[0], gradient_parts(weights, 0 * bias, x)[1])


@wrong("ar.fvsbn_gradient", says="You turned the pixels into −1 and +1")
def input_as_spins(weights, bias, x):
    _a, b, e = gradient_parts(weights, bias, x)
    return ((e.T @ (2 * x - 1) / len(x)).tril(-1), b)


@wrong("ar.fvsbn_gradient", says="You multiply errors with errors")
def errors_twice(weights, bias, x):
    _a, b, e = gradient_parts(weights, bias, x)
    return ((e.T @ e / len(x)).tril(-1), b)


@wrong("ar.fvsbn_gradient", says="You multiply averages")
def product_of_means(weights, bias, x):
    _a, b, e = gradient_parts(weights, bias, x)
    return (torch.outer(e.mean(0), x.mean(0)).tril(-1), b)


@wrong("ar.fvsbn_gradient", says="You use the first image alone")
def first_image(weights, bias, x):
    _a, _b, e = gradient_parts(weights, bias, x)
    return (torch.outer(e[0], x[0]).tril(-1), e[0])


@wrong("ar.fvsbn_gradient", says="You add the weights: this is weight decay")
def weight_decay(weights, bias, x):
    a, b, _e = gradient_parts(weights, bias, x)
    return (a + weights, b)


@wrong("ar.fvsbn_gradient", says="In the bias's gradient x is not subtracted")
def prediction_for_bias(weights, bias, x):
    a, _b, e = gradient_parts(weights, bias, x)
    return (a, (e + x).mean(0))


@wrong("ar.fvsbn_gradient", says="For the bias you predict with all weights")
def all_weights_for_bias(weights, bias, x):
    return (gradient_parts(weights, bias, x)[0], (torch.sigmoid(bias + x @ weights.T) - x).mean(0))


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


def nade_with(x, weights, hidden_bias, output, bias, inside=torch.sigmoid, x2=None):
    total = hidden_bias.expand(len(x), -1)
    out = 0
    z = x if x2 is None else x2
    for d in range(x.shape[1]):
        out = out + pixel_log_prob(bias[d] + inside(total) @ output[d], x[:, d])
        total = total + z[:, d : d + 1] * weights[:, d]
    return out


@wrong("ar.nade_log_prob", says="Two sigmoids in the hidden units")
def sigmoid_twice_nade_log_prob(x, weights, hidden_bias, output, bias):
    return nade_with(x, weights, hidden_bias, output, bias, lambda a: a.sigmoid().sigmoid())


@wrong("ar.nade_log_prob", says="The bias of the hidden units has the wrong sign")
def hidden_bias_subtracted(x, weights, hidden_bias, output, bias):
    return nade_with(x, weights, -hidden_bias, output, bias)


@wrong("ar.nade_log_prob", says="The bias of the pixels has the wrong sign")
def bias_subtracted_nade(x, weights, hidden_bias, output, bias):
    return nade_with(x, weights, hidden_bias, output, -bias)


@wrong("ar.nade_log_prob", says="You turned the pixels into −1 and +1")
def pixels_as_spins_nade(x, weights, hidden_bias, output, bias):
    return nade_with(x, weights, hidden_bias, output, bias, x2=2 * x - 1)


@wrong("ar.nade_log_prob", says="No pixel knows another one: the running sum is never used")
def never_summed(x, weights, hidden_bias, output, bias):
    return nade_with(x, 0 * weights, hidden_bias, output, bias)


@wrong("ar.nade_log_prob", says="With large weights your logarithms are cut off")
def small_number_nade(x, weights, hidden_bias, output, bias):
    total = hidden_bias.expand(len(x), -1)
    out = 0
    for d in range(x.shape[1]):
        p = (bias[d] + total.sigmoid() @ output[d]).sigmoid()
        out = out + (torch.where(x[:, d] > 0.5, p, 1 - p) + 1e-12).log()
        total = total + x[:, d : d + 1] * weights[:, d]
    return out


@wrong("ar.nade_log_prob", says="add each column to the sigmoid of the sum")
def sigmoid_of_the_sigmoid(x, weights, hidden_bias, output, bias):
    total, hidden = 0, torch.sigmoid(hidden_bias).expand(len(x), -1)
    for d in range(x.shape[1]):
        odds = bias[d] + hidden @ output[d]
        total = total + x[:, d] * odds - torch.nn.functional.softplus(odds)
        hidden = torch.sigmoid(hidden + x[:, d : d + 1] * weights[:, d])
    return total
