"""Bayesian networks: exactness against enumeration and pgmpy, sampling, learning tables, files, errors."""

import gzip
import itertools
import math
import warnings

import numpy as np
import pytest
import torch

from utils import data
from utils.models.bayesnets import BayesianNetwork, Factor
from utils.models.bayesnets.factors import eliminate, min_fill, product
from utils.models.estimator import NotFittedError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from pgmpy.inference import VariableElimination
    from pgmpy.readwrite import BIFReader

NETWORKS = ("asia", "sachs", "child", "insurance", "alarm")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def published(name):
    return BayesianNetwork.from_bif(data.path(f"bayesnets/{name}.bif.gz"))


def theirs(name):
    text = gzip.decompress(data.path(f"bayesnets/{name}.bif.gz").read_bytes()).decode()
    return BIFReader(string=text).get_model()


def rain(**tables):
    """Rain and a sprinkler wet the grass."""
    known = {
        "rain": torch.tensor([0.8, 0.2]),
        "sprinkler": torch.tensor([0.6, 0.4]),
        "wet": torch.tensor([[[1.0, 0.0], [0.1, 0.9]], [[0.2, 0.8], [0.01, 0.99]]]),
    }
    states = {"rain": ["no", "yes"], "sprinkler": ["off", "on"], "wet": ["no", "yes"]}
    return BayesianNetwork({"wet": ["rain", "sprinkler"]}, states, known | tables)


def random_network(seed, n=6, zeros=False):
    """A random graph over n variables of 2 or 3 states, named against the order of its arrows, with random tables."""
    g = generator(seed)
    names = [f"x{i}" for i in torch.randperm(n, generator=g).tolist()]
    parents, states, tables = {}, {}, {}
    for i, name in enumerate(names):
        parents[name] = [above for above in names[:i] if torch.rand((), generator=g) < 0.45]
        states[name] = [f"s{j}" for j in range(2 + int(torch.randint(2, (), generator=g)))]
        table = torch.rand([len(states[v]) for v in (*parents[name], name)], generator=g, dtype=torch.float64) + 0.02
        if zeros:
            table[..., 0] = table[..., 0] * (torch.rand(table.shape[:-1], generator=g) < 0.6)
        tables[name] = table / table.sum(-1, keepdim=True)
    order = sorted(names)  # so `variables` is not a topological order
    return BayesianNetwork(parents, {name: states[name] for name in order}, tables)


def enumerated(network):
    """All complete rows and their probabilities, one product of table entries at a time."""
    rows = list(itertools.product(*(range(len(states)) for states in network.states.values())))
    probabilities = []
    for row in rows:
        state = dict(zip(network.variables, row, strict=True))
        chance = 1.0
        for name, table in network.tables.items():
            chance *= table[tuple(state[v] for v in (*network.parents[name], name))].item()
        probabilities.append(chance)
    shape = [len(states) for states in network.states.values()]
    return torch.tensor(rows), torch.tensor(probabilities, dtype=torch.float64).reshape(shape)


def posterior(network, joint, variables, evidence):
    """p(variables | evidence) from the joint table."""
    at = [evidence.get(name, slice(None)) for name in network.variables]
    left = [name for name in network.variables if name not in evidence]
    kept = joint[tuple(at)]
    letters = {name: chr(97 + i) for i, name in enumerate(left)}
    kept = torch.einsum(f"{''.join(letters.values())}->{''.join(letters[v] for v in variables)}", kept)
    return kept / kept.sum()


def assert_close(ours, other, rtol=1e-12, atol=1e-13):
    ours, other = (torch.as_tensor(value, dtype=torch.float64) for value in (ours, other))
    torch.testing.assert_close(ours, other, rtol=rtol, atol=atol)


# --- against enumeration ---


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_answer_equals_enumeration(seed, zeros):
    network = random_network(seed, zeros=zeros)
    rows, joint = enumerated(network)
    assert joint.sum().item() == pytest.approx(1, abs=1e-12)
    assert_close(network.log_prob(rows).exp(), joint.flatten())
    g = generator(seed)
    for asked in range(12):
        names = [network.variables[i] for i in torch.randperm(6, generator=g).tolist()]
        variables, observed = names[: 1 + asked % 3], names[3 : 3 + asked % 4]
        row = network.sample(1, g)[0].tolist()
        evidence = {name: row[network.variables.index(name)] for name in observed}
        assert_close(network.query(variables, evidence), posterior(network, joint, variables, evidence))
        chance = joint[tuple(evidence.get(name, slice(None)) for name in network.variables)].sum()
        assert network.log_evidence(evidence) == pytest.approx(chance.log().item(), abs=1e-12)


