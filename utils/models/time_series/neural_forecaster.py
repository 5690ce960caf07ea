"""Neural autoregression: a network reads the past, and a mixture of Gaussians says what may come next."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Generator, Tensor, nn

from utils.nets import start
from utils.training import Trainer
from utils.validation import numbers, tensor, whole

INPUTS = 2  # the value, 0 where it is missing, and whether it is known


class GRUMemory(nn.Module):
    """The past as a vector that is rewritten at each step: `(B, T, inputs)` → `(B, T, hidden)`.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, arXiv 1406.1078.
    """

    def __init__(self, hidden: int = 32, generator: Generator | None = None):
        super().__init__()
        self.width = hidden = whole("hidden", hidden)
        self.cell = nn.GRU(INPUTS, hidden, batch_first=True)
        for parameter in self.cell.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5, generator=generator)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What is known after each input, and the state `(B, 1, hidden)` from which to go on with later ones."""
        h, state = self.cell(x, None if state is None else state.transpose(0, 1).contiguous())
        return h, state.transpose(0, 1)


class CausalConv(nn.Module):
    """The past through convolutions that never look ahead: `(B, T, inputs)` → `(B, T, channels)`.

    Layer l looks at two values, 2^l steps apart, so L layers see 2^L steps. Each has a gate: tanh(a) σ(b), is added to
    what came in (residual), and has its say in the output (skip).

    Source: van den Oord et al., WaveNet: a generative model for raw audio, 2016, arXiv 1609.03499.
    """

    def __init__(self, channels: int = 24, layers: int = 5, generator: Generator | None = None):
        super().__init__()
        channels, layers = whole("channels", channels), whole("layers", layers)
        self.width, self.field = channels, 2**layers
        self.first = start(nn.Conv1d(INPUTS, channels, 1), generator)
        self.gated = nn.ModuleList(
            start(nn.Conv1d(channels, 2 * channels, 2, dilation=2**layer), generator) for layer in range(layers)
        )
        self.mixed = nn.ModuleList(start(nn.Conv1d(channels, channels, 1), generator) for _ in range(layers))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As above; the state is the last inputs, as many as the layers can see beside the new one."""
        steps = x.shape[1]
        if state is None:
            state = x.new_zeros(len(x), self.field - 1, INPUTS)  # nothing is known
        x = torch.cat([state, x], dim=1)
        h, total = self.first(x.mT), 0.0  # (B, channels, field − 1 + T)
        for gated, mixed in zip(self.gated, self.mixed, strict=True):
            signal, gate = gated(h).chunk(2, dim=1)  # shorter by the dilation
            new = mixed(signal.tanh() * gate.sigmoid())
            h = h[:, :, -new.shape[2] :] + new
            total = total + new[:, :, -steps:]
        return total.relu().mT, x[:, -(self.field - 1) :]


class NeuralForecaster(nn.Module):
    """p(x_t | x_<t) = Σ_k w_k N(x_t; μ_k, σ_k²), where w, μ and σ come from a network that has read x_<t.

    Missing values are NaN: they are shown to the network as missing, and not scored. `fit` stores mean and standard
    deviation of the training series, and the network works in these units; all that goes in and out has the data's.

    Args:
        memory: `GRUMemory`, `CausalConv`, or a module like them.
        components: K.
        generator: of the first weights of the output layer.

    Raises:
        ValueError: for data that make no sense; the message says what to do.

    Source: C. M. Bishop, Mixture density networks, 1994, for the output.
    """

    def __init__(self, memory: nn.Module, components: int = 3, generator: Generator | None = None):
        super().__init__()
        self.memory, self.components = memory, (components := whole("components", components))
        self.head = start(nn.Linear(memory.width, 3 * components), generator)
        # Components that start in one place stay in one place.
        with torch.no_grad():
            self.head.bias.view(3, components)[1] = torch.linspace(-1, 1, components) if components > 1 else 0.0
        self.register_buffer("center", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def fit(
        self,
        x: Tensor,
        *,
        window: int | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        lr: float = 3e-3,
        **options,
    ) -> Self:
        """Maximize the log-density of each value given the true ones before it (teacher forcing).

        `history_` has the means of each epoch. Returns the model itself.

        Args:
            x: one series `(T,)`, cut into all windows of length `window`, or several `(B, T)`.
            window: length of the pieces; at its start a piece knows nothing of what was before.
            epochs, batch_size, lr, options: of the `Trainer`.
        """
        x = numbers("x", x, missing=True).detach()
        window = None if window is None else whole("window", window)
        fits = x.ndim == 2 or (x.ndim == 1 and 1 < (window or 0) <= len(x))
        if not fits or not x.numel():
            raise ValueError(
                f"x has shape {tuple(x.shape)}, window is {window}: expected (B, T), or (T,) with a window of 2 to T"
            )
        known = x[~x.isnan()].double()
        if not (len(known) > 1 and known.max() > known.min()):  # the computed deviation of a constant need not be 0
            raise ValueError("x has one value only, again and again: there is nothing to learn from a constant")
        dtype = self.head.weight.dtype
        self.center, self.scale = known.mean().to(dtype), known.std().to(dtype)
        if abs(self.center - known.mean()) > 0.01 * known.std():
            raise ValueError(
                f"x lies so far from 0 that {dtype} cannot hold its mean: subtract it, or use model.double()"
            )
        pieces = self._units(x).unfold(0, window, 1) if x.ndim == 1 else self._units(x)

        def loss(batch: Tensor, trainer: Trainer) -> Tensor:
            known = ~batch.isnan()
            density = self._density(batch.nan_to_num(0.0), *self._heads(self._shifted(batch))[0])
            return -(density * known).sum(1) / known.sum(1).clamp_min(1)

        trainer = Trainer(self, loss, epochs=epochs, batch_size=batch_size, lr=lr, **{"clip": 1.0} | options)
        self.history_ = trainer.fit(pieces.contiguous()).history
        return self

    def step_log_prob(self, x: Tensor) -> Tensor:
        """log p(x_t | x_<t) in nats for series `(B, T)`, in the same shape; NaN where x_t is missing."""
        if tensor("x", x).ndim != 2 or not x.numel():
            raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, T), not empty, a series a row")
        units = self._units(x)
        return self._density(units, *self._heads(self._shifted(units))[0]) - self.scale.log()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of series `(B, T)` → `(B,)`, in nats, of what is known."""
        return self.step_log_prob(x).nansum(1)

    @torch.no_grad()
    def sample_paths(self, past: Tensor, steps: int, n: int, generator: Generator | None = None) -> Tensor:
        """n futures after `past` `(T,)`, drawn step by step, each step from what was drawn before: `(n, steps)`."""
        if tensor("past", past).ndim != 1:
            raise ValueError(f"past has shape {tuple(past.shape)}: expected one series (T,)")
        n, steps, units = whole("n", n), whole("steps", steps), self._units(past)[None]
        parameters, state = self._heads(self._shifted(torch.cat([units, units.new_zeros(1, 1)], dim=1)))
        parameters = [value[:, -1].expand(n, -1) for value in parameters]
        state, path = state.expand(n, -1, -1), []
        for _ in range(steps):
            path.append(self._draw(*parameters, generator))  # (n,)
            parameters, state = self._heads(_marked(path[-1][:, None]), state)
            parameters = [value[:, -1] for value in parameters]
        return torch.stack(path, dim=1).to(past.dtype) * self.scale + self.center

    def sample(self, n: int, generator: Generator | None = None, *, steps: int) -> Tensor:
        """n series from nothing, `(n, steps)`."""
        return self.sample_paths(self.center.new_zeros(0), steps, n, generator)

    # --- the network and its mixture, in units of the training series ---

    def _units(self, x: Tensor) -> Tensor:
        x = numbers("x", x, missing=True)
        return ((x.to(self.center.device) - self.center) / self.scale).to(self.head.weight.dtype)

    def _shifted(self, x: Tensor) -> Tensor:
        """What is read before each value: the one before it, and for the first that nothing is known; `(B, T, 2)`."""
        return _marked(torch.cat([x.new_full((len(x), 1), math.nan), x[:, :-1]], dim=1))

    def _heads(self, x: Tensor, state: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Log-weights, means and log standard deviations `(B, T, K)`, and the state."""
        h, state = self.memory(x, state)
        logits, means, raw = self.head(h).to(x.dtype).chunk(3, dim=2)
        return [logits.log_softmax(2), means, raw.clamp(-7, 5)], state

    def _density(self, x: Tensor, log_weights: Tensor, means: Tensor, log_std: Tensor) -> Tensor:
        z = (x[..., None] - means) / log_std.exp()
        return (log_weights - log_std - z.square() / 2).logsumexp(-1) - math.log(2 * math.pi) / 2

    def _draw(self, log_weights: Tensor, means: Tensor, log_std: Tensor, generator: Generator | None) -> Tensor:
        which = torch.multinomial(log_weights.exp(), 1, generator=generator)  # (B, 1)
        noise = torch.randn(which.shape, generator=generator, dtype=means.dtype, device=means.device)
        return (means.gather(1, which) + log_std.gather(1, which).exp() * noise)[:, 0]


def _marked(x: Tensor) -> Tensor:
    """A value and whether it is known, `(B, T)` → `(B, T, 2)`."""
    return torch.stack([x.nan_to_num(0.0), (~x.isnan()).to(x.dtype)], dim=2)
