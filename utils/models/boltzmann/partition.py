"""How large is Z? Sums over all states of a small Boltzmann machine; annealed importance sampling for a large one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from utils.validation import whole

__all__ = ["LogPartition", "anneal", "estimate", "exact", "expectations"]

ENUMERABLE = 25  # units of the smaller layer: 2^25 states take minutes
BLOCK = 2**22  # numbers held at once while states are enumerated


class LogPartition(NamedTuple):
    """log Z in nats, and an interval around it; exact when `low == value == high`."""

    value: float
    low: float
    high: float


def exact(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> LogPartition:
    """log Z = log Σ_s exp(bias·s) Π_i (1 + exp(field_i(s))) over the states s of the smaller layer, in float64.

    Args:
        weights, visible_bias, hidden_bias: W `(D, H)`, b `(D,)` and c `(H,)`.

    Raises:
        ValueError: when the smaller layer has more than 25 units.
    """
    blocks = [score.logsumexp(0) for _, score, _ in _states(weights, visible_bias, hidden_bias)]
    value = torch.stack(blocks).logsumexp(0).item()
    return LogPartition(value, value, value)


def expectations(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """⟨v hᵀ⟩ `(D, H)`, ⟨v⟩ `(D,)` and ⟨h⟩ `(H,)` of the model, in float64; arguments and errors as in `exact`."""
    log_z = exact(weights, visible_bias, hidden_bias).value
    own = other = both = 0.0
    for states, score, means in _states(weights, visible_bias, hidden_bias):
        p = (score - log_z).exp()
        own, other, both = own + p @ states, other + p @ means, both + (p[:, None] * states).T @ means
    return (both, own, other) if len(visible_bias) < len(hidden_bias) else (both.T, other, own)


def _states(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The states s of the smaller layer, a block at a time: s, log Σ exp(−E) over the other layer, its mean given s."""
    weights, own, other = weights.double(), visible_bias.double(), hidden_bias.double()
    if len(own) >= len(other):
        weights, own, other = weights.T, other, own
    units, width = weights.shape
    if units > ENUMERABLE:
        raise ValueError(
            f"the smaller layer has {units} units, so 2^{units} states: sums are exact up to {ENUMERABLE} units; "
            "use log_partition('ais'), and give what it returns to log_prob"
        )
    for numbers in torch.arange(2**units).split(max(1, BLOCK // width)):
        states = (numbers[:, None] >> torch.arange(units) & 1).double()
        field = torch.addmm(other, states, weights)
        yield states, states @ own + softplus(field).sum(1), field.sigmoid_()


def anneal(
    weights: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    base_bias: Tensor,
    *,
    chains: int,
    betas: int | Tensor,
    start: Tensor | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Lead chains from independent pixels to a restricted Boltzmann machine, in small steps.

    At inverse temperature β the machine has weights β W and biases β c and (1 − β) a + β b, where a is `base_bias`. At
    β = 0 no unit knows of another: samples and Z are at hand. Each step multiplies the importance weight of a chain by
    p*(v) at the new β over p*(v) at the last one, p*(v) = Σ_h exp(−E(v, h)), and then moves v by a Gibbs step.

    Args:
        weights, visible_bias, hidden_bias: W `(D, H)`, b `(D,)` and c `(H,)`.
        base_bias: a `(D,)`, best the log-odds of the data.
        chains: N, independent of each other.
        betas: inverse temperatures from 0 to 1, or how many of them, evenly spaced.
        start: samples `(N, D)` of the machine; then the way is gone backwards, from the machine to independent pixels.
        generator: source of randomness.

    Returns:
        The last v of each chain `(N, D)`, and the logarithms of the weights `(N,)` in float64.

    Raises:
        ValueError: when the betas do not rise from 0 to 1, or there is no chain.

    Source: Neal, Annealed importance sampling, 2001; Salakhutdinov & Murray, On the quantitative analysis of deep
    belief networks, 2008, section 4.1.
    """
    if not isinstance(betas, Tensor):
        betas = torch.linspace(0, 1, whole("betas", betas, 2), dtype=torch.float64)
    if betas.ndim != 1 or len(betas) < 2 or betas[0] != 0 or betas[-1] != 1 or not (betas.diff() >= 0).all():
        raise ValueError("betas must rise from 0 to 1, both included, such as torch.linspace(0, 1, 1000)")
    chains = whole("chains", chains)
    v, probs = weights.new_empty(2, chains, len(weights))
    h = v.new_empty(chains, weights.shape[1])
    difference, log_weights = visible_bias - base_bias, v.new_zeros(chains, dtype=torch.float64)
    if start is None:
        v.uniform_(generator=generator).lt_(base_bias.sigmoid())
    else:
        v.copy_(start)
        betas = betas.flip(0)
    for beta, last in zip(betas[1:].tolist(), betas[:-1].tolist(), strict=True):
        field = torch.addmm(hidden_bias, v, weights)  # (N, H)
        log_weights += (beta - last) * (v @ difference)
        log_weights += (softplus(beta * field) - softplus(last * field)).sum(1)
        h.uniform_(generator=generator).lt_(field.mul_(beta).sigmoid_())
        torch.addmm(base_bias + beta * difference, h, weights.T, alpha=beta, out=probs).sigmoid_()
        v.uniform_(generator=generator).lt_(probs)
    return v, log_weights


def estimate(log_weights: Tensor, log_base: float, back: Tensor | None = None) -> LogPartition:
    """log Z = log Z of the base + log of the mean weight, with an interval of three standard errors of that mean.

    The interval says how much the chains disagree. Of a mode that no chain has found it knows nothing, so the estimate
    is rather too low than too high. The weights `back` of chains that went backwards err the other way, as these
    came from where the mass is: log Z = log Z of the base − log of their mean. The interval then reaches to that end.
    """
    value, error = _log_mean(log_weights)
    low, high = log_base + value - 3 * error, log_base + value + 3 * error
    if back is not None:
        other, error = _log_mean(back)
        high = max(high, log_base - other + 3 * error)
    return LogPartition(log_base + value, low, high)


def _log_mean(log_weights: Tensor) -> tuple[float, float]:
    """The logarithm of the mean weight, and its standard error."""
    n = len(log_weights)
    error = (n * log_weights.softmax(0)).std().item() / math.sqrt(n) if n > 1 else math.inf
    return log_weights.logsumexp(0).item() - math.log(n), error
