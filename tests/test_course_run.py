"""`course run` on lessons that go wrong in every way a lesson can; each is run as a user would run it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from tiny_course import LESSON, command, course, environment, make

from utils.course.execute import Job, execute, free_path
from utils.course.notebooks import KERNEL, dumps, read
from utils.course.parameters import defaults, parse

START = "from utils.results import record\n\nrecord('half', 0.5)\n\n"


@pytest.fixture
def tiny(tmp_path):
    """A function that makes a course whose lesson holds these code cells; only `run` needs its notebook."""

    def build(*cells: str, parameters: str = "whole = 1.0") -> Path:
        root = make(tmp_path / "course")
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
        notebook.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
        (root / "chapters" / "01_tiny" / "lesson.ipynb").write_text(dumps(notebook))
        return root

    return build


def kernels(marker: str) -> list[psutil.Process]:
    """The processes whose environment carries the marker: everything that a run started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("COURSE_ROOT") == marker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


def wait_until(condition, seconds: float = 600):
    """Whether it comes true, however busy the machine is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_a_run_records_results_and_writes_nothing_into_the_repository(tiny):
    root = tiny(START + "open('left_behind.txt', 'w').close()")
    before = {path for path in root.rglob("*") if "work" not in path.parts}
    done = course(root, "run", "01", "--out", str(root / "out"), cwd=root)
    assert done.returncode == 0, done.stderr
    assert "half" in done.stdout and "0.5" in done.stdout
    assert read(root / "out" / "01_tiny.ipynb").cells[1].execution_count == 2
    after = {path for path in root.rglob("*") if not {"work", "out"} & set(path.parts)}
    assert after == before


def test_a_parameter_reaches_the_lesson(tiny):
    root = tiny("from utils.results import record\n\nrecord('half', whole / 2)")
    done = course(root, "run", "tiny", "-p", "whole=3", "--out", str(root / "out"))
    assert done.returncode == 0, done.stderr
    assert "1.5" in done.stdout
    assert "missed: 01_tiny: half = 1.5, outside of [0.4, 0.6]" in done.stdout


def test_a_missed_requirement_fails_the_run_of_the_lesson_as_it_is(tiny):
    done = course(tiny("from utils.results import record\n\nrecord('half', 0.7)"), "run", "tiny")
    assert done.returncode == 1
    assert "half = 0.7, outside of [0.4, 0.6]" in done.stdout


def test_a_failing_cell_is_shown_in_one_short_block(tiny):
    root = tiny("x = 1", "y = 0\nx / y", "print('never')")
    done = course(root, "run", "01", "--out", str(root / "out"))
    assert done.returncode == 1
    assert "cell 3: y = 0" in done.stdout
    assert "ZeroDivisionError: division by zero" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert str(root / "out" / "01_tiny.ipynb") in done.stdout
    assert len(done.stdout.strip().splitlines()) <= 4
    half_run = read(root / "out" / "01_tiny.ipynb")
    assert any("ZeroDivisionError" in str(cell.get("outputs")) for cell in half_run.cells)


@pytest.mark.parametrize(
    "cell",
    ["while True: pass", "while True:\n    try:\n        while True: pass\n    except BaseException: pass"],
    ids=["endless", "endless and deaf to interrupts"],
)
def test_a_cell_that_never_ends_is_stopped(tiny, cell):
    root = tiny(cell)
    done = course(root, "run", "01", "--cell-seconds", "2")
    assert done.returncode == 1
    assert "longer than its time limit" in done.stdout
    assert wait_until(lambda: not kernels(str(root)))


def test_a_notebook_has_a_time_limit_as_a_whole(tiny):
    root = tiny("import time\nprint('begun')", *["time.sleep(1.5)"] * 200)
    for seconds in (6, 30, 120):  # a busy machine takes long to start a kernel, and that counts, too
        done = course(root, "run", "01", "--seconds", str(seconds), "--out", str(root / f"out{seconds}"))
        assert done.returncode == 1
        assert f"the notebook ran longer than {seconds} s" in done.stdout
        assert wait_until(lambda: not kernels(str(root)))
        half_run = root / f"out{seconds}" / "01_tiny.ipynb"
        assert half_run.exists() == ("it lies in" in done.stdout)
        if half_run.exists() and "begun" in str(read(half_run).cells[1].get("outputs")):
            return
    pytest.fail("of a notebook that was stopped, the outputs of its first cells are lost")


def test_a_run_that_is_stopped_before_it_begins_leaves_no_empty_notebook(tiny):
    root = tiny(START)
    output = free_path(root / "out", "01_tiny")
    [run] = execute([Job(root / "chapters" / "01_tiny" / "lesson.ipynb", output, seconds=0.01)])
    assert run.failure.kind == "timeout" and list((root / "out").iterdir()) == []


def test_a_kernel_that_dies_is_reported(tiny):
    done = course(tiny("import os\nos._exit(1)"), "run", "01")
    assert done.returncode == 1
    assert "the kernel died" in done.stdout
    assert "cell 2: import os" in done.stdout


def test_a_folder_that_cannot_be_written_is_refused_before_a_kernel_starts(tiny):
    root = tiny(START)
    (root / "file").write_text("not a folder")
    start = os.times()
    done = course(root, "run", "01", "--out", str(root / "file"))
    assert done.returncode == 1
    assert "cannot write into" in done.stderr and "--out" in done.stderr
    assert "Traceback" not in done.stderr
    spent = os.times()
    assert spent.children_user + spent.children_system - start.children_user - start.children_system < 30


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_reported(tiny):
    root = tiny(START)
    [run] = execute([Job(root / "chapters" / "01_tiny" / "lesson.ipynb", Path("/dev/full"))])
    assert run.failure.kind == "disk"
    assert "No space left on device" in run.failure.message


def test_two_runs_at_once_do_not_meet(tiny):
    root = tiny(START + "import time\ntime.sleep(2)")
    arguments = command("run", "01", "--out", str(root / "out"))
    both = [subprocess.Popen(arguments, env=environment(root), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted(path.name for path in (root / "out").iterdir()) == ["01_tiny-2.ipynb", "01_tiny.ipynb"]
    assert all(len(read(path).cells) == 2 for path in (root / "out").iterdir())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupted_run_leaves_no_kernel(tiny, how, interruptible):
    root = tiny("import time\ntime.sleep(300)")
    if how is signal.SIGTERM:  # which ends what runs in the background, too, where Ctrl-C is ignored
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        command("run", "01"), env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # the command, its worker and the kernel
    assert wait_until(lambda: len(kernels(str(root))) >= 3)
    process.send_signal(how)
    _, errors = process.communicate(timeout=600)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert wait_until(lambda: not kernels(str(root)))


def test_several_lessons_run_side_by_side_with_one_thread_each(tiny):
    root = tiny("import os\nprint('threads', os.environ['OMP_NUM_THREADS'])")
    lesson = root / "chapters" / "01_tiny" / "lesson.ipynb"
    jobs = [Job(lesson, root / f"{number}.ipynb") for number in range(2)]
    runs = execute(jobs, side_by_side=os.cpu_count())
    assert [run.failure for run in runs] == [None, None]
    assert all("threads 1" in str(read(run.output).cells[1].outputs) for run in runs)


def test_the_peak_memory_is_that_of_the_kernel(tiny):
    root = tiny("block = bytearray(300_000_000)\nimport time\ntime.sleep(1)")
    [run] = execute([Job(root / "chapters" / "01_tiny" / "lesson.ipynb", root / "out.ipynb")])
    assert 300 < run.memory_mb < 600


def test_a_lesson_cannot_reach_the_network(tiny):
    root = tiny("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)")
    [run] = execute([Job(root / "chapters" / "01_tiny" / "lesson.ipynb", root / "out.ipynb")])
    assert "SocketConnectBlockedError" in run.failure.message


REFUSED = {
    "unknown": ("wole=2", "there is no parameter 'wole'. Did you mean whole?"),
    "float for int": ("steps=2.5", "expected a value of type int, as its default 3; got float"),
    "text for int": ("steps=many", "expected a value of type int"),
    "int for bool": ("loud=1", "expected a value of type bool"),
    "no value": ("steps", "write it as name=value"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_parameter_is_refused_before_a_kernel_starts(tiny, case):
    given, message = REFUSED[case]
    root = tiny(START, parameters="whole = 1.0\nsteps = 3\nloud = False")
    done = course(root, "run", "01", "-p", given)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (root / "work").exists()


def test_values_take_the_type_of_their_default():
    known = {"a": 1.0, "b": 1, "c": "x", "d": False, "e": [1], "f": None}
    given = ["a=2", "b=-3", "c=7", "d=true", "e=[2, 3]", "f=0.5"]
    assert parse(given, known) == {"a": 2.0, "b": -3, "c": "7", "d": True, "e": [2, 3], "f": 0.5}


def test_a_parameter_may_say_its_type():
    from utils.course.notebooks import from_text

    assert defaults(from_text(LESSON.replace("steps = 3", "steps: int = 3")))["steps"] == 3


def test_a_derived_value_in_the_parameters_cell_is_refused():
    from utils.course import CourseError
    from utils.course.notebooks import from_text

    with pytest.raises(CourseError, match="found `half = whole / 2`"):
        defaults(from_text(LESSON.replace("steps = 3", "half = whole / 2")))


def test_run_wants_to_know_what(tiny):
    done = course(tiny(START), "run")
    assert done.returncode == 1
    assert "course run --all" in done.stderr
