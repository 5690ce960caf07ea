"""A release as a plain folder a chapter, for any platform: notebook, tests for pytest, points, README."""

from __future__ import annotations

import json

from nbformat import NotebookNode

from utils.course.notebooks import dumps
from utils.course.register import Chapter
from utils.course.tasks import CHECK, Task

TEST = '''\
"""The checks of {notebook}, one test an exercise: `pytest {test}`.

Another notebook is tested with `NOTEBOOK=path/to/it.ipynb pytest {test}`.
"""

import os
from pathlib import Path

import pytest

from utils.checks.engine import function_name, run_check
from utils.course.grading.notebook_runner import run, sources

NOTEBOOK = Path(os.environ.get("NOTEBOOK", Path(__file__).with_name("{notebook}")))
SEEDS = {{
{seeds}
}}


@pytest.fixture(scope="module")
def answers():
    return run(sources(NOTEBOOK))


@pytest.mark.parametrize("id", SEEDS)
def test_exercise(id, answers):
    name = function_name(id)
    if name not in answers:
        pytest.fail(f"The notebook defines no function `{{name}}`.", pytrace=False)
    verdict = run_check(id, answers[name], SEEDS[id])
    if verdict.status != "passed":
        pytest.fail(f"{{verdict.message}} {{verdict.hint}}".strip(), pytrace=False)
'''

README = """\
# {title}

{exercises} exercises, {minutes} minutes, {points} points{by_hand}.

| exercise | tier | minutes | points | what it teaches |
|---|---|---|---|---|
{rows}

## For students

You need Python with the course installed, as its own README says, and nothing else: no network, no GPU.

Open `{notebook}` in JupyterLab. Write your code in the place of each
`raise NotImplementedError(...)`, run the cell, then run the check below it: it says *passed*, or names the mistake.
Keep the names of the functions and their arguments. Where a cell says *Your derivation*, write it there, in words and
formulas. Save, and hand in the notebook.

All checks at once, in this folder (once before: `pip install pytest`):

    pytest {test}

## For instructors

The tests run the notebook's code cells, then each check on the function that they define. To test a notebook that
lies elsewhere, name it:

    NOTEBOOK=path/to/it.ipynb pytest {test}

`points.json` has the points of each exercise; `by_hand` of them are for a derivation, which a person reads.

pytest runs the code of students unprotected. `course grade` runs it in a sandbox, with inputs that nobody has seen: put
`points.json` beside the notebooks that you collected, and say `course grade FOLDER`.
"""


def course_files() -> dict[str, str]:
    """Nothing lies beside the chapters' folders."""
    return {}


def files(chapter: Chapter, notebook: NotebookNode, tasks: list[Task]) -> dict[str, str]:
    """The folder of one chapter: path → content."""
    name, test = chapter.assignment, f"test_{chapter.slug}.py"
    seeds = [CHECK.match(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    points, by_hand = sum(task.points for task in tasks), sum(task.by_hand for task in tasks)
    listed = {
        "assignment": chapter.slug,
        "notebook": name,
        "points": points,
        "by_hand": by_hand,
        "exercises": [vars(task) for task in tasks],
    }
    readme = README.format(
        title=f"Exercises {int(chapter.number)}: {chapter.title}",
        exercises=len(tasks),
        minutes=sum(task.minutes for task in tasks),
        points=points,
        by_hand=f", of which {by_hand} for derivations, read by a person" if by_hand else "",
        rows="\n".join(f"| `{t.id}` | {t.tier} | {t.minutes} | {t.points} | {t.teaches} |" for t in tasks),
        notebook=name,
        test=test,
    )
    made = {
        name: dumps(notebook),
        test: TEST.format(
            notebook=name,
            test=test,
            seeds="\n".join(f'    "{found[1]}": {found[3] or 0},' for found in seeds if found),
        ),
        "points.json": json.dumps(listed, indent=1, ensure_ascii=False) + "\n",
        "README.md": readme,
    }
    return {f"{chapter.slug}/{path}": content for path, content in made.items()}
