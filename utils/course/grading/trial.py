"""Whether the sandbox works on this machine: it is started for real, and where it does not start, what to install."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from utils.course import CourseError
from utils.course.grading import system_calls
from utils.course.grading.sandbox import Sandbox
from utils.course.grading.stream import Stream

INSTALL = "install bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install bubblewrap`)"
ELSEWHERE = "grade in a Linux machine, real or virtual, or give --unsafe for what you have read yourself"
# Settings of the kernel that forbid what bubblewrap needs: file below /proc/sys, value, what to do.
FORBIDDEN = [
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor keeps programs from making user namespaces (Ubuntu 23.10 and newer): allow it to `bwrap`, with a file"
        " /etc/apparmor.d/bwrap that says `abi <abi/4.0>, profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }`"
        " and `sudo systemctl reload apparmor`",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "the kernel keeps users from making namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1`",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "the kernel keeps everybody from making user namespaces: `sudo sysctl -w user.max_user_namespaces=15000`",
    ),
]
LOOK_AROUND = """
import ctypes, os
from pathlib import Path
from utils.course.grading import system_calls
devices = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
through = ["files"] * os.path.exists("/etc/passwd") + ["the network"] * (devices != ["lo"])
if system_calls.known():
    through += ["namespaces"] * (ctypes.CDLL(None).unshare(0x10000000) == 0)
assert not through, ", ".join(through)
"""
CONTAINER = (
    "see what `bwrap --unshare-all --ro-bind / / true` says; inside a container, start that with the right to make"
    " namespaces (Docker: `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN`),"
    " or grade outside of it"
)


class NoSandbox(CourseError):
    """The sandbox does not work here; `fix` says what may help."""

    def __init__(self, problem: str, fix: str):
        super().__init__(problem)
        self.problem, self.fix = problem, fix


def try_sandbox() -> str:
    """Start the sandbox, let a cell in it look around, and say what protects.

    Raises:
        NoSandbox: bubblewrap is installed, and does not do its work.
    """
    if platform.system() != "Linux":
        return "none, for bubblewrap exists for Linux only; nothing but `course grade` needs it"
    if not shutil.which("bwrap"):
        return f"none; nothing but `course grade` needs it, and for that, {INSTALL}"
    from utils.course.grading.grade import run_cells

    try:
        with Sandbox() as sandbox, sandbox.submission() as connection:
            errors = run_cells(Stream(connection, None), {1: LOOK_AROUND})
            walls = "namespaces of its own" if sandbox.walled else "a bubblewrap of its own, which takes longer"
            summed = "a control group" if sandbox.scope() else "the grader, which looks several times a second"
    except CourseError as error:
        raise NoSandbox(str(error), remedy()) from None
    if errors:
        raise NoSandbox(f"it lets through what it should stop: {errors[1]}", ELSEWHERE)
    calls = "a filter of system calls" if system_calls.known() else f"no filter of system calls on {platform.machine()}"
    return f"starts; each submission has {walls}, {calls}, and its memory is summed by {summed}"


def remedy(settings: Path = Path("/proc/sys")) -> str:
    """What to do where bubblewrap does not start."""
    for name, value, fix in FORBIDDEN:
        place = settings / name
        if place.is_file() and place.read_text().strip() == value:
            return fix
    return CONTAINER
