"""Checks of chapter 4, Gaussian mixtures, a file a group of exercises:

- `densities`: densities in log space;
- `em`: the EM algorithm and its bound;
- `completion`: missing coordinates from the others;
- `selection`: the number of components, and collapsed ones;
- `challenge`: a density of spirals.
"""
