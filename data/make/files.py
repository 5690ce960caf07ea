"""What the scripts of this folder share: an archive without time stamps, and the register of checksums."""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1]


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Like `numpy.savez_compressed`, but with nothing in the file that depends on the day or the machine."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, npy.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def register(path: Path, folder: Path = DATA) -> str:
    """Write the file's SHA-256 into `SHA256SUMS` of `folder`, in place of an older one; returns the sum."""
    sums, name = folder / "SHA256SUMS", path.relative_to(folder).as_posix()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = sums.read_text().splitlines() if sums.exists() else []
    lines = [line for line in lines if line.split()[1] != name] + [f"{digest}  {name}"]
    sums.write_text("\n".join(sorted(lines, key=lambda line: line.split()[1])) + "\n")
    return digest


def require(package: str, expected: str) -> None:
    """Stop unless that very version is installed: another one may hold other data."""
    found = version(package)
    if found != expected:
        raise SystemExit(f"{package} {found} is installed, but the files are made from {package} {expected}")
