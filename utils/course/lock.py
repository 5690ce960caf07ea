"""The lock file: one exact version of every package the course needs, and how this environment differs from it.

python -m utils.course.lock        renew requirements.lock from the versions installed here
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from utils.course.register import ROOT

LOCK = ROOT / "requirements.lock"
HEADER = """\
# Every package of the course and of its tests, pinned. Install: pip install -r requirements.lock -e .
# Renew: upgrade packages in the environment, then `python -m utils.course.lock`, then run all the tests.
# Made on Linux for a processor. What only another system needs has no pin and pip adds it: colorama and pywinpty
# (Windows), appnope (macOS), the libraries of a GPU.
"""
# The names that packages use for one system in their markers.
PLATFORMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "win32": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}


def read_lock(path: Path = LOCK) -> dict[str, Requirement]:
    """The pins of a lock file: canonical name → requirement with an exact version and perhaps a marker.

    Raises:
        ValueError: for a line that is not one exact pin, or a package pinned twice; the message has file and line.
    """
    pins: dict[str, Requirement] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if not re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line):
            raise ValueError(f"{path}:{number}: expected `name==version` or `name==version ; marker`, found {line!r}")
        pin = Requirement(line)
        name = canonicalize_name(pin.name)
        if name in pins:
            raise ValueError(f"{path}:{number}: {pin.name} is pinned twice")
        pins[name] = pin
    return pins


def pinned_version(pin: Requirement) -> str:
    """The one version that a pin allows."""
    (specifier,) = pin.specifier
    return specifier.version


def deviations(pins: dict[str, Requirement]) -> list[str]:
    """What is installed otherwise than pinned, a line each; markers for another system are passed over.

    A build of the pinned version for one kind of processor, such as 2.13.0+cpu, is that version.
    """
    found = []
    for pin in pins.values():
        if pin.marker and not pin.marker.evaluate():
            continue
        wanted = pinned_version(pin)
        try:
            installed = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{pin.name} is not installed, the lock has {wanted}")
            continue
        if Version(installed).public != Version(wanted).public:
            found.append(f"{pin.name} is {installed}, the lock has {wanted}")
    return found


def direct_requirements() -> list[Requirement]:
    """What `pyproject.toml` asks for, its test extra included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["test"]]


def needed(platform: str) -> set[str]:
    """The canonical names of all packages the course needs on a system, found by following what is installed here."""
    environment = default_environment() | PLATFORMS[platform]
    seen: set[tuple[str, str]] = set()  # (package, extra)
    names: set[str] = set()
    todo = [(requirement, "") for requirement in direct_requirements()]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate(environment | {"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # another system's: pip finds it there
        names.add(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                todo += [(Requirement(line), wanted) for line in requires]
    return names


def render() -> str:
    """The lock file of this environment: only what the course needs, whatever else is installed."""
    here = "win32" if sys.platform == "win32" else "darwin" if sys.platform == "darwin" else "linux"
    per_platform = {platform: needed(platform) for platform in PLATFORMS}
    lines = []
    for name in sorted(per_platform[here]):
        without = [platform for platform, names in per_platform.items() if name not in names]
        marker = " and ".join(f'sys_platform != "{platform}"' for platform in without)
        version = Version(importlib.metadata.version(name)).public
        lines.append(f"{name}=={version}" + (f" ; {marker}" if marker else ""))
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    LOCK.write_text(render(), encoding="utf-8")
    print(f"{LOCK}: {len(read_lock())} pins")
