"""What students get back: a page that shows their text as text, and for the instructor all derivations in a row."""

from __future__ import annotations

import base64
import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from test_grades import ASKED, result

from utils.course.grading import pages
from utils.course.grading.answers import answers_of, cells_of, copied, essence
from utils.course.grading.names import file_name
from utils.course.grading.report import write_reports
from utils.course.grading.submissions import HandedIn
from utils.course.notebooks import dumps, read
from utils.course.register import Register

CHAPTER = Register().find("04")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"
DERIVED = replace(ASKED, exercises=(replace(ASKED.exercises[1], id="gmm.conditional", teaches="Derive"),))
LONG = """
def conditional(mean, covariance, observed, values):
    is_hidden = torch.ones(len(mean), dtype=torch.bool)
    is_hidden[observed] = False
    hidden = is_hidden.nonzero().squeeze(-1)
    gain = torch.linalg.solve(covariance[observed][:, observed], covariance[observed][:, hidden])
    return mean[hidden] + gain.T @ (values - mean[observed]), covariance[hidden][:, hidden]
"""


class Tags(HTMLParser):
    """The tags of a page, and whether all are closed."""

    def __init__(self, content: str):
        super().__init__()
        self.found, self.open, self.attributes = [], [], []
        self.feed(content)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "br", "img", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} is closed and was not open"


def submitted(
    folder: Path, student: str = "ada", changes: dict[str, str] | None = None, derivation: str = ""
) -> HandedIn:
    """The released notebook with some cells, by exercise, and a derivation written into it."""
    notebook = read(CHAPTER.exercises)
    for cell in notebook.cells:
        cell.source = (changes or {}).get(cell.metadata.get("exercise", {}).get("id"), cell.source)
        if cell.source.startswith("*Your derivation:*") and derivation:
            cell.source = f"*Your derivation:*\n\n{derivation}"
    folder.mkdir(exist_ok=True)
    path = folder / f"{file_name(student)}.ipynb"
    path.write_text(dumps(notebook), encoding="utf-8")
    return HandedIn(student, DERIVED, path, place=path.stem)


def written(folder: Path, *everybody: HandedIn, entered: str = "", **verdict: str) -> dict[str, str]:
    """What is written about submissions: path → content."""
    results = [result(one.student, "wrong", asked=one.assignment) for one in everybody]
    for each in results:
        each["verdicts"][0] |= verdict
        each["notes"] = list(filter(None, [verdict.get("message")]))
    out = folder / "out"
    if entered:
        out.mkdir(exist_ok=True, parents=True)
        (out / "grades.csv").write_text(entered, encoding="utf-8")
    write_reports(everybody, results, out, Register())
    return {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.html")} | {
        "summary.md": (out / "summary.md").read_text()
    }


def page_of(folder: Path, *everybody: HandedIn, **options: str) -> str:
    return written(folder, *everybody, **options)[f"feedback/hw/{file_name(everybody[0].student)}.html"]


def test_a_page_says_all_that_there_is_to_say(tmp_path):
    one = submitted(tmp_path / "in", changes={"gmm.conditional": LONG}, derivation="Because $a = b$.")
    entered = "student,late,extra,override,comment,gmm.conditional (by hand),gmm.conditional (comment)\n"
    entered += 'ada,10%,"0,5",,"Fine, but late.\nSee me.",2,Well derived\n'
    page = page_of(
        tmp_path,
        one,
        entered=entered,
        message="You forgot `x[0]`.",
        hint="Look at `y < 3`.",
    )
    tags = Tags(page)
    assert "script" not in tags.found and dict(tags.attributes)["lang"] == "en"
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]))
    for words in ("ada · hw", "2.3 of 4 points", "10%", "0.5", "Fine, but late.", "See me.", "wrong", "Well derived",
                  "Because", "a = b", "2 of 2 by hand", "torch . linalg . solve"):  # fmt: skip
        assert words in text, words
    assert "You forgot <code>x[0]</code>. Look at <code>y &lt; 3</code>." in page  # and no escape beyond HTML's own
    assert 'name="viewport"' in page and "http" not in page.replace("http-equiv", "")


