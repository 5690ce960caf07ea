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
# # 12 · Autoregressive images
#
# **Guess each pixel from those before it, and you have a probability for whole images: exact, and the best of this course.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 120 minutes; what is marked *optional* takes 10 more | about two minutes, two cores | chapters 2 and 4, a little of neural networks | turn any classifier of pixels into a distribution over images; mask a network so that it cannot cheat, and prove it; train MADE and PixelCNN; draw and complete digits; make sampling fast |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# Chapter 5 had to estimate a normalizing constant; chapter 6 could only say "at least so likely". The models of this chapter compute the probability itself, without a latent variable, a bound or a constant to estimate. They use one rule of probability, 784 times.

# %% tags=["parameters"]
seed = 12
toy_steps = 400
fvsbn_epochs = 1
made_epochs = 2
pixelcnn_channels = 24
pixelcnn_layers = 5
pixelcnn_epochs = 1

# %%
import copy
import inspect
import math
import time

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.data import load
from utils.diagrams import Box, diagram
from utils.plots import PALETTE, caption, images
from utils.results import record, record_table, recorded

generator = torch.Generator().manual_seed(seed)
torch.manual_seed(seed)  # for the first weights of the networks
mnist = load("mnist")
binary = mnist.binarized()  # the test part is the course's fixed draw
test = binary.x_test  # (10000, 1, 28, 28), zeros and ones
print(binary)

# %% [markdown]
# ## 1 · One picture: guess the next pixel
#
# Cover a digit with a sheet of paper and uncover it pixel by pixel, row by row, as you read. Before each pixel, guess: black or white? Inside a stroke the next pixel is black; far outside it is white. You will be surprised only where a stroke begins, ends or turns.
#
# Chapter 2 had a player for this game. It looks at **ten earlier neighbors**, which can form 1,024 patterns, and has counted in the training images how often black followed each. It is our simple baseline, and strong.

# %%
from utils.models.autoregressive import NeighborTable

table = NeighborTable((28, 28)).fit(binary.x_train)
shown = test[binary.test_part(10)]
guesses = table(shown)[:, 0].sigmoid()  # p(black | ten neighbors), (10, 28, 28)
nll = table.nll_per_patch(shown)  # −log p of what came, in nats, (10, 28, 28)
neighbors_nll = table.nll(test)
record("neighbors_nll", neighbors_nll, unit="nats/image", kind="exact")

# %% jupyter={"source_hidden": true}
images(
    torch.cat([shown[:, 0], guesses, nll.clamp(max=3) / 3]),
    rows=["test image", "guess", "−log p"],
)
caption(
    "Top: test images. Middle: the guess before each pixel, the darker the surer of black. "
    "Bottom: the negative log-likelihood of each pixel, which sits on the edges."
)

# %% [markdown]
# The negative log-likelihood of a pixel is $-\log$ of the probability that was given to what came. **Add it up over an image and you have $-\log p(x)$**, that of the whole image. Why this is true is the mathematics of this chapter.

# %% [markdown]
# ## 2 · The mathematics
#
# ### The chain rule
#
# Number the pixels $1, \dots, D$ in the order in which you read. For *any* distribution,
#
# $$p(x) = p(x_1)\, p(x_2 \mid x_1)\, p(x_3 \mid x_1, x_2) \cdots = \prod_{i=1}^D p(x_i \mid x_1, \dots, x_{i-1}).$$
#
# Nothing is assumed or approximated: it is the definition of a conditional probability, used again and again. A model that makes each factor with the same machinery is called **autoregressive**: it regresses each pixel on those before.
#
# For black-and-white pixels each factor is one number, the chance of black. A function with parameters θ says its **log-odds** $a_i$, and the sigmoid $\sigma(a) = 1 / (1 + e^{-a})$ makes that a probability:
#
# $$p(x_i = 1 \mid x_1, \dots, x_{i-1}) = \sigma(a_i), \qquad a_i = f_\theta(x_1, \dots, x_{i-1}).$$
#
# ### What follows from it
#
# - **The likelihood is exact**, and training is classification. Minimize the mean of $-\log p(x) = -\sum_i \log p(x_i \mid \dots)$, which is the cross-entropy of $D$ little classifiers.
# - **It sums to one by itself**, because each factor does. But this holds only if $a_i$ really never depends on $x_i$ or on a later pixel. One wrong weight is enough to make every reported number wrong.
# - **Training is parallel, sampling is not.** In training the whole image is known, so all $D$ questions can be asked at once. In drawing, pixel 2 must wait for pixel 1, and so on.
# - **A full table is hopeless.** Pixel $i$ has $2^{i-1}$ possible pasts, and a table would need a number for each. The models of this chapter differ only in how they share what they have learned between those pasts.

# %% [markdown]
# ## 3 · From scratch: nine pixels
#
# We begin with 3 × 3 pixels, so that all $2^9 = 512$ images can be listed. The first two rows are six fair coins. A pixel of the third row is black where **exactly one** of the two above it is black, but for a rare error. So we know the true $p(x)$ of each image, and the **entropy**: the smallest mean negative log-likelihood that any model can have.

# %%
every = ((torch.arange(512)[:, None] >> torch.arange(9)) & 1).double()  # (512, 9)
error = 0.02
as_told = every[:, 6:] == (every[:, :3] != every[:, 3:6])  # (512, 3)
truth = 0.5**6 * (error + (1 - 2 * error) * as_told.double()).prod(1)  # p(x), (512,)
entropy = -(truth * truth.log()).sum().item()
print(f"sum of the true p(x): {truth.sum():.12f};  entropy: {entropy:.4f} nats")

drawn = torch.multinomial(truth, 14, replacement=True, generator=generator)

# %% jupyter={"source_hidden": true}
images(every[drawn].reshape(-1, 3, 3), columns=14, frames=True)
caption(
    "Fourteen images of the little world. The third row is black where exactly one of the two pixels above is."
)

# %% [markdown]
# **A logistic regression for each pixel.** The simplest $f_\theta$ is a weighted sum of the earlier pixels. This is the **fully visible sigmoid belief network** (FVSBN):
#
# $$a_i = b_i + \sum_{j < i} W_{ij}\, x_j.$$
#
# All sums at once are a product with a matrix that is zero on and above its diagonal.
#
# **MADE: the same with hidden units.** In an ordinary network each output would see every pixel, its own included. So give each hidden unit a number $m$, its degree: *it may know the first $m$ pixels of the order*. Cut (multiply by 0) the weight from a pixel to the unit if the pixel comes later than that, and the weight from the unit to $a_i$ if the unit knows pixel $i$ or a later one. What is left cannot cheat, whatever the remaining weights are.
#
# **NADE's idea.** The ancestor of MADE has a hidden layer for every pixel, and all share one matrix: the layer for pixel $i$ uses its first $i - 1$ columns. From one pixel to the next, the sum inside grows by *one* column, so all $D$ hidden layers together cost as much as one ordinary layer. Section 9 uses the same idea to make sampling fast.


