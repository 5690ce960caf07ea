"""The cells of a notebook that a stranger wrote; as a script, in a process of its own that may not grow.

The cells are taken out by hand: nbformat would validate and convert outputs too, of which a stranger's notebook may
have megabytes, and nobody needs them. Some 50 MB of JSON can become gigabytes of Python's objects, so that large files
are read by ``python -I -S notebook_code.py < notebook``, which prints ``[cells, problem]``.
"""

from __future__ import annotations

import gc
import json
import sys

MAX_CODE, MAX_PICTURES = 5_000_000, 20_000_000  # characters
PICTURES = "image/png", "image/jpeg", "image/gif"


def cells_of(notebook: bytes) -> tuple[list[tuple[str, str, str, dict[str, str]]], str]:
    """The cells in order, of any version of the format, or none and why it is no notebook.

    Of each cell its kind, its text, the id of the exercise that it was handed out for, and the pictures that are
    attached to it: name → data URI, not checked. Of Markdown and pictures only so much is read.
    """
    try:
        tree = json.loads(notebook)
        sheets = tree.get("worksheets") or [tree]  # before version 4, cells lay in worksheets
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        size = sum(len("".join(cell.get("source", cell.get("input", "")))) for cell in code)
    except (ValueError, RecursionError):
        return [], "this is no notebook: its content is no JSON"
    except (KeyError, TypeError, AttributeError):
        return [], "this is no notebook: it has no cells, or they have no source"
    if size > MAX_CODE:
        return [], f"its code has {size:,} characters, the limit is {MAX_CODE:,}"
    found, text_left, pictures_left = [], MAX_CODE, MAX_PICTURES
    for cell in cells:
        text = cell.get("source", cell.get("input", ""))
        text = "".join(part for part in text if isinstance(part, str)) if isinstance(text, (str, list)) else ""
        pictures = _pictures(cell.get("attachments"))
        if cell["cell_type"] != "code":
            text_left -= len(text)
            pictures_left -= sum(map(len, pictures.values()))
        if cell["cell_type"] == "code" or text_left >= 0:
            found.append((str(cell["cell_type"]), text, _exercise(cell), pictures if pictures_left >= 0 else {}))
    return found, ""


def _exercise(cell: dict) -> str:
    metadata = cell.get("metadata")
    marked = metadata.get("exercise") if isinstance(metadata, dict) else None
    return str(marked.get("id", "")) if isinstance(marked, dict) else ""


def _pictures(attachments: object) -> dict[str, str]:
    found = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        for kind in PICTURES:
            data = kinds.get(kind) if isinstance(kinds, dict) else None
            data = "".join(data) if isinstance(data, list) and all(isinstance(line, str) for line in data) else data
            if isinstance(data, str):
                found[name] = f"data:{kind};base64,{''.join(data.split())}"
    return found


def main() -> None:
    """Read a notebook from the standard input and print what was found, in no more memory than is given."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
    except (ImportError, OSError):  # Windows; a system without such a limit
        pass
    gc.disable()  # it would look through millions of objects again and again
    print(json.dumps(cells_of(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