def test_explaining_away():
    network = rain()
    wet = network.query("rain", {"wet": "yes"})[1]
    both = network.query("rain", {"wet": "yes", "sprinkler": "on"})[1]
    # by hand: p(wet) = 0.8·0.4·0.9 + 0.2·0.6·0.8 + 0.2·0.4·0.99
    assert wet.item() == pytest.approx((0.2 * 0.6 * 0.8 + 0.2 * 0.4 * 0.99) / 0.4632)
    assert both.item() == pytest.approx(0.2 * 0.99 / (0.2 * 0.99 + 0.8 * 0.9))
    assert network.log_evidence({"wet": "yes"}) == pytest.approx(math.log(0.4632))
    assert 0.2 < both < wet


def test_axes_come_in_the_order_asked_and_states_by_name_or_number():
    network = rain()
    ab, ba = network.query(["rain", "wet"]), network.query(("wet", "rain"))
    assert_close(ab, ba.T)
    assert_close(network.query("rain", {"wet": "yes"}), network.query(["rain"], {"wet": np.int64(1)}))
    assert network.query(["rain", "wet", "sprinkler"]).shape == (2, 2, 2)


def test_no_evidence_has_probability_one_and_impossible_evidence_none():
    assert rain().log_evidence({}) == 0
    assert rain().log_evidence({"rain": "no", "sprinkler": "off", "wet": "yes"}) == -math.inf


def test_a_table_of_four_hundred_variables_is_never_built():
    chain = {f"v{i:03}": [f"v{i - 1:03}"] if i else [] for i in range(400)}
    step = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
    tables = {name: step if above else torch.tensor([0.5, 0.5]) for name, above in chain.items()}
    network = BayesianNetwork(chain, dict.fromkeys(chain, ("a", "b")), tables)
    last = torch.tensor([0.5, 0.5], dtype=torch.float64) @ torch.linalg.matrix_power(step, 399)
    assert_close(network.query("v399"), last)
    assert network.query(["v000", "v399"]).shape == (2, 2)
    with pytest.raises(ValueError, match=r"table of \d+ variables with .* ask for fewer variables at once"):
        network.query(list(chain))


def test_probabilities_too_small_for_a_number_are_answered():
    """A naive Bayes with a thousand observations: p(evidence) is far below the smallest float64."""
    leaves = [f"leaf{i}" for i in range(1000)]
    likely = torch.tensor([[0.9, 0.1], [0.8, 0.2]], dtype=torch.float64)
    tables = {"class": [0.3, 0.7]} | dict.fromkeys(leaves, likely)
    states = dict.fromkeys(["class", *leaves], ("a", "b"))
    network = BayesianNetwork(dict.fromkeys(leaves, ("class",)), states, tables)
    evidence = dict.fromkeys(leaves, "b")
    expected = math.log(0.3 * 0.5**1000 + 0.7) + 1000 * math.log(0.2)
    assert network.log_evidence(evidence) == pytest.approx(expected, rel=1e-12)
    mixed = {leaf: "ab"[i % 2] for i, leaf in enumerate(leaves)}
    ratio = 0.3 / 0.7 * (0.9 * 0.1 / (0.8 * 0.2)) ** 500
    assert network.query("class", mixed)[0].item() == pytest.approx(ratio / (1 + ratio), rel=1e-9)


def test_min_fill_joins_no_strangers_in_a_tree():
    parents = {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["b"]}
    factors = [Factor((*above, name), np.ones([2] * (1 + len(above)))) for name, above in parents.items()]
    order = min_fill(factors, keep=["e"])
    assert sorted(order) == ["a", "b", "c", "d"]
    rest, steps = eliminate(factors, order)
    assert rest.names == ("e",)
    assert rest.values.tolist() == [16, 16]
    assert max(len(product(step).names) for step in steps) == 2


# --- against pgmpy ---


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_reads_as_pgmpy_reads_it(name):
    ours, other = published(name), theirs(name)
    assert set(ours.variables) == set(other.nodes())
    assert set(ours.edges) == set(other.edges())
    for variable, table in ours.tables.items():
        cpd = other.get_cpds(variable)
        assert list(ours.states[variable]) == cpd.state_names[variable]
        order = [cpd.variables.index(v) for v in (*ours.parents[variable], variable)]
        assert_close(table, cpd.values.transpose(order), rtol=0, atol=1e-12)
    place = {name: at for at, name in enumerate(ours.variables)}
    assert all(place[above] < place[child] for above, child in ours.edges)


