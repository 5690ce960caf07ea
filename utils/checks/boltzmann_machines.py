"""Checks of chapter 5, Boltzmann machines."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, one_hot, softplus

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, number, parts, tensor
from utils.data import binarize, load

# Exact nats per held-out binarized digit, 1,297 training images, over twelve seeds: independent pixels reach −27.4 to
# −26.9, one epoch of CD-1 the same, 100 epochs of CD-1 with steps from 0.05 down −25.1 to −24.6; PCD with 600 epochs,
# steps from 0.2 down and 16 hidden units −23.6 to −22.9, with 8 units −24.2 to −23.5.
HELD_OUT_GOAL = -24.0
MOST_HIDDEN = 16


def _spins(generator: Generator, *shape: int) -> Tensor:
    return 2 * draw.bits(generator, *shape) - 1


def _all_states(n: int) -> Tensor:
    """All states of n binary units: (2ⁿ, n)."""
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


def _rbm(generator: Generator, visible: int, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    return draw.normal(generator, visible, hidden), draw.normal(generator, visible), draw.normal(generator, hidden)


def _minus_energy(v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    """−E(v, h) for each row of v and each of all h: (B, 2ᴴ)."""
    h = _all_states(len(hidden_bias))
    return (v @ visible_bias)[:, None] + h @ hidden_bias + v @ weights @ h.mT


def _exact_log_prob(v: Tensor, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    """log p(v), by going through all hidden states: (B, D) -> (B,)."""
    h = _all_states(len(hidden_bias))
    log_weight = h @ hidden_bias + softplus(visible_bias + h @ weights.mT).sum(-1)
    return v @ visible_bias + softplus(hidden_bias + v @ weights).sum(-1) - log_weight.logsumexp(0)


def _finite_number(value, says: str, hint: str, name: str) -> Tensor:
    """`value` as a scalar, with a sentence of its own for NaN and infinity."""
    if isinstance(value, float | Tensor) and not torch.as_tensor(value).isfinite().all():
        raise Wrong(says, hint)
    return number(value, name)


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
                "The two energies differ by 2 (neighbours + field).",
            ),
            Mistake(
                formula(two=-2),
                "The sign is wrong: your spins turn away from their neighbours.",
                "Aligned spins have low energy, and low energy is likely.",
            ),
            Mistake(formula(two=4), "A factor 2 too many: each bond counts once.", "σ(2β (neighbours + field))."),
            Mistake(formula(f=0), "You forgot the field.", "It acts on a spin like one more neighbour of its size."),
            Mistake(formula(f=-field), "The field has the wrong sign.", "A positive field favours +1."),
            Mistake(formula(f=field / beta), "You did not multiply the field by β.", "β multiplies the whole energy."),
            Mistake(formula(b=1), "You forgot β.", "p ∝ exp(−β E)."),
            Mistake(formula(b=1 / beta), "You divide by β: that would be a temperature.", "p ∝ exp(−β E)."),
            Mistake(
                formula(open_ends),
                "Your grid ends at its borders: the first and the last row are neighbours, and so are the columns.",
                "`spins.roll(1, 0)` goes round.",
            ),
            Mistake(
                formula(spins.roll(1, 0) + spins.roll(1, 1)),
                "You count two of the four neighbours.",
                "The sum over pairs names each pair once, but a spin takes part in four pairs.",
            ),
            Mistake(
                formula(spins.roll(-1, 0) + spins.roll(-1, 1)),
                "You count two of the four neighbours.",
                "The sum over pairs names each pair once, but a spin takes part in four pairs.",
            ),
            Mistake(formula(around + diagonal), "You count eight neighbours.", "The diagonal ones are no neighbours."),
            Mistake(formula(around + spins), "You count the spin among its own neighbours.", "Its old value is gone."),
            Mistake(formula(around / 4), "You take the mean of the neighbours.", "The energy has their sum."),
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


@exercise("rbm.free_energy", call="free_energy(v, weights, visible_bias, hidden_bias)")
def free_energy(answer: Callable, generator: Generator) -> None:
    visible, hidden, batch = 5, 3, 6
    v, (weights, b, c) = draw.bits(generator, batch, visible), _rbm(generator, visible, hidden)
    minus_energy = _minus_energy(v, weights, b, c)
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
            Mistake(truth + hidden * math.log(2), "You average over h instead of summing.", "Z counts every h with 1."),
            Mistake((-truth).exp(), "This is exp(−F(v)), the unnormalized probability.", "Take −log of it."),
        ],
        name="your free energy",
        hint="Compare with −log Σ_h exp(−E(v, h)) over all h, for two hidden units by hand.",
    )
    says = "Your free energy overflows for large weights: log(1 + exp(1000)) is not infinite."
    hint = "`torch.nn.functional.softplus` or `torch.logaddexp` is safe."
    on, steep = torch.ones_like(v), 1000 * weights.abs()
    large = tensor(answer(on, steep, b, c), (batch,), not_finite=(says, hint), name="your free energy")
    close(large, -_minus_energy(on, steep, b, c).logsumexp(-1), name="your free energy", hint=hint)


@exercise("rbm.gibbs_step", call="gibbs_step(v, weights, visible_bias, hidden_bias, uniform_hidden, uniform_visible)")
def gibbs_step(answer: Callable, generator: Generator) -> None:
    visible, hidden, batch = 6, 4, 40
    v, (weights, b, c) = draw.bits(generator, batch, visible), _rbm(generator, visible, hidden)
    u_hidden, u_visible = draw.uniform(generator, batch, hidden), draw.uniform(generator, batch, visible)
    p_hidden = torch.sigmoid(c + v @ weights)
    h = (u_hidden < p_hidden).double()
    p_visible = torch.sigmoid(b + h @ weights.mT)

    def drawn(u: Tensor, pull: Tensor) -> Tensor:
        return (u < torch.sigmoid(pull)).double()

    names = ("h", "the new v")
    new = parts(answer(v, weights, b, c, u_hidden, u_visible), names)
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
            Mistake(v, "You return the old v.", "Draw a new one, given h."),
        ],
        name="your new v",
        hint="v = 1 where uniform_visible < σ(b + Wh), with the h you have just drawn.",
    )


@exercise("rbm.log_partition", call="log_partition(weights, visible_bias, hidden_bias)")
def log_partition(answer: Callable, generator: Generator) -> None:
    visible, hidden = 5, 3
    weights, b, c = _rbm(generator, visible, hidden)
    everything = _minus_energy(_all_states(visible), weights, b, c)
    truth = everything.logsumexp((0, 1))
    h = _all_states(hidden)

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
            Mistake(summed().sum(), "You sum logarithms.", "Add the weights of the h, not their logarithms."),
            Mistake(summed().mean(), "You average logarithms.", "Sum the weights of the h: logsumexp."),
            Mistake(
                truth - hidden * math.log(2), "You average over the hidden states.", "Z is a sum over all of them."
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
    )
    # So many visible units that only the hidden layer can be enumerated.
    weights, b, c = _rbm(generator, 64, 8)
    hint = "Keep logarithms and end with `torch.logsumexp`."
    for scale in (1.0, 20.0):
        states = _all_states(8)
        wanted = (states @ c + softplus(b + scale * states @ weights.mT).sum(-1)).logsumexp(0)
        value = _finite_number(
            answer(scale * weights, b, c), "Your log Z overflows: you leave log space on the way.", hint, name
        )
        close(value, wanted, name=name, hint=hint)


@exercise("rbm.contrastive_divergence", call="contrastive_divergence(v_data, v_model, weights, hidden_bias)")
def contrastive_divergence(answer: Callable, generator: Generator) -> None:
    visible, hidden = 5, 3
    names = ("gradient of the weights", "gradient of the visible biases", "gradient of the hidden biases")
    shapes = ((visible, hidden), (visible,), (hidden,))
    weights, b, c = _rbm(generator, visible, hidden)

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
                        (data.mT @ (c + data @ weights) - model.mT @ (c + model @ weights)) / batch,
                        "The sigmoid is missing in p(h | v).",
                        "σ(c + vW).",
                    ),
                ]
                if name == names[0]
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
        close(value, truth, wrong, name=f"your {name}", hint=hint)


@exercise("rbm.pseudo_log_likelihood", call="pseudo_log_likelihood(v, weights, visible_bias, hidden_bias)")
def pseudo_log_likelihood(answer: Callable, generator: Generator) -> None:
    visible, hidden, batch = 5, 3, 6
    v, (weights, b, c) = draw.bits(generator, batch, visible), _rbm(generator, visible, hidden)

    def log_prob(x: Tensor) -> Tensor:  # but for log Z, which cancels
        return _minus_energy(x, weights, b, c).logsumexp(-1)

    flipped = torch.stack([(v - one_hot(torch.tensor(i), visible)).abs() for i in range(visible)])  # (D, B, D)
    other = torch.stack([log_prob(x) for x in flipped], dim=-1)  # (B, D)
    each = log_prob(v)[:, None] - torch.logaddexp(log_prob(v)[:, None], other)  # log p(v_i | rest)
    truth = each.sum(-1)
    h = torch.sigmoid(c + v @ weights)
    pull = b + h @ weights.mT
    reconstruction = (v * pull - softplus(pull)).sum(-1)
    of_one = torch.where(v == 1, each, (1 - each.exp()).log()).sum(-1)
    name = "your pseudo-log-likelihood"
    value = tensor(
        answer(v, weights, b, c),
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
            Mistake(
                _exact_log_prob(v, weights, b, c),
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
    close(far, logsigmoid(hostile * (2 * v[:1] - 1)).sum(-1), name=name, hint=hint)


@exercise(
    "rbm.ais_log_partition",
    call="ais_log_partition(weights, visible_bias, hidden_bias, base_bias, betas, states)",
)
def ais_log_partition(answer: Callable, generator: Generator) -> None:
    visible, hidden, chains, steps = 6, 4, 5, 3
    weights, b, c = _rbm(generator, visible, hidden)
    a = draw.normal(generator, visible)
    inner = (0.1 + 0.9 * draw.uniform(generator, steps - 1)).sort().values * 0.95
    betas = torch.cat([torch.zeros(1), inner, torch.ones(1)]).double()
    states = draw.bits(generator, steps, chains, visible)

    def log_weight(
        v: Tensor, beta: Tensor, w: Tensor = weights, base: Tensor = a, tempered_bias: bool = True, mixed: bool = True
    ) -> Tensor:
        """log p*_β(v), by going through all h."""
        visible_bias = (1 - beta) * base + beta * b if mixed else b
        return _minus_energy(v, beta * w, visible_bias, beta * c if tempered_bias else c).logsumexp(-1)

    def sums(order: Tensor = states, **changes) -> Tensor:
        pairs = zip(betas[:-1], betas[1:], order, strict=True)
        return sum(log_weight(v, after, **changes) - log_weight(v, before, **changes) for before, after, v in pairs)

    base = hidden * math.log(2) + softplus(a).sum()
    log_w = sums()

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
    )
    says = "Your estimate overflows: the weights of AIS span hundreds of nats."
    hint = "Average them in log space: `torch.logsumexp(log_w, 0) - math.log(B)`."
    far = _finite_number(answer(weights, b + 2000, c, a, betas, states.clamp_min(1)), says, hint, name)
    on = torch.ones(1, visible, dtype=torch.float64)
    ratio = _minus_energy(on, weights, b + 2000, c).logsumexp(-1) - _minus_energy(on, 0 * weights, a, 0 * c).logsumexp(
        -1
    )
    close(far, base + ratio.squeeze(), name=name, hint=hint)


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
    values = parts(answer(ratings, weights, b, c), names)
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


@exercise("rbm.stack_bound", call="stack_bound(v, weights_1, visible_bias, hidden_bias_1, weights_2, bias_1, bias_2)")
def stack_bound(answer: Callable, generator: Generator) -> None:
    visible, middle, top, batch = 5, 4, 3, 6
    v, first = draw.bits(generator, batch, visible), _rbm(generator, visible, middle)
    second = _rbm(generator, middle, top)
    weights, b, c = first
    h = _all_states(middle)  # (2ᴴ, H)
    prior = _exact_log_prob(h, *second)  # log p(h), (2ᴴ,)
    pull = b + h @ weights.mT
    scores = v @ pull.mT  # (B, 2ᴴ)
    likelihood = scores - softplus(pull).sum(-1)  # log p(v | h)
    log_q = _minus_energy(v, *first).log_softmax(-1)
    q = log_q.exp()
    entropy = -(q * log_q).sum(-1)
    truth = (q * (prior + likelihood - log_q)).sum(-1)
    top_states = _minus_energy(h, *second)
    log_z = top_states.logsumexp((0, 1))
    mean = torch.sigmoid(c + v @ weights)
    at_mean = b + mean @ weights.mT
    mean_field = v * at_mean - softplus(at_mean)
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
                _exact_log_prob(v, *first),
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
                _exact_log_prob(mean, *second) + mean_field.sum(-1) + entropy,
                "You put the mean of h into the logarithms.",
                "The mean of a function is not the function of the mean: go through all h and weigh with q.",
            ),
            Mistake(-truth, "The sign is wrong: this is a loss.", "The bound is higher where it is better."),
        ],
        name=name,
        hint="Take one v: compute q(h | v), log p(v | h) and log p(h) for all h, each must be normalized.",
    )
    # A second machine that is the first one upside down: the stack is the first machine, and q its exact posterior.
    tied = tensor(answer(v, *first, weights.mT, c, b), (batch,), name=name)
    hint = "With W₂ = W₁ᵀ and the biases exchanged the bound is tight: log p(v) of the first machine."
    close(tied, _exact_log_prob(v, *first), name=name, hint=hint)


@exercise("rbm.train", call="train_rbm(x_train)", seconds=60)
def train(answer: Callable, generator: Generator) -> str:
    digits = load("digits").flat()
    x = torch.cat([digits.x_train, digits.x_test])
    x = binarize(x[torch.randperm(len(x), generator=generator)], generator).double()
    x_train, x_test = x[: len(digits.x_train)], x[len(digits.x_train) :]
    pixels = x.shape[1]

    names = ("matrix of weights", "vector of visible biases", "vector of hidden biases")
    values = parts(answer(x_train), names)
    values = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in values]
    hidden = values[0].shape[-1] if isinstance(values[0], Tensor) and values[0].ndim == 2 else MOST_HIDDEN
    if hidden == pixels and values[0].shape[0] != pixels:
        hidden = values[0].shape[0]  # transposed: `tensor` says so
    if hidden > MOST_HIDDEN:
        raise Wrong(
            f"Your machine has {hidden} hidden units; at most {MOST_HIDDEN} are allowed.",
            "The check goes through all hidden states, and each unit doubles them.",
        )
    diverged = ("Your parameters are not finite: the training diverged.", "Take smaller steps.")
    weights, visible_bias, hidden_bias = (
        tensor(value, shape, name=f"your {name}", not_finite=diverged)
        for value, shape, name in zip(values, ((pixels, hidden), (pixels,), (hidden,)), names, strict=True)
    )

    def score(v: Tensor) -> float:
        return _exact_log_prob(v, weights, visible_bias, hidden_bias).mean().item()

    p = (x_train.sum(0) + 1) / (len(x_train) + 2)
    simple = (torch.xlogy(x_test, p) + torch.xlogy(1 - x_test, 1 - p)).sum(-1).mean().item()
    reached = score(x_test)
    if reached < HELD_OUT_GOAL:
        says = f"Your held-out log-likelihood is {reached:.2f} nats an image, the goal is {HELD_OUT_GOAL}"
        if hidden > 1 and torch.allclose(weights, weights[:, :1].expand_as(weights), atol=1e-3):
            raise Wrong(
                f"{says}; all your hidden units are alike.",
                "Units that start equal stay equal: begin with small random weights.",
            )
        if abs(reached - simple) < 0.3:
            raise Wrong(
                f"{says}; that is no better than independent pixels, {simple:.2f}.",
                "Do the weights grow at all? More epochs, or larger steps.",
            )
        if reached < simple:
            raise Wrong(
                f"{says}; that is worse than independent pixels, {simple:.2f}.",
                "Look at the sign of the gradient (data minus model), then at the size of the steps.",
            )
        raise Wrong(
            f"{says}; on the training images it is {score(x_train):.2f}: you underfit.",
            "More epochs, steps that get smaller towards the end, persistent chains, all the hidden units.",
        )
    return f"{reached:.2f} nats a held-out image (the goal was {HELD_OUT_GOAL}; independent pixels reach {simple:.2f})."
