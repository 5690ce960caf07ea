"""Wrong answers of chapter 7: from a vector to a code."""

import math

import torch

from wrong_answers import wrong

# --- vq.nearest_code -------------------------------------------------------------------------------------------------


def rows_of(z):
    return z.movedim(1, -1)


@wrong("vq.nearest_code", says="has lost its digits")
def by_products(z, codebook):
    rows = rows_of(z)
    far = rows.square().sum(-1, keepdim=True) - 2 * rows @ codebook.T + codebook.square().sum(1)
    return far.argmin(-1)


@wrong("vq.nearest_code", says="has lost its digits")
def by_cdist(z, codebook):
    rows = rows_of(z)
    return torch.cdist(rows.flatten(0, -2), codebook).argmin(1).reshape(rows.shape[:-1])


@wrong("vq.nearest_code", says="largest product")
def most_similar(z, codebook):
    return (rows_of(z) @ codebook.T).argmax(-1)


@wrong("vq.nearest_code", says="most similar direction")
def by_cosine(z, codebook):
    return (rows_of(z) @ (codebook / codebook.norm(dim=1, keepdim=True)).T).argmax(-1)


@wrong("vq.nearest_code", says="farthest code")
def farthest(z, codebook):
    return (rows_of(z).unsqueeze(-2) - codebook).square().sum(-1).argmax(-1)


@wrong("vq.nearest_code", says="`reshape` does not move axis 1")
def reshaped(z, codebook):
    batch, dim, height, width = z.shape
    rows = z.reshape(-1, dim)
    return (rows[:, None] - codebook).square().sum(-1).argmin(-1).reshape(batch, height, width)


@wrong("vq.nearest_code", says="absolute differences")
def city_block(z, codebook):
    return (rows_of(z).unsqueeze(-2) - codebook).abs().sum(-1).argmin(-1)


@wrong("vq.nearest_code", says="take the last")
def last_of_ties(z, codebook):
    far = (rows_of(z).unsqueeze(-2) - codebook).square().sum(-1)
    return len(codebook) - 1 - far.flip(-1).argmin(-1)


@wrong("vq.nearest_code", says="The 2 is missing")
def no_two(z, codebook):
    return (codebook.square().sum(1) - rows_of(z) @ codebook.T).argmin(-1)


@wrong("vq.nearest_code", says="these are vectors, not numbers of codes")
def vectors(z, codebook):
    return codebook[(rows_of(z).unsqueeze(-2) - codebook).square().sum(-1).argmin(-1)]


@wrong("vq.nearest_code", says="should be `torch.int64`")
def as_floats(z, codebook):
    return (rows_of(z).unsqueeze(-2) - codebook).square().sum(-1).argmin(-1).double()


@wrong("vq.nearest_code", says="the places stand in one row")
def one_row(z, codebook):
    return (rows_of(z).flatten(0, -2)[:, None] - codebook).square().sum(-1).argmin(-1)


@wrong("vq.nearest_code", says="start with 1")
def from_one(z, codebook):
    return (rows_of(z).unsqueeze(-2) - codebook).square().sum(-1).argmin(-1) + 1


@wrong("vq.nearest_code", says="your distances are rounded")
def rounded_distances(z, codebook):
    return ((rows_of(z).unsqueeze(-2) - codebook).square().sum(-1) * 1e6).round().argmin(-1)


@wrong("vq.nearest_code", says="small differences taken for none")
def within_a_tolerance(z, codebook):
    far = (rows_of(z).unsqueeze(-2) - codebook).square().sum(-1)
    return (far - far.amin(-1, keepdim=True) < 1e-9).double().argmax(-1)


@wrong("vq.nearest_code", says="or `float32`, has lost its digits")
def in_float32(z, codebook):
    return (rows_of(z).float().unsqueeze(-2) - codebook.float()).square().sum(-1).argmin(-1)


# --- vq.fsq ----------------------------------------------------------------------------------------------------------


def quantized(z, levels, *, squash=torch.sigmoid, rounded=torch.round, top=None, passing=True, worth=None, shift=-1.0):
    count = torch.tensor(levels)
    top = count - 1 if top is None else top
    u = top * squash(z)
    digits = rounded(u)
    if passing:
        digits = u + (digits - u).detach()
    worth = torch.tensor([1, *levels[:-1]]).cumprod(0) if worth is None else torch.tensor(worth)
    return 2 * digits / (count - 1) + shift, (digits.detach().round().long() * worth).sum(-1)


@wrong("vq.fsq", says="it does not pass the rounding")
def plain_rounding(z, levels):
    return quantized(z, levels, passing=False)


@wrong("vq.fsq", says="straight through everything, σ too")
def through_everything(z, levels):
    values, codes = quantized(z, levels)
    return z + (values - z).detach(), codes


@wrong("vq.fsq", says="You round down")
def rounded_down(z, levels):
    return quantized(z, levels, rounded=torch.floor)


@wrong("vq.fsq", says="one level too many")
def one_level_more(z, levels):
    return quantized(z, levels, top=torch.tensor(levels))


@wrong("vq.fsq", says="squash with tanh")
def with_tanh(z, levels):
    return quantized(z, levels, squash=lambda z: (z.tanh() + 1) / 2)


@wrong("vq.fsq", says="last digit counts least")
def last_counts_least(z, levels):
    return quantized(z, levels, worth=[math.prod(levels[d + 1 :]) for d in range(len(levels))])


@wrong("vq.fsq", says="one factor too many")
def factor_too_many(z, levels):
    return quantized(z, levels, worth=torch.tensor(levels).cumprod(0).tolist())


