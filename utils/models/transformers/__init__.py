"""Models of text: byte-pair encoding, counting, and the transformer."""

from utils.models.transformers.bpe import PIECES, BytePairEncoding
from utils.models.transformers.gpt import GPT, Block, Cache, norm, rotate
from utils.models.transformers.kneser_ney import KneserNey
from utils.models.transformers.muon import Muon, orthogonal
from utils.models.transformers.tokens import draw, shape_log_odds

__all__ = [
    "GPT",
    "PIECES",
    "Block",
    "BytePairEncoding",
    "Cache",
    "KneserNey",
    "Muon",
    "draw",
    "norm",
    "orthogonal",
    "rotate",
    "shape_log_odds",
]
