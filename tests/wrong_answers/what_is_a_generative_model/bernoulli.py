"""Wrong answers of chapter 1: the model of independent pixels: fit, log p(x, y), missing pixels, samples."""

import math

import torch
from torch.nn.functional import one_hot

from wrong_answers import wrong

# --- generative.fit_bernoulli ----------------------------------------------------------------------------------------


def count(x, y, n_classes, alpha, *, values=2, above=1.0, below=None):
    belongs = one_hot(y, n_classes).double()
    sizes = belongs.sum(0)
    below = sizes if below is None else below
    probs = (belongs.T @ x + above * alpha) / (below[:, None] + values * alpha)
    return (sizes / len(x)).log(), probs


@wrong("generative.fit_bernoulli", says="forgot to smooth")
def not_smoothed(x, y, n_classes, alpha):
    return count(x, y, n_classes, 0)


@wrong("generative.fit_bernoulli", says="α once to the count of examples")
def alpha_once(x, y, n_classes, alpha):
    return count(x, y, n_classes, alpha, values=1)


@wrong("generative.fit_bernoulli", says="numerator only")
def numerator_only(x, y, n_classes, alpha):
    return count(x, y, n_classes, alpha, values=0)


@wrong("generative.fit_bernoulli", says="α once for each class")
def alpha_for_each_class(x, y, n_classes, alpha):
    return count(x, y, n_classes, alpha, values=n_classes)


@wrong("generative.fit_bernoulli", says="α once for each pixel")
def multinomial_smoothing(x, y, n_classes, alpha):
    return count(x, y, n_classes, alpha, values=x.shape[1])


@wrong("generative.fit_bernoulli", says="whatever `alpha` is")
def always_one(x, y, n_classes, alpha):
    return count(x, y, n_classes, 1)


@wrong("generative.fit_bernoulli", says="number of all examples, not by that of the class")
def divided_by_all(x, y, n_classes, alpha):
    return count(x, y, n_classes, alpha, below=torch.full((n_classes,), float(len(x)), dtype=x.dtype))


@wrong("generative.fit_bernoulli", says="the priors, not their logarithms")
def priors(x, y, n_classes, alpha):
    log_prior, probs = count(x, y, n_classes, alpha)
    return log_prior.exp(), probs


@wrong("generative.fit_bernoulli", says="Your priors are counts")
def log_counts(x, y, n_classes, alpha):
    log_prior, probs = count(x, y, n_classes, alpha)
    return log_prior + math.log(len(x)), probs


@wrong("generative.fit_bernoulli", says="smooth the priors, too")
def smoothed_prior(x, y, n_classes, alpha):
    sizes = one_hot(y, n_classes).double().sum(0) + alpha
    return (sizes / sizes.sum()).log(), count(x, y, n_classes, alpha)[1]


@wrong("generative.fit_bernoulli", says="pixels come first")
def transposed(x, y, n_classes, alpha):
    log_prior, probs = count(x, y, n_classes, alpha)
    return log_prior, probs.T


@wrong("generative.fit_bernoulli", says="where 2α belongs")
def two_below(x, y, n_classes, alpha):
    belongs = one_hot(y, n_classes).double()
    return (belongs.mean(0)).log(), (belongs.T @ x + alpha) / (belongs.sum(0)[:, None] + 2)


@wrong("generative.fit_bernoulli", says="With α = 1e-12")
def kept_from_zero(x, y, n_classes, alpha):
    log_prior, probs = count(x, y, n_classes, alpha)
    return log_prior, probs.clamp(1e-6, 1 - 1e-6)


@wrong("generative.fit_bernoulli", says="With α = 1e-12")
def alpha_kept_from_zero(x, y, n_classes, alpha):
    return count(x, y, n_classes, max(alpha, 1e-10))


# --- generative.log_joint --------------------------------------------------------------------------------------------


def joint(log_prior, probs, x, *, prior=1.0, black=1.0, white=1.0):
    x = x[:, None]
    return prior * log_prior + (black * torch.xlogy(x, probs) + white * torch.xlogy(1 - x, 1 - probs)).sum(-1)


