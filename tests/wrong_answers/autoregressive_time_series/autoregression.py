"""Wrong answers of chapter 11: the linear model: rows, fit, stability, forecasts, gaps."""

import itertools

import numpy as np
import torch

from wrong_answers import wrong
from wrong_answers.autoregressive_time_series._shared import lagged, solve

# --- series.lag_matrix -----------------------------------------------------------------------------------------------


@wrong("series.lag_matrix", says="the oldest value comes first")
def oldest_first(y, p):
    past = y[:-1].unfold(0, p, 1)
    return torch.cat([torch.ones_like(past[:, :1]), past], dim=1), y[p:]


@wrong("series.lag_matrix", says="column of ones is missing")
def no_constant(y, p):
    rows, targets = lagged(y, p)
    return rows[:, 1:], targets


@wrong("series.lag_matrix", says="holds its own target")
def leaking(y, p):
    past = y.unfold(0, p, 1).flip(1)[1:]
    return torch.cat([torch.ones_like(past[:, :1]), past], dim=1), y[p:]


@wrong("series.lag_matrix", says="one row too many")
def a_row_without_target(y, p):
    past = y.unfold(0, p, 1).flip(1)
    return torch.cat([torch.ones_like(past[:, :1]), past], dim=1), y[p:]


@wrong("series.lag_matrix", says="targets are one step too early")
def early_targets(y, p):
    return lagged(y, p)[0], y[p - 1 : -1]


@wrong("series.lag_matrix", says="constant is the last column")
def constant_last(y, p):
    rows, targets = lagged(y, p)
    return rows.roll(-1, 1), targets


@wrong("series.lag_matrix", says="Your rows hold the values after the target")
def rolled_back(y, p):
    _r, t = lagged(y, p)
    return (torch.stack([torch.ones(len(y) - p).double(), *[y.roll(-i)[p:] for i in range(1, p + 1)]], 1), t)


@wrong("series.lag_matrix", says="Your first rows wrap round")
def rolled_and_cut_at_the_end(y, p):
    return (torch.stack([torch.ones(len(y) - p).double(), *[y.roll(i)[:-p] for i in range(1, p + 1)]], 1), y[p:])


@wrong("series.lag_matrix", says="The first column is 0")
def zeros_for_ones(y, p):
    r, t = lagged(y, p)
    r = r.clone()
    r[:, 0] = 0
    return (r, t)


@wrong("series.lag_matrix", says="The targets are the first values of the series")
def first_targets(y, p):
    r, _t = lagged(y, p)
    return (r, y[:-p])


@wrong("series.lag_matrix", says="All columns hold y_{t−1}")
def one_lag_repeated(y, p):
    r, t = lagged(y, p)
    return (torch.cat([r[:, :1], r[:, 1:2].expand(-1, p)], 1), t)


@wrong("series.lag_matrix", says="You subtracted the mean")
def centered_rows(y, p):
    r, t = lagged(y, p)
    return (torch.cat([r[:, :1], r[:, 1:] - y.mean()], 1), t)


@wrong("series.lag_matrix", says="The matrix of rows for p = 2 should have shape (7")
def three_lags(y, p):
    return lagged(y, 3)


# --- series.fit_ar ---------------------------------------------------------------------------------------------------


@wrong("series.fit_ar", says="fit without a constant")
def through_the_origin(y, p):
    rows, targets = lagged(y - y.mean(), p)
    phi = solve(rows[:, 1:], targets)
    return torch.cat([phi.new_zeros(1), phi]), (targets - rows[:, 1:] @ phi).square().mean()


@wrong("series.fit_ar", says="coefficients of the past are in the wrong order")
def reversed_past(y, p):
    rows, targets = lagged(y, p)
    c = solve(torch.cat([rows[:, :1], rows[:, 1:].flip(1)], 1), targets)
    return c, (targets - rows @ solve(rows, targets)).square().mean()


@wrong("series.fit_ar", says="constant is missing")
def constant_dropped(y, p):
    rows, targets = lagged(y, p)
    c = solve(rows, targets)
    return c[1:], (targets - rows @ c).square().mean()


