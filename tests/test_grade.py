"""Grading: every kind of submission gets its verdict, and none does harm or changes a grade."""

from __future__ import annotations

import json
import os
import shutil
import socket
import textwrap
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from sandbox_here import needs_sandbox

from utils.checks import Verdict, engine, exercise_ids
from utils.course import CourseError
from utils.course.grading.grade import Submission, grade, seed_of
from utils.course.grading.gradebook import grade_class
from utils.course.grading.notebook_runner import sources
from utils.course.grading.sandbox import Limits, Sandbox
from utils.course.grading.stream import Stream
from utils.course.grading.submissions import Assignment, HandedIn
from utils.course.register import Register
from utils.course.tasks import Task

pytestmark = needs_sandbox

SMALL = Limits(memory_mb=512, files_mb=16, processes=16)
RIGHT = {
    "gmm.log_sum_exp": "def log_sum_exp(a):\n    return a.logsumexp(-1)",
    "gmm.e_step": "def e_step(log_weights, log_prob):\n    return (log_weights + log_prob).softmax(-1)",
    "gmm.bic": "def bic(log_prob, dim, k):\n    raise ValueError('not this one')",
}
WRONG = "def e_step(log_weights, log_prob):\n    return (log_weights + log_prob).softmax(0)"
NAMED = "Your responsibilities sum to one over data points, not over components."
ORPHAN = f"orphan-of-test-{os.getpid()}"
HOW_TO = "from utils.checks import check\nimport torch\nimport os, sys"


def assignment(*ids: str) -> Assignment:
    tasks = [Task(id, "core", 5, 2, 0, id) for id in ids or ("gmm.log_sum_exp", "gmm.e_step")]
    return Assignment("04_gaussian_mixtures", tuple(tasks))


def notebook(*cells: str, version: int = 4) -> bytes:
    if version == 3:
        code = [{"cell_type": "code", "input": cell, "language": "python", "outputs": []} for cell in cells]
        return json.dumps(
            {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": code}]}
        ).encode()
    code = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": code}).encode()


def verdicts(*cells: str, ids: tuple[str, ...] = (), secret: str = "s") -> list[tuple[str, str]]:
    """Status and message of each exercise, of a notebook with these cells."""
    dedented = [textwrap.dedent(cell).strip() for cell in cells]
    result = graded(*dedented, ids=ids, secret=secret)
    return [(verdict["status"], verdict["message"]) for verdict in result["verdicts"]]


def graded(*cells: str, ids: tuple[str, ...] = (), secret: str = "s") -> dict:
    return grade(Submission("somebody", assignment(*ids), (HOW_TO, *cells), "", secret, SMALL))


def e_step(body: str) -> str:
    return "def e_step(log_weights, log_prob):\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")


def of_e_step(*cells: str) -> tuple[str, str]:
    """The verdict on `e_step`; a right answer to another exercise stands beside it, and must pass whatever happens."""
    first, second = verdicts(RIGHT["gmm.log_sum_exp"], *cells)
    assert first[0] == "passed", first
    return second


@pytest.fixture(autouse=True)
def _no_process_is_left():
    """Whatever a submission starts is gone when its grading is over; only the warm interpreter stays."""
    yield
    marked = [p.info["pid"] for p in psutil.process_iter(["pid", "cmdline"]) if ORPHAN in str(p.info["cmdline"])]
    assert marked == []


@pytest.fixture
def hurried(monkeypatch):
    """The check of `gmm.e_step` waits two seconds of processor time for an answer, and six times as long in all."""
    exercise_ids()
    known = engine._exercises["gmm.e_step"]
    monkeypatch.setitem(engine._exercises, known.id, replace(known, seconds=2))


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_right_wrong_and_missing_answers():
    assert verdicts(RIGHT["gmm.log_sum_exp"], WRONG) == [("passed", "Well done."), ("wrong", NAMED)]
    stub = 'def e_step(log_weights, log_prob):\n    raise NotImplementedError("gmm.e_step")'
    assert of_e_step(stub)[0] == "not attempted"
    assert of_e_step() == ("wrong", "Your notebook does not define `e_step`.")
    assert "`ZeroDivisionError: division by zero` in line 2: `1 / 0`" in of_e_step(e_step("1 / 0"))[1]


def test_the_last_of_two_cells_counts():
    assert of_e_step(WRONG, RIGHT["gmm.e_step"])[0] == "passed"
    assert of_e_step(RIGHT["gmm.e_step"], WRONG) == ("wrong", NAMED)


