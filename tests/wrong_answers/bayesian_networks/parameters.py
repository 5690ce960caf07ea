"""Wrong answers of chapter 3: tables: their size, the joint that they make, their estimate."""

import math

import torch

from wrong_answers import wrong
from wrong_answers.bayesian_networks._shared import backwards, columns, entry

# --- bayesnet.count_parameters ---------------------------------------------------------------------------------------


def rows(parents, sizes, name):
    return math.prod(sizes[above] for above in parents[name])


@wrong("bayesnet.count_parameters", says="counted every entry")
def every_entry(parents, sizes):
    return sum(rows(parents, sizes, name) * sizes[name] for name in parents)


@wrong("bayesnet.count_parameters", says="subtracted 1 for each table")
def one_for_each_table(parents, sizes):
    return sum(rows(parents, sizes, name) * sizes[name] - 1 for name in parents)


@wrong("bayesnet.count_parameters", says="forgot the parents")
def without_parents(parents, sizes):
    return sum(sizes[name] - 1 for name in parents)


@wrong("bayesnet.count_parameters", says="the sizes multiply")
def added_sizes(parents, sizes):
    return sum((sizes[name] - 1) * max(1, sum(sizes[above] for above in parents[name])) for name in parents)


@wrong("bayesnet.count_parameters", says="subtract 1 from the parents' sizes")
def smaller_parents(parents, sizes):
    return sum(math.prod(sizes[one] - 1 for one in (*above, name)) for name, above in parents.items())


@wrong("bayesnet.count_parameters", says="all parents for binary")
def binary_parents(parents, sizes):
    return sum((sizes[name] - 1) * 2 ** len(above) for name, above in parents.items())


@wrong("bayesnet.count_parameters", says="forgot the variables without parents")
def no_roots(parents, sizes):
    return sum(rows(parents, sizes, name) * (sizes[name] - 1) for name in parents if parents[name])


@wrong("bayesnet.count_parameters", says="whole joint table")
def joint_table(parents, sizes):
    return math.prod(sizes.values()) - 1


# --- bayesnet.log_joint ----------------------------------------------------------------------------------------------


@wrong("bayesnet.log_joint", says="the product of the probabilities underflows")
def product_of_probabilities(x, parents, tables):
    return torch.stack([entry(x, parents, tables, name) for name in parents]).prod(0).log()


@wrong("bayesnet.log_joint", says="swapped the parents' axes")
def swapped_parents(x, parents, tables):
    return sum(entry(x, backwards(parents), tables, name).log() for name in parents)


@wrong("bayesnet.log_joint", says="variable's own axis first")
def own_axis_first(x, parents, tables):
    return sum(entry(x, parents, tables, name, (name, *parents[name])).log() for name in parents)


@wrong("bayesnet.log_joint", says="in the order of `tables`")
def columns_of_the_tables(x, parents, tables):
    return sum(entry(x, {other: parents[other] for other in tables}, tables, name).log() for name in parents)


@wrong("bayesnet.log_joint", says="whatever states the parents have")
def first_row(x, parents, tables):
    column = columns(x, parents)
    return sum(tables[name].reshape(-1, tables[name].shape[-1])[0, column[name]].log() for name in parents)


@wrong("bayesnet.log_joint", says="average over the parents' states")
def averaged_rows(x, parents, tables):
    column = columns(x, parents)
    return sum(tables[name].reshape(-1, tables[name].shape[-1]).mean(0)[column[name]].log() for name in parents)


@wrong("bayesnet.log_joint", says="the probability, not its logarithm")
def probability(x, parents, tables):
    return sum(entry(x, parents, tables, name).log() for name in parents).exp()


@wrong("bayesnet.log_joint", says="base 2")
def bits(x, parents, tables):
    return sum(entry(x, parents, tables, name).log2() for name in parents)


@wrong("bayesnet.log_joint", says="add the probabilities")
def sum_of_probabilities(x, parents, tables):
    return sum(entry(x, parents, tables, name) for name in parents).log()


@wrong("bayesnet.log_joint", says="one number for all rows")
def total(x, parents, tables):
    return sum(entry(x, parents, tables, name).log() for name in parents).sum()


@wrong("bayesnet.log_joint", says="left out the variables without parents")
def children_only(x, parents, tables):
    return sum(entry(x, parents, tables, name).log() for name in parents if parents[name])


@wrong("bayesnet.log_joint", says="must have log p = −∞")
def a_floor_for_safety(x, parents, tables):
    return sum((entry(x, parents, tables, name) + 1e-12).log() for name in parents)


# --- bayesnet.fit_table ----------------------------------------------------------------------------------------------


def counts(x, name, parents, sizes, order=1):
    column = columns(x, parents)
    scope = (*parents[name][::order], name)
    count = torch.zeros([sizes[one] for one in scope], dtype=torch.float64)
    cells = tuple(column[one] for one in scope)
    return count.index_put_(cells, torch.ones(len(x), dtype=torch.float64), accumulate=True)


def shares(count, total):
    return torch.where(total > 0, count / total, 1 / count.shape[-1])


@wrong("bayesnet.fit_table", says="normalize the whole table")
def joint_shares(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes) + alpha
    return count / count.sum()


@wrong("bayesnet.fit_table", says="2 of 6 entries are wrong; all wrong entries are 0.5")
def one_row_is_none(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes) + alpha
    total = count.sum(-1, keepdim=True)
    return torch.where(total > 1, count / total, 1 / sizes[name])


@wrong("bayesnet.fit_table", says="normalize over the first axis")
def over_the_parent(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes) + alpha
    return shares(count, count.sum(0, keepdim=True))


@wrong("bayesnet.fit_table", says="add alpha to the counts, but not to what you divide by")
def alpha_above_only(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes)
    return shares(count + alpha, count.sum(-1, keepdim=True))


@wrong("bayesnet.fit_table", says="add alpha only to what you divide by")
def alpha_below_only(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes)
    return shares(count, count.sum(-1, keepdim=True) + alpha * sizes[name])


@wrong("bayesnet.fit_table", says="add alpha only once to the total")
def alpha_once(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes)
    return shares(count + alpha, count.sum(-1, keepdim=True) + alpha)


@wrong("bayesnet.fit_table", says="add alpha to one state only")
def alpha_in_one_state(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes)
    count[..., 0] += alpha
    return shares(count, count.sum(-1, keepdim=True))


@wrong("bayesnet.fit_table", says="ignore alpha")
def maximum_likelihood(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes)
    return shares(count, count.sum(-1, keepdim=True))


@wrong("bayesnet.fit_table", says="mode of the posterior")
def posterior_mode(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes) + max(alpha - 1, 0)
    return shares(count, count.sum(-1, keepdim=True))


@wrong("bayesnet.fit_table", says="swapped the parents' axes")
def counted_backwards(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes, order=-1) + alpha
    return shares(count, count.sum(-1, keepdim=True))


@wrong("bayesnet.fit_table", says="your table is 0/0")
def nothing_seen(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes) + alpha
    return count / count.sum(-1, keepdim=True)


@wrong("bayesnet.fit_table", says="counts, not probabilities")
def not_divided(x, name, parents, sizes, alpha):
    return counts(x, name, parents, sizes) + alpha


@wrong("bayesnet.fit_table", says="each state ½")
def a_half_where_unseen(x, name, parents, sizes, alpha):
    count = counts(x, name, parents, sizes) + alpha
    total = count.sum(-1, keepdim=True)
    return torch.where(total > 0, count / total, 0.5)
