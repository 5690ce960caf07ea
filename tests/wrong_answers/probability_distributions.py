"""Wrong answers to the exercises of chapter 2, probability distributions."""

import math

import torch
from torch.distributions import MultivariateNormal, Normal

from wrong_answers import wrong

# --- dist.categorical_from_uniform -----------------------------------------------------------------------------------


@wrong("dist.categorical_from_uniform", says="ends there: u = 0 then draws")
def boundary_to_the_left(u, probs):
    return torch.searchsorted(probs.cumsum(0), u).clamp(max=len(probs) - 1)


@wrong("dist.categorical_from_uniform", says="category K, which does not exist")
def beyond_the_last(u, probs):
    return torch.searchsorted(probs.cumsum(0), u, right=True)


@wrong("dist.categorical_from_uniform", says="lands in category 0")
def first_true(u, probs):
    return (u[:, None] < probs.cumsum(0)).long().argmax(1)


@wrong("dist.categorical_from_uniform", says="not with their cumulative sums")
def not_cumulative(u, probs):
    return (u[:, None] >= probs).sum(1)


@wrong("dist.categorical_from_uniform", says="counted from 1")
def counted_from_one(u, probs):
    return torch.searchsorted(probs.cumsum(0), u, right=True) + 1


@wrong("dist.categorical_from_uniform", says="pieces that end after u")
def counted_from_above(u, probs):
    return (u[:, None] < probs.cumsum(0)).sum(1)


@wrong("dist.categorical_from_uniform", says="ignore the probabilities")
def evenly(u, probs):
    return (u * len(probs)).long()


@wrong("dist.categorical_from_uniform", says="draws random numbers of its own")
def by_its_own_chance(u, probs):
    return torch.multinomial(probs, len(u), replacement=True)


@wrong("dist.categorical_from_uniform", says="one value for each of the 5 categories")
def truth_values(u, probs):
    return u[:, None] < probs.cumsum(0)


@wrong("dist.categorical_from_uniform", says="floating-point numbers")
def floating(u, probs):
    return (u[:, None] >= probs.cumsum(0)).double().sum(1)


# --- dist.box_muller -------------------------------------------------------------------------------------------------


def polar(exponent, angle):
    radius = exponent.sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


