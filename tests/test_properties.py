"""Unusual input to every public model and metric: the right value, or an error that says what to do."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import re
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_contract import EXAMPLES, MODELS, SERIES, example_of, generator, randn
from torch import Tensor, nn

import utils
from utils.data import binarize
from utils.metrics import coverage, crps_gaussian, crps_samples, frechet_distance, interval, neighbors, pinball
from utils.models.bayesnets import BayesianNetwork, hill_climb
from utils.models.boltzmann import RBM
from utils.models.classifiers import GenerativeClassifier
from utils.models.flows import Affine, Logit, Spline, glow
from utils.models.gans import GAN
from utils.models.mixtures import BernoulliMixture, GaussianMixture
from utils.models.time_series import ARCH, Autoregression, GRUMemory, NeuralForecaster, aic_by_order
from utils.models.vae import fit_ppca, ppca_log_prob
from utils.nets import MADE, mlp
from utils.ratings import Ratings
from utils.toys import moons
from utils.training import Trainer, TrainingDiverged

HERE = str(Path(utils.__path__[0]).resolve())
ASKS = ("log_prob", "step_log_prob", "elbo", "predict", "predict_proba", "hidden_probs", "free_energy", "features")
few = settings(derandomize=True, max_examples=2, deadline=None, database=None)
some = settings(derandomize=True, max_examples=8, deadline=None, database=None)

places = st.integers(0, 10_000)
sizes = st.integers(-40, 40).map(lambda power: 2.0**power)  # about 1e-12 to 1e12; multiplying by them is exact

# --- what may be wrong with a tensor ---


def put(value: float):
    def spoil(x: Tensor, place: int, size: float) -> Tensor:
        x = x.clone() if x.is_floating_point() else x.float()
        x.view(-1)[place % x.numel()] = value
        return x

    return spoil


# Nothing of this has a value: each question to a model ends in an error, unless the model says that NaN is missing.
SENSELESS = {
    "infinity": put(math.inf),
    "minus infinity": put(-math.inf),
    "no rows": lambda x, place, size: x[:0],
    "no columns": lambda x, place, size: x[..., :0],
    "complex": lambda x, place, size: x.to(torch.complex64),
    "a list": lambda x, place, size: x.tolist(),
    "a number": lambda x, place, size: x.reshape(-1)[0],
}
MISSING = {
    "NaN": put(math.nan),
    "all NaN": lambda x, place, size: torch.full_like(x if x.is_floating_point() else x.float(), math.nan),
}
# This may have a value. If it has, it is a number.
UNUSUAL = {
    "constant": lambda x, place, size: torch.full_like(x, x.reshape(-1)[place % x.numel()].item()),
    "one row": lambda x, place, size: x[:1],
    "one column": lambda x, place, size: x[..., :1],
    "scaled": lambda x, place, size: x * size,
    "far from 0": lambda x, place, size: x + size,
    "one outlier": lambda x, place, size: put(1e12)(x, place, size),
    "int64": lambda x, place, size: (3 * x).long(),
    "uint8": lambda x, place, size: (3 * x).clamp(0, 9).to(torch.uint8),
    "bool": lambda x, place, size: x > 0,
    "float64": lambda x, place, size: x.double(),
    "float16": lambda x, place, size: x.half(),
}
# The same numbers in another form: the same answer.
SAME = {
    "strided": lambda x: torch.stack([x, -x], dim=-1)[..., 0],
    "transposed": lambda x: x.mT.contiguous().mT if x.ndim > 1 else x,
    "with a gradient": lambda x: x.clone().requires_grad_() if x.is_floating_point() else x,
}


def answer_or_error(call):
    """What a call returns, or None where it ends in an error of this library that says what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except (ValueError, TypeError, TrainingDiverged) as error:
        where = traceback.extract_tb(error.__traceback__)[-1].filename
        assert where.startswith(HERE), f"a raw error: {error!r} of {where}"
        assert re.search(": .|must", str(error)) and len(str(error)) > 25, (
            f"an error that does not say what to do: {error}"
        )
    return None


def changed(data: tuple, change) -> tuple:
    """The data of an example with the first of them changed; labels keep as many rows."""
    first, *rest = data
    if isinstance(first, Ratings):
        return (dataclasses.replace(first, stars=change(first.stars)),)
    new = change(first)
    rows = len(new) if isinstance(new, Tensor) and new.ndim else 0
    return new, *(column[:rows] if rows < len(first) else column for column in rest)


@functools.cache
def fitted(name: str):
    torch.manual_seed(0)
    return example_of(name).fitted()


def questions(name: str) -> list[str]:
    """The methods that take data alone."""
    model = fitted(name)
    found = [] if isinstance(EXAMPLES[name].data[0], Ratings) else [ask for ask in ASKS if hasattr(model, ask)]
    return [ask for ask in found if _required(getattr(model, ask)) == 1]


