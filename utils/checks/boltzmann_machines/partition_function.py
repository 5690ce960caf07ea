"""Checks of chapter 5: log Z, exact and by annealed importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from utils.checks import draw
from utils.checks.boltzmann_machines._machines import all_states, minus_energies, random_rbm
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, number
from utils.checks.variations import Variation, of_inputs, of_steps, of_terms
from utils.checks.verdicts import Wrong


def _finite_number(value, says: str, hint: str, name: str) -> Tensor:
    """`value` as a scalar, with a sentence of its own for NaN and infinity."""
    if isinstance(value, float | Tensor) and not torch.as_tensor(value).isfinite().all():
        raise Wrong(says, hint)
    return number(value, name)


def _log_z(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    h = all_states(len(hidden_bias))
    return (h @ hidden_bias + softplus(visible_bias + h @ weights.mT).sum(-1)).logsumexp(0)


@exercise("rbm.log_partition", call="log_partition(weights, visible_bias, hidden_bias)")
def log_partition(answer: Callable, generator: Generator) -> None:
    visible, hidden = 5, 3
    weights, b, c = random_rbm(generator, visible, hidden)
    everything = minus_energies(all_states(visible), weights, b, c)
    truth = everything.logsumexp((0, 1))
    h = all_states(hidden)

    def summed(h: Tensor = h, hidden_bias: Tensor = c, visible_bias: Tensor = b) -> Tensor:
        return h @ hidden_bias + softplus(visible_bias + h @ weights.mT).sum(-1)

    no_visible = (h @ c)[:, None] + h @ weights.mT  # one visible state only: all units on
    name = "your log Z"
    close(
        number(answer(weights, b, c), name),
        truth,
        [
            Mistake(truth.exp(), "This is Z, not its logarithm.", "Return log Z."),
            Mistake(-truth, "The sign is wrong: this is −log Z.", "Z = Σ exp(−E)."),
            Mistake(
                (-everything).logsumexp((0, 1)),
                "You sum exp(+E): the sign of the energy is wrong.",
                "Low energy is likely: exp(−E) = exp(b·v + c·h + vWh).",
            ),
            Mistake(summed(hidden_bias=0 * c).logsumexp(0), "You forgot the hidden biases.", "Each h weighs exp(c·h)."),
            Mistake(summed(visible_bias=0 * b).logsumexp(0), "You forgot the visible biases.", "softplus(b + Wh)."),
            Mistake(
                (summed() + h @ weights.mT @ b).logsumexp(0),
                "The visible biases count twice.",
                "Summed over v they are in the softplus already.",
            ),
            Mistake(summed(visible_bias=2 * b).logsumexp(0), "The visible biases count twice.", "softplus(b + Wh)."),
            Mistake(summed().sum(), "You sum logarithms.", "Add the weights of the h, not their logarithms."),
            Mistake(summed().mean(), "You average logarithms.", "Sum the weights of the h: logsumexp."),
            Mistake(
                truth - hidden * math.log(2), "You average over the hidden states.", "Z is a sum over all of them."
            ),
            Mistake(summed().max(), "This is the largest term.", "Z is the sum of all of them."),
            Mistake(summed().sum().log(), "The exponential is missing before the sum.", "logsumexp."),
            Mistake(summed(hidden_bias=-c).logsumexp(0), "The hidden biases have the wrong sign.", "exp(c·h)."),
            Mistake(
                (summed() + hidden * math.log(2)).logsumexp(0), "You add H log 2.", "The sum over h has it already."
            ),
            Mistake(softplus(c).sum() + softplus(b).sum(), "The weights W are missing.", "Given h: softplus(b + Wh)."),
            Mistake(
                (h @ c + softplus(-(b + h @ weights.mT)).sum(-1)).logsumexp(0),
                "The pull on the visible units has the wrong sign.",
                "softplus(b + Wh).",
            ),
            Mistake(
                (h @ c + (b + h @ weights.mT).relu().sum(-1)).logsumexp(0),
                "You use relu: that picks the best v, and does not sum over both values.",
                "softplus(b + Wh).",
            ),
            Mistake(
                (h @ c + softplus(b + h @ weights.mT).sum(-1) / 2).logsumexp(0),
                "There is a ½ before the softplus.",
                "Each visible unit adds softplus(b + Wh).",
            ),
            Mistake(summed(h[1:]).logsumexp(0), "You left out the state h = 0.", "There are 2ᴴ states, with 0."),
            Mistake(summed(h[:-1]).logsumexp(0), "You left out the last state, all hidden units on.", "2ᴴ states."),
            Mistake(summed(2 * h - 1).logsumexp(0), "Your hidden units are −1 and +1.", "They are 0 and 1."),
            Mistake(
                (no_visible.sum(-1) + b.sum()).logsumexp(0),
                "You set all visible units to 1 instead of summing over them.",
                "Given h, a visible unit adds softplus(b + Wh).",
            ),
            Mistake(
                summed(torch.eye(hidden, dtype=torch.float64)).logsumexp(0),
                "You go through H states with one hidden unit on each.",
                "All combinations: 2ᴴ of them.",
            ),
        ],
        name=name,
        hint="Each of the 2ᴴ states h contributes exp(c·h) Π_i (1 + exp(b_i + (Wh)_i)).",
        varied=lambda: (
            *of_inputs(_log_z, weights=weights, visible_bias=b, hidden_bias=c),
            *of_steps(
                lambda linear, soft: (linear + soft).logsumexp(0),
                {"c·h": h @ c, "Σ softplus(b + Wh)": softplus(b + h @ weights.mT).sum(-1)},
            ),
            *of_steps(lambda h: summed(h).logsumexp(0), {"h": h}),
        ),
    )
    # So many visible units that only the hidden layer can be enumerated.
    weights, b, c = random_rbm(generator, 64, 8)
    hint = "Keep logarithms and end with `torch.logsumexp`."
    for scale in (1.0, 20.0, 500.0):
        states = all_states(8)
        wanted = (states @ c + softplus(b + scale * states @ weights.mT).sum(-1)).logsumexp(0)
        value = _finite_number(
            answer(scale * weights, b, c), "Your log Z overflows: you leave log space on the way.", hint, name
        )
        close(value, wanted, name=name, hint=hint)


def _annealed(
    weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_bias: Tensor, betas: Tensor, states: Tensor
) -> Tensor:
    def log_p(beta: Tensor) -> Tensor:
        beta = beta[:, None, None]
        linear = (states * ((1 - beta) * base_bias + beta * visible_bias)).sum(-1)
        return linear + softplus(beta * (hidden_bias + states @ weights)).sum(-1)

    log_w = (log_p(betas[1:]) - log_p(betas[:-1])).sum(0)
    log_z_base = len(hidden_bias) * math.log(2) + softplus(base_bias).sum()
    return log_z_base + log_w.logsumexp(0) - math.log(len(log_w))


def _varied_path(
    weights: Tensor, b: Tensor, c: Tensor, a: Tensor, betas: Tensor, states: Tensor, rest: Tensor
) -> Iterator[Variation]:
    """The estimate with changed steps of log p*; `rest` is log Z₀ − log B."""
    after, before = betas[1:, None, None], betas[:-1, None, None]
    pull, zero = c + states @ weights, torch.zeros((), dtype=torch.float64)

    def estimate(log_p: Callable[[Tensor], Tensor]) -> Tensor:
        return rest + (log_p(after) - log_p(before)).sum(0).logsumexp(0)

    def linear(beta: Tensor) -> Tensor:
        return (states * ((1 - beta) * a + beta * b)).sum(-1)

    def soft(beta: Tensor, pull: Tensor = pull) -> Tensor:
        return softplus(beta * pull).sum(-1)

    yield from of_steps(
        lambda one, other: estimate(lambda beta: one * linear(beta) + other * soft(beta)),
        {"the linear part of log p*": zero + 1, "the softplus part of log p*": zero + 1},
    )
    yield from of_steps(
        lambda fades, grows: estimate(
            lambda beta: (states * (fades * (1 - beta) * a + grows * beta * b)).sum(-1) + soft(beta)
        ),
        {"the part (1 − β) a": zero + 1, "the part β b": zero + 1},
    )
    yield from of_steps(lambda pull: estimate(lambda beta: linear(beta) + soft(beta, pull)), {"the pull c + vW": pull})
    yield from of_steps(lambda vw: estimate(lambda beta: linear(beta) + soft(beta, c + vw)), {"vW": states @ weights})
    yield "with β left out of the softplus", estimate(lambda beta: linear(beta) + softplus(pull).sum(-1) + 0 * beta[0])
    yield "with the mean over the hidden units", estimate(lambda beta: linear(beta) + soft(beta) / len(c))
    yield "with the mean over the visible units", estimate(lambda beta: linear(beta) / len(b) + soft(beta))


@exercise(
    "rbm.ais_log_partition",
    call="ais_log_partition(weights, visible_bias, hidden_bias, base_bias, betas, states)",
)
def ais_log_partition(answer: Callable, generator: Generator) -> None:
    visible, hidden, chains, steps = 6, 4, 5, 3
    weights, b, c = random_rbm(generator, visible, hidden)
    a = draw.normal(generator, visible)
    inner = (0.1 + 0.9 * draw.uniform(generator, steps - 1)).sort().values * 0.95
    betas = torch.cat([torch.zeros(1), inner, torch.ones(1)]).double()
    states = draw.bits(generator, steps, chains, visible)

    def log_weight(
        v: Tensor, beta: Tensor, w: Tensor = weights, base: Tensor = a, tempered_bias: bool = True, mixed: bool = True
    ) -> Tensor:
        """log p*_β(v), by going through all h."""
        visible_bias = (1 - beta) * base + beta * b if mixed else b
        return minus_energies(v, beta * w, visible_bias, beta * c if tempered_bias else c).logsumexp(-1)

    def steps_of(order: Tensor = states, path: Tensor = betas, **changes) -> Tensor:
        pairs = zip(path[:-1], path[1:], order, strict=True)
        return torch.stack(
            [log_weight(v, after, **changes) - log_weight(v, before, **changes) for before, after, v in pairs]
        )

    def sums(*order: Tensor, **changes) -> Tensor:
        return steps_of(*order, **changes).sum(0)

    base = hidden * math.log(2) + softplus(a).sum()
    increments = steps_of()  # (T, B)
    log_w = increments.sum(0)

    def estimate(w: Tensor = log_w) -> Tensor:
        return base + w.logsumexp(0) - math.log(chains)

    truth = estimate()
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    geometric = sum(
        (after - before) * (log_weight(v, one) - log_weight(v, zero))
        for before, after, v in zip(betas[:-1], betas[1:], states, strict=True)
    )
    at_once = log_weight(states[-1], one) - log_weight(states[-1], zero)
    name = "your estimate of log Z"
    close(
        number(answer(weights, b, c, a, betas, states), name),
        truth,
        [
            Mistake(
                base + log_w.mean(),
                "You average the logarithms of the weights: that is too low.",
                "AIS estimates Z, so average the weights themselves: logsumexp − log B.",
            ),
            Mistake(truth + math.log(chains), "You sum over the chains; their mean is needed.", "Subtract log B."),
            Mistake(base + log_w.max(), "You take the best chain alone.", "The mean of all weights."),
            Mistake(base + log_w[0], "You take the first chain alone.", "The mean of all weights."),
            Mistake(base + log_w.median(), "You take the median of the chains.", "The mean of all weights."),
            Mistake(
                base + log_w.logsumexp(0) - math.log(steps),
                "You divide by the number of steps, not of chains.",
                "`states` is (T, B, D): subtract log B.",
            ),
            Mistake(truth - 2 * base, "You subtract log Z₀.", "log Z = log Z₀ + log of the mean weight."),
            Mistake(
                truth + (visible - hidden) * math.log(2),
                "log Z₀ counts the visible units where it should count the hidden ones.",
                "H log 2 + Σ softplus(a).",
            ),
            Mistake(
                truth - base + (visible + hidden) * math.log(2), "log Z₀ lacks the base biases a.", "Σ softplus(a)."
            ),
            Mistake(
                truth - hidden * math.log(2) + softplus(c).sum(),
                "log Z₀ uses the hidden biases, but at β = 0 they are off.",
                "H log 2 + Σ softplus(a).",
            ),
            Mistake(
                estimate(increments[:-1].sum(0)), "The last step is missing.", "One increment for each pair of betas."
            ),
            Mistake(
                estimate(increments[1:].sum(0)), "The first step is missing.", "One increment for each pair of betas."
            ),
            Mistake(
                estimate(sums(torch.cat([states[1:], states[-1:]]))),
                "You use the state of the next step.",
                "states[k] at betas[k].",
            ),
            Mistake(
                estimate(
                    sum(
                        log_weight(after, beta_after) - log_weight(before, beta_before)
                        for beta_before, beta_after, before, after in zip(
                            betas[:-2], betas[1:-1], states[:-1], states[1:], strict=True
                        )
                    )
                ),
                "You compare two states: at betas[k + 1] you use the next one.",
                "Both log p* of a step are of the same states[k].",
            ),
            Mistake(
                estimate(sums(states.roll(-1, 0))), "You use the state of the next step.", "states[k] at betas[k]."
            ),
            Mistake(
                estimate(sums(path=torch.linspace(0, 1, steps + 1, dtype=torch.float64))),
                "You space the betas evenly.",
                "Use `betas` as given.",
            ),
            Mistake(
                truth - base,
                "You forgot log Z of the base model: this is only the ratio Z / Z₀.",
                "At β = 0 all units are independent: H log 2 + Σ softplus(a).",
            ),
            Mistake(
                truth - hidden * math.log(2),
                "log Z₀ lacks the hidden units: at β = 0 each has two free values.",
                "Add H log 2.",
            ),
            Mistake(truth - softplus(a).sum(), "log Z₀ lacks the visible units.", "Add Σ softplus(a)."),
            Mistake(
                truth - base + hidden * math.log(2) + softplus(b).sum(),
                "log Z₀ uses the visible biases b, but the base model has its own, a.",
                "Σ softplus(a).",
            ),
            Mistake(
                estimate(-log_w),
                "The weights are upside down: p* at the old β stands above p* at the new one.",
                "log w adds log p*(new β) − log p*(old β): Z is what you end at, Z₀ what you start from.",
            ),
            Mistake(
                estimate(sums(states.flip(0))),
                "You take the states in reverse order.",
                "states[k] was drawn at betas[k].",
            ),
            Mistake(
                estimate(at_once),
                "You jump from β = 0 to β = 1 in one step: the betas between are not used.",
                "Add an increment for each pair betas[k], betas[k + 1], at states[k].",
            ),
            Mistake(
                estimate(geometric),
                "You mix log p* of both ends; here β mixes the parameters.",
                "β stands inside the softplus: softplus(β (c + vW)).",
            ),
            Mistake(
                estimate(sums(base=0 * a)),
                "The visible biases of the base model are missing on the way.",
                "They fade out: (1 − β) a + β b.",
            ),
            Mistake(
                estimate(sums(mixed=False)),
                "You keep the visible biases the same at every β.",
                "They go from a to b: (1 − β) a + β b.",
            ),
            Mistake(
                estimate(sums(tempered_bias=False)),
                "You do not temper the hidden biases.",
                "softplus(β (c + vW)): β multiplies both.",
            ),
        ],
        name=name,
        hint="One chain, one step: log p*(states[0] at betas[1]) − log p*(states[0] at betas[0]).",
        varied=lambda: (
            *of_terms(
                {
                    "H log 2": hidden * math.log(2) + 0 * base,
                    "Σ softplus(a)": softplus(a).sum(),
                    "log Σ w": log_w.logsumexp(0),
                    "−log B": -math.log(chains) + 0 * base,
                }
            ),
            *of_inputs(
                _annealed, weights=weights, visible_bias=b, hidden_bias=c, base_bias=a, betas=betas, states=states
            ),
            *_varied_path(weights, b, c, a, betas, states, base - math.log(chains)),
        ),
    )
    says = "Your estimate overflows: the weights of AIS span hundreds of nats."
    hint = "Average them in log space: `torch.logsumexp(log_w, 0) - math.log(B)`."
    far = _finite_number(answer(weights, b + 2000, c, a, betas, states.clamp_min(1)), says, hint, name)
    on = torch.ones(1, visible, dtype=torch.float64)
    ratio = minus_energies(on, weights, b + 2000, c).logsumexp(-1)
    ratio = ratio - minus_energies(on, 0 * weights, a, 0 * c).logsumexp(-1)
    close(far, base + ratio.squeeze(), name=name, hint=hint)
