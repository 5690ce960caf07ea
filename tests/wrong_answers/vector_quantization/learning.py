"""Wrong answers of chapter 7: how codes and encoder learn, and how many codes are in use."""

import math

import torch
from torch.nn import functional as F

from wrong_answers import wrong

# --- vq.straight_through ---------------------------------------------------------------------------------------------


@wrong("vq.straight_through", says="gradient goes to the code, and z gets none")
def plain_code(z, chosen):
    return chosen + 0 * chosen


@wrong("vq.straight_through", says="you return z")
def plain_z(z, chosen):
    return z + 0 * z


@wrong("vq.straight_through", says="learn by losses of their own")
def detached_z_alone(z, chosen):
    return z + chosen - z.detach()


@wrong("vq.straight_through", says="No gradient reaches z")
def of_neither(z, chosen):
    return 0 * z + chosen.detach()


@wrong("vq.straight_through", says="No gradient flows")
def all_detached(z, chosen):
    return (z + (chosen - z)).detach()


@wrong("vq.straight_through", says="subtract the step")
def wrong_direction(z, chosen):
    return z - (chosen - z).detach()


@wrong("vq.straight_through", says="step from z to the code alone")
def step_alone(z, chosen):
    return 0 * z + (chosen - z).detach()


@wrong("vq.straight_through", says="twice")
def twice(z, chosen):
    return 2 * z + (chosen - 2 * z).detach()


# --- vq.quantizer_loss -----------------------------------------------------------------------------------------------


def two_losses(z, chosen, commitment, *, mean=lambda squares: squares.sum(-1).mean()):
    return mean((z.detach() - chosen).square()), commitment * mean((z - chosen.detach()).square())


@wrong("vq.quantizer_loss", says="Nothing is detached")
def nothing_detached(z, chosen, commitment):
    return (1 + commitment) * (z - chosen).square().sum(-1).mean()


@wrong("vq.quantizer_loss", says="β weighs the wrong loss")
def wrong_weight(z, chosen, commitment):
    moves, commits = two_losses(z, chosen, commitment)
    return commitment * moves + commits / commitment


@wrong("vq.quantizer_loss", says="average over the D entries")
def with_mse(z, chosen, commitment):
    return F.mse_loss(chosen, z.detach()) + commitment * F.mse_loss(z, chosen.detach())


@wrong("vq.quantizer_loss", says="sum over the vectors")
def summed(z, chosen, commitment):
    return sum(two_losses(z, chosen, commitment, mean=torch.sum))


@wrong("vq.quantizer_loss", says="β is missing")
def no_weight(z, chosen, commitment):
    return sum(two_losses(z, chosen, 1.0))


@wrong("vq.quantizer_loss", says="codebook loss is missing")
def commitment_alone(z, chosen, commitment):
    return two_losses(z, chosen, commitment)[1]


@wrong("vq.quantizer_loss", says="Only one of the two losses counts")
def codebook_alone(z, chosen, commitment):
    return two_losses(z, chosen, commitment)[0]


@wrong("vq.quantizer_loss", says="it moves the code, too")
def code_not_detached(z, chosen, commitment):
    moves, _ = two_losses(z, chosen, commitment)
    return moves + commitment * (z - chosen).square().sum(-1).mean()


@wrong("vq.quantizer_loss", says="subtract the commitment")
def minus_commitment(z, chosen, commitment):
    moves, commits = two_losses(z, chosen, commitment)
    return moves - commits


@wrong("vq.quantizer_loss", says="one number for each vector")
def not_averaged(z, chosen, commitment):
    return sum(two_losses(z, chosen, commitment, mean=lambda squares: squares.sum(-1)))


@wrong("vq.quantizer_loss", says="not their squares")
def lengths(z, chosen, commitment):
    return (z.detach() - chosen).norm(dim=1).mean() + commitment * (z - chosen.detach()).norm(dim=1).mean()


