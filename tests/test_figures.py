"""Every figure of the course says in words what it shows, and is drawn apart from what it draws."""

from __future__ import annotations

import ast
import symtable
from pathlib import Path

import pytest

from utils.course.notebooks import from_text, read

ROOT = Path(__file__).parents[1]
TEXTS = sorted(
    path
    for path in [*ROOT.glob("chapters/**/*.py"), *ROOT.glob("solutions/**/*.py")]
    if "# %%" in path.read_text(encoding="utf-8")
)
# What computes has no place in a cell that is collapsed because it only draws.
COMPUTES = {"record", "fit", "sample", "print", "manual_seed", "backward", "rand", "randn", "randint", "randperm"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_cells(path: Path) -> list:
    cells = from_text(path.read_text(encoding="utf-8")).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def calls(source: str) -> list[str]:
    """The names of all functions that a cell calls, without what they belong to."""
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [getattr(function, "attr", getattr(function, "id", "")) for function in called]


def is_hidden(cell) -> bool:
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def alternative_texts(notebook) -> list[str]:
    """Of each picture in the notebook's outputs, in order; empty where there is none."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [
        output.get("metadata", {}).get("image/png", {}).get("alt", "")
        for output in outputs
        if "image/png" in output.get("data", {})
    ]


def test_there_are_texts_to_look_at():
    assert len(TEXTS) >= 20


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_a_figure_is_shown_by_its_caption_alone(path):
    for cell in code_cells(path):
        called = calls(cell.source)
        assert "plt.show(" not in cell.source, f"plt.show() without caption:\n{cell.source}"
        figures = sum(called.count(kind) for kind in ("subplots", "subplot_mosaic"))
        assert figures <= called.count("caption"), f"a figure without a caption:\n{cell.source}"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_a_cell_that_draws_is_collapsed_and_computes_nothing(path):
    for cell in code_cells(path):
        defines = any(isinstance(node, ast.FunctionDef) for node in ast.parse(cell.source).body)
        if "caption" in calls(cell.source) and not defines:
            assert is_hidden(cell), f"computes and draws, or is not collapsed:\n{cell.source}"
        if is_hidden(cell):
            assert "caption" in calls(cell.source), f"collapsed, but draws nothing:\n{cell.source}"
            assert not COMPUTES & set(calls(cell.source)), f"collapsed, but computes:\n{cell.source}"
            assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_picture_of_a_committed_notebook_has_an_alternative_text(path):
    notebook = read(path.with_suffix(".ipynb"))
    texts = alternative_texts(notebook)
    assert all(texts), (
        f"{texts.count('')} of {len(texts)} pictures have no alternative text: show them with caption(...)"
    )
    drawn = sum("caption" in calls(cell.source) for cell in code_cells(path) if is_hidden(cell))
    assert len(texts) >= (drawn if "solutions" in path.parts or not path.stem.endswith("exercises") else 0)


def test_a_picture_without_alternative_text_is_seen():
    import nbformat

    with_text = {"image/png": {"alt": "A line."}}
    outputs = [
        nbformat.v4.new_output("display_data", data={"image/png": "iVBORw0KGgo="}, metadata=about)
        for about in (with_text, {})
    ]
    assert alternative_texts(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs)])) == [
        "A line.",
        "",
    ]


def global_names(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell reads, also inside of functions, and those that it binds."""
    table, read_, waiting = symtable.symtable(source, "cell", "exec"), set(), []
    bound = {
        one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported() or one.is_namespace()
    }
    read_ |= {one.get_name() for one in table.get_symbols() if one.is_referenced()}
    waiting += table.get_children()
    while waiting:
        inner = waiting.pop()
        read_ |= {one.get_name() for one in inner.get_symbols() if one.is_global() and one.is_referenced()}
        waiting += inner.get_children()
    return read_, bound


def overwritten(cells: list) -> set[str]:
    """The names that a collapsed cell took from an earlier cell and that a later cell reads."""
    binder: dict[str, bool] = {}  # name → whether a collapsed cell bound it over that of another
    lost = set()
    for cell in cells:
        read_, bound = global_names(cell.source)
        lost |= {one for one in read_ - bound if binder.get(one)}
        for one in bound:
            binder[one] = is_hidden(cell) and one in binder
    return lost


@pytest.mark.parametrize("path", [path for path in TEXTS if path.name == "lesson.py"], ids=name)
def test_drawing_takes_no_name_that_is_still_needed(path):
    assert not overwritten(code_cells(path)), "a cell that only draws gives these names another meaning: rename them"


def test_a_name_that_drawing_takes_is_found():
    hidden = '# %% jupyter={"source_hidden": true}\n'
    texts = ["# %%\npaths = 500\n", hidden + "for paths in (1, 2): pass\n", "# %%\ndef f(): return paths\n"]
    assert overwritten(from_text("\n".join(texts)).cells) == {"paths"}
    texts[1] = hidden + "for six in (1, 2): pass\n"
    assert not overwritten(from_text("\n".join(texts)).cells)
