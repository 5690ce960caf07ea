"""The shared figures draw what they are given; looked at as numbers here, as pictures in the lessons."""

import io
from base64 import b64decode

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from utils import plots
from utils.course.notebooks import smaller
from utils.plots import PALETTE, SHARPNESS, caption, ellipses, images, plane


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


def drawn(figure) -> np.ndarray:
    """The dots that `caption` would show, as shades from 0 (black) to 255, (height, width)."""
    png, width, height = plots._picture(figure)
    dots = np.asarray(Image.open(io.BytesIO(b64decode(png))).convert("L"))
    assert dots.shape == (SHARPNESS * height, SHARPNESS * width)
    return dots


def sheet_in(dots: np.ndarray, sheet: np.ndarray, scale: int) -> bool:
    """Whether each pixel of the sheet (0 white, 1 black) is a square of so many dots, somewhere in the picture."""
    squares = np.kron(255 * (1 - sheet), np.ones((scale, scale))).astype(np.uint8)
    height, width = squares.shape
    corners = np.lib.stride_tricks.sliding_window_view(dots, (scale, width))[:, :, 0]  # the first line of dots
    places = np.argwhere((corners == squares[0]).all(-1))
    return any((dots[top : top + height, left : left + width] == squares).all() for top, left in places)


def black_and_white(n: int, height: int, width: int) -> torch.Tensor:
    x = (torch.rand(n, height, width, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    x[:, 0] = 1  # a black line, by which the test finds the sheet
    return x


def sheet_of(axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array()[1:-1, 1:-1])


@pytest.mark.parametrize(("size", "columns", "scale"), [(28, 12, 2), (8, 5, 7), (28, 20, 1)])
def test_a_grid_of_images_gets_a_figure_in_which_each_pixel_is_a_whole_square(size, columns, scale):
    axes = images(black_and_white(2 * columns, size, size), columns, "a title", rows=["first", "second row"])
    assert sheet_in(drawn(axes.figure), sheet_of(axes), SHARPNESS * scale)


@pytest.mark.parametrize("figsize", [(6.03, 3.01), (9, 3.3), (7.77, 5)])
def test_in_given_axes_images_are_as_large_as_whole_squares_allow(figsize):
    figure, (left, right) = plt.subplots(1, 2, figsize=figsize)
    left.plot([0, 1])
    left.set(xlabel="x", ylabel="a long label")
    images(black_and_white(6, 28, 28), columns=3, title="digits", axes=right)
    dots = drawn(figure)
    room = right.get_position(original=True).size * figure.get_size_inches() * plots.SCREEN_DPI
    scale = int(min(room / sheet_of(right).shape[::-1]))
    assert scale >= 1
    assert sheet_in(dots, sheet_of(right), SHARPNESS * scale)


def test_images_that_would_lose_pixels_are_refused():
    with pytest.raises(ValueError, match="871 pixels wide, and a page only 720: give fewer columns"):
        images(torch.zeros(30, 28, 28), columns=30)
    figure, axes = plt.subplots(figsize=(2, 2))
    images(torch.zeros(64, 28, 28), columns=8, axes=axes)
    with pytest.raises(
        ValueError, match=r"images of 233 × 233 pixels in all, in axes of \d+ × \d+ pixels of the screen"
    ):
        figure.draw_without_rendering()


def test_rows_of_images_carry_labels_at_their_middle():
    axes = images(torch.zeros(12, 8, 8), columns=3, rows=["real", "drawn"])
    places = {text.get_text(): text.xy for text in axes.texts}
    assert places == {"real": (0, 9.0), "drawn": (0, 27.0)}, "each at the middle of its block of two rows"
    axes.figure.draw_without_rendering()
    sheet = axes.get_window_extent()
    for text in axes.texts:
        assert text.get_window_extent().x1 < sheet.x0
    with pytest.raises(ValueError, match="3 labels for 4 rows"):
        images(torch.zeros(12, 8, 8), columns=3, rows=["a", "b", "c"])


def test_a_long_label_is_not_cut_off():
    rows = ["noise", "shuffled", "inverted", "patches of a photograph", "upside down", "half as dark", "the mean digit"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), width_ratios=(1, 1.5))
    images(black_and_white(35, 8, 8), columns=5, axes=left, rows=rows)
    for name in ("density p(x)", "confidence, same model", "confidence, logistic", "distance to the mean"):
        right.plot(range(7), range(7), "D", label=name)
    right.set(xlabel="AUROC")
    right.set_yticks(range(7), rows)
    figure.legend(loc="outside upper center", ncols=4)
    dots = drawn(figure)
    for border in (dots[:, :6], dots[:, -6:], dots[:6], dots[-6:]):
        assert (border == 255).all()


def test_frames_are_gray_and_no_value_of_an_image_is():
    axes = images(torch.tensor([[[0.0, 1.7], [-0.3, 1.0]]]), columns=1, frames=True)
    colors = axes.images[0].to_rgba(axes.images[0].get_array())[..., 0]
    assert np.allclose(colors, [[0.8] * 4, [0.8, 1, 0, 0.8], [0.8, 1, 0, 0.8], [0.8] * 4], atol=0.01)


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


def test_in_a_notebook_the_caption_is_text_below_a_sharp_picture_that_has_it_as_alternative_text(tmp_path):
    import nbclient
    import nbconvert

    code = """
import matplotlib.pyplot as plt
from utils.plots import caption

figure, axes = plt.subplots(figsize=(4, 2))
axes.plot([0, 1])
caption("What <x> shows,  and\\n  why.")
print(plt.get_fignums())
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    picture, sentence, left = notebook.cells[0].outputs
    text = "What <x> shows, and why."
    assert picture.output_type == sentence.output_type == "display_data"
    assert picture.data["text/plain"] == sentence.data["text/plain"] == text
    assert "image/png" not in sentence.data and "What &lt;x&gt; shows, and why." in sentence.data["text/html"]
    about = picture.metadata["image/png"]
    assert about["alt"] == text
    for png in (picture.data["image/png"], smaller(picture.data["image/png"])):
        size = Image.open(io.BytesIO(b64decode(png))).size
        assert size == (SHARPNESS * about["width"], SHARPNESS * about["height"])
    assert 250 < about["width"] <= 330 and 120 < about["height"] <= 170, "the size of the figure on the screen"
    assert left.text == "[]\n", "the figure is closed: it does not appear again"
    page, _ = nbconvert.HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert 'alt="What &lt;x&gt; shows, and why."' in page
    assert page.index("<img") < page.rindex("What &lt;x&gt; shows, and why.</em>")


def test_outside_of_a_notebook_the_caption_is_printed_and_the_figure_shown(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    figure, _ = plt.subplots()
    caption("What to\n see.")
    assert capsys.readouterr().out == "What to see.\n" and shown == [figure]
    with pytest.raises(ValueError, match="the caption is empty"):
        caption(" ")


def test_what_stands_outside_of_a_figure_is_not_cut_off():
    figure = plt.figure(figsize=(2, 1), layout="none")
    figure.add_axes((0, 0, 1, 1)).set_axis_off()
    figure.text(0, 1.2, "above", va="bottom")
    _, width, height = plots._picture(figure)
    assert height > 80 + 10 and width >= 160