@wrong("vq.quantizer_loss", says="You weigh the codebook loss with 1 − β")
def weights_that_sum_to_one(z, chosen, commitment):
    moves, commits = two_losses(z, chosen, commitment)
    return (1 - commitment) * moves + commits


@wrong("vq.quantizer_loss", says="In the codebook loss z is not detached")
def z_not_detached(z, chosen, commitment):
    return (z - chosen).square().sum(-1).mean() + two_losses(z, chosen, commitment)[1]


@wrong("vq.quantizer_loss", says="of shape (), not (1,)")
def of_shape_one(z, chosen, commitment):
    return sum(two_losses(z, chosen, commitment))[None]


@wrong("vq.quantizer_loss", says="is a `float`, not a tensor")
def as_a_float(z, chosen, commitment):
    return sum(two_losses(z, chosen, commitment)).item()


@wrong("vq.quantizer_loss", says="You take 0.25 for β")
def a_quarter(z, chosen, commitment):
    return sum(two_losses(z, chosen, 0.25))


# --- vq.ema_update ---------------------------------------------------------------------------------------------------


def updated(z, codes, counts, sums, decay, epsilon, *, keep=None, add=None, means=False):
    one_hot = F.one_hot(codes, len(counts)).to(z.dtype)
    keep, add = decay if keep is None else keep, 1 - decay if add is None else add
    found, added = one_hot.sum(0), one_hot.T @ z
    if means:
        added = added / found.clamp(min=1)[:, None]
    return keep * counts + add * found, keep * sums + add * added


def smooth(counts, epsilon):
    total = counts.sum()
    return total * (counts + epsilon) / (total + len(counts) * epsilon)


def divided(sums, counts):
    return sums / counts[:, None]


