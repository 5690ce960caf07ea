"""Monotonic curves for flows, moved by a network's numbers: an affine map, a rational-quadratic spline, a histogram.

A curve has `n_params` numbers for each coordinate. `forward(x, params)` takes x of any shape and params of that shape
with `n_params` at its end; it returns y and log dy/dx, both in the shape of x. `inverse(y, params)` returns x and
log dx/dy. With all numbers 0 a curve is the identity, unless it is told otherwise: that is where training starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from utils.validation import whole


class Affine:
    """y = x exp(s) + t, with s = `limit` tanh(a) for the network's numbers (a, t).

    The bound on s keeps one step of training from blowing a coordinate up.

    Source: Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017.
    """

    n_params = 2

    def __init__(self, limit: float = 3.0):
        if not limit > 0:
            raise ValueError(f"limit is {limit}: expected a number above 0, the largest |log scale|")
        self.limit = limit

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._read(params)
        return x * log_scale.exp() + shift, log_scale

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._read(params)
        return (y - shift) * (-log_scale).exp(), -log_scale

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = params.unbind(-1)
        return raw.tanh() * self.limit, shift


class Spline:
    """A monotonic rational-quadratic spline on [−bound, bound], and the identity outside.

    Numbers of the network: K widths and K heights (softmax makes them shares of the interval), then K − 1 slopes at
    the inner knots (softplus makes them positive); the slope at both ends is 1, so the tails join smoothly. In a bin of
    width w and height h with chord s = h / w, slopes d₀ and d₁ at its ends, θ the position in the bin from 0 to 1,
    τ = θ (1 − θ) and q = d₀ + d₁ − 2s,

        y = y₀ + h (s θ + (d₀ − s) τ) / (s + q τ)
        dy/dx = (d₀ (1 − θ)² + 2 s τ + d₁ θ²) (s / (s + q τ))²

    Inside, lengths are measured in units of the whole interval, whose left end is 0.

    Args:
        bins: K.
        bound: half of the interval, in the units of x.
        min_share: no bin is thinner or lower than this share of the interval.
        min_slope: no slope at a knot is below this.

    Source: Durkan, Bekasov, Murray & Papamakarios, Neural Spline Flows, 2019.
    """

    def __init__(self, bins: int = 8, bound: float = 5.0, min_share: float = 1e-3, min_slope: float = 1e-3):
        bins = whole("bins", bins, 2)
        if not bound > 0:
            raise ValueError(f"bound is {bound}: expected a number above 0")
        if not 0 < min_share * bins < 1:
            raise ValueError(f"min_share is {min_share}: expected more than 0 and less than 1 / bins = {1 / bins:g}")
        if not 0 < min_slope < 1:
            raise ValueError(f"min_slope is {min_slope}: expected a number between 0 and 1")
        self.bins, self.bound, self.min_share, self.min_slope = bins, bound, min_share, min_slope
        self.n_params = 3 * bins - 1
        self._slope_at_zero = math.log(math.expm1(1 - min_slope))  # softplus of it, and min_slope, make 1

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        place = self._place(x)
        (x0, y0), (w, h), d0, d1 = self._bin(place, params, 0)
        s = h / w
        theta = ((place - x0) / w).clamp(0, 1)
        tau, chord, log_slope = self._climb(theta, s, d0, d1)
        end = y0 + h * (s * theta + (d0 - s) * tau) / chord
        return torch.add(x, end - place, alpha=2 * self.bound), log_slope

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        place = self._place(y)
        (x0, y0), (w, h), d0, d1 = self._bin(place, params, 1)
        s = h / w
        # With δ = (y − y₀) / h, the first formula says (s − b) θ² + b θ − s δ = 0; of the two ways to write its root
        # the one that adds numbers of the same sign keeps all digits.
        delta = ((place - y0) / h).clamp(0, 1)
        b = d0 - delta * (d0 + d1 - 2 * s)
        root = (b.square() + 4 * (s - b) * s * delta).clamp(min=torch.finfo(y.dtype).tiny).sqrt()
        positive, large = b > 0, b.abs() + root
        theta = torch.where(positive, 2 * s * delta, large) / torch.where(positive, large, 2 * (s - b))
        theta = theta.clamp(0, 1)
        _, _, log_slope = self._climb(theta, s, d0, d1)
        return torch.add(y, x0 + theta * w - place, alpha=2 * self.bound), -log_slope

    def _place(self, x: Tensor) -> Tensor:
        """Where x lies in the interval, 0 to 1; all that is outside sits at an end, where the spline does nothing."""
        return (x / (2 * self.bound) + 0.5).clamp(0, 1)

    def _bin(self, place: Tensor, params: Tensor, axis: int) -> tuple:
        """The bin in which `place` falls, on the axis of x (0) or y (1): corner, sides, slopes at both ends."""
        sides, slopes = params.split([2 * self.bins, self.bins - 1], -1)
        sides = sides.unflatten(-1, (2, self.bins)).contiguous()  # (..., 2, K)
        # A softmax in steps: PyTorch's is slow on rows this short, and one product gives all partial sums.
        size = (sides - sides.detach().amax(-1, keepdim=True)).exp()
        sums = size @ size.new_ones(self.bins, self.bins + 1).triu(1)  # (..., 2, K + 1), the last is the total
        scale, least = 1 - self.bins * self.min_share, self.min_share
        with torch.no_grad():
            inner = sums[..., axis, 1:-1] * (scale / sums[..., axis, -1:])  # (..., K − 1)
            k = (inner < place[..., None] - self._steps(inner)).sum(-1, keepdim=True)  # (..., 1)
            both = k[..., None, :].expand(*sides.shape[:-1], 1)
        corner, total = sums.gather(-1, nn.functional.pad(both, (0, 1), value=self.bins)).unbind(-1)  # (..., 2)
        corner = corner * (scale / total) + least * k.to(total.dtype)
        size = size.gather(-1, both)[..., 0] * (scale / total) + least
        ends = nn.functional.pad(slopes, (1, 1)).gather(-1, torch.cat([k, k + 1], -1))
        ends = nn.functional.softplus(ends + self._slope_at_zero) + self.min_slope  # (..., 2)
        return corner.unbind(-1), size.unbind(-1), *ends.unbind(-1)

    def _steps(self, like: Tensor) -> Tensor:
        return torch.arange(1, self.bins, dtype=like.dtype, device=like.device) * self.min_share

    def _climb(self, theta: Tensor, s: Tensor, d0: Tensor, d1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """τ, s + q τ and log dy/dx, as sums of positive numbers: differences would lose digits in steep bins."""
        rest = 1 - theta
        tau = theta * rest
        chord = s * (1 - 2 * tau) + (d0 + d1) * tau
        slope = torch.lerp(d0 * rest, d1 * theta, theta) + 2 * s * tau
        return tau, chord, (slope * (s / chord).square()).log()


class Histogram:
    """y = F(x), the distribution function of a histogram on [0, 1] with fixed edges; the identity outside.

    With bins of widths w and the network's numbers a, bin k has the probability P_k = softmax(a + log shares)_k, and

        y = P_0 + … + P_{k−1} + P_k (x − edge_k) / w_k,    dy/dx = P_k / w_k

    So the slope is the density of the histogram: under a `UnitCube` at the end, each coordinate has this histogram.

    Args:
        edges: rising numbers from 0 to 1, at least three.
        shares: probabilities of the bins when all numbers are 0; default: their widths, which makes the identity. Start
            from those of the data, and training need not find them.

    Raises:
        ValueError: for other edges, or shares that are no probabilities above 0.

    Source: Müller, McWilliams, Rousselle, Gross & Novák, Neural Importance Sampling, 2019: piecewise-linear couplings.
    """

    def __init__(self, edges: Sequence[float] | Tensor, shares: Sequence[float] | Tensor | None = None):
        self.edges = torch.as_tensor(edges, dtype=torch.float64)
        rising = self.edges.dim() == 1 and len(self.edges) > 2 and bool((self.edges.diff() > 0).all())
        if not rising or self.edges[0] != 0 or self.edges[-1] != 1:
            raise ValueError(f"edges are {self.edges.tolist()}: expected at least three rising numbers from 0 to 1")
        self.n_params = len(self.edges) - 1
        self.shares = self.edges.diff() if shares is None else torch.as_tensor(shares, dtype=torch.float64)
        if self.shares.shape != (self.n_params,) or not (self.shares > 0).all() or abs(self.shares.sum() - 1) > 1e-6:
            raise ValueError(f"shares are {self.shares.tolist()}: expected {self.n_params} numbers above 0 with sum 1")

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        edges, widths, log_share = self._read(params)
        k = torch.bucketize(x.detach().contiguous(), edges[1:-1], right=True)
        below, log_share = self._bin(log_share, k)
        log_slope = log_share - widths.log()[k]
        y, inside = (below + (x - edges[k]) * log_slope.exp()).clamp(0, 1), (x >= 0) & (x <= 1)
        return y.where(inside, x), log_slope.where(inside, 0.0)

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        edges, widths, log_share = self._read(params)
        tops = log_share.detach().exp().cumsum(-1)[..., :-1]
        k = (tops <= y.detach()[..., None]).sum(-1)
        below, log_share = self._bin(log_share, k)
        log_slope = log_share - widths.log()[k]
        x, inside = (edges[k] + (y - below) * (-log_slope).exp()).clamp(0, 1), (y >= 0) & (y <= 1)
        return x.where(inside, y), -log_slope.where(inside, 0.0)

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The edges, the widths of the bins, and the logarithms of their probabilities."""
        edges = self.edges.to(params)
        return edges, edges.diff(), (params + self.shares.log().to(params)).log_softmax(-1)

    def _bin(self, log_share: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """P_0 + … + P_{k−1}, and log P_k."""
        before = torch.arange(self.n_params, device=k.device) < k[..., None]
        return (log_share.exp() * before).sum(-1), log_share.gather(-1, k[..., None])[..., 0]