# %%
def fvsbn(x, bias, weights):
    """Log-odds of all pixels, (B, D): each a weighted sum of the earlier ones."""
    return F.linear(x, weights.tril(-1), bias)


def made(x, bias, direct, inner, inner_bias, outer):
    """FVSBN, and hidden units on top: unit u knows the first m(u) pixels."""
    pixels = x.shape[1]
    m = 1 + torch.arange(len(inner)) % (pixels - 1)  # 1 … D − 1, (H,)
    number = torch.arange(pixels)  # that many pixels come before each, (D,)
    hears = m[:, None] > number  # unit ← pixel, (H, D)
    speaks = number[:, None] >= m  # pixel ← unit, (D, H)
    hidden = F.linear(x, inner * hears, inner_bias).relu()
    return fvsbn(x, bias, direct) + F.linear(hidden, outer * speaks)


def nade(x, bias, outer, shared, inner_bias):
    """One hidden layer for each pixel, all from one growing sum."""
    growing, log_odds = inner_bias.expand(len(x), -1), []
    for i in range(x.shape[1]):
        log_odds.append(bias[i] + growing.sigmoid() @ outer[i])
        growing = growing + x[:, i : i + 1] * shared[:, i]
    return torch.stack(log_odds, dim=1)


def log_p(x, log_odds):
    """log p(x) by the chain rule, (B,)."""
    return (x * log_odds - F.softplus(log_odds)).sum(1)


# %% [markdown]
# Because we know $p$, we can minimize the *exact* mean negative log-likelihood $-\sum_x p(x) \log p_\theta(x)$. What it exceeds the entropy by is the Kullback–Leibler divergence $\mathrm{KL}(p \,\|\, p_\theta)$.

# %%
units = 32
shapes = {
    "independent pixels": (lambda x, bias: bias.expand(len(x), -1), [(9,)]),
    "FVSBN": (fvsbn, [(9,), (9, 9)]),
    "MADE": (made, [(9,), (9, 9), (units, 9), (units,), (9, units)]),
    "NADE": (nade, [(9,), (9, units), (units, 9), (units,)]),
}
parameters, curves = {}, {}
for name, (model, sizes) in shapes.items():
    weights = [
        (0.5 * torch.randn(size, generator=generator, dtype=torch.float64)).requires_grad_()
        for size in sizes
    ]
    optimizer = torch.optim.Adam(weights, lr=0.03)
    curves[name] = []
    for _ in range(toy_steps):
        loss = -(truth * log_p(every, model(every, *weights))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curves[name].append(loss.item() - entropy)
    parameters[name] = [weight.detach() for weight in weights]

toy_kl = {name: curve[-1] for name, curve in curves.items()}
with record_table():
    record("toy_kl_fvsbn", toy_kl["FVSBN"], unit="nats", kind="exact")
    record("toy_kl_made", toy_kl["MADE"], unit="nats", kind="exact")
    record("toy_kl_nade", toy_kl["NADE"], unit="nats", kind="exact")
assert max(toy_kl["MADE"], toy_kl["NADE"]) < toy_kl["FVSBN"] / 2
assert min(toy_kl.values()) > 0, "no model can beat the truth"

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.8))
for name, curve in curves.items():
    ax.semilogy(curve, "--" if name == "FVSBN" else "-", label=name)
ax.set(xlabel="step", ylabel="KL(truth, model) in nats")
ax.legend(ncols=2, loc="upper right", bbox_to_anchor=(1, 0.85))
caption(
    "How far each model is from the truth. The FVSBN ends where independent pixels end: weighted "
    "sums cannot say 'exactly one of the two'. Hidden units can."
)

# %% [markdown]
# "Exactly one of the two" is the **exclusive or**, the classic function that no weighted sum can compute. To an FVSBN the third row looks like three more fair coins. So its divergence must be exactly what that mistake costs: for each of the three pixels, $\log 2$ minus the entropy of one rare error.

# %%
error_entropy = -error * math.log(error) - (1 - error) * math.log(1 - error)
coins = 3 * (math.log(2) - error_entropy)
print(f"FVSBN: {toy_kl['FVSBN']:.6f};  three coins: {coins:.6f}")
assert abs(toy_kl["FVSBN"] - coins) < 1e-2

# %% [markdown]
# ## 4 · Checks against known answers
#
# **First: the probabilities of all 512 images sum to 1**, to the last digits of the computer. Here are the four models from scratch, and every model of the library that this chapter uses, with random weights: the sum must be 1 for *any* weights. The recorded number is the sum that is farthest from 1.

# %%
from utils.models.autoregressive import FVSBN, GatedPixelCNN, ImageMADE, PixelCNN

small = (3, 3)
orders = [torch.randperm(9, generator=generator) for _ in range(3)]
library = {
    "ten neighbors": NeighborTable(small),
    "FVSBN": FVSBN(small),
    "MADE": ImageMADE(small, hidden=(32,)),
    **{
        f"MADE, order {number + 1}": ImageMADE(small, hidden=(32, 16), order=order)
        for number, order in enumerate(orders)
    },
    "PixelCNN": PixelCNN(small, channels=8, layers=2),
    "gated PixelCNN": GatedPixelCNN(small, channels=8, layers=2),
}
for model in library.values():
    for weight in model.double().parameters():
        torch.nn.init.normal_(weight, generator=generator)
torch.nn.init.normal_(library["ten neighbors"].log_odds, generator=generator)

sums = {
    f"{name}, from scratch": log_p(every, model(every, *parameters[name])).exp().sum()
    for name, (model, _) in shapes.items()
}
for name, model in library.items():
    with torch.no_grad():
        sums[name] = model.log_prob(every.reshape(-1, 1, 3, 3)).exp().sum()
for name, total in sums.items():
    print(f"{name:34s} {total.item():.12f}")
probability_sum = max((total.item() for total in sums.values()), key=lambda s: abs(s - 1))
record("probability_sum_3x3", probability_sum, kind="exact")
assert abs(probability_sum - 1) < 1e-9

