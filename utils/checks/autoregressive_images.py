"""Checks of chapter 12, autoregressive models of images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from utils.checks import draw
from utils.checks.engine import Wrong, exercise, guard
from utils.checks.expect import Mistake, close, parts, tensor
from utils.data import binarize, load

# Nats by which an answer must beat penalized logistic regressions on 500 held-out binarized digits; both see the same
# 1,297 images. What is gained, over three seeds: a MADE that sees one binarization −0.2 to −0.1, logistic regressions
# that see a new one in each epoch 0.3, such a MADE with 256 units and 60 epochs 0.4 to 0.5, one with 512 units and 130
# or 150 epochs 1.2 to 1.5.
HELD_OUT_GAIN = 0.8


def _all_images(n: int) -> Tensor:
    """All black-and-white images of n pixels: (2ⁿ, n)."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * n)


def _log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """log p of each pixel, in the shape of x."""
    return F.logsigmoid((2 * x - 1) * logits)


@exercise("ar.chain_log_prob", call="chain_log_prob(logits, x)")
def chain_log_prob(answer: Callable, generator: Generator) -> None:
    logits, x = 2 * draw.normal(generator, 5, 3, 4), draw.bits(generator, 5, 3, 4)
    p = 1 / (1 + (-logits).exp())
    each = torch.where(x == 1, p, 1 - p)
    truth = each.flatten(1).prod(1).log()
    shapes = [
        Mistake((), "one number for all images", "Sum over the pixels of an image, not over the images."),
        Mistake((5, 3, 4), "one number for each pixel", "Sum the pixels' logarithms: the chain rule multiplies."),
        Mistake((5, 3), "one number for each row", "Sum over rows and columns: `flatten(1).sum(1)`."),
        Mistake((5, 4), "one number for each column", "Sum over rows and columns: `flatten(1).sum(1)`."),
    ]
    close(
        tensor(answer(logits, x), (5,), shapes=shapes),
        truth,
        [
            Mistake(truth.exp(), "You return the probability, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x), a loss.", "Likelier images get higher values."),
            Mistake(truth / 12, "This is the mean over the pixels, not the sum.", "The chain rule is a product: sum."),
            Mistake(truth / math.log(2), "This is in bits, not in nats.", "Use the natural logarithm."),
            Mistake(
                each.sum((1, 2)),
                "You sum the probabilities of the pixels, not their logarithms.",
                "The chain rule multiplies probabilities: add logarithms.",
            ),
            Mistake(
                each.sum((1, 2)).log(),
                "You take the logarithm after the sum: this is log Σ p.",
                "The chain rule multiplies: first the logarithms, then the sum.",
            ),
            Mistake(
                (x * p.log()).sum((1, 2)),
                "Only the pixels that are 1 count: those that are 0 have a probability too.",
                "A pixel that is 0 adds log(1 − σ(a)).",
            ),
            Mistake(
                (x * logits).sum((1, 2)),
                "You sum logits: a logit is no logarithm of a probability.",
                "log σ(a) = −log(1 + e⁻ᵃ).",
            ),
            Mistake(
                _log_prob(p, x).sum((1, 2)),
                "The sigmoid is applied twice.",
                "Functions with `logits` in their name take the logits as they are.",
            ),
            Mistake(
                _log_prob(-logits, x).sum((1, 2)),
                "Zeros and ones are exchanged: σ(a) is the probability of a 1.",
                "A pixel that is 0 counts with 1 − σ(a).",
            ),
        ],
        name="your log_prob",
    )
    hint = "Add logarithms: `torch.nn.functional.logsigmoid`, or a cross-entropy that takes logits."
    logits, x = draw.normal(generator, 2, 50, 60), draw.bits(generator, 2, 50, 60)
    says = "The product of 3000 probabilities underflows to 0."
    large = tensor(answer(logits, x), (2,), not_finite=(says, hint))
    close(large, _log_prob(logits, x).sum((1, 2)), hint=hint)
    logits = torch.tensor([[[800.0, -800.0]], [[-800.0, 800.0]]], dtype=torch.float64)
    x = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)
    says = "With a logit of ±800 your result is log(0): the sigmoid has rounded to 0 or 1."
    extreme = tensor(answer(logits, x), (2,), not_finite=(says, hint))
    close(extreme, torch.tensor([0.0, -1600.0], dtype=torch.float64), hint=hint)


