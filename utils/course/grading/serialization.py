"""What travels between a check and a student's process: values as JSON and bytes, and nothing that is run.

A frame is a header of JSON and the bytes of its tensors. Functions and graphs stay where they are and travel as
numbers, which a `Link` keeps; any other object arrives as one that has only the name of its class. All is bounded.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import json
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from utils.checks.engine import Elsewhere, Judged
from utils.course.grading import transformed

if TYPE_CHECKING:
    from utils.course.grading.rpc import Link

MiB = 2**20
MAX_HEADER, MAX_DATA = 2 * MiB, 32 * MiB  # bytes of one frame
MAX_NODES, MAX_DEPTH, MAX_AXES, MAX_TEXT = 100_000, 20, 16, 10_000  # of one value
MAX_MESSAGE, MAX_HINT = 500, 300
STEP = 0.1  # seconds: so often a wait lets through who wants to stop this thread
SIZES = struct.Struct(">II")
FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
DTYPES = {name: getattr(torch, name) for name in ["bool", "uint8", "int8", "int16", "int32", "int64", *FLOATS]}


class BadReply(Judged):
    """The other side sent what no honest one sends."""

    def __init__(self, what: str):
        super().__init__(
            "wrong", f"Your process sent what cannot be read: {what}.", "Return what the exercise asks for."
        )


class Ended(Judged):
    """The other side is gone."""

    def __init__(self):
        super().__init__("raised", "Your code ended the process in which it ran.", "Leave a function with `return`.")


def packed(header: list, data: Sequence[bytes] = ()) -> bytes:
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    size = sum(map(len, data))
    if len(text) > MAX_HEADER or size > MAX_DATA:
        raise ValueError("this value is too large to be judged")
    return b"".join([SIZES.pack(len(text), size), text, *data])


def no_constant(text: str) -> float:
    raise BadReply("a number that JSON does not know")


class Stream:
    """Frames that are sent and received, waiting in short steps, so that this thread can be stopped.

    Attributes:
        closed: nothing more comes or goes.
        received: bytes since it was last set to 0; more than the limit are an error.
        until: when to give up, in seconds of `time.monotonic`.
    """

    def __init__(self, connection: socket.socket, limit: int | None):
        connection.settimeout(STEP)
        self._socket, self._limit = connection, limit
        self.closed, self.received, self.until = False, 0, math.inf

    def close(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @contextlib.contextmanager
    def strictly(self) -> Iterator[None]:
        """Whatever goes wrong in here is the other side's fault, and the end of the link."""
        try:
            yield
        except (BadReply, Ended):
            self.close()
            raise
        except Exception as error:
            self.close()
            raise BadReply(type(error).__name__) from None
        except BaseException:
            self.close()
            raise

    def send(self, frame: bytes) -> None:
        left = memoryview(frame)
        with self.strictly():
            while left:
                left = left[self._moved(lambda left=left: self._socket.send(left)) :]

    def receive(self) -> tuple[Any, bytearray]:
        with self.strictly():
            n_header, n_data = SIZES.unpack(self._read(SIZES.size))
            self.received += n_header + n_data
            if n_header > MAX_HEADER or n_data > MAX_DATA:
                raise BadReply("a frame that is too large")
            if self._limit and self.received > self._limit:
                raise BadReply("too much for one exercise")
            header = json.loads(self._read(n_header), parse_constant=no_constant, parse_float=no_constant)
            if not isinstance(header, list):
                raise BadReply("a frame of an unknown kind")
            return header, self._read(n_data)

    def _read(self, size: int) -> bytearray:
        read = bytearray(size)
        left = memoryview(read)
        while left:
            left = left[self._moved(lambda left=left: self._socket.recv_into(left)) :]
        return read

    def _moved(self, move: Callable[[], int]) -> int:
        """Bytes that were sent or received, waiting in short steps for the first."""
        while not self.closed and time.monotonic() < self.until:
            try:
                if count := move():
                    return count
                break
            except TimeoutError:
                continue
            except OSError:
                break
        self.close()
        raise Ended


class RemoteFunction(Elsewhere):
    """A function of the other side."""

    def __init__(self, link: Link, number: int):
        self._link, self._number = link, number

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if transformed.active():
            return transformed.call(partial(self._link.ask, self._number, **named), *inputs)
        return self._link.ask(self._number, *inputs, **named)

    def __deepcopy__(self, memo: dict) -> RemoteFunction:
        return self

    def guarded(self, call: str) -> Callable:
        return self._link.ask_function("guard", self, call)

    def work(self, *inputs: Any) -> int:
        done = self._link.ask("work", self, *inputs)
        with self._link.strictly():
            if type(done) is not int or done <= 0:
                raise BadReply("an amount of work that is no number")
        return done


class Opaque:
    """Stands for an object that does not travel; its class has the name of the original's."""


@functools.lru_cache(maxsize=256)
def _kind(base: type, module: str, name: str) -> type:
    return type(name, (base,), {"__module__": module})


class Writer:
    """Turns values into JSON and bytes. What carries a gradient in a result is put aside: see `Link`."""

    def __init__(self, link: Link, result: bool):
        self._link, self._result, self._nodes = link, result, 0
        self.data: list[bytes] = []
        self.attached: list[Tensor] = []

    def value(self, value: Any, depth: int = 0) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError("this value is too large, or too deeply nested, to be judged")

        def all_of(values) -> list:
            return [self.value(one, depth + 1) for one in values]

        if value is None or value is True or value is False:
            return value
        if isinstance(value, Tensor):
            if value.requires_grad and self._result:
                self.attached.append(value)
                return ["attached", len(self.attached) - 1]
            return ["tensor", *self.pack(value), self._link.keep(value) if value.requires_grad else None]
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
        if isinstance(value, RemoteFunction) and value._link is self._link:
            return ["yours", value._number]
        name = [type(value).__module__, type(value).__name__]
        return ["function", self._link.keep(value), *name] if callable(value) else ["opaque", *name]

    def pack(self, value: Tensor) -> list:
        if value.numel() * value.itemsize > MAX_DATA:
            raise ValueError(f"a tensor of shape {tuple(value.shape)} is too large to be judged")
        raw = torch.empty(value.numel(), dtype=value.dtype).copy_(value.detach().reshape(-1))
        self.data.append(raw.view(torch.uint8).numpy().tobytes())
        return [str(value.dtype).removeprefix("torch."), list(value.shape)]


class Reader:
    """Turns JSON and bytes into values, and believes nothing: all that is odd is a `BadReply`."""

    def __init__(self, link: Link, data: bytearray):
        self._link, self._data, self._at, self._nodes = link, data, 0, 0
        self.attached: list[Tensor] = []

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
            case ["tensor", dtype, shape, int(number)]:
                return self._link.copy_of(number, self.unpack(dtype, shape))
            case ["attached", int(index)] if 0 <= index < len(self.attached):
                return self.attached[index]
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
                return self._link.kept(number, callable)
            case ["function", int(number), str(module), str(name)]:
                return _kind(RemoteFunction, name_of(module), name_of(name))(self._link, number)
            case ["opaque", str(module), str(name)]:
                return _kind(Opaque, name_of(module), name_of(name))()
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

    def finish(self) -> None:
        if self._at != len(self._data):
            raise BadReply("bytes that belong to no tensor")


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
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def name_of(text: str) -> str:
    return cleaned(text, 100)
