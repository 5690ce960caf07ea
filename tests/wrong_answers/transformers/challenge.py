"""Wrong answers of chapter 13: a trained model of a language in which names come back."""

import torch
from torch.nn import functional as F

from wrong_answers import wrong


def symbol_shares(x_train):
    return (torch.bincount(x_train.flatten(), minlength=13).double() / x_train.numel()).log()


def pair_shares(x_train):
    counts = torch.full((13, 13), 0.5, dtype=torch.float64)
    ones = torch.ones(x_train[:, 1:].numel(), dtype=torch.float64)
    counts.index_put_((x_train[:, :-1].flatten(), x_train[:, 1:].flatten()), ones, accumulate=True)
    return (counts / counts.sum(1, keepdim=True)).log()


def after_each(table, x, first):
    """Row t is what the table says after symbol t − 1."""
    return torch.cat([first.expand(len(x), 1, 13), table[x[:, :-1]]], 1)


@wrong("lm.train", says="no better than counting pairs")
def symbols_counted(x_train):
    share = symbol_shares(x_train)
    return lambda x: share.expand(*x.shape, 13)


@wrong("lm.train", says="no better than counting pairs")
def pairs_counted(x_train):
    table, first = pair_shares(x_train), symbol_shares(x_train)
    return lambda x: after_each(table, x, first)


@wrong("lm.train", says="it knows what it should predict")
def not_shifted(x_train):
    table = pair_shares(x_train)
    return lambda x: (3 * F.one_hot(x, 13) + table[x]).log_softmax(-1)


@wrong("lm.train", says="your model looks ahead")
def next_symbol_seen(x_train):
    share = symbol_shares(x_train)
    ahead = torch.randn(13, 13, generator=torch.Generator().manual_seed(0)).double()
    return lambda x: (share + ahead[F.pad(x[:, 1:], (0, 1))]).log_softmax(-1)


@wrong("lm.train", says="You return probabilities, not their logarithms")
def probabilities(x_train):
    p = symbol_shares(x_train).exp()
    return lambda x: p.expand(*x.shape, 13)


@wrong("lm.train", says="these are no log-probabilities")
def logits(x_train):
    table, first = 2 * pair_shares(x_train), symbol_shares(x_train)
    return lambda x: after_each(table, x, first)


@wrong("lm.train", says="these are no log-probabilities")
def too_sure(x_train):
    """A bonus for what came out well: no distribution any more."""
    share = symbol_shares(x_train) + 0.5
    return lambda x: share.expand(*x.shape, 13)


@wrong("lm.train", says="depend on which other lines you are asked about")
def shares_of_the_batch(x_train):
    return lambda x: symbol_shares(x).expand(*x.shape, 13)


@wrong("lm.train", says="or on when")
def other_after_some_calls(x_train):
    table, share, calls = pair_shares(x_train), symbol_shares(x_train), []

    def log_prob(x):
        calls.append(1)
        return after_each(table, x, share) if len(calls) > 1 else share.expand(*x.shape, 13)

    return log_prob


@wrong("lm.train", says="worse than all symbols alike")
def untrained(x_train):
    generator = torch.Generator().manual_seed(0)
    table = (2 * torch.randn(13, 13, generator=generator)).double().log_softmax(-1)
    return lambda x: after_each(table, x, table[0])


@wrong("lm.train", says="not a function")
def numbers(x_train):
    return symbol_shares(x_train)


@wrong("lm.train", says="one number for each place")
def of_the_symbols_that_came(x_train):
    share = symbol_shares(x_train)
    return lambda x: share[x]


def weights_of_one_layer(x_train, steps):
    """One layer of attention: it finds the beginning of the line, but not how long ago "@" was."""
    generator = torch.Generator().manual_seed(0)

    def matrix(*shape):
        return (shape[-1] ** -0.5 * torch.randn(shape, generator=generator)).requires_grad_()

    shapes = {"embedding": (14, 48), "place": (40, 48), "w_in": (144, 48), "w_out": (48, 48), "head": (13, 48)}
    weights = {name: matrix(*shape) for name, shape in shapes.items()}
    optimizer = torch.optim.AdamW(weights.values())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 6e-3 * min((step + 1) / 30, 1 - step / steps)
        x = x_train[torch.randint(len(x_train), (32,), generator=generator)]
        loss = F.nll_loss(one_layer(x, weights).flatten(0, 1), x.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: weight.detach() for name, weight in weights.items()}


def one_layer(x, weights):
    h = weights["embedding"][F.pad(x[:, :-1], (1, 0), value=13)] + weights["place"]
    parts = (F.layer_norm(h, (48,)) @ weights["w_in"].T).unflatten(-1, (3, 4, 12)).permute(2, 0, 3, 1, 4)
    heard = F.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).flatten(2)
    return (F.layer_norm(h + heard @ weights["w_out"].T, (48,)) @ weights["head"].T).log_softmax(-1)


@wrong("lm.train", says="A letter of a name that is said again costs")
def a_single_layer(x_train):
    weights = weights_of_one_layer(x_train, 250)
    return lambda x: one_layer(x, weights)


@wrong("lm.train", says="the rest is not learned well enough")
def names_alone(x_train):
    """The rule for names, and all else alike."""

    def log_prob(x):
        before = F.pad(x, (3, 0), value=0)
        p = torch.full((*x.shape, 13), 1 / 13, dtype=torch.float64)
        for said in range(3):
            called = before[:, 2 - said : 2 - said + x.shape[1]] == 12
            name = F.one_hot(x[:, said], 13).double()[:, None].expand_as(p)
            p = torch.where(called[..., None], 0.999 * name + 0.001 / 13, p)
        return p.log()

    return log_prob
