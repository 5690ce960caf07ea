"""Wrong answers to the exercises of chapter 7, Vector quantization: codes and a learned prior."""

from wrong_answers import wrong

# TODO: at least three plausible mistakes for each exercise, with a piece of the sentence that must name each.


@wrong("vector_quantization.log_prob", says="forgot the normalizing constant")
def no_constant(x, rate):
    return -rate * x