def _required(method: Callable) -> int:
    return sum(one.default is one.empty for one in inspect.signature(method).parameters.values())


def data_for(name: str, ask: str) -> Tensor:
    """An autoregression is fitted to one series, and asked about rows of them."""
    return SERIES.view(10, 6) if (name, ask) == ("Autoregression", "log_prob") else EXAMPLES[name].data[0]


def numbers_of(model) -> list[Tensor]:
    """What a model learned."""
    return [value for name, value in model.state_dict().items() if value.is_floating_point() and name != "degrees"]


each_model = pytest.mark.parametrize("name", sorted(MODELS))
each_learner = pytest.mark.parametrize("name", [name for name in sorted(MODELS) if hasattr(MODELS[name], "fit")])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# --- models ---


@pytest.mark.parametrize("kind", SENSELESS)
@each_model
@few
@given(place=places, size=sizes)
def test_a_question_without_an_answer_is_refused(name, kind, place, size):
    for ask in questions(name):
        given_data = SENSELESS[kind](data_for(name, ask), place, size)
        if name in ("StandardNormal", "UnitCube") and "infinity" in kind:  # a density knows what it is out there
            infinite = given_data.isinf().any(1)
            assert torch.equal(fitted(name).log_prob(given_data) == -math.inf, infinite)
        elif not (name == "BayesianNetwork" and kind == "a list"):  # it takes lists
            assert answer_or_error(lambda ask=ask, x=given_data: getattr(fitted(name), ask)(x)) is None, ask


@each_learner
@few
@given(place=places, size=sizes)
def test_nothing_is_learned_from_what_makes_no_sense(name, place, size):
    example = example_of(name)
    for kind, spoil in SENSELESS.items():
        if kind == "a list" and name in ("BayesianNetwork", "MatrixFactorization", "SoftmaxRBM"):
            continue
        data = changed(example.data, lambda x, spoil=spoil: spoil(x, place, size))
        assert answer_or_error(lambda data=data: example.make(2).fit(*data, **example.options)) is None, kind


@each_model
@few
@given(place=places, size=sizes)
def test_nan_is_missing_or_refused(name, place, size):
    for kind, spoil in MISSING.items():
        for ask in questions(name):
            given_data = spoil(data_for(name, ask), place, size)
            found = answer_or_error(lambda ask=ask, x=given_data: getattr(fitted(name), ask)(x))
            if found is not None and name not in ("StandardNormal", "UnitCube") and ask != "step_log_prob":
                assert found.isfinite().all(), (kind, ask)


@each_learner
@few
@given(place=places, size=sizes)
def test_what_is_learned_from_unusual_data_is_a_number(name, place, size):
    example = example_of(name)
    for kind, change in {**MISSING, **UNUSUAL}.items():
        if (name, kind) == ("VQVAE", "one column"):  # smaller than the kernel of the encoder that it was given
            continue
        data = changed(example.data, lambda x, change=change: change(x, place, size))
        model = answer_or_error(lambda data=data: example.make(2).fit(*data, **example.options))
        if model is not None:
            assert all(value.isfinite().all() for value in numbers_of(model)), kind


@each_model
@few
@given(place=places, size=sizes)
def test_an_answer_about_unusual_data_is_a_number(name, place, size):
    for kind, change in UNUSUAL.items():
        for ask in questions(name):
            given_data = change(data_for(name, ask), place, size)
            found = answer_or_error(lambda ask=ask, x=given_data: getattr(fitted(name), ask)(x))
            if found is not None:
                assert not (found.isnan().any() and ask != "step_log_prob"), (kind, ask)


@pytest.mark.parametrize("form", SAME)
@each_model
def test_the_form_of_a_tensor_changes_nothing(name, form):
    example = example_of(name)
    for ask in questions(name):
        x, state = data_for(name, ask), torch.get_rng_state()
        expected = getattr(fitted(name), ask)(x)
        torch.set_rng_state(state)  # a bound of a VAE draws from it
        found = getattr(fitted(name), ask)(SAME[form](x))
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True), ask
    if hasattr(MODELS[name], "fit"):
        models = []
        for data in (example.data, changed(example.data, SAME[form])):
            torch.manual_seed(0)
            models.append(example.make(2).fit(*data, **example.options))
        for one, other in zip(*map(numbers_of, models), strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)
            assert not other.requires_grad or isinstance(models[1], nn.Module)


@each_model
def test_whole_numbers_mean_what_they_say(name):
    """Zeros and ones in int64 are data, or the message says what to do; they never mean something else."""
    for ask in questions(name):
        x = data_for(name, ask)
        x = x.round().clamp(0, 1) if x.is_floating_point() else x
        one, other = (answer_or_error(lambda x=x, ask=ask: getattr(fitted(name), ask)(x)) for x in (x.long(), x))
        if one is not None and other is not None and ask != "elbo" and name != "VAE":
            assert torch.allclose(one.double(), other.double(), equal_nan=True), ask


