"""The training loop: what it minimizes, what it records, that it resumes to the bit, and that it never ends in NaN."""

import copy
import itertools
import math
import re
import textwrap
from types import SimpleNamespace

import IPython
import nbformat
import pytest
import torch
from nbclient import NotebookClient
from safetensors.torch import load_file, save_file
from torch import nn

from utils.device import choose_autocast
from utils.models.vae import conv_decoder, conv_encoder
from utils.nets import mlp
from utils.output import progress_bar
from utils.training import SCHEDULES, Trainer, TrainingDiverged, choose_device


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n=64, dim=3, seed=0):
    """x, and y, which is linear in it."""
    x = torch.randn(n, dim, generator=generator(seed))
    return x, x @ torch.arange(1.0, dim + 1)[:, None] + 2


def regression(*widths, seed=0, dropout=0.0, **options):
    """A trainer of a network that predicts y, on the CPU."""
    torch.manual_seed(seed)
    model = nn.Sequential(mlp(*(widths or (3, 1))), nn.Dropout(dropout), nn.Linear(1, 1))

    def loss(x, y, training):
        noise = torch.randn(y.shape, generator=training.generator)
        return (model(x) - y + 0.01 * noise).square()

    return Trainer(model, loss, **{"device": "cpu", "epochs": 6, "batch_size": 16, "lr": 0.02, **options})


def parameters(trainer):
    return [p.detach().clone() for p in trainer.model.parameters()]


def constant(value):
    """A trainer of one weight θ whose loss is θ times `value`: its gradient is known."""
    model = nn.Module()
    model.theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    return model, lambda x, training: model.theta * value


# --- learning


def test_a_line_is_found():
    x, y = rows(256)
    trainer = regression(epochs=60, lr=0.05).fit((x, y))
    assert (trainer.model(x) - y).abs().max() < 0.05
    assert not trainer.model.training
    assert trainer.done == 1


def test_history_has_the_means_of_the_epochs():
    x, y = rows(70)
    trainer = regression(epochs=3).fit((x, y))
    assert trainer.step == 12  # 70 rows make 4 batches of 16
    assert len(trainer.losses) == 12
    means = torch.tensor(trainer.losses).view(3, 4).mean(1)
    torch.testing.assert_close(torch.tensor(trainer.history["loss"]), means)


def test_each_row_is_seen_once_an_epoch_in_another_order():
    model, seen = nn.Linear(1, 1), []

    def loss(x, training):
        seen.append(x.flatten())
        return model(x).square()

    Trainer(model, loss, epochs=2, batch_size=5, device="cpu").fit(torch.arange(20.0)[:, None])
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert first.sort().values.equal(torch.arange(20.0))
    assert second.sort().values.equal(torch.arange(20.0))
    assert not first.equal(second)


def test_a_batch_larger_than_the_data_is_all_of_the_data():
    trainer = regression(batch_size=1000, epochs=2).fit(rows(10))
    assert trainer.step == 2


def test_what_a_loss_reports_is_recorded():
    model = mlp(3, 1)

    def loss(x, y, training):
        error = model(x) - y
        return {"loss": error.square(), "bias": error}

    trainer = Trainer(model, loss, epochs=2, device="cpu").fit(rows(), validation=rows(seed=1))
    assert set(trainer.history) == {"loss", "bias", "validation_loss", "validation_bias"}
    x, y = rows(seed=1)
    error = (model(x) - y).detach()
    assert trainer.history["validation_bias"][-1] == pytest.approx(error.mean().item(), rel=1e-4)
    assert trainer.history["validation_loss"][-1] == pytest.approx(error.square().mean().item(), rel=1e-4)


def test_the_seed_decides_and_torchs_own_state_is_left_alone():
    losses = []
    for seed, before in ((0, 5), (0, 6), (1, 5)):
        trainer = regression(dropout=0.3)
        trainer.seed = seed
        torch.manual_seed(before)
        state = torch.get_rng_state()
        losses.append(trainer.fit(rows()).losses)
        assert torch.get_rng_state().equal(state)
    assert losses[0] == losses[1] != losses[2]  # of the third, only dropout is different