@pytest.mark.parametrize("name", ["asia", "child", "alarm"])
def test_posteriors_equal_pgmpy(name):
    network, elimination = published(name), VariableElimination(theirs(name))
    g = generator(3)
    for row in network.sample(4, g).tolist():
        names = [network.variables[i] for i in torch.randperm(len(row), generator=g).tolist()]
        variables, observed = names[:2], names[2:5]
        evidence = {v: network.states[v][row[network.variables.index(v)]] for v in observed}
        answer = elimination.query(variables, evidence, show_progress=False)
        order = [answer.variables.index(v) for v in variables]
        assert_close(network.query(variables, evidence), answer.values.transpose(order), rtol=0, atol=1e-10)


def test_published_networks_have_their_published_sizes():
    sizes = {name: (len(n.variables), len(n.edges), n.n_parameters) for name in NETWORKS for n in [published(name)]}
    assert sizes == {
        "asia": (8, 8, 18),
        "sachs": (11, 17, 178),
        "child": (20, 25, 230),
        "insurance": (27, 52, 1008),
        "alarm": (37, 46, 509),
    }
    assert repr(published("asia")) == "BayesianNetwork(8 variables, 8 edges, 18 parameters)"


# --- sampling ---


def test_samples_have_the_frequencies_of_the_joint():
    network = random_network(1, zeros=True)
    _, joint = enumerated(network)
    x = network.sample(200_000, generator())
    assert x.shape == (200_000, 6)
    assert x.dtype == torch.int64
    cell = torch.zeros(len(x), dtype=torch.int64)
    for column, size in zip(x.T, joint.shape, strict=True):
        cell = cell * size + column
    counts = cell.bincount(minlength=joint.numel())
    chance = joint.flatten()
    assert counts[chance == 0].sum() == 0
    spread = (chance * (1 - chance) / len(x)).sqrt()
    assert ((counts / len(x) - chance).abs() <= 5 * spread + 1e-12).all()


def test_a_generator_decides_the_sample():
    network = published("alarm")
    assert network.sample(50, generator(4)).equal(network.sample(50, generator(4)))
    assert not network.sample(50, generator(4)).equal(network.sample(50, generator(5)))


@pytest.mark.parametrize("seed", [0, 3])
def test_samples_given_evidence_follow_the_posterior(seed):
    network = random_network(seed)
    names = network.variables
    evidence = {names[0]: 1, names[3]: 0}
    x = network.sample(100_000, generator(), evidence)
    assert (x[:, 0] == 1).all()
    assert (x[:, 3] == 0).all()
    pair = [names[1], names[4]]
    exact = network.query(pair, evidence)
    counts = (x[:, 1] * exact.shape[1] + x[:, 4]).bincount(minlength=exact.numel()).reshape(exact.shape)
    assert_close(counts / len(x), exact, rtol=0, atol=0.01)


def test_likelihood_weighting_comes_near_the_posterior():
    network = random_network(2)
    *_, a, b, observed = network.order
    variables, evidence = [a, b], {observed: 1}
    exact = network.query(variables, evidence)
    estimate, effective = network.likelihood_weighting(variables, evidence, 100_000, generator())
    assert estimate.sum().item() == pytest.approx(1)
    assert 100 < effective < 100_000
    assert (estimate - exact).abs().max() < 5 * 0.5 / effective**0.5
    _, all_rows = network.likelihood_weighting(variables, {}, 1000, generator())
    assert all_rows == pytest.approx(1000)


def test_gibbs_comes_near_the_posterior():
    network = random_network(4)
    variables, evidence = [network.variables[1], network.variables[4]], {network.variables[2]: 0}
    exact = network.query(variables, evidence)
    estimate, chains = network.gibbs(
        variables, evidence, n_samples=400, burn_in=50, chains=200, generator=generator(), return_chains=True
    )
    assert chains.shape == (200, *exact.shape)
    assert_close(estimate, chains.mean(0))
    assert_close(estimate.sum(), 1)
    error = chains.std(0) / 200**0.5
    assert ((estimate - exact).abs() < 5 * error + 1e-3).all()
    assert (estimate - exact).abs().max() < 0.02


