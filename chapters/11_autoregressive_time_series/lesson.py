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
# # 11 · Autoregressive time series
#
# **Say what comes next, say how sure you are, and let the future be the judge.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 100 minutes; what is marked *optional* takes 30 more | under a minute, two cores | Python, a little calculus, Gaussians (chapter 2) | fit, test and extend autoregressions; forecast with intervals and check how often they hold; judge a forecaster that gets nothing but the past; know what cannot be predicted |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# In time, the past comes first. So a generative model of a series answers one question: given all values so far, what may come **next**? Answered once, it is a forecast. Answered again and again, each time with the last answer added to the past, it is a whole future. The same idea draws images pixel by pixel in the next chapter.

# %% tags=["parameters"]
seed = 11
paths = 500
bootstrap = 1000
neural_epochs = 12
sunspot_epochs = 30

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.dates import YearLocator
from torch import Tensor

from utils.diagrams import Box, diagram
from utils.plots import PALETTE, caption
from utils.results import record, record_table
from utils.series import bootstrap_blocks, load_series, rolling_origin

generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · Three pasts
#
# The course's data hold three kinds of series. We look at them before we speak of models.

# %%
sunspots, co2 = load_series("sunspots"), load_series("co2")
shares = [load_series(name) for name in ("AAPL", "FB", "GOOG", "IBM", "MSFT")]
for series in (sunspots, co2, *shares):
    print(series)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9))
for ax, series, color in zip(axes, (sunspots, co2, shares[3]), PALETTE, strict=False):
    ax.plot(series.dates, series.values, color=color, linewidth=0.8)
    ax.set(title=f"{series.name}, {series.frequency}", ylabel=series.unit)
axes[0].xaxis.set_major_locator(YearLocator(100))
axes[1].xaxis.set_major_locator(YearLocator(15))
axes[2].xaxis.set_major_locator(YearLocator(4))
caption(
    "Left: a cycle that is never twice the same. Middle: a trend and a season. Right: a "
    "share of IBM, which seems to wander."
)

# %% [markdown]
# Which of these can be predicted, how far ahead, and with which certainty? The answer, in numbers, will be another one for each.

# %% [markdown]
# ## 2 · The mathematics
#
# ### The chain rule on the arrow of time
#
# Write $x_{<t}$ for all values before time $t$. Any density of a whole series is a product of small ones:
#
# $$p(x_1, \dots, x_T) = \prod_{t=1}^{T} p(x_t \mid x_{<t}).$$
#
# This is the chain rule of probability, and no assumption. The assumption is the shape of the factors. The simplest, a Gaussian whose mean is linear in the last $p$ values, is the **autoregression** of order $p$, in short AR(p):
#
# $$x_t = c + \varphi_1 x_{t-1} + \dots + \varphi_p x_{t-p} + \sigma\, \varepsilon_t, \qquad \varepsilon_t \sim \mathcal N(0, 1).$$
#
# The series is regressed on *itself*, hence the name. $c$ is the **intercept**, $\varphi_i$ are the **coefficients**, and $\sigma \varepsilon_t$ is the **innovation**: the part of $x_t$ that is independent of the past.
#
# ### Fitting is least squares
#
# Given the first $p$ values, the log-likelihood is a sum of Gaussian log-densities:
#
# $$\log p(x_{p+1}, \dots, x_T \mid x_1, \dots, x_p) = -\sum_{t=p+1}^{T} \left[ \frac{(x_t - c - \sum_i \varphi_i x_{t-i})^2}{2 \sigma^2} + \tfrac12 \log 2 \pi \sigma^2 \right].$$
#
# Whatever σ is, this is largest where the sum of squares is least: **conditional maximum likelihood is linear regression**. The best $\sigma^2$ is the mean of the squared residuals.
#
# ### When does it settle?
#
# Disturb the series once, by a shock of size 1 at time 0, and add no noise after it. With $p = 1$ the shock becomes $\varphi, \varphi^2, \varphi^3, \dots$: it dies out if $|\varphi| < 1$. For any $p$, look at the polynomial
#
# $$1 - \varphi_1 z - \varphi_2 z^2 - \dots - \varphi_p z^p.$$
#
# If all its zeros lie **outside** of the unit circle, $|z| > 1$, every shock dies out, and mean and variance approach constants. A series that has these from the start is **stationary**. Then the first $p$ values have a known distribution, too: the Gaussian with that mean and variance. The **exact** likelihood has it as one more factor.
#
# ### How certain is a forecast many steps ahead?
#
# One step ahead the forecast is a Gaussian. For two steps ahead we would need $x_{t+1}$, which we do not know. So we draw it, treat the draw as if it had happened, and go on: this gives a **sampled path**. Many paths are a forecast of all steps at once. For a linear Gaussian model there is also a formula. Let $\psi_0, \psi_1, \dots$ be what a shock of size 1 becomes after 0, 1, … steps. The innovation of time $t + j$ contributes to $x_{t+h}$ with the weight $\psi_{h-j}$, so
#
# $$\operatorname{var}(x_{t+h} \mid x_{\le t}) = \sigma^2 \sum_{j=0}^{h-1} \psi_j^2 .$$
#
# The variance never shrinks from one step to the next. In a stationary series it approaches the variance of the series itself: so far ahead, the past no longer tells anything.

# %% [markdown]
# ## 3 · From scratch
#
# The table of lags, the regression, the shocks, and paths: all of the above.


# %%
def lag_table(x: Tensor, p: int) -> Tensor:
    """Rows (1, x_{t−1}, …, x_{t−p}) for t = p+1 … T, (T − p, 1 + p)."""
    lags = [x[p - i : len(x) - i] for i in range(1, p + 1)]
    return torch.stack([torch.ones(len(x) - p, dtype=x.dtype), *lags], dim=1)


def fit_ar(x: Tensor, p: int) -> tuple[Tensor, Tensor]:
    """Least squares: (c, φ_1, …, φ_p), and σ²."""
    table = lag_table(x, p)
    solution = torch.linalg.lstsq(table, x[p:, None]).solution[:, 0]
    return solution, (x[p:] - table @ solution).square().mean()


def log_likelihood(x: Tensor, solution: Tensor, variance: Tensor) -> Tensor:
    """log p(x_{p+1} … x_T | x_1 … x_p), in nats."""
    residual = x[len(solution) - 1 :] - lag_table(x, len(solution) - 1) @ solution
    return -0.5 * (residual.square() / variance + (2 * math.pi * variance).log()).sum()


def shocks(solution: Tensor, steps: int) -> Tensor:
    """ψ_0 … ψ_{steps−1}: what becomes of a shock of size 1."""
    p = len(solution) - 1
    x = torch.zeros(p + steps, dtype=solution.dtype)
    x[p] = 1.0
    for t in range(p + 1, p + steps):
        x[t] = x[t - p : t].flip(0) @ solution[1:]
    return x[p:]


def draw_paths(past: Tensor, solution, variance, steps: int, n: int) -> Tensor:
    """n futures, each step drawn given the steps before it, (n, steps)."""
    p = len(solution) - 1
    x = torch.cat([past[-p:].expand(n, p), torch.zeros(n, steps)], dim=1)
    for t in range(p, p + steps):
        noise = torch.randn(n, generator=generator, dtype=x.dtype)
        mean = solution[0] + x[:, t - p : t].flip(1) @ solution[1:]
        x[:, t] = mean + variance.sqrt() * noise
    return x[:, p:]


# %% [markdown]
# We draw a series whose coefficients we know: an AR(2) that oscillates.

