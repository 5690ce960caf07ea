"""A release as a course folder of nbgrader 0.9: its configuration, and notebooks with its metadata."""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode

from utils.course.notebooks import dumps
from utils.course.register import Chapter
from utils.course.tasks import CHECK, Task, checked, is_derivation, owners_of

HIDDEN = r"""\g<0>
### BEGIN HIDDEN TESTS
import os

check("\1", \2, seed=int(os.environ["COURSE_HIDDEN_SEED"]))
### END HIDDEN TESTS"""

CONFIG = '''\
"""The configuration of this nbgrader course. It belongs to the instructor: do not hand it out.

    nbgrader generate_assignment ASSIGNMENT    source/ → release/, which students get
    nbgrader autograde ASSIGNMENT              submitted/STUDENT/ASSIGNMENT/ → autograded/
    nbgrader formgrader (in JupyterLab)        the derivations, read and graded by a person
    nbgrader generate_feedback ASSIGNMENT      autograded/ → feedback/
    nbgrader export                            the grades, as CSV

nbgrader runs the code of students UNPROTECTED: as you, on this machine, with all your files and your network, and
what it runs can read the hidden seed and forge its grade. `course grade` grades the same submissions in a sandbox.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions

c = get_config()  # noqa: F821 nbgrader provides it

# The hidden tests draw their inputs from this number. It is made here, once, and stands in no file that is handed out.
# Kernels inherit the environment.
seed_file = Path(__file__).with_name("hidden_seed.txt")
with suppress(FileExistsError), open(os.open(seed_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
    new.write(f"{secrets.randbelow(2**31)}\\n")
os.environ["COURSE_HIDDEN_SEED"] = seed_file.read_text().strip()


class ClearMarkedSolutions(ClearSolutions):
    """Without a region of BEGIN and END SOLUTION a cell is a stub already, and stays."""

    def preprocess_cell(self, cell, resources, cell_index):
        if self.begin_solution_delimeter not in cell.source:
            return cell, resources
        return super().preprocess_cell(cell, resources, cell_index)


usual = GenerateAssignment.class_traits()["preprocessors"].default()
c.GenerateAssignment.preprocessors = [ClearMarkedSolutions if step is ClearSolutions else step for step in usual]
c.OverwriteCells.add_missing_cells = True  # a check that a student deleted comes back
c.Execute.timeout = 300  # seconds; a challenge may take 60, and its cell checks it twice
'''


def course_files() -> dict[str, str]:
    """What every course folder holds, whatever is released into it: path → content."""
    return {"nbgrader_config.py": CONFIG}


def files(chapter: Chapter, notebook: NotebookNode, tasks: list[Task]) -> dict[str, str]:
    """The source of one assignment, called like the chapter: path → content."""
    made = nbformat.from_dict(notebook)
    by_id = {task.id: task for task in tasks}
    for cell, owners in zip(made.cells, owners_of(made), strict=True):
        task = by_id[next(iter(owners))] if len(owners) == 1 else None
        if is_derivation(cell):
            _mark(cell, f"{task.id}-derivation", grade=True, solution=True, points=task.by_hand)
        elif "exercise" in cell.metadata:
            _mark(cell, task.id, solution=True)
        elif checked(cell):
            cell.source = CHECK.sub(HIDDEN, cell.source)
            _mark(cell, f"{task.id}-check", grade=True, locked=True, points=task.points - task.by_hand)
        elif cell.cell_type == "code":
            _mark(cell, f"setup-{cell['id']}", locked=True)
    return {f"source/{chapter.slug}/{chapter.assignment}": dumps(made)}


def _mark(cell: NotebookNode, name: str, **facts: bool | int) -> None:
    defaults = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = {**defaults, **facts, "grade_id": name.replace(".", "-")}
