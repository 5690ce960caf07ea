"""Right answers to the exercises of chapter 11, by loops, other formulas and libraries."""

import numpy as np
import torch
from scipy.signal import lfilter
from statsmodels.tsa.ar_model import AutoReg

from right_answers import right


@right("series.lag_matrix")
def column_by_column(y, p):
    columns = [torch.ones(len(y) - p, dtype=y.dtype)]
    columns += [y[p - i : len(y) - i] for i in range(1, p + 1)]
    return torch.stack(columns, dim=1), y[p:]


@right("series.fit_ar")
def by_statsmodels(y, p):
    fit = AutoReg(y.numpy(), p).fit()
    return torch.tensor(fit.params), torch.tensor(fit.sigma2)


@right("series.largest_root")
def by_the_polynomial(phi):
    roots = np.roots([1.0, *(-phi).tolist()])
    return float(np.abs(roots).max())


@right("series.forecast")
def with_the_companion_matrix(y, coefficients, horizon):
    p = len(coefficients) - 1
    step = torch.cat([coefficients[None, 1:], torch.eye(p, dtype=y.dtype)[:-1]])
    state, out = y[-p:].flip(0), []
    for _ in range(horizon):
        state = step @ state
        state[0] += coefficients[0]
        out.append(state[0].clone())
    return torch.stack(out)


@right("series.error_variance")
def step_by_step(phi, variance, horizon):
    values = [variance]
    for _ in range(horizon - 1):
        values.append(phi**2 * values[-1] + variance)
    return torch.tensor(values, dtype=torch.float64)


@right("series.seasonal_naive")
def by_repeating(y, season, horizon):
    return y[-season:].repeat(horizon // season + 1)[:horizon]


@right("series.crps_sample")
def by_the_quantiles(samples, y):
    n = len(samples)
    ranked = samples.sort(0).values
    below = (torch.arange(n, dtype=y.dtype) + 0.5)[:, None] / n
    return 2 * (((y < ranked).to(y) - below) * (ranked - y)).mean(0)


@right("series.rolling_errors")
def adding_up(y, forecaster, first, horizon):
    total, count = torch.zeros(horizon, dtype=y.dtype), 0
    for t in range(len(y)):
        if first <= t <= len(y) - horizon:
            prediction = forecaster(y[:t].clone(), horizon)
            for h in range(horizon):
                total[h] += abs(y[t + h] - prediction[h])
            count += 1
    return total / count


@right("series.standardize")
def by_moments(y, n_train):
    mean = y[:n_train].sum() / n_train
    second = y[:n_train].square().sum() / n_train
    return (y - mean) * (second - mean.square()).rsqrt()


@right("series.causal_convolution")
def by_a_filter(y, weights, dilation):
    taps = np.zeros((len(weights) - 1) * dilation + 1)
    taps[::dilation] = weights.numpy()
    return torch.from_numpy(lfilter(taps, [1.0], y.numpy()))


@right("series.fit_with_gaps")
def row_by_row(y, p):
    values, rows, targets = y.tolist(), [], []
    for t in range(p, len(values)):
        row = [1.0, *(values[t - i] for i in range(1, p + 1))]
        if all(np.isfinite([*row, values[t]])):
            rows.append(row)
            targets.append(values[t])
    return torch.from_numpy(np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0])


@right("series.sunspots")
def with_noise_from_the_past(history, noise):
    """An AR(11) of square roots whose noise is drawn from its own residuals."""
    y, p = history.sqrt(), 11
    rows = torch.stack([y[p - i : len(y) - i] for i in range(1, p + 1)], dim=1)
    mean = y.mean()
    phi = torch.linalg.lstsq(rows - mean, (y[p:] - mean)[:, None]).solution[:, 0]
    residuals = y[p:] - mean - (rows - mean) @ phi
    path = (y[-p:] - mean).expand(len(noise), -1)
    for rank in torch.special.ndtr(noise).T:
        drawn = residuals[(rank * len(residuals)).long()]
        path = torch.cat([path, (path[:, -p:].flip(1) @ phi + drawn)[:, None]], dim=1)
    return (path[:, p:] + mean).clamp(min=0).square()