def test_gibbs_stays_on_its_island():
    """b copies a: neither can change while the other is held, so a chain keeps what it began with."""
    tables = {"a": torch.tensor([0.3, 0.7]), "b": torch.eye(2)}
    network = BayesianNetwork({"b": ["a"]}, {"a": ["0", "1"], "b": ["0", "1"]}, tables)
    _, chains = network.gibbs("a", n_samples=50, chains=40, generator=generator(), return_chains=True)
    assert set(chains[:, 0].tolist()) == {0.0, 1.0}


def test_gibbs_starts_even_where_forward_draws_never_meet_the_evidence():
    rare = torch.tensor([1 - 1e-9, 1e-9], dtype=torch.float64)
    network = rain(rain=rare, wet=torch.tensor([[[1.0, 0], [1, 0]], [[0, 1], [0, 1]]]))
    estimate = network.gibbs("rain", {"wet": "yes"}, n_samples=20, chains=5, generator=generator())
    assert estimate.tolist() == [0, 1]


# --- learning tables ---


def test_fitted_tables_are_counted_frequencies():
    network = random_network(5)
    x = network.sample(300, generator())
    for alpha in (0.0, 0.7):
        fitted = BayesianNetwork(network.parents, network.states).fit(x, alpha)
        for name, table in fitted.tables.items():
            family = [network.variables.index(v) for v in (*network.parents[name], name)]
            count = torch.full(table.shape, alpha, dtype=torch.float64)
            for row in x[:, family].tolist():
                count[tuple(row)] += 1
            total = count.sum(-1, keepdim=True)
            expected = torch.where(total > 0, count / total, torch.full_like(count, 1 / count.shape[-1]))
            assert_close(table, expected)


def test_the_maximum_of_the_likelihood_is_one():
    network = random_network(5)
    x = network.sample(500, generator())
    best = BayesianNetwork(network.parents, network.states).fit(x).log_prob(x).mean()
    assert best > network.log_prob(x).mean()
    for seed in range(5):
        fitted = BayesianNetwork(network.parents, network.states).fit(x)
        noise = {v: t * (1 + 0.1 * torch.rand(t.shape, generator=generator(seed))) for v, t in fitted.tables.items()}
        moved = {v: t / t.sum(-1, keepdim=True) for v, t in noise.items()}
        assert BayesianNetwork(network.parents, network.states, moved).log_prob(x).mean() < best


def test_fit_recovers_the_tables():
    network = random_network(5)
    fitted = BayesianNetwork(network.parents, network.states).fit(network.sample(400_000, generator()), alpha=1)
    for name, table in network.tables.items():
        assert_close(fitted.tables[name], table, rtol=0, atol=0.03)


def test_parents_never_seen_give_a_uniform_row():
    fitted = BayesianNetwork({"wet": ["rain", "sprinkler"]}, rain().states).fit(torch.tensor([[0, 0, 1], [0, 0, 0]]))
    assert fitted.tables["wet"][1, 1].tolist() == [0.5, 0.5]
    assert fitted.tables["wet"][0, 0].tolist() == [0.5, 0.5]
    assert fitted.tables["rain"].tolist() == [1, 0]


def test_columns_follow_the_order_of_the_states():
    """A network learned from columns in any order answers for rows in that same order."""
    network = BayesianNetwork({"b": ["a"]}, {"b": ["x", "y", "z"], "a": ["0", "1"]})
    x = torch.tensor([[1, 0], [0, 1], [1, 1]])
    assert network.variables == ("b", "a")
    assert network.order == ("a", "b")
    assert network.fit(x).log_prob(x).exp().tolist() == pytest.approx([1 / 3] * 3)
    assert network.sample(10, generator())[:, 0].max() <= 1


def test_tables_belong_to_the_network():
    mine = torch.tensor([0.8, 0.2])
    network = rain(rain=mine)
    mine[0] = 7
    assert network.tables["rain"].tolist() == pytest.approx([0.8, 0.2])
    with pytest.raises(TypeError):
        network.tables["rain"] = mine


# --- files ---

BIF = """// a comment
network "tiny" { property author = "nobody"; }
variable a { type discrete [ 2 ] { yes, no }; property place = (1, 2); }
variable "b" { type discrete[2] {"low", "high"}; }
probability ( b | a ) { %s }
probability ( a ) { table 0.3, 0.7; }
"""


def written(tmp_path, text):
    path = tmp_path / "tiny.bif"
    path.write_text(text)
    return path


