"""The options that all restricted Boltzmann machines have."""

from __future__ import annotations

import math

from utils.models.estimator import Estimator
from utils.validation import whole


def check_options(
    machine: Estimator,
    n_hidden: int,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    k: int,
    weight_decay: float,
) -> None:
    """Give the machine these options, or say which of them makes no sense."""
    machine.n_hidden, machine.batch_size = whole("n_hidden", n_hidden), whole("batch_size", batch_size)
    machine.epochs, machine.k = whole("epochs", epochs), whole("k", k)
    if not 0 < learning_rate < math.inf or not 0 <= weight_decay < math.inf:
        raise ValueError(
            f"learning_rate is {learning_rate} and weight_decay {weight_decay}: expected above 0, and 0 or more"
        )
    machine.learning_rate, machine.weight_decay = learning_rate, weight_decay
