"""Wrong answers of chapter 4: a density of spirals."""

import math

import torch
from torch.distributions import MultivariateNormal

from wrong_answers import wrong

# --- gmm.held_out ----------------------------------------------------------------------------------------------------


def kernels(x, centers, width):
    squares = torch.cdist(x, centers).square()
    return (-squares / (2 * width**2)).logsumexp(-1) - math.log(len(centers) * 2 * math.pi * width**2)


@wrong("gmm.held_out", says="you underfit")
def one_gaussian(x_train):
    return MultivariateNormal(x_train.mean(0), x_train.T.cov()).log_prob


@wrong("gmm.held_out", says="you overfit")
def a_spike_on_each_point(x_train):
    return lambda x: kernels(x, x_train, 0.02)


@wrong("gmm.held_out", says="you underfit")
def too_smooth(x_train):
    return lambda x: kernels(x, x_train, 0.3)


@wrong("gmm.held_out", says="it integrates to 64")
def constant(x_train):
    return lambda x: torch.zeros_like(x[:, 0])


@wrong("gmm.held_out", says="it integrates to 12.6")
def factor_forgotten(x_train):
    return lambda x: kernels(x, x_train, 0.15) + math.log(4 * math.pi)


@wrong("gmm.held_out", says="which other points you are asked about")
def peeking(x_train):
    return lambda x: kernels(x, x, 0.02)


@wrong("gmm.held_out", says="not a function")
def numbers(x_train):
    return kernels(x_train, x_train, 0.06)
