"""Wrong answers of chapter 10: coupling and autoregressive transforms, and their inverses."""

import torch

from wrong_answers import wrong

# --- flow.affine_coupling --------------------------------------------------------------------------------------------


def move(x, mask, net, *, seen=None):
    s, t = net(mask * x if seen is None else seen)
    return mask * x + (1 - mask) * (x * s.exp() + t), ((1 - mask) * s).sum(-1), s, t


@wrong("flow.affine_coupling", says="sees the coordinates that are about to change")
def unmasked_network(x, mask, net):
    return move(x, mask, net, seen=x)[:2]


@wrong("flow.affine_coupling", says="sees the moved coordinates instead")
def network_on_the_changed_half(x, mask, net):
    return move(x, mask, net, seen=(1 - mask) * x)[:2]


@wrong("flow.affine_coupling", says="mask upside down")
def mask_upside_down(x, mask, net):
    return move(x, 1 - mask, net)[:2]


@wrong("flow.affine_coupling", says="move all coordinates")
def everything_moves(x, mask, net):
    _, log_det, s, t = move(x, mask, net)
    return x * s.exp() + t, log_det


@wrong("flow.affine_coupling", says="shift before you scale")
def shift_first(x, mask, net):
    _, log_det, s, t = move(x, mask, net)
    return mask * x + (1 - mask) * (x + t) * s.exp(), log_det


@wrong("flow.affine_coupling", says="by s, not by e^s")
def no_exponential(x, mask, net):
    _, log_det, s, t = move(x, mask, net)
    return mask * x + (1 - mask) * (x * s + t), log_det


@wrong("flow.affine_coupling", says="log-determinant has the wrong sign")
def forward_log_det_sign(x, mask, net):
    z, log_det, _, _ = move(x, mask, net)
    return z, -log_det


