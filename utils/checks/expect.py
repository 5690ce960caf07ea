"""What checks say of a result: a small vocabulary of named assertions, each of which raises `Wrong` with a sentence.

A result has a name, such as "your loss" or "your means": sentences about it say what it *should be*, which is right for
one thing and for several.

Checks draw float64 inputs; the tolerance leaves room for a constant that a student's code made in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from utils.checks.engine import Wrong

RTOL, ATOL = 1e-5, 1e-6


class Mistake(NamedTuple):
    """A wrong value that a student may well compute, the sentence that names it, and a hint."""

    value: Any
    says: str
    hint: str = ""


def repeatable(answer: Callable, *inputs, hint: str = "Use the random numbers that are given.") -> object:
    """The answer, if it is the same when asked twice."""
    result, again = answer(*inputs), answer(*inputs)
    both = isinstance(result, Tensor) and isinstance(again, Tensor) and result.shape == again.shape
    if both and not torch.equal(result.isnan(), again.isnan()):
        both = False
    if both and not torch.allclose(result.double(), again.double(), rtol=1e-9, atol=1e-9, equal_nan=True):
        raise Wrong("Your function draws random numbers of its own: the same inputs give different results.", hint)
    return result


def parts(result: Any, names: Sequence[str]) -> tuple:
    """The values of a tuple that should hold `names`."""
    expected = f"{len(names)} values ({', '.join(names)})"
    if result is None:
        raise Wrong(f"Your function returns `None`, expected {expected}.", "Did you forget `return`?")
    if not isinstance(result, tuple | list):
        raise Wrong(f"Your function returns one `{type(result).__name__}`, expected {expected}.", "Return them all.")
    if len(result) != len(names):
        raise Wrong(f"Your function returns {len(result)} values, expected {expected}.", "Return exactly these.")
    return tuple(result)


def tensor(
    value: Any,
    shape: Sequence[int],
    dtype: torch.dtype = torch.float64,
    name: str = "your result",
    *,
    not_finite: tuple[str, str] | None = None,
    shapes: Sequence[Mistake] = (),
) -> Tensor:
    """`value`, detached, if it is a finite tensor of this shape and type.

    Args:
        value: what the student's function returned.
        shape, dtype: what is expected.
        name: how to speak of it.
        not_finite: sentence and hint for NaN or infinity, where the reason is known.
        shapes: wrong shapes whose reason is known.
    """
    title = name[0].upper() + name[1:]
    if value is None:
        raise Wrong(f"{title} should be a tensor, not `None`.", "Did you forget `return`?")
    if not isinstance(value, Tensor):
        kind = type(value)
        kind = f"{kind.__module__}.{kind.__name__}".removeprefix("builtins.")
        raise Wrong(f"{title} should be a `torch.Tensor`, not a `{kind}`.", "Compute with torch functions throughout.")
    if value.shape != tuple(shape):
        raise _shape_mistake(value, tuple(shape), title, shapes)
    if value.dtype != dtype:
        hint = "Give new tensors the inputs' type: `torch.zeros(..., dtype=x.dtype)`."
        if dtype == torch.bool:
            hint = "A comparison such as `a < b` gives a boolean tensor."
        elif not dtype.is_floating_point:
            hint = "Indices and states are whole numbers; `.long()` turns a tensor into them."
        raise Wrong(f"{title} should be `{dtype}`, not `{value.dtype}`.", hint)
    value = value.detach()
    if not value.isfinite().all():
        what = "NaN" if value.isnan().any() else "infinite"
        says, hint = not_finite or ("", "Look for log(0), 0/0 and the exponential of a large number.")
        raise Wrong(says or f"{title} should be finite, not {what} at {_where(~value.isfinite())}.", hint)
    return value


def _shape_mistake(value: Tensor, shape: tuple[int, ...], title: str, shapes: Sequence[Mistake]) -> Wrong:
    says = f"{title} should have shape {shape}, not {tuple(value.shape)}"
    for mistake in shapes:
        if value.shape == tuple(mistake.value):
            return Wrong(f"{says}: {mistake.says}.", mistake.hint)
    if tuple(size for size in value.shape if size != 1) == tuple(size for size in shape if size != 1):
        return Wrong(f"{says}: an axis of size 1 too many or too few.", "`keepdim`, `squeeze` or `[:, None]` fixes it.")
    if value.shape == shape[::-1]:
        return Wrong(f"{says}: the axes are swapped.", "Swap them back, or sum over the other axis.")
    return Wrong(f"{says}.", "Write the shape beside each line of your code.")


def number(value: Any, name: str = "your result") -> Tensor:
    """`value` as a float64 scalar, if it is one finite number (a float or a tensor with one element)."""
    title = name[0].upper() + name[1:]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.reshape(()).double()
    elif isinstance(value, Tensor):
        raise Wrong(f"{title} should be one number, not shape {tuple(value.shape)}.", "Sum over the points.")
    return tensor(value, (), torch.float64, name)


def close(
    value: Tensor, truth: Tensor, mistakes: Sequence[Mistake] = (), name: str = "your result", hint: str = ""
) -> None:
    """`value` equals `truth`; otherwise the first of `mistakes` that it equals is named."""
    if _equal(value, truth):
        return
    for mistake in mistakes:
        if _equal(value, torch.as_tensor(mistake.value, dtype=truth.dtype)):
            raise Wrong(mistake.says, mistake.hint)
    title = name[0].upper() + name[1:]
    difference = (value - truth).abs()
    worst = difference == difference.max()
    at = f" at {_where(worst)}" if value.ndim else ""
    yours, true = value[worst].flatten()[0], truth[worst].flatten()[0]
    raise Wrong(
        f"{title} should be {true:.6g}{at}, not {yours:.6g}.",
        hint or "Compute one entry by hand, then follow it through your code.",
    )


def _equal(value: Tensor, other: Tensor) -> bool:
    return value.shape == other.shape and torch.allclose(value, other, rtol=RTOL, atol=ATOL)


def _where(mask: Tensor) -> list[int]:
    return mask.nonzero()[0].tolist()
