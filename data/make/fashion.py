"""Make `data/fashion.npz` from the Debian package `dataset-fashion-mnist` and register its checksum.

    python data/make/fashion.py

Needs `apt-get`, `dpkg-deb` and a network, once. The four raw files are compared with their MD5 sums, so that
another package cannot slip in. To stay small, the first 10,000 training and the first 2,000 test images are kept.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tempfile
from pathlib import Path

from files import DATA, register, write_npz
from mnist import read_idx

PACKAGE, VERSION = "dataset-fashion-mnist", "0.0~git20200523.55506a9-1"
# array -> raw file in the package, the MD5 of what is in it, how many of its examples are kept
RAW = {
    "x_train": ("train-images-idx3-ubyte.gz", "f4a8712d7a061bf5bd6d2ca38dc4d50a", 10_000),
    "y_train": ("train-labels-idx1-ubyte.gz", "9018921c3c673c538a1fc5bad174d6f9", 10_000),
    "x_test": ("t10k-images-idx3-ubyte.gz", "8181f5470baa50b63fa0f6fddb340f0a", 2_000),
    "y_test": ("t10k-labels-idx1-ubyte.gz", "15d484375f8d13e6eb1aabb0c3f46965", 2_000),
}

if __name__ == "__main__":
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "-qq", f"{PACKAGE}={VERSION}"], cwd=folder, check=True)
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        for key, (name, expected, n) in RAW.items():
            raw = gzip.decompress(Path(folder, "usr/share/datasets/fashion-mnist", name).read_bytes())
            found = hashlib.md5(raw).hexdigest()
            if found != expected:
                raise SystemExit(f"{name} of {PACKAGE} has the MD5 {found}, expected {expected}")
            arrays[key] = read_idx(raw)[:n]
    write_npz(DATA / "fashion.npz", arrays)
    print(f"{register(DATA / 'fashion.npz')}  {DATA / 'fashion.npz'}")
