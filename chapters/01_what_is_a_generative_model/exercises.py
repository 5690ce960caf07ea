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
# # Exercises 1: What is a generative model?
#
# You will build a complete generative model, small enough to hold in your head: fit it, ask it, draw new digits from it,
# let it work with half of the pixels, and judge what it says. At the end you learn from five labels a class.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`, labels
# `int64`; `B` is the number of examples, `D` of features (pixels), `C` of classes. Every exercise stands alone: if you are
# stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.
#
# Close the lesson's page while you write: what you recall, you keep.

# %%
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB
from torch import Tensor

from utils.checks import check
from utils.data import load
from utils.plots import caption, images


# %% [markdown]
# The model of exercises 1.1 to 1.5 is **naive Bayes** for black-and-white images. It tells how an example comes about:
# first a class $y$ is drawn, then each pixel $x_d \in \{0, 1\}$ by itself, black with a probability that depends on the
# class:
#
# $$p(x, y = c) \;=\; \pi_c \prod_{d=1}^{D} \theta_{cd}^{x_d} \, (1 - \theta_{cd})^{1 - x_d} .$$
#
# $\pi_c$ is the **prior** of class $c$, $\theta_{cd}$ the probability that its pixel $d$ is black.

# %% [markdown]
# ## 1.1 Fit by counting (core)
#
# Maximum likelihood counts. With $N_c$ examples of class $c$ among $N$, and $N_{cd}$ of them with pixel $d$ black,
#
# $$\pi_c = \frac{N_c}{N}, \qquad \theta_{cd} = \frac{N_{cd} + \alpha}{N_c + 2\alpha} .$$
#
# The $\alpha$ is **Laplace smoothing**: as if we had seen each pixel $\alpha$ times black and $\alpha$ times white in each
# class before the data came. Without it, a pixel that was never black would be impossible for ever.
#
# `x` is `(B, D)` of zeros and ones, `y` is `(B,)`, and each of the `n_classes` classes occurs. Return $\log \pi$, `(C,)`,
# and $\theta$, `(C, D)`. Smooth $\theta$ only, not $\pi$;
# `alpha` may be tiny.


# %% exercise={"id": "generative.fit_bernoulli", "tier": "core", "minutes": 12, "points": 2}
# generative.fit_bernoulli · core · 12 minutes · 2 points
def fit_bernoulli(
    x: Tensor, y: Tensor, n_classes: int, alpha: float
) -> tuple[Tensor, Tensor]:
    """Log priors (C,) and pixel probabilities (C, D) from binary images (B, D) and labels (B,)."""
    raise NotImplementedError("generative.fit_bernoulli")


# %% tags=["nbval-check-output"]
check("generative.fit_bernoulli", fit_bernoulli)


# %% [markdown]
# ## 1.2 The joint probability (core)
#
# The product over hundreds of pixels is too small for a computer, its logarithm is not:
#
# $$\log p(x, y = c) = \log \pi_c + \sum_d \bigl( x_d \log \theta_{cd} + (1 - x_d) \log (1 - \theta_{cd}) \bigr) .$$
#
# Mind $\theta = 0$ and $\theta = 1$. A black pixel where $\theta = 0$ is impossible: the answer is $-\infty$. A white one
# there is certain and costs nothing: $0 \cdot \log 0$ must count as 0, not as NaN. Do not move the probabilities.
#
# `log_prior` is `(C,)`, `probs` $= \theta$ is `(C, D)`, `x` is `(B, D)`; return `(B, C)`.


# %% exercise={"id": "generative.log_joint", "tier": "core", "minutes": 12, "points": 2}
# generative.log_joint · core · 12 minutes · 2 points
def log_joint(log_prior: Tensor, probs: Tensor, x: Tensor) -> Tensor:
    """log p(x, y = c) of naive Bayes for each example and class: (C,), (C, D) and (B, D) -> (B, C)."""
    raise NotImplementedError("generative.log_joint")


# %% tags=["nbval-check-output"]
check("generative.log_joint", log_joint)