def residual_squares(y, p):
    rows, targets = lagged(y, p)
    c = solve(rows, targets)
    return c, (targets - rows @ c).square()


@wrong("series.fit_ar", says="standard deviation")
def deviation(y, p):
    c, squares = residual_squares(y, p)
    return c, squares.mean().sqrt()


@wrong("series.fit_ar", says="The variance is a sum")
def sum_of_squares(y, p):
    c, squares = residual_squares(y, p)
    return c, squares.sum()


@wrong("series.fit_ar", says="which makes the variance unbiased")
def unbiased(y, p):
    c, squares = residual_squares(y, p)
    return c, squares.sum() / (len(squares) - p - 1)


@wrong("series.fit_ar", says="only T − p values are targets")
def over_all(y, p):
    c, squares = residual_squares(y, p)
    return c, squares.sum() / len(y)


@wrong("series.fit_ar", says="variance of the series, not of its noise")
def variance_of_the_series(y, p):
    return residual_squares(y, p)[0], y.var()


@wrong("series.fit_ar", says="These are the Yule–Walker estimates")
def yule_walker(y, p):
    z = y - y.mean()
    g = torch.stack([z[i:] @ z[: len(z) - i] for i in range(p + 1)])
    phi = torch.linalg.solve(g[(torch.arange(p)[:, None] - torch.arange(p)).abs()], g[1:])
    return (torch.cat([(y.mean() * (1 - phi.sum()))[None], phi]), (g[0] - phi @ g[1:]) / len(y))


@wrong("series.fit_ar", says="You subtract the mean of the series and fit without a constant")
def demeaned(y, p):
    r, t = lagged(y - y.mean(), p)
    phi = solve(r[:, 1:], t)
    return (torch.cat([(y.mean() * (1 - phi.sum()))[None], phi]), (t - r[:, 1:] @ phi).square().mean())


@wrong("series.fit_ar", says="You fit without a constant")
def through_the_origin_fit_ar(y, p):
    r, t = lagged(y, p)
    phi = solve(r[:, 1:], t)
    return (torch.cat([torch.zeros(1).double(), phi]), (t - r[:, 1:] @ phi).square().mean())


def fitted(y, p):
    rows, targets = lagged(y, p)
    c = solve(rows, targets)
    return (c, (targets - rows @ c).square().mean())


@wrong("series.fit_ar", says="c is not the mean of the series: that is c / (1 − Σ φ)")
def mean_for_c(y, p):
    c, v = fitted(y, p)
    return (torch.cat([y.mean()[None], c[1:]]), v)


@wrong("series.fit_ar", says="This is the process's mean c / (1 − Σ φ), not c")
def process_mean_for_c(y, p):
    c, v = fitted(y, p)
    return (torch.cat([(c[0] / (1 - c[1:].sum()))[None], c[1:]]), v)


@wrong("series.fit_ar", says="The last row is missing")
def last_row_lost(y, p):
    r, t = lagged(y, p)
    c = solve(r[:-1], t[:-1])
    return (c, (t - r @ c).square().mean())


@wrong("series.fit_ar", says="You shrink the coefficients: this is ridge regression")
def ridge(y, p):
    r, t = lagged(y, p)
    c = torch.linalg.solve(r.T @ r + torch.eye(p + 1).double(), r.T @ t)
    return (c, (t - r @ c).square().mean())


@wrong("series.fit_ar", says="The vector of coefficients for p = 4 should have shape (5,)")
def order_two(y, p):
    return fitted(y, 2)


@wrong("series.fit_ar", says="You divide by T − 2p")
def by_t_minus_2p(y, p):
    r, t = lagged(y, p)
    c = solve(r, t)
    return (c, (t - r @ c).square().sum() / (len(t) - p))


@wrong("series.fit_ar", says="This is the mean absolute residual")
def absolute_residual(y, p):
    r, t = lagged(y, p)
    c = solve(r, t)
    return (c, (t - r @ c).abs().mean())


@wrong("series.fit_ar", says="You divide by T − p − 1")
def variance_of_residuals(y, p):
    r, t = lagged(y, p)
    c = solve(r, t)
    return (c, (t - r @ c).var())


