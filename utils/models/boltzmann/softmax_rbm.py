"""A restricted Boltzmann machine whose visible units are ratings: one softmax unit a film, absent where not rated."""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from utils.models.boltzmann.options import check_options
from utils.models.estimator import Estimator
from utils.ratings import Ratings, check_pairs
from utils.validation import numbers

HALF_STARS = tuple(half / 2 for half in range(1, 11))
NEWTON_STEPS = 30  # of the biases: more change nothing that can be seen
BLOCK = 4096  # pairs whose conditional is computed at once


class SoftmaxRBM(Estimator):
    """p(v, h) ∝ exp(Σ_i [g(v_i) + s(v_i) (t_u + b_i + w_i·(h − ½))] + c·h), a sum over the films i that user u rated.

    Each film is a softmax unit over the levels of stars; s standardizes the stars, to mean 0 and variance 1 in the
    training data. A user has visible units for the films they rated and no others; all users share the weights. Three
    things tilt a rating up or down: the habit t_u of the user, the quality b_i of the film, and the taste h of the user
    where it meets the film's weights w_i: a unit moves the tilt by w_ij / 2 one way when on, the other way when off. g
    says how popular each level is.

    Salakhutdinov, Mnih and Hinton give each level of each film weights of its own, W_ikj. Here W_ikj = s_k w_ij, which
    leaves a film with few ratings H numbers to learn instead of K · H; and t_u, which they do not have, spares the
    hidden units the work of telling generous users from strict ones.

    After `fit`: `level_bias` g `(K,)`, `user_bias` t `(U,)`, `film_bias` b `(F,)`, the most probable ones in a machine
    without hidden units; `weights` w `(F, H)` and `hidden_bias` c `(H,)`, by contrastive divergence; `tilts` s `(K,)`;
    the training ratings `rated_users`, `rated_films` and `rated_tilts` `(N,)`, which predictions condition on; and
    `history_`: in each epoch the mean log p(v_i | h) of the ratings, where h is drawn from p(h | v), in nats a rating.

    Args:
        n_hidden: H.
        levels: the stars that can be given, rising.
        learning_rate: of the sum over the ratings in a batch; falls linearly to 0.
        batch_size: users in a batch.
        epochs: passes over the users.
        k: Gibbs steps of contrastive divergence (CD-k).
        weight_decay: precision of the Gaussian prior of each w_ij.
        bias_decay: precisions of the Gaussian priors of t_u and of b_i.
        generator: source of randomness of `fit`.

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.
        NotFittedError: for a question to a model that was not fitted.

    Source: Salakhutdinov, Mnih & Hinton, Restricted Boltzmann machines for collaborative filtering, 2007.
    """

    names = (
        *("weights", "hidden_bias", "film_bias", "user_bias", "level_bias"),
        *("tilts", "rated_users", "rated_films", "rated_tilts"),
    )
    results = ("history_",)

    def __init__(
        self,
        n_hidden: int = 50,
        *,
        levels: tuple[float, ...] = HALF_STARS,
        learning_rate: float = 0.01,
        batch_size: int = 64,
        epochs: int = 40,
        k: int = 1,
        weight_decay: float = 40.0,
        bias_decay: tuple[float, float] = (3.0, 2.0),
        generator: Generator | None = None,
    ):
        check_options(self, n_hidden, learning_rate, batch_size, epochs, k, weight_decay)
        if len(bias_decay) != 2 or not min(bias_decay) > 0:
            raise ValueError(f"bias_decay is {bias_decay}: expected two numbers above 0, for users and for films")
        self.levels = torch.tensor(levels, dtype=torch.float32)
        if self.levels.ndim != 1 or len(levels) < 2 or not (self.levels.diff() > 0).all():
            raise ValueError(f"levels is {levels}: expected at least two numbers that rise")
        self.bias_decay, self.generator = bias_decay, generator

    # --- learning ---

    def fit(self, ratings: Ratings) -> Self:
        """Learn from ratings; they are kept, for `predict` to condition on. Returns the model itself."""
        users, films, level = ratings.users, ratings.films, self._level(ratings.stars)
        check_pairs(users, films, ratings.n_users, ratings.n_films)
        if level.shape != users.shape:
            raise ValueError(f"stars have shape {tuple(level.shape)}: expected {tuple(users.shape)}, one for each pair")
        count = torch.bincount(level, minlength=len(self.levels)).float()
        mean = (count @ self.levels) / len(level)
        deviation = ((count @ (self.levels - mean).square()) / len(level)).sqrt()
        if deviation == 0:
            raise ValueError("all ratings are equal: there is nothing to learn")
        self.tilts = (self.levels - mean) / deviation  # s, (K,)
        self.rated_users, self.rated_films, self.rated_tilts = users, films, self.tilts[level]
        self._fit_biases(ratings.n_users, ratings.n_films, level, count)
        self.weights = 0.01 * torch.randn(ratings.n_films, self.n_hidden, generator=self.generator)
        self.hidden_bias, self.history_ = torch.zeros(self.n_hidden), []
        updates = -(-ratings.n_users // self.batch_size)
        for epoch in range(self.epochs):
            place = torch.randperm(ratings.n_users, generator=self.generator)[users]
            batch, score = place // self.batch_size, 0.0
            parts = batch.argsort().split(torch.bincount(batch, minlength=updates).tolist())
            for at, rows in enumerate(parts):
                rate = self.learning_rate * (1 - (epoch + at / updates) / self.epochs)
                score += self._update(place[rows] % self.batch_size, users[rows], films[rows], level[rows], rate)
            self.history_.append(score / len(level))
        if not self.weights.isfinite().all():
            raise ValueError(f"learning diverged: learning_rate={self.learning_rate} is too large for these ratings")
        return self

    def _update(self, place: Tensor, users: Tensor, films: Tensor, level: Tensor, rate: float) -> float:
        """One step of CD-k for the users at the places 0, 1, … of a batch; returns Σ log p(v_i | h)."""
        bias = self.level_bias + self.tilts * (self.user_bias[users] + self.film_bias[films])[:, None]  # (N, K)
        weights, data, score = self.weights[films], self.tilts[level], None  # (N, H), (N,)
        n = int(place.max()) + 1
        positive = (self.hidden_bias + _gather(data[:, None] * weights, place, n)).sigmoid_()  # (n, H)
        negative = positive
        for _ in range(self.k):
            h = torch.empty_like(negative).uniform_(generator=self.generator).lt_(negative)
            logits = bias + self.tilts * (weights * (h[place] - 0.5)).sum(1, keepdim=True)
            log_probs = logits.log_softmax(1)
            score = log_probs.gather(1, level[:, None]).sum().item() if score is None else score
            below = log_probs.exp_().cumsum(1) < torch.rand(len(level), 1, generator=self.generator)
            fantasy = self.tilts[below.sum(1).clamp_(max=len(self.levels) - 1)]
            negative = (self.hidden_bias + _gather(fantasy[:, None] * weights, place, n)).sigmoid_()
        change = data[:, None] * (positive[place] - 0.5) - fantasy[:, None] * (negative[place] - 0.5)
        self.weights.mul_(1 - rate * self.weight_decay * n / len(self.user_bias)).index_add_(
            0, films, change, alpha=rate
        )
        self.hidden_bias.add_((positive - negative).mean(0), alpha=rate)
        return score

    def _fit_biases(self, n_users: int, n_films: int, level: Tensor, count: Tensor) -> None:
        """The machine without hidden units, log p(v_ui = k) = g_k + s_k (t_u + b_i) + …: Newton steps on t and b."""
        users, films, data = self.rated_users, self.rated_films, self.rated_tilts
        self.level_bias = (count + 1).log() - (count + 1).sum().log()
        self.user_bias, self.film_bias = torch.zeros(n_users), torch.zeros(n_films)
        groups = (films, self.film_bias, self.bias_decay[1]), (users, self.user_bias, self.bias_decay[0])
        for _ in range(NEWTON_STEPS):
            for group, bias, precision in groups:
                mean, variance, _ = self._moments(self.user_bias[users] + self.film_bias[films])
                slope = _gather(data - mean, group, len(bias)) - precision * bias
                bias += slope / (_gather(variance, group, len(bias)) + precision)
            expected = self._moments(self.user_bias[users] + self.film_bias[films])[2].sum(0)
            self.level_bias += 0.5 * ((count + 1).log() - (expected + 1).log())

    def _moments(self, tilt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance of s(v) where p(v = k) ∝ exp(g_k + s_k tilt), and these probabilities `(N, K)`."""
        probs = (self.level_bias + self.tilts * tilt[:, None]).softmax(1)
        mean = probs @ self.tilts
        return mean, probs @ self.tilts.square() - mean.square(), probs

    # --- questions ---

    def transform(self, ratings: Ratings) -> Tensor:
        """The taste of each user: p(h = 1 | their ratings), `(U, H)`."""
        tilts = self.tilts[self._level(ratings.stars)]
        return self._field(ratings.users, ratings.films, tilts, ratings.n_users).sigmoid_()

    def predict_proba(self, users: Tensor, films: Tensor) -> Tensor:
        """p(v_i = k | the training ratings of user u) for pairs (u, i), `(N, K)`, exact: h is summed out.

        It is ∝ exp(g_k + s_k (t_u + b_i − Σ_j w_ij / 2)) Π_j (1 + exp(a_j + s_k w_ij)), where a = c + Σ s(v) w over the
        training ratings of the user.
        """
        check_pairs(users, films, len(self.user_bias), len(self.film_bias))
        field = self._field(self.rated_users, self.rated_films, self.rated_tilts, len(self.user_bias))
        return self._conditional(field, self.user_bias, users, films)

    def predict(self, users: Tensor, films: Tensor) -> Tensor:
        """The expected stars of pairs of a user and a film, `(N,)`."""
        return self.predict_proba(users, films) @ self.levels

    def score_films(self, films: Tensor, stars: Tensor) -> Tensor:
        """The expected stars of every film `(F,)` for a new person who gave `stars` `(N,)` to `films` `(N,)`."""
        nobody = torch.zeros_like(films)
        check_pairs(nobody, films, 1, len(self.film_bias))
        data, habit = self.tilts[self._level(stars)], torch.zeros(1)
        for _ in range(NEWTON_STEPS):
            mean, variance, _ = self._moments(habit + self.film_bias[films])
            habit += ((data - mean).sum() - self.bias_decay[0] * habit) / (variance.sum() + self.bias_decay[0])
        everything = torch.arange(len(self.film_bias))
        field = self._field(nobody, films, data, 1)
        return self._conditional(field, habit, torch.zeros_like(everything), everything) @ self.levels

    def affinity(self, films: Tensor, stars: Tensor) -> Tensor:
        """Σ_j w_ij (p(h_j = 1 | ratings) − p(h_j = 1)) `(F,)`: how far the taste of a new person tilts each film up.

        Expected stars rank the films that all people love first; this ranks by taste alone. Arguments as `score_films`.
        """
        nobody = torch.zeros_like(films)
        check_pairs(nobody, films, 1, len(self.film_bias))
        taste = self._field(nobody, films, self.tilts[self._level(stars)], 1)[0].sigmoid()
        return self.weights @ (taste - self.hidden_bias.sigmoid())

    def _field(self, users: Tensor, films: Tensor, tilts: Tensor, n_users: int) -> Tensor:
        """a = c + Σ s(v_i) w_i over the ratings of each user, `(U, H)`."""
        return self.hidden_bias + _gather(tilts[:, None] * self.weights[films], users, n_users)

    def _conditional(self, field: Tensor, habit: Tensor, users: Tensor, films: Tensor) -> Tensor:
        blocks = []
        for u, i in zip(users.split(BLOCK), films.split(BLOCK), strict=True):
            unseen = softplus(field[u, None] + self.tilts[:, None] * self.weights[i, None]).sum(-1)  # (N, K)
            tilt = (habit[u] + self.film_bias[i] - self.weights[i].sum(1) / 2)[:, None]
            blocks.append((self.level_bias + self.tilts * tilt + unseen).softmax(1))
        return torch.cat(blocks)

    # --- checks ---

    def _level(self, stars: Tensor) -> Tensor:
        """The index of each rating among the levels."""
        if not isinstance(stars, Tensor) or stars.ndim != 1 or not len(stars):
            given = tuple(stars.shape) if isinstance(stars, Tensor) else type(stars).__name__
            raise ValueError(f"stars is {given}: expected a torch.Tensor of shape (N,) with N > 0")
        stars = numbers("stars", stars).detach().float().contiguous()
        level = torch.searchsorted(self.levels, stars).clamp_(max=len(self.levels) - 1)
        wrong = self.levels[level] != stars
        if wrong.any():
            raise ValueError(f"a rating is {stars[wrong][0]:g}: expected one of {self.levels.tolist()}; see levels=")
        return level


def _gather(values: Tensor, group: Tensor, n: int) -> Tensor:
    """Sums of the rows of `values` with the same group, `(n, …)`."""
    return values.new_zeros(n, *values.shape[1:]).index_add_(0, group, values)
