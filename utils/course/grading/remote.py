"""A check that runs here, on functions that live in a student's process: the verdict cannot be forged from there.

The check sees the student's functions through a `Link`. What comes back is a value to be judged, an exception or the
end of the link, and all but right values lead to a verdict other than ``passed``. One thing is taken on trust, for only
there it can be counted: how much work a function does (see `RemoteFunction.work`).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from utils.checks import Verdict, engine, run_check
from utils.checks.engine import Exercise
from utils.checks.guard import Elsewhere, Guarded, Printed, globals_kept, guard
from utils.checks.verdicts import Judged, Wrong
from utils.course.grading.definitions import defined_names
from utils.course.grading.gradients import GradientLink
from utils.course.grading.rpc import Link, Side
from utils.course.grading.serialization import MAX_HINT, MAX_MESSAGE, cleaned
from utils.course.grading.stream import Ended


def judge(link: Link, id: str, seed: int, processor_seconds: Callable[[], float] = lambda: 0.0) -> Verdict:
    """The verdict on the function of exercise `id` that the process behind `link` holds.

    A link is of use for the next exercise unless it is `closed`: then that process broke off or has to be ended.

    Args:
        link: ``GradientLink(socket)``, whose other end a student's process serves.
        id: the exercise.
        seed: the inputs are drawn from it; it stays here.
        processor_seconds: what that process has spent so far, as the system tells it.
    """
    link.reset()
    verdict = run_check(id, _Answer(link, id, seed, processor_seconds), seed)
    message, hint = cleaned(verdict.message, MAX_MESSAGE), cleaned(verdict.hint, MAX_HINT)  # they may quote values
    return replace(verdict, message=message, hint=hint, printed=link.end())


def serve(connection: socket.socket, namespace: Mapping[str, Any], failed: Mapping[int, str] | None = None) -> None:
    """Let whoever grades call the functions of `namespace`, until they hang up; `failed` are cells with an error."""
    student = _Student(namespace, failed)
    link = GradientLink(connection, student)
    with contextlib.suppress(Ended):
        link.serve()
    student.end()


class _Answer(Elsewhere):
    """A student's function before it was asked for."""

    def __init__(self, link: Link, id: str, seed: int, processor_seconds: Callable[[], float]):
        digest = hashlib.sha256(f"{id} {seed}".encode()).digest()
        self._link, self._id, self._luck = link, id, int.from_bytes(digest[:4], "big")
        self.processor_seconds = processor_seconds

    def guarded(self, call: str) -> Callable:
        return self._link.ask_function("begin", self._id, call, self._luck)


class _Student(Side):
    trusts = True

    def __init__(self, namespace: Mapping[str, Any], failed: Mapping[int, str] | None = None):
        self.namespace, self.failed = namespace, failed or {}
        self.services = {  # what the grader's side may ask for by name
            "begin": self.begin,
            "end": self.end,
            "guard": Guarded,
            "work": lambda function, *inputs: function.work(*inputs),
        }
        self._exercise, self._printed, self._state = None, Printed(), contextlib.ExitStack()

    def begin(self, id: str, call: str, luck: int) -> Callable:
        self._exercise, self._printed = Exercise(id, call, 0, judge=lambda *_: None), Printed()
        self._state.enter_context(globals_kept())
        torch.manual_seed(luck)
        np.random.seed(luck)  # noqa: NPY002 a student's code may use it
        random.seed(luck)
        name = call.partition("(")[0]
        if name not in self.namespace:
            for number in [number for number, source in self.failed.items() if name in defined_names(source)]:
                message = f"`{name}` is not defined, because code cell {number} ended in an error."
                raise Judged("raised", message, "The first note says in which one: begin there.")
            raise Wrong(f"Your notebook does not define `{name}`.", f"The check calls `{call}`: keep this name.")
        return guard(self.namespace[name], call)

    def listening(self) -> contextlib.AbstractContextManager:
        return contextlib.redirect_stdout(self._printed)

    def end(self) -> str:
        self._state.close()
        return self._printed.first_lines()

    def explain(self, error: BaseException) -> tuple[str, str, str]:
        if isinstance(error, NotImplementedError):
            engine.exercise_ids()  # perhaps the stub of another exercise
        return engine._explain(error, self._exercise)
