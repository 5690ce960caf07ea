"""Checks of chapter 11: baselines, scores, and what a network needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong


@exercise("series.seasonal_naive", call="seasonal_naive(y, season, horizon)")
def seasonal_naive(answer: Callable, generator: Generator) -> None:
    y, season = draw.normal(generator, 17), 5
    last = y[-season:]
    value = tensor(answer(y, season, 4), (4,))
    close(
        value,
        last[:4],
        [
            Mistake(y[:4], "You repeat the first season of the series.", "The last one is the nearest."),
            Mistake(y[-4:], "You repeat the last values, whatever the season.", "One season ago: y[T − season + h]."),
            Mistake(y[-1].expand(4), "This is the naive forecast: the last value.", "Look one season back."),
            Mistake(y[-season - 1 : -2], "You look one step too far back.", "y[T − season] predicts y[T]."),
            Mistake(last.flip(0)[:4], "The season runs backwards.", "The oldest of its values comes first."),
            Mistake(
                y[(17 + torch.arange(4)) % season],
                "You count the season from the beginning of the series.",
                "The last `season` values.",
            ),
            Mistake(y[-2 * season :][:4], "You look two seasons back.", "The last season is the nearest."),
            Mistake(
                torch.stack([y[2 + h :: season].mean() for h in range(4)]),
                "You average over all seasons.",
                "The naive forecast repeats the last one.",
            ),
            Mistake(last.mean().expand(4), "You forecast the mean of the last season.", "Each of its values in turn."),
        ],
    )
    short = Mistake((season,), "the season is not repeated for a longer horizon", "Begin it again: h % season.")
    long = tensor(answer(y, season, 12), (12,), shapes=[short])
    mistakes = [
        Mistake(y[-12:], "You repeat the last 12 values, not the last season.", "Begin the season again: h % season."),
        Mistake(torch.cat([last, last[-1:].expand(7)]), "After a season you repeat its last value.", "h % season."),
        Mistake(torch.cat([last, 0 * y[:7]]), "After a season you forecast 0.", "Begin it again: h % season."),
        Mistake(torch.cat([last, last.flip(0), last[:2]]), "Every other season runs backwards.", "h % season."),
    ]
    close(long, torch.cat([last, last, last[:2]]), mistakes, hint="After a season, begin the same season again.")
    short = Mistake(y[-5:][:3], "Your season always has 5 steps.", "Use `season`.")
    close(tensor(answer(y, 3, 3), (3,)), y[-3:], [short], hint="With a season of 3, repeat the last 3 values.")


@exercise("series.crps_sample", call="crps_sample(samples, y)")
def crps_sample(answer: Callable, generator: Generator) -> None:
    samples, y = draw.normal(generator, 7, 3), draw.normal(generator, 3)
    n = len(samples)
    near = torch.stack([sum((x - value).abs() for x in column) / n for column, value in zip(samples.T, y, strict=True)])
    pairs = torch.stack([sum((a - b).abs() for a in column for b in column) for column in samples.T])
    truth = near - pairs / (2 * n * n)
    value = tensor(
        answer(samples, y),
        (3,),
        shapes=[
            Mistake((7,), "you average over the steps instead of the sample", "One score a step: mean over axis 0."),
            Mistake((), "you return one number for all steps", "Keep the steps apart."),
            Mistake((7, 3), "the mean over the sample is missing", "Average over axis 0."),
        ],
    )
    close(
        value,
        truth,
        [
            Mistake(near, "The second term is missing: this rewards forecasts without doubt.", "Subtract the spread."),
            Mistake(near - pairs / n**2, "The spread lacks its ½.", "It is 1/(2n²) Σ |xᵢ − xⱼ|."),
            Mistake(near + pairs / (2 * n * n), "The spread has the wrong sign.", "It is subtracted."),
            Mistake(-truth, "The sign is wrong: the CRPS is a distance, smaller is better.", "Near minus spread."),
            Mistake(near - pairs / (2 * n), "You divide the pairs by n.", "There are n² pairs."),
            Mistake(
                near - pairs / (4 * n * n),
                "You count each pair once, i < j: the spread is half of what it should be.",
                "1/(2n²) Σ over all i and j; over i < j alone it is 1/n².",
            ),
            Mistake(
                near - pairs / (n * (n - 1)),
                "You take the mean distance of pairs i < j, and no ½.",
                "1/(2n²) Σ over all i and j, also i = j.",
            ),
            Mistake(
                near - (samples[1:] - samples[:-1]).abs().mean(0) / 2,
                "You compare each sample with the next one only.",
                "All pairs: `samples[:, None] - samples`.",
            ),
            *(
                Mistake(
                    near - ((2 * torch.arange(n).double() - n + off)[:, None] * samples.sort(0).values).sum(0) / n**2,
                    "Your weights of the sorted samples are off by one.",
                    "The i-th smallest, i = 1, …, n, gets 2i − n − 1.",
                )
                for off in (-1, 0, 2)  # 1 is right
            ),
            Mistake(near - samples.std(0) / 2, "You use the standard deviation for the spread.", "Mean distances."),
            Mistake(
                near - samples.std(0, unbiased=False) / 2,
                "You use the standard deviation for the spread.",
                "Mean distances.",
            ),
            Mistake(
                (samples.median(0).values - y).abs(),
                "You score the median of the sample.",
                "The mean of the distances.",
            ),
            Mistake(near / 2 - pairs / (2 * n * n), "There is a ½ before the first term.", "Only the spread has it."),
            Mistake((truth.mean()).expand(3), "Every step gets the mean score.", "Keep the steps apart."),
            Mistake(
                near - pairs / (2 * n * (n - 1)),
                "You leave the pairs i = j out of the count.",
                "That is the fair version for an ensemble; here divide by n².",
            ),
            Mistake(
                (samples.mean(0) - y).abs(),
                "You score the mean of the sample.",
                "Mean of the distances, not distance of the mean.",
            ),
            Mistake(
                (samples.mean(0) - y).abs() - pairs / (2 * n * n),
                "You score the mean of the sample.",
                "Mean of the distances, not distance of the mean.",
            ),
            Mistake(near * n - pairs / 2, "These are sums.", "Divide by n, and by n²."),
            Mistake(
                (samples - y).square().mean(0) - (samples[:, None] - samples).square().mean((0, 1)) / 2,
                "You square the distances.",
                "Take absolute values.",
            ),
        ],
    )
    one = draw.normal(generator, 1, 3)
    close(tensor(answer(one, y), (3,)), (one[0] - y).abs(), hint="A sample of one has no spread: |x − y|.")


@exercise("series.rolling_errors", call="rolling_errors(y, forecaster, first, horizon)")
def rolling_errors(answer: Callable, generator: Generator) -> None:
    y, first, horizon = draw.normal(generator, 15), 6, 3
    asked: list[Tensor] = []

    def spy(history: Tensor, steps: int) -> Tensor:
        if not isinstance(history, Tensor) or history.ndim != 1 or not len(history):
            raise Wrong("The forecaster got no history of shape (t,).", "Call `forecaster(y[:t], horizon)`.")
        if steps != horizon:
            raise Wrong(f"The forecaster was asked for {steps} steps, not for {horizon}.", "Pass the horizon on.")
        asked.append(history)
        return 0.5 * history[-1].expand(steps) + 0.1 * torch.arange(steps).to(history)

    value = tensor(
        answer(y, spy, first, horizon),
        (horizon,),
        shapes=[
            Mistake((), "you average over the steps ahead, too", "Keep them apart: near is easier than far."),
            Mistake((10, 3), "the mean over the origins is missing", "Average over axis 0."),
            Mistake((10,), "you average over the steps instead of the origins", "Average over axis 0."),
        ],
    )
    lengths = [len(history) for history in asked]
    if any(length == len(y) for length in lengths):
        raise Wrong("The forecaster gets the whole series, its future included.", "At time t it knows y[:t] alone.")
    for history in asked:
        if not torch.equal(history, y[: len(history)]):
            raise Wrong("The history does not begin at the beginning of the series.", "It is y[:t], all that is known.")
    wanted = list(range(first, len(y) - horizon + 1))
    if sorted(lengths) == [length + 1 for length in wanted]:
        raise Wrong("The history holds the first value that is to be predicted.", "`y[:t]` ends before y_t.")
    if sorted(lengths) == wanted[:-1]:
        raise Wrong("The last origin is missing.", "At t = T − H all H values are known: range(first, T − H + 1).")
    if sorted(lengths) == wanted[1:]:
        raise Wrong("The first origin is missing.", "Begin at t = `first`.")
    if len(set(lengths)) < len(wanted) and set(lengths) <= set(wanted):
        raise Wrong("The origin does not move on by one.", "Ask at every t, and again with the longer history.")
    if sorted(lengths) != wanted:
        raise Wrong(f"You ask at t = {sorted(lengths)}, expected {wanted}.", "From `first` to T − H.")
    errors = torch.stack([y[t : t + horizon] - spy(y[:t], horizon) for t in wanted])
    close(
        value,
        errors.abs().mean(0),
        [
            Mistake(errors.mean(0), "You average signed errors: they cancel.", "Take absolute values first."),
            Mistake(-errors.mean(0), "You average signed errors: they cancel.", "Take absolute values first."),
            Mistake(errors.mean(0).abs(), "You average signed errors: they cancel.", "First `abs`, then `mean`."),
            Mistake(errors.square().mean(0), "You average squares.", "Asked is the mean absolute error."),
            Mistake(
                errors.square().mean(0).sqrt(),
                "This is the root of the mean square.",
                "Asked is the mean absolute error.",
            ),
            Mistake(errors.abs().sum(0), "You add the errors up.", "Divide by the number of origins."),
            Mistake(errors.abs().median(0).values, "You take the median.", "Asked is the mean absolute error."),
            Mistake(errors.abs().amax(0), "You take the largest error.", "Asked is the mean absolute error."),
            Mistake(errors.abs().mean(0).flip(0), "The steps run backwards.", "One step ahead comes first."),
            Mistake(errors.abs().mean(0).cumsum(0), "You add the steps up.", "Each step ahead for itself."),
            Mistake(errors[-1].abs(), "You keep the last origin alone.", "The mean over all origins."),
            Mistake(errors[0].abs(), "You keep the first origin alone.", "The mean over all origins."),
        ],
    )


@exercise("series.standardize", call="standardize(y, n_train)")
def standardize(answer: Callable, generator: Generator) -> None:
    y = 10 + 3 * draw.normal(generator, 12)
    y[8:] += 20
    train = y[:8]
    mean, std = train.mean(), train.std(unbiased=False)
    only = Mistake((8,), "only the training part comes back", "Return the whole series.")
    value = tensor(answer(y, 8), (12,), shapes=[only])
    truth = (y - mean) / std
    parts_apart = torch.cat([truth[:8], (y[8:] - y[8:].mean()) / y[8:].std(unbiased=False)])
    close(
        value,
        truth,
        [
            Mistake(
                (y - y.mean()) / y.std(unbiased=False),
                "Mean and deviation come from the whole series: this leaks the future.",
                "Use y[:n_train].",
            ),
            Mistake(
                (y - y.mean()) / y.std(),
                "Mean and deviation come from the whole series: this leaks the future.",
                "Use y[:n_train].",
            ),
            Mistake(
                (y - mean) / y.std(unbiased=False),
                "The deviation comes from the whole series: this leaks the future.",
                "Use y[:n_train].",
            ),
            Mistake(
                (y - y.mean()) / std, "The mean comes from the whole series: this leaks the future.", "Use y[:n_train]."
            ),
            Mistake(
                torch.cat([truth[:8], y[8:]]),
                "The test part is not scaled.",
                "Scale all of it, by the training part's mean and deviation.",
            ),
            Mistake(
                parts_apart,
                "The test part is scaled by its own mean and deviation.",
                "Nobody knows them in time: the training part's serve both.",
            ),
            Mistake((y - mean) / std.square(), "You divide by the variance.", "Divide by the standard deviation."),
            Mistake((y - mean) / train.std(), "You divide by the unbiased deviation.", "Use `std(unbiased=False)`."),
            Mistake(y - mean, "You do not divide by the deviation.", "The training part must have deviation 1."),
            Mistake(y / std - mean, "You divide before you subtract.", "First the mean, then the deviation."),
            Mistake(y / std, "The mean is missing.", "Subtract the training part's mean."),
            Mistake((y + mean) / std, "You add the mean.", "Subtract it."),
            Mistake((y - mean) * std, "You multiply with the deviation.", "Divide by it."),
            Mistake((y - train.median()) / std, "You subtract the median.", "The mean."),
            Mistake((y - train.min()) / (train.max() - train.min()), "You scale to 0 … 1.", "Mean and deviation."),
            Mistake(
                (y - y[:9].mean()) / y[:9].std(unbiased=False),
                "One value too many is taken for training.",
                "y[:n_train].",
            ),
            Mistake((y - y[:7].mean()) / y[:7].std(unbiased=False), "One training value is left out.", "y[:n_train]."),
            Mistake(
                (y - y[8:].mean()) / y[8:].std(unbiased=False),
                "Mean and deviation come from the test part.",
                "Use y[:n_train].",
            ),
            Mistake(
                (y - y[4:].mean()) / y[4:].std(unbiased=False),
                "Mean and deviation come from the last values.",
                "Use y[:n_train], the first ones.",
            ),
        ],
    )
    five = (y - y[:5].mean()) / y[:5].std(unbiased=False)
    fixed = Mistake(truth, "You always take 8 values for training.", "Use `n_train`.")
    close(tensor(answer(y, 5), (12,)), five, [fixed], name="your result for 5 training values")
    hint = "No small number added to the deviation: in other units the scaled series is the same."
    close(tensor(answer(1e-6 * y, 8), (12,)), truth, name="your result for a series in other units", hint=hint)


@exercise("series.causal_convolution", call="causal_convolution(y, weights, dilation)")
def causal_convolution(answer: Callable, generator: Generator) -> None:
    y, weights, dilation = draw.normal(generator, 11), draw.normal(generator, 3), 2

    def direct(w=weights, d=dilation, sign=1, shift=0) -> Tensor:
        out = torch.zeros_like(y)
        for t in range(len(y)):
            for k in range(len(w)):
                at = t - sign * (k * d + shift)
                if 0 <= at < len(y):
                    out[t] += w[k] * y[at]
        return out

    truth = direct()
    value = tensor(
        answer(y, weights, dilation),
        (11,),
        shapes=[
            Mistake((7,), "the beginning is cut off", "Values before the beginning are 0: pad on the left."),
            Mistake((15,), "it is longer than the series", "Pad on the left only."),
        ],
    )
    centered = torch.nn.functional.conv1d(
        y[None, None], weights.flip(0)[None, None], padding=dilation, dilation=dilation
    )[0, 0]
    close(
        value,
        truth,
        [
            Mistake(
                direct(weights.flip(0)),
                "The weights are in the wrong order: w₀ meets the oldest value.",
                "`conv1d` does not flip its kernel; w₀ belongs to y_t.",
            ),
            Mistake(direct(sign=-1), "This looks into the future.", "Take y_{t − k d}, not y_{t + k d}."),
            Mistake(
                direct(weights.flip(0), sign=-1), "This looks into the future.", "Pad on the left, not on the right."
            ),
            Mistake(
                centered,
                "The kernel is centered: half of it looks into the future.",
                "Pad on the left only, by (K − 1) d.",
            ),
            Mistake(
                centered.flip(0), "The kernel is centered: half of it looks into the future.", "Pad on the left only."
            ),
            Mistake(
                torch.nn.functional.conv1d(y[None, None], weights[None, None], padding=dilation, dilation=dilation)[
                    0, 0
                ],
                "The kernel is centered: half of it looks into the future.",
                "Pad on the left only, by (K − 1) d.",
            ),
            Mistake(direct(d=1), "The dilation is missing.", "Step back by d for each weight."),
            Mistake(direct(shift=1), "It is shifted by one: w₀ belongs to the present.", "o_t begins with w₀ y_t."),
            Mistake(direct(d=dilation + 1), "The holes are too wide.", "Weight k looks k·d back, not k·(d + 1)."),
            Mistake(
                sum(w * y.roll(k * dilation) for k, w in enumerate(weights)),
                "The beginning sees the end of the series: `roll` and circular padding wrap round.",
                "Values before the beginning are 0.",
            ),
            Mistake(
                sum(w * y[(torch.arange(11) - k * dilation).clamp(min=0)] for k, w in enumerate(weights)),
                "Before the beginning you repeat the first value.",
                "Values before the beginning are 0.",
            ),
            Mistake(
                sum(w * y[(torch.arange(11) - k * dilation).abs()] for k, w in enumerate(weights)),
                "Before the beginning you mirror the series.",
                "Values before the beginning are 0.",
            ),
            Mistake(direct(weights[:-1]), "The last weight is not used.", "k = 0, …, K − 1."),
            Mistake(direct() - weights[0] * y, "The first weight is not used.", "k = 0, …, K − 1: w₀ y_t counts."),
            Mistake(truth.flip(0), "The series comes out backwards.", "o_t belongs to y_t."),
        ],
    )
    fixed = Mistake(truth, "Your dilation is always 2.", "Use `dilation`.")
    powers = direct(weights[:2], 3) + weights[2] * torch.cat([y.new_zeros(9), y[:2]])
    wider = [fixed, Mistake(powers, "You take powers of the dilation.", "Weight k looks k · d back.")]
    close(tensor(answer(y, weights, 3), (11,)), direct(d=3), wider, name="your result for a dilation of 3")
    close(tensor(answer(y, weights[:1], 3), (11,)), weights[0] * y, hint="With one weight it is w₀ y_t.")
    short = weights[0] * y[:4] + weights[1] * torch.cat([y.new_zeros(3), y[:1]])
    name = "your result where the last weight reaches back beyond the whole series"
    close(
        tensor(answer(y[:4], weights, 3), (4,), name=name), short, name=name, hint="Values before the beginning are 0."
    )
