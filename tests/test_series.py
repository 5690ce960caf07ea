"""The series: the values of the packages they come from, dates, clear errors; and evaluation that cannot look ahead."""

import dataclasses
import math
import re
import subprocess

import numpy as np
import pytest
import torch

from utils.series import SERIES, bootstrap_blocks, load_series, rolling_origin


def test_sunspots_and_co2_are_what_the_package_has():
    from statsmodels.datasets import co2, sunspots

    ours, theirs = load_series("sunspots"), sunspots.load_pandas().data
    assert np.array_equal(ours.values.numpy(), theirs["SUNACTIVITY"].to_numpy())
    assert np.array_equal(ours.dates.astype("datetime64[Y]").astype(int) + 1970, theirs["YEAR"].to_numpy())
    ours, theirs = load_series("co2"), co2.load_pandas().data
    assert np.array_equal(ours.values.numpy(), theirs["co2"].to_numpy(), equal_nan=True)
    assert np.array_equal(ours.dates, theirs.index.to_numpy().astype("datetime64[D]"))
    assert int(ours.values.isnan().sum()) == 59


@pytest.mark.parametrize(
    ("name", "first", "length", "last"),
    [
        ("AAPL", "2000-03-01", 3270, 56.137353095488),
        ("FB", "2012-05-18", 196, 27.78),
        ("GOOG", "2004-08-19", 2148, 404.3431686260103),
        ("IBM", "2000-03-01", 3270, 175.27118333217),
        ("MSFT", "2000-03-01", 3270, 24.684342419163),
    ],
)
def test_shares_begin_when_they_are_traded(name, first, length, last):
    share = load_series(name)
    assert len(share) == length
    assert str(share.dates[0]) == first
    assert str(share.dates[-1]) == "2013-03-01"
    assert share.values[-1].item() == last
    assert share.values.isfinite().all()
    assert (share.values > 0).all()


@pytest.mark.parametrize("name", SERIES)
def test_a_series_is_in_order_and_says_what_it_is(name):
    series = load_series(name)
    assert series.values.dtype == torch.float64
    assert series.dates.shape == tuple(series.values.shape)
    steps = np.diff(series.dates).astype(int)
    low, high = {"yearly": (365, 366), "weekly": (7, 7), "trading days": (1, 7)}[series.frequency]
    assert steps.min() >= low
    assert steps.max() <= high
    assert repr(series).startswith(f"{name}: {len(series)} values, {series.frequency}, from {series.dates[0]}")
    assert series.license == "public domain"
    with pytest.raises(dataclasses.FrozenInstanceError):
        series.name = "other"
    assert load_series(name).values is not series.values  # so that nobody can spoil another's data


