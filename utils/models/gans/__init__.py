"""Generative adversarial networks: the model, its losses, its networks, its toys."""

from utils.models.gans.gan import GAN
from utils.models.gans.losses import (
    MinibatchStd,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
    spectral_norm,
)
from utils.models.gans.networks import ImageDiscriminator, ImageGenerator, architecture
from utils.models.gans.toys import (
    GRID_NOISE,
    EnsembleLinear,
    EnsembleMLP,
    grid_centers,
    mixture_points,
    modes_found,
    ring_centers,
)

__all__ = [
    "GAN",
    "GRID_NOISE",
    "EnsembleLinear",
    "EnsembleMLP",
    "ImageDiscriminator",
    "ImageGenerator",
    "MinibatchStd",
    "architecture",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "grid_centers",
    "mixture_points",
    "modes_found",
    "r1_penalty",
    "ring_centers",
    "spectral_norm",
]
