"""Wrong answers to the exercises of chapter 12, autoregressive models of images."""

import itertools

import torch
from torch.nn import functional as F

from wrong_answers import stored, wrong


def log_p(logits, x):
    return F.logsigmoid((2 * x - 1) * logits)


# --- ar.chain_log_prob -----------------------------------------------------------------------------------------------


@wrong("ar.chain_log_prob", says="not their logarithms")
def sum_of_probabilities(logits, x):
    p = torch.sigmoid(logits)
    return torch.where(x == 1, p, 1 - p).sum((1, 2))


@wrong("ar.chain_log_prob", says="mean over the pixels")
def mean_for_sum(logits, x):
    return log_p(logits, x).mean((1, 2))


@wrong("ar.chain_log_prob", says="one number for all images")
def default_reduction(logits, x):
    return -F.binary_cross_entropy_with_logits(logits, x)


@wrong("ar.chain_log_prob", says="a loss")
def loss(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2))


@wrong("ar.chain_log_prob", says="Only the pixels that are 1 count")
def ones_only(logits, x):
    return (x * F.logsigmoid(logits)).sum((1, 2))


@wrong("ar.chain_log_prob", says="sigmoid is applied twice")
def sigmoid_twice(logits, x):
    return log_p(torch.sigmoid(logits), x).sum((1, 2))


@wrong("ar.chain_log_prob", says="underflows to 0")
def product(logits, x):
    p = torch.sigmoid(logits)
    return torch.where(x == 1, p, 1 - p).flatten(1).prod(1).log()


@wrong("ar.chain_log_prob", says="the sigmoid has rounded")
def rounded_sigmoid(logits, x):
    p = torch.sigmoid(logits)
    return torch.where(x == 1, p, 1 - p).log().sum((1, 2))


@wrong("ar.chain_log_prob", says="one number for each row")
def one_axis(logits, x):
    return log_p(logits, x).sum(-1)


# --- ar.fvsbn_log_prob -----------------------------------------------------------------------------------------------


@wrong("ar.fvsbn_log_prob", says="You use all weights")
def full_matrix(weights, bias, x):
    return log_p(bias + x @ weights.T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="The diagonal is in")
def with_diagonal(weights, bias, x):
    return log_p(bias + x @ weights.tril().T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="leave out the diagonal only")
def without_diagonal(weights, bias, x):
    return log_p(bias + x @ (weights - weights.diagonal().diag()).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="transposed after they were masked")
def transposed(weights, bias, x):
    return log_p(bias + x @ weights.tril(-1), x).sum(1)


@wrong("ar.fvsbn_log_prob", says="chain runs backwards")
def upper_triangle(weights, bias, x):
    return log_p(bias + x @ weights.triu(1).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="read the weights across")
def across(weights, bias, x):
    return log_p(bias + x @ weights.triu(1), x).sum(1)


@wrong("ar.fvsbn_log_prob", says="bias is missing")
def no_bias(weights, bias, x):
    return log_p(x @ weights.tril(-1).T, x).sum(1)


@wrong("ar.fvsbn_log_prob", says="This is no distribution")
def not_normalised(weights, bias, x):
    return (x * (bias + x @ weights.tril(-1).T)).sum(1)


@wrong("ar.fvsbn_log_prob", says="log(0)")
def probabilities_first(weights, bias, x):
    p = torch.sigmoid(bias + x @ weights.tril(-1).T)
    return torch.where(x == 1, p, 1 - p).log().sum(1)


# --- ar.fvsbn_gradient -----------------------------------------------------------------------------------------------


def gradients(weights, bias, x, *, sign=1.0, squared=False, mask=-1):
    p = torch.sigmoid(bias + x @ weights.tril(mask).T)
    error = sign * (p - x) * (p * (1 - p) if squared else 1)
    return (error.T @ x / len(x)).tril(-1), error.mean(0)


@wrong("ar.fvsbn_gradient", says="sign of the weights' gradient is wrong")
def data_minus_model(weights, bias, x):
    return gradients(weights, bias, x, sign=-1)


@wrong("ar.fvsbn_gradient", says="You sum over the images")
def summed(weights, bias, x):
    w, b = gradients(weights, bias, x)
    return len(x) * w, len(x) * b


