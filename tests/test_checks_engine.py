"""Whatever a student's function does, the answer is one of five verdicts, and nothing leaks."""

from __future__ import annotations

import contextlib
import importlib
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
import torch

import utils.checks
from utils.checks import CheckFailed, NotAttempted, UnknownExercise, check, engine, exercise_ids, run_check
from utils.checks.guard import Elsewhere, Guarded
from utils.checks.verdicts import MIME, Wrong

ROOT = Path(__file__).resolve().parents[1]
ID = "gmm.e_step"


def right(log_weights, log_prob):
    return (log_weights + log_prob).softmax(-1)


@pytest.fixture
def quick(monkeypatch):
    """The exercise with a limit of a third of a second."""
    exercise_ids()
    known = engine._exercises[ID]
    monkeypatch.setitem(engine._exercises, ID, engine.Exercise(ID, known.call, 0.3, known.judge))


# --- the verdicts ----------------------------------------------------------------------------------------------------


def test_passed(capsys):
    check(ID, right)
    assert capsys.readouterr().out == "[Passed] gmm.e_step: Well done.\n"


def test_not_attempted_is_also_a_not_implemented_error():
    def stub(log_weights, log_prob):
        raise NotImplementedError("gmm.e_step")

    with pytest.raises(NotAttempted) as caught:
        check(ID, stub)
    assert isinstance(caught.value, NotImplementedError) and isinstance(caught.value, CheckFailed)
    assert caught.value.verdict.status == "not attempted"


def test_wrong_names_the_mistake_and_gives_a_hint(capsys):
    with pytest.raises(CheckFailed, match="over data points, not over components"):
        check(ID, lambda log_weights, log_prob: (log_weights + log_prob).softmax(0))
    assert "Hint: Each point is shared out" in capsys.readouterr().out


def test_raised_quotes_the_students_own_line():
    def helper(a):
        return torch.linalg.cholesky(a)  # mine

    verdict = run_check(ID, lambda log_weights, log_prob: helper(log_prob))
    number = helper.__code__.co_firstlineno + 1
    assert verdict.status == "raised"
    assert f"in line {number}: `return torch.linalg.cholesky(a)  # mine`" in verdict.message
    assert "LinAlgError" in verdict.message or "RuntimeError" in verdict.message


def test_an_error_of_torch_that_is_not_implemented_is_not_a_stub():
    def unfinished_library(log_weights, log_prob):
        raise NotImplementedError("'softmax' not implemented for 'Bool'")

    assert run_check(ID, unfinished_library).status == "raised"


def test_calling_another_stub_says_which_one_is_missing():
    def uses_another(log_weights, log_prob):
        raise NotImplementedError("gmm.log_sum_exp")

    verdict = run_check(ID, uses_another)
    assert verdict.status == "not attempted" and "gmm.log_sum_exp" in verdict.message


def test_the_seed_draws_the_inputs():
    seen = []

    def remember(log_weights, log_prob):
        seen.append(log_prob.clone())
        return right(log_weights, log_prob)

    firsts = []
    for seed in (0, 0, 1):
        seen.clear()
        run_check(ID, remember, seed)
        firsts.append(seen[0])
    first, again, other = firsts
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_unknown_exercise_names_near_ones():
    with pytest.raises(UnknownExercise, match=r"no exercise 'gmm\.estep'; did you mean 'gmm\.e_step'"):
        check("gmm.estep", right)


def test_two_checks_cannot_share_an_id():
    exercise_ids()
    with pytest.raises(ValueError, match="two checks"):
        engine.exercise(ID, call="f(x)")(lambda answer, generator: None)


# --- results of the wrong kind ---------------------------------------------------------------------------------------


class Hostile:
    """An object that fails at every touch."""

    def __getattribute__(self, name):
        raise RuntimeError("do not touch")