@wrong("dist.box_muller", says="log u₁ where log(1 − u₁) belongs")
def log_u(u):
    return polar(-2 * u[:, 0].log(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="factor 2 in the radius is missing")
def no_two(u):
    return polar(-(1 - u[:, 0]).log(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="radius from the second column")
def columns_swapped(u):
    return polar(-2 * (1 - u[:, 1]).log(), 2 * math.pi * u[:, 0])


@wrong("dist.box_muller", says="square root of the radius is missing")
def no_root(u):
    return polar((-2 * (1 - u[:, 0]).log()).square(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="2π is missing")
def no_turn(u):
    return polar(-2 * (1 - u[:, 0]).log(), u[:, 1])


@wrong("dist.box_muller", says="Sine and cosine are swapped")
def sine_first(u):
    return polar(-2 * (1 - u[:, 0]).log(), 2 * math.pi * u[:, 1]).flip(1)


@wrong("dist.box_muller", says="under the root stands a negative number")
def no_minus(u):
    return polar(2 * (1 - u[:, 0]).log(), 2 * math.pi * u[:, 1])


@wrong("dist.box_muller", says="by the inverse normal CDF")
def by_inverse_cdf(u):
    return Normal(0.0, 1.0).icdf(u)


# --- dist.multivariate_normal_sample ---------------------------------------------------------------------------------


@wrong("dist.multivariate_normal_sample", says="multiply with Lᵀ where L belongs")
def transposed_factor(noise, mean, covariance):
    return mean + noise @ torch.linalg.cholesky(covariance)


@wrong("dist.multivariate_normal_sample", says="a variance for a standard deviation")
def covariance_for_factor(noise, mean, covariance):
    return mean + noise @ covariance


@wrong("dist.multivariate_normal_sample", says="no correlations")
def diagonal_only(noise, mean, covariance):
    return mean + noise * covariance.diagonal().sqrt()


@wrong("dist.multivariate_normal_sample", says="forgot the mean")
def no_mean(noise, mean, covariance):
    return noise @ torch.linalg.cholesky(covariance).T


@wrong("dist.multivariate_normal_sample", says="not the root of each of its entries")
def root_of_entries(noise, mean, covariance):
    return mean + noise @ covariance.sqrt()


@wrong("dist.multivariate_normal_sample", says="solve with the factor instead of multiplying")
def whitened(noise, mean, covariance):
    return mean + torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), noise.T, upper=False).T


@wrong("dist.multivariate_normal_sample", says="ignore the covariance")
def shifted_only(noise, mean, covariance):
    return mean + noise


@wrong("dist.multivariate_normal_sample", says="draws random numbers of its own")
def noise_of_its_own(noise, mean, covariance):
    return MultivariateNormal(mean, covariance).sample((len(noise),))


# --- dist.fit_multivariate_normal ------------------------------------------------------------------------------------


@wrong("dist.fit_multivariate_normal", says="N − 1")
def unbiased(x):
    return x.mean(0), x.T.cov()


@wrong("dist.fit_multivariate_normal", says="did not subtract the mean")
def second_moment(x):
    return x.mean(0), x.T @ x / len(x)


@wrong("dist.fit_multivariate_normal", says="division by N is missing")
def scatter(x):
    return x.mean(0), (x - x.mean(0)).T @ (x - x.mean(0))


@wrong("dist.fit_multivariate_normal", says="covariance between points")
def points_for_features(x):
    return x.mean(0), torch.cov(x, correction=0)


@wrong("dist.fit_multivariate_normal", says="you average over the features")
def mean_of_features(x):
    return x.mean(1), torch.cov(x.T, correction=0)


@wrong("dist.fit_multivariate_normal", says="one number for all features")
def one_mean(x):
    return x.mean(), torch.cov(x.T, correction=0)


@wrong("dist.fit_multivariate_normal", says="variances only")
def variances(x):
    return x.mean(0), x.var(0, correction=0)


@wrong("dist.fit_multivariate_normal", says="loses its digits")
def difference_of_moments(x):
    mean = x.mean(0)
    return mean, x.T @ x / len(x) - torch.outer(mean, mean)


# --- dist.rejection_sample -------------------------------------------------------------------------------------------


def accept(log_target, log_proposal, log_constant, u, *, keep=None):
    log_ratio = log_target - log_proposal - log_constant
    if (log_ratio > 1e-9).any():
        raise ValueError("no envelope")
    return u.log() < log_ratio if keep is None else keep


@wrong("dist.rejection_sample", says="upside down")
def thrown_away(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() > log_target - log_proposal - log_constant)


@wrong("dist.rejection_sample", says="compare u itself with a logarithm")
def no_log_of_u(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u < log_target - log_proposal - log_constant)


@wrong("dist.rejection_sample", says="forgot the constant M")
def no_constant(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() < log_target - log_proposal)


@wrong("dist.rejection_sample", says="constant has the wrong sign")
def constant_sign(log_target, log_proposal, log_constant, u):
    return u.log() < log_target - log_proposal + log_constant


@wrong("dist.rejection_sample", says="forgot the density of the proposal")
def no_proposal(log_target, log_proposal, log_constant, u):
    return u.log() < log_target - log_constant


@wrong("dist.rejection_sample", says="Target and proposal are swapped")
def swapped(log_target, log_proposal, log_constant, u):
    return u.log() < log_proposal - log_target - log_constant


@wrong("dist.rejection_sample", says="their exponentials underflow")
def by_densities(log_target, log_proposal, log_constant, u):
    return u * math.exp(min(log_constant, 700)) * log_proposal.exp() < log_target.exp()


@wrong("dist.rejection_sample", says="where the target is 0")
def not_strict(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u, keep=u.log() <= log_target - log_proposal - log_constant)


@wrong("dist.rejection_sample", says="your function says nothing")
def silent(log_target, log_proposal, log_constant, u):
    return u.log() < log_target - log_proposal - log_constant


@wrong("dist.rejection_sample", says="this envelope is nowhere below the target")
def alarmed(log_target, log_proposal, log_constant, u):
    if (log_target > log_proposal).any():
        raise ValueError("no envelope")
    return u.log() < log_target - log_proposal - log_constant


@wrong("dist.rejection_sample", says="indices of what is kept")
def indices(log_target, log_proposal, log_constant, u):
    return accept(log_target, log_proposal, log_constant, u).nonzero().squeeze(-1)


@wrong("dist.rejection_sample", says="numbers, not truth values")
def acceptance_probability(log_target, log_proposal, log_constant, u):
    return (log_target - log_proposal - log_constant).exp()


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


# --- dist.monte_carlo ------------------------------------------------------------------------------------------------


def estimate(values, goal, *, error=None, needed=None):
    deviation = values.std()
    if error is None:
        error = deviation / math.sqrt(len(values))
    return values.mean(), error, math.ceil((deviation / goal) ** 2) if needed is None else needed


@wrong("dist.monte_carlo", says="division by √n is missing")
def deviation_of_one(values, goal):
    return estimate(values, goal, error=values.std())


@wrong("dist.monte_carlo", says="You divide by n, not by √n")
def by_n(values, goal):
    return estimate(values, goal, error=values.std() / len(values))


@wrong("dist.monte_carlo", says="the estimate asked for is unbiased")
def biased(values, goal):
    return estimate(values, goal, error=values.std(correction=0) / math.sqrt(len(values)))


@wrong("dist.monte_carlo", says="squared standard error")
def variance_of_the_mean(values, goal):
    return estimate(values, goal, error=values.var() / len(values))


@wrong("dist.monte_carlo", says="half a 95 % interval")
def interval(values, goal):
    return estimate(values, goal, error=1.96 * values.std() / math.sqrt(len(values)))


@wrong("dist.monte_carlo", says="forgot the square")
def not_squared(values, goal):
    return estimate(values, goal, needed=math.ceil(values.std() / goal))


@wrong("dist.monte_carlo", says="standard error where the standard deviation belongs")
def from_the_error(values, goal):
    return estimate(values, goal, needed=math.ceil(values.var() / len(values) / goal**2))


@wrong("dist.monte_carlo", says="round down")
def rounded_down(values, goal):
    return estimate(values, goal, needed=int(values.var() / goal**2))


@wrong("dist.monte_carlo", says="not a whole number")
def not_rounded(values, goal):
    return estimate(values, goal, needed=values.var() / goal**2)


@wrong("dist.monte_carlo", says="returns 2 values, expected 3")
def two_of_three(values, goal):
    return estimate(values, goal)[:2]


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


@wrong("dist.code_length", says="round each pixel up")
def whole_bits(x, probs):
    return bits(x, probs).ceil().sum(-1)


@wrong("dist.code_length", says="you sum over the images")
def over_images(x, probs):
    return bits(x, probs).sum(0)


# --- dist.compress ---------------------------------------------------------------------------------------------------


def table(x_train, offsets, *, smooth=0.5):
    """Counts over the pixels at `offsets` (rows, columns) from the pixel that is predicted."""

    def key(x, d):
        row, column = divmod(d, 8)
        number = torch.zeros(len(x), dtype=torch.long)
        for down, right in offsets:
            if 0 <= row + down < 8 and 0 <= column + right < 8:
                number = 2 * number + x[:, 8 * (row + down) + column + right].long()
        return number

    def predict(x):
        p = torch.empty_like(x)
        for d in range(64):
            seen = key(x_train, d)
            ones = torch.bincount(seen, weights=x_train[:, d], minlength=2 ** len(offsets))
            counts = torch.bincount(seen, minlength=2 ** len(offsets))
            p[:, d] = ((ones + smooth) / (counts + 2 * smooth)).nan_to_num(0.5)[key(x, d)]
        return p

    return predict


@wrong("dist.compress", says="no better than independent pixels")
def independent(x_train):
    return table(x_train, [])


@wrong("dist.compress", says="too little of the pixels before")
def one_neighbor(x_train):
    return table(x_train, [(-1, 0)])


@wrong("dist.compress", says="too little of the pixels before")
def two_neighbors(x_train):
    return table(x_train, [(0, -1), (-1, 0)])


@wrong("dist.compress", says="depends on later pixels")
def neighbors_all_around(x_train):
    return table(x_train, [(0, -1), (-1, 0), (0, 1), (1, 0)])


@wrong("dist.compress", says="depends on that pixel itself")
def off_by_one(x_train):
    return table(x_train, [(0, 0), (0, -1), (-1, 0)])


@wrong("dist.compress", says="depends on that pixel itself")
def probability_of_what_is_there(x_train):
    predict = table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)])
    return lambda x: torch.where(x == 1, predict(x), 1 - predict(x))


@wrong("dist.compress", says="infinitely many bits")
def certain(x_train):
    return table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)], smooth=0)


@wrong("dist.compress", says="you overfit")
def long_context(x_train):
    rows = [(0, -1), (0, -2), (0, -3), *((-1, k) for k in range(-3, 4)), *((-2, k) for k in range(-2, 3))]
    return table(x_train, rows, smooth=0.01)


@wrong("dist.compress", says="which other images you are asked about")
def learns_from_new_images(x_train):
    return lambda x: table(torch.cat([x_train, x]), [(0, -1), (-1, 0), (-1, -1), (-1, 1)])(x)


@wrong("dist.compress", says="those of a 0")
def probability_of_white(x_train):
    predict = table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)])
    return lambda x: 1 - predict(x)


@wrong("dist.compress", says="which is no probability")
def log_probabilities(x_train):
    predict = table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)])
    return lambda x: predict(x).log()


@wrong("dist.compress", says="not a function")
def numbers(x_train):
    return table(x_train, [(-1, 0)])(x_train)