@wrong("vq.ema_update", says="λ and 1 − λ are exchanged")
def decay_exchanged(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon, keep=1 - decay, add=decay)
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="The factor 1 − λ is missing")
def nothing_weighed(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon, add=1.0)
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="nothing is forgotten")
def only_grows(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon, keep=1.0, add=1.0)
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="average means of the batch")
def means_for_sums(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon, means=True)
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="the smoothing is missing")
def clamped_hardly(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    return counts, sums, divided(sums, counts.clamp(min=1e-12))


@wrong("vq.ema_update", says="never chosen has a count of 0")
def not_smoothed(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    return counts, sums, divided(sums, counts)


@wrong("vq.ema_update", says="the total grows")
def total_grows(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    return counts, sums, divided(sums, counts + epsilon)


@wrong("vq.ema_update", says="return the smoothed counts")
def smoothed_counts(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    counts = smooth(counts, epsilon)
    return counts, sums, divided(sums, counts)


@wrong("vq.ema_update", says="number of vectors in the batch for n")
def batch_for_total(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    smoothed = len(z) * (counts + epsilon) / (len(z) + len(counts) * epsilon)
    return counts, sums, divided(sums, smoothed)


@wrong("vq.ema_update", says="it counts with 0, and fades")
def unchosen_stay(z, codes, counts, sums, decay, epsilon):
    new_counts, new_sums = updated(z, codes, counts, sums, decay, epsilon)
    chosen = torch.bincount(codes, minlength=len(counts)) > 0
    new_counts = torch.where(chosen, new_counts, counts)
    new_sums = torch.where(chosen[:, None], new_sums, sums)
    return new_counts, new_sums, divided(new_sums, smooth(new_counts, epsilon))


@wrong("vq.ema_update", says="sum to 1, not to n")
def shares(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    return counts, sums, divided(sums, smooth(counts, epsilon) / counts.sum())


@wrong("vq.ema_update", says="changes its argument")
def in_place(z, codes, counts, sums, decay, epsilon):
    new_counts, new_sums = updated(z, codes, counts, sums, decay, epsilon)
    counts.copy_(new_counts)
    return counts, new_sums, divided(new_sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="takes the largest code + 1 for K")
def one_hot_without_k(z, codes, counts, sums, decay, epsilon):
    one_hot = F.one_hot(codes).to(z.dtype)
    counts = decay * counts + (1 - decay) * one_hot.sum(0)
    sums = decay * sums + (1 - decay) * one_hot.T @ z
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="takes the largest code + 1 for K")
def bincount_without_k(z, codes, counts, sums, decay, epsilon):
    _, sums = updated(z, codes, counts, sums, decay, epsilon)
    counts = decay * counts + (1 - decay) * torch.bincount(codes)
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="λ is 0.99")
def decay_of_the_paper(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, 0.99, epsilon)
    return counts, sums, divided(sums, smooth(counts, epsilon))


@wrong("vq.ema_update", says="Your ε is 1e-05")
def epsilon_of_the_paper(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    return counts, sums, divided(sums, smooth(counts, 1e-5))


@wrong("vq.ema_update", says="You take D, the length of the vectors, for K")
def dim_for_k(z, codes, counts, sums, decay, epsilon):
    counts, sums = updated(z, codes, counts, sums, decay, epsilon)
    total = counts.sum()
    return counts, sums, divided(sums, total * (counts + epsilon) / (total + z.shape[1] * epsilon))


# --- vq.usage --------------------------------------------------------------------------------------------------------


def counted(codes, n_codes):
    return torch.bincount(codes.flatten(), minlength=n_codes).double()


def both(counts):
    p = counts / counts.sum()
    return (counts > 0).double().mean(), (-torch.xlogy(p, p).sum()).exp()


def pooled(batches, n_codes):
    return sum(counted(codes, n_codes) for codes in batches)


@wrong("vq.usage", says="average the shares of batches")
def mean_over_batches(batches, n_codes):
    found = [both(counted(codes, n_codes)) for codes in batches]
    return tuple(torch.stack(values).mean() for values in zip(*found, strict=True))


@wrong("vq.usage", says="average the perplexities of batches")
def mean_perplexity(batches, n_codes):
    found = [both(counted(codes, n_codes))[1] for codes in batches]
    return both(pooled(batches, n_codes))[0], torch.stack(found).mean()


@wrong("vq.usage", says="You look at one batch")
def last_batch(batches, n_codes):
    return both(counted(batches[-1], n_codes))


@wrong("vq.usage", says="0 · log 0")
def zero_log_zero(batches, n_codes):
    counts = pooled(batches, n_codes)
    p = counts / counts.sum()
    return (counts > 0).double().mean(), (-(p * p.log()).sum()).exp()


@wrong("vq.usage", says="return the entropy, not its exponential")
def entropy_alone(batches, n_codes):
    share, perplexity = both(pooled(batches, n_codes))
    return share, perplexity.log()


@wrong("vq.usage", says="2 to an entropy in nats")
def two_to_nats(batches, n_codes):
    share, perplexity = both(pooled(batches, n_codes))
    return share, 2 ** perplexity.log()


@wrong("vq.usage", says="e to an entropy in bits")
def e_to_bits(batches, n_codes):
    share, perplexity = both(pooled(batches, n_codes))
    return share, (perplexity.log() / math.log(2)).exp()


@wrong("vq.usage", says="not their share")
def number_of_codes(batches, n_codes):
    counts = pooled(batches, n_codes)
    return (counts > 0).double().sum(), both(counts)[1]


@wrong("vq.usage", says="the largest code + 1")
def without_minlength(batches, n_codes):
    return both(torch.bincount(torch.cat([codes.flatten() for codes in batches])).double())


@wrong("vq.usage", says="average the entropies of batches")
def mean_entropy(batches, n_codes):
    found = [both(counted(codes, n_codes))[1].log() for codes in batches]
    return both(pooled(batches, n_codes))[0], torch.stack(found).mean().exp()


@wrong("vq.usage", says="The sign in the exponent is missing")
def no_minus(batches, n_codes):
    share, perplexity = both(pooled(batches, n_codes))
    return share, 1 / perplexity


@wrong("vq.usage", says="count each code once")
def each_once(batches, n_codes):
    counts = (pooled(batches, n_codes) > 0).double()
    return both(counts)


@wrong("vq.usage", says="perplexity first")
def outputs_exchanged(batches, n_codes):
    return both(pooled(batches, n_codes))[::-1]


@wrong("vq.usage", says="add a small number in the logarithm")
def a_millionth_added(batches, n_codes):
    counts = pooled(batches, n_codes)
    p = counts / counts.sum()
    return (counts > 0).double().mean(), (-(p * (p + 1e-6).log()).sum()).exp()


# --- vq.revive -------------------------------------------------------------------------------------------------------


def revived(codebook, counts, rows, dead, count):
    codebook = codebook.clone()
    codebook[dead] = rows[torch.arange(int(dead.sum())) % len(rows)]
    return codebook, torch.where(dead, count, counts)


@wrong("vq.revive", says="equals `least` is not dead")
def at_the_limit(codebook, counts, z, order, least):
    return revived(codebook, counts, z[order], counts <= least, least)


@wrong("vq.revive", says="count of 0")
def only_empty(codebook, counts, z, order, least):
    return revived(codebook, counts, z[order], counts == 0, least)


@wrong("vq.revive", says="not those of `order`")
def without_order(codebook, counts, z, order, least):
    return revived(codebook, counts, z, counts < least, least)


@wrong("vq.revive", says="its place among the dead")
def place_of_the_code(codebook, counts, z, order, least):
    every = z[order][torch.arange(len(counts)) % len(order)]
    dead = counts < least
    return torch.where(dead[:, None], every, codebook), torch.where(dead, least, counts)


@wrong("vq.revive", says="same vector")
def one_for_all(codebook, counts, z, order, least):
    return revived(codebook, counts, z[order[:1]], counts < least, least)


@wrong("vq.revive", says="dead again at once")
def counts_stay(codebook, counts, z, order, least):
    return revived(codebook, counts, z[order], counts < least, least)[0], counts


@wrong("vq.revive", says="counts of revived codes to 1")
def counts_one(codebook, counts, z, order, least):
    return revived(codebook, counts, z[order], counts < least, 1.0)


@wrong("vq.revive", says="replace the codes that live")
def the_living(codebook, counts, z, order, least):
    return revived(codebook, counts, z[order], counts >= least, least)


@wrong("vq.revive", says="become the batch's mean")
def mean_of_the_batch(codebook, counts, z, order, least):
    return revived(codebook, counts, z.mean(0, keepdim=True), counts < least, least)


@wrong("vq.revive", says="in place")
def changes_the_codebook(codebook, counts, z, order, least):
    dead = counts < least
    codebook[dead] = z[order][torch.arange(int(dead.sum())) % len(z)]
    return codebook, torch.where(dead, least, counts)


@wrong("vq.revive", says="repeat its last vector")
def stays_at_the_end(codebook, counts, z, order, least):
    dead, codebook = counts < least, codebook.clone()
    codebook[dead] = z[order[torch.arange(int(dead.sum())).clamp(max=len(z) - 1)]]
    return codebook, torch.where(dead, least, counts)


@wrong("vq.revive", says="in the order of the counts")
def rarest_first(codebook, counts, z, order, least):
    at = counts.argsort()[: int((counts < least).sum())]
    codebook = codebook.clone()
    codebook[at] = z[order[torch.arange(len(at)) % len(z)]]
    return codebook, counts.clamp(min=least)


@wrong("vq.revive", says="you leave the other dead codes as they are")
def no_second_round(codebook, counts, z, order, least):
    at = (counts < least).nonzero().flatten()[: len(order)]
    codebook = codebook.clone()
    codebook[at] = z[order[: len(at)]]
    return codebook, counts.clamp(min=least)


@wrong("vq.revive", says="it may have to begin more often")
def two_rounds(codebook, counts, z, order, least):
    at = (counts < least).nonzero().flatten()[: 2 * len(order)]
    codebook = codebook.clone()
    codebook[at] = z[order.repeat(2)[: len(at)]]
    return codebook, counts.clamp(min=least)
