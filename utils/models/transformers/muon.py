"""The optimizer of the transformer: Muon for matrices, Adam for everything else."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import Parameter


class Muon(torch.optim.Optimizer):
    """Steps of equal length in all directions of a matrix: the momentum U S Vᵀ is replaced by about U Vᵀ.

    Matrices W (m, n) with gradient G: M ← μ M + (1 − μ) G, then W ← W − η √max(1, m / n) orthogonal(μ M + (1 − μ) G).
    The other parameters, such as embeddings, take steps of Adam with the same rate η.

    Args:
        matrices: weights of hidden layers, each of two dimensions.
        others: all other parameters.
        lr: η.
        momentum: μ.

    Sources: K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; D. Kingma, J. Ba, Adam: a
    method for stochastic optimization, 2015, arXiv 1412.6980.
    """

    def __init__(
        self,
        matrices: Iterable[Parameter],
        others: Iterable[Parameter],
        *,
        lr: float = 2e-2,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
    ):
        groups = [{"params": list(matrices), "matrix": True}, {"params": list(others), "matrix": False}]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "betas": betas})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = self._muon if group["matrix"] else self._adam
                    update(parameter, parameter.grad, self.state[parameter], group)

    def _muon(self, weight: Parameter, gradient: Tensor, state: dict, group: dict) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        step = orthogonal(gradient.lerp(momentum, group["momentum"]))
        scale = max(1, weight.shape[0] / weight.shape[1]) ** 0.5
        weight.sub_(step, alpha=group["lr"] * scale)

    def _adam(self, weight: Parameter, gradient: Tensor, state: dict, group: dict) -> None:
        if not state:
            state |= {"mean": torch.zeros_like(weight), "square": torch.zeros_like(weight), "step": torch.zeros(())}
        (beta1, beta2), state["step"] = group["betas"], state["step"] + 1
        mean = state["mean"].lerp_(gradient, 1 - beta1)
        square = state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        t = state["step"].item()
        scale = (square / (1 - beta2**t)).sqrt_().add_(1e-8)
        weight.addcdiv_(mean, scale, value=-group["lr"] / (1 - beta1**t))


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """About U Vᵀ of the matrix U S Vᵀ: a polynomial, applied again and again, brings all singular values near 1.

    Its coefficients are Jordan's: they lift small values fast, and leave the values between about 0.7 and 1.2.
    """
    x = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        polynomial = torch.addmm(square, square, square, beta=-4.7750, alpha=2.0315)
        x = torch.addmm(x, polynomial, x, beta=3.4445)
    return x.mT if matrix.shape[0] > matrix.shape[1] else x
