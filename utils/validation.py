"""What functions ask of their arguments, in the same words everywhere."""

from __future__ import annotations

import operator


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
