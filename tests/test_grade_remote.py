"""A check gives the same verdict when the function lives in another process, and nothing there can forge one."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, func
from torch.utils._pytree import tree_leaves

from utils.checks import engine, exercise_ids, run_check
from utils.course.grading import remote, rpc
from utils.course.grading.gradients import GradientLink as Link
from utils.course.grading.remote import judge, serve
from utils.course.grading.stream import SIZES, BadReply, Ended

ROOT = Path(__file__).resolve().parents[1]
ID = "gmm.e_step"


@contextlib.contextmanager
def served(**namespace):
    """A link to a thread that serves these functions. (A thread is enough: nothing passes but by the socket.)"""
    here, there = socket.socketpair()
    student = threading.Thread(target=serve, args=(there, namespace), daemon=True)
    student.start()
    link = Link(here)
    try:
        yield link
    finally:
        link.close()
        student.join(5)
        there.close()
        assert not student.is_alive()


@contextlib.contextmanager
def called(call: str, function):
    """A function of a student's, called from here."""
    with served(**{call.partition("(")[0]: function}) as link:
        yield link.ask_function("begin", "no.exercise", call, 0)


def remotely(id: str, answer, seed: int = 0) -> engine.Verdict:
    with served(**{engine.function_name(id): answer}) as link:
        return judge(link, id, seed)


def outcome(verdict: engine.Verdict) -> tuple[str, str, str, str]:
    return verdict.status, verdict.message, verdict.hint, verdict.printed


# --- the same verdicts as in one process -----------------------------------------------------------------------------


def answers(id: str) -> Iterator[Callable]:
    """Answers of all kinds: the stub, the solution, one wrong one, and all others where more than data is passed.

    What the socket can change is how values, calls and gradients travel, so that a check that passes data alone needs
    no more. A challenge's answers take long: of them there is the first wrong one.
    """
    import test_checks as checks

    def stub(*inputs):
        raise NotImplementedError(id)

    yield stub
    wrong = [answer.function for answer in checks.wrong_answers() if answer.id == id]
    yield wrong[0]
    if checks.tier(id) == "challenge" and (checks.SEEDS < 5 or id != "dist.compress"):
        return
    passed = []
    yield watched(checks.solution(id), passed)
    if checks.SEEDS >= 5 or any(leaf.requires_grad if isinstance(leaf, Tensor) else callable(leaf) for leaf in passed):
        yield from wrong[1:]
        yield from (answer for one, answer in checks.right_answers() if one == id)


def watched(function: Callable, passed: list) -> Callable:
    """The function; the values that go into it and come out are added to `passed`."""

    @functools.wraps(function)
    def call(*inputs):
        result = function(*inputs)
        passed.extend(tree_leaves([inputs, result]))
        return result

    return call


@pytest.mark.skipif(not (ROOT / "solutions").is_dir(), reason="solutions/ is withheld")
@pytest.mark.parametrize("id", exercise_ids())
def test_the_verdicts_are_the_same_as_in_one_process(id):
    for answer in answers(id):
        here, there = outcome(run_check(id, answer, 0)), outcome(remotely(id, answer, 0))
        if id in ("flow.dequantize", "dist.compress"):  # an answer draws noise of its own
            here, there = ([re.sub(r"\d", "0", text) for text in texts] for texts in (here, there))
        assert there == here, answer.__name__


@pytest.mark.skipif(not (ROOT / "solutions").is_dir(), reason="solutions/ is withheld")
def test_a_function_that_an_answer_returns_is_called():
    import test_checks as checks

    verdict = remotely("gmm.held_out", checks.solution("gmm.held_out"))
    assert verdict.status == "passed" and "it integrates to 1.0" in verdict.message


def test_returned_modules_are_called():
    def train_vae(x_train):
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Linear(64, 6), Halves())
        return encoder, torch.nn.Linear(3, 64)

    here, there = outcome(run_check("vae.train", train_vae)), outcome(remotely("vae.train", train_vae))
    assert there == here and "worse than independent pixels" in there[1]


class Halves(torch.nn.Module):
    def forward(self, x):
        return x.float().chunk(2, dim=-1)


def right(log_weights, log_prob):
    return (log_weights + log_prob).softmax(-1)