def test_parts_of_a_model_are_trained_in_turn_for_their_own_losses():
    model = nn.ModuleDict({"up": nn.Linear(1, 1, bias=False), "down": nn.Linear(1, 1, bias=False)})
    start = {name: part.weight.item() for name, part in model.items()}
    losses = {
        "up": lambda x, training: -model["up"](x) + 0 * model["down"](x),
        "down": lambda x, training: {"loss": model["down"](x) - model["up"](x).detach(), "seen": model["up"](x)},
    }
    trainer = Trainer(
        model,
        losses,
        lr={"up": 0.1, "down": 0.2},
        optimizer=torch.optim.SGD,
        schedule="constant",
        epochs=3,
        device="cpu",
    ).fit(torch.ones(4, 1))
    assert model["up"].weight.item() == pytest.approx(start["up"] + 0.3)
    assert model["down"].weight.item() == pytest.approx(start["down"] - 0.6)
    assert set(trainer.history) == {"up_loss", "down_loss", "down_seen"}
    assert trainer.history["down_seen"][0] == pytest.approx(start["up"] + 0.1)  # the second sees the first's step


def test_the_validation_loss_of_parts_is_their_sum():
    model = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})
    losses = {name: lambda x, training, name=name: model[name](x).square() for name in model}
    history = Trainer(model, losses, epochs=2, device="cpu").fit(torch.ones(4, 1), torch.ones(3, 1)).history
    for a, b, total in zip(*(history[f"validation_{name}"] for name in ("a_loss", "b_loss", "loss")), strict=True):
        assert total == pytest.approx(a + b)


# --- the rate, clipping, averages


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_start_at_1(name):
    assert SCHEDULES[name](0.0) == 1
    assert SCHEDULES[name](1.0) == pytest.approx(1 if name == "constant" else 0, abs=1e-12)


def test_the_learning_rate_follows_warmup_and_schedule():
    model, loss = constant(1.0)
    moves = []

    def watch(x, training):
        moves.append(model.theta.item())
        return loss(x, training)

    options = {"lr": 0.5, "warmup": 3, "schedule": "linear", "optimizer": torch.optim.SGD, "device": "cpu"}
    Trainer(model, watch, epochs=5, batch_size=1, **options).fit(torch.zeros(2, 1))
    moves.append(model.theta.item())
    steps = [before - after for before, after in itertools.pairwise(moves)]
    assert steps == pytest.approx([0.5 * min(1, (t + 1) / 3) * (1 - t / 10) for t in range(10)])


def test_a_schedule_can_be_a_function():
    model, loss = constant(1.0)
    half = {"schedule": lambda done: float(done < 0.5), "optimizer": torch.optim.SGD, "lr": 1.0, "device": "cpu"}
    Trainer(model, loss, epochs=4, **half).fit(torch.zeros(2, 1))
    assert model.theta.item() == -2


def test_a_long_gradient_is_clipped_and_a_short_one_is_not():
    for slope, move in ((100.0, 1.0), (0.5, 0.5)):
        model, loss = constant(slope)
        options = {"clip": 1.0, "lr": 1.0, "optimizer": torch.optim.SGD, "schedule": "constant", "device": "cpu"}
        Trainer(model, loss, epochs=1, **options).fit(torch.zeros(2, 1))
        assert model.theta.item() == pytest.approx(-move, rel=1e-5)


def test_the_average_is_the_formula():
    model, loss = constant(1.0)
    path = []

    def keep(training):
        with training.averaged() as averaged:
            path.append((averaged.theta.item(), averaged.training))
        assert model.theta.item() == -(training.epoch)  # the trained weight is back
        assert model.training

    options = {"lr": 1.0, "optimizer": torch.optim.SGD, "schedule": "constant", "device": "cpu"}
    Trainer(model, loss, ema=0.5, epochs=20, callbacks=[keep], **options).fit(torch.zeros(2, 1))
    average, expected = 0.0, []
    for step in range(20):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * -(step + 1)
        expected.append((pytest.approx(average), False))
    assert path == expected
    assert model.theta.item() == pytest.approx(average)


def test_without_an_average_there_is_nothing_to_swap():
    trainer = regression(epochs=1).fit(rows())
    before = parameters(trainer)
    with trainer.averaged():
        assert all(a.equal(b) for a, b in zip(before, parameters(trainer), strict=True))


def test_autocast_computes_in_bfloat16_and_keeps_float32_weights():
    seen = set()
    model = mlp(3, 8, 1)

    def loss(x, y, training):
        seen.add(model(x).dtype)
        return (model(x).float() - y).square()

    trainer = Trainer(model, loss, autocast=True, epochs=30, lr=0.05, device="cpu").fit(rows())
    assert seen == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert trainer.losses[-1] < trainer.losses[0] / 2


# --- stopping


