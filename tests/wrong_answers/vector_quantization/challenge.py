"""Wrong answers of chapter 7: sixteen bits for an image."""

import torch

from wrong_answers import wrong

# --- vq.compress -----------------------------------------------------------------------------------------------------


def k_means(x, n_codes, generator, steps=15):
    book = x[torch.randperm(len(x), generator=generator)[:n_codes]].clone()
    for _ in range(steps):
        nearest = torch.cdist(x, book).argmin(1)
        for k in nearest.unique().tolist():
            book[k] = x[nearest == k].mean(0)
    return book


def in_stages(books):
    def encode(x):
        codes, left = [], x
        for book in books:
            codes.append(torch.cdist(left, book).argmin(1))
            left = left - book[codes[-1]]
        return torch.stack(codes, 1)

    return encode


def residual_books(x, n_codes=16, steps=15):
    generator, books = torch.Generator().manual_seed(0), []
    for _ in range(4):
        books.append(k_means(x, n_codes, generator, steps))
        x = x - books[-1][torch.cdist(x, books[-1]).argmin(1)]
    return torch.stack(books)


@wrong("vq.compress", says="stage by stage, `encode` misses them")
def residual_k_means(x_train):
    books = residual_books(x_train)
    return books, in_stages(books)


@wrong("vq.compress", says="`encode` does not belong to them")
def stages_exchanged(x_train):
    books = residual_books(x_train)
    encode = in_stages(books)
    return books, lambda x: encode(x).flip(1)


@wrong("vq.compress", says="`encode` does not belong to them")
def codes_of_z_itself(x_train):
    books = residual_books(x_train)
    return books, lambda x: torch.stack([torch.cdist(x, book).argmin(1) for book in books], 1)


@wrong("vq.compress", says="codes are in use")
def four_codes_of_sixteen(x_train):
    books = residual_books(x_train, n_codes=4)
    books = torch.cat([books, torch.full((4, 12, 64), 9.0, dtype=books.dtype)], 1)
    return books, in_stages(books)


@wrong("vq.compress", says="residual k-means reaches")
def best_codes_of_the_same_codebooks(x_train):
    from utils.checks.vector_quantization.challenge import _best_codes

    books = residual_books(x_train)
    return books, lambda x: _best_codes(books, x)


@wrong("vq.compress", says="the mean image alone")
def whole_digits_added_up(x_train):
    book = k_means(x_train, 16, torch.Generator().manual_seed(0))
    books = torch.stack([book] * 4)
    return books, lambda x: torch.cdist(x, book).argmin(1)[:, None].expand(-1, 4).clone()


@wrong("vq.compress", says="a code is one of 0 to 15")
def numbered_on(x_train):
    books = residual_books(x_train, steps=1)
    encode = in_stages(books)
    return books, lambda x: encode(x) + 16 * torch.arange(4)


@wrong("vq.compress", says="Your codes should be `torch.int64`")
def vectors_for_codes(x_train):
    books = residual_books(x_train, steps=1)
    encode = in_stages(books)
    return books, lambda x: encode(x) + 0.5


@wrong("vq.compress", says="the codebooks stand in one list")
def one_list(x_train):
    books = residual_books(x_train, steps=1)
    return books.flatten(0, 1), in_stages(books)


@wrong("vq.compress", says="returns a `Tensor`, not a function")
def codes_of_the_training_images(x_train):
    books = residual_books(x_train, steps=1)
    return books, in_stages(books)(x_train)


@wrong("vq.compress", says="depend on which other images are encoded with it")
def centered_on_the_batch(x_train):
    books = residual_books(x_train, steps=1)
    encode = in_stages(books)
    return books, lambda x: encode(x - x.mean(0))


@wrong("vq.compress", says="Your codebooks are not finite")
def empty_means(x_train):
    books = residual_books(x_train, steps=1)
    books[2, 3] = float("nan")
    return books, in_stages(books)


@wrong("vq.compress", says="you overfit")
def fitted_to_a_few_images(x_train):
    from utils.checks.vector_quantization.challenge import _best_codes

    books = residual_books(x_train)
    one = torch.nn.functional.one_hot
    for _ in range(3):
        codes = _best_codes(books, x_train[:300])
        hot = one(codes, 16).double().flatten(1)
        books = (torch.linalg.pinv(hot) @ x_train[:300]).reshape(4, 16, 64)
    return books, lambda x: _best_codes(books, x)
