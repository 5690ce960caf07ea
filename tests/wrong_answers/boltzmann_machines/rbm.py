"""Wrong answers of chapter 5: the restricted machine: energy, sampling, training, pseudo-likelihood."""

import math

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


@wrong("rbm.free_energy", says="its entropy is missing")
def at_the_mean(v, weights, visible_bias, hidden_bias):
    pull = hidden_bias + v @ weights
    return -v @ visible_bias - (torch.sigmoid(pull) * pull).sum(-1)


@wrong("rbm.free_energy", says="argument of the softplus has the wrong sign")
def softplus_of_the_energy(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - softplus(-hidden_bias - v @ weights).sum(-1)


@wrong("rbm.free_energy", says="a value for each hidden unit")
def not_summed(v, weights, visible_bias, hidden_bias):
    return -(v @ visible_bias)[:, None] - softplus(hidden_bias + v @ weights)


@wrong("rbm.free_energy", says="You average over the hidden units")
def mean_soft(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - softplus(hidden_bias + v @ weights).mean(-1)


@wrong("rbm.free_energy", says="All visible biases count, whether v is on or off")
def all_biases(v, weights, visible_bias, hidden_bias):
    return -visible_bias.sum() - softplus(hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="You average over h instead of summing")
def log_two(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (softplus(hidden_bias + v @ weights) - math.log(2)).sum(-1)


@wrong("rbm.free_energy", says="Your free energy overflows for large weights")
def log_of_exp(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (1 + (hidden_bias + v @ weights).exp()).log().sum(-1)


@wrong("rbm.free_energy", says="Your free energy is cut off for large weights")
def clamped_log(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (1 + (hidden_bias + v @ weights).clamp(max=50).exp()).log().sum(-1)


@wrong("rbm.free_energy", says="You sum inside the softplus")
def sum_inside(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - softplus((hidden_bias + v @ weights).sum(-1))


@wrong("rbm.free_energy", says="This is the lowest energy of any h")
def relu(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - (hidden_bias + v @ weights).relu().sum(-1)


@wrong("rbm.free_energy", says="You use log σ for the softplus")
def logsig(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - logsigmoid(hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="You take the softplus of the visible part, too")
def bias_soft(v, weights, visible_bias, hidden_bias):
    return -softplus(v * visible_bias).sum(-1) - softplus(hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="Every v gets the batch's mean")
def over_batch(v, weights, visible_bias, hidden_bias):
    return (-v @ visible_bias - softplus(hidden_bias + v @ weights).sum(-1)).mean().expand(len(v))


@wrong("rbm.free_energy", says="The hidden biases count twice")
def hidden_twice(v, weights, visible_bias, hidden_bias):
    return -v @ visible_bias - softplus(2 * hidden_bias + v @ weights).sum(-1)


@wrong("rbm.free_energy", says="by its argument too early")
def linear_beyond_five(v, weights, visible_bias, hidden_bias):
    pull = hidden_bias + v @ weights
    return -v @ visible_bias - softplus(pull, threshold=5).sum(-1)


@wrong("rbm.free_energy", says="by its argument too early")
def linear_beyond_ten(v, weights, visible_bias, hidden_bias):
    pull = hidden_bias + v @ weights
    return -v @ visible_bias - torch.where(pull > 10, pull, pull.clamp(max=10).exp().log1p()).sum(-1)


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


@wrong("rbm.gibbs_step", says="In your h a unit is 1 where its number is just its probability")
def at_most(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden <= torch.sigmoid(hidden_bias + v @ weights)).double()
    return (h, (uniform_visible <= torch.sigmoid(visible_bias + h @ weights.T)).double())


@wrong("rbm.gibbs_step", says="You draw random numbers of your own")
def bernoulli(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = torch.bernoulli(torch.sigmoid(hidden_bias + v @ weights))
    return (h, torch.bernoulli(torch.sigmoid(visible_bias + h @ weights.T)))


@wrong("rbm.gibbs_step", says="You use the first row of numbers for all")
def first_noise_row(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden[:1] < torch.sigmoid(hidden_bias + v @ weights)).double()
    return (h, (uniform_visible[:1] < torch.sigmoid(visible_bias + h @ weights.T)).double())


@wrong("rbm.gibbs_step", says="Your h should have shape (40, 4), not (40, 6)")
def order_swapped(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(hidden_bias + v @ weights)).double()
    return ((uniform_visible < torch.sigmoid(visible_bias + h @ weights.T)).double(), h)


@wrong("rbm.gibbs_step", says="The visible biases have the wrong sign")
def new_v_minus_bias(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(hidden_bias + v @ weights)).double()
    return (h, (uniform_visible < torch.sigmoid(h @ weights.T - visible_bias)).double())


@wrong("rbm.gibbs_step", says="The sign of the pull on v is wrong")
def new_v_negative(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(hidden_bias + v @ weights)).double()
    return (h, (uniform_visible < torch.sigmoid(-visible_bias - h @ weights.T)).double())


@wrong("rbm.gibbs_step", says="The hidden biases have the wrong sign")
def hidden_minus_bias(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(v @ weights - hidden_bias)).double()
    return (h, (uniform_visible < torch.sigmoid(visible_bias + h @ weights.T)).double())


@wrong("rbm.gibbs_step", says="Your h are −1 and +1")
def spins(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = 2 * (uniform_hidden < torch.sigmoid(hidden_bias + v @ weights)).double() - 1
    return (h, 2 * (uniform_visible < torch.sigmoid(visible_bias + h @ weights.T)).double() - 1)


@wrong("rbm.gibbs_step", says="There is a factor 2: units are 0 and 1")
def twice_the_pull(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(2 * (hidden_bias + v @ weights))).double()
    return (h, (uniform_visible < torch.sigmoid(2 * (visible_bias + h @ weights.T))).double())


@wrong("rbm.gibbs_step", says="You use a softmax: hidden units are independent given v")
def softmax_hidden(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < (hidden_bias + v @ weights).softmax(-1)).double()
    return (h, (uniform_visible < (visible_bias + h @ weights.T).softmax(-1)).double())


@wrong("rbm.gibbs_step", says="You use tanh for the sigmoid")
def tanh_probabilities(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.tanh(hidden_bias + v @ weights)).double()
    return (h, (uniform_visible < torch.tanh(visible_bias + h @ weights.T)).double())


@wrong("rbm.gibbs_step", says="Your new v do not look at h")
def bias_only_v(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < torch.sigmoid(hidden_bias + v @ weights)).double()
    return (h, (uniform_visible < torch.sigmoid(visible_bias).expand_as(uniform_visible)).double())


@wrong("rbm.gibbs_step", says="from h as −1 and +1")
def h_as_spins(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden < probabilities(v, weights, hidden_bias)).double()
    return h, (uniform_visible < probabilities(2 * h - 1, weights.T, visible_bias)).double()


@wrong("rbm.gibbs_step", says="with a bias of 1000 stays off")
def exponentials_divided(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    def probability(pull):
        return pull.exp() / (1 + pull.exp())

    h = (uniform_hidden < probability(hidden_bias + v @ weights)).double()
    return h, (uniform_visible < probability(visible_bias + h @ weights.T)).double()


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


def difference(a, b):
    return tuple((x - y for x, y in zip(a, b, strict=True)))


def means(v, W, c):
    h = torch.sigmoid(c + v @ W)
    return (v.T @ h / len(v), v.mean(0), h.mean(0))


@wrong("rbm.contrastive_divergence", says="Your gradient of the visible biases should have shape (5,)")
def biases_exchanged(v_data, v_model, weights, hidden_bias):
    x = difference(means(v_data, weights, hidden_bias), means(v_model, weights, hidden_bias))
    return (x[0], x[2], x[1])


@wrong("rbm.contrastive_divergence", says="You take the sigmoid of the mean pull")
def hidden_of_sum(v_data, v_model, weights, hidden_bias):
    x = difference(means(v_data, weights, hidden_bias), means(v_model, weights, hidden_bias))
    return (
        x[0],
        x[1],
        torch.sigmoid(hidden_bias + v_data.mean(0) @ weights) - torch.sigmoid(hidden_bias + v_model.mean(0) @ weights),
    )


@wrong("rbm.contrastive_divergence", says="You round p(h | v)")
def rounded_hidden(v_data, v_model, weights, hidden_bias):

    def f(v):
        return (lambda h: (v.T @ h / len(v), v.mean(0), h.mean(0)))(
            (torch.sigmoid(hidden_bias + v @ weights) > 0.5).double()
        )

    return difference(f(v_data), f(v_model))


@wrong("rbm.contrastive_divergence", says="Your gradient of the weights should have shape (5")
def transposed(v_data, v_model, weights, hidden_bias):
    x = difference(means(v_data, weights, hidden_bias), means(v_model, weights, hidden_bias))
    return (x[0].T, x[1], x[2])


@wrong("rbm.contrastive_divergence", says="The sigmoid is missing in p(h | v)")
def hidden_pull(v_data, v_model, weights, hidden_bias):
    x = difference(means(v_data, weights, hidden_bias), means(v_model, weights, hidden_bias))
    return (x[0], x[1], (v_data @ weights).mean(0) - (v_model @ weights).mean(0))


@wrong("rbm.contrastive_divergence", says="Your gradient of the hidden biases has the wrong sign")
def hidden_sign(v_data, v_model, weights, hidden_bias):
    x = difference(means(v_data, weights, hidden_bias), means(v_model, weights, hidden_bias))
    return (x[0], x[1], -x[2])


@wrong("rbm.contrastive_divergence", says="Your gradient of the visible biases is a sum over the examples")
def visible_sum(v_data, v_model, weights, hidden_bias):
    x = difference(means(v_data, weights, hidden_bias), means(v_model, weights, hidden_bias))
    return (x[0], x[1] * len(v_data), x[2])


@wrong("rbm.contrastive_divergence", says="You use the first example alone")
def first_examples(v_data, v_model, weights, hidden_bias):
    return difference(means(v_data[:1], weights, hidden_bias), means(v_model[:1], weights, hidden_bias))


@wrong("rbm.contrastive_divergence", says="two divisors are exchanged")
def divisors_exchanged(v_data, v_model, weights, hidden_bias):
    data, model = statistics(v_data, weights, hidden_bias), statistics(v_model, weights, hidden_bias)
    ratio = len(v_data) / len(v_model)
    return minus([t * ratio for t in data], [t / ratio for t in model])


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


def flips_of_one(v):
    return (v[:, None] - torch.eye(v.shape[1]).double()).abs()


def energy(x, W, b, c):
    return -x @ b - softplus(c + x @ W).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="You use the first unit for all")
def first_unit(v, weights, visible_bias, hidden_bias):
    f = flips_of_one(v)
    return (
        v.shape[1]
        * logsigmoid(
            energy(f, weights, visible_bias, hidden_bias) - energy(v, weights, visible_bias, hidden_bias)[:, None]
        )[:, 0]
    )


@wrong("rbm.pseudo_log_likelihood", says="You forgot the visible biases")
def without_visible_bias(v, weights, visible_bias, hidden_bias):
    return logsigmoid(
        energy(flips_of_one(v), weights, 0 * visible_bias, hidden_bias)
        - energy(v, weights, 0 * visible_bias, hidden_bias)[:, None]
    ).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="You forgot the hidden biases")
def without_hidden_bias(v, weights, visible_bias, hidden_bias):
    return logsigmoid(
        energy(flips_of_one(v), weights, visible_bias, 0 * hidden_bias)
        - energy(v, weights, visible_bias, 0 * hidden_bias)[:, None]
    ).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="You flip all units at once")
def all_flipped(v, weights, visible_bias, hidden_bias):
    return logsigmoid(energy(1 - v, weights, visible_bias, hidden_bias) - energy(v, weights, visible_bias, hidden_bias))


@wrong("rbm.pseudo_log_likelihood", says="A very unlikely unit costs too little")
def small_number(v, weights, visible_bias, hidden_bias):
    return (
        (
            torch.sigmoid(
                energy(flips_of_one(v), weights, visible_bias, hidden_bias)
                - energy(v, weights, visible_bias, hidden_bias)[:, None]
            )
            + 1e-10
        )
        .log()
        .sum(-1)
    )


@wrong("rbm.pseudo_log_likelihood", says="You sum before you take log σ")
def logsig_of_sum(v, weights, visible_bias, hidden_bias):
    return logsigmoid(
        (
            energy(flips_of_one(v), weights, visible_bias, hidden_bias)
            - energy(v, weights, visible_bias, hidden_bias)[:, None]
        ).sum(-1)
    )


@wrong("rbm.pseudo_log_likelihood", says="There is a ½ before the difference")
def half_pl(v, weights, visible_bias, hidden_bias):
    return logsigmoid(
        (
            energy(flips_of_one(v), weights, visible_bias, hidden_bias)
            - energy(v, weights, visible_bias, hidden_bias)[:, None]
        )
        / 2
    ).sum(-1)


@wrong("rbm.pseudo_log_likelihood", says="There is a factor 2 before the difference")
def twice_pl(v, weights, visible_bias, hidden_bias):
    return logsigmoid(
        2
        * (
            energy(flips_of_one(v), weights, visible_bias, hidden_bias)
            - energy(v, weights, visible_bias, hidden_bias)[:, None]
        )
    ).sum(-1)
