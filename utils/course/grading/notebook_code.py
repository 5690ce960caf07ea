"""The code cells of a notebook that a stranger wrote; as a script, in a process of its own that may not grow.

The cells are taken out by hand: nbformat would validate and convert outputs too, of which a stranger's notebook may
have megabytes, and nobody needs them. Some 50 MB of JSON can become gigabytes of Python's objects, so that large files
are read by ``python -I -S notebook_code.py < notebook``, which prints ``[cells, problem]``.
"""

from __future__ import annotations

import gc
import json
import sys

MAX_CODE = 5_000_000  # characters


def code_cells(notebook: bytes) -> tuple[list[str], str]:
    """The code cells in order, of any version of the format, or none and why it is no notebook."""
    try:
        tree = json.loads(notebook)
        sheets = tree.get("worksheets") or [tree]  # before version 4, cells lay in worksheets
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        found = ["".join(cell.get("source", cell.get("input", ""))) for cell in cells]
    except (ValueError, RecursionError):
        return [], "this is no notebook: its content is no JSON"
    except (KeyError, TypeError, AttributeError):
        return [], "this is no notebook: it has no cells, or they have no source"
    if (size := sum(map(len, found))) > MAX_CODE:
        return [], f"its code has {size:,} characters, the limit is {MAX_CODE:,}"
    return found, ""


def main() -> None:
    """Read a notebook from the standard input and print what was found, in no more memory than is given."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
    except (ImportError, OSError):  # Windows; a system without such a limit
        pass
    gc.disable()  # it would look through millions of objects again and again
    print(json.dumps(code_cells(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
