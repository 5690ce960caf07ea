"""Checks of chapter 7: from a vector to a code: nearest codes, finite scalar and residual quantization."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, tensor
from utils.checks.vector_quantization._gradients import gradient


def _distances(z: Tensor, codebook: Tensor) -> Tensor:
    """‖z − e_k‖²: (..., D) and (K, D) -> (..., K)."""
    return (z.unsqueeze(-2) - codebook).square().sum(-1)


@exercise("vq.nearest_code", call="nearest_code(z, codebook)")
def nearest_code(answer: Callable, generator: Generator) -> None:
    batch, dim, height, width, n_codes = 3, 4, 5, 6, 7
    # Lengths of codes differ, so that similarity and distance disagree.
    codebook = draw.normal(generator, n_codes, dim) * torch.linspace(0.4, 2.5, n_codes).double()[:, None]
    codebook = codebook[draw.order(generator, n_codes)]
    z = 1.5 * draw.normal(generator, batch, dim, height, width)
    rows = z.movedim(1, -1)  # (B, H, W, D)
    far = _distances(rows, codebook)
    name = "your codes"
    shapes = [
        Mistake(
            (batch, dim, height, width), "one for each number of z", "Sum the squares over axis 1, then compare codes."
        ),
        Mistake((batch * height * width,), "the places stand in one row", "`reshape(B, H, W)` at the end."),
        Mistake(
            (batch, height, width, dim), "these are vectors, not numbers of codes", "Return the index of the code."
        ),
        Mistake((batch, height, width, n_codes), "one for each code", "`argmin(-1)` over the codes."),
    ]

    def ask(z: Tensor, codebook: Tensor) -> Tensor:
        value = tensor(answer(z, codebook), (len(z), *z.shape[2:]), torch.int64, name, shapes=shapes)
        if value.min() == 1 and value.max() == len(codebook):
            raise Wrong("Your codes start with 1.", "Python counts from 0.")
        if value.min() < 0 or value.max() >= len(codebook):
            raise Wrong(
                f"There are {len(codebook)} codes, 0 to {len(codebook) - 1}, and you return {value.max().item()}.",
                "The argmin runs over the codes, not over the places.",
            )
        return value.double()

    def argmin(distance: Tensor) -> Tensor:
        return distance.argmin(-1).double()

    product = rows @ codebook.T
    mixed = z.reshape(batch, height, width, dim)
    close(
        ask(z, codebook),
        argmin(far),
        [
            Mistake(argmin(-far), "You take the farthest code.", "`argmin`, not `argmax`, of the distance."),
            Mistake(
                argmin(-product),
                "You take the code with the largest product zᵀe: a long code wins too often.",
                "‖z − e‖² = ‖z‖² − 2 zᵀe + ‖e‖²: the last term differs from code to code.",
            ),
            Mistake(
                argmin(-product / codebook.norm(dim=1)),
                "You take the code with the most similar direction: its length counts, too.",
                "Compare distances, not cosines.",
            ),
            Mistake(
                argmin(codebook.square().sum(1) - product),
                "The 2 is missing in ‖z‖² − 2 zᵀe + ‖e‖².",
                "Write out (z − e)².",
            ),
            Mistake(
                argmin(codebook.norm(dim=1) - 2 * product), "You add the length of e, not its square.", "‖e‖² = Σ e_d²."
            ),
            Mistake(
                argmin(codebook.square().sum(1) + 2 * product), "The product has the wrong sign: −2 zᵀe.", "(z − e)²."
            ),
            Mistake(argmin((rows.unsqueeze(-2) - codebook).sum(-1)), "The square is missing.", "Σ (z_d − e_d)²."),
            Mistake(
                argmin((rows.unsqueeze(-2) - codebook).abs().sum(-1)),
                "You sum absolute differences; the distance here has squares.",
                "Σ (z_d − e_d)².",
            ),
            Mistake(
                argmin((rows.unsqueeze(-2) - codebook).abs().amax(-1)),
                "You compare the largest difference alone.",
                "Σ (z_d − e_d)².",
            ),
            Mistake(
                argmin(_distances(mixed, codebook)),
                "Your vectors are mixed up: `reshape` does not move axis 1 to the end.",
                "`z.movedim(1, -1)`, or `permute(0, 2, 3, 1)`.",
            ),
            Mistake(
                argmin(far.permute(0, 2, 1, 3).reshape(batch, height, width, n_codes)),
                "Rows and columns of the grid are exchanged.",
                "The axes of the result are B, H, W.",
            ),
        ],
        name=name,
        hint="Compute Σ (z_d − e_d)² to every code for one place by hand.",
    )
    # Ties: z lies between codes, or two codes are the same. The mean of the codes is 0, so that no rounding decides.
    ends = torch.tensor([[2.0, 0, 0], [-2, 0, 0], [0, 2, 0], [0, -2, 0], [2, 0, 0], [-2, 0, 0]]).double()
    middles = torch.tensor([[0.0, 0, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0], [2, 0, 0]]).double()
    value = ask(middles.T[None, :, :, None], ends)[0, :, 0]
    distance = _distances(middles, ends)
    last = len(ends) - 1 - argmin(distance.flip(-1))
    says = "Of equally near codes you take the last; the first is asked."
    close(value, argmin(distance), [Mistake(last, says, "`<`, not `<=`, when you compare.")], name="your codes of ties")
    # Very near to each other: a rounded distance, or one within a tolerance, is no longer the least.
    z, near = 1e-7 * draw.normal(generator, 2, dim, 6, 5), 1e-7 * draw.normal(generator, 40, dim)
    if not torch.equal(ask(z, near), argmin(_distances(z.movedim(1, -1), near))):
        raise Wrong(
            "Vectors of spread 1e-07 around 0 get other codes than the nearest: your distances are rounded, or small "
            "differences taken for none.",
            "Compare the distances as they are; nothing is added, rounded or within a tolerance.",
        )
    # Far from the origin, with many rows: differences of squares have no digits left.
    hint = "Subtract before you square: `(z - e).square()`, or move both by the mean of the codebook first."
    for offset, scale in ((1e7, 1.0), (3.0, 1e-7), (0.0, 1e6)):
        z = scale * draw.normal(generator, 2, dim, 6, 5) + offset
        codebook = scale * draw.normal(generator, 40, dim) + offset
        truth = argmin(_distances(z.movedim(1, -1), codebook))
        if not torch.equal(ask(z, codebook), truth):
            raise Wrong(
                f"Vectors of spread {scale:g} around {offset:g} get other codes than the nearest: ‖z‖² − 2 zᵀe + ‖e‖², "
                "or `float32`, has lost its digits.",
                hint,
            )
    # One code, one place.
    close(ask(z[:1, :, :1, :1], codebook[:1]), torch.zeros(1, 1, 1).double(), name="your codes of a codebook of one")


@exercise("vq.fsq", call="fsq(z, levels)")
def fsq(answer: Callable, generator: Generator) -> None:
    levels, n = [5, 2, 4, 3], 40
    dim = len(levels)
    names = ("values", "codes")
    count = torch.tensor(levels)
    top = (count - 1).double()
    z = 1.7 * draw.normal(generator, n, dim)
    z[0], z[1] = 9.0, -9.0  # the last and the first level
    u = top * z.sigmoid()
    near = (u - u.floor() - 0.5).abs() < 1e-3
    z = torch.where(near, z + 0.05, z).requires_grad_()
    u = (top * z.sigmoid()).detach()
    digits = u.round()

    def number(digits: Tensor, worth: list[int] | Tensor) -> Tensor:
        return (digits * torch.as_tensor(worth)).sum(-1)

    worth = [math.prod(levels[:d]) for d in range(dim)]
    shapes = [
        Mistake((n, dim), "one for each number of z", "The digits of a vector make one code."),
        Mistake((), "one for all vectors", "Sum over the digits, not over the vectors."),
    ]
    raw = parts(answer(z, levels), names)
    values = tensor(raw[0], (n, dim), name="your values")
    codes = tensor(raw[1], (n,), torch.int64, "your codes", shapes=shapes)
    true = 2 * digits / top - 1
    passed = "u + (round(u) − u).detach(): forward the digit, backward u."
    down, tanh = 2 * u.floor() / top - 1, (z.detach().tanh() + 1) / 2
    close(
        values,
        true,
        [
            Mistake(digits, "You return the digits where the values belong.", "v = 2 q / (L − 1) − 1."),
            Mistake(2 * u / top - 1, "Your values are not rounded.", "Going forward, the value is the level."),
            *(
                Mistake(2 * mixed / top - 1, "Your way around the rounding has another value than the digit.", passed)
                for mixed in (2 * u - digits, digits - u, 2 * u + digits, u + digits)
            ),
            Mistake(down, "You round down.", "To the nearest whole number: `round`."),
            Mistake(2 * u.ceil() / top - 1, "You round up.", "To the nearest whole number: `round`."),
            Mistake(
                2 * (count * z.detach().sigmoid()).round() / top - 1,
                "You have one level too many: u goes up to L, not L − 1.",
                "L levels are 0 to L − 1.",
            ),
            Mistake(
                2 * (count * z.detach().sigmoid()).floor() / top - 1,
                "You cut σ(z) in L equal parts and round down.",
                "u = (L − 1) σ(z), rounded to the nearest.",
            ),
            Mistake(
                2 * digits / count - 1, "You divide by L, not L − 1: the last level is not 1.", "v = 2q/(L−1) − 1."
            ),
            Mistake(digits / top, "Your values go from 0 to 1.", "From −1 to 1: 2 q / (L − 1) − 1."),
            Mistake(2 * digits / top, "You forgot to subtract 1.", "Values go from −1 to 1."),
            Mistake(-true, "The sign of your values is wrong.", "A larger z has a larger value."),
            Mistake(2 * (top * tanh).round() / top - 1, "You squash with tanh; here it is σ.", "`z.sigmoid()`."),
            Mistake(
                2 * z.detach().sigmoid().round() - 1,
                "You round σ(z) before it is stretched to L levels: all but the ends are lost.",
                "u = (L − 1) σ(z) first.",
            ),
            Mistake(
                2 * z.detach().round().clamp(min=0).minimum(top) / top - 1,
                "You round and cut z itself, without σ.",
                "u = (L − 1) σ(z).",
            ),
            Mistake(
                2 * (top[0] * z.detach().sigmoid()).round() / top[0] - 1,
                "You use the first number of levels for all.",
                "Each number has its own L_d.",
            ),
            Mistake(
                2 * (top.flip(0) * z.detach().sigmoid()).round() / top.flip(0) - 1, "Your levels come in reverse.", ""
            ),
        ],
        name="your values",
        hint="u = (L − 1) σ(z), q = round(u), v = 2 q / (L − 1) − 1.",
    )
    last_least = [math.prod(levels[d + 1 :]) for d in range(dim)]
    close(
        codes.double(),
        number(digits, worth),
        [
            Mistake(
                number(digits, last_least),
                "In your codes the last digit counts least; the first one should.",
                "The worth of digit d is L₁ ⋯ L_{d−1}, and 1 for the first.",
            ),
            Mistake(
                number(digits, [math.prod(levels[: d + 1]) for d in range(dim)]),
                "The worth of each digit has one factor too many.",
                "The first digit counts 1, the second L₁.",
            ),
            Mistake(
                number(digits, [math.prod(level - 1 for level in levels[:d]) for d in range(dim)]),
                "You multiply L − 1 where L belongs: two vectors get one code.",
                "A digit has L values, so the next one counts L times as much.",
            ),
            Mistake(
                number(digits, [1, *levels[:-1]]),
                "The worth of a digit is the product of all L before it, not the last of them.",
                "1, L₁, L₁ L₂, …: `cumprod`.",
            ),
            Mistake(
                number(digits, [math.prod(levels[1 : d + 1]) for d in range(dim)]),
                "The worth of your digits is shifted: you multiply L₂, L₃, … where L₁, L₂, … belong.",
                "1, L₁, L₁ L₂, …: the worth of a digit is made of the L before it.",
            ),
            Mistake(
                number(digits, [levels[0] ** d for d in range(dim)]),
                "You count with one base for all digits.",
                "1, L₁, L₁ L₂, …",
            ),
            Mistake(number(digits, [1] * dim), "You add up the digits: many vectors get one code.", "Weigh them."),
            Mistake(
                number(u.floor(), worth), "For the codes you round down.", "Use the same digits as for the values."
            ),
            Mistake(number(digits, worth) + 1, "Your codes start with 1.", "All digits 0 make the code 0."),
            Mistake(
                number(true, worth).trunc(), "You make the code of values, not of digits.", "Digits are 0 to L − 1."
            ),
        ],
        name="your codes",
        hint="c = q₁ + L₁ q₂ + L₁ L₂ q₃ + …",
    )
    weights = draw.away_from_zero(generator, n, dim)
    slope = z.sigmoid() * (1 - z.sigmoid())
    close(
        gradient(raw[0], z, "z", weights),
        (2 * weights * slope).detach(),
        [
            Mistake(
                0 * weights,
                "Your gradient is 0: it does not pass the rounding.",
                "u + (round(u) − u).detach(), as in 7.2.",
            ),
            Mistake(
                weights,
                "Your gradient passes straight through everything, σ too.",
                "Only the rounding is passed over: add what it changes, detached, to u.",
            ),
            Mistake(
                (2 * weights * slope * top).detach(), "Your gradient has a factor L − 1 too many.", "Divide by it, too."
            ),
            Mistake((2 * weights / top).detach(), "The slope of σ is missing in your gradient.", "Detach no σ."),
            Mistake((weights * slope).detach(), "The gradient lacks the factor 2 of the values.", "v = 2q/(L−1) − 1."),
        ],
        name="the gradient in z",
        hint="Of v = 2 u / (L − 1) − 1, as if nothing were rounded.",
    )
    # All combinations: each has its own code, from 0 to the product less one.
    levels = [3, 4, 2]
    digits = torch.cartesian_prod(*(torch.arange(level) for level in levels)).double()
    middle = ((digits + 0.02) / (torch.tensor(levels) - 1 + 0.04)).logit()
    middle = middle[torch.randperm(len(middle), generator=generator)]
    values, codes = parts(answer(middle, levels), names)
    values = tensor(values, (24, 3), name="your values")
    codes = tensor(codes, (24,), torch.int64, "your codes")
    if not torch.equal(codes.sort().values, torch.arange(24)):
        raise Wrong(
            f"The 24 combinations of 3 · 4 · 2 levels get {len(codes.unique())} codes from {codes.min().item()} to "
            f"{codes.max().item()}.",
            "Each combination has its own code, from 0 to 23.",
        )
    true = 2 * ((middle.sigmoid() * (torch.tensor(levels) - 1)).round()) / (torch.tensor(levels) - 1) - 1
    close(values, true, name="your values of other levels")
    # Large numbers: σ of ±1000, and a code that neither float32 nor int32 holds.
    levels = [2001, 2001, 2001]
    values, codes = parts(answer(torch.tensor([[1000.0, -1000, 1000], [-1000, 1000, 1000]]).double(), levels), names)
    overflow = ("Your values of z = ±1000 are not finite: an exponential overflows.", "`z.sigmoid()` does not.")
    values = tensor(values, (2, 3), name="your values", not_finite=overflow)
    close(values, torch.tensor([[1.0, -1, 1], [-1, 1, 1]]).double(), name="your values of z = ±1000")
    codes = tensor(codes, (2,), torch.int64, "your codes")
    truth = torch.tensor([2000 + 2000 * 2001**2, 2000 * 2001 + 2000 * 2001**2])
    if not torch.equal(codes, truth):
        raise Wrong(
            f"Of three times 2001 levels, the digits 2000, 0, 2000 make the code {truth[0].item()}, not "
            f"{codes[0].item()}: `float32` and `int32` do not hold it.",
            "Sum whole numbers, `int64`: `.long()` before you multiply.",
        )


@exercise("vq.residual", call="residual(z, codebooks)")
def residual(answer: Callable, generator: Generator) -> None:
    n, dim, stages, n_codes = 9, 3, 4, 6
    scale = torch.tensor([2.0, 1.2, 0.7, 0.4]).double()[:, None, None]
    codebooks = scale * draw.normal(generator, stages, n_codes, dim) + 0.3
    z = 2 * draw.normal(generator, n, dim) + 1

    def formula(books: Tensor = codebooks, subtract: float = 1.0, first: int = 0) -> tuple[Tensor, Tensor]:
        left, codes, total = z, [], torch.zeros_like(z)
        for stage, book in enumerate(books):
            nearest = _distances(left, book).argmin(-1)
            codes.append(nearest)
            total = total + book[nearest]
            if stage >= first:
                left = left - subtract * book[nearest]
        return torch.stack(codes, 1), total

    codes, total = formula()
    names = ("codes", "sum")
    shapes = [
        Mistake((stages, n), "stages stand first", "`torch.stack(codes, 1)`."),
        Mistake((n,), "the codes of one stage only", "One code for each vector and stage."),
    ]
    mine, said = parts(answer(z, codebooks), names)
    mine = tensor(mine, (n, stages), torch.int64, "your codes", shapes=shapes)
    shapes = [
        Mistake((n, stages, dim), "the codes of all stages are not summed", "Sum over the stages."),
        Mistake((stages, n, dim), "the codes of all stages are not summed", "Sum over the stages."),
    ]
    said = tensor(said, (n, dim), name="your sum", shapes=shapes)
    same = formula(codebooks[:1].expand(stages, -1, -1))
    farthest = []
    left = z
    for book in codebooks:
        farthest.append(_distances(left, book).argmax(-1))
        left = left - book[farthest[-1]]
    independent = formula(subtract=0.0)
    twice = []
    left = z
    for stage, book in enumerate(codebooks):
        twice.append(_distances(left, book).argmin(-1))
        left = z - book[twice[-1]] if stage < stages else left
    hint = "r = z; in each stage: the code nearest to r, then r = r − code."
    close(
        mine.double(),
        codes.double(),
        [
            Mistake(
                independent[0],
                "Every stage describes z itself: nothing is subtracted.",
                "After each stage subtract the chosen code; the next one describes what is left.",
            ),
            Mistake(
                torch.stack(twice, 1),
                "You subtract the last code from z, not from what was left.",
                "r = r − code: all codes so far are subtracted.",
            ),
            Mistake(formula(subtract=-1.0)[0], "You add the chosen code to what is left.", "Subtract it."),
            Mistake(same[0], "You use the first codebook in all stages.", "`codebooks[s]` in stage s."),
            Mistake(formula(codebooks.flip(0))[0], "Your stages run backwards.", "`codebooks[0]` comes first."),
            Mistake(formula(codebooks.flip(0))[0].flip(1), "Your stages run backwards.", "`codebooks[0]` comes first."),
            Mistake(codes.flip(1), "The stages stand in reverse.", "Column s belongs to `codebooks[s]`."),
            Mistake(torch.stack(farthest, 1), "You take the farthest codes.", "`argmin`."),
            Mistake(formula(first=1)[0], "Nothing is subtracted after the first stage.", hint),
        ],
        name="your codes",
        hint=hint,
    )
    chosen = torch.stack([book[codes[:, s]] for s, book in enumerate(codebooks)])
    close(
        said,
        total,
        [
            Mistake(
                z - total, "You return what is left, not what the codes say.", "The sum of the chosen codes: z − r."
            ),
            Mistake(chosen[-1], "You return the last stage's code alone.", "Sum over the stages."),
            Mistake(chosen[0], "You return the first stage's code alone.", "Sum over the stages."),
            Mistake(chosen.mean(0), "This is the mean over the stages, not the sum.", "Stages add up."),
            Mistake(chosen[:-1].sum(0), "The last stage is missing in your sum.", "Sum over all stages."),
            Mistake(chosen[1:].sum(0), "The first stage is missing in your sum.", "Sum over all stages."),
            Mistake(2 * z - total, "You add what is left to z.", "The sum of the chosen codes: z − r."),
            Mistake(z, "You return z itself: what is left after the last stage is not described.", "The sum of codes."),
            Mistake(-total, "The sign of your sum is wrong.", "z − r, where r is what is left."),
            Mistake(chosen.cumsum(0).sum(0), "You add up sums that run on.", "Each chosen code counts once."),
            Mistake(
                codebooks[0][codes].sum(1),
                "You look all codes up in the first codebook.",
                "`codebooks[s][codes[:, s]]`.",
            ),
        ],
        name="your sum",
        hint="Add up the chosen codes, one of each stage.",
    )
    # More stages; and far from the origin, with many rows, there must be digits left.
    deep = torch.cat([codebooks, 0.5 * codebooks[-2:].flip(1)])
    mine, said = parts(answer(z, deep), names)
    mine = tensor(mine, (n, stages + 2), torch.int64, "your codes of six stages")
    close(mine.double(), formula(deep)[0].double(), name="your codes of six stages")
    close(tensor(said, (n, dim), name="your sum"), formula(deep)[1], name="your sum of six stages")
    ends = torch.tensor([[[2.0, 0, 0], [-2, 0, 0], [2, 0, 0]], [[0, 1, 0], [0, -1, 0], [0, 1, 0]]]).double()
    mine, said = parts(answer(torch.tensor([[0.0, 0, 0], [2, 0, 0], [-2, 1, 0]]).double(), ends), names)
    mine = tensor(mine, (3, 2), torch.int64, "your codes of ties").double()
    last = torch.tensor([[2.0, 2], [2, 2], [1, 2]]).double()
    says = "Of equally near codes you take the last; the first is asked."
    ties = torch.tensor([[0.0, 0], [0, 0], [1, 0]]).double()
    close(mine, ties, [Mistake(last, says, "`<`, not `<=`, when you compare.")], name="your codes of ties")
    offset, n_far = 1e8, 60
    far = torch.cat([codebooks[:1] + offset, codebooks[1:]])
    z_far = 2 * draw.normal(generator, n_far, dim) + 1 + offset
    mine, said = parts(answer(z_far, far), names)
    mine = tensor(mine, (n_far, stages), torch.int64, "your codes")
    left, truth = z_far, []
    for book in far:
        truth.append(_distances(left, book).argmin(-1))
        left = left - book[truth[-1]]
    if not torch.equal(mine, torch.stack(truth, 1)):
        raise Wrong(
            "Far from the origin you take other codes than the nearest: ‖z‖² − 2 zᵀe + ‖e‖² has lost its digits.",
            "Subtract before you square.",
        )
    mine, said = parts(answer(z[:2], codebooks[:1]), names)
    mine = tensor(mine, (2, 1), torch.int64, "your codes of one stage")
    close(mine.double(), codes[:2, :1].double(), name="your codes of one stage")
    close(tensor(said, (2, dim), name="your sum"), chosen[0, :2], name="your sum of one stage")
