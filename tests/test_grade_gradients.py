"""Values alone travel until the check hands out a function or a tensor that requires a gradient."""

from __future__ import annotations

import pytest
import torch
from test_grade_remote import called, draws, frame, hostile

from utils.course.grading.rpc import Link
from utils.course.grading.stream import BadReply

ONE = torch.ones(1, dtype=torch.float64)
WITH_GRADIENT = frame(
    ["return", [["float64", [1]]], [["mine", 0, "float64", [1]]], 0, ["attached", 0]], ONE.numpy().tobytes()
)


def test_a_students_own_parameters_stay_over_there_when_values_are_asked_for():
    network = torch.nn.Linear(3, 1).double()
    x = torch.rand(2, 3, dtype=torch.float64)
    with called("forward(x)", network) as forward:
        value = forward(x)
        assert not value.requires_grad
        torch.testing.assert_close(value, network(x).detach())
        forward(x.requires_grad_())  # from here on, there is something to differentiate by
        assert forward(x.detach()).requires_grad


@pytest.mark.parametrize("handed", [abs, ONE.clone().requires_grad_()], ids=["a function", "a tensor with a gradient"])
def test_what_the_check_hands_out_lets_gradients_pass(handed):
    with hostile(WITH_GRADIENT) as link:
        assert link.ask(0, handed).requires_grad
        link.reset()  # the next exercise begins with values alone
        assert not link._open


@pytest.mark.parametrize("handed", [ONE, [1, {"a": ONE}], "text", None], ids=["tensor", "containers", "text", "None"])
def test_without_it_gradients_are_no_answer(handed):
    with hostile(WITH_GRADIENT) as link, pytest.raises(BadReply, match="gradients of nothing"):
        link.ask(0, handed)
    with hostile(frame(["return", [], [], None, ["tensor", "float64", [1], 7]], b"\0" * 8)) as link:
        with pytest.raises(BadReply, match="cannot have a gradient"):
            link.ask(0, handed)
        assert link.closed


def test_without_it_nobody_may_ask_for_gradients():
    asks = frame(["call", "gradients", True, ["list", ["list", 0, ["list"], ["list"]], ["dict"]]])
    with hostile(asks) as link, pytest.raises(BadReply, match="stands for nothing"):
        link.ask(0, ONE)


def test_values_and_calls_back_need_no_link_that_knows_gradients():
    (x,) = draws((3,))
    with hostile(frame(["return", [], [], None, ["list", 1, ["float", "0x1p-1"]]])) as link:
        plain = Link(link._socket)
        assert plain.ask(0, x) == [1, 0.5]
