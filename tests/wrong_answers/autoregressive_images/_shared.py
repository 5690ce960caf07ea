"""Wrong answers of chapter 12: what several files use."""

from torch.nn import functional as F


def log_p(logits, x):
    return F.logsigmoid((2 * x - 1) * logits)
