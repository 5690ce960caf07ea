"""Diffusion models against autograd, integrals, simulation, orders of convergence and a linear case in closed form."""

import math

import pytest
import torch
from torch import nn

from utils.models.diffusion import (
    EVALUATIONS,
    Cosine,
    Counted,
    Diffusion,
    Estimate,
    LinearBeta,
    NoisyMixture,
    Straight,
    TimeMLP,
    UNet,
    divergence,
    euler,
    flow_log_prob,
    reverse_chain,
    reverse_sde,
    solve,
)

SCHEDULES = (Cosine(), Straight(), LinearBeta())
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def mixture(schedule=None, dim=2):
    """Three components that differ in everything, so that no two sizes can be confused."""
    scales = torch.tensor([[0.3, 0.5], [0.4, 0.2], [0.6, 0.7]], dtype=torch.float64)[:, :dim]
    means = torch.tensor([[1.0, 0.4], [-0.8, 0.9], [0.1, -1.2]], dtype=torch.float64)[:, :dim]
    return NoisyMixture(torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64), means, scales, schedule)


# --- schedules


@each_schedule
def test_rates_are_the_derivatives(schedule):
    t = torch.linspace(0.02, 0.98, 25, dtype=torch.float64, requires_grad=True)
    for value, rate in ((schedule.alpha, schedule.alpha_rate), (schedule.sigma, schedule.sigma_rate)):
        (slope,) = torch.autograd.grad(value(t).sum(), t)
        assert (slope - rate(t)).abs().max() < 1e-9


@each_schedule
def test_at_the_ends_there_is_data_and_noise(schedule):
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert schedule.alpha(ends)[0] == 1 and schedule.sigma(ends)[0] < 1e-7
    assert schedule.alpha(ends)[1] < 0.01 and schedule.sigma(ends)[1] > 0.9999
    assert schedule.signal_to_noise(torch.linspace(0.01, 0.99, 50)).diff().max() < 0


@each_schedule
def test_the_parts_come_back_from_x_and_the_target(schedule):
    data, noise, t = randn(40, 3), randn(40, 3, seed=1), torch.rand(40, generator=generator(2), dtype=torch.float64)
    c, x = schedule.at(t, data), schedule.add_noise(data, noise, t)
    parts = c.parts(x, c.target(Estimate(data, noise)))
    assert (parts.data - data).abs().max() < 1e-9 and (parts.noise - noise).abs().max() < 1e-9


@each_schedule
def test_the_time_of_a_ratio_is_the_time_of_that_ratio(schedule):
    t = torch.linspace(0.01, 0.99, 30, dtype=torch.float64)
    assert (schedule.time_of(schedule.sigma(t) / schedule.alpha(t)) - t).abs().max() < 1e-9


def test_focus_draws_times_where_data_and_noise_are_mixed():
    seen = []

    class Watched(nn.Module):
        def forward(self, x, t):
            seen.append(t)
            return x

    model = Diffusion(Watched(), (1,))
    for focus in (0.0, 1.0):
        model.loss(torch.zeros(4000, 1), focus=focus, generator=generator())
    assert seen[0].min() < 0.001 and seen[0].std().item() == pytest.approx(12**-0.5, abs=0.01)
    logs = (seen[1] * math.pi / 2).tan().log()
    assert logs.mean().item() == pytest.approx(0, abs=0.01) and logs.std().item() == pytest.approx(1, abs=0.01)


def test_the_target_is_that_of_salimans_and_ho_where_the_variance_stays_one():
    data, noise = randn(5, 2), randn(5, 2, seed=1)
    for schedule in (Cosine(), LinearBeta()):
        c = schedule.at(0.3, data)
        assert (c.target(Estimate(data, noise)) - (c.alpha * noise - c.sigma * data)).abs().max() < 1e-9


def test_the_spread_is_half_of_the_variance_that_the_chain_adds():
    x = randn(1, 1)
    for schedule in SCHEDULES:
        t, h = 0.4, 1e-6
        now, then = schedule.at(t, x), schedule.at(t + h, x)
        added = then.sigma**2 - (then.alpha / now.alpha * now.sigma) ** 2
        assert added.item() / (2 * h) == pytest.approx(now.spread.item(), rel=1e-4)
    beta = LinearBeta()
    assert beta.at(0.4, x).spread.item() == pytest.approx(0.5 * (0.1 + 0.4 * 19.9))


