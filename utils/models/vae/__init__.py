"""Variational autoencoders, their networks for images, and probabilistic PCA, their linear case."""

from utils.models.vae.gaussian import gaussian_kl, reparameterise
from utils.models.vae.networks import conv_decoder, conv_encoder
from utils.models.vae.ppca import fit_ppca, linear_vae, ppca_log_prob
from utils.models.vae.pretrained import conv_vae, map_vae, mnist_conv_vae, mnist_map_vae, mnist_vae
from utils.models.vae.vae import VAE

__all__ = [
    "VAE",
    "conv_decoder",
    "conv_encoder",
    "conv_vae",
    "fit_ppca",
    "gaussian_kl",
    "linear_vae",
    "map_vae",
    "mnist_conv_vae",
    "mnist_map_vae",
    "mnist_vae",
    "ppca_log_prob",
    "reparameterise",
]
