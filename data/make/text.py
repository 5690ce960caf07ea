"""Make `data/text/kjv.txt.xz` from the Debian packages `bible-kjv` and `bible-kjv-text`, and `names.csv` from faker.

    python data/make/text.py

Needs `apt-get`, `dpkg-deb`, a network, once, and the package faker. The Debian text is packed in a form of its own; the
program `bible` of the first package unpacks it: a verse a line, each with its reference.
"""

from __future__ import annotations

import lzma
import subprocess
import tempfile
from pathlib import Path

from files import DATA, register, require

VERSION = "4.38"
FAKER = "40.54.0"
VERSES = 31_102


def verses() -> bytes:
    """The whole text, as `bible` prints it."""
    with tempfile.TemporaryDirectory() as folder:
        packages = [f"{name}={VERSION}" for name in ("bible-kjv", "bible-kjv-text")]
        subprocess.run(["apt-get", "download", "-qq", *packages], cwd=folder, check=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        command = [f"{folder}/usr/bin/bible", "-p", f"{folder}/usr/lib", "-f", "-l100000", "Gen1:1-Rev22:21"]
        text = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    if text.count(b"\n") != VERSES:
        raise ValueError(f"{text.count(chr(10).encode())} verses: not the text expected")
    return text


def names() -> str:
    """First names of the United States and how common each is, the most common first."""
    require("faker", FAKER)
    from faker.providers.person.en_US import Provider

    rows = [
        (name, kind, share)
        for kind, shares in (("female", Provider.first_names_female), ("male", Provider.first_names_male))
        for name, share in shares.items()
    ]
    rows.sort(key=lambda row: (-row[2], row))
    return "name,kind,share\n" + "".join(f"{name},{kind},{share}\n" for name, kind, share in rows)


if __name__ == "__main__":
    folder = DATA / "text"
    folder.mkdir(exist_ok=True)
    kjv, listed = folder / "kjv.txt.xz", folder / "names.csv"
    kjv.write_bytes(lzma.compress(verses(), preset=9 | lzma.PRESET_EXTREME))
    listed.write_text(names(), encoding="utf-8")
    for path in (kjv, listed):
        print(f"{register(path)}  {path}")
