"""The socket between a check and a student's process: frames of JSON and bytes, each of a bounded size.

A frame is the sizes of its two parts (two integers of 4 bytes, big-endian), a list as JSON, and bytes.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from utils.checks.verdicts import Judged

MiB = 2**20
MAX_HEADER, MAX_DATA = 2 * MiB, 32 * MiB  # bytes of one frame
LIMITS_IN_ALL = 8  # one submission may send so many times what one exercise may
STEP = 0.1  # seconds: so often a wait lets through who wants to stop this thread
SIZES = struct.Struct(">II")


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
        received: bytes since it was last set to 0; more than the limit are an error, and so are many times the limit
            in all.
        size: bytes of the last frame that was received.
        until: when to give up, in seconds of `time.monotonic`.
    """

    def __init__(self, connection: socket.socket, limit: int | None):
        connection.settimeout(STEP)
        self._socket, self._limit = connection, limit
        self.closed, self.received, self.size, self._in_all, self.until = False, 0, 0, 0, math.inf

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
            self.size = n_header + n_data
            self.received += self.size
            self._in_all += self.size
            if n_header > MAX_HEADER or n_data > MAX_DATA:
                raise BadReply("a frame that is too large")
            if self._limit and (self.received > self._limit or self._in_all > LIMITS_IN_ALL * self._limit):
                raise BadReply("too much for one exercise, or for one submission")
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
