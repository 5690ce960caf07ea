"""Right answers to the exercises of chapter 12, by loops, other formulas and libraries."""

import itertools
import math

import torch
from torch.nn import functional as F

from right_answers import right


@right("ar.chain_log_prob")
def by_the_library(logits, x):
    pixels = torch.distributions.Bernoulli(logits=logits)
    return torch.distributions.Independent(pixels, 2).log_prob(x)


@right("ar.chain_log_prob")
def logit_minus_softplus(logits, x):
    return (x * logits - F.softplus(logits)).sum((1, 2))


@right("ar.fvsbn_log_prob")
def pixel_by_pixel(weights, bias, x):
    total = torch.zeros(len(x), dtype=x.dtype)
    for d in range(x.shape[1]):
        logit = bias[d] + x[:, :d] @ weights[d, :d]
        total += x[:, d] * F.logsigmoid(logit) + (1 - x[:, d]) * F.logsigmoid(-logit)
    return total


@right("ar.fvsbn_gradient")
def by_autograd(weights, bias, x):
    w, b = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    loss = F.binary_cross_entropy_with_logits(b + x @ w.tril(-1).T, x, reduction="sum") / len(x)
    return torch.autograd.grad(loss, (w, b))


@right("ar.fvsbn_gradient")
def image_by_image(weights, bias, x):
    w, b = torch.zeros_like(weights), torch.zeros_like(bias)
    for image in x:
        for d in range(len(bias)):
            error = torch.sigmoid(bias[d] + weights[d, :d] @ image[:d]) - image[d]
            b[d] += error / len(x)
            w[d, :d] += error * image[:d] / len(x)
    return [w, b]


@right("ar.sample")
def all_again_until_nothing_changes(model, order, uniforms):
    # With fixed uniforms, each pass settles at least one more pixel of the chain.
    x = torch.ones_like(uniforms)
    for _ in order:
        x = (uniforms < torch.sigmoid(model(x))).double()
    return x


@right("ar.sample")
def image_after_image(model, order, uniforms):
    drawn = []
    for u in uniforms:
        x = torch.full((1, len(order)), 0.5, dtype=torch.float64)
        for d in order:
            x[0, d] = float(u[d].logit() < model(x)[0, d])
        drawn.append(x[0])
    return torch.stack(drawn)


@right("ar.complete")
def weight_on_the_way(model, order, x, known, uniforms):
    x, log_weight = x.clone(), torch.zeros(len(x), dtype=x.dtype)
    for d in order.tolist():
        odds = model(x)[:, d]
        if known[d]:
            log_weight += torch.nn.functional.logsigmoid(torch.where(x[:, d] == 1, odds, -odds))
        else:
            x[:, d] = (uniforms[:, d] < torch.sigmoid(odds)).double()
    return x, log_weight


@right("ar.made_masks")
def unit_by_unit(place, degrees):
    levels = [place.tolist(), *[layer.tolist() for layer in degrees]]
    masks = [
        torch.tensor([[speaker <= listener for speaker in before] for listener in after])
        for before, after in itertools.pairwise(levels)
    ]
    masks.append(torch.tensor([[degree < at for degree in levels[-1]] for at in levels[0]]))
    return tuple(masks)


@right("ar.causal_mask")
def by_rows(size, kind):
    mask = torch.ones(size, size)
    mask[size // 2 + 1 :] = 0
    mask[size // 2, size // 2 + 1 :] = 0
    mask[size // 2, size // 2] = kind == "B"
    return mask


@right("ar.causal_mask")
def as_truth_values(size, kind):
    at = torch.arange(size**2).reshape(size, size)
    return at < size**2 // 2 if kind == "A" else at <= size**2 // 2


@right("ar.gated_convolution")
def window_by_window(x, weights, bias, mask):
    size, (n, _, height, width) = len(mask), x.shape
    patches = F.unfold(x, size, padding=size // 2)  # (B, C_in · k · k, H · W)
    both = (weights * mask).flatten(1) @ patches + bias[:, None]
    channels = len(bias) // 2
    e = (2 * both[:, :channels]).exp()
    return ((e - 1) / (e + 1) / (1 + (-both[:, channels:]).exp())).reshape(n, channels, height, width)


@right("ar.nade_log_prob")
def by_a_cumulated_sum(x, weights, hidden_bias, output, bias):
    sums = (x[:, :, None] * weights.T).cumsum(1)  # (B, D, H)
    sums = F.pad(sums[:, :-1], (0, 0, 1, 0))
    logits = bias + (torch.sigmoid(hidden_bias + sums) * output).sum(-1)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


@right("ar.nade_log_prob")
def columns_in_a_list(x, weights, hidden_bias, output, bias):
    total, logits = hidden_bias.repeat(len(x), 1), []
    for d in range(x.shape[1]):
        logits.append(bias[d] + (torch.sigmoid(total) * output[d]).sum(1))
        total += torch.outer(x[:, d], weights[:, d])
    return torch.distributions.Bernoulli(logits=torch.stack(logits, 1)).log_prob(x).sum(1)


@right("ar.receptive_field")
def by_offsets_in_an_endless_plane(size, n_layers, height, width, row, column):
    reach = size // 2
    offsets = [(i, j) for i in range(-reach, 1) for j in range(-reach, reach + 1) if (i, j) < (0, 0)]
    seen = {(row, column)}
    for layer in range(n_layers):
        steps = offsets if layer == 0 else [*offsets, (0, 0)]
        seen = {(r + i, c + j) for r, c in seen for i, j in steps}
    field = torch.zeros(height, width, dtype=torch.bool)
    for r, c in seen:
        if 0 <= r < height and 0 <= c < width:
            field[r, c] = True
    return field


@right("ar.two_stacks")
def by_masked_kernels(x, vertical, horizontal):
    rows, reach = vertical.shape[-2], horizontal.shape[-1]
    channels, inputs = vertical.shape[:2]
    kernel = torch.zeros(channels, inputs, 2 * rows + 1, 2 * reach + 1, dtype=x.dtype)
    kernel[:, :, :rows] = vertical
    kernel[:, :, rows, :reach] = horizontal[:, :, 0]
    return F.conv2d(x, kernel, padding=(rows, reach))


@right("ar.draw_level")
def row_by_row(logits, temperature, uniforms):
    levels = []
    for row, u in zip(logits.tolist(), uniforms.tolist(), strict=True):
        top = max(row)
        weights = [math.exp((a - top) / temperature) for a in row]
        passed, k = weights[0], 0
        while u * sum(weights) >= passed and k < len(row) - 1:
            k += 1
            passed += weights[k]
        levels.append(k)
    return torch.tensor(levels)


@right("ar.train")
def by_the_model_of_the_course(x_train):
    from utils.nets import MADE

    generator = torch.Generator().manual_seed(0)
    made = MADE(64, hidden=(512,), generator=generator)
    epochs, batches = 130, 13
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * batches)
    for _ in range(epochs):
        binary = (torch.rand(x_train.shape, generator=generator) < x_train).float()
        for batch in torch.randperm(len(binary), generator=generator).tensor_split(batches):
            loss = F.binary_cross_entropy_with_logits(made(binary[batch]).squeeze(-1), binary[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    made.requires_grad_(False)
    return lambda x: made(x.float()).squeeze(-1)
