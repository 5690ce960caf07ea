"""Right answers to the exercises of chapter 5, by loops, enumeration, autograd and libraries."""

import itertools
import math

import numpy as np
import torch
from torch.distributions import Bernoulli, Categorical
from torch.nn.functional import conv2d, pad, softplus

from right_answers import right


@right("ising.conditional")
def by_two_energies(spins, beta, field):
    def energy(s):
        return -(s * torch.roll(s, 1, 0)).sum() - (s * torch.roll(s, 1, 1)).sum() - field * s.sum()

    p = torch.zeros_like(spins)
    for i, j in itertools.product(*map(range, spins.shape)):
        pair = []
        for value in (-1, 1):
            s = spins.clone()
            s[i, j] = value
            pair.append(-beta * energy(s))
        p[i, j] = torch.stack(pair).softmax(0)[1]
    return p


@right("ising.conditional")
def by_convolution(spins, beta, field):
    kernel = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=spins.dtype)[None, None]
    neighbors = conv2d(pad(spins[None, None], (1, 1, 1, 1), mode="circular"), kernel)[0, 0]
    return (1 + torch.tanh(beta * (neighbors + field))) / 2


@right("hopfield.store")
def pair_by_pair(patterns):
    n = patterns.shape[1]
    weights = torch.zeros(n, n, dtype=patterns.dtype)
    for i, j in itertools.permutations(range(n), 2):
        weights[i, j] = sum(x[i] * x[j] for x in patterns) / n
    return weights


@right("hopfield.store")
def one_pattern_at_a_time(patterns):
    weights = sum(torch.outer(x, x) for x in patterns) / patterns.shape[1]
    return weights.fill_diagonal_(0)


@right("hopfield.recall")
def by_flips_that_lower_the_energy(weights, state, order):
    state = state.clone()
    for i in order:
        change = 2 * state[i] * (weights[i] * state).sum()  # of the energy, were this spin flipped
        if change < 0:
            state[i] = -state[i]
    return state


@right("hopfield.recall")
def with_kept_pulls(weights, state, order):
    state, pulls = state.numpy().copy(), (weights @ state).numpy()
    couplings = weights.numpy()
    for i in order.numpy():
        new = state[i] if abs(pulls[i]) < 1e-12 else np.sign(pulls[i])
        pulls += couplings[:, i] * (new - state[i])
        state[i] = new
    return torch.from_numpy(state)


@right("rbm.free_energy")
def by_all_hidden_states(v, weights, visible_bias, hidden_bias):
    h = torch.tensor(list(itertools.product([0.0, 1.0], repeat=len(hidden_bias))), dtype=v.dtype)
    energy = -(v @ visible_bias)[:, None] - h @ hidden_bias - v @ weights @ h.T
    return -torch.logsumexp(-energy, dim=1)


@right("rbm.free_energy")
def unit_by_unit(v, weights, visible_bias, hidden_bias):
    total = -(v * visible_bias).sum(1)
    for j, bias in enumerate(hidden_bias):
        pull = bias + v @ weights[:, j]
        total = total - torch.logaddexp(pull, torch.zeros_like(pull))
    return total


