"""Wrong answers to the exercises of chapter 5, Boltzmann machines."""

import math

import torch
from torch.nn.functional import logsigmoid, one_hot, softplus

from wrong_answers import stored, wrong

# --- ising.conditional -----------------------------------------------------------------------------------------------


def around(spins):
    return spins.roll(1, 0) + spins.roll(-1, 0) + spins.roll(1, 1) + spins.roll(-1, 1)


@wrong("ising.conditional", says="A factor 2 is missing")
def without_two(spins, beta, field):
    return torch.sigmoid(beta * (around(spins) + field))


@wrong("ising.conditional", says="turn away from their neighbours")
def spin_sign(spins, beta, field):
    return torch.sigmoid(-2 * beta * (around(spins) + field))


@wrong("ising.conditional", says="forgot the field")
def no_field(spins, beta, field):
    return torch.sigmoid(2 * beta * around(spins))


@wrong("ising.conditional", says="did not multiply the field by β")
def field_without_beta(spins, beta, field):
    return torch.sigmoid(2 * (beta * around(spins) + field))


@wrong("ising.conditional", says="ends at its borders")
def open_borders(spins, beta, field):
    total = torch.zeros_like(spins)
    total[1:] += spins[:-1]
    total[:-1] += spins[1:]
    total[:, 1:] += spins[:, :-1]
    total[:, :-1] += spins[:, 1:]
    return torch.sigmoid(2 * beta * (total + field))


@wrong("ising.conditional", says="two of the four neighbours")
def each_pair_once(spins, beta, field):
    return torch.sigmoid(2 * beta * (spins.roll(1, 0) + spins.roll(1, 1) + field))


@wrong("ising.conditional", says="the value that the spin has now")
def own_value(spins, beta, field):
    return torch.sigmoid(2 * beta * spins * (around(spins) + field))


@wrong("ising.conditional", says="the mean of the spin")
def magnetisation(spins, beta, field):
    return torch.tanh(beta * (around(spins) + field))


@wrong("ising.conditional", says="your function overflows")
def ratio_of_exponentials(spins, beta, field):
    up = (beta * (around(spins) + field)).exp()
    down = (-beta * (around(spins) + field)).exp()
    return up / (up + down)


# --- hopfield.store --------------------------------------------------------------------------------------------------


def hebb(patterns, divisor=None):
    weights = patterns.T @ patterns / (patterns.shape[1] if divisor is None else divisor)
    return weights - torch.diag(weights.diag())


@wrong("hopfield.store", says="coupled to itself")
def diagonal_left(patterns):
    return patterns.T @ patterns / patterns.shape[1]


@wrong("hopfield.store", says="number of units N is missing")
def plain_sum(patterns):
    return hebb(patterns, 1)


@wrong("hopfield.store", says="number of patterns P")
def mean_over_patterns(patterns):
    return hebb(patterns, len(patterns))


@wrong("hopfield.store", says="attract each other")
def repelling(patterns):
    return -hebb(patterns)


@wrong("hopfield.store", says="you sum over the units")
def overlaps(patterns):
    return patterns @ patterns.T / patterns.shape[1]


@wrong("hopfield.store", says="subtracted the mean pattern")
def covariance(patterns):
    return hebb(patterns - patterns.mean(0))


@wrong("hopfield.store", says="mixes different patterns")
def outer_of_the_sum(patterns):
    return hebb(patterns.sum(0, keepdim=True))


@wrong("hopfield.store", says="P / N stands there")
def identity_subtracted(patterns):
    return patterns.T @ patterns / patterns.shape[1] - torch.eye(patterns.shape[1], dtype=patterns.dtype)


# --- hopfield.recall -------------------------------------------------------------------------------------------------


def walk(weights, state, order, sign=1, tie=None):
    state = state.clone()
    for i in order.tolist():
        pull = sign * (weights[i] @ state)
        if pull != 0:
            state[i] = pull.sign()
        elif tie is not None:
            state[i] = tie
    return state


@wrong("hopfield.recall", says="rises at every step")
def uphill(weights, state, order):
    return walk(weights, state, order, sign=-1)


@wrong("hopfield.recall", says="from the state at the start")
def stale_pull(weights, state, order):
    pull, state = weights @ state, state.clone()
    for i in order:
        state[i] = pull[i].sign()
    return state


@wrong("hopfield.recall", says="may oscillate")
def synchronous(weights, state, order):
    for _ in order:
        state = torch.sign(weights @ state)
    return state


@wrong("hopfield.recall", says="instead of following `order`")
def own_order(weights, state, order):
    return walk(weights, state, torch.arange(len(state)))


@wrong("hopfield.recall", says="backwards")
def backwards(weights, state, order):
    return walk(weights, state, order.flip(0))


