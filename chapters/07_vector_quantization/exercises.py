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
# # Exercises 7: Vector quantization: codes and a learned prior
#
# You will replace vectors by the nearest of a few codes, let a gradient pass where there is none, make the codes follow
# what they stand for, say what a description by codes costs in nats, and describe digits with sixteen bits.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`, codes are whole
# numbers (`int64`); `B` is the number of images, `N` of vectors, `D` their length, `K` the number of codes. Every exercise
# stands alone: if you are stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.checks import check
from utils.data import load
from utils.plots import caption, images


# %% [markdown]
# ## 7.1 The nearest code (core)
#
# An encoder gives a vector for each place of a grid. Vector quantization replaces it by the nearest vector of a **codebook**
# $e_1, \dots, e_K$, and keeps only its number:
#
# $$c = \operatorname*{argmin}_k \lVert z - e_k \rVert^2 .$$
#
# Where two codes are equally near, take the one with the smaller number. Distances are computed fast as
# $\lVert z \rVert^2 - 2\, z^\top e_k + \lVert e_k \rVert^2$, but far from the origin these are differences of large numbers,
# and all digits are lost. `torch.cdist` does the same for more than 25 rows. Subtract first, or move the origin to the codes.
#
# `z` is `(B, D, H, W)`: the vector of a place lies along axis 1. `codebook` is `(K, D)`; return the numbers, `(B, H, W)`.


# %% exercise={"id": "vq.nearest_code", "tier": "core", "minutes": 10, "points": 2}
# vq.nearest_code · core · 10 minutes · 2 points
def nearest_code(z: Tensor, codebook: Tensor) -> Tensor:
    """argmin_k ‖z − e_k‖² at each place: (B, D, H, W) and (K, D) -> (B, H, W)."""
    raise NotImplementedError("vq.nearest_code")


# %% tags=["nbval-check-output"]
check("vq.nearest_code", nearest_code)


# %% [markdown]
# When your check has passed, call `show_cells(nearest_code)` and compare with the picture below the code.


