"""The `course` command. Each function below is one of its verbs; the work is done in the module of the same name."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from utils.course import CourseError
from utils.course.register import ROOT, Chapter, Register
from utils.course.terminal import Terminal, printable

app = typer.Typer(
    help="A course on generative models: start a chapter, run it, and (for authors) keep text and notebook in sync.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
ASKED, AGAIN, WHERE = (
    "What was asked",
    "Grade again, although nothing changed",
    "Where and how",
)  # panels of `grade --help`
Names = Annotated[list[str] | None, typer.Argument(metavar="CHAPTER", help="number, name or beginning of a name")]


def main() -> None:
    """Run the command; a user's mistake ends in one message and status 1, Ctrl-C in status 130."""
    # As Ctrl-C does; not by way of its signal, which is ignored by what a script has started in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except CourseError as error:
        _fail(str(error))
    except OSError as error:  # a folder that is none, a disk that is full
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _fail(message: str) -> None:
    Terminal(stderr=True, soft_wrap=True, highlight=False).print(f"[red]course:[/] {escape(message)}")
    sys.exit(1)


def _register() -> Register:
    return Register(Path(os.environ.get("COURSE_ROOT", ROOT)))


def _console() -> Terminal:
    # A pipe has no width: do not cut lines that another program reads.
    return Terminal(highlight=False, width=None if sys.stdout.isatty() else 200)


@app.command("list", epilog="Example: [bold]course list[/]")
def list_() -> None:
    """Show the chapters: how long they take, what they need, and which exercises you have done in work/."""
    from utils.course.start import done

    register = _register()
    started = (register.root / "work").is_dir()
    table = Table("", "chapter", "to read", "to run", "needs", "done" if started else "exercises", "name")
    for part, chapters in register.parts.items():
        table.add_section()
        table.add_row("", f"[bold]{escape(part)}[/]")
        for chapter in chapters:
            passed, total = done(register, chapter)
            table.add_row(
                chapter.number,
                chapter.title,
                f"{chapter.minutes} min",
                f"{chapter.budget} s",
                ", ".join(register.find(need).number for need in chapter.needs) or "–",
                f"{passed} of {total}" if started else str(total),
                chapter.slug,
            )
    _console().print(table)


@app.command(epilog="Example: [bold]course start 04[/], then open work/04_gaussian_mixtures/lesson.ipynb")
def start(
    chapters: Names = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="start anew; your changed files move to work/backup/")] = False,
) -> None:
    """Copy the lesson and exercises of some chapters, or of all, into work/, never over your own work."""
    from utils.course.start import start as hand_out

    register = _register()
    if fresh and not chapters:
        raise CourseError("say which chapter to start anew, such as `course start 04 --fresh`")
    for line in hand_out(register, register.select(chapters), fresh):
        _console().print(escape(line), soft_wrap=True)


