"""Autoregressive models of binary images."""

from utils.models.autoregressive.masked import FVSBN, ImageMADE
from utils.models.autoregressive.neighbor_table import NEIGHBORS, NeighborTable
from utils.models.autoregressive.pixelcnn import GatedLayer, GatedPixelCNN, MaskedConv2d, PixelCNN, gate

__all__ = [
    "FVSBN",
    "NEIGHBORS",
    "GatedLayer",
    "GatedPixelCNN",
    "ImageMADE",
    "MaskedConv2d",
    "NeighborTable",
    "PixelCNN",
    "gate",
]