@wrong("vq.fsq", says="the product of all L before it")
def no_product(z, levels):
    return quantized(z, levels, worth=[1, *levels[:-1]])


@wrong("vq.fsq", says="many vectors get one code")
def sum_of_digits(z, levels):
    return quantized(z, levels, worth=[1] * len(levels))


@wrong("vq.fsq", says="You forgot to subtract 1")
def from_zero_to_two(z, levels):
    return quantized(z, levels, shift=0.0)


@wrong("vq.fsq", says="return the digits")
def digits_for_values(z, levels):
    values, codes = quantized(z, levels)
    return (values + 1) * (torch.tensor(levels) - 1) / 2, codes


@wrong("vq.fsq", says="No gradient flows")
def detached(z, levels):
    values, codes = quantized(z, levels)
    return values.detach(), codes


@wrong("vq.fsq", says="round σ(z) before it is stretched")
def rounds_too_early(z, levels):
    return 2 * z.sigmoid().round() - 1, quantized(z, levels)[1]


@wrong("vq.fsq", says="The worth of your digits is shifted")
def worth_shifted(z, levels):
    return quantized(z, levels, worth=torch.tensor([1, *levels[1:]]).cumprod(0).tolist())


@wrong("vq.fsq", says="an exponential overflows")
def by_an_exponential(z, levels):
    return quantized(z, levels, squash=lambda z: z.exp() / (1 + z.exp()))


@wrong("vq.fsq", says="`float32` and `int32` do not hold it")
def codes_in_float32(z, levels):
    values, _ = quantized(z, levels)
    digits = (values.detach() + 1) * (torch.tensor(levels) - 1) / 2
    worth = torch.tensor([1, *levels[:-1]]).cumprod(0)
    return values, (digits.round().float() * worth.float()).sum(-1).long()


@wrong("vq.fsq", says="`float32` and `int32` do not hold it")
def codes_in_int32(z, levels):
    values, _ = quantized(z, levels)
    digits = ((values.detach() + 1) * (torch.tensor(levels) - 1) / 2).round().int()
    worth = torch.tensor([1, *levels[:-1]], dtype=torch.int32).cumprod(0, dtype=torch.int32)
    return values, (digits * worth).sum(-1, dtype=torch.int32)


# --- vq.residual -----------------------------------------------------------------------------------------------------


def nearest(rows, book):
    return (rows[:, None] - book).square().sum(-1).argmin(-1)


def in_stages(
    z, codebooks, *, step=lambda left, z, chosen: left - chosen, result=lambda z, left, chosen: chosen.sum(0)
):
    left, codes, chosen = z, [], []
    for book in codebooks:
        codes.append(nearest(left, book))
        chosen.append(book[codes[-1]])
        left = step(left, z, chosen[-1])
    return torch.stack(codes, 1), result(z, left, torch.stack(chosen))


@wrong("vq.residual", says="nothing is subtracted")
def without_residual(z, codebooks):
    return in_stages(z, codebooks, step=lambda left, z, chosen: z)


@wrong("vq.residual", says="subtract the last code from z")
def from_z_each_time(z, codebooks):
    return in_stages(z, codebooks, step=lambda left, z, chosen: z - chosen)


@wrong("vq.residual", says="add the chosen code")
def adds(z, codebooks):
    return in_stages(z, codebooks, step=lambda left, z, chosen: left + chosen)


@wrong("vq.residual", says="first codebook in all stages")
def first_codebook(z, codebooks):
    return in_stages(z, codebooks[:1].expand_as(codebooks))


@wrong("vq.residual", says="stages run backwards")
def last_first(z, codebooks):
    return in_stages(z, codebooks.flip(0))


@wrong("vq.residual", says="what is left, not what the codes say")
def what_is_left(z, codebooks):
    return in_stages(z, codebooks, result=lambda z, left, chosen: left)


@wrong("vq.residual", says="last stage's code alone")
def last_stage(z, codebooks):
    return in_stages(z, codebooks, result=lambda z, left, chosen: chosen[-1])


@wrong("vq.residual", says="mean over the stages")
def mean_of_stages(z, codebooks):
    return in_stages(z, codebooks, result=lambda z, left, chosen: chosen.mean(0))


@wrong("vq.residual", says="stages stand first")
def stages_first(z, codebooks):
    codes, total = in_stages(z, codebooks)
    return codes.T, total


@wrong("vq.residual", says="codes of all stages are not summed")
def not_summed(z, codebooks):
    return in_stages(z, codebooks, result=lambda z, left, chosen: chosen)


@wrong("vq.residual", says="lost its digits")
def by_products_in_stages(z, codebooks):
    left, codes = z, []
    for book in codebooks:
        codes.append((book.square().sum(1) - 2 * left @ book.T).argmin(-1))
        left = left - book[codes[-1]]
    return torch.stack(codes, 1), z - left


@wrong("vq.residual", says="lost its digits")
def by_cdist_in_stages(z, codebooks):
    left, codes = z, []
    for book in codebooks:
        codes.append(torch.cdist(left, book).argmin(1))
        left = left - book[codes[-1]]
    return torch.stack(codes, 1), z - left


@wrong("vq.residual", says="take the last")
def last_of_ties_in_stages(z, codebooks):
    left, codes = z, []
    for book in codebooks:
        codes.append(len(book) - 1 - (left[:, None] - book).square().sum(-1).flip(-1).argmin(-1))
        left = left - book[codes[-1]]
    return torch.stack(codes, 1), z - left


@wrong("vq.residual", says="Your codes of six stages")
def four_stages(z, codebooks):
    return in_stages(z, codebooks[:4])
