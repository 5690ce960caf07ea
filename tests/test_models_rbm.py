"""The RBM: exactness against enumeration and autograd; learning; annealing; sampling; scikit-learn; errors."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM

from utils.models.boltzmann import RBM, LogPartition
from utils.models.boltzmann.contrastive_divergence import toss
from utils.models.boltzmann.partition import anneal, estimate, exact, expectations
from utils.models.estimator import NotFittedError

WIDTHS = [(3, 4), (5, 2), (4, 4)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def known(n_visible=5, n_hidden=3, scale=1.0, seed=7, **options):
    """An RBM with made-up parameters."""
    g = generator(seed)
    weights = scale * torch.randn(n_visible, n_hidden, generator=g, dtype=torch.float64)
    biases = (scale * torch.randn(n, generator=g, dtype=torch.float64) for n in (n_visible, n_hidden))
    return RBM.from_parameters(weights, *biases, **options)


def states(n):
    """All 2^n rows of zeros and ones."""
    return tensor(*itertools.product((0, 1), repeat=n))


def joint(model):
    """p(v, h) by brute force: a loop over all pairs of states."""
    d, n_hidden = model.weights.shape
    table = torch.stack(
        [
            torch.exp(model.visible_bias @ v + model.hidden_bias @ h + v @ model.weights @ h)
            for v in states(d)
            for h in states(n_hidden)
        ]
    ).view(2**d, 2**n_hidden)
    return table / table.sum(), table.sum().log()


def assert_close(value, expected, rtol=1e-10, atol=1e-12):
    torch.testing.assert_close(value, expected, rtol=rtol, atol=atol)


def bars(n=200, seed=0):
    """Rows of 9 pixels, a 3 × 3 image with one of its three rows on: entropy log 3."""
    which = torch.randint(3, (n,), generator=generator(seed))
    return torch.eye(3, dtype=torch.float64)[which].repeat_interleave(3, 1)


# --- exactness ---


@pytest.mark.parametrize("d, n_hidden", WIDTHS)
def test_energy_free_energy_and_log_prob_equal_enumeration(d, n_hidden):
    model, (v, h) = known(d, n_hidden), (states(d), states(n_hidden))
    p, log_z = joint(model)
    pairs_v, pairs_h = v.repeat_interleave(len(h), 0), h.repeat(len(v), 1)
    assert_close((-model.energy(pairs_v, pairs_h) - log_z).exp().view_as(p), p)
    assert_close((-model.free_energy(v) - log_z).exp(), p.sum(1))
    assert_close(model.log_prob(v), p.sum(1).log())
    assert_close(model.log_prob(v).exp().sum(), tensor(1.0)[0])
    value, low, high = model.log_partition()
    assert value == low == high == pytest.approx(log_z.item(), rel=1e-12)


@pytest.mark.parametrize("d, n_hidden", WIDTHS)
def test_conditionals_equal_enumeration(d, n_hidden):
    model, (v, h) = known(d, n_hidden), (states(d), states(n_hidden))
    p, _ = joint(model)
    assert_close(model.hidden_probs(v), p / p.sum(1, keepdim=True) @ h)
    assert_close(model.visible_probs(h), (p / p.sum(0)).T @ v)
    assert_close(model.transform(v), model.hidden_probs(v))


@pytest.mark.parametrize("d, n_hidden", WIDTHS)
def test_expectations_equal_enumeration(d, n_hidden, monkeypatch):
    model, (v, h) = known(d, n_hidden), (states(d), states(n_hidden))
    p, _ = joint(model)
    monkeypatch.setattr("utils.models.boltzmann.partition.BLOCK", 8)  # several blocks, the last one short
    vh_mean, v_mean, h_mean = expectations(model.weights, model.visible_bias, model.hidden_bias)
    assert_close(vh_mean, v.T @ p @ h)
    assert_close(v_mean, p.sum(1) @ v)
    assert_close(h_mean, p.sum(0) @ h)


@pytest.mark.parametrize("d, n_hidden", WIDTHS)
def test_the_exact_gradient_equals_autograd(d, n_hidden):
    model, x = known(d, n_hidden), states(d)[::2]
    parameters = [t.clone().requires_grad_() for t in (model.weights, model.visible_bias, model.hidden_bias)]
    weights, visible_bias, hidden_bias = parameters
    v = states(d)
    score = v @ visible_bias + torch.nn.functional.softplus(v @ weights + hidden_bias).sum(1)
    log_p = x @ visible_bias + torch.nn.functional.softplus(x @ weights + hidden_bias).sum(1) - score.logsumexp(0)
    for ours, theirs in zip(model.gradient(x), torch.autograd.grad(log_p.mean(), parameters), strict=True):
        assert_close(ours, theirs)


def test_pseudo_log_likelihood_equals_brute_force():
    model, v = known(), states(5)
    p = joint(model)[0].sum(1).view(2, 2, 2, 2, 2)
    conditionals = sum((p / p.sum(axis, keepdim=True)).log() for axis in range(5))
    assert_close(model.pseudo_log_likelihood(v), conditionals.flatten())
    estimates = torch.stack([model.pseudo_log_likelihood(v, flips=40, generator=generator(i)) for i in range(50)])
    assert_close(estimates.mean(0), conditionals.flatten(), rtol=0.05, atol=0.05)


def test_scikit_learn_agrees():
    model, x = known(20, 8), torch.randint(2, (30, 20), generator=generator()).double().numpy()
    theirs = BernoulliRBM(8)
    theirs.components_, theirs.intercept_visible_ = model.weights.T.numpy(), model.visible_bias.numpy()
    theirs.intercept_hidden_, theirs.n_features_in_ = model.hidden_bias.numpy(), 20
    assert_close(model.free_energy(torch.from_numpy(x)), torch.from_numpy(theirs._free_energy(x)))
    assert_close(model.transform(torch.from_numpy(x)), torch.from_numpy(theirs.transform(x)))


# --- annealed importance sampling ---


@pytest.mark.parametrize("seed", range(5))
def test_annealing_agrees_with_enumeration_from_both_sides(seed):
    model = known(30, 8, scale=0.7, seed=seed)
    truth = model.log_partition().value
    start = model.sample(200, generator(seed), steps=200)
    value, low, high = model.log_partition("ais", chains=200, betas=500, start=start, generator=generator(seed))
    assert low < truth < high
    assert abs(value - truth) < 0.2
    assert high - low < 1.2


def test_the_weights_of_annealing_are_unbiased():
    model = known(4, 3, scale=1.5)
    parameters = model.weights, model.visible_bias, model.hidden_bias
    base = tensor(0.3, -0.2, 0.0, 0.4)
    betas = torch.linspace(0, 1, 4, dtype=torch.float64) ** 2
    log_base = 3 * math.log(2) + torch.log1p(base.exp()).sum().item()
    v, log_weights = anneal(*parameters, base, chains=200_000, betas=betas, generator=generator())
    found, truth = estimate(log_weights, log_base), exact(*parameters).value
    assert found.low < truth < found.high
    assert found.high - found.low < 0.1
    p, _ = joint(model)
    weighted = torch.zeros(16, dtype=torch.float64)
    weighted.index_add_(0, (v @ tensor(8, 4, 2, 1)).long(), log_weights.softmax(0))
    assert_close(weighted, p.sum(1), rtol=0, atol=0.01)
    exactly = states(4)[p.sum(1).multinomial(200_000, replacement=True, generator=generator(1))]
    _, back = anneal(*parameters, base, chains=200_000, betas=betas, start=exactly, generator=generator(2))
    assert log_base - (back.logsumexp(0).item() - math.log(200_000)) == pytest.approx(truth, abs=0.05)


def test_without_weights_annealing_is_exact():
    base = tensor(1.0, -2.0, 0.5)
    model = RBM.from_parameters(torch.zeros(3, 2, dtype=torch.float64), base, tensor(0.0, 0.0))
    value, low, high = model.log_partition("ais", chains=10, betas=5, generator=generator())
    assert value == pytest.approx(model.log_partition().value, abs=1e-12)
    assert high - low < 1e-9


def test_a_number_or_a_partition_gives_the_same_log_prob():
    model, v = known(), states(5)
    log_z = model.log_partition()
    assert_close(model.log_prob(v, log_z), model.log_prob(v))
    assert_close(model.log_prob(v, log_z.value + 2), model.log_prob(v) - 2)
    assert_close(model.log_prob(v, LogPartition(1.0, 0.0, 9.0)), -model.free_energy(v) - 1)


# --- learning ---


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("k", [1, 2])
def test_the_mean_update_follows_from_the_chain(persistent, k):
    """One step, averaged over many runs, is the difference of expectations after exactly k block Gibbs steps."""
    size, rate, runs = 20_000, 0.1, 5
    model, x = known(4, 3, scale=0.5), bars()[:1, :4].repeat(size, 1)
    v = states(4)
    p, _ = joint(model)
    to_h, to_v = p / p.sum(1, keepdim=True), (p / p.sum(0)).T  # p(h | v), p(v | h)
    start = to_h[int(x[0] @ tensor(8, 4, 2, 1))]
    if persistent:
        start = torch.full((8,), 1 / 8, dtype=torch.float64)
    for _ in range(k):
        at_v = start @ to_v
        start = at_v @ to_h
    hidden = model.hidden_probs(v)
    data = model.hidden_probs(x[:1])
    expected = (
        x[:1].T @ data - v.T @ (at_v[:, None] * hidden),
        x[0] - at_v @ v,
        data[0] - at_v @ hidden,
    )
    total = [0.0, 0.0, 0.0]
    for run in range(runs):
        options = {"k": k, "persistent": persistent, "batch_size": size, "epochs": 1, "learning_rate": rate}
        copy = known(4, 3, scale=0.5, generator=generator(run), **options)
        copy.partial_fit(x)
        for at, name in enumerate(("weights", "visible_bias", "hidden_bias")):
            total[at] += (getattr(copy, name) - getattr(model, name)) / rate / runs
    for found, truth in zip(total, expected, strict=True):
        assert_close(found, truth, rtol=0, atol=0.01)


def test_long_chains_follow_the_exact_gradient():
    size = 20_000
    options = {"k": 50, "batch_size": size, "epochs": 1, "learning_rate": 1.0, "persistent": False}
    model, before = (known(4, 3, scale=0.5, generator=generator(), **options) for _ in range(2))
    x = bars(size)[:, [0, 1, 3, 6]]
    model.partial_fit(x)
    for name, slope in zip(("weights", "visible_bias", "hidden_bias"), before.gradient(x), strict=True):
        assert_close(getattr(model, name) - getattr(before, name), slope, rtol=0, atol=0.015)


def noisy_bars(n=2000, noise=0.1, seed=0):
    """Bars with some pixels turned over, and the log-probability of each row."""
    x = bars(n, seed)
    turned = torch.rand(x.shape, generator=generator(seed + 1), dtype=torch.float64) < noise
    x = torch.where(turned, 1 - x, x)
    patterns = torch.eye(3, dtype=torch.float64).repeat_interleave(3, 1)
    wrong = (x[:, None] - patterns).abs().sum(2)
    return x, (wrong * math.log(noise) + (9 - wrong) * math.log(1 - noise) - math.log(3)).logsumexp(1)


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"persistent": False, "k": 10}, {"batch_size": 30}])
def test_a_small_distribution_is_learned(options):
    x, truth = noisy_bars()
    start = RBM(6, epochs=1, learning_rate=1e-9, dtype=torch.float64, generator=generator()).fit(x)
    model = RBM(
        6, epochs=60, dtype=torch.float64, generator=generator(), **{"batch_size": 20, "learning_rate": 0.1} | options
    ).fit(x)
    assert start.log_prob(x).mean() < truth.mean() - 0.6
    assert abs(model.log_prob(x).mean() - truth.mean()) < 0.05
    assert len(model.history_) == 60
    assert model.history_[-1] > model.history_[0] + 0.3


def test_the_rate_falls_and_weights_decay():
    x = bars(100)
    runs = [RBM(4, epochs=20, weight_decay=d, dtype=torch.float64, generator=generator()).fit(x) for d in (0.0, 1.0)]
    assert runs[1].weights.norm() < 0.7 * runs[0].weights.norm()


def test_fit_starts_at_the_log_odds():
    x = bars(300)
    x[:, 0] = 0
    model = RBM(2, epochs=1, learning_rate=1e-9, dtype=torch.float64, generator=generator()).fit(x)
    assert_close(model.visible_bias, ((x.sum(0) + 0.5) / 301).logit(), rtol=0, atol=1e-6)
    assert model.visible_bias.isfinite().all()


def test_partial_fit_goes_on_where_it_stopped():
    x, _ = noisy_bars()
    model = RBM(5, epochs=10, batch_size=20, dtype=torch.float64, generator=generator()).fit(x)
    once, chains = model.log_prob(x).mean(), model._chains
    model.partial_fit(x)
    assert model.log_prob(x).mean() > once
    assert model._chains is chains
    assert len(model.history_) == 20
    copy = RBM.from_parameters(model.weights, model.visible_bias, model.hidden_bias, generator=generator())
    copy.partial_fit(x)
    assert not torch.equal(copy.weights, model.weights)  # a copy, not the same memory
    with pytest.raises(NotFittedError):
        RBM(3).partial_fit(x)


def test_a_generator_decides_everything():
    x = bars()
    one, same, other = (RBM(4, generator=generator(seed)).fit(x) for seed in (1, 1, 2))
    assert torch.equal(one.weights, same.weights)
    assert not torch.equal(one.weights, other.weights)
    state = torch.get_rng_state()
    assert torch.equal(one.sample(5, generator(3), steps=20), one.sample(5, generator(3), steps=20))
    assert torch.equal(state, torch.get_rng_state())
    assert one.weights.dtype == torch.float32 == one.sample(2, steps=3).dtype


def test_tossed_coins_have_their_probabilities():
    probs = tensor(0.0, 1e-6, 1e-4, 0.25, 0.5, 0.9, 1.0)
    n = 300_001  # times 7, not a multiple of 4
    out, noise = torch.empty(n, 7, dtype=torch.float64), torch.empty(7 * n // 4 + 1, dtype=torch.int64)
    toss(probs.repeat(n, 1), noise, out, generator())
    assert ((out == 0) | (out == 1)).all()
    assert (out.mean(0)[[0, 1, 6]] == tensor(0, 0, 1)).all()  # 1e-6 is less than half of 2^-16
    z = (out.mean(0) - probs)[2:6] / (probs * (1 - probs) / n).sqrt()[2:6]
    assert z.abs().max() < 4
    neighbors = torch.corrcoef(out[:, 3:6].T)
    assert (neighbors - torch.eye(3)).abs().max() < 0.01


# --- samples ---


@pytest.mark.parametrize("start", [None, torch.zeros(1, 4), torch.ones(40_000, 4)])
def test_samples_follow_the_distribution(start):
    model, n = known(4, 3), 40_000
    v = model.sample(n, generator(), steps=50, start=start)
    found = torch.bincount((v @ tensor(8, 4, 2, 1)).long(), minlength=16) / n
    assert_close(found.double(), joint(model)[0].sum(1), rtol=0, atol=0.012)


def test_a_gibbs_step_keeps_the_distribution():
    model, n = known(4, 3), 40_000
    p = joint(model)[0].sum(1)
    v = states(4)[p.multinomial(n, replacement=True, generator=generator())]
    after = model.gibbs_step(v, generator(1))
    assert_close(torch.bincount((after @ tensor(8, 4, 2, 1)).long(), minlength=16).double() / n, p, rtol=0, atol=0.012)


def test_clamped_entries_stay_and_the_rest_follows_the_conditional():
    model, n = known(4, 3), 40_000
    v = model.sample(
        n, generator(), steps=50, start=tensor([1, 0, 0, 0]), clamp=torch.tensor([True, True, False, False])
    )
    assert (v[:, :2] == tensor(1, 0)).all()
    p = joint(model)[0].sum(1).view(2, 2, 4)[1, 0]
    found = torch.bincount((v[:, 2:] @ tensor(2, 1)).long(), minlength=4) / n
    assert_close(found.double(), p / p.sum(), rtol=0, atol=0.012)


# --- errors ---


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: RBM(0), "n_hidden is 0: expected a whole number"),
        (lambda: RBM(2, k=0), "k is 0"),
        (lambda: RBM(2, epochs=1.5), "epochs is 1.5"),
        (lambda: RBM(2, learning_rate=0), "learning_rate is 0"),
        (lambda: RBM(2, weight_decay=-1), "weight_decay -1"),
        (lambda: RBM(2).fit(np.zeros((3, 2))), "torch.as_tensor"),
        (lambda: RBM(2).fit(torch.zeros(3)), r"shape \(3,\): expected \(B, D\)"),
        (lambda: RBM(2).fit(torch.zeros(0, 3)), "B > 0"),
        (lambda: RBM(2).fit(torch.full((3, 2), 255)), "from 255 to 255: expected zeros and ones"),
        (lambda: RBM(2).fit(torch.full((3, 2), math.nan)), "expected zeros and ones"),
        (lambda: RBM(2, learning_rate=10, weight_decay=10, epochs=50).fit(bars()), "learning diverged"),
        (lambda: known().free_energy(torch.zeros(2, 4)), "4 columns: this layer of the RBM has 5 units"),
        (lambda: known().visible_probs(torch.zeros(2, 5)), "h has 5 columns: this layer of the RBM has 3 units"),
        (lambda: known(30, 26).log_partition(), r"26 units, so 2\^26 states: sums are exact up to 25"),
        (lambda: known(30, 26).log_prob(torch.zeros(1, 30)), r"use log_partition\('ais'\)"),
        (lambda: known().log_partition("guess"), "method is 'guess'"),
        (lambda: known().log_partition("ais", chains=0), "chains is 0"),
        (lambda: known().log_partition("ais", betas=tensor(0.0, 0.5)), "betas must rise from 0 to 1"),
        (lambda: known().log_partition("ais", betas=tensor(0.0, 0.7, 0.5, 1.0)), "betas must rise"),
        (lambda: known().sample(3, clamp=torch.ones(5) > 0), "give start too"),
        (lambda: known().sample(3, start=torch.zeros(3, 4)), "start has 4 columns"),
        (lambda: RBM.from_parameters(torch.zeros(3), torch.zeros(3), torch.zeros(2)), r"expected \(D, H\)"),
        (lambda: RBM.from_parameters(torch.zeros(3, 2), torch.zeros(2), torch.zeros(2)), r"visible_bias has shape"),
        (lambda: RBM.from_parameters(torch.zeros(3, 2), torch.zeros(3), torch.zeros(3)), r"hidden_bias has shape"),
        (lambda: RBM.from_parameters(torch.zeros(1, 1), torch.zeros(1), tensor(math.inf)), "not finite"),
    ],
)
def test_bad_input_gets_a_clear_error(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_an_unfitted_model_says_so():
    model, x = RBM(2), torch.zeros(1, 3)
    asks = (
        lambda: model.weights,
        lambda: model.transform(x),
        lambda: model.free_energy(x),
        lambda: model.sample(2),
        lambda: model.log_prob(x),
        lambda: model.log_partition("ais"),
    )
    for ask in asks:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask()
    with pytest.raises(AttributeError, match="no attribute 'color'"):
        _ = model.color
