"""Checks of chapter 13: rotary positions, a step with a cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.transformers._heads import SCALED, attended

# --- lm.rotate -------------------------------------------------------------------------------------------------------


def turned(x: Tensor, positions: Tensor, base: float = 10_000.0, power: float = 2.0) -> Tensor:
    """Pairs (i, i + D/2) turned by positions · base^(−power · i / D)."""
    return _turned_by(x, positions[:, None] * _angles(x.shape[-1], base, power))


def _angles(dim: int, base: float, power: float = 2.0) -> Tensor:
    return base ** (-power * torch.arange(dim // 2, dtype=torch.float64) / dim)


def _turned_by(x: Tensor, angle: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()], -1)


def _interleaved(x: Tensor, angle: Tensor) -> Tensor:
    first, second = x[..., ::2], x[..., 1::2]
    return torch.stack(
        [first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()], -1
    ).flatten(-2)


@exercise("lm.rotate", call="rotate(x, positions, base)")
def rotate(answer: Callable, generator: Generator) -> None:
    for n, heads, length, dim, base in ((2, 3, 5, 8, 500.0), (3, 2, 4, 6, 37.0), (1, 2, 3, 2, 900.0)):
        x = draw.normal(generator, n, heads, length, dim)
        positions = 3 + torch.randperm(40, generator=generator)[:length]
        positions[1] = 0
        value = tensor(answer(x, positions, base), x.shape)
        _turned_rightly(value, x, positions, base)
    x, far = draw.normal(generator, 2, 1, 3, 4), torch.tensor([100_000, 7, 99_999])
    close(
        tensor(answer(x, far, 1000.0), x.shape),
        turned(x, far, 1000.0),
        name="your result at positions of 100,000",
        hint="Compute the angles in float64, or at least in the type of `x`.",
    )


def _turned_rightly(value: Tensor, x: Tensor, positions: Tensor, base: float) -> None:
    length, dim = x.shape[-2:]
    angle = positions[:, None] * _angles(dim, base)
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    truth = _turned_by(x, angle)
    theta = "θ_i = base^(−2i/D), for i from 0 to D/2 − 1."
    matrix = "The first of a pair becomes x cos − y sin, the second x sin + y cos."
    mistakes = [
        Mistake(_interleaved(x, angle), "You pair channel 2i with 2i + 1.", "Here i goes with i + D/2."),
        Mistake(_turned_by(x, -angle), "You turn in the other direction.", matrix),
        Mistake(
            turned(x, torch.arange(length), base), "You count the tokens from 0, not by `positions`.", "m is given."
        ),
        Mistake(
            turned(x, torch.arange(1, length + 1), base),
            "You count the tokens from 1, not by `positions`.",
            "m is given.",
        ),
        Mistake(turned(x, positions + 1, base), "Your positions are one too large.", "A token at 0 is not turned."),
        Mistake(turned(x, positions - 1, base), "Your positions are one too small.", "A token at 0 is not turned."),
        Mistake(turned(x, positions), "You use 10,000 for `base`.", theta),
        Mistake(x, "Nothing is turned.", matrix),
        Mistake(
            torch.cat([first * cos - second * sin, second * cos - first * sin], -1),
            "The sine of the second channel has the wrong sign.",
            matrix,
        ),
        Mistake(
            torch.cat([first * cos + second * sin, first * sin + second * cos], -1),
            "The sine of the first channel has the wrong sign.",
            matrix,
        ),
        Mistake(torch.cat([cos * first, cos * second], -1), "The sines are missing.", matrix),
        Mistake(
            torch.cat([first * sin - second * cos, first * cos + second * sin], -1),
            "Sine and cosine are exchanged.",
            matrix,
        ),
        Mistake(
            torch.cat([first * cos - second * sin, first * sin + second * cos], -1).roll(dim // 2, -1),
            "The two halves are exchanged.",
            matrix,
        ),
    ]
    if dim > 2:
        mistakes += [
            Mistake(turned(x, positions, base, power=1), "The 2 is missing in the exponent of θ.", theta),
            Mistake(turned(x, positions, base, power=4), "The exponent of θ is twice too large.", theta),
            Mistake(turned(x, positions, base, power=-2), "The exponent of θ has the wrong sign.", theta),
            Mistake(
                _turned_by(x, positions[:, None] * torch.ones(dim // 2).double()),
                "All pairs are turned by the same angle.",
                theta,
            ),
            Mistake(
                _turned_by(x, positions[:, None] * _angles(dim, base).flip(0)),
                "The angles stand in the wrong order: the first pair turns fastest.",
                theta,
            ),
            Mistake(
                _turned_by(x, positions[:, None] * base ** -torch.linspace(0, 1, dim // 2, dtype=torch.float64)),
                "Your exponents run from 0 to 1, both included.",
                theta,
            ),
            Mistake(
                _turned_by(x, positions[:, None] * _angles(dim, base) * base ** (-2 / dim)),
                "You count the pairs from 1: i begins at 0, where θ is 1.",
                theta,
            ),
        ]
    lengths = x.norm(dim=-1)
    longer = ((value.norm(dim=-1) - lengths).abs() > 1e-6 * lengths).any()
    mistakes.append(
        Mistake(
            value if longer else truth,
            "A rotation keeps the length of a vector; yours does not.",
            matrix,
            general=True,
        )
    )
    close(value, truth, mistakes, hint=f"{theta} {matrix}")


# --- lm.cached_step --------------------------------------------------------------------------------------------------

NAMES = ("what the new token hears", "the keys", "the values")


def _rotate_given(n: int, heads: int, dim: int, base: float) -> Callable[[Tensor, Tensor], Tensor]:
    def rotate(x: Tensor, positions: Tensor) -> Tensor:
        # Query and key may come together, one beside the other along B, H or T.
        fits = isinstance(x, Tensor) and x.ndim == 4 and x.shape[3] == dim
        if not fits or (x.shape[0] / n, x.shape[1] / heads) not in ((1, 1), (2, 1), (1, 2)):
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise Wrong(
                f"You call `rotate` with x of shape {shape}, expected (B, H, T, D).",
                "The new token is one of T = 1: `q[:, :, None]`.",
            )
        if not isinstance(positions, Tensor) or positions.shape != (x.shape[2],):
            shape = tuple(positions.shape) if isinstance(positions, Tensor) else repr(positions)
            raise Wrong(
                f"You call `rotate` with positions {shape}, expected a tensor of shape ({x.shape[2]},).",
                "`torch.tensor([t])` for one token.",
            )
        return turned(x, positions, base)

    return rotate


@exercise("lm.cached_step", call="cached_step(q, k, v, keys, values, rotate)")
def cached_step(answer: Callable, generator: Generator) -> None:
    for n, heads, dim, size in ((2, 3, 4, 1.5), (3, 2, 6, 40.0)):
        rotate = _rotate_given(n, heads, dim, base=200.0)
        q, k = (size * draw.normal(generator, n, heads, 7, dim) for _ in range(2))
        v = draw.normal(generator, n, heads, 7, dim)
        place = torch.arange(7)
        queries, keys = rotate(q, place), rotate(k, place)
        whole = attended(queries, keys, v)
        for t in (0, 2, 4, 6):  # at 1, the positions 0 and t − 1 would be the same
            step = _Step(q[:, :, t], k[:, :, t], v[:, :, t], keys[:, :, :t], v[:, :, :t], rotate)
            heard, longer, more = parts(answer(*step.inputs), NAMES)
            step.judge_cache(longer, more)
            step.judgeattended(heard, whole[:, :, t])


class _Step:
    """One step, and what comes of doing it wrong."""

    def __init__(self, q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor, rotate: Callable):
        self.inputs = q, k, v, keys, values, rotate
        self.q, self.k, self.v = (x[:, :, None] for x in (q, k, v))
        self.keys, self.values, self.rotate, self.t = keys, values, rotate, keys.shape[2]

    def at(self, x: Tensor, position: int) -> Tensor:
        return self.rotate(x, torch.tensor([position]))

    def judge_cache(self, keys: Tensor, values: Tensor) -> None:
        t, new, turn = self.t, self.at(self.k, self.t), "The new token stands at position t, the length of the cache."
        longer, more = torch.cat([self.keys, new], 2), torch.cat([self.values, self.v], 2)
        shapes = [
            Mistake(self.keys.shape, "the new token is missing", "Append it: `torch.cat` along axis 2."),
            Mistake(new.shape, "only the new token", "Append it to the cache: `torch.cat` along axis 2."),
        ]
        mistakes = [
            Mistake(
                torch.cat([self.keys, self.at(self.k, t + 1)], 2), "The new token stands one position too far.", turn
            ),
            Mistake(torch.cat([self.keys, self.at(self.q, t)], 2), "You keep the query as a key.", "Keep `k`, turned."),
        ]
        if t:
            mistakes += [
                Mistake(
                    torch.cat([self.keys, self.at(self.k, t - 1)], 2),
                    "The new token stands at the position of the last one in the cache.",
                    turn,
                ),
                Mistake(torch.cat([new, self.keys], 2), "You put the new key before the others.", "At the end."),
                Mistake(
                    torch.cat([self.keys[:, :, 1:], self.keys[:, :, :1], new], 2), "The cache is rolled.", "Append."
                ),
                Mistake(
                    self.rotate(torch.cat([self.keys, self.k], 2), torch.arange(t + 1)),
                    "You turn the keys of the cache a second time.",
                    "They are already turned: turn the new one alone.",
                ),
                Mistake(
                    torch.cat([self.keys, self.k], 2),
                    "The new key is not turned, or turned as if at position 0.",
                    turn,
                ),
            ]
        close(tensor(keys, longer.shape, name="the keys", shapes=shapes), longer, mistakes, name="the keys", hint=turn)
        mistakes = [
            Mistake(
                torch.cat([self.values, self.at(self.v, t)], 2),
                "You turn the value.",
                "Only queries and keys are turned.",
            ),
            Mistake(torch.cat([self.v, self.values], 2), "You put the new value before the others.", "At the end."),
            Mistake(torch.cat([self.values, self.k], 2), "You keep the key as a value.", "Keep `v`."),
        ]
        value = tensor(values, more.shape, name="the values", shapes=shapes)
        close(value, more, mistakes if t else mistakes[:1], name="the values", hint="Append `v`, as it is.")

    def judgeattended(self, heard: Tensor, truth: Tensor) -> None:
        t, dim = self.t, self.q.shape[-1]
        keys, values = torch.cat([self.keys, self.at(self.k, t)], 2), torch.cat([self.values, self.v], 2)
        all_seen = torch.zeros(1, t + 1, dtype=torch.bool)

        def with_query(q: Tensor, scale: float | None = None) -> Tensor:
            return attended(q, keys, values, scale, all_seen)[:, :, 0]

        query = self.at(self.q, t)
        mistakes = [
            Mistake(with_query(query, scale=1), "You forgot to divide the scores by √D.", SCALED),
            Mistake(with_query(query, scale=1 / dim), "You divide the scores by D, not by its root.", SCALED),
            Mistake(with_query(query, scale=dim**0.5), "You multiply the scores by √D.", SCALED),
            Mistake(
                self.v[:, :, 0].expand_as(truth), "The new token hears itself alone.", "It hears all, itself, too."
            ),
            Mistake(values.mean(2), "The new token hears all alike.", "The weights are a softmax of the scores."),
        ]
        if t:
            turn = "The query stands at position t, as the key."
            mistakes += [
                Mistake(with_query(self.q), "The query is not turned, or as if it stood at position 0.", turn),
                Mistake(with_query(self.at(self.q, t + 1)), "The query stands one position too far.", turn),
                Mistake(with_query(self.at(self.q, t - 1)), "The query stands one position too early.", turn),
                Mistake(
                    attended(query, self.keys, self.values, None, all_seen[:, :t])[:, :, 0],
                    "The new token hears those before it, but not itself.",
                    "Append its key and value first, then attend.",
                ),
            ]
        close(
            tensor(
                heard,
                truth.shape,
                name=NAMES[0],
                not_finite=(
                    "What the new token hears is not finite: with an empty cache it hears itself, and large scores "
                    "need a safe softmax.",
                    "Append its key and value first; `softmax` is safe.",
                ),
                shapes=[Mistake(self.q.shape, "an axis of size 1 is left", "`[:, :, 0]` takes the one token.")],
            ),
            truth,
            mistakes,
            name=NAMES[0],
            hint="Turn query and key to position t, append, then softmax(q · k / √D) over the whole cache.",
        )
