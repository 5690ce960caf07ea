"""Wrong answers of chapter 3: exact inference and independence."""

from itertools import combinations

import torch

from wrong_answers import wrong
from wrong_answers.bayesian_networks._shared import backwards, normalized

# --- bayesnet.enumerate_posterior ------------------------------------------------------------------------------------


def joint_of(parents, tables, evidence):
    """p of all variables, those with evidence narrowed to it, and the axis of each."""
    axis = {name: i for i, name in enumerate(parents)}
    operands = []
    for name in tables:
        operands += [tables[name], [axis[one] for one in (*parents[name], name)]]
    joint = torch.einsum(*operands, list(axis.values()))
    for name, state in evidence.items():
        joint = joint.narrow(axis[name], state, 1)
    return joint, axis


def weights(parents, tables, query, evidence):
    """p(query, evidence)."""
    joint, axis = joint_of(parents, tables, evidence)
    return joint.sum([i for name, i in axis.items() if name != query])


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


@wrong("bayesnet.enumerate_posterior", says="maximum over the other variables")
def likeliest_states(parents, tables, query, evidence):
    joint, axis = joint_of(parents, tables, evidence)
    return normalized(joint.amax([i for name, i in axis.items() if name != query]))


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


@wrong("bayesnet.eliminate", says="You keep the first state")
def first_state(factors, name):
    names, values = product(holding(factors, name))
    return without(names, name), values.select(names.index(name), 0)


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


@wrong("bayesnet.d_separated", says="True and False are exchanged")
def upside_down(parents, a, b, given):
    return way(moral(parents, above(parents, {a, b, *given})), a, b, given)


@wrong("bayesnet.d_separated", says="should be True or False, not None")
def nothing_returned(parents, a, b, given):
    way(moral(parents, above(parents, {a, b, *given})), a, b, given)


@wrong("bayesnet.d_separated", says="however far below it")
def two_levels_of_ancestors(parents, a, b, given):
    near = {a, b, *given}
    for _ in range(2):
        near = near | {up for name in near for up in parents[name]}
    edges = [frozenset(pair) for name in near for pair in combinations({name, *parents[name]}, 2)]
    return not way(edges, a, b, given)


@wrong("bayesnet.d_separated", says="makes any two of its causes dependent")
def neighbors_in_the_list_married(parents, a, b, given):
    names = above(parents, {a, b, *given})
    edges = [frozenset((name, up)) for name in names for up in parents[name]]
    edges += [frozenset(pair) for name in names for pair in zip(parents[name], parents[name][1:], strict=False)]
    return not way(edges, a, b, given)


@wrong("bayesnet.d_separated", says="which the given `e` opens")
def each_visited_once(parents, a, b, given):
    opened, visited, waiting = above(parents, given), set(), [(a, True)]
    while waiting:
        name, upwards = waiting.pop(0)
        if name in visited:
            continue
        visited.add(name)
        if name == b and name not in given:
            return False
        down = [(child, False) for child in parents if name in parents[child]] if name not in given else []
        climbs = name not in given if upwards else name in opened
        waiting += [(up, True) for up in parents[name] if climbs] + down
    return True
