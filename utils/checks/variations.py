"""What comes out of a formula when one thing in it is changed: the sign of a term, an input, a constant.

A wrong result that is the right one of such a variation is told so: "Yours is what comes out with `weights` negated."
That is a fact about the numbers, whatever the mistake in the code was. Variations are made only for a wrong result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import torch
from torch import Tensor

from utils.checks.symptoms import same
from utils.checks.verdicts import Wrong

Variation = tuple[str, Tensor]  # how it is told, and what comes out; first, without a word, the formula as it is

NUMBERS: dict[str, Callable[[Tensor], Tensor]] = {
    "with 0 in the place of {}": torch.zeros_like,
    "with 1 in the place of {}": torch.ones_like,
    "with {} negated": torch.neg,
    "with twice {}": lambda t: 2 * t,
    "with half of {}": lambda t: t / 2,
    "with {} squared": torch.square,
    "with the square root of {}": torch.sqrt,
    "with one divided by {}": torch.reciprocal,
    "with the exponential of {}": torch.exp,
    "with the logarithm of {}": torch.log,
    "with one minus {}": lambda t: 1 - t,
    "with {} one too large": lambda t: t + 1,
    "with {} one too small": lambda t: t - 1,
}
ROWS: dict[str, Callable[[Tensor], Tensor]] = {
    "with the first row of {} in the place of all": lambda t: t[:1].expand_as(t),
    "with the mean of {} in the place of each entry": lambda t: t.double().mean().to(t.dtype).expand_as(t),
    "with {} in reverse order": lambda t: t.flip(0),
    "with {} rolled by one": lambda t: t.roll(1, 0),
}


def of_inputs(formula: Callable[..., Tensor], **inputs: Tensor | float) -> Iterator[Variation]:
    """`formula` with one of its arguments changed, or with two of the same shape exchanged."""
    yield from of_steps(formula, {f"`{name}`": value for name, value in inputs.items()})


def of_steps(formula: Callable[..., Tensor], inputs: dict[str, Tensor | float]) -> Iterator[Variation]:
    """The same by position, for steps on the way, whose names are no identifiers, such as "θ (1 − θ)"."""
    values = {name: torch.as_tensor(value) for name, value in inputs.items()}
    yield from _outcome(formula, values, "")
    for name, value in values.items():
        changes = NUMBERS if value.is_floating_point() else {}
        if value.ndim and len(value) > 1:
            changes = changes | ROWS
        if value.ndim > 1 and value.shape[-1] == value.shape[-2]:
            changes = changes | {"with {} transposed": lambda t: t.mT}
        for says, change in changes.items():
            yield from _outcome(formula, values | {name: change(value)}, says.format(name))
    for (one, first), (other, second) in combinations(values.items(), 2):
        if first.shape == second.shape and first.dtype == second.dtype:
            yield from _outcome(formula, values | {one: second, other: first}, f"with {one} and {other} exchanged")


def _outcome(formula: Callable[..., Tensor], values: dict[str, Tensor], says: str) -> Iterator[Variation]:
    if not all(value.isfinite().all() for value in values.values()):
        return
    try:
        result = formula(*values.values())
    except (RuntimeError, ValueError, Wrong):  # no Cholesky factor, nothing that may be decoded: nothing comes out
        return
    if result.isfinite().all():
        yield says, result.detach()


def of_terms(terms: dict[str, Tensor]) -> Iterator[Variation]:
    """A sum of named terms with one of them left out, subtracted, doubled or halved, or with nothing but that term."""
    total = sum(terms.values())
    yield "", total
    for name, term in terms.items():
        yield f"without the term {name}", total - term
        yield f"with the wrong sign of the term {name}", total - 2 * term
        yield f"with twice the term {name}", total + term
        yield f"with half of the term {name}", total - term / 2
        if len(terms) > 2:
            yield f"if nothing but the term {name} is there", term + 0 * total


def told(value: Tensor, truth: Tensor, variations: Iterable[Variation]) -> str:
    """A sentence with those that give `value`, up to three; empty if none does.

    Of whole numbers nothing is told: too much gives 3.
    """
    if not value.isfinite().all() or (truth == truth.round()).all():
        return ""
    made = [says for says, other in variations if says and same(value.double(), other.double())]
    return f"Yours is what comes out {', or '.join(dict.fromkeys(made[:3]))}." if made else ""