@wrong("hopfield.recall", says="without any pull becomes 0")
def sign_of_zero(weights, state, order):
    return walk(weights, state, order, tie=0)


@wrong("hopfield.recall", says="without any pull becomes +1")
def at_least_zero(weights, state, order):
    return walk(weights, state, order, tie=1)


@wrong("hopfield.recall", says="without any pull becomes −1")
def above_zero(weights, state, order):
    return walk(weights, state, order, tie=-1)


@wrong("hopfield.recall", says="changes its argument `state` in place")
def in_place(weights, state, order):
    for i in order:
        state[i] = torch.sign(weights[i] @ state)
    return state


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


def probabilities(x, weights, bias):
    return torch.sigmoid(bias + x @ weights)


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


@wrong("rbm.gibbs_step", says="`torch.bool`, expected `torch.float64`")
def booleans(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = uniform_hidden < probabilities(v, weights, hidden_bias)
    return h, uniform_visible < probabilities(h.double(), weights.T, visible_bias)


# --- rbm.log_partition -----------------------------------------------------------------------------------------------


def states(n):
    return torch.tensor([[k >> j & 1 for j in range(n)] for k in range(2**n)], dtype=torch.float64)


def log_weights_of_h(weights, visible_bias, hidden_bias, h):
    return h @ hidden_bias + softplus(visible_bias + h @ weights.T).sum(-1)


@wrong("rbm.log_partition", says="This is Z, not its logarithm")
def partition(weights, visible_bias, hidden_bias):
    return log_weights_of_h(weights, visible_bias, hidden_bias, states(len(hidden_bias))).exp().sum()


@wrong("rbm.log_partition", says="forgot the hidden biases")
def partition_without_c(weights, visible_bias, hidden_bias):
    return log_weights_of_h(weights, visible_bias, 0 * hidden_bias, states(len(hidden_bias))).logsumexp(0)


@wrong("rbm.log_partition", says="sign of the energy")
def exp_of_energy(weights, visible_bias, hidden_bias):
    return log_weights_of_h(-weights, -visible_bias, -hidden_bias, states(len(hidden_bias))).logsumexp(0)


@wrong("rbm.log_partition", says="average over the hidden states")
def mean_over_h(weights, visible_bias, hidden_bias):
    log_w = log_weights_of_h(weights, visible_bias, hidden_bias, states(len(hidden_bias)))
    return log_w.logsumexp(0) - math.log(len(log_w))


@wrong("rbm.log_partition", says="left out the last state")
def last_state_missing(weights, visible_bias, hidden_bias):
    return log_weights_of_h(weights, visible_bias, hidden_bias, states(len(hidden_bias))[:-1]).logsumexp(0)


@wrong("rbm.log_partition", says="hidden units are −1 and +1")
def spins_for_bits(weights, visible_bias, hidden_bias):
    return log_weights_of_h(weights, visible_bias, hidden_bias, 2 * states(len(hidden_bias)) - 1).logsumexp(0)


@wrong("rbm.log_partition", says="one hidden unit on each")
def one_unit_each(weights, visible_bias, hidden_bias):
    unit = torch.eye(len(hidden_bias), dtype=weights.dtype)
    return log_weights_of_h(weights, visible_bias, hidden_bias, unit).logsumexp(0)


@wrong("rbm.log_partition", says="overflows")
def not_in_log_space(weights, visible_bias, hidden_bias):
    h = states(len(hidden_bias))
    return ((h @ hidden_bias).exp() * (1 + (visible_bias + h @ weights.T).exp()).prod(-1)).sum().log()


# --- rbm.contrastive_divergence --------------------------------------------------------------------------------------


def statistics(v, weights, hidden_bias, h=None):
    h = torch.sigmoid(hidden_bias + v @ weights) if h is None else h
    return v.T @ h / len(v), v.mean(0), h.mean(0)


def minus(first, second):
    return tuple(a - b for a, b in zip(first, second, strict=True))


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


# --- rbm.ais_log_partition -------------------------------------------------------------------------------------------


def increments(w, b, c, a, betas, v, *, temper_c=True, keep_a=True):
    def log_p(beta, v):
        pull = beta * (c + v @ w) if temper_c else c + beta * v @ w
        return v @ ((1 - beta) * a * keep_a + beta * b) + softplus(pull).sum(-1)

    return sum(log_p(betas[k + 1], v[k]) - log_p(betas[k], v[k]) for k in range(len(v)))


def log_mean(log_w):
    return log_w.logsumexp(0) - math.log(len(log_w))


def base(a, n_hidden):
    return n_hidden * math.log(2) + softplus(a).sum()


@wrong("rbm.ais_log_partition", says="average the logarithms of the weights")
def mean_of_logs(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states)
    return base(base_bias, len(hidden_bias)) + log_w.mean()


@wrong("rbm.ais_log_partition", says="sum over the chains")
def sum_over_chains(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states)
    return base(base_bias, len(hidden_bias)) + log_w.logsumexp(0)


@wrong("rbm.ais_log_partition", says="forgot log Z of the base")
def ratio_only(weights, visible_bias, hidden_bias, base_bias, betas, states):
    return log_mean(increments(weights, visible_bias, hidden_bias, base_bias, betas, states))


@wrong("rbm.ais_log_partition", says="lacks the hidden units")
def base_without_hidden(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states)
    return softplus(base_bias).sum() + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="upside down")
