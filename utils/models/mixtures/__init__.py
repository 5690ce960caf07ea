"""Mixtures fitted with EM: of Gaussians and of Bernoullis."""

from utils.models.mixtures.bernoulli import BernoulliMixture
from utils.models.mixtures.gaussian import GaussianMixture

__all__ = ["BernoulliMixture", "GaussianMixture"]
