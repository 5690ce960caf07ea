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
