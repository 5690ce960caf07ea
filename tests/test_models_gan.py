"""Generative adversarial networks against closed forms, integrals, autograd, torch's own layers and loops."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from utils.models.classifiers import DigitClassifier, digit_classifier
from utils.models.gans import (
    GAN,
    GRID_NOISE,
    EnsembleMLP,
    ImageDiscriminator,
    ImageGenerator,
    MinibatchStd,
    architecture,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    grid_centers,
    mixture_points,
    modes_found,
    r1_penalty,
    ring_centers,
    spectral_norm,
)
from utils.models.gans.losses import LOSSES
from utils.models.vae import mnist_vae
from utils.nets import mlp


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


class OneNumber(nn.Module):
    """A network whose single output has no axis."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).squeeze(-1)


def small(loss="non-saturating", seed=0, **options):
    torch.manual_seed(seed)
    return GAN(mlp(2, 16, 2), OneNumber(mlp(2, 16, 1)), 2, loss=loss, **options)


# --- the losses


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_against_their_formulas(kind):
    real, fake = randn(7), randn(7, seed=1)
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    if kind in ("minimax", "non-saturating"):
        critic = -d_real.log() - (1 - d_fake).log()
        player = (1 - d_fake).log() if kind == "minimax" else -d_fake.log()
    elif kind == "wasserstein":
        critic, player = fake - real, -fake
    elif kind == "hinge":
        critic = (1 - real).clamp(min=0) + (1 + fake).clamp(min=0)
        player = -fake
    else:
        critic, player = -(real - fake).sigmoid().log(), -(fake - real).sigmoid().log()
    torch.testing.assert_close(discriminator_loss(real, fake, kind), critic)
    torch.testing.assert_close(generator_loss(fake, kind, real), player)


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_survive_a_discriminator_that_is_sure(kind):
    for answer in (-1e4, 1e4):
        values = torch.full((1,), answer, requires_grad=True)
        total = discriminator_loss(values, values, kind) + generator_loss(values, kind, -values)
        total.sum().backward()
        assert total.isfinite().all()
        assert values.grad.isfinite().all()


def test_the_optimal_discriminator_has_the_least_loss_which_is_the_jensen_shannon_divergence():
    """With D = p / (p + q) the loss is log 4 − 2 JS(p, q), and no other answers are better."""
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    p, q = (Normal(*torch.tensor(pair, dtype=torch.float64)).log_prob(x) for pair in ((0.0, 1.0), (1.5, 0.7)))
    cell = (x[1] - x[0]).item()

    def value(answers):
        real, fake = (
            discriminator_loss(answers, torch.full_like(x, -1e9)),
            discriminator_loss(torch.full_like(x, 1e9), answers),
        )
        return ((p.exp() * real + q.exp() * fake).sum() * cell).item()

    middle = torch.logaddexp(p, q) - math.log(2)
    js = 0.5 * ((p.exp() * (p - middle)).sum() + (q.exp() * (q - middle)).sum()).item() * cell
    assert math.isclose(value(p - q), math.log(4) - 2 * js, rel_tol=1e-9)
    for change in (0.1 * torch.sin(x), torch.full_like(x, -0.05), 0.02 * (p - q)):
        assert value(p - q + change) > value(p - q)


def test_a_loss_that_is_not_there_is_refused():
    for call in (lambda: discriminator_loss(*2 * [torch.zeros(1)], "cosine"), lambda: small("cosine")):
        with pytest.raises(ValueError, match="'cosine': expected one of minimax, non-saturating"):
            call()


def test_the_relativistic_loss_needs_pairs():
    with pytest.raises(ValueError, match="compares pairs"):
        generator_loss(torch.zeros(3), "relativistic")


# --- the cures


def test_r1_of_a_linear_and_of_a_quadratic_discriminator():
    x, w = randn(5, 3).requires_grad_(), randn(3, seed=1)
    torch.testing.assert_close(r1_penalty(x @ w, x), w.square().sum().expand(5))
    torch.testing.assert_close(r1_penalty(x.square().sum(1), x), 4 * x.square().sum(1))


