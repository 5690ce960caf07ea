"""Wrong answers of chapter 12: a trained model of digits."""

import torch
from torch.nn import functional as F

from wrong_answers import stored, wrong
from wrong_answers.autoregressive_images._shared import log_p

# --- ar.train --------------------------------------------------------------------------------------------------------


def frequencies(x_train):
    return ((x_train.sum(0) + 1) / (len(x_train) + 2)).logit()


@wrong("ar.train", says="no better than independent pixels")
def independent(x_train):
    bias = frequencies(x_train)
    return lambda x: bias.expand_as(x)


@wrong("ar.train", says="it knows what it should predict")
def copies(x_train):
    return lambda x: 10 * (2 * x - 1)


@wrong("ar.train", says="your model looks ahead")
def next_pixel(x_train):
    bias = frequencies(x_train)
    return lambda x: bias + 0.5 * F.pad(x[:, 1:], (0, 1))


@wrong("ar.train", says="they look like probabilities")
def probabilities(x_train):
    p = frequencies(x_train).sigmoid()
    return lambda x: p.expand_as(x)


@wrong("ar.train", says="dropout is still on")
def dropout(x_train):
    bias = frequencies(x_train)
    return lambda x: F.dropout(bias.expand_as(x), 0.5)


@wrong("ar.train", says="which other images you are asked about")
def batch_normalized(x_train):
    bias = frequencies(x_train)
    return lambda x: (bias + x.mean()).expand_as(x)


@wrong("ar.train", says="worse than independent pixels")
def untrained(x_train):
    return lambda x: torch.zeros_like(x)


@wrong("ar.train", says="not a function")
def numbers(x_train):
    return frequencies(x_train)


@stored
def regressions(x_train):
    generator = torch.Generator().manual_seed(0)
    weights = torch.zeros(64, 64, dtype=x_train.dtype, requires_grad=True)
    bias = frequencies(x_train).requires_grad_()
    optimizer = torch.optim.Adam([weights, bias], lr=0.02)
    for _ in range(400):
        x = (torch.rand(x_train.shape, generator=generator, dtype=x_train.dtype) < x_train).double()
        loss = -log_p(bias + x @ weights.tril(-1).T, x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"weights": weights.detach().tril(-1), "bias": bias.detach()}


@wrong("ar.train", says="but not by enough")
def logistic_regressions(x_train):
    fitted = regressions(x_train)
    return lambda x: fitted["bias"] + x @ fitted["weights"].T


def untrained_made(generator):
    from utils.nets import MADE

    return MADE(64, hidden=(256,), generator=generator)


@stored
def made_weights(x_train, *, epochs, anew):
    """A MADE with 256 hidden units; it sees a new binarization in each epoch, or always the same."""
    generator = torch.Generator().manual_seed(0)
    made = untrained_made(generator)
    batches = 13
    optimizer = torch.optim.Adam(made.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        if anew or epoch == 0:
            binary = (torch.rand(x_train.shape, generator=generator) < x_train).float()
        for batch in torch.randperm(len(binary), generator=generator).tensor_split(batches):
            loss = F.binary_cross_entropy_with_logits(made(binary[batch]).squeeze(-1), binary[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return made.state_dict()


def made_logits(x_train, **how):
    made = untrained_made(torch.Generator()).requires_grad_(False)
    made.load_state_dict(made_weights(x_train, **how))
    return lambda x: made(x.float()).squeeze(-1)


@wrong("ar.train", says="no better than logistic regressions")
def one_binarization(x_train):
    return made_logits(x_train, epochs=60, anew=False)


@wrong("ar.train", says="but not by enough")
def stopped_early(x_train):
    return made_logits(x_train, epochs=60, anew=True)
