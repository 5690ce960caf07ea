"""Wrong answers of chapter 5: softmax units, and the bound of a stack."""

import math

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


def conditionals(r, W, b, c):
    seen = one_hot(r + 1, W.shape[1] + 1)[..., 1:].to(W)
    h = torch.sigmoid(c + torch.einsum("bmk,mkh->bh", seen, W))
    return (h, b + torch.einsum("bh,mkh->bmk", h, W))


@wrong("rbm.softmax_conditional", says="You draw the hidden units")
def sampled_hidden(ratings, weights, visible_bias, hidden_bias):
    h, _p = conditionals(ratings, weights, visible_bias, hidden_bias)
    h = torch.bernoulli(h)
    return (h, (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).softmax(-1))


@wrong("rbm.softmax_conditional", says="You round the hidden units before you predict")
def rounded_hidden_for_levels(ratings, weights, visible_bias, hidden_bias):
    h, _p = conditionals(ratings, weights, visible_bias, hidden_bias)
    return (h, (visible_bias + torch.einsum("bh,mkh->bmk", h.round(), weights)).softmax(-1))


@wrong("rbm.softmax_conditional", says="You count levels from 1")
def ratings_from_one(ratings, weights, visible_bias, hidden_bias):
    return (lambda h, p: (h, p.softmax(-1)))(
        *conditionals(torch.where(ratings >= 0, (ratings + 1) % 4, ratings), weights, visible_bias, hidden_bias)
    )


@wrong("rbm.softmax_conditional", says="You subtract ½ from the hidden units")
def half_hidden(ratings, weights, visible_bias, hidden_bias):
    h, _p = conditionals(ratings, weights, visible_bias, hidden_bias)
    return (h, (visible_bias + torch.einsum("bh,mkh->bmk", h - 0.5, weights)).softmax(-1))


@wrong("rbm.softmax_conditional", says="The visible biases count twice")
def visible_twice(ratings, weights, visible_bias, hidden_bias):
    h, p = conditionals(ratings, weights, visible_bias, hidden_bias)
    return (h, (p + visible_bias).softmax(-1))


@wrong("rbm.softmax_conditional", says="You use a softmax for the hidden units")
def hidden_softmax(ratings, weights, visible_bias, hidden_bias):
    h, _p = conditionals(ratings, weights, visible_bias, hidden_bias)
    h = h.logit().softmax(-1)
    return (h, (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).softmax(-1))


@wrong("rbm.softmax_conditional", says="You return the likeliest level")
def argmax_level(ratings, weights, visible_bias, hidden_bias):
    h, p = conditionals(ratings, weights, visible_bias, hidden_bias)
    return (h, one_hot(p.argmax(-1), 4).double())


@wrong("rbm.softmax_conditional", says="You add the visible biases to the hidden units")
def visible_bias_in_hidden(ratings, weights, visible_bias, hidden_bias):
    seen = one_hot(ratings + 1, weights.shape[1] + 1)[..., 1:].to(weights)
    h = torch.sigmoid(
        hidden_bias
        + torch.einsum("bmk,mkh->bh", seen, weights)
        - torch.einsum("mk,mkh->h", visible_bias, weights) * 0.0
        + (seen * visible_bias).sum((1, 2))[:, None]
    )
    return (h, (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).softmax(-1))


@wrong("rbm.softmax_conditional", says="exponentials overflow for large biases")
def not_shifted(ratings, weights, visible_bias, hidden_bias):
    h, _p = conditionals(ratings, weights, visible_bias, hidden_bias)
    weight = (visible_bias + torch.einsum("bh,mkh->bmk", h, weights)).exp()
    return h, weight / weight.sum(-1, keepdim=True)


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


def all_states(n):
    return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).double()


def log_bernoulli(x, pull):
    return x @ pull.T - softplus(pull).sum(-1)


def energy(x, W, b, c):
    return -x @ b - softplus(c + x @ W).sum(-1)


def bound_terms(v, W1, b, c1, W2, b1, b2):
    h = all_states(len(c1))
    lz = -energy(h, W2, b1, b2)
    lp = lz - lz.logsumexp(0)
    ll = log_bernoulli(v, b + h @ W1.T)
    lq = log_bernoulli(h, c1 + v @ W1).T
    return (lp, ll, lq)


@wrong("rbm.stack_bound", says="You take the best h alone")
def best_h(*x):
    prior, likelihood, log_q = bound_terms(*x)
    return (prior + likelihood - log_q).amax(-1)


@wrong("rbm.stack_bound", says="You take the likeliest h alone")
def most_likely_h(*x):
    prior, likelihood, log_q = bound_terms(*x)
    i = log_q.argmax(-1, keepdim=True)
    return (prior + likelihood).gather(1, i).squeeze(1)


@wrong("rbm.stack_bound", says="Your p(h) is uniform: the second machine does not enter")
def uniform_prior(*x):
    prior, likelihood, log_q = bound_terms(*x)
    return (log_q.exp() * (likelihood - log_q - math.log(prior.shape[0]))).sum(-1)


@wrong("rbm.stack_bound", says="You forgot the entropy of q")
def no_q_in_log(*x):
    prior, likelihood, log_q = bound_terms(*x)
    return (log_q.exp() * (prior + likelihood)).sum(-1)


@wrong("rbm.stack_bound", says="The divergence of q from p(h) has the wrong sign")
def kl_turned(*x):
    prior, likelihood, log_q = bound_terms(*x)
    return (log_q.exp() * (likelihood + log_q - prior)).sum(-1)


@wrong("rbm.stack_bound", says="You weigh with p(h)")
def weighted_by_prior(*x):
    prior, likelihood, _log_q = bound_terms(*x)
    return (prior.exp() * likelihood).sum(-1)


@wrong("rbm.stack_bound", says="This is log p(v) itself, summed over all h")
def log_of_weighted(*x):
    prior, likelihood, log_q = bound_terms(*x)
    return (log_q.exp() * (prior + likelihood - log_q).exp()).sum(-1).log()


@wrong("rbm.stack_bound", says="You take the logarithm of the mean likelihood")
def importance(*x):
    _prior, likelihood, log_q = bound_terms(*x)
    return (log_q + likelihood).logsumexp(-1)


@wrong("rbm.stack_bound", says="In the second machine h meets the first machine's biases")
def prior_biases_exchanged(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    h = all_states(len(hidden_bias_1))
    lz = h @ hidden_bias_1 + softplus(bias_2 + h @ weights_2).sum(-1)
    lp = lz - lz.logsumexp(0)
    _prior, likelihood, log_q = bound_terms(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2)
    return (log_q.exp() * (lp + likelihood - log_q)).sum(-1)


@wrong("rbm.stack_bound", says="free energy F₂ has the wrong sign")
def free_energy_sign(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    two = -2 * log_weights_of_h(weights_2, bias_1, bias_2, states(len(bias_2))).logsumexp(0)
    return two + stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, prior=-1)


@wrong("rbm.stack_bound", says="For large weights your bound is not finite")
def logarithm_of_q(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    def average(log_q, inside):
        return (log_q.exp() * (inside + log_q - log_q.exp().log())).sum(-1)

    return stack(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2, average=average)
