"""Checks of chapter 13: the nucleus, speculative sampling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, tensor

# --- lm.nucleus ------------------------------------------------------------------------------------------------------


def _ordered(p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities, likeliest first, the mass before each, and whose they are; equal ones by their ids."""
    token = torch.sort(-p, dim=-1, stable=True).indices
    ordered = p.gather(-1, token)
    return ordered, ordered.cumsum(-1) - ordered, token


def _kept(p: Tensor, mass: float, enough: Callable[[Tensor, Tensor], Tensor] | None = None) -> Tensor:
    """Where the nucleus is: boolean, in the order of the vocabulary."""
    ordered, before, token = _ordered(p)
    keep = before < mass if enough is None else enough(ordered, before)
    return torch.zeros_like(keep).scatter(-1, token, keep)


def _mass_of_unlikelier(p: Tensor) -> Tensor:
    token = p.argsort(-1)
    ordered = p.gather(-1, token)
    return torch.zeros_like(p).scatter(-1, token, ordered.cumsum(-1) - ordered)


def _normalized(p: Tensor) -> Tensor:
    return p / p.sum(-1, keepdim=True)


@exercise("lm.nucleus", call="nucleus(logits, temperature, mass)")
def nucleus(answer: Callable, generator: Generator) -> None:
    n, k = 6, 9
    for temperature, mass in ((1.8, 0.45), (0.6, 0.8), (2.5, 0.7), (1.0, 0.9), (1.4, 0.05), (0.8, 1.0)):
        # Rows from sure to unsure, and each around another level.
        spread = torch.linspace(0.5, 4, n, dtype=torch.float64)[:, None]
        logits = spread * draw.normal(generator, n, k) + 5 * draw.normal(generator, n, 1)
        _nucleus(answer, logits, temperature, mass)
    _equals(answer, generator)
    sizes = torch.tensor([[900.0], [0.0], [-900.0]], dtype=torch.float64)
    logits = sizes + draw.normal(generator, 3, k)
    p = (logits / 0.9).softmax(-1)
    not_finite = (
        "With logits of ±900 your probabilities are not finite: exponentials overflow, or all of a row become 0.",
        "`softmax(-1)` subtracts the maximum of each row first.",
    )
    value = tensor(answer(logits, 0.9, 0.75), (3, k), name="your probabilities", not_finite=not_finite)
    close(value, _normalized(p * _kept(p, 0.75)), name="your probabilities with logits of ±900", hint=not_finite[1])


def _nucleus(answer: Callable, logits: Tensor, temperature: float, mass: float) -> None:
    p, plain = (logits / temperature).softmax(-1), logits.softmax(-1)
    truth = _normalized(p * _kept(p, mass))
    enough = "Keep a token while the mass of those before it is still below P: the last one kept passes P."
    first = "Divide the logits by the temperature, then take the softmax, then cut."
    at_most = _kept(p, mass, lambda ordered, before: ordered + before <= mass)
    at_most_or_one = _kept(p, mass, lambda ordered, before: (ordered + before <= mass) | (before == 0))
    one_more = _kept(
        p, mass, lambda ordered, before: before - torch.cat([0 * before[:, :1], ordered[:, :-1]], 1) < mass
    )
    ordered, before, _ = _ordered(p)
    mistakes = [
        Mistake(p * _kept(p, mass), "You do not normalize what is left.", "Divide each row by its sum."),
        Mistake(
            (p * _kept(p, mass)).softmax(-1),
            "You take a softmax of probabilities: what was cut gets mass again.",
            "Divide each row by its sum.",
        ),
        Mistake(
            _normalized(p * at_most_or_one),
            "The token that passes P is missing: the mass that you keep is below P.",
            enough,
        ),
        Mistake(
            _normalized(p * at_most), "The token that passes P is missing: the mass that you keep is below P.", enough
        ),
        Mistake(_normalized(p * one_more), "You keep one token too many.", enough),
        Mistake(
            _normalized(torch.where(before < mass, ordered, 0.0)),
            "Your probabilities are sorted: they should stand in the order of the vocabulary.",
            "`scatter` brings them back, or `argsort` of the order.",
        ),
        Mistake(
            _normalized(p * (_mass_of_unlikelier(p) < mass)),
            "You sort with the unlikeliest token first, and keep the unlikely ones.",
            "Sort likeliest first: `sort(dim=-1, descending=True, stable=True)`.",
        ),
        Mistake(
            _normalized(p * (p >= (1 - mass) * p.amax(-1, keepdim=True))),
            "You cut by a threshold relative to the likeliest token.",
            "Sum the probabilities, likeliest first.",
        ),
        Mistake(
            _normalized(p * (before < mass)),
            "The mask is in the sorted order, the probabilities are not.",
            "`scatter`.",
        ),
        Mistake(p, "Nothing is cut off.", enough),
    ]
    if temperature != 1:
        for other, says in (
            (plain, "The temperature has no effect: dividing probabilities by it, and normalizing, changes nothing."),
            ((logits * temperature).softmax(-1), "You multiply with the temperature: it divides."),
            ((plain / temperature).softmax(-1), "You divide probabilities, and take the softmax twice."),
        ):
            mistakes.append(Mistake(_normalized(other * _kept(other, mass)), says, first))
        mistakes += [
            Mistake(
                _normalized(p * _kept(plain, mass)),
                "You cut before the temperature: the nucleus is that of temperature 1.",
                first,
            ),
            Mistake(
                _normalized((plain * _kept(plain, mass)) ** (1 / temperature)),
                "You cut before the temperature: the nucleus is that of temperature 1.",
                first,
            ),
        ]
    likeliest = torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).double()
    mistakes.append(Mistake(likeliest, "You keep the likeliest token alone.", enough))
    close(
        tensor(
            answer(logits, temperature, mass),
            logits.shape,
            name="your probabilities",
            not_finite=("A row of yours is 0/0: at least one token stays, also where it has more than P.", enough),
        ),
        truth,
        mistakes,
        name="your probabilities",
        hint=f"{first} {enough}",
    )


