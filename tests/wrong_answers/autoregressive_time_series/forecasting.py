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


@wrong("series.seasonal_naive", says="You count the season from the beginning of the series")
def counted_from_the_start(y, season, horizon):
    return y[(len(y) + torch.arange(horizon)) % season]


@wrong("series.seasonal_naive", says="You look two seasons back")
def two_seasons_back(y, season, horizon):
    return y[len(y) - 2 * season + torch.arange(horizon) % season]


@wrong("series.seasonal_naive", says="You average over all seasons")
def mean_season(y, season, horizon):
    n = len(y) // season * season
    return y[-n:].reshape(-1, season).mean(0)[torch.arange(horizon) % season]


@wrong("series.seasonal_naive", says="You forecast the mean of the last season")
def mean_of_the_season(y, season, horizon):
    return y[-season:].mean().expand(horizon)


@wrong("series.seasonal_naive", says="You repeat the last 12 values, not the last season")
def last_values_repeated(y, season, horizon):
    return y[-season:][:horizon] if horizon <= season else y[-horizon:]


@wrong("series.seasonal_naive", says="After a season you repeat its last value")
def last_held(y, season, horizon):
    return y[-season:][torch.arange(horizon).clamp(max=season - 1)]


@wrong("series.seasonal_naive", says="After a season you forecast 0")
def zero_padded(y, season, horizon):
    return torch.cat([y[-season:], torch.zeros(100).double()])[:horizon]


@wrong("series.seasonal_naive", says="Your season always has 5 steps")
def five(y, season, horizon):
    return y[len(y) - 5 + torch.arange(horizon) % 5]


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


def near(s, y):
    return (s - y).abs().mean(0)


@wrong("series.crps_sample", says="You count each pair once")
def pairs_once(samples, y):
    n = len(samples)
    i, j = torch.triu_indices(n, n, 1)
    return near(samples, y) - (samples[i] - samples[j]).abs().sum(0) / (2 * n * n)


@wrong("series.crps_sample", says="You take the mean distance of pairs i < j, and no ½")
def mean_of_pairs(samples, y):
    n = len(samples)
    i, j = torch.triu_indices(n, n, 1)
    return near(samples, y) - (samples[i] - samples[j]).abs().mean(0)


@wrong("series.crps_sample", says="You compare each sample with the next one only")
def neighbors_alone(samples, y):
    return near(samples, y) - (samples[1:] - samples[:-1]).abs().mean(0) / 2


@wrong("series.crps_sample", says="You use the standard deviation for the spread")
def deviation_for_spread(samples, y):
    return near(samples, y) - samples.std(0) / 2


@wrong("series.crps_sample", says="You score the median of the sample")
def of_the_median(samples, y):
    return (samples.median(0).values - y).abs()


@wrong("series.crps_sample", says="There is a ½ before the first term")
def half_everywhere(samples, y):
    return (near(samples, y) - (samples[:, None] - samples).abs().mean((0, 1))) / 2


@wrong("series.crps_sample", says="There is a ½ before the first term")
def half_the_first(samples, y):
    return near(samples, y) / 2 - (samples[:, None] - samples).abs().mean((0, 1)) / 2


@wrong("series.crps_sample", says="Every step gets the mean score")
def mean_over_steps(samples, y):
    return (near(samples, y) - (samples[:, None] - samples).abs().mean((0, 1)) / 2).mean().expand(samples.shape[1])


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


def rolled(y, f, first, h):
    return torch.stack([y[t : t + h] - f(y[:t], h) for t in range(first, len(y) - h + 1)])


@wrong("series.rolling_errors", says="You take the median")
def median_error(y, forecaster, first, horizon):
    return rolled(y, forecaster, first, horizon).abs().median(0).values


@wrong("series.rolling_errors", says="You take the largest error")
def largest_error(y, forecaster, first, horizon):
    return rolled(y, forecaster, first, horizon).abs().amax(0)


@wrong("series.rolling_errors", says="You add the steps up")
def cumulated(y, forecaster, first, horizon):
    return rolled(y, forecaster, first, horizon).abs().mean(0).cumsum(0)


@wrong("series.rolling_errors", says="The origin does not move on by one")
def forecast_of_the_first_origin(y, forecaster, first, horizon):
    return (
        torch.stack([y[t : t + horizon] - forecaster(y[:first], horizon) for t in range(first, len(y) - horizon + 1)])
        .abs()
        .mean(0)
    )


@wrong("series.rolling_errors", says="The origin does not move on by one")
def steps_of_horizon(y, forecaster, first, horizon):
    return (
        torch.stack(
            [y[t : t + horizon] - forecaster(y[:t], horizon) for t in range(first, len(y) - horizon + 1, horizon)]
        )
        .abs()
        .mean(0)
    )


