"""Checks of chapter 10: coupling and autoregressive transforms, and their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.normalizing_flows._densities import jacobian_log_det, not_summed, summed_too_far
from utils.checks.verdicts import Wrong


def _network(generator: Generator, dim: int, autoregressive: bool = False) -> Callable:
    """A smooth function (B, D) -> (s, t); in the autoregressive one, entry i depends on those before it alone."""
    weight = 0.7 * draw.normal(generator, dim, 2 * dim) / math.sqrt(dim)
    bias = 0.5 * draw.normal(generator, 2 * dim)
    if autoregressive:
        earlier = torch.ones(dim, dim, dtype=torch.float64).triu(1)  # rows are inputs, columns are outputs
        weight = 1.5 * weight * torch.cat([earlier, earlier], 1)

    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(x, Tensor):
            raise Wrong(f"You call `net` with a `{type(x).__name__}`, it takes a tensor (B, {dim}).")
        if x.ndim != 2 or x.shape[1] != dim:
            raise Wrong(
                f"You call `net` with a tensor of shape {tuple(x.shape)}, it takes (B, {dim}).",
                "Give it all coordinates; those it must not see are 0.",
            )
        s, t = (1.5 * torch.tanh(x @ weight + bias)).chunk(2, -1)
        return s, t

    return net


def _mask(generator: Generator, dim: int, kept: int) -> Tensor:
    mask = torch.zeros(dim, dtype=torch.float64)
    mask[torch.randperm(dim, generator=generator)[:kept]] = 1
    return mask


def _log_det_mistakes(s: Tensor, moved: Tensor, what: str) -> list[Mistake]:
    """Wrong log-determinants of a coupling whose true one is Σ moved · s."""
    truth = (moved * s).sum(-1)
    sign = (
        "As z = x e^s + t, its slope is e^s."
        if what == "dz/dx"
        else "The inverse undoes the stretch: −s for each moved one."
    )
    swapped = "Your log-determinant is the mean over the batch: each point has its own."
    return [
        Mistake(-truth, f"The log-determinant has the wrong sign: you were asked for log |det {what}|.", sign),
        Mistake(
            s.sum(-1),
            "Your log-determinant counts the kept coordinates too.",
            "They are not scaled, whatever the network says of them: multiply s by 1 − mask.",
        ),
        Mistake(
            -s.sum(-1),
            "Your log-determinant counts the kept coordinates too, and has the wrong sign.",
            "They are not scaled, whatever the network says of them: multiply s by 1 − mask.",
        ),
        Mistake(
            s.sum(-1) - truth,
            "Your log-determinant counts the kept coordinates instead of the moved ones.",
            "Those with mask 0 are scaled.",
        ),
        Mistake(
            truth / s.shape[-1],
            "Your log-determinant is a mean over the coordinates, not their sum.",
            "The determinant is a product over the diagonal: its logarithm is a sum.",
        ),
        Mistake(
            truth / moved.sum(),
            "Your log-determinant is a mean over the moved coordinates, not their sum.",
            "The determinant is a product over the diagonal: its logarithm is a sum.",
        ),
        Mistake(truth.exp(), "You return the determinant, not its logarithm.", "Σ s, without the exponential."),
        Mistake(truth.abs(), "You take the absolute value of the log-determinant.", "Only of the determinant."),
        Mistake(truth.mean().expand_as(truth), swapped, "Sum over the coordinates only."),
        Mistake(
            (moved * s.exp()).sum(-1),
            "You sum the scales e^s, not their logarithms.",
            "The log-determinant is Σ log e^s = Σ s.",
        ),
        Mistake(torch.zeros_like(truth), "Your log-determinant is 0: this coupling stretches.", "Sum s."),
    ]


@exercise("flow.affine_coupling", call="affine_coupling(x, mask, net)")
def affine_coupling(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 5
    x, net = draw.normal(generator, batch, dim), _network(generator, dim)
    for kept in (2, 3):
        mask = _mask(generator, dim, kept)
        moved = 1 - mask

        def formula(s: Tensor, t: Tensor, mask: Tensor = mask) -> Tensor:
            return mask * x + (1 - mask) * (x * s.exp() + t)

        s, t = net(mask * x)
        names = ("z", "log_det")
        z, log_det = parts(answer(x, mask, net), names)
        shapes = [Mistake((batch, dim - kept), "only the moved coordinates", "Put the kept ones in their places.")]
        z = tensor(z, (batch, dim), name="your z", shapes=shapes)
        log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*summed_too_far(dim), not_summed(batch, dim)])
        hint = "The network sees mask * x, and only where the mask is 0 does x change."
        close(
            z,
            formula(s, t),
            [
                Mistake(
                    formula(*net(x)),
                    "Your network sees the coordinates that are about to change.",
                    "On the way back they are unknown: give it mask * x.",
                ),
                Mistake(
                    formula(*net(moved * x)),
                    "Your network sees the moved coordinates instead of the kept ones.",
                    "Where the mask is 1, x is kept: give it mask * x.",
                ),
                Mistake(
                    formula(*net(moved * x), moved),
                    "You read the mask upside down: you keep the coordinates where it is 0.",
                    "Where the mask is 1, x is kept.",
                ),
                Mistake(
                    formula(s, t, moved),
                    "You move the kept coordinates: those the network saw.",
                    "Where the mask is 1, z = x.",
                ),
                Mistake(
                    x * s.exp() + t,
                    "You move all coordinates, also the kept ones.",
                    "What the network says of the kept ones is not used: where the mask is 1, z = x.",
                ),
                Mistake(
                    mask * x + moved * (x + t) * s.exp(),
                    "You shift before you scale.",
                    "z = x e^s + t: scale, then shift.",
                ),
                Mistake(mask * x + moved * (x * s + t), "You scale by s, not by e^s.", "The exponential is never 0."),
                Mistake(formula(s, 0 * t), "The shift is missing.", "z = x e^s + t."),
                Mistake(formula(0 * s, t), "The scale is missing.", "z = x e^s + t."),
                Mistake(mask * x + moved * (x * s.sigmoid() + t), "You scale by σ(s).", "z = x e^s + t."),
                Mistake(formula(s.clamp(-1, 1), t), "You cut s off.", "z = x e^s + t, with s as the network says."),
                Mistake(formula(s, -t), "You subtract the shift.", "z = x e^s + t."),
                Mistake(formula(-s, t), "You scale by e^−s.", "z = x e^s + t."),
                Mistake(
                    mask * x + moved * (x - t) * (-s).exp(),
                    "This is the way back, from z to x.",
                    "z = x e^s + t.",
                ),
                Mistake(formula(t, s), "You exchange s and t.", "`net` returns the log-scale first."),
                Mistake(moved * (x * s.exp() + t), "You lose the kept coordinates: they are 0.", "Add mask * x."),
            ],
            name="your z",
            hint=hint,
        )
        close(
            log_det,
            jacobian_log_det(
                lambda x, mask=mask: mask * x + (1 - mask) * (x * net(mask * x)[0].exp() + net(mask * x)[1]),
                x,
            ),
            _log_det_mistakes(s, moved, "dz/dx"),
            name="your log_det",
            hint="The Jacobian is triangular: the log of its determinant is the sum of s over the moved coordinates.",
        )


@exercise("flow.coupling_inverse", call="coupling_inverse(z, mask, net)")
def coupling_inverse(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 5
    x, net = draw.normal(generator, batch, dim), _network(generator, dim)
    for kept in (2, 3):
        mask = _mask(generator, dim, kept)
        moved = 1 - mask
        s, t = net(mask * x)
        z = mask * x + moved * (x * s.exp() + t)

        def back(s: Tensor, t: Tensor, mask: Tensor = mask, z: Tensor = z) -> Tensor:
            return mask * z + (1 - mask) * (z - t) * (-s).exp()

        names = ("x", "log_det")
        value, log_det = parts(answer(z, mask, net), names)
        value = tensor(value, (batch, dim), name="your x")
        log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*summed_too_far(dim), not_summed(batch, dim)])
        close(
            value,
            x,
            [
                Mistake(
                    mask * z + moved * (z * (-s).exp() - t),
                    "You undo the scale before the shift: what was done last is undone first.",
                    "z = x e^s + t, so x = (z − t) e^−s.",
                ),
                Mistake(
                    mask * z + moved * (z * s.exp() + t),
                    "You move z forward once more.",
                    "z = x e^s + t, so x = (z − t) e^−s.",
                ),
                Mistake(mask * z + moved * (z - t) * s.exp(), "You multiply with the scale again.", "Divide by e^s."),
                Mistake(mask * z + moved * (z + t) * (-s).exp(), "You add the shift again.", "Subtract t."),
                Mistake(mask * z + moved * (z - t) / s, "You divide by s, not by e^s.", "z = x e^s + t."),
                Mistake(
                    back(*net(z)),
                    "Your network sees the moved coordinates, which are not what they were.",
                    "Only the kept ones are the same on both sides: give it mask * z.",
                ),
                Mistake(
                    back(*net(moved * z)),
                    "Your network sees the moved coordinates instead of the kept ones.",
                    "Only the kept ones are the same on both sides: give it mask * z.",
                ),
                Mistake(
                    (z - t) * (-s).exp(),
                    "You move all coordinates, also the kept ones.",
                    "Where the mask is 1, x = z.",
                ),
                Mistake(back(s, 0 * t), "The shift is missing.", "x = (z − t) e^−s."),
                Mistake(back(0 * s, t), "The scale is missing.", "x = (z − t) e^−s."),
                Mistake(back(t, s), "You exchange s and t.", "`net` returns the log-scale first."),
                Mistake(back(s, t, moved), "You move the kept coordinates.", "Where the mask is 1, x = z."),
                Mistake(back(*net(moved * z), moved), "You read the mask upside down.", "Where the mask is 1, x = z."),
                Mistake(moved * (z - t) * (-s).exp(), "You lose the kept coordinates: they are 0.", "Add mask * z."),
            ],
            name="your x",
            hint="Undo the last step first: x = (z − t) e^−s where the mask is 0.",
        )
        close(
            log_det,
            -(moved * s).sum(-1),
            _log_det_mistakes(-s, moved, "dx/dz"),
            name="your log_det",
            hint="The log-determinant of the inverse is that of the forward step, with the other sign.",
        )
    narrow = parts(answer(z, mask, lambda x: (0 * x - 20, 0 * x)), ("x", "log_det"))[0]
    close(
        tensor(narrow, (batch, dim), name="your x") * (mask + moved * math.exp(-20)),
        z,
        name="your x times e^s, for s = −20",
        hint="No small number below the fraction: e^s is never 0. Multiply with e^−s.",
    )


@exercise("flow.maf_inverse", call="maf_inverse(z, net)")
def maf_inverse(answer: Callable, generator: Generator) -> None:
    batch, dim = 4, 5
    x, net = draw.normal(generator, batch, dim), _network(generator, dim, autoregressive=True)
    s, t = net(x)
    z = x * s.exp() + t
    zeros = torch.zeros_like(z)

    def one_call(given: Tensor) -> Tensor:
        s, t = net(given)
        return (z - t) * (-s).exp()

    names = ("x", "log_det")
    value, log_det = parts(answer(z, net), names)
    value = tensor(value, (batch, dim), name="your x")
    log_det = tensor(log_det, (batch,), name="your log_det", shapes=[*summed_too_far(dim), not_summed(batch, dim)])
    undone = zeros.clone()
    for i in range(dim):
        s_, t_ = net(undone)
        undone[:, i] = (z * (-s_).exp() - t_)[:, i]
    again = zeros.clone()
    for i in range(dim):
        s_, t_ = net(again)
        again[:, i] = (z * s_.exp() + t_)[:, i]

    def step_by_step(step: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        built = zeros.clone()
        for i in range(dim):
            built[:, i] = step(*net(built.clone()))[:, i]
        return built

    close(
        value,
        x,
        [
            Mistake(
                one_call(z),
                "You ask the network about z: what moved x_i are the x before it, not the z.",
                "Build x one coordinate at a time, and call net(x) with what you have.",
            ),
            Mistake(
                one_call(zeros),
                "Only your first coordinate is right: at each other one the network did not know the x before it.",
                "One call with zeros does this, or starting at the last one: start at the first, call net(x) anew.",
            ),
            Mistake(
                one_call(one_call(zeros)),
                "Two calls of the network make only two coordinates right.",
                "Each coordinate needs its own call.",
            ),
            Mistake(
                step_by_step(lambda s, t: (z - t) * s.exp()), "You multiply with the scale again.", "Divide by e^s."
            ),
            Mistake(step_by_step(lambda s, t: (z + t) * (-s).exp()), "You add the shift again.", "Subtract t."),
            Mistake(step_by_step(lambda s, t: z - t), "The scale is missing.", "x = (z − t) e^−s."),
            Mistake(step_by_step(lambda s, t: z * (-s).exp()), "The shift is missing.", "x = (z − t) e^−s."),
            Mistake(torch.cat([x[:, :-1], zeros[:, -1:]], dim=1), "The last coordinate is missing.", "All D of them."),
            Mistake(
                one_call(one_call(one_call(zeros))),
                "Three calls of the network make only three coordinates right.",
                "Each coordinate needs its own call.",
            ),
            Mistake(
                undone,
                "You undo the scale before the shift: what was done last is undone first.",
                "z = x e^s + t, so x = (z − t) e^−s.",
            ),
            Mistake(again, "You move z forward once more.", "z = x e^s + t, so x = (z − t) e^−s."),
            Mistake(z * s.exp() + t, "You move z forward once more.", "z = x e^s + t, so x = (z − t) e^−s."),
        ],
        name="your x",
        hint="x_1 first; then net(x) tells how x_2 was moved, and so on.",
    )
    truth = -s.sum(-1)
    close(
        log_det,
        truth,
        [
            Mistake(
                -truth,
                "The log-determinant has the wrong sign: this is log |det dz/dx|.",
                "From z to x it is −Σ s.",
            ),
            Mistake(-net(z)[0].sum(-1), "Your log-determinant uses what the network says of z.", "Take s at x."),
            Mistake(
                -net(zeros)[0].sum(-1),
                "Your log-determinant uses what the network said of zeros.",
                "Take s at the finished x.",
            ),
            Mistake(truth / dim, "Your log-determinant is a mean over the coordinates, not their sum.", "Use `sum`."),
            Mistake(-s[:, -1], "Your log-determinant holds the last coordinate only.", "Add up all of them."),
            Mistake(-s[:, 0], "Your log-determinant holds the first coordinate only.", "Add up all of them."),
            Mistake(truth.exp(), "You return the determinant, not its logarithm.", "−Σ s."),
            Mistake(0 * truth, "Your log-determinant is 0.", "Each coordinate was scaled by e^s."),
        ],
        name="your log_det",
        hint="−Σ s, with s at the finished x.",
    )
