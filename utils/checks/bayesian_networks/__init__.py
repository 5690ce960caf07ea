"""Checks of chapter 3, Bayesian networks, a file a group of exercises:

- `parameters`: tables: their size, the joint that they make, their estimate;
- `inference`: exact inference and independence;
- `sampling`: ancestral sampling, likelihood weighting, Gibbs sampling;
- `structure`: trees from data;
- `challenge`: a structure from data.
"""
