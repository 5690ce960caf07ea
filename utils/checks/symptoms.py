"""What a wrong result looks like beside the truth: transposed, twice too large, shifted by one, right in one row only.

A symptom is told only if it explains every entry, and if the data could have told otherwise: one number that is 1.37
times the right one is no symptom, twelve numbers that all are is one. What several symptoms explain is told as several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import permutations

import torch
from torch import Tensor

RTOL, ATOL = 1e-5, 1e-6

CONSTANTS = {
    "½": 0.5,
    "¼": 0.25,
    "log 2": math.log(2),
    "log 10": math.log(10),
    "½ log 2": math.log(2) / 2,
    "½ log 2π": math.log(2 * math.pi) / 2,
    "log 2π": math.log(2 * math.pi),
    "√2": math.sqrt(2),
    "√2π": math.sqrt(2 * math.pi),
    "π": math.pi,
    "2π": 2 * math.pi,
}
# A factor that names the other logarithm.
BASES = {
    1 / math.log(2): "as if the logarithm were taken to base 2, not e",
    math.log(2): "as if the logarithm were taken to base e, not 2",
    1 / math.log(10): "as if the logarithm were taken to base 10, not e",
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "{it} has the wrong sign": torch.neg,
    "{it} is the square of the right one": torch.square,
    "{it} is the square root of the right one": torch.sqrt,
    "{it} is the exponential of the right one": torch.exp,
    "{it} is the logarithm of the right one": torch.log,
    "{it} is the logarithm of the right one, with the wrong sign": lambda t: -t.log(),
    "{it} is 2 to the power of the right one": torch.exp2,
    "{it} is one divided by the right one": torch.reciprocal,
    "{it} is one minus the right one": lambda t: 1 - t,
    "{it} is the absolute value of the right one": torch.abs,
    "{it} is the right one, rounded": torch.round,
}


def symptom(value: Tensor, truth: Tensor) -> str:
    """One sentence on what `value` looks like beside `truth`, of the same shape; empty if nothing is known to say."""
    value, truth = value.detach().double(), truth.detach().double()
    if not truth.isfinite().all() or value.shape != truth.shape or not value.numel():
        return ""
    if not value.isfinite().all():
        return _sentence([f"{_kind(value)} {where(~value.isfinite())}"])
    for look in (_single,) if value.numel() == 1 else (_whole, _fitted, _alike, _parts, _slices, _facts):
        if found := list(dict.fromkeys(look(value, truth))):
            return _sentence(found[:3])
    return ""


def where(wrong: Tensor) -> str:
    """Where a mask is true, in words: of its rows, if it is true in whole rows; else its first entry."""
    if wrong.all():
        return "everywhere" if wrong.numel() > 1 else ""
    if wrong.ndim > 1:
        rows = wrong.flatten(1)
        bad = rows.any(1)
        if torch.equal(rows, bad[:, None].expand_as(rows)):
            found = bad.nonzero().flatten().tolist()
            return (
                f"in row {found[0]}" if len(found) == 1 else f"in {len(found)} of {len(bad)} rows, row {found[0]} first"
            )
    count, at = int(wrong.sum()), wrong.nonzero()[0].tolist()
    return f"at {at}" + (f" and in {count - 1} other entries" if count > 1 else "")


def _kind(value: Tensor) -> str:
    return "NaN stands" if value.isnan().any() else "infinity stands"


def _sentence(clauses: list[str]) -> str:
    text = clauses[0].strip() if len(clauses) == 1 else "either " + ", or ".join(clauses)
    return text[0].upper() + text[1:] + "."


# --- what counts as evidence -----------------------------------------------------------------------------------------


def same(value: Tensor, other: Tensor, rtol: float = RTOL) -> bool:
    """Equal, with a tolerance that shrinks with the numbers: small ones are not all alike."""
    if value.shape != other.shape or not other.isfinite().all():
        return False
    scale = max(1e-6, min(1.0, other.abs().max().item())) if other.numel() else 1.0
    return torch.allclose(value, other, rtol=rtol, atol=ATOL * scale * rtol / RTOL)


def _right(value: Tensor, truth: Tensor) -> Tensor:
    return torch.isclose(value, truth, rtol=RTOL, atol=ATOL)


def _distinct(t: Tensor) -> int:
    """How many different numbers there are, up to rounding."""
    scale = t.abs().max().item() or 1.0
    return len((t / scale).round(decimals=8).unique())


def _whole_numbers(t: Tensor) -> bool:
    return bool((t == t.round()).all())


def _explains(guess: Tensor, value: Tensor, truth: Tensor) -> bool:
    """Whether `guess`, made of the truth, is the value, and is far enough from the truth to be told from it."""
    if not same(value, guess):
        return False
    return int((~_right(guess, truth)).sum()) >= _least_moved(truth)


def _least_moved(truth: Tensor) -> int:
    """How many entries must be wrong: two, or more where few numbers come again and again."""
    few = _distinct(truth) < 4 and (_whole_numbers(truth) or _distinct(truth) < truth.numel())
    return 8 if few else 2


# --- one number ------------------------------------------------------------------------------------------------------


def _single(value: Tensor, truth: Tensor) -> Iterator[str]:
    """Of one number only what no chance brings about: exact relations, between numbers that are not round."""
    mine, right = value.item(), truth.item()
    if min(abs(mine), abs(right)) < 1e-9 or _round(right):
        return
    if same(value, -truth, 1e-9):
        yield "it has the wrong sign"
    if abs(mine + right - 1) < 1e-9:
        yield "it is one minus the right one"
    if Fraction(right).limit_denominator(5000) == Fraction(right).limit_denominator(10**6):
        return  # a share of counts: twice another share is nothing strange
    for says, function in FUNCTIONS.items():
        told = function in (torch.neg, torch.abs, torch.round) or "one minus" in says
        if not told and same(value, function(truth), 1e-9):
            yield says.format(it="it")
    if named := _factor_named(mine / right, 1e-9):
        yield f"it is {named}"
    for label, constant in CONSTANTS.items():
        if abs(abs(mine - right) - constant) < 1e-9:
            yield f"it is {label} too {'large' if mine > right else 'small'}"


def _round(number: float) -> bool:
    return abs(60 * number - round(60 * number)) < 1e-9


def _factor_named(factor: float, rtol: float = 1e-6) -> str:
    """ "2 times the right one", if the factor is a known number."""

    def near(known: float) -> bool:
        return abs(abs(factor) - known) < rtol * known

    minus = "−" if factor < 0 else ""
    for known, says in BASES.items():
        if near(known) and not minus:
            return f"{factor:.4g} times the right one, {says}"
    for label, known in CONSTANTS.items():
        if near(known):
            return f"{minus}{label} times the right one"
        if near(1 / known) and known not in (0.5, 0.25):
            return f"the right one divided by {minus}{label}"
    for times, says in ((abs(factor), "{} times the right one"), (1 / abs(factor), "the right one divided by {}")):
        n = round(times)
        if 2 <= n <= 100_000 and abs(times - n) < rtol * n:
            doubt = ", as if a sum stood for a mean or a mean for a sum" if n > 2 else ""
            return says.format(f"{minus}{n}") + doubt
    return ""


# --- all entries, by one rule ----------------------------------------------------------------------------------------


def _whole(value: Tensor, truth: Tensor) -> Iterator[str]:
    """Rules without a free number: entries in other places, entries by a known function of the right ones."""
    for says, guess in _places(truth):
        if _explains(guess, value, truth):
            yield says
    yield from _functions(value, truth, "every entry")
    yield from _shifted(value, truth)


def _shifted(value: Tensor, truth: Tensor) -> Iterator[str]:
    """All rows but one moved by one place, with something else in the place that is left."""
    line = "entry" if truth.ndim == 1 else "row"
    if len(truth) < 3 or int((~_right(truth[1:], truth[:-1])).sum()) < _least_moved(truth):
        return
    if same(value[1:], truth[:-1]) and not same(value[:1], truth[-1:]):
        yield f"every {line} stands one place too far down: what belongs at 0 stands at 1"
    if same(value[:-1], truth[1:]) and not same(value[-1:], truth[:1]):
        yield f"every {line} stands one place too far up: what belongs at 1 stands at 0"


def _places(truth: Tensor) -> Iterator[tuple[str, Tensor]]:
    for order in permutations(range(truth.ndim)) if truth.ndim < 5 else ():
        turned = truth.permute(order)
        if turned.shape == truth.shape:
            if truth.ndim == 2:
                yield "rows and columns are swapped: your entry [i, j] is the right entry [j, i]", turned
            else:
                yield f"the axes come in another order: yours are the right axes {list(order)}", turned
        elif turned.numel() == truth.numel() and truth.ndim == 2:
            yield (
                "the entries are counted off in another order: `reshape` does not swap axes",
                turned.reshape(truth.shape),
            )
    for axis, size in enumerate(truth.shape):
        along = "" if truth.ndim == 1 else f" along axis {axis}"
        if size > 1:
            yield f"the order is reversed{along}", truth.flip(axis)
        if size > 2:
            yield f"all is rolled by one{along}: what belongs at 0 stands at 1", truth.roll(1, axis)
            yield f"all is rolled by one{along}: what belongs at 1 stands at 0", truth.roll(-1, axis)
        if size > 1:
            yield f"the sums run on{along}: each entry holds those before it, too", truth.cumsum(axis)


def _functions(value: Tensor, truth: Tensor, it: str) -> Iterator[str]:
    whole = _whole_numbers(truth)
    for says, function in FUNCTIONS.items():
        if whole and function not in (torch.neg, torch.abs) and "one minus" not in says:
            continue  # 0 and 1 are their own squares, and the like
        if function is torch.round and _distinct(function(truth)) == 1:
            continue  # small numbers round to 0: then all that is left out looks rounded
        if _explains(function(truth), value, truth):
            yield says.format(it=it)


def _fitted(value: Tensor, truth: Tensor, it: str = "every entry") -> Iterator[str]:
    """Rules with one free number: a factor, or a constant that is added."""
    whole = _whole_numbers(truth)
    if _distinct(truth) < (4 if whole else 3):
        return
    factor = ((value * truth).sum() / truth.square().sum()).item()
    if abs(factor) > 1e-9 and same(value, factor * truth):
        yield f"{it} is {_factor_named(factor) or f'{factor:.6g} times the right one'}"
    shift = (value - truth).mean().item()
    if same(value, truth + shift):
        label = next((name for name, known in CONSTANTS.items() if abs(abs(shift) - known) < 1e-6), "")
        size = f"{abs(shift):.6g}{f' ({label})' if label else ''}"
        yield f"{it} is {size} too {'large' if shift > 0 else 'small'}"


# --- some entries right ----------------------------------------------------------------------------------------------


def _parts(value: Tensor, truth: Tensor) -> Iterator[str]:
    """Which entries are right, and by what rule the others are wrong."""
    wrong = ~_right(value, truth)
    count, n = int(wrong.sum()), wrong.numel()
    if count == n:
        return
    mine, right = value[wrong], truth[wrong]
    nature = _clamped(value, mine, right) or next(_functions(mine, right, "each wrong entry"), "")
    nature = nature or next(_fitted(mine, right, "each wrong entry"), "")
    if not nature and count > 1 and _distinct(mine) == 1:
        nature = f"all wrong entries are {mine[0]:.6g}"
    region = _region(wrong)
    yield (region or f"{count} of {n} entries are wrong") + (f"; {nature}" if nature else "")


def _clamped(value: Tensor, mine: Tensor, right: Tensor) -> str:
    bound = mine[0].item()
    if len(mine) < 2 or _distinct(mine) > 1 or _distinct(right) < 2:
        return ""
    if bound <= value.min() and (right < bound).all():
        return f"the wrong ones are raised to {bound:.6g}, below which nothing goes"
    if bound >= value.max() and (right > bound).all():
        return f"the wrong ones are lowered to {bound:.6g}, above which nothing goes"
    return ""


def _line(t: Tensor, axis: int, many: bool = False) -> str:
    """What to call the slices along an axis."""
    if t.ndim == 1:
        return "entries" if many else "entry"
    if axis == 0 or t.ndim == 2:
        return ("row", "column")[axis] + "s" * many
    return f"slice{'s' * many} along axis {axis}"


def _numbered(t: Tensor, axis: int, found: list[int]) -> str:
    """ "rows 1, 2", or "slices 1, 2 along axis 2"."""
    line, *along = _line(t, axis, many=len(found) > 1).split(" ", 1)
    return " ".join([line, ", ".join(map(str, found)), *along])


def _region(wrong: Tensor) -> str:
    """Where the wrong entries are, if they fill a row, a column, a triangle."""
    for axis, size in enumerate(wrong.shape):
        lines = wrong.movedim(axis, 0).reshape(size, -1)
        bad = lines.any(1)
        if (
            size < (3 if wrong.ndim == 1 else 2)
            or lines.shape[1] == 2
            or not torch.equal(lines, bad[:, None].expand_as(lines))
        ):
            continue
        line = _line(wrong, axis)
        found, good = bad.nonzero().flatten().tolist(), (~bad).nonzero().flatten().tolist()
        if size > 2 and good in ([0], [size - 1]):
            return f"only the {'first' if good == [0] else 'last'} {line} is right"
        if len(found) == 1:
            numbered = _numbered(wrong, axis, found)
            which = {0: f"the first {line}", size - 1: f"the last {line}"}.get(found[0], numbered)
            return f"only {which} is wrong" + (", all of it" if lines.shape[1] > 1 else "")
        if wrong.ndim > 1:
            return f"the {_numbered(wrong, axis, found)} are wrong, and no others"
    if wrong.ndim >= 2 and wrong.shape[-1] == wrong.shape[-2] > 1:
        shape = wrong.shape[-2:]
        for says, part in (
            ("only the diagonal is wrong", torch.eye(shape[0], dtype=torch.bool)),
            ("only the diagonal is right", ~torch.eye(shape[0], dtype=torch.bool)),
            ("only what stands above the diagonal is wrong", torch.ones(shape).triu(1).bool()),
            ("only what stands below the diagonal is wrong", torch.ones(shape).tril(-1).bool()),
        ):
            if torch.equal(wrong, part.expand_as(wrong)):
                return says
    return ""


# --- each row by a rule of its own -----------------------------------------------------------------------------------


def _lines(t: Tensor, axis: int) -> Tensor:
    """The slices along an axis, each flat."""
    return t.movedim(axis, 0).reshape(t.shape[axis], -1)


def _alike(value: Tensor, truth: Tensor) -> Iterator[str]:
    """Entries that are all the same, or rows."""
    if _distinct(value) == 1:
        yield f"all entries are {value.flatten()[0]:.6g}"
        return
    for axis in range(value.ndim if value.ndim > 1 else 0):
        mine, right = _lines(value, axis), _lines(truth, axis)
        if same(mine, mine[:1].expand_as(mine)) and not same(right, right[:1].expand_as(right)):
            names = {"the first": right[0], "the last": right[-1], "the mean": right.mean(0), "the sum": right.sum(0)}
            which = next(
                (f", equal to {name} of the right ones" for name, line in names.items() if same(mine[0], line)), ""
            )
            yield f"all {_line(value, axis, many=True)} are alike{which}"


def _slices(value: Tensor, truth: Tensor) -> Iterator[str]:
    """Rows that are right up to a factor or a constant, or that are mixed up."""
    for axis, size in enumerate(value.shape):
        mine, right, lines = _lines(value, axis), _lines(truth, axis), _line(value, axis, many=True)
        if size > 1 and mine.shape[1] > 1 and size * (mine.shape[1] - 1) >= 3 and not _whole_numbers(truth):
            yield from _up_to(mine, right, lines)
        if size > 2 and _mixed_up(mine, right):
            yield f"the {lines} are right, but stand in another order"
            return
    mine, right = (t.flatten().sort().values for t in (value, truth))
    if value.ndim > 1 and _distinct(truth) == truth.numel() > 3 and same(mine, right):
        yield "the right numbers stand in other places"


def _up_to(mine: Tensor, right: Tensor, lines: str) -> Iterator[str]:
    """A constant along each line, by least squares."""
    if min(_distinct(line) for line in right) < 2:
        return
    factor = (mine * right).sum(1, keepdim=True) / right.square().sum(1, keepdim=True)
    if (factor.abs() > 1e-9).all() and _distinct(factor) > 1 and same(mine, factor * right):
        yield f"the {lines} are right up to a factor that each has of its own: normalized otherwise, or not at all"
    shift = (mine - right).mean(1, keepdim=True)
    if _distinct(shift) > 1 and same(mine, right + shift):
        yield f"the {lines} are right up to a constant that is added to each: normalized otherwise, or not at all"


def _mixed_up(mine: Tensor, right: Tensor) -> bool:
    n = len(mine)
    if n * n * mine.shape[1] > 4_000_000:
        return False
    found, own = (
        torch.isclose(lines[:, None], right, rtol=RTOL, atol=ATOL).all(-1).double() for lines in (mine, right)
    )
    once = torch.ones(n, dtype=torch.float64)
    return own.sum() == n and torch.equal(found.sum(0), once) and torch.equal(found.sum(1), once)


# --- what is true of the right result, and not of this one -----------------------------------------------------------


def _facts(value: Tensor, truth: Tensor) -> Iterator[str]:
    axes = [axis for axis, size in enumerate(truth.shape) if size > 1]

    def sums_to_one(t: Tensor) -> list[int]:
        return [axis for axis in axes if same(t.sum(axis), torch.ones_like(t.sum(axis)))]

    # Shares are what is not negative and sums to one. A gradient may do so by chance: one that does is seldom above 0.
    shares = (truth >= 0).all() and (truth.ndim > 1 or (truth > 0).all())
    right, mine = sums_to_one(truth) if shares else [], sums_to_one(value)
    if right and not set(right) & set(mine):
        along = f"along axis {right[0]}" if truth.ndim > 1 else "all together"
        yield f"the entries should sum to one {along}" + (f", yours do along axis {mine[0]}" if mine else "")
    if right and (value < -ATOL).any():
        yield f"a negative number stands {where(value < -ATOL)}, where none can be"
    if right and not _whole_numbers(truth) and (value > 1 + ATOL).any():
        yield f"a probability above 1 stands {where(value > 1 + ATOL)}"
    if truth.ndim > 1 and truth.shape[-1] == truth.shape[-2] and same(truth, truth.mT) and not same(value, value.mT):
        yield "the matrix should be symmetric, yours is not"
