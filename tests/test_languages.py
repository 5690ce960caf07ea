"""The toy language: its law is a distribution, its lines follow it, and names come back."""

import torch

from utils.languages import CALL, NAME_LENGTH, SYMBOLS, NameLanguage, text


def language(seed: int = 0, length: int = 40) -> tuple[NameLanguage, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return NameLanguage.drawn(generator, length), generator


def test_the_law_sums_to_one_at_each_place_and_over_all_lines():
    short, generator = language(length=4)
    lines = torch.cartesian_prod(*[torch.arange(len(SYMBOLS))] * 4)
    each = short.log_prob(lines).gather(2, lines[..., None])[..., 0]
    assert abs(each.sum(1).exp().sum() - 1) < 1e-9
    long, _ = language()
    total = long.log_prob(long.sample(50, generator)).exp().sum(-1)
    assert torch.allclose(total, torch.ones_like(total))


def test_the_law_does_not_look_ahead():
    law, generator = language()
    x, other = law.sample(20, generator), law.sample(20, generator)
    for t in (1, 3, 7, 20):
        mixed = torch.cat([x[:, :t], other[:, t:]], 1)
        assert torch.equal(law.log_prob(mixed)[:, : t + 1], law.log_prob(x)[:, : t + 1])


def test_lines_follow_the_law():
    law, generator = language()
    x = law.sample(4000, generator)
    p = law.log_prob(x).exp()
    seen = torch.nn.functional.one_hot(x, len(SYMBOLS)).double()
    error = (seen - p)[:, NAME_LENGTH:].mean((0, 1))
    deviation = (p * (1 - p))[:, NAME_LENGTH:].mean((0, 1)).sqrt() / (4000 * 37) ** 0.5
    assert (error.abs() < 5 * deviation).all()
    assert law.log_prob(x).gather(2, x[..., None]).isfinite().all()


def test_after_each_call_the_name_is_said_again_and_costs_nothing():
    law, generator = language(seed=1)
    x = law.sample(200, generator)
    for line in text(x):
        for part in line[NAME_LENGTH:].split("@")[1:]:
            assert part[:NAME_LENGTH] == line[: len(part[:NAME_LENGTH])]
    recalled = law.recalled(x)
    cost = -law.log_prob(x).gather(2, x[..., None])[..., 0]
    assert (cost[recalled] == 0).all() and (cost[~recalled] > 0).all()
    assert recalled.sum() == sum(min(NAME_LENGTH, 39 - t) for _, t in (x == CALL).nonzero().tolist())


def test_two_seeds_are_two_languages():
    assert not torch.equal(language(0)[0].chain, language(1)[0].chain)
