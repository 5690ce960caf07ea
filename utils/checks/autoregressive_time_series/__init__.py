"""Checks of chapter 11, autoregressive time series, a file a group of exercises:

- `autoregression`: the linear model: rows, fit, stability, forecasts, gaps;
- `forecasting`: baselines, scores, and what a network needs;
- `challenge`: sample paths of sunspots.
"""
