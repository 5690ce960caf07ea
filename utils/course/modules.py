"""The Python files of a course and what they import, directly or through others: found in their text, nothing runs."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NAMED = re.compile(r"utils(?:\.\w+)+")


@dataclass(frozen=True)
class Module:
    """A file: the hash of its content, the files that it imports, the exercises whose checks it registers."""

    digest: str
    uses: set[Path]
    exercises: set[str]


class Modules:
    """Each file is read once, as it is when first asked for.

    Args:
        root: of the course; the files of `utils/` count.
        tests: those of `tests/` count, too, and so does a module whose name stands in a string: a process is started
            with it. What a notebook prints depends on no such process.
    """

    def __init__(self, root: Path, tests: bool = False):
        self.root, self.tests = root, tests
        self._known: dict[Path, Module] = {}

    def __getitem__(self, file: Path) -> Module:
        if file not in self._known:
            content, package = file.read_bytes(), ".".join(file.relative_to(self.root).parent.parts)
            tree = ast.parse(content, str(file))
            names = {*imports(tree, package), *(_named(tree) if self.tests else ())}
            decorators = (one for statement in _statements(tree) for one in getattr(statement, "decorator_list", ()))
            self._known[file] = Module(
                digest=digest(content.replace(b"\r\n", b"\n")),
                uses=self.found(names),
                exercises=called(decorators, {"exercise"}) - {None},
            )
        return self._known[file]

    def closure(self, files: Iterable[Path]) -> set[Path]:
        """The files and all that they import, directly or through others."""
        known, waiting = set(), list(files)
        while waiting:
            if (file := waiting.pop()) not in known:
                known.add(file)
                waiting += self[file].uses
        return known

    def found(self, names: Iterable[str]) -> set[Path]:
        """The files that run when these names are imported: their modules, and each package on the way there."""
        files = set()
        for name in names:
            parts = name.split(".")
            if parts[0] != "utils" and not self.tests:
                continue
            place = self.root if parts[0] in ("utils", "tests") else self.root / "tests"
            for part in parts:
                place = place / part
                here = [file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()]
                files |= set(here[:1])
                if not place.is_dir():
                    break  # what follows is a name inside of the module
        return files


def imports(tree: ast.AST, package: str = "") -> Iterator[str]:
    """The full names that the code of a module in `package` imports when it runs, also inside of functions."""
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            yield from (".".join(filter(None, [*above, node.module, alias.name])) for alias in node.names)


def called(nodes: Iterable[ast.AST], functions: set[str]) -> set[str | None]:
    """The first arguments of the calls of these functions among the nodes; None stands for one that is no literal."""
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.args]
    firsts = [call.args[0] for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in functions]
    return {first.value if isinstance(first, ast.Constant) else None for first in firsts}


def digest(content: bytes) -> str:
    """A short hash."""
    return hashlib.sha256(content).hexdigest()[:16]


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.fullmatch(node.value):
            yield node.value


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below, except for those that only a type checker reads; much faster than `ast.walk`."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, name, [])
        if name == "body" and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        for child in children if isinstance(children, list) else []:
            yield child
            yield from _statements(child)
