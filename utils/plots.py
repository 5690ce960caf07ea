"""How the course draws: one style, set when this module is imported, and the few figures that chapters share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# The colours of Okabe and Ito, which people with any kind of colour blindness can tell apart.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442"]

plt.rcParams.update(
    {
        "axes.prop_cycle": plt.cycler(color=PALETTE),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.dpi": 80,
        "figure.figsize": (8.0, 3.6),
        "figure.constrained_layout.use": True,
        "font.size": 10.0,
        "image.cmap": "gray_r",
        "image.interpolation": "nearest",
        "legend.frameon": False,
        "savefig.dpi": 80,
        "savefig.facecolor": "white",
    }
)


def caption(text: str, figure: Figure | None = None) -> None:
    """Write a line below the figure that says what to see in it, and show the figure."""
    figure = plt.gcf() if figure is None else figure
    figure.supxlabel(text, fontsize=9.5, style="italic", color="#333333", wrap=True)
    plt.show()


def images(x: Tensor, columns: int = 10, title: str = "", axes: Axes | None = None, limits: tuple = (0, 1)) -> Axes:
    """Draw images in one grid, row by row.

    Args:
        x: `(B, H, W)` or `(B, 1, H, W)`; NaN (unknown) pixels are drawn in blue.
        columns: images in a row.
        title: above the grid.
        axes: where to draw; a new figure by default.
        limits: the values drawn white and black.
    """
    x = x.detach().cpu().reshape(len(x), *x.shape[-2:])
    n, height, width = x.shape
    rows = -(-n // columns)
    sheet = torch.full((rows * (height + 1) + 1, columns * (width + 1) + 1), limits[0], dtype=x.dtype)
    for i in range(n):
        top, left = 1 + i // columns * (height + 1), 1 + i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = x[i]
    if axes is None:
        _, axes = plt.subplots(figsize=(min(9.0, 0.75 * columns), min(9.0, 0.75 * columns) * rows / columns + 0.5))
    colours = plt.get_cmap("gray_r").with_extremes(bad="#56B4E9")
    axes.imshow(np.ma.masked_invalid(sheet.numpy()), cmap=colours, vmin=limits[0], vmax=limits[1])
    axes.set_axis_off()
    axes.set_title(title)
    return axes


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
    axes: Axes, means: Tensor, covariances: Tensor, colours: Sequence[str] = PALETTE, radius: float = 2.0
) -> None:
    """Draw each Gaussian of the plane as the ellipse that is `radius` standard deviations away from its mean."""
    angle = torch.linspace(0, 2 * torch.pi, 100, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])  # (2, 100)
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        values, vectors = torch.linalg.eigh(covariance.double())
        outline = mean.double()[:, None] + radius * (vectors * values.clamp_min(0).sqrt()) @ circle
        colour = colours[k % len(colours)]
        axes.plot(*outline.numpy(), color=colour, linewidth=2)
        axes.plot(*mean.double().numpy(), "x", color=colour, markersize=8, markeredgewidth=2)


def graph(
    axes: Axes,
    parents: Mapping[str, Sequence[str]],
    fill: Mapping[str, str] | None = None,
    strong: Collection[tuple[str, str]] = (),
    fontsize: float = 9.0,
) -> None:
    """Draw a directed acyclic graph from top to bottom, parents above children.

    Args:
        axes: where to draw.
        parents: for each variable the names of its parents.
        fill: colours of some variables' boxes; white by default.
        strong: edges (parent, child) to draw dark and thick; without any, all are dark.
        fontsize: of the names.
    """
    import networkx as nx

    network = nx.DiGraph([(parent, child) for child, named in parents.items() for parent in named])
    network.add_nodes_from(parents)
    depth = {name: at for at, layer in enumerate(nx.topological_generations(network)) for name in layer}
    for name in [name for name in network if not network.in_degree(name) and network.out_degree(name)]:
        depth[name] = min(depth[child] for child in network.successors(name)) - 1  # roots just above their children
    layers = [[name for name in network if depth[name] == at] for at in range(max(depth.values()) + 1)]
    place = {name: (at + 0.5) / len(layer) for layer in layers for at, name in enumerate(layer)}
    for _ in range(8):  # each layer in the order of its neighbours' mean place, up and down: fewer crossings
        for layer in (*layers, *reversed(layers)):
            near = {name: [place[other] for other in nx.all_neighbors(network, name)] for name in layer}
            layer.sort(key=lambda name, near=near: np.mean(near[name]) if near[name] else place[name])
            place.update({name: (at + 0.5) / len(layer) for at, name in enumerate(layer)})
    # Every other name of a layer a little lower, so that long neighbours do not touch.
    where = {
        name: (place[name], -depth[name] - 0.3 * (at % 2) * (len(layer) > 4))
        for layer in layers
        for at, name in enumerate(layer)
    }
    for edge in network.edges:
        plain = bool(strong) and edge not in strong
        nx.draw_networkx_edges(
            network, where, [edge], ax=axes, node_size=500, arrowsize=9,
            edge_color="0.7" if plain else "0.2", width=0.8 if plain else 1.3,
        )  # fmt: skip
    for name, (x, y) in where.items():
        box = {"boxstyle": "round,pad=0.25", "facecolor": (fill or {}).get(name, "white"), "edgecolor": "0.4"}
        axes.text(x, y, name, ha="center", va="center", fontsize=fontsize, bbox=box)
    axes.set_axis_off()
    axes.margins(0.1)
