"""Wrong answers of chapter 12: samples, completions, levels at a temperature."""

import torch

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
