"""Wrong answers of chapter 15: noise in one jump, the score of a noised mixture, Tweedie's formula."""

import torch

from wrong_answers import wrong

# --- diffusion.noised ------------------------------------------------------------------------------------------------


def jump(kept, x, noise, root=torch.sqrt):
    kept = kept.reshape(-1, 1, 1, 1)
    return root(kept) * x + root(1 - kept) * noise


def squares(betas):
    """α² at t = 0, …, T."""
    return torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)])


@wrong("diffusion.noised", says="At t = 0 you take all T steps")
def index_before(x, betas, t, noise):
    return jump((1 - betas).cumprod(0)[t - 1], x, noise)


@wrong("diffusion.noised", says="At t = 0 you take one step")
def index_before_but_not_below_zero(x, betas, t, noise):
    return jump((1 - betas).cumprod(0)[(t - 1).clamp(min=0)], x, noise)


@wrong("diffusion.noised", says="one step too many")
def index_of_betas(x, betas, t, noise):
    return jump((1 - betas).cumprod(0)[t.clamp(max=len(betas) - 1)], x, noise)


@wrong("diffusion.noised", says="only step t")
def one_step(x, betas, t, noise):
    beta = torch.cat([betas.new_zeros(1), betas])[t]
    return jump(1 - beta, x, noise)


@wrong("diffusion.noised", says="You add the betas up; each step also shrinks")
def sum_of_betas(x, betas, t, noise):
    total = torch.cat([betas.new_zeros(1), betas.cumsum(0)])[t].clamp(max=1)
    total = total.reshape(-1, 1, 1, 1)
    return (1 - total).sqrt() * x + torch.cat([betas.new_zeros(1), betas.cumsum(0)])[t].sqrt().reshape(
        -1, 1, 1, 1
    ) * noise


@wrong("diffusion.noised", says="later steps shrink the noise, too")
def variances_summed(x, betas, t, noise):
    spread = torch.cat([betas.new_zeros(1), betas.cumsum(0)])[t].sqrt()
    return squares(betas)[t].sqrt().reshape(-1, 1, 1, 1) * x + spread.reshape(-1, 1, 1, 1) * noise


@wrong("diffusion.noised", says="The signal lacks its root")
def no_root_of_the_signal(x, betas, t, noise):
    kept = squares(betas)[t].reshape(-1, 1, 1, 1)
    return kept * x + (1 - kept).sqrt() * noise


@wrong("diffusion.noised", says="both roots are missing")
def no_roots(x, betas, t, noise):
    return jump(squares(betas)[t], x, noise, root=lambda kept: kept)


@wrong("diffusion.noised", says="Your noise has the size 1 − α")
def one_minus_alpha(x, betas, t, noise):
    alpha = squares(betas)[t].sqrt().reshape(-1, 1, 1, 1)
    return alpha * x + (1 - alpha) * noise


@wrong("diffusion.noised", says="Signal and noise are swapped")
def swapped(x, betas, t, noise):
    return jump(1 - squares(betas)[t], x, noise)


@wrong("diffusion.noised", says="You multiply the betas")
def product_of_betas(x, betas, t, noise):
    return jump(torch.cat([betas.new_ones(1), betas.cumprod(0)])[t], x, noise)


@wrong("diffusion.noised", says="The image is not shrunk")
def exploding(x, betas, t, noise):
    return x + (1 - squares(betas)[t]).sqrt().reshape(-1, 1, 1, 1) * noise


@wrong("diffusion.noised", says="the first image's t for all")
def first_time(x, betas, t, noise):
    return jump(squares(betas)[t[0]].expand(len(x)), x, noise)


@wrong("diffusion.noised", says="Your time runs backwards")
def backwards(x, betas, t, noise):
    return jump(squares(betas).flip(0)[t], x, noise)


@wrong("diffusion.noised", says="the root of a negative number")
def one_minus_the_sum(x, betas, t, noise):
    return jump(torch.cat([betas.new_ones(1), 1 - betas.cumsum(0)])[t], x, noise)


@wrong("diffusion.noised", says="draws random numbers of its own")
def own_noise(x, betas, t, noise):
    return jump(squares(betas)[t], x, torch.randn_like(noise))


@wrong("diffusion.noised", says="Your x_t is clipped to ±3")
def clipped(x, betas, t, noise):
    return jump(squares(betas)[t], x, noise).clamp(-3, 3)


