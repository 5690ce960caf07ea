"""What a diagonal Gaussian q(z | x) = N(μ, diag σ²) needs: its distance from the prior, and a draw with a gradient."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − log σ²) of each latent, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def reparameterise(mean: Tensor, log_variance: Tensor, generator: Generator | None = None) -> Tensor:
    """z = μ + σ ε with ε ~ N(0, 1): random as N(μ, σ²), differentiable in μ and σ."""
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + (0.5 * log_variance).exp() * noise
