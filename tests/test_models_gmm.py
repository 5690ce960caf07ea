"""Mixtures: exactness against integrals, Bayes and scikit-learn; collapsed components; missing values; errors."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture

from utils.models.estimator import NotFittedError
from utils.models.mixtures import BernoulliMixture, GaussianMixture
from utils.models.mixtures.gaussian_forms import CholeskyForm, DenseForm, missing_patterns
from utils.models.mixtures.linear import slices

NAN = math.nan
TYPES = ("full", "tied", "diag", "spherical")
ALL = (*TYPES, "bernoulli")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def blobs(n=600, dim=3, k=3, distance=4.0, seed=0):
    """Rows of k Gaussians with different shapes, and the component of each."""
    g = generator(seed)
    means = distance * torch.randn(k, dim, generator=g, dtype=torch.float64)
    shapes = torch.eye(dim) + 0.4 * torch.randn(k, dim, dim, generator=g, dtype=torch.float64)
    which = torch.randint(k, (n,), generator=g)
    noise = torch.randn(n, dim, generator=g, dtype=torch.float64)
    return means[which] + (shapes[which] @ noise[..., None])[..., 0], which


def known(kind, dim=3, k=3):
    """A mixture with made-up parameters."""
    g = generator(7)
    weights = torch.rand(k, generator=g, dtype=torch.float64) + 0.3
    weights /= weights.sum()
    if kind == "bernoulli":
        probs = 0.1 + 0.8 * torch.rand(k, dim, generator=g, dtype=torch.float64)
        return BernoulliMixture.from_parameters(weights, probs)
    factors = torch.eye(dim) + 0.4 * torch.randn(k, dim, dim, generator=g, dtype=torch.float64)
    full = factors @ factors.mT
    variances = full.diagonal(dim1=1, dim2=2)
    covariances = {"full": full, "tied": full[0], "diag": variances, "spherical": variances[:, 0]}[kind]
    means = 1.5 * torch.randn(k, dim, generator=g, dtype=torch.float64)
    return GaussianMixture.from_parameters(weights, means, covariances, kind)


def fresh(kind, k=3, **options):
    """A model to fit."""
    options = {"generator": generator(1), "tol": 0.0} | options
    if kind == "bernoulli":
        return BernoulliMixture(k, **({"alpha": 0.0} | options))
    return GaussianMixture(k, kind, **({"reg_covar": 0.0} | options))


def with_holes(x, share=0.3, seed=3):
    x = x.clone()
    x[torch.rand(x.shape, generator=generator(seed)) < share] = NAN
    return x


def data(kind, n=400):
    return known("bernoulli", dim=8).sample(n, generator(2)) if kind == "bernoulli" else blobs(n)[0]


def start(kind, k, dim, x):
    """Parameters to start from, for this library and for scikit-learn."""
    covariances = {
        "full": 2 * torch.eye(dim).expand(k, dim, dim),
        "tied": 2 * torch.eye(dim),
        "diag": 2 * torch.ones(k, dim),
        "spherical": 2 * torch.ones(k),
    }[kind].double()
    precisions = covariances.where(covariances == 0, 1 / covariances)
    weights = torch.full((k,), 1 / k, dtype=torch.float64)
    ours = {"weights_init": weights, "means_init": x[:k], "covariances_init": covariances}
    theirs = {"weights_init": weights, "means_init": x[:k], "precisions_init": precisions}
    return ours, {name: value.numpy() for name, value in theirs.items()}


def assert_close(ours, theirs, rtol=1e-6, atol=1e-8):
    ours, theirs = (torch.as_tensor(value, dtype=torch.float64) for value in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)


# --- against the truth ---


@pytest.mark.parametrize("kind", TYPES)
def test_the_density_integrates_to_one(kind):
    axis = torch.linspace(-14, 14, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    total = known(kind, dim=2).log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-6)


def test_bernoulli_probabilities_and_posteriors_match_enumeration():
    model, states = known("bernoulli", dim=6), tensor(*itertools.product((0, 1), repeat=6))
    chance = torch.where(states[:, None] == 1, model.probs, 1 - model.probs).prod(2) * model.weights  # (2^D, K)
    assert_close(model.log_prob(states).exp(), chance.sum(1), rtol=1e-12)
    assert model.log_prob(states).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert_close(model.predict_proba(states), chance / chance.sum(1, keepdim=True), rtol=1e-12)


@pytest.mark.parametrize("dim", [3, 40])  # both forms of the quadratic: dense and Cholesky
@pytest.mark.parametrize("kind", TYPES)
def test_em_equals_scikit_learn(kind, dim):
    x, _ = blobs(500, dim, k=4, distance=1.0)
    given, given_theirs = start(kind, 4, dim, x)
    ours = GaussianMixture(4, kind, tol=0, max_iter=8, **given).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = SklearnMixture(4, covariance_type=kind, tol=0, max_iter=8, **given_theirs).fit(x.numpy())
    assert ours.reinitialized == []
    assert_close(ours.history_, theirs.lower_bounds_)
    for name in ("weights", "means", "covariances"):
        assert_close(getattr(ours, name), getattr(theirs, name + "_"))
    assert_close(ours.log_prob(x), theirs.score_samples(x.numpy()))
    assert_close(ours.predict_proba(x), theirs.predict_proba(x.numpy()))
    assert ours.bic(x) == pytest.approx(theirs.bic(x.numpy()))
    assert ours.aic(x) == pytest.approx(theirs.aic(x.numpy()))
    assert ours.n_parameters == theirs._n_parameters()


def test_bernoulli_counts_its_parameters():
    model = known("bernoulli", dim=6, k=3)
    x = model.sample(50, generator())
    assert model.n_parameters == 2 + 18
    assert model.bic(x) == pytest.approx(-2 * model.log_prob(x).sum().item() + 20 * math.log(50))
    assert model.aic(x) == pytest.approx(-2 * model.log_prob(x).sum().item() + 40)


@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("kind", ALL)
def test_each_step_raises_the_likelihood(kind, holes):
    model = fresh(kind, max_iter=25).fit(with_holes(data(kind), holes))
    gains = np.diff(model.history_)
    assert model.reinitialized == []
    assert gains.min() > -1e-10
    assert gains.max() > 1e-3


def test_with_smoothing_each_step_raises_the_posterior():
    x = data("bernoulli", 60)

    def objective(steps):
        model = fresh("bernoulli", alpha=2.0, max_iter=steps).fit(x)
        return model.log_prob(x).sum() + 2.0 * (model.probs.log() + (1 - model.probs).log()).sum()

    assert np.diff([objective(steps) for steps in range(1, 12)]).min() > -1e-9


def test_a_known_mixture_is_recovered():
    truth = GaussianMixture.from_parameters(
        tensor(0.5, 0.3, 0.2),
        tensor([-4, 0], [0, 4], [5, 1]),
        tensor([[1, 0.5], [0.5, 1]], [[0.5, 0], [0, 2]], [[1, -0.3], [-0.3, 0.4]]),
    )
    model = fresh("full", n_init=3, max_iter=200, tol=1e-9).fit(truth.sample(20_000, generator(4)))
    order = model.means[:, 0].argsort()
    assert model.converged
    assert_close(model.weights[order], truth.weights, atol=0.02, rtol=0)
    assert_close(model.means[order], truth.means, atol=0.06, rtol=0)
    assert_close(model.covariances[order], truth.covariances, atol=0.08, rtol=0)


def test_a_known_bernoulli_mixture_is_recovered():
    truth = BernoulliMixture.from_parameters(tensor(0.6, 0.4), tensor([0.9] * 5 + [0.2] * 5, [0.1] * 5 + [0.7] * 5))
    model = fresh("bernoulli", 2, max_iter=200, tol=1e-9).fit(truth.sample(20_000, generator(5)))
    order = model.weights.argsort(descending=True)
    assert_close(model.weights[order], truth.weights, atol=0.02, rtol=0)
    assert_close(model.probs[order], truth.probs, atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", ALL)
def test_samples_have_the_moments_of_the_mixture(kind):
    model = known(kind)
    x, component = model.sample(200_000, generator(), return_component=True)
    assert x.shape == (200_000, 3)
    assert_close(component.bincount() / len(x), model.weights.float(), atol=5e-3, rtol=0)
    assert_close(x.mean(0), model.mean, atol=0.03, rtol=0)
    inside = x[component == 1]
    if kind == "bernoulli":
        assert_close(inside.mean(0), model.probs[1], atol=0.01, rtol=0)
    else:
        full = {"full": lambda c: c[1], "tied": lambda c: c, "diag": lambda c: c[1].diag()}
        expected = full.get(kind, lambda c: c[1] * torch.eye(3))(model.covariances)
        assert_close(inside.mean(0), model.means[1], atol=0.03, rtol=0)
        assert_close(inside.T.cov(), expected.double(), atol=0.06, rtol=0)


# --- parts of an example ---


@pytest.mark.parametrize("kind", ALL)
def test_a_missing_value_is_integrated_out(kind):
    model = known(kind, dim=4)
    x = model.sample(50, generator())
    for dims in ([0], [1, 3], [0, 1, 2], []):
        holes = torch.full_like(x, NAN)
        holes[:, dims] = x[:, dims]
        expected = model.marginal(dims).log_prob(x[:, dims]) if dims else torch.zeros(50)
        assert_close(model.log_prob(holes), expected.double(), rtol=1e-10)
        if not dims:
            assert_close(model.predict_proba(holes), model.weights.expand(50, -1), rtol=1e-10)
    mixed = with_holes(x)  # all patterns at once, in any order
    one_by_one = torch.cat([model.log_prob(row[None]) for row in mixed])
    assert_close(model.log_prob(mixed), one_by_one, rtol=1e-10)


@pytest.mark.parametrize("dim", [3, 40])
@pytest.mark.parametrize("kind", TYPES)
def test_autograd_gives_the_score(kind, dim):
    model = known(kind, dim)
    x = model.sample(20, generator()).requires_grad_()
    (score,) = torch.autograd.grad(model.log_prob(x).sum(), x)
    to_matrices = {"full": lambda c: c, "tied": lambda c: c.expand(3, dim, dim), "diag": torch.diag_embed}
    matrices = to_matrices.get(kind, lambda c: c[:, None, None] * torch.eye(dim))(model.covariances).double()
    pull = torch.linalg.solve(matrices, (model.means[:, None] - x).mT).mT  # (K, B, D)
    assert_close(score, (model.predict_proba(x).T[..., None] * pull).sum(0).detach(), rtol=1e-8)


def test_a_marginal_is_the_integral_of_the_joint():
    model, x = known("full", dim=2), tensor([0.3], [-1.0], [2.5])
    axis = torch.linspace(-15, 15, 3001, dtype=torch.float64)
    joint = torch.stack([x.expand(3, 3001), axis.expand(3, 3001)], dim=2)
    integral = model.log_prob(joint.reshape(-1, 2)).exp().reshape(3, -1).sum(1) * (axis[1] - axis[0])
    assert_close(model.marginal([0]).log_prob(x).exp(), integral, rtol=1e-6)


@pytest.mark.parametrize("kind", ALL)
def test_the_conditional_follows_bayes(kind):
    model = known(kind, dim=4)
    row = model.sample(1, generator())[0]
    given = row.clone()
    given[[0, 2]] = NAN
    conditional = model.conditional(given)
    unknown = model.sample(30, generator(1))[:, [0, 2]]
    joint = row.expand(30, 4).clone()
    joint[:, [0, 2]] = unknown
    bayes = model.log_prob(joint) - model.marginal([1, 3]).log_prob(row[None, [1, 3]])
    assert_close(conditional.log_prob(unknown), bayes, rtol=1e-9)


def test_nothing_known_leaves_the_mixture_as_it_is():
    for kind in ALL:
        model = known(kind)
        x = model.sample(20, generator())
        assert_close(model.conditional(torch.full((3,), NAN)).log_prob(x), model.log_prob(x), rtol=1e-10)


@pytest.mark.parametrize("kind", ALL)
def test_em_with_holes_stops_where_the_observed_likelihood_is_stationary(kind):
    """The gradient of the observed-data log-likelihood, by autograd through plain Bayes, vanishes at EM's end."""
    if kind == "bernoulli":
        x = with_holes(data(kind, 300), 0.15)
    else:
        x = with_holes(blobs(300, 2, 2, distance=5.0)[0], 0.15)
    model = fresh(kind, 2, max_iter=3000, tol=1e-14).fit(x)
    parameters = {name: value.clone().requires_grad_() for name, value in model._parameters.items()}
    weights, *rest = parameters.values()
    terms = []
    for row in x:
        o = (~row.isnan()).nonzero().flatten()
        parts = []
        for k in range(2):
            if kind == "bernoulli":
                part = torch.distributions.Bernoulli(rest[0][k, o]).log_prob(row[o]).sum()
            elif len(o) == 0:
                part = torch.zeros((), dtype=torch.float64)
            else:
                means, covariances = rest
                full = {"full": lambda c, k: c[k], "tied": lambda c, k: c, "diag": lambda c, k: c[k].diag()}
                matrix = full.get(kind, lambda c, k: c[k].expand(2).diag())(covariances, k)
                part = torch.distributions.MultivariateNormal(means[k, o], matrix[o][:, o]).log_prob(row[o])
            parts.append(weights[k].log() + part)
        terms.append(torch.stack(parts).logsumexp(0))
    log_likelihood = torch.stack(terms)
    assert_close(log_likelihood.detach(), model.log_prob(x), rtol=1e-9)
    gradients = torch.autograd.grad(log_likelihood.mean(), [weights, *rest])
    assert (gradients[0] - 1).abs().max() < 1e-4  # Σ w = 1: the multiplier is 1
    for name, gradient in zip(model.names[1:], gradients[1:], strict=True):
        inner = gradient
        if name == "probs":
            inner = gradient[(rest[0] > 1e-4) & (rest[0] < 1 - 1e-4)]
        assert inner.abs().max() < 1e-4, name


