"""Each check of each chapter: right answers pass, the stub is not attempted, wrong answers are named.

Inputs are drawn `SEEDS` times for a solution (`make test SEEDS=5`), half as often where that takes long or says little.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import functools
import io
import os
from pathlib import Path

import jupytext
import matplotlib
import pytest
from right_answers import right_answers
from wrong_answers import wrong_answers

from utils.checks import exercise_ids, run_check

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "solutions").is_dir():
    pytest.skip("solutions/ is withheld", allow_module_level=True)
CHECKS = sorted((ROOT / "utils" / "checks").rglob("*.py"))
SECONDS = {"core": 2, "extend": 2, "challenge": 60}  # of processor time
SEEDS = int(os.environ.get("SEEDS", "2"))


@functools.cache
def markers() -> dict[str, tuple[Path, dict]]:
    """Exercise id → its file and marker."""
    found = {}
    for path in sorted((ROOT / "solutions").glob("*/exercises.py")):
        for cell in jupytext.read(path).cells:
            if "exercise" in cell.metadata:
                marker = cell.metadata["exercise"]
                assert marker["id"] not in found, f"{path.name}: the id {marker['id']} is used twice"
                found[marker["id"]] = path, marker
    return found


def tier(id: str) -> str:
    return markers()[id][1]["tier"]


@functools.cache
def notebook(path: Path) -> tuple[dict, dict, dict]:
    """Of a notebook, run without its checks and target pictures: exercise id → the solution's function, id → its cell,
    and the names it has in the end."""
    matplotlib.use("agg")
    namespace, functions, sources = {}, {}, {}
    for cell in jupytext.read(path).cells:
        dropped = "solution" in cell.metadata.get("tags", [])
        if cell.cell_type != "code" or dropped or cell.source.startswith("check("):
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, str(path), "exec"), namespace)
        if "exercise" in cell.metadata:
            last = [node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)][-1]
            functions[cell.metadata["exercise"]["id"]] = namespace[last.name]
            sources[cell.metadata["exercise"]["id"]] = cell.source
    return functions, sources, namespace


def solution(id: str):
    return notebook(markers()[id][0])[0][id]


def cell_of(id: str) -> str:
    """The source of the exercise's cell, with its solution."""
    return notebook(markers()[id][0])[1][id]


def namespace_of(id: str) -> dict:
    """The names of the exercise's notebook."""
    return notebook(markers()[id][0])[2]


def test_every_exercise_has_a_check_and_every_check_an_exercise():
    without = sorted(set(markers()) - set(exercise_ids()))
    assert not without, f"{', '.join(without)} has no check: write it in utils/checks/"
    lost = sorted(set(exercise_ids()) - set(markers()))
    assert not lost, f"{', '.join(lost)} has a check and no exercise: write it in solutions/"


def seeds() -> list[tuple[str, int]]:
    """Ids and the seeds that the solution is tried with. With seed 0 its notebook runs it, too."""
    few = range(2)[-max(1, SEEDS // 2) :]
    return [(id, seed) for id in exercise_ids() for seed in (few if tier(id) == "challenge" else range(SEEDS))]


@pytest.mark.parametrize(("id", "seed"), seeds())
def test_the_solution_passes_in_time(id, seed):
    verdict = run_check(id, solution(id), seed)
    assert verdict.status == "passed", verdict
    assert verdict.seconds < SECONDS[tier(id)], verdict
    assert verdict.printed == ""


@pytest.mark.parametrize("id", exercise_ids())
def test_the_stub_is_not_attempted(id):
    def stub(*inputs):
        raise NotImplementedError(id)

    assert run_check(id, stub).status == "not attempted"


@pytest.mark.parametrize("id", exercise_ids())
def test_at_least_three_wrong_answers_are_kept(id):
    kept = collections.Counter(answer.id for answer in wrong_answers())[id]
    assert kept >= 3, f"the exercise {id} has {kept} wrong answers in tests/wrong_answers/: write at least three"


@pytest.mark.parametrize("answer", wrong_answers(), ids=str)
@pytest.mark.parametrize("seed", range((SEEDS + 1) // 2))
def test_a_wrong_answer_is_named(answer, seed):
    verdict = run_check(answer.id, answer.function, seed)
    assert verdict.status == "wrong", verdict
    assert answer.says in verdict.message, verdict


@pytest.mark.parametrize(("id", "answer"), right_answers(), ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("seed", range(max(1, SEEDS // 2)))
def test_a_right_answer_written_otherwise_passes(id, answer, seed):
    verdict = run_check(id, answer, seed)
    assert verdict.status == "passed", verdict


@pytest.mark.parametrize("id", exercise_ids())
def test_every_exercise_has_another_right_answer(id):
    others = {other for other, _ in right_answers()}
    assert id in others, (
        f"the exercise {id} has no right answer in tests/right_answers/: write one otherwise than yours"
    )


def test_every_right_answer_has_an_exercise():
    assert {id for id, _ in right_answers()} <= set(exercise_ids())


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_checks_know_neither_solutions_nor_models(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    forbidden = ("solutions", "chapters", "utils.models", "utils.course")
    assert not [name for name in imported if name.startswith(forbidden)]