def test_autocast_on_a_processor_is_what_was_asked_for():
    """Nothing is timed: the same arguments give the same training on a busy machine."""
    model, loss = constant(1.0)
    found = {asked: Trainer(model, loss, autocast=asked, device="cpu").autocast for asked in (False, True, "auto")}
    assert found == {False: False, True: True, "auto": False}


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_autocast_auto_is_for_a_gpu_that_has_bfloat16(monkeypatch, has_bfloat16):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    assert choose_autocast("auto", torch.device("cuda")) is has_bfloat16
    assert not choose_autocast("auto", torch.device("mps"))


def falling(**options):
    """θ falls by 1 in each step; the held-out loss is least at θ = −3."""
    model, _ = constant(1.0)

    def loss(x, training):
        return model.theta if model.training else (model.theta + 3).square()

    rate = {"lr": 1.0, "optimizer": torch.optim.SGD, "schedule": "constant", "device": "cpu"}
    return Trainer(model, loss, epochs=50, patience=2, **rate, **options)


def test_early_stop_keeps_the_best_weights():
    trainer = falling().fit(torch.zeros(2, 1), torch.zeros(2, 1))
    assert trainer.history["validation_loss"] == [4, 1, 0, 1, 4]
    assert trainer.stop
    assert trainer.model.theta.item() == -3


def test_the_best_weights_outlive_an_interruption(tmp_path):
    def stop(training):
        if training.epoch == 5:
            raise KeyboardInterrupt

    file, data = tmp_path / "run.safetensors", torch.zeros(2, 1)
    with pytest.raises(KeyboardInterrupt):
        falling(checkpoint=file, callbacks=[stop]).fit(data, data)
    trainer = falling(checkpoint=file).fit(data, data)
    assert trainer.history["validation_loss"] == [4, 1, 0, 1, 4]
    assert trainer.model.theta.item() == -3


def test_validation_draws_the_same_numbers_each_time_and_none_from_the_training():
    noise = []
    model = mlp(3, 1)

    def loss(x, y, training):
        if not model.training:
            noise.append(torch.randn(1, generator=training.generator).item())
        return (model(x) - y).square()

    watched, alone = (Trainer(model, loss, epochs=3, device="cpu") for _ in range(2))
    watched.fit(rows(), rows(seed=1))
    assert len(noise) == 3
    assert len(set(noise)) == 1
    assert watched.generator.get_state().equal(alone.fit(rows()).generator.get_state())


def test_a_callback_sees_each_epoch_and_can_stop():
    epochs = []

    def callback(training):
        epochs.append(training.epoch)
        training.stop = training.epoch == 2

    assert regression(callbacks=[callback]).fit(rows()).epoch == 2
    assert epochs == [1, 2]


# --- divergence


def test_a_loss_that_is_not_finite_stops_with_advice():
    model, _ = constant(1.0)

    def loss(x, training):
        return model.theta * (math.nan if training.step == 5 else 1.0) + 7

    trainer = Trainer(model, loss, epochs=3, batch_size=1, lr=0.1, autocast=True, device="cpu")
    with pytest.raises(TrainingDiverged) as error:
        trainer.fit(torch.zeros(3, 1))
    message = str(error.value)
    last = trainer.losses[-1]
    assert message.startswith(f"step 5 (epoch 1): the loss is nan; the last finite loss was {last:.6g}: try ")
    for advice in ("a lower learning rate (it is 0.1)", "clip=1.0", "warmup=100", "autocast=False"):
        assert advice in message
    assert (error.value.step, error.value.last_loss) == (5, last)
    assert model.theta.isfinite().all()


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_lost():
    model, _ = constant(1.0)
    trainer = Trainer(model, lambda x, training: model.theta.sqrt(), clip=1.0, device="cpu")  # slope ∞ at 0
    with pytest.raises(
        TrainingDiverged, match=r"step 0 .*gradient is inf; there was no finite loss before: try a lower"
    ):
        trainer.fit(torch.zeros(3, 1))
    assert model.theta.item() == 0


def test_a_step_that_is_too_long_is_noticed():
    with pytest.raises(TrainingDiverged, match="lower learning rate"):
        regression(lr=1e6, optimizer=torch.optim.SGD, epochs=50).fit(rows())


def test_broken_data_are_named():
    x, y = rows()
    x[7, 1] = math.nan
    with pytest.raises(TrainingDiverged, match="data of this batch hold NaN or infinity"):
        regression().fit((x, y))