@app.command(epilog="Example: [bold]course run 04 -p mnist_components=50[/]")
def run(
    chapters: Names = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="a value for the parameters cell"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the executed notebook (default: work/runs)")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every chapter")] = False,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="notebooks side by side")] = 1,
    cell_seconds: Annotated[float, typer.Option(min=1, help="time limit of one cell, in seconds")] = 1800,
    seconds: Annotated[float, typer.Option(min=1, help="time limit of one notebook, in seconds")] = 7200,
) -> None:
    """Run lessons from top to bottom in an empty folder and show the results they record."""
    from utils.course import parameters as params
    from utils.course.execute import Job, execute, free_path
    from utils.course.notebooks import read
    from utils.course.results import missed

    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # somebody may use this machine meanwhile: see the Makefile
    register = _register()
    if bool(chapters) == all_:
        raise CourseError("say which chapter to run, such as `course run 04`, or `course run --all`")
    selected = register.select(chapters)
    given = {}
    for chapter in selected:
        known = params.defaults(read(chapter.lesson))
        given[chapter.slug] = params.parse(parameters or [], known)
    folder = out or register.root / "work" / "runs"
    outputs = {c.slug: free_path(folder, c.slug) for c in selected}
    work = [Job(c.lesson, outputs[c.slug], given[c.slug], cell_seconds, seconds) for c in selected]
    with _progress([outputs[c.slug].stem for c in selected]) as report:
        runs = execute(work, jobs, report)
    console = _console()
    failed = False
    for chapter, result in zip(selected, runs, strict=True):
        if result.failure:
            failed = True
            console.print(f"[red]{chapter.slug} failed[/], {escape(str(result.failure))}", soft_wrap=True)
            if result.output.exists():
                console.print(f"As far as it ran, it lies in {escape(_near(result.output))}", soft_wrap=True)
            continue
        _print_results(console, chapter, result)
        for sentence in missed(chapter, result.results):
            # With other parameters than the lesson's own, a missed requirement is news, not a fault.
            failed = failed or not given[chapter.slug]
            console.print(f"[yellow]missed:[/] {escape(sentence)}", soft_wrap=True)
        console.print(f"The executed notebook lies in {escape(_near(result.output))}", soft_wrap=True)
    raise typer.Exit(int(failed))


@app.command(epilog="Example: [bold]course sync 04[/] after editing chapters/04_gaussian_mixtures/lesson.py")
def sync(
    chapters: Names = None,
    force: Annotated[bool, typer.Option("--force", help="execute even where nothing changed")] = False,
    take_notebook: Annotated[
        bool, typer.Option("--take-notebook", help="bring edits made in the notebook into the text")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="change nothing; list what is stale, exit with 1")] = False,
) -> None:
    """For authors: text to notebook. Formats, rebuilds exercises, executes what changed, renews the tables."""
    from utils.course.sync import problems
    from utils.course.sync import sync as synchronize

    register = _register()
    console = _console()
    if check:
        found = list(problems(register))
        for line in found:
            console.print(escape(line), soft_wrap=True)
        raise typer.Exit(int(bool(found)))
    selected = register.select(chapters)
    with _progress([]) as report:
        for line in synchronize(register, selected, force=force, take_notebook=take_notebook, progress=report):
            console.print(escape(line), soft_wrap=True)


@app.command(epilog="Example: [bold]course new 34_point_processes --part Applications[/]")
def new(
    name: Annotated[str, typer.Argument(metavar="NN_topic", help="number and topic of the chapter")],
    title: Annotated[str | None, typer.Option(help="(default: the topic in words)")] = None,
    part: Annotated[str | None, typer.Option(help="(default: that of the chapter before)")] = None,
) -> None:
    """For authors: write every file of a new chapter as a skeleton, over nothing that exists."""
    from utils.course.new import new as begin

    for line in begin(_register(), name, title, part):
        _console().print(escape(line), soft_wrap=True)
    number = name[:2]
    _console().print(f"Now `course sync {number}`; what is still to write, `course test {number} --quick` says.")


@app.command(epilog="Example: [bold]course test 04 --quick[/], or [bold]course test --since origin/main[/]")
def test(
    chapters: Names = None,
    since: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="what the changes since then can have broken")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="all tests of the course")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="without the execution of lessons")] = False,
    lessons: Annotated[bool, typer.Option("--lessons", help="only the execution of lessons")] = False,
) -> None:
    """For authors: run the tests that concern some chapters, or what changed."""
    from utils.course.test import run_tests

    register = _register()
    if bool(chapters) + bool(since) + everything != 1:
        raise CourseError("say which chapter to test, such as `course test 04`, or `course test --since origin/main`")
    options = [f"--chapter={chapter.slug}" for chapter in register.select(chapters)] if chapters else []
    options += [f"--since={since}"] * bool(since)
    raise typer.Exit(run_tests(register, options, quick=quick or not lessons, lessons=lessons or not quick))


