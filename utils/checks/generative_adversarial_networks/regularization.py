"""Checks of chapter 8: gradient penalty, spectral norm, minibatch statistics."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, number, repeatable, tensor
from utils.checks.variations import of_inputs, of_steps
from utils.checks.verdicts import Wrong


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
    value = repeatable(answer, critic, real, fake, u, hint="Use `u`, which is given.")
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
                (length - 1).relu().square().mean().detach(),
                "This is the one-sided penalty: slopes below 1 cost nothing.",
                "(‖∇f‖ − 1)² punishes both sides.",
            ),
            Mistake(
                (slope.abs().sum(1) - 1).square().mean().detach(), "This is the L1 norm: Σ |g|.", "The norm is √Σ g²."
            ),
            Mistake(
                (slope.abs().amax(1) - 1).square().mean().detach(),
                "This is the norm of the largest entry.",
                "The norm is √Σ g².",
            ),
            Mistake(
                (slope.square().mean(1).sqrt() - 1).square().mean().detach(),
                "You average the squares over the coordinates.",
                "The norm is √Σ g², a sum.",
            ),
            Mistake(
                (length.mean() - 1).square().detach(),
                "You average the lengths before you subtract 1 and square.",
                "(‖∇f‖ − 1)² for each point, then the mean.",
            ),
            Mistake(
                penalty(u[0] * real + (1 - u[0]) * fake).detach(),
                "You use one u for all pairs.",
                "Each row has its own.",
            ),
            Mistake(
                penalty(real + u * (real - fake)).detach(),
                "Your points lie beyond the real ones.",
                "fake + u (real − fake).",
            ),
            Mistake(
                penalty(fake + u * (fake - real)).detach(),
                "Your points lie beyond the fakes.",
                "fake + u (real − fake).",
            ),
            Mistake(
                length.square().mean().detach(), "This punishes any slope: the 1 is missing.", "The slope should be 1."
            ),
            Mistake(
                10 * penalty(between).detach(),
                "You multiply with 10, the weight that the penalty gets in a loss.",
                "Return the penalty alone.",
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
        varied=lambda: (
            *of_inputs(lambda real, fake, u: penalty(u * real + (1 - u) * fake), real=real, fake=fake, u=u),
            *of_steps(lambda near, far: penalty(near + far), {"u · real": u * real, "(1 − u) · fake": (1 - u) * fake}),
            *of_steps(
                lambda first, second, real, fake: penalty(first * real + second * fake),
                {"u": u, "1 − u": 1 - u, "real": real, "fake": fake},
            ),
            *of_steps(lambda length, one: (length - one).square().mean(), {"‖∇f‖": length, "the 1": 1.0}),
        ),
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
    half = Mistake(truth / 2, "A factor of the square is detached: half of the gradient is missing.", "No `detach`.")
    close(tensor(found, (3,), name="the penalty's gradient"), truth, [half], name="the penalty's gradient")


@exercise("gan.spectral_norm", call="spectral_norm(weight, v, steps)")
def spectral_norm(answer: Callable, generator: Generator) -> None:
    left = torch.linalg.qr(draw.normal(generator, 5, 3)).Q
    right = torch.linalg.qr(draw.normal(generator, 3, 3)).Q
    values = torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64) * (1.5 + 2 * draw.uniform(generator, 1))
    weight = left @ values.diag() @ right.T
    v = draw.normal(generator, 3)
    v = v + right[:, 0] * (1 if v @ right[:, 0] > 0 else -1)

    def rounds(steps: int, now: Tensor = v) -> Tensor:
        for _ in range(steps):
            ahead = weight @ now / (weight @ now).norm()
            now = weight.T @ ahead / (weight.T @ ahead).norm()
        return ahead @ weight @ now

    value = number(answer(weight, v, 40), "the estimate")
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
    hint = "Divide u and v by their lengths in each round, not once at the end."
    not_finite = ("After 1000 rounds your estimate is not finite: u and v have grown without bound.", hint)
    close(
        number(answer(weight, v, 1000), "the estimate", not_finite=not_finite),
        values[0],
        name="the estimate",
        hint=hint,
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
            Mistake(
                (weight @ v).norm(),
                "You multiply with the v of the round before, which has another length.",
                "uᵀ W v with the last u and the last v.",
            ),
            Mistake(
                (weight @ (weight.T @ weight @ v)).norm() / (weight.T @ weight @ v).norm(),
                "Your last u is newer than your last v: this is ‖W v‖, half a round too far.",
                "uᵀ W v, with the u that made the last v.",
            ),
            Mistake(rounds(1, torch.ones_like(v)), "You start at a vector of ones.", "Start at `v`."),
        ],
        name="the estimate after one round",
    )
    for steps in (2, 3):
        fewer = Mistake(rounds(steps - 1), "You do one round too few.", "`range(steps)`.")
        more = Mistake(rounds(steps + 1), "You do one round too many.", "`range(steps)`.")
        value = number(answer(weight, v, steps), "the estimate")
        close(value, rounds(steps), [fewer, more], name=f"the estimate after {steps} rounds")


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
                appended(features.var(0, unbiased=False).mean().sqrt()),
                "You average variances and take the root afterwards.",
                "The deviation of each feature, then the mean.",
            ),
            Mistake(appended(features.var(0).mean()), "You average variances.", "Take deviations."),
            Mistake(
                appended((features - features.mean(0)).abs().mean()),
                "This is the mean absolute deviation.",
                "The standard deviation: the root of the mean square.",
            ),
            Mistake(
                appended(features.square().mean(0).sqrt().mean()),
                "You forgot to subtract the mean.",
                "A deviation is measured from the mean over the batch.",
            ),
            Mistake(appended(spread.max()), "You take the largest deviation.", "Average them."),
            Mistake(appended(spread.median()), "You take the median of the deviations.", "Average them."),
            Mistake(
                appended(features.mean(1).std(unbiased=False)),
                "You average over the features before you take the deviation.",
                "First the deviation of each feature, then the mean.",
            ),
            Mistake(
                torch.cat([features - features.mean(0), spread.mean().expand(6, 1)], dim=1),
                "You changed the features.",
                "Append to them as they are.",
            ),
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
    alike = torch.full((6, 3), 2.0, dtype=torch.float64)
    added = "You add a small number to the variance: a batch that does not vary at all should get exactly 0."
    value = tensor(answer(alike), (6, 4), name="your result for a batch of equal examples")
    if value[:, -1].gt(1e-6).all():
        raise Wrong(added, "`std` as it is.")
    close(value, torch.cat([alike, 0 * alike[:, :1]], dim=1), name="your result for a batch of equal examples")
