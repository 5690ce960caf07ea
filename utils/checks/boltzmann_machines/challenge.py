"""Checks of chapter 5: a trained machine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks.boltzmann_machines._machines import enumerated_log_prob
from utils.checks.challenges import independent_pixels, missed
from utils.checks.engine import exercise
from utils.checks.expect import parts, tensor
from utils.checks.verdicts import Wrong
from utils.data import binarize, load

# Exact nats per held-out binarized digit, 1,297 training images, over twelve seeds: independent pixels reach −27.4 to
# −26.9, one epoch of CD-1 the same, 100 epochs of CD-1 with steps from 0.05 down −25.1 to −24.6; PCD with 600 epochs,
# steps from 0.2 down and 16 hidden units −23.6 to −22.9, with 8 units −24.2 to −23.5.
HELD_OUT_GOAL = -24.0
MOST_HIDDEN = 16


@exercise("rbm.train", call="train_rbm(x_train)", seconds=60)
def train(answer: Callable, generator: Generator) -> str:
    digits = load("digits").flat()
    x = torch.cat([digits.x_train, digits.x_test])
    x = binarize(x[torch.randperm(len(x), generator=generator)], generator).double()
    x_train, x_test = x[: len(digits.x_train)].clone(), x[len(digits.x_train) :]
    pixels = x.shape[1]

    names = ("matrix of weights", "vector of visible biases", "vector of hidden biases")
    values = parts(answer(x_train), names)
    values = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in values]
    hidden = values[0].shape[-1] if isinstance(values[0], Tensor) and values[0].ndim == 2 else MOST_HIDDEN
    if hidden == pixels and values[0].shape[0] != pixels:
        hidden = values[0].shape[0]  # transposed: `tensor` says so
    if hidden > MOST_HIDDEN:
        raise Wrong(
            f"Your machine has {hidden} hidden units; at most {MOST_HIDDEN} are allowed.",
            "The check goes through all hidden states, and each unit doubles them.",
        )
    diverged = ("Your parameters are not finite: the training diverged.", "Take smaller steps.")
    weights, visible_bias, hidden_bias = (
        tensor(value, shape, name=f"your {name}", not_finite=diverged)
        for value, shape, name in zip(values, ((pixels, hidden), (pixels,), (hidden,)), names, strict=True)
    )

    def score(v: Tensor) -> float:
        return enumerated_log_prob(v, weights, visible_bias, hidden_bias).mean().item()

    simple = independent_pixels(x_test, x_train)
    reached = score(x_test)
    if reached < HELD_OUT_GOAL:
        raise missed(
            f"Your held-out log-likelihood is {reached:.2f} nats an image, the goal is {HELD_OUT_GOAL}",
            (
                hidden > 1 and torch.allclose(weights, weights[:, :1].expand_as(weights), atol=1e-3),
                "; all your hidden units are alike.",
                "Units that start equal stay equal: begin with small random weights.",
            ),
            (
                abs(reached - simple) < 0.3,
                f"; that is no better than independent pixels, {simple:.2f}.",
                "Do the weights grow at all? More epochs, or larger steps.",
            ),
            (
                reached < simple,
                f"; that is worse than independent pixels, {simple:.2f}.",
                "Look at the sign of the gradient (data minus model), then at the size of the steps.",
            ),
            (
                True,
                f"; on the training images it is {score(x_train):.2f}: you underfit.",
                "More epochs, steps that get smaller towards the end, persistent chains, all the hidden units.",
            ),
        )
    return f"{reached:.2f} nats a held-out image (the goal was {HELD_OUT_GOAL}; independent pixels reach {simple:.2f})."
