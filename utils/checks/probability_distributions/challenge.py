"""Checks of chapter 2: digits in few bits."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks.challenges import ask, changed_copies, first_moved, returned_function, turned_digits
from utils.checks.engine import exercise
from utils.checks.expect import tensor
from utils.checks.verdicts import Wrong

# Bits of new digits as a share of what independent pixels take on the same images (35.8 to 36.3), over seeds 0 to 11.
# Counts over the pixel on the left: 0.951 to 0.957, above: 0.881 to 0.892, over both: 0.842 to 0.853. These fail. A
# logistic regression a pixel, fitted to all at once: 0.75 to 0.77.
COMPRESS_GOAL = 5 / 6


@exercise("dist.compress", call="fit_pixels(x_train)", seconds=60)
def compress(answer: Callable, generator: Generator) -> str:
    binary = (turned_digits(generator) >= 0.5).double()
    x_train, x = binary[:1297].clone(), binary[1297:]
    predict = returned_function(answer(x_train), "predict(x)", "Return `predict` itself, to be called on x.")
    few = x[torch.randperm(len(x), generator=generator)[:8]]
    (p,), (p_train,), (p_few,), *copies = ask(
        lambda x: (_probabilities(predict, x),),
        *(x, x_train, few, *(copy.flatten(0, 1) for copy in changed_copies(few, generator))),
        generator=generator,
        unlike=Wrong(
            "The prediction for an image depends on which other images you are asked about, or when.",
            "Use only x_train in `fit_pixels`; treat each new image by itself, and keep nothing.",
        ),
        tolerance=1e-5,
    )
    _causal(p_few, [copy.unflatten(0, (len(few), -1)) for (copy,) in copies])
    frequency = (x_train.sum(0) + 0.5) / (len(x_train) + 1)
    bits, base = _bits(p, x), _bits(frequency.expand_as(x), x)
    goal = COMPRESS_GOAL * base
    if bits <= goal:
        return f"{bits:.1f} bits an image; independent pixels take {base:.1f}, the goal was {goal:.1f}."
    if math.isinf(bits):
        raise Wrong(
            "You say 0 or 1, and it comes otherwise: such a pixel costs infinitely many bits.",
            "Keep every probability away from 0 and 1: add a half to each count.",
        )
    if _bits(1 - p, x) <= goal:
        raise Wrong("Your probabilities are those of a 0.", "Return the probability that a pixel is 1.")
    seen = _bits(p_train, x_train)
    says = f"Your code takes {bits:.1f} bits an image, the goal is {goal:.1f}"
    if seen < bits - 4:
        raise Wrong(
            f"{says}; on the training images it is {seen:.1f}: you overfit.", "Fewer neighbors, more smoothing."
        )
    if bits > 0.99 * base:
        raise Wrong(
            f"{says}: you are no better than independent pixels, which take {base:.1f}.",
            "Let the prediction of a pixel depend on the pixels before it.",
        )
    raise Wrong(
        f"{says}; independent pixels take {base:.1f}: you use too little of the pixels before.",
        "The pixels above, to the left and on the diagonals all help.",
    )


def _probabilities(predict: Callable, x: Tensor) -> Tensor:
    p = predict(x)
    if isinstance(p, Tensor) and p.is_floating_point():
        p = p.double()
    p = tensor(p, x.shape, name="your prediction")
    if p.min() < -1e-6 or p.max() > 1 + 1e-6:  # room for the rounding of float32
        worst = p.min() if p.min() < 0 else p.max()
        raise Wrong(
            f"Your prediction holds {worst:.3g}, which is no probability.", "Turn scores into probabilities: `sigmoid`."
        )
    return p.clamp(0, 1)


def _causal(before: Tensor, after: list[Tensor]) -> None:
    """Raise if the prediction of a pixel, (n, D), changed with later pixels or with itself, (n, D, D) each."""
    own, *later = after
    for p, what in (*((p, "on later pixels") for p in later), (own, "on that pixel itself")):
        if (d := first_moved(before, p, atol=1e-5)) is not None:
            raise Wrong(
                f"Your prediction of pixel {d} depends {what}, which the decoder does not know yet.",
                "Pixel d may depend on pixels 0 to d − 1 only: check your indices, or use `tril(-1)`.",
            )


def _bits(p: Tensor, x: Tensor) -> float:
    """Mean code length of images, in bits."""
    return -torch.where(x == 1, p, 1 - p).log2().sum(1).mean().item()
