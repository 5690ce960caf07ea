"""The folder of the course. Chapters, data and solutions are read where they lie: in a checkout of the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "the course works in a checkout of its repository, since the installed package holds neither chapters nor data:"
    " clone the repository and run `make env` in it (without make: `python install.py`)"
)


def is_checkout() -> bool:
    """Whether this package lies in a checkout of the course, not among the packages of some environment."""
    return (ROOT / "chapters" / "course.toml").is_file()
