"""Checks of chapter 13: a trained model of a language in which names come back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks.challenges import ask, missed, returned_function
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, tensor
from utils.checks.transformers.likelihood import kneser_ney_pairs, pair_counts
from utils.languages import SYMBOLS, NameLanguage

# Bits per character above the law of the language, at one place of each of 3,000 new lines, 2,000 to learn from.
# Counted pairs have 1.6 more, counted triples 1.5, a transformer of one layer 0.3, one of two layers 0.06 in 320 steps.
MARGIN = 0.12
CHANCE = 0.02  # what a model may be better than the law, by chance
ASKED = 3000
RECALLED = 0.5  # bits that a letter of a name said again may cost; guessing costs log₂ 12


def _bits(log_prob: Tensor, x: Tensor) -> Tensor:
    """−log₂ p of the symbols of x, by log-probabilities of all: (B, T, K) and (B, T) -> (B, T)."""
    return -log_prob.gather(2, x[..., None])[..., 0] / math.log(2)


def _copies(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Copies (n, T, T) of lines: in copy t, symbol t is another; or all from t on are drawn anew, and t is another."""
    length, k = x.shape[1], len(SYMBOLS)
    place = torch.arange(length)
    other = (x + torch.randint(1, k, x.shape, generator=generator)) % k
    noise = torch.randint(k, (len(x), length, length), generator=generator)
    own = place == place[:, None]
    copies = x[:, None].expand(-1, length, -1)
    alone = torch.where(own, other[:, None], copies)
    return alone, torch.where(place > place[:, None], noise, alone)


def unseen(generator: Generator) -> Generator:
    """A generator whose seed is hashed from what `generator` draws: no small seed gives the same language or lines."""
    drawn = torch.randint(2**31, (4,), generator=generator).numpy().tobytes()
    return Generator().manual_seed(int.from_bytes(hashlib.sha256(drawn).digest()[:7], "big"))


