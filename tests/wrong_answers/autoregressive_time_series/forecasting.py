"""Wrong answers of chapter 11: baselines, scores, and what a network needs."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong

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


@wrong("series.causal_convolution", says="kernel is centered")
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
