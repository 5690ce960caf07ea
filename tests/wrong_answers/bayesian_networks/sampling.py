"""Wrong answers of chapter 3: ancestral sampling, likelihood weighting, Gibbs sampling."""

import torch

from wrong_answers import wrong
from wrong_answers.bayesian_networks._shared import backwards, columns, entry, normalized

# --- bayesnet.ancestral_sample ---------------------------------------------------------------------------------------


def inverse(u, row):
    return (u[:, None] >= row.cumsum(-1)[:, :-1]).sum(-1)


def topological(parents):
    order = []
    while len(order) < len(parents):
        order += [name for name in parents if name not in order and set(parents[name]) <= set(order)]
    return order


def forward(u, parents, tables, *, order=None, pick=inverse, chance=None, look=True):
    names = list(parents)
    x = torch.zeros(u.shape, dtype=torch.int64)
    for i, name in enumerate(order or topological(parents)):
        row = tables[name][tuple(x[:, names.index(above)] for above in parents[name])]
        if not look:
            row = tables[name].flatten(0, -2).mean(0) if parents[name] else tables[name]
        at = names.index(name)
        x[:, at] = pick(u[:, at if chance is None else chance(i)], row.expand(len(u), -1))
    return x


@wrong("bayesnet.ancestral_sample", says="children before their parents")
def in_the_order_of_keys(u, parents, tables):
    return forward(u, parents, tables, order=list(parents))


@wrong("bayesnet.ancestral_sample", says="a state of probability 0")
def at_most(u, parents, tables):
    return forward(u, parents, tables, pick=lambda u, row: (u[:, None] > row.cumsum(-1)[:, :-1]).sum(-1))


@wrong("bayesnet.ancestral_sample", says="swapped the parents' axes")
def parents_swapped(u, parents, tables):
    return forward(u, backwards(parents), tables)


@wrong("bayesnet.ancestral_sample", says="in the order of drawing")
def chance_in_the_order_of_drawing(u, parents, tables):
    return forward(u, parents, tables, chance=lambda i: i)


@wrong("bayesnet.ancestral_sample", says="one uniform number for all variables")
def one_chance_for_all(u, parents, tables):
    return forward(u, parents, tables, chance=lambda i: 0)


@wrong("bayesnet.ancestral_sample", says="without looking at its parents")
def each_alone(u, parents, tables):
    return forward(u, parents, tables, look=False)


@wrong("bayesnet.ancestral_sample", says="the likeliest state")
def likeliest(u, parents, tables):
    return forward(u, parents, tables, pick=lambda u, row: row.argmax(-1))


@wrong("bayesnet.ancestral_sample", says="boundaries above u")
def boundaries_above(u, parents, tables):
    return forward(u, parents, tables, pick=lambda u, row: (u[:, None] < row.cumsum(-1)[:, :-1]).sum(-1))


@wrong("bayesnet.ancestral_sample", says="should be `torch.int64`, not")
def as_floats(u, parents, tables):
    return forward(u, parents, tables).double()


@wrong("bayesnet.ancestral_sample", says="go through the keys a few times")
def three_sweeps(u, parents, tables):
    return forward(u, parents, tables, order=3 * list(parents), chance=lambda i: i % len(parents))


@wrong("bayesnet.ancestral_sample", says="you draw state 0 of 0, 1, 2")
def first_state_where_none(u, parents, tables):
    return forward(u, parents, tables, pick=lambda u, row: (u[:, None] < row.cumsum(-1)).long().argmax(-1))


@wrong("bayesnet.ancestral_sample", says="you draw state 3 of 0, 1, 2")
def a_state_too_many(u, parents, tables):
    return forward(u, parents, tables, pick=lambda u, row: (u[:, None] >= row.cumsum(-1)).sum(-1))


# --- bayesnet.likelihood_weights -------------------------------------------------------------------------------------


def weighted(x, parents, tables, query, evidence, *, log_weights=None, share=None):
    if log_weights is None:
        log_weights = sum(entry(x, parents, tables, name).log() for name in evidence)
    states = torch.arange(tables[query].shape[-1])
    member = (columns(x, parents)[query][:, None] == states).double()
    return log_weights, (log_weights.softmax(0) if share is None else share(log_weights)) @ member


@wrong("bayesnet.likelihood_weights", says="whole joint")
def weights_of_all(x, parents, tables, query, evidence):
    joint = sum(entry(x, parents, tables, name).log() for name in parents)
    return weighted(x, parents, tables, query, evidence, log_weights=joint)


@wrong("bayesnet.likelihood_weights", says="must have the log-weight −∞")
def kept_from_zero(x, parents, tables, query, evidence):
    kept = sum(entry(x, parents, tables, name).clamp_min(1e-12).log() for name in evidence)
    return weighted(x, parents, tables, query, evidence, log_weights=kept)


@wrong("bayesnet.likelihood_weights", says="not with those observed")
def weights_of_the_drawn(x, parents, tables, query, evidence):
    drawn = sum(entry(x, parents, tables, name).log() for name in parents if name not in evidence)
    return weighted(x, parents, tables, query, evidence, log_weights=drawn)


@wrong("bayesnet.likelihood_weights", says="the weights do not enter")
def unweighted(x, parents, tables, query, evidence):
    return weighted(x, parents, tables, query, evidence, share=lambda log: torch.full_like(log, 1 / len(log)))


@wrong("bayesnet.likelihood_weights", says="posterior is not normalized")
def sums_of_weights(x, parents, tables, query, evidence):
    return weighted(x, parents, tables, query, evidence, share=torch.exp)


