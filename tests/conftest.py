"""What every test shares: no network, in this process and in all that it starts."""

import os
import runpy
from pathlib import Path

import pytest

pytest_plugins = ["chapters_plugin"]
OFFLINE = Path(__file__).parent / "offline"


def pytest_configure(config):
    # Inherited by every process a test starts: the course command, its workers, their kernels.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
    runpy.run_path(str(OFFLINE / "sitecustomize.py"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def synced(tmp_path_factory) -> Path:
    """A tiny course after one sync; copy it before you change it."""
    from tiny_course import make

    from utils.course.register import Register
    from utils.course.sync import sync

    root = make(tmp_path_factory.mktemp("synced") / "course")
    list(sync(Register(root), Register(root).chapters))
    return root