# %%
truth = torch.tensor([1.0, 1.5, -0.8], dtype=torch.float64)  # c, φ_1, φ_2
true_variance = torch.tensor(0.5, dtype=torch.float64)
x = draw_paths(torch.zeros(2, dtype=torch.float64), truth, true_variance, 1200, 1)[0, 200:]
solution, variance = fit_ar(x, 2)
ahead = draw_paths(x[:-40], solution, variance, 40, 200)
psi = shocks(solution, 40)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.8), width_ratios=(3, 2))
left.plot(x[-160:-40], color="0.3")
left.plot(range(120, 160), ahead[:8].T, color=PALETTE[0], linewidth=0.7)
left.plot(range(120, 160), x[-40:], color=PALETTE[4])
left.set(xlabel="t", ylabel="$x_t$", title="eight sampled paths, and what came")
right.bar(range(40), psi, color=PALETTE[2])
right.set(xlabel="steps after the shock", title=r"what becomes of a shock, $\psi_j$")
caption(
    "Left: the paths (blue) agree at first and then go their own ways; what came (orange) "
    "could be one of them. Right: a shock oscillates and dies out."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# Six facts must hold, and this notebook stops if one does not.
#
# **First: known coefficients come back.** For long series the least-squares estimate is Gaussian around the truth, with covariance $\sigma^2 (Z^\top Z)^{-1}$, where $Z$ is the table of lags. So we know how far off it may be.

# %%
table = lag_table(x, 2)
errors = (variance * torch.linalg.inv(table.T @ table)).diagonal().sqrt()
for name, found, true, error in zip(
    ("c", "φ1", "φ2"), solution, truth, errors, strict=True
):
    print(f"{name}: true {true:+.3f}, found {found:+.3f} ± {error:.3f}")
largest = ((solution - truth).abs() / errors).max().item()
record("largest_error_in_standard_errors", largest, kind="score")
assert largest < 5

# %% [markdown]
# **Second: least squares is the maximum of the likelihood.** At the solution, autograd finds that the gradient is zero, up to rounding.

# %%
free = [solution.clone().requires_grad_(), variance.clone().requires_grad_()]
gradients = torch.autograd.grad(log_likelihood(x, *free) / len(x), free)
steepest = max(g.abs().max().item() for g in gradients)
print(f"steepest slope of the log-likelihood per value: {steepest:.1e}")
assert steepest < 1e-9

# %% [markdown]
# **Third: a known library.** `AutoReg` of statsmodels on the square roots of the sunspots: the coefficients must agree to six digits and more, for several orders. Beside it the course's own class, which we use from here on.

# %%
from statsmodels.tsa.ar_model import AutoReg

from utils.models.time_series import Autoregression

root = sunspots.values.sqrt()
largest = 0.0
for p in (1, 2, 5, 9):
    theirs = AutoReg(root.numpy(), p, trend="c").fit()
    scratch, _ = fit_ar(root, p)
    model = Autoregression(p).fit(root)
    ours = torch.cat([model.intercept[None], model.coefficients])
    for found in (scratch, ours):
        largest = max(largest, (found - torch.tensor(theirs.params)).abs().max().item())
    print(f"AR({p}): ours {model.log_likelihood:.6f} nats, statsmodels {theirs.llf:.6f}")
    assert abs(model.log_likelihood - theirs.llf) < 1e-6
record("difference_to_statsmodels", largest, kind="exact")
assert largest < 1e-6

# %% [markdown]
# **Fourth: the chain rule closes.** A stationary AR is one big Gaussian over the whole series, whose covariance at distance $k$ is called $\gamma_k$. Its joint density must be the density of the first $p$ values times all the steps. And on a grid the density of three values sums to one.

# %%
from torch.distributions import MultivariateNormal

known = Autoregression.from_parameters(truth[1:], truth[0], true_variance)
gamma = known.autocovariance(300)
distance = (torch.arange(300)[:, None] - torch.arange(300)).abs()
joint = MultivariateNormal(known.mean.expand(300), gamma[distance]).log_prob(x[:300])
first = MultivariateNormal(known.mean.expand(2), gamma[distance[:2, :2]]).log_prob(x[:2])
product = first + log_likelihood(x[:300], truth, true_variance)
print(f"one Gaussian in 300 dimensions: {joint.item():.8f} nats")
print(f"first two values, then 298 steps: {product.item():.8f} nats")
assert abs(joint - product) < 1e-6

small = Autoregression.from_parameters(torch.tensor([0.6, 0.2]), variance=0.5)
line = torch.linspace(-8, 8, 50, dtype=torch.float64)
grid = torch.cartesian_prod(line, line, line)
integral = (small.log_prob(grid).exp().sum() * (line[1] - line[0]) ** 3).item()
record("density_integral", integral, kind="exact")
assert abs(integral - 1) < 1e-6

# %% [markdown]
# **Fifth: the paths have the variance of the formula**, at every step up to 20. **Sixth: the library's forecast**, which draws nothing, equals the formula to the last digits.

# %%
many = draw_paths(x, solution, variance, 20, 40_000)
formula = variance * shocks(solution, 20).square().cumsum(0)
ratio = many.var(0) / formula
print(f"variance of paths over formula: {ratio.min():.3f} to {ratio.max():.3f}")
assert (ratio - 1).abs().max() < 0.05

library = Autoregression(2).fit(x).forecast(x, 20)
largest = (library.variance / formula - 1).abs().max().item()
print(f"library over formula: 1 ± {largest:.1e}")
assert largest < 1e-9

# %% [markdown]
# ## 5 · Three ways to remember
#
# In an AR(1), if $\varphi$ is below 1, the shock fades, and the series returns to its mean. If $\varphi$ is exactly 1, the shock stays: in this **random walk** the best forecast is the last value, and the variance grows without end. If $\varphi$ is above 1, the shock grows, and the series explodes.

# %%
start = torch.tensor([10.0], dtype=torch.float64)
walks = {}  # φ → model, forecast, six paths
for phi in (0.9, 1.0, 1.03):
    model = Autoregression.from_parameters(torch.tensor([phi]))
    walks[phi] = (
        model,
        model.forecast(start, 60),
        model.sample_paths(start, 60, 6, generator),
    )
    print(f"φ = {phi}: stationary? {model.is_stationary}")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9))
for ax, (phi, (model, ahead, six)) in zip(axes, walks.items(), strict=True):
    steps = range(1, 61)
    ax.plot(steps, six.T, linewidth=0.8)
    for z in (1.28, -1.28):
        ax.plot(steps, ahead.mean + z * ahead.stddev, "--", color="0.3")
    root_size = model.roots.abs().item()
    ax.set(title=f"φ = {phi}, zero at |z| = {root_size:.2f}", xlabel="steps from 10")
caption(
    "Six paths each; 80 % of all paths lie between the dashed lines. Left: the paths return to the mean, and "
    "the interval stops growing. Middle: a random walk, whose interval keeps growing. Right: an explosion."
)

# %% [markdown]
# For the sunspots, here are the zeros of the fitted polynomial of order 9. A pair of complex zeros at the angles ±ω makes a cycle of $2\pi/\omega$ steps. The nearer the zeros are to the circle, the longer the cycle lasts.

# %%
nine = Autoregression(9).fit(root)
zeros = nine.roots
cycle = zeros[zeros.imag > 0][zeros[zeros.imag > 0].abs().argmin()]
years = 2 * math.pi / cycle.angle().item()
record("sunspot_cycle", years, unit="years", kind="score")
print(f"nearest zero at |z| = {zeros.abs().min():.3f}: stationary? {nine.is_stationary}")
drawn = nine.sample(1, generator, steps=200)[0].clamp(min=0).square()
assert nine.is_stationary
assert 9 < years < 13

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(2, 3))
circle = torch.linspace(0, 2 * math.pi, 200)
left.plot(circle.cos(), circle.sin(), color="0.6")
left.scatter(zeros.real, zeros.imag, color=PALETTE[4], zorder=3)
left.set(
    aspect="equal", title="zeros of the polynomial", xlim=(-1.35, 1.35), ylim=(-1.35, 1.35)
)
right.plot(sunspots.values[-200:], color="0.3", label="the Sun, 1809 to 2008")
right.plot(drawn - 260, color=PALETTE[0], label="drawn from the AR(9)")
right.set(yticks=(), xlabel="years")
right.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.22))
caption(
    "Left: all zeros are outside of the circle, the nearest by little. Right: two hundred years "
    "drawn from the model (below) and two hundred observed ones (above)."
)

# %% [markdown]
# ## 6 · How many lags?
#
# More lags always fit the past better. **AIC**, Akaike's criterion, adds a penalty of 2 for each of the $k$ parameters: $\mathrm{AIC} = -2 \log L + 2k$, and the order with the smallest AIC is chosen. There are two traps:
#
# - An AR(1) explains all values but one, an AR(20) all but twenty. Likelihoods can be compared only on the **same** values. `aic_by_order` takes those that the longest order can explain.
# - The choice of the order is a part of the fit, and may use only what was known at the time. We forecast from 1900 on, so we choose the order once, with the years up to 1899.
#
# We work on the **square root** of the counts: large counts vary more than small ones, their square roots about equally, as a model with a single σ assumes.

# %%
from utils.models.time_series import aic_by_order

