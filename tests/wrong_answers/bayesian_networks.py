"""Wrong answers to the exercises of chapter 3, Bayesian networks."""

import math
from itertools import combinations, pairwise

import torch

from wrong_answers import wrong


def columns(x, parents):
    return dict(zip(parents, x.T, strict=True))


def entry(x, parents, tables, name, scope=None):
    """p(name | parents) of each row; `scope` gives the axes another order."""
    column = columns(x, parents)
    return tables[name][tuple(column[other] for other in scope or (*parents[name], name))]


def backwards(parents):
    return {name: above[::-1] for name, above in parents.items()}


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


# --- bayesnet.enumerate_posterior ------------------------------------------------------------------------------------


def weights(parents, tables, query, evidence):
    """p(query, evidence)."""
    axis = {name: i for i, name in enumerate(parents)}
    operands = []
    for name in tables:
        operands += [tables[name], [axis[one] for one in (*parents[name], name)]]
    joint = torch.einsum(*operands, list(axis.values()))
    for name, state in evidence.items():
        joint = joint.narrow(axis[name], state, 1)
    return joint.sum([i for name, i in axis.items() if name != query])


def normalized(weight):
    return weight / weight.sum()


@wrong("bayesnet.enumerate_posterior", says="not normalized")
def joint_with_evidence(parents, tables, query, evidence):
    return weights(parents, tables, query, evidence)


@wrong("bayesnet.enumerate_posterior", says="your evidence changes nothing")
def prior(parents, tables, query, evidence):
    return weights(parents, tables, query, {})


@wrong("bayesnet.enumerate_posterior", says="likelihood of the evidence below the query")
def causes_only(parents, tables, query, evidence):
    above, waiting = set(), [query]
    while waiting:
        more = parents[waiting.pop()]
        above |= set(more)
        waiting += more
    known = {name: state for name, state in evidence.items() if name in above}
    return normalized(weights(parents, tables, query, known))


@wrong("bayesnet.enumerate_posterior", says="own probability is missing")
def likelihood(parents, tables, query, evidence):
    return weights(parents, tables, query, evidence) / weights(parents, tables, query, {})


@wrong("bayesnet.enumerate_posterior", says="You normalize p(evidence | query)")
def normalized_likelihood(parents, tables, query, evidence):
    return normalized(likelihood(parents, tables, query, evidence))


@wrong("bayesnet.enumerate_posterior", says="swapped the parents' axes")
def axes_swapped(parents, tables, query, evidence):
    return normalized(weights(backwards(parents), tables, query, evidence))


@wrong("bayesnet.enumerate_posterior", says="You return logarithms")
def log_posterior(parents, tables, query, evidence):
    return normalized(weights(parents, tables, query, evidence)).log()


# --- bayesnet.eliminate ----------------------------------------------------------------------------------------------


def product(factors):
    """Names and values of the product of all factors."""
    number = {}
    for names, _ in factors:
        for name in names:
            number.setdefault(name, len(number))
    operands = []
    for names, values in factors:
        operands += [values, [number[name] for name in names]]
    return tuple(number), torch.einsum(*operands, list(number.values()))


def holding(factors, name):
    return [factor for factor in factors if name in factor[0]]


def without(names, name):
    return tuple(other for other in names if other != name)


@wrong("bayesnet.eliminate", says="a product of sums is not the sum of the products")
def sums_first(factors, name):
    return product([(without(names, name), values.sum(names.index(name))) for names, values in holding(factors, name)])


@wrong("bayesnet.eliminate", says="still has an axis")
def not_summed(factors, name):
    return product(holding(factors, name))


@wrong("bayesnet.eliminate", says="multiply factors that do not hold")
def everything(factors, name):
    names, values = product(factors)
    return without(names, name), values.sum(names.index(name))


@wrong("bayesnet.eliminate", says="lacks an axis")
def first_factor_only(factors, name):
    names, values = holding(factors, name)[0]
    return without(names, name), values.sum(names.index(name))


@wrong("bayesnet.eliminate", says="lacks an axis")
def another_summed_too(factors, name):
    names, values = product(holding(factors, name))
    rest = without(names, name)
    return rest[1:], values.sum(names.index(name)).sum(0)


@wrong("bayesnet.eliminate", says="not in the order of your names")
def names_sorted(factors, name):
    names, values = product(holding(factors, name))
    return tuple(sorted(without(names, name), reverse=True)), values.sum(names.index(name))


@wrong("bayesnet.eliminate", says="You average")
def mean_for_sum(factors, name):
    names, values = product(holding(factors, name))
    return without(names, name), values.mean(names.index(name))


@wrong("bayesnet.eliminate", says="You take the maximum")
def maximum(factors, name):
    names, values = product(holding(factors, name))
    return without(names, name), values.amax(names.index(name))


@wrong("bayesnet.eliminate", says="You normalize the new factor")
def normalized_factor(factors, name):
    names, values = product(holding(factors, name))
    return without(names, name), normalized(values.sum(names.index(name)))


# --- bayesnet.d_separated --------------------------------------------------------------------------------------------


def above(parents, names):
    found = set(names)
    while more := {up for name in found for up in parents[name]} - found:
        found |= more
    return found


def way(edges, a, b, given):
    reached = {a}
    while more := {n for edge in edges if edge & reached for n in edge - reached if n not in given}:
        reached |= more
    return b in reached


