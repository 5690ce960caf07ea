"""Discrete codes: quantizers, the prior over grids of codes, and the VQ-VAE with its bound, against known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from utils.models.codes import (
    VQVAE,
    CodePrior,
    FiniteScalarQuantizer,
    VectorQuantizer,
    code_decoder,
    code_encoder,
    nearest,
    straight_through,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# --- quantizers


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("codes", [1, 7, 40])
def test_the_nearest_code_is_that_of_brute_force(codes, shift):
    z, codebook = randn(300, 3) + shift, randn(codes, 3, seed=1) + shift
    brute = [min(range(codes), key=lambda k, row=row: (row - codebook[k]).square().sum().item()) for row in z]
    assert nearest(z, codebook).tolist() == brute


def test_the_gradient_passes_straight_through():
    z, target = randn(4, 3).requires_grad_(), randn(4, 3, seed=1)
    quantized = straight_through(z, z.detach().round())
    assert torch.allclose(quantized, z.round())
    (quantized - target).square().sum().backward()
    torch.testing.assert_close(z.grad, 2 * (z.detach().round() - target))


@pytest.mark.parametrize("quantizer", [VectorQuantizer(6, 2), FiniteScalarQuantizer((3, 4))], ids=["vq", "fsq"])
def test_codes_and_vectors_belong_together_in_any_layout(quantizer):
    quantizer = quantizer.double().eval()
    z = randn(5, 2, 3, 4)
    quantized = quantizer(z)
    assert quantized.z.shape == z.shape and quantized.codes.shape == (5, 3, 4) and quantized.loss.shape == (5,)
    assert torch.equal(quantizer.encode(z), quantized.codes)
    torch.testing.assert_close(quantizer.decode(quantized.codes), quantized.z)
    flat = quantizer(z.movedim(1, -1).reshape(-1, 2))
    assert torch.equal(flat.codes, quantized.codes.flatten())
    every = torch.arange(quantizer.n_codes)
    if isinstance(quantizer, FiniteScalarQuantizer):
        values = quantizer.decode(every)
        assert torch.equal(quantizer.encode(((values + 1) / 2).clamp(0.01, 0.99).logit()), every)
        assert values.unique(dim=0).shape == (12, 2) and values.abs().max() == 1
    else:
        assert torch.equal(quantizer.encode(quantizer.decode(every)), every)


def test_the_loss_is_commitment_and_codebook_term():
    z = randn(4, 3, 2, 2)
    for decay, factor in ((0.9, 0.5), (None, 1.5)):
        quantizer = VectorQuantizer(5, 3, decay=decay, commitment=0.5).double().eval()
        moved = z.clone().requires_grad_()
        quantized = quantizer(moved)
        squares = (z - quantized.z.detach()).square().sum((1, 2, 3))
        torch.testing.assert_close(quantized.loss.detach(), factor * squares)
        quantized.loss.sum().backward()
        torch.testing.assert_close(moved.grad, 0.5 * 2 * (z - quantized.z.detach()))  # the commitment alone
        if decay is None:
            rows, codes = z.movedim(1, -1).reshape(-1, 3), quantized.codes.flatten()
            expected = torch.stack([2 * (quantizer.codebook[k] - rows[codes == k]).sum(0) for k in range(5)])
            torch.testing.assert_close(quantizer.codebook.grad, expected.detach())


def test_moving_averages_are_k_means_on_the_way():
    """Without memory (decay 0) a training step on all the data is one step of Lloyd's algorithm."""
    z = randn(200, 2)
    quantizer = VectorQuantizer(4, 2, decay=0.0, revive=None).double().train()
    quantizer(z)  # the first step takes the codebook from the data
    first = quantizer.codebook.detach().clone()
    for _ in range(5):
        quantizer(z)
    theirs = KMeans(4, init=first.numpy(), n_init=1, max_iter=5, tol=0, algorithm="lloyd").fit(z.numpy())
    np.testing.assert_allclose(quantizer.codebook.detach().numpy(), theirs.cluster_centers_, atol=1e-12)


def test_a_codebook_of_one_is_the_mean():
    z = 5 + randn(500, 3)
    quantizer = VectorQuantizer(1, 3, decay=0.5).double().train()
    for _ in range(80):
        quantized = quantizer(z)
    assert (quantized.codes == 0).all()
    torch.testing.assert_close(quantizer.codebook[0].detach(), z.mean(0))


