"""Checks of chapter 5: the restricted machine: energy, sampling, training, pseudo-likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, one_hot, softplus

from utils.checks import draw
from utils.checks.boltzmann_machines._machines import enumerated_log_prob, minus_energies, random_rbm
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, repeatable, tensor


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


@exercise("rbm.contrastive_divergence", call="contrastive_divergence(v_data, v_model, weights, hidden_bias)")
def contrastive_divergence(answer: Callable, generator: Generator) -> None:
    visible, hidden = 5, 3
    names = ("gradient of the weights", "gradient of the visible biases", "gradient of the hidden biases")
    shapes = ((visible, hidden), (visible,), (hidden,))
    weights, b, c = random_rbm(generator, visible, hidden)

    def gradients(v_data: Tensor, v_model: Tensor) -> tuple[Tensor, ...]:
        # By autograd: E_data[−F] − E_model[−F], the states being fixed.
        w, bias, hidden_bias = (t.clone().requires_grad_() for t in (weights, b, c))

        def minus_free_energy(v: Tensor) -> Tensor:
            return (v @ bias + softplus(hidden_bias + v @ w).sum(-1)).mean()

        with torch.enable_grad():
            return torch.autograd.grad(minus_free_energy(v_data) - minus_free_energy(v_model), (w, bias, hidden_bias))

    def ask(v_data: Tensor, v_model: Tensor) -> list[Tensor]:
        values = parts(answer(v_data, v_model, weights, c), names)
        return [tensor(x, s, name=f"your {n}") for x, s, n in zip(values, shapes, names, strict=True)]

    batch = 6
    data, model = draw.bits(generator, batch, visible), draw.bits(generator, batch, visible)
    values = ask(data, model)
    again = ask(data, model)
    if not all(torch.equal(x, y) for x, y in zip(values, again, strict=True)):
        raise Wrong(
            "Your gradients change from call to call: you sample h.",
            "The mean of h given v is known, p(h | v): using it leaves noise out.",
        )
    h_data, h_model = torch.sigmoid(c + data @ weights), torch.sigmoid(c + model @ weights)
    unbiased = torch.sigmoid(data @ weights), torch.sigmoid(model @ weights)
    truths = gradients(data, model)
    both = (data.mT @ h_data, model.mT @ h_model), (data.sum(0), model.sum(0)), (h_data.sum(0), h_model.sum(0))
    for value, truth, name, (first, second) in zip(values, truths, names, both, strict=True):
        close(
            value,
            truth,
            [
                Mistake(
                    -truth,
                    f"Your {name} has the wrong sign: a step along it makes the data less likely.",
                    "Data minus model: this gradient climbs the log-likelihood.",
                ),
                Mistake(
                    truth * batch, f"Your {name} is a sum over the examples.", "Divide by their number: it is a mean."
                ),
                Mistake(
                    first / batch,
                    f"Your {name} lacks the model's term.",
                    "Without it every weight grows for ever: subtract what the chain shows.",
                ),
                Mistake((first + second) / batch, f"Your {name} adds the model's term.", "Data minus model."),
                Mistake(truth * batch / truth.numel(), f"Your {name} is averaged over units.", "Over examples only."),
            ]
            + (
                [
                    Mistake(
                        (data - model).mT @ h_data / batch,
                        "Both terms of the weights use p(h | data).",
                        "The model's term needs the hidden units of the model's v.",
                    ),
                    Mistake(
                        data.mT @ (h_data - h_model) / batch,
                        "Both terms of the weights use the data's v.",
                        "The model's term is v'ᵀ p(h | v').",
                    ),
                    Mistake(
                        torch.outer((data - model).mean(0), (h_data - h_model).mean(0)),
                        "You multiply averaged differences.",
                        "Average the products v hᵀ, of data and model apart.",
                    ),
                    Mistake(
                        torch.outer(data.mean(0), h_data.mean(0)) - torch.outer(model.mean(0), h_model.mean(0)),
                        "You multiply the means of v and h.",
                        "Average the products: `v.T @ h / len(v)`.",
                    ),
                    Mistake(
                        (data.mT @ unbiased[0] - model.mT @ unbiased[1]) / batch,
                        "You forgot the hidden biases in p(h | v).",
                        "σ(c + vW).",
                    ),
                    Mistake(
                        (data.mT @ h_data.round() - model.mT @ h_model.round()) / batch,
                        "You round p(h | v).",
                        "Its mean is known: use the probabilities.",
                    ),
                    Mistake(
                        ((2 * data - 1).mT @ h_data - (2 * model - 1).mT @ h_model) / batch,
                        "You turned v into −1 and +1.",
                        "v is 0 and 1.",
                    ),
                    Mistake(
                        torch.outer(data[0], h_data[0]) - torch.outer(model[0], h_model[0]),
                        "You use the first example alone.",
                        "A mean over all of them.",
                    ),
                    Mistake(
                        (data.mT @ (c + data @ weights) - model.mT @ (c + model @ weights)) / batch,
                        "The sigmoid is missing in p(h | v).",
                        "σ(c + vW).",
                    ),
                ]
                if name == names[0]
                else [
                    Mistake(
                        torch.sigmoid(c + data.mean(0) @ weights) - torch.sigmoid(c + model.mean(0) @ weights),
                        "You take the sigmoid of the mean pull.",
                        "First p(h | v) of each state, then the mean.",
                    ),
                    Mistake(((data - model) @ weights).mean(0), "The sigmoid is missing in p(h | v).", "σ(c + vW)."),
                ]
                if name == names[2]
                else []
            ),
            name=f"your {name}",
            hint="Mean of −∂E/∂θ over the data minus its mean over the model's states.",
        )
    few = 4
    model = draw.bits(generator, few, visible)
    h_model = torch.sigmoid(c + model @ weights)
    both = (data.mT @ h_data, model.mT @ h_model), (data.sum(0), model.sum(0)), (h_data.sum(0), h_model.sum(0))
    hint = "There may be fewer chains than data: divide each sum by its own number of states."
    for value, truth, name, (first, second) in zip(ask(data, model), gradients(data, model), names, both, strict=True):
        one_divisor = f"Your {name} has one divisor for both terms."
        wrong = [Mistake((first - second) / n, one_divisor, hint) for n in (batch, few)]
        wrong.append(Mistake(first / few - second / batch, f"In your {name} the two divisors are exchanged.", hint))
        close(value, truth, wrong, name=f"your {name}", hint=hint)


@exercise("rbm.pseudo_log_likelihood", call="pseudo_log_likelihood(v, weights, visible_bias, hidden_bias)")
def pseudo_log_likelihood(answer: Callable, generator: Generator) -> None:
    visible, hidden, batch = 5, 3, 6
    v, (weights, b, c) = draw.bits(generator, batch, visible), random_rbm(generator, visible, hidden)

    def log_prob(x: Tensor) -> Tensor:  # but for log Z, which cancels
        return minus_energies(x, weights, b, c).logsumexp(-1)

    flipped = torch.stack([(v - one_hot(torch.tensor(i), visible)).abs() for i in range(visible)])  # (D, B, D)
    other = torch.stack([log_prob(x) for x in flipped], dim=-1)  # (B, D)
    each = log_prob(v)[:, None] - torch.logaddexp(log_prob(v)[:, None], other)  # log p(v_i | rest)
    truth = each.sum(-1)
    h = torch.sigmoid(c + v @ weights)
    pull = b + h @ weights.mT
    reconstruction = (v * pull - softplus(pull)).sum(-1)

    def from_machine(w: Tensor, bias: Tensor, hidden_bias: Tensor, times: float = 1.0) -> Tensor:
        odds = [
            minus_energies(v, w, bias, hidden_bias).logsumexp(-1)
            - minus_energies(x, w, bias, hidden_bias).logsumexp(-1)
            for x in flipped
        ]
        return logsigmoid(times * torch.stack(odds, dim=-1)).sum(-1)

    of_one = torch.where(v == 1, each, (1 - each.exp()).log()).sum(-1)
    name = "your pseudo-log-likelihood"
    value = tensor(
        repeatable(answer, v, weights, b, c, hint="Go through all units: nothing is drawn."),
        (batch,),
        name=name,
        shapes=[
            Mistake((batch, visible), "a value for each unit", "Sum over the visible units."),
            Mistake((), "one number for all examples", "Sum over the units, not over the examples."),
        ],
    )
    close(
        value,
        truth,
        [
            Mistake(-truth, "The sign is wrong: a logarithm of probabilities is negative.", "Higher is better."),
            Mistake(
                (1 - each.exp()).log().sum(-1),
                "This is the probability of the flipped unit: the difference of free energies has the wrong sign.",
                "log σ(F(v flipped) − F(v)).",
            ),
            Mistake(truth / visible, "You average over the units instead of summing.", "A sum of D conditionals."),
            Mistake(each.exp().sum(-1), "You sum probabilities, not their logarithms.", "log σ(…), then the sum."),
            Mistake(
                (log_prob(v)[:, None] - other).sum(-1), "These are log-odds: log σ is missing.", "log p(v_i | rest)."
            ),
            Mistake(of_one, "This is log p(v_i = 1 | rest), also where v_i is 0.", "Take the value that v_i has."),
            Mistake(
                reconstruction,
                "This is how well v is reconstructed from its own hidden units, which have seen v_i.",
                "Hide v_i: compare v with v in which only unit i is flipped.",
            ),
            Mistake(from_machine(weights, 0 * b, c), "You forgot the visible biases.", "F(v) has −b·v."),
            Mistake(from_machine(weights, b, 0 * c), "You forgot the hidden biases.", "softplus(c + vW)."),
            Mistake(
                from_machine(weights, b, c, 2), "There is a factor 2 before the difference.", "σ(F(flipped) − F(v))."
            ),
            Mistake(from_machine(weights, b, c, 0.5), "There is a ½ before the difference.", "σ(F(flipped) − F(v))."),
            Mistake(visible * each[:, 0], "You use the first unit for all.", "Flip each unit in turn."),
            Mistake(
                logsigmoid((log_prob(v)[:, None] - other).sum(-1)),
                "You sum before you take log σ.",
                "log σ of each unit, then the sum.",
            ),
            Mistake(
                logsigmoid(log_prob(v) - log_prob(1 - v)), "You flip all units at once.", "One unit after the other."
            ),
            Mistake(
                enumerated_log_prob(v, weights, b, c),
                "This is log p(v) itself.",
                "The pseudo-likelihood needs no Z: a sum of conditionals.",
            ),
        ],
        name=name,
        hint="For one unit: p(v_i | rest) = p(v) / (p(v) + p(v with unit i flipped)).",
    )
    says = "A very unlikely unit gives −∞: log of a sigmoid that underflowed."
    hint = "`torch.nn.functional.logsigmoid` stays in log space."
    hostile = 1000 * (1 - 2 * v[:1])
    far = tensor(answer(v[:1], 0 * weights, hostile[0], c), (1,), name=name, not_finite=(says, hint))
    truth = logsigmoid(hostile * (2 * v[:1] - 1)).sum(-1)
    if (far > truth + 1000).all():
        raise Wrong(
            "A very unlikely unit costs too little: its logarithm is cut off.", f"No small number in it. {hint}"
        )
    close(far, truth, name=name, hint=hint)