def moral(parents, names, marry=True):
    edges = {frozenset((name, up)) for name in names for up in parents[name]}
    if marry:
        edges |= {frozenset(pair) for name in names for pair in combinations(parents[name], 2)}
    return edges


@wrong("bayesnet.d_separated", says="two causes of one effect dependent though nothing is given")
def undirected(parents, a, b, given):
    return not way(moral(parents, parents, marry=False), a, b, given)


@wrong("bayesnet.d_separated", says="two causes of one effect dependent though nothing is given")
def moral_graph_of_all(parents, a, b, given):
    return not way(moral(parents, parents), a, b, given)


@wrong("bayesnet.d_separated", says="miss explaining away")
def unmarried(parents, a, b, given):
    return not way(moral(parents, above(parents, {a, b, *given}), marry=False), a, b, given)


@wrong("bayesnet.d_separated", says="given descendant")
def descendants_forgotten(parents, a, b, given):
    def blocked(path):
        for one, m, other in zip(path, path[1:], path[2:], strict=False):
            collider = one in parents[m] and other in parents[m]
            if collider != (m in given):
                return True
        return False

    def paths(path):
        if path[-1] == b:
            yield path
            return
        for name in parents:
            if name not in path and (name in parents[path[-1]] or path[-1] in parents[name]):
                yield from paths([*path, name])

    return all(blocked(path) for path in paths([a]))


@wrong("bayesnet.d_separated", says="two effects of one cause separated though nothing is given")
def ancestry_only(parents, a, b, given):
    edges_down = {name: [child for child in parents if name in parents[child]] for name in parents}

    def reaches(start, goal):
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name == goal:
                return True
            if name == start or name not in given:
                waiting += edges_down[name]
        return False

    return not (reaches(a, b) or reaches(b, a))


@wrong("bayesnet.d_separated", says="the ends of a chain")
def neighbors_only(parents, a, b, given):
    return a not in parents[b] and b not in parents[a]


@wrong("bayesnet.d_separated", says="the ends of a chain")
def upside_down(parents, a, b, given):
    return way(moral(parents, above(parents, {a, b, *given})), a, b, given)


@wrong("bayesnet.d_separated", says="expected True or False")
def nothing_returned(parents, a, b, given):
    way(moral(parents, above(parents, {a, b, *given})), a, b, given)


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


# --- bayesnet.chow_liu -----------------------------------------------------------------------------------------------


def tables_of_pairs(x, sizes):
    member = [(x[:, i, None] == torch.arange(size)).double() for i, size in enumerate(sizes.values())]
    return {(i, j): member[i].T @ member[j] / len(x) for i, j in combinations(range(len(member)), 2)}


def information(x, sizes, score=None):
    found = torch.zeros(len(sizes), len(sizes), dtype=torch.float64)
    for (i, j), p in tables_of_pairs(x, sizes).items():
        q = p.sum(1, keepdim=True) * p.sum(0)
        found[i, j] = found[j, i] = (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() if score is None else score(p, q)
    return found


def tree(weight, sizes, largest=True):
    names, joined, edges = list(sizes), [0], []
    while len(joined) < len(names):
        pairs = [(i, j) for i in joined for j in range(len(names)) if j not in joined]
        i, j = (max if largest else min)(pairs, key=lambda pair: weight[pair].item())
        joined.append(j)
        edges.append((names[i], names[j]))
    return edges


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


# --- bayesnet.learn_structure ----------------------------------------------------------------------------------------


def pointing_away(edges, sizes):
    """A tree with arrows away from its first variable."""
    parents, waiting = {name: () for name in sizes}, [next(iter(sizes))]
    left = list(edges)
    while waiting:
        name = waiting.pop()
        for edge in [edge for edge in left if name in edge]:
            other = edge[0] if edge[1] == name else edge[1]
            parents[other] = (name,)
            waiting.append(other)
            left.remove(edge)
    return parents


@wrong("bayesnet.learn_structure", says="no better than independent columns")
def independent(x, sizes):
    return {name: () for name in sizes}


@wrong("bayesnet.learn_structure", says="a tree cannot come closer")
def best_tree(x, sizes):
    return pointing_away(tree(information(x, sizes), sizes), sizes)


@wrong("bayesnet.learn_structure", says="important arrows are missing")
def the_two_before(x, sizes):
    names = list(sizes)
    return {name: tuple(names[max(0, i - 2) : i]) for i, name in enumerate(names)}


@wrong("bayesnet.learn_structure", says="run in a circle")
def both_directions(x, sizes):
    names = list(sizes)
    return {name: (names[i - 1],) for i, name in enumerate(names)}


@wrong("bayesnet.learn_structure", says="two are allowed")
def all_before(x, sizes):
    names = list(sizes)
    return {name: tuple(names[:i]) for i, name in enumerate(names)}


@wrong("bayesnet.learn_structure", says="does not hold each variable once")
def roots_left_out(x, sizes):
    return {name: above for name, above in best_tree(x, sizes).items() if above}


@wrong("bayesnet.learn_structure", says="expected a dict")
def edges_for_parents(x, sizes):
    return tree(information(x, sizes), sizes)


@wrong("bayesnet.learn_structure", says="expected a tuple of names")
def names_for_tuples(x, sizes):
    return {name: above[0] if above else () for name, above in best_tree(x, sizes).items()}