# --- series.largest_root ---------------------------------------------------------------------------------------------


def companion(phi):
    return torch.cat([phi[None], torch.eye(len(phi), dtype=phi.dtype)[:-1]])


@wrong("series.largest_root", says="sum of the coefficients")
def sum_of_coefficients(phi):
    return phi.abs() if len(phi) == 1 else phi.sum()


@wrong("series.largest_root", says="root of the polynomial, not an eigenvalue")
def root_outside(phi):
    return 1 / torch.linalg.eigvals(companion(phi)).abs().min()


@wrong("series.largest_root", says="smallest absolute value")
def smallest(phi):
    return torch.linalg.eigvals(companion(phi)).abs().min()


@wrong("series.largest_root", says="`eigvalsh` is for symmetric matrices")
def symmetric_eigenvalues(phi):
    return torch.linalg.eigvalsh(companion(phi)).abs().max()


@wrong("series.largest_root", says="`eigvalsh` is for symmetric matrices")
def symmetric_upper(phi):
    return torch.linalg.eigvalsh(companion(phi), UPLO="U").abs().max()


@wrong("series.largest_root", says="This is the largest singular value")
def singular_value(phi):
    return torch.linalg.svdvals(companion(phi)).max()


@wrong("series.largest_root", says="You take the real part of a complex eigenvalue")
def real_parts(phi):
    return torch.linalg.eigvals(companion(phi)).real.abs().max()


@wrong("series.largest_root", says="You return the eigenvalue, not its absolute value")
def real_parts_without_sizes(phi):
    return torch.linalg.eigvals(companion(phi)).real.max()


@wrong("series.largest_root", says="This is the sum of absolute coefficients")
def absolute_sum(phi):
    return phi.abs().sum()


@wrong("series.largest_root", says="This is the inverse: a root of the polynomial, not an eigenvalue")
def roots_of_polynomial(phi):
    return torch.tensor(np.abs(np.roots([*-phi.numpy()[::-1], 1])).min())


@wrong("series.largest_root", says="This is the smallest absolute value")
def first_eigenvalue(phi):
    return torch.linalg.eigvals(companion(phi))[-1].abs()


# --- series.forecast -------------------------------------------------------------------------------------------------


def rolled(y, coefficients, horizon, constant=True, flip=True):
    p, values = len(coefficients) - 1, y.tolist()
    for _ in range(horizon):
        past = torch.tensor(values[-p:], dtype=y.dtype)
        past = past.flip(0) if flip else past
        values.append(((coefficients[0] if constant else 0) + coefficients[1:] @ past).item())
    return torch.tensor(values, dtype=y.dtype)


@wrong("series.forecast", says="constant c is missing")
def forecast_without_constant(y, coefficients, horizon):
    return rolled(y, coefficients, horizon, constant=False)[len(y) :]


@wrong("series.forecast", says="newest value meets the last coefficient")
def forecast_reversed(y, coefficients, horizon):
    return rolled(y, coefficients, horizon, flip=False)[len(y) :]


@wrong("series.forecast", says="gets the first forecast")
def forecast_repeated(y, coefficients, horizon):
    return rolled(y, coefficients, 1)[-1].expand(horizon)


@wrong("series.forecast", says="you return the history, too")
def forecast_with_history(y, coefficients, horizon):
    return rolled(y, coefficients, horizon)


@wrong("series.forecast", says="start one value too early")
def forecast_early(y, coefficients, horizon):
    return rolled(y[:-1], coefficients, horizon)[len(y) - 1 :]


def forecast_with(y, c, h, first=True):
    v = y.tolist()
    p = len(c) - 1
    for _ in range(h):
        v.append(float(c[0] + sum(c[i] * v[-i] for i in range(1, p + 1))))
    return torch.tensor(v[len(y) :]).double()


@wrong("series.forecast", says="The constant c is added at the first step only")
def constant_once(y, coefficients, horizon):
    f = forecast_with(y, coefficients, 1)
    z = torch.cat([0 * coefficients[:1], coefficients[1:]])
    return torch.cat([f, forecast_with(torch.cat([y, f]), z, horizon - 1)])


