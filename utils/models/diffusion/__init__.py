"""Diffusion models: schedules of noise, the exact field of a mixture, learned fields, and the ways back to data."""

from utils.models.diffusion.fields import Field, NoisyMixture
from utils.models.diffusion.likelihood import divergence, flow_log_prob, signs
from utils.models.diffusion.model import Diffusion
from utils.models.diffusion.networks import TimeFeatures, TimeMLP, UNet
from utils.models.diffusion.schedules import Coefficients, Cosine, Estimate, LinearBeta, Schedule, Straight
from utils.models.diffusion.solvers import EVALUATIONS, Counted, euler, heun, reverse_chain, reverse_sde, rk4, solve

__all__ = [
    "EVALUATIONS",
    "Coefficients",
    "Cosine",
    "Counted",
    "Diffusion",
    "Estimate",
    "Field",
    "LinearBeta",
    "NoisyMixture",
    "Schedule",
    "Straight",
    "TimeFeatures",
    "TimeMLP",
    "UNet",
    "divergence",
    "euler",
    "flow_log_prob",
    "heun",
    "reverse_chain",
    "reverse_sde",
    "rk4",
    "signs",
    "solve",
]