def test_penalties_of_members_and_of_images_belong_to_each_answer():
    """(B, M, D): one penalty a member. (B, C, H, W): one an image. Both against autograd, one by one."""
    members = EnsembleMLP(3, 2, 8, 1, generator=generator()).double()
    x = randn(4, 3, 2).requires_grad_()
    penalty = r1_penalty(members(x), x)
    assert penalty.shape == (4, 3)
    for b, m in ((0, 0), (3, 2)):
        [slope] = torch.autograd.grad(members(x)[b, m], x)
        torch.testing.assert_close(penalty[b, m], slope[b, m].square().sum())
    image = ImageDiscriminator(width=4, batch_statistics=False).double()
    x = torch.rand(3, 1, 28, 28, generator=generator(), dtype=torch.float64, requires_grad=True)
    [slope] = torch.autograd.grad(image(x)[1], x)
    torch.testing.assert_close(r1_penalty(image(x), x)[1], slope[1].square().sum())


def test_gradient_penalty_asks_for_slope_one():
    real, fake = randn(6, 3), randn(6, 3, seed=1)
    w = randn(3, seed=2)
    found = gradient_penalty(lambda x: x @ w, real, fake, generator())
    torch.testing.assert_close(found, (w.norm() - 1).square().expand(6))
    assert gradient_penalty(lambda x: x @ (w / w.norm()), real, fake, generator()).max() < 1e-12
    flat = gradient_penalty(lambda x: (0 * x).sum(1), real, fake, generator())
    torch.testing.assert_close(flat, torch.ones(6).double(), atol=1e-5, rtol=0)


def test_gradient_penalty_looks_between_real_and_fake():
    """The slope of Σ x² / 2 at x is ‖x‖: it tells where the points were."""
    real, fake = torch.ones(2000, 2).double(), torch.zeros(2000, 2).double()
    found = gradient_penalty(lambda x: x.square().sum(1) / 2, real, fake, generator())
    where = (1 - found.sqrt()) / math.sqrt(2)  # slopes below 1, most of them: those with x < 0.7
    assert found.min() >= 0
    assert where[found.sqrt() <= 1].min() > -1e-6
    # E (√2 u − 1)² for u ~ U(0, 1) is 5/3 − √2.
    assert math.isclose(found.mean().item(), 5 / 3 - math.sqrt(2), abs_tol=0.03)


def test_minibatch_std_against_a_loop():
    x = randn(6, 2, 3)  # six examples of two members
    out = MinibatchStd()(x)
    assert out.shape == (6, 2, 4)
    torch.testing.assert_close(out[..., :3], x)
    for m in range(2):
        spread = torch.stack([x[:, m, f].std(correction=0) for f in range(3)]).mean()
        torch.testing.assert_close(out[:, m, 3], spread.expand(6), rtol=1e-6, atol=1e-6)
    images = randn(5, 2, 4, 4)
    out = MinibatchStd()(images)
    assert out.shape == (5, 3, 4, 4)
    torch.testing.assert_close(out[:, 2], images.std(0, correction=0).mean().expand(5, 4, 4), rtol=1e-6, atol=1e-6)
    assert MinibatchStd()(torch.ones(4, 2))[:, 2].max() < 1e-3


@pytest.mark.parametrize(("kind", "sizes"), [(nn.Linear, (5, 7)), (nn.Conv2d, (3, 6, 3))])
def test_spectral_norm_against_torch_and_svd(kind, sizes):
    layer, theirs = kind(*sizes), kind(*sizes)
    original = layer.weight.detach().clone()
    network = spectral_norm(nn.Sequential(layer)).train()
    for _ in range(200):
        weight = network[0].weight
    assert torch.linalg.matrix_norm(weight.flatten(1), ord=2).item() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(weight * torch.linalg.matrix_norm(original.flatten(1), ord=2), original)
    theirs.load_state_dict({"weight": original, "bias": torch.zeros(len(original))})
    theirs = nn.utils.parametrizations.spectral_norm(theirs, n_power_iterations=200)
    torch.testing.assert_close(weight, theirs.weight, rtol=1e-4, atol=1e-4)


