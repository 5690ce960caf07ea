"""Variational autoencoders, and probabilistic PCA, their linear case."""

from utils.models.vae.ppca import fit_ppca, linear_vae, ppca_log_prob
from utils.models.vae.pretrained import mnist_vae
from utils.models.vae.vae import VAE, gaussian_kl, reparameterise

__all__ = ["VAE", "fit_ppca", "gaussian_kl", "linear_vae", "mnist_vae", "ppca_log_prob", "reparameterise"]
