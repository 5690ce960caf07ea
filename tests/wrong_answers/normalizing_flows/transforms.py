"""Wrong answers of chapter 10: planar flows and splines."""

import torch

from wrong_answers import wrong

# --- flow.planar -----------------------------------------------------------------------------------------------------


def push(x, u, w, b, derivative=None, one=1.0):
    h = (x @ w + b).tanh()
    derivative = 1 - h.square() if derivative is None else derivative(h)
    return x + h[:, None] * u, (one + derivative * (u @ w)).abs().log()


@wrong("flow.planar", says="use tanh where its derivative belongs")
def tanh_itself(x, u, w, b):
    return push(x, u, w, b, derivative=lambda h: h)


@wrong("flow.planar", says="not tanh²")
def tanh_squared(x, u, w, b):
    return push(x, u, w, b, derivative=torch.square)


@wrong("flow.planar", says="forgot the derivative of tanh")
def no_derivative(x, u, w, b):
    return push(x, u, w, b, derivative=torch.ones_like)


@wrong("flow.planar", says="The 1 is missing")
def no_identity(x, u, w, b):
    return push(x, u, w, b, one=0)


@wrong("flow.planar", says="only the diagonal of the Jacobian")
def planar_diagonal(x, u, w, b):
    h = (x @ w + b).tanh()
    return x + h[:, None] * u, (1 + (1 - h.square())[:, None] * u * w).abs().log().sum(-1)


@wrong("flow.planar", says="log-determinant has the wrong sign")
def planar_sign(x, u, w, b):
    z, log_det = push(x, u, w, b)
    return z, -log_det


@wrong("flow.planar", says="absolute value is missing")
def planar_without_absolute(x, u, w, b):
    h = (x @ w + b).tanh()
    return x + h[:, None] * u, (1 + (1 - h.square()) * (u @ w)).log()


@wrong("flow.planar", says="You exchange u and w")
def u_and_w_exchanged(x, u, w, b):
    return push(x, w, u, b)


@wrong("flow.planar", says="wᵀu is missing")
def no_wu(x, u, w, b):
    h = (x @ w + b).tanh()
    return (x + h[:, None] * u, (1 + (1 - h**2)).abs().log())


@wrong("flow.planar", says="In the log-determinant b is missing")
def b_missing_in_det(x, u, w, b):
    h = (x @ w + b).tanh()
    g = (x @ w).tanh()
    return (x + h[:, None] * u, (1 + (1 - g**2) * (w @ u)).abs().log())


@wrong("flow.planar", says="b has the wrong sign")
def b_negative(x, u, w, b):
    h = (x @ w - b).tanh()
    return (x + h[:, None] * u, (1 + (1 - h**2) * (w @ u)).abs().log())


@wrong("flow.planar", says="You take the absolute value of a part: of wᵀu, not of 1 + …")
def absolute_wu(x, u, w, b):
    h = (x @ w + b).tanh()
    return (x + h[:, None] * u, (1 + (1 - h**2) * (w @ u).abs()).log())


@wrong("flow.planar", says="You average over wᵢ uᵢ")
def mean_of_products(x, u, w, b):
    h = (x @ w + b).tanh()
    return (x + h[:, None] * u, (1 + (1 - h**2) * (w * u).mean()).abs().log())


@wrong("flow.planar", says="You subtract u tanh(…)")
def u_negative(x, u, w, b):
    h = (x @ w + b).tanh()
    return (x - h[:, None] * u, (1 - (1 - h**2) * (w @ u)).abs().log())


@wrong("flow.planar", says="For wᵀu = −3 your determinant is cut off where it is negative")
def relu_det(x, u, w, b):
    h = (x @ w + b).tanh()
    return (x + h[:, None] * u, (1 + (1 - h**2) * (w @ u)).clamp(min=1e-06).log())


@wrong("flow.planar", says="You use a sigmoid")
def sigmoid_flow(x, u, w, b):
    h = (x @ w + b).sigmoid()
    return (x + h[:, None] * u, (1 + h * (1 - h) * (w @ u)).abs().log())


