"""Train the models that lessons use as they are, and write their weights.

    python data/make/pretrained.py

`data/mnist_classifier.safetensors`: the classifier in whose features samples are judged. `data/mnist_vae.safetensors`:
the variational autoencoder of chapter 6, trained half as long again. `data/mnist_conv_vae.safetensors`: one with
convolutions, for samples. `data/mnist_map_vae.safetensors`: one with two latent numbers, for a map.
`data/mnist_flow.safetensors`: the pixel flow of chapter 10. All are stored as float16 and take some minutes each to
train. Sums in floating point differ between machines, so another machine makes weights that are as good, but not the
same bytes: the sums in `data/README.md` then have to be renewed by hand, and a test says so. Names of models limit the
run to them:

    python data/make/pretrained.py classifier flow
"""

from __future__ import annotations

import math
import sys

import torch
from files import DATA, register
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from utils.data import load
from utils.models.classifiers import DigitClassifier
from utils.models.flows import pixel_flow
from utils.models.vae import VAE, conv_vae, map_vae
from utils.nets import mlp
from utils.training import Trainer


def classifier() -> nn.Module:
    """Six passes over the training part of MNIST."""
    mnist = load("mnist")
    torch.manual_seed(0)
    model = DigitClassifier().fit(
        mnist.x_train, mnist.y_train, epochs=6, batch_size=128, lr=2e-3, ema=0.998, autocast="auto", seed=0
    )
    accuracy = (model.predict(mnist.x_test) == mnist.y_test).double().mean().item()
    print(f"classifier: {accuracy:.2%} of the test digits are right")
    return model


def vae() -> nn.Module:
    """The model of chapter 6 with its recipe, trained half as long again."""
    mnist = load("mnist").flat()
    torch.manual_seed(0)
    model = VAE(mlp(784, 500, 64), mlp(32, 500, 784), 32).fit(
        mnist.x_train, binarize=True, epochs=15, batch_size=128, lr=3e-3, ema=0.999, warmup=200, autocast="auto", seed=0
    )
    black_and_white = load("mnist").binarized().flat().x_test
    print(f"vae: a negative bound of {-model.elbo(black_and_white).mean().item():.2f} nats on the binary test digits")
    return model


def autoencoder(model: VAE, x: Tensor, epochs: int, warm_up: float) -> VAE:
    """The same recipe for another model; β rises over the share `warm_up` of the training."""
    options = {"batch_size": 128, "lr": 3e-3, "ema": 0.999, "warmup": 200, "seed": 0}
    model.fit(x, binarize=True, epochs=epochs, warm_up=warm_up, **options)
    test = load("mnist").binarized().x_test.reshape(-1, *x.shape[1:])
    bounds = torch.cat([model.elbo(rows).detach() for rows in test.split(1000)])
    print(f"{model.latent} latents: a negative bound of {-bounds.mean().item():.2f} nats on the binary test digits")
    return model


def vae_for_samples() -> nn.Module:
    """With β = 1 from the start: half of the latents collapse, and what is left is a short code, good to draw from."""
    torch.manual_seed(0)
    model = conv_vae().to(memory_format=torch.channels_last)  # faster on processors
    return autoencoder(model, load("mnist").x_train, epochs=9, warm_up=0.0)


def vae_for_a_map() -> nn.Module:
    """With a rise of β, so that neither of the two latents collapses."""
    torch.manual_seed(0)
    return autoencoder(map_vae(), load("mnist").flat().x_train, epochs=10, warm_up=0.2)


def flow() -> nn.Module:
    """One pass over the training part of MNIST."""
    mnist = load("mnist")
    x, x_test = ((images * 255).round() for images in (mnist.x_train, mnist.x_test))
    model = pixel_flow(x[:2000], generator=Generator().manual_seed(0))

    def loss(x: Tensor, training: Trainer) -> Tensor:
        return -model.log_prob(x)

    options = {"epochs": 1, "batch_size": 32, "lr": 3e-3, "warmup": 100, "clip": 100.0, "ema": 0.999}
    Trainer(model, loss, **options, seed=0).fit(x)
    with torch.no_grad():
        nats = torch.cat([model.log_prob(rows) for rows in x_test.split(250)])
    print(f"flow: a bound of {-nats.mean().item() / 784 / math.log(2):.3f} bits/dim on the test digits")
    return model


MODELS = {
    "classifier": classifier,
    "vae": vae,
    "conv_vae": vae_for_samples,
    "map_vae": vae_for_a_map,
    "flow": flow,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        file = DATA / f"mnist_{name}.safetensors"
        weights = MODELS[name]().state_dict()
        save_file({key: value.half().contiguous() for key, value in weights.items()}, file)
        print(f"{register(file)}  {file}, {file.stat().st_size / 1000:.0f} kB")
