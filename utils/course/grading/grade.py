"""Grade one submission: its cells run in the sandbox, its verdicts are computed outside of it.

A check runs here, on functions that live in the sandbox (`utils.course.grading.remote`). What a submission can send
back are values and errors; it sees neither the check at work nor the seed of its inputs.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import socket
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cache

from utils.checks.engine import Verdict
from utils.course.fingerprint import Fingerprints
from utils.course.grading.sandbox import Limits, Sandbox
from utils.course.grading.submissions import Assignment
from utils.course.register import Register

CELL_SECONDS, SECONDS = 60, 900  # of one cell, and of a whole submission
CELLS_LEFT_OUT = 3  # a cell that does not end, or ends Python, is left out; after so many the notebook is given up


@dataclass(frozen=True)
class Submission:
    """A notebook on its way to a grader: all that is needed to grade it, and nothing of another.

    `cells` is its code; `problem` says why there is none; `secret` is what the seeds of the checks are made of.
    """

    student: str
    assignment: Assignment
    cells: tuple[str, ...]
    problem: str = ""
    secret: str = ""
    limits: Limits = field(default_factory=Limits)
    unsafe: bool = False

    @property
    def key(self) -> str:
        """Of all that the verdicts depend on: where it is the same, they are the same."""
        ids = tuple(task.id for task in self.assignment.exercises)
        known = [self.student, self.assignment.name, ids, self.cells, self.problem, self.secret, _judged_with(ids)]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def grade(submission: Submission) -> dict:
    """`{"key", "student", "assignment", "verdicts", "notes", "seconds"}`: a verdict for each exercise, in order."""
    start = time.perf_counter()
    sandbox = _sandbox(submission.limits, submission.unsafe)
    sandbox.start()
    from utils.course.grading.remote import GradientLink, judge  # torch: the sandbox imports it meanwhile, too

    ids = [task.id for task in submission.assignment.exercises]
    verdicts, notes = {}, [submission.problem] if submission.problem else []
    cells = dict(enumerate(submission.cells, 1))
    stuck = 0
    while cells and len(verdicts) < len(ids):
        if time.perf_counter() - start > SECONDS:
            notes.append(f"It took longer than {SECONDS} s; what was left was not graded.")
            break
        with sandbox.submission() as connection:
            try:
                notes += _run_cells(connection, cells)
            except _Stuck as where:
                notes.append(str(where))
                cells.pop(where.cell, None)
                stuck += 1
                if stuck > CELLS_LEFT_OUT:
                    break
                continue
            link = GradientLink(connection)
            for id in ids[len(verdicts) :]:
                verdicts[id] = judge(link, id, seed_of(submission.secret, id), sandbox.processor_seconds)
                if link.closed:
                    break  # that process has ended, or has to be; the next one gets the rest
    for id in ids[len(verdicts) :]:
        verdicts[id] = Verdict(id, "not attempted", "It was not graded: see the notes.")
    return {
        "key": submission.key,
        "student": submission.student,
        "assignment": submission.assignment.name,
        "verdicts": [asdict(verdicts[id]) for id in ids],
        "notes": list(dict.fromkeys(notes)),
        "seconds": time.perf_counter() - start,
    }


def timed_out(result: dict) -> list[str]:
    """The exercises of a result whose answers did not end in time."""
    return [verdict["id"] for verdict in result["verdicts"] if verdict["status"] == "timed out"]


def grade_late(submission: Submission, result: dict) -> dict:
    """The result, with a second try for what timed out: before points are lost, the machine is to have been idle."""
    late = timed_out(result)
    tasks = tuple(task for task in submission.assignment.exercises if task.id in late)
    second = grade(replace(submission, assignment=replace(submission.assignment, exercises=tasks)))
    verdicts = {verdict["id"]: verdict for verdict in second["verdicts"]}
    return result | {
        "verdicts": [verdicts.get(verdict["id"], verdict) for verdict in result["verdicts"]],
        "notes": list(dict.fromkeys([*result["notes"], *second["notes"]])),
        "seconds": result["seconds"] + second["seconds"],
    }


class _Stuck(Exception):
    """A cell did not end, or ended Python."""

    def __init__(self, cell: int, what: str):
        super().__init__(f"Code cell {cell} {what}; it was left out.")
        self.cell = cell


def _run_cells(connection: socket.socket, cells: dict[int, str]) -> list[str]:
    """Have the cells run in the sandbox; what went wrong in them, a sentence each."""
    connection.settimeout(CELL_SECONDS)
    left, errors = list(cells), []
    try:
        content = json.dumps(list(cells.values())).encode()
        connection.sendall(len(content).to_bytes(8, "big") + content)
        while left:  # a byte at the end of each cell
            match connection.recv(1):
                case b"":
                    raise _Stuck(left[0], "ended Python")
                case b"!":
                    errors.append(f"Code cell {left[0]} ended in an error.")
            left.pop(0)
    except TimeoutError:
        raise _Stuck(left[0], f"did not end within {CELL_SECONDS} s") from None
    except OSError:
        raise _Stuck(left[0], "ended Python") from None
    return errors


@cache
def _sandbox(limits: Limits, unsafe: bool) -> Sandbox:
    """The one sandbox of this process."""
    sandbox = Sandbox(limits, unsafe)
    atexit.register(sandbox.close)
    return sandbox


@cache
def _judged_with(ids: tuple[str, ...]) -> dict[str, str]:
    """What the verdicts on these exercises depend on besides the submission: verdicts of other checks are others."""
    return Fingerprints(Register()).of_checks(ids)


def seed_of(secret: str, id: str) -> int:
    """The seed of an exercise's inputs: nobody knows it who does not know the secret."""
    return int.from_bytes(hashlib.sha256(f"{secret}:{id}".encode()).digest()[:4], "big")
