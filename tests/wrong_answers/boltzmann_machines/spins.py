"""Wrong answers of chapter 5: the Ising model and Hopfield networks."""

import torch

from wrong_answers import wrong

# --- ising.conditional -----------------------------------------------------------------------------------------------


def around(spins):
    return spins.roll(1, 0) + spins.roll(-1, 0) + spins.roll(1, 1) + spins.roll(-1, 1)


@wrong("ising.conditional", says="A factor 2 is missing")
def without_two(spins, beta, field):
    return torch.sigmoid(beta * (around(spins) + field))


@wrong("ising.conditional", says="turn away from their neighbors")
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


@wrong("ising.conditional", says="two of the four neighbors")
def each_pair_once(spins, beta, field):
    return torch.sigmoid(2 * beta * (spins.roll(1, 0) + spins.roll(1, 1) + field))


@wrong("ising.conditional", says="the value that the spin has now")
def own_value(spins, beta, field):
    return torch.sigmoid(2 * beta * spins * (around(spins) + field))


@wrong("ising.conditional", says="the mean of the spin")
def magnetization(spins, beta, field):
    return torch.tanh(beta * (around(spins) + field))


@wrong("ising.conditional", says="your function overflows")
def ratio_of_exponentials(spins, beta, field):
    up = (beta * (around(spins) + field)).exp()
    down = (-beta * (around(spins) + field)).exp()
    return up / (up + down)


def neighbors(spins):
    return sum(spins.roll(step, axis) for step in (1, -1) for axis in (0, 1))


@wrong("ising.conditional", says="The field lacks the factor 2")
def field_once(spins, beta, field):
    return torch.sigmoid(2 * beta * neighbors(spins) + beta * field)


@wrong("ising.conditional", says="You did not multiply the field by β")
def field_without_beta_conditional(spins, beta, field):
    return torch.sigmoid(2 * beta * neighbors(spins) + 2 * field)


@wrong("ising.conditional", says="You did not multiply the neighbors by β")
def neighbors_without_beta(spins, beta, field):
    return torch.sigmoid(2 * neighbors(spins) + 2 * beta * field)


@wrong("ising.conditional", says="You say which value is likelier")
def hard(spins, beta, field):
    return (neighbors(spins) + field > 0).double()


@wrong("ising.conditional", says="You count the neighbors above and below only")
def rows_alone(spins, beta, field):
    return torch.sigmoid(2 * beta * (spins.roll(1, 0) + spins.roll(-1, 0) + field))


@wrong("ising.conditional", says="You count the neighbors left and right only")
def columns_alone(spins, beta, field):
    return torch.sigmoid(2 * beta * (spins.roll(1, 1) + spins.roll(-1, 1) + field))


@wrong("ising.conditional", says="This is the chance to flip")
def flip_probability(spins, beta, field):
    return torch.sigmoid(-2 * beta * spins * (neighbors(spins) + field))


@wrong("ising.conditional", says="You multiply the field with the spin's old value")
def spin_in_field(spins, beta, field):
    return torch.sigmoid(2 * beta * (neighbors(spins) + field * spins))


@wrong("ising.conditional", says="These are log-odds")
def only_energy(spins, beta, field):
    return 2 * beta * (neighbors(spins) + field)


@wrong("ising.conditional", says="roll the flattened grid")
def flattened(spins, beta, field):
    around = spins.roll(1, 0) + spins.roll(-1, 0) + spins.roll(1) + spins.roll(-1)
    return torch.sigmoid(2 * beta * (around + field))


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


def self_free(w):
    return w - w.diagonal().diag()


@wrong("hopfield.store", says="You store the first pattern alone")
def first_pattern(patterns):
    return self_free(torch.outer(patterns[0], patterns[0])) / patterns.shape[1]


@wrong("hopfield.store", says="Only the upper half is filled")
def upper_half(patterns):
    return (patterns.T @ patterns / patterns.shape[1]).triu(1)


@wrong("hopfield.store", says="You turned the spins into 0 and 1")
def zero_ones(patterns):
    q = (patterns + 1) / 2
    return self_free(q.T @ q / q.shape[1])


@wrong("hopfield.store", says="You subtracted from each pattern its mean")
def centered_units(patterns):
    q = patterns - patterns.mean(1, keepdim=True)
    return self_free(q.T @ q / q.shape[1])


@wrong("hopfield.store", says="You divide by N − 1")
def one_less(patterns):
    return self_free(patterns.T @ patterns) / (patterns.shape[1] - 1)


@wrong("hopfield.store", says="You put ones on the diagonal")
def diagonal_of_ones(patterns):
    return self_free(patterns.T @ patterns) / patterns.shape[1] + torch.eye(patterns.shape[1]).double()


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


def updated(W, s, order, rule):
    s = s.clone()
    for i in order.tolist():
        s[i] = rule(W, s, i)
    return s


@wrong("hopfield.recall", says="A unit without any pull becomes +1")
def tie_up(W, s, o):
    return updated(W, s, o, lambda W, s, i: 1.0 if W[i] @ s >= 0 else -1.0)


@wrong("hopfield.recall", says="A unit without any pull becomes −1")
def tie_down(W, s, o):
    return updated(W, s, o, lambda W, s, i: 1.0 if W[i] @ s > 0 else -1.0)


@wrong("hopfield.recall", says="You stop halfway through `order`")
def half_of_order(W, s, o):
    return updated(W, s, o[: len(o) // 2], lambda W, s, i: (W[i] @ s).sign())


@wrong("hopfield.recall", says="A unit listens to its own old value, too")
def own_value_too(W, s, o):
    return updated(W, s, o, lambda W, s, i: (W[i] @ s + s[i]).sign())


@wrong("hopfield.recall", says="couplings are a million times smaller")
def tolerant(weights, state, order):
    state = state.clone()
    for i in order.tolist():
        pull = weights[i] @ state
        if pull.abs() > 1e-3:
            state[i] = pull.sign()
    return state