@pytest.mark.parametrize(
    ("answer", "says", "hint"),
    [
        (lambda log_weights, log_prob: None, "not `None`", "forget `return`"),
        (lambda log_weights, log_prob: right(log_weights, log_prob).numpy(), "`numpy.ndarray`", "torch.as_tensor"),
        (lambda log_weights, log_prob: right(log_weights, log_prob).tolist(), "`list`", "torch.tensor"),
        (lambda log_weights, log_prob: right(log_weights, log_prob).float(), "`torch.float32`", "dtype=torch.float64"),
        (lambda log_weights, log_prob: right(log_weights, log_prob)[:, :2], "not (5, 2): one too few", "both ends"),
        (lambda log_weights, log_prob: right(log_weights, log_prob)[0], "an axis of size 5 is lost", "sum over"),
        (lambda log_weights, log_prob: list(right(log_weights, log_prob)), "not a `list`", "torch.stack"),
        (lambda log_weights, log_prob: right(log_weights, log_prob)[None], "an axis of size 1 too many", "squeeze"),
        (lambda log_weights, log_prob: log_prob / 0, "infinite everywhere", ""),
        (lambda log_weights, log_prob: log_prob * torch.nan, "NaN everywhere", "0/0"),
        (lambda log_weights, log_prob: right(log_weights, log_prob) + 0.1, "responsibilities should be ", ""),
        (lambda log_weights: log_weights, "cannot be called as `e_step(log_weights, log_prob)`", "first line"),
        (torch.zeros(2), "a value of type `Tensor`, not a function", "without calling it"),
        (None, "`NoneType`, not a function", "without calling it"),
        (torch.nn.Softmax, "the class `Softmax`, not a function", "`def`"),
    ],
)
def test_a_result_of_the_wrong_kind_is_named(answer, says, hint):
    verdict = run_check(ID, answer)
    assert verdict.status == "wrong"
    assert says in verdict.message and hint in verdict.hint


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x, responsibilities: (x, x), "returns 2 values, expected 3 values (weights, means, covariances)"),
        (lambda x, responsibilities: None, "returns `None`, expected 3 values"),
        (lambda x, responsibilities: x, "returns one `Tensor`, expected 3 values"),
    ],
)
def test_the_wrong_number_of_values_is_named(answer, says):
    verdict = run_check("gmm.m_step", answer)
    assert verdict.status == "wrong" and says in verdict.message


def test_an_object_of_the_students_that_raises_is_a_verdict():
    assert run_check(ID, lambda log_weights, log_prob: Hostile()).status == "raised"


def test_an_odd_tensor_is_a_verdict_without_a_stack_trace():
    verdict = run_check(ID, lambda log_weights, log_prob: torch.empty(5, 3, dtype=torch.float64, device="meta"))
    assert verdict.status == "wrong" and "could not be used" in verdict.message


