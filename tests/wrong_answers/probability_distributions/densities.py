"""Wrong answers of chapter 2: divergence, change of variables, code length."""

import math

import torch
from torch.distributions import MultivariateNormal, Normal

from wrong_answers import wrong

# --- dist.kl_normals -------------------------------------------------------------------------------------------------


def divergence(mean_p, p, mean_q, q, *, half=0.5, trace=1.0, shift=1.0, dim=1.0, log_dets=1.0):
    gap = mean_p - mean_q
    parts = (
        trace * torch.trace(torch.linalg.solve(q, p)),
        shift * gap @ torch.linalg.solve(q, gap),
        -dim * len(gap),
        log_dets * (torch.logdet(q) - torch.logdet(p)),
    )
    return half * sum(parts)


@wrong("dist.kl_normals", says="directions are swapped")
def other_direction(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_q, covariance_q, mean_p, covariance_p)


@wrong("dist.kl_normals", says="The ½ is missing")
def missing_half(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, half=1)


@wrong("dist.kl_normals", says="this is −KL(p‖q)")
def negative(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, half=-0.5)


@wrong("dist.kl_normals", says="The dimension D is missing")
def no_dimension(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, dim=0)


@wrong("dist.kl_normals", says="right in one dimension only")
def one_dimension(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, dim=1 / len(mean_p))


@wrong("dist.kl_normals", says="The means are missing")
def no_means(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, shift=0)


@wrong("dist.kl_normals", says="log-determinants have the wrong sign")
def log_det_sign(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, log_dets=-1)


@wrong("dist.kl_normals", says="a factor 2 is missing")
def half_log_det(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, log_dets=0.5)


@wrong("dist.kl_normals", says="a variance for a standard deviation")
def squared(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p @ covariance_p, mean_q, covariance_q @ covariance_q)


@wrong("dist.kl_normals", says="a standard deviation for a variance")
def factors(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, torch.linalg.cholesky(covariance_p), mean_q, torch.linalg.cholesky(covariance_q))


@wrong("dist.kl_normals", says="with Σ_p⁻¹, not with Σ_q⁻¹")
def distance_in_p(mean_p, covariance_p, mean_q, covariance_q):
    gap = mean_p - mean_q
    without = divergence(mean_p, covariance_p, mean_q, covariance_q, shift=0)
    return without + 0.5 * gap @ torch.linalg.solve(covariance_p, gap)


@wrong("dist.kl_normals", says="determinants underflow")
def by_determinants(mean_p, covariance_p, mean_q, covariance_q):
    without = divergence(mean_p, covariance_p, mean_q, covariance_q, log_dets=0)
    return without + 0.5 * (covariance_q.det() / covariance_p.det()).log()


@wrong("dist.kl_normals", says="draws random numbers of its own")
def by_sampling(mean_p, covariance_p, mean_q, covariance_q):
    p, q = MultivariateNormal(mean_p, covariance_p), MultivariateNormal(mean_q, covariance_q)
    x = p.sample((1000,))
    return (p.log_prob(x) - q.log_prob(x)).mean()


@wrong("dist.kl_normals", says="measured in another unit")
def a_little_added_to_the_covariances(mean_p, covariance_p, mean_q, covariance_q):
    p, q = (
        torch.distributions.MultivariateNormal(mean, covariance + 1e-12 * torch.eye(len(mean)))
        for mean, covariance in ((mean_p, covariance_p), (mean_q, covariance_q))
    )
    return torch.distributions.kl_divergence(p, q)


@wrong("dist.kl_normals", says="log-determinants count twice")
def log_dets_twice(mean_p, covariance_p, mean_q, covariance_q):
    return divergence(mean_p, covariance_p, mean_q, covariance_q, log_dets=2)


@wrong("dist.kl_normals", says="You multiply diagonals")
def trace_of_diagonals(mean_p, covariance_p, mean_q, covariance_q):
    rest = divergence(mean_p, covariance_p, mean_q, covariance_q, trace=0)
    return rest + (covariance_q.inverse().diagonal() * covariance_p.diagonal()).sum() / 2


# --- dist.flow_log_prob ----------------------------------------------------------------------------------------------


def slopes(x, forward):
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(forward(x).sum(), x)
    return slope


def standard(z):
    return Normal(0.0, 1.0).log_prob(z)


@wrong("dist.flow_log_prob", says="The slope is missing")
def no_slope(x, forward):
    return standard(forward(x))


