"""Checks of chapter 11: the linear model: rows, fit, stability, forecasts, gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, number, parts, tensor


def _rows(y: Tensor, p: int) -> tuple[Tensor, Tensor]:
    """One row a target, one entry after the other: slow, and plain to see."""
    rows = [[1.0, *(y[t - i].item() for i in range(1, p + 1))] for t in range(p, len(y))]
    return torch.tensor(rows, dtype=y.dtype), y[p:]


def _least_squares(rows: Tensor, targets: Tensor) -> Tensor:
    return torch.linalg.solve(rows.T @ rows, rows.T @ targets)


def _series(generator: Generator, n: int = 40) -> Tensor:
    """A stationary AR(2) with a mean far from 0."""
    noise, y = draw.normal(generator, n), [3.0, 4.0]
    for t in range(2, n):
        y.append(1.0 + 1.1 * y[-1] - 0.4 * y[-2] + noise[t].item())
    return torch.tensor(y, dtype=torch.float64)


@exercise("series.lag_matrix", call="lag_matrix(y, p)")
def lag_matrix(answer: Callable, generator: Generator) -> None:
    y, p = draw.normal(generator, 9), 3
    rows, targets = parts(answer(y, p), ("rows", "targets"))
    no_constant = Mistake((6, 3), "the column of ones is missing", "The row is (1, y_{t-1}, ..., y_{t-p}).")
    too_many = Mistake(
        (7, 4), "there is one row too many: it has no target, or sees its own", "There are T − p targets."
    )
    lost = Mistake((5, 4), "one row is lost", "The first target is y_p, counting from 0, the last is y_{T−1}.")
    swapped = Mistake((4, 6), "rows and columns are swapped", "One row a target.")
    rows = tensor(rows, (6, 4), name="the matrix of rows", shapes=[no_constant, too_many, lost, swapped])
    targets = tensor(targets, (6,), name="the vector of targets")
    truth, right_targets = _rows(y, p)
    past = truth[:, 1:]
    near_last = torch.cat([truth[:, :1], past.flip(1)], dim=1)
    leaking = torch.stack([torch.cat([y.new_ones(1), y[t - 2 : t + 1].flip(0)]) for t in range(p, 9)])
    close(
        rows,
        truth,
        [
            Mistake(near_last, "The past is in the wrong order: the oldest value comes first.", "y_{t−1} comes first."),
            Mistake(torch.cat([past, truth[:, :1]], 1), "The constant is the last column.", "It is the first."),
            Mistake(leaking, "Each row holds its own target y_t: the answer leaks.", "The newest value is y_{t−1}."),
            Mistake(
                torch.cat([truth[:, :1], torch.stack([y.roll(-i)[p:] for i in range(1, p + 1)], dim=1)], dim=1),
                "Your rows hold the values after the target, and wrap round at the end.",
                "`roll(i)` moves a series towards its end, `roll(-i)` towards its beginning.",
            ),
            Mistake(
                torch.cat([truth[:, :1], torch.stack([y.roll(i)[:-p] for i in range(1, p + 1)], dim=1)], dim=1),
                "Your first rows wrap round: the end of the series stands before its beginning.",
                "Drop the first p rows of what `roll` makes, not the last.",
            ),
            Mistake(torch.cat([0 * truth[:, :1], past], dim=1), "The first column is 0.", "A column of ones: c."),
            Mistake(
                torch.cat([truth[:, :1], past - y.mean()], dim=1), "You subtracted the mean.", "The values as they are."
            ),
            Mistake(
                torch.cat([truth[:, :1], y[p - 1 : -1, None].expand(-1, p)], dim=1),
                "All columns hold y_{t−1}.",
                "Column i holds y_{t−i}.",
            ),
        ],
        name="the matrix of rows",
    )
    shifted = Mistake(y[p - 1 : -1], "The targets are one step too early.", "The first target is y_p.")
    first = Mistake(y[:-p], "The targets are the first values of the series.", "The first target is y_p.")
    close(targets, right_targets, [shifted, first], name="the vector of targets")
    rows, targets = parts(answer(y, 2), ("rows", "targets"))
    truth, right_targets = _rows(y, 2)
    close(tensor(rows, (7, 3), name="the matrix of rows for p = 2"), truth, name="the matrix of rows for p = 2")
    close(tensor(targets, (7,), name="the vector of targets for p = 2"), right_targets, name="the vector of targets")


@exercise("series.fit_ar", call="fit_ar(y, p)")
def fit_ar(answer: Callable, generator: Generator) -> None:
    y, p = _series(generator), 2
    coefficients, variance = parts(answer(y, p), ("coefficients", "variance"))
    no_constant = Mistake((2,), "the constant is missing", "The coefficients are (c, φ₁, ..., φ_p).")
    coefficients = tensor(coefficients, (3,), name="the vector of coefficients", shapes=[no_constant])
    variance = number(variance, "the variance")
    rows, targets = _rows(y, p)
    truth = _least_squares(rows, targets)
    centered = y - y.mean()
    without = torch.cat([y.new_zeros(1), _least_squares(_rows(centered, p)[0][:, 1:], centered[p:])])
    raw = torch.cat([y.new_zeros(1), _least_squares(rows[:, 1:], targets)])
    lags = torch.stack([centered[i:] @ centered[: len(y) - i] for i in range(p + 1)])  # autocovariances, times T
    by_lags = torch.linalg.solve(lags[(torch.arange(p)[:, None] - torch.arange(p)).abs()], lags[1:])

    def around_the_mean(phi: Tensor) -> Tensor:
        return torch.cat([(y.mean() * (1 - phi.sum()))[None], phi])

    close(
        coefficients,
        truth,
        [
            Mistake(truth[[0, 2, 1]], "The coefficients of the past are in the wrong order.", "φ₁ belongs to y_{t−1}."),
            Mistake(truth[[1, 2, 0]], "The constant comes last.", "Return (c, φ₁, ..., φ_p)."),
            Mistake(without, "You fit without a constant.", "A column of ones makes it."),
            Mistake(raw, "You fit without a constant.", "A column of ones makes it."),
            Mistake(
                around_the_mean(without[1:]),
                "You subtract the mean of the series and fit without a constant: near, but not least squares.",
                "Fit the constant together with the others: a column of ones.",
            ),
            Mistake(
                around_the_mean(by_lags),
                "These are the Yule–Walker estimates, from autocovariances: near, but not least squares.",
                "Least squares over the rows t = p, ..., T − 1.",
            ),
            Mistake(torch.cat([y.new_zeros(1), by_lags]), "These are the Yule–Walker estimates, without c.", "Rows."),
            Mistake(
                torch.cat([y.mean()[None], truth[1:]]), "c is not the mean of the series: that is c / (1 − Σ φ).", "c."
            ),
            Mistake(
                torch.cat([(truth[0] / (1 - truth[1:].sum()))[None], truth[1:]]),
                "This is the process's mean c / (1 − Σ φ), not c.",
                "Return the constant itself.",
            ),
            Mistake(_least_squares(rows[:-1], targets[:-1]), "The last row is missing.", "The last target is y_{T−1}."),
            Mistake(_least_squares(rows[1:], targets[1:]), "The first row is missing.", "The first target is y_p."),
            Mistake(
                torch.linalg.solve(rows.T @ rows + torch.eye(p + 1, dtype=y.dtype), rows.T @ targets),
                "You shrink the coefficients: this is ridge regression.",
                "Least squares, without a penalty.",
            ),
        ],
        name="the vector of coefficients",
    )
    residuals = targets - rows @ truth
    squares = residuals.square().sum()
    close(
        variance,
        squares / len(targets),
        [
            Mistake(squares, "The variance is a sum: divide by the number of targets.", "It is a mean of squares."),
            Mistake((squares / len(targets)).sqrt(), "This is the standard deviation.", "Return σ², not σ."),
            Mistake(squares / len(y), "You divide by T, but only T − p values are targets.", "Use the mean."),
            Mistake(
                squares / (len(targets) - p - 1),
                "You divide by T − 2p − 1, which makes the variance unbiased.",
                "Maximum likelihood divides by the number of targets, T − p.",
            ),
            Mistake(squares / (len(targets) - 1), "You divide by T − p − 1.", "Maximum likelihood divides by T − p."),
            Mistake(squares / (len(targets) - p), "You divide by T − 2p.", "Maximum likelihood divides by T − p."),
            Mistake(residuals.abs().mean(), "This is the mean absolute residual.", "The mean of the squares."),
            Mistake(
                (y[1:] - y[:-1]).square().mean(),
                "This is the variance of the changes.",
                "Of what the past leaves over.",
            ),
            Mistake(
                y.var(), "This is the variance of the series, not of its noise.", "Take what the past leaves over."
            ),
            Mistake(
                y.var(unbiased=False),
                "This is the variance of the series, not of its noise.",
                "Take what the past leaves over.",
            ),
        ],
        name="the variance",
    )
    longer = parts(answer(y, 4), ("coefficients", "variance"))[0]
    close(tensor(longer, (5,), name="the vector of coefficients for p = 4"), _least_squares(*_rows(y, 4)))


@exercise("series.largest_root", call="largest_root(phi)")
def largest_root(answer: Callable, generator: Generator) -> None:
    one = torch.tensor([-draw.between(generator, 0.3, 0.9)], dtype=torch.float64)
    value = number(answer(one), "the largest absolute value")
    close(
        value,
        one.abs()[0],
        [
            Mistake(one[0], "You return the eigenvalue, not its absolute value.", "With φ₁ < 0 it is negative."),
            Mistake(
                1 / one.abs()[0],
                "This is the inverse: a root of the polynomial, not an eigenvalue.",
                "The roots of 1 − φ₁z − ... lie outside of the circle where the eigenvalues lie inside.",
            ),
        ],
        name="the largest absolute value",
    )
    # A pair r e^{±iω}, and a smaller real eigenvalue s: φ from (λ² − 2 r cos ω λ + r²)(λ − s).
    r, s, angle = (
        draw.between(generator, 0.7, 1.3),
        draw.between(generator, 0.1, 0.5),
        draw.between(generator, 0.6, 1.2),
    )
    pair = torch.tensor([2 * r * np.cos(angle), -r * r], dtype=torch.float64)
    swing = number(answer(pair), "the largest absolute value")
    truth = torch.tensor(r, dtype=torch.float64)
    real = Mistake(r * np.cos(angle), "You take the real part of a complex eigenvalue.", "Its absolute value counts.")
    total = Mistake(pair.sum(), "This is the sum of the coefficients.", "Take the eigenvalues of the companion matrix.")
    largest = Mistake(pair.abs().max(), "This is the largest coefficient.", total.hint)
    inverse = Mistake(1 / r, "This is the inverse: a root of the polynomial, not an eigenvalue.", "λ = 1/z.")

    def of_another_kind(phi: Tensor) -> list[Mistake]:
        companion = torch.cat([phi[None], torch.eye(len(phi), dtype=phi.dtype)[:-1]])
        symmetric = "`eigvalsh` is for symmetric matrices: the companion matrix is none."
        singular = "This is the largest singular value, not the largest absolute eigenvalue."
        return [
            *(
                Mistake(torch.linalg.eigvalsh(companion, UPLO=half).abs().max(), symmetric, "`torch.linalg.eigvals`.")
                for half in "LU"
            ),
            Mistake(torch.linalg.svdvals(companion).max(), singular, "`torch.linalg.eigvals`."),
            Mistake(companion.norm(), "This is a norm of the companion matrix.", "`torch.linalg.eigvals`."),
            Mistake(phi.abs().sum(), "This is the sum of absolute coefficients.", total.hint),
            *(
                Mistake(np.abs(np.roots([1, *(-other).tolist()])).max(), says, "φ₁ comes first in the first row.")
                for other, says in (
                    (phi.flip(0), "You take the coefficients in reverse."),
                    (-phi, "Your coefficients have the wrong sign: the polynomial is λᵖ − φ₁ λᵖ⁻¹ − …"),
                )
            ),
            Mistake(phi.norm(), "This is the length of φ.", total.hint),
        ]

    close(swing, truth, [real, total, largest, inverse, *of_another_kind(pair)], name="the largest absolute value")
    cubic = torch.tensor(
        [2 * r * np.cos(angle) + s, -(r * r + 2 * r * np.cos(angle) * s), r * r * s], dtype=torch.float64
    )
    smallest = Mistake(min(r, s), "This is the smallest absolute value.", "The slowest shock decides: the largest.")
    hint = "Below the first row the companion matrix has ones that move each value one place down."
    inverse = inverse._replace(value=1 / s)
    close(
        number(answer(cubic), "the largest absolute value"),
        truth,
        [smallest, inverse, Mistake(max(s, r * np.cos(angle)), real.says, real.hint), *of_another_kind(cubic)],
        name="the largest absolute value",
        hint=hint,
    )
    # Eigenvalues come in no order: here the first is not the largest, then the last is not.
    for place, which in ((0, "first"), (-1, "last")):
        for _ in range(500):
            phi = 0.6 * draw.normal(generator, 3)
            companion = torch.cat([phi[None], torch.eye(3, dtype=phi.dtype)[:-1]])
            picked = torch.linalg.eigvals(companion)[place].abs()
            truth = torch.tensor(np.abs(np.roots([1, *(-phi).tolist()])).max())
            if picked < 0.9 * truth:
                break
        says = f"You take the {which} eigenvalue, and they come in no order."
        mistakes = [
            Mistake(picked, says, "The largest absolute value: `.abs().max()`."),
            *of_another_kind(phi),
        ]
        close(number(answer(phi), "the largest absolute value"), truth, mistakes, name="the largest absolute value")


@exercise("series.forecast", call="forecast(y, coefficients, horizon)")
def forecast(answer: Callable, generator: Generator) -> None:
    y, coefficients = _series(generator, 12), torch.tensor([0.7, 0.9, -0.5, 0.3], dtype=torch.float64)
    horizon = 6

    def roll(c=coefficients, past=y, constant=True) -> Tensor:
        values = past.tolist()
        for _ in range(horizon):
            terms = [phi.item() * values[-i] for i, phi in enumerate(c[1:], start=1)]
            values.append(sum(terms) + (c[0].item() if constant else 0.0))
        return torch.tensor(values[len(past) :], dtype=y.dtype)

    truth = roll()
    value = tensor(
        answer(y, coefficients, horizon),
        (horizon,),
        shapes=[Mistake((len(y) + horizon,), "you return the history, too", "Return the forecasts alone.")],
    )
    reversed_order = torch.cat([coefficients[:1], coefficients[1:].flip(0)])
    close(
        value,
        truth,
        [
            Mistake(roll(constant=False), "The constant c is missing.", "It is added at each step."),
            Mistake(roll(reversed_order), "The newest value meets the last coefficient.", "φ₁ belongs to the newest."),
            Mistake(
                truth[:1].expand(horizon),
                "Each step gets the first forecast.",
                "A forecast becomes the past of the next one.",
            ),
            Mistake(roll(past=y[:-1]), "You start one value too early.", "The last known value is y[-1]."),
            Mistake(truth.flip(0), "The forecasts are in the wrong order.", "One step ahead comes first."),
            Mistake(
                torch.cat([truth[:1], roll(constant=False, past=torch.cat([y, truth[:1]]))[:-1]]),
                "The constant c is added at the first step only.",
                "At each step.",
            ),
            Mistake(
                roll(coefficients[:2]), "Only the last value counts.", "All p of them: φ₁ y_{t−1} + … + φ_p y_{t−p}."
            ),
            Mistake(roll(past=y.flip(0)), "You begin at the other end of the series.", "The newest value is y[-1]."),
            Mistake(roll(torch.cat([y.mean()[None], coefficients[1:]])), "You use the mean for c.", "c as given."),
        ],
        hint="Append each forecast to the history, and predict the next from the longer one.",
    )
    two = torch.tensor([0.5, 0.8], dtype=torch.float64)
    close(
        tensor(answer(y, two, 1), (1,)),
        (0.5 + 0.8 * y[-1])[None],
        hint="The order p is the number of coefficients less one; it is not always the same.",
    )
    low = torch.tensor([-0.5, 0.8], dtype=torch.float64)
    down = [-2.0]
    for _ in range(3):
        down.append(-0.5 + 0.8 * down[-1])
    cut = Mistake(torch.zeros(3).double(), "You cut your forecasts off at 0: a series may be negative.", "No `clamp`.")
    value = tensor(answer(0 * y - 2, low, 3), (3,))
    close(value, torch.tensor(down[1:]).double(), [cut], name="your forecast of a negative series")


@exercise("series.error_variance", call="error_variance(phi, variance, horizon)")
def error_variance(answer: Callable, generator: Generator) -> None:
    phi, variance, horizon = -draw.between(generator, 0.5, 0.9), draw.between(generator, 0.5, 2.0), 5
    steps = torch.arange(1, horizon + 1, dtype=torch.float64)
    truth = torch.stack(
        [variance * sum(phi ** (2 * i) for i in range(h)) * torch.ones(()).double() for h in range(1, 6)]
    )
    value = tensor(answer(phi, variance, horizon), (horizon,))
    close(
        value,
        truth,
        [
            Mistake(truth.sqrt(), "These are standard deviations.", "Return variances."),
            Mistake(truth * phi**2, "Your sum begins at i = 1.", "The newest noise, i = 0, counts whole."),
            Mistake(variance * phi ** (2 * (steps - 1)), "You keep only the oldest noise.", "The variances add: sum."),
            Mistake(variance * steps, "This is the random walk: φ is missing.", "An older noise is multiplied by φ^i."),
            Mistake(
                truth - variance + 0 * steps, "The sum lacks its first term, i = 0.", "The newest noise counts whole."
            ),
            Mistake(
                variance * (1 - phi**steps) / (1 - phi), "The powers of φ are not squared.", "Var(φε) = φ² Var(ε)."
            ),
            Mistake(variance**2 * truth / variance, "You square the variance.", "σ² is given as it is."),
            Mistake(
                variance * (1 - phi ** (2 * steps)) / (1 - phi),
                "The denominator of the geometric sum is not squared.",
                "Σ φ^{2i} = (1 − φ^{2h}) / (1 − φ²).",
            ),
            Mistake(
                variance / (1 - phi**2) + 0 * steps,
                "This is the variance of the process, where the past is forgotten.",
                "h steps ahead only h noises are new.",
            ),
            Mistake(variance * (1 - phi ** (2 * steps)), "The division by 1 − φ² is missing.", "A geometric sum."),
            Mistake(truth / variance, "σ² is missing.", "Each noise has variance σ²."),
            Mistake(truth.flip(0), "The horizons run backwards.", "One step ahead comes first."),
            Mistake(truth + variance * phi ** (2 * steps), "The sum has one term too many.", "h steps bring h noises."),
        ],
        hint="Unroll y_{T+2}: which noises are in it, and how often was each multiplied by φ?",
    )
    says = "For φ = 1 your formula divides by zero."
    walk = tensor(answer(1.0, variance, horizon), (horizon,), not_finite=(says, "There the sum is simply h σ²."))
    close(walk, variance * steps, hint="For φ = 1 each step adds σ².")
    says = "For φ = −1 your formula divides by zero."
    walk = tensor(answer(-1.0, variance, horizon), (horizon,), not_finite=(says, "There too the sum is h σ²."))
    close(walk, variance * steps, name="your variances for φ = −1", hint="φ² is 1: each step adds σ².")
    for near in (0.995, -0.995):
        truth = variance * (near ** (2 * (steps - 1))).cumsum(0)
        is_walk = Mistake(variance * steps, f"You take φ = {near} for a random walk.", "Only φ = ±1 is one.")
        close(
            tensor(answer(near, variance, horizon), (horizon,)), truth, [is_walk], name=f"your variances for φ = {near}"
        )


@exercise("series.fit_with_gaps", call="fit_with_gaps(y, p)")
def fit_with_gaps(answer: Callable, generator: Generator) -> None:
    y, p = _series(generator, 40), 2
    gaps = y.clone()
    gaps[torch.tensor([9, 10, 21, 30])] = torch.nan
    rows, targets = _rows(gaps, p)
    whole = rows.isfinite().all(1) & targets.isfinite()

    def solve(series: Tensor) -> Tensor:
        return _least_squares(*_rows(series, p))

    truth = _least_squares(rows[whole], targets[whole])
    squeezed, zeros = solve(gaps[gaps.isfinite()]), solve(gaps.nan_to_num(0.0))
    mean = solve(gaps.nan_to_num(gaps.nanmean().item()))
    last = gaps.clone()
    for t in range(1, len(last)):
        last[t] = last[t - 1] if last[t].isnan() else last[t]
    next_known, between = (
        gaps.clone(),
        torch.from_numpy(np.interp(np.arange(len(gaps)), np.flatnonzero(gaps.isfinite()), gaps[gaps.isfinite()])),
    )
    for t in range(len(gaps) - 2, -1, -1):
        next_known[t] = next_known[t + 1] if next_known[t].isnan() else next_known[t]
    inputs = rows.nan_to_num(0.0)
    half = _least_squares(inputs[targets.isfinite()], targets[targets.isfinite()])
    says = "The coefficients are NaN: rows with a missing value are still there."
    value = tensor(answer(gaps, p), (3,), not_finite=(says, "Test rows and targets with `isfinite`."))
    close(
        value,
        truth,
        [
            Mistake(
                squeezed,
                "You cut the missing values out and close the gap: neighbors are no neighbors then.",
                "Make the rows first, then leave out those with NaN.",
            ),
            Mistake(zeros, "Missing values count as 0.", "Leave their rows out."),
            Mistake(mean, "Missing values count as the mean.", "Leave their rows out: an invented value is no datum."),
            Mistake(solve(last), "Missing values are filled with the last known one.", "Leave their rows out."),
            Mistake(half, "You leave out missing targets, but a missing past counts as 0.", "Test the whole row."),
            *(
                Mistake(
                    _least_squares(*(part[~near] for part in (rows, targets))),
                    "You leave out too many rows: one beside the gap whose values are all known.",
                    "A row goes only if one of its p + 1 values is missing.",
                )
                for near in (~whole | (~whole).roll(1), ~whole | (~whole).roll(-1))
            ),
            Mistake(solve(next_known), "Missing values are filled with the next known one.", "Leave their rows out."),
            Mistake(solve(between), "Missing values are interpolated.", "Leave their rows out."),
            Mistake(solve(gaps[11:21]), "You fit one stretch without gaps alone.", "All complete rows, from anywhere."),
            Mistake(solve(gaps[:9]), "You fit what comes before the first gap alone.", "All complete rows."),
            Mistake(solve(gaps[31:]), "You fit what comes after the last gap alone.", "All complete rows."),
            Mistake(
                torch.cat([y.new_zeros(1), _least_squares(rows[whole][:, 1:], targets[whole])]),
                "You fit without a constant.",
                "A column of ones makes it.",
            ),
            Mistake(truth[[1, 2, 0]], "The constant comes last.", "Return (c, φ₁, ..., φ_p)."),
            Mistake(truth[[0, 2, 1]], "The coefficients of the past are in the wrong order.", "φ₁ belongs to y_{t−1}."),
        ],
    )
    close(tensor(answer(y, p), (3,)), solve(y), hint="Without gaps it is the plain fit.")
    rows, targets = _rows(gaps, 3)
    whole = rows.isfinite().all(1) & targets.isfinite()
    close(tensor(answer(gaps, 3), (4,)), _least_squares(rows[whole], targets[whole]), name="your result for p = 3")
