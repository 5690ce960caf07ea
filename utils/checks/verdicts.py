"""What a check finds, how it is raised, and how it is shown."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

MIME = "application/vnd.course.check+json"


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        id: the exercise.
        status: ``passed``, ``not attempted``, ``wrong``, ``raised`` (the student's code raised an exception) or
            ``timed out``.
        message: one sentence; for ``wrong`` it names the mistake, for ``raised`` it quotes the student's own line.
        hint: one sentence on what to do next, or empty.
        seconds: how long the check took, in seconds of processor time without imports.
        printed: the first lines that the student's code printed.
    """

    id: str
    status: str
    message: str
    hint: str = ""
    seconds: float = 0.0
    printed: str = ""


class Wrong(Exception):
    """Raised by a check: the answer is wrong. One sentence names the mistake, one hint helps on."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint


class Judged(Exception):
    """The student's code failed where it ran, in another process, and there the outcome was found. Never ``passed``."""

    def __init__(self, status: str, message: str, hint: str = ""):
        if status not in ("not attempted", "wrong", "raised"):
            raise ValueError(f"{status!r} is no way to fail")
        super().__init__(message)
        self.outcome = status, message, hint


class Brief:
    """An exception whose message says it all: it is shown in one line, without the frames of this library."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for this
        return [f"{type(self).__name__}: {self}"]


class CheckFailed(Brief, AssertionError):
    """The answer did not pass; `verdict` says why."""

    def __init__(self, verdict: Verdict):
        super().__init__(verdict)
        self.verdict = verdict

    def __str__(self) -> str:
        return f"{self.verdict.id}: {self.verdict.message}"


class NotAttempted(CheckFailed, NotImplementedError):
    """The exercise still holds its stub."""


class UnknownExercise(Brief, LookupError):
    """No exercise has this id."""


# --- shown as text, and as HTML in a notebook -------------------------------------------------------------------------


WORDS = {
    "passed": "Passed",
    "not attempted": "Not attempted",
    "wrong": "Wrong",
    "raised": "Error",
    "timed out": "Timed out",
}
# Dark enough for white letters, so that they read alike on a light and on a dark page.
COLORS = dict.fromkeys(WORDS, "#c62828") | {"passed": "#2e7d32", "not attempted": "#8a5a00"}


def as_text(verdict: Verdict) -> str:
    lines = [f"[{WORDS[verdict.status]}] {verdict.id}: {verdict.message}"]
    if verdict.hint:
        lines.append(f"  Hint: {verdict.hint}")
    if verdict.printed:
        lines += ["  Your code printed:", *(f"    {line}" for line in verdict.printed.splitlines())]
    return "\n".join(lines)


def as_html(verdict: Verdict) -> str:
    color = COLORS[verdict.status]

    def marked(text: str) -> str:
        return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)).replace("\n", "<br>")

    parts = [
        f'<div style="border:1px solid {color};border-left-width:6px;border-radius:4px;padding:0.5em 0.9em;'
        f"margin:0.3em 0;max-width:56em;line-height:1.5;color:inherit;"
        f'font-family:var(--jp-content-font-family, system-ui, sans-serif)" role="status">',
        f'<span style="background:{color};color:#fff;border-radius:3px;padding:0.1em 0.5em;font-weight:600">'
        f"{WORDS[verdict.status]}</span> <code>{html.escape(verdict.id)}</code>",
        f'<div style="margin-top:0.35em">{marked(verdict.message)}</div>',
    ]
    if verdict.hint:
        parts.append(f'<div style="margin-top:0.35em"><strong>Hint:</strong> {marked(verdict.hint)}</div>')
    if verdict.printed:
        parts.append(
            '<div style="margin-top:0.35em">Your code printed:</div>'
            '<pre style="margin:0.2em 0 0 1em;background:transparent;color:inherit;'
            'font-family:var(--jp-code-font-family, monospace)">'
            f"{html.escape(verdict.printed)}</pre>"
        )
    return "".join(parts) + "</div>"
