"""MADE: one network that answers D questions at once, the i-th from the inputs before i alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.nets import MLP


class MADE(MLP):
    """x `(B, D)` → `(B, D, outputs)`; what it says of coordinate i depends on the coordinates before i alone.

    Each hidden unit has a degree m and sees the inputs at the places 0 … m of the order, so it may speak to those
    after m. A weight that would break this is multiplied by 0.

    Args:
        dim: D, at least 2.
        outputs: numbers for each coordinate.
        hidden: units in each hidden layer.
        order: the coordinates in the order of the chain, a permutation of 0 … D − 1; default: as they come.
        generator: source of randomness of the first weights.
        direct: add masked weights from the inputs to the outputs; they start at 0.

    Raises:
        ValueError: for an order that is no permutation, or x of another width.

    Source: Germain, Gregor, Murray & Larochelle, MADE, 2015.
    """

    def __init__(
        self,
        dim: int,
        outputs: int = 1,
        hidden: Sequence[int] = (64, 64),
        order: Sequence[int] | Tensor | None = None,
        generator: Generator | None = None,
        direct: bool = False,
    ):
        if dim < 2:
            raise ValueError(f"dim is {dim}: expected at least 2, a single coordinate has nothing to depend on")
        super().__init__(dim, dim * outputs, hidden, generator)
        order = torch.arange(dim) if order is None else torch.as_tensor(order)
        check_order(order, dim)
        self.dim, self.outputs = dim, outputs
        self.register_buffer("order", order)
        place = order.argsort()
        degrees = [place, *(torch.arange(size) % (dim - 1) for size in hidden)]
        masks = [after[:, None] >= before for before, after in pairwise(degrees)]
        masks.append((place[:, None] > degrees[-1]).repeat_interleave(outputs, 0))
        for i, mask in enumerate(masks):
            self.register_buffer(f"mask{i}", mask, persistent=False)
        self.direct = nn.Parameter(torch.zeros(dim * outputs, dim)) if direct else None
        if direct:
            self.register_buffer(
                "direct_mask", (place[:, None] > place).repeat_interleave(outputs, 0), persistent=False
            )

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """The masked weights and the biases, layer by layer."""
        return [(weight * getattr(self, f"mask{i}"), bias) for i, (weight, bias) in enumerate(super().weights())]

    def forward(self, x: Tensor) -> Tensor:
        check_width(x, self.dim)
        params = super().forward(x)
        if self.direct is not None:
            params = params + F.linear(x, self.direct * self.direct_mask)
        return params.unflatten(1, (self.dim, self.outputs))

    def chain(self, n: int, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Build `n` rows coordinate by coordinate: `choose(i, params)` turns `(n, outputs)` into the values `(n, 1)`.

        The first layer's sums grow by one coordinate at a time and the last layer speaks of coordinate i alone: a step
        costs little more than the hidden layers.
        """
        (first, bias), *hidden, (weight, last) = self.weights()
        weight, last = weight.unflatten(0, (self.dim, -1)), last.unflatten(0, (self.dim, -1))
        units = len(bias)
        if self.direct is not None:  # the outputs' own sums grow beside those of the first layer
            first, bias = torch.cat([first, self.direct * self.direct_mask]), F.pad(bias, (0, len(self.direct)))
        total, columns = bias.expand(n, -1), [bias] * self.dim
        for i in self.order.tolist():
            h = total[:, :units].relu()
            for w, b in hidden:
                h = F.linear(h, w, b).relu_()
            params = F.linear(h, weight[i], last[i])
            if self.direct is not None:
                params = params + total[:, units:].unflatten(1, (self.dim, -1))[:, i]
            columns[i] = choose(i, params)
            total = torch.addmm(total, columns[i], first[:, i : i + 1].T)
        return torch.cat(columns, 1)


def check_order(order: Tensor, dim: int) -> None:
    if order.dim() != 1 or order.is_floating_point() or order.sort().values.tolist() != list(range(dim)):
        raise ValueError(f"order is {order.tolist()}: expected each of the numbers 0 to {dim - 1} once")


def check_width(x: Tensor, dim: int) -> None:
    if x.dim() < 2 or x.shape[1] != dim:
        raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, {dim}) or (B, {dim}, H, W)")