def _broken_off(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """A place of each line, all places equally often, and the lines with noise from there on: (n,), (n, T).

    What is scored is the symbol that stood there, which the answer is never shown, in this row or another: looking
    ahead, or remembering what followed the same beginning, finds noise.
    """
    n, length = x.shape
    place = torch.arange(n)[torch.randperm(n, generator=generator)] % length
    noise = torch.randint(len(SYMBOLS), x.shape, generator=generator)
    return place, torch.where(torch.arange(length) < place[:, None], x, noise)


def _at(value: Tensor, place: Tensor) -> Tensor:
    return value[torch.arange(len(value)), place]


@exercise("lm.train", call="train(x_train)", seconds=60)
def train(answer: Callable, generator: Generator) -> str:
    generator = unseen(generator)
    language = NameLanguage.drawn(generator)
    x_train, x_test, few = (language.sample(n, generator) for n in (2000, ASKED, 3))
    guarded = returned_function(answer(x_train.clone()), "log_prob(x)", "Return a function, to be called on new lines.")

    def log_prob(x: Tensor) -> Tensor:
        value = guarded(x)
        if isinstance(value, Tensor) and value.is_floating_point():
            value = value.double()
        shapes = [
            Mistake(x.shape, "one number for each place", "Return the log-probability of each symbol that may come."),
            Mistake((len(x),), "one number for each line", "Return the log-probability of each symbol at each place."),
        ]
        return tensor(value, (*x.shape, len(SYMBOLS)), name="your log-probabilities", shapes=shapes)

    place, broken = _broken_off(x_test, generator)
    alone, later = _copies(few, generator)
    (value,), (of_few,), (of_alone,), (of_later,) = ask(
        lambda x: (log_prob(x),),
        *(broken, few, alone.flatten(0, 1), later.flatten(0, 1)),
        generator=generator,
        unlike=Wrong(
            "The log-probabilities of a line depend on which other lines you are asked about, or on when.",
            "Call `eval()` after the training, and keep nothing of what you were asked.",
        ),
        tolerance=1e-3,
    )
    _distributions(value)
    _looks_ahead(of_few, of_alone.unflatten(0, alone.shape[:2]), of_later.unflatten(0, later.shape[:2]))

    law = _at(_bits(language.log_prob(x_test), x_test), place).mean().item()
    reached = _at(_bits(value, x_test), place)
    if reached.mean() < law - CHANCE:
        raise Wrong(
            f"You claim {reached.mean():.3f} bits per character; the language itself has {law:.3f} at these places, "
            "and nothing honest can be better.",
            "Where do you know the symbols from that you are asked about?",
        )
    return _told(reached, law, x_train, x_test, place, language)


def _distributions(value: Tensor) -> None:
    total = value.exp().sum(-1)
    worst = (total - 1).abs().argmax()
    if (total - 1).abs().max() < 1e-3:
        return
    says = f"At some place your probabilities sum to {total.flatten()[worst]:.4g}, not to 1"
    if (value >= 0).all() and ((value.sum(-1) - 1).abs() < 1e-3).all():
        raise Wrong("You return probabilities, not their logarithms.", "`log_softmax(-1)` of the logits.")
    raise Wrong(f"{says}: these are no log-probabilities.", "`log_softmax(-1)` of the logits, over the 13 symbols.")


def _looks_ahead(clean: Tensor, alone: Tensor, later: Tensor) -> None:
    """Reject log-probabilities (n, T, K) at a place that change with its symbol, or with later ones: (n, T, T, K)."""
    for changed, says, hint in (
        (
            alone,
            "The probabilities at place {} change with the symbol at that place: it knows what it should predict.",
            "Shift the line by one, so that the model sees at place t the symbols before t.",
        ),
        (
            later,
            "The probabilities at place {} change with later symbols: your model looks ahead.",
            "The mask of the attention: place t hears itself and those before it.",
        ),
    ):
        own = changed.diagonal(dim1=1, dim2=2).movedim(-1, 1)  # (n, T, K): copy t at place t
        moved = ((own - clean).abs() > 1e-3 * (1 + clean.abs())).flatten(2).any(-1).any(0)
        if moved.any():
            raise Wrong(says.format(int(moved.nonzero()[0])), hint)


def _told(reached: Tensor, law: float, x_train: Tensor, x_test: Tensor, place: Tensor, language: NameLanguage) -> str:
    counts = sum(pair_counts(line, len(SYMBOLS)) for line in x_train)
    pairs = kneser_ney_pairs(counts, 0.75).log()[x_test[:, :-1]]
    counted = _bits(pairs, x_test[:, 1:]).mean().item()
    names = reached[_at(language.recalled(x_test), place)].mean().item()
    mean, goal = reached.mean().item(), law + MARGIN
    if mean > goal or names > RECALLED:
        raise missed(
            f"You reach {mean:.3f} bits per character; the goal is {goal:.3f}",
            (
                mean > math.log2(len(SYMBOLS)) + 0.01,
                ". That is worse than all symbols alike.",
                "Does place t of your result predict symbol t? Is the loss falling?",
            ),
            (
                mean > counted - 0.1,
                f". That is no better than counting pairs, {counted:.3f}.",
                "The letters after @ cost you most: let the model see the beginning of the line.",
            ),
            (
                names > RECALLED,
                f". A letter of a name that is said again costs {names:.2f} bits, and could cost none.",
                "Two layers make it easy: one sees how long ago @ was, the next looks up that letter of the name. "
                "Do the tokens have positions?",
            ),
            (
                True,
                f". Names are recalled ({names:.2f} bits a letter); the rest is not learned well enough.",
                "More steps, smaller ones at the end; stop before the training lines are learned by heart.",
            ),
        )
    return (
        f"{mean:.2f} bits per character (the goal was {goal:.2f}, the language has {law:.2f}; counted pairs reach "
        f"{counted:.2f}); a letter of a name that is said again costs {names:.2f}."
    )
