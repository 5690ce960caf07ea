"""`course release`: a chapter's exercises, or some of them, as a folder to hand out. Nothing in it is written by hand.

It is made from the exercise notebook in `chapters/`, which holds stubs; `solutions/` is never read.
"""

from __future__ import annotations

import hashlib
import re
import symtable
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from utils.course import CourseError, release_folder, release_nbgrader
from utils.course.files import Ledger, write
from utils.course.notebooks import KERNEL, read
from utils.course.register import Chapter
from utils.course.tasks import CHECK, checked, chosen, known, owners_of, tasks_of

FORMATS = {"nbgrader": release_nbgrader, "folder": release_folder}  # each: `files` of a chapter, and `course_files`
LEDGER = ".released.json"  # what of a folder came out of a release
# Outside of functions a seed makes data; inside, it draws a picture, and the one to reach was drawn from it too.
DATA_SEED = re.compile(r"^(\S.*manual_seed\()\d+(\))", re.MULTILINE)


def release(
    chapters: list[Chapter],
    to: Path,
    format: str = "nbgrader",
    only: Collection[str] = (),
    without: Collection[str] = (),
    seed: int | None = None,
) -> list[str]:
    """Write the exercises of some chapters into a folder; a line for each file says what became of it.

    What an earlier release wrote there is renewed; a configuration that was edited since stays. If any other file is in
    the way, nothing at all is written.

    Args:
        chapters: what to release.
        to: the folder; it may hold other files, such as earlier releases and submissions.
        format: `nbgrader`, a course folder for nbgrader; or `folder`, a folder a chapter with tests for pytest.
        only: the tiers to keep; none for all.
        without: ids of exercises to leave out.
        seed: the number of a variant, with other data and other inputs to the checks.

    Raises:
        CourseError: an unknown format, tier or id, nothing left to release, or a file in the way.
    """
    known("format", [format], FORMATS)
    notebooks = [read(chapter.exercises) for chapter in chapters]
    all_tasks = [tasks_of(notebook) for notebook in notebooks]
    known("exercise", without, [task.id for tasks in all_tasks for task in tasks])
    files, shared, made, notes = FORMATS[format].files, FORMATS[format].course_files(), {}, []
    for chapter, notebook, tasks in zip(chapters, notebooks, all_tasks, strict=True):
        tasks = chosen(tasks, chapter.slug, only, without)
        kept = {task.id for task in tasks}
        made |= files(chapter, variant(selection(notebook, kept), seed), tasks)
        notes += loose_ends(notebook, kept)
    if format == "nbgrader" and find_spec("nbgrader") is None:
        notes.append("note: nbgrader itself is not installed here; `make instructor` adds it")
    return _write(shared, made, to) + notes


def selection(notebook: NotebookNode, kept: Collection[str]) -> NotebookNode:
    """The notebook with the exercises `kept` alone, and without what only the authors need.

    An exercise that is left out takes its section with it, except for code that a later cell needs.
    """
    cells, needed = [], set()
    for cell, owners in reversed(list(zip(notebook.cells, owners_of(notebook), strict=True))):
        makes, uses = names_of(cell.source) if cell.cell_type == "code" else (set(), set())
        is_setup = cell.cell_type == "code" and not checked(cell) and "exercise" not in cell.metadata
        if not owners or owners & set(kept) or (is_setup and makes & needed):
            needed |= uses
            cells.append(nbformat.from_dict(cell))
            cells[-1].metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "exercise"})
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells[::-1], metadata=metadata)


def loose_ends(notebook: NotebookNode, kept: Collection[str]) -> list[str]:
    """A note for each text of an exercise that is kept that speaks of one that is left out."""
    cells = [(cell, owners) for cell, owners in zip(notebook.cells, owners_of(notebook), strict=True) if owners]
    words: dict[str, list[str]] = {}  # how texts speak of what is left out
    for cell, owners in cells:
        for id in owners - set(kept):
            if number := re.match(r"## (\d+\.\d+)", cell.source):
                words.setdefault(id, []).append(rf"\b(?:in|of|exercise) {re.escape(number[1])}(?![\d.]*\d)")
            elif "exercise" in cell.metadata:
                names = re.findall(r"^def (\w+)", cell.source, re.MULTILINE)
                words.setdefault(id, []).extend(rf"`\w+\([^`]*\b{name}\b[^`]*\)`" for name in names)
    return [
        f"note: the text of {', '.join(sorted(owners))} speaks of {id}, which is left out"
        for id, patterns in words.items()
        for cell, owners in cells
        if owners & set(kept) and cell.cell_type == "markdown" and any(re.search(p, cell.source) for p in patterns)
    ]


def variant(notebook: NotebookNode, seed: int | None) -> NotebookNode:
    """The notebook with other numbers in its data and in the inputs of its checks; itself for no seed."""
    if seed is None:
        return notebook
    made = nbformat.from_dict(notebook)
    for cell in made.cells:
        if id := checked(cell):
            cell.source = CHECK.sub(rf'check("\1", \2, seed={_drawn(seed, id)})', cell.source)
        elif cell.cell_type == "code":
            cell.source = DATA_SEED.sub(rf"\g<1>{_drawn(seed, cell.source)}\2", cell.source)
    return made


def _drawn(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:3])


def names_of(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell defines, and those it uses, also inside its functions."""
    top = symtable.symtable(source, "cell", "exec")
    makes = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    uses = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    inner = top.get_children()
    while inner:
        table = inner.pop()
        uses |= {s.get_name() for s in table.get_symbols() if s.is_global()}
        inner += table.get_children()
    return makes, uses


def _write(shared: dict[str, str], files: dict[str, str], to: Path) -> list[str]:
    if to.exists() and not to.is_dir():
        raise CourseError(f"{to} is a file: give a folder with --to")
    ledger = Ledger(to / LEDGER)
    edited = [to / name for name in shared if name in ledger.sums and (to / name).is_file()]
    edited = [path for path in edited if not ledger.is_untouched(path)]
    made = {to / name: content.encode() for name, content in (shared | files).items() if to / name not in edited}
    if in_the_way := sorted({str(found) for path in made if (found := _obstacle(path, made[path], ledger))}):
        raise CourseError(
            "nothing was written: these are no files of a release, or were changed since,\n  "
            + "\n  ".join(in_the_way)
            + "\nMove them away, or give another folder with --to."
        )
    lines = [f"{path}: kept, because you changed it" for path in edited]
    try:
        for path, content in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            done = "renewed" if path.exists() else "written"
            lines.append(f"{path}: {done if write(path, content) else 'there already'}")
        ledger.note(*made)
    except OSError as error:
        raise CourseError(f"{error.filename or to} cannot be written: {error.strerror}") from None
    return lines


def _obstacle(path: Path, content: bytes, ledger: Ledger) -> Path | None:
    """What lies where the file should come to lie, unless it came out of a release."""
    for place in (path, *path.parents):
        if place.is_symlink() and (place == path or not place.exists()):
            return place
        if place.exists():
            break
    if place == path:
        ours = path.is_file() and (path.read_bytes() == content or ledger.is_untouched(path))
    else:
        ours = place.is_dir()
    return None if ours else place
