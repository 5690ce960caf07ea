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


def conv_vae(latent: int = 12, hidden: int = 0) -> VAE:
    """A convolutional variational autoencoder of binary images `(B, 1, 28, 28)`, not trained yet.

    Args:
        latent: L.
        hidden: units of two layers between the code and the decoder's convolutions; 0 for none.
    """
    decoder = conv_decoder(hidden or latent, width=16)
    if hidden:
        decoder = nn.Sequential(mlp(latent, hidden, hidden, activation=nn.SiLU), nn.SiLU(), decoder)
    return VAE(conv_encoder(2 * latent, width=16), decoder, latent)


def mnist_conv_vae() -> VAE:
    """A trained `conv_vae` with 12 latent numbers, for samples: binary images `(B, 1, 28, 28)`."""
    return filled(conv_vae(12), "mnist_conv_vae.safetensors")


def mnist_map_vae() -> VAE:
    """A trained `conv_vae` with 2 latent numbers, for a map of the digits: binary images `(B, 1, 28, 28)`."""
    return filled(conv_vae(2, hidden=64), "mnist_map_vae.safetensors")
