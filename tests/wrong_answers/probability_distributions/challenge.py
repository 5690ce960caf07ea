"""Wrong answers of chapter 2: digits in few bits."""

import torch

from wrong_answers import wrong

# --- dist.compress ---------------------------------------------------------------------------------------------------


def table(x_train, offsets, *, smooth=0.5):
    """Counts over the pixels at `offsets` (rows, columns) from the pixel that is predicted."""

    def key(x, d):
        row, column = divmod(d, 8)
        number = torch.zeros(len(x), dtype=torch.long)
        for down, right in offsets:
            if 0 <= row + down < 8 and 0 <= column + right < 8:
                number = 2 * number + x[:, 8 * (row + down) + column + right].long()
        return number

    def predict(x):
        p = torch.empty_like(x)
        for d in range(64):
            seen = key(x_train, d)
            ones = torch.bincount(seen, weights=x_train[:, d], minlength=2 ** len(offsets))
            counts = torch.bincount(seen, minlength=2 ** len(offsets))
            p[:, d] = ((ones + smooth) / (counts + 2 * smooth)).nan_to_num(0.5)[key(x, d)]
        return p

    return predict


@wrong("dist.compress", says="no better than independent pixels")
def independent(x_train):
    return table(x_train, [])


@wrong("dist.compress", says="too little of the pixels before")
def one_neighbor(x_train):
    return table(x_train, [(-1, 0)])


@wrong("dist.compress", says="too little of the pixels before")
def two_neighbors(x_train):
    return table(x_train, [(0, -1), (-1, 0)])


@wrong("dist.compress", says="depends on later pixels")
def neighbors_all_around(x_train):
    return table(x_train, [(0, -1), (-1, 0), (0, 1), (1, 0)])


@wrong("dist.compress", says="depends on that pixel itself")
def off_by_one(x_train):
    return table(x_train, [(0, 0), (0, -1), (-1, 0)])


@wrong("dist.compress", says="depends on that pixel itself")
def probability_of_what_is_there(x_train):
    predict = table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)])
    return lambda x: torch.where(x == 1, predict(x), 1 - predict(x))


@wrong("dist.compress", says="infinitely many bits")
def certain(x_train):
    return table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)], smooth=0)


@wrong("dist.compress", says="you overfit")
def long_context(x_train):
    rows = [(0, -1), (0, -2), (0, -3), *((-1, k) for k in range(-3, 4)), *((-2, k) for k in range(-2, 3))]
    return table(x_train, rows, smooth=0.01)


@wrong("dist.compress", says="which other images you are asked about")
def learns_from_new_images(x_train):
    return lambda x: table(torch.cat([x_train, x]), [(0, -1), (-1, 0), (-1, -1), (-1, 1)])(x)


@wrong("dist.compress", says="those of a 0")
def probability_of_white(x_train):
    predict = table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)])
    return lambda x: 1 - predict(x)


@wrong("dist.compress", says="which is no probability")
def log_probabilities(x_train):
    predict = table(x_train, [(0, -1), (-1, 0), (-1, -1), (-1, 1)])
    return lambda x: predict(x).log()


@wrong("dist.compress", says="not a function")
def numbers(x_train):
    return table(x_train, [(-1, 0)])(x_train)
