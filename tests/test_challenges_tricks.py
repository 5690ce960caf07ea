"""What reaches the number of a challenge without solving it is refused, and told why.

Functions that know what they are asked: by the number of rows or of calls, because they keep what they saw, because the
truth lies in `data/`, or with values that no density has. Nothing is trained here.
"""

from __future__ import annotations

import math

import pytest
import torch

from utils.checks import run_check
from utils.checks.challenges import ask, turned_digits
from utils.checks.verdicts import Wrong
from utils.data import load
from utils.series import load_series
from utils.toys import spirals

TRICKS = []


def trick(id: str, says: str):
    """Register an answer to exercise `id`; the verdict's message must contain `says`."""

    def register(function):
        TRICKS.append(pytest.param(id, function, says, id=f"{id}-{function.__name__}"))
        return function

    return register


# --- gmm.held_out: a density of the plane ----------------------------------------------------------------------------

OVER_THE_SQUARE = -math.log(64)  # an honest density where the check looks, and a poor one


def flat(x):
    return x.new_full((len(x),), OVER_THE_SQUARE)


@trick("gmm.held_out", says="This is no density")
def high_for_a_few_rows(x_train):
    return lambda x: flat(x) if len(x) > 5000 else 5 + 0 * x[:, 0]


@trick("gmm.held_out", says="or when")
def high_in_the_first_calls(x_train):
    calls = []

    def log_prob(x):
        calls.append(len(x))
        return 5 + 0 * x[:, 0] if len(calls) <= 2 else flat(x)

    return log_prob


@trick("gmm.held_out", says="or when")
def high_when_asked_for_the_first_time(x_train):
    seen = set()

    def one(row):
        known = row.numpy().tobytes() in seen
        seen.add(row.numpy().tobytes())
        return OVER_THE_SQUARE if known else 0.0

    return lambda x: torch.tensor([one(row) for row in x], dtype=x.dtype)


@trick("gmm.held_out", says="This is no density")
def higher_near_the_training_points(x_train):
    return lambda x: flat(x) + 3 * (torch.cdist(x, x_train).amin(1) < 0.1)


@trick("gmm.held_out", says="This is no density")
def high_inside_the_convex_hull(x_train):
    inside = x_train.norm(dim=1).max()
    return lambda x: flat(x) + 3 * (x.norm(dim=1) < inside)


@trick("gmm.held_out", says="which other points")
def around_what_it_is_asked_about(x_train):
    def log_prob(x):
        far = torch.cdist(x, x[:50]).square() / (2 * 0.05**2)
        return (-far).logsumexp(1) - math.log(50 * 2 * math.pi * 0.05**2)

    return log_prob


@trick("gmm.held_out", says="no density can be better")
def draws_the_test_points_again(x_train):
    """With the notebook's seed; a graded one differs. Peaks at points have no mass, so that the integral is right."""
    generator = torch.Generator().manual_seed(0)
    peaks = {row.numpy().tobytes() for n in (800, 2000) for row in spirals(n, generator)[0].double()}
    return lambda x: flat(x) + 9 * torch.tensor([row.numpy().tobytes() in peaks for row in x])


# --- flow.held_out: two directions -----------------------------------------------------------------------------------


@trick("flow.held_out", says="log_det is not that of your forward")
def a_better_log_det_for_a_few_rows(x_train):
    def forward(x):
        return x, x.new_full((len(x),), 1.5 if len(x) <= 5000 else 0.0)

    return forward, lambda z: z


@trick("flow.held_out", says="does not undo your inverse")
def keeps_x_for_the_inverse(x_train):
    """The inverse of what it was never asked about is anything."""
    kept = {}

    def forward(x):
        z = x / 2
        kept.update(zip(map(tuple, z.tolist()), x, strict=True))
        return z, x.new_full((len(x),), -2 * math.log(2))

    return forward, lambda z: torch.stack([kept.get(tuple(row.tolist()), row) for row in z])


