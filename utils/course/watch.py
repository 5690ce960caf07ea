"""Inside a kernel: notes which files a notebook opens, what it imports and what it reads of other chapters.

An extension of IPython, which `worker.py` loads before the first cell, so that the notebook has no cell for it. Each
name goes once, as a line of JSON, into the file that the environment variable `LOG` names; `fingerprint.py` reads it.
Compiled code that opens files past Python (safetensors) is not seen, but `utils.data.path`, which gave it the name of
the file, has opened it before, to compare its checksum.
"""

from __future__ import annotations

import json
import os
import sys

LOG = "COURSE_USED"
FAMILIES = "families"  # in place of the key of a result: the table up to this chapter
EVENTS = {
    "open": "file",
    "import": "package",
    "utils.results.recorded": "result",
    "utils.families.shown": "result",
}


def load_ipython_extension(shell: object) -> None:
    """Begin to note; IPython calls this."""
    if LOG not in os.environ:
        return
    log = os.open(os.environ[LOG], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    seen = set()

    def note(*what: str) -> None:
        if what not in seen:
            seen.add(what)
            os.write(log, json.dumps(what).encode() + b"\n")

    def hook(event: str, arguments: tuple) -> None:
        if event not in EVENTS:
            return
        try:  # a fault here would look like one of the notebook's
            match event, arguments:
                case "open", (str() | bytes() as path, *_):
                    note(EVENTS[event], os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 called for every file
                case "import", (str() as module, *_):
                    note(EVENTS[event], module.partition(".")[0])
                case "utils.results.recorded", (number, key):
                    note(EVENTS[event], str(number), str(key))
                case "utils.families.shown", (upto,):
                    note(EVENTS[event], str(upto), FAMILIES)
        except Exception:
            return

    for module in list(sys.modules):
        note("package", module.partition(".")[0])
    sys.addaudithook(hook)