# %% [markdown]
# ## 1.3 Bayes' rule (core)
#
# The joint answers two questions at once. Which class is it, and how likely is such an image at all?
#
# $$p(y = c \mid x) = \frac{p(x, y = c)}{p(x)}, \qquad p(x) = \sum_c p(x, y = c) .$$
#
# $p(x)$ is called the **evidence**. For images every $p(x, y = c)$ underflows to 0, so stay in log space until the last
# step. `torch.logsumexp` is allowed.
#
# `log_joint` is `(B, C)`, and may hold $-\infty$ for an impossible class. Return $p(y = c \mid x)$, `(B, C)`, and
# $\log p(x)$, `(B,)`.


# %% exercise={"id": "generative.posterior", "tier": "core", "minutes": 10, "points": 2}
# generative.posterior · core · 10 minutes · 2 points
def posterior(log_joint: Tensor) -> tuple[Tensor, Tensor]:
    """p(y | x), (B, C), and log p(x), (B,), from log p(x, y), (B, C)."""
    raise NotImplementedError("generative.posterior")


# %% tags=["nbval-check-output"]
check("generative.posterior", posterior)


# %% [markdown]
# ## 1.4 Draw a digit (core)
#
# A generative model can be run forwards: draw the class, then the pixels given the class. This is **ancestral sampling**:
# causes before effects.
#
# A computer's randomness is a stream of numbers $u$, uniform between 0 and 1. Turn them into what you need:
#
# - the class is the first $c$ with $u < \pi_0 + \pi_1 + \dots + \pi_c$ (the last class, if rounding leaves none);
# - a pixel is 1 if $u < \theta$, else 0.
#
# The random numbers are given, so there is one right answer: `u_class` is `(B,)`, `u_pixels` is `(B, D)`. Return the images,
# `(B, D)` in `float64`, and their classes, `(B,)` in `int64`.


# %% exercise={"id": "generative.sample", "tier": "core", "minutes": 12, "points": 2}
# generative.sample · core · 12 minutes · 2 points
def sample(
    log_prior: Tensor, probs: Tensor, u_class: Tensor, u_pixels: Tensor
) -> tuple[Tensor, Tensor]:
    """Images (B, D) and classes (B,), drawn with the given uniform random numbers (B,) and (B, D)."""
    raise NotImplementedError("generative.sample")


# %% tags=["nbval-check-output"]
check("generative.sample", sample)

# %% [markdown]
# The next cell fits naive Bayes to 5,000 black-and-white digits of MNIST with scikit-learn, so that pictures do not have
# to wait for your other answers. When your check has passed, call `show_samples(sample)` in a cell of your own and compare with the picture below
# the code.

# %%
mnist = load("mnist").flat()
part = mnist.test_part(1000)  # a fixed random part of the test set
x_train, x_test = ((x > 0.5).double() for x in (mnist.x_train[:5000], mnist.x_test[part]))
y_train, y_test = mnist.y_train[:5000], mnist.y_test[part]
fitted = BernoulliNB(alpha=1.0).fit(x_train, y_train)
prior_fitted = torch.tensor(fitted.class_log_prior_)  # (10,)
probs_fitted = torch.tensor(fitted.feature_log_prob_).exp()  # (10, 784)


def show_samples(sample: Callable, n: int = 12, seed: int = 0) -> None:
    """Draw the pixel probabilities of each class, n digits from the model, and n real ones."""
    generator = torch.Generator().manual_seed(seed)
    u_class, u_pixels = (
        torch.rand(shape, generator=generator, dtype=torch.float64)
        for shape in [(n,), (n, 784)]
    )
    drawn, y = sample(prior_fitted, probs_fitted, u_class, u_pixels)
    print("drawn classes:", *y.tolist())
    _, axes = plt.subplots(1, 3, figsize=(10, 3))
    images(probs_fitted.reshape(-1, 28, 28), 4, "probabilities of each class", axes[0])
    images(drawn.reshape(-1, 28, 28), 4, "drawn from the model", axes[1])
    images(x_test[:n].reshape(-1, 28, 28), 4, "real digits", axes[2])
    caption(
        "Each pixel is drawn as often as it should be, but no pixel knows of its neighbors"
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Each pixel is drawn as often as it should be, but no pixel knows of its neighbors](attachment:target.png)
#
# *Each pixel is drawn as often as it should be, but no pixel knows of its neighbors*

