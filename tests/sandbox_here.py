"""Whether bubblewrap may do its work on this machine: tests of the sandbox are skipped, with the reason, where not."""

from __future__ import annotations

import functools
import shutil
import subprocess

import pytest

from utils.course.grading import bubblewrap


@functools.cache
def missing() -> str:
    """Why there is no sandbox here, or nothing."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    tried = subprocess.run([*bubblewrap.command({}, 1), "/usr/bin/env", "true"], capture_output=True, check=False)
    said = tried.stderr.decode(errors="replace").strip()
    return f"bubblewrap does not start here: {said}" if tried.returncode else ""


needs_sandbox = pytest.mark.skipif(bool(missing()), reason=missing())
