"""Checks of chapter 5: what a restricted machine learns by: contrastive divergence, the pseudo-likelihood."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, one_hot, softplus

from utils.checks import draw
from utils.checks.boltzmann_machines._machines import enumerated_log_prob, free_energies, minus_energies, random_rbm
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, repeatable, tensor
from utils.checks.variations import of_inputs, of_steps
from utils.checks.verdicts import Wrong


def _phases(v_data: Tensor, v_model: Tensor, weights: Tensor, hidden_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Data minus model, of the weights, the visible and the hidden biases."""
    h_data, h_model = torch.sigmoid(hidden_bias + v_data @ weights), torch.sigmoid(hidden_bias + v_model @ weights)
    of_weights = v_data.mT @ h_data / len(v_data) - v_model.mT @ h_model / len(v_model)
    return of_weights, v_data.mean(0) - v_model.mean(0), h_data.mean(0) - h_model.mean(0)


@exercise("rbm.contrastive_divergence", call="contrastive_divergence(v_data, v_model, weights, hidden_bias)")
def contrastive_divergence(answer: Callable, generator: Generator) -> None:
    visible, hidden = 5, 3
    names = ("gradient of the weights", "gradient of the visible biases", "gradient of the hidden biases")
    shapes = ((visible, hidden), (visible,), (hidden,))
    weights, b, c = random_rbm(generator, visible, hidden)

    def gradients(v_data: Tensor, v_model: Tensor) -> tuple[Tensor, ...]:
        # By autograd: E_data[−F] − E_model[−F], the states being fixed.
        w, bias, hidden_bias = (t.clone().requires_grad_() for t in (weights, b, c))

        def minusfree_energies(v: Tensor) -> Tensor:
            return (v @ bias + softplus(hidden_bias + v @ w).sum(-1)).mean()

        with torch.enable_grad():
            return torch.autograd.grad(minusfree_energies(v_data) - minusfree_energies(v_model), (w, bias, hidden_bias))

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
    for which, (value, truth, name, (first, second)) in enumerate(zip(values, truths, names, both, strict=True)):
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
            varied=lambda which=which: of_inputs(
                lambda *given: _phases(*given)[which],
                v_data=data,
                v_model=model,
                weights=weights,
                hidden_bias=c,
            ),
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


def _pseudo_log_likelihood(v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    units = torch.eye(v.shape[1], dtype=v.dtype)
    machine = weights, visible_bias, hidden_bias
    flipped = torch.stack([free_energies((v - unit).abs(), *machine) for unit in units], dim=-1)
    return logsigmoid(flipped - free_energies(v, *machine)[:, None]).sum(-1)


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
        varied=lambda: (
            *of_inputs(_pseudo_log_likelihood, v=v, weights=weights, visible_bias=b, hidden_bias=c),
            *of_steps(
                lambda own, others: logsigmoid(others - own).sum(-1),
                {"F(v)": free_energies(v, weights, b, c)[:, None], "F(v flipped)": -other},
            ),
        ),
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
