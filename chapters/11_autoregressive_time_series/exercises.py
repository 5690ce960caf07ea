# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 11: Autoregressive time series
#
# You will build an autoregressive model from its parts, forecast with honest intervals, score forecasts, catch a leak, and
# beat a seasonal rule on three centuries of sunspots.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `T` is the length
# of a series, `p` the order of a model, `H` the horizon, the number of steps ahead. Every exercise stands alone: if you are
# stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.

# %%
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from utils.checks import check
from utils.plots import PALETTE, caption
from utils.series import load_series

sunspots = load_series("sunspots").values  # one a year, from 1700 on


# %% [markdown]
# ## 11.1 A series becomes a regression (core)
#
# An autoregressive model of order $p$, AR($p$), predicts a value from the $p$ values before it:
#
# $$y_t = c + \varphi_1 y_{t-1} + \dots + \varphi_p y_{t-p} + \varepsilon_t .$$
#
# That is a linear regression. Its first target is the value number $p$ (counting from 0), because the ones before have no
# complete past. The row that belongs to $y_t$ is $(1, y_{t-1}, y_{t-2}, \dots, y_{t-p})$: the nearest past first.
#
# `y` is `(T,)`; return the rows, `(T − p, p + 1)`, and the targets, `(T − p,)`.


# %% exercise={"id": "series.lag_matrix", "tier": "core", "minutes": 10, "points": 1}
# series.lag_matrix · core · 10 minutes · 1 point
def lag_matrix(y: Tensor, p: int) -> tuple[Tensor, Tensor]:
    """The rows (1, y_{t-1}, ..., y_{t-p}) and the targets y_t for t = p, ..., T − 1."""
    raise NotImplementedError("series.lag_matrix")


# %% tags=["nbval-check-output"]
check("series.lag_matrix", lag_matrix)


# %% [markdown]
# ## 11.2 Least squares is maximum likelihood (core)
#
# With Gaussian noise, $\varepsilon_t \sim \mathcal N(0, \sigma^2)$, the likelihood of $y_p, \dots, y_{T-1}$, given the
# first $p$ values, is largest at the least-squares coefficients, and $\sigma^2$ is then the **mean** of the squared
# residuals. `torch.linalg.lstsq` solves the regression.
#
# Return the coefficients $(c, \varphi_1, \dots, \varphi_p)$, `(p + 1,)`, and $\sigma^2$, one number.


# %% exercise={"id": "series.fit_ar", "tier": "core", "minutes": 12, "points": 2}
# series.fit_ar · core · 12 minutes · 2 points
def fit_ar(y: Tensor, p: int) -> tuple[Tensor, Tensor]:
    """Coefficients (c, φ₁, ..., φ_p) and the variance of the noise that maximize the conditional likelihood."""
    raise NotImplementedError("series.fit_ar")


# %% tags=["nbval-check-output"]
check("series.fit_ar", fit_ar)


# %% [markdown]
# ## 11.3 Does it come home? (core)
#
# Put the last $p$ values into one vector, the newest first, and a step of the model is a matrix: the **companion matrix**
#
# $$A = \begin{pmatrix} \varphi_1 & \varphi_2 & \cdots & \varphi_p \\ 1 & & & 0 \\ & \ddots & & \vdots \\ & & 1 & 0 \end{pmatrix}.$$
#
# A shock is multiplied by $A$ at each step. It dies out, and the process is **stationary**, if and only if all eigenvalues
# of $A$ lie inside the unit circle. They may be complex: then the series swings, and what counts is their absolute value.
#
# `phi` is `(p,)`, without the constant; return the largest absolute value of an eigenvalue, one number.


# %% exercise={"id": "series.largest_root", "tier": "core", "minutes": 12, "points": 2}
# series.largest_root · core · 12 minutes · 2 points
def largest_root(phi: Tensor) -> Tensor:
    """max |eigenvalue| of the companion matrix; the process is stationary if it is below 1."""
    raise NotImplementedError("series.largest_root")


# %% tags=["nbval-check-output"]
check("series.largest_root", largest_root)


# %% [markdown]
# ## 11.4 Forecast (core)
#
# The mean forecast of a linear model is easy: step by step, put the forecasts in the place of the values that are not
# known yet.
#
# `y` is the history `(T,)`, `coefficients` is $(c, \varphi_1, \dots, \varphi_p)$; return the means of the next `horizon`
# values, `(H,)`.


# %% exercise={"id": "series.forecast", "tier": "core", "minutes": 12, "points": 2}
# series.forecast · core · 12 minutes · 2 points
def forecast(y: Tensor, coefficients: Tensor, horizon: int) -> Tensor:
    """E[y_{T+h−1} | y] for h = 1, ..., horizon: (T,) and (p + 1,) -> (H,)."""
    raise NotImplementedError("series.forecast")


# %% tags=["nbval-check-output"]
check("series.forecast", forecast)


