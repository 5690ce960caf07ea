"""Wrong answers of chapter 5: a trained machine."""

import torch

from wrong_answers import stored, wrong
from wrong_answers.boltzmann_machines._shared import minus, statistics

# --- rbm.train -------------------------------------------------------------------------------------------------------


@stored
def contrastive_divergence(x, *, n_hidden=16, n_epochs=20, rate=0.05, sign=1.0, spread=0.01):
    """CD-1 that starts from the pixels' own frequencies."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape):
        return torch.rand(shape, generator=generator, dtype=x.dtype)

    w = spread * (uniform(x.shape[1], n_hidden) - 0.5)
    b, c = ((x.sum(0) + 1) / (len(x) + 2)).logit(), torch.zeros(n_hidden, dtype=x.dtype)
    for _ in range(n_epochs):
        for batch in torch.randperm(len(x), generator=generator).split(50):
            v = x[batch]
            h = (uniform(len(v), n_hidden) < torch.sigmoid(c + v @ w)).double()
            model = (uniform(*v.shape) < torch.sigmoid(b + h @ w.T)).double()
            steps = minus(statistics(v, w, c), statistics(model, w, c))
            w, b, c = (old + sign * rate * step for old, step in zip((w, b, c), steps, strict=True))
    return {"w": w, "b": b, "c": c}


def fit(x, **how):
    trained = contrastive_divergence(x, **how)
    return trained["w"], trained["b"], trained["c"]


@wrong("rbm.train", says="no better than independent pixels")
def independent_pixels(x_train):
    return fit(x_train, n_epochs=0)


@wrong("rbm.train", says="no better than independent pixels")
def one_epoch(x_train):
    return fit(x_train, n_epochs=1)


@wrong("rbm.train", says="you underfit")
def stopped_early(x_train):
    return fit(x_train, n_epochs=60)


@wrong("rbm.train", says="worse than independent pixels")
def downhill(x_train):
    return fit(x_train, sign=-1, n_epochs=3)


@wrong("rbm.train", says="hidden units are alike")
def no_random_start(x_train):
    return fit(x_train, spread=0, n_epochs=60)


@wrong("rbm.train", says="at most 16 are allowed")
def too_many_units(x_train):
    return fit(x_train, n_hidden=64, n_epochs=1)


@wrong("rbm.train", says="axes are swapped")
def weights_transposed(x_train):
    w, b, c = fit(x_train, n_epochs=1)
    return w.T, b, c


@wrong("rbm.train", says="training diverged")
def diverged(x_train):
    w, b, c = fit(x_train, n_epochs=0)
    return w / 0, b, c
