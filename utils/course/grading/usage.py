"""The memory and processes of a whole submission, where the kernel itself limits one process at a time.

Where systemd gives out control groups, the kernel limits their sum, too (`scope`). Everywhere a thread looks several
times a second, and ends a submission that is over (`Watch`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import psutil

SELDOM, OFTEN = 0.2, 0.05  # seconds between two looks, the second where memory may soon be too much
WARM, WARM_PROCESSES = 2**30, 16  # what a sandbox needs before it runs a submission
PROBE_SECONDS = 5
# The limit of the group that it runs in, written to a file that was open before: so both are known to work.
PROBE = "cat /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/memory.max > /dev/fd/{}"


@functools.cache
def scope(memory: int, processes: int) -> tuple[str, ...]:
    """What to put before a command, so that it runs in a control group with these limits; nothing if that fails here.

    Args:
        memory: bytes of a submission, its files included, in all its processes.
        processes: of a submission.
    """
    if not shutil.which("systemd-run"):
        return ()
    most = memory + WARM
    user = () if os.getuid() == 0 else ("--user",)
    limits = f"MemoryMax={most}", "MemorySwapMax=0", f"TasksMax={processes + WARM_PROCESSES}"
    words = "systemd-run", *user, "--scope", "--quiet", "--collect", *(w for one in limits for w in ("-p", one)), "--"
    read, write = os.pipe()
    with os.fdopen(read, "rb") as told, contextlib.suppress(OSError, subprocess.SubprocessError):
        try:
            subprocess.run(
                [*words, "sh", "-c", PROBE.format(write)],
                pass_fds=[write],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=PROBE_SECONDS,
                check=True,
            )
        finally:
            os.close(write)
        os.set_blocking(read, False)
        if told.read() == b"%d\n" % (most - most % os.sysconf("SC_PAGESIZE")):
            return words
    return ()


class Watch:
    """Counts what a sandbox takes beyond what it took before, and ends a submission that takes too much.

    A page that several processes share counts once (PSS): the warm interpreter's in all forks, and shared memory.

    Attributes:
        processor_seconds: what all inside have spent so far, at the last look.
        exceeded: why the submission was ended, or nothing.
    """

    def __init__(self, process: subprocess.Popen, memory_mb: int, processes: int):
        self._process, self._memory_mb, self._processes = process, memory_mb, processes
        self.processor_seconds, self.exceeded = 0.0, ""
        inside = self._inside()
        self._known = {process.pid for process in inside}
        self._before = sum(map(_memory, inside))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        pause = SELDOM
        while not self._over.wait(pause):
            begin = time.monotonic()
            with contextlib.suppress(psutil.Error):
                inside = self._inside()
                self.processor_seconds = sum(map(_processor_seconds, inside[1:]))
                if len(inside) > self._processes + WARM_PROCESSES:
                    self._stop(inside, f"It had more than {self._processes} processes.")
                # Pages that are shared count in each process here, so that the truth is below, and found quickly.
                resident, most = sum(map(_resident, inside)) - self._before, self._memory_mb * 2**20
                if resident > most and sum(map(_memory, inside)) - self._before > most:
                    self._stop(inside, f"All its processes together took more than {self._memory_mb:,} MB of memory.")
                pause = max(OFTEN if resident > most // 2 else SELDOM, time.monotonic() - begin)

    def _inside(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self._process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def _stop(self, inside: list[psutil.Process], why: str) -> None:
        """End what was not there before; the second time, the whole sandbox."""
        again, self.exceeded = self.exceeded, why
        for process in [self._process] if again else [one for one in inside if one.pid not in self._known]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def _processor_seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def _memory(process: psutil.Process) -> int:
    """Bytes of a process that are no file's, a part of each page that it shares; whole pages where that is unknown."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        if sizes := [int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))]:
            return 1024 * sum(sizes)
    return _resident(process)
