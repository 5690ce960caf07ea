"""Wrong answers of chapter 8: the losses of the game, their slopes and what they measure."""

import math

import torch
from torch.nn.functional import binary_cross_entropy, logsigmoid, softplus

from wrong_answers import wrong

# --- gan.optimal_discriminator ---------------------------------------------------------------------------------------


@wrong("gan.optimal_discriminator", says="you divide 0 by 0")
def naive(log_p, log_q):
    return log_p.exp() / (log_p.exp() + log_q.exp())


@wrong("gan.optimal_discriminator", says="probability of a fake")
def of_a_fake(log_p, log_q):
    return (log_q - log_p).sigmoid()


@wrong("gan.optimal_discriminator", says="This is the logit")
def logit(log_p, log_q):
    return log_p - log_q


@wrong("gan.optimal_discriminator", says="ratio p / q")
def ratio(log_p, log_q):
    return (log_p - log_q).exp()


@wrong("gan.optimal_discriminator", says="logarithms in the place of the densities")
def of_logarithms(log_p, log_q):
    return log_p / (log_p + log_q)


@wrong(
    "gan.optimal_discriminator", says="A small number below the fraction outweighs the densities where both are tiny"
)
def small_number_below(log_p, log_q):
    return log_p.exp() / (log_p.exp() + log_q.exp() + 1e-08)


@wrong("gan.optimal_discriminator", says="You scale all examples by one maximum")
def one_maximum_for_all(log_p, log_q):
    m = max(log_p.max(), log_q.max())
    return (log_p - m).exp() / ((log_p - m).exp() + (log_q - m).exp())


@wrong("gan.optimal_discriminator", says="You scale all examples by one maximum")
def maximum_of_the_data(log_p, log_q):
    m = log_p.max()
    return (log_p - m).exp() / ((log_p - m).exp() + (log_q - m).exp())


@wrong("gan.optimal_discriminator", says="You divide by a sum over the batch")
def softmax_over_the_batch(log_p, log_q):
    return torch.stack([log_p, log_q]).softmax(1)[0]


@wrong("gan.optimal_discriminator", says="You divide by a sum over the batch")
def softmax_of_p(log_p, log_q):
    return log_p.softmax(0)


@wrong("gan.optimal_discriminator", says="You cut the logarithms off")
def clamped_logarithms(log_p, log_q):
    return (log_p.clamp(min=-100) - log_q.clamp(min=-100)).sigmoid()


@wrong("gan.optimal_discriminator", says="You say which density is larger")
def the_larger_one(log_p, log_q):
    return (log_p > log_q).double()


@wrong("gan.optimal_discriminator", says="Where one density is by far the larger the ratio p/q overflows")
def ratio_over_one_plus_ratio(log_p, log_q):
    r = (log_p - log_q).exp()
    return r / (1 + r)


@wrong("gan.optimal_discriminator", says="You add the logarithms of the densities")
def logarithms_added(log_p, log_q):
    return (log_p + log_q).sigmoid()


@wrong("gan.optimal_discriminator", says="The density q is missing")
def without_q(log_p, log_q):
    return log_p.sigmoid()


# --- gan.discriminator_loss ------------------------------------------------------------------------------------------


@wrong("gan.discriminator_loss", says="infinite or NaN")
def naive_loss(real, fake):
    return -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()


@wrong("gan.discriminator_loss", says="Real and fake are swapped")
def swapped_loss(real, fake):
    return softplus(real).mean() + softplus(-fake).mean()


@wrong("gan.discriminator_loss", says="Fakes are treated as real ones")
def fakes_as_real(real, fake):
    return softplus(-real).mean() + softplus(-fake).mean()


@wrong("gan.discriminator_loss", says="average over both batches together")
def one_batch(real, fake):
    return torch.cat([softplus(-real), softplus(fake)]).mean()


@wrong("gan.discriminator_loss", says="The sign is wrong")
def ascent(real, fake):
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


@wrong("gan.discriminator_loss", says="These are sums")
def summed_loss(real, fake):
    return softplus(-real).sum() + softplus(fake).sum()


@wrong("gan.discriminator_loss", says="Wasserstein loss")
def wasserstein(real, fake):
    return fake.mean() - real.mean()


@wrong("gan.discriminator_loss", says="You smooth the labels")
def smoothed_label(real, fake):
    return 0.9 * softplus(-real).mean() + 0.1 * softplus(real).mean() + softplus(fake).mean()


@wrong("gan.discriminator_loss", says="You smooth the labels")
def weaker_real_part(real, fake):
    return 0.9 * softplus(-real).mean() + softplus(fake).mean()


