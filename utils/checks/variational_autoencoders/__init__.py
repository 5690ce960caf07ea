"""Checks of chapter 6, variational autoencoders, a file a group of exercises:

- `divergence`: that of two Gaussians;
- `bounds`: the ELBO and the tighter bound of IWAE;
- `gradients`: gradients through and around a sample;
- `free_bits`: a loss that leaves some nats free;
- `posteriors`: exact posteriors, and the best diagonal one;
- `latents`: what the latents do, and ways between codes;
- `challenge`: a trained autoencoder.
"""
