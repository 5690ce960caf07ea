"""Checks of chapter 15: what a network predicts, and the simple loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.diffusion._mixtures import clipped, levels
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, plain, repeatable, tensor


@exercise("diffusion.predictions", call="predictions(output, kind, x, alpha, sigma)")
def predictions(answer: Callable, generator: Generator) -> None:
    batch, dim = 5, 3
    alpha, sigma = levels(generator, batch)
    order = draw.order(generator, batch)
    alpha, sigma = alpha[order], sigma[order]
    x_0, noise = 4 * draw.away_from_zero(generator, batch, dim), draw.away_from_zero(generator, batch, dim)
    tiny = math.sin(0.004), math.cos(0.004)
    ends = torch.tensor([1.0, 0.0], dtype=torch.float64)

    for kind in ("u", "noise", "x0", "u at both ends"):
        if kind == "noise":  # from here on with hardly any signal in one row, and hardly any noise in another
            (alpha[1], sigma[1]), (sigma[3], alpha[3]) = tiny, tiny
        if "ends" in kind:
            alpha, sigma = ends, ends.flip(0)
            x_0, noise = x_0[:2], noise[:2]
        a, s = alpha[:, None], sigma[:, None]
        x = a * x_0 + s * noise
        output = {"noise": noise, "x0": x_0}.get(kind, a * noise - s * x_0)
        found = [*map(plain, parts(answer(output, kind[:5].split()[0], x, alpha, sigma), ("x_0", "noise")))]
        zero = ("", "")
        if "ends" in kind:
            zero = (
                "For `u` your result is not finite where α or σ is 0: you divide by one of them.",
                "Put x = α x_0 + σ ε and u = α ε − σ x_0 together so that α² + σ² = 1 appears.",
            )
        names = (f"your x_0 from {kind}", f"your noise from {kind}")
        found = [
            tensor(value, x.shape, name=name, not_finite=zero if zero[0] else None)
            for value, name in zip(found, names, strict=True)
        ]
        if torch.allclose(found[0], noise) and torch.allclose(found[1], x_0):
            raise Wrong("You return the noise first; x_0 comes first.", "Return x_0, then the noise.")
        if kind == "u" and torch.allclose(found[0], x) and torch.allclose(found[1], output):
            raise Wrong("You return what you were given.", "Solve for x_0 and for the noise.")
        small = "Solve for it by hand; divide by α and σ as they are, however small."
        close(found[0], x_0, _of_data(kind, output, x, a, s), name=names[0], hint=small)
        close(found[1], noise, _of_noise(kind, output, x, a, s), name=names[1], hint=small)


_DIVIDED = (
    "For `u` you divide by α or σ, made a little larger or put right where it is 0; u is divided by neither.",
    "x_0 = α x − σ u and ε = σ x + α u, at both ends, too.",
)


def _of_data(kind: str, output: Tensor, x: Tensor, a: Tensor, s: Tensor) -> list[Mistake]:
    if kind == "u at both ends":
        return [Mistake(torch.where(a == 0, 0.0, a * x - s * output), *_DIVIDED)]
    as_noise = Mistake((x - s * output) / a, "You take this output for the noise.", "Look at `kind`.")
    as_data = Mistake(output, "You take this output for x_0.", "Look at `kind`.")
    solve = "Solve x = α x_0 + σ ε for x_0."
    if kind == "noise":
        return [
            as_data,
            *clipped(lambda c: ((x - s * output) / a).clamp(-c, c), "Your x_0"),
            Mistake(a * x - s * output, "You take this output for u.", "Look at `kind`."),
            Mistake(x - s * output, "You forgot to divide by α: this is α x_0.", solve),
            Mistake((x - output) / a, "The noise in x is σ ε: σ is missing.", solve),
            Mistake((x - s**2 * output) / a, "The noise in x is σ ε, without a square.", solve),
            Mistake((x + s * output) / a, "You add the noise where you must take it away.", solve),
            Mistake(a * (x - s * output), "You multiply with α where you must divide.", solve),
            Mistake((x - s * output) / a**2, "You divide by α², not by α.", solve),
            Mistake((x - a * output) / s, "α and σ are swapped.", solve),
            Mistake((x - s * output) / s, "You divide by σ; what stands before x_0 is α.", solve),
            Mistake(x / a - s * output, "The noise is to be divided by α, too.", solve),
            Mistake(
                (x - s[0] * output) / a[0], "You take the first row's level for all.", "Each row has its own level."
            ),
        ]
    if kind == "x0":
        return [as_noise, Mistake(a * x - s * output, "You take this output for u.", "Look at `kind`.")]
    both = "α x − σ u = α² x_0 + α σ ε − σ α ε + σ² x_0 = x_0."
    return [
        as_noise,
        as_data,
        *clipped(lambda c: (a * x - s * output).clamp(-c, c), "Your x_0"),
        Mistake(a * x + s * output, "u enters x_0 with the wrong sign: x_0 = α x − σ u.", both),
        Mistake(s * output - a * x, "Your x_0 has the wrong sign.", both),
        Mistake(s * x - a * output, "α and σ are swapped: x_0 = α x − σ u.", both),
        Mistake(a * x - output, "σ is missing before u: x_0 = α x − σ u.", both),
        Mistake(x - s * output, "α is missing before x: x_0 = α x − σ u.", both),
        Mistake(s * x + a * output, "This is the noise; x_0 is asked for.", both),
        Mistake(a[0] * x - s[0] * output, "You take the first row's level for all.", "Each row has its own level."),
    ]


def _of_noise(kind: str, output: Tensor, x: Tensor, a: Tensor, s: Tensor) -> list[Mistake]:
    solve = "Solve x = α x_0 + σ ε for ε."
    if kind == "x0":
        return [
            Mistake(x - a * output, "You forgot to divide by σ: this is σ ε.", solve),
            Mistake((x - output) / s, "The data in x are α x_0: α is missing.", solve),
            Mistake((x - a**2 * output) / s, "The data in x are α x_0, without a square.", solve),
            Mistake((x + a * output) / s, "You add the data where you must take them away.", solve),
            Mistake(s * (x - a * output), "You multiply with σ where you must divide.", solve),
            Mistake((x - a * output) / s**2, "You divide by σ²: this is minus the score, not the noise.", solve),
            Mistake((a * output - x) / s, "Your noise has the wrong sign.", solve),
            Mistake((x - s * output) / a, "α and σ are swapped.", solve),
            Mistake((x - a * output) / a, "You divide by α; what stands before the noise is σ.", solve),
            Mistake(x / s - a * output, "The data are to be divided by σ, too.", solve),
            Mistake(output, "You take this output for the noise.", "Look at `kind`."),
            Mistake(s * x + a * output, "You take this output for u.", "Look at `kind`."),
            Mistake(
                (x - a[0] * output) / s[0], "You take the first row's level for all.", "Each row has its own level."
            ),
        ]
    if kind == "u at both ends":
        return [Mistake(torch.where(s == 0, 0.0, s * x + a * output), *_DIVIDED)]
    both = "σ x + α u = σ α x_0 + σ² ε + α² ε − α σ x_0 = ε."
    return [
        Mistake(s * x - a * output, "u enters the noise with the wrong sign: ε = σ x + α u.", both),
        Mistake(a * x + s * output, "α and σ are swapped: ε = σ x + α u.", both),
        Mistake(s * x + output, "α is missing before u: ε = σ x + α u.", both),
        Mistake(x + a * output, "σ is missing before x: ε = σ x + α u.", both),
        Mistake(output, "You take this output for the noise.", "Look at `kind`."),
        Mistake(a * x - s * output, "This is x_0; the noise is asked for.", both),
        Mistake(x - a * (a * x - s * output), "You forgot to divide by σ: this is σ ε.", solve),
        Mistake(-s * x - a * output, "Your noise has the wrong sign.", both),
        Mistake(s[0] * x + a[0] * output, "You take the first row's level for all.", "Each row has its own level."),
    ]


@exercise("diffusion.simple_loss", call="simple_loss(model, x, t, noise, alphas, sigmas)")
def simple_loss(answer: Callable, generator: Generator) -> None:
    batch, steps = 6, 8
    x, noise = 4 * draw.away_from_zero(generator, batch, 1, 3, 4), 2 * draw.normal(generator, batch, 1, 3, 4)
    alphas, sigmas = levels(generator, steps, 0.01, 0.995)
    alphas, sigmas = torch.cat([alphas.new_ones(1), alphas]), torch.cat([sigmas.new_zeros(1), sigmas])
    t = torch.tensor([3, 0, steps, 1, 6, 3])
    weights = (2 + 4 * draw.uniform(generator, 2, 3, 4)).requires_grad_()

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        if not isinstance(x_t, Tensor) or x_t.shape[1:] != x.shape[1:]:
            raise Wrong(
                f"The model got {tuple(x_t.shape) if isinstance(x_t, Tensor) else type(x_t).__name__}, "
                f"expected images {tuple(x.shape)}.",
                "Give it the noised images: one x_t for each x.",
            )
        if not isinstance(t, Tensor) or t.shape != x_t.shape[:1] or t.is_floating_point():
            raise Wrong(
                "The model should get `t`, the whole numbers (B,), as its second argument.", "Pass `t` on as it is."
            )
        return weights[0] * torch.tanh(x_t / 4) + 0.3 * weights[1] * (1 + t[:, None, None, None]).abs() ** 0.5

    def jump(a: Tensor, s: Tensor) -> Tensor:
        return a[:, None, None, None] * x + s[:, None, None, None] * noise

    alpha, sigma = alphas[t], sigmas[t]
    x_t = jump(alpha, sigma)

    def loss(said: Tensor, target: Tensor = noise) -> Tensor:
        return (said - target).square().flatten(1).mean(1)

    truth, said = loss(model(x_t, t)), model(x_t, t).detach()
    column = sigma[:, None, None, None]
    result = repeatable(answer, model, x, t, noise, alphas, sigmas, hint="Use `noise`, which is given.")
    value = tensor(
        result,
        (batch,),
        name="your loss",
        shapes=[
            Mistake((), "one number for the batch", "Return the loss of each image: average over its pixels alone."),
            Mistake(x.shape, "one number for each pixel", "Average over the pixels: `.flatten(1).mean(1)`."),
            Mistake((batch, 3, 4), "you average over the channels alone", "Over all pixels: `.flatten(1).mean(1)`."),
        ],
    )
    shown = "Show it x_t = α_t x + σ_t ε."
    close(
        value,
        truth.detach(),
        [
            Mistake(loss(model(x, t)), "The model sees the clean image: the noise is not to be seen.", shown),
            Mistake(loss(model(noise, t)), "The model sees the noise itself.", shown),
            Mistake(loss(model(jump(0 * alpha, sigma), t)), "The image is missing in x_t.", shown),
            Mistake(loss(model(jump(alpha, 0 * sigma), t)), "The noise is missing in x_t.", shown),
            Mistake(loss(said, 0 * noise), "You compare with nothing: this is the size of the guess.", "Subtract ε."),
            Mistake(loss(said, -noise), "You add the noise to the guess; subtract it.", "The error is ε̂ − ε."),
            Mistake(loss(model(jump(sigma, alpha), t)), "α and σ are swapped in x_t.", shown),
            Mistake(loss(model(jump(alpha**2, sigma), t)), "α is squared in x_t.", shown),
            Mistake(loss(model(jump(alpha.sqrt(), sigma), t)), "You take a root of α; α_t is none of a square.", shown),
            Mistake(
                loss(model(jump(alpha.sqrt(), (1 - alpha).sqrt()), t)),
                "You take `alphas` for the squares: α_t itself multiplies x.",
                shown,
            ),
            Mistake(loss(model(jump(alpha, sigma**2), t)), "σ is squared in x_t.", shown),
            Mistake(loss(model(jump(1 + 0 * alpha, sigma), t)), "The image in x_t is not shrunk: α is missing.", shown),
            Mistake(loss(model(jump(alpha, 1 + 0 * sigma), t)), "The noise in x_t lacks σ.", shown),
            Mistake(
                loss(model(jump(alphas[(t - 1)], sigmas[(t - 1)]), t)),
                "You index the levels one too early: `alphas[0]` belongs to t = 0.",
                "`alphas[t]`.",
            ),
            Mistake(
                loss(model(jump(alpha[:1].expand(batch), sigma[:1].expand(batch)), t)),
                "All images get the first one's level.",
                "`alphas[t]`, with the whole tensor `t`.",
            ),
            Mistake(
                loss(model(jump(alpha**2, sigma**2), t)),
                "α and σ are squared in x_t: you take variances for what multiplies.",
                shown,
            ),
            Mistake(loss(model(jump(alpha, -sigma), t)), "You take the noise away in x_t; add it.", shown),
            Mistake(loss(model(x_t, t - 1)), "The model is told t − 1.", "Pass `t` on as it is."),
            Mistake(loss(model(x_t, t + 1)), "The model is told t + 1.", "Pass `t` on as it is."),
            Mistake(
                (said - noise).flatten(1).norm(dim=1),
                "You take the length of the error; the loss is the mean of its squares.",
                "`.square().flatten(1).mean(1)`.",
            ),
            *clipped(lambda c: loss(model(x_t.clamp(-c, c), t)), "Your x_t"),
            *clipped(lambda c: loss(said.clamp(-c, c)), "The model's guess"),
            Mistake(loss(said, x), "You compare with the image: the model guesses the noise.", "ε is the target."),
            Mistake(loss(said, column * noise), "You compare with σ ε: the target is the noise itself.", "ε alone."),
            Mistake(loss(said, x_t), "You compare with x_t: the model guesses the noise.", "ε is the target."),
            Mistake(
                (column * (said - noise)).square().flatten(1).mean(1),
                "There is a weight σ² in your loss.",
                "No weight.",
            ),
            Mistake(
                (said - noise).square().flatten(1).sum(1),
                "You sum over the pixels; the loss is a mean.",
                "`.flatten(1).mean(1)`.",
            ),
            Mistake(truth.detach() / 2, "There is a ½ before your loss.", "The plain mean of squares."),
            Mistake(truth.detach().sqrt(), "You take a root.", "The mean of squares, without a root."),
            Mistake((said - noise).abs().flatten(1).mean(1), "You take absolute errors.", "Square them."),
            Mistake(
                (said - noise).flatten(1).mean(1).square(),
                "You average before you square: errors cancel.",
                "First square, then average.",
            ),
            Mistake((said - noise).flatten(1).mean(1), "The square is missing.", "Square the errors."),
            Mistake(
                truth.detach().mean().expand(batch),
                "All images have the same loss: you average over the batch.",
                "Each image has its own.",
            ),
            Mistake(loss(model(x_t, 0 * t)), "The model is told t = 0 for all.", "Pass `t` on as it is."),
            Mistake(
                loss(model(x_t, t[:1].expand(batch))), "The model is told the first image's t for all.", "Pass `t`."
            ),
            Mistake(-truth.detach(), "Your loss has the wrong sign.", "Small is good."),
        ],
        name="your loss",
    )
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise Wrong(
            "No gradient reaches the model, so it learns nothing.", "No `.detach()`, `.item()` or `torch.no_grad()`."
        )
    coefficients = torch.arange(1, batch + 1, dtype=torch.float64)
    (found,) = torch.autograd.grad(result, weights, coefficients, allow_unused=True)
    (true_gradient,) = torch.autograd.grad(truth, weights, coefficients)
    if found is None:
        raise Wrong("No gradient reaches the model, so it learns nothing.", "No `.detach()` or `torch.no_grad()`.")
    close(found, true_gradient, name="the gradient in the model", hint="Compute with the model's output directly.")
