"""Arrows point one way: who imports whom in `utils`, also inside functions and for types alone, and never in a circle.

A rule is about a package and all that is below it, so that files may be moved and split inside.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

COURSE, CHECKS, MODELS = "utils.course", "utils.checks", "utils.models"
PLAIN = "the plain modules of utils"
# Whom each may import beside itself: `course` everything, the finished models and the checks what is plain.
MAY_IMPORT = {COURSE: {CHECKS, MODELS, PLAIN}, CHECKS: {PLAIN}, MODELS: {PLAIN}, PLAIN: set()}
NEVER = ("chapters", "solutions", "tests", "benchmarks")  # nothing in utils knows them


def modules(root: Path) -> dict[str, Path]:
    """The modules below `root`/utils: name → file."""
    files = sorted((root / "utils").rglob("*.py"))
    parts = {file: file.relative_to(root).with_suffix("").parts for file in files}
    return {".".join(names[:-1] if names[-1] == "__init__" else names): file for file, names in parts.items()}


def imports(name: str, file: Path, known: dict[str, Path]) -> set[str]:
    """What a module imports, wherever in it the import stands; a module for each of this package."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:  # a module of a package, or a name of a module
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in known else base)
    return found


def graph_of(root: Path) -> dict[str, set[str]]:
    known = modules(root)
    return {name: imports(name, file, known) for name, file in known.items()}


def room(module: str) -> str:
    """The package that a rule is about."""
    return next((package for package in (COURSE, CHECKS, MODELS) if f"{module}.".startswith(f"{package}.")), PLAIN)


def faults(graph: dict[str, set[str]]) -> list[str]:
    """A sentence for each arrow that runs the wrong way, and for a circle."""
    found = []
    for name, imported in sorted(graph.items()):
        for other in sorted(imported):
            if other.partition(".")[0] in NEVER:
                found.append(f"{name} imports {other}, and nothing in utils may")
            elif other.partition(".")[0] == "utils" and room(other) not in {room(name), *MAY_IMPORT[room(name)]}:
                found.append(f"{name} imports {other}: {room(name)} may not import {room(other)}")
    try:
        TopologicalSorter({name: imported & set(graph) for name, imported in graph.items()}).prepare()
    except CycleError as error:
        circle = error.args[1][:0:-1]
        first = circle.index(min(circle))
        circle = [*circle[first:], *circle[:first], circle[first]]
        found.append(f"these import each other in a circle: {' → '.join(circle)}")
    return found


def test_no_arrow_runs_the_wrong_way_and_none_in_a_circle(repository):
    graph = graph_of(repository)
    rooms = {room(name) for name in graph}
    assert rooms == set(MAY_IMPORT) and len(graph) > 60
    assert room("utils.course.grading.rpc") == COURSE and room("utils.data") == PLAIN
    assert "utils.nets" in set().union(*graph.values())  # arrows are found at all
    assert not (found := faults(graph)), "\n".join(found)


FAULTS = {
    "a circle": (
        {"a.py": "from utils import b", "b.py": "from utils.a import f"},
        "in a circle: utils.a → utils.b → utils.a",
    ),
    "a circle for types alone": (
        {
            "a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from utils.b import B",
            "b.py": "import utils.a",
        },
        "in a circle: utils.a → utils.b → utils.a",
    ),
    "a circle through a function and a package": (
        {"models/__init__.py": "from .vae import VAE", "models/vae.py": "def f():\n    from utils.models import VAE"},
        "in a circle: utils.models → utils.models.vae → utils.models",
    ),
    "a model that checks": (
        {"models/gans/gan.py": "from utils.checks.engine import check", "checks/engine.py": ""},
        "utils.models.gans.gan imports utils.checks.engine: utils.models may not import utils.checks",
    ),
    "a check that knows a model": (
        {"checks/ch06/vae.py": "def f():\n    import utils.models.vae"},
        "utils.checks.ch06.vae imports utils.models.vae: utils.checks may not import utils.models",
    ),
    "a check that knows the command": (
        {"checks/ch06.py": "from ..course import sync", "course/sync.py": ""},
        "utils.checks.ch06 imports utils.course.sync: utils.checks may not import utils.course",
    ),
    "a check that knows a solution": (
        {"checks/ch06.py": "from solutions.vae import elbo"},
        "utils.checks.ch06 imports solutions.vae, and nothing in utils may",
    ),
    "a plain module that knows a model": (
        {"nets.py": "from utils.models import vae", "models/vae.py": ""},
        "utils.nets imports utils.models.vae: the plain modules of utils may not import utils.models",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(tmp_path, name):
    files, sentence = FAULTS[name]
    for path, content in files.items():
        (tmp_path / "utils" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "utils" / path).write_text(content, encoding="utf-8")
    found = faults(graph_of(tmp_path))
    assert len(found) == 1 and found[0].endswith(sentence), found


def test_what_may_be_imported_is_no_fault(tmp_path):
    files = {
        "course/cli.py": "from utils.checks import check\nimport utils.models.vae\nfrom utils.data import load",
        "checks/__init__.py": "from utils.checks.engine import check",
        "checks/engine.py": "def f():\n    from utils.checks.count import Count",
        "checks/count.py": "from utils.data import load\nimport torch.utils.data",
        "models/vae.py": "from utils.training import Trainer",
        "training.py": "",
        "data.py": "",
    }
    for path, content in files.items():
        (tmp_path / "utils" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "utils" / path).write_text(content, encoding="utf-8")
    assert faults(graph_of(tmp_path)) == []