def test_a_validation_loss_that_is_not_finite_stops_too():
    x, y = rows(seed=1)
    with pytest.raises(TrainingDiverged, match="validation loss is nan"):
        regression().fit(rows(), (x, y * math.nan))


def test_one_part_of_several_is_named():
    model = nn.ModuleDict({"critic": nn.Linear(1, 1), "generator": nn.Linear(1, 1)})
    losses = {
        "critic": lambda x, training: model["critic"](x),
        "generator": lambda x, training: model["generator"](x) * math.inf,
    }
    with pytest.raises(TrainingDiverged, match=r"loss of generator is -?inf"):
        Trainer(model, losses, device="cpu").fit(torch.ones(3, 1))


# --- checkpoints


FULL = {"ema": 0.9, "clip": 1.0, "warmup": 5, "dropout": 0.2, "patience": 50}


@pytest.mark.parametrize(
    "options",
    [
        {},
        FULL,
        FULL | {"optimizer": torch.optim.AdamW, "autocast": True},
        {"optimizer": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)},
        {"optimizer": torch.optim.SGD},
    ],
)
@pytest.mark.parametrize("interrupted", [1, 4, 6])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, options, interrupted):
    data, held_out = rows(), rows(seed=1)
    whole = regression(3, 8, 1, **options).fit(data, held_out)

    def stop(training):
        if training.epoch == interrupted + 1 or training.done == 1:
            raise KeyboardInterrupt

    file = tmp_path / "folder" / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        regression(3, 8, 1, checkpoint=file, callbacks=[stop], **options).fit(data, held_out)
    # Another start: nothing but the file may matter.
    resumed = regression(3, 8, 1, seed=9, checkpoint=file, **options)
    resumed.generator.manual_seed(99)
    torch.manual_seed(99)
    resumed.fit(data, held_out)
    assert resumed.step == whole.step
    assert resumed.losses == whole.losses
    assert resumed.history == whole.history
    assert all(a.equal(b) for a, b in zip(parameters(resumed), parameters(whole), strict=True))
    assert resumed.generator.get_state().equal(whole.generator.get_state())


def test_a_finished_run_is_read_and_not_made_again(tmp_path):
    file = tmp_path / "run.safetensors"
    options = {"checkpoint": file, "ema": 0.9}
    first = regression(**options).fit(rows())
    again = regression(seed=3, **options, callbacks=[lambda training: pytest.fail("trained")]).fit(rows())
    assert all(a.equal(b) for a, b in zip(parameters(first), parameters(again), strict=True))
    assert again.history == first.history


def test_a_stopped_run_stays_stopped(tmp_path):
    file = tmp_path / "run.safetensors"
    regression(checkpoint=file, callbacks=[lambda training: setattr(training, "stop", training.epoch == 2)]).fit(rows())
    assert regression(checkpoint=file).fit(rows()).epoch == 2


def test_a_trainer_gives_and_takes_its_state_without_a_file():
    """After half of a run, another trainer goes on from its state."""
    data, halves = rows(), []

    def stop(training):
        halves.append(copy.deepcopy(training.state_dict()))
        training.stop = True

    whole = regression(3, 8, 1, **FULL).fit(data, rows(seed=1))
    regression(3, 8, 1, **FULL, callbacks=[stop]).fit(data, rows(seed=1))
    resumed = regression(3, 8, 1, **FULL, seed=9)
    resumed.load_state_dict(halves[0] | {"counts": torch.tensor([*halves[0]["counts"][:2], 0])})
    assert resumed.epoch == 1 and resumed.losses == whole.losses[: resumed.step]
    assert {name: values[:1] for name, values in whole.history.items()} == resumed.history
    assert resumed.generator.get_state().equal(halves[0]["generator"])


