"""Checks of chapter 1: AUROC and calibration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close
from utils.checks.verdicts import Wrong


def _is_nan(value: Any) -> bool:
    """Whether a value, whatever its type, is one number that is NaN."""
    return value is not None and bool(torch.as_tensor(value).isnan().all())


@exercise("generative.auroc", call="auroc(familiar, strange)")
def auroc(answer: Callable, generator: Generator) -> None:
    def draw(n: int) -> Tensor:
        return torch.randint(0, 6, (n,), generator=generator).double()

    def enumerate_pairs(familiar: Tensor, strange: Tensor, tie: float = 0.5) -> float:
        pairs = itertools.product(familiar.tolist(), strange.tolist())
        won = [1.0 if s > t else tie if s == t else 0.0 for s, t in pairs]
        return sum(won) / len(won)

    n, m = 41, 23
    familiar, strange = draw(n) + 2, draw(m)
    familiar[0], strange[0] = 3, 3  # at least one tie
    familiar[1], strange[1] = 7, 0
    truth, area = (torch.tensor(enumerate_pairs(familiar, strange, tie), dtype=torch.float64) for tie in (0.5, 0.0))
    value = expect.number(answer(familiar, strange), "your AUROC")
    middle = torch.cat([familiar, strange]).median()
    right = ((familiar > middle).sum() + (strange <= middle).sum()) / (n + m)
    close(
        value,
        truth,
        [
            Mistake(1 - truth, "Your AUROC is upside down: familiar should score higher.", "Count s > t, not s < t."),
            Mistake(area, "You count a tie as 0.", "Equal scores do not tell who is who: ½."),
            Mistake(enumerate_pairs(familiar, strange, 1.0), "You count a tie as 1.", "Equal scores count ½."),
            Mistake(
                enumerate_pairs(familiar, strange, 1.5),
                "You count a tie twice: as 1 and as ½.",
                "s > t, plus ½ of s = t.",
            ),
            Mistake(enumerate_pairs(familiar, strange, -0.5), "You subtract the ties.", "Equal scores count + ½."),
            Mistake(-truth, "The sign is wrong: a share is not negative.", "Count the pairs that are won."),
            Mistake(truth - area, "You count the ties only.", "Count s > t, too."),
            Mistake(truth * n * m, "You count the pairs, but do not divide by N · M.", "It is a share of the pairs."),
            Mistake(truth * m, "You divide by N only: there are N · M pairs.", "Take the mean over all pairs."),
            Mistake(truth * n, "You divide by M only: there are N · M pairs.", "Take the mean over all pairs."),
            Mistake(right, "This is the accuracy at one threshold.", "Compare all pairs, without a threshold."),
            Mistake(2 * truth - 1, "This runs from −1 to 1: wins minus losses.", "Count wins, and half of the ties."),
            Mistake(
                value if not 0 <= value <= 1 else -1,
                f"Your AUROC is {value.item():.4g}: a share of the pairs lies between 0 and 1.",
                "The mean over all pairs of 1, ½ or 0.",
                general=True,
            ),
        ],
        name="your AUROC",
        hint="Count for three familiar and two strange scores by hand.",
    )
    value = expect.number(answer(strange, familiar), "your AUROC")
    close(
        value,
        1 - truth,
        [
            Mistake(
                truth,
                "An AUROC below ½ comes out above it: you turn the scores around where that looks better.",
                "Familiar should score higher: where it does not, the AUROC is below ½, and should say so.",
            )
        ],
        name="your AUROC where strange scores are higher",
    )
    # Log probabilities of images: far from 0, and near each other.
    near = expect.number(answer(familiar / 1024 - 1000, strange / 1024 - 1000), "your AUROC")
    close(
        near,
        truth,
        [Mistake(0.5, "You take scores that are close for ties.", "A tie is ==, without any tolerance.")],
        name="your AUROC of scores that are far from 0 and near each other",
        hint="A tie is ==, without any tolerance.",
    )
    same = draw(n)
    one_to_one = ((familiar > same).double() + 0.5 * (familiar == same)).mean()
    value = expect.number(answer(familiar, same), "your AUROC")
    says = "With as many strange as familiar scores you compare s_1 with t_1, s_2 with t_2, …: only N pairs."
    hint = "Every familiar score meets every strange one: `familiar[:, None]`."
    close(
        value,
        torch.tensor(enumerate_pairs(familiar, same)).double(),
        [Mistake(one_to_one, says, hint)],
        name="your AUROC",
    )
    low = torch.full((2,), -math.inf, dtype=torch.float64)
    familiar, strange = torch.cat([familiar, low]), torch.cat([strange, low[:1]])
    value = answer(familiar, strange)
    subtracted, compare = "−∞ − (−∞) is NaN", "Compare the scores; do not subtract them."
    if _is_nan(value):
        raise Wrong(f"Scores of −∞ give you NaN: {subtracted}.", compare)
    finite_ties = enumerate_pairs(familiar, strange) - 0.5 * 2 / (len(familiar) * len(strange))
    close(
        expect.number(value, "your AUROC"),
        torch.tensor(enumerate_pairs(familiar, strange)).double(),
        [Mistake(finite_ties, f"You do not see that two scores of −∞ are a tie: {subtracted}, not 0.", compare)],
        name="your AUROC with scores of −∞",
        hint="−∞ is lower than every number, and equal to −∞.",
    )


@exercise("generative.calibration_error", call="calibration_error(probs, y, n_bins)")
def calibration_error(answer: Callable, generator: Generator) -> None:
    for n_bins, classes in ((10, 4), (7, 3)):
        _calibration(answer, generator, n_bins, classes)
    probs, y = draw.weights(generator, 9, 3), torch.randint(0, 3, (9,), generator=generator)
    alone = ((probs.argmax(-1) == y).double().mean() - probs.amax(-1).mean()).abs()
    close(expect.number(answer(probs, y, 1), "your calibration error"), alone, name="your error with a single bin")


def _calibration(answer: Callable, generator: Generator, n_bins: int, classes: int) -> None:
    n = 80
    # Too modest in one bin, too sure in the next one: whose bins are others sees the two cancel. Four are certain.
    confidence = 0.4 + 0.6 * draw.uniform(generator, n)
    confidence = torch.where((confidence > 0.7) & (confidence < 0.8), 0.65, confidence)  # an empty bin of ten
    near_an_edge = (confidence * n_bins - (confidence * n_bins).round()).abs() < 1e-2
    confidence = torch.where(near_an_edge, confidence - 0.03 / n_bins, confidence)
    confidence[:4] = 1
    predicted = torch.randint(0, classes, (n,), generator=generator)
    other = ((1 - confidence) / 2)[:, None].expand(n, classes)
    probs = torch.where(one_hot(predicted, classes).bool(), confidence[:, None], other)
    even = (confidence * n_bins).long().clamp(max=n_bins - 1) % 2 == 0
    wrong = draw.uniform(generator, n) < torch.where(even, 0.9, 0.05)
    wrong[:4] = torch.tensor([True, True, False, True])
    y = torch.where(wrong, (predicted + 1) % classes, predicted)
    right = (~wrong).double()

    def gaps(confidence: Tensor, right: Tensor, low: float = 0.0, n_bins: int = n_bins) -> tuple[Tensor, Tensor]:
        """Number of examples, and accuracy minus confidence, of each bin that has any."""
        counts, differences = [], []
        edges = torch.linspace(low, 1, n_bins + 1, dtype=torch.float64).tolist()
        for left, end in itertools.pairwise(edges):
            inside = (confidence >= left) & ((confidence < end) | (end == edges[-1]))
            if inside.any():
                counts.append(inside.sum())
                differences.append(right[inside].mean() - confidence[inside].mean())
        return torch.stack(counts).double(), torch.stack(differences)

    count, gap = gaps(confidence, right)
    truth = (count * gap.abs()).sum() / n
    below = confidence < 1
    count_below, gap_below = gaps(confidence[below], right[below])
    lost = (count_below * gap_below.abs()).sum()
    of_class_1 = gaps(probs[:, 1], (y == 1).double())
    stretched = gaps(confidence, right, low=1 / classes)

    def with_bins(m: int) -> Tensor:
        number, difference = gaps(confidence, right, n_bins=m)
        return (number * difference.abs()).sum() / n

    def grouped(which: Tensor) -> Tensor:
        """The error if these were the bins' numbers."""
        return sum((right - confidence)[which == m].sum().abs() for m in which.unique()) / n

    between = gaps(confidence, right, low=confidence.min().item())
    value = answer(probs, y, n_bins)
    if _is_nan(value):
        raise Wrong("You get NaN: an empty bin is 0/0.", "Leave out the bins without examples; they count nothing.")
    value = expect.number(value, "your calibration error")
    # With few bins all cancels, as it does with a single one. The nearest number first: several may give this error.
    counts = sorted(range(2, 26), key=lambda m: abs(m - n_bins))
    others = [m for m in counts[1:] if m == n_bins - 1 or abs(with_bins(m) - with_bins(1)) > 1e-4]
    found = [m for m in others if abs(with_bins(m) - value) < 1e-9]
    likely = f"with {' or '.join(map(str, found))} bins" if len(found) < 3 else "of other bins"
    names_the_last_bin = "A confidence of exactly 1 belongs to the last bin: mind `<` and `<=`."
    close(
        value,
        truth,
        [
            Mistake(
                gap.abs().mean(),
                "You average over the bins as if all were equally full.",
                "Weigh each bin with N_m / N.",
            ),
            Mistake(
                gap.abs().sum() / n_bins,
                "You average over the bins as if all were equally full.",
                "Weigh each bin with N_m / N.",
            ),
            Mistake(gap.abs().sum(), "You sum the bins without their weights.", "Weigh each bin with N_m / N."),
            Mistake((count * gap.abs()).sum(), "The weights are N_m / N: the division by N is missing.", ""),
            *(
                Mistake(
                    value,
                    "Too sure in one bin and too modest in another cancel: the absolute value comes too late or never.",
                    "Take |accuracy − confidence| in each bin, then sum.",
                )
                for value in ((count * gap).sum() / n, -(count * gap).sum() / n)
            ),
            Mistake(
                (right - confidence).abs().mean(),
                "You compare example by example: one example is either right or wrong, never 70 % right.",
                "Average in each bin first, then take the absolute difference.",
            ),
            Mistake((count * gap.square()).sum() / n, "You square the differences.", "Take their absolute values."),
            Mistake(
                (count * gap.square()).sum().div(n).sqrt(), "You square the differences.", "Take their absolute values."
            ),
            Mistake(gap.abs().max(), "This is the worst bin, not the weighted mean of all.", "Sum N_m / N · |…|."),
            Mistake(lost / n, "You lose the examples of confidence 1.", names_the_last_bin),
            Mistake(lost / below.sum(), "You lose the examples of confidence 1.", names_the_last_bin),
            Mistake(
                (of_class_1[0] * of_class_1[1].abs()).sum() / n,
                "You take the probability of class 1, as if there were two classes.",
                "Confidence is the highest probability in the row.",
            ),
            Mistake(
                (stretched[0] * stretched[1].abs()).sum() / n,
                "Your bins start at 1/C.",
                "They divide the whole range from 0 to 1.",
            ),
            Mistake(
                (between[0] * between[1].abs()).sum() / n,
                "Your bins start at the lowest confidence.",
                "They divide the whole range from 0 to 1.",
            ),
            Mistake(
                grouped((confidence * n_bins).round()),
                "You round to the nearest edge: your bins are centered at m / `n_bins`.",
                "Bin m goes from m / `n_bins` to (m + 1) / `n_bins`: round down.",
            ),
            Mistake(
                value if found else -1,
                f"This is the error {likely}; `n_bins` is {n_bins}.",
                "Edges at m / `n_bins`.",
                general=len(found) > 2,
            ),
            Mistake(1 - right.mean(), "This is the error rate.", "Compare accuracy and confidence in each bin."),
        ],
        name="your calibration error",
        hint="Take `n_bins` = 1 first: |accuracy − mean confidence|.",
    )
