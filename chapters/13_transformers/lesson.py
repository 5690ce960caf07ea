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
# # 13 · Transformers: language, one token at a time
#
# **Write a transformer in forty lines, train it on a book, and measure it honestly: against counting, against compressors, in bits per character.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 75 minutes; what is marked *optional* takes 10 more | about two minutes, two cores | chapters 2 and 12, a little of neural networks | cut text into tokens; count with Kneser and Ney; build attention and prove that it looks back only; train a small GPT; compare any two models of text; steer what is generated, and see what was copied; say what a large model costs |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# Chapter 12 drew images pixel by pixel. Text has an order of its own, so the chain rule fits it even better. The machine that today's language models are made of, the **transformer**, is small enough to be written here in full. And language has something that images lack: rivals of seventy years' standing, from counting to data compression. We take them seriously. At the size of this lesson, one of them wins.

# %% tags=["parameters"]
seed = 13
toy_steps = 300
copy_steps = 260
gpt_windows = 7800
small_windows = 800
middle_windows = 2400

# %%
import bz2
import copy
import itertools
import lzma
import math
import textwrap
import time
import zlib

import matplotlib.pyplot as plt
import pyppmd
import torch
import zstandard
from torch import Tensor
from torch.nn import functional as F

from utils.diagrams import Box, diagram
from utils.models.transformers import (
    GPT,
    PIECES,
    BytePairEncoding,
    Cache,
    KneserNey,
    shape_log_odds,
)
from utils.plots import PALETTE, caption
from utils.results import record, record_table
from utils.text import load_names, load_text

generator = torch.Generator().manual_seed(seed)
kjv = load_text("kjv")
print(kjv)
print(kjv.test[:109])

# %% [markdown]
# The text is the King James Bible, 1,189 chapters without the numbers of verses. Every twentieth **chapter** is held out. Lines or windows held out at random would not do, and section 8 shows how much they flatter.
#
# ## 1 · One picture: guess the next character
#
# Cover a line with a sheet of paper and uncover it character by character. Before each, guess. C. Shannon played this game in 1951 to find out how many bits a character of English holds. Our first player **counts**: it has noted what followed each string of characters in the training chapters. The length of the strings, with the new character itself, is its *order*.

# %%
characters = BytePairEncoding(kjv.characters, merges=[])  # a number for each character
train_characters, test_characters = (
    characters.encode(part) for part in (kjv.train, kjv.test)
)
counting, counting_seconds, counting_bits = {}, {}, {}
for order in (1, 2, 3, 5, 8, 10):
    started = time.perf_counter()
    counting[order] = KneserNey(order, len(characters)).fit(train_characters)
    counting_seconds[order] = time.perf_counter() - started
    nats = -counting[order].token_log_prob(test_characters)
    counting_bits[order] = nats / math.log(2)
    print(f"order {order:2d}: {counting_bits[order].mean():.3f} bits per character")
kn10_bits = counting_bits[10].mean().item()
record("kn10_bits_per_char", kn10_bits, unit="bits/char", kind="exact")

# %% jupyter={"source_hidden": true}
shown = 78
figure, ax = plt.subplots(figsize=(9, 1.5))
rows = torch.stack([counting_bits[order][:shown] for order in (1, 3, 10)])
picture = ax.imshow(rows, cmap="Blues", vmin=0, vmax=10, aspect="auto")
for row in range(3):
    for column, character in enumerate(kjv.test[:shown]):
        dark = rows[row, column] > 6
        ax.text(
            column, row, character, ha="center", va="center", family="monospace", fontsize=8,
            color="white" if dark else "black",
        )  # fmt: skip
ax.set_yticks(range(3), ["order 1", "order 3", "order 10"])
ax.set_xticks([])
figure.colorbar(picture, ax=ax, label="bits", shrink=0.9)
caption(
    "The first held-out verse; the darker, the more bits a character costs. Longer memory makes the inside of words cheap; "
    "what costs is where a word begins."
)

# %% [markdown]
# ## 2 · The mathematics
#
# **The chain rule**, as in chapter 12. A text $x_1, \dots, x_T$ of tokens out of a vocabulary of $V$ has the probability
#
# $$p(x) = \prod_{t=1}^T p(x_t \mid x_1, \dots, x_{t-1}).$$
#
# A model says log-odds $a \in \mathbb{R}^V$ for each next token, and the softmax $p_i = e^{a_i} / \sum_j e^{a_j}$ makes probabilities of them.
#
# **The unit.** With logarithms to base 2, $-\log_2 p(x)$ is the length in bits of the text under the best code for this model: arithmetic coding reaches it within two bits. So a language model *is* a compressor, and both can be compared in **bits per character**. Its exponential is the **perplexity**: $2^{\text{bits}}$, as if each token were drawn from so many equally likely ones.
#
# **A truth to compare with.** The 100 most common first names of the United States, and how common each is. Their letters form a tree. At each node we know the exact distribution of the next letter, with `.` for the end, and the chain rule must give back what each name was drawn with.

# %%
names, shares = load_names(100)  # p(name), (100,)
ended = [f"{name}." for name in names]
prefix = {}  # how likely a text begins with this
for name, share in zip(ended, shares.tolist(), strict=True):
    for length in range(len(name) + 1):
        prefix[name[:length]] = prefix.get(name[:length], 0.0) + share
product = [
    math.prod(prefix[name[: t + 1]] / prefix[name[:t]] for t in range(len(name)))
    for name in ended
]
assert torch.allclose(torch.tensor(product, dtype=torch.float64), shares, rtol=1e-12)
name_entropy = -(shares * shares.log()).sum().item()
after = sorted(
    ((p / prefix["Jo"], text[2]) for text, p in prefix.items() if text[:-1] == "Jo"),
    reverse=True,
)
print("after Jo:", ", ".join(f"{letter} {p:.3f}" for p, letter in after))
print(f"entropy: {name_entropy:.4f} nats a name")

# %% [markdown]
# ## 3 · Tokens
#
# A model may read characters. But then "the LORD" costs it eight steps, and most of them say nothing. Whole words are too many, and a new word has no number. **Byte-pair encoding** lies between: start with the characters, find the most frequent pair of neighbors, make it a new symbol, and repeat. From scratch:


