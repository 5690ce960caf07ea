"""Wrong answers of chapter 13: attention, heads, positions, a step with a cache."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong

# --- lm.attention ----------------------------------------------------------------------------------------------------


def weights(q, k, scale=None, diagonal=1, hidden=-torch.inf):
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(diagonal)
    return scores.masked_fill(later, hidden).softmax(-1)


@wrong("lm.attention", says="You forgot to divide the scores by √D")
def not_scaled(q, k, v):
    return weights(q, k, scale=1) @ v


@wrong("lm.attention", says="by D, not by its root")
def divided_by_dim(q, k, v):
    return weights(q, k, scale=1 / q.shape[-1]) @ v


@wrong("lm.attention", says="by the root of the values' length")
def scaled_by_values(q, k, v):
    return weights(q, k, scale=v.shape[-1] ** -0.5) @ v


@wrong("lm.attention", says="You forgot the mask")
def no_mask(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


@wrong("lm.attention", says="not even itself")
def itself_hidden(q, k, v):
    return weights(q, k, diagonal=0) @ v


@wrong("lm.attention", says="hear the next one, too")
def one_ahead(q, k, v):
    return weights(q, k, diagonal=2) @ v


@wrong("lm.attention", says="Your mask is upside down")
def mask_upside_down(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    earlier = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(-1)
    return scores.masked_fill(earlier, -torch.inf).softmax(-1) @ v


@wrong("lm.attention", says="You set the scores of later tokens to 0")
def scores_of_zero(q, k, v):
    return (q @ k.mT / q.shape[-1] ** 0.5).tril().softmax(-1) @ v


@wrong("lm.attention", says="You mask after the softmax")
def masked_after(q, k, v):
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).tril() @ v


@wrong("lm.attention", says="over the queries")
def softmax_over_queries(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf).softmax(-2) @ v


@wrong("lm.attention", says="Queries and keys are exchanged")
def exchanged(q, k, v):
    return weights(k, q) @ v


@wrong("lm.attention", says="The softmax is missing")
def linear(q, k, v):
    return (q @ k.mT / q.shape[-1] ** 0.5).tril() @ v


@wrong("lm.attention", says="With scores of hundreds your result is not finite")
def unsafe(q, k, v):
    e = (q @ k.mT / q.shape[-1] ** 0.5).exp().tril()
    return e / e.sum(-1, keepdim=True) @ v


@wrong("lm.attention", says="With scores of hundreds your result is not finite")
def one_maximum(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    e = (scores - scores.max()).exp().tril()
    return e / e.sum(-1, keepdim=True) @ v


@wrong("lm.attention", says="With scores of hundreds your result is not finite")
def maximum_of_hidden_scores(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    e = (scores - scores.amax(-1, keepdim=True)).exp().tril()
    return e / e.sum(-1, keepdim=True) @ v


@wrong("lm.attention", says="With scores of hundreds your result is not finite")
def masked_after_and_normalized_again(q, k, v):
    a = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).tril()
    return a / a.sum(-1, keepdim=True) @ v


@wrong("lm.attention", says="Your result should be finite, not NaN everywhere")
def mask_times_infinity(q, k, v):
    """0 times infinity: not the first token alone."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=scores.dtype).triu(1)
    return (scores + later * -torch.inf).softmax(-1) @ v


@wrong("lm.attention", says="You hide later tokens with a score of −100")
def hidden_by_a_hundred(q, k, v):
    return weights(q, k, hidden=-100.0) @ v


@wrong("lm.attention", says="these are weights, or scores")
def weights_alone(q, k, v):
    return weights(q, k)


# --- lm.multi_head ---------------------------------------------------------------------------------------------------


def parts(x, w_in, n_heads):
    n, length, _ = x.shape
    return (x @ w_in.T).reshape(n, length, 3, n_heads, -1).permute(2, 0, 3, 1, 4)


def causal(q, k, v, scale=None):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)


def join(heard, w_out):
    return heard.transpose(1, 2).flatten(2) @ w_out.T


@wrong("lm.multi_head", says="You use one head that has all channels")
def one_head(x, w_in, w_out, n_heads):
    return causal(*(x @ w_in.T).chunk(3, -1)) @ w_out.T


@wrong("lm.multi_head", says="You forgot the mask")
def heads_without_mask(x, w_in, w_out, n_heads):
    return join(F.scaled_dot_product_attention(*parts(x, w_in, n_heads)), w_out)


@wrong("lm.multi_head", says="You forgot to divide the scores by √D")
def heads_not_scaled(x, w_in, w_out, n_heads):
    return join(causal(*parts(x, w_in, n_heads), scale=1), w_out)


@wrong("lm.multi_head", says="You divide by the root of all channels")
def scaled_by_all(x, w_in, w_out, n_heads):
    return join(causal(*parts(x, w_in, n_heads), scale=w_out.shape[1] ** -0.5), w_out)