# --- units: a density in other units is the same density, times their size ---

LOCATION_SCALE = {
    **{
        kind: lambda kind=kind: GaussianMixture(2, kind, reg_covar=0, max_iter=15, generator=generator())
        for kind in ("full", "tied", "diag", "spherical")
    },
    "autoregression": lambda: Autoregression(2),
    "exact autoregression": lambda: Autoregression(2, "exact"),
    "arch": lambda: ARCH(1),
    "student": lambda: ARCH(1, "student"),
}


def exact(*shape: int) -> Tensor:
    """Numbers with few digits: scaled by a power of two and moved by whole numbers they are still exact."""
    return (256 * randn(*shape).double()).round() / 256


def logs(name: str, x: Tensor) -> tuple[Tensor, int]:
    """log p of the rows of x, or of the steps of a series, fitted to x itself; and the numbers in a row."""
    model = LOCATION_SCALE[name]().fit(x)
    return (model.log_prob(x), x.shape[1]) if x.ndim == 2 else (model.step_log_prob(x)[3:], 1)


@pytest.mark.parametrize("name", LOCATION_SCALE)
@some
@given(size=sizes, away=st.integers(-(2**30), 2**30))
def test_units_and_origin_change_a_density_by_their_size_alone(name, size, away):
    x = exact(60, 3) if name in ("full", "tied", "diag", "spherical") else exact(120)
    (near, dim), (far, _) = logs(name, x), logs(name, size * (x + away))
    assert torch.allclose(far + dim * math.log(size), near, rtol=1e-3, atol=1e-3)


@some
@given(size=sizes, away=st.integers(-(2**30), 2**30))
def test_units_and_origin_change_no_choice(size, away):
    x, y = exact(40, 2), torch.arange(40) % 2
    x[y == 1] += 1
    far = size * (x + away)

    def classify(x: Tensor) -> Tensor:
        density = functools.partial(GaussianMixture, 1, reg_covar=0)
        return GenerativeClassifier(density).fit(x, y).predict_proba(x)

    assert torch.allclose(classify(far), classify(x), atol=1e-4)
    near, moved = aic_by_order(x[:, 0], 3), aic_by_order(far[:, 0], 3)
    assert min(near, key=near.get) == min(moved, key=moved.get)
    mean, weights, variance = fit_ppca(far, 1)
    log_prob = ppca_log_prob(far, mean, weights, variance) + 2 * math.log(size)
    assert torch.allclose(log_prob, ppca_log_prob(x, *fit_ppca(x, 1)), atol=1e-3)


@few
@given(size=sizes, away=st.integers(-(2**30), 2**30))
def test_a_network_of_a_series_works_in_the_units_of_its_data(size, away):
    x = exact(8, 6)

    def learn(x: Tensor) -> Tensor:
        model = NeuralForecaster(GRUMemory(4, generator()), 2, generator()).double()
        return model.fit(x, epochs=2, batch_size=4, progress=False).log_prob(x)

    assert torch.allclose(learn(size * (x + away)) + 6 * math.log(size), learn(x), rtol=1e-3, atol=1e-3)


