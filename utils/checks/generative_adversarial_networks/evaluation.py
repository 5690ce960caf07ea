"""Checks of chapter 8: modes, Fréchet distance, precision and recall."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, number, parts


@exercise("gan.count_modes", call="count_modes(samples, centers, radius, least)")
def count_modes(answer: Callable, generator: Generator) -> None:
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    radius, least = 0.2, 5
    # 9 at the first center, 5 at the second (just enough), 4 at the third (one short), 20 far around the fourth.
    wanted = [(0, 9, 0.1), (1, 5, 0.1), (2, 4, 0.1), (3, 20, 0.3)]
    rows = []
    for k, count, distance in wanted:
        angle = 2 * math.pi * draw.uniform(generator, count)
        rows.append(centers[k] + distance * torch.stack([angle.cos(), angle.sin()], dim=1))
    samples = torch.cat(rows)[torch.randperm(38, generator=generator)]
    close(
        number(answer(samples, centers, radius, least), "the count"),
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
                "Every center that is nearest to some sample is counted.",
                "Count only near samples, and at least `least`.",
            ),
            Mistake(18.0, "You count samples, not modes.", "How many centers have enough of them?"),
            Mistake(14.0, "You count samples, not modes.", "How many centers have enough of them?"),
            Mistake(
                0.0,
                "No mode is found.",
                "Compare distances with `radius`, not their squares with it; count each center.",
            ),
        ],
        name="the count",
    )
    # Wide balls overlap: a sample counts for its nearest center alone.
    overlapping = centers[:1] + 0.01 * draw.normal(generator, 10, 2)
    close(
        number(answer(overlapping, centers[:3], 1.5, 5), "the count"),
        torch.tensor(1.0, dtype=torch.float64),
        [Mistake(3.0, "A sample counts for every center it is near.", "Only for the nearest: `argmin` over centers.")],
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
