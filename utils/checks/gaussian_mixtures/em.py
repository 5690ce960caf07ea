"""Checks of chapter 4: the EM algorithm and its bound."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


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
            Mistake(
                (weights * log_prob).softmax(-1),
                "You multiply log densities with the weights.",
                "A product of weight and density is a sum of two logarithms.",
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
    apart = torch.tensor([[0.0], [-900.0], [700.0], [-2500.0], [30.0]], dtype=torch.float64)
    says = "You subtract one maximum from all rows, so that the rows far below it are 0/0."
    hint = "Every point has its own largest log density: `log_sum_exp` over the last axis."
    near_and_far = tensor(answer(log_weights, log_prob + apart), (5, 3), not_finite=(says, hint))
    close(near_and_far, truth, name="your responsibilities of points near and far", hint=hint)
    surely_not = log_prob.clone()
    surely_not[:, 1] -= 80
    least = tensor(answer(log_weights, surely_not), (5, 3))[:, 1].max().item()
    if least > 1e-20:
        raise Wrong(
            f"For a component that is 80 nats less likely your responsibility is {least:.1g}: you keep it away from 0.",
            "Neither `clamp` nor an added constant is needed: exp(−80) is a number, and 0 does no harm.",
        )


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
                "You center the covariances at the mean of all data.",
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
    unit = 1e-5
    small = tensor(parts(answer(unit * x, r), names)[2], (k, dim, dim), name="your covariances")
    close(
        small / unit**2,
        covariances,
        name="your covariances (in the old unit) of data in a unit 10⁵ times as large",
        hint="Nothing is added to the variances here: the M-step is Σ r (x−μ)(x−μ)ᵀ / N_k.",
    )
    far = tensor(parts(answer(x + 1e7, r), names)[2], (k, dim, dim), name="your covariances")
    if not torch.allclose(far, covariances, rtol=1e-4, atol=1e-4):
        raise Wrong(
            "Far from the origin your covariances lose their digits: a small difference of two huge numbers.",
            "Subtract the means first, then multiply; E[x xᵀ] − μμᵀ is right on paper only.",
        )


@exercise("gmm.elbo", call="elbo(log_joint, q)")
def elbo(answer: Callable, generator: Generator) -> None:
    log_joint, q = 2 * draw.normal(generator, 6, 4), 0.02 + 0.92 * draw.weights(generator, 6, 4)
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
    rare = torch.tensor([0.9985, 5e-4, 5e-4, 5e-4], dtype=torch.float64).expand(6, 4)
    parts_of = rare * (log_joint - rare.log())
    left_out = [Mistake(parts_of[:, 0], "You leave out what q gives little.", "Only where q is 0 is q log q 0.")]
    close(tensor(answer(log_joint, rare), (6,)), parts_of.sum(-1), left_out, name="your bound where q is small")
    posterior = (log_joint - evidence[:, None]).exp()
    close(tensor(answer(log_joint, posterior), (6,)), evidence, hint="With the posterior the bound is tight: log p(x).")
    certain = torch.eye(4, dtype=torch.float64)[:3]
    says = "Where q(z) = 0 your bound is NaN: 0 · log 0."
    hint = "q log q tends to 0 there: `torch.xlogy(q, q)` knows it."
    close(tensor(answer(log_joint[:3], certain), (3,), not_finite=(says, hint)), log_joint[:3].diagonal(), hint=hint)
