"""Checks of chapter 13: changes of low rank."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor


def _change(generator: Generator, out: int, into: int, sizes: list[float]) -> Tensor:
    """A matrix with these singular values."""
    u = torch.linalg.qr(draw.normal(generator, out, len(sizes))).Q
    v = torch.linalg.qr(draw.normal(generator, into, len(sizes))).Q
    return u * torch.tensor(sizes, dtype=torch.float64) @ v.T


@exercise("lm.lora_fit", call="lora_fit(change, rank, alpha)")
def lora_fit(answer: Callable, generator: Generator) -> None:
    for out, into, sizes, rank, alpha in (
        (7, 5, [8.0, 3.1, 1.7, 0.9, 0.2], 2, 5.0),
        (4, 9, [600.0, 2.3, 0.04, 0.007], 3, 0.5),
        (6, 8, [1.9, 1.3, 0.6, 0.5, 0.3, 0.1], 1, 3.0),
        (5, 6, [2.7, 1.2], 4, 7.0),  # of a lower rank than was asked for
    ):
        change = _change(generator, out, into, sizes)
        given = parts(answer(change, rank, alpha), ("A", "B"))
        swapped = [Mistake((out, rank), "this is B", "Return A, (r, in), then B, (out, r).")]
        a = tensor(given[0], (rank, into), name="A", shapes=swapped)
        b = tensor(given[1], (out, rank), name="B")
        _best(a, b, change, rank, alpha)


def _best(a: Tensor, b: Tensor, change: Tensor, rank: int, alpha: float) -> None:
    value = alpha / rank * b @ a
    u, s, vh = torch.linalg.svd(change, full_matrices=False)
    whole_u, _, whole_vh = torch.linalg.svd(change)
    most = min(rank, len(s))

    def made(sizes: Tensor, chosen: slice = slice(rank)) -> Tensor:
        return u[:, chosen] * sizes[chosen] @ vh[chosen]

    truth, scale = made(s), alpha / rank
    scaling = "y = W x + (α / r) B A x: divide the best matrix by α / r before you cut it into two."
    large = "torch.linalg.svd sorts them, the largest first: take the first r."
    left = (value - change).square().sum()
    least = (truth - change).square().sum()
    mistakes = [
        Mistake(scale * truth, "B A is the best matrix, but what is added is α / r times that.", scaling),
        Mistake(scale**2 * truth, "You multiply by α / r: it should be divided out.", scaling),
        Mistake(truth / rank, "You divide by α, but not by α / r.", scaling),
        Mistake(truth * alpha, "The rank is in the scaling, but not α.", scaling),
        Mistake(scale**0.5 * truth, "You took the root of α / r out of one of the two matrices only.", scaling),
        Mistake(made(torch.ones_like(s)), "The singular values are missing.", "B A = U S Vᵀ, cut off after r."),
        Mistake(
            scale * made(torch.ones_like(s)), "The singular values are missing, and the scaling, too.", "B A = U S Vᵀ."
        ),
        Mistake(
            made(s**2),
            "The singular values are in both matrices: the product has their squares.",
            "Give them to one of the two, or their roots to both.",
        ),
        Mistake(
            made(s**0.5),
            "The product has the roots of the singular values.",
            "Give them to one of the two, or their roots to both.",
        ),
        Mistake(-truth, "The sign is wrong.", "B A = U S Vᵀ, cut off after r."),
        Mistake(change, "This is the whole change: B A has rank r.", large),
        Mistake(
            torch.zeros_like(change),
            "Nothing is changed: "
            + (
                "you keep directions in which Δ does nothing, as with the smallest eigenvalues."
                if a.any() and b.any()  # zero up to rounding
                else "one of the matrices is 0."
            ),
            f"{large} `eigh` sorts the smallest first.",
        ),
        Mistake(truth / scale, "You divide by α / r twice: once in each matrix, or by its square.", scaling),
        Mistake(
            u[:, :most] * s[:most] @ whole_vh[:, :most].T,
            "You take columns of Vᵀ for the vectors.",
            "`svd` returns Vᵀ, `vh`: its rows are the vectors, `vh[:r]`.",
        ),
        Mistake(
            whole_u[:most].T * s[:most] @ vh[:most],
            "You take rows of U for the vectors.",
            "The columns of U are the vectors: `u[:, :r]`.",
        ),
        Mistake(
            value if left > least * (1 + 1e-6) + 1e-12 else truth,
            f"The sum of squares that remains is {left:.6g}; with the best matrix of rank {rank} it is {least:.6g}.",
            f"{large} {scaling}",
            general=True,
        ),
    ]
    if len(s) > rank:
        mistakes += [
            Mistake(made(s, slice(-rank, None)), "You keep the smallest singular values.", large),
            Mistake(made(s, slice(1, rank + 1)), "You begin with the second singular value.", large),
        ]
    close(value, truth, mistakes, name="(α / r) B A", hint=scaling)
