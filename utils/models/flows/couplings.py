"""The two ways to let coordinates move each other and stay invertible: in two halves, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from utils.models.flows.splines import Affine, Histogram, Spline
from utils.nets import MADE, check_width
from utils.validation import whole

Curve = Affine | Spline | Histogram


class Coupling(nn.Module):
    """z_a = x_a, z_b = f(x_b; net(x_a)): one half tells how the other is moved.

    Both directions cost one pass of the network. x is `(B, D)`, or `(B, C, H, W)` where the channels are halved.

    Args:
        dim: D or C, at least 2; where it is odd, the half that comes first is the smaller one.
        net: makes the network from its number of inputs and outputs; for images one that keeps height and width.
        curve: f, an `Affine`, a `Spline` or a `Histogram`.
        swap: True lets the second half move the first.

    Raises:
        ValueError: for dim below 2, or x of another width.

    Source: Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017.
    """

    def __init__(self, dim: int, net: Callable[[int, int], nn.Module], curve: Curve | None = None, swap: bool = False):
        super().__init__()
        if whole("dim", dim, 0) < 2:
            raise ValueError(f"dim is {dim}: expected at least 2, a single coordinate cannot be split in two")
        self.curve, self.swap = curve or Affine(), swap
        self.sizes = [dim // 2, dim - dim // 2]
        kept, moved = reversed(self.sizes) if swap else self.sizes
        self.net = net(kept, moved * self.curve.n_params)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._move(x, self.curve.forward)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._move(z, self.curve.inverse)

    def _move(self, x: Tensor, curve: Callable) -> tuple[Tensor, Tensor]:
        check_width(x, sum(self.sizes))
        a, b = x.split(self.sizes, 1)
        if self.swap:
            a, b = b, a
        params = self.net(a).unflatten(1, (b.shape[1], -1))  # (B, D_b, P) or (B, C_b, P, H, W)
        if x.dim() > 2:
            params = params.movedim(2, -1)  # (B, C_b, H, W, P)
        with torch.autocast(x.device.type, enabled=False):  # the network may be coarse; what is done to x is exact
            b, log_slope = curve(b, params.to(b.dtype))
        return torch.cat([b, a] if self.swap else [a, b], 1), log_slope.flatten(1).sum(1)


class Autoregressive(nn.Module):
    """z_i = f(x_i; net_i(x_<i)): each coordinate is moved as those before it say.

    The network is a `MADE`. x → z costs one pass of it; z → x takes D steps, one coordinate each. Under autocast it
    keeps full precision: what a coarse network says step by step is not what it says in one pass.

    Args:
        dim: D, at least 2.
        curve: f, an `Affine`, a `Spline` or a `Histogram`.
        hidden: units in each hidden layer.
        order: the coordinates in the order of the chain; default: as they come.
        generator: source of randomness of the first weights.

    Raises:
        ValueError: for an order that is no permutation, or x of another width.

    Source: Papamakarios, Pavlakou & Murray, Masked Autoregressive Flow for Density Estimation, 2017.
    """

    def __init__(
        self,
        dim: int,
        curve: Curve | None = None,
        hidden: Sequence[int] = (64, 64),
        order: Sequence[int] | Tensor | None = None,
        generator: Generator | None = None,
    ):
        super().__init__()
        self.curve = curve or Affine()
        self.net = MADE(dim, self.curve.n_params, hidden, order, generator)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            z, log_slope = self.curve.forward(x, self.net(x).to(x.dtype))
        return z, log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        check_width(z, self.net.dim)
        log_slopes = []

        def choose(i: int, params: Tensor) -> Tensor:
            x, log_slope = self.curve.inverse(z[:, i : i + 1], params[:, None])
            log_slopes.append(log_slope)
            return x

        with torch.autocast(z.device.type, enabled=False):
            x = self.net.chain(len(z), choose)
        return x, torch.cat(log_slopes, 1).sum(1)
