"""Build the environment of the course: `make env` calls this; without make, call it yourself. It needs Python alone.

python install.py               .venv, with what a student needs: the versions of requirements.lock
python install.py --tests       the same, and what tests and instructors need: requirements-test.lock
python install.py --here        not .venv, but the environment that runs this, such as one of conda
python install.py --newest      .venv-newest, with the newest versions of everything but PyTorch
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PATIENCE = 5  # seconds for the address of PyTorch's build for processors to answer
# What a Linux with NVIDIA's driver has, also inside of Windows.
DRIVER = ("/proc/driver/nvidia", "/usr/lib/wsl/lib/nvidia-smi")


def main():
    if not (3, 11) <= sys.version_info < (3, 15):
        version = sys.version.split()[0]
        sys.exit(f"Python 3.11 to 3.14 is needed, this is {version}. Say which one: make PYTHON=python3.12 …")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="add what tests and instructors need")
    parser.add_argument("--here", action="store_true", help="install into the environment that runs this")
    parser.add_argument("--newest", action="store_true", help="the newest versions, in .venv-newest")
    options = parser.parse_args()

    folder = ROOT / (".venv-newest" if options.newest else ".venv")
    lock = "requirements-test.lock" if options.tests else "requirements.lock"
    python = Path(sys.executable) if options.here else python_of(folder)
    steps = []
    if not options.here and not python.exists():
        steps.append((f"a new environment in {folder.name}", lambda: make_environment(folder)))
    if wants_processor_build():
        steps.append(("PyTorch's build for processors", lambda: install_torch(python)))
    if options.newest:
        newest = ("--upgrade", "--upgrade-strategy", "eager", "--editable", ".[test]")
        steps.append(("the newest packages, and the course itself", lambda: pip(python, *newest)))
    else:
        steps.append((f"the packages of {lock}", lambda: pip(python, "-r", lock)))
        steps.append(("the course itself", lambda: pip(python, "--no-deps", "--editable", ".")))
    for number, (what, step) in enumerate(steps, start=1):
        print(f"[{number} of {len(steps)}] {what}", flush=True)
        step()


def python_of(folder):
    """The interpreter of the environment in a folder."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_environment(folder):
    print("This takes a few minutes, once.", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", str(folder)]).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit("No environment could be made. On Debian and Ubuntu, `sudo apt install python3-venv` fixes that.")


def wants_processor_build():
    """On Linux the default build brings several GB for NVIDIA's GPUs along; elsewhere it is for processors anyway."""
    if not sys.platform.startswith("linux"):
        return False
    return not shutil.which("nvidia-smi") and not any(Path(path).exists() for path in DRIVER)


def install_torch(python):
    """PyTorch's build for processors, if its address answers; otherwise the default one comes with the packages."""
    import tomllib  # not at the top: Python 3.10 has none, and shall read the message about its age

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (torch,) = [name for name in project["project"]["dependencies"] if name.startswith("torch==")]
    (index,) = [index["url"] for index in project["tool"]["uv"]["index"]]
    # Without dependencies: those come from where all other packages come from.
    if not (answers(index) and pip(python, "--no-deps", "--index-url", index, torch, may_fail=True)):
        print("It cannot be had from here; the default build, which does as well, comes with the packages.", flush=True)


def answers(address):
    """Whether a web address answers in time. In a thread, since nothing else limits the time to look a name up."""
    reached = threading.Event()

    def look():
        try:
            with urllib.request.urlopen(f"{address}/torch/", timeout=PATIENCE):
                reached.set()
        except OSError:
            pass

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return reached.is_set()


def pip(python, *arguments, may_fail=False):
    """`pip install` with its own progress in sight; its failure ends the build, unless it may fail."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    status = subprocess.run(command, cwd=ROOT).returncode
    if status and not may_fail:
        sys.exit(f"pip could not install (see above). The same command goes on from there: {' '.join(sys.argv)}")
    return not status


if __name__ == "__main__":
    main()