class Hostile:
    def __getattribute__(self, name):
        raise RuntimeError("do not touch")


class Odd:
    pass


@pytest.mark.parametrize(
    "answer",
    [
        lambda log_weights, log_prob: None,
        lambda log_weights, log_prob: right(log_weights, log_prob).numpy(),
        lambda log_weights, log_prob: right(log_weights, log_prob).tolist(),
        lambda log_weights, log_prob: right,
        lambda log_weights, log_prob: Odd(),
        lambda log_weights, log_prob: Hostile(),
        lambda log_weights, log_prob: sys.exit(3),
        lambda log_weights, log_prob: log_prob.add_(1),
        lambda log_weights, log_prob: print("mine"),
        lambda log_weights: log_weights,
        torch.zeros(2),
        None,
        torch.nn.Softmax,
    ],
)
def test_odd_answers_are_judged_the_same(answer):
    assert outcome(remotely(ID, answer)) == outcome(run_check(ID, answer))


def test_an_error_in_the_checks_own_function_is_told_with_the_students_line():
    def penalty(critic, real, fake, u):
        return critic(real, fake)  # one too many

    id = "gan.gradient_penalty"
    verdict = remotely(id, penalty)
    assert outcome(verdict) == outcome(run_check(id, penalty))
    assert verdict.status == "raised" and "`return critic(real, fake)  # one too many`" in verdict.message


def test_what_the_checks_own_function_says_is_said_and_may_be_swallowed():
    def wrong(critic, real, fake, u):
        return critic(real[0])

    def swallowed(critic, real, fake, u):
        with contextlib.suppress(Exception):
            critic(real[0])
        return torch.zeros(())

    id = "gan.gradient_penalty"
    assert outcome(remotely(id, wrong)) == outcome(run_check(id, wrong))
    assert "The critic got torch.Size([3])" in remotely(id, wrong).message
    assert outcome(remotely(id, swallowed)) == outcome(run_check(id, swallowed))


def test_a_function_that_is_not_there_is_named():
    with served(m_step=right) as link:
        verdict = judge(link, ID, 0)
        assert verdict.status == "wrong" and verdict.message == "Your notebook does not define `e_step`."
        assert not link.closed


def test_a_link_serves_one_exercise_after_the_other():
    with served(e_step=right, elbo=right) as link:
        assert [judge(link, id, 3).status for id in (ID, "gmm.elbo", ID)] == ["passed", "wrong", "passed"]


def test_the_seed_stays_here(monkeypatch):
    sent = []
    monkeypatch.setattr(rpc, "packed", lambda *frame, packed=rpc.packed: sent.append(frame[0]) or packed(*frame))
    assert remotely(ID, right, 123456789).status == "passed"
    assert sent and "123456789" not in json.dumps(sent)


# --- values ----------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")
KINDS = [
    torch.bool,
    torch.uint8,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.complex64,
]
VALUES = [
    *[None, True, False, 0, -(2**62), 1.5, -0.0, 1e-320, math.inf, -math.inf, math.nan, "", "naïve ∂\n"],
    *[[], (), [1, (2.0, "3"), {"a": [True, None]}], {"b": 1, "a": 2}, {(1, "x"): {2: 3}}, {1, 2}, frozenset({"a"})],
    *[torch.arange(6).reshape(2, 3).to(kind) for kind in KINDS],
    *[torch.tensor(2.5), torch.zeros(0, 3), torch.ones(3).expand(4, 3), torch.ones(1).expand(1, 1), torch.eye(3)[:, 1]],
    *[torch.tensor([1 + 2j, 3]).conj(), torch.tensor([math.nan, math.inf])],
    *[np.arange(6).reshape(2, 3).T, np.float32(0.1), np.bool_(True), np.int64(3), np.arange(3, dtype=">f8")],
]


