# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 12: Autoregressive models of images
#
# You will write an image's probability as a product over its pixels, mask networks so that no pixel sees its future, draw
# and complete digits pixel by pixel, and reach a number on images that the model has not seen.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`; `B` is the number
# of images, `D` of pixels, `H` of hidden units or of rows. Pixels are 0 or 1 unless it says otherwise, and their order is
# row by row from the upper left. Every exercise stands alone: if you are stuck, go on with the next one.
#
# **Tiers.** *Core* builds the models, *extend* changes them, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.checks import check
from utils.data import binarize, load
from utils.nets import MADE
from utils.plots import caption, images


# %% [markdown]
# ## 12.1 The chain rule on pixels (core)
#
# A network gives each pixel a logit $a_d$, made of the pixels before it: $p(x_d = 1 \mid x_{<d}) = \sigma(a_d)$ with
# $\sigma(a) = 1 / (1 + e^{-a})$. The chain rule makes a probability of the whole image from them:
#
# $$\log p(x) = \sum_d \log p(x_d \mid x_{<d}).$$
#
# A pixel that is 1 counts with $\sigma(a_d)$, one that is 0 with $1 - \sigma(a_d)$. The product of a thousand probabilities
# is 0 for a computer, and so is $1 - \sigma(800)$: stay in log space. `torch.nn.functional` has what you need.
#
# `logits` and `x` are `(B, H, W)`; return $\log p(x)$ in nats, `(B,)`.


# %% exercise={"id": "ar.chain_log_prob", "tier": "core", "minutes": 8, "points": 1}
# ar.chain_log_prob · core · 8 minutes · 1 point
def chain_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x) of each image: (B, H, W) and (B, H, W) -> (B,)."""
    raise NotImplementedError("ar.chain_log_prob")


# %% tags=["nbval-check-output"]
check("ar.chain_log_prob", chain_log_prob)


# %% [markdown]
# ## 12.2 A logistic regression for each pixel (core)
#
# The fully visible sigmoid belief network is the smallest model of this kind. It has no hidden units: the logit of pixel $d$
# is a weighted sum of the pixels before it,
#
# $$a_d = b_d + \sum_{j < d} W_{dj} \, x_j .$$
#
# The matrix that you get is full. Only the weights $W_{dj}$ with $j < d$ may count: with any other one, the probabilities of
# all images do not sum to 1. The check sums them, for all $2^9$ images of 3 × 3.
#
# `weights` is `(D, D)`, `bias` is `(D,)`, `x` is `(B, D)`; return $\log p(x)$, `(B,)`.


# %% exercise={"id": "ar.fvsbn_log_prob", "tier": "core", "minutes": 10, "points": 2}
# ar.fvsbn_log_prob · core · 10 minutes · 2 points
def fvsbn_log_prob(weights: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """log p(x) of a fully visible sigmoid belief network: (B, D) -> (B,)."""
    raise NotImplementedError("ar.fvsbn_log_prob")


# %% tags=["nbval-check-output"]
check("ar.fvsbn_log_prob", fvsbn_log_prob)


# %% [markdown]
# ## 12.3 Its gradient: derivation and code (core)
#
# Training makes the mean of $-\log p(x)$ over the images small. What one pixel of one image adds to it is
#
# $$\ell_d = -x_d \log \sigma(a_d) - (1 - x_d) \log\bigl(1 - \sigma(a_d)\bigr), \qquad a_d = b_d + \sum_{j < d} W_{dj} \, x_j .$$
#
# **Derive** $\partial \ell_d / \partial a_d$, then $\partial \ell_d / \partial b_d$ and $\partial \ell_d / \partial W_{dj}$.
# You need $\sigma'(a) = \sigma(a)\,(1 - \sigma(a))$; show that first. The result is short. Write your derivation in the cell
# below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**, for the mean over a batch. `weights` is `(D, D)`, `bias` `(D,)`, `x` `(B, D)`. Return the gradients of the
# weights, `(D, D)`, with zeros where $j \ge d$, and of the bias, `(D,)`.


# %% exercise={"id": "ar.fvsbn_gradient", "tier": "core", "minutes": 20, "points": 3}
# ar.fvsbn_gradient · core · 20 minutes · 3 points
def fvsbn_gradient(weights: Tensor, bias: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the mean of −log p(x) over the batch: (D, D) and (D,)."""
    raise NotImplementedError("ar.fvsbn_gradient")


# %% tags=["nbval-check-output"]
check("ar.fvsbn_gradient", fvsbn_gradient)


