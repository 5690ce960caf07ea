"""Wrong answers of chapter 1: AUROC and calibration."""

import torch
from torch.nn.functional import one_hot

from wrong_answers import wrong

# --- generative.auroc ------------------------------------------------------------------------------------------------


@wrong("generative.auroc", says="count a tie as 0")
def ties_lost(familiar, strange):
    return (familiar[:, None] > strange).double().mean()


@wrong("generative.auroc", says="count a tie as 1")
def ties_won(familiar, strange):
    return (familiar[:, None] >= strange).double().mean()


@wrong("generative.auroc", says="upside down")
def strange_higher(familiar, strange):
    return ((familiar[:, None] < strange).double() + 0.5 * (familiar[:, None] == strange)).mean()


@wrong("generative.auroc", says="do not divide by N · M")
def number_of_pairs(familiar, strange):
    return ((familiar[:, None] > strange).double() + 0.5 * (familiar[:, None] == strange)).sum()


@wrong("generative.auroc", says="accuracy at one threshold")
def accuracy(familiar, strange):
    middle = torch.cat([familiar, strange]).median()
    return torch.cat([familiar > middle, strange <= middle]).double().mean()


@wrong("generative.auroc", says="Scores of −∞ give you NaN")
def by_a_steep_sigmoid(familiar, strange):
    return torch.sigmoid(1e9 * (familiar[:, None] - strange)).mean()


@wrong("generative.auroc", says="two scores of −∞ are a tie")
def by_the_sign_of_differences(familiar, strange):
    difference = familiar[:, None] - strange
    return ((difference > 0).double() + 0.5 * (difference == 0)).mean()


@wrong("generative.auroc", says="wins minus losses")
def wins_minus_losses(familiar, strange):
    return (familiar[:, None] - strange).sign().mean()


@wrong("generative.auroc", says="count a tie twice")
def ties_twice(familiar, strange):
    return ((familiar[:, None] >= strange).double() + 0.5 * (familiar[:, None] == strange)).mean()


@wrong("generative.auroc", says="a share of the pairs lies between 0 and 1")
def losses_counted(familiar, strange):
    return ((familiar[:, None] > strange).double() + 0.5 * (familiar[:, None] != strange)).mean()


@wrong("generative.auroc", says="The sign is wrong")
def negated(familiar, strange):
    return -((familiar[:, None] > strange).double() + 0.5 * (familiar[:, None] == strange)).mean()


@wrong("generative.auroc", says="below ½ comes out above it")
def turned_around(familiar, strange):
    area = ((familiar[:, None] > strange).double() + 0.5 * (familiar[:, None] == strange)).mean()
    return max(area, 1 - area)


@wrong("generative.auroc", says="close for ties")
def nearly_ties(familiar, strange):
    tie = torch.isclose(familiar[:, None], strange)
    return torch.where(tie, 0.5, (familiar[:, None] > strange).double()).mean()


@wrong("generative.auroc", says="close for ties")
def ties_within_a_tolerance(familiar, strange):
    tie = torch.isclose(familiar[:, None], strange, atol=1e-3)
    return torch.where(tie, 0.5, (familiar[:, None] > strange).double()).mean()


# --- generative.calibration_error ------------------------------------------------------------------------------------


def bins(probs, y, n_bins, *, confidence=None, up_to=1.0 + 1e-9):
    """Share of the examples, and accuracy minus confidence, of each bin that is not empty."""
    confidence = probs.amax(-1) if confidence is None else confidence
    right = (probs.argmax(-1) == y).double()
    shares, gaps = [], []
    for m in range(n_bins):
        end = up_to if m == n_bins - 1 else (m + 1) / n_bins
        inside = (confidence >= m / n_bins) & (confidence < end)
        if inside.any():
            shares.append(inside.double().mean())
            gaps.append(right[inside].mean() - confidence[inside].mean())
    return torch.stack(shares), torch.stack(gaps)


@wrong("generative.calibration_error", says="as if all were equally full")
def unweighted(probs, y, n_bins):
    return bins(probs, y, n_bins)[1].abs().mean()


