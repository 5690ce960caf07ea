"""Wrong answers to the exercises of chapter 11, autoregressive time series."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong


def lagged(y, p):
    past = y[:-1].unfold(0, p, 1).flip(1)
    return torch.cat([torch.ones_like(past[:, :1]), past], dim=1), y[p:]


def solve(rows, targets):
    return torch.linalg.lstsq(rows, targets[:, None]).solution[:, 0]


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


# --- series.seasonal_naive -------------------------------------------------------------------------------------------


@wrong("series.seasonal_naive", says="the last value")
def naive(y, season, horizon):
    return y[-1].expand(horizon)


@wrong("series.seasonal_naive", says="first season of the series")
def first_season(y, season, horizon):
    return y[torch.arange(horizon) % season]


@wrong("series.seasonal_naive", says="whatever the season")
def last_values(y, season, horizon):
    return y[-horizon:]


@wrong("series.seasonal_naive", says="season is not repeated")
def not_repeated(y, season, horizon):
    return y[-season:][:horizon]


@wrong("series.seasonal_naive", says="one step too far back")
def too_far_back(y, season, horizon):
    return y[len(y) - season - 1 + torch.arange(horizon) % season]


@wrong("series.seasonal_naive", says="runs backwards")
def backwards(y, season, horizon):
    return y[-season:].flip(0)[torch.arange(horizon) % season]


# --- series.crps_sample ----------------------------------------------------------------------------------------------


def spread(samples):
    return (samples[:, None] - samples).abs().mean((0, 1))


def distance(samples, y):
    return (samples - y).abs().mean(0)


@wrong("series.crps_sample", says="second term is missing")
def no_spread(samples, y):
    return distance(samples, y)


@wrong("series.crps_sample", says="spread lacks its ½")
def whole_spread(samples, y):
    return distance(samples, y) - spread(samples)


@wrong("series.crps_sample", says="spread has the wrong sign")
def spread_added(samples, y):
    return distance(samples, y) + spread(samples) / 2


@wrong("series.crps_sample", says="score the mean of the sample")
def error_of_the_mean(samples, y):
    return (samples.mean(0) - y).abs()


@wrong("series.crps_sample", says="pairs i = j out of the count")
def fair(samples, y):
    n = len(samples)
    return distance(samples, y) - spread(samples) / 2 * n / (n - 1)


@wrong("series.crps_sample", says="over the steps instead of the sample")
def over_steps(samples, y):
    return (samples - y).abs().mean(1)


@wrong("series.crps_sample", says="square the distances")
def squares(samples, y):
    return (samples - y).square().mean(0) - (samples[:, None] - samples).square().mean((0, 1)) / 2


# --- series.rolling_errors -------------------------------------------------------------------------------------------


def evaluate(y, forecaster, first, horizon, origins=None, history=lambda y, t: y[:t]):
    origins = range(first, len(y) - horizon + 1) if origins is None else origins
    return torch.stack([y[t : t + horizon] - forecaster(history(y, t), horizon) for t in origins])


@wrong("series.rolling_errors", says="whole series, its future included")
def sees_everything(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon, history=lambda y, t: y).abs().mean(0)


@wrong("series.rolling_errors", says="holds the first value that is to be predicted")
def off_by_one(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon, history=lambda y, t: y[: t + 1]).abs().mean(0)


@wrong("series.rolling_errors", says="last origin is missing")
def last_origin_lost(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon, range(first, len(y) - horizon)).abs().mean(0)


@wrong("series.rolling_errors", says="average over the steps ahead, too")
def one_number(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon).abs().mean()


@wrong("series.rolling_errors", says="average signed errors")
def signed(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon).mean(0)


@wrong("series.rolling_errors", says="average signed errors")
def absolute_last(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon).mean(0).abs()


@wrong("series.rolling_errors", says="origin does not move on by one")
def one_origin_in_three(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon, range(first, len(y) - horizon + 1, horizon)).abs().mean(0)


@wrong("series.rolling_errors", says="does not begin at the beginning")
def short_memory(y, forecaster, first, horizon):
    return evaluate(y, forecaster, first, horizon, history=lambda y, t: y[t - first + 1 : t]).abs().mean(0)


# --- series.standardize ----------------------------------------------------------------------------------------------


@wrong("series.standardize", says="come from the whole series")
def leak(y, n_train):
    return (y - y.mean()) / y.std(unbiased=False)


@wrong("series.standardize", says="The deviation comes from the whole series")
def half_a_leak(y, n_train):
    return (y - y[:n_train].mean()) / y.std(unbiased=False)


@wrong("series.standardize", says="scaled by its own mean")
def each_part_alone(y, n_train):
    return torch.cat([(part - part.mean()) / part.std(unbiased=False) for part in (y[:n_train], y[n_train:])])


@wrong("series.standardize", says="divide by the variance")
def by_the_variance(y, n_train):
    return (y - y[:n_train].mean()) / y[:n_train].var(unbiased=False)


@wrong("series.standardize", says="only the training part comes back")
def training_part(y, n_train):
    train = y[:n_train]
    return (train - train.mean()) / train.std(unbiased=False)


@wrong("series.standardize", says="unbiased deviation")
def unbiased_deviation(y, n_train):
    return (y - y[:n_train].mean()) / y[:n_train].std()


# --- series.causal_convolution ---------------------------------------------------------------------------------------


def convolve(y, weights, dilation, pad):
    return F.conv1d(F.pad(y, pad)[None, None], weights[None, None], dilation=dilation)[0, 0]


@wrong("series.causal_convolution", says="w₀ meets the oldest value")
def not_flipped(y, weights, dilation):
    return convolve(y, weights, dilation, ((len(weights) - 1) * dilation, 0))


@wrong("series.causal_convolution", says="This looks into the future")
def padded_right(y, weights, dilation):
    return convolve(y, weights.flip(0), dilation, (0, (len(weights) - 1) * dilation))


@wrong("series.causal_convolution", says="kernel is centred")
def centered(y, weights, dilation):
    pad = (len(weights) - 1) * dilation // 2
    return convolve(y, weights.flip(0), dilation, (pad, pad))


@wrong("series.causal_convolution", says="dilation is missing")
def no_dilation(y, weights, dilation):
    return convolve(y, weights.flip(0), 1, (len(weights) - 1, 0))


@wrong("series.causal_convolution", says="beginning is cut off")
def no_padding(y, weights, dilation):
    return convolve(y, weights.flip(0), dilation, (0, 0))


@wrong("series.causal_convolution", says="longer than the series")
def padded_on_both_sides(y, weights, dilation):
    pad = (len(weights) - 1) * dilation
    return convolve(y, weights.flip(0), dilation, (pad, pad))


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


# --- series.sunspots -------------------------------------------------------------------------------------------------


def paths(y, p, noise):
    rows, targets = lagged(y, p)
    c = solve(rows, targets)
    std = (targets - rows @ c).square().mean().sqrt()
    path = y[-p:].expand(len(noise), -1)
    for column in noise.T:
        path = torch.cat([path, (c[0] + path[:, -p:].flip(1) @ c[1:] + std * column)[:, None]], dim=1)
    return path[:, p:]


@wrong("series.sunspots", says="times that of the seasonal rule")
def too_short_a_memory(history, noise):
    return paths(history.sqrt(), 2, noise).clamp(min=0).square()


@wrong("series.sunspots", says="times that of the seasonal rule")
def the_past_as_it_was(history, noise):
    return history[(torch.special.ndtr(noise) * len(history)).long()]


@wrong("series.sunspots", says="go below zero")
def negative_counts(history, noise):
    return paths(history, 9, noise)


@wrong("series.sunspots", says="All paths are the same")
def one_path(history, noise):
    return paths(history.sqrt(), 9, 0 * noise).clamp(min=0).square()


@wrong("series.sunspots", says="that is one path")
def a_single_one(history, noise):
    return paths(history.sqrt(), 9, noise[:1]).clamp(min=0).square()[0]