@exercise("ar.fvsbn_log_prob", call="fvsbn_log_prob(weights, bias, x)")
def fvsbn_log_prob(answer: Callable, generator: Generator) -> None:
    dim = 9
    weights, bias, x = 1.5 * draw.normal(generator, dim, dim), draw.normal(generator, dim), _all_images(dim)
    n = len(x)

    def formula(matrix: Tensor, b: Tensor = bias) -> Tensor:
        return _log_prob(b + x @ matrix.T, x).sum(1)

    truth = formula(weights.tril(-1))
    shapes = [
        Mistake((), "one number for all images", "Sum over the pixels, not over the images."),
        Mistake((n, dim), "one number for each pixel", "Sum over the pixels."),
        Mistake((dim,), "you sum over the images", "Sum over the pixels: `dim=1`."),
    ]
    value = tensor(answer(weights, bias, x), (n,), name="your log_prob", shapes=shapes)
    total = f"the probabilities of all 2⁹ images sum to {value.exp().sum().item():.4g}, not to 1"
    backwards = "Row d of the weights belongs to pixel d: only its entries left of the diagonal count."
    close(
        value,
        truth,
        [
            Mistake(
                formula(weights),
                f"You use all weights, so that a pixel knows those after it: {total}.",
                "Only weights with j < d count: `weights.tril(-1)`.",
            ),
            Mistake(
                formula(weights.tril()),
                f"The diagonal is in: a pixel knows itself, and {total}.",
                "j < d is strict: `tril(-1)`.",
            ),
            Mistake(
                formula(weights - weights.diagonal().diag()),
                f"You leave out the diagonal only: a pixel knows those after it, and {total}.",
                "Only weights with j < d count: `weights.tril(-1)`.",
            ),
            Mistake(
                formula(weights.triu(1)),
                "Your chain runs backwards: each pixel looks at those after it.",
                backwards,
            ),
            Mistake(
                formula(weights.tril(-1).T),
                "The weights are transposed after they were masked: each pixel looks at those after it.",
                "a = b + W x is `x @ W.T` for a batch of rows.",
            ),
            Mistake(
                formula(weights.triu(1).T),
                "You read the weights across: W[d, j] leads from pixel j to pixel d, not the other way.",
                backwards,
            ),
            Mistake(formula(weights.tril(-1), 0 * bias), "The bias is missing.", "a_d = b_d + Σ_{j<d} W_dj x_j."),
            Mistake(truth.exp(), "You return the probability, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x), a loss.", "Likelier images get higher values."),
            Mistake(truth / dim, "This is the mean over the pixels, not the sum.", "The chain rule is a product: sum."),
            Mistake(
                _log_prob(torch.sigmoid(bias + x @ weights.tril(-1).T), x).sum(1),
                "The sigmoid is applied twice.",
                "Functions with `logits` in their name take the logits as they are.",
            ),
            # What nobody foresaw: at least say when it is no distribution.
            Mistake(
                value if abs(value.exp().sum() - 1) > 1e-4 else truth,
                f"This is no distribution: {total}.",
                "a_d = b_d + Σ_{j<d} W_dj x_j, then the chain rule of 12.1.",
            ),
        ],
        name="your log_prob",
        hint="a_d = b_d + Σ_{j<d} W_dj x_j, then the chain rule of 12.1.",
    )
    hint = "Add logarithms: `torch.nn.functional.logsigmoid`."
    steep = tensor(answer(1000 * weights, bias, x), (n,), not_finite=("Large weights give you log(0).", hint))
    close(steep, _log_prob(bias + x @ (1000 * weights).tril(-1).T, x).sum(1), hint=hint)


@exercise("ar.fvsbn_gradient", call="fvsbn_gradient(weights, bias, x)")
def fvsbn_gradient(answer: Callable, generator: Generator) -> None:
    n, dim = 7, 5
    weights, bias, x = draw.normal(generator, dim, dim), draw.normal(generator, dim), draw.bits(generator, n, dim)
    x[0], x[1] = 1, 0  # so that no pixel is the same in all images
    with torch.enable_grad():
        w, b = weights.clone().requires_grad_(), bias.clone().requires_grad_()
        loss = -_log_prob(b + x @ w.tril(-1).T, x).sum(1).mean()
        true_w, true_b = torch.autograd.grad(loss, [w, b])
    p = torch.sigmoid(bias + x @ weights.tril(-1).T)
    p_all = torch.sigmoid(bias + x @ weights.T)
    error, squared = p - x, (p - x) * p * (1 - p)

    def product(e: Tensor) -> Tensor:
        return (e.T @ x / n).tril(-1)

    names = ("the gradient of the weights", "the gradient of the bias")
    gradients = parts(answer(weights, bias, x), names)
    per_image = "The loss is a mean over the images: one gradient for the batch."
    value = tensor(
        gradients[0],
        (dim, dim),
        name=names[0],
        shapes=[Mistake((n, dim, dim), "one gradient for each image", per_image)],
    )
    value_b = tensor(
        gradients[1], (dim,), name=names[1], shapes=[Mistake((n, dim), "one gradient for each image", per_image)]
    )
    uphill = "The gradient of a loss points uphill: σ(a) − x, the prediction minus what happened."
    slope = "The slope of σ cancels: ∂ℓ/∂a = σ(a) − x."
    close(
        value,
        true_w,
        [
            Mistake(-true_w, "The sign of the weights' gradient is wrong.", uphill),
            Mistake(n * true_w, "You sum over the images: the loss is their mean.", "Divide by the number of images."),
            Mistake(true_w / dim, "You average over the pixels too.", "log p(x) is a sum over the pixels."),
            Mistake(
                error.T @ x / n,
                "The gradient is not 0 where j ≥ d: these weights take no part.",
                "Keep what is left of the diagonal: `tril(-1)`.",
            ),
            Mistake(
                (error.T @ x / n).tril(), "The diagonal is in: W_dd takes no part.", "j < d is strict: `tril(-1)`."
            ),
            Mistake(
                (x.T @ error / n).tril(-1),
                "The axes of the weights' gradient are swapped: entry [d, j] is the error of d times x of j.",
                "`error.T @ x` has the pixel that is predicted first.",
            ),
            Mistake(
                (x.T @ error / n).triu(1),
                "The weights' gradient is transposed: entry [d, j] is the error of d times x of j.",
                "`error.T @ x` has the pixel that is predicted first.",
            ),
            Mistake(product(squared), "There is a factor σ(a)(1 − σ(a)) too many, as for a squared error.", slope),
            Mistake(
                product(p_all - x),
                "You predict with all weights, those with j ≥ d too.",
                "Mask the weights before you compute the logits.",
            ),
            Mistake(
                product(p),
                "You forgot to subtract x: the gradient is the prediction times x.",
                "∂ℓ/∂a = σ(a) − x.",
            ),
        ],
        name=names[0],
        hint="(σ(a_d) − x_d) x_j for j < d, averaged over the images.",
    )
    close(
        value_b,
        true_b,
        [
            Mistake(-true_b, "The sign of the bias's gradient is wrong.", uphill),
            Mistake(n * true_b, "You sum the bias's gradient over the images: the loss is their mean.", ""),
            Mistake(squared.mean(0), "There is a factor σ(a)(1 − σ(a)) too many in the bias's gradient.", slope),
        ],
        name=names[1],
        hint="σ(a_d) − x_d, averaged over the images.",
    )


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