# %% [markdown]
# **Second: nobody looks ahead.** Autograd computes the derivative of each output with respect to each input, a matrix of 9 × 9. It must be 0, exactly 0, for an output's own pixel and for each later one. We add up the absolute derivatives over all 512 images, so that a dependence cannot hide, for MADEs in three random orders.


# %%
def dependence(model, x: Tensor) -> Tensor:
    """Σ over images of |∂ log-odds i / ∂ pixel j|, (D, D), for images (B, 1, H, W)."""
    x = x.clone().requires_grad_()
    log_odds = model(x).flatten(1)
    rows = [
        torch.autograd.grad(column.sum(), x, retain_graph=True)[0].abs().sum(0).flatten()
        for column in log_odds.T
    ]
    return torch.stack(rows)


learned = {name: model for name, model in library.items() if name != "ten neighbors"}
for name, model in learned.items():
    matrix = dependence(model, every.reshape(-1, 1, 3, 3))
    place = torch.tensor(model.order).argsort()  # place[i]: when pixel i is drawn
    earlier = place[:, None] > place
    assert (matrix[~earlier] == 0).all(), f"{name} looks ahead"
    used = (matrix[earlier] > 0).sum().item()
    print(f"{name:16s} later pixels used: 0; earlier pixels used: {used} of {9 * 8 // 2}")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3))
scrambled = library["MADE, order 1"]
matrix = (dependence(scrambled, every.reshape(-1, 1, 3, 3)) > 0).double()
order = scrambled.order
panels = {
    "FVSBN": (dependence(library["FVSBN"], every.reshape(-1, 1, 3, 3)) > 0).double(),
    "MADE, a random order": matrix,
    "the same, sorted": matrix[order][:, order],
}
for ax, (name, panel) in zip(axes, panels.items(), strict=True):
    ax.imshow(panel, vmin=0, vmax=1.4)
    ax.set(title=name, xlabel="input pixel", ylabel="output", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
caption(
    "Dark: this output depends on that input. Sorted in the order of the chain, all dependence lies below the diagonal."
)

# %% [markdown]
# No model looks ahead. The plain PixelCNN does not even use all earlier pixels, as section 6 explains.
#
# **Third: the library agrees with the forty lines above.** We copy the trained weights into the library's FVSBN and MADE.

# %%
bias, direct, inner, inner_bias, outer = parameters["MADE"]
copied = ImageMADE(small, hidden=(units,)).double()
with torch.no_grad():
    copied.bias.copy_(bias.view(1, 3, 3))
    copied.net.direct.copy_(direct)
    copied.net.layers[0].weight.copy_(inner)
    copied.net.layers[0].bias.copy_(inner_bias)
    copied.net.layers[1].weight.copy_(outer)
    from_library = copied.log_prob(every.reshape(-1, 1, 3, 3))
from_scratch = log_p(every, made(every, *parameters["MADE"]))
largest = (from_scratch - from_library).abs().max().item()
print(f"largest difference of log p(x), MADE: {largest:.1e}")
assert largest < 1e-9

linear = FVSBN(small).double()
with torch.no_grad():
    linear.bias.copy_(parameters["FVSBN"][0].view(1, 3, 3))
    linear.weight.copy_(parameters["FVSBN"][1])
    from_library = linear.log_prob(every.reshape(-1, 1, 3, 3))
from_scratch = log_p(every, fvsbn(every, *parameters["FVSBN"]))
assert (from_scratch - from_library).abs().max() < 1e-9

# %% [markdown]
# **Fourth: a known library.** We know of no maintained library that offers these models of images. But one pixel of an FVSBN *is* a logistic regression, and scikit-learn has that. We take the middle of 5,000 digits, 7 × 7 pixels, and predict its last pixel from the 48 others. Both fits minimize the negative log-likelihood plus half the squared length of the weights.

# %%
from sklearn.linear_model import LogisticRegression

crop = binary.x_train[:5000, 0, 10:17, 10:17].flatten(1).double()  # (5000, 49)
past, last = crop[:, :-1], crop[:, -1]
theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000).fit(past, last)

pixel = FVSBN((7, 7)).double()
optimizer = torch.optim.LBFGS(
    pixel.parameters(), max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-14,
    line_search_fn="strong_wolfe",
)  # fmt: skip


def objective():
    optimizer.zero_grad()
    loss = pixel.nll_per_patch(crop.view(-1, 1, 7, 7))[:, -1, -1].sum()
    loss = loss + 0.5 * pixel.weight[-1].square().sum()
    loss.backward()
    return loss


optimizer.step(objective)
ours_weights, ours_bias = pixel.weight[-1, :-1].detach(), pixel.bias[0, -1, -1].item()
difference = (ours_weights - torch.as_tensor(theirs.coef_[0])).abs().max().item()
difference = max(difference, abs(ours_bias - theirs.intercept_[0]))
record("difference_to_scikit_learn", difference, kind="score")
assert difference < 1e-3

# %% [markdown]
# ## 5 · MNIST: FVSBN and MADE
#
# Now 28 × 28 pixels and the library's models (`utils/models/autoregressive/`). They do what we did, for any number of hidden layers and any order of the pixels. Each input and each hidden unit has a degree, counted from 0 here: the last place of the order that it knows. A unit may listen to whoever knows no more than itself, and an output only to units that know less than its own place. Our few lines must give the masks of the [library's MADE](../../utils/nets.py).

# %%
import itertools

from utils.nets import MADE


def masks_from(degrees: list[Tensor]) -> list[Tensor]:
    """1 where a weight may stand, from the degrees of the inputs and of each hidden layer."""
    masks = [later[:, None] >= earlier for earlier, later in itertools.pairwise(degrees)]
    return [
        *masks,
        degrees[0][:, None] > degrees[-1],
    ]  # the last: outputs from hidden units


with torch.random.fork_rng(
    devices=[]
):  # its first weights take no random number from others
    six_pixels = MADE(6, hidden=(8, 8))
