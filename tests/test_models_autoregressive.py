"""Autoregressions: least squares, exact likelihood and forecasts against statsmodels, algebra and simulation."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from utils.models.estimator import NotFittedError
from utils.models.time_series import ARCH, Autoregression, CausalConv, GRUMemory, NeuralForecaster, aic_by_order
from utils.models.time_series.stationary import (
    autocovariance,
    companion,
    from_partial,
    partial_autocorrelations,
    toeplitz,
)
from utils.series import load_series

NAN = math.nan
MODELS = ([0.6], [1.1, -0.4], [0.3, 0.2, -0.5, 0.1])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def sunspots():
    return load_series("sunspots").values.sqrt()


def waves(n, period=52.18):
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / period
    return torch.stack([angle.cos(), angle.sin(), torch.arange(n) / n], dim=1)


# --- least squares against statsmodels


@pytest.mark.parametrize("order", [0, 1, 2, 9])
def test_conditional_fit_agrees_with_statsmodels(sunspots, order):
    from statsmodels.tsa.ar_model import AutoReg

    ours, theirs = Autoregression(order).fit(sunspots), AutoReg(sunspots.numpy(), order, trend="c").fit()
    assert torch.allclose(torch.cat([ours.intercept[None], ours.coefficients]), torch.tensor(theirs.params), atol=1e-10)
    assert ours.variance.item() == pytest.approx(theirs.sigma2, abs=1e-12)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-9)
    assert ours.aic == pytest.approx(theirs.aic, abs=1e-9)
    assert ours.n_used == theirs.nobs
    assert ours.step_log_prob(sunspots).nansum().item() == pytest.approx(theirs.llf, abs=1e-9)
    if order:
        assert torch.allclose(ours.roots.abs().sort().values, torch.tensor(abs(theirs.roots)).sort().values)


def test_forecasts_agree_with_statsmodels(sunspots):
    from statsmodels.tsa.ar_model import AutoReg

    ours = Autoregression(9).fit(sunspots).forecast(sunspots, 15)
    theirs = AutoReg(sunspots.numpy(), 9, trend="c").fit().get_prediction(len(sunspots), len(sunspots) + 14)
    assert torch.allclose(ours.mean, torch.tensor(theirs.predicted_mean), atol=1e-10)
    assert torch.allclose(ours.stddev, torch.tensor(theirs.se_mean), atol=1e-10)


def test_features_agree_with_statsmodels(sunspots):
    from statsmodels.tsa.ar_model import AutoReg

    n = len(sunspots)
    f = waves(n + 6)
    ours = Autoregression(3).fit(sunspots, f[:n])
    theirs = AutoReg(sunspots.numpy(), 3, trend="c", exog=f[:n].numpy()).fit()
    # statsmodels puts the features after the lags.
    assert torch.allclose(
        torch.cat([ours.intercept[None], ours.coefficients, ours.weights]), torch.tensor(theirs.params), atol=1e-8
    )
    assert ours.aic == pytest.approx(theirs.aic, abs=1e-8)
    expected = theirs.forecast(6, exog=f[n:].numpy())
    assert torch.allclose(ours.forecast(sunspots, 6, f).mean, torch.tensor(expected), atol=1e-8)


def test_orders_are_compared_on_the_same_values(sunspots):
    from statsmodels.tsa.ar_model import AutoReg

    ours = aic_by_order(sunspots, 12)
    theirs = {p: AutoReg(sunspots.numpy(), p, trend="c", hold_back=12).fit().aic for p in range(13)}
    assert ours == pytest.approx(theirs, abs=1e-8)
    assert min(ours, key=ours.get) == 9


def test_known_coefficients_are_recovered():
    truth = Autoregression.from_parameters(tensor(1.2, -0.6), intercept=2.0, variance=0.25)
    fitted = Autoregression(2).fit(truth.sample(1, generator(), steps=50_000)[0])
    # The standard error of a coefficient is √((1 − φ_2²) / n).
    error = 5 * math.sqrt((1 - 0.36) / 50_000)
    assert (fitted.coefficients - truth.coefficients).abs().max() < error
    assert fitted.mean.item() == pytest.approx(truth.mean.item(), abs=5 * 0.5 / 0.4 / math.sqrt(50_000))
    assert fitted.variance.item() == pytest.approx(0.25, rel=5 * math.sqrt(2 / 50_000))
    orders = aic_by_order(truth.sample(1, generator(1), steps=5000)[0], 6)
    assert min(orders, key=orders.get) in range(2, 6)  # AIC never takes too few here, sometimes too many
    assert orders[2] < orders[1] - 100


# --- stationarity


@pytest.mark.parametrize("coefficients", MODELS)
def test_covariances_solve_the_lyapunov_equation(coefficients):
    from scipy.linalg import solve_discrete_lyapunov

    phi, p = tensor(*coefficients), len(coefficients)
    noise = np.zeros((p, p))
    noise[0, 0] = 1.7
    expected = solve_discrete_lyapunov(companion(phi).numpy(), noise)
    assert torch.allclose(toeplitz(autocovariance(phi, tensor(1.7)[0], p)), torch.tensor(expected), atol=1e-10)


@pytest.mark.parametrize("coefficients", MODELS)
def test_covariances_are_those_of_the_moving_average(coefficients):
    """x_t = Σ_j ψ_j ε_{t−j}, so γ_k = σ² Σ_j ψ_j ψ_{j+k}."""
    phi = tensor(*coefficients)
    psi = [tensor(1.0)[0]]
    for j in range(1, 400):
        psi.append(sum(phi[i] * psi[j - 1 - i] for i in range(min(j, len(phi)))))
    psi = torch.stack(psi)
    expected = torch.stack([(psi[: 400 - k] * psi[k:]).sum() for k in range(20)])
    assert torch.allclose(autocovariance(phi, tensor(1.0)[0], 20), expected, atol=1e-10)


@pytest.mark.parametrize("coefficients", MODELS)
def test_partial_autocorrelations_there_and_back(coefficients):
    phi = tensor(*coefficients)
    partial = partial_autocorrelations(autocovariance(phi, tensor(1.0)[0], len(phi) + 1))
    assert torch.allclose(from_partial(partial), phi, atol=1e-12)
    assert (partial.abs() < 1).all()


def test_the_roots_tell_whether_shocks_die_out():
    assert Autoregression.from_parameters(tensor(0.99)).is_stationary
    assert not Autoregression.from_parameters(tensor(1.0)).is_stationary
    assert Autoregression.from_parameters(tensor(1.8, -0.9)).is_stationary
    assert not Autoregression.from_parameters(tensor(0.5, 0.6)).is_stationary
    assert torch.allclose(Autoregression.from_parameters(tensor(0.5)).roots.real, tensor(2.0))
    walk = Autoregression.from_parameters(tensor(1.0))
    for question in (lambda: walk.mean, lambda: walk.autocovariance(3), lambda: walk.log_prob(torch.zeros(1, 5))):
        with pytest.raises(ValueError, match="no stationary distribution, for a root"):
            question()
    # It forecasts all the same: the variance of a random walk grows with each step.
    assert torch.allclose(walk.forecast(tensor(1.0, 3.0), 4).variance, tensor(1.0, 2.0, 3.0, 4.0))


def test_samples_have_the_stationary_moments():
    model = Autoregression.from_parameters(tensor(1.1, -0.4), intercept=1.0, variance=2.0)
    x = model.sample(200_000, generator(), steps=5)
    assert torch.allclose(x.mean(0), model.mean.expand(5), atol=0.04)
    assert torch.allclose(x.T.cov(), toeplitz(model.autocovariance(5)), atol=0.15)


# --- exact likelihood, missing values, forecasts


@pytest.mark.parametrize("coefficients", MODELS)
def test_the_exact_density_is_first_values_times_steps(coefficients):
    model = Autoregression.from_parameters(tensor(*coefficients), intercept=0.7, variance=0.3)
    x, p = model.sample(4, generator(), steps=30), len(coefficients)
    first = MultivariateNormal(model.mean.expand(p), toeplitz(model.autocovariance(p))).log_prob(x[:, :p])
    steps = torch.stack([model.step_log_prob(row)[p:].sum() for row in x])
    assert torch.allclose(model.log_prob(x), first + steps, atol=1e-9)


def test_the_density_integrates_to_one():
    model = Autoregression.from_parameters(tensor(0.6, 0.2), variance=0.5)
    line = torch.linspace(-8, 8, 60, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line, line)
    assert (model.log_prob(grid).exp().sum() * (line[1] - line[0]) ** 3).item() == pytest.approx(1, abs=1e-6)


def test_exact_fit_agrees_with_statsmodels(sunspots):
    from statsmodels.tsa.arima.model import ARIMA

    x = sunspots[:150]
    ours = Autoregression(3, "exact").fit(x)
    theirs = ARIMA(x.numpy(), order=(3, 0, 0)).fit(method="innovations_mle")
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-4)
    found = torch.cat([ours.mean[None], ours.coefficients, ours.variance[None]])
    assert torch.allclose(found, torch.tensor(theirs.params), atol=2e-3)
    assert ours.log_prob(x[None]).item() == pytest.approx(ours.log_likelihood)
    assert ours.is_stationary


def test_missing_values_agree_with_the_kalman_filter(sunspots):
    from statsmodels.tsa.arima.model import ARIMA

    model = Autoregression(4).fit(sunspots)
    holed = sunspots.clone()
    holed[torch.rand(len(holed), generator=generator()) < 0.25] = NAN
    holed[:4] = sunspots[:4]  # the first four have a flat prior in one of the two
    holed[-3] = NAN
    parameters = torch.cat([model.mean[None], model.coefficients, model.variance[None]]).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kalman = ARIMA(holed.numpy(), order=(4, 0, 0)).smooth(parameters)
    assert model.log_prob(holed[None]).item() == pytest.approx(kalman.llf, abs=1e-7)
    ahead = kalman.get_forecast(8)
    ours = model.forecast(holed, 8)
    assert torch.allclose(ours.mean, torch.tensor(ahead.predicted_mean), atol=1e-8)
    assert torch.allclose(ours.stddev, torch.tensor(ahead.se_mean), atol=1e-8)


def test_what_is_missing_is_a_conditional_gaussian():
    """Against conditioning the joint Gaussian of the whole series, with the first values known."""
    model = Autoregression.from_parameters(tensor(0.9, -0.5), intercept=0.4, variance=0.6)
    x = model.sample(1, generator(), steps=25)[0]
    missing = torch.tensor([4, 5, 11, 23, 24])
    holed = x.clone()
    holed[missing] = NAN
    known = holed.isnan().logical_not()
    covariance = toeplitz(model.autocovariance(25))
    gain = torch.linalg.solve(covariance[known][:, known], covariance[known][:, ~known]).mT
    expected_mean = model.mean + gain @ (x[known] - model.mean)
    expected = covariance[~known][:, ~known] - gain @ covariance[known][:, ~known]
    ours = model.conditional(holed)
    assert torch.allclose(ours.mean, expected_mean, atol=1e-10)
    assert torch.allclose(ours.covariance_matrix, expected, atol=1e-10)


def test_a_fit_with_gaps_uses_whole_rows_alone():
    x = Autoregression.from_parameters(tensor(0.7)).sample(1, generator(), steps=40)[0]
    holed = x.clone()
    holed[[10, 20]] = NAN
    fitted = Autoregression(1).fit(holed)
    assert fitted.n_used == 39 - 4
    pairs = [(x[t - 1], x[t]) for t in range(1, 40) if t not in (10, 11, 20, 21)]
    a, b = (torch.stack(side) for side in zip(*pairs, strict=True))
    slope = ((a - a.mean()) * (b - b.mean())).sum() / (a - a.mean()).square().sum()
    assert fitted.coefficients[0].item() == pytest.approx(slope.item())


def test_paths_have_the_forecast_distribution():
    model = Autoregression.from_parameters(tensor(1.1, -0.4), intercept=1.0, variance=2.0)
    past = tensor(1.0, NAN, 4.0)
    ahead = model.forecast(past, 4)
    paths = model.sample_paths(past, 4, 100_000, generator())
    assert torch.allclose(paths.mean(0), ahead.mean, atol=0.06)
    assert torch.allclose(paths.T.cov(), ahead.covariance_matrix, atol=0.3)
    assert torch.equal(paths[:5], model.sample_paths(past, 4, 100_000, generator())[:5])


def test_far_forecasts_forget_the_past():
    model = Autoregression.from_parameters(tensor(0.5, 0.2), intercept=3.0)
    ahead = model.forecast(tensor(50.0, -20.0), 80)
    assert ahead.mean[-1].item() == pytest.approx(model.mean.item())
    assert ahead.variance[-1].item() == pytest.approx(model.autocovariance(1).item())


def test_the_past_before_the_last_known_run_has_no_say(sunspots):
    model = Autoregression(3).fit(sunspots)
    short, long = model.forecast(sunspots[-3:], 5), model.forecast(sunspots, 5)
    assert torch.allclose(short.mean, long.mean)
    assert torch.allclose(short.covariance_matrix, long.covariance_matrix)


def test_errors_of_autoregressions_say_what_to_do(sunspots):
    for order in (-1, 1.5):
        with pytest.raises(ValueError, match=f"order is {order}: expected a whole number of at least 0"):
            Autoregression(order)
    with pytest.raises(ValueError, match="likelihood is 'full': expected one of conditional, exact"):
        Autoregression(1, "full")
    with pytest.raises(NotFittedError, match=r"has no coefficients: call fit or from_parameters"):
        _ = Autoregression(1).coefficients
    with pytest.raises(TypeError, match=r"x is a list: expected a torch\.Tensor; use torch\.as_tensor"):
        Autoregression(1).fit([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(1, 309\): expected finite values \(T,\)"):
        Autoregression(1).fit(sunspots[None])
    with pytest.raises(ValueError, match="only 1 values have all their 4 predecessors, for 5 coefficients"):
        Autoregression(4).fit(sunspots[:5])
    with pytest.raises(ValueError, match=r"features have shape \(5, 3\): expected \(309, D\)"):
        Autoregression(1).fit(sunspots, waves(5))
    with pytest.raises(ValueError, match="the exact fit takes no missing values and no features"):
        Autoregression(1, "exact").fit(torch.cat([sunspots, tensor(NAN)]))
    for likelihood in ("conditional", "exact"):
        with pytest.raises(ValueError, match="no noise is left to fit: x may be constant"):
            Autoregression(0, likelihood).fit(torch.ones(20))
    model = Autoregression(1).fit(sunspots, waves(309))
    with pytest.raises(ValueError, match="was fitted with 3 features, and got 0"):
        model.forecast(sunspots, 2)
    with pytest.raises(ValueError, match="no stationary distribution, for it has features"):
        _ = model.mean
    plain = Autoregression(2).fit(sunspots)
    with pytest.raises(ValueError, match=r"x has shape \(309,\): expected \(B, T\)"):
        plain.log_prob(sunspots)
    with pytest.raises(ValueError, match="steps is 0"):
        plain.forecast(sunspots, 0)
    with pytest.raises(ValueError, match="x has no missing value: mark what you ask for with NaN"):
        plain.conditional(sunspots)
    with pytest.raises(ValueError, match="2 of 3 values are missing"):
        plain.conditional(tensor(NAN, NAN, 1.0))
    with pytest.raises(ValueError, match="max_order is 200"):
        aic_by_order(sunspots, 200)


@pytest.mark.parametrize("make", [lambda: Autoregression(2), lambda: Autoregression(2, "exact"), lambda: ARCH(2)])
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e7, 1e-12])
def test_a_constant_series_is_refused_though_rounding_leaves_it_a_spread(make, value):
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(ValueError, match="no noise is left to fit: x may be constant"):
            make().fit(torch.full((100,), value, dtype=dtype))


def test_a_series_that_its_past_tells_exactly_is_refused():
    for x in (torch.arange(50.0), (0.3 * torch.arange(200, dtype=torch.float64)).sin()):
        with pytest.raises(ValueError, match="no noise is left to fit"):
            Autoregression(2).fit(x)


@pytest.mark.parametrize("likelihood", ["conditional", "exact"])
@pytest.mark.parametrize(("factor", "offset"), [(1, 1e4), (1, 1e7), (1e-12, 0), (1e12, 0), (1e-6, 1e3)])
def test_offset_and_unit_of_a_series_change_nothing_else(sunspots, likelihood, factor, offset):
    near, far = (Autoregression(3, likelihood).fit(x) for x in (sunspots, factor * sunspots + offset))
    assert torch.allclose(far.coefficients, near.coefficients, atol=1e-5)
    assert far.variance.item() == pytest.approx(near.variance.item() * factor**2, rel=1e-5)
    nats = near.n_used * math.log(factor)
    assert far.log_likelihood == pytest.approx(near.log_likelihood - nats, rel=1e-5)
    ahead = near.forecast(sunspots, 4).mean, far.forecast(factor * sunspots + offset, 4).mean
    assert torch.allclose((ahead[1] - offset) / factor, ahead[0], atol=1e-4)
    if likelihood == "conditional":
        aic = aic_by_order(sunspots, 4), aic_by_order(factor * sunspots + offset, 4)
        assert [value - aic[0][0] for value in aic[0].values()] == pytest.approx(
            [value - aic[1][0] for value in aic[1].values()], rel=1e-4, abs=1e-3
        )


def test_features_in_other_units_give_the_same_fit(sunspots):
    f = waves(309)
    units, offset = tensor(1e-9, 1e6, 1.0), tensor(0.0, 0.0, 2000.0)
    near, far = Autoregression(2).fit(sunspots, f), Autoregression(2).fit(sunspots, f * units + offset)
    assert torch.allclose(far.weights * units, near.weights, atol=1e-8)
    assert far.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-8)


def test_a_series_of_no_more_than_p_values_and_a_row_without_any():
    model = Autoregression.from_parameters(tensor(0.5, 0.2))
    assert model.step_log_prob(tensor(1.0)).isnan().tolist() == [True]
    assert model.step_log_prob(tensor(1.0, 2.0)).isnan().all()
    rows = torch.tensor([[NAN, NAN, NAN], [1.0, NAN, 2.0]])
    assert model.log_prob(rows)[0] == 0  # nothing is asked of it: probability 1
    assert model.log_prob(rows)[1] == model.log_prob(rows[1:])[0]
    for call in (lambda: Autoregression(5).fit(torch.randn(3)), lambda: Autoregression(1).fit(rows[0])):
        with pytest.raises(ValueError, match="only 0 values have all their"):
            call()
    with pytest.raises(ValueError, match="max_order is 5: only 0 values"):
        aic_by_order(torch.randn(3), 5)
    with pytest.raises(ValueError, match="give a longer past"):
        model.forecast(tensor(1.0), 2)
    with pytest.raises(ValueError, match=r"x has 1 values: an AR\(2\) needs 2 before"):
        model.conditional(tensor(NAN))


def test_parameters_that_are_no_numbers_are_refused():
    for wrong in ({"coefficients": tensor(NAN)}, {"intercept": math.inf}, {"variance": NAN}, {"weights": tensor(NAN)}):
        with pytest.raises(ValueError, match="expected"):
            Autoregression.from_parameters(**{"coefficients": tensor(0.5)} | wrong)


# --- variance that moves


def storm(n=20_000, degrees=math.inf, seed=0):
    truth = ARCH.from_parameters(0.5, tensor(0.3, 0.4), mean=0.1, degrees=degrees)
    return truth, truth.sample_paths(tensor(0.0, 0.0), n, 1, generator(seed))[0]


@pytest.mark.parametrize("degrees", [math.inf, 6.0])
def test_arch_recovers_what_made_the_data(degrees):
    truth, x = storm(degrees=degrees)
    fitted = ARCH(2, "gaussian" if math.isinf(degrees) else "student").fit(x)
    assert fitted.intercept.item() == pytest.approx(0.5, abs=0.06)
    assert torch.allclose(fitted.coefficients, truth.coefficients, atol=0.06)
    assert fitted.mean.item() == pytest.approx(0.1, abs=0.04)
    if degrees < math.inf:
        assert fitted.degrees.item() == pytest.approx(6, abs=1)
    assert fitted.log_likelihood >= truth.step_log_prob(x)[2:].sum().item()  # the maximum beats the truth


def test_arch_of_order_zero_is_one_gaussian(sunspots):
    model = ARCH(0).fit(sunspots)
    assert model.mean.item() == pytest.approx(sunspots.mean().item(), abs=1e-5)
    assert model.intercept.item() == pytest.approx(sunspots.var(correction=0).item(), abs=1e-5)
    expected = torch.distributions.Normal(sunspots.mean(), sunspots.std(correction=0)).log_prob(sunspots).sum()
    assert model.log_likelihood == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("degrees", [math.inf, 5.0])
def test_arch_density_is_that_of_torch_and_integrates_to_one(degrees):
    model = ARCH.from_parameters(0.5, tensor(0.3, 0.4), mean=0.1, degrees=degrees)
    x = tensor(0.3, -1.0, 2.0, 0.7)
    sigma = math.sqrt(0.5 + 0.3 * (2.0 - 0.1) ** 2 + 0.4 * (-1.0 - 0.1) ** 2)
    if math.isinf(degrees):
        expected = torch.distributions.Normal(0.1, sigma).log_prob(x[3])
    else:
        expected = torch.distributions.StudentT(degrees, 0.1, sigma * math.sqrt(1 - 2 / degrees)).log_prob(x[3])
    steps = model.step_log_prob(x)
    assert steps[3].item() == pytest.approx(expected.item())
    assert steps.isnan().tolist() == [True, True, False, False]
    assert model.volatility(x)[3].item() == pytest.approx(sigma)
    line = torch.linspace(-400, 400, 80_001, dtype=torch.float64)
    density = torch.stack([model.step_log_prob(torch.cat([x[1:3], v[None]]))[2] for v in line[::40]]).exp()
    assert (density.sum() * (line[40] - line[0])).item() == pytest.approx(1, abs=1e-4)


def test_arch_paths_have_the_stationary_variance():
    model = ARCH.from_parameters(0.5, tensor(0.3, 0.2), degrees=8.0)
    paths = model.sample_paths(tensor(0.0, 5.0), 40, 50_000, generator())
    assert paths[:, -1].var().item() == pytest.approx(0.5 / (1 - 0.5), rel=0.08)
    assert paths[:, 0].var().item() == pytest.approx(0.5 + 0.3 * 25, rel=0.05)
    assert model.is_stationary
    assert not ARCH.from_parameters(0.5, tensor(0.7, 0.4)).is_stationary


def test_errors_of_arch_say_what_to_do():
    with pytest.raises(ValueError, match="innovations is 'cauchy': expected one of gaussian, student"):
        ARCH(1, "cauchy")
    with pytest.raises(ValueError, match="order is -1"):
        ARCH(-1)
    with pytest.raises(NotFittedError, match="has no degrees: call fit"):
        _ = ARCH(1).degrees
    with pytest.raises(ValueError, match=r"the series has 20 values: an ARCH\(10\) needs 30 or more"):
        ARCH(10).fit(torch.zeros(20))
    with pytest.raises(ValueError, match="expected intercept > 0"):
        ARCH.from_parameters(0.0, tensor(0.1))
    with pytest.raises(ValueError, match=r"shape \(1, 30\): expected \(T,\) of finite values"):
        ARCH(1).fit(torch.ones(1, 30))
    with pytest.raises(ValueError, match=r"x\[0\] is nan: expected finite numbers"):
        ARCH(1).fit(tensor(*[NAN] * 30))
    with pytest.raises(ValueError, match=r"coefficients\[0\] is nan: expected finite numbers"):
        ARCH.from_parameters(1.0, tensor(NAN))


# --- neural


def memories():
    return {"gru": GRUMemory(8, generator()), "conv": CausalConv(6, 3, generator())}


@pytest.mark.parametrize("kind", ["gru", "conv"])
def test_no_output_depends_on_a_later_input(kind):
    memory = memories()[kind]
    x = torch.randn(1, 20, 2, generator=generator()).requires_grad_()
    for t in range(20):
        [gradient] = torch.autograd.grad(memory(x)[0][0, t].square().sum(), x)
        touched = gradient[0].abs().sum(1) > 0
        assert not touched[t + 1 :].any()
        expected = t + 1 if kind == "gru" else min(t + 1, memory.field)
        assert int(touched.sum()) == expected


@pytest.mark.parametrize("kind", ["gru", "conv"])
def test_reading_step_by_step_gives_the_same(kind):
    memory = memories()[kind]
    x = torch.randn(3, 30, 2, generator=generator())
    whole = memory(x)[0]
    state, pieces = None, []
    for piece in x.split([5, 1, 1, 20, 3], dim=1):
        h, state = memory(piece, state)
        pieces.append(h)
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-6)


@pytest.mark.parametrize("kind", ["gru", "conv"])
def test_each_step_integrates_to_one(kind):
    model = NeuralForecaster(memories()[kind], 3, generator())
    model.center, model.scale = torch.tensor(5.0), torch.tensor(2.0)
    line = torch.linspace(-60, 70, 8001)
    series = torch.cat([torch.tensor([3.0, 6.0, NAN]).expand(8001, 3), line[:, None]], dim=1)
    density = model.step_log_prob(series)[:, 3].exp()
    assert (density.sum() * (line[1] - line[0])).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", ["gru", "conv"])
def test_first_draws_follow_the_density(kind):
    model = NeuralForecaster(memories()[kind], 3, generator())
    past = torch.tensor([0.5, NAN, -0.7])
    draws = model.sample_paths(past, 2, 20_000, generator())
    for low, high in ((-20, -0.5), (-0.5, 0.5), (0.5, 20)):
        line = torch.linspace(low, high, 2001)
        series = torch.cat([past.expand(2001, 3), line[:, None]], dim=1)
        share = torch.trapezoid(model.step_log_prob(series)[:, 3].exp(), line).item()
        assert ((draws[:, 0] > low) & (draws[:, 0] <= high)).float().mean().item() == pytest.approx(share, abs=0.02)
    assert model.sample(7, generator(), steps=5).shape == (7, 5)
    assert torch.equal(draws[:4], model.sample_paths(past, 2, 20_000, generator())[:4])


def test_training_learns_a_linear_series_and_skips_what_is_missing():
    truth = Autoregression.from_parameters(tensor(0.9), intercept=2.0, variance=0.25)
    x = truth.sample(64, generator(), steps=40)
    holed = x.clone()
    holed[torch.rand(x.shape, generator=generator()) < 0.1] = NAN
    model = NeuralForecaster(CausalConv(8, 2, generator()), 1, generator())
    model.fit(holed, epochs=12, batch_size=8, lr=2e-2)
    fresh = truth.sample(200, generator(1), steps=40)
    with torch.no_grad():
        gap = (
            torch.stack([truth.step_log_prob(row)[5:].mean() for row in fresh]).mean()
            - model.step_log_prob(fresh)[:, 5:].mean()
        )
    assert 0 < gap < 0.1
    assert model.step_log_prob(holed).isnan().equal(holed.isnan())
    assert model.log_prob(holed).isfinite().all()


def test_errors_of_neural_forecasters_say_what_to_do():
    model = NeuralForecaster(CausalConv(4, 2), 2)
    for x, window in ((torch.zeros(10), None), (torch.zeros(10), 11), (torch.zeros(2, 3, 4), 2)):
        with pytest.raises(ValueError, match=r"x has shape .*, window is .*: expected \(B, T\)"):
            model.fit(x, window=window)
    with pytest.raises(ValueError, match="nothing to learn from a constant"):
        model.fit(torch.ones(3, 5))
