"""Checks of chapter 7, vector quantization, a file a group of exercises:

- `codes`: from a vector to a code: the nearest one, finite scalar and residual quantization;
- `learning`: how codes and encoder learn, and how many codes are in use;
- `bounds`: what a grid of codes costs;
- `search`: a better grid;
- `challenge`: sixteen bits for an image.
"""
