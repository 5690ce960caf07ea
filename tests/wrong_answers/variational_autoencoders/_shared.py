"""Wrong answers of chapter 6: what several files use."""

from torch.nn.functional import softplus


def pixels(x, odds):
    return x * odds - softplus(odds)


def standard_kl(mean, log_variance):
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
