"""Wrong answers to the exercises of chapter 13, Transformers: language, one token at a time."""

from wrong_answers import wrong

# TODO: at least three plausible mistakes for each exercise, with a piece of the sentence that must name each.


@wrong("transformers.log_prob", says="forgot the normalizing constant")
def no_constant(x, rate):
    return -rate * x
