"""From whole numbers to real ones: noise turns probabilities of pixels into a density, at a price that is a bound."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.validation import whole


class Dequantization(nn.Module):
    """x ∈ {0, …, levels − 1} → (x + u) / levels with noise u in [0, 1): uniform, or learned.

    E_u[log p((x + u) / levels) − D log levels − log q(u | x)] ≤ log P(x): with this transform first, `log_prob`
    of a `Flow` is one sample of that lower bound on the log-probability of the pixels. q = 1 is the uniform noise.
    Given `net`, u = sigmoid(m(x) + exp(s(x)) ε) with ε ~ N(0, I), and q makes the bound tighter as it learns.

    `inverse` rounds down, z → floor(levels · z); no noise is needed and its log-determinant is + D log levels.

    Args:
        levels: number of values a pixel can have.
        net: from x, scaled to [−1, 1], `(B, C, H, W)` to `(B, 2 C, H, W)`: first m, then s; for `(B, D)` to `(B, 2 D)`.
        generator: source of randomness of the noise; it may be set anew at any time.

    Raises:
        ValueError: for x that holds something else than 0 … levels − 1.

    Source: Theis, van den Oord & Bethge, A note on the evaluation of generative models, 2016; Ho et al.,
    Flow++, 2019.
    """

    def __init__(self, levels: int, net: nn.Module | None = None, generator: Generator | None = None):
        super().__init__()
        levels = whole("levels", levels, 2)
        self.levels, self.net, self.generator = levels, net, generator

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x if x.is_floating_point() else x.to(torch.get_default_dtype())  # in uint8, 256 would be 0
        if x.numel() and not (x.min() >= 0 and x.max() < self.levels and (x == x.floor()).all()):
            raise ValueError(
                f"x goes from {x.min():g} to {x.max():g}: expected whole numbers from 0 to {self.levels - 1}"
            )
        noise, log_q = self._noise(x)
        return (x + noise) / self.levels, -x[0].numel() * math.log(self.levels) - log_q

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = (z * self.levels).floor().clamp(0, self.levels - 1)
        return x, z.new_full((len(z),), z[0].numel() * math.log(self.levels))

    def _noise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """u and log q(u | x)."""
        draw = torch.rand if self.net is None else torch.randn
        noise = draw(x.shape, generator=self.generator, dtype=x.dtype, device=x.device)
        if self.net is None:
            return noise, x.new_zeros(len(x))
        mean, log_scale = self.net(2 * x / (self.levels - 1) - 1).chunk(2, 1)
        a = mean + log_scale.exp() * noise
        log_slope = log_scale + F.logsigmoid(a) + F.logsigmoid(-a)  # log du/dε
        log_normal = noise.square() * -0.5 - 0.5 * math.log(2 * math.pi)
        return a.sigmoid(), (log_normal - log_slope).flatten(1).sum(1)
