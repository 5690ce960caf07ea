"""The state of something that can be interrupted, in a safetensors file, which holds numbers and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor


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
