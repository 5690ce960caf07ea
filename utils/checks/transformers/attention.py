"""Checks of chapter 13: attention, heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.transformers._heads import MASKED, SCALED, attended, hidden_from

# --- lm.attention ----------------------------------------------------------------------------------------------------


@exercise("lm.attention", call="attention(q, k, v)")
def attention(answer: Callable, generator: Generator) -> None:
    for n, heads, length, dim, values in ((2, 3, 5, 6, 7), (3, 2, 7, 4, 1), (1, 2, 1, 3, 4)):
        q, k = (1.5 * draw.normal(generator, n, heads, length, dim) for _ in range(2))
        v = draw.normal(generator, n, heads, length, values)
        scores = q @ k.mT / dim**0.5
        free, later = torch.zeros(length, length, dtype=torch.bool), hidden_from(length)
        shapes = [
            Mistake(
                (n, heads, length, length), "these are weights, or scores", "Multiply the weights with the values."
            ),
            Mistake((n, length, heads, values), "tokens and heads are swapped", "Keep (B, H, T, E)."),
        ]
        given = answer(q, k, v)
        not_finite = _why_not_finite(given, q, k, v)
        value = tensor(given, (n, heads, length, values), shapes=shapes, not_finite=not_finite)
        close(
            value,
            attended(q, k, v),
            [
                Mistake(attended(q, k, v, scale=1), "You forgot to divide the scores by √D.", SCALED),
                Mistake(attended(q, k, v, scale=1 / dim), "You divide the scores by D, not by its root.", SCALED),
                Mistake(attended(q, k, v, scale=dim**0.5), "You multiply the scores by √D.", SCALED),
                Mistake(attended(q, k, v, scale=values**-0.5), "You divide by the root of the values' length.", SCALED),
                Mistake(
                    attended(q, k, v, scale=length**-0.5), "You divide by the root of the number of tokens.", SCALED
                ),
                Mistake(attended(q, k, v, hidden=free), "You forgot the mask: tokens hear later ones.", MASKED),
                Mistake(
                    attended(q, k, v, hidden=free, scale=1), "Both the mask and the division by √D are missing.", MASKED
                ),
                Mistake(
                    attended(q, k, v, hidden=hidden_from(length).T),
                    "Your mask is upside down: a token hears itself and later ones.",
                    MASKED,
                ),
                Mistake(
                    attended(q, k, v, hidden=hidden_from(length, 2)),
                    "Your mask lets a token hear the next one, too.",
                    MASKED,
                ),
                Mistake(
                    (scores * ~later).softmax(-1) @ v,
                    "You set the scores of later tokens to 0: e⁰ is 1, they are heard.",
                    MASKED,
                ),
                Mistake(
                    (scores.softmax(-1) * ~later) @ v,
                    "You mask after the softmax: the weights that are left do not sum to 1.",
                    MASKED,
                ),
                Mistake(
                    scores.masked_fill(later, -torch.inf).exp() @ v,
                    "The weights are not normalized.",
                    "A softmax over the keys.",
                ),
                Mistake((scores * ~later) @ v, "The softmax is missing.", "The weights of a token are a distribution."),
                Mistake(
                    scores.masked_fill(later, -torch.inf).softmax(-2) @ v,
                    "Your softmax goes over the queries: the weights of each key sum to 1.",
                    "For each query, over the keys: `softmax(-1)`.",
                ),
                Mistake(attended(k, q, v), "Queries and keys are exchanged.", "Row t holds the scores of query t."),
                Mistake(
                    scores.masked_fill(later, -torch.inf).softmax(-1).mT @ v,
                    "You use the weights transposed.",
                    "Row t of the weights belongs to query t.",
                ),
            ],
            hint="Scores q · k / √D, later ones −∞, softmax over the keys, times the values.",
        )
    _large_scores(answer, generator)


def _why_not_finite(value: object, q: Tensor, k: Tensor, v: Tensor) -> tuple[str, str]:
    """The sentence, if NaN stands just where the mask `triu()` brings it; and a hint."""
    nobody = attended(q, k, v, hidden=hidden_from(q.shape[2], 0))
    alike = isinstance(value, Tensor) and value.shape == nobody.shape
    if alike and torch.allclose(value.double(), nobody, rtol=1e-5, atol=1e-6, equal_nan=True):
        return (
            "Your first token hears nobody, not even itself, which gives 0/0.",
            "Hide the tokens after it, s > t: `triu(1)`, not `triu()`.",
        )
    return "", "Look for 0/0, and for 0 · ∞: a mask of 0 and 1 times −∞ is NaN where it is 0. `masked_fill` is safe."


def _large_scores(answer: Callable, generator: Generator) -> None:
    """Scores of hundreds: some queries with large ones of either sign, some with small ones.

    The last key's are so far above the others that these, beside it, are 0: it must not be heard, nor subtracted.
    """
    n, heads, length, dim, values = 2, 2, 6, 5, 3
    q, k = (draw.normal(generator, n, heads, length, dim) for _ in range(2))
    q[..., 0] = torch.tensor([1.0, 900.0, -4000.0, -900.0, 30.0, 0.5], dtype=torch.float64)
    k[..., 0] = 0.5 + draw.uniform(generator, n, heads, length)  # of one sign, so that all scores of a row are large
    k[..., -1, 0] = 4.0
    v = draw.normal(generator, n, heads, length, values)
    truth, scores = attended(q, k, v), q @ k.mT / dim**0.5
    hint = "`softmax` subtracts the maximum of each row first; masked scores are −∞, not a number of their size."
    value = tensor(
        answer(q, k, v),
        truth.shape,
        not_finite=(
            "With scores of hundreds your result is not finite: an exponential overflows, or all of a row become 0.",
            hint,
        ),
    )
    mistakes = [
        Mistake(
            scores.masked_fill(hidden_from(length), -number).softmax(-1) @ v,
            f"You hide later tokens with a score of −{number:g}: with scores of hundreds that is not small.",
            MASKED,
        )
        for number in (10, 100, 1000)
    ]
    close(value, truth, mistakes, name="your result with scores of hundreds", hint=hint)


# --- lm.multi_head ---------------------------------------------------------------------------------------------------


def _split(x: Tensor, w: Tensor, heads: int) -> Tensor:
    """(B, T, C) and (HD, C) -> (B, H, T, D)."""
    return (x @ w.T).unflatten(-1, (heads, -1)).transpose(1, 2)


def _joined(heard: Tensor, w_out: Tensor) -> Tensor:
    return heard.transpose(1, 2).flatten(2) @ w_out.T


@exercise("lm.multi_head", call="multi_head(x, w_in, w_out, n_heads)")
def multi_head(answer: Callable, generator: Generator) -> None:
    for n, length, channels, heads, dim in ((2, 5, 7, 3, 4), (3, 4, 5, 2, 3), (2, 6, 4, 1, 5)):
        x = draw.normal(generator, n, length, channels)
        w_in = draw.normal(generator, 3 * heads * dim, channels)
        w_out = draw.normal(generator, channels, heads * dim)
        wq, wk, wv = w_in.chunk(3)
        q, k, v = (_split(x, w, heads) for w in (wq, wk, wv))
        right = attended(q, k, v)  # (B, H, T, D)
        order = "First the queries of all heads, then the keys, then the values."
        inside = "Head h has the channels hD to (h + 1)D: `unflatten(-1, (H, D))`, then `transpose(1, 2)`."
        mistakes = [
            Mistake(_joined(attended(q, k, v, scale=1), w_out), "You forgot to divide the scores by √D.", SCALED),
            Mistake(
                _joined(attended(q, k, v, hidden=torch.zeros(length, length).bool()), w_out),
                "You forgot the mask: tokens hear later ones.",
                MASKED,
            ),
            *(
                Mistake(
                    _joined(attended(parts[a], parts[b], parts[c]), w_out),
                    f"You took the three parts for {a}, {b} and {c}.",
                    order,
                )
                for parts in ({"queries": q, "keys": k, "values": v},)
                for a, b, c in (
                    ("keys", "queries", "values"),
                    ("queries", "values", "keys"),
                    ("values", "keys", "queries"),
                    ("keys", "values", "queries"),
                    ("values", "queries", "keys"),
                )
            ),
            *_masked_or_scaled_otherwise(q, k, v, w_out, channels, heads),
            Mistake(
                _joined(v.cumsum(2) / torch.arange(1, length + 1)[:, None], w_out),
                "Each token hears all before it alike.",
                "The weights are a softmax of the scores.",
            ),
        ]
        if heads > 1:
            mistakes += _mixed_heads(x, w_in, w_out, heads, dim, order, inside)
        close(
            tensor(
                answer(x, w_in, w_out, heads),
                (n, length, channels),
                shapes=[
                    Mistake(
                        (n, length, heads * dim),
                        "the heads' results are joined, but not mixed",
                        "Multiply with `w_out.T`.",
                    ),
                    Mistake((n, heads, length, dim), "the heads are not joined", "`transpose(1, 2).flatten(2)`."),
                ],
            ),
            _joined(right, w_out),
            mistakes,
            hint=f"{order} {inside}",
        )


def _masked_or_scaled_otherwise(
    q: Tensor, k: Tensor, v: Tensor, w_out: Tensor, channels: int, heads: int
) -> list[Mistake]:
    length, dim = q.shape[2:]
    later = hidden_from(length)
    alone = hidden_from(length, 0)  # no token hears itself, but the first
    alone[0, 0] = False
    kept = "Set the scores of later tokens to −∞; in `scaled_dot_product_attention` a mask is True where one is heard."
    found = [
        (_joined(attended(q, k, v, hidden=hidden), w_out), says, kept)
        for hidden, says in (
            (later.T, "Your mask is upside down: a token hears itself and later ones."),
            (hidden_from(length, 2), "Your mask lets a token hear the next one, too."),
            (alone, "Your mask hides the token itself: it hears itself, too."),
        )
    ]
    added = (q @ k.mT / dim**0.5 + (~later).double()).softmax(-1) @ v
    found += [
        (
            _joined(attended(q, k, v, hidden=~later).nan_to_num(), w_out),
            "Your mask is upside down: a token hears later ones alone, and the last one nobody.",
            kept,
        ),
        (
            _joined(added, w_out),
            "You add a mask of 0 and 1 to the scores: later tokens are heard, a little less.",
            "A mask of numbers is added: 0 where one is heard, −∞ where not.",
        ),
        (
            _joined(attended(q, k, v, scale=1 / dim), w_out),
            "You divide the scores by √D twice.",
            "`scaled_dot_product_attention` divides by itself.",
        ),
        (
            _joined(attended(q, k, v, scale=(channels / heads) ** -0.5), w_out),
            "You divide by the root of C/H: a head's query has D channels, and HD need not be C.",
            SCALED,
        ),
    ]
    return [Mistake(*one) for one in found]


def _mixed_heads(
    x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, dim: int, order: str, inside: str
) -> list[Mistake]:
    n, length, _ = x.shape
    wq, wk, wv = w_in.chunk(3)
    q, k, v = (_split(x, w, heads) for w in (wq, wk, wv))
    right = attended(q, k, v)
    one = [(x @ w.T)[:, None] for w in (wq, wk, wv)]  # as if all channels were one head's
    interleaved = [(x @ w.T).unflatten(-1, (dim, heads)).permute(0, 3, 1, 2) for w in (wq, wk, wv)]
    cut = [(x @ w.T).reshape(n, heads, length, dim) for w in (wq, wk, wv)]
    by_head = (x @ w_in.T).unflatten(-1, (heads, 3, dim)).permute(3, 0, 2, 1, 4)
    over_heads = attended(*(part.transpose(1, 2) for part in (q, k, v)), hidden=hidden_from(heads))
    first = right.clone()
    first[:, 1:] = 0
    return [
        Mistake(_joined(attended(*one), w_out), "You use one head that has all channels.", inside),
        Mistake(_joined(attended(*one, scale=dim**-0.5), w_out), "You use one head that has all channels.", inside),
        Mistake(
            over_heads.flatten(2) @ w_out.T,
            "Heads hear each other, instead of tokens: the attention goes over axis -2, which should be the tokens.",
            "(B, H, T, D): `transpose(1, 2)` before the attention.",
        ),
        Mistake(
            _joined(attended(q, k, v, scale=(heads * dim) ** -0.5), w_out),
            "You divide by the root of all channels: a head's query has only D of them.",
            SCALED,
        ),
        Mistake(
            _joined(attended(q, k, v, scale=x.shape[-1] ** -0.5), w_out),
            "You divide by the root of the length of x: a head's query has D channels.",
            SCALED,
        ),
        Mistake(
            (attended(*interleaved).permute(0, 2, 3, 1).flatten(2)) @ w_out.T,
            "You give every H-th channel to a head: the heads are interleaved.",
            inside,
        ),
        Mistake(_joined(attended(*interleaved), w_out), "You split the channels into (D, H), not (H, D).", inside),
        Mistake(
            attended(*cut).reshape(n, length, -1) @ w_out.T,
            "You cut the tokens among the heads: `reshape` to (B, H, T, D) does not swap axes.",
            inside,
        ),
        Mistake(
            _joined(attended(*cut), w_out),
            "You cut the tokens among the heads: `reshape` to (B, H, T, D) does not swap axes.",
            inside,
        ),
        Mistake(
            right.reshape(n, length, -1) @ w_out.T,
            "You join the heads without swapping tokens and heads back.",
            "`transpose(1, 2)` first, then `flatten(2)`.",
        ),
        Mistake(
            right.permute(0, 2, 3, 1).flatten(2) @ w_out.T,
            "You join the heads channel by channel.",
            "Head 0 first, all of it: `transpose(1, 2).flatten(2)`.",
        ),
        Mistake(
            _joined(attended(*by_head), w_out),
            "You took the parts head by head: queries, keys and values of head 0, then those of head 1.",
            order,
        ),
        Mistake(_joined(first, w_out), "Only the first head is heard.", "All heads stand side by side."),
        Mistake(_joined(right.flip(1), w_out), "The heads are joined from the last to the first.", "Head 0 first."),
        Mistake(
            _joined(right.mean(1, keepdim=True).expand_as(right), w_out), "You average the heads.", "Side by side."
        ),
    ]
