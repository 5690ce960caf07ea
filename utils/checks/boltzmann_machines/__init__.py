"""Checks of chapter 5, Boltzmann machines, a file a group of exercises:

- `spins`: the Ising model and Hopfield networks;
- `rbm`: the restricted machine: its energy and its sampling;
- `learning`: contrastive divergence, the pseudo-likelihood;
- `partition_function`: log Z, exact and by annealed importance sampling;
- `variants`: softmax units, and the bound of a stack;
- `challenge`: a trained machine.
"""
