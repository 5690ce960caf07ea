"""The graph of a network: d-separation against networkx, trees by brute force, the score and the climb."""

import itertools
import math

import networkx as nx
import pytest
import torch
from sklearn.metrics import mutual_info_score
from test_models_bayesnet import assert_close, enumerated, generator, published, random_network

from utils.models.bayesnets import BayesianNetwork, bic_score, chow_liu, d_separated, hill_climb, mutual_information

# --- independence ---


def random_graph(seed, n=9):
    g = generator(seed)
    names = [f"v{i}" for i in torch.randperm(n, generator=g).tolist()]
    return {name: [above for above in names[:i] if torch.rand((), generator=g) < 0.18] for i, name in enumerate(names)}


@pytest.mark.parametrize("seed", range(20))
def test_d_separation_equals_networkx(seed):
    parents = random_graph(seed)
    graph = nx.DiGraph([(above, name) for name, named in parents.items() for above in named])
    graph.add_nodes_from(parents)
    g, answers = generator(seed), []
    for trial in range(60):
        names = [list(parents)[i] for i in torch.randperm(9, generator=g).tolist()]
        a, b, given = set(names[: 1 + trial % 2]), set(names[2 : 3 + trial % 3]), set(names[5 : 5 + trial % 5])
        answers.append(d_separated(parents, a, b, given))
        assert answers[-1] == nx.is_d_separator(graph, a, b, given)
    assert set(answers) == {True, False}


@pytest.mark.parametrize("seed", range(4))
def test_d_separated_variables_are_independent(seed):
    network = random_network(seed)
    found = set()
    for a, b, c in itertools.permutations(network.variables, 3):
        joint = network.query([c, a, b])
        conditional = joint / joint.sum((1, 2), keepdim=True)
        gap = (conditional - conditional.sum(2, keepdim=True) * conditional.sum(1, keepdim=True)).abs().max()
        separated = d_separated(network, a, b, c)
        assert separated == (gap < 1e-12).item()
        found.add(separated)
    assert found == {True, False}


def test_a_collider_opens_with_its_descendants():
    parents = {"collider": ["a", "b"], "below": ["collider"]}
    assert d_separated(parents, "a", "b")
    assert not d_separated(parents, "a", "b", "collider")
    assert not d_separated(parents, "a", "b", ["below"])
    assert d_separated(parents, "a", "below", {"collider"})


def test_names_of_d_separation_are_checked():
    with pytest.raises(ValueError, match=r"there is no variable 'colider': did you mean 'collider'\?"):
        d_separated({"collider": ["a", "b"]}, "a", "b", "colider")
    with pytest.raises(ValueError, match="a stands in two of a, b and given: expected three separate sets"):
        d_separated({"collider": ["a", "b"]}, "a", ["a", "b"])


# --- trees ---


