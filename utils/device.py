"""Where to compute, and how precisely: what `device="auto"` and `autocast="auto"` mean on this machine."""

from __future__ import annotations

import torch


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device that is meant: "auto" is a GPU where there is one, else the processor."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_autocast(autocast: bool | str, device: torch.device) -> bool:
    """Whether losses are computed with bfloat16 inside: "auto" means on an NVIDIA GPU that has it, and nowhere else.

    The same on every processor: some that have the instructions take twice as long with them, and what a short timing
    says depends on what else runs, so that the results of a training would, too.
    """
    if autocast != "auto":
        return bool(autocast)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
