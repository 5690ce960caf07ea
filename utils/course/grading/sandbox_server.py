"""What runs inside the sandbox: an interpreter that has imported everything once, and forks for each submission.

The grader sends a socket; the fork that serves it first walls itself in (`_wall_in`), then runs a stranger's cells.
Nothing here is trusted by the grader, and nothing here knows a hidden seed, another submission or a grade.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from utils.course.grading import system_calls
from utils.course.grading.notebook_runner import run
from utils.course.grading.stream import packed

SCRATCH = "/scratch"
NEW_MOUNTS, NEW_USER, NEW_IPC, NEW_PIDS = 0x00020000, 0x10000000, 0x08000000, 0x20000000
PRIVATE_MOUNTS, BIND, NO_NEW_PRIVILEGES = 0x40000 | 0x4000, 0x1000, 38
MAX_FILES = 20_000  # names in its folders; each takes memory of the kernel
LIBC = ctypes.CDLL(None, use_errno=True)


def main(control: socket.socket) -> None:
    """Serve the grader: `run` starts a submission on the socket that comes with it, `end` ends it, and so on."""
    _import_everything()
    control.send(b"ready")
    while True:
        request, files, *_ = socket.recv_fds(control, 65536, 1)
        if not request:
            return  # the grader has gone
        options = json.loads(request)
        outside, inside = os.pipe()
        with os.fdopen(outside) as told:
            forked = os.fork()
            if not forked:
                told.close()
                _submission(files[0], inside, options)  # never returns
            os.close(inside)
            os.close(files[0])
            first = int(told.readline() or 0)  # the process to end: all others of the submission end with it
        control.send(json.dumps({"walled": first != forked}).encode())
        control.recv(64)  # until the grader has seen enough
        with contextlib.suppress(ProcessLookupError):
            os.kill(first or forked, signal.SIGKILL)
        os.waitpid(forked, 0)
        control.send(b"ended")


def _import_everything() -> None:
    """What notebooks of this course import, once. One thread, because a fork of several would hang."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot
    import sklearn.mixture  # noqa: F401
    import torch
    from IPython.core.interactiveshell import InteractiveShell  # noqa: F401

    import utils.checks
    import utils.course.grading.remote
    import utils.data
    import utils.plots

    torch.set_num_threads(1)
    utils.checks.exercise_ids()
    gc.freeze()  # the forks share these pages as long as nobody counts in them


def _submission(file: int, report: int, options: dict) -> None:
    """In the fork: one submission, from its cells to the end of its grading."""
    status = 1
    try:
        first = os.getpid()
        if options["wall"]:
            _new_namespaces()
            first = os.fork()  # a process belongs to its own new space of processes only as a child
            if first:
                os.write(report, f"{first}\n".encode())
                os.close(report)
                os.waitpid(first, 0)
                return
            _wall_in(options["files_mb"], options["user"])
        else:
            os.write(report, f"{first}\n".encode())
        os.dup2(file, 3)
        os.closerange(4, 4096)
        _limit(options)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.close(nothing)
        if system_calls.known():
            system_calls.refuse()
        _serve(socket.socket(fileno=3))
        status = 0
    finally:
        os._exit(status)


def _new_namespaces() -> None:
    """Leave the others' mounts, processes and shared memory behind."""
    user, group = os.getuid(), os.getgid()
    _call(LIBC.unshare((NEW_USER if user else 0) | NEW_MOUNTS | NEW_IPC | NEW_PIDS))
    if not user:
        return
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def _wall_in(files_mb: int, user: int) -> None:
    """A fresh empty disk in the place of the two folders that can be written, and no more rights to change that."""
    _call(LIBC.mount(None, b"/", None, PRIVATE_MOUNTS, None))
    LIBC.mount(b"proc", b"/proc", b"proc", 0, None)  # of its own processes; where the kernel refuses, the old one stays
    scratch, size = SCRATCH.encode(), f"size={files_mb}m,nr_inodes={MAX_FILES},mode=1777"
    _call(LIBC.mount(b"tmpfs", scratch, b"tmpfs", 0, size.encode()))
    for name, folder in ((b"/memory", b"/dev/shm"), (b"/files", scratch)):  # one size for both
        os.mkdir(scratch + name)  # noqa: PTH102 bytes, as for mount
        os.chmod(scratch + name, 0o1777)  # noqa: PTH101
        _call(LIBC.mount(scratch + name, folder, None, BIND, None))
    os.chdir(SCRATCH)
    _call(LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    if not os.getuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    _call(LIBC.capset(header, none))


def _limit(options: dict) -> None:
    """Limits of the kernel on what one process may take. The grader watches the sum of all."""
    page = resource.getpagesize()
    inherited = int(Path("/proc/self/statm").read_text().split()[0]) * page
    for what, most in (
        (resource.RLIMIT_AS, inherited + options["memory_mb"] * 2**20),
        (resource.RLIMIT_CPU, options["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, options["files_mb"] * 2**20),
        (resource.RLIMIT_NPROC, options["processes"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _serve(grader: socket.socket) -> None:
    """Run the numbered cells that the grader sends, a frame back for each, then answer its calls."""
    from utils.course.grading.remote import serve

    with grader.makefile("rb") as stream:
        size = int.from_bytes(stream.read(8), "big")
        cells = json.loads(stream.read(size))
    left, failed = iter(cells), {}

    def after(said: str) -> None:
        number, source = next(left)
        if said:
            failed[number] = source
        grader.sendall(packed(["cell", said]))

    serve(grader, run([source for _, source in cells], after), failed)


def _call(outcome: int) -> None:
    if outcome:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
