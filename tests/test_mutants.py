"""Mechanical wrong answers: a few for each exercise are judged here, all of them by `python tests/mutants.py`."""

from __future__ import annotations

import functools
import os
import random
from pathlib import Path

import pytest

if not (Path(__file__).resolve().parents[1] / "solutions").is_dir():
    pytest.skip("solutions/ is withheld", allow_module_level=True)

from mutants import BARE, Mutant, equivalent, mutants, verdict
from test_checks import cell_of, namespace_of, tier

from utils.checks import exercise_ids

SEEDS = int(os.environ.get("SEEDS", "2"))
IDS = [id for id in exercise_ids() if tier(id) != "challenge"]


@functools.cache
def made(id: str) -> list[Mutant]:
    return mutants(id, cell_of(id))


@pytest.mark.parametrize("id", IDS)
def test_no_mutant_of_a_few_passes(id):
    few = [mutant for mutant in made(id) if mutant.change not in equivalent().get(id, {})]
    for mutant in random.Random(id).sample(few, min(SEEDS + 1, len(few))):
        status, message = verdict(mutant, namespace_of(id))
        assert status != "passed", f"{mutant}: the check takes it for right ({message})"


@pytest.mark.parametrize("id", sorted(equivalent()))
def test_what_is_called_no_mistake_is_still_made_and_has_a_reason(id):
    changes = {mutant.change for mutant in made(id)}
    gone = [change for change in equivalent()[id] if change not in changes]
    assert not gone, f"tests/equivalent_mutants.toml, {id}: nobody makes {gone}"
    assert all(len(reason.split()) >= 3 for reason in equivalent()[id].values())


def test_mutants_of_a_small_solution():
    cell = """
def f(x, n):
    ### BEGIN SOLUTION
    total = -0.5 * x.sum(-1)
    if n < 3:
        total = total + 1
    return total
    ### END SOLUTION
"""
    changes = [mutant.change for mutant in mutants("a.f", cell)]
    assert len(changes) == len(set(changes))
    for change in (
        "-0.5 → 0.5",
        "x.sum(-1) → x.mean(-1)",
        "-1 → -2",
        "n < 3 → n <= 3",
        "3 → 4",
        "total + 1 → total - 1",
        "total + 1 → total",
        "ignored: n",
        "first row: x",
        "result: turned round",
    ):
        assert change in changes, changes
    assert not any("-1 → 1" in change for change in changes)
    functions = {mutant.change: mutant.function({}) for mutant in mutants("a.f", cell)}
    import torch

    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert functions["x.sum(-1) → x.mean(-1)"](x, 2).tolist() == [0.25, -1.0]
    assert functions["result: turned round"](x, 3).tolist() == [-4.0, -1.5]
    assert functions["n < 3 → n <= 3"](x, 3).tolist() == [-0.5, -3.0]


def test_a_message_of_two_numbers_only_is_known():
    assert BARE.fullmatch("Your loss should be 0.883107 at [3], not -5.1e-05.")
    assert not BARE.fullmatch("You forgot the mixture weights.")
    assert not BARE.fullmatch("Your loss has the wrong sign: it should be 0.5 at [3], not -0.5.")
