"""PixelCNN: the chain rule over pixels by convolutions that look only at what came before."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.autoregressive.images import AutoregressiveImages, Choose
from utils.validation import whole


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees the rows above, and of its own row what is to the left.

    Args:
        inputs, outputs: channels.
        size: side of the kernel, odd.
        center: whether it sees its own place too. The first layer of a network must not (mask A in the paper); the
            later ones may (mask B), because there the own place holds only what came before.

    Source: van den Oord, Kalchbrenner & Kavukcuoglu, Pixel recurrent neural networks, 2016, arXiv 1601.06759.
    """

    def __init__(self, inputs: int, outputs: int, size: int, center: bool):
        if whole("size", size) % 2 == 0:
            raise ValueError(f"size is {size}: expected an odd number, so that the kernel has a center")
        super().__init__(inputs, outputs, size, padding=size // 2)
        before = torch.arange(size * size).view(size, size)
        middle = size * size // 2
        self.register_buffer("mask", (before <= middle if center else before < middle).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(AutoregressiveImages):
    """Masked convolutions, one after another. It is simple, and has a blind spot: see `GatedPixelCNN`.

    Args:
        shape: (H, W).
        channels: of each hidden layer.
        layers: masked convolutions after the first, each added to what it gets.
        size: side of the kernels.
        patch: pixels along one side of a patch.

    Source: van den Oord, Kalchbrenner & Kavukcuoglu, Pixel recurrent neural networks, 2016, arXiv 1601.06759.
    """

    def __init__(self, shape: tuple[int, int], channels: int = 16, layers: int = 4, size: int = 3, patch: int = 1):
        super().__init__(shape, patch)
        self.first = MaskedConv2d(patch * patch, channels, size, center=False)
        self.layers = nn.ModuleList(MaskedConv2d(channels, channels, size, center=True) for _ in range(layers))
        self.last, self.bias = nn.Conv2d(channels, self.symbols - 1, 1), self._bias()

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(self.bits(x))
        for layer in self.layers:
            h = h + layer(h.relu())
        return self.last(h.relu()) + self.bias


class GatedLayer(nn.Module):
    """One step of the two stacks, without a blind spot.

    The vertical stack v at row i knows the rows above i, on both sides; the horizontal stack h knows the own row left
    of the patch, and asks v for the rest: h ← h + mix(tanh(a) σ(b)), with a and b from h and v. The gate σ(b) lets a
    patch decide which of its findings count.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.above = nn.Conv2d(channels, channels, (2, 3))
        self.left = nn.Conv2d(channels, 2 * channels, (1, 2))
        self.down = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        v = v + self.above(F.pad(v, (1, 1, 1, 0))).relu()  # this row of v and the one above it
        h = h + self.mix(gate(self.left(F.pad(h, (1, 0, 0, 0))) + self.down(v)))
        return v, h


class GatedPixelCNN(AutoregressiveImages):
    """A vertical and a horizontal stack of convolutions; every patch before a patch is within its reach.

    A shift takes the place of masks: a kernel of the size of what may be seen, and zeros on that side of the image.
    Each patch also has its own embedding, because a digit lies in the middle of its image.

    Args:
        shape: (H, W).
        channels: of each stack.
        layers: steps of the two stacks after the first one.
        patch: pixels along one side of a patch.

    Source: van den Oord et al., Conditional image generation with PixelCNN decoders, 2016, arXiv 1606.05328. There v
    is gated too.
    """

    def __init__(self, shape: tuple[int, int], channels: int = 32, layers: int = 5, patch: int = 1):
        super().__init__(shape, patch)
        self.above = nn.Conv2d(patch * patch, channels, (2, 5))
        self.left = nn.Conv2d(patch * patch, channels, (1, 2))
        self.down = nn.Conv2d(channels, channels, 1)
        self.places = nn.Parameter(torch.zeros(2, channels, *self.grid))
        self.layers = nn.ModuleList(GatedLayer(channels) for _ in range(layers))
        self.last, self.bias = nn.Conv2d(channels, self.symbols - 1, 1), self._bias()
        nn.init.zeros_(self.last.weight)  # begin with the frequencies in `bias`
        nn.init.zeros_(self.last.bias)
        self.to(memory_format=torch.channels_last)  # on a processor convolutions are faster so

    def forward(self, x: Tensor) -> Tensor:
        bits = self.bits(x).contiguous(memory_format=torch.channels_last)
        v = self.above(F.pad(bits, (2, 2, 2, 0)))[:, :, :-1] + self.places[0]  # rows i − 2 and i − 1
        h = self.left(F.pad(bits, (2, 0, 0, 0)))[..., :-1] + self.down(v) + self.places[1]  # columns j − 2 and j − 1
        for layer in self.layers:
            v, h = layer(v, h)
        return self.last(h.relu()) + self.bias

    def _walk(self, x: Tensor, kept: int, choose: Choose) -> Tensor:
        """Compute each number once: v row by row, for all its columns at once; h patch by patch.

        What a layer needs again is the row of v above and the patch of h to the left, as they came into it.
        """
        (height, width), n = self.grid, len(x)
        bits = F.pad(self.bits(x), (2, 2, 2, 0))  # patch (i, j) is at (i + 2, j + 2)
        first = self.left.weight.flatten(1)
        lefts = [layer.left.weight.transpose(1, 3).flatten(1) for layer in self.layers]
        rows = [x.new_zeros(n, self.down.in_channels, 1, width) for _ in self.layers]
        for i in range(height):
            v = self.above(bits[:, :, i : i + 2]) + self.places[0, :, i : i + 1]
            downs = [self.down(v) + self.places[1, :, i : i + 1]]
            for at, layer in enumerate(self.layers):
                both, rows[at] = torch.cat([rows[at], v], 2), v
                v = v + layer.above(F.pad(both, (1, 1))).relu()
                downs.append(layer.down(v))
            if (i + 1) * width <= kept:
                continue
            downs = [down[:, :, 0].permute(2, 0, 1).contiguous() for down in downs]  # (W, n, channels)
            before = [x.new_zeros(n, self.down.in_channels) for _ in self.layers]
            for j in range(width):
                h = F.linear(bits[:, :, i + 2, j : j + 2].flatten(1), first, self.left.bias) + downs[0][j]
                for at, layer in enumerate(self.layers):
                    both, before[at] = torch.cat([before[at], h], 1), h
                    opened = gate(F.linear(both, lefts[at], layer.left.bias) + downs[at + 1][j])
                    h = h + F.linear(opened, layer.mix.weight.flatten(1), layer.mix.bias)
                log_odds = F.linear(h.relu(), self.last.weight.flatten(1), self.last.bias) + self.bias[:, i, j]
                bits[:, :, i + 2, j + 2] = self.decode(choose(i * width + j, log_odds)).to(bits)
        return F.pixel_shuffle(bits[:, :, 2:, 2:-2], self.patch)


def gate(x: Tensor) -> Tensor:
    """tanh(a) σ(b) of the two halves of the channels, `(B, 2 C, ...)` → `(B, C, ...)`."""
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()
