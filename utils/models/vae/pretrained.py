"""The variational autoencoder that comes with the course, trained beforehand."""

from __future__ import annotations

from utils.models.vae.vae import VAE
from utils.models.weights import filled
from utils.nets import mlp


def mnist_vae() -> VAE:
    """The variational autoencoder of chapter 6: binary images `(B, 784)`, 32 latent numbers."""
    return filled(VAE(mlp(784, 500, 64), mlp(32, 500, 784), 32), "mnist_vae.safetensors")
