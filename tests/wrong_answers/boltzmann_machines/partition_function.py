"""Wrong answers of chapter 5: log Z, exact and by annealed importance sampling."""

import math

import torch
from torch.nn.functional import softplus

from wrong_answers import wrong
from wrong_answers.boltzmann_machines._shared import log_weights_of_h, states

# --- rbm.log_partition -----------------------------------------------------------------------------------------------


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


def all_states(n):
    return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).double()


@wrong("rbm.log_partition", says="You add H log 2")
def minus_log2h(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + softplus(visible_bias + h @ weights.T).sum(-1)).logsumexp(0) + len(
        hidden_bias
    ) * math.log(2)


@wrong("rbm.log_partition", says="There is a ½ before the softplus")
def half_soft_z(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + 0.5 * softplus(visible_bias + h @ weights.T).sum(-1)).logsumexp(0)


@wrong("rbm.log_partition", says="This is the largest term")
def largest(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + softplus(visible_bias + h @ weights.T).sum(-1)).max()


@wrong("rbm.log_partition", says="The exponential is missing before the sum")
def no_exponential(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + softplus(visible_bias + h @ weights.T).sum(-1)).sum().log()


@wrong("rbm.log_partition", says="The hidden biases have the wrong sign")
def negative_bias(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (softplus(visible_bias + h @ weights.T).sum(-1) - h @ hidden_bias).logsumexp(0)


@wrong("rbm.log_partition", says="The weights W are missing")
def independent(weights, visible_bias, hidden_bias):
    return softplus(hidden_bias).sum() + softplus(visible_bias).sum()


@wrong("rbm.log_partition", says="You use relu: that picks the best v, and does not sum over both values")
def relu_z(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + (visible_bias + h @ weights.T).relu().sum(-1)).logsumexp(0)


@wrong("rbm.log_partition", says="The pull on the visible units has the wrong sign")
def minus_state(weights, visible_bias, hidden_bias):
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + softplus(-visible_bias - h @ weights.T).sum(-1)).logsumexp(0)


@wrong("rbm.log_partition", says="The visible biases count twice")
def b_twice(weights, visible_bias, hidden_bias):
    h = states(len(hidden_bias))
    log_w = log_weights_of_h(weights, visible_bias, hidden_bias, h)
    return (log_w + h @ weights.T @ visible_bias).logsumexp(0)


@wrong("rbm.log_partition", says="overflows")
def exponential_inside(weights, visible_bias, hidden_bias):
    h = states(len(hidden_bias))
    return (h @ hidden_bias + (1 + (visible_bias + h @ weights.T).exp()).log().sum(-1)).logsumexp(0)


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


def ais_parts(W, b, c, a, betas, states, lw=None, base=None, inc=None):
    pull = c + states @ W

    def lp(be):
        be = be[:, None, None]
        return (states * ((1 - be) * a + be * b)).sum(-1) + softplus(be * pull).sum(-1)

    return ((lp(betas[1:]) - lp(betas[:-1])).sum(0), len(c) * math.log(2) + softplus(a).sum())


@wrong("rbm.ais_log_partition", says="You take the best chain alone")
def best_chain(*x):
    log_w, z = ais_parts(*x)
    return z + log_w.max()


@wrong("rbm.ais_log_partition", says="You divide by the number of steps, not of chains")
def divided_by_steps(*x):
    log_w, z = ais_parts(*x)
    return z + log_w.logsumexp(0) - math.log(len(x[5]))


@wrong("rbm.ais_log_partition", says="You subtract log Z₀")
def base_subtracted(*x):
    log_w, z = ais_parts(*x)
    return log_w.logsumexp(0) - math.log(len(log_w)) - z


@wrong("rbm.ais_log_partition", says="log Z₀ counts the visible units where it should count the hidden ones")
def visible_log_two(*x):
    log_w, z = ais_parts(*x)
    return log_w.logsumexp(0) - math.log(len(log_w)) + z + (x[0].shape[0] - x[0].shape[1]) * math.log(2)


@wrong("rbm.ais_log_partition", says="log Z₀ lacks the base biases a")
def all_log_two(*x):
    log_w, _z = ais_parts(*x)
    return log_w.logsumexp(0) - math.log(len(log_w)) + (x[0].shape[0] + x[0].shape[1]) * math.log(2)


@wrong("rbm.ais_log_partition", says="The last step is missing")
def last_step_missing(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w, z = ais_parts(weights, visible_bias, hidden_bias, base_bias, betas[:-1], states[:-1])
    return z + log_w.logsumexp(0) - math.log(len(log_w))


@wrong("rbm.ais_log_partition", says="The first step is missing")
def first_step_missing(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w, z = ais_parts(weights, visible_bias, hidden_bias, base_bias, betas[1:], states[1:])
    return z + log_w.logsumexp(0) - math.log(len(log_w))


@wrong("rbm.ais_log_partition", says="You use the state of the next step")
def next_state(weights, visible_bias, hidden_bias, base_bias, betas, states):
    log_w, z = ais_parts(weights, visible_bias, hidden_bias, base_bias, betas, states.roll(-1, 0))
    return z + log_w.logsumexp(0) - math.log(len(log_w))


@wrong("rbm.ais_log_partition", says="Your estimate overflows")
def mean_of_weights_no_log(*x):
    log_w, z = ais_parts(*x)
    return z + log_w.exp().mean().log()


@wrong("rbm.ais_log_partition", says="state of the next step")
def next_states(weights, visible_bias, hidden_bias, base_bias, betas, states):
    after = torch.cat([states[1:], states[-1:]])
    log_w = increments(weights, visible_bias, hidden_bias, base_bias, betas, after)
    return base(base_bias, len(hidden_bias)) + log_mean(log_w)
