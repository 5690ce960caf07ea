"""Wrong answers of chapter 13: the nucleus, speculative sampling."""

import torch

from wrong_answers import wrong

# --- lm.nucleus ------------------------------------------------------------------------------------------------------


def cut(p, mass, keep=lambda ordered, before, mass: before < mass):
    token = torch.sort(-p, dim=-1, stable=True).indices
    ordered = p.gather(-1, token)
    kept = keep(ordered, ordered.cumsum(-1) - ordered, mass)
    return torch.zeros_like(kept).scatter(-1, token, kept)


def normalized(p):
    return p / p.sum(-1, keepdim=True)


@wrong("lm.nucleus", says="You do not normalize what is left")
def not_normalized(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    return p * cut(p, mass)


@wrong("lm.nucleus", says="what was cut gets mass again")
def softmax_again(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    return (p * cut(p, mass)).softmax(-1)


@wrong("lm.nucleus", says="The token that passes P is missing")
def one_too_few(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    return normalized(p * cut(p, mass, lambda ordered, before, mass: (before + ordered <= mass) | (before == 0)))


@wrong("lm.nucleus", says="at least one token stays")
def sometimes_none(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    return normalized(p * cut(p, mass, lambda ordered, before, mass: before + ordered <= mass))


@wrong("lm.nucleus", says="You multiply with the temperature")
def multiplied(logits, temperature, mass):
    p = (logits * temperature).softmax(-1)
    return normalized(p * cut(p, mass))


@wrong("lm.nucleus", says="The temperature has no effect")
def probabilities_divided(logits, temperature, mass):
    p = normalized(logits.softmax(-1) / temperature)
    return normalized(p * cut(p, mass))


@wrong("lm.nucleus", says="You cut before the temperature")
def temperature_last(logits, temperature, mass):
    kept = logits.masked_fill(~cut(logits.softmax(-1), mass), -torch.inf)
    return (kept / temperature).softmax(-1)


@wrong("lm.nucleus", says="Your probabilities are sorted")
def left_sorted(logits, temperature, mass):
    p = (logits / temperature).softmax(-1).sort(-1, descending=True).values
    return normalized(p * (p.cumsum(-1) - p < mass))


@wrong("lm.nucleus", says="The mask is in the sorted order")
def mask_not_brought_back(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    ordered = p.sort(-1, descending=True).values
    return normalized(p * (ordered.cumsum(-1) - ordered < mass))


@wrong("lm.nucleus", says="You sort with the unlikeliest token first")
def ascending(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    ordered, token = p.sort(-1)
    kept = torch.where(ordered.cumsum(-1) - ordered < mass, ordered, 0.0)
    return normalized(torch.zeros_like(p).scatter(-1, token, kept))


@wrong("lm.nucleus", says="the fewest that sum to P or more are")
def beyond_the_boundary(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    return normalized(p * cut(p, mass, lambda ordered, before, mass: before <= mass))


@wrong("lm.nucleus", says="You keep all tokens that are as likely as the last one")
def by_a_threshold(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    least = p.masked_fill(~cut(p, mass), torch.inf).amin(-1, keepdim=True)
    return normalized(p * (p >= least))


@wrong("lm.nucleus", says="those with the larger ids")
def larger_ids(logits, temperature, mass):
    p = (logits / temperature).softmax(-1).flip(-1)
    return normalized(p * cut(p, mass)).flip(-1)


@wrong("lm.nucleus", says="Of many equally likely tokens")
def not_stable(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    ordered, token = p.sort(-1, descending=True)
    kept = torch.where(ordered.cumsum(-1) - ordered < mass, ordered, 0.0)
    return normalized(torch.zeros_like(p).scatter(-1, token, kept))


@wrong("lm.nucleus", says="With logits of ±900")
def overflows(logits, temperature, mass):
    p = normalized((logits / temperature).exp())
    return normalized(p * cut(p, mass))


@wrong("lm.nucleus", says="A row of yours is 0/0")
def each_above(logits, temperature, mass):
    p = (logits / temperature).softmax(-1)
    return normalized(p * (p >= mass))


# --- lm.speculative --------------------------------------------------------------------------------------------------


def accepted(p, q):
    return torch.where(p < q, p / q, 1.0)


def rest(p, q):
    excess = (p - q).clamp(min=0)
    total = excess.sum(-1, keepdim=True)
    return torch.where(total > 0, excess / total, p)


@wrong("lm.speculative", says="the minimum with 1 is missing")
def no_minimum(p, q):
    return torch.where(q > 0, p / q, 1.0), rest(p, q)


@wrong("lm.speculative", says="you divide q by p")
def ratio_upside_down(p, q):
    return accepted(q, p), rest(p, q)


@wrong("lm.speculative", says="Where q is 0 you divide by 0")
def nan_where_both_are_zero(p, q):
    return (p / q).clamp(max=1), rest(p, q)


@wrong("lm.speculative", says="Where q is 0 you return 0")
def never_drafted(p, q):
    return torch.where(q > 0, accepted(p, q), 0.0), rest(p, q)


@wrong("lm.speculative", says="You accept only what the target likes at least as much")
def all_or_nothing(p, q):
    return (p >= q).double(), rest(p, q)


@wrong("lm.speculative", says="This is min(p, q)")
def overlap(p, q):
    return torch.minimum(p, q), rest(p, q)


@wrong("lm.speculative", says="These are the probabilities of refusing")
def refused(p, q):
    return 1 - accepted(p, q), rest(p, q)


@wrong("lm.speculative", says="You draw the replacement from p")
def replaced_from_target(p, q):
    return accepted(p, q), p


@wrong("lm.speculative", says="The residual is not normalized")
def residual_not_normalized(p, q):
    excess = (p - q).clamp(min=0)
    return accepted(p, q), torch.where(excess.sum(-1, keepdim=True) > 0, excess, p)


@wrong("lm.speculative", says="You take |p − q|")
def absolute_difference(p, q):
    far = (p - q).abs()
    return accepted(p, q), torch.where((p != q).any(-1, keepdim=True), far / far.sum(-1, keepdim=True), p)


@wrong("lm.speculative", says="You take q − p")
def residual_upside_down(p, q):
    return accepted(p, q), torch.where((p != q).any(-1, keepdim=True), rest(q, p), p)


@wrong("lm.speculative", says="you divide 0 by 0")
def nan_where_alike(p, q):
    excess = (p - q).clamp(min=0)
    return accepted(p, q), excess / excess.sum(-1, keepdim=True)


@wrong("lm.speculative", says="You decide for each entry whether p = q")
def alike_in_some_entries(p, q):
    excess = (p - q).clamp(min=0)
    return accepted(p, q), torch.where(p == q, p, excess / excess.sum(-1, keepdim=True))


@wrong("lm.speculative", says="Where p is at most q you return p")
def filled_in_where_nothing_is_left(p, q):
    excess = (p - q).clamp(min=0)
    return accepted(p, q), torch.where(excess > 0, excess / excess.sum(-1, keepdim=True), p)


@wrong("lm.speculative", says="Where p = q your row is 0")
def small_number_in_the_denominator(p, q):
    excess = (p - q).clamp(min=0)
    return accepted(p, q), excess / excess.sum(-1, keepdim=True).clamp(min=1e-30)


@wrong("lm.speculative", says="The residual distribution should be")
def large_number_in_the_denominator(p, q):
    excess = (p - q).clamp(min=0)
    total = excess.sum(-1, keepdim=True)
    return accepted(p, q), torch.where(total > 0, excess / (total + 1e-9), p)


@wrong("lm.speculative", says="The acceptance probabilities should be")
def small_number_beside_q(p, q):
    return torch.where(p < q, p / (q + 1e-10), 1.0), rest(p, q)
