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
# # 7 · Vector quantization: codes and a learned prior
#
# **Turn an image into a page of whole numbers, learn how such pages are written, and say in nats what that costs.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 70 minutes | under two minutes, two cores | chapters 4 and 6; what a convolution is | write a quantizer and pass a gradient through it; keep a codebook alive; derive what a one-hot posterior pays; train a prior over codes and draw from it; place a model in the plane of code and reconstruction |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# The code of chapter 6 was a point of a space. Here it is a small grid of whole numbers, like a text in an alphabet of 16 letters. Much of what generates images, sound and speech today works in two such stages: one network turns data into codes, another learns to write codes. This chapter builds both, and adds up their two bills.

# %% tags=["parameters"]
seed = 7
n_codes = 16
dim = 16
tiny_steps = 400
train_images = 60_000
prior_epochs = 1
side_images = 8_000
judged = 4000
searched = 100

# %%
import io
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from utils.data import binarize, load
from utils.diagrams import Box, Maps, diagram
from utils.plots import PALETTE, caption, images
from utils.results import record, record_table, recorded

generator = torch.Generator().manual_seed(seed)
torch.manual_seed(seed)  # for the first weights of the networks
gray = load("mnist")
binary = gray.binarized()  # the test part is the course's fixed draw
test = binary.x_test  # (10000, 1, 28, 28), zeros and ones
part = binary.test_part(
    len(test)
)  # a fixed random order: of the first n each is as good as another
shown = test[part[:8]]

# %% [markdown]
# ## 1 · A page of numbers
#
# Cut an image into 49 squares of 4 × 4 pixels. Choose 16 **prototypes**, squares that occur often. Now write down, for each square, only the *number* of the prototype that is nearest to it. What you have is a grid of 7 × 7 whole numbers, the **codes**; the list of prototypes is the **codebook**. Whoever has the codebook can draw the image again, nearly.
#
# Good prototypes are found by **k-means**: assign each square to the nearest prototype, move each prototype to the mean of its squares, and repeat. Chapter 4 did the same with Gaussians. Let the variance that all components share go to 0, and its responsibilities become 0 and 1, and EM becomes k-means. It is called **vector quantization**, and it is older than neural networks.


# %%
def squared_distances(z: Tensor, codebook: Tensor) -> Tensor:
    """‖z_n − e_k‖² of all pairs, by differences: (N, D) and (K, D) → (N, K)."""
    return (z[:, None] - codebook).square().sum(2)


def k_means(z: Tensor, codebook: Tensor, steps: int) -> tuple[Tensor, list[float]]:
    """The codebook after some steps, and the mean squared error before each."""
    errors = []
    for _ in range(steps):
        least, codes = squared_distances(z, codebook).min(1)
        errors.append(least.mean().item())
        sums = torch.zeros_like(codebook).index_add_(0, codes, z)
        counts = torch.bincount(codes, minlength=len(codebook))[:, None]
        codebook = torch.where(counts > 0, sums / counts.clamp_min(1), codebook)
    return codebook, errors


def patches(x: Tensor) -> Tensor:
    """Squares of 4 × 4 pixels, (B, 1, 28, 28) → (B, 7, 7, 16)."""
    return F.pixel_unshuffle(x, 4).permute(0, 2, 3, 1)


squares = patches(binary.x_train[:400]).reshape(-1, 16).double()
first = squares.unique(dim=0)
first = first[torch.randperm(len(first), generator=generator)[:n_codes]]
first = first + 0.01 * torch.randn(first.shape, generator=generator)  # no two equally near
prototypes, errors = k_means(squares, first, 25)
assert all(after <= before + 1e-12 for before, after in itertools.pairwise(errors))

# %%
from sklearn.cluster import KMeans

theirs = KMeans(
    n_codes, init=first.numpy(), n_init=1, max_iter=25, tol=0, algorithm="lloyd"
)
theirs.fit(squares.numpy())
final = squared_distances(squares, prototypes).min(1).values.mean().item()
difference = abs(theirs.inertia_ / len(squares) - final)
record("difference_to_scikit_learn", difference, unit="squared error", kind="score")
assert difference < 1e-9

