"""Wrong answers of chapter 12: samples, completions, levels at a temperature."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong
from wrong_answers.autoregressive_images._shared import log_p

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


def walk_with(model, order, uniforms, start, choose):
    x = start.clone()
    for d in order.tolist():
        x[:, d] = choose(uniforms[:, d], model(x)[:, d]).to(x.dtype)
    return x


@wrong("ar.sample", says="A pixel is 1 where its uniform equals its probability")
def at_most(model, order, uniforms):
    return walk_with(model, order, uniforms, torch.zeros_like(uniforms), lambda u, a: u <= torch.sigmoid(a))


@wrong("ar.sample", says="Your function draws random numbers of its own")
def bernoulli(model, order, uniforms):
    return walk_with(model, order, uniforms, torch.zeros_like(uniforms), lambda u, a: torch.bernoulli(torch.sigmoid(a)))


def is_below(u, a):
    return u < torch.sigmoid(a)


@wrong("ar.sample", says="Several mistakes give this result")
def order_backwards(model, order, uniforms):
    return walk_with(model, order.flip(0), uniforms, torch.zeros_like(uniforms), is_below)


@wrong("ar.sample", says="The logit has the wrong sign")
def logit_negated(model, order, uniforms):
    return walk_with(model, order, uniforms, torch.zeros_like(uniforms), lambda u, a: u < torch.sigmoid(-a))


@wrong("ar.sample", says="Your pixels are −1 and +1")
def spins(model, order, uniforms):
    return 2 * walk_with(model, order, uniforms, torch.zeros_like(uniforms), is_below) - 1


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


def pixel_log_prob(logits, x):
    return F.logsigmoid(torch.where(x > 0.5, logits, -logits))


def completed_with(model, order, x, known, u, choose=is_below, start=None):
    x = torch.where(known, x, 0.0)
    for d in order.tolist():
        if not known[d]:
            x[:, d] = choose(u[:, d], model(x)[:, d]).to(x.dtype)
    return (x, pixel_log_prob(model(x), x))


@wrong("ar.complete", says="A pixel is 1 where its uniform equals its probability")
def at_most_complete(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms, lambda u, a: u <= torch.sigmoid(a))
    return (z, log_p[:, known].sum(1))


@wrong("ar.complete", says="You draw random numbers of your own")
def bernoulli_complete(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms, lambda u, a: torch.bernoulli(a.sigmoid()))
    return (z, log_p[:, known].sum(1))


@wrong("ar.complete", says="You draw 1 with probability 1 − σ(a)")
def above_probability(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms, lambda u, a: u > a.sigmoid())
    return (z, log_p[:, known].sum(1))


@wrong("ar.complete", says="You average logits, not logarithms of probabilities")
def mean_log_odds(model, order, x, known, uniforms):
    z, _log_p = completed_with(model, order, x, known, uniforms)
    return (z, model(z)[:, known].mean(1))


@wrong("ar.complete", says="You average over all pixels")
def mean_of_all(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms)
    return (z, log_p.mean(1))


@wrong("ar.complete", says="Only the known pixels that are 1 count")
def known_ones_alone(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms)
    return (z, (z * log_p)[:, known].sum(1))


@wrong("ar.complete", says="You normalized the weights")
def normalized_weights(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms)
    return (z, log_p[:, known].sum(1).log_softmax(0))


@wrong("ar.complete", says="A known pixel that the model thinks impossible costs too little")
def clamped_weights(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms)
    return (z, log_p[:, known].clamp(min=-100).sum(1))


@wrong("ar.complete", says="You weigh with the pixels that were drawn")
def unknown_weights(model, order, x, known, uniforms):
    z, log_p = completed_with(model, order, x, known, uniforms)
    return (z, log_p[:, ~known].sum(1))


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
def not_normalized_again(logits, temperature, uniforms):
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


def levels_of(p, u, compare=torch.le):
    return compare(p.cumsum(-1), u[:, None]).sum(-1).clamp(max=p.shape[1] - 1)


@wrong("ar.draw_level", says="Where u equals a cumulated sum you stay below it")
def below_alone(logits, temperature, uniforms):
    return levels_of((logits / temperature).softmax(-1), uniforms, torch.lt)


@wrong("ar.draw_level", says="Your function draws random numbers of its own")
def multinomial(logits, temperature, uniforms):
    return torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]


@wrong("ar.draw_level", says="You subtract one maximum for all rows")
def one_maximum(logits, temperature, uniforms):
    e = ((logits - logits.max()) / temperature).exp()
    return levels_of(e / e.sum(-1, keepdim=True), uniforms)


@wrong("ar.draw_level", says="You divide by the square of the temperature")
def square_of_temperature(logits, temperature, uniforms):
    return levels_of((logits / temperature**2).softmax(-1), uniforms)


@wrong("ar.draw_level", says="Where u equals a cumulated sum you stay below it")
def searchsorted_left(logits, temperature, uniforms):
    return torch.searchsorted((logits / temperature).softmax(-1).cumsum(-1), uniforms[:, None])[:, 0].clamp(
        max=logits.shape[1] - 1
    )


@wrong("ar.draw_level", says="Where u is just below 1 you do not return the last level")
def wrapped(logits, temperature, uniforms):
    return ((logits / temperature).softmax(-1).cumsum(-1) <= uniforms[:, None]).sum(-1) % logits.shape[1]


@wrong("ar.draw_level", says="You cumulate from the last level down")
def multiplied_uniforms(logits, temperature, uniforms):
    return levels_of((logits / temperature).softmax(-1), 1 - uniforms)


def _completed(model, order, x, known, uniforms, log_probability):
    x = x.clone()
    for d in order[~known[order]].tolist():
        x[:, d] = (uniforms[:, d] < torch.sigmoid(model(x)[:, d])).double()
    return x, log_probability(model(x), x)[:, known].sum(1)


@wrong("ar.complete", says="gives log(0)")
def logarithm_of_the_chosen(model, order, x, known, uniforms):
    def log_probability(odds, x):
        p = torch.sigmoid(odds)
        return torch.where(x > 0, p, 1 - p).log()

    return _completed(model, order, x, known, uniforms, log_probability)


@wrong("ar.complete", says="pixel d has its own")
def completed_with_uniforms_by_step(model, order, x, known, uniforms):
    x = x.clone()
    for step, d in enumerate(order.tolist()):
        if not known[d]:
            x[:, d] = (uniforms[:, step] < torch.sigmoid(model(x)[:, d])).double()
    sign = 2 * x - 1
    return x, torch.nn.functional.logsigmoid(sign * model(x))[:, known].sum(1)


@wrong("ar.sample", says="each pixel copies the one before it")
def sweeps_over_all(model, order, uniforms):
    x = torch.zeros_like(uniforms)
    for _ in range(uniforms.shape[1] - 1):
        x = (uniforms < torch.sigmoid(model(x))).double()
    return x


@wrong("ar.sample", says="You take 1 − u for u")
def from_above(model, order, uniforms):
    x = torch.zeros_like(uniforms)
    for d in order.tolist():
        x[:, d] = (1 - uniforms[:, d] < torch.sigmoid(model(x)[:, d])).double()
    return x


def _levels(p, uniforms):
    return (p.cumsum(-1) <= uniforms[:, None]).sum(-1).clamp(max=p.shape[1] - 1)


@wrong("ar.draw_level", says="At a low temperature you take the likeliest level")
def likeliest_when_cold(logits, temperature, uniforms):
    if temperature < 0.1:
        return logits.argmax(-1)
    return _levels((logits / temperature).softmax(-1), uniforms)


@wrong("ar.draw_level", says="or take 1 − u for u")
def one_minus_u(logits, temperature, uniforms):
    return _levels((logits / temperature).softmax(-1), 1 - uniforms)


@wrong("ar.complete", says="or an exponential has overflowed")
def exponential_of_the_logits(model, order, x, known, uniforms):
    return _completed(model, order, x, known, uniforms, lambda odds, x: x * odds - torch.log1p(odds.exp()))


@wrong("ar.complete", says="You draw row by row")
def row_by_row_from_zeros(model, order, x, known, uniforms):
    x = torch.where(known, x, 0.0)
    return _completed(
        model,
        torch.arange(len(order)),
        x,
        known,
        uniforms,
        lambda odds, x: torch.nn.functional.logsigmoid((2 * x - 1) * odds),
    )
