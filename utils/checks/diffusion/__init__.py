"""Checks of chapter 15, diffusion, a file a group of exercises:

- `noising`: x_t in one jump, the score of a noised mixture, Tweedie's formula;
- `training`: what a network predicts, the simple loss;
- `bound`: the posterior of a step back, the terms of the bound;
- `sampling`: steps back to the data (DDIM, Heun, the reverse SDE);
- `inpainting`: known pixels put in on the way back;
- `likelihood`: divergences and exact likelihoods along the ODE;
- `challenge`: a flow followed with ten evaluations.
"""
