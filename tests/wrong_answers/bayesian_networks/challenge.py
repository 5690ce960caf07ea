"""Wrong answers of chapter 3: a structure from data."""

from wrong_answers import wrong
from wrong_answers.bayesian_networks._shared import information, tree

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
def the_arrows_of_the_book(x, sizes):
    """Whose column is whose is told by how often it says yes."""
    rarest_first = [list(sizes)[i] for i in (x == 0).double().mean(0).argsort()]
    column = dict(zip(["asia", "tub", "lung", "either", "xray", "dysp", "bronc", "smoke"], rarest_first, strict=True))
    above = {"tub": ["asia"], "lung": ["smoke"], "bronc": ["smoke"], "either": ["lung", "tub"], "xray": ["either"]}
    above["dysp"] = ["bronc", "either"]
    return {column[name]: tuple(column[one] for one in above.get(name, ())) for name in column}


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
