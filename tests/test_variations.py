"""A wrong number is told to be that of a changed formula only if it is, and the formula is the right one."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from utils.checks import engine, exercise_ids, expect, run_check
from utils.checks.expect import close
from utils.checks.symptoms import same
from utils.checks.variations import of_inputs, of_steps, of_terms, told
from utils.checks.verdicts import Wrong

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
W = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64).abs()


def formula(x, w):
    return (x.square() * w).sum(-1)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (formula(-X, W + 1), "with `w` one too large."),
        (formula(X, -W), "with `w` negated."),
        (formula(X, W.sqrt()), "with the square root of `w`."),
        (formula(X, 1 / W), "with one divided by `w`."),
        (formula(X[:1].expand_as(X), W), "with the first row of `x` in the place of all."),
        (formula(X.flip(0), W), "with `x` in reverse order."),
        (formula(W, X), "with `x` and `w` exchanged."),
        (formula(X, 0 * W + 1), "with 1 in the place of `w`."),
        (formula(2 * X, W), "with twice `x`."),
    ],
)
def test_what_was_changed_is_told(value, says):
    assert told(value, formula(X, W), of_inputs(formula, x=X, w=W)) == f"Yours is what comes out {says}"
    with pytest.raises(Wrong, match="Yours is what comes out"):
        close(value, formula(X, W), varied=lambda: of_inputs(formula, x=X, w=W))


def test_what_no_change_gives_is_not_told():
    assert told(formula(X, W) * 1.1 + 0.01, formula(X, W), of_inputs(formula, x=X, w=W)) == ""
    assert told(torch.tensor(1.0), torch.tensor(2.0), of_inputs(lambda n: n, n=torch.tensor(2.0))) == ""  # a count
    assert told(X * torch.nan, X, of_inputs(lambda x: x, x=X)) == ""


def test_terms_of_a_sum():
    a, b, c = X[0], X[1], X[2]
    terms = {"a": a, "½ b": b, "c": c}
    for value, says in (
        (a + c, "without the term ½ b"),
        (a + b - c, "with the wrong sign of the term c"),
        (2 * a + b + c, "with twice the term a"),
        (a + b + c / 2, "with half of the term c"),
        (b, "if nothing but the term ½ b is there"),
    ):
        assert told(value, a + b + c, of_terms(terms)) == f"Yours is what comes out {says}."


def test_two_changes_with_one_result_are_told_as_two():
    says = told(
        X.square().sum(-1) * 4, X.square().sum(-1), of_steps(lambda x, n: (n * x).square().sum(-1), {"x": X, "n": 1.0})
    )
    assert says == "Yours is what comes out with twice x, or with twice n, or with n one too large."


def test_nothing_is_varied_for_a_right_result():
    def never():
        raise AssertionError("a right result needs no variations")

    close(X, X, varied=never, facts=never)


def test_a_change_that_has_no_result_is_passed_over():
    matrix = torch.eye(2, dtype=torch.float64) + 0.5
    says = told(
        torch.linalg.cholesky(2 * matrix), torch.linalg.cholesky(matrix), of_inputs(torch.linalg.cholesky, m=matrix)
    )
    assert says == "Yours is what comes out with twice `m`."  # and −m has no such factor


def _vary() -> list[str]:
    return [id for id in exercise_ids() if "varied=" in inspect.getsource(engine._exercises[id].judge)]


@pytest.mark.skipif(not (Path(__file__).parents[1] / "solutions").is_dir(), reason="solutions/ is withheld")
@pytest.mark.parametrize("id", _vary())
def test_the_formula_that_is_varied_is_the_right_one(id, monkeypatch):
    from test_checks import namespace_of

    right, asked = namespace_of(id)[engine.function_name(id)], []

    def listening(value, truth, variations):
        asked.extend((other, truth) for says, other in variations if not says)
        return told(value, truth, ())

    monkeypatch.setattr(expect, "told", listening)
    for part in range(3):

        def a_little_off(*inputs, part=part):
            result = right(*inputs)
            if isinstance(result, tuple):
                return tuple(1.013 * one + 0.0071 if at == part else one for at, one in enumerate(result))
            return 1.013 * result + 0.0071

        run_check(id, a_little_off)
    assert asked
    for other, truth in asked:
        assert same(other.double().reshape(truth.shape), truth.double())