# %%
def learn_pairs(text: str, size: int) -> list[str]:
    """The symbols of a text: its characters, then what was merged, most frequent pair first."""
    pieces = [list(piece) for piece in PIECES.findall(text)]  # words, each with its blank
    symbols = sorted(set(text))
    while len(symbols) < size:
        count = {}
        for piece in pieces:
            for pair in itertools.pairwise(piece):
                count[pair] = count.get(pair, 0) + 1
        if not count:
            break
        best = max(
            count, key=lambda pair: (count[pair], *(-symbols.index(part) for part in pair))
        )
        symbols.append("".join(best))
        for piece in pieces:
            at = 0
            while at < len(piece) - 1:
                if (piece[at], piece[at + 1]) == best:
                    piece[at : at + 2] = ["".join(best)]
                at += 1
    return symbols


verse = kjv.test[:400]
print(learn_pairs(verse, 45)[-12:])
assert learn_pairs(verse, 60) == BytePairEncoding.learn(verse, 60).symbols

# %% [markdown]
# The library's `BytePairEncoding` does the same, but counts anew only where it has merged, so that four million characters take seconds. The library `tokenizers`, which many large models were built with, must find the same symbols and cut the held-out text at the same places.

# %%
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.trainers import BpeTrainer

code = BytePairEncoding.learn(kjv.train, 1024, kjv.characters)
train, test = code.encode(kjv.train), code.encode(kjv.test)
theirs = Tokenizer(BPE())
theirs.pre_tokenizer = Split(Regex(PIECES.pattern), "isolated")
trainer = BpeTrainer(vocab_size=1024, initial_alphabet=kjv.characters, show_progress=False)
theirs.train_from_iterator([kjv.train], trainer)
same_symbols = theirs.get_vocab() == {
    symbol: number for number, symbol in enumerate(code.symbols)
}
same_tokens = theirs.encode(kjv.test).ids == test.tolist()
record("bpe_agrees", same_symbols and same_tokens, kind="exact")
assert code.decode(test) == kjv.test
print(
    f"{len(train):,} + {len(test):,} tokens, {len(kjv.test) / len(test):.2f} characters each"
)
print("|".join(code.symbols[number] for number in test[:40]))
print("first merges:", code.symbols[63:75], "  last:", code.symbols[-6:])

# %% [markdown]
# ## 4 · Counting well, and compressing
#
# Most strings of ten characters in a new text were never seen, so bare counts would say 0. **Kneser and Ney** (1995) take a little from each count and give it to what the next shorter context $c'$ says:
#
# $$p_n(w \mid c) = \frac{\max(N(cw) - D, 0)}{N(c)} + \frac{\text{what was taken}}{N(c)}\; p_{n-1}(w \mid c').$$
#
# Their idea is in the shorter orders. There $N$ does not count how often a word occurs, but **after how many different ones**: "unto" follows many words, "begat" few. In this modified form (Chen and Goodman 1999) $D$ depends on the count. All that is needed are sorted arrays of n-grams, so [the library's version](../../utils/models/transformers/kneser_ney.py) learns the whole text in a second or two. The check: after any context, seen or not, the probabilities sum to 1.

# %%
contexts = torch.randint(
    len(characters), (1000, 9), generator=generator
)  # mostly never seen
contexts[:500] = test_characters[:4500].view(500, 9)
sums = counting[10].next_log_prob(contexts).exp().sum(1)
print(f"farthest from 1: {(sums - 1).abs().max():.1e}")
assert (sums - 1).abs().max() < 1e-9

started = time.perf_counter()
kn_tokens = KneserNey(6, len(code)).fit(train)
kn_tokens_seconds = time.perf_counter() - started


def bits_per_character(log_p: Tensor) -> float:
    """Of the held-out text, whatever its tokens are: all nats, over all characters."""
    return -log_p.double().sum().item() / math.log(2) / len(kjv.test)


kn_log_p = kn_tokens.token_log_prob(test)
kn_tokens_bits = bits_per_character(kn_log_p)
record("kn_tokens_bits_per_char", kn_tokens_bits, unit="bits/char", kind="exact")

# %% [markdown]
# On tokens, six of them reach back about nineteen characters, and counting gets better still.
#
# **Compressors** are language models, too, though most hide it. To be fair, each is given the training text: its score is the length of training *and* test text compressed together, minus that of the training text alone. PPMd is close kin of our counting: it predicts each byte from up to 16 before it.

# %%
train_bytes, test_bytes = kjv.train.encode(), kjv.test.encode()
far = zstandard.ZstdCompressionParameters.from_level(12, window_log=24, enable_ldm=True)
compressors = {
    "zlib": lambda text: zlib.compress(text, 9),
    "bzip2": lambda text: bz2.compress(text, 9),
    "zstd": lambda text: zstandard.ZstdCompressor(compression_params=far).compress(text),
    "lzma": lambda text: lzma.compress(text, preset=6),
    "PPMd": lambda text: pyppmd.compress(text, max_order=16, mem_size=512 << 20),
}
compressed_bits, compressor_seconds = {}, {}
for name, compress in compressors.items():
    started = time.perf_counter()
    both = len(compress(train_bytes + test_bytes))
    compressor_seconds[name] = time.perf_counter() - started
    compressed_bits[name] = 8 * (both - len(compress(train_bytes))) / len(kjv.test)
    print(f"{name:6s} {compressed_bits[name]:.3f} bits per character")
record("ppmd_bits_per_char", compressed_bits["PPMd"], unit="bits/char", kind="exact")