# %% [markdown]
# ## 1.5 Classify with pixels missing (extend)
#
# Some pixels of an image are unknown, marked NaN. The rules of probability say what to do with the unknown: **sum it out**,
#
# $$p(x_{\text{seen}}, y = c) = \sum_{x_{\text{missing}}} p(x_{\text{seen}}, x_{\text{missing}}, y = c),$$
#
# a sum over all $2^m$ ways to fill $m$ missing pixels. For naive Bayes the sum is easy: put the product of exercise
# 1.2 into it, pull out what does not depend on the missing pixels, and see what is left of each. A network that maps $x$ to
# $y$ has no such way out: it needs a value for each pixel.
#
# `x` is `(B, D)` of 0, 1 and NaN, any number of NaN in each row, and all `probs` lie strictly between 0 and 1. Return
# $\log p(x_{\text{seen}}, y = c)$, `(B, C)`.


# %% exercise={"id": "generative.log_joint_missing", "tier": "extend", "minutes": 15, "points": 2}
# generative.log_joint_missing · extend · 15 minutes · 2 points
def log_joint_missing(log_prior: Tensor, probs: Tensor, x: Tensor) -> Tensor:
    """log p(x_seen, y = c), summed over all values of the missing (NaN) pixels: (B, C)."""
    raise NotImplementedError("generative.log_joint_missing")


# %% tags=["nbval-check-output"]
check("generative.log_joint_missing", log_joint_missing)

# %% [markdown]
# What is it worth? The next cell hides pixels of test digits. Logistic regression gets the training mean of a hidden pixel
# in its place; your model sums it out. Call `show_hidden(log_joint_missing)` when your check has passed.

# %%
logistic = LogisticRegression(C=0.1, tol=1e-3, max_iter=300).fit(x_train, y_train)


