"""The variational autoencoders that come with the course, trained beforehand by `data/make/pretrained.py`."""

from __future__ import annotations

from torch import nn

from utils.models.vae.networks import conv_decoder, conv_encoder
from utils.models.vae.vae import VAE
from utils.models.weights import filled
from utils.nets import mlp


def mnist_vae() -> VAE:
    """The variational autoencoder of chapter 6: binary images `(B, 784)`, 32 latent numbers."""
    return filled(VAE(mlp(784, 500, 64), mlp(32, 500, 784), 32), "mnist_vae.safetensors")


def conv_vae(latent: int, hidden: int = 64) -> VAE:
    """A convolutional variational autoencoder of binary images `(B, 1, 28, 28)`, not trained yet."""
    encoder = nn.Sequential(conv_encoder(hidden, width=16), nn.ReLU(), nn.Linear(hidden, 2 * latent))
    decoder = nn.Sequential(mlp(latent, hidden, hidden), nn.ReLU(), conv_decoder(hidden, width=16))
    return VAE(encoder, decoder, latent)


def mnist_conv_vae(latent: int) -> VAE:
    """A trained `conv_vae`: with 12 latent numbers, for samples, or with 2, for a map of the digits.

    Raises:
        ValueError: for another number of latents.
    """
    if latent not in (2, 12):
        raise ValueError(f"latent is {latent}: expected 12 or 2, the convolutional models that come with the course")
    return filled(conv_vae(latent), f"mnist_conv_vae_{latent}.safetensors")