start_1900 = sunspots.index("1900-01-01")
aic = aic_by_order(root[:start_1900], 20)
order = min(aic, key=aic.get)
record("sunspot_order", order, kind="score")
exact = Autoregression(2, "exact").fit(root[:start_1900])
least_squares = Autoregression(2).fit(root[:start_1900])
print("AR(2), least squares:    ", least_squares.coefficients.numpy().round(4))
print("AR(2), exact likelihood: ", exact.coefficients.numpy().round(4))
assert torch.allclose(exact.coefficients, least_squares.coefficients, atol=0.05)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.plot(list(aic)[1:], list(aic.values())[1:], marker="o")
ax.axvline(order, color="0.7", zorder=0)
ax.set(xlabel="order p", ylabel="AIC", xticks=range(1, 21, 2))
caption(
    "After the first lag, the second improves the AIC by far the most: two values tell whether the "
    "cycle is rising or falling. The smallest AIC is at order 9."
)

# %% [markdown]
# ### The library's model (*optional*)
#
# [`Autoregression`](../../utils/models/time_series/autoregression.py) can do more than our functions: it takes features such as a trend, it has the exact likelihood, and it allows missing values. One idea serves for all unknown values, in the middle or in the future. The innovations $\sigma\varepsilon = O x - c$ are linear in the series, with a matrix $O$ that has 1 and the $-\varphi_i$ in each row. So the unknown values, given the known ones, are Gaussian, and their mean is where the sum of squared innovations is **least**. A forecast is a special case: the future is what is missing at the end. Here is the mean in a few lines, compared with the library's `conditional`.


# %%
def most_likely(x: Tensor, solution: Tensor) -> Tensor:
    """Mean of the missing values (NaN) of x given all others, in their order."""
    p, missing = len(solution) - 1, x.isnan()
    operator = torch.eye(len(x), dtype=x.dtype)[p:]  # row of x_t: 1 at t, −φ_i at t − i
    for i in range(1, p + 1):
        operator.diagonal(p - i).sub_(solution[i])
    rest = (
        solution[0] - operator[:, ~missing] @ x[~missing]
    )  # what the unknown part must give
    return torch.linalg.lstsq(operator[:, missing], rest[:, None]).solution[:, 0]


holed = torch.cat([x[:200], torch.full((5,), math.nan).double()])  # five future values …
holed[[50, 51, 120]] = math.nan  # … and three holes
filled_in = most_likely(holed, solution)
by_the_library = Autoregression(2).fit(x)
assert torch.allclose(filled_in, by_the_library.conditional(holed).mean)
holed[[50, 51, 120]] = filled_in[:3]
assert torch.allclose(filled_in[3:], by_the_library.forecast(holed[:200], 5).mean)

# %% [markdown]
# ## 7 · Sunspots: forecasts before a judge
#
# ### A fair trial
#
# **Rolling origin.** At the end of each year from 1899 on, the forecaster gets the years so far and must forecast the next twelve. `rolling_origin` hands over a copy of the past and nothing else, so no forecaster can use the future.
#
# **The forecast** is a set of sampled paths. For each of the twelve years they are draws from a distribution.
#
# **The score** is the **continuous ranked probability score**, CRPS. For a forecast distribution with draws $X, X'$ and the truth $y$,
#
# $$\mathrm{CRPS} = \mathbb E|X - y| - \tfrac12 \mathbb E|X - X'| .$$
#
# The first term is small when the draws lie near the truth. Alone it would punish every spread, also where the future is really uncertain; the second term, half the mean distance between two draws, corrects for that. If all draws are equal, the CRPS is the absolute error. On average no distribution scores better than the true one: a forecaster gains nothing by claiming more certainty than it has, or less. The unit is that of the data, and lower is better. For a Gaussian there is a closed form, and the mean over draws must agree with it:

# %%
from utils.metrics import coverage, crps_gaussian, crps_samples, pinball

draws = 1.5 + 2 * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
came = torch.tensor([3.0], dtype=torch.float64)
closed = crps_gaussian(torch.tensor(1.5), torch.tensor(2.0), came).item()
drawn = crps_samples(draws, came).item()
levels = (torch.arange(999) + 0.5).double() / 999
quantiles = 1.5 + 2 * torch.special.ndtri(levels)
slices = [pinball(q, came, a.item()) for q, a in zip(quantiles, levels, strict=True)]
pinballs = 2 * torch.stack(slices).mean().item()
print(f"CRPS: closed form {closed:.4f}, draws {drawn:.4f}, pinball losses {pinballs:.4f}")
assert abs(drawn - closed) < 0.02
assert abs(pinballs - closed) < 0.01

# %% [markdown]
# The third number comes from quantiles. A forecast's quantile at level α has its own loss, the **pinball loss**: if the quantile is too low, each unit costs α, and if it is too high, each unit costs 1 − α. The CRPS is twice the mean of this loss over all levels.
#
# **Coverage**: the middle 80 % of a forecast should hold the truth in 80 % of the cases. With less, the forecaster claims to know more than it does; with more, it claims to know less.
#
# ### Simple baselines with a spread of their own
#
# - **naive**: the future is like the last value.
# - **seasonal-naive**: the future is like the last season. For the Sun a season is 11 years.
#
# To compare a single number with a distribution would be unfair. So both baselines add to their guess the errors that the very same guess would have made in the past, as many steps ahead. If the series has grown in each season so far, these errors contain that growth, too.


# %%
def filled(x: Tensor) -> np.ndarray:
    """Missing values drawn as a straight line between their neighbors."""
    at = np.arange(len(x))
    ok = ~x.isnan().numpy()
    return np.interp(at, at[ok], x.numpy()[ok])


def repeat_season(past: Tensor, horizon: int, season: int, memory: int = 0) -> Tensor:
    """What was one season ago, plus errors that this rule has made in the past."""
    guess, columns = filled(past), []
    for h in range(1, horizon + 1):
        lag = season * math.ceil(h / season)  # the nearest season that is already over
        errors = past[lag:] - past[:-lag]
        errors = errors[~errors.isnan()][-memory:]  # memory 0: all of them
        pick = torch.randint(len(errors), (paths,), generator=generator)
        columns.append(guess[len(past) + h - 1 - lag] + errors[pick])
    return torch.stack(columns, dim=1)


def sunspot_model(past: Tensor, horizon: int) -> Tensor:
    model = Autoregression(order).fit(past.sqrt())
    ahead = model.sample_paths(past.sqrt(), horizon, paths, generator)
    return ahead.clamp(min=0).square()


# %% [markdown]
# All forecasters are refitted at every origin with all years before it, and cut off at zero, since sunspots are never negative.

# %%
horizon = 12
origins = range(start_1900, len(sunspots) - horizon + 1)
forecasters = {
    "AR": sunspot_model,
    "seasonal-naive": lambda past, h: repeat_season(past, h, 11).clamp(min=0),
    "naive": lambda past, h: repeat_season(past, h, 1).clamp(min=0),
}
sun = {
    name: rolling_origin(forecaster, sunspots.values, origins, horizon)
    for name, forecaster in forecasters.items()
}
sun_crps = {name: crps_samples(*result) for name, result in sun.items()}  # (O, H) each
print(f"{len(origins)} origins, {horizon} steps ahead from each")
for name, score in sun_crps.items():
    print(f"{name:15s} mean CRPS {score.mean():6.2f} sunspots")

# %% [markdown]
# How certain is such a comparison? Forecasts from neighboring years meet the same events: all these origins hold only about nine solar cycles. So the interval comes from a **block bootstrap**: blocks of 22 origins, two cycles, are drawn anew with all their forecasts, and the ratio is computed again.