@wrong("generative.log_joint", says="forgot the prior")
def likelihood(log_prior, probs, x):
    return joint(log_prior, probs, x, prior=0)


@wrong("generative.log_joint", says="black pixels only")
def black_only(log_prior, probs, x):
    return joint(log_prior, probs, x, white=0)


@wrong("generative.log_joint", says="where they are summed")
def averaged_pixels(log_prior, probs, x):
    return log_prior + joint(log_prior, probs, x, prior=0) / x.shape[1]


@wrong("generative.log_joint", says="prior once for each pixel")
def prior_in_the_sum(log_prior, probs, x):
    return (log_prior[:, None] + (x[:, None] * probs.log() + (1 - x[:, None]) * (1 - probs).log())).sum(-1)


@wrong("generative.log_joint", says="this is the posterior")
def normalized(log_prior, probs, x):
    return joint(log_prior, probs, x).log_softmax(-1)


@wrong("generative.log_joint", says="underflows to 0")
def product_first(log_prior, probs, x):
    return (log_prior.exp() * torch.where(x[:, None] == 1, probs, 1 - probs).prod(-1)).log()


@wrong("generative.log_joint", says="0 · log 0")
def nan_at_zero(log_prior, probs, x):
    return log_prior + x @ probs.log().T + (1 - x) @ (1 - probs).log().T


@wrong("generative.log_joint", says="move the probabilities away from 0 and 1")
def clamped(log_prior, probs, x):
    return joint(log_prior, probs.clamp(1e-12, 1 - 1e-12), x)


@wrong("generative.log_joint", says="the logarithm away from −∞")
def binary_cross_entropy(log_prior, probs, x):
    both = torch.broadcast_tensors(probs, x[:, None])
    return log_prior - torch.nn.functional.binary_cross_entropy(*both, reduction="none").sum(-1)


@wrong("generative.log_joint", says="you sum over the classes, too")
def total(log_prior, probs, x):
    return joint(log_prior, probs, x).sum(-1)


@wrong("generative.log_joint", says="divide by the prior")
def divided_by_the_prior(log_prior, probs, x):
    return joint(log_prior, probs, x, prior=-1.0)


@wrong("generative.log_joint", says="All rows are alike, equal to the first of the right ones")
def first_image_for_all(log_prior, probs, x):
    return joint(log_prior, probs, x[:1].expand_as(x))


# --- generative.sample -----------------------------------------------------------------------------------------------


def draw(log_prior, probs, u_class, u_pixels):
    y = (u_class[:, None] >= log_prior.exp().cumsum(0)[:-1]).sum(-1)
    return (u_pixels < probs[y]).double(), y


@wrong("generative.sample", says="Black and white are swapped")
def swapped_colors(log_prior, probs, u_class, u_pixels):
    x, y = draw(log_prior, probs, u_class, u_pixels)
    return 1 - x, y


@wrong("generative.sample", says="do not depend on the class")
def average_image(log_prior, probs, u_class, u_pixels):
    _, y = draw(log_prior, probs, u_class, u_pixels)
    return (u_pixels < log_prior.exp() @ probs).double(), y


@wrong("generative.sample", says="one too high")
def off_by_one(log_prior, probs, u_class, u_pixels):
    edges = torch.cat([log_prior.new_zeros(1), log_prior.exp().cumsum(0)[:-1]])
    y = torch.searchsorted(edges, u_class, right=True)
    return (u_pixels < probs[y - 1]).double(), y


@wrong("generative.sample", says="with the prior itself: cumulate it first")
def not_cumulated(log_prior, probs, u_class, u_pixels):
    y = (u_class[:, None] >= log_prior.exp()).sum(-1).clamp(max=len(probs) - 1)
    return (u_pixels < probs[y]).double(), y


@wrong("generative.sample", says="cumulate the logarithms")
def cumulated_logarithms(log_prior, probs, u_class, u_pixels):
    y = (u_class[:, None] >= log_prior.cumsum(0)).sum(-1).clamp(max=len(probs) - 1)
    return (u_pixels < probs[y]).double(), y


