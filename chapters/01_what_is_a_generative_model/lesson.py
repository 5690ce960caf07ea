# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · What is a generative model?
#
# **Say how the data came about, and one model can name it, draw it, complete it and doubt it.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 70 minutes | a minute, two cores | Python, a little calculus, what a Gaussian is | build a classifier out of densities; draw a digit in ten lines; say when a generative model wins and when it loses; find your way through this course |
#
# Symbols, signs and units are those of the [notation page](../../docs/style.md#notation).
#
# Most of machine learning asks: *which class is this?* A generative model first answers another question: *what are such things like?* This chapter shows what that buys, what it costs, and how the families of this course differ.

# %% tags=["parameters"]
seed = 1
plane_points = 400
most_draws = 12
image_labels = 10000

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from utils.data import load
from utils.models.classifiers import GenerativeClassifier
from utils.models.mixtures import BernoulliMixture, GaussianMixture
from utils.plots import PALETTE, caption, images, plane
from utils.results import record, record_table

generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · Two ways to look at the same data
#
# Here are points of two classes, and two models, each fitted by a library in one line; how the second one works is the subject of this chapter.

# %%
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

threadpool_limits(1)  # the many small fits of this lesson are faster on one core

true_prior = torch.tensor([0.6, 0.4], dtype=torch.float64)
true_means = torch.tensor([[-1.2, 0.0], [1.4, 0.7]], dtype=torch.float64)
true_covariances = torch.tensor(
    [[[1.0, 0.6], [0.6, 0.8]], [[0.3, -0.15], [-0.15, 0.5]]], dtype=torch.float64
)
y = torch.multinomial(true_prior, plane_points, replacement=True, generator=generator)
noise = torch.randn(plane_points, 2, 1, generator=generator, dtype=torch.float64)
x = true_means[y] + (torch.linalg.cholesky(true_covariances)[y] @ noise)[..., 0]  # (B, 2)

discriminative = LogisticRegression().fit(x, y)
generative = GenerativeClassifier(lambda: GaussianMixture(1)).fit(x, y)
x_new, y_new = generative.sample(60, generator)

low, high = (-4.2, -3.0), (3.6, 3.4)
maps = ["Blues", "Oranges"]

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7))
boundary, slope = discriminative.intercept_[0], discriminative.coef_[0]
line = np.array([low[1], high[1]])
for k in range(2):
    left.scatter(*x[y == k].T, s=8, color=PALETTE[k], label=f"class {k}")
    plane(right, generative.densities[k].log_prob, low, high, cmap=maps[k], alpha=0.6)
    new = x_new[y_new == k]
    right.scatter(*new.T, s=22, edgecolor="black", color=PALETTE[k], zorder=3)
left.plot(-(boundary + slope[1] * line) / slope[0], line, color="black")
left.legend(loc="lower right", markerscale=2)
left.set(title="discriminative: where is the border?", aspect="equal")
right.set(title="generative: what is each class like?")
for ax in (left, right):
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$x_1$")
left.set_ylabel("$x_2$")
caption(
    "Left: the data, and the border that the discriminative model keeps of them. Right: "
    "two densities learnt from the same data, and 60 points that were drawn from them."
)

# %% [markdown]
# The left model knows a border. The right model knows two **densities**: functions that say how likely each place is in each class. The border is where they are equally likely, so it comes for free. So do the new points.

# %% [markdown]
# ## 2 · The mathematics
#
# Write $x$ for what we observe (a point, an image) and $y$ for its class.
#
# - A **discriminative** model learns $p(y \mid x)$: given $x$, how likely is each class? It never says how likely $x$ itself is.
# - A **generative** model learns the **joint** distribution $p(x, y)$: how likely is it to meet this $x$ *and* this $y$? Nature first draws the class, then something of that class:
#
# $$p(x, y) = p(y)\, p(x \mid y).$$
#
# $p(y)$ is the **prior**: how frequent is each class? $p(x \mid y)$ is the **class-conditional density**: what is the class like?
#
# Everything else follows from two rules of probability. Sum over what you do not know, and divide by what you do:
#
# $$p(x) = \sum_y p(y)\, p(x \mid y), \qquad\qquad p(y \mid x) = \frac{p(y)\, p(x \mid y)}{p(x)}.$$
#
# The second one is **Bayes' rule**. It turns the story around, from "what does a class make?" to "which class made this?". $p(y \mid x)$ is called the **posterior**.
#
# | question | discriminative, $p(y \mid x)$ | generative, $p(x, y)$ |
# |---|---|---|
# | Which class is it? | yes | yes, by Bayes' rule |
# | Draw a new example | no | yes: draw $y$, then $x$ |
# | Half of $x$ is missing | must fill it in first | yes: sum it out |
# | Is this $x$ like anything seen before? | only by how sure it is of a class | by $p(x)$; section 8 compares the two |
# | The classes will be rarer tomorrow | no: $p(y)$ is baked in | yes: exchange the prior |
# | Learn from examples without labels | no | yes: $p(x)$ needs none |
#
# The right column needs more: a density of $x$ is far harder to get right than a border. The rest of this chapter measures that trade.

# %% [markdown]
# ## 3 · From scratch
#
# The simplest density in the plane is a Gaussian, $\mathcal N(x; \mu, \Sigma)$, with mean $\mu$ and covariance $\Sigma$. One for each class makes a generative model:
#
# $$\log p(x, y = k) = \log \pi_k - \tfrac12 (x - \mu_k)^\top \Sigma_k^{-1} (x - \mu_k) - \tfrac12 \log \det \Sigma_k - \tfrac D2 \log 2\pi.$$
#
# Here $\pi_k$ is the prior of class $k$, and $D = 2$ is the number of coordinates. To fit it by maximum likelihood, count the classes, and take mean and covariance of each. Everything is done with **logarithms**, because in many dimensions a density can be $10^{-400}$, which a computer rounds to zero.


# %%
def fit(x: Tensor, y: Tensor, shared: bool = False):
    """Prior (C,), means (C, D) and covariances (C, D, D); `shared`: one covariance for all."""
    groups = [x[y == k] for k in range(int(y.max()) + 1)]
    prior = torch.tensor([len(group) / len(x) for group in groups], dtype=x.dtype)
    means = torch.stack([group.mean(0) for group in groups])
    covariances = torch.stack([torch.cov(group.T, correction=0) for group in groups])
    if shared:  # the average, weighted by the size of the classes
        covariances = (prior @ covariances.flatten(1)).reshape(1, *covariances.shape[1:])
        covariances = covariances.expand(len(groups), -1, -1)
    return prior, means, covariances


