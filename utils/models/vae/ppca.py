"""Probabilistic PCA in closed form, and the linear variational autoencoder that must reach it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from utils.models.vae.vae import VAE
from utils.validation import numbers, whole


def ppca_log_prob(x: Tensor, mean: Tensor, weights: Tensor, variance: Tensor | float) -> Tensor:
    """log N(x; μ, W Wᵀ + σ² I) `(B,)` in nats: the density of x = W z + μ + σ ε with z, ε ~ N(0, I).

    Args:
        x: `(B, D)`.
        mean: μ `(D,)`.
        weights: W `(D, L)`.
        variance: σ², above 0.

    Source: Tipping and Bishop, Probabilistic principal component analysis, 1999.
    """
    x = numbers("x", x)
    if weights.ndim != 2 or x.ndim != 2 or not x.shape[1] == len(weights) == len(mean):
        shapes = ", ".join(str(tuple(value.shape)) for value in (x, mean, weights))
        raise ValueError(f"x, mean and weights have shapes {shapes}: expected (B, D), (D,) and (D, L)")
    variance = torch.as_tensor(variance, dtype=x.dtype)
    if not variance > 0:
        raise ValueError(f"variance is {variance.item()}: expected a number above 0")
    covariance = weights @ weights.T + variance * torch.eye(len(mean), dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)  # (D, B)
    log_det = 2 * factor.diagonal().log().sum()
    return -0.5 * (white.square().sum(0) + log_det + len(mean) * math.log(2 * math.pi))


def fit_ppca(x: Tensor, latent: int) -> tuple[Tensor, Tensor, Tensor]:
    """The maximum of the likelihood of `x` `(B, D)`: μ `(D,)`, W `(D, latent)` and σ², for `ppca_log_prob`.

    σ² is the mean of the D − L smallest eigenvalues of the covariance of the data; W = U (Λ − σ² I)^½ of the L largest.

    Source: Tipping and Bishop, Probabilistic principal component analysis, 1999, equations 7 and 8.
    """
    x, latent = numbers("x", x).detach(), whole("latent", latent, 0)
    if x.ndim != 2 or not 0 < latent < x.shape[-1] or len(x) < 2:
        raise ValueError(f"x has shape {tuple(x.shape)} and latent is {latent}: expected (B, D), B > 1, 0 < latent < D")
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))  # smallest first
    variance = values[:-latent].mean()
    if not variance > 0:
        raise ValueError(f"x lies in {latent} dimensions, so no noise is left: use a smaller latent")
    return mean, vectors[:, -latent:].flip(1) * (values[-latent:].flip(0) - variance).clamp(min=0).sqrt(), variance


def linear_vae(dim: int, latent: int) -> VAE:
    """A Gaussian VAE of which the parts are linear: μ(x) = A x + a, log σ² the same for all x, E[x | z] = W z + b.

    Its q can be the true posterior, so its best bound is the log-likelihood of `fit_ppca`.

    Source: Lucas, Tucker, Grosse, Norouzi, Don't blame the ELBO!, 2019, arXiv 1911.02469.
    """
    return VAE(_LinearEncoder(dim, latent), nn.Linear(latent, dim), latent, likelihood="gaussian")


class _LinearEncoder(nn.Module):
    def __init__(self, dim: int, latent: int):
        super().__init__()
        self.mean = nn.Linear(dim, latent)
        self.log_variance = nn.Parameter(torch.zeros(latent))

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(x)
        return torch.cat([mean, self.log_variance.expand_as(mean)], dim=1)
