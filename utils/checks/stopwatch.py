"""How long an answer works: processor time, so that no answer is late because the machine is busy."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable


class Stopwatch:
    """Counts the processor seconds of one thread and of whoever works for it, but not those of its imports.

    Imports are left out because the first one of a large library takes seconds and the next one none. The thread calls
    `begin` and `end`; another one calls `look` meanwhile, many times a second, and once when the thread has ended.

    Args:
        elsewhere: reads the processor seconds that were spent for the thread in other processes.

    Attributes:
        seconds: what was counted up to the last look.
        lasted: the time on the clock up to the last look.
    """

    def __init__(self, elsewhere: Callable[[], float] = lambda: 0.0):
        self.seconds, self.lasted = 0.0, 0.0
        self._elsewhere, self._start = elsewhere, time.perf_counter()
        self._thread: int | None = None
        self._read: Callable[[], float] = lambda: 0.0
        self._spent = 0.0

    def begin(self) -> None:
        """Called by the thread before it works."""
        self._read = _clock()
        self._spent = self._read() + self._elsewhere()
        self._thread = threading.get_ident()

    def end(self) -> None:
        """Called by the thread after its work."""
        last = self._read()
        self._read = lambda: last

    def look(self) -> None:
        """Count what was spent since the last look; never more than the time that passed."""
        passed = time.perf_counter() - self._start - self.lasted
        self.lasted += passed
        if self._thread is None:
            return
        spent = self._read() + self._elsewhere()
        if not _imports(self._thread):
            self.seconds += max(0.0, min(spent - self._spent, passed))
        self._spent = spent


def _clock() -> Callable[[], float]:
    """Reads, from any thread, the processor seconds of this one; of the process where the system tells no more."""
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS, Windows
        return time.process_time
    number, last = time.pthread_getcpuclockid(threading.get_ident()), 0.0

    def read() -> float:
        nonlocal last
        with contextlib.suppress(OSError):  # once the thread has ended
            last = time.clock_gettime(number)
        return last

    return read


def _imports(thread: int) -> bool:
    """Whether the thread is in the middle of an import."""
    frame = sys._current_frames().get(thread)
    while frame and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None
