"""Bayesian networks side by side: this course and pgmpy on alarm (37 variables), scikit-learn for mutual information.

    python benchmarks/bayesnet.py            all of it, some minutes
    python benchmarks/bayesnet.py --quick    fewer rows and repeats

The competitors alternate; a line gives the median and the range. Both answer the same queries: one variable given
three observed ones, taken from a row that the network drew. Ours keeps the order of elimination it found, so a question
that comes again is faster than a new one, and both are shown.
pgmpy draws with `forward_sample`, eliminates in its default order "greedy" and climbs with its BIC ("bic-d") and its
default tabu list. The script asserts that posteriors agree to 1e-10 and that the Chow-Liu tree has the total mutual
information of the best tree by networkx over `mutual_info_score`; time is reported, not asserted.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import logging
import statistics
import time
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import mutual_info_score
from threadpoolctl import threadpool_limits

from utils.data import path
from utils.models.bayesnets import BayesianNetwork, bic_score, chow_liu, hill_climb, mutual_information

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from pgmpy.causal_discovery import HillClimbSearch
    from pgmpy.inference import VariableElimination
    from pgmpy.readwrite import BIFReader
    from pgmpy.sampling import BayesianModelSampling

THREADS = 2


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ours(name: str) -> BayesianNetwork:
    return BayesianNetwork.from_bif(path(f"bayesnets/{name}.bif.gz"))


def theirs(name: str):
    return BIFReader(string=gzip.decompress(path(f"bayesnets/{name}.bif.gz").read_bytes()).decode()).get_model()


def seconds(call) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def line(what: str, mine: list[float], other: list[float], peer: str = "pgmpy") -> None:
    a, b = statistics.median(mine), statistics.median(other)
    ratios = sorted(y / x for x, y in zip(mine, other, strict=True))
    print(
        f"  {what:34} ours {1e3 * a:9.2f} ms ({1e3 * min(mine):.2f}–{1e3 * max(mine):.2f})"
        f"  {peer} {1e3 * b:9.2f} ms ({1e3 * min(other):.2f}–{1e3 * max(other):.2f})"
        f"  {b / a:5.1f} × (pairs: {ratios[len(ratios) // 10]:.1f}–{ratios[-1 - len(ratios) // 10]:.1f})",
        flush=True,
    )


def queries(network: BayesianNetwork, model, cases: int, targets: int, repeats: int) -> None:
    elimination = VariableElimination(model)
    g, worst, first, mine, other_first, other = generator(0), 0.0, [], [], [], []
    for row in network.sample(cases, g).tolist():
        names = [network.variables[i] for i in torch.randperm(len(row), generator=g).tolist()]
        evidence = {name: network.states[name][row[network.variables.index(name)]] for name in names[:3]}
        for name in names[3 : 3 + targets]:
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(repeats + 1):
                taken, a = seconds(lambda: network.query(name, evidence))  # noqa: B023
                times[0].append(taken)
                taken, b = seconds(lambda: elimination.query([name], evidence, show_progress=False))  # noqa: B023
                times[1].append(taken)
            first.append(times[0][0])
            other_first.append(times[1][0])
            mine.append(statistics.median(times[0][1:]))
            other.append(statistics.median(times[1][1:]))
            worst = max(worst, np.abs(a.numpy() - b.values).max())
    line(f"{len(mine)} queries, asked before", mine, other)
    line(f"{len(mine)} queries, for the first time", first, other_first)
    print(f"    largest difference of a probability: {worst:.1e}")
    assert worst < 1e-10


def sampling(network: BayesianNetwork, model, n: int, repeats: int) -> None:
    sampler, mine, other = BayesianModelSampling(model), [], []
    for seed in range(repeats + 1):
        mine.append(seconds(lambda: network.sample(n, generator(seed)))[0])  # noqa: B023
        other.append(seconds(lambda: sampler.forward_sample(n, seed=seed, show_progress=False))[0])  # noqa: B023
    line(f"{n:,} rows by ancestral sampling", mine[1:], other[1:])


def tree(network: BayesianNetwork, n: int) -> None:
    x = network.sample(n, generator(1))
    sizes = [len(states) for states in network.states.values()]
    taken, learned = seconds(lambda: chow_liu(x, network.states))

    def brute_force() -> float:
        columns, graph = x.T.contiguous().numpy(), nx.Graph()
        for a, b in itertools.combinations(range(len(columns)), 2):
            graph.add_edge(a, b, weight=mutual_info_score(columns[a], columns[b]))
        return sum(edge["weight"] for *_, edge in nx.maximum_spanning_edges(graph, data=True))

    slow, best = seconds(brute_force)
    information, at = mutual_information(x, sizes), {name: i for i, name in enumerate(network.variables)}
    total = sum(information[at[above], at[child]].item() for above, child in learned.edges)
    line(f"Chow-Liu tree of {n:,} rows", [taken], [slow], "scikit-learn and networkx")
    print(f"    total mutual information {total:.12f} nats, brute force {best:.12f}: off by {abs(total - best):.1e}")
    assert abs(total - best) < 1e-9


def climbing(network: BayesianNetwork, n: int, peer: bool) -> None:
    x = network.sample(n, generator(2))
    taken, learned = seconds(lambda: hill_climb(x, network.states))
    score, true = bic_score(learned, x), bic_score(network, x)
    print(f"  hill climbing, {n:,} rows: ours {taken:.2f} s, BIC {score:.1f} (the true graph: {true:.1f})")
    if peer:
        rows = {
            name: pd.Categorical.from_codes(column, network.states[name]) for name, column in network.columns(x).items()
        }
        search = HillClimbSearch(scoring_method="bic-d", max_indegree=4, return_type="dag", show_progress=False)
        slow, _ = seconds(lambda: search.fit(pd.DataFrame(rows)))
        parents = {name: list(search.causal_graph_.predecessors(name)) for name in network.variables}
        found = bic_score(BayesianNetwork(parents, network.states), x)
        print(f"    pgmpy {slow:.2f} s, BIC {found:.1f}: {slow / taken:.1f} ×", flush=True)


def held_out(name: str, n: int, seeds: int) -> None:
    network = ours(name)
    test = network.sample(100_000, generator(10**6))
    truth, gaps = network.log_prob(test), {"hill climbing": [], "Chow-Liu tree": []}
    for seed in range(seeds):
        x = network.sample(n, generator(seed))
        for learn, learned in (
            ("hill climbing", hill_climb(x, network.states, alpha=1.0)),
            ("Chow-Liu tree", chow_liu(x, network.states, alpha=1.0)),
        ):
            gaps[learn].append((truth - learned.log_prob(test)).mean().item())
    for learn, values in gaps.items():
        spread = f"{min(values):.4f}–{max(values):.4f}"
        print(f"  {name:6} {n:7,} rows, {learn}: {statistics.median(values):.4f} nats a row below the truth ({spread})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and repeats, and no climb by pgmpy")
    quick = parser.parse_args().quick
    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    torch.set_num_threads(THREADS)
    network, model = ours("alarm"), theirs("alarm")
    with threadpool_limits(THREADS):
        print("alarm: times")
        queries(network, model, *(3, 5, 3) if quick else (20, 10, 5))
        sampling(network, model, 10_000 if quick else 100_000, 1 if quick else 5)
        tree(network, 2000 if quick else 20_000)
        climbing(network, 1000 if quick else 5000, peer=not quick)
        print(f"\nheld-out log-likelihood, {1 if quick else 5} seeds, tables with a count of 1 a cell")
        for name in ("asia", "alarm"):
            for n in (2000,) if quick else (5000, 10_000):
                held_out(name, n, 1 if quick else 5)


if __name__ == "__main__":
    main()
