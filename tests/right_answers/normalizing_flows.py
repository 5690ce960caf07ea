"""Right answers to the exercises of chapter 10, by loops, finite differences, autograd and libraries."""

import math

import torch
from torch.distributions import Normal

from right_answers import right


@right("flow.log_prob_1d")
def by_finite_differences(f, x, step=1e-5):
    slope = (f(x + step) - f(x - step)) / (2 * step)
    return Normal(0.0, 1.0).log_prob(f(x)) + slope.abs().log()


@right("flow.log_prob_1d")
def one_point_at_a_time(f, x):
    slopes = [torch.autograd.functional.jacobian(f, point[None])[0, 0] for point in x]
    return (torch.exp(-(f(x) ** 2) / 2) / math.sqrt(2 * math.pi) * torch.stack(slopes).abs()).log()


@right("flow.affine_coupling")
def by_indices(x, mask, net):
    move = mask == 0
    s, t = net(x.masked_fill(move, 0))
    z = x.clone()
    z[:, move] = x[:, move] * s[:, move].exp() + t[:, move]
    return z, s[:, move].sum(1)


@right("flow.affine_coupling")
def by_where_as_a_list(x, mask, net):
    s, t = net(torch.where(mask.bool(), x, torch.zeros_like(x)))
    s, t = (1 - mask) * s, (1 - mask) * t
    return [x * torch.exp(s) + t, torch.log(torch.exp(s).prod(-1))]


@right("flow.coupling_inverse")
def row_by_row(z, mask, net):
    s, t = net(z * mask)
    x, log_det = z.clone(), z.new_zeros(len(z))
    for b in range(z.shape[0]):
        for i in range(z.shape[1]):
            if not mask[i]:
                x[b, i] = (z[b, i] - t[b, i]) / s[b, i].exp()
                log_det[b] -= s[b, i]
    return x, log_det


@right("flow.chain")
def log_dets_first(x, transforms):
    log_dets = [x.new_zeros(len(x))]
    for transform in transforms:
        x, log_det = transform(x)
        log_dets.append(log_det)
    return torch.stack(log_dets).sum(0) + Normal(0.0, 1.0).log_prob(x).sum(1)


@right("flow.chain")
def recursive(x, transforms):
    if not transforms:
        return torch.distributions.MultivariateNormal(
            torch.zeros(x.shape[1], dtype=x.dtype), torch.eye(x.shape[1], dtype=x.dtype)
        ).log_prob(x)
    z, log_det = transforms[0](x)
    return log_det + recursive(z, transforms[1:])


@right("flow.sample")
def by_index(z, inverses):
    log_prob = -0.5 * (z * z).sum(1) - z.shape[1] / 2 * math.log(2 * math.pi)
    for i in range(len(inverses) - 1, -1, -1):
        z, log_det = inverses[i](z)
        log_prob = log_prob - log_det
    return z, log_prob


@right("flow.dequantize")
def pixel_by_pixel_interval(x, levels):
    noise = torch.empty_like(x).uniform_(0, 1 / levels)
    log_det = -torch.full(x.shape, math.log(levels), dtype=x.dtype).sum(1)
    return x / levels + noise, log_det


@right("flow.dequantize")
def by_a_distribution(x, levels):
    noise = torch.distributions.Uniform(torch.zeros_like(x), torch.ones_like(x)).sample()
    return (x + noise) / levels, torch.full((x.shape[0],), x.shape[1] * math.log(1 / levels), dtype=x.dtype)


@right("flow.bits_per_dim")
def from_the_probability(log_prob, dim, levels):
    nats = log_prob - dim * math.log(levels)
    return -nats / math.log(2) / dim


@right("flow.mix_channels")
def by_convolution(x, weight):
    z = torch.nn.functional.conv2d(x, weight[:, :, None, None])
    return z, x.new_ones(len(x)) * torch.linalg.svdvals(weight).log().sum() * x.shape[2] * x.shape[3]


@right("flow.mix_channels")
def pixel_by_pixel(x, weight):
    z = torch.empty_like(x)
    log_det = x.new_zeros(len(x))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            z[:, :, i, j] = x[:, :, i, j] @ weight.T
            log_det = log_det + torch.logdet(weight.T @ weight) / 2
    return z, log_det


@right("flow.actnorm_init")
def channel_by_channel_over_n(x):
    shift = torch.stack([-x[:, c].mean() for c in range(x.shape[1])])
    log_scale = torch.stack([-0.5 * x[:, c].var(correction=0).log() for c in range(x.shape[1])])
    return shift, log_scale, (log_scale.sum() * x.shape[2] * x.shape[3]).item()


@right("flow.planar")
def by_autograd(x, u, w, b):
    def push(row):
        return row + u * torch.tanh(row @ w + b)

    jacobians = torch.stack([torch.autograd.functional.jacobian(push, row) for row in x])
    return torch.stack([push(row) for row in x]), jacobians.det().abs().log()


@right("flow.planar")
def by_cosh(x, u, w, b):
    a = (x * w).sum(1) + b
    return x + torch.outer(torch.tanh(a), u), torch.log(torch.abs(1 + torch.dot(u, w) / torch.cosh(a) ** 2))


@right("flow.maf_inverse")
def fixed_point(z, net):
    x = torch.zeros_like(z)
    for _ in range(z.shape[1] + 1):
        s, t = net(x)
        x = (z - t) / s.exp()
    return x, -net(x)[0].sum(1)


@right("flow.maf_inverse")
def column_by_column(z, net):
    batch, dim = z.shape
    columns, log_det = [], 0
    for i in range(dim):
        rest = torch.full((batch, dim - i), 7.0, dtype=z.dtype)
        s, t = net(torch.cat([*columns, rest], 1))
        columns.append(((z - t) / s.exp())[:, i : i + 1])
        log_det = log_det - s[:, i]
    return torch.cat(columns, 1), log_det


@right("flow.rational_quadratic")
def by_searchsorted_and_autograd(x, x_knots, y_knots, slopes):
    x = x.detach().clone().requires_grad_()
    k = torch.searchsorted(x_knots.contiguous(), x.detach()[:, None], right=True)[:, 0] - 1
    k = k.clamp(0, x_knots.shape[1] - 2)
    rows = torch.arange(len(x))
    w, h = x_knots[rows, k + 1] - x_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    r, s = (x - x_knots[rows, k]) / w, h / w
    d0, d1 = slopes[rows, k], slopes[rows, k + 1]
    y = y_knots[rows, k] + h * (s * r**2 + d0 * r * (1 - r)) / (s + (d0 + d1 - 2 * s) * r * (1 - r))
    (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), slope.log()


@right("flow.held_out")
def by_the_model_of_the_course(x_train):
    from utils.models.flows import spline_coupling

    generator = torch.Generator().manual_seed(0)
    flow = spline_coupling(2, transforms=2, bins=16, bound=3.0, generator=generator)
    steps, x = 1000, x_train.float()
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = -flow.log_prob(x[torch.randint(len(x), (512,), generator=generator)]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    flow.double().requires_grad_(False)
    return flow, lambda z: flow.inverse(z)[0]
