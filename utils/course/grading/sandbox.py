"""A place where a stranger's code can do no harm: bubblewrap around a warm interpreter (see `sandbox_server`).

Two walls. Outside, bubblewrap: no network, no other files than Python, this package and `data/`, all read-only, none of
the grader's environment or processes. Inside, each submission is a fork with namespaces of its own: fresh empty
folders, no other submission, no process that outlives it, and limits on memory, time, files and processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from utils.course import CourseError
from utils.course.grading import bubblewrap
from utils.course.grading.sandbox_server import SCRATCH
from utils.course.grading.usage import Watch, scope
from utils.course.register import ROOT

START_SECONDS, END_SECONDS = 120, 10
USERS = 2_000_000  # above it, where a grader is root, each has a user of its own for submissions
FOR_SYSTEMD = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # where to ask for a control group
UNPROTECTED = (
    "bubblewrap (`bwrap`) is not installed, and without it nothing keeps a submission from reading your files and other"
    " submissions, using the network, changing or deleting what you can change, or leaving processes behind. Install it"
    " (Debian, Ubuntu: `apt install bubblewrap`; it exists for Linux only), or grade unprotected with --unsafe, only"
    " what you have read yourself"
)


@dataclass(frozen=True)
class Limits:
    """What one submission may take."""

    memory_mb: int = 2048
    files_mb: int = 256
    processes: int = 64
    cpu_seconds: int = 900


class Sandbox:
    """Starts when it is first needed or asked to, serves one submission after the other, ends with the `with` block.

    Args:
        limits: of each submission.
        unsafe: without bubblewrap: limits of the kernel only.

    Raises:
        CourseError: where bubblewrap is missing, or may not do its work.

    Attributes:
        walled: whether each submission gets namespaces of its own, inside of one sandbox for all.
    """

    def __init__(self, limits: Limits = Limits(), unsafe: bool = False):
        if not unsafe and not shutil.which("bwrap"):
            raise CourseError(UNPROTECTED)
        self.limits, self.unsafe = limits, unsafe
        self.walled = not unsafe
        self._process: subprocess.Popen | None = None
        self._watch: Watch | None = None
        self._ready = False
        self._control: socket.socket | None = None
        self._folder: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    @contextlib.contextmanager
    def submission(self) -> Iterator[socket.socket]:
        """A socket to a fresh fork. When the block ends, the fork and all that it started are dead."""
        ours = self._fork()
        if ours is None and os.getuid() == 0:
            raise CourseError("the sandbox cannot make namespaces for submissions: grade as a user who is not root")
        if ours is None:
            # No namespaces inside namespaces here: a whole sandbox for each submission, some seconds slower.
            self.walled = False
            self.close()
            ours = self._fork()
        self._watch.begin()
        try:
            yield ours
        finally:
            self._watch.end()
            ours.close()
            self._end()

    def processor_seconds(self) -> float:
        """What the submission has spent so far, a fifth of a second ago."""
        return self._watch.processor_seconds if self._watch else 0.0

    def exceeded(self) -> str:
        """Which limit on all processes together the submission went over, if it did: then it was ended."""
        return self._watch.exceeded if self._watch else ""

    def close(self) -> None:
        """End the sandbox and everything in it."""
        if self._process:
            self._process.kill()  # the first process of the sandbox dies with it, and all others with that one
            self._process.wait()
            self._control.close()
            self._folder.cleanup()
        self._process, self._ready = None, False

    def _fork(self) -> socket.socket | None:
        self.start()
        if not self._ready:
            self._wait()
        self._watch = Watch(self._process, self.limits.memory_mb, self.limits.processes)
        ours, theirs = socket.socketpair()
        with theirs:
            options = json.dumps(asdict(self.limits) | {"wall": self.walled, "user": USERS + os.getpid()}).encode()
            socket.send_fds(self._control, [options], [theirs.fileno()])
        reply = self._control.recv(4096)
        if not reply:
            ours.close()
            raise CourseError("the sandbox ended when it was to start a submission: is the machine short of memory?")
        if self.walled and not json.loads(reply)["walled"]:
            ours.close()
            return None
        return ours

    def _end(self) -> None:
        try:
            self._control.settimeout(END_SECONDS)
            self._control.send(b"end")
            ended = self._control.recv(64) == b"ended"
            self._control.settimeout(None)
        except OSError:
            ended = False
        if not ended or not (self.walled or self.unsafe):
            self.close()

    def scope(self) -> tuple[str, ...]:
        """The command that puts the sandbox into a control group; nothing where there is none to be had."""
        return scope((self.limits.memory_mb + self.limits.files_mb) * 2**20, self.limits.processes)

    def start(self) -> None:
        """Begin to start, which takes seconds, and do not wait for it."""
        if self._process and self._process.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        self._folder = tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True)
        environment = _environment(self._folder.name if self.unsafe else SCRATCH)
        walls = [] if self.unsafe else [*self.scope(), *bubblewrap.command(environment, self.limits.files_mb)]
        outside = {"PATH": os.defpath} | {name: os.environ[name] for name in FOR_SYSTEMD if name in os.environ}
        with theirs, Path(self._folder.name, "errors").open("wb") as stderr:
            self._process = subprocess.Popen(
                [*walls, sys.executable, "-m", "utils.course.grading.sandbox_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment if self.unsafe else outside,
                cwd=self._folder.name,
                start_new_session=True,
            )
        self._control = ours

    def _wait(self) -> None:
        """Until the interpreter is warm."""
        self._control.settimeout(START_SECONDS)
        with contextlib.suppress(OSError):
            if self._control.recv(64) == b"ready":
                self._control.settimeout(None)
                self._ready = True
                return
        said = Path(self._folder.name, "errors").read_text(errors="replace").strip().splitlines()
        self.close()
        raise CourseError(f"the sandbox did not start: {said[-1] if said else 'it said nothing'}")


def _environment(home: str) -> dict[str, str]:
    """All that a submission sees of the environment."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return threads | {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *bubblewrap.packages()])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": home,
        "MPLCONFIGDIR": home,
    }
