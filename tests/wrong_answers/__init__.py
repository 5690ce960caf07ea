"""Plausible wrong answers: each check must reject them and name the mistake. In the folders and files of the checks."""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

MODELS = Path(__file__).with_name("models.safetensors")


@dataclass(frozen=True)
class WrongAnswer:
    id: str
    says: str
    function: Callable

    def __str__(self) -> str:
        return f"{self.id}-{self.function.__name__}"


_answers: list[WrongAnswer] = []


def wrong(id: str, says: str) -> Callable:
    """Register the decorated function as a wrong answer to exercise `id`; the verdict's message must contain `says`."""

    def register(function: Callable) -> Callable:
        _answers.append(WrongAnswer(id, says, function))
        return function

    return register


def stored(train: Callable[..., dict[str, Tensor]]) -> Callable[..., dict[str, Tensor]]:
    """A training whose results are read from `models.safetensors`, since what is tested is the check.

    Who changes one runs `python tests/store_wrong_models.py`. With `SEEDS=5`, all is trained as if nothing were stored.
    """

    @functools.wraps(train)
    def result(x_train: Tensor, **how) -> dict[str, Tensor]:
        name = " ".join([train.__name__, *(f"{key}={how[key]}" for key in sorted(how))])
        if int(os.environ.get("SEEDS", "2")) >= 5 or name not in _models():
            trained = train(x_train, **how)
            if recorded is not None:
                recorded[name] = trained
            return trained
        return _models()[name]

    return result


recorded: dict[str, dict[str, Tensor]] | None = None  # what is trained, while it is to be stored


@functools.cache
def _models() -> dict[str, dict[str, Tensor]]:
    from safetensors.torch import load_file

    models = {}
    for key, value in (load_file(MODELS) if MODELS.exists() else {}).items():
        name, _, part = key.rpartition("/")
        models.setdefault(name, {})[part] = value
    return models


def wrong_answers() -> list[WrongAnswer]:
    """All wrong answers of all chapters."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return _answers
