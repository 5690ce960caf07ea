"""Restricted Boltzmann machines, and the matrix factorization that they are measured against."""

from utils.models.boltzmann.matrix_factorization import MatrixFactorization
from utils.models.boltzmann.partition import LogPartition
from utils.models.boltzmann.rbm import RBM
from utils.models.boltzmann.softmax_rbm import SoftmaxRBM

__all__ = ["RBM", "LogPartition", "MatrixFactorization", "SoftmaxRBM"]