def test_a_cell_with_a_syntax_error_does_not_stop_the_others():
    result = graded("def f(:", RIGHT["gmm.log_sum_exp"], WRONG)
    assert [verdict["status"] for verdict in result["verdicts"]] == ["passed", "wrong"]
    assert result["notes"] == ["Code cell 2 ended in `SyntaxError: invalid syntax, line 1`."]


def test_magics_are_understood():
    assert of_e_step("%matplotlib inline\n!true", RIGHT["gmm.e_step"])[0] == "passed"


def test_the_seed_is_hidden_and_decides():
    assert seed_of("one", "gmm.e_step") != seed_of("two", "gmm.e_step") != seed_of("two", "gmm.m_step")
    # What is right for the inputs that students see, learned by heart.
    learned = """
    from utils.checks.engine import run_check
    SEEN = []
    def recorder(log_weights, log_prob):
        answer = (log_weights + log_prob).softmax(-1)
        SEEN.append((log_weights, log_prob, answer))
        return answer
    run_check("gmm.e_step", recorder)
    def e_step(log_weights, log_prob):
        for weights, prob, answer in SEEN:
            if prob.shape == log_prob.shape and torch.equal(prob, log_prob):
                return answer
        return torch.zeros_like(log_prob)
    """
    assert of_e_step(learned)[0] == "wrong"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a notebook", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"[1, 2]", "no cells"),
        (b'{"cells": [{"cell_type": "code", "source": 3}]}', "no cells"),
    ],
)
def test_what_is_no_notebook_gets_no_points_and_a_note(content, says, tmp_path):
    (tmp_path / "a.ipynb").write_bytes(content)
    cells, problem = HandedIn("a", assignment(), tmp_path / "a.ipynb").cells()
    assert cells == () and says in problem
    result = grade(Submission("a", assignment(), cells, problem, "s"))
    assert {verdict["status"] for verdict in result["verdicts"]} == {"not attempted"}
    assert result["notes"] == [problem]


