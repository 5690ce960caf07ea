"""Checks of chapter 15: inpainting by replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.diffusion._mixtures import clipped, levels
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, repeatable, tensor


@exercise("diffusion.inpaint", call="inpaint(denoise, x, known, alphas, sigmas, noise)")
def inpaint(answer: Callable, generator: Generator) -> None:
    batch, dim, steps = 3, 5, 6
    alphas, sigmas = levels(generator, steps, 0.02, 0.99)
    alphas, sigmas = torch.cat([alphas.new_ones(1), alphas]), torch.cat([sigmas.new_zeros(1), sigmas])
    x, noise = draw.away_from_zero(generator, batch, dim), draw.normal(generator, steps + 1, batch, dim)
    known = torch.tensor([True, False, False, True, False])[draw.order(generator, dim)]
    mixing = draw.normal(generator, dim, dim) / dim
    middle = 10 * draw.away_from_zero(generator, dim)  # of a size where clipping shows

    def denoise(z: Tensor, t: int) -> Tensor:
        """A guess in which every entry listens to all others."""
        if not isinstance(z, Tensor) or z.ndim != 2 or z.shape[1] != dim:
            raise Wrong("`denoise` takes rows (B, D), known and unknown entries.", "Give it z, all of it.")
        if isinstance(t, Tensor) and t.numel() != 1:
            raise Wrong(
                f"`denoise` takes one whole number as the level, not a tensor {tuple(t.shape)}.", "`denoise(z, t)`."
            )
        t = int(t)
        if not 1 <= t <= steps:
            raise Wrong(
                f"You ask `denoise` about level {t}; the levels are T = {steps} down to 1.", "`range(T, 0, -1)`."
            )
        return middle + 2 * torch.tanh(z @ mixing) + 0.2 * z / (1 + t)

    def walk(
        placed: Callable[[int], Tensor] | None = lambda t: alphas[t] * x + sigmas[t] * noise[t],
        start: Tensor = noise[-1],
        known: Tensor = known,
        guessed: bool = False,
        after: bool = False,
        last: bool = True,
        fresh: bool = False,
        skip_first: bool = False,
        late: bool = False,
        rounds: Iterable[int] = range(steps, 0, -1),
        masked: Tensor | None = None,
        clip: float = torch.inf,
        implied_by: Callable[[Tensor, Tensor, int], Tensor] = lambda z, guess, t: (z - alphas[t] * guess) / sigmas[t],
        step: Callable[[Tensor, Tensor, int], Tensor] = lambda guess, e, t: alphas[t - 1] * guess + sigmas[t - 1] * e,
    ) -> Tensor:
        z = start
        inner = known if masked is None else masked
        for t in rounds:
            if placed is not None and not after and not late and not (skip_first and t == steps):
                z = torch.where(inner, placed(t), z)
            guess = denoise(z, t).clamp(-clip, clip)
            if late:
                z = torch.where(inner, placed(t), z)
            implied = noise[t - 1] if fresh else implied_by(z, guess, t)
            if guessed:
                guess = torch.where(known, x, guess)
            z = step(guess, implied, t)
            if after and placed is not None:
                z = torch.where(known, placed(t - 1), z)
        return torch.where(known, x, z) if last else z

    outside = torch.where(known, x, x + draw.away_from_zero(generator, batch, dim))
    truth = walk()
    value = tensor(
        repeatable(answer, denoise, x, known, alphas, sigmas, noise),
        (batch, dim),
        name="your rows",
        shapes=[
            Mistake((batch, int((~known).sum())), "only the unknown entries", "Put them among the known ones."),
            Mistake((batch, dim - int(known.sum())), "only the unknown entries", "Put them among the known ones."),
        ],
    )
    plan = "In each round: put the known entries in, with their noise; ask for the guess; step."
    close(
        value,
        truth,
        [
            Mistake(walk(None), "You paste the known entries in at the end: the others were made without them.", plan),
            Mistake(walk(None, last=False), "The known entries are not used at all.", plan),
            Mistake(
                walk(last=False),
                "At the end the known entries are a guess; they should be those of x.",
                "One more paste.",
            ),
            Mistake(
                walk(lambda t: x),
                "The known entries are put in without noise: the model expects α_t x + σ_t ε.",
                plan,
            ),
            Mistake(walk(lambda t: alphas[t] * x), "The known entries shrink, but get no noise: α_t x + σ_t ε.", plan),
            Mistake(
                walk(lambda t: x + sigmas[t] * noise[t]), "The known entries get noise, but do not shrink: α_t x.", plan
            ),
            Mistake(
                walk(lambda t: alphas[t] * x + sigmas[t] * noise[-1]),
                "You put the same noise in at every level; level t has its own, `noise[t]`.",
                plan,
            ),
            Mistake(
                walk(lambda t: alphas[t - 1] * x + sigmas[t - 1] * noise[t - 1]),
                "The known entries come with the noise of level t − 1; the model is asked about level t.",
                plan,
            ),
            Mistake(
                walk(lambda t: alphas[t - 1] * x + sigmas[t - 1] * noise[t]),
                "The known entries come with the noise of level t − 1; the model is asked about level t.",
                plan,
            ),
            Mistake(
                walk(lambda t: alphas[t] * x + sigmas[t] * noise[steps - t]),
                "You use the noises in the opposite order: level t has `noise[t]`.",
                plan,
            ),
            Mistake(
                walk(lambda t: alphas[t] * x + sigmas[t] * noise[t - 1]),
                "The noises are one level off: level t has `noise[t]`.",
                plan,
            ),
            Mistake(
                walk(after=True),
                "The first round sees none of the known entries: put them in before you ask, not after.",
                plan,
            ),
            Mistake(
                walk(skip_first=True),
                "The first round sees none of the known entries: put them in before you ask, not after.",
                plan,
            ),
            Mistake(
                walk(guessed=True),
                "You put the known entries into the guess as well; z is where they belong.",
                plan,
            ),
            Mistake(
                walk(None, guessed=True),
                "You put the known entries into the guess; z is where they belong, with noise.",
                plan,
            ),
            Mistake(walk(known=~known), "Known and unknown are swapped.", "Where `known` is True, x is given."),
            Mistake(
                walk(fresh=True),
                "Each step adds new noise; DDIM goes on with the noise that the guess implies.",
                "(z − α_t x̂_0) / σ_t.",
            ),
            Mistake(
                walk(implied_by=lambda z, guess, t: noise[t]),
                "Each step adds new noise; DDIM goes on with the noise that the guess implies.",
                "(z − α_t x̂_0) / σ_t.",
            ),
            Mistake(
                walk(lambda t: alphas[t + 1] * x + sigmas[t + 1] * noise[t + 1], after=True),
                "After the step to level t − 1 you put the known entries in as they are at level t.",
                plan,
            ),
            Mistake(
                walk(start=sigmas[-1] * noise[-1]), "z starts as `noise[T]` itself, not multiplied with σ_T.", plan
            ),
            Mistake(
                walk(start=alphas[-1] * x + sigmas[-1] * noise[-1]),
                "The unknown entries start from x, whose numbers mean nothing there.",
                "Start with `noise[T]` alone.",
            ),
            Mistake(walk(start=noise[0]), "z starts with `noise[0]`; the walk begins at level T.", "`noise[-1]`."),
            Mistake(
                walk(start=torch.zeros_like(x)), "z starts at 0; it should start as noise.", "Start with `noise[T]`."
            ),
            *(
                Mistake(walk(implied_by=implied_by), says, "The noise in z is (z − α_t x̂_0) / σ_t.")
                for says, implied_by in {
                    "The implied noise is not divided by σ_t.": lambda z, guess, t: z - alphas[t] * guess,
                    "The implied noise is multiplied with σ_t; divide.": lambda z, guess, t: (
                        (z - alphas[t] * guess) * sigmas[t]
                    ),
                    "The guess is not multiplied with α_t in the implied noise.": lambda z, guess, t: (
                        (z - guess) / sigmas[t]
                    ),
                    "The implied noise is z / σ_t without the guess taken away.": lambda z, guess, t: z / sigmas[t],
                }.items()
            ),
            *(
                Mistake(walk(step=step), says, "z = α_{t−1} x̂_0 + σ_{t−1} ε̂.")
                for says, step in {
                    "Your step goes to the level where it began.": lambda guess, e, t: (
                        alphas[t] * guess + sigmas[t] * e
                    ),
                    "Your step takes the signal of level t; it ends at level t − 1.": lambda guess, e, t: (
                        alphas[t] * guess + sigmas[t - 1] * e
                    ),
                    "Your step takes the noise of level t; it ends at level t − 1.": lambda guess, e, t: (
                        alphas[t - 1] * guess + sigmas[t] * e
                    ),
                    "Your step adds no noise again.": lambda guess, e, t: alphas[t - 1] * guess,
                    "The guess is not shrunk to level t − 1.": lambda guess, e, t: guess + sigmas[t - 1] * e,
                    "Your step goes on with the clean guess, without noise.": lambda guess, e, t: guess,
                }.items()
            ),
            Mistake(
                walk(lambda t: alphas[t] * x - sigmas[t] * noise[t]),
                "The noise of the known entries has the wrong sign.",
                plan,
            ),
            Mistake(walk(lambda t: sigmas[t] * noise[t]), "The known entries are missing: there is noise alone.", plan),
            Mistake(walk(lambda t: alphas[t] * x + noise[t]), "The noise of the known entries lacks σ_t.", plan),
            Mistake(
                walk(late=True),
                "You ask before the known entries are in: put them in first.",
                plan,
            ),
            Mistake(walk(rounds=range(steps - 1, 0, -1)), "Your loop begins at T − 1; level T is missing.", plan),
            Mistake(walk(rounds=range(steps, 1, -1)), "Your loop ends at level 2; level 1 is missing.", plan),
            Mistake(walk(rounds=range(1, steps + 1)), "Your levels run upwards; walk from T down to 1.", plan),
            Mistake(
                walk(masked=~known),
                "Inside the loop known and unknown are swapped.",
                "Where `known` is True, x is given.",
            ),
            *clipped(lambda c: walk(clip=c), "The guess"),
            Mistake(x, "You return x: the unknown entries are not filled in.", plan),
        ],
        name="your rows",
        hint=plan,
    )
    again = tensor(answer(denoise, outside, known, alphas, sigmas, noise), (batch, dim), name="your rows")
    if not torch.allclose(again, value, rtol=1e-9, atol=1e-9):
        raise Wrong(
            "Your result changes with what stands in the unknown entries of x, which means nothing.",
            "`torch.where(known, …, z)` keeps them out.",
        )
