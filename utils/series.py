"""Time series: what was measured, and when; and how to judge a forecaster without letting it look ahead.

>>> sunspots = load_series("sunspots")
>>> sunspots
sunspots: 309 values, yearly, from 1700-01-01 to 2008-01-01, none missing
>>> sunspots.index("1900-01-01")
200
>>> last_value = lambda past, horizon: past[-1].expand(1, horizon)
>>> draws, truth = rolling_origin(last_value, sunspots.values, range(200, 298), horizon=12)
>>> draws.shape, truth.shape
(torch.Size([1, 98, 12]), torch.Size([98, 12]))
"""

from __future__ import annotations

import csv
import difflib
import gzip
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from utils.data import path

PUBLIC_DOMAIN = "public domain"
CO2_SOURCE = "C. D. Keeling and T. P. Whorf, Scripps Institution of Oceanography: air sampled at Mauna Loa, 2004"
# name -> file, frequency, unit, source
SERIES = {
    "sunspots": ("sunspots.csv", "yearly", "sunspots", "National Geophysical Data Center: yearly mean sunspot numbers"),
    "co2": ("co2.csv", "weekly", "parts per million", CO2_SOURCE),
} | dict.fromkeys(
    ("AAPL", "FB", "GOOG", "IBM", "MSFT"),
    (
        "shares.csv.gz",
        "trading days",
        "dollars",
        "Quandl WIKI Prices: closing prices adjusted for splits and dividends",
    ),
)


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Values in the order of time.

    Attributes:
        name: what it was loaded as.
        dates: a day for each value, `(T,)`, NumPy's `datetime64[D]`; a weekly value has the day that the source gives.
        values: in float64, `(T,)`; NaN where nothing was measured.
        frequency: the step from one value to the next: "yearly", "weekly" or "trading days".
        unit: of the values.
        license: under which conditions the data may be used.
        source: where the data comes from.
    """

    name: str
    dates: np.ndarray
    values: Tensor
    frequency: str
    unit: str
    license: str
    source: str

    def index(self, date: str) -> int:
        """The place of the first value on this day or after it: `values[:index]` is all that was known before.

        Raises:
            ValueError: when the text is no date, or lies outside of the series.
        """
        try:
            day = np.datetime64(date, "D")
        except ValueError:
            raise ValueError(f"{date!r} is no date: write year, month and day, such as '1990-01-31'") from None
        if not self.dates[0] <= day <= self.dates[-1]:
            raise ValueError(f"{self.name!r} goes from {self.dates[0]} to {self.dates[-1]}: it has no {day}")
        return int(np.searchsorted(self.dates, day))

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        missing = int(self.values.isnan().sum())
        return (
            f"{self.name}: {len(self)} values, {self.frequency}, from {self.dates[0]} to {self.dates[-1]},"
            f" {missing or 'none'} missing"
        )


def load_series(name: str) -> Series:
    """Load a series by its name.

    - ``"sunspots"``: the mean number of sunspots of each year, 1700 to 2008.
    - ``"co2"``: carbon dioxide in the air at Mauna Loa, weekly, 1958 to 2001; some weeks are missing.
    - ``"AAPL"``, ``"FB"``, ``"GOOG"``, ``"IBM"``, ``"MSFT"``: the price of a share at the end of each trading day, 2000
      to 2013, adjusted for splits and dividends. A series begins with the first day on which the share was traded.

    Raises:
        ValueError: for an unknown name; the message has the nearest ones.
        DataError: when the file is missing or damaged.
    """
    if name not in SERIES:
        lower = {known.lower(): known for known in SERIES}
        near = [lower[word] for word in difflib.get_close_matches(str(name).lower(), lower, n=3)]
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"expected one of {', '.join(SERIES)}"
        raise ValueError(f"there is no series {name!r}: {hint}")
    file, frequency, unit, source = SERIES[name]
    raw = path(f"timeseries/{file}").read_bytes()
    text = (gzip.decompress(raw) if file.endswith(".gz") else raw).decode()
    header, *rows = csv.reader(text.splitlines())
    # Each file of one series has one column of values; the shares have theirs by name.
    column = header.index(name)
    values = torch.tensor([float(row[column] or "nan") for row in rows], dtype=torch.float64)
    first = int(values.isfinite().nonzero()[0])
    dates = np.array([row[0] for row in rows], dtype="datetime64[D]")
    return Series(name, dates[first:], values[first:], frequency, unit, PUBLIC_DOMAIN, source)


class Forecasts(NamedTuple):
    """Draws `(S, O, H)` and what came, truth `(O, H)`, for O origins and H steps ahead."""

    draws: Tensor
    truth: Tensor


def rolling_origin(
    forecast: Callable[[Tensor, int], Tensor], values: Tensor, origins: Iterable[int], horizon: int
) -> Forecasts:
    """Forecast again and again, each time from the past alone, as if living through the series.

    At origin o the forecaster gets `values[:o]`, a copy, and has to say what `values[o : o + horizon]` will be. Nothing
    later ever reaches it through this function; what it was chosen and fitted with before is up to you.

    Args:
        forecast: `forecast(past, horizon)` → S draws of the future, `(S, horizon)`.
        values: the series `(T,)`; NaN where a value is missing, in the past as in the truth.
        origins: how many values are past, for each forecast; at most `T − horizon`.
        horizon: H, how many steps ahead.

    Raises:
        ValueError: for origins outside of the series, or draws of another shape or with NaN.

    Source: L. J. Tashman, "Out-of-sample tests of forecasting accuracy: an analysis and review", 2000.
    """
    origins = list(origins)
    if values.ndim != 1 or horizon < 1:
        raise ValueError(
            f"values have shape {tuple(values.shape)} and horizon is {horizon}: expected (T,) and 1 or more"
        )
    last = len(values) - horizon
    if not origins or not all(0 < origin <= last for origin in origins):
        given = f"from {min(origins)} to {max(origins)}" if origins else "none"
        raise ValueError(
            f"the origins are {given}: with {len(values)} values, {horizon} steps ahead, they go 1 to {last}"
        )
    draws = []
    for origin in origins:
        ahead = forecast(values[:origin].clone(), horizon)
        if ahead.ndim != 2 or ahead.shape[1] != horizon or ahead.isnan().any():
            what = "with NaN" if ahead.shape[-1:] == (horizon,) and ahead.ndim == 2 else "of draws"
            raise ValueError(
                f"at origin {origin} the forecast has shape {tuple(ahead.shape)} {what}: expected (draws, {horizon}),"
                " without NaN"
            )
        draws.append(ahead)
    truth = torch.stack([values[origin : origin + horizon] for origin in origins])
    return Forecasts(torch.stack(draws, dim=1), truth)


def bootstrap_blocks(n: int, block: int, draws: int, generator: torch.Generator | None = None) -> Tensor:
    """Rows to draw anew from n rows in the order of time: whole blocks of neighbors, `(draws, n)`, int64.

    Forecasts from neighboring origins share their luck. Drawn one by one they would look like more evidence than they
    are; drawn in blocks as long as the luck lasts, a mean over them has an honest interval. Blocks wrap around the end.

    Source: D. N. Politis, J. P. Romano, "A circular block-resampling procedure for stationary data", 1992.
    """
    if not 0 < block <= n:
        raise ValueError(f"block is {block}: expected 1 to {n}, the number of rows")
    starts = torch.randint(n, (draws, math.ceil(n / block), 1), generator=generator)
    return ((starts + torch.arange(block)) % n).flatten(1)[:, :n]
