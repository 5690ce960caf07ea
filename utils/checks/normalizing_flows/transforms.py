"""Checks of chapter 10: planar flows and splines."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.normalizing_flows._densities import jacobian_log_det, not_summed, summed_too_far
from utils.checks.symptoms import same
from utils.checks.variations import of_inputs, of_steps
from utils.checks.verdicts import Wrong


@exercise("flow.planar", call="planar(x, u, w, b)")
def planar(answer: Callable, generator: Generator) -> None:
    batch, dim = 5, 4
    x, u, w = draw.normal(generator, batch, dim), draw.normal(generator, dim), draw.normal(generator, dim)
    u = u + (0.6 - w @ u) * w / w.square().sum()  # wᵀu = 0.6: invertible
    b = draw.normal(generator).item()
    h = (x @ w + b).tanh()
    slope = 1 - h.square()
    truth = jacobian_log_det(lambda x: x + (x @ w + b).tanh()[:, None] * u, x)
    z, log_det = parts(answer(x, u, w, b), ("z", "log_det"))
    z = tensor(z, (batch, dim), name="your z")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*summed_too_far(dim), not_summed(batch, dim)])
    close(
        z,
        x + h[:, None] * u,
        [
            Mistake(
                x + h[:, None] * w, "You push along w.", "w says where the plane is, u says in which direction to go."
            ),
            Mistake(
                x + (x @ u + b).tanh()[:, None] * w,
                "You exchange u and w.",
                "z = x + u tanh(wᵀx + b).",
            ),
            Mistake(x + (x @ w).tanh()[:, None] * u, "You forgot b.", "tanh(wᵀx + b)."),
            Mistake(x + (x @ w + b)[:, None] * u, "You forgot tanh.", "z = x + u tanh(wᵀx + b)."),
            Mistake(x - h[:, None] * u, "You subtract u tanh(…).", "z = x + u tanh(wᵀx + b)."),
            Mistake(x + (x @ w - b).tanh()[:, None] * u, "b has the wrong sign.", "tanh(wᵀx + b)."),
            Mistake(x + (x @ w + b).sigmoid()[:, None] * u, "You use a sigmoid.", "tanh(wᵀx + b)."),
            Mistake(h[:, None] * u, "You forgot x itself.", "z = x + …"),
        ],
        name="your z",
        hint="z = x + u tanh(wᵀx + b): one number tanh(…) for each point.",
        varied=lambda: (
            *of_inputs(lambda x, u, w, b: x + (x @ w + b).tanh()[:, None] * u, x=x, u=u, w=w, b=b),
            *of_steps(lambda x, h, u: x + h[:, None] * u, {"x": x, "tanh(wᵀx + b)": h, "u": u}),
        ),
    )
    along = w @ u
    close(
        log_det,
        truth,
        [
            Mistake(-truth, "The log-determinant has the wrong sign.", "This is the forward direction, dz/dx."),
            Mistake(
                truth.exp(), "You return the determinant, not its logarithm.", "Take the log of the absolute value."
            ),
            Mistake(
                (slope * along).abs().log(),
                "The 1 is missing: it comes from x itself in z = x + …",
                "log |1 + h′ wᵀu|.",
            ),
            Mistake(
                (1 - slope * along).abs().log(), "The sign of h′ wᵀu is wrong.", "J = I + u cᵀ has determinant 1 + cᵀu."
            ),
            Mistake((1 + h * along).abs().log(), "You use tanh where its derivative belongs.", "tanh′ = 1 − tanh²."),
            Mistake(
                (1 + h.square() * along).abs().log(), "tanh′ is 1 − tanh², not tanh².", "log |1 + (1 − tanh²) wᵀu|."
            ),
            Mistake((1 + (1 - h) * along).abs().log(), "tanh′ is 1 − tanh²: the square is missing.", "1 − tanh²."),
            Mistake((1 + slope).log(), "wᵀu is missing.", "log |1 + h′ wᵀu|."),
            Mistake(
                (1 + (1 - (x @ w).tanh().square()) * along).abs().log(),
                "In the log-determinant b is missing.",
                "h′ = 1 − tanh²(wᵀx + b).",
            ),
            Mistake((1 + slope * along / dim).abs().log(), "You average over wᵢ uᵢ.", "wᵀu is their sum."),
            Mistake(
                (1 + along).abs().log().expand(batch),
                "You forgot the derivative of tanh.",
                "log |1 + (1 − tanh²) wᵀu|.",
            ),
            Mistake(
                (1 + slope[:, None] * w * u).abs().log().sum(-1),
                "You use only the diagonal of the Jacobian: it is not triangular.",
                "Take its eigenvalues: 1 across, 1 + cᵀu along u.",
            ),
            Mistake(
                dim * truth,
                "You count the factor D times.",
                "Only one eigenvalue differs from 1: that of the direction u.",
            ),
            Mistake(
                (1 + slope * w.square().sum()).log(), "You use wᵀw where wᵀu belongs.", "J = I + u cᵀ, with c ∝ w."
            ),
            Mistake(
                (1 + slope * u.square().sum()).log(), "You use uᵀu where wᵀu belongs.", "J = I + u cᵀ, with c ∝ w."
            ),
            Mistake(slope * along, "You forgot the logarithm: log(1 + a) is not a.", "log |1 + h′ wᵀu|."),
        ],
        name="your log_det",
        hint="J = I + u cᵀ with c = (1 − tanh²) w: which eigenvalues does it have?",
        varied=lambda: of_steps(
            lambda one, first, square, along: (one + (first - square) * along).abs().log(),
            {"the 1 of the determinant": 1.0, "the 1 of 1 − tanh²": 1.0, "tanh²": h.square(), "wᵀu": along},
        ),
    )
    # wᵀu = −3: near the plane the slope is negative.
    u = u - 3.6 * w / w.square().sum()
    x = x - ((x @ w + b) / w.square().sum())[:, None] * w
    says = "For wᵀu = −3 your log-determinant is not a number: the absolute value is missing."
    hint = "log |det J|, also for a flow that turns space inside out."
    folded = tensor(answer(x, u, w, b)[1], (batch,), name="your log_det", not_finite=(says, hint))
    right = jacobian_log_det(lambda x: x + (x @ w + b).tanh()[:, None] * u, x)
    wrong = [
        Mistake(
            (1 + (w @ u).abs() + 0 * right).log(), "You take the absolute value of a part: of wᵀu, not of 1 + …", hint
        ),
    ]
    if (folded < -4).any():
        raise Wrong("For wᵀu = −3 your determinant is cut off where it is negative.", hint)
    close(folded, right, wrong, name="your log_det for wᵀu = −3", hint=hint)


def _gregory(x: Tensor, x_knots: Tensor, y_knots: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """y and dy/dx, row by row, as a quotient of two quadratics (Gregory & Delbourgo, 1982)."""
    ys, rises = [], []
    for i, point in enumerate(x.tolist()):
        xs, values, d = x_knots[i].tolist(), y_knots[i].tolist(), slopes[i].tolist()
        k = max(k for k in range(len(xs) - 1) if k == 0 or xs[k] < point)
        width = xs[k + 1] - xs[k]
        s, r = (values[k + 1] - values[k]) / width, (point - xs[k]) / width
        p = (
            s * values[k + 1] * r**2
            + (values[k] * d[k + 1] + values[k + 1] * d[k]) * r * (1 - r)
            + s * values[k] * (1 - r) ** 2
        )
        q = s * r**2 + (d[k] + d[k + 1]) * r * (1 - r) + s * (1 - r) ** 2
        dp = (
            2 * s * values[k + 1] * r
            + (values[k] * d[k + 1] + values[k + 1] * d[k]) * (1 - 2 * r)
            - 2 * s * values[k] * (1 - r)
        )
        dq = 2 * s * r + (d[k] + d[k + 1]) * (1 - 2 * r) - 2 * s * (1 - r)
        ys.append(p / q)
        rises.append((dp * q - p * dq) / q**2 / width)
    return torch.tensor(ys, dtype=torch.float64), torch.tensor(rises, dtype=torch.float64)


@exercise("flow.rational_quadratic", call="rational_quadratic(x, x_knots, y_knots, slopes)")
def rational_quadratic(answer: Callable, generator: Generator) -> None:
    batch, bins = 12, 4

    def rising() -> Tensor:
        steps = 0.3 + torch.rand(batch, bins + 1, generator=generator, dtype=torch.float64)
        return steps.cumsum(1) - 2

    x_knots, y_knots = rising(), rising()
    slopes = 0.3 + 2 * torch.rand(batch, bins + 1, generator=generator, dtype=torch.float64)
    k = torch.arange(batch) % bins  # each bin is visited
    rows = torch.arange(batch)
    theta = 0.1 + 0.35 * torch.rand(batch, generator=generator, dtype=torch.float64)
    x0, w = x_knots[rows, k], x_knots[rows, k + 1] - x_knots[rows, k]
    y0, h = y_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    d0, d1 = slopes[rows, k], slopes[rows, k + 1]
    x = x0 + theta * w
    truth, rise = _gregory(x, x_knots, y_knots, slopes)

    def formula(s: Tensor = h / w, d0: Tensor = d0, d1: Tensor = d1, theta: Tensor = theta) -> tuple[Tensor, Tensor]:
        tau = theta * (1 - theta)
        below = s + (d0 + d1 - 2 * s) * tau
        top = d1 * theta**2 + 2 * s * tau + d0 * (1 - theta) ** 2
        return y0 + h * (s * theta**2 + d0 * tau) / below, s**2 * top / below**2

    s, tau = h / w, theta * (1 - theta)
    below = s + (d0 + d1 - 2 * s) * tau
    names, steps = ("y", "log_slope"), {"s": s, "d₀": d0, "d₁": d1, "θ": theta}

    def asked(x: Tensor) -> list[Tensor]:
        found = parts(answer(x, x_knots, y_knots, slopes), names)
        return [tensor(one, (batch,), name=f"your {name}") for one, name in zip(found, names, strict=True)]

    value, log_slope = parts(answer(x, x_knots, y_knots, slopes), names)
    per_knot = [Mistake((batch, bins + 1), "one for each knot", "First find the bin of each x."),
                Mistake((batch, bins), "one for each bin", "Pick the bin in which x lies.")]  # fmt: skip
    value = tensor(value, (batch,), name="your y", shapes=per_knot)
    close(
        value,
        truth,
        [
            Mistake(formula(d0=d1, d1=d0)[0], "You exchange the slopes at both ends of the bin.", "d₀ is at the left."),
            Mistake(formula(s=w / h)[0], "Your s is upside down.", "s = (y₁ − y₀) / (x₁ − x₀): height over width."),
            Mistake(truth - y0, "You forgot y₀, where the bin begins.", "y = y₀ + …"),
            Mistake(
                y0 + (truth - y0) / h, "You forgot the height of the bin.", "The fraction is multiplied by y₁ − y₀."
            ),
            Mistake(y0 + h * theta, "This is a straight line from knot to knot.", "Use the slopes d₀ and d₁."),
            Mistake(
                formula(theta=1 - theta)[0],
                "Your θ is measured from the right end of the bin.",
                "θ = (x − x₀) / (x₁ − x₀).",
            ),
            Mistake(
                formula(theta=theta * w)[0], "Your θ is not divided by the width of the bin.", "θ goes from 0 to 1."
            ),
            Mistake(
                y0 + h * (s * theta**2 + d0 * tau) / (s + (d0 + d1 - s) * tau),
                "The denominator lacks a factor 2.",
                "s + (d₀ + d₁ − 2s) θ (1 − θ).",
            ),
            Mistake(y0 + h * theta**2, "Your curve is θ²: it ignores the slopes.", "The rational quadratic."),
            Mistake(
                y0 + h * (s * theta**2 + d1 * tau) / below,
                "In the numerator d₁ stands where d₀ belongs.",
                "d₀ θ (1 − θ).",
            ),
            *_other_bins(x, x_knots, y_knots, slopes),
        ],
        name="your y",
        hint="Check the ends: θ = 0 gives y₀, θ = 1 gives y₁.",
        varied=lambda: of_steps(lambda *changed: formula(*changed)[0], steps),
        facts=lambda: _ends(lambda x: asked(x)[0], x_knots, k, (y0, y0 + h), "y"),
    )
    log_slope = tensor(log_slope, (batch,), name="your log_slope", shapes=per_knot)
    close(
        log_slope,
        rise.log(),
        [
            Mistake(rise, "You return the slope, not its logarithm.", "Take `log` at the end."),
            Mistake(
                -rise.log(), "The log-slope has the wrong sign: this is log dx/dy.", "This is the forward direction."
            ),
            Mistake(
                (rise * w).log(),
                "This is the slope with respect to θ, not to x.",
                "dθ/dx = 1 / (x₁ − x₀): divide by the width of the bin.",
            ),
            Mistake(
                (rise / s).log(), "The slope lacks a factor s: it is s².", "Check the left end: θ = 0 must give d₀."
            ),
            Mistake(
                (rise / s.square()).log(), "The slope lacks the factor s².", "Check the left end: θ = 0 must give d₀."
            ),
            Mistake(
                (rise * below).log(), "The denominator of the slope is not squared.", "It comes from the quotient rule."
            ),
            Mistake(
                formula(d0=d1, d1=d0)[1].log(),
                "You exchange the slopes at both ends of the bin in dy/dx.",
                "d₁ goes with θ², d₀ with (1 − θ)².",
            ),
            Mistake(
                ((d1 * theta**2 + s * tau + d0 * (1 - theta) ** 2) * (s / below) ** 2).log(),
                "In the slope the factor 2 before s θ (1 − θ) is missing.",
                "d₁ θ² + 2s θ (1 − θ) + d₀ (1 − θ)².",
            ),
            Mistake(
                ((1 - theta) * d0 + theta * d1).log(),
                "You interpolate the slopes of the knots in a straight line.",
                "The curve is rational: use the formula of dy/dx.",
            ),
            Mistake(rise.log().clamp(-0.1, 0.1), "Your log-slope is cut off.", "No `clamp`."),
            Mistake(s.log(), "This is the mean slope of the bin.", "The slope changes within the bin."),
            Mistake(0 * s, "Your log-slope is 0.", "Use the formula of dy/dx."),
        ],
        name="your log_slope",
        hint="Check the ends: θ = 0 gives d₀, θ = 1 gives d₁.",
        varied=lambda: of_steps(lambda *changed: formula(*changed)[1].log(), steps),
        facts=lambda: _ends(lambda x: asked(x)[1], x_knots, k, (d0.log(), d1.log()), "log_slope"),
    )
    flat = tensor(parts(answer(x, x_knots, 1e-15 * y_knots, 1e-15 * slopes), names)[1], (batch,), name="your log_slope")
    if (flat > rise.log() - 30).any():
        raise Wrong(
            "Where the curve is nearly flat, your slope is cut off.", "No `clamp`, no small number in the `log`."
        )
    close(flat, rise.log() - 15 * math.log(10), name="your log_slope where the curve is nearly flat")
    column = torch.arange(batch) % (bins + 1)
    at = "at the knots"
    says = f"Exactly {at}, your {{}} is not a number."
    hint = "The last knot belongs to the last bin: look at the number of the bin there."
    y, log_slope = parts(answer(x_knots[rows, column], x_knots, y_knots, slopes), names)
    y = tensor(y, (batch,), name=f"your y {at}", not_finite=(says.format("y"), hint))
    end = (column == 0) | (column == bins)
    outside = Mistake(
        torch.where(end, x_knots[rows, column], y_knots[rows, column]),
        "You return x itself at the first and at the last knot: both still belong to the spline.",
        "Include the ends: `<=`.",
    )
    close(y, y_knots[rows, column], [outside], name=f"your y {at}", hint=hint)
    log_slope = tensor(log_slope, (batch,), name=f"your log_slope {at}", not_finite=(says.format("log_slope"), hint))
    close(log_slope, slopes[rows, column].log(), name=f"your log_slope {at}", hint=hint)


def _ends(at: Callable[[Tensor], Tensor], x_knots: Tensor, k: Tensor, ends: tuple[Tensor, Tensor], what: str) -> str:
    """Where in its bin a curve is wrong: `at` gives it for one x in each row, `ends` are its values there."""
    rows = torch.arange(len(k))
    try:
        # Just inside, so that every way to find the bin finds the same.
        inside = (x_knots[rows, k] + 1e-8, x_knots[rows, k + 1] - 1e-8)
        right = [same(at(x), end) for x, end in zip(inside, ends, strict=True)]
    except Wrong:
        return ""
    if all(right):
        return f"At both ends of a bin your {what} is right, between them it is wrong."
    if any(right):
        good, bad = ("left", "right") if right[0] else ("right", "left")
        return f"At the {good} end of a bin your {what} is right, at the {bad} end it is wrong."
    return f"Your {what} is wrong at both ends of a bin."


def _other_bins(x: Tensor, x_knots: Tensor, y_knots: Tensor, slopes: Tensor) -> list[Mistake]:
    """The curve of a bin to the left or to the right of the one in which x lies, and of the first row's knots."""
    mistakes, rows = [], torch.arange(len(x))
    bins = x_knots.shape[1] - 1
    k = (x_knots[:, 1:-1] < x[:, None]).sum(1)
    for step, where in ((-1, "left"), (1, "right")):
        other = (k + step).clamp(0, bins - 1)
        x0, w = x_knots[rows, other], x_knots[rows, other + 1] - x_knots[rows, other]
        y0, h = y_knots[rows, other], y_knots[rows, other + 1] - y_knots[rows, other]
        d0, d1, s, theta = slopes[rows, other], slopes[rows, other + 1], h / w, (x - x0) / w
        y = y0 + h * (s * theta**2 + d0 * theta * (1 - theta)) / (s + (d0 + d1 - 2 * s) * theta * (1 - theta))
        mistakes.append(
            Mistake(
                y,
                f"You use the bin to the {where} of the one in which x lies.",
                "Bin k goes from knot k to knot k + 1.",
            )
        )
    first = [rows_[:1].expand_as(rows_) for rows_ in (x_knots, y_knots, slopes)]
    mistakes.append(
        Mistake(_gregory(x, *first)[0], "You use the knots of the first row for all x.", "Each x has its own knots.")
    )
    return mistakes
