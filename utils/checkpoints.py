"""A training that can be interrupted: its state in a safetensors file, which holds numbers and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from utils.training import Trainer


def keep(trainer: Trainer, rows: int) -> None:
    """Write all that the next step depends on, and what was recorded, to the trainer's `checkpoint`."""
    state = {
        "model": trainer.model.state_dict(),
        "best": trainer.best,
        "average": dict(enumerate(trainer.average)),
        "optimizer": {
            part: {
                at: {name: torch.as_tensor(value) for name, value in own.items() if value is not None}
                for at, own in optimizer.state_dict()["state"].items()
            }
            for part, optimizer in trainer.optimizers.items()
        },
        "history": {name: torch.tensor(values, dtype=torch.float64) for name, values in trainer.history.items()},
        "losses": torch.tensor(trainer.losses, dtype=torch.float64),
        "counts": torch.tensor([trainer.step, trainer.epoch, trainer.stop]),
        "generator": trainer.generator.get_state(),
        "torch_generator": torch.get_rng_state(),
    }
    save(trainer.checkpoint, state, _settings(trainer, rows))


def resume(trainer: Trainer, rows: int) -> None:
    """Put the trainer back to where its `checkpoint` was written.

    Raises:
        ValueError: when the file was made under other settings, or with another number of rows.
    """
    state = load(trainer.checkpoint, _settings(trainer, rows))
    trainer.model.load_state_dict(state["model"])
    trainer.best = {name: value.to(trainer.device) for name, value in state.get("best", {}).items()}
    for at, value in state.get("average", {}).items():
        trainer.average[int(at)].copy_(value)
    for part, optimizer in trainer.optimizers.items():
        own = {int(at): values for at, values in state.get("optimizer", {}).get(part, {}).items()}
        optimizer.load_state_dict({"state": own, "param_groups": optimizer.state_dict()["param_groups"]})
    trainer.history = {name: values.tolist() for name, values in state["history"].items()}
    trainer.losses = state["losses"].tolist()
    trainer.step, trainer.epoch, stop = state["counts"].tolist()
    trainer.stop = bool(stop)
    trainer.generator.set_state(state["generator"])
    torch.set_rng_state(state["torch_generator"])


def _settings(trainer: Trainer, rows: int) -> dict[str, object]:
    """What must not change between two parts of one run."""
    names = ("lr", "batch_size", "warmup", "clip", "ema", "seed")
    return {name: getattr(trainer, name) for name in names} | {"rows": rows}


def save(path: Path, tree: Mapping, settings: Mapping[str, object]) -> None:
    """Write `tree`, whose leaves are Tensors, and the `settings` under which it was made.

    The file appears whole or not at all: an interrupted call leaves the one before.
    """
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".part")
    # A copy of each, because the format refuses tensors that share memory.
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in _leaves(tree)}
    save_file(tensors, fresh, {name: str(value) for name, value in settings.items()})
    fresh.replace(path)


def load(path: Path, settings: Mapping[str, object]) -> dict:
    """Read what `save` wrote; dictionaries that were empty are not there.

    Raises:
        ValueError: when the file was made under other settings.
    """
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        found = file.metadata() or {}
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    for name, value in settings.items():
        if found.get(name) != str(value):
            raise ValueError(
                f"{path} comes from a run with {name}={found.get(name)}, and this one has {value}:"
                " delete the file to start over, or give another name"
            )
    tree: dict = {}
    for name, value in tensors.items():
        *above, last = name.split("/")
        branch = tree
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


def _leaves(tree: Mapping, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
