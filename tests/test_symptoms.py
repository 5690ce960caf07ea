"""What a wrong result looks like is told where it explains every entry, and nowhere else; two rules are told as two."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from utils.checks import expect
from utils.checks.expect import Mistake, close
from utils.checks.symptoms import symptom
from utils.checks.verdicts import Wrong


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


X, SQUARE, LINE, CUBE = normal(5, 3), normal(4, 4), normal(6), normal(2, 3, 3)
P = X.softmax(-1)
FOUR = normal(2, 4, 3)
MASK = LINE.repeat(9) > 0
ROWS = torch.tensor([2, 0, 1, 4, 3])
ORDER = torch.tensor([5, 12, 3, 9, 0, 14, 7, 1, 15, 4, 11, 6, 2, 8, 13, 10])


def changed(t: Tensor, at: object, to: object) -> Tensor:
    t = t.clone()
    t[at] = to
    return t


@pytest.mark.parametrize(
    ("value", "truth", "says"),
    [
        (SQUARE.T, SQUARE, "Rows and columns are swapped"),
        (CUBE.mT, CUBE, "axes come in another order: yours are the right axes [0, 2, 1]"),
        (X.T.reshape(5, 3), X, "`reshape` does not swap axes"),
        (2 * X, X, "Every entry is 2 times the right one."),
        (X / 2, X, "Every entry is ½ times the right one."),
        (-2 * X, X, "−2 times"),
        (math.pi * X, X, "π times"),
        (5 * X, X, "5 times the right one, as if a sum stood for a mean"),
        (X / 40, X, "divided by 40, as if a sum stood for a mean or a mean for a sum"),
        (1.37 * X, X, "Every entry is 1.37 times the right one"),
        (X / math.log(2), X, "to base 2"),
        (X + 0.25, X, "Every entry is 0.25 (¼) too large"),
        (X - math.log(2), X, "0.693147 (log 2) too small"),
        (-X, X, "Every entry has the wrong sign"),
        (LINE.roll(1), LINE, "All is rolled by one: what belongs at 0 stands at 1"),
        (changed(LINE.roll(1), 0, 9.0), LINE, "one place too far down"),
        (changed(X.roll(-1, 0), -1, 9.0), X, "one place too far up"),
        (X.flip(1), X, "The order is reversed along axis 1"),
        (X[ROWS], X, "The rows are right, but stand in another order"),
        (SQUARE.flatten()[ORDER].reshape(4, 4), SQUARE, "numbers stand in other places"),
        (P * LINE[:5, None].abs(), P, "right up to a factor that each has of its own"),
        (X + LINE[:5, None], X, "right up to a constant that is added to each"),
        (X[:1].expand(5, 3), X, "All rows are alike, equal to the first of the right ones"),
        (X.mean(0).expand(5, 3), X, "All rows are alike, equal to the mean"),
        (changed(X, slice(1, None), 0.0), X, "Only the first row is right; all wrong entries are 0."),
        (changed(CUBE, (slice(None), slice(None), slice(1, None)), 9.0), CUBE, "Only the first slice along axis 2 is"),
        (changed(FOUR, (slice(None), slice(1, 3)), 9.0), FOUR, "The slices 1, 2 along axis 1 are wrong, and no others"),
        (changed(FOUR, (slice(None), 1), 9.0), FOUR, "Only slice 1 along axis 1 is wrong, all of it"),
        (changed(X, (slice(None), 1), -X[:, 1]), X, "Only column 1 is wrong, all of it; each wrong entry has"),
        (changed(LINE, -1, 3.0), LINE, "Only the last entry is wrong."),
        (changed(X, 0, math.nan), X, "NaN stands in row 0"),
        (changed(X, (2, 1), math.inf), X, "Infinity stands at [2, 1]"),
        (P.square(), P, "the square of the right one"),
        (P.sqrt(), P, "the square root of the right one"),
        (P.log(), P, "the logarithm of the right one"),
        (P.exp(), P, "the exponential of the right one"),
        (1 - P, P, "one minus the right one"),
        (X.abs(), X, "the absolute value of the right one"),
        (X.clamp(min=-0.1), X, "raised to -0.1, below which nothing goes"),
        (X.cumsum(0), X, "The sums run on along axis 0"),
        (SQUARE.diag().diag(), SQUARE, "Only the diagonal is right; all wrong entries are 0."),
        (SQUARE.tril(), SQUARE, "above the diagonal"),
        (X.softmax(0), P, "should sum to one along axis 1, yours do along axis 0"),
        (torch.zeros(5, 3), X, "All entries are 0."),
        ((~MASK).double(), MASK.double(), "one minus the right one"),
        (torch.tensor([4, 3, 6, 2, 9]), torch.tensor([3, 2, 5, 1, 8]), "Every entry is 1 too large"),
        (torch.tensor(-0.7312345), torch.tensor(0.7312345), "It has the wrong sign"),
        (2 * LINE[0], LINE[0], "It is 2 times the right one"),
        (LINE[0] / math.log(2), LINE[0], "to base 2"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_symptom_is_told(value, truth, says):
    assert says in symptom(value, truth)
    with pytest.raises(Wrong, match="Your loss should be ") as caught:
        close(value.to(truth.dtype), truth, name="your loss")
    assert caught.value.message.startswith(symptom(value.to(truth.dtype), truth))


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (1.37 * LINE[0], LINE[0]),
        (LINE[0] + 0.3, LINE[0]),
        (torch.tensor(0.5), torch.tensor(0.25)),  # round numbers
        (torch.tensor(24.0), torch.tensor(12.0)),  # counts
        (torch.tensor(24 / 943).double(), torch.tensor(12 / 943).double()),  # shares
        (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])),  # reversed, or negated, or guessed
        (LINE[:2] * 1.7, LINE[:2] * torch.tensor([1.0, 2.0])),
        (X + 0.1 * normal(7, 3)[2:], X),
        (X, X * math.nan),
        (torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])),
    ],
)
def test_what_the_data_cannot_tell_is_no_symptom(value, truth):
    assert symptom(value, truth) == ""


def test_what_two_rules_explain_is_told_as_both():
    truth = torch.tensor([1.5, -0.3, 0.3, -1.5], dtype=torch.float64)
    assert symptom(-truth, truth) == "Either the order is reversed, or every entry has the wrong sign."


def test_mistakes_that_coincide_are_told_as_all_of_them():
    mistakes = [Mistake(2 * X, "You lost ½.", "Look."), Mistake(X, "Never made."), Mistake(X + X, "You add twice.")]
    with pytest.raises(Wrong) as caught:
        close(2 * X, X + 0.1, mistakes)
    assert caught.value.message == "Several mistakes give this result. Either: You lost ½. Or: You add twice."
    assert caught.value.hint == "Look."


def test_a_general_mistake_gives_way_to_a_special_one():
    general, special = Mistake(2 * X, "This is no density.", general=True), Mistake(2 * X, "You lost ½.")
    for mistakes, says in (([general, special], "You lost ½."), ([general], "This is no density.")):
        with pytest.raises(Wrong) as caught:
            close(2 * X, X, mistakes)
        assert caught.value.message == says


def test_a_mistake_of_tiny_numbers_is_not_that_of_zero():
    tiny = [Mistake(1e-8 * P, "You return the joint.")]
    with pytest.raises(Wrong, match="You return the joint"):
        close(1e-8 * P, P, tiny)
    with pytest.raises(Wrong, match="All entries are 0"):
        close(torch.zeros_like(P), P, tiny)


@pytest.mark.parametrize("one", [1.5, np.float64(1.5), np.float32(1.5), np.array([1.5]), torch.tensor([[1.5]])])
def test_one_number_may_be_of_any_kind(one):
    assert expect.number(one) == torch.tensor(1.5, dtype=torch.float64)


@pytest.mark.parametrize("one", [True, np.True_, torch.tensor(True), np.array(True)])
def test_true_may_be_of_any_kind(one):
    assert expect.truth_value(one) is True


@pytest.mark.parametrize("one", [1, "yes", None, torch.tensor([True]), np.array([True]), torch.tensor(1.0)])
def test_what_is_not_true_or_false_is_told(one):
    with pytest.raises(Wrong, match="should be True or False"):
        expect.truth_value(one)


def test_small_integers_are_indices():
    assert expect.tensor(torch.tensor([1, 2], dtype=torch.int32), (2,), torch.int64).dtype == torch.int64
    with pytest.raises(Wrong, match="uint8"):  # an index of this type is taken for a mask
        expect.tensor(torch.tensor([1, 2], dtype=torch.uint8), (2,), torch.int64)


def test_small_numbers_left_out_are_not_called_rounded():
    truth = torch.tensor([0.31, -0.22, 0.13, 0.44, -0.35], dtype=torch.float64)
    value = truth.clone()
    value[2:] = 0  # what is left out is 0, as is any of these numbers, rounded
    assert "rounded" not in symptom(value, truth)
    assert "rounded" in symptom((5 * truth).round(), 5 * truth)


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        (torch.tensor([[0.2, 0.8], [0.7, 0.3]]), True),  # shares
        (torch.tensor([0.2, 0.5, 0.3]), True),
        (torch.tensor([[2.0, 0.3], [0.3, 1.0]]), False),  # a covariance
        (torch.tensor([0.0, 1 / 3, 2 / 3, 0.0]), False),  # a gradient that sums to one by chance
        (torch.tensor([3.0, 1.0, 2.0, 5.0]), False),  # a series
    ],
    ids=["rows of shares", "shares", "covariance", "gradient", "series"],
)
def test_a_negative_number_is_strange_only_among_shares(truth, told):
    value = truth + 0.1 * torch.arange(truth.numel()).reshape(truth.shape).square() - 0.75
    assert ("negative number" in symptom(value, truth)) == told


def test_numbers_that_look_alike_are_told_with_more_digits_and_as_of_float32():
    truth = torch.tensor([[2000.0, 13.97612345], [0.3, 13.97612345]], dtype=torch.float64)
    value = changed(truth, (1, 1), 13.97612345 * (1 + 1.5e-5))
    with pytest.raises(Wrong, match=r"should be 13\.9761 at \[1, 1\], not 13\.9763\. It is near, as if .* float32\.$"):
        close(value, truth)
    one = torch.tensor([1e-1, 0.02], dtype=torch.float64)
    with pytest.raises(Wrong) as told:
        close(changed(one, 0, 0.3), one)
    assert "float32" not in told.value.message


def test_what_is_told_is_a_wrong_entry_not_a_right_one_that_is_further_off():
    truth = torch.tensor([13.9761, 0.001, 1.0], dtype=torch.float64)
    value = truth + torch.tensor([1e-4, 3e-6, 0.0], dtype=torch.float64)
    with pytest.raises(Wrong, match=r"should be 0\.001 at \[1\], not 0\.001003\."):
        close(value, truth)
