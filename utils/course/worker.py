"""Runs one notebook in a process of its own: `python -m utils.course.worker`, started by `execute.py`.

It reads one line of JSON, the job, and writes one line of JSON for each thing that happens. It lives as long as its
standard input stays open: whatever ends the process that started it, even `kill -9`, ends the kernel too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time

import psutil

from utils.course import watch

LONGEST = 800  # characters of an error's message; the notebook has all of it


def main() -> None:
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # What a library prints must not be taken for an event.
    events, sys.stdout = sys.stdout, sys.stderr

    def emit(event: str, **fields) -> None:
        print(json.dumps({"event": event, **fields}), file=events, flush=True)

    peak = _PeakMemory()
    start = time.perf_counter()
    try:
        _run(job, emit)
    except Exception as error:  # every fault of a notebook, a kernel or a disk becomes one event
        emit("failed", **_describe(error))
    finally:
        emit("end", seconds=time.perf_counter() - start, memory_mb=peak.stop())


def _run(job: dict, emit) -> None:
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    logging.getLogger("traitlets").setLevel(logging.CRITICAL)

    class Reporting(NBClientEngine):
        """papermill's own engine, which also says where it is."""

        @classmethod
        def execute_managed_notebook(cls, manager, kernel_name, **options):
            begin = manager.cell_start

            def cell_start(cell, cell_index=None, **more):
                emit("cell", number=cell_index + 1, of=len(manager.nb.cells))
                begin(cell, cell_index, **more)

            manager.cell_start = cell_start
            super().execute_managed_notebook(manager, kernel_name, **options)

    papermill_engines.register("reporting", Reporting)
    os.environ[watch.LOG] = job["log"]  # the kernel inherits it
    papermill.execute_notebook(
        job["notebook"],
        job["output"],
        parameters=job["parameters"],
        engine_name="reporting",
        kernel_name="python3",  # of this environment, whatever name another editor has left in the notebook
        extra_arguments=[f"--InteractiveShellApp.extra_extensions={watch.__name__}"],
        cwd=job["cwd"],
        progress_bar=False,
        execution_timeout=job["cell_seconds"],
        start_timeout=120,
    )
    emit("done")


def _describe(error: Exception) -> dict:
    """The kind and the words of a fault. The cell it happened in is the last one announced."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        return {"kind": "error", "message": f"{error.ename}: {error.evalue[:LONGEST]}".strip(": ")}
    if isinstance(error, CellTimeoutError):
        return {"kind": "timeout", "message": "the cell ran longer than its time limit; the kernel was ended"}
    if isinstance(error, DeadKernelError):
        return {"kind": "dead", "message": "the kernel died: out of memory, or a crash in compiled code"}
    if isinstance(error, OSError):
        return {"kind": "disk", "message": f"the notebook could not be written: {error}"}
    return {"kind": "error", "message": f"{type(error).__name__}: {error}"}


class _PeakMemory:
    """The largest memory that the processes below this one (the kernel and what it starts) held together."""

    def __init__(self, every: float = 0.2):
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(every,), daemon=True)
        self._thread.start()

    def _watch(self, every: float) -> None:
        me = psutil.Process()
        while not self._stop.wait(every):
            total = 0
            for process in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            self.peak = max(self.peak, total)

    def stop(self) -> float:
        """The peak in MB."""
        self._stop.set()
        self._thread.join()
        return self.peak / 1e6


def _end_with_parent() -> None:
    sys.stdin.read()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    os._exit(1)


if __name__ == "__main__":
    main()