@app.command(epilog="Example: [bold]course results --json[/]")
def results(
    chapters: Names = None,
    write: Annotated[bool, typer.Option("--write", help="renew the tables in the pages")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print a list of objects")] = False,
) -> None:
    """Show the numbers that the executed lessons recorded, and what they cost."""
    from utils.course.results import collect, measured, required, write_pages

    register = _register()
    console = _console()
    if write:
        changed = write_pages(register)
        console.print("renewed: " + ", ".join(changed) if changed else "the pages were up to date")
        return
    rows = collect(register, register.select(chapters))
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table("chapter", "result", "value", "unit", "kind", "required", "seconds", "MB")
    for row in rows:
        cells = row["chapter"], row["key"], measured(row), row["unit"], row["kind"], required(row)
        table.add_row(*cells, str(row["seconds"]), str(row["memory_mb"]))
    console.print(table)


@app.command(epilog="Example: [bold]course exercises 04[/], or [bold]course exercises --csv > exercises.csv[/]")
def exercises(
    chapters: Names = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="print lines of comma-separated values")] = False,
) -> None:
    """Show the exercises: tier, minutes, points, and what each teaches, to put an assignment together."""
    from utils.course.notebooks import read
    from utils.course.tasks import tasks_of

    rows = [(c.number, task) for c in _register().select(chapters) for task in tasks_of(read(c.exercises))]
    if as_csv:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(["chapter", "id", "tier", "minutes", "points", "by_hand", "teaches"])
        lines.writerows([number, t.id, t.tier, t.minutes, t.points, t.by_hand, t.teaches] for number, t in rows)
        return
    table = Table("", "exercise", "tier", "minutes", "points", "by hand", "teaches", show_footer=True)
    for number, t in rows:
        table.add_row(
            number, t.id, t.tier, str(t.minutes), str(t.points), str(t.by_hand) if t.by_hand else "", escape(t.teaches)
        )
    table.columns[1].footer = f"{len(rows)} exercises"
    for column, name in zip(table.columns[3:6], ("minutes", "points", "by_hand"), strict=True):
        column.justify, column.footer = "right", str(sum(getattr(task, name) for _, task in rows))
    _console().print(table)


@app.command(epilog="Example: [bold]course release 04 --to ~/assignments --without gmm.held_out[/]")
def release(
    chapters: Annotated[list[str], typer.Argument(metavar="CHAPTER...", help="number, name or beginning of a name")],
    to: Annotated[Path, typer.Option(help="the folder; nothing of yours in it is overwritten")],
    format_: Annotated[
        str, typer.Option("--format", metavar="nbgrader|folder", help="a course of nbgrader, or plain folders")
    ] = "nbgrader",
    only: Annotated[
        list[str] | None, typer.Option(metavar="TIER", help="core, extend or challenge; may be repeated")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="leave this exercise out; may be repeated")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="number of a variant: other data, the same exercises")] = None,
) -> None:
    """For instructors: write a chapter's exercises into a folder to hand out, without any solution."""
    from utils.course.release import release as write_release

    for line in write_release(_register().select(chapters), to, format_, only or (), without or (), seed):
        _console().print(escape(line), soft_wrap=True)