@wrong("dist.flow_log_prob", says="The slope has the wrong sign")
def slope_sign(x, forward):
    return standard(forward(x)) - slopes(x, forward).abs().log()


@wrong("dist.flow_log_prob", says="the slope, not its logarithm")
def slope_not_log(x, forward):
    return standard(forward(x)) + slopes(x, forward).abs()


@wrong("dist.flow_log_prob", says="logarithm of a negative slope")
def no_absolute_value(x, forward):
    return standard(forward(x)) + slopes(x, forward).log()


@wrong("dist.flow_log_prob", says="at x, not at z")
def density_at_x(x, forward):
    return standard(x) + slopes(x, forward).abs().log()


@wrong("dist.flow_log_prob", says="½ log 2π is missing")
def no_constant_of_the_normal(x, forward):
    return -0.5 * forward(x).square() + slopes(x, forward).abs().log()


@wrong("dist.flow_log_prob", says="slopes of all points")
def determinant_of_the_batch(x, forward):
    jacobian = torch.autograd.functional.jacobian(forward, x)
    return standard(forward(x)) + torch.linalg.slogdet(jacobian)[1]


@wrong("dist.flow_log_prob", says="the density, not its logarithm")
def density(x, forward):
    return standard(forward(x)).exp() * slopes(x, forward).abs()


@wrong("dist.flow_log_prob", says="one number for all points")
def total(x, forward):
    return (standard(forward(x)) + slopes(x, forward).abs().log()).sum()


@wrong("dist.flow_log_prob", says="with a slope of 1e-14")
def a_little_added_to_the_slope(x, forward):
    x = x.clone().requires_grad_()
    z = forward(x)
    (slope,) = torch.autograd.grad(z.sum(), x)
    return (-0.5 * (z.square() + math.log(2 * math.pi)) + (slope.abs() + 1e-12).log()).detach()


@wrong("dist.flow_log_prob", says="turns gradients on or off")
def gradients_of_the_argument(x, forward):
    z = forward(x.requires_grad_())
    return standard(z) + torch.autograd.grad(z.sum(), x)[0].abs().log()


@wrong("dist.flow_log_prob", says="underflows to 0 before")
def logarithm_of_the_density(x, forward):
    return standard(forward(x)).exp().log() + slopes(x, forward).abs().log()


# --- dist.code_length ------------------------------------------------------------------------------------------------


def bits(x, probs):
    return -(torch.xlogy(x, probs) + torch.xlogy(1 - x, 1 - probs)) / math.log(2)


@wrong("dist.code_length", says="in nats")
def nats(x, probs):
    return bits(x, probs).sum(-1) * math.log(2)


@wrong("dist.code_length", says="per pixel, not per image")
def per_pixel(x, probs):
    return bits(x, probs).mean(-1)


@wrong("dist.code_length", says="a code length is positive")
def log_probability(x, probs):
    return -bits(x, probs).sum(-1)


@wrong("dist.code_length", says="black pixels only")
def black_only(x, probs):
    return -torch.xlogy(x, probs).sum(-1) / math.log(2)


@wrong("dist.code_length", says="Black and white are swapped")
def swapped_colors(x, probs):
    return bits(1 - x, probs).sum(-1)


@wrong("dist.code_length", says="entropy of the model")
def entropy(x, probs):
    return bits(probs.expand_as(x), probs).sum(-1)


@wrong("dist.code_length", says="you compute 0 · log 0")
def nan_at_zero(x, probs):
    return -(x * probs.log2() + (1 - x) * (1 - probs).log2()).sum(-1)


@wrong("dist.code_length", says="logarithm of a product")
def product(x, probs):
    return -torch.where(x == 1, probs, 1 - probs).prod(-1).log2()


@wrong("dist.code_length", says="your image costs 14")
def cut_off(x, probs):
    nats = torch.nn.functional.binary_cross_entropy(probs.expand_as(x), x, reduction="none")
    return nats.sum(-1) / math.log(2)


@wrong("dist.code_length", says="costs infinitely many bits")
def by_the_library_of_distributions(x, probs):
    return -torch.distributions.Bernoulli(probs).log_prob(x).sum(-1) / math.log(2)


@wrong("dist.code_length", says="round each pixel up")
def whole_bits(x, probs):
    return bits(x, probs).ceil().sum(-1)


@wrong("dist.code_length", says="you sum over the images")
def over_images(x, probs):
    return bits(x, probs).sum(0)
