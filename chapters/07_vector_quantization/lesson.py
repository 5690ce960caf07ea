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
# # 7 · Vector quantization: codes and a learned prior
#
# **TODO: one sentence that says what a reader will be able to do.**
#
# | to read | to run | you need | afterwards you can |
# |---|---|---|---|
# | 60 minutes | under a minute, two cores | TODO: chapters and mathematics | TODO: what you will be able to do |
#
# TODO: why a reader should care. Words, symbols and signs: [style and notation](../../docs/style.md).

# %% tags=["parameters"]
seed = 7
points = 500

# %%
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from utils.plots import caption
from utils.results import record

generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 1 · The idea
#
# TODO: the idea in a picture made by code. The cell that draws the picture for the README is tagged `picture`.

# %%
rate = 1.5
x = -torch.rand(points, generator=generator, dtype=torch.float64).log() / rate  # (B,)
grid = torch.linspace(0, 5, 1001, dtype=torch.float64)

# %% jupyter={"source_hidden": true}
plt.hist(x, bins=40, density=True, color="0.8", label="samples")
plt.plot(grid, rate * (-rate * grid).exp(), label="density")
plt.xlabel("x")
plt.legend()
caption("Samples of an exponential distribution follow its density.")

# %% [markdown]
# ## 2 · The mathematics
#
# TODO: short, in the notation of docs/style.md. What the card promises to derive is derived here or in a named exercise.

# %% [markdown]
# ## 3 · From scratch
#
# TODO: the core in at most about 40 lines, on a problem so small that the truth is known.


# %%
def log_prob(x: Tensor, rate: float) -> Tensor:
    """log p(x) of the exponential distribution: (B,) -> (B,)."""
    return torch.tensor(rate).log() - rate * x


# %% [markdown]
# ## 4 · Checks against known answers
#
# TODO: assertions against enumeration, a closed form, autograd, an integral that is 1.

# %%
far = torch.linspace(0, 40, 40_001, dtype=torch.float64)
integral = torch.trapezoid(log_prob(far, rate).exp(), far).item()
assert abs(integral - 1) < 1e-5
record("integral", integral, kind="exact")

# %% [markdown]
# ## 5 · At scale
#
# TODO: the model of `utils/models/` on real data; assert that it agrees with the version from scratch.

# %% [markdown]
# ## 6 · Measured against
#
# TODO: a simple baseline and a known library, same data, same split, same metric, same budget.

# %% [markdown]
# ## 7 · Where it fails
#
# TODO: the known failure, produced on purpose by one switch, with its remedy.

# %% [markdown]
# ## 8 · What this family is good and bad at
#
# TODO: add its row, `[family]` in `chapter.toml`, and show the table with `families("07")`.

# %% [markdown]
# ## 9 · Remember
#
# TODO: five lines.
#
# **Exercises**: `course start 07`, then open `work/07_vector_quantization/exercises.ipynb`.
#
# **Further reading**
# - TODO: papers by authors, title and arXiv number.
