"""Weights that were trained beforehand, by `data/make/pretrained.py`, and come with the course."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from utils.data import path

Model = TypeVar("Model", bound=nn.Module)


def filled(model: Model, file: str) -> Model:
    """The model with the weights of `data/<file>`, ready to be used and not to be trained further."""
    from safetensors.torch import load_file

    model.load_state_dict(load_file(path(file)))  # float16 in the file, float32 in the model
    return model.eval().requires_grad_(False)