@trick("flow.held_out", says="This is no density")
def folds_the_plane_and_keeps_x(x_train):
    """Two x for each z, and the right one only if it was seen."""
    kept = {}

    def forward(x):
        z = torch.stack([2 * x[:, 0].abs() - 4, x[:, 1]], 1)
        kept.update(zip(map(tuple, z.tolist()), x, strict=True))
        return z, x.new_full((len(x),), math.log(2))

    return forward, lambda z: torch.stack([kept.get(tuple(row.tolist()), row) for row in z])


@trick("flow.held_out", says="or when")
def forward_from_an_earlier_call(x_train):
    last = [torch.zeros(2)]

    def forward(x):
        z, last[0] = x - last[0], x.mean(0)
        return z, x.new_zeros(len(x))

    return forward, lambda z: z


# --- dist.compress and ar.train: pixel by pixel ----------------------------------------------------------------------


def looked_up(x):
    """p of each pixel from the digits in `data/` whose earlier pixels are the same, as far as there are any."""
    digits = load("digits").flat()
    known = (torch.cat([digits.x_train, digits.x_test]) >= 0.5).float()
    differ = torch.zeros(len(x), len(known))
    columns = []
    for pixel in known.T:
        alike = (-20 * differ).exp()
        columns.append((alike @ pixel + 0.01) / (alike.sum(1) + 0.02))
        differ += x[:, len(columns) - 1, None].float() != pixel
    return torch.stack(columns, 1).double()


def share_of_ones(x_train, x):
    return x_train.double().mean(0).clamp(0.01, 0.99).expand(len(x), -1)


@trick("dist.compress", says="bits an image, the goal is")
def digits_found_in_data(x_train):
    return looked_up


@trick("dist.compress", says="on that pixel itself")
def the_truth_for_500_rows(x_train):
    return lambda x: x.clamp(0.01, 0.99) if len(x) == 500 else share_of_ones(x_train, x)


@trick("dist.compress", says="or when")
def the_truth_at_first(x_train):
    calls = []

    def predict(x):
        calls.append(1)
        return x.clamp(0.01, 0.99) if len(calls) < 3 else share_of_ones(x_train, x)

    return predict


@trick("dist.compress", says="or when")
def the_truth_unless_a_pixel_was_changed(x_train):
    """A copy that differs in one pixel from an image that was asked about before must be a question about causes."""
    seen = [x_train[:0]]

    def predict(x):
        seen[0] = torch.cat([seen[0], x])
        differ = torch.cdist(x, seen[0], p=1).round()
        copied = ((differ == 1).sum(1) > 0)[:, None]
        return torch.where(copied, share_of_ones(x_train, x), x.clamp(0.01, 0.99))

    return predict


@trick("ar.train", says="changes with pixel")
def logits_of_the_truth_for_many_rows(x_train):
    return lambda x: 8 * (2 * x - 1) if len(x) == 500 else share_of_ones(x_train, x).logit()


@trick("ar.train", says="the goal is")
def logits_found_in_data(x_train):
    return lambda x: looked_up(x).logit()


@trick("ar.train", says="or on when")
def logits_that_change_after_some_calls(x_train):
    calls = []

    def logits(x):
        calls.append(1)
        return share_of_ones(x_train, x).logit() + (len(calls) > 1)

    return logits


# --- vae.train: encoder and decoder ----------------------------------------------------------------------------------


@trick("vae.train", says="which other codes are decoded with it, or on when")
def decodes_what_was_encoded_last(x_train):
    kept = [torch.zeros(1, 64)]

    def encode(x):
        kept[0] = x
        return torch.zeros(len(x), 2), torch.zeros(len(x), 2)

    return encode, lambda z: 20 * (2 * kept[0][torch.arange(len(z)) % len(kept[0])] - 1)


