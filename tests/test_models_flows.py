"""Flows: every transform inverts, knows its volume, learns; densities integrate to 1; zuko and nflows agree."""

import math
from functools import partial

import pytest
import torch
import zuko
from torch import nn
from zuko.transforms import MonotonicRQSTransform

from utils.data import load
from utils.models.flows import (
    ActNorm,
    Affine,
    Autoregressive,
    Chain,
    Coupling,
    Dequantization,
    ElementwiseAffine,
    FactorOut,
    Flatten,
    Flow,
    Histogram,
    Inverse,
    InvertibleLinear,
    Logit,
    Permutation,
    Spline,
    Squeeze,
    StandardNormal,
    UnitCube,
    coarse_to_fine,
    convnet,
    glow,
    maf,
    mnist_flow,
    pixel_flow,
    real_nvp,
    spline_autoregressive,
    spline_coupling,
)
from utils.models.mixtures import GaussianMixture
from utils.nets import MADE, MLP
from utils.toys import moons

D = 5
IMAGE = (4, 4, 2)  # channels, height, width
ORDER = [3, 0, 4, 1, 2]
BARS = Histogram([0.0, 0.1, 0.15, 0.6, 1.0])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def shaken(module, scale=0.3, seed=1):
    """In float64, with every parameter moved, so that nothing is at the identity where it starts."""
    g = generator(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=g, dtype=torch.float64))
    return module


def net(inputs, outputs):
    return MLP(inputs, outputs, (16, 16), generator())


def conv(inputs, outputs):
    return convnet(inputs, outputs, 8, generator())


def reals(n, seed=0):
    return 2.5 * randn(n, D, seed=seed)  # some of it lies in the tails of the splines


def pictures(n, seed=0):
    return randn(n, *IMAGE, seed=seed)


def shares(n, seed=0):
    return torch.rand(n, D, generator=generator(seed), dtype=torch.float64)


def gray(n, seed=0):
    return torch.rand(n, 1, 4, 4, generator=generator(seed), dtype=torch.float64)


MAKERS = {
    "elementwise affine": (lambda: ElementwiseAffine(D), reals),
    "elementwise affine, image": (lambda: ElementwiseAffine(4), pictures),
    "actnorm": (lambda: ActNorm(D).eval(), reals),
    "permutation": (lambda: Permutation(ORDER), reals),
    "linear": (lambda: InvertibleLinear(D, generator()), reals),
    "1x1 convolution": (lambda: InvertibleLinear(4, generator()), pictures),
    "affine coupling": (lambda: Coupling(D, net), reals),
    "affine coupling, swapped": (lambda: Coupling(D, net, swap=True), reals),
    "affine coupling, image": (lambda: Coupling(4, conv, swap=True), pictures),
    "spline coupling": (lambda: Coupling(D, net, Spline(6, 3.0)), reals),
    "spline coupling, swapped": (lambda: Coupling(D, net, Spline(6, 3.0), swap=True), reals),
    "spline coupling, image": (lambda: Coupling(4, conv, Spline(4, 2.0)), pictures),
    "affine autoregressive": (lambda: Autoregressive(D, Affine(), (16, 16), generator=generator()), reals),
    "affine autoregressive, ordered": (lambda: Autoregressive(D, None, (16,), ORDER, generator()), reals),
    "spline autoregressive": (lambda: Autoregressive(D, Spline(5, 3.0), (16, 16), ORDER, generator()), reals),
    "histogram coupling": (lambda: Coupling(D, net, BARS), shares),
    "histogram autoregressive": (lambda: Autoregressive(D, BARS, (16, 16), ORDER, generator()), shares),
    "inverse autoregressive": (lambda: Inverse(Autoregressive(D, Affine(), (16,), generator=generator())), reals),
    "squeeze": (Squeeze, pictures),
    "flatten": (lambda: Flatten(IMAGE), pictures),
    "factor out": (lambda: FactorOut(IMAGE, Chain([Coupling(2, conv), Flatten((2, 4, 2))])), pictures),
    "logit": (lambda: Logit(0.05), shares),
    "chain": (lambda: Chain([ActNorm(D).eval(), Permutation(ORDER), Coupling(D, net, Spline(5, 3.0))]), reals),
    "coarse to fine": (lambda: coarse_to_fine(4, 1, BARS, 4, generator=generator()).transform, gray),
    "multiscale": (lambda: glow(IMAGE, levels=1, steps=2, hidden=8, generator=generator()).eval().transform, pictures),
}
EVERY = pytest.mark.parametrize("name", MAKERS)


def made(name):
    maker, data = MAKERS[name]
    return shaken(maker()), data


