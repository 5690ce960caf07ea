"""Noised mixtures of round Gaussians, whose truth is known, and levels of noise, for the checks of chapter 15."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.expect import Mistake


class Mixture(NamedTuple):
    """Σ_k w_k N(μ_k, s_k² I): weights (K,), means (K, D), scales (K,)."""

    weights: Tensor
    means: Tensor
    scales: Tensor

    def log_joint(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """log w_k N(x; α μ_k, (α² s_k² + σ²) I): (B, D) -> (B, K)."""
        variance = alpha**2 * self.scales.square() + sigma**2
        square = (x[:, None] - alpha * self.means).square().sum(-1)
        return self.weights.log() - x.shape[1] / 2 * (2 * math.pi * variance).log() - square / (2 * variance)

    def denoised(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """E[x_0 | α x_0 + σ ε = x]: in each component the two Gaussians weighed, (B, D) -> (B, D)."""
        variance = alpha**2 * self.scales.square() + sigma**2
        gain = (alpha * self.scales.square() / variance)[:, None]
        of_each = self.means + gain * (x[:, None] - alpha * self.means)  # (B, K, D)
        return (self.log_joint(x, alpha, sigma).softmax(1)[..., None] * of_each).sum(1)

    def posterior_covariance(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Cov[x_0 | α x_0 + σ ε = x], within the components and between them: (D,) -> (D, D)."""
        variance = alpha**2 * self.scales.square() + sigma**2
        gain = (alpha * self.scales.square() / variance)[:, None]
        of_each = self.means + gain * (x - alpha * self.means)  # (K, D)
        weight = self.log_joint(x[None], alpha, sigma)[0].softmax(0)
        within = (weight * self.scales.square() * sigma**2 / variance).sum() * torch.eye(len(x), dtype=x.dtype)
        return within + torch.cov(of_each.T, correction=0, aweights=weight)


CLIPS = (1.0, 1.5, 2.0, 3.0, 5.0)  # to which code that was made for images clips


def clipped(outcome: Callable[[float], Tensor], what: str) -> list[Mistake]:
    """What comes out if `what` is clipped to ±c: `outcome` of c."""
    return [
        Mistake(outcome(c), f"{what} is clipped to ±{c:g}; nothing here is bound to lie there.", "Do not clip.")
        for c in CLIPS
    ]


def cosine_level(t: float) -> tuple[float, float]:
    """α and σ of the cosine path, from data at t = 0 to noise at t = 1."""
    return math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)


def levels(generator: Generator, n: int, low: float = 0.1, high: float = 0.9) -> tuple[Tensor, Tensor]:
    """n pairs (α, σ) on the unit circle, in order of growing noise, none at 45 degrees."""
    t = low + (high - low) * (torch.arange(n) + 0.2 + 0.6 * draw.uniform(generator, n)) / n
    angle = math.pi / 2 * torch.where((t - 0.5).abs() < 0.02, t + 0.05, t)
    return angle.cos(), angle.sin()