# %% [markdown]
# zlib forgets all but the last 32,768 bytes, and bzip2 works in blocks, so the training text helps them little.
#
# ## 5 · Attention, from scratch
#
# Counting has a hard limit: a context that never occurred says nothing, even if it differs from a known one in a single name. We want a model that asks *"which of the earlier tokens matter here, and what do they say?"* That is **attention**. Each place makes three vectors out of what it holds: a **query** $q$ (what am I looking for?), a **key** $k$ (what am I?) and a **value** $v$ (what do I say?). Place $t$ takes a weighted mean of the values of places $s \le t$:
#
# $$y_t = \sum_{s \le t} w_{ts} v_s, \qquad w_{ts} = \frac{\exp(q_t \cdot k_s / \sqrt{D})}{\sum_{r \le t} \exp(q_t \cdot k_r / \sqrt{D})}.$$
#
# - **Mask.** The sum goes over $s \le t$ only. Otherwise a place would read the answer.
# - **Scale.** Numbers of variance 1 give products $q \cdot k$ of variance $D$. Undivided, the softmax would pick one place from the start, where its gradient is nearly 0.
# - **Heads.** Several attentions side by side, each on its part of the coordinates, can look for several things.
# - **Positions.** So far the order of the earlier tokens plays no part. **Rotary** positions turn the pairs of coordinates of $q$ and $k$ by angles that grow with the place. The product of two turned vectors depends on the *difference* of their places: "three back" is the same everywhere.
# - **Residual stream.** Each layer *adds* what it found to the vector of its place. Information and gradients can pass by every layer untouched.
# - **Norm.** What a layer reads is shifted to mean 0 and scaled to variance 1, so that the size of the stream does not matter. (We do it for $q$ and $k$, too.)
# - **MLP.** After each attention, every place thinks on its own: two matrices, with a squared ReLU between.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.6, 3.0))
boxes = {
    "tokens": Box(0, 0, "tokens\n$x_0 \\dots x_{t-1}$"),
    "embed": Box(1, 0, "embedding", "network"),
    "plus1": Box(2.9, 0, "+", "operation", circle=True),
    "plus2": Box(4.8, 0, "+", "operation", circle=True),
    "norm": Box(5.7, 0, "norm", "operation"),
    "head": Box(6.5, 0, "linear", "network"),
    "odds": Box(7.5, 0, "log-odds of\n$x_1 \\dots x_t$"),
    "norm1": Box(1.8, 1, "norm", "operation"),
    "qkv": Box(1.8, 2, "q, k, v; rotary", "network"),
    "attend": Box(2.9, 2, "masked\nattention", "latent"),
    "mix": Box(2.9, 1, "linear", "network"),
    "norm2": Box(3.9, 1, "norm", "operation"),
    "up": Box(3.9, 2, "linear, ReLU²", "network"),
    "down": Box(4.8, 1, "linear", "network"),
}
arrows = [
    ("tokens", "embed"),
    ("embed", "plus1", "residual stream"),
    ("plus1", "plus2"),
    ("plus2", "norm"),
    ("norm", "head"),
    ("head", "odds"),
    ("embed", "norm1"),
    ("norm1", "qkv"),
    ("qkv", "attend"),
    ("attend", "mix"),
    ("mix", "plus1"),
    ("plus1", "norm2"),
    ("norm2", "up"),
    ("up", "down"),
    ("down", "plus2"),
]
diagram(ax, boxes, arrows)
caption(
    "A transformer with one block. The stream runs along the bottom; attention (yellow) is the only part in which places "
    "exchange anything. A larger model repeats the block."
)


# %%
def attention(q, k, v, masked=True, scaled=True, maps=None):
    """Each place asks those before it and itself: (…, T, D) three times → (…, T, D)."""
    scores = q @ k.mT / (q.shape[-1] ** 0.5 if scaled else 1.0)  # (…, T, T)
    if masked:
        future = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
    weights = scores.softmax(-1)
    if maps is not None:
        maps.append(weights)
    return weights @ v