# --- a small vocabulary of assertions ---


def assert_close(a, b, atol=1e-9, rtol=1e-9):
    torch.testing.assert_close(a, b, atol=atol, rtol=rtol)


def assert_inverts(transform, x, atol=1e-9):
    z, log_det = transform(x)
    back, log_det_back = transform.inverse(z)
    assert_close(back, x, atol)
    assert_close(log_det_back, -log_det, atol)


def assert_volume(transform, x, atol=1e-9):
    """log_det is that of the Jacobian that autograd finds, row by row."""
    _, log_det = transform(x)
    assert_close(log_det, torch.stack([jacobian(transform, row).slogdet().logabsdet for row in x]), atol)


def jacobian(transform, row):
    def flat(values):
        return transform(values.view(1, *row.shape))[0].flatten()

    return torch.autograd.functional.jacobian(flat, row.flatten())


# --- every transform ---


@EVERY
def test_the_inverse_undoes_the_transform(name):
    transform, data = made(name)
    assert_inverts(transform, data(64))


@EVERY
def test_the_log_determinant_is_that_of_autograds_jacobian(name):
    transform, data = made(name)
    assert_volume(transform, data(4))


@EVERY
def test_shapes_dtypes_and_an_empty_batch(name):
    transform, data = made(name)
    for n in (7, 1, 0):
        x = data(n)
        z, log_det = transform(x)
        assert z.numel() == x.numel()
        assert log_det.shape == (n,)
        assert z.dtype == log_det.dtype == torch.float64
        assert transform.inverse(z)[0].shape == x.shape
    single = transform.float()(data(7).float())
    assert [part.dtype for part in single] == [torch.float32] * 2


@EVERY
def test_rows_do_not_depend_on_each_other(name):
    transform, data = made(name)
    x = data(6)
    z, log_det = transform(x)
    alone, log_det_alone = transform(x[2:3])
    assert_close(alone, z[2:3])
    assert_close(log_det_alone, log_det[2:3])


@EVERY
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_reach_the_input_and_every_parameter(name, direction):
    transform, data = made(name)
    x = data(32)
    given = (x if direction == "forward" else transform(x)[0].detach()).requires_grad_()
    out, log_det = getattr(transform, direction)(given)
    ((out * randn(*out.shape, seed=5)).sum() + log_det.sum()).backward()
    for tensor in (given, *transform.parameters()):
        assert tensor.grad.isfinite().all()
        if tensor.numel() > tensor.shape[0] or tensor.dim() == 1:
            assert tensor.grad.abs().sum() > 0


@EVERY
def test_gradients_agree_with_finite_differences(name):
    transform, data = made(name)
    x = data(3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: transform(values), x, atol=1e-5, nondet_tol=0)


@EVERY
def test_the_state_dict_carries_everything(name):
    transform, data = made(name)
    x = data(8)
    other = MAKERS[name][0]().double()
    other.load_state_dict(transform.state_dict())
    for a, b in zip(other(x), transform(x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"logit"}))  # that takes every shape
def test_a_wrong_shape_is_named(name):
    transform, data = made(name)
    x = data(4)
    wrong = torch.cat([x, x[:, :1]], 1) if name != "squeeze" else x[..., :1]
    with pytest.raises(ValueError, match=r"shape .*: expected"):
        transform(wrong)


# --- masks, permutations, first batches ---


@pytest.mark.parametrize("curve", [Affine(), Spline(5, 3.0)], ids=["affine", "spline"])
@pytest.mark.parametrize("order", [list(range(D)), ORDER])
def test_the_jacobian_of_an_autoregressive_transform_is_triangular_in_its_order(curve, order):
    transform = shaken(Autoregressive(D, curve, (16, 16), order, generator()))
    slopes = jacobian(transform, 0.5 * randn(D))[order][:, order]
    assert torch.equal(slopes, slopes.tril())
    assert (slopes.tril().abs() + torch.ones(D, D).triu(1) > 0).all()  # and nothing that is allowed is missing


@pytest.mark.parametrize("hidden", [(7,), (32, 16), (9, 20, 11)])
@pytest.mark.parametrize("seed", range(3))
def test_made_never_looks_ahead(hidden, seed):
    order = torch.randperm(6, generator=generator(seed))
    model = shaken(MADE(6, 3, hidden, order, generator()))
    x = randn(6, seed=seed)
    seen = torch.autograd.functional.jacobian(lambda row: model(row[None])[0], x).abs().sum(1) > 0  # (output, input)
    assert not seen[order][:, order].triu().any()
    assert seen[order][:, order][1:, 0].all()