@wrong("ar.fvsbn_gradient", says="as for a squared error")
def slope_of_the_sigmoid(weights, bias, x):
    return gradients(weights, bias, x, squared=True)


@wrong("ar.fvsbn_gradient", says="not 0 where j ≥ d")
def not_masked(weights, bias, x):
    error = torch.sigmoid(bias + x @ weights.tril(-1).T) - x
    return error.T @ x / len(x), error.mean(0)


@wrong("ar.fvsbn_gradient", says="transposed")
def transposed_gradient(weights, bias, x):
    w, b = gradients(weights, bias, x)
    return w.T, b


@wrong("ar.fvsbn_gradient", says="predict with all weights")
def unmasked_prediction(weights, bias, x):
    return gradients(weights, bias, x, mask=len(bias))


@wrong("ar.fvsbn_gradient", says="bias's gradient over the images")
def bias_summed(weights, bias, x):
    w, b = gradients(weights, bias, x)
    return w, len(x) * b


# --- ar.sample -------------------------------------------------------------------------------------------------------


def draw(model, order, uniforms, *, choose=None, x=None, skip=()):
    choose = choose or (lambda u, a: u < torch.sigmoid(a))
    x = torch.zeros_like(uniforms) if x is None else x.clone()
    for d in order.tolist():
        if d not in skip:
            x[:, d] = choose(uniforms[:, d], model(x)[:, d]).to(x.dtype)
    return x


@wrong("ar.sample", says="as if all before it were 0")
def one_pass(model, order, uniforms):
    return (uniforms < torch.sigmoid(model(torch.zeros_like(uniforms)))).double()


@wrong("ar.sample", says="You draw row by row")
def raster(model, order, uniforms):
    return draw(model, torch.arange(len(order)), uniforms)


@wrong("ar.sample", says="from the last to the first")
def reversed_order(model, order, uniforms):
    return draw(model, order.flip(0), uniforms)


@wrong("ar.sample", says="take the places for the pixels")
def inverse_order(model, order, uniforms):
    return draw(model, order.argsort(), uniforms)


@wrong("ar.sample", says="random numbers in the order of drawing")
def uniforms_by_step(model, order, uniforms):
    return draw(model, order, uniforms[:, order.argsort()])


@wrong("ar.sample", says="You round")
def most_likely(model, order, uniforms):
    return draw(model, order, uniforms, choose=lambda u, a: a > 0)


@wrong("ar.sample", says="probability 1 − σ(a)")
def above(model, order, uniforms):
    return draw(model, order, uniforms, choose=lambda u, a: u > torch.sigmoid(a))


@wrong("ar.sample", says="sigmoid is applied twice")
def sigmoid_of_sigmoid(model, order, uniforms):
    return draw(model, order, uniforms, choose=lambda u, a: u < torch.sigmoid(torch.sigmoid(a)))


@wrong("ar.sample", says="compare the uniforms with logits")
def no_sigmoid(model, order, uniforms):
    return draw(model, order, uniforms, choose=lambda u, a: u < a)


# --- ar.complete -----------------------------------------------------------------------------------------------------


def weigh(model, x, known):
    return log_p(model(x), x)[:, known].sum(1)


def kept(model, order, x, known, uniforms):
    return draw(model, order, uniforms, x=x, skip=set(known.nonzero().squeeze(1).tolist()))


@wrong("ar.complete", says="draw the known pixels too")
def nothing_kept(model, order, x, known, uniforms):
    drawn = draw(model, order, uniforms)
    return drawn, weigh(model, drawn, known)


@wrong("ar.complete", says="paste the known pixels in at the end")
def pasted(model, order, x, known, uniforms):
    drawn = torch.where(known, x, draw(model, order, uniforms))
    return drawn, weigh(model, drawn, known)


@wrong("ar.complete", says="wrong way round")
def inverted(model, order, x, known, uniforms):
    drawn = kept(model, order, x, ~known, uniforms)
    return drawn, weigh(model, drawn, known)


@wrong("ar.complete", says="all unknown pixels at once")
def in_one_pass(model, order, x, known, uniforms):
    drawn = torch.where(known, x, (uniforms < torch.sigmoid(model(x))).double())
    return drawn, weigh(model, drawn, known)


@wrong("ar.complete", says="weigh with all pixels")
def joint_weight(model, order, x, known, uniforms):
    drawn = kept(model, order, x, known, uniforms)
    return drawn, log_p(model(drawn), drawn).sum(1)


