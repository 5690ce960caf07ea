"""Checks of chapter 4: the number of components, and collapsed ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw, expect
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, tensor
from utils.checks.verdicts import Wrong


@exercise("gmm.bic", call="bic(log_prob, n_components, n_features)")
def bic(answer: Callable, generator: Generator) -> None:
    for n, k, dim in ((47, 3, 4), (112, 6, 5)):
        _bic(answer, draw.normal(generator, n) - 4, k, dim)


def _bic(answer: Callable, log_prob: Tensor, k: int, dim: int) -> None:
    n = len(log_prob)
    symmetric = dim * (dim + 1) // 2
    total, cost = log_prob.sum(), math.log(n)

    def formula(weights=k - 1, means=k * dim, covariances=k * symmetric, fit=-2 * total, price=cost):
        return (weights + means + covariances) * price + fit

    truth = formula()
    value = expect.number(answer(log_prob, k, dim), "your BIC")
    counted = ((value + 2 * total) / cost).item()
    close(
        value,
        truth,
        [
            Mistake(formula(weights=k), "You counted K weights: they sum to one, so K − 1 are free.", ""),
            Mistake(formula(weights=0), "You did not count the weights.", "K − 1 of them are free."),
            Mistake(formula(means=0), "You did not count the means.", "K · D numbers."),
            Mistake(formula(means=k), "You counted one number for each mean.", "A mean has D coordinates."),
            Mistake(
                formula(covariances=k * dim**2),
                "You counted D² numbers for each covariance: it is symmetric.",
                "D (D + 1) / 2 of them are free.",
            ),
            Mistake(
                formula(covariances=k * dim * (dim - 1) // 2),
                "You left out the variances on the diagonal.",
                "D (D + 1) / 2.",
            ),
            Mistake(
                formula(covariances=k * dim),
                "You counted diagonal covariances.",
                "Full ones have D (D + 1) / 2 numbers.",
            ),
            Mistake(
                formula(covariances=symmetric), "You counted one covariance for all components.", "Each has its own."
            ),
            Mistake(
                formula(weights=k, covariances=k * dim**2),
                "You counted K weights and D² numbers a covariance.",
                "K − 1 and D (D + 1) / 2 are free.",
            ),
            Mistake(
                formula(fit=-2 * total / n),
                "You use the log-likelihood per point, not its sum.",
                "Sum over the points.",
            ),
            Mistake(
                formula(fit=2 * total),
                "The log-likelihood has the wrong sign.",
                "A good fit makes the BIC small: −2 Σ log p(x).",
            ),
            Mistake(
                -truth,
                "The sign is wrong: this BIC grows with the fit.",
                "Smaller is better here: p log N − 2 Σ log p(x).",
            ),
            Mistake(formula(fit=0), "The log-likelihood is missing.", "BIC = p log N − 2 Σ log p(x)."),
            Mistake(formula(price=math.log2(n)), "You use log₂ N.", "The natural logarithm: `math.log`."),
            Mistake(
                formula(fit=-total), "The factor 2 of the log-likelihood is missing.", "BIC = p log N − 2 Σ log p(x)."
            ),
            Mistake(truth / 2, "This is half the BIC.", "BIC = p log N − 2 Σ log p(x)."),
            Mistake(formula(price=2), "This is Akaike's criterion: a parameter costs 2.", "In the BIC it costs log N."),
            Mistake(formula(price=math.log(k)), "A parameter costs log N, not log K.", "N is the number of points."),
            Mistake(formula(price=1), "You forgot log N: what each parameter costs.", ""),
            Mistake(formula(price=n), "A parameter costs log N, not N.", ""),
            Mistake(
                value if abs(counted - round(counted)) < 1e-6 else 0,
                f"You count {round(counted)} free numbers, there are {k - 1 + k * dim + k * symmetric}.",
                "K − 1 weights, K · D coordinates of means, K · D (D + 1) / 2 numbers in covariances.",
                general=True,
            ),
        ],
        name="your BIC",
        hint="Count the free numbers first: weights, means, covariances.",
    )


@exercise("gmm.spot_collapse", call="spot_collapse(x, weights, covariances)")
def spot_collapse(answer: Callable, generator: Generator) -> None:
    def ask(x: Tensor, weights: list[float], covariances: list[Tensor]) -> list[bool]:
        mask = answer(x, torch.tensor(weights, dtype=torch.float64), torch.stack(covariances))
        integers = isinstance(mask, torch.Tensor) and not mask.dtype.is_floating_point and mask.dtype != torch.bool
        if integers and mask.shape != (len(weights),):
            raise Wrong(
                "You return the indices of components, not one truth value for each.", "Return the mask itself."
            )
        return tensor(mask, (len(weights),), torch.bool).tolist()

    def expect_mask(mask: list[bool], truth: list[bool], says: str, hint: str) -> None:
        if mask == [not value for value in truth]:
            raise Wrong("Your answer is upside down: True means collapsed.", "Negate it.")
        if says.startswith("You miss") and all(mine for mine, right in zip(mask, truth, strict=True) if right):
            healthy = [k for k, (mine, right) in enumerate(zip(mask, truth, strict=True)) if mine and not right]
            if healthy:
                called = f"You call a healthy component collapsed: number {healthy[0]} of {len(truth)}."
                raise Wrong(called, "Collapsed is only what is nearly empty or singular, as the exercise defines it.")
        if mask != truth:
            raise Wrong(says, hint)

    dim = 3
    eye = torch.eye(dim, dtype=torch.float64)
    # Data that are wide in one direction and thin in another, none of them an axis; N · weight can be a whole number.
    turn = torch.linalg.qr(draw.normal(generator, dim, dim)).Q
    x = (torch.tensor([0.6, 3.0, 8.0]) + draw.normal(generator, 256, dim) * torch.tensor([0.2, 2.0, 6.0])) @ turn.mT
    spread = x.mT.cov()
    healthy = draw.covariances(generator, dim=dim)
    point = 1e-9 * eye
    direction = torch.nn.functional.normalize(draw.normal(generator, dim).abs() + 0.3, dim=0)
    # Flat across `direction`, with ordinary variances on the diagonal.
    pancake = eye - (1 - 1e-9) * torch.outer(direction, direction)

    expect_mask(
        ask(x, [0.5, 0.2, 0.1, 0.2], [healthy, point, eye, 2 * eye]),
        [False, True, False, False],
        "You miss a component that shrank to one point, the same in all directions.",
        "Compare its smallest eigenvalue with the data's; a ratio of its own eigenvalues does not see it.",
    )
    expect_mask(
        ask(x, [0.5, 0.3, 0.2], [healthy, eye, pancake]),
        [False, False, True],
        "You miss a component that is flat across a slanted direction: its diagonal looks healthy.",
        "Use eigenvalues (`torch.linalg.eigvalsh`), not the variances on the diagonal.",
    )
    expect_mask(
        ask(x, [0.6, 0.395, 0.005], [healthy, eye, eye]),
        [False, False, True],
        "You miss a nearly empty component: it owns N · weight = 1.3 points.",
        f"It takes at least D + 1 = {dim + 1} points to span a covariance.",
    )
    expect_mask(
        ask(x, [0.6, 0.377, 0.023], [healthy, eye, eye]),
        [False, False, False],
        "You call a small but healthy component collapsed: N · weight = 5.9 points with D = 3.",
        "Too few means fewer than D + 1 points, whatever their share.",
    )
    expect_mask(
        ask(x, [240 / 256, 13 / 256, 3 / 256], [healthy, eye, eye]),
        [False, False, True],
        "You miss a nearly empty component: it owns N · weight = 3 points with D = 3.",
        f"It takes at least D + 1 = {dim + 1} points to span a covariance.",
    )
    expect_mask(
        ask(x, [240 / 256, 12 / 256, 4 / 256], [healthy, eye, eye]),
        [False, False, False],
        "You call a component collapsed that owns N · weight = 4 points, just the D + 1 that it takes.",
        "The condition is N · weight < D + 1: mind `<` and `<=`.",
    )
    expect_mask(
        ask(x, [252.4 / 256, 3.6 / 256], [healthy, eye]),
        [False, True],
        "You miss a nearly empty component of N · weight = 3.6 points, with D = 3, where there are two in all.",
        f"N · weight < D + 1 = {dim + 1}: nothing is rounded, and the number of components does not matter.",
    )
    expect_mask(
        ask(x, [206 / 256, 20 / 256, 15 / 256, 10 / 256, 5 / 256], [healthy, *[eye] * 4]),
        [False] * 5,
        "You call one of five components collapsed that owns N · weight = 5 points, where D + 1 = 4 are enough.",
        "It takes D + 1 points, whatever the number of components.",
    )
    expect_mask(
        ask(x, [0.996, 0.004], [healthy, point]),
        [False, True],
        "You miss a component that is both empty and singular.",
        "Either is enough: use `|`.",
    )
    for scale in (1e-4, 1e4):
        expect_mask(
            ask(scale * x, [0.5, 0.3, 0.2], [scale**2 * c for c in (healthy, point, eye)]),
            [False, True, False],
            f"Your answer changes when all data are multiplied by {scale:g}: the tolerance is absolute.",
            "Compare with the smallest eigenvalue of the covariance of all data.",
        )
    many = 12
    wide, identity = draw.normal(generator, 400, many), torch.eye(many, dtype=torch.float64)
    expect_mask(
        ask(wide, [0.5, 0.5], [0.05 * identity, 1e-9 * identity]),
        [False, True],
        "You call a healthy component collapsed: a determinant is small in many dimensions.",
        "The determinant is a product of D eigenvalues: look at the smallest one instead.",
    )
    _measured_against(ask, x, spread)


def _measured_against(ask: Callable, x: Tensor, spread: Tensor) -> None:
    """Components as thin as the data allow, and thinner: which are collapsed tells what they are compared with."""
    values, dim = torch.linalg.eigvalsh(spread), len(spread)
    factor = torch.linalg.cholesky(spread)
    compared = {
        "largest eigenvalue": values[-1],
        "second eigenvalue": values[1],
        "mean variance": values.mean(),
        "smallest variance of a column": spread.diagonal().min(),
        "largest variance of a column": spread.diagonal().max(),
        "geometric mean of the eigenvalues, det^(1/D)": values.prod() ** (1 / dim),
        "determinant": values.prod(),
        "smallest number on the Cholesky factor's diagonal": factor.diagonal().min(),
        "square root of the smallest eigenvalue": values[0].sqrt(),
        "smallest eigenvalue of the second moments": torch.linalg.eigvalsh(x.mT @ x / len(x))[0],
    }
    tolerances = {"10⁻⁵": 0.1 * values[0], "10⁻³": 10 * values[0], "10⁻²": 100 * values[0]}
    known = sorted(one.item() for one in (*compared.values(), *tolerances.values()) if one > 1.1 * values[0])
    steps = torch.tensor(
        [values[0] / 30, 0.9 * values[0], 1.1 * values[0], *known, 30 * known[-1]], dtype=torch.float64
    )
    thin = 1e-4 * torch.cat([steps[:3], (steps[2:-1] * steps[3:]).sqrt()])
    # The other directions are wide in every second component, so that whoever looks at them finds no order.
    others = torch.tensor([[1.5, 2.0], [1e6, 1e7]], dtype=torch.float64).repeat(len(thin), 1)[: len(thin)]
    covariances = [torch.diag(torch.stack([t, *(t * other)])) for t, other in zip(thin, others, strict=True)]
    weights = [1 / len(thin)] * len(thin)
    mask = torch.tensor(ask(x, weights, covariances)).double()
    truth = (thin < 1e-4 * values[0]).double()
    if torch.equal(mask, truth):
        return
    hint = "Singular is what is below 10⁻⁴ times the smallest eigenvalue of the covariance of all data."
    expect.name_mistake(
        mask,
        [
            *(
                Mistake(
                    (thin < 1e-4 * one).double(),
                    f"You compare with the {name} of the data"
                    + (": the mean is not subtracted." if "moments" in name else ", not with the smallest eigenvalue."),
                    hint,
                )
                for name, one in compared.items()
            ),
            *(
                Mistake((thin < 1e-4 * one).double(), f"Your tolerance is {factor}, where 10⁻⁴ is asked for.", hint)
                for factor, one in tolerances.items()
            ),
        ],
    )
    raise Wrong(
        f"You call {int(mask.sum())} of {len(thin)} ever wider components singular, {int(truth.sum())} are.", hint
    )
