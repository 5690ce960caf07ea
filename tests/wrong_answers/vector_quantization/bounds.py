"""Wrong answers of chapter 7: what a grid of codes costs, and the search for a better one."""

import math

import torch
from torch.nn import functional as F

from wrong_answers import wrong

# --- vq.one_hot_bound ------------------------------------------------------------------------------------------------


def log_pixels(x, logits):
    return F.logsigmoid((2 * x - 1) * logits)


def log_codes(codes, logits, axis=1):
    return logits.log_softmax(axis).gather(1, codes[:, None])[:, 0]


def terms(x, pixel_logits, codes, code_logits):
    return log_pixels(x, pixel_logits).sum((1, 2)), log_codes(codes, code_logits).sum((1, 2))


@wrong("vq.one_hot_bound", says="log p(c) is missing")
def codes_are_free(x, pixel_logits, codes, code_logits):
    return log_pixels(x, pixel_logits).sum((1, 2))


@wrong("vq.one_hot_bound", says="bounds −log p(x) from above")
def as_a_loss(x, pixel_logits, codes, code_logits):
    return -sum(terms(x, pixel_logits, codes, code_logits))


@wrong("vq.one_hot_bound", says="as if a long code were a gain")
def minus_the_prior(x, pixel_logits, codes, code_logits):
    fit, price = terms(x, pixel_logits, codes, code_logits)
    return fit - price


@wrong("vq.one_hot_bound", says="as if the prior were uniform")
def uniform_prior(x, pixel_logits, codes, code_logits):
    fit, _ = terms(x, pixel_logits, codes, code_logits)
    return fit - codes[0].numel() * math.log(code_logits.shape[1])


@wrong("vq.one_hot_bound", says="You add the entropy of the prior")
def paid_back(x, pixel_logits, codes, code_logits):
    entropy = -(code_logits.softmax(1) * code_logits.log_softmax(1)).sum((1, 2, 3))
    return sum(terms(x, pixel_logits, codes, code_logits)) + entropy


@wrong("vq.one_hot_bound", says="the units no longer agree")
def means(x, pixel_logits, codes, code_logits):
    return log_pixels(x, pixel_logits).mean((1, 2)) + log_codes(codes, code_logits).mean((1, 2))


@wrong("vq.one_hot_bound", says="over another axis than the codes")
def last_axis(x, pixel_logits, codes, code_logits):
    return log_pixels(x, pixel_logits).sum((1, 2)) + log_codes(codes, code_logits, axis=-1).sum((1, 2))


@wrong("vq.one_hot_bound", says="You sum logits of the codes")
def logits_of_codes(x, pixel_logits, codes, code_logits):
    chosen = code_logits.gather(1, codes[:, None])[:, 0]
    return log_pixels(x, pixel_logits).sum((1, 2)) + chosen.sum((1, 2))


@wrong("vq.one_hot_bound", says="likeliest code at each place")
def likeliest(x, pixel_logits, codes, code_logits):
    return log_pixels(x, pixel_logits).sum((1, 2)) + code_logits.log_softmax(1).amax(1).sum((1, 2))


@wrong("vq.one_hot_bound", says="Only the pixels that are 1 count")
def ones_only(x, pixel_logits, codes, code_logits):
    return (x * F.logsigmoid(pixel_logits)).sum((1, 2)) + log_codes(codes, code_logits).sum((1, 2))


@wrong("vq.one_hot_bound", says="is not finite")
def by_probabilities(x, pixel_logits, codes, code_logits):
    p = pixel_logits.sigmoid()
    chosen = code_logits.softmax(1).gather(1, codes[:, None])[:, 0]
    return torch.where(x == 1, p, 1 - p).log().sum((1, 2)) + chosen.log().sum((1, 2))


@wrong("vq.one_hot_bound", says="a logarithm is cut off")
def clamped(x, pixel_logits, codes, code_logits):
    p = pixel_logits.sigmoid()
    chosen = code_logits.softmax(1).gather(1, codes[:, None])[:, 0]
    pixels = torch.where(x == 1, p, 1 - p).clamp(min=1e-30).log()
    return pixels.sum((1, 2)) + chosen.clamp(min=1e-30).log().sum((1, 2))


@wrong("vq.one_hot_bound", says="one number for all images")
def one_number(x, pixel_logits, codes, code_logits):
    return sum(terms(x, pixel_logits, codes, code_logits)).mean()


@wrong("vq.one_hot_bound", says="in bits, not in nats")
def in_bits(x, pixel_logits, codes, code_logits):
    return sum(terms(x, pixel_logits, codes, code_logits)) / math.log(2)


