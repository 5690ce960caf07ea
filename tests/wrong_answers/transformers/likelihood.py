"""Wrong answers of chapter 13: bits per character, pairs counted by Kneser and Ney."""

import math

import torch

from wrong_answers import wrong

# --- lm.bits_per_character -------------------------------------------------------------------------------------------


def log_p_of_each(model, tokens, window, stride):
    kept, counted, begin = [], 0, 0
    while counted < len(tokens):
        log_p = model(tokens[begin : begin + window])
        kept.append(log_p[counted - begin :])
        counted = begin + len(log_p)
        begin += stride
    return torch.cat(kept)


@wrong("lm.bits_per_character", says="nats per character, not bits")
def in_nats(model, tokens, lengths, window, stride):
    return -log_p_of_each(model, tokens, window, stride).sum() / lengths.sum()


@wrong("lm.bits_per_character", says="bits per token")
def per_token(model, tokens, lengths, window, stride):
    return -log_p_of_each(model, tokens, window, stride).mean() / math.log(2)


@wrong("lm.bits_per_character", says="This is the perplexity per token")
def perplexity(model, tokens, lengths, window, stride):
    return (-log_p_of_each(model, tokens, window, stride).mean()).exp()


@wrong("lm.bits_per_character", says="You average the bits per character of each token")
def mean_of_ratios(model, tokens, lengths, window, stride):
    return (-log_p_of_each(model, tokens, window, stride) / lengths).mean() / math.log(2)


@wrong("lm.bits_per_character", says="The sign is wrong")
def negative(model, tokens, lengths, window, stride):
    return log_p_of_each(model, tokens, window, stride).sum() / lengths.sum() / math.log(2)


@wrong("lm.bits_per_character", says="You multiply by ln 2")
def times_log_2(model, tokens, lengths, window, stride):
    return -log_p_of_each(model, tokens, window, stride).sum() / lengths.sum() * math.log(2)


def bits(parts, lengths):
    return -torch.cat(parts).sum() / lengths.sum() / math.log(2)


