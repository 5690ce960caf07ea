"""Wrong answers of chapter 6: gradients through and around a sample."""

import torch
from torch.distributions import Normal
from torch.nn.functional import softplus

from wrong_answers import wrong

# --- vae.reparameterise ----------------------------------------------------------------------------------------------


@wrong("vae.reparameterise", says="multiply the noise with the log-variance")
def log_variance_for_deviation(mean, log_variance, noise):
    return mean + log_variance * noise


@wrong("vae.reparameterise", says="multiply the noise with the variance")
def variance_for_deviation(mean, log_variance, noise):
    return mean + log_variance.exp() * noise


@wrong("vae.reparameterise", says="a log-variance may be negative")
def root_of_log_variance(mean, log_variance, noise):
    return mean + log_variance.sqrt() * noise


@wrong("vae.reparameterise", says="No gradient flows through your result")
def all_detached(mean, log_variance, noise):
    return (mean + (log_variance / 2).exp() * noise).detach()


@wrong("vae.reparameterise", says="No gradient flows through your result")
def by_sampling(mean, log_variance, noise):
    with torch.no_grad():
        return mean + (0.5 * log_variance).exp() * noise


@wrong("vae.reparameterise", says="No gradient reaches `log_variance`")
def deviation_detached(mean, log_variance, noise):
    return mean + (log_variance.detach() / 2).exp() * noise


