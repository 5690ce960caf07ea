"""Wrong answers of chapter 3: trees from data."""

import math
from itertools import combinations, pairwise

import torch

from wrong_answers import wrong
from wrong_answers.bayesian_networks._shared import information, tree

# --- bayesnet.chow_liu -----------------------------------------------------------------------------------------------


@wrong("bayesnet.chow_liu", says="minimum spanning tree")
def least_information(x, sizes):
    mutual = information(x, sizes)
    return mutual, tree(mutual, sizes, largest=False)


@wrong("bayesnet.chow_liu", says="in bits")
def information_in_bits(x, sizes):
    mutual = information(x, sizes) / math.log(2)
    return mutual, tree(mutual, sizes)


@wrong("bayesnet.chow_liu", says="0 · log 0")
def nan_where_nothing_meets(x, sizes):
    mutual = information(x, sizes, lambda p, q: (p * (p / q).log()).sum())
    return mutual, []


@wrong("bayesnet.chow_liu", says="joint entropy")
def joint_entropy(x, sizes):
    entropy = information(x, sizes, lambda p, q: -torch.xlogy(p, p).sum())
    return entropy, tree(entropy, sizes)


@wrong("bayesnet.chow_liu", says="left out the marginals")
def without_marginals(x, sizes):
    entropy = information(x, sizes, lambda p, q: torch.xlogy(p, p).sum())
    return entropy, tree(entropy, sizes)


@wrong("bayesnet.chow_liu", says="correlation of the states' numbers")
def correlation(x, sizes):
    found = x.double().T.corrcoef().abs()
    return found, tree(found, sizes)


@wrong("bayesnet.chow_liu", says="close a circle")
def heaviest_pairs(x, sizes):
    names, mutual = list(sizes), information(x, sizes)
    pairs = sorted(combinations(range(len(names)), 2), key=lambda pair: -mutual[pair].item())
    return mutual, [(names[i], names[j]) for i, j in pairs[: len(names) - 1]]


@wrong("bayesnet.chow_liu", says="You return 15 edges")
def all_pairs(x, sizes):
    return information(x, sizes), list(combinations(sizes, 2))


@wrong("bayesnet.chow_liu", says="the best one")
def a_chain(x, sizes):
    names = list(sizes)
    return information(x, sizes), list(pairwise(names))


@wrong("bayesnet.chow_liu", says="no pairs of names")
def numbers_for_names(x, sizes):
    return information(x, sizes), [(0, 1)]