@wrong("series.forecast", says="Only the last value counts")
def last_value_alone(y, coefficients, horizon):
    return forecast_with(y, coefficients[:2], horizon)


@wrong("series.forecast", says="You begin at the other end of the series")
def history_reversed(y, coefficients, horizon):
    return forecast_with(y.flip(0), coefficients, horizon)


@wrong("series.forecast", says="Each step gets the first forecast")
def history_not_moving(y, coefficients, horizon):
    v = y.tolist()
    out = []
    for _ in range(horizon):
        out.append(float(coefficients[0] + sum(coefficients[i] * v[-i] for i in range(1, len(coefficients)))))
    return torch.tensor(out).double()


# --- series.error_variance -------------------------------------------------------------------------------------------


def powers(horizon):
    return torch.arange(horizon, dtype=torch.float64)


@wrong("series.error_variance", says="standard deviations")
def deviations(phi, variance, horizon):
    return (variance * (phi**2) ** powers(horizon)).cumsum(0).sqrt()


@wrong("series.error_variance", says="only the oldest noise")
def oldest_noise(phi, variance, horizon):
    return variance * (phi**2) ** powers(horizon)


@wrong("series.error_variance", says="φ is missing")
def random_walk(phi, variance, horizon):
    return variance * (powers(horizon) + 1)


@wrong("series.error_variance", says="powers of φ are not squared")
def not_squared(phi, variance, horizon):
    return variance * (1 - phi ** (powers(horizon) + 1)) / (1 - phi)


@wrong("series.error_variance", says="divides by zero")
def only_stationary(phi, variance, horizon):
    return variance * (1 - (phi**2) ** (powers(horizon) + 1)) / torch.tensor(1 - phi**2, dtype=torch.float64)


@wrong("series.error_variance", says="one term too many")
def one_noise_more(phi, variance, horizon):
    return variance * (1 + ((phi**2) ** (powers(horizon) + 1)).cumsum(0))


@wrong("series.error_variance", says="The denominator of the geometric sum is not squared")
def denominator_not_squared(phi, variance, horizon):
    h = torch.arange(1, horizon + 1).double()
    return variance * (1 - phi ** (2 * h)) / (1 - phi)


@wrong("series.error_variance", says="This is the variance of the process")
def of_the_process(phi, variance, horizon):
    return torch.full((horizon,), variance / (1 - phi**2)).double()


@wrong("series.error_variance", says="The division by 1 − φ² is missing")
def no_denominator(phi, variance, horizon):
    h = torch.arange(1, horizon + 1).double()
    return variance * (1 - phi ** (2 * h))


@wrong("series.error_variance", says="For φ = 1 your formula divides by zero")
def geometric_formula(phi, variance, horizon):
    h = torch.arange(1, horizon + 1).double()
    return variance * (1 - phi ** (2 * h)) / (1 - phi**2)


@wrong("series.error_variance", says="The horizons run backwards")
def backwards(phi, variance, horizon):
    return (variance * ((phi**2) ** torch.arange(horizon).double()).cumsum(0)).flip(0)


# --- series.fit_with_gaps --------------------------------------------------------------------------------------------


@wrong("series.fit_with_gaps", says="close the gap")
def closed_gaps(y, p):
    return solve(*lagged(y[y.isfinite()], p))


@wrong("series.fit_with_gaps", says="Missing values count as 0")
def zeros(y, p):
    return solve(*lagged(y.nan_to_num(0.0), p))


@wrong("series.fit_with_gaps", says="count as the mean")
def filled_with_the_mean(y, p):
    return solve(*lagged(y.nan_to_num(y.nanmean().item()), p))


@wrong("series.fit_with_gaps", says="rows with a missing value are still there")
def nothing_left_out(y, p):
    rows, targets = lagged(y, p)
    return torch.linalg.pinv(rows.nan_to_num(0.0)) @ targets


@wrong("series.fit_with_gaps", says="a missing past counts as 0")
def targets_only(y, p):
    rows, targets = lagged(y, p)
    known = targets.isfinite()
    return solve(rows[known].nan_to_num(0.0), targets[known])


