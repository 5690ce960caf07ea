"""Right answers to the exercises of chapter 3, by loops, other formulas and libraries."""

import itertools
import math

import networkx as nx
import numpy as np
import torch

from right_answers import right


def entry(row, name, parents, tables):
    """One number of a table, for one row given as a dict."""
    return tables[name][tuple(row[other] for other in (*parents[name], name))].item()


def as_dicts(x, names):
    return [dict(zip(names, row, strict=True)) for row in x.tolist()]


@right("bayesnet.count_parameters")
def by_the_shapes_of_tables(parents, sizes):
    total = 0
    for name in parents:
        table = np.empty([sizes[other] for other in (*parents[name], name)])
        total += table[..., 1:].size
    return float(total)


@right("bayesnet.log_joint")
def row_by_row(x, parents, tables):
    rows = as_dicts(x, parents)
    with np.errstate(divide="ignore"):
        logs = [sum(np.log(entry(row, name, parents, tables)) for name in parents) for row in rows]
    return torch.tensor(logs, dtype=torch.float64)


@right("bayesnet.ancestral_sample")
def one_state_at_a_time(u, parents, tables):
    graph = nx.DiGraph([(above, name) for name in parents for above in parents[name]])
    graph.add_nodes_from(parents)
    column = list(parents).index
    x = torch.zeros(u.shape, dtype=torch.int64)
    for name in nx.topological_sort(graph):
        for b in range(len(u)):
            table = tables[name][tuple(int(x[b, column(above)]) for above in parents[name])]
            state, below = 0, table[0].item()
            while u[b, column(name)] >= below and state < len(table) - 1:
                state += 1
                below += table[state].item()
            x[b, column(name)] = state
    return x


@right("bayesnet.ancestral_sample")
def by_searchsorted(u, parents, tables):
    states = {}

    def draw(name):
        if name not in states:
            above = [draw(other) for other in parents[name]]
            rows = tables[name][tuple(above)].expand(len(u), -1)
            edges = rows.cumsum(-1)[:, :-1].contiguous()
            own = u[:, list(parents).index(name), None].contiguous()
            states[name] = torch.searchsorted(edges, own, right=True)[:, 0]
        return states[name]

    return torch.stack([draw(name) for name in parents], 1)


@right("bayesnet.enumerate_posterior")
def by_a_loop_over_all_states(parents, tables, query, evidence):
    sizes = {name: table.shape[-1] for name, table in tables.items()}
    weight = torch.zeros(sizes[query], dtype=torch.float64)
    free = [range(sizes[name]) if name not in evidence else [evidence[name]] for name in parents]
    lists = {name: np.asarray(table) for name, table in tables.items()}
    for states in itertools.product(*free):
        row = dict(zip(parents, states, strict=True))
        weight[row[query]] += math.prod(
            lists[name][tuple(row[other] for other in (*parents[name], name))] for name in parents
        )
    return weight / weight.sum()


@right("bayesnet.enumerate_posterior")
def by_pgmpy(parents, tables, query, evidence):
    from pgmpy.factors.discrete import DiscreteFactor

    product = DiscreteFactor([], [], [1])
    for name, table in tables.items():
        product = product * DiscreteFactor([*parents[name], name], table.shape, table.numpy())
    product.reduce(list(evidence.items()))
    product.marginalize([name for name in product.variables if name != query])
    product.normalize()
    return torch.tensor(product.values, dtype=torch.float64)


@right("bayesnet.eliminate")
def by_broadcasting(factors, name):
    product, scope = torch.ones((), dtype=torch.float64), []
    for names, values in factors:
        if name not in names:
            continue
        new = [other for other in names if other not in scope]
        product = product.reshape(*product.shape, *[1] * len(new))
        scope += new
        order = sorted(range(len(names)), key=lambda i, names=names: scope.index(names[i]))
        shape = [values.shape[names.index(other)] if other in names else 1 for other in scope]
        product = product * values.permute(order).reshape(shape)
    axis = scope.index(name)
    return [*scope[:axis], *scope[axis + 1 :]], product.sum(axis)


@right("bayesnet.d_separated")
def by_networkx(parents, a, b, given):
    graph = nx.DiGraph([(above, name) for name in parents for above in parents[name]])
    graph.add_nodes_from(parents)
    return nx.is_d_separator(graph, {a}, {b}, set(given))


