"""One training loop for all deep models: a chapter brings the model, the loss and the data; everything else is here.

>>> from utils.nets import mlp
>>> x = torch.linspace(-1, 1, 64)[:, None]
>>> line = mlp(1, 1)
>>> trainer = Trainer(line, lambda x, training: (line(x) - 3 * x).square(), epochs=50, batch_size=16, lr=0.1)
>>> trainer.fit(x).history["loss"][-1] < 0.001
True
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from utils import checkpoints
from utils.device import choose_autocast, choose_device
from utils.output import progress_bar
from utils.validation import whole

# How much of the learning rate is left when the share `done` of the training is over.
SCHEDULES = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
ADAM = functools.partial(torch.optim.Adam, fused=True)


class TrainingDiverged(ArithmeticError):
    """A loss or a gradient is not finite. The model still has the weights of before that step.

    Attributes:
        step: the step that was not made, counted from 0.
        last_loss: the last finite loss, or None.
    """

    def __init__(self, message: str, step: int, last_loss: float | None):
        super().__init__(message)
        self.step, self.last_loss = step, last_loss


class Trainer:
    """Minimizes the mean of a loss over batches, with the gradient of each batch.

    `loss(x, training)`, or `loss(x, y, training)` for `fit((x, y))`, returns a Tensor, of which the mean is minimized,
    or a dictionary of such Tensors: its entry "loss" is minimized, the others are only recorded. `training` is this
    object: draw random numbers from `training.generator`; `training.step` and `training.done` say how far it is.

    A dictionary of losses, such as `{"critic": f, "generator": g}`, trains these parts of the model in turn at each
    step, each with its own optimizer and for its own loss.

    After `fit` the model holds the best weights (with `patience`), else the averaged (with `ema`), else the last ones,
    and is in `eval` mode. `history` has a list for each recorded name: its means over the epochs; `losses` has the loss
    of each step (of several parts, their sum).

    Args:
        model: the module to train; it is moved to the device.
        loss: see above.
        epochs: passes over the data, in all.
        batch_size: rows of a batch. Rows that do not fill a batch are left to other epochs.
        lr: learning rate at its highest; for several parts, a dictionary like that of the losses.
        optimizer: makes an optimizer: `optimizer(parameters, lr=lr)`.
        schedule: "cosine", "linear" (both end at 0), "constant", or a function of the share of the training done.
        warmup: steps in which the learning rate rises from 0.
        clip: longest gradient of a part; a longer one is shortened to it.
        ema: decay d of the averaged weights, a ← d a + (1 − d) θ at each step; early on, d is (1 + step) / (10 + step).
        patience: stop when the validation loss was not the lowest for so many epochs in a row.
        autocast: compute the losses with bfloat16 inside; "auto" does on a GPU that has it.
        device: "auto" takes a GPU where there is one.
        seed: of the order of the rows and of `training.generator`; torch's own random state is left alone.
        callbacks: functions of this object, called after each epoch; setting `training.stop` ends the training.
        checkpoint: a file, written after each epoch. If it exists, `fit` goes on from it, and on a CPU ends with the
            very bits of a run that was never interrupted.
        progress: whether to show a bar; by default, where somebody is watching. It vanishes at the end.

    Raises:
        TrainingDiverged: at the first loss or gradient that is not finite; the message says what to try.
        ValueError, TypeError: for arguments that make no sense.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable | Mapping[str, Callable],
        *,
        epochs: int = 10,
        batch_size: int = 128,
        lr: float | Mapping[str, float] = 1e-3,
        optimizer: Callable[..., torch.optim.Optimizer] = ADAM,
        schedule: str | Callable[[float], float] = "cosine",
        warmup: int = 0,
        clip: float | None = None,
        ema: float | None = None,
        patience: int | None = None,
        autocast: bool | str = False,
        device: str | torch.device = "auto",
        seed: int = 0,
        callbacks: Sequence[Callable[[Trainer], None]] = (),
        checkpoint: str | Path | None = None,
        progress: bool | None = None,
    ):
        epochs, batch_size = whole("epochs", epochs), whole("batch_size", batch_size)
        patience = None if patience is None else whole("patience", patience)
        warmup, seed = whole("warmup", warmup, 0), whole("seed", seed, -(2**63))
        if not callable(schedule) and schedule not in SCHEDULES:
            raise ValueError(f"schedule is {schedule!r}: expected one of {', '.join(SCHEDULES)}, or a function")
        if ema is not None and not 0 <= ema < 1:
            raise ValueError(f"ema is {ema}: expected a decay from 0 to below 1, such as 0.999")
        if clip is not None and not clip > 0:
            raise ValueError(f"clip is {clip}: expected the longest gradient to allow, above 0")
        self._losses = {"": loss} if callable(loss) else dict(loss)
        rates = dict(lr) if isinstance(lr, Mapping) else dict.fromkeys(self._losses, lr)
        if set(rates) != set(self._losses) or not all(0 < rate < math.inf for rate in rates.values()):
            raise ValueError(f"lr is {lr}: expected a number above 0, or one for each part of the model")
        self.device = choose_device(device)
        self.model = model.to(self.device)
        self._parts = {name: list(model.get_submodule(name).parameters()) for name in self._losses}
        if not all(self._parts.values()):
            raise ValueError("there is nothing to train: the model has no parameters")
        self.optimizers = {name: optimizer(part, lr=rates[name]) for name, part in self._parts.items()}
        self.average = [p.detach().clone() for p in model.parameters()] if ema is not None else []
        self.epochs, self.batch_size, self.lr, self.warmup = epochs, batch_size, rates, warmup
        self.schedule = schedule if callable(schedule) else SCHEDULES[schedule]
        self.clip, self.ema, self.patience, self.callbacks = clip, ema, patience, tuple(callbacks)
        self.autocast = choose_autocast(autocast, self.device)
        self.seed, self.generator = seed, torch.Generator(self.device).manual_seed(seed)
        self.checkpoint, self.progress = None if checkpoint is None else Path(checkpoint), progress
        self.step, self.epoch, self.done, self.stop = 0, 0, 0.0, False
        self.history: dict[str, list[float]] = {}
        self.losses: list[float] = []
        self.best: dict[str, Tensor] = {}

    def fit(self, data: Tensor | Sequence[Tensor], validation: Tensor | Sequence[Tensor] | None = None) -> Self:
        """Train on the rows of `data`, until `epochs` are done in all. Returns the trainer itself.

        Args:
            data: a Tensor `(N, ...)`, or several of N rows each, such as images and labels.
            validation: the same, held out; the loss on it is recorded as "validation_loss", after each epoch and in
                full precision, with the same random numbers each time. Of several parts it is the sum.
        """
        columns = _columns(data)
        held_out = None if validation is None else _columns(validation)
        if self.patience and held_out is None:
            raise ValueError("patience needs fit(data, validation): the loss that should improve")
        size = min(self.batch_size, len(columns[0]))
        batches = len(columns[0]) // size
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.seed)  # for layers such as dropout, which know no generator
            if self.checkpoint and self.checkpoint.exists():
                self.load_state_dict(checkpoints.load(self.checkpoint, self._settings(len(columns[0]))))
            with progress_bar(self.epochs * batches, self.step, self.progress) as bar:
                while self.epoch < self.epochs and not self.stop:
                    self._epoch(columns, size, batches, bar)
                    if held_out is not None:
                        self._validate(held_out)
                    for callback in self.callbacks:
                        callback(self)
                    if self.checkpoint:
                        checkpoints.save(self.checkpoint, self.state_dict(), self._settings(len(columns[0])))
        if self.best:
            self.model.load_state_dict(self.best)
        elif self.average:
            self._swap()
            self.average = [p.detach().clone() for p in self.model.parameters()]
        self.model.eval()
        return self

    def _epoch(self, columns: tuple[Tensor, ...], size: int, batches: int, bar) -> None:
        self.model.train()
        sums: dict[str, float] = defaultdict(float)
        order = torch.randperm(len(columns[0]), generator=self.generator, device=self.device).to(columns[0].device)
        for rows in order[: size * batches].split(size):
            self.done = self.step / (self.epochs * batches)
            batch = [column[rows].to(self.device) for column in columns]
            for name, value in self._update(batch).items():
                sums[name] += value / batches
            self.step += 1
            bar.update()
        self.epoch += 1
        self.done = self.epoch / self.epochs
        for name, value in sums.items():
            self.history.setdefault(name, []).append(value)
        bar.set_postfix({name: f"{values[-1]:.4g}" for name, values in self.history.items()}, refresh=False)

    def _update(self, batch: list[Tensor]) -> dict[str, float]:
        """One step of each part, and what its loss reported."""
        report, total = {}, 0.0
        for part, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                rise = min(1, (self.step + 1) / self.warmup) if self.warmup else 1
                group["lr"] = self.lr[part] * rise * self.schedule(self.done)
            optimizer.zero_grad()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                values = _means(self._losses[part](*batch, self))
            values["loss"].backward()
            gradients = [p.grad for p in self._parts[part] if p.grad is not None]
            length = nn.utils.get_total_norm(gradients)
            numbers = {name: value.item() for name, value in values.items()}
            for what, number in (("loss", numbers["loss"]), ("length of the gradient", length.item())):
                if not math.isfinite(number):
                    self._diverged(f"{what}{f' of {part}' if part else ''} is {number}", batch)
            if self.clip:
                nn.utils.clip_grads_with_norm_(self._parts[part], self.clip, length)
            optimizer.step()
            total += numbers["loss"]
            report |= _named(part, numbers)
        self.losses.append(total)
        if self.average:
            decay = min(self.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.model.parameters()], 1 - decay)
        return report

    def _diverged(self, what: str, batch: list[Tensor]) -> None:
        last = self.losses[-1] if self.losses else None
        advice = [f"a lower learning rate (it is {' and '.join(f'{rate:g}' for rate in self.lr.values())})"]
        advice += [] if self.clip else ["clip=1.0, which shortens long gradients"]
        advice += [] if self.warmup else ["warmup=100, so that the first steps are small"]
        advice += ["autocast=False, for full precision"] if self.autocast else []
        remedy = f"try {'; or '.join(advice)}"
        if not all(column.isfinite().all() for column in batch):
            remedy = "the data of this batch hold NaN or infinity: clean them before training"
        before = "there was no finite loss before" if last is None else f"the last finite loss was {last:.6g}"
        where = f"step {self.step} (epoch {self.epoch})"
        raise TrainingDiverged(f"{where}: the {what}; {before}: {remedy}", self.step, last)

    @torch.no_grad()
    def _validate(self, columns: tuple[Tensor, ...]) -> None:
        """Record the mean losses on held-out rows; keep the best weights."""
        own, self.generator = self.generator, torch.Generator(self.device).manual_seed(self.seed)
        with self.averaged():
            sums: dict[str, float] = defaultdict(float)
            for rows in torch.arange(len(columns[0])).split(self.batch_size):
                batch = [column[rows].to(self.device) for column in columns]
                for part, loss in self._losses.items():
                    numbers = {name: value.item() for name, value in _means(loss(*batch, self)).items()}
                    total = {"loss": numbers["loss"]} if part else {}
                    for name, number in [*total.items(), *_named(part, numbers).items()]:
                        sums[f"validation_{name}"] += number * len(rows) / len(columns[0])
            for name, value in sums.items():
                self.history.setdefault(name, []).append(value)
            self.generator, past = own, self.history["validation_loss"]
            if not math.isfinite(past[-1]):
                self._diverged(f"validation loss is {past[-1]}", list(columns))
            if self.patience and past[-1] < min(past[:-1], default=math.inf):
                self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        if self.patience and len(past) - 1 - past.index(min(past)) >= self.patience:
            self.stop = True

    @contextlib.contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The model as it would be handed over now, with the averaged weights and in `eval` mode, for a while."""
        training = self.model.training
        self._swap()
        try:
            yield self.model.eval()
        finally:
            self._swap()
            self.model.train(training)

    def state_dict(self) -> dict[str, object]:
        """All that the next step depends on, and what was recorded: Tensors, in dictionaries of dictionaries."""
        return {
            "model": self.model.state_dict(),
            "best": self.best,
            "average": dict(enumerate(self.average)),
            "optimizer": {
                part: {
                    at: {name: torch.as_tensor(value) for name, value in own.items() if value is not None}
                    for at, own in optimizer.state_dict()["state"].items()
                }
                for part, optimizer in self.optimizers.items()
            },
            "history": {name: torch.tensor(values, dtype=torch.float64) for name, values in self.history.items()},
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "counts": torch.tensor([self.step, self.epoch, self.stop]),
            "generator": self.generator.get_state(),
            "torch_generator": torch.get_rng_state(),
        }

    def load_state_dict(self, state: Mapping[str, Mapping | Tensor]) -> None:
        """Go back to where `state_dict` was taken. It may come from a file: keys are texts, nothing is empty."""
        self.model.load_state_dict(state["model"])
        self.best = {name: value.to(self.device) for name, value in state.get("best", {}).items()}
        for at, value in state.get("average", {}).items():
            self.average[int(at)].copy_(value)
        for part, optimizer in self.optimizers.items():
            own = {int(at): values for at, values in state.get("optimizer", {}).get(part, {}).items()}
            optimizer.load_state_dict({"state": own, "param_groups": optimizer.state_dict()["param_groups"]})
        self.history = {name: values.tolist() for name, values in state.get("history", {}).items()}
        self.losses = state["losses"].tolist()
        self.step, self.epoch, stop = state["counts"].tolist()
        self.stop = bool(stop)
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch_generator"])

    def _settings(self, rows: int) -> dict[str, object]:
        """What must not change between two parts of one run."""
        names = ("lr", "batch_size", "warmup", "clip", "ema", "seed")
        return {name: getattr(self, name) for name in names} | {"rows": rows}

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self.model.parameters(), self.average, strict=bool(self.average)):
            parameter.data, average.data = average.data, parameter.data


def _columns(data: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    columns = (data,) if isinstance(data, Tensor) else tuple(data)
    if not columns or not all(isinstance(column, Tensor) for column in columns):
        kinds = ", ".join(type(column).__name__ for column in columns) or "nothing"
        raise TypeError(f"data is {kinds}: expected a torch.Tensor, or several as in fit((x, y))")
    if len({len(column) for column in columns}) > 1 or not len(columns[0]):
        rows = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"data have {rows} rows: expected at least one, and equally many in each Tensor")
    return columns


def _means(values: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    values = dict(values) if isinstance(values, Mapping) else {"loss": values}
    if not isinstance(values.get("loss"), Tensor):
        raise TypeError('the loss must return a Tensor, or a dictionary of Tensors with an entry "loss"')
    return {name: value.mean() for name, value in values.items()}


def _named(part: str, numbers: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}" if part else name: number for name, number in numbers.items()}
