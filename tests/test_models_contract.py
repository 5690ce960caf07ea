"""One contract for all models (`utils/models/README.md`), tried on every public one."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pkgutil
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

import utils.models
from utils.models.autoregressive import FVSBN, GatedPixelCNN, ImageMADE, NeighborTable, PixelCNN
from utils.models.bayesnets import BayesianNetwork
from utils.models.boltzmann import RBM, MatrixFactorization, SoftmaxRBM
from utils.models.classifiers import DigitClassifier, GenerativeClassifier
from utils.models.codes import VQVAE, CodePrior, VectorQuantizer
from utils.models.diffusion import Diffusion, NoisyMixture, TimeMLP
from utils.models.estimator import Estimator, NotFittedError
from utils.models.flows import StandardNormal, UnitCube, real_nvp
from utils.models.gans import GAN
from utils.models.mixtures import BernoulliMixture, GaussianMixture
from utils.models.time_series import ARCH, Autoregression, GRUMemory, NeuralForecaster
from utils.models.transformers import GPT, KneserNey
from utils.models.vae import VAE
from utils.nets import mlp
from utils.ratings import Ratings

METHODS = ("fit", "log_prob", "sample", "predict")  # a class with one of them is a model; all else is a part of one


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(1))


def bits(*shape: int) -> Tensor:
    return torch.randint(2, shape, generator=generator(2)).float()


def ratings(n: int = 60) -> Ratings:
    users, films = torch.arange(n) % 6, torch.arange(n) % 5
    stars = 1.0 + (users * films + torch.arange(n) // 7) % 5
    return Ratings(users, films, stars, tuple("abcde"), ("",) * 5, n_users=6, n_films=5, license="", source="")


class Example(NamedTuple):
    """How to try a model: `make(size)` with a whole number among its arguments, and what it learns from."""

    make: Callable[[int], object]
    data: tuple
    shape: tuple[int, ...] | None = None  # of two samples
    options: Mapping = MappingProxyType({})  # of `fit`
    sample: Mapping = MappingProxyType({})  # of `sample`
    ask: Callable | None = None  # a deterministic question to a fitted model; by default log_prob, else predict
    wrong: tuple[Callable, ...] = ()  # calls that meet empty input or a wrong shape

    def fitted(self, size: int = 2):
        model = self.make(size)
        return model.fit(*self.data, **self.options) if hasattr(model, "fit") else model

    def answer(self, model) -> Tensor:
        if self.ask:
            return self.ask(model)
        return model.log_prob(self.data[0]) if hasattr(model, "log_prob") else model.predict(self.data[0])


def rows(*columns: int, labels: bool = False) -> tuple[Callable, ...]:
    """Empty input and a wrong shape, for `fit` and for `log_prob`."""
    width = columns[-1]
    bad = bits(0, *columns), bits(4, *columns[:-1], width + 1)
    calls = [lambda model, x=bad[0]: model.log_prob(x), lambda model, x=bad[1]: model.log_prob(x)]
    return (*calls, lambda model, x=bad[0]: model.fit(x)) if not labels else tuple(calls)


TRAINED = {"epochs": 2, "batch_size": 8, "progress": False}
IMAGES, SERIES = bits(12, 1, 4, 6), randn(60).cumsum(0)
PIXELS = {"data": (IMAGES,), "shape": (2, 1, 4, 6), "options": TRAINED, "wrong": rows(1, 4, 6)}
PAIRS = torch.tensor([0, 3]), torch.tensor([1, 2])
NO_PAIRS = torch.tensor([], dtype=torch.int64)
TOKENS = torch.randint(5, (12, 7), generator=generator(3))
NO_TOKENS = (
    lambda m: m.log_prob(TOKENS[:0]),
    lambda m: m.log_prob(TOKENS[0]),
    lambda m: m.log_prob(TOKENS + 1),
    lambda m: m.fit(TOKENS[:0]),
)

# One example for each public model: a new model joins by a line here.
EXAMPLES = {
    "ARCH": Example(
        ARCH,
        (SERIES,),
        ask=lambda m: m.step_log_prob(SERIES).nan_to_num(),
        wrong=(lambda m: m.fit(SERIES[:0]), lambda m: m.fit(SERIES[None]), lambda m: m.step_log_prob(SERIES[:0])),
    ),
    "Autoregression": Example(
        lambda size: Autoregression(size, likelihood="exact"),
        (SERIES.diff(),),
        (2, 7),
        sample={"steps": 7},
        ask=lambda m: m.log_prob(SERIES.view(10, 6)),
        wrong=(lambda m: m.fit(SERIES[:0]), lambda m: m.fit(SERIES[None]), lambda m: m.log_prob(SERIES[None, :0])),
    ),
    "BayesianNetwork": Example(
        lambda size: BayesianNetwork({"b": ["a"]}, {"a": range(size), "b": range(3)}),
        (bits(30, 2).long(),),
        (2, 2),
        wrong=(lambda m: m.fit(bits(0, 2).long()), lambda m: m.log_prob(bits(4, 3).long())),
    ),
    "BernoulliMixture": Example(
        lambda k: BernoulliMixture(k, generator=generator()), (bits(30, 5),), (2, 5), wrong=rows(5)
    ),
    "CodePrior": Example(
        lambda size: CodePrior(size, (2, 3), 4, 1),
        (bits(12, 2, 3).long(),),
        (2, 2, 3),
        options=TRAINED,
        wrong=(
            lambda m: m.log_prob(bits(0, 2, 3).long()),
            lambda m: m.log_prob(bits(4, 3, 3).long()),
            lambda m: m.fit(bits(4, 2, 3).long() + 7),
        ),
    ),
    "Diffusion": Example(
        lambda size: Diffusion(TimeMLP(3, (4 * size,)), (3,)),
        (randn(12, 3),),
        (2, 3),
        options=TRAINED,
        wrong=(lambda m: m.fit(randn(0, 3)), lambda m: m.log_prob(randn(4, 2)), lambda m: m.sample(2, steps=0)),
    ),
    "DigitClassifier": Example(
        lambda size: DigitClassifier(),
        (bits(12, 784), torch.arange(12) % 10),
        options=TRAINED,
        wrong=(lambda m: m.predict(bits(0, 784)), lambda m: m.predict(bits(4, 783)), lambda m: m.features(bits(4, 9))),
    ),
    "FVSBN": Example(lambda size: FVSBN((size + 2, 6)), **PIXELS),
    "Flow": Example(
        lambda size: real_nvp(3, size, (8,), generator()), (randn(12, 3),), (2, 3), wrong=rows(3, labels=True)
    ),
    "GAN": Example(
        lambda size: GAN(mlp(size, 8, 3), nn.Sequential(mlp(3, 8, 1), nn.Flatten(0)), size),
        (randn(12, 3),),
        (2, 3),
        options=TRAINED,
        ask=lambda m: m.sample(4, generator()),
        wrong=(lambda m: m.fit(randn(0, 3)), lambda m: m.fit(randn(5)), lambda m: m.fit(randn(5, 3, 1), **TRAINED)),
    ),
    "GPT": Example(
        lambda size: GPT(5, width=4 * size, layers=1, heads=2, context=7, generator=generator()),
        (TOKENS,),
        (2, 7),
        options=TRAINED,
        wrong=NO_TOKENS,
    ),
    "GatedPixelCNN": Example(lambda size: GatedPixelCNN((size + 2, 6), 4, 2), **PIXELS),
    "GaussianMixture": Example(
        lambda k: GaussianMixture(k, generator=generator()), (randn(30, 3),), (2, 3), wrong=rows(3)
    ),
    "GenerativeClassifier": Example(
        lambda k: GenerativeClassifier(lambda: GaussianMixture(k, generator=generator())),
        (randn(30, 3), torch.arange(30) % 2),
        (2, 3),
        wrong=(*rows(3, labels=True), lambda m: m.fit(randn(0, 3), NO_PAIRS), lambda m: m.fit(randn(4, 3), NO_PAIRS)),
    ),
    "ImageMADE": Example(lambda size: ImageMADE((size + 2, 6), (8,), generator=generator()), **PIXELS),
    "KneserNey": Example(lambda size: KneserNey(size, 5), (TOKENS,), (2, 7), sample={"steps": 7}, wrong=NO_TOKENS),
    "MatrixFactorization": Example(
        lambda rank: MatrixFactorization(rank, sweeps=2, generator=generator()),
        (ratings(),),
        ask=lambda m: m.predict(*PAIRS),
        wrong=(lambda m: m.predict(NO_PAIRS, NO_PAIRS), lambda m: m.predict(PAIRS[0], PAIRS[1][:1])),
    ),
    "NeighborTable": Example(lambda size: NeighborTable((size + 2, 6)), **{**PIXELS, "options": {}}),
    "NeuralForecaster": Example(
        lambda size: NeuralForecaster(GRUMemory(4, generator()), size, generator()),
        (SERIES.view(10, 6),),
        (2, 7),
        options=TRAINED,
        sample={"steps": 7},
        wrong=(lambda m: m.fit(SERIES[None, :0]), lambda m: m.fit(SERIES), lambda m: m.log_prob(SERIES)),
    ),
    "NoisyMixture": Example(
        lambda size: NoisyMixture(torch.ones(size), torch.arange(3.0 * size).view(size, 3), torch.ones(int(size))),
        (randn(5, 3),),
        (2, 3),
        wrong=rows(3, labels=True),
    ),
    "PixelCNN": Example(lambda size: PixelCNN((size + 2, 6), 4, 2), **PIXELS),
    "RBM": Example(lambda size: RBM(size, epochs=2, generator=generator()), (bits(30, 5),), (2, 5), wrong=rows(5)),
    "SoftmaxRBM": Example(
        lambda size: SoftmaxRBM(size, levels=(1.0, 2.0, 3.0, 4.0, 5.0), epochs=2, generator=generator()),
        (ratings(),),
        ask=lambda m: m.predict_proba(*PAIRS),
        wrong=(lambda m: m.predict(NO_PAIRS, NO_PAIRS), lambda m: m.predict(PAIRS[0], PAIRS[1][:1])),
    ),
    "StandardNormal": Example(StandardNormal, (randn(5, 2),), (2, 2), wrong=rows(2, labels=True)),
    "UnitCube": Example(UnitCube, (bits(5, 2),), (2, 2), wrong=rows(2, labels=True)),
    "VAE": Example(
        lambda size: VAE(mlp(5, 8, 2 * size), mlp(size, 8, 5), size),
        (bits(12, 5),),
        (2, 5),
        options=TRAINED,
        ask=lambda m: m.log_prob(bits(12, 5), n_samples=3, generator=generator()),
        wrong=(lambda m: m.fit(bits(0, 5)), lambda m: m.log_prob(bits(5)), lambda m: m.elbo(bits(0, 5))),
    ),
    "VQVAE": Example(
        lambda size: VQVAE(
            nn.Conv2d(1, 3, 2, 2),
            nn.ConvTranspose2d(3, 1, 2, 2),
            VectorQuantizer(size, 3),
            CodePrior(size, (2, 3), 4, 1),
        ),
        (IMAGES,),
        (2, 1, 4, 6),
        options=TRAINED,
        ask=lambda m: m.elbo(IMAGES),
        wrong=(lambda m: m.fit(IMAGES[:0]), lambda m: m.elbo(IMAGES[:0]), lambda m: m.elbo(IMAGES[:, :, 0])),
    ),
}


def public_models() -> dict[str, type]:
    """The models that the families export."""
    found = {}
    for family in pkgutil.iter_modules(utils.models.__path__, "utils.models."):
        module = importlib.import_module(family.name)
        for name in getattr(module, "__all__", ()):
            kind = getattr(module, name)
            if inspect.isclass(kind) and any(callable(getattr(kind, method, None)) for method in METHODS):
                found[name] = kind
    return found


MODELS = public_models()


@pytest.fixture(autouse=True)
def _seeded():
    """Layers of PyTorch draw their first weights from its own random state."""
    torch.manual_seed(0)


def example_of(name: str) -> Example:
    if name not in EXAMPLES:
        pytest.fail(f"the model {name} has no example: add one to EXAMPLES in tests/test_models_contract.py")
    return EXAMPLES[name]


def models_with(*methods: str):
    """For each public model with one of these methods; without any, for each."""
    return [name for name, kind in sorted(MODELS.items()) if not methods or any(hasattr(kind, m) for m in methods)]


each_model = pytest.mark.parametrize("name", models_with())
each_with_fit = pytest.mark.parametrize("name", models_with("fit"))
each_with_density = pytest.mark.parametrize("name", models_with("log_prob"))
each_with_samples = pytest.mark.parametrize("name", models_with("sample"))
each_estimator = pytest.mark.parametrize(
    "name", [n for n, kind in sorted(MODELS.items()) if issubclass(kind, Estimator)]
)
# Whatever the data have: the other models follow them, or, as modules, their own parameters.
DTYPES = dict.fromkeys(("Autoregression", "BayesianNetwork", "KneserNey"), torch.float64) | {"RBM": torch.float32}


def equal(one, other) -> bool:
    return torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def first(drawn) -> Tensor:
    """The examples of a sample; a classifier draws labels, too."""
    return drawn[0] if isinstance(drawn, tuple) else drawn


def test_every_example_is_of_a_public_model():
    assert sorted(EXAMPLES) == sorted(MODELS)


def test_a_family_imports_no_other_family_and_no_module_grows_too_long():
    """Whoever imports one family waits for that one alone, and is stale when it changes, not when others do."""
    root = Path(utils.models.__path__[0])
    for file in root.rglob("*.py"):
        family, text = file.relative_to(root).parts[0], file.read_text(encoding="utf-8")
        for other in re.findall(r"^\s*(?:from|import) utils\.models\.(\w+)", text, re.MULTILINE):
            assert other in (family, "estimator", "weights"), f"{file.relative_to(root)} imports the family {other}"
        assert text.count("\n") <= 260, f"{file.relative_to(root)} has {text.count(chr(10))} lines: split it"


@each_model
def test_it_is_a_module_or_an_estimator_and_says_what_it_is(name):
    kind, example = MODELS[name], example_of(name)
    model = example.make(2)
    assert type(model) is kind
    assert issubclass(kind, nn.Module) != issubclass(kind, Estimator)
    assert repr(model).startswith(f"{name}(") and "0x" not in repr(model)
    assert inspect.getdoc(kind)


@each_with_fit
def test_fit_returns_the_model_and_history_has_its_name(name):
    example = example_of(name)
    model = example.make(2)
    assert model.fit(*example.data, **example.options) is model
    assert not hasattr(model, "history")
    if example.options:  # trained by `utils.training`: a list for each quantity that was recorded
        assert all(len(values) == example.options["epochs"] for values in model.history_.values()) and model.history_
        assert not model.training
    elif "history_" in getattr(model, "results", ()):
        assert all(isinstance(value, float) for value in model.history_) and model.history_


@each_estimator
def test_before_fit_an_estimator_says_so(name):
    example = example_of(name)
    with pytest.raises(NotFittedError, match="call fit"):
        example.answer(example.make(2))


@each_with_density
def test_log_prob_has_one_finite_number_a_row(name):
    example, model = example_of(name), example_of(name).fitted()
    answer = example.answer(model)
    assert answer.ndim == 1 and answer.is_floating_point() and answer.isfinite().all()
    assert len(answer) == (10 if name == "Autoregression" else len(example.data[0]))


@each_with_samples
def test_samples_have_their_shape_and_follow_the_generator(name):
    example, model = example_of(name), example_of(name).fitted()
    assert list(inspect.signature(model.sample).parameters)[:2] == ["n", "generator"]
    assert inspect.signature(model.sample).parameters["generator"].default is None
    state = torch.get_rng_state()
    one, same, other = (first(model.sample(2, generator(seed), **example.sample)) for seed in (0, 0, 1))
    assert equal(torch.get_rng_state(), state), "with a generator, PyTorch's own random state is left alone"
    assert one.shape == example.shape and equal(one, same)
    many = [first(model.sample(20, generator(seed), **example.sample)) for seed in (0, 1)]
    assert not equal(*many), other
    with pytest.raises(ValueError, match="n is 0: expected a whole number of at least 1"):
        model.sample(0, **example.sample)
    assert equal(first(model.sample(np.int64(2), generator(0), **example.sample)), one)


@each_model
def test_the_number_of_monte_carlo_samples_is_called_n_samples(name):
    for method, function in inspect.getmembers(MODELS[name], inspect.isfunction):
        parameters = inspect.signature(function).parameters
        assert "num_samples" not in parameters and method != "posterior"
        if "n" in parameters:  # how many to draw and give back; an average over draws takes `n_samples`
            assert method.startswith(("sample", "_", "noise", "autocovariance"))
        if "k" in parameters:
            assert method == "__init__" and name in ("RBM", "SoftmaxRBM")  # steps of contrastive divergence, CD-k


@each_model
def test_numpy_integers_are_whole_numbers(name):
    example = example_of(name)
    assert repr(example.make(np.int64(2))) == repr(example.make(2))
    torch.manual_seed(0)
    one = example.answer(example.fitted(np.int64(2)))
    torch.manual_seed(0)
    assert equal(one, example.answer(example.fitted(2)))


@pytest.mark.parametrize("form", ["torch", "safetensors"])
@each_model
def test_it_is_saved_and_loaded(name, form):
    example = example_of(name)
    model, fresh = example.fitted(), example.make(2)
    state = model.state_dict()
    assert all(isinstance(value, Tensor) for value in state.values())
    if form == "safetensors":
        state = load(save({key: value.contiguous() for key, value in state.items()}))
    else:
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    fresh.load_state_dict(state)
    if isinstance(fresh, nn.Module):
        fresh.eval()
        model.eval()
    assert equal(example.answer(fresh), example.answer(model))
    if state:
        with pytest.raises((ValueError, RuntimeError)):
            example.make(2).load_state_dict({"something": torch.zeros(1)})


@each_model
def test_a_deep_copy_is_equal_and_independent(name):
    example, model = example_of(name), example_of(name).fitted()
    twin = copy.deepcopy(model)
    answer = example.answer(model)
    assert equal(example.answer(twin), answer) and repr(twin) == repr(model)
    for value in twin.state_dict().values() if isinstance(twin, nn.Module) else vars(twin).values():
        if isinstance(value, Tensor):
            value.zero_()
    assert equal(example.answer(model), answer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", models_with("log_prob", "sample"))
def test_the_dtype_is_that_of_the_data_or_a_stated_one(name, dtype):
    example, model = example_of(name), example_of(name).make(2)
    model = model.to(dtype) if isinstance(model, nn.Module) else model
    data = tuple(x.to(dtype) if x.is_floating_point() else x for x in example.data)
    model = model.fit(*data, **example.options) if hasattr(model, "fit") else model
    expected = DTYPES.get(name, dtype)
    if hasattr(model, "log_prob"):
        assert model.log_prob(data[0][None] if name == "Autoregression" else data[0]).dtype == expected
    if hasattr(model, "sample"):
        drawn = first(model.sample(2, generator(), **example.sample))
        whole = ("BayesianNetwork", "CodePrior", "GPT", "KneserNey")
        assert drawn.dtype == (torch.int64 if name in whole else expected)


@each_model
def test_empty_input_and_wrong_shapes_say_what_was_given_and_expected(name):
    example, model = example_of(name), example_of(name).fitted()
    assert len(example.wrong) >= 2
    for call in example.wrong:
        with pytest.raises(ValueError, match=r"expected|needs|knows|units|give"):
            call(model)