class Liar(torch.Tensor):
    """A tensor that claims to be equal to everything, and no distance away."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.allclose, torch.equal):
            return True
        result = super().__torch_function__(function, types, args, kwargs or {})
        return 0 * result if getattr(function, "__name__", "") in ("sub", "__sub__", "__rsub__") else result


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        (ID, lambda log_weights, log_prob: torch.zeros_like(log_prob).as_subclass(Liar)),
        ("diffusion.few_evaluations", lambda denoise, z: (0 * denoise(z, 0.5)).as_subclass(Liar)),
        ("diffusion.simple_loss", lambda model, x, t, *rest: (0 * model(x, t).flatten(1).sum(1)).as_subclass(Liar)),
    ],
)
def test_a_tensor_whose_operations_lie_is_judged_by_its_numbers(id, answer):
    assert run_check(id, answer).status == "wrong"


def test_a_division_by_zero_gets_a_hint():
    verdict = run_check(ID, lambda log_weights, log_prob: log_prob / (0 / 0))
    assert verdict.status == "raised" and "may be 0" in verdict.hint


# --- what a function can do to the process ---------------------------------------------------------------------------


def assert_ended(before: list[threading.Thread]):
    for thread in set(threading.enumerate()) - set(before):
        thread.join(1)
        assert not thread.is_alive()


def test_a_changed_input_is_named():
    def in_place(log_weights, log_prob):
        log_prob += log_weights
        return log_prob.softmax(-1)

    verdict = run_check(ID, in_place)
    assert verdict.status == "wrong" and "changes its argument `log_prob`" in verdict.message


def test_gradients_turned_on_in_an_input_are_named():
    def watched(log_weights, log_prob):
        return (log_weights + log_prob.requires_grad_()).softmax(-1)

    verdict = run_check(ID, watched)
    assert verdict.status == "wrong" and "turns gradients on or off" in verdict.message
    assert "`log_prob.clone().requires_grad_()`" in verdict.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda tables, names: tables["a"].zero_(),
        lambda tables, names: tables.pop("b"),
        lambda tables, names: names[0][1].zero_(),
        lambda tables, names: names.append("more"),
    ],
)
def test_a_change_inside_of_a_list_or_a_dict_is_named(change):
    tables, names = {"a": torch.ones(2), "b": torch.tensor([torch.nan])}, [("c", torch.ones(2))]
    guarded = Guarded(lambda tables, names: None, "forget(tables, names)")
    guarded(tables, names)
    with pytest.raises(Wrong, match="changes its argument"):
        Guarded(change, "forget(tables, names)")(tables, names)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SystemExit(1), "SystemExit: 1"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (MemoryError(), "MemoryError"),
        (ValueError("<b>bad</b>"), "ValueError: <b>bad</b>"),
    ],
)
def test_every_exception_is_a_verdict(error, says):
    def raises(log_weights, log_prob):
        raise error

    verdict = run_check(ID, raises)
    assert verdict.status == "raised" and says in verdict.message


def test_endless_recursion_is_a_verdict():
    def again(log_weights, log_prob):
        return again(log_weights, log_prob)

    verdict = run_check(ID, again)
    assert verdict.status == "raised" and "RecursionError" in verdict.message and "without end" in verdict.hint


@pytest.fixture(params=["its thread", "its process"])
def clock(request, monkeypatch):
    """Whose processor time the system tells: on macOS and Windows that of the process."""
    if request.param == "its process":
        monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)


def work(seconds: float):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_loop_without_end_is_stopped(quick, clock):
    def forever(log_weights, log_prob):
        while True:
            with contextlib.suppress(Exception):
                work(0.001)

    before = threading.enumerate()
    verdict = run_check(ID, forever)
    assert verdict.status == "timed out" and "loop that never ends" in verdict.hint
    assert verdict.message == "Your code did not finish within 0.3 seconds of processor time."
    assert verdict.seconds > 0.3
    assert_ended(before)


def test_what_only_waits_is_stopped(quick):
    def forever(log_weights, log_prob):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    before = threading.enumerate()
    verdict = run_check(ID, forever)
    assert verdict.status == "timed out" and "`input()`" in verdict.hint
    assert verdict.message == "Your code did not finish within 1.8 seconds."
    assert_ended(before)


@pytest.fixture
def patient(monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE", 1000)


def test_time_without_the_processor_does_not_count(quick, patient, clock):
    """An answer that sleeps is to the clocks what an answer is whose machine does something else."""

    def starved(log_weights, log_prob):
        time.sleep(0.5)
        return right(log_weights, log_prob)

    verdict = run_check(ID, starved)
    assert verdict.status == "passed" and verdict.seconds < 0.3


def test_an_import_does_not_count(quick, patient, clock, tmp_path, monkeypatch):
    (tmp_path / "large_library.py").write_text(
        "import time\nend = time.thread_time() + 1\nwhile time.thread_time() < end: pass"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def imports(log_weights, log_prob):
        importlib.import_module("large_library")
        return right(log_weights, log_prob)

    verdict = run_check(ID, imports)
    assert verdict.status == "passed" and verdict.seconds < 0.3
    del sys.modules["large_library"]


def test_time_spent_elsewhere_counts(quick):
    class Far(Elsewhere):
        def guarded(self, call):
            return lambda *inputs: time.sleep(60)

        def processor_seconds(self):
            return time.monotonic()

    verdict = run_check(ID, Far())
    assert verdict.status == "timed out" and verdict.message.startswith("Your code did not finish within 0.3 seconds")


def test_what_cannot_be_stopped_asks_for_a_new_kernel(quick):
    release = threading.Event()

    def stubborn(log_weights, log_prob):
        while not release.is_set():
            with contextlib.suppress(BaseException):
                time.sleep(0.001)

    verdict = run_check(ID, stubborn)
    release.set()
    assert verdict.status == "timed out"
    assert "could not be stopped" in verdict.message and "Restart the kernel" in verdict.hint


def test_an_interrupt_by_the_user_comes_through(interruptible):
    def slow(log_weights, log_prob):
        while True:
            time.sleep(0.001)

    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    before = threading.enumerate()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_check(ID, slow)
    assert_ended(before)


def test_prints_are_kept_to_the_first_lines(capsys):
    def chatty(log_weights, log_prob):
        for i in range(1000):
            print("line", i)
        return right(log_weights, log_prob)

    check(ID, chatty)
    out = capsys.readouterr().out
    assert "Your code printed:\n    line 0\n    line 1\n    line 2\n    line 3\n    line 4\n    …\n" in out
    assert "line 5" not in out


def test_global_state_does_not_leak():
    def careless(log_weights, log_prob):
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.manual_seed(123)
        np.random.seed(123)  # noqa: NPY002 what a student would write
        return right(log_weights, log_prob)

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run_check(ID, careless)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.zeros(1).device.type == "cpu"
    assert run_check(ID, right).status == "passed"


# --- where it is shown -----------------------------------------------------------------------------------------------


def test_importing_the_checks_is_light():
    code = "import sys, utils.checks; print([name for name in ('torch', 'numpy', 'IPython') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_script_ends_in_one_line_and_other_errors_look_as_usual(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        from utils.checks import check
        def e_step(log_weights, log_prob):
            raise NotImplementedError("gmm.e_step")
        if len(sys.argv) == 1:
            check("gmm.e_step", e_step)
        try:
            check("gmm.e_step", e_step)
        except NotImplementedError:
            pass
        1 / 0
        """)
    )
    done = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith("[Not attempted] gmm.e_step")
    assert done.stderr.startswith("NotAttempted: gmm.e_step: Write your code in the place of")
    assert len(done.stderr.splitlines()) == 1
    other = subprocess.run([sys.executable, script, "other"], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" in other.stderr and "ZeroDivisionError" in other.stderr and "line 12" in other.stderr


CELLS = [
    "from utils.checks import check\nimport torch",
    "check('gmm.e_step', lambda log_weights, log_prob: (log_weights + log_prob).softmax(-1))",
    "def e_step(log_weights, log_prob):\n    print('<i>here</i>')\n    return (log_weights + log_prob).softmax(0)",
    "check('gmm.e_step', e_step)",
    "def e_step(log_weights, log_prob):\n    return log_weights @ log_prob",
    "check('gmm.e_step', e_step)",
    "check('gmm.e', e_step)",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    made = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(made, allow_errors=True, kernel_name="python3", timeout=600)
    return client.execute(cwd=str(tmp_path_factory.mktemp("notebook")))


def outputs(notebook, cell: int, kind: str) -> list:
    return [output for output in notebook.cells[cell].outputs if output.output_type == kind]


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def test_a_notebook_shows_a_box_and_keeps_the_verdict_as_data(notebook):
    (shown,) = outputs(notebook, 1, "display_data")
    assert shown.data[MIME] == {"id": ID, "status": "passed", "message": "Well done.", "hint": ""}
    assert plain(shown.data["text/html"]) == "Passed gmm.e_step Well done."
    assert not outputs(notebook, 1, "error")


def test_a_wrong_answer_in_a_notebook_has_a_box_and_a_traceback_of_one_line(notebook):
    (shown,), (error,) = outputs(notebook, 3, "display_data"), outputs(notebook, 3, "error")
    html, data = shown.data["text/html"], shown.data[MIME]
    assert data["status"] == "wrong" and set(data) == {"id", "status", "message", "hint"}
    for said in (data["message"], data["hint"]):
        assert said in html and said in shown.data["text/plain"]
    assert "&lt;i&gt;here&lt;/i&gt;" in html and "<i>" not in html
    assert error.ename == "CheckFailed" and data["message"] in error.evalue
    assert len("\n".join(error.traceback).splitlines()) <= 3
    assert not outputs(notebook, 3, "stream")


def test_an_error_in_a_notebook_quotes_the_line_of_the_cell(notebook):
    (shown,), (error,) = outputs(notebook, 5, "display_data"), outputs(notebook, 5, "error")
    message = shown.data[MIME]["message"]
    assert shown.data[MIME]["status"] == "raised"
    assert "RuntimeError" in message and message.endswith("in line 2: `return log_weights @ log_prob`")
    assert len("\n".join(error.traceback).splitlines()) <= 3


def test_an_unknown_exercise_in_a_notebook_is_one_line(notebook):
    (error,) = outputs(notebook, 6, "error")
    assert error.ename == "UnknownExercise" and len("\n".join(error.traceback).splitlines()) == 1


def test_pytest_hides_the_frames_of_the_library():
    assert "__tracebackhide__" in utils.checks.check.__code__.co_varnames
