"""What functions ask of their arguments, in the same words everywhere."""

from __future__ import annotations

import operator

import torch
from torch import Tensor


def whole(name: str, value, least: int = 1) -> int:
    """`value` as a Python integer: one of Python's, of NumPy's, or a tensor that holds a single one.

    Raises:
        ValueError: for anything else, such as 3.0, or a number below `least`.

    >>> whole("epochs", 3)
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} is {value!r}: expected a whole number of at least {least}")
    return number


def numbers(name: str, x, *, missing: bool = False) -> Tensor:
    """`x` as a tensor of finite real numbers in floating point; whole numbers become float64, which holds them.

    Args:
        missing: whether NaN may stand for a value that is not known.

    Raises:
        TypeError: for what is no tensor, or complex.
        ValueError: for infinity, and for NaN unless `missing`; the message says where it is.

    >>> numbers("draws", torch.tensor([1, 2]))
    tensor([1., 2.], dtype=torch.float64)
    """
    tensor(name, x)
    x = x if x.is_floating_point() else x.double()
    wrong = x.isinf() if missing else ~x.isfinite()
    if wrong.any():
        at = tuple(wrong.nonzero()[0].tolist())
        where = f"{name}[{', '.join(map(str, at))}]" if at else name
        rule = "finite numbers, and NaN where a value is missing" if missing else "finite numbers: remove or replace it"
        raise ValueError(f"{where} is {x[at].item()}: expected {rule}")
    return x


def tensor(name: str, x) -> Tensor:
    """`x` itself, if it is a tensor of real numbers."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}: expected a torch.Tensor; use torch.as_tensor({name})")
    if x.is_complex():
        raise TypeError(f"{name} has dtype {x.dtype}: expected real numbers")
    return x


def as_parameters(name: str, x, module: torch.nn.Module) -> Tensor:
    """`x` in the dtype of the module's parameters: whole numbers are converted, another floating point is refused.

    Rounding float64 to float32 in silence could cost all digits, of values far from 0.
    """
    tensor(name, x)
    dtype = next((p.dtype for p in (*module.parameters(), *module.buffers()) if p.is_floating_point()), None)
    if x.is_floating_point() and dtype not in (None, x.dtype):
        raise TypeError(
            f"{name} has dtype {x.dtype}: expected {dtype}, as the model's parameters have; use {name}.to({dtype}), or"
            f" model.to({x.dtype})"
        )
    return x if x.is_floating_point() else x.to(dtype or torch.get_default_dtype())


def through(name: str, network: torch.nn.Module, x: Tensor) -> Tensor:
    """`network(x)`, or a ValueError that says which part of a model does not take this shape."""
    try:
        return network(x)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(f"the {name} does not take x of shape {tuple(x.shape)}: expected another; {error}") from error
