"""Show something once, in the richest form that the place can show."""

from __future__ import annotations


def show(text: str, html: str | None = None, data: dict[str, dict] | None = None) -> None:
    """Display `text` (as `html` where that can be seen) in a notebook, with machine-readable `data` behind it.

    Args:
        text: what is printed outside of a notebook; in a notebook it stands for viewers that show no HTML.
        html: the same message as HTML.
        data: MIME type → JSON-able dictionary, kept in the cell's output; outside of a notebook it is dropped.

    >>> show("E-step: passed", html="<b>E-step</b>: passed")
    E-step: passed
    """
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = None
    if get_ipython is None or get_ipython() is None:
        print(text)
        return
    bundle: dict[str, object] = {"text/plain": text}
    if html is not None:
        bundle["text/html"] = html
    display(bundle | (data or {}), raw=True)
