"""Wrong answers of chapter 5: softmax units, and the bound of a stack."""

import torch
from torch.nn.functional import one_hot, softplus

from wrong_answers import wrong
from wrong_answers.boltzmann_machines._shared import log_weights_of_h, probabilities, states

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


def stack(v, w1, b, c1, w2, b2, c2, *, entropy=1.0, prior=1.0, z=1.0, normalized=1.0, average=None):
    h = states(len(c1))
    log_z = log_weights_of_h(w2, b2, c2, states(len(c2))).logsumexp(0)
    log_prior = h @ b2 + softplus(c2 + h @ w2).sum(-1) - z * log_z
    pull = b + h @ w1.T
    log_p = prior * log_prior + v @ pull.T - normalized * softplus(pull).sum(-1)
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


@wrong("rbm.stack_bound", says="p(v | h) is not normalized")
def bound_with_an_energy(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, normalized=0)


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
