"""The Python that starts warm behaves as Python does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from warm_python import WarmPython

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is Python itself")


@pytest.fixture(scope="module")
def python():
    with WarmPython(["fractions"]) as warm:
        yield warm.path


@pytest.fixture
def run(python, tmp_path):
    """Runs a module of this text."""

    def started(text: str, *arguments: str, **options) -> subprocess.Popen:
        (tmp_path / "job.py").write_text(text)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen([python, "-m", "job", *arguments], cwd=tmp_path, text=True, **pipes, **options)

    return started


def test_it_has_the_callers_folder_environment_arguments_and_files(run, python, tmp_path):
    job = run(
        "import os, sys\nprint(os.getcwd(), sys.argv[1:], os.environ['MINE'], sys.executable, __name__, input())\n"
        "print('fractions' in sys.modules, 'numpy' in sys.modules, 'HOME' in os.environ, file=sys.stderr)",
        "a b",
        env={"MINE": "mine"},
    )
    out, errors = job.communicate("hello\n", timeout=60)
    assert out == f"{tmp_path} ['a b'] mine {python} __main__ hello\n"
    assert errors == "True False False\n" and job.returncode == 0


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("import sys\nsys.exit(3)", 3, ""),
        ("import sys\nsys.exit('a sentence')", 1, "a sentence"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os\nos.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit, sys\natexit.register(print, 'the end', file=sys.stderr)", 0, "the end"),
    ],
)
def test_it_ends_as_python_does(run, text, status, says):
    job = run(text)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == status and says in errors


def test_it_can_be_interrupted(run):
    job = run("import time\nprint('ready', flush=True)\ntime.sleep(600)")
    assert job.stdout.readline() == "ready\n"
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert errors.endswith("KeyboardInterrupt\n") and job.returncode == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_the_one_who_called_and_takes_along_what_it_started(run, how):
    nested = "import subprocess, sys, os\nprint(os.getpid(), flush=True)\n"
    nested += "if len(sys.argv) < 3: subprocess.run([sys.executable, '-m', 'job', 'x', *sys.argv[1:]])\n"
    nested += "import time\ntime.sleep(600)"
    job = run(nested)
    numbers = [int(job.stdout.readline()) for _ in range(3)]
    job.send_signal(how)
    job.communicate(timeout=60)
    end = time.monotonic() + 60
    while any(map(psutil.pid_exists, numbers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, numbers))


def test_what_is_no_module_goes_to_python(python):
    said = subprocess.run([python, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
    assert Path(said.stdout.strip()) == Path(sys.executable)


def test_the_server_ends_with_the_block():
    with WarmPython([]) as warm:
        subprocess.run([warm.path, "-m", "this"], check=True, stdout=subprocess.DEVNULL)
        assert Path(warm.path).exists()
    assert not Path(warm.path).exists() and warm._server.returncode == 0
