"""Scores of forecasts: closed forms against integrals, draws against closed forms, and what makes them proper."""

import math

import pytest
import torch

from utils.metrics import coverage, crps_gaussian, crps_samples, interval, pinball


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def normal_draws(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("mean", "std", "y"), [(0.0, 1.0, 0.3), (2.0, 0.5, 4.0), (-1.0, 3.0, -1.0)])
def test_crps_of_a_gaussian_is_the_integral(mean, std, y):
    # Two pieces, because the integrand jumps at y.
    total = 0.0
    for low, high, step in ((mean - 40 * std, y, 0.0), (y, mean + 40 * std, 1.0)):
        x = torch.linspace(low, high, 400_001, dtype=torch.float64)
        total += torch.trapezoid((torch.special.ndtr((x - mean) / std) - step).square(), x).item()
    assert crps_gaussian(tensor(mean), tensor(std), tensor(y)).item() == pytest.approx(total, abs=1e-8)


def test_crps_of_a_gaussian_has_the_known_value_at_the_mean():
    # (√2 − 1) / √π σ
    at_the_mean = (math.sqrt(2) - 1) / math.sqrt(math.pi)
    assert crps_gaussian(tensor(5.0), tensor(2.0), tensor(5.0)).item() == pytest.approx(2 * at_the_mean, abs=1e-14)


def test_a_forecast_without_doubt_is_judged_by_its_absolute_error():
    assert crps_gaussian(tensor(1.0), tensor(1e-9), tensor(3.5)).item() == pytest.approx(2.5, abs=1e-8)
    assert crps_samples(torch.full((7, 1), 1.0).double(), tensor(3.5)).item() == pytest.approx(2.5, abs=1e-12)


def test_crps_of_draws_is_the_definition():
    draws, y = normal_draws(9, 4), tensor(0.1, -2.0, 5.0, 0.0)
    pairs = (draws[:, None] - draws[None]).abs().sum((0, 1)) / (9 * 8)
    assert torch.allclose(crps_samples(draws, y), (draws - y).abs().mean(0) - pairs / 2, rtol=0, atol=1e-14)


def test_crps_of_draws_has_no_bias_even_for_two():
    y = tensor(0.7)
    scores = crps_samples(normal_draws(2, 200_000), y.expand(200_000))
    error = scores.std() / math.sqrt(len(scores))
    assert abs(scores.mean() - crps_gaussian(tensor(0.0), tensor(1.0), y)) < 5 * error


def test_crps_is_least_for_the_distribution_that_makes_the_data():
    y = normal_draws(100_000)
    score = {
        name: crps_gaussian(tensor(mean), tensor(std), y).mean()
        for name, mean, std in (("true", 0, 1), ("shifted", 0.3, 1), ("too wide", 0, 1.4), ("too narrow", 0, 0.7))
    }
    assert min(score, key=score.get) == "true"
    # The expected score under the truth: ½ E|X − X'| = 1 / √π.
    assert score["true"].item() == pytest.approx(1 / math.sqrt(math.pi), abs=0.005)


def test_crps_is_twice_the_integral_of_the_pinball_loss():
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    y = tensor(1.2)
    losses = torch.stack([pinball(torch.special.ndtri(level), y, level.item()) for level in levels[::20]])
    assert 2 * losses.mean().item() == pytest.approx(crps_gaussian(tensor(0), tensor(1), y).item(), abs=1e-3)


def test_pinball_is_least_at_the_quantile():
    draws = normal_draws(50_000)
    grid = torch.linspace(-2, 2, 81, dtype=torch.float64)
    best = grid[torch.stack([pinball(q, draws, 0.9).mean() for q in grid]).argmin()]
    assert best.item() == pytest.approx(1.2816, abs=0.06)
    assert pinball(tensor(1.0), tensor(3.0), 0.9).item() == pytest.approx(1.8)
    assert pinball(tensor(3.0), tensor(1.0), 0.9).item() == pytest.approx(0.2)


