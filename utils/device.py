"""Where to compute, and how precisely: what `device="auto"` and `autocast="auto"` mean on this machine."""

from __future__ import annotations

import functools
import math
import time

import torch


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device that is meant: "auto" is a GPU where there is one, else the processor."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@functools.cache
def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster here than float32: on a processor, a product of two matrices is timed once.

    To have the instructions is not enough: there are processors on which they take twice as long.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not torch.cpu._is_avx512_bf16_supported():
        return False
    a, b = torch.ones(256, 512), torch.ones(512, 512)
    best = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    for _ in range(10):  # in turn, and the best of each counts: other programs disturb both
        for dtype in best:
            x, y = a.to(dtype), b.to(dtype)
            began = time.perf_counter()
            x @ y
            best[dtype] = min(best[dtype], time.perf_counter() - began)
    return best[torch.bfloat16] < 0.8 * best[torch.float32]