def assert_same(mine, theirs):
    assert type(theirs) is type(mine)
    if isinstance(mine, torch.Tensor):
        torch.testing.assert_close(theirs, mine, rtol=0, atol=0, equal_nan=True)
    elif isinstance(mine, np.ndarray | np.generic):
        assert theirs.dtype == mine.dtype.newbyteorder("=")
        np.testing.assert_array_equal(theirs, mine)
    elif isinstance(mine, list | tuple):
        for one, other in zip(mine, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(mine, dict):
        assert_same(list(mine.items()), list(theirs.items()))
    elif isinstance(mine, float):
        assert theirs.hex() == mine.hex()
    else:
        assert theirs == mine


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_travel_both_ways(value):
    with called("pick(take)", lambda take: (value, take(value))) as pick:
        there = []
        assert_same((value, 5), pick(lambda got: there.append(got) or 5))
        assert_same(value, there[0])


def test_kinds_of_containers_become_plain_ones():
    with called("pick(index)", lambda index: [Pair(1, 2), OrderedDict(a=1), torch.ones(2, 3).max(0)][index]) as pick:
        assert pick(0) == (1, 2) and pick(1) == {"a": 1}
        assert_same((torch.ones(3), torch.zeros(3).long()), pick(2))


@pytest.mark.parametrize(
    ("value", "name"), [(Odd(), "Odd"), (b"x", "bytes"), (2j, "complex"), (10**30, "int"), (np.array(["a"]), "ndarray")]
)
def test_what_does_not_travel_is_known_by_its_name(value, name):
    with called("pick(index)", lambda index: value) as pick:
        assert type(pick(0)).__name__ == name and type(pick(0)).__module__ == type(value).__module__


def test_functions_come_home_as_themselves():
    def mine(x):
        return x

    with called("same(f)", lambda f: f) as same:
        assert same(mine) is mine


def test_named_arguments_travel():
    with called("use(f)", lambda f: f(1, b=2)) as use:
        assert use(lambda a, b: (a, b)) == (1, 2)


@pytest.mark.parametrize("huge", [lambda: torch.zeros(2**25), lambda: [0] * 200_000, lambda: "x" * 3_000_000])
def test_what_is_too_large_is_told_over_there(huge):
    with served(e_step=lambda log_weights, log_prob: huge()) as link:
        verdict = judge(link, ID, 0)
        assert verdict.status == "wrong" and re.search("to be judged|much too long", verdict.message)


# --- gradients -------------------------------------------------------------------------------------------------------


def draws(*shapes: tuple) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def test_first_and_second_derivatives():
    with called("f(x, w)", lambda x, w: (x**3 @ w, {"other": (x * x.exp()).sum()})) as f:

        def flat(x, w):
            first, rest = f(x, w)
            return first, rest["other"]

        inputs = draws((4, 3), (3, 2))
        assert torch.autograd.gradcheck(flat, inputs) and torch.autograd.gradgradcheck(flat, inputs)


def test_a_third_derivative():
    (x,) = draws((3,))
    with called("f(x)", lambda x: x**4) as f:
        y = f(x)
        for _ in range(3):
            (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        torch.testing.assert_close(y, 24 * x)


def test_an_input_that_is_not_used_has_no_gradient():
    x, unused = draws((3,), (3,))
    with called("f(x, unused)", lambda x, unused: (2 * x, unused.detach())) as f:
        y, detached = f(x, unused)
        assert not detached.requires_grad
        gradients = torch.autograd.grad(y.sum(), [x, unused], allow_unused=True)
        assert gradients[1] is None
        torch.testing.assert_close(gradients[0], torch.full_like(x, 2))


def test_an_argument_that_is_no_leaf_and_a_result_that_is_the_argument():
    (x,) = draws((3,))
    with called("same(x)", lambda x: x) as same:
        torch.testing.assert_close(torch.autograd.grad(same(x.square()).sum(), x)[0], 2 * x)


def assert_same_derivatives(function, critic, x, held):
    """`function(critic, x)` and its first and second derivatives by what the critic holds are those of one process."""
    with called("function(critic, x)", function) as there:
        value, truth = there(critic, x), function(critic, x)
        torch.testing.assert_close(value, truth)
        gradient, true_gradient = (torch.autograd.grad(v, held, create_graph=True)[0] for v in (value, truth))
        torch.testing.assert_close(gradient, true_gradient)
        second, true_second = (torch.autograd.grad(g.square().sum(), held)[0] for g in (gradient, true_gradient))
        torch.testing.assert_close(second, true_second)


def test_gradients_pass_through_the_graders_own_functions_and_what_they_hold():
    (held,) = draws((3,))
    x = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)

    def slope_length(critic, x):
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return slope.norm()

    def critic(x):
        return 0.5 * (held * x.square()).sum(1)

    assert_same_derivatives(slope_length, critic, x, held)


def test_gradients_pass_through_a_students_own_parameters_from_function_to_function():
    network = torch.nn.Linear(3, 1).double()
    (x,) = draws((2, 3))
    with called("parts(nothing)", lambda nothing: (network, lambda y: y.square().sum())) as parts:
        forward, loss = parts(None)
        there, here = loss(3 * forward(x)), (3 * network(x)).square().sum()
        assert forward(x.detach()).requires_grad
        torch.testing.assert_close(torch.autograd.grad(there, x), torch.autograd.grad(here, x))


def test_grad_mode_travels():
    (x,) = draws((3,))
    with called("ask(x)", lambda x: (torch.is_grad_enabled(), 2 * x)) as ask:
        assert ask(x)[0] and ask(x)[1].requires_grad
        with torch.no_grad():
            assert not ask(x)[0] and not ask(x)[1].requires_grad


# torch loads its own rules for forward derivatives in a way that it deprecates
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "slope",
    [
        lambda f, x: func.vmap(func.grad(f))(x),
        lambda f, x: func.grad(lambda x: f(x).sum())(x),
        lambda f, x: func.vmap(func.jacrev(f))(x),
        lambda f, x: func.jacfwd(f)(x).diagonal(),
        lambda f, x: func.jvp(f, (x,), (torch.ones_like(x),))[1],
        lambda f, x: func.vjp(f, x)[1](torch.ones_like(x))[0],
    ],
    ids=["vmap grad", "grad", "vmap jacrev", "jacfwd", "jvp", "vjp"],
)
def test_the_graders_own_functions_can_be_transformed(slope):
    def log_prob_1d(f, x):
        return torch.distributions.Normal(0, 1).log_prob(f(x)) + slope(f, x).abs().log()

    assert remotely("flow.log_prob_1d", log_prob_1d).status == "passed"


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "slope",
    [
        lambda f, x: func.grad(lambda x: f(x).sum())(x),
        lambda f, x: func.vmap(func.grad(lambda x: f(x[None])[0]))(x),
        lambda f, x: func.vmap(func.jacrev(lambda x: f(x[None])[0]))(x),
        lambda f, x: torch.stack([func.jacfwd(lambda x: f(x[None])[0])(row) for row in x]),
        lambda f, x: func.vjp(f, x)[1](x.new_ones(len(x)))[0],
        lambda f, x: func.grad(lambda x: 0.5 * func.grad(lambda x: f(x).sum())(x).square().sum())(x),
    ],
    ids=["grad", "vmap grad", "vmap jacrev", "jacfwd", "vjp", "grad of grad"],
)
def test_what_the_graders_functions_hold_gets_gradients_through_transforms(slope):
    (held,) = draws((3,))
    (x,) = draws((4, 3))

    def critic(x):
        return (held * x.square() + held.square() * x.exp()).sum(1)

    def length(critic, x):
        return slope(critic, x.detach()).norm()

    assert_same_derivatives(length, critic, x, held)