def log_joint(x, prior, means, covariances):
    """log p(x, y) for every class y, (B, C)."""
    columns = []
    for weight, mean, covariance in zip(prior, means, covariances, strict=True):
        centered = x - mean  # (B, D)
        distance = (centered @ covariance.inverse() * centered).sum(1)
        log_volume = covariance.logdet() + x.shape[1] * math.log(2 * math.pi)
        columns.append(weight.log() - (distance + log_volume) / 2)
    return torch.stack(columns, dim=1)


def posterior(x, *model):
    """Bayes' rule: p(y | x), (B, C). The softmax divides by p(x), safely."""
    return log_joint(x, *model).softmax(1)


def sample(n, prior, means, covariances):
    """First the class, then the point."""
    y = torch.multinomial(prior, n, replacement=True, generator=generator)
    noise = torch.randn(n, means.shape[1], 1, generator=generator, dtype=means.dtype)
    return means[y] + (torch.linalg.cholesky(covariances)[y] @ noise)[..., 0], y


# %%
from matplotlib.colors import LinearSegmentedColormap

two_colors = LinearSegmentedColormap.from_list("", [PALETTE[0], "white", PALETTE[1]])
model, shared = fit(x, y), fit(x, y, shared=True)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(9, 3.7))
side = torch.linspace(-4.2, 3.6, 160, dtype=torch.float64)
grid = torch.cartesian_prod(side, side)
for ax, parameters, title in zip(
    axes,
    (model, shared),
    ("a covariance for each class", "one covariance for both"),
    strict=True,
):
    chance = posterior(grid, *parameters)[:, 1].reshape(160, 160).T
    shades = ax.contourf(
        side.numpy(), side.numpy(), chance.numpy(), levels=10, cmap=two_colors, alpha=0.6
    )
    ax.contour(side.numpy(), side.numpy(), chance.numpy(), levels=[0.5], colors="black")
    for k in range(2):
        ax.scatter(*x[y == k].T, s=5, color=PALETTE[k], edgecolor="black", linewidth=0.2)
    ax.set(title=title, aspect="equal", xlim=(-4.2, 3.6), ylim=(-3.0, 3.4), xlabel="$x_1$")
figure.colorbar(shades, ax=axes, label="$p(y = 1 \\mid x)$")
axes[0].set_ylabel("$x_2$")
caption(
    "What Bayes' rule makes of the two densities, and the border (black). Two "
    "covariances bend it; one shared covariance makes it straight."
)

# %% [markdown]
# The straight border is no accident. With one shared $\Sigma$ the quadratic parts $x^\top \Sigma^{-1} x$ of the two classes cancel in Bayes' rule, and what is left is
#
# $$p(y = 1 \mid x) = \sigma(w^\top x + b), \qquad w = \Sigma^{-1} (\mu_1 - \mu_0), \qquad \sigma(a) = \frac{1}{1 + e^{-a}},$$
#
# which is the form of **logistic regression**. You will derive it, and find $b$, in the exercises. So these two make a pair: the same set of possible answers, found in two ways. One fits $p(x, y)$ and gets $w$ as a by-product; the other looks for the best $w$ directly.

# %% [markdown]
# ## 4 · Checks against known answers
#
# A picture proves little. Five facts must hold, or this notebook stops.
#
# **First: probabilities sum to one**, over both classes and a fine grid that reaches far beyond the data.

# %%
wide = torch.linspace(-12, 12, 400, dtype=torch.float64)
everywhere = torch.cartesian_prod(wide, wide)
joint_there = log_joint(everywhere, *model).exp() * (wide[1] - wide[0]) ** 2
record("joint_integral", joint_there.sum().item(), kind="exact")
assert abs(joint_there.sum().item() - 1) < 1e-6
assert torch.allclose(joint_there.sum(0), model[0], atol=1e-6), "p(y) is not the prior"

# %% [markdown]
# **Second: Bayes' rule by enumeration.** `torch.distributions` gives the density of each class; multiply by the prior, divide by the sum.

# %%
prior, means, covariances = model
joint = torch.stack(
    [
        prior[k]
        * torch.distributions.MultivariateNormal(means[k], covariances[k]).log_prob(x).exp()
        for k in range(2)
    ],
    dim=1,
)
enumerated = joint / joint.sum(1, keepdim=True)
largest = (posterior(x, *model) - enumerated).abs().max().item()
print(f"largest difference to enumeration: {largest:.1e}")
assert largest < 1e-12

# %% [markdown]
# **Third: a shared covariance is logistic.** The log-odds $\log \frac{p(y=1 \mid x)}{p(y=0 \mid x)}$ must be a straight line in $x$. So autograd must find the same slope at every point, and that slope must be $\Sigma^{-1}(\mu_1 - \mu_0)$.

# %%
places = 3 * torch.randn(500, 2, generator=generator, dtype=torch.float64)
places.requires_grad_()
log_odds = log_joint(places, *shared) @ torch.tensor([-1.0, 1.0], dtype=torch.float64)
[slopes] = torch.autograd.grad(log_odds.sum(), places)  # (B, 2), one gradient a place
w = torch.linalg.solve(shared[2][0], shared[1][1] - shared[1][0])
b = (log_odds - places @ w)[0]  # read off at one place; it must do for all the others
logistic = torch.sigmoid(places @ w + b)
print(f"w = ({w[0]:.4f}, {w[1]:.4f})")
print(f"spread of the gradient over 500 places: {slopes.std(0).max().item():.1e}")
assert torch.allclose(slopes, w.expand_as(slopes), atol=1e-10)
assert torch.allclose(logistic, posterior(places, *shared)[:, 1], atol=1e-12)

# %% [markdown]
# **Fourth: a known library agrees.** scikit-learn calls our two models quadratic and linear discriminant analysis.

# %%
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)

differences = []
for ours, theirs in (
    (model, QuadraticDiscriminantAnalysis()),
    (shared, LinearDiscriminantAnalysis()),
):
    expected = torch.as_tensor(theirs.fit(x, y).predict_proba(x))
    differences.append((posterior(x, *ours) - expected).abs().max().item())
record("difference_to_scikit_learn", max(differences), kind="exact")
assert max(differences) < 1e-8

# %% [markdown]
# **Fifth: the samples are what the density says.** Draw many labeled points, fit the same model to them, and the parameters must come back, up to the error of a finite sample.

