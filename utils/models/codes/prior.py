"""A distribution over grids of codes: each code given those before it, in the order in which one reads."""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.training import Trainer
from utils.validation import tensor, whole


class CodePrior(nn.Module):
    """p(c) = Π_s p(c_s | c_1 … c_{s−1}) over the places s of a grid; each factor is a softmax over K codes.

    A gated PixelCNN: the vertical stack v knows the rows above, the horizontal stack h what is left in its own row, and
    asks v for the rest. Chapter 12 explains it; there it speaks of pixels.

    Args:
        n_codes: K.
        grid: (H, W).
        channels: of each stack.
        layers: steps of the two stacks.
        dropout: share of what h knows that is hidden from the last layer in training.

    Source: van den Oord et al., Conditional image generation with PixelCNN decoders, 2016, arXiv 1606.05328.
    """

    def __init__(self, n_codes: int, grid: tuple[int, int], channels: int = 32, layers: int = 4, dropout: float = 0.0):
        super().__init__()
        height, width = (whole("grid", side) for side in grid)
        self.n_codes, self.grid, channels = whole("n_codes", n_codes), (height, width), whole("channels", channels)
        self.embedding = nn.Parameter(torch.randn(self.n_codes, channels))
        self.places = nn.Parameter(torch.zeros(2, channels, height, width))
        self.layers = nn.ModuleList(_Layer(channels) for _ in range(whole("layers", layers)))
        self.dropout, self.last = nn.Dropout(dropout), nn.Conv2d(channels, self.n_codes, 1)
        self.bias = nn.Parameter(torch.zeros(self.n_codes, height, width))
        nn.init.zeros_(self.last.weight)  # begin with codes that do not know of each other
        nn.init.zeros_(self.last.bias)
        self.to(memory_format=torch.channels_last)  # on a processor convolutions are faster so

    def forward(self, codes: Tensor) -> Tensor:
        """Log-odds of all codes at all places, up to a constant: `(B, H, W)` → `(B, K, H, W)`."""
        return self.from_vectors(self.embedding[self._check(codes)].permute(0, 3, 1, 2))

    def from_vectors(self, x: Tensor) -> Tensor:
        """The same from the embeddings of the codes, `(B, C, H, W)`."""
        v = F.pad(x, (0, 0, 1, 0))[:, :, :-1] + self.places[0]  # the row above
        h = F.pad(x, (1, 0))[..., :-1] + self.places[1]  # the code at the left
        for layer in self.layers:
            v, h = layer(v, h)
        return self.last(self.dropout(h.relu())) + self.bias

    def log_prob(self, codes: Tensor) -> Tensor:
        """log p(c) `(B,)`, exact, in nats."""
        codes = self._check(codes)
        return -F.cross_entropy(self(codes), codes, reduction="none").sum((1, 2))

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None, *, temperature: float = 1.0) -> Tensor:
        """`n` grids of codes `(n, H, W)`, drawn place by place; each number of the network is computed once."""
        n = whole("n", n)
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}: expected a number above 0")
        self.eval()
        (height, width), place = self.grid, self.bias
        device = None if generator is None else generator.device
        noise = torch.rand(height * width, n, 1, generator=generator, dtype=torch.float64, device=device).to(place)
        codes = torch.zeros(n, height, width, dtype=torch.int64, device=place.device)
        nothing = place.new_zeros(n, self.embedding.shape[1], 1, width)
        row, above = nothing, [nothing] * len(self.layers)  # the embeddings of the row before; v of each layer there
        for i in range(height):
            v, downs = row + self.places[0, :, i : i + 1], []
            for at, layer in enumerate(self.layers):
                both, above[at] = torch.cat([above[at], v], 2), v
                v = layer.step_v(v, both)
                downs.append(layer.down(v))
            before, left = nothing[..., :1], [nothing[..., :1]] * len(self.layers)
            for j in range(width):
                h = before + self.places[1, :, i : i + 1, j : j + 1]
                for at, layer in enumerate(self.layers):
                    both, left[at] = torch.cat([left[at], h], 3), h
                    h = layer.step_h(h, both, downs[at][..., j : j + 1])
                log_odds = self.last(h.relu())[:, :, 0, 0] + self.bias[:, i, j]
                shares = (log_odds / temperature).softmax(1).cumsum(1)[:, :-1]
                codes[:, i, j] = (noise[i * width + j] > shares).sum(1)
                before = self.embedding[codes[:, i, j]][:, :, None, None]
            row = self.embedding[codes[:, i]].permute(0, 2, 1)[:, :, None]  # (n, C, 1, W)
        return codes

    def fit(self, codes: Tensor, validation: Tensor | None = None, **options) -> Self:
        """Maximize the likelihood of codes `(B, H, W)`; `history_` has the means of each epoch.

        `options` are those of `utils.training.Trainer`. Returns the prior itself. Codes of images that are drawn anew
        at each step: `VQVAE.fit_prior`.
        """
        trainer = Trainer(self, lambda codes, training: -self.log_prob(codes), **options)
        self.history_ = trainer.fit(self._check(codes), validation).history
        return self

    def _check(self, codes: Tensor) -> Tensor:
        whole_numbers = not tensor("codes", codes).is_floating_point()
        if codes.ndim != 3 or codes.shape[1:] != self.grid or not len(codes) or not whole_numbers:
            what = f"(B, {self.grid[0]}, {self.grid[1]}) with B > 0, whole numbers"
            raise ValueError(f"codes have shape {tuple(codes.shape)} and type {codes.dtype}: expected {what}")
        if not 0 <= codes.min() <= codes.max() < self.n_codes:
            low, high = codes.min().item(), codes.max().item()
            raise ValueError(f"codes go from {low} to {high}: expected whole numbers from 0 to {self.n_codes - 1}")
        return codes.long()


class _Layer(nn.Module):
    """v ← v + gate of the row above and this one; h ← h + mix(gate of left, own place and v)."""

    def __init__(self, channels: int):
        super().__init__()
        self.above = nn.Conv2d(channels, channels, (2, 3))
        self.left = nn.Conv2d(channels, 2 * channels, (1, 2))
        self.down = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        v = self.step_v(v, F.pad(v, (0, 0, 1, 0)))
        return v, self.step_h(h, F.pad(h, (1, 0)), self.down(v))

    def step_v(self, v: Tensor, both: Tensor) -> Tensor:
        """`both` is this row and the one above it."""
        return v + self.above(F.pad(both, (1, 1))).relu()

    def step_h(self, h: Tensor, both: Tensor, down: Tensor) -> Tensor:
        """`both` is this place and the one at its left; `down` is what v says."""
        a, b = (self.left(both) + down).chunk(2, 1)
        return h + self.mix(a.tanh() * b.sigmoid())
