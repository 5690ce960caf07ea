"""Checks of chapter 2, probability distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import LogNormal, MultivariateNormal, Normal, kl_divergence

from utils.checks import draw, expect
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, parts, tensor
from utils.data import load

# Bits of new digits as a share of what independent pixels take on the same images (36.0 to 36.7), over seeds 0 to 20.
# Counts over the pixel on the left: 0.954 to 0.961, above: 0.894 to 0.906, over both: 0.855 to 0.869. These fail.
# Over four neighbours: 0.784 to 0.809, a logistic regression a pixel: 0.714 to 0.745, a mixture of 30: 0.708 to 0.736.
COMPRESS_GOAL = 5 / 6


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
                "Solving whitens data; to colour noise, multiply.",
            ),
            Mistake(
                (lower @ lower.mT.inverse()) @ (lower @ lower.mT.inverse()).mT,
                "You multiply with L and solve with it, too.",
                "x = μ + L ε.",
            ),
            Mistake(
                (lower.mT @ lower).inverse(),
                "You solve with the factor instead of multiplying.",
                "Solving whitens data; to colour noise, multiply.",
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


@exercise("dist.fit_multivariate_normal", call="fit_multivariate_normal(x)")
def fit_multivariate_normal(answer: Callable, generator: Generator) -> None:
    n, dim = 30, 3
    x = 2 + draw.normal(generator, n, dim) @ torch.linalg.cholesky(draw.covariances(generator, dim=dim)).mT

    def ask(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, covariance = parts(answer(x), ("mean", "covariance"))
        over_features = [
            Mistake((n,), "you average over the features", "The mean runs over the points: `dim=0`."),
            Mistake((), "one number for all features", "Each feature has its own mean: `x.mean(0)`."),
        ]
        of_points = [
            Mistake((n, n), "this is a covariance between points", "`torch.cov` takes features as rows: `x.T.cov()`."),
            Mistake((dim,), "these are variances only", "Keep the full D × D matrix."),
        ]
        return (
            tensor(mean, (dim,), name="your mean", shapes=over_features),
            tensor(covariance, (dim, dim), name="your covariance", shapes=of_points),
        )

    mean, covariance = ask(x)
    true_mean = x.sum(0) / n
    centered = x - true_mean
    scatter = sum(torch.outer(row, row) for row in centered)
    truth = scatter / n
    close(
        mean,
        true_mean,
        [
            Mistake(x.sum(0), "Your mean is a sum: the division by N is missing.", ""),
            Mistake(x.sum(0) / (n - 1), "You divide the mean by N − 1.", "A mean divides by N."),
            Mistake(x.median(0).values, "This is the median.", "The Gaussian's likelihood asks for the mean."),
        ],
        name="your mean",
    )
    diagonal = torch.diag(truth.diagonal())
    deviations = truth.diagonal().sqrt()
    close(
        covariance,
        truth,
        [
            Mistake(
                scatter / (n - 1),
                "You divide the covariance by N − 1: that is unbiased, but not of maximum likelihood.",
                "The likelihood is largest with N: `torch.cov(x.T, correction=0)`.",
            ),
            Mistake(scatter, "Your covariance is a sum: the division by N is missing.", ""),
            Mistake(
                x.mT @ x / n,
                "You did not subtract the mean in the covariance.",
                "It is the mean of (x−μ)(x−μ)ᵀ, not of x xᵀ.",
            ),
            Mistake(scatter / dim, "You divide by the number of features.", "Divide by the number of points N."),
            Mistake(
                truth / torch.outer(deviations, deviations), "This is the correlation.", "Do not divide by deviations."
            ),
            Mistake(
                diagonal,
                "Your covariance is diagonal.",
                "The entries off the diagonal are the means of (x_i−μ_i)(x_j−μ_j).",
            ),
            Mistake(
                diagonal.sqrt(), "You return the standard deviations where variances belong.", "Take no square root."
            ),
            Mistake(
                torch.linalg.cholesky(truth), "This is the Cholesky factor of the covariance.", "Return L Lᵀ itself."
            ),
            Mistake(truth.inverse(), "This is the precision, the inverse of the covariance.", "Do not invert."),
        ],
        name="your covariance",
    )
    far = ask(x + 1e7)[1]
    if not torch.allclose(far, truth, rtol=1e-4, atol=1e-4):
        raise Wrong(
            "Far from the origin your covariance loses its digits: it is a small difference of two huge numbers.",
            "Subtract the mean first, then multiply; E[x xᵀ] − μμᵀ is right on paper only.",
        )


@exercise("dist.rejection_sample", call="rejection_sample(log_target, log_proposal, log_constant, u)")
def rejection_sample(answer: Callable, generator: Generator) -> None:
    n, log_constant = 400, 0.4
    proposal = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    log_proposal = proposal.log_prob(draw.normal(generator, n, 2))
    log_ratio = 2 * draw.uniform(generator, n).log()
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
    broken = log_target.clone()
    broken[7] = log_proposal[7] + log_constant + 0.5
    for what in (zero, torch.full_like(u, 0.999)):
        try:
            answer(broken, log_proposal, log_constant, what)
        except ValueError:
            continue
        raise Wrong(
            "The envelope is below the target at one proposal, and your function says nothing.",
            "Raise a `ValueError` if log p̃ − log q − log M is above 0 anywhere.",
        )


@exercise("dist.kl_normals", call="kl_normals(mean_p, covariance_p, mean_q, covariance_q)")
def kl_normals(answer: Callable, generator: Generator) -> None:
    def ask(*inputs: Tensor) -> Tensor:
        result = expect.repeatable(answer, *inputs, hint="The closed form needs no samples.")
        return expect.number(result, "your divergence")

    dim = 3
    mean_p, mean_q = draw.normal(generator, dim), draw.normal(generator, dim)
    p, q = draw.covariances(generator, dim=dim), 1.5 * draw.covariances(generator, dim=dim)
    q[0, 0] += 0.5
    difference = mean_p - mean_q

    def formula(p=p, q=q, trace=None, shift=None, d=float(dim), log_dets=None, half=0.5):
        trace = torch.trace(q.inverse() @ p) if trace is None else trace
        shift = difference @ q.inverse() @ difference if shift is None else shift
        log_dets = q.logdet() - p.logdet() if log_dets is None else log_dets
        return half * (trace + shift - d + log_dets)

    truth = kl_divergence(MultivariateNormal(mean_p, p), MultivariateNormal(mean_q, q))
    log_dets = q.logdet() - p.logdet()
    factor_p, factor_q = torch.linalg.cholesky(p), torch.linalg.cholesky(q)
    swapped = kl_divergence(MultivariateNormal(mean_q, q), MultivariateNormal(mean_p, p))
    close(
        ask(mean_p, p, mean_q, q),
        truth,
        [
            Mistake(
                swapped,
                "You computed KL(q‖p): the directions are swapped.",
                "The expectation is over p; the inverse that appears is that of Σ_q.",
            ),
            Mistake(-truth, "The sign is wrong: this is −KL(p‖q).", "A divergence is never negative."),
            Mistake(formula(half=1.0), "The ½ is missing.", "Both log densities carry it."),
            Mistake(formula(d=0.0), "The dimension D is missing.", "E[(x−μ_p)ᵀ Σ_p⁻¹ (x−μ_p)] = D."),
            Mistake(
                formula(d=1.0),
                "You subtract 1, which is right in one dimension only.",
                "E[(x−μ_p)ᵀ Σ_p⁻¹ (x−μ_p)] = tr(1) = D.",
            ),
            Mistake(formula(d=-float(dim)), "The dimension D has the wrong sign.", "For p = q the result must be 0."),
            Mistake(formula(shift=0.0), "The means are missing.", "Add (μ_p − μ_q)ᵀ Σ_q⁻¹ (μ_p − μ_q)."),
            Mistake(
                formula(shift=difference @ difference),
                "The distance of the means lacks Σ_q⁻¹.",
                "How far is far is measured with the covariance of q.",
            ),
            Mistake(
                formula(shift=difference @ p.inverse() @ difference),
                "You measure the distance of the means with Σ_p⁻¹, not with Σ_q⁻¹.",
                "It comes from log q(x).",
            ),
            Mistake(
                formula(shift=-formula(trace=0.0, d=0.0, log_dets=0.0, half=1.0)),
                "The term of the means has the wrong sign.",
                "Means further apart make the divergence larger.",
            ),
            Mistake(
                formula(trace=torch.trace(p.inverse() @ q)),
                "The trace is upside down: tr(Σ_p⁻¹ Σ_q).",
                "The quadratic form of q has mean tr(Σ_q⁻¹ Σ_p) + ….",
            ),
            Mistake(
                formula(trace=0.0),
                "The trace is missing.",
                "The quadratic form of q has mean tr(Σ_q⁻¹ Σ_p) + ….",
            ),
            Mistake(
                formula(trace=(p.diagonal() / q.diagonal()).sum()),
                "You divide the diagonals: the trace of Σ_q⁻¹ Σ_p needs the inverse of the whole matrix.",
                "`torch.linalg.solve(covariance_q, covariance_p)`.",
            ),
            Mistake(
                formula(log_dets=-log_dets),
                "The log-determinants have the wrong sign.",
                "A wide q wastes bits: + log det Σ_q − log det Σ_p.",
            ),
            Mistake(formula(log_dets=0.0), "The log-determinants are missing.", "+ log det Σ_q − log det Σ_p."),
            Mistake(
                formula(log_dets=log_dets / 2),
                "log det Σ is twice Σ log diag L: a factor 2 is missing.",
                "det Σ = (det L)².",
            ),
            Mistake(
                formula(log_dets=q.det() / p.det()),
                "You use the ratio of the determinants, not its logarithm.",
                "+ log det Σ_q − log det Σ_p.",
            ),
            Mistake(
                formula(p=p @ p, q=q @ q),
                "You use a variance for a standard deviation: the covariances enter squared.",
                "`covariance_p` is Σ_p already.",
            ),
            Mistake(
                formula(p=factor_p, q=factor_q),
                "You use a standard deviation for a variance: Cholesky factors where covariances belong.",
                "Σ = L Lᵀ.",
            ),
            Mistake(truth / math.log(2), "Your divergence is in bits, expected are nats.", "Use the natural log."),
        ],
        name="your divergence",
        hint="Compute the four parts one by one: trace, means, dimension, log-determinants.",
    )
    # In one dimension by brute force: ∫ p (log p − log q) dx.
    scales = 0.5 + draw.uniform(generator, 2)
    first, second = (Normal(m[0], s) for m, s in zip((mean_p, mean_q), scales, strict=True))
    grid = first.loc + first.scale * torch.linspace(-12, 12, 4001, dtype=torch.float64)
    integrand = first.log_prob(grid).exp() * (first.log_prob(grid) - second.log_prob(grid))
    value = ask(mean_p[:1], scales[0].square()[None, None], mean_q[:1], scales[1].square()[None, None])
    close(
        value,
        torch.trapezoid(integrand, grid),
        name="your divergence in one dimension, where an integral tells the truth,",
    )
    zero = ask(mean_p, p, mean_p, p)
    close(zero, torch.zeros_like(zero), name="your divergence of a Gaussian from itself", hint="It must be 0.")
    many = 200
    origin, eye = torch.zeros(many, dtype=torch.float64), torch.eye(many, dtype=torch.float64)
    says = "In many dimensions the determinants underflow to 0."
    hint = "Use Σ log diag L, or `torch.linalg.slogdet`: logarithms first."
    inputs = (origin, 1e-3 * eye, origin, 2e-3 * eye)
    result = answer(*inputs)
    if isinstance(result, Tensor | float) and not math.isfinite(float(result)):
        raise Wrong(says, hint)
    close(expect.number(result, "your divergence"), torch.tensor(many * (math.log(2) - 0.5) / 2).double(), hint=hint)


@exercise("dist.monte_carlo", call="monte_carlo(values, goal)")
def monte_carlo(answer: Callable, generator: Generator) -> None:
    n = 25
    values = 1 + 2 * draw.normal(generator, n)
    mean, variance = values.mean(), values.var(correction=1)
    deviation, biased = variance.sqrt(), values.std(correction=0)
    # So that the true number is a half: no rounding of floating point turns it into another one.
    whole = int(torch.randint(900, 1100, (1,), generator=generator))
    goal = (deviation / math.sqrt(whole + 0.5)).item()
    names = ("mean", "standard error", "number of values")
    mine, error, needed = parts(answer(values, goal), names)
    close(
        expect.number(mine, "your mean"),
        mean,
        [
            Mistake(values.sum(), "Your mean is a sum.", "Divide by n."),
            Mistake(values.sum() / (n - 1), "You divide the mean by n − 1.", "Only the variance has n − 1."),
            Mistake(values.median(), "This is the median.", "An expectation is estimated by the mean."),
        ],
        name="your mean",
    )
    root = math.sqrt(n)
    close(
        expect.number(error, "your standard error"),
        deviation / root,
        [
            Mistake(
                deviation,
                "This is the standard deviation of one value: the division by √n is missing.",
                "The mean of n values is √n times as sure as one of them.",
            ),
            Mistake(
                biased / root,
                "You divide the variance by n: the estimate asked for is unbiased, with n − 1.",
                "`values.std(correction=1)`.",
            ),
            Mistake(biased, "The division by √n is missing, and the variance needs n − 1.", "`values.std() / √n`."),
            Mistake(deviation / n, "You divide by n, not by √n.", "Variances shrink like 1/n, deviations like 1/√n."),
            Mistake(variance / n, "This is the squared standard error.", "Take the square root of variance / n."),
            Mistake(variance / root, "You divide the variance by √n.", "Take the standard deviation."),
            Mistake(
                deviation / math.sqrt(n - 1),
                "n − 1 belongs into the variance only: divide the standard deviation by √n.",
                "",
            ),
            Mistake(
                values.square().mean().sqrt() / root, "You did not subtract the mean.", "Deviations are from the mean."
            ),
            Mistake(2 * deviation / root, "These are two standard errors.", "Return one."),
            Mistake(1.96 * deviation / root, "This is half a 95 % interval.", "Return one standard error."),
        ],
        name="your standard error",
    )
    exact = whole + 0.5
    count = expect.number(needed, "your number of values")
    close(
        count,
        torch.tensor(math.ceil(exact)).double(),
        [
            Mistake(exact, "Your number of values is not a whole number.", "Round it up: `math.ceil`."),
            Mistake(
                math.floor(exact), "You round down: with so few values the error is above the goal.", "Round it up."
            ),
            Mistake(
                math.ceil(math.sqrt(exact)),
                "You forgot the square: half the error takes four times the values.",
                "Solve deviation / √n ≤ goal for n.",
            ),
            Mistake(
                math.ceil(exact / n),
                "You use the standard error where the standard deviation belongs.",
                "Solve deviation / √n ≤ goal for n.",
            ),
            Mistake(
                math.ceil(exact) - n,
                "This is how many values are still missing.",
                "The question is how many it takes in all.",
            ),
            Mistake(math.ceil(variance / goal), "You divide the variance by the goal, not by its square.", "√n …"),
            Mistake(
                math.ceil((biased / goal).square()),
                "You use the biased standard deviation here.",
                "With n − 1, as in the standard error.",
            ),
        ],
        name="your number of values",
        hint="Solve deviation / √n ≤ goal for n, and round up.",
    )


@exercise("dist.flow_log_prob", call="flow_log_prob(x, forward)")
def flow_log_prob(answer: Callable, generator: Generator) -> None:
    def ask(x: Tensor, forward: Callable, **options) -> Tensor:
        one = [Mistake((), "one number for all points", "Do not sum over the points at the end.")]
        return tensor(answer(x.clone(), forward), x.shape, shapes=one, **options)

    n = 12
    tail, skew = 0.6 + draw.uniform(generator, 1), 0.3 + draw.uniform(generator, 1)
    x = 1.5 * draw.normal(generator, n)

    def bent(x: Tensor) -> Tensor:
        return (tail * x.asinh() - skew).sinh()

    z = bent(x)
    log_slope = (tail * (tail * x.asinh() - skew).cosh() / (1 + x.square()).sqrt()).log()
    constant = 0.5 * math.log(2 * math.pi)
    base = -0.5 * z.square() - constant
    truth = base + log_slope
    close(
        ask(x, bent),
        truth,
        [
            Mistake(base, "The slope is missing: this is the density of z.", "Add log |dz/dx|."),
            Mistake(
                base - log_slope,
                "The slope has the wrong sign: you subtract its logarithm.",
                "Where f is steep, much mass of z falls on little x: the density is high there.",
            ),
            Mistake(base + log_slope.exp(), "You add the slope, not its logarithm.", "Add log |dz/dx|."),
            Mistake(base * log_slope.exp(), "You multiply a log density with the slope.", "Logarithms are added."),
            Mistake(log_slope, "The density of z is missing.", "Add log N(z; 0, 1)."),
            Mistake(
                -0.5 * x.square() - constant + log_slope,
                "You evaluate the normal density at x, not at z.",
                "Put `forward(x)` into it.",
            ),
            Mistake(truth + constant, "The constant ½ log 2π is missing.", "Without it p does not integrate to 1."),
            Mistake(
                truth - 0.5 * z.square(), "The ½ of the normal density is missing.", "log N(z) = −½ z² − ½ log 2π."
            ),
            Mistake(truth + z.square(), "The square has the wrong sign.", "log N(z) = −½ z² − ½ log 2π."),
            Mistake(truth.exp(), "You return the density, not its logarithm.", "Stay in logarithms."),
            Mistake(-truth, "The sign is wrong: this is −log p(x).", "`log_prob` is higher where x is more likely."),
            Mistake(
                base + log_slope.sum(),
                "Every point gets the slopes of all points.",
                "Use the slope of each point by itself.",
            ),
            Mistake(base + log_slope / 2, "You take half the logarithm of the slope.", "Add log |dz/dx| in full."),
        ],
        hint="Take f(x) = 2x: then log p(x) = log N(2x; 0, 1) + log 2.",
    )
    shift, scale = draw.normal(generator, 1), 0.5 + draw.uniform(generator, 1)
    says = "For a decreasing map your result is not finite: the logarithm of a negative slope."
    hint = "A density is positive: take the absolute value of the slope, log |dz/dx|."
    falling = ask(x, lambda x: (shift - x) / scale, not_finite=(says, hint))
    close(falling, Normal(shift, scale).log_prob(x), name="your result for a decreasing map", hint=hint)
    positive = draw.normal(generator, n).exp()
    close(
        ask(positive, lambda x: (x.log() - shift) / scale),
        LogNormal(shift, scale).log_prob(positive),
        name="your result for z = (log x − a) / b, which makes a log-normal distribution,",
    )


@exercise("dist.code_length", call="code_length(x, probs)")
def code_length(answer: Callable, generator: Generator) -> None:
    n, dim = 6, 5
    probs = 0.08 + 0.84 * draw.uniform(generator, dim)
    x = (draw.uniform(generator, n, dim) < 0.5).double()
    x[0], x[1] = 0.0, 1.0

    def ask(x: Tensor, probs: Tensor, **options) -> Tensor:
        shapes = [
            Mistake((), "one number for all images", "Sum over the pixels only: `.sum(-1)`."),
            Mistake((dim,), "you sum over the images", "Sum over the pixels: `.sum(-1)`."),
            Mistake((n, dim), "the bits of each pixel", "Sum over the pixels."),
        ]
        return tensor(answer(x, probs), (len(x),), name="your code length", shapes=shapes, **options)

    black, white = -x * probs.log2(), -(1 - x) * (1 - probs).log2()
    truth = (black + white).sum(-1)
    other = (-x * (1 - probs).log2() - (1 - x) * probs.log2()).sum(-1)
    entropy = -(probs * probs.log2() + (1 - probs) * (1 - probs).log2()).sum()
    close(
        ask(x, probs),
        truth,
        [
            Mistake(truth * math.log(2), "Your code length is in nats: bits need log₂.", "Divide by log 2."),
            Mistake(
                truth * math.log(2) ** 2, "You multiply with log 2 where you should divide.", "log₂ a = ln a / ln 2."
            ),
            Mistake(truth * math.log10(2), "You use log₁₀.", "Bits need log₂."),
            Mistake(-truth, "The sign is wrong: a code length is positive.", "It is −log₂ p(x)."),
            Mistake(truth / dim, "This is per pixel, not per image.", "Sum over the pixels."),
            Mistake(black.sum(-1), "You count the black pixels only.", "A white one costs −log₂(1 − p)."),
            Mistake(white.sum(-1), "You count the white pixels only.", "A black one costs −log₂ p."),
            Mistake(
                other, "Black and white are swapped: `probs` is the probability of a 1.", "A black pixel costs −log₂ p."
            ),
            Mistake(
                entropy.expand(n),
                "This is the entropy of the model, the same for every image.",
                "Count the bits of the pixels that are there.",
            ),
            Mistake(
                (black + white).ceil().sum(-1),
                "You round each pixel up to whole bits.",
                "An arithmetic coder shares bits among pixels: do not round.",
            ),
            Mistake(truth.ceil(), "You round up to whole bits.", "Do not round."),
            Mistake(
                -((x * probs + (1 - x) * (1 - probs)).mean(-1)).log2() * dim,
                "You take the logarithm of the mean probability.",
                "Probabilities of independent pixels multiply: take logarithms first, then the sum.",
            ),
        ],
        name="your code length",
        hint="Write the bits of one pixel first: −log₂ p if it is black, −log₂(1 − p) if it is white.",
    )
    own = 0.08 + 0.84 * draw.uniform(generator, n, dim)
    each = -(x * own + (1 - x) * (1 - own)).log2().sum(-1)
    close(ask(x, own), each, name="your code length with probabilities for each image")
    certain = probs.clone()
    certain[0], certain[1] = 0.0, 1.0
    sure = x.clone()
    sure[:, 0], sure[:, 1] = 0.0, 1.0
    says = "A pixel that is certain costs nothing, but you compute 0 · log 0."
    hint = "`torch.xlogy(0, 0)` is 0; or take the logarithm of the probability of what is there."
    value = ask(sure, certain, not_finite=(says, hint))
    rest = (black + white)[:, 2:].sum(-1)
    close(value, rest, name="your code length with pixels that are certain", hint=hint)
    dim = 3000
    many, faint = torch.ones(2, dim, dtype=torch.float64), torch.full((dim,), 0.5, dtype=torch.float64)
    says = "For a large image its probability underflows to 0: the logarithm of a product."
    value = ask(many, faint, not_finite=(says, "Take logarithms first, then the sum."))
    close(value, torch.full((2,), float(dim)).double(), name="your code length of a large image")


@exercise("dist.compress", call="fit_pixels(x_train)", seconds=60)
def compress(answer: Callable, generator: Generator) -> str:
    digits = load("digits").flat()
    binary = (torch.cat([digits.x_train, digits.x_test]) >= 0.5).double()
    binary = binary[torch.randperm(len(binary), generator=generator)]
    x_train, x = binary[:1297], binary[1297:]
    returned = answer(x_train)
    if not callable(returned):
        kind = type(returned).__name__
        raise Wrong(f"Your function returns a `{kind}`, not a function.", "Return `predict` itself, to be called on x.")
    predict = guard(returned, "predict(x)")
    p = _probabilities(predict, x)
    for part in (slice(0, 1), slice(1, 8)):
        if not _same(_probabilities(predict, x[part]), p[part]):
            raise Wrong(
                "The prediction for an image depends on which other images you are asked about.",
                "Use only x_train in `fit_pixels`; treat each new image by itself.",
            )
    _causal(predict, x[torch.randperm(len(x), generator=generator)[:8]], generator)
    bits, base = _bits(p, x), _bits(((x_train.sum(0) + 0.5) / (len(x_train) + 1)).expand_as(x), x)
    goal = COMPRESS_GOAL * base
    if bits <= goal:
        return f"{bits:.1f} bits an image; independent pixels take {base:.1f}, the goal was {goal:.1f}."
    if math.isinf(bits):
        raise Wrong(
            "You say 0 or 1, and it comes otherwise: such a pixel costs infinitely many bits.",
            "Keep every probability away from 0 and 1: add a half to each count.",
        )
    if _bits(1 - p, x) <= goal:
        raise Wrong("Your probabilities are those of a 0.", "Return the probability that a pixel is 1.")
    seen = _bits(_probabilities(predict, x_train), x_train)
    says = f"Your code takes {bits:.1f} bits an image, the goal is {goal:.1f}"
    if seen < bits - 4:
        raise Wrong(
            f"{says}; on the training images it is {seen:.1f}: you overfit.", "Fewer neighbours, more smoothing."
        )
    if bits > 0.99 * base:
        raise Wrong(
            f"{says}: you are no better than independent pixels, which take {base:.1f}.",
            "Let the prediction of a pixel depend on the pixels before it.",
        )
    raise Wrong(
        f"{says}; independent pixels take {base:.1f}: you use too little of the pixels before.",
        "The pixels above, to the left and on the diagonals all help.",
    )


def _probabilities(predict: Callable, x: Tensor) -> Tensor:
    p = predict(x)
    if isinstance(p, Tensor) and p.is_floating_point():
        p = p.double()
    p = tensor(p, x.shape, name="your prediction")
    if p.min() < -1e-6 or p.max() > 1 + 1e-6:  # room for the rounding of float32
        worst = p.min() if p.min() < 0 else p.max()
        raise Wrong(
            f"Your prediction holds {worst:.3g}, which is no probability.", "Turn scores into probabilities: `sigmoid`."
        )
    return p.clamp(0, 1)


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=1e-5)


def _causal(predict: Callable, x: Tensor, generator: Generator) -> None:
    """Raise if the prediction of a pixel changes with the pixel itself or with later ones."""
    n, dim = x.shape
    place = torch.arange(dim)
    copies = x[:, None].expand(n, dim, dim)  # copy d of each image is about pixel d
    noise = (draw.uniform(generator, n, dim, dim) < 0.5).double()
    later = torch.where(place > place[:, None], noise, copies)
    own = torch.where(place == place[:, None], 1 - copies, copies)
    before = _probabilities(predict, x)
    for changed, what in ((later, "on later pixels"), (own, "on that pixel itself")):
        p = _probabilities(predict, changed.reshape(-1, dim)).reshape(n, dim, dim)
        moved = (p.diagonal(dim1=1, dim2=2) - before).abs().amax(0) > 1e-5  # (D,)
        if moved.any():
            d = int(moved.nonzero()[0])
            raise Wrong(
                f"Your prediction of pixel {d} depends {what}, which the decoder does not know yet.",
                "Pixel d may depend on pixels 0 to d − 1 only: check your indices, or use `tril(-1)`.",
            )


def _bits(p: Tensor, x: Tensor) -> float:
    """Mean code length of images, in bits."""
    return -torch.where(x == 1, p, 1 - p).log2().sum(1).mean().item()