def test_a_chain_of_small_steps_is_one_large_step():
    schedule, x, steps = Cosine(), torch.full((20_000, 1), 0.7, dtype=torch.float64), torch.linspace(0, 0.6, 31)
    g = generator(3)
    for s, t in zip(steps[:-1].tolist(), steps[1:].tolist(), strict=True):
        before, after = schedule.at(s, x), schedule.at(t, x)
        ratio = after.alpha / before.alpha
        fresh = (after.sigma**2 - (ratio * before.sigma) ** 2).sqrt()
        x = ratio * x + fresh * torch.randn(x.shape, generator=g, dtype=x.dtype)
    c = schedule.at(0.6, x)
    assert x.mean().item() == pytest.approx(0.7 * c.alpha.item(), abs=4 * c.sigma.item() / len(x) ** 0.5)
    assert x.std().item() == pytest.approx(c.sigma.item(), rel=0.02)


def test_one_time_for_all_or_one_for_each():
    x = randn(4, 2)
    assert torch.equal(Cosine().at(torch.full((4,), 0.3), x).alpha[0, 0], Cosine().at(torch.tensor(0.3), x).alpha)
    with pytest.raises(ValueError, match="one for each of 4 rows"):
        Cosine().at(torch.rand(3), x)


# --- the exact field


