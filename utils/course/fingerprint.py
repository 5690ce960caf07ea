"""What a notebook was executed with, and what of it has changed since: that decides what is executed again.

An executed notebook keeps four tables in its metadata, `course.executed_with`, each from a name to what it was then:

- code: its own cells, the files of `utils/` that it imports, directly or through others, and the checks that it calls;
- data: the files of `data/` that it opened;
- results: what it read of other chapters with `utils.results.recorded`, or showed with `utils.families.families`;
- packages: those of `COMPUTE` that it imported, in the versions of `requirements.lock`.

Code is found in the sources; everything else was noted while the notebook ran (`watch.py`).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from utils.course.execute import recorded
from utils.course.modules import Modules, called, digest, imports
from utils.course.notebooks import read_shared
from utils.course.register import Register
from utils.course.watch import FAMILIES

# The packages on whose version a number or a figure may depend: the name that is imported → that of the package.
COMPUTE = {
    name: {"sklearn": "scikit-learn", "PIL": "pillow", "opt_einsum": "opt-einsum"}.get(name, name)
    for name in (
        *("torch", "torchmetrics", "zuko", "numpy", "scipy", "pandas", "sklearn", "statsmodels", "patsy", "pgmpy"),
        *("opt_einsum", "networkx", "matplotlib", "contourpy", "PIL", "tokenizers", "pyppmd", "zstandard"),
    )
}
CHECK_FUNCTIONS = {"check", "run_check"}
CELLS = "its own cells"
SUMS = "data/SHA256SUMS"  # names every file of data/, whichever of them a notebook opens
Table = dict[str, str]


class Fingerprints:
    """Fingerprints of notebooks and checks of one course. Each file is read once, as it is when first asked for."""

    def __init__(self, register: Register):
        self.register, self.root = register, register.root
        self._modules = Modules(self.root)
        self._hashes: dict[str, str] = {}

    def of(self, notebook: NotebookNode, used: Iterable[tuple[str, ...]]) -> dict[str, Table]:
        """The four tables of a notebook, now; `used` is what was noted while it ran (`Run.used`)."""
        files, packages, results = set(), set(), set()
        for kind, *what in used:
            if kind == "file":
                file = Path(what[0])
                file = file.parent.resolve() / file.name
                if file.is_relative_to(self.root / "data"):
                    files.add(file.relative_to(self.root).as_posix())
            elif kind == "package" and what[0] in COMPUTE:
                packages.add(COMPUTE[what[0]])
            elif kind == "result":
                results.add(" ".join(what))
        return self._tables(notebook, files - {SUMS}, results, packages)

    def changes(self, notebook: NotebookNode, before: dict[str, Table] | None) -> list[str]:
        """The names of what has changed since the notebook was executed with `before`; none: its outputs are valid."""
        if not before:
            return ["version of `course sync`"]
        now = self._tables(notebook, *(before.get(table, {}) for table in ("data", "results", "packages")))
        return [
            name
            for table, entries in now.items()
            for name in sorted(entries.keys() | before.get(table, {}).keys())
            if entries.get(name) != before.get(table, {}).get(name)
        ]

    def of_checks(self, ids: Iterable[str]) -> Table:
        """What verdicts on these exercises depend on: their checks, the engine, and all packages that compute."""
        return self._hashed(self._modules.closure(self._checks_of(ids))) | self._versions(COMPUTE.values())

    def _tables(
        self, notebook: NotebookNode, data: Iterable[str], results: Iterable[str], packages: Iterable[str]
    ) -> dict[str, Table]:
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        cells = json.dumps([[cell.source.rstrip(), cell.metadata.get("tags", [])] for cell in code])
        return {
            "code": {CELLS: digest(cells.encode())} | self._hashed(self._code_of(code)),
            "data": {name: self._hash(name) for name in sorted(data)},
            "results": {name: self._result(name) for name in sorted(results)},
            "packages": self._versions(packages),
        }

    # --- code

    def _code_of(self, cells: list[NotebookNode]) -> set[Path]:
        """The files of `utils/` that the cells use."""
        tree = ast.parse("\n".join(cell.source for cell in cells))
        files = self._modules.closure(self._modules.found(imports(tree)))
        if self.root / "utils" / "checks" / "__init__.py" in files:
            ids = called(ast.walk(tree), CHECK_FUNCTIONS)
            # Which check an expression means shows only when it runs: it may be any.
            files |= self._modules.closure(self._checks_of(self._checks if None in ids else ids))
        return files

    def _checks_of(self, ids: Iterable[str | None]) -> set[Path]:
        """The files that run to check these exercises, without what they import."""
        return self._modules.found({"utils.checks"} | {self._checks[id] for id in ids if id in self._checks})

    @cached_property
    def _checks(self) -> dict[str, str]:
        """The id of each exercise that has a check → the module that registers it."""
        files = sorted((self.root / "utils" / "checks").rglob("*.py"))
        names = {".".join(file.relative_to(self.root).with_suffix("").parts): file for file in files}
        return {id: name for name, file in names.items() for id in self._modules[file].exercises}

    def _hashed(self, files: Iterable[Path]) -> Table:
        return {file.relative_to(self.root).as_posix(): self._modules[file].digest for file in sorted(files)}

    # --- what was noted during the execution

    def _hash(self, name: str) -> str:
        if name not in self._hashes:
            file = self.root / name
            self._hashes[name] = digest(file.read_bytes()) if file.is_file() else "missing"
        return self._hashes[name]

    def _result(self, name: str) -> str:
        """What a chapter holds now: `course sync` may have executed it a moment ago."""
        number, _, key = name.partition(" ")
        if key == FAMILIES:
            rows = {c.number: c.family for c in self.register.chapters if c.family and c.number <= number}
            return digest(json.dumps(rows, sort_keys=True).encode())
        lessons = [c.lesson for c in self.register.chapters if c.number == number and c.lesson.exists()]
        values = [result for lesson in lessons for result in recorded(read_shared(lesson)) if result["key"] == key]
        return digest(json.dumps(values, sort_keys=True).encode()) if values else "missing"

    def _versions(self, packages: Iterable[str]) -> Table:
        return {name: self._lock.get(name, "not locked") for name in sorted(packages)}

    @cached_property
    def _lock(self) -> Table:
        """Package → its version in the lock; several, where systems or Pythons have different ones."""
        versions: dict[str, set[str]] = {}
        lock = self.root / "requirements.lock"
        text = lock.read_text(encoding="utf-8") if lock.exists() else ""
        for name, version in re.findall(r"^([\w.-]+)(?:\[[^\]]*\])? *== *([^\s;#\\]+)", text, re.MULTILINE):
            versions.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
        return {name: ", ".join(sorted(found)) for name, found in versions.items()}
