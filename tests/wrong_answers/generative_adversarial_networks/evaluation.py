"""Wrong answers of chapter 8: modes, Fréchet distance, precision and recall."""

import torch

from wrong_answers import wrong

# --- gan.count_modes -------------------------------------------------------------------------------------------------


@wrong("gan.count_modes", says="exactly `least` samples is not counted")
def more_than_least(samples, centers, radius, least):
    distance, nearest = torch.cdist(samples, centers).min(1)
    return (torch.bincount(nearest[distance <= radius], minlength=len(centers)) > least).sum().item()


@wrong("gan.count_modes", says="nearest to some sample")
def any_sample(samples, centers, radius, least):
    return len(torch.cdist(samples, centers).argmin(1).unique())


@wrong("gan.count_modes", says="whose samples are too far away")
def without_radius(samples, centers, radius, least):
    nearest = torch.cdist(samples, centers).argmin(1)
    return (torch.bincount(nearest, minlength=len(centers)) >= least).sum().item()


@wrong("gan.count_modes", says="every center it is near")
def not_the_nearest_alone(samples, centers, radius, least):
    return ((torch.cdist(samples, centers) <= radius).sum(0) >= least).sum().item()


@wrong("gan.count_modes", says="count samples, not modes")
def samples_counted(samples, centers, radius, least):
    return (torch.cdist(samples, centers).min(1).values <= radius).sum().item()


def modes(samples, centers, radius, least, near=torch.le):
    distance, nearest = torch.cdist(samples, centers).min(1)
    return (torch.bincount(nearest[near(distance, radius)], minlength=len(centers)) >= least).sum().item()


@wrong("gan.count_modes", says="A sample exactly `radius` away is not counted")
def nearer_than_radius(samples, centers, radius, least):
    return modes(samples, centers, radius, least, torch.lt)


@wrong("gan.count_modes", says="You compare the squared distance with `radius`")
def squared_distance(samples, centers, radius, least):
    d, n = torch.cdist(samples, centers).square().min(1)
    return (torch.bincount(n[d <= radius], minlength=len(centers)) >= least).sum().item()


@wrong("gan.count_modes", says="You add up the distances along the axes")
def sum_of_axes(samples, centers, radius, least):
    d, n = torch.cdist(samples, centers, p=1).min(1)
    return (torch.bincount(n[d <= radius], minlength=len(centers)) >= least).sum().item()


@wrong("gan.count_modes", says="Your balls are squares: you take the larger of Δx and Δy")
def larger_axis(samples, centers, radius, least):
    d, n = torch.cdist(samples, centers, p=float("inf")).min(1)
    return (torch.bincount(n[d <= radius], minlength=len(centers)) >= least).sum().item()


@wrong("gan.count_modes", says="This is a share of the modes")
def share_of_modes(samples, centers, radius, least):
    return modes(samples, centers, radius, least) / len(centers)


@wrong("gan.count_modes", says="A sample counts for the first center it is near")
def least_is_five(samples, centers, radius, least):
    return modes(samples, centers, radius, 5)


@wrong("gan.count_modes", says="Modes are missed whose samples are near the radius")
def radius_is_a_fifth(samples, centers, radius, least):
    return modes(samples, centers, 0.2, least)


@wrong("gan.count_modes", says="A mode is counted that has too few samples")
def one_sample_is_enough(samples, centers, radius, least):
    return modes(samples, centers, radius, 1)


@wrong("gan.count_modes", says="A mode with exactly `least` samples is not counted")
def one_more_than_least(samples, centers, radius, least):
    return modes(samples, centers, radius, least + 1)


@wrong("gan.count_modes", says="A mode is counted that has too few samples")
def one_less_than_least(samples, centers, radius, least):
    return modes(samples, centers, radius, least - 1)


