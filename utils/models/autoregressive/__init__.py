"""Autoregressive models of binary images."""

from utils.models.autoregressive.masked import FVSBN, ImageMADE
from utils.models.autoregressive.neighbour_table import NEIGHBOURS, NeighbourTable
from utils.models.autoregressive.pixelcnn import GatedLayer, GatedPixelCNN, MaskedConv2d, PixelCNN, gate

__all__ = [
    "FVSBN",
    "NEIGHBOURS",
    "GatedLayer",
    "GatedPixelCNN",
    "ImageMADE",
    "MaskedConv2d",
    "NeighbourTable",
    "PixelCNN",
    "gate",
]
