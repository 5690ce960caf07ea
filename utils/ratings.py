"""The films that people liked: ratings from half a star to five, for the chapters that recommend.

>>> ratings = load_ratings()
>>> ratings
MovieLens: 100004 ratings from 0.5 to 5 stars, 671 users, 9066 films, 1.6% of all pairs
>>> [ratings.titles[film] for film in ratings.find("matrix")]
['Matrix, The (1999)', 'Matrix Reloaded, The (2003)', 'Matrix Revolutions, The (2003)', 'Animatrix, The (2003)']
>>> train, test = ratings.split(test=0.1)
>>> len(train.stars), len(test.stars)
(90004, 10000)
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from utils.data import path

SPLIT_SEED = 0


@dataclass(frozen=True, eq=False, repr=False)
class Ratings:
    """Who gave which film how many stars: one entry a rating, no user rates a film twice.

    Attributes:
        users, films: numbers from 0 in int64, `(N,)`.
        stars: 0.5, 1, …, 5 in float32, `(N,)`.
        titles, genres: of each film, by its number; several genres are joined by `|`.
        n_users, n_films: of the whole set; in a part of it some users or films may have no rating.
        license: under which conditions the data may be used.
        source: where the data comes from.
    """

    users: Tensor
    films: Tensor
    stars: Tensor
    titles: tuple[str, ...]
    genres: tuple[str, ...]
    n_users: int
    n_films: int
    license: str
    source: str

    def split(self, test: float = 0.1, generator: Generator | None = None) -> tuple[Ratings, Ratings]:
        """Divide the ratings at random into a training and a test part; each rating is in exactly one.

        Users and films keep their numbers. A film with few ratings may have none left in the training part.

        Args:
            test: the share of the ratings in the test part, between 0 and 1.
            generator: where the randomness comes from; by default a fixed seed, the same split for everyone.

        Raises:
            ValueError: when a part would be empty.
        """
        n = len(self.stars)
        n_test = round(test * n)
        if not 0 < n_test < n:
            raise ValueError(f"test={test} leaves {n_test} of {n} ratings for the test: give a share between 0 and 1")
        if generator is None:
            generator = torch.Generator().manual_seed(SPLIT_SEED)
        order = torch.randperm(n, generator=generator)
        # Sorted, so that each part keeps the order of the whole, user by user.
        train, held_out = order[n_test:].sort().values, order[:n_test].sort().values
        return self._part(train), self._part(held_out)

    def find(self, title: str) -> list[int]:
        """The numbers of the films with these words in their title, in upper or lower case.

        Raises:
            ValueError: when there is none; the message has the nearest titles.
        """
        if not title.strip():
            raise ValueError("find() needs a part of a title, such as 'toy story', and got only blanks")
        found = [film for film, name in enumerate(self.titles) if title.lower() in name.lower()]
        if not found:
            names = {name.lower(): name for name in self.titles}
            near = [names[name] for name in difflib.get_close_matches(title.lower(), names, n=3, cutoff=0.5)]
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "try one word of the title"
            raise ValueError(f"no film has {title!r} in its title: {hint}")
        return found

    def _part(self, index: Tensor) -> Ratings:
        return replace(self, users=self.users[index], films=self.films[index], stars=self.stars[index])

    def __repr__(self) -> str:
        low, high = (f"{value:g}" for value in torch.aminmax(self.stars))
        share = len(self.stars) / (self.n_users * self.n_films)
        return (
            f"MovieLens: {len(self.stars)} ratings from {low} to {high} stars, {self.n_users} users,"
            f" {self.n_films} films, {share:.1%} of all pairs"
        )


def load_ratings() -> Ratings:
    """The small MovieLens set of 2016: 100,004 ratings of 9,066 films by 671 users.

    Raises:
        DataError: when the file is missing or damaged.

    Source: F. M. Harper, J. A. Konstan, "The MovieLens Datasets: History and Context", 2015.
    """
    with np.load(path("movielens/movielens.npz"), allow_pickle=False) as arrays:
        users, films = (torch.from_numpy(arrays[key]).long() for key in ("user", "film"))
        titles, genres = (tuple(arrays[key].tolist()) for key in ("title", "genres"))
        stars = torch.from_numpy(arrays["half_stars"]).float() / 2
    return Ratings(
        users,
        films,
        stars,
        titles,
        genres,
        n_users=int(users.max()) + 1,
        n_films=len(titles),
        license="GroupLens' conditions (data/movielens/README.txt): for research, no commercial use",
        source="Harper and Konstan: The MovieLens Datasets: History and Context, 2015",
    )


def check_pairs(users: Tensor, films: Tensor, n_users: int, n_films: int) -> None:
    """Refuse pairs of users and films that are no numbers of known ones."""
    if users.shape != films.shape or users.ndim != 1 or not len(users):
        raise ValueError(
            f"users has shape {tuple(users.shape)} and films {tuple(films.shape)}: expected (N,) with N > 0 for both"
        )
    for name, index, size in (("users", users, n_users), ("films", films, n_films)):
        if not (index.min() >= 0 and index.max() < size):
            raise ValueError(f"{name} go from {index.min()} to {index.max()}: expected numbers from 0 to {size - 1}")