# --- collapse ---


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
def test_more_components_than_points_stay_finite(kind, reg_covar):
    x = tensor([0, 0], [1, 3], [5, 1]).repeat(6, 1)
    model = fresh(kind, 6, reg_covar=reg_covar, max_iter=20).fit(x)
    for value in (model.weights, model.means, model.covariances, model.log_prob(x), tensor(*model.history_)):
        assert value.isfinite().all()
    assert model.weights.sum().item() == pytest.approx(1)
    assert (kind == "tied" and reg_covar > 0) or model.reinitialized


def test_a_component_on_one_point_is_moved_and_reported():
    x, _ = blobs(200, 2, 2)
    x = torch.cat([x, tensor([40, 40])])
    model = GaussianMixture(
        3,
        tol=0,
        max_iter=10,
        means_init=torch.stack([x[0], x[1], x[-1]]),
        weights_init=torch.full((3,), 1 / 3),
        covariances_init=torch.eye(2).expand(3, 2, 2),
    ).fit(x)
    first = model.reinitialized[0]
    assert (first.component, first.reason) == (2, "single point")
    assert 0 <= first.row < len(x)
    assert first.step == 1


@pytest.mark.parametrize("kind", ALL)
def test_an_empty_component_begins_anew(kind):
    x = data(kind)
    model = fresh(kind, max_iter=30)
    model._dtype, model._device = x.dtype, x.device
    model._start(x)
    model.reinitialized, model.n_iter = [], 1
    model._parameters["weights"] = tensor(0.5, 0.5, 0.0)
    log_prob, sums = model._e_step(x, model._patterns(x))
    assert not log_prob.isnan().any()
    model._m_step(*sums)
    assert model._reinitialize(x, log_prob)
    assert [(repair.component, repair.reason) for repair in model.reinitialized] == [(2, "empty")]
    assert model.reinitialized[0].row == log_prob.argmin().item()
    assert model.log_prob(x).isfinite().all()
    assert model.weights[2] > 0.1