# %% [markdown]
# ## 11.5 How uncertainty grows: derivation and code (extend)
#
# Take an AR(1), $y_t = \varphi y_{t-1} + \varepsilon_t$ with $\varepsilon_t \sim \mathcal N(0, \sigma^2)$, and stand at
# time $T$. **Derive** the variance of $y_{T+h}$ given $y_T$. Unroll the recursion until only $y_T$ and noise are left, and
# sum. What happens for $h \to \infty$ if $|\varphi| < 1$? What for $\varphi = 1$, the random walk?

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**, for one $\varphi$ (also $\pm 1$) and $\sigma^2$ = `variance`: return the variances for
# $h = 1, \dots, H$, `(H,)`.


# %% exercise={"id": "series.error_variance", "tier": "extend", "minutes": 20, "points": 3}
# series.error_variance · extend · 20 minutes · 3 points
def error_variance(phi: float, variance: float, horizon: int) -> Tensor:
    """Var(y_{T+h} | y_T) of an AR(1) for h = 1, ..., horizon: (H,), float64."""
    raise NotImplementedError("series.error_variance")


# %% tags=["nbval-check-output"]
check("series.error_variance", error_variance)


# %% [markdown]
# ## 11.6 The rule to beat (core)
#
# The **seasonal-naive** forecast repeats the last season: next March will be like last March. It is a simple rule, and many
# a clever model loses to it. If the horizon is longer than a season, the season is repeated again.
#
# `y` is `(T,)` with $T \ge$ `season`; return the forecasts, `(H,)`.


# %% exercise={"id": "series.seasonal_naive", "tier": "core", "minutes": 8, "points": 1}
# series.seasonal_naive · core · 8 minutes · 1 point
def seasonal_naive(y: Tensor, season: int, horizon: int) -> Tensor:
    """The last season, repeated: (T,) -> (H,)."""
    raise NotImplementedError("series.seasonal_naive")


# %% tags=["nbval-check-output"]
check("series.seasonal_naive", seasonal_naive)


# %% [markdown]
# ## 11.7 Score a forecast that is a distribution (extend)
#
# The **continuous ranked probability score** compares a predictive distribution with the one value that came. If the
# distribution is given by a sample $x_1, \dots, x_n$, it is
#
# $$\mathrm{CRPS} = \frac1n \sum_i |x_i - y| \;-\; \frac{1}{2 n^2} \sum_{i,j} |x_i - x_j| .$$
#
# The first term asks to be near. The second rewards admitting doubt: without it the best answer would be a single point.
# Smaller is better, and the unit is that of $y$.
#
# `samples` is `(N, H)`: N paths, H steps ahead; `y` is `(H,)`; return the score of each step, `(H,)`.


# %% exercise={"id": "series.crps_sample", "tier": "extend", "minutes": 12, "points": 2}
# series.crps_sample · extend · 12 minutes · 2 points
def crps_sample(samples: Tensor, y: Tensor) -> Tensor:
    """CRPS of the sample in each column at the value that came: (N, H) and (H,) -> (H,)."""
    raise NotImplementedError("series.crps_sample")


# %% tags=["nbval-check-output"]
check("series.crps_sample", crps_sample)


# %% [markdown]
# ## 11.8 Test as you would use it: the rolling origin (core)
#
# A forecaster must be tested on futures it has not seen. Stand at time $t$: it gets $y_0, \dots, y_{t-1}$ and nothing
# else, and predicts $y_t, \dots, y_{t+H-1}$. Then move on by one and ask again, from $t$ = `first` to the last $t$ for
# which all $H$ values are known.
#
# `forecaster(history, horizon)` takes `(t,)` and returns `(H,)`; return the mean absolute error of each
# step ahead, over all origins: `(H,)`.


# %% exercise={"id": "series.rolling_errors", "tier": "core", "minutes": 15, "points": 2}
# series.rolling_errors · core · 15 minutes · 2 points
def rolling_errors(
    y: Tensor, forecaster: Callable[[Tensor, int], Tensor], first: int, horizon: int
) -> Tensor:
    """Mean absolute error 1, ..., horizon steps ahead, over all origins from `first` on: (H,)."""
    raise NotImplementedError("series.rolling_errors")


# %% tags=["nbval-check-output"]
check("series.rolling_errors", rolling_errors)


# %% [markdown]
# When your functions have passed, call `compare(forecast, fit_ar, seasonal_naive, rolling_errors)` in a cell of your
# own. It draws the mean errors of an AR(9) and of the seasonal rule on the sunspots, whose cycle is about 11 years.


# %%
def compare(forecast, fit_ar, seasonal_naive, rolling_errors, horizon: int = 12) -> None:
    """Draw the mean absolute error of two forecasters, by steps ahead."""
    rules = {
        "AR(9)": lambda y, h: forecast(y, fit_ar(y, 9)[0], h),
        "the last 11 years again": lambda y, h: seasonal_naive(y, 11, h),
    }
    for color, (name, rule) in zip(PALETTE, rules.items(), strict=False):
        errors = rolling_errors(sunspots, rule, 200, horizon)
        plt.plot(range(1, horizon + 1), errors, marker="o", color=color, label=name)
    plt.ylim(bottom=0)
    plt.xlabel("years ahead")
    plt.ylabel("mean absolute error")
    plt.legend()
    caption(
        "Sunspots from 1900 on. The model knows the near future best, and is better than the rule throughout."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Sunspots from 1900 on. The model knows the near future best, and is better than the rule throughout.](attachment:target.png)