NAN, G = math.nan, torch.Generator()
REFUSED = {
    "alpha": lambda: BayesianNetwork({}, {"a": "xy"}).fit(torch.zeros(3, 1).long(), alpha=math.inf),
    "alpha of a search": lambda: hill_climb(torch.zeros(3, 1).long(), {"a": ["x", "y"]}, alpha=NAN),
    "max_parents": lambda: hill_climb(torch.zeros(3, 1).long(), {"a": ["x", "y"]}, max_parents=1.5),
    "learning_rate": lambda: RBM(2, learning_rate=math.inf),
    "lr": lambda: Trainer(mlp(1, 1), lambda x, training: x, lr=NAN),
    "clip": lambda: Trainer(mlp(1, 1), lambda x, training: x, clip=NAN),
    "warmup": lambda: Trainer(mlp(1, 1), lambda x, training: x, warmup=1.5),
    "r1": lambda: GAN(mlp(1, 1), mlp(1, 1), 1, r1=NAN),
    "tol": lambda: GaussianMixture(1, tol=NAN),
    "bound": lambda: Spline(4, NAN),
    "limit": lambda: Affine(NAN),
    "alpha of a logit": lambda: Logit(NAN),
    "widths": lambda: mlp(2.0, 1),
    "hidden": lambda: MADE(3, hidden=(2.5,)),
    "levels": lambda: glow((1, 4, 4), levels=0.5),
    "start": lambda: fitted("RBM").sample(2, start=torch.zeros(3, 5)),
    "clamp": lambda: fitted("RBM").sample(2, start=torch.zeros(2, 5), clamp=torch.zeros(4).bool()),
    "betas": lambda: fitted("RBM").log_partition("ais", betas=torch.tensor([0, NAN, 1])),
    "past": lambda: fitted("NeuralForecaster").sample_paths(torch.zeros(3, 3), 2, 2),
    "short past": lambda: ARCH.from_parameters(1.0, torch.tensor([0.1, 0.1])).sample_paths(torch.zeros(1), 2, 2),
    "priors": lambda: GenerativeClassifier(lambda: GaussianMixture(1), priors=torch.tensor([NAN, NAN])).fit(
        randn(6, 2), torch.arange(6) % 2
    ),
    "probs": lambda: BernoulliMixture.from_parameters(torch.ones(1), torch.tensor([[NAN]])),
    "x of a principal component": lambda: fit_ppca(torch.full((5, 3), NAN), 1),
    "constant components": lambda: fit_ppca(torch.ones(5, 3), 1),
    "pixels": lambda: binarize(torch.tensor([[NAN, 0.5]])),
    "points": lambda: moons(-1, G),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_argument_that_makes_no_sense_is_refused(what):
    assert answer_or_error(REFUSED[what]) is None


# --- metrics ---

FORECASTS = {
    "crps_gaussian": lambda draws, y: crps_gaussian(draws.mean(0), draws.std(0), y),
    "crps_samples": crps_samples,
    "pinball": lambda draws, y: pinball(draws.mean(0), y, 0.3),
    "interval": lambda draws, y: torch.stack(interval(draws, 0.5)),
    "coverage": coverage,
}


@pytest.mark.parametrize("name", FORECASTS)
@some
@given(size=sizes, away=st.integers(-(2**30), 2**30), rows=st.integers(2, 6))
def test_a_score_of_forecasts_has_the_unit_of_the_data(name, size, away, rows):
    draws, y = exact(rows, 5), exact(5).flip(0)
    near, far = FORECASTS[name](draws, y), FORECASTS[name](size * (draws + away), size * (y + away))
    unit, origin = (1, 0) if name == "coverage" else (size, size * away if name == "interval" else 0)
    assert torch.allclose((far - origin) / unit, near, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FORECASTS)
@some
@given(place=places, value=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_forecast_that_is_no_number_has_no_score(name, place, value):
    draws, y = put(value)(exact(4, 5), place, 1.0), exact(5)
    assert answer_or_error(lambda: FORECASTS[name](draws, y)) is None
    unknown = put(math.nan)(y, place, 1.0)
    if name != "interval":
        assert torch.equal(FORECASTS[name](exact(4, 5), unknown).isnan(), unknown.isnan())


SAMPLES = {"frechet": frechet_distance, "neighbors": functools.partial(neighbors, k=2)}


@pytest.mark.parametrize("measure", SAMPLES)
@some
@given(size=sizes, away=st.integers(-(2**30), 2**30), columns=st.integers(1, 4))
def test_a_distance_of_samples_has_the_unit_of_the_features(measure, size, away, columns):
    real, fake = exact(30, columns), exact(25, columns) * 1.5 + 1
    near, far = (
        torch.tensor(SAMPLES[measure](*pair)) for pair in ((real, fake), (size * (real + away), size * (fake + away)))
    )
    assert torch.allclose(far / (size**2 if measure == "frechet" else 1), near, rtol=1e-4, atol=1e-6)
    same = torch.tensor(SAMPLES[measure](size * real, size * real)) / (size**2 if measure == "frechet" else 1)
    assert torch.allclose(same.double(), torch.full_like(same, 0 if measure == "frechet" else 1).double(), atol=1e-9)


@pytest.mark.parametrize("measure", SAMPLES)
@pytest.mark.parametrize("kind", {**SENSELESS, **MISSING})
@few
@given(place=places, size=sizes)
def test_features_that_make_no_sense_are_refused(measure, kind, place, size):
    real, spoil = exact(8, 3), {**SENSELESS, **MISSING}[kind]
    for pair in ((real, spoil(real, place, size)), (spoil(real, place, size), real)):
        assert answer_or_error(lambda pair=pair: SAMPLES[measure](*pair)) is None


@pytest.mark.parametrize("measure", SAMPLES)
def test_the_form_of_features_changes_nothing(measure):
    real, fake = exact(30, 3).round(), exact(25, 3).round() + 1
    expected = SAMPLES[measure](real, fake)
    for change in (*SAME.values(), Tensor.long, Tensor.float, Tensor.half):
        assert SAMPLES[measure](change(real), change(fake)) == pytest.approx(expected, rel=1e-9)
    constant = torch.ones(9, 3)
    assert SAMPLES[measure](constant, constant) == (0 if measure == "frechet" else (1, 1, 1))
