"""The variational autoencoder against integrals, torch.distributions, finite differences and probabilistic PCA."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from utils.data import load
from utils.models.vae import (
    VAE,
    conv_decoder,
    conv_encoder,
    fit_ppca,
    gaussian_kl,
    linear_vae,
    mnist_conv_vae,
    mnist_map_vae,
    ppca_log_prob,
    reparameterise,
)
from utils.nets import mlp

DIM = 4
# Every image of four pixels.
ALL = torch.tensor(list(itertools.product([0.0, 1.0], repeat=DIM)), dtype=torch.float64)
NODES, WEIGHTS = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(150))
WEIGHTS = WEIGHTS / math.sqrt(2 * math.pi)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(latent=1, likelihood="bernoulli", n_classes=0, seed=0, scale=1.5):
    """A VAE of four pixels with made-up weights, in float64."""
    torch.manual_seed(seed)
    networks = mlp(DIM, 8, 2 * latent, activation=nn.Tanh), mlp(latent + n_classes, 8, DIM, activation=nn.Tanh)
    model = VAE(*networks, latent, likelihood=likelihood, n_classes=n_classes).double()
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight *= scale
        if likelihood == "gaussian":
            model.log_variance.fill_(-0.7)
    return model


def points(likelihood):
    return ALL if likelihood == "bernoulli" else torch.randn(16, DIM, generator=generator(3), dtype=torch.float64)


@torch.no_grad()
def integrated(model, x, y=None):
    """log ∫ N(z; 0, I) p(x | z) dz by Gauss-Hermite quadrature."""
    grid = torch.cartesian_prod(*[NODES] * model.latent).view(-1, model.latent)
    weights = WEIGHTS
    for _ in range(model.latent - 1):
        weights = torch.outer(weights, WEIGHTS).flatten()
    likelihoods = []
    for at, row in enumerate(x):
        labels = None if y is None else y[at].expand(len(grid))
        likelihoods.append(model.log_likelihood(row.expand(len(grid), DIM), grid, labels))
    return torch.logsumexp(torch.stack(likelihoods) + weights.log(), dim=1)


# --- the parts


def test_kl_is_that_of_torch_distributions():
    mean, log_variance = 3 * torch.randn(2, 50, 5, generator=generator(), dtype=torch.float64)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_likelihood_is_that_of_torch_distributions(likelihood):
    model, x = small(2, likelihood), points(likelihood)
    z = torch.randn(16, 2, generator=generator(), dtype=torch.float64)
    mean = model.decode(z)
    expected = Bernoulli(mean) if likelihood == "bernoulli" else Normal(mean, math.exp(-0.35))
    torch.testing.assert_close(model.log_likelihood(x, z), expected.log_prob(x).sum(1))


def test_a_sure_decoder_does_not_overflow():
    model = VAE(nn.Linear(DIM, 2), nn.Linear(1, DIM), 1)
    nn.init.constant_(model.decoder.weight, 1e4)
    z = torch.tensor([[1.0], [-1.0]])
    log_likelihood = model.log_likelihood(torch.ones(2, DIM), z)
    assert log_likelihood[0].item() == pytest.approx(0, abs=1e-3)
    assert log_likelihood[1].item() == pytest.approx(-4e4, rel=1e-3)


def test_draws_of_z_have_the_mean_and_the_variance():
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 1.0]])
    z = reparameterise(mean.expand(200_000, 2), log_variance.expand(200_000, 2), generator())
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(0), log_variance[0].exp(), atol=0.03, rtol=0)


def test_the_gradient_through_a_draw_is_that_of_the_expectation():
    """E[(μ + σ ε)²] = μ² + σ²: its derivatives are 2 μ, and σ² with respect to log σ²."""
    mean, log_variance = torch.tensor(0.7, requires_grad=True), torch.tensor(-0.4, requires_grad=True)
    z = reparameterise(mean.expand(400_000), log_variance.expand(400_000), generator())
    z.square().mean().backward()
    assert mean.grad.item() == pytest.approx(1.4, abs=0.01)
    assert log_variance.grad.item() == pytest.approx(math.exp(-0.4), abs=0.01)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("options", [{}, {"beta": 0.3, "n_samples": 2}, {"beta": 2.0, "free_bits": 0.2}])
def test_gradients_are_those_of_finite_differences(likelihood, options):
    model, x, step = small(2, likelihood), points(likelihood), 1e-6

    def loss():
        return model.loss(x, generator=generator(1), **options)["loss"].mean()

    loss().backward()
    for parameter in model.parameters():
        flat, slopes = parameter.data.view(-1), parameter.grad.view(-1)
        for at in {0, len(flat) // 2, len(flat) - 1}:
            old = flat[at].item()
            flat[at] = old + step
            above = loss().item()
            flat[at] = old - step
            below = loss().item()
            flat[at] = old
            assert slopes[at].item() == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)


# --- the bounds


@pytest.mark.parametrize("latent", [1, 2])
def test_the_integral_is_a_distribution(latent):
    """Of the truth that the bounds are held against: the probabilities of all images sum to 1."""
    assert integrated(small(latent), ALL).exp().sum().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("latent", [1, 2])
def test_the_bounds_rise_to_the_log_likelihood(latent, likelihood):
    model, x = small(latent, likelihood), points(likelihood)
    truth = integrated(model, x)
    with torch.no_grad():
        elbo = model.elbo(x, n_samples=3000, generator=generator())
    assert (elbo < truth).all()
    source = generator(1)
    runs = {k: torch.stack([model.iwae(x, n_samples=k, generator=source) for _ in range(400)]) for k in (1, 5, 50)}
    assert ((runs[1].mean(0) - elbo).abs() < 5 * runs[1].std(0) / 20).all()  # k = 1 is an ELBO
    means = [each.mean().item() for each in runs.values()]
    assert elbo.mean().item() < means[1] < means[2] < truth.mean().item() + 1e-3
    torch.testing.assert_close(model.iwae(x, n_samples=100_000, generator=source), truth, atol=0.05, rtol=0)


def test_the_gap_of_the_elbo_is_the_kl_to_the_posterior():
    model, x = small(1), ALL[[5]]
    with torch.no_grad():
        mean, log_variance = model.encode(x)
        log_q = Normal(mean[0], (0.5 * log_variance[0]).exp()).log_prob(NODES[:, None])[:, 0]
        log_prior = Normal(0.0, 1.0).log_prob(NODES)
        log_likelihood = model.log_likelihood(x.expand(len(NODES), DIM), NODES[:, None])
        truth = integrated(model, x)
        log_posterior = log_likelihood + log_prior - truth
        q = WEIGHTS * (log_q - log_prior).exp()  # the rule integrates against N(0, 1)
        gap = (q * (log_q - log_posterior)).sum()
        exact_elbo = (q * log_likelihood).sum() - gaussian_kl(mean, log_variance).sum()
        sampled = model.elbo(x, n_samples=20_000, generator=generator())
    assert (truth - exact_elbo).item() == pytest.approx(gap.item(), abs=1e-6)
    assert sampled.item() == pytest.approx(exact_elbo.item(), abs=0.05)


def test_the_elbo_is_the_sum_of_its_parts():
    model = small(2)
    with torch.no_grad():
        reconstruction, kl = model.parts(ALL, n_samples=3, generator=generator())
        for beta in (0.0, 1.0, 4.0):
            elbo = model.elbo(ALL, n_samples=3, beta=beta, generator=generator())
            torch.testing.assert_close(elbo, reconstruction - beta * kl.sum(1))
        loss = model.loss(ALL, beta=4.0, n_samples=3, generator=generator())
    assert reconstruction.shape == (16,)
    assert kl.shape == (16, 2)
    assert (kl >= 0).all()
    assert loss["loss"].item() == pytest.approx(-elbo.mean().item())
    torch.testing.assert_close(loss["kl"], kl.sum(1))
    torch.testing.assert_close(loss["reconstruction"], reconstruction)


def test_free_bits_put_a_floor_under_each_latent():
    model = small(2)
    with torch.no_grad():
        rows = model.parts(ALL, generator=generator()).kl
        kl, middle = rows.mean(0), rows[:, 0].median().item()
        assert rows[:, 0].min() < middle < kl[0]  # the mean of the batch counts, not each row
        for floor in (0.0, middle, 10.0):
            loss = model.loss(ALL, free_bits=floor, generator=generator())
            price = loss["loss"] + loss["reconstruction"].mean()
            assert price.item() == pytest.approx(sum(max(floor, each) for each in kl.tolist()))
    model.loss(ALL, free_bits=10.0, generator=generator())["loss"].backward()
    below = model.encoder[-1].bias.grad.clone()
    model.zero_grad()
    (-model.parts(ALL, generator=generator()).reconstruction.mean()).backward()
    torch.testing.assert_close(below, model.encoder[-1].bias.grad)  # under the floor the KL does not pull


@pytest.mark.parametrize("chunk", [1, 7, 64, 5000])
def test_chunks_change_nothing_but_the_draws(chunk):
    model = small(1)
    truth = integrated(model, ALL)
    bound = model.iwae(ALL, n_samples=400, chunk=chunk, generator=generator())
    assert bound.shape == (16,)
    torch.testing.assert_close(bound, truth, atol=0.3, rtol=0)


def test_the_iwae_bound_is_the_formula():
    """With a chunk for all, the draws are those of one call, and the densities those of torch.distributions."""
    model, k = small(2), 6
    bound = model.iwae(ALL, n_samples=k, chunk=1000, generator=generator(4))
    with torch.no_grad():
        mean, log_variance = (part.repeat(k, 1) for part in model.encode(ALL))
        q = Normal(mean, (0.5 * log_variance).exp())
        z = mean + q.stddev * torch.randn(mean.shape, generator=generator(4), dtype=torch.float64)
        x = ALL.repeat(k, 1)
        log_weights = Bernoulli(model.decode(z)).log_prob(x).sum(1) + Normal(0.0, 1.0).log_prob(z).sum(1)
        log_weights -= q.log_prob(z).sum(1)
    torch.testing.assert_close(bound, log_weights.view(k, 16).logsumexp(0) - math.log(k))


def test_log_prob_is_the_bound_with_k_samples():
    model = small(1)
    expected = model.iwae(ALL, n_samples=20, generator=generator(2))
    assert model.log_prob(ALL, n_samples=20, generator=generator(2)).equal(expected)


# --- samples, codes, classes


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_samples_have_the_moments_of_the_model(likelihood):
    model = small(1, likelihood)
    x = model.sample(200_000, generator())
    with torch.no_grad():
        means = model.decode(NODES[:, None])  # (150, D)
    mean = WEIGHTS @ means
    within = means * (1 - means) if likelihood == "bernoulli" else torch.full_like(means, math.exp(-0.7))
    variance = WEIGHTS @ (within + (means - mean).square())
    torch.testing.assert_close(x.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(x.var(0), variance, atol=0.03, rtol=0.02)
    if likelihood == "bernoulli":
        assert set(x.unique().tolist()) == {0, 1}
        index = (x @ torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)).long()
        frequencies = torch.bincount(index, minlength=16) / len(x)
        torch.testing.assert_close(frequencies, integrated(model, ALL).exp().float(), atol=0.005, rtol=0)


def test_the_generator_decides():
    model = small(2)
    assert model.sample(5, generator(1)).equal(model.sample(5, generator(1)))
    assert not model.sample(50, generator(1)).equal(model.sample(50, generator(2)))
    with torch.no_grad():
        assert model.elbo(ALL, generator=generator(1)).equal(model.elbo(ALL, generator=generator(1)))


def test_a_reconstruction_is_decoded_from_the_mean_of_the_posterior():
    model = small(2)
    with torch.no_grad():
        mean, log_variance = model.encode(ALL)
        expected = model.decode(mean)
    assert mean.shape == log_variance.shape == (16, 2)
    assert model.reconstruct(ALL).equal(expected)
    assert 0 < expected.min() < expected.max() < 1


def test_each_class_has_a_distribution_of_its_own():
    model = small(1, n_classes=3)
    labels = [torch.full((16,), label) for label in range(3)]
    truths = [integrated(model, ALL, y) for y in labels]
    for truth, y in zip(truths, labels, strict=True):
        assert truth.exp().sum().item() == pytest.approx(1, abs=1e-9)
        bound = model.iwae(ALL, y, n_samples=5000, generator=generator())
        torch.testing.assert_close(bound, truth, atol=0.1, rtol=0)
        x = model.sample(50_000, generator(), y=y[:1].expand(50_000))
        torch.testing.assert_close(x.mean(0), truth.exp() @ ALL, atol=0.02, rtol=0)
    assert (truths[0] - truths[1]).abs().max() > 0.1
    mixed = torch.tensor([0, 1, 2, 0] * 4)
    by_chunks = model.iwae(ALL, mixed, n_samples=1000, chunk=6, generator=generator())
    torch.testing.assert_close(by_chunks, integrated(model, ALL, mixed), atol=0.2, rtol=0)
    assert model.reconstruct(ALL, mixed).shape == ALL.shape


def test_images_keep_their_shape():
    model = VAE(conv_encoder(6, side=8, width=4), conv_decoder(3, side=8, width=4), 3)
    x = model.sample(5, generator())
    assert x.shape == (5, 1, 8, 8)
    assert model.reconstruct(x).shape == x.shape
    assert model.iwae(x, n_samples=7, chunk=8, generator=generator()).shape == (5,)
    assert model.elbo(x, n_samples=2).shape == (5,)


# --- learning


def clusters(n=400):
    """Two kinds of images of eight pixels: the left half is on, or the right."""
    side = torch.rand(n, 1, generator=generator(1)) < 0.5
    probs = torch.cat([torch.where(side, 0.95, 0.05).expand(n, 4), torch.where(side, 0.05, 0.95).expand(n, 4)], dim=1)
    return probs, side[:, 0].long()


def two_kinds(n_classes=0, latent=2):
    torch.manual_seed(0)
    return VAE(mlp(8, 16, 2 * latent), mlp(latent + n_classes, 16, 8), latent, n_classes=n_classes)


def test_fit_learns_what_the_pixels_share():
    gray, _ = clusters()
    x = (torch.rand(gray.shape, generator=generator(2)) < gray).float()
    model = two_kinds()
    assert model.fit(gray, binarize=True, epochs=60, batch_size=50, lr=0.01, device="cpu") is model
    entropy = -8 * (0.95 * math.log(0.95) + 0.05 * math.log(0.05)) + math.log(2)  # nats, of the truth
    apart = -8 * math.log(0.5)  # all that pixels on their own can do
    nll = -model.iwae(x, n_samples=500, generator=generator()).mean().item()
    assert entropy - 0.2 < nll < entropy + 0.5 < apart - 2
    assert set(model.history_) == {"loss", "reconstruction", "kl"}
    assert len(model.history_["loss"]) == 60
    assert 0.3 < model.history_["kl"][-1] < 2


def test_a_label_that_tells_all_empties_the_code():
    gray, y = clusters()
    model = two_kinds(n_classes=2).fit(gray, y, binarize=True, epochs=60, batch_size=50, lr=0.01, device="cpu")
    assert model.history_["kl"][-1] < 0.1
    means = torch.stack([model.sample(2000, generator(), y=torch.full((2000,), label)).mean(0) for label in (0, 1)])
    torch.testing.assert_close(
        means, torch.tensor([[0.05] * 4 + [0.95] * 4, [0.95] * 4 + [0.05] * 4]), atol=0.06, rtol=0
    )


def test_warm_up_and_beta_weigh_the_kl():
    x = clusters()[0].round()
    kls = {}
    for name, options in {"plain": {}, "strong": {"beta": 20.0}, "warm": {"beta": 20.0, "warm_up": 1.0}}.items():
        settings = {"epochs": 40, "batch_size": 50, "lr": 0.01, "schedule": "constant", "device": "cpu"}
        kls[name] = two_kinds().fit(x, **settings, **options).history_["kl"]
    assert kls["strong"][-1] < 0.05 < kls["plain"][-1]
    assert kls["warm"][4] > 5 * kls["strong"][4]  # early, the KL hardly counts


def test_free_bits_keep_the_code_in_use():
    x = clusters()[0].round()
    settings = {"epochs": 40, "batch_size": 50, "lr": 0.01, "beta": 20.0, "device": "cpu"}
    assert two_kinds().fit(x, **settings).history_["kl"][-1] < 0.05
    assert two_kinds().fit(x, free_bits=0.3, **settings).history_["kl"][-1] > 0.4


def test_validation_counts_the_whole_kl():
    x = clusters()[0].round()
    model = two_kinds().fit(x, warm_up=1.0, epochs=2, lr=0.01, validation=x, device="cpu")
    history = model.history_
    expected = history["validation_kl"][0] - history["validation_reconstruction"][0]
    assert history["validation_loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history["loss"][0] < history["kl"][0] - history["reconstruction"][0]  # β was below 1


# --- probabilistic PCA


def correlated(n=500, dim=5, latent=2, seed=0):
    g = generator(seed)
    weights = torch.randn(dim, latent, generator=g, dtype=torch.float64) * torch.tensor([2.0, 1.0], dtype=torch.float64)
    z = torch.randn(n, latent, generator=g, dtype=torch.float64)
    return 1 + z @ weights.T + 0.5 * torch.randn(n, dim, generator=g, dtype=torch.float64)


def test_ppca_is_that_of_scikit_learn():
    x = correlated()
    reference = PCA(2).fit(x.numpy())
    mean, weights, variance = fit_ppca(x, 2)
    scale = len(x) / (len(x) - 1)  # scikit-learn divides by n − 1
    covariance = weights @ weights.T + variance * torch.eye(5, dtype=torch.float64)
    np.testing.assert_allclose(covariance.numpy() * scale, reference.get_covariance(), rtol=1e-10)
    ours = ppca_log_prob(x, mean, weights * math.sqrt(scale), variance * scale)
    np.testing.assert_allclose(ours.numpy(), reference.score_samples(x.numpy()), rtol=1e-10)


def test_no_other_parameters_are_likelier():
    x = correlated()
    mean, weights, variance = fit_ppca(x, 2)
    best = ppca_log_prob(x, mean, weights, variance).mean()
    for seed in range(20):
        noise = 0.05 * torch.randn(11, 5, generator=generator(seed), dtype=torch.float64)
        moved = ppca_log_prob(x, mean + noise[0], weights + noise[1:3].T, variance * (1 + noise[3, 0]).abs())
        assert moved.mean() < best


def test_at_the_truth_each_draw_weighs_the_same():
    """With the posterior of probabilistic PCA as q, p(x, z) / q(z | x) = p(x) for every z: the bound has no gap."""
    x = correlated()
    mean, weights, variance = fit_ppca(x, 2)
    inside = (weights.T @ weights).diagonal() + variance  # the columns of W are orthogonal
    model = linear_vae(5, 2).double()
    with torch.no_grad():
        model.decoder.weight.copy_(weights)
        model.decoder.bias.copy_(mean)
        model.log_variance.copy_(variance.log())
        model.encoder.mean.weight.copy_(weights.T / inside[:, None])
        model.encoder.mean.bias.copy_(-(weights.T @ mean) / inside)
        model.encoder.log_variance.copy_((variance / inside).log())
    truth = ppca_log_prob(x, mean, weights, variance)
    torch.testing.assert_close(model.iwae(x, n_samples=1, generator=generator()), truth, atol=1e-9, rtol=0)
    with torch.no_grad():
        elbo = model.elbo(x, n_samples=1000, generator=generator())
    assert elbo.mean().item() == pytest.approx(truth.mean().item(), abs=0.005)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_linear_vae_reaches_ppca(seed):
    x = correlated(seed=seed)
    torch.manual_seed(seed)
    model = linear_vae(5, 2).double()
    model.fit(x, epochs=500, batch_size=100, lr=0.1, seed=seed, device="cpu")
    truth = ppca_log_prob(x, *fit_ppca(x, 2)).mean()
    with torch.no_grad():
        elbo = model.elbo(x, n_samples=2000, generator=generator()).mean()
    assert -0.003 < (truth - elbo).item() < 0.01  # the estimate's own error is about 0.001


# --- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: small(likelihood="poisson"), "likelihood is 'poisson': expected one of bernoulli, gaussian"),
        (lambda: VAE(mlp(4, 2), mlp(1, 4), 0), "latent is 0"),
        (lambda: VAE(mlp(4, 2), mlp(1, 4), 1, n_classes=-1), "n_classes is -1"),
        (lambda: VAE(mlp(4, 1), mlp(1, 4), 1).elbo(torch.ones(3, 4)), r"shape \(3, 1\): expected \(3, 2\)"),
        (lambda: VAE(mlp(4, 2), mlp(1, 5), 1).elbo(torch.ones(3, 4)), r"\(3, 5\), x has \(3, 4\): expected the same"),
        (lambda: small().elbo(ALL.numpy()), "x is a ndarray: expected a torch.Tensor"),
        (lambda: small().elbo(ALL.long()), "torch.int64: expected"),
        (lambda: small().elbo(ALL[0]), r"x has shape \(4,\)"),
        (lambda: small().elbo(ALL[:0]), r"x has shape \(0, 4\)"),
        (lambda: small().elbo(ALL / 2), "values other than 0 and 1: use utils.data.binarize"),
        (lambda: small().elbo(ALL * math.nan), "values other than 0 and 1"),
        (lambda: small().fit(ALL * 255, binarize=True), r"in \[0, 1\]"),
        (lambda: small().fit(ALL / 2), "values other than 0 and 1"),
        (lambda: VAE(mlp(4, 2), mlp(1, 4), 1.5), "latent is 1.5"),
        (lambda: small().iwae(ALL, n_samples=0), "n_samples is 0"),
        (lambda: small().iwae(ALL, chunk=0), "chunk is 0"),
        (lambda: small().elbo(ALL, n_samples=0), "n_samples is 0"),
        (
            lambda: small(n_classes=3).elbo(ALL),
            r"this VAE is conditional: expected labels y \(16,\), whole numbers from 0 to 2",
        ),
        (lambda: small(n_classes=3).sample(2), r"expected labels y \(2,\)"),
        (lambda: small(n_classes=3).decode(torch.zeros(2, 1), torch.tensor([0, 3])), "whole numbers from 0 to 2"),
        (lambda: small(n_classes=3).elbo(ALL, torch.zeros(3).long()), r"expected labels y \(16,\)"),
        (lambda: small().sample(2, y=torch.zeros(2).long()), "make it with n_classes="),
        (lambda: fit_ppca(ALL, 4), "0 < latent < D"),
        (lambda: fit_ppca(ALL[:, :1].repeat(1, 3), 1), "no noise is left"),
        (lambda: ppca_log_prob(ALL, ALL[0], ALL[:2].T, 0.0), "variance is 0.0"),
        (lambda: ppca_log_prob(ALL, ALL[0], ALL[:2], 1.0), r"expected \(B, D\), \(D,\) and \(D, L\)"),
    ],
)
def test_bad_input_gets_a_clear_error(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# --- the models that come with the course


@pytest.mark.parametrize(("make", "shape", "highest", "used"), [
    (mnist_conv_vae, (1, 28, 28), 119, 5),
    (mnist_map_vae, (784,), 158, 2),
])  # fmt: skip
def test_a_trained_model_reaches_its_bound_and_uses_its_code(make, shape, highest, used):
    mnist = load("mnist").binarized()
    x = mnist.x_test[mnist.test_part(500)].reshape(-1, *shape)
    with torch.no_grad():
        parts = make().parts(x, generator=generator())
    assert -(parts.reconstruction - parts.kl.sum(1)).mean() < highest
    assert (parts.kl.mean(0) > 0.5).sum() >= used