@wrong("lm.multi_head", says="for keys, queries and values")
def keys_first(x, w_in, w_out, n_heads):
    k, q, v = parts(x, w_in, n_heads)
    return join(causal(q, k, v), w_out)


@wrong("lm.multi_head", says="You cut the tokens among the heads")
def cut_by_reshape(x, w_in, w_out, n_heads):
    n, length, _ = x.shape
    q, k, v = (part.reshape(n, n_heads, length, -1) for part in (x @ w_in.T).chunk(3, -1))
    return causal(q, k, v).reshape(n, length, -1) @ w_out.T


@wrong("lm.multi_head", says="without swapping tokens and heads back")
def not_swapped_back(x, w_in, w_out, n_heads):
    return causal(*parts(x, w_in, n_heads)).reshape(*x.shape[:2], -1) @ w_out.T


@wrong("lm.multi_head", says="queries, keys and values of head 0, then those of head 1")
def head_by_head(x, w_in, w_out, n_heads):
    q, k, v = (x @ w_in.T).unflatten(-1, (n_heads, -1)).transpose(1, 2).chunk(3, -1)
    return join(causal(q, k, v), w_out)


@wrong("lm.multi_head", says="You split the channels into (D, H)")
def split_otherwise(x, w_in, w_out, n_heads):
    q, k, v = ((part.unflatten(-1, (-1, n_heads))).permute(0, 3, 1, 2) for part in (x @ w_in.T).chunk(3, -1))
    return join(causal(q, k, v), w_out)


@wrong("lm.multi_head", says="You average the heads")
def averaged(x, w_in, w_out, n_heads):
    return causal(*parts(x, w_in, n_heads)).mean(1).repeat(1, 1, n_heads) @ w_out.T


def heard_with(x, w_in, w_out, n_heads, mask, scale=None):
    """By a mask that is True where a token is heard, or a number that is added."""
    heard = F.scaled_dot_product_attention(*parts(x, w_in, n_heads), attn_mask=mask(x.shape[1]), scale=scale)
    return join(heard, w_out)


@wrong("lm.multi_head", says="a token hears later ones alone, and the last one nobody")
def true_where_hidden(x, w_in, w_out, n_heads):
    return heard_with(x, w_in, w_out, n_heads, lambda n: torch.ones(n, n).triu(1).bool())


@wrong("lm.multi_head", says="a token hears itself and later ones")
def triangle_upside_down(x, w_in, w_out, n_heads):
    return heard_with(x, w_in, w_out, n_heads, lambda n: torch.ones(n, n).triu().bool())


@wrong("lm.multi_head", says="You add a mask of 0 and 1")
def mask_of_numbers(x, w_in, w_out, n_heads):
    return heard_with(x, w_in, w_out, n_heads, lambda n: torch.ones(n, n, dtype=x.dtype).tril())


@wrong("lm.multi_head", says="Your mask lets a token hear the next one, too")
def mask_one_too_far(x, w_in, w_out, n_heads):
    return heard_with(x, w_in, w_out, n_heads, lambda n: torch.ones(n, n).tril(1).bool())


@wrong("lm.multi_head", says="You divide the scores by √D twice")
def scaled_twice(x, w_in, w_out, n_heads):
    q, k, v = parts(x, w_in, n_heads)
    return join(causal(q / q.shape[-1] ** 0.5, k, v), w_out)


@wrong("lm.multi_head", says="You divide by the root of C/H")
def scaled_by_channels_of_x(x, w_in, w_out, n_heads):
    return join(causal(*parts(x, w_in, n_heads), scale=(x.shape[-1] / n_heads) ** -0.5), w_out)


@wrong("lm.multi_head", says="Heads hear each other, instead of tokens")
def attention_over_heads(x, w_in, w_out, n_heads):
    q, k, v = (x @ w_in.T).reshape(*x.shape[:2], 3, n_heads, -1).permute(2, 0, 1, 3, 4)
    return causal(q, k, v).flatten(2) @ w_out.T


@wrong("lm.multi_head", says="joined, but not mixed")
def not_mixed(x, w_in, w_out, n_heads):
    return causal(*parts(x, w_in, n_heads)).transpose(1, 2).flatten(2)


# --- lm.rotate -------------------------------------------------------------------------------------------------------


def angles(x, positions, base, power=2.0):
    dim = x.shape[-1]
    return positions[:, None] * base ** (-power * torch.arange(dim // 2, dtype=x.dtype) / dim)


def halves(x, angle):
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


@wrong("lm.rotate", says="You pair channel 2i with 2i + 1")
def neighbors_paired(x, positions, base):
    angle = angles(x, positions, base)
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(z).flatten(-2)


@wrong("lm.rotate", says="You turn in the other direction")
def other_direction(x, positions, base):
    return halves(x, -angles(x, positions, base))


@wrong("lm.rotate", says="The 2 is missing in the exponent")
def exponent_halved(x, positions, base):
    return halves(x, angles(x, positions, base, power=1.0))


@wrong("lm.rotate", says="The exponent of θ has the wrong sign")
def growing_angles(x, positions, base):
    return halves(x, angles(x, positions, base, power=-2.0))


@wrong("lm.rotate", says="You count the tokens from 0, not by `positions`")
def from_zero(x, positions, base):
    return halves(x, angles(x, torch.arange(x.shape[2]), base))


@wrong("lm.rotate", says="You use 10,000 for `base`")
def usual_base(x, positions, base):
    return halves(x, angles(x, positions, 10_000.0))


@wrong("lm.rotate", says="The sine of the second channel has the wrong sign")
def wrong_sign(x, positions, base):
    angle = angles(x, positions, base)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() - a * angle.sin()], -1)


