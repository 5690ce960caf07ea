"""The families of the course side by side: what each can do, what it cannot, and what it costs."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from utils.output import show


class Family(NamedTuple):
    """One row. `chapter` is where the family is taught; the other fields are the columns."""

    chapter: str
    family: str
    likelihood: str
    samples: str
    latent: str
    good: str
    bad: str


FAMILIES = (
    Family(
        "01",
        "Generative classifier",
        "exact",
        "at once",
        "the class",
        "few examples, missing values",
        "one simple shape a class",
    ),
    Family(
        "03",
        "Bayesian network",
        "exact",
        "at once",
        "where you put one",
        "answers any question, readable",
        "tens of variables, not pixels",
    ),
    Family(
        "04",
        "Mixture",
        "exact",
        "at once",
        "one label",
        "few data, clusters, missing values",
        "one prototype a component",
    ),
    Family(
        "05",
        "Restricted Boltzmann machine",
        "up to a constant",
        "a long chain",
        "bits",
        "completion, codes in bits",
        "slow mixing, biased gradient",
    ),
    Family(
        "06",
        "Variational autoencoder",
        "bound",
        "at once",
        "a smooth space",
        "codes, interpolation, stable training",
        "blur, unused latents",
    ),
    Family(
        "08",
        "Generative adversarial network",
        "none",
        "at once",
        "a smooth space, one way",
        "sharp samples",
        "missing modes, unstable, hard to judge",
    ),
    Family(
        "10",
        "Normalizing flow",
        "exact",
        "at once (coupling) or D passes",
        "as large as x",
        "exact densities, exact inverse",
        "topology, many parameters for images",
    ),
    Family(
        "11",
        "Autoregression in time",
        "exact",
        "step by step",
        "none",
        "forecasts with honest intervals",
        "errors grow, the future must be like the past",
    ),
    Family(
        "12",
        "Autoregression over pixels",
        "exact",
        "pixel by pixel",
        "none",
        "the best likelihoods",
        "slow samples, one order, no code",
    ),
    Family(
        "13",
        "Transformer",
        "exact",
        "token by token",
        "none",
        "long memory, copying, text",
        "hungry for text, quadratic attention",
    ),
)
HEAD = ("family", "log-likelihood", "samples", "latent", "good at", "bad at")


def families(upto: str) -> None:
    """Show the families that are known by the end of a chapter, one a row.

    Args:
        upto: the chapter's number, two digits.

    Raises:
        ValueError: when no family is taught in that chapter.

    >>> families("01")
    family                 log-likelihood  samples  latent     good at                       bad at
    Generative classifier  exact           at once  the class  few examples, missing values  one simple shape a class
    """
    chapters = [family.chapter for family in FAMILIES]
    if upto not in chapters:
        raise ValueError(f"no family is taught in chapter {upto!r}: expected one of {', '.join(chapters)}")
    rows = [HEAD, *(family[1:] for family in FAMILIES if family.chapter <= upto)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    body = "".join(_html_row(row, "td") for row in rows[1:])
    html = f"<table><thead>{_html_row(HEAD, 'th')}</thead><tbody>{body}</tbody></table>"
    show("\n".join(lines), html=html)


def _html_row(row: tuple[str, ...], tag: str) -> str:
    cells = "".join(f'<{tag} style="text-align: left">{escape(cell)}</{tag}>' for cell in row)
    return f"<tr>{cells}</tr>"
