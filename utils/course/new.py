"""`course new`: the files of a chapter that is still to be written, from the texts in `skeleton/`."""

from __future__ import annotations

import keyword
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from utils.course import CourseError
from utils.course.files import write
from utils.course.register import Register

SKELETON = Path(__file__).with_name("skeleton")
# Where each text of the skeleton goes.
FILES = {
    "chapter.toml": "chapters/{slug}/chapter.toml",
    "lesson.py": "chapters/{slug}/lesson.py",
    "teaching.md": "chapters/{slug}/teaching.md",
    "solution.py": "solutions/{slug}/exercises.py",
    "checks.py": "utils/checks/{topic}.py",
    "wrong_answers.py": "tests/wrong_answers/{topic}.py",
    "right_answers.py": "tests/right_answers/{topic}.py",
}
NAME = re.compile(r"[0-9]{2}_[a-z][a-z0-9_]*")


def new(register: Register, slug: str, title: str | None = None, part: str | None = None) -> Iterator[str]:
    """Write the texts of the chapter `slug` and add it to `chapters/course.toml`; yield the path of each file.

    Args:
        title: by default the topic in words.
        part: the part of the course; by default that of the chapter which comes before by number.

    Raises:
        CourseError: before anything is written, for a bad name or title, a number or topic that is taken, a part that
            there is not, and a file that exists.
    """
    if not NAME.fullmatch(slug) or keyword.iskeyword(slug[3:]):  # the topic becomes the name of a module
        raise CourseError(f"{slug!r} is no name of a chapter: write NN_topic, such as 34_point_processes")
    number, topic = slug[:2], slug[3:]
    for chapter in register.chapters:
        if number == chapter.number or topic == chapter.topic:
            what = f"the number {number}" if number == chapter.number else f"the topic {topic}"
            raise CourseError(f"{what} is taken by {chapter.slug}")
    title = topic.replace("_", " ").capitalize() if title is None else title
    if not title.isprintable() or not title.strip() or set(title) & set('"\\'):
        raise CourseError(f"the title {title!r} must be one line without double quotes and backslashes")
    part = _part(register, slug, part)
    values = {"number": number, "n": str(int(number)), "slug": slug, "topic": topic, "title": title}
    texts = {where.format(**values): _filled(name, values) for name, where in FILES.items()}
    taken = [name for name in (*texts, f"utils/checks/{topic}") if (register.root / name).exists()]
    if taken:
        raise CourseError(
            f"{', '.join(taken)} exists, and nothing is overwritten: choose another topic or move it away"
        )
    listed = _listed(register.path.read_text(encoding="utf-8"), slug, part)
    for name, text in texts.items():
        path = register.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text)
        yield name
    write(register.path, listed)
    yield f"chapters/course.toml, in the part {part!r}"


def _part(register: Register, slug: str, part: str | None) -> str:
    if part is None:
        before = [chapter for chapter in register.chapters if chapter.slug < slug]
        return max(before, key=lambda chapter: chapter.slug).part if before else next(iter(register.parts))
    if part not in register.parts:
        raise CourseError(f"there is no part {part!r}: choose one of {', '.join(map(repr, register.parts))}")
    return part


def _filled(name: str, values: dict[str, str]) -> str:
    text = (SKELETON / f"{name}.txt").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)


def _listed(text: str, slug: str, part: str) -> str:
    """The register with the chapter in its part, in the order of numbers; comments and layout stay."""
    wanted = tomllib.loads(text)
    [chapters] = [entry["chapters"] for entry in wanted["parts"] if entry["title"] == part]
    place = next((index for index, other in enumerate(chapters) if other > slug), len(chapters))
    chapters.insert(place, slug)
    titles = re.finditer(r'^title *= *"(.*)"', text, re.MULTILINE)
    start = next((found.end() for found in titles if found[1] == part), len(text))
    if found := re.compile(r"^chapters *= *\[(.*?)\]", re.MULTILINE | re.DOTALL).search(text, start):
        text = text[: found.start(1)] + _inserted(found[1], slug, place) + text[found.end(1) :]
    try:
        right = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise CourseError(f"chapters/course.toml: write the part {part!r} as a title and its chapters, one a line")
    return text


def _inserted(array: str, slug: str, place: int) -> str:
    """What stands between the brackets of an array, one entry a line or all in one line, with one more entry."""
    names = list(re.finditer(r'"[^"\n]*"', array))
    new_line = re.search(r'\n[ \t]*(?=")', array)
    if place < len(names):
        at = names[place].start()
        return f'{array[:at]}"{slug}",{new_line[0] if new_line else " "}{array[at:]}'
    if not names:
        return f'{array}"{slug}"'
    end = names[-1].end()
    if not new_line:
        return f'{array[:end]}, "{slug}"{array[end:]}'
    if not array[end:].startswith(","):
        array = f"{array[:end]},{array[end:]}"
    end = array.index("\n", end)
    return f'{array[:end]}{new_line[0]}"{slug}",{array[end:]}'
