"""Wrong answers of chapter 13: changes of low rank."""

import torch

from wrong_answers import wrong


def svd(change):
    return torch.linalg.svd(change, full_matrices=False)


@wrong("lm.lora_fit", says="but what is added is α / r times that")
def not_scaled(change, rank, alpha):
    u, s, vh = svd(change)
    return vh[:rank], u[:, :rank] * s[:rank]


@wrong("lm.lora_fit", says="You multiply by α / r")
def scaled_the_wrong_way(change, rank, alpha):
    u, s, vh = svd(change)
    return vh[:rank], u[:, :rank] * s[:rank] * alpha / rank


@wrong("lm.lora_fit", says="You divide by α, but not by α / r")
def rank_forgotten(change, rank, alpha):
    u, s, vh = svd(change)
    return vh[:rank], u[:, :rank] * s[:rank] / alpha


@wrong("lm.lora_fit", says="The singular values are missing")
def no_singular_values(change, rank, alpha):
    u, _, vh = svd(change)
    return vh[:rank], u[:, :rank] * rank / alpha


@wrong("lm.lora_fit", says="the product has their squares")
def singular_values_twice(change, rank, alpha):
    u, s, vh = svd(change)
    return s[:rank, None] * vh[:rank], u[:, :rank] * s[:rank] * rank / alpha


@wrong("lm.lora_fit", says="You keep the smallest singular values")
def smallest(change, rank, alpha):
    u, s, vh = svd(change)
    return vh[-rank:], u[:, -rank:] * s[-rank:] * rank / alpha


@wrong("lm.lora_fit", says="this is B")
def exchanged(change, rank, alpha):
    u, s, vh = svd(change)
    return u[:, :rank] * s[:rank] * rank / alpha, vh[:rank]


@wrong("lm.lora_fit", says="The sum of squares that remains is")
def first_rows(change, rank, alpha):
    """The first r rows are kept, the others are 0."""
    b = torch.zeros(len(change), rank, dtype=change.dtype)
    b[:rank] = torch.eye(rank, dtype=change.dtype)
    return change[:rank], b * rank / alpha


@wrong("lm.lora_fit", says="You take columns of Vᵀ")
def v_in_the_place_of_vh(change, rank, alpha):
    u, s, vh = torch.linalg.svd(change)
    return vh[:, :rank].T, u[:, :rank] * s[:rank] * rank / alpha


@wrong("lm.lora_fit", says="Nothing is changed: one of the matrices is 0")
def as_training_begins(change, rank, alpha):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(rank, change.shape[1], generator=generator, dtype=change.dtype)
    return a, torch.zeros(len(change), rank, dtype=change.dtype)


@wrong("lm.lora_fit", says="The sum of squares that remains is")
def half_trained(change, rank, alpha):
    """A random A, and the best B for it."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(rank, change.shape[1], generator=generator, dtype=change.dtype)
    return a, torch.linalg.lstsq(a.T, change.T).solution.T * rank / alpha


@wrong("lm.lora_fit", says="You take rows of U")
def rows_of_u(change, rank, alpha):
    u, s, vh = torch.linalg.svd(change)
    return vh[:rank], u[:rank].T * s[:rank] * rank / alpha


@wrong("lm.lora_fit", says="You divide by α / r twice")
def scaled_in_both(change, rank, alpha):
    u, s, vh = svd(change)
    return vh[:rank] * rank / alpha, u[:, :rank] * s[:rank] * rank / alpha


@wrong("lm.lora_fit", says="directions in which Δ does nothing")
def smallest_eigenvectors(change, rank, alpha):
    u = torch.linalg.eigh(change @ change.T).eigenvectors[:, :rank]
    return u.T @ change, u * rank / alpha
