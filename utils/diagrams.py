"""Drawings of models: graphs of variables, and diagrams made of boxes, stacks of feature maps and arrows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionStyle, FancyArrowPatch
from matplotlib.path import Path
from matplotlib.text import Text

import utils.plots  # noqa: F401  sets the style

DARK, PALE = "0.25", "0.7"
FILLS = {  # pale tones of the palette: what a box stands for
    "data": "#FFFFFF",
    "network": "#CFE3F1",
    "latent": "#FBE6BF",
    "operation": "#EDEDED",
    "loss": "#F5D9CC",
}


@dataclass(frozen=True)
class Box:
    """A box around its text, as large as the text needs. `kind` is a key of `FILLS`; `circle` draws a variable."""

    x: float
    y: float
    text: str
    kind: str = "data"
    circle: bool = False

    def _style(self) -> object:
        return "circle,pad=0.3" if self.circle else "round,pad=0.5,rounding_size=0.25"


@dataclass(frozen=True)
class Maps:
    """A stack of feature maps. Its `shape` (channels, height, width) stands on it; more maps, deeper stack.

    `text` is a second line, below the shape.
    """

    x: float
    y: float
    shape: tuple[int, int, int]
    text: str = ""
    kind: str = "data"

    @property
    def label(self) -> str:
        return "×".join(map(str, self.shape)) + (f"\n{self.text}" if self.text else "")

    def _style(self) -> object:
        channels, height, width = self.shape
        sheets = min(6, 1 + int(np.log2(channels)))
        return _Stack(sheets, tall=1.2 + 0.9 * np.log2(height), wide=1.2 + 0.9 * np.log2(width))


def diagram(
    axes: Axes,
    boxes: Mapping[str, Box | Maps],
    arrows: Sequence[tuple[str, ...]] = (),
    lines: Sequence[tuple[str, str]] = (),
    fontsize: float = 9.0,
) -> None:
    """Draw boxes at their places (x to the right, y upwards, one unit a column or row) and connect them.

    Args:
        axes: where to draw.
        boxes: name → `Box` or `Maps`.
        arrows: (from, to) or (from, to, label): names of boxes and what stands beside the arrow.
        lines: connections without heads.
        fontsize: of all texts.

    Raises:
        ValueError: for an arrow from or to a box that is not there, or boxes that overlap.

    >>> import matplotlib.pyplot as plt
    >>> _, axes = plt.subplots(figsize=(6, 1.5))
    >>> boxes = {"x": Maps(0, 0, (1, 28, 28)), "net": Box(1, 0, "encoder", "network"), "z": Box(2, 0, "z", "latent")}
    >>> diagram(axes, boxes, [("x", "net"), ("net", "z", "mean, variance")])
    """
    for connection in (*arrows, *lines):
        if missing := set(connection[:2]) - boxes.keys():
            raise ValueError(f"no box is named {missing.pop()!r}: expected one of {', '.join(boxes)}")
    axes.set_axis_off()
    axes.set(
        xlim=(min(box.x for box in boxes.values()) - 0.02, max(box.x for box in boxes.values()) + 0.02),
        ylim=(min(box.y for box in boxes.values()) - 0.02, max(box.y for box in boxes.values()) + 0.02),
    )
    drawn = {}
    for name, box in boxes.items():
        text = box.label if isinstance(box, Maps) else box.text
        style = {"boxstyle": box._style(), "facecolor": FILLS[box.kind], "edgecolor": DARK, "linewidth": 1.1}
        drawn[name] = axes.text(box.x, box.y, text, ha="center", va="center", fontsize=fontsize, bbox=style)
    _connect(axes, drawn, [(tail, head) for tail, head, *_ in arrows])
    _connect(axes, drawn, lines, arrowstyle="-")
    axes.get_figure(root=True).draw_without_rendering()  # now the boxes have their places
    _refuse_overlaps(drawn)
    for tail, head, *label in arrows:
        if label:
            _label(axes, drawn[tail], drawn[head], label[0], fontsize - 1)


def graph(
    axes: Axes,
    parents: Mapping[str, Sequence[str]],
    fill: Mapping[str, str] | None = None,
    strong: Collection[tuple[str, str]] = (),
    fontsize: float = 9.0,
) -> None:
    """Draw a directed acyclic graph from top to bottom, parents above children. Edges go around the boxes of others.

    Args:
        axes: where to draw.
        parents: for each variable the names of its parents.
        fill: colors of some variables' boxes; white by default.
        strong: edges (parent, child) to draw dark and thick; without any, all are dark.
        fontsize: of the names.
    """
    drawn = {}
    for name, (x, y) in _places(parents).items():
        box = {"boxstyle": "round,pad=0.25", "facecolor": (fill or {}).get(name, "white"), "edgecolor": "0.4"}
        drawn[name] = axes.text(x, y, name, ha="center", va="center", fontsize=fontsize, bbox=box)
    edges = [(parent, child) for child, named in parents.items() for parent in named]
    plain = [edge for edge in edges if strong and edge not in strong]
    _connect(axes, drawn, plain, color=PALE, linewidth=0.8)
    _connect(axes, drawn, [edge for edge in edges if edge not in plain])
    axes.set_axis_off()
    x, y = np.array([text.get_position() for text in drawn.values()]).T
    axes.set(xlim=(min(x) - 0.06, max(x) + 0.06), ylim=(min(y) - 0.3, max(y) + 0.3))


def _places(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, float]]:
    """Where the variables of a graph stand: x in (0, 1), and y, which falls by one from layer to layer."""
    import networkx as nx

    network = nx.DiGraph([(parent, child) for child, named in parents.items() for parent in named])
    network.add_nodes_from(parents)
    depth = {name: at for at, layer in enumerate(nx.topological_generations(network)) for name in layer}
    for name in [name for name in network if not network.in_degree(name) and network.out_degree(name)]:
        depth[name] = min(depth[child] for child in network.successors(name)) - 1  # roots just above their children
    layers = [[name for name in network if depth[name] == at] for at in range(max(depth.values()) + 1)]
    place = {name: (at + 0.5) / len(layer) for layer in layers for at, name in enumerate(layer)}
    for _ in range(8):  # each layer in the order of its neighbors' mean place, up and down: fewer crossings
        for layer in (*layers, *reversed(layers)):
            near = {name: [place[other] for other in nx.all_neighbors(network, name)] for name in layer}
            layer.sort(key=lambda name, near=near: np.mean(near[name]) if near[name] else place[name])
            place.update({name: (at + 0.5) / len(layer) for at, name in enumerate(layer)})
    # Every other name of a layer a little lower, so that long neighbors do not touch.
    return {
        name: (place[name], -depth[name] - 0.3 * (at % 2) * (len(layer) > 4))
        for layer in layers
        for at, name in enumerate(layer)
    }


def _connect(axes: Axes, drawn: Mapping[str, Text], edges: Sequence[tuple[str, str]], **style) -> None:
    """Arrows from the border of one box to the border of another, around all others."""
    names, boxes = list(drawn), _Boxes(list(drawn.values()))
    for tail, head in edges:
        options = {"arrowstyle": "-|>", "mutation_scale": 9, "color": DARK, "linewidth": 1.3} | style
        arrow = FancyArrowPatch(
            drawn[tail].get_position(), drawn[head].get_position(), patchA=drawn[tail].get_bbox_patch(),
            patchB=drawn[head].get_bbox_patch(), shrinkA=0, shrinkB=1,
            connectionstyle=_Around(boxes, [names.index(tail), names.index(head)]),
            zorder=4, **options,  # after the texts, whose boxes get their places when they are drawn
        )  # fmt: skip
        axes.add_patch(arrow)


class _Around:
    """The path of a connection: straight, or the flattest arc that meets the fewest boxes of others."""

    bends = (0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.4, -0.4, 0.55, -0.55)

    def __init__(self, boxes: _Boxes, own: Sequence[int]):
        self.boxes = boxes
        self.own = own

    def __call__(self, posA, posB, shrinkA=2.0, shrinkB=2.0, patchA=None, patchB=None) -> Path:
        others = np.delete(self.boxes.measured(), self.own, axis=0)
        met = {}
        for bend in self.bends:
            met[bend] = _hits(_arc(posA, posB, bend), others)
            if not met[bend]:
                break
        bend = min(met, key=met.get)  # of equals the first, which is the flattest
        return ConnectionStyle.Arc3(rad=bend)(posA, posB, shrinkA, shrinkB, patchA, patchB)


class _Boxes:
    """Where the boxes of some texts are drawn now, in dots; measured only when they have moved."""

    def __init__(self, texts: Sequence[Text]):
        self.patches = [text.get_bbox_patch() for text in texts]
        self.key, self.extents = None, None

    def measured(self) -> np.ndarray:
        """(boxes, 4): left, bottom, right, top, with a little air."""
        key = np.array([patch.get_transform().get_matrix()[:2] for patch in self.patches]).tobytes()
        if key != self.key:
            self.key = key
            self.extents = np.array([patch.get_window_extent().padded(2).extents for patch in self.patches])
        return self.extents


def _arc(start: Sequence[float], end: Sequence[float], bend: float) -> np.ndarray:
    """Points of the quadratic curve that matplotlib's `arc3` draws, (50, 2)."""
    (x0, y0), (x1, y1) = start, end
    control = np.array([(x0 + x1) / 2 + bend * (y1 - y0), (y0 + y1) / 2 - bend * (x1 - x0)])
    t = np.linspace(0, 1, 50)[:, None]
    return (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * control + t**2 * np.array(end)


def _hits(points: np.ndarray, boxes: np.ndarray) -> int:
    """How many boxes (left, bottom, right, top) a path of points enters."""
    x, y = points[:, 0, None], points[:, 1, None]
    left, bottom, right, top = boxes.T
    return int(((left < x) & (x < right) & (bottom < y) & (y < top)).any(0).sum())


class _Stack:
    """A box style: `sheets` rectangles one behind the other, at least so wide and tall (in heights of the letters)."""

    def __init__(self, sheets: int, tall: float, wide: float):
        self.sheets, self.tall, self.wide = sheets, tall, wide

    def __call__(self, x0: float, y0: float, width: float, height: float, mutation_size: float) -> Path:
        x, y = x0 + width / 2, y0 + height / 2
        half_wide = max(self.wide * mutation_size, width + 0.8 * mutation_size) / 2
        half_tall = max(self.tall * mutation_size, height + 0.8 * mutation_size) / 2
        left, right, bottom, top = x - half_wide, x + half_wide, y - half_tall, y + half_tall
        step = 0.3 * mutation_size
        outlines = [[(left, bottom), (right, bottom), (right, top), (left, top)]]
        for i in range(self.sheets - 1):  # of each sheet behind, what the one in front leaves to see
            a, b = i * step, (i + 1) * step
            outlines.append([
                (left + b, top + a), (right + a, top + a), (right + a, bottom + b),
                (right + b, bottom + b), (right + b, top + b), (left + b, top + b),
            ])  # fmt: skip
        return Path.make_compound_path(*(Path([*outline, outline[0]], closed=True) for outline in outlines))


def _label(axes: Axes, tail: Text, head: Text, label: str, fontsize: float) -> None:
    """Write beside the middle of what is visible of an arrow: above it, or at the right of a vertical one."""
    ends = axes.transData.transform([tail.get_position(), head.get_position()])
    path = np.linspace(*ends, 200)
    free = [point for point in path if not (_holds(tail, point) or _holds(head, point))]
    x, y = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    up, right = abs(x), -y * np.sign(x or 1)  # the direction across the arrow that points upwards
    if abs(x) < 0.1:
        up, right = 0.0, 1.0
    axes.annotate(
        label, axes.transData.inverted().transform(np.mean(free, axis=0)), (5 * right, 5 * up),
        textcoords="offset points", ha="center" if abs(right) < 0.2 else "left" if right > 0 else "right",
        va="bottom" if up else "center", fontsize=fontsize, color=DARK,
    )  # fmt: skip


def _holds(text: Text, point: np.ndarray) -> bool:
    return text.get_bbox_patch().get_window_extent().contains(*point)


def _refuse_overlaps(drawn: Mapping[str, Text]) -> None:
    places = {name: text.get_bbox_patch().get_window_extent() for name, text in drawn.items()}
    names = list(places)
    for at, name in enumerate(names):
        for other in names[at + 1 :]:
            if places[name].overlaps(places[other]):
                raise ValueError(f"the boxes {name!r} and {other!r} overlap: enlarge the figure or move one of them")