@wrong("flow.planar", says="You forgot b")
def b_missing(x, u, w, b):
    h = (x @ w).tanh()
    return (x + h[:, None] * u, (1 + (1 - h**2) * (w @ u)).abs().log())


@wrong("flow.planar", says="You take the absolute value of a part: of wᵀu, not of 1 + …")
def log1p_abs(x, u, w, b):
    h = (x @ w + b).tanh()
    return (x + h[:, None] * u, ((1 - h**2) * (w @ u)).abs().log1p())


# --- flow.rational_quadratic -----------------------------------------------------------------------------------------


def spline(x, x_knots, y_knots, slopes, *, shift=0, swap=False, upside_down=False, measure="x", square=True):
    k = (x_knots[:, 1:-1] < x[:, None]).sum(1)
    k = (k + shift).clamp(0, x_knots.shape[1] - 2)
    rows = torch.arange(len(x))
    w, h = x_knots[rows, k + 1] - x_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    d0, d1 = slopes[rows, k], slopes[rows, k + 1]
    if swap:
        d0, d1 = d1, d0
    s = w / h if upside_down else h / w
    theta = (x - x_knots[rows, k]) / w
    tau = theta * (1 - theta)
    below = s + (d0 + d1 - 2 * s) * tau
    top = s**2 * (d1 * theta**2 + 2 * s * tau + d0 * (1 - theta) ** 2)
    slope = top / (below**2 if square else below)
    return y_knots[rows, k] + h * (s * theta**2 + d0 * tau) / below, (slope * w if measure == "theta" else slope).log()


@wrong("flow.rational_quadratic", says="exchange the slopes")
def slopes_exchanged(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, swap=True)


@wrong("flow.rational_quadratic", says="upside down")
def width_over_height(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, upside_down=True)


@wrong("flow.rational_quadratic", says="bin to the left")
def bin_to_the_left(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, shift=-1)


@wrong("flow.rational_quadratic", says="bin to the right")
def bin_to_the_right(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, shift=1)


@wrong("flow.rational_quadratic", says="knots of the first row")
def knots_of_the_first_row(x, x_knots, y_knots, slopes):
    return spline(x, *(rows[:1].expand_as(rows) for rows in (x_knots, y_knots, slopes)))


@wrong("flow.rational_quadratic", says="with respect to θ")
def slope_in_theta(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, measure="theta")


@wrong("flow.rational_quadratic", says="not squared")
def denominator_not_squared(x, x_knots, y_knots, slopes):
    return spline(x, x_knots, y_knots, slopes, square=False)


@wrong("flow.rational_quadratic", says="the slope, not its logarithm")
def no_logarithm(x, x_knots, y_knots, slopes):
    y, log_slope = spline(x, x_knots, y_knots, slopes)
    return y, log_slope.exp()


@wrong("flow.rational_quadratic", says="log dx/dy")
def slope_of_the_inverse(x, x_knots, y_knots, slopes):
    y, log_slope = spline(x, x_knots, y_knots, slopes)
    return y, -log_slope


@wrong("flow.rational_quadratic", says="straight line")
def straight_lines(x, x_knots, y_knots, slopes):
    k = (x_knots[:, 1:-1] < x[:, None]).sum(1)
    rows = torch.arange(len(x))
    w, h = x_knots[rows, k + 1] - x_knots[rows, k], y_knots[rows, k + 1] - y_knots[rows, k]
    return y_knots[rows, k] + (x - x_knots[rows, k]) * h / w, (h / w).log()


def spline_with(x, X, Y, D, left=None, twist=lambda *a: a):
    left = (X[:, 1:-1] < x[:, None]).sum(-1, keepdim=True) if left is None else left

    def e(r):
        return (r.gather(1, left)[:, 0], r.gather(1, left + 1)[:, 0])

    (x0, x1), (y0, y1), (d0, d1) = (e(X), e(Y), e(D))
    s, th = ((y1 - y0) / (x1 - x0), (x - x0) / (x1 - x0))
    tau = th * (1 - th)
    below = s + (d0 + d1 - 2 * s) * tau
    return (
        y0 + (y1 - y0) * (s * th**2 + d0 * tau) / below,
        ((d1 * th**2 + 2 * s * tau + d0 * (1 - th) ** 2) * (s / below) ** 2).log(),
        (s, th, tau, below, d0, d1, y0, y1),
    )


