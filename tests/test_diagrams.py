"""Graphs and diagrams: nothing covers a text; arrows end at the boxes that they connect and go around all others."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from utils.data import path
from utils.diagrams import Box, Maps, diagram, graph
from utils.models.bayesnets import BayesianNetwork


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def boxes_of(axes) -> dict:
    """Text → the rectangle that it and its box cover, in dots."""
    axes.figure.canvas.draw()
    return {text.get_text(): text.get_bbox_patch().get_window_extent() for text in axes.texts if text.get_bbox_patch()}


def paths_of(axes) -> list[np.ndarray]:
    """The line of each arrow (a quadratic curve) as many points, in dots."""
    t = np.linspace(0, 1, 200)[:, None]
    lines = [arrow._get_path_in_displaycoord()[0][0].vertices for arrow in axes.patches]
    return [(1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end for start, middle, end in lines]


def distance(box, point) -> float:
    """How far a point lies outside of a rectangle, in dots."""
    (x, y), (left, bottom, right, top) = point, box.extents
    return float(np.hypot(max(left - x, 0, x - right), max(bottom - y, 0, y - top)))


def inside(box, points: np.ndarray) -> bool:
    left, bottom, right, top = box.extents
    x, y = points.T
    return bool(((left < x) & (x < right) & (bottom < y) & (y < top)).any())


AUTOENCODER = {
    "x": Maps(0, 0, (1, 28, 28), "image"),
    "maps": Maps(1.2, 0, (16, 14, 14)),
    "linear": Box(2.3, 0, "linear", "network"),
    "mean": Box(3.3, 0.4, "mean", "latent"),
    "z": Box(4.3, 0, "z", "latent", circle=True),
}
ARROWS = [("x", "maps", "conv"), ("maps", "linear"), ("linear", "mean", "up"), ("mean", "z")]


def test_a_diagram_has_each_text_in_its_box_and_nothing_covers_another():
    _, axes = plt.subplots(figsize=(9, 2.5))
    diagram(axes, AUTOENCODER, ARROWS)
    boxes = boxes_of(axes)
    assert set(boxes) == {"1×28×28\nimage", "16×14×14", "linear", "mean", "z"}
    for text in axes.texts:
        if text.get_bbox_patch():
            words = _words(text)
            box = text.get_bbox_patch().get_window_extent()
            assert box.x0 < words.x0 and words.x1 < box.x1 and box.y0 < words.y0 and words.y1 < box.y1
    for one, other in combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    labels = [text for text in axes.texts if not text.get_bbox_patch()]
    assert [label.get_text() for label in labels] == ["conv", "up"]
    for points in paths_of(axes):
        assert not any(inside(label.get_window_extent(), points) for label in labels), "an arrow crosses a label"
    for label in labels:
        for box in boxes.values():
            assert not label.get_window_extent().overlaps(box), label.get_text()


def _words(text):
    """What the letters alone cover, without the box around them."""
    patch, text._bbox_patch = text._bbox_patch, None
    extent = text.get_window_extent()
    text._bbox_patch = patch
    return extent


def test_arrows_run_from_border_to_border():
    _, axes = plt.subplots(figsize=(9, 2.5))
    diagram(axes, AUTOENCODER, ARROWS)
    boxes = boxes_of(axes)
    texts = {name: box.label if isinstance(box, Maps) else box.text for name, box in AUTOENCODER.items()}
    paths = paths_of(axes)
    assert len(paths) == len(ARROWS)
    for (tail, head, *_), points in zip(ARROWS, paths, strict=True):
        for name, end in ((tail, points[0]), (head, points[-1])):
            assert distance(boxes[texts[name]], end) < 6, f"{tail} → {head} does not reach {name}"
        for name, text in texts.items():
            if name not in (tail, head):
                assert not inside(boxes[text], points)


def test_more_maps_are_a_deeper_stack_and_larger_maps_are_larger():
    _, axes = plt.subplots(figsize=(9, 2.5))
    diagram(axes, {"a": Maps(0, 0, (1, 28, 28)), "b": Maps(1, 0, (32, 28, 28)), "c": Maps(2, 0, (1, 7, 7))})
    axes.figure.canvas.draw()
    sheets = [len(text.get_bbox_patch().get_path().to_polygons()) for text in axes.texts]
    assert sheets == [1, 6, 1]
    heights = [text.get_bbox_patch().get_window_extent().height for text in axes.texts]
    assert heights[1] > heights[0] > heights[2]


def test_lines_have_no_heads_and_connect_as_told():
    _, axes = plt.subplots(figsize=(5, 2.5))
    boxes = {name: Box(x, y, name, circle=True) for name, x, y in (("v1", 0, 0), ("v2", 1, 0), ("h", 0.5, 1))}
    diagram(axes, boxes, lines=[("v1", "h"), ("v2", "h")])
    styles = [type(patch.get_arrowstyle()).__name__ for patch in axes.patches]
    assert styles == ["Curve", "Curve"]
    drawn = boxes_of(axes)
    for name, points in zip(("v1", "v2"), paths_of(axes), strict=True):
        assert distance(drawn[name], points[0]) < 3 and distance(drawn["h"], points[-1]) < 3


def test_overlapping_boxes_and_unknown_names_are_refused():
    _, axes = plt.subplots(figsize=(2, 2))
    with pytest.raises(ValueError, match="the boxes 'a' and 'b' overlap"):
        diagram(axes, {"a": Box(0, 0, "a very long text"), "b": Box(0.1, 0, "another long text"), "c": Box(1, 0, "c")})
    with pytest.raises(ValueError, match="no box is named 'd': expected one of a"):
        diagram(axes, {"a": Box(0, 0, "a")}, [("a", "d")])


def test_a_graph_has_parents_above_children_and_every_name_once():
    parents = {"call": ("alarm", "age"), "alarm": ("smoke",), "smoke": (), "age": (), "alone": ()}
    _, axes = plt.subplots()
    graph(axes, parents, fill={"call": "#F0E442"}, strong=[("smoke", "alarm")])
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert len(axes.texts) == len(parents) and places.keys() == parents.keys()
    for child, named in parents.items():
        for parent in named:
            assert places[parent][1] > places[child][1], f"{parent} is not above {child}"
    boxes = {text.get_text(): text.get_bbox_patch().get_facecolor() for text in axes.texts}
    assert boxes["call"] != boxes["alarm"]
    widths = sorted(patch.get_linewidth() for patch in axes.patches)
    assert len(widths) == 3 and widths[0] == widths[1] < widths[2], "one of the three edges is strong"


@pytest.mark.parametrize(("name", "figsize", "fontsize"), [("asia", (5, 3.8), 9.0), ("alarm", (9, 5.2), 6.5)])
def test_no_edge_of_a_graph_runs_through_a_box_and_no_boxes_overlap(name, figsize, fontsize):
    network = BayesianNetwork.from_bif(path(f"bayesnets/{name}.bif.gz"))
    _, axes = plt.subplots(figsize=figsize)
    graph(axes, network.parents, fontsize=fontsize)
    boxes = boxes_of(axes)
    edges = [(parent, child) for child, parents in network.parents.items() for parent in parents]
    paths = paths_of(axes)
    assert len(paths) == len(edges) and len(boxes) == len(network.parents)
    for (parent, child), points in zip(edges, paths, strict=True):
        assert distance(boxes[parent], points[0]) < 4 and distance(boxes[child], points[-1]) < 6
        met = [other for other, box in boxes.items() if other not in (parent, child) and inside(box, points)]
        assert not met, f"{parent} → {child} runs through {met}"
    for one, other in combinations(boxes, 2):
        assert not boxes[one].overlaps(boxes[other]), f"{one} covers {other}"
