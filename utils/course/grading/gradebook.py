"""A class graded: every submission once, its verdicts kept as they come, and what is written from them.

`<out>/verdicts/<assignment>/<student>.json` is the record. Grades, feedback and summary are made from it, so a run that
was broken off goes on where it was, and a second run changes nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from utils.course import CourseError
from utils.course.files import write
from utils.course.grading.grade import Submission, grade, grade_late, timed_out
from utils.course.grading.names import file_name
from utils.course.grading.report import write_reports
from utils.course.grading.roster import Person
from utils.course.grading.sandbox import Limits, Sandbox
from utils.course.grading.submissions import HandedIn
from utils.course.register import Register
from utils.course.tasks import known

Done = Callable[[dict], None]


def grade_class(
    handed_in: Sequence[HandedIn],
    out: Path,
    *,
    students: Collection[str] = (),
    exercises: Collection[str] = (),
    who: Mapping[str, Person] | None = None,
    register: Register | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    unsafe: bool = False,
    limits: Limits = Limits(),  # noqa: B008 it is frozen
    done: Done | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[dict]:
    """Grade what is not graded yet, and write grades, feedback and summary into `out`.

    Args:
        handed_in: see `utils.course.grading.submissions`.
        out: the instructor's folder; it also keeps the secret from which hidden seeds are made.
        students: grade these again, and nobody else.
        exercises: grade these again, and no others.
        who: who the students are, see `utils.course.grading.roster`.
        register: the course.
        jobs: submissions at a time; by default as many as there are processors, and fewer for a small class.
        scheduler: the address of a dask scheduler; by default a cluster of this machine's processes.
        unsafe: grade without a sandbox.
        limits: of each submission.
        done: told of each submission as it is graded.
        tell: told in the end what the instructor has to know, a line at a time.

    Returns:
        The results of `grade`, in the order of `handed_in`; with `students`, of those who have one.
    """
    known("student", students, list(dict.fromkeys(one.student for one in handed_in)))
    asked = [task.id for one in handed_in for task in one.assignment.exercises]
    known("exercise", exercises, list(dict.fromkeys(asked)))
    with Sandbox(limits, unsafe):  # where it cannot protect, say so before anything else
        pass
    secret = _secret(out)
    results: dict[int, dict] = {}

    def submission_of(one: HandedIn) -> Submission:
        return Submission(one.student, one.assignment, *one.cells(), secret, limits, unsafe)

    def waiting() -> Iterator[tuple[int, Submission]]:
        for number, one in enumerate(handed_in):
            record = _read(_record(out, one))
            if students and one.student not in students:
                if record and _covers(record, one):
                    results[number] = record
                continue
            submission = submission_of(one)
            if exercises and record and _covers(record, one):
                results[number] = record
                if again := tuple(task for task in one.assignment.exercises if task.id in exercises):
                    yield number, replace(submission, assignment=replace(one.assignment, exercises=again))
            elif record and record.get("key") == submission.key and not students:
                results[number] = record
            else:
                yield number, submission

    def keep(number: int, result: dict) -> None:
        one, before = handed_in[number], results.get(number)
        if before:  # only some exercises were graded again; the record is as valid as it was
            fresh = {verdict["id"]: verdict for verdict in result["verdicts"]}
            verdicts = [fresh.get(verdict["id"], verdict) for verdict in before["verdicts"]]
            result = before | {"verdicts": verdicts, "notes": result["notes"]}
        record = _record(out, one)
        record.parent.mkdir(parents=True, exist_ok=True)
        write(record, json.dumps(result, indent=1) + "\n")
        results[number] = result
        if done:
            done(result)

    failed, late = [], {}
    if jobs is None:  # a cluster takes seconds to start: it is worth them from about ten submissions a process on
        jobs = max(1, min(os.cpu_count() or 1, len(handed_in) // 10)) if find_spec("distributed") else 1
    for number, result in _graded(waiting(), jobs, scheduler):
        if isinstance(result, Exception):
            failed.append(f"{handed_in[number].student}: {result or type(result).__name__}")
        elif timed_out(result):
            late[number] = result
        else:
            keep(number, result)
    for number, result in late.items():  # when no other submission is being graded any more
        keep(number, grade_late(submission_of(handed_in[number]), result))
    if failed:
        raise CourseError(
            f"{len(failed)} submissions could not be graded; the others are kept, and the same command goes on from"
            " there:\n" + "\n".join(failed)
        )
    numbers = [number for number in range(len(handed_in)) if number in results]
    ordered = [results[number] for number in numbers]
    for line in write_reports([handed_in[number] for number in numbers], ordered, out, register or Register(), who):
        if tell:
            tell(line)
    return ordered


def _graded(
    waiting: Iterator[tuple[int, Submission]], jobs: int, scheduler: str | None
) -> Iterator[tuple[int, dict | Exception]]:
    """The results as they come: one after the other, or from a dask cluster."""
    first = next(waiting, None)
    if first is None:
        return
    waiting = itertools.chain([first], waiting)
    if jobs == 1 and not scheduler:
        yield from ((number, grade(submission)) for number, submission in waiting)
        return
    try:
        from distributed import LocalCluster, as_completed
    except ImportError:
        raise CourseError(
            "several submissions at a time need dask: `make instructor` adds it (without make:"
            " `python install.py --tests`), or give --jobs 1"
        ) from None
    cluster = None if scheduler else LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
    try:
        with _client(scheduler or cluster) as client:
            # A few on their way, not all: the memory of a class of 2,000 is that of a small one.
            ahead = 2 * max(1, sum(client.nthreads().values()))
            flying = as_completed()
            numbers = {}

            def send() -> None:
                for number, submission in waiting:
                    future = client.submit(grade, submission, key=f"{number}-{submission.key}", retries=3)
                    numbers[future.key] = number
                    flying.add(future)
                    if len(numbers) >= ahead:
                        return

            send()
            for future in flying:  # a worker that dies loses nothing: dask gives its submissions to another
                error = future.exception()
                yield numbers.pop(future.key), error or future.result()
                future.release()
                send()
    finally:
        if cluster:
            cluster.close()


def _client(where: object):
    from distributed import Client

    try:
        return Client(where)
    except OSError as error:
        raise CourseError(f"no dask scheduler answers at {where}: {error}") from None


def _record(out: Path, one: HandedIn) -> Path:
    return out / "verdicts" / file_name(one.assignment.name) / f"{file_name(one.student)}.json"


def _covers(record: dict, one: HandedIn) -> bool:
    """Whether a record has a verdict on each exercise of the assignment."""
    return [verdict["id"] for verdict in record["verdicts"]] == [task.id for task in one.assignment.exercises]


def _read(record: Path) -> dict | None:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _secret(out: Path) -> str:
    """What hidden seeds are made of: drawn once, so that grading again gives the same grades."""
    path = out / "hidden_seed.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, secrets.token_hex(16) + "\n")
        path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()