@wrong("ar.complete", says="weigh with the pixels that were drawn")
def weight_of_the_drawn(model, order, x, known, uniforms):
    drawn = kept(model, order, x, known, uniforms)
    return drawn, weigh(model, drawn, ~known)


@wrong("ar.complete", says="whose unknown pixels hold anything")
def weight_of_the_input(model, order, x, known, uniforms):
    return kept(model, order, x, known, uniforms), weigh(model, x, known)


@wrong("ar.complete", says="not their logarithms")
def weights_themselves(model, order, x, known, uniforms):
    drawn = kept(model, order, x, known, uniforms)
    return drawn, weigh(model, drawn, known).exp()


# --- ar.made_masks ---------------------------------------------------------------------------------------------------


def masks(place, degrees, *, hidden=torch.ge, output=torch.gt, first=None, last=None):
    levels = [place if first is None else first, *degrees]
    found = [hidden(after[:, None], before) for before, after in itertools.pairwise(levels)]
    return [*found, output((place if last is None else last)[:, None], levels[-1])]


@wrong("ar.made_masks", says="a pixel reaches its own output")
def output_not_strict(place, degrees):
    return masks(place, degrees, output=torch.ge)


@wrong("ar.made_masks", says="too strict")
def all_strict(place, degrees):
    return masks(place, degrees, hidden=torch.gt)


@wrong("ar.made_masks", says="Mask 1 compares the wrong way")
def wrong_way(place, degrees):
    return masks(place, degrees, hidden=torch.le)


@wrong("ar.made_masks", says="output's mask compares the wrong way")
def output_wrong_way(place, degrees):
    return masks(place, degrees, output=torch.lt)


@wrong("ar.made_masks", says="axes are swapped")
def speakers_first(place, degrees):
    return [mask.T for mask in masks(place, degrees)]


@wrong("ar.made_masks", says="not their places in the order")
def numbers_for_places(place, degrees):
    raster = torch.arange(len(place))
    return masks(place, degrees, first=raster, last=raster)


@wrong("ar.made_masks", says="output's mask uses the pixels' numbers")
def output_by_number(place, degrees):
    return masks(place, degrees, last=torch.arange(len(place)))


@wrong("ar.made_masks", says="You invert `place`")
def inverted_place(place, degrees):
    return masks(place.argsort(), degrees)


# --- ar.causal_mask --------------------------------------------------------------------------------------------------


