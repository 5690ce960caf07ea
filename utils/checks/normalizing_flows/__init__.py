"""Checks of chapter 10, normalizing flows, a file a group of exercises:

- `likelihood`: densities by change of variables, chains, samples;
- `coupling`: coupling and autoregressive transforms, and their inverses;
- `transforms`: planar flows and splines;
- `images`: what flows of images need;
- `challenge`: a density of a checkerboard.
"""
