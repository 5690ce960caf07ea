"""Grade one submission: its cells run in the sandbox, its verdicts are computed outside of it.

A check runs here, on functions that live in the sandbox (`utils.course.grading.remote`). What a submission can send
back are values and errors; it sees neither the check at work nor the seed of its inputs.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cache

from utils.checks.verdicts import Verdict
from utils.course import CourseError
from utils.course.fingerprint import Fingerprints
from utils.course.grading.notebook_runner import MAX_TOLD
from utils.course.grading.sandbox import Limits, Sandbox
from utils.course.grading.stream import BadReply, Ended, Stream
from utils.course.grading.submissions import Assignment
from utils.course.register import Register

CELL_SECONDS, SECONDS = 60, 900  # of one cell, and of a whole submission
ERRORS_KEPT, ERRORS_TOLD, CELLS_NAMED = 100, 5, 8  # so that a report of many errors is no long one
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
    """`{"key", "student", "assignment", "verdicts", "errors", "notes", "seconds"}`.

    `verdicts` has one for each exercise, in order; `errors` pairs of a code cell and the exception in which it ended.
    """
    start = time.perf_counter()
    until = time.monotonic() + SECONDS
    sandbox = _sandbox(submission.limits, submission.unsafe)
    sandbox.start()
    from utils.course.grading.remote import GradientLink, judge  # torch: the sandbox imports it meanwhile, too

    ids = [task.id for task in submission.assignment.exercises]
    verdicts, left_out, errors = {}, [], {}
    cells = dict(enumerate(submission.cells, 1))
    while cells and len(verdicts) < len(ids) and len(left_out) <= CELLS_LEFT_OUT and time.monotonic() < until:
        with sandbox.submission() as connection:
            link = GradientLink(connection)
            try:
                errors = run_cells(link, cells, until)
            except Stuck as where:
                errors = where.errors
                left_out.append(f"{where} {sandbox.exceeded()}".strip())
                cells.pop(where.cell)
                continue
            for id in ids[len(verdicts) :]:
                if time.monotonic() > until:
                    break
                verdicts[id] = judge(link, id, seed_of(submission.secret, id), sandbox.processor_seconds)
                if link.closed:  # that process has ended, or has to be; the next one gets the rest
                    if verdicts[id].status == "raised" and (why := sandbox.exceeded()):
                        verdicts[id] = replace(verdicts[id], message=f"Your code was ended. {why}", hint="")
                    break
    notes = [submission.problem] * bool(submission.problem) + _told_once(errors) + left_out
    if time.monotonic() > until and len(verdicts) < len(ids):
        notes.append(f"It took longer than {SECONDS} s; what was left was not graded.")
    for id in ids[len(verdicts) :]:
        verdicts[id] = Verdict(id, "not attempted", "It was not graded: see the notes.")
    return {
        "key": submission.key,
        "student": submission.student,
        "assignment": submission.assignment.name,
        "verdicts": [asdict(verdicts[id]) for id in ids],
        "errors": [list(pair) for pair in errors.items()][:ERRORS_KEPT],
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


class Stuck(CourseError):
    """A cell did not end, or ended Python; `errors` of those before it."""

    def __init__(self, cell: int, what: str, errors: dict[int, str]):
        super().__init__(f"Code cell {cell} {what}; it was left out.")
        self.cell, self.errors = cell, errors


def run_cells(link: Stream, cells: dict[int, str], until: float = math.inf) -> dict[int, str]:
    """Have the numbered cells run in the sandbox, and none after `until`; the exceptions in which some of them ended.

    Raises:
        Stuck: one did not come to its end; the link is closed then.
    """
    from utils.course.grading.serialization import cleaned  # torch

    content = json.dumps(list(cells.items())).encode()
    left, errors = list(cells), {}
    try:
        link.until = min(until, time.monotonic() + CELL_SECONDS)
        link.send(len(content).to_bytes(8, "big") + content)
        while left:  # a frame at the end of each cell
            link.received, link.until = 0, min(until, time.monotonic() + CELL_SECONDS)
            match link.receive():
                case ["cell", str(said)], _:
                    if said:
                        errors[left[0]] = " ".join(cleaned(said, MAX_TOLD).split())
                case _:
                    raise Stuck(left[0], "sent what cannot be read", errors)
            left.pop(0)
    except (Ended, BadReply):
        what = "ended Python"
        if time.monotonic() >= link.until:
            whole = link.until == until
            what = "was running when the time was over" if whole else f"did not end within {CELL_SECONDS} s"
        raise Stuck(left[0], what, errors) from None
    link.until = math.inf
    return errors


def _told_once(errors: dict[int, str]) -> list[str]:
    """A sentence for each exception, the first one first: what is missing from the first cell on fails in many."""
    cells: dict[str, list[int]] = {}
    for cell, said in errors.items():
        if not said.startswith("NotImplementedError"):  # a stub, of which its verdict tells
            cells.setdefault(said.replace("`", "'"), []).append(cell)
    told = []
    for said, numbers in list(cells.items())[:ERRORS_TOLD]:
        more = f" and {len(numbers) - CELLS_NAMED} more" if len(numbers) > CELLS_NAMED else ""
        named = f"cell{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:CELLS_NAMED]))}{more}"
        told.append(f"Code {named} ended in `{said}`.")
    if more := sum(map(len, list(cells.values())[ERRORS_TOLD:])):
        told.append(f"{more} more code cells ended in other exceptions.")
    return told


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
