"""A diffusion model: a network that says what was mixed into x_t, and all that follows from it."""

from __future__ import annotations

import functools
from typing import Self

import torch
from torch import Generator, Tensor, nn

from utils.models.diffusion.fields import Field
from utils.models.diffusion.likelihood import flow_log_prob
from utils.models.diffusion.schedules import Cosine, Estimate, Schedule, Time
from utils.models.diffusion.solvers import STEPS, reverse_chain, solve
from utils.training import Trainer
from utils.validation import as_parameters, numbers, tensor, whole

ADAM = functools.partial(torch.optim.Adam, betas=(0.9, 0.99), fused=True)
METHODS = ("ddim", "ddpm", *STEPS)


class Diffusion(Field):
    """Data from noise: x_t = α x_0 + σ ε, and a network that predicts from x_t how the two go over into each other.

    The network learns E[α ε − σ x_0 | x_t] (for other schedules: `Coefficients.target`) by least squares. From it
    follow E[x_0 | x_t], E[ε | x_t], the score and the velocity of the probability flow, and so samples and densities.

    Args:
        network: (x `(B, ...)`, t `(B,)`), or with `n_classes` (x, t, y `(B,)`), → the shape of x.
        shape: of one example, such as (2,) or (1, 28, 28).
        schedule: `Cosine()` by default.
        n_classes: number of classes of a conditional model, else 0. The label `n_classes` means "none given".

    Raises:
        ValueError, TypeError: for parameters or data that make no sense; the message says what to do.

    Source: Ho, Jain and Abbeel, Denoising diffusion probabilistic models, 2020, arXiv 2006.11239; Song et al.,
    Score-based generative modeling through stochastic differential equations, 2020, arXiv 2011.13456.
    """

    def __init__(
        self, network: nn.Module, shape: tuple[int, ...], *, schedule: Schedule | None = None, n_classes: int = 0
    ):
        super().__init__()
        self.shape = tuple(whole("shape", side) for side in shape)
        self.network, self.schedule, self.n_classes = network, schedule or Cosine(), whole("n_classes", n_classes, 0)

    def predict(self, x: Tensor, t: Time, y: Tensor | None = None) -> Tensor:
        """What the network says, in the shape and dtype of x."""
        t = torch.as_tensor(t, dtype=x.dtype, device=x.device).expand(len(x))
        return self.network(x, t, *self._labels(len(x), y, x.device)).to(x.dtype)

    def estimate(self, x: Tensor, t: Time, y: Tensor | None = None) -> Estimate:
        return self.schedule.at(t, x).parts(x, self.predict(x, t, y))

    def loss(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        t: Tensor | None = None,
        focus: float = 0.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """Squared error of the prediction, mean over the numbers of each example: `(B,)`, at times t `(B,)`.

        Without t they are drawn, evenly within a batch: uniformly, or with `focus` > 0 so that log σ/α ~ N(0, focus²).
        That leaves out times near 0 and 1, where samples are hardly decided; densities need them.
        """
        options = {"generator": generator, "dtype": x.dtype, "device": x.device}
        if t is None:  # one in each of B equal parts: less noise in the gradient than B independent draws
            t = (torch.arange(len(x), device=x.device) + torch.rand(len(x), **options)) / len(x)
            if focus:
                t = self.schedule.time_of((focus * torch.special.ndtri(t.clamp(1e-6, 1 - 1e-6))).exp())
        noise, c = torch.randn(x.shape, **options), self.schedule.at(t, x)
        error = self.predict(c.alpha * x + c.sigma * noise, t, y) - c.target(Estimate(x, noise))
        return error.square().flatten(1).mean(1)

    def fit(
        self, x: Tensor, y: Tensor | None = None, *, drop_labels: float = 0.1, focus: float = 0.0, **options
    ) -> Self:
        """Minimize the loss on the rows of `x`; `history_` has the means of each epoch. Returns the model itself.

        Args:
            x: examples `(N, ...)`, best of variance about 1.
            y: labels `(N,)` of a conditional model.
            drop_labels: the share of labels that is hidden, so that the model can do without.
            focus: see `loss`; 1 is good for samples of images.
            options: of `utils.training.Trainer`, such as epochs, batch_size, lr, ema, seed.
        """

        def loss(x: Tensor, *rest) -> Tensor:
            *labels, training = rest
            if labels:
                hidden = torch.rand(len(x), generator=training.generator, device=x.device) < drop_labels
                labels = [labels[0].masked_fill(hidden, self.n_classes)]
            return self.loss(x, *labels, focus=focus, generator=training.generator)

        x = self._check(x)
        self._labels(len(x), y, x.device)
        trainer = Trainer(self, loss, **{"optimizer": ADAM} | options)
        self.history_ = trainer.fit(x if y is None else (x, y)).history
        return self

    def log_prob(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        steps: int = 16,
        method: str = "rk4",
        n_samples: int = 0,
        generator: Generator | None = None,
    ) -> Tensor:
        """log p(x) `(B,)` in nats, by the probability flow; `steps` of `method`, see `flow_log_prob`."""
        x, labels = self._check(x), () if y is None else (y,)
        times, scale = self.schedule.times(steps, 0, 1), self.schedule.sigma(torch.ones(())).item()
        velocity = functools.partial(_with, self.velocity, labels)
        return flow_log_prob(velocity, x, times, method, scale=scale, n_samples=n_samples, generator=generator)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        y: Tensor | None = None,
        *,
        steps: int = 20,
        method: str = "ddim",
        chunk: int = 500,
    ) -> Tensor:
        """`n` draws in the shape of x: noise, and `steps` steps back to data; `chunk` samples at a time.

        Args:
            y: labels `(n,)` of a conditional model.
            method: "ddim" or "ddpm" (one evaluation of the network a step), or a solver of the probability flow:
                "euler" (1), "heun" (2), "rk4" (4). The last step of a solver is always Euler's, so that the network
                is never asked at the very end of the way, where it learns least (Karras et al., 2022, arXiv
                2206.00364).
        """
        n, place = whole("n", n), next(self.parameters())
        if method not in METHODS:
            raise ValueError(f"method is {method!r}: expected one of {', '.join(METHODS)}")
        options = {"generator": generator, "dtype": place.dtype, "device": place.device}
        scale, times = self.schedule.sigma(torch.ones(())).item(), self.schedule.times(steps)
        drawn, labels = [], self._labels(n, y, place.device)
        for rows in torch.arange(n).split(chunk):
            x, own = scale * torch.randn(len(rows), *self.shape, **options), [column[rows] for column in labels]
            if method in STEPS:
                velocity = functools.partial(_with, self.velocity, own)
                x = solve(velocity, x, times[:-1], method) if steps > 1 else x
                drawn.append(solve(velocity, x, times[-2:]))
            else:
                eta = float(method == "ddpm")
                drawn.append(reverse_chain(self, x, times, *own, eta=eta, generator=generator))
        return torch.cat(drawn)

    def _labels(self, n: int, y: Tensor | None, device: torch.device) -> list[Tensor]:
        """No column of labels, or one; of a conditional model without labels, "none given"."""
        if not self.n_classes:
            if y is not None:
                raise ValueError("labels y are for a conditional model: make it with n_classes=")
            return []
        if y is None:
            return [torch.full((n,), self.n_classes, device=device)]
        if y.shape != (n,) or y.is_floating_point() or y.min() < 0 or y.max() > self.n_classes:
            what = f"whole numbers from 0 to {self.n_classes - 1}, or {self.n_classes} for none"
            raise ValueError(f"y has shape {tuple(y.shape)}: expected labels of shape ({n},), {what}")
        return [y]

    def _check(self, x: Tensor) -> Tensor:
        if tensor("x", x).shape[1:] != self.shape or not len(x):
            raise ValueError(
                f"x has shape {tuple(x.shape)}: expected (B, {', '.join(map(str, self.shape))}) with B > 0"
            )
        return as_parameters("x", numbers("x", x), self)


def _with(velocity, labels, x: Tensor, t: float) -> Tensor:
    return velocity(x, t, *labels)
