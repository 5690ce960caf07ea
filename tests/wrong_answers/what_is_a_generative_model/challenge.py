"""Wrong answers of chapter 1: digits from few labels."""

import torch
from torch.nn.functional import one_hot

from wrong_answers import wrong

# --- generative.few_labels -------------------------------------------------------------------------------------------


def gaussians(x, share, own=0.0, ridge=0.3):
    """log p(x, y) of ten Gaussians, up to a constant, fitted to examples that are shared out among the classes."""
    sizes = share.sum(0)
    means = share.T @ x / sizes[:, None]
    centered = x[:, None] - means
    scatter = torch.einsum("bk,bki,bkj->kij", share, centered, centered)
    pooled = scatter.sum(0) / sizes.sum()
    spread = own * scatter / sizes[:, None, None] + (1 - own) * pooled
    spread = (1 - ridge) * spread + ridge * pooled.diagonal().mean() * torch.eye(x.shape[1], dtype=x.dtype)
    precision, log_det = spread.inverse(), spread.logdet()

    def log_joint(new):
        away = new - means[:, None]  # (10, B, D)
        return (sizes / sizes.sum()).log() - 0.5 * (((away @ precision) * away).sum(-1).T + log_det)

    return log_joint


@wrong("generative.few_labels", says="they go unused")
def labels_only(x_labeled, y_labeled, x_unlabeled):
    log_joint = gaussians(x_labeled, one_hot(y_labeled, 10).double())
    return lambda x: log_joint(x).argmax(-1)


@wrong("generative.few_labels", says="they go unused")
def logistic_regression(x_labeled, y_labeled, x_unlabeled):
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=10, max_iter=1000).fit(x_labeled, y_labeled)
    return lambda x: torch.tensor(fitted.predict(x))


@wrong("generative.few_labels", says="not enough is made of them")
def guessed_once(x_labeled, y_labeled, x_unlabeled):
    known = one_hot(y_labeled, 10).double()
    first = gaussians(x_labeled, known)
    second = gaussians(
        torch.cat([x_labeled, x_unlabeled]), torch.cat([known, first(x_unlabeled).softmax(-1)]), ridge=0.9
    )
    return lambda x: second(x).argmax(-1)


@wrong("generative.few_labels", says="ten numbers for each image")
def log_joints(x_labeled, y_labeled, x_unlabeled):
    return gaussians(x_labeled, one_hot(y_labeled, 10).double())


@wrong("generative.few_labels", says="not a function")
def classes_of_the_unlabeled(x_labeled, y_labeled, x_unlabeled):
    return gaussians(x_labeled, one_hot(y_labeled, 10).double())(x_unlabeled).argmax(-1)


@wrong("generative.few_labels", says="which other images you are asked about")
def centered_with_the_questions(x_labeled, y_labeled, x_unlabeled):
    log_joint = gaussians(x_labeled - x_labeled.mean(0), one_hot(y_labeled, 10).double())
    return lambda x: log_joint(x - x.mean(0)).argmax(-1)
