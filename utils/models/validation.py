"""What all models ask of their arguments, in the same words."""

from __future__ import annotations


class NotFittedError(RuntimeError):
    """The model has no parameters yet."""
