"""Checks of chapter 5: softmax units, and the bound of a stack."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot, softplus

from utils.checks import draw
from utils.checks.boltzmann_machines._machines import all_states, enumerated_log_prob, minus_energies, random_rbm
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.variations import of_steps, of_terms
from utils.checks.verdicts import Wrong


@exercise("rbm.softmax_conditional", call="softmax_conditional(ratings, weights, visible_bias, hidden_bias)")
def softmax_conditional(answer: Callable, generator: Generator) -> None:
    people, films, levels, hidden = 6, 5, 4, 3
    weights, b = draw.normal(generator, films, levels, hidden), draw.normal(generator, films, levels)
    c = draw.normal(generator, hidden)
    ratings = torch.randint(levels, (people, films), generator=generator)
    ratings[draw.uniform(generator, people, films) < 0.4] = -1
    ratings[0], ratings[1, 0], ratings[2, 1], ratings[3, 0] = -1, -1, levels - 1, 0

    def hidden_given(v: Tensor, bias: Tensor = c) -> Tensor:
        return torch.sigmoid(bias + torch.einsum("bmk,mkh->bh", v, weights))

    def pull_given(h: Tensor, bias: Tensor = b) -> Tensor:
        return bias + torch.einsum("bh,mkh->bmk", h, weights)

    known = (ratings >= 0)[..., None]
    seen = one_hot(ratings.clamp_min(0), levels) * known.double()
    h = hidden_given(seen)
    pull = pull_given(h)
    names = ("p(h | ratings)", "p(level | h)")
    values, again = (parts(answer(ratings, weights, b, c), names) for _ in range(2))
    if any(isinstance(x, Tensor) and not torch.equal(x, y) for x, y in zip(values, again, strict=True)):
        raise Wrong("You draw the hidden units.", "Here their probabilities take the place of a sample.")
    wanted = ((people, hidden), (people, films, levels))
    new_h, new_levels = (tensor(x, s, name=f"your {n}") for x, s, n in zip(values, wanted, names, strict=True))
    sparse = seen.sum((1, 2)).clamp_min(1)[:, None]
    rated = torch.where(known[..., 0], ratings, 0).double()
    close(
        new_h,
        h,
        [
            Mistake(
                hidden_given(one_hot(ratings.clamp_min(0), levels).double()),
                "You count a missing rating as level 0.",
                "A film that nobody rated says nothing: leave its weights out of the sum.",
            ),
            Mistake(
                hidden_given(one_hot(ratings % levels, levels).double()),
                "You count a missing rating as the highest level: −1 indexes the last one.",
                "Leave the film's weights out of the sum.",
            ),
            Mistake(
                hidden_given(torch.where(known, seen, 1 / levels)),
                "You count a missing rating as a bit of each level.",
                "Leave the film's weights out of the sum.",
            ),
            Mistake(hidden_given(seen, 0 * c), "You forgot the hidden biases.", "σ(c + Σ W of what was rated)."),
            Mistake(
                torch.sigmoid(c + torch.einsum("bmk,mkh->bh", seen, weights) / sparse),
                "You take the mean over the rated films.",
                "The energy has a sum: more ratings say more.",
            ),
            Mistake(
                torch.sigmoid(c + torch.einsum("bm,mkh->bh", rated, weights)),
                "You multiply weights by the number of stars.",
                "A level is a category: pick the weights of the level that was given.",
            ),
            Mistake(h.logit(), "The sigmoid of the hidden units is missing.", "σ(c + Σ W of what was rated)."),
            Mistake(h.logit().softmax(-1), "You use a softmax for the hidden units.", "A sigmoid for each."),
            Mistake(
                hidden_given(one_hot((ratings.clamp_min(0) + 1) % levels, levels) * known.double()),
                "You count levels from 1.",
                "They are 0, 1, …, K − 1.",
            ),
            Mistake(
                torch.sigmoid(c * sparse + h.logit() - c),
                "You count the hidden biases once for each rating.",
                "Once for each hidden unit.",
            ),
            Mistake(
                torch.sigmoid(h.logit() + (seen * b).sum((1, 2))[:, None]),
                "You add the visible biases to the hidden units.",
                "They do not depend on h.",
            ),
            Mistake((h > 0.5).double(), "You round the hidden units.", "Keep their probabilities."),
        ],
        name=f"your {names[0]}",
        hint="For one person: add up W[film, level] of the films that were rated, then c, then σ.",
    )
    close(
        new_levels,
        pull.softmax(-1),
        [
            Mistake(
                torch.sigmoid(pull),
                "You use a sigmoid for each level: the levels of a film must sum to one.",
                "A film gets exactly one level: softmax.",
            ),
            Mistake(
                pull.softmax(1),
                "Your probabilities sum to one over the films, not over the levels.",
                "Softmax over the last axis.",
            ),
            Mistake(
                pull.flatten(1).softmax(-1).reshape(pull.shape),
                "Your probabilities sum to one over all films and levels together.",
                "Each film has its own softmax over the last axis.",
            ),
            Mistake(
                pull.softmax(0), "Your probabilities sum to one over the people.", "Softmax over the last axis, levels."
            ),
            Mistake(
                pull_given(h.round()).softmax(-1),
                "You round the hidden units before you predict.",
                "Their probabilities.",
            ),
            Mistake(pull_given(h - 0.5).softmax(-1), "You subtract ½ from the hidden units.", "b + W h."),
            Mistake(pull_given(h, 2 * b).softmax(-1), "The visible biases count twice.", "b + W h."),
            Mistake(one_hot(pull.argmax(-1), levels).double(), "You return the likeliest level.", "The probabilities."),
            Mistake(pull, "The softmax is missing.", "Exponentiate and normalize over the levels."),
            Mistake(pull.log_softmax(-1), "These are logarithms of probabilities.", "`softmax`, not `log_softmax`."),
            Mistake(pull_given(h, 0 * b).softmax(-1), "You forgot the visible biases.", "b tells how films are liked."),
            Mistake(
                torch.where(known, seen, pull.softmax(-1)),
                "You put the given ratings back into the prediction.",
                "Return the model's probabilities for all films.",
            ),
            Mistake(
                pull.softmax(-1) * known,
                "You predict only the films that were rated.",
                "The others are what a recommendation needs.",
            ),
        ],
        name=f"your {names[1]}",
        hint="For one film: exp(b + W h) of each level, divided by their sum.",
    )
    says, hint = "Your exponentials overflow for large biases.", "`softmax(-1)` subtracts the maximum first."
    high = parts(answer(ratings, weights, b + 800, c), names)[1]
    high = tensor(high, (people, films, levels), name=f"your {names[1]}", not_finite=(says, hint))
    close(high, pull.softmax(-1), name=f"your {names[1]} where all biases are 800 larger", hint=hint)
    sure = c + torch.tensor([1000.0, -1000.0, 0.0], dtype=torch.float64)
    says, hint = "Your sigmoid overflows for large biases: exp(1000) / (1 + exp(1000)) is NaN.", "`torch.sigmoid`."
    high = parts(answer(ratings, weights, b, sure), names)[0]
    high = tensor(high, (people, hidden), name=f"your {names[0]}", not_finite=(says, hint))
    close(high, hidden_given(seen, sure), name=f"your {names[0]} where hidden biases are large", hint=hint)
    # Films on scales of their own: a constant for all levels of a film changes nothing.
    shift = 600 * (torch.arange(films).double() - 2)[:, None]
    says = "You subtract one maximum for all films: far below it a film's exponentials are all 0."
    hint = "One maximum for each film: `softmax(-1)` does so."
    far = parts(answer(ratings, weights, b + shift, c), names)[1]
    far = tensor(far, (people, films, levels), name=f"your {names[1]}", not_finite=(says, hint))
    close(far, pull.softmax(-1), name=f"your {names[1]} where the films differ by hundreds of nats", hint=hint)


_STACK = ("v", "weights_1", "visible_bias", "hidden_bias_1", "weights_2", "bias_1", "bias_2")


def _bound(v: Tensor, weights: Tensor, b: Tensor, c: Tensor, *second: Tensor) -> Tensor:
    h = all_states(len(c))
    pull = b + h @ weights.mT
    log_q = minus_energies(v, weights, b, c).log_softmax(-1)
    log_joint = enumerated_log_prob(h, *second) + v @ pull.mT - softplus(pull).sum(-1)
    return (log_q.exp() * (log_joint - log_q)).sum(-1)


@exercise("rbm.stack_bound", call="stack_bound(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2)")
def stack_bound(answer: Callable, generator: Generator) -> None:
    visible, middle, top, batch = 5, 4, 3, 6
    v, first = draw.bits(generator, batch, visible), random_rbm(generator, visible, middle)
    second = random_rbm(generator, middle, top)
    weights, b, c = first
    h = all_states(middle)  # (2ᴴ, H)
    prior = enumerated_log_prob(h, *second)  # log p(h), (2ᴴ,)
    pull = b + h @ weights.mT
    scores = v @ pull.mT  # (B, 2ᴴ)
    likelihood = scores - softplus(pull).sum(-1)  # log p(v | h)
    log_q = minus_energies(v, *first).log_softmax(-1)
    q = log_q.exp()
    entropy = -(q * log_q).sum(-1)
    truth = (q * (prior + likelihood - log_q)).sum(-1)
    top_states = minus_energies(h, *second)
    log_z = top_states.logsumexp((0, 1))
    mean = torch.sigmoid(c + v @ weights)
    at_mean = b + mean @ weights.mT
    mean_field = v * at_mean - softplus(at_mean)
    swapped = h @ c + softplus(second[2] + h @ second[0]).sum(-1)
    name = "your bound"
    value = tensor(
        answer(v, *first, *second), (batch,), name=name, shapes=[Mistake((), "one number", "One for each v.")]
    )
    close(
        value,
        truth,
        [
            Mistake(
                truth - entropy,
                "You forgot the entropy of q.",
                "Subtract E_q[log q(h | v)]: without it, the gap grows.",
            ),
            Mistake(truth - 2 * entropy, "The entropy of q has the wrong sign.", "E_q[log p(v, h)] + entropy of q."),
            Mistake(
                truth + log_z,
                "You forgot log Z of the second machine: p(h) is not normalized.",
                "log p(h) = −F₂(h) − log Z₂.",
            ),
            Mistake(truth + 2 * log_z, "You add log Z of the second machine.", "log p(h) = −F₂(h) − log Z₂."),
            Mistake(
                (prior + likelihood).logsumexp(-1),
                "This is log p(v) itself, summed over all h.",
                "Right, but not the bound: weigh log p(v, h) − log q(h | v) with q.",
            ),
            Mistake(
                enumerated_log_prob(v, *first),
                "This is log p(v) of the first machine: the second one does not enter.",
                "The second machine replaces the first one's p(h).",
            ),
            Mistake(
                (q * (prior + scores - log_q)).sum(-1),
                "Your p(v | h) is not normalized.",
                "log p(v | h) = v·(b + Wh) − Σ softplus(b + Wh).",
            ),
            Mistake((q * likelihood).sum(-1) + entropy, "You forgot log p(h) of the second machine.", "Add it."),
            Mistake((q * prior).sum(-1) + entropy, "You forgot log p(v | h) of the first machine.", "Add it."),
            Mistake(
                (prior + likelihood - log_q).mean(-1), "You average over h with equal weights.", "Weigh with q(h | v)."
            ),
            Mistake(
                (prior + likelihood - log_q).sum(-1), "You forgot to weigh with q(h | v).", "The sum is an expectation."
            ),
            Mistake(
                enumerated_log_prob(mean, *second) + mean_field.sum(-1) + entropy,
                "You put the mean of h into the logarithms.",
                "The mean of a function is not the function of the mean: go through all h and weigh with q.",
            ),
            Mistake((prior + likelihood - log_q).amax(-1), "You take the best h alone.", "Weigh all with q(h | v)."),
            Mistake(
                (prior + likelihood).gather(1, log_q.argmax(-1, keepdim=True)).squeeze(1),
                "You take the likeliest h alone.",
                "Go through all h and weigh with q(h | v).",
            ),
            Mistake(
                (q * (likelihood - log_q)).sum(-1) - math.log(len(h)),
                "Your p(h) is uniform: the second machine does not enter.",
                "log p(h) = −F₂(h) − log Z₂.",
            ),
            Mistake(
                (q * (likelihood + log_q - prior)).sum(-1),
                "The divergence of q from p(h) has the wrong sign.",
                "log p(h) − log q(h | v) is added.",
            ),
            Mistake((prior.exp() * likelihood).sum(-1), "You weigh with p(h).", "The expectation is over q(h | v)."),
            Mistake(
                (log_q + likelihood).logsumexp(-1),
                "You take the logarithm of the mean likelihood.",
                "The mean of the logarithms, with log p(h) − log q(h | v).",
            ),
            Mistake(
                (q * (swapped - swapped.logsumexp(0) + likelihood - log_q)).sum(-1),
                "In the second machine h meets the first machine's biases.",
                "Its visible biases are `bias_1`.",
            ),
            Mistake(-truth, "The sign is wrong: this is a loss.", "The bound is higher where it is better."),
            Mistake(
                (q * (likelihood - prior - 2 * log_z - log_q)).sum(-1),
                "The free energy F₂ has the wrong sign.",
                "log p(h) = −F₂(h) − log Z₂.",
            ),
        ],
        name=name,
        hint="Take one v: compute q(h | v), log p(v | h) and log p(h) for all h, each must be normalized.",
        varied=lambda: (
            *of_terms(
                {"E_q log p(h)": q @ prior, "E_q log p(v | h)": (q * likelihood).sum(-1), "the entropy": entropy}
            ),
            *of_steps(
                _bound,
                dict(zip((f"`{name}`" for name in _STACK), (v, *first, *second), strict=True)),
            ),
            *of_steps(
                lambda scores, soft: (q * (prior + scores - soft - log_q)).sum(-1),
                {"v·(b + Wh)": scores, "Σ softplus(b + Wh)": softplus(pull).sum(-1)},
            ),
        ),
    )
    # A second machine that is the first one upside down: the stack is the first machine, and q its exact posterior.
    tied = tensor(answer(v, *first, weights.mT, c, b), (batch,), name=name)
    hint = "With W₂ = W₁ᵀ and the biases exchanged the bound is tight: log p(v) of the first machine."
    close(tied, enumerated_log_prob(v, *first), name=name, hint=hint)
    sharp = (300 * weights, b, c)
    says = "For large weights your bound is not finite: a σ is 0 or 1 exactly, and its logarithm −∞."
    hint = "Stay in logarithms: log σ(x) = −softplus(−x), `torch.nn.functional.logsigmoid`."
    tied = tensor(answer(v, *sharp, 300 * weights.mT, c, b), (batch,), name=name, not_finite=(says, hint))
    close(tied, enumerated_log_prob(v, *sharp), name=f"{name} for large weights", hint=hint)
