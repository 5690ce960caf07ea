"""A small classifier of handwritten digits: what it sees last is the space in which samples are judged."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from utils.models.weights import filled
from utils.training import Trainer
from utils.validation import as_parameters, numbers, tensor

FEATURES = 64


class DigitClassifier(nn.Module):
    """Three convolutions, each halving the side, 64 features, and a log-odds for each of ten digits.

    Images `(B, 1, 28, 28)` with gray values in [0, 1]; `(B, 784)` is taken, too.

    >>> DigitClassifier().features(torch.zeros(5, 784)).shape
    torch.Size([5, 64])
    """

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),  # (B, 32, 14, 14)
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),  # (B, 64, 7, 7)
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),  # (B, 64, 4, 4)
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds of the ten digits, `(B, 10)`."""
        return self.head(self.body(_images(x, self)))

    @torch.no_grad()
    def features(self, x: Tensor, chunk: int = 2000) -> Tensor:
        """The 64 numbers from which the digit is told, `(B, 64)`, each at least 0."""
        return torch.cat([self.body(rows) for rows in _images(x, self).split(chunk)])

    @torch.no_grad()
    def predict(self, x: Tensor, chunk: int = 2000) -> Tensor:
        """The digit that each image most likely is, `(B,)`."""
        return torch.cat([self(rows).argmax(1) for rows in _images(x, self).split(chunk)])

    def fit(self, x: Tensor, y: Tensor, **options) -> Self:
        """Minimize the cross-entropy; `history_` has its mean in each epoch. Returns the classifier itself.

        `options` are those of `utils.training.Trainer`.
        """
        trainer = Trainer(self, lambda x, y, training: cross_entropy(self(x), y), **options)
        self.history_ = trainer.fit((_images(x, self), y)).history
        return self


def digit_classifier() -> DigitClassifier:
    """The course's classifier of MNIST's digits, trained beforehand, in whose features samples are judged."""
    return filled(DigitClassifier(), "mnist_classifier.safetensors")


def _images(x: Tensor, model: DigitClassifier) -> Tensor:
    if not tensor("x", x).is_floating_point() or not x.ndim or not len(x) or x[0].numel() != 784:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and type {x.dtype}: expected gray values (B, 1, 28, 28) in floating point"
        )
    return as_parameters("x", numbers("x", x), model).reshape(-1, 1, 28, 28)
