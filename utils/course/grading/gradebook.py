"""A class graded: every submission once, its verdicts kept as they come, and what is written from them.

`<out>/verdicts/<assignment>/<student>.json` is the record. Grades, reports and summary are made from it, so a run that
was broken off goes on where it was, and a second run changes nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from utils.course import CourseError
from utils.course.files import write
from utils.course.grading.grade import Submission, grade, grade_late, timed_out
from utils.course.grading.report import write_reports
from utils.course.grading.sandbox import Limits, Sandbox
from utils.course.grading.submissions import HandedIn

Done = Callable[[dict], None]


def grade_class(
    handed_in: Sequence[HandedIn],
    out: Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    unsafe: bool = False,
    limits: Limits = Limits(),  # noqa: B008 it is frozen
    done: Done | None = None,
) -> list[dict]:
    """Grade what is not graded yet, and write grades, reports and summary into `out`.

    Args:
        handed_in: see `utils.course.grading.submissions`.
        out: the instructor's folder; it also keeps the secret from which hidden seeds are made.
        jobs: submissions at a time; by default as many as there are processors, and fewer for a small class.
        scheduler: the address of a dask scheduler; by default a cluster of this machine's processes.
        unsafe: grade without a sandbox.
        limits: of each submission.
        done: told of each submission as it is graded.

    Returns:
        The results of `grade`, in the order of `handed_in`.
    """
    with Sandbox(limits, unsafe):  # where it cannot protect, say so before anything else
        pass
    secret = _secret(out)
    results: dict[int, dict] = {}

    def submission_of(one: HandedIn) -> Submission:
        return Submission(one.student, one.assignment, *one.cells(), secret, limits, unsafe)

    def waiting() -> Iterator[tuple[int, Submission]]:
        for number, one in enumerate(handed_in):
            submission = submission_of(one)
            if (known := _read(_record(out, one))) and known.get("key") == submission.key:
                results[number] = known
            else:
                yield number, submission

    def keep(number: int, result: dict) -> None:
        record = _record(out, handed_in[number])
        record.parent.mkdir(parents=True, exist_ok=True)
        write(record, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
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
    ordered = [results[number] for number in range(len(handed_in))]
    write_reports([one.assignment for one in handed_in], ordered, out)
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
    # A student is called what a folder is called; quoting keeps any such name one file below `verdicts`.
    return out / "verdicts" / quote(one.assignment.name, safe=" ") / f"{quote(one.student, safe=' ')}.json"


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
