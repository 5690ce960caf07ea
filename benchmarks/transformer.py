"""Generation and training of the course's GPT beside the GPT-2 class of the library `transformers`, of equal size.

    python benchmarks/transformer.py            some minutes
    python benchmarks/transformer.py --quick    one repeat, fewer tokens

Both have 1,024 tokens, width 128, 4 layers, 4 heads and windows of 256, random weights (time does not depend on them),
float32, two threads. `transformers` is an extra: `pip install -e .[benchmark]`.

Generation: one text of 255 tokens, drawn one by one, each library with its own cache and its own loop. Training: one
step on 8 windows of 256 tokens: loss, gradients, and a step of PyTorch's AdamW for both; ours with Muon
is shown, too. Both take turns; a line gives the median of the repeats and their range. That generation is at
least 2 × as fast, and a training step no slower (with 5 % for noise), is asserted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from utils.models.transformers import GPT, Muon

THREADS, VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT, BATCH = 2, 1024, 128, 4, 4, 256, 8
FASTER, NOISE = 2.0, 1.05


def theirs() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
        bos_token_id=None, eos_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def ours() -> GPT:
    model = GPT(VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT, torch.Generator().manual_seed(0))
    torch.nn.init.normal_(model.head.weight, std=0.02)
    return model


def generate_ours(model: GPT, steps: int) -> None:
    model.sample(1, torch.Generator().manual_seed(0), steps=steps)


def generate_theirs(model: GPT2LMHeadModel, steps: int) -> None:
    start = torch.zeros(1, 1, dtype=torch.int64)
    model.eval().generate(
        start, attention_mask=torch.ones_like(start), do_sample=True, top_k=0, use_cache=True,
        min_new_tokens=steps, max_new_tokens=steps, pad_token_id=0,
    )  # fmt: skip


def step_of(loss: Callable, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def training_steps() -> dict[str, Callable[[], None]]:
    x = torch.randint(VOCABULARY, (BATCH, CONTEXT), generator=torch.Generator().manual_seed(1))
    read = F.pad(x[:, :-1], (1, 0), value=VOCABULARY)
    mine, peer, with_muon = ours().train(), theirs().train(), ours().train()
    matrices = [p for p in with_muon.blocks.parameters() if p.ndim == 2]
    others = [p for p in with_muon.parameters() if not any(p is matrix for matrix in matrices)]

    def loss_of(model: GPT) -> Callable:
        return lambda: F.cross_entropy(model(read).flatten(0, 1), x.flatten())

    return {
        "ours, AdamW": step_of(loss_of(mine), torch.optim.AdamW(mine.parameters(), fused=True)),
        "GPT-2 class, AdamW": step_of(lambda: peer(x, labels=x).loss, torch.optim.AdamW(peer.parameters(), fused=True)),
        "ours, Muon": step_of(loss_of(with_muon), Muon(matrices, others)),
    }


def measure(title: str, ways: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """The median seconds of each way; they take turns."""
    taken = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if repeat:  # the first time warms up
                taken[name].append(time.perf_counter() - start)
    print(title)
    for name, seconds in taken.items():
        print(f"  {name:20} {statistics.median(seconds):7.3f} s  ({min(seconds):.3f}–{max(seconds):.3f})")
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat, fewer tokens")
    quick = parser.parse_args().quick
    logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    repeats, steps = (1, 60) if quick else (7, CONTEXT - 1)
    with threadpool_limits(THREADS):
        mine, peer = ours(), theirs()
        ways = {"ours": lambda: generate_ours(mine, steps), "GPT-2 class": lambda: generate_theirs(peer, steps)}
        taken = measure(f"{steps} tokens, drawn one by one", ways, repeats)
        ratio = taken["GPT-2 class"] / taken["ours"]
        print(f"  {ratio:.1f} × as fast", flush=True)
        steps_taken = measure(f"one training step on {BATCH} × {CONTEXT} tokens", training_steps(), 2 * repeats)
        slower = steps_taken["ours, AdamW"] / steps_taken["GPT-2 class, AdamW"]
        print(f"  {slower:.2f} of the time of the GPT-2 class")
    assert quick or ratio >= FASTER, f"generation is only {ratio:.1f} × as fast as that of the GPT-2 class"
    assert quick or slower <= NOISE, f"a training step takes {slower:.2f} of the time of the GPT-2 class"


if __name__ == "__main__":
    main()