@wrong("lm.bits_per_character", says="where windows overlap, tokens count several times")
def all_of_each_window(model, tokens, lengths, window, stride):
    last = max(0, -(-(len(tokens) - window) // stride)) * stride
    return bits([model(tokens[b : b + window]) for b in range(0, last + 1, stride)], lengths)


@wrong("lm.bits_per_character", says="Your windows do not overlap")
def disjoint(model, tokens, lengths, window, stride):
    return bits([model(part) for part in tokens.split(window)], lengths)


@wrong("lm.bits_per_character", says="The end of the text is missing")
def end_missing(model, tokens, lengths, window, stride):
    parts = [model(tokens[:window])]
    for b in range(stride, len(tokens) - window + 1, stride):
        parts.append(model(tokens[b : b + window])[-stride:])
    return bits(parts, lengths)


@wrong("lm.bits_per_character", says="You moved the last window back")
def last_moved_back(model, tokens, lengths, window, stride):
    parts, counted = [model(tokens[:window])], min(window, len(tokens))
    while counted < len(tokens):
        end = min(counted + stride, len(tokens))
        parts.append(model(tokens[end - window : end])[counted - end :])
        counted = end
    return bits(parts, lengths)


@wrong("lm.bits_per_character", says="Of the last window you count the last `stride` tokens")
def last_stride_of_each(model, tokens, lengths, window, stride):
    parts, b = [model(tokens[:window])], 0
    while b + window < len(tokens):
        b += stride
        parts.append(model(tokens[b : b + window])[-stride:])
    return bits(parts, lengths)


@wrong("lm.bits_per_character", says="The first token of the text does not count")
def first_token_free(model, tokens, lengths, window, stride):
    return bits([log_p_of_each(model, tokens, window, stride)[1:]], lengths)


@wrong("lm.bits_per_character", says="You average the windows' bits per character")
def mean_of_windows(model, tokens, lengths, window, stride):
    found, b = [], 0
    while True:
        found.append(bits([model(tokens[b : b + window])], lengths[b : b + window]))
        if b + window >= len(tokens):
            return sum(found) / len(found)
        b += stride


@wrong("lm.bits_per_character", says="it sees at most")
def whole_text_at_once(model, tokens, lengths, window, stride):
    return bits([model(tokens)], lengths)


@wrong("lm.bits_per_character", says="You ask the model about an empty window")
def one_window_too_many(model, tokens, lengths, window, stride):
    log_p = log_p_of_each(model, tokens, window, stride)
    return bits([log_p, model(tokens[len(tokens) :])], lengths)


@wrong("lm.bits_per_character", says="counts 2 times")
def one_overlap_too_many(model, tokens, lengths, window, stride):
    """Off by one: each later window counts one token that the window before has counted."""
    parts, counted, begin = [], 0, 0
    while counted < len(tokens):
        log_p = model(tokens[begin : begin + window])
        parts.append(log_p[max(counted - begin - 1, 0) :])
        counted = begin + len(log_p)
        begin += stride
    return bits(parts, lengths)


@wrong("lm.bits_per_character", says="Your bits per character should be")
def to_base_ten(model, tokens, lengths, window, stride):
    """Of a sum in other units nothing can be said about how often a token counts."""
    return -log_p_of_each(model, tokens, window, stride).sum() / lengths.sum() / math.log(10)


# --- lm.kneser_ney ---------------------------------------------------------------------------------------------------


def counts_of(tokens, size):
    counts = torch.zeros(size, size, dtype=torch.float64)
    for v, w in zip(tokens[:-1].tolist(), tokens[1:].tolist(), strict=True):
        counts[v, w] += 1
    return counts


def smoothed(counts, discount, lower):
    total = counts.sum(-1, keepdim=True)
    saved = discount * (counts > 0).sum(-1, keepdim=True)
    return torch.where(total > 0, ((counts - discount).clamp(min=0) + saved * lower) / total, lower)


def uniform(size):
    return torch.ones(size, dtype=torch.float64) / size


def continuation(counts, discount):
    return smoothed((counts > 0).double().sum(0), discount, uniform(len(counts)))


@wrong("lm.kneser_ney", says="counts how often a token follows another, not how many it follows")
def counts_in_the_place_of_kinds(tokens, size, discount):
    counts = counts_of(tokens, size)
    return smoothed(counts, discount, smoothed(counts.sum(0), discount, uniform(size)))


@wrong("lm.kneser_ney", says="The lower distribution is the share of each token in the text")
def share_of_tokens(tokens, size, discount):
    return smoothed(counts_of(tokens, size), discount, torch.bincount(tokens, minlength=size).double() / len(tokens))


@wrong("lm.kneser_ney", says="The lower distribution is not discounted")
def lower_not_discounted(tokens, size, discount):
    counts = counts_of(tokens, size)
    kinds = (counts > 0).double()
    return smoothed(counts, discount, kinds.sum(0) / kinds.sum())


@wrong("lm.kneser_ney", says="You count how many different tokens follow w")
def followers(tokens, size, discount):
    counts = counts_of(tokens, size)
    return smoothed(counts, discount, smoothed((counts > 0).double().sum(1), discount, uniform(size)))


@wrong("lm.kneser_ney", says="You give what you saved to all tokens alike")
def absolute_discounting(tokens, size, discount):
    return smoothed(counts_of(tokens, size), discount, uniform(size))


def by_parts(tokens, size, discount):
    counts = counts_of(tokens, size)
    total = counts.sum(1, keepdim=True)
    return counts, total, total.clamp(min=1), (counts > 0).sum(1, keepdim=True), continuation(counts, discount)


@wrong("lm.kneser_ney", says="You give back d once")
def given_back_once(tokens, size, discount):
    counts, total, safe, _, lower = by_parts(tokens, size, discount)
    return torch.where(total > 0, ((counts - discount).clamp(min=0) + discount * lower) / safe, lower)


@wrong("lm.kneser_ney", says="this is back-off")
def back_off(tokens, size, discount):
    counts, total, safe, kinds, lower = by_parts(tokens, size, discount)
    p = torch.where(counts > 0, (counts - discount) / safe, discount * kinds / safe * lower)
    return torch.where(total > 0, p, lower)


@wrong("lm.kneser_ney", says="You forgot to subtract the discount")
def not_subtracted(tokens, size, discount):
    counts, total, safe, kinds, lower = by_parts(tokens, size, discount)
    return torch.where(total > 0, (counts + discount * kinds * lower) / safe, lower)


@wrong("lm.kneser_ney", says="from counts of 0, too")
def zeros_discounted(tokens, size, discount):
    counts, total, safe, kinds, lower = by_parts(tokens, size, discount)
    return torch.where(total > 0, (counts - discount + discount * kinds * lower) / safe, lower)


@wrong("lm.kneser_ney", says="What you took from the counts is lost")
def saved_mass_lost(tokens, size, discount):
    counts, total, safe, _, lower = by_parts(tokens, size, discount)
    return torch.where(total > 0, (counts - discount).clamp(min=0) / safe, lower)


@wrong("lm.kneser_ney", says="Where nothing has ever followed a token you divide by 0")
def divided_by_zero(tokens, size, discount):
    counts, total, _, kinds, lower = by_parts(tokens, size, discount)
    return ((counts - discount).clamp(min=0) + discount * kinds * lower) / total


@wrong("lm.kneser_ney", says="you return the uniform distribution")
def unseen_uniform(tokens, size, discount):
    counts, total, safe, kinds, lower = by_parts(tokens, size, discount)
    p = ((counts - discount).clamp(min=0) + discount * kinds * lower) / safe
    return torch.where(total > 0, p, uniform(size))


@wrong("lm.kneser_ney", says="You divide by how often v occurs")
def divided_by_occurrences(tokens, size, discount):
    counts, total, _, kinds, lower = by_parts(tokens, size, discount)
    often = torch.bincount(tokens, minlength=size).clamp(min=1)[:, None]
    return torch.where(total > 0, ((counts - discount).clamp(min=0) + discount * kinds * lower) / often, lower)


@wrong("lm.kneser_ney", says="the text is no ring")
def as_a_ring(tokens, size, discount):
    counts = counts_of(torch.cat([tokens, tokens[:1]]), size)
    return smoothed(counts, discount, continuation(counts, discount))


@wrong("lm.kneser_ney", says="You count which token stands before")
def transposed(tokens, size, discount):
    counts = counts_of(tokens, size).T
    return smoothed(counts, discount, continuation(counts, discount))


def lower_of(tokens, size, discount, places, least=0.0):
    """p(w), where what was saved is d times `places`; counts below `least` are raised to it."""
    counts = counts_of(tokens, size)
    kinds = (counts > 0).double().sum(0)
    lower = ((kinds - discount).clamp(min=least) + discount * places / size) / kinds.sum()
    return smoothed(counts, discount, lower)


@wrong("lm.kneser_ney", says="the first one, too, which follows none")
def tokens_of_the_text(tokens, size, discount):
    return lower_of(tokens, size, discount, len(tokens.unique()))


@wrong("lm.kneser_ney", says="you give back d for each token that something follows")
def tokens_with_a_follower(tokens, size, discount):
    return lower_of(tokens, size, discount, len(tokens[:-1].unique()))


@wrong("lm.kneser_ney", says="you give back d for each token of the vocabulary")
def whole_vocabulary(tokens, size, discount):
    return lower_of(tokens, size, discount, size)


@wrong("lm.kneser_ney", says="In p(w) the maximum with 0 is missing")
def lower_below_zero(tokens, size, discount):
    return lower_of(tokens, size, discount, len(tokens[1:].unique()), least=-1.0)


@wrong("lm.kneser_ney", says="Each pair counts once, however often it occurs")
def repeats_lost(tokens, size, discount):
    counts = torch.zeros(size, size, dtype=torch.float64)
    counts[tokens[:-1], tokens[1:]] += 1
    return smoothed(counts, discount, continuation(counts, discount))


@wrong("lm.kneser_ney", says="You divide by how often v occurs")
def occurrences_everywhere(tokens, size, discount):
    counts, _, _, kinds, lower = by_parts(tokens, size, discount)
    often = torch.bincount(tokens, minlength=size)[:, None]
    return torch.where(often > 0, ((counts - discount).clamp(min=0) + discount * kinds * lower) / often, lower)


@wrong("lm.kneser_ney", says="You use a discount of 0.75")
def usual_discount(tokens, size, discount):
    counts = counts_of(tokens, size)
    return smoothed(counts, 0.75, continuation(counts, 0.75))
