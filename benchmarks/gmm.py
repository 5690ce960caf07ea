"""Gaussian mixtures side by side: this course, scikit-learn and, where it is installed, pomegranate.

    python benchmarks/gmm.py            all sizes, some minutes
    python benchmarks/gmm.py --quick    a tenth of the rows, one repeat

All start from the same parameters and take the same number of EM steps at two threads; the competitors alternate, and
a line gives the median of five. The time of one step is the time of a fit less that of a shorter one, over the steps
between: checks and starts cancel. The script asserts that the log-likelihoods agree to 1e-6 relative in float64; time
is reported, not asserted.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from threadpoolctl import threadpool_limits

from utils.models.mixtures import GaussianMixture

THREADS = 2
SHORT = 1  # steps of the shorter fit
AGREE = {torch.float64: 1e-6, torch.float32: 1e-4}


def problem(n: int, dim: int, k: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping Gaussians of different shapes, and the means to start from."""
    generator = torch.Generator().manual_seed(0)
    centers = 2 * torch.randn(k, dim, generator=generator, dtype=torch.float64)
    shapes = torch.eye(dim) + 0.5 * torch.randn(k, dim, dim, generator=generator, dtype=torch.float64) / dim**0.5
    which = torch.randint(k, (n,), generator=generator)
    x = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    for j in range(k):
        x[which == j] = centers[j] + x[which == j] @ shapes[j]
    start = centers + 0.5 * torch.randn(k, dim, generator=generator, dtype=torch.float64)
    return x.to(dtype), start.to(dtype)


def ours(x: torch.Tensor, start: torch.Tensor, steps: int) -> float:
    k, dim = start.shape
    weights, covariances = torch.full((k,), 1 / k), torch.eye(dim).expand(k, dim, dim)
    model = GaussianMixture(
        k, max_iter=steps, tol=0, weights_init=weights, means_init=start, covariances_init=covariances
    )
    return model.fit(x).history_[-1]


def sklearn(x: torch.Tensor, start: torch.Tensor, steps: int) -> float:
    k, dim = start.shape
    weights, precisions = np.full(k, 1 / k, x.numpy().dtype), np.tile(np.eye(dim, dtype=x.numpy().dtype), (k, 1, 1))
    model = SklearnMixture(
        k,
        max_iter=steps,
        tol=0,
        init_params="random_from_data",  # the cheapest of the starts, which the given one overrides
        weights_init=weights,
        means_init=start.numpy(),
        precisions_init=precisions,
    )
    return model.fit(x.numpy()).lower_bound_


def pomegranate(x: torch.Tensor, start: torch.Tensor, steps: int) -> float:
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    k, dim = start.shape
    parts = [Normal(mean.clone(), torch.eye(dim, dtype=x.dtype), covariance_type="full") for mean in start]
    model = GeneralMixtureModel(parts, priors=torch.full((k,), 1 / k, dtype=x.dtype), max_iter=steps, tol=-1e30)
    for _ in range(steps):  # its `fit` with the same updates, but the log-likelihood can be read
        log_likelihood = model.summarize(x)
        model.from_summaries()
    return float(log_likelihood) / len(x)


def seconds(fit, *arguments) -> tuple[float, float]:
    start = time.perf_counter()
    result = fit(*arguments)
    return time.perf_counter() - start, result


def compare(n: int, dim: int, k: int, dtype: torch.dtype, steps: int, fits: dict, repeats: int) -> None:
    x, start = problem(n, dim, k, dtype)
    times: dict[str, list[float]] = {name: [] for name in fits}
    reached = {}
    for repeat in range(repeats + 1):
        for name, fit in fits.items():
            short, _ = seconds(fit, x, start, SHORT)
            long, reached[name] = seconds(fit, x, start, SHORT + steps)
            if repeat:  # the first round warms up
                times[name].append((long - short) / steps)
    print(f"\nn = {n:,}, d = {dim}, K = {k}, full covariance, {str(dtype).removeprefix('torch.')}")
    mine, best = statistics.median(times["ours"]), reached["ours"]
    for name, taken in times.items():
        median = statistics.median(taken)
        difference, fastest, slowest = abs(reached[name] / best - 1), 1e3 * min(taken), 1e3 * max(taken)
        print(
            f"  {name:12} {1e3 * median:9.1f} ms a step  ({median / mine:5.2f} × ours, {fastest:.1f}–{slowest:.1f})"
            f"  log-likelihood {reached[name]:.9f}  (off by {difference:.1e})"
        )
        assert difference < AGREE[dtype], f"{name} and ours differ by {difference:.1e} after {SHORT + steps} steps"


def scale(n: int) -> None:
    """One row of the scaling table; run in a process of its own, for its peak memory."""
    x, start = problem(n, 10, 10, torch.float64)
    ours(x[: min(n, 1000)], start, SHORT)
    before = peak_mib(reset=True)
    times = []
    for _ in range(3):
        short, _ = seconds(ours, x, start, SHORT)
        times.append((seconds(ours, x, start, SHORT + 10)[0] - short) / 10)
    extra = peak_mib() - before
    step = statistics.median(times)
    print(f"  {n:9,} {1e3 * step:10.1f} {1e9 * step / n:12.0f} {x.nbytes / 2**20:12.1f} {extra:16.1f}")


def peak_mib(reset: bool = False) -> float:
    """The largest memory this process has held (since the last reset), in MiB; NaN where the system is not Linux."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    except OSError:
        return math.nan
    return int(line.split()[1]) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one repeat")
    parser.add_argument("--scale", type=int, metavar="N", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    if arguments.scale:
        return scale(arguments.scale)
    repeats, part = (1, 10) if arguments.quick else (5, 1)

    fits = {"ours": ours, "sklearn": sklearn}
    try:
        import pomegranate.gmm  # noqa: F401
    except ImportError as error:
        print(f"pomegranate is left out, it cannot be imported ({error}): pip install -e '.[benchmark]'")
    else:
        fits["pomegranate"] = globals()["pomegranate"]
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(THREADS):
        for dtype in (torch.float64, torch.float32):
            compare(100_000 // part, 10, 10, dtype, 10, fits, repeats)
            compare(60_000 // part, 64, 50, dtype, 3, fits, repeats)

    print("\nd = 10, K = 10, float64, each n in a process of its own")
    print("          n  ms a step  ns a row      data MiB  extra peak MiB", flush=True)
    for n in (10_000, 30_000, 100_000, 300_000, 1_000_000):
        subprocess.run([sys.executable, __file__, "--scale", str(n // part)], check=True)


if __name__ == "__main__":
    main()
