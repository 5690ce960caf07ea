"""Checks of chapter 12: samples and completions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.autoregressive_images._pixels import pixel_log_prob
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, repeatable, tensor
from utils.checks.verdicts import Wrong


def _chain_model(generator: Generator, order: Tensor) -> Callable[[Tensor], Tensor]:
    """Logits of logistic regressions along this order, steep enough that the drawn pixels matter."""
    dim = len(order)
    place = order.argsort()
    weights = 3 * draw.normal(generator, dim, dim) * (place[:, None] > place)
    bias = draw.normal(generator, dim)
    bias[order[0]] = 0.4  # above 0 but below 1: rounding and comparing with the logit itself differ

    def model(x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or x.shape[-1:] != (dim,) or x.ndim != 2:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise Wrong(f"You call the model with {shape}, expected images (B, {dim}).", "Give it all the pixels.")
        return bias + x.to(bias.dtype) @ weights.T

    return model


def _below_probability(u: Tensor, logit: Tensor) -> Tensor:
    return u < torch.sigmoid(logit)


def _walk(
    model: Callable,
    order: Tensor,
    uniforms: Tensor,
    start: Tensor,
    known: Tensor | None = None,
    choose: Callable[[Tensor, Tensor], Tensor] = _below_probability,
) -> Tensor:
    """Ancestral sampling in this order, from the values in `start`; `choose` makes pixels of uniforms and logits."""
    x = start.clone()
    for d in order.tolist():
        if known is None or not known[d]:
            x[:, d] = choose(uniforms[:, d], model(x)[:, d]).double()
    return x


def _on_the_edge(answer: Callable, *between: Tensor) -> Tensor:
    """What `answer` draws for three pixels with probability 0, ½ and 0, where every uniform number is ½ exactly."""
    logits = torch.tensor([-1000.0, 0.0, -1000.0], dtype=torch.float64)
    return answer(lambda x: 0 * x.double() + logits, torch.arange(3), *between, torch.full((2, 3), 0.5).double())


@exercise("ar.sample", call="sample(model, order, uniforms)")
def sample(answer: Callable, generator: Generator) -> None:
    n, dim = 60, 7
    order = draw.order(generator, dim)
    model, u = _chain_model(generator, order), draw.uniform(generator, n, dim)
    zeros = torch.zeros(n, dim, dtype=torch.float64)
    truth = _walk(model, order, u, zeros)
    value = tensor(
        repeatable(answer, model, order, u, hint="Compare the probabilities with `uniforms`."),
        (n, dim),
        name="your images",
        shapes=[Mistake((n,), "one number for each image", "Return the pixels.")],
    )

    def otherwise(choose: Callable) -> Tensor:
        return _walk(model, order, u, zeros, choose=choose)

    follow = "Walk through `order`: its first entry is the pixel to draw first."
    close(
        value,
        truth,
        [
            Mistake(
                (u < torch.sigmoid(model(zeros))).double(),
                "You draw each pixel as if all before it were 0: all at once, or from the last to the first.",
                "Walk through `order`: draw one pixel, put it in its place, ask the model again.",
            ),
            Mistake(
                _walk(model, torch.arange(dim), u, zeros),
                "You draw row by row: the model has another order.",
                follow,
            ),
            Mistake(
                _walk(model, order.argsort(), u, zeros),
                "You take the places for the pixels: `order[k]` is the pixel at place k.",
                follow,
            ),
            Mistake(
                _walk(model, order, u[:, order.argsort()], zeros),
                "You use the random numbers in the order of drawing: pixel d has its own, `uniforms[:, d]`.",
                "Index the uniforms by the pixel, not by the step.",
            ),
            Mistake(
                otherwise(lambda u, logit: logit > 0),
                "You round: every image is the same.",
                "A pixel is 1 where its uniform is below σ(logit).",
            ),
            Mistake(
                otherwise(lambda u, logit: u > torch.sigmoid(logit)),
                "You draw 1 with probability 1 − σ(a).",
                "A pixel is 1 where its uniform is below σ(logit).",
            ),
            Mistake(
                otherwise(lambda u, logit: u < logit),
                "You compare the uniforms with logits.",
                "The probability is σ(logit).",
            ),
            Mistake(
                otherwise(lambda u, logit: u < torch.sigmoid(torch.sigmoid(logit))),
                "The sigmoid is applied twice.",
                "The model returns logits.",
            ),
            Mistake(_walk(model, order, 1 - u, zeros), "You take 1 − u for u.", "A pixel is 1 where u < σ(logit)."),
            Mistake(_walk(model, order.flip(0), u, zeros), "You walk through `order` backwards.", follow),
            Mistake(_walk(model, order, u[:1], zeros), "You use the first image's numbers for all.", "Row by row."),
            Mistake(
                otherwise(lambda u, logit: u < torch.sigmoid(-logit)), "The logit has the wrong sign.", "u < σ(logit)."
            ),
            Mistake(2 * truth - 1, "Your pixels are −1 and +1.", "They are 0 and 1."),
            Mistake(
                otherwise(lambda u, logit: torch.sigmoid(logit)),
                "You keep probabilities in the place of pixels.",
                "Draw: 1 where the uniform is below the probability, 0 elsewhere.",
            ),
        ],
        name="your images",
        hint="Draw the pixels in the given order; each from the model's logit with the drawn ones in place.",
    )
    # Each pixel is what the one before it is: the last knows the first only after as many steps as there are pixels.
    before = torch.cat([order[:1], order[:-1]])[order.argsort()]

    def copying(x: Tensor) -> Tensor:
        logits = 1000 * (2 * x.double()[:, before] - 1)
        logits[:, order[0]] = 1000.0
        return logits

    ones = torch.ones(2, dim, dtype=torch.float64)
    close(
        tensor(answer(copying, order, 0.5 * ones), (2, dim), name="your images"),
        ones,
        name="your images of a model in which each pixel copies the one before it",
        hint="Draw one pixel, put it in its place, ask the model again: the last one is right only after D steps.",
    )
    if torch.as_tensor(_on_the_edge(answer)).any():
        raise Wrong("A pixel is 1 where its uniform equals its probability.", "Only below its probability: u < p.")


@exercise("ar.complete", call="complete(model, order, x, known, uniforms)")
def complete(answer: Callable, generator: Generator) -> None:
    n, dim = 60, 8
    for first in (False, True):
        order = draw.order(generator, dim)
        model, u, x = _chain_model(generator, order), draw.uniform(generator, n, dim), draw.bits(generator, n, dim)
        known = torch.zeros(dim, dtype=torch.bool)
        # Known first in the order, as an upper half is; or every other pixel, the last one too.
        known[order[:4] if first else order[1::2]] = True
        truth = _walk(model, order, u, x, known)
        log_p = pixel_log_prob(model(truth), truth)
        names = ("the completions", "the log-weights")
        values, again = (parts(answer(model, order, x, known, u), names) for _ in range(2))
        if isinstance(values[0], Tensor) and not torch.equal(values[0], again[0]):
            raise Wrong("You draw random numbers of your own.", "Compare the probabilities with `uniforms`.")
        value = tensor(
            values[0],
            (n, dim),
            name=names[0],
            shapes=[Mistake((n, int((~known).sum())), "only the unknown pixels", "Put them among the known ones.")],
        )
        weight = tensor(
            values[1],
            (n,),
            name=names[1],
            shapes=[
                Mistake((), "one number for all images", "Each completion has its own weight."),
                Mistake((n, dim), "one number for each pixel", "Sum over the known pixels."),
                Mistake((n, int(known.sum())), "one number for each pixel", "Sum over the known pixels."),
            ],
        )
        blind = _walk(model, order, u, x)  # draws all, as if nothing were known
        keep = "Known pixels stay as they are, from the first step on."
        close(
            value,
            truth,
            [
                Mistake(blind, "You draw the known pixels too.", keep),
                Mistake(
                    torch.where(known, x, blind),
                    "You paste the known pixels in at the end: the others were drawn without them.",
                    keep,
                ),
                Mistake(
                    _walk(model, order, u, x, ~known),
                    "It is the wrong way round: you keep the unknown pixels and draw the known ones.",
                    "`known` is True where the value is given.",
                ),
                Mistake(
                    torch.where(known, x, (u < torch.sigmoid(model(x))).double()),
                    "You draw all unknown pixels at once: none knows what the others became.",
                    "Draw one pixel, put it in its place, ask the model again.",
                ),
                *(
                    Mistake(_walk(model, walked, u, start, known), says, "Walk through `order`, first to last.")
                    for start in (x, torch.where(known, x, 0.0))
                    for walked, says in (
                        (torch.arange(dim), "You draw row by row: the model has another order."),
                        (order.flip(0), "You walk through `order` backwards."),
                        (order.argsort(), "You take the places for the pixels: `order[k]` is the pixel at place k."),
                    )
                ),
                Mistake(
                    _walk(model, order, u[:, order.argsort()], x, known),
                    "You use the random numbers in the order of drawing: pixel d has its own, `uniforms[:, d]`.",
                    "Index the uniforms by the pixel, not by the step.",
                ),
                Mistake(
                    _walk(model, order, 1 - u, x, known), "You take 1 − u for u.", "A pixel is 1 where u < σ(logit)."
                ),
                Mistake(
                    _walk(model, order, u, x, known, lambda u, logit: logit > 0),
                    "You round the unknown pixels.",
                    "A pixel is 1 where its uniform is below σ(logit).",
                ),
                Mistake(
                    _walk(model, order, u, x, known, lambda u, logit: u > torch.sigmoid(logit)),
                    "You draw 1 with probability 1 − σ(a).",
                    "A pixel is 1 where its uniform is below σ(logit).",
                ),
                Mistake(
                    _walk(model, order, u, x, known, lambda u, logit: u < logit),
                    "You compare the uniforms with logits.",
                    "The probability is σ(logit).",
                ),
                Mistake(
                    _walk(model, order, u[:1], x, known), "You use the first image's numbers for all.", "Row by row."
                ),
                Mistake(x, "You return `x` as it was given.", "Draw the unknown pixels."),
            ],
            name=names[0],
            hint="Walk through `order`; skip the known pixels, draw the others as in 12.4.",
        )
        truth_weight = log_p[:, known].sum(1)
        close(
            weight,
            truth_weight,
            [
                Mistake(log_p.sum(1), "You weigh with all pixels: only the known ones count.", "`[:, known]`."),
                Mistake(
                    log_p[:, ~known].sum(1),
                    "You weigh with the pixels that were drawn: what counts is how well the known ones are explained.",
                    "`[:, known]`.",
                ),
                Mistake(
                    pixel_log_prob(model(x), x)[:, known].sum(1),
                    "You weigh with the logits of `x`, whose unknown pixels hold anything.",
                    "Ask the model about the completion.",
                ),
                Mistake(
                    pixel_log_prob(model(torch.where(known, x, 0.0)), x)[:, known].sum(1),
                    "You weigh with the logits of an image that has no drawn pixels yet.",
                    "Ask the model about the completion.",
                ),
                Mistake(truth_weight.exp(), "You return the weights, not their logarithms.", "Add logarithms."),
                Mistake(-truth_weight, "The sign of the log-weights is wrong.", "They are sums of log p."),
                Mistake(log_p[:, known].mean(1), "You average over the known pixels.", "log w is a sum."),
                Mistake(
                    model(truth)[:, known].mean(1),
                    "You average logits, not logarithms of probabilities.",
                    "log p: 12.1.",
                ),
                Mistake(log_p.mean(1), "You average over all pixels.", "Sum over the known ones."),
                Mistake(
                    (truth * log_p)[:, known].sum(1),
                    "Only the known pixels that are 1 count.",
                    "A pixel that is 0 adds log(1 − σ(a)).",
                ),
                Mistake(
                    torch.nn.functional.logsigmoid(model(truth))[:, known].sum(1),
                    "You weigh as if every known pixel were 1.",
                    "A pixel that is 0 adds log(1 − σ(a)).",
                ),
                Mistake(truth_weight.log_softmax(0), "You normalized the weights.", "Return them as they are."),
                Mistake(truth_weight / math.log(2), "Your log-weights are in bits.", "The natural logarithm."),
                Mistake(
                    model(truth)[:, known].sum(1),
                    "You sum logits, not logarithms of probabilities.",
                    "log p, as in 12.1.",
                ),
            ],
            name=names[1],
            hint="log w = Σ over the known pixels of log p(x_d | those before d), in the completion.",
        )
    # Known pixels that the model thinks impossible, and between them an unknown one.
    x, known = torch.ones(2, 3, dtype=torch.float64), torch.tensor([True, False, True])
    drawn, weight = parts(_on_the_edge(answer, x, known), ("the completions", "the log-weights"))
    if torch.as_tensor(drawn)[:, 1].any():
        raise Wrong("A pixel is 1 where its uniform equals its probability.", "Only below its probability: u < p.")
    safe = "No `clamp`, no small number in it: `torch.nn.functional.logsigmoid` is safe."
    says = (
        "A known pixel that the model thinks impossible gives log(0): its probability has rounded to 0, or an "
        "exponential has overflowed."
    )
    weight = tensor(weight, (2,), name="the log-weights", not_finite=(says, safe))
    if not (weight < -1000).all():
        raise Wrong("A known pixel that the model thinks impossible costs too little: its logarithm is cut off.", safe)
    close(weight, torch.full((2,), -2000.0).double(), name="the log-weights of impossible pixels", hint=safe)
    known = torch.ones(3, dtype=torch.bool)
    weight = parts(
        answer(lambda x: 0 * x.double() + 1000, torch.arange(3), 0 * x, known, 0.5 * x),
        ("the completions", "log-weights"),
    )[1]
    weight = tensor(weight, (2,), name="the log-weights", not_finite=(says, safe))
    close(weight, torch.full((2,), -3000.0).double(), name="the log-weights of impossible pixels", hint=safe)
