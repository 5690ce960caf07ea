"""What a student's notebook defines: its code cells, run one after the other."""

from __future__ import annotations

import json
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from utils.course import CourseError

MAX_BYTES = 100_000_000


def sources(notebook: Path | bytes) -> list[str]:
    """The code cells of a notebook, in order; of any version of the format.

    The cells are taken out by hand: nbformat would validate and convert outputs too, of which a stranger's notebook may
    have megabytes, and nobody needs them.

    Raises:
        CourseError: when it is no notebook; the message says why.
    """
    try:
        size = len(notebook) if isinstance(notebook, bytes) else notebook.stat().st_size
        if size > MAX_BYTES:
            raise CourseError(f"the file has {size:,} bytes, the limit is {MAX_BYTES:,}: clear the outputs")
        tree = json.loads(notebook if isinstance(notebook, bytes) else notebook.read_bytes())
        sheets = tree.get("worksheets") or [tree]  # before version 4, cells lay in worksheets
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        found = [cell.get("source", cell.get("input", "")) for cell in cells]
        return ["".join(source) for source in found]
    except OSError as error:
        raise CourseError(f"{notebook} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CourseError("this is no notebook: its content is no JSON") from None
    except (KeyError, TypeError, AttributeError):
        raise CourseError("this is no notebook: it has no cells, or they have no source") from None


def run(sources: Sequence[str], after: Callable[[bool], object] | None = None) -> dict[str, object]:
    """Run the cells in a fresh namespace, going on after errors as a reader would, and return that namespace.

    `check` is silent meanwhile: what the cells are worth is for the caller to find out. `after` is told at the end of
    each cell whether it ran through.
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
    try:
        with (
            patch.object(utils.checks, "check", _silent),
            patch.object(utils.checks.engine, "check", _silent),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            for source in sources:
                through = shell.run_cell(source).success
                plt.close("all")
                if after:
                    after(through)
    finally:
        sys.modules["__main__"] = main
    return shell.user_ns


def _silent(id: str, answer: object, seed: int = 0) -> None:
    """Stands in for `check`."""
