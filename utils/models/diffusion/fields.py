"""What was mixed into x_t? Exactly, for a mixture of Gaussians; what a network must learn, for everything else."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from utils.models.diffusion.schedules import Cosine, Estimate, Schedule, Time
from utils.validation import as_parameters, numbers, tensor, whole


class Field(nn.Module):
    """Whatever can estimate the data and the noise in x_t; all that samplers need follows from these two.

    A subclass has a `schedule` and a method `estimate(x, t)`; it may take more, such as labels.
    """

    schedule: Schedule

    def estimate(self, x: Tensor, t: Time, *given) -> Estimate:
        """E[x_0 | x_t = x] and E[ε | x_t = x]."""
        raise NotImplementedError

    def denoise(self, x: Tensor, t: Time, *given) -> Tensor:
        """E[x_0 | x_t = x], the best guess of the clean data in squared error."""
        return self.estimate(x, t, *given).data

    def velocity(self, x: Tensor, t: Time, *given) -> Tensor:
        """dx/dt of the probability flow: moving along it, the points keep the distribution of x_t at each time."""
        return self.schedule.at(t, x).velocity(self.estimate(x, t, *given))

    def score(self, x: Tensor, t: Time, *given) -> Tensor:
        """∇ log p_t(x) = −E[ε | x_t = x] / σ(t), for t > 0."""
        return -self.estimate(x, t, *given).noise / self.schedule.at(t, x).sigma


class NoisyMixture(Field):
    """The exact teacher: data from p(x_0) = Σ_k w_k N(μ_k, diag s_k²), at any time of a schedule.

    Under noise it stays a mixture, p(x_t) = Σ_k w_k N(α μ_k, α² s_k² + σ²): so its density, its score, the posterior
    means of data and noise and the velocity are all known in closed form.

    Args:
        weights: `(K,)`, above 0; they are normalized.
        means: `(K, D)`.
        scales: standard deviations `(K,)`, or `(K, D)` for each coordinate.
        schedule: `Cosine()` by default.
    """

    def __init__(self, weights: Tensor, means: Tensor, scales: Tensor, schedule: Schedule | None = None):
        super().__init__()
        weights, means, scales = numbers("weights", weights), numbers("means", means), numbers("scales", scales)
        if means.ndim != 2 or weights.shape != means.shape[:1] or scales.shape not in (weights.shape, means.shape):
            shapes = f"{tuple(weights.shape)}, {tuple(means.shape)} and {tuple(scales.shape)}"
            raise ValueError(
                f"weights, means and scales have shapes {shapes}: expected (K,), (K, D) and (K,) or (K, D)"
            )
        if not (weights > 0).all() or not (scales > 0).all():
            raise ValueError("expected weights and scales above 0")
        self.schedule = schedule or Cosine()
        self.register_buffer("weights", weights / weights.sum())
        self.register_buffer("means", means)
        self.register_buffer("scales", (scales if scales.ndim == 2 else scales[:, None]).expand_as(means).contiguous())

    def _components(self, x: Tensor, t: Time) -> tuple[Tensor, Tensor, Tensor]:
        """Of each component at time t: x − α μ, the variances, log w N(x), `(B, K, D)` twice and `(B, K)`."""
        c = self.schedule.at(t, self._check(x)[:, None])
        away, variance = x[:, None] - c.alpha * self.means, (c.alpha * self.scales).square() + c.sigma.square()
        squares = away.square() / variance + variance.log() + math.log(2 * math.pi)
        return away, variance, self.weights.log() - 0.5 * squares.sum(-1)

    def log_prob(self, x: Tensor, t: Time = 0.0) -> Tensor:
        """log p_t(x) `(B,)`, in nats: of the data at t = 0, of noisy data later."""
        return self._components(x, t)[2].logsumexp(1)

    def predict_proba(self, x: Tensor, t: Time = 0.0) -> Tensor:
        """p(component | x_t = x), `(B, K)`."""
        return self._components(x, t)[2].softmax(1)

    def estimate(self, x: Tensor, t: Time) -> Estimate:
        away, variance, log_joint = self._components(x, t)
        c, posterior = self.schedule.at(t, x[:, None]), log_joint.softmax(1)[..., None]  # (B, K, 1)
        data = self.means + c.alpha * self.scales.square() / variance * away
        return Estimate((posterior * data).sum(1), (posterior * c.sigma / variance * away).sum(1))

    def score(self, x: Tensor, t: Time) -> Tensor:
        away, variance, log_joint = self._components(x, t)
        return -(log_joint.softmax(1)[..., None] * away / variance).sum(1)

    def sample(self, n: int, generator: Generator | None = None, t: float = 0.0) -> Tensor:
        """`n` draws of x_t, `(n, D)`."""
        n, options = whole("n", n), {"generator": generator, "device": self.means.device}
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        data, noise = (torch.randn(n, self.means.shape[1], dtype=self.means.dtype, **options) for _ in range(2))
        return self.schedule.add_noise(self.means[component] + self.scales[component] * data, noise, t)

    def _check(self, x: Tensor) -> Tensor:
        if tensor("x", x).ndim != 2 or x.shape[1] != self.means.shape[1] or not len(x):
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, {self.means.shape[1]}) with B > 0")
        return as_parameters("x", numbers("x", x), self)

    def extra_repr(self) -> str:
        return f"components={len(self.weights)}, dim={self.means.shape[1]}, schedule={self.schedule}"