def reversed_weights(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = -increments(weights, visible_bias, hidden_bias, base_bias, betas, states)
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="reverse order")
def reversed_states(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states.flip(0))
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="in one step")
def plain_importance_sampling(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas[[0, -1]], states[-1:])
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="β mixes the parameters")
def geometric_path(weights, visible_bias, hidden_bias, base_bias, betas, states):
    gap = states @ (visible_bias - base_bias) + softplus(hidden_bias + states @ weights).sum(-1)
    log_w = (betas.diff()[:, None] * (gap - len(hidden_bias) * math.log(2))).sum(0)
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="biases of the base model are missing")
def without_base_bias(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states, keep_a=False)
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="do not temper the hidden biases")
def hidden_bias_not_tempered(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states, temper_c=False)
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)


@wrong("rbm.ais_log_partition", says="overflows")
def mean_of_weights(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, states)
    return base(base_bias, len(hidden_bias)) + log_w.exp().mean().log()


# --- rbm.softmax_conditional -----------------------------------------------------------------------------------------


def recommend(seen, weights, visible_bias, hidden_bias, axis=-1):
    h = torch.sigmoid(hidden_bias + torch.einsum("bmk,mkh->bh", seen, weights))
    return h, (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).softmax(axis)


def rated(ratings, levels):
    return one_hot(ratings.clamp_min(0), levels).double() * (ratings >= 0)[..., None]


@wrong("rbm.softmax_conditional", says="missing rating as level 0")
def missing_is_zero(ratings, weights, visible_bias, hidden_bias):
    seen = one_hot(ratings.clamp_min(0), weights.shape[1]).double()
    return recommend(seen, weights, visible_bias, hidden_bias)


@wrong("rbm.softmax_conditional", says="missing rating as the highest level")
def missing_is_the_last(ratings, weights, visible_bias, hidden_bias):
    picked = weights[torch.arange(len(weights)), ratings]  # (B, M, H)
    h = torch.sigmoid(hidden_bias + picked.sum(1))
    return h, (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).softmax(-1)


@wrong("rbm.softmax_conditional", says="sigmoid for each level")
def sigmoid_for_softmax(ratings, weights, visible_bias, hidden_bias):
    h, _ = recommend(rated(ratings, weights.shape[1]), weights, visible_bias, hidden_bias)
    return h, torch.sigmoid(visible_bias + torch.einsum("bh,mkh->bmk", h, weights))


@wrong("rbm.softmax_conditional", says="over the films, not over the levels")
def softmax_over_films(ratings, weights, visible_bias, hidden_bias):
    return recommend(rated(ratings, weights.shape[1]), weights, visible_bias, hidden_bias, axis=1)


@wrong("rbm.softmax_conditional", says="mean over the rated films")
def mean_over_films(ratings, weights, visible_bias, hidden_bias):
    seen = rated(ratings, weights.shape[1])
    count = (ratings >= 0).sum(-1).clamp_min(1)[:, None, None]
    return recommend(seen / count, weights, visible_bias, hidden_bias)


@wrong("rbm.softmax_conditional", says="number of stars")
def stars_as_numbers(ratings, weights, visible_bias, hidden_bias):
    stars = ratings.clamp_min(0).double()
    h = torch.sigmoid(hidden_bias + torch.einsum("bm,mkh->bh", stars, weights))
    return h, (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).softmax(-1)


@wrong("rbm.softmax_conditional", says="forgot the hidden biases")
def films_without_c(ratings, weights, visible_bias, hidden_bias):
    return recommend(rated(ratings, weights.shape[1]), weights, visible_bias, 0 * hidden_bias)


@wrong("rbm.softmax_conditional", says="forgot the visible biases")
def films_without_b(ratings, weights, visible_bias, hidden_bias):
    return recommend(rated(ratings, weights.shape[1]), weights, 0 * visible_bias, hidden_bias)


# --- rbm.stack_bound -------------------------------------------------------------------------------------------------


