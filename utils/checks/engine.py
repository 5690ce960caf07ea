"""Find the check of an exercise, run it on a student's function, and say what was found.

For a student the check runs in the student's process, so everything that a function can do to a process is caught
here: it may raise, exit, print, never return, change its inputs or set a global. What comes out is always one of five
verdicts. Who grades runs the check in another process than the function: see `Elsewhere`.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import ctypes
import difflib
import html
import importlib
import inspect
import io
import linecache
import pkgutil
import random
import re
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from utils.checks.stopwatch import Stopwatch
from utils.output import show

MIME = "application/vnd.course.check+json"
LINES_SHOWN, CHARACTERS_KEPT = 5, 2000
PATIENCE = 6  # a check may last this many times its limit on the clock: beside busy programs, or waiting for something


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        id: the exercise.
        status: ``passed``, ``not attempted``, ``wrong``, ``raised`` (the student's code raised an exception) or
            ``timed out``.
        message: one sentence; for ``wrong`` it names the mistake, for ``raised`` it quotes the student's own line.
        hint: one sentence on what to do next, or empty.
        seconds: how long the check took, in seconds of processor time without imports.
        printed: the first lines that the student's code printed.
    """

    id: str
    status: str
    message: str
    hint: str = ""
    seconds: float = 0.0
    printed: str = ""


class Wrong(Exception):
    """Raised by a check: the answer is wrong. One sentence names the mistake, one hint helps on."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint


class Judged(Exception):
    """The student's code failed where it ran, in another process, and there the outcome was found. Never ``passed``."""

    def __init__(self, status: str, message: str, hint: str = ""):
        if status not in ("not attempted", "wrong", "raised"):
            raise ValueError(f"{status!r} is no way to fail")
        super().__init__(message)
        self.outcome = status, message, hint


class _Brief:
    """An exception whose message says it all: it is shown in one line, without the frames of this library."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for this
        return [f"{type(self).__name__}: {self}"]


class CheckFailed(_Brief, AssertionError):
    """The answer did not pass; `verdict` says why."""

    def __init__(self, verdict: Verdict):
        super().__init__(verdict)
        self.verdict = verdict

    def __str__(self) -> str:
        return f"{self.verdict.id}: {self.verdict.message}"


class NotAttempted(CheckFailed, NotImplementedError):
    """The exercise still holds its stub."""


class UnknownExercise(_Brief, LookupError):
    """No exercise has this id."""


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


# --- a student's function, guarded -----------------------------------------------------------------------------------


class Guarded:
    """A student's function: called like it, it also sees whether it can be called so and what it did to its inputs."""

    def __init__(self, function: Callable, call: str):
        self.call = call
        self.name, _, names = call.rstrip(")").partition("(")
        self.names = names.split(", ")
        if isinstance(function, type):
            raise Wrong(f"You gave the class `{function.__name__}`, not a function.", f"Define `{call}` with `def`.")
        if not callable(function):
            raise Wrong(
                f"You gave a value of type `{type(function).__name__}`, not a function.",
                f"Give the function itself, without calling it: `{self.name}`, not `{call}`.",
            )
        self.function = function

    def __call__(self, *inputs: Any) -> Any:
        with contextlib.suppress(ValueError):  # some callables of C have no signature
            signature = inspect.signature(self.function)
            try:
                signature.bind(*inputs)
            except TypeError:
                raise Wrong(
                    f"Your function cannot be called as `{self.call}`: its arguments are `{signature}`.",
                    "Keep the first line of the function as it was given.",
                ) from None
        before, asked = [_copied(value) for value in inputs], [_asks_for_gradients(value) for value in inputs]
        result = self.function(*inputs)
        for name, old, new in zip(self.names, before, inputs, strict=True):
            if not _same(old, new):
                copied = f"{name}.clone()" if hasattr(new, "clone") else f"copy.deepcopy({name})"
                raise Wrong(
                    f"Your function changes its argument `{name}` in place.",
                    f"Work on a copy, `{copied}`; avoid `+=`, `x[...] = ` and methods that end in `_`.",
                )
        for name, was, value in zip(self.names, asked, inputs, strict=True):
            if _asks_for_gradients(value) != was:
                raise Wrong(
                    f"Your function changes its argument `{name}`: it turns gradients on or off in it.",
                    f"Work on a copy: `{name}.clone().requires_grad_()`.",
                )
        return result

    def work(self, *inputs: Any) -> int:
        """How many operations on numbers a call takes."""
        from utils.checks.operation_count import OperationCount

        with OperationCount() as counted:
            self.function(*inputs)
        return counted.done


