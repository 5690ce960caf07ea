"""Models that were trained beforehand, by `data/make/pretrained.py`, and that lessons take as they are."""

from __future__ import annotations

from torch import nn

from utils.data import path
from utils.models.classifier import DigitClassifier
from utils.models.vae import VAE
from utils.nets import mlp


def digit_classifier() -> DigitClassifier:
    """The course's classifier of MNIST's digits, in whose features samples are judged."""
    return _filled(DigitClassifier(), "mnist_classifier.safetensors")


def mnist_vae() -> VAE:
    """The variational autoencoder of chapter 6: binary images `(B, 784)`, 32 latent numbers."""
    return _filled(VAE(mlp(784, 500, 64), mlp(32, 500, 784), 32), "mnist_vae.safetensors")


def _filled(model: nn.Module, file: str) -> nn.Module:
    from safetensors.torch import load_file

    model.load_state_dict(load_file(path(file)))  # float16 in the file, float32 in the model
    return model.eval().requires_grad_(False)
