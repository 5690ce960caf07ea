"""What all models share that are no `nn.Module`: parameters that `fit` finds, saved, shown and asked for too early."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor


class NotFittedError(RuntimeError):
    """The model has no parameters yet."""


class Estimator:
    """A model whose parameters come into being in `fit`; see `utils/models/README.md` for what it must offer.

    A subclass lists in `names` the parameters, tensors that say all about the model, and in `results` what else `fit`
    leaves behind, such as `history_`. Asked for one of them before `fit`, it raises `NotFittedError`.
    """

    names: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    def __getattr__(self, name: str):
        kind = type(self)
        if name not in (*kind.names, *kind.results):
            raise AttributeError(f"{kind.__name__} has no attribute {name!r}")
        ways = "fit or from_parameters" if hasattr(kind, "from_parameters") and name in kind.names else "fit"
        raise NotFittedError(f"this {kind.__name__} is not fitted yet, so it has no {name}: call {ways} first")

    def __repr__(self) -> str:
        """The call that makes the model, with what differs from the defaults; data and functions are left out."""
        options = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = vars(self).get(name, parameter.default)
            plain = isinstance(value, int | float | str | tuple | torch.dtype)
            if plain and (parameter.default is parameter.empty or value != parameter.default):
                options.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(options)})"

    def state_dict(self) -> dict[str, Tensor]:
        """The parameters by name, copied: what to save, as for an `nn.Module`."""
        return {name: getattr(self, name).detach().clone().contiguous() for name in self.names}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the parameters of a model that was made with the same options.

        Raises:
            ValueError: for other names than this model has, or parameters that do not fit it.
        """
        if set(state) != set(self.names):
            raise ValueError(f"the state holds {', '.join(sorted(state))}: expected {', '.join(sorted(self.names))}")
        self._set(**{name: value.detach().clone() for name, value in state.items()})

    def _set(self, **parameters: Tensor) -> None:
        """Check the parameters and take them."""
        vars(self).update(parameters)
