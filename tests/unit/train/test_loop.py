import math
import os
import signal

import pytest
import torch

from vtbench.errors import NonFiniteLossError
from vtbench.schema.run import TrainConfig
from vtbench.train import checkpoint
from vtbench.train.loop import Loop
from vtbench.train.step import TrainStep


class Lost(Exception):
    """The process is gone; what it held in memory with it."""


@pytest.fixture
def train(tmp_path, journal, config, make_step, make_batches):
    """Run a fresh step in `tmp_path`/name; `before(step)` is called before each batch."""

    def train(name="run", seed=0, before=lambda step: None, journal=journal):
        batches = make_batches(seed)

        def iterate(first, end):
            for number in range(first, end):
                before(number)
                yield batches.batch(number)

        step = make_step(seed)
        return Loop(step, iterate, config, tmp_path / name, journal, "train").run(), step

    return train


def at(number, action):
    return lambda step: action() if step == number else None


def lose():
    raise Lost


def signal_self():
    os.kill(os.getpid(), signal.SIGTERM)


def final(folder, config):
    """Return the last checkpoint without Python's generator, from which the type checks of the tests draw."""
    state = checkpoint.load(checkpoint.path_of(folder, config.steps))
    del state["rng"]["python"]
    return state


@pytest.mark.parametrize(
    "number", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("stop", ["signal", "loss of the process"])
def test_a_resumed_run_equals_an_undisturbed_one(train, journal, config, tmp_path, same, number, stop):
    train("whole")
    whole, journal.lines = journal.lines, []
    action, error = (signal_self, KeyboardInterrupt) if stop == "signal" else (lose, Lost)
    with pytest.raises(error):
        train("broken", before=at(number, action))
    # asked to stop, it saves the step it is at; lost, it goes back to its last checkpoint
    kept = checkpoint.steps(tmp_path / "broken")
    assert kept[-1:] == ([number + 1] if stop == "signal" else [number // 3 * 3] if number >= 3 else [])
    begun = []
    result, _ = train("broken", before=begun.append)
    assert begun[0] == (kept[-1] if kept else 0)
    assert result.steps == config.steps
    assert same(final(tmp_path / "broken", config), final(tmp_path / "whole", config))
    assert journal.lines == whole
    assert [line["step"] for line in whole] == list(range(config.steps))


def test_a_run_can_be_stopped_at_every_step(train, config, tmp_path, same):
    train("whole")
    for number in range(config.steps):
        with pytest.raises(KeyboardInterrupt):
            train("broken", before=at(number, signal_self))
    result, _ = train("broken", before=lambda step: pytest.fail("all steps are done"))
    assert result.steps == config.steps
    assert same(final(tmp_path / "broken", config), final(tmp_path / "whole", config))


def test_a_seed_decides_the_losses(train, journal):
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(name, seed)
        found.append([line["loss"] for line in journal.lines])
        journal.lines = []
    assert found[0] == found[1]
    assert not set(found[0]) & set(found[2])


def test_a_finished_run_trains_nothing(train, journal, config, tmp_path):
    first, _ = train()
    lines, stamp = journal.lines, first.checkpoint.stat().st_mtime_ns
    again, step = train(before=lambda step: pytest.fail("all steps are done"))
    assert (again.steps, again.checkpoint) == (first.steps, first.checkpoint)
    assert again.checkpoint.stat().st_mtime_ns == stamp
    assert journal.lines == lines
    assert checkpoint.steps(tmp_path / "run") == [6, 8]
    saved = checkpoint.load(first.checkpoint)["model"]
    assert all(torch.equal(value, saved[name]) for name, value in step.model.state_dict().items())


def test_a_broken_newest_checkpoint_costs_steps_and_nothing_else(train, journal, config, tmp_path, same, caplog):
    train("whole")
    whole, journal.lines = journal.lines, []
    with pytest.raises(Lost):
        train("broken", before=at(7, lose))
    newest = checkpoint.path_of(tmp_path / "broken", 6)
    newest.write_bytes(newest.read_bytes()[:1000])
    begun = []
    train("broken", before=begun.append)
    assert begun[0] == 3
    assert str(newest) in caplog.text
    assert same(final(tmp_path / "broken", config), final(tmp_path / "whole", config))
    assert journal.lines == whole


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path, journal, config, make_step, make_batches, same):
    batches, step = make_batches(), make_step()
    good = {}

    def iterate(first, end):
        for number in range(first, end):
            batch = batches.batch(number)
            if number == 5:
                batch.targets[0, 0, 0, 0] = math.inf
                good.update({name: value.clone() for name, value in step.model.encoder.state_dict().items()})
            yield batch

    with pytest.raises(NonFiniteLossError) as caught:
        Loop(step, iterate, config, tmp_path, journal, "train").run()
    message = str(caught.value)
    assert "at step 5: " in message
    assert "mse = inf" in message
    assert "The checkpoint of step 3 is kept" in message
    assert "train.optimizer.learning_rate" in message
    assert checkpoint.steps(tmp_path) == [3]
    assert same(step.model.encoder.state_dict(), good)
    assert [line["step"] for line in journal.lines] == [0, 1, 2, 3, 4]


def test_on_the_first_step_there_is_nothing_to_keep(tmp_path, journal, config):
    with pytest.raises(NonFiniteLossError, match=r"at step 0: loss = nan\. There is no checkpoint yet"):
        Loop(Counting({0: math.nan}), range, config, tmp_path, journal, "train").run()


class Counting(TrainStep):
    """A step that counts, and whose loss is what it is told."""

    def __init__(self, losses=None, device="cpu"):
        self.losses, self.device, self.count = losses or {}, torch.device(device), 0

    def run(self, step, batch):
        self.count += 1
        return {"loss": torch.tensor(self.losses.get(step, 1.0)), "grad_norm": torch.tensor(1.0)}

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


@pytest.fixture
def cadence():
    return TrainConfig(steps=11, batch_size=1, checkpoint_every=4, log_every=5)


def test_when_it_logs_saves_and_reports(tmp_path, journal, cadence):
    result = Loop(Counting(), range, cadence, tmp_path, journal, "stage").run()
    assert [line["step"] for line in journal.lines] == [0, 5, 10]
    assert checkpoint.steps(tmp_path) == [8, 11]
    assert result.checkpoint == checkpoint.path_of(tmp_path, 11)
    name, step, total, rate = journal.reports[-1]
    assert (name, step, total) == ("stage", 11, 11)
    assert rate > 0


def test_the_log_is_on_disk_before_a_checkpoint_that_it_led_to(tmp_path, journal, cadence, monkeypatch):
    synced = []
    monkeypatch.setattr(checkpoint, "save", lambda folder, step, state: synced.append((step, journal.num_synced)))
    Loop(Counting(), range, cadence, tmp_path, journal, "stage").run()
    assert synced == [(4, 1), (8, 2), (11, 3)]


def test_on_a_cpu_every_step_is_looked_at(tmp_path, journal, cadence):
    with pytest.raises(NonFiniteLossError, match="at step 2: loss = nan"):
        Loop(Counting({2: math.nan}), range, cadence, tmp_path, journal, "stage").run()


def test_what_a_device_has_computed_is_looked_at_before_it_is_logged_or_saved(tmp_path, journal, cadence):
    # on a GPU looking at a value means waiting for it, so the steps between are not looked at one by one
    for broken, checked in ((1, "steps 1 to 3"), (4, "steps 4 to 5"), (6, "steps 6 to 7"), (9, "steps 8 to 10")):
        folder = tmp_path / str(broken)
        losses = dict.fromkeys(range(broken, 11), math.nan)
        with pytest.raises(NonFiniteLossError, match=f"at {checked}: loss = nan"):
            Loop(Counting(losses, "cuda"), range, cadence, folder, journal, "stage").run()
        assert all(step <= broken for step in checkpoint.steps(folder))


def test_a_stop_during_the_last_step_is_still_a_stop(tmp_path, journal, cadence):
    def iterate(first, end):
        for number in range(first, end):
            if number == 10:
                signal_self()
            yield number

    with pytest.raises(KeyboardInterrupt):
        Loop(Counting(), iterate, cadence, tmp_path, journal, "stage").run()
    assert Loop(Counting(), range, cadence, tmp_path, journal, "stage").run().steps == 11


def test_a_stop_after_the_look_at_the_flag_waits_for_the_next_step(tmp_path, journal, cadence, monkeypatch):
    class Late(type(journal)):
        def log(self, step, values):
            if step == 5:
                signal_self()

    with pytest.raises(KeyboardInterrupt):
        Loop(Counting(), range, cadence, tmp_path, Late(), "stage").run()
    # whenever the signal comes, the checkpoint is of the last whole step
    assert checkpoint.steps(tmp_path)[-1] == 7
