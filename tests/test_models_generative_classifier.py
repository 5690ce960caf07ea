"""GenerativeClassifier: Bayes' rule against enumeration, integrals and scikit-learn; missing values; errors."""

import itertools
import math

import pytest
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, GaussianNB

from utils.models.classifiers import GenerativeClassifier
from utils.models.estimator import NotFittedError
from utils.models.mixtures import BernoulliMixture, GaussianMixture

NAN = math.nan


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(kind="full", **options):
    return lambda: GaussianMixture(1, kind, **({"reg_covar": 0.0, "max_iter": 1} | options))


def bernoulli(alpha=1.0):
    return lambda: BernoulliMixture(1, alpha=alpha, max_iter=1)


def points(n=300, dim=3, seed=0):
    """Real rows of three classes with unequal shares, labeled 2, 5 and 9."""
    g = generator(seed)
    y = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, replacement=True, generator=g)
    means = 1.5 * torch.randn(3, dim, generator=g, dtype=torch.float64)
    shapes = torch.eye(dim) + 0.4 * torch.randn(3, dim, dim, generator=g, dtype=torch.float64)
    noise = torch.randn(n, dim, 1, generator=g, dtype=torch.float64)
    return means[y] + (shapes[y] @ noise)[..., 0], torch.tensor([2, 5, 9])[y]


def bits(n=200, dim=5, seed=0):
    """Binary rows of three classes, labeled 2, 5 and 9."""
    g = generator(seed)
    y = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, replacement=True, generator=g)
    probs = 0.1 + 0.8 * torch.rand(3, dim, generator=g, dtype=torch.float64)
    return (torch.rand(n, dim, generator=g) < probs[y]).double(), torch.tensor([2, 5, 9])[y]


def assert_close(ours, theirs, rtol=1e-8, atol=1e-10):
    ours, theirs = (torch.as_tensor(value, dtype=torch.float64) for value in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)


PEERS = {
    "bernoulli naive bayes": (bits, bernoulli(), BernoulliNB(alpha=1.0)),
    "other smoothing": (bits, bernoulli(0.3), BernoulliNB(alpha=0.3)),
    "gaussian naive bayes": (points, gaussian("diag"), GaussianNB(var_smoothing=0.0)),
    "quadratic discriminant": (points, gaussian(), QuadraticDiscriminantAnalysis(solver="eigen")),
}


@pytest.mark.parametrize("data, density, peer", PEERS.values(), ids=PEERS)
def test_it_equals_scikit_learn(data, density, peer):
    (x, y), (x_new, y_new) = data(seed=0), data(seed=0, n=500)
    ours, theirs = GenerativeClassifier(density).fit(x, y), peer.fit(x.numpy(), y.numpy())
    assert_close(ours.predict_proba(x_new), theirs.predict_proba(x_new.numpy()))
    assert (ours.predict(x_new).numpy() == theirs.predict(x_new.numpy())).all()
    assert ours.score(x_new, y_new) == pytest.approx(theirs.score(x_new.numpy(), y_new.numpy()))
    if hasattr(theirs, "predict_joint_log_proba"):
        assert_close(ours.log_joint(x_new), theirs.predict_joint_log_proba(x_new.numpy()))


def test_joint_probabilities_of_all_states_sum_to_one():
    x, y = bits()
    model = GenerativeClassifier(bernoulli()).fit(x, y)
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)), dtype=torch.float64)
    assert model.log_joint(states).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert_close(model.log_joint(states).exp().sum(0), model.priors)
    assert_close(model.log_joint(states).exp().sum(1), model.log_prob(states).exp())


def test_density_integrates_to_one():
    x, y = points(dim=2)
    model = GenerativeClassifier(gaussian()).fit(x, y)
    axis = torch.linspace(-14, 14, 401, dtype=torch.float64)
    total = model.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-6)