codes = squared_distances(patches(shown).reshape(-1, 16).double(), prototypes).argmin(1)
redrawn = F.pixel_shuffle(prototypes[codes].view(8, 7, 7, 16).permute(0, 3, 1, 2), 4)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.1))
axes[0].imshow(shown[0, 0])
axes[1].imshow(torch.zeros(7, 7), vmin=0, vmax=1)
for at, code in enumerate(codes[:49].tolist()):
    axes[1].text(at % 7, at // 7, str(code), ha="center", va="center", fontsize=9)
axes[2].imshow(redrawn[0, 0], vmin=0, vmax=1)
for ax, title in zip(
    axes, ("784 pixels", "49 codes", "redrawn from the codes"), strict=True
):
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
caption(
    "A digit, the number of the nearest prototype for each of its 49 squares, and the digit redrawn from the "
    "prototypes. Neighboring squares know nothing of each other, so strokes break at the borders."
)

# %% [markdown]
# The scikit-learn library, started from the same prototypes, ends with the same error. Prototypes of pixels are a modest tool: each square is drawn alone. The idea of this chapter is to quantize not pixels but the output of an **encoder**, and to let a **decoder** draw the image from all codes together.

# %% [markdown]
# ## 2 · The mathematics
#
# ### A gradient through a choice
#
# The encoder turns $x$ into a vector $z_s \in \mathbb R^D$ at each place $s$ of a grid. The quantizer replaces it by the nearest of $K$ vectors:
#
# $$c_s = \operatorname{argmin}_k \lVert z_s - e_k \rVert^2, \qquad \hat z_s = e_{c_s}.$$
#
# The decoder gives $p_\theta(x \mid c)$. But move $z_s$ a little, and $c_s$ does not change: the true gradient is 0 almost everywhere, and the encoder would learn nothing. The **straight-through** estimator pretends that $\hat z_s$ moves as $z_s$ does. With $\mathrm{sg}$, stop-gradient, for "a constant to the gradient",
#
# $$\hat z_s = z_s + \mathrm{sg}(e_{c_s} - z_s), \qquad \text{so that } \hat z_s = e_{c_s} \text{ and } \partial \hat z_s / \partial z_s = I.$$
#
# It is not the gradient of anything. It is useful where $e_{c_s}$ and $z_s$ are near each other, and the rest of the loss sees to that:
#
# $$\mathcal L = -\log p_\theta(x \mid c) + \sum_s \underbrace{\lVert \mathrm{sg}(z_s) - e_{c_s} \rVert^2}_{\text{codebook}} + \beta \sum_s \underbrace{\lVert z_s - \mathrm{sg}(e_{c_s}) \rVert^2}_{\text{commitment}}.$$
#
# The first new term moves prototypes to the encoder's outputs. The second keeps the encoder near its prototypes; without it, outputs may grow without end.
#
# The codebook term is k-means by gradient. The mean of all vectors that chose $e_k$ is known, though, so one can go there directly, with moving averages over batches of the count $n_k$ and the sum of those vectors:
#
# $$N_k \leftarrow \lambda N_k + (1 - \lambda)\, n_k, \qquad S_k \leftarrow \lambda S_k + (1 - \lambda) \sum_{s:\, c_s = k} z_s, \qquad e_k = S_k / N_k.$$
#
# This **EMA codebook** is k-means, one step a batch, while the encoder moves the points. A prototype that nobody chooses never moves: it is **dead**. The remedy is crude: where $N_k$ has become small, set $e_k$ to a random encoder output of the batch.
#
# ### What a one-hot posterior pays
#
# So far this is an autoencoder. To be a model of images it needs a distribution of codes, the **prior** $p(c)$. Then $p(x) = \sum_c p(c)\, p_\theta(x \mid c)$, a sum over $K^{49}$ grids. All its terms are positive, so each one is a bound. Take that of the encoder's own grid $c(x)$:
#
# $$-\log p(x) \;\le\; \underbrace{-\log p_\theta(x \mid c(x))}_{\text{reconstruction}} \; \underbrace{-\log p(c(x))}_{\text{code}}.$$
#
# This is the ELBO of chapter 6, $\mathbb E_q[\log p(x \mid c)] - \mathrm{KL}(q \,\|\, p)$, for a posterior $q$ that puts all its mass on $c(x)$. The entropy of $q$ is 0. So the divergence to the prior is $\sum_c q(c) \log \frac{q(c)}{p(c)} = -\log p(c(x))$: **the full length of the code**. A VAE with an uncertain code gets its uncertainty back, and a one-hot posterior never does. What is lost? By $p(x, c) = p(x)\, p(c \mid x)$,
#
# $$\log p(x) - \big[\log p_\theta(x \mid c(x)) + \log p(c(x))\big] = -\log p(c(x) \mid x).$$
#
# The gap is small only where the model, too, is sure of the code. If another grid explains $x$ nearly as well, its share of $p(x)$ is thrown away. Nothing in $\mathcal L$ asks for cheap codes, either. Section 7 will find how much that costs.
#
# The bound is in nats of the same binary images as those of chapters 4, 6 and 12. Papers seldom print it: they report an error of reconstruction, which leaves out the second bill.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 2.4))
boxes = {
    "x": Maps(0, 1, (1, 28, 28), "$x$"),
    "encoder": Box(1.15, 1, "encoder", "network"),
    "z": Maps(2.3, 1, (16, 7, 7), "$z$", "latent"),
    "nearest": Box(3.5, 1, "nearest\n$e_k$", "operation"),
    "straight": Box(3.5, 1.9, "its gradient: straight through, to $z$", "loss"),
    "codebook": Box(3.5, 0, "codebook\n16 × 16", "latent"),
    "c": Maps(4.6, 1, (1, 7, 7), "codes $c$", "latent"),
    "decoder": Box(5.75, 1, "decoder", "network"),
    "p": Box(6.9, 1, "$p_\\theta(x\\,|\\,c)$"),
    "prior": Box(4.6, 0, "prior $p(c)$", "network"),
}
arrows = [
    ("x", "encoder"), ("encoder", "z"), ("z", "nearest"), ("codebook", "nearest"), ("nearest", "c"),
    ("c", "decoder"), ("decoder", "p"), ("prior", "c"),
]  # fmt: skip
diagram(ax, boxes, arrows, lines=[("straight", "nearest")])
caption(
    "A VQ-VAE. In training the encoder and the nearest prototypes give the codes; to draw a new image, the prior does."
)

# %% [markdown]
# ## 3 · From scratch
#
# First on a world whose truth is known. Its images have 3 × 3 pixels. There are **five prototypes**, with unequal weights, and each pixel of an image is flipped with a small probability. All $2^9 = 512$ images can be listed, so we know $p(x)$ and its entropy. A model with one place and five codes should find the five prototypes, their weights and the flips.


# %%
def quantize(z: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Straight-through vectors (N, D), their codes (N,), and the distances to them (N,)."""
    codes = squared_distances(z.detach(), codebook).argmin(1)
    chosen = codebook[codes]
    distance = (z - chosen.detach()).square().sum(1)  # the commitment, without its weight
    return z + (chosen - z).detach(), codes, distance


def first_codebook(z: Tensor, k: int, tries: int = 10) -> Tensor:
    """The best of several runs of k-means, each from rows of z that are far apart, (k, D)."""
    runs = []
    for first in torch.randint(len(z), (tries,), generator=generator).tolist():
        chosen = [first]
        for _ in range(k - 1):
            chosen.append(squared_distances(z, z[chosen]).min(1).values.argmax().item())
        runs.append(k_means(z, z[chosen].clone(), 10))
    return min(runs, key=lambda run: run[1][-1])[0]


def move_codebook(averages, z: Tensor, codes: Tensor, decay: float) -> Tensor:
    """One step of the moving averages N (K,) and S (K, D), in place; returns S / N."""
    counts, sums = averages
    counts.lerp_(torch.bincount(codes, minlength=len(counts)).to(counts), 1 - decay)
    sums.lerp_(torch.zeros_like(sums).index_add_(0, codes, z), 1 - decay)
    return sums / counts[:, None]


def revive(averages, codebook: Tensor, z: Tensor) -> None:
    """Set codes that hardly any vector chooses to random vectors of the batch, in place."""
    counts, sums = averages
    for k in (counts < 0.1 * counts.mean()).nonzero().flatten().tolist():
        codebook[k] = z[torch.randint(len(z), (1,), generator=generator)]
        counts[k] = counts.mean()
        sums[k] = counts[k] * codebook[k]


every = ((torch.arange(512)[:, None] >> torch.arange(9)) & 1).double()  # (512, 9)
drawings = ["111101111", "010010010", "100010001", "111000111", "000010111"]
true_prototypes = torch.tensor(
    [[float(bit) for bit in drawing] for drawing in drawings]
).double()
true_weights = torch.tensor([0.35, 0.25, 0.2, 0.12, 0.08], dtype=torch.float64)
flip = 0.03
differ = (every[:, None] != true_prototypes).sum(2).double()  # (512, 5)
p_given_prototype = flip**differ * (1 - flip) ** (9 - differ)
truth = p_given_prototype @ true_weights  # p(x), (512,)
entropy = -(truth * truth.log()).sum().item()

encoder, decoder = nn.Linear(9, 5).double(), nn.Linear(5, 9).double()
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)
for step in range(tiny_steps):
    x = every[torch.multinomial(truth, 128, replacement=True, generator=generator)]
    z = encoder(x)
    if step < 100:  # a plain autoencoder at first: its outputs fall into groups
        quantized, distance = z, torch.zeros(())
    else:
        if step == 100:
            codebook = first_codebook(z.detach(), 5)
            averages = torch.ones(5).double(), codebook.clone()
        quantized, codes, distance = quantize(z, codebook)
        codebook = move_codebook(averages, z.detach(), codes, decay=0.9)
    if 100 <= step < 300 and step % 20 == 0:
        revive(averages, codebook, z.detach())
    log_odds = decoder(quantized)
    log_likelihood = (x * log_odds - F.softplus(log_odds)).sum(1)
    loss = (0.25 * distance - log_likelihood).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %% [markdown]
# The prior over a single code is a list of five numbers: how often each is used. With five codes the sum over all codes can be done, so we know the model's exact $-\log p(x)$ beside its bound, both as exact means over the true distribution.

# %%
with torch.no_grad():
    own = quantize(encoder(every), codebook)[1]  # c(x), (512,)
    usage = torch.zeros(5).double().index_add_(0, own, truth)  # p(c)
    drawn = decoder(codebook)  # log-odds of the pixels for each code, (5, 9)
    joint = usage.log() + (every[:, None] * drawn - F.softplus(drawn)).sum(2)  # (512, 5)
    exact = joint.logsumexp(1)
    bound = joint[torch.arange(512), own]
    posterior = (bound - exact).exp()  # p(c(x) | x)
matched = (drawn.sigmoid().round()[:, None] == true_prototypes).all(
    2
)  # (5 codes, 5 prototypes)
tiny = {
    "entropy": entropy,
    "exact": -(truth @ exact).item(),
    "bound": -(truth @ bound).item(),
}
gap = -(truth @ posterior.log()).item()
with record_table():
    record("prototypes_recovered", matched.any(0).sum().item(), unit="of 5", kind="exact")
    for name, value in tiny.items():
        record(
            f"tiny_{name}",
            value,
            unit="nats/image",
            kind="bound" if name == "bound" else "exact",
        )
    record("tiny_gap", gap, unit="nats/image", kind="exact")
assert matched.sum() == 5 and matched.any(0).all()
assert entropy <= tiny["exact"] <= tiny["bound"]
assert abs(tiny["bound"] - tiny["exact"] - gap) < 1e-9, "the gap is −log p(c(x) | x)"

# %% jupyter={"source_hidden": true}
order = usage.argsort(descending=True)
images(
    torch.cat([true_prototypes, drawn.sigmoid()[order]]).reshape(-1, 3, 3),
    columns=5,
    rows=["true prototypes", "decoded codes"],
    frames=True,
)
caption(
    "The five prototypes, most frequent first, and what the decoder draws for each code, sorted by use."
)

# %% [markdown]
# ## 4 · Checks against known answers
#
# **The nearest code** by brute force: the library multiplies the squares out, which is fast, and must find what differences find, also far away from 0. **A codebook of one** has nothing to choose: all codes are 0, and the moving average goes to the mean of the data. **The library** does our steps: its quantizer, given our codebook, gives our values, codes and gradients.

# %%
from utils.models.codes import VectorQuantizer, nearest

far = 1e6 + torch.randn(3000, 5, generator=generator, dtype=torch.float64)
some = far[:200]
assert (nearest(far, some) == squared_distances(far, some).argmin(1)).all()

one = VectorQuantizer(1, 5, decay=0.5).double().train()
for _ in range(60):
    quantized = one(far)
assert (quantized.codes == 0).all()
assert (one.codebook[0] - far.mean(0)).abs().max() < 1e-8

library = VectorQuantizer(5, 5, decay=0.9, commitment=0.25).double()
library.load_state_dict(
    {
        "codebook": codebook,
        "counts": averages[0],
        "sums": averages[1],
        "steps": torch.tensor(1000),
    }
)
z = torch.randn(40, 5, generator=generator, dtype=torch.float64)
ours, our_codes, our_distance = quantize(z, codebook)
theirs = library.eval()(z)
assert (theirs.codes == our_codes).all()
assert (theirs.z - ours).abs().max() < 1e-12
assert (theirs.loss - 0.25 * our_distance).abs().max() < 1e-12
library.train()(z)
assert (library.codebook - move_codebook(averages, z, our_codes, 0.9)).abs().max() < 1e-12

# %% [markdown]
# **The straight-through gradient** against its definition. For any loss $f$ of the quantized vector, the gradient in $z$ is that of $f$, taken at the *prototype*. The true gradient, by finite differences, is 0: a small step changes no code.


# %%
def f(v: Tensor) -> Tensor:
    """Any smooth function, (N, 5) → (N,)."""
    return (v.sin() * torch.arange(1, 6)).sum(1) + v.prod(1)


moving = z.clone().requires_grad_()
f(quantize(moving, codebook)[0]).sum().backward()
at_prototype = codebook[our_codes].clone().requires_grad_()
f(at_prototype).sum().backward()
straight_through_error = (moving.grad - at_prototype.grad).abs().max().item()
small = 1e-6 * torch.randn(z.shape, generator=generator, dtype=torch.float64)
hard = [f(codebook[quantize(moved, codebook)[1]]) for moved in (z, z + small)]
record("straight_through_error", straight_through_error, kind="exact")
assert straight_through_error < 1e-12 and (hard[0] == hard[1]).all()

# %% [markdown]
# ## 5 · MNIST: a page of 49 codes
#
# Now the library's [`VQVAE`](../../utils/models/codes/vqvae.py), with a convolutional encoder and decoder and 16 codes at 7 × 7 places. Pixels are binarized anew in each batch. The codes are judged by what the decoder makes of them: the nats of the reconstruction, and the Fréchet distance of chapter 8's sort, between the course's classifier's features of all test images and of their reconstructions. Its scale is that of the features; the **floor**, real training images in place of reconstructions, says what is small.

# %%
from utils.metrics import frechet_distance
from utils.models.classifiers import digit_classifier
from utils.models.codes import (
    VQVAE,
    CodePrior,
    FiniteScalarQuantizer,
    code_decoder,
    code_encoder,
)

judge = digit_classifier()


def features(x: Tensor) -> Tensor:
    return torch.cat([judge.features(rows) for rows in x.split(1000)])


def build(quantizer, halvings: int = 2, channels: int = 32) -> VQVAE:
    """A VQ-VAE with 7 × 7 codes, or 4 × 4 with three halvings."""
    side = 7 if halvings == 2 else 4
    parts = (
        make(quantizer.dim, halvings=halvings) for make in (code_encoder, code_decoder)
    )
    return VQVAE(*parts, quantizer, CodePrior(quantizer.n_codes, (side, side), channels))


@torch.no_grad()
def encode(model: VQVAE, x: Tensor) -> Tensor:
    return torch.cat([model.encode(rows) for rows in x.split(1000)])


@torch.no_grad()
def decode(model: VQVAE, codes: Tensor) -> Tensor:
    return torch.cat([model.decode(rows) for rows in codes.split(1000)])


def code_nats(codes: Tensor, shares: Tensor) -> Tensor:
    """−log p(c) of independent codes with these shares, (B,)."""
    return -shares.log()[codes].flatten(1).sum(1)


def bernoulli_nats(x: Tensor, p: Tensor) -> Tensor:
    return F.binary_cross_entropy(p, x, reduction="none").flatten(1).sum(1)


with torch.no_grad():
    real = features(gray.x_test)
    accuracy = (judge.head(real).argmax(1) == gray.y_test).double().mean().item()
    floor = frechet_distance(real, features(gray.x_train[: len(test)]))
torch.manual_seed(seed)
vq = build(VectorQuantizer(n_codes, dim))
vq.fit(
    gray.x_train[:train_images], binarize=True, epochs=1, batch_size=96, lr=3e-3, seed=seed
)

codes = encode(vq, test)  # (10000, 7, 7)
rebuilt = decode(vq, codes)
reconstruction = bernoulli_nats(test, rebuilt).mean().item()
counts = torch.bincount(codes.flatten(), minlength=n_codes)
shares = counts / counts.sum()
perplexity = (-(shares * shares.clamp_min(1e-9).log()).sum()).exp().item()
used = (counts > 0).double().mean().item()
recon_frechet = frechet_distance(real, features(rebuilt))
with record_table():
    record("judge_accuracy", accuracy, unit="share of images", kind="score")
    record("real_frechet", floor, kind="score")
    record("vq_recon_frechet", recon_frechet, kind="score")
    record("vq_reconstruction", reconstruction, unit="nats/image", kind="exact")
    record("vq_codes_used", used, unit="share of codes", kind="score")
    record("vq_perplexity", perplexity, unit=f"of {n_codes}", kind="score")

# %% jupyter={"source_hidden": true}
images(
    torch.cat([shown, redrawn.float(), rebuilt[part[:8]]]),
    columns=8,
    rows=["test images", "prototypes\nof pixels", "VQ-VAE"],
)
caption(
    "Test images, redrawn from 49 codes each: with the prototypes of section 1, and by the VQ-VAE, whose strokes hold together."
)

# %% [markdown]
# All codes are in use, over the whole test set. The **perplexity** $e^H$ of the shares, with $H$ their entropy, says how many codes there would be if all were equally frequent. What do the codes mean? A code has no picture of its own, because the decoder sees its neighbors, too. So we cut from the reconstructions the 12 × 12 pixels around each place, and sort these patches by the code in their middle.

# %%
by_use = counts.argsort(descending=True)
windows = F.unfold(rebuilt[part[:1000]], 12, stride=4, padding=4)  # (1000, 144, 49)
windows = windows.permute(0, 2, 1).reshape(-1, 12, 12)
in_middle = codes[part[:1000]].flatten()
of_each = [patch for code in by_use.tolist() if len(patch := windows[in_middle == code])]
alphabet = [torch.stack([patch.mean(0) for patch in of_each])]
for example in range(3):
    at = [(example + 1) * len(patch) // 4 for patch in of_each]
    alphabet.append(torch.stack([patch[i] for patch, i in zip(of_each, at, strict=True)]))

# %% jupyter={"source_hidden": true}
images(
    torch.cat(alphabet),
    columns=len(of_each),
    rows=["mean", *(f"example {i}" for i in (1, 2, 3))],
    frames=True,
)
caption(
    "The codebook as decoded patches, most used code first: the mean of all patches with this code in their middle, "
    "and three of them. An alphabet of blank, borders, strokes, bends and ends."
)

# %% [markdown]
# ## 6 · The prior: how pages are written
#
# Draw each of the 49 codes on its own, with the right frequencies, and you get confetti. The codes of a digit depend on each other, and the prior must know how. The chain rule does it: $p(c) = \prod_s p(c_s \mid c_1, \dots, c_{s-1})$, in reading order. Ours is a small **gated PixelCNN**, masked convolutions over the grid of codes; chapter 12 explains it on pixels. Here it is enough that $p(c)$ is exact, that it sums to 1, and that drawing goes code by code. We check both on grids so small that all can be listed.
#
# The codes of a training image are computed anew in each batch from a newly drawn binarization. Section 8 shows why.

# %%
tiny_prior = CodePrior(3, (2, 2), channels=4, layers=2).double()
for weight in tiny_prior.parameters():
    nn.init.normal_(weight, generator=generator)
grids = torch.cartesian_prod(*[torch.arange(3)] * 4).view(-1, 2, 2)  # all 81
with torch.no_grad():
    probabilities = tiny_prior.log_prob(grids).exp()
prior_sum = probabilities.sum().item()
record("prior_sum", prior_sum, kind="exact")
assert abs(prior_sum - 1) < 1e-9
drawn = tiny_prior.sample(20_000, generator)
number = (drawn.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1)
seen = torch.bincount(number, minlength=81) / 20_000
assert (seen - probabilities).abs().sum() < 0.1, (
    "samples have the probabilities of log_prob"
)

# %%
vq.fit_prior(
    gray.x_train[:train_images],
    binarize=True,
    epochs=prior_epochs,
    batch_size=32,
    lr=3e-3,
    warmup=20,
    clip=1.0,
    seed=seed,
)


@torch.no_grad()
def bills(model: VQVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Nats of the reconstruction and of the code, each (B,)."""
    both = [torch.stack(model.parts(rows)) for rows in x.split(1000)]
    return tuple(-torch.cat(both, 1))


train_codes = encode(vq, binarize(gray.x_train[:10_000], generator))
train_counts = 1 + torch.bincount(train_codes.flatten(), minlength=n_codes)
frequencies = train_counts / train_counts.sum()
image_nats, page_nats = bills(vq, test)
independent = code_nats(codes, frequencies)
vq_bound = (image_nats + page_nats).mean().item()
iid_bound = (image_nats + independent).mean().item()

iid_codes = torch.multinomial(
    frequencies, judged * 49, replacement=True, generator=generator
)
iid_drawn = decode(vq, iid_codes.view(judged, 7, 7))
drawn = decode(vq, vq.prior.sample(judged, generator))
iid_frechet, frechet = (frechet_distance(real, features(x)) for x in (iid_drawn, drawn))
with record_table():
    record("vq_iid_bound_nll", iid_bound, unit="nats/image", kind="bound")
    record("vq_bound_nll", vq_bound, unit="nats/image", kind="bound")
    record("vq_iid_sample_frechet", iid_frechet, kind="score")
    record("vq_sample_frechet", frechet, kind="score")
assert vq_bound < iid_bound - 30 and frechet < iid_frechet / 3

# %% jupyter={"source_hidden": true} tags=["picture"]
images(
    torch.cat([iid_drawn[:20], drawn[:40]]),
    columns=10,
    rows=["independent\ncodes", "codes of\nthe prior", "more of\nthese"],
)
caption(
    "One decoder, two ways to write its codes. Independent codes give confetti; most pages of the prior are digits."
)

# %% [markdown]
# ## 7 · Two bills in one plane
#
# Put each model at the point (nats of the code, nats of the reconstruction). Its bound is the sum, so **models with equal bounds lie on a falling line**. More codes, or more places, move a model down and to the right: the images get better, and their pages dearer. Which way pays is not a matter of taste, the lines say it.
#
# The small models here are all trained alike, shortly and with a small prior, on a part of the images: four codebooks, at 7 × 7 or 4 × 4 places, and the rival. **Finite scalar quantization** (FSQ) has no codebook: squash each of $D$ numbers to an interval and round it to one of $L$ levels, straight through. With $4 \times 4$ levels there are 16 codes, evenly placed, none of which can die. The encoder has to do the arranging instead.

# %%
makers = {
    "K 4, 7 × 7": lambda: build(VectorQuantizer(4, dim), channels=16),
    "K 16, 7 × 7": lambda: build(VectorQuantizer(16, dim), channels=16),
    "K 64, 7 × 7": lambda: build(VectorQuantizer(64, dim), channels=16),
    "K 128, 4 × 4": lambda: build(VectorQuantizer(128, dim), halvings=3, channels=16),
    "FSQ 16, 7 × 7": lambda: build(FiniteScalarQuantizer((4, 4)), channels=16),
}
some = test[part[:2000]]
side_options = {"binarize": True, "epochs": 1, "batch_size": 32, "lr": 3e-3, "seed": seed}
side, plane = {}, {}
for name, make in makers.items():
    torch.manual_seed(seed)
    model = side[name] = make()
    model.fit(gray.x_train[:side_images], **side_options)
    model.fit_prior(gray.x_train[:side_images], clip=1.0, **side_options)
    reconstruction_of_it, page_of_it = bills(model, some)
    plane[name] = page_of_it.mean().item(), reconstruction_of_it.mean().item()
plane["this lesson's"] = page_nats.mean().item(), image_nats.mean().item()
with record_table():
    for key, name in zip(("k4", "k16", "k64", "4x4", "fsq"), makers, strict=True):
        record(f"side_bound_{key}", sum(plane[name]), unit="nats/image", kind="bound")
assert plane["K 64, 7 × 7"][1] < plane["K 4, 7 × 7"][1], "more codes, better images"
assert plane["K 64, 7 × 7"][0] > plane["K 4, 7 × 7"][0], "and dearer pages"
assert sum(plane["K 4, 7 × 7"]) < sum(plane["K 64, 7 × 7"]), "too dear here"

# %% [markdown]
# ### The encoder never saw the price
#
# The bound holds for *any* grid $c$: $-\log p(x) \le -\log p_\theta(x \mid c) - \log p(c)$. So replace the encoder's grid by a better one: go through the places, try the next nearest codes, and keep what lowers the **sum** of both bills. No weight changes. What is gained is what the encoder wasted, because its loss had no term for the code.


# %%
@torch.no_grad()
def search(model: VQVAE, x: Tensor, tries: int = 3) -> Tensor:
    """Codes (B, H, W) with a bound at least as good as the encoder's, by one sweep over the places."""
    codes = model.encode(x)
    z = model.encoder(x).movedim(1, -1).flatten(1, 2)  # (B, 49, D)
    near = torch.cdist(z, model.quantizer.codebook).argsort(2)  # (B, 49, K)
    best = model.elbo(x, codes)
    for place in range(z.shape[1]):
        for rank in range(tries + 1):
            trial = codes.clone()
            trial.flatten(1)[:, place] = near[:, place, rank]
            value = model.elbo(x, trial)
            better = value > best
            codes, best = (
                torch.where(better[:, None, None], trial, codes),
                best.maximum(value),
            )
    return codes


few = test[part[:searched]]
with torch.no_grad():
    before = vq.parts(few)
    after = vq.parts(few, search(vq, few))
own, found = (-(two.reconstruction + two.code) for two in (before, after))
gain = (own - found).mean().item()
spread = (own - found).std().item() / math.sqrt(searched)
interval = {"low": gain - 2 * spread, "high": gain + 2 * spread}
record("vq_search_gain", gain, unit="nats/image", kind="estimate", **interval)
assert (found <= own + 1e-3).all()
saved = [
    (two - one).mean().item()
    for one, two in (
        (before.code, after.code),
        (before.reconstruction, after.reconstruction),
    )
]

# %% jupyter={"source_hidden": true}
vae_bound, pixel_exact = (
    recorded(number)[key]["value"]
    for number, key in (("06", "vae_neg_elbo"), ("12", "pixelcnn_nll"))
)
figure, ax = plt.subplots(figsize=(8.4, 4.8))
for total in range(80, 221, 20):
    ax.plot([0, total], [total, 0], color="0.88", linewidth=1, zorder=0)
    ax.text(
        total - 24,
        24,
        total,
        color="0.55",
        fontsize=8,
        ha="center",
        va="center",
        rotation=-32,
    )
for name, total, style in (
    ("VAE, chapter 6", vae_bound, "--"),
    ("PixelCNN, chapter 12", pixel_exact, ":"),
):
    ax.plot([0, total], [total, 0], style, color="0.3", label=f"{name}: {total:.1f}")
for at, (name, (x_at, y_at)) in enumerate(plane.items()):
    ax.plot(
        x_at, y_at, "*" if at == len(plane) - 1 else "o", color=PALETTE[at], markersize=9
    )
    ax.annotate(
        f"{name}: {x_at + y_at:.0f}",
        (x_at, y_at),
        (8, 4),
        textcoords="offset points",
        fontsize=9,
    )
ax.plot(
    iid_bound - image_nats.mean(), image_nats.mean(), "X", color=PALETTE[5], markersize=8
)
ax.annotate(
    f"its codes, independent: {iid_bound:.0f}", (iid_bound - image_nats.mean(), image_nats.mean()), (8, 4),
    textcoords="offset points", fontsize=9,
)  # fmt: skip
x_at, y_at = plane["this lesson's"]
moved = (x_at - saved[0], y_at - saved[1])
ax.annotate("", moved, (x_at, y_at), arrowprops={"arrowstyle": "-|>", "color": "black"})
ax.set(
    xlim=(0, 215),
    ylim=(0, 15 + max(y_at for _, y_at in plane.values())),
    xlabel="code, nats/image",
    ylabel="reconstruction, nats/image",
)
ax.legend(loc="lower left", fontsize=9)
caption(
    "The two bills. Along a gray line the bound is the same, and lower left is better. The arrow is the search over "
    "codes, as far as it moved some test images. VAE and PixelCNN stand for their sums, so each is a line."
)

# %% [markdown]
# Compare within the plane first. A better prior moves a point to the left and changes nothing else: from independent codes to the PixelCNN's it is the largest step of this chapter. And the number of codes is a choice of the *sum*. From 4 to 64 codes the images get a little better and the pages much dearer: at equal training few codes win here, because the decoder looks at many places for each pixel and each place need not say much. FSQ has the same bill to pay; it is the simpler machine, and no promise of a better bound. The lesson's own model differs from the small one of the same size by longer training alone.
#
# Then look at the two lines. **The VQ-VAE loses on this measure, clearly**: the VAE of chapter 6 has a better bound, and the PixelCNN on pixels a better exact value. The reasons are those of section 2. A one-hot posterior pays the full code length; pixels that are independent given the codes pay for every ragged edge; and the encoder was not told the price. The search gets part of it back. The family is used for other reasons: its decoder runs once and not once a pixel, its pages are short, and any model of text can write them.
#
# ### The page as a compressed image
#
# A code of $-\log_2 p(c)$ bits is a compressed image, with loss. Beside it: the rounded codes of chapter 6's VAE and of PCA, as there, and what programs do. PNG and JPEG get all images on one large sheet, so that headers cost nothing.

# %%
from sklearn.decomposition import PCA

from utils.models.vae import mnist_vae

pixels = some.flatten(1)  # (2000, 784)
vae, pca = (
    mnist_vae(),
    PCA(32, random_state=seed).fit(binary.x_train[:10_000].flatten(1).numpy()),
)
mean, directions = torch.as_tensor(pca.mean_), torch.as_tensor(pca.components_)
with torch.no_grad():
    vae_codes, log_variance = vae.encode(pixels)
unit = (0.5 * log_variance).exp().mean(0)
coders = {
    "VAE": (vae_codes, unit, vae.decode),
    "PCA": ((pixels - mean) @ directions.T, 1.0, lambda z: mean + z @ directions),
}
curves = {name: [] for name in ("VQ-VAE", *coders, "JPEG")}
for name in ("K 4, 7 × 7", "K 64, 7 × 7", "K 16, 7 × 7"):
    error = (
        (decode(side[name], encode(side[name], some)) - some)
        .square()
        .flatten(1)
        .sum(1)
        .mean()
        .item()
    )
    curves["VQ-VAE"].append((plane[name][0] / math.log(2), error))
vq_bits = page_nats[part[:2000]].mean().item() / math.log(2)
vq_error = (rebuilt[part[:2000]] - some).square().flatten(1).sum(1).mean().item()
with torch.no_grad():
    for name, (code, width_of_one, back) in coders.items():
        for width in (0.5, 1.0, 2.0, 3.0, 4.0, 6.0):
            steps = (code / (width_of_one * width)).round()
            counted = [
                column.unique(return_counts=True)[1] / len(column) for column in steps.T
            ]
            bits = -sum((share * share.log2()).sum().item() for share in counted)
            error = (
                (back(steps * width_of_one * width) - pixels).square().sum(1).mean().item()
            )
            curves[name].append((bits, error))
sheet = some.view(40, 50, 28, 28).permute(0, 2, 1, 3).reshape(40 * 28, 50 * 28).numpy()
picture = Image.fromarray((255 * sheet).astype(np.uint8))


def stored(**options) -> tuple[float, float]:
    """Bits an image and squared error an image of the sheet in a file."""
    file = io.BytesIO()
    (picture.convert("1") if options["format"] == "PNG" else picture).save(file, **options)
    again = np.asarray(Image.open(file).convert("L")) / 255
    return 8 * len(file.getvalue()) / len(some), float(
        ((again - sheet) ** 2).sum() / len(some)
    )


curves["JPEG"] = [stored(format="JPEG", quality=quality) for quality in (1, 5, 10, 20, 40)]
png_bits, png_error = stored(format="PNG", optimize=True)
vae_error = np.interp(vq_bits, *np.array(sorted(curves["VAE"])).T).item()
with record_table():
    record("bits_vq", vq_bits, unit="bits/image", kind="exact")
    record("error_vq", vq_error, unit="squared error/image", kind="score")
    record("error_vae_at_these_bits", vae_error, unit="squared error/image", kind="score")
    record("bits_png", png_bits, unit="bits/image", kind="exact")
    record("bits_vq_lossless", vq_bound / math.log(2), unit="bits/image", kind="bound")
assert png_error == 0 and vq_error < 1.15 * vae_error

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.6, 3.4))
for (name, curve), marker in zip(curves.items(), "ovsD", strict=True):
    ax.plot(
        *np.array(sorted(curve)).T,
        marker=marker,
        label=name,
        linestyle="" if name == "VQ-VAE" else "-",
    )
