"""Normalizing flows side by side: this course, zuko and nflows, with the same layers and as many parameters.

    python benchmarks/flows.py            all of it, some minutes
    python benchmarks/flows.py --quick    fewer repeats, steps and seeds

The competitors come with: pip install -e '.[benchmark]'

Five transforms, networks of 64 and 64 hidden units, 8 bins, splines on [−5, 5]. A step is the log-likelihood of 256
rows, its gradient and a step of Adam (`fused=True` for all, so that less of what is measured is the optimizer); samples
are 1000 rows. All start from random weights of the same size. The competitors alternate at one thread, and a line gives
the median of processor time and its range. nflows has couplings with these networks; its masked ones differ (residual
layers, more parameters) and are left out.

Coupling splines of zuko are its `NICE` with spline transforms: its `NSF(passes=2)` computes numbers for both halves and
has twice the parameters; it is shown as "zuko, passes=2". The script asserts that all others have the same number of
parameters. At the end, held-out log-likelihood of toys after the same steps on the same batches; nothing is asserted
of times and likelihoods.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import zuko
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.transforms import (
    AffineCouplingTransform,
    CompositeTransform,
    PiecewiseRationalQuadraticCouplingTransform,
)
from torch import Tensor, nn
from zuko.transforms import MonotonicRQSTransform

from utils.models.flows import maf, real_nvp, spline_autoregressive, spline_coupling
from utils.toys import checkerboard, moons, spirals

OURS = {
    "RealNVP": real_nvp,
    "coupling splines": spline_coupling,
    "MAF": maf,
    "autoregressive splines": spline_autoregressive,
}
SAME = {"transforms": 5, "hidden_features": (64, 64)}
ZUKO = {
    "RealNVP": partial(zuko.flows.RealNVP, **SAME),
    "coupling splines": partial(
        zuko.flows.coupling.NICE, univariate=MonotonicRQSTransform, shapes=[(8,), (8,), (7,)], **SAME
    ),
    "MAF": partial(zuko.flows.MAF, **SAME),
    "autoregressive splines": partial(zuko.flows.NSF, **SAME),
}


class Net(nn.Module):
    """A plain network in the form nflows asks for."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.hidden_features = 64
        self.layers = nn.Sequential(
            nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
        )

    def forward(self, x: Tensor, context=None) -> Tensor:
        return self.layers(x)


def nflows(dim: int, coupling: Callable) -> nn.Module:
    masks = [(torch.arange(dim) % 2 == i % 2).int() for i in range(5)]
    return Flow(CompositeTransform([coupling(mask, Net) for mask in masks]), StandardNormal([dim]))


NFLOWS = {
    "RealNVP": partial(nflows, coupling=AffineCouplingTransform),
    "coupling splines": partial(
        nflows,
        coupling=partial(PiecewiseRationalQuadraticCouplingTransform, num_bins=8, tails="linear", tail_bound=5.0),
    ),
}


class Competitor:
    """One library's flow behind the two calls that are timed."""

    def __init__(self, name: str, model: nn.Module):
        self.model, self.lazy = model, name.startswith("zuko")
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def log_prob(self, x: Tensor) -> Tensor:
        return (self.model() if self.lazy else self.model).log_prob(x)

    def step(self, x: Tensor) -> None:
        self.optimizer.zero_grad()
        (-self.log_prob(x).mean()).backward()
        self.optimizer.step()

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        return self.model().sample((n,)) if self.lazy else self.model.sample(n)


def competitors(kind: str, dim: int) -> dict[str, Competitor]:
    models = {"ours": OURS[kind](dim), "zuko": ZUKO[kind](dim)}
    if kind in NFLOWS:
        models["nflows"] = NFLOWS[kind](dim)
    if kind == "coupling splines":
        models["zuko, passes=2"] = zuko.flows.NSF(dim, passes=2, **SAME)
    for model in models.values():
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    found = {name: Competitor(name, model) for name, model in models.items()}
    counts = {name: one.parameters for name, one in found.items() if name != "zuko, passes=2"}
    assert len(set(counts.values())) == 1, f"not as many parameters: {counts}"
    return found


def milliseconds(calls: dict[str, Callable], repeats: int, budget: float) -> dict[str, list[float]]:
    """Processor time of one call, `repeats` times each, in turns; as many calls a turn as fit `budget` seconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    often = {}
    for name, call in calls.items():
        call()
        start = time.process_time()
        call()
        often[name] = max(1, int(budget / (time.process_time() - start)))
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(often[name]):
                call()
            times[name].append(1e3 * (time.process_time() - start) / often[name])
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    mine = statistics.median(times["ours"])
    print(f"  {title}")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(
            f"    {name:15} {median:9.2f} ms ({min(taken):.2f}–{max(taken):.2f})  {median / mine:6.2f} × ours",
            flush=True,
        )


def speed(kind: str, dim: int, repeats: int, budget: float) -> None:
    found = competitors(kind, dim)
    print(f"\n{kind}, d = {dim}, {found['ours'].parameters:,} parameters")
    x = torch.randn(256, dim, generator=torch.Generator().manual_seed(1))
    report("a step, 256 rows", milliseconds({k: partial(v.step, x) for k, v in found.items()}, repeats, budget))
    for name, fresh in competitors(kind, dim).items():
        found[name] = fresh
    slow = 1 if kind == "autoregressive splines" and dim > 2 else repeats
    report("1000 samples", milliseconds({k: partial(v.sample, 1000) for k, v in found.items()}, slow, budget))


def held_out(kind: str, toy: Callable, steps: int, seeds: int) -> None:
    reached: dict[str, list[float]] = {}
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        train, test = toy(5000, generator)[0], toy(5000, generator)[0]
        torch.manual_seed(seed)
        models = {"ours": OURS[kind](2, generator=torch.Generator().manual_seed(seed)), "zuko": ZUKO[kind](2)}
        rows = [torch.randint(len(train), (256,), generator=generator) for _ in range(steps)]
        for name, model in models.items():
            one = Competitor(name, model)
            schedule = torch.optim.lr_scheduler.OneCycleLR(one.optimizer, 5e-3, steps)
            for batch in rows:
                one.step(train[batch])
                schedule.step()
            with torch.no_grad():
                reached.setdefault(name, []).append(one.log_prob(test).mean().item())
    line = "  ".join(
        f"{name} {statistics.mean(values):.4f} ± {statistics.stdev(values) if seeds > 1 else 0:.4f}"
        for name, values in reached.items()
    )
    gaps = [a - b for a, b in zip(reached["ours"], reached["zuko"], strict=True)]
    print(
        f"  {toy.__name__:13} {kind:17} {line}   ours − zuko, seed by seed: {min(gaps):+.4f} to {max(gaps):+.4f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, steps and seeds")
    parser.add_argument("--part", choices=("speed", "likelihood"), help="only this one")
    arguments = parser.parse_args()
    quick, part = arguments.quick, arguments.part
    torch.set_num_threads(1)
    if part != "likelihood":
        for kind in OURS:
            for dim in (2, 64):
                speed(kind, dim, *(3, 0.05) if quick else (7, 0.3))
    if part != "speed":
        steps, seeds = (200, 2) if quick else (800, 5)
        print(f"\nheld-out log-likelihood in nats, {steps} steps, mean and standard deviation of {seeds} seeds")
        for kind, toys in (("RealNVP", (moons, checkerboard)), ("coupling splines", (moons, spirals, checkerboard))):
            for toy in toys:
                held_out(kind, toy, steps, seeds)


if __name__ == "__main__":
    main()