def show_hidden(log_joint_missing: Callable, seed: int = 0) -> None:
    """Plot the error of both classifiers against the share of hidden pixels."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.arange(0, 0.95, 0.1)
    errors = {"naive Bayes, summed out": [], "logistic regression, mean filled in": []}
    rank = torch.rand(x_test.shape, generator=generator)
    for share in shares:
        hidden = rank < share
        seen = x_test.masked_fill(hidden, torch.nan)
        filled = torch.where(hidden, x_train.mean(0), x_test)
        predictions = (
            log_joint_missing(prior_fitted, probs_fitted, seen).argmax(-1),
            torch.tensor(logistic.predict(filled)),
        )
        for error, predicted in zip(errors.values(), predictions, strict=True):
            error.append((predicted != y_test).double().mean().item())
    _, axes = plt.subplots(figsize=(7, 3.4))
    for (name, error), marker in zip(errors.items(), "os", strict=True):
        axes.plot(shares, error, marker=marker, label=name)
    axes.set(xlabel="share of hidden pixels", ylabel="test error", ylim=(0, 1))
    axes.legend()
    caption(
        "With all pixels logistic regression is better; with many hidden, the generative model is"
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![With all pixels logistic regression is better; with many hidden, the generative model is](attachment:target.png)
#
# *With all pixels logistic regression is better; with many hidden, the generative model is*

# %% [markdown]
# ## 1.6 From Gaussians to logistic regression: derivation and code (extend)
#
# Logistic regression says $p(y = 1 \mid x) = \sigma(w^\top x + b)$ with $\sigma(a) = 1 / (1 + e^{-a})$. Why this formula?
# Here is one reason. Let there be two classes, each a Gaussian, with **the same** covariance:
#
# $$p(y = 1) = \pi, \qquad p(x \mid y = c) = \mathcal N(x; \mu_c, \Sigma), \qquad c \in \{0, 1\},$$
#
# $$\mathcal N(x; \mu, \Sigma) = \frac{1}{\sqrt{(2\pi)^D \det \Sigma}}
#   \exp\bigl(-\tfrac12 (x - \mu)^\top \Sigma^{-1} (x - \mu)\bigr) .$$
#
# **Derive** $w$ and $b$, in four steps:
#
# 1. Write Bayes' rule for $p(y = 1 \mid x)$ and divide numerator and denominator by the numerator. You get $\sigma(a)$:
#    what is $a$?
# 2. Put the two densities into $a$. What cancels because the covariance is shared?
# 3. Multiply out the two quadratic forms. Which term cancels now?
# 4. Sort what is left: what multiplies $x$ is $w$, the rest is $b$.
#
# Write your derivation in the cell below.

# %% [markdown]
# *Your derivation:*

# %% [markdown]
# Now **in code**. `means` is `(2, D)`, the means of class 0 and class 1; `covariance` is `(D, D)`; `prior` $= p(y = 1)$ is a
# number. Return $w$, `(D,)`, and the number $b$.


# %% exercise={"id": "generative.logistic_weights", "tier": "extend", "minutes": 25, "points": 3}
# generative.logistic_weights · extend · 25 minutes · 3 points
def logistic_weights(
    means: Tensor, covariance: Tensor, prior: float
) -> tuple[Tensor, Tensor]:
    """w (D,) and b with p(y = 1 | x) = σ(w·x + b), for two Gaussians with one covariance."""
    raise NotImplementedError("generative.logistic_weights")


# %% tags=["nbval-check-output"]
check("generative.logistic_weights", logistic_weights)


# %% [markdown]
# ## 1.7 Does the model know what it knows? The AUROC (extend)
#
# A generative model can say "this is none of my classes": $p(x)$ is low. To measure how well any such score tells
# familiar from strange, without choosing a threshold, take each pair of a familiar and a strange example and ask which
# has the higher score:
#
# $$\mathrm{AUROC} = \frac{1}{NM} \sum_{i=1}^{N} \sum_{j=1}^{M}
#   \begin{cases} 1 & s_i > t_j \\ \tfrac12 & s_i = t_j \\ 0 & s_i < t_j \end{cases}$$
#
# It is 1 if all familiar examples score higher, and ½ for a score that knows nothing. (The name is that of the *area
# under the receiver operating characteristic*, a curve with this area below it.)
#
# `familiar` $= s$ is `(N,)` and `strange` $= t$ is `(M,)`. A score may be $-\infty$, as $\log p(x)$ of an impossible
# $x$ is, and two of these are a tie. Return one number.


# %% exercise={"id": "generative.auroc", "tier": "extend", "minutes": 12, "points": 2}
# generative.auroc · extend · 12 minutes · 2 points
def auroc(familiar: Tensor, strange: Tensor) -> Tensor:
    """Share of the pairs in which the familiar example scores higher, ties counted as ½: (N,) and (M,)."""
    raise NotImplementedError("generative.auroc")


# %% tags=["nbval-check-output"]
check("generative.auroc", auroc)


# %% [markdown]
# The next cell scores test digits, and two kinds of images that are no digits, with $\log p(x)$ of the fitted naive Bayes.
# Call `show_novelty(auroc)` when your check has passed.


# %%
def show_novelty(auroc: Callable, seed: int = 0) -> None:
    """Histograms of log p(x) for digits and strange images, with the AUROC of each kind."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(784, generator=generator)
    kinds = {
        "digits": x_test,
        "half a turn": x_test.flip(-1),
        "pixels shuffled": x_test[:, order],
    }
    score = {
        name: torch.tensor(fitted.predict_joint_log_proba(x)).logsumexp(-1)
        for name, x in kinds.items()
    }
    _, axes = plt.subplots(figsize=(8, 3.4))
    bins = torch.linspace(-800, 0, 81).tolist()
    for name, values in score.items():
        area = auroc(score["digits"], values)
        label = name if name == "digits" else f"{name}, AUROC {float(area):.2f}"
        axes.hist(values, bins=bins, alpha=0.6, label=label)
    axes.set(xlabel="log p(x), nats per image", ylabel="images")
    axes.legend()
    caption(
        "Shuffled pixels score far below digits; a digit after half a turn still has much of a digit"
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Shuffled pixels score far below digits; a digit after half a turn still has much of a digit](attachment:target.png)
#
# *Shuffled pixels score far below digits; a digit after half a turn still has much of a digit*