ax.plot(
    vq_bits, vq_error, "*", color=PALETTE[0], markersize=14, label="VQ-VAE, this lesson's"
)
ax.axvline(png_bits, color="0.5", linestyle="--", label="PNG, without error")
ax.set(xlabel="bits/image", ylabel="squared error/image", xlim=(0, 620), ylim=(0, 60))
ax.legend(fontsize=8)
caption("Bits kept and error made, of the same test images; lower left is better.")

# %% [markdown]
# At its length the page of this lesson is about as good as the VAE's rounded code, and better than PCA's, though none of its losses was the squared error. Programs for photographs are at home elsewhere: on such small black-and-white images JPEG is beaten by PNG, which makes no error at all.

# %% [markdown]
# ## 8 · Where it fails
#
# ### A codebook that collapses
#
# Without revival, a prototype that lost the race in the first steps stays where it is for ever, while the encoder's outputs move away. We train the same model with 64 codes twice, with the switch `revive` off and on. **Count the codes over a data set.** A batch is misleading both ways: few images cannot use all codes, however healthy the codebook is.

# %%
usage = {}
for name, revive_every in (("without_revival", None), ("with_revival", 20)):
    torch.manual_seed(seed)
    model = build(VectorQuantizer(64, dim, revive=revive_every), channels=4)
    model.fit(gray.x_train[: side_images // 2], **side_options)
    counted = torch.bincount(encode(model, some).flatten(), minlength=64)
    usage[name] = counted.sort(descending=True).values / counted.sum()
    few_used = encode(model, some[:4]).unique().numel() / 64
    with record_table(name.replace("_", " ")):
        record(
            f"used_{name}",
            (counted > 0).double().mean().item(),
            unit="share of codes",
            kind="score",
        )
        record(f"used_{name}_four_images", few_used, unit="share of codes", kind="score")
        mean_nats = bernoulli_nats(some, decode(model, encode(model, some))).mean().item()
        record(f"reconstruction_{name}", mean_nats, unit="nats/image", kind="exact")
assert (usage["without_revival"] > 0).sum() < 0.8 * (usage["with_revival"] > 0).sum()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.6), sharey=True)
for ax, (name, values), color in zip(axes, usage.items(), PALETTE, strict=False):
    ax.bar(range(64), values, color=color)
    ax.set(
        title=name.replace("_", " "), xlabel="code, by use", yscale="log", ylim=(1e-5, 1)
    )
