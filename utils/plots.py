"""How the course draws: one style, set when this module is imported, and the few figures that chapters share."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from torch import Tensor

from utils.output import in_notebook, show

# The colors of Okabe and Ito, which people with any kind of color blindness can tell apart.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442"]
SCREEN_DPI = 80  # points of the screen in an inch of a figure
SHARPNESS = 2  # dots of the picture in a point of the screen
PAGE_WIDTH = 720  # points of the screen: 9 inches
TILE = 60  # points of the screen that the larger side of an image gets, where there is room

plt.rcParams.update(
    {
        "axes.prop_cycle": plt.cycler(color=PALETTE),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.dpi": SCREEN_DPI,
        "figure.figsize": (8.0, 3.6),
        "figure.constrained_layout.use": True,
        "font.size": 10.0,
        "image.cmap": "gray_r",
        "image.interpolation": "nearest",
        "legend.frameon": False,
        "savefig.dpi": SCREEN_DPI,
        "savefig.facecolor": "white",
    }
)


def caption(text: str, figure: Figure | None = None) -> None:
    """Show the figure and below it, as text, one sentence that says what to see in it.

    In a notebook the picture is drawn with `SHARPNESS` dots for each point of the screen, and its output holds its size
    on the screen, and the sentence as `text/plain` and as alternative text (`alt`). JupyterLab and GitHub show no
    alternative texts of outputs, so that the sentence stands below for everybody. Elsewhere the sentence is printed.

    Args:
        text: the sentence; line breaks and repeated blanks in it become single blanks.
        figure: the current one by default.

    Raises:
        ValueError: for an empty text.
    """
    figure = plt.gcf() if figure is None else figure
    text = " ".join(text.split())
    if not text:
        raise ValueError("the caption is empty: say in a sentence what the figure shows")
    if not in_notebook():
        print(text)
        plt.show()
        return
    png, width, height = _picture(figure)
    plt.close(figure)
    about = {"alt": text, "width": width, "height": height}
    show(text, data={"image/png": png}, metadata={"image/png": about})
    show(text, html=f'<p style="max-width: 50em"><em>{escape(text)}</em></p>')


def _picture(figure: Figure) -> tuple[str, int, int]:
    """The figure as base64 PNG without empty margins, and its width and height in points of the screen."""
    figure.draw_without_rendering()  # lays everything out
    box = figure.get_tightbbox().padded(0.08).get_points() * SCREEN_DPI
    (left, bottom), (right, top) = np.floor(box[0]), np.ceil(box[1])  # whole points, so that images stay on their grid
    inches = Bbox(np.array([[left, bottom], [right, top]]) / SCREEN_DPI)
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=SHARPNESS * SCREEN_DPI, bbox_inches=inches)
        return b64encode(file.getvalue()).decode(), int(right - left), int(top - bottom)


def images(
    x: Tensor,
    columns: int = 10,
    title: str = "",
    axes: Axes | None = None,
    limits: tuple = (0, 1),
    rows: Sequence[str] = (),
    frames: bool = False,
) -> Axes:
    """Draw images in one grid, row by row, each pixel as a square of a whole number of the screen's pixels.

    Args:
        x: `(B, H, W)` or `(B, 1, H, W)`; NaN (unknown) pixels are drawn in blue.
        columns: images in a row.
        title: above the grid.
        axes: where to draw, as large as fits; by default a new figure of the size that the grid needs.
        limits: the values drawn white and black.
        rows: a label for each row, or for each block of as many rows, at the left.
        frames: fill the space between the images with gray, for images whose border cannot be seen otherwise.

    Raises:
        ValueError: where not even one pixel of the screen is left for a pixel of the images (for given `axes` when
            they are drawn), or the labels do not divide the rows evenly.
    """
    x = x.detach().cpu().reshape(len(x), *x.shape[-2:])
    n, height, width = x.shape
    lines = -(-n // columns)
    if rows and lines % len(rows):
        raise ValueError(f"{len(rows)} labels for {lines} rows of images: give one for each row or each block of rows")
    between = limits[1] + 1 if frames else limits[0]  # what lies above the limits is drawn gray
    sheet = torch.full((lines * (height + 1) + 1, columns * (width + 1) + 1), between, dtype=torch.float64)
    for i in range(n):
        top, left = 1 + i // columns * (height + 1), 1 + i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = x[i].clamp(*limits)
    if axes is None:
        axes = _fitting_axes(sheet.shape, scale=TILE // max(height, width))
    colors = plt.get_cmap("gray_r").with_extremes(bad="#56B4E9", over="0.8")
    pixels = np.ma.masked_invalid(sheet.numpy())
    axes.imshow(pixels, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_axes_locator(partial(_whole_scale, sheet.shape))
    axes.set_axis_off()
    axes.set_title(title)
    for i, label in enumerate(rows):
        middle = (i + 0.5) * lines / len(rows) * (height + 1)
        axes.annotate(
            label, (0, middle), (-5, 0), textcoords="offset points", ha="right", va="center", annotation_clip=False
        )
    return axes


def _fitting_axes(shape: tuple[int, int], scale: int) -> Axes:
    """New axes that hold so many pixels exactly, at `scale` or a smaller one on a narrow page."""
    height, width = shape
    if width > PAGE_WIDTH:
        raise ValueError(f"a row of images is {width} pixels wide, and a page only {PAGE_WIDTH}: give fewer columns")
    scale = max(1, min(scale, PAGE_WIDTH // width))
    figure = plt.figure(figsize=(scale * width / SCREEN_DPI, scale * height / SCREEN_DPI), layout="none")
    return figure.add_axes((0, 0, 1, 1))  # title and labels stand outside: `caption` shows them too


def _whole_scale(shape: tuple[int, int], axes: Axes, renderer) -> Bbox:
    """Where in its place a sheet of pixels is drawn: as large as fits at a whole scale, on the grid of the screen."""
    place = axes.get_position(original=True)
    screen = np.array(axes.get_figure(root=True).get_size_inches()) * SCREEN_DPI
    room, size = place.size * screen, np.array(shape[::-1])
    scale = np.floor((room / size).min() + 1e-6)
    if scale < 1:
        raise ValueError(
            f"images of {size[0]} × {size[1]} pixels in all, in axes of {room[0]:.0f} × {room[1]:.0f} pixels of the "
            "screen: give fewer columns, a larger figure, or draw them without `axes`"
        )
    corner = np.floor(place.min * screen + (room - scale * size) / 2)
    return Bbox.from_bounds(*corner / screen, *scale * size / screen)


def plane(
    axes: Axes,
    log_prob: Callable[[Tensor], Tensor],
    low: Sequence[float],
    high: Sequence[float],
    steps: int = 160,
    **contour,
) -> None:
    """Draw the density of a model of points in the plane, `exp(log_prob(x))`, as filled contours over a rectangle."""
    x, y = (torch.linspace(low[i], high[i], steps, dtype=torch.float64) for i in range(2))
    grid = torch.cartesian_prod(x, y)
    density = log_prob(grid).exp().reshape(steps, steps).T
    top = density.max().item()
    options = {"levels": np.linspace(0.02 * top, top, 10), "cmap": "Blues"} | contour  # what is nearly 0 stays white
    axes.contourf(x.numpy(), y.numpy(), density.detach().numpy(), **options)
    axes.set_aspect("equal")


def ellipses(
    axes: Axes, means: Tensor, covariances: Tensor, colors: Sequence[str] = PALETTE, radius: float = 2.0
) -> None:
    """Draw each Gaussian of the plane as the ellipse that is `radius` standard deviations away from its mean."""
    angle = torch.linspace(0, 2 * torch.pi, 100, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])  # (2, 100)
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        values, vectors = torch.linalg.eigh(covariance.double())
        outline = mean.double()[:, None] + radius * (vectors * values.clamp_min(0).sqrt()) @ circle
        color = colors[k % len(colors)]
        axes.plot(*outline.numpy(), color=color, linewidth=2)
        axes.plot(*mean.double().numpy(), "x", color=color, markersize=8, markeredgewidth=2)
