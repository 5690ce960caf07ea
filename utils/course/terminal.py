"""Where the `course` command prints: names and messages of strangers' files are text there, and command nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text


class Terminal(Console):
    """A console that shows the escape codes in a text, such as a file's name, and does not obey them."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """`text` without what a terminal would obey: each such character becomes a mark in its place."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
