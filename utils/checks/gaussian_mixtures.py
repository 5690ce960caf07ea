"""Checks of chapter 4, Gaussian mixtures."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from utils.checks import draw, expect, integral
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, parts, tensor
from utils.toys import spirals

# Nats per held-out point of `spirals` with 800 training points, over five seeds: one Gaussian reaches −2.82 to −2.79,
# K = 10 −2.57 to −2.40, K = 100 −2.62 to −2.38; K = 20 to 40 reach −1.90 to −1.74, the truth −1.59 to −1.56.
HELD_OUT_GOAL = -2.0


@exercise("gmm.log_sum_exp", call="log_sum_exp(a)")
def log_sum_exp(answer: Callable, generator: Generator) -> None:
    a = draw.normal(generator, 4, 3)
    truth = a.exp().sum(-1).log()
    over_rows = [Mistake((3,), "you sum over the first axis", "The sum runs over the last axis: `dim=-1`.")]
    value = tensor(answer(a), (4,), shapes=over_rows)
    top = a.amax(-1)
    close(
        value,
        truth,
        [
            Mistake(
                truth - top, "You subtract the maximum but do not add it again.", "log Σ exp(a) = m + log Σ exp(a−m)."
            ),
            Mistake(
                truth + top, "You add the maximum without subtracting it inside the exponential.", "Use exp(a − m)."
            ),
            Mistake(truth.exp(), "The logarithm is missing: this is Σ exp(a).", "Take the log of the sum."),
            Mistake(truth - math.log(3), "This is the mean of the exponentials, not their sum.", "Use `sum`."),
            Mistake(a.sum(-1), "You take the logarithm before the sum: this is Σ log exp(a).", "First sum, then log."),
            Mistake(top, "This is only the maximum.", "Add log Σ exp(a − m)."),
        ],
    )
    subtract = "Subtract each row's maximum before the exponential and add it to the result."
    for shift, what in [(1000.0, "overflows for large"), (-1000.0, "underflows for very negative")]:
        says = f"Your function {what} inputs: subtract the maximum first."
        shifted = tensor(answer(a + shift), (4,), not_finite=(says, subtract))
        close(shifted, truth + shift, hint=subtract)
    rows = torch.tensor([[1000.0], [0.0], [-1000.0], [5.0]], dtype=torch.float64)
    says = "You subtract one maximum from all rows, so that the small rows underflow."
    hint = "Every row has its own maximum: `a.max(dim=-1, keepdim=True).values`."
    close(tensor(answer(a + rows), (4,), not_finite=(says, hint)), truth + rows[:, 0], hint=hint)
    batch = draw.normal(generator, 2, 4, 3)
    close(tensor(answer(batch), (2, 4)), batch.exp().sum(-1).log(), hint="Use the last axis, whatever comes before it.")


@exercise("gmm.gaussian_log_prob", call="gaussian_log_prob(x, mean, covariance)")
def gaussian_log_prob(answer: Callable, generator: Generator) -> None:
    x, mean, covariance = draw.normal(generator, 5, 3), draw.normal(generator, 3), draw.covariances(generator, dim=3)
    truth = MultivariateNormal(mean, covariance).log_prob(x)
    centered = x - mean
    quadratic = (centered @ covariance.inverse() * centered).sum(-1)
    log_det, constant = covariance.logdet(), 3 * math.log(2 * math.pi)
    factor = torch.linalg.cholesky(covariance)

    def formula(q=quadratic, d=log_det, c=constant):
        return -0.5 * (q + d + c)

    cholesky_squared = torch.linalg.solve(covariance, centered.mT).square().sum(0)
    transposed = torch.linalg.solve(factor.mT, centered.mT).square().sum(0)
    value = tensor(answer(x, mean, covariance), (5,))
    close(
        value,
        truth,
        [
            Mistake(truth.exp(), "You return the density, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x).", "`log_prob` is higher where x is more likely."),
            Mistake(formula(d=0), "You forgot the log-determinant.", "Add −½ log det Σ = −Σ log diag L."),
            Mistake(
                formula(d=-log_det), "The log-determinant has the wrong sign.", "A wide Gaussian is low: −½ log det Σ."
            ),
            Mistake(
                formula(d=log_det / 2), "log det Σ is twice Σ log diag L: a factor 2 is missing.", "det Σ = (det L)²."
            ),
            Mistake(formula(d=2 * log_det), "The log-determinant lacks its ½.", "−½ log det Σ = −Σ log diag L."),
            Mistake(formula(d=log_det.exp()), "You use the determinant, not its logarithm.", "Add −½ log det Σ."),
            Mistake(formula(q=2 * quadratic), "The quadratic form lacks its ½.", "It is −½ (x−μ)ᵀ Σ⁻¹ (x−μ)."),
            Mistake(formula(q=-quadratic), "The quadratic form has the wrong sign.", "Far from the mean is unlikely."),
            Mistake(
                formula(c=0),
                "The constant is missing: −D/2 · log 2π.",
                "Without it the density does not integrate to 1.",
            ),
            Mistake(
                formula(c=constant / 3),
                "The constant lacks the dimension: −D/2 · log 2π, not −½ log 2π.",
                "D = 3 here.",
            ),
            Mistake(formula(c=2 * constant), "The constant lacks its ½: it is −D/2 · log 2π.", ""),
            Mistake(formula(c=-constant), "The constant has the wrong sign.", "It is −D/2 · log 2π."),
            Mistake(
                formula(q=(centered @ covariance * centered).sum(-1)),
                "You multiply with the covariance where its inverse belongs.",
                "Solve L y = x − μ; then the quadratic form is |y|².",
            ),
            Mistake(
                formula(q=cholesky_squared),
                "You use the covariance where its Cholesky factor belongs (a variance for a standard deviation).",
                "Solve with L, not with Σ; |Σ⁻¹(x−μ)|² is not the quadratic form.",
            ),
            Mistake(
                formula(q=transposed),
                "You solve with Lᵀ where L belongs.",
                "Σ = L Lᵀ, so (x−μ)ᵀ Σ⁻¹ (x−μ) = |L⁻¹(x−μ)|²: solve with `upper=False`.",
            ),
            Mistake(
                formula(q=((x + mean) @ covariance.inverse() * (x + mean)).sum(-1)),
                "You add the mean to x: it is subtracted.",
                "Centre with x − μ.",
            ),
        ],
    )
    dim = 200
    says = "The determinant of a large covariance underflows to 0."
    hint = "Use Σ log diag L: logarithms first, then the sum."
    small, origin = 1e-3 * torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    large = tensor(answer(origin[None], origin, small), (1,), not_finite=(says, hint))
    close(large, MultivariateNormal(origin, small).log_prob(origin[None]), hint=hint)


@exercise("gmm.e_step", call="e_step(log_weights, log_prob)")
def e_step(answer: Callable, generator: Generator) -> None:
    weights, log_prob = draw.weights(generator, 3), 2 * draw.normal(generator, 5, 3)
    log_weights, joint = weights.log(), weights * log_prob.exp()
    truth = joint / joint.sum(-1, keepdim=True)
    value = tensor(answer(log_weights, log_prob), (5, 3))
    close(
        value,
        truth,
        [
            Mistake(
                joint / joint.sum(0),
                "Your responsibilities sum to one over data points, not over components.",
                "Each point is shared out among the K components: normalize over the last axis.",
            ),
            Mistake(
                log_prob.softmax(-1),
                "You forgot the mixture weights.",
                "A frequent component claims more: add log_weights to log_prob first.",
            ),
            Mistake(
                (weights + log_prob).softmax(-1),
                "You add the weights themselves to log densities.",
                "A product of weight and density is a sum of two logarithms.",
            ),
            Mistake(
                (log_weights * log_prob).softmax(-1),
                "You multiply two logarithms.",
                "A product of weight and density is a sum of their logarithms.",
            ),
            Mistake((log_prob - log_weights).softmax(-1), "You divide by the mixture weights.", "Add log_weights."),
            Mistake(truth.log(), "You return the logarithms of the responsibilities.", "Take `exp` at the end."),
            Mistake(joint, "Your responsibilities are not normalized: these are weight × density.", "Divide by p(x)."),
            Mistake(
                joint.log(), "Your responsibilities are not normalized: these are log joints.", "Subtract log p(x)."
            ),
            Mistake(
                torch.nn.functional.one_hot(truth.argmax(-1), 3).double(),
                "You give each point to one component only: hard assignments, as in k-means.",
                "EM keeps the probabilities.",
            ),
        ],
        name="your responsibilities",
        hint="Bayes: weight × density, divided by its sum over the components.",
    )
    says = "Far from all components your responsibilities are 0/0: every density underflows."
    hint = "Normalize in log space: subtract log_sum_exp before you take `exp`."
    far = tensor(answer(log_weights, log_prob - 2000), (5, 3), not_finite=(says, hint))
    close(far, truth, name="your responsibilities of points far from all components", hint=hint)


def _moments(x: Tensor, weights: Tensor, means: Tensor) -> Tensor:
    """Σ_b weights[b, k] (x_b − m_k)(x_b − m_k)ᵀ, for each k."""
    centered = x[:, None] - means
    return torch.einsum("bk,bki,bkj->kij", weights, centered, centered)


@exercise("gmm.m_step", call="m_step(x, responsibilities)")
def m_step(answer: Callable, generator: Generator) -> None:
    n, k, dim = 40, 3, 2
    x, r = 1 + draw.normal(generator, n, dim), draw.weights(generator, n, k)
    count = r.sum(0)
    means = r.T @ x / count[:, None]
    covariances = _moments(x, r, means) / count[:, None, None]
    hard = torch.nn.functional.one_hot(r.argmax(-1), k).double()
    names = ("weights", "means", "covariances")
    values = parts(answer(x, r), names)
    wanted = ((k,), (k, dim), (k, dim, dim))
    mine = [
        tensor(value, shape, name=f"your {name}", shapes=shapes)
        for value, shape, name, shapes in zip(
            values,
            wanted,
            names,
            (
                [Mistake((n,), "you sum over the components", "N_k is a sum over the points: `dim=0`.")],
                [],
                [Mistake((k, dim), "these are variances only", "Keep the full D × D matrix for each component.")],
            ),
            strict=True,
        )
    ]
    hard_hint = "Every point counts for every component, as much as its responsibility says."
    close(
        mine[0],
        count / n,
        [
            Mistake(
                count, "Your weights are N_k, not N_k / N: they do not sum to one.", "Divide by the number of points."
            ),
            Mistake(count / k, "You divide N_k by the number of components.", "Divide by the number of points N."),
            Mistake(torch.full((k,), 1 / k), "Your weights are all 1/K.", "They are the mean responsibilities."),
            Mistake(hard.mean(0), "You count each point for its likeliest component only.", hard_hint),
        ],
        name="your weights",
    )
    close(
        mine[1],
        means,
        [
            Mistake(r.T @ x / n, "Your means are divided by N, not by N_k.", "A mean divides by the weight it summed."),
            Mistake(r.T @ x, "Your means are sums: the division by N_k is missing.", ""),
            Mistake(x.mean(0).expand(k, dim), "You forgot the responsibilities in the means.", "Weigh each x with r."),
            Mistake(hard.T @ x / hard.sum(0)[:, None], "You use hard assignments in the means.", hard_hint),
        ],
        name="your means",
    )
    per_component = count[:, None, None]
    diagonal = torch.diag_embed(covariances.diagonal(dim1=-2, dim2=-1))
    close(
        mine[2],
        covariances,
        [
            Mistake(
                covariances * per_component / n, "Your covariances are divided by N, not by N_k.", "As with the means."
            ),
            Mistake(covariances * per_component, "Your covariances are sums: the division by N_k is missing.", ""),
            Mistake(
                covariances * per_component / (per_component - 1),
                "You divide the covariances by N_k − 1.",
                "The M-step maximizes the likelihood: divide by N_k.",
            ),
            Mistake(
                _moments(x, r, x.mean(0).expand(k, dim)) / per_component,
                "You centre the covariances at the mean of all data.",
                "Each component has its own mean.",
            ),
            Mistake(
                _moments(x, r, torch.zeros_like(means)) / per_component,
                "You did not subtract the mean in the covariances.",
                "It is (x−μ)(x−μ)ᵀ, not x xᵀ.",
            ),
            Mistake(
                _moments(x, r.square(), means) / per_component,
                "The responsibilities enter the covariances squared.",
                "Multiply only one of the two factors (x−μ) with r.",
            ),
            Mistake(
                _moments(x, torch.ones_like(r), means) / n,
                "You forgot the responsibilities in the covariances.",
                "Weigh each (x−μ)(x−μ)ᵀ with r.",
            ),
            Mistake(
                diagonal,
                "Your covariances are diagonal.",
                "The entries off the diagonal are Σ r (x_i−μ_i)(x_j−μ_j) / N_k.",
            ),
            Mistake(
                diagonal.sqrt(),
                "You return the standard deviation where the variance belongs.",
                "Take no square root.",
            ),
        ],
        name="your covariances",
    )


@exercise("gmm.elbo", call="elbo(log_joint, q)")
def elbo(answer: Callable, generator: Generator) -> None:
    log_joint, q = 2 * draw.normal(generator, 6, 4), draw.weights(generator, 6, 4)
    evidence = log_joint.exp().sum(-1).log()
    energy, entropy = (q * log_joint).sum(-1), -(q * q.log()).sum(-1)
    truth = energy + entropy
    value = tensor(
        answer(log_joint, q), (6,), shapes=[Mistake((), "one number for all points", "Sum over z only, not over x.")]
    )
    close(
        value,
        truth,
        [
            Mistake(-truth, "The sign is wrong: this is a loss.", "The bound is higher where it is better."),
            Mistake(energy, "You forgot the entropy of q.", "Subtract Σ q log q."),
            Mistake(energy - entropy, "The entropy of q has the wrong sign.", "ELBO = Σ q (log p(x,z) − log q)."),
            Mistake(
                (log_joint - q.log()).sum(-1),
                "You forgot to weigh with q: the sum is an expectation.",
                "Multiply by q(z).",
            ),
            Mistake((log_joint - q.log()).mean(-1), "You average over z with equal weights.", "Weigh with q(z)."),
            Mistake(evidence - truth, "This is the gap log p(x) − ELBO, which is KL(q‖p(z|x)).", "Return the bound."),
            Mistake(evidence, "This is log p(x): right only if q is the posterior.", "Use the q that is given."),
            Mistake(
                ((log_joint - evidence[:, None]) * q).sum(-1) + entropy,
                "This is −KL(q‖p(z|x)): you used the posterior where the joint belongs.",
                "Use log p(x, z), as given.",
            ),
            Mistake(
                (q * log_joint.exp()).sum(-1).log(),
                "You take the logarithm outside the expectation.",
                "Jensen moved it inside: Σ q log(…), not log Σ q (…).",
            ),
            Mistake(truth / 4, "You average over z instead of summing.", "q sums to one already."),
        ],
        name="your bound",
    )
    posterior = (log_joint - evidence[:, None]).exp()
    close(tensor(answer(log_joint, posterior), (6,)), evidence, hint="With the posterior the bound is tight: log p(x).")
    certain = torch.eye(4, dtype=torch.float64)[:3]
    says = "Where q(z) = 0 your bound is NaN: 0 · log 0."
    hint = "q log q tends to 0 there: `torch.xlogy(q, q)` knows it."
    close(tensor(answer(log_joint[:3], certain), (3,), not_finite=(says, hint)), log_joint[:3].diagonal(), hint=hint)


@exercise("gmm.conditional", call="conditional(mean, covariance, observed, values)")
def conditional(answer: Callable, generator: Generator) -> None:
    dim = 5
    order = torch.randperm(dim, generator=generator)
    for seen in (order[:3], order[:1]):
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


@exercise("gmm.bic", call="bic(log_prob, n_components, n_features)")
def bic(answer: Callable, generator: Generator) -> None:
    n, k, dim = 50, 4, 3
    log_prob = draw.normal(generator, n) - 4
    symmetric = dim * (dim + 1) // 2
    total, cost = log_prob.sum(), math.log(n)

    def formula(weights=k - 1, means=k * dim, covariances=k * symmetric, fit=-2 * total, price=cost):
        return (weights + means + covariances) * price + fit

    truth = formula()
    close(
        expect.number(answer(log_prob, k, dim), "your BIC"),
        truth,
        [
            Mistake(formula(weights=k), "You counted K weights: they sum to one, so K − 1 are free.", ""),
            Mistake(formula(weights=0), "You did not count the weights.", "K − 1 of them are free."),
            Mistake(formula(means=0), "You did not count the means.", "K · D numbers."),
            Mistake(formula(means=k), "You counted one number for each mean.", "A mean has D coordinates."),
            Mistake(
                formula(covariances=k * dim**2),
                "You counted D² numbers for each covariance: it is symmetric.",
                "D (D + 1) / 2 of them are free.",
            ),
            Mistake(
                formula(covariances=k * dim * (dim - 1) // 2),
                "You left out the variances on the diagonal.",
                "D (D + 1) / 2.",
            ),
            Mistake(
                formula(covariances=k * dim),
                "You counted diagonal covariances.",
                "Full ones have D (D + 1) / 2 numbers.",
            ),
            Mistake(
                formula(covariances=symmetric), "You counted one covariance for all components.", "Each has its own."
            ),
            Mistake(
                formula(weights=k, covariances=k * dim**2),
                "You counted K weights and D² numbers a covariance.",
                "K − 1 and D (D + 1) / 2 are free.",
            ),
            Mistake(
                formula(fit=-2 * total / n),
                "You use the log-likelihood per point, not its sum.",
                "Sum over the points.",
            ),
            Mistake(
                formula(fit=2 * total),
                "The log-likelihood has the wrong sign.",
                "A good fit makes the BIC small: −2 Σ log p(x).",
            ),
            Mistake(
                -truth,
                "The sign is wrong: this BIC grows with the fit.",
                "Smaller is better here: p log N − 2 Σ log p(x).",
            ),
            Mistake(
                formula(fit=-total), "The factor 2 of the log-likelihood is missing.", "BIC = p log N − 2 Σ log p(x)."
            ),
            Mistake(truth / 2, "This is half the BIC.", "BIC = p log N − 2 Σ log p(x)."),
            Mistake(formula(price=2), "This is Akaike's criterion: a parameter costs 2.", "In the BIC it costs log N."),
            Mistake(formula(price=math.log(k)), "A parameter costs log N, not log K.", "N is the number of points."),
            Mistake(formula(price=1), "You forgot log N: what each parameter costs.", ""),
            Mistake(formula(price=n), "A parameter costs log N, not N.", ""),
        ],
        name="your BIC",
        hint="Count the free numbers first: weights, means, covariances.",
    )


@exercise("gmm.spot_collapse", call="spot_collapse(x, weights, covariances)")
def spot_collapse(answer: Callable, generator: Generator) -> None:
    def ask(x: Tensor, weights: list[float], covariances: list[Tensor]) -> list[bool]:
        mask = answer(x, torch.tensor(weights, dtype=torch.float64), torch.stack(covariances))
        integers = isinstance(mask, torch.Tensor) and not mask.dtype.is_floating_point and mask.dtype != torch.bool
        if integers and mask.shape != (len(weights),):
            raise Wrong(
                "You return the indices of components, not one truth value for each.", "Return the mask itself."
            )
        return tensor(mask, (len(weights),), torch.bool).tolist()

    def expect_mask(mask: list[bool], truth: list[bool], says: str, hint: str) -> None:
        if mask == [not value for value in truth]:
            raise Wrong("Your answer is upside down: True means collapsed.", "Negate it.")
        if mask != truth:
            raise Wrong(says, hint)

    dim = 3
    eye = torch.eye(dim, dtype=torch.float64)
    x = 3 * draw.normal(generator, 300, dim)
    healthy = draw.covariances(generator, dim=dim)
    point = 1e-9 * eye
    direction = torch.nn.functional.normalize(draw.normal(generator, dim).abs() + 0.3, dim=0)
    # Flat across `direction`, with ordinary variances on the diagonal.
    pancake = eye - (1 - 1e-9) * torch.outer(direction, direction)

    expect_mask(
        ask(x, [0.5, 0.3, 0.2], [healthy, point, 2 * eye]),
        [False, True, False],
        "You miss a component that shrank to one point, the same in all directions.",
        "Compare its smallest eigenvalue with the data's; a ratio of its own eigenvalues does not see it.",
    )
    expect_mask(
        ask(x, [0.5, 0.3, 0.2], [healthy, eye, pancake]),
        [False, False, True],
        "You miss a component that is flat across a slanted direction: its diagonal looks healthy.",
        "Use eigenvalues (`torch.linalg.eigvalsh`), not the variances on the diagonal.",
    )
    expect_mask(
        ask(x, [0.6, 0.395, 0.005], [healthy, eye, eye]),
        [False, False, True],
        "You miss a nearly empty component: it owns N · weight = 1.5 points.",
        f"It takes at least D + 1 = {dim + 1} points to span a covariance.",
    )
    expect_mask(
        ask(x, [0.6, 0.38, 0.02], [healthy, eye, eye]),
        [False, False, False],
        "You call a small but healthy component collapsed: N · weight = 6 points with D = 3.",
        "Too few means fewer than D + 1 points, whatever their share.",
    )
    expect_mask(
        ask(x, [0.996, 0.004], [healthy, point]),
        [False, True],
        "You miss a component that is both empty and singular.",
        "Either is enough: use `|`.",
    )
    for scale in (1e-4, 1e4):
        expect_mask(
            ask(scale * x, [0.5, 0.3, 0.2], [scale**2 * c for c in (healthy, point, eye)]),
            [False, True, False],
            f"Your answer changes when all data are multiplied by {scale:g}: the tolerance is absolute.",
            "Compare with the smallest eigenvalue of the covariance of all data.",
        )
    many = 12
    wide, identity = draw.normal(generator, 400, many), torch.eye(many, dtype=torch.float64)
    expect_mask(
        ask(wide, [0.5, 0.5], [0.05 * identity, 1e-9 * identity]),
        [False, True],
        "You call a healthy component collapsed: a determinant is small in many dimensions.",
        "The determinant is a product of D eigenvalues: look at the smallest one instead.",
    )


@exercise("gmm.held_out", call="fit_density(x_train)", seconds=60)
def held_out(answer: Callable, generator: Generator) -> str:
    x_train, x_test = (spirals(n, generator)[0].double() for n in (800, 2000))
    returned = answer(x_train)
    if not callable(returned):
        kind = type(returned).__name__
        raise Wrong(
            f"Your function returns a `{kind}`, not a function.", "Return `log_prob` itself, to be called on new x."
        )
    log_prob = guard(returned, "log_prob(x)")
    value = tensor(log_prob(x_test), (2000,), name="your log_prob")
    if not torch.allclose(log_prob(x_test[:7]), value[:7], rtol=1e-4, atol=1e-4):
        raise Wrong(
            "The log-density of a point depends on which other points you are asked about.",
            "Use only x_train in `fit_density`; treat each new point by itself.",
        )
    mass = integral.over_square(log_prob, generator)
    if not 0.9 < mass < 1.1:
        raise Wrong(
            f"This is no density: over the plane it integrates to {mass:.3g}, not to 1.",
            "Mixture weights sum to one, and each component carries its full normalizing constant.",
        )
    reached = value.mean().item()
    if reached < HELD_OUT_GOAL:
        seen = log_prob(x_train).mean().item()
        says = f"Your held-out log-likelihood is {reached:.3f} nats a point, the goal is {HELD_OUT_GOAL}"
        if seen - reached > 0.5:
            raise Wrong(f"{says}; on the training points it is {seen:.3f}: you overfit.", "Fewer or wider components.")
        raise Wrong(f"{says}; on the training points it is {seen:.3f}: you underfit.", "More components, more starts.")
    return f"{reached:.2f} nats a held-out point (the goal was {HELD_OUT_GOAL}), and it integrates to {mass:.2f}."
