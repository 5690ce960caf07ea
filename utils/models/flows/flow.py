"""Normalizing flows: a chain of bijections and a simple distribution at its end give an exact density."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn

from utils.models.flows.couplings import Autoregressive, Coupling
from utils.models.flows.splines import Affine, Spline
from utils.models.flows.transforms import Chain
from utils.nets import MLP
from utils.validation import as_parameters, tensor, whole

__all__ = ["Flow", "StandardNormal", "UnitCube", "maf", "real_nvp", "spline_autoregressive", "spline_coupling"]


class StandardNormal(nn.Module):
    """p(z) = N(z; 0, I) for z `(B, D)`."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = whole("dim", dim)
        self.register_buffer("like", torch.empty(0), persistent=False)  # samples have its dtype and its device

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, `(B,)`; NaN for a row that holds NaN."""
        z = _rows(z, self)
        return z.square().sum(1) * -0.5 - self.dim / 2 * math.log(2 * math.pi)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` independent draws, `(n, D)`."""
        return torch.randn(whole("n", n), self.dim, generator=generator, dtype=self.like.dtype, device=self.like.device)


class UnitCube(nn.Module):
    """p(z) = 1 on [0, 1]^D, for z `(B, D)`; log p is −∞ elsewhere."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = whole("dim", dim)
        self.register_buffer("like", torch.empty(0), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, `(B,)`; NaN for a row that holds NaN."""
        z = _rows(z, self)
        inside = ((z >= 0) & (z <= 1)).all(1)
        return z.new_zeros(len(z)).where(inside, -math.inf).where(~z.isnan().any(1), math.nan)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` independent draws, `(n, D)`."""
        return torch.rand(whole("n", n), self.dim, generator=generator, dtype=self.like.dtype, device=self.like.device)


class Flow(nn.Module):
    """log p(x) = log p(z) + log |det dz/dx| with z = forward(x), a bijection; x = inverse(z) for z from the base.

    It has no `fit`: train it with `utils.training.Trainer(flow, lambda x, training: -flow.log_prob(x))`.

    Args:
        transforms: modules whose `forward(x)` returns `(z, log_det)` and whose `inverse(z)` returns `(x, log_det)`.
        base: p(z): whatever has `log_prob(z)` `(B,)` and `sample(n, generator)`.

    Raises:
        ValueError: for x of a shape that a transform does not take, or with values that are not finite.

    Source: Papamakarios et al., Normalizing Flows for Probabilistic Modeling and Inference, 2021.
    """

    def __init__(self, transforms: Iterable[nn.Module], base: nn.Module):
        super().__init__()
        self.transform, self.base = Chain(transforms), base

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z and log |det dz/dx| `(B,)`."""
        return self.transform(_finite(as_parameters("x", x, self), "x"))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z → x and log |det dx/dz| `(B,)`."""
        return self.transform.inverse(_finite(as_parameters("z", z, self), "z"))

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, `(B,)`."""
        x = as_parameters("x", x, self)
        if not x.ndim or not len(x):
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, ...) with B > 0")
        z, log_det = self(x)
        return self.base.log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` independent draws of x."""
        return self.inverse(self.base.sample(whole("n", n), generator))[0]


def _rows(z: Tensor, base: StandardNormal | UnitCube) -> Tensor:
    z = z if tensor("z", z).is_floating_point() else as_parameters("z", z, base)
    if z.ndim != 2 or z.shape[1] != base.dim or not len(z):
        raise ValueError(f"z has shape {tuple(z.shape)}: expected (B, {base.dim}) with B > 0")
    return z


def _finite(x: Tensor, name: str) -> Tensor:
    if not x.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite: look for NaN and infinity in the data")
    return x


def _couplings(dim: int, transforms: int, hidden: Sequence[int], curve: Affine | Spline, generator: Generator | None):
    net = partial(MLP, hidden=hidden, generator=generator)
    layers = [Coupling(dim, net, curve, swap=i % 2 == 1) for i in range(transforms)]
    return Flow(layers, StandardNormal(dim))


def _autoregressive(dim: int, transforms: int, hidden: Sequence[int], curve: Affine | Spline, generator):
    orders = torch.arange(dim), torch.arange(dim).flip(0)
    layers = [Autoregressive(dim, curve, hidden, orders[i % 2], generator) for i in range(transforms)]
    return Flow(layers, StandardNormal(dim))


def real_nvp(
    dim: int, transforms: int = 5, hidden: Sequence[int] = (64, 64), generator: Generator | None = None
) -> Flow:
    """Affine couplings; the halves alternate (RealNVP, 2017)."""
    return _couplings(dim, transforms, hidden, Affine(), generator)


def maf(dim: int, transforms: int = 5, hidden: Sequence[int] = (64, 64), generator: Generator | None = None) -> Flow:
    """Affine autoregressive transforms; every second one runs through the coordinates backwards (MAF, 2017)."""
    return _autoregressive(dim, transforms, hidden, Affine(), generator)


def spline_coupling(
    dim: int,
    transforms: int = 5,
    hidden: Sequence[int] = (64, 64),
    bins: int = 8,
    bound: float = 5.0,
    generator: Generator | None = None,
) -> Flow:
    """Couplings that bend with a rational-quadratic spline inside [−bound, bound] (Neural Spline Flows, 2019)."""
    return _couplings(dim, transforms, hidden, Spline(bins, bound), generator)


def spline_autoregressive(
    dim: int,
    transforms: int = 5,
    hidden: Sequence[int] = (64, 64),
    bins: int = 8,
    bound: float = 5.0,
    generator: Generator | None = None,
) -> Flow:
    """Autoregressive transforms that bend with a rational-quadratic spline (Neural Spline Flows, 2019)."""
    return _autoregressive(dim, transforms, hidden, Spline(bins, bound), generator)
