"""`record` prints a line and leaves data; it refuses what is no result."""

import math

import nbformat
import pytest

from utils.course.execute import recorded
from utils.results import MIME, record
from utils.results import recorded as recorded_in


def test_in_a_notebook_the_number_is_kept_as_data(tmp_path):
    import nbclient

    code = "from utils.results import record\n\nrecord('nll', 2.5, unit='nats', kind='estimate', low=2.0, high=3.0)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    [output] = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"] == "nll = 2.5 nats (estimate, between 2 and 3)"
    expected = {"key": "nll", "value": 2.5, "low": 2.0, "high": 3.0, "unit": "nats", "kind": "estimate"}
    assert output.data[MIME] == expected
    assert recorded(notebook) == [expected]


def test_outside_of_a_notebook_it_prints(capsys):
    record("error", 0.25, kind="score")
    assert capsys.readouterr().out == "error = 0.25 (score)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": math.nan}, "must be a finite number"),
        ({"value": math.inf}, "must be a finite number"),
        ({"value": 1.0, "kind": "guess"}, "expected one of exact, bound, estimate, score"),
        ({"value": 1.0, "kind": "estimate"}, "needs both low= and high="),
        ({"value": 1.0, "kind": "score", "low": 0.0}, "needs both low= and high="),
        ({"value": 1.0, "kind": "estimate", "low": 2.0, "high": 3.0}, "outside of its own interval"),
    ],
)
def test_what_is_no_result_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        record("key", **arguments)


def test_a_chapter_reads_what_another_one_recorded(repository):
    from utils.course.notebooks import read

    notebook = read(repository / "chapters" / "04_gaussian_mixtures" / "lesson.ipynb")
    assert list(recorded_in("04").values()) == recorded(notebook)
    with pytest.raises(ValueError, match=r"no chapter '4': expected one of 01, 02"):
        recorded_in("4")