# %%
def ratio_interval(model: Tensor, baseline: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Ratio of mean scores (O, H) at each horizon, and the mean of these; 90 % intervals, (2, H + 1)."""
    rows = bootstrap_blocks(len(model), block, bootstrap, generator)

    def ratios(model: Tensor, baseline: Tensor) -> Tensor:
        each = model.nanmean(-2) / baseline.nanmean(-2)
        return torch.cat([each, each.mean(-1, keepdim=True)], dim=-1)

    ends = torch.tensor([0.05, 0.95], dtype=model.dtype)
    return ratios(model, baseline), ratios(model[rows], baseline[rows]).quantile(
        ends, dim=0
    )


def compare(
    name: str, crps: dict[str, Tensor], block: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Record the mean ratio of AR to seasonal-naive; return it at each horizon, and its ends."""
    ratio, (low, high) = ratio_interval(crps["AR"], crps["seasonal-naive"], block)
    ends = low[-1].item(), high[-1].item()
    record(f"{name}_crps_ratio", ratio[-1].item(), kind="score", low=ends[0], high=ends[1])
    return ratio[:-1], low[:-1], high[:-1]


def draw_ratio(ax, ratio: Tensor, low: Tensor, high: Tensor) -> None:
    steps = range(1, horizon + 1)
    ax.fill_between(steps, low, high, color=PALETTE[0], alpha=0.2, linewidth=0)
    ax.plot(steps, ratio, marker="o")
    ax.axhline(1, color="0.3", linewidth=1)
    ax.set(
        xlabel="steps ahead",
        title="AR over seasonal-naive",
        ylim=(0, 1.3),
        xticks=range(1, 13),
    )


sun_ratio, *sun_ends = compare("sunspots", sun_crps, 22)
print("ratio by year:", ", ".join(f"{r:.2f}" for r in sun_ratio))
assert (sun_ratio < 1).all()

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
for (name, score), marker in zip(sun_crps.items(), "osD", strict=True):
    left.plot(range(1, horizon + 1), score.mean(0), marker=marker, label=name)
left.set(xlabel="years ahead", ylabel="CRPS in sunspots", ylim=(0, 75))
left.legend()
draw_ratio(right, sun_ratio, *sun_ends)
caption(
    "Left: the naive forecast is worst half a cycle ahead and good again a whole cycle ahead. Right: "
    "below 1 the model wins. The shaded 90 % interval lies below 1 for the first years only."
)

# %% [markdown]
# On average the model wins at each of the twelve horizons, and in the first years clearly. Where the shaded interval holds 1, a century of data is too short to be certain.

# %% [markdown]
# ## 8 · Carbon dioxide: trend, season, and weeks that nobody measured (*optional*)
#
# ### A year is not 52 weeks
#
# The mean year has 365.2425 days, that is 52.18 weeks. A rule that repeats "52 weeks ago" shifts by more than a day each year. So we do not repeat a season, we describe it as a sum of waves: $\cos$ and $\sin$ with one, two and three periods a year. With a straight line for the trend they are **features** $f_t$, known for all times, past and future:
#
# $$x_t = c + w^\top f_t + \sum_i \varphi_i x_{t-i} + \sigma \varepsilon_t .$$
#
# Whatever deviates from the straight line and the waves is left to the AR part.
#
# ### Missing weeks
#
# Some weeks have no value. The fit leaves out each week that is missing or lacks a predecessor. The forecast averages over what is missing, as in section 6, so no number has to be invented.

# %%
WEEKS = 365.2425 / 7


def calendar(weeks: int) -> Tensor:
    """Trend and three waves a year, (weeks, 7)."""
    years = torch.arange(weeks, dtype=torch.float64) / WEEKS
    angles = 2 * math.pi * years[:, None] * torch.arange(1, 4)
    return torch.cat([years[:, None] / 10, angles.cos(), angles.sin()], dim=1)


start_1980 = co2.index("1980-01-01")
before = co2.values[:start_1980]
aic = aic_by_order(before, 16, calendar(start_1980))
co2_order = min(aic, key=aic.get)
record("co2_order", co2_order, kind="score")


def co2_model(past: Tensor, horizon: int) -> Tensor:
    features = calendar(len(past) + horizon)
    model = Autoregression(co2_order).fit(past, features[: len(past)])
    return model.sample_paths(past, horizon, paths, generator, features)


# %% [markdown]
# From 1980 on, every fourth week is an origin. Both naive forecasts use the errors of the last ten years only, because the rise has become steeper. That helps them, and a baseline should be as good as it can be.

# %%
co2_origins = range(start_1980, len(co2) - horizon + 1, 4)
forecasters = {
    "AR": co2_model,
    "seasonal-naive": lambda past, h: repeat_season(past, h, 52, memory=520),
    "naive": lambda past, h: repeat_season(past, h, 1, memory=520),
}
air = {
    name: rolling_origin(forecaster, co2.values, co2_origins, horizon)
    for name, forecaster in forecasters.items()
}
air_crps = {name: crps_samples(*result) for name, result in air.items()}
print(f"{len(co2_origins)} origins, {horizon} steps ahead from each")
for name, score in air_crps.items():
    print(f"{name:15s} mean CRPS {score.nanmean():.3f} parts per million")

air_ratio, *air_ends = compare("co2", air_crps, 26)
print("ratio by week:", ", ".join(f"{r:.2f}" for r in air_ratio))
assert (air_ratio < 1).all()

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
for (name, score), marker in zip(air_crps.items(), "osD", strict=True):
    left.plot(range(1, horizon + 1), score.nanmean(0), marker=marker, label=name)
left.set(xlabel="weeks ahead", ylabel="CRPS in parts per million", ylim=(0, None))
left.legend()
draw_ratio(right, air_ratio, *air_ends)
caption(
    "Left: one or two weeks ahead the naive forecast beats the seasonal one, then it falls behind with "
    "the season. Right: the model wins at each horizon; the bootstrap's blocks are two years long."
)

# %% [markdown]
# ## 9 · Do the intervals hold what they promise?
#
# Sunspots and carbon dioxide (the model of section 8), all origins and horizons together: how often does the middle interval hold what came?

# %%
levels = (0.5, 0.8, 0.95)
held_by, covered = {}, {}
with record_table():
    for name, results, block in (("sunspots", sun, 22), ("co2", air, 26)):
        held_by[name] = {
            kind: [coverage(*results[kind], level).nanmean().item() for level in levels]
            for kind in ("AR", "seasonal-naive")
        }
        for kind, held_shares in held_by[name].items():
            for level, share in zip(levels, held_shares, strict=True):
                print(
                    f"{name:9s} {kind:15s} {100 * level:.0f} % interval holds {100 * share:.1f} %"
                )
        held = coverage(*results["AR"], 0.8).nanmean(1)
        rows = bootstrap_blocks(len(held), block, bootstrap, generator)
        covered[name] = held.nanmean().item(), held[rows].nanmean(1)
        low, high = covered[name][1].quantile(torch.tensor([0.05, 0.95]).double()).tolist()
        record(f"coverage80_{name}", covered[name][0], kind="score", low=low, high=high)
    both = sum(value for value, _ in covered.values()) / 2
    again = sum(values for _, values in covered.values()) / 2
    low, high = again.quantile(torch.tensor([0.05, 0.95]).double()).tolist()
    record("coverage80", both, kind="score", low=low, high=high)
assert 0.74 < both < 0.86
assert covered["co2"][0] < 0.8 < covered["sunspots"][0]

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, (name, shares_of) in zip(axes, held_by.items(), strict=True):
    for (kind, held_shares), marker in zip(shares_of.items(), "os", strict=True):
        ax.plot(levels, held_shares, marker=marker, label=kind)
    ax.plot((0.45, 1), (0.45, 1), color="0.6", linewidth=1, zorder=0)
    ax.set(title=name, xlabel="the interval should hold", xticks=levels)
    ax.legend()
axes[0].set_ylabel("it held")
caption(
    "A point on the line: the intervals hold as often as they say. Above it they are wider than needed, "
    "below it too narrow."
)

# %% [markdown]
# The sunspots' middle intervals hold more often than they say, but 80 % lies within the bootstrap interval: so few solar cycles cannot decide it. Those for carbon dioxide hold too rarely, and there 80 % lies outside of the interval. Two likely causes: one variance stands for the whole past, though the noise may have changed, which errs in either direction; and the coefficients are treated as known, which makes intervals too narrow. The seasonal-naive forecast is no better at this: its intervals for the Sun are too narrow at all three levels.
#
# ### The fan chart
#
# This is how a forecast should be shown: not as one line, but as a fan that becomes wider with the distance.


# %%
def fan(ax, dates, draws: Tensor, color: str) -> None:
    """Shade the middle 95, 80 and 50 %, the median on top."""
    for level, alpha in ((0.95, 0.15), (0.8, 0.25), (0.5, 0.35)):
        ends = torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=draws.dtype)
        ax.fill_between(
            dates, *draws.quantile(ends, dim=0), color=color, alpha=alpha, linewidth=0
        )
    ax.plot(dates, draws.median(0).values, color=color, linewidth=1.5)
    ax.axvline(dates[0], color="0.6", linewidth=0.8, linestyle=":")