# %% [markdown]
# ## 12.4 Draw an image, pixel by pixel (core)
#
# To sample, follow the chain: ask for the first pixel's probability, draw it, ask again with this pixel in place, draw the
# second one, and so on. `model(x)` takes images `(B, D)` and returns the logits of all pixels, `(B, D)`. The logit of a pixel
# depends only on the pixels **before it in the model's order**, so the values that you have not drawn yet do not matter.
#
# `order` `(D,)` holds the pixels' indices in the model's order, first to last; it need not be row by row. The random numbers
# are given, so that there is one right result: pixel $d$ of image $b$ is 1 where `uniforms[b, d]` is **below** its
# probability.
#
# `uniforms` is `(B, D)`; return the images, `(B, D)`, zeros and ones in `float64`.


# %% exercise={"id": "ar.sample", "tier": "core", "minutes": 12, "points": 2}
# ar.sample · core · 12 minutes · 2 points
def sample(model: Callable[[Tensor], Tensor], order: Tensor, uniforms: Tensor) -> Tensor:
    """Images drawn from the model, one pixel after another: (B, D)."""
    raise NotImplementedError("ar.sample")


# %% tags=["nbval-check-output"]
check("ar.sample", sample)


# %% [markdown]
# ## 12.5 MADE: who may listen to whom (core)
#
# MADE asks one network for all $D$ logits at once, and cuts the connections through which a pixel could see itself or a later
# pixel. Pixel $d$ has a **place** $0, \dots, D - 1$ in the order. Each hidden unit has a **degree** $m$: it may know the
# pixels at the places $0, \dots, m$. So
#
# - a hidden unit of degree $m$ may listen to a pixel at a place $\le m$;
# - a hidden unit of degree $m$ may listen to a hidden unit of a degree $\le m$ in the layer before;
# - the output of a pixel may listen to a hidden unit of a degree **less than** the pixel's place.
#
# `place` is `(D,)`: `place[d]` is the place of pixel $d$. `degrees` is a list of the hidden layers' degrees, first layer
# first. Return a list of boolean masks, one more than there are hidden layers, each of shape `(units that listen, units that
# speak)`, like the weights of `torch.nn.Linear`: True where the connection stays.


# %% exercise={"id": "ar.made_masks", "tier": "core", "minutes": 15, "points": 2}
# ar.made_masks · core · 15 minutes · 2 points
def made_masks(place: Tensor, degrees: list[Tensor]) -> list[Tensor]:
    """The mask of each layer's weights, first to last: boolean, (listeners, speakers)."""
    raise NotImplementedError("ar.made_masks")


# %% tags=["nbval-check-output"]
check("ar.made_masks", made_masks)


# %% [markdown]
# ## 12.6 The mask of a causal convolution (core)
#
# A convolution looks at a window around each pixel. PixelCNN multiplies its kernel with a mask, so that only pixels before
# the center count: all rows above, and in the center's row those to its left. What about the center itself?
#
# - Mask **A** leaves it out: the first layer's input is the image, and a pixel must not see itself.
# - Mask **B** lets it in: in later layers the place of a pixel holds only what earlier pixels have said.
#
# `size` is odd, `kind` is `"A"` or `"B"`; return the mask, `(size, size)`, zeros and ones.


# %% exercise={"id": "ar.causal_mask", "tier": "core", "minutes": 8, "points": 1}
# ar.causal_mask · core · 8 minutes · 1 point
def causal_mask(size: int, kind: str) -> Tensor:
    """1 where a kernel of this size may look, 0 elsewhere: (size, size)."""
    raise NotImplementedError("ar.causal_mask")


# %% tags=["nbval-check-output"]
check("ar.causal_mask", causal_mask)


# %% [markdown]
# ## 12.7 A gated, masked convolution (core)
#
# The layer of a gated PixelCNN: a masked convolution makes two numbers for each channel, a content $u$ and a gate $g$, and
# the gate decides how much of the content passes,
#
# $$y = \tanh(u) \odot \sigma(g), \qquad (u, g) = \text{the first and the second half of the channels of } \mathrm{conv}(x).$$
#
# `x` is `(B, C_in, H, W)`, `weights` `(2C, C_in, k, k)`, `bias` `(2C,)`, `mask` `(k, k)` with odd $k$. Pad with zeros, so that
# rows and columns stay as many. Return $y$, `(B, C, H, W)`.


