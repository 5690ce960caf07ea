"""Checks of chapter 7: what a grid of codes costs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, tensor


@exercise("vq.one_hot_bound", call="one_hot_bound(x, pixel_logits, codes, code_logits)")
def one_hot_bound(answer: Callable, generator: Generator) -> None:
    batch, height, width, rows, columns, n_codes = 4, 5, 7, 2, 3, 6
    x, a = draw.bits(generator, batch, height, width), 2 * draw.normal(generator, batch, height, width)
    codes = torch.randint(n_codes, (batch, rows, columns), generator=generator)
    level = 5 * draw.normal(generator, batch, 1, rows, columns)  # the softmax takes it out
    b = 1.5 * draw.normal(generator, batch, n_codes, rows, columns) + level
    p = 1 / (1 + (-a).exp())
    pixels = torch.where(x == 1, p, 1 - p)  # (B, H, W)
    chosen = b.softmax(1).gather(1, codes[:, None])[:, 0]  # (B, h, w)
    fit, price = pixels.log().sum((1, 2)), chosen.log().sum((1, 2))

    def chosen_by(log_p: Tensor, codes: Tensor = codes) -> Tensor:
        return log_p.gather(1, codes[:, None])[:, 0].sum((1, 2))

    def other(axis: int) -> Tensor:
        return chosen_by(b.log_softmax(axis))

    flat = b.flatten(1).log_softmax(1).reshape(b.shape)
    entropy = -(b.softmax(1) * b.log_softmax(1)).sum((1, 2, 3))
    truth = fit + price
    turned = chosen_by(b.log_softmax(1), codes.flatten(1).reshape(batch, columns, rows).mT)
    hint = "Sum log σ(±a) over the pixels, and the log-softmax at the codes that stand there over the places."
    shapes = [
        Mistake((), "one number for all images", "One bound for each image."),
        Mistake((batch, height, width), "one for each pixel", "Sum over pixels and over places."),
        Mistake((batch, rows, columns), "one for each place", "Sum over pixels and over places."),
    ]
    close(
        tensor(answer(x, a, codes, b), (batch,), name="your bound", shapes=shapes),
        truth,
        [
            Mistake(-truth, "The sign is wrong: this bounds −log p(x) from above.", "Higher is better."),
            Mistake(fit, "The codes are free: log p(c) is missing.", "A one-hot posterior pays the full length."),
            Mistake(price, "log p(x | c) is missing.", "Both terms count."),
            Mistake(fit - price, "You subtract log p(c), as if a long code were a gain.", "Add both logarithms."),
            Mistake(price - fit, "You subtract log p(x | c).", "Add both logarithms."),
            Mistake(
                fit - rows * columns * math.log(n_codes),
                "All codes cost log K, as if the prior were uniform.",
                "Use `code_logits`.",
            ),
            Mistake(
                fit + price + entropy,
                "You add the entropy of the prior: it is that of q that the ELBO adds, and q is one-hot.",
                "Its entropy is 0.",
            ),
            Mistake(
                fit - entropy,
                "You subtract the entropy of the prior: what the codes cost on average, not these codes.",
                "The log-probability of the codes that stand there.",
            ),
            Mistake(
                fit + chosen_by(b),
                "You sum logits of the codes: a logit is no logarithm of a probability.",
                "`log_softmax` over the codes, dim=1.",
            ),
            *(
                Mistake(
                    fit + other(axis),
                    "Your softmax runs over another axis than the codes.",
                    "The codes lie along axis 1.",
                )
                for axis in (0, 2, 3)
            ),
            Mistake(
                fit + chosen_by(flat),
                "Your softmax runs over all places together.",
                "Each place has probabilities of its own, over axis 1.",
            ),
            Mistake(fit + chosen.sum((1, 2)), "You sum probabilities of codes, not their logarithms.", hint),
            Mistake(pixels.sum((1, 2)) + price, "You sum probabilities of pixels, not their logarithms.", hint),
            Mistake(
                fit + b.log_softmax(1).amax(1).sum((1, 2)),
                "You take the likeliest code at each place, not the one that stands there.",
                "`gather` with `codes`.",
            ),
            Mistake(fit + chosen_by(b.log_softmax(1), n_codes - 1 - codes), "You look up the codes in reverse.", hint),
            Mistake(fit + turned, "Rows and columns of the grid are exchanged.", hint),
            Mistake(truth / math.log(2), "This is in bits, not in nats.", "Natural logarithms."),
            Mistake(
                fit / (height * width) + price / (rows * columns),
                "You average over the pixels and over the places: the units no longer agree.",
                "Sums: both are nats of one image.",
            ),
            Mistake(
                fit / (height * width) + price, "You average over the pixels.", "Sums: both are nats of one image."
            ),
            Mistake(
                fit + price / (rows * columns), "You average over the places.", "Sums: both are nats of one image."
            ),
            Mistake(
                fit + price.sum(),
                "Each image pays for the codes of all images: log p(c) is summed over the batch, too.",
                "Sum over the places, `sum((1, 2))`.",
            ),
            Mistake(
                fit + price.mean(),
                "Each image pays the mean price of all images.",
                "Sum over the places, `sum((1, 2))`, and keep the axis of the images.",
            ),
            Mistake(truth.sum().expand(batch), "Every image gets the sum over all images.", "One bound for each."),
            Mistake(truth.mean().expand(batch), "Every image gets the mean over all images.", "One bound for each."),
            Mistake(
                (x * p.log()).sum((1, 2)) + price,
                "Only the pixels that are 1 count.",
                "A pixel that is 0 adds log(1 − σ(a)).",
            ),
            Mistake(
                ((1 - x) * (1 - p).log()).sum((1, 2)) + price,
                "Only the pixels that are 0 count.",
                "Those that are 1, too.",
            ),
            Mistake(
                torch.where(x == 1, 1 - p, p).log().sum((1, 2)) + price,
                "Zeros and ones are exchanged: σ(a) is the probability of a 1.",
                "A pixel that is 0 counts with 1 − σ(a).",
            ),
            Mistake((x * a).sum((1, 2)) + price, "You sum logits of pixels.", "log σ(a), or log(1 − σ(a))."),
            Mistake(
                -(x - p).square().sum((1, 2)) + price, "This is a squared error of pixels, no log-probability.", hint
            ),
            Mistake(fit + b.log_softmax(1).sum((1, 2, 3)), "You sum over all codes, not those that stand there.", hint),
            Mistake(torch.logaddexp(fit, price), "You add the probabilities: log(p(x|c) + p(c)).", "They multiply."),
            Mistake(truth.exp(), "You return a probability, not its logarithm.", "Stay in logarithms."),
        ],
        name="your bound",
        hint=hint,
    )
    # Rows that differ by hundreds of nats, logits that round to 0 and 1.
    x = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]]).double()
    a = torch.tensor([[[900.0, -800.0]], [[900.0, -800.0]], [[0.0, -40.0]]]).double()
    b = torch.tensor([[0.0, 1000.0], [0.0, 1000.0], [-900.0, -900.0]]).double()[..., None, None]
    codes = torch.tensor([1, 0, 1])[:, None, None]
    says = "With a logit of ±900 your bound is not finite: a probability has rounded to 0, or an exponential overflows."
    hint = "`logsigmoid` and `log_softmax` stay in logarithms."
    value = tensor(answer(x, a, codes, b), (3,), name="your bound", not_finite=(says, hint))
    truth = torch.tensor([0.0, -1700.0 - 1000.0, -math.log(2) - 40.0 - math.log(2)]).double()
    if value[1] > -2000:
        raise Wrong(
            f"An image and a code of −2700 nats get {value[1].item():.5g}: a logarithm is cut off.",
            f"`binary_cross_entropy` cuts at −100, a clamp earlier. {hint}",
        )
    close(value, truth, name="your bound of large logits", hint=hint)
