"""Bayesian networks of discrete variables: inference, learning, files."""

from utils.models.bayesnets.bayesnet import BayesianNetwork
from utils.models.bayesnets.factors import Factor
from utils.models.bayesnets.structure import bic_score, chow_liu, d_separated, hill_climb, mutual_information

__all__ = ["BayesianNetwork", "Factor", "bic_score", "chow_liu", "d_separated", "hill_climb", "mutual_information"]