def test_bayes_rule_by_enumeration():
    x, y = bits()
    model = GenerativeClassifier(bernoulli()).fit(x, y)
    for row, posterior in zip(x[:20], model.predict_proba(x[:20]), strict=True):
        joint = []
        for label in (2, 5, 9):
            on = (x[y == label].sum(0) + 1) / ((y == label).sum() + 2)
            joint.append((y == label).double().mean() * torch.where(row == 1, on, 1 - on).prod())
        assert_close(posterior, torch.stack(joint) / sum(joint))
    assert_close(model.predict_log_proba(x).exp(), model.predict_proba(x))


def test_missing_values_are_summed_out():
    x, y = bits()
    model = GenerativeClassifier(bernoulli()).fit(x, y)
    holed = torch.tensor([[1.0, NAN, 0.0, NAN, 1.0]], dtype=torch.float64)
    filled = torch.tensor([[1.0, a, 0.0, b, 1.0] for a in (0, 1) for b in (0, 1)], dtype=torch.float64)
    assert_close(model.log_joint(holed)[0].exp(), model.log_joint(filled).exp().sum(0))


def test_missing_value_of_a_gaussian_is_integrated_out():
    x, y = points(dim=2)
    model = GenerativeClassifier(gaussian()).fit(x, y)
    axis = torch.linspace(-30, 30, 20_001, dtype=torch.float64)
    line = torch.stack([torch.full_like(axis, 0.7), axis], dim=1)
    total = model.log_joint(line).exp().sum(0) * (axis[1] - axis[0])
    assert_close(model.log_joint(torch.tensor([[0.7, NAN]], dtype=torch.float64))[0].exp(), total)


@pytest.mark.parametrize("data, density", [(bits, bernoulli()), (points, gaussian())])
def test_a_row_without_values_keeps_the_prior(data, density):
    x, y = data()
    model = GenerativeClassifier(density).fit(x, y)
    assert_close(model.predict_proba(torch.full_like(x[:1], NAN))[0], model.priors)


def test_given_priors_replace_the_shares():
    x, y = points()
    given = torch.tensor([0.1, 0.2, 0.7])
    shares, chosen = GenerativeClassifier(gaussian()).fit(x, y), GenerativeClassifier(gaussian(), given).fit(x, y)
    odds = (given.double() / shares.priors) * shares.predict_proba(x)
    assert_close(shares.priors, [(y == label).double().mean().item() for label in (2, 5, 9)])
    assert_close(chosen.predict_proba(x), odds / odds.sum(1, keepdim=True), rtol=1e-5)


def test_a_class_of_prior_zero_is_never_predicted():
    x, y = points()
    model = GenerativeClassifier(gaussian(), torch.tensor([0.0, 0.5, 0.5])).fit(x, y)
    assert (model.predict_proba(x)[:, 0] == 0).all()
    assert (model.sample(500, generator())[1] != 2).all()


def test_samples_follow_the_joint():
    x, y = points(n=2000, dim=2)
    model = GenerativeClassifier(gaussian()).fit(x, y)
    drawn, labels = model.sample(40_000, generator(1))
    assert drawn.shape == (40_000, 2)
    for k, label in enumerate((2, 5, 9)):
        mine, density = drawn[labels == label], model.densities[k]
        share, prior = len(mine) / len(drawn), model.priors[k].item()
        assert share == pytest.approx(prior, abs=4.5 * math.sqrt(prior * (1 - prior) / len(drawn)))
        error = density.covariances[0].diagonal().sqrt() / math.sqrt(len(mine))
        assert ((mine.mean(0) - density.means[0]).abs() < 4.5 * error).all()
    refitted = GenerativeClassifier(gaussian()).fit(drawn, labels)
    assert (refitted.log_prob(x) - model.log_prob(x)).abs().mean() < 0.05


def test_samples_repeat_under_one_seed():
    x, y = bits()
    model = GenerativeClassifier(bernoulli()).fit(x, y)
    (x1, y1), (x2, y2), (x3, _) = (model.sample(50, generator(seed)) for seed in (3, 3, 4))
    assert x1.equal(x2) and y1.equal(y2) and not x1.equal(x3)
    assert x1.dtype == x.dtype and y1.dtype == y.dtype


