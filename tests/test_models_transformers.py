"""Byte-pair encoding, counting and the transformer, against brute force, definitions and known libraries."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.transformers import (
    GPT,
    PIECES,
    BytePairEncoding,
    Cache,
    KneserNey,
    Muon,
    draw,
    orthogonal,
    rotate,
    shape_log_odds,
)
from utils.text import load_text


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randint(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=generator(seed))


def some_gpt(**options) -> GPT:
    """Weights that are nowhere 0, in float64."""
    model = GPT(**{"vocabulary": 5, "width": 16, "layers": 2, "heads": 2, "context": 12} | options).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator(1))
    return model


# --- byte-pair encoding ---


@pytest.mark.parametrize("size", [70, 300])
def test_the_library_tokenizers_finds_the_same_pairs_and_cuts_at_the_same_places(size):
    kjv = load_text("kjv")
    text, unseen = kjv.train[:60_000], kjv.test[:20_000]
    code = BytePairEncoding.learn(text, size, kjv.characters)
    theirs = Tokenizer(BPE())
    theirs.pre_tokenizer = Split(Regex(PIECES.pattern), "isolated")
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=kjv.characters, show_progress=False)
    theirs.train_from_iterator([text], trainer)
    assert theirs.get_vocab() == {symbol: number for number, symbol in enumerate(code.symbols)}
    assert theirs.encode(unseen).ids == code.encode(unseen).tolist()


def test_decoding_gives_the_text_back_and_lengths_count_it():
    text = load_text("kjv").test[:5_000]
    code = BytePairEncoding.learn(text, 200)
    numbers = code.encode(text)
    assert code.decode(numbers) == text and len(code) == 200
    assert code.lengths[numbers].sum() == len(text) and len(numbers) < len(text) / 2


def test_no_symbol_reaches_over_the_end_of_a_word():
    code = BytePairEncoding.learn("so so so so, so so", 30)
    assert set(code.symbols) == {" ", ",", "o", "s", "so", " so"}, "no pair is left long before 30 symbols"


def test_of_equally_frequent_pairs_the_one_with_smaller_numbers_is_merged():
    assert BytePairEncoding.learn("dc ba", 6).symbols[5] in ("ba", " b")
    assert BytePairEncoding.learn("dc\nba", 6).symbols[-1] == "ba"


def test_what_cannot_be_encoded_is_refused():
    code = BytePairEncoding.learn("abc", 3)
    with pytest.raises(ValueError, match="the character 'd': expected those that were learned"):
        code.encode("abcd")
    for text, size in (("abc", 2), ("", 5)):
        with pytest.raises(ValueError, match="expected at least"):
            BytePairEncoding.learn(text, size)


# --- counting ---


def by_definition(text: list[int], order: int, vocabulary: int, context: tuple[int, ...], token: int) -> float:
    """Interpolated modified Kneser–Ney by dictionaries, one probability at a time."""
    counts = {order: Counter(tuple(text[i : i + order]) for i in range(len(text) - order + 1))}
    for n in range(order - 1, 0, -1):
        counts[n] = Counter(gram[1:] for gram in counts[n + 1])
    p = 1 / vocabulary
    for n in range(1, order + 1):
        c = context[len(context) - n + 1 :]
        followers = {gram[-1]: count for gram, count in counts[n].items() if gram[:-1] == c}
        if not followers:
            break
        n1, n2, n3, n4 = (sum(count == k for count in counts[n].values()) for k in (1, 2, 3, 4))
        discounts = [0.0, 0.5, 0.5, 0.5]
        if n1 and n2 and n3:
            y = n1 / (n1 + 2 * n2)
            discounts = [0, 1 - 2 * y * n2 / n1, max(0, 2 - 3 * y * n3 / n2), max(0, 3 - 4 * y * n4 / n3)]
        taken = {w: min(count, discounts[min(count, 3)]) for w, count in followers.items()}
        total = sum(followers.values())
        p = (followers.get(token, 0) - taken.get(token, 0) + sum(taken.values()) * p) / total
    return p


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_counting_agrees_with_its_definition(order):
    text = (randint(3, 400) + randint(2, 400, seed=1)).tolist()
    model = KneserNey(order, 4).fit(torch.tensor(text))
    for context in itertools.product(range(4), repeat=order - 1):
        row = model.next_log_prob(torch.tensor([context], dtype=torch.int64)).exp()[0]
        expected = [by_definition(text, order, 4, context, token) for token in range(4)]
        assert row.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("order", [1, 3, 6])
def test_after_any_context_the_probabilities_sum_to_one(order):
    model = KneserNey(order, 30).fit(randint(20, 2000))
    contexts = randint(30, 300, order + 1, seed=1)  # mostly never seen
    assert (model.next_log_prob(contexts).exp().sum(1) - 1).abs().max() < 1e-12


def test_all_short_texts_together_have_probability_one():
    model = KneserNey(3, 3).fit(randint(3, 60))
    every = torch.cartesian_prod(*[torch.arange(3)] * 5)
    assert model.log_prob(every).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_a_text_and_its_steps_agree():
    x = randint(6, 500)
    model = KneserNey(4, 6).fit(x)
    steps = [model.next_log_prob(x[None, :at])[0, x[at]].item() for at in range(12)]
    assert model.token_log_prob(x)[:12].tolist() == pytest.approx(steps, abs=1e-12)
    assert model.token_log_prob(x.view(20, 25))[:, :3].allclose(model.token_log_prob(x.view(20, 25)[:, :3]))


def test_rows_are_counted_apart():
    one, two = torch.tensor([[0, 1, 0, 1]]), torch.tensor([[1, 1, 1, 1]])
    both = KneserNey(2, 2).fit(torch.cat([one, two]))
    grams = sorted(tuple(divmod(gram, 2)) for gram in both.grams[-both.sizes[-1, 0] :].tolist())
    assert grams == [(0, 1), (1, 0), (1, 1)] and both.totals[-2:].tolist() == [2.0, 4.0]


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="expected a lower order"):
        KneserNey(7, 1024)
    with pytest.raises(ValueError, match="expected at least 5, the order"):
        KneserNey(5, 3).fit(randint(3, 4))
    with pytest.raises(TypeError, match="expected whole numbers"):
        KneserNey(2, 3).fit(torch.rand(9))


def test_counting_draws_from_its_own_law():
    model = KneserNey(3, 4).fit(randint(3, 300))
    start = torch.tensor([0, 2])
    drawn = model.sample(4000, generator(), steps=1, start=start)[:, 0]
    p = model.next_log_prob(start[None])[0].exp()
    assert (torch.bincount(drawn, minlength=4) / 4000 - p).abs().max() < 4 * 0.5 / 4000**0.5


# --- how a token is drawn ---


def test_top_k_and_the_nucleus_keep_what_they_say():
    log_odds = torch.tensor([[0.5, 0.2, 0.05, 0.25], [0.1, 0.1, 0.7, 0.1]]).log()
    assert shape_log_odds(log_odds, top_k=2).isfinite().tolist()[0] == [True, False, False, True]
    kept = {
        0.4: [True, False, False, False],
        0.5: [True, False, False, False],
        0.7: [True, False, False, True],
        0.76: [True, True, False, True],
        1.0: [True] * 4,
    }
    for share, expected in kept.items():
        assert shape_log_odds(log_odds, top_p=share).isfinite()[0].tolist() == expected, share
    law = shape_log_odds(log_odds, temperature=0.5, top_k=3).softmax(-1)[0]
    squares = torch.tensor([0.25, 0.04, 0, 0.0625])
    assert law.tolist() == pytest.approx((squares / squares.sum()).tolist(), abs=1e-6)


def test_a_draw_follows_the_law_and_never_takes_what_is_out():
    log_odds = torch.tensor([0.5, 0.2, 0.05, 0.25]).log().expand(6000, 4)
    drawn = draw(log_odds, generator())
    assert drawn.shape == (6000, 1)
    assert (torch.bincount(drawn[:, 0], minlength=4) / 6000 - log_odds[0].exp()).abs().max() < 0.03
    assert not (draw(log_odds, generator(), top_k=3) == 2).any()
    for wrong in ({"temperature": 0}, {"top_p": 0}, {"top_p": 1.5}, {"top_k": 0}):
        with pytest.raises(ValueError, match="expected"):
            draw(log_odds, **wrong)


# --- the transformer ---


def test_all_texts_together_have_probability_one():
    every = torch.cartesian_prod(*[torch.arange(5)] * 4)
    assert some_gpt().log_prob(every).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_no_place_sees_what_comes_later():
    model, x = some_gpt(), randint(5, 3, 12)
    before = model(x)
    for at in range(1, 12):
        changed = torch.cat([x[:, :at], (x[:, at:] + 1) % 5], dim=1)
        after = model(changed)
        assert (after[:, :at] - before[:, :at]).abs().max() < 1e-12
        assert (after[:, at] - before[:, at]).abs().max() > 1e-6


def test_products_of_rotated_vectors_depend_on_the_distance_alone():
    angle = torch.arange(9, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.1], dtype=torch.float64)
    q, k = torch.randn(2, 1, 4, generator=generator(), dtype=torch.float64).expand(2, 9, 4)
    turned = rotate(q, angle.cos(), angle.sin()) @ rotate(k, angle.cos(), angle.sin()).mT
    for distance in range(-8, 9):
        assert turned.diagonal(distance).std(correction=0) < 1e-12
    assert turned[5, 2] != pytest.approx(turned[2, 5].item())
    assert rotate(q, angle.cos(), angle.sin()).norm(dim=1).allclose(q.norm(dim=1))


@pytest.mark.parametrize("pieces", [(1,) * 9, (9,), (4, 1, 4), (1, 8), (3, 3, 3)])
def test_a_cache_changes_nothing_however_the_text_is_cut(pieces):
    model, read = some_gpt(), randint(6, 3, 9)
    cache = Cache(model, 3, 12)
    parts = [model(part, cache) for part in read.split(pieces, dim=1)]
    assert (torch.cat(parts, dim=1) - model(read)).abs().max() < 1e-12 and cache.length == 9


@pytest.mark.parametrize("start", [None, randint(5, 4, seed=3), randint(5, 3, 30, seed=3)])
def test_samples_are_the_same_with_and_without_cache_also_beyond_the_context(start):
    model = some_gpt()
    ways = [model.sample(3, generator(), steps=40, start=start, cache=cache) for cache in (True, False)]
    assert ways[0].shape == (3, 40) and ways[0].equal(ways[1])


def test_samples_follow_the_law_of_the_model():
    model = some_gpt(vocabulary=3)
    drawn = model.sample(3000, generator(), steps=2)
    every = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    share = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / 3000
    assert (share - model.log_prob(every).exp()).abs().max() < 0.03


def test_a_long_text_is_read_in_windows_that_overlap_by_half():
    model, x = some_gpt(), randint(5, 50)
    whole = model.token_log_prob(x)
    assert whole.shape == (50,)
    for at in range(50):
        begin = 0 if at < 12 else (at // 6 - 1) * 6 if at < 48 else 50 - 12
        alone = model.token_log_prob(x[None, begin : at + 1])[0, -1]
        assert whole[at].item() == pytest.approx(alone.item(), abs=1e-10), at
    assert model.token_log_prob(x[:7]).allclose(model.token_log_prob(x[None, :7])[0])
    with pytest.raises(ValueError, match="expected at most 12, the context"):
        model.log_prob(x[None])


def test_it_learns_to_copy_what_no_counting_of_neighbors_could():
    half = randint(8, 600, 4)
    x = torch.cat([half, half], dim=1)
    model = GPT(8, width=32, layers=2, heads=2, context=8, generator=generator())
    model.fit(x, epochs=10, batch_size=50, progress=False, device="cpu")
    nats = -model.token_log_prob(x).detach().mean(0)
    assert nats[:4].mean().item() == pytest.approx(math.log(8), abs=0.1)
    assert nats[4:].mean() < 0.2
    assert len(model.step_losses_) == 120 and len(model.history_["loss"]) == 10


def test_a_text_is_cut_into_rows_of_the_context(tmp_path):
    x = randint(5, 100)
    trained = [
        GPT(5, width=8, layers=1, heads=2, context=10, generator=generator()).fit(
            text, epochs=2, batch_size=5, progress=False, device="cpu"
        )
        for text in (x, x.view(10, 10))
    ]
    assert trained[0].log_prob(x.view(10, 10)).equal(trained[1].log_prob(x.view(10, 10)))


def test_training_goes_on_from_a_checkpoint_to_the_same_weights(tmp_path):
    x, options = randint(5, 20, 8), {"batch_size": 5, "progress": False, "device": "cpu"}
    models = [GPT(5, width=8, layers=1, heads=2, context=8, generator=generator()) for _ in range(2)]

    def interrupt(training):
        if training.epoch == 2:
            raise KeyboardInterrupt

    models[0].fit(x, epochs=3, **options)
    with pytest.raises(KeyboardInterrupt):
        models[1].fit(x, epochs=3, checkpoint=tmp_path / "gpt.safetensors", callbacks=[interrupt], **options)
    models[1].fit(x, epochs=3, checkpoint=tmp_path / "gpt.safetensors", **options)
    assert models[0].log_prob(x).equal(models[1].log_prob(x))


def test_it_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="expected a multiple of 2 × 3"):
        GPT(5, width=16, heads=3)


# --- the optimizer ---


def test_muon_is_that_of_pytorch_for_matrices_and_adam_for_the_rest():
    def parameters() -> list[nn.Parameter]:
        shapes = ((8, 20), (20, 8), (5, 6), (7,))
        return [nn.Parameter(torch.randn(shape, generator=generator(at))) for at, shape in enumerate(shapes)]

    ours, theirs = parameters(), parameters()
    optimizers = [
        Muon(ours[:2], ours[2:], lr=0.02),
        torch.optim.Muon(theirs[:2], lr=0.02, weight_decay=0),
        torch.optim.AdamW(theirs[2:], lr=0.02, betas=(0.9, 0.95), weight_decay=0),
    ]
    for step in range(6):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator(100 + step))
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other, before in zip(ours[:2], theirs[:2], parameters(), strict=False):  # PyTorch's computes in bfloat16
        assert (one - other).norm() < 0.02 * (one - before).norm()
    for one, other in zip(ours[2:], theirs[2:], strict=True):
        assert one.detach().allclose(other.detach(), atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (10, 10)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=generator(), dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.mT @ orthogonal(matrix) @ vh.mT
    large = s > 0.1 * s[0]
    assert (inside.diagonal()[large] - 0.95).abs().max() < 0.3
    assert (inside - inside.diagonal().diag()).abs().max() < 1e-10


def test_the_loss_is_the_cross_entropy_of_each_token_given_those_before():
    model, x = some_gpt(), randint(5, 4, 9)
    read = torch.cat([torch.full((4, 1), 5), x[:, :-1]], dim=1)
    expected = F.cross_entropy(model(read).flatten(0, 1), x.flatten())
    assert -model.log_prob(x).mean().item() / 9 == pytest.approx(expected.item(), abs=1e-12)
    assert model(read).shape == (4, 9, 5), "the start symbol is never predicted"