@wrong("vq.one_hot_bound", says="Each image pays for the codes of all images")
def prior_of_the_batch(x, pixel_logits, codes, code_logits):
    fit, price = terms(x, pixel_logits, codes, code_logits)
    return fit + price.sum()


# --- vq.search -------------------------------------------------------------------------------------------------------


def swept(log_joint, codes, alternatives, *, higher=torch.gt, distinct=True, together=False, per_image=True, skip=0):
    """The sweep with one thing changed: best grids, the log of the sum, all values that were visited."""
    original = codes
    first = best = total = log_joint(codes)
    values = [best]
    for place in range(codes.shape[1] - skip):
        tried = codes[:, place, None]
        for code in alternatives[:, place].unbind(-1):
            trial = codes.clone()
            trial[:, place] = code
            if together:  # judged alone, in the first grid
                alone = original.clone()
                alone[:, place] = code
                better = higher(log_joint(alone), first)
            value = log_joint(trial)
            new = (tried != code[:, None]).all(1) if distinct else torch.ones(len(codes), dtype=torch.bool)
            total = torch.where(new, torch.logaddexp(total, value), total)
            values.append(value)
            if not together:
                better = higher(value, best) if per_image else higher(value.sum(), best.sum()).expand(len(codes))
            codes, best = torch.where(better[:, None], trial, codes), torch.where(better, value, best)
            tried = torch.cat([tried, code[:, None]], 1)
    return codes, total, torch.stack(values), best


@wrong("vq.search", says="You count grids twice")
def counted_twice(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, distinct=False)[:2]


@wrong("vq.search", says="average p over the grids")
def averaged(log_joint, codes, alternatives):
    found, _, values, _ = swept(log_joint, codes, alternatives)
    return found, values.logsumexp(0) - math.log(len(values))


@wrong("vq.search", says="keep what is lower")
def as_if_a_loss(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, higher=torch.lt)[:2]


@wrong("vq.search", says="only as good as what you have")
def keeps_equals(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, higher=torch.ge)[:2]


@wrong("vq.search", says="for all images at once")
def one_decision(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, per_image=False)[:2]


@wrong("vq.search", says="the best grid alone")
def best_alone(log_joint, codes, alternatives):
    found, _, _, best = swept(log_joint, codes, alternatives)
    return found, best


@wrong("vq.search", says="The last place is left out")
def one_place_less(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, skip=1)[:2]


@wrong("vq.search", says="The last alternative is left out")
def one_alternative_less(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives[..., :-1])[:2]


@wrong("vq.search", says="return the grids that you were given")
def nothing_kept(log_joint, codes, alternatives):
    return codes, swept(log_joint, codes, alternatives)[1]


@wrong("vq.search", says="logarithm of a product")
def sum_of_logarithms(log_joint, codes, alternatives):
    found, _, values, _ = swept(log_joint, codes, alternatives)
    return found, values.sum(0)


@wrong("vq.search", says="The grid that you began with is missing")
def start_not_counted(log_joint, codes, alternatives):
    found, total, values, _ = swept(log_joint, codes, alternatives)
    return found, total + torch.log1p(-(values[0] - total).exp())


@wrong("vq.search", says="changes that are good alone")
def judged_alone(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, together=True)[:2]


@wrong("vq.search", says="expected whole numbers of shape")
def one_image_at_a_time(log_joint, codes, alternatives):
    return codes, torch.cat([log_joint(one[None]) for one in codes])


@wrong("vq.search", says="keep every alternative")
def never_compared(log_joint, codes, alternatives):
    return swept(log_joint, codes, alternatives, higher=lambda value, best: torch.ones_like(value, dtype=torch.bool))[
        :2
    ]


@wrong("vq.search", says="not its logarithm")
def sum_itself(log_joint, codes, alternatives):
    found, total, _, _ = swept(log_joint, codes, alternatives)
    return found, total.exp()


@wrong("vq.search", says="a second time: one sweep is asked")
def two_sweeps(log_joint, codes, alternatives):
    found, total, _, _ = swept(log_joint, codes, alternatives)
    return swept(log_joint, found, alternatives)[0], total


@wrong("vq.search", says="You take grids of equal value for the same grid")
def known_by_their_values(log_joint, codes, alternatives):
    found, _, values, _ = swept(log_joint, codes, alternatives)
    known = torch.stack([(values[:i] == value).any(0) for i, value in enumerate(values)])
    return found, values.masked_fill(known, -math.inf).logsumexp(0)


@wrong("vq.search", says="times as many allowed")
def asks_for_everything(log_joint, codes, alternatives):
    for _ in range(100):
        log_joint(codes)
    return swept(log_joint, codes, alternatives)[:2]