@wrong("generative.calibration_error", says="too modest in another cancel")
def signed(probs, y, n_bins):
    shares, gaps = bins(probs, y, n_bins)
    return (shares * gaps).sum()


@wrong("generative.calibration_error", says="too modest in another cancel")
def one_bin(probs, y, n_bins):
    return bins(probs, y, 1)[1].abs().sum()


@wrong("generative.calibration_error", says="example by example")
def one_by_one(probs, y, n_bins):
    confidence, predicted = probs.max(-1)
    return ((predicted == y).double() - confidence).abs().mean()


@wrong("generative.calibration_error", says="lose the examples of confidence 1")
def certain_lost(probs, y, n_bins):
    shares, gaps = bins(probs, y, n_bins, up_to=1.0)
    return (shares * gaps.abs()).sum()


@wrong("generative.calibration_error", says="an empty bin is 0/0")
def empty_bins(probs, y, n_bins):
    confidence, predicted = probs.max(-1)
    number = (confidence * n_bins).long().clamp(max=n_bins - 1)
    belongs = one_hot(number, n_bins).double()  # (N, M)
    means = belongs.T @ torch.stack([(predicted == y).double(), confidence], -1) / belongs.sum(0)[:, None]
    return (belongs.mean(0) * (means[:, 0] - means[:, 1]).abs()).sum()


@wrong("generative.calibration_error", says="square the differences")
def squared(probs, y, n_bins):
    shares, gaps = bins(probs, y, n_bins)
    return (shares * gaps.square()).sum()


@wrong("generative.calibration_error", says="the worst bin")
def worst(probs, y, n_bins):
    return bins(probs, y, n_bins)[1].abs().max()


@wrong("generative.calibration_error", says="as if there were two classes")
def binary_only(probs, y, n_bins):
    positive = probs[:, 1]
    two_classes = torch.stack([1 - positive, positive], -1)
    number = (positive * n_bins).long().clamp(max=n_bins - 1)
    surplus = two_classes[:, 1] - (y == 1).double()
    return surplus.new_zeros(n_bins).index_add(0, number, surplus).abs().sum() / len(y)


def error(probs, y, n_bins):
    shares, gaps = bins(probs, y, n_bins)
    return (shares * gaps.abs()).sum()


@wrong("generative.calibration_error", says="error with 5 bins; `n_bins` is 10")
def always_five(probs, y, n_bins):
    return error(probs, y, 5)


@wrong("generative.calibration_error", says="error with 15 bins; `n_bins` is 10")
def always_fifteen(probs, y, n_bins):
    return error(probs, y, 15)


@wrong("generative.calibration_error", says="10 bins; `n_bins` is 7")
def always_ten(probs, y, n_bins):
    return error(probs, y, 10)


@wrong("generative.calibration_error", says="error with 9 bins; `n_bins` is 10")
def one_too_few(probs, y, n_bins):
    return error(probs, y, n_bins - 1)


@wrong("generative.calibration_error", says="Your bins start at 1/C")
def from_one_over_c(probs, y, n_bins):
    least = 1 / probs.shape[1]
    confidence, predicted = probs.max(-1)
    number = ((confidence - least) / (1 - least) * n_bins).long().clamp(0, n_bins - 1)
    surplus = confidence - (predicted == y).to(probs)
    return surplus.new_zeros(n_bins).index_add(0, number, surplus).abs().sum() / len(y)


@wrong("generative.calibration_error", says="start at the lowest confidence")
def between_the_extremes(probs, y, n_bins):
    confidence, right = probs.amax(-1), (probs.argmax(-1) == y).double()
    low = confidence.min()
    bin_of = ((confidence - low) / (confidence.max() - low) * n_bins).long().clamp(max=n_bins - 1)
    return sum((right - confidence)[bin_of == m].sum().abs() for m in range(n_bins)) / len(y)


@wrong("generative.calibration_error", says="round to the nearest edge")
def nearest_edge(probs, y, n_bins):
    confidence, right = probs.amax(-1), (probs.argmax(-1) == y).double()
    bin_of = (confidence * n_bins).round()
    return sum((right - confidence)[bin_of == m].sum().abs() for m in range(n_bins + 1)) / len(y)
