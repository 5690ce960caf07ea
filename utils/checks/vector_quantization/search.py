"""Checks of chapter 7: the search for a better grid of codes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, parts, tensor

Grid = tuple[int, ...]
PLACES, CODES, TRIED = 4, 5, 4
# Images on scales that differ by hundreds of nats: none may be judged by another one's value.
LEVELS = (-900.0, -120.0, 0.0, -400.0, -60.0)
ALONE = (
    "You judge each change alone, in the grid that you began with: changes that are good alone may be bad together.",
    "Put each alternative into the best grid so far, and compare with its value.",
)
MISTAKES = [
    (dict(lower=True), "You keep what is lower: higher log p(x, c) is better.", "`>`."),
    (dict(alone="last"), *ALONE),
    (dict(alone="best"), *ALONE),
    (
        dict(against_start=True),
        "You compare with the value of the grid that you began with, not with the best so far.",
        "Update the value as soon as one is better.",
    ),
    (dict(ties=True), "You keep an alternative that is only as good as what you have.", "Higher: `>`, not `>=`."),
    (dict(first=True), "You stop at a place after the first gain.", "Try all its alternatives."),
    (dict(always=True), "You keep every alternative, better or not.", "Only what is higher."),
    (dict(stay=True), "You return to the first grid at each place.", "Keep what was gained so far."),
    (dict(backwards=True), "You go from the last place to the first.", "From first to last."),
    (dict(places=range(1)), "You search at the first place only.", "All places."),
    (dict(places=range(PLACES - 1)), "The last place is left out.", "All places."),
    (dict(places=range(1, PLACES)), "The first place is left out.", "All places."),
    (dict(tries=slice(1)), "You try the first alternative only.", "All M of them."),
    (dict(tries=slice(TRIED - 1)), "The last alternative is left out.", "All M of them."),
    (dict(tries=slice(1, None)), "The first alternative is left out.", "All M of them."),
    (dict(sweeps=2), "You go through the places a second time: one sweep is asked.", "Once, from first to last."),
]


def _sweep(
    table: np.ndarray,
    start: Sequence[int],
    tried: list[list[int]],
    *,
    lower: bool = False,
    ties: bool = False,
    alone: str = "",
    against_start: bool = False,
    first: bool = False,
    always: bool = False,
    stay: bool = False,
    backwards: bool = False,
    sweeps: int = 1,
    places: Sequence[int] = range(PLACES),
    tries: slice = slice(None),
) -> tuple[Grid, list[Grid]]:
    """The best grid of one image, and all that were visited, some more than once; or what a mistake makes of it."""
    origin = best = tuple(start)
    visited = [best]
    for place in (*(reversed(places) if backwards else places),) * sweeps:
        base = origin if stay else best
        gains = []
        for code in tried[place][tries]:
            trial, by_itself = ((*grid[:place], code, *grid[place + 1 :]) for grid in (base, origin))
            visited.append(trial)
            if alone:
                gains.append((table[by_itself].item(), code))
                continue
            gain = table[trial] - table[origin if against_start else best]
            if always or (gain < 0 if lower else gain > 0 or (ties and gain == 0)):
                best = trial
                if first:
                    break
        good = [one for one in gains if one[0] > table[origin]]
        if good:
            best = (*best[:place], (max(good) if alone == "best" else good[-1])[1], *best[place + 1 :])
    return best, visited


def _problem(generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """log p(x, c) of each image and grid, where to start, and what to try: such that every mistake shows."""
    batch = len(LEVELS)
    while True:
        table = 1.5 * draw.normal(generator, batch, *[CODES] * PLACES)
        table += torch.tensor(LEVELS).double()[(slice(None), *[None] * PLACES)]
        start = torch.randint(CODES, (batch, PLACES), generator=generator)
        tried = torch.randint(CODES, (batch, PLACES, TRIED), generator=generator)
        tried[:, :, 1] = torch.where(draw.uniform(generator, batch, PLACES) < 0.5, start, tried[:, :, 1])
        tried[:, 1, 3] = tried[:, 1, 0]  # an alternative that comes twice
        several = False
        for i, (code, *others) in enumerate(start.tolist()):
            first, _, third, fourth = tried[i, 0].tolist()
            table[(i, fourth, *others)] = table[(i, third, *others)]  # two that are equally good
            table[(i, first, *others)] = table[(i, code, *others)]  # one that is as good as the start
            several |= len({code, first, third, fourth}) == 4
        problem = table, start, tried
        if several and _all_differ(*problem):
            return problem


def _all_differ(table: Tensor, start: Tensor, tried: Tensor) -> bool:
    """Whether every mistake finds grids of its own; those that are told the same may agree."""
    found = {"": _bests(table, start, tried)}
    for how, says, _ in sorted(MISTAKES, key=lambda mistake: "sweeps" not in mistake[0]):
        bests = _bests(table, start, tried, **how)
        if any(bests == others for other, others in found.items() if other != says):
            return False
        found[says] = bests
    return True


def _bests(table: Tensor, start: Tensor, tried: Tensor, **how) -> list[Grid]:
    values = table.numpy()  # looked up one by one
    return [_sweep(values[i], start[i].tolist(), tried[i].tolist(), **how)[0] for i in range(len(table))]


@exercise("vq.search", call="search(log_joint, codes, alternatives)")
def search(answer: Callable, generator: Generator) -> None:
    table, start, tried = _problem(generator)
    batch, places, n_codes, n_tried = len(table), PLACES, CODES, TRIED
    image = torch.arange(batch)
    asked = []

    def log_joint(codes: Tensor) -> Tensor:
        if not isinstance(codes, Tensor) or codes.shape != (batch, places) or codes.is_floating_point():
            what = tuple(codes.shape) if isinstance(codes, Tensor) else type(codes).__name__
            raise Wrong(
                f"You ask `log_joint` for {what}, expected whole numbers of shape {(batch, places)}.",
                "One grid for each image.",
            )
        asked.append(codes)
        return table[(image, *codes.T)]

    visits = [_sweep(table[i], start[i].tolist(), tried[i].tolist())[1] for i in range(batch)]
    bests = _bests(table, start, tried)
    truth = torch.tensor(bests)

    def value(i: int, grid: Grid) -> Tensor:
        return table[(i, *grid)]

    names = ("grids", "log of the sum")
    result = parts(answer(log_joint, start, tried), names)
    mine = tensor(result[0], (batch, places), torch.int64, "your grids")
    sums = tensor(result[1], (batch,), name="your sum", shapes=[Mistake((), "one for all images", "One for each.")])

    of_all = start.clone()  # decides for all images by their sum
    for place, m in itertools.product(range(places), range(n_tried)):
        trial = of_all.clone()
        trial[:, place] = tried[:, place, m]
        if table[(image, *trial.T)].sum() > table[(image, *of_all.T)].sum():
            of_all = trial
    hint = "At each place: put one alternative in, compare with the best so far, keep what is higher, image by image."
    close(
        mine.double(),
        truth.double(),
        [
            Mistake(start, "You return the grids that you were given.", hint),
            Mistake(of_all, "You decide for all images at once, by their sum or mean.", "Each image for itself."),
            *(Mistake(torch.tensor(_bests(table, start, tried, **how)), *says) for how, *says in MISTAKES),
        ],
        name="your grids",
        hint=hint,
    )

    def total(grids_of: Callable[[int], list[Grid]]) -> Tensor:
        return torch.stack([torch.stack([value(i, grid) for grid in grids_of(i)]).logsumexp(0) for i in range(batch)])

    everything = list(itertools.product(range(n_codes), repeat=places))
    distinct = total(lambda i: list(dict.fromkeys(visits[i])))
    n_distinct = torch.tensor([len(set(one)) for one in visits]).double()
    n_visits = torch.tensor([len(one) for one in visits]).double()
    best = torch.stack([value(i, bests[i]) for i in range(batch)])
    close(
        sums,
        distinct,
        [
            Mistake(
                total(lambda i: visits[i]),
                "You count grids twice, where an alternative comes twice or stands there already: your sum may exceed "
                "p(x).",
                "Add a grid only if its code differs from all that were tried at this place.",
            ),
            Mistake(
                total(lambda i: visits[i]) - n_visits.log(),
                "You average p over the grids where the sum belongs.",
                "p(x) is a sum over all grids: no division.",
            ),
            Mistake(
                distinct - n_distinct.log(),
                "You average p over the grids where the sum belongs.",
                "p(x) is a sum over all grids: no division.",
            ),
            Mistake(best, "You return log p(x, c) of the best grid alone.", "The sum over all that were visited."),
            Mistake(
                total(lambda i: list({value(i, grid).item(): grid for grid in visits[i]}.values())),
                "You take grids of equal value for the same grid.",
                "Compare codes, not values: two grids may be equally likely.",
            ),
            Mistake(
                total(lambda i: [one for one in dict.fromkeys(visits[i]) if one != visits[i][0]]),
                "The grid that you began with is missing in the sum.",
                "It is visited, too.",
            ),
            Mistake(
                total(lambda i: visits[i][1:]),
                "The grid that you began with is missing in the sum, and others count twice.",
                "Each visited grid once.",
            ),
            Mistake(
                torch.stack([torch.stack([value(i, g) for g in dict.fromkeys(visits[i])]).sum() for i in range(batch)]),
                "You add logarithms: this is the logarithm of a product.",
                "`logaddexp` or `logsumexp`.",
            ),
            Mistake(
                torch.stack([torch.stack([value(i, g) for g in visits[i]]).sum() for i in range(batch)]),
                "You add logarithms: this is the logarithm of a product.",
                "`logaddexp` or `logsumexp`.",
            ),
            Mistake(
                total(lambda i: everything),
                "You sum over all grids: only the visited ones are affordable.",
                "Count them.",
            ),
            Mistake(
                torch.stack([value(i, tuple(start[i].tolist())) for i in range(batch)]),
                "You return log p(x, c) of the grid that you began with.",
                "The sum over all that were visited.",
            ),
            Mistake(
                total(lambda i: _records(visits[i], table[i])),
                "You add up only the grids that were kept: those that lost count, too.",
                "Each visited grid once.",
            ),
            Mistake(distinct.exp(), "You return the sum, not its logarithm.", "Stay in logarithms."),
            Mistake(-distinct, "The sign of your sum is wrong.", "Higher is better."),
        ],
        name="your log of the sum",
        hint="log Σ p(x, c) over the start and every new grid, each once.",
    )
    if len(asked) > batch * (1 + places * n_tried):
        raise Wrong(
            f"You ask `log_joint` {len(asked)} times; {1 + places * n_tried} are enough, and {batch} times as many "
            "allowed.",
            "One call for the start, one for each alternative at each place: each is expensive.",
        )


def _records(visited: list[Grid], table: Tensor) -> list[Grid]:
    """Those that were better than all before them."""
    kept = visited[:1]
    for grid in visited[1:]:
        if table[grid] > table[kept[-1]]:
            kept.append(grid)
    return kept
