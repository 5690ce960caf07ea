"""Variational autoencoders, with real and with discrete codes, their networks, and probabilistic PCA."""

from utils.models.vae.code_prior import CodePrior
from utils.models.vae.gaussian import gaussian_kl, reparameterise
from utils.models.vae.networks import code_decoder, code_encoder, conv_decoder, conv_encoder
from utils.models.vae.ppca import fit_ppca, linear_vae, ppca_log_prob
from utils.models.vae.pretrained import conv_vae, map_vae, mnist_conv_vae, mnist_map_vae, mnist_vae
from utils.models.vae.quantize import FiniteScalarQuantizer, VectorQuantizer, nearest, straight_through
from utils.models.vae.vae import VAE
from utils.models.vae.vqvae import VQVAE

__all__ = [
    "VAE",
    "VQVAE",
    "CodePrior",
    "FiniteScalarQuantizer",
    "VectorQuantizer",
    "code_decoder",
    "code_encoder",
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
    "nearest",
    "ppca_log_prob",
    "reparameterise",
    "straight_through",
]