starts = [sunspots.index(year) for year in ("1964-01-01", "1980-01-01", "1997-01-01")]
sun_ahead = {now: sunspot_model(sunspots.values[:now], horizon) for now in starts}
now = co2.index("2000-01-01")
ahead = co2_model(co2.values[:now], 104)

# %% jupyter={"source_hidden": true} tags=["picture"]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.plot(sunspots.dates[240:], sunspots.values[240:], color="0.2", linewidth=1.2)
for begin, drawn_ahead in sun_ahead.items():
    fan(left, sunspots.dates[begin : begin + horizon], drawn_ahead, PALETTE[0])
left.set(title="sunspots, 12 years ahead", ylabel="sunspots")
right.plot(co2.dates[now - 90 :], co2.values[now - 90 :], color="0.2", linewidth=1.2)
fan(right, co2.dates[now : now + 104], ahead, PALETTE[2])
right.plot(co2.dates[now : now + 104], ahead[:2].T, color=PALETTE[2], linewidth=0.5)
right.set(title="carbon dioxide, 104 weeks ahead", ylabel="parts per million")
right.xaxis.set_major_locator(YearLocator())
caption(
    "Forecasts as they would have been made, and what came (dark). Shaded: the middle 50, "
    "80 and 95 %; dotted: the day of the forecast. Right, thin: two of the sampled paths."
)

# %% [markdown]
# ## 10 · Shares: what cannot be predicted, and what can
#
# We build an **index** of our five shares, equal weights: each day's return is the mean of the returns of the shares that are traded. From here on we look at log-returns in percent, $r_t = 100 \log (I_t / I_{t-1})$ for the index $I_t$; they add up over days.
#
# These five firms are famous *today*, and an index of firms that were chosen because they did well says nothing about what shares bring in. We ask how well tomorrow can be predicted, not what an investor would have earned.

# %%
days = shares[3].dates[1:]
returns = torch.full((len(days), len(shares)), math.nan, dtype=torch.float64)
for column, share in enumerate(shares):
    returns[len(days) - len(share) + 1 :, column] = share.values[1:] / share.values[:-1] - 1
daily = 100 * returns.nanmean(1).log1p()  # the index, (days,)


def autocorrelation(x: Tensor, lags: int) -> Tensor:
    x = x - x.mean()
    return torch.stack(
        [(x[k:] * x[:-k]).sum() / x.square().sum() for k in range(1, lags + 1)]
    )


sizes = autocorrelation(daily.abs(), 10).mean().item()
record("autocorrelation_of_sizes", sizes, kind="score")
assert sizes > 5 * autocorrelation(daily, 10).abs().mean().item()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 2.9))
axes[0].plot(days, daily, linewidth=0.5)
axes[0].set(title="daily return of the index in %")
axes[0].xaxis.set_major_locator(YearLocator(4))
band = 1.96 / math.sqrt(len(daily))
for ax, values, name in (
    (axes[1], daily, "return and return k days before"),
    (axes[2], daily.abs(), "size and size k days before"),
):
    ax.bar(range(1, 31), autocorrelation(values, 30), color=PALETTE[0])
    ax.axhspan(-band, band, color="0.85", zorder=0)
    ax.set(title=name, xlabel="k", ylim=(-0.1, 0.35))
axes[1].set_ylabel("autocorrelation")
caption(
    "Left: calm years and stormy ones. Middle: returns are hardly correlated with later ones (gray: what "
    "chance does). Right: their sizes are, over many weeks."
)

# %% [markdown]
# ### Returns: a test against the mean
#
# The simple forecast of tomorrow's return is the mean of all returns so far. Does an AR do better, one day ahead, from 2006 on, with nothing but the past? Two numbers answer. **Out-of-sample R²**: the share of the simple forecast's squared error that the model saves. And a **t-value**: the mean saving a day over its standard error (the test of Diebold and Mariano). Beyond ±2 it would be hard to call luck.

# %%
start_2006 = int(np.searchsorted(days, np.datetime64("2006-01-01")))
tested = daily[start_2006:]
count = torch.arange(start_2006, len(daily))
mean_so_far = daily.cumsum(0)[start_2006 - 1 : -1] / count  # known the evening before
simple = (tested - mean_so_far).square()
block = 20
with record_table():
    for p in (1, 5):
        guesses = []
        for now in range(start_2006, len(daily), block):  # refitted every 20 days
            model = Autoregression(p).fit(daily[:now])
            lags = lag_table(daily, p)[now - p : now - p + block]
            guesses.append(lags @ torch.cat([model.intercept[None], model.coefficients]))
        saved = simple - (tested - torch.cat(guesses)).square()
        r2 = (saved.mean() / simple.mean()).item()
        t_value = (saved.mean() / saved.std() * math.sqrt(len(saved))).item()
        record(f"return_r2_ar{p}", r2, kind="score")
        record(f"return_t_ar{p}", t_value, kind="score")
        assert abs(t_value) < 1.96
        assert abs(r2) < 0.01
print(f"{len(tested)} days")

# %% [markdown]
# The saving is less than one part in a hundred, with either sign, and within chance: on these days the simple mean is as good as the AR. A gain that anybody could compute would attract traders, whose trades would use it up.
#
# ### Volatility: a variance with a memory
#
# The *size* of tomorrow's move is another matter. Let the variance be an autoregression of past squares. That is **ARCH**, autoregressive conditional heteroscedasticity:
#
# $$r_t = \mu + \sigma_t \varepsilon_t, \qquad \sigma_t^2 = \omega + \sum_{i=1}^{q} \alpha_i (r_{t-i} - \mu)^2, \qquad \omega > 0,\; \alpha_i \ge 0 .$$
#
# The mean of tomorrow's return stays the same; its spread changes. As ε we try a Gaussian, and Student's t, whose tails are heavier. First the check against a known answer: from data drawn with known parameters the fit must find them, and the density must be that of `torch.distributions`.

# %%
from utils.models.time_series import ARCH

true_arch = ARCH.from_parameters(0.5, torch.tensor([0.3, 0.4]), mean=0.1)
storm = true_arch.sample_paths(torch.zeros(2), 8000, 1, generator)[0]
found = ARCH(2).fit(storm)
print("true  ω, α:", [0.5, 0.3, 0.4])
print(
    "found ω, α:",
    [round(v, 3) for v in [found.intercept.item(), *found.coefficients.tolist()]],
)
assert (found.coefficients - true_arch.coefficients).abs().max() < 0.12
spread = (0.5 + 0.3 * (storm[6] - 0.1) ** 2 + 0.4 * (storm[5] - 0.1) ** 2).sqrt()
expected = torch.distributions.Normal(0.1, spread).log_prob(storm[7])
assert torch.allclose(true_arch.step_log_prob(storm[5:8])[2], expected)
assert found.log_likelihood >= true_arch.step_log_prob(storm)[2:].sum()

# %% [markdown]
# Now the index: fitted up to the end of 2005, judged by the log-likelihood of all days from 2006 on, the crisis of 2008 among them. Three rivals have a constant variance: a Gaussian, a Gaussian fitted anew every day, and Student's t.

# %%
models = {
    "constant, Gaussian": ARCH(0),
    "constant, Student": ARCH(0, "student"),
    "ARCH(10), Gaussian": ARCH(10),
    "ARCH(10), Student": ARCH(10, "student"),
}
held_out = {
    name: model.fit(daily[:start_2006]).step_log_prob(daily)[start_2006:]
    for name, model in models.items()
}
variance_so_far = (
    daily.square().cumsum(0)[start_2006 - 1 : -1] / count - mean_so_far.square()
)
held_out["constant, Gaussian, fitted daily"] = torch.distributions.Normal(
    mean_so_far, variance_so_far.sqrt()
).log_prob(tested)
for name, score in sorted(held_out.items(), key=lambda item: item[1].mean()):
    print(f"{name:33s} {score.mean().item():.3f} nats/day")

with record_table():
    for tails in ("Gaussian", "Student"):
        gain = held_out[f"ARCH(10), {tails}"] - held_out[f"constant, {tails}"]
        rows = bootstrap_blocks(len(gain), 60, bootstrap, generator)
        low, high = (
            gain[rows].mean(1).quantile(torch.tensor([0.05, 0.95]).double()).tolist()
        )
        record(
            f"arch_gain_{tails.lower()}",
            gain.mean().item(),
            unit="nats/day",
            kind="score",
            low=low,
            high=high,
        )
        assert low > 0
best_constant = max(v.mean() for k, v in held_out.items() if k.startswith("constant"))
assert held_out["ARCH(10), Gaussian"].mean() > best_constant
assert held_out["ARCH(10), Student"].mean() > held_out["ARCH(10), Gaussian"].mean()

