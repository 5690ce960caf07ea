"""Wrong answers of chapter 10: a density of a checkerboard."""

from wrong_answers import wrong

# --- flow.held_out ---------------------------------------------------------------------------------------------------


def scaling(x_train, *, sign=1.0, log_det=None, undo=None):
    """One Gaussian with independent coordinates: a flow, but a poor one."""
    mean, std = x_train.mean(0), x_train.std(0)

    def forward(x):
        total = sign * -std.log().sum() if log_det is None else log_det
        return (x - mean) / std, x.new_full((len(x),), total)

    return forward, undo or (lambda z: mean + std * z)


@wrong("flow.held_out", says="you underfit")
def one_gaussian(x_train):
    return scaling(x_train)


@wrong("flow.held_out", says="log_det has the wrong sign")
def inverse_log_det(x_train):
    return scaling(2 * x_train, sign=-1)


@wrong("flow.held_out", says="log_det is not that of your forward")
def flattering_log_det(x_train):
    return scaling(x_train, log_det=2.0)


@wrong("flow.held_out", says="does not undo")
def no_inverse(x_train):
    return scaling(2 * x_train, undo=lambda z: z)


@wrong("flow.held_out", says="not a function")
def numbers_instead_of_functions(x_train):
    forward, inverse = scaling(x_train)
    return forward(x_train)[0], inverse(x_train)


@wrong("flow.held_out", says="depends on which other points")
def statistics_of_the_batch(x_train):
    def forward(x):
        return x - x.mean(0), x.new_zeros(len(x))

    return forward, lambda z: z


@wrong("flow.held_out", says="it integrates to 0.4")
def into_a_square_only(x_train):
    def forward(x):
        return (x / 2).tanh(), (0.5 * (1 - (x / 2).tanh().square())).log().sum(-1)

    return forward, lambda z: 2 * z.atanh()


@wrong("flow.held_out", says="one number for all points")
def one_log_det(x_train):
    forward, inverse = scaling(x_train)
    return lambda x: (forward(x)[0], forward(x)[1].sum()), inverse