@wrong("vae.reparameterise", says="Two calls with the same noise give two results: you draw noise of your own")
def own_noise(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() * torch.randn_like(noise)


@wrong("vae.reparameterise", says="draw noise of your own")
def drawn_by_the_library(mean, log_variance, noise):
    return Normal(mean, (log_variance / 2).exp()).rsample(noise.shape[:1])


@wrong("vae.reparameterise", says="multiply the mean with σ, too")
def mean_scaled(mean, log_variance, noise):
    return (mean + noise) * (log_variance / 2).exp()


@wrong("vae.reparameterise", says="one sample for each example")
def first_sample(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() * noise[0]


@wrong("vae.reparameterise", says="No gradient reaches `mean`")
def data_detached(mean, log_variance, noise):
    return mean.detach() + (log_variance / 2).exp() * noise


@wrong("vae.reparameterise", says="No gradient reaches `log_variance`")
def deviation_detached_reparameterise(mean, log_variance, noise):
    return mean + (log_variance / 2).exp().detach() * noise


@wrong("vae.reparameterise", says="You take softplus for σ: the input is log σ²")
def softplus_deviation(mean, log_variance, noise):
    return mean + softplus(log_variance) * noise


@wrong("vae.reparameterise", says="Your noise has lost its sign")
def absolute_noise(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() * noise.abs()


@wrong("vae.reparameterise", says="You use the batch's mean of the means")
def of_the_batch(mean, log_variance, noise):
    return mean.mean(0) + (log_variance / 2).exp() * noise


@wrong("vae.reparameterise", says="You divide the noise by σ")
def over_two_pi(mean, log_variance, noise):
    return mean + torch.exp(-log_variance / 2) * noise


@wrong("vae.reparameterise", says="You double the log-variance where it is halved")
def factor_two(mean, log_variance, noise):
    return mean + (2 * log_variance).exp() * noise


@wrong("vae.reparameterise", says="the variance overflows")
def root_of_the_variance(mean, log_variance, noise):
    return mean + log_variance.exp().sqrt() * noise


@wrong("vae.reparameterise", says="NaN where the variance rounds to 0")
def root_of_a_bounded_variance(mean, log_variance, noise):
    high = (log_variance / 2).exp()
    return mean + torch.where(log_variance > 100, high, log_variance.clamp(max=100).exp().sqrt()) * noise


@wrong("vae.reparameterise", says="halve the variance, not its logarithm")
def half_of_the_variance(mean, log_variance, noise):
    return mean + log_variance.exp() / 2 * noise


# --- vae.score_function_gradient -------------------------------------------------------------------------------------


def reinforce(f, mean, log_variance, noise, *, baseline="others", by_mean=None, by_log_variance=None):
    deviation = (log_variance / 2).exp()
    value = f(mean + deviation * noise)
    others = (value.sum() - value) / (len(value) - 1)
    weight = value - {"others": others, "none": 0, "all": value.mean()}[baseline]
    by_mean = noise / deviation if by_mean is None else by_mean
    by_log_variance = (noise.square() - 1) / 2 if by_log_variance is None else by_log_variance
    return (weight[:, None] * by_mean).mean(0), (weight[:, None] * by_log_variance).mean(0)


@wrong("vae.score_function_gradient", says="You ask f at ε")
def values_at_the_noise(f, mean, log_variance, noise):
    return reinforce(lambda z: f(noise), mean, log_variance, noise)


@wrong("vae.score_function_gradient", says="forgot the baseline")
def no_baseline(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, baseline="none")


@wrong("vae.score_function_gradient", says="looks at its own sample")
def baseline_of_all(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, baseline="all")


@wrong("vae.score_function_gradient", says="division by σ is missing")
def no_deviation(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, by_mean=noise)


@wrong("vae.score_function_gradient", says="divide ε by the variance")
def by_the_variance(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, by_mean=noise / log_variance.exp())


@wrong("vae.score_function_gradient", says="in log σ, not in log σ²")
def in_log_deviation(f, mean, log_variance, noise):
    return reinforce(f, mean, log_variance, noise, by_log_variance=noise.square() - 1)


@wrong("vae.score_function_gradient", says="in σ², not in log σ²")
def in_the_variance(f, mean, log_variance, noise):
    score = (noise.square() - 1) / 2 / log_variance.exp()
    return reinforce(f, mean, log_variance, noise, by_log_variance=score)


@wrong("vae.score_function_gradient", says="does not see the jumps")
def reparameterized(f, mean, log_variance, noise):
    mean, log_variance = mean.clone().requires_grad_(), log_variance.clone().requires_grad_()
    value = f(mean + (log_variance / 2).exp() * noise).mean()
    return torch.autograd.grad(value, (mean, log_variance))


@wrong("vae.score_function_gradient", says="z moves with the mean")
def z_not_detached(f, mean, log_variance, noise):
    mean, log_variance = mean.clone().requires_grad_(), log_variance.clone().requires_grad_()
    z = mean + (log_variance / 2).exp() * noise
    value = f(z).detach()
    others = (value.sum() - value) / (len(value) - 1)
    log_q = Normal(mean, (log_variance / 2).exp()).log_prob(z).sum(-1)
    return torch.autograd.grad(((value - others) * log_q).mean(), (mean, log_variance))


@wrong("vae.score_function_gradient", says="gradient of a loss")
def of_a_loss(f, mean, log_variance, noise):
    return tuple(-part for part in reinforce(f, mean, log_variance, noise))


@wrong("vae.score_function_gradient", says="sum over the samples")
def sum_for_mean(f, mean, log_variance, noise):
    return tuple(len(noise) * part for part in reinforce(f, mean, log_variance, noise))


def sf(f, mean, lv, noise, base):
    d = (lv / 2).exp()
    v = f(mean + d * noise)
    a = (v - base(v))[:, None]
    return ((a * noise / d).mean(0), (a * (noise.square() - 1) / 2).mean(0))


@wrong("vae.score_function_gradient", says="Your baseline is the median of all values")
def median_baseline(f, mean, log_variance, noise):
    return sf(f, mean, log_variance, noise, lambda v: v.median())


def others(v):
    return (v.sum() - v) / (len(v) - 1)


@wrong("vae.score_function_gradient", says="You divide by S − 1 at the end, too")
def divided_by_one_less(f, mean, log_variance, noise):
    a, b = sf(f, mean, log_variance, noise, others)
    return (a * len(noise) / (len(noise) - 1), b * len(noise) / (len(noise) - 1))


@wrong("vae.score_function_gradient", says="The two gradients are exchanged")
def exchanged(f, mean, log_variance, noise):
    return sf(f, mean, log_variance, noise, others)[::-1]


@wrong("vae.score_function_gradient", says="You return the gradient in the mean twice")
def mean_twice(f, mean, log_variance, noise):
    a, _ = sf(f, mean, log_variance, noise, others)
    return (a, a)


@wrong("vae.score_function_gradient", says="Your baseline is f at the mean")
def value_of_the_mean(f, mean, log_variance, noise):
    return sf(f, mean, log_variance, noise, lambda v: f(mean[None])[0])


@wrong("vae.score_function_gradient", says="You divide by the deviation of the values")
def standardized(f, mean, log_variance, noise):
    d = (log_variance / 2).exp()
    v = f(mean + d * noise)
    a = ((v - others(v)) / v.std())[:, None]
    return ((a * noise / d).mean(0), (a * (noise.square() - 1) / 2).mean(0))


@wrong("vae.score_function_gradient", says="Your baseline is one other sample")
def next_sample(f, mean, log_variance, noise):
    return sf(f, mean, log_variance, noise, lambda v: v.roll(1))


@wrong("vae.score_function_gradient", says="You use the first sample alone")
def first_sample_only(f, mean, log_variance, noise):
    d = (log_variance / 2).exp()
    v = f(mean + d * noise)
    a = (v - others(v))[:, None]
    return ((a * noise / d)[0], (a * (noise.square() - 1) / 2)[0])


# --- vae.free_bits_loss ----------------------------------------------------------------------------------------------


@wrong("vae.free_bits_loss", says="divergence of each example")
def clamp_each(reconstruction, kl, beta, free_nats):
    return beta * kl.clamp(min=free_nats).sum(1).mean() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You clamp the sum over the latents: one full latent would pay for all empty ones")
def clamp_total_of_all(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).sum().clamp(min=free_nats * kl.shape[1]) - reconstruction.mean()


@wrong("vae.free_bits_loss", says="sum over the latents of each example")
def clamp_each_total(reconstruction, kl, beta, free_nats):
    return (beta * kl.sum(1).clamp(min=free_nats) - reconstruction).mean()


@wrong("vae.free_bits_loss", says="free bits are missing")
def nothing_free(reconstruction, kl, beta, free_nats):
    return beta * kl.sum(1).mean() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="with β before the maximum")
def beta_inside(reconstruction, kl, beta, free_nats):
    return (beta * kl.mean(0)).clamp(min=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="reconstruction term has the wrong sign")
def reconstruction_added(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).sum() + reconstruction.mean()


@wrong("vae.free_bits_loss", says="No gradient flows")
def a_plain_number(reconstruction, kl, beta, free_nats):
    return (beta * kl.mean(0).clamp(min=free_nats).sum() - reconstruction.mean()).item()


@wrong("vae.free_bits_loss", says="below λ still feels the price")
def gradient_goes_through(reconstruction, kl, beta, free_nats):
    mean = kl.mean(0)
    lifted = mean + (mean.clamp(min=free_nats) - mean).detach()
    return beta * lifted.sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="one number for each example")
def per_example(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).sum() - reconstruction


@wrong("vae.free_bits_loss", says="You compare λ with the sum over the batch")
def floor_of_the_batch_sum(reconstruction, kl, beta, free_nats):
    return beta * kl.sum(0).clamp(min=free_nats).sum() / len(kl) - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You give λ to all latents together")
def floor_of_everything(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).sum().clamp(min=free_nats) - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You subtract λ: max(0, KL − λ). The gradient is the same, the loss is not")
def subtracted_free_bits_loss(reconstruction, kl, beta, free_nats):
    return beta * (kl.mean(0) - free_nats).relu().sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You clamp the divergence of each example")
def each_value(reconstruction, kl, beta, free_nats):
    return beta * kl.clamp(min=free_nats).mean(0).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You leave out the latents below λ: they cost λ")
def floor_zeroed(reconstruction, kl, beta, free_nats):
    p = kl.mean(0)
    return beta * (p * (p > free_nats)).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You compare λ with the sum over the batch")
def floor_per_example_share(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats / len(kl)).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You average over the latents")
def mean_of_latents_free_bits_loss(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).mean() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="No gradient reaches `kl`")
def detached_price(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=free_nats).sum().detach() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You multiply λ with β, too")
def beta_on_the_floor(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=beta * free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="Your λ is always the same")
def floor_of_half(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(min=0.5).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You forgot β")
def beta_is_one(reconstruction, kl, beta, free_nats):
    return kl.mean(0).clamp(min=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You average over the latents and sum over the batch")
def over_the_latents(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(1).clamp(min=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You cut the divergence off above λ")
def capped(reconstruction, kl, beta, free_nats):
    return beta * kl.mean(0).clamp(max=free_nats).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="A latent below λ still feels the price")
def straight_through(reconstruction, kl, beta, free_nats):
    p = kl.mean(0)
    return beta * (p + (p.clamp(min=free_nats) - p).detach()).sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="You charge the distance to λ")
def absolute_distance(reconstruction, kl, beta, free_nats):
    return beta * (kl.mean(0) - free_nats).abs().sum() - reconstruction.mean()


@wrong("vae.free_bits_loss", says="Both terms are sums over the batch")
def summed_batch(reconstruction, kl, beta, free_nats):
    return beta * kl.sum(0).clamp(min=free_nats).sum() - reconstruction.sum()
