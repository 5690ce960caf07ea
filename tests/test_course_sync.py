"""`course sync`: text to notebook, one way, and nothing that a person wrote is lost."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import pytest
from nbformat.v4 import new_output
from tiny_course import HEADER, LESSON, SOLUTION, add_chapter, command, course, environment

from utils.course import CourseError
from utils.course.files import write
from utils.course.notebooks import dumps, from_text, read, smaller, to_text, update
from utils.course.register import Register
from utils.course.sync import format_text, format_texts, problems, sync

pytestmark = pytest.mark.usefixtures("warm_command")


@pytest.fixture
def tiny(synced, tmp_path):
    """A copy of it, to change."""
    root = tmp_path / "course"
    subprocess.run(["cp", "-r", str(synced), str(root)], check=True)
    return root


def run_sync(root, **options) -> list[str]:
    register = Register(root)
    return list(sync(register, register.chapters, **options))


def edit(path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def state(root) -> dict:
    return {path.name: path.read_bytes() for path in root.rglob("*.*") if path.is_file() and "work" not in path.parts}


# --- text and notebook


def test_text_survives_the_way_through_a_notebook_and_back():
    text = format_text(HEADER + SOLUTION)
    assert format_text(to_text(from_text(text))) == text


def test_an_edited_cell_keeps_the_ids_of_the_others_and_loses_its_output():
    old = from_text(HEADER + LESSON)
    for number, cell in enumerate(old.cells):
        cell["id"] = f"kept-{number}"
    old.cells[2].outputs = [{"output_type": "stream", "name": "stdout", "text": "0.5"}]
    new = update((HEADER + LESSON).replace("whole / 2", "whole / 4").replace("# # Tiny", "# # Tiny\n# new words"), old)
    assert [cell["id"] for cell in new.cells] == ["kept-0", "kept-1", "kept-2"]
    assert new.cells[2].outputs == []
    same = update(HEADER + LESSON, old)
    assert same.cells[2].outputs == old.cells[2].outputs


def test_a_new_cell_gets_an_id_of_its_own_and_the_same_one_each_time():
    old = from_text(HEADER + LESSON)
    text = HEADER + LESSON + "\n# %%\nprint('more')\n\n# %%\nprint('more')\n"
    first, second = ([cell["id"] for cell in update(text, old).cells] for _ in range(2))
    assert first == second
    assert len(set(first)) == 5
    assert first[:3] == [cell["id"] for cell in old.cells]


def test_write_replaces_at_once_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "file"
    assert write(path, "new")
    assert not write(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


# --- sync


def test_after_sync_nothing_is_out_of_step_and_a_second_one_changes_nothing(tiny):
    before = state(tiny)
    assert list(problems(Register(tiny))) == []
    assert all(line.endswith("up to date") for line in run_sync(tiny))
    assert state(tiny) == before


def test_the_lesson_is_executed_and_clean(tiny):
    notebook = read(tiny / "chapters" / "01_tiny" / "lesson.ipynb")
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == [1, 2]
    assert all(set(cell.metadata) <= {"tags", "exercise"} for cell in notebook.cells)
    assert "version" not in notebook.metadata.language_info
    assert notebook.metadata.course.seconds > 0 and notebook.metadata.course.memory_mb > 0


def test_the_exercise_has_the_picture_of_the_solution_and_no_outputs(tiny):
    notebook = read(tiny / "chapters" / "01_tiny" / "exercises.ipynb")
    assert "target.png" in notebook.cells[-1].attachments
    assert all(cell.outputs == [] for cell in notebook.cells if cell.cell_type == "code")


def test_only_what_changed_is_executed(tiny):
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "whole / 2", "whole * 0.5")
    lines = run_sync(tiny)
    assert [line for line in lines if "executed" in line] == [lines[0]]
    assert "chapters/01_tiny/lesson.ipynb: executed" in lines[0]
    assert "solutions/01_tiny/exercises.ipynb: up to date" in lines


def test_new_words_reach_the_notebook(tiny):
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "# # Tiny", "# # Tiny words")
    run_sync(tiny)
    assert read(tiny / "chapters" / "01_tiny" / "lesson.ipynb").cells[0].source == "# Tiny words"
    assert list(problems(Register(tiny))) == []


def test_a_lesson_that_fails_changes_nothing_and_says_where(tiny):
    before = (tiny / "chapters" / "01_tiny" / "lesson.ipynb").read_bytes()
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "whole / 2", "whole / 0")
    with pytest.raises(CourseError, match=r"01_tiny failed, cell 3: .*\nZeroDivisionError.*\n.*work/runs/01_tiny"):
        run_sync(tiny)
    assert (tiny / "chapters" / "01_tiny" / "lesson.ipynb").read_bytes() == before


def test_a_malformed_solution_is_refused_before_anything_is_executed(tiny):
    edit(tiny / "solutions" / "01_tiny" / "exercises.py", "    ### END SOLUTION\n", "")
    done = course(tiny, "sync", "01")
    assert done.returncode == 1
    assert "solutions/01_tiny/exercises.py:" in done.stderr and "without `### END SOLUTION`" in done.stderr


def test_an_id_taken_by_another_chapter_is_refused_with_both_places(tiny):
    add_chapter(tiny, "02_more", "More")
    with pytest.raises(CourseError, match=r"02_more/exercises.py:(\d+): .* taken by .* 01_tiny/exercises.py:\1"):
        run_sync(tiny)
    assert not (tiny / "chapters" / "02_more" / "lesson.ipynb").exists()


# --- edits by hand


def edit_notebook(path, before: str, after: str) -> None:
    notebook = read(path)
    for cell in notebook.cells:
        cell.source = cell.source.replace(before, after)
    path.write_text(dumps(notebook))


def test_a_notebook_edited_by_hand_is_refused_with_its_differences(tiny):
    edit_notebook(tiny / "chapters" / "01_tiny" / "lesson.ipynb", "whole / 2", "whole / 2.0")
    before = state(tiny)
    done = course(tiny, "sync")
    assert done.returncode == 1
    assert "chapters/01_tiny/lesson.ipynb was edited by hand" in done.stderr
    assert '-record("half", whole / 2,' in done.stderr and '+record("half", whole / 2.0,' in done.stderr
    assert "--take-notebook" in done.stderr
    assert "Traceback" not in done.stderr
    assert state(tiny) == before
    assert any("differ" in line for line in problems(Register(tiny)))


def test_take_notebook_brings_the_edit_into_the_text_and_keeps_the_old_text(tiny):
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "# # Tiny", "# # Tiny text, edited too")
    edit_notebook(tiny / "chapters" / "01_tiny" / "lesson.ipynb", "whole / 2", "whole / 2.0")
    lines = run_sync(tiny, take_notebook=True)
    text = (tiny / "chapters" / "01_tiny" / "lesson.py").read_text()
    assert "whole / 2.0" in text
    assert list(problems(Register(tiny))) == []
    [kept] = re.findall(r"lies in (\S+)", "\n".join(lines))
    assert "Tiny text, edited too" in (tiny / kept).read_text()


def test_an_edit_made_in_both_is_no_conflict(tiny):
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "# # Tiny", "# # Tiny too")
    edit_notebook(tiny / "chapters" / "01_tiny" / "lesson.ipynb", "# Tiny", "# Tiny too")
    run_sync(tiny)
    assert list(problems(Register(tiny))) == []


@pytest.mark.parametrize("name", ["exercises.ipynb", "exercises.py"])
def test_an_edited_exercise_is_refused_since_it_is_generated(tiny, name):
    path = tiny / "chapters" / "01_tiny" / name
    edit_notebook(path, "Half of x", "Half") if name.endswith("ipynb") else edit(path, "Half of x", "Half")
    before = state(tiny)
    with pytest.raises(CourseError, match="make the edit there"):
        run_sync(tiny)
    assert state(tiny) == before


# --- what editors and git leave behind


def raw(path) -> dict:
    return json.loads(path.read_text())


def test_a_notebook_without_ids_is_given_some_and_keeps_its_outputs(tiny):
    path = tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    before = read(path)
    for minor in (4, 5):
        notebook = raw(path)
        notebook["nbformat_minor"] = minor
        for cell in notebook["cells"]:
            cell.pop("id")
        path.write_text(json.dumps(notebook))
        assert "executed" not in "\n".join(run_sync(tiny))
        assert [cell.get("outputs") for cell in read(path).cells] == [cell.get("outputs") for cell in before.cells]
        assert all(cell["id"] for cell in raw(path)["cells"]) and raw(path)["nbformat_minor"] == 5
        assert list(problems(Register(tiny))) == []


def test_line_ends_of_windows_and_a_byte_order_mark_are_no_edit(tiny):
    before = state(tiny)
    for path in (tiny / "chapters" / "01_tiny" / "lesson.ipynb", tiny / "solutions" / "01_tiny" / "exercises.ipynb"):
        notebook = raw(path)
        for cell in notebook["cells"]:
            cell["source"] = [line.replace("\n", "\r\n") for line in cell["source"]]
        path.write_bytes(b"\xef\xbb\xbf" + json.dumps(notebook).encode())
        text = path.with_suffix(".py")
        text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    assert "executed" not in "\n".join(run_sync(tiny))
    assert state(tiny) == before


CONFLICT = """{
 "cells": [
<<<<<<< HEAD
  {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["ours"]}
=======
  {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["theirs"]}
>>>>>>> branch
 ],
"""


def test_a_merge_conflict_in_a_notebook_is_called_one(tiny):
    path = tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    path.write_text(CONFLICT)
    for arguments in (("sync",), ("sync", "--check")):
        done = course(tiny, *arguments)
        assert done.returncode == 1
        assert f"{path} holds a merge conflict, beginning in line 3" in done.stderr
        assert f"git checkout --ours -- {path}" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_merge_conflict_in_a_text_is_found_with_file_and_line(tiny):
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "# %%\nfrom", "<<<<<<< HEAD\n# %%\nfrom")
    with pytest.raises(CourseError, match=r"(?s)ruff cannot format.*chapters/01_tiny/lesson.py:\d+"):
        run_sync(tiny)


@pytest.mark.parametrize("content", ["[]", "3", "", '{"cells": 3, "nbformat": 4, "nbformat_minor": 5}', "\xff"])
def test_what_is_no_notebook_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(CourseError, match=r"x.ipynb is not a notebook"):
        read(path)


def test_the_name_of_another_kernel_does_not_matter(tiny):
    path = tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    before = path.read_bytes()
    notebook = raw(path)
    notebook["metadata"]["kernelspec"] = {"name": "conda-env-x", "display_name": "x", "language": "python"}
    path.write_text(json.dumps(notebook))
    done = course(tiny, "run", "01")
    assert done.returncode == 0, done.stderr
    assert any("its kernel is not python3" in line for line in problems(Register(tiny)))
    run_sync(tiny)
    assert raw(path)["metadata"]["kernelspec"] == json.loads(before)["metadata"]["kernelspec"]


def test_texts_are_formatted_together():
    texts = {"a/one.py": "x  =  1\n", "b/one.py": "y = 'a'\n"}
    assert format_texts(texts) == {"a/one.py": "x = 1\n", "b/one.py": 'y = "a"\n'}
    with pytest.raises(CourseError, match=r"b/one\.py:1"):
        format_texts(texts | {"b/one.py": "y = = 2\n"})


# --- interrupted


def whole(root) -> None:
    """Every text and notebook of the course can be read."""
    for path in [*root.glob("chapters/*/*"), *root.glob("solutions/*/*")]:
        assert path.suffix in (".py", ".ipynb", ".toml", ".md"), f"{path.name} was left behind"
        if path.suffix == ".ipynb":
            assert read(path).cells
        elif path.suffix == ".py":
            assert from_text(path.read_text()).cells


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_a_killed_sync_leaves_every_file_whole(tiny, seconds):
    edit(tiny / "chapters" / "01_tiny" / "lesson.py", "whole / 2", "whole  *  0.5")
    edit(tiny / "solutions" / "01_tiny" / "exercises.py", "x / 2", "x * 0.5")
    process = subprocess.Popen(command("sync", "--force"), env=environment(tiny), stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole(tiny)
    run_sync(tiny)
    assert list(problems(Register(tiny))) == []


# --- what `make test` finds


FAULTS = {
    "an error in its output": new_output("error", ename="E", evalue="", traceback=[]),
    "a message on stderr": new_output("stream", name="stderr", text="careful"),
    "a bare expression": new_output("execute_result", execution_count=2, data={"text/plain": "2"}),
    "an absolute path": new_output("stream", name="stdout", text="in /" + "home/ada/data"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unclean_notebook_is_found(tiny, fault):
    path = tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    notebook = read(path)
    notebook.cells[-1].outputs = [FAULTS[fault]]
    path.write_text(dumps(notebook))
    assert any("chapters/01_tiny/lesson.ipynb, cell 3" in line and fault in line for line in problems(Register(tiny)))


def test_other_kinds_of_drift_are_found(tiny):
    register = Register(tiny)
    path = tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    good = path.read_text()

    def found(text: str) -> bool:
        return any(text in line for line in problems(register))

    path.write_text(good.replace('"name": "python3"', '"name": "conda-env-x"'))
    assert found("its kernel is not python3")
    path.write_text(good.replace('"execution_count": 2', '"execution_count": 7'))
    assert found("not executed from 1 to n")
    path.write_text(good + " " * 1_000_001)
    assert found("larger than 1,000,000 bytes")
    path.unlink()
    assert found("chapters/01_tiny/lesson.ipynb is missing")
    path.write_text(good)
    (tiny / "README.md").write_text("<!-- results:begin -->\n<!-- results:end -->\n")
    assert found("README.md is stale")
    edit(tiny / "chapters" / "01_tiny" / "exercises.py", "Half of x", "Half")
    assert found("chapters/01_tiny/exercises.py is not what solutions/ generates")
    (tiny / "chapters" / "01_tiny" / "exercises.py").write_text(HEADER + SOLUTION)
    assert found("holds a line of a solution") or found("holds a whole solution")
    (tiny / "chapters" / "01_tiny" / "exercises.py").unlink()
    assert found("chapters/01_tiny/exercises.py is not what solutions/ generates")


def test_everything_works_without_the_solutions(tiny):
    subprocess.run(["rm", "-r", str(tiny / "solutions")], check=True)
    assert list(problems(Register(tiny))) == []
    assert course(tiny, "sync").returncode == 0
    assert course(tiny, "start", "01").returncode == 0


def test_pictures_keep_their_looks_and_lose_weight():
    import io
    from base64 import b64decode, b64encode

    import numpy as np
    from PIL import Image

    def picture(pixels):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return b64encode(file.getvalue()).decode()

    ramp = np.linspace(0, 240, 300)
    noise = np.random.default_rng(0).uniform(0, 15, (300, 300, 3))
    pixels = (np.stack(np.broadcast_arrays(ramp[:, None], ramp, 200.0), axis=-1) + noise).astype(np.uint8)
    before = picture(pixels)
    after = smaller(before)
    assert len(after) < len(before)
    seen = np.asarray(Image.open(io.BytesIO(b64decode(after))).convert("RGB"), dtype=int)
    assert seen.shape == pixels.shape
    assert np.abs(seen - pixels).mean() < 10
    tiny = picture(np.zeros((1, 1, 3), np.uint8))
    assert smaller(tiny) == tiny

    def colors(png):
        return len(np.unique(np.asarray(Image.open(io.BytesIO(b64decode(png))).convert("RGB")).reshape(-1, 3), axis=0))

    shades = np.random.default_rng(1).integers(0, 100, (60, 60, 1)) * 2.5
    grays = picture(np.repeat(shades, 3, axis=2).astype(np.uint8))
    assert colors(smaller(grays)) <= 64 < colors(grays), "such small steps of gray are not seen"
    assert colors(after) > 200, "where many colors are, as many as there may be are kept"


def test_a_lesson_over_its_budget_is_told_and_refused_beyond_what_a_slow_machine_explains(tiny):
    toml = tiny / "chapters" / "01_tiny" / "chapter.toml"
    notebook = tiny / "chapters" / "01_tiny" / "lesson.ipynb"
    seconds = json.loads(notebook.read_text())["metadata"]["course"]["seconds"]
    for budget, found in ((0.9 * seconds, []), (0.4 * seconds, ["over 2 times its budget"])):
        edit(toml, toml.read_text(), re.sub(r"budget = .*", f"budget = {budget}", toml.read_text()))
        told = [line for line in problems(Register(tiny)) if "budget" in line]
        assert len(told) == len(found) and all(part in line for part, line in zip(found, told, strict=True))
    assert "over its budget" in "\n".join(run_sync(tiny, force=True))