def test_any_density_will_do():
    """A density of images that is no mixture: one normal distribution for each pixel."""

    class Pixels:
        def fit(self, x):
            self.normal = torch.distributions.Normal(x.mean(0), x.std(0))
            return self

        def log_prob(self, x):
            return self.normal.log_prob(x).sum((1, 2))

        def sample(self, n, generator=None):
            noise = torch.randn(n, *self.normal.mean.shape, generator=generator)
            return self.normal.mean + self.normal.stddev * noise

    y = torch.arange(60) % 2
    x = torch.randn(60, 3, 4, generator=generator()) + 2 * y[:, None, None]
    model = GenerativeClassifier(Pixels).fit(x, y)
    assert model.score(x, y) > 0.95
    assert model.log_joint(x).shape == (60, 2)
    drawn, labels = model.sample(7, generator())
    assert drawn.shape == (7, 3, 4) and labels.shape == (7,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_answers_come_in_the_type_of_the_data(dtype):
    x, y = bits()
    model = GenerativeClassifier(bernoulli()).fit(x.to(dtype), y)
    assert model.log_joint(x.to(dtype)).dtype == dtype
    assert model.sample(3, generator())[0].dtype == dtype


def test_a_failed_fit_leaves_the_model_as_it_was():
    x, y = points()
    model = GenerativeClassifier(gaussian()).fit(x, y)
    before = model.log_joint(x)
    with pytest.raises(ValueError, match="infinite"):
        model.fit(x.index_fill(0, torch.tensor([0]), math.inf), y)
    assert before.equal(model.log_joint(x))


X, Y = points(30)
BAD = {
    "no factory": (TypeError, "expected a function", lambda: GenerativeClassifier(GaussianMixture(1))),
    "array": (TypeError, "torch.as_tensor", lambda: GenerativeClassifier(gaussian()).fit(X.numpy(), Y)),
    "label array": (TypeError, "torch.as_tensor", lambda: GenerativeClassifier(gaussian()).fit(X, Y.numpy())),
    "real labels": (TypeError, "whole numbers", lambda: GenerativeClassifier(gaussian()).fit(X, Y.double())),
    "one row": (ValueError, "x\\[None\\]", lambda: GenerativeClassifier(gaussian()).fit(X[0], Y)),
    "no rows": (ValueError, "at least one row", lambda: GenerativeClassifier(gaussian()).fit(X[:0], Y[:0])),
    "lengths": (ValueError, "one label for each row", lambda: GenerativeClassifier(gaussian()).fit(X, Y[:9])),
    "one-hot": (ValueError, "one label for each row", lambda: GenerativeClassifier(gaussian()).fit(X, Y[:, None])),
    "few priors": (ValueError, "priors has", lambda: GenerativeClassifier(gaussian(), torch.ones(2) / 2).fit(X, Y)),
    "heavy priors": (ValueError, "sum to 1", lambda: GenerativeClassifier(gaussian(), torch.ones(3)).fit(X, Y)),
    "negative priors": (
        ValueError,
        "sum to 1",
        lambda: GenerativeClassifier(gaussian(), torch.tensor([1.5, -0.5, 0.0])).fit(X, Y),
    ),
    "unfitted": (NotFittedError, "call fit", lambda: GenerativeClassifier(gaussian()).predict(X)),
    "unfitted sample": (NotFittedError, "call fit", lambda: GenerativeClassifier(gaussian()).sample(3)),
    "no samples": (ValueError, "n is 0", lambda: GenerativeClassifier(gaussian()).fit(X, Y).sample(0)),
    "gray pixels": (ValueError, "binarize", lambda: GenerativeClassifier(bernoulli()).fit(X, Y)),
    "columns": (ValueError, "columns", lambda: GenerativeClassifier(gaussian()).fit(X, Y).predict(X[:, :2])),
}


@pytest.mark.parametrize("error, message, call", BAD.values(), ids=BAD)
def test_errors_say_what_to_do(error, message, call):
    with pytest.raises(error, match=message):
        call()