def test_rows_defaults_and_quotes_are_read(tmp_path):
    network = BayesianNetwork.from_bif(written(tmp_path, BIF % "default 0.5, 0.5; (no) 1e-1, 0.9; /* end */"))
    assert network.variables == ("a", "b")
    assert network.states["b"] == ("low", "high")
    assert network.tables["b"].tolist() == [[0.5, 0.5], [0.1, 0.9]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", r"tiny.bif declares no variable: is it a network in BIF"),
        (BIF % "(yes) 0.5, 0.5;", r"tiny.bif: the table of 'b' has no row for \(no\)"),
        (BIF % "(yes) 0.5, 0.5; (no) 1;", r"row \(no\) of 'b' has 1 numbers: expected 2"),
        (BIF % "(yes) 0.5, 0.5; (maybe) 0.5, 0.5;", r"row \(maybe\) of 'b' does not name a state of each of a"),
        (BIF % "table 0.5, 0.5;", r"tiny.bif, line 5: row table of 'b' has 2 numbers: expected 4"),
        (BIF % "table 0.5 0.5 0.5 0.5; (yes) 0.5 0.5;", r"line 5: row \(yes\) of 'b' says again what a row before it"),
        (BIF % "(yes) 0.5 0.5; (no) 1 0; (yes) 0 1;", r"line 5: row \(yes\) of 'b' says again"),
        (BIF % "(yes) 0.5 0.5; (no) 1 one;", r"line 5: row \(no\) of 'b' has 'one' where a number is expected"),
        (BIF % "(yes) 0.5 0.5; (no) nan 1;", r"line 5: row \(no\) of 'b' has 'nan' where a number"),
        (BIF % "(yes) 0.5 0.5; (no) 0.5 0.6;", r"tiny.bif: the table of 'b' sums to 1.1 given a = no"),
        (BIF % "(yes) 0.5 0.5; oops 0.5 0.6;", r"line 5: 'oops' in the table of 'b': expected a row"),
        ((BIF % "default 0.5, 0.5;") * 2, r"tiny.bif, line 9: variable 'a' is declared a second time"),
        ((BIF % "default 1 0;") + "probability ( a ) { table 0 1; }", r"line 7: 'a' has a second probability block"),
        ((BIF % "default 1 0;").replace("yes, no", "no, no"), r"line 3: variable 'a' lists a state twice: no, no"),
        ((BIF % "default 1 0;").replace("0.7; }", "0.7;"), r"line 6: this block has no end"),
        ((BIF % "default 1 0;").replace('"low"', '"low'), r"line \d: "),
        ((BIF % "default 1 0;").replace("b | a", "b | b"), r"tiny.bif: the arrows form a cycle"),
        ((BIF % "default 0.5, 0.5;").replace("b | a", "b | c"), r"names \['c'\], which the file does not declare"),
        ((BIF % "default 0.5, 0.5;").replace("[ 2 ]", "[ 3 ]"), r"variable 'a' says 3 states but lists 2"),
        ((BIF % "default 0.5, 0.5;").replace("type discrete [ 2 ]", "type real [ 2 ]"), r"'a' is not discrete"),
        ((BIF % "default 0.5, 0.5;").split("probability ( a )")[0], r"tiny.bif: no table for a"),
    ],
)
def test_a_file_that_is_no_network_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        BayesianNetwork.from_bif(written(tmp_path, text))


JAVABAYES = """// Bayesian network "Dog" as JavaBayes writes it
network "Dog" { //2 variables and 2 probability distributions
        property "credal-set constant-density-bounded 1.1" ;
}
variable  "light on" { //2 values
        type discrete[2] {  "true"  "not, (yet) {x}" };
        property "position = (218, 195)" ;
        property "see http://example.org/a;b // no comment" ;
}
variable  "family-out" { //3 values
        type discrete[3] {  "1"  "0"  "2" };
}
probability (  "light on"  "family-out" ) { //2 variable(s) and 6 values
        property "kind // of table" ;
        table 0.6 0.05 0.3
              0.4 0.95 0.7 ; // p(light on = true | family-out = 1, 0, 2), then of the other state
}
probability (  "family-out" ) { //1 variable(s) and 3 values
        table 0.15 0.8 0.05 ;
}
"""


