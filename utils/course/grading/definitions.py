"""Which names a code cell defines, told from its text. Both sides of the sandbox ask, so it imports nothing heavy."""

from __future__ import annotations

import contextlib
import io
import re
import token
import tokenize
from collections.abc import Iterator


def defined_names(code: str) -> Iterator[str]:
    """The names that a cell defines by `def`, `class` or `=` at the left margin; its strings are not looked into."""
    line: list[str] = []
    at = 0
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        for now in tokens_of(code):
            if now.type in (token.NEWLINE, token.INDENT, token.DEDENT):
                line = []
                continue
            if not line:
                at = now.start[1]
            line.append(now.string)
            if at == 0 and line[-2:-1] in (["def"], ["class"]) and line[:-2] in ([], ["async"]):
                yield now.string
            elif at == 0 and len(line) == 2 and now.string == "=":
                yield line[0]
        return
    yield from seem_defined(code)


def seem_defined(code: str) -> list[str]:
    """The same for what is no Python, or too long to be read with care."""
    return re.findall(r"^(?:async +)?(?:def|class) +(\w+)", code, re.MULTILINE)


def tokens_of(code: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of a cell, without comments and blank lines; commands of Jupyter are comments."""
    plain = re.sub(r"^(\s*)[%!]", r"\1#", code, flags=re.MULTILINE) + "\n"
    for found in tokenize.generate_tokens(io.StringIO(plain).readline):
        if found.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, token.ENDMARKER):
            yield found
