"""Recommenders: the softmax RBM against enumeration, the matrix factorization against least squares; errors."""

import itertools

import pytest
import torch

from utils.models.boltzmann import MatrixFactorization, SoftmaxRBM
from utils.models.estimator import NotFittedError
from utils.ratings import Ratings


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ratings(users, films, stars, n_users=None, n_films=None):
    users, films, stars = torch.tensor(users), torch.tensor(films), torch.as_tensor(stars, dtype=torch.float32)
    n_users, n_films = n_users or int(users.max()) + 1, n_films or int(films.max()) + 1
    titles = tuple(f"film {i}" for i in range(n_films))
    return Ratings(users, films, stars, titles, titles, n_users, n_films, "made up", "this test")


def tastes(n_users=200, n_films=20, seed=0):
    """Half of the people love the first half of the films and dislike the rest, the others the other way round.

    Some are generous and some are strict; everybody rated 8 films. Returns training and test ratings.
    """
    g = generator(seed)
    users = torch.arange(n_users).repeat_interleave(8)
    films = torch.stack([torch.randperm(n_films, generator=g)[:8] for _ in range(n_users)]).flatten()
    agree = (users % 2 == 0) == (films < n_films // 2)
    habit = torch.randn(n_users, generator=g)[users] * 0.5
    stars = 3 + 1.2 * torch.where(agree, 1.0, -1.0) + habit + 0.4 * torch.randn(len(users), generator=g)
    whole = ratings(users.tolist(), films.tolist(), (2 * stars).round().clamp(1, 10) / 2, n_users, n_films)
    return whole.split(0.2, g)


def random_machine(model, scale=1.0):
    """Replace what was learned by made-up parameters."""
    g = generator(3)
    for name in ("weights", "hidden_bias", "film_bias", "user_bias", "level_bias"):
        setattr(model, name, scale * torch.randn(getattr(model, name).shape, generator=g))
    return model


@pytest.fixture
def tiny():
    """Five films, four users, levels 1, 2 and 3, three hidden units with made-up parameters."""
    data = ratings([0, 0, 0, 1, 1, 2], [0, 2, 4, 1, 2, 3], [1, 3, 2, 2, 3, 1], n_users=4, n_films=5)
    model = SoftmaxRBM(3, levels=(1, 2, 3), epochs=1, generator=generator()).fit(data)
    return random_machine(model), data


def joint(model, films, habit):
    """p(v, h) over all levels of the given films `(K^n, 2^H)`, and its v and h, from the formula of the class."""
    levels = list(itertools.product(range(len(model.levels)), repeat=len(films)))
    states = list(itertools.product((0.0, 1.0), repeat=model.n_hidden))
    h = torch.tensor(states, dtype=torch.float64)
    energy = torch.zeros(len(levels), len(states), dtype=torch.float64)
    for row, v in enumerate(levels):
        for film, level in zip(films, v, strict=True):
            tilt = habit + model.film_bias[film] + (h - 0.5) @ model.weights[film].double()
            energy[row] -= model.level_bias[level] + model.tilts[level] * tilt
        energy[row] -= h @ model.hidden_bias.double()
    p = (-energy).exp()
    return p / p.sum(), torch.tensor(levels), h


def close(found, expected, atol=1e-5):
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=atol)


# --- the softmax RBM ---


def test_standardized_levels_have_mean_0_and_variance_1(tiny):
    model, data = tiny
    tilts = model.tilts[data.stars.long() - 1]
    close(tilts.mean(), torch.tensor(0.0))
    close(tilts.var(correction=0), torch.tensor(1.0))


def test_predictions_equal_enumeration(tiny):
    model, data = tiny
    for user, film in itertools.product(range(4), range(5)):
        seen = [(f, int(s) - 1) for u, f, s in zip(data.users, data.films, data.stars, strict=True) if u == user]
        films = [int(f) for f, _ in seen]
        if film in films:
            continue
        p, levels, _ = joint(model, [*films, film], model.user_bias[user])
        fits = torch.ones(len(levels), dtype=torch.bool)
        for at, (_, level) in enumerate(seen):
            fits &= levels[:, at] == level
        given = torch.stack([p[fits & (levels[:, -1] == k)].sum() for k in range(3)])
        pair = torch.tensor([user]), torch.tensor([film])
        close(model.predict_proba(*pair)[0], given / given.sum())
        close(model.predict(*pair)[0], given / given.sum() @ torch.tensor([1.0, 2, 3], dtype=torch.float64))


