"""Find the check of an exercise, run it on a student's function, and say what was found.

For a student the check runs in the student's process, so everything that a function can do to a process is caught
here: it may raise, exit, print, never return, change its inputs or set a global. What comes out is always one of five
verdicts. Who grades runs the check in another process than the function: see `Elsewhere`.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import difflib
import importlib
import linecache
import pkgutil
import re
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from utils.checks.guard import Elsewhere, Printed, globals_kept, guard
from utils.checks.stopwatch import Stopwatch
from utils.checks.verdicts import (
    MIME,
    Brief,
    CheckFailed,
    Judged,
    NotAttempted,
    UnknownExercise,
    Verdict,
    Wrong,
    as_html,
    as_text,
)
from utils.output import show

PATIENCE = 6  # a check may last this many times its limit on the clock: beside busy programs, or waiting for something


# --- the register ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exercise:
    """A check and how it is run: see `exercise`."""

    id: str
    call: str
    seconds: float
    judge: Callable[[Callable, Any], str | None]


_exercises: dict[str, Exercise] = {}


def exercise(id: str, call: str, seconds: float = 10) -> Callable:
    """Register the decorated function as the check of exercise `id`.

    The function gets the student's function (guarded, called like the original) and a `torch.Generator`. It raises
    `Wrong`, or returns: None, or a sentence to show to those who passed.

    Args:
        id: ``family.function``, unique in the course.
        call: how the check calls the answer, such as ``"e_step(log_weights, log_prob)"``: positional arguments.
        seconds: limit of processor time, imports not counted; a function that takes longer is stopped.
    """

    def register(judge: Callable) -> Callable:
        known = _exercises.get(id)
        where = (judge.__module__, judge.__qualname__)
        if known and (known.judge.__module__, known.judge.__qualname__) != where:
            raise ValueError(
                f"two checks are registered as {id!r}: {known.judge.__qualname__} and {judge.__qualname__}"
            )
        _exercises[id] = Exercise(id, call, seconds, judge)
        return judge

    return register


def _load_all() -> None:
    package = importlib.import_module(__package__)
    for module in pkgutil.walk_packages(package.__path__, f"{__package__}."):
        importlib.import_module(module.name)


def exercise_ids() -> list[str]:
    """The ids of all exercises that have a check, sorted."""
    _load_all()
    return sorted(_exercises)


def _find(id: str) -> Exercise:
    if id not in _exercises:
        near = difflib.get_close_matches(str(id), exercise_ids(), n=3, cutoff=0.4)
        if id not in _exercises:
            did_you_mean = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {exercise_ids()}"
            raise UnknownExercise(f"there is no exercise {id!r}; {did_you_mean}")
    return _exercises[id]


def function_name(id: str) -> str:
    """The name of the function that a student writes in exercise `id`."""
    return _find(id).call.partition("(")[0]


# --- running a check -------------------------------------------------------------------------------------------------


def run_check(id: str, answer: Callable, seed: int = 0) -> Verdict:
    """Judge `answer`; prints nothing and raises nothing that comes from the student's code.

    Args:
        id: the exercise.
        answer: the student's function.
        seed: the inputs are drawn from it.

    Raises:
        UnknownExercise: no exercise has this id.
    """
    found = _find(id)
    printed, outcome, done = Printed(), [], threading.Event()
    watch = Stopwatch(answer.processor_seconds) if issubclass(type(answer), Elsewhere) else Stopwatch()

    def work() -> None:
        try:
            watch.begin()
            outcome.append(_judge(found, answer, seed))
            watch.end()
        finally:
            done.set()

    # A thread, because only that can be left behind on every platform, from any front end, whatever the code catches.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    with globals_kept(), contextlib.redirect_stdout(printed):
        thread.start()
        try:
            # In short waits, so that an interrupt by the user comes through everywhere; not by join(), which takes
            # a thread for ended once it was interrupted (Python 3.11 and 3.12).
            while not done.wait(0.1) and watch.seconds < found.seconds and watch.lasted < PATIENCE * found.seconds:
                watch.look()
        finally:
            watch.look()
            finished = bool(outcome)
            stopped = finished or _stop(thread, done)
    status, message, hint = outcome[0] if finished else _out_of_time(found, watch, stopped)
    return Verdict(id, status, message, hint, watch.seconds, printed.first_lines())


def _judge(found: Exercise, answer: Callable, seed: int) -> tuple[str, str, str]:
    import torch

    try:
        torch.default_generator.manual_seed(seed)
        remark = found.judge(guard(answer, found.call), torch.Generator().manual_seed(seed))
    except BaseException as error:  # a student's code may also call exit() or raise KeyboardInterrupt
        return _explain(error, found)
    return "passed", remark or "Well done.", ""


def _stop(thread: threading.Thread, done: threading.Event) -> bool:
    # SystemExit, because code that catches "every" exception seldom catches it and a thread dies of it silently.
    for _ in range(20):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        if done.wait(0.05):
            return True
    return False


def _out_of_time(found: Exercise, watch: Stopwatch, stopped: bool) -> tuple[str, str, str]:
    if watch.seconds < found.seconds:
        message = f"Your code did not finish within {PATIENCE * found.seconds:g} seconds"
        hint = "It mostly waited: look for a call of `input()` or `sleep()`."
    else:
        message = f"Your code did not finish within {found.seconds:g} seconds of processor time"
        hint = "Look for a loop that never ends, or a much too slow one."
    if not stopped:
        return "timed out", f"{message} and could not be stopped.", f"Restart the kernel first. {hint}"
    return "timed out", f"{message}.", hint


def _explain(error: BaseException, found: Exercise) -> tuple[str, str, str]:
    if isinstance(error, Wrong):
        return "wrong", error.message, error.hint
    if isinstance(error, Judged):
        return error.outcome
    if isinstance(error, NotImplementedError) and error.args in [(), (found.id,)]:
        stub = f'`raise NotImplementedError("{found.id}")`'
        return "not attempted", f"Write your code in the place of {stub}, then run its cell and this one again.", ""
    if isinstance(error, NotImplementedError) and error.args[0] in _exercises:
        return "not attempted", f"Your code calls the exercise `{error.args[0]}`, which is not written yet.", ""
    try:
        what = f"{type(error).__name__}: {error}".strip(": \n")
    except Exception:
        what = type(error).__name__
    frame = _students_frame(error.__traceback__, found)
    if frame is None:
        return "wrong", f"Your result could not be used: `{what}`.", f"Look at what `{found.call}` returns."
    code, number = frame
    line = linecache.getline(code.co_filename, number).strip()
    return "raised", f"Your code raised `{what}` in line {number}" + (f": `{line}`" if line else "."), _advice(error)


def _students_frame(traceback: TracebackType | None, found: Exercise):
    """The deepest frame that is neither of this package nor of an installed one: (code, line number) or None."""
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    library = tuple({str(Path(__file__).parents[1]), *installed, "<frozen", "<string>"} - {None})
    frame = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code is not found.judge.__code__ and not code.co_filename.startswith(library):
            frame = code, traceback.tb_lineno
        traceback = traceback.tb_next
    return frame


def _advice(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "Your function calls itself without end."
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "Leave the function with `return`."
    if isinstance(error, ZeroDivisionError):
        return "An input may be 0. Change the formula so that nothing is divided by it."
    if re.search(r"shape|size|dimension|Dimension", str(error)):
        return "Print the shapes of the tensors in that line."
    return ""


# --- telling the student ---------------------------------------------------------------------------------------------


def check(id: str, answer: Callable, seed: int = 0) -> None:
    """Judge `answer`, show the verdict, and raise unless it passed.

    Args:
        id: the exercise, such as ``"gmm.e_step"``.
        answer: your function (not its result).
        seed: the inputs are drawn from it.

    Raises:
        NotAttempted: the exercise still holds its stub.
        CheckFailed: the answer is wrong or raised.
        UnknownExercise: no exercise has this id.
    """
    __tracebackhide__ = True
    _shorten_tracebacks()
    verdict = run_check(id, answer, seed)
    data = {"id": verdict.id, "status": verdict.status, "message": verdict.message, "hint": verdict.hint}
    show(as_text(verdict), as_html(verdict), {MIME: data})
    if verdict.status != "passed":
        raise (NotAttempted if verdict.status == "not attempted" else CheckFailed)(verdict)


def _shorten_tracebacks() -> None:
    """Teach a plain interpreter what `_render_traceback_` teaches IPython; every other exception looks as before."""
    usual = sys.excepthook
    if getattr(usual, "knows_checks", False):
        return

    def hook(kind, error, traceback):
        if isinstance(error, Brief):
            print(*error._render_traceback_(), sep="\n", file=sys.stderr)
        else:
            usual(kind, error, traceback)

    hook.knows_checks = True
    sys.excepthook = hook