# %% exercise={"id": "ar.gated_convolution", "tier": "core", "minutes": 12, "points": 2}
# ar.gated_convolution · core · 12 minutes · 2 points
def gated_convolution(x: Tensor, weights: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """tanh(u) · σ(g), u and g from one masked convolution: (B, C_in, H, W) -> (B, C, H, W)."""
    raise NotImplementedError("ar.gated_convolution")


# %% tags=["nbval-check-output"]
check("ar.gated_convolution", gated_convolution)


# %% [markdown]
# ## 12.8 Complete an image, and what the answer is worth (extend)
#
# To complete an image, walk the chain as in 12.4, but leave the known pixels as they are. If the known pixels come first in
# the order, this draws exactly from $p(\text{unknown} \mid \text{known})$. If they do not, an unknown pixel is drawn before
# the known ones after it are looked at, and nothing makes it fit them. The cure is to weigh each completion with how well it
# explains what is known,
#
# $$\log w = \sum_{d \text{ known}} \log p(x_d \mid x_{<d}),$$
#
# where $x_{<d}$ are the pixels before $d$ in the order, as they are **in the completion**. Averages that are weighed with $w$
# are right, and the mean of $w$ is the probability of the known pixels.
#
# `model`, `order` and `uniforms` are as in 12.4. `x` is `(B, D)`; `known` `(D,)` is True for the pixels whose values in `x` are
# given: the others hold zeros and ones that mean nothing. Return the completions, `(B, D)`, and $\log w$, `(B,)`, which must be
# finite for any logits, as in 12.1.


# %% exercise={"id": "ar.complete", "tier": "extend", "minutes": 20, "points": 3}
# ar.complete · extend · 20 minutes · 3 points
def complete(
    model: Callable[[Tensor], Tensor],
    order: Tensor,
    x: Tensor,
    known: Tensor,
    uniforms: Tensor,
) -> tuple[Tensor, Tensor]:
    """Completions (B, D), and the logarithm of the weight of each, (B,)."""
    raise NotImplementedError("ar.complete")


# %% tags=["nbval-check-output"]
check("ar.complete", complete)

# %% [markdown]
# The next cell trains a MADE on black-and-white 8 × 8 digits, without much care; its order is row by row from the top. When
# your check has passed, call `show_completions(complete)` in a cell of your own and compare with the picture below the code.

# %%
digits = load("digits").flat()
binary = digits.binarized()
row_by_row = torch.arange(64)


def trained_made(x_train: Tensor, epochs: int = 40) -> MADE:
    """A MADE that has seen the training images `epochs` times."""
    generator = torch.Generator().manual_seed(0)
    made = MADE(x_train.shape[1], hidden=(256,), generator=generator)
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x_train), generator=generator).split(100):
            x = x_train[batch]
            loss = F.binary_cross_entropy_with_logits(made(x).squeeze(-1), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return made.double().requires_grad_(False)


made = trained_made(binary.x_train)


def show_completions(complete: Callable, n: int = 14) -> None:
    """Draw n digits the model has not seen, their upper halves, and three completions of each."""
    generator = torch.Generator().manual_seed(0)
    x = binary.x_test[:n].double()
    known = row_by_row < 32
    given = torch.where(known, x, torch.nan)
    rows = [x, given]
    for _ in range(3):
        uniforms = torch.rand(x.shape, generator=generator, dtype=x.dtype)
        rows.append(
            complete(lambda x: made(x).squeeze(-1), row_by_row, x, known, uniforms)[0]
        )
    images(
        torch.cat(rows).reshape(-1, 8, 8),
        columns=n,
        rows=["original", "given", *(f"draw {i}" for i in range(1, 4))],
    )
    caption("The strokes go on where the upper half ends, each time in another way.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![The strokes go on where the upper half ends, each time in another way.](attachment:target.png)
#
# *The strokes go on where the upper half ends, each time in another way.*

# %% [markdown]
# ## 12.9 NADE: the running sum (extend)
#
# NADE gives each pixel its own hidden layer, but all of them share one matrix $W$:
#
# $$h_d = \sigma\Bigl(c + \sum_{j < d} W_{:, j} \, x_j\Bigr), \qquad p(x_d = 1 \mid x_{<d}) = \sigma(b_d + V_{d, :} \cdot h_d).$$
#
# As written, the sum starts anew for each pixel: $O(D^2 H)$ operations an image. But the sum for pixel $d + 1$ has just
# one term more than the sum for pixel $d$. Keep a running sum, and the cost is $O(DH)$. The check counts the operations.
#
# `x` is `(B, D)`, `weights` $W$ `(H, D)`, `hidden_bias` $c$ `(H,)`, `output` $V$ `(D, H)`, `bias` $b$ `(D,)`; return $\log p(x)$,
# `(B,)`.


# %% exercise={"id": "ar.nade_log_prob", "tier": "extend", "minutes": 20, "points": 3}
# ar.nade_log_prob · extend · 20 minutes · 3 points
def nade_log_prob(
    x: Tensor, weights: Tensor, hidden_bias: Tensor, output: Tensor, bias: Tensor
) -> Tensor:
    """log p(x) of a NADE in O(B · D · H): (B, D) -> (B,)."""
    raise NotImplementedError("ar.nade_log_prob")


# %% tags=["nbval-check-output"]
check("ar.nade_log_prob", nade_log_prob)


# %% [markdown]
# ## 12.10 What a stack of masked layers sees (extend)
#
# A PixelCNN has one layer with mask A and then layers with mask B, all with kernels `size` × `size`. Which pixels of the image
# can reach the output at (`row`, `column`)? Each layer widens the view, but not to all earlier pixels: on the right there is a
# **blind spot** that no number of layers uncovers.
#
# Go backwards from the output. In the last layer it looks at the places that its mask lets through; each of these looks at the
# layer before in the same way; and so on down to the image. There is nothing outside the image.
#
# `n_layers` counts the layer with mask A too. Return a boolean tensor `(height, width)`: True where the pixel is seen.


# %% exercise={"id": "ar.receptive_field", "tier": "extend", "minutes": 25, "points": 3}
# ar.receptive_field · extend · 25 minutes · 3 points
def receptive_field(
    size: int, n_layers: int, height: int, width: int, row: int, column: int
) -> Tensor:
    """Which pixels the output at (row, column) sees: boolean, (height, width)."""
    raise NotImplementedError("ar.receptive_field")


# %% tags=["nbval-check-output"]
check("ar.receptive_field", receptive_field)


# %% [markdown]
# When your check has passed, call `show_blind_spot(receptive_field)`.


# %%
def show_blind_spot(receptive_field: Callable) -> None:
    """Draw what one pixel sees through 2, 5 and 12 layers of 3 × 3 kernels, and through 12 of 5 × 5."""
    _, panels = plt.subplots(1, 4, figsize=(9, 2.4))
    for axes, (size, n_layers) in zip(
        panels, [(3, 2), (3, 5), (3, 12), (5, 12)], strict=True
    ):
        seen = receptive_field(size, n_layers, 10, 13, 8, 6)
        earlier = torch.arange(10 * 13).reshape(10, 13) < 8 * 13 + 6
        picture = torch.where(earlier & ~seen, 0.35, seen.double())
        picture[8, 6] = torch.nan
        title = f"{n_layers} layers, {size} × {size}"
        images(picture[None], columns=1, title=title, axes=axes)
    caption(
        "Blue: the pixel. Black: seen. Gray: earlier, but not seen. The triangle on the right stays."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Blue: the pixel. Black: seen. Gray: earlier, but not seen. The triangle on the right stays.](attachment:target.png)
#
# *Blue: the pixel. Black: seen. Gray: earlier, but not seen. The triangle on the right stays.*

# %% [markdown]
# ## 12.11 Two stacks: the blind spot removed (extend)
#
# The gated PixelCNN sees with two eyes. A **vertical** kernel looks at the rows above, over its full width; no mask is needed,
# because all of these rows are earlier. A **horizontal** kernel looks at the pixels to the left in the same row. In the first
# layer, for an image with one channel,
#
# $$y[r, c] = \sum_{i=1}^{m} \sum_{j=-h}^{h} V[m - i, \, h + j] \; x[r - i, \, c + j]
# \;+\; \sum_{j=1}^{h} U[h - j] \; x[r, \, c - j],$$
#
# where $x$ is 0 outside the image. The last row of $V$ lies on the row **just above** the pixel, and the last entry of $U$ on
# the pixel's left neighbor. Convolutions do the sums; what you must get right is the padding, or by how much you shift.
#
# `x` is `(B, C_in, H, W)`, `vertical` $V$ `(C, C_in, m, 2h + 1)`, `horizontal` $U$ `(C, C_in, 1, h)`; sum over the input channels
# as well, as `torch.nn.functional.conv2d` does. Return $y$, `(B, C, H, W)`.


# %% exercise={"id": "ar.two_stacks", "tier": "extend", "minutes": 25, "points": 3}
# ar.two_stacks · extend · 25 minutes · 3 points
def two_stacks(x: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """What the rows above and the pixels to the left say: (B, C_in, H, W) -> (B, C, H, W)."""
    raise NotImplementedError("ar.two_stacks")


# %% tags=["nbval-check-output"]
check("ar.two_stacks", two_stacks)


# %% [markdown]
# ## 12.12 Gray levels and temperature (extend)
#
# A gray pixel has $K$ levels, and the network gives it $K$ logits. With a **temperature** $\tau$ one draws from
#
# $$p_\tau(k) \propto \exp(a_k / \tau).$$
#
# At $\tau = 1$ this is the model; below, likely levels become likelier still, and at $\tau \to 0$ only the likeliest is left.
# Draw by inversion: the result is the smallest level $k$ with $u < p_\tau(0) + \dots + p_\tau(k)$. Rounding may leave the last
# sum slightly below 1: never return a level that does not exist.
#
# `logits` is `(B, K)`, `temperature` is a positive number, `uniforms` `(B,)` holds the $u$; return the levels, `(B,)`, `int64`.


# %% exercise={"id": "ar.draw_level", "tier": "extend", "minutes": 12, "points": 2}
# ar.draw_level · extend · 12 minutes · 2 points
def draw_level(logits: Tensor, temperature: float, uniforms: Tensor) -> Tensor:
    """One level for each row of logits, drawn at this temperature: (B, K) -> (B,)."""
    raise NotImplementedError("ar.draw_level")


# %% tags=["nbval-check-output"]
check("ar.draw_level", draw_level)

# %% [markdown]
# ## 12.13 Challenge: beat the logistic regressions by 0.8 nats
#
# Train an autoregressive model of black-and-white 8 × 8 digits. Your function gets the **gray** training images `x_train`,
# `(1297, 64)`, values from 0 to 1, and returns a **function** `logits(x)` that takes black-and-white images `(B, 64)` and
# returns the logit of each pixel, `(B, 64)`, row by row: the logit of pixel $d$ may depend on the pixels before $d$ alone.
# The check turns and shifts each digit a little, so that none lies in `data/`. It asks in shuffled batches about new
# digits, some of them twice, and about copies that try to catch your function looking ahead. Then it computes $\log p(x)$
# of 500 new digits, exactly, as in 12.1, and compares with regularized logistic regressions, one a pixel, that were trained
# on the same images.
#
# An image is binarized by making each pixel 1 with a probability that is its gray value. Why do you get the gray images?
# Any means are allowed, in up to 60 seconds; ten are enough. The next cell shows the data, and what independent pixels and
# the careless MADE from above reach on the test digits.

# %%
x_test = binary.x_test.double()
p = (binary.x_train.double().sum(0) + 1) / (len(binary.x_train) + 2)
for name, test_logits in [
    ("independent pixels", p.logit().expand_as(x_test)),
    ("careless MADE", made(x_test).squeeze(-1)),
]:
    p_of_each = torch.distributions.Bernoulli(logits=test_logits)
    nats = p_of_each.log_prob(x_test).sum(-1).mean()
    print(f"{name}: {nats:.2f} nats per new image")

# %% jupyter={"source_hidden": true}
_, panels = plt.subplots(1, 2, figsize=(8.4, 2.4))
images(digits.x_train[:16].reshape(-1, 8, 8), columns=8, title="gray", axes=panels[0])
images(binary.x_train[:16].reshape(-1, 8, 8), columns=8, title="binarized", axes=panels[1])
caption("What your function gets, and one binarization of it.")


# %% exercise={"id": "ar.train", "tier": "challenge", "minutes": 45, "points": 4}
# ar.train · challenge · 45 minutes · 4 points
def train_logits(x_train: Tensor) -> Callable[[Tensor], Tensor]:
    """Train on gray images (N, 64); returns logits: (B, 64) -> (B, 64), each from earlier pixels alone."""
    raise NotImplementedError("ar.train")


# %%
check("ar.train", train_logits)


# %% [markdown]
# The target: images that nobody wrote, drawn from such a model. When your checks have passed, call `show_samples(train_logits,
# sample)`.


# %%
def show_samples(train_logits: Callable, sample: Callable) -> None:
    """Draw 48 images from the trained model."""
    generator = torch.Generator().manual_seed(0)
    logits = train_logits(digits.x_train.double())
    uniforms = torch.rand(48, 64, generator=generator, dtype=torch.float64)
    drawn = sample(logits, row_by_row, uniforms)
    images(drawn.reshape(-1, 8, 8), columns=12, title="Samples")
    caption("Some can be read as digits; all are as noisy as the binarized ones above.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Some can be read as digits; all are as noisy as the binarized ones above.](attachment:target.png)
#
# *Some can be read as digits; all are as noisy as the binarized ones above.*