def test_the_taste_of_a_user_equals_enumeration(tiny):
    model, data = tiny
    p, levels, h = joint(model, [0, 2, 4], model.user_bias[0])
    row = p[(levels == torch.tensor([0, 2, 1])).all(1)][0]
    close(model.transform(data)[0], row @ h / row.sum())
    close(model.transform(data)[3], model.hidden_bias.sigmoid())  # a user without ratings
    affinity = model.affinity(torch.tensor([0, 2, 4]), torch.tensor([1.0, 3.0, 2.0]))
    close(affinity, model.weights @ (model.transform(data)[0] - model.transform(data)[3]))


def test_scores_for_a_person_equal_the_predictions_for_a_user_who_rated_the_same():
    train, _ = tastes()
    model = SoftmaxRBM(4, epochs=5, generator=generator()).fit(train)
    mine = train.users == 7
    films, everything = train.films[mine], torch.arange(train.n_films)
    scores = model.score_films(films, train.stars[mine])
    # The habit of user 7 was fitted in turn with the films, that of the person given the films.
    close(scores, model.predict(torch.full_like(everything, 7), everything), atol=1e-3)


def test_hidden_units_find_taste():
    train, test = tastes()
    model = SoftmaxRBM(4, learning_rate=0.02, epochs=60, weight_decay=5.0, generator=generator()).fit(train)
    error = (model.predict(test.users, test.films) - test.stars).square().mean().sqrt()
    biases = MatrixFactorization(0).fit(train).predict(test.users, test.films)
    bias_error = (biases - test.stars).square().mean().sqrt()
    assert error < 0.65 < 1.1 < bias_error
    assert model.history_[-1] > model.history_[0] + 0.3
    scores = model.score_films(torch.tensor([0, 1, 2]), torch.tensor([5.0, 4.5, 5.0]))
    assert scores[3:10].min() > scores[10:].max() + 0.5
    affinity = model.affinity(torch.tensor([0, 1, 2]), torch.tensor([5.0, 4.5, 5.0]))
    assert affinity[:10].min() > 0 > affinity[10:].max()
    assert len(model.history_) == 60


def test_without_hidden_units_the_machine_is_a_fitted_tilt():
    """With all weights 0 the biases are a maximum: the slope of log posterior is 0."""
    train, _ = tastes()
    model = SoftmaxRBM(2, epochs=1, bias_decay=(3.0, 2.0), generator=generator()).fit(train)
    t, b = model.user_bias[train.users], model.film_bias[train.films]
    probs = (model.level_bias + model.tilts * (t + b)[:, None]).softmax(1)
    level = (2 * train.stars - 1).long()
    slope = model.tilts[level] - probs @ model.tilts
    for index, bias, precision in ((train.users, model.user_bias, 3.0), (train.films, model.film_bias, 2.0)):
        close(torch.zeros_like(bias).index_add_(0, index, slope), precision * bias, atol=2e-2)
    counts = torch.bincount(level, minlength=10).float()
    close(probs.sum(0), counts, atol=1.0)


def test_the_mean_update_is_that_of_contrastive_divergence(tiny):
    """One user with three films and one step: the average change equals the one computed by enumeration."""
    data = ratings([0] * 3, [0, 1, 2], [1, 3, 2], n_users=1, n_films=3)
    model = random_machine(SoftmaxRBM(2, levels=(1, 2, 3), epochs=1, weight_decay=0.0).fit(data), scale=0.7)
    model.generator = generator()
    p, levels, h = joint(model, [0, 1, 2], model.user_bias[0])
    start = (levels == torch.tensor([0, 2, 1])).all(1).nonzero().item()
    to_h, to_v = p / p.sum(1, keepdim=True), (p / p.sum(0)).T
    after = to_h[start] @ to_v  # of v, one Gibbs step later
    tilts, hidden = model.tilts[levels].double(), to_h @ h  # (K^3, 3), (K^3, H)
    expected = tilts[start][:, None] * (hidden[start] - 0.5) - (after[:, None] * tilts).T @ (hidden - 0.5)
    before, bias, runs = model.weights.clone(), model.hidden_bias.clone(), 8000
    total, total_bias = torch.zeros_like(before), torch.zeros_like(bias)
    for _ in range(runs):
        model.weights, model.hidden_bias = before.clone(), bias.clone()
        model._update(torch.zeros(3, dtype=torch.int64), data.users, data.films, torch.tensor([0, 2, 1]), 1.0)
        total += (model.weights - before) / runs
        total_bias += (model.hidden_bias - bias) / runs
    close(total, expected, atol=0.03)
    close(total_bias, hidden[start] - after @ hidden, atol=0.02)


