"""A notebook is stale, and a graded record void, for what it was made with and for nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tiny_course import HEADER, add_chapter, command, environment, make

from utils.checks import exercise_ids
from utils.course.fingerprint import COMPUTE, Fingerprints
from utils.course.notebooks import dumps, from_text, read
from utils.course.register import Register
from utils.course.sync import problems, sync

LESSON = """\
# %% [markdown]
# # Tiny

# %% tags=["parameters"]
seed = 0

# %%
from safetensors.torch import load_file

from utils.data import path
from utils.models.tiny_model import halved
from utils.results import record

weights = load_file(path("weights.safetensors"))
record("half", halved(float(path("numbers.csv").read_text())))
record("other", 1.0)
"""
SECOND_LESSON = """\
# %% tags=["parameters"]
seed = 0

# %%
from utils.families import families
from utils.results import recorded

print(recorded("01")["half"]["value"])
families("01")
"""
FAMILY = """
[family]
name = "Halves"
likelihood = "exact"
samples = "at once"
latent = "none"
good = "halving"
bad = "doubling"
"""
SOLUTION = '''\
# %%
from utils.checks import check

# %% exercise={"id": "tiny.half", "tier": "core", "minutes": 5, "points": 1}
def half(x: float) -> float:
    """Half of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %%