@wrong("gan.count_modes", says="A mode is counted whose samples are too far away")
def mean_is_near(samples, centers, radius, least):
    n = torch.cdist(samples, centers).argmin(1)
    k = 0
    for i in range(len(centers)):
        m = samples[n == i]
        if len(m) >= least and (m.mean(0) - centers[i]).norm() <= radius:
            k += 1
    return k


@wrong("gan.count_modes", says="A sample counts for the first center it is near")
def first_near_center(samples, centers, radius, least):
    used = torch.zeros(len(samples), dtype=bool)
    k = 0
    for i in range(len(centers)):
        m = ((samples - centers[i]).norm(dim=1) <= radius) & ~used
        used |= m
        k += int(m.sum() >= least)
    return k


# --- gan.frechet -----------------------------------------------------------------------------------------------------


def distance(mean, a, other, b, overlap):
    return (mean - other).square().sum() + a.trace() + b.trace() - 2 * overlap


def overlap(a, b):
    return torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()


@wrong("gan.frechet", says="root of each entry")
def entrywise(mean, a, other, b):
    return distance(mean, a, other, b, (a @ b).clamp(min=0).sqrt().trace())


@wrong("gan.frechet", says="factor 2 is missing")
def no_factor(mean, a, other, b):
    return distance(mean, a, other, b, overlap(a, b) / 2)


@wrong("gan.frechet", says="right only where they commute")
def roots_multiplied(mean, a, other, b):
    roots = []
    for matrix in (a, b):
        values, vectors = torch.linalg.eigh(matrix)
        roots.append(vectors @ values.sqrt().diag() @ vectors.T)
    return distance(mean, a, other, b, (roots[0] @ roots[1]).trace())


@wrong("gan.frechet", says="not its square")
def unsquared(mean, a, other, b):
    return (mean - other).norm() + distance(0 * mean, a, 0 * mean, b, overlap(a, b))


@wrong("gan.frechet", says="root of the trace")
def root_of_the_trace(mean, a, other, b):
    return distance(mean, a, other, b, (a @ b).trace().sqrt())


@wrong("gan.frechet", says="The means are missing")
def no_means(mean, a, other, b):
    return distance(mean, a, mean, b, overlap(a, b))


@wrong("gan.frechet", says="You take singular values of Σ Σ'")
def singular_values(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).square().sum()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * torch.linalg.svdvals(covariance @ other_covariance).sqrt().sum()
    )


@wrong("gan.frechet", says="`eigvalsh` is for symmetric matrices")
def of_a_symmetric_matrix(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).square().sum()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * torch.linalg.eigvalsh(covariance @ other_covariance).clamp(min=0).sqrt().sum()
    )


@wrong("gan.frechet", says="You average over the means")
def mean_over_means(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).square().mean()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * overlap(covariance, other_covariance)
    )


@wrong("gan.frechet", says="You add the means")
def means_added(mean, covariance, other_mean, other_covariance):
    return (
        (mean + other_mean).square().sum()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * overlap(covariance, other_covariance)
    )


@wrong("gan.frechet", says="You add all entries")
def all_entries(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).square().sum()
        + covariance.sum()
        + other_covariance.sum()
        - 2 * overlap(covariance, other_covariance)
    )


@wrong("gan.frechet", says="The other covariance's trace is missing")
def one_trace(mean, covariance, other_mean, other_covariance):
    return (mean - other_mean).square().sum() + covariance.trace() - 2 * overlap(covariance, other_covariance)


@wrong("gan.frechet", says="You use variances alone: the correlations are missing")
def variances_alone(mean, covariance, other_mean, other_covariance):
    return (mean - other_mean).square().sum() + (
        covariance.diagonal().sqrt() - other_covariance.diagonal().sqrt()
    ).square().sum()


@wrong("gan.frechet", says="The root of the product is missing")
def eigenvalues_without_root(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).square().sum()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * torch.linalg.eigvals(covariance @ other_covariance).real.sum()
    )


