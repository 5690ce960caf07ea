"""The shared figures draw what they are given; looked at as numbers here, as pictures in the lessons."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from utils.plots import PALETTE, caption, ellipses, graph, images, plane


@pytest.fixture(autouse=True)
def closed(monkeypatch):
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_images_are_laid_out_row_by_row_and_what_is_unknown_is_masked():
    x = torch.zeros(3, 1, 2, 2)
    x[1] = 1
    x[2, 0, 0, 0] = torch.nan
    axes = images(x, columns=2)
    sheet = axes.images[0].get_array()
    assert sheet.shape == (7, 7)
    assert (sheet[1:3, 1:3] == 0).all() and (sheet[1:3, 4:6] == 1).all()
    assert sheet.mask.sum() == 1 and sheet.mask[4, 1]


def test_an_ellipse_lies_at_its_radius():
    _, axes = plt.subplots()
    mean = torch.tensor([[1.0, -2.0]])
    covariance = torch.tensor([[[2.0, 0.6], [0.6, 0.5]]])
    ellipses(axes, mean, covariance, radius=3.0)
    outline = torch.as_tensor(np.stack(axes.lines[0].get_data(), axis=1)).float() - mean
    distance = torch.einsum("bi,ij,bj->b", outline, covariance[0].inverse(), outline).sqrt()
    assert torch.allclose(distance, torch.full_like(distance, 3.0), atol=1e-4)
    assert axes.lines[0].get_color() == PALETTE[0]


def test_the_plane_shows_the_density_the_right_way_round():
    _, axes = plt.subplots()
    plane(axes, lambda x: -0.5 * ((x - torch.tensor([1.0, -1.0])) / 0.1).square().sum(1), (-2, -2), (2, 2))
    low, high = axes.collections[0].get_paths()[-1].get_extents().get_points()
    assert low[0] < 1 < high[0] and low[1] < -1 < high[1]


def test_a_caption_stands_below_and_the_figure_is_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf().get_supxlabel()))
    plt.subplots()
    caption("What to see.")
    assert shown == ["What to see."]


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