@exercise("ar.sample", call="sample(model, order, uniforms)")
def sample(answer: Callable, generator: Generator) -> None:
    n, dim = 60, 7
    order = draw.order(generator, dim)
    model, u = _chain_model(generator, order), draw.uniform(generator, n, dim)
    zeros = torch.zeros(n, dim, dtype=torch.float64)
    truth = _walk(model, order, u, zeros)
    value = tensor(
        answer(model, order, u),
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
            Mistake(
                otherwise(lambda u, logit: torch.sigmoid(logit)),
                "You keep probabilities in the place of pixels.",
                "Draw: 1 where the uniform is below the probability, 0 elsewhere.",
            ),
        ],
        name="your images",
        hint="Draw the pixels in the given order; each from the model's logit with the drawn ones in place.",
    )


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
        log_p = _log_prob(model(truth), truth)
        names = ("the completions", "the log-weights")
        values = parts(answer(model, order, x, known, u), names)
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
                Mistake(
                    _walk(model, torch.arange(dim), u, x, known),
                    "You draw row by row: the model has another order.",
                    "Walk through `order`.",
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
                    _log_prob(model(x), x)[:, known].sum(1),
                    "You weigh with the logits of `x`, whose unknown pixels hold anything.",
                    "Ask the model about the completion.",
                ),
                Mistake(
                    _log_prob(model(torch.where(known, x, 0.0)), x)[:, known].sum(1),
                    "You weigh with the logits of an image that has no drawn pixels yet.",
                    "Ask the model about the completion.",
                ),
                Mistake(truth_weight.exp(), "You return the weights, not their logarithms.", "Add logarithms."),
                Mistake(-truth_weight, "The sign of the log-weights is wrong.", "They are sums of log p."),
                Mistake(log_p[:, known].mean(1), "You average over the known pixels.", "log w is a sum."),
                Mistake(
                    model(truth)[:, known].sum(1),
                    "You sum logits, not logarithms of probabilities.",
                    "log p, as in 12.1.",
                ),
            ],
            name=names[1],
            hint="log w = Σ over the known pixels of log p(x_d | those before d), in the completion.",
        )


@exercise("ar.made_masks", call="made_masks(place, degrees)")
def made_masks(answer: Callable, generator: Generator) -> None:
    dim = 5
    for sizes in ((7,), (9, 6)):
        place = draw.order(generator, dim)
        degrees = [torch.randint(dim - 1, (size,), generator=generator) for size in sizes]
        for layer in degrees:
            layer[: dim - 1] = torch.arange(dim - 1)  # every degree occurs
        names = [f"mask {i + 1}" for i in range(len(sizes) + 1)]
        widths = [dim, *sizes, dim]
        masks = []
        for mask, name, (speakers, listeners) in zip(
            parts(answer(place, degrees), names), names, itertools.pairwise(widths), strict=True
        ):
            masks.append(tensor(mask, (listeners, speakers), torch.bool, name).double())
        levels = [place, *degrees]
        raster = torch.arange(dim)
        for i, (speakers, listeners) in enumerate(itertools.pairwise(levels)):
            close(
                masks[i],
                (listeners[:, None] >= speakers).double(),
                [
                    Mistake(
                        listeners[:, None] > speakers,
                        f"Mask {i + 1} is too strict: a unit of degree m may listen to place or degree m itself.",
                        "The strict comparison belongs to the output alone.",
                    ),
                    Mistake(
                        listeners[:, None] <= speakers,
                        f"Mask {i + 1} compares the wrong way: units listen to later pixels.",
                        "Who listens must know at least as much as who speaks.",
                    ),
                    Mistake(
                        listeners[:, None] < speakers,
                        f"Mask {i + 1} compares the wrong way: units listen to later pixels.",
                        "Who listens must know at least as much as who speaks.",
                    ),
                    Mistake(
                        listeners[:, None] >= (raster if i == 0 else speakers),
                        "You use the pixels' numbers, not their places in the order.",
                        "`place[d]` is the place of pixel d.",
                    ),
                    Mistake(
                        listeners[:, None] >= (place.argsort() if i == 0 else speakers),
                        "You invert `place`: it holds the place of each pixel already.",
                        "`place[d]` is the place of pixel d.",
                    ),
                    Mistake(
                        torch.ones_like(masks[i]),
                        f"Mask {i + 1} cuts nothing.",
                        "Compare degrees: who listens with who speaks.",
                    ),
                ],
                name=f"mask {i + 1}",
            )
        path = masks[0]
        for mask in masks[1:]:
            path = mask @ path
        leaks = (path > 0) & (place[:, None] <= place)  # (output, input)
        says = ""
        if leaks.any():
            own = leaks.diagonal().any()
            says = "a pixel reaches its own output" if own else "a pixel reaches the output of an earlier one"
        last = degrees[-1]
        close(
            masks[-1],
            (place[:, None] > last).double(),
            [
                Mistake(
                    place[:, None] >= last,
                    f"The output's mask is not strict: {says}, and the network may copy it.",
                    "A unit of degree m knows the pixel at place m: only outputs at later places may listen, `>`.",
                ),
                Mistake(
                    place[:, None] < last,
                    f"The output's mask compares the wrong way: {says}.",
                    "The output of a pixel listens to units of a lower degree than its place.",
                ),
                Mistake(
                    place[:, None] <= last,
                    f"The output's mask compares the wrong way: {says}.",
                    "The output of a pixel listens to units of a lower degree than its place.",
                ),
                Mistake(
                    raster[:, None] > last,
                    f"The output's mask uses the pixels' numbers, not their places in the order: {says}.",
                    "`place[d]` is the place of pixel d.",
                ),
                Mistake(
                    masks[-1] if leaks.any() else torch.full_like(masks[-1], -1),
                    f"Your masks leak: {says}.",
                    "Follow the degrees from layer to layer; only the output's comparison is strict.",
                ),
            ],
            name=names[-1],
            hint="The output of a pixel listens to units whose degree is less than its place.",
        )


