"""Drawing images with a PixelCNN that remembers, and with one that computes everything anew for each symbol.

    python benchmarks/sampling.py            some minutes
    python benchmarks/sampling.py --quick    one repeat, fewer images

`GatedPixelCNN` for images of 28 × 28, 24 channels and 5 layers, random weights (time does not depend on them), float32,
two threads. For symbols of 2 × 2 pixels, as in chapter 12, and for single pixels; for 64 images at once and for one.

Both ways take turns; a line gives the median seconds of the repeats and their range. For single pixels a naive run
would take minutes, so the naive way draws the last rows only, and its time is multiplied: each of its steps runs the
same network on images of the same size. In float64 both ways must draw the same images, and for 64 images remembering
must be at least 5 × faster; both are asserted.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from threadpoolctl import threadpool_limits

from utils.models.autoregressive import GatedPixelCNN

THREADS, SIDE, CHANNELS, LAYERS, AT_LEAST = 2, 28, 24, 5, 5.0


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network(patch: int) -> GatedPixelCNN:
    """Random weights, small enough that images are neither black nor white."""
    torch.manual_seed(0)
    model = GatedPixelCNN((SIDE, SIDE), CHANNELS, LAYERS, patch)
    torch.nn.init.normal_(model.last.weight, std=0.3)
    return model


def equal(model: GatedPixelCNN, rows: int) -> bool:
    """Whether both ways draw the same last `rows` rows in float64."""
    start = torch.randint(0, 2, (4, 1, SIDE, SIDE), generator=generator()).double()
    model.double()
    ways = [model.sample(4, generator(), start=start, rows=SIDE - rows, naive=naive) for naive in (False, True)]
    model.float()
    return torch.equal(*ways)


def seconds(model: GatedPixelCNN, n: int, **options) -> float:
    start = time.perf_counter()
    model.sample(n, generator(), **options)
    return time.perf_counter() - start


def compare(patch: int, n: int, rows: int, repeats: int) -> float:
    """The median time of the naive way over that of the other."""
    model = network(patch)
    assert equal(model, min(rows, 4)), "the two ways draw different images"
    start, share = model.sample(n, generator()), rows / SIDE
    fast, naive = [], []
    for _ in range(repeats):
        fast.append(seconds(model, n))
        naive.append(seconds(model, n, start=start, rows=SIDE - rows, naive=True) / share)
    ratio = statistics.median(naive) / statistics.median(fast)
    sites = f"{(SIDE // patch) ** 2} symbols of {patch} × {patch}"
    print(f"{n} image{'s' * (n > 1)}, {sites}; the naive way drew {rows} of {SIDE} rows")
    for name, taken in (("remembering", fast), ("naive", naive)):
        print(f"  {name:12} {statistics.median(taken):7.2f} s  ({min(taken):.2f}–{max(taken):.2f})")
    print(f"  {ratio:.1f} × faster", flush=True)
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat, fewer images")
    quick = parser.parse_args().quick
    torch.set_num_threads(THREADS)
    repeats, many = (1, 8) if quick else (5, 64)
    with threadpool_limits(THREADS):
        for patch, rows in ((2, 8), (1, 2)):
            ratio = compare(patch, many, rows, repeats)
            assert quick or ratio >= AT_LEAST, f"only {ratio:.1f} × faster than the naive way"
            compare(patch, 1, rows, repeats)


if __name__ == "__main__":
    main()
