"""Ratings as the product of two thin matrices: the model that recommended before deep learning did."""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from utils.models.estimator import Estimator
from utils.ratings import Ratings, check_pairs
from utils.validation import numbers, whole


class MatrixFactorization(Estimator):
    """stars of user u for film i ≈ μ + t_u + b_i + p_u·q_i, by least squares with penalties.

    `rank` 0 leaves the baseline of user and film biases. The fit is by alternating least squares: each part in turn has
    a closed form while the others stay.

    After `fit`: `mean` μ, `user_bias` t `(U,)`, `film_bias` b `(F,)`, `user_factors` p `(U, R)` and `film_factors` q
    `(F, R)`; and
    `history_`, the root mean squared error on the training ratings after each sweep.

    Args:
        rank: R.
        sweeps: alternations.
        penalty: of the squares of each p_u and q_i.
        bias_penalty: of the squares of t_u and of b_i.
        generator: source of the random start.

    Raises:
        ValueError: for parameters that make no sense.
        NotFittedError: for a prediction before `fit`.

    Source: Koren, Bell & Volinsky, Matrix factorization techniques for recommender systems, 2009.
    """

    names = ("mean", "user_bias", "film_bias", "user_factors", "film_factors")
    results = ("history_",)

    def __init__(
        self,
        rank: int = 10,
        *,
        sweeps: int = 15,
        penalty: float = 15.0,
        bias_penalty: tuple[float, float] = (5.0, 3.0),
        generator: Generator | None = None,
    ):
        self.rank, self.sweeps = whole("rank", rank, 0), whole("sweeps", sweeps)
        if not penalty > 0 or not min(bias_penalty) > 0:
            raise ValueError(f"penalty={penalty}, bias_penalty={bias_penalty}: expected numbers above 0")
        self.penalty, self.bias_penalty = penalty, bias_penalty
        self.generator = generator

    def fit(self, ratings: Ratings) -> Self:
        """Learn from ratings. Returns the model itself."""
        users, films, stars = ratings.users, ratings.films, numbers("stars", ratings.stars).detach().float()
        check_pairs(users, films, ratings.n_users, ratings.n_films)
        if stars.shape != users.shape:
            raise ValueError(f"stars have shape {tuple(stars.shape)}: expected {tuple(users.shape)}, one for each pair")
        self.mean, self.history_ = stars.mean(), []
        self.user_bias, self.film_bias = torch.zeros(ratings.n_users), torch.zeros(ratings.n_films)
        self.user_factors = torch.zeros(ratings.n_users, self.rank)
        self.film_factors = 0.1 * torch.randn(ratings.n_films, self.rank, generator=self.generator)
        for _ in range(self.sweeps):
            rest = stars - self.mean - (self.user_factors[users] * self.film_factors[films]).sum(1)
            for _ in range(5):  # the biases depend on each other strongly, and are cheap
                self.film_bias = self._bias(rest - self.user_bias[users], films, self.film_bias, self.bias_penalty[1])
                self.user_bias = self._bias(rest - self.film_bias[films], users, self.user_bias, self.bias_penalty[0])
            rest = stars - self.mean - self.user_bias[users] - self.film_bias[films]
            self.user_factors = self._factors(rest, users, self.user_factors, self.film_factors[films])
            self.film_factors = self._factors(rest, films, self.film_factors, self.user_factors[users])
            self.history_.append((self.predict(users, films) - stars).square().mean().sqrt().item())
        return self

    def predict(self, users: Tensor, films: Tensor) -> Tensor:
        """The expected stars of pairs of a user and a film, `(N,)`."""
        check_pairs(users, films, len(self.user_bias), len(self.film_bias))
        product = (self.user_factors[users] * self.film_factors[films]).sum(1)
        return self.mean + self.user_bias[users] + self.film_bias[films] + product

    @staticmethod
    def _bias(rest: Tensor, group: Tensor, old: Tensor, penalty: float) -> Tensor:
        """Σ rest / (n + penalty) over the ratings of each user, or of each film."""
        count = torch.bincount(group, minlength=len(old))
        return torch.zeros_like(old).index_add_(0, group, rest) / (count + penalty)

    def _factors(self, rest: Tensor, group: Tensor, old: Tensor, other: Tensor) -> Tensor:
        """(Σ q qᵀ + penalty I)⁻¹ Σ q rest over the ratings of each user, or of each film."""
        n, r = old.shape
        products = (other[:, :, None] * other[:, None, :]).flatten(1)  # (N, R²)
        matrix = other.new_zeros(n, r * r).index_add_(0, group, products).view(n, r, r) + self.penalty * torch.eye(r)
        return torch.linalg.solve(matrix, torch.zeros_like(old).index_add_(0, group, rest[:, None] * other))
