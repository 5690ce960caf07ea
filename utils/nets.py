"""Networks that several families share: from a vector to a vector, freely (`mlp`) or in order (`MADE`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.validation import whole


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers, `(B, widths[0])` → `(B, widths[-1])`, with an activation after each but the last.

    >>> mlp(784, 400, 40)
    Sequential(
      (0): Linear(in_features=784, out_features=400, bias=True)
      (1): ReLU()
      (2): Linear(in_features=400, out_features=40, bias=True)
    )
    """
    if len(widths) < 2:
        raise ValueError(
            f"mlp got {len(widths)} width(s): expected at least an input and an output, as in mlp(2, 64, 1)"
        )
    layers = []
    for before, after in itertools.pairwise(whole("width", width) for width in widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def start(layer: nn.Module, generator: Generator | None = None, zero: bool = False) -> nn.Module:
    """Weights and bias uniform on ± 1 / √(numbers that meet in one output), or all 0."""
    bound = 0.0 if zero else layer.weight[0].numel() ** -0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


class MLP(nn.Module):
    """Linear layers with ReLU between. The last one starts at 0: what it moves starts as the identity."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int] = (64, 64), generator: Generator | None = None):
        super().__init__()
        if not hidden:
            raise ValueError("hidden is empty: expected the size of at least one hidden layer")
        inputs, outputs, hidden = (
            whole("inputs", inputs),
            whole("outputs", outputs),
            [whole("hidden", h) for h in hidden],
        )
        layers = [start(nn.Linear(before, after), generator) for before, after in itertools.pairwise([inputs, *hidden])]
        self.layers = nn.ModuleList([*layers, start(nn.Linear(hidden[-1], outputs), zero=True)])

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases, layer by layer."""
        return [(layer.weight, layer.bias) for layer in self.layers]

    def forward(self, x: Tensor) -> Tensor:
        *hidden, (weight, bias) = self.weights()
        for w, b in hidden:
            x = F.linear(x, w, b).relu_()
        return F.linear(x, weight, bias)


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
        dim, outputs = whole("dim", dim, 0), whole("outputs", outputs)
        if dim < 2:
            raise ValueError(f"dim is {dim}: expected at least 2, a single coordinate has nothing to depend on")
        super().__init__(dim, dim * outputs, hidden, generator)
        order = torch.arange(dim) if order is None else torch.as_tensor(order)
        check_order(order, dim)
        self.dim, self.outputs = dim, outputs
        self.register_buffer("order", order)
        place = order.argsort()
        degrees = [place, *(torch.arange(size) % (dim - 1) for size in hidden)]
        masks = [after[:, None] >= before for before, after in itertools.pairwise(degrees)]
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