def test_a_transform_of_a_transform_and_of_two_results():
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    with called("second(f, x)", lambda f, x: func.vmap(func.grad(func.grad(f)))(x)) as second:
        torch.testing.assert_close(second(lambda x: x**3, x), 6 * x)
    with called("both(f, x)", lambda f, x: func.vmap(func.jacrev(f))(x)) as both:
        cubes, ones = both(lambda x: (x**3, x + 1), x)
        torch.testing.assert_close(cubes, 3 * x**2)
        torch.testing.assert_close(ones, torch.ones_like(x))


# --- a student's side that means harm --------------------------------------------------------------------------------


def frame(header, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return SIZES.pack(len(text), len(data)) + text + data


def returned(value, data: bytes = b"") -> bytes:
    return frame(["return", [], [], None, value], data)


FUNCTION = returned(["function", 0, "builtins", "function"])


@contextlib.contextmanager
def hostile(*replies: bytes):
    """A link to one that answers each frame with the next of these bytes, whatever it was asked, and then hangs up."""
    here, there = socket.socketpair()

    def answer():
        with contextlib.suppress(OSError), there:
            for reply in replies:
                there.recv(2**20)
                there.sendall(reply)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    link = Link(here)
    try:
        yield link
    finally:
        link.close()
        thread.join(5)


def deep(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = ["list", value]
    return value


BYTES = b"\0" * 120
BAD_FRAMES = {
    "4 GiB of header": SIZES.pack(2**32 - 1, 0),
    "4 GiB of data": SIZES.pack(2, 2**32 - 1) + b"[]",
    "no JSON": frame(b"{]"),
    "no text": frame(b"\xff\xfe["),
    "100,000 lists in each other": frame(b"[" * 100_000),
    "100,000 lists in each other, closed": frame(b"[" * 100_000 + b"]" * 100_000),
    "NaN": frame(b'["return", [], [], null, NaN]'),
    "infinity": frame(b'["return", [], [], null, -Infinity]'),
    "a float": frame(b'["return", [], [], null, 1e400]'),
    "a number of 5,000 digits": frame(b'["return", [], [], null, ' + b"9" * 5000 + b"]"),
    "an object": frame({"return": 1}),
    "an empty list": frame([]),
    "an unknown kind": frame(["passed", "Well done.", ""]),
    "too few parts": frame(["return", None]),
    "half a frame": frame(["return", [], [], None, 1])[:-3],
    "half a size": b"\0\0",
    "nothing": b"",
    "passed": frame(["error", "Exception", "Wrong", "", ["passed", "Well done.", ""]]),
    "no outcome": frame(["error", "Exception", "ValueError", "", None]),
    "a message that is none": frame(["error", "Exception", "Wrong", "", ["wrong", 3, ""]]),
    "an unknown function": frame(["call", 12345, True, ["list", ["list"], ["dict"]]]),
    "a negative function": frame(["call", -1, True, ["list", ["list"], ["dict"]]]),
    "a service of the student's side": frame(["call", "begin", True, ["list", ["list"], ["dict"]]]),
    "a method": frame(["call", "__init__", True, ["list", ["list"], ["dict"]]]),
    "a call without arguments": frame(["call", 0, True, ["list"]]),
    "names that are none": frame(["call", "gradients", True, ["list", ["list"], ["dict", 1, 2]]]),
    "gradients of nothing": frame(["call", "gradients", True, ["list", ["list", 0, ["list"], ["list"]], ["dict"]]]),
    "a graph of nothing": frame(["return", [["float64", [1]]], [["yours", 0]], 0, ["attached", 0]], b"\0" * 8),
    "a graph of integers": frame(["return", [["int64", [1]]], [["mine", 0, "float64", [1]]], 0, 1], b"\0" * 8),
    "a huge leaf": frame(["return", [["float64", [0]]], [["mine", 0, "float64", [2**40]]], 0, 1]),
    "a text in the place of a tensor": frame(["return", ["ab"], ["cd"], 0, 1]),
}
BAD_VALUES = {
    "a negative shape": (["tensor", "float64", [-5, -3], None], BYTES),
    "a shape beyond its bytes": (["tensor", "float64", [5, 4], None], BYTES),
    "bytes beyond the shape": (["tensor", "float64", [5, 2], None], BYTES),
    "a shape of floats": (["tensor", "float64", ["float", "0x1p2"], None], BYTES),
    "a shape of truths": (["tensor", "float64", [True], None], b"\0" * 8),
    "an unknown type": (["tensor", "object", [5, 3], None], BYTES),
    "a type that is an attribute": (["tensor", "load", [5, 3], None], BYTES),
    "a type that is a list": (["tensor", ["float64"], [5, 3], None], BYTES),
    "too many axes": (["tensor", "float64", [1] * 40, None], b"\0" * 8),
    "no bytes, but a huge axis": (["tensor", "float64", [0, 2**40], None], b""),
    "an integer with a gradient": (["tensor", "int64", [1], 7], b"\0" * 8),
    "an unknown function": (["yours", 99], b""),
    "an attached tensor that is none": (["attached", 0], b""),
    "21 levels": (deep(21), b""),
    "very many values": (["list", *[0] * 150_000], b""),
    "an object": ({"list": []}, b""),
    "an unknown value": (["pickle", "x"], b""),
    "a key without a value": (["dict", "a"], b""),
    "a key that is a list": (["dict", ["list"], 1], b""),
    "a float that is code": (["float", "__import__('os')"], b""),
    "a name that is a number": (["opaque", 1, "x"], b""),
    "a very long text": ("x" * 20_000, b""),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
def test_a_bad_frame_is_a_verdict(name, at_once):
    with hostile(*[FUNCTION] * (not at_once), BAD_FRAMES[name]) as link:
        verdict = judge(link, ID, 0)
        assert verdict.status in ("wrong", "raised") and verdict.seconds < 1
        assert "cannot be read" in verdict.message or "ended the process" in verdict.message
        assert link.closed
        assert judge(link, ID, 0).status == "raised"  # nothing more is heard of it


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_is_a_verdict(name):
    with hostile(FUNCTION, returned(*BAD_VALUES[name])) as link:
        verdict = judge(link, ID, 0)
        assert verdict.status == "wrong" and "cannot be read" in verdict.message and verdict.seconds < 1
        assert link.closed


def test_truth_values_are_0_or_1_whatever_their_bytes():
    with hostile(returned(["tensor", "bool", [3], None], b"\0\2\xff")) as link:
        assert link.ask("anything").sum() == 2


def test_a_name_is_cut_and_cleaned():
    with hostile(returned(["opaque", "m", "a\0\ud800" * 200])) as link:
        name = type(link.ask("anything")).__name__
        assert name.startswith("a��a") and len(name) == 100


@pytest.mark.parametrize("gradients", [["list"], ["list", 1], ["list", ["tensor", "float64", [2], None]], 3, None])
def test_gradients_that_do_not_fit_are_noticed(gradients):
    (x,) = draws((3,))
    result = frame(["return", [["float64", [3]]], [["yours", 0]], 0, ["attached", 0]], b"\0" * 24)
    with hostile(result, returned(gradients, b"\0" * (16 if "tensor" in str(gradients) else 0))) as link:
        y = link.ask(0, x)
        with pytest.raises(BadReply, match="gradients that do not fit"):
            torch.autograd.grad(y.sum(), x)
        assert link.closed


def test_texts_are_cut_and_cleaned():
    outcome = ["wrong", "\x1b[2J\ud800" + 2000 * "a", 2000 * "b"]
    with hostile(frame(["error", "Exception", "Wrong", "", outcome]), returned("")) as link:
        verdict = judge(link, ID, 0)
        assert verdict.status == "wrong" and verdict.message.startswith("�[2J�a")
        assert len(verdict.message) == 500 and len(verdict.hint) == 300
        verdict.message.encode()


@pytest.mark.parametrize("base", ["StopIteration", "SystemExit", "KeyboardInterrupt", "exec", "no such", 3])
def test_an_exception_is_never_one_that_could_end_a_check(base):
    with hostile(frame(["error", base, "Odd", "text", ["raised", "message", "hint"]])) as link:
        with pytest.raises(engine.Judged, match="text") as caught:
            link.ask("anything")
        assert not isinstance(caught.value, StopIteration)
        assert caught.value.outcome == ("raised", "message", "hint")


def test_passed_cannot_be_raised():
    with pytest.raises(ValueError, match="no way to fail"):
        engine.Judged("passed", "Well done.")


@pytest.fixture
def quick(monkeypatch):
    exercise_ids()
    for id in (ID, "series.rolling_errors"):
        known = engine._exercises[id]
        monkeypatch.setitem(engine._exercises, id, engine.Exercise(id, known.call, 0.3, known.judge))


@pytest.mark.parametrize("trickle", [b"", b"\0"], ids=["silent", "slow"])
def test_one_that_never_answers_is_left(quick, trickle):
    here, there = socket.socketpair()
    stop = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            while not stop.wait(0.3):
                there.sendall(trickle)

    thread = threading.Thread(target=drip)
    thread.start()
    link = Link(here)
    verdict = judge(link, ID, 0)
    stop.set()
    thread.join()
    there.close()
    assert verdict.status == "timed out" and verdict.message == "Your code did not finish within 1.8 seconds."
    assert link.closed


def test_endless_calls_back_are_stopped(quick):
    def rolling_errors(y, forecaster, first, horizon):
        while True:
            forecaster(y[:first], horizon)

    with served(rolling_errors=rolling_errors) as link:
        verdict = judge(link, "series.rolling_errors", 0)
        assert verdict.status == "timed out" and link.closed


@pytest.mark.parametrize(("limit", "value"), [("MAX_KEPT", 50), ("MAX_RECEIVED", 10_000), ("MAX_ASKED", 10_000)])
def test_what_one_exercise_may_keep_and_send_is_bounded(monkeypatch, limit, value):
    def rolling_errors(y, forecaster, first, horizon):
        for _ in range(200):
            forecaster(y[:first].clone().requires_grad_(), horizon)

    monkeypatch.setattr(rpc, limit, value)
    with served(rolling_errors=rolling_errors) as link:
        verdict = judge(link, "series.rolling_errors", 0)
        assert verdict.status == "wrong" and "too m" in verdict.message and link.closed


def test_the_end_is_not_waited_for_without_limit(monkeypatch):
    monkeypatch.setattr(rpc, "END_SECONDS", 0.2)
    wrong = frame(["error", "Exception", "Wrong", "", ["wrong", "message", ""]])
    here, there = socket.socketpair()
    there.sendall(wrong)  # and no word more
    link, start = Link(here), time.monotonic()
    assert judge(link, ID, 0).message == "message"
    assert time.monotonic() - start < 2 and link.closed
    there.close()


def test_what_answers_the_end_wrongly_is_left_too():
    wrong = frame(["error", "Exception", "Wrong", "", ["wrong", "message", ""]])
    for last in (wrong, frame(["call", 0, True, ["list", ["list"], ["dict"]]]), returned(3)):
        with hostile(wrong, last) as link:
            verdict = judge(link, ID, 0)
            assert (verdict.message, verdict.printed) == ("message", "") and link.closed


def test_questions_that_ask_back_without_end_are_stopped():
    calls = []

    def back(f):
        calls.append(1)
        return f(back)

    def again(f):
        return f(again)

    with called("again(f)", again) as there:
        with pytest.raises(engine.Judged):
            there(back)
        assert len(calls) < 50


class Mirror(Link):
    """Asked for gradients, it asks back for those of the same graph."""

    def _gradients(self, record, gradients, wanted):
        return self.ask("gradients", self.asked, gradients, [True])


def test_gradients_that_ask_back_without_end_are_stopped():
    def slope(g):
        x = torch.ones(3).requires_grad_()
        y = g(x, lambda x: 2 * x)
        mirror.asked = y.grad_fn.record
        return torch.autograd.grad(y.sum(), x)

    here, there = socket.socketpair()
    link, mirror = Link(here), Mirror(there, remote._Student({"slope": slope}))

    def serve_until_the_end():
        with contextlib.suppress(Ended, BadReply):
            mirror.serve()

    thread = threading.Thread(target=serve_until_the_end, daemon=True)
    thread.start()
    function = link.ask_function("begin", "no.exercise", "slope(g)", 0)
    with pytest.raises(engine.Judged):
        function(lambda x, double: double(x))
    link.close()
    thread.join(5)
    assert not thread.is_alive()


STUDENT = """
import os, socket, sys
from utils.course.grading.remote import serve
def e_step(log_weights, log_prob):
    print("hello")
    return (log_weights + log_prob).softmax(-1)
def elbo(log_joint, q):
    os._exit(0)
serve(socket.socket(fileno=int(sys.argv[1])), globals())
"""


def test_a_process_of_its_own_and_its_end():
    here, there = socket.socketpair()
    with (
        there,
        subprocess.Popen([sys.executable, "-c", STUDENT, str(there.fileno())], pass_fds=[there.fileno()]) as student,
    ):
        there.close()
        link = Link(here)
        # Ask for nothing that has a time limit before the process has started.
        with pytest.raises(engine.Wrong, match="does not define `hello`"):
            link.ask("begin", "no.exercise", "hello(x)", 0)
        passed = judge(link, ID, 0)
        assert (passed.status, passed.printed.splitlines()[0]) == ("passed", "hello")
        died = judge(link, "gmm.elbo", 0)
        assert died.status == "raised" and "ended the process" in died.message and link.closed
        assert student.wait(5) == 0
    with pytest.raises(Ended):
        link.ask("anything")
