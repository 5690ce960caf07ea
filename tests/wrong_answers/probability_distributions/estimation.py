"""Wrong answers of chapter 2: maximum likelihood, and a mean with its error."""

import math

import torch

from wrong_answers import wrong

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


@wrong("dist.fit_multivariate_normal", says="compute in float32")
def single_precision(x):
    x = x.float()
    return x.mean(0).double(), torch.cov(x.T, correction=0).double()


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


@wrong("dist.monte_carlo", says="one value more where the error just reaches the goal")
def one_more(values, goal):
    deviation = values.std()
    return values.mean(), deviation / math.sqrt(len(values)), math.floor((deviation / goal) ** 2) + 1


@wrong("dist.monte_carlo", says="to the nearest")
def rounded_to_the_nearest(values, goal):
    return estimate(values, goal, needed=round(((values.std() / goal) ** 2).item()))


@wrong("dist.monte_carlo", says="square the goal, but not the deviation")
def goal_squared(values, goal):
    return estimate(values, goal, needed=math.ceil(values.std() / goal**2))
