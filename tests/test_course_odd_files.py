"""Whatever lies in the course's files, a command ends in a sentence and never in a traceback, and loses nothing."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from tiny_course import HEADER, LESSON, SOLUTION

from utils.course.cli import main

CELL = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [], "execution_count": None, "id": "a"}
WHOLE = {"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def changed(**fields) -> bytes:
    return json.dumps(WHOLE | fields).encode()


ODD = {
    "empty": b"",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "an object": b"{}",
    "half of one": changed()[:60],
    "not text": b"\xff\xfe\x00{",
    "zeros": bytes(100),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "Latin-1": '{"cells": "é"}'.encode("latin-1"),
    "UTF-16": json.dumps(WHOLE).encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf" + changed(),
    "format 3": b'{"worksheets": [{"cells": []}], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}',
    "format 99": changed(nbformat=99),
    "no format": json.dumps({"cells": [], "metadata": {}}).encode(),
    "cells are a text": changed(cells="none"),
    "cells are null": changed(cells=None),
    "a cell is null": changed(cells=[None]),
    "a cell without a type": changed(cells=[{"source": "1", "metadata": {}}]),
    "a cell of an unknown type": changed(cells=[CELL | {"cell_type": "drawing"}]),
    "a cell without metadata": changed(cells=[{"cell_type": "code", "source": "1", "outputs": []}]),
    "a source of lines": changed(cells=[CELL | {"source": ["a = 1\n", "b = 2"]}]),
    "a source that is a number": changed(cells=[CELL | {"source": 3}]),
    "outputs are null": changed(cells=[CELL | {"outputs": None}]),
    "an output is a text": changed(cells=[CELL | {"outputs": ["passed"]}]),
    "an output without data": changed(cells=[CELL | {"outputs": [{"output_type": "display_data", "metadata": {}}]}]),
    "data is a list": changed(
        cells=[CELL | {"outputs": [{"output_type": "display_data", "data": ["x"], "metadata": {}}]}]
    ),
    "tags are null": changed(cells=[CELL | {"metadata": {"tags": None}}]),
    "an exercise is a text": changed(cells=[CELL | {"metadata": {"exercise": "tiny.half"}}]),
    "metadata is a list": changed(metadata=[]),
    "two ids alike": changed(cells=[CELL, CELL]),
    "deep": b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a verdict that is no verdict": changed(
        cells=[
            CELL
            | {
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"application/vnd.course.check+json": [1, 2]},
                    }
                ]
            }
        ]
    ),
}


@pytest.fixture
def tiny(synced, tmp_path):
    root = tmp_path / "course"
    shutil.copytree(synced, root)
    return root


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command in this process: status and what it said. Any exception but an exit is the traceback we fear."""

    def run(root, *arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("COURSE_ROOT", str(root))
        monkeypatch.setattr(sys, "argv", ["course", *arguments])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        told = capsys.readouterr()
        return status, told.out + told.err

    return run


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_notebook_in_the_students_folder(tiny, command, kind):
    assert command(tiny, "start")[0] == 0
    notebook = tiny / "work" / "01_tiny" / "exercises.ipynb"
    notebook.write_bytes(ODD[kind])
    for verb in ("list", "start"):
        status, told = command(tiny, verb)
        assert status == 0 and "Traceback" not in told, told
    assert notebook.read_bytes() == ODD[kind]


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("which", ["lesson", "exercises"])
def test_an_odd_notebook_of_the_course(tiny, command, kind, which):
    notebook = tiny / "chapters" / "01_tiny" / f"{which}.ipynb"
    notebook.write_bytes(ODD[kind])
    status, told = command(tiny, "sync", "--check")
    assert status == 1 and told.strip(), told
    for verb in (["results"], ["exercises"], ["list"], ["start"], ["run", "01", "-p", "no=1"]):
        status, told = command(tiny, *verb)
        assert status in (0, 1) and "Traceback" not in told
        assert status == 0 or "course:" in told, told
    assert notebook.read_bytes() == ODD[kind]


TEXTS = {
    "not Python": HEADER + LESSON + "\nif :\n",
    "half a string": HEADER + LESSON + '\nx = "half\n',
    "two cells of parameters": HEADER + LESSON + '\n# %% tags=["parameters"]\nmore = 1\n',
    "no cell of parameters": HEADER + LESSON.replace('tags=["parameters"]', ""),
    "a derived parameter": HEADER + LESSON.replace("steps = 3", "steps = 3 * 4"),
    "a parameter that is no Python": HEADER + LESSON.replace("steps = 3", "steps = "),
    "a marker that is not closed": HEADER + LESSON + '\n# %% tags=["parameters"\nmore = 1\n',
}


@pytest.mark.parametrize("kind", TEXTS)
def test_an_odd_text_of_a_lesson_is_refused_before_it_is_executed(tiny, command, kind):
    text = tiny / "chapters" / "01_tiny" / "lesson.py"
    before = text.with_suffix(".ipynb").read_bytes()
    text.write_text(TEXTS[kind], encoding="utf-8")
    status, told = command(tiny, "sync")
    assert status == 1 and "course:" in told and "lesson.py" in told, told
    assert text.read_text(encoding="utf-8") == TEXTS[kind] and text.with_suffix(".ipynb").read_bytes() == before
    status, told = command(tiny, "sync", "--check")
    assert status == 1, told


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "# é\n".encode("latin-1")])
@pytest.mark.parametrize("path", ["chapters/01_tiny/lesson.py", "solutions/01_tiny/exercises.py"])
def test_a_text_in_another_encoding_is_named(tiny, command, content, path):
    (tiny / path).write_bytes(content)
    for verb in (["sync"], ["sync", "--check"]):
        status, told = command(tiny, *verb)
        assert status == 1 and path in told and "UTF-8" in told, told


