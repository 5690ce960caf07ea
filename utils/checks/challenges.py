"""What challenges share: a model that the answer returns as a function, and a number that it must reach on new data.

A number is easy to reach for a function that knows what it is asked: by the count of the rows, by the order of the
questions, because it kept what it saw before, or because the truth lies in `data/`. So all questions come mixed, in
batches of one size, some of them twice, and about examples that lie nowhere: see `ask` and `turned_digits`.
What an answer is given to train on is a copy, since a slice of a tensor holds the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

from utils.checks import draw
from utils.checks.guard import guard
from utils.checks.verdicts import Wrong
from utils.data import load

CONTRAST = 1.5  # gives back what interpolation takes


def returned_function(returned: Any, call: str, hint: str) -> Callable:
    """What the answer returned, if it is a function: guarded, to be called as `call`."""
    if not callable(returned):
        raise Wrong(f"Your function returns a `{type(returned).__name__}`, not a function.", hint)
    return guard(returned, call)


def missed(says: str, *reasons: tuple[bool, str, str]) -> Wrong:
    """What to raise where a number is not reached: of the reasons that there may be, the first that holds.

    Args:
        says: what was reached and what is the goal.
        reasons: whether it holds, how the sentence goes on, and the hint; the last one always holds.
    """
    return next(Wrong(says + reason, hint) for holds, reason, hint in reasons if holds)


def ask(
    function: Callable[[Tensor], tuple[Tensor, ...]],
    *questions: Tensor,
    generator: Generator,
    unlike: Wrong,
    size: int = 500,
    tolerance: float = 1e-4,
) -> list[tuple[Tensor, ...]]:
    """What `function` says to all questions, asked in one shuffled row of equal batches, so that none is recognized.

    A tenth of the rows is asked twice, each time among other rows; the answers must be equal.

    Args:
        function: from a batch of rows to tensors with as many rows.
        questions: tensors of rows; what is said to each comes back in this order.
        unlike: what to raise where one row got two answers.
        size: rows in a batch.
        tolerance: relative and absolute, of "equal".
    """
    rows = torch.cat(questions)
    again = torch.randperm(len(rows), generator=generator)[: max(1, len(rows) // 10)]
    asked = torch.cat([torch.arange(len(rows)), again])
    missing = -len(asked) % min(size, len(asked))
    asked = torch.cat([asked, torch.randint(len(rows), (missing,), generator=generator)])
    asked = asked[torch.randperm(len(asked), generator=generator)]
    said = [function(rows[batch]) for batch in asked.split(min(size, len(asked)))]
    answers = []
    for part in zip(*said, strict=True):
        values = torch.cat(part)
        answer = torch.empty(len(rows), *values.shape[1:], dtype=values.dtype)
        answer[asked] = values
        if not torch.allclose(answer[asked], values, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise unlike
        answers.append(answer)
    ends = torch.tensor([len(one) for one in questions]).cumsum(0).tolist()
    return [tuple(answer[end - len(one) : end] for answer in answers) for one, end in zip(questions, ends, strict=True)]


def changed_copies(x: Tensor, generator: Generator) -> list[Tensor]:
    """Copies (n, D, D) of binary rows (n, D). In copy d, entry d is another; or all later ones are; or some of them."""
    place = torch.arange(x.shape[1])
    copies = x[:, None].expand(-1, len(place), -1)
    own, later = place == place[:, None], place > place[:, None]
    noise = draw.bits(generator, *copies.shape)
    return [
        torch.where(own, 1 - copies, copies),
        torch.where(later, 1 - copies, copies),
        torch.where(later, noise, copies),
    ]


def first_moved(before: Tensor, after: Tensor, atol: float, rtol: float = 0.0) -> int | None:
    """The first d whose answer in `before`, (n, D), is another one in copy d, in `after`, (n, D, D)."""
    moved = (after.diagonal(dim1=1, dim2=2) - before).abs() > atol + rtol * before.abs()  # (n, D)
    return int(moved.any(0).nonzero()[0]) if moved.any() else None


def refuse_better_than(truth: float, reached: float, slack: float) -> None:
    """Raise if a density claims more nats a held-out point than the distribution that drew the points."""
    if reached > truth + slack:
        raise Wrong(
            f"You claim {reached:.2f} nats a held-out point; the distribution that drew them has {truth:.2f}, and no "
            "density can be better.",
            "Was it made to fit the points that it is asked about?",
        )


def turned_digits(generator: Generator) -> Tensor:
    """The 1,797 gray digits, (N, 64), shuffled and each a little turned, shifted and scaled: none lies in `data/`.

    By up to 8 degrees, a third of a pixel and 5 percent; between pixels, values are interpolated, and the contrast is
    restored.
    """
    digits = load("digits").flat()
    images = torch.cat([digits.x_train, digits.x_test]).double()
    images = images[torch.randperm(len(images), generator=generator)].reshape(-1, 1, 8, 8)

    def uniform(most: float) -> Tensor:
        return most * (2 * torch.rand(len(images), generator=generator, dtype=images.dtype) - 1)

    angle, scale = uniform(math.radians(8)), 1 + uniform(0.05)
    right, down = uniform(1 / 12), uniform(1 / 12)  # the picture is 2 wide
    rows = [scale * angle.cos(), -scale * angle.sin(), right, scale * angle.sin(), scale * angle.cos(), down]
    grid = affine_grid(torch.stack(rows, -1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    gray = grid_sample(images, grid, align_corners=False).flatten(1)
    return (0.5 + CONTRAST * (gray - 0.5)).clamp(0, 1)


def independent_pixels(x: Tensor, x_train: Tensor) -> float:
    """The simple baseline: mean log p of binary images, each pixel on its own, in nats an image."""
    p = (x_train.sum(0) + 1) / (len(x_train) + 2)
    return (torch.xlogy(x, p) + torch.xlogy(1 - x, 1 - p)).sum(-1).mean().item()
