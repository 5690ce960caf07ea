"""Wrong answers of chapter 11: the linear model: rows, fit, stability, forecasts, gaps."""

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


# --- series.largest_root ---------------------------------------------------------------------------------------------


def companion(phi):
    return torch.cat([phi[None], torch.eye(len(phi), dtype=phi.dtype)[:-1]])


@wrong("series.largest_root", says="not its absolute value")
def real_and_signed(phi):
    return torch.linalg.eigvals(companion(phi)).real.max()


@wrong("series.largest_root", says="real part of a complex eigenvalue")
def real_part(phi):
    return torch.linalg.eigvals(companion(phi)).real.abs().max()


@wrong("series.largest_root", says="sum of the coefficients")
def sum_of_coefficients(phi):
    return phi.abs() if len(phi) == 1 else phi.sum()


@wrong("series.largest_root", says="root of the polynomial, not an eigenvalue")
def root_outside(phi):
    return 1 / torch.linalg.eigvals(companion(phi)).abs().min()


@wrong("series.largest_root", says="smallest absolute value")
def smallest(phi):
    return torch.linalg.eigvals(companion(phi)).abs().min()


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
