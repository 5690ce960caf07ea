"""Checks of chapter 8: modes, Fréchet distance, precision and recall."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, number, parts
from utils.checks.variations import of_steps, of_terms
from utils.checks.verdicts import Wrong


@exercise("gan.count_modes", call="count_modes(samples, centers, radius, least)")
def count_modes(answer: Callable, generator: Generator) -> None:
    # All coordinates are sums of few powers of 2: distances on the boundary are exact. A row is a kind of mode: how
    # many, samples more than `least`, where they are. No two mistakes leave out or add equally many modes.
    radius, least = 0.25, 5
    found = [
        (3, 2, (1 / 16, 1 / 16)),  # well inside
        (2, 0, (1 / 8, 0)),  # just enough
        (1, 1, (1 / 4, 0)),  # at the radius
        (4, 1, (1 / 8, 3 / 16)),  # near, but not along both axes together
    ]
    missed = [
        (2, -1, (0, 1 / 8)),  # one short
        (1, 1, (3 / 16, 3 / 16)),  # near along each axis
        (3, 1, (3 / 8, 0)),  # the square of the distance is near
        (2, 1, (1 / 2, 5 / 8)),  # far
        (1, -least, (0, 0)),  # empty
    ]
    kinds = [kind for kind in found + missed for _ in range(kind[0])]
    n_modes = len(kinds)
    centers = 2.0 * torch.stack([torch.arange(n_modes) % 4, torch.arange(n_modes) // 4], dim=1).double()
    centers = centers[torch.randperm(n_modes, generator=generator)]
    rows = []
    for center, (_, more, offset) in zip(centers, kinds, strict=True):
        # Opposite sides in turns: the samples' mean is near, wherever they are.
        side = (1 - 2 * (torch.arange(least + more) % 2)).double()[:, None] * (2 * draw.bits(generator, 2) - 1)
        rows.append(center + side * torch.tensor(offset, dtype=torch.float64))
    samples = torch.cat(rows)
    near = torch.cdist(samples, centers).amin(1) <= radius
    samples = samples[torch.randperm(len(samples), generator=generator)]
    truth = sum(kind[0] for kind in found)
    close(
        number(answer(samples, centers, radius, least), "the count"),
        torch.tensor(truth, dtype=torch.float64),
        [
            Mistake(truth - 2, "A mode with exactly `least` samples is not counted.", "At least: ≥."),
            Mistake(truth - 1, "A sample exactly `radius` away is not counted.", "At most `radius` away: ≤."),
            Mistake(truth - 5, "Modes are missed whose samples are near the radius.", "Use `radius` as it is given."),
            Mistake(truth - 4, "You add up the distances along the axes.", "The distance is √(Δx² + Δy²)."),
            Mistake(truth + 1, "Your balls are squares: you take the larger of Δx and Δy.", "√(Δx² + Δy²)."),
            Mistake(truth + 2, "A mode is counted that has too few samples.", "At least `least`."),
            Mistake(truth + 4, "You compare the squared distance with `radius`.", "The distance itself."),
            Mistake(truth + 6, "A mode is counted whose samples are too far away.", "Each sample within `radius`."),
            Mistake(
                truth + 8,
                "Every center that is nearest to some sample is counted.",
                "Count only near samples, and at least `least`.",
            ),
            Mistake(n_modes, "You count all centers.", "Only those with enough near samples."),
            Mistake(near.sum(), "You count samples, not modes.", "How many centers have enough of them?"),
            Mistake(len(samples), "You count samples, not modes.", "How many centers have enough of them?"),
            Mistake(truth / n_modes, "This is a share of the modes.", "Return how many."),
            Mistake(0.0, "No mode is found.", "Compare each distance with `radius`; count for each center."),
        ],
        name="the count",
    )
    # Wide balls overlap: a sample counts for its nearest center alone, whatever the order of the centers.
    wide = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    overlapping = wide[torch.tensor([0] * 7 + [1] * 3 + [2] * 2)] + 0.01 * draw.normal(generator, 12, 2)
    close(
        number(answer(overlapping, wide, 1.5, 3), "the count"),
        torch.tensor(2.0, dtype=torch.float64),
        [
            Mistake(4.0, "A sample counts for every center it is near.", "Only for the nearest: `argmin`."),
            Mistake(1.0, "A sample counts for the first center it is near, or `least` is not used.", "The nearest."),
            Mistake(0.0, "You do not use `radius` as it is given.", "Here it is 1.5."),
        ],
        name="the count",
    )
    # In each mode some samples are near and some far: one or four near ones are too few, five are enough.
    places = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]], dtype=torch.float64)
    distances = [[0.5] + 9 * [10.0], 5 * [0.5] + 5 * [10.0], 4 * [0.25] + [2.0], 6 * [0.5] + 5 * [10.0]]
    rows = [c + torch.tensor([[d, 0.0] for d in own]).double() for c, own in zip(places, distances, strict=True)]
    close(
        number(answer(torch.cat(rows), places, 1.0, 5), "the count"),
        torch.tensor(2.0, dtype=torch.float64),
        [
            Mistake(
                4.0,
                "Samples count that are nearest to a center, but further than `radius` from it.",
                "Each sample for itself: at most `radius` away.",
            ),
            Mistake(
                1.0,
                "You compare the mean distance with `radius`: far samples hide near ones.",
                "Each sample for itself: at most `radius` away.",
            ),
        ],
        name="the count where modes have near and far samples",
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
            Mistake((mean - other).square().mean() + traces - 2 * overlap, "You average over the means.", "‖μ−μ'‖²."),
            Mistake((mean + other).square().sum() + traces - 2 * overlap, "You add the means.", "‖μ − μ'‖²."),
            Mistake(
                (mean - other).abs().sum() + traces - 2 * overlap,
                "You add absolute differences of the means.",
                "‖μ−μ'‖².",
            ),
            Mistake(means + a.trace() - 2 * overlap, "The other covariance's trace is missing.", "tr Σ + tr Σ'."),
            Mistake(means + b.trace() - 2 * overlap, "The first covariance's trace is missing.", "tr Σ + tr Σ'."),
            Mistake(
                means + a.sum() + b.sum() - 2 * overlap, "You add all entries.", "The trace is the diagonal's sum."
            ),
            Mistake(
                means + traces - 2 * torch.linalg.svdvals(a @ b).sqrt().sum(),
                "You take singular values of Σ Σ', which is not symmetric: they are not its eigenvalues.",
                "`torch.linalg.eigvals`, and the real part.",
            ),
            *(
                Mistake(
                    means + traces - 2 * torch.linalg.eigvalsh(a @ b, UPLO=half).clamp(min=0).sqrt().sum(),
                    "`eigvalsh` is for symmetric matrices, and Σ Σ' is none: it reads one half of it.",
                    "`torch.linalg.eigvals`, and the real part.",
                )
                for half in "LU"
            ),
            Mistake(
                means + (a.diagonal().sqrt() - b.diagonal().sqrt()).square().sum(),
                "You use variances alone: the correlations are missing.",
                "The root of the whole matrix Σ Σ'.",
            ),
            Mistake(means + (a - b).square().sum(), "You compare the entries of the covariances.", "tr (Σ Σ')^½."),
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
            Mistake(
                means + traces - 2 * torch.linalg.eigvalsh((a @ b + b @ a) / 2).clamp(min=0).sqrt().sum(),
                "You make Σ Σ' symmetric: its eigenvalues become others.",
                "`torch.linalg.eigvals`, and the real part.",
            ),
            *(
                Mistake(
                    means + traces - 2 * (left @ torch.linalg.cholesky(b)).trace(),
                    "You multiply Cholesky factors: these are no roots of the matrices, L L ≠ Σ.",
                    "The roots of the eigenvalues of Σ Σ'.",
                )
                for left in (torch.linalg.cholesky(a), torch.linalg.cholesky(a).T)
            ),
            Mistake(means + traces - 2 * (a @ b).trace(), "The root of the product is missing.", "tr (Σ Σ')^½."),
            Mistake(
                means + traces - 2 * (a @ b).trace().sqrt(),
                "You take the root of the trace.",
                "The trace of the root: sum the roots of the eigenvalues.",
            ),
        ],
        name="the distance",
        varied=lambda: (
            *of_terms({"‖μ − μ'‖²": means, "tr Σ": a.trace(), "tr Σ'": b.trace(), "−2 tr (Σ Σ')^½": -2 * overlap}),
            *of_steps(
                lambda mean, a, other, b: (
                    (mean - other).square().sum()
                    + a.trace()
                    + b.trace()
                    - 2 * torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()
                ),
                {"`mean`": mean, "`covariance`": a, "`other_mean`": other, "`other_covariance`": b},
            ),
            *of_steps(
                lambda difference, two, overlap: difference.square().sum() + traces - two * overlap,
                {"μ − μ'": mean - other, "the factor 2": 2.0, "tr (Σ Σ')^½": overlap},
            ),
        ),
    )
    close(
        number(answer(mean, a, mean, a), "the distance"),
        torch.tensor(0.0, dtype=torch.float64),
        name="the distance of a Gaussian from itself",
    )
    # Fewer features than dimensions: most eigenvalues are 0, and rounding makes some of them negative.
    thin, other_thin = draw.normal(generator, 2, 8, 2)
    zero = torch.zeros(8, dtype=torch.float64)
    not_finite = (
        "For singular covariances your distance is NaN: an eigenvalue that is 0 is rounded to a negative number.",
        "`clamp(min=0)` before the root.",
    )
    value = number(answer(zero, thin @ thin.T, zero, other_thin @ other_thin.T), "the distance", not_finite=not_finite)
    # The eigenvalues of A Aᵀ B Bᵀ are the squared singular values of Aᵀ B, and zeros.
    apart = thin.square().sum() + other_thin.square().sum() - 2 * torch.linalg.svdvals(thin.T @ other_thin).sum()
    close(value, apart, name="the distance for singular covariances")


@exercise("gan.precision_recall", call="precision_recall(real, fake, k)")
def precision_recall(answer: Callable, generator: Generator) -> None:
    def sets(k: int) -> tuple[Tensor, Tensor]:
        """Real and fake points: in one place both are dense, in another both are sparse, and some are alone."""
        far = 4.0 * draw.normal(generator, 5, 2) - 40
        real = torch.cat([0.3 * draw.normal(generator, 17, 2), 3 * draw.normal(generator, 14, 2) + 12])
        fake = torch.cat([0.4 * draw.normal(generator, 11, 2) + 0.4, 4 * draw.normal(generator, 13, 2) + 10, far])
        # Whole numbers, so that distances are exact: a ball of radius 5 k, and a point of the other set on its edge.
        line = torch.arange(k + 1.0, dtype=torch.float64)[:, None] * torch.tensor([[5.0, 0.0]]).double()
        touching = torch.arange(k + 1.0, dtype=torch.float64)[:, None] * torch.tensor([[0.0, -1.0]]).double()
        touching = touching - torch.tensor([0.0, 5.0 * k]).double()
        east, west = torch.tensor([200.0, 0.0]).double(), torch.tensor([-200.0, 0.0]).double()
        real = torch.cat([real, east + line, west + touching])
        fake = torch.cat([fake, west + line, east + touching])
        return tuple(points[torch.randperm(len(points), generator=generator)] for points in (real, fake))

    def radii(points: Tensor, nth: int) -> Tensor:
        return torch.cdist(points, points).sort(1).values[:, nth]

    def share(points: Tensor, others: Tensor, radius: Tensor, over: int = 1) -> Tensor:
        return (torch.cdist(points, others) <= radius).any(over).double().mean()

    def in_the_nearest_ball(points: Tensor, others: Tensor, radius: Tensor) -> Tensor:
        distance, nearest = torch.cdist(points, others).min(1)
        return (distance <= radius[nearest]).double().mean()

    asked = [(k, *sets(k)) for k in (2, 3, 4)]
    values = [
        [number(value, name) for value, name in zip(pair, ("precision", "recall"), strict=True)]
        for pair in (parts(answer(real, fake, k), ("precision", "recall")) for k, real, fake in asked)
    ]
    pairs = {
        "precision": [(fake, real, k) for k, real, fake in asked],
        "recall": [(real, fake, k) for k, real, fake in asked],
    }
    # Three questions at once: a share of so few points could be right by accident, three are not.
    found = dict(zip(pairs, (torch.stack(list(column)) for column in zip(*values, strict=True)), strict=True))
    truth = {name: torch.stack([share(p, o, radii(o, k)) for p, o, k in pairs[name]]) for name in pairs}
    if torch.equal(found["precision"], truth["recall"]) and torch.equal(found["recall"], truth["precision"]):
        raise Wrong("Precision and recall are swapped.", "Precision: fakes in balls of real points.")
    for (name, points), other in zip(pairs.items(), ("recall", "precision"), strict=True):
        sizes = torch.tensor([float(len(p)) for p, _, _ in points], dtype=torch.float64)

        def with_radius(radius: Callable[[Tensor, int], Tensor], points: list = points) -> Tensor:
            return torch.stack([share(p, o, radius(o, k)) for p, o, k in points])

        nth_hint = "The k-th other point is the (k + 1)-th smallest distance."
        common = "All your balls have one common radius."
        close(
            found[name],
            truth[name],
            [
                Mistake(
                    with_radius(lambda o, k: radii(o, k - 1)),
                    "The nearest point of a set is the point itself: your balls reach to the (k − 1)-th other point.",
                    nth_hint,
                ),
                Mistake(
                    with_radius(lambda o, k: radii(o, k + 1)),
                    "Your balls reach to the (k + 1)-th other point.",
                    nth_hint,
                ),
                *(
                    Mistake(with_radius(radius), common, "Each ball reaches to its own center's k-th other point.")
                    for radius in (
                        lambda o, k: radii(o, k).mean(),
                        lambda o, k: radii(o, k).median(),
                        lambda o, k: radii(o, k).max(),
                        lambda o, k: radii(o, k).min(),
                    )
                ),
                Mistake(
                    torch.stack([share(p, o, radii(o, k) * (1 - 1e-9)) for p, o, k in points]),
                    "A point exactly on the edge of a ball does not count.",
                    "A ball reaches *to* its k-th other point: ≤.",
                ),
                Mistake(
                    torch.stack([share(o, p, radii(p, k), over=0) for p, o, k in points]),
                    "You count the balls that hold something, not the points that lie in one: this is coverage.",
                    "Any ball will do: `any` over the balls.",
                ),
                Mistake(
                    torch.stack([share(p, o, radii(o, k), over=0) for p, o, k in points]),
                    "You count the balls that hold something, not the points that lie in one.",
                    "Any ball will do: `any` over the balls.",
                ),
                Mistake(
                    torch.stack([share(p, o, radii(p, k)[:, None]) for p, o, k in points]),
                    "You give the balls to the points that are asked for: this is coverage of the other set.",
                    "The balls belong to the other set: precision asks for fakes in balls of real points.",
                ),
                Mistake(
                    torch.stack([in_the_nearest_ball(p, o, radii(o, k)) for p, o, k in points]),
                    "You look at the ball of the nearest point alone.",
                    "A wider ball further away may hold it: any ball will do.",
                ),
                Mistake(with_radius(lambda o, k: radii(o, 2)), "You always take k = 2.", "Use `k`."),
                Mistake(with_radius(lambda o, k: radii(o, 3)), "You always take k = 3.", "Use `k`."),
                Mistake(with_radius(lambda o, k: radii(o, 5)), "You always take k = 5.", "Use `k`."),
                Mistake(
                    with_radius(lambda o, k: radii(o, k).sqrt()),
                    "You compare squared distances with radii that are not squared.",
                    "Square both or none.",
                ),
                Mistake(truth[name] * sizes, "This is a count.", "Divide by the number of points."),
                Mistake(100 * truth[name], "These are percent.", "A share lies between 0 and 1."),
                Mistake(1 - truth[name], "This is the share that lies in no ball.", "Take the complement."),
                Mistake(0 * truth[name], "No point lies in all balls.", "Any ball will do: `any`, not `all`."),
                Mistake(truth[other], f"Your {name} is the {other}.", "Exchange the two sets."),
            ],
            name=f"{name} for k = 2, 3 and 4",
            hint="Radius of each ball from its own set; then ask for each point whether some ball holds it.",
        )
    # Two real points in one place: each is the other's nearest, and their balls are points.
    line = torch.tensor([[[0.0], [0.0], [4.0], [10.0]], [[-3.0], [-3.0], [5.0], [20.0]]], dtype=torch.float64)
    precision, _ = parts(answer(*line, 1), ("precision", "recall"))
    merged = Mistake(
        0.75,
        "You take two points in one place for one: a point's copy is another point, at distance 0.",
        "Leave out the point itself, by its place in the list, not all that is at distance 0.",
    )
    close(number(precision, "precision"), torch.tensor(0.25).double(), [merged], name="precision with equal points")