@wrong("gan.frechet", says="You take the root of the trace")
def root_of_the_sum(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).square().sum()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * torch.linalg.eigvals(covariance @ other_covariance).real.sum().sqrt()
    )


@wrong("gan.frechet", says="You add absolute differences of the means")
def absolute_means(mean, covariance, other_mean, other_covariance):
    return (
        (mean - other_mean).abs().sum()
        + covariance.trace()
        + other_covariance.trace()
        - 2 * overlap(covariance, other_covariance)
    )


@wrong("gan.frechet", says="You compare the entries of the covariances")
def entries_compared(mean, covariance, other_mean, other_covariance):
    return (mean - other_mean).square().sum() + (covariance - other_covariance).square().sum()


# --- gan.precision_recall --------------------------------------------------------------------------------------------


def within(points, others, nth, dim=1):
    radius = torch.cdist(others, others).kthvalue(nth, dim=1).values
    return (torch.cdist(points, others) <= radius).any(dim).double().mean().item()


@wrong("gan.precision_recall", says="point itself")
def itself_counted(real, fake, k):
    return within(fake, real, k), within(real, fake, k)


@wrong("gan.precision_recall", says="Precision and recall are swapped")
def swapped_shares(real, fake, k):
    return within(real, fake, k + 1), within(fake, real, k + 1)


@wrong("gan.precision_recall", says="count the balls that hold something")
def balls_counted(real, fake, k):
    return within(fake, real, k + 1, dim=0), within(real, fake, k + 1, dim=0)


@wrong("gan.precision_recall", says="This is a count")
def counts(real, fake, k):
    return within(fake, real, k + 1) * len(fake), within(real, fake, k + 1) * len(real)


@wrong("gan.precision_recall", says="lies in no ball")
def complement(real, fake, k):
    return 1 - within(fake, real, k + 1), 1 - within(real, fake, k + 1)


def share(points, others, radius, dim=1):
    return (torch.cdist(points, others) <= radius).any(dim).double().mean().item()


def radii(points, k):
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values


@wrong("gan.precision_recall", says="You count the balls that hold something")
def coverage_for_recall(real, fake, k):
    return (share(fake, real, radii(real, k)), share(fake, real, radii(real, k), 0))


@wrong("gan.precision_recall", says="All your balls have one common radius")
def median_radius(real, fake, k):
    return (share(fake, real, radii(real, k).median()), share(real, fake, radii(fake, k).median()))


@wrong("gan.precision_recall", says="All your balls have one common radius")
def mean_radius(real, fake, k):
    return (share(fake, real, radii(real, k).mean()), share(real, fake, radii(fake, k).mean()))


@wrong("gan.precision_recall", says="All your balls have one common radius")
def largest_radius(real, fake, k):
    return (share(fake, real, radii(real, k).max()), share(real, fake, radii(fake, k).max()))


@wrong("gan.precision_recall", says="A point exactly on the edge of a ball does not count")
def inside_alone(real, fake, k):

    def g(p, o):
        return (torch.cdist(p, o) < radii(o, k)).any(1).double().mean().item()

    return (g(fake, real), g(real, fake))


@wrong("gan.precision_recall", says="You look at the ball of the nearest point alone")
def nearest_ball_alone(real, fake, k):

    def g(p, o):
        d, n = torch.cdist(p, o).min(1)
        return (d <= radii(o, k)[n]).double().mean().item()

    return (g(fake, real), g(real, fake))


@wrong("gan.precision_recall", says="You always take k = 3")
def always_three(real, fake, k):
    return (share(fake, real, radii(real, 3)), share(real, fake, radii(fake, 3)))


@wrong("gan.precision_recall", says="You always take k = 5")
def always_five(real, fake, k):
    return (share(fake, real, radii(real, 5)), share(real, fake, radii(fake, 5)))


