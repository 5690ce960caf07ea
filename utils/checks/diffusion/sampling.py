"""Checks of chapter 15: steps back to the data (DDIM, Heun, the reverse SDE)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.diffusion._mixtures import clipped, cosine_level, levels
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, repeatable, tensor


@exercise("diffusion.ddim_step", call="ddim_step(noise, x, alpha_t, sigma_t, alpha_s, sigma_s)")
def ddim_step(answer: Callable, generator: Generator) -> None:
    batch, dim = 5, 3
    (a_s, a_t), (s_s, s_t) = (row.tolist() for row in levels(generator, 2, 0.25, 0.8))
    x_0, noise = 4 * draw.away_from_zero(generator, batch, dim), 4 * draw.normal(generator, batch, dim)
    for name, (alpha_t, sigma_t), (alpha_s, sigma_s) in (
        ("your x_s", (a_t, s_t), (a_s, s_s)),
        ("your x_s at s = 0", (a_t, s_t), (1.0, 0.0)),
        ("your x_s from much noise", cosine_level(0.998), (a_s, s_s)),
        ("your x_s after a step towards noise", (a_s, s_s), (a_t, s_t)),
    ):
        x = alpha_t * x_0 + sigma_t * noise
        inputs = noise, x, alpha_t, sigma_t, alpha_s, sigma_s
        again = "Split x_t into α_t x̂_0 + σ_t ε; put x_s = α_s x̂_0 + σ_s ε together."
        value = repeatable(answer, *inputs, hint="Nothing is drawn: the predicted noise is used again.")
        ratio, added = alpha_t / alpha_s, sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2
        close(
            tensor(value, (batch, dim), name=name),
            alpha_s * x_0 + sigma_s * noise,  # where a chain with this data and this noise was at s
            [
                Mistake(x_0, "This is the guess of x_0; step to level s with it.", again),
                Mistake(
                    alpha_s * (x - sigma_t * noise) + sigma_s * noise,
                    "You forgot to divide by α_t: x − σ_t ε is α_t x̂_0.",
                    again,
                ),
                Mistake(alpha_s * x_0 + sigma_t * noise, "The noise comes back with σ_t; it should be σ_s.", again),
                Mistake(alpha_s * x_0, "The noise does not come back: this is the mean of x_s, given x_0.", again),
                Mistake(x_0 + sigma_s * noise, "The guess of x_0 is not multiplied with α_s.", again),
                Mistake(
                    alpha_s * (x + sigma_t * noise) / alpha_t + sigma_s * noise,
                    "You add the noise where you must take it away.",
                    again,
                ),
                Mistake(alpha_s * x_0 - sigma_s * noise, "The noise comes back with the wrong sign.", again),
                Mistake(
                    x - (sigma_t - sigma_s) * noise,
                    "Only the noise changes; the guess should be multiplied with α_s, too, not with α_t.",
                    again,
                ),
                Mistake(x / alpha_t * alpha_s, "You only scale x: the share of noise stays as it is.", again),
                Mistake(
                    alpha_s * (x - sigma_t**2 * noise) / alpha_t + sigma_s * noise, "σ_t is squared; it is not.", again
                ),
                Mistake(
                    alpha_s * (x - sigma_t * noise) / alpha_t**2 + sigma_s * noise, "α_t is squared; it is not.", again
                ),
                Mistake(alpha_s * (x - noise) / alpha_t + sigma_s * noise, "σ_t is missing before the noise.", again),
                Mistake(alpha_s * x_0 + noise, "σ_s is missing before the noise.", again),
                Mistake(alpha_s * x_0 + sigma_s**2 * noise, "σ_s is squared; it is not.", again),
                Mistake(alpha_s**2 * x_0 + sigma_s * noise, "α_s is squared; it is not.", again),
                Mistake(sigma_s * x_0 + alpha_s * noise, "α_s and σ_s are swapped.", again),
                Mistake(alpha_s * (x - alpha_t * noise) / sigma_t + sigma_s * noise, "α_t and σ_t are swapped.", again),
                Mistake(
                    alpha_s * alpha_t * (x - sigma_t * noise) + sigma_s * noise,
                    "You multiply with α_t where you must divide.",
                    again,
                ),
                Mistake(sigma_s * noise, "The guess of x_0 is missing.", again),
                Mistake(alpha_s * x / alpha_t + sigma_s * noise, "The noise in x_t is not taken away before.", again),
                Mistake(x, "You return x_t: no step was made.", again),
                Mistake(alpha_s * x + sigma_s * noise, "You take x_t for the guess of x_0.", again),
                *(
                    Mistake(
                        alpha_s * (x - sigma_t * noise) / max(alpha_t, least) + sigma_s * noise,
                        "You divide by a number that is never small; divide by α_t as it is.",
                        again,
                    )
                    for least in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
                ),
                *clipped(lambda c, a=alpha_s, s=sigma_s: a * x_0.clamp(-c, c) + s * noise, "The guess of x_0"),
                *clipped(lambda c, a=alpha_s, s=sigma_s: (a * x_0 + s * noise).clamp(-c, c), "Your x_s"),
                Mistake(
                    (ratio * sigma_s**2 * x + alpha_s * added * x_0) / sigma_t**2,
                    "This is the mean of q(x_s | x_t, x_0), a step of DDPM; DDIM keeps all of the noise.",
                    again,
                ),
            ],
            name=name,
            hint=again,
        )


def _field(generator: Generator, batch: int, dim: int) -> tuple[Callable, Callable]:
    """A score that turns, bends and changes in time, and a beta that grows."""
    matrix = draw.normal(generator, dim, dim)
    low, high = draw.between(generator, 0.3, 0.6), draw.between(generator, 4.0, 6.0)

    def time(t: float) -> float:
        if isinstance(t, Tensor) and t.numel() == 1:
            t = t.item()
        if not isinstance(t, int | float):
            raise Wrong("`score` and `beta` take one number as the time.", "Pass `t` or `s` as it is.")
        return float(t)

    def score(x: Tensor, t: float) -> Tensor:
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != dim:
            raise Wrong(
                f"`score` got {tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__} as its points, "
                f"expected {(batch, dim)}.",
                "`score(x, t)`: first the points, then the time.",
            )
        return -torch.tanh(x @ matrix) * (1 + 2 * time(t)) - 0.4 * x

    return score, lambda t: low + (high - low) * time(t) ** 2


@exercise("diffusion.heun_step", call="heun_step(score, x, beta, t, s)")
def heun_step(answer: Callable, generator: Generator) -> None:
    batch, dim = 5, 3
    score, beta = _field(generator, batch, dim)
    x = draw.away_from_zero(generator, batch, dim)
    earlier, later = draw.between(generator, 0.42, 0.5), draw.between(generator, 0.6, 0.68)
    for name, t, s in (
        ("your x_s", later, earlier),
        ("your x_s for s > t", earlier, later),
    ):
        h = s - t

        def velocity(x: Tensor, t: float, half: float = 0.5, pull: float = 1.0, keep: float = 1.0) -> Tensor:
            return -half * beta(t) * (keep * x + pull * score(x, t))

        def heun(h: float = h, t: float = t, s: float = s, **terms: float) -> Tensor:
            first = velocity(x, t, **terms)
            return x + h * (first + velocity(x + h * first, s, **terms)) / 2

        def mean_slope(second: Tensor, t: float = t, h: float = h) -> Tensor:
            return x + h * (velocity(x, t) + second) / 2

        first = velocity(x, t)
        euler = x + h * first
        away = [
            Mistake(heun(h=-h), "You step away from s: the size of the step is s − t, negative on the way back."),
            Mistake(heun(half=-0.5), "The velocity has the wrong sign.", "v = −½ β (x + score)."),
        ]
        if s > t:  # the way back was right
            away = [
                Mistake(heun(h=-h), "Where s is after t you step away from s: s − t is positive here.", "No `abs`.")
            ]
        middle = velocity(x + h / 2 * first, (t + s) / 2)
        plan = "first = v(x, t); second = v(x + (s − t) first, s); x + (s − t) (first + second) / 2."
        value = repeatable(answer, score, x, beta, t, s, hint="The ODE has no noise.")
        close(
            tensor(value, (batch, dim), name=name),
            heun(),
            [
                Mistake(euler, "This is Euler's step: the slope at the end of the step is missing.", plan),
                *away,
                Mistake(
                    mean_slope(velocity(x + h * first, t)),
                    "The second slope is taken at time t; it belongs to time s.",
                    plan,
                ),
                Mistake(
                    mean_slope(velocity(x, s)),
                    "The second slope is taken at x; it belongs where Euler's step ends.",
                    plan,
                ),
                Mistake(x + h * velocity(euler, s), "You follow the second slope alone; take the mean of both.", plan),
                Mistake(
                    x + h * (first + velocity(euler, s)),
                    "The slopes are added, as in two Euler steps one after the other; take their mean.",
                    plan,
                ),
                Mistake(
                    mean_slope(velocity(euler, (t + s) / 2)),
                    "The second slope is taken at the time in the middle; it belongs to time s.",
                    plan,
                ),
                Mistake(
                    euler + h * (first + velocity(euler, s)) / 2,
                    "You go on from Euler's end; the mean slope starts at x.",
                    plan,
                ),
                Mistake(x + h * middle, "This is the midpoint method; Heun's takes the slopes at both ends.", plan),
                Mistake(
                    mean_slope(velocity(x + h / 2 * first, s)),
                    "Euler's step for the second slope is whole, not half.",
                    plan,
                ),
                Mistake(
                    mean_slope(velocity(x - h * first, s)),
                    "Euler's step for the second slope goes the wrong way.",
                    plan,
                ),
                Mistake(
                    mean_slope(-0.5 * beta(t) * (euler + score(euler, s))),
                    "β is taken at time t for both slopes.",
                    "Each slope has the β of its own time.",
                ),
                Mistake(
                    mean_slope(-0.5 * beta(s) * (euler + score(euler, t))),
                    "The second score is taken at time t; it belongs to time s.",
                    plan,
                ),
                Mistake(heun() - x, "This is the change; add it to x.", plan),
                Mistake(2 * x - heun(), "The change has the wrong sign.", plan),
                Mistake(mean_slope(0 * first), "The second slope is missing in the mean.", plan),
                Mistake(x + h * velocity(euler, s) / 2, "The first slope is missing in the mean.", plan),
                Mistake(x + h * (first - velocity(euler, s)) / 2, "The slopes are subtracted; take their mean.", plan),
                Mistake(mean_slope(velocity(x + first, s)), "Euler's step for the second slope lacks s − t.", plan),
                Mistake(
                    mean_slope(velocity(h * first, s)),
                    "The second slope is taken at the change, not at x + change.",
                    plan,
                ),
                Mistake(heun(half=1.0), "The ½ before β is missing.", "v = −½ β (x + score)."),
                Mistake(heun(pull=2.0), "The score counts twice: that is the drift of the reverse SDE.", "No 2 here."),
                Mistake(heun(pull=-1.0), "The score has the wrong sign.", "v = −½ β (x + score)."),
                Mistake(heun(pull=0.0), "The score is missing.", "v = −½ β (x + score)."),
                Mistake(heun(keep=0.0), "x is missing in the velocity.", "v = −½ β (x + score)."),
                Mistake(
                    x + (first + velocity(x + first, s)) / 2,
                    "The size of the step is missing.",
                    "Multiply the slopes with s − t.",
                ),
            ],
            name=name,
            hint=plan,
        )


@exercise("diffusion.reverse_sde_step", call="reverse_sde_step(score, x, beta, t, s, level, noise)")
def reverse_sde_step(answer: Callable, generator: Generator) -> None:
    batch, dim = 5, 3
    score, beta = _field(generator, batch, dim)
    x, noise = draw.away_from_zero(generator, batch, dim), draw.away_from_zero(generator, batch, dim)
    s, t = draw.between(generator, 0.42, 0.5), draw.between(generator, 0.6, 0.68)
    for level in (draw.between(generator, 1.4, 1.8), draw.between(generator, 0.5, 0.7), 0.0):
        b, pull, passed = beta(t), score(x, t), t - s

        def step(
            pulled: float = 1 + level**2,
            spread: float = level * math.sqrt(b * passed),
            b: float = b,
            pull: Tensor = pull,
            keep: float = 1.0,
            passed: float = passed,
        ) -> Tensor:
            return x + 0.5 * b * passed * (keep * x + pulled * pull) + spread * noise

        name = f"your x_s for λ = {level:.2f}"
        value = repeatable(answer, score, x, beta, t, s, level, noise, hint="Use `noise`, which is given.")
        equation = "dx = −½ β (x + (1 + λ²) score) dt + λ √β dw, with dt = s − t < 0."
        variance = "The noise of the time t − s has the variance λ² β (t − s): multiply with its root."
        mistakes = [
            Mistake(
                x - 0.5 * b * passed * (x + (1 + level**2) * pull) + level * math.sqrt(b * passed) * noise,
                "Your drift has the wrong sign: its minus is missing, or dt = s − t, which is negative, is not.",
                equation,
            ),
            Mistake(
                step(pulled=1.0), "The pull along the score lacks 1 + λ²: noise is added and not made good.", equation
            ),
            Mistake(step(pulled=2.0), "Your pull is that of λ = 1 for every λ.", "1 + λ²."),
            Mistake(step(pulled=1 + level), "λ is to be squared in the pull: 1 + λ².", equation),
            Mistake(step(pulled=level**2), "The pull is 1 + λ²: at λ = 0 the score is still there.", equation),
            Mistake(step(pulled=(1 + level**2) / 2), "The pull is 1 + λ², without a half.", equation),
            Mistake(step(pulled=1 + level**2 / 2), "The pull is 1 + λ², without a half.", equation),
            Mistake(step(pulled=(1 + level) ** 2), "The pull is 1 + λ², not (1 + λ)².", equation),
            Mistake(step(spread=0.0), "The noise is missing.", variance),
            Mistake(
                step(spread=level * math.sqrt(b) * passed), "The noise grows with √(t − s), not with t − s.", variance
            ),
            Mistake(step(spread=level * math.sqrt(b)), "The time is missing in the noise: √(t − s).", variance),
            Mistake(step(spread=level * b * passed), "Standard deviation of the noise: λ √(β (t − s)).", variance),
            Mistake(step(spread=level * b * math.sqrt(passed)), "The noise grows with √β, not with β.", variance),
            Mistake(step(spread=level * math.sqrt(passed)), "β is missing in the noise.", variance),
            Mistake(step(spread=level**2 * math.sqrt(b * passed)), "The noise grows with λ, not with λ².", variance),
            Mistake(step(spread=math.sqrt(b * passed)), "λ is missing before the noise.", variance),
            Mistake(step(spread=math.sqrt(level * b * passed)), "The noise grows with λ, not with √λ.", variance),
            Mistake(step(spread=-level * math.sqrt(b * passed)), "The noise is taken away; add it.", variance),
            Mistake(
                step(spread=level * math.sqrt(2 * b * passed)),
                "The variance of the noise is λ² β (t − s), without a 2.",
                variance,
            ),
            Mistake(step(b=2 * b), "The ½ before β in the drift is missing.", equation),
            Mistake(step(pull=-pull), "The score has the wrong sign.", equation),
            Mistake(step(keep=0.0), "x is missing in the drift.", equation),
            Mistake(step(keep=1 + level**2), "Only the score is multiplied with 1 + λ², not x.", equation),
            Mistake(step(keep=-1.0), "x has the wrong sign in the drift.", equation),
            Mistake(
                step(b=beta(s), spread=level * math.sqrt(beta(s) * passed)),
                "β is taken at time s; both coefficients belong to the beginning, t.",
                equation,
            ),
            Mistake(step(pull=score(x, s)), "The score is taken at time s; it belongs to the beginning, t.", equation),
            Mistake(step() - x, "This is the change; add it to x.", equation),
        ]
        truth = step()
        told = [one for one in mistakes if not torch.allclose(one.value, truth)]
        close(tensor(value, (batch, dim), name=name), truth, told, name=name, hint=equation)