masks = masks_from([torch.arange(6), torch.arange(8) % 5, torch.arange(8) % 5])
assert all(mask.equal(getattr(six_pixels, f"mask{i}")) for i, mask in enumerate(masks))
first, second, last = (mask.double() for mask in masks)
connected = last @ second @ first > 0  # by a path through all three layers
assert connected.equal(torch.ones(6, 6).tril(-1) > 0)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.4))
panels = {
    "hidden 1 from inputs": masks[0],
    "hidden 2 from hidden 1": masks[1],
    "outputs from hidden 2": masks[2],
    "all three": connected,
}
for ax, (name, mask) in zip(axes, panels.items(), strict=True):
    ax.imshow(mask, vmin=0, vmax=1.4)
    ax.set(title=name, xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    ax.title.set_fontsize(9)
caption(
    "The masks of a MADE for six pixels; dark: a weight may stand here. Right: what is connected "
    "by a path through all three. Each output is connected to earlier pixels alone."
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 2.6))
boxes = {
    **{f"x{i}": Box(0, 3 - i, f"$x_{i}$", circle=True) for i in (1, 2, 3)},
    "know 1": Box(1.2, 2, "knows $x_1$", "network"),
    "know 2": Box(1.2, 1, "knows $x_1, x_2$", "network"),
    **{f"a{i}": Box(2.6, 3 - i, f"$a_{i}$", "latent", circle=True) for i in (1, 2, 3)},
    **{
        f"p{i}": Box(3.9, 3 - i, text, "operation")
        for i, text in enumerate(
            ("$p(x_1)$", "$p(x_2 \\mid x_1)$", "$p(x_3 \\mid x_1, x_2)$"), 1
        )
    },
}
arrows = [
    ("x1", "know 1"),
    ("x1", "know 2"),
    ("x2", "know 2"),
    ("know 1", "a2"),
    ("know 1", "a3"),
    ("know 2", "a3"),
    *((f"a{i}", f"p{i}", "sigmoid") for i in (1, 2, 3)),
]
diagram(ax, boxes, arrows)
caption(
    "A MADE for three pixels with one hidden unit of each degree. Follow the arrows back from an "
    "output: they end at earlier pixels. $a_1$ has a bias and nothing else, and $x_3$ is never asked."
)

# %% [markdown]
# **What exactly is trained, and measured?** Test: the course's fixed binary test set, all 10,000 images, each pixel drawn once with its gray value as probability. Training: the gray training images, drawn **anew as zeros and ones in each batch**. So the model hardly ever sees the same binary image twice, a form of data augmentation. Models trained on one fixed draw have a different task, and their numbers should not be ranked with ours. Weights are averaged over the last steps, and the bias of each pixel starts at its frequency.

# %%
linear = FVSBN((28, 28))
linear.fit(
    mnist.x_train,
    binarize=True,
    epochs=fvsbn_epochs,
    batch_size=50,
    lr=2e-2,
    ema=0.99,
    seed=seed,
).cpu()  # a graphics card, where there is one, is needed for training only
fvsbn_nll = linear.nll(test)
record("fvsbn_nll", fvsbn_nll, unit="nats/image", kind="exact")

started = time.perf_counter()
hidden = ImageMADE((28, 28), hidden=(500,), generator=generator)
hidden.fit(
    mnist.x_train,
    binarize=True,
    epochs=made_epochs,
    batch_size=100,
    lr=1e-2,
    warmup=100,
    ema=0.995,
    seed=seed,
).cpu()
made_seconds = time.perf_counter() - started
made_nll = hidden.nll(test)
record("made_nll", made_nll, unit="nats/image", kind="exact")
print(f"trained in {made_seconds:.0f} s")
assert made_nll < fvsbn_nll < neighbors_nll < 784 * math.log(2)

# %% [markdown]
# The paper on MADE reports 88.0 nats for one hidden layer trained with 32 masks, and 86.6 for two (Germain and others 2015), with far larger layers, long training, and another fixed binarization of the same test images. Ours is one small layer, trained for seconds.
#
# Logistic regressions that see *all* earlier pixels gain a few nats over a table that sees ten neighbors. Hidden units, which can say "if this and not that", gain about as much again.
#
# What did the logistic regressions learn? Here are the weights of the 783 others for three pixels. They can only be non-zero above and to the left.

# %%
chosen = [(10, 14), (14, 14), (18, 12)]

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3.1))
maps = [linear.weight[28 * row + column].detach().view(28, 28) for row, column in chosen]
limit = torch.stack(maps).abs().max().item()
for ax, weights, (row, column) in zip(axes, maps, chosen, strict=True):
    ax.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.plot(column, row, "o", markersize=6, markerfacecolor="none", color="black")
    ax.set(title=f"pixel in row {row}, column {column}", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
caption(
    "Weights for the circled pixel. Red speaks for black, blue for white. Nearest "
    "neighbors count most; nothing after the pixel counts at all."
)

# %%
drawers = {"ten neighbors": table, "FVSBN": linear, "MADE": hidden}
samples = [model.sample(25, generator)[:24] for model in drawers.values()]

# %% jupyter={"source_hidden": true}
images(torch.cat(samples), columns=12, rows=list(drawers))
caption(
    "Samples. Ten neighbors make strokes, not digits. The models that see all earlier pixels "
    "make shapes that resemble digits, with many stray pixels."
)

# %% [markdown]
# ## 6 · PixelCNN: one eye for all places
#
# MADE has to learn what a stroke is hundreds of times over, once at each place. A **convolution** learns it once: the same small kernel looks at the neighborhood of every pixel. We only have to make it look backwards.
#
# ### Masked convolutions
#
# Multiply the kernel by a mask that keeps what comes before its center. In the **first** layer the center itself must go: it holds the very pixel that is to be guessed. In later layers it may stay: there it holds what was computed from earlier pixels.

# %%
from utils.models.autoregressive import MaskedConv2d

print(inspect.getsource(MaskedConv2d.__init__))

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(5, 2.6))
for ax, center in zip(axes, (False, True), strict=True):
    ax.imshow(MaskedConv2d(1, 1, 5, center=center).mask, vmin=0, vmax=1.4)
    ax.plot(2, 2, "o", color=PALETTE[4], markersize=9)
    ax.set(xticks=[], yticks=[], title="later layers" if center else "first layer")
    ax.spines[:].set_visible(True)
caption("Masks of 5 × 5 kernels: dark is kept. The dot is the pixel that is to be guessed.")

# %% [markdown]
# One layer sees a few neighbors. In a stack of layers it also sees what a neighbor saw in the layer before. What it can see is its **receptive field**. We measure it: draw an image at random, take the log-odds of one pixel, and ask autograd on which input pixels it depends.


# %%
def reach(model, row: int, column: int) -> Tensor:
    """Which pixels the log-odds of one pixel depend on, by gradient, (H, W)."""
    size = (64, 1, *model.shape)
    x = torch.randint(0, 2, size, generator=generator).double().requires_grad_()
    log_odds = model.double()(x)[:, 0, row, column].sum()
    return torch.autograd.grad(log_odds, x)[0].abs().sum((0, 1)) > 0


