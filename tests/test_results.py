"""`record` prints a line and leaves data; it refuses what is no result."""

import math

import nbformat
import pytest

from utils.course.execute import recorded
from utils.results import MIME, record, record_table
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


def test_several_numbers_are_one_table_and_each_is_kept_as_data(tmp_path):
    import nbclient

    code = """
from utils.results import record, record_table

with record_table("On <test> images"):
    record("mixture_nll", 136.98, unit="nats")
    record("vae_nll", 97.2, unit="nats", kind="estimate", low=96.9, high=97.5)
record("after", 1.0)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    table, single = notebook.cells[0].outputs
    assert table.output_type == "display_data"
    assert [result["key"] for result in recorded(notebook)] == ["mixture_nll", "vae_nll", "after"]
    assert recorded(notebook)[1] == {
        "key": "vae_nll", "value": 97.2, "low": 96.9, "high": 97.5, "unit": "nats", "kind": "estimate",
    }  # fmt: skip
    html = table.data["text/html"]
    assert html.count("<tr>") == 3 and html.count("<th>") == 5 and html.count("<td>") == 10
    for shown in ("<b>On &lt;test&gt; images</b>", "<td>mixture nll</td>", "<td>136.98</td>", "<td>estimate</td>"):
        assert shown in html
    assert table.data["text/plain"].splitlines()[2].split() == ["mixture", "nll", "136.98", "nats", "exact"]
    assert single.data["text/plain"] == "after = 1 (exact)", "the table is closed"
    nbformat.validate(notebook)
    assert recorded(nbformat.reads(nbformat.writes(notebook), as_version=4)) == recorded(notebook)


def test_a_column_without_entries_is_left_out(capsys):
    with record_table():
        record("largest_gap", 0.25, kind="score")
    assert capsys.readouterr().out == "result       value  kind\nlargest gap  0.25   score\n"


def test_a_table_shows_what_came_before_an_error_and_holds_no_other_table(capsys):
    with pytest.raises(ZeroDivisionError), record_table():
        record("before", 1.0)
        record("never", 1 / 0)
    assert "before" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="cannot hold another one"), record_table(), record_table():
        pass
    record("after", 1.0)
    assert capsys.readouterr().out == "after = 1 (exact)\n"
    with record_table():
        pass
    assert capsys.readouterr().out == "", "an empty table shows nothing"


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