@wrong("bayesnet.likelihood_weights", says="divide by the number of rows")
def divided_by_rows(x, parents, tables, query, evidence):
    return weighted(x, parents, tables, query, evidence, share=lambda log: log.exp() / len(log))


@wrong("bayesnet.likelihood_weights", says="logarithms of the weights")
def logarithms_as_weights(x, parents, tables, query, evidence):
    return weighted(x, parents, tables, query, evidence, share=normalized)


@wrong("bayesnet.likelihood_weights", says="normalized already")
def normalized_weights(x, parents, tables, query, evidence):
    log_weights, posterior = weighted(x, parents, tables, query, evidence)
    return log_weights.log_softmax(0), posterior


@wrong("bayesnet.likelihood_weights", says="the weights, not their logarithms")
def plain_weights(x, parents, tables, query, evidence):
    log_weights, posterior = weighted(x, parents, tables, query, evidence)
    return log_weights.exp(), posterior


@wrong("bayesnet.likelihood_weights", says="every weight underflows")
def exponential_first(x, parents, tables, query, evidence):
    return weighted(x, parents, tables, query, evidence, share=lambda log: normalized(log.exp()))


@wrong("bayesnet.likelihood_weights", says="before you take their logarithm")
def product_of_entries(x, parents, tables, query, evidence):
    weight = torch.stack([entry(x, parents, tables, name) for name in evidence]).prod(0)
    return weighted(x, parents, tables, query, evidence, log_weights=weight.log())


@wrong("bayesnet.likelihood_weights", says="swapped the parents' axes")
def weights_with_swapped_axes(x, parents, tables, query, evidence):
    return weighted(x, backwards(parents), tables, query, evidence)


@wrong("bayesnet.likelihood_weights", says="variables without parents")
def roots_skipped(x, parents, tables, query, evidence):
    log_weights = sum(entry(x, parents, tables, name).log() for name in evidence if parents[name])
    return weighted(x, parents, tables, query, evidence, log_weights=log_weights)


@wrong("bayesnet.likelihood_weights", says="up to the last that occurs")
def states_that_occur(x, parents, tables, query, evidence):
    log_weights = sum(entry(x, parents, tables, name).log() for name in evidence)
    drawn = columns(x, parents)[query]
    return log_weights, log_weights.softmax(0) @ torch.nn.functional.one_hot(drawn).double()


# --- bayesnet.gibbs_conditional --------------------------------------------------------------------------------------


def scores(x, name, parents, tables, involved):
    at, found = list(parents).index(name), []
    for state in range(tables[name].shape[-1]):
        changed = x.clone()
        changed[:, at] = state
        found.append(sum(entry(changed, parents, tables, one).log() for one in involved))
    return torch.stack(found, -1)


def children(parents, name):
    return [child for child in parents if name in parents[child]]


@wrong("bayesnet.gibbs_conditional", says="own table only")
def own_table_only(x, name, parents, tables):
    return scores(x, name, parents, tables, [name]).softmax(-1)


@wrong("bayesnet.gibbs_conditional", says="own table is missing")
def children_alone(x, name, parents, tables):
    involved = children(parents, name) or [name]
    return scores(x, name, parents, tables, involved).softmax(-1)


@wrong("bayesnet.gibbs_conditional", says="probability 0 in its own table, yet you give it")
def state_kept_from_zero(x, name, parents, tables):
    kept = {one: table.clamp_min(1e-12) for one, table in tables.items()}
    return scores(x, name, parents, kept, [name, *children(parents, name)]).softmax(-1)


@wrong("bayesnet.gibbs_conditional", says="You subtract one maximum from all rows")
def one_maximum(x, name, parents, tables):
    found = scores(x, name, parents, tables, [name, *children(parents, name)])
    joint = (found - found.max()).exp()
    return joint / joint.sum(-1, keepdim=True)


@wrong("bayesnet.gibbs_conditional", says="the first child only")
def one_child(x, name, parents, tables):
    return scores(x, name, parents, tables, [name, *children(parents, name)[:1]]).softmax(-1)


@wrong("bayesnet.gibbs_conditional", says="not normalized")
def blanket_product(x, name, parents, tables):
    return scores(x, name, parents, tables, [name, *children(parents, name)]).exp()


@wrong("bayesnet.gibbs_conditional", says="over the rows of `x`")
def over_rows(x, name, parents, tables):
    return scores(x, name, parents, tables, [name, *children(parents, name)]).softmax(0)


@wrong("bayesnet.gibbs_conditional", says="swapped the parents' axes")
def gibbs_with_swapped_axes(x, name, parents, tables):
    return scores(x, name, backwards(parents), tables, [name, *children(parents, name)]).softmax(-1)


@wrong("bayesnet.gibbs_conditional", says="underflows")
def product_of_children(x, name, parents, tables):
    weight = scores(x, name, parents, tables, [name, *children(parents, name)]).exp()
    return weight / weight.sum(-1, keepdim=True)


@wrong("bayesnet.gibbs_conditional", says="You return logarithms")
def gibbs_logarithms(x, name, parents, tables):
    return scores(x, name, parents, tables, [name, *children(parents, name)]).log_softmax(-1)


@wrong("bayesnet.gibbs_conditional", says="whose first parent it is")
def first_parents(x, name, parents, tables):
    involved = [name, *(child for child in parents if parents[child][:1] == (name,))]
    return scores(x, name, parents, tables, involved).softmax(-1)