@pytest.mark.parametrize("decay", [0.9, None])
def test_dead_codes_are_revived_and_not_otherwise(decay):
    z = randn(400, 2) * 0.1 + torch.tensor([[0.0, 0.0], [5.0, 5.0], [5.0, -5.0], [-5.0, 5.0]]).double().repeat(100, 1)
    used = {}
    for revive in (None, 5):
        quantizer = VectorQuantizer(4, 2, decay=decay, revive=revive, dead=0.1).double().train()
        quantizer.steps += 1  # no start from the data: all codes but one are far away
        with torch.no_grad():
            quantizer.codebook.copy_(torch.tensor([[0.0, 0.0], [99.0, 0.0], [99.0, 9.0], [99.0, 99.0]]))
            quantizer.sums.copy_(quantizer.codebook)
        for _ in range(300):
            quantizer(z)
        used[revive] = quantizer.encode(z).unique().numel()
    assert used == {None: 1, 5: 4}


def test_in_eval_mode_nothing_moves():
    quantizer = VectorQuantizer(4, 2).double().eval()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(randn(50, 2))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


# --- the prior


def wild_prior(*arguments, **options) -> CodePrior:
    prior, source = CodePrior(*arguments, **options).double().eval(), generator()
    for weight in prior.parameters():
        nn.init.normal_(weight, std=0.4, generator=source)
    return prior


def all_grids(n_codes: int, height: int, width: int) -> Tensor:
    return torch.cartesian_prod(*[torch.arange(n_codes)] * (height * width)).view(-1, height, width)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 2, 3), (3, 2, 2), (2, 3, 2)])
def test_the_prior_sums_to_one_and_its_samples_follow_it(shape):
    prior, grids = wild_prior(shape[0], shape[1:], channels=4, layers=2), all_grids(*shape)
    probabilities = prior.log_prob(grids).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
    drawn = prior.sample(20_000, generator()).flatten(1)
    number = (drawn * shape[0] ** torch.arange(drawn.shape[1]).flip(0)).sum(1)
    share = torch.bincount(number, minlength=len(grids)) / len(drawn)
    assert (share - probabilities).abs().sum() < 0.08


@torch.no_grad()
def test_sampling_with_memory_is_that_of_the_whole_network():
    prior = wild_prior(5, (4, 3), channels=6, layers=3)
    noise = torch.rand(12, 30, 1, generator=generator(3), dtype=torch.float64)
    codes = torch.zeros(30, 4, 3, dtype=torch.int64)
    for place in range(12):
        row, column = divmod(place, 3)
        shares = (prior(codes)[:, :, row, column] / 0.7).softmax(1).cumsum(1)[:, :-1]
        codes[:, row, column] = (noise[place] > shares).sum(1)
    assert torch.equal(prior.sample(30, generator(3), temperature=0.7), codes)
    assert codes.unique().numel() == 5


def test_every_earlier_code_counts_and_no_later_one():
    prior = wild_prior(3, (4, 4), channels=6, layers=4)
    codes = torch.randint(3, (1, 4, 4), generator=generator())
    with torch.no_grad():
        base = prior(codes)[0]
        for place in range(16):
            changed = codes.clone()
            changed.view(-1)[place] = (changed.view(-1)[place] + 1) % 3
            moved = (prior(changed)[0] - base).abs().sum(0).flatten() > 0
            assert not moved[: place + 1].any() and moved[place + 1 :].all()


def test_the_prior_learns_a_rule():
    """The second row repeats the first, which is two fair coins: the entropy is 2 log 2."""
    first = torch.randint(2, (400, 1, 2), generator=generator())
    codes = first.repeat(1, 2, 1)
    prior = CodePrior(2, (2, 2), 8, 2).fit(codes, epochs=30, batch_size=50, lr=0.02, device="cpu", progress=False)
    with torch.no_grad():
        nll = -prior.log_prob(codes).mean().item()
    assert nll == pytest.approx(2 * math.log(2), abs=0.02)
    assert prior.history_["loss"][-1] < prior.history_["loss"][0]


# --- the whole


def small(n_codes: int = 3) -> VQVAE:
    model = VQVAE(
        nn.Conv2d(1, 2, 2, 2),
        nn.ConvTranspose2d(2, 1, 2, 2),
        VectorQuantizer(n_codes, 2),
        wild_prior(n_codes, (1, 2), channels=4, layers=1),
    )
    return model.double().eval()


@torch.no_grad()
def test_the_bound_holds_and_its_gap_is_that_of_the_posterior():
    model = small()
    x = ((torch.arange(256)[:, None] >> torch.arange(8)) & 1).double().view(-1, 1, 2, 4)
    grids = all_grids(3, 1, 2)
    joint = torch.stack([model.elbo(x, grid.expand(len(x), 1, 2)) for grid in grids], dim=1)  # (256, 9)
    exact = joint.logsumexp(1)
    assert exact.exp().sum().item() == pytest.approx(1, abs=1e-9)
    bound, codes = model.elbo(x), model.encode(x)
    at = (codes.flatten(1) * torch.tensor([3, 1])).sum(1)
    torch.testing.assert_close(bound, joint.gather(1, at[:, None])[:, 0])
    assert (bound <= exact).all()
    torch.testing.assert_close(exact - bound, -joint.log_softmax(1).gather(1, at[:, None])[:, 0])
    parts = model.parts(x)
    torch.testing.assert_close(parts.reconstruction + parts.code, bound)