SOLUTIONS = {
    "a marker without points": SOLUTION.replace(', "points": 1', ""),
    "a region that never ends": SOLUTION.replace("    ### END SOLUTION\n", ""),
    "no region": SOLUTION.replace("    ### END SOLUTION\n", "").replace("    ### BEGIN SOLUTION\n", ""),
    "not Python": SOLUTION + "\nif :\n",
    "minutes are a text": SOLUTION.replace('"minutes": 5', '"minutes": "five"'),
}


@pytest.mark.parametrize("kind", SOLUTIONS)
def test_an_odd_text_of_solutions_is_refused(tiny, command, kind):
    (tiny / "solutions" / "01_tiny" / "exercises.py").write_text(HEADER + SOLUTIONS[kind], encoding="utf-8")
    for verb in (["sync"], ["sync", "--check"]):
        status, told = command(tiny, *verb)
        assert status == 1 and "exercises.py" in told, told


REGISTERS = {
    "empty": "",
    "not TOML": "[[parts",
    "parts are a text": 'parts = "none"',
    "a part is a text": 'parts = ["none"]',
    "chapters are a text": '[[parts]]\ntitle = "A"\nchapters = "01_tiny"\n',
    "a chapter is a number": '[[parts]]\ntitle = "A"\nchapters = [1]\n',
    "a chapter without a folder": '[[parts]]\ntitle = "A"\nchapters = ["01_tiny", "02_none"]\n',
    "two numbers alike": '[[parts]]\ntitle = "A"\nchapters = ["01_tiny", "01_none"]\n',
}
CHAPTERS = {
    "empty": "",
    "not TOML": "title",
    "minutes are a text": 'title = "T"\npromise = "P"\nminutes = "five"\nbudget = 60\n',
    "a budget of zero": 'title = "T"\npromise = "P"\nminutes = 5\nbudget = 0\n',
    "a title that is a number": 'title = 1\npromise = "P"\nminutes = 5\nbudget = 60\n',
    "results are a list": 'title = "T"\npromise = "P"\nminutes = 5\nbudget = 60\nresults = [1]\n',
    "an interval is a number": 'title = "T"\npromise = "P"\nminutes = 5\nbudget = 60\n[results]\nhalf = 1\n',
    "an end is a text": 'title = "T"\npromise = "P"\nminutes = 5\nbudget = 60\n[results]\nhalf = {low = "a"}\n',
    "needs a chapter that is none": 'title = "T"\npromise = "P"\nminutes = 5\nbudget = 60\nneeds = ["99"]\n',
    "needs are a text": 'title = "T"\npromise = "P"\nminutes = 5\nbudget = 60\nneeds = "01"\n',
}


@pytest.mark.parametrize(
    ("path", "text"),
    [pytest.param("chapters/course.toml", text, id=f"register, {kind}") for kind, text in REGISTERS.items()]
    + [pytest.param("chapters/01_tiny/chapter.toml", text, id=f"chapter, {kind}") for kind, text in CHAPTERS.items()],
)
def test_an_odd_register_is_an_error_with_the_file(tiny, command, path, text):
    (tiny / path).write_text(text, encoding="utf-8")
    for verb in (["list"], ["sync", "--check"], ["start", "01"], ["results"]):
        status, told = command(tiny, *verb)
        assert status == 1 and "course:" in told and path.split("/")[-1] in told, (verb, told)


@pytest.mark.parametrize(
    "arguments",
    [
        ["start", ""],
        ["start", "04"],
        ["start", "01", "01", "nonsense"],
        ["run", "01", "-p", "=1"],
        ["run", "01", "-p", "steps="],
        ["run", "01", "-p", "steps=__import__('os')"],
        ["run", "01", "--out", "/dev/null"],
        ["new", "1_short"],
        ["new", "01_tiny"],
        ["new", "02_Große"],
        ["new", "02_two words"],
        ["new", "02_import"],
        ["release", "01", "--to", "/dev/null/x"],
        ["release", "01", "--to", "out", "--only", "nothing"],
        ["release", "01", "--to", "out", "--without", "no.such"],
        ["release", "01", "--to", "out", "--format", "pdf"],
        ["grade", "no/such/folder"],
        ["grade", "/dev/null"],
        ["test", "--since", "no-such-commit"],
        ["test", "99"],
        ["results", "99"],
        ["exercises", "99"],
    ],
    ids=" ".join,
)
def test_odd_arguments_end_in_a_sentence(tiny, command, monkeypatch, arguments):
    monkeypatch.chdir(tiny)
    status, told = command(tiny, *arguments)
    assert status == 1 and "course:" in told, told