def _equals(answer: Callable, generator: Generator) -> None:
    """Equal tokens among impossible ones: which of them stay, and what happens where a sum equals P.

    Two of ½ each are so exactly, however they are computed; of four, no sum is P, as a rounding would decide.
    """
    for n, mass, kept in ((2, 0.5, 1), (4, 0.4, 2), (4, 0.7, 3), (4, 0.6, 3), (4, 0.2, 1)):
        logits = torch.full((2, 7), -3000.0, dtype=torch.float64)
        places = torch.randperm(7, generator=generator)[:n].sort().values
        logits[0, places] = 0.0
        logits[1, :n] = 0.0 if n == 2 else 1.5
        value = tensor(answer(logits, 2.0, mass), (2, 7), name="your probabilities of equal tokens")
        truth, later, more, fewer = (torch.zeros_like(value) for _ in range(4))
        for row, chosen in enumerate((places, torch.arange(n))):
            truth[row, chosen[:kept]] = 1 / kept
            later[row, chosen[-kept:]] = 1 / kept
            more[row, chosen[: kept + 1]] = 1 / min(kept + 1, n)
            fewer[row, chosen[: kept - 1]] = 1 / max(kept - 1, 1)
        alike = (logits == logits.amax(-1, keepdim=True)).double() / n
        boundary = f"Tokens of 1/{n} each and P = {mass}: the fewest that sum to P or more are {kept}"
        close(
            value,
            truth,
            [
                Mistake(more, f"{boundary}, you keep {kept + 1}.", "P or more is enough: stop where the sum equals P."),
                Mistake(fewer, f"{boundary}, you keep {kept - 1}.", "P or more: fewer are not enough."),
                Mistake(
                    later,
                    "Of equally likely tokens you keep those with the larger ids.",
                    "A stable sort: `sort(dim=-1, descending=True, stable=True)`.",
                ),
                Mistake(
                    alike,
                    "You keep all tokens that are as likely as the last one: the set is not the smallest.",
                    "Count them off in order, the smaller id first.",
                ),
            ],
            name="your probabilities of equal tokens",
            hint="Of equal ones, the smaller id first; stop where the sum reaches P.",
        )
    # So many that a sort which is not told to keep the order of equals does not.
    many = 2**14
    logits, mass = torch.zeros(1, many, dtype=torch.float64), (many // 4 - 0.5) / many
    value = tensor(answer(logits, 1.0, mass), (1, many), name="your probabilities")
    if (value[0, many // 4 :] > 0).any():
        raise Wrong(
            "Of many equally likely tokens you do not keep those with the smaller ids.",
            "A stable sort leaves equals in their order: `sort(dim=-1, descending=True, stable=True)`.",
        )


# --- lm.speculative --------------------------------------------------------------------------------------------------


def _distributions(generator: Generator) -> tuple[Tensor, Tensor]:
    """Rows: usual ones; with zeros of either and of both; nothing in common; nearly the same; the same; tiny.

    In the last one all entries are the same but for two.
    """
    p, q = draw.weights(generator, 9, 7), draw.weights(generator, 9, 7)
    p[1, [0, 3]], q[1, [3, 5]] = 0.0, 0.0
    p[2, :3], q[2, 3:] = 0.0, 0.0
    q[3] = p[3] * (1 + 1e-7 * draw.normal(generator, 7))
    q[4] = p[4]
    p[5, 2], q[5, 2], p[5, 4], q[5, 4] = 3e-12, 5e-12, 7e-13, 2e-13
    p[6, 1:4], q[6, 1:4] = 1e-200, 3e-200
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    q[4] = p[4]
    q[8] = p[8, [3, 1, 2, 0, 4, 5, 6]]
    return p, q


@exercise("lm.speculative", call="speculative(p, q)")
def speculative(answer: Callable, generator: Generator) -> None:
    p, q = _distributions(generator)
    names = ("the acceptance probabilities", "the residual distribution")
    given = parts(answer(p, q), names)
    accept = tensor(
        given[0],
        p.shape,
        name=names[0],
        not_finite=("Where q is 0 you divide by 0: return 1 there.", "`torch.where(p < q, p / q, 1.0)`, or the like."),
    )
    ratio = p / q
    truth = torch.where(p < q, ratio, 1.0)
    rule = "a = min(1, p / q): what the draft overrates is refused in part."
    close(
        accept,
        truth,
        [
            Mistake(torch.where(q > 0, ratio, 1.0), "Some of them are above 1: the minimum with 1 is missing.", rule),
            Mistake(torch.where(q < p, q / p, 1.0), "Draft and target are exchanged: you divide q by p.", rule),
            Mistake((p >= q).double(), "You accept only what the target likes at least as much as the draft.", rule),
            Mistake(p, "You accept with probability p, whatever the draft was.", rule),
            Mistake(torch.minimum(p, q), "This is min(p, q): the probability to draw and accept.", "Divide by q."),
            Mistake(torch.where(p < q, ratio, 1.0) * (q > 0), "Where q is 0 you return 0.", "Return 1 there."),
            Mistake(1 - truth, "These are the probabilities of refusing.", rule),
        ],
        name=names[0],
        hint=rule,
    )
    residual = tensor(
        given[1],
        p.shape,
        name=names[1],
        not_finite=("Where p = q in a whole row you divide 0 by 0: return p there.", "`torch.where(total > 0, …, p)`."),
    )
    excess = (p - q).clamp(min=0)
    total = excess.sum(-1, keepdim=True)
    some = total > 0
    refill = "r is max(p − q, 0), normalized in each row: it fills up what the draft underrates."
    right = torch.where(some, excess / total, p)
    distance = (p - q).abs()
    lacking = (q - p).clamp(min=0)
    close(
        residual,
        right,
        [
            Mistake(p, "You draw the replacement from p: what the draft underrates stays too rare.", refill),
            Mistake(q, "You draw the replacement from the draft.", refill),
            Mistake(
                torch.where(p == q, p, excess / total),
                "You decide for each entry whether p = q: where only some entries are alike, their residual is 0.",
                "Where a whole row is alike: `total > 0`, with the sum of the row.",
            ),
            Mistake(
                torch.where(excess > 0, excess / total, p),
                "Where p is at most q you return p: there the residual is 0, unless the whole row is alike.",
                "Where a whole row is alike: `total > 0`, with the sum of the row.",
            ),
            Mistake(torch.where(some, excess, p), "The residual is not normalized.", refill),
            Mistake(excess, "The residual is not normalized.", refill),
            Mistake(
                torch.where(some, distance / distance.sum(-1, keepdim=True), p),
                "You take |p − q|: what the draft overrates was refused, and must not come back.",
                refill,
            ),
            Mistake(
                torch.where(some, lacking / lacking.sum(-1, keepdim=True), p),
                "You take q − p: the residual holds what the draft underrates.",
                refill,
            ),
            Mistake(torch.where(some, (p - q).softmax(-1), p), "You take a softmax of the difference.", refill),
            Mistake((p - q).softmax(-1), "You take a softmax of the difference.", refill),
            Mistake((p - q), "Some entries are negative: the maximum with 0 is missing.", refill),
            Mistake(torch.where(some, excess / excess.sum(), p), "You normalize over all rows together.", refill),
            Mistake(excess / excess.sum(0), "You normalize over the rows.", refill),
            Mistake(torch.where(some, right, q.new_tensor(0)), "Where p = q your row is 0.", "Return p there."),
            Mistake(
                torch.where(some, right, torch.full_like(p, 1 / p.shape[1])),
                "Where p = q your row is uniform.",
                "Return p there.",
            ),
        ],
        name=names[1],
        hint=refill,
    )
    _exact(accept, residual, p, q)


def _exact(accept: Tensor, residual: Tensor, p: Tensor, q: Tensor) -> None:
    """By enumeration: every draft, accepted or refused, and every replacement."""
    kept = q * accept
    law = kept + (1 - kept.sum(-1, keepdim=True)) * residual
    apart = 0.5 * (law - p).abs().sum(-1).max().item()
    if apart > 1e-12:
        raise Wrong(
            f"What comes out is not exactly p: the total variation between them is {apart:.2g}.",
            "No small number in a denominator, and everything in float64.",
        )
