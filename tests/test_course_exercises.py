"""Exercises are made from solutions exactly, and every malformed solution is an error with file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_course import HEADER, SOLUTION

from utils.course import CourseError
from utils.course.exercises import Exercise, exercises_of, generate
from utils.course.notebooks import from_text, to_text

FILE = Path("solutions/01_tiny/exercises.py")
MARKER = '# %% exercise={"id": "tiny.half", "tier": "core", "minutes": 5, "points": 1}'
BODY = "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION\n"
CHECK = '# %%\ncheck("tiny.half", half)\n'


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_region_becomes_one_raise_and_nothing_else_changes():
    text = HEADER + SOLUTION
    made = to_text(generate(text, None, FILE))
    assert 'raise NotImplementedError("tiny.half")' in made
    before = text.replace("    half_of_it = x / 2\n    return half_of_it\n", "").splitlines()
    kept = [line for line in before if "SOLUTION" not in line]
    kept = kept[: kept.index('# %% tags=["solution"]')]
    added = ('    raise NotImplementedError("tiny.half")', "# tiny.half · core · 5 minutes · 1 point")
    assert [line for line in made.splitlines() if line and line not in added] == [line for line in kept if line]
    assert all(made.splitlines().count(line) == 1 for line in added)


def test_regions_inside_of_a_class_keep_their_indentation():
    body = (
        "class Half:\n    def __call__(self, x):\n        ### BEGIN SOLUTION\n        return x / 2\n"
        "        ### END SOLUTION\n\n    def twice(self, x):\n        ### BEGIN SOLUTION\n        return x\n"
        "        ### END SOLUTION\n\n\nhalf = Half()\n"
    )
    made = generate(f"{HEADER}{MARKER}\n{body}\n{CHECK}", None, FILE)
    assert made.cells[0].source.count('        raise NotImplementedError("tiny.half")') == 2
    assert made.cells[0].source.endswith("half = Half()")


def test_the_marker_is_kept_and_read():
    made = generate(HEADER + SOLUTION, None, FILE)
    assert exercises_of(made) == [Exercise("tiny.half", "core", 5, 1)]


def test_a_solution_cell_is_dropped_and_its_figures_stay():
    solved = from_text(HEADER + SOLUTION)
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0K\nGgo=\n"}}
    solved.cells[-1].outputs = [output, {"output_type": "stream", "name": "stdout", "text": "a secret"}]
    made = generate(HEADER + SOLUTION, solved, FILE)
    assert made.cells[-1].cell_type == "markdown"
    assert made.cells[-1].attachments == {"target.png": {"image/png": "iVBORw0KGgo="}}
    assert "attachment:target.png" in made.cells[-1].source
    assert "pixel" not in to_text(made)
    assert "a secret" not in str(made)


def test_the_picture_to_reach_has_the_caption_of_the_figure():
    solved = from_text(HEADER + SOLUTION)
    about = {"image/png": {"alt": "Values in [0, 1]."}}
    solved.cells[-1].outputs = [
        {"output_type": "display_data", "metadata": about, "data": {"image/png": "iVBORw0KGgo="}}
    ]
    made = generate(HEADER + SOLUTION, solved, FILE)
    assert "![Values in 0, 1.](attachment:target.png)" in made.cells[-1].source
    assert made.cells[-1].source.endswith("*Values in [0, 1].*")


def test_generation_is_repeatable_and_keeps_the_ids_of_the_solution():
    solved = from_text(HEADER + SOLUTION)
    for number, cell in enumerate(solved.cells):
        cell["id"] = f"given-{number}"
    first, second = (generate(HEADER + SOLUTION, solved, FILE) for _ in range(2))
    assert first == second
    assert [cell["id"] for cell in first.cells] == [f"given-{number}" for number in range(4)]


def test_outputs_of_the_solution_do_not_reach_the_exercise():
    solved = from_text(HEADER + SOLUTION)
    solved.cells[1].outputs = [{"output_type": "stream", "name": "stdout", "text": "0.5"}]
    solved.cells[1].execution_count = 1
    made = generate(HEADER + SOLUTION, solved, FILE)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in made.cells if cell.cell_type == "code")


def marker(**changes) -> str:
    fields = {"id": "tiny.half", "tier": "core", "minutes": 5, "points": 1} | changes
    return "# %% exercise=" + json.dumps({name: value for name, value in fields.items() if value is not None})


def task(**changes) -> str:
    return f"{marker(**changes)}\n{BODY}\n{CHECK}"


TWICE = f"{MARKER}\n{BODY}\n{CHECK}\n"
FAULTS = {
    "no end": (TWICE.replace("    ### END SOLUTION\n", ""), "BEGIN SOLUTION", "without `### END SOLUTION`"),
    "no begin": (TWICE.replace("    ### BEGIN SOLUTION\n", ""), "END SOLUTION", "without `### BEGIN SOLUTION`"),
    "nested": (
        TWICE.replace("    return", "        ### BEGIN SOLUTION\n    return"),
        "        ### BEGIN SOLUTION",
        "a second `### BEGIN SOLUTION`",
    ),
    "no region": (f"{MARKER}\ndef half(x):\n    return x / 2\n\n{CHECK}", MARKER, "nothing is left to do"),
    "region elsewhere": (f"# %%\n{BODY}", "BEGIN SOLUTION", "outside of an exercise cell"),
    "region in markdown": ("# %% [markdown]\n# ### BEGIN SOLUTION\n", "BEGIN SOLUTION", "outside of an exercise cell"),
    "misspelt border": (TWICE.replace("### BEGIN", "## BEGIN"), "## BEGIN SOLUTION", "almost a border"),
    "small letters": (TWICE.replace("### END SOLUTION", "### end solution"), "### end solution", "almost a border"),
    "malformed json": (TWICE.replace('"points": 1}', '"points": 1'), MARKER[:30], "malformed"),
    "missing field": (task(points=None), "# %% ", "misses ['points']"),
    "unknown field": (task(color=3), "# %% ", "unknown ['color']"),
    "not a table": (f'# %% exercise="tiny.half"\n{BODY}\n{CHECK}', "# %% ", "misses"),
    "unknown tier": (task(tier="hard"), "# %% ", "expected one of core, extend, challenge"),
    "minutes as text": (task(minutes="5"), "# %% ", "expected a positive whole number"),
    "no points": (task(points=0), "# %% ", "expected a positive whole number"),
    "bad id": (task(id="Half"), "# %% ", "expected family.function"),
    "no check": (f"{MARKER}\n{BODY}", MARKER, "no cell with check("),
    "invalid stub": (TWICE.replace("def half(x):", "def half(x)"), MARKER, "no valid Python"),
    "exercise and solution": (
        TWICE.replace("exercise=", 'tags=["solution"] exercise='), "# %% ", "would be dropped"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_file_and_line(fault):
    body, place, message = FAULTS[fault]
    text = HEADER + body
    with pytest.raises(CourseError) as error:
        generate(text, None, FILE)
    assert f"{FILE}:{line_of(text, place)}: " in str(error.value)
    assert message in str(error.value)


def test_a_duplicate_id_names_both_places():
    text = HEADER + TWICE + TWICE
    with pytest.raises(CourseError, match=r"py:\d+: the id 'tiny.half' is taken by the exercise in line \d+"):
        generate(text, None, FILE)