# %%
drawn_x, drawn_y = sample(100_000, *model)
names = ("prior", "means", "covariances")
for name, before, after in zip(names, model, fit(drawn_x, drawn_y), strict=True):
    worst = (before - after).abs().max().item()
    print(f"{name:12s} differ by at most {worst:.4f}")
    assert worst < 0.05

# %% [markdown]
# ## 5 · The library: any density will do
#
# Nothing in Bayes' rule needs a Gaussian. The course's `GenerativeClassifier` takes **any** model that can `fit`, tell a `log_prob` and `sample`, makes one for each class, and adds the prior. Here is all of its mathematics.

# %%
import inspect

print(inspect.getsource(GenerativeClassifier.fit))
print(inspect.getsource(GenerativeClassifier.log_joint))
print(inspect.getsource(GenerativeClassifier.log_prob))
print(inspect.getsource(GenerativeClassifier.predict_log_proba))

# %% [markdown]
# A mixture with one component is a single Gaussian, or a single table of pixel probabilities. (`max_iter=1`: with one component, one step of its fit is the exact maximum.) The second one, for black-and-white images, is **naive Bayes**:
#
# $$p(x \mid y) = \prod_{d=1}^{D} p(x_d \mid y).$$
#
# It assumes that within a class every pixel is drawn on its own, as if the others did not matter. That is plainly false for images, hence the name. But it is fast, needs little data, and its posterior is again $\sigma(w^\top x + b)$: naive Bayes, too, makes a pair with logistic regression.


# %%
def gaussians(ridge: float) -> GenerativeClassifier:
    """A Gaussian for each class; `ridge` is added to each variance."""
    return GenerativeClassifier(lambda: GaussianMixture(1, reg_covar=ridge, max_iter=1))


def naive_bayes(alpha: float) -> GenerativeClassifier:
    """Independent pixels; each was also seen `alpha` times on and `alpha` times off."""
    return GenerativeClassifier(lambda: BernoulliMixture(1, alpha=alpha, max_iter=1))


library = gaussians(0.0).fit(x, y)
largest = (library.log_joint(x) - log_joint(x, *model)).abs().max().item()
print(f"library and from scratch differ by {largest:.1e} nats")
assert largest < 1e-8

# %% [markdown]
# Now real data, two sets of handwritten digits. `digits` has 8 × 8 pixels, MNIST 28 × 28. We make them black and white: a pixel of `digits` is on if it is darker than half, and a pixel of MNIST is on with the probability that is its gray value. scikit-learn's `BernoulliNB` must agree with ours.

# %%
from sklearn.naive_bayes import BernoulliNB

digits = load("digits").flat()
mnist = load("mnist").flat()
binary = mnist.binarized(generator)
print(digits)
print(binary)

ours = naive_bayes(1.0).fit(binary.x_train[:2000].double(), binary.y_train[:2000])
theirs = BernoulliNB(alpha=1.0).fit(binary.x_train[:2000].double(), binary.y_train[:2000])
some = binary.x_test[binary.test_part(200)].double()  # a fixed random part of the test set
expected = torch.as_tensor(theirs.predict_joint_log_proba(some))
largest = (ours.log_joint(some) - expected).abs().max().item()
print(f"log p(x, y) differs from scikit-learn's by at most {largest:.1e} nats")
assert largest < 1e-6

# %% [markdown]
# ## 6 · A digit in ten lines
#
# To draw a digit, take what such digits have in common, their mean and which pixels go together (the covariance), and draw from a Gaussian that has the same.

# %%
drawn = []
for digit in range(10):
    seen = mnist.x_train[mnist.y_train == digit]  # (N, 784)
    mean = seen.mean(0)  # (784,)
    covariance = torch.cov(seen.T) + 1e-3 * torch.eye(784)  # pixels that are always white
    factor = torch.linalg.cholesky(covariance)
    noise = torch.randn(3, 784, generator=generator)
    drawn.append((mean + noise @ factor.T).clamp(0, 1))
drawn = torch.stack(drawn, dim=1)  # (3, 10, 784)

by_class = [mnist.x_train[mnist.y_train == digit] for digit in range(10)]
real = torch.stack([group[:3] for group in by_class], dim=1)
on = torch.stack([group.mean(0) for group in by_class])  # (10, 784)
independent = (torch.rand(3, 10, 784, generator=generator) < on).float()

# %% jupyter={"source_hidden": true} tags=["picture"]
images(
    torch.cat([real, independent, drawn]).reshape(-1, 28, 28),
    columns=10,
    rows=["real", "drawn by naive Bayes", "drawn: one Gaussian\nfor each digit"],
)
caption(
    "Naive Bayes draws single grains in the shape of a digit. A Gaussian knows which "
    "pixels go together and draws strokes, smoky ones. No one would take either for real."
)

# %% [markdown]
# This is a generative model, and it is bad. It knows nothing beyond pairs of pixels; real strokes have ends, loops and sharp edges. From here to images that fool the eye is the way of this course: mixtures, Boltzmann machines, variational autoencoders, adversarial networks, flows, autoregressive models, diffusion.
#
# To *name* a digit one can get away with far less. The next section shows how far.

# %% [markdown]
# ## 7 · Who needs more labels?
#
# Labels are expensive. Ng and Jordan (2001) compared naive Bayes with logistic regression as the number of labeled examples grows. Their finding: the generative one reaches its best error **sooner**, but the discriminative one ends **lower**. So the curves cross. Does it hold on our digits?
#
# We set it up with care.
# - All models see the same labeled images, equally many of each digit, and are judged on the same test set.
# - Each draw of labeled images is another one; a curve is the mean over the draws, and its bar is the standard error of that mean.
# - **Plain** logistic regression maximizes the likelihood and nothing else. With few labels there is no maximum: the weights grow for ever, and the optimizer stops at its tolerance.
# - **Regularized** logistic regression, which anyone would use in practice, keeps the weights small. Its strength `C` is chosen once, and so are the smoothing `alpha` of naive Bayes and the ridge of the Gaussians, all on *training* images.
# - Two simple baselines: always the same class (90 % wrong, not drawn), and the nearest class mean.


# %%
def logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1000, tol=1e-3)


class NearestMean:
    """The simple baseline: the class whose mean image is nearest."""

    def fit(self, x, y):
        self.means = torch.stack([x[y == k].mean(0) for k in range(10)])
        return self

    def predict(self, x):
        return torch.cdist(x, self.means).argmin(1)


def error(model, x: Tensor, y: Tensor) -> float:
    """The share of wrong answers."""
    return (torch.as_tensor(model.predict(x)) != y).double().mean().item()