axes[0].set(ylabel="share of places")
caption(
    "How often each of 64 codes is used on 2,000 test images. Without revival many are never used."
)

# %% [markdown]
# ### Codes of one draw
#
# Pixels that are drawn anew have codes that are drawn anew. Whoever computes the codes of the training images once, and trains the prior on this list, shows it the same pages again and again. A few hundred images make it plain: the prior of the frozen list learns it by heart.

# %%
hundreds = gray.x_train[:200]
frozen = encode(vq, binarize(hundreds, generator))
overfit = {"epochs": 60, "batch_size": 50, "lr": 5e-3, "seed": seed}
twins = {}
for name in ("frozen", "redrawn"):
    torch.manual_seed(seed)
    twin = VQVAE(vq.encoder, vq.decoder, vq.quantizer, CodePrior(n_codes, (7, 7), 16, 2))
    if name == "frozen":
        twin.prior.fit(frozen, **overfit)
    else:
        twin.fit_prior(hundreds, binarize=True, **overfit)
    with torch.no_grad():
        twins[name] = [
            -twin.prior.log_prob(c).mean().item() for c in (frozen, codes[part[:2000]])
        ]
with record_table():
    for name, (seen, unseen) in twins.items():
        record(f"code_nats_{name}_training", seen, unit="nats/image", kind="exact")
        record(f"code_nats_{name}_test", unseen, unit="nats/image", kind="exact")