#
# *Sunspots from 1900 on. The model knows the near future best, and is better than the rule throughout.*

# %% [markdown]
# ## 11.9 Scale without looking ahead (core)
#
# Networks like inputs with mean 0 and standard deviation 1. Mean and deviation must come from the **training part alone**:
# whoever takes them from the whole series has looked at the future. Use `std(unbiased=False)`.
#
# `y` is `(T,)`, its first `n_train` values are for training; return the whole series, scaled, `(T,)`.


# %% exercise={"id": "series.standardize", "tier": "core", "minutes": 6, "points": 1}
# series.standardize · core · 6 minutes · 1 point
def standardize(y: Tensor, n_train: int) -> Tensor:
    """The series with the mean and the standard deviation of its training part taken out: (T,) -> (T,)."""
    raise NotImplementedError("series.standardize")


# %% tags=["nbval-check-output"]
check("series.standardize", standardize)


# %% [markdown]
# ## 11.10 A causal convolution with holes (extend)
#
# The building block of WaveNet sees only the past, and reaches far with few weights, because it skips:
#
# $$o_t = \sum_{k=0}^{K-1} w_k \, y_{t - k d} ,$$
#
# where $d$ is the **dilation**, and values before the beginning count as 0.
#
# `y` is `(T,)`, `weights` is `(K,)`, $w_0$ for the present; return `(T,)`.


# %% exercise={"id": "series.causal_convolution", "tier": "extend", "minutes": 12, "points": 2}
# series.causal_convolution · extend · 12 minutes · 2 points
def causal_convolution(y: Tensor, weights: Tensor, dilation: int) -> Tensor:
    """o_t = Σ_k w_k y_{t − k·dilation}, with zeros before the beginning: (T,) -> (T,)."""
    raise NotImplementedError("series.causal_convolution")


# %% tags=["nbval-check-output"]
check("series.causal_convolution", causal_convolution)


# %% [markdown]
# ## 11.11 Values that are missing (extend)
#
# A missing value, NaN, spoils its own target and the rows of the $p$ values after it. Leave these rows out, and only
# these, and fit the rest.
#
# Return the coefficients $(c, \varphi_1, \dots, \varphi_p)$, `(p + 1,)`.


# %% exercise={"id": "series.fit_with_gaps", "tier": "extend", "minutes": 12, "points": 2}
# series.fit_with_gaps · extend · 12 minutes · 2 points
def fit_with_gaps(y: Tensor, p: int) -> Tensor:
    """Least-squares coefficients of an AR(p) from the rows that are complete; NaN is a missing value."""
    raise NotImplementedError("series.fit_with_gaps")


# %% tags=["nbval-check-output"]
check("series.fit_with_gaps", fit_with_gaps)

# %% [markdown]
# ## 11.12 Challenge: three centuries of sunspots
#
# The series below counts the spots on the sun, year by year since 1700. Write a function that gets the history and
# returns a **sample of paths** of the next years: the check asks at every origin from 1900 on, scores each step with the
# CRPS, and compares with the seasonal rule, whose samples are its own past errors. The ratio of the two means over 12
# years must be at most **0.82**.
#
# These years lie in `data/`. So the check mixes in origins of a hundred series that lie nowhere, drawn from the law that an
# AR(9) of square roots, fitted to the sunspots, gives; it clamps below 0 at each step. For them the best forecast is known,
# and your CRPS may be at most **1.12** times that of paths from the law itself. An honest function need not tell them apart.
#
# Any means are allowed. Counts are never negative, and high years vary more than low ones: a transformation helps.
# `history` is `(T,)`, `noise` is `(n, 12)`, standard normal numbers drawn for you; return `(n, 12)`.

# %% jupyter={"source_hidden": true}
plt.figure(figsize=(9, 2.4))
plt.plot(range(1700, 1700 + len(sunspots)), sunspots, linewidth=1)
plt.xlabel("year")
plt.ylabel("sunspots")
caption(
    "About eleven years from peak to peak, but neither length nor height is ever quite the same."
)


# %% exercise={"id": "series.sunspots", "tier": "challenge", "minutes": 40, "points": 4}
# series.sunspots · challenge · 40 minutes · 4 points
def sample_paths(history: Tensor, noise: Tensor) -> Tensor:
    """Possible continuations of the history, one from each row of the noise: (T,) and (n, H) -> (n, H)."""
    raise NotImplementedError("series.sunspots")


# %% tags=["nbval-check-output"]
check("series.sunspots", sample_paths)
