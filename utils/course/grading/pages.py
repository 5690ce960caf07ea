"""Pages of HTML for people: one file each, without scripts, and with a stranger's text in it shown as text."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from utils.course.grading.names import writable

MOST_LINES, MOST_CHARACTERS = 400, 40_000  # of a code that is shown
# Nothing is loaded and nothing runs, whatever a page quotes.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light; --line: #d8dee4; --soft: #f6f8fa; --dim: #57606a; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 50rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
code, pre { font: .875em/1.45 ui-monospace, monospace; }
p code, li code, td code { background: var(--soft); padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem; border-radius: 6px; overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; } td, th { padding: .15rem 1rem .15rem 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.total { font-size: 1.5rem; font-weight: 600; }
.dim { color: var(--dim); font-size: .9rem; }
.verdict { display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-size: .85rem; color: #fff; }
.passed { background: #1a7f37; } .not-attempted { background: #57606a; }
.wrong, .error, .timed-out { background: #b62324; }
.comment, .derivation { border-left: 4px solid #0969da; padding: .1rem 0 .1rem .8rem; margin: .5rem 0; }
.derivation { border-color: var(--line); overflow-x: auto; } .derivation img { max-width: 100%; }
.math { font-family: ui-monospace, monospace; font-size: .875em; white-space: pre-wrap; }
div.math { padding: .3rem 1rem; } summary { cursor: pointer; color: var(--dim); }
:target { background: #fff8c5; }
""" + HtmlFormatter(style="default").get_style_defs(".code") + "\n.code .err { border: none; }\n"  # fmt: skip


def page(title: str, *body: str) -> str:
    """A whole page; `body` is HTML already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def text(plain: str) -> str:
    """Plain text as HTML."""
    return html.escape(writable(plain))


def sentence(plain: str) -> str:
    """A sentence of ours, in which what stands in backticks is code."""
    return "".join(
        f"<code>{text(part)}</code>" if at % 2 else text(part) for at, part in enumerate(re.split(r"`([^`]+)`", plain))
    )


def code(source: str) -> str:
    """Python with colors; what is too long is cut, and that is said."""
    lines = source.splitlines()
    shown = "\n".join(lines[:MOST_LINES])[:MOST_CHARACTERS]
    note = (
        ""
        if len(shown) >= len("\n".join(lines))
        else f'<p class="dim">Only the beginning is shown, of {len(lines)} lines.</p>'
    )
    colored = highlight(writable(shown), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return f'<pre class="code">{colored.rstrip()}</pre>{note}'


def markdown(source: str, pictures: Mapping[str, str]) -> str:
    """A student's Markdown: HTML in it is text, links of other kinds than the web's are none, formulas stay TeX."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin)
    reader.add_render_rule("image", _image)
    reader.add_render_rule("math_inline", _formula)
    reader.add_render_rule("math_block", _formula)
    return reader.render(source[:MOST_CHARACTERS], {"pictures": dict(pictures)})


def markdown_sentence(plain: str) -> str:
    """The same as `sentence`, inside of a Markdown table: code stays as it is but for the bar, which ends a cell."""
    parts = re.split(r"`([^`]+)`", " ".join(plain.split()))
    return "".join(
        f"`{part}`".replace("|", "\\|") if at % 2 else re.sub(r"([\\`*{}\[\]<>#|~&]|(?<!\w)_|_(?!\w))", r"\\\1", part)
        for at, part in enumerate(parts)
    )


def _image(self: RendererHTML, tokens: list, at: int, options: object, env: dict) -> str:
    """A picture that is attached to the cell; the name of any other, for nothing is loaded."""
    source, label = str(tokens[at].attrs.get("src", "")), text(tokens[at].content)
    if data := env["pictures"].get(source.removeprefix("attachment:")):
        return f'<img src="{text(data)}" alt="{label}">'
    return f'<span class="dim">[picture {label or text(source)}: not attached to the notebook]</span>'


def _formula(self: RendererHTML, tokens: list, at: int, options: object, env: dict) -> str:
    kind = "span" if tokens[at].type == "math_inline" else "div"
    return f'<{kind} class="math">{text(tokens[at].content.strip())}</{kind}>'
