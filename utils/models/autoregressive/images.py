"""Black-and-white images by the chain rule: each pixel, or small patch of pixels, given all that came before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from utils.data import binarize as draw_binary
from utils.training import Trainer
from utils.validation import as_parameters, tensor, whole

Choose = Callable[[int, Tensor], Tensor]


class AutoregressiveImages(nn.Module):
    """p(x) = Π_s p(x_s | x_1 … x_{s−1}) over the patches s of an image; what its subclasses share.

    A patch is a square of patch × patch pixels, with patch = 1 a pixel. Its symbol is the number k whose binary digits
    are their zeros and ones, from 0, all white, to K − 1, where K = 2^(patch²). A subclass says in `forward`, for all
    patches at once, the log-odds of each symbol k > 0 against symbol 0: `(B, 1, H, W)` → `(B, K − 1, H / patch,
    W / patch)`. It must never let those of a patch depend on the patch itself or on a later one.

    Args:
        shape: (H, W).
        patch: pixels along one side of a patch, 1 or 2.

    Raises:
        ValueError, TypeError: for sizes or images that make no sense; the message says what to do.
    """

    def __init__(self, shape: tuple[int, int], patch: int = 1):
        super().__init__()
        height, width = (whole("shape", side) for side in shape)
        patch = whole("patch", patch)
        if patch not in (1, 2) or height % patch or width % patch:
            raise ValueError(f"images of {height} × {width} in patches of {patch}: expected 1, or 2 and even sides")
        self.shape, self.patch, self.symbols = (height, width), patch, 2 ** (patch * patch)
        self.grid = (height // patch, width // patch)
        self.order = list(range(self.grid[0] * self.grid[1]))  # the patches in the order in which they are drawn

    def nll_per_patch(self, x: Tensor) -> Tensor:
        """−log p(x_s | x_1 … x_{s−1}) of each patch of `x` `(B, 1, H, W)`, in nats: `(B, H / patch, W / patch)`."""
        log_odds = self(self._check(x))
        return F.cross_entropy(F.pad(log_odds, (0, 0, 0, 0, 1, 0)), self.encode(x), reduction="none")

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exact, in nats: `(B,)`."""
        return -self.nll_per_patch(x).flatten(1).sum(1)

    @torch.no_grad()
    def nll(self, x: Tensor, *, batch_size: int = 250) -> float:
        """Mean of −log p(x) over many images in nats per image, computed in blocks."""
        return -sum(self.log_prob(rows).double().sum().item() for rows in x.split(batch_size)) / len(x)

    # --- pixels and symbols ---

    def bits(self, x: Tensor) -> Tensor:
        """The pixels of each patch as channels, `(B, 1, H, W)` → `(B, patch², H / patch, W / patch)`."""
        return F.pixel_unshuffle(x, self.patch)

    def encode(self, x: Tensor) -> Tensor:
        """The symbol of each patch, `(B, 1, H, W)` → `(B, H / patch, W / patch)`."""
        bits = self.bits(x)
        return (bits.long() << torch.arange(bits.shape[1], device=x.device)[:, None, None]).sum(1)

    def decode(self, symbols: Tensor) -> Tensor:
        """The pixels of symbols `(B,)`: `(B, patch²)` of zeros and ones."""
        return (symbols[:, None] >> torch.arange(self.patch**2, device=symbols.device)) & 1

    # --- samples ---

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        *,
        temperature: float = 1.0,
        start: Tensor | None = None,
        rows: int = 0,
        naive: bool = False,
    ) -> Tensor:
        """`n` images `(n, 1, H, W)`, drawn patch by patch.

        The uniform numbers are drawn first: one seed gives the same images, however they are computed.

        Args:
            temperature: log-odds are divided by it; below 1 the likelier symbol wins more often.
            start, rows: the first `rows` rows of these images, `(n, 1, H, W)` or one for all, are kept.
            naive: compute the whole network anew for each patch, even where the subclass knows better.
        """
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}: expected a number above 0")
        n, kept = whole("n", n), self._kept(start, rows)
        place = next((t for t in (*self.parameters(), *self.buffers()) if t.is_floating_point()), torch.zeros(()))
        x = torch.zeros(n, 1, *self.shape, dtype=place.dtype, device=place.device)
        if kept:
            x[:, :, :rows] = self._check(start)[:, :, :rows]
        given, device = self.encode(x).flatten(1), None if generator is None else generator.device
        noise = torch.rand(n, len(self.order), generator=generator, dtype=torch.float64, device=device).to(x.device)

        def choose(at: int, log_odds: Tensor) -> Tensor:
            """The symbols `(n,)` of a patch, from their log-odds `(n, K − 1)`."""
            if at < kept:
                return given[:, at]
            probabilities = F.pad(log_odds / temperature, (1, 0)).softmax(1)
            return (noise[:, at : at + 1] > probabilities.cumsum(1)[:, :-1]).sum(1)

        walk = AutoregressiveImages._walk if naive else type(self)._walk
        return walk(self.eval(), x, kept, choose)

    def _walk(self, x: Tensor, kept: int, choose: Choose) -> Tensor:
        """Fill the patches of `x` after the first `kept`, one after the other."""
        columns, size = self.grid[1], self.patch
        for at in self.order[kept:]:
            row, column = divmod(at, columns)
            square = self.decode(choose(at, self(x)[:, :, row, column])).view(-1, size, size)
            x[:, 0, size * row : size * (row + 1), size * column : size * (column + 1)] = square.to(x)
        return x

    def _kept(self, start: Tensor | None, rows: int) -> int:
        """How many patches are kept."""
        if (start is None) != (rows == 0):
            raise ValueError("start and rows go together: images, and how many of their first rows to keep")
        if not 0 <= rows <= self.shape[0] or rows % self.patch:
            raise ValueError(f"rows is {rows}: expected 0 to {self.shape[0]}, a multiple of {self.patch}")
        if rows and self.order != sorted(self.order):
            raise ValueError("only a model in reading order can go on from rows: the first rows come first there")
        return rows // self.patch * self.grid[1]

    # --- learning ---

    def fit(self, x: Tensor, *, binarize: bool = False, validation: Tensor | None = None, **options) -> Self:
        """Maximize the likelihood of images `x` `(B, 1, H, W)`; `history_` has the means of each epoch.

        The bias of each patch starts at the log-odds of its symbols in the data. Returns the model itself.

        Args:
            binarize: draw each batch of gray images anew as zeros and ones.
            validation: see `utils.training.Trainer.fit`.
            options: of `utils.training.Trainer`, such as epochs, batch_size, lr, seed.
        """

        def loss(x: Tensor, training: Trainer) -> Tensor:
            return -self.log_prob(draw_binary(x, training.generator) if binarize else x)

        seed = options.get("seed", 0)
        some = draw_binary(x, torch.Generator(x.device).manual_seed(seed)) if binarize else self._check(x)
        counts = 0.1 + sum(F.one_hot(self.encode(rows), self.symbols).sum(0) for rows in some.split(1000))  # (…, K)
        with torch.no_grad():
            self.bias.copy_((counts[..., 1:] / counts[..., :1]).log().permute(2, 0, 1))
        self.history_ = Trainer(self, loss, **options).fit(x, validation).history
        return self

    def _bias(self) -> nn.Parameter:
        return nn.Parameter(torch.zeros(self.symbols - 1, *self.grid))

    def _check(self, x: Tensor) -> Tensor:
        if tensor("x", x).ndim != 4 or x.shape[1:] != (1, *self.shape) or not len(x) or not x.is_floating_point():
            what = f"(B, 1, {self.shape[0]}, {self.shape[1]}) with B > 0 in floating point"
            raise ValueError(f"x has shape {tuple(x.shape)} and type {x.dtype}: expected {what}")
        if not (x * (x - 1) == 0).all():
            raise ValueError(
                "x holds values other than 0 and 1: draw them with utils.data.binarize, or fit(binarize=True)"
            )
        return as_parameters("x", x, self)