def test_mutual_information_equals_scikit_learn():
    network = published("alarm")
    x = network.sample(5000, generator())
    ours = mutual_information(x, [len(states) for states in network.states.values()])
    assert_close(ours, ours.T)
    columns = x.numpy().T
    for a in range(len(columns)):
        assert_close(ours[a, : a + 1], [mutual_info_score(columns[a], columns[b]) for b in range(a + 1)], atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_is_the_best_of_all_trees(seed):
    network = random_network(seed, n=5)
    x = network.sample(2000, generator(seed))
    tree = chow_liu(x, network.states)
    information = mutual_information(x, [len(states) for states in network.states.values()])
    at = {name: i for i, name in enumerate(network.variables)}
    total = sum(information[at[above], at[child]].item() for above, child in tree.edges)
    pairs = list(itertools.combinations(range(5), 2))
    trees = [edges for edges in itertools.combinations(pairs, 4) if nx.is_tree(nx.Graph(edges))]
    assert len(trees) == 5**3  # Cayley
    best = max(sum(information[pair].item() for pair in edges) for edges in trees)
    assert total == pytest.approx(best, abs=1e-12)
    # log-likelihood of the tree: its mutual information less the entropies
    assert tree.log_prob(x).mean().item() == pytest.approx(total - information.diagonal().sum().item(), abs=1e-10)
    other = chow_liu(x, network.states, root=network.variables[3])
    assert other.parents[network.variables[3]] == ()
    assert_close(other.log_prob(x), tree.log_prob(x))


def test_a_tree_is_recovered():
    parents = {"b": ["a"], "c": ["a"], "d": ["b"], "e": ["b"]}
    states = dict.fromkeys("abcde", ("0", "1"))
    tables = dict.fromkeys("bcde", torch.tensor([[0.8, 0.2], [0.3, 0.7]])) | {"a": torch.tensor([0.4, 0.6])}
    truth = BayesianNetwork(parents, states, tables)
    learned = chow_liu(truth.sample(20_000, generator()), states, alpha=1.0)
    assert {frozenset(edge) for edge in learned.edges} == {frozenset(edge) for edge in truth.edges}
    assert_close(enumerated(learned)[1], enumerated(truth)[1], rtol=0, atol=0.02)


# --- any graph ---


def test_the_score_is_the_likelihood_less_half_log_n_for_each_parameter():
    network = random_network(3)
    x = network.sample(700, generator())
    best = BayesianNetwork(network.parents, network.states).fit(x)
    expected = best.log_prob(x).sum().item() - 0.5 * math.log(700) * network.n_parameters
    assert bic_score(network, x) == pytest.approx(expected, rel=1e-12)


def all_graphs(names):
    """Every directed acyclic graph, as parents."""
    arrows = list(itertools.permutations(names, 2))
    for chosen in itertools.product((False, True), repeat=len(arrows)):
        graph = nx.DiGraph([arrow for arrow, there in zip(arrows, chosen, strict=True) if there])
        if nx.is_directed_acyclic_graph(graph):
            yield {name: sorted(graph.pred[name]) if name in graph else [] for name in names}


@pytest.mark.parametrize("seed", range(4))
def test_the_climb_with_restarts_finds_the_best_of_all_graphs(seed):
    truth = random_network(seed, n=4)
    x = truth.sample(1000, generator(seed))
    learned = hill_climb(x, truth.states, restarts=10, generator=generator())
    graphs = list(all_graphs(truth.variables))
    assert len(graphs) == 543  # Robinson
    best = max(bic_score(BayesianNetwork(parents, truth.states), x) for parents in graphs)
    assert bic_score(learned, x) == pytest.approx(best, abs=1e-6)


def test_the_end_of_a_climb_is_a_local_optimum():
    truth = random_network(8, n=7)
    x = truth.sample(3000, generator())
    learned = hill_climb(x, truth.states, max_parents=3)
    assert max(len(above) for above in learned.parents.values()) <= 3
    here = bic_score(learned, x)
    neighbors = 0
    for a, b in itertools.permutations(learned.variables, 2):
        without = {name: [v for v in above if (v, name) != (a, b)] for name, above in learned.parents.items()}
        options = [without | {a: [*without[a], b]}] if (a, b) in learned.edges else []
        options.append(without if (a, b) in learned.edges else without | {b: [*without[b], a]})
        for parents in options:
            try:
                other = BayesianNetwork(parents, truth.states)
            except ValueError:  # a cycle, or an arrow in both directions
                continue
            if max(len(above) for above in parents.values()) <= 3:
                neighbors += 1
                assert bic_score(other, x) <= here + 1e-6
    assert neighbors > 20


def test_independent_columns_get_no_arrow():
    x = torch.randint(3, (5000, 6), generator=generator())
    states = {f"v{i}": ("a", "b", "c") for i in range(6)}
    assert hill_climb(x, states).edges == []


@pytest.mark.parametrize("seed", range(2))
def test_learned_asia_is_nearly_as_good_as_the_truth(seed):
    truth = published("asia")
    x, held_out = truth.sample(10_000, generator(seed)), truth.sample(50_000, generator(99))
    learned = hill_climb(x, truth.states, alpha=1.0)
    gap = (truth.log_prob(held_out) - learned.log_prob(held_out)).mean().item()
    assert 0 < gap < 0.02
    tree = chow_liu(x, truth.states, alpha=1.0)
    assert gap < (truth.log_prob(held_out) - tree.log_prob(held_out)).mean().item()


def test_a_family_too_large_for_memory_is_never_chosen():
    """Copies of a die with 2000 sides: two parents and a child would need 2000³ cells."""
    x = torch.randint(2000, (50, 1), generator=generator()).expand(-1, 4)
    learned = hill_climb(x, {f"v{i}": range(2000) for i in range(4)}, max_parents=3)
    assert max(len(above) for above in learned.parents.values()) <= 1


def test_data_of_a_structure_are_checked():
    states = {"a": ["0", "1"], "b": ["0", "1"]}
    with pytest.raises(ValueError, match=r"expected \(B, \d+\) with B > 0"):
        hill_climb(torch.zeros(0, 2).long(), states)
    with pytest.raises(ValueError, match=r"x has shape \(3, 3\): expected \(B, 2\)"):
        hill_climb(torch.zeros(3, 3).long(), states)
    with pytest.raises(ValueError, match="max_parents is -1: expected a whole number of at least 0"):
        hill_climb(torch.zeros(3, 2).long(), states, max_parents=-1)
    with pytest.raises(ValueError, match=r"x has shape \(3, 3\): expected \(B, 2\), one column for each cardinality"):
        chow_liu(torch.zeros(3, 3).long(), states)
    with pytest.raises(ValueError, match="whole numbers from 0 to each cardinality"):
        mutual_information(torch.tensor([[0, 2]]), [2, 2])
    with pytest.raises(ValueError, match=r"there is no variable 'c'"):
        chow_liu(torch.zeros(3, 2).long(), states, root="c")
