"""Checks of chapter 12: the fully visible sigmoid belief network, its log p(x) and its gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.autoregressive_images._pixels import all_images, pixel_log_prob
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.verdicts import Wrong


@exercise("ar.fvsbn_log_prob", call="fvsbn_log_prob(weights, bias, x)")
def fvsbn_log_prob(answer: Callable, generator: Generator) -> None:
    dim = 9
    weights, bias, x = 1.5 * draw.normal(generator, dim, dim), draw.normal(generator, dim), all_images(dim)
    n = len(x)

    def formula(matrix: Tensor, b: Tensor = bias) -> Tensor:
        return pixel_log_prob(b + x @ matrix.T, x).sum(1)

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
            Mistake(formula(weights.tril(-1), -bias), "The bias has the wrong sign.", "a_d = b_d + Σ_{j<d} W_dj x_j."),
            Mistake(formula(-weights.tril(-1)), "The weights have the wrong sign.", "a_d = b_d + Σ_{j<d} W_dj x_j."),
            Mistake(
                formula(weights.tril(-2)), "Pixel d does not know pixel d − 1: two diagonals are gone.", "`tril(-1)`."
            ),
            Mistake(
                pixel_log_prob(bias + (2 * x - 1) @ weights.tril(-1).T, x).sum(1),
                "You turned the pixels into −1 and +1.",
                "W x with zeros and ones.",
            ),
            Mistake(
                pixel_log_prob(-(bias + x @ weights.tril(-1).T), x).sum(1),
                "Zeros and ones are exchanged.",
                "σ(a) is the probability of a 1.",
            ),
            Mistake(
                (x * (bias + x @ weights.tril(-1).T).sigmoid().log()).sum(1),
                "Only the pixels that are 1 count.",
                "A pixel that is 0 adds log(1 − σ(a)).",
            ),
            Mistake(formula(weights.tril(-1), 0 * bias), "The bias is missing.", "a_d = b_d + Σ_{j<d} W_dj x_j."),
            Mistake(truth.exp(), "You return the probability, not its logarithm.", "Stay in logarithms to the end."),
            Mistake(-truth, "The sign is wrong: this is −log p(x), a loss.", "Likelier images get higher values."),
            Mistake(truth / dim, "This is the mean over the pixels, not the sum.", "The chain rule is a product: sum."),
            Mistake(
                pixel_log_prob(torch.sigmoid(bias + x @ weights.tril(-1).T), x).sum(1),
                "The sigmoid is applied twice.",
                "Functions with `logits` in their name take the logits as they are.",
            ),
            # What nobody foresaw: at least say when it is no distribution.
            Mistake(
                value if abs(value.exp().sum() - 1) > 1e-4 else truth,
                f"This is no distribution: {total}.",
                "a_d = b_d + Σ_{j<d} W_dj x_j, then the chain rule of 12.1.",
                general=True,
            ),
        ],
        name="your log_prob",
        hint="a_d = b_d + Σ_{j<d} W_dj x_j, then the chain rule of 12.1.",
    )
    hint = "Add logarithms: `torch.nn.functional.logsigmoid`."
    steep = tensor(
        answer(1000 * weights, bias, x),
        (n,),
        not_finite=("Large weights give you log(0), or e to a power that overflows.", hint),
    )
    truth = pixel_log_prob(bias + x @ (1000 * weights).tril(-1).T, x).sum(1)
    if steep.min() > truth.min() / 2:
        raise Wrong("With large weights your logarithms are cut off.", f"No `clamp`, no small number in them. {hint}")
    close(steep, truth, hint=hint)


@exercise("ar.fvsbn_gradient", call="fvsbn_gradient(weights, bias, x)")
def fvsbn_gradient(answer: Callable, generator: Generator) -> None:
    n, dim = 7, 5
    weights, bias, x = draw.normal(generator, dim, dim), draw.normal(generator, dim), draw.bits(generator, n, dim)
    x[0], x[1] = 1, 0  # so that no pixel is the same in all images
    with torch.enable_grad():
        w, b = weights.clone().requires_grad_(), bias.clone().requires_grad_()
        loss = -pixel_log_prob(b + x @ w.tril(-1).T, x).sum(1).mean()
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
            Mistake(
                product(torch.sigmoid(x @ weights.tril(-1).T) - x),
                "The bias is missing in the prediction.",
                "σ(b + W x), with W masked.",
            ),
            Mistake(
                (error.T @ (2 * x - 1) / n).tril(-1), "You turned the pixels into −1 and +1.", "Error times x, 0 or 1."
            ),
            Mistake((error.T @ error / n).tril(-1), "You multiply errors with errors.", "(σ(a_d) − x_d) x_j."),
            Mistake(
                torch.outer(error.mean(0), x.mean(0)).tril(-1),
                "You multiply averages.",
                "First the products of each image, then their mean.",
            ),
            Mistake(torch.outer(error[0], x[0]).tril(-1), "You use the first image alone.", "The mean over all."),
            Mistake(
                product((bias + x @ weights.tril(-1).T) - x), "The sigmoid is missing in the prediction.", "σ(a) − x."
            ),
            Mistake(true_w + weights, "You add the weights: this is weight decay.", "The gradient of the loss alone."),
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
            Mistake(error[0], "For the bias you use the first image alone.", "The mean over all."),
            Mistake(p.mean(0), "In the bias's gradient x is not subtracted.", "σ(a_d) − x_d."),
            Mistake(
                (torch.sigmoid(x @ weights.tril(-1).T) - x).mean(0),
                "For the bias's gradient the bias is missing in the prediction.",
                "σ(b + W x).",
            ),
            Mistake((p_all - x).mean(0), "For the bias you predict with all weights.", "Mask them first."),
            Mistake(squared.mean(0), "There is a factor σ(a)(1 − σ(a)) too many in the bias's gradient.", slope),
        ],
        name=names[1],
        hint="σ(a_d) − x_d, averaged over the images.",
    )
