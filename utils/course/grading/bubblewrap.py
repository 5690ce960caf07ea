"""The outer wall of the sandbox, as a command: what is not named here does not exist inside."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from utils.course import CourseError
from utils.course.grading.sandbox_server import SCRATCH
from utils.course.register import ROOT

SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"]


def command(environment: dict[str, str], files_mb: int) -> list[str]:
    """What to put before the interpreter's own command.

    `--disable-userns` is not among the switches: each submission becomes a namespace of its own, and only then is it
    refused to make more (`system_calls`).
    """
    words = ["bwrap", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if os.getuid():
        words += ["--unshare-all", "--uid", "65534", "--gid", "65534"]
    else:
        # Root stays root in a user namespace, and the kernel limits root's processes nowhere. So there is none, and the
        # interpreter gets what it needs to wall in each submission, which becomes a user without rights for good.
        words += [f"--unshare-{what}" for what in ("ipc", "net", "pid", "uts")]
        words += [word for right in ("SYS_ADMIN", "SETUID", "SETGID", "KILL") for word in ("--cap-add", f"CAP_{right}")]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    for path in SYSTEM:
        words += ["--ro-bind-try", path, path]
    words += _seen()
    size = ["--size", str(files_mb * 2**20)] if "--size" in _switches() else []  # since bubblewrap 0.7
    words += ["--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    return [*words, *size, "--tmpfs", SCRATCH, "--chdir", SCRATCH, "--remount-ro", "/", "--"]


def packages() -> list[Path]:
    """Where packages lie that are needed inside and that this interpreter does not find by itself there."""
    found = (find_spec(name) for name in ("torch", "numpy", "IPython", "matplotlib", "sklearn"))
    places = dict.fromkeys(Path(spec.origin).parents[1] for spec in found if spec and spec.origin)
    return [place for place in places if not any(map(place.is_relative_to, (sys.prefix, sys.base_prefix)))]


def follow(path: Path) -> tuple[Path, dict[Path, str]]:
    """Where a path leads, and each link on the way, with what it says. A link lies in no linked folder itself."""
    here, rest, links = Path("/"), list(path.absolute().parts[1:]), {}
    while rest:
        step = here / rest.pop(0)
        if step.name == "..":
            here = here.parent
        elif step.is_symlink():
            if step in links:
                raise CourseError(f"{path} leads nowhere: {step} is a link to itself")
            links[step] = str(step.readlink())
            target = step.readlink().parts
            if step.readlink().is_absolute():
                here, target = Path("/"), target[1:]
            rest[:0] = target
        else:
            here = step
    return here, links


def _seen() -> list[str]:
    """The interpreter, its packages, this package and the data: read-only, under each name that leads to them."""
    places = [sys.prefix, sys.base_prefix, sys.executable, *packages(), ROOT / "utils", ROOT / "data"]
    real, links = {}, {}
    for place in places:
        end, on_the_way = follow(Path(place))
        real[end] = None
        links |= on_the_way
    there = [*map(Path, SYSTEM), *real]
    links = {link: says for link, says in links.items() if not any(link.is_relative_to(place) for place in there)}
    words = []
    for above in dict.fromkeys(above for path in (*real, *links) for above in reversed(path.parents)):
        words += ["--perms", "0755", "--dir", str(above)]
    for link, says in links.items():
        words += ["--symlink", says, str(link)]
    for path in real:
        words += ["--ro-bind", str(path), str(path)]
    return words


@functools.cache
def _switches() -> str:
    return subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False).stdout