@wrong("series.fit_with_gaps", says="filled with the last known one")
def carried_forward(y, p):
    y = y.clone()
    for t in range(1, len(y)):
        if y[t].isnan():
            y[t] = y[t - 1]
    return solve(*lagged(y, p))


@wrong("series.fit_with_gaps", says="Missing values are interpolated")
def interpolated(y, p):
    ok = y.isfinite().numpy()
    z = torch.tensor(np.interp(np.arange(len(y)), np.flatnonzero(ok), y.numpy()[ok]))
    return fitted(z, p)[0]


@wrong("series.fit_with_gaps", says="You fit without a constant")
def without_constant(y, p):
    r, t = lagged(y, p)
    k = r.isfinite().all(1) & t.isfinite()
    return torch.cat([torch.zeros(1).double(), solve(r[k][:, 1:], t[k])])


@wrong("series.fit_with_gaps", says="You fit what comes before the first gap alone")
def before_the_first_gap(y, p):
    n = int((~y.isfinite()).nonzero()[0]) if y.isnan().any() else len(y)
    return fitted(y[:n], p)[0]


@wrong("series.fit_with_gaps", says="You fit one stretch without gaps alone")
def longest_stretch(y, p):
    at = [-1, *(~y.isfinite()).nonzero().flatten().tolist(), len(y)]
    a, b = max(itertools.pairwise(at), key=lambda x: x[1] - x[0])
    return fitted(y[a + 1 : b], p)[0]


@wrong("series.fit_with_gaps", says="Missing values are filled with the next known one")
def next_value(y, p):
    z = y.clone()
    for t in range(len(z) - 2, -1, -1):
        if z[t].isnan():
            z[t] = z[t + 1]
    return fitted(z, p)[0]


def _geometric(phi, variance, horizon, is_walk):
    steps = torch.arange(1, horizon + 1, dtype=torch.float64)
    return variance * steps if is_walk(phi) else variance * (1 - phi ** (2 * steps)) / (1 - torch.tensor(phi) ** 2)


@wrong("series.error_variance", says="For φ = −1 your formula divides by zero")
def one_but_not_minus_one(phi, variance, horizon):
    return _geometric(phi, variance, horizon, lambda phi: phi == 1)


@wrong("series.error_variance", says="for a random walk")
def nearly_a_walk(phi, variance, horizon):
    return _geometric(phi, variance, horizon, lambda phi: abs(phi) > 0.99)


@wrong("series.error_variance", says="Your sum begins at i = 1")
def from_the_second(phi, variance, horizon):
    return variance * (phi ** (2 * torch.arange(1, horizon + 1, dtype=torch.float64))).cumsum(0)


@wrong("series.largest_root", says="the first eigenvalue, and they come in no order")
def first_of_the_eigenvalues(phi):
    companion = torch.cat([phi[None], torch.eye(len(phi), dtype=phi.dtype)[:-1]])
    return torch.linalg.eigvals(companion)[0].abs()


@wrong("series.forecast", says="cut your forecasts off at 0")
def never_negative(y, coefficients, horizon):
    values, weights = y.tolist(), coefficients[1:].tolist()
    for _ in range(horizon):
        terms = [phi * values[-i] for i, phi in enumerate(weights, start=1)]
        values.append(max(0.0, coefficients[0].item() + sum(terms)))
    return torch.tensor(values[len(y) :], dtype=y.dtype)


@wrong("series.largest_root", says="You take the coefficients in reverse")
def from_the_oldest(phi):
    companion = torch.cat([phi.flip(0)[None], torch.eye(len(phi), dtype=phi.dtype)[:-1]])
    return torch.linalg.eigvals(companion).abs().max()


@wrong("series.fit_with_gaps", says="You leave out too many rows")
def one_row_too_many(y, p):
    known = [t for t in range(p, len(y)) if y[max(t - p - 1, 0) : t + 1].isfinite().all()]
    rows = torch.stack([torch.cat([y.new_ones(1), y[t - p : t].flip(0)]) for t in known])
    return torch.linalg.lstsq(rows, y[known][:, None]).solution[:, 0]
