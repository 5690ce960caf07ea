"""Normalizing flows: the model, the transforms it chains, and what makes densities of pixels."""

from utils.models.flows.couplings import Autoregressive, Coupling
from utils.models.flows.dequantization import Dequantization
from utils.models.flows.flow import (
    Flow,
    StandardNormal,
    UnitCube,
    maf,
    real_nvp,
    spline_autoregressive,
    spline_coupling,
)
from utils.models.flows.multiscale import FactorOut, Flatten, Squeeze, coarse_to_fine, convnet, glow
from utils.models.flows.pixels import mnist_flow, pixel_flow
from utils.models.flows.splines import Affine, Histogram, Spline
from utils.models.flows.transforms import (
    ActNorm,
    Chain,
    ElementwiseAffine,
    Inverse,
    InvertibleLinear,
    Logit,
    Permutation,
)

__all__ = [
    "ActNorm",
    "Affine",
    "Autoregressive",
    "Chain",
    "Coupling",
    "Dequantization",
    "ElementwiseAffine",
    "FactorOut",
    "Flatten",
    "Flow",
    "Histogram",
    "Inverse",
    "InvertibleLinear",
    "Logit",
    "Permutation",
    "Spline",
    "Squeeze",
    "StandardNormal",
    "UnitCube",
    "coarse_to_fine",
    "convnet",
    "glow",
    "maf",
    "mnist_flow",
    "pixel_flow",
    "real_nvp",
    "spline_autoregressive",
    "spline_coupling",
]