check("tiny.half", half)
'''
CHECK = """\
from utils.checks.engine import Wrong, exercise
from utils.tiny_numbers import TWO


@exercise("{id}", "half(x)")
def judge(half, generator):
    if half(TWO) != 1.0:
        raise Wrong("It is not half.")
"""
MODULES = {
    "utils/models/tiny_model.py": "from utils.tiny_helper import divided\n\ndef halved(x): return divided(x, 2)\n",
    "utils/tiny_helper.py": "def divided(x, y):\n    return x / y\n",
    "utils/models/tiny_other.py": "",
    "utils/tiny_numbers.py": "TWO = 2.0\n",
    "utils/checks/ch98.py": CHECK.format(id="tiny.half"),
    "utils/checks/ch99.py": CHECK.format(id="tiny.of_another_chapter"),
}
LOCK = """\
numpy==2.4.6
ruff==0.17.6
safetensors==0.8.0
torch==2.13.0 ; sys_platform != 'darwin'
"""


@pytest.fixture(scope="module")
def executed(repository, tmp_path_factory):
    """A course with its own copy of `utils`: two lessons and a solution, executed."""
    import torch
    from safetensors.torch import save_file

    root = make(tmp_path_factory.mktemp("small") / "course", LESSON, SOLUTION)
    add_chapter(root, "02_more", "More")
    shutil.rmtree(root / "solutions" / "02_more")
    shutil.copytree(repository / "utils", root / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    for module in (root / "utils" / "checks").rglob("*.py"):
        if "\n@exercise(" in module.read_text():  # the real ones would cost time
            module.unlink()
    for name, text in MODULES.items():
        (root / name).write_text(text)
    second = Register(root).find("02").lesson.with_suffix(".py")
    second.write_text(HEADER + SECOND_LESSON)
    for chapter in Register(root).chapters:
        append(root, f"chapters/{chapter.slug}/chapter.toml", FAMILY)
    (root / "requirements.lock").write_text(LOCK)
    (root / "data" / "numbers.csv").write_text("1\n")
    (root / "data" / "unused.csv").write_text("1\n")
    save_file({"weight": torch.ones(2)}, root / "data" / "weights.safetensors")
    register_data(root)
    done = subprocess.run(
        command("sync"),
        env=environment(root) | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def small(executed, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(executed, tmp_path / "course")


def register_data(root) -> None:
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(root.glob("data/*.*s*"))
    ]
    (root / "data" / "SHA256SUMS").write_text("".join(sums))


def notebooks(root) -> dict[str, Path]:
    first, second = Register(root).chapters
    return {"lesson": first.lesson, "solution": first.solutions, "second": second.lesson}


def stale(root) -> dict[str, list[str]]:
    """The notebooks that would be executed again → what has changed."""
    fingerprints = Fingerprints(Register(root))
    found = {name: read(path) for name, path in notebooks(root).items()}
    changes = {name: fingerprints.changes(it, it.metadata.course.executed_with) for name, it in found.items()}
    return {name: changed for name, changed in changes.items() if changed}


def append(root, name: str, text: str = "# changed\n") -> None:
    with (root / name).open("a") as file:
        file.write(text)


def bump(root, package: str) -> None:
    lock = (root / "requirements.lock").read_text()
    (root / "requirements.lock").write_text(lock.replace(f"{package}==", f"{package}==9"))


# --- notebooks


def test_what_was_executed_with_it_stands_in_the_notebook(executed):
    tables = read(Register(executed).find("01").lesson).metadata.course.executed_with
    assert {"its own cells", "utils/__init__.py", "utils/models/__init__.py"} < tables.code.keys()
    assert {"utils/models/tiny_model.py", "utils/tiny_helper.py", "utils/data.py"} < tables.code.keys()
    assert not {"utils/models/tiny_other.py", "utils/checks/engine.py", "utils/tiny_numbers.py"} & tables.code.keys()
    assert list(tables.data) == ["data/numbers.csv", "data/weights.safetensors"]
    assert tables.packages.torch == "2.13.0" and "pgmpy" not in tables.packages
    assert list(read(Register(executed).find("02").lesson).metadata.course.executed_with.results) == [
        "01 families",
        "01 half",
    ]


@pytest.mark.parametrize(
    "change",
    {
        "nothing": lambda root: None,
        "a new check module": lambda root: append(root, "utils/checks/ch97.py", CHECK.format(id="tiny.new")),
        "a changed check of another chapter": lambda root: append(root, "utils/checks/ch99.py"),
        "a new data file": lambda root: (append(root, "data/new.csv", "1\n"), register_data(root)),
        "a data file that nobody opened": lambda root: (append(root, "data/unused.csv", "1\n"), register_data(root)),
        "a model that nobody imports": lambda root: append(root, "utils/models/tiny_other.py"),
        "a new model": lambda root: append(root, "utils/models/tiny_new.py"),
        "a package that computes nothing": lambda root: bump(root, "ruff"),
        "other line ends": lambda root: (root / "utils" / "tiny_helper.py").write_bytes(
            (root / "utils" / "tiny_helper.py").read_bytes().replace(b"\n", b"\r\n")
        ),
    }.items(),
    ids=lambda change: change[0],
)
def test_what_a_notebook_does_not_use_leaves_it_valid(small, change):
    change[1](small)
    assert stale(small) == {}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("utils/models/tiny_model.py", ["lesson"]),
        ("utils/tiny_helper.py", ["lesson"]),
        ("utils/models/__init__.py", ["lesson"]),
        ("utils/data.py", ["lesson"]),
        ("data/numbers.csv", ["lesson"]),
        ("data/weights.safetensors", ["lesson"]),
        ("utils/results.py", ["lesson", "second"]),
        ("utils/__init__.py", ["lesson", "solution", "second"]),
        ("utils/checks/ch98.py", ["solution"]),
        ("utils/checks/engine.py", ["solution"]),
        ("utils/tiny_numbers.py", ["solution"]),
    ],
)
def test_a_changed_file_makes_those_stale_that_use_it_and_is_named(small, file, expected):
    append(small, file)
    assert stale(small) == {name: [file] for name in expected}


def test_a_package_that_computes_makes_those_stale_that_import_it(small):
    bump(small, "torch")
    assert stale(small) == {"lesson": ["torch"], "solution": ["torch"]}


def test_only_the_recorded_values_that_a_lesson_read_count_for_it(small):
    lesson = Register(small).find("01").lesson
    text = lesson.read_text()

    def recorded_as(key: str, value: float) -> dict:
        notebook = read(lesson)
        for output in notebook.cells[-1].outputs:
            for data in output.data.values():
                if isinstance(data, dict) and data["key"] == key:
                    data["value"] = value
        lesson.write_text(dumps(notebook))
        return stale(small)

    assert recorded_as("other", 7.0) == {}
    assert recorded_as("half", 7.0) == {"second": ["01 half"]}
    lesson.write_text(text)
    assert stale(small) == {}


def test_the_table_of_families_changes_with_the_rows_that_it_shows(small):
    def other_row(number: str) -> dict:
        file = Register(small).find(number).folder / "chapter.toml"
        file.write_text(file.read_text().replace("doubling", "thirds"))
        return stale(small)

    assert other_row("02") == {}
    assert other_row("01") == {"second": ["01 families"]}


def test_a_file_that_has_gone_is_named(small):
    (small / "data" / "numbers.csv").unlink()
    assert stale(small) == {"lesson": ["data/numbers.csv"]}


def test_the_check_of_the_course_names_notebook_change_and_remedy(small):
    assert list(problems(Register(small))) == []
    for name in ("utils/models/tiny_model.py", "utils/tiny_helper.py", "utils/data.py", "data/numbers.csv"):
        append(small, name)
    bump(small, "torch")
    lesson, solution = (notebooks(small)[name].relative_to(small).as_posix() for name in ("lesson", "solution"))
    assert list(problems(Register(small))) == [
        f"{lesson} was executed with another utils/data.py, utils/models/tiny_model.py, utils/tiny_helper.py"
        " and 2 more: run `course sync 01`",
        f"{solution} was executed with another torch: run `course sync 01`",
    ]


def test_a_new_sentence_is_no_reason_to_execute(small):
    lesson = notebooks(small)["lesson"]
    text = lesson.with_suffix(".py")
    text.write_text(text.read_text().replace("# # Tiny", "# # Tiny words"))
    lines = list(sync(Register(small), Register(small).select(["01"])))
    assert lines[0].endswith(": updated") and lines[1].endswith(": up to date")
    assert read(lesson).cells[0].source == "# Tiny words"
    assert list(problems(Register(small))) == []


# --- what code uses


@pytest.fixture
def course(tmp_path):
    """A course with nothing but modules, to be written by a test."""
    root = make(tmp_path / "course")

    def write(modules: dict[str, str]) -> Fingerprints:
        for name, text in modules.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return Fingerprints(Register(root))

    return write


def code_of(fingerprints: Fingerprints, code: str) -> set[str]:
    """The files that a notebook with this code is taken to use."""
    tables = fingerprints.of(from_text(HEADER + "# %%\n" + code), [])
    return tables["code"].keys() - {"its own cells"}


def test_every_way_to_import_is_followed(course):
    family = {
        "utils/__init__.py": "",
        "utils/family/__init__.py": "from .one import One\nfrom . import two\n",
        "utils/family/one.py": "def f():\n    import utils.lazy\n",
        "utils/family/two.py": "from ..plain import Plain\n",
        "utils/plain.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import utils.types_only\n",
        "utils/lazy.py": "try:\n    import numpy\nexcept ImportError:\n    from utils import fallback\n",
        "utils/fallback.py": "",
        "utils/types_only.py": "",
        "utils/other.py": "",
    }
    fingerprints = course(family)
    everything = set(family) - {"utils/types_only.py", "utils/other.py"}
    for code in ("from utils.family import One", "import utils.family.two as two", "from utils import family"):
        assert code_of(fingerprints, code) == everything
    assert code_of(fingerprints, "from utils.plain import *") == {"utils/__init__.py", "utils/plain.py"}
    assert code_of(fingerprints, "from utils import other") == {"utils/__init__.py", "utils/other.py"}
    assert code_of(fingerprints, "import numpy\nimport utilsomething") == set()


CHECKS = {
    "utils/__init__.py": "",
    "utils/checks/__init__.py": "from utils.checks.engine import check\n",
    "utils/checks/engine.py": "def check(id, answer): ...\n",
    "utils/checks/tools.py": "",
    "utils/checks/first/__init__.py": "from utils.checks.first import one\n",
    "utils/checks/first/one.py": "from utils.checks import tools\n\n@exercise('first.one', 'f(x)')\ndef judge(): ...\n",
    "utils/checks/second.py": "@engine.exercise(\n    'second.one', 'f(x)')\ndef judge(): ...\n",
}
ENGINE = {"utils/__init__.py", "utils/checks/__init__.py", "utils/checks/engine.py"}
FIRST = ENGINE | {"utils/checks/tools.py", "utils/checks/first/__init__.py", "utils/checks/first/one.py"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from utils.checks import check\n\ncheck('first.one', f)", FIRST),
        ("from utils import checks\n\nchecks.check('second.one', f)", ENGINE | {"utils/checks/second.py"}),
        ("from utils.checks import check", ENGINE),
        ("from utils.checks import check\n\nfor id in ids:\n    check(id, f)", set(CHECKS)),
        ("def check(x): ...\n\n\ncheck('first.one')", set()),
    ],
)
def test_a_check_belongs_to_the_notebooks_that_call_it(course, code, expected):
    assert code_of(course(CHECKS), code) == expected


def test_the_check_of_every_exercise_is_found_in_the_text(repository):
    assert sorted(Fingerprints(Register(repository))._checks) == exercise_ids()


# --- packages


def test_the_lock_is_read_however_it_is_written(course):
    fingerprints = course({})
    (fingerprints.root / "requirements.lock").write_text(
        "# a comment\n--index-url https://example.org\nTorch==2.13.0+cpu \\\n    --hash=sha256:00\n    # via x\n"
        "numpy==2.2.0 ; python_full_version < '3.12'\nnumpy==2.4.0 ; python_full_version >= '3.12'\n"
        "scikit_learn[x]==1.9.1;sys_platform=='linux'\n-e .\n"
    )
    tables = fingerprints.of(
        from_text(HEADER), [("package", name) for name in ("torch", "numpy", "sklearn", "PIL", "ruff")]
    )
    expected = {"numpy": "2.2.0, 2.4.0", "pillow": "not locked", "scikit-learn": "1.9.1", "torch": "2.13.0+cpu"}
    assert tables["packages"] == expected


# What shows, stores, runs and measures: a new dependency belongs here or into COMPUTE.
COMPUTE_NOTHING = {
    *("ipykernel", "ipywidgets", "ipython", "jupyter-client", "jupyterlab", "jupytext", "nbclient", "nbformat"),
    *(
        "markdown-it-py",
        "mdit-py-plugins",
        "packaging",
        "papermill",
        "psutil",
        "pygments",
        "rich",
        "safetensors",
        "threadpoolctl",
        "tqdm",
        "traitlets",
        "typer",
    ),
}


def test_every_dependency_is_known_to_compute_or_not(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    direct = {Requirement(line).name for line in project["dependencies"]}
    assert direct - set(COMPUTE.values()) - COMPUTE_NOTHING == set()
    assert not set(COMPUTE.values()) & COMPUTE_NOTHING


# --- graded records


def test_a_record_is_valid_until_its_own_checks_change(small):
    def depends_on() -> dict[str, str]:
        return Fingerprints(Register(small)).of_checks(["tiny.half"])

    before = depends_on()
    assert {"utils/checks/ch98.py", "utils/checks/engine.py", "utils/tiny_numbers.py", "torch"} < before.keys()
    append(small, "utils/checks/ch99.py")
    append(small, "utils/checks/ch97.py", CHECK.format(id="tiny.new"))
    append(small, "utils/models/tiny_model.py")
    bump(small, "ruff")
    assert depends_on() == before
    for change, name in (
        (lambda: append(small, "utils/checks/ch98.py"), "utils/checks/ch98.py"),
        (lambda: append(small, "utils/tiny_numbers.py"), "utils/tiny_numbers.py"),
        (lambda: append(small, "utils/checks/engine.py"), "utils/checks/engine.py"),
        (lambda: bump(small, "numpy"), "numpy"),
    ):
        change()
        after = depends_on()
        assert {key for key in before if after[key] != before[key]} == {name}
        before = after


def test_the_key_of_a_submission_is_made_of_its_cells_and_its_checks(monkeypatch):
    from utils.course.grading import grade
    from utils.course.grading.submissions import Assignment
    from utils.course.tasks import Task

    def key(*ids: str, cells: tuple[str, ...] = ("x = 1",)) -> str:
        tasks = tuple(Task(id, "core", 5, 1, 0, "") for id in ids)
        return grade.Submission("ada", Assignment("one", tasks), cells).key

    assert grade._judged_with(("gmm.bic",)) == Fingerprints(Register()).of_checks(["gmm.bic"])
    versions = {"gmm.bic": {"a.py": "1"}, "vae.train": {"b.py": "1"}}
    monkeypatch.setattr(grade, "_judged_with", lambda ids: {id: versions[id] for id in ids})
    before = key("gmm.bic")
    versions["vae.train"] = {"b.py": "2"}
    assert key("gmm.bic") == before != key("vae.train")
    assert key("gmm.bic", cells=("x = 2",)) != before
    versions["gmm.bic"] = {"a.py": "2"}
    assert key("gmm.bic") != before