@wrong("lm.rotate", says="The sines are missing")
def cosines_alone(x, positions, base):
    return x * torch.cat([angles(x, positions, base).cos()] * 2, -1)


@wrong("lm.rotate", says="The angles stand in the wrong order")
def slowest_first(x, positions, base):
    return halves(x, angles(x, positions, base).flip(-1))


@wrong("lm.rotate", says="A rotation keeps the length of a vector")
def added(x, positions, base):
    angle = angles(x, positions, base)
    return x + torch.cat([angle.sin(), angle.cos()], -1)


@wrong("lm.rotate", says="at positions of 100,000")
def in_single_precision(x, positions, base):
    angle = (positions.float()[:, None] * base ** (-torch.arange(0, x.shape[-1], 2).float() / x.shape[-1])).double()
    return halves(x, angle)


# --- lm.cached_step --------------------------------------------------------------------------------------------------


def step(q, k, v, keys, values, rotate, at=None, turn_q=True, turn_k=True, turn_v=False, scale=None):
    position = torch.tensor([keys.shape[2] if at is None else at])
    q, k, v = q[:, :, None], k[:, :, None], v[:, :, None]
    q, k, v = (rotate(x, position) if turn else x for x, turn in ((q, turn_q), (k, turn_k), (v, turn_v)))
    keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
    return F.scaled_dot_product_attention(q, keys, values, scale=scale)[:, :, 0], keys, values


@wrong("lm.cached_step", says="as if at position 0")
def always_at_zero(q, k, v, keys, values, rotate):
    return step(q, k, v, keys, values, rotate, at=0)


@wrong("lm.cached_step", says="one position too far")
def one_too_far(q, k, v, keys, values, rotate):
    return step(q, k, v, keys, values, rotate, at=keys.shape[2] + 1)


@wrong("lm.cached_step", says="The query is not turned")
def query_not_turned(q, k, v, keys, values, rotate):
    return step(q, k, v, keys, values, rotate, turn_q=False)


@wrong("lm.cached_step", says="The new key is not turned")
def key_not_turned(q, k, v, keys, values, rotate):
    return step(q, k, v, keys, values, rotate, turn_k=False)


@wrong("lm.cached_step", says="You turn the value")
def value_turned(q, k, v, keys, values, rotate):
    return step(q, k, v, keys, values, rotate, turn_v=True)


@wrong("lm.cached_step", says="You forgot to divide the scores by √D")
def step_not_scaled(q, k, v, keys, values, rotate):
    return step(q, k, v, keys, values, rotate, scale=1)


@wrong("lm.cached_step", says="You turn the keys of the cache a second time")
def turned_twice(q, k, v, keys, values, rotate):
    t = keys.shape[2]
    keys = rotate(torch.cat([keys, k[:, :, None]], 2), torch.arange(t + 1))
    values = torch.cat([values, v[:, :, None]], 2)
    q = rotate(q[:, :, None], torch.tensor([t]))
    return F.scaled_dot_product_attention(q, keys, values)[:, :, 0], keys, values


@wrong("lm.cached_step", says="with an empty cache it hears itself")
def attends_before_it_appends(q, k, v, keys, values, rotate):
    t = torch.tensor([keys.shape[2]])
    q, k = rotate(q[:, :, None], t), rotate(k[:, :, None], t)
    scores = q @ keys.mT / q.shape[-1] ** 0.5
    e = scores.exp()
    heard = (e @ values) / e.sum(-1, keepdim=True)
    return heard[:, :, 0], torch.cat([keys, k], 2), torch.cat([values, v[:, :, None]], 2)


@wrong("lm.cached_step", says="You put the new key before the others")
def prepended(q, k, v, keys, values, rotate):
    heard, keys, values = step(q, k, v, keys, values, rotate)
    return heard, keys.roll(1, 2), values.roll(1, 2)


@wrong("lm.cached_step", says="the new token is missing")
def cache_not_kept(q, k, v, keys, values, rotate):
    heard, *_ = step(q, k, v, keys, values, rotate)
    return heard, keys, values


@wrong("lm.cached_step", says="You call `rotate` with x of shape")
def not_one_token(q, k, v, keys, values, rotate):
    return rotate(q, torch.tensor([keys.shape[2]])), keys, values