def test_a_stub_is_called_untouched_and_nobody_is_sent_to_a_cell(tmp_path):
    verdict = {"status": "not attempted", "message": "Write your code in …, then run its cell and this one again."}
    page = page_of(tmp_path, submitted(tmp_path / "in"), **verdict)
    assert "The exercise was left as it was handed out." in page and "No derivation was written." in page
    assert "then run its cell" not in page.partition("<section>")[2]


PLACES = ("student", "code", "derivation", "message", "comment")


@pytest.mark.parametrize("place", PLACES)
def test_text_of_strangers_is_text(tmp_path, place):
    one = submitted(
        tmp_path / "in",
        student=ATTACK if place == "student" else "ada",
        changes={"gmm.conditional": f"def conditional():\n    return '{ATTACK}'"} if place == "code" else {},
        derivation=ATTACK if place == "derivation" else "x",
    )
    verdict = {place: ATTACK + f" `{ATTACK}`"} if place == "message" else {}
    entered = f'student,comment\nada,"{ATTACK}"\n' if place == "comment" else ""
    for name, content in written(tmp_path, one, entered=entered, **verdict).items():
        if name.endswith(".html"):
            tags = Tags(content)
            assert not {"script", "img", "iframe"} & set(tags.found), (name, place)
            assert "default-src 'none'" in content
            assert not [name for name, _ in tags.attributes if name.startswith("on")]
        else:
            assert "<script" not in re.sub(r"`[^`]*`|\\<", "", content)
        if name.startswith("feedback"):
            assert "alert(1)" in re.sub(r"<[^>]+>", "", content), "it is told all the same"


@pytest.mark.parametrize(
    "source",
    [
        "[click](javascript:alert(1))", "<a href='javascript:alert(1)'>x</a>", "![x](http://192.0.2.1/x.png)",
        "![x](javascript:alert(1))", "[x]: javascript:alert(1)\n\n[x]", "<svg onload=alert(1)>",
        "$<script>alert(1)</script>$",
        "$$\n<img src=x onerror=alert(1)>\n$$", "```html\n<script>alert(1)</script>\n```", "![x](attachment:other.png)",
        "![\"><script>alert(1)</script>](attachment:p.png)", "<!-- <script> -->", "&lt;script&gt;",
    ],
)  # fmt: skip
def test_markdown_of_strangers_does_nothing(source):
    tags = Tags(pages.markdown(source, {"p.png": f"data:image/png;base64,{PIXEL}"}))
    assert not {"script", "svg", "iframe"} & set(tags.found)
    values = [value or "" for name, value in tags.attributes if name in ("href", "src")]
    assert all(value.startswith("data:image/png;base64,") for value in values)


def test_markdown_and_pictures_are_shown(tmp_path):
    one = submitted(tmp_path / "in", derivation="Let **e** be\n\n$$a < b$$\n\n![photo](attachment:p.png)")
    notebook = nbformat.read(one.path, 4)
    cell = next(cell for cell in notebook.cells if "Let **e**" in cell.source)
    cell["attachments"] = {"p.png": {"image/png": PIXEL}, "q.svg": {"image/svg+xml": "<svg onload=alert(1)>"}}
    nbformat.write(notebook, one.path)
    page = written(tmp_path, one)["derivations.html"]
    assert "<strong>e</strong>" in page and f'src="data:image/png;base64,{PIXEL}"' in page and "onload" not in page
    assert '<div class="math">a &lt; b</div>' in page


def test_a_very_long_answer_is_cut_and_that_is_said():
    shown = pages.code("\n".join(f"x = {number}" for number in range(1000)))
    assert "Only the beginning is shown, of 1000 lines." in shown and "999" not in shown
    assert "Only the beginning" not in pages.code("x = 1")
    assert len(pages.code("x" * 1_000_000)) < 100_000


@pytest.mark.parametrize(
    "source", ["%matplotlib inline", "def f(:", "'''", "\x00\x1b", "\ud800", "", "\t" * 99, "é" * 99]
)
def test_any_code_can_be_shown(source):
    assert pages.code(source).encode() and Tags(pages.code(source)).found[0] == "pre"


def test_what_was_printed_is_not_handed_back(tmp_path):
    """It may be the inputs, which the next try would then know."""
    assert "0.12345" not in page_of(tmp_path, submitted(tmp_path / "in"), printed="tensor(0.12345)")


