"""Autoregressive images: sums over all images, gradients to later pixels, two ways to sample, known worlds, errors."""

import itertools
import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from utils.data import load
from utils.models.autoregressive import (
    FVSBN,
    NEIGHBORS,
    GatedPixelCNN,
    ImageMADE,
    MaskedConv2d,
    NeighborTable,
    PixelCNN,
)

ORDER = [4, 0, 8, 2, 6, 1, 7, 3, 5]
# For a shape (H, W), and 3 × 3 where an order is given.
MODELS = {
    "neighbors": NeighborTable,
    "fvsbn": FVSBN,
    "made": lambda shape: ImageMADE(shape, hidden=(16,)),
    "made, deep": lambda shape: ImageMADE(shape, hidden=(16, 12), direct=False),
    "made, shuffled": lambda shape: ImageMADE(shape, hidden=(16, 12), order=ORDER),
    "pixelcnn": lambda shape: PixelCNN(shape, channels=8, layers=2),
    "pixelcnn, one layer": lambda shape: PixelCNN(shape, channels=8, layers=0, size=5),
    "gated": lambda shape: GatedPixelCNN(shape, channels=8, layers=2),
    "gated, shallow": lambda shape: GatedPixelCNN(shape, channels=8, layers=0),
}
PATCHED = {
    "pixelcnn": lambda shape: PixelCNN(shape, channels=6, layers=1, patch=2),
    "gated": lambda shape: GatedPixelCNN(shape, channels=6, layers=1, patch=2),
}
IN_READING_ORDER = [name for name in MODELS if name != "made, shuffled"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def every(height, width):
    """All images of this size, (2^(H W), 1, H, W)."""
    numbers = torch.arange(2 ** (height * width))[:, None]
    return ((numbers >> torch.arange(height * width)) & 1).double().view(-1, 1, height, width)


def shaken(model, seed=0, scale=1.0):
    """The model in float64 with random weights, so that nothing is 0 by chance."""
    g = generator(seed)
    for weight in model.double().parameters():
        nn.init.normal_(weight, std=scale, generator=g)
    if isinstance(model, NeighborTable):
        nn.init.normal_(model.log_odds, generator=g)
    return model.requires_grad_(False)


def depends(model, x):
    """Whether output site s depends on input pixel i anywhere: (S, H, W)."""
    x = x.clone().requires_grad_()
    log_odds = model(x).flatten(2).abs().sum((0, 1))  # (S,)
    return torch.stack([torch.autograd.grad(one, x, retain_graph=True)[0].abs().sum((0, 1)) for one in log_odds]) > 0


# --- it is a distribution ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", MODELS)
def test_all_images_of_3_by_3_sum_to_one(name, seed):
    model = shaken(MODELS[name]((3, 3)), seed)
    assert model.log_prob(every(3, 3)).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", PATCHED)
@pytest.mark.parametrize("shape", [(2, 6), (4, 2), (4, 4)])
def test_all_images_in_patches_sum_to_one(name, shape):
    model = shaken(PATCHED[name](shape))
    total = sum(model.log_prob(x).exp().sum().item() for x in every(*shape).split(8192))
    assert total == pytest.approx(1, abs=1e-12)


def test_log_prob_is_the_chain_rule_spelt_out():
    model, x = shaken(ImageMADE((3, 3), (8,), ORDER)), every(3, 3)[100:140]
    probabilities = model(x).sigmoid().flatten(1)
    expected = torch.where(x.flatten(1) == 1, probabilities, 1 - probabilities).log().sum(1)
    torch.testing.assert_close(model.log_prob(x), expected)
    torch.testing.assert_close(-model.nll_per_patch(x).sum((1, 2)), expected)
    assert model.nll(x, batch_size=7) == pytest.approx(-expected.mean().item())


def test_each_factor_is_a_conditional_of_the_joint():
    """p(x_i | before) from the network, against sums over all images that begin alike."""
    model, x = shaken(GatedPixelCNN((3, 3), channels=8, layers=1)), every(3, 3)
    joint, flat = model.log_prob(x).exp(), x.flatten(1)
    image = flat[333]
    for i in range(9):
        alike = (flat[:, :i] == image[:i]).all(1)
        conditional = joint[alike & (flat[:, i] == 1)].sum() / joint[alike].sum()
        assert model(x[333:334]).sigmoid().flatten()[i].item() == pytest.approx(conditional.item(), abs=1e-12)


# --- nobody looks ahead ---


@pytest.mark.parametrize("seed", range(5))
def test_made_never_looks_ahead_in_random_orders(seed):
    order = torch.randperm(9, generator=generator(seed))
    model = shaken(ImageMADE((3, 3), hidden=(24, 24), order=order), seed)
    place = order.argsort()
    seen = depends(model, every(3, 3)).flatten(1)
    assert torch.equal(seen, place[:, None] > place)  # nothing later, and everything earlier


@pytest.mark.parametrize("name", [name for name in IN_READING_ORDER if name != "neighbors"])  # a table has no gradient
def test_outputs_depend_on_earlier_pixels_alone(name):
    seen = depends(shaken(MODELS[name]((3, 3))), every(3, 3)).flatten(1)
    assert not seen.triu().any()
    assert seen.any()


@pytest.mark.parametrize("name", PATCHED)
def test_patches_depend_on_earlier_patches_alone(name):
    model = shaken(PATCHED[name]((6, 6)))
    x = torch.randint(0, 2, (64, 1, 6, 6), generator=generator()).double()
    seen = depends(model, x)
    sites = torch.arange(9).view(3, 3).repeat_interleave(2, 0).repeat_interleave(2, 1)
    for site in range(9):
        assert not seen[site][sites >= site].any()
    assert seen[8][sites < 7].any()


def test_the_table_looks_at_its_ten_neighbors_alone():
    model = shaken(NeighborTable((7, 7)))
    x = torch.randint(0, 2, (1, 1, 7, 7), generator=generator()).double()
    here = model(x)[0, 0, 3, 3]
    touched = set()
    for row, column in itertools.product(range(7), range(7)):
        flipped = x.clone()
        flipped[0, 0, row, column] = 1 - flipped[0, 0, row, column]
        if model(flipped)[0, 0, 3, 3] != here:
            touched.add((3 - row, column - 3))
    assert touched == set(NEIGHBORS)


def test_one_stack_has_a_blind_spot_and_two_have_none():
    side, row, column = 11, 8, 5
    x = torch.randint(0, 2, (64, 1, side, side), generator=generator()).double()
    before = torch.arange(side * side).view(side, side) < row * side + column
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    for model, expected in (
        (PixelCNN((side, side), channels=8, layers=10), before & (columns - column <= row - rows)),
        (GatedPixelCNN((side, side), channels=8, layers=10), before),
    ):
        seen = depends(shaken(model, scale=0.3), x)[row * side + column]
        assert torch.equal(seen, expected)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_masks_split_the_kernel_at_its_center(size):
    first, later = (MaskedConv2d(1, 1, size, center=center).mask for center in (False, True))
    assert first.sum() == size * size // 2
    assert later.sum() == size * size // 2 + 1
    assert (later - first)[size // 2, size // 2] == 1
    torch.testing.assert_close(first + later.flip(0, 1), torch.ones(size, size))


# --- samples ---


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("name", MODELS)
def test_reusing_work_changes_no_bit(name, temperature):
    model = shaken(MODELS[name]((3, 3)), scale=0.4)
    x = model.sample(200, generator(1), temperature=temperature)
    naive = model.sample(200, generator(1), temperature=temperature, naive=True)
    assert torch.equal(x, naive)
    assert 0 < x.mean() < 1


@pytest.mark.parametrize("shape", [(6, 8), (2, 2), (8, 2)])
@pytest.mark.parametrize("patch", [1, 2])
def test_reusing_work_changes_no_bit_of_larger_images(shape, patch):
    model = shaken(GatedPixelCNN(shape, channels=6, layers=3, patch=patch), scale=0.4)
    x, naive = (model.sample(50, generator(1), naive=naive) for naive in (False, True))
    assert x.shape == (50, 1, *shape)
    assert torch.equal(x, naive)
    assert 0.05 < x.mean() < 0.95


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_remembering_sampler_computes_the_networks_log_odds(dtype):
    """Each log-odds that the sampler draws from is the one the whole network has for the finished image."""
    model, met = shaken(GatedPixelCNN((8, 6), channels=6, layers=3, patch=2), scale=0.4).to(dtype), {}

    def choose(site, log_odds):
        met[site] = log_odds
        return torch.full((5,), site % 16)

    x = model._walk(torch.zeros(5, 1, 8, 6, dtype=dtype), 0, choose)
    torch.testing.assert_close(torch.stack([met[site] for site in range(12)], 2), model(x).flatten(2))


@pytest.mark.parametrize("name", ["made, shuffled", "gated", "fvsbn"])
def test_samples_have_the_probabilities_of_the_model(name):
    model, n = shaken(MODELS[name]((3, 3)), scale=0.7), 100_000
    x = model.sample(n, generator(2)).flatten(1).long()
    counts = torch.bincount((x << torch.arange(9)).sum(1), minlength=512)
    expected = n * model.log_prob(every(3, 3)).exp()
    chi2 = ((counts - expected).square() / expected).sum().item()
    assert chi2 < 511 + 5 * math.sqrt(2 * 511)


@pytest.mark.parametrize("naive", [False, True])
@pytest.mark.parametrize("name", IN_READING_ORDER)
def test_completions_keep_the_rows_and_follow_the_conditional(name, naive):
    model, n = shaken(MODELS[name]((3, 3)), scale=0.7), 20_000
    start = every(3, 3)[7 + 8 * 5 :][:1]  # rows (1, 1, 1) and (1, 0, 1)
    x = model.sample(n, generator(3), start=start, rows=2, naive=naive)
    assert (x[:, :, :2] == start[:, :, :2]).all()
    last = (x[:, 0, 2].long() << torch.arange(3)).sum(1)
    counts = torch.bincount(last, minlength=8)
    alike = every(3, 3)
    alike = alike[(alike[:, :, :2] == start[:, :, :2]).all(-1).all(-1).squeeze(1)]
    joint = model.log_prob(alike).exp()
    expected = n * joint / joint.sum()
    assert ((counts - expected).square() / expected).sum().item() < 7 + 6 * math.sqrt(14)


def test_completions_are_the_same_either_way():
    model = shaken(GatedPixelCNN((8, 6), channels=6, layers=2, patch=2), scale=0.4)
    start = model.sample(20, generator(1))
    x, naive = (model.sample(20, generator(2), start=start, rows=4, naive=naive) for naive in (False, True))
    assert torch.equal(x, naive)
    assert not torch.equal(x, start)
    assert torch.equal(model.sample(20, generator(2), start=start, rows=8), start)


def test_a_low_temperature_takes_the_likeliest():
    model = shaken(GatedPixelCNN((4, 4), channels=6, layers=1, patch=2))
    x = model.sample(5, generator(), temperature=1e-6)
    log_odds = torch.cat([torch.zeros(5, 1, 2, 2), model(x)], 1)
    assert torch.equal(model.encode(x), log_odds.argmax(1))


def test_symbols_are_spelt_and_read_back():
    model = GatedPixelCNN((4, 4), channels=2, layers=0, patch=2)
    x = torch.randint(0, 2, (30, 1, 4, 4), generator=generator()).float()
    symbols = model.encode(x)
    assert symbols.min() >= 0
    assert symbols.max() <= 15
    assert torch.equal(symbols[:, 0, 1], (x[:, 0, :2, 2:].flatten(1) @ torch.tensor([1.0, 2.0, 4.0, 8.0])).long())
    bits = model.decode(symbols.flatten()).view(30, 2, 2, 4).permute(0, 3, 1, 2)
    assert torch.equal(bits.float(), model.bits(x))


# --- learning ---


def test_the_table_counts():
    x = torch.randint(0, 2, (40, 1, 5, 4), generator=generator()).float()
    model = NeighborTable((5, 4), smoothing=0.5).fit(x)
    counts = torch.zeros(1024, 2)
    for image in x[:, 0].int().tolist():
        for row, column in itertools.product(range(5), range(4)):
            places = [(row - up, column + right) for up, right in NEIGHBORS]
            seen = [image[r][c] if r >= 0 and 0 <= c < 4 else 0 for r, c in places]
            counts[sum(bit << at for at, bit in enumerate(seen)), image[row][column]] += 1
    torch.testing.assert_close(model.log_odds.sigmoid(), (counts[:, 1] + 0.5) / (counts.sum(1) + 1))


def test_a_pixel_of_the_fvsbn_is_a_logistic_regression():
    x = load("digits").binarized().x_train[:600, :, 2:5, 2:5].double()
    model, flat = FVSBN((3, 3)).double(), x.flatten(1)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=300, tolerance_grad=1e-10, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = model.nll_per_patch(x).sum() + 0.5 * model.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    for pixel in range(1, 9):
        theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(flat[:, :pixel], flat[:, pixel])
        torch.testing.assert_close(
            model.weight[pixel, :pixel].detach(), torch.tensor(theirs.coef_[0]), atol=1e-4, rtol=0
        )
        assert model.bias.flatten()[pixel].item() == pytest.approx(theirs.intercept_[0], abs=1e-4)


@pytest.mark.parametrize(
    "make",
    [lambda: ImageMADE((4, 4), (64,)), lambda: GatedPixelCNN((4, 4), 12, 2), lambda: GatedPixelCNN((4, 4), 12, 2, 2)],
)
def test_training_comes_near_a_known_entropy(make):
    """The second half of the image repeats the first, with errors: 8 coins and 8 copies."""
    g, error = generator(), 0.1
    top = torch.randint(0, 2, (4000, 1, 2, 4), generator=g).float()
    wrong = (torch.rand(top.shape, generator=g) < error).float()
    x = torch.cat([top, (top - wrong).abs()], 2)
    torch.manual_seed(0)
    model = make().fit(x[:3000], epochs=12, batch_size=50, lr=1e-2, ema=0.98, progress=False)
    entropy = 8 * math.log(2) - 8 * (error * math.log(error) + (1 - error) * math.log(1 - error))
    assert entropy - 0.15 < model.nll(x[3000:]) < entropy + 0.5
    assert len(model.history_["loss"]) == 12


def test_training_starts_at_the_frequencies():
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).view(1, 1, 2, 2).repeat(1000, 1, 1, 1)
    x[:250] = 0
    for make in (FVSBN, GatedPixelCNN):
        model = make((2, 2)).fit(x, epochs=1, lr=1e-12, progress=False)
        probabilities = model(x).sigmoid()[0, 0]
        torch.testing.assert_close(probabilities, torch.tensor([[0.75, 0.0], [0.75, 0.75]]), atol=1e-3, rtol=0)


def test_binarize_draws_anew_and_obeys_the_seed():
    gray = load("digits").x_train[:300]
    fits = [
        FVSBN((8, 8)).fit(gray, binarize=True, epochs=2, seed=seed, progress=False).weight.detach()
        for seed in (0, 0, 1)
    ]
    assert torch.equal(fits[0], fits[1])
    assert not torch.equal(fits[0], fits[2])


# --- errors ---


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: FVSBN((2, 2)).log_prob(torch.zeros(1, 1, 3, 3)), r"expected \(B, 1, 2, 2\)"),
        (lambda: FVSBN((2, 2)).log_prob(torch.zeros(4)), r"expected \(B, 1, 2, 2\)"),
        (lambda: FVSBN((2, 2)).log_prob(torch.zeros(1, 1, 2, 2, dtype=torch.long)), "floating point"),
        (lambda: FVSBN((2, 2)).log_prob(torch.full((1, 1, 2, 2), 0.5)), "other than 0 and 1"),
        (lambda: FVSBN((2, 2)).fit(torch.full((1, 1, 2, 2), 0.5)), "binarize=True"),
        (lambda: GatedPixelCNN((3, 4), patch=2), "even sides"),
        (lambda: GatedPixelCNN((6, 6), patch=3), "patches of 3: expected 1"),
        (lambda: MaskedConv2d(1, 1, 4, center=True), "size is 4: expected an odd number"),
        (lambda: FVSBN((2, 2)).sample(1, temperature=0), "temperature is 0"),
        (lambda: FVSBN((2, 2)).sample(1, rows=1), "go together"),
        (lambda: FVSBN((2, 2)).sample(1, start=torch.zeros(1, 1, 2, 2)), "go together"),
        (lambda: FVSBN((2, 2)).sample(1, start=torch.zeros(1, 1, 2, 2), rows=3), "rows is 3: expected 0 to 2"),
        (
            lambda: GatedPixelCNN((4, 4), 2, 0, 2).sample(1, start=torch.zeros(1, 1, 4, 4), rows=1),
            "a multiple of 2",
        ),
        (
            lambda: ImageMADE((2, 2), (4,), order=[3, 2, 1, 0]).sample(1, start=torch.zeros(1, 1, 2, 2), rows=1),
            "reading order",
        ),
        (lambda: ImageMADE((2, 2), (4,), order=[0, 0, 1, 2]), "each of the numbers 0 to 3 once"),
    ],
)
def test_errors_say_what_to_do(work, message):
    with pytest.raises(ValueError, match=message):
        work()


def test_lists_are_refused():
    with pytest.raises(TypeError, match=r"use torch\.as_tensor"):
        FVSBN((2, 2)).log_prob([[0, 1], [1, 0]])