def test_coverage_of_the_truth_is_the_level():
    draws, y = normal_draws(1000, 4000), normal_draws(4000, seed=1)
    for level in (0.5, 0.8, 0.95):
        assert coverage(draws, y, level).mean().item() == pytest.approx(level, abs=5 * math.sqrt(0.25 / 4000))
    assert torch.allclose(torch.stack(interval(draws, 0.8)), draws.quantile(tensor(0.1, 0.9), dim=0))
    low, high = interval(normal_draws(20_000, 1), 0.8)
    assert low.item() == pytest.approx(-1.2816, abs=0.05)
    assert high.item() == pytest.approx(1.2816, abs=0.05)


def test_what_is_missing_has_no_score():
    draws, y = normal_draws(10, 3), tensor(0.0, math.nan, 1.0)
    for score in (crps_samples(draws, y), coverage(draws, y), crps_gaussian(tensor(0), tensor(1), y)):
        assert score.isnan().tolist() == [False, True, False]


def test_errors_say_what_was_given():
    with pytest.raises(ValueError, match=r"draws have shape \(3, 10\) and y has \(3,\).*draws along the first axis"):
        crps_samples(normal_draws(3, 10), tensor(0, 0, 0))
    with pytest.raises(ValueError, match=r"draws have shape \(1, 3\)"):
        crps_samples(normal_draws(1, 3), tensor(0, 0, 0))
    with pytest.raises(ValueError, match=r"draws have shape \(10, 2\)"):
        coverage(normal_draws(10, 2), tensor(0, 0, 0))
    with pytest.raises(ValueError, match="std goes down to 0"):
        crps_gaussian(tensor(0), tensor(0), tensor(1))
    for call in (lambda: pinball(tensor(0), tensor(0), 80), lambda: interval(normal_draws(5, 2), 80)):
        with pytest.raises(ValueError, match="level is 80: expected a probability between 0 and 1"):
            call()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_forecast_that_is_not_finite_is_refused(bad):
    """A comparison with NaN is false: a forecast of NaN would count as one that always misses."""
    draws, y = normal_draws(10, 3), tensor(0.0, 1.0, math.nan)
    draws[4, 1] = bad
    for call in (crps_samples, coverage, lambda draws, y: interval(draws)):
        with pytest.raises(ValueError, match=rf"draws\[4, 1\] is {bad}: expected finite numbers"):
            call(draws, y)
    with pytest.raises(ValueError, match=rf"mean\[0\] is {bad}"):
        crps_gaussian(tensor(bad), tensor(1.0), tensor(0.0))
    with pytest.raises(ValueError, match=rf"std\[0\] is {bad}"):
        crps_gaussian(tensor(0.0), tensor(bad), tensor(0.0))
    with pytest.raises(ValueError, match=rf"quantile\[0\] is {bad}"):
        pinball(tensor(bad), tensor(0.0), 0.5)


def test_the_score_of_draws_is_the_same_far_from_zero():
    draws, y = (normal_draws(50, 4) * 64).round() / 64, tensor(0.5, -2.0, 5.0, 0.0)
    assert torch.allclose(crps_samples(draws + 2.0**40, y + 2.0**40), crps_samples(draws, y), rtol=1e-4, atol=0)


def test_whole_numbers_are_a_forecast():
    draws, y = torch.tensor([[1, 5], [2, 7], [4, 7]]), torch.tensor([3, 3])
    assert torch.equal(crps_samples(draws, y), crps_samples(draws.double(), y.double()))
    assert torch.equal(coverage(draws, y), coverage(draws.double(), y.double()))
    with pytest.raises(
        ValueError, match=r"the shapes are mean \(2,\), std \(\), y \(3,\): expected shapes that broadcast"
    ):
        crps_gaussian(torch.zeros(2), torch.ones(()), torch.zeros(3))