def turn(x):
    """Rotary positions, (…, T, D): each pair of coordinates by its angle."""
    T, D = x.shape[-2:]
    angle = torch.arange(T)[:, None] * 1000.0 ** -(torch.arange(D // 2) / (D // 2))
    a, b = x.chunk(2, dim=-1)
    return torch.cat(
        [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1
    )


def norm(x):
    """Mean 0 and variance 1."""
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def transformer(read, weights, heads, masked=True, scaled=True, positions=True, maps=None):
    """Log-odds (B, T, V) of the token after each of those that were read, (B, T)."""
    x = weights["embedding.weight"][read]  # the residual stream, (B, T, width)
    layer = 0
    while f"blocks.{layer}.qkv.weight" in weights:
        w = {
            name[9:-7]: weight
            for name, weight in weights.items()
            if name.startswith(f"blocks.{layer}.")
        }
        qkv = norm(x) @ w["qkv"].T
        q, k, v = qkv.unflatten(2, (3, heads, -1)).permute(
            2, 0, 3, 1, 4
        )  # each (B, heads, T, D)
        q, k = norm(q), norm(k)
        if positions:
            q, k = turn(q), turn(k)
        y = attention(q, k, v, masked, scaled, maps)
        x = x + y.transpose(1, 2).flatten(2) @ w["mix"].T
        x = x + (norm(x) @ w["up"].T).relu().square() @ w["down"].T
        layer += 1
    return norm(x) @ weights["head.weight"].T


# %% [markdown]
# **Checks.** Our attention against PyTorch's `scaled_dot_product_attention`; our forty lines against the library's [`GPT`](../../utils/models/transformers/gpt.py), with the same weights, drawn at random; the probabilities of all $5^4$ texts of four tokens, which must sum to 1; and rotary products at places that are moved together.

# %%
q, k, v = (
    torch.randn(2, 3, 11, 8, generator=generator, dtype=torch.float64) for _ in range(3)
)
known = F.scaled_dot_product_attention(q, k, v, is_causal=True)
assert (attention(q, k, v) - known).abs().max() < 1e-12

tiny = GPT(5, width=16, layers=2, heads=2, context=8).double()
for weight in tiny.parameters():
    torch.nn.init.normal_(weight, std=0.4, generator=generator)
read = torch.randint(6, (4, 8), generator=generator)
drawn = {name: weight.detach() for name, weight in tiny.named_parameters()}
difference = (transformer(read, drawn, 2) - tiny(read)).abs().max().item()
print(f"largest difference of log-odds to the library: {difference:.1e}")
assert difference < 1e-6  # the library keeps its angles in float32

every = torch.cartesian_prod(*[torch.arange(5)] * 4)  # (625, 4)
total = tiny.log_prob(every).exp().sum().item()
record("probability_sum", total, kind="exact")

long = torch.randn(2, 1, 8, generator=generator, dtype=torch.float64).expand(2, 20, 8)
products = turn(long[0]) @ turn(long[1]).mT  # the same q and k at all pairs of places
assert (
    (products[5, 2] - products[15, 12]).abs()
    < 1e-6
    < (products[5, 2] - products[5, 3]).abs()
)

# %% [markdown]
# **Nobody looks ahead.** As in chapter 12 we ask autograd. The derivative of the log-odds at each place with respect to what each later place *read* must be exactly 0. Tokens have no derivative, so we differentiate with respect to their embeddings.

# %%
embedded = drawn["embedding.weight"][read[:1]].clone().requires_grad_()  # (1, 8, 16)
weights = drawn | {"embedding.weight": embedded[0]}
causal, leaky = (
    transformer(torch.arange(8)[None], weights, 2, masked=masked)[0]
    for masked in (True, False)
)


def dependence(log_odds: Tensor) -> Tensor:
    """Σ |∂ log-odds at place t / ∂ what place s read|, (T, T)."""
    rows = [
        torch.autograd.grad(row.sum(), embedded, retain_graph=True)[0] for row in log_odds
    ]
    return torch.stack(rows)[:, 0].abs().sum(-1)


assert (dependence(causal).triu(1) == 0).all() and (
    dependence(causal).tril() > 0
).sum() == 36
assert (dependence(leaky).triu(1) > 0).any()

widths = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
sharp, gradient = {True: [], False: []}, {True: [], False: []}
for width in widths:
    q, k = torch.randn(2, 500, 64, width, generator=generator)
    for scaled in (True, False):
        scores = (q[:, :1] @ k.mT)[:, 0] / (width**0.5 if scaled else 1)  # (500, 64)
        p = scores.softmax(-1)
        sharp[scaled].append(p.max(-1).values.mean())
        gradient[scaled].append((p * (1 - p)).sum(-1).mean())

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.8))
for ax, log_odds, title in (
    (axes[0], causal, "with the mask"),
    (axes[1], leaky, "without"),
):
    ax.imshow(dependence(log_odds) > 0, vmin=0, vmax=1.4)
    ax.set(title=title, xlabel="what was read", ylabel="log-odds", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
axes[2].semilogx(widths, gradient[True], "o-", label=r"divided by $\sqrt{D}$")
axes[2].semilogx(widths, gradient[False], "s--", label="not divided")
axes[2].set(
    xlabel="coordinates of a head, $D$", ylabel="slope of the softmax", ylim=(0, 1.05)
)
axes[2].legend(loc="lower left")
caption(
    "Left and middle: dark where log-odds depend on what was read. Right: Σ p (1 − p) over 64 places, random queries and "
    "keys. Without the scale, wide heads choose one place at random, and hardly any gradient flows."
)

# %% [markdown]
# ### Names, where we know the truth (*optional*)
#
# Our forty lines learn the 100 names of section 2. There is no noise: the loss is the exact $-\sum_x p(x) \log p_\theta(x)$ over all names, and its distance to the entropy is the Kullback–Leibler divergence. What the model does not give to these names it gives to strings of its own invention.

# %%
letters = BytePairEncoding(sorted(set("".join(ended))), merges=[])
width = max(map(len, ended))
spelled = torch.stack(
    [letters.encode(name.ljust(width, ".")) for name in ended]
)  # (100, width)
inside = torch.arange(width) < torch.tensor([len(name) for name in ended])[:, None]


def name_log_p(log_odds: Tensor) -> Tensor:
    """log p(name) with its end; what stands behind it does not count. (100,)"""
    return -(F.cross_entropy(log_odds.mT, spelled, reduction="none") * inside).sum(1)


started_at = len(letters)  # the start symbol
reads = F.pad(spelled[:, :-1], (1, 0), value=started_at)
speller = GPT(len(letters), width=32, layers=2, heads=2, context=width, generator=generator)
weights = {name: weight for name, weight in speller.named_parameters()}
optimizer = torch.optim.Adam(weights.values(), lr=1e-2)
for step in range(toy_steps):
    loss = -(shares.float() * name_log_p(transformer(reads, weights, 2))).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 1e-2 * min(1, 2 - 2 * step / toy_steps)
with torch.no_grad():
    on_names = name_log_p(transformer(reads, weights, 2)).exp().double()
name_kl = (shares * (shares / on_names).log()).sum().item()
with record_table():
    record("name_kl", name_kl, unit="nats/name", kind="exact")
    record("names_mass", on_names.sum().item(), kind="exact")
assert name_kl > 0

# %% [markdown]
# ## 6 · A language whose entropy is known
#
# For a book nobody knows the entropy. So we make a language. Each text has two sentences: *X verb Y. Y verb X.* There are 50 names and 6 verbs, X and Y differ, everything is equally likely. The last name is certain to whoever remembers the first. Its entropy is exactly $\log 50 + \log 49 + 2 \log 6$ nats a text of 8 tokens.

# %%
n_names, n_verbs = 50, 6
STOP = n_names + n_verbs
grammar_entropy = (math.log(n_names) + math.log(n_names - 1) + 2 * math.log(n_verbs)) / 8


def texts(n: int) -> Tensor:
    """X verb Y . Y verb X . as tokens, (n, 8)."""
    x = torch.randint(n_names, (n,), generator=generator)
    y = (x + torch.randint(1, n_names, (n,), generator=generator)) % n_names
    verbs = n_names + torch.randint(n_verbs, (2, n), generator=generator)
    stop = torch.full((n,), STOP)
    return torch.stack([x, verbs[0], y, stop, y, verbs[1], x, stop], dim=1)


lines, unseen = texts(64 * toy_steps), texts(4000)
grammar = GPT(STOP + 1, width=64, layers=1, heads=2, context=8, generator=generator)
grammar.fit(lines, epochs=1, batch_size=64, seed=seed, device="cpu", progress=False)
with torch.no_grad():
    nats = -grammar.token_log_prob(unseen).double()  # (4000, 8)
grammar_gap = nats.mean().item() - grammar_entropy
error = 2 * nats.mean(1).std().item() / len(nats) ** 0.5
counted = KneserNey(7, STOP + 1).fit(lines.flatten())
counted_gap = -counted.token_log_prob(unseen.flatten()).mean().item() - grammar_entropy
with record_table():
    record("grammar_entropy", grammar_entropy, unit="nats/token", kind="exact")
    record("grammar_gap", grammar_gap, unit="nats/token", kind="estimate", low=grammar_gap - error, high=grammar_gap + error)  # fmt: skip
    record("grammar_gap_counting", counted_gap, unit="nats/token", kind="score")

# %% [markdown]
# The transformer is almost at the entropy. Counting with seven tokens, which has read the same texts, is far from it: to know that the last name is the first one it would have to see every pair of names with every verb. It has no way to say "**the same as** before". Attention copies.
#
# **Three failures, one switch each.** We train our forty lines on the same texts: as they are, without the mask, without positions, and without the scale. Two of the outcomes can be predicted. Without the mask the loss must fall *below* the entropy, which is impossible for an honest model. Without positions a single layer sees a bag of tokens. When the second sentence begins it cannot know which of the two names came second: it must pay at least $\log 2$ nats, an eighth of that a token.

# %%
switches = {
    "as it is": {},
    "no mask": {"masked": False},
    "no positions": {"positions": False},
    "no scale": {"scaled": False},
}
failures, curves = {}, {}
for name, switch in switches.items():
    start = GPT(
        STOP + 1, width=64, layers=1, heads=2, generator=torch.Generator().manual_seed(seed)
    )
    weights = {key: weight for key, weight in start.named_parameters()}
    optimizer = torch.optim.Adam(weights.values(), lr=5e-3)
    curves[name] = []
    for batch in lines.split(64):
        reads = F.pad(batch[:, :-1], (1, 0), value=STOP + 1)
        log_odds = transformer(reads, weights, 2, **switch)
        loss = F.cross_entropy(log_odds.flatten(0, 1), batch.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curves[name].append(loss.item() - grammar_entropy)
    with torch.no_grad():
        log_odds = transformer(
            F.pad(unseen[:, :-1], (1, 0), value=STOP + 1), weights, 2, **switch
        )
    paid = F.cross_entropy(log_odds.mT, unseen, reduction="none").mean(
        0
    )  # at each of the 8 places
    failures[name] = paid.mean().item() - grammar_entropy
    print(
        f"{name:13s} {failures[name]:+.3f} nats a token; place 5: {paid[4]:.2f}, place 7: {paid[6]:.2f}"
    )
print(
    f"predicted without positions: at least {math.log(2) / 8:+.3f}; at place 5: {math.log(2):.2f}"
)
assert (
    failures["no mask"] < -0.5
    and failures["no positions"] > math.log(2) / 8 > failures["as it is"]
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.8))
for name, curve in curves.items():
    smooth = F.avg_pool1d(torch.tensor(curve)[None], 10, 5)[0]
    ax.plot(5 * torch.arange(len(smooth)), smooth, label=name)
ax.axhline(0, color="black", linewidth=1)
ax.axhline(math.log(2) / 8, color="0.6", linewidth=1, linestyle=":")
ax.set(xlabel="step", ylabel="loss − entropy, nats a token", ylim=(-1.0, 1.0))
ax.legend(ncols=2)
caption(
    "The same forty lines, one switch each. Below the black line no model can be: without the mask it reads the answer. "
    "Dotted: an eighth of log 2, the price of not knowing the order."
)

# %% [markdown]
# Without positions, place 5 (which name comes first now?) costs at least what was predicted. Place 7 costs more still: which of three names in a bag occurred only once is a question that one layer hardly learns to answer. Without the scale the model gets there, but it needs two to three times as many steps. Only the mask fails *silently*: its loss is the best of all. In a real task nobody would know the entropy, so check the mask by autograd.
#
# ## 7 · A GPT on the book
#
# Now four layers of 128 numbers, four heads, windows of 128 tokens. It sees most of the training text **once**, window by window in random order, and nothing twice. Two things make these minutes enough. **Muon**, an optimizer of 2024, takes for each matrix a step that is equally long in all its directions; all else is trained by Adam. And the learning rate falls to 0 in the second half.


# %%
def windows_of(n: int) -> Tensor:
    """n windows of the training text, in random order, no token twice: (n, 128)."""
    cut = train.unfold(0, 128, 128)
    return cut[torch.randperm(len(cut), generator=generator)[:n]]


gpt = GPT(len(code), width=128, layers=4, heads=4, context=128, generator=generator)
started = time.perf_counter()
gpt.fit(windows_of(gpt_windows), epochs=1, seed=seed, progress=False).cpu()
gpt_seconds = time.perf_counter() - started
with torch.no_grad():
    gpt_log_p = gpt.token_log_prob(test).double()
gpt_bits = bits_per_character(gpt_log_p)
record("gpt_bits_per_char", gpt_bits, unit="bits/char", kind="exact")
print(f"{gpt_windows * 128:,} tokens in {gpt_seconds:.0f} s")

# %% [markdown]
# The held-out text is longer than a window. Cut into windows end to end, the first tokens of each would be guessed from nothing. So the windows **overlap by half**, and of each only the second half counts (`token_log_prob`).
#
# ### Two models at once
#
# Counting remembers long phrases word for word; the GPT generalizes. If they err in different places, a mean of their *probabilities* should beat both. We take the plain mean for each token, with no weight fitted to anything.

# %%
mixture_log_p = torch.logaddexp(gpt_log_p, kn_log_p) - math.log(2)
mixture_bits = bits_per_character(mixture_log_p)
record("mixture_bits_per_char", mixture_bits, unit="bits/char", kind="exact")
assert mixture_bits < min(gpt_bits, kn_tokens_bits)

# %% jupyter={"source_hidden": true} tags=["picture"]
figure, ax = plt.subplots(figsize=(8.4, 4.2))
ax.plot(
    list(counting_seconds.values()),
    [bits.mean() for bits in counting_bits.values()],
    "o-",
    label="counting characters",
)
for (order, seconds), bits in zip(
    counting_seconds.items(), counting_bits.values(), strict=True
):
    ax.annotate(
        f"{order}", (seconds, bits.mean()), (0, 6), textcoords="offset points", fontsize=8
    )
ax.plot(
    kn_tokens_seconds,
    kn_tokens_bits,
    "s",
    color=PALETTE[2],
    label="counting tokens",
    markersize=8,
)
ax.plot(
    list(compressor_seconds.values()),
    list(compressed_bits.values()),
    "^",
    color=PALETTE[1],
    label="compressors",
)
for name, seconds in compressor_seconds.items():
    ax.annotate(
        name,
        (seconds, compressed_bits[name]),
        (6, 3),
        textcoords="offset points",
        fontsize=8,
    )
online = torch.tensor(gpt.step_losses_) / math.log(2) / (len(kjv.train) / len(train))
smooth = F.avg_pool1d(online[None], 20, 10)[0]
at = gpt_seconds * (10 * torch.arange(len(smooth)) + 10) / len(online)
ax.plot(
    at,
    smooth,
    color=PALETTE[4],
    linewidth=1,
    label="GPT while it learns (training text, first sight)",
)
ax.plot(gpt_seconds, gpt_bits, "D", color=PALETTE[4], label="GPT", markersize=8)
ax.plot(
    gpt_seconds + kn_tokens_seconds,
    mixture_bits,
    "*",
    color=PALETTE[3],
    label="GPT and counting, mean",
    markersize=14,
)
ax.set(
    xscale="log",
    ylim=(1.1, 3.2),
    xlabel="seconds on this machine",
    ylabel="bits per held-out character",
)
ax.legend(fontsize=8)
caption(
    "All models and compressors on one axis of seconds; lower is better. Numbers: orders of counting. Counting tokens is "
    "quick and beats the GPT, which takes far longer. The mean of both is best."
)

# %% [markdown]
# **Counting wins at this budget.** A method of 1995 that takes seconds is better than a transformer that trains for a minute. It is not a fluke of a weak GPT: PPMd, which is counting too, is also ahead of it. Tutorials on small GPTs rarely show this line. And yet the mean of both is clearly better than either, so the GPT has learned something that counts do not hold. Where? We ask how many bits it saves, or wastes, on three kinds of tokens.

# %%
gain = (gpt_log_p - kn_log_p) / math.log(2)  # bits that the GPT saves, a token
last_seen = {}
distances = torch.full((len(test),), 10**6)  # how many tokens ago the same one came last
for at, token in enumerate(test.tolist()):
    distances[at] = at - last_seen.get(token, -(10**6))
    last_seen[token] = at
long_symbol = code.lengths[test] >= 5
groups = {
    "long symbol, in the last 128": long_symbol & (distances <= 128),
    "long symbol, not there": long_symbol & (distances > 128),
    "other symbols": ~long_symbol,
}
for name, group in groups.items():
    print(
        f"{name:30s} {group.sum():6,d} tokens, GPT saves {gain[group].mean():+.3f} bits a token"
    )
saved = [gain[group].mean() for group in groups.values()]
assert saved[0] > max(saved[1:])

# %% [markdown]
# Not everywhere alike. Long symbols are mostly words of content, and where one came up shortly before, the GPT is at its best against counting, which sees six tokens: it knows what the chapter is about.
#
# ## 8 · Perplexity and its traps
#
# The same GPT, the same text, four numbers that all are honest and that no one should compare:

# %%
nats = -gpt_log_p.sum().item()
counts = {"token": len(test), "character": len(kjv.test), "word": len(kjv.test.split())}
for unit, count in counts.items():
    print(f"perplexity a {unit:9s} {math.exp(nats / count):8.2f}")
with torch.no_grad():
    apart = test[: len(test) // 128 * 128].view(-1, 128)
    end_to_end = torch.cat([gpt.token_log_prob(rows) for rows in apart.split(32)])
same = gpt_log_p[: apart.numel()].sum()
print(
    f"end to end instead of overlapping windows: {100 * (end_to_end.sum().double() / same - 1):+.1f} % bits"
)

by_verse = (kjv.train + "\n\n" + kjv.test).split("\n")
leaky_test = "\n".join(by_verse[10::20])
leaky_train = "\n".join(verse for at, verse in enumerate(by_verse) if at % 20 != 10)
leaky = KneserNey(10, len(characters)).fit(characters.encode(leaky_train))
leaky_bits = -leaky.token_log_prob(characters.encode(leaky_test)).mean().item() / math.log(
    2
)
record("leaky_split_bits_per_char", leaky_bits, unit="bits/char", kind="exact")
assert leaky_bits < kn10_bits

# %% [markdown]
# 1. **Per what?** A model with longer tokens has fewer of them and a higher perplexity a token. Only bits per character (or of the whole text) compare across tokens.
# 2. **With how much context?** Windows end to end make a model look worse than it is.
# 3. **Which split?** Hold out every twentieth *verse* instead of chapter, and counting looks better, by nothing but its neighbors in the training text.
# 4. **Which cut?** The same text can be cut into symbols in many ways, and each has a probability. We count the one cut that the encoding makes, so what we report is a **bound**: the text's own probability is at least as high.
#
# ## 9 · Scaling, and the price of GPT-3
#
# Count the multiplications: a matrix of $m \times n$ takes $2mn$ operations a token, and backpropagation twice as many again. A block has $12\, d^2$ weights ($3 d^2$ for q, k, v, $d^2$ after attention, $8 d^2$ in the MLP). So with $N$ weights and $D$ tokens of training,
#
# $$N \approx 12\, L\, d^2 + 2 V d, \qquad \text{operations} \approx 6\, N D.$$
#
# Two smaller models, each with less text, give a line with ours: bits against operations.

# %%
sizes = {"small": (32, 2, 2, small_windows), "middle": (64, 3, 2, middle_windows)}
models = {}
for name, (width, layers, heads, n) in sizes.items():
    models[name] = GPT(len(code), width, layers, heads, 128, generator)
    models[name].fit(windows_of(n), epochs=1, seed=seed, progress=False).cpu()
with torch.no_grad():
    scaling_bits = [
        bits_per_character(model.token_log_prob(test)) for model in models.values()
    ] + [gpt_bits]


def weights_of(model: GPT) -> int:
    return sum(p.numel() for p in model.parameters())


formula = 12 * 4 * 128**2 + (2 * len(code) + 1) * 128  # with the start symbol
assert formula == weights_of(gpt)
seen = [small_windows * 128, middle_windows * 128, gpt_windows * 128]
operations = [
    6 * weights_of(m) * n for m, n in zip([*models.values(), gpt], seen, strict=True)
]
logs = torch.tensor([operations, scaling_bits], dtype=torch.float64).log()
x, y = logs - logs.mean(1, keepdim=True)
slope = ((x * y).sum() / x.square().sum()).item()
needed = math.exp((math.log(kn_tokens_bits) - logs[1].mean()) / slope + logs[0].mean())
record("scaling_slope", slope, kind="score")
print(
    f"the line meets counting at {needed / operations[-1]:.1f} times the operations of our GPT"
)

gpt3 = (
    12 * 96 * 12288**2 + (50257 + 2048) * 12288
)  # it has learned positions; its head is its embedding
print(
    f"GPT-3: {gpt3 / 1e9:.1f} billion weights, {6 * gpt3 * 300e9:.2e} operations for 300 billion tokens"
)
speed = operations[-1] / gpt_seconds
print(
    f"this machine: {speed / 1e9:.0f} billion a second: {6 * gpt3 * 300e9 / speed / 3.15e7:,.0f} years"
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 3))
line = torch.logspace(math.log10(operations[0]) - 0.2, math.log10(needed) + 0.6, 50)
ax.loglog(
    line,
    torch.exp(logs[1].mean() + slope * (line.double().log() - logs[0].mean())),
    color="0.6",
    label="line in log–log",
)
ax.loglog(operations, scaling_bits, "D", color=PALETTE[4], label="GPTs")
ax.axhline(kn_tokens_bits, color=PALETTE[2], linestyle="--", label="counting tokens")
ax.set(xlabel="operations of the training", ylabel="bits per character")
ax.set_yticks([1.2, 1.5, 2, 2.5, 3], ["1.2", "1.5", "2", "2.5", "3"])
ax.minorticks_off()
ax.legend()
caption(
    "Three GPTs: more weights and more text together. The line through them, drawn on, crosses that of counting."
)

# %% [markdown]
# The report on GPT-3 (Brown and others 2020) says 175 billion weights and $3.14 \cdot 10^{23}$ operations: the formulas agree. Three points make no law, and a line in log–log cannot go on for ever, since text has an entropy above 0. But for a few doublings it is a fair guess, and it says when counting will lose. Counting has nowhere to go: it has read the whole text, and a higher order hardly helps.
#
# ## 10 · Writing
#
# To write is to draw token by token. What is drawn from can be changed: a **temperature** divides the log-odds, **top-k** keeps the k likeliest tokens, **nucleus** (top-p) keeps the fewest that together have probability p. None of these is a better model of the text. They trade variety for caution. For one context we can look at all three laws:


# %%
def continued(text: str, steps: int, **options) -> str:
    drawn = gpt.sample(1, generator, steps=steps, start=code.encode(text), **options)
    return code.decode(drawn[0])


context = "And God said, Let there be"
ways = {
    "as it is": {},
    "temperature 0.5": {"temperature": 0.5},
    "top-k, 5": {"top_k": 5},
    "nucleus, 0.8": {"top_p": 0.8},
}
with torch.no_grad():
    log_odds = gpt(F.pad(code.encode(context)[None], (1, 0), value=len(code)))[0, -1]
laws = {name: shape_log_odds(log_odds, **way).softmax(-1) for name, way in ways.items()}
for name, p in laws.items():
    print(
        f"{name:16s} {(p > 0).sum():5d} tokens possible, {-(p * (p + 1e-30).log2()).sum():.2f} bits"
    )

# %% jupyter={"source_hidden": true}
likeliest = laws["as it is"].topk(12).indices
figure, ax = plt.subplots(figsize=(8.4, 2.6))
for at, (name, p) in enumerate(laws.items()):
    ax.bar(torch.arange(12) + 0.2 * (at - 1.5), p[likeliest], 0.2, label=name)
ax.set_xticks(range(12), [repr(code.symbols[number]) for number in likeliest], rotation=45)
ax.set(ylabel="probability")
ax.legend()
caption(f"What may follow '{context}': the twelve likeliest tokens under four laws.")

# %%
for prompt in ("And the LORD said unto", "In the beginning", "Blessed are they that"):
    print(
        textwrap.fill(f"{prompt}|{continued(prompt, 50, temperature=0.8)}", 100), end="\n\n"
    )

# %% [markdown]
# The bar marks where the model went on. A prompt must not end with a blank: in our tokens the blank belongs to the *next* word, and a text that was cut behind it is one that the model never saw. **A whole article**, in the nucleus of 0.9. The model holds 128 tokens; when they are full it reads the second half again and goes on.

# %%
article = continued(
    "And it came to pass in those days, that", 420, top_p=0.9, temperature=0.9
)
print("\n".join(textwrap.fill(line, 100) for line in article.split("\n")))

# %% [markdown]
# Each phrase is scripture, and there is no story. The grammar of a clause is learned in minutes, who did what is not.
#
# ### Repetition
#
# Caution has a price. The lower the temperature, the more a text repeats itself. We count which share of its groups of four tokens have occurred before in the same text of 200.


# %%
def repeated(rows: Tensor) -> float:
    """The share of groups of four tokens that occurred before in their row."""
    shares = []
    for row in rows.tolist():
        groups = [tuple(row[at : at + 4]) for at in range(len(row) - 3)]
        shares.append(1 - len(set(groups)) / len(groups))
    return sum(shares) / len(shares)


temperatures = [0.3, 0.6, 0.8, 1.0, 1.2]
prompt = code.encode("And it came to pass")
generated = {
    t: gpt.sample(12, generator, steps=200, start=prompt, temperature=t)
    for t in temperatures
}
repetition = [repeated(rows) for rows in generated.values()]
human = repeated(test[: 60 * 200].view(60, 200))
print(
    "repeated:",
    ", ".join(
        f"{share:.1%} at {t}" for t, share in zip(temperatures, repetition, strict=True)
    ),
)
print(f"held-out text: {human:.1%}")
assert repetition[0] > repetition[-1]

# %% [markdown]
# ### What was copied?
#
# A good sentence may be a quotation. The honest measure is the **longest common substring** with the training text. We take it for 400 characters of the GPT, of counting, and of held-out text, which quotes other chapters as well.


# %%
def longest_copy(text: str) -> str:
    """The longest piece of `text` that stands in the training text, word for word."""
    best = ""
    for start in range(len(text)):
        while (
            start + len(best) < len(text)
            and text[start : start + len(best) + 1] in kjv.train
        ):
            best = text[start : start + len(best) + 1]
    return best


first = characters.encode("And it came to pass")
by_counting = counting[10].sample(1, generator, steps=400, start=first)[0]
by_tokens = kn_tokens.sample(1, generator, steps=140, start=prompt)[0]
writers = {
    "held-out text": kjv.test[100_000:100_400],
    "GPT": code.decode(generated[1.0][0])[:400],
    "GPT, temperature 0.6": code.decode(generated[0.6][0])[:400],
    "counting characters": characters.decode(by_counting),
    "counting tokens": code.decode(by_tokens)[:400],
}
copies = {name: longest_copy(text) for name, text in writers.items()}
for name, copied in copies.items():
    print(f"{name:22s} {len(copied):4d}  {copied!r}")

# %% [markdown]
# ## 11 · The cache
#
# To draw token 257 the naive way would run the network on all 256 before it, though keys and values of old places never change: the mask sees to that. So **keep them**. A step then computes one place, and compares its query with the keys that are kept. Room for all is made once: to append to a growing tensor would copy it each time. We time four texts of 256 tokens; without the cache only the 64 steps in the middle, and count them four times.

# %%
with torch.no_grad():
    rows = F.pad(test[:128][None, :-1], (1, 0), value=len(code))
    at_once, cache = gpt(rows), Cache(gpt, 1, 128)
    one_by_one = torch.cat([gpt(rows[:, at : at + 1], cache) for at in range(128)], dim=1)
cache_difference = (at_once - one_by_one).abs().max().item()
exact = copy.deepcopy(gpt).double()
ways = [
    exact.sample(2, torch.Generator().manual_seed(seed), steps=40, cache=kept)
    for kept in (True, False)
]
assert ways[0].equal(ways[1])
wide = GPT(
    len(code), context=256, generator=generator
)  # untrained: time does not depend on weights


def seconds(**options) -> float:
    started = time.perf_counter()
    wide.sample(4, generator, **options)
    return time.perf_counter() - started


with_cache = sorted(seconds(steps=256) for _ in range(3))[1]
middle = seconds(
    steps=64, start=test[:96], cache=False
)  # a step costs in proportion to its past
cache_speedup = 4 * middle / with_cache
with record_table():
    record("cache_difference", cache_difference, unit="log-odds", kind="score")
    record("cache_speedup", cache_speedup, kind="score")
print(f"four texts at once: {4 * 256 / with_cache:.0f} tokens a second with the cache")

# %% [markdown]
# ## 12 · An induction head
#
# How does a transformer copy? Take 50 random tokens, and then the same 50 again. Nothing can be known of the first time, everything of the second. An **induction head** (Olsson and others 2022) does this: at a token, it finds where the same token came before, and looks at **the one after it**. It needs two layers. The first lets each place note which token came before it. The second looks for the place that noted *my* token.
#
# Our GPT of the book first. Then two small ones, of one and of two layers, that learn from texts in which random tokens come round again and again, each text with its own period.

# %%
length = 50
once = torch.randint(
    63, len(code), (32, length), generator=generator
)  # no single characters
with torch.no_grad():
    nats = -gpt.token_log_prob(torch.cat([once, once], dim=1))
print(
    f"the book's GPT: {nats[:, :length].mean():.2f} nats a token, the second time {nats[:, length:].mean():.2f}"
)

kinds, room = 40, 36


def rounds(n: int) -> tuple[Tensor, Tensor]:
    """Random tokens that repeat with a random period of 8 to 16: (n, 36), and the periods (n, 1)."""
    period = torch.randint(8, 17, (n, 1), generator=generator)
    once = torch.randint(kinds, (n, room), generator=generator)
    return once.gather(1, torch.arange(room) % period), period


copied, period = rounds(500)
again = torch.arange(room) > period  # a token that has come before, behind one that has
copiers, copy_nats = {}, {}
for layers in (1, 2):
    copiers[layers] = GPT(kinds, 64, layers, 2, room, generator)
    copiers[layers].fit(
        rounds(32 * copy_steps)[0], epochs=1, batch_size=32, seed=seed, progress=False
    ).cpu()
    with torch.no_grad():
        copy_nats[layers] = -copiers[layers].token_log_prob(copied)[again].mean().item()
with record_table():
    record("copy_nats_one_layer", copy_nats[1], unit="nats/token", kind="score")
    record("copy_nats_two_layers", copy_nats[2], unit="nats/token", kind="score")

maps, learned = (
    [],
    {name: weight.detach() for name, weight in copiers[2].named_parameters()},
)
with torch.no_grad():
    transformer(F.pad(copied[:, :-1], (1, 0), value=kinds), learned, 2, maps=maps)
# Place t has just read token t − 1. The same token was read at place t − period, the one after it a place later.
targets = (torch.arange(room) - period + 1).clamp(min=0)
induction = torch.stack(
    [w.gather(3, targets[:, None, :, None].expand(-1, 2, -1, 1))[..., 0] for w in maps]
)
induction = (induction * again[:, None]).sum((1, 3)) / again.sum()  # (layers, heads)
layer, head = divmod(induction.argmax().item(), 2)
record("induction_attention", induction.max().item(), kind="score")
print(f"strongest: head {head + 1} of layer {layer + 1}")
assert copy_nats[2] < copy_nats[1] / 2 and layer == 1

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.1))
for layers, model in copiers.items():
    axes[0].plot(
        model.step_losses_, label=f"{layers} layer{'s' * (layers > 1)}", linewidth=1
    )
