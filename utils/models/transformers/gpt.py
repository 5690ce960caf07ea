"""A small GPT: text by the chain rule, with attention to all that came before."""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.models.transformers.muon import Muon
from utils.models.transformers.tokens import check_tokens, draw
from utils.training import Trainer
from utils.validation import whole

BASE = 1000.0  # the slowest pair of coordinates turns by about 1 / BASE of a radian a token


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of coordinates (i, i + D / 2) of `(…, T, D)` by its angle, `cos` and `sin` `(T, D / 2)`.

    Query · key then depends on how far apart two places are, not on where they are.
    Source: J. Su et al., RoFormer: enhanced transformer with rotary position embedding, 2021, arXiv 2104.09864.
    """
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def norm(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 in the last dimension, without weights of its own."""
    return F.layer_norm(x, x.shape[-1:])


class Cache:
    """Keys and values of all places so far, of every layer; room for all of them is made once."""

    def __init__(self, model: GPT, batch: int, room: int):
        shape = (len(model.blocks), batch, model.heads, room, model.width // model.heads)
        self.keys, self.values = (model.head.weight.new_empty(shape) for _ in range(2))
        self.length = 0


class Block(nn.Module):
    """x ← x + attention(norm x), then x ← x + MLP(norm x): two additions to the residual stream `(B, T, width)`."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, memory: tuple[Tensor, Tensor] | None, at: int) -> Tensor:
        B, T, width = x.shape
        qkv = self.qkv(norm(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, B, heads, T, D)
        q, k = rotate(norm(qkv[:2]), cos, sin)
        v = qkv[2]
        if memory is not None:
            keys, values = memory
            keys[:, :, at : at + T], values[:, :, at : at + T] = k, v
            k, v = keys[:, :, : at + T], values[:, :, : at + T]
        mask = None  # several new tokens after old ones: each sees the old ones and the new ones up to itself
        if at and T > 1:
            mask = torch.ones(T, at + T, dtype=torch.bool, device=x.device).tril(at)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=not at and T > 1)  # (B, heads, T, D)
        x = x + self.mix(y.transpose(1, 2).reshape(B, T, width))
        return x + self.down(self.up(norm(x)).relu().square())


class GPT(nn.Module):
    """p(x) = Π_t p(x_t | x_1 … x_{t−1}); a transformer says the log-odds of all tokens at all places at once.

    Before the first token stands a start symbol, number V, that is never predicted. Rotary positions, norms without
    weights, also of queries and keys, and squared ReLU, as in today's small language models.

    Args:
        vocabulary: V, how many tokens there are.
        width: of the residual stream.
        layers, heads: their numbers; each head has width / heads coordinates, an even number.
        context: the most tokens in a row.
        generator: source of randomness of the first weights.

    Raises:
        ValueError: for sizes or tokens that make no sense; the message says what to do.

    Sources: A. Vaswani et al., Attention is all you need, 2017, arXiv 1706.03762; A. Radford et al., Language models
    are unsupervised multitask learners, 2019: GPT-2.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        context: int = 256,
        generator: Generator | None = None,
    ):
        super().__init__()
        self.vocabulary, self.width = whole("vocabulary", vocabulary, 2), whole("width", width)
        self.heads, self.context, layers = whole("heads", heads), whole("context", context), whole("layers", layers)
        if width % (2 * heads):
            raise ValueError(f"width is {width}: expected a multiple of 2 × {heads}, an even number for each head")
        self.embedding = nn.Embedding(vocabulary + 1, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.head = nn.Linear(width, vocabulary, bias=False)
        half = width // heads // 2
        angle = torch.arange(context + 1, dtype=torch.float64)[:, None] * BASE ** -(torch.arange(half) / half)
        self.register_buffer("cos", angle.cos().float())
        self.register_buffer("sin", angle.sin().float())
        self._start(generator)

    @torch.no_grad()
    def _start(self, generator: Generator | None) -> None:
        """What is added to the residual stream starts at 0, and so do the log-odds: all tokens equally likely."""
        nn.init.normal_(self.embedding.weight, std=0.5, generator=generator)
        nn.init.zeros_(self.head.weight)
        for block in self.blocks:
            for layer, zero in ((block.qkv, False), (block.mix, True), (block.up, False), (block.down, True)):
                bound = 0.0 if zero else (3 / self.width) ** 0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)

    def forward(self, read: Tensor, cache: Cache | None = None) -> Tensor:
        """Log-odds `(B, T, V)` of the token after each of `read` `(B, T)`, in which the number V is the start symbol.

        With a `cache`, `read` are the tokens that follow those which it holds; their keys and values are added to it.
        """
        at, T = (0, read.shape[1]) if cache is None else (cache.length, read.shape[1])
        x, cos, sin = self.embedding(read), self.cos[at : at + T], self.sin[at : at + T]
        for number, block in enumerate(self.blocks):
            memory = None if cache is None else (cache.keys[number], cache.values[number])
            x = block(x, cos, sin, memory, at)
        if cache is not None:
            cache.length += T
        return self.head(norm(x))

    def token_log_prob(self, x: Tensor, *, batch_size: int = 32) -> Tensor:
        """log p of each token given those before it in its row, in nats: rows `(B, T)`, or a text `(T,)` of any length.

        A text is read in windows of `context` tokens that overlap by half, so that behind its first half window each
        token is predicted from at least context / 2 tokens.
        """
        x = check_tokens("x", x, self.vocabulary)
        if x.ndim == 2:
            return -F.cross_entropy(self._predict(x).mT, x, reduction="none")
        half = max(1, self.context // 2)
        windows = x.unfold(0, self.context, half) if len(x) >= self.context else x[None]
        rows = torch.cat([self.token_log_prob(rows) for rows in windows.split(batch_size)])
        parts = [rows[0, :half], rows[:, half:].flatten()]  # of each window the second half
        done = sum(map(len, parts))
        if done < len(x):  # what is left at the end
            parts.append(self.token_log_prob(x[None, -self.context :])[0, done - len(x) :])
        return torch.cat(parts)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of rows of tokens `(B, T)`, in nats: `(B,)`."""
        return self.token_log_prob(check_tokens("x", x, self.vocabulary, rows=True)).sum(1)

    def fit(self, x: Tensor, *, lr: float = 2e-2, batch_size: int = 8, **options) -> Self:
        """Maximize the likelihood of rows `(B, T)`, or of a text `(T,)`, cut into rows of `context` tokens.

        `history_` has the means of each epoch, in nats a token, and `step_losses_` the loss of each step: in a first
        epoch that of rows not seen before. Returns the model itself.

        Args:
            lr, batch_size, options: of `utils.training.Trainer`; the optimizer is `Muon`.
        """
        x = check_tokens("x", x, self.vocabulary)
        x = x.unfold(0, min(self.context, len(x)), self.context) if x.ndim == 1 else x
        matrices = [p for p in self.blocks.parameters() if p.ndim == 2]
        others = [p for p in self.parameters() if not any(p is matrix for matrix in matrices)]
        options = {"optimizer": lambda _, lr: Muon(matrices, others, lr=lr), "schedule": decay, "warmup": 30} | options
        trainer = Trainer(self, self._loss, lr=lr, batch_size=batch_size, **options)
        self.history_ = trainer.fit(x).history
        self.step_losses_ = trainer.losses
        return self

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        *,
        steps: int | None = None,
        start: Tensor | None = None,
        cache: bool = True,
        **options,
    ) -> Tensor:
        """`n` rows of `steps` tokens (by default `context`), each drawn given those before it: `(n, steps)`.

        When the context is full, the model reads its second half anew and goes on from there.

        Args:
            start: tokens `(T,)` or `(n, T)` that come before; they are not returned.
            cache: keep keys and values; without it everything is computed anew for each token.
            options: temperature, top_k and top_p, see `draw`.
        """
        n, steps = whole("n", n), whole("steps", self.context if steps is None else steps)
        device = self.head.weight.device
        first = 1 if start is None else 1 + check_tokens("start", start, self.vocabulary).shape[-1]
        read = torch.full((n, first + steps), self.vocabulary, device=device)
        if start is not None:
            read[:, 1:first] = start
        half, held = max(1, self.context // 2), (None, -1)
        for at in range(first, first + steps):
            # The window begins anew, behind a start symbol, whenever context / 2 tokens more have been drawn.
            begin = max(0, -(-(at - self.context) // half)) * half
            if cache and begin == held[1]:
                log_odds = self(read[:, at - 1 : at], held[0])
            else:
                held = (Cache(self, n, self.context), begin) if cache else held
                log_odds = self(torch.cat([read[:, :1], read[:, begin + 1 : at]], dim=1), held[0])
            read[:, at : at + 1] = draw(log_odds[:, -1], generator, **options)
        return read[:, first:]

    def _predict(self, x: Tensor) -> Tensor:
        """Log-odds `(B, T, V)` of the tokens of `x` themselves, each from those before it."""
        if x.shape[1] > self.context:
            raise ValueError(f"x has rows of {x.shape[1]} tokens: expected at most {self.context}, the context")
        return self(F.pad(x[:, :-1], (1, 0), value=self.vocabulary))

    def _loss(self, x: Tensor, training: Trainer) -> Tensor:
        return F.cross_entropy(self._predict(x).flatten(0, 1), x.flatten())

    def __repr__(self) -> str:
        sizes = f"{self.vocabulary}, width={self.width}, layers={len(self.blocks)}, heads={self.heads}"
        return f"GPT({sizes}, context={self.context})"


def decay(done: float) -> float:
    """The rate stays at its highest for the first half of the training and falls to 0 in the second."""
    return min(1.0, 2 * (1 - done))