@exercise("ar.causal_mask", call="causal_mask(size, kind)")
def causal_mask(answer: Callable, generator: Generator) -> None:
    for size, kind in itertools.product((3, 5, 7), "AB"):
        mask = answer(size, kind)
        if isinstance(mask, Tensor):
            mask = mask.double()  # zeros and ones of any type
        value = tensor(mask, (size, size), name="your mask")
        middle = size // 2
        row, column = (index.double() for index in torch.meshgrid(*[torch.arange(size) - middle] * 2, indexing="ij"))
        above, left, here = row < 0, (row == 0) & (column < 0), (row == 0) & (column == 0)
        center = here if kind == "B" else torch.zeros_like(here)
        other = torch.zeros_like(here) if kind == "B" else here
        earlier = "The rows above, and in the centre's row the pixels to its left."
        sees = {
            "A": "Mask A shows the centre: the first layer would copy the pixel that it should predict.",
            "B": "Mask B hides the centre: later layers lose what the layer before has found there.",
        }[kind]
        close(
            value,
            (above | left | center).double(),
            [
                Mistake(above | left | other, sees, 'The centre is 0 for "A" and 1 for "B".'),
                Mistake(
                    (column < 0) | ((column == 0) & (row < 0)) | center,
                    "The mask is transposed: it goes column by column.",
                    earlier,
                ),
                Mistake(~(above | left | here) | center, "The mask shows what comes after the centre.", earlier),
                Mistake(
                    above | left | center | (row > 0),
                    "The mask includes the rows below the centre.",
                    "They come later: set them to 0.",
                ),
                Mistake(
                    above | (row == 0) & ((column != 0) | center),
                    "The mask includes the pixels to the right of the centre.",
                    "They come later: set them to 0.",
                ),
                Mistake(above | center, "The pixels to the left of the centre are missing.", earlier),
                Mistake(left | center, "The rows above the centre are missing.", earlier),
                Mistake(
                    ((row < 0) & (column <= 0)) | left | center,
                    "In the rows above, the pixels to the right are missing.",
                    "A row above is earlier over its full width.",
                ),
            ],
            name=f'your mask "{kind}" of size {size}',
            hint=earlier,
        )