@wrong("flow.affine_coupling", says="counts the kept coordinates too")
def log_det_of_all(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, s.sum(-1)


@wrong("flow.affine_coupling", says="mean over the coordinates")
def log_det_mean(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, ((1 - mask) * s).mean(-1)


@wrong("flow.affine_coupling", says="mean over the moved coordinates")
def log_det_mean_of_the_moved(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, s[:, mask == 0].mean(-1)


@wrong("flow.affine_coupling", says="sum the scales e^s")
def sum_of_scales(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, ((1 - mask) * s.exp()).sum(-1)


@wrong("flow.affine_coupling", says="the determinant, not its logarithm")
def product_of_scales(x, mask, net):
    z, log_det, _, _ = move(x, mask, net)
    return z, log_det.exp()


@wrong("flow.affine_coupling", says="one number for all points")
def log_det_of_the_batch(x, mask, net):
    z, log_det, _, _ = move(x, mask, net)
    return z, log_det.sum()


@wrong("flow.affine_coupling", says="not summed over the coordinates")
def log_det_not_summed(x, mask, net):
    z, _, s, _ = move(x, mask, net)
    return z, (1 - mask) * s


@wrong("flow.affine_coupling", says="You call `net` with a tensor of shape")
def net_on_a_subset(x, mask, net):
    s, t = net(x[:, mask == 1])
    return x * s.exp() + t, s.sum(-1)


@wrong("flow.affine_coupling", says="You scale by σ(s)")
def sigmoid_scale(x, mask, net):
    s, t = net(mask * x)
    return (mask * x + (1 - mask) * (x * s.sigmoid() + t), ((1 - mask) * s.sigmoid().log()).sum(-1))


def moved_by(x, mask, s, t):
    return mask * x + (1 - mask) * (x * s.exp() + t)


@wrong("flow.affine_coupling", says="You cut s off")
def clamped_scale(x, mask, net):
    s, t = net(mask * x)
    s = s.clamp(-1, 1)
    return (moved_by(x, mask, s, t), ((1 - mask) * s).sum(-1))


@wrong("flow.affine_coupling", says="Your log-determinant is the mean over the batch")
def batch_mean_log_det(x, mask, net):
    s, t = net(mask * x)
    return (moved_by(x, mask, s, t), ((1 - mask) * s).sum(-1).mean().expand(len(x)))


@wrong("flow.affine_coupling", says="The shift is missing")
def no_shift(x, mask, net):
    s, _t = net(mask * x)
    return (mask * x + (1 - mask) * x * s.exp(), ((1 - mask) * s).sum(-1))


@wrong("flow.affine_coupling", says="The scale is missing")
def no_scale(x, mask, net):
    s, t = net(mask * x)
    return (mask * x + (1 - mask) * (x + t), 0 * s.sum(-1))


# --- flow.coupling_inverse -------------------------------------------------------------------------------------------


def back(z, mask, net, *, seen=None):
    s, t = net(mask * z if seen is None else seen)
    return mask * z + (1 - mask) * (z - t) * (-s).exp(), -((1 - mask) * s).sum(-1), s, t


@wrong("flow.coupling_inverse", says="undo the scale before the shift")
def inverse_in_the_wrong_order(z, mask, net):
    _, log_det, s, t = back(z, mask, net)
    return mask * z + (1 - mask) * (z * (-s).exp() - t), log_det


@wrong("flow.coupling_inverse", says="forward once more")
def forward_again(z, mask, net):
    return move(z, mask, net)[:2]


@wrong("flow.coupling_inverse", says="log-determinant has the wrong sign: you were asked for log |det dx/dz|")
def log_det_of_the_forward_step(z, mask, net):
    x, log_det, _, _ = back(z, mask, net)
    return x, -log_det


@wrong("flow.coupling_inverse", says="moved coordinates, which are not what they were")
def network_on_all_of_z(z, mask, net):
    return back(z, mask, net, seen=z)[:2]


@wrong("flow.coupling_inverse", says="multiply with the scale again")
def scaled_twice(z, mask, net):
    _, log_det, s, t = back(z, mask, net)
    return mask * z + (1 - mask) * (z - t) * s.exp(), log_det


@wrong("flow.coupling_inverse", says="counts the kept coordinates too")
def inverse_log_det_of_all(z, mask, net):
    x, _, s, _ = back(z, mask, net)
    return x, -s.sum(-1)


@wrong("flow.coupling_inverse", says="mean over the coordinates")
def inverse_log_det_mean(z, mask, net):
    x, _, s, _ = back(z, mask, net)
    return x, -((1 - mask) * s).mean(-1)


@wrong("flow.coupling_inverse", says="You move z forward once more")
def forward_again_coupling_inverse(z, mask, net):
    s, t = net(mask * z)
    return (moved_by(z, mask, s, t), -((1 - mask) * s).sum(-1))


@wrong("flow.coupling_inverse", says="You read the mask upside down")
def mask_upside_down_coupling_inverse(z, mask, net):
    s, t = net((1 - mask) * z)
    return ((1 - mask) * z + mask * (z - t) * (-s).exp(), -(mask * s).sum(-1))


@wrong("flow.coupling_inverse", says="You exchange s and t")
def exchanged(z, mask, net):
    t, s = net(mask * z)
    return (mask * z + (1 - mask) * (z - t) * (-s).exp(), -((1 - mask) * s).sum(-1))


@wrong("flow.coupling_inverse", says="The shift is missing")
def no_shift_back(z, mask, net):
    s, _t = net(mask * z)
    return (mask * z + (1 - mask) * z * (-s).exp(), -((1 - mask) * s).sum(-1))


@wrong("flow.coupling_inverse", says="The scale is missing")
def no_scale_back(z, mask, net):
    s, t = net(mask * z)
    return (mask * z + (1 - mask) * (z - t), -((1 - mask) * s).sum(-1))


@wrong("flow.coupling_inverse", says="You move the kept coordinates")
def move_kept(z, mask, net):
    s, t = net(mask * z)
    return ((1 - mask) * z + mask * (z - t) * (-s).exp(), -((1 - mask) * s).sum(-1))


# --- flow.maf_inverse ------------------------------------------------------------------------------------------------


def unmask(z, net, order, undo=lambda z, s, t: (z - t) * (-s).exp()):
    x = torch.zeros_like(z)
    for i in order:
        s, t = net(x.clone())
        x[:, i] = undo(z, s, t)[:, i]
    return x, -net(x)[0].sum(-1)


@wrong("flow.maf_inverse", says="You ask the network about z")
def network_on_z(z, net):
    s, t = net(z)
    return (z - t) * (-s).exp(), -s.sum(-1)


@wrong("flow.maf_inverse", says="Only your first coordinate is right")
def network_on_zeros(z, net):
    s, t = net(torch.zeros_like(z))
    return (z - t) * (-s).exp(), -s.sum(-1)


@wrong("flow.maf_inverse", says="the network did not know the x before it")
def last_coordinate_first(z, net):
    return unmask(z, net, reversed(range(z.shape[1])))


@wrong("flow.maf_inverse", says="undo the scale before the shift")
def scale_undone_first(z, net):
    return unmask(z, net, range(z.shape[1]), lambda z, s, t: z * (-s).exp() - t)


@wrong("flow.maf_inverse", says="log-determinant has the wrong sign")
def maf_log_det_sign(z, net):
    x, log_det = unmask(z, net, range(z.shape[1]))
    return x, -log_det


@wrong("flow.maf_inverse", says="what the network says of z")
def log_det_at_z(z, net):
    return unmask(z, net, range(z.shape[1]))[0], -net(z)[0].sum(-1)


@wrong("flow.maf_inverse", says="the last coordinate only")
def last_log_scale(z, net):
    x, _ = unmask(z, net, range(z.shape[1]))
    return x, -net(x)[0][:, -1]


@wrong("flow.maf_inverse", says="mean over the coordinates")
def maf_mean(z, net):
    x, log_det = unmask(z, net, range(z.shape[1]))
    return x, log_det / z.shape[1]


@wrong("flow.maf_inverse", says="Only your first coordinate is right")
def last_first(z, net):
    x = torch.zeros_like(z)
    for i in reversed(range(z.shape[1])):
        s, t = net(x.clone())
        x[:, i] = (z[:, i] - t[:, i]) * (-s[:, i]).exp()
    return (x, -s.sum(-1))


@wrong("flow.maf_inverse", says="The last coordinate is missing")
def without_last(z, net):
    x = torch.zeros_like(z)
    for i in range(z.shape[1] - 1):
        s, t = net(x.clone())
        x[:, i] = (z[:, i] - t[:, i]) * (-s[:, i]).exp()
    return (x, -s.sum(-1))


@wrong("flow.maf_inverse", says="You multiply with the scale again")
def scaled_up(z, net):
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        s, t = net(x.clone())
        x[:, i] = (z[:, i] - t[:, i]) * s[:, i].exp()
    return (x, -s.sum(-1))


@wrong("flow.maf_inverse", says="You add the shift again")
def shift_added(z, net):
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        s, t = net(x.clone())
        x[:, i] = (z[:, i] + t[:, i]) * (-s[:, i]).exp()
    return (x, -s.sum(-1))


@wrong("flow.maf_inverse", says="Three calls of the network make only three coordinates right")
def three_passes(z, net):
    x = torch.zeros_like(z)
    for _ in range(3):
        s, t = net(x)
        x = (z - t) * (-s).exp()
    return (x, -net(x)[0].sum(-1))


@wrong("flow.maf_inverse", says="The scale is missing")
def no_scale_maf(z, net):
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        s, t = net(x.clone())
        x[:, i] = z[:, i] - t[:, i]
    return (x, -s.sum(-1))


@wrong("flow.coupling_inverse", says="for s = −20")
def small_number_below(z, mask, net):
    s, t = net(mask * z)
    return mask * z + (1 - mask) * (z - t) / (s.exp() + 1e-6), -((1 - mask) * s).sum(-1)
