"""`course doctor`: is this machine ready for the course? One line a finding, with the mend where one is needed."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from utils.course.register import ROOT

LOCK = ROOT / "requirements.lock"
MEMORY_NEEDED = 4 * 2**30  # what a lesson may use
STEPS, TRAINING_LIMIT = 50, 30.0  # a machine fit for the lessons needs well under one second, not thirty
INSTALL = "python -m pip install -r requirements.lock -e ."


class Finding(NamedTuple):
    """What one check found; `mend` says what to do when it is not `ok`."""

    ok: bool
    name: str
    detail: str
    mend: str = ""


def check_python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted, found = project["requires-python"], platform.python_version()
    ok = SpecifierSet(wanted).contains(found, prereleases=True)
    yield Finding(ok, "Python", f"{found} ({wanted} needed)", f"install Python {wanted} and build the environment anew")


def check_packages() -> Iterator[Finding]:
    from utils.course.lock import deviations, read_lock

    pins = read_lock(LOCK)
    different = deviations(pins)
    for line in different:
        yield Finding(False, "packages", line, INSTALL)
    if not different:
        yield Finding(True, "packages", f"all {len(pins)} as in {LOCK.name}")


def check_kernel() -> Iterator[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    mend = "python -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding(False, "kernel", "Jupyter knows no kernel python3", mend)
        return
    # Jupyter starts a bare `python` with the interpreter that it runs on itself.
    program = sys.executable if spec.argv[0].startswith("python") else spec.argv[0]
    # Not resolved: an environment's interpreter is a link to the one it was made from.
    ok = Path(program).absolute().parent == Path(sys.executable).absolute().parent
    if not ok:
        mend = f"remove the folder {spec.resource_dir}, then {mend}"
    elif importlib.util.find_spec("ipykernel") is None:
        ok, mend = False, INSTALL
    yield Finding(ok, "kernel", f"python3 runs {program}", mend)


def check_data() -> Iterator[Finding]:
    from utils.data import DataError, checksums, verify

    names = checksums()
    good = 0
    for name in names:
        try:
            verify(name)
            good += 1
        except DataError as error:
            yield Finding(False, "data", error.problem, error.mend)
    if good == len(names):
        yield Finding(True, "data", f"all {good} files as in data/SHA256SUMS")


def check_threads() -> Iterator[Finding]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    setting = os.environ.get("OMP_NUM_THREADS")
    detail = f"torch uses {threads} on {cores} cores, OMP_NUM_THREADS is {setting or 'not set'}"
    yield Finding(threads <= cores, "threads", detail, f"set OMP_NUM_THREADS={cores}: more threads than cores are slow")


def check_memory() -> Iterator[Finding]:
    import psutil

    free = psutil.virtual_memory().available
    detail = f"{free / 2**30:.1f} GiB free ({MEMORY_NEEDED / 2**30:.0f} GiB needed)"
    yield Finding(free >= MEMORY_NEEDED, "memory", detail, "close other programs")


def check_gpu() -> Iterator[Finding]:
    import torch

    found = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, and none is needed"
    yield Finding(True, "GPU", found)


def check_training() -> Iterator[Finding]:
    """Trains a small network on the digits: it must learn, and in bearable time."""
    import torch

    from utils.data import load

    digits = load("digits").flat()
    generator = torch.Generator().manual_seed(0)
    weights = [0.1 * torch.randn(shape, generator=generator) for shape in ((64, 128), (128, 10))]
    for weight in weights:
        weight.requires_grad_()
    optimiser = torch.optim.Adam(weights, lr=1e-2)
    start = time.perf_counter()
    for _ in range(STEPS):
        logits = torch.relu(digits.x_train @ weights[0]) @ weights[1]
        loss = torch.nn.functional.cross_entropy(logits, digits.y_train)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seconds = time.perf_counter() - start
    accuracy = ((torch.relu(digits.x_test @ weights[0]) @ weights[1]).argmax(1) == digits.y_test).float().mean().item()
    detail = f"{STEPS} steps in {seconds:.2f} s, {accuracy:.0%} of the test digits right"
    if accuracy < 0.9:
        yield Finding(False, "training", f"{detail}: 90% expected", f"{INSTALL} --force-reinstall")
    else:
        mend = "close other programs, or set OMP_NUM_THREADS=1"
        yield Finding(seconds <= TRAINING_LIMIT, "training", detail, mend)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_kernel,
    check_data,
    check_threads,
    check_memory,
    check_gpu,
    check_training,
)


def findings() -> Iterator[Finding]:
    """All findings, one by one; a check that breaks is a finding too, and the others still run."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:
            name = check.__name__.removeprefix("check_")
            problem = getattr(error, "problem", f"{type(error).__name__}: {error}")
            yield Finding(False, name, " ".join(problem.split()), getattr(error, "mend", INSTALL))


def run_doctor(console: Console) -> bool:
    """Print `[ OK ]` or `[FAIL]` for each finding, a line each; True when nothing failed."""
    healthy = True
    for finding in findings():
        healthy &= finding.ok
        mark = ("[ OK ]", "green") if finding.ok else ("[FAIL]", "bold red")
        line = f" {finding.name}: {finding.detail}" + ("" if finding.ok else f". Mend: {finding.mend}")
        # soft_wrap: a line stays a line, for grep and for copying the mend.
        console.print(Text.assemble(mark, line), soft_wrap=True, highlight=False)
    return healthy
