"""Plausible wrong answers: each check must reject them and name the mistake. In the folders and files of the checks."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass


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


def wrong_answers() -> list[WrongAnswer]:
    """All wrong answers of all chapters."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return _answers
