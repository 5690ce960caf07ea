"""Execute notebooks with papermill: each in a process of its own, in an empty folder, under time limits."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil

from utils.course import CourseError
from utils.course.notebooks import read
from utils.results import results_in


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not run to its end: `kind` is error, timeout, dead, disk or stopped; `cell` counts from 1."""

    kind: str
    message: str
    cell: int | None = None
    line: str = ""

    def __str__(self) -> str:
        place = "" if self.cell is None else f"cell {self.cell}: {self.line}\n"
        return place + self.message


@dataclass(frozen=True)
class Run:
    """What came of one notebook: `output` as far as it ran, if it did, `used` what was noted (see `watch.py`)."""

    output: Path
    seconds: float
    memory_mb: float
    failure: Failure | None = None
    results: list[dict] = field(default_factory=list)
    used: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """One notebook to run: where its copy with outputs goes, what is injected, and how long it may take."""

    notebook: Path
    output: Path
    parameters: dict = field(default_factory=dict)
    cell_seconds: float = 600
    seconds: float = 1800


Progress = Callable[[Job, int, int], None]


def execute(jobs: Sequence[Job], side_by_side: int = 1, progress: Progress | None = None) -> list[Run]:
    """Run the notebooks, `side_by_side` at a time, each with its share of the processor's threads.

    Every kernel is ended before this returns, also by Ctrl-C. A job that fails does not stop the others.
    """
    threads = max(1, (os.cpu_count() or 1) // max(1, side_by_side))
    with _Workers() as workers, ThreadPoolExecutor(max_workers=max(1, side_by_side)) as pool:
        futures = [pool.submit(_run, job, threads, workers, progress) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            workers.kill()
            for future in futures:
                future.cancel()
            raise


def recorded(notebook: nbformat.NotebookNode) -> list[dict]:
    """The results that the notebook's cells recorded, in order."""
    return results_in(notebook.cells)


def free_path(folder: Path, name: str) -> Path:
    """A file of that name in `folder` that did not exist before and now does, so that nobody else takes it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (f"{name}.ipynb" if number == 1 else f"{name}-{number}.ipynb")
            with contextlib.suppress(FileExistsError):
                path.touch(exist_ok=False)
                return path
    except OSError as error:
        raise CourseError(f"cannot write into {folder}: {error.strerror}. Choose another folder with --out") from None
    raise CourseError(f"{folder} holds 10,000 runs of {name}: clear it")


class _Workers:
    """The processes that run now; all of them end with the `with` block."""

    def __init__(self):
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *exception) -> None:
        self.kill()

    def start(self, threads: int) -> subprocess.Popen:
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if "GOMP_SPINCOUNT" not in environment:  # to find out takes a moment
            environment["GOMP_SPINCOUNT"] = _spins(threads)
        with self._lock:
            if self._ended:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                [sys.executable, "-m", "utils.course.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=environment,
                start_new_session=True,  # Ctrl-C reaches us alone; we end the rest in order
            )
            self._running.add(process)
        return process

    def kill(self, process: subprocess.Popen | None = None) -> None:
        """End one process, or all, with everything below."""
        with self._lock:
            self._ended = self._ended or process is None
            doomed = list(self._running) if process is None else [process]
        for one in doomed:
            tree = []
            with contextlib.suppress(psutil.Error):
                tree = [*psutil.Process(one.pid).children(recursive=True), psutil.Process(one.pid)]
            for member in tree:
                with contextlib.suppress(psutil.Error):
                    member.kill()
            psutil.wait_procs(tree, timeout=10)

    def finish(self, process: subprocess.Popen) -> None:
        self.kill(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        process.wait()
        with self._lock:
            self._running.discard(process)


def _spins(threads: int) -> str:
    """How long threads may spin while they wait for each other: long on an idle machine only (see the Makefile)."""
    idle = threads > 1 and psutil.cpu_percent(interval=0.3) < 20
    return "30000" if idle else "2000"


def _run(job: Job, threads: int, workers: _Workers, progress: Progress | None) -> Run:
    """Start a worker, follow its events to the end, and read what it left."""
    cell, end, failure, done, overtime = None, {}, None, False, threading.Event()
    with tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True) as folder:
        empty, log = Path(folder, "empty"), Path(folder, "used")
        empty.mkdir()
        process = workers.start(threads)

        def give_up():
            overtime.set()
            workers.kill(process)

        alarm = threading.Timer(job.seconds, give_up)
        alarm.daemon = True
        errors: list[str] = []
        drain = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
        try:
            alarm.start()
            drain.start()
            description = {
                "notebook": str(job.notebook),
                "output": str(job.output),
                "parameters": job.parameters,
                "cell_seconds": job.cell_seconds,
                "cwd": str(empty),
                "log": str(log),
            }
            process.stdin.write(json.dumps(description) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                event = json.loads(line)
                match event.pop("event"):
                    case "cell":
                        cell = event["number"]
                        if progress:
                            progress(job, cell, event["of"])
                    case "failed":
                        failure = event
                    case "done":
                        done = True
                    case "end":
                        end = event
                        break
        except BrokenPipeError:
            pass  # the worker ended before it read its job; what it said follows
        finally:
            alarm.cancel()
            workers.finish(process)
            drain.join(timeout=10)
        used = (
            [tuple(json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
        )
    if overtime.is_set() and not done:
        failure = {
            "kind": "timeout",
            "message": f"the notebook ran longer than {job.seconds:.0f} s; its kernel was ended",
        }
    elif failure is None and not done:
        last = ("".join(errors).strip().splitlines() or ["it said nothing"])[-1]
        failure = {"kind": "stopped", "message": f"the process that ran the notebook ended early: {last}"}
    return _outcome(job, end, failure, cell, used)


def _outcome(job: Job, end: dict, failure: dict | None, cell: int | None, used: list[tuple[str, ...]]) -> Run:
    results, line = [], ""
    if job.output.is_file() and not job.output.stat().st_size:
        job.output.unlink()  # kept free for what never came: an empty file is no notebook
    if job.output.is_file():
        notebook = read(job.output)
        results = recorded(notebook)
        # papermill puts a cell that announces the error on top of the notebook
        shown = [c for c in notebook.cells if not str(c.get("metadata", {}).get("tags", "")).count("papermill-error")]
        if cell is not None and cell <= len(shown):
            line = next((text for text in shown[cell - 1].source.splitlines() if text.strip()), "")
    why = Failure(failure["kind"], failure["message"], cell, line) if failure else None
    return Run(job.output, end.get("seconds", 0.0), end.get("memory_mb", 0.0), why, results, used)
