"""`course doctor`: is this machine ready for the course? One line a finding, with the fix where one is needed."""

from __future__ import annotations

import importlib.metadata
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

from utils.checkout import NEEDED, ROOT, is_checkout

LOCK = ROOT / "requirements.lock"
MEMORY_NEEDED = 4 * 2**30  # what a lesson may use
STEPS, TRAINING_LIMIT = 50, 30.0  # a machine fit for the lessons needs well under one second, not thirty
INSTALL = "python install.py --here"


class Finding(NamedTuple):
    """What one check found; `fix` says what to do when it is not `ok`."""

    ok: bool
    name: str
    detail: str
    fix: str = ""


def check_checkout() -> Iterator[Finding]:
    yield Finding(is_checkout(), "course", f"lies in {ROOT}" if is_checkout() else f"not in {ROOT}", NEEDED)


def check_python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted, found = project["requires-python"], platform.python_version()
    ok = SpecifierSet(wanted).contains(found, prereleases=True)
    yield Finding(ok, "Python", f"{found} ({wanted} needed)", f"install Python {wanted} and build the environment anew")


def check_packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pins = [pin for pin in map(Requirement, lines) if pin.marker is None or pin.marker.evaluate()]
    good = 0
    for pin in pins:
        try:
            found = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(False, "packages", f"{pin.name} is not installed, the lock has {pin.specifier}", INSTALL)
            continue
        # A build of the pinned version for one kind of processor, such as 2.13.0+cpu, is that version.
        if pin.specifier.contains(found, prereleases=True):
            good += 1
        else:
            yield Finding(False, "packages", f"{pin.name} is {found}, the lock has {pin.specifier}", INSTALL)
    if good == len(pins):
        yield Finding(True, "packages", f"all {good} as in {LOCK.name}")


def check_kernel() -> Iterator[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    fix = "python -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding(False, "kernel", "Jupyter knows no kernel python3", fix)
        return
    # Jupyter starts a bare `python` with the interpreter that it runs on itself.
    program = sys.executable if spec.argv[0].startswith("python") else spec.argv[0]
    # Not resolved: an environment's interpreter is a link to the one it was made from.
    ok = Path(program).absolute().parent == Path(sys.executable).absolute().parent
    if not ok:
        fix = f"remove the folder {spec.resource_dir}, then {fix}"
    elif importlib.util.find_spec("ipykernel") is None:
        ok, fix = False, INSTALL
    yield Finding(ok, "kernel", f"python3 runs {program}", fix)


def check_data() -> Iterator[Finding]:
    from utils.data import DataError, checksums, verify

    names = checksums()
    good = 0
    for name in names:
        try:
            verify(name)
            good += 1
        except DataError as error:
            yield Finding(False, "data", error.problem, error.fix)
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
    optimizer = torch.optim.Adam(weights, lr=1e-2)
    start = time.perf_counter()
    for _ in range(STEPS):
        logits = torch.relu(digits.x_train @ weights[0]) @ weights[1]
        loss = torch.nn.functional.cross_entropy(logits, digits.y_train)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - start
    accuracy = ((torch.relu(digits.x_test @ weights[0]) @ weights[1]).argmax(1) == digits.y_test).float().mean().item()
    detail = f"{STEPS} steps in {seconds:.2f} s, {accuracy:.0%} of the test digits right"
    if accuracy < 0.9:
        yield Finding(
            False, "training", f"{detail}: 90% expected", f"python -m pip install -r {LOCK.name} --force-reinstall"
        )
    else:
        fix = "close other programs, or set OMP_NUM_THREADS=1"
        yield Finding(seconds <= TRAINING_LIMIT, "training", detail, fix)


def check_sandbox() -> Iterator[Finding]:
    from utils.course.grading.trial import NoSandbox, try_sandbox

    try:
        yield Finding(True, "sandbox", try_sandbox())
    except NoSandbox as error:
        problem = " ".join(error.problem.split())
        if importlib.util.find_spec("nbgrader"):  # an instructor's environment
            yield Finding(False, "sandbox", problem, error.fix)
        else:
            detail = f"nothing but `course grade` needs it, and it does not work here: {problem}. To grade, {error.fix}"
            yield Finding(True, "sandbox", detail)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_checkout,
    check_python,
    check_packages,
    check_kernel,
    check_data,
    check_threads,
    check_memory,
    check_gpu,
    check_training,
    check_sandbox,
)


def findings() -> Iterator[Finding]:
    """All findings, one by one; a check that breaks is a finding too, and the others still run."""
    # Without a checkout the others would only say in many ways that its files are missing.
    for check in CHECKS if is_checkout() else (check_checkout,):
        try:
            yield from check()
        except Exception as error:
            name = check.__name__.removeprefix("check_")
            problem = getattr(error, "problem", f"{type(error).__name__}: {error}")
            yield Finding(False, name, " ".join(problem.split()), getattr(error, "fix", INSTALL))


def run_doctor(console: Console) -> bool:
    """Print `[ OK ]` or `[FAIL]` for each finding, a line each; True when nothing failed."""
    healthy = True
    for finding in findings():
        healthy &= finding.ok
        mark = ("[ OK ]", "green") if finding.ok else ("[FAIL]", "bold red")
        line = f" {finding.name}: {finding.detail}" + ("" if finding.ok else f". Fix: {finding.fix}")
        # soft_wrap: a line stays a line, for grep and for copying the fix.
        console.print(Text.assemble(mark, line), soft_wrap=True, highlight=False)
    return healthy
