"""The ratings: the numbers that GroupLens states, a split that leaks nothing, films found by their names."""

import dataclasses
import hashlib

import pytest
import torch

from utils.ratings import load_ratings


@pytest.fixture(scope="module")
def ratings():
    return load_ratings()


def entries(part):
    """The ratings as a set: no user rates a film twice, so nothing is lost."""
    return set(zip(part.users.tolist(), part.films.tolist(), part.stars.tolist(), strict=True))


def test_the_set_is_the_one_that_was_published(ratings):
    assert len(ratings.users) == len(ratings.films) == len(ratings.stars) == 100_004
    assert ratings.users.unique().tolist() == list(range(671))
    assert ratings.films.unique().tolist() == list(range(9066))
    assert ratings.stars.unique().tolist() == [half / 2 for half in range(1, 11)]
    assert len(entries(ratings)) == 100_004
    # "All selected users had rated at least 20 movies."
    assert ratings.users.bincount().min() == 20
    assert ratings.stars.double().mean().item() == pytest.approx(3.543608, abs=1e-6)
    # In the published order: by user, then by film.
    assert (ratings.users.diff() >= 0).all()
    assert (ratings.films.diff()[ratings.users.diff() == 0] > 0).all()
    # The rows "user,film,stars" of the published table with the films renumbered.
    rows = zip(ratings.users.tolist(), ratings.films.tolist(), ratings.stars.tolist(), strict=True)
    text = "".join(f"{user + 1},{film},{stars}\n" for user, film, stars in rows)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "e2c67e572eb37ab33546ee15018719ff6b4319ec1141fe0566c790fb3b603594"
    )


def test_titles_and_genres_belong_to_the_films(ratings):
    assert ratings.titles[0] == "Toy Story (1995)"
    assert ratings.genres[0] == "Adventure|Animation|Children|Comedy|Fantasy"
    table = "".join(f"{title}\t{genres}\n" for title, genres in zip(ratings.titles, ratings.genres, strict=True))
    assert (
        hashlib.sha256(table.encode()).hexdigest() == "6abdcf5c0cb85c127df7bb86d9200a73f1d4bbd5549c440db14e012148bd7f7b"
    )
    assert "Fawlty Towers (1975-1979)" in ratings.titles
    best = ratings.films.bincount().argmax()
    assert ratings.titles[best] == "Forrest Gump (1994)"
    assert ratings.films.bincount().max() == 341


def test_types_and_texts(ratings, repository):
    assert ratings.users.dtype == ratings.films.dtype == torch.int64
    assert ratings.stars.dtype == torch.float32
    assert repr(ratings) == "MovieLens: 100004 ratings from 0.5 to 5 stars, 671 users, 9066 films, 1.6% of all pairs"
    assert "no commercial use" in ratings.license
    conditions = (repository / "data" / "movielens" / "README.txt").read_text(encoding="utf-8")
    assert "may not use this information for any commercial or revenue-bearing purposes" in conditions
    assert "10.1145/2827872" in conditions
    with pytest.raises(dataclasses.FrozenInstanceError):
        ratings.n_users = 1
    assert load_ratings().users is not ratings.users  # so that nobody can spoil another's data


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_split_loses_nothing_and_leaks_nothing(ratings, share):
    train, test = ratings.split(share, torch.Generator().manual_seed(1))
    assert len(test.stars) == round(share * 100_004)
    first, second = entries(train), entries(test)
    assert not first & second
    assert first | second == entries(ratings)
    for part in (train, test):
        assert (part.n_users, part.n_films, part.titles) == (671, 9066, ratings.titles)
    # At random: the held-out share of every hundredth of the rows, which are sorted by user, is near the whole share.
    held_out = torch.tensor(
        [entry in second for entry in zip(*map(torch.Tensor.tolist, _columns(ratings)), strict=True)]
    )
    shares = torch.stack([chunk.double().mean() for chunk in held_out[:100_000].chunk(100)])
    assert (shares - share).abs().max() < 6 * (share * (1 - share) / 1000) ** 0.5


def _columns(part):
    return part.users, part.films, part.stars


def test_the_split_is_the_same_for_everyone_unless_asked_otherwise(ratings):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    _, first = ratings.split()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    _, second = ratings.split()
    _, other = ratings.split(generator=torch.Generator().manual_seed(3))
    assert entries(first) == entries(second) != entries(other)


@pytest.mark.parametrize("share", [0, 1, -0.1, 10])
def test_a_split_with_an_empty_part_is_refused(ratings, share):
    with pytest.raises(ValueError, match=f"test={share} leaves .* of 100004 ratings .* between 0 and 1"):
        ratings.split(share)


def test_films_are_found_by_a_part_of_their_title(ratings):
    assert ratings.find("Toy Story (1995)") == ratings.find("toy story (") == [0]
    assert [ratings.titles[film] for film in ratings.find("hamlet (2000)")] == ["Hamlet (2000)"] * 2
    with pytest.raises(
        ValueError, match=r"no film has 'Forest Gump' in its title: did you mean 'Forrest Gump \(1994\)'"
    ):
        ratings.find("Forest Gump")
    with pytest.raises(ValueError, match="no film has 'qqqqqq' in its title: try one word"):
        ratings.find("qqqqqq")
    with pytest.raises(ValueError, match="only blanks"):
        ratings.find(" ")
