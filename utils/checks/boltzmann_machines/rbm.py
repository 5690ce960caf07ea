"""Checks of chapter 5: the restricted machine: its energy and its sampling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, softplus

from utils.checks import draw
from utils.checks.boltzmann_machines._machines import free_energies, minus_energies, random_rbm
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.variations import of_inputs, of_steps, of_terms
from utils.checks.verdicts import Wrong


@exercise("rbm.free_energy", call="free_energy(v, weights, visible_bias, hidden_bias)")
def free_energy(answer: Callable, generator: Generator) -> None:
    visible, hidden, batch = 5, 3, 6
    v, (weights, b, c) = draw.bits(generator, batch, visible), random_rbm(generator, visible, hidden)
    minus_energy = minus_energies(v, weights, b, c)
    truth = -minus_energy.exp().sum(-1).log()
    pull = c + v @ weights
    linear, soft = v @ b, softplus(pull).sum(-1)
    p = torch.sigmoid(pull)
    value = tensor(
        answer(v, weights, b, c),
        (batch,),
        name="your free energy",
        shapes=[Mistake((batch, hidden), "a value for each hidden unit", "Sum over the hidden units.")],
    )
    close(
        value,
        truth,
        [
            Mistake(-truth, "The sign is wrong: this is −F(v).", "Likely v have a low free energy: p(v) ∝ exp(−F(v))."),
            Mistake(-soft, "You forgot the visible biases.", "−b·v does not depend on h: it stays as it is."),
            Mistake(linear - soft, "The visible biases have the wrong sign.", "E has −b·v, and so has F."),
            Mistake(-linear + soft, "The softplus has the wrong sign.", "F(v) = −b·v − Σ softplus(c + vW)."),
            Mistake(-linear - softplus(v @ weights).sum(-1), "You forgot the hidden biases.", "softplus(c + vW)."),
            Mistake(
                -linear - softplus(-pull).sum(-1),
                "The argument of the softplus has the wrong sign.",
                "With h = 1 a unit adds −(c + vW) to the energy: its weight is exp(c + vW).",
            ),
            Mistake(
                -linear - softplus(v @ weights).sum(-1) - c.sum(),
                "The hidden biases stand outside the softplus.",
                "They belong to units that may be off: softplus(c + vW).",
            ),
            Mistake(
                -linear - pull.sum(-1),
                "This is the energy with all hidden units on.",
                "Sum over h = 0 and h = 1: softplus, not its argument.",
            ),
            Mistake(
                -linear - pull.exp().sum(-1),
                "The exponential stands where the softplus belongs.",
                "log(1 + exp x): a unit that is off adds the 1.",
            ),
            Mistake(
                -linear - pull.exp().log1p().prod(-1),
                "You multiply the softplus of the units.",
                "The logarithm of a product is a sum of logarithms.",
            ),
            Mistake(
                -minus_energy.amax(-1),
                "This is the lowest energy of any h, not the sum over all of them.",
                "ReLU picks the best h; softplus sums over both values.",
            ),
            Mistake(
                -linear - (p * pull).sum(-1),
                "This is the energy at the mean of h: its entropy is missing.",
                "Sum over all h: log(1 + exp(c + vW)) for each unit.",
            ),
            Mistake(-linear - soft / hidden, "You average over the hidden units.", "The softplus are summed."),
            Mistake(
                -linear - softplus(pull.sum(-1)), "You sum inside the softplus.", "One softplus a unit, then the sum."
            ),
            Mistake(-linear - logsigmoid(pull).sum(-1), "You use log σ for the softplus.", "softplus(x) = −log σ(−x)."),
            Mistake(-b.sum() - soft, "All visible biases count, whether v is on or off.", "−b·v."),
            Mistake(
                -softplus(v * b).sum(-1) - soft, "You take the softplus of the visible part, too.", "v is given: −b·v."
            ),
            Mistake(-linear - softplus(c + pull).sum(-1), "The hidden biases count twice.", "softplus(c + vW)."),
            Mistake(truth.mean().expand(batch), "Every v gets the batch's mean.", "One free energy a row."),
            Mistake(truth + hidden * math.log(2), "You average over h instead of summing.", "Z counts every h with 1."),
            Mistake((-truth).exp(), "This is exp(−F(v)), the unnormalized probability.", "Take −log of it."),
        ],
        name="your free energy",
        hint="Compare with −log Σ_h exp(−E(v, h)) over all h, for two hidden units by hand.",
        varied=lambda: (
            *of_terms({"−b·v": -linear, "−Σ softplus(c + vW)": -soft}),
            *of_inputs(free_energies, v=v, weights=weights, visible_bias=b, hidden_bias=c),
            *of_steps(lambda pull: -linear - softplus(c + pull).sum(-1), {"vW": v @ weights}),
        ),
    )
    says = "Your free energy overflows for large weights: log(1 + exp(1000)) is not infinite."
    hint = "`torch.nn.functional.softplus` or `torch.logaddexp` is safe."
    on, steep = torch.ones_like(v), torch.full_like(weights, 1000)
    large = tensor(answer(on, steep, b, c), (batch,), not_finite=(says, hint), name="your free energy")
    truth = -minus_energies(on, steep, b, c).logsumexp(-1)
    if (large > truth + 100).all():
        raise Wrong("Your free energy is cut off for large weights.", f"No `clamp` before the exponential. {hint}")
    close(large, truth, name="your free energy", hint=hint)
    # What softplus adds to a large pull, log(1 + exp(−pull)), seen beside nothing else: the biases cancel the pulls.
    pulls = torch.tensor([6.0, 10.5, -4.0], dtype=torch.float64)
    level = torch.full_like(b, -(6.0 + 10.5) / visible)
    truth = -minus_energies(on, 0 * weights, level, pulls).logsumexp(-1)
    beyond = torch.nn.functional.softplus(-pulls)
    says, hint = "You replace the softplus by its argument too early.", "log(1 + exp(10)) is 10.000045, not 10."
    wrong = [Mistake(truth + beyond[:2].sum(), says, hint), Mistake(truth + beyond[1], says, hint)]
    close(tensor(answer(on, 0 * weights, level, pulls), (batch,)), truth, wrong, name="your free energy", hint=hint)
    # Rows and units on scales of their own: one maximum for all would be far above most.
    mixed, steep = torch.eye(visible, dtype=torch.float64)[[0, 1, 2, 3, 4, 0]], 5000 * weights
    says = "You subtract one maximum for all units: where the pull is far below it, 0 stands in the logarithm."
    value = tensor(answer(mixed, steep, b, c), (batch,), not_finite=(says, hint), name="your free energy")
    close(value, -minus_energies(mixed, steep, b, c).logsumexp(-1), name="your free energy", hint=hint)


@exercise("rbm.gibbs_step", call="gibbs_step(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible)")
def gibbs_step(answer: Callable, generator: Generator) -> None:
    visible, hidden, batch = 6, 4, 40
    v, (weights, b, c) = draw.bits(generator, batch, visible), random_rbm(generator, visible, hidden)
    u_hidden, u_visible = draw.uniform(generator, batch, hidden), draw.uniform(generator, batch, visible)
    p_hidden = torch.sigmoid(c + v @ weights)
    h = (u_hidden < p_hidden).double()
    p_visible = torch.sigmoid(b + h @ weights.mT)

    def drawn(u: Tensor, pull: Tensor) -> Tensor:
        return (u < torch.sigmoid(pull)).double()

    names = ("h", "the new v")
    inputs = (v, weights, b, c, u_hidden, u_visible)
    new, again = parts(answer(*inputs), names), parts(answer(*inputs), names)
    if any(isinstance(x, Tensor) and not torch.equal(x, y) for x, y in zip(new, again, strict=True)):
        raise Wrong("You draw random numbers of your own.", "Compare with `uniform_hidden` and `uniform_visible`.")
    new_h, new_v = (
        tensor(value, shape, name=f"your {name.removeprefix('the ')}")
        for value, shape, name in zip(new, ((batch, hidden), (batch, visible)), names, strict=True)
    )
    close(
        new_h,
        h,
        [
            Mistake(
                p_hidden,
                "Your h are probabilities, not samples.",
                "A unit is 1 where its uniform number is below its probability.",
            ),
            Mistake(1 - h, "Your h are upside down: a unit is 1 where u < p.", "P(u < p) = p."),
            Mistake((p_hidden > 0.5).double(), "You round h instead of drawing it.", "Compare with the given numbers."),
            Mistake(drawn(u_hidden, v @ weights), "You forgot the hidden biases.", "p(h = 1 | v) = σ(c + vW)."),
            Mistake(drawn(u_hidden, v @ weights - c), "The hidden biases have the wrong sign.", "σ(c + vW)."),
            Mistake(drawn(u_hidden[:1], c + v @ weights), "You use the first row of numbers for all.", "Row by row."),
            Mistake(2 * h - 1, "Your h are −1 and +1.", "They are 0 and 1."),
            Mistake(
                (u_hidden < (c + v @ weights).softmax(-1)).double(),
                "You use a softmax: hidden units are independent given v.",
                "A sigmoid for each.",
            ),
            Mistake((u_hidden < (c + v @ weights).tanh()).double(), "You use tanh for the sigmoid.", "σ(c + vW)."),
            Mistake(drawn(u_hidden, 2 * (c + v @ weights)), "There is a factor 2: units are 0 and 1.", "σ(c + vW)."),
            Mistake(drawn(u_hidden, -(c + v @ weights)), "The sign of the pull on h is wrong.", "σ(c + vW)."),
        ],
        name="your h",
        hint="h = 1 where uniform_hidden < σ(c + vW).",
    )
    close(
        new_v,
        (u_visible < p_visible).double(),
        [
            Mistake(
                p_visible,
                "Your new v are probabilities, not samples.",
                "A unit is 1 where its uniform number is below its probability.",
            ),
            Mistake(
                drawn(u_visible, b + p_hidden @ weights.mT),
                "You draw the new v from the probabilities of h, not from its sample.",
                "Without a sampled h the chain has another distribution in the end: use h itself.",
            ),
            Mistake((u_visible >= p_visible).double(), "Your new v are upside down.", "A unit is 1 where u < p."),
            Mistake((p_visible > 0.5).double(), "You round the new v instead of drawing it.", "Compare with u."),
            Mistake(drawn(u_visible, h @ weights.mT), "You forgot the visible biases.", "σ(b + Wh)."),
            Mistake(drawn(u_visible, h @ weights.mT - b), "The visible biases have the wrong sign.", "σ(b + Wh)."),
            Mistake(drawn(u_visible, -(b + h @ weights.mT)), "The sign of the pull on v is wrong.", "σ(b + Wh)."),
            Mistake(drawn(u_visible, b.expand_as(v)), "Your new v do not look at h.", "σ(b + Wh)."),
            Mistake(
                drawn(u_visible[:1], b + h @ weights.mT), "You use the first row of numbers for all.", "Row by row."
            ),
            Mistake(2 * (u_visible < p_visible).double() - 1, "Your new v are −1 and +1.", "They are 0 and 1."),
            Mistake(v, "You return the old v.", "Draw a new one, given h."),
            Mistake(
                drawn(u_visible, b + (2 * h - 1) @ weights.mT),
                "You draw the new v from h as −1 and +1.",
                "h is 0 or 1.",
            ),
        ],
        name="your new v",
        hint="v = 1 where uniform_visible < σ(b + Wh), with the h you have just drawn.",
    )
    # Where the number is exactly the probability, ½; and large biases.
    half = answer(0 * v, 0 * weights, 0 * b, 0 * c, 0 * u_hidden + 0.5, 0 * u_visible + 0.5)
    large = answer(0 * v, 0 * weights, 0 * b + 1000, 0 * c + 1000, u_hidden, u_visible)
    for value, sure, name in zip(parts(half, names), parts(large, names), ("your h", "your new v"), strict=True):
        if torch.as_tensor(value).any():
            raise Wrong(f"In {name} a unit is 1 where its number is just its probability.", "u < p, not u ≤ p.")
        if not (torch.as_tensor(sure) == 1).all():
            raise Wrong(
                f"In {name} a unit with a bias of 1000 stays off: exp(1000) / (1 + exp(1000)) is NaN.",
                "`torch.sigmoid` is safe.",
            )
