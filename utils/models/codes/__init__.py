"""Discrete codes: quantizers of vectors, an autoencoder with a grid of codes, and the prior over such grids."""

from utils.models.codes.networks import code_decoder, code_encoder
from utils.models.codes.prior import CodePrior
from utils.models.codes.quantize import FiniteScalarQuantizer, VectorQuantizer, nearest, straight_through
from utils.models.codes.vqvae import VQVAE

__all__ = [
    "VQVAE",
    "CodePrior",
    "FiniteScalarQuantizer",
    "VectorQuantizer",
    "code_decoder",
    "code_encoder",
    "nearest",
    "straight_through",
]