# %%
def show_cells(nearest_code: Callable, n_codes: int = 14) -> None:
    """Color each point of the plane by its nearest code."""
    generator = torch.Generator().manual_seed(3)
    codebook = 2 * torch.rand(n_codes, 2, generator=generator, dtype=torch.float64) - 1
    line = torch.linspace(-1.2, 1.2, 241, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    codes = nearest_code(torch.stack([x, y])[None], codebook)[0]
    _, axes = plt.subplots(figsize=(3.6, 3.6))
    box = (-1.2, 1.2, -1.2, 1.2)
    axes.imshow(codes, origin="lower", extent=box, cmap="Pastel1", alpha=0.9)
    axes.contour(x, y, codes, levels=torch.arange(n_codes) + 0.5, colors="white")
    axes.plot(*codebook.T, "k.")
    axes.set_title("Who is near which code")
    caption("Each code owns a cell with straight sides: these points are described by it.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Each code owns a cell with straight sides: these points are described by it.](attachment:target.png)
#
# *Each code owns a cell with straight sides: these points are described by it.*

# %% [markdown]
# ## 7.2 Straight through (core)
#
# The decoder gets the code's vector $e$ in the place of the encoder's output $z$. Moving $z$ a little does not change which
# code is the nearest, so the true gradient of $z$ is 0, and the encoder would learn nothing. The **straight-through** estimate
# pretends that quantization is the identity: going forward, the value is $e$; going backward, $z$ gets the gradient that
# arrives at the result, unchanged. The codes get none of it: they learn by losses of their own.
#
# `z` and `chosen` (the vector of each row's code) are `(N, D)`; return `(N, D)`.


# %% exercise={"id": "vq.straight_through", "tier": "core", "minutes": 8, "points": 1}
# vq.straight_through · core · 8 minutes · 1 point
def straight_through(z: Tensor, chosen: Tensor) -> Tensor:
    """The value of `chosen`, with the gradient of z: (N, D) and (N, D) -> (N, D)."""
    raise NotImplementedError("vq.straight_through")


# %% tags=["nbval-check-output"]
check("vq.straight_through", straight_through)


# %% [markdown]
# ## 7.3 Two losses, one distance (core)
#
# Codes and encoder must meet, and each side gets its own loss. With $\operatorname{sg}$ for "stop the gradient here",
#
# $$\ell = \underbrace{\lVert \operatorname{sg}(z) - e \rVert^2}_{\text{moves the code}}
# \;+\; \beta \, \underbrace{\lVert z - \operatorname{sg}(e) \rVert^2}_{\text{commits the encoder}} .$$
#
# Both are the same number; they differ in who moves. With $\beta < 1$ the codes do most of the walking.
#
# `z` and `chosen` are `(N, D)`, `commitment` is the number $\beta$. Return one number: $\ell$ with its squares **summed** over
# the $D$ entries and **averaged** over the $N$ vectors.


# %% exercise={"id": "vq.quantizer_loss", "tier": "core", "minutes": 12, "points": 2}
# vq.quantizer_loss · core · 12 minutes · 2 points
def quantizer_loss(z: Tensor, chosen: Tensor, commitment: float) -> Tensor:
    """Codebook loss and β times commitment loss: (N, D) and (N, D) -> one number."""
    raise NotImplementedError("vq.quantizer_loss")


# %% tags=["nbval-check-output"]
check("vq.quantizer_loss", quantizer_loss)


# %% [markdown]
# ## 7.4 The codebook as a moving average (core)
#
# The codebook loss pulls each code to the vectors that chose it. The best place is known: their mean, as in k-means. With
# batches, keep moving averages of how many vectors chose code $k$, $n_k$ in this batch, and of their sum:
#
# $$N_k \leftarrow \lambda N_k + (1 - \lambda)\, n_k, \qquad
# S_k \leftarrow \lambda S_k + (1 - \lambda) \sum_{i:\, c_i = k} z_i .$$
#
# The code is the mean, $S_k / N_k$. For a code that nobody chooses, both fade alike and their quotient stays where it is, but
# for one that never was chosen it is 0/0. **Laplace smoothing** lends each code a little, and keeps the total
# $n = \sum_k N_k$:
#
# $$\tilde N_k = n \, \frac{N_k + \varepsilon}{n + K \varepsilon}, \qquad e_k = S_k / \tilde N_k .$$
#
# Now $\tilde N_k$ does not fade below a little, while $S_k$ does: a code that nobody chooses drifts to the origin. (The
# lesson's `VectorQuantizer` does not smooth: there, a code with an $N_k$ of almost 0 stays where it is.)
#
# `z` is `(N, D)`, `codes` `(N,)` holds the $c_i$; `counts` $N_k$ is `(K,)`, `sums` $S_k$ is `(K, D)`; `decay` is $\lambda$,
# `epsilon` $\varepsilon$. Return the new counts (not smoothed), the new sums and the codebook, `(K, D)`. A code that nobody
# chose counts with 0.


# %% exercise={"id": "vq.ema_update", "tier": "core", "minutes": 15, "points": 2}
# vq.ema_update · core · 15 minutes · 2 points
def ema_update(
    z: Tensor, codes: Tensor, counts: Tensor, sums: Tensor, decay: float, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """New counts (K,), new sums (K, D), and the codebook (K, D)."""
    raise NotImplementedError("vq.ema_update")


# %% tags=["nbval-check-output"]
check("vq.ema_update", ema_update)


# %% [markdown]
# When your check has passed, call `show_walk(ema_update, nearest_code)`: six codes that start in one corner.


# %%
def show_walk(ema_update: Callable, nearest_code: Callable, n_steps: int = 60) -> None:
    """Draw how codes follow the vectors that choose them."""
    generator = torch.Generator().manual_seed(0)
    angle = 2 * math.pi * torch.arange(6, dtype=torch.float64) / 6
    centers = torch.stack([angle.cos(), angle.sin()], 1)  # (6, 2)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def batch(n: int) -> Tensor:
        return centers[torch.randint(6, (n,), generator=generator)] + 0.12 * normal(n, 2)

    counts, codebook = torch.ones(6, dtype=torch.float64), 0.3 * normal(6, 2)
    sums, path = codebook.clone(), [codebook]
    for _ in range(n_steps):
        z = batch(64)
        codes = nearest_code(z[:, :, None, None], codebook).flatten()
        counts, sums, codebook = ema_update(z, codes, counts, sums, 0.8, 1e-3)
        path.append(codebook)
    _, axes = plt.subplots(figsize=(4.8, 3.6))
    axes.plot(*batch(600).T, ".", color="0.8", markersize=3)
    axes.plot(*torch.stack(path).permute(2, 0, 1), "-", linewidth=1)
    axes.plot(*path[0].T, "k.", label="start")
    axes.plot(*path[-1].T, "k*", markersize=10, label="end")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_title("Codes on their way")
    caption(
        "Four codes reach a cluster; one ends between two, and one in the middle is chosen by nobody: it is dead."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Four codes reach a cluster; one ends between two, and one in the middle is chosen by nobody: it is dead.](attachment:target.png)
#
# *Four codes reach a cluster; one ends between two, and one in the middle is chosen by nobody: it is dead.*

# %% [markdown]
# ## 7.5 How many codes are in use? (core)
#
# Of $K$ codes some may never be chosen. Two numbers tell: the **share** of codes that occur at all, and the **perplexity**,
#
# $$\exp\Bigl(-\sum_k p_k \log p_k\Bigr), \qquad p_k = \text{the share of code } k \text{ among all that were chosen},$$
#
# which is $K$ if all are equally frequent, and 1 if there is only one. Both are of a **data set**. A batch of 64 vectors can
# use 64 codes at most, so a number of one batch says nothing about 512, and the mean over batches is no better. Count over
# all batches first. A code that never occurs adds 0 to the sum.
#
# `batches` is a list of tensors of codes, of any shapes; `n_codes` is $K$. Return the share and the perplexity.


# %% exercise={"id": "vq.usage", "tier": "core", "minutes": 10, "points": 1}
# vq.usage · core · 10 minutes · 1 point
def usage(batches: list[Tensor], n_codes: int) -> tuple[Tensor, Tensor]:
    """The share of codes that occur, and the perplexity of all codes together: two numbers."""
    raise NotImplementedError("vq.usage")


# %% tags=["nbval-check-output"]
check("vq.usage", usage)


# %% [markdown]
# ## 7.6 What a description by codes costs: derivation and code (core)
#
# A trained model of this kind is a latent variable model. Its latent is the whole grid of codes $c$, with a learned prior
# $p(c)$, and the decoder gives $p(x \mid c)$. So
#
# $$p(x) = \sum_c p(x \mid c)\, p(c),$$
#
# a sum over $K^{HW}$ grids that nobody can compute. The encoder names one grid, $c(x)$.
#
# **Derive** (a) $\log p(x) \ge \log p(x \mid c) + \log p(c)$ for **any** grid $c$. (b) Show that this is the ELBO of chapter 6
# for the posterior $q$ that puts all its mass on $c$: what is its entropy? (c) How large is the gap,
# $\log p(x) - \log p(x \mid c) - \log p(c)$? Write it with $p(c \mid x)$, and say when it is 0. Write your derivation in the
# cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**, for images of zeros and ones. The decoder gives a logit for each pixel: with $\sigma(a) = 1/(1 + e^{-a})$, a
# pixel is 1 with probability $\sigma(a)$. The prior gives $K$ logits for each place of the grid, made of the codes before it,
# so that $\log p(c)$ is the sum over the places of the log-probability of the code that stands there (its softmax).
#
# `x` and `pixel_logits` are `(B, H, W)`; `codes` is `(B, h, w)`, `code_logits` is `(B, K, h, w)`. Return the bound
# $\log p(x \mid c) + \log p(c)$ of each image in nats, `(B,)`: higher is better. Logits may be large.


# %% exercise={"id": "vq.one_hot_bound", "tier": "core", "minutes": 20, "points": 3}
# vq.one_hot_bound · core · 20 minutes · 3 points
def one_hot_bound(
    x: Tensor, pixel_logits: Tensor, codes: Tensor, code_logits: Tensor
) -> Tensor:
    """log p(x | c) + log p(c) ≤ log p(x) of each image, in nats: (B,)."""
    raise NotImplementedError("vq.one_hot_bound")


# %% tags=["nbval-check-output"]
check("vq.one_hot_bound", one_hot_bound)


# %% [markdown]
# ## 7.7 Dead codes (extend)
#
# A code that no vector chooses learns nothing of the vectors: it stays, or with the smoothing of 7.4 drifts to the origin, and
# there, too, perhaps no vector will choose it. The remedy: now and then, set each **dead** code to a vector of the batch, so
# that this vector has a code at distance 0.
#
# A code is dead if its count is **below** `least`. Take the dead codes by number, smallest first: the first becomes the vector
# `z[order[0]]`, the second `z[order[1]]`, and so on; if `order` comes to its end, begin again at its start. `order` is a random
# order of the batch, given so that there is one right result. The count of a revived code becomes `least`, so that it is not
# dead again before it had a chance; all other codes and counts stay. (If there are more dead codes than vectors, some become
# the same vector, and of equals only the first is chosen. The lesson's `VectorQuantizer` gives them a fifth of the mean count.)
#
# `codebook` is `(K, D)`, `counts` `(K,)`, `z` `(N, D)`, `order` `(N,)`. Return the new codebook and the new counts.


# %% exercise={"id": "vq.revive", "tier": "extend", "minutes": 12, "points": 2}
# vq.revive · extend · 12 minutes · 2 points
def revive(
    codebook: Tensor, counts: Tensor, z: Tensor, order: Tensor, least: float
) -> tuple[Tensor, Tensor]:
    """Codebook (K, D) and counts (K,) in which no code is dead."""
    raise NotImplementedError("vq.revive")


# %% tags=["nbval-check-output"]
check("vq.revive", revive)


# %% [markdown]
# ## 7.8 Finite scalar quantization: no codebook (extend)
#
# The simple rival rounds. Each of $D$ numbers is squashed and rounded to one of $L_d$ levels:
#
# $$u_d = (L_d - 1)\, \sigma(z_d), \qquad \text{digit } q_d = \operatorname{round}(u_d), \qquad
# v_d = \frac{2 q_d}{L_d - 1} - 1 .$$
#
# The decoder gets the values $v$, from −1 to 1. The $\prod_d L_d$ combinations of digits are the codes, and each has a number
# in which the **first digit counts least**:
#
# $$c = q_1 + L_1 q_2 + L_1 L_2 q_3 + \dots$$
#
# Rounding has the gradient 0 almost everywhere. Let the gradient pass straight through the rounding, as in 7.2, and through
# nothing else: $\sigma$ keeps its own slope.
#
# `z` is `(N, D)`, its numbers may be large; `levels` is a list of $D$ whole numbers, each at least 2. Return the values `(N, D)`
# and the codes `(N,)`, `int64`, which may be larger than `float32` or `int32` can hold. Where $u_d$ lies exactly halfway
# between two levels, either is right.


# %% exercise={"id": "vq.fsq", "tier": "extend", "minutes": 20, "points": 3}
# vq.fsq · extend · 20 minutes · 3 points
def fsq(z: Tensor, levels: list[int]) -> tuple[Tensor, Tensor]:
    """Values from −1 to 1, (N, D), with a straight-through gradient, and codes (N,)."""
    raise NotImplementedError("vq.fsq")


# %% tags=["nbval-check-output"]
check("vq.fsq", fsq)


# %% [markdown]
# When your check has passed, call `show_levels(fsq)`.


# %%
def show_levels(fsq: Callable) -> None:
    """Draw the codes that points of the plane get from 5 and 4 levels, and the staircase of one number."""
    line = torch.linspace(-5, 5, 201, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    z = torch.stack([x, y], -1).reshape(-1, 2)
    _, codes = fsq(z, [5, 4])
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
    picture = left.imshow(codes.reshape(x.shape), origin="lower", extent=(-5, 5, -5, 5))
    left.figure.colorbar(picture, ax=left, label="code")
    left.set(title="5 × 4 levels", xlabel="$z_1$", ylabel="$z_2$")
    for n_levels in (2, 3, 6):
        right.plot(line, fsq(line[:, None], [n_levels])[0], label=f"{n_levels} levels")
    right.plot(line, 2 * line.sigmoid() - 1, ":", color="gray", label="not rounded")
    right.set(title="Values of one number", xlabel="$z$", ylabel="$v$")
    right.legend()
    caption(
        "Left: a grid of cells; the code grows by 1 to the right, by 5 upwards. Right: the staircases."
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Left: a grid of cells; the code grows by 1 to the right, by 5 upwards. Right: the staircases.](attachment:target.png)
#
# *Left: a grid of cells; the code grows by 1 to the right, by 5 upwards. Right: the staircases.*

# %% [markdown]
# ## 7.9 Residual quantization: code after code (extend)
#
# $K$ codes describe a vector with $\log_2 K$ bits. For more bits a codebook soon becomes too large: 32 bits would take four
# billion codes. **Residual quantization** describes in stages. The first codebook's nearest code is subtracted, the second
# codebook describes what is left, and so on:
#
# $$r_0 = z, \qquad c_s = \operatorname*{argmin}_k \lVert r_{s-1} - e^{(s)}_k \rVert^2, \qquad r_s = r_{s-1} - e^{(s)}_{c_s} .$$
#
# Of equally near codes, the first counts, as in 7.1. The description of $z$ is the sum of the chosen codes. Codecs for sound
# and speech work so: who has few bits left takes the first stages only.
#
# `z` is `(N, D)`, `codebooks` `(S, K, D)`. Return the codes `(N, S)` and the sum of the chosen codes, `(N, D)`.


# %% exercise={"id": "vq.residual", "tier": "extend", "minutes": 15, "points": 2}
# vq.residual · extend · 15 minutes · 2 points
def residual(z: Tensor, codebooks: Tensor) -> tuple[Tensor, Tensor]:
    """Codes of all stages (N, S), and what they say together (N, D)."""
    raise NotImplementedError("vq.residual")


# %% tags=["nbval-check-output"]
check("vq.residual", residual)

# %% [markdown]
# When your check has passed, call `show_stages(residual)`.

# %%
digits = load("digits").flat()


def k_means(x: Tensor, n_codes: int, generator: torch.Generator) -> Tensor:
    """A codebook (K, D): means of the rows that are nearest to each code, twenty times over."""
    codebook = x[torch.randperm(len(x), generator=generator)[:n_codes]].clone()
    for _ in range(20):
        nearest = torch.cdist(x, codebook).argmin(1)
        for k in nearest.unique().tolist():
            codebook[k] = x[nearest == k].mean(0)
    return codebook


def show_stages(residual: Callable, n_stages: int = 8, n_codes: int = 16) -> None:
    """Draw digits described by more and more stages, and the error against the bits."""
    generator = torch.Generator().manual_seed(0)
    x_train, x_test = digits.x_train.double(), digits.x_test.double()
    left, codebooks = x_train, []
    for _ in range(n_stages):
        codebooks.append(k_means(left, n_codes, generator))
        left = left - codebooks[-1][torch.cdist(left, codebooks[-1]).argmin(1)]
    stages = range(1, n_stages + 1)
    described = [residual(x_test, torch.stack(codebooks[:s]))[1] for s in stages]
    errors = [(x_test - given).square().sum(1).mean() for given in described]
    _, (left_axes, right_axes) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    left_axes.plot([4 * s for s in stages], errors, "o-")
    left_axes.set(xlabel="bits an image", ylabel="squared error", ylim=(0, None))
    shown = torch.cat([*(described[s - 1][:6] for s in (1, 2, 4, 8)), x_test[:6]])
    rows = ["4 bits", "8 bits", "16 bits", "32 bits", "original"]
    images(shown.clamp(0, 1).reshape(-1, 8, 8), columns=6, rows=rows, axes=right_axes)
    caption("Each stage of 16 codes adds 4 bits; the first ones say most.")


# %% [markdown]
# *This picture is what you are after:*
#
# ![Each stage of 16 codes adds 4 bits; the first ones say most.](attachment:target.png)
#
# *Each stage of 16 codes adds 4 bits; the first ones say most.*

# %% [markdown]
# ## 7.10 A better grid, without training (extend)
#
# The bound of 7.6 holds for **any** grid of codes, and the encoder's own is seldom the best one: it never saw what a grid
# costs under the prior. So search. Go through the places from first to last, and at each place through its alternatives: put
# the alternative in, and keep the new grid if its $\log p(x, c)$ is **higher** than that of the grid you have. Each image
# decides for itself.
#
# The grids that lost are not lost: $p(x)$ is a sum over **all** grids, so
#
# $$\log p(x) \ge \log \sum_{c \,\in\, \text{visited}} p(x, c),$$
#
# where each grid counts **once**, also if an alternative comes twice or is the code that stands there already.
#
# `log_joint(codes)` takes grids `(B, T)`, one for each image, and returns $\log p(x, c)$, `(B,)`. `codes` `(B, T)` is where you
# start, and is visited; `alternatives` `(B, T, M)` has $M$ codes to try at each place. At a place, all alternatives are tried
# in the grid as it is when the place begins, apart from the place itself. One sweep is asked. Each call of `log_joint` is
# expensive: $1 + TM$ are enough, and $B$ times as many are allowed. Return the best grids, `(B, T)`, and the logarithm of the
# sum, `(B,)`.


# %% exercise={"id": "vq.search", "tier": "extend", "minutes": 25, "points": 3}
# vq.search · extend · 25 minutes · 3 points
def search(
    log_joint: Callable[[Tensor], Tensor], codes: Tensor, alternatives: Tensor
) -> tuple[Tensor, Tensor]:
    """Grids (B, T) with a higher log p(x, c), and log Σ p(x, c) over all grids visited, (B,)."""
    raise NotImplementedError("vq.search")


# %% tags=["nbval-check-output"]
check("vq.search", search)

# %% [markdown]
# ## 7.11 Challenge: sixteen bits a digit
#
# Describe gray 8 × 8 digits with sixteen bits each: four codes of sixteen. The decoder is fixed, and it has no memory: it
# **adds up** one code of each of four codebooks, as in 7.9,
#
# $$\hat x = e^{(1)}_{c_1} + e^{(2)}_{c_2} + e^{(3)}_{c_3} + e^{(4)}_{c_4} .$$
#
# Your function gets training images `x_train`, `(1297, 64)`, values from 0 to 1, and returns two things: the `codebooks`,
# `(4, 16, 64)`, and a **function** `encode(x)` that takes images `(B, 64)` and returns their codes, `(B, 4)`, whole numbers
# from 0 to 15. The check turns and shifts each digit a little, those of `x_train`, too, so that none lies in `data/`: learn from
# `x_train` alone, `data/` may not be used. It asks for the codes of 500 new digits, some of them twice, and computes $\lVert \hat x - x \rVert^2$ from the codes alone, averaged over the images.
#
# The baseline is residual k-means: the codebooks of 7.9, one after another, each code the nearest of its stage. **Your error
# must be 6.5 % below it.** Two things are left on the table. The nearest code of a stage need not be the best one for the
# stages after it; and the four codebooks were never fitted *together*. But a least-squares fit of 4096 numbers to 1,297 images
# overfits: it wants a ridge, and more images, such as copies that are turned and shifted a little more. (Interpolation makes
# copies pale: give the contrast back.) Any other means are allowed, in up to 60 seconds; five are
# enough. The next cell shows what the baseline makes of the digits.

# %%
generator = torch.Generator().manual_seed(0)
x_test = digits.x_test.double()
left, left_of_test = digits.x_train.double(), x_test
for _ in range(4):
    codebook = k_means(left, 16, generator)
    left, left_of_test = (
        x - codebook[torch.cdist(x, codebook).argmin(1)] for x in (left, left_of_test)
    )
print(f"residual k-means: squared error {left_of_test.square().sum(1).mean():.3f}")

# %% jupyter={"source_hidden": true}
given = (x_test - left_of_test).clamp(0, 1)
rows = torch.cat([x_test[:14], given[:14]]).reshape(-1, 8, 8)
images(rows, columns=14, rows=["original", "16 bits"])
caption("Digits, and what the baseline makes of them with sixteen bits each.")


# %% exercise={"id": "vq.compress", "tier": "challenge", "minutes": 45, "points": 4}
# vq.compress · challenge · 45 minutes · 4 points
def train_codebooks(x_train: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Codebooks (4, 16, 64), and a function from images (B, 64) to their codes (B, 4)."""
    raise NotImplementedError("vq.compress")


# %%
check("vq.compress", train_codebooks)
