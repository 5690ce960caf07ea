"""Checks of chapter 4: missing coordinates from the others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor


@exercise("gmm.conditional", call="conditional(mean, covariance, observed, values)")
def conditional(answer: Callable, generator: Generator) -> None:
    dim = 5
    order = torch.randperm(dim, generator=generator)
    for seen in (order[:3], order[:1], order[:4]):
        mean, covariance = draw.normal(generator, dim), draw.covariances(generator, dim=dim)
        values = draw.normal(generator, len(seen))
        hidden = torch.tensor([i for i in range(dim) if i not in seen.tolist()])
        # By the precision matrix: another way than the one the exercise derives.
        precision = covariance.inverse()
        own, across = precision[hidden][:, hidden], precision[hidden][:, seen]
        true_covariance = own.inverse()
        true_mean = mean[hidden] - true_covariance @ across @ (values - mean[seen])
        gain = -true_covariance @ across
        marginal, cross = covariance[hidden][:, hidden], covariance[hidden][:, seen]
        names = ("the conditional mean", "the conditional covariance")
        value, spread = parts(answer(mean, covariance, seen, values), names)
        rest = len(hidden)
        value = tensor(
            value,
            (rest,),
            name=names[0],
            shapes=[Mistake((dim,), "all coordinates", "Only the hidden ones are asked for.")],
        )
        spread = tensor(
            spread,
            (rest, rest),
            name=names[1],
            shapes=[Mistake((dim, dim), "all coordinates", "Only the hidden ones are asked for.")],
        )
        close(
            value,
            true_mean,
            [
                Mistake(
                    mean[hidden], "The conditional mean ignores the observed values.", "Add Σ_ho Σ_oo⁻¹ (x_o − μ_o)."
                ),
                Mistake(
                    mean[hidden] + gain @ values,
                    "You forgot to subtract the mean of the observed coordinates.",
                    "What moves the mean is the deviation, x_o − μ_o.",
                ),
                Mistake(
                    mean[hidden] - gain @ (values - mean[seen]),
                    "The correction of the mean has the wrong sign.",
                    "With positive covariance, a value above its mean pulls the others up.",
                ),
                Mistake(gain @ (values - mean[seen]), "You forgot μ_h, the mean of the hidden coordinates.", "Add it."),
                Mistake(
                    mean[hidden] + cross @ (values - mean[seen]),
                    "The inverse of Σ_oo is missing in the mean.",
                    "Solve with Σ_oo before you multiply with Σ_ho.",
                ),
                Mistake(
                    mean[hidden] + cross @ covariance[seen][:, seen] @ (values - mean[seen]),
                    "You multiply with Σ_oo where its inverse belongs.",
                    "Use `torch.linalg.solve`.",
                ),
            ],
            name=names[0],
        )
        correction = gain @ cross.mT
        close(
            spread,
            true_covariance,
            [
                Mistake(
                    marginal,
                    "The conditional covariance is the marginal one.",
                    "Observing reduces it: subtract Σ_ho Σ_oo⁻¹ Σ_oh.",
                ),
                Mistake(
                    marginal + correction,
                    "You add where you should subtract: knowing more cannot widen.",
                    "Σ_hh − Σ_ho Σ_oo⁻¹ Σ_oh.",
                ),
                Mistake(own, "This is the precision: the inverse of the conditional covariance.", "Invert it."),
                Mistake(
                    marginal - cross @ cross.mT,
                    "The inverse of Σ_oo is missing in the covariance.",
                    "Σ_hh − Σ_ho Σ_oo⁻¹ Σ_oh.",
                ),
                Mistake(
                    marginal - cross @ covariance[seen][:, seen] @ cross.mT,
                    "You multiply with Σ_oo where its inverse belongs.",
                    "Use `torch.linalg.solve`.",
                ),
                Mistake(correction, "This is only what observing takes away.", "Subtract it from Σ_hh."),
            ],
            name=names[1],
        )


@exercise("gmm.complete", call="complete(weights, means, covariances, observed, values)")
def complete(answer: Callable, generator: Generator) -> None:
    k, dim, n = 3, 5, 6
    weights, means = draw.weights(generator, k), 1.5 * draw.normal(generator, k, dim)
    covariances = draw.covariances(generator, k, dim=dim)
    order = torch.randperm(dim, generator=generator)
    seen = order[:3]
    hidden = torch.tensor(sorted(order[3:].tolist()))
    values = 1.5 * draw.normal(generator, n, 3)
    densities = [
        MultivariateNormal(m[seen], c[seen][:, seen]).log_prob(values) for m, c in zip(means, covariances, strict=True)
    ]
    log_prob = torch.stack(densities, dim=-1)
    posterior = (weights.log() + log_prob).softmax(-1)
    gains = [torch.linalg.solve(c[seen][:, seen], c[seen][:, hidden]) for c in covariances]
    each = torch.stack(
        [m[hidden] + (values - m[seen]) @ g for m, g in zip(means, gains, strict=True)], dim=1
    )  # (n, k, hidden)

    def filled(share: Tensor, guesses: Tensor = each, kept: Tensor = values) -> Tensor:
        x = torch.empty(n, dim, dtype=torch.float64)
        x[:, seen] = kept
        x[:, hidden] = (share[..., None] * guesses).sum(1)
        return x

    hard = torch.nn.functional.one_hot(posterior.argmax(-1), k).double()
    shrunk = torch.stack([values @ g for g in gains], dim=1) + means[:, hidden]
    smoothed = filled(posterior, kept=posterior @ means[:, seen])
    missing = [Mistake((n, dim - 3), "only the hidden coordinates", "Put the observed values back in their places.")]
    close(
        tensor(answer(weights, means, covariances, seen, values), (n, dim), shapes=missing),
        filled(posterior),
        [
            Mistake(filled(weights.expand(n, k)), "You average with the prior weights.", "Use p(z | what is seen)."),
            Mistake(
                filled(log_prob.softmax(-1)),
                "You forgot the mixture weights in p(z | x_o).",
                "Bayes: weight × density.",
            ),
            Mistake(
                filled((weights + log_prob).softmax(-1)),
                "You add the weights themselves to log densities in p(z | x_o).",
                "Add their logarithms.",
            ),
            Mistake(filled(hard), "You use the likeliest component only.", "The mean averages over all components."),
            Mistake(
                filled(posterior, means[:, hidden].expand(n, k, -1)),
                "You fill in the components' means, not their conditional means.",
                "Within a component, the observed values move the hidden ones: use `conditional`.",
            ),
            Mistake(
                filled(posterior, shrunk),
                "You forgot to subtract the mean of the observed coordinates.",
                "What moves the mean is x_o − μ_o.",
            ),
            Mistake(smoothed, "You overwrite the observed values.", "What was seen stays as it is."),
        ],
        name="your completion",
    )
    # Points far away: first each alone, then all at once.
    away = torch.tensor([[1.0], [-40.0], [25.0], [0.3], [60.0], [-2.0]], dtype=torch.float64)
    values = away * (1 + draw.normal(generator, n, 3).abs())
    log_prob = torch.stack(
        [
            MultivariateNormal(m[seen], c[seen][:, seen]).log_prob(values)
            for m, c in zip(means, covariances, strict=True)
        ],
        dim=-1,
    )
    each = torch.stack([m[hidden] + (values - m[seen]) @ g for m, g in zip(means, gains, strict=True)], dim=1)
    truth = filled((weights.log() + log_prob).softmax(-1), each, values)
    one_by_one = (
        "Far from all components your completion is 0/0: every density underflows.",
        "Stay in logarithms, and normalize with `softmax`.",
    )
    name = "your completion of a point far from all components"
    for b in (1, 4):
        alone = tensor(answer(weights, means, covariances, seen, values[b : b + 1]), (1, dim), not_finite=one_by_one)
        close(alone, truth[b : b + 1], name=name, hint=one_by_one[1])
    at_once = (
        "You subtract one maximum from all rows, so that the rows far below it are 0/0.",
        "Every row has its own: `softmax(-1)`, or `logsumexp` over the components.",
    )
    value = tensor(answer(weights, means, covariances, seen, values), (n, dim), not_finite=at_once)
    close(value, truth, name="your completion of points near and far", hint=at_once[1])
