"""From text to notebook, one way: what `course sync` does, and what is wrong where it was not done."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from utils.course import CourseError
from utils.course.execute import Job, Progress, execute, free_path
from utils.course.exercises import BEGIN, END, generate, taken_twice
from utils.course.files import back_up, read_text, write
from utils.course.fingerprint import Fingerprints
from utils.course.notebooks import dumps, from_text, read, read_shared, smaller, sources_hash, to_text, update
from utils.course.parameters import defaults as parameters
from utils.course.register import Chapter, Register
from utils.course.results import write_pages

MAX_BYTES = 1_000_000
# A busy or slow machine is no fault of a lesson: over its budget is told at once, and a fault only beyond this factor.
SLOW_MACHINE = 2
LINE_LENGTH = 92  # what a cell of JupyterLab shows without scrolling, beside the file browser
ABSOLUTE_PATH = re.compile(r"(?:/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users)[^\s\"']*")


def sync(
    register: Register,
    chapters: list[Chapter],
    *,
    force: bool = False,
    take_notebook: bool = False,
    progress: Progress | None = None,
) -> Iterator[str]:
    """Bring the notebooks of `chapters`, and every page made from them, up to date; yield a line for what was done.

    Raises:
        CourseError: before anything is written, when a notebook was edited by hand since the last sync or an exercise
            has the id of another.
    """
    if twice := taken_twice(_solutions(register)):
        raise CourseError("\n".join(twice))
    for chapter in chapters:
        for notebook in _pairs(chapter):
            yield from _reconcile(notebook, register, take_notebook)
        if _hand_edited(chapter.exercises) or _generated_text_edited(chapter):
            raise CourseError(
                f"{_name(chapter.exercises, register)} or its text was edited by hand, but both are made from "
                f"solutions/: make the edit there, then `git checkout -- chapters/{chapter.slug}/exercises.*`"
            )
    fingerprints = Fingerprints(register)
    texts = format_texts({_name(text, register): read_text(text) for text in _texts(chapters)})
    for chapter in chapters:
        if chapter.lesson.with_suffix(".py").exists():
            name = _name(chapter.lesson.with_suffix(".py"), register)
            parameters(from_text(texts[name], name), name)
    for chapter in chapters:
        for path in _pairs(chapter):
            text = texts[_name(path.with_suffix(".py"), register)]
            yield from _sync_pair(path, text, fingerprints, force, chapter, progress)
        yield from _sync_exercises(chapter, register)
    yield from (f"{page}: renewed" for page in write_pages(register))


def problems(register: Register) -> Iterator[str]:
    """Every way in which the committed files differ from what sync would write, one line each, with the remedy."""
    fingerprints = Fingerprints(register)
    texts = {_name(text, register): read_text(text) for text in _texts(register.chapters)}
    made = {_exercise_text(chapter, register): _generated(chapter) for chapter in _with_solutions(register)}
    formatted = format_texts(texts | {name: to_text(notebook) for name, notebook in made.items()})
    for chapter in register.chapters:
        remedy = f"run `course sync {chapter.number}`"
        for path in _pairs(chapter):
            name, text_name = _name(path, register), _name(path.with_suffix(".py"), register)
            if not path.exists():
                yield f"{name} is missing: {remedy}"
                continue
            notebook = read_shared(path)
            if formatted[text_name] != texts[text_name]:
                yield f"{text_name} is not formatted: {remedy}"
            if sources_hash(notebook) != sources_hash(from_text(texts[text_name])):
                yield f"{name} and its text differ: {remedy}"
            elif changed := fingerprints.changes(notebook, _course(notebook).get("executed_with")):
                yield f"{name} was executed with another {_listed(changed)}: {remedy}"
            yield from (f"{name}, {problem}" for problem in _unclean(notebook))
            if path.stat().st_size > MAX_BYTES:
                yield f"{name} is larger than {MAX_BYTES:,} bytes: draw fewer or smaller figures"
            seconds, most = _course(notebook).get("seconds", 0), SLOW_MACHINE * chapter.budget
            if path == chapter.lesson and seconds > most:
                yield f"{chapter.slug} took {seconds:.0f} s, over {SLOW_MACHINE} times its budget of {chapter.budget} s"
        if (name := _exercise_text(chapter, register)) in made:
            text, notebook = formatted[name], _with_sources(made[name], formatted[name])
            for path, wanted in ((chapter.exercises.with_suffix(".py"), text), (chapter.exercises, dumps(notebook))):
                if not path.exists() or read_text(path) != wanted:
                    yield f"{_name(path, register)} is not what solutions/ generates: {remedy}"
    yield from taken_twice(_solutions(register))
    yield from _leaked_solutions(register)
    yield from (f"{page} is stale: run `course results --write`" for page in write_pages(register, dry=True))


def format_texts(texts: dict[str, str]) -> dict[str, str]:
    """The texts (file name → text) as ruff formats them, in lines that fit into a cell."""
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        for name, text in texts.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        options = ["--isolated", "--no-cache", f"--line-length={LINE_LENGTH}"]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "format", *options, "."],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if done.returncode:
            raise CourseError(f"ruff cannot format the text: {done.stderr.strip()}")
        return {name: Path(folder, name).read_text(encoding="utf-8") for name in texts}


def format_text(text: str) -> str:
    """One text, formatted."""
    return format_texts({"text.py": text})["text.py"]


def _pairs(chapter: Chapter) -> list[Path]:
    """The notebooks of a chapter that have a text written by hand."""
    return [path for path in (chapter.lesson, chapter.solutions) if path.with_suffix(".py").exists()]


def _texts(chapters: list[Chapter]) -> list[Path]:
    return [path.with_suffix(".py") for chapter in chapters for path in _pairs(chapter)]


def _with_solutions(register: Register) -> list[Chapter]:
    """The chapters whose hand-written solutions are here; the folder may be withheld."""
    return [chapter for chapter in register.chapters if chapter.solutions.with_suffix(".py").exists()]


def _solutions(register: Register) -> list[Path]:
    return [chapter.solutions.with_suffix(".py") for chapter in _with_solutions(register)]


def _name(path: Path, register: Register) -> str:
    return path.relative_to(register.root).as_posix()


def _course(notebook: NotebookNode) -> dict:
    """What sync wrote into the notebook about it."""
    return notebook.metadata.get("course", {})


def _listed(names: list[str]) -> str:
    """At most three of them, in words."""
    shown = names if len(names) < 4 else [*names[:3], f"{len(names) - 3} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _hand_edited(path: Path) -> bool:
    """Has the notebook been edited since sync wrote it?"""
    if not path.exists():
        return False
    notebook = read_shared(path)
    return _course(notebook).get("sources") != sources_hash(notebook)


def _generated_text_edited(chapter: Chapter) -> bool:
    text = chapter.exercises.with_suffix(".py")
    if not text.exists() or not chapter.exercises.exists():
        return False
    sources = sources_hash(from_text(read_text(text)))
    return sources != _course(read_shared(chapter.exercises)).get("sources")


def _reconcile(path: Path, register: Register, take_notebook: bool) -> Iterator[str]:
    """Refuse, or take into the text, what was edited in the notebook since the last sync."""
    if not _hand_edited(path):
        return
    text_path = path.with_suffix(".py")
    text = read_text(text_path)
    notebook = read(path)
    if sources_hash(notebook) == sources_hash(from_text(text)):
        return
    edited = format_text(to_text(notebook))
    if not take_notebook:
        diff = difflib.unified_diff(
            format_text(text).splitlines(), edited.splitlines(), text_path.name, path.name, lineterm="", n=1
        )
        raise CourseError(
            f"{_name(path, register)} was edited by hand since the last sync:\n\n" + "\n".join(diff) + "\n\n"
            f"To bring the notebook's version into the text: course sync {path.parent.name[:2]} --take-notebook\n"
            f"To drop it: git checkout -- {_name(path, register)}"
        )
    kept = back_up(text_path, register.root)
    write(text_path, edited)
    yield f"{_name(text_path, register)}: taken from the notebook; the text before lies in {kept}"


def _sync_pair(
    path: Path, text: str, fingerprints: Fingerprints, force: bool, chapter: Chapter, progress: Progress | None
) -> Iterator[str]:
    """Update text and notebook and, where something changed that its outputs depend on, execute it."""
    text_path, register = path.with_suffix(".py"), fingerprints.register
    if path == chapter.solutions:
        generate(text, None, text_path.relative_to(register.root))  # its errors come before a long execution
    if write(text_path, text):
        yield f"{_name(text_path, register)}: formatted"
    old = read(path) if path.exists() else None
    notebook = update(text, old)
    before = _course(old) if old else {}
    current = not fingerprints.changes(notebook, before.get("executed_with")) and not list(_unclean(notebook))
    if current and not force:
        notebook.metadata["course"] = before | {"sources": sources_hash(notebook)}
        yield f"{_name(path, register)}: " + ("updated" if write(path, dumps(notebook)) else "up to date")
        return
    name = chapter.slug if path == chapter.lesson else f"{chapter.slug}_solutions"
    run, executed = _executed(notebook, name, register, progress)
    executed.metadata["course"] = {
        "sources": sources_hash(notebook),
        "executed_with": fingerprints.of(notebook, run.used),
        "seconds": round(run.seconds, 1),
        "memory_mb": round(run.memory_mb),
    }
    write(path, dumps(executed))
    over = path == chapter.lesson and run.seconds > chapter.budget
    warning = f", over its budget of {chapter.budget} s: is the machine busy?" if over else ""
    yield f"{_name(path, register)}: executed in {run.seconds:.0f} s{warning}"


def _executed(notebook: NotebookNode, name: str, register: Register, progress: Progress | None):
    """Execute, and put the outputs of the run into the notebook, without what the run left in the metadata."""
    output = free_path(register.root / "work" / "runs", name)
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        source = Path(folder, f"{name}.ipynb")
        source.write_text(dumps(notebook), encoding="utf-8")
        [run] = execute([Job(source, output)], progress=progress)
    if run.failure:
        raise CourseError(f"{name} failed, {run.failure}\nAs far as it ran, it lies in {_name(output, register)}")
    ran = read(output)
    output.unlink()
    for cell, done in zip(notebook.cells, ran.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
            for result in cell.outputs:
                result.pop("transient", None)
                if png := result.get("data", {}).get("image/png"):
                    result["data"]["image/png"] = smaller(png)
                if "metadata" in result:
                    result["metadata"].pop("execution", None)
    notebook.metadata.pop("widgets", None)
    if "widgets" in ran.metadata:
        notebook.metadata["widgets"] = ran.metadata["widgets"]
    return run, notebook


def _exercise_text(chapter: Chapter, register: Register) -> str:
    return _name(chapter.exercises.with_suffix(".py"), register)


def _generated(chapter: Chapter) -> NotebookNode:
    """The notebook of a chapter's exercises, as its solutions make it now; its cells are not formatted yet."""
    source = chapter.solutions.with_suffix(".py")
    solved = read_shared(chapter.solutions) if chapter.solutions.exists() else None
    return generate(read_text(source), solved, source.relative_to(chapter.root))


