"""Checks of chapter 13: bits per character, pairs counted by Kneser and Ney."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, number, tensor

# --- lm.bits_per_character -------------------------------------------------------------------------------------------


def _looked_after(model: Callable[[Tensor], Tensor], window: int) -> Callable[[Tensor], Tensor]:
    def asked(w: Tensor) -> Tensor:
        if not isinstance(w, Tensor) or w.ndim != 1:
            raise Wrong("You give the model no row of tokens.", "`model(tokens[begin:end])`.")
        if len(w) > window:
            raise Wrong(f"You give the model {len(w)} tokens, it sees at most {window}.", "Slice a window.")
        if not len(w):
            raise Wrong("You ask the model about an empty window.", "Stop when the end of the text is reached.")
        return model(w)

    return asked


def _bits(value: Tensor, lengths: Tensor) -> Tensor:
    return -value / (lengths.sum() * math.log(2))


def _windows(model: Callable, tokens: Tensor, window: int, stride: int) -> list[tuple[int, Tensor]]:
    """The begin of each window, and the log-probabilities in it."""
    found, begin = [], 0
    while True:
        found.append((begin, model(tokens[begin : begin + window])))
        if begin + window >= len(tokens):
            return found
        begin += stride


def _once(windows: list[tuple[int, Tensor]], most: int | None = None) -> Tensor:
    """Log-probabilities, each token by the first window that holds it; of later windows at most the last `most`."""
    counted, kept = 0, []
    for begin, log_p in windows:
        fresh = log_p[counted - begin :]
        kept.append(fresh if most is None or not begin else log_p[-most:])
        counted = begin + len(log_p)
    return torch.cat(kept)


@exercise("lm.bits_per_character", call="bits_per_character(model, tokens, lengths, window, stride)")
def bits_per_character(answer: Callable, generator: Generator) -> None:
    size = 11
    first, step = draw.normal(generator, size), draw.normal(generator, size, size)

    def model(w: Tensor) -> Tensor:
        """Each token likelier the more of its window stands before it, and after some tokens than after others."""
        known = torch.arange(len(w), dtype=torch.float64)
        before = torch.cat([first[w[:1]], step[w[:-1], w[1:]]])
        return -(2.5 + before.tanh()) / (1 + 0.7 * known) - 0.1

    for n, window, stride in ((23, 7, 3), (22, 8, 3), (17, 5, 5), (6, 6, 2), (4, 9, 3), (5, 9, 1), (12, 4, 1)):
        tokens = torch.randint(size, (n,), generator=generator)
        lengths = torch.randint(1, 8, (n,), generator=generator)
        value = number(answer(_looked_after(model, window), tokens, lengths, window, stride), "your bits per character")
        windows = _windows(model, tokens, window, stride)
        each = _once(windows)
        truth = _bits(each.sum(), lengths)
        close(
            value,
            truth,
            [
                *_units(truth, each, lengths),
                *_wrong_windows(model, windows, each, tokens, lengths, window, stride),
                _counted(answer, value, truth, n, window, stride),
            ],
            name="your bits per character",
            hint="The sum of −log p over all tokens, each once, divided by the number of characters and by ln 2.",
        )


def _units(truth: Tensor, each: Tensor, lengths: Tensor) -> list[Mistake]:
    n, chars, log2 = len(each), lengths.sum(), math.log(2)
    divide = "bpc = −Σ log p / (C ln 2), where C is the sum of `lengths`."
    return [
        Mistake(truth * log2, "These are nats per character, not bits.", "Divide by ln 2."),
        Mistake(truth * log2**2, "You multiply by ln 2: one nat is more than one bit.", "Divide by ln 2."),
        Mistake(0 * truth, "Nothing is counted: your sum stays 0.", divide),
        Mistake(-truth, "The sign is wrong: a text costs a positive number of bits.", divide),
        Mistake(truth * chars / n, "These are bits per token: a text of longer tokens would look worse.", divide),
        Mistake(truth * chars * log2 / n, "These are nats per token.", divide),
        Mistake((-each.mean()).exp(), "This is the perplexity per token.", divide),
        Mistake(2**truth, "This is the perplexity per character: 2 to the power of what is asked for.", divide),
        Mistake(truth * chars, "These are the bits of the whole text.", divide),
        Mistake(truth * chars * log2, "These are the nats of the whole text.", divide),
        Mistake(
            (-each / lengths).mean() / log2,
            "You average the bits per character of each token: long tokens count as much as short ones.",
            "Sum the bits, sum the characters, then divide once.",
        ),
    ]


def _wrong_windows(
    model: Callable,
    windows: list[tuple[int, Tensor]],
    each: Tensor,
    tokens: Tensor,
    lengths: Tensor,
    window: int,
    stride: int,
) -> list[Mistake]:
    """What comes of windows that lie elsewhere, and of other tokens that count."""
    n = len(tokens)
    once = "Of each window only the tokens that no earlier window has counted."
    mistakes = [
        Mistake(
            _bits(torch.cat([log_p for _, log_p in windows]).sum(), lengths),
            "You count all tokens of each window: where windows overlap, tokens count several times.",
            once,
        ),
        Mistake(
            _bits(_once(_windows(model, tokens, window, window)).sum(), lengths),
            "Your windows do not overlap: you ignore `stride`, and the first tokens of each window know nothing.",
            "A window begins every `stride` tokens.",
        ),
        Mistake(
            _bits(model(tokens[:window]).sum(), lengths),
            "You read the first window alone.",
            "Go on until the last token is counted.",
        ),
        Mistake(
            _bits(_once(windows, most=stride).sum(), lengths),
            "Of the last window you count the last `stride` tokens: in a shorter window some have been counted before.",
            once,
        ),
        Mistake(
            _bits(torch.cat([log_p[:stride] for _, log_p in windows]).sum(), lengths),
            "Of each window you count the first `stride` tokens, those that know least.",
            once,
        ),
        Mistake(
            _bits(each.sum() - each[0], lengths),
            "The first token of the text does not count: it, too, has to be told.",
            "The first window counts all of its tokens.",
        ),
        Mistake(
            _bits(torch.cat([log_p[-stride:] for _, log_p in windows]).sum(), lengths),
            "Of the first window, too, you count only the last `stride` tokens.",
            "The first window counts all of its tokens.",
        ),
    ]
    if len(windows) > 1:
        counted = windows[-2][0] + window
        whole = each[:counted].sum()
        moved = model(tokens[n - window :])[counted - n :].sum()
        mistakes += [
            Mistake(
                _bits(whole, lengths),
                "The end of the text is missing: the last window, which is shorter, counts, too.",
                "Go on until the last token is counted.",
            ),
            Mistake(
                _bits(whole + moved, lengths),
                "You moved the last window back, so that it is full.",
                "It begins at a multiple of `stride`, and is shorter.",
            ),
            Mistake(
                sum(_bits(log_p.sum(), lengths[b : b + window]) for b, log_p in windows) / len(windows),
                "You average the windows' bits per character.",
                "Sum the bits, sum the characters, then divide once.",
            ),
        ]
    return mistakes


def _counted(answer: Callable, value: Tensor, truth: Tensor, n: int, window: int, stride: int) -> Mistake:
    """Which tokens count how often: told by a model that says −4ⁱ of token i, and by its mirror image."""
    tokens, lengths = torch.arange(n), torch.ones(n, dtype=torch.int64)
    says = ""
    if abs(value - truth) > 1e-6 * truth.abs():
        often, backwards = (
            _digits(float(answer(_looked_after(says_powers, window), tokens, lengths, window, stride)), n)
            for says_powers in (lambda w: -(4.0 ** w.double()), lambda w: -(4.0 ** (n - 1 - w.double())))
        )
        # Another number than the sum that is asked for is no sum of such powers in both directions.
        exact = bool(often) and often == backwards[::-1]
        wrong = [i for i in range(n) if often[i] != 1] if exact else []
        if wrong:
            says = (
                f"Of {n} tokens in windows of {window}, {stride} apart, token {wrong[0]} counts {often[wrong[0]]} times"
                + (f", and {len(wrong) - 1} others do not count once either." if len(wrong) > 1 else ".")
            )
        elif exact:
            says = "Every token counts once, but some are asked about in another window than the first that holds them."
    return Mistake(value if says else truth, says, "Windows begin at 0, stride, 2 · stride, …", general=True)


def _digits(told: float, n: int) -> list[int]:
    """How often each power of 4 is in a sum, told as bits per character; none if it is no such sum."""
    total = told * n * math.log(2)
    if not math.isfinite(total) or not 0.5 < total < 4**n or abs(total - round(total)) > 0.05:
        return []
    return [round(total) // 4**i % 4 for i in range(n)]


# --- lm.kneser_ney ---------------------------------------------------------------------------------------------------


def pair_counts(tokens: Tensor, size: int) -> Tensor:
    """How often token w follows token v: (V, V)."""
    counts = torch.zeros(size, size, dtype=torch.float64)
    one = torch.ones(len(tokens) - 1, dtype=torch.float64)
    return counts.index_put((tokens[:-1], tokens[1:]), one, accumulate=True)


def interpolated(counts: Tensor, discount: float, lower: Tensor) -> Tensor:
    """Discounted shares along the last axis, what was saved given to `lower`; where nothing was counted, `lower`."""
    total = counts.sum(-1, keepdim=True)
    saved = discount * (counts > 0).sum(-1, keepdim=True)
    return torch.where(total > 0, ((counts - discount).clamp(min=0) + saved * lower) / total.clamp(min=1), lower)


def kneser_ney_pairs(counts: Tensor, discount: float) -> Tensor:
    """p(w | v) from counts of pairs: (V, V)."""
    uniform = torch.full((len(counts),), 1 / len(counts), dtype=torch.float64)
    return interpolated(counts, discount, interpolated((counts > 0).double().sum(0), discount, uniform))


@exercise("lm.kneser_ney", call="kneser_ney(tokens, size, discount)")
def kneser_ney(answer: Callable, generator: Generator) -> None:
    for size, n, discount, begins, ends in (
        # Some tokens often, the last one of the vocabulary never, or as the first of the text alone: it follows none.
        # The one before it is at the end alone, followed by nothing; or the text ends with one that has stood before.
        (7, 60, 0.37, 0, 5),
        (9, 25, 0.85, 1, 6),
        (6, 45, 0.6, 0, 3),
        (7, 40, 0.5, 6, 4),
    ):
        often = draw.unequal_probabilities(generator, size - 2)
        tokens = torch.multinomial(often, n, replacement=True, generator=generator)
        tokens[0], tokens[2], tokens[-1] = begins, size - 3, ends
        _kneser_ney(answer, tokens, size, discount)


def _kneser_ney(answer: Callable, tokens: Tensor, size: int, discount: float) -> None:
    counts = pair_counts(tokens, size)
    kinds = (counts > 0).double()
    uniform = torch.full((size,), 1 / size, dtype=torch.float64)
    unigram = torch.bincount(tokens, minlength=size).double()
    lower = interpolated(kinds.sum(0), discount, uniform)
    truth = kneser_ney_pairs(counts, discount)
    total = counts.sum(1, keepdim=True)

    def with_lower(other: Tensor) -> Tensor:
        return interpolated(counts, discount, other)

    def lower_with(places: Tensor | int) -> Tensor:
        """p(w), where what was saved is d times another number of tokens."""
        return ((kinds.sum(0) - discount).clamp(min=0) + discount * places / size) / kinds.sum()

    below = (kinds.sum(0) - discount * (1 - (kinds.sum(0) > 0).sum() / size)) / kinds.sum()  # without the maximum

    def rows(value: Tensor, unseen: Tensor = lower) -> Tensor:
        return torch.where(total > 0, value, unseen)

    safe = total.clamp(min=1)
    share = (counts - discount).clamp(min=0) / safe
    saved = discount * kinds.sum(1, keepdim=True) / safe
    seen_last = tokens[-1] == torch.arange(size)
    too_many = (counts.sum(1) + seen_last).clamp(min=1)[:, None]
    shapes = [Mistake((size,), "one distribution, not one for each token", "Row v holds p(w | v).")]
    continuation = "p(w) counts the different tokens that w has followed: N(·, w), the sum over v of c(v, w) > 0."
    value = tensor(
        answer(tokens, size, discount),
        (size, size),
        name="your probabilities",
        shapes=shapes,
        not_finite=(
            "Where nothing has ever followed a token you divide by 0: its row is p(w).",
            "`torch.where` chooses p(w) for these rows.",
        ),
    )
    close(
        value,
        truth,
        [
            Mistake(
                interpolated(counts, discount, interpolated(unigram, discount, uniform)),
                "The lower distribution counts how often a token occurs, not how many different ones it follows.",
                continuation,
            ),
            Mistake(
                interpolated(counts, discount, interpolated(counts.sum(0), discount, uniform)),
                "The lower distribution counts how often a token follows another, not how many it follows.",
                continuation,
            ),
            Mistake(
                interpolated(counts, discount, unigram / unigram.sum()),
                "The lower distribution is the share of each token in the text.",
                continuation,
            ),
            Mistake(
                interpolated(counts, discount, kinds.sum(0) / kinds.sum()),
                "The lower distribution is not discounted: tokens that follow nothing get probability 0.",
                "Discount N(·, w), too, and give what is saved to all tokens alike.",
            ),
            Mistake(
                interpolated(counts, discount, interpolated(kinds.sum(1), discount, uniform)),
                "You count how many different tokens follow w, not how many w follows.",
                continuation,
            ),
            Mistake(
                interpolated(counts, discount, uniform),
                "You give what you saved to all tokens alike.",
                continuation,
            ),
            *(
                Mistake(
                    with_lower(lower_with(places)),
                    f"In p(w) you give back d for each {whom}, but took it where N(·, w) > 0.",
                    "The number of tokens w' with N(·, w') > 0: those that have followed some token.",
                )
                for places, whom in (
                    (len(tokens.unique()), "token of the text, the first one, too, which follows none"),
                    ((kinds.sum(1) > 0).sum(), "token that something follows"),
                    (size, "token of the vocabulary"),
                )
            ),
            *(
                Mistake(wrong, "In p(w) the maximum with 0 is missing: you subtract d where N(·, w) is 0, too.", rule)
                for rule in ("max(N(·, w) − d, 0).",)
                for wrong in (with_lower(below), rows((counts - discount) / safe + saved * below, below))
            ),
            Mistake(
                kneser_ney_pairs(kinds, discount),
                "Each pair counts once, however often it occurs.",
                "`counts[a, b] += 1` adds 1 where an index comes several times: `index_put_(…, accumulate=True)`, or "
                "`bincount`.",
            ),
            Mistake(
                kneser_ney_pairs(counts, 0.75), "You use a discount of 0.75, whatever `discount` is.", "Use `discount`."
            ),
            Mistake(
                torch.where(
                    unigram[:, None] > 0,
                    ((counts - discount).clamp(min=0) + discount * kinds.sum(1, keepdim=True) * lower)
                    / unigram.clamp(min=1)[:, None],
                    lower,
                ),
                "You divide by how often v occurs: the last token of the text has no follower.",
                "c(v, ·) is the sum of row v of the counts.",
            ),
            Mistake(
                rows(share + discount / safe * lower),
                "You give back d once, but took it from each different pair: multiply by N(v, ·).",
                "What was saved in row v is d · N(v, ·) / c(v, ·).",
            ),
            Mistake(
                rows(share), "What you took from the counts is lost: the rows do not sum to 1.", "Add the second term."
            ),
            Mistake(
                rows(share / share.sum(1, keepdim=True)),
                "You normalize the discounted counts: pairs that never occurred get nothing.",
                "Add what was saved, times p(w).",
            ),
            Mistake(
                rows(torch.where(counts > 0, share, saved * lower)),
                "Only pairs that never occurred get a share of what was saved: this is back-off.",
                "Interpolate: all tokens get their share, those with a count, too.",
            ),
            Mistake(
                rows(counts / safe + saved * lower),
                "You forgot to subtract the discount: the rows sum to more than 1.",
                "max(c(v, w) − d, 0).",
            ),
            Mistake(
                rows((counts - discount) / safe + saved * lower),
                "You subtract the discount from counts of 0, too.",
                "max(c(v, w) − d, 0).",
            ),
            Mistake(
                rows(counts / safe), "These are shares of counts: nothing is discounted.", "Subtract d, interpolate."
            ),
            Mistake(
                rows(truth, uniform),
                "Where nothing has ever followed a token you return the uniform distribution.",
                "There p(w | v) = p(w).",
            ),
            Mistake(
                rows(truth, torch.zeros_like(truth)),
                "Where nothing has ever followed a token your row is 0.",
                "There p(w | v) = p(w).",
            ),
            Mistake(
                rows(((counts - discount).clamp(min=0) + discount * kinds.sum(1, keepdim=True) * lower) / too_many),
                "You divide by how often v occurs: the last token of the text has no follower.",
                "c(v, ·) is the sum of row v of the counts.",
            ),
            Mistake(
                kneser_ney_pairs(counts + pair_counts(torch.stack([tokens[-1], tokens[0]]), size), discount),
                "You let the first token follow the last one: the text is no ring.",
                "Pairs are tokens i and i + 1, for i from 0 to N − 2.",
            ),
            Mistake(
                kneser_ney_pairs(counts.T, discount),
                "You count which token stands before: c(v, w) counts w after v.",
                "Row v, column w: v first.",
            ),
            Mistake(truth.log(), "These are logarithms.", "Return probabilities."),
        ],
        name="your probabilities",
        hint="Compute c, then N(·, w) from c > 0, then p(w), then the rows. Do they sum to 1?",
    )
