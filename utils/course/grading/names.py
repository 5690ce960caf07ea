"""Names that students and learning platforms give to files: read as text, whatever they are, and made safe again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import unicodedata

# What Canvas and Moodle call the submissions that one downloads: name, number of the student, and more.
CANVAS = re.compile(r"([^_]+)_(?:LATE_)?(\d+)_(\d{4,})_.+")
MOODLE = re.compile(r"(.+?)_(\d+)_assignsubmission_file(?:_.*)?$")
TURNS_TEXT_AROUND = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MOST_BYTES = 100


def readable(name: str) -> str:
    """The name as text that can be written anywhere: other encodings are read, control characters replaced."""
    raw = os.fsencode(name)
    for encoding in ("utf-8", "cp1252", "latin-1"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    text = unicodedata.normalize("NFC", text).strip()
    return "".join("\ufffd" if _is_control(character) else character for character in text)


def writable(text: str) -> str:
    """The text without what cannot be written: halves of surrogate pairs, and the character that ends a C string."""
    return text.encode("utf-8", errors="replace").decode().replace("\0", "\ufffd")


def file_name(text: str) -> str:
    """A name for a file about `text`: it can be read, is the same each time, and is another for another text."""
    safe = re.sub(r"[^\w .,()@+=~-]|^[. ~]|[. ]$", "_", text)
    while len(safe.encode()) > MOST_BYTES:
        safe = safe[:-1]
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def loose(text: str) -> str:
    """What two spellings of a name have in common after a spreadsheet had it: case, blanks, zeros in front."""
    plain = " ".join(unicodedata.normalize("NFC", text).lstrip("'").casefold().split())
    return plain.lstrip("0") or plain if plain.isdigit() else plain


def spellings(text: str) -> list[str]:
    """`loose` of the name, and of what it was if a program took its UTF-8 for Windows' encoding."""
    found = [loose(text)]
    with contextlib.suppress(UnicodeError):
        found.append(loose(text.encode("cp1252").decode("utf-8")))
    return found


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in TURNS_TEXT_AROUND
