"""Checks of chapter 8, generative adversarial networks, a file a group of exercises:

- `losses`: the losses of the game, their slopes and what they measure;
- `regularization`: gradient penalty, spectral norm, minibatch statistics;
- `evaluation`: modes, Fréchet distance, precision and recall;
- `challenge`: a generator of the eight corners.
"""
