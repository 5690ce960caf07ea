"""Checks of chapter 8, generative adversarial networks."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, number, parts, tensor

# Seeds 0 to 7, 2,000 steps with an R1 penalty: the rarest corner gets 7.1 to 8.2 % of the samples, 69 to 72 % are near
# a corner. A Gaussian with the data's moments puts below 1 % near each; the data blurred by 0.12 have 54 % near.
RAREST_CORNER, NEAR_A_CORNER, NEAR = 0.04, 0.6, 0.15


@exercise("gan.optimal_discriminator", call="optimal_discriminator(log_p, log_q)")
def optimal_discriminator(answer: Callable, generator: Generator) -> None:
    log_p, log_q = 2 * draw.normal(generator, 6), 2 * draw.normal(generator, 6)
    p, q = log_p.exp(), log_q.exp()
    truth = p / (p + q)
    close(
        tensor(answer(log_p, log_q), (6,)),
        truth,
        [
            Mistake(1 - truth, "This is the probability of a fake: q / (p + q).", "The data's density is on top."),
            Mistake(log_p - log_q, "This is the logit, log p − log q.", "A probability is its sigmoid."),
            Mistake(p / q, "This is the ratio p / q.", "Divide by p + q."),
            Mistake(log_p / (log_p + log_q), "You put the logarithms in the place of the densities.", "D* = p/(p+q)."),
            Mistake(truth.log(), "This is log D*.", "Return the probability."),
            Mistake(p, "This is the density p.", "Divide by p + q."),
            Mistake((p - q).sigmoid(), "You take the sigmoid of the difference of densities.", "Of log p − log q."),
        ],
    )
    says = "Where both densities underflow you divide 0 by 0."
    hint = "Divide p/(p+q) by p: it is σ(log p − log q)."
    far = tensor(answer(log_p - 1000, log_q - 1000), (6,), not_finite=(says, hint))
    close(far, truth, hint=hint)


@exercise("gan.discriminator_loss", call="discriminator_loss(real, fake)")
def discriminator_loss(answer: Callable, generator: Generator) -> None:
    real, fake = 1 + draw.normal(generator, 5), draw.normal(generator, 8) - 1
    on_real, on_fake = -real.sigmoid().log(), -(1 - fake.sigmoid()).log()
    truth = on_real.mean() + on_fake.mean()
    swapped = -(1 - real.sigmoid()).log().mean() - fake.sigmoid().log().mean()
    both_real = on_real.mean() - fake.sigmoid().log().mean()
    close(
        number(answer(real, fake), "the loss"),
        truth,
        [
            Mistake(
                -truth, "The sign is wrong: this falls when the discriminator is wrong.", "Minus in front of each log."
            ),
            Mistake(truth / 2, "You average the two parts: a factor 2 is missing.", "Add the two means."),
            Mistake(on_real.sum() + on_fake.sum(), "These are sums.", "Take the mean over each batch."),
            Mistake(
                torch.cat([on_real, on_fake]).mean(), "You average over both batches together.", "Add the two means."
            ),
            Mistake(
                2 * torch.cat([on_real, on_fake]).mean(),
                "You average over both batches together.",
                "Add the two means.",
            ),
            Mistake(swapped, "Real and fake are swapped.", "−log σ for real ones, −log(1 − σ) for fakes."),
            Mistake(both_real, "Fakes are treated as real ones.", "For fakes it is −log(1 − σ)."),
            Mistake(on_real.mean(), "The fakes are missing.", "Add −log(1 − σ) of the fakes."),
            Mistake(on_fake.mean(), "The real ones are missing.", "Add −log σ of the real ones."),
            Mistake(on_real.mean() - on_fake.mean(), "The fakes' part has the wrong sign.", "Both parts are added."),
            Mistake((1 - real.sigmoid()).mean() + fake.sigmoid().mean(), "The logarithms are missing.", "−log σ."),
            Mistake(fake.mean() - real.mean(), "This is the Wasserstein loss.", "Here it is −log σ and −log(1 − σ)."),
        ],
        name="the loss",
    )
    sure = torch.tensor([1000.0, -1000.0], dtype=torch.float64)
    try:
        value = number(answer(sure, sure), "the loss")
    except Wrong:
        raise Wrong(
            "A very sure discriminator makes the loss infinite or NaN.",
            "log σ(ℓ) = logsigmoid(ℓ), and log(1 − σ(ℓ)) = logsigmoid(−ℓ).",
        ) from None
    close(value, torch.tensor(1000.0, dtype=torch.float64), name="the loss for logits of ± 1000")


@exercise("gan.generator_slopes", call="generator_slopes(fake)")
def generator_slopes(answer: Callable, generator: Generator) -> None:
    fake = 2 * draw.normal(generator, 7)
    leaf = fake.clone().requires_grad_()
    (minimax,) = torch.autograd.grad((1 - leaf.sigmoid()).log().sum(), leaf)
    (saturating_not,) = torch.autograd.grad(-leaf.sigmoid().log().sum(), leaf)
    first, second = parts(answer(fake), ("minimax slope", "non-saturating slope"))
    first = tensor(first, (7,), name="the minimax slope")
    second = tensor(second, (7,), name="the non-saturating slope")
    swapped = "The two slopes are swapped."
    first_hint = "m' = −σ(1 − σ) / (1 − σ)."
    product = "This is the slope of σ itself: the logarithm is missing."
    value = (1 - fake.sigmoid()).log()
    close(
        first,
        minimax,
        [
            Mistake(saturating_not, swapped, "Minimax comes first."),
            Mistake(-minimax, "The minimax slope has the wrong sign.", "log(1 − σ) falls as ℓ grows."),
            Mistake(-fake.sigmoid() * (1 - fake.sigmoid()), product, first_hint),
            Mistake(fake.sigmoid() * (1 - fake.sigmoid()), product, first_hint),
            Mistake(
                -1 / (1 - fake.sigmoid()),
                "The inner derivative is missing: you differentiate by σ, not by ℓ.",
                "Multiply by σ' = σ(1 − σ).",
            ),
            Mistake(value, "This is the loss, not its slope.", "Differentiate by ℓ."),
        ],
        name="the minimax slope",
        hint=first_hint,
    )
    close(
        second,
        saturating_not,
        [
            Mistake(-saturating_not, "The non-saturating slope has the wrong sign.", "−log σ falls as ℓ grows."),
            Mistake(
                -1 / fake.sigmoid(),
                "The inner derivative is missing: you differentiate by σ, not by ℓ.",
                "Multiply by σ' = σ(1 − σ).",
            ),
            Mistake(-fake.sigmoid(), "The non-saturating slope is that of the minimax loss.", "s' = −(1 − σ)."),
        ],
        name="the non-saturating slope",
        hint="s' = −σ(1 − σ) / σ.",
    )
    says = "The slopes are not finite where the discriminator is sure."
    sure = torch.tensor([-1000.0, 1000.0], dtype=torch.float64)
    for slope, truth in zip(answer(sure), ([0.0, -1.0], [-1.0, 0.0]), strict=True):
        slope = tensor(slope, (2,), not_finite=(says, "Cancel the fraction before you compute it."))
        close(slope, torch.tensor(truth, dtype=torch.float64), name="the slope at ℓ = ± 1000")


@exercise("gan.js_divergence", call="js_divergence(p, q)")
def js_divergence(answer: Callable, generator: Generator) -> None:
    p, q = draw.weights(generator, 2, 5)
    m = (p + q) / 2

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return (a * (a / b).log()).sum()

    truth = (kl(p, m) + kl(q, m)) / 2
    close(
        number(answer(p, q), "the divergence"),
        truth,
        [
            Mistake(2 * truth, "The two halves are missing: you add the divergences.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake((kl(p, q) + kl(q, p)) / 2, "You compare p and q with each other.", "Compare each with m."),
            Mistake(kl(p, q), "This is KL(p‖q).", "Compare p and q with their middle m."),
            Mistake(kl(p, m), "The part of q is missing.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake(kl(p, m) / 2, "The part of q is missing.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake((kl(m, p) + kl(m, q)) / 2, "The arguments of KL are swapped: m stands behind.", "KL(p‖m)."),
            Mistake(truth / math.log(2), "This is in bits.", "Nats: the natural logarithm."),
            Mistake(truth.sqrt(), "This is the Jensen–Shannon distance, the root of the divergence.", "No root."),
            Mistake(2 * truth - math.log(4), "This is the value of the game.", "Asked is JS alone."),
            Mistake(-truth, "The sign is wrong: a divergence is not negative.", "Σ p log(p/m)."),
        ],
        name="the divergence",
    )
    apart = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 0.0, 0.3, 0.7]).double()
    try:
        value = number(answer(*apart), "the divergence")
    except Wrong:
        raise Wrong("A probability of 0 makes the divergence NaN.", "0 log 0 = 0: `torch.xlogy` knows it.") from None
    close(value, torch.tensor(math.log(2.0), dtype=torch.float64), name="the divergence of two that share nothing")


@exercise("gan.hinge_losses", call="hinge_losses(real, fake)")
def hinge_losses(answer: Callable, generator: Generator) -> None:
    real, fake = 2 + 2 * draw.normal(generator, 30), 2 * draw.normal(generator, 40) - 2
    of_discriminator, of_generator = parts(answer(real, fake), ("discriminator's loss", "generator's loss"))
    first = (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    close(
        number(of_discriminator, "the discriminator's loss"),
        first,
        [
            Mistake(
                (1 + real).clamp(min=0).mean() + (1 - fake).clamp(min=0).mean(),
                "Real and fake are swapped.",
                "Real ones should be above 1.",
            ),
            Mistake((1 - real).mean() + (1 + fake).mean(), "The hinge is missing.", "max(0, ·): `relu`."),
            Mistake(
                (1 - real).mean().clamp(min=0) + (1 + fake).mean().clamp(min=0),
                "You take the maximum of the mean.",
                "First max(0, ·) for each example, then the mean.",
            ),
            Mistake(
                (-real).clamp(min=0).mean() + fake.clamp(min=0).mean(),
                "The margin of 1 is missing.",
                "max(0, 1 − f) and max(0, 1 + f).",
            ),
            Mistake(first / 2, "You average the two parts.", "Add them."),
            Mistake((1 - real).clamp(min=0).sum() + (1 + fake).clamp(min=0).sum(), "These are sums.", "Use means."),
            Mistake(
                (1 - real.sigmoid()).clamp(min=0).mean() + (1 + fake.sigmoid()).clamp(min=0).mean(),
                "There is a sigmoid too many.",
                "The answers are used as they are.",
            ),
            Mistake(
                (1 - real).clamp(min=0).mean() + (1 - fake).clamp(min=0).mean(),
                "Fakes are treated as real ones.",
                "For fakes it is max(0, 1 + f).",
            ),
        ],
        name="the discriminator's loss",
    )
    close(
        number(of_generator, "the generator's loss"),
        -fake.mean(),
        [
            Mistake(fake.mean(), "The generator's loss has the wrong sign.", "It wants high answers: −f."),
            Mistake((1 - fake).clamp(min=0).mean(), "The generator's loss has a hinge.", "It is just −mean f."),
            Mistake((1 + fake).clamp(min=0).mean(), "The generator's loss has a hinge.", "It is just −mean f."),
            Mistake(torch.nn.functional.softplus(-fake).mean(), "This is the non-saturating loss.", "It is −mean f."),
        ],
        name="the generator's loss",
    )


@exercise("gan.gradient_penalty", call="gradient_penalty(critic, real, fake, u)")
def gradient_penalty(answer: Callable, generator: Generator) -> None:
    real, fake, u = draw.normal(generator, 6, 3), 2 + draw.normal(generator, 6, 3), draw.uniform(generator, 6, 1)
    curvature = (0.3 + draw.uniform(generator, 3)).requires_grad_()

    def critic(x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != 3:
            raise Wrong(f"The critic got {getattr(x, 'shape', type(x))}, expected (B, 3).", "Give it the points.")
        return 0.5 * (curvature * x.square()).sum(1)

    def penalty(points: Tensor) -> Tensor:
        return ((curvature * points).norm(dim=1) - 1).square().mean()

    between = u * real + (1 - u) * fake
    slope = curvature * between  # (6, 3)
    length = slope.norm(dim=1)
    value = answer(critic, real, fake, u)
    close(
        number(value, "the penalty"),
        penalty(between).detach(),
        [
            Mistake(
                (length.square() - 1).square().mean().detach(),
                "The root of the length is missing.",
                "The norm is √Σ g².",
            ),
            Mistake((length - 1).mean().detach(), "The square is missing.", "(‖∇f‖ − 1)²."),
            Mistake((length - 1).abs().mean().detach(), "This is an absolute value.", "(‖∇f‖ − 1)²."),
            Mistake(
                length.square().mean().detach(), "This punishes any slope: the 1 is missing.", "The slope should be 1."
            ),
            Mistake((length - 1).square().sum().detach(), "This is a sum over the batch.", "Take the mean."),
            Mistake(
                (slope.norm() - 1).square().detach(),
                "You take one norm over the whole batch.",
                "One norm a point: `dim=1`.",
            ),
            Mistake((slope.norm(dim=0) - 1).square().mean().detach(), "You take the norm over the batch.", "`dim=1`."),
            Mistake(
                (slope.mean(0).norm() - 1).square().detach(),
                "You average the gradients before the norm.",
                "One norm a point.",
            ),
            Mistake(
                ((length / 6) - 1).square().mean().detach(),
                "You differentiate the mean of the answers: each gradient is B times too small.",
                "Differentiate their sum.",
            ),
            Mistake(
                penalty((1 - u) * real + u * fake).detach(), "u and 1 − u are swapped.", "u belongs to the real one."
            ),
            Mistake(penalty(real).detach(), "You look at the real points alone.", "Between real and fake."),
            Mistake(penalty(fake).detach(), "You look at the fakes alone.", "Between real and fake."),
            Mistake(
                penalty((real + fake) / 2).detach(),
                "You look at the middle: u is not used.",
                "u · real + (1 − u) · fake.",
            ),
        ],
        name="the penalty",
    )
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise Wrong(
            "The penalty has no gradient with respect to the critic's parameters, so it teaches nothing.",
            "Pass `create_graph=True` to `torch.autograd.grad`, and do not detach the result.",
        )
    found = torch.autograd.grad(value, curvature, allow_unused=True)[0]
    truth = torch.autograd.grad(penalty(between), curvature)[0]
    if found is None:
        raise Wrong("The penalty does not depend on the critic's parameters.", "Pass `create_graph=True`.")
    close(tensor(found, (3,), name="the penalty's gradient"), truth, name="the penalty's gradient")


@exercise("gan.spectral_norm", call="spectral_norm(weight, v, steps)")
def spectral_norm(answer: Callable, generator: Generator) -> None:
    left = torch.linalg.qr(draw.normal(generator, 5, 3)).Q
    right = torch.linalg.qr(draw.normal(generator, 3, 3)).Q
    values = torch.tensor([1.0, 0.3, 0.1], dtype=torch.float64) * (1.5 + 2 * draw.uniform(generator, 1))
    weight = left @ values.diag() @ right.T
    v = draw.normal(generator, 3)
    v = v + right[:, 0] * (1 if v @ right[:, 0] > 0 else -1)

    def rounds(steps: int) -> Tensor:
        now = v
        for _ in range(steps):
            ahead = weight @ now / (weight @ now).norm()
            now = weight.T @ ahead / (weight.T @ ahead).norm()
        return ahead @ weight @ now

    value = number(answer(weight, v, 30), "the estimate")
    close(
        value,
        values[0],
        [
            Mistake(values[0].square(), "This is the square of the singular value.", "uᵀ W v, not vᵀ WᵀW v."),
            Mistake(values.norm(), "This is the Frobenius norm.", "Only the largest singular value counts."),
            Mistake(values.sum(), "This is the sum of the singular values.", "Only the largest counts."),
            Mistake(values[-1], "This is the smallest singular value.", "Power iteration finds the largest."),
            Mistake(weight.abs().max(), "This is the largest entry.", "Follow u and v."),
            Mistake(1 / values[0], "This is one over the singular value.", "Return σ₁ itself."),
        ],
        name="the estimate after many rounds",
        hint="Divide u and v by their lengths in each round.",
    )
    early = number(answer(weight, v, 1), "the estimate")
    if torch.isclose(early, values[0], rtol=1e-9) and not torch.isclose(rounds(1), values[0], rtol=1e-9):
        raise Wrong("After one round your value is exact already: this is not power iteration.", "Use products alone.")
    close(
        early,
        rounds(1),
        [
            Mistake(rounds(2), "You do one round too many.", "`steps` rounds, each with one u and one v."),
            Mistake((weight @ (v / v.norm())).norm(), "The last v is not updated.", "A round makes u, then v."),
        ],
        name="the estimate after one round",
    )


@exercise("gan.minibatch_std", call="minibatch_std(features)")
def minibatch_std(answer: Callable, generator: Generator) -> None:
    features = draw.normal(generator, 6, 3) * torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64) + 2
    spread = features.std(0, unbiased=False)

    def appended(extra: Tensor) -> Tensor:
        return torch.cat([features, extra.expand(6, 1)], dim=1)

    value = tensor(
        answer(features),
        (6, 4),
        shapes=[
            Mistake((6, 6), "every feature's deviation is appended", "Average them: one number."),
            Mistake((7, 3), "it is appended as one more example", "Append a column: `dim=1`."),
            Mistake((), "only the number comes back", "Append it to the features."),
            Mistake((6, 1), "only the new column comes back", "Append it to the features."),
        ],
    )
    close(
        value,
        appended(spread.mean()),
        [
            Mistake(appended(features.std(0).mean()), "This is the unbiased deviation.", "Use `unbiased=False`."),
            Mistake(appended(features.var(0, unbiased=False).mean()), "You average variances.", "Take deviations."),
            Mistake(
                appended(features.std(unbiased=False)),
                "You take one deviation over everything.",
                "For each feature over the batch, then the mean.",
            ),
            Mistake(
                torch.cat([features, features.std(1, unbiased=False)[:, None]], dim=1),
                "You take the deviation within each example.",
                "Over the batch: `dim=0`.",
            ),
            Mistake(
                appended(features.std(1, unbiased=False).mean()),
                "You take the deviation within each example.",
                "Over the batch: `dim=0`.",
            ),
            Mistake(appended(spread.sum()), "You add the deviations up.", "Average them."),
            Mistake(
                torch.cat([spread.mean().expand(6, 1), features], dim=1),
                "The new feature comes first.",
                "Append it as the last one.",
            ),
            Mistake(
                appended(features.mean(0).std(unbiased=False)),
                "You average before you take the deviation.",
                "First the deviation of each feature, then the mean.",
            ),
        ],
    )


@exercise("gan.count_modes", call="count_modes(samples, centres, radius, least)")
def count_modes(answer: Callable, generator: Generator) -> None:
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    radius, least = 0.2, 5
    # 9 at the first centre, 5 at the second (just enough), 4 at the third (one short), 20 far around the fourth.
    wanted = [(0, 9, 0.1), (1, 5, 0.1), (2, 4, 0.1), (3, 20, 0.3)]
    rows = []
    for k, count, distance in wanted:
        angle = 2 * math.pi * draw.uniform(generator, count)
        rows.append(centres[k] + distance * torch.stack([angle.cos(), angle.sin()], dim=1))
    samples = torch.cat(rows)[torch.randperm(38, generator=generator)]
    close(
        number(answer(samples, centres, radius, least), "the count"),
        torch.tensor(2.0, dtype=torch.float64),
        [
            Mistake(1.0, "A mode with exactly `least` samples is not counted.", "At least: ≥."),
            Mistake(
                3.0,
                "A mode is counted that has too few samples, or whose samples are too far away.",
                "Within `radius`, and at least `least` of them.",
            ),
            Mistake(
                4.0,
                "Every centre that is nearest to some sample is counted.",
                "Count only near samples, and at least `least`.",
            ),
            Mistake(18.0, "You count samples, not modes.", "How many centres have enough of them?"),
            Mistake(14.0, "You count samples, not modes.", "How many centres have enough of them?"),
            Mistake(
                0.0,
                "No mode is found.",
                "Compare distances with `radius`, not their squares with it; count each centre.",
            ),
        ],
        name="the count",
    )
    # Wide balls overlap: a sample counts for its nearest centre alone.
    overlapping = centres[:1] + 0.01 * draw.normal(generator, 10, 2)
    close(
        number(answer(overlapping, centres[:3], 1.5, 5), "the count"),
        torch.tensor(1.0, dtype=torch.float64),
        [Mistake(3.0, "A sample counts for every centre it is near.", "Only for the nearest: `argmin` over centres.")],
        name="the count",
    )


@exercise("gan.frechet", call="frechet(mean, covariance, other_mean, other_covariance)")
def frechet(answer: Callable, generator: Generator) -> None:
    mean, other = draw.normal(generator, 3), draw.normal(generator, 3)
    a, b = draw.covariances(generator, dim=3, least=0.2), draw.covariances(generator, dim=3, least=0.2)

    def root(matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return vectors @ values.sqrt().diag() @ vectors.T

    overlap = root(root(a) @ b @ root(a)).trace()
    means, traces = (mean - other).square().sum(), a.trace() + b.trace()
    truth = means + traces - 2 * overlap
    entries = (a @ b).clamp(min=0).sqrt().diagonal().sum()
    close(
        number(answer(mean, a, other, b), "the distance"),
        truth,
        [
            Mistake(
                means + traces - 2 * entries, "You take the root of each entry.", "The root of a matrix is needed."
            ),
            Mistake(means + traces - overlap, "The factor 2 is missing.", "− 2 (Σ Σ')^½."),
            Mistake(means + traces + 2 * overlap, "The overlap has the wrong sign.", "It is subtracted."),
            Mistake(traces - 2 * overlap, "The means are missing.", "Add ‖μ − μ'‖²."),
            Mistake(means, "The covariances are missing.", "Add the trace."),
            Mistake(
                means.sqrt() + traces - 2 * overlap, "You add the distance of the means, not its square.", "‖μ−μ'‖²."
            ),
            Mistake(truth.sqrt(), "This is the root of what is asked.", "Return d²."),
            Mistake(
                means + traces - 2 * (root(a) @ root(b)).trace(),
                "You multiply the roots of the two matrices: that is right only where they commute.",
                "The root of the product: its eigenvalues.",
            ),
            Mistake(means + traces - 2 * (a @ b).trace(), "The root of the product is missing.", "tr (Σ Σ')^½."),
            Mistake(
                means + traces - 2 * (a @ b).trace().sqrt(),
                "You take the root of the trace.",
                "The trace of the root: sum the roots of the eigenvalues.",
            ),
        ],
        name="the distance",
    )
    close(
        number(answer(mean, a, mean, a), "the distance"),
        torch.tensor(0.0, dtype=torch.float64),
        name="the distance of a Gaussian from itself",
    )


@exercise("gan.precision_recall", call="precision_recall(real, fake, k)")
def precision_recall(answer: Callable, generator: Generator) -> None:
    k = 2
    # Some fakes are far off, and half of the real points are never made.
    real = torch.cat([draw.normal(generator, 20, 2), draw.normal(generator, 20, 2) + 8])
    fake = torch.cat([0.8 * draw.normal(generator, 25, 2), 3 * draw.normal(generator, 10, 2) - 12])

    def share(points: Tensor, others: Tensor, nth: int, over_points: bool = False) -> float:
        apart, inside = torch.cdist(others, others), 0
        radius = [sorted(row)[nth] for row in apart.tolist()]
        table = torch.cdist(points, others) <= torch.tensor(radius, dtype=torch.float64)
        inside = table.any(0 if over_points else 1)
        return inside.double().mean().item()

    precision, recall = parts(answer(real, fake, k), ("precision", "recall"))
    precision, recall = number(precision, "precision"), number(recall, "recall")
    true_precision, true_recall = share(fake, real, k), share(real, fake, k)
    swapped = "Precision and recall are swapped."
    itself = "The nearest point of the own set is the point itself: your balls reach to the (k − 1)-th other point."
    beyond = "Your balls reach to the (k + 1)-th other point."
    hint = "The k-th other point is the (k + 1)-th smallest distance."
    balls = "You count the balls that hold something, not the points that lie in one."
    names = (("precision", precision, true_precision, fake, real), ("recall", recall, true_recall, real, fake))
    if true_precision != true_recall and (precision.item(), recall.item()) == (true_recall, true_precision):
        raise Wrong(swapped, "Precision: fakes in balls of real points.")
    for name, value, truth, points, others in names:
        close(
            value,
            torch.tensor(truth, dtype=torch.float64),
            [
                Mistake(share(points, others, k - 1), itself, hint),
                Mistake(share(points, others, k + 1), beyond, hint),
                Mistake(share(points, others, k, over_points=True), balls, "Any ball will do: `any` over the balls."),
                Mistake(truth * len(points), "This is a count.", "Divide by the number of points."),
                Mistake(1 - truth, "This is the share that lies in no ball.", "Take the complement."),
            ],
            name=name,
            hint="Radius of each ball from its own set; then ask for each point whether some ball holds it.",
        )


@exercise("gan.ring", call="fit_generator(x_train)", seconds=60)
def ring(answer: Callable, generator: Generator) -> None:
    corner = torch.arange(8, dtype=torch.float64) * 2 * math.pi / 8
    corners = torch.stack([corner.cos(), corner.sin()], dim=1)
    x = corners[torch.randint(8, (2000,), generator=generator)] + 0.03 * draw.normal(generator, 2000, 2)
    made = answer(x)
    if made is None:
        raise Wrong("Your function returns `None`, expected a generator.", "Did you forget `return`?")
    generate = guard(made, "generate(z)")
    noise = draw.normal(generator, 4000, 4)
    samples = tensor(generate(noise), (4000, 2), name="the sample")
    if samples.unique(dim=0).shape[0] < 3000:
        raise Wrong("Many noises give the very same point.", "A generator maps noise smoothly to points.")
    distance, nearest = torch.cdist(samples, corners).min(1)
    near = distance < NEAR
    shares = torch.bincount(nearest[near], minlength=8) / len(samples)
    if shares.min() < RAREST_CORNER:
        raise Wrong(
            f"A corner gets only {shares.min():.1%} of the samples; each needs {RAREST_CORNER:.0%}.",
            "Keep the discriminator flat at the data: an R1 penalty, or a gradient penalty; and train on.",
        )
    if near.double().mean() < NEAR_A_CORNER:
        raise Wrong(
            f"Only {near.double().mean():.0%} of the samples lie near a corner; {NEAR_A_CORNER:.0%} are asked for.",
            "Train longer, and let the learning rate fall to 0 at the end.",
        )
