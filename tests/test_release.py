"""What is handed out: the same bytes each time, no solution, only what was chosen, and nothing overwritten."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from tiny_course import course

from utils.checks.engine import function_name, run_check
from utils.course import CourseError
from utils.course.grading.notebook_runner import run, sources
from utils.course.notebooks import dumps, from_text, read
from utils.course.register import Register
from utils.course.release import LEDGER, names_of, release, selection
from utils.course.tasks import CHECK, DERIVATION, tasks_of

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = Register(ROOT).chapters
FORMATS = ("nbgrader", "folder")
GMM = "04_gaussian_mixtures"
GMM_CORE = ["gmm.log_sum_exp", "gmm.gaussian_log_prob", "gmm.e_step", "gmm.m_step"]
needs_solutions = pytest.mark.skipif(not (ROOT / "solutions").is_dir(), reason="solutions/ is withheld")


def find(name: str):
    return Register(ROOT).find(name)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def released(to: Path, *names: str, **choices) -> dict[str, bytes]:
    """Release chapters (all of them for no name) and return what lies in the folder."""
    release([find(name) for name in names] or CHAPTERS, to, **choices)
    return contents(to)


def only_notebook(files: dict[str, bytes]) -> nbformat.NotebookNode:
    [text] = [content.decode() for name, content in files.items() if name.endswith(".ipynb")]
    return nbformat.reads(text, as_version=4)


def ids(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.metadata["exercise"]["id"] for cell in notebook.cells if "exercise" in cell.metadata]


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """All chapters in both formats."""
    folder = tmp_path_factory.mktemp("everything")
    return {format: released(folder / format, format=format) for format in FORMATS}


# --- what it holds


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("seed", [None, 7])
def test_two_releases_are_equal_byte_for_byte(tmp_path, everything, format, seed):
    first, second = (released(tmp_path / name, format=format, seed=seed) for name in ("a", "b"))
    assert first == second
    assert (first == everything[format]) == (seed is None)


def test_a_release_holds_these_files_and_no_others(everything):
    assert set(everything["nbgrader"]) == {
        LEDGER,
        "nbgrader_config.py",
        *(f"source/{c.slug}/{c.slug}_exercises.ipynb" for c in CHAPTERS),
    }
    expected = ("{}_exercises.ipynb", "test_{}.py", "points.json", "README.md")
    names = {f"{chapter.slug}/{name.format(chapter.slug)}" for chapter in CHAPTERS for name in expected}
    assert set(everything["folder"]) == {LEDGER, *names}


def lines_of(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines()}


def strings(value) -> list[str]:
    """Every string in a piece of JSON."""
    if isinstance(value, dict):
        return [found for item in value.items() for part in item for found in strings(part)]
    if isinstance(value, list):
        return [found for part in value for found in strings(part)]
    return [value] if isinstance(value, str) else []


@pytest.fixture(scope="module")
def secret() -> set[str]:
    """Lines of solutions and of wrong answers, of some length, that the committed exercises do not have."""
    lines, inside = set(), False
    for path in (ROOT / "solutions").glob("*/*.py"):
        for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
            inside = (inside or line == "### BEGIN SOLUTION") and line != "### END SOLUTION"
            lines |= {line} if inside else set()
        for cell in from_text(path.read_text(encoding="utf-8")).cells:
            if "solution" in cell.metadata.get("tags", []):
                lines |= lines_of(cell.source)
    for path in (ROOT / "tests" / "wrong_answers").glob("*/*.py"):
        lines |= lines_of(path.read_text(encoding="utf-8"))
    for path in (ROOT / "chapters").glob("*/exercises.py"):
        lines -= {line.removeprefix("# ") for line in lines_of(path.read_text(encoding="utf-8"))}
    # What a release adds of its own is plain to see: imports are no secret.
    return {line for line in lines if len(line) > 12 and not line.startswith(("import ", "from "))}


def leaks(name: str, content: bytes, secret: set[str]) -> set[str]:
    text = content.decode()
    return secret & lines_of("\n".join(strings(json.loads(text))) if name.endswith((".ipynb", ".json")) else text)


@needs_solutions
@pytest.mark.parametrize("format", FORMATS)
def test_no_line_of_a_solution_or_of_a_wrong_answer_is_released(everything, secret, format):
    assert len(secret) > 2000
    for name, content in everything[format].items():
        assert not leaks(name, content, secret), name
        assert b"COURSE_HIDDEN_SEED" not in content or not re.search(rb"COURSE_HIDDEN_SEED\W+\d", content)
        assert "hidden_seed" not in name


@needs_solutions
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.slug)
def test_a_leak_would_be_seen(chapter, secret):
    seen = len(leaks(chapter.solutions.name, chapter.solutions.read_bytes(), secret))
    assert seen > 20, f"the solutions of chapter {chapter.number} have {seen} lines that tell something: write more"


@pytest.mark.parametrize("format", FORMATS)
def test_releasing_needs_no_solutions(tmp_path, everything, format):
    shutil.copytree(ROOT / "chapters", tmp_path / "course" / "chapters")
    done = course(tmp_path / "course", "release", "04", "12", "--to", str(tmp_path / "to"), "--format", format)
    assert done.returncode == 0, done.stderr
    made = contents(tmp_path / "to")
    assert LEDGER in made and made.pop(LEDGER)
    assert made == {name: everything[format][name] for name in made} and len(made) > 2


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.slug)
def test_metadata_for_nbgrader(everything, chapter):
    notebook = nbformat.reads(everything["nbgrader"][f"source/{chapter.slug}/{chapter.assignment}"].decode(), 4)
    nbformat.validate(notebook)
    tasks = {task.id: task for task in tasks_of(read(chapter.exercises))}
    marks = {c.metadata["nbgrader"]["grade_id"]: c for c in notebook.cells if "nbgrader" in c.metadata}
    assert len(marks) == sum("nbgrader" in cell.metadata for cell in notebook.cells)
    for id, task in tasks.items():
        stub, check, derivation = (marks.get(id.replace(".", "-") + part) for part in ("", "-check", "-derivation"))
        assert stub.metadata["nbgrader"]["solution"] and not stub.metadata["nbgrader"]["grade"]
        assert check.metadata["nbgrader"]["grade"] and check.metadata["nbgrader"]["locked"]
        by_hand = derivation.metadata["nbgrader"]["points"] if derivation else 0
        assert by_hand == task.by_hand == (task.points // 2 if derivation else 0)
        assert check.metadata["nbgrader"]["points"] + by_hand == task.points
        if derivation:
            assert derivation.source.startswith(DERIVATION) and derivation.metadata["nbgrader"]["solution"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(c.metadata["nbgrader"]["locked"] != c.metadata["nbgrader"]["solution"] for c in code)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.slug)
def test_each_chapter_has_derivations_titles_and_checks_by_the_functions_names(chapter):
    notebook = read(chapter.exercises)
    tasks = tasks_of(notebook)
    derivations = sum(c.source.startswith(DERIVATION) for c in notebook.cells)
    assert derivations, f"chapter {chapter.number} has no exercise with a derivation: write one"
    assert sum(task.by_hand > 0 for task in tasks) == derivations, "an exercise with a derivation has at least 2 points"
    assert all(re.fullmatch(r"[^\d#(].+|\d\d %.+", task.teaches) and task.teaches != task.id for task in tasks)
    checks = [CHECK.fullmatch(c.source) for c in notebook.cells if c.source.startswith("check(")]
    assert [(found[1], found[2]) for found in checks] == [(task.id, function_name(task.id)) for task in tasks]


def test_points_as_json(everything):
    points = json.loads(everything["folder"][f"{GMM}/points.json"])
    assert (points["assignment"], points["points"], points["by_hand"]) == (GMM, 22, 1)
    assert sum(exercise["points"] for exercise in points["exercises"]) == 22
    assert points["exercises"][5] == {
        "id": "gmm.conditional", "tier": "extend", "minutes": 25, "points": 3, "by_hand": 1,
        "teaches": "The conditional of a Gaussian: derivation and code",
    }  # fmt: skip


# --- choosing


@pytest.mark.parametrize(
    ("choices", "kept"),
    [
        ({"only": ["core"]}, GMM_CORE),
        ({"only": ["core", "challenge"]}, [*GMM_CORE, "gmm.held_out"]),
        ({"only": ["core"], "without": ["gmm.e_step", "gmm.bic"]}, [id for id in GMM_CORE if id != "gmm.e_step"]),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_only_what_was_chosen_is_released(tmp_path, format, choices, kept):
    files = released(tmp_path, "04", format=format, **choices)
    notebook = only_notebook(files)
    assert ids(notebook) == kept
    assert [found[1] for cell in notebook.cells if (found := CHECK.match(cell.source))] == kept
    if format == "folder":
        assert [exercise["id"] for exercise in json.loads(files[f"{GMM}/points.json"])["exercises"]] == kept


def test_what_is_left_out_takes_text_derivation_and_picture_along():
    whole = read(find("04").exercises)
    part = selection(whole, [id for id in ids(whole) if id not in ("gmm.conditional", "gmm.complete")])
    dropped = [cell.source for cell in whole.cells if cell.source not in {kept.source for kept in part.cells}]
    text = "\n".join(dropped)
    for piece in ("## 4.6 ", DERIVATION, "Now **in code**", "def conditional", "## 4.7 ", "def show_completions"):
        assert piece in text
    assert len(part.cells) == len(whole.cells) - 11  # the picture's text is the same as that of another picture
    assert [cell.source for cell in part.cells[:17]] == [cell.source for cell in whole.cells[:17]]


def test_code_that_a_later_cell_needs_stays():
    whole = read(find("01").exercises)
    part = selection(whole, {"generative.log_joint_missing"})
    source = "\n".join(cell.source for cell in part.cells)
    assert "x_train, y_train" in source and "## 1.4 " not in source and "show_novelty" not in source


def test_notes_name_the_texts_that_speak_of_what_is_left_out(tmp_path):
    lines = release([find("03"), find("05")], tmp_path, without=["bayesnet.enumerate_posterior", "hopfield.store"])
    assert [line for line in lines if line.startswith("note: ")] == [
        f"note: the text of {id} speaks of {missing}, which is left out"
        for id, missing in (
            ("bayesnet.eliminate", "bayesnet.enumerate_posterior"),
            ("bayesnet.likelihood_weights", "bayesnet.enumerate_posterior"),
            ("hopfield.recall", "hopfield.store"),
        )
    ]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.slug)
def test_no_choice_of_one_exercise_or_of_all_but_one_leaves_a_name_undefined(chapter):
    whole = read(chapter.exercises)
    defined = set().union(*(names_of(cell.source)[0] for cell in whole.cells if cell.cell_type == "code"))
    for id in ids(whole):
        for kept in ({id}, set(ids(whole)) - {id}):
            known: set[str] = set()
            for cell in selection(whole, kept).cells:
                if cell.cell_type == "code":
                    makes, uses = names_of(cell.source)
                    known |= makes
                    assert uses & defined <= known, (id, cell.source)


@pytest.mark.parametrize(
    ("chapters", "choices", "message"),
    [
        (["04"], {"only": ["cor"]}, "no tier 'cor'. Did you mean core?"),
        (["04"], {"without": ["gmm.estep"]}, "no exercise 'gmm.estep'. Did you mean gmm.e_step"),
        (["04"], {"without": ["rbm.train"]}, "no exercise 'rbm.train'"),
        (["04"], {"only": ["core"], "without": GMM_CORE}, f"no exercise of {GMM} is left"),
        (["04"], {"format": "notebook"}, "no format 'notebook'. There are: nbgrader, folder"),
    ],
)
def test_a_mistake_is_named_and_nothing_written(tmp_path, chapters, choices, message):
    with pytest.raises(CourseError) as error:
        released(tmp_path / "to", *chapters, **choices)
    assert message in str(error.value)
    assert not (tmp_path / "to").exists()


# --- variants


@pytest.mark.parametrize("format", FORMATS)
def test_a_variant_changes_numbers_alone(tmp_path, format):
    plain, one, again, two = (
        released(tmp_path / name, "04", format=format, seed=seed)
        for name, seed in (("plain", None), ("one", 1), ("again", 1), ("two", 2))
    )
    assert one == again and only_notebook(one) != only_notebook(two)
    without_numbers = [
        [re.sub(r", seed=\d+|(?<=manual_seed\()\d+", "", cell.source) for cell in only_notebook(files).cells]
        for files in (plain, one, two)
    ]
    assert without_numbers[0] == without_numbers[1] == without_numbers[2]
    drawn = [re.findall(r"seed(?:=|\()(\d+)", "".join(c.source for c in only_notebook(f).cells)) for f in (one, two)]
    assert len(drawn[0]) == 11 and not set(drawn[0]) & set(drawn[1])


def test_notebook_and_tests_of_a_variant_draw_from_the_same_seeds(tmp_path):
    files = released(tmp_path, "04", format="folder", seed=1)
    seeds = dict(re.findall(r'^    "(gmm\.\w+)": (\d+),$', files[f"{GMM}/test_{GMM}.py"].decode(), re.MULTILINE))
    assert seeds == {found[1]: found[3] for c in only_notebook(files).cells if (found := CHECK.match(c.source))}
    assert len(seeds) == 10 and "0" not in seeds.values()


@needs_solutions
def test_solutions_pass_the_checks_of_a_variant_and_its_data_cells_run(tmp_path):
    path = tmp_path / "variant.ipynb"
    notebook = only_notebook(released(tmp_path / "to", "04", seed=1, format="folder"))
    for cell in notebook.cells:
        if "exercise" in cell.metadata:
            cell.source = solved()[cell.metadata["exercise"]["id"]]
    path.write_text(dumps(notebook), encoding="utf-8")
    answers = run(sources(path))
    assert answers["points"].shape == (800, 2)
    checks = [found for cell in notebook.cells if (found := CHECK.match(cell.source))]
    for found in checks[:-1]:  # the last is the challenge, which takes long
        verdict = run_check(found[1], answers[found[2]], int(found[3]))
        assert verdict.status == "passed", verdict


# --- nothing is overwritten


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_release_changes_nothing_and_another_chapter_comes_beside(tmp_path, format):
    before = released(tmp_path, "04", format=format)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    lines = release([find("04")], tmp_path, format)
    assert lines and all(line.endswith(": there already") for line in lines)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    after = released(tmp_path, "05", format=format)
    assert before.keys() < after.keys() and all(after[name] == before[name] for name in before.keys() - {LEDGER})


@pytest.mark.parametrize("format", FORMATS)
def test_another_choice_renews_what_the_last_one_wrote(tmp_path, format):
    released(tmp_path, "04", format=format)
    assert ids(only_notebook(released(tmp_path, "04", format=format, only=["core"]))) == GMM_CORE
    (tmp_path / LEDGER).unlink()
    with pytest.raises(CourseError, match="nothing was written"):
        released(tmp_path, "04", format=format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_another_content_stops_the_release_before_it_writes(tmp_path, format):
    before = released(tmp_path, "04", format=format)
    mine = next(tmp_path.rglob("*.ipynb"))
    mine.write_text("my own work")
    with pytest.raises(CourseError, match="nothing was written") as error:
        released(tmp_path, "04", "05", format=format)
    assert str(mine) in str(error.value)
    now = contents(tmp_path)
    assert now.keys() == before.keys() and mine.read_text() == "my own work"


def test_an_edited_configuration_of_nbgrader_is_kept_and_a_foreign_one_refused(tmp_path):
    released(tmp_path / "ours", "04")
    config = tmp_path / "ours" / "nbgrader_config.py"
    edited = config.read_text() + 'c.CourseDirectory.course_id = "mine"\n'
    config.write_text(edited)
    for _ in range(2):
        assert f"{config}: kept, because you changed it" in release([find("05")], tmp_path / "ours")
        assert config.read_text() == edited
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "nbgrader_config.py").write_text(edited)
    with pytest.raises(CourseError, match="nothing was written"):
        released(tmp_path / "foreign", "04")


@pytest.mark.parametrize("obstacle", ["source", f"source/{GMM}/{GMM}_exercises.ipynb"])
@pytest.mark.parametrize("make", ["a file", "a link to nothing", "a folder"])
def test_what_is_no_file_or_no_folder_stops_it_too(tmp_path, obstacle, make):
    path = tmp_path / obstacle
    path.parent.mkdir(parents=True, exist_ok=True)
    if make == "a file":
        path.write_text("mine")
    elif make == "a folder":
        path = path if path.suffix else path / GMM / f"{GMM}_exercises.ipynb"
        path.mkdir(parents=True)
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(CourseError, match=re.escape(str(path))):
        released(tmp_path, "04")
    assert not (tmp_path / "nbgrader_config.py").exists()
    assert make != "a file" or path.read_text() == "mine"


def test_a_file_is_no_folder_to_release_into(tmp_path):
    (tmp_path / "to").write_text("mine")
    with pytest.raises(CourseError, match="to is a file: give a folder"):
        released(tmp_path / "to", "04")


def test_a_link_is_not_replaced(tmp_path):
    released(tmp_path, "04")
    config = tmp_path / "nbgrader_config.py"
    config.rename(tmp_path / "mine.py")
    config.symlink_to("mine.py")
    with pytest.raises(CourseError, match="nbgrader_config"):
        released(tmp_path, "04", only=["core"])
    assert config.is_symlink()


# --- the folder under pytest


def graded(folder: Path, notebook: Path, *options: str) -> subprocess.CompletedProcess:
    environment = os.environ | {
        "NOTEBOOK": str(notebook),
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", "-rN", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    to = tmp_path_factory.mktemp("folder")
    released(to, "04", format="folder", without=["gmm.held_out", "gmm.complete"], seed=5)
    return to / GMM


def submission(folder: Path, to: Path, changes: dict[str, str]) -> Path:
    notebook = read(folder / f"{GMM}_exercises.ipynb")
    for cell in notebook.cells:
        if "exercise" in cell.metadata:
            cell.source = changes.get(cell.metadata["exercise"]["id"], cell.source)
    to.write_text(dumps(notebook), encoding="utf-8")
    return to


def solved() -> dict[str, str]:
    cells = from_text((ROOT / "solutions" / GMM / "exercises.py").read_text(encoding="utf-8")).cells
    return {cell.metadata["exercise"]["id"]: cell.source for cell in cells if "exercise" in cell.metadata}


@needs_solutions
def test_a_right_submission_passes_every_test(folder, tmp_path):
    done = graded(folder, submission(folder, tmp_path / "right.ipynb", solved()))
    assert done.returncode == 0 and "8 passed" in done.stdout, done.stdout + done.stderr


@needs_solutions
def test_a_wrong_submission_fails_with_the_sentence_of_the_check(folder, tmp_path):
    wrong = {
        "gmm.e_step": "def e_step(log_weights, log_prob):\n    return log_prob.softmax(-1)",
        "gmm.bic": "bic_of_another_name = 1",
    }
    path = submission(folder, tmp_path / "wrong.ipynb", solved() | wrong)
    done = graded(folder, path)
    assert done.returncode == 1 and "6 passed" in done.stdout, done.stdout + done.stderr
    verdict = run_check("gmm.e_step", run(sources(path))["e_step"])
    section = done.stdout.split("test_exercise[gmm.e_step] ___")[1].split("\n", 1)[1].split("\n____")[0]
    assert section == f"{verdict.message} {verdict.hint}"
    assert "The notebook defines no function `bic`." in done.stdout


def test_an_untouched_submission_fails_as_not_attempted(folder):
    done = graded(folder, folder / f"{GMM}_exercises.ipynb")
    assert done.returncode == 1 and "8 failed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("Write your code in the place of `raise NotImplementedError(") == 8


# --- course exercises


def test_exercises_as_a_table_with_totals():
    shown = course(ROOT, "exercises", "04")
    assert shown.returncode == 0, shown.stderr
    words = [re.sub(r"\s+", " ", line.replace("│", " ")).strip() for line in shown.stdout.splitlines()]
    assert "04 gmm.conditional extend 25 3 1 The conditional of a Gaussian: derivation and code" in words
    assert "10 exercises 175 22 1" in words


@pytest.mark.parametrize("verb", ["exercises", "release"])
def test_help_has_an_example(verb):
    assert f"Example: course {verb} 04" in course(ROOT, verb, "--help").stdout


def test_exercises_as_csv():
    shown = course(ROOT, "exercises", "--csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert len(rows) == sum(len(ids(read(chapter.exercises))) for chapter in CHAPTERS)
    assert {
        "chapter": "04", "id": "gmm.held_out", "tier": "challenge", "minutes": "45", "points": "4", "by_hand": "0",
        "teaches": "Reach −2.0 nats on data you have not seen",
    } in rows  # fmt: skip
