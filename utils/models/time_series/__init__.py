"""Autoregressive models of time series: linear, of volatility, neural."""

from utils.models.time_series.arch import ARCH
from utils.models.time_series.autoregression import Autoregression
from utils.models.time_series.neural_forecaster import CausalConv, GRUMemory, NeuralForecaster
from utils.models.time_series.regression import aic_by_order

__all__ = ["ARCH", "Autoregression", "CausalConv", "GRUMemory", "NeuralForecaster", "aic_by_order"]