@each_schedule
@pytest.mark.parametrize("t", [0.05, 0.4, 0.9])
def test_the_score_is_the_gradient_of_the_density(schedule, t):
    field, x = mixture(schedule), randn(30, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(field.log_prob(x, t).sum(), x)
    c, parts = schedule.at(t, x), field.estimate(x, t)
    assert (field.score(x, t) - gradient).abs().max() < 1e-9
    assert (parts.noise + c.sigma * gradient).abs().max() < 1e-9  # ε = −σ ∇ log p
    tweedie = (x + c.sigma.square() * gradient) / c.alpha
    assert (field.denoise(x, t) - tweedie).abs().max() < 1e-9 / c.alpha
    assert (c.alpha * parts.data + c.sigma * parts.noise - x).abs().max() < 1e-12


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_the_density_of_noisy_data_integrates_to_one(t):
    line = torch.linspace(-6, 6, 401, dtype=torch.float64)
    total = mixture().log_prob(torch.cartesian_prod(line, line), t).exp().sum() * (line[1] - line[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-6)


def test_the_posterior_mean_is_that_of_an_integral():
    field, t, x = mixture(dim=1), 0.35, torch.tensor([[0.2], [-1.1]], dtype=torch.float64)
    line = torch.linspace(-6, 6, 20_001, dtype=torch.float64)[:, None]
    c = Cosine().at(t, x)
    for row in x:
        log_weight = field.log_prob(line) - 0.5 * ((row - c.alpha * line) / c.sigma).square().sum(1)
        mean = (log_weight.softmax(0)[:, None] * line).sum()
        assert field.denoise(row[None], t).item() == pytest.approx(mean.item(), abs=1e-9)


def test_the_velocity_carries_the_density():
    """∂p/∂t + div(p v) = 0, by finite differences in time and autograd in space."""
    field, x, t, h = mixture(), randn(20, 2), 0.45, 1e-5
    change = (field.log_prob(x, t + h) - field.log_prob(x, t - h)) / (2 * h)
    v, trace = divergence(field.velocity, x, t)
    assert (change + trace + (field.score(x, t) * v).sum(1)).abs().max() < 1e-6


def test_samples_follow_the_density():
    field = mixture()
    for t in (0.0, 0.6):
        x, c = field.sample(20_000, generator(4), t), Cosine().at(t, field.means)
        assert (x.mean(0) - c.alpha * (field.weights @ field.means)).abs().max() < 0.03
        entropy = -field.log_prob(x, t)
        other = -field.log_prob(field.sample(20_000, generator(5), t), t)
        assert abs(entropy.mean() - other.mean()) < 5 * entropy.std() / 100


def test_mixtures_that_make_no_sense_are_refused():
    ones = torch.ones(3)
    with pytest.raises(ValueError, match="expected"):
        NoisyMixture(ones, torch.ones(2, 2), ones)
    with pytest.raises(ValueError, match="above 0"):
        NoisyMixture(ones, torch.ones(3, 2), torch.tensor([1.0, 0.0, 1.0]))


# --- solvers


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_solvers_have_their_order_and_their_cost(method, order):
    x, error = torch.ones(3, dtype=torch.float64), []
    for steps in (16, 32):
        f = Counted(lambda x, t: -2 * t * x)  # x(t) = exp(−t²)
        times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        error.append((solve(f, x, times, method) - math.exp(-1)).abs().max())
        assert f.calls == steps * EVALUATIONS[method]
    assert math.log2(error[0] / error[1]) == pytest.approx(order, abs=0.25)


def test_a_solver_goes_both_ways_and_keeps_its_path():
    field, x, path = mixture(), randn(10, 2), []
    there = solve(field.velocity, x, field.schedule.times(60, 0, 1), "rk4", path)
    back = solve(field.velocity, there, field.schedule.times(60), "rk4")
    assert (back - x).abs().max() < 1e-3 and len(path) == 60 and path[-1] is there
    with pytest.raises(ValueError, match="expected one of euler"):
        solve(field.velocity, x, field.schedule.times(2), "midpoint")


@each_schedule
def test_ddim_is_a_solver_of_first_order(schedule):
    """With x/α as position and σ/α as time, each step of DDIM is one of Euler's."""
    field, x, times = mixture(schedule), randn(12, 2), schedule.times(20, 0.95, 0.05)

    def f(position, ratio):
        t = times[(schedule.sigma(times) / schedule.alpha(times) - ratio).abs().argmin()].item()
        return field.estimate(position * schedule.at(t, x).alpha, t).noise

    ratios = schedule.sigma(times) / schedule.alpha(times)
    position = x / schedule.at(0.95, x).alpha
    for t, s in zip(ratios[:-1].tolist(), ratios[1:].tolist(), strict=True):
        position = euler(f, position, t, s)
    ddim = reverse_chain(field, x, times)
    assert (position * schedule.at(0.05, x).alpha - ddim).abs().max() < 1e-12


def test_the_reverse_chain_is_bayes_rule_for_a_known_point():
    """For data in a single point, one step of DDPM draws from q(x_s | x_t, x_0), whose moments are known."""
    schedule, t, s = Cosine(), 0.7, 0.4
    point = NoisyMixture(torch.ones(1), torch.full((1, 1), 0.8), torch.full((1,), 1e-6)).double()
    x = torch.full((40_000, 1), -0.3, dtype=torch.float64)
    drawn = reverse_chain(point, x, torch.tensor([t, s]), eta=1.0, generator=generator(6))
    now, then = schedule.at(t, x), schedule.at(s, x)
    a = now.alpha / then.alpha
    fresh = now.sigma**2 - a**2 * then.sigma**2
    variance = 1 / (1 / then.sigma**2 + a**2 / fresh)
    mean = variance * (then.alpha * 0.8 / then.sigma**2 + a * -0.3 / fresh)
    assert drawn.mean().item() == pytest.approx(mean.item(), abs=4 * variance.sqrt().item() / 200)
    assert drawn.std().item() == pytest.approx(variance.sqrt().item(), rel=0.02)
    with pytest.raises(ValueError, match="eta is 2"):
        reverse_chain(point, x, torch.tensor([t, s]), eta=2)


@pytest.mark.parametrize("level", [0.0, 0.7, 1.5])
def test_the_stochastic_way_back_has_the_marginals_of_the_flow(level):
    field = mixture(dim=1)
    start = field.sample(6000, generator(7), 0.97)
    x = reverse_sde(field, start, field.schedule.times(300, 0.97, 0.0), level=level, generator=generator(8))
    truth = field.sample(6000, generator(9)).sort(0).values
    assert (x.sort(0).values - truth).abs().mean() < 0.05  # the distance of Wasserstein; of two real samples about 0.02


# --- likelihood


def test_the_divergence_is_the_trace_and_hutchinson_has_its_mean():
    matrix = randn(4, 4)
    v, trace = divergence(lambda x, t: x @ matrix.T, randn(5, 4), 0.0)
    assert (trace - matrix.trace()).abs().max() < 1e-12 and v.shape == (5, 4)
    _, guess = divergence(lambda x, t: x @ matrix.T, randn(500, 4), 0.0, n_samples=40, generator=generator())
    away = matrix + matrix.T
    spread = (away.square().sum() - away.diagonal().square().sum()).div(2).sqrt()  # of one draw
    assert abs(guess.mean() - matrix.trace()) < 5 * spread / 20_000**0.5
    assert guess.std().item() == pytest.approx(spread.item() / 40**0.5, rel=0.15)


@pytest.mark.parametrize("schedule", SCHEDULES[:2], ids=["Cosine", "Straight"])
def test_the_flow_of_the_exact_field_has_the_exact_density(schedule):
    field = mixture(schedule)
    x = field.sample(50, generator(10))
    error = [
        (flow_log_prob(field.velocity, x, schedule.times(steps, 0, 1)) - field.log_prob(x)).abs().mean().item()
        for steps in (32, 64)
    ]
    assert error[1] < 2e-3 and error[0] > 4 * error[1]
    wrong_way = flow_log_prob(field.velocity, x, schedule.times(64))
    assert (wrong_way - field.log_prob(x)).abs().mean() > 1


def test_a_schedule_that_does_not_reach_noise_leaves_an_error_that_no_solver_removes():
    for last, least, most in ((20.0, 5e-4, 5e-3), (1.0, 0.1, 3.0)):
        field = mixture(LinearBeta(last=last))
        x = field.sample(50, generator(10))
        error = flow_log_prob(field.velocity, x, field.schedule.times(64, 0, 1)) - field.log_prob(x)
        assert least < error.abs().mean() < most


def test_the_walk_of_a_gaussian_is_known():
    """For one Gaussian of scale s the flow is x_t = x √(α² s² + σ²) / s: its density needs no solver."""
    field = NoisyMixture(torch.ones(1), torch.zeros(1, 3), torch.full((1,), 0.5)).double()
    x = randn(6, 3)
    end = solve(field.velocity, x, field.schedule.times(50, 0, 1), "rk4")
    assert (end - 2 * x).abs().max() < 1e-6


# --- networks and the model


def test_the_unet_starts_at_zero_keeps_shapes_and_sees_time_and_label():
    torch.manual_seed(0)
    net, x, t, y = UNet(2, 8, n_classes=3), torch.randn(4, 2, 8, 12), torch.rand(4), torch.tensor([0, 1, 2, 3])
    assert net(x, t, y).abs().max() == 0
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.2)
    out = net(x, t, y)
    assert out.shape == x.shape
    assert not torch.equal(net(x, t + 0.1, y), out) and not torch.equal(net(x, t, y.flip(0)), out)
    assert (net(x[:2], t[:2], y[:2]) - out[:2]).abs().max() < 1e-4  # rows know nothing of each other
    with pytest.raises(ValueError, match="sides that 4 divides"):
        net(x[..., :10], t, y)
    with pytest.raises(ValueError, match="multiple of 8"):
        UNet(1, 12)


def linear_world(schedule=None):
    """Data N(0, s²) in one dimension: the best prediction is linear in x, and its loss is known."""
    torch.manual_seed(0)
    return Diffusion(TimeMLP(1, (32, 32)), (1,), schedule=schedule)


@pytest.mark.parametrize("schedule", (Cosine(), Straight()), ids=lambda schedule: type(schedule).__name__)
def test_training_finds_the_posterior_mean(schedule):
    s = 0.6
    model = linear_world(schedule).fit(
        s * torch.randn(8192, 1, generator=generator()), epochs=6, batch_size=128, lr=5e-3, ema=0.99, progress=False
    )
    x = torch.linspace(-1.0, 1.0, 9)[:, None]
    for t in (0.2, 0.5, 0.8):
        c = schedule.at(t, x)
        truth = c.alpha * s**2 / ((c.alpha * s) ** 2 + c.sigma**2) * x
        assert (model.denoise(x, t) - truth).abs().max() < 0.12
    drawn = model.sample(4000, generator(1), steps=10, method="heun")
    assert drawn.std().item() == pytest.approx(s, rel=0.1)
    log_prob = model.log_prob(x)
    truth = torch.distributions.Normal(0.0, s).log_prob(x)[:, 0]
    assert (log_prob - truth).abs().mean() < 0.15


def test_the_loss_of_a_network_that_says_nothing_is_the_size_of_its_target():
    model = Diffusion(UNet(1, 8), (1, 4, 4))
    x = torch.ones(512, 1, 4, 4)
    t = torch.full((512,), 0.25)
    c = Cosine().at(0.25, x)
    assert model.loss(x, t=t, generator=generator()).mean().item() == pytest.approx(
        (c.alpha**2 + c.sigma**2).item(), rel=0.05
    )  # E (α ε − σ)² = α² + σ²


def test_labels_reach_the_network_and_are_checked():
    torch.manual_seed(0)
    model = Diffusion(TimeMLP(2, (16,), n_classes=3), (2,), n_classes=3)
    y = torch.tensor([0, 1, 2, 3])
    one, other = model.sample(4, generator(), y), model.sample(4, generator(), y.flip(0))
    assert not torch.equal(one, other)
    assert torch.equal(model.sample(4, generator()), model.sample(4, generator(), torch.full((4,), 3)))
    for bad in (torch.tensor([0, 1, 2, 4]), torch.tensor([0, 1]), torch.rand(4)):
        with pytest.raises(ValueError, match="expected labels of shape"):
            model.sample(4, generator(), bad)
    with pytest.raises(ValueError, match="conditional model"):
        Diffusion(TimeMLP(2, (8,)), (2,)).sample(4, y=y)


@pytest.mark.parametrize("method", ["ddim", "ddpm", "euler", "heun", "rk4"])
def test_every_sampler_of_the_model_draws_and_chunks_do_not_matter_to_shapes(method):
    model = linear_world()
    model.predict = Counted(model.predict)
    assert model.sample(7, generator(), steps=3, method=method, chunk=4).shape == (7, 1)
    assert model.predict.calls == 2 * (2 * EVALUATIONS.get(method, 1) + 1)  # two chunks; the last step asks once
    with pytest.raises(ValueError, match="method is 'sde'"):
        model.sample(2, method="sde")