def labeled(y: Tensor, n: int) -> Tensor:
    """Indices of n examples, equally many of each of the ten classes."""
    shuffled = torch.randperm(len(y), generator=generator)
    return torch.cat([shuffled[y[shuffled] == k][: n // 10] for k in range(10)])


def choose(make, knobs, x, y, fitted: int, judged: int):
    """The knob with the lowest error on training images that it was not fitted to."""
    few = labeled(y, fitted)
    rest = torch.ones(len(y), dtype=torch.bool)
    rest[few] = False
    others = rest.nonzero().flatten()[:judged]
    errors = [error(make(knob).fit(x[few], y[few]), x[others], y[others]) for knob in knobs]
    return knobs[int(np.argmin(errors))]


families = {
    "naive Bayes": (naive_bayes, (1.0, 0.1, 0.01)),
    "logistic, regularized": (logistic, (1.0, 0.1, 0.01)),
    "Gaussians": (gaussians, (0.3, 0.1, 0.03)),
}


def rivals(x, y, fitted: int, judged: int) -> dict:
    """For each name a function that makes the unfitted model, its knob chosen."""
    makers = {"logistic, plain": lambda: logistic(1e6), "nearest mean": NearestMean}
    for name, (make, knobs) in families.items():
        knob = choose(make, knobs, x, y, fitted, judged)
        print(f"{name}: {knob}")
        makers[name] = lambda make=make, knob=knob: make(knob)
    return makers


def contest(makers, x, y, x_test, y_test, draws: dict) -> tuple[dict, dict]:
    """Errors by name and number of labels, a list over draws; and the last models.

    `draws` says how often, for each number of labels.
    """
    errors, last = {name: {size: [] for size in draws} for name in makers}, {}
    for size, repeats in draws.items():
        for _ in range(repeats):
            rows = labeled(y, size)
            for name, make in makers.items():
                last[name] = make().fit(x[rows], y[rows])
                errors[name][size].append(error(last[name], x_test, y_test))
    return errors, last


# %% [markdown]
# First the small digits, twice: as they are, and with their **correlations destroyed**, each pixel shuffled among the images of the same class. Every pixel keeps its share of black in every class, but pixels no longer know of each other: now the assumption of naive Bayes is true.


# %%
def decorrelated(x: Tensor, y: Tensor) -> Tensor:
    """Each pixel shuffled among the images of its class."""
    x = x.clone()
    for k in range(10):
        group = x[y == k]
        order = torch.rand(group.shape, generator=generator).argsort(0)
        x[y == k] = group.gather(0, order)
    return x


small = (digits.x_train > 0.5).float(), digits.y_train
small_test = (digits.x_test > 0.5).float(), digits.y_test
destroyed = decorrelated(*small), digits.y_train
destroyed_test = decorrelated(*small_test), digits.y_test

draws = {
    n: max(most_draws // 2, min(most_draws, 1000 // n)) for n in (10, 30, 100, 300, 1000)
}
makers = rivals(*small, fitted=300, judged=900)
on_digits, _ = contest(makers, *small, *small_test, draws)
makers.pop("Gaussians")
on_destroyed, _ = contest(makers, *destroyed, *destroyed_test, draws)

# %% [markdown]
# Then MNIST, up to ten thousand labels. To be quick, the curves are judged on a fixed random quarter of the test images (the first ones of MNIST are easier than the last), and the slow fits get few draws: one with ten thousand labels, where one draw is much like another.

# %%
labels, test_labels = binary.y_train, binary.y_test
quarter = binary.test_part(len(test_labels) // 4)
judges = binary.x_test[quarter], test_labels[quarter]
draws = {n: max(2, min(most_draws, 300 // n)) for n in (10, 40, 160, 640, 2500)}
draws[image_labels] = 1
makers = rivals(binary.x_train, labels, fitted=2500, judged=2500)
slow = {"Gaussians": makers.pop("Gaussians")}
on_mnist, fitted = contest(makers, binary.x_train, labels, *judges, draws)
few = {n: 2 if n < 2500 else 1 for n in draws if n > 10}  # one image has no covariance
on_mnist |= contest(slow, binary.x_train, labels, *judges, few)[0]

# %%
looks = {
    "naive Bayes": (PALETTE[1], "o", "-"),
    "logistic, plain": (PALETTE[5], "v", "-"),
    "logistic, regularized": (PALETTE[0], "s", "-"),
    "Gaussians": (PALETTE[4], "D", "-"),
    "nearest mean": ("0.6", "", ":"),
}

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.2), sharey=False)
for ax, errors, title in zip(
    axes,
    (on_digits, on_destroyed, on_mnist),
    ("digits", "digits, correlations destroyed", "MNIST"),
    strict=True,
):
    for name, curve in errors.items():
        color, marker, style = looks[name]
        means = [100 * np.mean(values) for values in curve.values()]
        bars = [
            100 * np.std(values, ddof=min(1, len(values) - 1)) / math.sqrt(len(values))
            for values in curve.values()
        ]
        ax.errorbar(
            list(curve),
            means,
            bars,
            color=color,
            marker=marker,
            linestyle=style,
            markersize=5,
            capsize=2,
            label=name,
        )
    ax.set(xscale="log", yscale="log", title=title, xlabel="labeled images")
    ticks = [tick for tick in (2, 5, 10, 20, 50) if tick > 0.8 * ax.get_ylim()[0]]
    ax.set_yticks(ticks, [f"{tick} %" for tick in ticks])
    ax.minorticks_off()
axes[0].set_ylabel("test error")
handles, names = axes[2].get_legend_handles_labels()
figure.legend(handles, names, loc="outside upper center", ncols=5)
caption(
    "Naive Bayes (orange) crosses plain logistic regression (light blue) on the digits and "
    "wins where its assumption is true. On MNIST it is behind with ten labels already, and "
    "with thousands. Gaussians (red) drop the assumption."
)


# %%
def mean_error(errors: dict, name: str, size: int) -> float:
    return float(np.mean(errors[name][size]))


kinds = {
    "generative": "naive Bayes",
    "logistic": "logistic, regularized",
    "logistic_plain": "logistic, plain",
    "nearest_mean": "nearest mean",
}
with record_table():
    for key, name in kinds.items():  # ten labels: the mean of the draws
        record(f"error_{key}_10", mean_error(on_mnist, name, 10), kind="score")
    for key, name in kinds.items():  # many labels: the last draw, on the whole test set
        wrong = error(fitted[name], binary.x_test, test_labels)
        record(f"error_{key}_{image_labels}", wrong, kind="score")
    gaussian_error = mean_error(on_mnist, "Gaussians", image_labels)
    record(f"error_gaussians_{image_labels}", gaussian_error, kind="score")

crossing = [
    [mean_error(on_digits, name, size) for name in ("naive Bayes", "logistic, plain")]
    for size in (10, 1000)
]
print(f"digits, naive Bayes and plain logistic, 10 labels: {crossing[0]}")
print(f"digits, naive Bayes and plain logistic, 1000 labels: {crossing[1]}")
assert crossing[0][0] < crossing[0][1], "naive Bayes was to be ahead with few labels"
assert crossing[1][0] > crossing[1][1], "and behind with many"
for size in on_digits["naive Bayes"]:  # the regularized rival keeps up
    behind = mean_error(on_digits, "logistic, regularized", size)
    assert behind < mean_error(on_digits, "naive Bayes", size) + 0.02
for name in ("logistic, plain", "logistic, regularized"):
    for size in (100, 300, 1000):
        ahead = mean_error(on_destroyed, "naive Bayes", size)
        assert ahead < mean_error(on_destroyed, name, size)
for size in (10, 2500, image_labels):  # on MNIST it is behind at the left end already
    for name in ("logistic, plain", "logistic, regularized"):
        assert mean_error(on_mnist, "naive Bayes", size) > mean_error(on_mnist, name, size)
same = [mean_error(on_mnist, name, 10) for name in ("naive Bayes", "nearest mean")]
assert abs(same[0] - same[1]) < 0.002, "with one image a class these two are one"
last = mean_error(on_mnist, "logistic, regularized", image_labels)
assert gaussian_error < last < mean_error(on_mnist, "naive Bayes", image_labels)

# %% [markdown]
# Read the three pictures together.
#
# - **Digits**: the crossing is there. With few labels naive Bayes is ahead of *plain* logistic regression; with many it is behind. But the regularized one keeps up from the start. The famous advantage with few labels is largely that of a sensible prior, and a penalty on the weights is one, too.
# - **Correlations destroyed**: here the assumption of naive Bayes is true, and with a hundred labels or more nobody passes it.
# - **MNIST**: the pixels are strongly dependent, and the assumption is badly wrong. The crossing of the paper is not there: both logistic regressions are ahead with ten labels already. In between naive Bayes keeps up, also because the penalty of the regularized one was chosen for 2,500 labels. With thousands of labels naive Bayes stops to learn: more of them only make it surer of a wrong story. It ends not far below the nearest mean.
# - **Ten labels** are one image a class, and there naive Bayes *is* the nearest mean: their two errors in the table agree but for the rounding of ties. From one binary image, smoothing makes each pixel's probability either $\frac{1 + \alpha}{1 + 2\alpha}$ or $\frac{\alpha}{1 + 2\alpha}$. So $\log p(x \mid y)$ is a constant minus $\log \frac{1 + \alpha}{\alpha}$ for each pixel in which $x$ differs from that image, and the number of differing pixels is the squared distance.
# - The **Gaussians** are generative as well, and they know about pairs of pixels. With enough labels they win here. So what decides is how well the assumptions fit the data, and how many labels there are. (To be fair: the Gaussians' border is curved and logistic regression's is straight.)

# %% [markdown]
# ## 8 · What only p(x, y) can do
#
# ### Features that are missing
#
# Hide pixels at random, more and more of them, in the *test* images only. The generative model sums over all that an unseen pixel might have been: independent pixels leave its factor out, a Gaussian becomes that of the visible pixels. Nothing is fitted again: in the library a missing value is simply NaN.
#
# Logistic regression has one weight for each pixel and must put *something* there: white, or the pixel's mean over the training set.

# %%
bayes, regression = fitted["naive Bayes"], fitted["logistic, regularized"]
gray = digits.x_train.double(), digits.x_test.double()
gray_gaussians = gaussians(0.01).fit(gray[0], digits.y_train)
gray_regression = logistic(1.0).fit(gray[0], digits.y_train)
setups = {
    "MNIST": (bayes, regression, binary.x_train, *judges),
    "digits, gray": (gray_gaussians, gray_regression, *gray, digits.y_test),
}

shares = (0.0, 0.25, 0.5, 0.75, 0.9)
errors = {}  # title → name → test errors at the shares
with record_table():
    for title, (joint_model, rival, seen, test, truth) in setups.items():
        average, curves = seen.mean(0), []
        for share in shares:
            hidden = torch.rand(test.shape, generator=generator) < share
            curves.append(
                (
                    error(joint_model, test.masked_fill(hidden, torch.nan), truth),
                    error(rival, test.masked_fill(hidden, 0.0), truth),
                    error(rival, torch.where(hidden, average, test), truth),
                )
            )
        kind = "naive Bayes" if joint_model is bayes else "Gaussians"
        names = (
            f"{kind}, sums out",
            "logistic, filled with white",
            "logistic, filled with means",
        )
        errors[title] = dict(zip(names, zip(*curves, strict=True), strict=True))
        key = "mnist" if joint_model is bayes else "digits"
        at = shares.index(0.75)
        record(f"error_hidden_{key}_generative", curves[at][0], kind="score")
        record(f"error_hidden_{key}_logistic", min(curves[at][1:]), kind="score")
        assert curves[at][0] < 0.6 * min(curves[at][1:])

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(9, 3.8))
for ax, (title, curves) in zip(axes, errors.items(), strict=True):
    for (name, curve), look in zip(curves.items(), ("o-", "v-", "s-"), strict=True):
        color = PALETTE[5 if "white" in name else 0]
        if "sums" in name:
            color = looks[name.split(",")[0]][0]
        ax.plot(
            [100 * s for s in shares],
            [100 * e for e in curve],
            look,
            color=color,
            label=name,
        )
    ax.axhline(90, color="0.6", linestyle=":", label="always the same class")
    ax.set(
        title=title, xlabel="hidden pixels in %", ylim=(0, 135), yticks=range(0, 101, 20)
    )
    ax.legend(loc="upper left", fontsize=9)
axes[0].set_ylabel("test error in %")
caption(
    "Left: with all pixels, naive Bayes is the worse classifier of MNIST; with half of them "
    "hidden it is the better one. Right: the Gaussians are ahead from the start, and with "
    "most pixels hidden by far."
)

# %% [markdown]
# One could train a discriminative model on images with holes, if one knew which holes will come. The joint distribution holds every question already.

# %% [markdown]
# ### Inputs that belong to no class
#
# A classifier must answer, even if you show it the photograph of a temple. Can we at least tell that the input is strange? Two candidates:
#
# - the **confidence** $\max_y p(y \mid x)$ is low,
# - the **density** $p(x) = \sum_y p(x, y)$ is low. Only a generative model has it.
#
# The score is the **AUROC**, the chance that a strange input ranks as stranger than a normal one: 0.5 is guessing, 1 is perfect, and below 0.5 the detector is fooled. A simple rival is the distance to the mean digit. The normal inputs are the test digits, in gray. Two of the seven kinds of strange input are real digits, turned by half a turn (the order of their pixels reversed) or made pale.

# %%
from sklearn.datasets import load_sample_image
from sklearn.metrics import roc_auc_score

normal = gray[1]
photograph = torch.as_tensor(load_sample_image("china.jpg").mean(2) / 255)
patches = torch.nn.functional.unfold(photograph[None, None], 8, stride=8)[0].T  # (B, 64)
chosen = torch.randperm(len(patches), generator=generator)[: len(normal)]
order = torch.randperm(64, generator=generator)
strangers = {
    "noise": torch.rand(normal.shape, generator=generator, dtype=torch.float64),
    "pixels shuffled": normal[:, order],
    "colors inverted": 1 - normal,
    "patches of a photograph": patches[chosen],
    "half a turn": normal.flip(1),  # the list of pixels backwards is a rotation by 180°
    "half as dark": normal / 2,
    "the mean digit": gray[0].mean(0).expand_as(normal),
}
detectors = {
    "density p(x)": (lambda x: -gray_gaussians.log_prob(x), PALETTE[4], "D"),
    "confidence, same model": (
        lambda x: -gray_gaussians.predict_proba(x).amax(1),
        PALETTE[1],
        "o",
    ),
    "confidence, logistic": (
        lambda x: -torch.as_tensor(gray_regression.predict_proba(x)).amax(1),
        PALETTE[0],
        "s",
    ),
    "distance to the mean": (lambda x: (x - gray[0].mean(0)).norm(dim=1), "0.6", "x"),
}
is_strange = np.repeat([0, 1], len(normal))
auroc = {
    name: [
        roc_auc_score(is_strange, detect(torch.cat([normal, strange])))
        for strange in strangers.values()
    ]
    for name, (detect, _, _) in detectors.items()
}
with record_table():
    for kind, ours, theirs in zip(
        strangers, auroc["density p(x)"], auroc["confidence, logistic"], strict=True
    ):
        key = kind.replace(" ", "_")
        record(f"auroc_{key}_density", ours, kind="score")
        record(f"auroc_{key}_confidence", theirs, kind="score")
by_density, by_confidence = auroc["density p(x)"], auroc["confidence, logistic"]
assert min(by_density[:4]) > 0.99 and by_density[-1] < 0.5
assert min(by_confidence) > 0.7  # confidence is no blind detector
assert all(a > b for a, b in zip(by_density[:5], by_confidence[:5], strict=True))
assert all(a < b for a, b in zip(by_density[5:], by_confidence[5:], strict=True))

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 4.2), width_ratios=(1, 1.5), sharey=False
)
examples = torch.cat([strange[:5] for strange in strangers.values()])
images(examples.reshape(-1, 8, 8), columns=5, axes=left, rows=list(strangers))
height = np.arange(len(strangers))[::-1]
for name, (_, color, marker) in detectors.items():
    right.plot(auroc[name], height, marker, color=color, markersize=8, label=name)
right.axvline(0.5, color="0.7", linestyle=":")
right.set(xlabel="AUROC", xlim=(-0.03, 1.03), ylim=(-0.5, len(strangers) - 0.5))
right.set_yticks(height, strangers)
right.grid(axis="y", color="0.9")
figure.legend(loc="outside upper center", ncols=4)
caption(
    "Strange inputs and who notices. The density (red) is ahead in the upper five rows. On "
    "pale digits the confidence of logistic regression (blue) is ahead, and the mean digit "
    "fools the density altogether."
)

# %% [markdown]
# Confidence answers "which class, if it must be one?", which can be clear-cut far from all classes. The density answers "is it like anything I have seen?", and on five of the seven kinds it does better.
#
# It does not win everywhere. All seven kinds lower the **confidence** of logistic regression, too: every blue square lies far to the right of guessing, and in the two last rows it lies right of the red diamond. A pale digit offers less evidence for every class, and the mean of all digits favors none, so a classifier is unsure of both. That is just what confidence measures.
#
# And the density is no lie detector. **The mean digit** is no digit anyone wrote, yet it lies in the middle of everything, and p(x) finds it more normal than most real digits. The density is high *near* typical things; it does not know what makes them typical. Here are naive Bayes and a sheet of white paper.

# %%
blank = torch.zeros(1, 784)
less_likely = (bayes.log_prob(binary.x_test) < bayes.log_prob(blank)).double().mean().item()
record("digits_less_likely_than_blank", less_likely, kind="score")
assert less_likely > 0.8

# %% [markdown]
# An empty image is more probable under naive Bayes than most real test digits. Most pixels of a digit are white, and the model never learned that *some* ink must be there. Deep generative models have the same weakness; chapter 10 measures it.

# %% [markdown]
# ## 9 · Not every generator is a density
#
# Not all models can tell $p(x)$, and this divides the whole field.
#
# - **Explicit and exact**: $p(x)$ is a formula you can evaluate. Everything in this chapter so far.
# - **A bound**: $p(x)$ is an integral nobody can do, but something below it can be computed and raised.
# - **Up to a constant**: $p(x) \propto e^{-E(x)}$, with a sum over all possible $x$ that nobody can do.
# - **Implicit**: there is a sampler and nothing else. Noise goes in, an example comes out.
#
# ### A sampler without a density (*optional*)
#
# An implicit model is written in three lines.


# %%
def generate(n: int) -> Tensor:
    """Noise in, points out. Where is the density?"""
    angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


# %% [markdown]
# It draws points on a circle. What is its density in the plane? Off the circle it is zero. On the circle all the mass sits on a line without any width, so it is infinite. There is **no** function $p(x)$ on the plane that integrates to one and describes these points.
#
# See it happen. Estimate the density with a histogram: the share of points in a cell, divided by the area of the cell. For a real density the estimate settles when the cells get finer. For the circle it doubles each time the cells are halved, for ever.

# %%
cells = (8, 16, 32, 64, 128, 256)
count = 400_000
gaussian_points = 0.4 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
sources = {"on a circle": generate(count), "a Gaussian": gaussian_points}
heights, growth = {}, {}
for name, points in sources.items():
    heights[name] = []
    for n in cells:
        place = ((points + 1.5) / 3 * n).long().clamp(0, n - 1)  # a square from −1.5 to 1.5
        number = place[:, 0] * n + place[:, 1]
        share = (
            number.bincount(minlength=n * n)[number] / count
        )  # of the cell of each point
        heights[name].append((share / (3 / n) ** 2).log2().mean().item())
    growth[name] = (heights[name][-1] - heights[name][1]) / math.log2(cells[-1] / cells[1])
for name, slope in growth.items():
    print(f"{name}: doublings of the density for each halving of the cells: {slope:.3f}")
record("circle_growth", growth["on a circle"], unit="doublings", kind="score")
assert abs(growth["on a circle"] - 1) < 0.1
assert abs(growth["a Gaussian"]) < 0.1

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), width_ratios=(1, 1, 1.3))
for ax, (name, points), color in zip(axes, sources.items(), PALETTE, strict=False):
    axes[2].plot(cells, heights[name], "o-", color=color, label=name)
    ax.scatter(*points[:1500].T, s=2, color=color)
    ax.set(title=name, aspect="equal", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
axes[2].set(xscale="log", xlabel="cells in each direction", title="mean log₂ density")
axes[2].set_xticks(cells, cells)
axes[2].minorticks_off()
axes[2].legend()
caption(
    "A histogram of a Gaussian settles as its cells get finer. On the circle the "
    "estimate grows by one doubling each time the cells are halved."
)

# %% [markdown]
# The slope counts the missing dimensions: points on a line in the plane miss one. A generative adversarial network (chapter 8) is this circle on a grand scale. It maps a hundred random numbers to thousands of pixels; its images lie on a thin, curved sheet in the space of all images. It can draw beautifully, and the question "how probable is this photograph?" has no answer in it. So compare such models by their samples, never by a likelihood.
#
# ### Where neural networks stand
#
# A "CNN" or a "transformer" is a **part** of a model: a flexible function with parameters. It has no likelihood of its own and draws nothing. The model is the story around it: which distribution does the network's output describe, and how is it fitted? The same convolutional network can be a classifier, the encoder of a variational autoencoder, the generator or the discriminator of an adversarial network, the step of a flow, the denoiser of a diffusion model. This course sorts by stories, not by networks.

# %% [markdown]
# ## 10 · A map of the course
#
# Three questions sort the families. Can you evaluate $p(x)$? Is sampling one quick pass, or many steps? Is there a **latent** variable, something hidden that decides about each example?

# %%
GOOD, MIDDLE, POOR, PLAIN = "#CBE3F2", "#FBE6BE", "#F3C6AB", "#FFFFFF"
course = [
    ("1, 2", "one distribution for each class", "exact", "fast", "none"),
    ("3", "Bayesian networks", "exact", "fast", "where you put one"),
    ("4", "mixtures", "exact", "fast", "one label"),
    ("5", "Boltzmann machines", "up to a constant", "slow: a Markov chain", "binary units"),
    ("6", "variational autoencoders", "bound", "fast", "a few numbers"),
    ("8", "adversarial networks (GANs)", "none", "fast", "noise"),
    ("10", "normalizing flows", "exact", "fast, mostly", "as large as x"),
    ("11, 12", "autoregressive models", "exact", "slow: one by one", "none"),
    ("later", "diffusion", "bound", "slow: many steps", "noisy copies of x"),
]
density_color = {"exact": GOOD, "bound": MIDDLE, "up to a constant": MIDDLE, "none": POOR}
edges = (0.0, 0.09, 0.40, 0.60, 0.81, 1.0)
heads = ("chapter", "family", "density p(x)", "sampling", "latent variable")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.5, 4.4))
for row, entry in enumerate((heads, *course)):
    colors = [PLAIN] * 5
    if row:
        colors[2] = density_color[entry[2]]
        colors[3] = GOOD if entry[3].startswith("fast") else POOR
    for column, (text, color) in enumerate(zip(entry, colors, strict=True)):
        start, end = edges[column], edges[column + 1]
        box = plt.Rectangle((start, -row), end - start, 1, facecolor=color, edgecolor="0.8")
        ax.add_patch(box)
        weight = "bold" if row == 0 or column == 1 else "normal"
        ax.text(start + 0.012, 0.5 - row, text, va="center", fontsize=10.5, weight=weight)
