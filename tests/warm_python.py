"""A Python that starts warm: tests start hundreds of processes, and most of their time is the same imports each time.

    with WarmPython(["torch"]) as python:
        subprocess.run([python.path, "-m", "utils.course.cli", "list"])

`path` is a program that is called like `python -m MODULE ARGUMENTS`. It asks a server beside it, which has imported the
libraries once, to fork; the fork runs the module in the caller's folder and environment, on the caller's files, and
finds `path` as its `sys.executable`, so that what it starts is warm, too. Whatever is not `-m MODULE` goes to Python.

Not for tests of processes: the one that works is no child of the caller. It dies with the caller's child, though, and
with the caller.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

CALLER = """\
#!{python} -IS
import json, os, signal, socket, sys
if sys.argv[1:2] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
server.sendall(asked)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: server.send(bytes([number])))
parent, said = os.getppid(), None
server.settimeout(1)
while said is None:
    try:
        said = server.recv(4)
    except TimeoutError:
        if os.getppid() != parent:  # a kernel looks for that itself, but its parent is another one here
            os._exit(1)
status = int.from_bytes(said, "big", signed=True)
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if status != -signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""


NAME = "warm-python"


class WarmPython:
    """Starts when it is first called, ends with the `with` block.

    Outside of Linux `path` is Python's own, and in a fork it is that of the server that made it.

    Args:
        libraries: what the server imports, none of our own code: what a fork runs is read as it is then.
    """

    def __init__(self, libraries: Iterable[str]):
        self.libraries = list(libraries)
        self.path = sys.executable

    def __enter__(self) -> WarmPython:
        if sys.platform == "linux" and Path(sys.executable).name != NAME:
            self._folder = tempfile.TemporaryDirectory(prefix="warm-")
            address, path = (str(Path(self._folder.name, name)) for name in ("socket", NAME))
            Path(path).write_text(CALLER.format(python=sys.executable, address=address))
            Path(path).chmod(0o700)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address)
            listener.listen(64)
            # One thread: a fork does not take other threads along.
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno()), path, *self.libraries],
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
                start_new_session=True,
            )
            listener.close()
            self.path = path
        return self

    def __exit__(self, *exception) -> None:
        if self.path != sys.executable:
            self._server.stdin.close()  # the server ends with its standard input
            self._server.wait()
            self._folder.cleanup()


def serve(listener: socket.socket, libraries: list[str]) -> tuple[list[str], str, dict[str, str]]:
    """Serve until the standard input closes. In each fork it returns: what to run, where, in which environment."""
    cold, keepers = True, set()
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            os._exit(0)
        if cold:
            for library in libraries:
                __import__(library)
            gc.freeze()  # a fork that looks for garbage would copy all that was imported
            cold = False
        connection, _ = listener.accept()
        if not (keeper := os.fork()):
            listener.close()
            return keep(connection)
        connection.close()
        keepers = {one for one in keepers | {keeper} if os.waitpid(one, os.WNOHANG) == (0, 0)}


def keep(connection: socket.socket) -> tuple[list[str], str, dict[str, str]]:
    """Fork once more and look after the fork: it gets the caller's signals and dies with it; its status goes there."""
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        asked = json.loads(stream.read(int.from_bytes(size, "big")))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if (working := os.fork()) == 0:
        connection.close()
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return asked
    os.closerange(0, 3)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(working)
    while ended not in select.select([connection, ended], [], [])[0]:
        if number := connection.recv(1):
            os.kill(working, number[0])
        else:
            kill(working)
    status = os.waitstatus_to_exitcode(os.waitpid(working, 0)[1])
    try:
        connection.sendall(status.to_bytes(4, "big", signed=True))
    finally:
        os._exit(0)


def kill(pid: int) -> None:
    """End a process and all that it has started."""
    import psutil

    for one in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        with contextlib.suppress(psutil.Error):
            one.kill()


def become(path: str, folder: str, environment: dict[str, str]) -> None:
    """Make this fork look like a Python that was started in that folder and environment."""
    ours = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(Path(__file__).parent)]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = path
    theirs = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [folder, *theirs, *(place for place in sys.path if place not in ours)]
    sys.stdout.reconfigure(write_through="PYTHONUNBUFFERED" in environment)
    if numpy := sys.modules.get("numpy"):  # not the same numbers in each fork
        numpy.random.seed()


def finish(work: Callable[[], object]) -> None:
    """Work and end as Python does, but for taking everything down: with large libraries that takes half a second."""
    status = 0
    try:
        work()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    number, path, *libraries = sys.argv[1:]
    (module, *arguments), folder, environment = serve(socket.socket(fileno=int(number)), libraries)
    become(path, folder, environment)
    sys.argv[:] = [module, *arguments]
    finish(lambda: runpy.run_module(module, run_name="__main__", alter_sys=True))
