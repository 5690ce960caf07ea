"""What checks say of a result: a small vocabulary of named assertions, each of which raises `Wrong` with a sentence.

A result has a name, such as "your loss" or "your means": sentences about it say what it *should be*, which is right for
one thing and for several.

Checks draw float64 inputs; the tolerance leaves room for a constant that a student's code made in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from utils.checks.symptoms import ATOL, RTOL, same, symptom, where
from utils.checks.variations import Variation, told
from utils.checks.verdicts import Wrong


class Mistake(NamedTuple):
    """A wrong value that a student may well compute, the sentence that names it, and a hint.

    One that is `general`, such as "this is no distribution", is told only where no other explains the value.
    """

    value: Any
    says: str
    hint: str = ""
    general: bool = False


def repeatable(answer: Callable, *inputs, hint: str = "Use the random numbers that are given.") -> object:
    """The answer, if it is the same when asked twice."""
    result, again = plain(answer(*inputs)), plain(answer(*inputs))
    both = isinstance(result, Tensor) and isinstance(again, Tensor) and result.shape == again.shape
    if both and not torch.equal(result.isnan(), again.isnan()):
        both = False
    if both and not torch.allclose(result.double(), again.double(), rtol=1e-9, atol=1e-9, equal_nan=True):
        raise Wrong("Your function draws random numbers of its own: the same inputs give different results.", hint)
    return result


def plain(value: Any) -> Any:
    """`value`; if it is a tensor of another class, whose operations may do anything, the plain tensor that it holds."""
    if type(value) is Tensor or not isinstance(value, Tensor):
        return value
    with torch._C.DisableTorchFunctionSubclass():
        return Tensor.as_subclass(value, Tensor)


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
    title, value = _title(name), plain(value)
    if value is None:
        raise Wrong(f"{title} should be a tensor, not `None`.", "Did you forget `return`?")
    if not isinstance(value, Tensor):
        raise Wrong(f"{title} should be a `torch.Tensor`, not a `{_kind(value)}`.", _as_tensor(value))
    if value.shape != tuple(shape):
        raise _shape_mistake(value, tuple(shape), title, shapes)
    if dtype == torch.int64 and value.dtype in (torch.int32, torch.int16):
        value = value.long()  # such indices work like others
    if value.dtype != dtype:
        hint = f"Give new tensors this type, `torch.zeros(..., dtype={dtype})`, or convert at the end: `.to({dtype})`."
        if dtype == torch.bool:
            hint = "A comparison such as `a < b` gives a boolean tensor."
        elif not dtype.is_floating_point:
            hint = "Indices and states are whole numbers; `.long()` turns a tensor into them."
        raise Wrong(f"{title} should be `{dtype}`, not `{value.dtype}`.", hint)
    value = value.detach()
    if not value.isfinite().all():
        what = "NaN" if value.isnan().any() else "infinite"
        says, hint = not_finite or ("", "Look for log(0), 0/0 and the exponential of a large number.")
        raise Wrong(says or f"{title} should be finite, not {what} {where(~value.isfinite())}".rstrip() + ".", hint)
    return value


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")


def _as_tensor(value: Any) -> str:
    """How to make a tensor of it."""
    if isinstance(value, np.ndarray | np.generic):
        return "Return a tensor: `torch.as_tensor(...)` makes one of an array."
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        return "Return one tensor: `torch.stack(...)` makes one of several."
    if isinstance(value, list | tuple | int | float):
        return "Return a tensor: `torch.tensor(..., dtype=torch.float64)` makes one of numbers."
    return "Compute with torch functions throughout."


def _shape_mistake(value: Tensor, shape: tuple[int, ...], title: str, shapes: Sequence[Mistake]) -> Wrong:
    says = f"{title} should have shape {shape}, not {tuple(value.shape)}"
    for mistake in shapes:
        if value.shape == tuple(mistake.value):
            return Wrong(f"{says}: {mistake.says}.", mistake.hint)
    if tuple(size for size in value.shape if size != 1) == tuple(size for size in shape if size != 1):
        return Wrong(f"{says}: an axis of size 1 too many or too few.", "`keepdim`, `squeeze` or `[:, None]` fixes it.")
    if value.shape == shape[::-1]:
        return Wrong(f"{says}: the axes are swapped.", "Swap them back, or sum over the other axis.")
    if sorted(value.shape) == sorted(shape):
        return Wrong(f"{says}: the axes come in another order.", "`permute` changes it.")
    for longer, shorter, what, hint in (
        (shape, value.shape, "is lost", "Did you sum over an axis that should stay?"),
        (value.shape, shape, "is too many", "Is a sum over an axis missing?"),
    ):
        for axis, size in enumerate(longer):
            if (*longer[:axis], *longer[axis + 1 :]) == tuple(shorter):
                return Wrong(f"{says}: an axis of size {size} {what}.", hint)
    if len(value.shape) == len(shape):
        (axis, *more) = [i for i, (mine, right) in enumerate(zip(value.shape, shape, strict=True)) if mine != right]
        off = value.shape[axis] - shape[axis]
        if not more and abs(off) == 1:
            return Wrong(f"{says}: one too {'many' if off > 0 else 'few'} along axis {axis}.", "Look at both ends.")
    return Wrong(f"{says}.", "Write the shape beside each line of your code.")


def number(value: Any, name: str = "your result", *, not_finite: tuple[str, str] | None = None) -> Tensor:
    """`value` as a float64 scalar, if it is one finite number (a float, or a tensor or array with one element)."""
    value = plain(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iuf":
        value = torch.as_tensor(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.reshape(()).double()
    elif isinstance(value, Tensor):
        raise Wrong(f"{_title(name)} should be one number, not shape {tuple(value.shape)}.", "Sum over the points.")
    elif value is not None:
        raise Wrong(f"{_title(name)} should be one number, not a `{_kind(value)}`.", "Return a float or a tensor.")
    return tensor(value, (), torch.float64, name, not_finite=not_finite)


def truth_value(value: Any, name: str = "your answer") -> bool:
    """`value` as a bool, if it is True or False, of Python, numpy or torch."""
    value = plain(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Tensor | np.ndarray) and str(value.dtype) in ("torch.bool", "bool") and value.shape == ():
        return bool(value)
    raise Wrong(f"{_title(name)} should be True or False, not {value!r}.", "Return a `bool`.")


def close(
    value: Tensor,
    truth: Tensor,
    mistakes: Sequence[Mistake] = (),
    name: str = "your result",
    hint: str = "",
    varied: Callable[[], Iterable[Variation]] = tuple,
    facts: Callable[[], str] = str,
) -> None:
    """`value` equals `truth`; otherwise the one of `mistakes` that it equals is named, or all that it equals.

    Where none is, three things are told before the first entry that is most wrong: the symptoms, what in the formula
    is `varied` to give this value, and what else the check finds out (`facts`: a sentence).
    """
    if _equal(value, truth):
        return
    name_mistake(value, mistakes)
    looks = " ".join(filter(None, (symptom(value, truth), told(value, truth, varied()), facts())))
    difference = (value - truth).abs().double().nan_to_num(nan=torch.inf)
    difference = difference.masked_fill(torch.isclose(value, truth, rtol=RTOL, atol=ATOL), -torch.inf)  # no right one
    worst = difference == difference.max()
    at = f" at {worst.nonzero()[0].tolist()}" if value.ndim else ""
    yours, true = value[worst].flatten()[0], truth[worst].flatten()[0]
    digits = 6 if f"{true:.6g}" != f"{yours:.6g}" else 12
    says = f"{_title(name)} should be {true:.{digits}g}{at}, not {yours:.{digits}g}."
    raise Wrong(
        " ".join(filter(None, (looks, says, _rounded(value, truth)))),
        hint or "Compute one entry by hand, then follow it through your code.",
    )


def _rounded(value: Tensor, truth: Tensor) -> str:
    """A sentence, if the value is near the truth as float32 is: no entry is further off than such roundings lead."""
    if truth.dtype != torch.float64 or not truth.isfinite().all():
        return ""
    near = (value.double() - truth).abs() <= 2e-6 * truth.abs().max()
    return "It is near, as if something were computed in float32." if near.all() else ""


def name_mistake(value: Tensor, mistakes: Sequence[Mistake]) -> None:
    """Raise if `value` is the value of one of `mistakes`; where that of several is the same, tell all of them."""
    made = [one for one in mistakes if same(value.double(), torch.as_tensor(one.value).double())]
    made = [one for one in made if not one.general] or made
    says = list(dict.fromkeys(one.says for one in made))
    hints = list(dict.fromkeys(one.hint for one in made if one.hint))
    if len(says) > 1:
        raise Wrong(f"Several mistakes give this result. Either: {' Or: '.join(says)}", " Or: ".join(hints))
    if says:
        raise Wrong(says[0], made[0].hint)


def _equal(value: Tensor, other: Tensor) -> bool:
    return value.shape == other.shape and torch.allclose(value, other, rtol=RTOL, atol=ATOL)
