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
# # Exercises 13: Transformers: language, one token at a time
#
# You will cut text into tokens, build a transformer's attention with its heads and positions, choose the next token well,
# and let a model recall names that it has heard once, which no counting can.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Numbers are `float64`, tokens `int64`;
# `B` is the number of texts, `T` of tokens, `C` of channels, `H` of heads, `D` of channels a head, `V` of tokens in the
# vocabulary. Every exercise stands alone: if you are stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from utils.checks import check
from utils.languages import SYMBOLS, NameLanguage, text
from utils.plots import caption

# %% [markdown]
# ## 13.1 One merge of byte-pair encoding (core)
#
# A tokenizer starts from single characters and glues together, again and again, the two neighbors that stand side by side
# most often. "the" is soon one token; a rare name stays in pieces. You write one such step.
#
# - The text comes as its different `words`, each a list of token ids, with `counts`: how often each word occurs. A pair is
#   two neighbors **inside a word**; each place where a pair stands counts as often as its word occurs. Places may overlap:
#   in `[7, 7, 7]` the pair `(7, 7)` stands twice.
# - The pair with the highest count wins; of several, the **smallest**: first by its first id, then by its second.
# - In every word, the pair becomes the token `new`, **from left to right, without overlap**: `[7, 7, 7]` becomes `[new, 7]`.
#
# Return the pair, a tuple of two ids, and the new words, lists of ids in the order of `words`. At least one word has two tokens.


# %% exercise={"id": "lm.bpe_merge", "tier": "core", "minutes": 15, "points": 2}
def bpe_merge(
    words: list[list[int]], counts: list[int], new: int
) -> tuple[tuple[int, int], list[list[int]]]:
    """The commonest pair of neighbors, and the words in which it has become the token `new`."""
    ### BEGIN SOLUTION
    places = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            places[pair] += count
    best = max(places.values())
    pair = min(pair for pair, count in places.items() if count == best)
    merged = []
    for word in words:
        out = []
        for token in word:
            if out and (out[-1], token) == pair:
                out[-1] = new
            else:
                out.append(token)
        merged.append(out)
    return pair, merged
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.bpe_merge", bpe_merge)

# %% [markdown]
# When your check has passed, call `show_merges(bpe_merge)` and compare with the lines below the code: twelve merges of the
# names of rivers.

# %%
NAMES = """
amazon nile danube rhine rhone volga mississippi missouri colorado niger congo zambezi orinoco parana indus ganges
brahmaputra mekong yangtze amur lena ob yenisei tigris euphrates jordan loire seine garonne thames severn shannon
elbe oder vistula dnieper don ural tagus douro ebro tiber po arno murray darling yukon mackenzie columbia orange
limpopo senegal gambia volta uruguay paraguay irrawaddy salween red pearl ohio tennessee arkansas platte snake
"""
RIVERS = NAMES.split()