@wrong("flow.rational_quadratic", says="In the slope the factor 2 before s θ (1 − θ) is missing")
def slope_two_missing(x, x_knots, y_knots, slopes):
    y, _log_slope, (s, th, tau, b, d0, d1, _y0, _y1) = spline_with(x, x_knots, y_knots, slopes)
    return (y, ((d1 * th**2 + s * tau + d0 * (1 - th) ** 2) * (s / b) ** 2).log())


@wrong("flow.rational_quadratic", says="Your curve is θ²: it ignores the slopes")
def quadratic_in_place(x, x_knots, y_knots, slopes):
    _y, log_slope, (_s, th, _tau, _b, _d0, _d1, y0, y1) = spline_with(x, x_knots, y_knots, slopes)
    return (y0 + (y1 - y0) * th**2, log_slope)


@wrong("flow.rational_quadratic", says="You use the bin to the right of the one in which x lies")
def at_left_knots_off(x, x_knots, y_knots, slopes):
    return spline_with(
        x,
        x_knots,
        y_knots,
        slopes,
        (x_knots[:, :-1] < x[:, None]).sum(-1, keepdim=True).clamp(max=x_knots.shape[1] - 2),
    )[:2]


@wrong("flow.rational_quadratic", says="Several mistakes give this result")
def numerator_with_d1(x, x_knots, y_knots, slopes):
    _y, log_slope, (s, th, tau, b, _d0, d1, y0, y1) = spline_with(x, x_knots, y_knots, slopes)
    return (y0 + (y1 - y0) * (s * th**2 + d1 * tau) / b, log_slope)


@wrong("flow.rational_quadratic", says="Your log-slope is cut off")
def slope_clamped(x, x_knots, y_knots, slopes):
    y, log_slope, _ = spline_with(x, x_knots, y_knots, slopes)
    return (y, log_slope.clamp(-0.1, 0.1))


@wrong("flow.rational_quadratic", says="You interpolate the slopes of the knots in a straight line")
def interpolated_slopes(x, x_knots, y_knots, slopes):
    y, _log_slope, (_s, th, _tau, _b, d0, d1, _y0, _y1) = spline_with(x, x_knots, y_knots, slopes)
    return (y, ((1 - th) * d0 + th * d1).log())


@wrong("flow.rational_quadratic", says="The log-slope has the wrong sign: this is log dx/dy")
def log_slope_of_inverse(x, x_knots, y_knots, slopes):
    y, log_slope, _ = spline_with(x, x_knots, y_knots, slopes)
    return (y, -log_slope)


@wrong("flow.planar", says="the square is missing")
def one_minus_tanh(x, u, w, b):
    h = (x @ w + b).tanh()
    return x + h[:, None] * u, (1 + (1 - h) * (w @ u)).abs().log()


@wrong("flow.rational_quadratic", says="You return x itself at the first and at the last knot")
def identity_at_the_ends(x, x_knots, y_knots, slopes):
    inside = (x > x_knots[:, 0]) & (x < x_knots[:, -1])
    left = (x_knots[:, 1:-1] < x[:, None]).sum(-1, keepdim=True)
    (x0, x1), (y0, y1), (d0, d1) = (
        (rows.gather(1, left)[:, 0], rows.gather(1, left + 1)[:, 0]) for rows in (x_knots, y_knots, slopes)
    )
    s, theta = (y1 - y0) / (x1 - x0), (x - x0) / (x1 - x0)
    tau = theta * (1 - theta)
    below = s + (d0 + d1 - 2 * s) * tau
    y = y0 + (y1 - y0) * (s * theta**2 + d0 * tau) / below
    slope = s**2 * (d1 * theta**2 + 2 * s * tau + d0 * (1 - theta) ** 2) / below**2
    return torch.where(inside, y, x), torch.where(inside, slope.log(), 0.0)