# --- derivations -----------------------------------------------------------------------------------------------------


def test_all_derivations_stand_in_a_row_with_where_to_enter_the_points(tmp_path):
    everybody = [submitted(tmp_path / "in", name, derivation=f"So says {name}.") for name in ("ada", "José")]
    everybody.append(submitted(tmp_path / "in", "carl"))
    everybody.append(HandedIn("emmy", DERIVED, None, "nothing was submitted"))
    column = "gmm.conditional (by hand)"
    page = written(tmp_path, *everybody, entered=f"student,{column}\nada,1\n")["derivations.html"]
    tags = Tags(page)
    anchors = [value for name, value in tags.attributes if name == "id"]
    targets = [value[1:] for name, value in tags.attributes if name == "href"]
    assert len(set(anchors)) == len(anchors) == 4 and set(targets) <= set(anchors) and len(targets) == 3
    assert page.index("So says ada.") < page.index("So says José.") < page.index("No derivation was written.")
    assert "Enter 0 to 2 points" in page and f"<code>{column}</code>" in page and "1 of 3 graded" in page
    assert "entered: 1" in page and "emmy" not in page and "What was asked" in page


def test_a_derivation_is_found_wherever_the_student_wrote_it(tmp_path):
    tasks = DERIVED.exercises
    ours = [cell.source for cell in read(CHAPTER.exercises).cells if cell.cell_type == "markdown"]

    def found(change) -> str:
        one = submitted(tmp_path)
        notebook = nbformat.read(one.path, 4)
        change(notebook)
        nbformat.write(notebook, one.path)
        return answers_of(cells_of(one.path), tasks, ours)["gmm.conditional"].derivation

    def at(notebook) -> int:
        return next(n for n, cell in enumerate(notebook.cells) if cell.source.startswith("*Your derivation"))

    def cell(source: str):
        return nbformat.v4.new_markdown_cell(source)

    assert found(lambda notebook: None) == ""
    assert found(lambda notebook: notebook.cells.insert(at(notebook) + 1, cell("mine"))) == "mine"
    assert (
        found(lambda notebook: notebook.cells.__setitem__(at(notebook), cell("without the mark"))) == "without the mark"
    )
    assert found(lambda notebook: notebook.cells.insert(at(notebook) + 4, cell("below the code"))) == "below the code"
    elsewhere = found(lambda notebook: notebook.cells.insert(2, cell("a note on something else")))
    assert elsewhere == ""


# --- copies ----------------------------------------------------------------------------------------------------------


def test_a_function_that_is_defined_twice_is_mentioned(tmp_path):
    one = submitted(tmp_path / "in", changes={"gmm.conditional": "def conditional():\n    return 'oldest'"})
    notebook = nbformat.read(one.path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell("conditional = lambda *inputs: 'newest'"))
    nbformat.write(notebook, one.path)
    page = page_of(tmp_path, one)
    assert re.search(r"<code>conditional</code> is defined in code cells \d+ and \d+: the last one counts", page)
    assert "newest" in page and "oldest" not in page


@pytest.mark.parametrize(
    "code",
    [
        "text = '''\ndef conditional(): pass\n'''", "# def conditional(): pass",
        "class Other:\n    def conditional(self): pass",
        "conditional == 3", "print(conditional)", "def conditional_2(): pass", "x.conditional = 3",
    ],
)  # fmt: skip
def test_what_does_not_define_it_is_no_copy(tmp_path, code):
    one = submitted(tmp_path)
    notebook = nbformat.read(one.path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(code))
    nbformat.write(notebook, one.path)
    assert copied(answers_of(cells_of(one.path), DERIVED.exercises, [])) == []


RENAMED = LONG.replace("hidden", "unseen").replace("gain", "k").replace("mean", "mu")
SAME = {
    "names": RENAMED,
    "comments and blank lines": LONG.replace("\n    gain", "\n\n    # as in the lesson\n    gain") + "\n# done\n",
    "blanks": LONG.replace(" = ", "  =  ").replace(", ", " ,"),
    "a docstring": LONG.replace("values):", 'values):\n    """My own work."""'),
    "indentation": LONG.replace("    ", "\t"),
}