def test_spectral_norm_of_members_and_in_eval_mode():
    network = spectral_norm(EnsembleMLP(3, 4, 8, 1, generator=generator()))
    for _ in range(300):
        network.layers[0].weight  # noqa: B018
    weight = network.layers[0].weight
    torch.testing.assert_close(torch.linalg.matrix_norm(weight, ord=2), torch.ones(3), rtol=1e-3, atol=1e-3)
    network.eval()
    assert (network.layers[0].weight == network.layers[0].weight).all()
    before = network.layers[0].parametrizations.weight[0].right.clone()
    network(torch.zeros(2, 3, 4))
    assert torch.equal(before, network.layers[0].parametrizations.weight[0].right)
    assert torch.isfinite(network(torch.zeros(2, 3, 4)).sum())


# --- the model


def test_each_player_learns_from_its_own_loss_only():
    """One step by hand: Adam's first step moves every weight by ± lr against the sign of its gradient."""
    model = small("minimax")
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    x = randn(8, 2, dtype=torch.float32)
    model.fit(x, epochs=1, batch_size=8, lr={"discriminator": 1e-3, "generator": 1e-2}, seed=5, device="cpu")
    own = small("minimax")
    own.load_state_dict(before)
    noise = torch.Generator().manual_seed(5)
    order = torch.randperm(8, generator=noise)
    fake = own.generator(own.noise(8, noise))
    d_loss = discriminator_loss(own.discriminator(x[order]), own.discriminator(fake.detach()), "minimax").mean()
    gradients = torch.autograd.grad(d_loss, own.discriminator.parameters())
    for (name, value), gradient in zip(own.discriminator.named_parameters(), gradients, strict=True):
        moved = dict(model.discriminator.named_parameters())[name] - value
        sure = gradient.abs() > 1e-5
        torch.testing.assert_close(moved[sure], -1e-3 * gradient.sign()[sure], rtol=2e-2, atol=1e-6)
    with torch.no_grad():  # then the generator, against the discriminator that has moved
        for mine, theirs in zip(own.discriminator.parameters(), model.discriminator.parameters(), strict=True):
            mine.copy_(theirs)
    gradients = torch.autograd.grad(
        generator_loss(own.discriminator(fake), "minimax").mean(), own.generator.parameters()
    )
    for (name, value), gradient in zip(own.generator.named_parameters(), gradients, strict=True):
        moved = dict(model.generator.named_parameters())[name] - value
        sure = gradient.abs() > 1e-5
        torch.testing.assert_close(moved[sure], -1e-2 * gradient.sign()[sure], rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"r1": 0.1},
        {"r1": 0.1, "r1_every": 2, "loss": "relativistic"},
        {"loss": "wasserstein", "gradient_penalty": 0.1},
        {"loss": "hinge"},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_it_finds_a_gaussian(options):
    """A generator that can only shift and stretch ends near the data's mean and spread."""
    torch.manual_seed(1)
    x = randn(2000, 1, dtype=torch.float32) * 0.5 + 1.0
    model = GAN(nn.Linear(1, 1), OneNumber(mlp(1, 32, 1)), 1, **options)
    quick = 2e-2 if options.get("loss") == "wasserstein" else 5e-3  # a critic should be near its best
    lr = {"discriminator": quick, "generator": 5e-3}
    model.fit(x, epochs=100, batch_size=250, lr=lr, schedule="linear", ema=0.99, device="cpu")
    samples = model.sample(4000, generator())
    assert abs(samples.mean().item() - 1) < 0.2
    assert 0.3 < samples.std().item() < 0.75
    assert set(model.history_) == {
        "discriminator_loss",
        "discriminator_real",
        "discriminator_fake",
        "generator_loss",
    }


