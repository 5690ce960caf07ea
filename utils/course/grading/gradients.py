"""Gradients through the socket, as if there were one process, and functions of the other side under `torch.func`.

An argument that requires a gradient arrives as a leaf. A result keeps its graph where it was made, and here it is the
output of a `torch.autograd` function whose backward asks over there. That is again a call with results, so that higher
derivatives need no more.

All of this is shut until the check hands out a function or a tensor that requires a gradient: without one, nothing that
an answer returns can be differentiated by anything of the check's, and its values say it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from utils.course.grading import function_transforms
from utils.course.grading.function_transforms import leaves
from utils.course.grading.rpc import Link, RemoteFunction
from utils.course.grading.serialization import Reader, Writer, checked
from utils.course.grading.stream import BadReply

MAX_ATTACHED = 1000  # tensors of one result that carry a gradient, and leaves they depend on


class GradientLink(Link):
    """A link through which gradients pass, once the check has handed out what may need them."""

    def reset(self) -> None:
        super().reset()
        self._open = False
        self._numbers: dict[int, int] = {}  # id of a leaf of mine → its number
        self._copies: dict[int, Tensor] = {}  # number → a leaf here that stands for a tensor of theirs
        self._origins: dict[int, int] = {}  # id of such a leaf → number

    # What the check hands out opens both ends: here where it is kept, there where it arrives.

    def keep(self, value: Any) -> int:
        self._open |= not self._side.trusts
        return super().keep(value)

    def stand_in(self, number: int, module: str, name: str) -> RemoteFunction:
        self._open |= self._side.trusts
        return super().stand_in(number, module, name)

    def copy_of(self, number: int, value: Tensor) -> Tensor:
        """A leaf that stands for a tensor of the other side."""
        self._open |= self._side.trusts
        self._bound(self._copies)
        if not self._open or number in self._copies or not (value.is_floating_point() or value.is_complex()):
            raise BadReply("a tensor that cannot have a gradient")
        leaf = value.requires_grad_()
        self._copies[number], self._origins[id(leaf)] = leaf, number
        return leaf

    # Arguments.

    def call(self, number: int, *inputs: Any, **named: Any) -> Any:
        if function_transforms.active():
            return function_transforms.call(partial(self.ask, number, **named), *inputs)
        return self.ask(number, *inputs, **named)

    def _arguments(self, value: Any) -> tuple[list, list[bytes]]:
        writer = _ArgumentWriter(self)
        return [writer.value(value)], writer.data

    def _read_value(self, value: Any, data: bytearray) -> Any:
        return _GradientReader(self, data).whole(value)

    # Results, and the gradients that they carry.

    def _result(self, value: Any) -> tuple[list, list[bytes]]:
        if not self._open:
            return super()._result(value)
        writer = _ResultWriter(self)
        encoded = writer.value(value)
        outputs, plain, writer.data = writer.attached, writer.data, []
        attached = [writer.pack(output) for output in outputs]
        held = leaves(outputs)
        inputs = [
            ["yours", self._origins[id(leaf)]] if id(leaf) in self._origins else ["mine", *self._leaf(leaf)]
            for leaf in held
        ]
        record = self.keep((outputs, held)) if outputs else None
        return [attached, inputs, record, encoded], writer.data + plain

    def _leaf(self, leaf: Tensor) -> list:
        if id(leaf) not in self._numbers:
            self._numbers[id(leaf)] = self.keep(leaf)
        return [self._numbers[id(leaf)], str(leaf.dtype).removeprefix("torch."), list(leaf.shape)]

    def _read_result(self, attached: Any, inputs: Any, record: Any, value: Any, data: bytearray) -> Any:
        match attached, inputs, record:
            case [_, *_], [_, *_], int() if self._open and len(attached) + len(inputs) <= MAX_ATTACHED:
                reader = _GradientReader(self, data)
                outputs = [reader.unpack(*one) for one in attached]
                if not all(output.is_floating_point() or output.is_complex() for output in outputs):
                    raise BadReply("a tensor that cannot have a gradient")
                held = [self._input(one) for one in inputs]
                with torch.enable_grad():
                    reader.attached = list(_Remote.apply(self, record, outputs, *held))
                return reader.whole(value)
        return super()._read_result(attached, inputs, record, value, data)

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

    # Derivatives of results.

    def _function(self, function: int | str) -> Callable:
        return self._gradients if function == "gradients" and self._open else super()._function(function)

    def _gradients(self, record: Any, gradients: Any, wanted: Any) -> list[Tensor | None]:
        """vᵀJ of a result that was sent, for its inputs; it may be differentiated again."""
        outputs, held = self.kept(record, lambda value: isinstance(value, tuple))
        if not isinstance(wanted, list) or len(wanted) != len(held):
            raise BadReply("gradients that do not fit")
        _check_gradients(gradients, outputs)
        chosen = [leaf for leaf, asked in zip(held, wanted, strict=True) if asked is True]
        given = [(o, g) for o, g in zip(outputs, gradients, strict=True) if g is not None]
        if not chosen or not given:
            return [None] * len(held)
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


class _ArgumentWriter(Writer):
    """Of a tensor that requires a gradient it keeps the original, and says its number."""

    def __init__(self, link: GradientLink):
        super().__init__(link)
        self._link = link

    def tensor(self, value: Tensor) -> list:
        return ["tensor", *self.pack(value), self._link.keep(value) if value.requires_grad else None]


class _ResultWriter(Writer):
    """What carries a gradient is put aside, into `attached`."""

    def __init__(self, link: GradientLink):
        super().__init__(link)
        self.attached: list[Tensor] = []

    def tensor(self, value: Tensor) -> list:
        if not value.requires_grad:
            return super().tensor(value)
        self.attached.append(value)
        return ["attached", len(self.attached) - 1]


class _GradientReader(Reader):
    """Reads what those two write.

    Attributes:
        attached: the tensors of this result that carry a gradient.
    """

    def __init__(self, link: GradientLink, data: bytearray):
        super().__init__(link, data)
        self._link = link
        self.attached: list[Tensor] = []

    def other(self, value: Any) -> Any:
        match value:
            case ["tensor", dtype, shape, int(number)]:
                return self._link.copy_of(number, self.unpack(dtype, shape))
            case ["attached", int(index)] if 0 <= index < len(self.attached):
                return self.attached[index]
        return super().other(value)


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
    def forward(ctx, link: GradientLink, record: int, outputs: list[Tensor], *held: Tensor) -> tuple[Tensor, ...]:
        ctx.link, ctx.record, ctx.held = link, record, held
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple:
        wanted = list(ctx.needs_input_grad[3:])
        found = ctx.link.ask("gradients", ctx.record, list(gradients), wanted)
        with ctx.link.strictly():
            _check_gradients(found, ctx.held)
        return None, None, None, *found