def test_what_javabayes_writes_is_read(tmp_path):
    network = BayesianNetwork.from_bif(written(tmp_path, JAVABAYES))
    assert network.parents == {"family-out": (), "light on": ("family-out",)}
    assert network.states == {"family-out": ("1", "0", "2"), "light on": ("true", "not, (yet) {x}")}
    assert network.tables["light on"].tolist() == [[0.6, 0.4], [0.05, 0.95], [0.3, 0.7]]
    assert network.query("light on", {"family-out": "0"}).tolist() == [0.05, 0.95]
    assert network.query("light on", {"family-out": 2}).tolist() == [0.3, 0.7]  # name and number say the same
    with pytest.raises(ValueError, match=r"state 1 of 'family-out' could be the one called '1' or number 1 of 1, 0, 2"):
        network.query("light on", {"family-out": 1})


def test_a_table_with_two_parents_is_in_the_order_of_the_format(tmp_path):
    """The dog problem of JavaBayes: p(dog-out | bowel-problem, family-out), 0.97 with the family at home."""
    blocks = [f"variable {name} {{\n type discrete [2] {{ true false }};\n}}\n" for name in "dbf"]
    tables = {"b": "0.01 0.99", "f": "0.15 0.85", "d b f": "0.99 0.97 0.9 0.3 0.01 0.03 0.1 0.7"}
    blocks += [f"probability ( {names} ) {{\n table {numbers} ;\n}}\n" for names, numbers in tables.items()]
    path = written(tmp_path, "".join(blocks))
    ours = BayesianNetwork.from_bif(path)
    assert ours.tables["d"].tolist() == [[[0.99, 0.01], [0.97, 0.03]], [[0.9, 0.1], [0.3, 0.7]]]
    from pgmpy.readwrite import BIFReader

    theirs = BIFReader(string=path.read_text()).get_model().get_cpds("d")
    assert torch.equal(ours.tables["d"].movedim(-1, 0), torch.as_tensor(theirs.values))