def draw_reach(ax, seen: Tensor, row: int, column: int, title: str) -> None:
    before = torch.arange(seen.numel()).view_as(seen) < row * seen.shape[1] + column
    colors = torch.ones(*seen.shape, 3)
    colors[before] = torch.tensor([0.90, 0.62, 0.0])  # earlier, but not seen
    colors[seen] = torch.tensor([0.0, 0.45, 0.70])
    ax.imshow(colors)
    ax.plot(column, row, "s", color="black", markersize=7)
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(True)


def drawn_weights(model):
    """The model with weights that are nowhere 0, so that the gradient shows all that is connected."""
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    return model


side, row, column = 15, 11, 7
seen = {
    layers + 1: reach(
        drawn_weights(PixelCNN((side, side), channels=8, layers=layers)), row, column
    )
    for layers in (0, 1, 3, 11)
}
before = torch.arange(side * side).view(side, side) < row * side + column
blind = before & ~seen[12]
record("blind_pixels", blind.sum().item(), unit="of 15 × 15", kind="exact")
assert blind.any()
assert not seen[12][~before].any()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.9))
for ax, (layers, pixels) in zip(axes, seen.items(), strict=True):
    draw_reach(ax, pixels, row, column, f"{layers} layer{'s' * (layers > 1)}")
caption(
    "Receptive field of the black pixel, kernels of 3 × 3. Blue: seen. Orange: earlier, "
    "but not seen. More layers see more, yet a wedge on the right stays orange."
)

# %% [markdown]
# ### The blind spot, and two stacks that remove it
#
# The orange wedge is the **blind spot**, and no depth removes it. A masked kernel of 3 × 3 looks to the right in the row above only, and there by one column. So news from one row up can come from at most one column to the right, from two rows up from at most two, and so on. What lies farther to the right is never seen.
#
# The cure is to use two stacks of convolutions.
#
# - The **vertical stack** $v$ looks at the rows above only, but there *to both sides*. No mask is needed in those rows, so there is no wedge.
# - The **horizontal stack** $h$ looks at the own row, to the left. In each layer it also asks the vertical stack, at its own place, for news from above.
#
# The horizontal stack also has a **gate**. The channels that the convolutions computed are split into two halves, $a$ and $b$, and $\tanh(a)\,\sigma(b)$ is passed on: $b$ decides how much of $a$ counts here. A product can say "this, *if* that"; a sum needs several units for it. The drawing shows one layer; below is the library's code.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 1.9))
boxes = {
    "v": Box(0, 1, "vertical $v$", "latent"),
    "above": Box(
        1.5, 1, "convolution over this row of $v$\nand the one above, ReLU", "network"
    ),
    "next v": Box(3, 1, "next $v$", "latent"),
    "h": Box(0, 0, "horizontal $h$", "latent"),
    "left": Box(
        1.5, 0, "convolution over this place of $h$\nand the one at its left", "network"
    ),
    "gate": Box(3, 0, "sum, gate, 1 × 1", "operation"),
    "next h": Box(4.1, 0, "next $h$", "latent"),
}
arrows = [
    ("v", "above"),
    ("above", "next v", "+ v"),
    ("next v", "gate", "1 × 1"),
    ("h", "left"),
    ("left", "gate"),
    ("gate", "next h", "+ h"),
]
diagram(ax, boxes, arrows)
caption(
    "One layer with two stacks. News from above goes from the vertical stack to the horizontal "
    "one, never back: the vertical stack knows the rows above alone."
)

# %%
from utils.models.autoregressive import GatedLayer, gate

print(inspect.getsource(gate))
print(inspect.getsource(GatedLayer))

# %%
seen_by_gated = {
    layers + 1: reach(
        drawn_weights(GatedPixelCNN((side, side), channels=8, layers=layers)), row, column
    )
    for layers in (0, 1, 3, 11)
}
assert (seen_by_gated[12] == before).all()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.9))
for ax, (layers, pixels) in zip(axes, seen_by_gated.items(), strict=True):
    draw_reach(ax, pixels, row, column, f"{layers} layer{'s' * (layers > 1)}")
caption(
    "The same with two stacks: in the end everything before is seen, and nothing after."
)

# %% [markdown]
# ### Does it matter?
#
# In these images of 8 × 8 pixels the blind spot matters: each pixel copies the one that is **one row up and two columns to the right**, in the wedge, with a rare error; where there is no such pixel it is a fair coin. The entropy is known, so we know the best that can be reached. A model that cannot see the copied pixel reaches a fair coin for each.

# %%
error = 0.05


def copies(n: int) -> Tensor:
    """Images (n, 1, 8, 8) in which pixels copy from the upper right."""
    x = torch.randint(0, 2, (n, 1, 8, 8), generator=generator).float()
    wrong = (torch.rand(x.shape, generator=generator) < error).float()
    for i in range(1, 8):
        x[:, :, i, :6] = (x[:, :, i - 1, 2:] - wrong[:, :, i, :6]).abs()
    return x


error_entropy = -error * math.log(error) - (1 - error) * math.log(1 - error)
copied_pixels = 7 * 6
least = copied_pixels * error_entropy + (64 - copied_pixels) * math.log(2)
world, unseen = copies(8000), copies(2000)
rivals = {
    "one_stack": PixelCNN((8, 8), channels=16, layers=4),
    "two_stacks": GatedPixelCNN((8, 8), channels=12, layers=1),
}
blind_nll = {}
with record_table():
    for name, model in rivals.items():
        model.fit(world, epochs=2, batch_size=50, lr=1e-2, seed=seed).cpu()
        blind_nll[name] = model.nll(unseen)
        record(f"copy_nll_{name}", blind_nll[name], unit="nats/image", kind="exact")
    record("copy_entropy", least, unit="nats/image", kind="exact")
    record("copy_coins", 64 * math.log(2), unit="nats/image", kind="exact")
halfway = (least + 64 * math.log(2)) / 2
assert blind_nll["two_stacks"] < halfway - 5 < halfway + 5 < blind_nll["one_stack"]

# %% [markdown]
# One stack with five layers ends at the price of fair coins. Two stacks with two layers come close to the entropy. On digits the wedge costs less, because most of what helps lies nearby.

