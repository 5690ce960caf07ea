"""Checks of chapter 2: divergence, change of variables, code length."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import LogNormal, MultivariateNormal, Normal, kl_divergence

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong


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
                formula(trace=(q.inverse().diagonal() * p.diagonal()).sum()),
                "You multiply diagonals: the trace of a product needs the whole matrices.",
                "`torch.trace(A @ B)`, or `(A * B.mT).sum()`.",
            ),
            Mistake(
                formula(log_dets=2 * log_dets),
                "The log-determinants count twice.",
                "½ (… + log det Σ_q − log det Σ_p).",
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
    unit = 1e-15
    value = ask(unit * mean_p, unit**2 * p, unit * mean_q, unit**2 * q)
    says = "when everything is measured in another unit, 10¹⁵ times as large,"
    close(value, truth, name=f"your divergence {says}", hint="Nothing is added to a variance, and none is clamped.")
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
    far = torch.tensor(1e14, dtype=torch.float64)
    close(
        ask(x, lambda x: x / far),
        Normal(0 * far, far).log_prob(x),
        name="your result for a map with a slope of 1e-14",
        hint="Take the logarithm of the slope as it is: add nothing to it, and clamp nothing.",
    )
    says = "Far from the middle the density underflows to 0 before you take its logarithm."
    hint = "log N(z; 0, 1) = −½ z² − ½ log 2π: never leave log space."
    outer = shift + scale * torch.linspace(-60, 60, n, dtype=torch.float64)
    away = ask(outer, lambda x: (x - shift) / scale, not_finite=(says, hint))
    close(away, Normal(shift, scale).log_prob(outer), name="your result far from the middle", hint=hint)
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
    impossible = sure.clone()
    impossible[0, 0], impossible[1, 1] = 1.0, 0.0
    value = answer(impossible, certain)
    if not isinstance(value, Tensor) or value.shape != (n,) or value.isnan().any() or not (value[:2] == math.inf).all():
        cost = value[:2].min().item() if isinstance(value, Tensor) and value.shape == (n,) else math.nan
        raise Wrong(
            f"A pixel that the model calls impossible costs infinitely many bits; your image costs {cost:.4g}.",
            "Take the logarithm of 0 as it is, −∞: clamp nothing. (`binary_cross_entropy` cuts it off at −100.)",
        )
    close(value[2:], rest[2:], name="your code length beside images that are impossible", hint=hint)
    dim = 3000
    many, faint = torch.ones(2, dim, dtype=torch.float64), torch.full((dim,), 0.5, dtype=torch.float64)
    says = "For a large image its probability underflows to 0: the logarithm of a product."
    value = ask(many, faint, not_finite=(says, "Take logarithms first, then the sum."))
    close(value, torch.full((2,), float(dim)).double(), name="your code length of a large image")