@wrong("gan.discriminator_loss", says="You smooth the labels")
def both_labels_smoothed(real, fake):
    return (
        0.9 * softplus(-real).mean()
        + 0.1 * softplus(real).mean()
        + 0.9 * softplus(fake).mean()
        + 0.1 * softplus(-fake).mean()
    )


@wrong("gan.discriminator_loss", says="The loss of a very sure discriminator stops at 100")
def cut_at_minus_100(real, fake):
    return binary_cross_entropy(real.sigmoid(), torch.ones_like(real)) + binary_cross_entropy(
        fake.sigmoid(), torch.zeros_like(fake)
    )


@wrong("gan.discriminator_loss", says="The loss of a very sure and wrong discriminator should be 1000")
def small_number_in_the_log(real, fake):
    return -(real.sigmoid() + 1e-08).log().mean() - (1 - fake.sigmoid() + 1e-08).log().mean()


@wrong("gan.discriminator_loss", says="The loss of a very sure and wrong discriminator should be 1000")
def smaller_number_in_the_log(real, fake):
    return -(real.sigmoid() + 1e-12).log().mean() - (1 - fake.sigmoid() + 1e-12).log().mean()


@wrong("gan.discriminator_loss", says="The loss of a very sure and wrong discriminator should be 1000")
def clamped_probabilities(real, fake):
    return -real.sigmoid().clamp(1e-07, 1 - 1e-07).log().mean() - (1 - fake.sigmoid()).clamp(1e-07).log().mean()


