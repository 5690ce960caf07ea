"""Checks of chapter 5: the Ising model and Hopfield networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.variations import of_steps


def _spins(generator: Generator, *shape: int) -> Tensor:
    return 2 * draw.bits(generator, *shape) - 1


@exercise("ising.conditional", call="conditional(spins, beta, field)")
def ising_conditional(answer: Callable, generator: Generator) -> None:
    rows, columns = 4, 5
    spins = _spins(generator, rows, columns)
    beta, field = draw.between(generator, 0.2, 0.6), draw.between(generator, 0.3, 0.9)

    def energy(s: Tensor) -> Tensor:
        return -(s * (s.roll(1, 0) + s.roll(1, 1))).sum() - field * s.sum()

    # The definition itself: both values of each spin, all others as they are.
    truth = torch.empty_like(spins)
    for i in range(rows):
        for j in range(columns):
            up, down = spins.clone(), spins.clone()
            up[i, j], down[i, j] = 1, -1
            truth[i, j] = 1 / (1 + (beta * (energy(up) - energy(down))).exp())

    around = sum(spins.roll(step, axis) for step in (1, -1) for axis in (0, 1))
    diagonal = sum(spins.roll((i, j), (0, 1)) for i in (1, -1) for j in (1, -1))
    padded = torch.zeros(rows + 2, columns + 2, dtype=torch.float64)
    padded[1:-1, 1:-1] = spins
    open_ends = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]

    def formula(neighbors=around, f=field, b=beta, two=2):
        return torch.sigmoid(two * b * (neighbors + f))

    value = tensor(
        answer(spins, beta, field), (rows, columns), shapes=[Mistake((), "one number", "Every site has its own.")]
    )
    close(
        value,
        truth,
        [
            Mistake(
                formula(two=1),
                "A factor 2 is missing: from −1 to +1 a spin changes by 2.",
                "The two energies differ by 2 (neighbors + field).",
            ),
            Mistake(
                formula(two=-2),
                "The sign is wrong: your spins turn away from their neighbors.",
                "Aligned spins have low energy, and low energy is likely.",
            ),
            Mistake(formula(two=4), "A factor 2 too many: each bond counts once.", "σ(2β (neighbors + field))."),
            Mistake(formula(f=0), "You forgot the field.", "It acts on a spin like one more neighbor of its size."),
            Mistake(
                formula(f=field / 2), "The field lacks the factor 2.", "From −1 to +1 a spin changes by 2 in it, too."
            ),
            Mistake(
                formula(around / beta), "You did not multiply the neighbors by β.", "β multiplies the whole energy."
            ),
            Mistake(formula(f=field * spins), "You multiply the field with the spin's old value.", "It is gone."),
            Mistake(
                formula(spins.roll(1, 0) + spins.roll(-1, 0)),
                "You count the neighbors above and below only.",
                "Left and right, too: `roll` along axis 1.",
            ),
            Mistake(
                formula(spins.roll(1, 1) + spins.roll(-1, 1)),
                "You count the neighbors left and right only.",
                "Above and below, too: `roll` along axis 0.",
            ),
            Mistake(torch.sigmoid(-2 * beta * spins * (around + field)), "This is the chance to flip.", "p(s = +1)."),
            Mistake((truth > 0.5).double(), "You say which value is likelier.", "Return the probability of +1."),
            Mistake(formula(f=-field), "The field has the wrong sign.", "A positive field favors +1."),
            Mistake(formula(f=field / beta), "You did not multiply the field by β.", "β multiplies the whole energy."),
            Mistake(formula(b=1), "You forgot β.", "p ∝ exp(−β E)."),
            Mistake(formula(b=1 / beta), "You divide by β: that would be a temperature.", "p ∝ exp(−β E)."),
            Mistake(
                formula(open_ends),
                "Your grid ends at its borders: the first and the last row are neighbors, and so are the columns.",
                "`spins.roll(1, 0)` goes round.",
            ),
            Mistake(
                formula(spins.roll(1, 0) + spins.roll(1, 1)),
                "You count two of the four neighbors.",
                "The sum over pairs names each pair once, but a spin takes part in four pairs.",
            ),
            Mistake(
                formula(spins.roll(-1, 0) + spins.roll(-1, 1)),
                "You count two of the four neighbors.",
                "The sum over pairs names each pair once, but a spin takes part in four pairs.",
            ),
            Mistake(
                formula(spins.roll(1, 0) + spins.roll(-1, 0) + spins.roll(1) + spins.roll(-1)),
                "You roll the flattened grid: the end of a row runs on into the next one.",
                "`spins.roll(1, 1)`: name the axis.",
            ),
            Mistake(formula(around + diagonal), "You count eight neighbors.", "The diagonal ones are no neighbors."),
            Mistake(formula(around + spins), "You count the spin among its own neighbors.", "Its old value is gone."),
            Mistake(formula(around / 4), "You take the mean of the neighbors.", "The energy has their sum."),
            Mistake(
                formula(spins * (around + field), f=0),
                "This is the probability of the value that the spin has now, not that of +1.",
                "The old value of the spin does not enter.",
            ),
            Mistake(1 - truth, "This is the probability of −1.", "Return that of +1."),
            Mistake(2 * truth - 1, "This is the mean of the spin, not a probability.", "σ, not tanh."),
            Mistake(truth.logit(), "These are log-odds.", "A sigmoid makes probabilities of them."),
        ],
        hint="Write down E for s = +1 and for s = −1: what does not contain this spin cancels.",
        varied=lambda: of_steps(
            lambda two, beta, around, field: torch.sigmoid(two * beta * (around + field)),
            {"the factor 2": 2.0, "`beta`": beta, "the neighbors": around, "`field`": field},
        ),
    )
    says = "At a low temperature (β = 1000) your function overflows."
    hint = "`torch.sigmoid` does not; exp(x) / (1 + exp(x)) does."
    for sign in (1, -1):
        aligned = spins.clone()
        aligned[:3] = sign
        pull = sum(aligned.roll(step, axis) for step in (1, -1) for axis in (0, 1)) + field
        cold = tensor(answer(aligned, 1000.0, field), (rows, columns), not_finite=(says, hint))
        close(cold, (pull > 0).double(), hint=hint)


@exercise("hopfield.store", call="store(patterns)")
def hopfield_store(answer: Callable, generator: Generator) -> None:
    count, units = 3, 8
    patterns = _spins(generator, count, units)
    full = torch.stack([torch.outer(x, x) for x in patterns]).sum(0) / units
    self_free = 1 - torch.eye(units, dtype=torch.float64)
    truth = full * self_free
    mean = patterns.mean(0)
    over_units = [Mistake((count, count), "you sum over the units", "Each pair of units has a weight: (N, N).")]
    close(
        tensor(answer(patterns), (units, units), name="your weight matrix", shapes=over_units),
        truth,
        [
            Mistake(
                full,
                "You left the diagonal: each unit is coupled to itself.",
                "Set the diagonal to zero: a unit shall listen to the others.",
            ),
            Mistake(full - torch.eye(units), "You take 1 from the diagonal, but P / N stands there.", "Set it to 0."),
            Mistake(truth * units, "The division by the number of units N is missing.", "W = Σ x xᵀ / N."),
            Mistake(truth * units / count, "You divide by the number of patterns P.", "Divide by the number of units."),
            Mistake(truth / count, "You divide by P · N.", "Divide by N: every pattern counts fully."),
            Mistake(
                full * units, "The division by N is missing, and the diagonal is not zero.", "W = Σ x xᵀ / N off it."
            ),
            Mistake(truth * units / (units - 1), "You divide by N − 1.", "W = Σ x xᵀ / N."),
            Mistake(
                truth + torch.eye(units), "You put ones on the diagonal.", "A unit does not listen to itself: zeros."
            ),
            Mistake(truth.triu(), "Only the upper half is filled.", "Couplings act both ways: W is symmetric."),
            Mistake(
                torch.outer(patterns[0], patterns[0]) * self_free / units,
                "You store the first pattern alone.",
                "Sum over all patterns.",
            ),
            Mistake(
                ((patterns + 1) / 2).mT @ ((patterns + 1) / 2) * self_free / units,
                "You turned the spins into 0 and 1.",
                "The Hebb rule takes −1 and +1.",
            ),
            Mistake(
                (patterns - patterns.mean(1, keepdim=True)).mT
                @ (patterns - patterns.mean(1, keepdim=True))
                * self_free
                / units,
                "You subtracted from each pattern its mean.",
                "The Hebb rule takes the patterns as they are.",
            ),
            Mistake(-truth, "The sign is wrong: units that agree must attract each other.", "A positive weight."),
            Mistake(truth.sign(), "You keep only the sign of the weights.", "Keep the sum."),
            Mistake(
                torch.outer(mean, mean) * self_free / units * count,
                "You take the product of the means, not the sum of the products.",
                "Multiply first: x xᵀ of each pattern.",
            ),
            Mistake(
                torch.outer(patterns.sum(0), patterns.sum(0)) * self_free / units,
                "You multiply the summed patterns: that mixes different patterns.",
                "Multiply first, x xᵀ of each pattern, then sum.",
            ),
            Mistake(
                (patterns - mean).mT @ (patterns - mean) * self_free / units,
                "You subtracted the mean pattern.",
                "The Hebb rule takes the patterns as they are.",
            ),
        ],
        name="your weight matrix",
    )


@exercise("hopfield.recall", call="recall(weights, state, order)")
def hopfield_recall(answer: Callable, generator: Generator) -> None:
    units, visits, draws = 12, 20, 12

    def run(weights: Tensor, state: Tensor, order: Tensor, tie: float | None = None, sign: float = 1.0) -> Tensor:
        s = state.clone()
        for i in order.tolist():
            pull = sign * sum(weights[i, j] * s[j] for j in range(units))
            if pull != 0:
                s[i] = 1.0 if pull > 0 else -1.0
            elif tie is not None:
                s[i] = tie
        return s

    def at_once(weights: Tensor, state: Tensor, order: Tensor) -> Tensor:
        s = state.clone()
        s[order] = (weights @ state).sign()[order]
        return s

    def everything_at_once(weights: Tensor, state: Tensor, order: Tensor) -> Tensor:
        s = state
        for _ in order:
            s = (weights @ s).sign()
        return s

    cases = []
    for _ in range(draws):
        half = draw.normal(generator, units, units).triu(1)
        order = torch.randint(units, (visits,), generator=generator)
        cases.append((half + half.mT, _spins(generator, units), order))

    def each(rule: Callable) -> Tensor:
        return torch.stack([rule(*case) for case in cases])

    value = torch.stack([tensor(answer(*case), (units,), name="your state") for case in cases])
    truth = each(run)
    close(
        value,
        truth,
        [
            Mistake(
                each(lambda w, s, o: run(w, s, o, sign=-1)),
                "The sign is wrong: your energy rises at every step.",
                "A unit follows the pull of the others: +1 if it is positive.",
            ),
            Mistake(
                each(at_once),
                "You compute the pull once, from the state at the start.",
                "Each unit must see what the units before it have become: asynchronous updates.",
            ),
            Mistake(
                each(lambda w, s, o: (w @ s).sign()),
                "You update all units once and at the same time.",
                "One by one, in `order`.",
            ),
            Mistake(
                each(everything_at_once),
                "You update all units at the same time: that may oscillate for ever.",
                "Update unit order[0], then order[1], …",
            ),
            Mistake(
                each(lambda w, s, o: run(w, s, o.flip(0))),
                "You walk through `order` backwards.",
                "order[0] comes first.",
            ),
            Mistake(
                each(lambda w, s, o: run(w, s, torch.arange(units))),
                "You update the units 0, 1, 2, … instead of following `order`.",
                "A unit may come twice in `order`, or never.",
            ),
            Mistake(
                each(lambda w, s, o: run(w, s, torch.tensor(list(dict.fromkeys(o.tolist()))))),
                "You visit a unit only the first time it comes in `order`.",
                "It may change its mind.",
            ),
            Mistake(
                each(lambda w, s, o: run(w, s, o[:-1])), "The last unit of `order` is not updated.", "All of `order`."
            ),
            Mistake(
                each(lambda w, s, o: run(w, s, o[: len(o) // 2])),
                "You stop halfway through `order`.",
                "All of `order`.",
            ),
            Mistake(
                each(lambda w, s, o: run(w + torch.eye(units), s, o)),
                "A unit listens to its own old value, too.",
                "Σ_j W_ij s_j, and nothing else.",
            ),
            Mistake(
                each(lambda w, s, o: run(w.tril(), s, o)),
                "A unit hears only the units before it.",
                "All units: Σ_j over the whole row.",
            ),
            Mistake(each(lambda w, s, o: s), "Your function returns the state as it was given.", "Return the new one."),
            Mistake((truth + 1) / 2, "Your spins are 0 and 1.", "They are −1 and +1."),
        ],
        name="your state",
        hint="Each update sets one unit to the sign of Σ_j W_ij s_j, with the state as it is by then.",
    )
    # With whole-numbered couplings, a pull is often exactly zero.
    half = torch.randint(-1, 2, (units, units), generator=generator).double().triu(1)
    state, order = _spins(generator, units), torch.arange(units)
    weights = half + half.mT
    weights[:3] = weights[:, :3] = 0
    state[:2] = torch.tensor([1.0, -1.0])
    close(
        tensor(answer(weights, state, order), (units,), name="your state"),
        run(weights, state, order),
        [
            Mistake(run(weights, state, order, tie=0.0), "A unit without any pull becomes 0.", "It keeps its value."),
            Mistake(run(weights, state, order, tie=1.0), "A unit without any pull becomes +1.", "It keeps its value."),
            Mistake(run(weights, state, order, tie=-1.0), "A unit without any pull becomes −1.", "It keeps its value."),
        ],
        name="your state",
        hint="A unit whose pull is exactly 0 keeps its value.",
    )
    tiny = [tensor(answer(w * 2**-20, s, o), (units,), name="your state") for w, s, o in cases]
    close(
        torch.stack(tiny),
        truth,
        name="your state where all couplings are a million times smaller",
        hint="Only a pull of exactly 0 leaves a unit as it is: no tolerance.",
    )