assert twins["frozen"][0] < twins["redrawn"][0] and twins["frozen"][1] > twins["redrawn"][1]

# %% [markdown]
# On the list itself the frozen prior looks better, on test images it is worse. The remedy costs one run of the encoder a batch.
#
# ### What stays wrong
#
# The bound is not the likelihood, and here its gap is unknown: a sum over $16^{49}$ grids cannot be done. Samples go wrong where a page does: a stroke that begins as a 4 and ends as a 9 is a mistake of the prior, which the decoder draws faithfully. And both stages are trained apart, each with its own loss, so neither knows what it costs the other.

# %% [markdown]
# ## 9 · What this family is good and bad at

# %%
from utils.families import families

families("07")

# %% [markdown]
# ## 10 · Remember
#
# 1. Vector quantization is k-means on the way: each vector becomes the number of its nearest prototype, and prototypes follow the mean of their vectors.
# 2. No gradient passes a choice. The straight-through estimator pretends that one does; the commitment keeps the pretense small.
# 3. A one-hot posterior pays the full length of its code: $-\log p(x) \le -\log p_\theta(x \mid c) - \log p(c)$ for any grid $c$, and the gap is $-\log p(c \mid x)$.
# 4. Report the sum of both bills. Reconstruction alone says nothing about a model of images, and independent codes draw confetti.
# 5. Count used codes over a data set; revive dead ones, or use FSQ. Draw codes anew when the pixels are.
#
# **Exercises**: `course start 07`, then open `work/07_vector_quantization/exercises.ipynb`. You write each part of the quantizer yourself, derive the bound, quantize the rest again (residual quantization), search for cheaper codes, and, as a challenge, compress images to a budget of bits.
#
# **Further reading**
# - A. van den Oord, O. Vinyals, K. Kavukcuoglu: *Neural discrete representation learning*, 2017, arXiv:1711.00937: the VQ-VAE, and moving averages in its appendix.
# - Y. Bengio, N. Léonard, A. Courville: *Estimating or propagating gradients through stochastic neurons for conditional computation*, 2013, arXiv:1308.3432: straight through.
# - A. Razavi, A. van den Oord, O. Vinyals: *Generating diverse high-fidelity images with VQ-VAE-2*, 2019, arXiv:1906.00446: two grids.
# - P. Esser, R. Rombach, B. Ommer: *Taming transformers for high-resolution image synthesis*, 2020, arXiv:2012.09841: a transformer as the prior.
# - F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen: *Finite scalar quantization: VQ-VAE made simple*, 2023, arXiv:2309.15505.
# - A. van den Oord and others: *Conditional image generation with PixelCNN decoders*, 2016, arXiv:1606.05328: our prior.