# %% [markdown]
# ## 7 · PixelCNN on MNIST
#
# ### Four pixels at once
#
# A convolutional network of 784 places is slow on a processor. So we take **squares of 2 × 2 pixels as one symbol**, of $2^4 = 16$ possible ones; the image is 14 × 14 symbols. At each place the network says 15 log-odds, of each symbol against "all white", and a softmax replaces the sigmoid. This is still the chain rule, still exact, and still about the same 784 pixels: $p(x)$ is the product of 196 factors. But only a quarter of the places must be computed, and each layer reaches twice as far.
#
# The check against a known answer again, for symbols: images of 4 × 4 pixels, all $2^{16} = 65{,}536$ of them.

# %%
quarter = ((torch.arange(2**16)[:, None] >> torch.arange(16)) & 1).float()
symbols = drawn_weights(GatedPixelCNN((4, 4), channels=4, layers=1, patch=2)).double()
with torch.no_grad():
    total = sum(
        symbols.log_prob(rows.double().view(-1, 1, 4, 4)).exp().sum().item()
        for rows in quarter.split(4096)
    )
record("probability_sum_4x4", total, kind="exact")
assert abs(total - 1) < 1e-9

# %% [markdown]
# Now the digits. The network sees each of the 60,000 training images **once**, freshly binarized, and can learn none by heart.

# %%
started = time.perf_counter()
pixelcnn = GatedPixelCNN((28, 28), pixelcnn_channels, pixelcnn_layers, patch=2)
pixelcnn.fit(
    mnist.x_train,
    binarize=True,
    epochs=pixelcnn_epochs,
    batch_size=32,
    lr=7e-3,
    warmup=50,
    ema=0.99,
    seed=seed,
).cpu()
pixelcnn_seconds = time.perf_counter() - started
pixelcnn_nll = pixelcnn.nll(test)
record("pixelcnn_nll", pixelcnn_nll, unit="nats/image", kind="exact")
print(f"trained in {pixelcnn_seconds:.0f} s")
print(f"MADE: {sum(p.numel() for p in hidden.parameters()):,} parameters")
print(f"PixelCNN: {sum(p.numel() for p in pixelcnn.parameters()):,} parameters")
assert pixelcnn_nll < made_nll - 3

# %% [markdown]
# The literature's number is 81.3 nats (van den Oord, Kalchbrenner and Kavukcuoglu 2016): pixel by pixel, a deeper network, many epochs, another fixed binarization of the same test images. Ours gets most of the way from the ten neighbors to that number in the time printed above, with a small fraction of MADE's weights. What a stroke is does not depend on where it is. (Where strokes usually lie does, so the network also has a learned vector for each place.)
#
# Where is the gain? We compare the mean negative log-likelihood of each place, on a fixed random part of the test set.

# %%
some = test[binary.test_part(2000)]
with torch.no_grad():
    maps = {
        "ten neighbors": table.nll_per_patch(some).mean(0),
        "MADE": hidden.nll_per_patch(some).mean(0),
        "PixelCNN": pixelcnn.nll_per_patch(some).mean(0),
    }

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for ax, (name, mean) in zip(axes, maps.items(), strict=True):
    squares = F.avg_pool2d(mean[None, None], len(mean) // 14, divisor_override=1)[0, 0]
    picture = ax.imshow(squares, vmin=0, vmax=1.6)
    ax.set(title=f"{name}: {squares.sum():.0f} nats", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
figure.colorbar(picture, ax=axes, shrink=0.8, label="nats a square")
caption(
    "Mean negative log-likelihood of each square of 2 × 2 pixels, 2,000 test images. All models pay "
    "much at the upper edge, where strokes begin. PixelCNN saves most in the middle."
)

# %% [markdown]
# ## 8 · The leaderboard
#
# Every row is about the same quantity: $-\log p(x)$ of the same 10,000 binary test images, or a bound or an estimate of it. For the other chapters this cell reads what their notebooks recorded. Normalizing flows (chapter 10) model *gray* images of 256 values. Their bits per dimension measure another quantity, so they get a line of their own and no bar.

# %%
rows = {
    "a fair coin a pixel": ("04", "uniform_nll"),
    "independent pixels": ("04", "pixel_nll"),
    "ten tables, with labels": ("04", "labeled_k10_nll"),
    "mixture of 100 tables": ("04", "bernoulli_k100_nll"),
    "Boltzmann machine": ("05", "rbm_nll"),
    "VAE, ELBO": ("06", "vae_neg_elbo"),
    "VAE, importance-weighted": ("06", "vae_iwae500_nll"),
}
board = {name: recorded(number)[key] for name, (number, key) in rows.items()}
for name, value in {
    "ten neighbors": neighbors_nll,
    "FVSBN": fvsbn_nll,
    "MADE": made_nll,
    "PixelCNN": pixelcnn_nll,
}.items():
    board[name] = {"value": value, "low": value, "high": value, "kind": "exact"}
board = dict(sorted(board.items(), key=lambda entry: -entry[1]["value"]))
kinds = {"exact": PALETTE[0], "bound": PALETTE[1], "estimate": PALETTE[2]}
marks = {"exact": "", "bound": "at most ", "estimate": "about "}
longest = 230
flow = recorded("10")["flow_mnist_bpd"]["value"]
print(f"gray images, not comparable: flow of chapter 10, {flow:.3f} bits/dim")
assert min(board, key=lambda name: board[name]["value"]) == "PixelCNN"

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8, 0.3 * len(board) + 1.4))
for at, entry in enumerate(board.values()):
    kind, value = entry["kind"], entry["value"]
    ax.barh(at, min(value, longest), color=kinds[kind])
    if kind == "estimate":
        ax.plot([entry["low"], entry["high"]], [at, at], color="black", linewidth=2)
    end = min(max(value, entry["high"] or 0), longest)
    torn = "… " if value > longest else ""
    ax.text(end + 2, at, f"{torn}{marks[kind]}{value:.1f}", va="center")
for kind, color in kinds.items():
    ax.barh(0, 0, color=color, label=kind)
ax.set_yticks(range(len(board)), list(board))
ax.invert_yaxis()
ax.set(xlim=(0, 265), xlabel="−log p(x) of a binary test image in nats (lower is better)")
ax.legend(loc="lower right")
caption(
    "The same 10,000 images for all; the bar with … is cut. A bound says: the truth is at "
    "most this. Black lines: intervals of estimates."
)

# %% [markdown]
# Read each bar with its kind. A bound can only make its model look worse than it is: the VAE is at least as good as its bar says. An estimate may err to either side, mostly within its black line and sometimes beyond it.

