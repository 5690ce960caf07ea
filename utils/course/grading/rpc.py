"""Two processes that call each other's functions over a socket: values in, values out.

Calls and calls back are strictly nested. What an exercise asks of most answers goes this way alone; what more an answer
may need, where a check hands it a function or a tensor that requires a gradient, is in `gradients`.
"""

from __future__ import annotations

import builtins
import contextlib
import math
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from utils.checks.guard import CHARACTERS_KEPT, Elsewhere
from utils.checks.verdicts import Judged, Wrong
from utils.course.grading.serialization import (
    MAX_HINT,
    MAX_MESSAGE,
    MAX_TEXT,
    Reader,
    Writer,
    class_named,
    cleaned,
    name_of,
)
from utils.course.grading.stream import BadReply, Ended, Stream, packed

MAX_RECEIVED = 256 * 2**20  # bytes that one exercise may send
MAX_ASKED = 2 * 2**20  # and of these, that it may give to functions of the check, which may make much more of them
MAX_KEPT = 10_000  # functions, tensors and graphs that stay here for one exercise
MAX_ASKING = 40  # questions that wait for each other; of 60 backward passes in each other torch starts new threads
END_SECONDS = 5.0


class Side:
    """What this side does for the other, beside calling functions that it gave away. Here the grader's: nothing.

    Attributes:
        trusts: the other side, so that nothing is bounded and its exceptions are raised as they are.
    """

    trusts = False
    services: Mapping[str, Callable] = {}

    def listening(self) -> contextlib.AbstractContextManager:
        """What surrounds each call of a function of this side."""
        return contextlib.nullcontext()

    def explain(self, error: BaseException) -> tuple[str, str, str] | None:
        """The verdict on an exception of this side, where it is a student's."""
        return None


class RemoteFunction(Elsewhere):
    """A function of the other side."""

    def __init__(self, link: Link, number: int):
        self.link, self.number = link, number

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return self.link.call(self.number, *inputs, **named)

    def __deepcopy__(self, memo: dict) -> RemoteFunction:
        return self

    def guarded(self, call: str) -> Callable:
        return self.link.ask_function("guard", self, call)

    def work(self, *inputs: Any) -> int:
        done = self.link.ask("work", self, *inputs)
        with self.link.strictly():
            if type(done) is not int or done <= 0:
                raise BadReply("an amount of work that is no number")
        return done