def window(size, centre):
    mask = torch.zeros(size, size)
    mask[: size // 2] = 1
    mask[size // 2, : size // 2 + centre] = 1
    return mask


@wrong("ar.causal_mask", says="Mask B hides the centre")
def always_a(size, kind):
    return window(size, False)


@wrong("ar.causal_mask", says="Mask A shows the centre")
def always_b(size, kind):
    return window(size, True)


@wrong("ar.causal_mask", says="Mask A shows the centre")
def exchanged(size, kind):
    return window(size, kind == "A")


@wrong("ar.causal_mask", says="transposed")
def by_columns(size, kind):
    return window(size, kind == "B").T


@wrong("ar.causal_mask", says="rows below")
def later_rows(size, kind):
    mask = torch.ones(size, size)
    mask[size // 2, size // 2 + (kind == "B") :] = 0
    return mask


@wrong("ar.causal_mask", says="to the right of the centre")
def whole_row(size, kind):
    mask = window(size, kind == "B")
    mask[size // 2, size // 2 + 1 :] = 1
    return mask


@wrong("ar.causal_mask", says="what comes after the centre")
def flipped(size, kind):
    return window(size, kind == "B").flip(0, 1)


@wrong("ar.causal_mask", says="In the rows above")
def quarter(size, kind):
    mask = window(size, kind == "B")
    mask[:, size // 2 + 1 :] = 0
    return mask


# --- ar.gated_convolution --------------------------------------------------------------------------------------------


def gated(x, weights, bias, mask, content=torch.tanh, gate=torch.sigmoid, swap=False):
    u, g = F.conv2d(x, weights * mask, bias, padding=mask.shape[0] // 2).chunk(2, 1)
    return content(g) * gate(u) if swap else content(u) * gate(g)


@wrong("ar.gated_convolution", says="forgot the mask")
def mask_forgotten(x, weights, bias, mask):
    return gated(x, weights, bias, torch.ones_like(mask))


@wrong("ar.gated_convolution", says="exchanged")
def halves_exchanged(x, weights, bias, mask):
    return gated(x, weights, bias, mask, swap=True)


@wrong("ar.gated_convolution", says="sigmoid of the gate is missing")
def open_gate(x, weights, bias, mask):
    return gated(x, weights, bias, mask, gate=lambda g: g)


@wrong("ar.gated_convolution", says="tanh of the content is missing")
def linear_content(x, weights, bias, mask):
    return gated(x, weights, bias, mask, content=lambda u: u)


@wrong("ar.gated_convolution", says="tanh for the gate too")
def two_tanh(x, weights, bias, mask):
    return gated(x, weights, bias, mask, gate=torch.tanh)


@wrong("ar.gated_convolution", says="every other channel")
def interleaved(x, weights, bias, mask):
    both = F.conv2d(x, weights * mask, bias, padding=mask.shape[0] // 2)
    return both[:, ::2].tanh() * both[:, 1::2].sigmoid()


@wrong("ar.gated_convolution", says="the image has shrunk")
def not_padded(x, weights, bias, mask):
    u, g = F.conv2d(x, weights * mask, bias).chunk(2, 1)
    return u.tanh() * g.sigmoid()


@wrong("ar.gated_convolution", says="You turned the mask around")
def mask_turned(x, weights, bias, mask):
    return gated(x, weights, bias, mask.flip(0, 1))


# --- ar.nade_log_prob ------------------------------------------------------------------------------------------------


def nade(x, weights, hidden_bias, output, bias, *, add_first=False, keep=1.0, squash=torch.sigmoid, start=1.0):
    total = start * hidden_bias.expand(len(x), -1)
    log_prob = 0
    for d in range(x.shape[1]):
        step = torch.outer(x[:, d], weights[:, d])
        if add_first:
            total = total + step
        log_prob = log_prob + log_p(bias[d] + squash(total) @ output[d], x[:, d])
        if not add_first:
            total = keep * (total - hidden_bias) + hidden_bias + step
    return log_prob


@wrong("ar.nade_log_prob", says="times the work")
def naive(x, weights, hidden_bias, output, bias):
    log_prob = 0
    for d in range(x.shape[1]):
        h = torch.sigmoid(hidden_bias + x[:, :d] @ weights[:, :d].T)
        log_prob = log_prob + log_p(bias[d] + h @ output[d], x[:, d])
    return log_prob


@wrong("ar.nade_log_prob", says="times the work")
def naive_in_one_product(x, weights, hidden_bias, output, bias):
    before = torch.ones(x.shape[1], x.shape[1], dtype=x.dtype).tril(-1)
    h = torch.sigmoid(hidden_bias + torch.einsum("bj,hj,dj->bdh", x, weights, before))
    return log_p(bias + (h * output).sum(-1), x).sum(1)


@wrong("ar.nade_log_prob", says="the pixel knows itself")
def added_first(x, weights, hidden_bias, output, bias):
    return nade(x, weights, hidden_bias, output, bias, add_first=True)


@wrong("ar.nade_log_prob", says="the sum does not grow")
def one_term(x, weights, hidden_bias, output, bias):
    return nade(x, weights, hidden_bias, output, bias, keep=0)


@wrong("ar.nade_log_prob", says="sigmoid of the hidden units is missing")
def linear_hidden(x, weights, hidden_bias, output, bias):
    return nade(x, weights, hidden_bias, output, bias, squash=lambda a: a)


@wrong("ar.nade_log_prob", says="bias of the hidden units is missing")
def no_hidden_bias(x, weights, hidden_bias, output, bias):
    return nade(x, weights, 0 * hidden_bias, output, bias)


@wrong("ar.nade_log_prob", says="Each pixel knows all pixels")
def autoencoder(x, weights, hidden_bias, output, bias):
    return log_p(bias + torch.sigmoid(hidden_bias + x @ weights.T) @ output.T, x).sum(1)


# --- ar.receptive_field ----------------------------------------------------------------------------------------------


def spread(size, kinds, height, width, row, column, rows_below=False):
    reach = size // 2
    seen = {(row, column)}
    for kind in reversed(kinds):
        seen = {
            (r + i, c + j)
            for r, c in seen
            for i in range(-reach, reach + 1)
            for j in range(-reach, reach + 1)
            if (rows_below or (i, j) < (0, kind == "B")) and 0 <= r + i < height and 0 <= c + j < width
        }
    return torch.tensor([[(r, c) in seen for c in range(width)] for r in range(height)])


@wrong("ar.receptive_field", says="mask B in all layers")
def all_b(size, n_layers, height, width, row, column):
    return spread(size, "B" * n_layers, height, width, row, column)


@wrong("ar.receptive_field", says="mask A in all layers")
def all_a(size, n_layers, height, width, row, column):
    return spread(size, "A" * n_layers, height, width, row, column)


@wrong("ar.receptive_field", says="one layer too many")
def one_more(size, n_layers, height, width, row, column):
    return spread(size, "A" + "B" * n_layers, height, width, row, column)


@wrong("ar.receptive_field", says="use no mask")
def no_mask(size, n_layers, height, width, row, column):
    return spread(size, "B" * n_layers, height, width, row, column, rows_below=True)


@wrong("ar.receptive_field", says="every earlier pixel")
def every_earlier(size, n_layers, height, width, row, column):
    return (torch.arange(height * width) < row * width + column).reshape(height, width)


@wrong("ar.receptive_field", says="miss the blind spot")
def box(size, n_layers, height, width, row, column):
    far = n_layers * (size // 2)
    r, c = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    earlier = (r < row) | (r == row) & (c < column)
    return earlier & (r >= row - far) & ((c - column).abs() <= far)


# --- ar.two_stacks ---------------------------------------------------------------------------------------------------


def parts(x, vertical, horizontal, down=1, right=1):
    rows, reach = vertical.shape[-2], horizontal.shape[-1]
    above = F.pad(x, (reach, reach, rows - 1 + down, 0))[:, :, : x.shape[2] + rows - 1]
    left = F.pad(x, (reach - 1 + right, 0))[..., : x.shape[3] + reach - 1]
    return F.conv2d(above, vertical), F.conv2d(left, horizontal)


@wrong("ar.two_stacks", says="lies on the pixel's own row")
def not_shifted_down(x, vertical, horizontal):
    return sum(parts(x, vertical, horizontal, down=0))


@wrong("ar.two_stacks", says="horizontal kernel lies on the pixel itself")
def not_shifted_right(x, vertical, horizontal):
    return sum(parts(x, vertical, horizontal, right=0))


@wrong("ar.two_stacks", says="nothing is shifted")
def neither_shifted(x, vertical, horizontal):
    return sum(parts(x, vertical, horizontal, down=0, right=0))


@wrong("ar.two_stacks", says="horizontal part is missing")
def vertical_only(x, vertical, horizontal):
    return parts(x, vertical, horizontal)[0]


@wrong("ar.two_stacks", says="a row too many")
def last_row_kept(x, vertical, horizontal):
    rows, reach = vertical.shape[-2], horizontal.shape[-1]
    return F.conv2d(F.pad(x, (reach, reach, rows, 0)), vertical)


@wrong("ar.two_stacks", says="You multiply the two parts")
def multiplied(x, vertical, horizontal):
    above, left = parts(x, vertical, horizontal)
    return above * left


# --- ar.draw_level ---------------------------------------------------------------------------------------------------


def level(p, uniforms):
    return (p.cumsum(-1) <= uniforms[:, None]).sum(-1).clamp(max=p.shape[-1] - 1)


@wrong("ar.draw_level", says="multiply with the temperature")
def temperature_multiplied(logits, temperature, uniforms):
    return level((logits * temperature).softmax(-1), uniforms)


@wrong("ar.draw_level", says="temperature has no effect")
def no_temperature(logits, temperature, uniforms):
    return level(logits.softmax(-1), uniforms)


@wrong("ar.draw_level", says="temperature has no effect")
def probabilities_divided(logits, temperature, uniforms):
    p = logits.softmax(-1) / temperature
    return level(p / p.sum(-1, keepdim=True), uniforms)


@wrong("ar.draw_level", says="no longer sum to 1")
def not_normalised_again(logits, temperature, uniforms):
    return level(logits.softmax(-1) / temperature, uniforms)


@wrong("ar.draw_level", says="softmax is applied twice")
def softmax_twice(logits, temperature, uniforms):
    return level((logits.softmax(-1) / temperature).softmax(-1), uniforms)


@wrong("ar.draw_level", says="likeliest level")
def greedy(logits, temperature, uniforms):
    return logits.argmax(-1)


@wrong("ar.draw_level", says="one too high")
def off_by_one(logits, temperature, uniforms):
    return (level((logits / temperature).softmax(-1), uniforms) + 1).clamp(max=logits.shape[-1] - 1)


@wrong("ar.draw_level", says="exponentials overflow")
def overflow(logits, temperature, uniforms):
    p = (logits / temperature).exp()
    return level(p / p.sum(-1, keepdim=True), uniforms)


@wrong("ar.draw_level", says="the levels are 0 to 255")
def not_clamped(logits, temperature, uniforms):
    return ((logits / temperature).softmax(-1).cumsum(-1) <= uniforms[:, None]).sum(-1)


# --- ar.train --------------------------------------------------------------------------------------------------------


def frequencies(x_train):
    return ((x_train.sum(0) + 1) / (len(x_train) + 2)).logit()


@wrong("ar.train", says="no better than independent pixels")
def independent(x_train):
    bias = frequencies(x_train)
    return lambda x: bias.expand_as(x)


@wrong("ar.train", says="it knows what it should predict")
def copies(x_train):
    return lambda x: 10 * (2 * x - 1)


@wrong("ar.train", says="your model looks ahead")
def next_pixel(x_train):
    bias = frequencies(x_train)
    return lambda x: bias + 0.5 * F.pad(x[:, 1:], (0, 1))


@wrong("ar.train", says="they look like probabilities")
def probabilities(x_train):
    p = frequencies(x_train).sigmoid()
    return lambda x: p.expand_as(x)


@wrong("ar.train", says="dropout is still on")
def dropout(x_train):
    bias = frequencies(x_train)
    return lambda x: F.dropout(bias.expand_as(x), 0.5)


@wrong("ar.train", says="which other images you are asked about")
def batch_normalised(x_train):
    bias = frequencies(x_train)
    return lambda x: (bias + x.mean()).expand_as(x)


@wrong("ar.train", says="worse than independent pixels")
def untrained(x_train):
    return lambda x: torch.zeros_like(x)


@wrong("ar.train", says="not a function")
def numbers(x_train):
    return frequencies(x_train)


@stored
def regressions(x_train):
    generator = torch.Generator().manual_seed(0)
    weights = torch.zeros(64, 64, dtype=x_train.dtype, requires_grad=True)
    bias = frequencies(x_train).requires_grad_()
    optimiser = torch.optim.Adam([weights, bias], lr=0.02)
    for _ in range(400):
        x = (torch.rand(x_train.shape, generator=generator, dtype=x_train.dtype) < x_train).double()
        loss = -log_p(bias + x @ weights.tril(-1).T, x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {"weights": weights.detach().tril(-1), "bias": bias.detach()}


@wrong("ar.train", says="but not by enough")
def logistic_regressions(x_train):
    fitted = regressions(x_train)
    return lambda x: fitted["bias"] + x @ fitted["weights"].T


def untrained_made(generator):
    from utils.models.made import MADE

    return MADE(64, hidden=(256,), generator=generator)


@stored
def made_weights(x_train, *, epochs, anew):
    """A MADE with 256 hidden units; it sees a new binarisation in each epoch, or always the same."""
    generator = torch.Generator().manual_seed(0)
    made = untrained_made(generator)
    batches = 13
    optimiser = torch.optim.Adam(made.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        if anew or epoch == 0:
            binary = (torch.rand(x_train.shape, generator=generator) < x_train).float()
        for batch in torch.randperm(len(binary), generator=generator).tensor_split(batches):
            loss = F.binary_cross_entropy_with_logits(made(binary[batch]).squeeze(-1), binary[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return made.state_dict()


def made_logits(x_train, **how):
    made = untrained_made(torch.Generator()).requires_grad_(False)
    made.load_state_dict(made_weights(x_train, **how))
    return lambda x: made(x.float()).squeeze(-1)


@wrong("ar.train", says="no better than logistic regressions")
def one_binarisation(x_train):
    return made_logits(x_train, epochs=60, anew=False)


@wrong("ar.train", says="but not by enough")
def stopped_early(x_train):
    return made_logits(x_train, epochs=60, anew=True)