# %% [markdown]
# ## 9 · Sampling
#
# ### The same work, again and again
#
# To draw one symbol we need its 15 log-odds. The **naive** way runs the whole network on the image as it is so far, takes those 15 numbers, throws the other 195 places away, draws, and starts anew: 196 runs for 14 × 14 places.
#
# But most of that was computed before. The vertical stack of a row depends on the rows above alone: compute it **once per row**. The horizontal stack at a place needs its left neighbor in the layer before: **remember it**. Then each number is computed once, and drawing an image costs about as much arithmetic as *one* run of the network. It is the idea of NADE's growing sum.


# %%
@torch.no_grad()
def draw(model: GatedPixelCNN, uniform: Tensor) -> Tensor:
    """Images from uniform numbers, (n, H · W) symbols → (n, 1, 2 H, 2 W) pixels."""
    n, (height, width), channels = len(uniform), model.grid, model.down.in_channels
    # The four bits of each symbol, with white symbols around: (i, j) is at (i + 2, j + 2).
    bits = uniform.new_zeros(n, 4, height + 2, width + 4)
    above = [uniform.new_zeros(n, channels, 1, width) for _ in model.layers]
    for i in range(height):
        v = model.above(bits[:, :, i : i + 2]) + model.places[0, :, i : i + 1]
        news = [model.down(v) + model.places[1, :, i : i + 1]]  # for h, from above
        for k, layer in enumerate(model.layers):
            two_rows, above[k] = torch.cat([above[k], v], dim=2), v  # remember this row
            v = v + layer.above(F.pad(two_rows, (1, 1))).relu()
            news.append(layer.down(v))
        left = [uniform.new_zeros(n, channels, 1, 1) for _ in model.layers]
        for j in range(width):
            h = model.left(bits[:, :, i + 2 : i + 3, j : j + 2]) + news[0][..., j : j + 1]
            for k, layer in enumerate(model.layers):
                pair, left[k] = torch.cat([left[k], h], dim=3), h  # remember this place
                h = h + layer.mix(gate(layer.left(pair) + news[k + 1][..., j : j + 1]))
            log_odds = model.last(h.relu())[:, :, 0, 0] + model.bias[:, i, j]  # (n, 15)
            p = F.pad(log_odds, (1, 0)).softmax(1)
            symbol = (uniform[:, i * width + j, None] > p.cumsum(1)[:, :-1]).sum(1)
            bits[:, :, i + 2, j + 2] = model.decode(symbol).to(bits)
    return F.pixel_shuffle(bits[:, :, 2:, 2:-2], 2)


# %% [markdown]
# Is it right? The library's `sample` does the same, with matrix products in place of small convolutions (`_walk` in [its module](../../utils/models/autoregressive/pixelcnn.py)), and has the naive way, too. All draw their uniform numbers first, so one seed must give the same images in all three ways, bit for bit. (Sums in another order differ in the last digits, and a uniform number could fall between; in double precision that does not happen here.)
#
# Is it fast? With memory we draw 64 whole images. Each step of the naive way costs the same, so it draws the last two of the 14 rows of symbols, and we count that time seven times.

# %%
exact = copy.deepcopy(pixelcnn).double()
seeded = torch.Generator().manual_seed(seed)
uniform = torch.rand(8, 14 * 14, generator=seeded, dtype=torch.float64)
fast = exact.sample(8, torch.Generator().manual_seed(seed))
naive = exact.sample(8, torch.Generator().manual_seed(seed), naive=True)
assert (fast == naive).all() and (fast == draw(exact, uniform)).all()
print("8 whole images, drawn in three ways: equal in every pixel")


def seconds(draw) -> float:
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


drawn = pixelcnn.sample(64, generator)
fast_seconds = sorted(seconds(lambda: pixelcnn.sample(64, generator)) for _ in range(3))[1]
two_rows = seconds(lambda: pixelcnn.sample(64, generator, start=drawn, rows=24, naive=True))
sampling_speedup = 7 * two_rows / fast_seconds
record("sampling_speedup", sampling_speedup, kind="score")
print(f"64 images: {fast_seconds:.2f} s with memory, {7 * two_rows:.1f} s without")

# %% jupyter={"source_hidden": true} tags=["picture"]
images(
    torch.cat([some[:60], drawn[:60]]).reshape(-1, 28, 28),
    columns=12,
    rows=["test images", "samples of\nPixelCNN"],
)
caption(
    "Drawn in squares of 2 × 2 pixels, from the upper left. Many are digits; others begin like one "
    "digit and end like another."
)

# %% [markdown]
# ### Watch it draw (*optional*)
#
# A pixel that is drawn is never changed. So a finished image shows every stage of its own drawing: we only have to cover what came later.

# %%
film = [1, 49, 77, 98, 119, 147, 196]  # symbols drawn so far
place = torch.arange(196).view(1, 1, 14, 14)
place = place.repeat_interleave(2, 2).repeat_interleave(
    2, 3
)  # of each pixel, (1, 1, 28, 28)
frames = torch.stack(
    [drawn[:5].where(place < count, torch.nan) for count in film], dim=1
)  # (5, 7, 1, 28, 28)

# %% jupyter={"source_hidden": true}
images(frames.flatten(0, 1), columns=len(film), rows=[f"image {i}" for i in range(1, 6)])
caption(f"Five images after {', '.join(map(str, film))} symbols. Blue is not yet drawn.")

# %% [markdown]
# ### Temperature (*optional*)
#
# Divide all log-odds by a number, the **temperature**, before drawing. Below 1, likely symbols become likelier, and the images plainer and cleaner. Above 1, rare symbols are drawn more often. The temperature is a matter of taste and no better model of the data. And it is *not* the same as raising $p(x)$ to a power and normalizing, because each place is sharpened on its own, without regard to what it leads to.

# %%
ink, hot = {}, {}
for temperature in (0.5, 0.8, 1.0, 1.4):
    hot[temperature] = pixelcnn.sample(36, generator, temperature=temperature)
    ink[temperature] = pixelcnn.nll(hot[temperature])
    print(
        f"temperature {temperature}: the model's own mean −log p {ink[temperature]:.1f} nats"
    )
assert ink[0.5] < ink[1.0] < ink[1.4]

# %% jupyter={"source_hidden": true}
images(torch.cat(list(hot.values())), columns=12, rows=list(map(str, hot)))
caption(
    "The same model at four temperatures. At 0.5: plain shapes, mostly 0, 1, 7 and 9, and some that "
    "end too early. At 1.4: blots that no longer hang together."
)

# %% [markdown]
# ### Completion
#
# Keep the upper half of an image and go on drawing. Because it comes first in the order, this draws from the exact conditional distribution, without extra training.