sigma = models["ARCH(10), Student"].volatility(daily)[:-1]

# %% [markdown]
# Student's t with a constant variance gains over the Gaussian, because it expects large moves. A variance that changes gains more: ARCH with Gaussian noise beats every constant variance. The best has both.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.5, 3))
ax.plot(days[start_2006:], tested, linewidth=0.5, color="0.4")
for side in (2, -2):
    ax.plot(days[start_2006:], side * sigma[start_2006:], color=PALETTE[4], linewidth=0.9)
    ax.axhline(side * daily[:start_2006].std(), color=PALETTE[0], linestyle="--")
ax.set(ylabel="daily return in %")
caption(
    "Each evening's ± 2σ for the next day: constant (dashed) and ARCH, fitted before 2006. "
    "ARCH widens when the storm of 2008 comes, and calms down after it."
)

# %% [markdown]
# ## 11 · From linear to neural
#
# Nothing says that the next value must be linear in the past, or Gaussian. Let a network read the past, and let its output be the parameters of a **mixture of Gaussians** (chapter 4):
#
# $$p(x_t \mid x_{<t}) = \sum_{k=1}^{K} w_k\, \mathcal N(x_t;\, \mu_k, \sigma_k^2), \qquad (w, \mu, \sigma) = \text{network}(x_{<t}).$$
#
# Two ways to read:
#
# - A **recurrent network** (GRU) keeps a vector, its memory, and rewrites it at each step.
# - A **causal convolution** (WaveNet) looks at fixed places in the past. Layer $l = 0, 1, \dots$ combines two moments that are $2^l$ steps apart (**dilation**), so $L$ layers see $2^L$ steps.
#
# Both are in [`neural_forecaster.py`](../../utils/models/time_series/neural_forecaster.py); you write a causal convolution in the exercises.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9, 2.6))
boxes = {
    f"0 {at}": Box(at, 0, f"$x_{{t-{7 - at}}}$" if at < 7 else "$x_t$") for at in range(8)
}
arrows = []
for layer in (1, 2, 3):
    for at in range(2**layer - 1, 8, 2**layer):
        boxes[f"{layer} {at}"] = Box(at, layer, "$h$", "network", circle=True)
        arrows += [
            (f"{layer - 1} {at - back}", f"{layer} {at}") for back in (0, 2 ** (layer - 1))
        ]
boxes["next"] = Box(8.6, 3, "mixture for\n$x_{t+1}$", "latent")
diagram(ax, boxes, [*arrows, ("3 7", "next")])
caption(
    "A causal convolution of three layers, and what its last output is computed from: eight values, "
    "with steps of 1, 2 and 4. Nothing comes from later than the value itself."
)

# %% [markdown]
# In training the network sees the *true* past at each step (**teacher forcing**), all steps of a series at once. That is correct only if no output depends on a later input. We check it with autograd, for each pair of output and input.

# %%
from utils.models.time_series import CausalConv, GRUMemory, NeuralForecaster

probe = torch.randn(1, 14, 2, generator=generator).requires_grad_()
maps = {}
for name, memory in (
    ("GRU", GRUMemory(8, generator)),
    ("causal convolution, 3 layers", CausalConv(8, 3, generator)),
):
    read = memory(probe)[0]
    rows = [
        torch.autograd.grad(read[0, t].square().sum(), probe, retain_graph=True)
        for t in range(14)
    ]
    maps[name] = torch.stack([row[0][0].abs().sum(1) > 0 for row in rows])
    assert not maps[name].triu(1).any(), "an output looks into the future"

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.1))
for ax, (name, seen) in zip(axes, maps.items(), strict=True):
    ax.imshow(seen)
    ax.set(title=name, xlabel="input", ylabel="output")
    ax.spines[:].set_visible(True)
caption(
    "Dark: this output depends on this input. Nothing lies right of the diagonal. The GRU sees the whole "
    "past, the convolution the last eight values."
)

# %% [markdown]
# ### A world where we know the truth
#
# To judge the networks we make data that no linear Gaussian model fits, from a wave of the last value, a part of the one before, and a coin:
#
# $$x_t = 2 \sin x_{t-1} + 0.4\, x_{t-2} \pm 0.8 + 0.25\, \varepsilon_t .$$
#
# The true density of each step is a mixture of two Gaussians. So we can compute the mean log-likelihood of the truth on the test series, and a model can exceed it only by chance.


# %%
def center_of(one: Tensor, two: Tensor) -> Tensor:
    """Where the next value lies on average, after …, two, one."""
    return 2 * one.sin() + 0.4 * two


def true_log_density(x: Tensor, one: Tensor, two: Tensor) -> Tensor:
    z = torch.stack([x - center_of(one, two) - side for side in (0.8, -0.8)]) / 0.25
    one_hump = -z.square() / 2 - math.log(0.25 * math.sqrt(2 * math.pi))
    return one_hump.logsumexp(0) - math.log(2)


def world(n: int, steps: int, past: Tensor | None = None) -> Tensor:
    """n series from the middle of nowhere, or n futures of one past, (n, steps)."""
    skip = 50 if past is None else 0
    x = (
        [torch.zeros(n), torch.zeros(n)]
        if past is None
        else [v.expand(n) for v in past[-2:]]
    )
    for _ in range(steps + skip):
        side = 1.6 * torch.randint(0, 2, (n,), generator=generator) - 0.8
        noise = 0.25 * torch.randn(n, generator=generator)
        x.append(center_of(x[-1], x[-2]) + side + noise)
    return torch.stack(x[2 + skip :], dim=1)


seen, unseen = world(800, 40), world(500, 40)
true_score = (
    true_log_density(unseen[:, 2:], unseen[:, 1:-1], unseen[:, :-2])[:, 8:].mean().item()
)
record("world_truth", true_score, unit="nats/value", kind="score")

separated = (
    torch.cat([seen, torch.full((len(seen), 1), math.nan)], dim=1).flatten().double()
)
linear = Autoregression(8).fit(separated)  # NaN between series: no row crosses a border
scores = {
    "AR(8)": torch.stack([linear.step_log_prob(row)[10:].mean() for row in unseen]).mean()
}
networks = {
    "conv": NeuralForecaster(CausalConv(24, 3, generator), 3, generator),
    "GRU": NeuralForecaster(GRUMemory(32, generator), 3, generator),
}
for name, network in networks.items():
    network.fit(seen, epochs=neural_epochs, batch_size=16, lr=1e-2, warmup=20, seed=seed)
    with torch.no_grad():
        scores[name] = network.step_log_prob(unseen)[:, 10:].mean()
with record_table():
    for name, score in scores.items():
        key = name.lower().replace("(8)", "")
        record(f"world_{key}", score.item(), unit="nats/value", kind="score")
assert scores["conv"] > scores["AR(8)"] + 0.5
assert scores["GRU"] > scores["AR(8)"] + 0.5
assert scores["conv"] > true_score - 0.15

# %%
from scipy.stats import ks_2samp

history = unseen[0, :20]
line = torch.linspace(-5, 5, 300)
together = torch.cat([history.expand(300, 20), line[:, None]], dim=1)
ahead = linear.forecast(history, 8)
true_density = true_log_density(line, history[-1], history[-2]).exp()
with torch.no_grad():
    densities = {
        name: network.step_log_prob(together)[:, -1].exp()
        for name, network in networks.items()
    }
truth_paths = world(20_000, 8, history)
draws = {
    name: network.sample_paths(history, 8, 5000, generator)
    for name, network in networks.items()
}
draws["AR(8)"] = linear.sample_paths(history, 8, 5000, generator)
distance = {
    name: ks_2samp(drawn[:, 1], truth_paths[:, 1]).statistic
    for name, drawn in draws.items()
}
for name, value in distance.items():
    print(f"{name:6s} draws, 2 steps ahead: {value:.3f} from the truth")
assert distance["conv"] < distance["AR(8)"]

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 2.9), sharey=True)
axes[0].plot(line, true_density, "0.3", linewidth=3)
for name, density in densities.items():
    axes[0].plot(line, density, label=name)