ax.set(xlim=(0, 1), ylim=(-len(course), 1))
ax.set_axis_off()
caption(
    "Blue is what you would wish for, yellow is partial, red is the price. Rows that are "
    "blue throughout pay elsewhere: in how freely the model can be built."
)

# %% [markdown]
# No family has everything. Exact densities cost freedom in the architecture; free architectures cost the density; the sharpest images cost many steps.

# %% [markdown]
# ## 11 · Where it fails: one witness heard ten times
#
# Naive Bayes multiplies the evidence of its features as if they were **independent witnesses**. Ten thermometers on one wall are one witness, heard ten times.
#
# The experiment: in a cold room ($y = 0$) the temperature is normal around −1, in a warm one ($y = 1$) around +1, each with standard deviation 1.5. Each thermometer shows the temperature plus a little noise. With one thermometer the posterior is right. Copy the thermometer, and watch the **confidence** $\max_y p(y \mid x)$, averaged over test rooms, leave the share of right answers. The switch is the number of copies; the cure is to model the correlation, with a full covariance.


# %%
def rooms(n: int, thermometers: int) -> tuple[Tensor, Tensor]:
    y = torch.randint(2, (n,), generator=generator)
    temperature = 2.0 * y - 1 + 1.5 * torch.randn(n, generator=generator)
    noise = 0.3 * torch.randn(n, thermometers, generator=generator)
    return (temperature[:, None] + noise).double(), y