@app.command(epilog="Example: [bold]course grade collected --chapter 04 --only core --roster roster.csv[/]")
def grade(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="<student>.ipynb, or a folder a student; docs/instructors.md has more")
    ],
    chapter: Annotated[
        str | None, typer.Option(help="what was asked, if no points.json lies in DIR", rich_help_panel=ASKED)
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="TIER", help="as it was released", rich_help_panel=ASKED)
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="as it was released", rich_help_panel=ASKED)
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(metavar="CSV", help="who is in the class (default: DIR/roster.csv)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where grades and feedback go (default: DIR/grades)")] = None,
    student: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="only this one; may be repeated", rich_help_panel=AGAIN)
    ] = None,
    exercise: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="only this one; may be repeated", rich_help_panel=AGAIN)
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, help="submissions at a time (default: all)", rich_help_panel=WHERE),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="a dask scheduler on your network", rich_help_panel=WHERE)
    ] = None,
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe", help="grade without a sandbox: read every notebook first", rich_help_panel=WHERE),
    ] = False,
) -> None:
    """For instructors: grade a class in a sandbox. Writes grades.csv, feedback for each student and a summary."""
    from utils.course.grading.gradebook import grade_class
    from utils.course.grading.roster import collected
    from utils.course.grading.sandbox import UNPROTECTED
    from utils.course.grading.submissions import stated

    register, console, target = _register(), _console(), out or folder / "grades"
    if (only or without) and not chapter:
        raise CourseError("--only and --without are about the exercises of --chapter: give it, too")
    asked = stated(register, chapter, only or (), without or ()) if chapter else None
    found, who, told = collected(folder, register, asked, target, roster)
    for assignment in dict.fromkeys(one.assignment for one in found):
        console.print(escape(f"{assignment.name}: {len(assignment.exercises)} exercises"), soft_wrap=True)
    if unsafe:
        Terminal(stderr=True).print(f"[yellow]unsafe:[/] {escape(UNPROTECTED.split('.')[0])}", soft_wrap=True)
    with _bar("graded", len(found)) as step:
        results = grade_class(
            found,
            target,
            students=student or (),
            exercises=exercise or (),
            who=who,
            register=register,
            jobs=jobs,
            scheduler=scheduler,
            unsafe=unsafe,
            done=lambda result: step(result["student"]),
            tell=told.append,
        )
    passed = sum(verdict["status"] == "passed" for result in results for verdict in result["verdicts"])
    total = sum(len(result["verdicts"]) for result in results)
    console.print(f"{len(results)} submissions, {passed} of {total} exercises passed", soft_wrap=True)
    for line in told:
        what, _, more = line.partition(": ")
        console.print(f"[yellow]{escape(what)}[/]" + (f": {escape(more)}" if more else ""), soft_wrap=True)
    console.print(f"Grades, feedback and summary lie in {escape(_near(target))}", soft_wrap=True)


@app.command(epilog="Example: [bold]course doctor[/]")
def doctor() -> None:
    """Look whether this environment can run the course, and say how to fix what cannot."""
    from utils.course.doctor import run_doctor

    raise typer.Exit(int(not run_doctor(_console())))


def _print_results(console: Terminal, chapter: Chapter, run) -> None:
    from utils.course.results import measured

    title = f"{chapter.slug}: {run.seconds:.0f} s, at most {run.memory_mb:,.0f} MB"
    table = Table("result", "value", "unit", "kind", title=title)
    for row in run.results:
        table.add_row(row["key"], measured(row), row["unit"], row["kind"])
    console.print(table)


def _near(path: Path) -> str:
    """The path from here, if it lies below; whole otherwise."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _bars(before: str, behind: str) -> Progress:
    """Bars on stderr, only where somebody watches, between two texts."""
    console = Terminal(stderr=True)
    columns = TextColumn(before), BarColumn(), TextColumn(behind), TimeElapsedColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextlib.contextmanager
def _progress(names: list[str]):
    """A bar a notebook; yields what `execute` calls at each cell."""
    with _bars("{task.description}", "cell {task.completed} of {task.total}") as progress:
        tasks = {name: progress.add_task(name, total=None) for name in names}

        def report(job, cell: int, of: int) -> None:
            name = job.output.stem
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=of)
            progress.update(tasks[name], total=of, completed=cell)

        yield report


@contextlib.contextmanager
def _bar(what: str, total: int):
    """One bar; yields a function to call with the name of each thing done."""
    with _bars(what, "{task.completed} of {task.total}  {task.description}") as progress:
        task = progress.add_task("", total=total)
        yield lambda name: progress.update(task, advance=1, description=escape(printable(name)))


if __name__ == "__main__":
    main()