# %% [markdown]
# ## 1.8 Is it as sure as it should be? Calibration (extend)
#
# Of all the days with "rain: 70 %", it should rain on 70 %. Call the **confidence** of a prediction the highest probability
# of its row. Sort the examples by confidence into $M$ bins of equal width between 0 and 1, and compare in each bin the mean
# confidence with the accuracy, the share of examples whose most probable class is the right one. The **expected calibration
# error** is
#
# $$\mathrm{ECE} = \sum_{m=1}^{M} \frac{N_m}{N} \, \bigl| \mathrm{accuracy}_m - \mathrm{confidence}_m \bigr|$$
#
# with $N_m$ of the $N$ examples in bin $m$. An empty bin counts nothing, and a confidence of exactly 1 belongs to the last
# bin. (On an inner edge, either bin will do.)
#
# `probs` $= p(y = c \mid x)$ is `(N, C)`, `y` holds the true classes, `(N,)`, and `n_bins` is $M$. Return one number.


# %% exercise={"id": "generative.calibration_error", "tier": "extend", "minutes": 18, "points": 2}
# generative.calibration_error · extend · 18 minutes · 2 points
def calibration_error(probs: Tensor, y: Tensor, n_bins: int) -> Tensor:
    """Expected calibration error of the probabilities (N, C) of the true classes y (N,)."""
    raise NotImplementedError("generative.calibration_error")


# %% tags=["nbval-check-output"]
check("generative.calibration_error", calibration_error)


# %% [markdown]
# Naive Bayes believes that pixels are independent given the class. They are not: neighbors repeat each other, and each
# repetition is counted as new evidence. The next cell compares it with logistic regression. Call
# `show_calibration(calibration_error)` when your check has passed.


# %%
def show_calibration(calibration_error: Callable) -> None:
    """Accuracy against confidence for two classifiers of test digits, with their calibration errors."""
    _, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
    for axis, (name, model) in zip(
        axes,
        {"naive Bayes": fitted, "logistic regression": logistic}.items(),
        strict=True,
    ):
        probs = torch.tensor(model.predict_proba(x_test))
        error = float(calibration_error(probs, y_test, 10))
        confidence = probs.amax(-1)
        right = (torch.tensor(model.predict(x_test)) == y_test).double()
        axis.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--")
        for low in torch.arange(0.2, 1, 0.2).tolist():
            inside = (confidence >= low) & (confidence < low + 0.2 + 1e-6)
            if inside.any():
                point = confidence[inside].mean(), right[inside].mean()
                axis.scatter(*point, color="#0072B2")
                axis.annotate(
                    str(inside.sum().item()),
                    point,
                    (-4, 4),
                    textcoords="offset points",
                    ha="right",
                    fontsize=9,
                )
        axis.set(title=f"{name}: calibration error {error:.3f}", xlabel="confidence")
        axis.set(xlim=(0, 1.1), ylim=(0, 1.1))
    axes[0].set_ylabel("accuracy")
    caption(
        "Each point is a group of test digits and their number; below the dashed line, too sure"
    )


# %% [markdown]
# *This picture is what you are after:*
#
# ![Each point is a group of test digits and their number; below the dashed line, too sure](attachment:target.png)
#
# *Each point is a group of test digits and their number; below the dashed line, too sure*