@wrong("generative.sample", says="every class equally often")
def uniform_classes(log_prior, probs, u_class, u_pixels):
    y = (u_class * len(probs)).long()
    return (u_pixels < probs[y]).double(), y


@wrong("generative.sample", says="one class for all examples")
def one_class(log_prior, probs, u_class, u_pixels):
    _, y = draw(log_prior, probs, u_class, u_pixels)
    y = y[0].expand(len(u_class))
    return (u_pixels < probs[y]).double(), y


@wrong("generative.sample", says="For u_class = 0 and 0.9")
def class_at_most(log_prior, probs, u_class, u_pixels):
    y = (u_class[:, None] > log_prior.exp().cumsum(0)[:-1]).sum(-1)
    return (u_pixels < probs[y]).double(), y


@wrong("generative.sample", says="A pixel with θ = 0 comes out black")
def pixel_at_most(log_prior, probs, u_class, u_pixels):
    _, y = draw(log_prior, probs, u_class, u_pixels)
    return (u_pixels <= probs[y]).double(), y


@wrong("generative.sample", says="round θ")
def rounded(log_prior, probs, u_class, u_pixels):
    _, y = draw(log_prior, probs, u_class, u_pixels)
    return probs[y].round(), y


@wrong("generative.sample", says="Your images are `torch.bool`")
def truth_values(log_prior, probs, u_class, u_pixels):
    x, y = draw(log_prior, probs, u_class, u_pixels)
    return x.bool(), y


@wrong("generative.sample", says="sums to 0.999999")
def first_where_none(log_prior, probs, u_class, u_pixels):
    y = (u_class[:, None] < log_prior.exp().cumsum(0)).long().argmax(-1)
    return (u_pixels < probs[y]).double(), y


# --- generative.log_joint_missing ------------------------------------------------------------------------------------


def filled(log_prior, probs, x, value):
    x = torch.where(x[:, None].isnan(), torch.as_tensor(value, dtype=x.dtype), x[:, None])
    return log_prior + (x * probs.log() + (1 - x) * (1 - probs).log()).sum(-1)


@wrong("generative.log_joint_missing", says="a missing pixel for white")
def white(log_prior, probs, x):
    return filled(log_prior, probs, x, 0.0)


@wrong("generative.log_joint_missing", says="fill in ½")
def half(log_prior, probs, x):
    return filled(log_prior, probs, x, 0.5)


@wrong("generative.log_joint_missing", says="fill in θ")
def mean_of_the_pixel(log_prior, probs, x):
    return filled(log_prior, probs, x, probs)


@wrong("generative.log_joint_missing", says="max for sum")
def likeliest_filling(log_prior, probs, x):
    return filled(log_prior, probs, x, (probs > 0.5).double())


@wrong("generative.log_joint_missing", says="NaN stays NaN")
def masked_by_multiplication(log_prior, probs, x):
    seen = (~x.isnan()).double()[:, None]
    x = x[:, None]
    return log_prior + (seen * (x * probs.log() + (1 - x) * (1 - probs).log())).sum(-1)


@wrong("generative.log_joint_missing", says="average over the ways to fill the gaps")
def averaged_fillings(log_prior, probs, x):
    factor = torch.where(x[:, None] == 1, probs, 1 - probs)
    return log_prior + torch.where(x[:, None].isnan(), 0.5, factor).log().sum(-1)


@wrong("generative.log_joint_missing", says="invents evidence")
def scaled_up(log_prior, probs, x):
    seen = (~x.isnan()).sum(-1, keepdim=True).clamp(min=1)
    pixels = (x == 1).double() @ probs.log().T + (x == 0).double() @ (1 - probs).log().T
    return log_prior + pixels * x.shape[1] / seen


@wrong("generative.log_joint_missing", says="count the black pixels only")
def black_alone(log_prior, probs, x):
    return log_prior + (x == 1).double() @ probs.log().T


@wrong("generative.log_joint_missing", says="count the white pixels only")
def white_alone(log_prior, probs, x):
    return log_prior + (x == 0).double() @ (1 - probs).log().T