# --- diffusion.mixture_score -----------------------------------------------------------------------------------------


def score(
    x,
    weights,
    means,
    scales,
    alpha,
    sigma,
    *,
    variance=lambda s, alpha, sigma: alpha**2 * s**2 + sigma**2,
    constant=lambda dim, variance: dim / 2 * variance.log(),
    posterior=lambda log, square, weights: log.softmax(1),
    by=lambda variance: variance,
    shrink=True,
):
    v = variance(scales, alpha, sigma)
    to_mean = (alpha if shrink else 1) * means - x[:, None]
    square = to_mean.square().sum(-1)
    log = weights.log() - constant(x.shape[1], v) - square / (2 * v)
    return ((posterior(log, square, weights) / by(v))[..., None] * to_mean).sum(1)


@wrong("diffusion.mixture_score", says="The sign is wrong")
def away_from_the_data(*inputs):
    return -score(*inputs)


@wrong("diffusion.mixture_score", says="forgot the mixture weights")
def equal_weights(x, weights, *rest):
    return score(x, torch.ones_like(weights), *rest)


@wrong("diffusion.mixture_score", says="not with the responsibilities")
def prior_for_posterior(*inputs):
    return score(*inputs, posterior=lambda log, square, weights: weights.expand_as(log))


@wrong("diffusion.mixture_score", says="lack the components' normalizing constants")
def no_constants(*inputs):
    return score(*inputs, constant=lambda dim, variance: 0)


@wrong("diffusion.mixture_score", says="lacks the dimension")
def constant_of_one_dimension(*inputs):
    return score(*inputs, constant=lambda dim, variance: 0.5 * variance.log())


@wrong("diffusion.mixture_score", says="they shrink to α μ")
def means_of_the_data(*inputs):
    return score(*inputs, shrink=False)


@wrong("diffusion.mixture_score", says="The components' variances lack α²")
def variance_of_the_data(*inputs):
    return score(*inputs, variance=lambda s, alpha, sigma: s**2 + sigma**2)


@wrong("diffusion.mixture_score", says="standard deviations for variances")
def scale_for_variance(*inputs):
    return score(*inputs, variance=lambda s, alpha, sigma: alpha**2 * s + sigma**2)


@wrong("diffusion.mixture_score", says="You add standard deviations")
def scales_added(*inputs):
    return score(*inputs, variance=lambda s, alpha, sigma: (alpha * s + sigma) ** 2)


@wrong("diffusion.mixture_score", says="The noise does not widen")
def components_as_narrow_as_before(*inputs):
    return score(*inputs, variance=lambda s, alpha, sigma: alpha**2 * s**2)


@wrong("diffusion.mixture_score", says="Only the likeliest component pulls")
def hard_assignment(*inputs):
    return score(
        *inputs,
        posterior=lambda log, square, weights: torch.zeros_like(log).scatter(1, log.argmax(1, keepdim=True), 1.0),
    )


@wrong("diffusion.mixture_score", says="The pull is not divided by the variance")
def no_variance(*inputs):
    return score(*inputs, by=torch.ones_like)


@wrong("diffusion.mixture_score", says="far from all components the densities underflow")
def in_plain_densities(*inputs):
    return score(*inputs, posterior=lambda log, square, weights: log.exp() / log.exp().sum(1, keepdim=True))


@wrong("diffusion.mixture_score", says="far from all components the densities underflow")
def one_maximum(*inputs):
    def posterior(log, square, weights):
        safe = (log - log.max()).exp()
        return safe / safe.sum(1, keepdim=True)

    return score(*inputs, posterior=posterior)


@wrong("diffusion.mixture_score", says="not of its logarithm")
def gradient_of_the_density(*inputs):
    def joint(log, square, weights):
        return (log - inputs[0].shape[1] / 2 * torch.tensor(2 * torch.pi, dtype=log.dtype).log()).exp()

    return score(*inputs, posterior=joint)


@wrong("diffusion.mixture_score", says="sum to 1 over the points")
def softmax_over_points(*inputs):
    return score(*inputs, posterior=lambda log, square, weights: log.softmax(0))


@wrong("diffusion.mixture_score", says="expected noise")
def expected_noise(*inputs):
    return -inputs[-1] * score(*inputs)