copies = (1, 2, 5, 10, 20)
shapes = {"naive (diagonal)": "diag", "full covariance": "full"}
confidence = {name: [] for name in shapes}
accuracy = {name: [] for name in shapes}
for thermometers in copies:
    train, test = rooms(20_000, thermometers), rooms(20_000, thermometers)
    for name, shape in shapes.items():
        witness = GenerativeClassifier(lambda s=shape: GaussianMixture(1, s, max_iter=1))
        witness.fit(*train)
        confidence[name].append(witness.predict_proba(test[0]).amax(1).mean().item())
        accuracy[name].append(witness.score(*test))

steps = np.linspace(0.1, 1.0, 10)  # borders of the bins of confidence
unregularized = fitted["logistic, plain"]
judged = {
    "naive Bayes": bayes.predict_proba(binary.x_test),
    "logistic, plain": torch.as_tensor(unregularized.predict_proba(binary.x_test)),
    "logistic, regularized": torch.as_tensor(regression.predict_proba(binary.x_test)),
}
gap = {name: confidence[name][-1] - accuracy[name][-1] for name in shapes}
bins = {name: [] for name in judged}  # mean confidence, share right, and its interval
too_sure = {}
with record_table():
    for name, probabilities in judged.items():
        sure, answer = probabilities.max(1)
        correct = (answer == test_labels).double()
        bin_of = torch.bucketize(sure.double(), torch.as_tensor(steps[1:-1]))
        for i in range(9):
            inside = bin_of == i
            if inside.sum() >= 40:
                right, n = int(correct[inside].sum()), int(inside.sum())
                interval = binomtest(right, n).proportion_ci(
                    method="wilson"
                )  # inside [0, 1]
                bins[name].append((sure[inside].mean().item(), right / n, *interval))
        too_sure[name] = (sure.double().mean() - correct.mean()).item()
        key = {"naive Bayes": "generative", "logistic, plain": "logistic_plain"}
        record(f"overconfidence_{key.get(name, 'logistic')}", too_sure[name], kind="score")
    record("overconfidence_copies_naive", gap["naive (diagonal)"], kind="score")
    record("overconfidence_copies_full", gap["full covariance"], kind="score")
