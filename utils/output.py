"""Show something once, in the richest form that the place can show; and show how far something is."""

from __future__ import annotations

import sys


def show(
    text: str,
    html: str | None = None,
    data: dict[str, object] | None = None,
    metadata: dict[str, dict] | None = None,
) -> None:
    """Display `text` (as `html` where that can be seen) in a notebook, with machine-readable `data` behind it.

    Args:
        text: what is printed outside of a notebook; in a notebook it stands for viewers that show nothing richer.
        html: the same message as HTML.
        data: MIME type → what belongs there (JSON-able, or base64 for a picture), kept in the cell's output; outside of
            a notebook it is dropped.
        metadata: MIME type → how to show that part, such as the width and the alternative text of a picture.

    >>> show("E-step: passed", html="<b>E-step</b>: passed")
    E-step: passed
    """
    if not in_notebook():
        print(text)
        return
    from IPython.display import display

    bundle: dict[str, object] = {"text/plain": text}
    if html is not None:
        bundle["text/html"] = html
    display(bundle | (data or {}), raw=True, metadata=metadata or {})


def in_notebook() -> bool:
    """Whether what is displayed becomes the output of a cell (or of IPython's prompt)."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None


def progress_bar(total: int, initial: int = 0, visible: bool | None = None, unit: str = "step"):
    """A tqdm bar that leaves nothing behind, and that is not drawn where a program executes a notebook.

    Args:
        total: how many steps there are in all.
        initial: how many are done already.
        visible: whether to show it; by default, where somebody is watching.
        unit: the name of a step.
    """
    from tqdm.auto import tqdm

    if visible is None:
        # A program that executes notebooks cannot answer input(), a person in front of Jupyter can.
        kernel = getattr(sys.modules.get("IPython") and sys.modules["IPython"].get_ipython(), "kernel", None)
        visible = sys.stderr.isatty() if kernel is None else bool(getattr(kernel, "_allow_stdin", False))
    return tqdm(total=total, initial=initial, leave=False, disable=not visible, unit=unit, dynamic_ncols=True)
