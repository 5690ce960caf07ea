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


def conv_vae(latent: int = 12, hidden: int = 64) -> VAE:
    """A convolutional variational autoencoder of binary images `(B, 1, 28, 28)`, not trained yet."""
    encoder = nn.Sequential(conv_encoder(hidden, width=16), nn.ReLU(), nn.Linear(hidden, 2 * latent))
    decoder = nn.Sequential(mlp(latent, hidden, hidden), nn.ReLU(), conv_decoder(hidden, width=16))
    return VAE(encoder, decoder, latent)


def map_vae() -> VAE:
    """A variational autoencoder of binary images `(B, 784)` with a code of two numbers, not trained yet."""
    return VAE(mlp(784, 400, 100, 4, activation=nn.SiLU), mlp(2, 100, 400, 784, activation=nn.SiLU), 2)


def mnist_conv_vae() -> VAE:
    """A trained `conv_vae` with 12 latent numbers, for samples: binary images `(B, 1, 28, 28)`."""
    return filled(conv_vae(), "mnist_conv_vae.safetensors")


def mnist_map_vae() -> VAE:
    """A trained `map_vae` with 2 latent numbers, for a map of the digits: binary images `(B, 784)`."""
    return filled(map_vae(), "mnist_map_vae.safetensors")