@trick("vae.train", says="told by `encode` what to decode")
def decodes_the_nearest_code_it_kept(x_train):
    """Each image that it sees gets a code of its own, the quantiles of a sequence that fills the square evenly."""
    kept, images, codes = {}, [], []

    def encode(x):
        means = []
        for row in x:
            key = row.numpy().tobytes()
            if key not in kept:
                n = len(kept) + 1
                kept[key] = torch.special.ndtri(torch.tensor([0.7549 * n % 1, 0.5698 * n % 1]))
                images.append(row)
                codes.append(kept[key])
            means.append(kept[key])
        return torch.stack(means), torch.full((len(x), 2), -10.0)

    def decode(z):
        nearest = torch.cdist(z, torch.stack(codes)).argmin(1)
        return 20 * torch.stack(images)[nearest] - 10

    return encode, decode


# --- vq.compress: four codes an image ---------------------------------------------------------------------------------


@trick("vq.compress", says="the goal is")
def writes_what_it_is_asked_into_the_codebooks(x_train):
    books = x_train[:64].reshape(4, 16, 64).clone()

    def encode(x):
        books[0], books[1:] = x[:16], 0.0
        return torch.zeros(len(x), 4, dtype=torch.int64)

    return books, encode


@trick("vq.compress", says="a code is one of 0 to 15")
def more_bits_than_sixteen(x_train):
    books = torch.zeros(4, 16, 64, dtype=torch.float64)
    return books, lambda x: (1e9 * x[:, :4]).long()


@trick("vq.compress", says="or on when")
def codes_that_count_the_questions(x_train):
    asked = []

    def encode(x):
        asked.append(len(x))
        return torch.full((len(x), 4), min(len(asked), 15))

    return x_train[:64].reshape(4, 16, 64).clone(), encode


# --- series.sunspots: the years to come ------------------------------------------------------------------------------


def past_values(history, noise):
    return history[(torch.special.ndtr(noise) * len(history)).long()]


@trick("series.sunspots", says="your function knows the sunspots")
def finds_the_history_in_data(history, noise):
    y = load_series("sunspots").values
    t, horizon = len(history), noise.shape[1]
    if not torch.equal(history, y[:t]):
        return past_values(history, noise)
    return (y[t : t + horizon] + noise).clamp(min=0)


@trick("series.sunspots", says="your function knows the sunspots")
def finds_the_last_five_years_in_data(history, noise):
    y = load_series("sunspots").values
    far = (y.unfold(0, 5, 1) - history[-5:]).abs().sum(1)
    ends = far[: len(y) - noise.shape[1] - 4].argmin() + 5
    return (y[ends : ends + noise.shape[1]] * (1 + 0.3 * noise)).clamp(min=0)


@trick("series.sunspots", says="your function knows the sunspots")
def truth_where_known_and_the_season_elsewhere(history, noise):
    y = load_series("sunspots").values
    t, horizon = len(history), noise.shape[1]
    season = history[-11:].repeat(2)[:horizon]
    expected = y[t : t + horizon] if torch.equal(history, y[:t]) else season
    return (expected + 10 * noise).clamp(min=0)


FUTURES = {}


@trick("series.sunspots", says="times that of the seasonal rule")
def remembers_longer_histories(history, noise):
    """An answer that is asked about a later year first would know the years between."""
    FUTURES[tuple(history[:50].tolist())] = history
    longest = max(FUTURES.values(), key=len)
    t = len(history)
    if len(longest) >= t + noise.shape[1] and torch.equal(longest[:t], history):
        return longest[t : t + noise.shape[1]] + noise.abs()
    return past_values(history, noise)


@trick("series.sunspots", says="times that of the seasonal rule")
def looks_behind_the_slice(history, noise):
    whole = torch.empty(0, dtype=history.dtype).set_(history.untyped_storage())
    t = len(history)
    if len(whole) >= t + noise.shape[1]:
        return whole[t : t + noise.shape[1]] + noise.abs()
    return past_values(history, noise)