assert gap["naive (diagonal)"] > 0.1
assert abs(gap["full covariance"]) < 0.03
assert too_sure["logistic, plain"] > 0.05 and too_sure["logistic, regularized"] < -0.05

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
for name, color in zip(shapes, (PALETTE[1], PALETTE[4]), strict=True):
    left.plot(copies, confidence[name], "o-", color=color, label=f"{name}: confidence")
    left.plot(copies, accuracy[name], "s:", color=color, label=f"{name}: right answers")
left.set(xlabel="copies of one thermometer", xticks=(1, 5, 10, 15, 20), ylim=(0.7, 1.0))
left.set_title("one witness, many times")
left.legend(fontsize=9)
for name, found in bins.items():
    sure, share, below, above = map(np.array, zip(*found, strict=True))
    bars = (share - below, above - share)
    marker = looks[name][1]
    right.errorbar(
        sure, share, bars, fmt=marker, color=looks[name][0], capsize=2, label=name
    )
right.plot([0, 1], [0, 1], ":", color="0.6")
right.set(xlabel="confidence", ylabel="share of right answers", title="MNIST")
right.set(xlim=(0.15, 1.02), ylim=(0, 1.02))
right.legend(loc="lower right", fontsize=8)
caption(
    "Left: with copies the naive confidence runs away from the truth; a full covariance "
    "stays on it. Right: on the dotted line confidence is honest. Naive Bayes and plain "
    "logistic regression lie below it, too sure; the regularized one lies above."
)

