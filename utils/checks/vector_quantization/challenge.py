"""Checks of chapter 7: sixteen bits for an image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from utils.checks.challenges import ask, missed, returned_function, turned_digits
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, parts, tensor

STAGES, CODES, PIXELS = 4, 16, 64
STARTS = 8  # of the baseline, whose error differs by a percent from start to start
# Of the error of residual k-means, whose codes are taken stage by stage: 0.94 to 0.95 with the same codebooks and the
# best of all codes, 0.92 to 0.93 with codebooks fitted together, by a ridge, to turned copies (seeds 0 and 1).
GOAL = 0.935


@exercise("vq.compress", call="train_codebooks(x_train)", seconds=60)
def compress(answer: Callable, generator: Generator) -> str:
    gray = turned_digits(generator)
    x_train, x_test = gray[:1297].clone(), gray[1297:]
    simple = sum(_residual_k_means(x_train, x_test, generator) for _ in range(STARTS)) / STARTS
    flat = (x_test - x_train.mean(0)).square().sum(1).mean().item()
    goal = GOAL * simple
    truth, of_seen = _kept(x_test), _kept(x_train[:300])
    returned = parts(answer(x_train), ("codebooks", "encode"))
    shapes = [
        Mistake((CODES, STAGES, PIXELS), "codes and codebooks are exchanged", "The codebook comes first."),
        Mistake((CODES, PIXELS), "there is one codebook only", f"{STAGES} of them: `torch.stack`."),
        Mistake(
            (STAGES * CODES, PIXELS), "the codebooks stand in one list", f"`reshape({STAGES}, {CODES}, {PIXELS})`."
        ),
    ]
    books = returned[0].double() if isinstance(returned[0], Tensor) else returned[0]
    diverged = ("Your codebooks are not finite.", "Did nobody choose a code, and you divide by 0?")
    books = tensor(books, (STAGES, CODES, PIXELS), name="your codebooks", not_finite=diverged, shapes=shapes)
    kept = _kept(books)
    guarded = returned_function(returned[1], "encode(x)", "Return `encode` itself, to be called on new images.")

    def encode(x: Tensor) -> tuple[Tensor]:
        shapes = [Mistake((STAGES, len(x)), "stages stand first", "One row for each image.")]
        codes = tensor(guarded(x), (len(x), STAGES), torch.int64, "your codes", shapes=shapes)
        if codes.min() < 0 or codes.max() >= CODES:
            raise Wrong(
                f"Your codes go from {codes.min().item()} to {codes.max().item()}: a code is one of 0 to {CODES - 1}.",
                "Each stage has its own numbers, from 0.",
            )
        return (codes.double(),)

    unlike = Wrong(
        "The codes of an image depend on which other images are encoded with it, or on when.",
        "`encode` works row by row: nothing random, nothing remembered.",
    )
    with torch.no_grad():
        (codes,), (codes_of_seen,) = ask(encode, x_test, x_train[:300], generator=generator, unlike=unlike)
        reached, seen = _error(kept, codes, truth), _error(kept, codes_of_seen, of_seen)
        if reached <= goal:
            others = f"residual k-means reaches {simple:.3f}, the mean image {flat:.2f}"
            return f"Squared error {reached:.4f} a held-out image (the goal was {goal:.4f}; {others})."
        books, x_test = _array(kept, STAGES, CODES, PIXELS), _array(truth, -1, PIXELS)
        best = _error(kept, _best_codes(books, x_test), truth)
        in_stages = (_nearest_in_stages(books, x_test) == codes.long()).double().mean() > 0.99
    used = [len(codes[:, stage].unique()) for stage in range(STAGES)]
    few = used.index(min(used))
    raise missed(
        f"Your squared error is {reached:.4f} a held-out image, the goal is {goal:.4f}",
        (
            best > flat and reached > flat,
            f"; the mean image alone has {flat:.2f}.",
            "The check adds up one code of each codebook: `sum(codebooks[s][codes[:, s]] for s in range(4))`.",
        ),
        (
            best < 0.8 * reached and not in_stages,
            f"; with the best codes, your codebooks would reach {best:.3f}: `encode` does not belong to them.",
            "Are stages and codes in the order of `codebooks`? Are these the last ones?",
        ),
        (
            min(used) < CODES // 2,
            f"; of stage {few} only {min(used)} codes are in use: bits that nobody needs.",
            "Start a code at a vector of the data; revive those that are dead.",
        ),
        (
            best < 0.99 * reached,
            f"; with the best codes, your codebooks would reach {best:.3f}: stage by stage, `encode` misses them.",
            "A code that is not the nearest may leave less for the stages after it: keep several, or try all 65,536.",
        ),
        (
            reached < 1.02 * simple and seen < 0.75 * reached,
            f"; on training images it is {seen:.3f}: you overfit.",
            "More images: turn and shift copies a little, and give back the contrast. And a ridge: codes that few "
            "images chose are drawn towards the mean.",
        ),
        (
            True,
            f"; residual k-means reaches {simple:.3f}.",
            "With all codes fixed, the best codebooks, all four together, are a least-squares fit: alternate. It "
            "overfits 1,297 images: add a ridge, and copies turned and shifted a little, the contrast given back.",
        ),
    )


def _kept(values: Tensor) -> bytes:
    """The numbers, where nothing that `encode` may find and overwrite changes them."""
    return values.detach().double().numpy().tobytes()


def _array(kept: bytes, *shape: int) -> Tensor:
    return torch.tensor(np.frombuffer(kept)).reshape(shape)


def _error(books: bytes, codes: Tensor, x: bytes) -> float:
    """Mean squared error, summed over the pixels, of what the codes alone say."""
    of_stage = np.frombuffer(books).reshape(STAGES, CODES, PIXELS)
    said = of_stage[np.arange(STAGES), codes.long().numpy()].sum(1)
    return float(((said - np.frombuffer(x).reshape(-1, PIXELS)) ** 2).sum(1).mean())


def _nearest_in_stages(books: Tensor, x: Tensor) -> Tensor:
    """The nearest code of each stage for what the stages before have left."""
    codes = []
    for book in books:
        codes.append((x[:, None] - book).square().sum(-1).argmin(1))
        x = x - book[codes[-1]]
    return torch.stack(codes, 1)


def _best_codes(books: Tensor, x: Tensor) -> Tensor:
    """Of all combinations of codes, the nearest to each image."""
    everything = torch.cartesian_prod(*[torch.arange(CODES)] * STAGES)  # (65536, 4)
    pictures = books[torch.arange(STAGES), everything].sum(1).float()
    half = pictures.square().sum(1) / 2
    nearest = [(half - part @ pictures.T).argmin(1) for part in x.float().split(100)]
    return everything[torch.cat(nearest)]


def _residual_k_means(x: Tensor, x_new: Tensor, generator: Generator) -> float:
    """The simple baseline: k-means of what the stages before have left, and the nearest code in each stage."""
    for _ in range(STAGES):
        book = x[torch.randperm(len(x), generator=generator)[:CODES]].clone()
        for _ in range(15):
            nearest = torch.cdist(x, book).argmin(1)
            counts = torch.bincount(nearest, minlength=CODES)[:, None]
            book = torch.where(counts > 0, torch.zeros_like(book).index_add_(0, nearest, x) / counts.clamp(min=1), book)
        x, x_new = (rows - book[torch.cdist(rows, book).argmin(1)] for rows in (x, x_new))
    return x_new.square().sum(1).mean().item()
