"""Values as JSON and bytes, and back: what a check and a student's process tell each other. Nothing in it is run.

Numbers, texts, containers, tensors and arrays travel as they are. A function stays where it is and travels as a number
(see `Functions`); any other object arrives as one that has only the name of its class. All is bounded.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from utils.course.grading.stream import MAX_DATA, BadReply
from utils.course.terminal import printable

MAX_NODES, MAX_DEPTH, MAX_AXES, MAX_TEXT = 100_000, 20, 16, 10_000  # of one value
MAX_MESSAGE, MAX_HINT = 500, 300
FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
DTYPES = {name: getattr(torch, name) for name in ["bool", "uint8", "int8", "int16", "int32", "int64", *FLOATS]}


class Functions(Protocol):
    """Who knows which number stands for which function."""

    def keep(self, value: Any) -> int:
        """Keep what stays on this side; its number."""

    def kept(self, number: Any, fits: Callable[[Any], bool]) -> Any:
        """What this side kept under a number that came back."""

    def stand_in(self, number: int, module: str, name: str) -> Callable:
        """What calls the function that the other side kept."""

    def number_of(self, value: Any) -> int | None:
        """The other side's number, if `value` is such a stand-in."""


class Opaque:
    """Stands for an object that does not travel; its class has the name of the original's."""


@functools.lru_cache(maxsize=256)
def class_named(base: type, module: str, name: str) -> type:
    """A class that is called like one of the other side."""
    return type(name, (base,), {"__module__": module})


class Writer:
    """Turns values into JSON and bytes; of tensors only their values."""

    def __init__(self, functions: Functions):
        self._functions, self._nodes = functions, 0
        self.data: list[bytes] = []

    def value(self, value: Any, depth: int = 0) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError("this value is too large, or too deeply nested, to be judged")

        def all_of(values) -> list:
            return [self.value(one, depth + 1) for one in values]

        if value is None or value is True or value is False:
            return value
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.name in DTYPES:
            kind = "array" if isinstance(value, np.ndarray) else "scalar"
            copy = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
            return [kind, *self.pack(torch.from_numpy(copy))]
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int) and abs(value) < 2**63:
            return int(value)
        if isinstance(value, float):
            return ["float", float(value).hex()]
        if isinstance(value, list | tuple | set | frozenset):
            kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
            return [kind.__name__, *all_of(value)]
        if isinstance(value, dict):
            return ["dict", *all_of(part for item in value.items() for part in item)]
        if (number := self._functions.number_of(value)) is not None:
            return ["yours", number]
        name = [type(value).__module__, type(value).__name__]
        return ["function", self._functions.keep(value), *name] if callable(value) else ["opaque", *name]

    def tensor(self, value: Tensor) -> list:
        return ["tensor", *self.pack(value), None]

    def pack(self, value: Tensor) -> list:
        if value.numel() * value.itemsize > MAX_DATA:
            raise ValueError(f"a tensor of shape {tuple(value.shape)} is too large to be judged")
        raw = torch.empty(value.numel(), dtype=value.dtype).copy_(value.detach().reshape(-1))
        self.data.append(raw.view(torch.uint8).numpy().tobytes())
        return [str(value.dtype).removeprefix("torch."), list(value.shape)]


class Reader:
    """Turns JSON and bytes into values, and believes nothing: all that is odd is a `BadReply`."""

    def __init__(self, functions: Functions, data: bytearray):
        self._functions, self._data, self._at, self._nodes = functions, data, 0, 0

    def value(self, value: Any, depth: int = 0) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise BadReply("a value that is too large or too deeply nested")
        match value:
            case None | bool():
                return value
            case str():
                return cleaned(value)
            case int() if abs(value) < 2**63:
                return value
            case ["float", str(digits)] if len(digits) < 40:
                return float.fromhex(digits)
            case ["tensor", dtype, shape, None]:
                return self.unpack(dtype, shape)
            case ["array", dtype, shape]:
                return self.unpack(dtype, shape).numpy()
            case ["scalar", dtype, []]:
                return self.unpack(dtype, []).numpy()[()]
            case ["list" | "tuple" | "set" | "frozenset" as kind, *values]:
                return getattr(builtins, kind)([self.value(one, depth + 1) for one in values])
            case ["dict", *values] if len(values) % 2 == 0:
                values = [self.value(one, depth + 1) for one in values]
                return dict(zip(values[::2], values[1::2], strict=True))
            case ["yours", int(number)]:
                return self._functions.kept(number, callable)
            case ["function", int(number), str(module), str(name)]:
                return self._functions.stand_in(number, name_of(module), name_of(name))
            case ["opaque", str(module), str(name)]:
                return class_named(Opaque, name_of(module), name_of(name))()
        return self.other(value)

    def other(self, value: Any) -> Any:
        raise BadReply("a value of an unknown kind")

    def unpack(self, dtype: Any, shape: Any) -> Tensor:
        dtype, shape = checked(dtype, shape)
        size = math.prod(shape) * dtype.itemsize
        if self._at + size > len(self._data):
            raise BadReply("a tensor that lacks bytes")
        raw = torch.empty(size, dtype=torch.uint8)
        raw.numpy()[:] = memoryview(self._data)[self._at : self._at + size]
        self._at += size
        return (raw != 0 if dtype == torch.bool else raw.view(dtype)).reshape(shape)

    def whole(self, value: Any) -> Any:
        """The value that the bytes belong to."""
        read = self.value(value)
        if self._at != len(self._data):
            raise BadReply("bytes that belong to no tensor")
        return read


def checked(dtype: Any, shape: Any) -> tuple[torch.dtype, list[int]]:
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise BadReply("a tensor of an unknown type")
    if not isinstance(shape, list) or len(shape) > MAX_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise BadReply("a tensor of no possible shape")
    if math.prod(max(n, 1) for n in shape) * DTYPES[dtype].itemsize > MAX_DATA:
        raise BadReply("a tensor that is too large")
    return DTYPES[dtype], shape


def cleaned(text: Any, limit: int | None = None) -> str:
    """`text` without what a terminal or a file could stumble over, cut to `limit`."""
    if not isinstance(text, str) or (limit is None and len(text) > MAX_TEXT):
        raise BadReply("a text that is none, or much too long")
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    return printable(text)


def name_of(text: str) -> str:
    return cleaned(text, 100)
