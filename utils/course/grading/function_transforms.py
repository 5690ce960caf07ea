"""A function of the other side under `torch.func`: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd` and `vmap`, in each other.

A transform hands in tensors whose values are not to be had. A `torch.autograd.Function` gets them bare, if all that it
does is to call itself: its derivative is that of another function, and its `vmap` goes from row to row. What the
function holds, as a network its parameters, is looked for first and passed along, so that it gets a gradient as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor


def active() -> bool:
    """Whether this call is inside of a transform."""
    return torch._C._are_functorch_transforms_active()


def call(function: Callable, *inputs: Any) -> Any:
    """``function(*inputs)``, a tensor or a tuple of tensors, inside of a transform."""
    held: dict[int, Tensor] = {}
    Transformed.apply(_Holding(partial(_find, function, held), len(inputs), ()), *inputs)
    return Transformed.apply(_Holding(function, len(inputs), held.values()), *inputs, *held.values())


def leaves(outputs: Iterable[Tensor]) -> list[Tensor]:
    """All leaves on which the outputs depend."""
    outputs = list(outputs)
    found = {id(output): output for output in outputs if output.grad_fn is None and output.requires_grad}
    seen, waiting = set(), [output.grad_fn for output in outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() == "torch::autograd::AccumulateGrad":
            found[id(node.variable)] = node.variable
        waiting += [above for above, _ in node.next_functions]
    return list(found.values())


class Transformed(torch.autograd.Function):
    """``Transformed.apply(function, *inputs)`` is ``function(*inputs)``, a tensor or a tuple of tensors."""

    @staticmethod
    def forward(function: Callable, *inputs: Any) -> Any:
        return function(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.function, *rest = inputs
        ctx.others = [None if isinstance(one, Tensor) else one for one in rest]
        outputs = [output] if isinstance(output, Tensor) else list(output)
        tensors = [one for one in rest if isinstance(one, Tensor)]
        ctx.single = isinstance(output, Tensor)
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors, *outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple:
        tensors = iter(ctx.saved_tensors)
        inputs = [next(tensors) if one is None else one for one in ctx.others]
        found = iter(Transformed.apply(_Gradient(ctx.function, len(inputs)), *inputs, *gradients))
        return None, *(next(found) if isinstance(one, Tensor) and one.is_floating_point() else None for one in inputs)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> Any:
        """J t, as the gradient of vᵀJ t in v: what is linear in v does not depend on the v at which it is asked."""
        saved = list(ctx.saved_tensors)
        inputs = [saved.pop(0) if one is None else one for one in ctx.others]
        moved = [
            torch.zeros_like(x) if tangent is None else tangent
            for x, tangent in zip(inputs, tangents, strict=True)
            if isinstance(x, Tensor) and x.is_floating_point()
        ]
        backward = _Gradient(ctx.function, len(inputs))
        anywhere = [torch.zeros_like(output) for output in saved]
        found = Transformed.apply(_Gradient(backward, len(inputs) + len(saved)), *inputs, *anywhere, *moved)
        result = found[-len(saved) :]
        return result[0] if ctx.single else result

    @staticmethod
    def vmap(info: Any, in_dims: tuple, function: Callable, *inputs: Any) -> tuple:
        rows = [
            Transformed.apply(
                function,
                *(x if dim is None else x.select(dim, i) for x, dim in zip(inputs, in_dims[1:], strict=True)),
            )
            for i in range(info.batch_size)
        ]
        if isinstance(rows[0], Tensor):
            return torch.stack(rows), 0
        return tuple(map(torch.stack, zip(*rows, strict=True))), (0,) * len(rows[0])


def _find(function: Callable, held: dict[int, Tensor], *inputs: Any) -> Any:
    """What the function returns; the leaves that it holds go to `held`, each once."""
    with torch.enable_grad():
        outputs = function(*(x.detach() if isinstance(x, Tensor) else x for x in inputs))
    found = leaves([outputs] if isinstance(outputs, Tensor) else outputs)
    held.update((id(leaf), leaf) for leaf in found if leaf.is_floating_point())
    return outputs.detach() if isinstance(outputs, Tensor) else tuple(output.detach() for output in outputs)


class _Holding:
    """A function to which the leaves that it holds are handed after its inputs; it knows them already.

    Attributes:
        held: the leaves by their places among what is passed. Gradients are asked of them, not of copies.
    """

    def __init__(self, function: Callable, inputs: int, held: Iterable[Tensor]):
        self.function, self.inputs, self.held = function, inputs, dict(enumerate(held, inputs))

    def __call__(self, *given: Any) -> Any:
        return self.function(*given[: self.inputs])


class _Gradient:
    """vᵀJ of a function, as a function of its inputs and v."""

    def __init__(self, function: _Holding | _Gradient, inputs: int):
        self.function, self.inputs, self.held = function, inputs, function.held

    def __call__(self, *given: Any) -> tuple[Tensor, ...]:
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            inputs = list(given[: self.inputs])
            for i, x in enumerate(inputs):
                if i in self.held:
                    inputs[i] = self.held[i]
                elif isinstance(x, Tensor) and x.is_floating_point() and not (graph and x.requires_grad):
                    inputs[i] = x.detach().requires_grad_()
            asked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
            outputs = self.function(*inputs)
            outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
            used = [(o, g) for o, g in zip(outputs, given[self.inputs :], strict=True) if o.requires_grad]
            found = (
                torch.autograd.grad(
                    [o for o, _ in used], asked, [g for _, g in used], create_graph=graph, allow_unused=True
                )
                if used
                else [None] * len(asked)
            )
        return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(asked, found, strict=True))