def test_a_healthy_fit_reinitializes_nothing_and_converges():
    model = GaussianMixture(3, generator=generator()).fit(blobs()[0])
    assert model.reinitialized == []
    assert model.converged
    assert len(model.history_) == model.n_iter < 100


# --- numbers ---


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dim", [3, 40])
def test_float32_is_accurate_far_from_zero(kind, dim):
    x = (blobs(500, dim, 3)[0] + 1000).float()
    given, _ = start(kind, 3, dim, x)
    models = [GaussianMixture(3, kind, tol=0, max_iter=6, **given).fit(rows) for rows in (x, x.double())]
    assert models[0].covariances.dtype == models[0].log_prob(x).dtype == torch.float32
    assert_close(models[0].history_, models[1].history_, rtol=1e-5)
    assert_close(models[0].log_prob(x), models[1].log_prob(x.double()).float(), rtol=1e-4, atol=1e-2)


def test_the_dense_form_steps_aside_where_it_would_lose_digits():
    x, which = blobs(400, 2, 2, distance=0.0)
    x[which == 1] += 1e6
    start_at = {"means_init": tensor([0, 0], [1e6, 1e6]), "covariances_init": torch.eye(2).expand(2, 2, 2)}
    model = GaussianMixture(2, tol=0, max_iter=2, weights_init=tensor(0.5, 0.5), **start_at).fit(x)
    assert isinstance(model._form(missing_patterns(x)), CholeskyForm)
    assert isinstance(known("full")._form(missing_patterns(blobs()[0])), DenseForm)
    for j in range(2):
        assert_close(model.covariances[j], x[which == j].T.cov(correction=0) + 1e-6 * torch.eye(2), rtol=1e-7)


