"""Checks of chapter 2, probability distributions, a file a group of exercises:

- `sampling`: samples from uniform and normal numbers;
- `estimation`: maximum likelihood, and a mean with its error;
- `densities`: divergence, change of variables, code length;
- `challenge`: digits in few bits.
"""