@pytest.mark.parametrize("way", SAME)
def test_the_same_code_is_pointed_out_whatever_is_done_to_its_looks(tmp_path, way):
    everybody = [
        submitted(tmp_path / "in", "ada", {"gmm.conditional": LONG}),
        submitted(tmp_path / "in", "bob", {"gmm.conditional": SAME[way]}),
        submitted(tmp_path / "in", "cy", {"gmm.conditional": LONG.replace("solve", "lstsq")}),
    ]
    assert "| ada, bob | `gmm.conditional` |" in written(tmp_path, *everybody)["summary.md"]


@pytest.mark.parametrize(
    "code",
    [
        "def conditional(mean):\n    return mean",
        LONG.partition("\n    is")[0] + "\n    raise NotImplementedError('x')" + " " * 99,
    ],
)
def test_short_answers_and_stubs_are_no_copies(tmp_path, code):
    everybody = [submitted(tmp_path / "in", name, {"gmm.conditional": code}) for name in ("ada", "bob")]
    assert "same code" not in written(tmp_path, *everybody)["summary.md"] and essence(code) == ""


def test_what_many_wrote_is_no_copy(tmp_path):
    many = [submitted(tmp_path / "in", f"s{number}", {"gmm.conditional": LONG}) for number in range(6)]
    assert "same code" in written(tmp_path / "a", *many[:5])["summary.md"]
    assert "same code" not in written(tmp_path / "b", *many)["summary.md"]


# --- to be handed back -----------------------------------------------------------------------------------------------


def test_the_zip_has_each_page_where_the_notebook_lay(tmp_path):
    places = {
        "ada": "ada", "Ada Lovelace_12": "Ada Lovelace_12_assignsubmission_file_/x", "bob": "submitted/bob/hw/x",
        "cy_1": "cy_1_4567_mine", "dan": "hw/dan/feedback", "eve": "", "fay": "ada",
    }  # fmt: skip
    everybody = [replace(submitted(tmp_path / "in", name), place=place) for name, place in places.items()]
    written(tmp_path, *everybody)
    path = tmp_path / "out" / "feedback" / "hw.zip"
    with zipfile.ZipFile(path) as file:
        assert sorted(file.namelist()) == sorted([
            "ada.html", "Ada Lovelace_12_assignsubmission_file_/x.html", "bob/hw/x.html", "cy_1_4567_mine.html",
            "dan/feedback.html", "ada (2).html",
        ])  # fmt: skip
        assert file.read("ada.html") == (tmp_path / "out" / "feedback" / "hw" / "ada.html").read_bytes()
    before = path.read_bytes()
    path.unlink()
    written(tmp_path, *everybody)
    assert path.read_bytes() == before


def test_a_page_that_somebody_edited_is_kept(tmp_path):
    one = submitted(tmp_path / "in")
    page_of(tmp_path, one)
    path = tmp_path / "out" / "feedback" / "hw" / "ada.html"
    path.write_text("my own words")
    page_of(tmp_path, one)
    assert path.with_name("ada.kept-1.html").read_text() == "my own words" and "hw" in path.read_text()


def test_the_summary_quotes_code_as_it_is(tmp_path):
    message = "Raised `TypeError: x[0] < y | z` in line 2: `return x[0] & 1 < *y`, [see](http://x) *this* <b> a_b _c_"
    summary = written(tmp_path, submitted(tmp_path / "in"), message=message)["summary.md"]
    line = next(line for line in summary.splitlines() if "TypeError" in line)
    assert r"`TypeError: x[0] < y \| z`" in line and "`return x[0] & 1 < *y`" in line
    assert r"\[see\](http://x) \*this\* \<b\> a_b \_c\_" in line


def test_pictures_that_are_none_are_left_out(tmp_path):
    cells = [{"cell_type": "markdown", "source": "x", "attachments": {
        "a.png": {"image/png": base64.b64encode(b"x").decode()}, "b.png": {"image/png": "'><script>"},
        "c": {"text/html": "x"},
    }}]  # fmt: skip
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    assert list(cells_of(tmp_path / "a.ipynb")[0].pictures) == ["a.png"]