@wrong("gan.discriminator_loss", says="This is the hinge loss")
def hinge_loss(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


@wrong("gan.discriminator_loss", says="This is the least-squares loss")
def least_squares(real, fake):
    return (real - 1).square().mean() + fake.square().mean()


@wrong("gan.discriminator_loss", says="This is in bits")
def loss_in_bits(real, fake):
    return (softplus(-real).mean() + softplus(fake).mean()) / math.log(2)


@wrong("gan.discriminator_loss", says="You divide both sums by the size of one batch")
def divided_by_the_real_ones(real, fake):
    return (softplus(-real).sum() + softplus(fake).sum()) / len(real)


@wrong("gan.discriminator_loss", says="You divide both sums by the size of one batch")
def divided_by_the_fakes(real, fake):
    return (softplus(-real).sum() + softplus(fake).sum()) / len(fake)


@wrong("gan.discriminator_loss", says="You sum over the fakes")
def fakes_summed(real, fake):
    return softplus(-real).mean() + softplus(fake).sum()


@wrong("gan.discriminator_loss", says="There is a sigmoid too many")
def sigmoid_twice(real, fake):
    return softplus(-real.sigmoid()).mean() + softplus(fake.sigmoid()).mean()


@wrong("gan.discriminator_loss", says="The loss of a very sure and wrong discriminator should be 1000")
def clamped_logits(real, fake):
    return softplus(-real.clamp(-50, 50)).mean() + softplus(fake.clamp(-50, 50)).mean()


@wrong("gan.discriminator_loss", says="You take the logarithm of the mean probability")
def log_of_the_mean(real, fake):
    return -real.sigmoid().mean().log() - (1 - fake.sigmoid()).mean().log()


@wrong("gan.discriminator_loss", says="You take the loss of the mean logit")
def loss_of_the_mean(real, fake):
    return softplus(-real.mean()) + softplus(fake.mean())


@wrong("gan.discriminator_loss", says="You add log σ of the fakes, which is the generator's wish")
def generators_wish(real, fake):
    return softplus(-real).mean() - softplus(-fake).mean()


# --- gan.generator_slopes --------------------------------------------------------------------------------------------


@wrong("gan.generator_slopes", says="The two slopes are swapped")
def swapped_slopes(fake):
    return -(-fake).sigmoid(), -fake.sigmoid()


@wrong("gan.generator_slopes", says="minimax slope has the wrong sign")
def positive_slopes(fake):
    return fake.sigmoid(), (-fake).sigmoid()


@wrong("gan.generator_slopes", says="slope of σ itself")
def slope_of_sigmoid(fake):
    product = fake.sigmoid() * (1 - fake.sigmoid())
    return -product, -product


@wrong("gan.generator_slopes", says="inner derivative is missing")
def by_sigma(fake):
    return -1 / (1 - fake.sigmoid()), -1 / fake.sigmoid()


@wrong("gan.generator_slopes", says="that of the minimax loss")
def twice_the_same(fake):
    return -fake.sigmoid(), -fake.sigmoid()


@wrong("gan.generator_slopes", says="not finite where the discriminator is sure")
def uncancelled(fake):
    s = fake.sigmoid()
    return -s * (1 - s) / (1 - s), -s * (1 - s) / s


@wrong("gan.generator_slopes", says="This is the slope of σ itself: the logarithm is missing")
def second_slope_of_sigmoid(fake):
    return (-fake.sigmoid(), -fake.sigmoid() * (1 - fake.sigmoid()))


@wrong("gan.generator_slopes", says="The non-saturating slope has the wrong sign")
def second_slope_positive(fake):
    return (-fake.sigmoid(), (-fake).sigmoid())


@wrong("gan.generator_slopes", says="This is the loss, not its slope")
def both_losses(fake):
    return (-softplus(fake), softplus(-fake))


@wrong("gan.generator_slopes", says="This is the non-saturating loss, not its slope")
def second_is_the_loss(fake):
    return (-fake.sigmoid(), softplus(-fake))


@wrong("gan.generator_slopes", says="The two slopes are swapped")
def first_is_the_second(fake):
    return (-(1 - fake.sigmoid()), -(1 - fake.sigmoid()))


@wrong("gan.generator_slopes", says="The slopes are not finite where the discriminator is sure")
def ratio_of_exponentials(fake):
    return (-fake.exp() / (1 + fake.exp()), -1 / (1 + fake.exp()))


# --- gan.js_divergence -----------------------------------------------------------------------------------------------


def kl(a, b):
    return (torch.xlogy(a, a) - torch.xlogy(a, b)).sum()


@wrong("gan.js_divergence", says="two halves are missing")
def no_halves(p, q):
    m = (p + q) / 2
    return kl(p, m) + kl(q, m)


@wrong("gan.js_divergence", says="compare p and q with each other")
def symmetrized(p, q):
    return (kl(p, q) + kl(q, p)) / 2


@wrong("gan.js_divergence", says="A probability of 0 makes the divergence NaN")
def zero_times_infinity(p, q):
    m = (p + q) / 2
    return ((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2


@wrong("gan.js_divergence", says="in bits")
def in_bits(p, q):
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2 / math.log(2)


@wrong("gan.js_divergence", says="arguments of KL are swapped")
def middle_in_front(p, q):
    m = (p + q) / 2
    return (kl(m, p) + kl(m, q)) / 2


@wrong("gan.js_divergence", says="value of the game")
def value_of_the_game(p, q):
    m = (p + q) / 2
    return kl(p, m) + kl(q, m) - math.log(4)


@wrong("gan.js_divergence", says="You average over the values")
def mean_over_values(p, q):
    m = (p + q) / 2
    return 0.5 * (torch.xlogy(p, p / m).mean() + torch.xlogy(q, q / m).mean())


@wrong("gan.js_divergence", says="Your m is p + q: its ½ is missing")
def middle_without_half(p, q):
    m = p + q
    return 0.5 * (kl(p, m) + kl(q, m))


@wrong("gan.js_divergence", says="The part of q is missing")
def without_q_js_divergence(p, q):
    m = (p + q) / 2
    return kl(p, m)


@wrong("gan.js_divergence", says="The part of p is missing")
def without_p(p, q):
    m = (p + q) / 2
    return kl(q, m)


@wrong("gan.js_divergence", says="The sign is wrong: a divergence is not negative")
def entropies_negated(p, q):

    def e(r):
        return torch.xlogy(r, r).sum()

    return e((p + q) / 2) - (e(p) + e(q)) / 2


@wrong("gan.js_divergence", says="This is the total variation")
def total_variation(p, q):
    return (p - q).abs().sum() / 2


@wrong("gan.js_divergence", says="The arguments of KL are swapped: m stands behind")
def kl_div_the_wrong_way_round(p, q):
    m = (p + q) / 2
    import torch.nn.functional as F

    return 0.5 * (F.kl_div(p.log(), m, reduction="sum") + F.kl_div(q.log(), m, reduction="sum"))


@wrong("gan.js_divergence", says="You average over the values")
def kl_div_batchmean(p, q):
    m = (p + q) / 2
    import torch.nn.functional as F

    return 0.5 * (F.kl_div(m.log(), p, reduction="batchmean") + F.kl_div(m.log(), q, reduction="batchmean"))


@wrong("gan.js_divergence", says="This is KL(q‖p)")
def kl_of_q_and_p(p, q):
    return kl(q, p)


# --- gan.hinge_losses ------------------------------------------------------------------------------------------------


@wrong("gan.hinge_losses", says="Real and fake are swapped")
def hinge_swapped(real, fake):
    return (1 + real).relu().mean() + (1 - fake).relu().mean(), -fake.mean()


@wrong("gan.hinge_losses", says="The hinge is missing")
def no_hinge(real, fake):
    return (1 - real).mean() + (1 + fake).mean(), -fake.mean()


@wrong("gan.hinge_losses", says="maximum of the mean")
def hinge_of_the_mean(real, fake):
    return (1 - real.mean()).relu() + (1 + fake.mean()).relu(), -fake.mean()


@wrong("gan.hinge_losses", says="margin of 1 is missing")
def no_margin(real, fake):
    return (-real).relu().mean() + fake.relu().mean(), -fake.mean()


@wrong("gan.hinge_losses", says="generator's loss has the wrong sign")
def generator_sign(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean(), fake.mean()


@wrong("gan.hinge_losses", says="generator's loss has a hinge")
def generator_hinge(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean(), (1 - fake).relu().mean()


@wrong("gan.hinge_losses", says="These are sums")
def hinge_sums(real, fake):
    return ((1 - real).relu().sum() + (1 + fake).relu().sum(), -fake.sum())


@wrong("gan.hinge_losses", says="You square the hinges")
def squared_hinges(real, fake):
    return ((1 - real).relu().square().mean() + (1 + fake).relu().square().mean(), -fake.mean())


@wrong("gan.hinge_losses", says="The fakes are missing")
def hinge_of_real_ones(real, fake):
    return ((1 - real).relu().mean(), -fake.mean())


@wrong("gan.hinge_losses", says="The real ones are missing")
def hinge_of_fakes(real, fake):
    return ((1 + fake).relu().mean(), -fake.mean())


@wrong("gan.hinge_losses", says="The generator's loss is a sum")
def generator_sum(real, fake):
    return ((1 - real).relu().mean() + (1 + fake).relu().mean(), -fake.sum())


@wrong("gan.hinge_losses", says="The generator's loss looks at the real ones")
def generator_of_real_ones(real, fake):
    return ((1 - real).relu().mean() + (1 + fake).relu().mean(), -real.mean())


@wrong("gan.hinge_losses", says="The two losses are swapped")
def hinge_losses_exchanged(real, fake):
    return (-fake.mean(), (1 - real).relu().mean() + (1 + fake).relu().mean())


@wrong("gan.hinge_losses", says="You average over both batches together")
def hinge_over_both_batches(real, fake):
    return (torch.cat([(1 - real).relu(), (1 + fake).relu()]).mean(), -fake.mean())


@wrong("gan.hinge_losses", says="You subtract the fakes' part")
def fakes_subtracted(real, fake):
    return ((1 - real).relu().mean() - (1 + fake).relu().mean(), -fake.mean())


@wrong("gan.hinge_losses", says="Your hinge is smooth: this is softplus")
def smooth_hinge(real, fake):
    return (softplus(1 - real).mean() + softplus(1 + fake).mean(), -fake.mean())


@wrong("gan.hinge_losses", says="The generator's loss has the real ones in it")
def generator_with_real_ones(real, fake):
    return ((1 - real).relu().mean() + (1 + fake).relu().mean(), real.mean() - fake.mean())


@wrong("gan.js_divergence", says="probability 0 in both")
def by_xlogy_of_a_quotient(p, q):
    m = (p + q) / 2
    return (torch.xlogy(p, p / m).sum() + torch.xlogy(q, q / m).sum()) / 2


@wrong("gan.js_divergence", says="probability 0 in both")
def by_kl_div(p, q):
    log_m = ((p + q) / 2).log()
    return sum(torch.nn.functional.kl_div(log_m, r, reduction="sum") for r in (p, q)) / 2


@wrong("gan.optimal_discriminator", says="or you put ½ in for 0/0")
def half_where_unknown(log_p, log_q):
    return torch.nan_to_num(log_p.exp() / (log_p.exp() + log_q.exp()), nan=0.5)


@wrong("gan.optimal_discriminator", says="or you put 0 in for 0/0")
def none_where_unknown(log_p, log_q):
    return torch.nan_to_num(log_p.exp() / (log_p.exp() + log_q.exp()))


@wrong("gan.hinge_losses", says="right only for batches of one size")
def doubled_mean_of_all(real, fake):
    return 2 * torch.cat([(1 - real).relu(), (1 + fake).relu()]).mean(), -fake.mean()


@wrong("gan.hinge_losses", says="The generator's loss has a hinge")
def hinge_for_the_generator(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean(), -fake.relu().mean()
