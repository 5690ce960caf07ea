"""Wrong answers to the exercises of chapter 15, Diffusion: noise, and the way back."""

from wrong_answers import wrong

# TODO: at least three plausible mistakes for each exercise, with a piece of the sentence that must name each.


@wrong("diffusion.log_prob", says="forgot the normalizing constant")
def no_constant(x, rate):
    return -rate * x