def test_clipped_weights_stay_small():
    model = small("wasserstein", clip_weights=0.05)
    model.fit(randn(64, 2, dtype=torch.float32), epochs=2, batch_size=8, lr=1e-3, device="cpu")
    # The last step may leave the box by one step of Adam.
    assert max(weight.abs().max() for weight in model.discriminator.parameters()) < 0.05 + 2e-3
    assert max(weight.abs().max() for weight in model.generator.parameters()) > 0.1


def test_lazy_r1_weighs_as_much_on_average():
    x = randn(6, 2, dtype=torch.float32)

    class Training:
        generator = None

    losses = {}
    for r1, every, step in ((0.0, 1, 0), (0.3, 1, 0), (0.3, 4, 0), (0.3, 4, 1)):
        model = small(r1=r1, r1_every=every)
        Training.generator, Training.step = generator(), step
        losses[r1, every, step] = model._discriminator_step(x, Training)["loss"].mean().item()
    plain = losses[0.0, 1, 0]
    assert losses[0.3, 4, 1] == plain
    assert losses[0.3, 1, 0] > plain
    assert math.isclose(losses[0.3, 4, 0] - plain, 4 * (losses[0.3, 1, 0] - plain), rel_tol=1e-4)


def test_members_of_an_ensemble_are_alone():
    """Other members' data change nothing: first member alone in the middle of others, trained."""

    def trained(x):
        networks = (EnsembleMLP(2, *widths, generator=generator(1)) for widths in ((2, 8, 2), (2, 8, 1)))
        model = GAN(*networks, (2, 2), r1=0.1).fit(x, epochs=3, batch_size=16, lr=1e-3, device="cpu")
        return model.sample(10, generator(2))

    x = mixture_points(grid_centers(), GRID_NOISE, 64, 2, generator=generator())
    other = x.clone()
    other[:, 1] += 3
    first, second = trained(x), trained(other)
    torch.testing.assert_close(first[:, 0], second[:, 0])
    assert (first[:, 1] - second[:, 1]).abs().max() > 1e-4


def test_an_ensemble_is_its_members():
    ensemble = EnsembleMLP(3, 2, 8, 5, 4, generator=generator()).double()
    x = randn(6, 3, 2)
    first, second, last = (layer for layer in ensemble.layers if hasattr(layer, "weight"))
    for m in range(3):
        h = x[:, m]
        for layer in (first, second):
            h = (h @ layer.weight[m] + layer.bias[m]).relu()
        torch.testing.assert_close(ensemble(x)[:, m], h @ last.weight[m] + last.bias[m])
    assert EnsembleMLP(3, 2, 8, 1)(x.float()).shape == (6, 3)
    with pytest.raises(ValueError, match="two or more sizes"):
        EnsembleMLP(3, 2)


def test_truncation_keeps_the_noise_inside():
    model = small()
    z = model.noise(20000, generator(), truncation=0.7)
    assert z.abs().max() <= 0.7
    inside = Normal(0.0, 1.0)
    share = (inside.cdf(torch.tensor(0.35)) - 0.5) / (inside.cdf(torch.tensor(0.7)) - 0.5)
    assert ((z.abs() < 0.35).double().mean().item()) == pytest.approx(share.item(), abs=0.01)
    wide = model.noise(20000, generator(), truncation=8.0)
    assert wide.isfinite().all()
    assert wide.std().item() == pytest.approx(1, abs=0.02)
    with pytest.raises(ValueError, match="truncation is 0"):
        model.sample(3, truncation=0)


def test_samples_depend_on_the_generator_alone():
    model = small()
    assert torch.equal(model.sample(50, generator(3)), model.sample(50, generator(3)))
    torch.testing.assert_close(
        model.sample(7, generator(3)), torch.cat([model.sample(7, generator(3), chunk=7)]), rtol=0, atol=0
    )
    assert model.sample(25, chunk=10).shape == (25, 2)


