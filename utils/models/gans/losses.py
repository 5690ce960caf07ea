"""What adversaries minimize, and what keeps them steady: losses, gradient penalties, spectral norm, batch statistics.

A discriminator answers with a number for each example, its log-odds that the example is real; σ of it is D(x).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import normalize, relu, softplus
from torch.nn.utils import parametrize

LOSSES = ("minimax", "non-saturating", "wasserstein", "hinge", "relativistic")


def discriminator_loss(real: Tensor, fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """What the discriminator minimizes, of the same shape as its answers `real` and `fake`.

    - minimax, non-saturating: −log D(x) − log(1 − D(G(z)))
    - wasserstein: f(G(z)) − f(x)
    - hinge: max(0, 1 − f(x)) + max(0, 1 + f(G(z)))
    - relativistic: −log σ(f(x) − f(G(z))), of pairs of a real and a generated example

    Source: Goodfellow et al., 2014, arXiv 1406.2661; Arjovsky et al., 2017, arXiv 1701.07875; Miyato et al., 2018,
    arXiv 1802.05957; Jolicoeur-Martineau, The relativistic discriminator, 2018, arXiv 1807.00734.
    """
    check_kind(kind)
    if kind == "wasserstein":
        return fake - real
    if kind == "hinge":
        return relu(1 - real) + relu(1 + fake)
    if kind == "relativistic":
        return softplus(fake - real)
    return softplus(-real) + softplus(fake)


def generator_loss(fake: Tensor, kind: str = "non-saturating", real: Tensor | None = None) -> Tensor:
    """What the generator minimizes, of the same shape as the answers `fake` to its samples. Sources as above.

    - minimax: log(1 − D(G(z)))
    - non-saturating: −log D(G(z))
    - wasserstein, hinge: −f(G(z))
    - relativistic: −log σ(f(G(z)) − f(x)); it alone needs the answers to `real` examples
    """
    check_kind(kind)
    if kind == "minimax":
        return -softplus(fake)
    if kind == "relativistic":
        if real is None:
            raise ValueError("the relativistic loss compares pairs: give the answers to real examples, too, as real=")
        return softplus(real - fake)
    return softplus(-fake) if kind == "non-saturating" else -fake


def r1_penalty(answers: Tensor, real: Tensor) -> Tensor:
    """‖∇f(x)‖² of each answer, for `answers` = f(`real`), where `real` requires a gradient.

    Source: Mescheder, Geiger, Nowozin, Which training methods for GANs do actually converge?, 2018, arXiv 1801.04406.
    """
    return _squared_slopes(answers, real)


def gradient_penalty(discriminator, real: Tensor, fake: Tensor, generator: Generator | None = None) -> Tensor:
    """(‖∇f(x̂)‖ − 1)² at points x̂ drawn uniformly between real and generated ones, of each answer.

    Source: Gulrajani et al., Improved training of Wasserstein GANs, 2017, arXiv 1704.00028.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator, dtype=real.dtype, device=real.device)
    between = torch.lerp(fake, real, share).requires_grad_()
    # The tiny number keeps the square root from an infinite slope at 0.
    return ((_squared_slopes(discriminator(between), between) + 1e-12).sqrt() - 1).square()


def _squared_slopes(answers: Tensor, x: Tensor) -> Tensor:
    """‖∇f(x)‖² of each answer, the gradient taken with respect to the x that it answers to."""
    [gradient] = torch.autograd.grad(answers.sum(), x, create_graph=True)
    return gradient.flatten(answers.ndim).square().sum(-1)


class MinibatchStd(nn.Module):
    """Appends one feature: how much the batch varies, the mean over all features of their standard deviations.

    A generator that makes everything alike is betrayed by it. `(B, ..., F)` → `(B, ..., F + 1)`, for images
    `(B, C, H, W)` → `(B, C + 1, H, W)`.

    Source: Karras et al., Progressive growing of GANs, 2017, arXiv 1710.10196, section 3.
    """

    def forward(self, x: Tensor) -> Tensor:
        spread = (x.var(0, correction=0) + 1e-8).sqrt()
        if x.ndim == 4:
            return torch.cat([x, spread.mean().expand(len(x), 1, *x.shape[2:])], dim=1)
        return torch.cat([x, spread.mean(-1, keepdim=True).expand(*x.shape[:-1], 1)], dim=-1)


class _Spectral(nn.Module):
    """W / σ₁(W), the largest singular value followed by power iteration, one step at each pass in training."""

    def __init__(self, weight: Tensor):
        super().__init__()
        matrix = _matrix(weight)
        self.register_buffer("right", normalize(torch.ones_like(matrix[..., 0, :]), dim=-1))
        with torch.no_grad():
            for _ in range(20):
                self._iterate(matrix)

    def _iterate(self, matrix: Tensor) -> Tensor:
        left = normalize((matrix @ self.right[..., None]).squeeze(-1), dim=-1)
        self.right = normalize((left[..., None, :] @ matrix).squeeze(-2), dim=-1)
        return left

    def forward(self, weight: Tensor) -> Tensor:
        matrix = _matrix(weight)
        with torch.no_grad():
            if self.training:
                self._iterate(matrix)
        largest = (matrix @ self.right[..., None]).squeeze(-1).norm(dim=-1)
        return weight / largest.view(*largest.shape, *[1] * (weight.ndim - largest.ndim))


def spectral_norm(network: nn.Module) -> nn.Module:
    """Divide each layer's weight by its largest singular value, so that no layer stretches by more than 1.

    Convolutions count as matrices (outputs, inputs · pixels). Layers of an ensemble have one value a member.

    Source: Miyato et al., Spectral normalization for generative adversarial networks, 2018, arXiv 1802.05957.
    """
    for layer in list(network.modules()):
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim > 1:
            parametrize.register_parametrization(layer, "weight", _Spectral(weight.detach()))
    return network


def _matrix(weight: Tensor) -> Tensor:
    return weight.flatten(1) if weight.ndim == 4 else weight


def check_kind(kind: str) -> None:
    """Refuse a loss that there is not."""
    if kind not in LOSSES:
        raise ValueError(f"the loss is {kind!r}: expected one of {', '.join(LOSSES)}")