class Link(Stream):
    """One end of a connection over which both sides call each other's functions."""

    def __init__(self, connection: socket.socket, side: Side | None = None):
        self._side, self._asking = side or Side(), 0
        super().__init__(connection, None if self._side.trusts else MAX_RECEIVED)
        self.reset()

    def reset(self) -> None:
        """Forget what was kept for an exercise."""
        self.received, self._asked = 0, 0
        self._mine: dict[int, Any] = {}  # what stayed here: functions, tensors, graphs

    def end(self) -> str:
        """End an exercise: forget it on both sides. What was printed."""
        if self._asking:  # the check was left in the middle of a question, to which the answer may still come
            self.close()
        self.reset()
        self.until = time.monotonic() + END_SECONDS
        try:
            return cleaned(self.ask("end"), CHARACTERS_KEPT)
        except Exception:
            self.close()
            return ""
        finally:
            self.until = math.inf

    def serve(self) -> None:
        """Answer calls until the other side hangs up."""
        while True:
            self._answer(*self.receive())

    def ask(self, function: int | str, *inputs: Any, **named: Any) -> Any:
        """Call a function of the other side, and let it call back meanwhile."""
        self._asking += 1
        try:
            with self.strictly():
                if self._asking > MAX_ASKING:
                    raise BadReply("questions without end")
            call = ["call", function, torch.is_grad_enabled()]
            parts, data = self._arguments([list(inputs), named])
            self.send(packed([*call, *parts], data))
            while (message := self.receive())[0][:1] == ["call"]:
                self._answer(*message)
            with self.strictly():
                value, error = self._outcome(*message)
        except Exception:
            raise
        except BaseException:  # this thread is to stop, and the answer is still to come
            self.close()
            raise
        finally:
            self._asking -= 1
        if error:
            raise error
        return value

    def call(self, number: int, *inputs: Any, **named: Any) -> Any:
        """Call a function that the other side gave away."""
        return self.ask(number, *inputs, **named)

    def _outcome(self, header: list, data: bytearray) -> tuple[Any, Exception | None]:
        match header:
            case ["return", attached, inputs, record, value]:
                return self._read_result(attached, inputs, record, value, data), None
            case ["error", base, name, text, outcome]:
                return None, self._error(base, name, text, outcome)
        raise BadReply("an answer of an unknown kind")

    def ask_function(self, *question: Any) -> RemoteFunction:
        function = self.ask(*question)
        with self.strictly():
            if not isinstance(function, RemoteFunction):
                raise BadReply("a value where a function was due")
        return function

    def _answer(self, header: Any, data: bytearray) -> None:
        with self.strictly():
            self._asked += self.size
            if self._asked > MAX_ASKED and not self._side.trusts:
                raise BadReply("too much for the functions of one exercise")
            match header:
                case ["call", int() | str() as function, bool(gradients), value]:
                    inputs = self._read_value(value, data)
                case _:
                    raise BadReply("a call of an unknown kind")
            match inputs:
                case [list(inputs), dict(named)] if all(type(name) is str for name in named):
                    function = self._function(function)
                case _:
                    raise BadReply("a call without arguments")
        try:
            with torch.set_grad_enabled(gradients), self._side.listening():
                parts, data = self._result(function(*inputs, **named))
                frame = packed(["return", *parts], data)
        except (BadReply, Ended):
            self.close()
            raise
        except BaseException as error:
            if not self._side.trusts and not isinstance(error, Exception):
                self.close()  # this thread is to stop
                raise
            frame = packed(["error", *self._described(error)])
        self.send(frame)

    def _function(self, function: int | str) -> Callable:
        if isinstance(function, str) and function in self._side.services:
            if function in ("begin", "end"):
                self.reset()
            return self._side.services[function]
        return self.kept(function, callable)

    # What stays here, and what stands here for something over there.

    def keep(self, value: Any) -> int:
        number = len(self._mine)
        self._bound(self._mine)
        self._mine[number] = value
        return number

    def kept(self, number: Any, fits: Callable[[Any], bool]) -> Any:
        if type(number) is not int or number not in self._mine or not fits(self._mine[number]):
            raise BadReply("a number that stands for nothing")
        return self._mine[number]

    def stand_in(self, number: int, module: str, name: str) -> RemoteFunction:
        return class_named(RemoteFunction, module, name)(self, number)

    def number_of(self, value: Any) -> int | None:
        return value.number if isinstance(value, RemoteFunction) and value.link is self else None

    def _bound(self, kept: dict) -> None:
        if len(kept) >= MAX_KEPT and not self._side.trusts:
            raise BadReply("too many functions or gradients")

    # Values. A result has places for the gradients that it may carry, empty here: see `gradients`.

    def _arguments(self, value: Any) -> tuple[list, list[bytes]]:
        writer = Writer(self)
        return [writer.value(value)], writer.data

    def _result(self, value: Any) -> tuple[list, list[bytes]]:
        writer = Writer(self)
        return [[], [], None, writer.value(value)], writer.data

    def _read_value(self, value: Any, data: bytearray) -> Any:
        return Reader(self, data).whole(value)

    def _read_result(self, attached: Any, inputs: Any, record: Any, value: Any, data: bytearray) -> Any:
        if [attached, inputs, record] != [[], [], None]:
            raise BadReply("gradients of nothing")
        return self._read_value(value, data)

    # Errors.

    def _described(self, error: BaseException) -> list:
        builtin = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
        try:
            text = str(error)[:MAX_TEXT]
        except Exception:
            text = ""
        if isinstance(error, Wrong):
            outcome = "wrong", error.message, error.hint
        else:
            outcome = error.outcome if isinstance(error, Judged) else self._side.explain(error)
        return [builtin, type(error).__name__, text, outcome and [part[:MAX_TEXT] for part in outcome]]

    def _error(self, base: Any, name: Any, text: Any, outcome: Any) -> Exception:
        """What to raise here for an exception over there: it can be caught like it, and says how it is judged."""
        kind = getattr(builtins, base, None) if isinstance(base, str) else None
        if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, StopIteration):
            kind = Exception  # a loop over map() takes StopIteration for its end
        text, members = cleaned(text), {"__init__": lambda self: None, "__str__": lambda self: text}
        match outcome:
            case None if self._side.trusts:
                error = type(name_of(name), (kind,), members)()
            case ["wrong", message, hint] if name == "Wrong":
                error = Wrong(cleaned(message, MAX_MESSAGE), cleaned(hint, MAX_HINT))
            case ["not attempted" | "wrong" | "raised" as status, message, hint]:
                error = type(name_of(name), (Judged, kind), members)()
                error.outcome = status, cleaned(message, MAX_MESSAGE), cleaned(hint, MAX_HINT)
            case _:
                raise BadReply("no way to fail")
        error.args = (text,)
        return error
