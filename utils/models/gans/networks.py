"""The two players for images of 28 × 28, and a table of what a network consists of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from utils.models.gans.losses import MinibatchStd


class ImageGenerator(nn.Module):
    """From noise to an image: a linear layer paints 7 × 7 places coarsely, each layer after it doubles the side.

    z `(B, latent)`, and labels `(B,)` with `n_classes`, → gray values `(B, 1, 28, 28)` in (0, 1). The last layer gives
    four values a place, which `PixelShuffle` lays out as 2 × 2 pixels: no layer works with many channels at full size.

    Source: Radford, Metz, Chintala, Unsupervised representation learning with deep convolutional generative adversarial
    networks, 2015, arXiv 1511.06434; PixelShuffle: Shi et al., 2016, arXiv 1609.05158.
    """

    def __init__(self, latent: int = 64, width: int = 16, n_classes: int = 0):
        super().__init__()
        self.n_classes = n_classes
        self.layers = nn.Sequential(
            nn.Linear(latent + n_classes, 4 * width * 49),
            nn.Unflatten(1, (4 * width, 7, 7)),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1, bias=False),  # (B, 2 width, 14, 14)
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4, 3, padding=1),
            nn.PixelShuffle(2),  # (B, 1, 28, 28)
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.n_classes:
            z = torch.cat([z, one_hot(y, self.n_classes).to(z)], dim=1)
        return self.layers(z)


class ImageDiscriminator(nn.Module):
    """From an image to one number: convolutions that halve the side three times, then a linear layer.

    `(B, 1, 28, 28)` → `(B,)`. With `n_classes`, labels `(B,)` are looked at by projection: the answer is
    a · h(x) + b + v_y · h(x), with a vector v for each class.

    Args:
        width: channels of the first layer; they double with each halving.
        n_classes: number of classes, else 0.
        batch_statistics: whether the last convolution sees how much the batch varies (`MinibatchStd`).

    Source: Radford et al., 2015, arXiv 1511.06434; projection: Miyato, Koyama, cGANs with projection discriminator,
    2018, arXiv 1802.05637.
    """

    def __init__(self, width: int = 16, n_classes: int = 0, batch_statistics: bool = True):
        super().__init__()
        self.n_classes = n_classes
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),  # (B, width, 14, 14)
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (B, 2 width, 7, 7)
            nn.LeakyReLU(0.2),
            *[MinibatchStd()] * batch_statistics,
            nn.Conv2d(2 * width + batch_statistics, 4 * width, 3, stride=2, padding=1),  # (B, 4 width, 4, 4)
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.answer = nn.Linear(4 * width * 16, 1)
        if n_classes:
            self.classes = nn.Linear(n_classes, 4 * width * 16, bias=False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        seen = self.layers(x)
        answer = self.answer(seen).squeeze(1)
        if self.n_classes:
            answer = answer + (self.classes(one_hot(y, self.n_classes).to(seen)) * seen).sum(1)
        return answer


@torch.no_grad()
def architecture(network: nn.Module, *inputs: Tensor):
    """A table of what really happens in a network: its layers in the order they run, output shapes, parameters.

    Args:
        network: any module; its state is left as it was.
        inputs: what it is called with; the first axis, the batch, is left out of the shapes.

    Returns:
        A `pandas.DataFrame` with the columns layer, output and parameters.
    """
    import pandas as pd

    rows, hooks = [], []

    def watch(layer, _, output):
        count = sum(p.numel() for p in layer.parameters())
        rows.append((type(layer).__name__.removeprefix("Parametrized"), tuple(output.shape[1:]), count))

    for layer in network.modules():
        if not [child for name, child in layer.named_children() if name != "parametrizations"]:
            hooks.append(layer.register_forward_hook(watch))
    training = network.training
    try:
        network.eval()(*inputs)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows, columns=["layer", "output", "parameters"])