def test_a_made_chain_asks_in_order_and_gives_what_one_pass_gives():
    model = shaken(MADE(D, 2, (16, 16), ORDER, generator()))
    asked, answers = [], {}

    def choose(i, params):
        asked.append(i)
        answers[i] = params
        return params.sum(1, keepdim=True).sin()

    x = model.chain(9, choose)
    assert asked == ORDER
    assert_close(model(x), torch.stack([answers[i] for i in range(D)], 1))


def test_actnorm_starts_from_the_first_batch_and_only_from_it():
    for norm, x in ((ActNorm(D), 3 * reals(200) + 7), (ActNorm(4), 3 * pictures(50) + 7)):
        z = norm.double()(x)[0].transpose(0, 1).flatten(1)
        assert_close(z.mean(1), torch.zeros(len(z)).double(), 1e-12)
        assert_close(z.var(1), torch.ones(len(z)).double(), 1e-12)
        before = norm(x)[0]
        norm(x + 100)
        assert torch.equal(norm(x)[0], before)


def test_actnorm_keeps_its_start_when_loaded_or_only_evaluated():
    trained, fresh = ActNorm(D).double(), ActNorm(D).double()
    trained(reals(50))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh(reals(9, 1))[0], trained(reals(9, 1))[0])
    untouched = ActNorm(D).double().eval()
    assert torch.equal(untouched(reals(9))[0], reals(9))


def test_permutations_and_squeeze_move_and_change_nothing():
    assert torch.equal(Permutation(ORDER)(reals(3))[0], reals(3)[:, ORDER])
    x = torch.arange(16.0).view(1, 1, 4, 4)
    z, log_det = Squeeze()(x)
    assert z[0, :, 0, 0].tolist() == [0, 1, 4, 5]
    assert torch.equal(Squeeze()(pictures(3))[0], nn.functional.pixel_unshuffle(pictures(3), 2))
    assert log_det.tolist() == [0]


def test_an_invertible_linear_starts_as_a_rotation():
    lower, upper = InvertibleLinear(6, generator()).double().factors()
    assert_close((lower @ upper).slogdet().logabsdet.item(), 0.0, 1e-5)
    layer = InvertibleLinear(6, generator()).double()
    x = randn(4, 6)
    assert_close(layer(x)[0].norm(dim=1), x.norm(dim=1), 1e-5)


# --- the spline ---


def spline_numbers(n, bins, scale=2.0, seed=3):
    return scale * randn(n, 3 * bins - 1, seed=seed)


def test_a_spline_rises_joins_its_tails_and_is_the_identity_there_and_at_zero():
    spline, x = Spline(7, 3.0), torch.linspace(-5, 5, 4001, dtype=torch.float64)
    params = spline_numbers(20, 7)[:, None].expand(20, len(x), -1)
    y, log_slope = spline.forward(x.expand(20, -1), params)
    assert (y.diff(dim=1) > 0).all()
    outside = x.abs() >= 3
    assert_close(y[:, outside], x[outside].expand(20, -1), 1e-12)
    assert_close(log_slope[:, outside], torch.zeros(20, int(outside.sum())).double(), 1e-12)
    middle = (y[:, 2:] - y[:, :-2]) / (x[2:] - x[:-2])  # a numerical slope
    assert_close(middle.log().median(), log_slope[:, 1:-1].median(), 1e-3)
    same, flat = spline.forward(x, torch.zeros(len(x), spline.n_params).double())
    assert_close(same, x, 1e-12)
    assert_close(flat, torch.zeros_like(x), 1e-12)


def test_a_spline_keeps_its_knots_and_slopes():
    bins, bound = 5, 2.0
    spline, params = Spline(bins, bound), spline_numbers(1, 5)[0]
    widths, heights, slopes = params.split([bins, bins, bins - 1])
    shares = [part.softmax(0) * (1 - bins * 1e-3) + 1e-3 for part in (widths, heights)]
    x, y = (bound * (2 * part.cumsum(0)[:-1] - 1) for part in shares)
    slopes = nn.functional.softplus(slopes + math.log(math.expm1(1 - 1e-3))) + 1e-3
    found, log_slope = spline.forward(x, params.expand(bins - 1, -1))
    assert_close(found, y)
    assert_close(log_slope.exp(), slopes)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_numbers_keep_a_spline_finite_and_invertible(scale, dtype):
    spline = Spline(8, 5.0)
    x = (3 * randn(2000)).to(dtype).requires_grad_()
    params = spline_numbers(2000, 8, scale).to(dtype).requires_grad_()
    y, log_slope = spline.forward(x, params)
    back, log_slope_back = spline.inverse(y, params)
    (y.sum() + log_slope.sum() + back.sum() + log_slope_back.sum()).backward()
    for tensor in (y, log_slope, back, log_slope_back, x.grad, params.grad):
        assert tensor.isfinite().all()
    if scale == 1.0 or (scale == 30.0 and dtype == torch.float64):  # beyond, it is too flat for the digits there are
        assert_close(back, x, 1e-3 if dtype == torch.float32 else 1e-6)


