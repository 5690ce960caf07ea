"""Train the two small models that lessons use as they are, and write their weights.

    python data/make/pretrained.py

`data/mnist_classifier.safetensors`: the classifier in whose features samples are judged. `data/mnist_vae.safetensors`:
the variational autoencoder of chapter 6, trained half as long again. Both are stored as float16 and take some minutes
to train. Sums in floating point differ between machines, so another machine makes weights that are as good, but not the
same bytes: the sums in `data/README.md` then have to be renewed by hand, and a test says so. Names of the two models
limit the run to them:

    python data/make/pretrained.py classifier
"""

from __future__ import annotations

import sys

import torch
from files import DATA, register
from safetensors.torch import save_file
from torch import nn

from utils.data import load
from utils.models.classifiers import DigitClassifier
from utils.models.vae import VAE
from utils.nets import mlp


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


MODELS = {"classifier": classifier, "vae": vae}

if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        file = DATA / f"mnist_{name}.safetensors"
        weights = MODELS[name]().state_dict()
        save_file({key: value.half().contiguous() for key, value in weights.items()}, file)
        print(f"{register(file)}  {file}, {file.stat().st_size / 1000:.0f} kB")