gaussian = torch.distributions.Normal(ahead.mean[0], ahead.stddev[0])
axes[0].plot(line, gaussian.log_prob(line).exp(), label="AR(8)")
bins = np.linspace(-5, 5, 60)
for ax, step in zip(axes[1:], (2, 8), strict=True):
    ax.hist(truth_paths[:, step - 1], bins, density=True, color="0.8", label="truth")
    for name in networks:
        ax.hist(draws[name][:, step - 1], bins, density=True, histtype="step", label=name)
    gaussian = torch.distributions.Normal(ahead.mean[step - 1], ahead.stddev[step - 1])
    ax.plot(line, gaussian.log_prob(line).exp(), color=PALETTE[2], label="AR(8)")
for ax, title in zip(axes, ("1 step ahead", "2 steps ahead", "8 steps ahead"), strict=True):
    ax.set(title=title, xlabel="x")
axes[0].legend()
caption(
    "The truth (gray) has humps; the networks find them, one step ahead by formula and "
    "later by sampled paths. The linear model knows one hump only."
)

# %% [markdown]
# The distance that is printed above the figure is that of Kolmogorov and Smirnov: the largest difference between the two distribution functions, of the model's draws and of draws from the truth.
#
# ### And on the Sun? (*optional*)
#
# Now the same networks on the square roots of the sunspots, fitted once to the years up to 1899, against the AR, which this time is fitted once, too. Two hundred values are very few for a network.

# %%
early = root[:start_1900]
once = Autoregression(order).fit(early)
few = range(start_1900, len(sunspots) - horizon + 1, 3)


def spots(z: Tensor) -> Tensor:
    return z.double().clamp(min=0).square()


def judged(sampler) -> tuple[float, float]:
    """Mean CRPS, and coverage of the 80 % interval."""
    result = rolling_origin(
        lambda past, h: spots(sampler(past.sqrt(), h, paths, generator)),
        sunspots.values,
        few,
        horizon,
    )
    return crps_samples(*result).mean().item(), coverage(*result, 0.8).mean().item()


sun_networks = {
    "GRU": NeuralForecaster(GRUMemory(16, generator), 2, generator),
    "conv": NeuralForecaster(CausalConv(16, 4, generator), 2, generator),
}
linear_score, linear_cover = judged(once.sample_paths)
print(
    f"AR({order}): CRPS {linear_score:.2f}, 80 % interval holds {100 * linear_cover:.0f} %"
)
with record_table():
    for name, network in sun_networks.items():
        network.fit(
            early, window=60, epochs=sunspot_epochs, batch_size=16, lr=5e-3, seed=seed
        )
        score, cover = judged(network.sample_paths)
        print(f"{name}: CRPS {score:.2f}, 80 % interval holds {100 * cover:.0f} %")
        record(f"sunspots_{name.lower()}_over_ar", score / linear_score, kind="score")
        assert score / linear_score > 0.9
        assert cover < linear_cover

# %% [markdown]
# Neither network gains anything here. With two hundred values a weighted sum of nine lags is hard to beat: the GRU loses against it, and the convolution loses or comes level, depending on the seed. Their intervals hold less often than those of the AR, and less often than they say: they fit the few years of training too closely and are too certain afterwards. Networks pay off with many data, or when many series train one network.

# %% [markdown]
# ## 12 · Where it fails, and the cures
#
# ### Gaps filled by hand (*optional*)
#
# A third of the values is missing. There are three ways to go on: fill the gaps with the mean, fill them with straight lines, or leave out the rows that are not complete, as `fit` does. The true coefficient is φ = 0.8. Then we hide weeks of the carbon dioxide series and let the model of section 8 fill them.

# %%
source = Autoregression.from_parameters(torch.tensor([0.8]))
estimates = {"left out": [], "filled with the mean": [], "straight lines": []}
for series in source.sample(100, generator, steps=600):
    holed = series.clone()
    holed[torch.rand(600, generator=generator) < 1 / 3] = math.nan
    tables = (
        holed,
        holed.where(~holed.isnan(), holed.nanmean()),
        torch.as_tensor(filled(holed)),
    )
    for found, table in zip(estimates.values(), tables, strict=True):
        found.append(Autoregression(1).fit(table).coefficients.item())

hidden = co2.values[co2.index("1990-01-01") : co2.index("2001-01-01")].clone()
when = torch.arange(co2.index("1990-01-01"), co2.index("2001-01-01"))
answer = hidden.clone()
starts = 12 * (1 + torch.randperm(46, generator=generator)[:30]).sort().values
gaps = (starts[:, None] + torch.arange(4)).flatten()  # four weeks each
hidden[gaps] = math.nan
features = calendar(len(co2))
co2_fit = Autoregression(co2_order).fit(before, features[:start_1980])
between = co2_fit.conditional(hidden, features[when])
model_error = (between.mean - answer[gaps]).abs().mean().item()
line_error = (torch.as_tensor(filled(hidden))[gaps] - answer[gaps]).abs().mean().item()
inside = (
    ((between.mean - answer[gaps]).abs() < 1.28 * between.stddev).double().mean().item()
)
print(
    f"hidden weeks: error of the model {model_error:.3f}, of straight lines {line_error:.3f}"
)
print(f"the model's 80 % intervals hold {100 * inside:.0f} % of {len(gaps)} hidden weeks")

assert model_error < line_error
assert 0.65 < inside < 0.95
with record_table():
    for name, found in estimates.items():
        key = name.replace(" ", "_")
        record(f"phi_{key}", float(np.mean(found)), kind="score")
assert abs(np.mean(estimates["left out"]) - 0.8) < 0.04
assert np.mean(estimates["filled with the mean"]) < 0.7
assert np.mean(estimates["straight lines"]) > 0.83

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), width_ratios=(2, 3))
left.boxplot(
    list(estimates.values()), tick_labels=["left out", "mean", "lines"], widths=0.6
)
left.axhline(0.8, color=PALETTE[4])
left.set(title="estimates of φ = 0.8", ylabel="φ")
part = slice(int(starts[3]) - 12, int(starts[3]) + 40)
at = torch.arange(len(hidden))
right.plot(at[part], hidden[part], color="0.2", marker=".", label="known")
in_part = (gaps >= part.start) & (gaps < part.stop)
right.errorbar(
    gaps[in_part],
    between.mean[in_part],
    1.28 * between.stddev[in_part],
    fmt="o",
    markersize=3,
    color=PALETTE[0],
    label="model, 80 %",
)
right.plot(
    gaps[in_part], answer[gaps][in_part], "x", color=PALETTE[4], label="hidden truth"
)
right.set(title="carbon dioxide with weeks hidden", xlabel="week")
right.legend()
caption(
    "Left: leaving rows out is right on average. Filled with the mean, the series seems to forget faster "
    "than it does; filled with lines, more slowly. Right: gaps filled by the model, with intervals."
)

# %% [markdown]
# ### Fed with itself
#
# The fit is about one step ahead, from a **true** past. A path is made in another way: from its second step on, the model reads its own output. If the model is wrong, each step takes the errors of the steps before for the truth. This is **exposure bias**: in use the model meets pasts that it never met in training.
#
# We take a model that we know to be wrong: the sunspots with two lags alone. One step ahead it is acceptable. The cure, if only a few horizons matter, is a **direct** model for each of them: a regression of $x_{t+h}$ on the two values known today. It is trained for the task that it is used for.

# %%
two_lags = Autoregression(2).fit(early)


def fed_with_itself(past, h):
    return two_lags.sample_paths(past.sqrt(), h, paths, generator).clamp(min=0).square()


def direct(past, h):
    z, columns = past.sqrt(), []
    for step in range(1, h + 1):
        table = lag_table(early, 2)[: len(early) - 1 - step]  # (1, x_{t−1}, x_{t−2})
        goal = early[2 + step - 1 :][: len(table)]
        w = torch.linalg.lstsq(table, goal[:, None]).solution[:, 0]
        error = (goal - table @ w).std()
        noise = torch.randn(paths, generator=generator, dtype=z.dtype)
        columns.append(w[0] + w[1] * z[-1] + w[2] * z[-2] + error * noise)
    return torch.stack(columns, dim=1).clamp(min=0).square()


scores = {
    name: crps_samples(*rolling_origin(f, sunspots.values, origins, horizon)).mean(0)
    for name, f in (("fed with itself", fed_with_itself), ("direct", direct))
}
penalty = (scores["fed with itself"] / scores["direct"]).tolist()
with record_table():
    record("feeding_penalty_1_step", penalty[0], kind="score")
    record("feeding_penalty_worst", max(penalty), kind="score")
assert abs(penalty[0] - 1) < 0.05
assert max(penalty) > 1.15