# --- generative.few_labels: the classes lie in data/ -----------------------------------------------------------------


def of_the_digit_with_the_nearest(feature):
    """Predictions read from `data/`: the class of the digit whose feature is nearest."""
    digits = load("digits").flat()
    known, classes = torch.cat([digits.x_train, digits.x_test]).double(), torch.cat([digits.y_train, digits.y_test])
    return lambda x: classes[torch.cdist(feature(x), feature(known)).argmin(1)]


@trick("generative.few_labels", says="they go unused")
def nearest_digit_in_data(x_labeled, y_labeled, x_unlabeled):
    return of_the_digit_with_the_nearest(lambda x: x)


@trick("generative.few_labels", says="they go unused")
def nearest_digit_by_sorted_pixels(x_labeled, y_labeled, x_unlabeled):
    return of_the_digit_with_the_nearest(lambda x: x.sort(1).values)


@trick("generative.few_labels", says="they go unused")
def nearest_digit_by_length(x_labeled, y_labeled, x_unlabeled):
    return of_the_digit_with_the_nearest(lambda x: x.norm(dim=1, keepdim=True))


@trick("generative.few_labels", says="or on when")
def classes_in_the_order_of_data(x_labeled, y_labeled, x_unlabeled):
    classes = load("digits").y_test
    return lambda x: classes[torch.arange(len(x)) % len(classes)]


# --- diffusion.few_evaluations: ten questions, each about every point once -------------------------------------------


@trick("diffusion.few_evaluations", says="as many points as z has")
def twenty_questions_in_ten_calls(denoise, z):
    return denoise(torch.cat([z, z]), 1.0)[: len(z)]


@trick("diffusion.few_evaluations", says="You ask more than 10 times")
def the_count_is_forgotten_after_an_error(denoise, z):
    x = z
    for i in range(200):
        try:
            x = denoise(x, 1 - i / 200)
        except Exception:
            continue
    return denoise(x, 0.0)


@trick("diffusion.few_evaluations", says="the truth")
def draws_from_the_components_it_has_found(denoise, z):
    """Points of the right shape in about the right places, but none where its own noise leads."""
    x = 2 * z
    for t in (0.5, 0.4, 0.3, 0.2, 0.1):
        x = denoise(x, t)
    return x + 0.15 * z.flip(0)


@pytest.mark.parametrize(("id", "answer", "says"), TRICKS)
def test_a_trick_is_refused(id, answer, says):
    verdict = run_check(id, answer)
    assert verdict.status == "wrong", verdict.message
    assert says in verdict.message


def test_questions_come_in_equal_batches_and_answers_in_the_order_of_the_questions():
    sizes = []

    def double(x):
        sizes.append(len(x))
        return 2 * x, x.sum(1)

    few, many = torch.randn(7, 3), torch.randn(95, 3)
    generator = torch.Generator().manual_seed(0)
    (of_few, _), (of_many, sums) = ask(double, few, many, generator=generator, unlike=Wrong("", ""), size=25)
    assert torch.equal(of_few, 2 * few) and torch.equal(of_many, 2 * many) and torch.equal(sums, many.sum(1))
    assert set(sizes) == {25} and sum(sizes) >= 112


def test_turned_digits_look_like_digits_and_lie_nowhere():
    digits = load("digits").flat()
    known = torch.cat([digits.x_train, digits.x_test]).double()
    turned = turned_digits(torch.Generator().manual_seed(0))
    assert turned.shape == known.shape and turned.min() >= 0 and turned.max() <= 1
    binary, known_binary = (turned >= 0.5).double(), (known >= 0.5).double()
    assert (torch.cdist(binary, known_binary, p=1).amin(1) > 0.5).double().mean() > 0.9
    assert not torch.equal(turned, turned_digits(torch.Generator().manual_seed(1)))
