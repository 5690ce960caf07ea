"""Mixtures fitted with EM: of Gaussians and of Bernoullis."""

from utils.models.mixtures.bernoulli import BernoulliMixture
from utils.models.mixtures.gaussian import GaussianMixture
from utils.models.mixtures.mixture import Mixture

__all__ = ["BernoulliMixture", "GaussianMixture", "Mixture"]
