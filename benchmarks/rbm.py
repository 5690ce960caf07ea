"""Restricted Boltzmann machines side by side: this course, scikit-learn, and the matrix products that nobody can avoid.

    python benchmarks/rbm.py            some minutes
    python benchmarks/rbm.py --quick    fewer rows, shorter annealing

Binarized MNIST (one fixed draw, see `utils.data`), 784 visible and 500 hidden units, batches of 100, persistent chains
with one Gibbs step between updates, float32, two threads. Three questions:

1. Speed: seconds an epoch, taking turns, median of five, beside the five matrix products of an epoch alone.
2. Quality: the test log-likelihood of ours after some epochs, and of scikit-learn's after the same time, both by the
   annealed importance sampling of this course, from below and from above. Never worse is asserted.
3. Truth: with 20 hidden units the estimate must lie within 0.5 nats of the exact value; this is asserted.

And films: the error of held-out ratings of MovieLens, five splits, of means, biases, factors and the softmax machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_limits
from torch import Tensor

from utils.data import load
from utils.models.boltzmann import RBM, MatrixFactorization, SoftmaxRBM
from utils.ratings import load_ratings

THREADS, HIDDEN, BATCH = 2, 500, 100
RATE = 0.05  # of both libraries; ours falls to 0, scikit-learn's stays


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def products(x: Tensor, epochs: int) -> None:
    """The five matrix products of each batch, and nothing else."""
    weights, v, h = torch.zeros(x.shape[1], HIDDEN), torch.empty(BATCH, x.shape[1]), torch.empty(BATCH, HIDDEN)
    for batch in epochs * x.split(BATCH):
        torch.mm(batch, weights, out=h)
        weights.addmm_(batch.T, h, alpha=1e-9)
        torch.mm(h, weights.T, out=v)
        torch.mm(v, weights, out=h)
        weights.addmm_(v.T, h, alpha=-1e-9)


def ours(x: Tensor, epochs: int = 1, hidden: int = HIDDEN) -> RBM:
    return RBM(hidden, batch_size=BATCH, epochs=epochs, learning_rate=RATE, generator=generator()).fit(x)


def sklearn(x: Tensor, epochs: int = 1) -> BernoulliRBM:
    return BernoulliRBM(HIDDEN, batch_size=BATCH, n_iter=epochs, learning_rate=RATE, random_state=0).fit(x.numpy())


def seconds(work: Callable, *arguments) -> tuple[float, object]:
    start = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - start, result


def speed(x: Tensor, repeats: int) -> dict[str, float]:
    """Median seconds of an epoch of each: three epochs less one, over two, so that starts and checks cancel."""
    works = {"five products": products, "ours": ours, "scikit-learn": sklearn}
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            short, long = (seconds(work, x, epochs)[0] for epochs in (1, 3))
            if repeat:  # the first round warms up
                times[name].append((long - short) / 2)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    print(f"\nan epoch of {len(x):,} rows, {str(x.dtype).removeprefix('torch.')}")
    for name, taken in times.items():
        print(
            f"  {name:14} {median[name]:6.2f} s  ({min(taken):.2f}–{max(taken):.2f}), "
            f"{median[name] / median['five products']:.2f} × the products"
        )
    print(f"  scikit-learn takes {median['scikit-learn'] / median['ours']:.2f} × the time of ours")
    return median


def quality(
    name: str, model: RBM, taken: float, x: Tensor, test: Tensor, chains: int, betas: int
) -> tuple[float, float]:
    """The test log-likelihood from chains that went up and from such that went down; prints a line."""
    start = model.sample(chains, generator(1), start=x[:chains], steps=100)
    log_z = model.log_partition("ais", chains=chains, betas=betas, start=start, generator=generator(2))
    best, low = model.log_prob(test, log_z).mean().item(), model.log_prob(test, log_z.high).mean().item()
    high = model.log_prob(test, log_z.low).mean().item()
    print(f"  {name:14} {taken:6.1f} s of fitting: {best:8.2f} nats an image, from {low:.2f} to {high:.2f}", flush=True)
    return best, low


def films(seeds: int) -> None:
    ratings = load_ratings()
    errors: dict[str, list[float]] = {}
    slowest = 0.0
    for seed in range(seeds):
        source = generator(seed)
        train, test = ratings.split(0.1, source)
        mean, ones = train.stars.mean(), torch.ones_like(train.stars)

        def means(index: Tensor, at: Tensor, n: int, train=train, mean=mean, ones=ones) -> Tensor:
            count = torch.zeros(n).index_add_(0, index, ones)
            return torch.where(count > 0, torch.zeros(n).index_add_(0, index, train.stars) / count, mean)[at]

        taken, machine = seconds(SoftmaxRBM(generator=source).fit, train)
        slowest = max(slowest, taken)
        for name, stars in {
            "mean of all": mean,
            "mean of film": means(train.films, test.films, train.n_films),
            "mean of user": means(train.users, test.users, train.n_users),
            "biases": MatrixFactorization(0).fit(train).predict(test.users, test.films),
            "factors": MatrixFactorization(generator=source).fit(train).predict(test.users, test.films),
            "softmax RBM": machine.predict(test.users, test.films),
        }.items():
            errors.setdefault(name, []).append((stars - test.stars).square().mean().sqrt().item())
    print(f"\nMovieLens, a tenth of the ratings held out, {seeds} splits: root mean squared error in stars")
    for name, found in errors.items():
        print(f"  {name:14} {statistics.mean(found):.4f}  ({min(found):.4f}–{max(found):.4f})")
    print(f"  fitting the softmax RBM took at most {slowest:.1f} s")
    assert all(a < b for a, b in zip(errors["softmax RBM"], errors["biases"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows, shorter annealing")
    quick = parser.parse_args().quick
    torch.set_num_threads(THREADS)
    data = load("mnist").binarized().flat()
    x, test = data.x_train[: 6000 if quick else 60_000], data.x_test
    epochs, chains, betas = (3, 50, 500) if quick else (10, 100, 4000)

    with threadpool_limits(THREADS):
        median = speed(x, 1 if quick else 5)

        print("\ntest log-likelihood by annealed importance sampling")
        taken, model = seconds(ours, x, epochs)
        base = model.base_bias
        best, _ = quality("ours", model, taken, x, test, chains, betas)
        rounds = max(1, round(taken / median["scikit-learn"]))
        taken, theirs = seconds(sklearn, x, rounds)
        parts = (theirs.components_.T, theirs.intercept_visible_, theirs.intercept_hidden_)
        model = RBM.from_parameters(*(torch.tensor(part) for part in parts), base)
        other, _ = quality("scikit-learn", model, taken, x, test, chains, betas)
        assert best >= other, f"ours reached {best:.2f}, scikit-learn {other:.2f}"

        small = ours(x, 2, hidden=20)
        exact, found = small.log_partition().value, small.log_partition("ais", betas=1000, generator=generator(3))
        interval = f"{found.low:.4f}–{found.high:.4f}"
        print(f"\n20 hidden units: log Z {exact:.4f} exactly, {found.value:.4f} by annealing ({interval})")
        assert abs(found.value - exact) < 0.5

        films(1 if quick else 5)


if __name__ == "__main__":
    main()