def stack(v, w1, b, c1, w2, b2, c2, *, entropy=1.0, prior=1.0, z=1.0, normalised=1.0, average=None):
    h = states(len(c1))
    log_z = log_weights_of_h(w2, b2, c2, states(len(c2))).logsumexp(0)
    log_prior = h @ b2 + softplus(c2 + h @ w2).sum(-1) - z * log_z
    pull = b + h @ w1.T
    log_p = prior * log_prior + v @ pull.T - normalised * softplus(pull).sum(-1)
    log_q = (v @ w1 + c1) @ h.T - softplus(v @ w1 + c1).sum(-1, keepdim=True)
    return (average or (lambda log_q, inside: (log_q.exp() * inside).sum(-1)))(log_q, log_p - entropy * log_q)


@wrong("rbm.stack_bound", says="forgot the entropy")
def bound_without_entropy(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, entropy=0)


@wrong("rbm.stack_bound", says="entropy of q has the wrong sign")
def bound_entropy_sign(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, entropy=-1)


@wrong("rbm.stack_bound", says="forgot log Z of the second machine")
def bound_without_z(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, z=0)


@wrong("rbm.stack_bound", says="p(v | h) is not normalised")
def bound_with_an_energy(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, normalised=0)


@wrong("rbm.stack_bound", says="forgot log p(h)")
def bound_without_prior(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, prior=0)


@wrong("rbm.stack_bound", says="equal weights")
def bound_of_equals(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    every = (weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2)
    return stack(v, *every, average=lambda log_q, inside: inside.mean(-1))


@wrong("rbm.stack_bound", says="This is log p(v) itself")
def exact(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    every = (weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2)
    return stack(v, *every, entropy=0, average=lambda log_q, inside: inside.logsumexp(-1))


@wrong("rbm.stack_bound", says="second one does not enter")
def first_machine_only(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    log_z = log_weights_of_h(weights_1, visible_bias, hidden_bias_1, states(len(hidden_bias_1))).logsumexp(0)
    return v @ visible_bias + softplus(hidden_bias_1 + v @ weights_1).sum(-1) - log_z


@wrong("rbm.stack_bound", says="mean of h into the logarithms")
def bound_at_the_mean(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    h = probabilities(v, weights_1, hidden_bias_1)
    log_z = log_weights_of_h(weights_2, bias_1, bias_2, states(len(bias_2))).logsumexp(0)
    log_prior = h @ bias_1 + softplus(bias_2 + h @ weights_2).sum(-1) - log_z
    pull = visible_bias + h @ weights_1.T
    entropy = -(h * h.log() + (1 - h) * (1 - h).log()).sum(-1)
    return log_prior + (v * pull - softplus(pull)).sum(-1) + entropy


# --- rbm.train -------------------------------------------------------------------------------------------------------


@stored
def contrastive_divergence(x, *, n_hidden=16, n_epochs=20, rate=0.05, sign=1.0, spread=0.01):
    """CD-1 that starts from the pixels' own frequencies."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape):
        return torch.rand(shape, generator=generator, dtype=x.dtype)

    w = spread * (uniform(x.shape[1], n_hidden) - 0.5)
    b, c = ((x.sum(0) + 1) / (len(x) + 2)).logit(), torch.zeros(n_hidden, dtype=x.dtype)
    for _ in range(n_epochs):
        for batch in torch.randperm(len(x), generator=generator).split(50):
            v = x[batch]
            h = (uniform(len(v), n_hidden) < torch.sigmoid(c + v @ w)).double()
            model = (uniform(*v.shape) < torch.sigmoid(b + h @ w.T)).double()
            steps = minus(statistics(v, w, c), statistics(model, w, c))
            w, b, c = (old + sign * rate * step for old, step in zip((w, b, c), steps, strict=True))
    return {"w": w, "b": b, "c": c}


def fit(x, **how):
    trained = contrastive_divergence(x, **how)
    return trained["w"], trained["b"], trained["c"]


@wrong("rbm.train", says="no better than independent pixels")
def independent_pixels(x_train):
    return fit(x_train, n_epochs=0)


@wrong("rbm.train", says="no better than independent pixels")
def one_epoch(x_train):
    return fit(x_train, n_epochs=1)


@wrong("rbm.train", says="you underfit")
def stopped_early(x_train):
    return fit(x_train, n_epochs=60)


@wrong("rbm.train", says="worse than independent pixels")
def downhill(x_train):
    return fit(x_train, sign=-1, n_epochs=3)


@wrong("rbm.train", says="hidden units are alike")
def no_random_start(x_train):
    return fit(x_train, spread=0, n_epochs=60)


@wrong("rbm.train", says="at most 16 are allowed")
def too_many_units(x_train):
    return fit(x_train, n_hidden=64, n_epochs=1)


@wrong("rbm.train", says="axes are swapped")
def weights_transposed(x_train):
    w, b, c = fit(x_train, n_epochs=1)
    return w.T, b, c


@wrong("rbm.train", says="training diverged")
def diverged(x_train):
    w, b, c = fit(x_train, n_epochs=0)
    return w / 0, b, c
