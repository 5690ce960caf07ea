"""Checks of chapter 12: log p(x) by the chain rule and by NADE."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.autoregressive_images._pixels import pixel_log_prob
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong


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
            Mistake(each.mean((1, 2)).log(), "You take the logarithm of the mean probability.", "Add logarithms."),
            Mistake(
                ((1 - x) * (1 - p).log()).sum((1, 2)), "Only the pixels that are 0 count.", "Those that are 1, too."
            ),
            Mistake(p.log().sum((1, 2)), "You treat every pixel as a 1.", "A pixel that is 0 adds log(1 − σ(a))."),
            Mistake(-(x - p).square().sum((1, 2)), "This is a squared error.", "log p of each pixel, then the sum."),
            Mistake(each.log()[:, -1].sum(1), "You sum over the last row alone.", "Over all pixels: `flatten(1)`."),
            Mistake(truth.sum().expand(5), "Every image gets the sum over all images.", "One number an image."),
            Mistake(truth.mean().expand(5), "Every image gets the mean over all images.", "One number an image."),
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
                pixel_log_prob(p, x).sum((1, 2)),
                "The sigmoid is applied twice.",
                "Functions with `logits` in their name take the logits as they are.",
            ),
            Mistake(
                pixel_log_prob(-logits, x).sum((1, 2)),
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
    close(large, pixel_log_prob(logits, x).sum((1, 2)), hint=hint)
    logits = torch.tensor([[[800.0, -800.0]], [[-800.0, 800.0]]], dtype=torch.float64)
    x = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)
    says = (
        "With a logit of ±800 your result is not finite: the sigmoid has rounded to 0 or 1, which gives log(0), "
        "or an exponential has overflowed."
    )
    extreme = tensor(answer(logits, x), (2,), not_finite=(says, hint))
    if extreme[1] > -1000:
        raise Wrong(
            f"With a logit of ±800 an image of log p = −1600 gets {extreme[1].item():.4g}: its logarithm is cut off.",
            f"`binary_cross_entropy` cuts at −100, a clamp or a small number in the logarithm earlier. {hint}",
        )
    close(extreme, torch.tensor([0.0, -1600.0], dtype=torch.float64), hint=hint)


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

    def formula(
        shift: int = 0,
        inside: Callable = torch.sigmoid,
        c: Tensor = c,
        b: Tensor = b,
        flip: bool = False,
        signs: bool = False,
    ):
        """Pixel d from those before d + shift; with flip, from those after it."""
        total = 0
        for d in range(dim):
            seen = slice(d + 1, None) if flip else slice(0, max(d + shift, 0))
            h = inside(c + (2 * x - 1 if signs else x)[:, seen] @ w[:, seen].T)
            total = total + pixel_log_prob(b[d] + h @ v[d], x[:, d])
        return total

    truth = formula()
    shapes = [
        Mistake((), "one number for all images", "Sum over the pixels, not over the images."),
        Mistake((n, dim), "one number for each pixel", "Sum over the pixels."),
    ]
    one_step = sum(
        pixel_log_prob(
            b[d] + torch.sigmoid(c + x[:, d - 1 : d] @ w[:, d - 1 : d].T if d else c.expand(n, -1)) @ v[d], x[:, d]
        )
        for d in range(dim)
    )
    twice, h = torch.zeros(n, dtype=torch.float64), torch.sigmoid(c).expand(n, -1)
    for d in range(dim):
        twice = twice + pixel_log_prob(b[d] + h @ v[d], x[:, d])
        h = torch.sigmoid(h + x[:, d : d + 1] * w[:, d])
    close(
        tensor(answer(*inputs), (n,), shapes=shapes),
        truth,
        [
            Mistake(
                twice,
                "You add each column to the sigmoid of the sum, and take the sigmoid of that again.",
                "Keep the running sum itself; h = σ(sum) is made anew for each pixel.",
            ),
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
            Mistake(
                formula(inside=lambda a: torch.sigmoid(torch.sigmoid(a))),
                "Two sigmoids in the hidden units.",
                "σ once.",
            ),
            Mistake(
                formula(c=-c), "The bias of the hidden units has the wrong sign.", "The running sum starts with c."
            ),
            Mistake(formula(b=-b), "The bias of the pixels has the wrong sign.", "The logit is b_d + V[d] · h_d."),
            Mistake(formula(signs=True), "You turned the pixels into −1 and +1.", "Add W[:, d] x_d, x_d being 0 or 1."),
            Mistake(
                sum(pixel_log_prob(b[d] + torch.sigmoid(c).expand(n, -1) @ v[d], x[:, d]) for d in range(dim)),
                "No pixel knows another one: the running sum is never used.",
                "Add column d after pixel d was predicted.",
            ),
            Mistake(formula(c=0 * c), "The bias of the hidden units is missing.", "The running sum starts with c."),
            Mistake(formula(b=0 * b), "The bias of the pixels is missing.", "The logit is b_d + V[d] · h_d."),
            Mistake(truth.exp(), "You return the probability, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x), a loss.", "Likelier images get higher values."),
            Mistake(truth / dim, "This is the mean over the pixels, not the sum.", "The chain rule is a product: sum."),
        ],
        name="your log_prob",
        hint="Predict pixel d from c + Σ_{j<d} W[:, j] x_j, then add column d.",
    )
    hint = "Add logarithms: `torch.nn.functional.logsigmoid`."
    says = "With large weights you meet log(0), or e to a power that overflows."
    steep = tensor(answer(x, w, c, 1000 * v, b), (n,), not_finite=(says, hint))
    truth = sum(
        pixel_log_prob(b[d] + torch.sigmoid(c + x[:, :d] @ w[:, :d].T) @ (1000 * v[d]), x[:, d]) for d in range(dim)
    )
    if steep.min() > truth.min() / 2:
        raise Wrong("With large weights your logarithms are cut off.", f"No `clamp`, no small number in them. {hint}")
    close(steep, truth, hint=hint)
    work = []
    for dim in (40, 160):
        inputs = _nade(generator, 2, dim, 64)
        work.append(answer.work(*inputs))
    if work[1] > 7 * work[0]:
        raise Wrong(
            f"Right, but slow: with 4 times the pixels you do {work[1] / work[0]:.0f} times the work.",
            "Keep a running sum: for each pixel add one column, W[:, d] x_d, to what is there.",
        )