def test_splines_equal_nflows():
    reference = pytest.importorskip("nflows.transforms.splines.rational_quadratic")
    bins, x, params = 6, 3 * randn(500), spline_numbers(500, 6)
    spline = Spline(bins, 4.0)
    widths, heights, slopes = params.split([bins, bins, bins - 1], 1)
    given = dict(unnormalized_widths=widths, unnormalized_heights=heights, tail_bound=4.0, tails="linear")
    given["unnormalized_derivatives"] = slopes + math.log(math.expm1(1 - 1e-3))
    for ours, inverse in ((spline.forward, False), (spline.inverse, True)):
        theirs = reference.unconstrained_rational_quadratic_spline(x, inverse=inverse, **given)
        for a, b in zip(ours(x, params), theirs, strict=True):
            assert_close(a, b, 1e-8)


def test_splines_equal_zuko():
    bins, bound, x, params = 6, 4.0, 3 * randn(500), spline_numbers(500, 6)
    widths, heights, slopes = params.split([bins, bins, bins - 1], 1)
    theirs = MonotonicRQSTransform(widths, heights, slopes, bound=bound)
    for name, part in (("horizontal", widths), ("vertical", heights)):  # the same knots, from our shares
        shares = part.softmax(1) * (1 - bins * 1e-3) + 1e-3
        setattr(theirs, name, bound * (2 * nn.functional.pad(shares.cumsum(1), (1, 0)) - 1))
    slopes = nn.functional.softplus(slopes + math.log(math.expm1(1 - 1e-3))) + 1e-3
    theirs.derivatives = nn.functional.pad(slopes, (1, 1), value=1.0)
    for a, b in zip(Spline(bins, bound).forward(x, params), theirs.call_and_ladj(x), strict=True):
        assert_close(a, b, 1e-8)
    assert_close(Spline(bins, bound).inverse(x, params)[0], theirs.inv(x), 1e-8)