# %% [markdown]
# The *answers* of naive Bayes hardly suffer: all copies vote alike. Its *probabilities* do. Neighboring pixels are copies of each other, too, and on the right naive Bayes says "certain" where it is often wrong. Never take such probabilities at face value, unless you know that the features are independent given the class. More elaborate models are cures of the same kind: they say which features depend on each other, and how.
#
# The discriminative rivals have a fault as well. *Plain* logistic regression grows its weights as long as the training images become more certain by it, and is too sure of new ones. The *regularized* one errs in the other direction: it is right more often than it says. Its penalty was chosen for the lowest *error*, which asks only which class comes first. The penalty holds the weights small, so the log-odds are small, and the confidence is too low. So check a model's probabilities on held-out data whatever its kind. A simple remedy, temperature scaling, multiplies all log-odds by one number that is fitted there.

# %% [markdown]
# ## 12 · How this course works
#
# - **Lessons** run from top to bottom. Where the text claims something, a cell asserts it; if the claim were wrong, the notebook would stop there. Change the `parameters` cell and run it again.
# - **Results.** A line such as `error_generative_10 = …` above was recorded by the run that you look at; no measured number is typed into a text. It says what kind of number it is: *exact* was computed without sampling, of a *bound* the truth lies on one side, an *estimate* has an interval, a *score* measures quality on this data.
# - **Exercises.** In a terminal, `course start 01` copies this lesson and its exercises into `work/`, where they are yours. You write the core of each model. *Core* exercises build it, *extend* exercises change it, a *challenge* asks you to reach a number.
# - **Checks.** After each exercise stands one line, such as `check("generative.posterior", posterior)`. It tries your function on data with a known answer and tells you: passed, not attempted, or what is wrong, in a sentence and with a hint. It knows closed forms and brute force, so your solution may look quite different from ours.

# %% [markdown]
# ## 13 · Remember
#
# 1. A generative model tells how the data came about: $p(x, y) = p(y)\,p(x \mid y)$. Bayes' rule turns the story around and makes a classifier of it.
# 2. With few labels good assumptions win, with many labels wrong ones lose. Regularize the rival before you claim a victory.
# 3. Only the joint distribution can draw, and sum out what is missing. It also says how usual an input is, which often tells strange ones better than a classifier's confidence, and sometimes worse.
# 4. A density can be fooled, naive probabilities are overconfident, and a penalty makes them underconfident: judge probabilities, too, on data with known answers.
# 5. Explicit, bounded, unnormalized, implicit: ask of every model whether $p(x)$ can be evaluated. A network is a part, never the model.
#
# **Exercises**: `course start 01`, then open `work/01_what_is_a_generative_model/exercises.ipynb`. You write naive Bayes, Bayes' rule and a sampler, and derive logistic regression.
#
# **Further reading**
# - A. Y. Ng, M. I. Jordan: *On discriminative vs. generative classifiers: a comparison of logistic regression and naive Bayes*, NIPS 2001.
# - C. Bishop: *Pattern Recognition and Machine Learning*, 2006, chapter 4.
# - S. Mohamed, B. Lakshminarayanan: *Learning in implicit generative models*, 2016, arXiv:1610.03483: generators without a density.
# - L. Theis, A. van den Oord, M. Bethge: *A note on the evaluation of generative models*, 2015, arXiv:1511.01844: likelihood and looks can disagree.
# - C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: *On calibration of modern neural networks*, ICML 2017, arXiv:1706.04599: temperature scaling.
# - E. Nalisnick, A. Matsukawa, Y. W. Teh, D. Gorur, B. Lakshminarayanan: *Do deep generative models know what they don't know?*, 2018, arXiv:1810.09136.
