"""A student's function, guarded: it may print, set a global, change its inputs, and be called the wrong way."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import random
from collections.abc import Callable, Iterator
from typing import Any

from utils.checks.verdicts import Wrong

LINES_SHOWN, CHARACTERS_KEPT = 5, 2000


class Guarded:
    """A student's function: called like it, it also sees whether it can be called so and what it did to its inputs."""

    def __init__(self, function: Callable, call: str):
        self.call = call
        self.name, _, names = call.rstrip(")").partition("(")
        self.names = names.split(", ")
        if isinstance(function, type):
            raise Wrong(f"You gave the class `{function.__name__}`, not a function.", f"Define `{call}` with `def`.")
        if not callable(function):
            raise Wrong(
                f"You gave a value of type `{type(function).__name__}`, not a function.",
                f"Give the function itself, without calling it: `{self.name}`, not `{call}`.",
            )
        self.function = function

    def __call__(self, *inputs: Any) -> Any:
        with contextlib.suppress(ValueError):  # some callables of C have no signature
            signature = inspect.signature(self.function)
            try:
                signature.bind(*inputs)
            except TypeError:
                raise Wrong(
                    f"Your function cannot be called as `{self.call}`: its arguments are `{signature}`.",
                    "Keep the first line of the function as it was given.",
                ) from None
        before, asked = [_copied(value) for value in inputs], [_asks_for_gradients(value) for value in inputs]
        result = self.function(*inputs)
        for name, old, new in zip(self.names, before, inputs, strict=True):
            if not _same(old, new):
                copied = f"{name}.clone()" if hasattr(new, "clone") else f"copy.deepcopy({name})"
                raise Wrong(
                    f"Your function changes its argument `{name}` in place.",
                    f"Work on a copy, `{copied}`; avoid `+=`, `x[...] = ` and methods that end in `_`.",
                )
        for name, was, value in zip(self.names, asked, inputs, strict=True):
            if _asks_for_gradients(value) != was:
                raise Wrong(
                    f"Your function changes its argument `{name}`: it turns gradients on or off in it.",
                    f"Work on a copy: `{name}.clone().requires_grad_()`.",
                )
        return result

    def work(self, *inputs: Any) -> int:
        """How many operations on numbers a call takes."""
        from utils.checks.operation_count import OperationCount

        with OperationCount() as counted:
            self.function(*inputs)
        return counted.done


class Elsewhere:
    """A function that lives in another process, where it is guarded, too."""

    def guarded(self, call: str) -> Callable:
        raise NotImplementedError

    def processor_seconds(self) -> float:
        """What that process has spent so far."""
        return 0.0


def guard(function: Callable, call: str) -> Callable:
    """`function`, an answer or what an answer returned, so that `call` is looked after: see `Guarded`."""
    return function.guarded(call) if issubclass(type(function), Elsewhere) else Guarded(function, call)


def _copied(value: Any) -> Any:
    import torch

    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def _asks_for_gradients(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.requires_grad


def _same(old: Any, new: Any) -> bool:
    import torch

    if isinstance(old, torch.Tensor):
        if old.shape != new.shape or old.dtype != new.dtype:
            return False
        return bool(((old == new) | (old.isnan() & new.isnan())).all())
    if isinstance(old, dict):  # the order of its keys may mean something
        return _same(list(old.items()), list(new.items()))
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new


class Printed(io.TextIOBase):
    """Keeps the beginning of what was printed, however much it is."""

    kept = ""

    def write(self, text: str) -> int:
        self.kept += text[: CHARACTERS_KEPT - len(self.kept)]
        return len(text)

    def first_lines(self) -> str:
        lines = self.kept.rstrip().splitlines()
        more = len(lines) > LINES_SHOWN or len(self.kept) == CHARACTERS_KEPT
        return "\n".join(lines[:LINES_SHOWN] + ["…"] * more)


@contextlib.contextmanager
def globals_kept() -> Iterator[None]:
    """Put back the global state that a student's function may set. (Grad mode and device belong to its thread.)"""
    import numpy as np
    import torch

    dtype, torch_state = torch.get_default_dtype(), torch.get_rng_state()
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 the state is what is meant
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