@right("rbm.gibbs_step")
def one_example_at_a_time(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h, new = torch.zeros_like(uniform_hidden), torch.zeros_like(v)
    for b in range(len(v)):
        h[b] = torch.where(uniform_hidden[b] < 1 / (1 + torch.exp(-hidden_bias - weights.T @ v[b])), 1, 0)
        new[b] = torch.where(uniform_visible[b] < 1 / (1 + torch.exp(-visible_bias - weights @ h[b])), 1, 0)
    return [h, new]


@right("rbm.gibbs_step")
def by_log_odds(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible):
    h = (uniform_hidden.logit() < hidden_bias + v @ weights).double()
    return h, (uniform_visible.logit() < visible_bias + h @ weights.T).double()


@right("rbm.log_partition")
def unit_off_or_on(weights, visible_bias, hidden_bias):
    def total(pull, constant, j):
        """log of the sum over the states of the units from j on."""
        if j == len(hidden_bias):
            return constant + softplus(pull).sum()
        on = total(pull + weights[:, j], constant + hidden_bias[j], j + 1)
        return torch.logaddexp(total(pull, constant, j + 1), on)

    return total(visible_bias, torch.zeros((), dtype=weights.dtype), 0).item()


@right("rbm.contrastive_divergence")
def by_autograd(v_data, v_model, weights, hidden_bias):
    w, c = (t.clone().requires_grad_() for t in (weights, hidden_bias))
    b = torch.zeros(v_data.shape[1], dtype=v_data.dtype, requires_grad=True)

    def free_energy(v):
        return (-v @ b - softplus(c + v @ w).sum(-1)).mean()

    return torch.autograd.grad(free_energy(v_model) - free_energy(v_data), (w, b, c))


@right("rbm.contrastive_divergence")
def example_by_example(v_data, v_model, weights, hidden_bias):
    w, b, c = torch.zeros_like(weights), torch.zeros_like(v_data[0]), torch.zeros_like(hidden_bias)
    for sign, states in ((1, v_data), (-1, v_model)):
        for v in states:
            h = torch.sigmoid(hidden_bias + weights.T @ v)
            w = w + sign * torch.outer(v, h) / len(states)
            b, c = b + sign * v / len(states), c + sign * h / len(states)
    return w, b, c


@right("rbm.pseudo_log_likelihood")
def flip_by_flip(v, weights, visible_bias, hidden_bias):
    def log_p(x):
        return x @ visible_bias + torch.logaddexp(hidden_bias + x @ weights, torch.zeros_like(hidden_bias)).sum(1)

    total = torch.zeros_like(v[:, 0])
    for i in range(v.shape[1]):
        flipped = v.clone()
        flipped[:, i] = 1 - v[:, i]
        total = total + log_p(v) - torch.logaddexp(log_p(v), log_p(flipped))
    return total


@right("rbm.ais_log_partition")
def chain_by_chain(weights, visible_bias, hidden_bias, base_bias, betas, states):
    def log_p(v, beta):
        bias = (1 - beta) * base_bias + beta * visible_bias
        return v @ bias + softplus(beta * (hidden_bias + v @ weights)).sum()

    total = None
    for b in range(states.shape[1]):
        steps = zip(states[:, b], betas[:-1], betas[1:], strict=True)
        log_w = sum(log_p(v, after) - log_p(v, before) for v, before, after in steps)
        total = log_w if total is None else torch.logaddexp(total, log_w)
    log_z_base = softplus(base_bias).sum() + softplus(torch.zeros(len(hidden_bias))).sum()
    return (total - math.log(states.shape[1]) + log_z_base).item()


@right("rbm.softmax_conditional")
def film_by_film(ratings, weights, visible_bias, hidden_bias):
    pull = hidden_bias.repeat(len(ratings), 1)
    for b, person in enumerate(ratings.tolist()):
        for film, level in enumerate(person):
            if level >= 0:
                pull[b] += weights[film, level]
    h = 1 / (1 + torch.exp(-pull))
    films = [Categorical(logits=bias + h @ w.T).probs for bias, w in zip(visible_bias, weights, strict=True)]
    return h, torch.stack(films, dim=1)


@right("rbm.stack_bound")
def by_distributions_and_loops(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2):
    def all_states(n):
        return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=v.dtype)

    h, g = all_states(len(bias_1)), all_states(len(bias_2))
    joint = (h @ bias_1)[:, None] + g @ bias_2 + h @ weights_2 @ g.T
    log_prior = joint.logsumexp(1) - joint.logsumexp((0, 1))
    bounds = []
    for x in v:
        log_q = Bernoulli(logits=hidden_bias_1 + x @ weights_1).log_prob(h).sum(1)
        log_p = log_prior + Bernoulli(logits=visible_bias + h @ weights_1.T).log_prob(x).sum(1)
        # log p(v) minus the divergence of q from the posterior.
        bounds.append(torch.logsumexp(log_p, 0) - (log_q.exp() * (log_q - log_p.log_softmax(0))).sum())
    return torch.stack(bounds)


@right("rbm.train")
def by_the_exact_gradient(x_train):
    generator = torch.Generator().manual_seed(0)
    h = torch.tensor(list(itertools.product([0.0, 1.0], repeat=12)), dtype=x_train.dtype)
    w = 0.1 * torch.randn(64, 12, generator=generator, dtype=x_train.dtype)
    b, c = ((x_train.sum(0) + 1) / (len(x_train) + 2)).logit(), torch.zeros(12, dtype=x_train.dtype)
    parameters = [t.requires_grad_() for t in (w, b, c)]
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    for _ in range(300):
        log_z = (h @ c + softplus(b + h @ w.T).sum(1)).logsumexp(0)
        loss = log_z - (x_train @ b + softplus(c + x_train @ w).sum(1)).mean() + 1e-3 * w.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return parameters


@right("rbm.train")
def by_scikit_learn(x_train):
    from sklearn.neural_network import BernoulliRBM

    fitted = BernoulliRBM(16, learning_rate=0.05, batch_size=100, n_iter=600, random_state=0).fit(x_train)
    return tuple(
        torch.as_tensor(np.ascontiguousarray(a))
        for a in (fitted.components_.T, fitted.intercept_visible_, fitted.intercept_hidden_)
    )
