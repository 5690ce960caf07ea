"""Bijections with few or no parameters: scale, permute, mix, stretch; how they are chained and turned round.

Each is a module: `forward(x)` returns z and log |det dz/dx| `(B,)`, `inverse(z)` returns x and log |det dx/dz|.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from math import prod

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.nets import check_order, check_width
from utils.validation import whole


class Chain(nn.Sequential):
    """z = (T_n ∘ … ∘ T_1)(x); the log-determinants add up."""

    def __init__(self, transforms: Iterable[nn.Module]):
        super().__init__(*transforms)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for transform in self:
            x, log_det = transform(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        total = z.new_zeros(len(z))
        for transform in reversed(self):
            z, log_det = transform.inverse(z)
            total = total + log_det
        return z, total


class Inverse(nn.Module):
    """A transform the other way round: an autoregressive one turns from fast density to fast samples.

    Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016.
    """

    def __init__(self, transform: nn.Module):
        super().__init__()
        self.transform = transform

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform(z)


class ElementwiseAffine(nn.Module):
    """z = (x + shift) exp(log_scale), a pair of parameters for each coordinate, or for each channel of an image."""

    def __init__(self, dim: int):
        super().__init__()
        dim = whole("dim", dim)
        self.shift, self.log_scale = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale, log_det = self._read(x)
        return (x + shift) * log_scale.exp(), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale, log_det = self._read(z)
        return z * (-log_scale).exp() - shift, -log_det

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        check_width(x, len(self.shift))
        shape = (-1, *[1] * (x.dim() - 2))
        log_det = self.log_scale.sum() * prod(x.shape[2:])
        return self.shift.view(shape), self.log_scale.view(shape), log_det.expand(len(x))


class ActNorm(ElementwiseAffine):
    """An elementwise affine map that gives the first batch of training mean 0 and variance 1.

    Source: Kingma & Dhariwal, Glow, 2018.
    """

    def __init__(self, dim: int):
        super().__init__(dim)
        self.register_buffer("initialized", torch.tensor(False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and not self.initialized:
            self._initialize(x.detach())
        return super().forward(x)

    @torch.no_grad()
    def _initialize(self, x: Tensor) -> None:
        check_width(x, len(self.shift))
        rows = x.transpose(0, 1).flatten(1)  # (D, B) or (C, B · H · W)
        if rows.shape[1] < 2:
            raise ValueError("the first batch of an ActNorm has a single example: it needs at least 2 for a variance")
        self.shift.copy_(-rows.mean(1))
        self.log_scale.copy_(-rows.std(1).clamp(min=1e-6).log())
        self.initialized.fill_(True)


class Permutation(nn.Module):
    """z_i = x_order[i], for coordinates or channels; log |det| = 0.

    Args:
        order: each of 0 … D − 1 once.
    """

    def __init__(self, order: Sequence[int] | Tensor):
        super().__init__()
        order = torch.as_tensor(order)
        check_order(order, order.numel())
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        check_width(x, len(self.order))
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        check_width(z, len(self.order))
        return z.index_select(1, self.back), z.new_zeros(len(z))


class InvertibleLinear(nn.Module):
    """z = W x + b, with W = P L (U + diag(s)); on an image it mixes the channels of each pixel (a 1 × 1 convolution).

    P is a fixed permutation, L lower and U upper triangular, so log |det W| = Σ log |s| (times H · W for an image). W
    starts as a random rotation; the signs of s stay as they were.

    Args:
        dim: number of coordinates or channels.
        generator: source of randomness of the rotation.

    Source: Kingma & Dhariwal, Glow, 2018.
    """

    def __init__(self, dim: int, generator: Generator | None = None):
        super().__init__()
        dim = whole("dim", dim)
        rotation = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64)).Q
        permutation, lower, upper = (part.to(torch.get_default_dtype()) for part in torch.linalg.lu(rotation))
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", upper.diagonal().sign())
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        self.log_s, self.bias = nn.Parameter(upper.diagonal().abs().log()), nn.Parameter(torch.zeros(dim))

    def factors(self) -> tuple[Tensor, Tensor]:
        """L, with ones on the diagonal, and U + diag(s)."""
        lower = self.lower.tril(-1) + torch.eye(len(self.bias)).to(self.lower)
        return lower, self.upper.triu(1) + (self.sign * self.log_s.exp()).diag()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # its rounding would make z another x's
            lower, upper = self.factors()
            return self._mix(x, self.permutation @ lower @ upper, self.bias), self._log_det(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(z.device.type, enabled=False):
            lower, upper = self.factors()
            right = torch.linalg.solve_triangular(lower, self.permutation.T, upper=False, unitriangular=True)
            weight = torch.linalg.solve_triangular(upper, right, upper=True)
            return self._mix(z, weight, -weight @ self.bias), -self._log_det(z)

    def _mix(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        check_width(x, len(self.bias))
        if x.dim() == 2:
            return F.linear(x, weight, bias)
        return F.conv2d(x, weight[:, :, None, None], bias)

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.log_s.sum() * prod(x.shape[2:])).expand(len(x))


class Logit(nn.Module):
    """z = logit(α + (1 − 2α) x), from [0, 1] to the real line.

    Args:
        alpha: keeps 0 and 1 away from infinity; 0 < α < ½.

    Source: Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017.
    """

    def __init__(self, alpha: float = 1e-3):
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha is {alpha}: expected a number between 0 and 0.5")
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.numel() and not (x.min() >= 0 and x.max() <= 1):
            raise ValueError(f"x goes from {x.min():g} to {x.max():g}: expected values from 0 to 1")
        z = (self.alpha + (1 - 2 * self.alpha) * x).logit()
        return z, -self._log_slope(z)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return (z.sigmoid() - self.alpha) / (1 - 2 * self.alpha), self._log_slope(z)

    def _log_slope(self, z: Tensor) -> Tensor:
        """log |det dx/dz|."""
        log_slope = F.logsigmoid(z) + F.logsigmoid(-z) - math.log(1 - 2 * self.alpha)
        return log_slope.flatten(1).sum(1)
