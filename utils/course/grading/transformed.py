"""A function of the other side under `torch.func`: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd` and `vmap`, in each other.

A transform hands in tensors whose values are not to be had. A `torch.autograd.Function` gets them bare, if all that it
does is to call itself: its derivative is that of another function, and its `vmap` goes from row to row. What the
function holds, as a network its parameters, gets no gradient this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def active() -> bool:
    """Whether this call is inside of a transform."""
    return torch._C._are_functorch_transforms_active()


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


class _Gradient:
    """vᵀJ of a function, as a function of its inputs and v."""

    def __init__(self, function: Callable, inputs: int):
        self.function, self.inputs = function, inputs

    def __call__(self, *given: Any) -> tuple[Tensor, ...]:
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            inputs = [
                (x if graph and x.requires_grad else x.detach().requires_grad_())
                if isinstance(x, Tensor) and x.is_floating_point()
                else x
                for x in given[: self.inputs]
            ]
            leaves = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
            outputs = self.function(*inputs)
            outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
            used = [(o, g) for o, g in zip(outputs, given[self.inputs :], strict=True) if o.requires_grad]
            found = (
                torch.autograd.grad(
                    [o for o, _ in used], leaves, [g for _, g in used], create_graph=graph, allow_unused=True
                )
                if used
                else [None] * len(leaves)
            )
        return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True))