@wrong("series.rolling_errors", says="You keep the last origin alone")
def last_origin_alone(y, forecaster, first, horizon):
    return rolled(y, forecaster, first, horizon)[-1].abs()


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


@wrong("series.standardize", says="The mean is missing")
def mean_missing(y, n_train):
    return y / y[:n_train].std(unbiased=False)


@wrong("series.standardize", says="You multiply with the deviation")
def multiplied(y, n_train):
    return (y - y[:n_train].mean()) * y[:n_train].std(unbiased=False)


@wrong("series.standardize", says="You subtract the median")
def by_median(y, n_train):
    return (y - y[:n_train].median()) / y[:n_train].std(unbiased=False)


@wrong("series.standardize", says="You scale to 0 … 1")
def to_unit_interval(y, n_train):
    return (y - y[:n_train].min()) / (y[:n_train].max() - y[:n_train].min())


@wrong("series.standardize", says="One value too many is taken for training")
def one_more_value(y, n_train):
    return (y - y[: n_train + 1].mean()) / y[: n_train + 1].std(unbiased=False)


@wrong("series.standardize", says="Mean and deviation come from the last values")
def last_values_standardize(y, n_train):
    return (y - y[-n_train:].mean()) / y[-n_train:].std(unbiased=False)


@wrong("series.standardize", says="Mean and deviation come from the test part")
def test_part(y, n_train):
    return (y - y[n_train:].mean()) / y[n_train:].std(unbiased=False)


@wrong("series.standardize", says="You always take 8 values for training")
def first_eight(y, n_train):
    return (y - y[:8].mean()) / y[:8].std(unbiased=False)


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


@wrong("series.causal_convolution", says="The beginning sees the end of the series")
def circular(y, weights, dilation):
    return sum((w_ * y.roll(k * dilation) for k, w_ in enumerate(weights)))


@wrong("series.causal_convolution", says="Before the beginning you repeat the first value")
def first_value_repeated(y, weights, dilation):
    return sum((w_ * y[(torch.arange(len(y)) - k * dilation).clamp(min=0)] for k, w_ in enumerate(weights)))


@wrong("series.causal_convolution", says="Before the beginning you mirror the series")
def mirrored(y, weights, dilation):
    return sum((w_ * y[(torch.arange(len(y)) - k * dilation).abs()] for k, w_ in enumerate(weights)))


@wrong("series.causal_convolution", says="The last weight is not used")
def last_weight_lost(y, weights, dilation):
    z = torch.cat([torch.zeros(50).double(), y])
    return sum((w_ * z[50 - k * dilation : 50 - k * dilation + len(y)] for k, w_ in enumerate(weights[:-1]))) + 0 * y


@wrong("series.causal_convolution", says="The first weight is not used")
def first_weight_lost(y, weights, dilation):
    z = torch.cat([torch.zeros(50).double(), y])
    return sum((w_ * z[50 - k * dilation : 50 - k * dilation + len(y)] for k, w_ in enumerate(weights) if k)) + 0 * y


@wrong("series.causal_convolution", says="Your dilation is always 2")
def always_two(y, weights, dilation):
    z = torch.cat([torch.zeros(50).double(), y])
    return sum((w_ * z[50 - k * 2 : 50 - k * 2 + len(y)] for k, w_ in enumerate(weights))) + 0 * y


@wrong("series.causal_convolution", says="You take powers of the dilation")
def power_of_two(y, weights, dilation):
    z = torch.cat([torch.zeros(90).double(), y])
    return sum(
        (
            w_ * z[90 - (dilation**k if k else 0) : 90 - (dilation**k if k else 0) + len(y)]
            for k, w_ in enumerate(weights)
        )
    )


@wrong("series.causal_convolution", says="beyond the whole series")
def zeros_of_a_long_reach(y, weights, dilation):
    rows = [torch.cat([y.new_zeros(k * dilation), y[: max(len(y) - k * dilation, 0)]]) for k in range(len(weights))]
    return sum(w * row for w, row in zip(weights, torch.nn.utils.rnn.pad_sequence(rows).T, strict=True))


@wrong("series.standardize", says="for a series in other units")
def small_number_added(y, n_train):
    train = y[:n_train]
    return (y - train.mean()) / (train.std(unbiased=False) + 1e-8)


@wrong("series.standardize", says="The test part is not scaled")
def training_part_alone(y, n_train):
    train = y[:n_train]
    return torch.cat([(train - train.mean()) / train.std(unbiased=False), y[n_train:]])


@wrong("series.crps_sample", says="sorted samples are off by one")
def sorted_off_by_one(samples, y):
    n, ordered = len(samples), samples.sort(0).values
    weights = 2 * torch.arange(n, dtype=samples.dtype)[:, None] - n
    return (samples - y).abs().mean(0) - (weights * ordered).sum(0) / n**2