# %% [markdown]
# ### Errors that double (*optional*)
#
# In some systems even a nearly perfect model cannot forecast far ahead. Take the map $x_{t+1} = 4 x_t (1 - x_t)$, without any noise. For it the truth is known: a small difference between two starts doubles at each step, on average. It grows like $e^{\lambda t}$ with $\lambda = \log 2$. We fit a regression of $x_{t+1}$ on $1, x_t, x_t^2$ to 300 values, rounded to six digits.


# %%
def chaos(x: Tensor) -> Tensor:
    return 4 * x * (1 - x)


orbit = [torch.tensor(0.3 + 0.01 * math.pi, dtype=torch.float64)]
for _ in range(300):
    orbit.append(chaos(orbit[-1]))
orbit = torch.stack(orbit).mul(1e6).round() / 1e6
table = torch.stack([orbit[:-1] ** k for k in range(3)], dim=1)
w = torch.linalg.lstsq(table, orbit[1:, None]).solution[:, 0]
true_x = 0.05 + 0.9 * torch.rand(4000, generator=generator, dtype=torch.float64)
for _ in range(50):
    true_x = chaos(true_x)
guess, typical = true_x.clone(), []
for _ in range(40):
    true_x = chaos(true_x)
    guess = (w[0] + w[1] * guess + w[2] * guess**2).clamp(0, 1)
    typical.append((guess - true_x).abs().clamp(min=1e-16).log().mean().item())
growth = (typical[13] - typical[3]) / 10
record("error_growth", growth, unit="nats/step", kind="score")
print(f"typical error one step ahead: {math.exp(typical[0]):.1e}")
assert abs(growth - math.log(2)) < 0.05

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.9))
for name, marker in (("fed with itself", "o"), ("direct", "s")):
    left.plot(range(1, 13), scores[name], marker=marker, label=name)
left.plot(
    range(1, 13), sun_crps["AR"].mean(0), color="0.6", label=f"AR({order}), for comparison"
)
left.set(xlabel="years ahead", ylabel="CRPS in sunspots", ylim=(0, None), title="two lags")
left.legend()
steps = np.arange(1, 41)
right.semilogy(steps, np.exp(typical), marker=".", label="typical error")
rising = steps < 20
right.semilogy(
    steps[rising],
    np.exp(typical[3]) * 2.0 ** (steps[rising] - 4),
    "--",
    color="0.4",
    label="doubling each step",
)
right.set(xlabel="steps ahead", title="chaos")
right.legend()
caption(
    "Left: for the first years both are equal; later the model that is fed with itself has lost the cycle, "
    "and the direct one has not. Right: a nearly perfect model of chaos; its error doubles at each step "
    "until it is as large as the values."
)

# %% [markdown]
# There is no cure for chaos. Each further step costs a factor of two in precision, so a model with a tenth of the error can forecast only three to four steps farther. A forecast as a fan shows this.
#
# ### A leak, on purpose
#
# "Normalize the data, then split" is common advice, and it can ruin an evaluation. First a harmless case: with the mean and standard deviation of the *whole* series, future included, least squares with an intercept gives the very same forecasts. Now a harmful one. To make the index stationary, each day is normalized with the mean and the standard deviation of a window of eleven days. If the window is **centered** on the day, five of its days lie in the future. From the normalized value a regression, fitted before 2006, says how the index moves on the next day. We judge it as in section 10, by R² from 2006 on, and by the share of days with the right sign. The simple rival says "up" every day.

# %%
inner = Autoregression(order).fit(early).forecast(early, 5).mean
z = (early - root.mean()) / root.std()
outer = Autoregression(order).fit(z).forecast(z, 5).mean * root.std() + root.mean()
assert torch.allclose(inner, outer)

level = daily.cumsum(0)  # log of the index, in percent
pieces = level.unfold(0, 11, 1)  # eleven days each
flattered = {}
with record_table():
    for name, place in (("honest", 10), ("leak", 5)):  # where in its window the day is
        count = min(len(pieces), len(daily) - place - 1)  # days that have a tomorrow
        z = ((pieces[:, place] - pieces.mean(1)) / pieces.std(1))[:count]
        tomorrow = torch.arange(count) + place + 1
        move, fitted = daily[tomorrow], tomorrow < start_2006
        table = torch.stack([torch.ones_like(z), z], dim=1)
        w = torch.linalg.lstsq(table[fitted], move[fitted, None]).solution[:, 0]
        guess, move = (table @ w)[~fitted], move[~fitted]
        mean = daily[:start_2006].mean()
        r2 = 1 - (move - guess).square().mean() / (move - mean).square().mean()
        right_days = (guess * move > 0).double().mean().item()
        always_up = (move > 0).double().mean().item()
        flattered[name] = r2.item(), right_days - always_up
        record(f"r2_{name}", r2.item(), kind="score")
        record(f"right_days_{name}", right_days, kind="score")
print(f"always up: {100 * always_up:.1f} % of {len(move)} days")
assert abs(flattered["honest"][0]) < 0.01
assert flattered["leak"][0] > 0.1
assert flattered["leak"][1] > 0.05
assert flattered["honest"][1] < 0.02

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 1.8))
bars = ax.barh(
    ["window of the last days", "centered window"],
    [100 * r2 for r2, _ in flattered.values()],
    color=[PALETTE[0], PALETTE[4]],
)
ax.bar_label(bars, fmt="%.2f %%", padding=4)
ax.invert_yaxis()
ax.set(xlim=(-5, 22), xlabel="out-of-sample R² of tomorrow's return, in %")
caption(
    "Without the leak nothing is gained. With it the model seems to predict tomorrow's return: the "
    "centered mean contains the next five days."
)

# %% [markdown]
# Without the leak the rule is right on fewer days than the rival that always says "up". With it, the same code looks like a discovery. One rule protects against this: **everything** that touches the data on the way to the model (a mean, a scale, a filter, a value filled in, a choice of order) is part of the model. Put it inside the function that gets only the past.

# %% [markdown]
# ## 13 · What this family is good and bad at
#
# An autoregression predicts one thing only, the next value. Its likelihood is exact, its training is simple, and with few data the linear model is hard to beat. It draws one step after the other, so it is slow where series are long, and each step goes on from the errors of the steps before.

# %%
from utils.families import families

families("11")

# %% [markdown]
# ## 14 · Remember
#
# 1. The chain rule turns a series into one question, asked again and again: what may come next? An AR(p) answers with a Gaussian whose mean is a weighted sum of the last values, and least squares fits it.
# 2. A forecast is a distribution. Judge it with a proper score, CRPS, and count how often its intervals hold.
# 3. Roll the origin: hand over the past and nothing else. Whatever touches the data is part of the model.
# 4. Give the simple baseline a spread of its own. Share returns could not be predicted better than by their mean; their size could.
# 5. A model is trained on true pasts and then goes on from its own output. A small error is carried on from step to step, and in chaos it doubles.
#
# **Exercises**: `course start 11`, then open `work/11_autoregressive_time_series/exercises.ipynb`. You write each part of this chapter yourself and are told at once what is wrong.
#
# **Further reading**
# - G. U. Yule: *On a method of investigating periodicities in disturbed series, with special reference to Wolfer's sunspot numbers*, Philosophical Transactions of the Royal Society A, 1927: the first autoregression, and it was on sunspots.
# - H. Akaike: *A new look at the statistical model identification*, IEEE Transactions on Automatic Control, 1974: AIC.
# - R. F. Engle: *Autoregressive conditional heteroscedasticity with estimates of the variance of United Kingdom inflation*, Econometrica, 1982.
# - F. X. Diebold, R. S. Mariano: *Comparing predictive accuracy*, Journal of Business and Economic Statistics, 1995.
# - T. Gneiting, A. E. Raftery: *Strictly proper scoring rules, prediction, and estimation*, Journal of the American Statistical Association, 2007.
# - A. van den Oord et al.: *WaveNet: a generative model for raw audio*, 2016, arXiv:1609.03499.
# - S. Bengio, O. Vinyals, N. Jaitly, N. Shazeer: *Scheduled sampling for sequence prediction with recurrent neural networks*, 2015, arXiv:1506.03099: another cure for exposure bias.
# - D. Salinas, V. Flunkert, J. Gasthaus: *DeepAR: probabilistic forecasting with autoregressive recurrent networks*, 2017, arXiv:1704.04110: one network for many series.
# - R. J. Hyndman, G. Athanasopoulos: *Forecasting: principles and practice*, third edition, 2021.