def test_a_notebook_of_version_3_and_one_with_50_mb_of_output():
    cells = HOW_TO, RIGHT["gmm.log_sum_exp"], RIGHT["gmm.e_step"]
    large = json.loads(notebook(*cells))
    large["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}]
    for content in (notebook(*cells, version=3), json.dumps(large).encode()):
        assert tuple(sources(content)) == cells


# --- what does harm to others ----------------------------------------------------------------------------------------


def test_an_endless_loop_costs_one_exercise(hurried, monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE", 1000)  # however long two seconds of processor time take here
    status, message = of_e_step(e_step("while True: pass"))
    assert (status, message) == ("timed out", "Your code did not finish within 2 seconds of processor time.")


def test_what_timed_out_is_tried_once_more(tmp_path, monkeypatch):
    """As on a busy machine: too late at first, in time when nothing else is graded."""
    tries = []

    def graded_late(submission):
        tries.append([task.id for task in submission.assignment.exercises])
        late = "timed out" if len(tries) == 1 else "passed"
        verdicts = [asdict(Verdict(id, "passed" if id == "gmm.log_sum_exp" else late, "…")) for id in tries[-1]]
        names = {"key": submission.key, "student": submission.student, "assignment": submission.assignment.name}
        return names | {"verdicts": verdicts, "notes": [f"try {len(tries)}"], "seconds": 1.0}

    for module in ("grade", "gradebook"):
        monkeypatch.setattr(f"utils.course.grading.{module}.grade", graded_late)
    (tmp_path / "a.ipynb").write_bytes(notebook(HOW_TO))
    [result] = grade_class([HandedIn("a", assignment(), tmp_path / "a.ipynb")], tmp_path / "grades", jobs=1)
    assert tries == [["gmm.log_sum_exp", "gmm.e_step"], ["gmm.e_step"]]
    assert [verdict["status"] for verdict in result["verdicts"]] == ["passed", "passed"]
    assert result["notes"] == ["try 1", "try 2"] and result["seconds"] == 2.0


def test_a_cell_that_never_ends_or_ends_python_is_left_out(monkeypatch):
    monkeypatch.setattr("utils.course.grading.grade.CELL_SECONDS", 2)
    result = graded("while True: pass", RIGHT["gmm.log_sum_exp"], "os._exit(0)", RIGHT["gmm.e_step"])
    assert [verdict["status"] for verdict in result["verdicts"]] == ["passed", "passed"]
    assert result["notes"] == [
        "Code cell 2 did not end within 2 s; it was left out.",
        "Code cell 4 ended Python; it was left out.",
    ]


def test_a_memory_bomb_is_an_error_of_its_own():
    status, message = of_e_step(e_step("kept = []\nwhile True: kept.append(torch.ones(10**7))"))
    # The kernel refuses what one process asks for; the grader may see the sum of all first.
    assert status == "raised" and ("alloc" in message or "more than 512 MB of memory" in message)


def test_a_fork_bomb_starves_itself(hurried):
    bomb = "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    before = time.perf_counter()
    status, _ = of_e_step(e_step(bomb))
    assert status in ("wrong", "raised", "timed out")
    assert time.perf_counter() - before < 240  # an end, on any machine


def test_output_without_end_goes_nowhere():
    assert of_e_step(e_step("for _ in range(2000): print('x' * 10_000)\n") + "\n" + RIGHT["gmm.e_step"])[0] == "passed"
    flood = "for _ in range(2000): print('x' * 10_000)\nreturn (log_weights + log_prob).softmax(-1)"
    assert of_e_step(e_step(flood))[0] == "passed"


def test_files_are_limited_and_stay_in_the_sandbox():
    fill = """
    with open("large", "wb") as file:
        while True:
            file.write(bytes(2**20))
    """
    status, message = of_e_step(e_step(fill))
    assert status == "raised" and ("No space left" in message or "File too large" in message)


def test_a_process_left_behind_dies_with_its_submission():
    leave = f"""
    import subprocess
    if hasattr(os, "left"):  # once: a check asks many times, and processes are counted
        return (log_weights + log_prob).softmax(-1)
    os.left = True
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", {ORPHAN!r}], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", {ORPHAN!r}])
        os._exit(0)
    return (log_weights + log_prob).softmax(-1)
    """
    assert of_e_step(e_step(leave))[0] == "passed"  # and the fixture above looks for what it left


@pytest.mark.parametrize(
    "crash",
    [
        "os._exit(0)",
        "import ctypes; ctypes.string_at(0)",
        "os.kill(os.getpid(), 9)",
        "os.kill(-1, 9); os._exit(1)",
        "os.abort()",
        "sys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
    ],
)
def test_a_crash_is_no_answer(crash):
    status, _ = of_e_step(e_step(crash))
    assert status in ("wrong", "raised")


# --- what looks where it should not ----------------------------------------------------------------------------------


def test_there_is_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"""
        import socket
        for address in (("127.0.0.1", {port}), ("192.0.2.1", 80)):
            try:
                socket.create_connection(address, timeout=2).close()
            except OSError:
                continue
            return (log_weights + log_prob).softmax(-1)
        return None
        """
        assert of_e_step(e_step(reach))[0] == "wrong"


def test_the_graders_files_and_environment_are_out_of_sight(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "here")
    (tmp_path / "hidden_seed.txt").write_text("42")
    own = [Register().root / name for name in ("solutions", "tests", ".git", "chapters")]
    private = [tmp_path, Path.home() / ".ssh", *own, "/etc/passwd", "/home", "/var"]
    look = f"""
    from pathlib import Path
    found = [name for name in os.environ if "SECRET" in name or "SEED" in name and name != "PYTHONHASHSEED"]
    for place in {[str(path) for path in private]!r}:
        if os.path.exists(place):
            found.append(place)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if b"SECRET" in Path("/proc", entry, "environ").read_bytes():
                    found.append(entry)
            except OSError:
                pass
    raise ValueError(found)
    """
    assert "`ValueError: []`" in of_e_step(e_step(look))[1]


def test_one_submission_leaves_nothing_to_the_next():
    places = [
        "/scratch",
        "/dev/shm",
        "/dev",
        "/tmp",
        "/var/tmp",
        str(Register().root / "utils"),
        str(Register().root / "data"),
    ]
    leave = f"""
    for place in {places!r}:
        try:
            open(os.path.join(place, "message"), "w").write("the answer")
        except OSError:
            pass
    return (log_weights + log_prob).softmax(-1)
    """
    find = f"raise ValueError([place for place in {places!r} if os.path.exists(os.path.join(place, 'message'))])"
    assert of_e_step(e_step(leave))[0] == "passed"
    assert "`ValueError: []`" in of_e_step(e_step(find))[1]


def test_the_package_and_the_data_cannot_be_changed():
    files = [str(Register().root / name) for name in ("utils/checks/gaussian_mixtures/em.py", "data/mnist.npz")]
    change = f"""
    outcomes = []
    for path in {files!r}:
        try:
            open(path, "ab").close()
            outcomes.append(path)
        except OSError:
            pass
    raise ValueError(outcomes)
    """
    assert "`ValueError: []`" in of_e_step(e_step(change))[1]


# --- what wants another grade ----------------------------------------------------------------------------------------

FORGERIES = {
    "redefines check": ("def check(id, answer, seed=0):\n    print('[Passed]')\ncheck('gmm.e_step', None)", WRONG),
    "edits the test cell": (WRONG, "check('gmm.e_step', lambda w, p: (w + p).softmax(-1))"),
    "patches the package": (
        """
        import utils.checks, utils.checks.engine as engine, utils.checks.expect as expect
        import utils.checks.gaussian_mixtures.em as em
        engine.run_check = engine._judge = lambda *a, **k: ("passed", "Well done.", "")
        engine._exercises["gmm.e_step"] = engine.Exercise("gmm.e_step", "e_step(a, b)", 10, lambda *a: None)
        expect.close = em.close = expect.tensor = em.tensor = lambda *a, **k: None
        """,
        WRONG,
    ),
    "patches torch": ("torch.equal = torch.allclose = torch.isclose = lambda *a, **k: torch.tensor(True)", WRONG),
    "prints a verdict": (
        """
        from IPython.display import display
        display({"application/vnd.course.check+json": {"id": "gmm.e_step", "status": "passed"}}, raw=True)
        """,
        WRONG,
    ),
    "returns what equals everything": (
        e_step(
            """
            class Yes(torch.Tensor):
                def __eq__(self, other): return torch.ones(self.shape, dtype=torch.bool)
                @classmethod
                def __torch_function__(cls, f, types, args=(), kwargs=None): return torch.tensor(True)
            return log_prob.exp().as_subclass(Yes)
            """
        ),
    ),
    "raises what looks like a pass": (
        e_step(
            """
            from utils.checks import Verdict, CheckFailed
            raise CheckFailed(Verdict("gmm.e_step", "passed", "Well done."))
            """
        ),
    ),
    "reads the stack and the heap": (
        e_step(
            """
            import gc
            frame, found = sys._getframe(), []
            while frame:
                found += [value for name, value in frame.f_locals.items() if name in ("truth", "answer", "generator")]
                frame = frame.f_back
            found += [thing for thing in gc.get_objects() if type(thing).__name__ == "Verdict"]
            right = [thing for thing in found if isinstance(thing, torch.Tensor) and thing.shape == log_prob.shape]
            return right[0] if right else log_prob.softmax(0)
            """
        ),
    ),
    "speaks for the sandbox": (
        e_step(
            """
            for file in range(3, 64):
                for text in (b"passed", b'{"status": "passed"}\\n', bytes(64), b"\\xff" * 4096):
                    try:
                        os.write(file, text)
                    except OSError:
                        pass
            return log_prob.softmax(0)
            """
        ),
    ),
    "hangs up in time": (e_step("os.closerange(0, 64)\nreturn log_prob.softmax(0)"),),
    "ends well": (e_step("import atexit; atexit.register(print, 'passed'); sys.exit(0)"),),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_grade_cannot_be_forged(name):
    status, message = of_e_step(*FORGERIES[name])
    assert status in ("wrong", "raised"), message


def test_without_bubblewrap_nothing_is_graded_unless_asked_for(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CourseError, match=r"bwrap.*--unsafe"):
        Sandbox()
    with Sandbox(SMALL, unsafe=True) as sandbox, sandbox.submission() as connection:
        assert connection.fileno() > 0


def test_without_namespaces_inside_each_submission_gets_a_whole_sandbox():
    with Sandbox(SMALL) as sandbox:
        sandbox.walled = False  # as where the kernel refuses
        started = []
        for _ in range(2):
            with sandbox.submission() as connection:
                started.append(sandbox._process.pid)
                link = Stream(connection, None)
                cells = json.dumps([[1, "1"], [2, "1 / 0"]]).encode()
                link.send(len(cells).to_bytes(8, "big") + cells)
                said = [link.receive()[0] for _ in range(2)]
                assert said == [["cell", ""], ["cell", "ZeroDivisionError: division by zero"]]
            assert sandbox._process is None
        assert len(set(started)) == 2
