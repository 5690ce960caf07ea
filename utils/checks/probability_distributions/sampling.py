"""Checks of chapter 2: samples from uniform and normal numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong


@exercise("dist.categorical_from_uniform", call="categorical_from_uniform(u, probs)")
def categorical_from_uniform(answer: Callable, generator: Generator) -> None:
    def ask(u: Tensor, probs: Tensor) -> Tensor:
        k, name = len(probs), "your categories"
        result = expect.repeatable(answer, u, probs)
        if isinstance(result, Tensor) and result.dtype.is_floating_point and result.shape == u.shape:
            raise Wrong("Your categories are floating-point numbers.", "Count whole numbers: end with `.long()`.")
        each = [Mistake((len(u), k), f"one value for each of the {k} categories", "Return which one: a single index.")]
        return tensor(result, u.shape, torch.int64, name, shapes=each)

    def category(u: Tensor, probs: Tensor) -> Tensor:
        """By walking along the pieces."""
        found = []
        for value in u.tolist():
            end, k = 0.0, 0
            for k, p in enumerate(probs.tolist()):  # noqa: B007 the last k is the answer
                end += p
                if value < end:
                    break
            found.append(k)
        return torch.tensor(found)

    k = 5
    u, probs = draw.uniform(generator, 400), (0.7 * draw.normal(generator, k)).softmax(0)
    truth = category(u, probs)
    ends = probs.cumsum(0)
    close(
        ask(u, probs),
        truth,
        [
            Mistake(truth + 1, "Your categories are counted from 1.", "The first category is 0."),
            Mistake(truth - 1, "Your categories are one too small: the first one comes out as −1.", "u < c₀ gives 0."),
            Mistake((truth - 1).clamp_min(0), "Your categories are one too small.", "u < c₀ gives 0, u < c₁ gives 1."),
            Mistake(
                (u[:, None] >= probs).sum(1),
                "You compare u with the probabilities, not with their cumulative sums.",
                "`probs.cumsum(0)` holds where each category's piece ends.",
            ),
            Mistake(
                (u[:, None] < ends).sum(1),
                "You count the pieces that end after u: count those that end at or before it.",
                "The category is the number of c_k with c_k ≤ u.",
            ),
            Mistake(
                category(1 - u, probs), "You turn the interval around: 1 − u for u.", "Category 0 owns the small u."
            ),
            Mistake((u * k).long(), "You ignore the probabilities: every category is drawn equally often.", "Use c_k."),
            Mistake(
                probs.argmax().expand(400), "You return the likeliest category each time.", "Each piece has its share."
            ),
            Mistake(
                (u[:, None] - ends).abs().argmin(1),
                "You take the nearest boundary, on either side.",
                "Take the first boundary above u.",
            ),
        ],
        name="your categories",
        hint="Add the probabilities up until the sum exceeds u.",
    )
    # Sums that binary fractions hold exactly.
    exact = torch.tensor([0.0, 0.25, 0.5, 0.0, 0.25], dtype=torch.float64)
    on = torch.tensor([0.0, 0.25, 0.75, 0.5, 0.999], dtype=torch.float64)
    close(
        ask(on, exact),
        torch.tensor([1, 2, 4, 2, 4]),
        [
            Mistake(
                [0, 1, 2, 2, 4],
                "On a boundary you take the category that ends there: u = 0 then draws a category of probability 0.",
                "The condition is u < c_k, not u ≤ c_k: `torch.searchsorted` needs `right=True`.",
            )
        ],
        name="your categories on boundaries",
        hint="The condition is u < c_k.",
    )
    rounded = torch.full((3,), 0.333333, dtype=torch.float64)
    close(
        ask(torch.tensor([0.5, 0.9999995], dtype=torch.float64), rounded),
        torch.tensor([1, 2]),
        [
            Mistake(
                [1, 3],
                "You return category K, which does not exist, for a u beyond the rounded sum of the probabilities.",
                "Such a u belongs to the last category: `clamp(max=K − 1)`.",
            ),
            Mistake(
                [1, 0],
                "A u beyond the rounded sum of the probabilities lands in category 0.",
                "`argmax` of nothing but False is 0; such a u belongs to the last category.",
            ),
        ],
        name="your categories where the probabilities sum to 0.999999",
    )


@exercise("dist.box_muller", call="box_muller(u)")
def box_muller(answer: Callable, generator: Generator) -> None:
    u = 0.01 + 0.98 * draw.uniform(generator, 30, 2)
    first, second = u.unbind(1)

    def point(radius: Tensor, angle: Tensor) -> Tensor:
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    exponent, turn = -2 * (1 - first).log(), 2 * math.pi * second
    radius = exponent.sqrt()
    truth = point(radius, turn)
    says = "Your numbers are NaN: under the root stands a negative number."
    hint = "The logarithm of a number below 1 is negative: r = √(−2 log(1 − u₁))."
    close(
        tensor(expect.repeatable(answer, u), (30, 2), not_finite=(says, hint)),
        truth,
        [
            Mistake(
                point((-2 * first.log()).sqrt(), turn),
                "You use log u₁ where log(1 − u₁) belongs: u₁ may be 0, and then the radius is infinite.",
                "Solve F(r) = 1 − exp(−r²/2) = u₁ for r.",
            ),
            Mistake(
                point((-2 * (1 - second).log()).sqrt(), 2 * math.pi * first),
                "You take the radius from the second column: the first gives the radius, the second the angle.",
                "Swap the columns.",
            ),
            Mistake(
                point((-2 * second.log()).sqrt(), 2 * math.pi * first),
                "You take the radius from the second column, and use log u where log(1 − u) belongs.",
                "The first column gives the radius.",
            ),
            Mistake(truth.flip(1), "Sine and cosine are swapped.", "The point is (r cos φ, r sin φ)."),
            Mistake(point(exponent, turn), "The square root of the radius is missing.", "r² = −2 log(1 − u₁)."),
            Mistake(
                point((exponent / 2).sqrt(), turn),
                "The factor 2 in the radius is missing: your numbers have variance ½.",
                "r = √(−2 log(1 − u₁)).",
            ),
            Mistake(
                point((exponent / 4).sqrt(), turn),
                "The 2 of the radius divides where it multiplies.",
                "From u₁ = 1 − exp(−r²/2) follows r² = −2 log(1 − u₁).",
            ),
            Mistake(point((-2 * (1 - first).log10()).sqrt(), turn), "You use log₁₀ in the radius.", "Use `torch.log`."),
            Mistake(point((-2 * (1 - first).log2()).sqrt(), turn), "You use log₂ in the radius.", "Use `torch.log`."),
            Mistake(point(first, turn), "You use u₁ itself as the radius.", "Solve F(r) = u₁ for r."),
            Mistake(point(radius, second), "Your angle goes from 0 to 1 only: 2π is missing.", "φ = 2π u₂."),
            Mistake(point(radius, turn / 2), "Your angle covers half a turn only.", "φ = 2π u₂."),
            Mistake(point(radius, 360 * second), "Your angle is in degrees.", "`torch.cos` takes radians: φ = 2π u₂."),
            Mistake(
                torch.special.ndtri(u),
                "These are normal numbers by the inverse normal CDF, not by Box and Muller.",
                "Take radius and angle of a point in the plane.",
            ),
        ],
        name="your numbers",
        hint="Follow one row: first the radius, then the angle, then the point.",
    )
    edge = torch.tensor([[0.0, 0.3], [0.999999, 0.0]], dtype=torch.float64)
    says, hint = "For u₁ = 0 your radius is not finite.", "With 1 − u₁ under the logarithm the radius is 0 there."
    value = tensor(answer(edge), (2, 2), not_finite=(says, hint))
    close(value, point((-2 * (1 - edge[:, 0]).log()).sqrt(), 2 * math.pi * edge[:, 1]), hint=hint)
    edge = torch.tensor([[1 - 2**-53, 0.1]], dtype=torch.float64)
    says, hint = "For the largest u₁ below 1 your radius is not finite.", "Compute in float64, as `u` is given."
    close(
        tensor(answer(edge), (1, 2), not_finite=(says, hint)),
        point((-2 * (1 - edge[:, 0]).log()).sqrt(), 2 * math.pi * edge[:, 1]),
        name="your numbers for the largest u₁ below 1",
        hint="u₁ is below 1, so that 1 − u₁ is above 0: clamp nothing, and add nothing.",
    )


@exercise("dist.multivariate_normal_sample", call="multivariate_normal_sample(noise, mean, covariance)")
def multivariate_normal_sample(answer: Callable, generator: Generator) -> None:
    dim = 3
    mean, covariance = 1 + draw.normal(generator, dim).abs(), draw.covariances(generator, dim=dim)
    if covariance[0, 1] > 0:  # a negative entry, of which no one can take the root
        flip = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
        covariance = covariance * torch.outer(flip, flip)
    noise = torch.cat([torch.zeros(1, dim), torch.eye(dim), torch.zeros(4, dim)]).double()
    noise[-4:] = draw.normal(generator, 4, dim)
    says = "Your samples are not finite: the root of a matrix is not the root of each of its entries."
    hint = "Use `torch.linalg.cholesky(covariance)`."
    name = "your samples"
    x = tensor(expect.repeatable(answer, noise, mean, covariance), (8, dim), name=name, not_finite=(says, hint))
    close(
        x[0],
        mean,
        [
            Mistake(torch.zeros(dim), "You forgot the mean.", "x = μ + A ε."),
            Mistake(-mean, "You subtract the mean: it is added.", "x = μ + A ε."),
        ],
        name="your sample for noise 0",
        hint="Without noise a sample is the mean.",
    )
    factor = (x[1 : dim + 1] - x[0]).mT  # column i is what noise in direction i does
    linear = x[0] + noise[-4:] @ factor.mT
    close(
        x[-4:],
        linear,
        name="your samples",
        hint="x = μ + A ε for each row by itself, with the same matrix A: no row may depend on another.",
    )
    lower = torch.linalg.cholesky(covariance)
    close(
        factor @ factor.mT,
        covariance,
        [
            Mistake(
                lower.mT @ lower,
                "You multiply with Lᵀ where L belongs: the covariance of your samples is LᵀL, not LLᵀ.",
                "L ε for a noise vector in a row is `noise @ L.mT`.",
            ),
            Mistake(
                covariance @ covariance,
                "You multiply with the covariance where its factor belongs (a variance for a standard deviation).",
                "A Aᵀ = Σ: take the Cholesky factor.",
            ),
            Mistake(
                torch.eye(dim), "You ignore the covariance: your samples have covariance 1.", "Multiply with a factor."
            ),
            Mistake(
                torch.diag(covariance.diagonal()),
                "Your samples have the right variances and no correlations.",
                "Use a factor of the whole matrix, not the roots of its diagonal.",
            ),
            Mistake(
                torch.diag(covariance.diagonal().square()),
                "You multiply with the variances: the correlations are lost, and the roots are missing.",
                "Use a factor of the whole matrix.",
            ),
            Mistake(
                covariance.inverse(),
                "You solve with the factor instead of multiplying: your samples have covariance Σ⁻¹.",
                "Solving whitens data; to color noise, multiply.",
            ),
            Mistake(
                (lower @ lower.mT.inverse()) @ (lower @ lower.mT.inverse()).mT,
                "You multiply with L and solve with it, too.",
                "x = μ + L ε.",
            ),
            Mistake(
                (lower.mT @ lower).inverse(),
                "You solve with the factor instead of multiplying.",
                "Solving whitens data; to color noise, multiply.",
            ),
            Mistake(
                torch.diag(torch.linalg.eigvalsh(covariance)),
                "You do not transpose the eigenvectors: your samples have the eigenvalues as variances, uncorrelated.",
                "A = V √λ, with eigenvectors as columns: `noise @ (V * w.sqrt()).T`.",
            ),
            Mistake(
                torch.diag(lower.diagonal().square()),
                "You use only the diagonal of the factor.",
                "It is a matrix product: `@`, not `*`.",
            ),
        ],
        name="the covariance A Aᵀ of your samples",
        hint="Any A with A Aᵀ = Σ will do.",
    )


@exercise("dist.rejection_sample", call="rejection_sample(log_target, log_proposal, log_constant, u)")
def rejection_sample(answer: Callable, generator: Generator) -> None:
    n, log_constant = 400, 0.4
    proposal = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    log_proposal = proposal.log_prob(draw.normal(generator, n, 2))
    log_ratio = 2 * draw.uniform(generator, n).log() - 0.3  # the envelope is nowhere touched
    log_target = log_proposal + log_constant + log_ratio
    u = draw.uniform(generator, n)
    u[0] = 0.0

    def ask(log_target: Tensor, log_proposal: Tensor, log_constant: float, u: Tensor) -> Tensor:
        try:
            mask = expect.repeatable(answer, log_target, log_proposal, log_constant, u)
        except ValueError as error:
            raise Wrong(
                f"Your function raises `ValueError: {error}`, but this envelope is nowhere below the target.",
                "It is broken where log p̃ > log M + log q, and only there.",
            ) from None
        if isinstance(mask, Tensor) and mask.dtype == torch.int64:
            raise Wrong(
                "You return the indices of what is kept, not one truth value for each proposal.",
                "Return the mask itself.",
            )
        if isinstance(mask, Tensor) and mask.dtype.is_floating_point:
            raise Wrong(
                "You return numbers, not truth values.", "Compare u with the acceptance probability, and return that."
            )
        return tensor(mask, (n,), torch.bool, "your mask").double()

    def kept(log_ratio: Tensor) -> Tensor:
        return (u < log_ratio.exp()).double()

    truth = kept(log_ratio)
    close(
        ask(log_target, log_proposal, log_constant, u),
        truth,
        [
            Mistake(1 - truth, "Your answer is upside down: you keep what should be thrown away.", "True means kept."),
            Mistake(
                (u < log_ratio).double(),
                "You compare u itself with a logarithm: nothing is kept.",
                "Compare `u.log()`.",
            ),
            Mistake(
                kept(log_ratio + log_constant), "You forgot the constant M.", "The probability is p̃(x) / (M q(x))."
            ),
            Mistake(
                kept(log_ratio - log_ratio.max()),
                "You take the largest ratio of these proposals for M: what is kept then depends on the others.",
                "M is given: `log_constant`.",
            ),
            Mistake(
                kept(log_ratio + 2 * log_constant),
                "The constant has the wrong sign: you multiply with M.",
                "p̃(x) / (M q(x)): subtract log M.",
            ),
            Mistake(
                kept(log_ratio + log_constant - math.log(log_constant)),
                "You use log M as if it were M.",
                "`log_constant` is a logarithm already.",
            ),
            Mistake(
                kept(log_target - log_constant),
                "You forgot the density of the proposal.",
                "The probability is p̃(x) / (M q(x)).",
            ),
            Mistake(
                kept(log_target + log_proposal - log_constant),
                "You multiply with the density of the proposal.",
                "The probability is p̃(x) / (M q(x)): subtract log q.",
            ),
            Mistake(kept(log_target), "You use p̃ alone.", "The probability is p̃(x) / (M q(x))."),
            Mistake(
                kept(log_proposal - log_target - log_constant),
                "Target and proposal are swapped.",
                "The probability is p̃(x) / (M q(x)).",
            ),
            Mistake(
                torch.ones(n),
                "You keep everything: the ratio is upside down, or u is compared with a logarithm.",
                "Keep a proposal if log u < log p̃ − log q − log M.",
            ),
            Mistake(
                (log_ratio.exp() > 0.5).double(), "You do not use u: what is kept must be a matter of chance.", "u < …"
            ),
        ],
        name="your mask",
        hint="Compute log p̃ − log M − log q for one proposal by hand.",
    )
    hint = "Subtract logarithms, and compare with log u (or take `exp` of the difference only)."
    for shift_target, shift_proposal in ((-2000.0, 0.0), (-2000.0, -2000.0), (2000.0, 2000.0)):
        shifted = (log_target + shift_target, log_proposal + shift_proposal)
        mask = ask(*shifted, log_constant + shift_target - shift_proposal, u)
        if not torch.equal(mask, truth):
            raise Wrong("Where densities are tiny or huge your mask is wrong: their exponentials underflow.", hint)
    impossible, zero = log_target.clone(), u.clone()
    impossible[:20], zero[:10] = -math.inf, 0.0
    if ask(impossible, log_proposal, log_constant, zero)[:20].any():
        raise Wrong("You keep a proposal where the target is 0 (u may be 0, too).", "The condition is u < …, not ≤.")
    certain = torch.full((n,), 0.999, dtype=torch.float64)
    certain[:50], envelope = 0.0, torch.full((n,), -2.5, dtype=torch.float64)
    touching = torch.full((n,), -2.0, dtype=torch.float64)  # exactly log M + log q, with numbers that fractions hold
    touching[:50] = -150.0
    mask = ask(touching, envelope, 0.5, certain)
    if not mask[50:].all():
        raise Wrong(
            "You throw a proposal away where target and envelope touch: its probability is exactly 1.",
            "log p̃ − log M − log q is 0 there, and log u is below it.",
        )
    if not mask[:50].all():
        raise Wrong(
            "For u = 0 you throw a proposal away whose probability is tiny, but not 0.",
            "log 0 is −∞, below every finite number: keep the logarithm of u as it is.",
        )
    broken = log_target.clone()
    for what, above in ((zero, 0.5), (torch.full_like(u, 0.999), 0.5), (u, 1e-4)):
        broken[7] = log_proposal[7] + log_constant + above
        try:
            answer(broken, log_proposal, log_constant, what)
        except ValueError:
            continue
        raise Wrong(
            "The envelope is below the target at one proposal, and your function says nothing.",
            "Raise a `ValueError` if log p̃ − log q − log M is above 0 anywhere.",
        )