def test_a_histogram_has_the_probabilities_of_its_bins_and_is_the_identity_outside_and_at_zero():
    params = randn(BARS.n_params, seed=3)
    widths = BARS.edges.diff()
    shares = (params + widths.log()).softmax(0)
    middles = (BARS.edges[1:] + BARS.edges[:-1]) / 2
    y, log_slope = BARS.forward(middles, params.expand(len(middles), -1))
    assert_close(log_slope.exp(), shares / widths)
    assert_close(y, shares.cumsum(0) - shares / 2)
    given = Histogram(BARS.edges, shares=[0.4, 0.3, 0.2, 0.1])
    _, log_slope = given.forward(middles, torch.zeros(len(middles), 4, dtype=torch.float64))
    assert_close(log_slope.exp(), torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64) / widths)
    ends = torch.tensor([-2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    for curve in (BARS.forward, BARS.inverse):
        moved, log_slope = curve(ends, params.expand(4, -1))
        assert_close(moved, ends, 1e-12)
        assert log_slope[[0, 3]].tolist() == [0, 0]
        same, flat = curve(middles, torch.zeros(len(middles), BARS.n_params).double())
        assert_close(same, middles, 1e-12)
        assert_close(flat, torch.zeros_like(middles), 1e-12)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_histogram_stays_in_its_interval(scale):
    x, params = torch.rand(5000, generator=generator()), scale * randn(5000, BARS.n_params, seed=4).float()
    for curve in (BARS.forward, BARS.inverse):
        moved, log_slope = curve(x, params)
        assert 0 <= moved.min() <= moved.max() <= 1
        assert log_slope.isfinite().all()


# --- flows ---

BUILDERS = {
    "real_nvp": real_nvp,
    "maf": maf,
    "spline_coupling": partial(spline_coupling, bound=3.0),
    "spline_autoregressive": partial(spline_autoregressive, bound=3.0),
}
BUILT = pytest.mark.parametrize("name", BUILDERS)


def flow(name, dim=2, scale=0.1, **options):
    options = {"transforms": 3, "hidden": (16, 16), "generator": generator()} | options
    return shaken(BUILDERS[name](dim, **options), scale)


def grid(half=14.0, n=401):
    axis = torch.linspace(-half, half, n, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), (axis[1] - axis[0]) ** 2


@BUILT
def test_a_density_integrates_to_one(name):
    x, cell = grid()
    density = flow(name, transforms=2).log_prob(x).exp()
    assert (density * cell).sum().item() == pytest.approx(1, abs=1e-3)


def test_a_density_on_the_unit_cube_integrates_to_one_and_is_zero_outside():
    layers = [Coupling(2, net, BARS, swap=swap) for swap in (False, True)]
    model = shaken(Flow(layers, UnitCube(2)))
    axis = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    assert model.log_prob(torch.cartesian_prod(axis, axis)).exp().mean().item() == pytest.approx(1, abs=1e-3)
    outside = torch.tensor([[0.5, 1.1], [-0.1, 0.5]], dtype=torch.float64)
    assert model.log_prob(outside).tolist() == [-math.inf] * 2
    drawn = model.sample(2000, generator())
    assert 0 <= drawn.min() <= drawn.max() <= 1


@BUILT
def test_samples_follow_the_density(name):
    model, n = flow(name, transforms=2), 20_000
    x, cell = grid()
    weights = model.log_prob(x).exp().detach() * cell
    mean = weights @ x
    covariance = (x - mean).T @ ((x - mean) * weights[:, None])
    drawn = model.sample(n, generator(4))
    error = (covariance.diagonal() / n).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 5 * error).all()
    for low in (-1.0, 0.0, 1.0):  # the share in quadrants, and its standard error
        inside, expected = (drawn < low).all(1).double().mean(), weights[(x < low).all(1)].sum()
        assert abs(inside - expected) < 5 * (expected * (1 - expected) / n).sqrt() + 0.02


@BUILT
@pytest.mark.parametrize("dim", [2, 3, 12])
def test_a_flow_is_exact_and_starts_as_its_base(name, dim):
    x = 2 * randn(8, dim)
    model = flow(name, dim)
    assert_inverts(model, x)
    assert_volume(model, x[:3])
    z, log_det = model(x)
    normal = torch.distributions.Normal(0.0, 1.0)
    assert_close(model.log_prob(x), normal.log_prob(z).sum(1) + log_det)
    fresh = BUILDERS[name](dim, generator=generator()).double()
    assert_close(fresh.log_prob(x), normal.log_prob(x).sum(1), 1e-6)


@BUILT
def test_two_transforms_in_a_row_move_every_coordinate_by_another(name):
    slopes = jacobian(flow(name, 4, transforms=2), randn(4))
    others = slopes[~torch.eye(4, dtype=torch.bool)].view(4, 3)
    assert (others.abs().sum(1) > 0).all()


@BUILT
def test_the_generator_decides(name):
    a, b, c = (BUILDERS[name](4, generator=generator(seed)) for seed in (0, 0, 1))
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q)
    assert any(not torch.equal(p, q) for p, q in zip(a.parameters(), c.parameters(), strict=True))
    assert torch.equal(a.sample(5, generator(1)), b.sample(5, generator(1)))
    assert not a.sample(3).requires_grad
    assert a.double().sample(3).dtype == torch.float64


@pytest.mark.parametrize("name", ["real_nvp", "maf", "spline_coupling", "spline_autoregressive"])
@pytest.mark.parametrize("dim", [2, 6])
def test_as_many_parameters_as_zuko(name, dim):
    theirs = {
        "real_nvp": zuko.flows.RealNVP,
        "maf": zuko.flows.MAF,
        "spline_coupling": partial(
            zuko.flows.coupling.NICE, univariate=MonotonicRQSTransform, shapes=[(8,), (8,), (7,)]
        ),
        "spline_autoregressive": zuko.flows.NSF,
    }[name](dim, transforms=3, hidden_features=(64, 64))
    ours = BUILDERS[name](dim, transforms=3)
    count = [sum(parameter.numel() for parameter in model.parameters()) for model in (ours, theirs)]
    assert count[0] == count[1]


@pytest.mark.parametrize("dim", [3, 6])
def test_a_maf_equals_zukos_with_the_same_weights(dim):
    theirs = zuko.flows.MAF(dim, transforms=2, hidden_features=(16, 16)).double()
    ours = maf(dim, transforms=2, hidden=(16, 16)).double()
    x = randn(50, dim)
    total = torch.zeros(50).double()
    for mine, other in zip(ours.transform, theirs.transform.transforms, strict=True):
        for a, b in zip(mine.net.layers, (part for part in other.hyper if hasattr(part, "weight")), strict=True):
            a.load_state_dict({"weight": b.weight, "bias": b.bias})
        shift, raw = other.hyper(x).unflatten(1, (dim, 2)).unbind(2)
        found = mine.net(x)
        assert_close(found, torch.stack([shift, raw], 2))
        x, log_det = mine(x)
        total = total + log_det
    z, log_det = ours(randn(50, dim))
    assert_close(z, x)
    assert_close(log_det, total)


