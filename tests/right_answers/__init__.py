"""Right answers written otherwise than the solution: each check must pass them. One module a chapter."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

_answers: list[tuple[str, Callable]] = []


def right(id: str) -> Callable:
    """Register the decorated function as a right answer to exercise `id`."""

    def register(function: Callable) -> Callable:
        _answers.append((id, function))
        return function

    return register


def right_answers() -> list[tuple[str, Callable]]:
    """Id and function of all right answers of all chapters."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return _answers
