"""How a restricted Boltzmann machine learns: contrastive divergence, with or without persistent chains."""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from utils.models.estimator import Estimator

WATCHED = 500  # training rows that the monitor looks at


class ContrastiveDivergence(Estimator):
    """`fit` and `partial_fit` of `RBM`, which has the options, the energies and the conditionals."""

    def fit(self, x: Tensor) -> Self:
        """Learn from `x` `(B, D)` of zeros and ones, or of probabilities in [0, 1]. Returns the model itself."""
        x = self._check(x, fitting=True).detach()
        frequency = (x.sum(0) + 0.5) / (len(x) + 1)  # never 0 or 1: a pixel that is always off has finite log-odds
        self.base_bias = frequency.logit()
        self.visible_bias, self.hidden_bias = self.base_bias.clone(), x.new_zeros(self.n_hidden)
        self.weights = x.new_empty(x.shape[1], self.n_hidden).normal_(0, 0.01, generator=self.generator)
        self.history_, self._chains = [], None
        return self.partial_fit(x)

    def partial_fit(self, x: Tensor) -> Self:
        """`epochs` more passes over `x`, from parameters and chains as they are; the rate falls to 0 once more."""
        x, weights, size = self._check(x).detach(), self.weights, min(self.batch_size, len(x))
        batches = len(x) // size
        # Data above, samples below: one product of matrices serves both.
        v, h = (x.new_empty(2 * size, width) for width in weights.shape)
        v_probs, h_probs = (x.new_empty(size, width) for width in weights.shape)
        noise = torch.empty(size * max(weights.shape) // 4 + 1, dtype=torch.int64)
        data, fantasy = v[:size], v[size:]
        ones, sign = torch.ones(2, 2 * size, dtype=x.dtype)
        sign[size:] = -1
        if self._chains is None or len(self._chains) != size:
            self._chains = self._draw(torch.full_like(h[size:], 0.5))
        for epoch in range(self.epochs):
            order = torch.randperm(len(x), generator=self.generator)
            for batch in range(batches):
                rate = self.learning_rate * (1 - (epoch + batch / batches) / self.epochs)
                torch.index_select(x, 0, order[batch * size : (batch + 1) * size], out=data)
                if not self.persistent:
                    torch.addmm(self.hidden_bias, data, weights, out=h_probs).sigmoid_()
                    toss(h_probs, noise, self._chains, self.generator)
                for step in range(self.k):
                    torch.addmm(self.visible_bias, self._chains, weights.T, out=v_probs).sigmoid_()
                    toss(v_probs, noise, fantasy, self.generator)
                    rows = slice(0 if step == self.k - 1 else size, None)  # of the data only once
                    torch.addmm(self.hidden_bias, v[rows], weights, out=h[rows]).sigmoid_()
                    toss(h[size:], noise, self._chains, self.generator)
                h[size:].neg_()
                weights.addmm_(v.T, h, beta=1 - rate * self.weight_decay, alpha=rate / size)
                self.visible_bias.addmv_(v.T, sign, alpha=rate / size)
                self.hidden_bias.addmv_(h.T, ones, alpha=rate / size)
            self.history_.append(self.pseudo_log_likelihood(x[:WATCHED].round(), flips=1).mean().item())
        if not weights.isfinite().all():
            raise ValueError(f"learning diverged: learning_rate={self.learning_rate} is too large for these data")
        return self


def toss(probs: Tensor, noise: Tensor, out: Tensor, generator: Generator | None) -> None:
    """Write 1 with probability `probs`, rounded to 16 bits, else 0 into `out`.

    Random numbers are what costs most beside the products of matrices: here four entries share one of 64 bits.
    """
    noise = noise[: (probs.numel() + 3) // 4].random_(-(2**63), None, generator=generator)
    noise = noise.view(torch.int16)[: probs.numel()].view_as(probs)  # from −2^15 to 2^15 − 1
    torch.add(probs.new_tensor(-(2**15) - 0.5), probs, alpha=2**16, out=out)
    torch.lt(noise, out, out=out)