def test_any_distribution_can_be_the_base():
    covariances = torch.eye(2, dtype=torch.float64).expand(2, 2, 2)
    means = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    mixture = GaussianMixture.from_parameters(torch.tensor([0.3, 0.7], dtype=torch.float64), means, covariances)
    model = Flow(flow("real_nvp").transform, mixture)
    x, cell = grid()
    assert (model.log_prob(x).exp() * cell).sum().item() == pytest.approx(1, abs=1e-3)
    assert model.sample(10, generator()).shape == (10, 2)


@pytest.mark.parametrize("name", ["real_nvp", "spline_coupling"])
def test_a_trained_flow_beats_a_gaussian_on_two_moons(name):
    train, _ = moons(2000, generator(0))
    test, _ = moons(2000, generator(1))
    model = BUILDERS[name](2, hidden=(32, 32), generator=generator(2))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    g = generator(3)
    for _ in range(150):
        loss = -model.log_prob(train[torch.randint(len(train), (256,), generator=g)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    gaussian = torch.distributions.MultivariateNormal(train.mean(0), train.T.cov())
    with torch.no_grad():
        assert model.log_prob(test).mean() > gaussian.log_prob(test).mean() + 0.3


# --- images ---


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_multiscale_flow_is_exact(levels):
    model = shaken(glow((1, 8, 8), levels, steps=2, hidden=8, generator=generator()), 0.1).eval()
    x = randn(3, 1, 8, 8)
    assert model(x)[0].shape == (3, 64)
    assert_inverts(model, x)
    assert_volume(model, x[:2])
    assert model.sample(2, generator()).shape == (2, 1, 8, 8)


def test_a_multiscale_flow_has_its_levels_and_steps_and_its_halves_take_turns():
    model = glow((1, 8, 8), levels=2, steps=3, hidden=8)
    swaps = [part.swap for part in model.modules() if isinstance(part, Coupling)]
    assert swaps == [False, True, False] * 2
    kinds = [part for part in model.modules() if isinstance(part, ActNorm | InvertibleLinear | Squeeze | FactorOut)]
    assert len(kinds) == 6 + 6 + 2 + 1
    model = shaken(model).eval()
    slopes = jacobian(model, randn(1, 8, 8))
    first = Chain(list(model.transform)[:-1])  # all of the first level but the `FactorOut`
    assert_close(slopes[:32], jacobian(lambda x: (first(x)[0][:, :2],), randn(1, 8, 8)))


def test_a_multiscale_flow_of_pixels_learns():
    ink = torch.linspace(0, 15, 64).view(1, 1, 8, 8)
    x = (ink + torch.randn(256, 1, 8, 8, generator=generator())).round().clamp(0, 15)
    entrance = [Dequantization(16, generator=generator(1)), Logit(0.02)]
    model = glow((1, 8, 8), 2, 1, 16, before=entrance, generator=generator(2))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(60):
        loss = -model.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    per_pixel = x.flatten(1).long()
    counts = torch.stack([torch.bincount(pixel, minlength=16) for pixel in per_pixel.T]) + 0.1
    independent = (counts / counts.sum(1, keepdim=True)).log()  # (64, 16): the distribution of each pixel
    uniform = -64 * math.log(16)
    assert uniform + 30 < -loss.item() < independent.gather(1, per_pixel.T).sum(0).mean() + 20
    drawn = model.sample(20, generator(3))
    assert torch.equal(drawn, drawn.round())
    assert 0 <= drawn.min() <= drawn.max() <= 15


def test_a_flow_from_coarse_to_fine_starts_uniform_and_moves_all_but_one_pixel_by_others():
    model = coarse_to_fine(8, 2, Histogram(torch.arange(18) / 17), 8, generator=generator()).double()
    x = torch.rand(3, 1, 8, 8, generator=generator(), dtype=torch.float64)
    assert_close(model.log_prob(x), torch.zeros(3).double())
    slopes = jacobian(shaken(model), x[0])
    seen = (slopes != 0).sum(1)  # on how many pixels each coordinate of z depends
    assert seen.min() == 1
    assert (seen == 1).sum() == 1
    drawn = model.sample(5, generator())
    assert drawn.shape == (5, 1, 8, 8)
    assert_inverts(model, drawn)


def gray_mnist(part):
    mnist = load("mnist")
    return ((mnist.x_train[:2000] if part == "train" else mnist.x_test[mnist.test_part(200)]) * 255).round()


def test_a_flow_of_pixels_starts_with_the_gray_values_of_its_images():
    x = gray_mnist("train")
    flow = pixel_flow(x, hidden=4, generator=generator())
    with torch.no_grad():
        nats = -flow.log_prob(x[:100]).mean() / 784
    share = torch.bincount(x.flatten().long(), minlength=256).double() / x.numel()
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    assert abs(nats - entropy) < 0.1  # wide bins cost a little, and 100 images are not all
    black = (flow.sample(20, generator()) == 0).double().mean()
    assert abs(black - share[0]) < 0.02


def test_the_trained_flow_of_pixels_is_far_better_than_its_start():
    with torch.no_grad():
        bits = -mnist_flow(generator()).log_prob(gray_mnist("test")).mean() / 784 / math.log(2)
    assert bits < 1.25


@pytest.mark.parametrize("name", ["glow", "coarse to fine", "spline_coupling"])
def test_under_autocast_only_the_networks_are_coarse(name):
    """z and log_det keep full precision, and the inverse still undoes the transform."""
    model, x = {
        "glow": (glow((1, 8, 8), 2, 2, 8, generator=generator()).eval(), torch.rand(6, 1, 8, 8, generator=generator())),
        "coarse to fine": (
            coarse_to_fine(8, 1, BARS, 8, generator=generator()),
            torch.rand(6, 1, 8, 8, generator=generator()),
        ),
        "spline_coupling": (spline_coupling(6, generator=generator()), randn(6, 6).float()),
    }[name]
    model = shaken(model, 0.1).float()
    with torch.no_grad():
        exact = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            z, log_det = model(x)
            assert_close(model.inverse(z)[0], x, 1e-3)
    assert z.dtype == log_det.dtype == torch.float32
    assert not torch.equal(log_det, exact[1])
    assert_close(log_det, exact[1], 1.0, 0.05)


@pytest.mark.parametrize("make", [maf, spline_autoregressive])
def test_under_autocast_an_autoregressive_flow_keeps_full_precision(make):
    """Step by step a coarse network would say something else than in one pass, and z would be another x's."""
    model, x = shaken(make(5, 3, generator=generator()), 0.1).float(), randn(50, 5).float()
    with torch.no_grad():
        z, log_det = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert_close(model.inverse(z)[0], x, 1e-4)
            assert torch.equal(model(x)[0], z)
            assert torch.equal(model(x)[1], log_det)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_bytes_are_dequantized(dtype):
    x = torch.tensor([[0, 7, 255], [128, 255, 1]], dtype=dtype)
    transform = Dequantization(256, generator=generator())
    z, _ = transform(x)
    assert torch.equal(transform.inverse(z)[0], x.float())
    flow = Flow([Dequantization(256, generator=generator())], UnitCube(3))
    assert_close(flow.log_prob(x), torch.full((2,), -3 * math.log(256)), 1e-4)
    assert flow.double().log_prob(x).dtype == torch.float64
    with pytest.raises(ValueError, match="expected whole numbers from 0 to 199"):
        Dequantization(200)(x)


def test_whole_numbers_are_data_and_other_dtypes_are_named():
    model, x = shaken(real_nvp(2, generator=generator())).float(), torch.tensor([[1, -2], [0, 3]])
    assert torch.equal(model.log_prob(x), model.log_prob(x.float()))
    with pytest.raises(TypeError, match=r"x has dtype torch.float64: expected torch.float32"):
        model.log_prob(x.double())
    with pytest.raises(TypeError, match=r"x is a list: expected a torch\.Tensor"):
        model.log_prob([[0.0, 1.0]])


def test_dequantized_values_round_back_and_uniform_noise_loses_only_the_cell():
    x = torch.randint(8, (50, D), generator=generator()).double()
    transform = Dequantization(8, generator=generator(1))
    z, log_det = transform(x)
    assert torch.equal(transform.inverse(z)[0], x)
    assert (x <= 8 * z).all() and (8 * z < x + 1).all()
    assert_close(log_det, torch.full((50,), -D * math.log(8), dtype=torch.float64))
    uniform = log_det.exp()  # a density of 1 on the unit cube gives each of the 8^D images the same probability
    assert_close(uniform, torch.full((50,), 8.0**-D, dtype=torch.float64))


@pytest.mark.parametrize("learned", [False, True])
def test_the_bound_of_dequantization_is_below_the_probability_and_tight_for_the_true_noise(learned):
    """Two levels, one pixel, p(v) = 2 v on [0, 1): P(1) = 3/4. The best noise has density p((1 + u) / 2) / 2 P(1)."""
    x, n = torch.ones(40_000, 1, dtype=torch.float64), 40_000
    network = nn.Linear(1, 2).double() if learned else None
    if learned:
        with torch.no_grad():
            network.weight.zero_()
            network.bias.copy_(torch.tensor([0.4, 0.55]))  # near the best noise
    z, log_det = Dequantization(2, network, generator())(x)
    terms = (2 * z[:, 0]).log() + log_det
    bound, error = terms.mean().item(), terms.std().item() / math.sqrt(n)
    assert bound < math.log(0.75) + 3 * error
    assert terms.exp().mean().item() == pytest.approx(0.75, abs=5 * terms.exp().std().item() / math.sqrt(n))
    if not learned:  # E log(1 + u) − log 2
        assert bound == pytest.approx(2 * math.log(2) - 1 - math.log(2), abs=5 * error)


# --- errors ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: real_nvp(1), "dim is 1: expected at least 2"),
        (lambda: maf(1), "dim is 1: expected at least 2"),
        (lambda: real_nvp(3, hidden=()), "hidden is empty"),
        (lambda: Permutation([0, 2, 2]), "each of the numbers 0 to 2 once"),
        (lambda: Permutation([[0, 1]]), "each of the numbers 0 to 1 once"),
        (lambda: Autoregressive(3, order=[0, 1]), "each of the numbers 0 to 2 once"),
        (lambda: MADE(3, order=[0.0, 1.0, 2.0]), "each of the numbers 0 to 2 once"),
        (lambda: Affine(0), "limit is 0"),
        (lambda: Spline(1), "bins is 1: expected a whole number of at least 2"),
        (lambda: Spline(2.0), "bins is 2.0"),
        (lambda: Spline(8, -1.0), "bound is -1.0"),
        (lambda: Spline(8, 5.0, min_share=0.2), "less than 1 / bins = 0.125"),
        (lambda: Spline(8, 5.0, min_slope=1.5), "min_slope is 1.5"),
        (lambda: Histogram([0, 1]), "at least three rising numbers from 0 to 1"),
        (lambda: Histogram([0, 0.6, 0.4, 1]), "at least three rising numbers from 0 to 1"),
        (lambda: Histogram([0, 0.5, 2]), "at least three rising numbers from 0 to 1"),
        (lambda: Histogram([0, 0.5, 1], shares=[0.2, 0.2]), "expected 2 numbers above 0 with sum 1"),
        (lambda: Histogram([0, 0.5, 1], shares=[1.0]), "expected 2 numbers above 0 with sum 1"),
        (lambda: coarse_to_fine(6, 2, BARS), "cannot be halved 2 times"),
        (lambda: Logit(0.5), "alpha is 0.5"),
        (lambda: Logit()(torch.tensor([[1.5]])), "expected values from 0 to 1"),
        (lambda: Dequantization(1), "levels is 1"),
        (lambda: Dequantization(4)(torch.tensor([[4]])), "whole numbers from 0 to 3"),
        (lambda: Dequantization(4)(torch.tensor([[0.5]])), "whole numbers from 0 to 3"),
        (lambda: FactorOut((3, 4, 4), Flatten((1, 4, 4))), "an even number of channels"),
        (lambda: glow((1, 6, 6), levels=2), "cannot be halved 2 times"),
        (lambda: Squeeze()(torch.zeros(1, 1, 3, 4)), "even H and W"),
        (lambda: Squeeze().inverse(torch.zeros(1, 3, 4, 4)), "a multiple of 4"),
        (lambda: ActNorm(2)(torch.zeros(1, 2)), "at least 2 for a variance"),
        (lambda: real_nvp(3).log_prob(torch.zeros(4, 2)), r"\(4, 2\): expected \(B, 3\)"),
        (lambda: maf(3).inverse(torch.zeros(4, 2)), r"\(4, 2\): expected \(B, 3\)"),
        (lambda: real_nvp(3).log_prob(torch.zeros(3)), r"\(3,\): expected \(B, 3\)"),
        (lambda: real_nvp(2).log_prob(torch.tensor([[0.0, math.nan]])), "x holds values that are not finite"),
        (lambda: real_nvp(2).inverse(torch.tensor([[0.0, math.inf]])), "z holds values that are not finite"),
        (lambda: real_nvp(2).sample(-1), "n is -1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_standard_normal_equals_torch():
    z = randn(6, 4)
    assert_close(StandardNormal(4).log_prob(z), torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1))