@wrong("gan.precision_recall", says="You always take k = 2")
def always_two(real, fake, k):
    return (share(fake, real, radii(real, 2)), share(real, fake, radii(fake, 2)))


@wrong("gan.precision_recall", says="You compare squared distances with radii that are not squared")
def squared_distances(real, fake, k):

    def g(p, o):
        return (torch.cdist(p, o).square() <= radii(o, k)).any(1).double().mean().item()

    return (g(fake, real), g(real, fake))


@wrong("gan.precision_recall", says="You count the balls that hold something")
def balls_of_real_points_twice(real, fake, k):
    return (
        share(fake, real, radii(real, k)),
        (torch.cdist(real, fake) <= radii(real, k)[:, None]).any(1).double().mean().item(),
    )


@wrong("gan.precision_recall", says="You count the balls that hold something")
def balls_of_the_points_asked_for(real, fake, k):
    return (
        (torch.cdist(fake, real) <= radii(fake, k)[:, None]).any(1).double().mean().item(),
        (torch.cdist(real, fake) <= radii(real, k)[:, None]).any(1).double().mean().item(),
    )


@wrong("gan.precision_recall", says="Your recall is the precision")
def precision_twice(real, fake, k):
    return (share(fake, real, radii(real, k)), share(fake, real, radii(real, k)))


@wrong("gan.precision_recall", says="No point lies in all balls")
def in_all_balls(real, fake, k):

    def g(p, o):
        return (torch.cdist(p, o) <= radii(o, k)).all(1).double().mean().item()

    return (g(fake, real), g(real, fake))


@wrong("gan.precision_recall", says="These are percent")
def percent(real, fake, k):
    return (100 * share(fake, real, radii(real, k)), 100 * share(real, fake, radii(fake, k)))


@wrong("gan.count_modes", says="but further than `radius` from it")
def nearest_sample_within(samples, centers, radius, least):
    distance = torch.cdist(samples, centers)
    own = torch.nn.functional.one_hot(distance.argmin(1), len(centers)).sum(0)
    return ((own >= least) & (distance.amin(0) <= radius)).sum()


@wrong("gan.count_modes", says="compare the mean distance")
def mean_distance_within(samples, centers, radius, least):
    distance, nearest = torch.cdist(samples, centers).min(1)
    own = [distance[nearest == k] for k in range(len(centers))]
    return sum(len(d) >= least and d.mean().item() <= radius for d in own)


@wrong("gan.frechet", says="For singular covariances your distance is NaN")
def eigenvalues_not_clamped(mean, covariance, other_mean, other_covariance):
    overlap = torch.linalg.eigvals(covariance @ other_covariance).real.sqrt().sum()
    return (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * overlap


@wrong("gan.frechet", says="You make Σ Σ' symmetric")
def symmetric_product(mean, covariance, other_mean, other_covariance):
    product = covariance @ other_covariance
    overlap = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    return (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * overlap


@wrong("gan.frechet", says="You multiply Cholesky factors")
def cholesky_factors(mean, covariance, other_mean, other_covariance):
    overlap = (torch.linalg.cholesky(covariance).T @ torch.linalg.cholesky(other_covariance)).trace()
    return (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * overlap


def _share_of(points, others, radius):
    return (torch.cdist(points, others) <= radius).any(1).double().mean()


@wrong("gan.precision_recall", says="two points in one place for one")
def all_at_distance_zero_left_out(real, fake, k):
    def radius(points):
        distance = torch.cdist(points, points)
        return distance.masked_fill(distance == 0, torch.inf).kthvalue(k, dim=1).values

    return _share_of(fake, real, radius(real)), _share_of(real, fake, radius(fake))


@wrong("gan.precision_recall", says="two points in one place for one")
def without_copies(real, fake, k):
    def share(points, others):
        others = others.unique(dim=0)
        return _share_of(points, others, torch.cdist(others, others).kthvalue(k + 1, dim=1).values)

    return share(fake, real), share(real, fake)