def test_a_checkpoint_holds_tensors_under_readable_names(tmp_path):
    file = tmp_path / "run.safetensors"
    trainer = regression(checkpoint=file, ema=0.9).fit(rows(), rows(seed=1))
    found = load_file(file)
    assert {"generator", "counts", "losses", "history/loss", "model/2.weight", "average/0"} <= set(found)
    assert {"optimizer//0/exp_avg", "optimizer//0/exp_avg_sq", "optimizer//0/step"} <= set(found)
    assert found["history/loss"].tolist() == trainer.history["loss"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(("option", "value"), [("lr", 0.5), ("batch_size", 8), ("seed", None), ("ema", 0.9)])
def test_a_checkpoint_of_another_run_is_refused(tmp_path, option, value):
    file = tmp_path / "run.safetensors"
    regression(checkpoint=file).fit(rows())
    other = regression(checkpoint=file, **({} if value is None else {option: value}))
    other.seed = 0 if value else 4
    with pytest.raises(ValueError, match=rf"{option}=.*delete the file to start over"):
        other.fit(rows())


def test_weights_that_share_memory_are_saved(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight

    def run():
        options = {"checkpoint": tmp_path / "run.safetensors", "epochs": 2, "device": "cpu"}
        return Trainer(model, lambda x, training: model(x).square(), **options).fit(rows()[0])

    assert run().history == run().history


def test_a_checkpoint_without_a_history_of_settings_is_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="comes from a run with lr=None"):
        regression(checkpoint=tmp_path / "other.safetensors").fit(rows())


# --- the bar


def test_the_bar_is_silent_where_nobody_watches(capsys):
    regression().fit(rows())
    assert capsys.readouterr() == ("", "")


def test_the_bar_vanishes(capsys):
    regression(progress=True).fit(rows())
    out, err = capsys.readouterr()
    assert out == ""
    assert "step" in err
    assert "\n" not in err
    assert re.fullmatch(r" *", err.split("\r")[-2])  # blanks over the bar, and back to the margin
    assert err.endswith("\r")


@pytest.mark.parametrize(("allow_stdin", "disabled"), [(True, False), (False, True)])
def test_in_a_notebook_a_person_sees_the_bar_and_a_program_does_not(monkeypatch, allow_stdin, disabled):
    kernel = SimpleNamespace(_allow_stdin=allow_stdin)
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    with progress_bar(10) as bar:
        assert bar.disable is disabled


def test_an_executed_notebook_has_nothing_of_the_bar_in_it():
    code = """
        import torch
        from utils.nets import mlp
        from utils.training import Trainer
        line = mlp(1, 1)
        Trainer(line, lambda x, training: line(x).square(), device="cpu").fit(torch.ones(4, 1));
        assert get_ipython().kernel._allow_stdin is False"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(code))])
    NotebookClient(notebook, kernel_name="python3").execute()
    assert notebook.cells[0].outputs == []


# --- errors, devices


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regression(epochs=0), "epochs is 0: expected a whole number"),
        (lambda: regression(batch_size=1.5), "batch_size is 1.5"),
        (lambda: regression(patience=-1), "patience is -1"),
        (lambda: regression(schedule="cosin"), "schedule is 'cosin': expected one of constant, linear, cosine"),
        (lambda: regression(ema=1.0), "ema is 1.0"),
        (lambda: regression(clip=0), "clip is 0"),
        (lambda: regression(lr=-1), "lr is -1"),
        (lambda: regression(lr=math.nan), "lr is nan"),
        (lambda: regression(lr={"critic": 0.1}), "one for each part"),
        (lambda: Trainer(nn.ReLU(), lambda x, training: x, device="cpu"), "no parameters"),
        (lambda: regression().fit([[1.0, 2.0]]), "data is list: expected a torch.Tensor"),
        (lambda: regression().fit(()), "data is nothing"),
        (lambda: regression().fit((rows(5)[0], rows(6)[1])), "data have 5, 6 rows"),
        (lambda: regression().fit(torch.zeros(0, 3)), "data have 0 rows"),
        (lambda: regression(patience=2).fit(rows()), r"patience needs fit\(data, validation\)"),
        (lambda: Trainer(mlp(1, 1), lambda x, t: 1.0, device="cpu").fit(torch.zeros(2, 1)), "must return a Tensor"),
        (lambda: Trainer(mlp(1, 1), lambda x, t: {"l": x}, device="cpu").fit(torch.zeros(2, 1)), 'entry "loss"'),
        (lambda: mlp(3), "mlp got 1 width"),
        (lambda: conv_encoder(4, side=30), "side is 30: expected a multiple of 4"),
        (lambda: conv_decoder(4, side=0), "side is 0"),
    ],
)
def test_bad_input_gets_a_clear_error(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 8)])
def test_convolutional_networks_have_the_shapes_they_promise(channels, side):
    x = torch.zeros(2, channels, side, side)
    codes = conv_encoder(6, channels=channels, side=side, width=4)(x)
    assert codes.shape == (2, 6)
    assert conv_decoder(6, channels=channels, side=side, width=4)(codes).shape == x.shape


def test_the_activation_stands_between_layers_only():
    assert [type(layer) for layer in mlp(2, 3, 4, activation=nn.Tanh)] == [nn.Linear, nn.Tanh, nn.Linear]