def test_what_pgmpy_writes_is_read(tmp_path):
    """Names and states with blanks, which it writes without quotes, and properties."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork
    from pgmpy.readwrite import BIFWriter

    model = DiscreteBayesianNetwork([("sun", "road")])
    names = {"sun": ["0", "1"], "road": ["dry", "wet", "icy"]}
    model.add_cpds(
        TabularCPD("sun", 2, [[0.25], [0.75]], state_names={"sun": names["sun"]}),
        TabularCPD("road", 3, [[0.5, 0.125], [0.25, 0.625], [0.25, 0.25]], ["sun"], [2], state_names=names),
    )
    model.nodes["sun"]["source"] = "http://example.org/a, (b)"
    text = str(BIFWriter(model))
    blanks = text.replace("sun", "the sun").replace("icy", "very icy")
    for written_text, sun, icy in ((text, "sun", "icy"), (blanks, "the sun", "very icy")):
        network = BayesianNetwork.from_bif(written(tmp_path, written_text))
        assert network.states == {sun: ("0", "1"), "road": ("dry", "wet", icy)}
        assert network.tables["road"].tolist() == [[0.5, 0.25, 0.25], [0.125, 0.625, 0.25]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_names_in_other_encodings_are_read(tmp_path, encoding):
    path = tmp_path / "tiny.bif"
    path.write_bytes((BIF % "default 0.5, 0.5;").replace("low", "größer").encode(encoding))
    assert BayesianNetwork.from_bif(path).states["b"] == ("größer", "high")


def test_bytes_that_are_no_text_name_file_and_line(tmp_path):
    path = tmp_path / "tiny.bif"
    path.write_bytes(b"network x { }\nvariable \x81 { }")
    with pytest.raises(
        ValueError, match=r"tiny.bif, line 2: this text is not in utf-8-sig or cp1252: save it as UTF-8"
    ):
        BayesianNetwork.from_bif(path)
    path.write_bytes(b"\x1f\x8b\x08 no more")
    with pytest.raises(ValueError, match=r"tiny.bif is a damaged gzip file"):
        BayesianNetwork.from_bif(path)


@pytest.mark.parametrize("text", [JAVABAYES, BIF % "default 0.5, 0.5; (no) 1e-1, 0.9;"])
def test_a_file_cut_anywhere_is_refused_by_name(tmp_path, text):
    end = text.rindex("}")
    for at in range(0, end, 3):
        with pytest.raises(ValueError, match=r"tiny\.bif"):
            BayesianNetwork.from_bif(written(tmp_path, text[:at]))


def test_a_table_over_more_names_than_letters_is_refused():
    names = [f"v{i}" for i in range(60)]
    chain = BayesianNetwork({}, {name: ["a", "b"] for name in names}).fit(torch.zeros(1, 60).long())
    single = BayesianNetwork({}, {name: ["a"] for name in names}).fit(torch.zeros(1, 60).long())
    for network in (chain, single):
        with pytest.raises(
            ValueError, match=r"this needs a table of \d+ variables .*: ask for fewer variables at once"
        ):
            network.query(names)


def test_where_states_are_numbers_their_names_count():
    network = BayesianNetwork({"b": ["a"]}, {"a": [1, 2, 5], "b": range(2)}).fit(torch.tensor([[0, 0], [1, 1], [2, 0]]))
    assert network.query("b", {"a": 1}).tolist() == network.query("b", {"a": np.int64(1)}).tolist() == [1, 0]
    assert network.query("b", {"a": 2}).tolist() == [0, 1]
    for wrong in (0, 1.5, "1", None):
        with pytest.raises(ValueError, match="state"):
            network.query("b", {"a": wrong})
    named = BayesianNetwork({}, {"a": ["x", "y"]}).fit(torch.tensor([[0], [1]]))
    for wrong in (1.5, None, -1, 2):
        with pytest.raises(ValueError, match="state"):
            named.log_evidence({"a": wrong})


# --- errors ---

GRASS = {"rain": ["no", "yes"], "sprinkler": ["off", "on"], "wet": ["no", "yes"]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n.query("rian"), r"there is no variable 'rian': did you mean 'rain'\?"),
        (lambda n: n.query("Wet"), r"did you mean 'wet'\?"),
        (lambda n: n.query("42"), r"there is no variable '42': expected one of rain, sprinkler, wet"),
        (lambda n: n.query("rain", {"wet": "yess"}), r"no state of 'wet' called 'yess': did you mean 'yes'\?"),
        (lambda n: n.query("rain", {"wett": "yes"}), r"there is no variable 'wett': did you mean 'wet'\?"),
        (lambda n: n.query("rain", {"wet": 2}), r"state 2 of 'wet' is out of range: it has 2 states, from 0"),
        (lambda n: n.query("rain", {"wet": -1}), r"state -1 of 'wet' is out of range"),
        (lambda n: n.query("rain", {"rain": "yes"}), r"'rain' is both asked for and given as evidence"),
        (lambda n: n.query(["rain", "rain"]), r"asked for twice: rain, rain"),
        (lambda n: n.query([]), r"no variable is asked for: name at least one, or use log_evidence"),
        (
            lambda n: n.query("rain", {"sprinkler": "off", "rain": "no"} | {"wet": 1}),
            r"'rain' is both asked for and given",
        ),
        (
            lambda n: n.log_prob(torch.zeros(3, 2).long()),
            r"shape \(3, 2\): expected \(B, 3\) with B > 0, one column for each",
        ),
        (lambda n: n.log_prob(torch.zeros(3, 3)), r"type torch.float32: expected whole numbers, .*use x.long\(\)"),
        (
            lambda n: n.log_prob(torch.tensor([[0, 0, 0], [0, 5, 0]])),
            r"row 1 of x has 5 for 'sprinkler': expected 0 … 1, one of its states off, on",
        ),
        (lambda n: n.log_prob(torch.tensor([[0, -1, 0]])), r"row 0 of x has -1 for 'sprinkler'"),
        (lambda n: n.fit(torch.zeros(0, 3).long()), r"shape \(0, 3\): expected \(B, 3\) with B > 0"),
        (lambda n: n.fit(torch.zeros(1, 3).long(), alpha=-1), r"alpha is -1: expected a count of 0 or more"),
        (lambda n: n.sample(0), r"n is 0: expected a whole number of at least 1"),
        (
            lambda n: n.likelihood_weighting("rain", n_samples=0),
            r"n_samples is 0: expected a whole number of at least 1",
        ),
        (lambda n: n.gibbs("rain", chains=0), r"chains is 0: expected a whole number of at least 1"),
        (lambda n: n.gibbs("rain", burn_in=-5), r"burn_in is -5: expected a whole number of at least 0"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(rain())


@pytest.mark.parametrize("method", ["query", "likelihood_weighting", "gibbs"])
def test_impossible_evidence_is_refused(method):
    network = rain(wet=torch.tensor([[[1.0, 0], [1, 0]], [[0.2, 0.8], [0, 1]]]))
    with pytest.raises(ValueError, match=r"evidence rain = no, wet = yes has probability 0 in this network"):
        getattr(network, method)("sprinkler", evidence={"rain": "no", "wet": 1})
    with pytest.raises(ValueError, match="has probability 0"):
        network.sample(5, evidence={"rain": "no", "wet": 1})


def test_a_contradiction_that_the_question_does_not_touch_is_refused():
    tables = {"a": [0.4, 0.6], "b": torch.eye(2), "c": torch.eye(2), "alone": [0.5, 0.5]}
    network = BayesianNetwork({"b": ["a"], "c": ["a"]}, dict.fromkeys(tables, ("0", "1")), tables)
    assert network.query("alone", {"b": 0, "c": 0}).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="evidence b = 0, c = 1 has probability 0"):
        network.query("alone", {"b": 0, "c": 1})


def test_weights_that_all_vanish_by_chance_are_reported():
    rare = torch.tensor([1 - 1e-9, 1e-9], dtype=torch.float64)
    network = rain(rain=rare, wet=torch.tensor([[[1.0, 0], [1, 0]], [[0, 1], [0, 1]]]))
    with pytest.raises(
        ValueError, match=r"none of 10 rows agrees with the evidence wet = yes: draw more, or use query"
    ):
        network.likelihood_weighting("rain", {"wet": "yes"}, 10, generator())


@pytest.mark.parametrize(
    ("parents", "states", "message"),
    [
        (
            {"rain": ["wet"], "wet": ["sprinkler"], "sprinkler": ["rain"]},
            GRASS,
            r"arrows form a cycle, (rain → sprinkler → wet → rain|sprinkler → wet → rain → spr|wet → rain → spri)",
        ),
        ({"rain": ["rain"]}, GRASS, r"cycle, rain → rain: remove one of them"),
        ({"wet": ["rian"]}, GRASS, r"there is no variable 'rian': did you mean 'rain'\?"),
        ({"wte": ["rain"]}, GRASS, r"there is no variable 'wte': did you mean 'wet'\?"),
        ({"wet": "rain"}, GRASS, r"'wet' has the text 'rain' where a list of names belongs: write \['rain'\]"),
        ({"wet": ["rain", "rain"]}, GRASS, r"'wet' lists a name twice: rain, rain"),
        ({}, {"rain": ["yes", "yes"]}, r"'rain' lists a name twice: yes, yes"),
        ({}, {"rain": []}, r"variable 'rain' has no states"),
        ({}, {}, r"a network needs at least one variable"),
    ],
)
def test_a_graph_that_is_none_is_refused(parents, states, message):
    with pytest.raises(ValueError, match=message):
        BayesianNetwork(parents, states)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"rain": torch.tensor([0.5, 0.2])}, r"table of 'rain' sums to 0.7: expected 1 over the last axis"),
        (
            {"wet": torch.tensor([[[1.0, 0], [0.1, 0.9]], [[0.2, 0.7], [0, 1]]])},
            r"table of 'wet' sums to 0.9 given rain = yes, sprinkler = off: .*divide by table.sum",
        ),
        ({"rain": torch.tensor([1.2, -0.2])}, r"table of 'rain' holds -0.2: expected probabilities"),
        ({"rain": torch.tensor([math.nan, 1.0])}, r"table of 'rain' holds nan: expected probabilities"),
        ({"rain": torch.tensor([math.inf, 1.0])}, r"table of 'rain' holds inf: expected probabilities"),
        ({"rain": torch.ones(3) / 3}, r"'rain' has shape \(3,\): expected \(2,\), no parents"),
        (
            {"wet": torch.ones(2, 2) / 2},
            r"'wet' has shape \(2, 2\): expected \(2, 2, 2\), one axis for each parent \(rain, sprinkler\), then",
        ),
        ({"snow": torch.ones(2) / 2}, r"there is no variable 'snow'"),
    ],
)
def test_a_table_that_is_none_is_refused(tables, message):
    with pytest.raises(ValueError, match=message):
        rain(**tables)


def test_a_missing_table_is_named():
    with pytest.raises(
        ValueError, match="no table for sprinkler, wet: give one for each variable, or none and call fit"
    ):
        BayesianNetwork({}, GRASS, {"rain": torch.tensor([0.5, 0.5])})


def test_a_network_without_tables_says_so():
    network = BayesianNetwork({"wet": ["rain"]}, GRASS)
    assert repr(network) == "BayesianNetwork(3 variables, 1 edges, 4 parameters, no tables yet)"
    for ask in (lambda: network.query("rain"), lambda: network.sample(3), lambda: network.tables):
        with pytest.raises(NotFittedError, match=r"no tables: call fit\(x\) first, or pass tables="):
            ask()