@right("bayesnet.d_separated")
def by_bouncing_balls(parents, a, b, given):
    """Shachter's Bayes ball: a ball comes from a child ("up") or from a parent ("down")."""
    children = {name: [other for other in parents if name in parents[other]] for name in parents}
    waiting, seen = [(a, "up")], set()
    while waiting:
        name, came = waiting.pop()
        if (name, came) in seen:
            continue
        seen.add((name, came))
        if name == b:
            return False
        if name not in given:
            waiting += [(child, "down") for child in children[name]]
            if came == "up":
                waiting += [(above, "up") for above in parents[name]]
        elif came == "down":
            waiting += [(above, "up") for above in parents[name]]
        if name not in given and came == "down":
            below, stack = set(), [name]
            while stack:
                for child in children[stack.pop()]:
                    if child not in below:
                        below.add(child)
                        stack.append(child)
            if below & set(given):
                waiting += [(above, "up") for above in parents[name]]
    return True


@right("bayesnet.likelihood_weights")
def weight_by_weight(x, parents, tables, query, evidence):
    rows = as_dicts(x, parents)
    probabilities = [[entry(row, name, parents, tables) for name in evidence] for row in rows]
    logs = [math.fsum(map(math.log, some)) if all(some) else -math.inf for some in probabilities]
    top = max(logs)
    posterior = torch.zeros(tables[query].shape[-1], dtype=torch.float64)
    for row, log in zip(rows, logs, strict=True):
        posterior[row[query]] += math.exp(log - top)
    return torch.tensor(logs, dtype=torch.float64), posterior / posterior.sum()


@right("bayesnet.fit_table")
def by_histogram(x, name, parents, sizes, alpha):
    names = list(parents)
    scope = [*parents[name], name]
    columns = x[:, [names.index(other) for other in scope]].numpy()
    count, _ = np.histogramdd(columns, bins=[np.arange(sizes[other] + 1) - 0.5 for other in scope])
    count = count + alpha
    total = count.sum(-1, keepdims=True)
    table = np.divide(count, total, out=np.full_like(count, 1 / sizes[name]), where=total > 0)
    return torch.from_numpy(table)


@right("bayesnet.gibbs_conditional")
def by_the_whole_joint(x, name, parents, tables):
    at, columns = list(parents).index(name), []
    for state in range(tables[name].shape[-1]):
        changed = x.clone()
        changed[:, at] = state
        columns.append(row_by_row(changed, parents, tables))
    log_joint = torch.stack(columns, -1)
    return (log_joint - log_joint.logsumexp(-1, keepdim=True)).exp()


@right("bayesnet.chow_liu")
def by_scikit_learn_and_networkx(x, sizes):
    from sklearn.metrics import mutual_info_score

    names = list(sizes)
    information = [[mutual_info_score(x[:, i], x[:, j]) for i in range(len(names))] for j in range(len(names))]
    graph = nx.Graph()
    for i, j in itertools.combinations(range(len(names)), 2):
        graph.add_edge(names[i], names[j], weight=information[i][j])
    return torch.tensor(information, dtype=torch.float64), set(nx.maximum_spanning_tree(graph).edges)


def family_score(x, sizes, child, above):
    """The log-likelihood of a column given others, less the price of the BIC."""
    names = list(sizes)
    scope = [names.index(other) for other in (*above, child)]
    count = np.zeros([sizes[names[i]] for i in scope])
    np.add.at(count, tuple(x[:, scope].numpy().T), 1)
    share = count / np.maximum(count.sum(-1, keepdims=True), 1)
    fit = np.where(count > 0, count * np.log(np.where(count > 0, share, 1)), 0).sum()
    return fit - 0.5 * np.log(len(x)) * count[..., 1:].size


@right("bayesnet.learn_structure")
def best_of_random_orders(x, sizes):
    """In a given order there are no circles: each variable takes its best forerunners (Cooper and Herskovits, 1992)."""
    rng, scores = np.random.default_rng(0), {}

    def score(name, above):
        key = name, frozenset(above)
        if key not in scores:
            scores[key] = family_score(x, sizes, name, above)
        return scores[key]

    best, best_total = {}, -math.inf
    for _ in range(60):
        order = [str(name) for name in rng.permutation(list(sizes))]
        structure, total = {}, 0.0
        for i, name in enumerate(order):
            choices = [above for k in range(3) for above in itertools.combinations(sorted(order[:i]), k)]
            structure[name] = max(choices, key=lambda above, name=name: score(name, above))
            total += score(name, structure[name])
        if total > best_total:
            best, best_total = structure, total
    return best


@right("bayesnet.learn_structure")
def by_pgmpy_hill_climbing(x, sizes):
    import pandas as pd
    from pgmpy.causal_discovery import HillClimbSearch

    table = pd.DataFrame(x.numpy(), columns=list(sizes)).astype("category")
    search = HillClimbSearch(scoring_method="bic-d", max_indegree=2, return_type="dag", show_progress=False)
    edges = search.fit(table).causal_graph_.edges()
    return {name: tuple(above for above, child in edges if child == name) for name in sizes}