def test_a_data_set_of_prototypes_is_recovered():
    prototypes = torch.tensor([[1, 1, 0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1, 0, 0], [1, 0, 1, 0, 1, 0, 1, 0]]).double()
    weights = torch.tensor([0.6, 0.3, 0.1]).double()
    kinds = torch.multinomial(weights, 600, replacement=True, generator=generator())
    x = prototypes[kinds].view(-1, 1, 2, 4)
    torch.manual_seed(2)
    model = VQVAE(
        nn.Conv2d(1, 3, (2, 4)), nn.ConvTranspose2d(3, 1, (2, 4)), VectorQuantizer(3, 3), CodePrior(3, (1, 1), 2, 1)
    ).double()
    model.fit(x, epochs=40, batch_size=50, lr=0.03, device="cpu", progress=False)
    model.fit_prior(x, epochs=20, batch_size=50, lr=0.03, device="cpu", progress=False)
    assert torch.equal(model.reconstruct(x).round(), x)
    entropy = -(weights * weights.log()).sum().item()
    with torch.no_grad():
        assert -model.elbo(x).mean().item() == pytest.approx(entropy, abs=0.15)
    assert set(model.history_) == {"loss", "reconstruction", "quantizer"}
    drawn = model.sample(500, generator())
    assert (drawn.flatten(1) == prototypes[:, None]).all(2).any(0).double().mean() > 0.95


def test_training_the_prior_leaves_the_codes_alone():
    model = small()
    x = (torch.rand(20, 1, 2, 4, generator=generator()) > 0.5).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.fit_prior(x, epochs=2, batch_size=5, device="cpu", progress=False)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {"prior.bias", "prior.embedding", "prior.last.weight"} <= changed
    assert all(name.startswith("prior.") for name in changed)


@pytest.mark.parametrize(("halvings", "side"), [(2, 7), (3, 4)])
def test_the_networks_fit_together(halvings, side):
    x = torch.zeros(2, 1, 28, 28)
    z = code_encoder(5, width=4, halvings=halvings)(x)
    assert z.shape == (2, 5, side, side)
    assert code_decoder(5, width=4, halvings=halvings)(z).shape == x.shape


# --- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VectorQuantizer(0, 2), "n_codes is 0"),
        (lambda: VectorQuantizer(2, 2, decay=1.0), "decay is 1.0: expected a number from 0 to below 1"),
        (lambda: VectorQuantizer(2, 2, commitment=-1.0), "commitment is -1.0"),
        (lambda: VectorQuantizer(2, 2, revive=0), "revive is 0"),
        (lambda: VectorQuantizer(2, 2).encode(torch.zeros(4, 3)), r"z has shape \(4, 3\): expected \(B, 2, ...\)"),
        (lambda: VectorQuantizer(2, 2)(torch.zeros(0, 2)), r"z has shape \(0, 2\)"),
        (lambda: VectorQuantizer(2, 2).encode(torch.full((4, 2), math.nan)), r"z\[0, 0\] is nan"),
        (lambda: VectorQuantizer(2, 2).decode(torch.tensor([2])), "whole numbers from 0 to 1"),
        (lambda: VectorQuantizer(2, 2).decode(torch.tensor([0.0])), "whole numbers from 0 to 1"),
        (lambda: FiniteScalarQuantizer(()), "levels is empty"),
        (lambda: FiniteScalarQuantizer((3, 1)), "levels is 1: expected a whole number of at least 2"),
        (lambda: CodePrior(2, (2, 0)), "grid is 0"),
        (lambda: CodePrior(2, (2, 2)).log_prob(torch.zeros(3, 2, 2)), "whole numbers"),
        (lambda: CodePrior(2, (2, 2)).log_prob(torch.full((3, 2, 2), 2)), "codes go from 2 to 2"),
        (lambda: CodePrior(2, (2, 2)).sample(2, temperature=0.0), "temperature is 0.0"),
        (lambda: code_encoder(3, halvings=1), "halvings is 1"),
        (
            lambda: VQVAE(nn.Identity(), nn.Identity(), VectorQuantizer(2, 2), CodePrior(3, (1, 1))),
            "the quantizer has 2 codes and the prior 3",
        ),
        (lambda: small().elbo(torch.full((2, 1, 2, 4), 0.5).double()), "values other than 0 and 1"),
        (lambda: small().elbo(torch.ones(2, 1, 2, 4)), "expected torch.float64"),
    ],
)
def test_bad_input_gets_a_clear_error(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
