# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 7: Vector quantization: codes and a learned prior
#
# TODO: one sentence on what the reader will build.
#
# **How it works.** Write the body of a function in the place of `raise NotImplementedError(...)`, run its cell, then run
# the check below it. The check says *passed*, or names the mistake and gives a hint. Inputs are `float64`. Every exercise
# stands alone: if you are stuck, go on with the next one.
#
# **Tiers.** *Core* builds the model, *extend* changes it, *challenge* reaches a number.

# %%
import torch
from torch import Tensor

from utils.checks import check

# %% [markdown]
# ## 7.1 A log-density (core)
#
# TODO: an exercise of your own in place of this one, and at least five more. A derivation is a markdown cell that begins
# with `*Your derivation:*`, with code after it; the worked derivation is a markdown cell tagged `solution`.
#
# The exponential distribution has the density $p(x) = \lambda e^{-\lambda x}$. `x` and `rate` are `(B,)`; return `(B,)`.


# %% exercise={"id": "vector_quantization.log_prob", "tier": "core", "minutes": 5, "points": 1}
def log_prob(x: Tensor, rate: Tensor) -> Tensor:
    """log p(x) = log λ − λ x for each entry: (B,) and (B,) -> (B,)."""
    ### BEGIN SOLUTION
    return torch.log(rate) - rate * x
    ### END SOLUTION


# %% tags=["nbval-check-output"]
check("vector_quantization.log_prob", log_prob)