def reference(model, x):
    """log p(x) by PyTorch's densities, one component at a time, in float64."""
    parts = []
    for k in range(model.n_components):
        covariance = model._full()[k]
        scale = covariance if model.dense else covariance.diag()
        normal = torch.distributions.MultivariateNormal(model._parameters["means"][k], scale)
        parts.append(model._parameters["weights"][k].log() + normal.log_prob(x.double()))
    return torch.stack(parts).logsumexp(0)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("distance", [1e4, 1e6])
def test_clusters_far_apart_keep_their_digits(kind, distance, holes):
    x, which = blobs(400, 3, 2, distance=0.0)
    x = 0.01 * x / x.std(0)
    x[which == 1] += distance
    known_x = x.clone()
    x = with_holes(x, 0.1) if holes else x
    means = torch.stack([known_x[which == 0].mean(0), known_x[which == 1].mean(0)])
    options = {"tol": 0, "max_iter": 3, "reg_covar": 0, "weights_init": tensor(0.5, 0.5), "means_init": means}
    shapes = {"full": (2, 3, 3), "tied": (3, 3), "diag": (2, 3), "spherical": (2,)}
    start_at = 1e-4 * (
        torch.eye(3).double().expand(shapes[kind])
        if len(shapes[kind]) > 1 and kind in ("full", "tied")
        else torch.ones(shapes[kind]).double()
    )
    model = GaussianMixture(2, kind, covariances_init=start_at, **options).fit(x)
    assert_close(model.log_prob(known_x), reference(model, known_x), rtol=1e-6, atol=1e-6)
    if not holes:
        own = torch.stack([known_x[which == j].var(0, correction=0) for j in range(2)])  # (2, D)
        if kind == "diag":
            assert_close(model.covariances, own, rtol=1e-6)
        if kind == "spherical":
            assert_close(model.covariances, own.mean(1), rtol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_a_fit_far_from_zero_is_the_same(kind, offset):
    x = (blobs(300, 2, 3)[0] * 2**12).round() / 2**12  # so that x + offset is exact
    near, far = (fresh(kind, 3, max_iter=10).fit(rows) for rows in (x, x + offset))
    assert_close(far.history_, near.history_, rtol=1e-6)
    assert_close(far.means - offset, near.means, atol=1e-5 * offset / 1e4)
    assert_close(far.covariances, near.covariances, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dim", [3, 80])
def test_float32_far_from_zero_is_what_float64_says_of_the_same_numbers(kind, dim):
    x = (0.01 * blobs(300, dim, 2)[0] + 1000).float()
    model = GaussianMixture(2, kind, max_iter=3, generator=generator()).fit(x)
    assert_close(model.log_prob(x), reference(model, x).float(), rtol=1e-4, atol=1e-2)


def test_both_forms_agree():
    x, _ = blobs(300)
    model = known("full")
    weights, means, covariances = model._parameters.values()
    log_prob, sums = model._e_step(x, missing_patterns(x))
    model._form = lambda _: CholeskyForm(weights.log(), means, covariances, None)
    log_prob_cholesky, sums_cholesky = model._e_step(x, missing_patterns(x))
    assert_close(log_prob, log_prob_cholesky, rtol=1e-12)
    model._m_step(*sums)
    dense = {name: value.clone() for name, value in model._parameters.items()}
    model._m_step(*sums_cholesky)
    for name, value in model._parameters.items():
        assert_close(value, dense[name], rtol=1e-10)


@pytest.mark.parametrize("kind", ALL)
def test_blocks_change_nothing_and_stay_small(kind, monkeypatch):
    x = with_holes(data(kind), 0.05)
    whole = fresh(kind, max_iter=5).fit(x)
    largest = []

    def small(n, width, device):
        largest.append(n)
        return [slice(at, min(at + 7, n)) for at in range(0, n, 7)]

    for module in ("mixture", "linear", "gaussian_forms"):
        monkeypatch.setattr(f"utils.models.mixtures.{module}.slices", small)
    cut = fresh(kind, max_iter=5).fit(x)
    assert largest
    for name in whole.names:
        assert_close(getattr(cut, name), getattr(whole, name), rtol=1e-9)
    assert_close(cut.log_prob(x), whole.log_prob(x), rtol=1e-9)
    for rows, joint, _ in cut._form(cut._patterns(x)).blocks(x):
        assert len(x[rows]) == joint.shape[1] <= 7


def test_a_block_is_bounded_and_blocks_cover_each_row_once():
    for n, width in ((0, 5), (1, 5), (1000, 2**14), (100_000, 65)):
        blocks = slices(n, width, torch.device("cpu"))
        assert [row for block in blocks for row in range(n)[block]] == list(range(n))
        assert all((block.stop - block.start) * width <= 2**19 for block in blocks)


@pytest.mark.parametrize("kind", ALL)
def test_a_generator_decides_everything(kind):
    x = data(kind)
    one, same, other = (fresh(kind, max_iter=4, generator=generator(seed)).fit(x) for seed in (1, 1, 2))
    assert one.history_ == same.history_ != other.history_
    assert torch.equal(one.sample(9, generator(5)), same.sample(9, generator(5)))
    assert not torch.equal(one.sample(9, generator(5)), one.sample(9, generator(6)))


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_the_best_of_the_starts_is_kept(init):
    x, _ = blobs(400, 2, 8, distance=6.0)
    source = generator(3)
    singles = [fresh("full", 8, init=init, max_iter=15, generator=source).fit(x).history_[-1] for _ in range(4)]
    best = fresh("full", 8, init=init, max_iter=15, n_init=4, generator=generator(3)).fit(x)
    assert best.history_[-1] == max(singles) > min(singles)


def test_k_means_plus_plus_finds_blobs_that_lie_far_apart():
    corners = 100 * tensor([0, 0], [0, 1], [1, 0], [1, 1])
    x = corners.repeat_interleave(50, 0) + torch.randn(200, 2, generator=generator(), dtype=torch.float64)
    model = fresh("full", 4, max_iter=1)
    model._dtype, model._device = x.dtype, x.device
    seeds = model._seed(model._sample_rows(x))
    assert torch.cdist(corners, seeds).amin(1).max() < 5


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_agrees(kind):
    x = with_holes(data(kind), 0.1)
    here, there = (fresh(kind, max_iter=5).fit(rows) for rows in (x, x.cuda()))
    assert there.weights.device.type == "cuda"
    assert_close(there.log_prob(x.cuda()).cpu(), here.log_prob(x))
    assert there.sample(5, generator()).device.type == "cuda"


# --- errors ---


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GaussianMixture(0), "n_components is 0: expected a whole number"),
        (lambda: GaussianMixture(2, n_init=0), "n_init is 0"),
        (lambda: GaussianMixture(2, max_iter=1.5), "max_iter is 1.5"),
        (lambda: GaussianMixture(2, tol=-1), "tol is -1"),
        (lambda: GaussianMixture(2, reg_covar=-1), "reg_covar is -1"),
        (lambda: GaussianMixture(2, "round"), "covariance_type is 'round': expected one of full"),
        (lambda: GaussianMixture(2, init="best"), "init is 'best': expected one of 'k-means"),
        (lambda: BernoulliMixture(2, alpha=-1), "alpha is -1"),
        (lambda: BernoulliMixture(2, alpha=NAN), "alpha is nan"),
        (lambda: GaussianMixture(2, tol=NAN), "tol is nan"),
        (lambda: GaussianMixture(2, reg_covar=NAN), "reg_covar is nan"),
        (lambda: GaussianMixture(1).fit(torch.ones(4, 0)), r"shape \(4, 0\): expected \(B, D\), not empty"),
        (lambda: BernoulliMixture.from_parameters(tensor(NAN, NAN), tensor([0.5], [0.5])), "weights sum to nan"),
        (lambda: GaussianMixture.from_parameters(tensor(NAN), tensor([0]), tensor(1.0), "spherical"), "not finite"),
        (lambda: GaussianMixture(2).fit(blobs()[0].numpy()), "torch.as_tensor"),
        (lambda: GaussianMixture(2).fit(torch.ones(5, 2, dtype=torch.int64)), "x.float()"),
        (lambda: GaussianMixture(2).fit(torch.ones(5)), r"shape \(5,\): expected \(B, D\)"),
        (lambda: GaussianMixture(9).fit(blobs(4)[0]), "4 rows for 9 components"),
        (lambda: GaussianMixture(1).fit(tensor([0, 1], [math.inf, 2])), "row 1 of x is infinite"),
        (lambda: GaussianMixture(1).fit(tensor([0, NAN], [1, NAN])), "column 1 of x has no value"),
        (lambda: GaussianMixture(1, reg_covar=0).fit(tensor([0, 1], [2, 1])), "constant"),
        (lambda: GaussianMixture(2, weights_init=tensor(0.5, 0.6)).fit(blobs()[0]), "sum to 1.1"),
        (lambda: GaussianMixture(2, weights_init=tensor(1.5, -0.5)).fit(blobs()[0]), "expected a distribution"),
        (lambda: GaussianMixture(2, means_init=tensor([0, 1])).fit(blobs()[0]), r"means_init has shape \(1, 2\)"),
        (lambda: GaussianMixture(1, covariances_init=torch.zeros(1, 3, 3)).fit(blobs()[0]), "positive definite"),
        (
            lambda: GaussianMixture.from_parameters(tensor(1.0), tensor([0, 0]), tensor([[1, 2], [2, 1]])),
            "positive definite",
        ),
        (lambda: GaussianMixture.from_parameters(tensor(1.0), tensor([0, NAN]), tensor(1.0), "spherical"), "finite"),
        (lambda: GaussianMixture.from_parameters(tensor(1.0), tensor([0, 0]), tensor(-1.0), "spherical"), "positive"),
        (lambda: BernoulliMixture.from_parameters(tensor(1.0), tensor([0.5, 1.5])), "expected 0 to 1"),
        (lambda: BernoulliMixture.from_parameters(tensor(1.0), tensor(0.5)), r"expected \(K,\) and \(K, D\)"),
        (lambda: known("full").log_prob(torch.ones(2, 5)), "5 columns: this model knows 3"),
        (lambda: known("full").marginal([0, 3]), "distinct coordinates from 0 to 2"),
        (lambda: known("full").marginal([1, 1]), "distinct coordinates"),
        (lambda: known("full").marginal([]), "distinct coordinates"),
        (lambda: known("full").conditional(torch.ones(3)), "nothing is unknown"),
        (lambda: known("full").conditional(torch.ones(1, 3)), r"shape \(D,\)"),
        (lambda: BernoulliMixture(2).fit(torch.full((4, 3), 0.5)), "values other than 0 and 1"),
    ],
)
def test_bad_input_gets_a_clear_error(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("kind", ALL)
def test_an_unfitted_model_says_so(kind):
    model = fresh(kind)
    x = torch.zeros(3, 2)
    asks = (
        lambda: model.weights,
        lambda: model.mean,
        lambda: model.log_prob(x),
        lambda: model.predict_proba(x),
        lambda: model.sample(3),
        lambda: model.bic(x),
        lambda: model.marginal([0]),
        lambda: model.conditional(tensor(0, NAN)),
    )
    for ask in asks:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask()
    with pytest.raises(AttributeError, match="no attribute 'color'"):
        _ = model.color