def test_a_conditional_gan_learns_what_the_labels_say():
    torch.manual_seed(0)
    y = torch.arange(2000) % 2
    x = randn(2000, 1, dtype=torch.float32) * 0.2 + (2.0 * y - 1)[:, None]

    class Told(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.network = mlp(inputs + 2, 32, 1)

        def forward(self, x, y):
            out = self.network(torch.cat([x, nn.functional.one_hot(y, 2).to(x)], 1))
            return out.squeeze(1) if self.answers else out

    networks = Told(1), Told(1)
    networks[0].answers, networks[1].answers = False, True
    model = GAN(*networks, 1, n_classes=2, r1=0.1)
    model.fit(x, y, epochs=40, batch_size=200, lr=3e-3, ema=0.98, device="cpu")
    for label, mean in ((0, -1), (1, 1)):
        samples = model.sample(500, generator(), torch.full((500,), label))
        assert abs(samples.mean().item() - mean) < 0.4
    for labels in (None, torch.zeros(4), torch.full((5,), 2), torch.zeros(4, dtype=torch.long)):
        with pytest.raises(
            ValueError, match=r"conditional: expected labels y of shape \(5,\), whole numbers from 0 to 1"
        ):
            model.sample(5, y=labels)


# --- images


@pytest.mark.parametrize("n_classes", [0, 10])
def test_image_networks(n_classes):
    y = [torch.arange(4)] if n_classes else []
    made = ImageGenerator(16, width=4, n_classes=n_classes)(randn(4, 16, dtype=torch.float32), *y)
    assert made.shape == (4, 1, 28, 28)
    assert 0 <= made.min() <= made.max() <= 1
    judge = ImageDiscriminator(width=4, n_classes=n_classes).eval()
    assert judge(made, *y).shape == (4,)
    if n_classes:
        assert not torch.allclose(judge(made, *y), judge(made, y[0] + 1))


def test_architecture_counts_every_parameter_once():
    network = ImageDiscriminator(width=4, n_classes=10)
    table = architecture(network, torch.rand(5, 1, 28, 28), torch.arange(5))
    assert table.parameters.sum() == sum(p.numel() for p in network.parameters())
    assert table.iloc[0].to_dict() == {"layer": "Conv2d", "output": (4, 14, 14), "parameters": 4 * 16 + 4}
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    normed = spectral_norm(ImageDiscriminator(width=4))
    rows = architecture(normed, torch.rand(5, 1, 28, 28))
    assert "Conv2d" in set(rows.layer)
    assert rows.parameters.sum() == sum(p.numel() for p in normed.parameters())
    batch_norm = ImageGenerator(8, width=4)
    before = batch_norm.layers[2].running_mean.clone()
    architecture(batch_norm, torch.zeros(3, 8))
    assert torch.equal(before, batch_norm.layers[2].running_mean)


def test_the_trained_classifier_knows_digits():
    from utils.data import load

    mnist = load("mnist")
    model = digit_classifier()
    assert not model.training
    assert (model.predict(mnist.x_test) == mnist.y_test).double().mean() > 0.985
    features = model.features(mnist.x_test[:30], chunk=7)
    assert features.shape == (30, 64)
    assert features.min() >= 0
    torch.testing.assert_close(features, model.features(mnist.x_test[:30].flatten(1)))
    torch.testing.assert_close(model.head(features), model(mnist.x_test[:30]))
    with pytest.raises(ValueError, match="expected gray values"):
        model(torch.zeros(3, 28))
    with pytest.raises(ValueError, match="expected gray values"):
        model(torch.zeros(3, 784, dtype=torch.uint8))


def test_the_trained_autoencoder_keeps_its_bound():
    from utils.data import load

    x = load("mnist").binarized().flat().x_test[:2000]
    assert -mnist_vae().elbo(x, generator=generator()).mean() < 103


def test_the_classifier_learns():
    y = torch.arange(256) % 10
    x = torch.zeros(256, 784)
    x[torch.arange(256), 78 * y] = 1.0  # one bright pixel says it all
    x[torch.arange(256), 78 * y + 1] = 1.0
    torch.manual_seed(0)
    model = DigitClassifier().fit(x, y, epochs=15, batch_size=32, lr=3e-3, device="cpu")
    assert (model.predict(x) == y).double().mean() > 0.95


# --- the toys


def test_modes_are_counted_by_the_rule():
    centers = grid_centers()
    assert centers.shape == (25, 2)
    x = centers.repeat_interleave(100, 0)  # 2500 samples, 100 each
    modes, near = modes_found(x, centers, GRID_NOISE)
    assert (modes.item(), near.item()) == (25, 1)
    x[:81] = 100.0  # 19 of the first are left: one less than a fifth of 100
    assert modes_found(x, centers, GRID_NOISE)[0] == 24
    assert modes_found(x, centers, GRID_NOISE)[1] == pytest.approx(1 - 81 / 2500)
    x[80] = centers[0]
    assert modes_found(x, centers, GRID_NOISE)[0] == 25
    aside = centers.repeat_interleave(100, 0) + torch.tensor([3.1 * GRID_NOISE, 0.0])
    assert modes_found(aside, centers, GRID_NOISE)[0] == 0
    both = torch.stack([centers.repeat_interleave(100, 0), aside], dim=1)
    assert modes_found(both, centers, GRID_NOISE)[0].tolist() == [25, 0]


def test_spread_evenly_finds_nothing():
    """Samples without any structure must not pass as modes."""
    uniform = 5 * torch.rand(2500, 2, generator=generator()) - 2.5
    modes, near = modes_found(uniform, grid_centers(), GRID_NOISE)
    assert modes <= 1
    assert near < 0.12


def test_points_come_from_the_mixture():
    x = mixture_points(grid_centers(), GRID_NOISE, 5000, 2, generator=generator())
    assert x.shape == (5000, 2, 2)
    modes, near = modes_found(x, grid_centers(), GRID_NOISE)
    assert modes.tolist() == [25, 25]
    # Within 3 standard deviations in the plane: 1 − exp(−9/2).
    assert near.mean().item() == pytest.approx(1 - math.exp(-4.5), abs=0.005)
    from utils.toys import GAUSSIANS_NOISE, gaussians

    ring, _ = gaussians(4000, generator())
    modes, near = modes_found(ring, ring_centers(), GAUSSIANS_NOISE)
    assert modes == 8
    assert near.item() == pytest.approx(1 - math.exp(-4.5), abs=0.01)


# --- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r1": -1.0}, "r1 is -1.0: expected a weight above 0"),
        ({"gradient_penalty": math.inf}, "gradient_penalty is inf"),
        ({"clip_weights": math.nan}, "clip_weights is nan"),
        ({"r1_every": 0}, "r1_every is 0: expected a whole number of at least 1"),
        ({"n_classes": -1}, "n_classes is -1"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_senseless_latents_and_data_are_refused():
    for latent in (0, (), (5, 0), 2.0):
        with pytest.raises(ValueError, match=r"latent is .*: expected a whole number of at least 1"):
            GAN(mlp(2, 2), OneNumber(mlp(2, 1)), latent)
    model = small()
    with pytest.raises(TypeError, match=r"use torch\.as_tensor"):
        model.fit([[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"expected \(N, \.\.\.\) with N > 0 in floating point"):
        model.fit(torch.zeros(5, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="labels y are for a conditional GAN"):
        model.fit(torch.zeros(5, 2), torch.zeros(5, dtype=torch.long))
    with pytest.raises(ValueError, match=r"the generator gives shape \(5, 2\), x has \(5, 3\)"):
        GAN(mlp(2, 2), OneNumber(mlp(3, 1)), 2).fit(torch.zeros(5, 3), device="cpu")