def test_the_page_names_what_the_code_names(repository):
    page = (repository / "data" / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## timeseries/\n(.*?)(?=^## )", page, flags=re.MULTILINE | re.DOTALL).group(1)
    for name in ("AAPL", "FB", "GOOG"):
        assert f"({name})" in section
    assert "| License | public domain" in section
    assert f"{int(load_series('co2').values.isnan().sum())} weeks are missing" in section


def test_an_index_divides_past_and_future():
    co2 = load_series("co2")
    assert co2.index("1958-03-29") == 0
    assert str(co2.dates[co2.index("1980-01-01")]) == "1980-01-05"
    assert (co2.dates[: co2.index("1980-01-01")] < np.datetime64("1980-01-01")).all()
    with pytest.raises(ValueError, match="'co2' goes from 1958-03-29 to 2001-12-29: it has no 2013-01-01"):
        co2.index("2013-01-01")
    with pytest.raises(ValueError, match="'last week' is no date: write year, month and day"):
        co2.index("last week")


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(ValueError, match="no series 'aapl': did you mean 'AAPL'"):
        load_series("aapl")
    with pytest.raises(ValueError, match="no series 'sunspot': did you mean 'sunspots'"):
        load_series("sunspot")
    with pytest.raises(ValueError, match="no series 'weather': expected one of sunspots, co2, AAPL"):
        load_series("weather")


# --- making the files


@pytest.fixture
def script(repository, monkeypatch):
    import runpy

    monkeypatch.syspath_prepend(str(repository / "data" / "make"))
    return runpy.run_path(str(repository / "data" / "make" / "timeseries.py"))


def test_the_script_makes_the_files_of_the_installed_package_again(script, repository):
    from importlib import resources

    tables = resources.files("statsmodels") / "datasets"
    for name in ("sunspots", "co2"):
        table = script[name]((tables / name / f"{name}.csv").read_text(encoding="utf-8"))
        text = "\n".join(map(",".join, table)) + "\n"
        assert text.encode() == (repository / "data" / "timeseries" / f"{name}.csv").read_bytes()


def test_the_script_puts_the_prices_of_a_day_into_a_row(script):
    head = "Ticker,Date,Open,High,Low,Close,Volume,Adj Close\n"
    lines = [f"{name},2012-05-18,1,1,1,1,1,{price}" for name, price in zip(script["SHARES"], "12345", strict=True)]
    lines += ["AAPL,2012-05-17,1,1,1,1,1,0.5"]
    assert script["shares"](head + "\n".join(lines)) == [
        ("date", "AAPL", "FB", "GOOG", "IBM", "MSFT"),
        ("2012-05-17", "0.5", "", "", "", ""),
        ("2012-05-18", "1", "2", "3", "4", "5"),
    ]
    with pytest.raises(ValueError, match=r"the shares are \['AAPL'\], expected AAPL, FB"):
        script["shares"](head + "AAPL,2012-05-17,1,1,1,1,1,0.5")


def test_the_download_takes_the_table_out_of_the_package(script, tmp_path, monkeypatch):
    import gzip
    import zipfile

    def fake_pip(command, check):
        assert command[-1] == "bokeh_sampledata==2026.1"
        with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
            wheel.writestr("bokeh_sampledata/_data/stocks.csv.gz", gzip.compress(b"Ticker,Date\n"))

    monkeypatch.setattr(subprocess, "run", fake_pip)
    assert script["download"](str(tmp_path)) == "Ticker,Date\n"


# --- rolling origin


def test_a_forecaster_sees_the_past_alone():
    values, seen = torch.arange(20, dtype=torch.float64), []

    def spy(past, horizon):
        seen.append(past.clone())
        past.fill_(math.nan)  # what it does to its copy must not matter
        return torch.zeros(3, horizon)

    draws, truth = rolling_origin(spy, values, range(10, 18, 2), horizon=3)
    assert draws.shape == (3, 4, 3)
    assert truth.tolist() == [[o, o + 1, o + 2] for o in (10, 12, 14, 16)]
    assert [past.tolist() for past in seen] == [list(range(o)) for o in (10, 12, 14, 16)]
    assert values.isfinite().all()


def test_the_last_origin_leaves_the_whole_horizon():
    values = torch.arange(10, dtype=torch.float64)
    assert rolling_origin(lambda past, h: past[-1].expand(2, h), values, [6], 4).truth.tolist() == [[6, 7, 8, 9]]
    with pytest.raises(ValueError, match="the origins are from 7 to 7: with 10 values, 4 steps ahead, they go 1 to 6"):
        rolling_origin(lambda past, h: past[-1].expand(2, h), values, [7], 4)
    for origins in ([], [0, 3]):
        with pytest.raises(ValueError, match="the origins are"):
            rolling_origin(lambda past, h: past[-1].expand(2, h), values, origins, 4)


def test_bad_forecasts_are_refused():
    values = torch.arange(10, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"at origin 5 the forecast has shape \(2,\) of draws: expected \(draws, 2\)"):
        rolling_origin(lambda past, h: past[-h:], values, [5], 2)
    with pytest.raises(ValueError, match=r"shape \(4, 2\) with NaN"):
        rolling_origin(lambda past, h: torch.full((4, h), math.nan), values, [5], 2)
    with pytest.raises(ValueError, match=r"values have shape \(2, 5\)"):
        rolling_origin(lambda past, h: past, values.view(2, 5), [5], 2)


# --- blocks


def test_blocks_keep_neighbors_together():
    rows = bootstrap_blocks(10, 4, 500, torch.Generator().manual_seed(0))
    assert rows.shape == (500, 10)
    steps = (rows[:, 1:] - rows[:, :-1]) % 10
    for start in (0, 4, 8):  # within a block the next row follows
        assert (steps[:, start : start + min(3, 9 - start)] == 1).all()
    # Each row has the same chance, for blocks wrap around.
    share = rows.flatten().bincount(minlength=10) / rows.numel()
    assert (share - 0.1).abs().max() < 0.02
    with pytest.raises(ValueError, match="block is 11: expected 1 to 10"):
        bootstrap_blocks(10, 11, 5)


def test_blocks_give_the_error_of_a_mean_of_dependent_values():
    """An AR(1) with φ = 0.8: the mean's standard error is 3 times what independent values would have."""
    from utils.models.time_series import Autoregression

    n, g = 2000, torch.Generator().manual_seed(1)
    x = Autoregression.from_parameters(torch.tensor([0.8])).sample(40, g, steps=n)
    true = math.sqrt(1 / (1 - 0.8) ** 2 / n)

    def error(block):
        rows = bootstrap_blocks(n, block, 200, g)
        return torch.stack([series[rows].mean(1).std() for series in x]).mean().item()

    assert error(1) == pytest.approx(true / 3, rel=0.1)
    assert error(50) == pytest.approx(true, rel=0.15)
