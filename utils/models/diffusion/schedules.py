"""Time, in one place: 0 is data and 1 is noise. How much of each is there at a time, and what follows from it.

Flow matching (chapter 16) counts the other way, from noise to data: its time is `1 - t`, and its velocities are the
negatives of those here. Every solver of this folder walks a list of times in whichever order they stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from utils.validation import whole

Time = float | Tensor  # one for all rows, or one for each, `(B,)`


class Estimate(NamedTuple):
    """What was mixed into x_t, as far as x_t tells: E[x_0 | x_t] and E[ε | x_t], both in the shape of x_t."""

    data: Tensor
    noise: Tensor


class Schedule:
    """x_t = α(t) x_0 + σ(t) ε with ε ~ N(0, I): a subclass says α, σ and their derivatives, all in float64."""

    def alpha(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def sigma(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def alpha_rate(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def sigma_rate(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def time_of(self, ratio: Tensor) -> Tensor:
        """The time at which σ / α is `ratio`."""
        raise NotImplementedError

    def at(self, t: Time, x: Tensor) -> Coefficients:
        """α, σ and what follows from them at time t, shaped and typed so that they multiply x."""
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device)
        if t.ndim and t.shape != x.shape[:1]:
            raise ValueError(f"t has shape {tuple(t.shape)}: expected one number, or one for each of {len(x)} rows")
        t = t.reshape(-1, *[1] * (x.ndim - 1)) if t.ndim else t
        rates = self.alpha(t), self.sigma(t), self.alpha_rate(t), self.sigma_rate(t)
        return Coefficients(*(rate.to(x.dtype) for rate in rates))

    def add_noise(self, x: Tensor, noise: Tensor, t: Time) -> Tensor:
        """x_t = α x_0 + σ ε."""
        c = self.at(t, x)
        return c.alpha * x + c.sigma * noise

    def signal_to_noise(self, t: Time) -> Tensor:
        """α² / σ²: how much more of the data than of the noise there is."""
        t = torch.as_tensor(t, dtype=torch.float64)
        return (self.alpha(t) / self.sigma(t)).square()

    def times(self, steps: int, first: float = 1.0, last: float = 0.0) -> Tensor:
        """`steps` equal steps from `first` to `last`, by default from noise to data: `(steps + 1,)`."""
        return torch.linspace(first, last, whole("steps", steps) + 1, dtype=torch.float64)


class Coefficients(NamedTuple):
    """α, σ, dα/dt and dσ/dt at one time."""

    alpha: Tensor
    sigma: Tensor
    alpha_rate: Tensor
    sigma_rate: Tensor

    def velocity(self, parts: Estimate) -> Tensor:
        """dx/dt = α' x_0 + σ' ε; of estimates, the velocity of the probability flow."""
        return self.alpha_rate * parts.data + self.sigma_rate * parts.noise

    @property
    def turn(self) -> Tensor:
        """α σ' − σ α', the speed at which data turn into noise: above 0."""
        return self.alpha * self.sigma_rate - self.sigma * self.alpha_rate

    @property
    def spread(self) -> Tensor:
        """g² / 2 = σ σ' − σ² α' / α: half of the variance that the forward chain adds in a unit of time."""
        return self.turn * self.sigma / self.alpha

    def target(self, parts: Estimate) -> Tensor:
        """What a network is asked to predict: velocity / turn. It is α ε − σ x_0 where α² + σ² = 1, else like it.

        Source: Salimans and Ho, Progressive distillation, 2022, arXiv 2202.00512.
        """
        return self.velocity(parts) / self.turn

    def parts(self, x: Tensor, target: Tensor) -> Estimate:
        """The two parts of x, from such a prediction; nothing is divided by a number near 0."""
        data = self.sigma_rate / self.turn * x - self.sigma * target
        return Estimate(data, self.alpha * target - self.alpha_rate / self.turn * x)


@dataclass(frozen=True)
class Cosine(Schedule):
    """α = cos(π t / 2), σ = sin(π t / 2): the variance stays 1 for data of variance 1.

    Source: in this form Salimans and Ho, 2022; after Nichol and Dhariwal, 2021, arXiv 2102.09672.
    """

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(math.pi / 2 * t)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t)

    def alpha_rate(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * self.sigma(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        return math.pi / 2 * self.alpha(t)

    def time_of(self, ratio: Tensor) -> Tensor:
        return 2 / math.pi * torch.atan(ratio)


@dataclass(frozen=True)
class Straight(Schedule):
    """α = 1 − t, σ = t: the straight line from data to noise, the path of flow matching.

    Source: Lipman, Chen, Ben-Hamu, Nickel and Le, Flow matching for generative modeling, 2022, arXiv 2210.02747.
    """

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def alpha_rate(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def time_of(self, ratio: Tensor) -> Tensor:
        return ratio / (1 + ratio)


@dataclass(frozen=True)
class LinearBeta(Schedule):
    """α² = exp(−∫ β) with β rising on a line from `first` to `last`, and σ² = 1 − α²: the schedule of DDPM.

    With `last` too small, α(1) is not near 0: the last x_t still shows the data.

    Source: Ho, Jain and Abbeel, 2020, arXiv 2006.11239; continuous in time: Song et al., 2020, arXiv 2011.13456.
    """

    first: float = 0.1
    last: float = 20.0

    def _beta(self, t: Tensor) -> Tensor:
        return self.first + (self.last - self.first) * t

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-0.5 * (self.first * t + 0.5 * (self.last - self.first) * t * t))

    def sigma(self, t: Tensor) -> Tensor:
        area = self.first * t + 0.5 * (self.last - self.first) * t * t
        return (-torch.expm1(-area)).sqrt().clamp_min(1e-8)  # not 0, for it divides below

    def alpha_rate(self, t: Tensor) -> Tensor:
        return -0.5 * self._beta(t) * self.alpha(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        return 0.5 * self._beta(t) * self.alpha(t).square() / self.sigma(t)

    def time_of(self, ratio: Tensor) -> Tensor:
        rise, area = self.last - self.first, torch.log1p(ratio.square())
        return 2 * area / (self.first + (self.first**2 + 2 * rise * area).sqrt())
