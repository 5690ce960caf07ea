"""Two processes that call each other's functions, over a socket, and pass gradients through them.

Calls and calls back are strictly nested. Gradients work as if there were one process: an argument that requires one
arrives as a leaf; a result keeps its graph where it was made, and here it is the output of a `torch.autograd` function
whose backward asks over there. That is again a call with results, so that higher derivatives need no more.
"""

from __future__ import annotations

import builtins
import contextlib
import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from utils.checks.engine import CHARACTERS_KEPT, Judged, Wrong
from utils.course.grading import transformed
from utils.course.grading.serialization import (
    MAX_HINT,
    MAX_MESSAGE,
    MAX_TEXT,
    BadReply,
    Ended,
    Reader,
    RemoteFunction,
    Stream,
    Writer,
    checked,
    cleaned,
    name_of,
    packed,
)

MAX_RECEIVED = 256 * 2**20  # bytes that one exercise may send
MAX_KEPT = 10_000  # functions, tensors and graphs that stay here for one exercise
MAX_ATTACHED = 1000  # tensors of one result that carry a gradient, and leaves they depend on
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


class Link(Stream):
    """One end of a connection over which both sides call each other's functions."""

    def __init__(self, connection: socket.socket, side: Side | None = None):
        self._side, self._asking = side or Side(), 0
        super().__init__(connection, None if self._side.trusts else MAX_RECEIVED)
        self.reset()

    def reset(self) -> None:
        """Forget what was kept for an exercise."""
        self.received = 0
        self._mine: dict[int, Any] = {}  # what stayed here: functions, tensors, graphs
        self._numbers: dict[int, int] = {}  # id of a leaf of mine → its number
        self._copies: dict[int, Tensor] = {}  # number → a leaf here that stands for a tensor of theirs
        self._origins: dict[int, int] = {}  # id of such a leaf → number

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
            self.send(self._frame(call, [list(inputs), named], result=False))
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

    def _outcome(self, header: list, data: bytearray) -> tuple[Any, Exception | None]:
        match header:
            case ["return", attached, inputs, record, value]:
                return self._result(attached, inputs, record, value, data), None
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
            match header:
                case ["call", int() | str() as function, bool(gradients), value]:
                    reader = Reader(self, data)
                    inputs = reader.value(value)
                    reader.finish()
                case _:
                    raise BadReply("a call of an unknown kind")
            match inputs:
                case [list(inputs), dict(named)] if all(type(name) is str for name in named):
                    function = self._function(function)
                case _:
                    raise BadReply("a call without arguments")
        try:
            with torch.set_grad_enabled(gradients), self._side.listening():
                frame = self._frame(["return"], function(*inputs, **named), result=True)
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
        if function == "gradients":
            return self._gradients
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

    def copy_of(self, number: int, value: Tensor) -> Tensor:
        """A leaf that stands for a tensor of the other side."""
        self._bound(self._copies)
        if number in self._copies or not (value.is_floating_point() or value.is_complex()):
            raise BadReply("a tensor that cannot have a gradient")
        leaf = value.requires_grad_()
        self._copies[number], self._origins[id(leaf)] = leaf, number
        return leaf

    def _bound(self, kept: dict) -> None:
        if len(kept) >= MAX_KEPT and not self._side.trusts:
            raise BadReply("too many functions or gradients")

    # Results, and the gradients that they carry.

    def _frame(self, header: list, value: Any, result: bool) -> bytes:
        writer = Writer(self, result)
        encoded = writer.value(value)
        if not result:
            return packed([*header, encoded], writer.data)
        outputs, plain, writer.data = writer.attached, writer.data, []
        attached = [writer.pack(output) for output in outputs]
        leaves = transformed.leaves(outputs)
        inputs = [
            ["yours", self._origins[id(leaf)]] if id(leaf) in self._origins else ["mine", *self._leaf(leaf)]
            for leaf in leaves
        ]
        record = self.keep((outputs, leaves)) if outputs else None
        return packed([*header, attached, inputs, record, encoded], writer.data + plain)

    def _leaf(self, leaf: Tensor) -> list:
        if id(leaf) not in self._numbers:
            self._numbers[id(leaf)] = self.keep(leaf)
        return [self._numbers[id(leaf)], str(leaf.dtype).removeprefix("torch."), list(leaf.shape)]

    def _result(self, attached: Any, inputs: Any, record: Any, value: Any, data: bytearray) -> Any:
        reader = Reader(self, data)
        match attached, inputs, record:
            case [], [], None:
                pass
            case [_, *_], [_, *_], int() if len(attached) + len(inputs) <= MAX_ATTACHED:
                outputs = [reader.unpack(*one) for one in attached]
                if not all(output.is_floating_point() or output.is_complex() for output in outputs):
                    raise BadReply("a tensor that cannot have a gradient")
                leaves = [self._input(one) for one in inputs]
                with torch.enable_grad():
                    reader.attached = list(_Remote.apply(self, record, outputs, *leaves))
            case _:
                raise BadReply("gradients of nothing")
        value = reader.value(value)
        reader.finish()
        return value

    def _input(self, described: Any) -> Tensor:
        match described:
            case ["yours", int(number)]:
                return self.kept(number, lambda value: isinstance(value, Tensor) and value.requires_grad)
            case ["mine", int(number), dtype, shape]:
                if number not in self._copies:  # only the place in the graph counts, so that no values are needed
                    dtype, shape = checked(dtype, shape)
                    self.copy_of(number, torch.zeros((), dtype=dtype).expand(shape))
                return self._copies[number]
        raise BadReply("a gradient of nothing")

    def _gradients(self, record: Any, gradients: Any, wanted: Any) -> list[Tensor | None]:
        """vᵀJ of a result that was sent, for its inputs; it may be differentiated again."""
        outputs, leaves = self.kept(record, lambda value: isinstance(value, tuple))
        if not isinstance(wanted, list) or len(wanted) != len(leaves):
            raise BadReply("gradients that do not fit")
        _check_gradients(gradients, outputs)
        chosen = [leaf for leaf, asked in zip(leaves, wanted, strict=True) if asked is True]
        given = [(o, g) for o, g in zip(outputs, gradients, strict=True) if g is not None]
        if not chosen or not given:
            return [None] * len(leaves)
        found = iter(
            torch.autograd.grad(
                [output for output, _ in given],
                inputs=chosen,
                grad_outputs=[gradient for _, gradient in given],
                retain_graph=True,
                create_graph=torch.is_grad_enabled(),
                allow_unused=True,
            )
        )
        return [next(found) if asked is True else None for asked in wanted]

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


def _check_gradients(gradients: Any, tensors: Sequence[Tensor]) -> None:
    if not isinstance(gradients, list) or len(gradients) != len(tensors):
        raise BadReply("gradients that do not fit")
    for gradient, tensor in zip(gradients, tensors, strict=True):
        if gradient is not None and not (
            isinstance(gradient, Tensor) and gradient.shape == tensor.shape and gradient.dtype == tensor.dtype
        ):
            raise BadReply("gradients that do not fit")


class _Remote(torch.autograd.Function):
    """Results of the other side in the graph of this one."""

    @staticmethod
    def forward(ctx, link: Link, record: int, outputs: list[Tensor], *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.link, ctx.record, ctx.leaves = link, record, leaves
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple:
        wanted = list(ctx.needs_input_grad[3:])
        found = ctx.link.ask("gradients", ctx.record, list(gradients), wanted)
        with ctx.link.strictly():
            _check_gradients(found, ctx.leaves)
        return None, None, None, *found
