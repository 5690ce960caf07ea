"""Files that people own: replaced whole or not at all, and kept before they are replaced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from utils.course import CourseError


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        CourseError: naming file and line, when it is in another encoding than UTF-8.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CourseError(f"{path}:{line}: the text is not in UTF-8: save it in this encoding") from None


def write(path: Path, content: str | bytes) -> bool:
    """Replace the file at once, so that a reader, or a crash, finds it whole: old or new. False: it was equal."""
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data:
        return False
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def back_up(path: Path, root: Path) -> str:
    """Copy the file into a dated folder under `work/backup/`; where it lies now, seen from `root`."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S-%f")
    kept = root / "work" / "backup" / stamp / path.parent.name / path.name
    kept.parent.mkdir(parents=True)
    shutil.copy2(path, kept)
    return kept.relative_to(root).as_posix()


class Ledger:
    """Remembers, by SHA-256, what was written into its folder: a file that differs from it belongs to a person."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.sums: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            self.sums = {}

    def is_untouched(self, target: Path) -> bool:
        return self.sums.get(self._name(target)) == sha256(target)

    def note(self, *targets: Path) -> None:
        self.sums |= {self._name(target): sha256(target) for target in targets}
        write(self.path, json.dumps(self.sums, indent=1, sort_keys=True) + "\n")

    def _name(self, target: Path) -> str:
        return target.relative_to(self.path.parent).as_posix()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
