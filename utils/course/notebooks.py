"""Text and notebook: the two faces of a chapter, and how one is made from the other."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import warnings
from base64 import b64decode, b64encode
from functools import lru_cache
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbformat import NotebookNode

from utils.course import CourseError

FORMAT = "py:percent"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# What a person writes into a cell's metadata. Everything else (execution times, scroll states) is volatile.
CELL_METADATA = ("tags", "exercise", "jupyter")
_MALFORMED_MARKER = "incorrectly_encoded_metadata"  # as jupytext calls it


def read(path: Path) -> NotebookNode:
    """The notebook at `path`, as nbformat 4: its cells have ids and the line ends of this course.

    Raises:
        CourseError: when there is none, or it cannot be read; the message says why.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")  # an editor may have put a byte-order mark on top
        notebook = _parsed(text)
    except FileNotFoundError:
        raise CourseError(f"{path} is missing") from None
    except _MALFORMED as error:
        if conflict := re.search(r"^<{7} .*", text, re.MULTILINE):
            line = text.count("\n", 0, conflict.start()) + 1
            raise CourseError(
                f"{path} holds a merge conflict, beginning in line {line}. It is made from its text: resolve the text, "
                f"take either notebook (git checkout --ours -- {path}), then run `course sync`"
            ) from None
        flaw = f" ({error.message[:100]})" if isinstance(error, nbformat.ValidationError) else ""
        raise CourseError(f"{path} is not a notebook: it is no valid JSON of the notebook format{flaw}") from None
    seen, ids = {cell["id"] for cell in notebook.cells if "id" in cell}, set()
    for cell in notebook.cells:
        cell.source = cell.source.replace("\r\n", "\n")
        if cell.get("id") in {None, *ids}:  # before version 4.5 there is none; a copied cell has that of another
            cell["id"] = _new_id(cell.source, seen)
        ids.add(cell["id"])
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    return notebook


# nbformat looks into whatever JSON it was given.
_MALFORMED = (ValueError, AttributeError, TypeError, KeyError, RecursionError, nbformat.ValidationError)


def _parsed(text: str) -> NotebookNode:
    """The notebook, if it has the notebook format; fields that the format does not know are let through."""

    def silent(record: logging.LogRecord) -> bool:  # what is wrong is said once, by the caller
        return False

    captured, log = {}, logging.getLogger("traitlets")
    log.addFilter(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(text, as_version=4, capture_validation_error=captured)
            if captured:
                nbformat.validate(notebook, relax_add_props=True)
    finally:
        log.removeFilter(silent)
    return notebook


def read_shared(path: Path) -> NotebookNode:
    """The same for whoever only looks: the file is read once as long as it stays as it is. Do not change it."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return read(path)  # which says so
    return _read_once(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _read_once(path: Path, changed: int, size: int) -> NotebookNode:
    return read(path)


def dumps(notebook: NotebookNode) -> str:
    """The notebook as the text of its file."""
    return nbformat.writes(notebook, version=4) + "\n"


def from_text(text: str, name: str = "the text") -> NotebookNode:
    """The notebook that a chapter's text describes: no outputs, our kernel, ids that depend on the text alone.

    Raises:
        CourseError: for a cell's marker that is malformed, with `name`, as the text is called, and the line.
    """
    cells, seen = [], set()
    for kind, source, metadata in _cells(text):
        if malformed := metadata.pop(_MALFORMED_MARKER, None):
            line = text[: text.index(malformed)].count("\n") + 1 if malformed in text else "?"
            raise CourseError(f"{name}:{line}: the marker of a cell is malformed: `{malformed}`")
        cell = {"id": _new_id(source, seen), "cell_type": kind, "metadata": metadata, "source": source}
        cells.append(cell | {"execution_count": None, "outputs": []} if kind == "code" else cell)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@lru_cache(maxsize=256)
def _cells(text: str) -> list[tuple[str, str, dict]]:
    """Type, source and lasting metadata of each cell of a text; kept, because jupytext takes its time."""
    return [
        (
            cell.cell_type if cell.cell_type == "code" else "markdown",
            cell.source,
            {key: cell.metadata[key] for key in (*CELL_METADATA, _MALFORMED_MARKER) if key in cell.metadata},
        )
        for cell in jupytext.reads(text, FORMAT).cells
    ]


def to_text(notebook: NotebookNode) -> str:
    """The notebook's cells and their lasting metadata as py:percent."""
    bare = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL, "jupytext": {}})
    for cell in notebook.cells:
        metadata = {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}
        make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        bare.cells.append(make(cell.source, metadata=metadata))
    # The version of jupytext in the header would change the text with every release of jupytext.
    lines = jupytext.writes(bare, FORMAT).splitlines()
    return (
        "\n".join(line for line in lines if not line.startswith(("#       jupytext_version", "#       format_version")))
        + "\n"
    )


def update(text: str, old: NotebookNode | None) -> NotebookNode:
    """The notebook of `text`, with the ids (and, where the source is the same, the outputs) that `old` had."""
    fresh = from_text(text)
    if old is None:
        return fresh
    combined = combine_inputs_with_outputs(from_text(text), old, FORMAT)
    previous = {cell.get("id"): cell for cell in old.cells}
    seen: set[str] = set()
    for cell, joined in zip(fresh.cells, combined.cells, strict=True):
        if joined.get("id") in previous and joined["id"] not in seen:
            cell["id"] = joined["id"]
            before = previous[joined["id"]]
            if cell.cell_type == "code" and before.cell_type == "code" and before.source == cell.source:
                cell.outputs, cell.execution_count = before.outputs, before.execution_count
        else:
            cell["id"] = _new_id(cell.source, seen)
        seen.add(cell["id"])
    if "widgets" in old.metadata:
        fresh.metadata["widgets"] = old.metadata["widgets"]
    return fresh


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """A copy with nothing executed."""
    bare = nbformat.from_dict(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    bare.metadata.pop("widgets", None)
    return bare


def smaller(png: str) -> str:
    """A picture (base64) in few colors: in a third of the size it looks the same. As it was, if there is no gain.

    Of 64, 128 and 256 colors the fewest by which hardly a dot changes so that one could see it. Without dithering, so
    that areas stay even.
    """
    import numpy as np
    from PIL import Image, ImageChops

    with Image.open(io.BytesIO(b64decode(png))) as picture:
        full = picture.convert("RGB")
    for colors in (64, 128, 256):
        reduced = full.quantize(colors, dither=Image.Dither.NONE)
        change = np.asarray(ImageChops.difference(full, reduced.convert("RGB"))).max(axis=-1)
        if np.quantile(change, 0.999) <= 12:  # of 255
            break
    packed = io.BytesIO()
    reduced.save(packed, "PNG", optimize=True)
    packed = b64encode(packed.getvalue()).decode()
    return packed if len(packed) < len(png) else png


def sources_hash(notebook: NotebookNode) -> str:
    """A hash of what people write: types, sources and lasting metadata of the cells."""
    cells = [
        [cell.cell_type, cell.source.rstrip(), {k: cell.metadata[k] for k in CELL_METADATA if cell.metadata.get(k)}]
        for cell in notebook.cells
    ]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def _new_id(source: str, seen: set[str]) -> str:
    number = 0
    while (name := hashlib.sha256(f"{number}:{source}".encode()).hexdigest()[:8]) in seen:
        number += 1
    seen.add(name)
    return name
