"""Wrong answers of chapter 5: the restricted machine: energy, sampling, training, pseudo-likelihood."""

import torch
from torch.nn.functional import logsigmoid, softplus

from wrong_answers import wrong
from wrong_answers.boltzmann_machines._shared import minus, probabilities, statistics

# --- rbm.free_energy -------------------------------------------------------------------------------------------------


@wrong("rbm.free_energy", says="this is −F(v)")
def log_of_the_sum(v, weights, visible_bias, hidden_bias):
    return v @ visible_bias + softplus(hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="forgot the visible biases")
def free_energy_without_b(v, weights, visible_bias, hidden_bias):
    return -softplus(hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="forgot the hidden biases")
def free_energy_without_c(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - softplus(v @ weights).sum(-1)


@wrong("rbm.free_energy", says="exponential stands where the softplus belongs")
def exponential(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (hidden_bias + v @ weights).exp().sum(-1)


@wrong("rbm.free_energy", says="all hidden units on")
def all_on(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="lowest energy of any h")
def rectified(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (hidden_bias + v @ weights).relu().sum(-1)


@wrong("rbm.free_energy", says="its entropy is missing")
def at_the_mean(v, weights, visible_bias, hidden_bias):
    pull = hidden_bias + v @ weights
    return -v @ visible_bias - (torch.sigmoid(pull) * pull).sum(-1)


@wrong("rbm.free_energy", says="argument of the softplus has the wrong sign")
def softplus_of_the_energy(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - softplus(-hidden_bias - v @ weights).sum(-1)


@wrong("rbm.free_energy", says="overflows for large weights")
def naive_softplus(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (1 + (hidden_bias + v @ weights).exp()).log().sum(-1)


@wrong("rbm.free_energy", says="a value for each hidden unit")
def not_summed(v, weights, visible_bias, hidden_bias):
    return -(v @ visible_bias)[:, None] - softplus(hidden_bias + v @ weights)


# --- rbm.gibbs_step --------------------------------------------------------------------------------------------------


@wrong("rbm.gibbs_step", says="h are upside down")
def above(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden > probabilities(v, weights, hidden_bias)).double()
    return h, (uniform_visible > probabilities(h, weights.T, visible_bias)).double()


@wrong("rbm.gibbs_step", says="h are probabilities")
def mean_h(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = probabilities(v, weights, hidden_bias)
    return h, (uniform_visible < probabilities(h, weights.T, visible_bias)).double()


@wrong("rbm.gibbs_step", says="not from its sample")
def v_from_mean_h(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    p = probabilities(v, weights, hidden_bias)
    v = (uniform_visible < probabilities(p, weights.T, visible_bias)).double()
    return (uniform_hidden < p).double(), v


@wrong("rbm.gibbs_step", says="new v are probabilities")
def mean_v(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < probabilities(v, weights, hidden_bias)).double()
    return h, probabilities(h, weights.T, visible_bias)


@wrong("rbm.gibbs_step", says="round h")
def rounded(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = probabilities(v, weights, hidden_bias).round()
    return h, probabilities(h, weights.T, visible_bias).round()


@wrong("rbm.gibbs_step", says="forgot the visible biases")
def step_without_b(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < probabilities(v, weights, hidden_bias)).double()
    return h, (uniform_visible < torch.sigmoid(h @ weights.T)).double()


@wrong("rbm.gibbs_step", says="forgot the hidden biases")
def step_without_c(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(v @ weights)).double()
    return h, (uniform_visible < probabilities(h, weights.T, visible_bias)).double()


@wrong("rbm.gibbs_step", says="`torch.float64`, not `torch.bool`")
def booleans(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = uniform_hidden < probabilities(v, weights, hidden_bias)
    return h, uniform_visible < probabilities(h.double(), weights.T, visible_bias)


# --- rbm.contrastive_divergence --------------------------------------------------------------------------------------


@wrong("rbm.contrastive_divergence", says="wrong sign")
def model_minus_data(v_data, v_model, weights, hidden_bias):
    return minus(statistics(v_model, weights, hidden_bias), statistics(v_data, weights, hidden_bias))


@wrong("rbm.contrastive_divergence", says="is a sum over the examples")
def summed(v_data, v_model, weights, hidden_bias):
    first, second = statistics(v_data, weights, hidden_bias), statistics(v_model, weights, hidden_bias)
    return minus([len(v_data) * a for a in first], [len(v_model) * a for a in second])


@wrong("rbm.contrastive_divergence", says="lacks the model's term")
def data_only(v_data, v_model, weights, hidden_bias):
    return statistics(v_data, weights, hidden_bias)


@wrong("rbm.contrastive_divergence", says="use p(h | data)")
def hidden_of_the_data_twice(v_data, v_model, weights, hidden_bias):
    h = torch.sigmoid(hidden_bias + v_data @ weights)
    first, second = statistics(v_data, weights, hidden_bias), statistics(v_model, weights, hidden_bias)
    return first[0] - v_model.T @ h / len(v_model), first[1] - second[1], first[2] - second[2]


@wrong("rbm.contrastive_divergence", says="use the data's v")
def visible_of_the_data_twice(v_data, v_model, weights, hidden_bias):
    h = torch.sigmoid(hidden_bias + v_model @ weights)
    first, second = statistics(v_data, weights, hidden_bias), statistics(v_model, weights, hidden_bias)
    return first[0] - v_data.T @ h / len(v_data), first[1] - second[1], first[2] - second[2]


@wrong("rbm.contrastive_divergence", says="axes are swapped")
def gradient_transposed(v_data, v_model, weights, hidden_bias):
    w, b, c = minus(statistics(v_data, weights, hidden_bias), statistics(v_model, weights, hidden_bias))
    return w.T, b, c


@wrong("rbm.contrastive_divergence", says="you sample h")
def sampled(v_data, v_model, weights, hidden_bias):
    def draw(v):
        p = torch.sigmoid(hidden_bias + v @ weights)
        return (torch.rand_like(p) < p).double()

    first = statistics(v_data, weights, hidden_bias, draw(v_data))
    return minus(first, statistics(v_model, weights, hidden_bias, draw(v_model)))


@wrong("rbm.contrastive_divergence", says="forgot the hidden biases")
def gradient_without_c(v_data, v_model, weights, hidden_bias):
    return minus(statistics(v_data, weights, 0 * hidden_bias), statistics(v_model, weights, 0 * hidden_bias))


@wrong("rbm.contrastive_divergence", says="means of v and h")
def product_of_means(v_data, v_model, weights, hidden_bias):
    def means(v):
        h = torch.sigmoid(hidden_bias + v @ weights)
        return torch.outer(v.mean(0), h.mean(0)), v.mean(0), h.mean(0)

    return minus(means(v_data), means(v_model))


@wrong("rbm.contrastive_divergence", says="one divisor for both")
def divided_by_the_data(v_data, v_model, weights, hidden_bias):
    first, second = statistics(v_data, weights, hidden_bias), statistics(v_model, weights, hidden_bias)
    return minus(first, [len(v_model) / len(v_data) * a for a in second])


# --- rbm.pseudo_log_likelihood ---------------------------------------------------------------------------------------


def gaps(v, weights, visible_bias, hidden_bias):
    """F(v with unit i flipped) − F(v): (B, D)."""

    def energy(x):
        return -x @ visible_bias - softplus(hidden_bias + x @ weights).sum(-1)

    flipped = (v[:, None] - torch.eye(v.shape[1], dtype=v.dtype)).abs()
    return energy(flipped) - energy(v)[:, None]


@wrong("rbm.pseudo_log_likelihood", says="difference of free energies has the wrong sign")
def gap_sign(v, weights, visible_bias, hidden_bias):
    return logsigmoid(-gaps(v, weights, visible_bias, hidden_bias)).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="average over the units")
def mean_over_units(v, weights, visible_bias, hidden_bias):
    return logsigmoid(gaps(v, weights, visible_bias, hidden_bias)).mean(-1)


@wrong("rbm.pseudo_log_likelihood", says="not their logarithms")
def sum_of_probabilities(v, weights, visible_bias, hidden_bias):
    return torch.sigmoid(gaps(v, weights, visible_bias, hidden_bias)).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="log-odds")
def log_odds(v, weights, visible_bias, hidden_bias):
    return gaps(v, weights, visible_bias, hidden_bias).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="from its own hidden units")
def reconstruction(v, weights, visible_bias, hidden_bias):
    p = probabilities(probabilities(v, weights, hidden_bias), weights.T, visible_bias)
    return (v * p.log() + (1 - v) * (1 - p).log()).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="also where v_i is 0")
def always_of_one(v, weights, visible_bias, hidden_bias):
    return logsigmoid((2 * v - 1) * gaps(v, weights, visible_bias, hidden_bias)).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="sigmoid that underflowed")
def log_of_sigmoid(v, weights, visible_bias, hidden_bias):
    return torch.sigmoid(gaps(v, weights, visible_bias, hidden_bias)).log().sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="a logarithm of probabilities is negative")
def pseudo_loss(v, weights, visible_bias, hidden_bias):
    return -logsigmoid(gaps(v, weights, visible_bias, hidden_bias)).sum(-1)