def _with_sources(notebook: NotebookNode, text: str) -> NotebookNode:
    """The notebook with the formatted sources of its text."""
    for cell, clean in zip(notebook.cells, from_text(text).cells, strict=True):
        cell.source = clean.source
    notebook.metadata["course"] = {"sources": sources_hash(notebook)}
    return notebook


def _sync_exercises(chapter: Chapter, register: Register) -> Iterator[str]:
    if not chapter.solutions.with_suffix(".py").exists():
        return
    made = _generated(chapter)
    text = format_text(to_text(made))
    notebook = dumps(_with_sources(made, text))
    if write(chapter.exercises.with_suffix(".py"), text) | write(chapter.exercises, notebook):
        yield f"{_name(chapter.exercises, register)}: made from its solutions"


def _unclean(notebook: NotebookNode) -> Iterator[str]:
    """What is wrong with the outputs of an executed notebook."""
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "its kernel is not python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "its cells are not executed from 1 to n"
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield f"cell {number}: an error in its output, {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {number}: a message on stderr, {output.text.strip()[:80]!r}"
            if output.output_type == "execute_result":
                yield f"cell {number}: it ends in a bare expression; print it"
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            if path := ABSOLUTE_PATH.search(text):
                yield f"cell {number}: an absolute path in its output, {path[0]}"
        if path := ABSOLUTE_PATH.search(cell.source):
            yield f"cell {number}: an absolute path, {path[0]}"


def _leaked_solutions(register: Register) -> Iterator[str]:
    """Solutions that stand outside of solutions/: whole regions anywhere, single telling lines in exercises."""
    for chapter in register.chapters:
        source, generated = (path.with_suffix(".py") for path in (chapter.solutions, chapter.exercises))
        if not source.exists() or not generated.exists():
            continue
        regions, given, inside = [], set(), False
        for line in map(str.strip, read_text(source).splitlines()):
            if line == BEGIN:
                regions.append([])
            elif inside and line != END and line:
                regions[-1].append(line)
            elif not inside:
                given.add(line)
            inside = line == BEGIN or (inside and line != END)
        kept = set(map(str.strip, read_text(generated).splitlines()))
        for line in {line for region in regions for line in region} & kept - given:
            if len(line) > 20:
                yield f"chapters/{chapter.slug}/exercises.py holds a line of a solution: {line}"
        for path in [*register.root.glob("chapters/*/*.py"), *register.root.glob("utils/**/*.py")]:
            text = "\n".join(map(str.strip, read_text(path).splitlines()))
            for region in regions:
                if len(region) > 1 and "\n".join(region) in text:
                    yield f"{_name(path, register)} holds a whole solution, beginning `{region[0]}`"