# %%
shuffled = binary.test_part(len(test))
of_each = [shuffled[binary.y_test[shuffled] == digit][0] for digit in range(10)]
digits = test[torch.stack(of_each)]
completions = [pixelcnn.sample(10, generator, start=digits, rows=14) for _ in range(4)]
covered = digits.clone()
covered[:, :, 14:] = torch.nan
assert all((c[:, :, :14] == digits[:, :, :14]).all() for c in completions)

# %% jupyter={"source_hidden": true}
images(
    torch.cat([digits, covered, *completions]),
    columns=10,
    rows=["image", "what is seen", *(f"draw {i}" for i in range(1, 5))],
)
caption(
    "From the top: the image; what the model sees; four ways to go on. They differ where "
    "the upper half leaves a choice."
)

# %% [markdown]
# ## 10 · Where it fails
#
# ### A mask that is off by one
#
# With `>=` for `>` in the last mask of MADE, $a_i$ may see $x_i$. We break our own nine-pixel MADE with this one switch and train it again.


# %%
def leaky(x, bias, direct, inner, inner_bias, outer):
    """MADE with one wrong mask: units that know pixel i may speak to it."""
    m = 1 + torch.arange(len(inner)) % (x.shape[1] - 1)
    number = torch.arange(x.shape[1])
    hidden = F.linear(x, inner * (m[:, None] > number), inner_bias).relu()
    return fvsbn(x, bias, direct) + F.linear(hidden, outer * (number[:, None] + 1 >= m))


weights = [weight.clone().requires_grad_() for weight in parameters["MADE"]]
optimizer = torch.optim.Adam(weights, lr=0.03)
for _ in range(toy_steps):
    loss = -(truth * log_p(every, leaky(every, *weights))).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
leaked_sum = log_p(every, leaky(every, *weights)).exp().sum().item()
with record_table():
    record("leaky_nll", loss.item(), unit="nats/image", kind="score")
    record("entropy", entropy, unit="nats/image", kind="exact")
    record("leaky_sum", leaked_sum, kind="exact")
assert loss.item() < entropy - 0.5
assert leaked_sum > 2

# %% [markdown]
# This negative log-likelihood is far below the entropy. **No model can be better than the truth**: a number that is too good to be true is not. In a real task nobody knows the entropy. The first two checks of section 4 do not need it, and fail here: the sum over all small images is not 1, and the gradient to the own pixel is not 0. Run them on every model of this kind.
#
# ### No way back
#
# Sampling never goes back. An early symbol that was an unlucky draw stays, and all later ones are drawn given it. And only what comes *first in the order* can be given. Cover the **upper** half instead, and our PixelCNN has no direct answer. We let it draw upper halves anyway, without knowing the lower half, and paste the known lower half below.

# %%
tops = pixelcnn.sample(1000, generator)
pasted = digits.repeat(100, 1, 1, 1)
pasted[:, :, :14] = tops[:, :, :14]
with torch.no_grad():
    fit = (
        pixelcnn.nll_per_patch(pasted)[:, 7:].sum((1, 2)).view(100, 10)
    )  # of the lower half
best = fit.argmin(0)
chosen = pasted.view(100, 10, 1, 28, 28)[best, torch.arange(10)]
given_top = pixelcnn.nll_per_patch(digits)[:, 7:].sum((1, 2)).mean().item()
with record_table():
    record("lower_half_own_top", given_top, unit="nats", kind="score")
    record("lower_half_random_top", fit.mean().item(), unit="nats", kind="score")
    record(
        "lower_half_best_top", fit.min(0).values.mean().item(), unit="nats", kind="score"
    )
assert max(given_top, fit.min(0).values.mean().item()) + 5 < fit.mean()

# %% jupyter={"source_hidden": true}
lower = digits.clone()
lower[:, :, :14] = torch.nan
images(
    torch.cat([lower, pasted[:10], chosen]),
    columns=10,
    rows=["given", "first draw", "best of 100"],
)
caption(
    "Given: lower halves. Second row: upper halves drawn without looking. Third: of 100 "
    "such, the one after which the model finds the lower half least surprising."
)

# %% [markdown]
# The numbers say it, too: after a random upper half the lower half costs many nats more than after its own, and the best of 100 comes near the own one. The third row is a crude form of a correct remedy: draw many upper halves, and weight each with the probability that it gives to the known lower half. With more and more draws this becomes exact, but almost all of the work is lost. Better train for the question: turn the images upside down, or train one MADE in many orders.
#
# ### No code
#
# There is no latent variable $z$: nothing to interpolate in, and no short code of an image. If you need one, chapter 6 has it.

# %% [markdown]
# ## 11 · What this family is good and bad at
#
# Good: exact likelihoods, the best of the course; stable training; completion from the front. Bad: sampling goes one symbol after another, in one order, and there is no latent code.

# %%
from utils.families import families

families("12")

# %% [markdown]
# ## 12 · Remember
#
# 1. $p(x) = \prod_i p(x_i \mid x_1, \dots, x_{i-1})$ is no assumption. A model is a way to share what is known between the factors.
# 2. Masks make one network answer all questions at once. Prove them: all small images sum to 1, and gradients to later pixels are exactly 0.
# 3. Convolutions learn once what holds everywhere. Masked ones have a blind spot; a vertical and a horizontal stack have none.
# 4. The likelihood is exact, so it can be set beside the bounds and estimates of other models. A number below the entropy is a leak.
# 5. Training is parallel, sampling is not. If a sampler keeps what it has computed, an image costs about one run of the network instead of hundreds.
#
# **Exercises**: `course start 12`, then open `work/12_autoregressive_images/exercises.ipynb`.
#
# **Further reading**
# - B. Frey: *Graphical models for machine learning and digital communication*, MIT Press, 1998: the logistic belief network.
# - H. Larochelle, I. Murray: *The neural autoregressive distribution estimator*, AISTATS 2011.
# - M. Germain, K. Gregor, I. Murray, H. Larochelle: *MADE: masked autoencoder for distribution estimation*, 2015, arXiv:1502.03509.
# - A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu: *Pixel recurrent neural networks*, 2016, arXiv:1601.06759.
# - A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves, K. Kavukcuoglu: *Conditional image generation with PixelCNN decoders*, 2016, arXiv:1606.05328.
# - T. Salimans, A. Karpathy, X. Chen, D. Kingma: *PixelCNN++*, 2017, arXiv:1701.05517.
# - P. Ramachandran and others: *Fast generation for convolutional autoregressive models*, 2017, arXiv:1704.06001: sampling that remembers.