# %% [markdown]
# ## 1.9 Challenge: 91 % with five labels a class
#
# Labels are dear, images are cheap. You get 50 digits with labels, five of each class, and 1,247 without. A classifier that
# models only $p(y \mid x)$ has no use for an image without a label. A model of $p(x, y)$ has: such an image should be
# likely, whatever its class, so it counts with $p(x) = \sum_y p(x, y)$.
#
# Your function gets `x_labeled` `(50, 64)`, `y_labeled` `(50,)` and `x_unlabeled` `(1247, 64)`, and returns a **function**
# `predict(x)`, `(B, 64)` to `(B,)` in `int64`. The check draws the labeled digits five times and takes the mean accuracy on
# the 500 test digits: it must be at least 0.91. A draw may be lucky, five are seldom. Up to 60 seconds for all.
#
# The labels of all these digits lie in `data/`. So each draw shows its images through a **random rotation** of the 64
# coordinates, the same for training and test images, with a little noise: no pixel keeps its place, numbers may be negative,
# and no image can be looked up. What knows pixels and their neighbors is lost; distances, Gaussians with full covariances and
# principal components are not. The test images come mixed, in batches, some of them twice: each has one answer.
#
# One way: guess the classes of the unlabeled images, softly, as $p(y \mid x)$; fit the model to all images, each
# counted for a class as much as it probably belongs to it; guess again. Pixels as independent coin flips are too crude
# here: give the classes Gaussians with covariances, and think of how to estimate a 64 × 64 covariance from few images.
#
# The next cell shows what the labels alone give. `draw_labels` is yours to measure with, on digits that nobody rotated.

# %%
digits = load("digits").flat()
images_train, images_test = digits.x_train.double(), digits.x_test.double()


def draw_labels(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """x_labeled (50, 64), y_labeled (50,) and x_unlabeled (1247, 64), from the training digits."""
    order = torch.randperm(len(images_train), generator=generator)
    per_class = [order[digits.y_train[order] == c] for c in range(10)]
    labeled = torch.cat([indices[:5] for indices in per_class])
    unlabeled = torch.ones(len(order), dtype=torch.bool)
    unlabeled[labeled] = False
    return images_train[labeled], digits.y_train[labeled], images_train[unlabeled]


def accuracies(fit: Callable, draws: int = 5, seed: int = 0) -> list[float]:
    """The test accuracy for each draw of the labeled digits."""
    generator = torch.Generator().manual_seed(seed)
    fits = [fit(*draw_labels(generator)) for _ in range(draws)]
    return [
        (predict(images_test) == digits.y_test).double().mean().item() for predict in fits
    ]


def labels_only(x: Tensor, y: Tensor, unlabeled: Tensor) -> Callable:
    """Logistic regression, to which the unlabeled images say nothing."""
    model = LogisticRegression(C=10, max_iter=1000).fit(x, y)
    return lambda new: torch.tensor(model.predict(new))


reached = accuracies(labels_only)
print(
    f"logistic regression: {sum(reached) / 5:.3f} (draws: {min(reached):.3f} to {max(reached):.3f})"
)


# %% exercise={"id": "generative.few_labels", "tier": "challenge", "minutes": 45, "points": 4}
# generative.few_labels · challenge · 45 minutes · 4 points
def few_labels(
    x_labeled: Tensor, y_labeled: Tensor, x_unlabeled: Tensor
) -> Callable[[Tensor], Tensor]:
    """Learn from few labels and many images; returns predict: (B, 64) -> (B,)."""
    raise NotImplementedError("generative.few_labels")


# %%
check("generative.few_labels", few_labels)


# %% [markdown]
# The target: every draw of the labels is better than labels alone. `show_draws(few_labels)` draws this picture.


# %%
def show_draws(few_labels: Callable) -> None:
    """The test accuracy for each draw of the labels, beside that of the labels alone."""
    _, axes = plt.subplots(figsize=(7, 3))
    fits = {"labels only": labels_only, "labels and images": few_labels}
    for (name, fit), marker in zip(fits.items(), "os", strict=True):
        axes.plot(range(1, 6), accuracies(fit), marker, label=name)
    axes.axhline(0.91, color="black", linewidth=1, linestyle="--", label="goal of the mean")
    axes.set(xlabel="draw", ylabel="test accuracy", xticks=range(1, 6), ylim=(0.75, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    caption("The same 50 labels, with and without the images that nobody labeled")


# %% [markdown]
# *This picture is what you are after:*
#
# ![The same 50 labels, with and without the images that nobody labeled](attachment:target.png)
#
# *The same 50 labels, with and without the images that nobody labeled*