class Elsewhere:
    """A function that lives in another process, where it is guarded, too."""

    def guarded(self, call: str) -> Callable:
        raise NotImplementedError

    def processor_seconds(self) -> float:
        """What that process has spent so far."""
        return 0.0


def guard(function: Callable, call: str) -> Callable:
    """`function`, an answer or what an answer returned, so that `call` is looked after: see `Guarded`."""
    return function.guarded(call) if issubclass(type(function), Elsewhere) else Guarded(function, call)


def _copied(value: Any) -> Any:
    import torch

    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def _asks_for_gradients(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.requires_grad


def _same(old: Any, new: Any) -> bool:
    import torch

    if isinstance(old, torch.Tensor):
        if old.shape != new.shape or old.dtype != new.dtype:
            return False
        return bool(((old == new) | (old.isnan() & new.isnan())).all())
    if isinstance(old, dict):  # the order of its keys may mean something
        return _same(list(old.items()), list(new.items()))
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new


class _Printed(io.TextIOBase):
    """Keeps the beginning of what was printed, however much it is."""

    kept = ""

    def write(self, text: str) -> int:
        self.kept += text[: CHARACTERS_KEPT - len(self.kept)]
        return len(text)

    def first_lines(self) -> str:
        lines = self.kept.rstrip().splitlines()
        more = len(lines) > LINES_SHOWN or len(self.kept) == CHARACTERS_KEPT
        return "\n".join(lines[:LINES_SHOWN] + ["…"] * more)


@contextlib.contextmanager
def _globals_kept() -> Iterator[None]:
    """Put back the global state that a student's function may set. (Grad mode and device belong to its thread.)"""
    import numpy as np
    import torch

    dtype, torch_state = torch.get_default_dtype(), torch.get_rng_state()
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 the state is what is meant
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


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
    printed, outcome, done = _Printed(), [], threading.Event()
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
    with _globals_kept(), contextlib.redirect_stdout(printed):
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
    show(_as_text(verdict), _as_html(verdict), {MIME: data})
    if verdict.status != "passed":
        raise (NotAttempted if verdict.status == "not attempted" else CheckFailed)(verdict)


def _shorten_tracebacks() -> None:
    """Teach a plain interpreter what `_render_traceback_` teaches IPython; every other exception looks as before."""
    usual = sys.excepthook
    if getattr(usual, "knows_checks", False):
        return

    def hook(kind, error, traceback):
        if isinstance(error, _Brief):
            print(*error._render_traceback_(), sep="\n", file=sys.stderr)
        else:
            usual(kind, error, traceback)

    hook.knows_checks = True
    sys.excepthook = hook


WORDS = {
    "passed": "Passed",
    "not attempted": "Not attempted",
    "wrong": "Wrong",
    "raised": "Error",
    "timed out": "Timed out",
}
# Dark enough for white letters, so that they read alike on a light and on a dark page.
COLORS = dict.fromkeys(WORDS, "#c62828") | {"passed": "#2e7d32", "not attempted": "#8a5a00"}


def _as_text(verdict: Verdict) -> str:
    lines = [f"[{WORDS[verdict.status]}] {verdict.id}: {verdict.message}"]
    if verdict.hint:
        lines.append(f"  Hint: {verdict.hint}")
    if verdict.printed:
        lines += ["  Your code printed:", *(f"    {line}" for line in verdict.printed.splitlines())]
    return "\n".join(lines)


def _as_html(verdict: Verdict) -> str:
    color = COLORS[verdict.status]

    def marked(text: str) -> str:
        return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)).replace("\n", "<br>")

    parts = [
        f'<div style="border:1px solid {color};border-left-width:6px;border-radius:4px;padding:0.5em 0.9em;'
        f"margin:0.3em 0;max-width:56em;line-height:1.5;color:inherit;"
        f'font-family:var(--jp-content-font-family, system-ui, sans-serif)" role="status">',
        f'<span style="background:{color};color:#fff;border-radius:3px;padding:0.1em 0.5em;font-weight:600">'
        f"{WORDS[verdict.status]}</span> <code>{html.escape(verdict.id)}</code>",
        f'<div style="margin-top:0.35em">{marked(verdict.message)}</div>',
    ]
    if verdict.hint:
        parts.append(f'<div style="margin-top:0.35em"><strong>Hint:</strong> {marked(verdict.hint)}</div>')
    if verdict.printed:
        parts.append(
            '<div style="margin-top:0.35em">Your code printed:</div>'
            '<pre style="margin:0.2em 0 0 1em;background:transparent;color:inherit;'
            'font-family:var(--jp-code-font-family, monospace)">'
            f"{html.escape(verdict.printed)}</pre>"
        )
    return "".join(parts) + "</div>"
