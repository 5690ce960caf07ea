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


@wrong("gan.count_modes", says="too few samples, or whose samples are too far away")
def without_radius(samples, centers, radius, least):
    nearest = torch.cdist(samples, centers).argmin(1)
    return (torch.bincount(nearest, minlength=len(centers)) >= least).sum().item()


@wrong("gan.count_modes", says="every center it is near")
def not_the_nearest_alone(samples, centers, radius, least):
    return ((torch.cdist(samples, centers) <= radius).sum(0) >= least).sum().item()


@wrong("gan.count_modes", says="count samples, not modes")
def samples_counted(samples, centers, radius, least):
    return (torch.cdist(samples, centers).min(1).values <= radius).sum().item()


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
