"""What every test shares: no network, in this process and in all that it starts, and a table at the end."""

import os
import runpy
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_python import WarmPython

pytest_plugins = ["chapters_plugin"]
OFFLINE = Path(__file__).parent / "offline"
# What the course's command and a kernel are made of, none of which computes; and what its notebooks import. Not the
# course itself, which may change any moment, nor `ipykernel.kernelapp`, which looks for its parent when it is imported.
TOOLS = "IPython ipykernel.ipkernel nbclient nbformat papermill papermill.engines jupytext typer"
LIBRARIES = "torch torch._dynamo torch.distributions matplotlib.pyplot scipy.stats sklearn.mixture pandas networkx"
LIBRARIES += " _pytest.python"
MANY = 100  # tests, from which on the table is of use


def pytest_configure(config):
    # Inherited by every process a test starts: the course command, its workers, their kernels.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
    runpy.run_path(str(OFFLINE / "sitecustomize.py"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def synced(tmp_path_factory, _warm_tools) -> Path:
    """A tiny course after one sync; copy it before you change it."""
    from tiny_course import make

    from utils.course.register import Register
    from utils.course.sync import sync

    root = make(tmp_path_factory.mktemp("synced") / "course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", _warm_tools)
        list(sync(Register(root), Register(root).chapters))
    return root


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C works here and in what a test starts, also where a script has started the tests in the background: there
    it is ignored, and so it is by all that is started from there.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def warm_python() -> Iterator[str]:
    """A Python for notebooks, which has imported their libraries: see `warm_python.py`."""
    with WarmPython([*TOOLS.split(), *LIBRARIES.split()]) as python:
        yield python.path


@pytest.fixture(scope="session")
def _warm_tools() -> Iterator[str]:
    with WarmPython(TOOLS.split()) as python:
        yield python.path


@pytest.fixture
def warm_command(_warm_tools, monkeypatch) -> None:
    """The course's command, its workers and their kernels start warm; what computes is imported by each of them."""
    monkeypatch.setattr(sys, "executable", _warm_tools)


def pytest_terminal_summary(terminalreporter, config):
    """How many tests, how long, what each lesson took, and the ten slowest tests."""
    reports = [one for kind in terminalreporter.stats.values() for one in kind if isinstance(one, pytest.TestReport)]
    seconds, lessons = defaultdict(float), {}
    for report in reports:
        seconds[report.nodeid] += report.duration
        properties = dict(report.user_properties)
        if "lesson" in properties:
            lessons[properties["lesson"]] = properties
    if len(seconds) < MANY and not lessons:
        return
    line, cache = terminalreporter.write_line, getattr(config, "cache", None)
    terminalreporter.section("tests and seconds")
    row = f"{len(seconds):5} tests, {sum(seconds.values()):6.0f} s"
    if lessons:  # the tests without lessons ran before, on their own
        line(cache.get("summary/quick", "") if cache else "")
        line(f"{row} (lessons)")
    else:
        line(row)
        if cache:
            cache.set("summary/quick", f"{row} (without lessons, last time)")
    for name, lesson in sorted(lessons.items()):
        line(f"{lesson['seconds']:6.0f} s {lesson['memory_mb']:6.0f} MB  {name}")
    line("the slowest:")
    for name in sorted(seconds, key=seconds.get, reverse=True)[:10]:
        line(f"{seconds[name]:6.1f} s  {name}")