@wrong("diffusion.mixture_score", says="do you divide by σ?")
def by_tweedie(x, weights, means, scales, alpha, sigma):
    mean = (x + sigma**2 * score(x, weights, means, scales, alpha, sigma)) / alpha
    return (alpha * mean - x) / torch.tensor(sigma, dtype=x.dtype) ** 2


@wrong("diffusion.mixture_score", says="You add a small number to the variances")
def small_number_added(*inputs):
    return score(*inputs, variance=lambda s, alpha, sigma: alpha**2 * s**2 + sigma**2 + 1e-6)


# --- diffusion.tweedie -----------------------------------------------------------------------------------------------


def moments(score, hessian, x, alpha, sigma, *, mean=None, covariance=None):
    a, v, one = alpha[:, None], sigma[:, None] ** 2, torch.eye(x.shape[1], dtype=x.dtype)
    first = (x + v * score) / a if mean is None else mean(a, v)
    a, v = a[..., None], v[..., None]
    return first, v / a**2 * (one + v * hessian) if covariance is None else covariance(a, v, one)


@wrong("diffusion.tweedie", says="The score has the wrong sign")
def minus(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: (x - v * score) / a)


@wrong("diffusion.tweedie", says="σ should be squared")
def sigma_not_squared(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: (x + v.sqrt() * score) / a)


@wrong("diffusion.tweedie", says="forgot to divide by α")
def no_alpha(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: x + v * score)


@wrong("diffusion.tweedie", says="where you must divide")
def alpha_multiplied(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: (x + v * score) * a)


@wrong("diffusion.tweedie", says="Only x is divided by α")
def brackets_forgotten(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: x / a + v * score)


@wrong("diffusion.tweedie", says="You take 1 − α² for σ²")
def variance_preserving(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: (x + (1 - a**2) * score) / a)


@wrong("diffusion.tweedie", says="This is the expected noise")
def noise(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: -v.sqrt() * score)


@wrong("diffusion.tweedie", says="the first row's level for all")
def first_level(score, hessian, x, alpha, sigma):
    return moments(score, hessian, x, alpha[:1].expand(len(x)), sigma[:1].expand(len(x)))


@wrong("diffusion.tweedie", says="You divide by α²")
def alpha_squared(score, hessian, x, *level):
    return moments(score, hessian, x, *level, mean=lambda a, v: (x + v * score) / a**2)


@wrong("diffusion.tweedie", says="This is the derivative of the mean in x")
def slope_of_the_mean(score, hessian, x, *level):
    return moments(score, hessian, x, *level, covariance=lambda a, v, one: (one + v * hessian) / a)


@wrong("diffusion.tweedie", says="You add 1 to all entries")
def one_for_identity(score, hessian, x, *level):
    return moments(score, hessian, x, *level, covariance=lambda a, v, one: v / a**2 * (1 + v * hessian))


@wrong("diffusion.tweedie", says="The identity is missing")
def no_identity(score, hessian, x, *level):
    return moments(score, hessian, x, *level, covariance=lambda a, v, one: v**2 / a**2 * hessian)


@wrong("diffusion.tweedie", says="H has the wrong sign")
def hessian_negated(score, hessian, x, *level):
    return moments(score, hessian, x, *level, covariance=lambda a, v, one: v / a**2 * (one - v * hessian))


@wrong("diffusion.tweedie", says="α should be squared")
def one_alpha(score, hessian, x, *level):
    return moments(score, hessian, x, *level, covariance=lambda a, v, one: v / a * (one + v * hessian))


@wrong("diffusion.tweedie", says="products for second derivatives")
def products_of_the_score(score, hessian, x, *level):
    outer = score[:, :, None] * score[:, None, :]
    return moments(score, hessian, x, *level, covariance=lambda a, v, one: v / a**2 * (one + v * outer))


@wrong("diffusion.tweedie", says="the variances alone")
def variances_alone(*inputs):
    mean, covariance = moments(*inputs)
    return mean, covariance.diagonal(dim1=1, dim2=2)


@wrong("diffusion.tweedie", says="Your posterior mean is clipped to ±3")
def clipped_mean(score, hessian, x, alpha, sigma):
    mean, covariance = moments(score, hessian, x, alpha, sigma)
    return mean.clamp(-3, 3), covariance


@wrong("diffusion.tweedie", says="Your posterior mean should be")
def alpha_raised(score, hessian, x, alpha, sigma):
    return moments(score, hessian, x, alpha.clamp(min=0.1), sigma)
