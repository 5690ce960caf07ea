"""Measures of samples against closed forms, scipy, torchmetrics and brute force."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from utils.metrics import frechet_distance, neighbors


def normal(n, dim, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(n, mean, covariance, seed=0):
    """Points whose sample mean and covariance are exactly these."""
    x = normal(n, len(mean), seed)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(torch.cov(x.T).reshape(len(mean), -1)), x.T, upper=False
    )
    return (torch.linalg.cholesky(covariance) @ white).T + mean


def spd(dim, seed):
    a = normal(dim, dim, seed)
    return a @ a.T + 0.1 * torch.eye(dim, dtype=torch.float64)


# --- Fréchet


def test_frechet_of_gaussians_on_an_axis():
    """In one dimension it is (μ − μ')² + (σ − σ')²."""
    one = with_moments(50, torch.tensor([1.0]).double(), torch.tensor([[4.0]]).double())
    two = with_moments(70, torch.tensor([-2.0]).double(), torch.tensor([[0.25]]).double(), seed=1)
    assert math.isclose(frechet_distance(one, two), 9 + 1.5**2, rel_tol=1e-9)


def test_frechet_of_commuting_covariances():
    """Equal principal axes: the squared differences of the standard deviations along them."""
    axes, _ = torch.linalg.qr(normal(5, 5, seed=3))
    first, second = (
        torch.tensor([1.0, 2.0, 3.0, 0.5, 0.0]).double() + 0.1,
        torch.tensor([2.0, 2.0, 1.0, 0.1, 4.0]).double(),
    )
    shift = normal(5, 1, seed=4)[:, 0]
    one = with_moments(40, torch.zeros(5).double(), axes @ torch.diag(first**2) @ axes.T)
    two = with_moments(90, shift, axes @ torch.diag(second**2) @ axes.T, seed=1)
    expected = (shift.square().sum() + (first - second).square().sum()).item()
    assert math.isclose(frechet_distance(one, two), expected, rel_tol=1e-8)


def test_frechet_against_the_matrix_root_of_scipy():
    one, two = normal(200, 6) @ spd(6, 1), normal(150, 6, seed=5) @ spd(6, 2) + 1
    a, b = (torch.cov(x.T).numpy() for x in (one, two))
    expected = (one.mean(0) - two.mean(0)).square().sum().item() + (a + b - 2 * scipy.linalg.sqrtm(a @ b)).trace().real
    assert math.isclose(frechet_distance(one, two), expected, rel_tol=1e-9)
    assert math.isclose(frechet_distance(two, one), expected, rel_tol=1e-9)


def test_frechet_against_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Flat(nn.Module):
        def forward(self, x):
            return x.flatten(1)

    fid = FrechetInceptionDistance(feature=Flat(), input_img_size=(1, 2, 4), normalize=True)
    fid.set_dtype(torch.float64)
    images = [torch.rand(64, 1, 2, 4, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1)]
    images[1] = images[1].square()
    fid.update(images[0], real=True)
    fid.update(images[1], real=False)
    ours = frechet_distance(images[0].flatten(1), images[1].flatten(1))
    assert math.isclose(ours, fid.compute().item(), rel_tol=1e-6)


def test_frechet_is_zero_for_the_same_and_survives_flat_covariances():
    x = normal(30, 4)
    assert frechet_distance(x, x) < 1e-9
    flat = torch.cat([x, torch.zeros(30, 3, dtype=torch.float64)], dim=1)
    assert math.isclose(frechet_distance(flat, flat + 1), 7, rel_tol=1e-9)
    few = normal(3, 10)  # fewer rows than features
    assert math.isclose(frechet_distance(few, few + 1), 10, rel_tol=1e-6)
    assert frechet_distance(normal(20, 2).float(), normal(20, 2).float()) < 1e-9


# --- neighbors


def brute_force(real, fake, k):
    def radius(points, i):
        return sorted(math.dist(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    real_radius = [radius(real, i) for i in range(len(real))]
    fake_radius = [radius(fake, i) for i in range(len(fake))]
    inside = [[math.dist(r, f) <= radius for f in fake] for r, radius in zip(real, real_radius, strict=True)]
    recalled = [any(math.dist(r, f) <= radius for f, radius in zip(fake, fake_radius, strict=True)) for r in real]
    precise = [any(row[j] for row in inside) for j in range(len(fake))]
    return (
        sum(precise) / len(fake),
        sum(recalled) / len(real),
        sum(any(row) for row in inside) / len(real),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("chunk", [7, 1000])
def test_neighbors_against_brute_force(k, chunk):
    real, fake = normal(40, 3), 0.7 * normal(30, 3, seed=1) + 0.5
    expected = brute_force(real.tolist(), fake.tolist(), k)
    found = neighbors(real, fake, k=k, chunk=chunk)
    assert found == pytest.approx(expected, abs=1e-12)
    assert len(set(found)) == 3  # the case tells the three apart


def test_neighbors_name_what_is_wrong():
    two_heaps = torch.cat([normal(200, 2), normal(200, 2, seed=1) + 30])
    same = torch.cat([normal(200, 2, seed=2), normal(200, 2, seed=3) + 30])
    assert min(neighbors(two_heaps, same)) > 0.9
    one_heap = neighbors(two_heaps, normal(400, 2, seed=4))
    assert one_heap.precision > 0.9
    assert one_heap.coverage == one_heap.recall == pytest.approx(0.5, abs=0.05)
    junk = neighbors(two_heaps, torch.cat([same[:200:2], same[200::2], normal(200, 2, seed=5) + 300]))
    assert junk.precision == pytest.approx(0.5, abs=0.05)
    assert junk.coverage > 0.85
    # A single far-off sample has a ball that holds all: recall is fooled, coverage is not.
    lone = torch.cat([normal(6, 2), torch.full((1, 2), 1000.0).double()])
    fooled = neighbors(two_heaps, lone, k=5)
    assert fooled.recall == 1
    assert fooled.coverage < 0.5


# --- refusals


@pytest.mark.parametrize("measure", [frechet_distance, neighbors])
@pytest.mark.parametrize("shapes", [((5, 2), (5, 3)), ((5, 2, 2), (5, 2, 2)), ((1, 2), (5, 2))])
def test_features_of_other_shapes_are_refused(measure, shapes):
    with pytest.raises(ValueError, match=r"expected \(N, F\) and \(M, F\)"):
        measure(*map(torch.zeros, shapes))


@pytest.mark.parametrize("k", [0, 5])
def test_a_senseless_k_is_refused(k):
    with pytest.raises(ValueError, match=rf"k is {k}: expected a whole number from 1 to 4"):
        neighbors(normal(5, 2), normal(6, 2), k=k)


@pytest.mark.parametrize("measure", [frechet_distance, neighbors])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("columns", [1, 3])
def test_features_that_are_not_finite_are_refused(measure, bad, columns):
    """NaN compares as false everywhere: it would count as a feature far from all others, or as no distance at all."""
    x = normal(10, columns)
    spoiled = x.clone()
    spoiled[4, -1] = bad
    for pair in ((x, spoiled), (spoiled, x), (x, torch.full_like(x, bad))):
        with pytest.raises(ValueError, match=rf"features\[\d, \d\] is {bad}: expected finite numbers"):
            measure(*pair)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [1e3, 1e4, 1e6])
def test_neighbors_far_from_zero_are_the_same(offset, dtype):
    real, fake = ((x * 64).round() / 64 for x in (normal(200, 3), 0.7 * normal(150, 3, seed=1) + 0.5))
    far = [(x + offset).to(dtype) for x in (real, fake)]
    if dtype == torch.float32:  # what float32 has rounded is rounded for the reference, too
        real, fake = (x.double() - offset for x in far)
    assert neighbors(*far) == neighbors(real, fake) == pytest.approx(brute_force(real.tolist(), fake.tolist(), 5))


def test_neighbors_in_heaps_that_lie_far_apart():
    real, fake = normal(60, 2), 0.7 * normal(60, 2, seed=1) + 0.5
    far = torch.where(torch.arange(60)[:, None] % 2 == 0, 2.0**26, 0.0)
    assert neighbors(real + far, fake + far) == pytest.approx(
        brute_force((real + far).tolist(), (fake + far).tolist(), 5)
    )


def test_whole_numbers_are_features_and_k_may_be_numpys():
    real, fake = (10 * normal(40, 3)).long(), (10 * normal(30, 3, seed=1)).long()
    assert frechet_distance(real, fake) == frechet_distance(real.double(), fake.double())
    assert neighbors(real, fake, k=np.int64(3)) == neighbors(real.double(), fake.double(), k=3)
    with pytest.raises(ValueError, match=r"k is 3.0: expected a whole number"):
        neighbors(real, fake, k=3.0)
