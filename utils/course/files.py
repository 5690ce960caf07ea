"""Files that people own: replaced whole or not at all, and kept before they are replaced."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path


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
    kept = root / "work" / "backup" / stamp / path.name
    kept.parent.mkdir(parents=True)
    shutil.copy2(path, kept)
    return kept.relative_to(root).as_posix()
