"""What a student's notebook defines: its code cells, run one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from utils.course import CourseError
from utils.course.grading import notebook_code

MAX_BYTES, SMALL_BYTES = 100_000_000, 1_000_000  # of a file, and of one that can be read at once
READ_SECONDS, READ_MEMORY = 60, 2**30  # of the process that reads a large file
MAX_TOLD = 200  # characters of an exception


def sources(notebook: Path | bytes) -> list[str]:
    """The code cells of a notebook, in order; of any version of the format; errors as of `cells_of`."""
    return [text for kind, text, *_ in cells_of(notebook) if kind == "code"]


def cells_of(notebook: Path | bytes) -> list[tuple[str, str, str, dict[str, str]]]:
    """All its cells, see `notebook_code.cells_of`.

    Raises:
        CourseError: when it is no notebook; the message says why.
    """
    try:
        size = len(notebook) if isinstance(notebook, bytes) else notebook.stat().st_size
        if size > MAX_BYTES:
            raise CourseError(f"the file has {size:,} bytes, the limit is {MAX_BYTES:,}: clear the outputs")
        content = notebook if isinstance(notebook, bytes) else notebook.read_bytes()
    except OSError as error:
        raise CourseError(f"{notebook} cannot be read: {error.strerror}") from None
    found, problem = notebook_code.cells_of(content) if size <= SMALL_BYTES else _read_apart(content)
    if problem:
        raise CourseError(problem)
    return found


def _read_apart(content: bytes) -> tuple[list[tuple[str, str, str, dict[str, str]]], str]:
    """The cells of a large file, read in a process of bounded memory and time."""
    command = [sys.executable, "-I", "-S", notebook_code.__file__, str(READ_MEMORY)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=READ_SECONDS, check=True)
    except subprocess.SubprocessError:
        return [], "this is no notebook: it takes too much memory or time to read"
    found, problem = json.loads(done.stdout)
    return found, problem


def run(sources: Sequence[str], after: Callable[[str], object] | None = None) -> dict[str, object]:
    """Run the cells in a fresh namespace, going on after errors as a reader would, and return that namespace.

    `check` is silent meanwhile: what the cells are worth is for the caller to find out. `after` is told at the end of
    each cell in which exception it ended, or nothing; then no tracebacks are printed, which takes longer than a cell.
    """
    import matplotlib
    import matplotlib.pyplot as plt
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    import utils.checks.engine

    matplotlib.use("agg")
    main = sys.modules["__main__"]
    shell = InteractiveShell(
        config=Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"}),
        user_module=types.ModuleType("__main__"),
    )
    if after:
        shell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None
    try:
        with (
            patch.object(utils.checks, "check", _silent),
            patch.object(utils.checks.engine, "check", _silent),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            for source in sources:
                result = shell.run_cell(source)
                plt.close("all")
                if after:
                    after(_told(result.error_before_exec or result.error_in_exec))
    finally:
        sys.modules["__main__"] = main
    return shell.user_ns


def _told(error: BaseException | None) -> str:
    """An exception in one line, whatever it makes of being asked for its text."""
    if error is None:
        return ""
    try:
        said = " ".join(str(error).split())
        if isinstance(error, SyntaxError):  # its own text names a file that nobody knows
            said = f"{error.msg}, line {error.lineno}" if error.lineno else str(error.msg)
    except BaseException:
        said = ""
    return f"{type(error).__name__}: {said}".removesuffix(": ")[:MAX_TOLD]


def _silent(id: str, answer: object, seed: int = 0) -> None:
    """Stands in for `check`."""