def test_weights_are_pulled_to_zero_and_a_generator_decides():
    train, _ = tastes()
    loose, same, tight = (
        SoftmaxRBM(3, epochs=10, weight_decay=decay, generator=generator()).fit(train) for decay in (1.0, 1.0, 100.0)
    )
    assert torch.equal(loose.weights, same.weights)
    assert tight.weights.norm() < 0.5 * loose.weights.norm()


def test_films_and_users_without_ratings_are_predicted(tiny):
    _, data = tiny
    model = SoftmaxRBM(2, levels=(1, 2, 3), epochs=3, generator=generator()).fit(data)
    stars = model.predict(torch.tensor([3, 3, 0]), torch.tensor([0, 4, 1]))
    assert ((stars > 1) & (stars < 3)).all()


# --- matrix factorization ---


def test_the_factorization_is_a_stationary_point_of_its_penalized_squares():
    train, _ = tastes()
    model = MatrixFactorization(2, sweeps=300, penalty=2.0, bias_penalty=(3.0, 2.0), generator=generator()).fit(train)
    names = ("user_bias", "film_bias", "user_factors", "film_factors")
    parameters = [getattr(model, name).double().requires_grad_() for name in names]
    t, b, p, q = parameters
    fitted = model.mean + t[train.users] + b[train.films] + (p[train.users] * q[train.films]).sum(1)
    squares = (train.stars - fitted).square().sum()
    penalties = 3 * t.square().sum() + 2 * b.square().sum() + 2 * (p.square().sum() + q.square().sum())
    for slope in torch.autograd.grad(squares + penalties, parameters):
        assert slope.abs().max() < 0.05


def test_the_factorization_finds_taste_and_rank_0_cannot():
    train, test = tastes()
    errors = [
        (MatrixFactorization(rank, penalty=2.0, generator=generator()).fit(train).predict(test.users, test.films))
        .sub(test.stars)
        .square()
        .mean()
        .sqrt()
        for rank in (0, 2)
    ]
    assert errors[1] < 0.65 < 1.1 < errors[0]


# --- errors ---


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SoftmaxRBM(0), "n_hidden is 0"),
        (lambda: SoftmaxRBM(2, k=0), "k is 0"),
        (lambda: SoftmaxRBM(2, learning_rate=0), "learning_rate is 0"),
        (lambda: SoftmaxRBM(2, weight_decay=-1), "weight_decay -1"),
        (lambda: SoftmaxRBM(2, bias_decay=(0.0, 1.0)), "bias_decay is"),
        (lambda: SoftmaxRBM(2, levels=(2, 1)), "numbers that rise"),
        (lambda: SoftmaxRBM(2).fit(ratings([0, 0], [0, 1], [1, 5.5])), "a rating is 5.5: expected one of"),
        (lambda: SoftmaxRBM(2).fit(ratings([0, 0], [0, 1], [1, 2.2])), "a rating is 2.2: expected one of"),
        (lambda: SoftmaxRBM(2).fit(ratings([0, 0], [0, 1], [3, 3])), "all ratings are equal"),
        (lambda: fitted().predict(torch.tensor([0, 1]), torch.tensor([0])), r"with N > 0 for both"),
        (lambda: fitted().predict(torch.tensor([9]), torch.tensor([0])), "users go from 9 to 9: expected .* 0 to 1"),
        (lambda: fitted().predict(torch.tensor([0]), torch.tensor([-1])), "films go from -1 to -1"),
        (lambda: fitted().score_films(torch.tensor([5]), torch.tensor([3.0])), "films go from 5 to 5"),
        (lambda: fitted().score_films(torch.tensor([], dtype=torch.int64), torch.tensor([])), "with N > 0"),
        (lambda: SoftmaxRBM(2, learning_rate=1e9, epochs=99).fit(tastes()[0]), "learning diverged"),
        (lambda: MatrixFactorization(-1), "rank is -1"),
        (lambda: MatrixFactorization(penalty=0.0), "penalty=0.0"),
    ],
)
def test_bad_input_gets_a_clear_error(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def fitted():
    return SoftmaxRBM(2, epochs=1, generator=generator()).fit(ratings([0, 0, 1], [0, 1, 1], [1, 5, 2]))


def test_an_unfitted_model_says_so():
    nothing = torch.tensor([0])
    asks = (
        lambda: SoftmaxRBM(2).weights,
        lambda: SoftmaxRBM(2).predict(nothing, nothing),
        lambda: SoftmaxRBM(2).score_films(nothing, torch.tensor([3.0])),
        lambda: MatrixFactorization().predict(nothing, nothing),
    )
    for ask in asks:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask()