def show_merges(bpe_merge: Callable, merges: int = 12, shown: int = 5) -> None:
    """Print the first merges of the rivers' names, and some names in the tokens that come of them."""
    names = sorted(set("".join(RIVERS)))  # token id → the characters it stands for
    words = [[names.index(letter) for letter in word] for word in RIVERS]
    for _ in range(merges):
        (a, b), words = bpe_merge(words, [1] * len(words), len(names))
        names.append(names[a] + names[b])
    print("merges:", ", ".join(names[-merges:]))
    for word in words[:: len(words) // shown]:
        print("·".join(names[token] for token in word))


# %% tags=["solution"]
show_merges(bpe_merge)

# %% [markdown]
# ## 13.2 Bits per character: derivation and code (core)
#
# Two models are compared on the same text of $C$ characters. One reads it in $N$ tokens, the other cuts it otherwise. Papers
# report the **perplexity per token**,
#
# $$\mathrm{PPL} = \exp\Bigl(-\frac1N \sum_{i=1}^{N} \log p(w_i \mid w_{<i})\Bigr).$$
#
# The perplexities of two tokenizers cannot be compared. What can is the number of **bits per character**, which an ideal
# compressor that uses the model would spend:
#
# $$\mathrm{bpc} = \frac{-\log_2 p(w_1, \dots, w_N)}{C}.$$
#
# **Derive** (a) $\mathrm{bpc} = -\sum_i \log p(w_i \mid w_{<i}) \,/\, (C \ln 2)$; (b)
# $\mathrm{PPL} = 2^{\,\mathrm{bpc} \cdot C / N}$; (c) what happens to PPL and to bpc when each two neighboring tokens are
# written as one, and the text's probability stays the same; (d) why $2^{-\mathrm{bpc} \cdot C}$ is at most the probability
# that the model gives to the **text**, if the text can be cut into tokens in several ways.

# %% [markdown]
# *Your derivation:*

# %% [markdown] tags=["solution"]
# **Worked derivation.** (a) By the chain rule $\log p(w_1, \dots, w_N) = \sum_i \log p(w_i \mid w_{<i})$, and
# $\log_2 a = \log a / \ln 2$. Divide by $-C$.
#
# (b) The sum is $-\mathrm{bpc} \cdot C \ln 2$. In the definition of the perplexity,
# $\exp(\mathrm{bpc} \cdot C \ln 2 / N) = 2^{\,\mathrm{bpc} \cdot C / N}$: the perplexity grows exponentially with the
# number of characters a token, $C / N$, of which it says nothing.
#
# (c) The text's probability and $C$ are the same, so bpc is the same. $N$ is halved, so PPL is squared. A worse number, and
# nothing has become worse: a model with large tokens *looks* bad in PPL, and one that reads single characters looks
# splendid.
#
# (d) The model's probability of a text is the sum over all token sequences that spell it, and the sequence that the
# tokenizer makes is one of them:
# $p(\text{text}) = \sum_{w \text{ spells the text}} p(w) \ge p(w_1, \dots, w_N) = 2^{-\mathrm{bpc} \cdot C}$. So bpc
# is an **upper bound** of the bits that the model needs for the text.

# %% [markdown]
# Now **in code**, for a model that sees at most `window` tokens at a time. A text that is longer is read in windows that
# begin at 0, `stride`, 2 · `stride`, …; the last one is the first that reaches the end of the text, and may be shorter. Of
# each window only the tokens count that **no earlier window has counted**: so every token counts once, and all but the
# first ones know at least `window − stride` tokens before them.
#
# `model(w)` takes the tokens of one window, `(n,)` with `n ≤ window`, and returns $\log p$ of each of them in nats, `(n,)`,
# given those before it **in the window**. `tokens` is `(N,)`, `lengths` `(N,)` holds the number of characters of each token,
# `stride ≤ window`. Return the bits per character of the whole text, one number.


# %% exercise={"id": "lm.bits_per_character", "tier": "core", "minutes": 25, "points": 3}
def bits_per_character(
    model: Callable[[Tensor], Tensor],
    tokens: Tensor,
    lengths: Tensor,
    window: int,
    stride: int,
) -> Tensor:
    """−log₂ p of the text by sliding windows, divided by its characters: a number."""
    ### BEGIN SOLUTION
    nats, counted = 0.0, 0
    last = max(
        len(tokens) - window, 0
    )  # a window that begins here or later reaches the end
    for begin in range(0, last + stride, stride):
        log_p = model(tokens[begin : begin + window])
        nats = nats - log_p[counted - begin :].sum()
        counted = begin + len(log_p)
    return nats / (lengths.sum() * math.log(2))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.bits_per_character", bits_per_character)

# %% [markdown]
# ## 13.3 Scaled, masked attention (core)
#
# Each token asks a question, its **query**, and each offers a **key**; where they fit, the token hears more of what the other
# has to say, its **value**. Who listens to whom is a distribution over the tokens so far:
#
# $$y_t = \sum_{s \le t} a_{ts} \, v_s, \qquad
# a_{ts} = \frac{\exp(q_t \cdot k_s / \sqrt{D})}{\sum_{r \le t} \exp(q_t \cdot k_r / \sqrt{D})} .$$
#
# The dot product of two vectors of $D$ independent standard numbers has the variance $D$: without $\sqrt D$ the softmax would
# choose one token and learn nothing more. A token never hears a later one. Scores may be hundreds: the exponentials must not
# overflow.
#
# `q` and `k` are `(B, H, T, D)`, `v` is `(B, H, T, E)`: a value need not be as long as a key. Return $y$, `(B, H, T, E)`. Write
# it with matrix products and `softmax`: you will need the weights one day, to see what a head looks at.


# %% exercise={"id": "lm.attention", "tier": "core", "minutes": 15, "points": 2}
def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What each token hears from those up to itself: (B, H, T, D), (B, H, T, D), (B, H, T, E) -> (B, H, T, E)."""
    ### BEGIN SOLUTION
    scores = q @ k.mT / q.shape[-1] ** 0.5  # (B, H, T, T)
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ v
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.attention", attention)

# %% [markdown]
# ## 13.4 Many heads (core)
#
# One head listens for one thing. A layer has $H$ of them, each on its own part of the channels:
#
# 1. One matrix makes queries, keys and values: `x @ w_in.T` has $3HD$ channels, **first all queries, then all keys, then all
#    values**; within each of the three, first the $D$ channels of head 0, then those of head 1, and so on.
# 2. Each head attends, scaled and masked as in 13.3.
# 3. The heads' results stand side by side again, head 0 first, and a second matrix mixes them: `joined @ w_out.T`.
#
# `x` is `(B, T, C)`, `w_in` `(3HD, C)`, `w_out` `(C, HD)`, `n_heads` is $H$; $HD$ need not be $C$. Return `(B, T, C)`. Here
# `torch.nn.functional.scaled_dot_product_attention` is allowed: the point is which number belongs to which head.


# %% exercise={"id": "lm.multi_head", "tier": "core", "minutes": 15, "points": 2}
def multi_head(x: Tensor, w_in: Tensor, w_out: Tensor, n_heads: int) -> Tensor:
    """Causal attention with several heads: (B, T, C) -> (B, T, C)."""
    ### BEGIN SOLUTION
    n, length, _ = x.shape
    parts = (x @ w_in.T).reshape(n, length, 3, n_heads, -1)
    q, k, v = parts.permute(2, 0, 3, 1, 4)  # (B, H, T, D) each
    heard = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return heard.transpose(1, 2).flatten(2) @ w_out.T
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.multi_head", multi_head)

# %% [markdown]
# ## 13.5 Rotary positions (core)
#
# Attention by itself does not know in which order the tokens stand. Rotary positions tell it by turning each query and key:
# the channels are taken in pairs, each pair is a point of the plane, and a token at position $m$ turns it by $m$ times the
# pair's own angle. A dot product of two turned vectors then depends on **how far apart** they stand, and on nothing else.
#
# Here channel $i$ of the first half goes with channel $i + D/2$ (other books pair $2i$ with $2i + 1$: weights trained with
# one do not fit the other). With $\theta_i = \texttt{base}^{-2i/D}$ for $i = 0, \dots, D/2 - 1$,
#
# $$\begin{pmatrix} y_i \\ y_{i + D/2} \end{pmatrix} =
# \begin{pmatrix} \cos m\theta_i & -\sin m\theta_i \\ \sin m\theta_i & \cos m\theta_i \end{pmatrix}
# \begin{pmatrix} x_i \\ x_{i + D/2} \end{pmatrix}.$$
#
# `x` is `(B, H, T, D)` with an even $D$; `positions` `(T,)` holds the $m$ of each token, whole numbers that need not begin at
# 0. Return the turned `x`, `(B, H, T, D)`.


# %% exercise={"id": "lm.rotate", "tier": "core", "minutes": 15, "points": 2}
def rotate(x: Tensor, positions: Tensor, base: float) -> Tensor:
    """Each pair of channels turned by its angle times the position: (B, H, T, D) -> (B, H, T, D)."""
    ### BEGIN SOLUTION
    half = x.shape[-1] // 2
    theta = base ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = positions[:, None] * theta  # (T, D/2)
    first, second = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.rotate", rotate)

# %% [markdown]
# When your check has passed, call `show_rotation(rotate)`.


# %%
def show_rotation(rotate: Callable, dim: int = 64, length: int = 200) -> None:
    """Draw the score of one query with a key that has the same channels, by their distance."""
    ones = torch.ones(1, 1, length, dim, dtype=torch.float64)
    _, panels = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
    for axes, base in zip(panels, (10_000.0, 100.0), strict=True):
        for start in (0, 1000):
            turned = rotate(ones, start + torch.arange(length), base)
            scores = (turned[0, 0, 0] * turned[0, 0]).sum(-1) / dim
            axes.plot(scores, "-" if start == 0 else ":", lw=2, label=f"query at {start}")
        axes.set(title=f"base {base:,.0f}", xlabel="distance of the key")
    panels[0].set_ylabel("score / D")
    panels[0].legend()
    caption(
        "The score falls with the distance, in waves, and is the same wherever the query stands."
    )


# %% tags=["solution"]
show_rotation(rotate)

# %% [markdown]
# ## 13.6 The nucleus (core)
#
# A model that has learned well still gives each of ten thousand absurd tokens a little probability; draw often, and you get
# one. **Nucleus sampling** cuts them off: it keeps the smallest set of likeliest tokens whose probabilities sum to at least
# $P$. A sure model keeps one or two, an unsure one many.
#
# 1. Divide the logits by the temperature, then take the softmax.
# 2. Sort the tokens, likeliest first; of equal ones, the one with the smaller id first.
# 3. Keep the fewest tokens, from the first on, whose probabilities sum to $P$ **or more**.
# 4. Set all others to 0 and normalize what is left.
#
# `logits` is `(B, V)`, some as large as 900 or as small as −900; `temperature` is a positive number, `mass` is $P$, with
# $0 < P \le 1$: at least one token stays. Return the probabilities, `(B, V)`, in the order of the vocabulary.


# %% exercise={"id": "lm.nucleus", "tier": "core", "minutes": 15, "points": 2}
def nucleus(logits: Tensor, temperature: float, mass: float) -> Tensor:
    """Probabilities of the smallest likely set with this mass, all others 0: (B, V) -> (B, V)."""
    ### BEGIN SOLUTION
    p = (logits / temperature).softmax(-1)
    ordered, token = p.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered  # the mass of those that are likelier
    ordered = torch.where(before < mass, ordered, 0.0)
    kept = p.scatter(-1, token, ordered)
    return kept / kept.sum(-1, keepdim=True)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.nucleus", nucleus)

# %% [markdown]
# When your check has passed, call `show_nucleus(nucleus)`.


# %%
def show_nucleus(nucleus: Callable) -> None:
    """Draw what the nucleus keeps of a sure and of an unsure prediction, at two temperatures."""
    rank = torch.arange(12, dtype=torch.float64)
    predictions = torch.stack([-0.9 * rank, -0.15 * rank])
    _, panels = plt.subplots(2, 2, figsize=(9, 4.2), sharex=True, sharey="row")
    for row, (axes_row, name) in enumerate(zip(panels, ("sure", "unsure"), strict=True)):
        for axes, temperature in zip(axes_row, (1.0, 0.5), strict=True):
            plain = (predictions[row] / temperature).softmax(-1)
            kept = nucleus(predictions[row : row + 1], temperature, 0.8)[0]
            axes.bar(rank - 0.2, plain, width=0.4, color="0.75", label="softmax")
            axes.bar(rank + 0.2, kept, width=0.4, label="nucleus 0.8")
            axes.set_title(f"{name}, temperature {temperature}")
    for axes in panels[1]:
        axes.set_xlabel("token, likeliest first")
    for axes in panels[:, 0]:
        axes.set_ylabel("probability")
    panels[0, 0].legend()
    caption(
        "Two tokens stay where the model is sure, many where it is not; a low temperature leaves fewer."
    )


# %% tags=["solution"]
show_nucleus(nucleus)

# %% [markdown]
# ## 13.7 Kneser–Ney: counting well (extend)
#
# How likely is token $w$ after $v$? Count. But most pairs never occur. **Kneser–Ney** takes a little, $d$, from the count of each
# pair that does, and gives what it saved to all tokens, in proportion to how many **different** tokens each has followed, not
# to how often it occurs: "Francisco" is frequent, but follows "San" alone, so it is no good guess after an unknown word.
#
# With $c(v, w)$ the number of places where $w$ follows $v$, and $N$ for a number of *different* pairs with $c > 0$,
#
# $$p(w \mid v) = \frac{\max(c(v, w) - d, 0)}{c(v, \cdot)} + \frac{d \, N(v, \cdot)}{c(v, \cdot)} \; p(w), \qquad
# p(w) = \frac{\max(N(\cdot, w) - d, 0)}{N(\cdot, \cdot)} + \frac{d \; |\{w' : N(\cdot, w') > 0\}|}{N(\cdot, \cdot)} \cdot \frac1V .$$
#
# $c(v, \cdot)$ sums over $w$; $N(v, \cdot)$ is how many different tokens follow $v$, $N(\cdot, w)$ how many different tokens
# $w$ follows, $N(\cdot, \cdot)$ how many different pairs there are. Where nothing has ever followed $v$, $p(w \mid v) = p(w)$.
#
# `tokens` `(N,)` is one text, `size` is $V$, `discount` is $d$, with $0 < d < 1$. Return the matrix with $p(w \mid v)$ in row $v$
# and column $w$, `(V, V)`: all entries are positive, each row sums to 1.


# %% exercise={"id": "lm.kneser_ney", "tier": "extend", "minutes": 25, "points": 3}
def kneser_ney(tokens: Tensor, size: int, discount: float) -> Tensor:
    """p(w | v) of interpolated Kneser–Ney on pairs: (N,) -> (V, V)."""
    ### BEGIN SOLUTION
    pair = size * tokens[:-1] + tokens[1:]
    count = torch.bincount(pair, minlength=size**2).reshape(size, size).double()
    kinds = (count > 0).double()

    def interpolated(c: Tensor, lower: Tensor) -> Tensor:
        saved = discount * (c > 0).sum(-1, keepdim=True)
        share = ((c - discount).clamp(min=0) + saved * lower) / c.sum(-1, keepdim=True)
        return torch.where(c.sum(-1, keepdim=True) > 0, share, lower)

    uniform = torch.ones_like(count[0]) / size
    return interpolated(count, interpolated(kinds.sum(0), uniform))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.kneser_ney", kneser_ney)

# %% [markdown]
# When your check has passed, call `show_rivers(kneser_ney)`: which letter follows which in the names of rivers, and names that
# nobody has given to a river: a pair knows one letter, and one sees it.


# %%
def show_rivers(kneser_ney: Callable) -> None:
    """Draw p(next letter | letter) of the rivers' names with two discounts, and print drawn names."""
    symbols = " " + "".join(sorted(set("".join(RIVERS))))
    tokens = torch.tensor([symbols.index(s) for s in " ".join(["", *RIVERS, ""])])
    _, panels = plt.subplots(1, 2, figsize=(9, 4.2))
    for axes, discount in zip(panels, (0.05, 0.75), strict=True):
        p = kneser_ney(tokens, len(symbols), discount)
        names, token, generator = "", 0, torch.Generator().manual_seed(3)
        while names.count(" ") < 8:
            token = int(torch.multinomial(p[token], 1, generator=generator))
            names += symbols[token]
        print(f"discount {discount}:", ", ".join(names.split()))
        axes.imshow(p.sqrt(), cmap="gray_r", vmin=0, vmax=1)
        ticks = range(len(symbols))
        axes.set_xticks(ticks, symbols.replace(" ", "_"), fontsize=7)
        axes.set_yticks(ticks, symbols.replace(" ", "_"), fontsize=7)
        axes.set(title=f"discount {discount}", xlabel="next letter", ylabel="letter")
    caption(
        "Darker is likelier (square root). A large discount fills the gaps, most in columns of letters that follow many."
    )


# %% tags=["solution"]
show_rivers(kneser_ney)

# %% [markdown]
# ## 13.8 One step with a cache (extend)
#
# When a model writes, nothing that it has written changes: keys and values of earlier tokens are the same at each step. A
# **cache** keeps them. A step then costs one query against the tokens so far, not all against all.
#
# The new token comes with its query, key and value, one for each head, `q`, `k`, `v`, each `(B, H, D)`. The cache holds
# `keys` and `values`, `(B, H, t, D)`, of the $t$ tokens before; at the first step $t = 0$. Positions are rotary, and **the cache
# holds keys that are already turned**. `rotate(x, positions)` turns `x`, `(B, H, T, D)`, as in 13.5; `positions` is `(T,)`. The
# new token stands at position $t$.
#
# Return what the new token hears (scaled as in 13.3), `(B, H, D)`, and the longer cache: `keys` and `values`,
# `(B, H, t + 1, D)`. The check takes several steps and compares with attention over the whole text at once.


# %% exercise={"id": "lm.cached_step", "tier": "extend", "minutes": 20, "points": 3}
def cached_step(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keys: Tensor,
    values: Tensor,
    rotate: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """What one new token hears, and the cache with its key and value: (B, H, D), twice (B, H, t + 1, D)."""
    ### BEGIN SOLUTION
    position = torch.tensor([keys.shape[2]])
    q, k = rotate(q[:, :, None], position), rotate(k[:, :, None], position)
    keys = torch.cat([keys, k], 2)
    values = torch.cat([values, v[:, :, None]], 2)
    scores = q @ keys.mT / q.shape[-1] ** 0.5  # (B, H, 1, t + 1)
    return (scores.softmax(-1) @ values)[:, :, 0], keys, values
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.cached_step", cached_step)

# %% [markdown]
# ## 13.9 Speculative sampling (extend)
#
# A large model is slow because it writes token by token; reading many tokens at once costs it hardly more. So a small model
# **drafts**, and the large one checks. A token $x$ that was drawn from the draft's $q$ is accepted with a probability $a(x)$;
# if it is refused, another one is drawn from a residual distribution $r$. With
#
# $$a(x) = \min\Bigl(1, \frac{p(x)}{q(x)}\Bigr), \qquad r(x) = \frac{\max(p(x) - q(x), 0)}{\sum_y \max(p(y) - q(y), 0)},$$
#
# what comes out is distributed as $p$, **exactly**: $q(x) \, a(x) + (1 - \sum_y q(y) a(y)) \, r(x) = p(x)$. The draft decides
# the speed, never the text. The check enumerates this law.
#
# `p` and `q` are `(B, V)`, each row a distribution; entries may be 0. Where $q(x) = 0$, $x$ is never drafted: return $a(x) = 1$.
# Where $p = q$ in a whole row, nothing is ever refused: return $r = p$ there. Return $a$ and $r$, both `(B, V)`.


# %% exercise={"id": "lm.speculative", "tier": "extend", "minutes": 15, "points": 2}
def speculative(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of accepting each drafted token, and the law of what replaces a refused one: (B, V) each."""
    ### BEGIN SOLUTION
    accept = torch.where(p < q, p / q, 1.0)
    excess = (p - q).clamp(min=0)
    total = excess.sum(-1, keepdim=True)
    return accept, torch.where(total > 0, excess / total, p)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.speculative", speculative)

# %% [markdown]
# When your check has passed, call `show_speculation(speculative)`.


# %%
def show_speculation(speculative: Callable) -> None:
    """Draw draft, target, what is accepted and what replaces the rest."""
    token = torch.arange(10, dtype=torch.float64)
    p = (-0.5 * (token - 3).square() / 2).softmax(-1)
    q = (-0.5 * (token - 4.5).square() / 4).softmax(-1)
    accept, residual = (part[0] for part in speculative(p[None], q[None]))
    kept = q * accept
    replaced = (1 - kept.sum()) * residual
    _, panels = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
    panels[0].bar(token - 0.2, q, width=0.4, label="draft q")
    panels[0].bar(token + 0.2, p, width=0.4, label="target p")
    panels[1].bar(token, kept, label="accepted")
    panels[1].bar(token, replaced, bottom=kept, color="C2", label="replaced")
    panels[1].plot(token, p, "k_", ms=22, mew=2, label="target p")
    panels[0].set_ylabel("probability")
    for axes in panels:
        axes.set_xlabel("token")
        axes.legend()
    caption(
        "What is accepted lies below both; what replaces the refused fills up to the target."
    )


# %% tags=["solution"]
show_speculation(speculative)

# %% [markdown]
# ## 13.10 The best low-rank adaptation (extend)
#
# A large model is adapted to a new text. Its weights $W$, `(out, in)`, stay as they are; what is learned is a change of low
# rank, two thin matrices:
#
# $$y = W x + \frac{\alpha}{r} \, B A \, x, \qquad A: (r, \texttt{in}), \quad B: (\texttt{out}, r).$$
#
# How good can that be? Suppose that we know the change $\Delta$, `(out, in)`, that full training would make. Eckart and Young
# (1936) answered: no matrix of rank $r$ lies nearer to $\Delta$, in the sum of squared differences, than the one made of
# its $r$ largest singular values and their vectors; what remains is the sum of squares of the others.
#
# `change` is $\Delta$, `rank` is $r$, `alpha` is $\alpha$. Return $A$ and $B$, in this order, so that $\frac{\alpha}{r} B A$ is
# that best matrix. How you share the singular values between $A$ and $B$ is up to you. The rank of $\Delta$ may be
# less than $r$, but $r$ is at most the smaller one of `out` and `in`.


# %% exercise={"id": "lm.lora_fit", "tier": "extend", "minutes": 20, "points": 2}
def lora_fit(change: Tensor, rank: int, alpha: float) -> tuple[Tensor, Tensor]:
    """A (r, in) and B (out, r) whose product, times alpha / r, lies nearest to the change (out, in)."""
    ### BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(change)
    return vh[:rank], u[:, :rank] * s[:rank] * rank / alpha
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("lm.lora_fit", lora_fit)

# %% [markdown]
# ## 13.11 Challenge: names heard once
#
# A language of twelve letters and one sign, "@". Each line is 40 symbols long and begins with a **name** of three letters, drawn
# at random. After every "@" the name is said again. All else is small talk: "@" comes with probability 0.2, or a letter that
# depends on the letter before it, by a table of the language. The check draws a language that nobody has seen; the next cell
# shows lines of another one.
#
# Counting which symbols follow each other learns the small talk. It never learns which of the $12^3$ names a line has: over
# all lines, each letter is as likely as any other after "@". Whoever wants to predict it must look at the **beginning of the
# line**.
#
# `train` gets lines `x_train`, `(2000, 40)`, symbols 0 to 12 ("@" is 12), and returns a **function** `log_prob(x)`: it takes
# lines `(B, 40)` and returns, `(B, 40, 13)`, at each place the log-probability of each symbol that may stand there, given the
# symbols **before** that place. All must be finite, and each place's probabilities sum to 1. The check asks in shuffled
# batches about 3,000 new lines, some of them twice. Each is broken off at some place, with noise from there on; what counts is
# how likely your function calls the symbol that stood there. Others are copies that try to catch it looking ahead. The goal is
# **0.12 bits per character above the entropy** of the language, and at most half a bit for a letter of a name that is said
# again. A transformer of two layers needs some ten seconds to get there; any means are allowed, in up to 60.

# %%
generator = torch.Generator().manual_seed(0)
language = NameLanguage.drawn(generator)
x_train, x_new = language.sample(2000, generator), language.sample(500, generator)
print(*text(x_train[:5]), sep="\n")


def bits_a_character(log_prob: Tensor, x: Tensor) -> float:
    """Mean of −log₂ p of the symbols x, (B, T), by the log-probabilities (B, T, 13) of all."""
    return -log_prob.gather(2, x[..., None]).mean().item() / math.log(2)


print(
    f"the language itself: {bits_a_character(language.log_prob(x_new), x_new):.2f} bits per character"
)
share = torch.bincount(x_train.flatten()) / x_train.numel()
print(f"symbols counted: {bits_a_character(share.log().expand(500, 40, -1), x_new):.2f}")


# %% exercise={"id": "lm.train", "tier": "challenge", "minutes": 45, "points": 4}
def train(x_train: Tensor) -> Callable[[Tensor], Tensor]:
    """Train on lines (N, T); returns log_prob: (B, T) -> (B, T, 13), each place from those before it."""
    ### BEGIN SOLUTION
    length, symbols, channels, heads, layers = x_train.shape[1], 13, 64, 4, 2
    steps, batch, top_rate = 320, 32, 5e-3
    generator = torch.Generator().manual_seed(0)

    def matrix(*shape: int) -> Tensor:
        return (
            shape[-1] ** -0.5 * torch.randn(shape, generator=generator)
        ).requires_grad_()

    embedding = matrix(symbols + 1, channels)  # one more: the begin of a line
    place, head = matrix(length, channels), matrix(symbols, channels)
    blocks = [
        [
            matrix(3 * channels, channels),
            matrix(channels, channels),
            matrix(4 * channels, channels),
            matrix(channels, 4 * channels),
        ]
        for _ in range(layers)
    ]

    def norm(h: Tensor) -> Tensor:
        return F.layer_norm(h, (channels,))

    def network(x: Tensor) -> Tensor:
        before = F.pad(x[:, :-1], (1, 0), value=symbols)
        h = embedding[before] + place
        for w_in, w_out, up, down in blocks:
            h = h + multi_head(norm(h), w_in, w_out, heads)
            h = h + F.gelu(norm(h) @ up.T) @ down.T
        return (norm(h) @ head.T).log_softmax(-1)  # (B, T, 13)

    parameters = [embedding, place, head, *(weight for block in blocks for weight in block)]
    optimizer = torch.optim.AdamW(parameters)
    for step in range(steps):
        # A few steps to warm up, then smaller and smaller ones.
        optimizer.param_groups[0]["lr"] = top_rate * min((step + 1) / 30, 1 - step / steps)
        x = x_train[torch.randint(len(x_train), (batch,), generator=generator)]
        loss = F.nll_loss(network(x).flatten(0, 1), x.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
    return lambda x: network(x).double().log_softmax(-1)
    ### END SOLUTION


# %%
check("lm.train", train)

# %% [markdown]
# The target: where the model is sure. When your check has passed, call `show_lines(train)`.


# %%
def show_lines(train: Callable, n: int = 5) -> None:
    """Color each symbol of new lines by the bits that it costs the model, and the law below it."""
    log_prob = train(x_train)
    each = [
        -given.gather(2, x_new[:n, :, None])[..., 0] / math.log(2)
        for given in (log_prob(x_new[:n]), language.log_prob(x_new[:n]))
    ]
    figure, panels = plt.subplots(2, 1, figsize=(9, 3.6), sharex=True)
    for axes, bits, title in zip(
        panels, each, ("your model", "the law of the language"), strict=True
    ):
        picture = axes.imshow(bits, cmap="Blues", vmin=0, vmax=6, aspect="auto")
        for (row, column), cost in zip(
            torch.cartesian_prod(torch.arange(n), torch.arange(40)),
            bits.flatten(),
            strict=True,
        ):
            color = "white" if cost > 3 else "black"
            axes.text(
                column,
                row,
                SYMBOLS[x_new[row, column]],
                ha="center",
                va="center",
                fontsize=8,
                color=color,
            )
        axes.set(title=title, yticks=[], xticks=[])
    figure.colorbar(picture, ax=panels, label="bits")
    caption(
        "Dark symbols are expensive: the name at the beginning, never the name after @."
    )


# %% tags=["solution"]
show_lines(train)