axes[0].set(xlabel="step", ylabel="nats a token")
axes[0].legend()
previous = maps[0][0].diagonal(-1, 1, 2).mean(1).argmax().item()
for ax, number, chosen in ((axes[1], 0, previous), (axes[2], 1, head)):
    ax.imshow(maps[number][0, chosen], vmin=0, vmax=1, cmap="Blues")
    ax.set(
        title=f"layer {number + 1}, head {chosen + 1}", xlabel="looks at", ylabel="place"
    )
caption(
    f"Left: while they learn. With two layers the loss falls suddenly, when the induction head forms. Middle and right: "
    f"attention in one text of period {period[0].item()}; in the second layer a line lies one place less than a period back."
)

# %% [markdown]
# The book's GPT has no such head: the second time is as hard as the first. Names come back in its text, but after so few steps it has learned the common ones by heart instead of learning to copy. Large models form induction heads early in their training, with the same sudden fall of the loss.

# %% [markdown]
# ## 13 · What this family is good and bad at
#
# Good: exact likelihoods, any length, training parallel over all places, and it copies, compares and goes on from any beginning. Bad: it needs far more text and time than counting to win; attention costs grow with the square of the context; what it wrote it cannot take back.

# %%
from utils.families import families

families("13")

# %% [markdown]
# ## 14 · Remember
#
# 1. A language model is a compressor. Bits per character compare all of them, whatever their tokens.
# 2. Put counting beside every small language model. At this size it wins, and a mean of both beats both.
# 3. Attention is a weighted mean of values, by matching queries with keys; masked, scaled, with positions. Each can be switched off, and each has its price.
# 4. Check causality by autograd, probabilities by their sum, a model on a language whose entropy is known.
# 5. Temperature, top-k and nucleus change what is drawn, not what is known. Measure repetition and copying.
#
# **Exercises**: `course start 13`, then open `work/13_transformers/exercises.ipynb`. You write a merge, bits per character, attention, its heads, rotary positions, the nucleus, Kneser and Ney's counting and a step with a cache. Then what this lesson left out: **speculative sampling**, in which a small model drafts and a large one corrects, so that the law is exactly that of the large one; and **low-rank adaptation**, which changes a matrix by a product of two thin ones. In the end you train a model of your own on a language whose entropy is known.
#
# **Further reading**
# - C. Shannon: *Prediction and entropy of printed English*, 1951.
# - R. Kneser, H. Ney: *Improved backing-off for m-gram language modeling*, 1995; S. Chen, J. Goodman: *An empirical study of smoothing techniques for language modeling*, 1999.
# - R. Sennrich, B. Haddow, A. Birch: *Neural machine translation of rare words with subword units*, 2016, arXiv:1508.07909.
# - A. Vaswani and others: *Attention is all you need*, 2017, arXiv:1706.03762.
# - J. Su and others: *RoFormer: enhanced transformer with rotary position embedding*, 2021, arXiv:2104.09864.
# - A. Holtzman and others: *The curious case of neural text degeneration*, 2020, arXiv:1904.09751: the nucleus, and repetition.
# - J. Kaplan and others: *Scaling laws for neural language models*, 2020, arXiv:2001.08361; J. Hoffmann and others: *Training compute-optimal large language models*, 2022, arXiv:2203.15556.
# - T. Brown and others: *Language models are few-shot learners*, 2020, arXiv:2005.14165: GPT-3.
# - C. Olsson and others: *In-context learning and induction heads*, 2022, arXiv:2209.11895.
# - K. Jordan and others: *Muon: an optimizer for hidden layers in neural networks*, 2024.