@exercise("ar.gated_convolution", call="gated_convolution(x, weights, bias, mask)")
def gated_convolution(answer: Callable, generator: Generator) -> None:
    n, inputs, channels, size, height, width = 2, 3, 4, 5, 6, 7
    x, weights = (
        draw.normal(generator, n, inputs, height, width),
        0.3 * draw.normal(generator, 2 * channels, inputs, size, size),
    )
    bias = draw.normal(generator, 2 * channels)
    mask = torch.zeros(size, size, dtype=torch.float64)
    mask.view(-1)[: size**2 // 2] = 1

    def convolve(kernel: Tensor, b: Tensor = bias) -> Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2)), kernel, b)

    both = convolve(weights * mask)
    u, g = both[:, :channels], both[:, channels:]
    free = convolve(weights)
    bare = convolve(weights * mask, 0 * bias)
    gate = "y = tanh(u) · σ(g): the content may be negative, the gate lies between 0 and 1."
    shapes = [
        Mistake(
            (n, 2 * channels, height, width),
            "as many channels as the convolution made",
            "Half of them are contents, the other half gates.",
        ),
        Mistake(
            (n, channels, height - size + 1, width - size + 1),
            "the image has shrunk",
            "Pad with k // 2 zeros on each side.",
        ),
        Mistake((n // 2, 2 * channels, height, width), "you split the batch", "The channels are axis 1."),
    ]
    close(
        tensor(answer(x, weights, bias, mask), (n, channels, height, width), shapes=shapes),
        u.tanh() * g.sigmoid(),
        [
            Mistake(
                free[:, :channels].tanh() * free[:, channels:].sigmoid(),
                "You forgot the mask: each pixel sees itself and later ones.",
                "Multiply the weights with the mask.",
            ),
            Mistake(u.sigmoid() * g.tanh(), "Content and gate are exchanged.", "The first half is the content."),
            Mistake(
                both[:, ::2].tanh() * both[:, 1::2].sigmoid(),
                "You take every other channel as a gate.",
                "The first half of the channels is the content, the second half the gate.",
            ),
            Mistake(u * g.sigmoid(), "The tanh of the content is missing.", gate),
            Mistake(u.tanh() * g, "The sigmoid of the gate is missing.", gate),
            Mistake(u.tanh() * g.tanh(), "You use tanh for the gate too.", gate),
            Mistake(u.sigmoid() * g.sigmoid(), "You use the sigmoid for the content too.", gate),
            Mistake(u.tanh() + g.sigmoid(), "You add the gate: it multiplies.", gate),
            Mistake(u.relu() * g.sigmoid(), "The content goes through a ReLU: it is tanh here.", gate),
            Mistake(
                bare[:, :channels].tanh() * bare[:, channels:].sigmoid(),
                "The bias is missing.",
                "Give it to the convolution.",
            ),
            Mistake(
                (convolve(weights * mask.flip(0, 1))[:, :channels]).tanh()
                * (convolve(weights * mask.flip(0, 1))[:, channels:]).sigmoid(),
                "You turned the mask around: torch's convolution does not flip its kernel.",
                "Multiply weights and mask as they are.",
            ),
        ],
        hint=gate,
    )


def _nade(generator: Generator, n: int, dim: int, hidden: int) -> tuple[Tensor, ...]:
    scale = dim**-0.5
    return (
        draw.bits(generator, n, dim),
        4 * scale * draw.normal(generator, hidden, dim),
        draw.normal(generator, hidden),
        2 * draw.normal(generator, dim, hidden),
        draw.normal(generator, dim),
    )


@exercise("ar.nade_log_prob", call="nade_log_prob(x, weights, hidden_bias, output, bias)")
def nade_log_prob(answer: Callable, generator: Generator) -> None:
    n, dim, hidden = 6, 8, 5
    x, w, c, v, b = inputs = _nade(generator, n, dim, hidden)

    def formula(shift: int = 0, inside: Callable = torch.sigmoid, c: Tensor = c, b: Tensor = b, flip: bool = False):
        """Pixel d from those before d + shift; with flip, from those after it."""
        total = 0
        for d in range(dim):
            seen = slice(d + 1, None) if flip else slice(0, max(d + shift, 0))
            h = inside(c + x[:, seen] @ w[:, seen].T)
            total = total + _log_prob(b[d] + h @ v[d], x[:, d])
        return total

    truth = formula()
    shapes = [
        Mistake((), "one number for all images", "Sum over the pixels, not over the images."),
        Mistake((n, dim), "one number for each pixel", "Sum over the pixels."),
    ]
    one_step = sum(
        _log_prob(
            b[d] + torch.sigmoid(c + x[:, d - 1 : d] @ w[:, d - 1 : d].T if d else c.expand(n, -1)) @ v[d], x[:, d]
        )
        for d in range(dim)
    )
    close(
        tensor(answer(*inputs), (n,), shapes=shapes),
        truth,
        [
            Mistake(
                formula(shift=1),
                "You add pixel d to the sum before you predict it: the pixel knows itself.",
                "First predict, then add its column.",
            ),
            Mistake(formula(shift=dim), "Each pixel knows all pixels, itself too.", "Only columns j < d count."),
            Mistake(formula(shift=-1), "The sum lags behind: pixel d does not know pixel d − 1.", "Use all j < d."),
            Mistake(
                one_step,
                "Each pixel knows the last one only: the sum does not grow.",
                "Add each column to what is there.",
            ),
            Mistake(formula(flip=True), "Your chain runs backwards: each pixel looks at those after it.", "j < d."),
            Mistake(
                formula(inside=lambda a: a),
                "The sigmoid of the hidden units is missing.",
                "h = σ(running sum); keep the sum itself without it.",
            ),
            Mistake(formula(inside=torch.relu), "The hidden units use ReLU: it is the sigmoid here.", ""),
            Mistake(formula(inside=torch.tanh), "The hidden units use tanh: it is the sigmoid here.", ""),
            Mistake(formula(c=0 * c), "The bias of the hidden units is missing.", "The running sum starts with c."),
            Mistake(formula(b=0 * b), "The bias of the pixels is missing.", "The logit is b_d + V[d] · h_d."),
            Mistake(truth.exp(), "You return the probability, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x), a loss.", "Likelier images get higher values."),
            Mistake(truth / dim, "This is the mean over the pixels, not the sum.", "The chain rule is a product: sum."),
        ],
        name="your log_prob",
        hint="Predict pixel d from c + Σ_{j<d} W[:, j] x_j, then add column d.",
    )
    work = []
    for dim in (40, 160):
        inputs = _nade(generator, 2, dim, 64)
        work.append(answer.work(*inputs))
    if work[1] > 7 * work[0]:
        raise Wrong(
            f"Right, but slow: with 4 times the pixels you do {work[1] / work[0]:.0f} times the work.",
            "Keep a running sum: for each pixel add one column, W[:, d] x_d, to what is there.",
        )


@exercise("ar.receptive_field", call="receptive_field(size, n_layers, height, width, row, column)")
def receptive_field(answer: Callable, generator: Generator) -> None:
    def seen(size: int, kinds: str, height: int, width: int, row: int, column: int) -> Tensor:
        """By the gradient of a stack of convolutions with positive weights: which pixels move the output."""
        reach = size // 2
        with torch.enable_grad():
            x = torch.zeros(1, 1, height, width, dtype=torch.float64, requires_grad=True)
            y = x
            for kind in kinds:
                kernel = torch.ones(1, 1, size, size, dtype=torch.float64)
                if kind != "*":
                    kernel[0, 0, reach, reach + (kind == "B") :] = 0
                    kernel[0, 0, reach + 1 :] = 0
                y = F.conv2d(y, kernel, padding=reach)
            return torch.autograd.grad(y[0, 0, row, column], x)[0][0, 0] > 0

    for size, n_layers, height, width, row, column in [
        (3, 1, 6, 7, 3, 3), (3, 4, 9, 11, 6, 4), (3, 3, 8, 9, 5, 0), (5, 2, 9, 10, 6, 5), (7, 2, 15, 14, 10, 4),
    ]:  # fmt: skip
        field = (height, width, row, column)
        r, c = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        earlier = (r < row) | (r == row) & (c < column)
        far = n_layers * (size // 2)
        box = (r >= row - far) & ((c - column).abs() <= far)
        mask = answer(size, n_layers, *field)
        value = tensor(mask, (height, width), torch.bool)
        truth = seen(size, "A" + "B" * (n_layers - 1), *field)
        first = "The first layer has mask A, all others mask B."
        close(
            value.double(),
            truth.double(),
            [
                Mistake(
                    seen(size, "B" * n_layers, *field),
                    "The pixel sees itself: you use mask B in all layers.",
                    first,
                ),
                Mistake(
                    seen(size, "A" * n_layers, *field),
                    "You use mask A in all layers: each leaves out the centre.",
                    first,
                ),
                Mistake(
                    truth | ((r == row) & (c == column)),
                    "The pixel sees itself: the first layer hides the centre.",
                    first,
                ),
                Mistake(
                    earlier & box,
                    "You miss the blind spot: a kernel reaches right only in the rows above.",
                    "Go layer by layer: to the right of the pixel, each row up gains half a kernel.",
                ),
                Mistake(
                    earlier,
                    "This is every earlier pixel: a stack of layers does not see them all.",
                    "Each layer reaches half a kernel further; on the right there is a blind spot.",
                ),
                Mistake(
                    seen(size, "*" * n_layers, *field),
                    "You use no mask: later pixels are seen.",
                    first,
                ),
                Mistake(
                    seen(size, "A" + "B" * n_layers, *field),
                    "You have one layer too many.",
                    "`n_layers` counts the layer with mask A too.",
                ),
                Mistake(
                    seen(size, "A" + "B" * (n_layers - 2), *field) if n_layers > 1 else torch.zeros_like(truth),
                    "You have one layer too few.",
                    "`n_layers` counts the layer with mask A too.",
                ),
                Mistake(
                    ~truth,
                    "It is the wrong way round: True means seen.",
                    "Negate it.",
                ),
            ],
            name=f"your field for {n_layers} layer(s) of size {size} at ({row}, {column})",
            hint="Start with the pixel alone; replace each place by what its mask lets through, n_layers times.",
        )


def _above(x: Tensor, vertical: Tensor, shift: int = 0) -> Tensor:
    """The vertical part; with shift = 1 its last row lies on the pixel's own row."""
    height, width = x.shape[-2:]
    rows, columns = vertical.shape[-2:]
    padded = F.pad(x, (columns // 2, columns // 2, rows, 1))
    return sum(
        torch.einsum("oi,bihw->bohw", vertical[:, :, i, j], padded[:, :, i + shift :, j:][:, :, :height, :width])
        for i, j in itertools.product(range(rows), range(columns))
    )


def _beside(x: Tensor, horizontal: Tensor, shift: int = 0) -> Tensor:
    """The horizontal part; with shift = 1 its last entry lies on the pixel itself."""
    width, reach = x.shape[-1], horizontal.shape[-1]
    padded = F.pad(x, (reach, 1))
    return sum(
        torch.einsum("oi,bihw->bohw", horizontal[:, :, 0, j], padded[..., j + shift :][..., :width])
        for j in range(reach)
    )


@exercise("ar.two_stacks", call="two_stacks(x, vertical, horizontal)")
def two_stacks(answer: Callable, generator: Generator) -> None:
    for n, inputs, outputs, rows, reach, height, width in [
        (2, 1, 1, 1, 1, 4, 5),
        (2, 3, 4, 2, 1, 5, 6),
        (1, 2, 3, 3, 2, 7, 6),
    ]:
        x = draw.normal(generator, n, inputs, height, width)
        vertical = draw.normal(generator, outputs, inputs, rows, 2 * reach + 1)
        horizontal = draw.normal(generator, outputs, inputs, 1, reach)

        above, beside = partial(_above, x, vertical), partial(_beside, x, horizontal)
        truth = above() + beside()
        shapes = [
            Mistake(
                (n, outputs, height + 1, width),
                "a row too many",
                "The convolution over m rows of padding ends below the image: drop the last row.",
            )
        ]
        value = tensor(answer(x, vertical, horizontal), (n, outputs, height, width), shapes=shapes)
        pad = "Pad by one row more above, and drop the last row, before the convolution."
        pad_left = "Pad h columns on the left, and drop the last column, before the convolution."
        close(
            value,
            truth,
            [
                Mistake(
                    above(1) + beside(),
                    "The vertical kernel lies on the pixel's own row: it sees the pixel and those to its right.",
                    pad,
                ),
                Mistake(
                    above() + beside(1),
                    "The horizontal kernel lies on the pixel itself: it sees what it should predict.",
                    pad_left,
                ),
                Mistake(
                    above(1) + beside(1),
                    "Both kernels lie on the pixel itself: nothing is shifted.",
                    f"{pad} {pad_left}",
                ),
                Mistake(above(), "The horizontal part is missing.", "Add the two sums."),
                Mistake(beside(), "The vertical part is missing.", "Add the two sums."),
                Mistake(above() * beside(), "You multiply the two parts.", "Add the two sums."),
                Mistake(above() - beside(), "You subtract the horizontal part.", "Add the two sums."),
            ],
            hint="Set all entries but one of a kernel to 0 and look at what is shifted by how much.",
        )


@exercise("ar.draw_level", call="draw_level(logits, temperature, uniforms)")
def draw_level(answer: Callable, generator: Generator) -> None:
    n, k = 200, 6

    counts = "Level 0 is the first one: count the cumulated sums that are ≤ u."
    rounding = "Rounding leaves the last cumulated sum below 1: clamp the result."

    def ask(logits: Tensor, temperature: float, u: Tensor, hint: str = counts) -> Tensor:
        level = tensor(answer(logits, temperature, u), (len(u),), torch.int64, name="your levels")
        if level.min() < 0 or level.max() >= logits.shape[1]:
            wrong = int(level.max()) if level.max() >= logits.shape[1] else int(level.min())
            raise Wrong(f"You return level {wrong}, but the levels are 0 to {logits.shape[1] - 1}.", hint)
        return level.double()

    def invert(p: Tensor, u: Tensor) -> Tensor:
        return (p.cumsum(-1) <= u[:, None]).sum(-1).clamp(max=p.shape[1] - 1).double()

    for temperature in (0.5, 2.0, 1.0):
        logits, u = 2 * draw.normal(generator, n, k), draw.uniform(generator, n)
        p = (logits / temperature).softmax(-1)
        truth = invert(p, u)
        plain = logits.softmax(-1)
        divide = "Divide the logits by the temperature, before the softmax."
        mistakes = [
            Mistake(logits.argmax(-1), "You take the likeliest level: nothing is drawn.", "Use the uniforms."),
            Mistake(
                k - 1 - invert(p.flip(-1), u),
                "You cumulate from the last level down.",
                "Level 0 gets the smallest uniforms.",
            ),
            Mistake((truth - 1).clamp_min(0), "Your levels are one too low.", "Count the sums that are ≤ u."),
            Mistake((truth + 1).clamp_max(k - 1), "Your levels are one too high.", "Count the sums that are ≤ u."),
            Mistake(
                invert((logits / temperature).softmax(0), u),
                "You normalize over the rows: each row is a distribution of its own.",
                "`softmax(-1)`.",
            ),
        ]
        if temperature != 1:
            mistakes = [
                Mistake(
                    invert((logits * temperature).softmax(-1), u),
                    "You multiply with the temperature: it divides.",
                    "A low temperature makes the logits large, and the choice sharp.",
                ),
                Mistake(
                    invert(plain, u),
                    "The temperature has no effect.",
                    f"{divide} Dividing probabilities by it and normalizing again changes nothing.",
                ),
                Mistake(
                    invert((plain / temperature).softmax(-1), u),
                    "The softmax is applied twice.",
                    divide,
                ),
                Mistake(
                    invert(plain / temperature, u),
                    "You divide probabilities by the temperature: they no longer sum to 1.",
                    divide,
                ),
                *mistakes,
            ]
        close(
            ask(logits, temperature, u),
            truth,
            mistakes,
            name="your choice of levels",
            hint="Smallest k with u < Σ_{j≤k} p(j).",
        )
    logits = draw.normal(generator, 50, k)
    u = 0.02 + 0.96 * draw.uniform(generator, 50)
    overflown = (logits / 1e-5).exp()
    overflown = (overflown / overflown.sum(-1, keepdim=True)).cumsum(-1)
    nan = "At a temperature near 0 your exponentials overflow, and the probabilities are NaN."
    largest = "Only the likeliest level is left. `softmax` subtracts the largest logit first."
    close(
        ask(logits, 1e-5, u),
        logits.argmax(-1).double(),
        [
            Mistake((overflown <= u[:, None]).sum(-1), nan, largest),
            Mistake((~(overflown > u[:, None])).sum(-1).clamp(max=k - 1), nan, largest),
        ],
        name="your choice of levels at a temperature near 0",
        hint=largest,
    )
    logits, u = draw.normal(generator, 300, 256), torch.full((300,), 1 - 2**-53, dtype=torch.float64)
    ask(logits, 1.0, u, rounding)


def _logistic_regressions(x: Tensor, x_new: Tensor, penalty: float = 1e-3) -> float:
    """log p of new images, nats an image, by one penalized logistic regression for each pixel."""
    x, x_new = x.float(), x_new.float()
    dim = x.shape[1]
    with torch.enable_grad():
        weights = torch.zeros(dim, dim, requires_grad=True)
        bias = torch.zeros(dim, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=150, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = -_log_prob(bias + x @ weights.tril(-1).T, x).sum(1).mean() + penalty * weights.square().sum()
            value.backward()
            return value

        optimizer.step(loss)
    with torch.no_grad():
        return _log_prob(bias + x_new @ weights.tril(-1).T, x_new).sum(1).mean().item()


@exercise("ar.train", call="train_logits(x_train)", seconds=60)
def train(answer: Callable, generator: Generator) -> str:
    digits = load("digits").flat()
    gray = torch.cat([digits.x_train, digits.x_test]).double()
    gray = gray[torch.randperm(len(gray), generator=generator)]
    x_train, x_test = gray[: len(digits.x_train)], binarize(gray[len(digits.x_train) :], generator)
    dim = x_test.shape[1]

    returned = answer(x_train)
    if not callable(returned):
        kind = type(returned).__name__
        raise Wrong(
            f"Your function returns a `{kind}`, not a function.", "Return `logits`, to be called on new images."
        )
    guarded = guard(returned, "logits(x)")

    def logits(x: Tensor) -> Tensor:
        value = guarded(x)
        if isinstance(value, Tensor) and value.is_floating_point():
            value = value.double()
        shapes = [
            Mistake(
                (len(x),), "one number for each image", "Return the logit of each pixel: the check sums log p itself."
            ),
            Mistake((len(x), dim, 1), "an axis too many", "`squeeze(-1)`."),
        ]
        return tensor(value, x.shape, name="your tensor of logits", shapes=shapes)

    value = logits(x_test)
    if not torch.allclose(logits(x_test), value, rtol=1e-3, atol=1e-3):
        raise Wrong("Your logits differ when asked twice: dropout is still on.", "Call `eval()` after the training.")
    if not torch.allclose(logits(x_test[:7]), value[:7], rtol=1e-3, atol=1e-3):
        raise Wrong(
            "The logits of an image depend on which other images you are asked about.",
            "Batch normalization does so: call `eval()`, or leave it out.",
        )
    _looks_ahead(logits, x_test[:3], generator)
    if 0 <= value.min() < value.max() <= 1:
        raise Wrong(
            "Your logits all lie between 0 and 1: they look like probabilities.", "Return them without sigmoid."
        )

    reached = _log_prob(value, x_test).sum(1).mean().item()
    binary = binarize(x_train, generator)
    p = (binary.sum(0) + 1) / (len(binary) + 2)
    simple = _log_prob(p.logit(), x_test).sum(1).mean().item()
    baseline = _logistic_regressions(binary, x_test)
    goal = baseline + HELD_OUT_GAIN
    if reached < goal:
        says = f"You reach {reached:.2f} nats a held-out image; the goal is {goal:.2f}"
        if reached < simple - 0.1:
            raise Wrong(
                f"{says}. That is worse than independent pixels, {simple:.2f}.",
                "Does the loss take logits? Is it falling? Are the pixels in their order, row by row?",
            )
        if reached < simple + 0.3:
            raise Wrong(
                f"{says}. That is no better than independent pixels, {simple:.2f}.",
                "Does a logit depend on earlier pixels at all? More epochs, larger steps.",
            )
        tips = "Binarize the grey images anew in each epoch; many hidden units, more epochs, smaller steps at the end."
        if reached < baseline + 0.15:
            raise Wrong(f"{says}. That is no better than logistic regressions, {baseline:.2f}.", tips)
        raise Wrong(f"{says}. You beat the logistic regressions, {baseline:.2f}, but not by enough.", tips)
    return (
        f"{reached:.2f} nats a held-out image (the goal was {goal:.2f}; logistic regressions reach {baseline:.2f}, "
        f"independent pixels {simple:.2f})."
    )


def _looks_ahead(logits: Callable, x: Tensor, generator: Generator) -> None:
    """Reject logits that change with their own or a later pixel."""
    n, dim = x.shape
    clean = logits(x)  # (n, dim)

    def moved(changed: Tensor) -> Tensor:
        """changed[d] (n, dim): copies for pixel d; True for each pixel whose logit they move: (dim,)."""
        given = logits(changed.flatten(0, 1)).unflatten(0, (dim, n))
        each = torch.stack([given[d, :, d] for d in range(dim)])  # (dim, n)
        return ((each - clean.T).abs() > 1e-3 * (1 + clean.T.abs())).any(1)

    own, later = x.repeat(dim, 1, 1), x.repeat(dim, 1, 1)
    for d in range(dim):
        own[d, :, d] = 1 - x[:, d]
        later[d, :, d + 1 :] = 1 - x[:, d + 1 :]
    if moved(own).any():
        d = moved(own).nonzero()[0].item()
        raise Wrong(
            f"The logit of pixel {d} changes with pixel {d} itself: it knows what it should predict.",
            "The output's mask must be strict; in a PixelCNN the first layer needs mask A.",
        )
    scattered = torch.where(later != x, draw.bits(generator, *later.shape), x)
    for changed in (later, scattered):
        if moved(changed).any():
            d = moved(changed).nonzero()[0].item()
            raise Wrong(
                f"The logit of pixel {d} changes with later pixels: your model looks ahead.",
                "Pixels are in their order, row by row: the logit of pixel d may use pixels 0 to d − 1.",
            )
